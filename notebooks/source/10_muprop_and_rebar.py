# %% [markdown]
# # 10 MuProp and REBAR
#
# **Question.** REINFORCE is unbiased and noisy; the relaxations of lesson 07 are quiet and biased. Can a relaxation be *subtracted* from
# REINFORCE, where its likeness to $f$ removes noise, and *added back* as a quiet gradient, so that its bias cancels?
#
# **After this lesson you can**
# - build an unbiased estimator from a control variate whose gradient is known, and find its best weight,
# - derive the law of Gumbel noise given the winner, and the derivative through it,
# - prove REBAR unbiased in four lines, and confirm it by quadrature to nine digits,
# - recognise the mistake that made a REBAR of the RELAX authors biased.
#
# *Needs:* lessons 05 to 07. *Takes:* an hour to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np import (
    TABLE,
    conditional_gumbel,
    gumbel,
    log_softmax,
    score,
    softmax,
)
from dvae_np.check import (
    additive_variance,
    complex_step,
    every_code,
    gumbel_nodes,
    judge,
    moments,
    polynomial,
    tiled,
)
from dvae_np.estimators.control_variate import controlled, relaxed
from dvae_np.lesson import confirm, figure, show

rng = np.random.default_rng(1)
# (B, N, K): one latent of three categories
logits = rng.standard_normal((1, 1, 3))
# cubic, smooth in relaxed codes too
f = polynomial(0.5 * rng.standard_normal((2, 1, 3)) + 0.6, 3)
q = softmax(logits)[0][0]  # (N, K)
exact = dvae_np.exact(logits, f).dlogits[0]  # (N, K)
z, chances = every_code(logits, 1)  # (1, 3, 1), (3,)

# %% [markdown]
# ## 1 Control variates
#
# Let $g$ be unbiased, and $h$ any random variable with a *known* mean. Then $g - \eta\,(h - \mathbb{E}[h])$ has the mean of $g$ for every number $\eta$, and its variance is
# a parabola:
#
# $$V(\eta) = \mathrm{Var}[g] - 2 \eta\,\mathrm{Cov}[g, h] + \eta^2\,\mathrm{Var}[h], \qquad \eta^{\ast} = \frac{\mathrm{Cov}[g, h]}{\mathrm{Var}[h]} .$$
#
# At the minimum the variance is $(1 - r^2)\,\mathrm{Var}[g]$, with $r$ the correlation. So $h$ should be *like* $g$, and its mean computable. A baseline is the case
# $h = \mathrm{score}$, with mean zero. A stand-in for $f$ that depends on the code is more like $f$, but its product with the score has a mean that is not zero: it
# must be known otherwise. This lesson has two ways to know it.
#
# ## 2 MuProp: the tangent
#
# Take the tangent of $f$ at the mean code $q$ (a relaxed code), $t(z) = f(q) + f'(q)^{\top}(z - q)$ with $z$ one-hot. It is affine, so its expectation is its value at the mean.
# In that expectation only the law of $z$ moves with the logits (the tangent's own constants $f(q)$, $f'(q)$ are held fixed), so
#
# $$\mathbb{E}_q[t(z)\,\mathrm{score}(z)] = \nabla_{\ell} \sum_z q(z)\,t(z) = J(q) f'(q), \qquad J(q) = \mathrm{diag}(q) - q q^{\top} .$$
#
# Subtract inside, add outside:
#
# $$\bigl(f(z) - f(q) - f'(q)^{\top} (z - q)\bigr)\,\mathrm{score}(z) + J(q) f'(q) . \tag{10.1}$$
#
# What is left inside is the remainder of a Taylor expansion: for affine $f$ it is zero, and the estimate exact.

# %%
show(dvae_np.muprop)
mean, variance = moments(
    chances, dvae_np.muprop(tiled(logits, 3), f, z).dlogits
)
confirm("10.1", mean, exact)
plain = moments(chances, dvae_np.reinforce(tiled(logits, 3), f, z).dlogits)[
    1
].sum()
print(f"variance: REINFORCE {plain:.4f}, MuProp {variance.sum():.4f}")

