# %% [markdown]
# # 12 Sum a part, sample the rest
#
# **Question.** REINFORCE draws every latent, and may draw the same state twice. Which part of that randomness can be replaced by a
# sum, with evaluations of $f$ alone?
#
# **After this lesson you can**
# - average an estimator over a part of its own noise, and say by how much its variance falls,
# - compare estimators at equal work, not at equal numbers of samples,
# - draw states without replacement, and weigh them so that the mean stays right,
# - say when such a sum pays: few states, or a $q$ that is concentrated on few.
#
# *Needs:* lessons 05 and 06. *Takes:* 45 minutes to read and run, 40 minutes for the exercises. Everything is in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np import (
    TABLE,
    distinct,
    score,
    softmax,
)
from dvae_np.check import (
    every_code,
    every_sequence,
    from_mean,
    lookup_table,
    moments,
    tiled,
)
from dvae_np.estimators.unordered_set import _set_probability
from dvae_np.lesson import confirm, show

rng = np.random.default_rng(0)
# (B, N, K): one example, two latents of three categories, nine states
logits = rng.standard_normal((1, 2, 3))
table = 2 + rng.standard_normal((3, 3))  # f of each state, in nats
f = lookup_table(table)
q = softmax(logits)[0][0]  # (N, K)
exact = dvae_np.exact(logits, f).dlogits[0]  # (N, K)

# %% [markdown]
# The estimators of this lesson draw codes. So the outcomes of their noise can be listed with their probabilities: samples from $q$,
# or ordered draws without replacement.


# %% setup
OUTCOMES = {
    "z": every_code,
    "distinct": every_sequence,
}


def mean_and_variance(estimate, noise, S, logits=logits, f=f, **hyper):
    """The exact mean (N, K) and total variance of an estimator's gradient,
    over every outcome of its noise.
    """
    outcomes, weights = OUTCOMES[noise](logits, S)
    found = estimate(tiled(logits, len(weights)), f, outcomes, **hyper)
    mean, variance = moments(weights, getattr(found, "dlogits", found))
    return mean, variance.sum()


variances = {}  # (estimator, S): exact variance, as it was reported last


def report(name, S, words="", **options):
    mean, variance = mean_and_variance(
        TABLE[name].estimate, TABLE[name].noise[0], S, **options
    )
    variances[name + words, S] = variance
    print(f"{name + words:26} S = {S}: variance {variance:7.4f}")
    return mean


# %% [markdown]
# ## 1 Sum one latent, sample the others
#
# The latents are independent, so the expectation can be taken in two steps: over all latents but number $n$, and then over
# $z_n$. Write $F_{nk} = f(z$ with $z_n = k)$, which depends on the other latents only:
#
# $$\mathbb{E}_q[f] = \mathbb{E}_{z_{-n}} \Bigl[ \sum_k q_{nk} F_{nk} \Bigr] .$$
#
# The logits $\ell_n$ enter $q_n$ alone, and not the law of $z_{-n}$. So the gradient goes through the sum, by the softmax Jacobian:
#
# $$\nabla_{\ell_n} \mathbb{E}_q[f] = \mathbb{E}_{z_{-n}} \bigl[ J(q_n) F_n \bigr], \qquad J(q_n) F_n = q_n \odot \bigl(F_n - \langle q_n, F_n \rangle\bigr) . \tag{12.1}$$
#
# This is the **local expectation gradient** (Titsias & Lázaro-Gredilla 2015; Tokui & Sato 2017). It is REINFORCE with a part of its noise averaged out. Given the others, the mean of $f\,(\mathrm{onehot}(z_n) - q_n)$ is
# $\sum_k q_{nk} F_{nk} (\mathrm{onehot}(k) - q_n)$, and its entry $j$ is $q_{nj} F_{nj} - q_{nj} \sum_k q_{nk} F_{nk}$, the same. The law of
# total variance says what that gains: with $g = f\,\mathrm{score}$,
#
# $$\mathrm{Var}[g_n] = \mathrm{Var}\bigl[\mathbb{E}[g_n \mid z_{-n}]\bigr] + \mathbb{E}\bigl[\mathrm{Var}[g_n \mid z_{-n}]\bigr] ,$$
#
# and the second term, which is never negative, is gone. Replacing an estimator by its conditional mean is called
# **Rao-Blackwellisation**. It appears again in section 4, and in lesson 13.

