# %% [markdown]
# # 11 RELAX
#
# **Question.** REBAR's control variate is the relaxed $f$, with two numbers to tune. Can a network *be* the control variate, and learn to make the variance small?
# And how does one learn to lower a variance from single samples?
#
# **After this lesson you can**
# - say why any smooth function may be the control variate, and the mean stays,
# - derive the gradient of the variance as an expectation, from single samples,
# - get a second derivative out of a first-order backward pass by one complex step,
# - measure what learning gains, exactly.
#
# *Needs:* lesson 10. *Takes:* 50 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import draw, score, softmax, tanh
from dvae_np.check import (
    additive_variance,
    complex_step,
    defaults,
    every_code,
    gumbel_nodes,
    lookup_table,
    moments,
    tiled,
)
from dvae_np.estimators.control_variate import controlled, relaxed
from dvae_np.figures.lesson_11 import cubic, exact_variance, toy
from dvae_np.lesson import confirm, figure, picture, show

rng = np.random.default_rng(0)
logits = rng.standard_normal((1, 1, 2))  # (B, N, K): one binary latent
exact = dvae_np.exact(logits, toy).dlogits[0]  # (N, K)
omega = {
    name: np.array(value)
    for name, value in defaults(dvae_np.TABLE["relax"], 1, 2)[
        "omega"
    ].items()
}
# any values will do
omega = {
    name: value + 0.3 * rng.standard_normal(value.shape)
    for name, value in omega.items()
}

# %% [markdown]
# ## 1 Any function may be the control variate
#
# Lesson 10 ended with
#
# $$g = \bigl(f(b) - c(\tilde z)\bigr)\, \mathrm{score}(b) + \nabla_{\ell}\, c(z_g) - \nabla_{\ell}\, c(\tilde z) . \tag{10.4}$$
#
# Here $z_g = \log q + G$ are perturbed logits, $b = \arg\max z_g$ is the code, and $\tilde z$ is a second draw *given* $b$. The proof that the mean is right never asked what $c$ is. Over $b$ and the noise, $\tilde z$
# has the law of $z_g$, so
#
# $$\mathbb{E}\bigl[c(\tilde z)\, \mathrm{score}(b) + \nabla_{\ell}\, c(\tilde z)\bigr] = \nabla_{\ell}\, \mathbb{E}_b\, \mathbb{E}[c(\tilde z) \mid b] = \nabla_{\ell}\, \mathbb{E}[c(z_g)] = \mathbb{E}\bigl[\nabla_{\ell}\, c(z_g)\bigr] .$$
#
# What is taken away through $\tilde z$ comes back through $z_g$, for *every* smooth $c$. REBAR takes $c(z) = \eta f(\mathrm{softmax}(z / \tau))$. RELAX (Grathwohl et al. 2018) adds a network $r_{\rho}$ with weights $\rho$.
# The network knows nothing of $f$, and may learn anything:
#
# $$c(z) = \eta f\bigl(\mathrm{softmax}(z / \tau)\bigr) + r_{\rho}\bigl(\mathrm{softmax}(z)\bigr) . \tag{11.1}$$
#
# It works for a black box $f$ too. With $\eta = 0$ the value of $f$ is needed once, and all slopes are the network's. (The package's `relax` evaluates $f$ at relaxed codes even then.)
#
# The code below puts Eq. 11.1 into Eq. 10.4, and compares with the library. Quadrature over the noise (lesson 10) then confirms the mean, at tunables that were drawn at random.


# %%
def control_variate(z):
    """Eq. 11.1 for one latent, with its backward pass."""
    value, relaxed_backward = relaxed(toy, z, omega)
    y, softmax_backward = softmax(z)  # (S, B, N, K)
    h, tanh_backward = tanh(y[..., 0, :] @ omega["w0"] + omega["b0"])
    r = (h @ omega["w1"] + omega["b1"])[..., 0]

    def backward(dvalue):
        dz, _ = relaxed_backward(dvalue)
        dh = dvalue[..., None] * omega["w1"][:, 0]
        dy = (tanh_backward(dh) @ omega["w0"].T)[..., None, :]
        return dz + softmax_backward(dy), {}

    return value + r, backward


