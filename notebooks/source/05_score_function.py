# %% [markdown]
# # 05 Monte Carlo and the score function
#
# **Question.** There are $K^N$ codes, too many to visit, so we draw a few. The decoder's gradient survives this. What becomes of the
# encoder's gradient, which has to pass through the draw?
#
# **After this lesson you can**
# - say why the decoder's gradient survives sampling, and why the derivative of a drawn code is zero or does not exist,
# - derive REINFORCE, and say that it needs the values of $f$ but not its slopes,
# - compute the exact mean and the exact variance of any estimator of codes, without drawing one,
# - test an estimator by its samples, and state the bias that the test would have seen.
#
# *Needs:* lessons 02 and 04. *Takes:* 60 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import codes, draw, one_hot, score, softmax
from dvae_np.check import (
    central,
    complex_step,
    every_code,
    expectation,
    from_samples,
    judge,
    lookup_table,
    moments,
    tiled,
)
from dvae_np.figures.lesson_05 import deviation_along
from dvae_np.lesson import confirm, figure, picture, show

rng = np.random.default_rng(0)
N, K, D = 2, 3, 5
logits = rng.standard_normal((1, N, K))  # (B, N, K), one example
table = 2 + rng.standard_normal((K, K))  # f of each pair of codes, in nats
f = lookup_table(table)
exact = dvae_np.exact(logits, f)  # value (B,), dlogits (B, N, K)

# %% [markdown]
# ## 1 The decoder's gradient is easy
#
# Draw $S$ codes $z_1, \ldots, z_S$ from $q$. The average $\frac{1}{S} \sum_s f(z_s)$ has the mean $\mathbb{E}_q[f]$: it is a *Monte Carlo* estimate.
#
# The decoder's parameters $\theta$ are as easy. Since $q$ does not depend on them, the derivative may be taken inside the sum:
#
# $$\nabla_{\theta} \mathbb{E}_q[f] = \nabla_{\theta} \sum_z q(z) f_{\theta}(z) = \sum_z q(z) \nabla_{\theta} f_{\theta}(z) = \mathbb{E}_q[\nabla_{\theta} f] .$$
#
# This is an expectation, and samples estimate it:
#
# $$\nabla_{\theta} \mathbb{E}_q[f] \approx \frac{1}{S} \sum_s \nabla_{\theta} f(z_s) . \tag{5.1}$$
#
# We check [Eq. 5.1] for a small decoder. Two draws of two latents have $9^2 = 81$ outcomes. We take each of them with its probability. The right side is `dtheta` of `reinforce`.

# %% [markdown] slide
# ## The decoder's gradient is easy
#
# Draw $S$ codes from $q$. The average of $f(z_s)$ is a *Monte Carlo* estimate of $\mathbb{E}_q[f]$.
#
# Since $q$ does not depend on the decoder's parameters $\theta$,
#
# $$\nabla_{\theta} \mathbb{E}_q[f] = \sum_z q(z) \nabla_{\theta} f_{\theta}(z) = \mathbb{E}_q[\nabla_{\theta} f] .$$
#
# This is an expectation, and samples estimate it:
#
# [Eq. 5.1]

# %%
x = (rng.random((1, D)) < 0.5).astype(float)  # (B, D)
theta = dvae_np.parameters(rng, D, N, K, (4,), np.float64)["theta"]
decoder = dvae_np.reconstruction(theta, x)  # -log p(x|z)
z, weights = every_code(logits, 2)  # (S, 81, N), (81,)
mean = sum(
    w * dvae_np.reinforce(logits, decoder, z[:, [t]]).dtheta["table"]
    for t, w in enumerate(weights)
)
numeric = complex_step(
    lambda a: expectation(
        logits, dvae_np.reconstruction(theta | a, x)
    ).sum(),
    {"table": theta["table"]},
)
confirm("5.1", mean, numeric["table"])

# %% [markdown]
# ## 2 The encoder's gradient is lost
#
# The logits $\ell$ decide *which* codes are drawn. Hold the noise $u$ fixed, as in lesson 02: a small move of $\ell$ leaves the drawn code as it is, and at some places the code jumps.
# So $f(z(\ell, u))$ is a staircase in $\ell$: its slope is zero, except at the jumps, where it has none.

# %% [markdown] slide
# ## The encoder's gradient is lost
#
# Hold the noise $u$, and move the logits a little. The drawn code stays as it is, or it jumps.
#
# [output]
#
# - The slope of every sample is zero.
# - The mean changes at the jumps, and no derivative sees a jump. No software can mend this.

# %%
u = rng.random((6, 1, N))  # (S, B, N)
slopes = [
    central(
        lambda a, s=s: f(codes(a["logits"], u[[s]]))[0].sum(),
        {"logits": logits},
    )["logits"]
    for s in range(6)
]
print("largest slope of six samples:", np.abs(slopes).max())
print("slope of their mean, E_q[f]:\n", exact.dlogits[0].round(3))

