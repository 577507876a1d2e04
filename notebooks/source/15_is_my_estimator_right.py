# %% [markdown]
# # 15 Is my estimator right?
#
# **Question.** You wrote an estimator, or took one from a paper's repository. The loss falls. How do you find out whether its gradient is what it should be?
#
# **After this lesson you can**
# - say why the derivative of one drawn loss is not what has to be compared,
# - test a backward pass, an estimator that takes noise, and one that draws its own, each by the strongest test that it allows,
# - read a verdict: the size and the direction of a bias, what the test would have seen, and where an estimator breaks,
# - verify an estimator that is biased by design,
# - do all of it for NumPy and PyTorch (JAX goes the same way), and in your own test suite,
# - tell which of two right estimators is the better one at equal cost.
#
# *Needs:* lessons 05 to 10 (section 8: 12). *Takes:* 55 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np import TABLE, draw, exact, gumbel, score, softmax
from dvae_np.check import (
    check_op,
    compare_variance,
    complex_step,
    every_code,
    expectation,
    from_samples,
    judge,
    lookup_table,
    moments,
    polynomial,
    tiled,
)

rng = np.random.default_rng(17)
N, K = 2, 3
logits = rng.standard_normal((1, N, K))  # (B, N, K), one example
f = polynomial(
    0.6 * rng.standard_normal((2, N, K)), 3
)  # takes relaxed codes
right = exact(logits, f).dlogits[0]  # (N, K)

# %% setup
from dvae_np.lesson import confirm, figure, picture, say

# %% [markdown]
# ## 1 What is to be compared with what
#
# The gradient of a deterministic loss is easy to test: move an input a little, and look at the loss. An estimator cannot be tested so. If you hold the noise, the drawn code $z$ does not move with the logits. The loss of this draw is a staircase, and its derivative is zero (lesson 05). If you draw new noise each time, two losses differ by chance.
#
# What an estimator $h$ with noise $\epsilon$ promises is about its *mean*:
#
# $$\mathbb{E}_{\epsilon}\bigl[h(\ell, f, \epsilon)\bigr] = \nabla_{\ell}\, \mathbb{E}_{z \sim q}[f(z)] .$$
#
# So there are two questions. Is the right side known? For a small problem it is the sum over all codes of lesson 04, and the complex step confirms its derivative. Is the left side known? That depends on the noise, and it decides how strong the test can be.

# %%
by_the_complex_step = complex_step(
    lambda arrays: expectation(arrays["logits"], f).sum(),
    {"logits": logits},
)["logits"][0]
print("the right side:\n", right.round(4))
print(
    "largest difference from the complex step of the sum: "
    f"{abs(right - by_the_complex_step).max():.0e}"
)


def loss_of_one_draw(shift):
    """f at codes drawn from fixed uniforms: what autograd would see."""
    moved = logits + shift * np.eye(K)[0]
    (z,) = draw(np.random.default_rng(1), moved, 1, ("z",))
    return f(z)[0].item()


step = 1e-6
slope = (loss_of_one_draw(step) - loss_of_one_draw(-step)) / (2 * step)
print(f"central difference of one drawn loss: {slope:.1f}")

# %% [markdown]
# ## 2 A backward pass
#
# Where nothing is drawn, differences are the right tool. `check_op` asks more than that the numbers agree. Nothing may be changed in place or remembered; the backward pass must be linear in its cotangent; and it must work for arrays that are not contiguous. The numbers are compared with central differences. If complex numbers come through the op, they are also compared with the complex step. A pair that is right, but that complex numbers do not come through, is called *right, not analytic*. (In front of a number, `analytic` means the gradient of your backward pass, and `numeric` that of the differences.)


# %%
def scaled(x, tau):
    """softmax(x / tau), its backward pass for x alone."""
    y, softmax_backward = softmax(x / tau)
    return y, lambda dy: (softmax_backward(dy) / tau, None)


def scaled_without_tau(x, tau):
    """A bug: the inner derivative 1 / tau is missing."""
    y, softmax_backward = softmax(x / tau)
    return y, lambda dy: (softmax_backward(dy), None)


def length(x):
    """|x|, by an absolute value that drops imaginary parts."""
    return np.abs(x), lambda dy: np.sign(x) * dy


