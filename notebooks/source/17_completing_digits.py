# %% [markdown]
# # 17 Completing digits
#
# **Question.** Half of a digit is given. Does a latent help to draw the other half? Does a prior that sees the given half help more? And what goes wrong if that prior learns too fast?
#
# **After this lesson you can**
# - train a model that completes digits, and read its draws,
# - read how such a model compares with the two baselines that matter,
# - name the trap that a conditional prior sets, and the comparison that shows it,
# - classify by $p(x \mid c)$, with the class as the context.
#
# *Needs:* lesson 16. *Takes:* 30 minutes to read and run, 65 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np import log_softmax
from dvae_np.figures.models import mean_images
from dvae_np.lesson import figure, picture, say, table
from dvae_np.networks import conditional

# %% [markdown]
# ## 1 Completing digits
#
# The upper half of an 8x8 digit is given, in grey. Its lower half, thresholded at $0.5$, is to be predicted. We train a small model by exact marginalisation over one latent of 20 categories:
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
say(data)
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
    alt="Upper halves of ten digits, the true lower halves, and three "
    "drawn completions of each.",
)

# %% [markdown]
# In each column the upper half is given. The rows below the truth are *means* of $p(x \mid c, z)$, for codes drawn from $p(z \mid c)$. If the upper half settles the digit, all draws agree. If it does not, the draws differ. That is what the latent is for.
#
# ## 2 Two baselines, and a trap
#
# A conditional model must beat two others. The **deterministic** one has no latent (here simply $K = 1$: one category is no choice). The other one has an **unconditional** prior $p(z)$, while its decoder sees the context.
#
# `python -m dvae_np complete` trains all three with three seeds each, on the digits and, with `--data mnist`, on MNIST. It trains longer than section 1 did, {{records.read("completion-digits")["model"]["epochs"]:d}} epochs on the digits in place of 40, so the same model reaches a better $\log p(x \mid c)$. Let $R$ be the step size of the prior, divided by that of the other parameters (`--prior-rate`).
#
# How to read the tables:
#
# - A log-likelihood is the median of three seeds, with their range.
# - The *gain over p(z)* is a paired number. For each seed we subtract the two models with that seed; the gain is the median of the three differences. It is not the difference of the two medians.
# - *Codes left open* is $e^H$, with $H$ the mean entropy of the prior for one context.

# %%
from dvae_np import records
from dvae_np.experiments.completion import completion_table

figure("completion.png")
for name, words in (
    ("digits", "The digits"),
    ("mnist", "MNIST, a slow prior"),
    ("mnist-rate-0.1", "MNIST, a prior five times as fast"),
):
    record = records.read(f"completion-{name}")
    R = record["model"]["prior_rate"]
    title = f"**{words}, R = {R:g}**: `{record['command']}`\n\n"
    table(title + completion_table(record, markdown=True))


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
steps = {
    "MNIST": {
        "0.1": "mnist-rate-0.1",
        "0.05": "mnist-rate-0.05",
        "0.02": "mnist",
        "0.01": "mnist-rate-0.01",
        "0.005": "mnist-rate-0.005",
    },
    "digits": {
        "1": "digits-rate-1.0",
        "0.2": "digits",
        "0.1": "digits-rate-0.1",
    },
}
slower = [
    np.median(gain(name))
    for rate, name in steps["MNIST"].items()
    if float(rate) < 0.1
]
for words, names in steps.items():
    print(
        f"{words}: complete --data {words.lower()} --prior-rate R\n    R   "
        "codes left open   gain over p(z): paired, median (and range)"
    )
    for rate, name in names.items():
        gained = gain(name)
        print(
            f"{rate:>5}{left_open(name):18.1f}   {np.median(gained):+.2f} "
            f"({gained.min():+.2f} to {gained.max():+.2f})"
        )