# %% [markdown]
# So $\mathbb{E}[\nabla_{\ell} f(z(\ell, u))] = 0$, but $\nabla_{\ell} \mathbb{E}[f(z(\ell, u))]$ is not zero. The mean changes at the jumps, and no derivative sees a jump. No software can mend this. Lessons 05 to 13 are about this difficulty.

# %% [markdown]
# ## 3 The score function
#
# The mean $\mathbb{E}_q[f]$ is smooth in $\ell$ all the same, because $\ell$ enters through the probabilities:
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = \sum_z f(z)\, \nabla_{\ell} q(z) .$$
#
# Samples cannot estimate this sum, because $\nabla q(z)$ is not a probability. So we multiply and divide by $q(z)$, which is positive, and use $\nabla q / q = \nabla \log q$:
#
# $$\sum_z f(z)\, \nabla_{\ell} q(z) = \sum_z q(z)\, f(z)\, \frac{\nabla_{\ell} q(z)}{q(z)} = \mathbb{E}_q\bigl[f(z)\, \nabla_{\ell} \log q(z)\bigr] .$$
#
# Now the sum is an expectation. The gradient of $\log q$ is the score, $\mathrm{score}(z) = \mathrm{onehot}(z) - q$ [Eq. 2.4], so
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = \mathbb{E}_q\bigl[f(z) (\mathrm{onehot}(z) - q)\bigr] . \tag{5.2}$$
#
# (Here $f$ must not depend on $\ell$. If it does, as a sampled KL would, $\mathbb{E}_q[\nabla_{\ell} f]$ is added.)
#
# So draw codes, and average $f$ times the score. The mean of this estimate is the exact gradient: it is *unbiased*. Its name is *REINFORCE*, also called the *score-function estimator* or *likelihood-ratio method*. The step that makes the expectation is the *log-derivative trick*. For one latent:

# %% [markdown] slide
# ## The log-derivative trick
#
# The logits enter through the probabilities, and these are smooth:
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = \sum_z f(z)\, \nabla_{\ell} q(z)$$
#
# Samples cannot estimate this sum: $\nabla q(z)$ is not a probability. Multiply and divide by $q(z)$:
#
# $$\sum_z q(z)\, f(z)\, \frac{\nabla_{\ell} q(z)}{q(z)} = \mathbb{E}_q\bigl[f(z)\, \nabla_{\ell} \log q(z)\bigr]$$
#
# Now it is an expectation.

# %% [markdown] slide
# ## REINFORCE: $f$ times the score
#
# [Eq. 5.2]
#
# ```python
# np.mean([losses[k] * (np.eye(3)[k] - q) for k in z], 0)
# ```
#
# Average over the drawn codes, here four draws of one latent:
#
# [output]
#
# - Unbiased: the mean of the estimate is the exact gradient.
# - It needs only the *values* of $f$: a table, a simulator, a program with branches.
#
# *Question: all losses are positive. What does a step do when the best code is drawn?*

# %%
q = np.array([0.5, 0.3, 0.2])  # one latent with K = 3 categories
losses = np.array([1.0, 3.0, 2.0])  # f of each category


def reinforce_by_hand(losses, q, z):
    """The mean of f(z) (onehot(z) - q) over the drawn codes z (S,)."""
    return np.mean([losses[k] * (np.eye(3)[k] - q) for k in z], 0)


drawn = rng.choice(3, size=4, p=q)
print("drawn codes ", drawn)
print("REINFORCE   ", reinforce_by_hand(losses, q, drawn).round(3))
print("exact       ", (q * (losses - q @ losses)).round(3))
library = dvae_np.reinforce(
    np.log(q)[None, None], lookup_table(losses), drawn[:, None, None]
)
confirm("5.2", reinforce_by_hand(losses, q, drawn), library.dlogits[0, 0])

# %% [markdown]
# This gradient is $f$ times the score. We step *against* it, so a high loss makes the drawn code less likely. If all losses are positive, even the best code becomes less likely when it is drawn.
# Only the *differences* between losses say which code is better, and lesson 06 uses this.
#
# REINFORCE needs only the *values* of $f$: $f$ may be a table, a simulator, or a program with branches.

# %%
show(dvae_np.reinforce)

# %%
S = 2
z, weights = every_code(logits, S)  # (S, T, N), (T,) with T = (K^N)^S = 81
# (T, N, K)
estimates = dvae_np.reinforce(tiled(logits, len(weights)), f, z).dlogits
mean = np.tensordot(weights, estimates, 1)  # (N, K)
numeric = complex_step(
    lambda a: expectation(a["logits"], f).sum(), {"logits": logits}
)["logits"]
confirm("5.2", mean, numeric[0])
confirm("5.2", mean, exact.dlogits[0])

# %% [markdown]
# ## 4 A cloud of gradients
#
# What do sampled gradients look like? And what if a constant is added to $f$? It does not change the exact gradient.
#
# Take the latent from above. A single draw has only three possible gradients, the corners of the grey triangle. Each dot is a REINFORCE gradient from $S = 8$ draws; a darker dot came more often. (The three entries of a gradient add up to zero, so
# all gradients lie in one plane, that of the picture.)

