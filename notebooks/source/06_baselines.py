# %% [markdown]
# # 06 Baselines
#
# **Question.** REINFORCE is unbiased for every $f$, but its variance grows with the size of $f$, even if only a constant is added. What may we subtract from $f$ so that the variance falls and the mean stays?
#
# **After this lesson you can**
# - prove that a baseline leaves the mean alone, and say which baselines do not,
# - derive the constant of least variance, and measure by enumeration what it gains,
# - write the leave-one-out estimator in three lines, and say why dividing by $S$ would shrink it by exactly $1 - 1/S$,
# - learn a baseline by gradient descent without biasing the estimate that it serves.
#
# *Needs:* lesson 05. *Takes:* 50 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import draw, score, softmax
from dvae_np.check import every_code, judge, lookup_table, moments, tiled
from dvae_np.lesson import confirm, figure, picture, show

rng = np.random.default_rng(0)
# (B, N, K): one example, one latent of four categories
logits = rng.standard_normal((1, 1, 4))
table = 3 + rng.standard_normal(4)  # f of each category, in nats
f = lookup_table(table)
q = softmax(logits)[0][0, 0]  # (K,)
exact = dvae_np.exact(logits, f).dlogits[0]  # (N, K)

# %% [markdown]
# ## 1 A constant baseline
#
# May we subtract a number from $f$? Yes, because the score, $\mathrm{score}(z) = \nabla_\ell \log q(z) = \mathrm{onehot}(z) - q$ [Eq. 2.4], has mean zero:
#
# $$\mathbb{E}_q[\mathrm{score}] = \sum_z q(z) \nabla_\ell \log q(z) = \sum_z \nabla_\ell q(z) = \nabla_\ell \sum_z q(z) = \nabla_\ell 1 = 0 .$$
#
# So for every number $b$ that does not depend on $z$,
#
# $$\mathbb{E}_q[(f - b)\, \mathrm{score}] = \mathbb{E}_q[f\, \mathrm{score}] - b\, \mathbb{E}_q[\mathrm{score}] = \mathbb{E}_q[f\, \mathrm{score}]. \tag{6.1}$$
#
# The mean does not change with $b$, but the variance does. For one draw of our latent, here is the mean over its four outcomes:

# %% [markdown] slide
# ## A number may be subtracted from $f$
#
# The score has mean zero:
#
# $$\sum_z q(z) \nabla_\ell \log q(z) = \nabla_\ell \sum_z q(z) = \nabla_\ell 1 = 0 .$$
#
# So for every $b$ that does not depend on $z$:
#
# [Eq. 6.1]
#
# The mean stays. The variance does not.

# %%
for b in (0.0, 3.0, -20.0):
    each = (table - b)[:, None] * (np.eye(4) - q)  # row k: if k was drawn
    confirm("6.1", q @ each, exact[0])

# %% [markdown]
# In the library the baseline is an argument. `every_code` lists all outcomes with their probabilities, and `moments` gives mean and variance [Eq. 5.3].

# %%
show(dvae_np.reinforce)


# %% setup
def mean_and_variance(estimator, S, **hyper):
    """The exact mean (N, K) and total variance of an estimator's gradient,
    over every outcome of its S codes.
    """
    z, weights = every_code(logits, S)
    mean, variance = moments(
        weights,
        estimator(tiled(logits, len(weights)), f, z, **hyper).dlogits,
    )
    return mean, variance.sum()


# %% [markdown] slide
# ## Three baselines, one mean
#
# One latent of four categories, $S = 1$. The mean is summed over all outcomes: nothing is drawn.
#
# [code]
#
# [output]

# %%
for b in (0.0, 3.0, -20.0):
    mean, variance = mean_and_variance(dvae_np.reinforce, 1, baseline=b)
    confirm("6.1", mean, exact)
    print(f"baseline {b:5.1f}: variance {variance:8.3f}")
without_baseline = mean_and_variance(dvae_np.reinforce, 1, baseline=0.0)[1]