# %%
show(dvae_np.local_expectation)
confirm("12.1", report("local_expectation", 1), exact)
report("reinforce", 1)
# one draw: its conditional means by the plain sum over the latent's own
# categories
z = np.array([[[2, 0]]])
by_sum = np.zeros((2, 3))
for k in range(3):
    by_sum[0] += (
        q[0, k] * table[k, 0] * score(logits, np.array([[[k, 0]]]))[0, 0, 0]
    )
    by_sum[1] += (
        q[1, k] * table[2, k] * score(logits, np.array([[[2, k]]]))[0, 0, 1]
    )
confirm("12.1", dvae_np.local_expectation(logits, f, z).dlogits[0], by_sum)

# %% [markdown]
# At equal $S$ this is {{variances["reinforce", 1] / variances["local_expectation", 1]:.0f}} times less variance. But it takes $N K = 6$ evaluations of $f$ in place of one, and the price grows with the number of
# latents. At equal *work* the comparison is another: six draws of REINFORCE, or six of leave-one-out (lesson 06). The latter is an average over pairs of samples [Eq. 6.5]. The variance of
# such an average follows at every $S$ from two numbers (Hoeffding 1948): $\zeta_2$, the variance for one pair, and $\zeta_1$, the variance of what one of its two samples decides,
#
# $$\mathrm{Var} = \frac{2}{S (S - 1)} \bigl( 2 (S - 2)\, \zeta_1 + \zeta_2 \bigr) .$$
#
# The variances at $S = 2$ and $S = 3$ give both.

# %%
for S in (2, 3, 4):
    report("reinforce_loo", S)


def leave_one_out(
    S,
    two=variances["reinforce_loo", 2],
    three=variances["reinforce_loo", 3],
):
    """Its exact variance at S samples, from those at two and at three."""
    zeta_1, zeta_2 = (3 * three - two) / 2, two
    return 2 / (S * (S - 1)) * (2 * (S - 2) * zeta_1 + zeta_2)


print(f"leave-one-out at S = 4, by the formula: {leave_one_out(4):.4f}")
print(
    f"six evaluations of f: reinforce {variances['reinforce', 1] / 6:.3f}, "
    f"reinforce_loo {leave_one_out(6):.3f}, "
    f"local_expectation {variances['local_expectation', 1]:.3f}"
)

# %% [markdown]
# At equal work leave-one-out wins on this problem. Two samples of the local expectation would cost twelve evaluations and have half its variance, {{variances["local_expectation", 1] / 2:.3f}}; leave-one-out at
# twelve has {{leave_one_out(12):.3f}}. What decides is how much the latents do together. Where $f$ is a sum of parts that
# see one latent each, $F_n$ changes by a constant from draw to draw, $J(q_n)$ takes constants away, and the local expectation has no variance at all. The figure of lesson 13 shows a problem where it wins.

# %% [markdown]
# ## 2 Drawing without replacement
#
# A state that has been evaluated tells nothing new when it is drawn again. Let every state have an alarm clock that rings at
# $T_s = E_s / q(s)$, with $E_s$ independent Exponential(1) variables: clocks of rates $q(s)$. The first to ring is $s$ with probability
# $q(s)$, as in the Gumbel-max trick (lesson 02). And exponential clocks have no memory: given that $s$ rang at time $t$, what
# the others still have to wait is as at the start. So the next is $s'$ with probability $q(s') / (1 - q(s))$. In the order of their
# ringing the states are a draw without replacement. Now
#
# $$-\log T_s = \log q(s) - \log E_s = \log q(s) + G_s ,$$
#
# with $G_s$ Gumbel noise. Early clocks have large perturbed log-probabilities:
#
# $$s_1, \ldots, s_S = \text{the } S \text{ largest of } \log q(s) + G_s, \qquad P(s_1, \ldots, s_S) = \prod_i \frac{q(s_i)}{1 - \sum_{j < i} q(s_j)} . \tag{12.2}$$
#
# (Drawing so is the Gumbel-top-k trick: Kool, van Hoof & Welling 2019.) It has a price that [Eq. 12.2] does not show. *Every* joint state needs its own noise, so all $K^N$ of them are perturbed, though only $S$ are evaluated. That
# is cheap beside a decoder for some thousands of states, and out of the question for $10^{9}$.
#
# We confirm the law on a lattice of $60^3$ uniforms, for three states: exact but for the lattice's width.

