# %% [markdown]
# # 03 The ELBO and the KL
#
# **Question.** We want a model that gives the data a high probability, $\log p(x)$, but that is a sum over all codes. What do we minimise instead, how far
# is it from the truth, and which of its two parts needs no sampling?
#
# **After this lesson you can**
# - derive the ELBO from $\log p(x)$ without an inequality, and name the gap,
# - write down the KL of categoricals with both its gradients, for a uniform, a learned and a conditional prior,
# - say what $\beta$, warm-up and free bits do to the objective, and what they must not do to the number you report,
# - derive the observation models for binary, real and grey pixels.
#
# *Needs:* lessons 01 and 02. *Takes:* an hour to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import math

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
from dvae_np.lesson import confirm, figure, show
from dvae_np.train import Settings, evaluate, kl_weight

rng = np.random.default_rng(3)
B, N, K, D = 5, 2, 3, 7  # examples, latents, categories, pixels
x = (rng.random((B, D)) < 0.4).astype(float)  # (B, D), binary
# psi: encoder, theta: decoder
params = dvae_np.parameters(rng, D, N, K, hidden=(4,), dtype=np.float64)

# %% [markdown]
# ## 1 From log p(x) to the ELBO
#
# The model draws a code from the prior $p(z)$ and an image from $p(x \mid z)$. It gives an image the probability
# $p(x) = \sum_z p(z)\, p(x \mid z)$. The codes that may lie behind a given $x$ have the *posterior* $p(z \mid x) = p(x, z) / p(x)$. Now bring in
# the encoder's $q(z \mid x)$, any distribution at all. For *every* code,
#
# $$\log p(x) = \log \frac{p(x, z)}{p(z \mid x)} = \log \frac{p(x, z)}{q(z \mid x)} + \log \frac{q(z \mid x)}{p(z \mid x)} .$$
#
# The left side does not depend on $z$. So the mean over $z \sim q$ leaves it alone:
#
# $$\log p(x) = \underbrace{\mathbb{E}_q\Bigl[\log \frac{p(x, z)}{q(z \mid x)}\Bigr]}_{\mathrm{ELBO}} + \underbrace{\mathbb{E}_q\Bigl[\log \frac{q(z \mid x)}{p(z \mid x)}\Bigr]}_{\mathrm{KL}(q(z \mid x) \,\Vert\, p(z \mid x))} .$$
#
# As a loss, with the signs turned:
#
# $$-\log p(x) = -\mathrm{ELBO} - \mathrm{KL}\bigl(q(z \mid x) \,\Vert\, p(z \mid x)\bigr) . \tag{3.1}$$
#
# This is an identity, with no inequality in it. A KL is never negative, since $\log t \le t - 1$:
#
# $$-\mathrm{KL}(q \,\Vert\, p) = \sum_z q(z) \log \frac{p(z)}{q(z)} \le \sum_z q(z) \Bigl(\frac{p(z)}{q(z)} - 1\Bigr) = 1 - 1 = 0 .$$
#
# So $-\mathrm{ELBO}$ is never below $-\log p(x)$, and touches it exactly where the encoder is the posterior. An encoder whose latents are independent
# given $x$ (a *mean-field* encoder, as ours with $N > 1$) may never get there. Take two binary latents of which the image says only that they differ:
# the posterior gives one half to $(0, 1)$ and to $(1, 0)$. The cell below looks for the best pair of independent latents, with a little mass left on the other two states. So minimising it does two things: the model explains the data better, and the encoder comes closer to the truth.
#
# With nine joint states we can add up everything. `evaluate` does so for a whole data set (lesson 04 shows how).

# %%
states = joint_states(N, K)[:, None]  # (M, 1, N), M = 9
logits, _ = dvae_np.encoder(params["psi"], x)  # (B, N, K)
f = reconstruction(params["theta"], x)  # f(z) = -log p(x|z)
fz = f(states)[0]  # (M, B)
q = np.array(
    [
        [
            np.prod([softmax(logits[b, n])[0][z[0, n]] for n in range(N)])
            for b in range(B)
        ]
        for z in states
    ]
)
# log p(z) + log p(x|z), with a uniform prior
log_joint = -N * np.log(K) - fz
log_evidence = np.log(np.exp(log_joint).sum(0))  # (B,)
posterior = np.exp(log_joint - log_evidence)  # (M, B)
gap = (q * np.log(q / posterior)).sum(0)
elbo = (q * (log_joint - np.log(q))).sum(0)

