# %% [markdown]
# # 12 Sum a part, sample the rest
#
# **Question.** REINFORCE draws every latent, and may draw the same state twice. Which part of this randomness can we replace by a
# sum, with evaluations of $f$ alone?
#
# **After this lesson you can**
# - average an estimator over a part of its own noise, and say by how much its variance falls,
# - compare estimators at equal work, not at equal numbers of samples,
# - draw states without replacement, and weigh them so that the mean stays right,
# - say when such a sum pays: few states, or a $q$ that is concentrated on few.
#
# *Needs:* lessons 05 and 06. *Takes:* 60 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
from itertools import permutations

import matplotlib.pyplot as plt
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
from dvae_np.lesson import confirm, picture, show

rng = np.random.default_rng(0)
# (B, N, K): one example, two latents of three categories, nine states
logits = rng.standard_normal((1, 2, 3))
table = 2 + rng.standard_normal((3, 3))  # f of each state, in nats
f = lookup_table(table)
q = softmax(logits)[0][0]  # (N, K)
exact = dvae_np.exact(logits, f).dlogits[0]  # (N, K)

# %% [markdown]
# With nine states every outcome of the noise can be listed with its probability: independent samples,
# or ordered draws without replacement. All variances below are exact.


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
# Try all $K$ categories of one latent, while the other latents stay as drawn. The latents are independent, so the expectation can be taken in two steps: over all latents but number $n$, and then over
# $z_n$. Write $F_{nk}$ for $f(z)$ with $z_n$ set to $k$. It depends on the other latents only:
#
# $$\mathbb{E}_q[f] = \mathbb{E}_{z_{-n}} \Bigl[ \sum_k q_{nk} F_{nk} \Bigr] .$$
#
# The logits $\ell_n$ are in $q_n$ alone, and not in the law of $z_{-n}$. So the gradient goes through the sum, by the softmax Jacobian $J$:
#
# $$\nabla_{\ell_n} \mathbb{E}_q[f] = \mathbb{E}_{z_{-n}} \bigl[ J(q_n) F_n \bigr], \qquad J(q_n) F_n = q_n \odot \bigl(F_n - \langle q_n, F_n \rangle\bigr) . \tag{12.1}$$
#
# This is the **local expectation gradient** (Titsias & Lázaro-Gredilla 2015; Tokui & Sato 2017).

# %%
z = np.array([[[2, 0]]])  # one draw, (S, B, N)
F = np.array([table[:, 0], table[2, :]])  # each latent tried everywhere
by_hand = q * (F - (q * F).sum(-1, keepdims=True))
library = dvae_np.local_expectation(logits, f, z).dlogits[0]
confirm("12.1", library, by_hand)
confirm("12.1", report("local_expectation", 1), exact)
report("reinforce", 1)

# REINFORCE's term f (onehot - q), averaged over the latent's own draw
conditional = [
    sum(q[n, k] * F[n, k] * (np.eye(3)[k] - q[n]) for k in range(3))
    for n in range(2)
]
confirm("12.1", by_hand, np.array(conditional))
show(dvae_np.local_expectation)