x = rng.standard_normal((2, K))
for op, inputs in (
    (scaled, {"x": x, "tau": 0.5}),
    (scaled_without_tau, {"x": x, "tau": 0.5}),
    (length, {"x": x}),
):
    say(f"{op.__name__}: {check_op(op, inputs)}")

# %% [markdown]
# The same for PyTorch and JAX. There `check_op` takes a `torch.autograd.Function`, a `jax.custom_vjp`, or any function of their arrays; inputs stay NumPy's. (These blocks need PyTorch. They are run, and what they say is compared, where it
# is installed. For JAX see [the recipe](RECIPES.md).)
#
# ```python
# import numpy as np, torch
# from dvae_np.check.torch import check_op
#
# class Cube(torch.autograd.Function):
#     @staticmethod
#     def forward(ctx, x):
#         ctx.save_for_backward(x)
#         return x**3
#
#     @staticmethod
#     def backward(ctx, dy):
#         (x,) = ctx.saved_tensors
#         return 2 * x**2 * dy
#
# print(check_op(Cube, {"x": np.array([0.5, -1.0, 2.0])}))
# # it is right but for a factor 0.666667
# ```
#
# ## 3 All outcomes
#
# The strongest test of an estimator is lesson 05's: if its noise is $S$ codes, go through all $(K^N)^S$ outcomes and add up. There is no sampling error; a bias of a millionth is seen. For Gumbel noise the sum is a quadrature (lesson 10). All that this needs is
# that the noise *comes in as an argument*, and that examples of a batch do not see each other: then all outcomes are one batch.


# %%
def leave_one_out(logits, f, z):
    fz, _ = f(z)  # (S, B)
    S = len(z)
    signal = (fz - fz.mean(0)) * S / (S - 1)
    return (signal[..., None, None] * score(logits, z)).mean(0)


def own_sample_left_in(logits, f, z):
    """A bug: a factor (S - 1) / S is missing."""
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


z, weights = every_code(logits, 3)
for estimate in (leave_one_out, own_sample_left_in):
    draws = estimate(tiled(logits, len(weights)), f, z)
    mean, variance = moments(weights, draws)
    print(
        f"{estimate.__name__}: {len(weights)} outcomes, largest error of "
        f"the mean {abs(mean - right).max():.1e}, variance "
        f"{variance.sum():.3f}"
    )

# %% [markdown]
# How far is a mean $m$ from the right gradient $g$? Two numbers say it. They mean different things to an optimiser. Split the error into a part along $g$, with the factor $a$, and a rest $r$ at right angles to $g$:
#
# $$m - g = a\, g + r, \qquad a = \frac{\langle m - g, g \rangle}{\lVert g \rVert^2}, \qquad r \perp g . \tag{15.1}$$

# %%
g, m = np.array([4.0, 1.0]), np.array([2.6, 1.7])
along = (m - g) @ g / (g @ g) * g
fig, ax = plt.subplots(figsize=(6.4, 2.2), layout="constrained")
for start, move, style, words, at in (
    (0 * g, g, "-", "the right gradient g", (2.2, 0.2)),
    (0 * g, m, "-", "the mean m", (0.35, 0.95)),
    (g, along, "--", "along: a g", (3.2, 1.1)),
    (g + along, m - g - along, ":", "across: r", (2.8, 1.4)),
):
    ax.annotate(
        "",
        start + move,
        start,
        arrowprops={"arrowstyle": "->", "linestyle": style},
    )
    ax.text(*at, words)
ax.set(xlim=(-0.1, 5), ylim=(-0.1, 1.9), aspect="equal")
ax.axis("off")
picture(
    fig,
    "The error of a mean, split into an arrow along the right gradient and "
    "one at right angles to it.",
)

# %% [markdown]
# *Along* the gradient, $a = -0.2$ is a step that is a fifth too short. As long as $a > -1$, a learning rate can make up for it. *Across* the gradient, $\lVert r \rVert / \lVert g \rVert$ is a wrong direction, and nothing makes up for that. The angle between $m$ and $g$ has the cosine $(1 + a) / \sqrt{(1 + a)^2 + \lVert r \rVert^2 / \lVert g \rVert^2}$.

