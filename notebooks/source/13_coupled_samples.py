# %% [markdown]
# # 13 Samples that know each other
#
# **Question.** REINFORCE draws its samples without a thought for each other. What is gained if one of them is made to differ from
# the next?
#
# **After this lesson you can**
# - derive ARM from one substitution, and DisARM from one conditional mean,
# - couple more than two samples of more than two categories, and weigh their pairs so that the mean stays right (CARMS),
# - use a slope of $f$ as a second control variate,
# - choose among ten estimators by their exact variance for the same number of evaluations of $f$.
#
# *Needs:* lessons 06 and 12. *Takes:* 45 minutes to read and run, 30 minutes for the exercises. Everything is in nats.

# %% setup
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
# The estimators of this lesson draw codes, or one uniform per binary latent. So the outcomes of their noise can be listed with
# their probabilities: samples from $q$, coupled samples, or the few intervals between the points where a threshold code jumps.


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
# Now $K = 2$, and one uniform $e_n$ makes each code: $z_n = [e_n < p_n]$, with $p = \sigma(\phi)$, $\phi = \ell_1 - \ell_0$. Here is an odd estimator:
# multiply $f(z)$ not by the score, but by $1 - 2 e_n$. Write $F_0, F_1$ for $f$ at the two values of $z_n$, given the others. Then
#
# $$\int_0^1 f\,(1 - 2e)\,de = F_1 \int_0^p (1 - 2e)\,de + F_0 \int_p^1 (1 - 2e)\,de = (F_1 - F_0)\,p (1 - p) ,$$
#
# as the first integral is $p - p^2$ and both add up to 0. And $p(1 - p)(F_1 - F_0)$ is the derivative of $p F_1 + (1 - p) F_0$ in $\phi$: it is
# unbiased. Replace $e$ by $1 - e$, as good a uniform: the code becomes $z' = [e > 1 - p]$ and the factor $2e - 1$. The mean of the two is **ARM** (Yin & Zhou 2019):
#
# $$\bigl(f([e > 1 - p]) - f([e < p])\bigr) \bigl(e - \tfrac{1}{2}\bigr) . \tag{13.1}$$
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
# $$\tfrac{1}{2} \bigl(f(z) - f(z')\bigr)(z - z')\,\sigma(\lvert \phi \rvert) . \tag{13.2}$$

# %%
show(dvae_np.arm, dvae_np.disarm)
confirm("13.1", report("arm", 1, logits=binary, f=g), binary_exact)
confirm("13.2", report("disarm", 2, logits=binary, f=g), binary_exact)
e, weights = threshold_nodes(binary)  # (1, T, N), (T,)
p = softmax(binary)[0][0, :, 1]  # (N,)
z, twin = (e < p).astype(int), (e > 1 - p).astype(int)
# (T, N), the gradient in phi
by_formula = (g(twin)[0] - g(z)[0])[0][:, None] * (e[0] - 0.5)
arm = dvae_np.arm(tiled(binary, len(weights)), g, e).dlogits  # (T, N, 2)
confirm("13.1", arm[..., 1], by_formula)
# all uniforms that give this pair
same = (z[0] == [1, 0, 1]).all(-1) & (twin[0] == 1 - z[0]).all(-1)
pair = np.array([[[1, 0, 1]], [[0, 1, 0]]])
average = np.tensordot(weights[same] / weights[same].sum(), arm[same], 1)
confirm("13.2", dvae_np.disarm(binary, g, pair).dlogits[0], average)