u, v = draw(rng, logits, 5, ("u", "v"))
by_hand = controlled(logits, toy, control_variate, u, v)
library = dvae_np.relax(logits, toy, u, v, omega=omega)
confirm("11.1", library.dlogits, by_hand.dlogits)

nodes, weights, winner = gumbel_nodes(logits, 186)
many = tiled(logits, len(weights))
mean, _ = moments(
    weights,
    dvae_np.relax(many, toy, nodes["u"], nodes["v"], omega=omega).dlogits,
)
confirm("11.1", mean, exact, tolerance=1e-8)
show(dvae_np.relax)

# %% [markdown]
# ## 2 The gradient of a variance
#
# The tunables $\omega = (\eta, \tau, \rho)$ change the variance of $g$ and not its mean. So only the first part of the variance depends on them (squares are summed over the entries):
#
# $$\mathrm{Var}[g] = \mathbb{E}\,\lVert g \rVert^2 - \lVert \mathbb{E}\, g \rVert^2, \qquad \nabla_{\omega} \lVert \mathbb{E}\, g \rVert^2 = 0 .$$
#
# So the gradient of the variance is an expectation. A single sample estimates it without bias, and no running mean is needed:
#
# $$\nabla_{\omega} \mathrm{Var}[g] = \mathbb{E}\, \nabla_{\omega} \lVert g \rVert^2 = 2\, \mathbb{E}\, \Bigl\langle g, \frac{\partial g}{\partial \omega} \Bigr\rangle . \tag{11.2}$$
#
# This holds for every unbiased estimator with a tunable. The smallest example is REINFORCE with a constant baseline $a$. There
# everything can be enumerated. The squared score of code $k$ is $\lVert \mathrm{score}(k) \rVert^2 = 1 - 2 q_k + \sum_j q_j^2$.

# %% setup
f, three = (
    lookup_table(np.array([1.0, 3.0, 2.0])),
    rng.standard_normal((1, 1, 3)),
)
z, q = every_code(three, 1)  # three outcomes and their probabilities
values = f(z)[0][0]  # (3,)
# of the scores, squared, (3,)
norms = (score(tiled(three, 3), z)[0] ** 2).sum((-1, -2))

# %%
a = 0.7


def variance_of(a):
    """The exact variance of REINFORCE with this baseline."""
    return (q * (values - a) ** 2 * norms).sum() - (
        dvae_np.exact(three, f).dlogits ** 2
    ).sum()


slope = complex_step(
    lambda arrays: variance_of(arrays["a"]), {"a": np.array(a)}
)["a"]
# d ||g||^2 / da
single = [
    -2 * (f(z)[0][0, k] - a) * (score(three, z[:, [k]])[0, 0] ** 2).sum()
    for k in range(3)
]
confirm("11.2", q @ single, slope)

# %% [markdown]
# ## 3 Second derivatives, from first ones
#
# RELAX's $g$ contains $\nabla_{\ell}\, c$. So $\partial g / \partial \omega$ contains *mixed second derivatives* of $c$, and of the decoder in it. Must we write them by hand? No. We need only $\langle g, \nabla_{\ell}\, c \rangle$ for a *fixed* vector $g$. This is the slope of $c$ when the logits move along $g$, and a slope along a direction is one
# complex step (lesson 01):
#
# $$\langle g, \nabla_{\ell}\, c \rangle = \frac{\mathrm{Im}\, c(\ell + i h g)}{h} .$$
#
# This is a function of $\omega$ too, and its derivative in $\omega$ may be taken inside $\mathrm{Im}$:
#
# $$\frac{\partial}{\partial \omega} \langle g, \nabla_{\ell}\, c \rangle = \frac{1}{h}\, \mathrm{Im}\, \frac{\partial c}{\partial \omega}(\ell + i h g) .$$
#
# So run the ordinary backward pass of $c$ at the complex point $\ell + i h g$, and divide the imaginary part of the result by $h$. One extra forward and backward pass
# gives the whole gradient in $\eta$, $\tau$ and $\rho$, to rounding. This works because every op of the package lets complex numbers through. In three lines, for a small $c(\ell, \omega) = \omega \sum_k e^{\ell_k} \ell_k$:


# %%
def c_and_slope(ell, w):
    """c, and its ordinary backward pass into w."""
    each = np.exp(ell) * ell
    return w * each.sum(), each.sum()


ell, h = np.array([0.3, -1.0, 0.5]), 1e-20
direction = np.array([1.0, 2.0, -1.0])
_, dw = c_and_slope(ell + 1j * h * direction, 0.7)
mixed = direction @ (np.exp(ell) * (ell + 1))  # d/dw <direction, grad c>
print(f"by the complex step {dw.imag / h:.12f}, by formula {mixed:.12f}")
assert np.isclose(dw.imag / h, mixed, rtol=1e-13)
show(controlled)

# %% [markdown]
# Now the check for RELAX. At fixed noise, `domega` must be the derivative of $\lVert g \rVert^2$ in every tunable. The complex step is already used inside, so we check by central differences:

# %%
from dvae_np.check import central

u, v = draw(rng, logits, 1, ("u", "v"))


def squared(tunables):
    """||g||^2 of one sample."""
    return float(
        (
            dvae_np.relax(logits, toy, u, v, omega=tunables).dlogits ** 2
        ).sum()
    )


numeric = central(squared, omega)
domega = dvae_np.relax(logits, toy, u, v, omega=omega).domega
for name in ("eta", "log_tau", "w0", "w1"):
    confirm("11.2", domega[name], numeric[name], tolerance=1e-6)
print(
    "b1:",
    domega["b1"],
    "(a constant in c changes c(zt) score: it is a baseline)",
)
confirm("11.2", domega["b1"], numeric["b1"], tolerance=1e-6)

# %% [markdown]
# ## 4 Descend on the variance
#
# The variance is a landscape over the tunables, and `domega` points uphill in it. Two tunables can be drawn: those of REBAR, for one latent of three categories and a cubic $f$. Each line joins tunables of equal exact variance. On the dashed line REBAR is as good as the best constant baseline. The path follows `domega` with 32 draws a step, the logits held still.

# %%
three_logits, cubic_f = cubic()
nodes, weights, winner = gumbel_nodes(three_logits, 40)
row, noise = dvae_np.TABLE["rebar"], (nodes["u"], nodes["v"])


def rebar_variance(eta, tau):
    """By quadrature."""
    tuned = {"eta": np.array(eta), "log_tau": np.log(np.array(tau))}
    problem = three_logits, cubic_f, noise, weights, winner
    return additive_variance(row, *problem, {"omega": tuned})


etas, taus = np.linspace(0, 1.6, 81), np.geomspace(0.1, 10, 17)
landscape = []  # in eta it is a parabola: three points give it all
for tau in taus:
    points = [rebar_variance(eta, tau) for eta in (0.0, 0.5, 1.0)]
    landscape.append(np.polyval(np.polyfit((0, 0.5, 1), points, 2), etas))

eta, log_tau, path = 0.2, np.log(0.15), []
many = tiled(three_logits, 32)
for _ in range(600):
    path.append((np.exp(log_tau), eta))
    u, v = draw(rng, many, 1, ("u", "v"))
    tuned = {"eta": np.array(eta), "log_tau": np.array(log_tau)}
    slopes = dvae_np.rebar(many, cubic_f, u, v, omega=tuned).domega
    # downhill; tanh keeps the steps short where it is steep
    eta -= 0.005 * np.tanh(slopes["eta"] / 32)
    log_tau -= 0.05 * np.tanh(slopes["log_tau"] / 32)

