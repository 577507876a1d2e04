# %% [markdown]
# # 10 MuProp and REBAR
#
# **Question.** REINFORCE is unbiased and noisy. The relaxations of lesson 07 are quiet and biased. Can we *subtract* a relaxation from
# REINFORCE, so that most of the noise goes, and *add it back* as a quiet gradient, so that its bias cancels?
#
# **After this lesson you can**
# - build an unbiased estimator from a control variate whose gradient is known, and find its best weight,
# - derive the law of Gumbel noise given the winner, and the derivative through it,
# - prove REBAR unbiased in four lines, and confirm it by quadrature to eight digits,
# - recognise the mistake that made a REBAR of the RELAX authors biased.
#
# *Needs:* lessons 05 to 07. *Takes:* 55 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
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
from dvae_np.lesson import confirm, figure, picture, say, show

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
# Suppose an estimate $g$ is noisy, and you have another random number $h$ that moves with $g$ and whose mean you know. Subtract $h$: the noise that the two share is gone. Add the mean of $h$ back: the mean of $g$ is unchanged.
# Such an $h$ is a *control variate*. (As in lessons 06 and 11, $g$ is an *estimate* of the gradient here. Lessons 14 and 15 give the letters other roles: there $h$ is the estimate, and $g$ the exact gradient.)
#
# So $g - \eta\,(h - \mathbb{E}[h])$ has the mean of $g$ for every number $\eta$. Its variance is a parabola in $\eta$:
#
# $$V(\eta) = \mathrm{Var}[g] - 2 \eta\,\mathrm{Cov}[g, h] + \eta^2\,\mathrm{Var}[h], \qquad \eta^{\ast} = \frac{\mathrm{Cov}[g, h]}{\mathrm{Var}[h]} .$$
#
# At its minimum the variance is $(1 - \rho^2)\,\mathrm{Var}[g]$, where $\rho$ is the correlation of $g$ and $h$. So a good $h$ is *like* $g$.
#
# You know one control variate already: for $g = f\,\mathrm{score}$ take $h = \mathrm{score}$, whose mean is zero. Then $\eta$ is a constant baseline, and $\eta^{\ast}$ the best one [Eq. 6.2].

# %%
codes_f = f(z)[0][0]  # f of the three codes, (3,)
scores = score(tiled(logits, 3), z)[0]  # (3, N, K)


def total_variance(each):
    """Summed over the entries; each: one gradient a code, (3, N, K)."""
    away = each - np.tensordot(chances, each, 1)
    return chances @ (away**2).sum((-1, -2))


g, h = codes_f[:, None, None] * scores, scores
covariance = chances @ (g * h).sum((-1, -2))  # the mean of h is 0
best = covariance / total_variance(h)
plain, best_constant = total_variance(g), total_variance(g - best * h)
print(f"variance: REINFORCE {plain:.3f}, best constant {best_constant:.3f}")

# %% [markdown]
# Compare every cleverer estimator with the second number, not with the first.
#
# A stand-in for $f$ that depends on the code can be more like $f$ than a constant is. But times the score its mean is not zero, and must be known otherwise. This lesson has two ways.
#
# ## 2 MuProp: the tangent
#
# The first stand-in is the tangent of $f$ at the mean code $q$, a relaxed code: $t(z) = f(q) + f'(q)^{\top}(z - q)$ with $z$ one-hot. It is affine, so its expectation is its value at the mean of $z$.
# With $f(q)$ and $f'(q)$ held fixed, the logits move only the law of $z$. So for one latent the gradient of $\sum_z q(z)\,t(z)$ is $J(q)$ times the vector of the $t(z)$. This vector is $f'(q)$ plus the same constant in every entry, and constants vanish under $J$, as its rows add up to zero:
#
# $$\mathbb{E}_q[t(z)\,\mathrm{score}(z)] = \nabla_{\ell} \sum_z q(z)\,t(z) = J(q) f'(q), \qquad J(q) = \mathrm{diag}(q) - q q^{\top} .$$
#
# Subtract the tangent inside, add its gradient outside:
#
# $$\bigl(f(z) - f(q) - f'(q)^{\top} (z - q)\bigr)\,\mathrm{score}(z) + J(q) f'(q) . \tag{10.1}$$
#
# The bracket is the remainder of a Taylor expansion. For affine $f$ the remainder is zero, and the estimate exact.