# %% [markdown]
# The last check says that this is REINFORCE with a part of its noise averaged out: the mean of $f\,(\mathrm{onehot}(z_n) - q_n)$ over $z_n$ is
# $\sum_k q_{nk} F_{nk} (\mathrm{onehot}(k) - q_n)$, with entry $q_{nj} F_{nj} - q_{nj} \sum_k q_{nk} F_{nk}$. The law of
# total variance says what this gains. With $g = f\,\mathrm{score}$,
#
# $$\mathrm{Var}[g_n] = \mathrm{Var}\bigl[\mathbb{E}[g_n \mid z_{-n}]\bigr] + \mathbb{E}\bigl[\mathrm{Var}[g_n \mid z_{-n}]\bigr] ,$$
#
# and the second term is gone. To replace an estimator by its conditional mean is called
# **Rao-Blackwellisation** (again in section 4 and lesson 13).
#
# At equal $S$ the variance is {{variances["reinforce", 1] / variances["local_expectation", 1]:.0f}} times smaller. But one draw takes $N K = 6$ evaluations of $f$, not one. At equal *work* it competes with six draws of REINFORCE, or of leave-one-out. By its definition [Eq. 6.5], leave-one-out is
# $\frac{1}{S (S - 1)} \sum_s \sum_{t \ne s} \bigl(f(z_s) - f(z_t)\bigr)\,\mathrm{score}(z_s)$. Put the terms of $(s, t)$ and of $(t, s)$ together. Then it is the mean, over all pairs of samples, of
# $\frac{1}{2} \bigl(f(z_s) - f(z_t)\bigr) \bigl(\mathrm{score}(z_s) - \mathrm{score}(z_t)\bigr)$.
#
# For such averages two numbers give the variance at every $S$ (Hoeffding 1948). The first, $\zeta_2$, is the variance of one pair's term. For the second, fix one sample, and average the pair's term over the other: $\zeta_1$ is the variance of this average.
# There are $S (S - 1) / 2$ pairs. Two pairs with one common sample have the covariance $\zeta_1$, and each pair has $2 (S - 2)$ such partners. Pairs without a common sample are independent. So
#
# $$\mathrm{Var} = \frac{2}{S (S - 1)} \bigl( 2 (S - 2)\, \zeta_1 + \zeta_2 \bigr) .$$
#
# The variances at $S = 2$ and $S = 3$ give both numbers.

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
# At equal work leave-one-out wins on this problem. (At twelve evaluations, too: two samples of the local expectation have {{variances["local_expectation", 1] / 2:.3f}}, leave-one-out
# {{leave_one_out(12):.3f}}.) What decides is how strongly one latent's effect on $f$ depends on the others. If $f$ is a sum of parts that
# see one latent each, $F_n$ changes from draw to draw by a constant, which $J(q_n)$ takes away: the local expectation has no variance at all. On the problem of lesson 13 it wins.
#
# ## 2 Drawing without replacement
#
# A state that has been evaluated tells nothing new when it is drawn again. So draw *different* states. The clocks of lesson 02 do it: give one to every joint state $s$. (From here on $s$ is a state, no longer the number of a sample.) The first to ring is $s$ with probability
# $q(s)$. Then the others race anew, so the second is $s'$ with probability $q(s') / (1 - q(s))$, and so on. *The order of ringing is a draw without replacement.*
#
# Early clocks have large $\log q(s) + G_s$, with $G_s$ Gumbel noise. So with $s_i$ the $i$-th state drawn,
#
# $$s_1, \ldots, s_S = \text{the } S \text{ largest of } \log q(s) + G_s, \qquad P(s_1, \ldots, s_S) = \prod_i \frac{q(s_i)}{1 - \sum_{j < i} q(s_j)} . \tag{12.2}$$
#
# This is the Gumbel-top-k trick (Kool, van Hoof & Welling 2019). [Eq. 12.2] does not show its price: *every* joint state needs its own noise. All $K^N$ states are perturbed, though only $S$ are evaluated. This
# is cheap for some thousands of states, and impossible for $10^{9}$.
#
# We confirm the law for three states on a lattice of $60^3$ uniforms, to the lattice's width.

# %%
axis = (np.arange(60) + 0.5) / 60
u = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)  # (60^3, K)
first = logits[:, :1]  # the first latent alone: three states
drawn = distinct(np.broadcast_to(first, (len(u), 1, 3)), u)[:2, :, 0]

perturbed = np.log(q[0]) - np.log(-np.log(u))  # log q + Gumbel noise
by_hand = np.argsort(-perturbed, axis=-1)[:, :2].T  # the two largest
assert (by_hand == drawn).all()

pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
frequency = [(drawn == [[a], [b]]).all(0).mean() for a, b in pairs]
law = [q[0, a] * q[0, b] / (1 - q[0, a]) for a, b in pairs]
confirm("12.2", frequency, law, tolerance=5e-3)
show(distinct)

# %% [markdown]
# ## 3 Sum what you have, sample the rest
#
# Draw the mass of $q$ as a bar, cut into the states. REINFORCE throws darts at the bar, and may hit a state twice. Instead, *sum* some states, each with its own weight. One dart, at what is left, stands for all the rest.