# %%
from dvae_np.figures.lesson_11 import PROBLEMS, measured, table

paper, three_categories = (measured(problem) for problem in PROBLEMS)
best_constant_here = three_categories["best constant"]
fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
heights = np.transpose(landscape)
levels = [0.165, 0.2, 0.3, 0.5, 1, 2, 4]
lines = ax.contour(taus, etas, heights, levels, colors="0.5", linewidths=1)
ax.clabel(lines, fontsize=8, fmt="%g")
ax.contour(
    taus, etas, heights, [best_constant_here], colors="k", linestyles="--"
)
ax.plot(*np.transpose(path), color="#0072B2", linewidth=2)
ax.plot(*path[0], "o", color="#0072B2")
ax.text(0.16, 0.15, "start")
ax.set(xscale="log", xlabel="temperature τ", ylabel="weight η")
picture(
    fig,
    "Contours of REBAR's variance over temperature and weight. A path "
    "descends from a variance of 3 into the dashed valley, where the "
    "variance is below that of the best constant.",
)

# %% [markdown]
# Inside the dashed line REBAR is better than every constant, by a little.
#
# ## 5 What learning gains
#
# Three learn now: REBAR, RELAX, and *a constant alone* (RELAX with all but its last bias switched off), which is REINFORCE with a learned baseline. The left problem is the toy of the RELAX paper, $f(z) = (z - 0.45)^2$ for one binary $z$ at even odds. The right one is the cubic from above. The tunables descend by Adam with batches of 32. Every 50 steps we compute the *exact* variance by quadrature.

# %%
figure("relax.png")

# %%
from dvae_np.figures.lesson_10 import best_constant
from dvae_np.figures.lesson_11 import learned

show(learned)
print(table())
codes, even_odds = every_code(np.zeros((1, 1, 2)), 1)
f_0, f_1 = toy(codes)[0][0]
print(
    "the best constant for the toy: "
    f"{best_constant(even_odds, np.array([f_0, f_1])):.4f}; by the formula "
    f"below {(f_1 + f_0) / 2:.4f}"
)

# %% [markdown]
# In the left panel REBAR starts *above* plain REINFORCE ({{paper["rebar"][1][0]:.4f}} against {{paper["reinforce"]:.4f}} nats$^2$): its control variate adds more than it takes. Learning turns the control variate
# off, and REBAR ends on the dotted line. RELAX falls to {{paper["relax"][1].min():.0e}}, then moves up and down between that and {{paper["relax"][1][7:].max():.0e}}, as Adam's steps do not shrink. This looks
# like the work of a network. It is not: the constant alone falls lower still. For two categories some constant always leaves no variance at all. The gradient in $\ell_1$ is $(f(1) - a)(1 - q_1)$ for
# one code and $-(f(0) - a)\, q_1$ for the other, and both are equal at
#
# $$a = (1 - q_1) f(1) + q_1 f(0) .$$
#
# So one binary latent cannot show what a control variate is worth. Three categories can (right panel). REINFORCE has {{three_categories["reinforce"]:.2f}} nats$^2$. The best of all
# constants [Eq. 6.2] leaves {{three_categories["best constant"]:.3f}}, and so gains most of what can be gained. After {{paper["relax"][0][-1]:.0f}} steps REBAR has {{three_categories["rebar"][1][-1]:.3f}} and RELAX
# {{three_categories["relax"][1][-1]:.3f}}. They are better than any constant by {{1 - three_categories["rebar"][1][-1] / three_categories["best constant"]:.0%}} and
# {{1 - three_categories["relax"][1][-1] / three_categories["best constant"]:.0%}}, but evaluate $f$ three times (relaxed codes included) instead of once. *Compare a clever control variate with the best constant, not with nothing.*
#
# On the trained VAE of lesson 14 RELAX has a smaller variance than REBAR, and both have a larger one than leave-one-out with as many evaluations. There the tunables had 200 steps, with the model held still. The variances below are divided by the squared length of the exact gradient.