# %%
at_q, f_backward = f(q[None, None])
slope = f_backward(np.ones((1, 1)))[0][0, 0]  # f'(q), (N, K)
added = q * (slope - (q * slope).sum())  # J(q) f'(q)
by_hand, misses = [], []
for k in range(3):  # every code, as Eq. 10.1 says
    tangent = at_q[0, 0] + (slope * (np.eye(3)[k] - q)).sum()
    misses.append(codes_f[k] - tangent)
    by_hand.append(misses[k] * (np.eye(3)[k] - q) + added)
for k in range(3):
    library = dvae_np.muprop(logits, f, np.array([[[k]]])).dlogits[0]
    confirm("10.1", library, by_hand[k])
by_hand = np.array(by_hand)  # (3, N, K)
confirm("10.1", np.tensordot(chances, by_hand, 1), exact)
muprop_variance = total_variance(by_hand)
print(f"variance: MuProp {muprop_variance:.3f}")
show(dvae_np.muprop)

# %% [markdown]
# ## 3 Gumbels, given who won
#
# REBAR draws noise twice: once to get the code, then again, *given* that code. Its stand-in is a smooth function of the second noise.
#
# From here on $b$ is the drawn code, as in the papers: the argmax of the perturbed logits $z_g = \log q + G$. It wins the race of the clocks of lesson 02. There clock $k$ rings at $T_k = E_k / q_k$, with $E_k$ independent Exponential(1) variables, and $-\log T_k = \log q_k + G_k$. That lesson proved three facts:
#
# - The winning time is Exponential(1), as the rates $q_k$ add up to 1.
# - It does not depend on who wins.
# - Clocks have no memory: a clock that is silent at time $T_b$ still waits $E_k / q_k$, with a fresh $E_k$. (Below, $E_k$ is this fresh one.)
#
# So given that $b$ won, $T_b = E_b$, and $T_k = E_k / q_k + E_b$ for the losers. In logarithms:
#
# $$\log q_b + G_b = -\log E_b, \qquad \log q_k + G_k = -\log \Bigl(\frac{E_k}{q_k} + E_b\Bigr) \quad (k \ne b) . \tag{10.2}$$
#
# Write $\tilde{z}$ for these numbers. As the first fact needs $\sum_k q_k = 1$, the normalised $\log q$ must enter, not the logits.

# %%
v = rng.random((4, 1, 1, 3))  # (S, B, N, K)
b = np.array([0, 1, 2, 2]).reshape(4, 1, 1)  # winners to condition on
E = -np.log(v)  # Exponential(1)
E_b = np.take_along_axis(E, b[..., None], -1)  # the winner's, (S, B, N, 1)
wins = np.arange(3) == b[..., None]
by_hand = np.where(wins, -np.log(E_b), -np.log(E / q + E_b))  # Eq. 10.2
zt, zt_backward = conditional_gumbel(logits, b, v)  # the library's
confirm("10.2", zt, by_hand)
print("argmax:", zt.argmax(-1).ravel(), "as told")

