# %% [markdown]
# # 12 Rao-Blackwell, without replacement, coupling
#
# **Question.** REINFORCE draws every latent, draws the same state twice, and draws its samples without a thought for each other.
# Which part of that randomness can be removed, or arranged better, with evaluations of $f$ alone?
#
# **After this lesson you can**
# - average an estimator over a part of its own noise, and say by how much its variance falls,
# - draw states without replacement, and weigh them so that the mean stays right,
# - derive ARM from one substitution, DisARM from one conditional mean, and CARMS from one weight,
# - choose among ten estimators by their exact variance for the same number of evaluations of $f$.
#
# *Needs:* lessons 05 and 06. *Takes:* an hour to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np import (
    TABLE,
    coupled_codes,
    distinct,
    one_hot,
    pair_probability,
    score,
    softmax,
)
from dvae_np.check import (
    every_code,
    every_coupled,
    every_sequence,
    from_mean,
    lookup_table,
    moments,
    polynomial,
    threshold_nodes,
    tiled,
)
from dvae_np.estimators.unordered_set import _set_probability
from dvae_np.lesson import confirm, figure, show

rng = np.random.default_rng(0)
# (B, N, K): one example, two latents of three categories, nine states
logits = rng.standard_normal((1, 2, 3))
table = 2 + rng.standard_normal((3, 3))  # f of each state, in nats
f = lookup_table(table)
q = softmax(logits)[0][0]  # (N, K)
exact = dvae_np.exact(logits, f).dlogits[0]  # (N, K)

# three binary latents, eight states
binary = rng.standard_normal((1, 3, 2))
# an f for them, with a slope
g = polynomial(rng.standard_normal((2, 3, 2)), 3)
binary_exact = dvae_np.exact(binary, g).dlogits[0]  # (3, 2)

# %% [markdown]
# Every estimator of this lesson draws codes, or one uniform per binary latent. So the outcomes of its noise can be listed with
# their probabilities: samples from $q$, ordered draws without replacement, coupled samples, or the few intervals between
# the points where a threshold code jumps.