# %%
show(distinct)
axis = (np.arange(60) + 0.5) / 60
u = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)  # (60^3, K)
# the first two of each, (2, 60^3)
drawn = distinct(np.broadcast_to(logits[:, :1], (len(u), 1, 3)), u)[
    :2, :, 0
]
pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
frequency = [(drawn == [[a], [b]]).all(0).mean() for a, b in pairs]
confirm(
    "12.2",
    frequency,
    [q[0, a] * q[0, b] / (1 - q[0, a]) for a, b in pairs],
    tolerance=5e-3,
)

# %% [markdown]
# ## 3 Sum what you have, sample the rest
#
# Split the exact sum of lesson 04 at any set $\mathcal{T}$ of states. Write $Q = \sum_{s \in \mathcal{T}} q(s)$:
#
# $$\sum_s q f\,\mathrm{score} = \sum_{s \in \mathcal{T}} q f\,\mathrm{score} + (1 - Q) \sum_{s \notin \mathcal{T}} \frac{q(s)}{1 - Q} f(s)\,\mathrm{score}(s) .$$
#
# The last sum is an expectation under $q$ restricted to the rest: *one* draw $z'$ from there estimates it. With $\mathcal{T}$ the $k$ most
# probable states that is **top-k** (Liu, Regier, Tripuraneni, Jordan & McAuliffe 2019),
#
# $$\sum_{\mathrm{top}\ k} q f\,\mathrm{score} + \Bigl(1 - \sum_{\mathrm{top}\ k} q\Bigr) f(z')\,\mathrm{score}(z'), \tag{12.3}$$
#
# and with $\mathcal{T}$ the first $S - 1$ states drawn without replacement it is **sum and sample** (a part summed and the rest sampled: Liang et al. 2018; the part drawn without replacement: Kool et al. 2020): the last drawn state has, given the others,
# just the law that is needed,
#
# $$\sum_{s < S} q(s_s) f(s_s)\,\mathrm{score}(s_s) + \Bigl(1 - \sum_{s < S} q(s_s)\Bigr) f(s_S)\,\mathrm{score}(s_S) . \tag{12.4}$$
#
# In both, $z'$ comes from the same noise: the first of the distinct states that is outside the set. Weight and score of what
# is summed are known; the randomness that remains is that of the rest.

# %%
show(dvae_np.sum_and_sample)
confirm("12.3", report("top_k", 3), exact)
confirm("12.4", report("sum_and_sample", 3), exact)
# one outcome, S = 3, by plain sums
states = np.array([[[0, 1]], [[2, 2]], [[1, 0]]])
probability = np.array([q[0, a] * q[1, b] for a, b in states[:, 0]])
# (S, N, K)
terms = (
    np.array([table[a, b] for a, b in states[:, 0]])[:, None, None]
    * score(logits, states)[:, 0]
)
weights = np.append(probability[:2], 1 - probability[:2].sum())
confirm(
    "12.4",
    dvae_np.sum_and_sample(logits, f, states).dlogits[0],
    np.tensordot(weights, terms, 1),
)
everything = np.sort(
    [q[0, a] * q[1, b] for a in range(3) for b in range(3)]
)[::-1]
best = [divmod(m, 3) for m in np.argsort(-np.outer(q[0], q[1]).ravel())[:2]]
print(
    "the two most probable states:",
    [(int(a), int(b)) for a, b in best],
    "with mass",
    round(everything[:2].sum(), 4),
)
# the last one is the sample of the rest
kept = np.array([[[a, b]] for a, b in best] + [[[0, 0]]])
terms = (
    np.array([table[a, b] for a, b in kept[:, 0]])[:, None, None]
    * score(logits, kept)[:, 0]
)
by_hand = np.tensordot(
    [*everything[:2], 1 - everything[:2].sum()], terms, 1
)
assert (0, 0) not in best
confirm("12.3", dvae_np.top_k(logits, f, kept[::-1]).dlogits[0], by_hand)