# %% [markdown] slide
# ## Only differences between losses count
#
# We step *against* $f$ times the score.
#
# - A high loss makes the drawn code less likely.
# - If all losses are positive, even the best code becomes less likely when it is drawn.
# - Only the *differences* say which code is better. Lesson 06 uses this.
#
# A constant added to $f$ does not change the exact gradient. It changes the samples.

# %% [markdown] slide
# ## A cloud of gradients
#
# [picture]
#
# Each dot is a gradient from $S = 8$ draws of one latent. Its typical distance from the exact gradient, in lengths of that gradient: {{spread[0]:.1f}} for $f$, {{spread[100]:.0f}} for $f + 100$.

# %%
plane = np.array([[1, -1, 0], [-1, -1, 2]]).T / np.sqrt([2, 6])  # (3, 2)
right = q * (losses - q @ losses)  # the exact gradient, (K,)
clouds = {}
fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.7), layout="constrained")
for ax, constant in zip(axes, (0, 100), strict=True):
    draws = rng.choice(3, size=(200, 8), p=q)
    clouds[constant] = cloud = np.array(
        [reinforce_by_hand(losses + constant, q, z) for z in draws]
    )
    corners = (losses + constant)[:, None] * (np.eye(3) - q) @ plane
    ax.fill(*corners.T, color="0.9", label="where gradients can lie")
    ax.scatter(*(cloud @ plane).T, s=60, color="C0", alpha=0.15,
               linewidth=0, label="200 REINFORCE gradients")  # fmt: skip
    ax.plot(*(cloud.mean(0) @ plane), "X", color="C1", markersize=10,
            markeredgecolor="black", label="their mean")  # fmt: skip
    ax.quiver(0, 0, *(right @ plane), angles="xy", scale_units="xy",
              scale=1, width=0.015, label="exact gradient")  # fmt: skip
    name = "f + 100" if constant else "f"
    ax.set(aspect="equal", xlabel=f"gradient of {name} (nats)")
inset = axes[1].inset_axes((0.63, 0.61, 0.36, 0.37))  # around the arrow
inset.annotate("", right @ plane, (0, 0),
               arrowprops={"width": 2, "headwidth": 8, "headlength": 6,
                           "color": "black", "shrink": 0})  # fmt: skip
inset.plot(*(cloud.mean(0) @ plane), "X", color="C1", markersize=10,
           markeredgecolor="black")  # fmt: skip
inset.set(aspect="equal", xticks=[], yticks=[], xlim=(-1, 3.6),
          ylim=(-3, 1.6))  # fmt: skip
axes[1].indicate_inset_zoom(inset, edgecolor="black")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center",
           ncols=4, frameon=False, fontsize=8)  # fmt: skip
picture(
    fig,
    "Two clouds of 200 sampled gradients. Left, for f, the cloud is about "
    "as wide as the exact gradient is long. Right, for f + 100, the cloud "
    "is fifty times wider. An inset magnifies its centre: there the mean "
    "of the dots is away from the arrow of the exact gradient.",
)

# %%
length = np.linalg.norm(right)
spread = {
    constant: np.sqrt(((cloud - right) ** 2).sum(1).mean()) / length
    for constant, cloud in clouds.items()
}
off = {
    constant: np.linalg.norm(cloud.mean(0) - right) / length
    for constant, cloud in clouds.items()
}
print("in lengths of the exact gradient:")
for constant in clouds:
    print(
        f"f + {constant:3d}: typical distance of a dot "
        f"{spread[constant]:.1f}, of the mean of 200 dots "
        f"{off[constant]:.2f}"
    )

# %% [markdown]
# Look at the scales of the axes. The typical distance of a dot from the exact gradient is {{spread[0]:.1f}} times the length of that gradient for $f$, and {{spread[100]:.0f}} times for $f + 100$. The estimator is unbiased for
# both. But at the right even the mean of 200 dots is {{off[100]:.1f}} lengths away from the exact gradient (inset). And the reconstruction loss of an image may well be a hundred nats.
#
# ## 5 Exact mean, exact variance
#
# How large is the cloud, exactly? The draw has finitely many outcomes $o$, with probabilities $P(o)$. Let $g(o)$ be the gradient that an estimator returns for outcome $o$. Its mean and variance are sums, without sampling error:
#
# $$\mathbb{E}[g] = \sum_o P(o)\, g(o), \qquad \mathrm{Var}[g] = \sum_o P(o) \bigl(g(o) - \mathbb{E}[g]\bigr)^2 . \tag{5.3}$$
#
# One draw of one latent:

# %%
each = losses[:, None] * (np.eye(3) - q)  # row k: if code k was drawn
mean_by_hand = q @ each
variance_by_hand = q @ (each - mean_by_hand) ** 2
confirm("5.3", mean_by_hand, right)
mean, variance = moments(q, each)  # the library's
confirm("5.3", variance_by_hand, variance)