# %% setup
OUTCOMES = {
    "z": every_code,
    "distinct": every_sequence,
    "coupled": every_coupled,
    "e": lambda logits, S: threshold_nodes(logits),
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
# **Rao-Blackwellisation**. It appears twice more below.

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
# latents. At equal *work* the comparison is another: six draws of REINFORCE, or six of leave-one-out (lesson 06). The latter is an average over pairs of samples [Eq. 6.3, as in section 6]. The variance of
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
# see one latent each, $F_n$ changes by a constant from draw to draw, $J(q_n)$ takes constants away, and the local expectation has no variance at all. The figure of section 8 shows a problem where it wins.
#
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
#
# ## 5 Binary latents: ARM
#
# Now $K = 2$, and one uniform $e_n$ makes each code: $z_n = [e_n < p_n]$, with $p = \sigma(\phi)$, $\phi = \ell_1 - \ell_0$. Here is an odd estimator:
# multiply $f(z)$ not by the score, but by $1 - 2 e_n$. Write $F_0, F_1$ for $f$ at the two values of $z_n$, given the others. Then
#
# $$\int_0^1 f\,(1 - 2e)\,de = F_1 \int_0^p (1 - 2e)\,de + F_0 \int_p^1 (1 - 2e)\,de = (F_1 - F_0)\,p (1 - p) ,$$
#
# as the first integral is $p - p^2$ and both add up to 0. And $p(1 - p)(F_1 - F_0)$ is the derivative of $p F_1 + (1 - p) F_0$ in $\phi$: it is
# unbiased. Replace $e$ by $1 - e$, as good a uniform: the code becomes $z' = [e > 1 - p]$ and the factor $2e - 1$. The mean of the two is **ARM** (Yin & Zhou 2019):
#
# $$\bigl(f([e > 1 - p]) - f([e < p])\bigr) \bigl(e - \tfrac{1}{2}\bigr) . \tag{12.7}$$
#
# A constant in $f$ cancels. But the uniform itself is noise that no longer matters once the codes are known. Given both codes of a latent,
# what is the mean of $e - \frac{1}{2}$? With $m = \max(p, 1 - p) = \sigma(\lvert \phi \rvert)$:
#
# - $z = 1, z' = 0$: then $e < 1 - m$, of mean $\frac{1 - m}{2} - \frac{1}{2} = -\frac{m}{2}$;
# - $z = 0, z' = 1$: then $e > m$, of mean $\frac{1 + m}{2} - \frac{1}{2} = \frac{m}{2}$;
# - equal codes: then $e$ lies between, evenly about $\frac{1}{2}$, of mean 0.
#
# In one formula $(z' - z)\,m / 2$. Put it in the place of $e - \frac{1}{2}$, and ARM becomes **DisARM** (Dong, Mnih & Tucker 2020; found at the same time by Yin et al. 2020):
#
# $$\tfrac{1}{2} \bigl(f(z) - f(z')\bigr)(z - z')\,\sigma(\lvert \phi \rvert) . \tag{12.8}$$

# %%
show(dvae_np.arm, dvae_np.disarm)
confirm("12.7", report("arm", 1, logits=binary, f=g), binary_exact)
confirm("12.8", report("disarm", 2, logits=binary, f=g), binary_exact)
e, weights = threshold_nodes(binary)  # (1, T, N), (T,)
p = softmax(binary)[0][0, :, 1]  # (N,)
z, twin = (e < p).astype(int), (e > 1 - p).astype(int)
# (T, N), the gradient in phi
by_formula = (g(twin)[0] - g(z)[0])[0][:, None] * (e[0] - 0.5)
arm = dvae_np.arm(tiled(binary, len(weights)), g, e).dlogits  # (T, N, 2)
confirm("12.7", arm[..., 1], by_formula)
# all uniforms that give this pair
same = (z[0] == [1, 0, 1]).all(-1) & (twin[0] == 1 - z[0]).all(-1)
pair = np.array([[[1, 0, 1]], [[0, 1, 0]]])
average = np.tensordot(weights[same] / weights[same].sum(), arm[same], 1)
confirm("12.8", dvae_np.disarm(binary, g, pair).dlogits[0], average)

# %% [markdown]
# ## 6 More than two samples, more than two categories
#
# The pair $e, 1 - e$ is a *copula*: uniforms that know each other. DisARM was carried to more categories by Dong, Mnih & Tucker (2021), and to more samples, which we follow here, by Dimitriev & Zhou (2021). For $S$ of them take a point $d$ evenly from the simplex ($d_i \ge 0$, $\sum d_i = 1$).
# The part of the simplex where $d_i \ge r$ and $d_j \ge t$ is a copy of the whole, smaller by the factor $1 - r - t$ in each of its $S - 1$ dimensions, so
# $P(d_i \ge r, d_j \ge t) = \max(0, 1 - r - t)^{S-1}$. With $t = 0$, $P(d_i \ge r) = (1 - r)^{S-1}$, hence
#
# $$u_i = (1 - d_i)^{S-1} \ \text{is uniform:} \quad P(u_i \le a) = P\bigl(d_i \ge 1 - a^{1/(S-1)}\bigr) = a, \tag{12.9}$$
#
# and with both, $r = 1 - a^{1/(S-1)}$ and $t = 1 - b^{1/(S-1)}$, the law of a pair is
#
# $$P(u_i \le a, u_j \le b) = \max\bigl(0,\ a^{1/(S-1)} + b^{1/(S-1)} - 1\bigr)^{S-1} . \tag{12.10}$$
#
# At $S = 2$ it is the pair $u, 1 - u$. A code is where its uniform falls among the categories, laid side by side. $P(z_i, z_j)$ is the mass of the rectangle of both
# categories' intervals: the value at its upper corner, minus two, plus one. It is averaged over random orders of the categories, for in a
# fixed order some pairs could never meet.

# %%
show(coupled_codes, pair_probability)
axis = (np.arange(40) + 0.5) / 40
# S + 1 = 3 uniforms for each of 40^3
noise = np.stack(np.meshgrid(axis, axis, axis), 0).reshape(3, -1, 1)
# (S, 40^3)
codes = coupled_codes(np.broadcast_to(logits[:, :1], (40**3, 1, 3)), noise)[
    ..., 0
]
confirm(
    "12.9",
    [[(codes[i] == k).mean() for k in range(3)] for i in range(2)],
    [q[0], q[0]],
    tolerance=1e-2,
)

# triples by another route: eight corners of a box each; (3, T, 1)
z, weights = every_coupled(logits[:, :1], 3)
law = np.array(
    [
        [
            weights[(z[0, :, 0] == a) & (z[1, :, 0] == b)].sum()
            for b in range(3)
        ]
        for a in range(3)
    ]
)
# both codes of a pair; the third sample's code does not matter
at = np.array(list(np.ndindex(3, 3)))
codes = np.concatenate([at, at[:, :1]], 1).T[..., None]  # (3, 9, 1)
pairs = pair_probability(np.broadcast_to(q[:1], (9, 1, 3)), codes)[
    0, 1, :, 0
].reshape(3, 3)
confirm("12.10", pairs, law)
print(
    "P(z_1, z_2), coupled:     ",
    np.round(np.diag(pairs), 3),
    "on the diagonal",
)
print("P(z_1) P(z_2), independent:", np.round(q[0] ** 2, 3))

# %% [markdown]
# Coupled samples agree less often than independent ones, and pairs that agree contribute nothing to leave-one-out. In pairs, [Eq. 6.3] is the mean of $\frac{1}{2} (f_i - f_j)(z_i - z_j)$, with
# $z$ one-hot. For independent samples one latent has
#
# $$\sum_{k, l} q_k q_l\, (F_k - F_l)(\mathrm{onehot}(k) - \mathrm{onehot}(l)) = 2 J(q) F .$$
#
# Coupled samples meet the pair $k, l$ with probability $P(k, l)$ in place of $q_k q_l$. So weigh each pair by $q_k q_l / P(k, l)$, latent by latent. (The other latents
# enter through $F$ alone: each sample's are drawn from $q$, independently of this latent.) This is **CARMS**:
#
# $$\frac{1}{S (S - 1)} \sum_{i < j} (f_i - f_j)(z_i - z_j)\, \frac{q(z_i) q(z_j)}{P(z_i, z_j)} . \tag{12.11}$$

# %%
show(dvae_np.carms)
for S in (2, 3):
    confirm("12.11", report("carms", S), exact)
    report("reinforce_loo", S)
z, weights = every_coupled(binary, 2)
confirm(
    "12.11",
    dvae_np.carms(tiled(binary, len(weights)), g, z).dlogits,
    dvae_np.disarm(tiled(binary, len(weights)), g, z).dlogits,
)

# %% [markdown]
# At $S = 2$ and $K = 2$ it *is* DisARM, outcome by outcome.
#
# ## 7 A slope as a second control variate
#
# Where $f$ has a gradient $f'$ at one-hot codes, leave-one-out at $S = 2$ can use it: the **double control variate** of Titsias & Shi (2022). Correct $f_1$ by the tangent of the *other* sample,
# $\alpha \langle f'_2, z_1 - q \rangle$, and the reverse. What does that add to the mean? Sample 2 is independent of sample 1, and $\mathbb{E}[z_1 - q] = 0$, so
#
# $$\mathbb{E}\bigl[\langle f'_2, z_1 - q \rangle (z_1 - z_2)\bigr] = \mathbb{E}\bigl[(z_1 - q)(z_1 - q)^{\top}\bigr]\,\mathbb{E}[f'_2] = J(q)\,\mathbb{E}[f'_2] ,$$
#
# for $J(q) = \mathrm{diag}(q) - q q^{\top}$ is the covariance of a one-hot code. Both corrections together add $\frac{\alpha}{2} J(q)\,\mathbb{E}[f'_1 + f'_2]$, which is subtracted again:
#
# $$\tfrac{1}{2} \bigl(f_1 + \alpha \langle f'_2, z_1 - q \rangle - f_2 - \alpha \langle f'_1, z_2 - q \rangle\bigr)(z_1 - z_2) - \tfrac{\alpha}{2} J(q)(f'_1 + f'_2) . \tag{12.12}$$
#
# For an affine $f$ and $\alpha = -1$ the bracket is zero and the last term the exact gradient. In general $\alpha$ is learned: `domega` is the gradient of the squared
# estimate, whose mean is the variance's (lesson 11).

# %%
show(dvae_np.double_cv)
for alpha in (0.0, -0.5, -1.0):
    confirm(
        "12.12",
        report(
            "double_cv",
            2,
            f", alpha = {alpha}",
            logits=binary,
            f=g,
            omega={"alpha": np.array(alpha)},
        ),
        binary_exact,
    )

# %% [markdown]
# ## 8 The picture
#
# Three other binary latents than those above, a cubic $f$ with smaller weights; eight states, and every variance is exact. Read a column: what the same number of evaluations of $f$ buys.

# %%
figure("variance_evaluations.png")

# %%
from dvae_np.figures.lesson_12 import DRAWN, curve, exact_variance, problem

bought = {name: curve(name) for name in DRAWN}
print(
    "exact variance at this many evaluations of f\n"
    + " " * 18
    + "".join(f"{n:8}" for n in range(1, 8))
)
for name, found in bought.items():
    print(
        f"{name:18}"
        + "".join(
            f"{found[n]:8.3f}" if n in found else " " * 8
            for n in range(1, 8)
        )
    )
print("\nat two evaluations, with larger weights in f:")
larger = {}
for scale in (0.6, 1.0, 1.5):
    larger[scale] = [
        exact_variance(name, *problem(scale), 2)
        for name in ("reinforce", "reinforce_loo")
    ]
    print(
        f"weights of size {scale}: reinforce {larger[scale][0]:.2f}, "
        f"reinforce_loo {larger[scale][1]:.2f}"
    )

# %% [markdown]
# At two evaluations leave-one-out has {{bought["reinforce_loo"][2]:.2f}}, DisARM and CARMS {{bought["disarm"][2]:.2f}} (one point: they are equal), and the slope brings {{bought["double_cv"][2]:.2f}}, with its $\alpha$ chosen by this
# very variance and two gradients of $f$ besides. At four, leave-one-out has {{bought["reinforce_loo"][4]:.2f}}, CARMS {{bought["carms"][4]:.2f}} and the unordered set {{bought["unordered_set"][4]:.2f}}. The curves of what is drawn
# *without replacement* bend down, as they must reach zero at eight, where nothing is left to chance. The local expectation, at six evaluations, has {{bought["local_expectation"][6]:.3f}}; leave-one-out would have
# {{leave_one_out(6, bought["reinforce_loo"][2], bought["reinforce_loo"][3]):.3f}} there, by the formula of section 1.
#
# Two warnings. Sum and sample has no baseline: at two evaluations it is worse ({{bought["sum_and_sample"][2]:.2f}}) than the plain mean of two independent draws ({{bought["reinforce"][2]:.2f}}). And the ranking at few
# evaluations belongs to this problem: with weights of size $1.5$ leave-one-out at two samples has {{larger[1.5][1]:.1f}}, more than the {{larger[1.5][0]:.1f}} of no baseline at all. Eight states are few, too. Where $q$ is spread over a
# million, the same state is hardly ever drawn twice, and drawing without replacement gains little.
#
# ## 9 Break it
#
# A weight $q q / P$ becomes large where a pair is improbable. To clip $P$ from below looks harmless. It is a bias, and enumeration says how large:


# %%
def clipped_carms(logits, f, coupled, least):
    """A bug: CARMS with its pair probabilities clipped from below."""
    S, q = len(coupled), softmax(logits)[0]
    fz, _ = f(coupled)
    # (S, B, N)
    drawn = (one_hot(coupled, q.shape[-1], q.dtype) * q).sum(-1)
    pair = np.maximum(pair_probability(q, coupled), least)
    weight = (
        (coupled[:, None] != coupled)
        * drawn[:, None]
        * drawn
        / pair
        * (fz[:, None] - fz)[..., None]
    )
    return (
        weight.sum(1)[..., None] * one_hot(coupled, q.shape[-1], q.dtype)
    ).sum(0) / (S * (S - 1))


skewed = 2 * logits
skewed_exact = dvae_np.exact(skewed, f).dlogits[0]
for least in (0.0, 0.05, 0.1):
    mean, variance = mean_and_variance(
        clipped_carms, "coupled", 3, logits=skewed, least=max(least, 1e-300)
    )
    print(
        f"P at least {least}: variance {variance:.4f}, "
        f"{from_mean(mean, skewed_exact)}"
    )

# %% [markdown]
# ## Reading
#
# - M. Titsias, M. Lázaro-Gredilla, *Local expectation gradients for black box variational inference*, 2015: section 1. The same by another road: S. Tokui, I. Sato, *Evaluating the variance of likelihood-ratio gradient
#   estimators*, 2017.
# - W. Hoeffding, *A class of statistics with asymptotically normal distribution*, 1948: the variance of averages over pairs.
# - W. Kool, H. van Hoof, M. Welling, *Stochastic beams and where to find them*, 2019, and *Estimating gradients for discrete random variables by sampling without replacement*, 2020: sections 2 to 4.
# - R. Liu, J. Regier, N. Tripuraneni, M. I. Jordan, J. McAuliffe, *Rao-Blackwellized stochastic gradients for discrete distributions*, 2019: top-k.
# - C. Liang, M. Norouzi, J. Berant, Q. V. Le, N. Lao, *Memory augmented policy optimization for program synthesis and semantic parsing*, 2018: a part summed, the rest sampled.
# - M. Yin, M. Zhou, *ARM: augment-REINFORCE-merge gradient for stochastic binary networks*, 2019: section 5.
# - Z. Dong, A. Mnih, G. Tucker, *DisARM: an antithetic gradient estimator for binary latent variables*, 2020; M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou, *Probabilistic best subset selection via gradient-based
#   optimization*, 2020: the uniform integrated out.
# - Z. Dong, A. Mnih, G. Tucker, *Coupled gradient estimators for discrete latent variables*, 2021; A. Dimitriev, M. Zhou, *CARMS: categorical-antithetic-REINFORCE multi-sample gradient estimator*, 2021: section 6.
# - M. Titsias, J. Shi, *Double control variates for gradient estimation in discrete latent variable models*, 2022: section 7.
#
# Next: [13 The conditional discrete VAE](13_conditional_vae.ipynb), where prior and decoder see a context.

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
# ### 12.3 Implement: DisARM
#
# Write `my_disarm(logits, f, coupled)`: binary `logits` (B, N, 2), an antithetic pair of codes `coupled` (2, B, N); return the gradient in the logits (B, N, 2) of [Eq. 12.8].
# The formula is the gradient in $\phi = \ell_1 - \ell_0$: the entry of $\ell_1$ is that, the entry of $\ell_0$ its negative. `dvae_np.sigmoid(a)[0]` is the sigmoid.
# About 5 lines. On the setup's `binary`, `g` the variance is {{mean_and_variance(my_disarm, "coupled", 2, logits=binary, f=g)[1]:.2f}}.


# %% solution 12.3
def my_disarm(logits, f, coupled):
    """Half the difference of f, times the difference of the codes, times
    sigma(|phi|).
    """
    ### BEGIN SOLUTION
    fz, _ = f(coupled)  # (2, B)
    phi = logits[..., 1] - logits[..., 0]  # (B, N)
    weight = dvae_np.sigmoid(np.abs(phi))[0]
    dphi = (
        0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    )
    return np.stack([-dphi, dphi], -1)
    ### END SOLUTION


# %% check 12.3
from dvae_np.lesson import judge

judge("12.3", my_disarm)


# %% right 12.3
def my_disarm(logits, f, coupled):
    fz = f(coupled)[0]
    likelier = softmax(logits)[0].max(-1, keepdims=True)
    hot = np.eye(2)[coupled]  # (2, B, N, 2)
    return (fz[0] - fz[1])[:, None, None] / 2 * (hot[0] - hot[1]) * likelier


# %% wrong 12.3: sigma(phi) where sigma(|phi|) belongs
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    weight = dvae_np.sigmoid(logits[..., 1] - logits[..., 0])[0]
    dphi = (
        0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    )
    return np.stack([-dphi, dphi], -1)


# %% wrong 12.3: without the weight
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    dphi = 0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1])
    return np.stack([-dphi, dphi], -1)