# %% [markdown]
# ## 2 The best constant
#
# Which $b$ is best? We want the least total variance, the sum over the entries of the gradient:
#
# $$V(b) = \mathbb{E}\bigl[(f - b)^2 \lVert \mathrm{score} \rVert^2\bigr] - \lVert \nabla_\ell \mathbb{E}_q f \rVert^2 .$$
#
# The second term is fixed. So $V$ is a parabola in $b$. Its derivative, $-2\, \mathbb{E}[(f - b) \lVert \mathrm{score} \rVert^2]$, is zero at
#
# $$b^{\ast} = \frac{\mathbb{E}[f\, \lVert \mathrm{score} \rVert^2]}{\mathbb{E}[\lVert \mathrm{score} \rVert^2]} . \tag{6.2}$$
#
# This is *not* the mean of $f$: improbable codes have a long score, and count more. For one latent
# $\lVert \mathrm{score}(k) \rVert^2 = 1 - 2 q_k + \sum_j q_j^2$.

# %% [markdown] slide
# ## The best constant
#
# The variance is a parabola in $b$. Its lowest point:
#
# [Eq. 6.2]
#
# - It is *not* the mean of $f$: improbable codes have a long score, and count more.
# - Nobody knows it in practice.
#
# [output]

# %%
squares = 1 - 2 * q + (q**2).sum()
best = (q * table * squares).sum() / (q * squares).sum()
print(f"E[f] = {q @ table:.4f} nats, optimal baseline {best:.4f} nats")
for b in (q @ table, best):
    print(
        "variance "
        f"{mean_and_variance(dvae_np.reinforce, 1, baseline=b)[1]:.6f}"
    )
grid = np.linspace(best - 1, best + 1, 2001)
variances = [(q * (table - b) ** 2 * squares).sum() for b in grid]
least = mean_and_variance(dvae_np.reinforce, 1, baseline=best)[1]
print(
    f"without a baseline: {without_baseline / least:.1f} times the least "
    "variance"
)
confirm("6.2", best, grid[np.argmin(variances)], tolerance=1e-3)

# %% [markdown]
# Nobody knows $b^{\ast}$ in practice. `reinforce_optimal` estimates it for each sample from the *other* samples, which are independent of it:

# %%
show(dvae_np.reinforce_optimal)
mean, variance = mean_and_variance(dvae_np.reinforce_optimal, 3)
confirm("6.2", mean, exact)

# %% [markdown]
# ## 3 Learned baselines
#
# Can a baseline be learned? The simplest is a moving average of the losses seen so far. With $\gamma$ a little below 1, its update is a step of gradient descent on $(f - b)^2 / 2$ with step size
# $1 - \gamma$:
#
# $$b \leftarrow b - (1 - \gamma)(b - f). \tag{6.3}$$
#
# The baseline must be *used before it is updated*: after the update $b$ contains the $f$ of this very sample, and the proof of [Eq. 6.1]
# fails. The library's estimator returns the gradient $b - f$ as `domega`, and the optimiser makes the step afterwards.

# %% [markdown] slide
# ## A baseline that is learned
#
# A moving average of the losses seen so far is a step of gradient descent on $(f - b)^2 / 2$:
#
# [Eq. 6.3]
#
# **Use it first, update it afterwards.** After the update $b$ contains the $f$ of this very sample, and the proof fails.
#
# *Question: what happens to the mean if you update first?*

# %%
b, gamma = 0.0, 0.95
for k in rng.choice(4, size=400, p=q):
    b -= (1 - gamma) * (b - table[k])
print(f"moving average {b:.2f}, E[f] = {q @ table:.2f} nats")
show(dvae_np.reinforce_ema)
z, weights = every_code(logits, 1)
estimate = dvae_np.reinforce_ema(
    tiled(logits, 4), f, z, omega={"baseline": np.asarray(1.5)}
)
confirm("6.3", moments(weights, estimate.dlogits)[0], exact)
confirm("6.3", np.sum(estimate.domega["baseline"]), np.sum(1.5 - table))

