# %% [markdown]
# # 00 Start here
#
# **Question.** A variational autoencoder whose latents are *categories* instead of Gaussian numbers has one hard part. Which one, and what
# can be done about it?
#
# **After this lesson you can**
# - say in one sentence where the chain of derivatives breaks,
# - begin to read the package, knowing its five concepts, one table of letters and a short glossary,
# - run the checks that prove a gradient right, and see one fail,
# - find the lesson that answers your question.
#
# *Needs:* NumPy, the chain rule, a little probability. *Takes:* 30 minutes. Everything is a loss to minimise, in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np.check import judge, lookup_table
from dvae_np.lesson import figure, show

# %% [markdown]
# ## 1 The problem in one picture

# %%
figure("problem.png")

# %% [markdown]
# The latent is a *code*: $N$ variables $z_1, \ldots, z_N$, each one of $K$ categories. There are $K^N$ codes. An encoder turns data $x$ into logits, a softmax makes them a posterior $q(z \mid x)$ over codes, a code
# $z$ is drawn, and a decoder scores how well it explains $x$: $f(z) = -\log p(x \mid z)$. A prior $p(z)$ says how probable each code is before any data is seen. We want the gradient of
#
# $$\mathcal{L} = \mathbb{E}_{z \sim q}[f(z)] + \beta\,\mathrm{KL}(q \,\Vert\, p)$$
#
# in all parameters. Here $\mathrm{KL}(q \,\Vert\, p) = \sum_z q(z) \log \frac{q(z)}{p(z)}$ measures how far $q$ is from the prior. It is a finite sum, and its gradient is a formula (lesson 03). The decoder's gradient is an average over
# samples (lesson 05). But a drawn code is an integer: nudge the logits a little, and it stays as it is, or jumps. The derivative of
# a sample is zero almost everywhere, and the sum over *all* codes has $K^N$ terms. That is the whole difficulty.
#
# There are four ways out, and this course derives, runs and proves all of them:
#
# | way | lessons | price |
# |---|---|---|
# | take all $K^N$ codes: exact marginalisation | 04 | each code is decoded |
# | draw codes, and use values of $f$ alone: the score function with a baseline, unbiased | 05, 06 | variance |
# | relax the code to numbers between 0 and 1, or use the slope of $f$ as if it were relaxed | 07, 08 | bias |
# | less variance without a bias: control variates, sums over a part of the codes, samples that avoid each other | 10, 11, 12 | more evaluations of $f$, some need its slope |
#
# Lesson 09 changes the objective instead: a bound on $\log p(x)$ from several samples, with a gradient of its own.
#
# ## 2 Sixty seconds of it
#
# Two latents of three categories, and a table of numbers as $f$. The exact gradient, and an estimate of it from samples:

# %%
rng = np.random.default_rng(0)
# (B, N, K): one example, two latents, three categories
logits = rng.standard_normal((1, 2, 3))
f = lookup_table(rng.standard_normal((3, 3)))  # any function of two codes
(z,) = dvae_np.draw(rng, logits, 100_000, ("z",))  # (S, B, N)
exact, sampled = (
    dvae_np.exact(logits, f).dlogits[0, 0],
    dvae_np.reinforce_loo(logits, f, z).dlogits[0, 0],
)
print("exact        ", exact)
print("leave-one-out", sampled)
difference = np.abs(sampled / exact - 1).max()

# %% [markdown]
# Close: entry by entry they differ by up to {{difference:.1%}}. Is that bad luck, or is the estimator a little wrong? 100,000 samples cannot tell. Enumeration can: the package lists every
# outcome of an estimator's noise with its probability, and adds up.

# %%
report = judge(dvae_np.reinforce_loo)
for result in report.results:
    if result.check.startswith("dlogits"):
        print(f"{result.check}: {result.verdict}")
print(f"{len(report.results)} checks, {len(report.failed)} failed")

# %% [markdown]
# ## 3 Five concepts
#
# 1. An **op** is `y, backward = op(*inputs)`; `backward(dy)` returns one gradient per input, `None` for data (lesson 01).
# 2. An **objective** is `fz, backward = f(z)`, with `z` integer codes (S, B, N) or relaxed codes (S, B, N, K), and `fz` (S, B). Its
#    `backward(dfz)` returns `(dz, dtheta)`.
# 3. **Noise** is an argument. `draw(rng, logits, S, names)` is the only place that draws it. So every estimator is a deterministic function of
#    its noise, and can be enumerated, integrated, or replayed.
# 4. An **estimator** is `estimate(logits, f, *noise, **hyper)`, and returns `Estimate(value, dlogits, dtheta, domega)`.
# 5. A **check** compares what was derived with what the numbers say, and explains the difference.
#
# An op, whole, with its backward pass inside (softplus is $\log(1 + e^x)$):

# %%
show(dvae_np.softplus)