# %%
mass = np.sort(np.outer(q[0], q[1]).ravel())[::-1]  # nine states
left = np.cumsum(mass) - mass  # where each begins
rows = (  # name, states that are summed, where the darts hit
    ("plain sampling, S = 3", [], [0.06, 0.17, 0.6]),
    ("top-k: the two largest", [0, 1], [0.71]),
    ("sum and sample: the\nfirst two that were drawn", [0, 3], [0.8]),
)
fig, ax = plt.subplots(figsize=(7.5, 2.4), layout="constrained")
for y, (_, summed, darts) in enumerate(rows):
    for i in range(9):
        shade = "0.75" if i in summed else "white"
        ax.barh(-y, mass[i], 0.5, left[i], color=shade, edgecolor="black")
    ax.plot(darts, 0.32 - y + 0 * np.array(darts), "kv")
    for i in summed:
        middle = left[i] + mass[i] / 2
        ax.text(middle, -y, "sum", ha="center", va="center")
ax.set(yticks=[0, -1, -2], yticklabels=[name for name, *_ in rows])
ax.set(xlim=(0, 1.002), xlabel="probability, the states side by side")
ax.spines[["top", "right", "left"]].set_visible(False)
picture(
    fig,
    "Three bars of length one, cut into nine states. Plain sampling throws "
    "three darts, two at the same state. The other two bars have two "
    "grey states that are summed, and one dart at the rest.",
)

# %% [markdown]
# In formulas: split the exact sum of lesson 04 at any set of states $\mathcal{T} = \lbrace t_1, t_2, \ldots \rbrace$, with the mass $q(\mathcal{T}) = \sum_{s \in \mathcal{T}} q(s)$:
#
# $$\sum_s q f\,\mathrm{score} = \sum_{s \in \mathcal{T}} q f\,\mathrm{score} + \bigl(1 - q(\mathcal{T})\bigr) \sum_{s \notin \mathcal{T}} \frac{q(s)}{1 - q(\mathcal{T})} f(s)\,\mathrm{score}(s) .$$
#
# The last sum is an expectation under $q$ restricted to the rest. *One* draw $z'$ from there estimates it. If $\mathcal{T}$ holds the $k$ most
# probable states, this is **top-k** (Liu, Regier, Tripuraneni, Jordan & McAuliffe 2019):
#
# $$\sum_{\mathrm{top}\ k} q f\,\mathrm{score} + \Bigl(1 - \sum_{\mathrm{top}\ k} q\Bigr) f(z')\,\mathrm{score}(z') . \tag{12.3}$$
#
# If $\mathcal{T}$ holds the first $S - 1$ states drawn without replacement, it is **sum and sample** (a part summed and the rest sampled: Liang et al. 2018; the part drawn without replacement: Kool et al. 2020). Given the others, the last drawn state is
# a draw from $q$ restricted to the states not yet drawn:
#
# $$\sum_{i < S} q(s_i) f(s_i)\,\mathrm{score}(s_i) + \Bigl(1 - \sum_{i < S} q(s_i)\Bigr) f(s_S)\,\mathrm{score}(s_S) . \tag{12.4}$$
#
# In both, $z'$ is the first of the distinct states that lies outside the set. Why may it be taken? The clocks have no memory, and those outside the set do not depend on those inside. So the first of them to ring is $s$ with probability $q(s) / (1 - q(\mathcal{T}))$.

# %%
# one outcome, S = 3, by plain sums
states = np.array([[[0, 1]], [[2, 2]], [[1, 0]]])  # (S, B, N)
probability = np.array([q[0, a] * q[1, b] for a, b in states[:, 0]])
values = np.array([table[a, b] for a, b in states[:, 0]])
terms = values[:, None, None] * score(logits, states)[:, 0]  # (S, N, K)
weights = np.append(probability[:2], 1 - probability[:2].sum())
confirm(
    "12.4",
    dvae_np.sum_and_sample(logits, f, states).dlogits[0],
    np.tensordot(weights, terms, 1),
)
best = [divmod(m, 3) for m in np.argsort(-np.outer(q[0], q[1]).ravel())[:2]]
print(
    "the two most probable states:",
    [(int(a), int(b)) for a, b in best],
    "with mass",
    round(mass[:2].sum(), 4),
)
# the last one is the sample of the rest
kept = np.array([[[a, b]] for a, b in best] + [[[0, 0]]])
assert (0, 0) not in best
values = np.array([table[a, b] for a, b in kept[:, 0]])
terms = values[:, None, None] * score(logits, kept)[:, 0]
by_hand = np.tensordot([*mass[:2], 1 - mass[:2].sum()], terms, 1)
confirm("12.3", dvae_np.top_k(logits, f, kept[::-1]).dlogits[0], by_hand)

