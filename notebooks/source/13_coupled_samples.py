# %% [markdown]
# # 13 Samples that know each other
#
# **Question.** REINFORCE draws its samples independently. What is gained if one sample is made to differ from
# the next?
#
# **After this lesson you can**
# - derive ARM from one substitution, and DisARM from one conditional mean,
# - couple more than two samples of more than two categories, and weigh their pairs so that the mean stays right (CARMS),
# - use a slope of $f$ as a second control variate,
# - choose among eleven estimators by their exact variance for the same number of evaluations of $f$.
#
# *Needs:* lessons 06 and 12 (section 3: 11). *Takes:* 75 minutes to read and run, 65 minutes for the exercises. Everything is in nats.

# %% setup
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    TABLE,
    coupled_codes,
    one_hot,
    pair_probability,
    score,
    softmax,
)
from dvae_np.check import (
    every_code,
    every_coupled,
    from_mean,
    lookup_table,
    moments,
    polynomial,
    threshold_nodes,
    tiled,
)
from dvae_np.lesson import confirm, figure, picture, show

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
# Every outcome of the noise can again be listed: independent samples, coupled samples, or the few intervals of a uniform between the points where a binary code jumps. All variances are exact.


# %% setup
OUTCOMES = {
    "z": every_code,
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
# ## 1 Binary latents: ARM
#
# Two samples that agree tell nothing about which category is better. So draw pairs that often differ.
#
# Let $K = 2$. One uniform $e$ makes a latent's code, $z = [e < p]$, with $p = \sigma(\phi)$ and $\phi = \ell_1 - \ell_0$. The number $1 - e$ is uniform too, and makes a second code of the same law, the *antithetic* one, $z' = [1 - e < p] = [e > 1 - p]$. The picture shows the pair for every $e$, grey where the codes differ.

# %%
fig, axes = plt.subplots(2, 1, figsize=(7.5, 2.3), layout="constrained")
for ax, p in zip(axes, (0.3, 0.6), strict=True):
    ends = [0, min(p, 1 - p), max(p, 1 - p), 1]
    for i in range(3):
        low, high = ends[i : i + 2]
        e = (low + high) / 2
        first, twin = int(e < p), int(e > 1 - p)
        shade = "white" if first == twin else "0.8"
        ax.barh(0, high - low, 1, low, color=shade, edgecolor="black")
        ax.text(e, 0, f"z = {first}, z' = {twin}", ha="center", va="center")
    ax.set(xlim=(0, 1.002), ylim=(-0.5, 0.5), yticks=[])
    ax.set_xticks([0, p, 1 - p, 1], ["0", "p", "1 − p", "1"])
    ax.set_ylabel(f"p = {p}", rotation=0, ha="right", va="center")
axes[1].set_xlabel("e")
picture(
    fig,
    "The unit interval of e, cut at p and 1 - p, for p = 0.3 and 0.6. At "
    "both ends the two codes differ; between them they are equal.",
)

# %% [markdown]
# **ARM** starts from an odd estimator. Multiply $f(z)$ not by the score, but by $1 - 2 e$. Write $F_0, F_1$ for $f$ at the two values of this latent, given the others. Then
#
# $$\int_0^1 f\,(1 - 2e)\,de = F_1 \int_0^p (1 - 2e)\,de + F_0 \int_p^1 (1 - 2e)\,de = (F_1 - F_0)\,p (1 - p) ,$$
#
# as the first integral is $p - p^2$ and the two add up to 0. And $p(1 - p)(F_1 - F_0)$ is the derivative of $p F_1 + (1 - p) F_0$ in $\phi$. So the estimator is
# unbiased. Now substitute $1 - e$ for $e$: the code becomes $z'$ and the factor $2e - 1$. This is unbiased too, and so is the mean of both (Yin & Zhou 2019):
#
# $$\bigl(f([e > 1 - p]) - f([e < p])\bigr) \bigl(e - \tfrac{1}{2}\bigr) . \tag{13.1}$$
#
# A constant in $f$ cancels. But once the codes are known, the uniform is only noise. Average it out, as in lesson 12. Given both codes,
# what is the mean of $e - \frac{1}{2}$? Read it off the picture, with $m = \max(p, 1 - p) = \sigma(\lvert \phi \rvert)$:
#
# - $z = 1, z' = 0$: $e < 1 - m$, and the mean is $\frac{1 - m}{2} - \frac{1}{2} = -\frac{m}{2}$;
# - $z = 0, z' = 1$: $e > m$, and the mean is $\frac{1 + m}{2} - \frac{1}{2} = \frac{m}{2}$;
# - equal codes: $e$ lies between, evenly about $\frac{1}{2}$, and the mean is 0.
#
# In one formula it is $(z' - z)\,m / 2$. Put this in the place of $e - \frac{1}{2}$, and ARM becomes **DisARM** (Dong, Mnih & Tucker 2020; found at the same time by Yin et al. 2020):
#
# $$\tfrac{1}{2} \bigl(f(z) - f(z')\bigr)(z - z')\,\sigma(\lvert \phi \rvert) . \tag{13.2}$$

# %%
e, weights = threshold_nodes(binary)  # (1, T, N), (T,)
p = softmax(binary)[0][0, :, 1]  # (N,)
z, twin = (e < p).astype(int), (e > 1 - p).astype(int)
# the gradient in phi, (T, N)
by_hand = (g(twin)[0] - g(z)[0])[0][:, None] * (e[0] - 0.5)
arm = dvae_np.arm(tiled(binary, len(weights)), g, e).dlogits  # (T, N, 2)
confirm("13.1", arm[..., 1], by_hand)
confirm("13.1", report("arm", 1, logits=binary, f=g), binary_exact)

pair = np.array([[[1, 0, 1]], [[0, 1, 0]]])  # (S, B, N)
phi = binary[0, :, 1] - binary[0, :, 0]
fz = g(pair)[0][:, 0]
by_hand = 0.5 * (fz[0] - fz[1]) * (pair[0] - pair[1])[0]
by_hand = by_hand / (1 + np.exp(-abs(phi)))
disarm = dvae_np.disarm(binary, g, pair).dlogits[0]  # (N, 2)
confirm("13.2", disarm[:, 1], by_hand)
confirm("13.2", report("disarm", 2, logits=binary, f=g), binary_exact)

# DisARM is the mean of ARM over all uniforms that give this pair
same = (z[0] == [1, 0, 1]).all(-1) & (twin[0] == 1 - z[0]).all(-1)
average = np.tensordot(weights[same] / weights[same].sum(), arm[same], 1)
confirm("13.2", disarm, average)
show(dvae_np.arm, dvae_np.disarm)

# %% [markdown]
# ## 2 More than two samples, more than two categories
#
# Uniforms that know each other, like $e$ and $1 - e$, are a *copula*. Dong, Mnih & Tucker (2021) carried DisARM to more categories, Dimitriev & Zhou (2021), whom we follow, to more samples.
#
# How can $S$ uniforms avoid each other? Let them share one unit of length. Take a point $d$ evenly from the simplex ($d_i \ge 0$, $\sum d_i = 1$): if one $d_i$ is large, the others are small.
# The part of the simplex where $d_i \ge r$ and $d_j \ge t$ is a copy of the whole, smaller by the factor $1 - r - t$ in each of its $S - 1$ dimensions. So
# $P(d_i \ge r, d_j \ge t) = \max(0, 1 - r - t)^{S-1}$. With $t = 0$, $P(d_i \ge r) = (1 - r)^{S-1}$, hence
#
# $$u_i = (1 - d_i)^{S-1} \ \text{is uniform:} \quad P(u_i \le a) = P\bigl(d_i \ge 1 - a^{1/(S-1)}\bigr) = a, \tag{13.3}$$
#
# and with $r = 1 - a^{1/(S-1)}$ and $t = 1 - b^{1/(S-1)}$ the law of a pair is
#
# $$P(u_i \le a, u_j \le b) = \max\bigl(0,\ a^{1/(S-1)} + b^{1/(S-1)} - 1\bigr)^{S-1} . \tag{13.4}$$
#
# At $S = 2$ it is the pair $u, 1 - u$. (Exponential variables, divided by their sum, are a point of the simplex.)


# %%
def my_copula(S, T):
    """T draws of S coupled uniforms, (S, T)."""
    d = -np.log(rng.random((S, T)))
    return (1 - d / d.sum(0)) ** (S - 1)


three = my_copula(3, 300)
shown = (
    ("independent", rng.random((2, 300))),
    ("S = 2: u and 1 − u", my_copula(2, 300)),
    ("two of S = 3", three[:2]),
)
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.8), layout="constrained")
for ax, (name, (first, second)) in zip(axes, shown, strict=True):
    ax.plot(first, second, "k.", markersize=3)
    ax.set(title=name, xlabel="$u_1$", xticks=[0, 1], yticks=[0, 1])
    ax.set_aspect("equal")