# %% [markdown]
# ## 2 More than two samples, more than two categories
#
# The pair $e, 1 - e$ is a *copula*: uniforms that know each other. DisARM was carried to more categories by Dong, Mnih & Tucker (2021), and to more samples, which we follow here, by Dimitriev & Zhou (2021). For $S$ of them take a point $d$ evenly from the simplex ($d_i \ge 0$, $\sum d_i = 1$).
# The part of the simplex where $d_i \ge r$ and $d_j \ge t$ is a copy of the whole, smaller by the factor $1 - r - t$ in each of its $S - 1$ dimensions, so
# $P(d_i \ge r, d_j \ge t) = \max(0, 1 - r - t)^{S-1}$. With $t = 0$, $P(d_i \ge r) = (1 - r)^{S-1}$, hence
#
# $$u_i = (1 - d_i)^{S-1} \ \text{is uniform:} \quad P(u_i \le a) = P\bigl(d_i \ge 1 - a^{1/(S-1)}\bigr) = a, \tag{13.3}$$
#
# and with both, $r = 1 - a^{1/(S-1)}$ and $t = 1 - b^{1/(S-1)}$, the law of a pair is
#
# $$P(u_i \le a, u_j \le b) = \max\bigl(0,\ a^{1/(S-1)} + b^{1/(S-1)} - 1\bigr)^{S-1} . \tag{13.4}$$
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
    "13.3",
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
confirm("13.4", pairs, law)
print(
    "P(z_1, z_2), coupled:     ",
    np.round(np.diag(pairs), 3),
    "on the diagonal",
)
print("P(z_1) P(z_2), independent:", np.round(q[0] ** 2, 3))

# %% [markdown]
# Coupled samples agree less often than independent ones, and pairs that agree contribute nothing to leave-one-out. In pairs, [Eq. 6.5] is the mean of $\frac{1}{2} (f_i - f_j)(z_i - z_j)$, with
# $z$ one-hot. For independent samples one latent has
#
# $$\sum_{k, l} q_k q_l\, (F_k - F_l)(\mathrm{onehot}(k) - \mathrm{onehot}(l)) = 2 J(q) F .$$
#
# Coupled samples meet the pair $k, l$ with probability $P(k, l)$ in place of $q_k q_l$. So weigh each pair by $q_k q_l / P(k, l)$, latent by latent. (The other latents
# enter through $F$ alone: each sample's are drawn from $q$, independently of this latent.) This is **CARMS**:
#
# $$\frac{1}{S (S - 1)} \sum_{i < j} (f_i - f_j)(z_i - z_j)\, \frac{q(z_i) q(z_j)}{P(z_i, z_j)} . \tag{13.5}$$

# %%
show(dvae_np.carms)
for S in (2, 3):
    confirm("13.5", report("carms", S), exact)
    report("reinforce_loo", S)
z, weights = every_coupled(binary, 2)
confirm(
    "13.5",
    dvae_np.carms(tiled(binary, len(weights)), g, z).dlogits,
    dvae_np.disarm(tiled(binary, len(weights)), g, z).dlogits,
)

# %% [markdown]
# At $S = 2$ and $K = 2$ it *is* DisARM, outcome by outcome.

# %% [markdown]
# ## 3 A slope as a second control variate
#
# Where $f$ has a gradient $f'$ at one-hot codes, leave-one-out at $S = 2$ can use it: the **double control variate** of Titsias & Shi (2022). Correct $f_1$ by the tangent of the *other* sample,
# $\alpha \langle f'_2, z_1 - q \rangle$, and the reverse. What does that add to the mean? Sample 2 is independent of sample 1, and $\mathbb{E}[z_1 - q] = 0$, so
#
# $$\mathbb{E}\bigl[\langle f'_2, z_1 - q \rangle (z_1 - z_2)\bigr] = \mathbb{E}\bigl[(z_1 - q)(z_1 - q)^{\top}\bigr]\,\mathbb{E}[f'_2] = J(q)\,\mathbb{E}[f'_2] ,$$
#
# for $J(q) = \mathrm{diag}(q) - q q^{\top}$ is the covariance of a one-hot code. Both corrections together add $\frac{\alpha}{2} J(q)\,\mathbb{E}[f'_1 + f'_2]$, which is subtracted again:
#
# $$\tfrac{1}{2} \bigl(f_1 + \alpha \langle f'_2, z_1 - q \rangle - f_2 - \alpha \langle f'_1, z_2 - q \rangle\bigr)(z_1 - z_2) - \tfrac{\alpha}{2} J(q)(f'_1 + f'_2) . \tag{13.6}$$
#
# For an affine $f$ and $\alpha = -1$ the bracket is zero and the last term the exact gradient. In general $\alpha$ is learned: `domega` is the gradient of the squared
# estimate, whose mean is the variance's (lesson 11).

# %%
show(dvae_np.double_cv)
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

