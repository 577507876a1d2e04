# %% [markdown]
# # 17 Completing digits
#
# **Question.** Half of a digit is given. Does a latent help to draw the other half, does a prior that sees the given half help more, and
# what goes wrong when it learns too fast?
#
# **After this lesson you can**
# - train a model that completes digits, and read its draws,
# - compare it with the two baselines that matter,
# - name the trap that a conditional prior sets, and the number that shows it,
# - classify by $p(x \mid c)$, with the class as the context.
#
# *Needs:* lesson 16. *Takes:* 30 minutes to read and run, 30 minutes for the exercises. Everything is in nats.

# %% setup
import numpy as np

from dvae_np import log_softmax
from dvae_np.lesson import figure

# %% [markdown]
# ## 1 Completing digits
#
# The upper half of an 8x8 digit is given, grey; its lower half, thresholded at $0.5$, is to be predicted. A short training by exact marginalisation over one latent of 20 categories:
# %%
from dvae_np.train import Settings, evaluate, fit, load

data = load("digits", task="completion")
settings = Settings(
    N=1,
    K=20,
    hidden=(64,),
    lr=3e-3,
    epochs=40,
    prior="conditional",
    prior_rate=0.2,
)
run = fit(data, settings)
test = evaluate(
    run.params, data.test.x, data.test.c, model=run.settings.model
)
print(data)
print(
    f"test log p(x|c) {test.log_likelihood:.2f} nats, KL {test.kl:.2f} "
    f"({test.method})"
)

# %%
from dvae_np.figures.models import completed, completions

figure(
    completions,
    completed(
        run.params,
        data,
        np.random.default_rng(0),
        run.settings.model,
        columns=10,
        draws=3,
    ),
    size=(7.4, 3.6),
)

# %% [markdown]
# The rows below the truth are *means* of $p(x \mid c, z)$ for codes drawn from $p(z \mid c)$. Where the upper half settles the digit, all draws agree. Where it
# does not, the draws differ: that is what the latent is for.

# %% [markdown]
# ## 2 The picture: two baselines, and a trap
#
# A conditional model must beat two others: the **deterministic** one, without a latent (here simply $K = 1$: one category is no choice), and the one with an **unconditional** prior $p(z)$, whose decoder
# sees the context all the same. `python -m dvae_np complete` trains all three with three seeds each, on the digits and, with `--data mnist`, on MNIST. The third table is MNIST again, with a prior that learns five times as fast.
#
# How to read the tables: log-likelihoods are the median of three seeds, and their range. The *gain over p(z)* is another number: the two models with the same seed are subtracted, and the gain is the median of the
# three differences. It is not the difference of the two medians. *Codes left open* is $e^H$, with $H$ the mean entropy of the prior for one context.

# %%
from dvae_np import records
from dvae_np.experiments.completion import completion_table

figure("completion.png")
for name in ("digits", "mnist", "mnist-rate-0.1"):
    record = records.read(f"completion-{name}")
    print(f"{record['command']}\n{completion_table(record)}\n")


# %%
def of(name, kind, what):
    """What a record says of one kind of prior, for each seed."""
    return np.array(
        [
            run[what]
            for run in records.read(f"completion-{name}")["runs"]
            if run["variant"].startswith(kind)
        ]
    )


def gain(name, kind="conditional", other="unconditional"):
    """The paired differences, seed by seed: log p(x|c) with one kind of
    prior less that with another.
    """
    return of(name, kind, "log_likelihood") - of(
        name, other, "log_likelihood"
    )


def left_open(name, kind="conditional"):
    """The median of the codes that the prior leaves open."""
    return np.median(of(name, kind, "prior_codes"))