axes[0].set_ylabel("$u_2$")
picture(
    fig,
    "Pairs of uniforms. Independent ones fill the square, antithetic ones "
    "lie on its falling diagonal, two of three coupled ones lie above a "
    "falling curve: they are never both small.",
)

# %% [markdown]
# Lay the categories side by side on $[0, 1]$, each as wide as its $q$. The code is the category in which $u$ falls. $P(z_i, z_j)$ is the mass of the rectangle of both
# categories' intervals: [Eq. 13.4] at its upper corner, minus two, plus one. It is averaged over random orders of the categories, for in a
# fixed order some pairs could never meet.

# %%
noise = rng.random((4, 300, 1))  # S = 3, and one for the order
noise[-1] = 0.0  # the order 0, 2, 1
d = -np.log(noise[:3, :, 0])
u = (1 - d / d.sum(0)) ** 2
order = np.array([0, 2, 1])
by_hand = order[np.searchsorted(np.cumsum(q[0][order])[:2], u)]
tiles = np.broadcast_to(logits[:, :1], (300, 1, 3))
assert (by_hand == coupled_codes(tiles, noise)[..., 0]).all()


def below(a, b):
    """Eq. 13.4 at S = 3."""
    return max(0.0, a**0.5 + b**0.5 - 1) ** 2