# %%
mean = moments(
    weights, own_sample_left_in(tiled(logits, len(weights)), f, z)
)[0]
along = ((mean - right) * right).sum() / (right**2).sum()
across = np.linalg.norm(mean - right - along * right) / np.linalg.norm(
    right
)
told = judge(own_sample_left_in, S=3).failed[0]
say(f"along {along:+.1%}, across {across:.1%}; the judge: {told.verdict}")
say(told.explanation)
cosine = (mean * right).sum() / np.sqrt((mean**2).sum() * (right**2).sum())
confirm("15.1", cosine, (1 + along) / np.hypot(1 + along, across))
straight = (
    TABLE["straight_through"].estimate(logits, f, z[:, :1]).dlogits[0]
)
off = straight - right
confirm(
    "15.1",
    (off**2).sum(),
    (off * right).sum() ** 2 / (right**2).sum()
    + ((off - (off * right).sum() / (right**2).sum() * right) ** 2).sum(),
)

# %% [markdown]
# ## 4 A test by draws
#
# If the noise cannot be enumerated, we draw, and use the z-test of [Eq. 5.4]. It makes two kinds of errors. It fails right estimators, at a rate that you choose. And it passes wrong ones, at a rate that you must compute, or the test means nothing.
#
# The picture shows the distance from the right gradient, in standard errors, in thousands of repetitions. The estimators are REINFORCE, and REINFORCE {{1 - SHORT:.0%}} too short. The lines are the limits for a false-alarm rate of {{FALSE_ALARM:.0%}}.

# %%
from dvae_np.figures.lesson_15 import DRAWS, FALSE_ALARM, SHORT

figure("what_draws_see.png")
print(f"{DRAWS} draws; {1 - SHORT:.0%} short; limits for {FALSE_ALARM:.0%}")

# %% [markdown]
# A thousand draws do not test so small a bias. That is why a verdict without an alarm says what it *would have seen* with a probability of $0.99$: this is the *power of a test*. (To see a bias half as large as the stated one takes four times the draws: lesson 05.)
#
# There is a trap. At peaked logits, the event that matters may not come at all. An event that never came in $R$ draws may still have the probability
#
# $$p \le \frac{\log(1 / \alpha)}{R} \quad \text{with a risk of } \alpha, \qquad \text{since } (1 - p)^R \le e^{-pR} . \tag{15.2}$$
#
# (For $\alpha = 5\,\%$ this is $3 / R$, the rule of three.) If such an event deviates by $d$, it may move the mean by $p\,d$. The draws know nothing of it, so their standard deviation is too small. A z-test that does not allow for this accuses right estimators. Here a code of probability {{rare:.0e}} carries most of a gradient entry:

# %%
peaked = np.array([[[0.0, 8.5, 4.0]]])
rare = softmax(peaked)[0][0, 0, 0]
big = lookup_table(np.array([30.0, 0.2, 1.0]))
goal = exact(peaked, big).dlogits[0]
R, alarms, verdicts = 2000, 0, []
for seed in range(200):
    many = tiled(peaked, R)
    (z,) = draw(np.random.default_rng(seed), many, 1, ("z",))
    draws = TABLE["reinforce"].estimate(many, big, z).dlogits
    mean, error = draws.mean(0), draws.std(0, ddof=1) / np.sqrt(R)
    # 3.9: what a normal number exceeds in size once in 10,000 times
    alarms += (abs(mean - goal) > 3.9 * error + 1e-12).any()
    verdicts.append(from_samples(draws, goal))
print(f"a plain z-test calls {alarms / 200:.0%} of right runs biased")
say(f"{verdicts[0].kind}: {verdicts[0].detail}")
unseen = np.log(1 / 0.05) / R
confirm("15.2", (1 - unseen) ** R, 0.05, tolerance=2e-3)

# %% [markdown]
# `from_samples` allows for it, and says INCONCLUSIVE. The number of draws that it asks for is a guess, because it too knows only the events that came. It also needs draws that do not depend on each other. The states of a Markov chain depend on each other. So do the gradients of one mini-batch after the other with a moving average in between:

# %%
many = tiled(logits, 20_000)
(z,) = draw(rng, many, 1, ("z",))
draws = TABLE["reinforce"].estimate(many, f, z).dlogits
chain = draws.copy()
for i in range(1, len(chain)):  # each remembers half of the one before
    chain[i] = 0.5 * chain[i - 1] + 0.5 * draws[i]
say(from_samples(draws, right))
say(from_samples(chain, right))

