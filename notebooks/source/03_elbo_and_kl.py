# %% [markdown]
# # 03 The ELBO and the KL
#
# **Question.** We want a model that gives the data a high probability, $\log p(x)$, but that is a sum over all codes. What do we minimise instead, how far
# is it from the truth, and which of its two parts needs no sampling?
#
# **After this lesson you can**
# - derive the ELBO from $\log p(x)$ without an inequality, name the gap, and say why independent latents may never close it,
# - say what the KL to the prior measures: the rate, which is never below the information,
# - write down the KL of categoricals with both its gradients, for a uniform, a learned and a conditional prior,
# - say what $\beta$, warm-up and free bits do to the objective, and what they must not do to the number you report,
# - write the loss of binary, real, grey, count and categorical data, with its gradient.
#
# *Needs:* lessons 01 and 02. *Takes:* 100 minutes to read and run, 95 minutes for the exercises. Everything is in nats.

# %% setup
import math

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    TABLE,
    Independent,
    bernoulli,
    categorical_pixels,
    columns_nll,
    entropy,
    floored,
    gaussian,
    joint_states,
    kl,
    kl_per_latent,
    log_softmax,
    negative_elbo,
    poisson,
    reconstruction,
    softmax,
    softplus,
)
from dvae_np.check import comparison, complex_step
from dvae_np.experiments.first_model import train
from dvae_np.lesson import confirm, figure, picture, say, show
from dvae_np.train import Settings, evaluate, kl_weight, load

rng = np.random.default_rng(3)
B, N, K, D = 5, 2, 3, 7  # examples, latents, categories, pixels
x = (rng.random((B, D)) < 0.4).astype(float)  # (B, D), binary
# psi: encoder, theta: decoder
params = dvae_np.parameters(rng, D, N, K, hidden=(4,), dtype=np.float64)

# %% [markdown]
# ## 1 From log p(x) to the ELBO
#
# The model draws a code from the prior $p(z)$ and an image from $p(x \mid z)$. It gives an image the probability
# $p(x) = \sum_z p(z)\, p(x \mid z)$. The codes that may have led to a given $x$ have the *posterior* $p(z \mid x) = p(x, z) / p(x)$. Now bring in
# the encoder's $q(z \mid x)$, any distribution at all. For *every* code,
#
# $$\log p(x) = \log \frac{p(x, z)}{p(z \mid x)} = \log \frac{p(x, z)}{q(z \mid x)} + \log \frac{q(z \mid x)}{p(z \mid x)} .$$
#
# Average over $z \sim q$. The left side does not depend on $z$ and stays as it is:
#
# $$\log p(x) = \underbrace{\mathbb{E}_q\Bigl[\log \frac{p(x, z)}{q(z \mid x)}\Bigr]}_{\mathrm{ELBO}} + \underbrace{\mathbb{E}_q\Bigl[\log \frac{q(z \mid x)}{p(z \mid x)}\Bigr]}_{\mathrm{KL}(q(z \mid x) \,\Vert\, p(z \mid x))} .$$
#
# As a loss, with the signs turned:
#
# $$-\log p(x) = -\mathrm{ELBO} - \mathrm{KL}\bigl(q(z \mid x) \,\Vert\, p(z \mid x)\bigr) . \tag{3.1}$$
#
# This is an identity, not an inequality. The last term is the *gap*. A KL is never negative, since $\log r \le r - 1$ for every $r > 0$:
#
# $$-\mathrm{KL}(q \,\Vert\, p) = \sum_z q(z) \log \frac{p(z)}{q(z)} \le \sum_z q(z) \Bigl(\frac{p(z)}{q(z)} - 1\Bigr) = 1 - 1 = 0 .$$
#
# Equality needs $r = 1$ everywhere, that is $p = q$. So $-\mathrm{ELBO}$ is never below $-\log p(x)$, and reaches it exactly where $q$ is the posterior. Minimising $-\mathrm{ELBO}$ does two things: the model explains the data better, and the encoder
# comes closer to the posterior. (One network gives $q$ for every $x$. This is called *amortised inference*.)
#
# Our small model has two latents of three categories, so only nine codes (*joint states*: a category for each latent). We can add up everything. `evaluate` does so for a whole data set (lesson 04 shows how).

# %% [markdown] slide
# ## From $\log p(x)$ to the ELBO
#
# We want a high $\log p(x)$, a sum over all codes. For *every* code and any $q$:
#
# $$\log p(x) = \log \frac{p(x, z)}{p(z \mid x)} = \log \frac{p(x, z)}{q(z \mid x)} + \log \frac{q(z \mid x)}{p(z \mid x)}$$
#
# Average over $z \sim q$. The left side stays. As a loss:
#
# [Eq. 3.1]
#
# This is an identity, not an inequality.

# %% [markdown] slide
# ## The gap
#
# The last term of Eq. 3.1 is the *gap*: the KL to the posterior.
#
# - A KL is never negative, since $\log r \le r - 1$.
# - So $-\mathrm{ELBO}$ is never below $-\log p(x)$. The two are equal exactly where $q$ is the posterior.
#
# Two latents of three categories, all nine codes added up:
#
# [output]

# %%
states = joint_states(N, K)[:, None]  # (M, 1, N), M = 9
logits, _ = dvae_np.encoder(params["psi"], x)  # (B, N, K)
f = reconstruction(params["theta"], x)  # f(z) = -log p(x|z)
fz = f(states)[0]  # (M, B)
each = softmax(logits)[0]
q = np.array(
    [[np.prod([each[b, n, z[0, n]] for n in range(N)]) for b in range(B)]
     for z in states]
)  # fmt: skip
# log p(z) + log p(x|z), with a uniform prior
log_joint = -N * np.log(K) - fz
log_evidence = np.log(np.exp(log_joint).sum(0))  # (B,)
posterior = np.exp(log_joint - log_evidence)  # (M, B)
gap = (q * np.log(q / posterior)).sum(0)
elbo = (q * (log_joint - np.log(q))).sum(0)