by_hand = np.zeros((3, 3))  # P(z_1, z_2)
for order in permutations(range(3)):
    high = np.cumsum(q[0][list(order)]).clip(0, 1)
    low = np.append(0, high[:-1])
    for i, k in enumerate(order):
        for j, m in enumerate(order):
            by_hand[k, m] += (
                below(high[i], high[j])
                - below(high[i], low[j])
                - below(low[i], high[j])
                + below(low[i], low[j])
            ) / 6
# both codes of a pair; the third sample's code does not matter
at = np.array(list(np.ndindex(3, 3)))
codes = np.concatenate([at, at[:, :1]], 1).T[..., None]  # (3, 9, 1)
pairs = pair_probability(np.broadcast_to(q[:1], (9, 1, 3)), codes)[
    0, 1, :, 0
].reshape(3, 3)
confirm("13.4", pairs, by_hand)
show(coupled_codes, pair_probability)

# %% [markdown]
# Two more checks: on a lattice of $40^3$ uniforms each code has the law $q$, and the law of triples (eight corners of a box each) gives the same pairs.

# %%
axis = (np.arange(40) + 0.5) / 40
# S + 1 = 3 uniforms for each of 40^3
noise = np.stack(np.meshgrid(axis, axis, axis), 0).reshape(3, -1, 1)
# (S, 40^3)
codes = coupled_codes(np.broadcast_to(logits[:, :1], (40**3, 1, 3)), noise)[
    ..., 0
]
confirm(
    "13.3",
    [[(codes[i] == k).mean() for k in range(3)] for i in range(2)],
    [q[0], q[0]],
    tolerance=1e-2,
)

z, weights = every_coupled(logits[:, :1], 3)  # (3, T, 1), (T,)
law = np.array(
    [
        [
            weights[(z[0, :, 0] == a) & (z[1, :, 0] == b)].sum()
            for b in range(3)
        ]
        for a in range(3)
    ]
)
confirm("13.4", pairs, law)
print(
    "P(z_1, z_2), coupled:     ",
    np.round(np.diag(pairs), 3),
    "on the diagonal",
)
print("P(z_1) P(z_2), independent:", np.round(q[0] ** 2, 3))

# %% [markdown]
# Coupled samples agree less often, as was wanted. In pairs, leave-one-out [Eq. 6.5] is the mean of $\frac{1}{2} (f_i - f_j)(z_i - z_j)$, with
# $z$ one-hot. For independent samples one latent has
#
# $$\sum_{k, k'} q_k q_{k'}\, (F_k - F_{k'})(\mathrm{onehot}(k) - \mathrm{onehot}(k')) = 2 J(q) F .$$
#
# But coupled samples meet the pair $k, k'$ with probability $P(k, k')$ in place of $q_k q_{k'}$. So weigh each pair by $q_k q_{k'} / P(k, k')$, latent by latent. ($F_k$ is the mean of $f$ if this latent is $k$
# and the others are drawn from $q$, as they are in each sample.) This is **CARMS**:
#
# $$\frac{1}{S (S - 1)} \sum_{i < j} (f_i - f_j)(z_i - z_j)\, \frac{q(z_i) q(z_j)}{P(z_i, z_j)} . \tag{13.5}$$