# %% [markdown]
# A baseline may also depend on the *input* $x$: some images are hard to reconstruct, whatever the code. NVIL (Mnih & Gregor 2014)
# learns a network $C(x)$ beside a constant $c$, and divides by a running estimate $\hat\sigma$ of the standard deviation where that is above 1:
#
# $$\frac{f(z) - c - C(x)}{\max(1, \hat\sigma)}\, \mathrm{score}(z), \qquad c, C \text{ by descent on } (f - c - C)^2 / 2 . \tag{6.4}$$
#
# In the library $C$ sees the logits. The division is off by default: with it the estimate is on average a positive multiple of the gradient, and no longer the gradient itself.

# %%
show(dvae_np.nvil)
# TABLE lists all estimators by name; omega makes the tunables' first values
omega = dvae_np.TABLE["nvil"].omega(np.random.default_rng(1), 1, 4)
omega = {name: value + 0.1 for name, value in omega.items()}
estimate = dvae_np.nvil(tiled(logits, 4), f, z, omega=omega)
confirm("6.4", moments(weights, estimate.dlogits)[0], exact)

# %% [markdown]
# ## 4 Leave-one-out
#
# Which baseline needs no learning and adapts to every input? With $S \ge 2$ samples, take the mean of the *other* samples' $f$:
#
# $$g = \frac{1}{S} \sum_s \Bigl(f(z_s) - \frac{1}{S-1} \sum_{t \ne s} f(z_t)\Bigr) \mathrm{score}(z_s) .$$
#
# Why is this unbiased? Look at one sample $z_s$. Its baseline is computed from the other samples, and they are drawn independently of $z_s$. So hold the others fixed: then the baseline is a constant for $z_s$, and by [Eq. 6.1] the mean of the term is the
# exact gradient. This holds for all values of the others, so it holds on average over them too. And the mean of $S$ unbiased terms is unbiased.
#
# The formula has a shorter form. Let $\bar f$ be the mean of all $S$ values, so that
# $\sum_{t \ne s} f(z_t) = S \bar f - f(z_s)$. Then
#
# $$f(z_s) - \frac{S \bar f - f(z_s)}{S - 1} = \frac{(S - 1) f(z_s) - S \bar f + f(z_s)}{S - 1} = \frac{S}{S-1}\,\bigl(f(z_s) - \bar f\bigr),$$
#
# and the factor $S$ cancels with the $1/S$ in front:
#
# $$g = \frac{1}{S-1} \sum_s \bigl(f(z_s) - \bar f\bigr)\, \mathrm{score}(z_s) . \tag{6.5}$$
#
# So we may subtract the mean of *all* samples if we divide by $S - 1$. Dividing by $S$ shrinks the estimate by exactly
# $1 - 1/S$: the baseline then includes its own sample.

# %% [markdown] slide
# ## Leave-one-out: the other samples are the baseline
#
# $$g = \frac{1}{S} \sum_s \Bigl(f(z_s) - \frac{1}{S-1} \sum_{t \ne s} f(z_t)\Bigr) \mathrm{score}(z_s)$$
#
# - The other samples are independent of $z_s$: hold them fixed, and the baseline is a constant.
# - Nothing is learned, and each input has its own baseline.
#
# The same, shorter:
#
# [Eq. 6.5]

# %%
S = 3
(drawn,) = draw(rng, logits, S, ("z",))
fz, _ = f(drawn)
others = (fz.sum(0) - fz) / (S - 1)
by_definition = (
    (fz - others)[..., None, None] * score(logits, drawn)
).mean(0)
confirm(
    "6.5", dvae_np.reinforce_loo(logits, f, drawn).dlogits, by_definition
)
confirm("6.5", mean_and_variance(dvae_np.reinforce_loo, S)[0], exact)
show(dvae_np.reinforce_loo)

# %% [markdown]
# ## 5 The cloud shrinks
#
# Lesson 05 drew a cloud of sampled gradients. Here is the latent of that picture, with 3 nats added to its losses: they are now 4, 6 and 5 nats. Each dot is a gradient from $S = 8$ draws. The draws are the same in all three panels, and so are the axes.