# %% [markdown]
# ## 4 Forget the order
#
# This section is the **unordered set estimator** of Kool, van Hoof & Welling (2020). The order in which the states came carries no information on $f$, but `sum_and_sample` depends on it. Average it out. Take the simplest
# estimator: use the first of $S$ distinct states, $f(s_1)\,\mathrm{score}(s_1)$, which is REINFORCE. Given the *set* $\mathcal{S}$, the first
# was $s$ with probability
#
# $$P(s_1 = s \mid \mathcal{S}) = \frac{q(s)\,P(\mathcal{S} \setminus s \mid s\ \mathrm{removed})}{P(\mathcal{S})} = q(s)\,R(s) ,$$
#
# where the numerator says: first $s$, then the others, in any order, from the states without $s$. So the conditional mean is
# $\sum_s q(s) R(s) f(s)\,\mathrm{score}(s)$. A baseline is built in: with $R_s$ the same ratio after $s$ is removed, and $R_s(s) = 1$,
# the number $b_s = \sum_t q(t) R_s(t) f(t)$ has the mean $\mathbb{E}_q[f]$ whatever $s$ is (the term of $s$ is exact, the others estimate the
# rest), so that $\mathbb{E}[b\,\mathrm{score}] = \mathbb{E}_q[f]\,\mathbb{E}[\mathrm{score}] = 0$:
#
# $$\sum_{s \in \mathcal{S}} q(s)\,R(s)\,\bigl(f(s) - b_s\bigr)\,\mathrm{score}(s) . \tag{12.5}$$
#
# The probability of a set is a sum over which of its members came last. Before it came all the others, and what they left is the denominator:
#
# $$P(\mathcal{T}) = \sum_{i \in \mathcal{T}} P(\mathcal{T} \setminus i)\, \frac{q_i}{1 - \sum_{j \in \mathcal{T} \setminus i} q_j} . \tag{12.6}$$

# %%
show(dvae_np.unordered_set)
confirm("12.5", report("unordered_set", 3), exact)
confirm(
    "12.5",
    report("unordered_set", 3, " without baseline", baseline=False),
    exact,
)
orders, chances = every_sequence(logits, 3)  # (S, T, N), (T,)
# the set that each order belongs to, as sorted state numbers (S, T)
numbers = np.sort(orders @ [3, 1], axis=0)
# the 3! orders of the set above
same = (numbers == np.sort(states[:, 0] @ [3, 1])[:, None]).all(0)
confirm(
    "12.6", _set_probability(probability[:, None]), [chances[same].sum()]
)
# (3!, N, K)
each = dvae_np.sum_and_sample(
    tiled(logits, len(chances)), f, orders
).dlogits[same]
mean_over_orders = np.tensordot(
    chances[same] / chances[same].sum(), each, 1
)
confirm(
    "12.5",
    dvae_np.unordered_set(logits, f, states, baseline=False).dlogits[0],
    mean_over_orders,
)

# %% [markdown]
# The last line is a second proof: the average of `sum_and_sample` over the orders of one set is the same estimator. The variance falls from {{variances["sum_and_sample", 3]:.2f}}
# to {{variances["unordered_set without baseline", 3]:.2f}} by forgetting the order, and to {{variances["unordered_set", 3]:.2f}} with the baseline, at three evaluations. Leave-one-out has {{variances["reinforce_loo", 3]:.2f}} there (section 1).

# %% [markdown]
# ## 5 Break it
#
# States were drawn without replacement. Weigh them as if they had been drawn independently, each by $1 / S$. It looks harmless, as every
# state is drawn from $q$, at least at first. Enumeration says what it is worth:


# %%
def as_if_independent(logits, f, distinct):
    """A bug: distinct states, weighed like independent ones."""
    fz, _ = f(distinct)
    return (fz[..., None, None] * score(logits, distinct)).mean(0)


for S in (1, 2, 3):
    mean, _ = mean_and_variance(as_if_independent, "distinct", S)
    print(f"S = {S}: {from_mean(mean, exact)}")