at_q, f_backward = f(q[None, None])
slope = f_backward(np.ones((1, 1)))[0][0, 0]  # f'(q), (N, K)
for k in range(3):  # every outcome by the formula
    remainder = (
        f(np.array([[[k]]]))[0] - at_q - (slope * (np.eye(3)[k] - q)).sum()
    )
    by_formula = remainder[0, 0] * (np.eye(3)[k] - q) + q * (
        slope - (q * slope).sum()
    )
    confirm(
        "10.1",
        dvae_np.muprop(logits, f, np.array([[[k]]])).dlogits[0],
        by_formula,
    )

# %% [markdown]
# ## 3 Gumbels, given who won
#
# REBAR's stand-in is a function $c$ of the *perturbed logits* $z_g = \log q + G$, whose argmax is the code. It needs perturbed logits of a second kind: drawn given the winner
# $b$. Use the clocks of lesson 12, or take it from here: with $E_k$ independent Exponential(1) variables, clock $k$ rings at $T_k = E_k / q_k$, and $-\log T_k = \log q_k + G_k$. The
# largest perturbed logit is the first clock to ring. Three facts on exponential clocks:
#
# - *The first ring*: $P(\min_k T_k > t) = \prod_k e^{-q_k t} = e^{-t}$, since the rates add up to 1. So the winning time is Exponential(1).
# - *Who and when are independent*: $P(b \text{ wins, after } t) = \int_t^{\infty} q_b e^{-q_b s} \prod_{k \ne b} e^{-q_k s}\,ds = q_b\, e^{-t}$, a product.
# - *No memory*: given that clock $k$ is silent at time $T_b$, what it still waits is as at the start, $E_k / q_k$ with a fresh $E_k$ (from here on $E_k$ is this fresh one).
#
# So given that $b$ won, $T_b = E_b$ and $T_k = E_k / q_k + E_b$ for the losers. In logarithms:
#
# $$\log q_b + G_b = -\log E_b, \qquad \log q_k + G_k = -\log \Bigl(\frac{E_k}{q_k} + E_b\Bigr) \quad (k \ne b) . \tag{10.2}$$
#
# Write $\tilde{z}$ for these. The first fact used $\sum_k q_k = 1$: it is the normalised $\log q$ that must enter, not the logits. How does $\tilde{z}$ move with $\log q$, at fixed $E$? The winner
# not at all. For a loser put $r = E_k / q_k = E_k e^{-\log q_k}$, so that $\partial r / \partial \log q_k = -r$ and $-\partial \log(r + E_b) / \partial \log q_k = r / (r + E_b)$:
#
# $$\frac{\partial \tilde{z}_k}{\partial \log q_k} = \frac{r}{r + E_b} = \sigma\bigl(\log (E_k / q_k) - \log E_b\bigr), \qquad \frac{\partial \tilde{z}_b}{\partial \log q_b} = 0 . \tag{10.3}$$
#
# We confirm three things: the formula, that the mean over $b$ *and* $\tilde{z}$ is that of plain perturbed logits ($\log q$ plus Euler's constant), by the trapezoidal rule in $\log E$,
# and the derivative by the complex step.

# %%
show(conditional_gumbel)
v = rng.random((4, 1, 1, 3))  # (S, B, N, K)
b = np.array([0, 1, 2, 2]).reshape(4, 1, 1)  # winners to condition on
E = -np.log(v)
winner = np.take_along_axis(E, b[..., None], -1)  # (S, B, N, 1)
by_formula = np.where(
    np.arange(3) == b[..., None], -np.log(winner), -np.log(E / q + winner)
)
zt, zt_backward = conditional_gumbel(logits, b, v)
confirm("10.2", zt, by_formula)
print("argmax:", zt.argmax(-1).ravel(), "as told")