confirm("12.3", report("top_k", 3), exact)
confirm("12.4", report("sum_and_sample", 3), exact)
show(dvae_np.sum_and_sample)

# %% [markdown]
# ## 4 Forget the order
#
# `sum_and_sample` depends on the order of the states, which says nothing about $f$. So average over the order. This is the **unordered set estimator** of Kool, van Hoof & Welling (2020).
#
# Start from REINFORCE with the first of $S$ distinct states, $f(s_1)\,\mathrm{score}(s_1)$. Given the *set* $\mathcal{S}$, which state came first?
#
# $$P(s_1 = s \mid \mathcal{S}) = \frac{q(s)\,P(\mathcal{S} \setminus s \mid s\ \mathrm{removed})}{P(\mathcal{S})} = q(s)\,R(s) .$$
#
# The numerator says: first $s$, then the others, in any order, from the states without $s$. So the conditional mean is
# $\sum_s q(s) R(s) f(s)\,\mathrm{score}(s)$.
#
# A baseline is built in. For two members $s$ and $t$ of the set let
# $R_s(t) = P(\mathcal{S} \setminus \lbrace s, t \rbrace \mid s, t\ \mathrm{removed})\, /\, P(\mathcal{S} \setminus s \mid s\ \mathrm{removed})$, and $R_s(s) = 1$. The baseline of $s$ is
# $b_s = \sum_{t \in \mathcal{S}} q(t) R_s(t) f(t)$.
#
# Suppose $s$ came first. The others are then drawn without replacement from what is left, and $t$ came second with probability $q(t) R_s(t) / (1 - q(s))$, given the set. A second state has the law $q(t) / (1 - q(s))$. So averaged over
# the others, $b_s$ is $q(s) f(s) + \sum_{t \ne s} q(t) f(t) = \mathbb{E}_q[f]$, whatever $s$ is. Now average over the first state $s_1$ as well: $\mathbb{E}[b_{s_1}\,\mathrm{score}(s_1)] = \mathbb{E}_q[f]\,\mathbb{E}[\mathrm{score}(s_1)] = 0$. So we may subtract it:
#
# $$\sum_{s \in \mathcal{S}} q(s)\,R(s)\,\bigl(f(s) - b_s\bigr)\,\mathrm{score}(s) . \tag{12.5}$$
#
# For the probability of a set, sum over the member $i$ that came last. What the others left is the denominator:
#
# $$P(\mathcal{T}) = \sum_{i \in \mathcal{T}} P(\mathcal{T} \setminus i)\, \frac{q_i}{1 - \sum_{j \in \mathcal{T} \setminus i} q_j} . \tag{12.6}$$


# %%
def chance_of_set(p, total=1.0):
    """P(the set), all orders by Eq. 12.2; total: the mass of all states."""
    found = 0.0
    for order in permutations(p):
        left = total - np.cumsum(order) + order  # before each draw
        found += np.prod(order / left)
    return found


without = [np.delete(probability, s) for s in range(3)]
values = np.array([table[a, b] for a, b in states[:, 0]])
by_hand = 0.0
for s in range(3):
    after = chance_of_set(without[s], 1 - probability[s])
    baseline = probability[s] * values[s]
    for t in {0, 1, 2} - {s}:
        both = probability[s] + probability[t]
        third = chance_of_set(np.delete(probability, [s, t]), 1 - both)
        baseline += probability[t] * third / after * values[t]
    weight = probability[s] * after / chance_of_set(probability)
    scored = score(logits, states)[s, 0]
    by_hand = by_hand + weight * (values[s] - baseline) * scored
library = dvae_np.unordered_set(logits, f, states).dlogits[0]
confirm("12.5", library, by_hand)
show(dvae_np.unordered_set)

# %%
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
by_recursion = _set_probability(probability[:, None])  # Eq. 12.6
confirm("12.6", by_recursion, [chances[same].sum()])
confirm("12.6", by_recursion, [chance_of_set(probability)])
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
# The last line is a second proof: the average of `sum_and_sample` over the orders of one set is the same estimator. At three evaluations, the variance falls from {{variances["sum_and_sample", 3]:.2f}}
# to {{variances["unordered_set without baseline", 3]:.2f}} by forgetting the order, and to {{variances["unordered_set", 3]:.2f}} with the baseline. Leave-one-out has {{variances["reinforce_loo", 3]:.2f}} (section 1).
#
# ## 5 When it pays
#
# Compare all of them with plain draws, at equal numbers of evaluations. The table has three cases: three evaluations, five (of nine states), and three with the logits tripled. Then $q$ is concentrated: the two most probable states have {{sharp[:2].sum():.0%}} of the mass, before it was {{mass[:2].sum():.0%}}.