# %% [markdown]
# ## 5 Code that draws its own noise
#
# Most published code calls a sampler inside. Then no noise can be put in. But the *same example* can be put in ten thousand times, as one batch, and the answers are ten thousand draws. One call does it.
#
# What does this hide? Whatever mixes the batch. Take a baseline that is the mean over the batch. In a batch of ten thousand equal examples it holds a ten-thousandth of the example's own sample. In training, with a batch of two, it holds half of it. So the judge has a second way: many calls with two different examples.


# %%
def mean_of_the_batch(logits, f, rng):
    """A bug that only a small batch shows."""
    (z,) = draw(rng, logits, 1, ("z",))
    fz, _ = f(z)
    signal = fz - fz.mean()  # its own sample is in it
    return (signal[..., None, None] * score(logits, z)).mean(0)


report = judge(mean_of_the_batch)
for result in report.results[:2] + report.failed:
    say(f"{result.check}\n    {result.verdict}")
say(report.failed[0].explanation)

# %% [markdown]
# (`E[f] = 0 standard deviation` says how the judge moved $f$: here to a mean of zero. A constant in $f$ changes no gradient.)
#
# What remembers, as a moving average, is judged at its first call and at a later one (`steps=3`); it is right if it is updated *after* it was used. In PyTorch the global generator is seeded for you, in JAX you get a key:
#
# ```python
# import torch
# from torch.distributions import Categorical
# from dvae_np.check import judge
# from dvae_np.check.torch import estimator
#
# @estimator
# def normalised(logits, f):
#     q = Categorical(logits=logits)
#     z = q.sample()
#     reward = f(z)
#     advantage = (reward - reward.mean()) / (reward.std() + 1e-8)
#     return q.log_prob(z).sum(-1) * advantage  # a loss, differentiated in the logits
#
# print(judge(normalised))
# # is f divided by its own size or deviation?
# ```
#
# Dividing rewards by their deviation is common in reinforcement learning. In a large batch of one example it changes the length of the step, by an amount that depends on $f$; in a small batch of different examples it also turns the direction. It may help training. It is not the gradient, and the verdict says just that.
#
# ## 6 Biased by design
#
# Gumbel-Softmax is biased, a wrong Gumbel-Softmax too. "BIASED" helps nobody. The right question is whether it is *the estimator that it claims to be*: give both the same noise, and compare draw by draw. There is no statistics in it.


# %%
def relaxed(logits, f, u, tau=0.5):
    y, softmax_backward = softmax((logits + gumbel(u)) / tau)
    fy, f_backward = f(y)
    dy, _ = f_backward(np.full_like(fy, 1 / len(u)))
    return softmax_backward(dy).sum(0) / tau


def temperature_inverted(logits, f, u):
    """A bug: times tau where a division belongs."""
    return relaxed(logits, f, u, 1 / 0.5)


def minus_gumbel(logits, f, u):
    """A bug: log(-log u) has the other sign."""
    y, softmax_backward = softmax((logits - gumbel(u)) / 0.5)
    fy, f_backward = f(y)
    dy, _ = f_backward(np.full_like(fy, 1 / len(u)))
    return softmax_backward(dy).sum(0) / 0.5


say(judge(relaxed).failed[0].explanation)
for mine in (relaxed, temperature_inverted, minus_gumbel):
    result = judge(mine, like="gumbel_softmax", tau=0.5).results[0]
    say(f"{mine.__name__}: {result.verdict}; {result.explanation}")

# %% [markdown]
# The last one shows why looking at losses does not help: $-\log(-\log u)$ and its negative have the same spread, and the codes look fine. In PyTorch the famous one is a temperature that is never handed on:
#
# ```python
# import torch.nn.functional as F
# from dvae_np.check import judge
# from dvae_np.check.torch import estimator
#
# mine = estimator(lambda logits, f: f(F.gumbel_softmax(logits)))  # tau = 1
# print(judge(mine, like="gumbel_softmax", tau=0.5))
# # its mean is that of gumbel_softmax at tau = 1
# ```
#
# ## 7 Where it breaks
#
# At logits near zero almost everything works. The judge goes where estimators break: logits times 6 and 8, logits shifted by 800, $f$ ten thousand times larger or smaller, more latents, a category ruled out. If an estimator is right at mild logits only, the judge says so:


# %%
def probability_floored(logits, f, z, least=1e-3):
    """A bug for peaked q: log max(q, 0.001) has no slope below."""
    q = softmax(logits)[0]
    chosen = np.take_along_axis(q[None], z[..., None], -1)[..., 0]
    kept = (chosen >= least)[..., None]
    fz, _ = f(z)
    return (kept * fz[..., None, None] * score(logits, z)).mean(0)