# %% [markdown]
# How does $\tilde{z}$ move with $\log q$, if $E$ is held fixed? The winner does not move. For a loser write $t = E_k / q_k = E_k e^{-\log q_k}$. Then $\partial t / \partial \log q_k = -t$, and the derivative of $-\log(t + E_b)$ is $t / (t + E_b)$:
#
# $$\frac{\partial \tilde{z}_k}{\partial \log q_k} = \frac{t}{t + E_b} = \sigma\bigl(\log (E_k / q_k) - \log E_b\bigr), \qquad \frac{\partial \tilde{z}_b}{\partial \log q_b} = 0 . \tag{10.3}$$
#
# We confirm the derivative by the complex step. We also confirm, by the trapezoidal rule in $\log E$, that over $b$ *and* $\tilde{z}$ the mean is that of plain perturbed logits: $\log q$ plus Euler's constant.

# %%
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

slopes = np.where(wins, 0, (E / q) / (E / q + E_b))  # Eq. 10.3
dy = rng.standard_normal(zt.shape)
by_hand = log_softmax(logits)[1]((slopes * dy).sum(0))
confirm("10.3", zt_backward(dy)[0], by_hand)
numeric = complex_step(
    lambda a: (dy * conditional_gumbel(a["logits"], b, v)[0]).sum(),
    {"logits": logits},
)
confirm("10.3", zt_backward(dy)[0], numeric["logits"])
show(conditional_gumbel)

# %% [markdown]
# ## 4 REBAR: the relaxation
#
# REBAR looks at $f$ three times: at the hard code $b$, at the relaxed code whose argmax is $b$, and at a second relaxed code, drawn given $b$. Write $c(z_g)$ for the stand-in: $f$ at the relaxed code $\mathrm{softmax}(z_g / \tau)$, times a weight $\eta$. At the second relaxed code it is $c(\tilde{z})$.

# %%
tau = 1.0
zg = log_softmax(logits)[0] + gumbel(rng.random((1, 1, 1, 3)))
code = zg.argmax(-1)  # b, (1, 1, 1)
zt = conditional_gumbel(logits, code, rng.random((1, 1, 1, 3)))[0]
bars = (
    (softmax(zg / tau)[0], "softmax($z_g$ / τ)", "+ ∇c($z_g$)"),
    (np.eye(3)[code], "the code b", "+ f(b) score(b)"),
    (
        softmax(zt / tau)[0],
        "softmax($\\tilde{z}$ / τ)",
        "− c($\\tilde{z}$) score(b) − ∇c($\\tilde{z}$)",
    ),
)
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.4), sharey=True)
for ax, (height, name, term) in zip(axes, bars, strict=True):
    ax.bar(range(3), height.ravel(), color="0.6", edgecolor="black")
    ax.set(title=name, xlabel=term, xticks=[], ylim=(0, 1))
    ax.xaxis.label.set_size(12)
fig.subplots_adjust(wspace=0.75, bottom=0.2)
arrow = {"arrowstyle": "->", "linewidth": 1.5}
for ax, words in zip(
    axes[:2], ("argmax", "given b,\nfresh noise"), strict=True
):
    ax.annotate(
        "", (1.7, 0.5), (1.05, 0.5), "axes fraction", arrowprops=arrow
    )
    ax.text(1.36, 0.56, words, ha="center", transform=ax.transAxes)
picture(
    fig,
    "Three bar charts with arrows. The argmax of a relaxed code is the "
    "code b; b and fresh noise give a second relaxed code with the same "
    "largest entry. Below each stands its term, added or subtracted.",
)

