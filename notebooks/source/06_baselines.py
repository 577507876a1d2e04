# %% [markdown]
# # 06 Baselines
#
# **Question.** REINFORCE is unbiased for every $f$, but its variance grows with the size of $f$, even with a constant added to
# $f$ that changes nothing about the problem. What may be subtracted from $f$ so that the variance falls and the mean stays?
#
# **After this lesson you can**
# - prove that a baseline leaves the mean alone, and say which baselines do not,
# - derive the constant of least variance, and measure by enumeration what it gains,
# - write the leave-one-out estimator in three lines, and say why dividing by $S$ would shrink it by exactly $1 - 1/S$,
# - learn a baseline by gradient descent without biasing the estimate it serves.
#
# *Needs:* lesson 05. *Takes:* 45 minutes to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np import draw, score, softmax
from dvae_np.check import every_code, judge, lookup_table, moments, tiled
from dvae_np.lesson import check, check_estimator, confirm, figure, show

rng = np.random.default_rng(0)
logits = rng.standard_normal((1, 1, 4))  # (B, N, K): one example, one latent of four categories
table = 3 + rng.standard_normal(4)  # f of each category, in nats
f = lookup_table(table)
q = softmax(logits)[0][0, 0]  # (K,)
exact = dvae_np.exact(logits, f).dlogits[0]  # (N, K)

# %% [markdown]
# ## 1 A constant baseline
#
# Write $s(z) = \nabla_\ell \log q(z) = \mathrm{onehot}(z) - q$ for the score [Eq. 2.4]. Its mean is zero:
#
# $$\mathbb{E}_q[s] = \sum_z q(z) \nabla_\ell \log q(z) = \sum_z \nabla_\ell q(z) = \nabla_\ell \sum_z q(z) = \nabla_\ell 1 = 0 .$$
#
# So for every number $b$ that does not depend on $z$,
#
# $$\mathbb{E}_q[(f - b)\, s] = \mathbb{E}_q[f s] - b\, \mathbb{E}_q[s] = \mathbb{E}_q[f s]. \tag{6.1}$$
#
# The mean cannot see $b$; the variance can. The library's estimator takes the baseline as a hyper-parameter:

# %%
show(dvae_np.reinforce)

# %% [markdown]
# We need no samples to know its mean and its variance: with four categories and $S = 1$ there are four outcomes of the noise.
# `every_code` lists them with their probabilities, and `moments` adds up (lesson 05, [Eq. 5.3]).


# %% setup
def mean_and_variance(estimator, S, **hyper):
    """The exact mean (N, K) and total variance of an estimator's gradient, over every outcome of its S codes."""
    z, weights = every_code(logits, S)
    mean, variance = moments(weights, estimator(tiled(logits, len(weights)), f, z, **hyper).dlogits)
    return mean, variance.sum()


# %%
for b in (0.0, 3.0, -20.0):
    mean, variance = mean_and_variance(dvae_np.reinforce, 1, baseline=b)
    confirm("6.1", mean, exact)
    print(f"baseline {b:5.1f}: variance {variance:8.3f}")

# %% [markdown]
# ## 2 The best constant
#
# Which $b$ is best? Take the total variance, the sum over the entries of the gradient. As the mean is fixed, only the second
# moment matters:
#
# $$V(b) = \mathbb{E}\bigl[(f - b)^2 \lVert s \rVert^2\bigr] - \lVert \nabla_\ell \mathbb{E}_q f \rVert^2 .$$
#
# It is a parabola in $b$, with derivative $-2\, \mathbb{E}[(f - b) \lVert s \rVert^2]$, which vanishes at
#
# $$b^{\ast} = \frac{\mathbb{E}[f\, \lVert s \rVert^2]}{\mathbb{E}[\lVert s \rVert^2]} . \tag{6.4}$$
#
# It is *not* the mean of $f$: codes with a long score, those that are improbable, count more. For one latent
# $\lVert s(k) \rVert^2 = 1 - 2 q_k + \sum_j q_j^2$.

# %%
squares = 1 - 2 * q + (q**2).sum()
best = (q * table * squares).sum() / (q * squares).sum()
print(f"E[f] = {q @ table:.4f} nats, optimal baseline {best:.4f} nats")
for b in (q @ table, best):
    print(f"variance {mean_and_variance(dvae_np.reinforce, 1, baseline=b)[1]:.6f}")