# %% [markdown]
# In general the outcomes are all $S$-tuples of codes, with probability $\prod_s q(z_s)$. There are $T = (K^N)^S$ of them. We make $T$ copies of the logits, as one batch, and give each copy one outcome.
# Then *one* call of the estimator returns the gradients of all outcomes.

# %%
show(every_code, moments)

# %% [markdown]
# A second formula checks this. Let $V_S$ be the sum of the variances of all entries, for $S$ samples, which are independent. Then
#
# $$V_1 = \sum_z q(z)\, f(z)^2\, \lVert \mathrm{score}(z) \rVert^2 - \lVert \nabla_{\ell} \mathbb{E}_q f \rVert^2, \qquad V_S = V_1 / S .$$


# %% setup
def mean_and_variance(estimator, S, f=f):
    """The exact mean (N, K) and total variance of an estimator's gradient,
    over every outcome of its S codes.
    """
    z, weights = every_code(logits, S)
    mean, variance = moments(
        weights, estimator(tiled(logits, len(weights)), f, z).dlogits
    )
    return mean, variance.sum()


# %% [markdown] slide
# ## Exact mean, exact variance
#
# A draw has finitely many outcomes $o$, with the probabilities $P(o)$. Nothing need be drawn:
#
# [Eq. 5.3]
#
# $S$ samples of $N$ latents have $(K^N)^S$ outcomes. *One* call of the estimator returns all their gradients.
#
# [output]

# %%
states = dvae_np.joint_states(N, K)[:, None]  # (9, 1, N): every state once
chance = np.exp(dvae_np.log_prob(logits, states)[0])[:, 0]  # (9,)
squares = (score(logits, states) ** 2).sum((-1, -2))[:, 0]  # (9,)
values = f(states)[0][:, 0]  # (9,)
V1 = chance @ (values**2 * squares) - (exact.dlogits**2).sum()
for S in (1, 2, 4):
    mean, variance = mean_and_variance(dvae_np.reinforce, S)
    confirm("5.3", variance, V1 / S)
    noise_to_signal = np.sqrt(variance) / np.linalg.norm(exact.dlogits)
    print(
        f"S = {S}: variance {variance:.3f}, root / length of the "
        f"gradient {noise_to_signal:.2f}"
    )

# %% [markdown]
# With one sample the noise is four times as long as the gradient. The term $f(z)^2$ says why a constant hurts: it grows with the size of $f$, although the gradient does not.

# %% [markdown] slide
# ## Why a constant hurts
#
# $$V_1 = \sum_z q(z)\, f(z)^2\, \lVert \mathrm{score}(z) \rVert^2 - \lVert \nabla_{\ell} \mathbb{E}_q f \rVert^2, \qquad V_S = V_1 / S$$
#
# The term $f(z)^2$ grows with the size of $f$, although the gradient does not:
#
# [output]
#
# The reconstruction loss of an image may well be a hundred nats.

# %%
for constant in (-2, 0, 100):
    mean, variance = mean_and_variance(
        dvae_np.reinforce, 1, lookup_table(table + constant)
    )
    confirm("5.2", mean, exact.dlogits[0])
    print(f"f + {constant:3d}: the same mean, variance {variance:10.3f}")

# %% [markdown]
# ## 6 When outcomes are too many: a test by samples
#
# With $K = 10$ and $N = 20$ nothing can be enumerated. Then we draw an estimator many times and compare the mean with the exact value. Lesson 15 is about such tests; here is the formula that it needs.
#
# Draw the estimator $R$ times, and look at one number of each draw: an entry, or the component along the exact gradient. Let $\bar{g}$ be the mean of these $R$ numbers, $\mathrm{sd}$ their standard deviation, and $g^{\ast}$ the exact value.
# If the estimator is unbiased, $(\bar{g} - g^{\ast}) \sqrt{R} / \mathrm{sd}$ is nearly a standard normal variable. It exceeds a limit $c$ in size with a small probability, the *false-alarm rate*, which we choose. So
#
# $$\lvert \bar{g} - g^{\ast} \rvert > c\, \mathrm{sd} / \sqrt{R} \tag{5.4}$$
#
# raises an alarm. If there is no alarm, either there is no bias, or $R$ is too small to see it.
#
# *Power* is the chance that the test sees a bias of a given size $\delta$. With a bias $\delta > 0$ the statistic $(\bar{g} - g^{\ast}) \sqrt{R} / \mathrm{sd}$ is nearly normal with variance 1, but its mean is $\delta \sqrt{R} / \mathrm{sd}$.
# Take this mean off: the alarm is raised if a standard normal variable exceeds $c - \delta \sqrt{R} / \mathrm{sd}$. (The statistic hardly ever falls below $-c$.) Let $\Phi(t)$ be the probability that a standard normal variable is below $t$, which is also the probability that it exceeds $-t$. So the power is nearly
# $\Phi(\delta \sqrt{R} / \mathrm{sd} - c)$. A power of $\Phi(c')$ requires $\delta \sqrt{R} / \mathrm{sd} - c = c'$, or
#
# $$\delta = (c + c')\, \mathrm{sd} / \sqrt{R} .$$
#
# At a false-alarm rate of $10^{-4}$ and a power of $0.99$, $c \approx 3.9$ and $c' \approx 2.3$. A bias that is ten times smaller takes a hundred times the draws. `from_samples` says its verdict, and what it would have seen.