s, step = np.linspace(-27, 4.5, 64, retstep=True)
# (64^3, N, K)
E_nodes = np.exp(np.stack(np.meshgrid(s, s, s), -1).reshape(-1, 1, 3))
mass = (step * E_nodes * np.exp(-E_nodes)).prod((-1, -2))
mean = 0
for k in range(3):
    perturbed, _ = conditional_gumbel(
        tiled(logits, len(mass)),
        np.full((1, len(mass), 1), k),
        np.exp(-E_nodes)[None],
    )
    mean = mean + q[0, k] * np.tensordot(mass, perturbed[0], 1)
confirm("10.2", mean, np.log(q) + np.euler_gamma, tolerance=1e-4)

dy = rng.standard_normal(zt.shape)
numeric = complex_step(
    lambda a: (dy * conditional_gumbel(a["logits"], b, v)[0]).sum(),
    {"logits": logits},
)
confirm("10.3", zt_backward(dy)[0], numeric["logits"])
slopes = np.where(
    np.arange(3) == b[..., None], 0, (E / q) / (E / q + winner)
)
confirm(
    "10.3", zt_backward(dy)[0], log_softmax(logits)[1]((slopes * dy).sum(0))
)

# %% [markdown]
# ## 4 REBAR: the relaxation
#
# Draw $z_g$ from noise $u$, $b = \arg\max z_g$, and $\tilde{z}$ given $b$ from fresh noise $v$. For any smooth $c$:
#
# 1. Over $b$ and $v$ together, $\tilde{z}$ has the law of $z_g$. So $\mathbb{E}_u[c(z_g)] = \sum_b q(b)\,\mathbb{E}_v[c(\tilde{z})]$.
# 2. Differentiate the left side: the noise is fixed, $\mathbb{E}_u[\nabla c(z_g)]$.
# 3. Differentiate the right side by the product rule: $\mathbb{E}[c(\tilde{z})\,\mathrm{score}(b)] + \mathbb{E}[\nabla c(\tilde{z})]$. The logits move the law of $b$, *and* they move $\tilde{z}$ at fixed
#    $v$ [Eq. 10.3].
# 4. So $\mathbb{E}[c(\tilde{z})\,\mathrm{score}(b)] = \mathbb{E}[\nabla c(z_g) - \nabla c(\tilde{z})]$: the mean that was wanted, without a score.
#
# Subtract inside, add outside, as before:
#
# $$\bigl(f(b) - c(\tilde{z})\bigr)\,\mathrm{score}(b) + \nabla c(z_g) - \nabla c(\tilde{z}), \qquad c(z) = \eta\,f(\mathrm{softmax}(z / \tau)) . \tag{10.4}$$
#
# Here $\nabla$ is the gradient in the logits at fixed noise. Conditioning $\tilde{z}$ on $b$ makes $c(\tilde{z})$ like $f(b)$: at $\eta = 1$ and a low temperature nearly equal. The last two terms have noise
# of their own. For every $\eta$ and $\tau$ the estimate is unbiased, so both may be tuned.

# %%
show(controlled, relaxed)

# %% [markdown]
# The noise is continuous, so there is no list of outcomes. But given the winner all is smooth in the exponentials' ratios, and `gumbel_nodes` integrates over them by the trapezoidal rule in
# logarithms, where it converges exponentially. `additive_variance` uses that, given $b$, the estimate is a function of $u$ plus a function of $v$, so that their variances add up.


# %% setup
# noise {"z", "u", "v"}, each (1, T, 1, 3); (T,); (T,)
nodes, weights, winners = gumbel_nodes(logits, 134)


def tunables(eta, tau):
    return {"eta": np.array(eta), "log_tau": np.log(np.array(tau))}


def rebar_mean(eta, tau):
    """The mean of REBAR's gradient, by quadrature: (N, K)."""
    many = tiled(logits, len(weights))
    return moments(
        weights,
        dvae_np.rebar(
            many, f, nodes["u"], nodes["v"], omega=tunables(eta, tau)
        ).dlogits,
    )[0]


def rebar_variance(eta, tau):
    """The total variance of REBAR's gradient, by quadrature: a number."""
    noise, hyper = (nodes["u"], nodes["v"]), {"omega": tunables(eta, tau)}
    return additive_variance(
        TABLE["rebar"], logits, f, noise, weights, winners, hyper
    )