grid = np.linspace(best - 1, best + 1, 2001)
variances = [(q * (table - b) ** 2 * squares).sum() for b in grid]
confirm("6.4", best, grid[np.argmin(variances)], tolerance=1e-3)

# %% [markdown]
# Nobody knows $b^{\ast}$ in practice. `reinforce_optimal` estimates it for every sample from the *other* samples, so that it is
# independent of the sample that it serves:

# %%
show(dvae_np.reinforce_optimal)
mean, variance = mean_and_variance(dvae_np.reinforce_optimal, 3)
confirm("6.4", mean, exact)

# %% [markdown]
# ## 3 Learned baselines
#
# A moving average of the losses seen so far costs nothing. It is one step of gradient descent on $(f - b)^2 / 2$, with step size
# $1 - \gamma$:
#
# $$b \leftarrow b - (1 - \gamma)(b - f), \tag{6.2}$$
#
# and it must be *used before it is updated*: after the update $b$ contains this very sample's $f$, and the proof of [Eq. 6.1]
# no longer holds. In the library the estimator returns the gradient $b - f$ as `domega`, and the step is the optimiser's
# business: the order cannot be got wrong.

# %%
show(dvae_np.reinforce_ema)
z, weights = every_code(logits, 1)
estimate = dvae_np.reinforce_ema(tiled(logits, 4), f, z, omega={"baseline": np.asarray(1.5)})
confirm("6.2", moments(weights, estimate.dlogits)[0], exact)
confirm("6.2", np.sum(estimate.domega["baseline"]), np.sum(1.5 - table))

# %% [markdown]
# A baseline may also depend on the *input*: some images are hard to reconstruct, whatever the code. NVIL (Mnih & Gregor 2014)
# learns a network $C(x)$ beside the constant, and divides by a running estimate of the deviation where that is above 1:
#
# $$\frac{f(z) - c - C(x)}{\max(1, \hat\sigma)}\, s(z), \qquad c, C \text{ by descent on } (f - c - C)^2 / 2 . \tag{6.5}$$
#
# Here $C$ sees the logits, all that the encoder says about $x$. The division scales the step, and so is off by default: with it
# the estimate is no longer the gradient, but a positive multiple of it.

# %%
show(dvae_np.nvil)
omega = dvae_np.TABLE["nvil"].omega(np.random.default_rng(1), 1, 4)
omega = {name: value + 0.1 for name, value in omega.items()}
estimate = dvae_np.nvil(tiled(logits, 4), f, z, omega=omega)
confirm("6.5", moments(weights, estimate.dlogits)[0], exact)

# %% [markdown]
# ## 4 Leave-one-out
#
# With $S \ge 2$ samples the mean of the *other* $f$'s is a baseline that needs no learning and adapts to every input:
#
# $$g = \frac{1}{S} \sum_s \Bigl(f(z_s) - \frac{1}{S-1} \sum_{t \ne s} f(z_t)\Bigr) s(z_s) .$$
#
# It is unbiased, since sample $s$ is independent of the others. Now write $\bar f$ for the mean of all $S$, so that
# $\sum_{t \ne s} f(z_t) = S \bar f - f(z_s)$. Then
#
# $$f(z_s) - \frac{S \bar f - f(z_s)}{S - 1} = \frac{(S - 1) f(z_s) - S \bar f + f(z_s)}{S - 1} = \frac{S}{S-1}\,\bigl(f(z_s) - \bar f\bigr),$$
#
# and the factor $S$ cancels with the $1/S$ in front:
#
# $$g = \frac{1}{S-1} \sum_s \bigl(f(z_s) - \bar f\bigr)\, s(z_s) . \tag{6.3}$$
#
# So centring by the mean of *all* samples is right if one divides by $S - 1$. Dividing by $S$ makes it too short by exactly
# $1 - 1/S$: the baseline then includes its own sample.

# %%
show(dvae_np.reinforce_loo)
S = 3
(drawn,) = draw(rng, logits, S, ("z",))
fz, _ = f(drawn)
others = (fz.sum(0) - fz) / (S - 1)
by_definition = ((fz - others)[..., None, None] * score(logits, drawn)).mean(0)
confirm("6.3", dvae_np.reinforce_loo(logits, f, drawn).dlogits, by_definition)
confirm("6.3", mean_and_variance(dvae_np.reinforce_loo, S)[0], exact)