# %% [markdown]
# The terms of the first two charts are added, those of the third are subtracted. The third chart has its largest bar where the code is, so $c(\tilde{z})$ is like $f(b)$, and takes noise away. Why does the mean stay right? Draw $z_g$ from noise $u$, $b = \arg\max z_g$, and $\tilde{z}$ given $b$ from fresh noise $v$. For any smooth $c$:
#
# 1. Over $b$ and $v$ together, $\tilde{z}$ has the law of $z_g$. So $\mathbb{E}_u[c(z_g)] = \sum_b q(b)\,\mathbb{E}_v[c(\tilde{z})]$.
# 2. Differentiate the left side at fixed noise: $\mathbb{E}_u[\nabla c(z_g)]$.
# 3. Differentiate the right side by the product rule: $\mathbb{E}[c(\tilde{z})\,\mathrm{score}(b)] + \mathbb{E}[\nabla c(\tilde{z})]$. The logits move the law of $b$, *and* they move $\tilde{z}$ at fixed
#    $v$ [Eq. 10.3].
# 4. So $\mathbb{E}[c(\tilde{z})\,\mathrm{score}(b)] = \mathbb{E}[\nabla c(z_g) - \nabla c(\tilde{z})]$. This is the mean we wanted, without a score.
#
# Subtract inside, add outside, as before:
#
# $$\bigl(f(b) - c(\tilde{z})\bigr)\,\mathrm{score}(b) + \nabla c(z_g) - \nabla c(\tilde{z}), \qquad c(z) = \eta\,f(\mathrm{softmax}(z / \tau)) . \tag{10.4}$$
#
# Here $\nabla$ is the gradient in the logits at fixed noise. The two gradients outside have noise of their own. For every $\eta$ and $\tau$ the estimate is unbiased, so both may be tuned. For one sample:


# %% setup
def path(f, perturbed, tau):
    """c = f(softmax(perturbed / tau)), (S, B), and its gradient in the
    perturbed logits, (S, B, N, K).
    """
    y, softmax_backward = softmax(perturbed / tau)
    value, f_backward = f(y)
    return value, softmax_backward(f_backward(np.ones_like(value))[0]) / tau


# %%
u, v = rng.random((2, 1, 1, 1, 3))
eta, tau = 0.7, 0.5
logq, logq_backward = log_softmax(logits)
zg = logq + gumbel(u)
b = zg.argmax(-1)
zt, zt_backward = conditional_gumbel(logits, b, v)
(_, dzg), (c_zt, dzt) = path(f, zg, tau), path(f, zt, tau)
by_hand = (f(b)[0] - eta * c_zt) * score(logits, b)[0]
by_hand = by_hand + eta * logq_backward(dzg[0]) - eta * zt_backward(dzt)[0]

omega = {"eta": np.array(eta), "log_tau": np.log(np.array(tau))}
library = dvae_np.rebar(logits, f, u, v, omega=omega).dlogits
confirm("10.4", by_hand, library)
show(controlled, relaxed)

# %% [markdown]
# Continuous noise cannot be listed. But for a fixed winner the integrand is smooth, so a grid gives nearly exact means. A softmax does not change if all its inputs move by the same number. So of the exponentials in [Eq. 10.2] only the losers' ratios $r_k = E_k / E_b$ matter.
# For $K = 3$ they are two, with the density $2 / (1 + r_1 + r_2)^3$. A *node* is a pair of ratios on a grid with equal steps in $\log r$, for one winner. Its *weight* is $q_b$ times the density times the area of a cell. A mean is then a weighted sum over the nodes, and `gumbel_nodes` makes them.
# (This is the trapezoidal rule. Its error falls exponentially with the number of nodes.)
#
# Now the variance. Given $b$, the estimate is a function of $u$ plus a function of $v$, and $u$ and $v$ are independent, so their variances add. Add the variance between the codes $b$: `additive_variance`.


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
log_r, step = np.linspace(-36, 36, 134, retstep=True)
r_1, r_2 = np.exp(np.meshgrid(log_r, log_r))
area = step * r_1 * step * r_2
grid = area * 2 / (1 + r_1 + r_2) ** 3  # sums to 1
assert np.allclose(weights, np.outer(q, grid.ravel()).ravel())
print(f"{len(weights)} nodes; weights add up to {weights.sum():.12f}")

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
# The last line says that at $\eta = 0$ REBAR is REINFORCE, number by number.
#
# ## 5 The two tunables
#
# In $\eta$ the variance is the parabola of section 1. A low temperature makes $c(\tilde{z})$ more like $f(b)$, but then the gradient of $c$ varies wildly.

