# %% [markdown]
# # 05 Monte Carlo and the score function
#
# **Question.** With $K^N$ states too many to visit we draw a few codes. The decoder does not mind. What becomes of the
# encoder's gradient, which goes through the draw itself?
#
# **After this lesson you can**
# - say why the decoder's gradient survives sampling, and why the encoder's is zero or does not exist,
# - derive REINFORCE, and see which part of $f$ it needs (its value) and which it does not (its slope),
# - compute the exact mean and the exact variance of any estimator of codes, without drawing one,
# - test an estimator by its samples, and state the bias that the test would have seen.
#
# *Needs:* lessons 02 and 04. *Takes:* 45 minutes to read and run, an hour for the exercises. Everything is in nats.

# %% setup
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
from dvae_np.lesson import confirm, figure, show

rng = np.random.default_rng(0)
N, K, D = 2, 3, 5
logits = rng.standard_normal((1, N, K))  # (B, N, K), one example
table = 2 + rng.standard_normal((K, K))  # f of each pair of codes, in nats
f = lookup_table(table)
exact = dvae_np.exact(logits, f)  # value (B,), dlogits (B, N, K)

# %% [markdown]
# ## 1 The decoder's gradient is easy
#
# Let $z_1, \ldots, z_S$ be codes drawn from $q$. Their average $\frac{1}{S} \sum_s f(z_s)$ has mean $\mathbb{E}_q[f]$, since
# each term has. For the decoder's parameters $\theta$ nothing else is needed: $q$ does not depend on them, so derivative and
# expectation change places,
#
# $$\nabla_{\theta} \mathbb{E}_q[f] = \nabla_{\theta} \sum_z q(z) f_{\theta}(z) = \sum_z q(z) \nabla_{\theta} f_{\theta}(z) = \mathbb{E}_q[\nabla_{\theta} f] ,$$
#
# and an expectation is what samples estimate:
#
# $$\nabla_{\theta} \mathbb{E}_q[f] \approx \frac{1}{S} \sum_s \nabla_{\theta} f(z_s) . \tag{5.1}$$
#
# Here is a small decoder, and [Eq. 5.1] with $S = 2$. We do not draw: two codes of two latents have $9^2 = 81$ outcomes,
# so we take each of them, with its probability. `reinforce` returns the right side of [Eq. 5.1] as `dtheta`.