# %% [markdown]
# ## 5 The picture
#
# Left: the parabola of section 2. A baseline of 0 costs a factor of some ten here; that the mean of $f$ is nearly optimal is
# usual, that it is not quite optimal is provable. Right: leave-one-out at $S = 2$ already beats everything without a baseline, and
# as $S$ grows comes close to the best constant, which nobody has.

# %%
figure("baselines.png")

# %% [markdown]
# ## 6 Break it
#
# A mistake that was made in published code: the mean over all samples as the baseline, and a mean over samples in the end. It trains, and
# no plot of a loss will tell. The checker does, and says which mistake it is.


# %%
def own_sample_in_the_baseline(logits, f, z):
    """A bug: the baseline contains its own sample, and the sum is divided by S."""
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


print(judge(own_sample_in_the_baseline).failed[0].verdict)
print(judge(own_sample_in_the_baseline).failed[0].explanation)

# %% [markdown]
# ## Reading
#
# - R. J. Williams, *Simple statistical gradient-following algorithms*, 1992: the constant baseline.
# - A. Mnih, K. Gregor, *Neural variational inference and learning in belief networks*, 2014: input-dependent baselines (NVIL).
# - W. Kool, H. van Hoof, M. Welling, *Buy 4 REINFORCE samples, get a baseline for free*, 2019: leave-one-out.
# - E. Greensmith, P. Bartlett, J. Baxter, *Variance reduction techniques for gradient estimates*, 2004: the optimal constant.
#
# Next: [07 Gumbel-Softmax](07_gumbel_softmax.ipynb), which gives up unbiasedness for a slope.

# %% [markdown] exercise 06.1
# ### 06.1 Derive: the variance at a baseline
#
# For `logits`, `table` and `q` as above (one latent, $K = 4$), write a function of $b$ that returns the total variance of REINFORCE at
# $S = 1$ with the constant baseline $b$: a number. Use the sum over the four categories, no sampling, about 3 lines.
# At $b = 0$ you should get about 7.2.


# %% solution 06.1
def variance_at(b):
    """The total variance of (f - b) score, exactly."""
    ### BEGIN SOLUTION
    squares = 1 - 2 * q + (q**2).sum()
    return (q * (table - b) ** 2 * squares).sum() - (exact**2).sum()
    ### END SOLUTION


# %% check 06.1
check("06.1", lambda: np.array([variance_at(b) for b in (0.0, 1.0, 3.0)]),
      [mean_and_variance(dvae_np.reinforce, 1, baseline=b)[1] for b in (0.0, 1.0, 3.0)],
      instead={"the second moment: subtract the squared mean": np.array(
          [mean_and_variance(dvae_np.reinforce, 1, baseline=b)[1] + (exact**2).sum() for b in (0.0, 1.0, 3.0)])})  # fmt: skip


# %% wrong 06.1: the second moment: subtract the squared mean
def variance_at(b):
    squares = 1 - 2 * q + (q**2).sum()
    return (q * (table - b) ** 2 * squares).sum()


# %% wrong 06.1: relative error
def variance_at(b):
    return (q * (table - b) ** 2).sum() - (exact**2).sum()


# %% [markdown] exercise 06.2
# ### 06.2 Implement: leave-one-out
#
# Write `my_loo(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N) with $S \ge 2$; return the gradient (B, N, K) of [Eq. 6.3].
# `f(z)` returns `fz` (S, B) and a backward that you do not need; `score(logits, z)` is (S, B, N, K). About 2 lines.
# The judge enumerates every outcome of your estimator.


# %% solution 06.2
def my_loo(logits, f, z):
    """REINFORCE with the mean of the other samples as its baseline."""
    ### BEGIN SOLUTION
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).sum(0) / (len(z) - 1)
    ### END SOLUTION


# %% check 06.2
check_estimator("06.2", my_loo)


# %% wrong 06.2: the baseline includes its own sample
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


# %% wrong 06.2: a flipped sign
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz.mean(0) - fz)[..., None, None] * score(logits, z)).sum(0) / (len(z) - 1)


# %% wrong 06.2: a mean where the gradient sums
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).sum(0) / (len(z) - 1) / len(z)