# %% wrong 12.3: but for a factor 2
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    weight = dvae_np.sigmoid(np.abs(logits[..., 1] - logits[..., 0]))[0]
    dphi = (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    return np.stack([-dphi, dphi], -1)


# %% wrong 12.3: a flipped sign
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    weight = dvae_np.sigmoid(np.abs(logits[..., 1] - logits[..., 0]))[0]
    dphi = (
        0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    )
    return np.stack([dphi, -dphi], -1)


# %% wrong 12.3: leave-one-out for two independent samples: unbiased there, not for a pair
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    return (
        (fz - fz.mean(0))[..., None, None] * score(logits, coupled)
    ).sum(0)


# %% wrong 12.3: write it yourself
def my_disarm(logits, f, coupled):
    return dvae_np.disarm(logits, f, coupled).dlogits


# %% [markdown] exercise 12.4
# ### 12.4 Find the bug: a sample that stands for too little
#
# This sum-and-sample gives the last state the weight that the others have. Correct it: `distinct` are S different states (S, B, N), in the order drawn; return the
# gradient (B, N, K) of [Eq. 12.4]. One line is missing. With all nine states there is no difference; with three the gradient is too short, and off in direction. As it was:
#
# ```python
# fz, _ = f(distinct)  # (S, B)
# weight = np.exp(dvae_np.log_prob(logits, distinct)[0])  # (S, B)
# return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)
# ```


# %% solution 12.4
def summed_and_sampled(logits, f, distinct):
    """The first S - 1 states summed, the last one for all the rest."""
    fz, _ = f(distinct)  # (S, B)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])  # (S, B)
    ### BEGIN SOLUTION
    weight[-1] = 1 - weight[:-1].sum(0)
    ### END SOLUTION
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% check 12.4
from dvae_np.lesson import judge

judge("12.4", summed_and_sampled)


# %% right 12.4
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


# %% wrong 12.4: the last state stands for all the rest
def summed_and_sampled(logits, f, distinct):
    fz, _ = f(distinct)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% wrong 12.4: its chance is in the draw already
def summed_and_sampled(logits, f, distinct):
    fz, _ = f(distinct)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])
    weight[-1] = weight[-1] / (1 - weight[:-1].sum(0))
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% wrong 12.4: the rest is what lies outside the first S - 1
def summed_and_sampled(logits, f, distinct):
    fz, _ = f(distinct)
    weight = np.exp(dvae_np.log_prob(logits, distinct)[0])
    weight[-1] = 1 - weight.sum(0)
    return ((weight * fz)[..., None, None] * score(logits, distinct)).sum(0)