# %%
fig, ax = plt.subplots(figsize=(7.2, 3), layout="constrained")
for (words, names), mark, up_by in zip(
    steps.items(), "os", (-13, 5), strict=True
):
    at = [left_open(name) for name in names.values()]
    up = [np.median(gain(name)) for name in names.values()]
    ax.plot(at, up, mark + "-", label=words)
    for x, y, rate in zip(at, up, names, strict=True):
        ax.annotate(
            f"R = {rate}", (x, y), (5, up_by), textcoords="offset points"
        )
ax.axhline(0, color="0.6")
ax.text(21.5, 0.03, "p(z)", ha="right")
ax.set(
    xlabel="codes that p(z|c) leaves open, of 20",
    ylabel="gain over p(z), nats",
    xlim=(0, 21.5),
    ylim=(-0.75, 0.85),
)
ax.legend(frameon=False, loc="lower right")
picture(
    fig,
    "Gain against codes left open. On MNIST the gain is below zero at the "
    "fewest open codes, and above it from there on. On the digits it is "
    "always above zero, even where fewest codes are open.",
)

# %% [markdown]
# **A latent helps.** With $p(z)$ the model has {{np.median(gain("digits", "unconditional", "deterministic")):.1f}} nats more than the deterministic one on the digits, and {{np.median(gain("mnist", "unconditional", "deterministic")):.0f}} more on MNIST (medians of paired differences).
#
# **A conditional prior helps too, if it learns slowly.** Its step size here is a fifth of the other parameters' on the digits, and a fiftieth on MNIST. With a tenth it does *worse* on MNIST than a prior that sees nothing, with every seed, by {{-np.median(gain("mnist-rate-0.1")):.2f}} nats in the median. Yet it could imitate that prior exactly. So the loss is a matter of where training settles, not of what the model can say.
#
# **Only the comparison with $p(z)$ shows it,** with the same seeds. The codes left open help to see what happens. $p(z)$ keeps {{min(open_codes):.1f}} to {{max(open_codes):.1f}} of twenty codes open, and the decoder gives each of them a meaning in every context. On MNIST the slow $p(z \mid c)$ keeps {{left_open("mnist"):.1f}}, the faster one {{left_open("mnist-rate-0.1"):.1f}}. But this number alone does not tell a trap: on the digits the prior with the full step leaves only {{left_open("digits-rate-1.0"):.1f}} codes open, and still gains {{np.median(gain("digits-rate-1.0")):.2f}} nats.
#
# Why? The prior learns to guess the code from the context, and the encoder is pulled towards what can be guessed. If the code says only what the context already says, there is no KL to pay, and nothing is gained. The slower the prior, the longer the encoder is free to say what the context does not. From $R = 0.1$ to $R = 0.005$ the open codes grow from {{left_open("mnist-rate-0.1"):.1f}} to {{left_open("mnist-rate-0.005"):.1f}}.
#
# **But more open codes are not a better model.** On MNIST the gain over $p(z)$ changes its sign once, between a tenth and a twentieth. From there on it stays between {{min(slower):+.2f}} and {{max(slower):+.2f}} nats, within the range of the seeds. On the digits a fifth is better than both a tenth and the full step.
#
# This trap is a cousin of posterior collapse. To avoid it, train the unconditional model beside every conditional one, and try several step sizes of the prior (`--prior-rate`). A loss curve alone shows nothing of this.
#
# All runs start with a decoder that paints the mean image. Lesson 19 says why.
#
# ## 3 The class as the context
#
# The context may also be the class of the image, as a one-hot row: `train --data digits --context labels`. Then the code need not say which digit it is. It says how the digit is written. And $p(x \mid c)$, a sum over all codes, classifies the image without extra training: if all classes are equally frequent, $p(c \mid x) \propto p(x \mid c)$.

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
    alt="A grid of digits: a row for each class, a column for each drawn "
    "code; the style is alike down a column.",
)

# %% [markdown]
# Each row is a class, and each column a code that was drawn from $p(z)$: one way of writing in each column, as far as the model has learned ways of writing. With a prior $p(z \mid c)$ a code may mean something else in each class, and few classes use each code. That is the trap of section 2 again.
#
# ## 4 Break it
#
# A trap for reports: predict the lower half and call its *mean* the completion. The mean of several sharp pictures is a blurred one. Here are two numbers for the test halves: the model's $\log p(x \mid c)$, and what its mean picture gives, with each pixel on its own. In the mean picture pixel $d$ is on with probability $\sum_k p(k \mid c)\, p(x_d = 1 \mid c, k)$.