tables = ("digits", "mnist", "mnist-rate-0.1")
open_codes = [left_open(name, "unconditional") for name in tables]
rates = {
    "0.1": "mnist-rate-0.1",
    "0.05": "mnist-rate-0.05",
    "0.02": "mnist",
    "0.01": "mnist-rate-0.01",
    "0.005": "mnist-rate-0.005",
}
slower = [
    np.median(gain(name))
    for rate, name in rates.items()
    if float(rate) < 0.1
]
print(
    "MNIST: complete --data mnist --prior-rate R\n    R   codes left open  "
    " gain over p(z), the median of paired differences (and their range)"
)
for rate, name in rates.items():
    print(
        f"{rate:>5}{left_open(name):18.1f}   {np.median(gain(name)):+.2f} "
        f"({gain(name).min():+.2f} to {gain(name).max():+.2f})"
    )
print(
    "\nthe digits: complete --data digits --prior-rate R\n    R   codes "
    "left open   log p(x|c), median"
)
for rate, name in {
    "1": "digits-rate-1.0",
    "0.2": "digits",
    "0.1": "digits-rate-0.1",
}.items():
    print(
        f"{rate:>5}{left_open(name):18.1f}   "
        f"{np.median(of(name, 'conditional', 'log_likelihood')):.2f}"
    )

# %% [markdown]
# A latent helps on both data sets: $p(z)$ has {{np.median(gain("digits", "unconditional", "deterministic")):.1f}} nats more than the deterministic model on the digits and {{np.median(gain("mnist", "unconditional", "deterministic")):.0f}} on MNIST
# (again medians of paired differences). A conditional prior helps too, if it learns *slowly*: its step size is a fifth of the rest's on the digits and a fiftieth on MNIST (narrower hidden layer, fewer epochs over
# more images). At a tenth it does *worse* on MNIST than a prior that sees nothing, with every seed, by {{-np.median(gain("mnist-rate-0.1")):.2f}} nats in the median, although it could imitate that one exactly. So it is a
# matter of where training settles, not of what the model can say.
#
# Look at the column of codes left open. $p(z)$ keeps {{min(open_codes):.1f}} to {{max(open_codes):.1f}} of twenty, and the decoder gives each of them a meaning of its own in every context. On MNIST the slow $p(z \mid c)$ keeps
# {{left_open("mnist"):.1f}}, the faster one {{left_open("mnist-rate-0.1"):.1f}}. The prior is trained to guess the code from the context. The encoder is pulled towards what can be guessed. For what the context already says there
# is no KL to pay. The slower the prior, the longer the encoder is free to say what the context does not, and the more codes stay open: from {{left_open("mnist-rate-0.1"):.1f}} at $R = 0.1$ up to {{left_open("mnist-rate-0.005"):.1f}} at
# $R = 0.005$.
#
# But more open codes are not a better model. What the conditional prior gains over $p(z)$ turns once, between a tenth and a twentieth. From there on it is much the same: {{min(slower):+.2f}} to {{max(slower):+.2f}} nats,
# which is within the range of the seeds. On the digits a fifth is better than both a tenth and the full step. This trap is a cousin of posterior collapse. To avoid it, train the unconditional model beside every conditional
# one, and try the prior's step size (`--prior-rate`). A loss curve on its own shows nothing of this.
#
# All runs begin with a decoder that paints the mean image. Lesson 19 says why.

# %% [markdown]
# ## 3 The class as the context
#
# The context may as well be the class of the image, as a one-hot row: `train --data digits --context labels`. The code need not say which digit it is any more; it says how it is written. And $p(x \mid c)$, a sum over all codes, classifies
# the image for nothing: with all classes equally frequent, $p(c \mid x) \propto p(x \mid c)$.

# %%
from dvae_np.figures.models import classes
from dvae_np.train import classify

digits = load("digits", context="labels")
by_class = fit(
    digits,
    Settings(
        N=1,
        K=16,
        hidden=(64,),
        lr=3e-3,
        epochs=30,
        prior="learned",
    ),
)
scores = classify(by_class, digits.test.x, 10)  # log p(x|c), exact
right = (scores.argmax(1) == digits.test.labels).mean()
print(
    f"{right:.1%} of {len(scores)} test digits have the largest p(x|c) "
    "under their own class"
)
figure(
    classes,
    by_class.params,
    digits,
    np.random.default_rng(0),
    by_class.settings.model,
    size=(7.4, 5.4),
)

