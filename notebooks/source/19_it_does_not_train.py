# %% [markdown]
# # 19 My discrete VAE does not train
#
# **Question.** The loss does not fall, or it falls and the model is useless. What is broken, and which number says so?
#
# **After this lesson you can**
# - print the six numbers that tell most faults apart,
# - go from a symptom to its cause, to the check that proves it, and to the cure,
# - say how much a latent tells about the data, and when it has collapsed,
# - explain how codes are lost in the first steps of training.
#
# *Needs:* lesson 18; one table also 08. *Takes:* 55 minutes to read and run, 65 minutes for the exercises. Everything is in nats.

# %% setup

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    bernoulli,
    encoder,
    entropy,
    ops,
    records,
    vae,
)
from dvae_np.check import check_op
from dvae_np.experiments.first_steps import (
    first_gradient,
    first_steps_table,
)
from dvae_np.lesson import confirm, figure, picture, say, show, table
from dvae_np.likelihoods.bernoulli import start as first_image_of
from dvae_np.train import (
    Settings,
    Training,
    fit,
    load,
    usage,
)

# %% [markdown]
# ## 1 Six numbers to print first
#
# Most faults can be told apart by six numbers on the test images. None of them needs the training code.
#
# | number | what it should be |
# |---|---|
# | the loss that training **reports** | a little below the negative ELBO on test images, as training images are known better |
# | the negative **ELBO**, computed apart from the training code | below the loss of the *mean image*, a model without a code |
# | $-\log p(x)$, by the exact sum, or a bound by many samples | a little below the negative ELBO; never above it |
# | the **KL** to the prior, and the **information** that the code has about $x$ (section 4) | above zero; the KL is at least the information |
# | how many **codes are used** | most of them |
#
# To see them at work we break a model. It is the model of lesson 00, one code out of twenty, with a switch for each fault. A fault that is made on purpose shows what the same fault looks like when it is made by mistake.

# %%
data = load("digits")
x, test = data.train.x.astype(float), data.test.x.astype(float)
K = 20


def parts(x, params, bug=None):
    """q, -log p(x|k), and log q - log p(k): each (B, K)."""
    W, b, A = params
    logits = x @ W + b
    axis = 0 if bug == "softmax over the batch" else 1
    top = 0 if bug == "no maximum" else logits.max(axis, keepdims=True)
    q = np.exp(logits - top)
    q = q / q.sum(axis, keepdims=True)
    f = np.logaddexp(0, A).sum(1) - x @ A.T
    return q, f, np.log(np.maximum(q, 1e-300)) + np.log(K)


def train(bug=None, beta=1.0, rate=0.03, adam=True, spread=0.1, first=0.1):
    """The parameters after 400 steps, and the loss that was reported."""
    rng = np.random.default_rng(0)
    params = [spread * rng.standard_normal((64, K)), np.zeros(K)]
    params += [first * rng.standard_normal((K, 64))]
    m, v = [0 * w for w in params], [0 * w for w in params]
    for step in range(1, 401):
        q, f, extra = parts(x, params, bug)
        cost = f + (0 if bug == "KL left out" else beta * extra)
        loss = (q * cost).sum(1, keepdims=True)
        dlogits = q * (cost - loss) / len(x)
        dA = q.sum(0)[:, None] / (1 + np.exp(-params[2])) - q.T @ x
        gradients = x.T @ dlogits, dlogits.sum(0), dA / len(x)
        for i, g in enumerate(gradients):
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.99 * v[i] + 0.01 * g**2
            mean, square = m[i] / (1 - 0.9**step), v[i] / (1 - 0.99**step)
            move = mean / np.sqrt(square + 1e-16) if adam else g
            params[i] = params[i] - rate * move
    return params, loss.mean()


def six(params, reported):
    """The numbers of the table above, on the test images."""
    q, f, extra = parts(test, params)
    shared = np.maximum(q.mean(0), 1e-300)
    return {
        "reported": reported,
        "-ELBO": (q * (f + extra)).sum(1).mean(),
        "-log p": -np.log(np.exp(-f).mean(1)).mean(),
        "KL": (q * extra).sum(1).mean(),
        "info": (q * np.log(np.maximum(q, 1e-300) / shared)).sum(1).mean(),
        "codes": len(set(q.argmax(1))),
    }