# %%
x, c = data.test.x, data.test.c
prior = np.exp(
    log_softmax(conditional(run.params["phi"], c, 1)[0].logits[:, 0])[0]
)  # p(k|c), (n, K)
each = np.array(
    [
        mean_images(
            run.params, np.full((len(c), 1), k), data, c, settings.model
        )
        for k in range(20)
    ]
)  # p(pixel is on | c, k), (K, n, D)
blurred = np.einsum("nk,knd->nd", prior, each)
by_pixel = np.log(np.where(x > 0.5, blurred, 1 - blurred)).sum(1).mean()
print(f"log p(x|c) of the model          {test.log_likelihood:.2f} nats")
print(f"log p of its mean, pixel by pixel {by_pixel:.2f} nats")

# %% [markdown]
# Pixel by pixel the two predict the same probabilities. The blurred mean loses {{test.log_likelihood - by_pixel:.1f}} nats because it does not know which pixels go together. A comparison by the error of mean pictures, or by pixels, would never show what a latent is for.

# %% [markdown]
# ## Reading
#
# - K. Sohn, H. Lee, X. Yan, *Learning structured output representation using deep conditional generative models*, 2015: completing digits by quarters.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017: completing digits with discrete latents.
#
# Next: [18 Training](18_training.ipynb)

# %% [markdown] exercise 17.1: 1 point
# ## 17.1 Derive: the posterior over codes
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


# %% [markdown] exercise 17.2: 1 point
# ## 17.2 Find the bug: an importance weight
#
# `estimate_of_evidence(z, b, fz, log_prior, logq)` estimates $p(x \mid c)$ of one example from codes drawn from $q$, by the mean of importance weights. One term is wrong. `z` is (S,) numbers of states and `b` the number of the
# example; `fz` and `log_prior` are those of 17.1, and `logq` holds $\log q(z \mid x, c)$, all three (M, B); return the mean of the $S$ weights, a number. Correct one line. Averaged over all codes the result must be $p(x \mid c)$ exactly.
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


# %% wrong 17.2: q stands in the denominator
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(log_prior[z, b] - fz[z, b] + logq[z, b]).mean()


# %% wrong 17.2: average the weights
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return (log_prior[z, b] - fz[z, b] - logq[z, b]).mean()


# %% wrong 17.2: a sum where a mean is due
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(log_prior[z, b] - fz[z, b] - logq[z, b]).sum()


# %% [markdown] exercise 17.3: 2 points
# ## 17.3 Implement: the probability of each class
#
# Section 3 takes the class with the largest $p(x \mid c)$. That is right if all classes are equally frequent. Now the classes have different shares $p(c)$, and we want to know how certain the answer is. Write `class_probabilities(fz, log_prior, share)`: there are $C$
# classes, $M$ codes and $B$ images. `fz` (C, M, B) holds $-\log p(x \mid c, z)$, `log_prior` (C, M) holds $\log p(z \mid c)$, and `share` (C,) holds $p(c)$. Return $p(c \mid x)$, (B, C). Each row must add up to 1. `log_softmax(a)[0]` is over the last axis. About 3 lines.


# %% solution 17.3
def class_probabilities(fz, log_prior, share):
    """p(c|x), (B, C)."""
    ### BEGIN SOLUTION
    log_joint = log_prior[..., None] - fz  # log p(x, z|c), (C, M, B)
    log_px = np.logaddexp.reduce(log_joint, axis=1)  # (C, B)
    return np.exp(log_softmax(log_px.T + np.log(share))[0])
    ### END SOLUTION


# %% check 17.3
from dvae_np.lesson import judge

judge("17.3", class_probabilities)


# %% right 17.3
def class_probabilities(fz, log_prior, share):
    joint = np.einsum("c,cm,cmb->bc", share, np.exp(log_prior), np.exp(-fz))
    return joint / joint.sum(1)[:, None]