# %%
def pairwise(logits, f, z, weighted=True):
    """Eq. 13.5, pair by pair; unweighted: leave-one-out as it stands."""
    S, q = len(z), softmax(logits)[0]
    fz, hot = f(z)[0], one_hot(z, q.shape[-1], q.dtype)
    drawn, pair = (hot * q).sum(-1), pair_probability(q, z)
    total = np.zeros(logits.shape)
    for i in range(S):
        for j in range(i):
            differ = z[i] != z[j]  # (B, N)
            weight = drawn[i] * drawn[j] / np.where(differ, pair[i, j], 1)
            signal = (fz[i] - fz[j])[:, None] * (weight if weighted else 1)
            total += signal[..., None] * (hot[i] - hot[j])
    return total / (S * (S - 1))


z, weights = every_coupled(logits, 3)
many = tiled(logits, len(weights))
by_hand = pairwise(many, f, z)
confirm("13.5", dvae_np.carms(many, f, z).dlogits, by_hand)
for S in (2, 3):
    confirm("13.5", report("carms", S), exact)
    report("reinforce_loo", S)
mean, _ = mean_and_variance(pairwise, "coupled", 3, weighted=False)
print(f"without the weight: {from_mean(mean, exact)}")

z, weights = every_coupled(binary, 2)
confirm(
    "13.5",
    dvae_np.carms(tiled(binary, len(weights)), g, z).dlogits,
    dvae_np.disarm(tiled(binary, len(weights)), g, z).dlogits,
)
show(dvae_np.carms)

# %% [markdown]
# The last check says that at $S = 2$ and $K = 2$ CARMS *is* DisARM, outcome by outcome.
#
# ## 3 A slope as a second control variate
#
# If $f$ has a gradient $f'$ at one-hot codes, leave-one-out can use it: the **double control variate** of Titsias & Shi (2022). Let $\bar f'_{-s}$ be the mean slope of the *other* samples. Correct $f_s$ by their tangent,
# $\alpha \langle \bar f'_{-s}, z_s - q \rangle$, with a weight $\alpha$. What does this add to the mean? The others are independent of sample $s$, and $\mathbb{E}[z_s - q] = 0$, so
#
# $$\mathbb{E}\bigl[\langle \bar f'_{-s}, z_s - q \rangle (z_s - q)\bigr] = \mathbb{E}\bigl[(z_s - q)(z_s - q)^{\top}\bigr]\,\mathbb{E}[f'] = J(q)\,\mathbb{E}[f'] ,$$
#
# for $J(q) = \mathrm{diag}(q) - q q^{\top}$ is the covariance of a one-hot code. So the corrections add $\alpha\, J(q)\,\mathbb{E}[f']$ in all. Subtract it again, with the mean slope $\bar f'$ of all samples:
#
# $$\frac{1}{S - 1} \sum_s (v_s - \bar v)(z_s - q) - \alpha\, J(q)\, \bar f' , \qquad v_s = f_s + \alpha\, \langle \bar f'_{-s}, z_s - q \rangle . \tag{13.6}$$
#
# The authors have it for binary latents and two samples; it holds for any $K$ and $S$. For affine $f$ and $\alpha = -1$ all $v_s$ are equal, and the last term is the exact gradient. In general $\alpha$ is learned: `domega` is the gradient of the squared
# estimate, and its mean is the variance's gradient (lesson 11).