worth = evaluate(params, x)
print(
    f"negative ELBO {worth.negative_elbo:.4f}, -log p(x) "
    f"{-worth.log_likelihood:.4f}, gap {worth.posterior_gap:.4f} nats"
)
confirm("3.1", -worth.log_likelihood, (-elbo - gap).mean())
confirm("3.1", worth.posterior_gap, gap.mean())

# %% [markdown]
# ## 2 What independent latents cannot say
#
# Can $q$ be the posterior? Not always: our latents are independent given $x$ (a factorised, or *mean-field*, $q$). Take two binary latents, and an image that says only that they *differ*. The posterior is one half for $(0, 1)$ and one half for $(1, 0)$.
#
# A factorised $q$ that gives both codes a chance gives $(0, 0)$ and $(1, 1)$ a chance, too. There the posterior is 0, and the KL is infinite. So the best $q$ takes one of the two codes for sure, and the gap is $\log (1 / \frac{1}{2}) = \log 2$.
# The cell gives the other two codes a little probability and searches all pairs of independent latents:

# %% [markdown] slide
# ## What independent latents cannot say
#
# Two binary latents that *differ*: the posterior is one half for $(0,1)$ and one half for $(1,0)$.
#
# A factorised $q$ that gives both a chance also gives $(0,0)$ and $(1,1)$ a chance. Then the KL is infinite. So the best $q$ takes one code for sure:
#
# [output]
#
# The search gives the other two codes a little probability. Without it the gap is $\log 2$.

# %%
# a posterior over (0, 0), (0, 1), (1, 0), (1, 1)
differ = np.array([0.005, 0.495, 0.495, 0.005])
grid = np.linspace(1e-4, 1 - 1e-4, 400)
# the probabilities of a 1 in both latents
one, two = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2).T
independent = np.stack(
    [(1 - one) * (1 - two), (1 - one) * two, one * (1 - two), one * two], -1
)
gaps = (independent * np.log(independent / differ)).sum(-1)
smallest_gap = gaps.min()
print("best q:", independent[gaps.argmin()].round(3))
print(f"its gap: {smallest_gap:.3f} nats; log 2 = {np.log(2):.3f}")

# %% [markdown]
# Lesson 20 gives $q$ a structure that can say "they differ".
#
# ## 3 Two parts, and a weight
#
# For training we split the ELBO in another way. Put $\log p(x, z) = \log p(x \mid z) + \log p(z)$ into it, and group $\log p(z)$ with $\log q(z \mid x)$:
#
# $$-\mathrm{ELBO} = -\mathbb{E}_q[\log p(x \mid z)] + \mathbb{E}_q\Bigl[\log \frac{q(z \mid x)}{p(z)}\Bigr] .$$
#
# The first part says how badly a code explains the image: the *reconstruction loss*, or *distortion*. The second is a KL to the *prior*, not to the posterior. It is called the *rate*:
# a message that names $z$ is on average so many nats longer if messages are designed for the prior, not for $q$. Lesson 00's loss was the sum of both. Often the rate gets a weight:
#
# $$\mathcal{L} = -\mathbb{E}_q[\log p(x \mid z)] + \beta\, \mathrm{KL}(q \,\Vert\, p) . \tag{3.2}$$
#
# Only for $\beta = 1$ is this the negative ELBO. With $\beta > 1$ it is still above $-\log p(x)$, but looser; with $\beta < 1$ it is no bound. Whatever
# $\beta$ one trains with, the number to *report* is the one at $\beta = 1$.
#
# The picture shows both splits for one latent with four codes and three choices of $q = \mathrm{softmax}(-\mathrm{sharpness} \cdot f)$, with sharpness 1, $0.4$ and 0. The bars of a pair are equally long.

# %% [markdown] slide
# ## Two parts, and a weight
#
# [Eq. 3.2]
#
# - *Distortion*: how badly a code explains the image.
# - *Rate*: the KL to the *prior*. A message that names $z$ is on average so many nats longer if messages are designed for the prior, not for $q$.
#
# Only for $\beta = 1$ is this the negative ELBO. **Report the number at $\beta = 1$.**

# %% [markdown] slide
# ## One number, split in two ways
#
# [picture]
#
# Four codes, three choices of $q$. The bars of a pair are equally long. The gap is zero for the posterior.

# %%
costs = np.array([1.0, 2.0, 4.0, 3.0])  # -log p(x|z)
evidence = -np.log(np.exp(-costs).mean())  # -log p(x), with a uniform prior
fig, ax = plt.subplots(figsize=(7.5, 2.9), layout="constrained")
for row, sharpness in enumerate((1, 0.4, 0)):
    own = softmax(-sharpness * costs)[0]  # q
    distortion, rate = own @ costs, (own * np.log(own * 4)).sum()
    slack = distortion + rate - evidence
    for y, first, second, words, hatch in (
        (row + 0.18, distortion, rate, ("distortion", "rate"), ""),
        (row - 0.18, evidence, slack, ("-log p(x)", "gap"), "///"),
    ):
        ax.barh(y, first, 0.34, color="0.93", ec="black")
        ax.barh(
            y, second, 0.34, first, color="0.75", ec="black", hatch=hatch
        )
        ax.text(0.03, y, f"{words[0]} {first:.2f}", va="center")
        end = first + second + 0.03
        ax.text(end, y, f"{words[1]} {abs(second):.2f}", va="center")
ax.set_yticks(range(3), ["q = posterior", "q between", "q = prior"])
ax.set(xlabel="negative ELBO (nats)", xlim=(0, 3))
picture(
    fig,
    "Three pairs of bars of equal length: distortion and rate above, "
    "-log p(x) and gap below. The gap is zero for the posterior.",
)

# %% [markdown]
# In plain NumPy the objective is six lines:


# %%
def my_objective(logits, fz, beta=1.0):
    """Eq. 3.2, the mean over the batch, with a uniform prior."""
    each = softmax(logits)[0]  # (B, N, K)
    q = np.array([each[:, np.arange(N), z[0]].prod(-1) for z in states])
    distortion = (q * fz).sum(0)  # (B,)
    rate = (q * np.log(q * K**N)).sum(0)  # (B,)
    return (distortion + beta * rate).mean()


# TABLE has all gradient estimators by name; "exact" needs no noise
loss = negative_elbo(params, x, TABLE["exact"], lambda logits: (), beta=0.7)
confirm("3.2", loss.value, my_objective(logits, fz, 0.7))


def objective(psi):
    """The objective as a function of the encoder's parameters."""
    return my_objective(dvae_np.encoder(psi, x)[0], fz, 0.7)


numeric = complex_step(objective, params["psi"])
for name in params["psi"]:
    confirm("3.2", loss.gradients["psi"][name], numeric[name])
show(negative_elbo)

# %% [markdown]
# ## 4 What the rate measures
#
# Is the rate the information that a code carries about its image? Not quite. Write $\bar{q}(z) = \frac{1}{B} \sum_b q(z \mid x_b)$ for the mean of $q$ over all B images, the *aggregate posterior*. Multiply and divide by $\bar{q}(z)$ inside the logarithm:
#
# $$\frac{1}{B} \sum_b \mathrm{KL}\bigl(q(z \mid x_b) \,\Vert\, p\bigr) = \underbrace{\frac{1}{B} \sum_b \sum_z q(z \mid x_b) \log \frac{q(z \mid x_b)}{\bar{q}(z)}}_{I(x;\, z)} + \underbrace{\sum_z \bar{q}(z) \log \frac{\bar{q}(z)}{p(z)}}_{\mathrm{KL}(\bar{q} \,\Vert\, p)} .$$
#
# (In the last sum the mean over $b$ is taken already.) The first term, $I(x; z)$, is the mutual information of image and code, the second is not negative. So the mean rate is an *upper bound* of the information. Here are the numbers for lesson 00's model, after its 600 steps:

# %% [markdown] slide
# ## What the rate measures
#
# With $\bar{q}(z)$ the mean of $q(z \mid x_b)$ over all images, and $I$ the mutual information of image and code:
#
# $$\frac{1}{B} \sum_b \mathrm{KL}\bigl(q(z \mid x_b) \,\Vert\, p\bigr) = I(x;\, z) + \mathrm{KL}(\bar{q} \,\Vert\, p)$$
#
# The mean rate is an *upper bound* of the information. The model of lesson 00:
#
# [output]

# %%
images = load("digits").train.x.astype(float)
W, b, A = train("exact", images, steps=600, rate=0.03)
each = softmax(images @ W + b)[0]  # (B, 20): q(z|x) of each image
mean_q = each.mean(0)  # (20,)
mean_rate = (each * np.log(each * 20)).sum(1).mean()
information = (each * np.log(each / mean_q)).sum(1).mean()
from_prior = (mean_q * np.log(mean_q * 20)).sum()
assert np.isclose(mean_rate, information + from_prior)
print(
    f"mean rate {mean_rate:.3f} = information {information:.3f} + "
    f"KL(aggregate || prior) {from_prior:.3f} nats"
)

# %% [markdown]
# ## 5 The KL of categoricals
#
# For one latent the rate is a finite sum. No sampling is needed:
#
# $$\mathrm{KL}(q \,\Vert\, p) = \sum_k q_k \log \frac{q_k}{p_k} . \tag{3.3}$$
#
# For N independent latents the logarithm of the product is a sum, and the KLs add up.
#
# **In the logits of q.** In $q_k$ itself the derivative is $\log (q_k / p_k) + 1$. The softmax's Jacobian [Eq. 2.2] subtracts its mean under $q$,
# which is $\mathrm{KL} + 1$; the ones cancel:
#
# $$\frac{\partial\, \mathrm{KL}}{\partial \ell^q_k} = q_k \Bigl(\log \frac{q_k}{p_k} - \mathrm{KL}\Bigr) . \tag{3.4}$$
#
# **In the logits of p.** Only $-\sum_k q_k \log p_k$ depends on them. Through the log-softmax [Eq. 2.1], with $dy = -q$, whose sum is $-1$:
#
# $$\frac{\partial\, \mathrm{KL}}{\partial \ell^p_k} = p_k - q_k . \tag{3.5}$$

# %% [markdown] slide
# ## The KL is a finite sum
#
# No sampling is needed, and both gradients are short:
#
# [Eq. 3.3]
#
# [Eq. 3.4]
#
# [Eq. 3.5]
#
# For $N$ independent latents the KLs add up.
#
# *Question: the prior is uniform. How many nats can $N$ latents of $K$ categories say at most?*

# %%
# a prior for each example
prior = rng.standard_normal((B, N, K))
dvalue = rng.standard_normal(B)


def plain(arrays):
    """The KL as the sum that it is: (B,)."""
    q, p = (
        np.exp(arrays[name]) / np.exp(arrays[name]).sum(-1, keepdims=True)
        for name in ("q", "p")
    )
    return (q * np.log(q / p)).sum((-1, -2))


value, backward = kl(logits, prior)
numeric = complex_step(
    lambda arrays: (dvalue * plain(arrays)).sum(), {"q": logits, "p": prior}
)
confirm("3.3", value, plain({"q": logits, "p": prior}))
confirm("3.4", backward(dvalue)[0], numeric["q"])
confirm("3.5", backward(dvalue)[1], numeric["p"])
show(Independent.kl_parts)

# %% [markdown]
# There are three kinds of prior. They differ in who collects the gradient of $p$:
#
# | prior | logits of p | its gradient |
# |---|---|---|
# | uniform | none | none |
# | learned | (1, N, K), shared by all examples | the sum over the batch: $\sum_b (p - q_b)$ |
# | conditional, $p(z \mid c)$, with a context $c$ (lesson 16) | (B, N, K), a network of $c$ | each example's own, and on into the network |
#
# A learned prior comes to rest where $\sum_b (p - q_b) = 0$, that is where $p_n$ equals the mean of $q_n$ over the batch, for each latent $n$.