# a posterior over (0, 0), (0, 1), (1, 0), (1, 1)
differ = np.array([0.005, 0.495, 0.495, 0.005])
grid = np.linspace(1e-4, 1 - 1e-4, 400)
# the probabilities of a 1 in both latents
pairs = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
one, two = pairs.T
independent = np.stack(
    [(1 - one) * (1 - two), (1 - one) * two, one * (1 - two), one * two], -1
)
smallest_gap = (independent * np.log(independent / differ)).sum(-1).min()
print(
    f"the best independent latents stay {smallest_gap:.3f} nats away from "
    "this posterior"
)

worth = evaluate(params, x)
print(
    f"negative ELBO {worth.negative_elbo:.4f}, -log p(x) "
    f"{-worth.log_likelihood:.4f}, gap {worth.posterior_gap:.4f} nats"
)
confirm("3.1", -worth.log_likelihood, (-elbo - gap).mean())
confirm("3.1", worth.posterior_gap, gap.mean())

# %% [markdown]
# ## 2 Two parts, and a weight
#
# Split $\log p(x, z) = \log p(x \mid z) + \log p(z)$ inside the ELBO, and put the prior beside $q$:
#
# $$-\mathrm{ELBO} = -\mathbb{E}_q[\log p(x \mid z)] + \mathbb{E}_q\Bigl[\log \frac{q(z \mid x)}{p(z)}\Bigr] .$$
#
# The first part is the *reconstruction*: how badly a code explains the image. The second is a KL to the *prior*, not to the posterior: how
# many nats it costs to send the code of this $x$ when codes are expected to follow the prior. This number is called the *rate*; the reconstruction is
# the *distortion*. The rate is not the information that codes carry about images: the mean rate is that information plus the KL from the mean of all
# encoders' distributions to the prior, and so it is never below it. Often the KL gets a weight:
#
# $$\mathcal{L} = -\mathbb{E}_q[\log p(x \mid z)] + \beta\, \mathrm{KL}(q \,\Vert\, p) . \tag{3.2}$$
#
# Only for $\beta = 1$ is this the negative ELBO. With $\beta > 1$ it is still above $-\log p(x)$, but looser; with $\beta < 1$ it is no bound. Whatever
# $\beta$ one trains with, the number to *report* is the one at $\beta = 1$.
#
# The whole objective of the package, with the estimator as a row of a table. It takes the mean over the batch:

# %%
show(negative_elbo)
loss = negative_elbo(params, x, TABLE["exact"], lambda logits: (), beta=0.7)
# (B,), over the joint states
divergence = (q * (np.log(q) + N * np.log(K))).sum(0)
confirm("3.2", loss.value, ((q * fz).sum(0) + 0.7 * divergence).mean())


# %%
def objective(psi):
    return negative_elbo(
        {"psi": psi, "theta": params["theta"]},
        x,
        TABLE["exact"],
        lambda logits: (),
        beta=0.7,
    ).value


numeric = complex_step(objective, params["psi"])
for name in params["psi"]:
    confirm("3.2", loss.gradients["psi"][name], numeric[name])

# %% [markdown]
# ## 3 The KL of categoricals
#
# For one latent the second part is a finite sum. No sampling is needed:
#
# $$\mathrm{KL}(q \,\Vert\, p) = \sum_k q_k \log \frac{q_k}{p_k} . \tag{3.3}$$
#
# For N independent latents the logarithm of the product is a sum, and the KLs add up.
#
# **In the logits of q.** In $q_k$ itself the derivative is $\log (q_k / p_k) + 1$. Through the softmax's Jacobian [Eq. 2.2] its mean under $q$ is
# subtracted, which is $\mathrm{KL} + 1$; the ones cancel:
#
# $$\frac{\partial\, \mathrm{KL}}{\partial \ell^q_k} = q_k \Bigl(\log \frac{q_k}{p_k} - \mathrm{KL}\Bigr) . \tag{3.4}$$
#
# **In the logits of p.** Only $-\sum_k q_k \log p_k$ depends on them. Through the log-softmax [Eq. 2.1], with $dy = -q$, whose sum is $-1$:
#
# $$\frac{\partial\, \mathrm{KL}}{\partial \ell^p_k} = p_k - q_k . \tag{3.5}$$

# %%
show(Independent.kl_parts)
# a prior for each example, as p(z|c) has
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