# %% wrong 06.2: returned shape
def my_loo(logits, f, z):
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)) / (len(z) - 1)


# %% [markdown] exercise 06.3
# ### 06.3 Find the bug: a baseline that has seen too much
#
# This one was found in a large library: a moving average that is updated *before* it is used. Correct it. `b` is the average so far, a
# number; return the gradient (B, N, K) for $S = 1$ and the new average. One line has to move.
#
# ```python
# fz, _ = f(z)  # (1, B)
# b = decay * b + (1 - decay) * fz.mean()
# gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
# return gradient, b
# ```


# %% solution 06.3
def moving_average(logits, f, z, b, decay=0.9):
    """One step of REINFORCE with a moving-average baseline: (gradient (B, N, K), the new b)."""
    fz, _ = f(z)  # (1, B)
    ### BEGIN SOLUTION
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    b = decay * b + (1 - decay) * fz.mean()
    ### END SOLUTION
    return gradient, b


# %% check 06.3
def mean_of_single_draws(step):
    """The exact mean of one step's gradient (N, K), and the averages that follow, draw by draw."""
    pairs = [step(logits, f, np.array([[[k]]]), 2.0) for k in range(4)]
    return sum(q[k] * gradient[0] for k, (gradient, _) in enumerate(pairs)), np.array([b for _, b in pairs])


check(
    "06.3",
    lambda: mean_of_single_draws(moving_average)[0],
    exact,
    sizes={"gamma": 0.9},
    instead={"0.9 times the gradient: b contains this very sample": 0.9 * exact},
)
check("06.3", lambda: mean_of_single_draws(moving_average)[1], 1.8 + 0.1 * table)


# %% wrong 06.3: b contains this very sample
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    b = decay * b + (1 - decay) * fz.mean()
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    return gradient, b


# %% wrong 06.3: zero everywhere
def moving_average(logits, f, z, b, decay=0.9):
    fz, _ = f(z)  # (1, B)
    b = fz.mean()
    gradient = ((fz - b)[..., None, None] * score(logits, z)).mean(0)
    return gradient, b


# %% [markdown] exercise 06.4
# ### 06.4 Derive: the optimal constant for two latents
#
# Now $N = 2$ latents of 3 categories. The score has entries for both, $\lVert s \rVert^2$ is a sum over both, and $f$ depends on both. Compute
# $b^{\ast}$ of [Eq. 6.4] over the nine joint states: a number. `dvae_np.joint_states(2, 3)` lists the states (9, 2). About 5 lines;
# you should get about 0.10.

# %% given 06.4
two_logits = np.random.default_rng(5).standard_normal((1, 2, 3))
two_table = np.random.default_rng(6).standard_normal((3, 3))


# %% solution 06.4
def optimal_constant():
    """The baseline of least variance, for two_logits and two_table."""
    ### BEGIN SOLUTION
    states = dvae_np.joint_states(2, 3)[:, None]  # (9, 1, 2)
    weight = np.exp(dvae_np.log_prob(two_logits, states)[0])[:, 0]  # (9,)
    squares = (score(two_logits, states) ** 2).sum((-1, -2))[:, 0]
    values = two_table[states[:, 0, 0], states[:, 0, 1]]
    return (weight * values * squares).sum() / (weight * squares).sum()
    ### END SOLUTION


# %% check 06.4
def variance_of_two(b):
    z, weights = every_code(two_logits, 1)
    estimate = dvae_np.reinforce(tiled(two_logits, len(weights)), lookup_table(two_table), z, baseline=float(b))
    return moments(weights, estimate.dlogits)[1].sum()


# three values of a parabola give its minimum
low, middle, high = (variance_of_two(b) for b in (-1, 0, 1))
check(
    "06.4",
    optimal_constant,
    (low - high) / 2 / (low + high - 2 * middle),
    instead={
        "the mean of f: weigh each state by its squared score too": np.array(
            dvae_np.exact(two_logits, lookup_table(two_table)).value[0]
        )
    },
)


# %% wrong 06.4: weigh each state by its squared score too
def optimal_constant():
    return dvae_np.exact(two_logits, lookup_table(two_table)).value[0]


# %% wrong 06.4: flipped sign
def optimal_constant():
    low, middle, high = (variance_of_two(b) for b in (-1, 0, 1))
    return -(low - high) / 2 / (low + high - 2 * middle)