# %% [markdown] slide
# ## The cloud shrinks
#
# Each dot is a gradient from the same $S = 8$ draws. The arrow is the exact gradient.
#
# [picture]
#
# Typical distance from the tip: {{spread["no baseline"]:.1f}} nats without a baseline, {{spread["leave-one-out"]:.2f}} with leave-one-out.

# %%
q3, losses = np.array([0.5, 0.3, 0.2]), np.array([4.0, 6.0, 5.0])
right = q3 * (losses - q3 @ losses)  # the exact gradient
long = 1 - 2 * q3 + (q3**2).sum()  # squared lengths of the scores
b_best = (q3 * losses * long).sum() / (q3 * long).sum()
draws = rng.choice(3, size=(200, 8), p=q3)  # (clouds' dots, S)
fs, scores = losses[draws], np.eye(3)[draws] - q3
centred = {
    "no baseline": fs,
    "best constant": fs - b_best,
    "leave-one-out": (fs - fs.mean(1, keepdims=True)) * 8 / 7,
}
plane = np.array([[1, -1, 0], [-1, -1, 2]]).T / np.sqrt([2, 6])
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.6), layout="constrained",
                         sharex=True, sharey=True)  # fmt: skip
spread = {}
for ax, (name, signal) in zip(axes, centred.items(), strict=True):
    cloud = (signal[..., None] * scores).mean(1)  # (200, K)
    spread[name] = np.sqrt(((cloud - right) ** 2).sum(1).mean())
    ax.scatter(*(cloud @ plane).T, s=25, alpha=0.2, linewidth=0)
    ax.quiver(0, 0, *(right @ plane), angles="xy", scale_units="xy",
              scale=1, width=0.012, zorder=3)  # fmt: skip
    ax.set(aspect="equal", xlabel=f"{name} (nats)")
picture(
    fig,
    "Three clouds of 200 sampled gradients on the same axes. Without a "
    "baseline the cloud is far wider than the arrow of the exact gradient "
    "is long; with the best constant and with leave-one-out it is small.",
)
print({name: f"{value:.2f} nats" for name, value in spread.items()})
print(f"length of the exact gradient {np.linalg.norm(right):.2f} nats")

# %% [markdown]
# All three have the same mean, the tip of the arrow. A baseline takes away the common part of $f$, which does not say which code is better. The typical distance from the tip falls from {{spread["no baseline"]:.1f}} nats to {{spread["best constant"]:.2f}} with the best constant and {{spread["leave-one-out"]:.2f}} with
# leave-one-out, which need not know that constant.
#
# ## 6 What each baseline gains, exactly
#
# How far is leave-one-out from the best constant, for the problem of section 1?

# %% [markdown] slide
# ## What each baseline gains, exactly
#
# [picture]
#
# Without a baseline: {{without_baseline / least:.0f}} times the least variance. Leave-one-out at $S = 5$: {{ratio_at_5:.1f}} times.

# %%
for S in (2, 3, 5):
    ratio_at_5 = mean_and_variance(dvae_np.reinforce_loo, S)[1] / (
        least / S
    )
    print(
        f"S = {S}: {ratio_at_5:.2f} times the variance of the best constant"
    )
figure("baselines.png")

# %% [markdown]
# Left: the parabola of section 2. Without a baseline the variance is {{without_baseline / least:.0f}} times the least one.
# The mean of $f$ is close to the best constant here.
# Right, on a logarithmic axis: leave-one-out at $S = 2$ is already far below REINFORCE without a baseline. At $S = 5$
# it has {{ratio_at_5:.1f}} times the variance of the best constant. `reinforce_optimal` lies on it: at $S = 2$ the two are equal, since only one other sample is left, and for larger $S$ they estimate two numbers that are close here, $b^{\ast}$ and the mean of $f$.
#
# ## 7 What it buys
#
# We train the model of lesson 00 by leave-one-out. One line differs from lesson 05: `fz` (S, B) is centred, and the sum is divided by $S - 1$.
#
# ```python
# score = np.eye(K)[z] - q  # (S, B, K)
# dlogits = ((fz - fz.mean(0))[..., None] * score).sum(0) / (S - 1) / B
# ```