# %% [markdown]
# ## 4 The picture
#
# Three other binary latents than those above, a cubic $f$ with smaller weights; eight states, and every variance is exact. Read a column: what the same number of evaluations of $f$ buys.

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
# At two evaluations leave-one-out has {{bought["reinforce_loo"][2]:.2f}}, DisARM and CARMS {{bought["disarm"][2]:.2f}} (one point: they are equal), and the slope brings {{bought["double_cv"][2]:.2f}}, with its $\alpha$ chosen by this
# very variance and two gradients of $f$ besides. At four, leave-one-out has {{bought["reinforce_loo"][4]:.2f}}, CARMS {{bought["carms"][4]:.2f}} and the unordered set {{bought["unordered_set"][4]:.2f}}. The curves of what is drawn
# *without replacement* bend down, as they must reach zero at eight, where nothing is left to chance. The local expectation, at six evaluations, has {{bought["local_expectation"][6]:.3f}}; leave-one-out would have
# {{leave_one_out(6, bought["reinforce_loo"][2], bought["reinforce_loo"][3]):.3f}} there, by the formula of lesson 12, section 1.
#
# Two warnings. Sum and sample has no baseline: at two evaluations it is worse ({{bought["sum_and_sample"][2]:.2f}}) than the plain mean of two independent draws ({{bought["reinforce"][2]:.2f}}). And the ranking at few
# evaluations belongs to this problem: with weights of size $1.5$ leave-one-out at two samples has {{larger[1.5][1]:.1f}}, more than the {{larger[1.5][0]:.1f}} of no baseline at all. Eight states are few, too. Where $q$ is spread over a
# million, the same state is hardly ever drawn twice, and drawing without replacement gains little.


# %% [markdown]
# ## 5 Break it
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
# - M. Yin, M. Zhou, *ARM: augment-REINFORCE-merge gradient for stochastic binary networks*, 2019: section 1 of this lesson.
# - Z. Dong, A. Mnih, G. Tucker, *DisARM: an antithetic gradient estimator for binary latent variables*, 2020; M. Yin, N. Ho, B. Yan, X. Qian, M. Zhou, *Probabilistic best subset selection via gradient-based
#   optimization*, 2020: the uniform integrated out.
# - Z. Dong, A. Mnih, G. Tucker, *Coupled gradient estimators for discrete latent variables*, 2021; A. Dimitriev, M. Zhou, *CARMS: categorical-antithetic-REINFORCE multi-sample gradient estimator*, 2021: section 2.
# - M. Titsias, J. Shi, *Double control variates for gradient estimation in discrete latent variable models*, 2022: section 3.
#
# Next: [14 Which estimator when](14_which_estimator_when.ipynb)

# %% [markdown] exercise 13.1
# ### 13.1 Implement: DisARM
#
# Write `my_disarm(logits, f, coupled)`: binary `logits` (B, N, 2), an antithetic pair of codes `coupled` (2, B, N); return the gradient in the logits (B, N, 2) of [Eq. 13.2].
# The formula is the gradient in $\phi = \ell_1 - \ell_0$: the entry of $\ell_1$ is that, the entry of $\ell_0$ its negative. `dvae_np.sigmoid(a)[0]` is the sigmoid.
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


# %% [markdown] exercise 13.2
# ### 13.2 Derive: what the uniform costs
#
# One binary latent, with $F_1 - F_0 = 1$ nat. Write `gained(p)`: the variance of ARM minus that of DisARM, of the gradient in $\phi$, a number. The means are equal, so the second
# moments suffice: with $m = \max(p, 1 - p)$ integrate $(e - \frac{1}{2})^2$ over the two ends where the codes differ, for DisARM $(m / 2)^2$. About 2 lines. At $p = 0.5$ you
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


# %% wrong 13.2: subtract DisARM's
def gained(p):
    m = max(p, 1 - p)
    return 2 / 3 * (1 / 8 - (m - 1 / 2) ** 3)


# %% wrong 13.2: m is the larger of p and 1 - p
def gained(p):
    return 2 / 3 * (1 / 8 - (p - 1 / 2) ** 3) - 2 * (1 - p) * (p / 2) ** 2