# %% wrong 12.4: write it yourself
def summed_and_sampled(logits, f, distinct):
    return dvae_np.sum_and_sample(logits, f, distinct).dlogits


# %% [markdown] exercise 12.5
# ### 12.5 Derive: what the uniform costs
#
# One binary latent, with $F_1 - F_0 = 1$ nat. Write `gained(p)`: the variance of ARM minus that of DisARM, of the gradient in $\phi$, a number. The means are equal, so the second
# moments suffice: with $m = \max(p, 1 - p)$ integrate $(e - \frac{1}{2})^2$ over the two ends where the codes differ, for DisARM $(m / 2)^2$. About 2 lines. At $p = 0.5$ you
# should get $1/48$, {{gained(0.5):.4f}}.


# %% solution 12.5
def gained(p):
    """Var[ARM] - Var[DisARM], in phi."""
    ### BEGIN SOLUTION
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2) ** 3) - 2 * (1 - m) * (m / 2) ** 2
    ### END SOLUTION


# %% check 12.5
from dvae_np.lesson import judge

judge("12.5", gained)


# %% right 12.5
def gained(p):
    # of this length are both ends, and e is uniform there: its variance is
    # lost
    end = min(p, 1 - p)
    return 2 * end * end**2 / 12


# %% wrong 12.5: there are two ends
def gained(p):
    m = max(p, 1 - p)
    return 1 / 3 * (1 / 8 - (m - 1 / 2) ** 3) - (1 - m) * (m / 2) ** 2


# %% wrong 12.5: subtract DisARM's
def gained(p):
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2) ** 3)


# %% wrong 12.5: m is the larger of p and 1 - p
def gained(p):
    return 2 / 3 * (1 / 8 - (p - 1 / 2) ** 3) - 2 * (1 - p) * (p / 2) ** 2