# %%
cases = ((logits, 3), (logits, 5), (3 * logits, 3))
plain = ["reinforce", "reinforce_loo"]
exactly = {}  # name: its exact variance in each case
print(f"{'':14}  3 of 9  5 of 9  3 of 9, concentrated q")
for name in (*plain, "top_k", "sum_and_sample", "unordered_set"):
    row = TABLE[name]
    exactly[name] = [
        mean_and_variance(row.estimate, row.noise[0], S, logits=each)[1]
        for each, S in cases
    ]
    print(f"{name:14}", *(f"{v:7.3f}" for v in exactly[name]))
sharp = softmax(3 * logits)[0][0]
sharp = np.sort(np.outer(sharp[0], sharp[1]).ravel())[::-1]

# %% [markdown]
# In the first column top-k and sum-and-sample are *worse* than REINFORCE: {{exactly["top_k"][0]:.2f}} and {{exactly["sum_and_sample"][0]:.2f}} against {{exactly["reinforce"][0]:.2f}}. Their one draw stands for most of the mass, where REINFORCE averages three draws.
# If the sum takes in most of the mass, because the states are few or $q$ is concentrated, a single draw for the rest does little harm. At five evaluations top-k ({{exactly["top_k"][1]:.2f}}) beats REINFORCE ({{exactly["reinforce"][1]:.2f}}), but not leave-one-out ({{exactly["reinforce_loo"][1]:.2f}}). With the concentrated $q$ it beats both: {{exactly["top_k"][2]:.2f}} against {{exactly["reinforce"][2]:.2f}} and {{exactly["reinforce_loo"][2]:.2f}}; sum-and-sample has {{exactly["sum_and_sample"][2]:.2f}}. The unordered set is best in every column.
#
# ## 6 Break it
#
# Draw states without replacement, but weigh each by $1 / S$, as if they had been drawn independently. It looks harmless, as every
# state is drawn from $q$, at least at first. Enumeration shows the bias:


# %%
def as_if_independent(logits, f, distinct):
    """A bug: distinct states, weighed like independent ones."""
    fz, _ = f(distinct)
    return (fz[..., None, None] * score(logits, distinct)).mean(0)


for S in (1, 2, 3):
    mean, _ = mean_and_variance(as_if_independent, "distinct", S)
    print(f"S = {S}: {from_mean(mean, exact)}")

# %% [markdown]
# With one state nothing is wrong. With more, probable states come too seldom: a state that has been drawn cannot be drawn again.

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

# %% [markdown] exercise 12.1: 3 points
# ## 12.1 Implement: the local expectation gradient
#
# Write `my_local(logits, f, z)`, where `logits` is (B, N, K) and the codes `z` are (S, B, N). Return [Eq. 12.1] averaged over the samples, (B, N, K). Loop over latents and categories: set
# `z[..., n]` of a copy to `k` and call `f`. It returns `fz` (S, B) and a backward pass that you do not need. `softmax(logits)[0]` is `q`. About 8 lines. On the setup's
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


# %% wrong 12.1: a sum where a mean is due
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


# %% [markdown] exercise 12.2: 1 point
# ## 12.2 Derive: the probability of a set of two
#
# Two states are drawn without replacement. Two given states have the probabilities `a` and `b`. Write `set_of_two(a, b)`: the probability that just these two are drawn, in any order. A number,
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


# %% [markdown] exercise 12.3: 1 point
# ## 12.3 Find the bug: a sample that stands for too little
#
# This sum-and-sample gives the last state its own probability as its weight, like the others. Correct it. `distinct` are S different states (S, B, N), in the order drawn. Return the
# gradient (B, N, K) of [Eq. 12.4]. One line is missing. With all nine states there is no difference. With three the gradient is too short, and off in direction. As it was:
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