# %% [markdown]
# Three kinds of prior differ in what $p$ is, and in who collects its gradient:
#
# | prior | logits of p | its gradient |
# |---|---|---|
# | uniform | none | none |
# | learned | (1, N, K), shared by all examples | the sum over the batch: $\sum_b (p - q_b)$ |
# | conditional, $p(z \mid c)$ | (B, N, K), a network of the context | each example's own, and on into the network (lesson 16) |
#
# A learned prior comes to rest where $\sum_b (p - q_b) = 0$: at the mean of the encoder's distributions.

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
# For the uniform prior $p_k = 1/K$, and the sum splits into $\sum_k q_k \log q_k - \log (1/K)$:
#
# $$\mathrm{KL}(q \,\Vert\, \mathrm{uniform}) = \log K - H(q) . \tag{3.6}$$
#
# It is $\log (1/K) = -\log K$ that enters, not $1/K$. So this KL lies between 0 and $\log K$ for each latent: a code of 3 categories cannot say more
# than $\log 3$ nats, and N of them not more than N times that.

# %%
confirm("3.6", kl(logits)[0], N * np.log(K) - entropy(logits)[0])
confirm("3.6", kl(logits)[0], divergence)

# %% [markdown]
# ## 4 What a pixel is: the observation models
#
# The decoder returns numbers $a$. What they mean is a choice, the observation model. Each is an op from $a$ to $-\log p(x \mid z)$.
#
# **Binary pixels.** A pixel is 1 with probability $\sigma(a)$, so $-\log p = -x \log \sigma(a) - (1 - x) \log (1 - \sigma(a))$. With the softplus $\zeta$ of
# [Eq. 1.10], $\log \sigma(a) = a - \zeta(a)$ and $\log (1 - \sigma(a)) = -\zeta(a)$. So each pixel costs $-x a + x \zeta(a) + (1 - x) \zeta(a)$:
#
# $$-\log p(x \mid z) = \sum_d \zeta(a_d) - x_d a_d . \tag{3.7}$$
#
# As $\zeta' = \sigma$, the gradient is what was expected minus what came:
#
# $$\frac{\partial (-\log p(x \mid z))}{\partial a_d} = \sigma(a_d) - x_d . \tag{3.8}$$
#
# It is a *sum* over pixels. A mean would divide the reconstruction by D, which is the same as multiplying $\beta$ by D. And it is a
# log-likelihood for $x \in \lbrace 0, 1 \rbrace$ only. For grey $x$ it is a cross-entropy: a number of another kind, which must not be compared with a log-likelihood.
#
# Where the decoder is sure of itself, $\zeta(a)$ and $x a$ are large and nearly the same, and digits are lost in their difference: many if the two are
# summed apart, as a matrix product for shared states would do, few if it is taken pixel by pixel. So we put in the softplus as
# [Eq. 1.10] has it, take the large parts together, and the rest is the logarithm of a product:
#
# $$-\log p(x \mid z) = \sum_d \bigl(\max(a_d, 0) - x_d a_d\bigr) + \log \prod_d \bigl(1 + e^{-\lvert a_d \rvert}\bigr) . \tag{3.9}$$
#
# In the code below $\max(a, 0) - x a$ is $a (1[a > 0] - x)$: the likelier value of the pixel, less the one it has, times the logit. For $x$ in $[0, 1]$ no
# term is negative, so that nothing cancels. A logarithm costs NumPy about as much as an exponential; here one does for 16 pixels, whose
# factors are at most 2 each. What $1 + t$ loses of $t$ in float32 is at most $6 \cdot 10^{-8}$ nats a pixel.

# %%
show(bernoulli)
S = 4
a, dvalue = rng.standard_normal((S, B, D)), rng.standard_normal((S, B))
value, backward = bernoulli(a, x)


def plain_bernoulli(a):
    p = 1 / (1 + np.exp(-a))
    # the product of the pixels' probabilities
    return -np.log(np.where(x == 1, p, 1 - p).prod(-1))


confirm("3.7", value, plain_bernoulli(a))
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