# %%
faults = {
    "healthy": {},
    "plain descent": {"adam": False, "rate": 0.5},
    "KL weighed by 10": {"beta": 10.0},
    "KL left out": {"bug": "KL left out"},
    "softmax over the batch": {"bug": "softmax over the batch"},
    "first pictures too strong": {"first": 3.0},
    "step size 0.5": {"rate": 0.5},
    "no maximum": {"bug": "no maximum", "spread": 100.0},
}
models, found = {}, {}
with np.errstate(all="ignore"):
    for words, fault in faults.items():
        models[words], reported = train(**fault)
        found[words] = six(models[words], reported)
pixel = np.clip(x.mean(0), 1e-3, 1 - 1e-3)
mean_image = -(test * np.log(pixel) + (1 - test) * np.log(1 - pixel))
mean_image = mean_image.sum(1).mean()
print(f"the mean image costs {mean_image:.2f} nats\n")
print(" " * 26 + "".join(f"{name:>10}" for name in found["healthy"]))
for words, numbers in found.items():
    print(f"{words:26}" + "".join(f"{n:10.2f}" for n in numbers.values()))

# %% [markdown]
# Losses are negative ELBO and $-\log p(x)$. Before you read on, cover the table below and guess from the numbers what is wrong in each line.
#
# ## 2 From symptom to cure
#
# | symptom | number that tells | usual causes | cure |
# |---|---|---|---|
# | **One code for all images** | one code used, information 0, the KL near $\log K$ | plain descent, or a first step that is too large; a decoder that starts from grey noise (section 5) | Adam; a smaller step size; start the decoder at the mean image (`first_image="mean"`) |
# | **The KL is zero** | KL and information 0; the negative ELBO is that of the mean image | the KL weighs too much, is counted twice, or is summed over pixels while the reconstruction is averaged | $\beta = 1$; count again; raise $\beta$ slowly (`--schedule warm_up`); free bits (lesson 03) |
# | **The bound is above $\log p(x)$** | the reported loss is *below* $-\log p(x)$, the negative ELBO is not far from it | the KL is left out, or has the wrong sign or a wrong constant ($1/K$ for $\log 1/K$), or is taken at soft codes (lesson 07) | compute the negative ELBO apart; it must be above $-\log p(x)$, by a KL |
# | **Worse than the mean image** | the negative ELBO is far above the mean image's loss, while the reported loss looks good | a softmax, sum or mean over the wrong axis; images and rows out of step; test images scaled otherwise | check shapes; run `check_op` on each op (lesson 01) |
# | **Codes unused** | few codes used | a strong random start, where a few codes win at once; too large a step size | smaller first weights; smaller steps; for codebooks, restarts |
# | **nan** | the loss is not a number | $e^{\ell}$ without taking off the maximum; $\log 0$; a step size that is far too large | `log_softmax`, which takes it off; uniforms that are never 0 or 1; the array that broke first is named by `train` |
# | **Relaxed loss good, model bad** | the reported (relaxed) loss is far below the discrete ELBO | $f$ at soft codes is another objective (lesson 07) | evaluate discrete codes; lower the temperature (lesson 14) |
# | **It learns, but too slowly** | all numbers are plausible | a biased or noisy gradient | `judge` it on a small copy of the model (lesson 15); more samples |
#
# The codes' pictures tell some of this at a glance. Each row below is a model, each small image one of its twenty codes.

