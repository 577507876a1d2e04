# %% [markdown]
# # 19 My discrete VAE does not train
#
# **Question.** The loss does not fall, or all images get one code. What is broken, and which number says so?
#
# **After this lesson you can**
# - say how much a latent tells about the data, and when it has collapsed,
# - explain how codes are lost in the first steps, and what the first image has to do with it.
#
# *Needs:* lesson 18; one table also 08. *Takes:* 30 minutes. Everything is in nats.

# %% setup

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
from dvae_np.experiments.first_steps import (
    first_gradient,
    first_steps_table,
)
from dvae_np.lesson import confirm, figure, show
from dvae_np.likelihoods.bernoulli import start as first_image_of
from dvae_np.train import (
    Settings,
    Training,
    fit,
    load,
    usage,
)

# %% [markdown]
# ## 1 What do the codes say?
#
# Average the posterior over the images: $\bar q_n(k) = \frac{1}{B} \sum_b q_n(k \mid x_b)$ is the share of the images that use category $k$ of latent $n$. How much
# does $z_n$ tell about which image it was? The mutual information, with the $B$ images as equally likely $x$, is
#
# $$I(x; z_n) = \frac{1}{B} \sum_b \sum_k q_n(k \mid x_b) \log \frac{q_n(k \mid x_b)}{\bar q_n(k)} = H(\bar q_n) - \frac{1}{B} \sum_b H\bigl(q_n(\cdot \mid x_b)\bigr), \tag{19.1}$$
#
# since $\frac{1}{B} \sum_b q_n(k \mid x_b) \log \bar q_n(k) = \bar q_n(k) \log \bar q_n(k)$. A latent whose information is next to zero has *collapsed*: it says nothing. It costs $\mathrm{KL}(\bar q_n \Vert p)$: nothing
# where $\bar q_n$ is the prior, and up to $\log K$ where all images share one code.
# The perplexity $e^{H(\bar q_n)}$ is the number of categories that, equally used, would have the same entropy.

# %%
data = load("digits")
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
# ## 2 The first steps
#
# Codes can be lost before they have come to mean anything. A fresh decoder paints grey noise, every pixel near $\frac{1}{2}$; most pixels of a digit are dark. Whichever code happens to
# make the picture darker is better for *every* image. A decoder that sees no code would have the mean image to learn, too, and it can start there. The best constant output has
# $\sum_b \sigma(a_d) - x_{bd} = 0$: with $m_d$ the mean of pixel $d$
#
# $$a_d = \log \frac{m_d}{1 - m_d} , \tag{19.2}$$
#
# which the last bias may have from the first step on, as in [the code of REBAR](https://github.com/tensorflow/models/blob/2fd7d3ae49322850039920ce68b87a4db054c4d1/research/rebar/rebar.py) (Tucker et al. 2017; `train_bias`). (A pixel that is dark in all images has $m_d = 0$: so each value of a pixel is counted half a time more
# than it was seen.) Here it does, unless `first_image="random"` is asked for.
#
# How much of a gradient is about the mean image? Let $g_b$ be the gradient of image $b$'s reconstruction in its logits. The mean of the $\lVert g_b \rVert^2$ is the squared norm of the mean and
# the variance over the images, so the share
#
# $$c = \Bigl\lVert \frac{1}{B} \sum_b g_b \Bigr\rVert^2 \Big/\, \frac{1}{B} \sum_b \lVert g_b \rVert^2 \tag{19.3}$$
#
# is what all of them have in common: 1 where they agree, about $1 / B$ where they have nothing to do with one another. What they have in common pushes the encoder's biases and weights the same way in every batch, and
# Adam takes steps of about the step size. Against it stands the pull of the KL. Where $q$ has become certain of one code, $J(q) = \mathrm{diag}(q) - q q^{\top}$ [Eq. 2.2] is zero, and with
# it every gradient through the softmax, the exact one and the KL's too.

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
        f"{first_image:6}: c and |mean g| {said} (three seeds); least "
        f"entropy in 50 steps {min(entropies):.2f} nats"
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
# On the digits $q$ stays open all the same (no category preferred: $\log 8 = 2.08$ nats). On MNIST, with 784 pixels, it does not. `python -m dvae_np collapse` looks at
# 500 test images for 100 steps, with three seeds. *As published*: the set-up of a published table ([the page of measured numbers](../figures/README.md) has its runs; grey pixels, hidden layers 512 and 256, four latents of eight categories), whose layers start as layers do.
# *Larger rows*: the $N$ rows that a code selects add up to unit variance, as in this package's own models, so that codes differ more. *Mean image*: as published, but for the last bias. *Train*: this package's own
# settings, two latents of eight categories, from the mean image, and from a random one. In the table, medians (and ranges); $c$ and the norm are of the first 100 images; *codes* is how many combinations of likeliest categories the 500 images have (where $q$ is uniform they mean nothing);
# entropy and information [Eq. 19.1] are nats for each latent; information and codes are those after the last step. Low entropy alone is no harm: a good encoder is certain, too, but of different codes for different images.