# %%
shared = rng.standard_normal((1, N, K))
value, backward = kl(logits, shared)
numeric = complex_step(
    lambda arrays: plain(arrays).sum(), {"q": logits, "p": shared}
)
confirm("3.5", backward(np.ones(B))[1], numeric["p"])
mean_of_q = softmax(logits)[0].mean(0, keepdims=True)  # (1, N, K)
_, backward = kl(logits, np.log(mean_of_q))
confirm("3.5", backward(np.ones(B))[1], np.zeros((1, N, K)))

# %% [markdown]
# For the uniform prior $p_k = 1/K$, and the sum splits into $\sum_k q_k \log q_k - \log (1/K)$. With the entropy $H(q)$ of lesson 02,
#
# $$\mathrm{KL}(q \,\Vert\, \mathrm{uniform}) = \log K - H(q) . \tag{3.6}$$
#
# It is $\log (1/K) = -\log K$ that enters, not $1/K$. So this KL lies between 0 and $\log K$ for each latent. A latent of 3 categories cannot say more
# than $\log 3$ nats, and N latents not more than N times that.

# %% [markdown] slide
# ## Three kinds of prior
#
# |prior|logits of $p$|its gradient|
# |---|---|---|
# |uniform|none|none|
# |learned|shared by all examples|the sum over the batch, $\sum_b (p - q_b)$|
# |conditional|a network of a context|each example's own|
#
# The uniform prior:
#
# [Eq. 3.6]
#
# Between 0 and $\log K$ for each latent: $N$ latents say at most $N \log K$ nats. A learned prior comes to rest at the mean of $q$ over the batch.

# %%
confirm("3.6", kl(logits)[0], N * np.log(K) - entropy(logits)[0])
confirm("3.6", kl(logits)[0], (q * np.log(q * K**N)).sum(0))

# %% [markdown]
# ## 6 What a pixel is: the observation models
#
# What is $-\log p(x \mid z)$, the $f$ in the distortion? The decoder returns numbers $a$. What they mean is a choice, the *observation model*. Each is an op from $a$ to $-\log p(x \mid z)$.
#
# **Binary pixels.** A pixel is 1 with probability $\sigma(a)$, so $-\log p = -x \log \sigma(a) - (1 - x) \log (1 - \sigma(a))$. With the softplus $\zeta$ of
# [Eq. 1.10], $\log \sigma(a) = a - \zeta(a)$ and $\log (1 - \sigma(a)) = -\zeta(a)$. So each pixel costs $-x a + x \zeta(a) + (1 - x) \zeta(a)$:
#
# $$-\log p(x \mid z) = \sum_d \bigl(\zeta(a_d) - x_d a_d\bigr) . \tag{3.7}$$
#
# As $\zeta' = \sigma$, the gradient is expectation minus observation:
#
# $$\frac{\partial (-\log p(x \mid z))}{\partial a_d} = \sigma(a_d) - x_d . \tag{3.8}$$
#
# The loss (Eq. 3.7) is a *sum* over pixels. Taking the mean instead acts like multiplying $\beta$ by D. And it is a
# log-likelihood for $x \in \lbrace 0, 1 \rbrace$ only; for grey $x$ it is a cross-entropy, which must not be compared with log-likelihoods.
#
# *You may skip to section 7 at first reading*: what follows is rounding, and other kinds of data.
#
# Where the decoder is sure of a pixel, $\zeta(a)$ and $x a$ are large and nearly equal, and their difference loses digits. Summing each part first
# loses many, subtracting pixel by pixel few. The next equation also subtracts pixel by pixel, and writes the logarithms of the softplus [Eq. 1.10] as one:
#
# $$-\log p(x \mid z) = \sum_d \bigl(\max(a_d, 0) - x_d a_d\bigr) + \log \prod_d \bigl(1 + e^{-\lvert a_d \rvert}\bigr) . \tag{3.9}$$
#
# For $x$ in $[0, 1]$ no term is negative, so nothing cancels. The program multiplies 16
# factors, each at most 2, and takes one logarithm. In float32 the sum $1 + e^{-\lvert a \rvert}$ costs at most $6 \cdot 10^{-8}$ nats a pixel.

# %% [markdown] slide
# ## What a pixel is: the observation model
#
# Binary pixels, with the softplus $\zeta$:
#
# [Eq. 3.7]
#
# As $\zeta' = \sigma$, the gradient is expectation minus observation:
#
# [Eq. 3.8]
#
# - The loss is a *sum* over $D$ pixels. The mean acts like multiplying $\beta$ by $D$.
# - Other data, other models: normal for real pixels, categorical for grey levels, Poisson for counts.

# %%
S = 4
a, dvalue = rng.standard_normal((S, B, D)), rng.standard_normal((S, B))
value, backward = bernoulli(a, x)


def plain_bernoulli(a):
    p = 1 / (1 + np.exp(-a))
    # the product of the pixels' probabilities
    return -np.log(np.where(x == 1, p, 1 - p).prod(-1))


confirm("3.7", value, plain_bernoulli(a))
confirm("3.7", value, (np.log(1 + np.exp(a)) - x * a).sum(-1))
confirm(
    "3.8",
    backward(dvalue)[0],
    complex_step(
        lambda v: (dvalue * plain_bernoulli(v["a"])).sum(), {"a": a}
    )["a"],
)
confirm(
    "3.9",
    value,
    (np.maximum(a, 0) - x * a).sum(-1)
    + np.log((1 + np.exp(-abs(a))).prod(-1)),
)

# %% [markdown]
# Here is a decoder that is nearly sure of 784 pixels, in float32. The same in float64 is the truth.