# %% [markdown]
# Each row is a class and each column a code, drawn from $p(z)$: the same way of writing, as far as the model knows one. With a prior $p(z \mid c)$ a code may mean something else in each class, and most codes are used by few of them: the trap of the section before.

# %% [markdown]
# ## Reading
#
# - K. Sohn, H. Lee, X. Yan, *Learning structured output representation using deep conditional generative models*, 2015: completing digits by quarters.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017: completing digits with discrete latents.
#
# Next: [18 Training](18_training.ipynb)

# %% [markdown] exercise 17.1
# ### 17.1 Derive: the posterior over codes
#
# Write `posterior(fz, log_prior)`: from `fz` ($-\log p(x \mid c, z)$) and `log_prior` ($\log p(z \mid c)$), both (M, B), compute the *true* posterior $p(z \mid x, c)$ of all M states for each example: (M, B). About 2 lines;
# each column must sum to 1.


# %% solution 17.1
def posterior(fz, log_prior):
    """p(z|x,c), (M, B)."""
    ### BEGIN SOLUTION
    return np.exp(log_softmax((log_prior - fz).T)[0].T)
    ### END SOLUTION


# %% check 17.1
from dvae_np.lesson import judge

judge("17.1", posterior)


# %% right 17.1
def posterior(fz, log_prior):
    joint = np.exp(log_prior - fz - (log_prior - fz).max(0))
    return np.einsum("mb,b->mb", joint, 1 / joint.sum(0))


# %% wrong 17.1: p(z|c) is missing
def posterior(fz, log_prior):
    return np.exp(log_softmax(-fz.T)[0].T)


# %% wrong 17.1: divide by p(x|c)
def posterior(fz, log_prior):
    return np.exp(log_prior - fz)


# %% wrong 17.1: normalise over the states
def posterior(fz, log_prior):
    return np.exp(log_softmax(log_prior - fz)[0])


# %% wrong 17.1: probabilities are asked for
def posterior(fz, log_prior):
    return log_softmax((log_prior - fz).T)[0].T


# %% [markdown] exercise 17.2
# ### 17.2 Find the bug: an importance weight
#
# `estimate_of_evidence(z, b, fz, log_prior, logq)` estimates $p(x \mid c)$ of one example from codes drawn from $q$, by the mean of importance weights. One term is wrong. `z` is (S,) numbers of states and `b` the number of the
# example; `fz`, `log_prior` and `logq` are (M, B), as above; return the mean of the $S$ weights, a number. Correct one line. Averaged over all codes the result must be $p(x \mid c)$ exactly.
#
# ```python
# log_weight = log_prior[z, b] - fz[z, b]
# return np.exp(log_weight).mean()
# ```


# %% solution 17.2
def estimate_of_evidence(z, b, fz, log_prior, logq):
    """The mean of p(z|c) p(x|c,z) / q(z) over the codes z."""
    ### BEGIN SOLUTION
    log_weight = log_prior[z, b] - fz[z, b] - logq[z, b]
    ### END SOLUTION
    return np.exp(log_weight).mean()


# %% check 17.2
from dvae_np.lesson import judge

judge("17.2", estimate_of_evidence)


# %% right 17.2
def estimate_of_evidence(z, b, fz, log_prior, logq):
    # how often each state was drawn
    times = np.bincount(z, minlength=len(fz))
    return times @ np.exp(log_prior[:, b] - fz[:, b] - logq[:, b]) / len(z)


# %% wrong 17.2: the weight p(z|c) / q(z) is missing
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(-fz[z, b]).mean()


# %% wrong 17.2: divide by q
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(log_prior[z, b] - fz[z, b]).mean()


# %% wrong 17.2: p(z|c) is missing
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(-fz[z, b] - logq[z, b]).mean()


# %% wrong 17.2: average the weights
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return (log_prior[z, b] - fz[z, b] - logq[z, b]).mean()


# %% wrong 17.2: a mean where a sum is due
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(log_prior[z, b] - fz[z, b] - logq[z, b]).sum()