# %%
print(f"REINFORCE {plain:.3f}; the best constant {best_constant:.3f}")
for tau in (0.1, 0.3, 1.0, 2.0, 4.0, 20.0):
    low, middle, high = (
        rebar_variance(eta, tau) for eta in (0.0, 0.5, 1.0)
    )
    curvature = 2 * (low + high - 2 * middle)
    tuned = (low + curvature - high) / (2 * curvature)
    print(
        f"tau {tau}: variance at eta = 1 {high:.3f}; best eta {tuned:.2f}, "
        f"with {rebar_variance(tuned, tau):.3f}"
    )

# %%
figure("rebar.png")

# %% [markdown]
# Every curve starts at $\eta = 0$, which is REINFORCE with {{plain:.2f}}. At $\tau = 0.1$ the untuned weight $\eta = 1$ makes things *worse*, {{rebar_variance(1.0, 0.1):.2f}}: an unbiased control variate may add variance. At $\tau = 1$ it leaves {{rebar_variance(1.0, 1.0):.2f}}.
# The circles mark the best weights. Now look at the line of the best *constant* baseline, {{best_constant:.3f}}. It needs no slope of $f$, and gains alone most of what REBAR gains here.
#
# MuProp wins this small contest with {{muprop_variance:.2f}}. Taking off $f(q)$ alone leaves {{mean_code:.2f}} (exercise 10.3), as little as the best constant: by chance $f(q)$, {{at_q[0, 0]:.2f}}, is near that constant, {{best:.2f}}. And the tangent is close to $f$ at all codes: it is off by at most {{max(map(abs, misses)):.2f}}, while the codes' $f$ differ by up to {{np.ptp(codes_f):.2f}}. (Another cubic gives other numbers.) But MuProp has nothing to tune where the tangent fits badly. REBAR has two numbers, and lesson 11 adds a network.

# %%
mean_code = total_variance((codes_f - at_q[0, 0])[:, None, None] * scores)
print(
    f"baseline f(q) = {at_q[0, 0]:.2f}: variance {mean_code:.3f}; "
    f"best constant {best:.2f}: variance {best_constant:.3f}"
)

# %%
from dvae_np import records

toys, t = records.read("published-toys"), 0.499
start = toys["at"].index(0)  # log-odds 0: both values have q = 1/2
at_start = {
    name: found["variance"][start]
    for name, found in toys["toys"]["bernoulli"][f"t = {t}"]["rows"].items()
}

# %% [markdown]
# The RELAX paper draws variances for one Bernoulli $b$ and $f(b) = (b - {{t:g}})^2$. Does REBAR's variance vanish there? A constant's does: $b$ has two values, and at one baseline both give the same estimate. REBAR's stand-in is a constant only at an infinite temperature. At $q = \frac{1}{2}$ it has {{at_start["rebar"]:.3f}} as it starts and {{at_start["rebar, best"]:.3f}} at its best $\eta$ and $\tau \le 10$, as REINFORCE has ({{at_start["reinforce"]:.3f}}); leave-one-out with two draws has {{at_start["reinforce_loo"]:.1e}}.
# ([All estimators on this toy](../figures/README.md#published-toys-exactly), exactly.)
#
# ## 6 What it buys
#
# Now the model of lesson 00, trained by REBAR. Its training loop changes in one line, and gains one that descends on the variance (lesson 11 says how `domega` is found):
#
# ```python
# found = rebar(logits, f, u, v, omega=omega)  # and the KL's gradient
# omega[name] -= 0.01 * np.sign(found.domega[name])  # for eta, log_tau
# ```
#
# `np.sign` makes all steps equally long: `domega` is noisy and its scale is unknown, so only its direction is used.
#
# Every image gets one draw at each step, and so three evaluations of $f$. REINFORCE and leave-one-out have four draws. In the picture `gumbel_softmax` and `rebar` share a blue: a dash and one dot is `gumbel_softmax`, a dash and two dots is `rebar`.