# %% wrong 17.3: weigh each by its share
def class_probabilities(fz, log_prior, share):
    log_px = np.logaddexp.reduce(log_prior[..., None] - fz, axis=1)
    return np.exp(log_softmax(log_px.T)[0])


# %% wrong 17.3: weigh each by p(z|c)
def class_probabilities(fz, log_prior, share):
    log_px = np.logaddexp.reduce(-fz, axis=1)
    return np.exp(log_softmax(log_px.T + np.log(share))[0])


# %% wrong 17.3: sum over the codes
def class_probabilities(fz, log_prior, share):
    best = (log_prior[..., None] - fz).max(1)
    return np.exp(log_softmax(best.T + np.log(share))[0])


# %% wrong 17.3: average p(x|c,z), not its logarithm
def class_probabilities(fz, log_prior, share):
    mean = (np.exp(log_prior)[..., None] * -fz).sum(1)
    return np.exp(log_softmax(mean.T + np.log(share))[0])


# %% wrong 17.3: divide by p(x)
def class_probabilities(fz, log_prior, share):
    joint = np.exp(log_prior[..., None] - fz).sum(1)
    return (joint * share[:, None]).T


# %% wrong 17.3: shape (3, 5), expected (5, 3)
def class_probabilities(fz, log_prior, share):
    log_px = np.logaddexp.reduce(log_prior[..., None] - fz, axis=1)
    return np.exp(log_softmax(log_px.T + np.log(share))[0]).T


# %% [markdown] written 17.W: 3 points
# ## 17.W In words: is the mean picture always worse?
#
# Section 4 compares $\log p(x \mid c)$ with the log-probability under the mean picture, $\log \bar p(x) = \sum_d \log p(x_d \mid c)$, where
# $p(x_d \mid c) = \sum_z p(z \mid c)\, p(x_d \mid c, z)$. Take one context $c$.
#
# (a) Let $x$ be drawn from the model, $x \sim p(x \mid c)$. Show that on average $\log p(x \mid c)$ is not below $\log \bar p(x)$. When are the two averages
# equal?
#
# (b) A student says: *so for every single $x$ the model gives at least the probability of its mean picture*. Prove it, or give an example with two pixels and
# two codes where it is false.
#
# (c) On the test images of section 4 the model is better by some nats. Does (a) guarantee this? Half a page in all.

# %% [markdown] model 17.W
# (a) Both $p(x \mid c)$ and $\bar p(x) = \prod_d p(x_d \mid c)$ are distributions over all $x$. The mean of the difference is
# $\sum_x p(x \mid c) \log \frac{p(x \mid c)}{\bar p(x)} = \mathrm{KL}\bigl(p(x \mid c) \,\Vert\, \bar p\bigr)$. A KL is never negative (lesson 03). It is
# zero only if $p(x \mid c)$ is the product of its pixels: if the pixels are independent, given $c$.
#
# (b) It is false. Let both codes have probability $\frac{1}{2}$. Under code 0 both pixels are on with probability $0.9$, under code 1 with $0.1$. Each pixel
# is then on with probability $\frac{1}{2}$, and $\bar p(x) = \frac{1}{4}$ for all four $x$. The model gives
# $\frac{1}{2} \cdot 0.9 \cdot 0.1 + \frac{1}{2} \cdot 0.1 \cdot 0.9 = 0.09$ to an $x$ with one pixel on: less than $\frac{1}{4}$. (Both on has $0.41$.) Two
# distributions both add up to one. So if one is larger somewhere, it is smaller elsewhere.
#
# (c) No. In (a) the average is over $x$ drawn from the *model*. Test images come from the data. If they often looked like an $x$ that the model holds for
# improbable, as the $x$ with one pixel on in (b), the mean picture would win. So the measured gain tells something about the data: the pixels of real digits
# go together as the model has learned.
#
# *Marks:* 1 for the KL in (a), with equality; 1 for an example in (b); 1 for (c): data are not draws from the model.