# %%
for eta, tau in ((1.0, 0.5), (0.7, 2.0), (-1.0, 1.0)):
    confirm("10.4", rebar_mean(eta, tau), exact, tolerance=1e-8)
u, v = rng.random((2, 5, 1, 1, 3))
drawn = (log_softmax(logits)[0] + gumbel(u)).argmax(-1)
confirm(
    "10.4",
    dvae_np.rebar(logits, f, u, v, omega=tunables(0.0, 0.5)).dlogits,
    dvae_np.reinforce(logits, f, drawn).dlogits,
)

# %% [markdown]
# The last line: at $\eta = 0$ it is REINFORCE, number by number.
#
# ## 5 The two tunables
#
# In $\eta$ the variance is the parabola of section 1. In $\tau$ there is a trade-off: a low temperature makes $c(\tilde{z})$ resemble $f(b)$ more closely, but makes its own gradient vary wildly.

# %%
print(f"REINFORCE {plain:.3f}")
for tau in (0.1, 0.3, 1.0, 2.0, 4.0, 20.0):
    low, middle, high = (
        rebar_variance(eta, tau) for eta in (0.0, 0.5, 1.0)
    )
    curvature = 2 * (low + high - 2 * middle)
    best = (low + curvature - high) / (2 * curvature)
    print(
        f"tau {tau}: variance at eta = 1 {high:.3f}; best eta {best:.2f}, "
        f"with {rebar_variance(best, tau):.3f}"
    )

# %% [markdown]
# ## 6 The picture
#
# Every curve starts, at $\eta = 0$, at REINFORCE with {{plain:.2f}}. At $\tau = 0.1$ the untuned weight $\eta = 1$ makes things *worse*, {{rebar_variance(1.0, 0.1):.2f}}: an unbiased control variate may add variance. At $\tau = 1$ it leaves {{rebar_variance(1.0, 1.0):.2f}}.
# The circles mark the best weights. Look at the line of the best *constant* baseline [Eq. 6.2], too: it alone leaves {{best_constant:.3f}}, of one number and with no slope of $f$. Most of what REBAR gains here is that gain.
# MuProp, with {{muprop_variance:.2f}}, wins this small contest: mostly as it takes off $f(q)$ (that alone leaves {{mean_code:.2f}}, exercise 10.3), and then as the tangent
# follows this cubic from corner to corner. But it has nothing to tune where the tangent is a poor stand-in. REBAR has two numbers, and lesson 11 gives it a whole network. (Another cubic gives other numbers.)


# %%
def variance_of(dlogits):
    """The total variance over the three codes, at S = 1."""
    return moments(chances, dlogits)[1].sum()


codes_f, lengths = (
    f(z)[0][0],
    (score(tiled(logits, 3), z)[0] ** 2).sum((-1, -2)),
)  # f and the squared score of every code
# Eq. 6.2
constant = (chances * codes_f * lengths).sum() / (chances * lengths).sum()
best_constant = variance_of(
    dvae_np.reinforce(tiled(logits, 3), f, z, baseline=constant).dlogits
)
mean_code = variance_of(
    dvae_np.reinforce(
        tiled(logits, 3), f, z, baseline=float(f(q[None, None])[0][0, 0])
    ).dlogits
)
muprop_variance = variance_of(
    dvae_np.muprop(tiled(logits, 3), f, z).dlogits
)
print(
    f"best constant {best_constant:.3f}, f at the mean code "
    f"{mean_code:.3f}, MuProp {muprop_variance:.3f}"
)
figure("rebar.png")

# %% [markdown]
# ## 7 Break it
#
# Line 3 of the proof has two terms. A PyTorch program in the repository of the RELAX paper detached $\tilde{z}$ from the graph, and so lost the second, $\nabla c(\tilde{z})$, until a reader asked about it
# ([issue 6 of duvenaud/relax](https://github.com/duvenaud/relax/issues/6), mended in 2019). Each part of such a code can be tested and found right; the sum is biased.
# The judge integrates the whole, and recognises what is missing:


# %% setup
def path(f, perturbed, tau):
    """c = f(softmax(perturbed / tau)), (S, B), and its gradient in the
    perturbed logits, (S, B, N, K).
    """
    y, softmax_backward = softmax(perturbed / tau)
    value, f_backward = f(y)
    return value, softmax_backward(f_backward(np.ones_like(value))[0]) / tau


# %%
def detached(logits, f, u, v, tau=0.5):
    """A bug: REBAR without the derivative by the conditional sample."""
    logq, logq_backward = log_softmax(logits)
    zg = logq + gumbel(u)  # (S, B, N, K)
    z = zg.argmax(-1)
    zt, _ = conditional_gumbel(logits, z, v)
    (_, dzg), (c_zt, _) = path(f, zg, tau), path(f, zt, tau)
    gradient = ((f(z)[0] - c_zt)[..., None, None] * score(logits, z)).mean(
        0
    )
    return gradient + logq_backward(dzg.mean(0))


failed = judge(detached).failed[0]
print(failed.verdict)
print(failed.explanation)

# %% [markdown]
# ## Reading
#
# - S. Gu, S. Levine, I. Sutskever, A. Mnih, *MuProp: unbiased backpropagation for stochastic neural networks*, 2016: section 2.
# - G. Tucker, A. Mnih, C. Maddison, J. Lawson, J. Sohl-Dickstein, *REBAR*, 2017: section 4, and its appendix for the categorical case.
# - C. Maddison, D. Tarlow, T. Minka, *A-star sampling*, 2014: Gumbels given their argmax.
# - A. Owen, *Monte Carlo theory, methods and examples*, 2013: the chapter on control variates.
#
# Next: [11 RELAX](11_relax.ipynb), which learns the control variate.

# %% [markdown] exercise 10.1
# ### 10.1 Derive: the best weight from three variances
#
# The variance at $\eta = 0$, $\frac{1}{2}$ and $1$ is known: `v0`, `v_half`, `v1`. It is a parabola in $\eta$. Write `best_eta(v0, v_half, v1)`, a number, where it is least. About 3 lines. For
# 4, 2 and 1 you should get {{best_eta(4, 2, 1):.2f}}.


# %% solution 10.1
def best_eta(v0, v_half, v1):
    """The minimum of the parabola through three points."""
    ### BEGIN SOLUTION
    # V = v0 + linear eta + square eta^2
    square = 2 * (v0 + v1 - 2 * v_half)
    linear = v1 - v0 - square
    return -linear / (2 * square)
    ### END SOLUTION


# %% check 10.1
from dvae_np.lesson import judge

judge("10.1", best_eta)


# %% right 10.1
def best_eta(v0, v_half, v1):
    # of the parabola, at eta
    slope = lambda eta: (
        (v1 - v0) + (2 * eta - 1) * 2 * (v1 - 2 * v_half + v0)
    )
    return slope(0) / (slope(0) - slope(1))


# %% wrong 10.1: the derivative of eta^2 is 2 eta
def best_eta(v0, v_half, v1):
    square = 2 * (v0 + v1 - 2 * v_half)
    return -(v1 - v0 - square) / square


# %% wrong 10.1: the linear term changes its sign
def best_eta(v0, v_half, v1):
    square = 2 * (v0 + v1 - 2 * v_half)
    return (v1 - v0 - square) / (2 * square)


# %% [markdown] exercise 10.2
# ### 10.2 Implement: perturbed logits, given the winner
#
# Write `my_conditional(logits, z, v)`: `logits` (B, N, K), codes `z` (S, B, N), uniforms `v` (S, B, N, K); return [Eq. 10.2], (S, B, N, K), the values alone. `np.take_along_axis(E, z[..., None], -1)`
# is the winner's $E_b$, (S, B, N, 1). About 4 lines. Their argmax must be `z`; for $K = 2$,
# even odds, both $E = 1$ and the winner 0 they are $0$ and $-\log 3 \approx -1.099$.