# %%
from dvae_np import records

compared = {
    line["estimator"]: line for line in records.read("compare")["lines"]
}
for name in ("reinforce_loo", "rebar", "relax"):
    print(
        f"{name:14} {compared[name]['evaluations']} evaluations of f: "
        f"relative variance {compared[name]['variance']:.2f}"
    )

# %% [markdown]
# ## 6 Break it
#
# Three mistakes are common with learned tunables. (1) Update $\omega$ on a sample, and then use the new $\omega$ on that same sample: it has seen the noise, and the mean is no longer right. (2) Let the training loss, not the variance, move $\omega$. The library's `relax` returns `domega` beside the gradient, so neither happens by itself.
# (3) Minimise the squared norm of a batch's *mean* in place of the mean of the squared norms. Its expectation is the squared norm of the exact
# gradient, which no tunable moves, plus $1/B$ of the variance. So on average its slope is $1/B$ of the right one. But its noise is not $B$ times smaller:

# %%
B, batches = 200, 100
batch = tiled(logits, B * batches)
u, v = draw(rng, batch, 1, ("u", "v"))


def squares(tunables):
    """For each batch: the mean of the squared norms, and the squared norm
    of the mean, (2, batches).
    """
    g = dvae_np.relax(batch, toy, u, v, omega=tunables).dlogits.reshape(
        batches, B, 2
    )
    return np.array([(g**2).sum(-1).mean(-1), (g.mean(1) ** 2).sum(-1)])


step = 1e-5
slopes = (
    squares({**omega, "eta": omega["eta"] + step})
    - squares({**omega, "eta": omega["eta"] - step})
) / (2 * step)
(right, wrong), (right_deviation, wrong_deviation) = (
    slopes.mean(1),
    slopes.std(1),
)
print("slopes in eta, with the standard deviation over batches")
print(f"mean of squared norms: {right:9.6f} {right_deviation:9.6f}")
print(f"the same over B = {B}: {right / B:9.6f} {right_deviation / B:9.6f}")
print(f"squared norm of mean:  {wrong:9.6f} {wrong_deviation:9.6f}")
print(
    "exact variance at these tunables: "
    f"{exact_variance('relax', logits, toy, omega):.4f} nats^2"
)

# %% [markdown]
# The right slope is {{right / right_deviation:.1f}} times as large as its noise in one batch. For the wrong one the mean should be $1/B$ of the right slope, and that is only {{right / B / wrong_deviation:.3f}} times its noise.

# %% [markdown]
# ## Reading
#
# - W. Grathwohl, D. Choi, Y. Wu, G. Roeder, D. Duvenaud, *Backpropagation through the void: optimizing control variates for black-box gradient estimation*, 2018: RELAX.
# - G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, *REBAR: low-variance, unbiased gradient estimates for discrete latent variable models*, 2017: tuning by the gradient of the variance.
# - F. R. Ruiz, M. K. Titsias, D. M. Blei, *The generalized reparameterization gradient*, [2016](https://arxiv.org/abs/1610.02287): another way to join a score function and
#   a reparameterisation. It transforms the variable so that its law depends only weakly on the parameters, and corrects the rest by a score. Nothing is learned from the variance.
#
# Next: [12 Sum a part, sample the rest](12_partial_sums.ipynb)

# %% [markdown] exercise 11.1: 2 points
# ## 11.1 Derive: the slope of a variance
#
# Take REINFORCE with a constant baseline $a$, at $S = 1$, for one latent. `q` (K,) are the probabilities of the codes, `values` (K,) the values of $f$, and `norms` (K,) the squared lengths
# $\lVert \mathrm{score}(k) \rVert^2$. Write `slope_at(a, q, values, norms)`. Return the derivative of the total variance in $a$, a number, as a sum over the codes. One line. For the setup's `q`, `values` and `norms` it is
# {{slope_at(0.0, q, values, norms):.3f}} at $a = 0$ and {{slope_at(2.0, q, values, norms):.3f}} at $a = 2$.