# %% [markdown] exercise 12.4: 2 points
# ## 12.4 Derive: how many different states
#
# Drawing without replacement pays if independent draws would hit the same states again. So count: S codes are drawn independently, and `q` (M,) are the probabilities of the M joint states (not the setup's `q`, which is (N, K)). Write `different(q, S)`: the expected number of *different* states among them, a number.
# Look at one state at a time: how probable is it that it is drawn at all? One line. For the lesson's nine states you should get {{different(np.outer(q[0], q[1]).ravel(), 3):.3f}} at $S = 3$ and {{different(np.outer(q[0], q[1]).ravel(), 20):.3f}} at $S = 20$.
# For a million equally probable states and $S = 20$ it is {{different(np.full(10**6, 1e-6), 20):.4f}}: there is nothing to gain.


# %% solution 12.4
def different(q, S):
    """The expected number of different states in S independent draws."""
    ### BEGIN SOLUTION
    return (1 - (1 - q) ** S).sum()
    ### END SOLUTION


# %% check 12.4
from dvae_np.lesson import judge

judge("12.4", different)


# %% right 12.4
def different(q, S):
    # all states, less those that no draw has hit
    return len(q) - sum(np.exp(S * np.log1p(-each)) for each in q)


# %% right 12.4
def different(q, S):
    found, unseen = 0.0, np.ones_like(q)  # unseen: the chance so far
    for _ in range(S):
        found = found + (q * unseen).sum()  # this draw finds a new one
        unseen = unseen * (1 - q)
    return found


# %% wrong 12.4: take it off the number of all
def different(q, S):
    return ((1 - q) ** S).sum()


# %% wrong 12.4: a state may be drawn twice
def different(q, S):
    return (S * q).sum()


# %% wrong 12.4: one hit is enough
def different(q, S):
    return (1 - q**S).sum()


# %% wrong 12.4: each state has its own probability
def different(q, S):
    return len(q) * (1 - (1 - 1 / len(q)) ** S)


# %% [markdown] written 12.W: 3 points
# ## 12.W In words: may the rest be dropped?
#
# A student takes top-k [Eq. 12.3] without its last term: the most probable states $\mathcal{T}$ are summed, and nothing is drawn. *The other states have a
# hundredth of the mass, so the error is about a hundredth.*
#
# (a) What is the bias? A constant $C$ is added to $f$. How does the bias change, and how does the exact gradient change?
#
# (b) Take one latent with $q = (0.9, 0.09, 0.01)$ and $f = (1, 3, 2)$. $\mathcal{T}$ holds the first two categories. Compute the exact gradient and the bias.
# How long is the bias, relative to the exact gradient, for $f$ and for $f + 100$? Is the student right?
#
# (c) Change the student's sum so that a constant in $f$ no longer matters, without a further evaluation of $f$. Is it unbiased now? Half a page in all.

# %% [markdown] model 12.W
# (a) The exact gradient is the sum over all states. So the bias is $-\sum_{s \notin \mathcal{T}} q(s) f(s)\, \mathrm{score}(s)$. With $f + C$ it changes by
# $-C \sum_{s \notin \mathcal{T}} q(s)\, \mathrm{score}(s)$, in proportion to $C$. The exact gradient does not change, as $\mathbb{E}[\mathrm{score}] = 0$.
#
# (b) The mean of $f$ is $1.19$, so the exact gradient $q \odot (f - 1.19)$ is $(-0.171, 0.163, 0.008)$, of length $0.236$. The score of the third category is
# $(-0.9, -0.09, 0.99)$. The bias is $-0.01 \cdot 2$ times it, $(0.018, 0.002, -0.020)$, of length $0.027$: $11\,\%$ of the gradient. For $f + 100$ it is
# $-0.01 \cdot 102$ times the score, of length $1.37$, nearly six times the gradient. The student is wrong. The mass says how often a state is drawn, but its
# $f$ and its long score decide what it contributes.
#
# (c) Subtract a baseline that is made of what was evaluated: $b = \sum_{s \in \mathcal{T}} q(s) f(s) / q(\mathcal{T})$, and sum
# $q(s) \bigl(f(s) - b\bigr)\, \mathrm{score}(s)$ over $\mathcal{T}$. A constant in $f$ is in $b$ as well, and cancels. It is still biased: the rest has
# $q(s) \bigl(f(s) - b\bigr)\, \mathrm{score}(s)$, which is missing. (In the example a bias of $5\,\%$ is left, the same for $f$ and for $f + 100$.) Only a
# draw from the rest makes it unbiased.
#
# *Marks:* 1 for the bias and its change in (a); 1 for the numbers in (b) and the verdict; 1 for a baseline in (c), and that a bias remains.