# %% [markdown] slide
# ## What it buys: the model of lesson 00
#
# One line differs from lesson 05.
#
# ```python
# dlogits = ((fz - fz.mean(0))[..., None] * score).sum(0) / (S - 1) / B
# ```
#
# [picture]

# %%
from dvae_np import records
from dvae_np.experiments.first_model import taught
from dvae_np.figures import first_models

first = records.read("first-model")
figure(
    first_models,
    first,
    taught(6),
    size=(7.4, 3.4),
    alt="Test loss against steps: leave-one-out falls almost as fast as "
    "the exact gradient and ends beside it; REINFORCE stays above both.",
)
ends = {
    name: [curve[-1] for curve in found["test"]]
    for name, found in first["estimators"].items()
}

# %% [markdown]
# With four codes an image and step, leave-one-out ends at {{np.median(ends["reinforce_loo"]):.1f}} nats (three seeds: {{min(ends["reinforce_loo"]):.1f}} to {{max(ends["reinforce_loo"]):.1f}}). REINFORCE from the same number of codes ends at {{np.median(ends["reinforce"]):.1f}}, the exact gradient from all twenty at {{np.median(ends["exact"]):.1f}}.
# The step size, {{first["estimators"]["reinforce_loo"]["rate"]:.2f}}, was chosen on validation images.
#
# ## 8 Why go on?
#
# Leave-one-out is unbiased, cheap and nearly as good as the exact gradient in this model. Why are there more lessons? Because this model has one latent. With $N$ latents, each latent's score is multiplied by the whole $f$, and
# what the other latents do to $f$ is noise. Let $f$ be a sum over $N$ latents, each as in section 1:

# %% [markdown] slide
# ## Why go on?
#
# With $N$ latents, each latent's score is multiplied by the whole $f$: what the others do to $f$ is noise.
#
# [output]
#
# - A baseline is one number for all latents. It cannot tell their parts of $f$ from each other.
# - The *slope* of $f$ tells more per evaluation, at the price of a bias: lessons 07 and 08.

# %%
relative = {}
for N in (1, 2, 3, 4):
    several = np.repeat(logits, N, 1)  # (B, N, K)
    total = lambda z: (table[z].sum(-1), lambda dfz: (None, {}))
    z, weights = every_code(several, 2)
    pair = dvae_np.reinforce_loo(tiled(several, len(weights)), total, z)
    length = np.linalg.norm(dvae_np.exact(several, total).dlogits)
    variance = moments(weights, pair.dlogits)[1].sum()
    relative[N] = variance / length**2
    print(f"N = {N}: variance / length^2 of the gradient {relative[N]:.2f}")

# %% [markdown]
# The variance relative to the gradient grows in proportion to $N$. A baseline is one number for all latents, so it cannot tell their parts of $f$ from each other. More samples help, but each costs an evaluation of $f$.
#
# There are two ways on. The *slope* of $f$ tells more per evaluation: one backward pass gives $N K$ numbers, where the value of $f$ is one. Lessons 07 and 08 use it, at the price of a bias. Lessons 10 to 13 lower the variance and stay unbiased.
#
# ## 9 Break it
#
# The baseline is the mean over *all* samples, and the sum is divided by $S$. This trains, and
# no plot of a loss shows the mistake. The checker names it.


# %% [markdown] slide
# ## Break it
#
# The mean over *all* samples, divided by $S$. It trains, and no plot of a loss shows the mistake.
#
# [output]


# %%
def own_sample_in_the_baseline(logits, f, z):
    """A bug: the baseline contains its own sample, and the sum is divided
    by S.
    """
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