# %%
some = np.random.default_rng(31)
image = (some.random(784) < 0.2).astype(np.float32)
sure = (
    20 * (image - 0.5) * abs(some.standard_normal((1, 100, 784)))
    + some.standard_normal((1, 100, 784))
).astype(np.float32)
zeta, copies = softplus(sure)[0], np.tile(image, (100, 1))
truth = bernoulli(sure.astype(float), copies.astype(float))[0]
print(
    f"of {truth.mean():.0f} nats wrong:  "
    f"{abs(zeta.sum(-1) - (sure * copies).sum(-1) - truth).max():.0e} with "
    "one sum of zeta(a) and one of x a,"
)
print(
    f"{abs((zeta - sure * copies).sum(-1) - truth).max():26.0e} with the "
    "difference taken pixel by pixel,"
)
print(f"{abs(bernoulli(sure, copies)[0] - truth).max():26.0e} by Eq. 3.9")
show(bernoulli)

# %% [markdown]
# **Real pixels** have a normal density with mean $a$ and deviation $\sigma$ (here a number, not the sigmoid):
# $e^{-(x - a)^2 / 2 \sigma^2} / (\sigma \sqrt{2 \pi})$. Minus its logarithm is
#
# $$-\log p(x \mid z) = \sum_d \Bigl(\frac{(x_d - a_d)^2}{2 \sigma^2} + \log \sigma + \frac{1}{2} \log 2 \pi\Bigr) . \tag{3.10}$$
#
# For the gradient write $\sigma^{-2} = e^{-2 \log \sigma}$, whose derivative in $\log \sigma$ is $-2 \sigma^{-2}$:
#
# $$da_d = \frac{a_d - x_d}{\sigma^2}, \quad d \log \sigma = \sum_d \Bigl(1 - \frac{(x_d - a_d)^2}{\sigma^2}\Bigr) . \tag{3.11}$$
#
# The second vanishes where $\sigma^2$ is the mean squared error. A small fixed $\sigma$ acts like a small $\beta$: multiply the loss by $2 \sigma^2$, and the KL's weight is $2 \sigma^2 \beta$ beside the squared error. Whoever trains on squared error plus KL has chosen
# $\sigma^2 = 1/2$. A density may exceed 1, so the value may be negative.

# %%
real, log_scale = rng.standard_normal((B, D)), np.array([-0.3])
value, backward = gaussian(a, real, log_scale)


def plain_gaussian(a, log_scale):
    scale = np.exp(log_scale)
    return -np.log(
        np.exp(-((real - a) ** 2) / (2 * scale**2))
        / (scale * (2 * np.pi) ** 0.5)
    ).sum(-1)


confirm("3.10", value, plain_gaussian(a, log_scale))
numeric = complex_step(
    lambda v: (dvalue * plain_gaussian(**v)).sum(),
    {"a": a, "log_scale": log_scale},
)
da, _, dlog_scale = backward(dvalue)
confirm("3.11", da, numeric["a"])
confirm("3.11", dlog_scale, numeric["log_scale"])

# %% [markdown]
# **Grey pixels** of $V$ levels: each is a categorical with $V$ logits $a_d$, as in lesson 02,
#
# $$-\log p(x \mid z) = -\sum_d \log \mathrm{softmax}(a_d)_{x_d} , \tag{3.12}$$
#
# and the gradient is minus a score [Eq. 2.4]:
#
# $$da_d = \mathrm{softmax}(a_d) - \mathrm{onehot}(x_d) . \tag{3.13}$$
#
# This model assumes no shape of the distribution. Its price is $V$ numbers a pixel.

# %%
V = 6
levels = rng.integers(0, V, (B, D))
a, dvalue = rng.standard_normal((S, B, D * V)), rng.standard_normal((S, B))
value, backward = categorical_pixels(a, levels / (V - 1))


def plain_categorical(a):
    p = np.exp(a.reshape(S, B, D, V))
    p = p / p.sum(-1, keepdims=True)
    return -sum(
        np.log(p[:, np.arange(B), d, levels[:, d]]) for d in range(D)
    )


confirm("3.12", value, plain_categorical(a))
confirm(
    "3.13",
    backward(dvalue)[0],
    complex_step(
        lambda v: (dvalue * plain_categorical(v["a"])).sum(), {"a": a}
    )["a"],
)

# %% [markdown]
# **Counts** 0, 1, 2, ... have a Poisson law, $p(x) = r^x e^{-r} / x!$, whose mean is $r = e^{a}$:
#
# $$-\log p(x \mid z) = \sum_d \bigl(e^{a_d} - x_d a_d + \log x_d!\bigr) , \tag{3.14}$$
#
# $$da_d = e^{a_d} - x_d . \tag{3.15}$$
#
# Without $\log x_d!$ the gradient is the same, but the number is no negative log-likelihood, and models cannot be
# compared by it. The check for this: the probabilities of all values must add up to 1.

# %%
counts = rng.poisson(3.0, (B, D)).astype(float)
a, dvalue = rng.standard_normal((S, B, D)), rng.standard_normal((S, B))
value, backward = poisson(a, counts)
factorials = np.array(
    [[math.factorial(int(count)) for count in row] for row in counts]
)


def plain_poisson(a):
    mean = np.exp(a)
    return -np.log(mean**counts * np.exp(-mean) / factorials).sum(-1)


confirm("3.14", value, plain_poisson(a))
confirm(
    "3.15",
    backward(dvalue)[0],
    complex_step(
        lambda v: (dvalue * plain_poisson(v["a"])).sum(), {"a": a}
    )["a"],
)
values = np.arange(60.0)[:, None]  # of one pixel, one after the other
print(
    "its probabilities sum to",
    np.exp(-poisson(np.log([[[3.0]]]), values)[0]).sum().round(12),
)

# %% [markdown]
# **Columns** of a survey are categorical, too, each with its own number of categories, $V_d$. As one-hots side by side they are a row of $\sum_d V_d$ zeros and ones, and
# the decoder gives as many logits:
#
# $$-\log p(x \mid z) = -\sum_d \log \mathrm{softmax}(a_d)[x_d] . \tag{3.16}$$
#
# The gradient is that of grey levels [Eq. 3.13], column by column. A common mistake is to treat the zeros and ones as independent Bernoulli pixels: such a model gives a chance to rows with two answers to one question. A missing field is a column of zeros, and adds nothing.