# %%
drawn = [
    "healthy",
    "plain descent",
    "KL weighed by 10",
    "first pictures too strong",
]
fig, axes = plt.subplots(
    len(drawn), K, figsize=(8.5, 1.9), layout="constrained"
)
for row, words in zip(axes, drawn, strict=True):
    for ax, a in zip(row, models[words][2], strict=True):
        ax.imshow(1 / (1 + np.exp(-a.reshape(8, 8))), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(
        words, rotation=0, ha="right", va="center", fontsize=8
    )
picture(
    fig,
    "The pictures of twenty codes in four models: digits; grey noise; "
    "twenty times the mean image; two digits among noise.",
)

# %% [markdown]
# ## 3 Reading the table
#
# - **Plain descent.** One code is used and the information is {{found["plain descent"]["info"]:.2f}}: the model is the mean image, but it pays {{found["plain descent"]["KL"]:.2f}} nats of KL for always naming the same code. The gradient was exact. The fault is in the steps, not in the estimator.
# - **KL weighed by 10.** The KL is {{found["KL weighed by 10"]["KL"]:.2f}}. It is cheaper to say nothing. This is what people call *posterior collapse* most often.
# - **KL left out.** Training reports {{found["KL left out"]["reported"]:.2f}} nats, but $-\log p(x)$ is {{found["KL left out"]["-log p"]:.2f}}. A loss below $-\log p(x)$ cannot be a bound. The KL also kept $q$ open at the start: without it, only {{found["KL left out"]["codes"]:d}} codes survive.
# - **Softmax over the batch.** The reported loss is a wonderful {{found["softmax over the batch"]["reported"]:.2f}}. The rows of $q$ no longer add up to one, so the average is not an average. The ELBO, computed apart, is {{found["softmax over the batch"]["-ELBO"]:.1f}}, far worse than the mean image.
# - **First pictures too strong.** {{found["first pictures too strong"]["codes"]:d}} codes are used. The others start so far from any image that $q$ never chooses them, and a code that is never chosen gets no gradient.
# - **Step size** $0.5$. {{found["step size 0.5"]["codes"]:d}} codes are left. The reported loss falls as in a healthy run. The codes, the information of {{found["step size 0.5"]["info"]:.2f}} and the negative ELBO of {{found["step size 0.5"]["-ELBO"]:.2f}} show the fault.
# - **No maximum.** Not a number. The exponential overflowed.
#
# And the healthy model? Its negative ELBO is {{found["healthy"]["-ELBO"]:.2f}}, its $-\log p(x)$ {{found["healthy"]["-log p"]:.2f}}. It uses {{found["healthy"]["codes"]:d}} codes, and its KL of {{found["healthy"]["KL"]:.2f}} is more than its information of {{found["healthy"]["info"]:.2f}}.
#
# One fault is left: a relaxed loss that looks good. Here is the same model, trained by Gumbel-Softmax at two temperatures:

# %%
from dvae_np.experiments import first_model

for tau in (2.0, 0.2):
    soft = first_model.train(
        "gumbel_softmax", x, rate=0.03, steps=300, tau=tau
    )
    W, b, A = soft
    logits = (test @ W + b)[:, None]
    u = np.random.default_rng(1).random((20, len(test), 1, K))
    noisy = (logits - np.log(-np.log(u)))[:, :, 0] / tau
    y = dvae_np.softmax(noisy)[0]  # soft codes (S, B, K)
    a = y @ A
    relaxed = (np.logaddexp(0, a) - a * test).sum(-1).mean()
    q, f, extra = parts(test, soft)
    print(
        f"tau = {tau}: reconstruction by soft codes {relaxed:.2f} nats, by "
        f"drawn codes {(q * f).sum(1).mean():.2f}"
    )

# %% [markdown]
# At a high temperature a soft code mixes many rows of the table, and the decoder learns to use mixtures. A drawn code is one row.

# %% [markdown]
# ## 4 What do the codes say?
#
# Does a latent $z_n$ tell which image it was? Average the posterior over the $B$ images: $\bar q_n(k) = \frac{1}{B} \sum_b q_n(k \mid x_b)$ is the share of the images that use category $k$. The *mutual information* compares each image's posterior with this average:
#
# $$I(x; z_n) = \frac{1}{B} \sum_b \sum_k q_n(k \mid x_b) \log \frac{q_n(k \mid x_b)}{\bar q_n(k)} = H(\bar q_n) - \frac{1}{B} \sum_b H\bigl(q_n(\cdot \mid x_b)\bigr) . \tag{19.1}$$
#
# The second form follows because $\frac{1}{B} \sum_b q_n(k \mid x_b) = \bar q_n(k)$. If all images have the same posterior, the information is zero: the latent has *collapsed*. Its KL to the prior is then $\mathrm{KL}(\bar q_n \Vert p)$, anything from zero to $\log K$. This is why the KL alone does not show a collapse.
#
# The *perplexity* $e^{H(\bar q_n)}$ says how many categories are in use: $m$ categories that are used equally have the perplexity $m$. The package computes both with `usage`, and `python -m dvae_np show` prints them for every run.

# %%
run = fit(data, Settings(N=2, K=8, epochs=30))

# %%
show(usage)
measured = usage(run.params, data.test.x)
# (B, N, K)
q = ops.softmax(encoder(run.params["psi"], data.test.x)[0].astype(float))[0]
confirm(
    "19.1",
    measured.information,
    (q * np.log(q / q.mean(0))).sum(-1).mean(0),
)
for n in range(2):
    print(
        f"z{n + 1}: {measured.used[n]} of 8 categories used, perplexity "
        f"{measured.perplexity[n]:.2f}, {measured.information[n]:.2f} nats "
        "about x"
    )
print("warnings:", measured.warnings)

# %% [markdown]
# ## 5 The first steps
#
# Codes can be lost before they mean anything. A fresh decoder paints grey noise: every pixel is on with a probability near $\frac{1}{2}$. Most pixels of a digit are dark. So the code whose picture happens to be darkest is the best code for *every* image, and all images are sent there.
#
# The remedy is to start the decoder at the mean image, which it would have to learn first anyway. Which bias $a_d$ of pixel $d$ paints it? The best constant satisfies $\sum_b \sigma(a_d) - x_{bd} = 0$, so with $m_d$ the mean of pixel $d$
#
# $$a_d = \log \frac{m_d}{1 - m_d} . \tag{19.2}$$
#
# [The code of REBAR](https://github.com/tensorflow/models/blob/2fd7d3ae49322850039920ce68b87a4db054c4d1/research/rebar/rebar.py) (Tucker et al. 2017; `train_bias`) starts there, and so does this package, unless you ask for `first_image="random"`. (A pixel that is dark in all images has $m_d = 0$. Therefore ½ is added to the count of ones, and ½ to the count of zeros.)
#
# How much of the encoder's first gradient is only about the mean image? Let $g_b$ be the gradient of image $b$'s reconstruction in its logits. The part that all images share is the mean of the $g_b$. Its share of the total is
#
# $$c = \Bigl\lVert \frac{1}{B} \sum_b g_b \Bigr\rVert^2 \Big/\, \frac{1}{B} \sum_b \lVert g_b \rVert^2 . \tag{19.3}$$
#
# It is 1 if all images pull in the same direction, and about $1 / B$ if their gradients have nothing to do with one another. What they share pushes the encoder's weights the same way in every batch. Only the KL pulls back. And once $q$ is certain of one code, $J(q) = \mathrm{diag}(q) - q q^{\top}$ [Eq. 2.2] is zero, and every gradient through the softmax vanishes: the exact one, and the KL's too. A run that comes close to this point moves away from it very slowly.

# %%
show(first_image_of)
show(first_gradient)
few = data.train.x[:100]
for first_image in ("random", "mean"):
    firsts, entropies = [], []
    for seed in range(3):
        training = Training(
            data, Settings(N=2, K=8, seed=seed, first_image=first_image)
        )
        firsts.append(first_gradient(training.params, few))
        for _ in range(50):
            training.step()
            entropies.append(
                entropy(encoder(training.params["psi"], few)[0])[0].mean()
                / 2
            )
    said = "; ".join(f"{share:.2f}, {norm:.2f}" for share, norm in firsts)
    print(
        f"{first_image:6}: c and |mean g|, three seeds: {said}\n"
        f"        least entropy in 50 steps {min(entropies):.2f} nats"
    )
fresh = Training(
    data, Settings(N=2, K=8, seed=2, first_image="mean")
).params
g = dvae_np.exact(
    encoder(fresh["psi"], few)[0], vae.reconstruction(fresh["theta"], few)
).dlogits
confirm(
    "19.3",
    firsts[-1][0],
    1 - g.var(0).sum() / (g**2).sum((1, 2)).mean(),
    tolerance=1e-4,
)
# half a time on, half a time off
pixels = np.concatenate([few, np.full((1, 64), 0.5)]).astype(float)
slope = bernoulli(first_image_of(pixels[:-1], 1)[None, None], pixels)[1](
    np.ones((1, 101))
)[0]
confirm("19.2", slope, np.zeros_like(slope))

# %% [markdown]
# On the digits $q$ stays open in both cases (with no category preferred the entropy is $\log 8 = 2.08$ nats). On MNIST, with 784 pixels, it does not. `python -m dvae_np collapse` follows 500 test images through the first 100 steps, with three seeds, from these starts:
#
# - *as published*: the settings of a published table (grey pixels, hidden layers 512 and 256, four latents of eight categories; [the page of measured numbers](../figures/README.md) has the long runs);
# - *larger rows*: the decoder's rows for the codes are larger, so that codes differ more;
# - *mean image*: as published, but the decoder starts at the mean image;
# - *train*: this package's own settings, two latents of eight categories, from the mean image and from a random one.
#
# The table shows medians (and ranges). The share $c$ and the norm are of the first 100 images. *Codes* counts the different likeliest codes of the 500 images. Entropy and information [Eq. 19.1] are nats for each latent. A low entropy alone is no harm: a good encoder is certain too, but of different codes for different images. And many codes alone are no sign of health: while $q$ is nearly uniform, the likeliest code means nothing. So read *codes* together with the information.

# %%
figure("collapse.png")
table(first_steps_table(records.read("collapse"), markdown=True))

# %%
first_steps = records.read("collapse")["runs"]


def first(what, start, estimator, at=-1):
    """What the record says after so many steps (the last ones), for each of
    the three seeds.
    """
    place = at if at < 0 else at // records.read("collapse")["every"]
    return [
        run[what][place]
        for run in first_steps
        if (run["start"], run["estimator"]) == (start, estimator)
    ]


most = np.log(8)
published = [
    code
    for name in ("exact", "reinmax")
    for code in first("codes", "as published", name, 25)
]
from_random = [
    share
    for name in ("exact", "reinmax")
    for share in first("information", "train, random image", name)
]
from_mean = [
    share
    for name in ("exact", "reinmax")
    for share in first("information", "train", name)
]
stuck = records.read("reinmax-8x4-reinmax-s1")
kl, loss_of = np.array(stuck["history"]["kl"]), stuck["history"]["loss"]
# counted from 0
escaped = next(
    epoch for epoch, value in enumerate(loss_of) if value < loss_of[1] - 1
)
likelihoods = {
    name: records.read(name)["test"]["log_likelihood"]
    for name in (
        "mnist512",
        "mnist512-s1",
        "mnist512-random",
        "mnist512-random-s1",
    )
}
print(
    f"as published, codes after 25 steps: exact {published[:3]}, "
    f"reinmax {published[3:]}"
)
print(
    f"reinmax, seed 1: {loss_of[1]:.0f} nats until epoch {escaped}, then "
    f"{loss_of[escaped]:.0f}, at the end {loss_of[-1]:.0f}"
)
print(f"information after 100 steps, of at most {most:.2f} nats:")
print("    from a random image", np.round(from_random, 2))
print("    from the mean image", np.round(from_mean, 2))

# %% [markdown]
# Even the exact gradient, which has neither bias nor noise, sends all images to one code within 25 steps of the published start. So the fault is not one estimator's. Whether a run comes out again depends on the first weights and on the estimator. ReinMax with seed 1 has an entropy of {{first("entropy", "as published", "reinmax", 40)[1]:.3f}} nats after 40 steps. In the long run with that seed, the loss stays at {{loss_of[1]:.0f}} nats until epoch {{escaped:d}}; then the run escapes in part, and ends at {{loss_of[-1]:.0f}}.
#
# The package's own settings take larger steps, of $10^{-3}$. From a random image, both estimators then keep {{min(from_random):.2f}} to {{max(from_random):.2f}} of at most {{most:.2f}} nats about $x$. From the mean image they keep {{min(from_mean):.2f}} to {{max(from_mean):.2f}}. With the published settings but the mean image, five runs of six learn, and one (exact, seed 2: {{first("information", "mean image", "exact")[2]:.4f}} nats) has not begun after 100 steps. Therefore `train` starts at the mean image.
#
# This is no law. One latent of 512 categories reached {{likelihoods["mnist512"]:.2f}} and {{likelihoods["mnist512-s1"]:.2f}} nats from the mean image with two seeds, and {{likelihoods["mnist512-random"]:.2f}} and {{likelihoods["mnist512-random-s1"]:.2f}} from a random one. There the seed decides more than the start.

# %% [markdown]
# ## 6 Break it
#
# The whole page is made of broken models. Here is a fault that the six numbers do not show. The KL's gradient has lost a factor, and is half of what it should be. The model trains. Without a healthy model beside it, all of its numbers would pass:

# %%
halved = six(*train(beta=0.5))
print(" " * 26 + "".join(f"{name:>10}" for name in halved))
for words, numbers in (("healthy", found["healthy"]), ("halved", halved)):
    print(f"{words:26}" + "".join(f"{n:10.2f}" for n in numbers.values()))


def half_kl(q_logits):
    """A bug: the value of the KL with half of its gradient."""
    value, backward = dvae_np.kl(q_logits)
    return value, lambda dy: 0.5 * backward(dy)[0]


small = {"q_logits": np.random.default_rng(0).standard_normal((3, 1, 4))}
say(f"half_kl: {check_op(half_kl, small)}")

# %% [markdown]
# A check of that one op sees it at once. For estimators there is lesson 15.

# %% [markdown]
# ## Reading
#
# - G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, *REBAR: low-variance, unbiased gradient estimates for discrete latent variable models*, 2017; its code starts the decoder at the mean image.
# - S. R. Bowman, L. Vilnis, O. Vinyals, A. M. Dai, R. Jozefowicz, S. Bengio, *Generating sentences from a continuous space*, 2016: posterior collapse, and warming up the KL.
#
# Next: [20 Structured latents](20_structured_latents.ipynb)

# %% [markdown] exercise 19.1: 1 point
# ## 19.1 Find the bug: a bound above the likelihood
#
# This negative ELBO is reported *below* $-\log p(x)$, for a good model even by several nats. Yet the model trains as well as before, and a check of the gradients finds nothing. Correct one line. `q` (B, K) holds the posteriors of $B$ images, `f` (B, K)
# holds $-\log p(x \mid k)$. The prior is uniform. Return the mean over the images, a number. Which row of the table in section 2 is this, and why are the gradients right?
#
# ```python
# K = q.shape[1]
# kl = (q * (np.log(q) - 1 / K)).sum(1)
# return ((q * f).sum(1) + kl).mean()
# ```


# %% solution 19.1
def minus_elbo(q, f):
    """The negative ELBO of one latent with a uniform prior."""
    K = q.shape[1]
    ### BEGIN SOLUTION
    kl = (q * (np.log(q) - np.log(1 / K))).sum(1)
    ### END SOLUTION
    return ((q * f).sum(1) + kl).mean()


# %% check 19.1
from dvae_np.lesson import judge

judge("19.1", minus_elbo)


# %% right 19.1
def minus_elbo(q, f):
    total = 0.0
    for own, costs in zip(q, f, strict=True):
        total = total + own @ (costs + np.log(own * len(own)))
    return total / len(q)


# %% wrong 19.1: in the place of its logarithm
def minus_elbo(q, f):
    K = q.shape[1]
    kl = (q * (np.log(q) - 1 / K)).sum(1)
    return ((q * f).sum(1) + kl).mean()


# %% wrong 19.1: the sign of the constant is wrong
def minus_elbo(q, f):
    K = q.shape[1]
    kl = (q * (np.log(q) - np.log(K))).sum(1)
    return ((q * f).sum(1) + kl).mean()


# %% wrong 19.1: the constant is missing
def minus_elbo(q, f):
    return (q * (f + np.log(q))).sum(1).mean()


# %% wrong 19.1: the KL is missing
def minus_elbo(q, f):
    return (q * f).sum(1).mean()


# %% wrong 19.1: the mean is taken under q
def minus_elbo(q, f):
    K = q.shape[1]
    kl = -np.log(K * q).mean(1)
    return ((q * f).sum(1) + kl).mean()


# %% wrong 19.1: a sum where a mean is due
def minus_elbo(q, f):
    K = q.shape[1]
    return (q * (f + np.log(q) + np.log(K))).sum()


# %% [markdown] exercise 19.2: 2 points
# ## 19.2 Derive: where the rest of the KL goes
#
# The table of section 1 says that the KL is at least the information. What is the rest? Derive that for each latent the mean KL to a uniform prior is the information [Eq. 19.1] plus a KL in which no single image occurs. Write `kl_split(q)` for posteriors `q` (B, N, K):
# return a pair, the information (N,) and the rest (N,). About 4 lines.
#
# A latent with the information 0 has collapsed. If its rest is near $\log K$, it always names the same category. If its rest is 0 too, it says nothing at no cost.


# %% solution 19.2
def kl_split(q):
    """(the information, the KL of the average to the prior), each (N,)."""
    ### BEGIN SOLUTION
    shared = q.mean(0)  # (N, K)
    information = (q * np.log(q / shared)).sum(-1).mean(0)
    rest = (shared * np.log(shared * q.shape[-1])).sum(-1)
    return information, rest
    ### END SOLUTION


# %% check 19.2
from dvae_np.lesson import judge

judge("19.2", kl_split)


# %% right 19.2
def kl_split(q):
    B, N, K = q.shape
    kl = (q * np.log(K * q)).sum((0, 2)) / B
    rest = np.zeros_like(kl)
    for n in range(N):
        for k in range(K):
            share = q[:, n, k].sum() / B
            rest[n] += share * np.log(K * share)
    return kl - rest, rest


# %% wrong 19.2: compare q with its average
def kl_split(q):
    shared, K = q.mean(0), q.shape[-1]
    kl = (q * np.log(q * K)).sum(-1).mean(0)
    return kl, (shared * np.log(shared * K)).sum(-1)


# %% wrong 19.2: not what the information leaves of it
def kl_split(q):
    information = (q * np.log(q / q.mean(0))).sum(-1).mean(0)
    return information, (q * np.log(q * q.shape[-1])).sum(-1).mean(0)


# %% wrong 19.2: the mean is taken under the first
def kl_split(q):
    shared = q.mean(0)
    information = (q * np.log(q / shared)).sum(-1).mean(0)
    return information, -np.log(shared * q.shape[-1]).mean(-1)


# %% wrong 19.2: the entropy of the average
def kl_split(q):
    shared = q.mean(0)
    information = (q * np.log(q / shared)).sum(-1).mean(0)
    return information, -(shared * np.log(shared)).sum(-1)


# %% wrong 19.2: shape (), expected (2,)
def kl_split(q):
    shared = q.mean(0)
    information = (q * np.log(q / shared)).sum((1, 2)).mean()
    return information, (shared * np.log(shared * q.shape[-1])).sum()


# %% [markdown] exercise 19.3: 2 points
# ## 19.3 Derive: the share without chance
#
# If the gradients of $B$ images have nothing to do with one another, $c$ of [Eq. 19.3] is about $1 / B$ and not 0. The reason is in the squared sum: it has the $B$ products of each gradient with itself. Leave these out. Take the mean of $\langle g_i, g_j \rangle$ over all pairs
# of *different* images $i$ and $j$, and divide it by the mean of $\lVert g_b \rVert^2$. Write `without_chance(g)` for `g` (B, N, K): a number. Derive a form that has no loop over pairs. About 3 lines.


# %% solution 19.3
def without_chance(g):
    """What different images share of their gradients."""
    ### BEGIN SOLUTION
    squares = (g**2).sum()
    products = (g.sum(0) ** 2).sum() - squares  # B (B - 1) of them
    return products / (len(g) - 1) / squares
    ### END SOLUTION


# %% check 19.3
from dvae_np.lesson import judge

judge("19.3", without_chance)


# %% right 19.3
def without_chance(g):
    B = len(g)
    c = (g.mean(0) ** 2).sum() / (g**2).sum((1, 2)).mean()
    return (B * c - 1) / (B - 1)


# %% right 19.3
def without_chance(g):
    flat = g.reshape(len(g), -1)
    products = flat @ flat.T
    others = products[~np.eye(len(g), dtype=bool)]
    return others.mean() / np.diag(products).mean()


# %% wrong 19.3: leave out the pairs of an image with itself
def without_chance(g):
    return (g.mean(0) ** 2).sum() / (g**2).sum((1, 2)).mean()


# %% wrong 19.3: there are B (B - 1) pairs of different images
def without_chance(g):
    c = (g.mean(0) ** 2).sum() / (g**2).sum((1, 2)).mean()
    return c - 1 / len(g)


# %% wrong 19.3: divide by the mean square of the lengths
def without_chance(g):
    flat = g.reshape(len(g), -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    cosines = flat @ flat.T
    return cosines[~np.eye(len(g), dtype=bool)].mean()


# %% wrong 19.3: is wrong
def without_chance(g):
    squares = (g**2).sum()
    return ((g.sum(0) ** 2).sum() - squares) / squares


# %% [markdown] written 19.W: 3 points
# ## 19.W In words: four lines of six numbers
#
# Four reports come from models with one latent of $K = 20$ and a uniform prior, trained at $\beta = 1$. All numbers but the first column are means over the
# same test images. The mean image costs $25.2$ nats.
#
# | model | reported | negative ELBO | $-\log p(x)$ | KL | information | codes |
# |---|---|---|---|---|---|---|
# | A | $18.5$ | $19.0$ | $18.9$ | $2.2$ | $2.5$ | 14 |
# | B | $18.2$ | $21.5$ | $21.3$ | $1.0$ | $0.8$ | 9 |
# | C | $28.1$ | $28.3$ | $28.3$ | $3.0$ | $0.0$ | 1 |
# | D | $18.9$ | $19.5$ | $19.7$ | $2.8$ | $2.5$ | 15 |
#
# (a) Two of the lines cannot be the numbers of any model: the program that computed them is wrong. Which two? Prove it.
#
# (b) What is wrong with the other two models? For the one whose reported loss cannot be a bound, decide between three causes: the KL is left out, the KL has
# the wrong sign, or $\frac{1}{K}$ was written for $\log \frac{1}{K}$. Half a page for both.

# %% [markdown] model 19.W
# (a) Line A: the information is above the KL. But the mean KL is the information plus $\mathrm{KL}(\bar q \,\Vert\, p)$ (lesson 03, section 4), and the
# latter is not negative. Line D: the negative ELBO is below $-\log p(x)$. But for every image it is $-\log p(x)$ plus the posterior gap, a KL [Eq. 3.1]. The
# same holds for means over the same images.
#
# (b) Line C is one code for all images. The information is zero, and the KL is $\log 20 = 3.0$: the encoder is certain, of the same code for every image. The
# loss is about that of the mean image plus these 3 nats. Likely causes are plain descent, too large a first step, or a decoder that starts from grey noise.
#
# Line B: the reported loss is $3.1$ nats below $-\log p(x)$, so it is no bound. The reported number should be a little below $21.5$ minus what is missing. KL
# left out: $21.5 - 1.0 = 20.5$. Wrong sign: $21.5 - 2.0 = 19.5$, and such a training would drive the KL up, not down to $1.0$. With $\frac{1}{K}$ in place of
# $\log \frac{1}{K}$ the value is too low by $\log 20 + \frac{1}{20} = 3.05$, which gives $18.45$. Only this fits $18.2$. Its gradient is right, so the model
# itself may be sound; the report is not.
#
# *Marks:* 1 for lines A and D with both proofs; 1 for line C; 1 for the cause of line B, by its numbers.