# %% [markdown]
# With one state nothing is wrong. With more, probable states are drawn too seldom for their weight: whoever has been drawn cannot be drawn again.

# %% [markdown]
# ## Reading
#
# - M. Titsias, M. Lázaro-Gredilla, *Local expectation gradients for black box variational inference*, 2015: section 1 of this lesson. The same by another road: S. Tokui, I. Sato, *Evaluating the variance of likelihood-ratio gradient
#   estimators*, 2017.
# - W. Hoeffding, *A class of statistics with asymptotically normal distribution*, 1948: the variance of averages over pairs.
# - W. Kool, H. van Hoof, M. Welling, *Stochastic beams and where to find them*, 2019, and *Estimating gradients for discrete random variables by sampling without replacement*, 2020: sections 2 to 4.
# - R. Liu, J. Regier, N. Tripuraneni, M. I. Jordan, J. McAuliffe, *Rao-Blackwellized stochastic gradients for discrete distributions*, 2019: top-k.
# - C. Liang, M. Norouzi, J. Berant, Q. V. Le, N. Lao, *Memory augmented policy optimization for program synthesis and semantic parsing*, 2018: a part summed, the rest sampled.
#
# Next: [13 Samples that know each other](13_coupled_samples.ipynb)

# %% [markdown] exercise 12.1
# ### 12.1 Implement: the local expectation gradient
#
# Write `my_local(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N); return [Eq. 12.1] averaged over the samples, (B, N, K). Loop over latents and categories: set
# `z[..., n]` of a copy to `k` and call `f`, which returns `fz` (S, B) and a backward that you do not need. `softmax(logits)[0]` is `q`. About 8 lines. On the setup's
# problem its variance at $S = 1$ is {{mean_and_variance(my_local, "z", 1)[1]:.3f}}.


# %% solution 12.1
def my_local(logits, f, z):
    """Each latent's own sum, exactly, the others as drawn."""
    ### BEGIN SOLUTION
    q = softmax(logits)[0]
    F = np.zeros((len(z), *logits.shape))  # (S, B, N, K)
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            replaced = z.copy()
            replaced[..., n] = k
            F[:, :, n, k] = f(replaced)[0]
    return (q * (F - (q * F).sum(-1, keepdims=True))).mean(0)
    ### END SOLUTION


# %% check 12.1
from dvae_np.lesson import judge

judge("12.1", my_local)


# %% right 12.1
def my_local(logits, f, z):
    B, N, K = logits.shape
    gradient = np.zeros(logits.shape)
    for n in range(N):
        # every category with every sample
        ks = np.repeat(np.arange(K), len(z))
        tried = np.tile(z, (K, 1, 1))
        tried[:, :, n] = ks[:, None]
        F = f(tried)[0].reshape(K, len(z), B).mean(1)  # (K, B)
        gradient[:, n] = np.einsum(
            "bkl,lb->bk", softmax_jacobians(softmax(logits)[0][:, n]), F
        )
    return gradient


def softmax_jacobians(q):
    return q[:, :, None] * (np.eye(q.shape[-1]) - q[:, None])


# %% wrong 12.1: the score lacks its -q
def my_local(logits, f, z):
    q = softmax(logits)[0]
    F = np.zeros((len(z), *logits.shape))
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            replaced = z.copy()
            replaced[..., n] = k
            F[:, :, n, k] = f(replaced)[0]
    return (q * F).mean(0)


# %% wrong 12.1: the plain mean over the categories: weigh them by q
def my_local(logits, f, z):
    q = softmax(logits)[0]
    F = np.zeros((len(z), *logits.shape))
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            replaced = z.copy()
            replaced[..., n] = k
            F[:, :, n, k] = f(replaced)[0]
    return (q * (F - F.mean(-1, keepdims=True))).mean(0)


# %% wrong 12.1: a mean where a sum is due
def my_local(logits, f, z):
    q = softmax(logits)[0]
    F = np.zeros((len(z), *logits.shape))
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            replaced = z.copy()
            replaced[..., n] = k
            F[:, :, n, k] = f(replaced)[0]
    return (q * (F - (q * F).sum(-1, keepdims=True))).sum(0)


# %% wrong 12.1: f must be tried at every category
def my_local(logits, f, z):
    return (f(z)[0][..., None, None] * score(logits, z)).mean(0)