say(judge(probability_floored).failed[0].explanation)

# %% [markdown]
# The famous cases, from public code, are in [the bug bank](../tests/bugs.py); each says where it was seen and which check sees it. [The page of numbers](../figures/README.md#public-packages) has what the judge said of public packages.
#
# ## 8 Which of two right ones?
#
# Two unbiased estimators differ in variance and in cost. The mean of $n$ independent calls has $1/n$ of a call's variance. Let a call have the variance $v$ and cost $c$ evaluations of $f$ (or seconds). A budget $C$ then buys $n = C / c$ calls, and leaves the variance $v\,c / C$. So compare
#
# $$\frac{v_1\, c_1}{v_2\, c_2} . \tag{15.3}$$
#
# Below 1 the first one is better. Variances are exact where the noise can be enumerated; else they have an interval, as all sampled numbers should.


# %%
def lifted(z):
    """f + 2, whose mean a baseline has to take off."""
    fz, f_backward = f(z)
    return fz + 2, f_backward


for other in ("reinforce", "local_expectation"):
    found = compare_variance(
        leave_one_out, other, S=3, logits=logits, f=lifted
    )
    say(found)
    print()
v1, v2 = found.first.variance, found.second.variance
c1, c2 = found.first.evaluations, found.second.evaluations
R, spread = 4000, []  # repetitions, each for c2 evaluations
for name, cost in (("reinforce_loo", c1), ("local_expectation", c2)):
    n = int(c2 / cost)  # calls, averaged
    many = tiled(logits, R * n)
    (z,) = draw(rng, many, 3, ("z",))
    draws = TABLE[name].estimate(many, lifted, z).dlogits
    spread.append(draws.reshape(R, n, N, K).mean(1).var(0).sum())
confirm("15.3", spread[0] / spread[1], v1 * c1 / (v2 * c2), tolerance=0.04)

# %% [markdown]
# Leave-one-out and REINFORCE evaluate $f$ equally often, so the variances alone decide. Local expectation has a far smaller variance, and pays for it with {{c2:.0f}} evaluations where leave-one-out takes {{c1:.0f}}. It still wins: at equal evaluations leave-one-out has {{v1 * c1 / (v2 * c2):.1f}} times its variance.
#
# ## 9 In your own tests
#
# One line, and a failure shows the whole explanation:
#
# ```python
# def test_my_estimator():
#     judge(my_estimator).raise_if_failed()
# ```
#
# On the command line `python -m dvae_np verify my_file.py:my_estimator` does the same (`--framework torch`, `--like`, `--op`, `--json`; `--beside` compares two), with an exit status for continuous integration.
#
# | what you have | the test | a pass means |
# |---|---|---|
# | a backward pass | `check_op` | its numbers are those of differences, at this point |
# | codes come in: `z` | all outcomes | no bias, to rounding |
# | Gumbel noise comes in: `u`, `v` | quadrature | the same, for one sample; else draws |
# | it draws: `rng`, `key`, a global generator | replicates, in two ways | no bias above the stated size |
# | it remembers: a class | the same with `steps=3` | the same, at calls 1 and 3 |
# | biased by design | `like=` | the same numbers, or the same mean, as that row |
# | an array of gradients | `judge_samples` | no bias above the stated size, at *your* logits |
#
# None of them sees your encoder, your data, or an $f$ that is not the one that you meant. A backward pass of your own encoder goes through `check_op`; your own $f$ through `check_objective`, which also says whether it contains $\log q$ and so depends on the logits ([recipes](RECIPES.md)).
#
# ## 10 Break it: what looks wrong and is right
#
# Two right ones that readers often take for wrong, and the wrong twin of the first:


# %%
def not_centred(logits, f, z):
    """The score without its -q; but the signals add up to zero."""
    fz, _ = f(z)
    S = len(z)
    signal = (fz - fz.mean(0)) * S / (S - 1)
    return (
        signal[..., None, None] * np.eye(K, dtype=logits.dtype)[z]
    ).mean(0)


def uncentred_score(logits, f, z):
    """The same without the baseline: now the -q is missed."""
    fz, _ = f(z)
    return (fz[..., None, None] * np.eye(K, dtype=logits.dtype)[z]).mean(0)