# %% solution 10.2
def my_conditional(logits, z, v):
    """-log E_b for the winner, -log(E_k / q_k + E_b) for the losers."""
    ### BEGIN SOLUTION
    q, E = softmax(logits)[0], -np.log(v)
    winner = np.take_along_axis(E, z[..., None], -1)
    loses = np.arange(logits.shape[-1]) != z[..., None]
    return -np.log(loses * E / q + winner)
    ### END SOLUTION


# %% check 10.2
from dvae_np.lesson import judge

judge("10.2", my_conditional)


# %% right 10.2
def my_conditional(logits, z, v):
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = np.empty(v.shape, v.dtype)
    for s, b, n in np.ndindex(z.shape):
        E = -np.log(v[s, b, n])
        clocks = E / q[b, n] + E[z[s, b, n]]
        clocks[z[s, b, n]] = E[z[s, b, n]]
        found[s, b, n] = -np.log(clocks)
    return found


# %% wrong 10.2: needs rates that add up to 1
def my_conditional(logits, z, v):
    E = -np.log(v)
    winner = np.take_along_axis(E, z[..., None], -1)
    return -np.log(
        (np.arange(logits.shape[-1]) != z[..., None]) * E / np.exp(logits)
        + winner
    )


# %% wrong 10.2: nothing makes z win
def my_conditional(logits, z, v):
    return log_softmax(logits)[0] + gumbel(v)


# %% [markdown] exercise 10.3
# ### 10.3 Implement: MuProp without the slope
#
# With the constant $f(q)$ alone in the place of the tangent there is nothing to add back. Write `my_simple_muprop(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N); return the mean over samples of
# $(f(z) - f(q))\,\mathrm{score}(z)$, (B, N, K). With `q = softmax(logits)[0]`, (B, N, K), `f(q[None])[0]` is $f$ at the mean code, (1, B). About 3 lines. On this
# lesson's problem its variance at $S = 1$ is {{moments(chances, my_simple_muprop(tiled(logits, 3), f, z))[1].sum():.2f}}.


# %% solution 10.3
def my_simple_muprop(logits, f, z):
    """REINFORCE with f at the mean code as its baseline."""
    ### BEGIN SOLUTION
    q = softmax(logits)[0]
    signal = f(z)[0] - f(q[None])[0]  # (S, B)
    return (signal[..., None, None] * score(logits, z)).mean(0)
    ### END SOLUTION


# %% check 10.3
from dvae_np.lesson import judge

judge("10.3", my_simple_muprop)


# %% right 10.3
def my_simple_muprop(logits, f, z):
    from scipy.special import softmax as probabilities

    q = probabilities(logits, axis=-1)
    signal = (f(z)[0] - f(q[None])[0]) / len(z)  # (S, B)
    hard = np.eye(logits.shape[-1])[z]
    return (
        np.einsum("sb,sbnk->bnk", signal, hard)
        - signal.sum(0)[:, None, None] * q
    )


# %% wrong 10.3: takes nothing away that must come back
def my_simple_muprop(logits, f, z):
    q = softmax(logits)[0]
    at_q, backward = f(q[None])
    path = softmax(logits)[1](backward(np.ones_like(at_q))[0][0])
    return ((f(z)[0] - at_q)[..., None, None] * score(logits, z)).mean(
        0
    ) + path


# %% wrong 10.3: f at the mean code is not taken off
def my_simple_muprop(logits, f, z):
    return (f(z)[0][..., None, None] * score(logits, z)).mean(0)


# %% wrong 10.3: write it yourself
def my_simple_muprop(logits, f, z):
    return dvae_np.muprop(logits, f, z).dlogits


# %% wrong 10.3: a mean where a sum is due
def my_simple_muprop(logits, f, z):
    q = softmax(logits)[0]
    return (
        (f(z)[0] - f(q[None])[0])[..., None, None] * score(logits, z)
    ).sum(0)