# %%
pair = one_hot(np.array([[[1, 0, 1]], [[0, 0, 1]]]), 2, float)  # one-hot
values, g_backward = g(pair)
slopes = g_backward(np.ones_like(values))[0]  # f'_1 and f'_2, (2, B, N, K)
p, alpha = softmax(binary)[0], -0.5
away = pair - p
first = values[0, 0] + alpha * (slopes[1] * away[0]).sum()  # v_1
second = values[1, 0] + alpha * (slopes[0] * away[1]).sum()  # v_2
middle = slopes.mean(0)
taken = p * (middle - (p * middle).sum(-1, keepdims=True))  # J(q) middle
by_hand = 0.5 * (first - second) * (pair[0] - pair[1]) - alpha * taken
library = dvae_np.double_cv(
    binary, g, pair.argmax(-1), omega={"alpha": np.array(alpha)}
)
confirm("13.6", library.dlogits, by_hand)
for alpha in (0.0, -0.5, -1.0):
    confirm(
        "13.6",
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
show(dvae_np.double_cv)

# %% [markdown]
# ### A mean of zero by construction: RODEO
#
# The last control variate needed a computation of its mean. Is there a control variate whose mean is zero, whatever function it is made of? Yes. Take any function $h$ of the codes. Redraw one latent from its $q$, and leave the others: the law of all codes stays $q$, so the mean of $h$ stays. Write $z^{n \to k}$ for the codes $z$ with latent $n$ set to $k$. Then
#
# $$(A h)(z) = \frac{1}{N} \sum_n \Bigl[\sum_k q_{nk}\, h(z^{n \to k}) - h(z)\Bigr], \qquad \mathbb{E}_q[A h] = 0 . \tag{13.7}$$
#
# $A$ is called a *Stein operator*. **RODEO** (Shi et al. 2022) uses it twice. $A h$ goes into the baselines, and $A$ of the function $h \cdot \mathrm{score}$, which has an entry for each logit, is added to the estimate:
#
# $$\frac{1}{S} \sum_s \Bigl[\Bigl(f_s - \frac{1}{S-1} \sum_{t \ne s} \bigl(f_t + \alpha\, (A h_t)(z_t)\bigr)\Bigr)\, \mathrm{score}(z_s) + \beta\, \bigl(A\, [h_s\, \mathrm{score}]\bigr)(z_s)\Bigr] . \tag{13.8}$$
#
# Both additions have mean zero if $h_s$ does not see sample $s$: average over $z_s$ first, in the baselines over $z_t$. So let $h_s$ be made of the others: the mean of their tangents, $h_s(y) = \frac{1}{S-1} \sum_{t \ne s} \langle f'_t, y - z_t \rangle$. It is linear, so $A$ costs sums over its slope, and no evaluation of $f$. (The authors learn a network of the tangents. The package has their mean alone, with two weights that are learned. If $h_s$ were $f$ less the baseline of sample $s$, with $N = 1$, $\alpha = 0$ and $\beta = 1$, nothing would be left to chance.) The operator redraws one latent from its own $q$, so the latents must be independent.


# %%
def stein(h, z):
    """(A h)(z), for h of codes (N,), its value a number or an array."""
    N, K = p.shape[1:]
    total = -N * h(z)
    for n in range(N):
        for k in range(K):
            moved = z.copy()
            moved[n] = k
            total = total + p[0, n, k] * h(moved)
    return total / N


h_table = rng.standard_normal((2, 2, 2))
every, chance = every_code(binary, 1)  # (1, 8, 3), (8,)
redrawn = [stein(lambda z: h_table[tuple(z)], z) for z in every[0]]
here = [h_table[tuple(z)] for z in every[0]]
confirm("13.7", chance @ np.add(redrawn, here), chance @ here)

z = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]])  # S = 3 codes
hot = one_hot(z, 2, float)
values, g_backward = g(hot[:, None])
values, slopes = values[:, 0], g_backward(np.ones((3, 1)))[0][:, 0]
score_at = lambda codes: np.eye(2)[codes] - p[0]
alpha, beta, by_hand, inside = 0.4, 0.7, 0.0, []


def surrogate(s):
    """h_s, from the other samples' tangents."""
    others = [t for t in range(3) if t != s]
    return lambda codes: np.mean(
        [(slopes[t] * (np.eye(2)[codes] - hot[t])).sum() for t in others]
    )


corrected = values + [alpha * stein(surrogate(t), z[t]) for t in range(3)]
for s in range(3):
    h, baseline = surrogate(s), np.delete(corrected, s).mean()
    extra = stein(lambda y, h=h: h(y) * score_at(y), z[s])
    by_hand += (values[s] - baseline) * score_at(z[s]) / 3
    by_hand += beta * extra / 3
weights = {"alpha": np.array(alpha), "beta": np.array(beta)}
library = dvae_np.rodeo(binary, g, z[:, None], omega=weights)
confirm("13.8", library.dlogits[0], by_hand)
confirm(
    "13.8",
    report("rodeo", 3, logits=binary, f=g, omega=weights),
    binary_exact,
)
show(dvae_np.rodeo)

# %% [markdown]
# ## 4 What the same work buys
#
# Three other binary latents, and a cubic $f$ with smaller weights: eight states, and every variance is exact. Each column shows what the same number of evaluations of $f$ buys. (ARM and DisARM stand a little to the left of 2, where they would cover others.)

# %%
figure("variance_evaluations.png")

# %%
from dvae_np.figures.lesson_13 import DRAWN, curve, exact_variance, problem

bought = {name: curve(name) for name in DRAWN}