# %% solution 11.1
def slope_at(a, q, values, norms):
    """d variance / d a."""
    ### BEGIN SOLUTION
    return -2 * (q * (values - a) * norms).sum()
    ### END SOLUTION


# %% check 11.1
from dvae_np.lesson import judge

judge("11.1", slope_at)


# %% right 11.1
def slope_at(a, q, values, norms):
    variance = lambda a: sum(
        p * (value - a) ** 2 * norm
        for p, value, norm in zip(q, values, norms, strict=True)
    )
    # a parabola: the central difference is exact
    return (variance(a + 1) - variance(a - 1)) / 2


# %% wrong 11.1: a flipped sign
def slope_at(a, q, values, norms):
    return 2 * (q * (values - a) * norms).sum()


# %% wrong 11.1: each code counts by its squared score too
def slope_at(a, q, values, norms):
    return -2 * (q * (values - a)).sum()


# %% wrong 11.1: they are squares already
def slope_at(a, q, values, norms):
    return -2 * (q * (values - a) * norms**2).sum()


# %% wrong 11.1: it is right but for a factor 1/2
def slope_at(a, q, values, norms):
    return -(q * (values - a) * norms).sum()


# %% wrong 11.1: write it yourself
def slope_at(a, q, values, norms):
    second = lambda arrays: (q * (values - arrays["a"]) ** 2 * norms).sum()
    return complex_step(second, {"a": np.array(a)})["a"]


# %% [markdown] exercise 11.2: 1 point
# ## 11.2 Implement: the estimate from its parts
#
# Write `combined(fb, c_zt, score_b, slope_z, slope_zt)`. Here `fb` $= f(b)$ and `c_zt` $= c(\tilde z)$ are (S, B). `score_b`, `slope_z` $= \nabla_{\ell}\, c(z_g)$ and `slope_zt` $= \nabla_{\ell}\, c(\tilde z)$ are
# (S, B, N, K). Return [Eq. 10.4] averaged over the samples, (B, N, K). About 2 lines.


# %% solution 11.2
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    """(f(b) - c(zt)) score + grad c(z) - grad c(zt), the mean over S."""
    ### BEGIN SOLUTION
    signal = (fb - c_zt)[..., None, None]
    return (signal * score_b + slope_z - slope_zt).mean(0)
    ### END SOLUTION


# %% check 11.2
from dvae_np.lesson import judge

judge("11.2", combined)


# %% right 11.2
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    by_score = np.einsum("sb,sbnk->bnk", fb, score_b) - np.einsum(
        "sb,sbnk->bnk", c_zt, score_b
    )
    return (by_score + slope_z.sum(0) - slope_zt.sum(0)) / len(fb)


# %% wrong 11.2: without the slope through zt
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    return ((fb - c_zt)[..., None, None] * score_b + slope_z).mean(0)


# %% wrong 11.2: the two slopes exchanged
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    return (
        (fb - c_zt)[..., None, None] * score_b + slope_zt - slope_z
    ).mean(0)


# %% wrong 11.2: it must be taken off f
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    return (fb[..., None, None] * score_b + slope_z - slope_zt).mean(0)


# %% wrong 11.2: a sum where a mean is due
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    return (
        (fb - c_zt)[..., None, None] * score_b + slope_z - slope_zt
    ).sum(0)


# %% wrong 11.2: is wrong
def combined(fb, c_zt, score_b, slope_z, slope_zt):
    # a mean of products is not the product of means
    signal = (fb - c_zt).mean(0)[:, None, None]
    return signal * score_b.mean(0) + slope_z.mean(0) - slope_zt.mean(0)


