# %% [markdown]
# # 00 Start here
#
# **Question.** A variational autoencoder whose latents are *categories* instead of Gaussian numbers has one hard part. Which one, and what
# can be done about it?
#
# **After this lesson you can**
# - say in one sentence where the chain of derivatives breaks,
# - read any file of the package, knowing five concepts and one table of letters,
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
# An encoder turns data $x$ into logits, a softmax makes them a posterior $q(z \mid x)$ over codes, a code $z$ is drawn, and a decoder
# scores how well it explains $x$: $f(z) = -\log p(x \mid z)$, in nats. We want the gradient of
#
# $$\mathcal{L} = \mathbb{E}_{z \sim q}[f(z)] + \beta\,\mathrm{KL}(q \,\Vert\, p)$$
#
# in all parameters. The KL is a finite sum, and its gradient is a formula (lesson 03). The decoder's gradient is an average over
# samples (lesson 05). But a drawn code is an integer: nudge the logits a little, and it stays as it is, or jumps. The derivative of
# a sample is zero almost everywhere, and the sum over *all* codes has $K^N$ terms. That is the whole difficulty.
#
# There are three ways out, and this course derives, runs and proves all of them:
#
# | way | lessons | price |
# |---|---|---|
# | take all $K^N$ states: exact marginalisation | 04 | as many evaluations of $f$ as there are states |
# | the score function and its baselines: unbiased, from values of $f$ alone | 05, 06, 09, 12 | variance |
# | relax the code, and use the slope of $f$ | 07, 08 | bias |
# | both: control variates | 10, 11 | more evaluations, more to get wrong |
#
# ## 2 Sixty seconds of it
#
# Two latents of three categories, and a table of numbers as $f$. The exact gradient, and an estimate of it from samples:

# %%
rng = np.random.default_rng(0)
logits = rng.standard_normal((1, 2, 3))  # (B, N, K): one example, two latents, three categories
f = lookup_table(rng.standard_normal((3, 3)))  # any function of two codes
(z,) = dvae_np.draw(rng, logits, 100_000, ("z",))  # (S, B, N)
print("exact        ", dvae_np.exact(logits, f).dlogits[0, 0])
print("leave-one-out", dvae_np.reinforce_loo(logits, f, z).dlogits[0, 0])

# %% [markdown]
# Close, but is it *right*? 100,000 samples cannot tell a bias of a tenth of a per cent from bad luck. Enumeration can: the package lists every
# outcome of an estimator's noise with its probability, and adds up.

# %%
print(judge(dvae_np.reinforce_loo))

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
# An op, whole, with its backward pass inside:

# %%
show(dvae_np.softplus)

# %% [markdown]
# ## 4 Notation
#
# | symbol | name in code | shape | meaning | equation |
# |---|---|---|---|---|
# | $x$ | `x` | (B, D) | data, D observed dimensions | |
# | $c$ | `c` | (B, C) | context, for conditional models | 13.1 |
# | $\ell$ | `logits` | (B, N, K) | the encoder's output: N latents of K categories | 2.1 |
# | $q(z \mid x)$ | `q`, `logq` | (B, N, K) | softmax of the logits | 2.2 |
# | $z$ | `z` | (S, B, N) | codes, integers from 0 to K - 1 | 2.8 |
# | $y$ | `y` | (S, B, N, K) | relaxed codes | 7.1 |
# | $s(z)$ | `score` | (S, B, N, K) | gradient of $\log q(z)$ in the logits | 2.4 |
# | $f(z)$ | `fz` | (S, B) | what is averaged, in nats | 3.7 |
# | $\psi, \theta, \phi, \omega$ | `psi`, `theta`, `phi`, `omega` | dicts of arrays | encoder, decoder, prior, an estimator's own | |
# | $dx$ | `dx` | as `x` | d loss / d x, always | 1.1 |
# | $S, B, \tau, \beta$ | `S`, `B`, `tau`, `beta` | | samples, batch, temperature, weight of the KL | 3.2 |
# | $M = K^N$ | `M` | | joint states | 4.5 |
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
# | `estimators/` | one file, one estimator, one screen | 04 to 12 |
# | `check/` | numeric gradients, enumeration, quadrature, verdicts | 01, 05 |
# | `train/` | data, optimisers, the loop, checkpoints, exact evaluation | 15 |

# %%
print(f"{len(dvae_np.TABLE)} estimators:", ", ".join(dvae_np.TABLE))

# %% [markdown]
# ## 6 How to use the course
#
# - Read a lesson from top to bottom and run it; each is self-contained. Then open its notebook in [exercises/](exercises/). A cell says `YOUR CODE
#   HERE`, and the one below judges what you wrote: by mathematics, not by an answer key. It says what is wrong, and often why.
# - Every lesson has a section *Break it*: a mistake that was made in real code, and the check that catches it. Make your own.
# - To judge an estimator of yours: `python -m dvae_np verify my_file.py:my_function`, or `judge` as above.
# - In a hurry? 02, 03, 04, 05, 06 and 14. Here for relaxations: 02 to 05, 07, 08. Here for REBAR: 02 to 07, 10, 11.
# - Teaching? See [the page for instructors](INSTRUCTORS.md).
#
# ## 7 Break it
#
# What a wrong estimator looks like. This one subtracts the mean of all samples and divides by S; it is in published code.


# %%
def wrong(logits, f, z):
    """Leave-one-out, but for a factor."""
    fz, _ = f(z)
    return ((fz - fz.mean(0))[..., None, None] * dvae_np.score(logits, z)).mean(0)


failure = judge(wrong).failed[0]
print(failure.verdict, "\n", failure.explanation)

# %% [markdown]
# ## Reading
#
# - D. P. Kingma, M. Welling, *Auto-encoding variational Bayes*, 2014: the VAE with Gaussian latents.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017, and C. Maddison, A. Mnih, Y. W. Teh, *The Concrete
#   distribution*, 2017: the relaxation that made categorical latents popular.
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey.
#
# Next: [01 Forward and backward](01_forward_and_backward.ipynb)