# A decoder that is nearly sure of each of 784 pixels, and mostly right, in
# float32 beside float64.
some = np.random.default_rng(31)
image = (some.random(784) < 0.2).astype(np.float32)
sure = (
    20 * (image - 0.5) * abs(some.standard_normal((1, 100, 784)))
    + some.standard_normal((1, 100, 784))
).astype(np.float32)
zeta, images = softplus(sure)[0], np.tile(image, (100, 1))
truth = bernoulli(sure.astype(float), images.astype(float))[0]
print(
    f"of {truth.mean():.0f} nats wrong:  "
    f"{abs(zeta.sum(-1) - (sure * images).sum(-1) - truth).max():.0e} with "
    "one sum of zeta(a) and one of x a,"
)
print(
    f"{abs((zeta - sure * images).sum(-1) - truth).max():26.0e} with the "
    "difference taken pixel by pixel,"
)
print(f"{abs(bernoulli(sure, images)[0] - truth).max():26.0e} by Eq. 3.9")

# %% [markdown]
# **Real pixels.** The density of a normal distribution with mean $a$ and deviation $\sigma$ (a number now, not the sigmoid) is
# $e^{-(x - a)^2 / 2 \sigma^2} / (\sigma \sqrt{2 \pi})$. Take minus its logarithm:
#
# $$-\log p(x \mid z) = \sum_d \frac{(x_d - a_d)^2}{2 \sigma^2} + \log \sigma + \frac{1}{2} \log 2 \pi . \tag{3.10}$$
#
# For the gradient write $\sigma^{-2} = e^{-2 \log \sigma}$, whose derivative in $\log \sigma$ is $-2 \sigma^{-2}$:
#
# $$da_d = \frac{a_d - x_d}{\sigma^2}, \quad d \log \sigma = \sum_d 1 - \frac{(x_d - a_d)^2}{\sigma^2} . \tag{3.11}$$
#
# The second vanishes where $\sigma^2$ is the mean squared error. A small fixed $\sigma$ acts like a small $\beta$: "squared error plus KL" means
# $\sigma^2 = 1/2$, chosen by nobody. And as a density may exceed 1, the value may be negative.

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
# **Grey pixels** of $V$ levels: each is a categorical of its own, with $V$ logits $a_d$. What we know from lesson 02 is all that we need:
#
# $$-\log p(x \mid z) = -\sum_d \log \mathrm{softmax}(a_d)_{x_d} , \tag{3.12}$$
#
# and its gradient is minus a score [Eq. 2.4]:
#
# $$da_d = \mathrm{softmax}(a_d) - \mathrm{onehot}(x_d) . \tag{3.13}$$
#
# This one makes no assumption about the shape of the distribution, at the price of $V$ numbers a pixel.

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
# **Counts** 0, 1, 2, ... come from a Poisson law, $p(x) = r^x e^{-r} / x!$, whose only parameter is the rate $r = e^{a}$, its mean:
#
# $$-\log p(x \mid z) = \sum_d e^{a_d} - x_d a_d + \log x_d! , \tag{3.14}$$
#
# $$da_d = e^{a_d} - x_d . \tag{3.15}$$
#
# Without $\log x_d!$ the gradient is the same, and training goes as well; but the number is no negative log-likelihood any more, and two models cannot be
# compared by it. So every observation model here is also summed over all values of a pixel, which must give 1.

# %%
counts = rng.poisson(3.0, (B, D)).astype(float)
a, dvalue = rng.standard_normal((S, B, D)), rng.standard_normal((S, B))
value, backward = poisson(a, counts)
factorials = np.array(
    [[math.factorial(int(count)) for count in row] for row in counts]
)


def plain_poisson(a):
    rate = np.exp(a)
    return -np.log(rate**counts * np.exp(-rate) / factorials).sum(-1)


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
# **Columns** of a survey are categorical, too, but each with a number of categories of its own, $V_d$. Side by side as one-hots they are a row of $\sum_d V_d$ zeros and ones, and
# the decoder gives as many logits:
#
# $$-\log p(x \mid z) = -\sum_d \log \mathrm{softmax}(a_d)[x_d] . \tag{3.16}$$
#
# Its gradient is that of grey levels [Eq. 3.13], column by column. To take the ones and zeros for independent Bernoulli pixels is a common mistake: such a model gives a chance to rows with two answers to one question. A field that is missing is a column of zeros, and adds nothing.

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
# ## 5 Keeping codes alive
#
# Early in training the decoder ignores $z$, and the KL says: then do not pay for it. The encoder collapses to the prior. Two remedies.
#
# *Schedules*: start with a small weight. With $t$ the epochs so far and $T$ a length, either once (warm-up), or again and again, with
# the first half of each cycle for the climb:
#
# $$\beta_t = \beta \min(1, t / T), \qquad \beta_t = \beta \min(1, 2 (t \bmod T) / T) . \tag{3.17}$$
#
# *Free bits*: let each latent have $\lambda$ nats for nothing. The cost of latent $n$ is its mean KL over the batch, or $\lambda$ if that is more:
#
# $$\sum_n \max\Bigl(\lambda, \frac{1}{B} \sum_b \mathrm{KL}_{bn}\Bigr) . \tag{3.18}$$
#
# Below $\lambda$ the gradient is zero, and nothing pulls the latent towards the prior. Note the order: the maximum of the mean, not the mean of
# maxima.