def with_a_stranger_as_baseline(logits, f, z, u):
    """f at a code that has nothing to do with z."""
    other = (logits + gumbel(u)).argmax(-1)
    signal = f(z)[0] - f(other)[0]
    return (signal[..., None, None] * score(logits, z)).mean(0)


z, weights = every_code(logits, 2)
many = tiled(logits, len(weights))
for estimate in (not_centred, uncentred_score):
    mean = moments(weights, estimate(many, f, z))[0]
    print(f"{estimate.__name__}: off by {abs(mean - right).max():.1e}")
for result in judge(with_a_stranger_as_baseline).results[-2:]:
    say(result.verdict)

# %% [markdown]
# ## Reading
#
# - A. Griewank, A. Walther, *Evaluating derivatives*, 2008: what is compared in a test of a derivative.
# - P. Glynn, W. Whitt, *The asymptotic efficiency of simulation estimators*, 1992: variance times cost.
# - J. Hanley, A. Lippman-Hand, *If nothing goes wrong, is everything all right?*, 1983: the rule of three.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: section 3.
#
# Next: [16 The conditional discrete VAE](16_conditional_vae.ipynb)

# %% [markdown] exercise 15.1: 2 points
# ## 15.1 Implement: the mean of an estimator
#
# `mean_of(estimate, logits, f, S)`: the exact mean (N, K) of `estimate(logits, f, z)` over all outcomes of $S$ codes, for one example, `logits` (1, N, K). `every_code` and `tiled` are yours to use, `moments` is not. About 3 lines.


# %% solution 15.1
def mean_of(estimate, logits, f, S):
    """The mean over all (K^N)^S outcomes: (N, K)."""
    ### BEGIN SOLUTION
    z, weights = every_code(logits, S)
    draws = estimate(tiled(logits, len(weights)), f, z)
    return (weights[:, None, None] * draws).sum(0)
    ### END SOLUTION


# %% check 15.1
from dvae_np.lesson import judge

judge("15.1", mean_of)


# %% right 15.1
def mean_of(estimate, logits, f, S):
    z, weights = every_code(logits, S)
    total = 0.0
    for t in range(len(weights)):
        total = total + weights[t] * estimate(logits, f, z[:, [t]])[0]
    return total


# %% wrong 15.1: all outcomes equally probable
def mean_of(estimate, logits, f, S):
    z, weights = every_code(logits, S)
    return estimate(tiled(logits, len(weights)), f, z).mean(0)


# %% wrong 15.1: at one sample
def mean_of(estimate, logits, f, S):
    z, weights = every_code(logits, 1)
    z = np.repeat(z, S, 0)
    draws = estimate(tiled(logits, len(weights)), f, z)
    return (weights[:, None, None] * draws).sum(0)


# %% [markdown] exercise 15.2: 2 points
# ## 15.2 Implement: along and across
#
# `off(mean, right)`: the relative bias along the gradient, $a$ of [Eq. 15.1], and the size of the rest, $\lVert r \rVert / \lVert g \rVert$, two numbers for arrays of any one shape. About 3 lines.


# %% solution 15.2
def off(mean, right):
    """(a, |r| / |g|) of [Eq. 15.1]."""
    ### BEGIN SOLUTION
    a = ((mean - right) * right).sum() / (right**2).sum()
    rest = mean - right - a * right
    return a, np.sqrt((rest**2).sum() / (right**2).sum())
    ### END SOLUTION


# %% check 15.2
from dvae_np.lesson import judge

judge("15.2", off)


# %% right 15.2
def off(mean, right):
    m, g = mean.ravel(), right.ravel()
    share = m @ g / (g @ g)
    whole = (m - g) @ (m - g) / (g @ g)
    return share - 1, np.sqrt(whole - (share - 1) ** 2)


# %% wrong 15.2: share of the gradient
def off(mean, right):
    a = (mean * right).sum() / (right**2).sum()
    return a, np.linalg.norm(mean - a * right) / np.linalg.norm(right)


# %% wrong 15.2: whole bias
def off(mean, right):
    a = ((mean - right) * right).sum() / (right**2).sum()
    return a, np.linalg.norm(mean - right) / np.linalg.norm(right)


# %% wrong 15.2: not relative
def off(mean, right):
    a = ((mean - right) * right).sum() / (right**2).sum()
    return a, np.linalg.norm(mean - right - a * right)