# %%
figure("collapse.png")
print(first_steps_table(records.read("collapse")))

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
    f"as published, after 25 steps: {published} codes (exact with three "
    "seeds, then reinmax)"
)
print(
    "information after 100 steps, of at most",
    round(most, 2),
    "nats:",
    "from a random image",
    np.round(from_random, 2),
    "from the mean image",
    np.round(from_mean, 2),
)
print(
    f"reinmax, seed 1: loss in epoch 2 {loss_of[1]:.1f}, epoch {escaped} "
    f"{loss_of[escaped - 1]:.1f}, epoch {escaped + 1} "
    f"{loss_of[escaped]:.1f}, epoch {len(loss_of)} {loss_of[-1]:.1f} nats"
)
print(
    "512 categories, test log p(x):",
    {name: round(value, 2) for name, value in likelihoods.items()},
)

# %% [markdown]
# Even the exact gradient, without bias or noise, sends all images to one code within 25 steps of the published start. So this is no flaw of one estimator. Who gets out depends on the first weights and on the
# estimator. ReinMax with seed 1 has an entropy of {{first("entropy", "as published", "reinmax", 40)[1]:.3f}} nats after 40 steps. In the long run with that seed, the loss stays at {{loss_of[1]:.0f}} nats until epoch {{escaped:d}}. Then it comes
# out in part, and ends at {{loss_of[-1]:.0f}} ([the page of measured numbers](../figures/README.md) has the other seed beside it).
#
# `train`'s own settings take larger steps, of $10^{-3}$. From a random image both estimators then keep {{min(from_random):.2f}} to {{max(from_random):.2f}} of at most {{most:.2f}} nats about $x$; from the mean image, {{min(from_mean):.2f}} to
# {{max(from_mean):.2f}}. As published but for the mean image, five runs of six are on their way too, and one (exact, seed 2: {{first("information", "mean image", "exact")[2]:.4f}} nats) has not begun after 100 steps. So the mean image is where `train`
# starts.
#
# It is no law. One latent of 512 categories reached {{likelihoods["mnist512"]:.2f}} and {{likelihoods["mnist512-s1"]:.2f}} nats from the mean image with two seeds, {{likelihoods["mnist512-random"]:.2f}} and
# {{likelihoods["mnist512-random-s1"]:.2f}} from a random one. There the seed decides more than the start.

# %% [markdown]
# ## Reading
#
# - G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, *REBAR: low-variance, unbiased gradient estimates for discrete latent variable models*, 2017; its code starts the decoder at the mean image.
# - S. R. Bowman, L. Vilnis, O. Vinyals, A. M. Dai, R. Jozefowicz, S. Bengio, *Generating sentences from a continuous space*, 2016: posterior collapse, and warming up the KL.
#
# Next: [20 Structured latents](20_structured_latents.ipynb)