# %%
from dvae_np.experiments.first_model import negative_elbo, taught, train
from dvae_np.figures import first_models
from dvae_np.train import load

first = records.read("first-model")
figure(
    first_models,
    first,
    taught(10),
    size=(7.4, 3.4),
    alt="Test loss against steps of the model of lesson 00, one line an "
    "estimator: REBAR ends with leave-one-out, near the exact gradient.",
)
ends = {
    name: np.sort([curve[-1] for curve in each["test"]])
    for name, each in first["estimators"].items()
}  # of three seeds: least, median, largest
data = load("digits")
trained = train("rebar", data.train.x.astype(float), steps=60)
reached = negative_elbo(trained, data.test.x.astype(float))
kept = first["estimators"]["rebar"]["test"][0][first["steps"].index(60)]
print(f"seed 0 after 60 steps: {reached:.2f} here, {kept:.2f} on record")

# %% [markdown]
# After 600 steps the test loss by REBAR is {{ends["rebar"][1]:.2f}} nats (the median of three seeds, from {{ends["rebar"][0]:.2f}} to {{ends["rebar"][2]:.2f}}, step size {{first["estimators"]["rebar"]["rate"]:g}}). REINFORCE, with four draws, ends at {{ends["reinforce"][1]:.2f}}, leave-one-out at {{ends["reinforce_loo"][1]:.2f}} and the exact gradient at {{ends["exact"][1]:.2f}}.
# REBAR is far better than REINFORCE. It is no better than leave-one-out, which needs no slope of $f$: the seeds differ by more than the two medians do.
#
# ## 7 Break it
#
# Line 3 of the proof has two terms. A PyTorch program in the repository of the RELAX paper detached $\tilde{z}$ from the graph, and so lost the second term, $\nabla c(\tilde{z})$, until a reader asked about it
# ([issue 6 of duvenaud/relax](https://github.com/duvenaud/relax/issues/6), mended in 2019). Each part of such a code can be tested and found right, and the sum is biased all the same.
# The judge integrates the whole, and names what is missing:


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
say(failed.explanation)

# %% [markdown]
# ## Reading
#
# - S. Gu, S. Levine, I. Sutskever, A. Mnih, *MuProp: unbiased backpropagation for stochastic neural networks*, 2016: section 2.
# - G. Tucker, A. Mnih, C. Maddison, J. Lawson, J. Sohl-Dickstein, *REBAR*, 2017: section 4, and its appendix for the categorical case.
# - C. Maddison, D. Tarlow, T. Minka, *A-star sampling*, 2014: Gumbels given their argmax.
# - A. Owen, *Monte Carlo theory, methods and examples*, 2013: the chapter on control variates.
#
# Next: [11 RELAX](11_relax.ipynb), which learns the control variate.

# %% [markdown] exercise 10.1: 2 points
# ## 10.1 Derive: the best weight from three variances
#
# You know the variance at $\eta = 0$, $\frac{1}{2}$ and $1$: `v0`, `v_half` and `v1`. The variance is a parabola in $\eta$. Write `best_eta(v0, v_half, v1)`, the number $\eta$ at which it is least. About 3 lines. For
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


# %% [markdown] exercise 10.2: 2 points
# ## 10.2 Implement: perturbed logits, given the winner
#
# Write `my_conditional(logits, z, v)`. Its inputs are `logits` (B, N, K), the winning codes `z` (S, B, N), and uniforms `v` (S, B, N, K). Return the values of [Eq. 10.2], (S, B, N, K), without a backward pass. `np.take_along_axis(E, z[..., None], -1)`
# is the winner's $E_b$, (S, B, N, 1). About 4 lines. The argmax of the result must be `z`. For $K = 2$,
# even odds, both $E = 1$ and winner 0 the two values are $0$ and $-\log 3 \approx -1.099$.


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