# %% [markdown] slide
# ## When outcomes are too many: a test by samples
#
# Draw the estimator $R$ times. Compare the mean with the exact value $g^{\ast}$. An alarm is raised if
#
# [Eq. 5.4]
#
# No alarm: there is no bias, or $R$ is too small. The bias that the test would have seen ($c$ comes from the false-alarm rate, $c'$ from the power):
#
# $$\delta = (c + c')\, \mathrm{sd} / \sqrt{R}$$
#
# [output]

# %%
for R in (1_000, 10_000, 100_000):
    many = tiled(logits, R)
    (z,) = draw(rng, many, 1, ("z",))
    print(
        f"{R:7,d} draws:\n ",
        from_samples(
            dvae_np.reinforce(many, f, z).dlogits, exact.dlogits[0]
        ),
    )

# %% [markdown]
# Is $\delta$ right? Add a bias of exactly $\delta$ along the gradient, run the test two thousand times, and count the alarms:

# %%
from scipy.stats import norm, t

repeats, R, false_alarm, power = 2000, 400, 0.01, 0.9
many = tiled(logits, repeats * R)
(z,) = draw(rng, many, 1, ("z",))
direction = exact.dlogits[0] / (exact.dlogits**2).sum()
# the component along the exact gradient: its exact value is 1
along = (dvae_np.reinforce(many, f, z).dlogits * direction).sum((-1, -2))
c, c_power = t.isf(false_alarm / 2, R - 1), norm.isf(1 - power)
sd = along.std()
delta = (c + c_power) * sd / np.sqrt(R)
along = along.reshape(repeats, R)


def share_of_alarms(bias):
    error = (along + bias).mean(1) - 1
    return np.mean(np.abs(error) > c * along.std(1, ddof=1) / np.sqrt(R))


print(f"alarms with a bias of {delta:.0%}: {share_of_alarms(delta):.1%}, "
      f"with one of {-delta:.0%}: {share_of_alarms(-delta):.1%}, "
      f"without: {share_of_alarms(0):.1%}")  # fmt: skip
confirm("5.4", share_of_alarms(delta), power, tolerance=0.02)
skewness = ((along - along.mean()) ** 3).mean() / sd**3
print(f"skewness of REINFORCE along the gradient: {skewness:+.2f}")

# %% [markdown]
# The power should be {{power:.0%}}. The test sees this bias a little more often, and one of the other sign a little less: REINFORCE along the gradient is not quite normal. Its *skewness*, the mean cube of its distance from the mean in units of $\mathrm{sd}$, is {{skewness:+.2f}}; that of a normal variable is zero.
#
# The picture shows sections 2 and 6. Left: one logit moves and the noise is held. Each sample's $f$ is a staircase (grey). The mean over all noise (black) is smooth, with slope {{exact.dlogits[0, 0, 0]:.2f}} at our logit. Right: the smallest relative bias that a test of REINFORCE sees
# ($S = 1$, a power of $0.99$). It falls as $1 / \sqrt{R}$. The same $f$ with 100 nats added needs {{further**2:,.0f}} times the draws.

# %% [markdown] slide
# ## Staircases, and the smallest bias that is seen
#
# [picture]
#
# Left: $f$ of a sample is a staircase, the mean over all noise is smooth. Right: a bias ten times smaller takes a hundred times the draws. With 100 nats added, $f$ needs {{further**2:,.0f}} times the draws.

# %%
further = deviation_along(
    "reinforce", logits, table + 100
) / deviation_along("reinforce", logits, table)
print(f"f + 100 needs {further**2:,.0f} times the draws of f")
figure("score_function.png")

# %% [markdown]
# ## 7 What it buys
#
# The model of lesson 00, with one code out of $K = 20$, can now be trained by draws. Nothing changes but the gradients. For each image draw `S` codes, `z` (S, B), and look up their losses, `fz` (S, B). The reconstruction's part of `dlogits` becomes [Eq. 5.2]; the KL's part stays exact:
#
# ```python
# score = np.eye(K)[z] - q  # (S, B, K)
# dlogits = (fz[..., None] * score).mean(0) / B  # was q * (f - f_mean) / B
# dlogits += q * (log_q - (q * log_q).sum(1, keepdims=True)) / B  # the KL
# ```
#
# The decoder's gradient is the average over the same draws [Eq. 5.1]. The library trains with $S = 4$. Here are 60 steps of it, and then the record of 600 steps and three seeds (`python -m dvae_np compare --lessons` makes it).
# The two numbers at step 60 agree only to a tenth of a nat. Rounding differs between computers. This may change a drawn code, and then the run.

# %%
from dvae_np import records
from dvae_np.experiments.first_model import negative_elbo, taught, train
from dvae_np.figures import first_models
from dvae_np.train import load