found = judge(own_sample_in_the_baseline).failed[0]
print(found.verdict)
print(textwrap.fill(found.explanation, 80))

# %% [markdown]
# ## Reading
#
# - R. J. Williams, *Simple statistical gradient-following algorithms*, 1992: the constant baseline.
# - A. Mnih, K. Gregor, *Neural variational inference and learning in belief networks*, 2014: input-dependent baselines (NVIL).
# - W. Kool, H. van Hoof, M. Welling, *Buy 4 REINFORCE samples, get a baseline for free*, 2019: leave-one-out.
# - E. Greensmith, P. Bartlett, J. Baxter, *Variance reduction techniques for gradient estimates*, 2004: the optimal constant.
#
# Next: [07 Gumbel-Softmax](07_gumbel_softmax.ipynb), which gives up unbiasedness for a slope.

# %% [markdown] exercise 06.1: 2 points
# ## 06.1 Derive: the variance at a baseline
#
# Take one latent with $K$ categories. `q` (K,) holds their probabilities, and `table` (K,) the values of $f$. Write `variance_at(b, q, table)`: the total
# variance of REINFORCE at $S = 1$ with the constant baseline $b$, a number. Sum over the categories, without sampling. About 3 lines.
# For the setup's `q` and `table` at $b = 0$ you should get about {{variance_at(0.0, q, table):.3f}}.


# %% solution 06.1
def variance_at(b, q, table):
    """The total variance of (f - b) score, exactly."""
    ### BEGIN SOLUTION
    squares = 1 - 2 * q + (q**2).sum()
    gradient = q * (table - q @ table)
    return (q * (table - b) ** 2 * squares).sum() - (gradient**2).sum()
    ### END SOLUTION


# %% check 06.1
from dvae_np.lesson import judge

judge("06.1", variance_at)


# %% right 06.1
def variance_at(b, q, table):
    scores = np.eye(len(q)) - q
    gradients = (table - b)[:, None] * scores
    mean = sum(q[k] * gradients[k] for k in range(len(q)))
    return float(
        sum(
            q[k] * ((gradients[k] - mean) ** 2).sum() for k in range(len(q))
        )
    )


# %% wrong 06.1: the second moment: subtract the squared mean
def variance_at(b, q, table):
    squares = 1 - 2 * q + (q**2).sum()
    return (q * (table - b) ** 2 * squares).sum()


# %% wrong 06.1: each term belongs beside its squared score
def variance_at(b, q, table):
    gradient = q * (table - q @ table)
    return (q * (table - b) ** 2).sum() - (gradient**2).sum()


# %% wrong 06.1: the variance of f alone
def variance_at(b, q, table):
    return (q * (table - q @ table) ** 2).sum()


# %% wrong 06.1: is wrong
def variance_at(b, q, table):
    squares = 1 - 2 * q + (q**2).sum()
    return (q * table**2 * squares).sum() - (
        (q * (table - q @ table)) ** 2
    ).sum()


# %% [markdown] exercise 06.2: 1 point
# ## 06.2 Implement: leave-one-out
#
# Write `my_loo(logits, f, z)` for `logits` (B, N, K) and codes `z` (S, B, N) with $S \ge 2$. Return the gradient (B, N, K) of [Eq. 6.5].
# `f(z)` returns `fz` (S, B) and a backward that you do not need. `score(logits, z)` is (S, B, N, K). About 2 lines.


# %% solution 06.2
def my_loo(logits, f, z):
    """REINFORCE with the mean of the other samples as its baseline."""
    ### BEGIN SOLUTION
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).sum(
        0
    ) / (len(z) - 1)
    ### END SOLUTION


# %% check 06.2
from dvae_np.lesson import judge

judge("06.2", my_loo)


# %% right 06.2
def my_loo(logits, f, z):
    fz, total = f(z)[0], 0
    for s in range(len(z)):
        for t in range(len(z)):
            if t != s:
                total = (
                    total
                    + (fz[s] - fz[t])[:, None, None] * score(logits, z)[s]
                )
    return total / (len(z) * (len(z) - 1))