# %% [markdown] exercise 10.3: 3 points
# ## 10.3 Implement: MuProp without the slope
#
# Take the constant $f(q)$ in place of the tangent. Then there is nothing to add back. Write `my_simple_muprop(logits, f, z)`, where `logits` is (B, N, K) and the codes `z` are (S, B, N). Return the mean over the samples of
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


# %% wrong 10.3: a sum where a mean is due
def my_simple_muprop(logits, f, z):
    q = softmax(logits)[0]
    return (
        (f(z)[0] - f(q[None])[0])[..., None, None] * score(logits, z)
    ).sum(0)


# %% [markdown] exercise 10.4: 2 points
# ## 10.4 Find the bug: the detached sample
#
# This is the mistake of section 7. Correct it. One term is missing, about 1 line.
#
# - `path(f, perturbed, tau)` returns $c = f(\mathrm{softmax}(\cdot / \tau))$ at perturbed logits, (S, B), and its gradient in them for each sample, (S, B, N, K).
# - `zt_backward(d)[0]` takes a gradient in $\tilde{z}$, (S, B, N, K), to the logits, (B, N, K), *summed* over the samples.
# - `logq_backward(d)` takes a gradient in $\log q$, (B, N, K), to the logits.
#
# The line as it was:
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


# %% [markdown] written 10.W: 3 points
# ## 10.W In words: when does a control variate pay?
#
# An estimate $g$ takes one evaluation of $f$. With a control variate $h$ the estimate $g - \eta\,(h - \mathbb{E}[h])$ takes $m$ evaluations. Let $\rho$ be
# the correlation of $g$ and $h$. The mean of $m$ independent copies of $g$ has $1 / m$ of the variance of $g$.
#
# (a) The weight is $\eta^{\ast}$. For which $\rho$ is this better than $m$ copies of $g$? What does $m = 3$ ask, as in REBAR?
#
# (b) The weight is not tuned: $\eta = 1$. Let $\mathrm{Var}[h] = r^2\, \mathrm{Var}[g]$ with $r > 0$. For which $\rho$ is the variance below that of $g$?
#
# (c) A student measures the variance of one draw: 4 for REINFORCE, $0.6$ for REINFORCE with the best constant, $0.5$ for REBAR. *A factor of 8 for three
# times the work: REBAR pays.* Is this right? Half a page in all.

# %% [markdown] model 10.W
# (a) At $\eta^{\ast}$ the variance is $(1 - \rho^2)\, \mathrm{Var}[g]$. With $m$ copies of $g$ it is $\mathrm{Var}[g] / m$. So the control variate is better
# if $\rho^2 > 1 - \frac{1}{m}$. For $m = 3$ this is $\rho^2 > \frac{2}{3}$: $\lvert \rho \rvert > 0.816$.
#
# (b) $V(1) = \mathrm{Var}[g] - 2\,\mathrm{Cov}[g, h] + \mathrm{Var}[h]$, and $\mathrm{Cov}[g, h] = \rho\, r\, \mathrm{Var}[g]$. So
# $V(1) = (1 - 2 \rho r + r^2)\, \mathrm{Var}[g]$. This is below $\mathrm{Var}[g]$ if $r < 2 \rho$, that is $\rho > \frac{r}{2}$. A control variate with a
# lower correlation *adds* variance at $\eta = 1$.
#
# (c) Against REINFORCE without a baseline it is right: three draws have the variance $\frac{4}{3}$, and REBAR has $0.5$. But the comparison is the wrong one.
# A constant baseline is a control variate too, and it takes no evaluation of $f$. Three draws with the best constant have the variance $0.2$, which is less
# than $0.5$. So at equal work REBAR does not pay here. (Nobody knows the best constant exactly. But leave-one-out comes near it, and needs no slope of $f$.)
#
# *Marks:* 1 for the condition in (a), with $m = 3$; 1 for (b); 1 for the comparison with the constant at equal work.