first = records.read("first-model")
data = load("digits")
images, unseen = (each.x.astype(float) for each in (data.train, data.test))
setting = first["estimators"]["reinforce"]
trained = train("reinforce", images, steps=60, rate=setting["rate"])
recorded = setting["test"][0][first["steps"].index(60)]
print(f"after 60 steps: {negative_elbo(trained, unseen):.2f} nats, "
      f"in the record {recorded:.2f}")  # fmt: skip
show(train)

# %% [markdown] slide
# ## What it buys: the model of lesson 00
#
# ```python
# score = np.eye(K)[z] - q  # (S, B, K)
# dlogits = (fz[..., None] * score).mean(0) / B  # was q * (f - f_mean) / B
# ```
#
# [picture]
#
# REINFORCE sees 4 codes of an image and ends at {{np.median(ends["reinforce"]):.1f}} nats. The exact gradient sees all 20: {{np.median(ends["exact"]):.1f}}. The distance is the price of the variance.

# %%
figure(
    first_models,
    first,
    taught(5),
    size=(7.4, 3.4),
    alt="Test loss against steps: flat at 25 nats without a derivative, "
    "lowest with the exact gradient, REINFORCE slower and a little above.",
)
ends = {
    name: [curve[-1] for curve in found["test"]]
    for name, found in first["estimators"].items()
}

# %% [markdown]
# REINFORCE learns. After 600 steps it is at {{np.median(ends["reinforce"]):.1f}} nats (three seeds: {{min(ends["reinforce"]):.1f}} to {{max(ends["reinforce"]):.1f}}). The exact gradient is at {{np.median(ends["exact"]):.1f}}, no derivative at {{np.median(ends["no derivative"]):.1f}}. All use the step size {{setting["rate"]:.2f}}, which was chosen on
# validation images. REINFORCE sees 4 codes of an image, the exact gradient all 20. The distance between their curves is the price of the variance.
#
# ## 8 Break it
#
# Two mistakes. The first returns the score and forgets $f$. Its mean is $\mathbb{E}[\mathrm{score}] = 0$. The second forgets the average over samples. Its reconstruction part is $S$ times too large, but the KL's part is right. So this mistake acts like a $\beta$ [Eq. 3.2] that is $S$ times smaller, and training goes on without a sign of it.
# The checker enumerates, and finds both.


# %% [markdown] slide
# ## Break it
#
# Two mistakes: the score without $f$, and a sum over the samples where their mean is due. The second acts like a $\beta$ that is $S$ times smaller, and training goes on without a sign of it.
#
# [output]


# %%
def score_alone(logits, f, z):
    """A bug: f is not in it."""
    return score(logits, z).mean(0)


def summed_over_samples(logits, f, z):
    """A bug: no 1/S."""
    fz, _ = f(z)
    return (fz[..., None, None] * score(logits, z)).sum(0)


for wrong in (score_alone, summed_over_samples):
    result = judge(wrong).failed[0]
    print(f"{wrong.__name__}: {result.verdict}")
    print(textwrap.fill(f"    {result.explanation}", 80))

# %% [markdown]
# ## Reading
#
# - R. J. Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning*, 1992: REINFORCE.
# - P. W. Glynn, *Likelihood ratio gradient estimation for stochastic systems*, 1990: the same idea in simulation.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey.
# - J. Schulman, N. Heess, T. Weber, P. Abbeel, *Gradient estimation using stochastic computation graphs*, 2015: samples in the middle of a network.
#
# Next: [06 Baselines](06_baselines.ipynb), which lower the variance and leave the mean alone.

# %% [markdown] exercise 05.1: 2 points
# ## 05.1 Derive: how many draws?
#
# Along the exact gradient, an estimator has the standard deviation `s`, relative to the gradient's length (`s` is the $\mathrm{sd}$ of [Eq. 5.4]). How many draws $R$ does a test need to see a
# relative bias `bias` with the given power, at the given two-sided false-alarm rate? Use normal quantiles: `norm.isf(p)`
# is the point that a standard normal variable exceeds with probability $p$. Return $R$ as a float, not rounded. About 2 lines. For `s = 2`, `bias = 0.05` and the
# default rates you should get about {{draws_needed(2.0, 0.05):,.0f}}.

# %% given 05.1
from scipy.stats import norm


# %% solution 05.1
def draws_needed(s, bias, false_alarm=1e-4, power=0.99):
    """The draws at which a relative bias is seen with this power."""
    ### BEGIN SOLUTION
    c = norm.isf(false_alarm / 2) + norm.isf(1 - power)
    return (c * s / bias) ** 2
    ### END SOLUTION


# %% check 05.1
from dvae_np.lesson import judge

judge("05.1", draws_needed)


# %% right 05.1
def draws_needed(s, bias, false_alarm=1e-4, power=0.99):
    from statistics import NormalDist

    quantile = NormalDist().inv_cdf
    return (
        (quantile(1 - false_alarm / 2) + quantile(power)) * s / bias
    ) ** 2


# %% wrong 05.1: a power of 50 %
def draws_needed(s, bias, false_alarm=1e-4, power=0.99):
    return (norm.isf(false_alarm / 2) * s / bias) ** 2