# %% [markdown] exercise 15.3: 3 points
# ## 15.3 Judge: ten estimators, four of them wrong
#
# Below are ten estimators. The first eight claim to be unbiased; 8 claims to be `gumbel_softmax` and 9 `straight_through_gumbel`, both with `tau=0.5`. Four are wrong, and some of the right ones look wrong. `S` is at least 2. Find them, by thinking or by this lesson's means (`examine(e0)` is the lesson's judge under another name, and takes `like=` and `tau=`), and write `verdicts(numbers)`: for an array of such numbers, as `[3, 1, 8]`, an array of reasons, 0 for a right one, else:
#
# 1. the sign is turned
# 2. the baseline holds the example's own sample
# 3. the score lacks its $-q$
# 4. a factor $1 / \tau$ is missing in the backward pass
# 5. a probability is floored: wrong where $q$ is peaked
# 6. two parts use the same noise, and may not
# 7. the temperature is inverted


# %% given 15.3


def hot(logits, z):
    return np.eye(logits.shape[-1], dtype=logits.dtype)[z]


def e0(logits, f, z):
    fz = f(z)[0]
    others = (fz.sum(0) - fz) / (len(z) - 1)
    return ((fz - others)[..., None, None] * score(logits, z)).mean(0)


def e1(logits, f, z):
    fz = f(z)[0]
    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


def e2(logits, f, z):
    fz = f(z)[0]
    signal = (fz - fz.mean(0)) / (len(z) - 1)
    return (signal[..., None, None] * hot(logits, z)).sum(0)


def e3(logits, f, z):
    return (f(z)[0][..., None, None] * hot(logits, z)).mean(0)


def e4(logits, f, z):
    q = softmax(logits)[0]
    direction = hot(logits, z) - np.maximum(q, 1e-3)
    return (f(z)[0][..., None, None] * direction).mean(0)


def e5(logits, f, z):
    q = np.exp(logits - logits.max(-1, keepdims=True))
    q = q / q.sum(-1, keepdims=True)
    return (f(z)[0][..., None, None] * (hot(logits, z) - q)).mean(0)


def e6(logits, f, z, u):
    other = (logits + gumbel(u)).argmax(-1)
    signal = f(z)[0] - f(other)[0]
    return (signal[..., None, None] * score(logits, z)).mean(0)


def e7(logits, f, z):
    q, fz = softmax(logits)[0], f(z)[0]
    gradient = np.zeros_like(logits)
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            other = z.copy()
            other[..., n] = k
            gradient[:, n, k] = (q[:, n, k] * (f(other)[0] - fz)).mean(0)
    return gradient


def e8(logits, f, u):
    y, softmax_backward = softmax((logits + gumbel(u)) / 0.5)
    fy, f_backward = f(y)
    return softmax_backward(
        f_backward(np.full_like(fy, 1 / len(u)))[0]
    ).sum(0)


def e9(logits, f, u):
    y, softmax_backward = softmax((logits + gumbel(u)) / 0.5)
    fy, f_backward = f(hot(logits, y.argmax(-1)))
    dy = f_backward(np.full_like(fy, 1 / len(u)))[0]
    return 2 * softmax_backward(dy).sum(0)


# %% solution 15.3
def verdicts(numbers):
    """For each of these estimators 0 where it is right, else the reason."""
    ### BEGIN SOLUTION
    reasons = np.array([0, 2, 0, 3, 5, 0, 0, 0, 4, 0])
    # 2: the signals add up to 0, so the -q is not missed. 7: no q f in it,
    # right on average alone. 9: 2 is 1 / tau.
    return reasons[numbers]
    ### END SOLUTION


# %% check 15.3
from dvae_np.lesson import judge

judge("15.3", verdicts)


# %% right 15.3
def verdicts(numbers):
    wrong = {1: 2, 3: 3, 4: 5, 8: 4}
    return np.array([wrong.get(i, 0) for i in numbers.tolist()])


# %% wrong 15.3: the number of right ones passed
def verdicts(numbers):
    return np.array([0, 2, 3, 3, 5, 0, 6, 0, 4, 4])[numbers]


# %% wrong 15.3: the number of wrong ones with their reason
def verdicts(numbers):
    return np.array([0, 2, 0, 3, 3, 0, 0, 0, 7, 0])[numbers]


# %% wrong 15.3: the number of wrong ones found
def verdicts(numbers):
    return np.array([0, 2, 0, 3, 0, 5, 0, 0, 4, 0])[numbers]