# %% [markdown] exercise 11.3: 3 points
# ## 11.3 Implement: a surrogate as an op
#
# Write `surrogate(y, w, a)`. Its inputs are relaxed codes `y` (S, B, K) and weights `w` (K, H) and `a` (H,). Its value is $r = \tanh(y w)\, a$, (S, B). Return `(r, backward)`, where `backward(dr)` returns `(dy, dw, da)` of the shapes of `y`, `w`, `a`. About 6 lines. RELAX
# runs the op at complex numbers, forward *and* backward. So use no `abs`, no `conj`, no `.real` and no casts.


# %% solution 11.3
def surrogate(y, w, a):
    """r = tanh(y w) a, and its backward pass."""
    ### BEGIN SOLUTION
    h = np.tanh(y @ w)  # (S, B, H)

    def backward(dr):
        dpre = dr[..., None] * a * (1 - h * h)
        return (
            dpre @ w.T,
            np.einsum("sbk,sbh->kh", y, dpre),
            np.einsum("sb,sbh->h", dr, h),
        )

    return h @ a, backward
    ### END SOLUTION


# %% check 11.3
from dvae_np.lesson import judge

judge("11.3", surrogate)


# %% right 11.3
def surrogate(y, w, a):
    pre = np.einsum("sbk,kh->sbh", y, w)
    r = (np.sinh(pre) / np.cosh(pre) * a).sum(-1)

    def backward(dr):
        dy, dw, da = (
            np.zeros_like(y + dr[..., None]),
            np.zeros_like(w + dr.sum()),
            np.zeros_like(a + dr.sum()),
        )
        for s, b in np.ndindex(r.shape):
            slope = a / np.cosh(pre[s, b]) ** 2 * dr[s, b]
            dy[s, b] = w @ slope
            dw += np.outer(y[s, b], slope)
            da += dr[s, b] * np.tanh(pre[s, b])
        return dy, dw, da

    return r, backward


# %% wrong 11.3: without the slope of tanh
def surrogate(y, w, a):
    h = np.tanh(y @ w)

    def backward(dr):
        # the slope of tanh is missing
        dpre = dr[..., None] * a * np.ones_like(h)
        return (
            dpre @ w.T,
            np.einsum("sbk,sbh->kh", y, dpre),
            np.einsum("sb,sbh->h", dr, h),
        )

    return h @ a, backward


# %% wrong 11.3: it is right but for a factor 2
def surrogate(y, w, a):
    h = np.tanh(y @ w)

    def backward(dr):
        dpre = dr[..., None] * a * (1 - h * h)
        return (
            2 * dpre @ w.T,
            np.einsum("sbk,sbh->kh", y, dpre),
            np.einsum("sb,sbh->h", dr, h),
        )

    return h @ a, backward


# %% wrong 11.3: the text asks for code that complex numbers come through
def surrogate(y, w, a):
    h = np.tanh(y @ w)

    def backward(dr):
        dpre = dr[..., None] * a * (1 - h * h.conj()).real
        return (
            (dpre @ w.T).real,
            np.einsum("sbk,sbh->kh", y, dpre).real,
            np.einsum("sb,sbh->h", dr, h).real,
        )

    return (h @ a).real, backward


# %% [markdown] exercise 11.4: 2 points
# ## 11.4 Find the bug: descent on the wrong square
#
# A tunable $\omega$ (a number) is trained by the derivative of a squared norm. `g` holds R single-sample gradients (R, P), and `dg` their derivatives in $\omega$ (R, P). The estimator is unbiased for every $\omega$, so its mean does
# not move. The function below returns the derivative of the squared norm of the samples' *mean*. Correct it. Return the right side of [Eq. 11.2], a number, with the mean over the R samples in place of the expectation. One line.
#
# ```python
# return 2 * (g.mean(0) * dg.mean(0)).sum()
# ```


# %% solution 11.4
def slope_of_variance(g, dg):
    """An estimate of d Var[g] / d omega from R samples."""
    ### BEGIN SOLUTION
    return 2 * (g * dg).sum(-1).mean()
    ### END SOLUTION