# %%
show(floored)
each, _ = kl_per_latent(logits, prior)  # (B, N)
print("mean KL of each latent:", each.mean(0).round(4), "nats")
least = each.mean(0).mean()  # between the two
cost, slope = floored(each, least)
confirm(
    "3.18",
    cost,
    sum(
        max(least, sum(each[b, n] for b in range(B)) / B) for n in range(N)
    ),
)
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

# %% [markdown]
# ## 6 The picture
#
# One latent of four categories, with $-\log p(x \mid z)$ of 1, 2, 4 and 3 nats, and a uniform prior. Left: $q$ moves from the prior ($t = 0$) through the
# posterior ($t = 1$) towards a one-hot. The reconstruction falls all the way, from {{costs.mean():.1f}} nats, and the KL rises. Their sum touches $-\log p(x)$, {{evidence:.3f}} nats, at the posterior, and
# nowhere else. Right: the best $q$ for each $\beta$. The curve is the price list: how many nats of reconstruction a nat of KL buys, and its slope at
# each point is $-\beta$. The dashed line holds all pairs with that sum; only $\beta = 1$ reaches it.

# %%
costs = np.array([1.0, 2.0, 4.0, 3.0])  # -log p(x|z)
evidence = -np.log(np.exp(-costs).mean())  # -log p(x), with a uniform prior
figure("elbo.png")

# %% [markdown]
# ## 7 Break it
#
# Two mistakes that are easily made. The first writes `1/K` where `log(1/K)` belongs. The gradient check *passes*: the constant drops out. What turns red is the
# identity $\mathrm{KL}(u \,\Vert\, u) = 0$. The second flips the sign of the gradient, and so rewards distance from the prior:


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
    print("   ", comparison("dlogits", wrong(logits)[1](ones), numeric))
    print("    KL(u || u) =", wrong(uniform)[0][0].round(4))

# %% [markdown]
# A KL of $-2.86$ nats should worry anyone: a KL is never negative. Moral: check values as well as gradients.
#
# ## Reading
#
# - D. Kingma, M. Welling, *Auto-encoding variational Bayes*, 2014: the ELBO as a training objective.
# - I. Higgins and others, *beta-VAE*, 2017: the weight; A. Alemi and others, *Fixing a broken ELBO*, 2018: what it trades.
# - S. Bowman and others, *Generating sentences from a continuous space*, 2016: warm-up; H. Fu and others, *Cyclical annealing schedule*, 2019.
# - D. Kingma and others, *Improved variational inference with inverse autoregressive flow*, 2016: free bits.
# - G. Loaiza-Ganem, J. Cunningham, *The continuous Bernoulli*, 2019: what is wrong with grey values in Eq. 3.7.
#
# Next: [04 Exact marginalisation](04_exact_marginalisation.ipynb), the expectation without sampling.

# %% [markdown] exercise 03.1
# ### 03.1 Implement: the KL with both gradients
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


# %% [markdown] exercise 03.2
# ### 03.2 Derive: the best shared prior
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


# %% [markdown] exercise 03.3
# ### 03.3 Derive: the best encoder for a given weight
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


# %% [markdown] exercise 03.4
# ### 03.4 Find the bug: a KL that is never right
#
# These lines are for a uniform prior, and write `log_p = 1 / K`. Every gradient check passes. Correct the value: `q` (B, K) probabilities,
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


# %% [markdown] exercise 03.5
# ### 03.5 Find the bug: a hidden weight
#
# Blurred images, codes that all look alike: this objective is to have $\beta = 1$. A framework's cross-entropy takes a *mean* by default, over all the entries of
# its argument. `a` and `x` are (B, D), `kl_of_each` is (B,). Correct the first term, so that the function returns the mean over the batch of the negative
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