# %% wrong 06.2: a baseline that includes its own sample
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


# %% wrong 06.2: a flipped sign
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz.mean(0) - fz)[..., None, None] * score(logits, z)).sum(
        0
    ) / (len(z) - 1)


# %% wrong 06.2: a mean where a sum is due
def my_loo(logits, f, z):
    fz, _ = f(z)
    return (
        ((fz - fz.mean(0))[..., None, None] * score(logits, z)).sum(0)
        / (len(z) - 1)
        / len(z)
    )


# %% wrong 06.2: shape (3, 5, 2, 4), expected (5, 2, 4)
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)) / (
        len(z) - 1
    )


# %% wrong 06.2: REINFORCE without a baseline
def my_loo(logits, f, z):
    return (f(z)[0][..., None, None] * score(logits, z)).mean(0)


# %% wrong 06.2: write it yourself
def my_loo(logits, f, z):
    return dvae_np.reinforce_loo(logits, f, z).dlogits


# %% wrong 06.2: each example has its own
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz - fz.mean())[..., None, None] * score(logits, z)).sum(0) / (
        len(z) - 1
    )


# %% [markdown] exercise 06.3: 1 point
# ## 06.3 Find the bug: a baseline that has seen too much
#
# This moving average is updated *before* it is used. Correct it. `b` is the average so far, a number, and `decay` is $\gamma$ of [Eq. 6.3]. There is one
# sample, `z` (1, B, N). Return the gradient (B, N, K) and the new average, a number. One line has to move.
#
# ```python
# fz, _ = f(z)  # (1, B)
# b = decay * b + (1 - decay) * fz.mean()
# gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
# return gradient, b
# ```


# %% solution 06.3
def moving_average(logits, f, z, b, decay=0.9):
    """One step of REINFORCE with a moving-average baseline: (gradient (B,
    N, K), the new b).
    """
    fz, _ = f(z)  # (1, B)
    ### BEGIN SOLUTION
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    b = decay * b + (1 - decay) * fz.mean()
    ### END SOLUTION
    return gradient, b


# %% check 06.3
from dvae_np.lesson import judge

judge("06.3", moving_average)


# %% right 06.3
def moving_average(logits, f, z, b, decay=0.9):
    fz = f(z)[0][0]
    gradient = np.stack(
        [(fz[i] - b) * score(logits, z)[0, i] for i in range(len(fz))]
    )
    return gradient, b - (1 - decay) * (b - np.mean(fz))


# %% wrong 06.3: b contains this very sample
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    b = decay * b + (1 - decay) * fz.mean()
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    return gradient, b


# %% wrong 06.3: b remembers
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    return gradient, fz.mean()


# %% wrong 06.3: b is used before it is updated
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    gradient = (fz[..., None, None] * score(logits, z)).mean(0)
    return gradient, decay * b + (1 - decay) * fz.mean()


# %% wrong 06.3: decay belongs to the old b
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    return gradient, (1 - decay) * b + decay * fz.mean()


# %% wrong 06.3: it must move towards f
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    return ((fz - b)[..., None, None] * score(logits, z)).mean(0), b


# %% [markdown] exercise 06.4: 3 points
# ## 06.4 Derive: the optimal constant for two latents
#
# Now there are $N = 2$ latents of $K$ categories. The score has entries for both latents, $\lVert \mathrm{score} \rVert^2$ is a sum over both, and $f$ depends on both.
# Write `optimal_constant(logits, table)` for `logits` (1, 2, K) and `table` (K, K), the values $f(z_1, z_2)$. Return $b^{\ast}$ of [Eq. 6.2] over all
# joint states, a number. `dvae_np.joint_states(2, K)` lists the states, (K*K, 2). About 5 lines.
# For the arrays below you should get about {{optimal_constant(two_logits, two_table):.4f}}.

# %% given 06.4
two_logits = np.random.default_rng(5).standard_normal((1, 2, 3))
two_table = np.random.default_rng(6).standard_normal((3, 3))