# %%
x = (rng.random((1, D)) < 0.5).astype(float)  # (B, D)
theta = dvae_np.parameters(rng, D, N, K, (4,), np.float64)["theta"]
g = dvae_np.reconstruction(theta, x)  # -log p(x|z)
z, weights = every_code(logits, 2)  # (S, 81, N), (81,)
mean = sum(
    w * dvae_np.reinforce(logits, g, z[:, [t]]).dtheta["table"]
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
# The logits $\ell$ are different: they decide *which* codes are drawn. Hold the noise $u$ fixed and look at the sampler of lesson 02
# as a function of $\ell$. A code is a whole number. Where $\ell$ moves a little it stays the same, and at some places it jumps.
# So $f(z(\ell, u))$ is a staircase in $\ell$: its slope is zero wherever it has one.

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
# Zero, six times: $\mathbb{E}[\nabla_{\ell} f(z(\ell, u))] = 0 \ne \nabla_{\ell} \mathbb{E}[f(z(\ell, u))]$. All of the change of
# the mean happens at the jumps, and no derivative sees a jump. This is the difficulty that lessons 05 to 13 are about. It is not a lack of
# software: the derivative that automatic differentiation would return *is* zero.

# %% [markdown]
# ## 3 The score function
#
# The mean is a smooth function of $\ell$ all the same: $\ell$ enters through the probabilities. Differentiate those:
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = \sum_z f(z)\, \nabla_{\ell} q(z) .$$
#
# This is no expectation, as $\nabla q(z)$ is no probability: some of its entries are negative. Multiply and divide by $q(z)$,
# which is positive, and recall $\nabla q / q = \nabla \log q$:
#
# $$\sum_z f(z)\, \nabla_{\ell} q(z) = \sum_z q(z)\, f(z)\, \frac{\nabla_{\ell} q(z)}{q(z)} = \mathbb{E}_q\bigl[f(z)\, \nabla_{\ell} \log q(z)\bigr] .$$
#
# Now it is an expectation under $q$. The gradient of $\log q$ is the score, $\mathrm{onehot}(z) - q$ [Eq. 2.4], so
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = \mathbb{E}_q\bigl[f(z) (\mathrm{onehot}(z) - q)\bigr] . \tag{5.2}$$
#
# Here $f$ itself must not depend on $\ell$: if it does, as a sampled KL would, $\mathbb{E}_q[\nabla_{\ell} f]$ comes on top.
#
# Draw $z_s$, and average $f(z_s)$ times its score: this is REINFORCE (also called the *log-derivative trick*). We step against this gradient. So a
# positive loss makes the code that was drawn less probable, and the larger the loss, the more. That holds even for the best code, if its loss is
# positive: only the *difference* between losses says which code is better, and lesson 06 makes use of it. REINFORCE needs the *value* of $f$ alone:
# $f$ may be a table, a simulator, a program with branches.

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
# ## 4 Exact mean, exact variance
#
# What we just did deserves a number. An estimator $g$ is a function of its noise. If the noise has finitely many outcomes $o$, with
# probabilities $P(o)$, then mean and variance are sums:
#
# $$\mathbb{E}[g] = \sum_o P(o)\, g(o), \qquad \mathrm{Var}[g] = \sum_o P(o) \bigl(g(o) - \mathbb{E}[g]\bigr)^2 . \tag{5.3}$$
#
# No sample is drawn, and so there is no error but rounding. For $S$ codes the outcomes are all $S$-tuples of states, $(K^N)^S$ of them, with
# probability $\prod_s q(z_s)$. As estimators never mix the examples of a batch, all outcomes go through in *one* call: the same
# logits, tiled along the batch, each with its own outcome.

# %%
show(every_code, moments)

# %% [markdown]
# The variance can be had in another way, which makes a check. For $S = 1$ and with $V = \sum$ of the entries' variances,
#
# $$V_1 = \sum_z q(z)\, f(z)^2\, \lVert \mathrm{onehot}(z) - q \rVert^2 - \lVert \nabla_{\ell} \mathbb{E}_q f \rVert^2, \qquad V_S = V_1 / S ,$$
#
# the second because the samples are independent.


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


# %%
states = dvae_np.joint_states(N, K)[:, None]  # (9, 1, N): every state once
q = np.exp(dvae_np.log_prob(logits, states)[0])[:, 0]  # (9,)
squares = (score(logits, states) ** 2).sum((-1, -2))[:, 0]  # (9,)
values = f(states)[0][:, 0]  # (9,)
V1 = q @ (values**2 * squares) - (exact.dlogits**2).sum()
for S in (1, 2, 4):
    mean, variance = mean_and_variance(dvae_np.reinforce, S)
    confirm("5.3", variance, V1 / S)
    noise_to_signal = np.sqrt(variance) / np.linalg.norm(exact.dlogits)
    print(
        f"S = {S}: variance {variance:.3f}, deviation / length of the "
        f"gradient {noise_to_signal:.2f}"
    )

# %% [markdown]
# With one sample the noise is four times as long as the gradient. And it gets worse with the size of $f$: the term
# $f(z)^2$ does not care that adding a constant to $f$ changes nothing. A real reconstruction loss is a hundred nats.

# %%
for constant in (-2, 0, 100):
    mean, variance = mean_and_variance(
        dvae_np.reinforce, 1, lookup_table(table + constant)
    )
    confirm("5.2", mean, exact.dlogits[0])
    print(f"f + {constant:3d}: the same mean, variance {variance:10.3f}")

# %% [markdown]
# ## 5 When outcomes are too many: a test by samples
#
# With $K = 10$ and $N = 20$ nothing can be enumerated, and samplers have no finite list of outcomes at all. Then we draw the
# estimator $R$ times and look at one number of each draw: an entry, or its component along the exact gradient. Let $\bar{g}$ be the mean of these numbers, $s$ their standard deviation, and $g$ what
# the exact gradient has in its place. The mean has standard error $s / \sqrt{R}$. If the estimator is right, $(\bar{g} - g) \sqrt{R} / s$ is nearly normal, and exceeds $c$ in size
# only with a probability that we choose, the false-alarm rate. So
#
# $$\lvert \bar{g} - g \rvert > c\, s / \sqrt{R} \tag{5.4}$$
#
# raises an alarm. A test that raises none says nothing yet: perhaps $R$ was too small to see anything. How large a bias $\delta$
# would have been seen? With it, $\bar{g} - g$ is normal around $\delta$ with deviation $s / \sqrt{R}$, and it exceeds
# $c\, s / \sqrt{R}$ with probability $\Phi(\delta \sqrt{R} / s - c)$. For this to be the power $\Phi(c')$ we need
#
# $$\delta = (c + c')\, s / \sqrt{R} .$$
#
# At a false-alarm rate of $10^{-4}$ over one entry and a power of $0.99$, $c \approx 3.9$ and $c' \approx 2.3$. To see a bias that is ten times smaller takes a hundred
# times the draws. `from_samples` says both: its verdict, and what it would have seen. Several entries share the false-alarm
# rate, so its $c$ is a little larger.

# %%
for R in (1_000, 10_000, 100_000):
    many = tiled(logits, R)
    (z,) = draw(rng, many, 1, ("z",))
    print(
        f"{R:7,d} draws:",
        from_samples(
            dvae_np.reinforce(many, f, z).dlogits, exact.dlogits[0]
        ),
    )

# %% [markdown]
# Is $\delta$ right? Take an estimator whose bias along the gradient is exactly that, run the test two thousand times, count the alarms: the share should be
# the power. To see misses we ask for a power of $0.9$, and test the component along the gradient alone.

# %%
from scipy.stats import norm, t

repeats, R, false_alarm, power = 2000, 400, 0.01, 0.9
(z,) = draw(rng, tiled(logits, repeats * R), 1, ("z",))
direction = exact.dlogits[0] / (exact.dlogits**2).sum()
# mean 1
along = (
    dvae_np.reinforce(tiled(logits, repeats * R), f, z).dlogits * direction
).sum((-1, -2))
c, c_power = t.isf(false_alarm / 2, R - 1), norm.isf(1 - power)
s = along.std()
delta = (c + c_power) * s / np.sqrt(R)
along = along.reshape(repeats, R)


def share_of_alarms(bias):
    deviation = (along + bias).mean(1) - 1
    return np.mean(
        np.abs(deviation) > c * along.std(1, ddof=1) / np.sqrt(R)
    )


print(
    f"a bias of {delta:.0%} should be seen in {power:.0%} of the tests; "
    f"without one, {false_alarm:.0%} raise an alarm"
)
print(
    f"alarms with this bias: {share_of_alarms(delta):.1%}, without: "
    f"{share_of_alarms(0):.1%}"
)
confirm("5.4", share_of_alarms(delta), power, tolerance=0.02)
skewness = ((along - along.mean()) ** 3).mean() / along.std() ** 3
print("REINFORCE along the gradient has a skewness of "
      f"{skewness:+.2f}: a bias of the other sign is seen in "
      f"{share_of_alarms(-delta):.1%} of the tests")  # fmt: skip

# %% [markdown]
# ## 6 The picture
#
# Left: one logit moves, the noise is held. Each sample's $f$ is a staircase (grey), with slope zero between its jumps; the mean over all
# noise (black) is smooth, with a slope of {{exact.dlogits[0, 0, 0]:.2f}} at our logit (dash-dotted tangent). Right: the smallest relative bias that a z-test of REINFORCE sees, against
# the number of draws, with $S = 1$, a power of $0.99$ and the library's false-alarm rate. It falls as $1 / \sqrt{R}$. The same $f$ with 100 nats
# added has {{further:.0f}} times the deviation along the gradient, and so needs {{further**2:,.0f}} times the draws. Enumeration sees a relative bias of $10^{-12}$.

# %%
further = deviation_along(
    "reinforce", logits, table + 100
) / deviation_along("reinforce", logits, table)
figure("score_function.png")

# %% [markdown]
# ## 7 Break it
#
# The score, multiplied by nothing: $f$ has been left out. Its mean is $\mathbb{E}[s] = 0$. The
# checker enumerates and says so. The second mistake forgets the average over samples; an optimiser that
# scales its steps hides it for ever.


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
    print(f"{wrong.__name__}: {result.verdict}\n    {result.explanation}")

# %% [markdown]
# ## Reading
#
# - R. J. Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning*, 1992: REINFORCE.
# - P. W. Glynn, *Likelihood ratio gradient estimation for stochastic systems*, 1990: the same idea in simulation.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey.
# - J. Schulman, N. Heess, T. Weber, P. Abbeel, *Gradient estimation using stochastic computation graphs*, 2015: samples in the middle of a network.
#
# Next: [06 Baselines](06_baselines.ipynb), which lower the variance and leave the mean alone.

# %% [markdown] exercise 05.1
# ### 05.1 Derive: how many draws?
#
# An estimator has deviation `s` along the gradient, relative to the gradient's length. How many draws $R$ are needed to see a
# relative bias `bias` [Eq. 5.4] with the given power, at the given two-sided false-alarm rate? Use normal quantiles, `norm.isf(p)`
# is the point exceeded with probability $p$. Return $R$ as a float, not rounded. About 2 lines. For `s = 2`, `bias = 0.05` and the
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


# %% [markdown] exercise 05.2
# ### 05.2 Implement: REINFORCE
#
# Write `my_reinforce(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N); return the gradient (B, N, K) of [Eq. 5.2], averaged over the samples.
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


# %% [markdown] exercise 05.3
# ### 05.3 Implement: an exact mean and variance
#
# Write `my_moments(estimator, p)` for an estimator of one latent and $S = 2$ codes: `estimator(z1, z2)` takes two whole numbers from 0 to
# $K - 1$ and returns an array (K,); `p` (K,) are the probabilities. Return an array (2, K): the mean in the first row, the variance of each entry in
# the second [Eq. 5.3]. Two loops, about 6 lines. For the estimator `pair` given here, whose mean is zero, the variances should be {{my_moments(pair, p)[1, 0]:.4f}}, {{my_moments(pair, p)[1, 1]:.4f}} and {{my_moments(pair, p)[1, 2]:.4f}}.

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


# %% [markdown] exercise 05.4
# ### 05.4 Find the bug: a test that never fails
#
# This test lets every estimator pass, right or wrong: on the 2,500 draws given below, which are a tenth too long, it reports a $z$ of {{(too_long.mean() - 1) / too_long.std(ddof=1):.2f}}. Correct it. `draws` (R,) are
# an estimator's values along the gradient, whose exact value is `exact_value`; return the statistic $z$ that [Eq. 5.4] compares with $c$: a number with
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