# %% wrong 05.1: halve the false-alarm rate
def draws_needed(s, bias, false_alarm=1e-4, power=0.99):
    return ((norm.isf(false_alarm) + norm.isf(1 - power)) * s / bias) ** 2


# %% wrong 05.1: the error falls as the root of R
def draws_needed(s, bias, false_alarm=1e-4, power=0.99):
    return (norm.isf(false_alarm / 2) + norm.isf(1 - power)) * s / bias


# %% [markdown] exercise 05.2: 1 point
# ## 05.2 Implement: REINFORCE
#
# Write `my_reinforce(logits, f, z)` for `logits` (B, N, K) and codes `z` (S, B, N). Return the gradient (B, N, K) of [Eq. 5.2], averaged over the samples.
# `f(z)` returns `fz` (S, B) and a backward that you do not need. Use `softmax(logits)[0]`, (B, N, K), and `one_hot(z, logits.shape[-1], logits.dtype)`, (S, B, N, K), not `score`.
# About 3 lines.


# %% solution 05.2
def my_reinforce(logits, f, z):
    """The score-function estimator."""
    ### BEGIN SOLUTION
    fz, _ = f(z)  # (S, B)
    # (S, B, N, K)
    scores = one_hot(z, logits.shape[-1], logits.dtype) - softmax(logits)[0]
    return (fz[..., None, None] * scores).mean(0)
    ### END SOLUTION


# %% check 05.2
from dvae_np.lesson import judge

judge("05.2", my_reinforce)


# %% right 05.2
def my_reinforce(logits, f, z):
    weight = f(z)[0] / len(z)  # (S, B)
    gradient = -weight.sum(0)[:, None, None] * softmax(logits)[0]
    for s, b, n in np.ndindex(z.shape):
        gradient[b, n, z[s, b, n]] += weight[s, b]
    return gradient


# %% wrong 05.2: multiply each by its f
def my_reinforce(logits, f, z):
    return (
        one_hot(z, logits.shape[-1], logits.dtype) - softmax(logits)[0]
    ).mean(0)


# %% wrong 05.2: a flipped sign
def my_reinforce(logits, f, z):
    fz, _ = f(z)
    return (
        fz[..., None, None]
        * (softmax(logits)[0] - one_hot(z, logits.shape[-1], logits.dtype))
    ).mean(0)


# %% wrong 05.2: is wrong at S = 3
def my_reinforce(logits, f, z):
    fz, _ = f(z)
    return (
        fz[..., None, None]
        * (one_hot(z, logits.shape[-1], logits.dtype) - softmax(logits)[0])
    ).sum(0)


# %% [markdown] exercise 05.3: 3 points
# ## 05.3 Implement: an exact mean and variance
#
# Write `my_moments(estimator, p)` for an estimator of one latent and $S = 2$ codes. `estimator(z1, z2)` takes two whole numbers from 0 to
# $K - 1$ and returns an array (K,). `p` (K,) holds the probabilities of the categories. Return an array (2, K): the mean in the first row, the variance of each entry in
# the second [Eq. 5.3]. Two loops, about 6 lines. The estimator `pair` given here has a mean of zero. Its variances should be {{my_moments(pair, p)[1, 0]:.4f}}, {{my_moments(pair, p)[1, 1]:.4f}} and {{my_moments(pair, p)[1, 2]:.4f}}.

# %% given 05.3
p = np.array([0.5, 0.3, 0.2])


def pair(z1, z2):
    """(f(z1) - f(z2)) / 2 times the sum of two scores, with f(k) = k^2."""
    return (z1**2 - z2**2) / 2 * (np.eye(3)[z1] + np.eye(3)[z2] - 2 * p)


# %% solution 05.3
def my_moments(estimator, p):
    """Mean and variance (2, K) over all pairs of codes."""
    ### BEGIN SOLUTION
    pairs = [(i, j) for i in range(len(p)) for j in range(len(p))]
    mean = sum(p[i] * p[j] * estimator(i, j) for i, j in pairs)
    variance = sum(
        p[i] * p[j] * (estimator(i, j) - mean) ** 2 for i, j in pairs
    )
    return np.stack([mean, variance])
    ### END SOLUTION


# %% check 05.3
from dvae_np.lesson import judge

judge("05.3", my_moments)


# %% right 05.3
def my_moments(estimator, p):
    weights = np.outer(p, p).ravel()
    values = np.array(
        [estimator(i, j) for i in range(len(p)) for j in range(len(p))]
    )
    mean = np.average(values, axis=0, weights=weights)
    return np.stack(
        [mean, np.average((values - mean) ** 2, axis=0, weights=weights)]
    )


# %% wrong 05.3: all pairs equally probable
def my_moments(estimator, p):
    every = np.array(
        [estimator(i, j) for i in range(len(p)) for j in range(len(p))]
    )
    return np.stack([every.mean(0), every.var(0)])