# %% solution 06.4
def optimal_constant(logits, table):
    """The baseline of least variance for two latents."""
    ### BEGIN SOLUTION
    states = dvae_np.joint_states(2, len(table))[:, None]  # (K * K, 1, 2)
    weight = np.exp(dvae_np.log_prob(logits, states)[0])[:, 0]  # (K * K,)
    squares = (score(logits, states) ** 2).sum((-1, -2))[:, 0]
    values = table[states[:, 0, 0], states[:, 0, 1]]
    return (weight * values * squares).sum() / (weight * squares).sum()
    ### END SOLUTION


# %% check 06.4
from dvae_np.lesson import judge

judge("06.4", optimal_constant)


# %% right 06.4
def optimal_constant(logits, table):
    q = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    above = below = 0.0
    for i, j in np.ndindex(table.shape):
        square = ((np.eye(len(table))[i] - q[0]) ** 2).sum() + (
            (np.eye(len(table))[j] - q[1]) ** 2
        ).sum()
        above += q[0, i] * q[1, j] * square * table[i, j]
        below += q[0, i] * q[1, j] * square
    return above / below


# %% wrong 06.4: weigh each state by its squared score too
def optimal_constant(logits, table):
    q = softmax(logits)[0][0]
    return q[0] @ table @ q[1]


# %% wrong 06.4: flipped sign
def optimal_constant(logits, table):
    states = dvae_np.joint_states(2, len(table))[:, None]
    weight = np.exp(dvae_np.log_prob(logits, states)[0])[:, 0]
    squares = (score(logits, states) ** 2).sum((-1, -2))[:, 0]
    values = table[states[:, 0, 0], states[:, 0, 1]]
    return -(weight * values * squares).sum() / (weight * squares).sum()


# %% wrong 06.4: the squared score is a sum over both
def optimal_constant(logits, table):
    q = softmax(logits)[0][0]
    weight, squares = (
        q[0][:, None] * q[1],
        (1 - 2 * q[0] + (q[0] ** 2).sum())[:, None],
    )
    return (weight * table * squares).sum() / (weight * squares).sum()


# %% [markdown] written 06.W: 3 points
# ## 06.W In words: what the bug of 06.3 does to the mean
#
# The average of 06.3 is updated first, with the mean of $f$ over the batch of $B$ examples: $b' = \gamma b + (1 - \gamma) \frac{1}{B} \sum_j f(z_j)$.
# The codes of different examples are drawn independently.
#
# (a) Show that the mean gradient of each example is the exact one times $1 - (1 - \gamma) / B$. What is the factor at $B = 1$?
#
# (b) A student says: *a constant factor is harmless, the step size takes care of it*. Is this right for plain gradient descent on the encoder? Is it right for the sum of this gradient and that of the KL? Half a page for both.

# %% [markdown] model 06.W
# (a) Take example $i$, and write $f_j$ for $f(z_j)$. Its signal is $f_i - b' = f_i - \gamma b - \frac{1 - \gamma}{B} f_i - \frac{1 - \gamma}{B} \sum_{j \ne i} f_j$.
# The number $b$ and all $f_j$ with $j \ne i$ are independent of $z_i$. So they are constants for the score of $z_i$, which has mean zero [Eq. 6.1]: they
# drop out. What is left is $\bigl(1 - \frac{1 - \gamma}{B}\bigr)\, \mathbb{E}[f_i\, \mathrm{score}(z_i)]$. At $B = 1$ the factor is $\gamma$.
#
# (b) For the reconstruction's gradient alone it is right: a positive factor that is the same for all examples only changes the step size. For the whole
# objective it is wrong. The gradient of the KL is exact and is not shrunk. The sum is the gradient of another objective, in which the reconstruction has the
# weight $1 - (1 - \gamma) / B$, which is the same as a KL with a weight above 1. The factor also changes with $B$.
#
# *Marks:* 1 for the terms that drop out, with the reason; 1 for the factor and its value at $B = 1$; 1 for the KL.