# %% [markdown] exercise 15.4: 1 point
# ## 15.4 Find the bug: a comparison at equal cost
#
# `cheaper(first, second, c1, c2)` is meant to be [Eq. 15.3] from draws of two gradients, `first` (R, N, K) and `second` (Q, N, K), variances summed over the entries, each with divisor R - 1 and Q - 1. A call of the first costs `c1` evaluations, of the second `c2`. Its author was glad: the dear estimator won. Correct one line.
#
# ```python
# v1, v2 = (draws.var(0, ddof=1).sum() for draws in (first, second))
# return (v1 / c1) / (v2 / c2)
# ```


# %% solution 15.4
def cheaper(first, second, c1, c2):
    """Below 1: the first one is better for its cost."""
    v1, v2 = (draws.var(0, ddof=1).sum() for draws in (first, second))
    ### BEGIN SOLUTION
    return (v1 * c1) / (v2 * c2)
    ### END SOLUTION


# %% check 15.4
from dvae_np.lesson import judge

judge("15.4", cheaper)


# %% right 15.4
def cheaper(first, second, c1, c2):
    total = []
    for draws, cost in ((first, c1), (second, c2)):
        centred = draws - draws.mean(0)
        total.append(cost * (centred**2).sum() / (len(draws) - 1))
    return total[0] / total[1]


# %% wrong 15.4: dear one is rewarded
def cheaper(first, second, c1, c2):
    v1, v2 = (draws.var(0, ddof=1).sum() for draws in (first, second))
    return (v1 / c1) / (v2 / c2)


# %% wrong 15.4: standard deviations
def cheaper(first, second, c1, c2):
    v1, v2 = (draws.std(0, ddof=1).sum() for draws in (first, second))
    return (v1 * c1) / (v2 * c2)


# %% wrong 15.4: upside down
def cheaper(first, second, c1, c2):
    v1, v2 = (draws.var(0, ddof=1).sum() for draws in (first, second))
    return (v2 * c2) / (v1 * c1)


# %% [markdown] written 15.W: 3 points
# ## 15.W In words: run the test again until it passes
#
# A test by draws has the false-alarm rate $\alpha = 0.01$, and sees a certain bias $\delta$ with a power of $0.90$. If it fails, a student runs it again with
# fresh draws, at most three runs in all. *One pass is enough: chance made the others fail.*
#
# (a) What are the false-alarm rate and the power of this procedure?
#
# (b) Compare it with *one* test of $3R$ draws, whose limit $c$ is chosen for the same false-alarm rate as in (a). Use the formula of lesson 05: the power is
# $\Phi(\delta \sqrt{R} / \mathrm{sd} - c)$. A standard normal variable exceeds $2.58$ in size with probability $0.01$, and $4.89$ with probability $10^{-6}$.
# $\Phi(1.28) = 0.90$ and $\Phi(1.80) = 0.96$.
#
# (c) What do you tell the student? What does the rerun have in its favour? Half a page in all.

# %% [markdown] model 15.W
# (a) The runs are independent. The procedure fails only if all three fail. So a right estimator fails with probability $\alpha^3 = 10^{-6}$. The bias is seen
# with probability $0.9^3 = 0.73$: a wrong estimator now passes in more than a quarter of all cases. A single run lets one in ten pass.
#
# (b) From the power of one run, $\delta \sqrt{R} / \mathrm{sd} - 2.58 = 1.28$, so $\delta \sqrt{R} / \mathrm{sd} = 3.86$. With $3R$ draws it is
# $\sqrt{3} \cdot 3.86 = 6.69$. At the limit $4.89$ the power is $\Phi(6.69 - 4.89) = \Phi(1.80) = 0.96$. So the same false-alarm rate is had with a power of
# $0.96$ in place of $0.73$.
#
# (c) A failed run is evidence, and the student throws it away. Repeating until a pass makes the test blind where it should see. Decide the number of draws
# first, and pool all of them in one test; or go through all outcomes, where nothing is left to chance. In favour of the rerun is its cost: a right estimator
# passes at the first run in 99 of 100 times, with $R$ draws, and the large test always takes $3R$. One may start with $R$ draws and take more after an alarm.
# But then all draws must count, and the limits must be chosen for this procedure.
#
# *Marks:* 1 for both numbers in (a); 1 for the power in (b); 1 for the verdict, with what the rerun saves.