# %%
columns = (2, 3)
answers = np.array([[1, 0, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
a = rng.standard_normal((1, 1, 5))
value, _ = columns_nll(a, answers.astype(float), columns)
first, second = log_softmax(a[0, 0, :2])[0], log_softmax(a[0, 0, 2:])[0]
confirm(
    "3.16",
    value[0],
    -np.array([first[0] + second[2], first[1] + second[0], first[0]]),
)

# %% [markdown]
# ## 7 Keeping codes alive
#
# Early in training the decoder ignores $z$, so the code costs its rate and helps nothing. The encoder may move to the prior and stay there. This is *posterior collapse* (lesson 19). Two remedies:
#
# *Schedules*: start with a small weight. Let $t$ be the epochs so far and $T$ a length. The weight climbs once (warm-up), or again and again, in
# the first half of each cycle:
#
# $$\beta_t = \beta \min(1, t / T), \qquad \beta_t = \beta \min(1, 2 (t \bmod T) / T) . \tag{3.17}$$
#
# *Free bits*: each latent has $\lambda$ nats free. The cost of latent $n$ is the larger of $\lambda$ and its mean KL over the batch:
#
# $$\sum_n \max\Bigl(\lambda, \frac{1}{B} \sum_b \mathrm{KL}_{bn}\Bigr) . \tag{3.18}$$
#
# Below $\lambda$ the gradient is zero, and nothing pulls the latent towards the prior. Note the order: the maximum of the mean, not the mean of
# maxima.


# %% [markdown] slide
# ## Keeping codes alive
#
# Early in training the code costs its rate and helps nothing. The encoder may move to the prior and stay there.
#
# *Warm-up*, once or in cycles ($t$ epochs so far):
#
# [Eq. 3.17]
#
# *Free bits*: each latent has $\lambda$ nats free. The maximum of the mean, not the mean of maxima:
#
# [Eq. 3.18]


# %%
def my_floored(each, least):
    return np.maximum(least, each.mean(0)).sum()


each, _ = kl_per_latent(logits, prior)  # (B, N)
print("mean KL of each latent:", each.mean(0).round(4), "nats")
least = each.mean(0).mean()  # between the two
cost, slope = floored(each, least)
confirm("3.18", cost, my_floored(each, least))
confirm(
    "3.18",
    slope,
    complex_step(lambda v: floored(v["each"], least)[0], {"each": each})[
        "each"
    ],
)
print("gradient for the first example:", slope[0])


def schedule(name):
    """The weight after 0 to 9 epochs, with beta = 2 and T = 4."""
    settings = Settings(beta=2.0, schedule=name, schedule_epochs=4)
    return [kl_weight(settings, epochs) for epochs in range(10)]


confirm("3.17", schedule("warm_up"), [0, 0.5, 1, 1.5, 2, 2, 2, 2, 2, 2])
confirm("3.17", schedule("cyclical"), [0, 1, 2, 2, 0, 1, 2, 2, 0, 1])
show(floored, kl_weight)

# %% [markdown]
# ## 8 All q and all weights in one picture
#
# The four codes of section 3 again. Left: $q$ moves from the prior (0) through the
# posterior (1) towards a one-hot. The distortion falls all the way, from {{costs.mean():.1f}} nats, and the rate rises. Their sum touches $-\log p(x)$, {{evidence:.3f}} nats, at the posterior only.
# Right: the best $q$ for each $\beta$. The curve says how much distortion one more nat of rate saves. At the best $q$ a small move along the curve does not change distortion $+\,\beta \cdot$ rate, so the slope is $-\beta$. On the dashed line the sum is $-\log p(x)$; only $\beta = 1$ reaches it.

# %% [markdown] slide
# ## All $q$ and all weights
#
# [picture]
#
# Left: distortion and rate add up to $-\log p(x)$, {{evidence:.2f}} nats, at the posterior only. Right: the best $q$ for each $\beta$, where the slope is $-\beta$. Only $\beta = 1$ reaches the dashed line.

# %%
figure("elbo.png")

# %% [markdown]
# ## 9 Break it
#
# Two mistakes that are easily made. The first writes `1/K` where `log(1/K)` belongs. The gradient check *passes*, because the constant drops out. The
# identity $\mathrm{KL}(p \,\Vert\, p) = 0$ finds it, here with a uniform $p$. The second flips the sign of the gradient, and so rewards distance from the prior:


# %% [markdown] slide
# ## Break it
#
# `1/K` where `log(1/K)` belongs; and a flipped sign.
#
# [output]
#
# The gradient check passes the first mistake, because the constant drops out. But a KL is never negative. **Check values as well as gradients.**


# %%
def kl_with_one_over_K(logits):
    """A bug: log q - 1/K."""
    q = softmax(logits)[0]
    value = (q * (np.log(q) - 1 / K)).sum((-1, -2))
    each = (q * np.log(q)).sum(-1, keepdims=True)
    return (
        value,
        lambda dvalue: dvalue[:, None, None] * q * (np.log(q) - each),
    )


def kl_with_flipped_sign(logits):
    """A bug: a gain where a loss is meant."""
    value, backward = kl(logits)
    return value, lambda dvalue: -backward(dvalue)[0]


uniform, ones = np.zeros((1, N, K)), np.ones(B)
for wrong in (kl_with_one_over_K, kl_with_flipped_sign):
    numeric = complex_step(
        lambda v, wrong=wrong: wrong(v["logits"])[0].sum(),
        {"logits": logits},
    )["logits"]
    print(wrong.__name__)
    say(f"  {comparison('dlogits', wrong(logits)[1](ones), numeric)}")
    print("  KL(p || p) =", wrong(uniform)[0][0].round(4))

# %% [markdown]
# A KL of {{kl_with_one_over_K(uniform)[0][0]:.2f}} nats cannot be: a KL is never negative. So check values as well as gradients.

# %% [markdown]
# ## Reading
#
# - D. Kingma, M. Welling, *Auto-encoding variational Bayes*, 2014: the ELBO as a training objective.
# - I. Higgins and others, *beta-VAE*, 2017: the weight; A. Alemi and others, *Fixing a broken ELBO*, 2018: rate, distortion, and what the weight trades.
# - S. Bowman and others, *Generating sentences from a continuous space*, 2016: warm-up; H. Fu and others, *Cyclical annealing schedule*, 2019.
# - D. Kingma and others, *Improved variational inference with inverse autoregressive flow*, 2016: free bits.
# - G. Loaiza-Ganem, J. Cunningham, *The continuous Bernoulli*, 2019: what is wrong with grey values in Eq. 3.7.
#
# Next: [04 Exact marginalisation](04_exact_marginalisation.ipynb), the expectation without sampling.

# %% [markdown] exercise 03.1: 2 points
# ## 03.1 Implement: the KL with both gradients
#
# Write the op `value, backward = my_kl(q_logits, p_logits)` for one latent: both inputs are (B, K), `value` is (B,), and `backward(dvalue)`, with `dvalue` (B,),
# returns `(dq_logits, dp_logits)`, each (B, K). `softmax(x)[0]` are the probabilities. About 5 lines. For $q = (0.5, 0.5)$ and $p = (0.75, 0.25)$ the value is
# {{my_kl(np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]]))[0][0]:.4f}} and the gradient in the logits of p is $(0.25, -0.25)$.


# %% solution 03.1
def my_kl(q_logits, p_logits):
    """KL(q || p) of each row."""
    q, p = softmax(q_logits)[0], softmax(p_logits)[0]
    ### BEGIN SOLUTION
    ratio = np.log(q / p)
    value = (q * ratio).sum(-1)

    def backward(dvalue):
        return dvalue[:, None] * q * (ratio - value[:, None]), dvalue[
            :, None
        ] * (p - q)

    return value, backward
    ### END SOLUTION


# %% check 03.1
from dvae_np.lesson import judge

judge("03.1", my_kl)


# %% right 03.1
def my_kl(q_logits, p_logits):
    from scipy.special import log_softmax, rel_entr, softmax

    q, p = softmax(q_logits, axis=-1), softmax(p_logits, axis=-1)
    value = rel_entr(q, p).sum(-1)

    def backward(dvalue):
        dq = log_softmax(q_logits, axis=-1) - log_softmax(p_logits, axis=-1)
        return (
            dvalue[:, None] * q * (dq - (q * dq).sum(-1, keepdims=True)),
            (p - q) * dvalue[:, None],
        )

    return value, backward


# %% wrong 03.1: the logits of p also enter its normaliser
def my_kl(q_logits, p_logits):
    q, p = softmax(q_logits)[0], softmax(p_logits)[0]
    ratio = np.log(q / p)
    value = (q * ratio).sum(-1)
    return value, lambda d: (
        d[:, None] * q * (ratio - value[:, None]),
        -d[:, None] * q,
    )


# %% wrong 03.1: the mean is taken under the first argument
def my_kl(q_logits, p_logits):
    q, p = softmax(q_logits)[0], softmax(p_logits)[0]
    ratio = np.log(p / q)
    value = (p * ratio).sum(-1)
    return value, lambda d: (
        d[:, None] * (q - p),
        d[:, None] * p * (ratio - value[:, None]),
    )


# %% wrong 03.1: the second term of the softmax Jacobian
def my_kl(q_logits, p_logits):
    q, p = softmax(q_logits)[0], softmax(p_logits)[0]
    ratio = np.log(q / p)
    value = (q * ratio).sum(-1)
    return value, lambda d: (d[:, None] * q * ratio, d[:, None] * (p - q))


# %% [markdown] exercise 03.2: 2 points
# ## 03.2 Derive: the best shared prior
#
# Given the encoder's distributions `q` (B, K) of a batch, which one distribution p minimises the mean of $\mathrm{KL}(q_b \,\Vert\, p)$? Return its probabilities (K,).
# 1 line. For $q$ of $(0.9, 0.1)$ and $(0.5, 0.5)$ you should get $(0.7, 0.3)$.


# %% solution 03.2
def best_prior(q):
    """The p of the least mean KL(q_b || p)."""
    ### BEGIN SOLUTION
    return q.mean(0)
    ### END SOLUTION


# %% check 03.2
from dvae_np.lesson import judge

judge("03.2", best_prior)


# %% right 03.2
def best_prior(q):
    return np.ones(len(q), q.dtype) @ q / len(q)


# %% wrong 03.2: the geometric mean
def best_prior(q):
    p = np.exp(np.log(q).mean(0))
    return p / p.sum()


# %% wrong 03.2: a distribution adds up to one
def best_prior(q):
    return q.sum(0)


# %% [markdown] exercise 03.3: 2 points
# ## 03.3 Derive: the best encoder for a given weight
#
# One latent, one example: `fz` (K,) holds $-\log p(x \mid z)$ in nats, `p` (K,) the prior. Which q minimises Eq. 3.2 at the weight `beta` > 0? Set the gradient in
# the logits to zero, with [Eq. 3.4]. Return q (K,). About 2 lines. At $\beta = 1$ it must be the posterior; for `fz` of (1, 2), a uniform prior and
# $\beta = 2$ it is $(0.622, 0.378)$.


# %% solution 03.3
def best_encoder(fz, p, beta):
    """The q that minimises E_q[f] + beta KL(q || p)."""
    ### BEGIN SOLUTION
    return softmax(np.log(p) - fz / beta)[0]
    ### END SOLUTION


# %% check 03.3
from dvae_np.lesson import judge

judge("03.3", best_encoder)


# %% right 03.3
def best_encoder(fz, p, beta):
    unnormalised = p * np.exp(-(fz - fz.min()) / beta)
    return unnormalised / np.sum(unnormalised)


# %% wrong 03.3: beta weighs the KL, so f is divided by it
def best_encoder(fz, p, beta):
    return softmax(np.log(p) - beta * fz)[0]


# %% wrong 03.3: where is p?
def best_encoder(fz, p, beta):
    return softmax(-fz / beta)[0]


# %% wrong 03.3: best at beta = 1 alone
def best_encoder(fz, p, beta):
    return softmax(np.log(p) - fz)[0]


# %% [markdown] exercise 03.4: 2 points
# ## 03.4 Find the bug: a KL that is never right
#
# These lines are for a uniform prior. They write `log_p = 1 / K`, and every gradient check passes. Correct the value: `q` (B, K) probabilities,
# return (B,) nats. Change one line. For uniform q it must be 0, for $q = (0.5, 0.25, 0.25)$ it is {{kl_to_uniform(np.array([[0.5, 0.25, 0.25]]))[0]:.4f}}. As it was:
#
# ```python
# log_p = 1 / categories
# return (q * (np.log(q) - log_p)).sum(-1)
# ```


# %% solution 03.4
def kl_to_uniform(q):
    """KL(q || uniform) of each row."""
    categories = q.shape[-1]
    ### BEGIN SOLUTION
    log_p = -np.log(categories)
    return (q * (np.log(q) - log_p)).sum(-1)
    ### END SOLUTION


# %% check 03.4
from dvae_np.lesson import judge

judge("03.4", kl_to_uniform)


# %% right 03.4
def kl_to_uniform(q):
    from scipy.stats import entropy

    return np.log(q.shape[1]) - entropy(q, axis=1)


# %% wrong 03.4: the logarithm of 1/K enters
def kl_to_uniform(q):
    log_p = 1 / q.shape[-1]
    return (q * (np.log(q) - log_p)).sum(-1)


# %% wrong 03.4: and it is subtracted
def kl_to_uniform(q):
    log_p = np.log(q.shape[-1])
    return (q * (np.log(q) - log_p)).sum(-1)


# %% wrong 03.4: the prior's log K is missing
def kl_to_uniform(q):
    return (q * np.log(q)).sum(-1)


# %% [markdown] exercise 03.5: 1 point
# ## 03.5 Find the bug: a hidden weight
#
# A model's images are blurred, and all its codes look alike. The objective below is meant to have $\beta = 1$. But like a framework's cross-entropy it takes a *mean* by default, over all the entries. `a` and `x` are (B, D), `kl_of_each` is (B,). Correct the first term, so that the function returns the mean over the batch of the negative
# ELBO, one sample of z for each example: a number. Change one line. For zeros in `a` and in
# `kl_of_each` it must be $D \log 2$.
# As it was:
#
# ```python
# reconstruction_of_each = cross_entropy.mean()
# ```


# %% solution 03.5
def objective_of(a, x, kl_of_each):
    """The mean over the batch of -log p(x|z) + KL, for Bernoulli pixels
    with logits a.
    """
    cross_entropy = np.log(1 + np.exp(a)) - x * a  # (B, D)
    ### BEGIN SOLUTION
    reconstruction_of_each = cross_entropy.sum(-1)
    ### END SOLUTION
    return (reconstruction_of_each + kl_of_each).mean()


# %% check 03.5
from dvae_np.lesson import judge

judge("03.5", objective_of)


# %% right 03.5
def objective_of(a, x, kl_of_each):
    total = 0.0
    for b in range(len(a)):
        total += sum(np.logaddexp(0, a[b]) - x[b] * a[b]) + kl_of_each[b]
    return total / len(a)


# %% wrong 03.5: the KL weighs D times as much as it should
def objective_of(a, x, kl_of_each):
    cross_entropy = np.log(1 + np.exp(a)) - x * a
    return (cross_entropy.mean() + kl_of_each).mean()


# %% wrong 03.5: the sum over the whole batch
def objective_of(a, x, kl_of_each):
    cross_entropy = np.log(1 + np.exp(a)) - x * a
    return (cross_entropy.sum() + kl_of_each).mean()


# %% [markdown] written 03.W: 3 points
# ## 03.W In words: why every gradient check passes exercise 03.4
#
# The mistake of 03.4 gives the value $\sum_k q_k \bigl(\log q_k - \frac{1}{K}\bigr)$ for one latent.
#
# (a) Show that finite differences, the complex step and the Taylor test all pass, if the backward pass is that of the right KL. What does a gradient check
# prove, and what does it not prove?
#
# (b) A student says: *then the mistake is harmless, because training is the same*. Is this right for training on [Eq. 3.2]? Is it right for the negative ELBO
# of $N$ latents that is reported? And for training with free bits [Eq. 3.18]? Half a page for both.

# %% [markdown] model 03.W
# (a) As $\sum_k q_k = 1$, the wrong value is $-H(q) - \frac{1}{K}$, and the right one is $-H(q) + \log K$ [Eq. 3.6]. They differ by the constant
# $\log K + \frac{1}{K}$, which no logit moves. In the differences $L(x + h) - L(x - h)$ and $L(x + h d) - L(x)$ a constant cancels, and it has no imaginary
# part. So all three methods find the slope of the right KL, and pass. A gradient check proves that the gradient is the slope of *this* value. It does not
# prove that the value is the one that was meant.
#
# (b) On [Eq. 3.2] training is the same: the gradient is right. The report is wrong: the negative ELBO is too low by $N \bigl(\log K + \frac{1}{K}\bigr)$,
# which is $2.86$ nats at $N = 2$ and $K = 3$. It may lie below $-\log p(x)$. And as $\log K + \frac{1}{K}$ grows with $K$, a model with more categories looks
# better than it is. With free bits even training changes. The wrong value is negative for every $q$. So the maximum with $\lambda \ge 0$ is always $\lambda$,
# its gradient is zero, and the KL does not act at all.
#
# *Marks:* 1 for the constant, and why the checks do not see it; 1 for what a check proves, with the verdict on Eq. 3.2 and on the report; 1 for free bits.