def leave_one_out(S, two, three):
    """Its exact variance at S samples, from those at two and at three
    (lesson 12, section 1).
    """
    zeta_1, zeta_2 = (3 * three - two) / 2, two
    return 2 / (S * (S - 1)) * (2 * (S - 2) * zeta_1 + zeta_2)


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
# At two evaluations leave-one-out has {{bought["reinforce_loo"][2]:.2f}}, DisARM and CARMS {{bought["disarm"][2]:.2f}} (they are equal). With slopes the double control variate has {{bought["double_cv"][2]:.2f}} and RODEO {{bought["rodeo"][2]:.2f}}; at four evaluations {{bought["double_cv"][4]:.3f}} and {{bought["rodeo"][4]:.3f}}. But their weights are chosen by this
# very variance, and a gradient of $f$ for each sample comes on top. At four, leave-one-out has {{bought["reinforce_loo"][4]:.2f}}, CARMS {{bought["carms"][4]:.2f}} and the unordered set {{bought["unordered_set"][4]:.2f}}. The curves
# *without replacement* bend down: they must reach zero at eight, where nothing is left to chance. The local expectation, at six evaluations, has {{bought["local_expectation"][6]:.3f}}. Leave-one-out would have
# {{leave_one_out(6, bought["reinforce_loo"][2], bought["reinforce_loo"][3]):.3f}} there, by the formula of lesson 12, section 1.
#
# Two warnings. Sum and sample has no baseline: at two evaluations it is worse ({{bought["sum_and_sample"][2]:.2f}}) than the plain mean of two independent draws ({{bought["reinforce"][2]:.2f}}). And the ranking at few
# evaluations belongs to this problem. With weights of size $1.5$ leave-one-out at two samples has {{larger[1.5][1]:.1f}}, more than the {{larger[1.5][0]:.1f}} without a baseline. And eight states are few: among a
# million, hardly one is drawn twice, and drawing without replacement gains little.
#
# ## 5 Break it
#
# The weight $q q / P$ is large for an improbable pair. To clip $P$ from below looks harmless. But it is a bias, and enumeration says how large:


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
    print(f"P at least {least}: variance {variance:.4f}")
    print(f"    {from_mean(mean, skewed_exact)}")

# %% [markdown]
# ## Reading
#
# - M. Yin, M. Zhou, *ARM: augment-REINFORCE-merge gradient for stochastic binary networks*, 2019: section 1 of this lesson.
# - Z. Dong, A. Mnih, G. Tucker, *DisARM: an antithetic gradient estimator for binary latent variables*, 2020; M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou, *Probabilistic best subset selection via gradient-based
#   optimization*, 2020: the uniform integrated out.
# - Z. Dong, A. Mnih, G. Tucker, *Coupled gradient estimators for discrete latent variables*, 2021; A. Dimitriev, M. Zhou, *CARMS: categorical-antithetic-REINFORCE multi-sample gradient estimator*, 2021: section 2.
# - M. Titsias, J. Shi, *Double control variates for gradient estimation in discrete latent variable models*, 2022: section 3.
#
# Next: [14 Which estimator when](14_which_estimator_when.ipynb)

# %% [markdown] exercise 13.1: 3 points
# ## 13.1 Implement: DisARM
#
# Write `my_disarm(logits, f, coupled)`. Its inputs are binary `logits` (B, N, 2) and an antithetic pair of codes `coupled` (2, B, N). Return the gradient in the logits (B, N, 2) of [Eq. 13.2].
# The formula is the gradient in $\phi = \ell_1 - \ell_0$. This is the entry of $\ell_1$, and the entry of $\ell_0$ is its negative. `dvae_np.sigmoid(a)[0]` is the sigmoid.
# About 5 lines. On the setup's `binary`, `g` the variance is {{mean_and_variance(my_disarm, "coupled", 2, logits=binary, f=g)[1]:.2f}}.


# %% solution 13.1
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


# %% check 13.1
from dvae_np.lesson import judge

judge("13.1", my_disarm)


# %% right 13.1
def my_disarm(logits, f, coupled):
    fz = f(coupled)[0]
    likelier = softmax(logits)[0].max(-1, keepdims=True)
    hot = np.eye(2)[coupled]  # (2, B, N, 2)
    return (fz[0] - fz[1])[:, None, None] / 2 * (hot[0] - hot[1]) * likelier