# %% [markdown]
# ## 4 Notation
#
# | symbol | name in code | shape | meaning | equation |
# |---|---|---|---|---|
# | $B, S$ | `B`, `S` | | examples in a batch; samples drawn for each | |
# | $N, K$ | `N`, `K` | | latents of a code; categories of each | |
# | $M = K^N$ | `M` | | how many codes there are: joint states | [Eq. 4.5] |
# | $x$ | `x` | (B, D) | data, D observed dimensions | |
# | $c$ | `c` | (B, C) | context of C dimensions, for conditional models | [Eq. 13.1] |
# | $\ell$ | `logits` | (B, N, K) | the encoder's output, any real numbers | [Eq. 2.1] |
# | $q(z \mid x)$ | `q`, `logq` | (B, N, K) | softmax of the logits: the probability of each category | [Eq. 2.2] |
# | $p(z)$ | `prior_logits` | (B, N, K) or (1, N, K) | the prior, by its logits | |
# | $z$ | `z` | (S, B, N) | codes, integers from 0 to K - 1 | [Eq. 2.8] |
# | $y$ | `y` | (S, B, N, K) | relaxed codes: K numbers from 0 to 1 for each latent | [Eq. 7.1] |
# | $\mathrm{score}(z)$ | `score` | (S, B, N, K) | gradient of $\log q(z)$ in the logits | [Eq. 2.4] |
# | $f(z)$ | `fz` | (S, B) | what is averaged, in nats | [Eq. 3.7] |
# | $\mathcal{L}, \beta$ | `value`, `beta` | | the loss, and the weight of the KL in it | [Eq. 3.2] |
# | $\tau$ | `tau` | | temperature of a relaxation: the lower, the nearer to a code | [Eq. 7.1] |
# | $\psi, \theta, \phi, \omega$ | `psi`, `theta`, `phi`, `omega` | dicts of arrays | parameters of encoder, decoder, prior, and an estimator's own | |
# | $dx$ | `dx` | as `x` | the gradient of the loss in $x$, $\partial \mathcal{L} / \partial x$; so for every letter | [Eq. 1.1] |
#
# Words and signs that the lessons use:
#
# | word or sign | meaning |
# |---|---|
# | nat | the unit of $-\log p$ with the natural logarithm; $\log 2 = 0.693$ nats are one bit |
# | $[k = i]$ | 1 where the condition in the brackets holds, else 0 |
# | $\mathrm{onehot}(k)$ | a vector of K zeros with a 1 in place $k$ |
# | $a \odot b$ | the product entry by entry, `a * b` in NumPy |
# | $\langle a, b \rangle$ | the sum of that product over all entries |
# | cotangent | what a backward pass is called with: the gradient of the loss in an op's *output*, `dy` |
# | unbiased | right on average: the mean of the estimate is the exact gradient |
# | baseline, control variate | a number, or a function of known mean, that is taken off to lower the variance |
# | power of a test | the chance that it sees an error of a given size, where there is one |
# | marginalise | sum over all values of a variable, weighed by their probabilities |
#
# Every equation has one number, the same in a lesson, in the docstring of the function that computes it, and in
# [the sheet of all equations](README.md).
#
# ## 5 Map of the code
#
# | file | what is in it | lessons |
# |---|---|---|
# | `ops.py` | linear, embedding, softmax and the like, each with its backward pass | 01, 02 |
# | `categorical.py` | log-probability, score, entropy, KL, sampling, conditional Gumbels | 02, 03, 10 |
# | `likelihoods.py` | Bernoulli, Gaussian and categorical pixels | 03 |
# | `networks.py`, `vae.py` | encoder, decoder, prior; the objective and one training step | 03, 04, 13 |
# | `concrete.py` | the Concrete density, and three KLs | 07 |
# | `estimators/` | one file, one estimator; begin with `exact.py`, `reinforce.py` and `reinforce_loo.py` | 04 to 12 |
# | `check/` | numeric gradients, enumeration, quadrature, verdicts | 01, 05 |
# | `train/` | data, optimisers, the loop, checkpoints, exact evaluation | 15 |

# %%
print(f"{len(dvae_np.TABLE)} estimators:", ", ".join(dvae_np.TABLE))

# %% [markdown]
# ## 6 How to use the course
#
# - Read a lesson from top to bottom and run it; its first lines name the lessons that it needs. Then open its notebook in [exercises/](exercises/). A cell says `YOUR CODE
#   HERE`, and the one below judges what you wrote. It tries your function on inputs of several sizes, compares the numbers with ours, and says what is wrong and often why.
# - Every lesson has a section *Break it*: a mistake that is easily made, and the check that catches it. Make your own.
# - To judge an estimator of yours: `python -m dvae_np verify my_file.py:my_function`, or `judge` as above.
# - In a hurry? 01 to 06. Here for relaxations: 01 to 05, 07, 08. Here for REBAR: 01 to 07, 10, 11. Lesson 14 compares all of them.
# - Teaching? See [the page for instructors](INSTRUCTORS.md).
#
# ## 7 Break it
#
# What a wrong estimator looks like. This one subtracts the mean of *all* samples, its own among them, and divides by S.


# %%
def wrong(logits, f, z):
    """Leave-one-out, but for a factor."""
    fz, _ = f(z)
    return (
        (fz - fz.mean(0))[..., None, None] * dvae_np.score(logits, z)
    ).mean(0)


failed = [
    result
    for result in judge(wrong).failed
    if result.check.startswith("dlogits: mean")
]
for result in failed[:2]:
    print(f"{result.check}\n    {result.verdict}\n    {result.explanation}")

# %% [markdown]
# With two samples several factors explain the numbers. With three only one of them still does: the one that both lines name.

# %% [markdown]
# ## Reading
#
# - D. P. Kingma, M. Welling, *Auto-encoding variational Bayes*, 2014: the VAE with Gaussian latents.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017, and C. Maddison, A. Mnih, Y. W. Teh, *The Concrete
#   distribution*, 2017: the relaxation that made categorical latents popular.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey.
#
# Next: [01 Forward and backward](01_forward_and_backward.ipynb)