# %% check 11.4
from dvae_np.lesson import judge

judge("11.4", slope_of_variance)


# %% right 11.4
def slope_of_variance(g, dg):
    return 2 * np.trace(g @ dg.T) / len(g)


# %% wrong 11.4: take the mean of the squared norms
def slope_of_variance(g, dg):
    return 2 * (g.mean(0) * dg.mean(0)).sum()


# %% wrong 11.4: it is right but for a factor 1/2
def slope_of_variance(g, dg):
    return (g * dg).sum(-1).mean()


# %% wrong 11.4: a norm is a sum over them
def slope_of_variance(g, dg):
    return 2 * (g * dg).mean()


# %% wrong 11.4: it estimates the same, but [Eq. 11.2] asks for no mean of the samples
def slope_of_variance(g, dg):
    return 2 * ((g - g.mean(0)) * (dg - dg.mean(0))).sum() / (len(g) - 1)


# %% [markdown] written 11.W: 3 points
# ## 11.W In words: may the temperature of Gumbel-Softmax be learned in this way?
#
# A student wants to learn the temperature $\tau$ of Gumbel-Softmax [Eq. 7.2] by [Eq. 11.2]: descend on $\lVert g \rVert^2$ of single samples, where $g$ is
# the Gumbel-Softmax gradient.
#
# (a) Which step of section 2 fails? Write $\mathbb{E}\,\lVert g \rVert^2$ as a sum of two terms, and say what the descent makes small.
#
# (b) Let $f$ have a bounded slope. What becomes of $g$ as $\tau \to \infty$? Where does the descent lead?
#
# (c) Let $g'$ be an unbiased estimate of the exact gradient, with noise independent of that of $g$, for instance leave-one-out. Show that
# $\mathbb{E}\bigl[\lVert g \rVert^2 - 2 \langle g, g' \rangle\bigr]$ is the expected squared distance of $g$ from the exact gradient, minus a number that
# does not depend on $\tau$. What does this cost? Half a page in all.

# %% [markdown] model 11.W
# (a) The mean of $g$ depends on $\tau$, as Gumbel-Softmax is biased. So $\nabla_{\tau} \lVert \mathbb{E}\,g \rVert^2$ is not zero. We have
# $\mathbb{E}\,\lVert g \rVert^2 = \mathrm{Var}[g] + \lVert \mathbb{E}\,g \rVert^2$. The descent makes the variance small *and* the mean gradient itself.
#
# (b) $g = \frac{1}{\tau} \bigl(\mathrm{diag}(y) - y y^{\top}\bigr) f'(y)$. The entries of $y$ lie between 0 and 1, and the slope is bounded. So $g$ goes to
# zero like $1 / \tau$, and $\lVert g \rVert^2$ like $1 / \tau^2$. The least value, zero, is only reached as $\tau$ grows without limit, and the descent leads
# there. By this measure the best estimate is one that says nothing.
#
# (c) Write $g^{\ast}$ for the exact gradient. By independence
# $\mathbb{E}\,\langle g, g' \rangle = \langle \mathbb{E}\,g, g^{\ast} \rangle = \mathbb{E}\,\langle g, g^{\ast} \rangle$. So the expression is
# $\mathbb{E}\bigl[\lVert g \rVert^2 - 2 \langle g, g^{\ast} \rangle\bigr] = \mathbb{E}\,\lVert g - g^{\ast} \rVert^2 - \lVert g^{\ast} \rVert^2$, and the
# last term does not depend on $\tau$. Its derivative, $2 \langle g - g', \partial g / \partial \tau \rangle$, can be computed from single samples. The cost
# is that of $g'$: two more evaluations of $f$ for leave-one-out with $S = 2$. Its noise enters the slope of $\tau$, but not the gradient of the model.
#
# *Marks:* 1 for the two terms in (a); 1 for the limit in (b); 1 for the proof in (c), with the cost.