# %% wrong 12.1: put the latent back before the next one is tried
def my_local(logits, f, z):
    q = softmax(logits)[0]
    F, replaced = np.zeros((len(z), *logits.shape)), z.copy()
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            replaced[..., n] = k  # and latent n stays at its last category
            F[:, :, n, k] = f(replaced)[0]
    return (q * (F - (q * F).sum(-1, keepdims=True))).mean(0)


# %% wrong 12.1: write it yourself
def my_local(logits, f, z):
    return dvae_np.local_expectation(logits, f, z).dlogits


# %% [markdown] exercise 12.2
# ### 12.2 Derive: the probability of a set of two
#
# Two states are drawn without replacement. Write `set_of_two(a, b)`: with what probability are they the two states of probabilities `a` and `b`, in any order? A number,
# one line. At $a = 0.5$, $b = 0.2$ you should get {{set_of_two(0.5, 0.2):.3f}}.


# %% solution 12.2
def set_of_two(a, b):
    """P({a, b}), drawn without replacement."""
    ### BEGIN SOLUTION
    return a * b / (1 - a) + b * a / (1 - b)
    ### END SOLUTION


# %% check 12.2
from dvae_np.lesson import judge

judge("12.2", set_of_two)


# %% right 12.2
def set_of_two(a, b):
    odds = lambda p: p / (1 - p)
    return odds(a) * b + odds(b) * a


# %% wrong 12.2: either may come first
def set_of_two(a, b):
    return a * b / (1 - a)


# %% wrong 12.2: what was drawn is gone
def set_of_two(a, b):
    return 2 * a * b


# %% wrong 12.2: it is gone at the second draw
def set_of_two(a, b):
    return 2 * a * b / (1 - a - b)


# %% wrong 12.2: write it yourself
def set_of_two(a, b):
    return _set_probability(np.array([[a], [b]]))[0]


# %% [markdown] exercise 12.3
# ### 12.3 Find the bug: a sample that stands for too little
#
# This sum-and-sample gives the last state the weight that the others have. Correct it: `distinct` are S different states (S, B, N), in the order drawn; return the
# gradient (B, N, K) of [Eq. 12.3]. One line is missing. With all nine states there is no difference; with three the gradient is too short, and off in direction. As it was:
#
# ```python
# fz, _ = f(distinct)  # (S, B)
# weight = np.exp(dvae_np.log_prob(logits, distinct)[0])  # (S, B)
# return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)
# ```


# %% solution 12.3
def summed_and_sampled(logits, f, distinct):
    """The first S - 1 states summed, the last one for all the rest."""
    fz, _ = f(distinct)  # (S, B)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])  # (S, B)
    ### BEGIN SOLUTION
    weight[-1] = 1 - weight[:-1].sum(0)
    ### END SOLUTION
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% check 12.3
from dvae_np.lesson import judge

judge("12.3", summed_and_sampled)


# %% right 12.3
def summed_and_sampled(logits, f, distinct):
    fz, left, total = f(distinct)[0], 1.0, 0.0
    for s in range(len(distinct)):
        last = s == len(distinct) - 1
        # (B,)
        weight = (
            left
            if last
            else np.exp(dvae_np.log_prob(logits, distinct[[s]])[0][0])
        )
        total = total + np.einsum(
            "b,bnk->bnk", weight * fz[s], score(logits, distinct[[s]])[0]
        )
        left = left - weight
    return total


# %% wrong 12.3: the last state stands for all the rest
def summed_and_sampled(logits, f, distinct):
    fz, _ = f(distinct)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% wrong 12.3: its chance is in the draw already
def summed_and_sampled(logits, f, distinct):
    fz, _ = f(distinct)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])
    weight[-1] = weight[-1] / (1 - weight[:-1].sum(0))
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% wrong 12.3: the rest is what lies outside the first S - 1
def summed_and_sampled(logits, f, distinct):
    fz, _ = f(distinct)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])
    weight[-1] = 1 - weight.sum(0)
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% wrong 12.3: write it yourself
def summed_and_sampled(logits, f, distinct):
    return dvae_np.sum_and_sample(logits, f, distinct).dlogits