# %% [markdown] exercise 10.4
# ### 10.4 Find the bug: the detached sample
#
# This is the mistake of section 7. Correct it. `path(f, perturbed, tau)` returns $c = f(\mathrm{softmax}(\cdot / \tau))$ at perturbed logits, (S, B), and its gradient in them, (S, B, N, K). `zt_backward(d)[0]` takes
# a gradient in $\tilde{z}$, (S, B, N, K), to the logits, (B, N, K), *summed* over the samples,
# and `logq_backward(d)` one in $\log q$, (B, N, K); the gradients of `path` are those of single samples. One term is missing, about 1 line. As it was:
#
# ```python
# gradient = gradient + logq_backward(dzg.mean(0))
# ```


# %% solution 10.4
def my_rebar(logits, f, u, v, tau=0.5):
    """REBAR at eta = 1."""
    logq, logq_backward = log_softmax(logits)
    zg = logq + gumbel(u)  # (S, B, N, K)
    z = zg.argmax(-1)  # (S, B, N)
    zt, zt_backward = conditional_gumbel(logits, z, v)
    (_, dzg), (c_zt, dzt) = path(f, zg, tau), path(f, zt, tau)
    gradient = ((f(z)[0] - c_zt)[..., None, None] * score(logits, z)).mean(
        0
    )
    ### BEGIN SOLUTION
    gradient = (
        gradient + logq_backward(dzg.mean(0)) - zt_backward(dzt)[0] / len(u)
    )
    ### END SOLUTION
    return gradient


# %% check 10.4
from dvae_np.lesson import judge

judge("10.4", my_rebar)


# %% right 10.4
def my_rebar(logits, f, u, v, tau=0.5):
    total = np.zeros(logits.shape)
    for s in range(len(u)):
        one = slice(s, s + 1)
        logq, logq_backward = log_softmax(logits)
        zg = logq + gumbel(u[one])
        z = np.argmax(zg, -1)
        zt, zt_backward = conditional_gumbel(logits, z, v[one])
        (_, dzg), (c_zt, dzt) = path(f, zg, tau), path(f, zt, tau)
        total += (
            (f(z)[0] - c_zt)[0, :, None, None] * score(logits, z)[0]
            + logq_backward(dzg[0])
            - zt_backward(dzt)[0]
        )
    return total / len(u)


# %% wrong 10.4: without the derivative through the conditional sample
def my_rebar(logits, f, u, v, tau=0.5):
    logq, logq_backward = log_softmax(logits)
    zg = logq + gumbel(u)
    z = zg.argmax(-1)
    zt, _ = conditional_gumbel(logits, z, v)
    (_, dzg), (c_zt, _) = path(f, zg, tau), path(f, zt, tau)
    gradient = ((f(z)[0] - c_zt)[..., None, None] * score(logits, z)).mean(
        0
    )
    return gradient + logq_backward(dzg.mean(0))


# %% wrong 10.2: a loser's is its q
def my_conditional(logits, z, v):
    E = -np.log(v)
    winner = np.take_along_axis(E, z[..., None], -1)
    return -np.log(
        (np.arange(logits.shape[-1]) != z[..., None]) * E + winner
    )


# %% wrong 10.4: where it is taken off
def my_rebar(logits, f, u, v, tau=0.5):
    logq, logq_backward = log_softmax(logits)
    zg = logq + gumbel(u)
    z = zg.argmax(-1)
    zt, zt_backward = conditional_gumbel(logits, z, v)
    (_, dzg), (c_zt, dzt) = path(f, zg, tau), path(f, zt, tau)
    gradient = ((f(z)[0] - c_zt)[..., None, None] * score(logits, z)).mean(
        0
    )
    return (
        gradient + logq_backward(dzg.mean(0)) + zt_backward(dzt)[0] / len(u)
    )


# %% wrong 10.4: take the mean
def my_rebar(logits, f, u, v, tau=0.5):
    logq, logq_backward = log_softmax(logits)
    zg = logq + gumbel(u)
    z = zg.argmax(-1)
    zt, zt_backward = conditional_gumbel(logits, z, v)
    (_, dzg), (c_zt, dzt) = path(f, zg, tau), path(f, zt, tau)
    gradient = ((f(z)[0] - c_zt)[..., None, None] * score(logits, z)).mean(
        0
    )
    return gradient + logq_backward(dzg.mean(0)) - zt_backward(dzt)[0]