# %% wrong 05.3: subtract the mean before squaring
def my_moments(estimator, p):
    pairs = [(i, j) for i in range(len(p)) for j in range(len(p))]
    return np.stack(
        [
            sum(p[i] * p[j] * estimator(i, j) ** power for i, j in pairs)
            for power in (1, 2)
        ]
    )


# %% wrong 05.3: the standard deviation in the second row
def my_moments(estimator, p):
    weights = np.outer(p, p).ravel()
    values = np.array(
        [estimator(i, j) for i in range(len(p)) for j in range(len(p))]
    )
    mean = weights @ values
    return np.stack([mean, np.sqrt(weights @ (values - mean) ** 2)])


# %% [markdown] exercise 05.4: 2 points
# ## 05.4 Find the bug: a test that never fails
#
# This test lets every estimator pass, right or wrong. The 2,500 draws given below are a tenth too long, but the test reports a statistic of {{(too_long.mean() - 1) / too_long.std(ddof=1):.2f}}. Correct it. `draws` (R,) holds
# an estimator's values along the gradient, whose exact value is `exact_value`. Return the statistic that [Eq. 5.4] compares with $c$: a number with
# the sign of the bias. One line changes. On the draws given here you should get about {{z_statistic(too_long, 1.0):.2f}}.
#
# ```python
# standard_error = draws.std(ddof=1)
# ```

# %% given 05.4
too_long = 1.1 + 0.8 * np.random.default_rng(4).standard_normal(2_500)


# %% solution 05.4
def z_statistic(draws, exact_value):
    """How many standard errors the mean of the draws is away from the exact
    value.
    """
    ### BEGIN SOLUTION
    standard_error = draws.std(ddof=1) / np.sqrt(len(draws))
    ### END SOLUTION
    return (draws.mean() - exact_value) / standard_error


# %% check 05.4
from dvae_np.lesson import judge

judge("05.4", z_statistic)


# %% right 05.4
def z_statistic(draws, exact_value):
    from scipy.stats import ttest_1samp

    return ttest_1samp(draws, exact_value).statistic


# %% wrong 05.4: the mean of R draws has a smaller error than one draw
def z_statistic(draws, exact_value):
    standard_error = draws.std(ddof=1)
    return (draws.mean() - exact_value) / standard_error


# %% wrong 05.4: falls as the root of R
def z_statistic(draws, exact_value):
    standard_error = draws.std(ddof=1) / len(draws)
    return (draws.mean() - exact_value) / standard_error


# %% [markdown] written 05.W: 3 points
# ## 05.W In words: when is the mean of the score zero?
#
# (a) Let $q(z)$ be any law of $N$ latents. They may depend on each other, so $q$ need not be a product. It has parameters $\ell$, in which it is
# differentiable, and $q(z) > 0$ for all codes. Prove that $\mathbb{E}_q[\nabla_{\ell} \log q(z)] = 0$.
#
# (b) One latent, and one category is ruled out: its logit is $-\infty$, the other logits are finite. The logarithm of its probability does not exist. Show
# that $\mathbb{E}_q[\mathrm{onehot}(z) - q]$ is zero all the same. Where does your proof in (a) need a change?
#
# (c) A student has two categories without a softmax, $q = (\eta, 1 - \eta)$ with $0 \le \eta \le 1$, and uses $\partial \log q(z) / \partial \eta$ as the
# score. Compute its mean for $0 < \eta < 1$, and at $\eta = 0$ over the codes that can be drawn. Which step of the proof fails at $\eta = 0$? Half a page in
# all.

# %% [markdown] model 05.W
# (a) Write the mean as a sum over all codes:
#
# $$\sum_z q(z)\, \frac{\nabla_{\ell}\, q(z)}{q(z)} = \sum_z \nabla_{\ell}\, q(z) = \nabla_{\ell} \sum_z q(z) = \nabla_{\ell} 1 = 0 .$$
#
# The sum is finite, so the derivative may be taken outside. Nowhere is $q$ a product: only the positive probabilities and their sum, which is one for all
# $\ell$, are used.
#
# (b) Let $j$ be the category that is ruled out, so $q_j = 0$. Entry $j$ is $[z = j] - q_j = 0$ in every draw. For $k \ne j$ the mean of $[z = k]$ is $q_k$,
# so the mean of $[z = k] - q_k$ is zero. In the proof the sum may run over the codes with $q(z) > 0$ only. Their probabilities add up to one whatever the
# finite logits are, so the sum of their gradients is zero.
#
# (c) The scores are $1 / \eta$ and $-1 / (1 - \eta)$. For $0 < \eta < 1$ their mean is $1 - 1 = 0$. At $\eta = 0$ only the second category can be drawn, and
# its score is $-1$: the mean is $-1$. The step that fails is "the probabilities of the codes that can be drawn add up to one for all parameters". Here their
# sum is $1 - \eta$, whose derivative is $-1$. The first category has probability 0, but its derivative is 1, and no draw ever sees it. In (b) the derivative
# of $q_j$ is zero too.
#
# *Marks:* 1 for the proof in (a); 1 for (b); 1 for both means in (c) and the step that fails.