# %% wrong 13.1: sigma(phi) where sigma(|phi|) belongs
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    weight = dvae_np.sigmoid(logits[..., 1] - logits[..., 0])[0]
    dphi = (
        0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    )
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.1: without the weight
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    dphi = 0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1])
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.1: but for a factor 2
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    weight = dvae_np.sigmoid(np.abs(logits[..., 1] - logits[..., 0]))[0]
    dphi = (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.1: a flipped sign
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    weight = dvae_np.sigmoid(np.abs(logits[..., 1] - logits[..., 0]))[0]
    dphi = (
        0.5 * (fz[0] - fz[1])[:, None] * (coupled[0] - coupled[1]) * weight
    )
    return np.stack([dphi, -dphi], -1)


# %% wrong 13.1: leave-one-out for two independent samples: unbiased there, not for a pair
def my_disarm(logits, f, coupled):
    fz, _ = f(coupled)
    return (
        (fz - fz.mean(0))[..., None, None] * score(logits, coupled)
    ).sum(0)


# %% wrong 13.1: write it yourself
def my_disarm(logits, f, coupled):
    return dvae_np.disarm(logits, f, coupled).dlogits


# %% [markdown] exercise 13.2: 2 points
# ## 13.2 Derive: what the uniform costs
#
# Take one binary latent, with $F_1 - F_0 = 1$ nat. Write `gained(p)`: the variance of ARM minus that of DisARM, of the gradient in $\phi$, a number. The means are equal, so the second
# moments are enough. For ARM integrate $(e - \frac{1}{2})^2$ over the two ends where the codes differ. For DisARM integrate $(m / 2)^2$ over them, with $m = \max(p, 1 - p)$. About 2 lines. At $p = 0.5$ you
# should get $1/48$, {{gained(0.5):.4f}}.


# %% solution 13.2
def gained(p):
    """Var[ARM] - Var[DisARM], in phi."""
    ### BEGIN SOLUTION
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2) ** 3) - 2 * (1 - m) * (m / 2) ** 2
    ### END SOLUTION


# %% check 13.2
from dvae_np.lesson import judge

judge("13.2", gained)


# %% right 13.2
def gained(p):
    # of this length are both ends, and e is uniform there: its variance is
    # lost
    end = min(p, 1 - p)
    return 2 * end * end**2 / 12


# %% wrong 13.2: there are two ends
def gained(p):
    m = max(p, 1 - p)
    return 1 / 3 * (1 / 8 - (m - 1 / 2) ** 3) - (1 - m) * (m / 2) ** 2


# %% wrong 13.2: 1 - m is the chance
def gained(p):
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2) ** 3) - 2 * (m / 2) ** 2


# %% wrong 13.2: the integral of a square is a third of the cube
def gained(p):
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2)) - 2 * (1 - m) * (m / 2) ** 2


# %% wrong 13.2: subtract DisARM's
def gained(p):
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2) ** 3)


# %% wrong 13.2: m is the larger of p and 1 - p
def gained(p):
    return 2 / 3 * (1 / 8 - (p - 1 / 2) ** 3) - 2 * (1 - p) * (p / 2) ** 2


# %% [markdown] exercise 13.3: 2 points
# ## 13.3 Find the bug: a twin of another law
#
# This ARM takes the *opposite* code as the second one: it is 0 where the first is 1. But a second code must have the law $q$ too. Correct it. Binary `logits` are (B, N, 2), the uniforms `e` (S, B, N). Return [Eq. 13.1]
# averaged over the samples, as the gradient in the logits, (B, N, 2). One line is wrong. At $p = \frac{1}{2}$ there is no difference. As it was:
#
# ```python
# twin = (e > p).astype(int)  # (S, B, N)
# ```


# %% solution 13.3
def my_arm(logits, f, e):
    """(f of the twin - f) (e - 1/2), and its negative for category 0."""
    p = softmax(logits)[0][..., 1]  # (B, N)
    z = (e < p).astype(int)  # (S, B, N)
    ### BEGIN SOLUTION
    twin = (e > 1 - p).astype(int)
    ### END SOLUTION
    difference = f(twin)[0] - f(z)[0]  # (S, B)
    dphi = (difference[..., None] * (e - 0.5)).mean(0)  # (B, N)
    return np.stack([-dphi, dphi], -1)


# %% check 13.3
from dvae_np.lesson import judge

judge("13.3", my_arm)


# %% right 13.3
def my_arm(logits, f, e):
    p = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    signs = np.array([-1.0, 1.0])
    total = np.zeros_like(logits)
    for u in e:  # each sample, with 1 - u as the other uniform
        both = np.stack([u, 1 - u]) < p
        fz = f(both.astype(int))[0]
        dphi = ((1 - 2 * u) / 2) * (fz[0] - fz[1])[:, None]
        total = total + dphi[..., None] * signs
    return total / len(e)


# %% wrong 13.3: the opposite code as the twin: its law is 1 - p
def my_arm(logits, f, e):
    p = softmax(logits)[0][..., 1]
    z = (e < p).astype(int)
    twin = (e > p).astype(int)
    difference = f(twin)[0] - f(z)[0]
    dphi = (difference[..., None] * (e - 0.5)).mean(0)
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.3: the code of 1 - e is drawn by 1 - e < p
def my_arm(logits, f, e):
    p = softmax(logits)[0][..., 1]
    z = (e < p).astype(int)
    twin = (e < 1 - p).astype(int)
    difference = f(twin)[0] - f(z)[0]
    dphi = (difference[..., None] * (e - 0.5)).mean(0)
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.3: a flipped sign
def my_arm(logits, f, e):
    p = softmax(logits)[0][..., 1]
    z, twin = (e < p).astype(int), (e > 1 - p).astype(int)
    difference = f(z)[0] - f(twin)[0]
    dphi = (difference[..., None] * (e - 0.5)).mean(0)
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.3: but for a factor 2
def my_arm(logits, f, e):
    p = softmax(logits)[0][..., 1]
    z, twin = (e < p).astype(int), (e > 1 - p).astype(int)
    difference = f(twin)[0] - f(z)[0]
    dphi = (difference[..., None] * (2 * e - 1)).mean(0)
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.3: a sum where a mean is due
def my_arm(logits, f, e):
    p = softmax(logits)[0][..., 1]
    z, twin = (e < p).astype(int), (e > 1 - p).astype(int)
    difference = f(twin)[0] - f(z)[0]
    dphi = (difference[..., None] * (e - 0.5)).sum(0)
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.3: f at the first code is not taken off
def my_arm(logits, f, e):
    p = softmax(logits)[0][..., 1]
    twin = (e > 1 - p).astype(int)
    dphi = (f(twin)[0][..., None] * (e - 0.5)).mean(0)
    return np.stack([-dphi, dphi], -1)


# %% wrong 13.3: write it yourself
def my_arm(logits, f, e):
    return dvae_np.arm(logits, f, e).dlogits


# %% [markdown] written 13.W: 3 points
# ## 13.W In words: can coupling hurt?
#
# Compare DisARM with leave-one-out at $S = 2$. Both are $\frac{1}{2} \bigl(f(z) - f(z')\bigr)(z_n - z'_n)$ in $\phi_n$, DisARM times $m_n$, with
# $m_n = \max(p_n, 1 - p_n)$. Leave-one-out has independent samples, DisARM an antithetic pair, with one uniform $e_n$ for each latent, independent of the
# others.
#
# (a) Take one binary latent with $F_1 - F_0 = 1$ nat. Derive both variances in $\phi$, and show that DisARM has the smaller one for $0 < p < 1$. Where is the
# variance of DisARM zero, and where is almost nothing gained?
#
# (b) A student says: *so coupling can never hurt*. Take two binary latents and an $f$ that depends on $z_2$ alone, $f = [z_2 = 1]$. The mean of the entry
# $\phi_1$ is zero. Compute the variance of this entry for both estimators. Is the student right for each entry? Half a page for both.

# %% [markdown] model 13.W
# (a) The square of the estimate is $\frac{1}{4}$ for leave-one-out and $\frac{1}{4} m^2$ for DisARM if the codes differ, else zero. Independent codes differ
# with probability $2 p (1 - p) = 2 m (1 - m)$, antithetic ones with $2 (1 - m)$. Both means are $p (1 - p) = m (1 - m)$. So the variances are
# $\frac{1}{2} m (1 - m) - m^2 (1 - m)^2$ for leave-one-out, and $\frac{1}{2} m^2 (1 - m) - m^2 (1 - m)^2$ for DisARM. The first term of DisARM is smaller by
# the factor $m < 1$. At $p = \frac{1}{2}$ the variance of DisARM is $\frac{1}{16} - \frac{1}{16} = 0$: the codes always differ. As $p$ goes to 0 or 1, $m$
# goes to 1, and the gain vanishes.
#
# (b) The entry is not zero only if $z_1 \ne z'_1$ and $z_2 \ne z'_2$. The latents are independent, so the probabilities multiply. As the mean is zero, the
# variance is $\frac{1}{4} \cdot 2 m_1 (1 - m_1) \cdot 2 m_2 (1 - m_2) = m_1 (1 - m_1)\, m_2 (1 - m_2)$ for leave-one-out, and
# $\frac{1}{4} m_1^2 \cdot 2 (1 - m_1) \cdot 2 (1 - m_2) = m_1^2 (1 - m_1) (1 - m_2)$ for DisARM. The ratio, DisARM over leave-one-out, is $m_1 / m_2$. If
# $m_1 > m_2$, coupling hurts this entry: with $p_1 = 0.9$ and $p_2 = 0.5$ its variance is $1.8$ times as large. The reason: the pair differs more often in
# $z_2$ too, and for $\phi_1$ that is noise.
#
# *Marks:* 1 for the two variances in (a); 1 for the comparison, with $p = \frac{1}{2}$ and the limits; 1 for the ratio in (b) and the verdict.
