# %% [markdown]
# # 16 The conditional discrete VAE
#
# **Question.** We do not want to model whole images, but the *rest* of an image when a part of it is given. Where does the given part enter, and what are the gradients if the prior depends on it?
#
# **After this lesson you can**
# - write the conditional ELBO, and derive it from $\log p(x \mid c)$,
# - say which of the three networks see the context, and send the KL's gradient to both of its sides,
# - decode every pair of example and code without building a single row of inputs for a pair.
#
# *Needs:* lessons 03 and 04. *Takes:* 35 minutes to read and run, 65 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np import (
    TABLE,
    Model,
    decoder,
    encoder,
    joint_states,
    kl,
    log_prob,
    log_softmax,
    negative_elbo,
    parameters,
    reconstruction,
    softmax,
)
from dvae_np.check import complex_step
from dvae_np.lesson import confirm, picture, say, show
from dvae_np.networks import conditional

# examples, pixels of the part to predict, of the part given, latents,
# categories
B, D, C, N, K = 3, 4, 5, 2, 3
rng = np.random.default_rng(0)
x, c = (rng.random((B, D)) < 0.4).astype(float), rng.standard_normal((B, C))
model = Model(prior="conditional")
params = parameters(rng, D, N, K, (6,), np.float64, model=model, C=C)
params["phi"] = {
    name: array + 0.5 * rng.standard_normal(array.shape)
    for name, array in params["phi"].items()
}
logits, _ = encoder(params["psi"], x, c)  # (B, N, K)
prior_logits = conditional(params["phi"], c, N)[0].logits  # (B, N, K)
states = joint_states(N, K)[:, None]  # (M, 1, N) = (9, 1, 2)
# -log p(x|c,z), (M, B)
fz = reconstruction(params["theta"], x, c, model)(states)[0]
log_prior = log_prob(prior_logits, states)[0]  # log p(z|c), (M, B)
logq = log_prob(logits, states)[0]  # log q(z|x,c), (M, B)

# %% [markdown]
# ## 1 The model
#
# Call the given part $c$, the *context*, and the part to predict $x$. (Many texts write $x$ for the context and $y$ for what is predicted. In this course $x$ is always what is modelled.)
#
# Why does such a model need a latent? Without one, every pixel is predicted on its own, given $c$. If two completions are possible, the prediction is their blurred average. With a latent the model can say: *either* this one *or* that one.
#
# Three networks now see the context:

# %%
boxes = {
    "context c": (0, 0.5),
    "image x": (0, 1.5),
    "prior p(z|c)": (2, 0),
    "encoder q(z|x,c)": (2, 1.5),
    "decoder p(x|c,z)": (4.3, 0.75),
}
arrows = [
    ("context c", "prior p(z|c)"),
    ("context c", "encoder q(z|x,c)"),
    ("image x", "encoder q(z|x,c)"),
    ("prior p(z|c)", "decoder p(x|c,z)"),
    ("encoder q(z|x,c)", "decoder p(x|c,z)"),
    ("context c", "decoder p(x|c,z)"),
]
fig, ax = plt.subplots(figsize=(7.4, 2.4), layout="constrained")
for start, end in arrows:
    ax.annotate(
        "",
        boxes[end],
        boxes[start],
        arrowprops={"arrowstyle": "->", "shrinkA": 26, "shrinkB": 46},
    )
for words, at in boxes.items():
    style = "round" if "(" in words else "square"
    ax.annotate(
        words,
        at,
        ha="center",
        va="center",
        bbox={"boxstyle": style, "facecolor": "0.93"},
    )
ax.text(3.05, 1.5, "code z, in training", fontsize=8)
ax.text(3.05, 0.12, "code z, to draw", fontsize=8)
ax.set(xlim=(-0.7, 5.2), ylim=(-0.4, 1.9))
ax.axis("off")
picture(
    fig,
    "The context goes to prior, encoder and decoder; the image to the "
    "encoder; the code comes from the encoder in training, from the prior "
    "when drawing.",
)

# %% [markdown]
# The **prior** guesses the code from the context alone, by a network of its own:
#
# $$p_{\phi}(z \mid c) = \mathrm{softmax}\bigl(\ell_{\phi}(c)\bigr) . \tag{16.1}$$
#
# The **decoder** $p_{\theta}(x \mid c, z)$ sees the context and the code. The **encoder** $q_{\psi}(z \mid x, c)$ sees everything. The model's probability of $x$ is the sum over all codes:
#
# $$p(x \mid c) = \sum_z p_{\phi}(z \mid c)\, p_{\theta}(x \mid c, z) . \tag{16.2}$$

# %%
show(conditional)
q_of_c, _ = softmax(prior_logits)
# summing out the second latent must leave the first one's softmax
confirm("16.1", np.exp(log_prior).reshape(K, K, B).sum(1), q_of_c[:, 0].T)

# %% [markdown]
# Is this a probability of $x$? Let $x$ have $D$ pixels. Over all $2^D$ binary images it must sum to one, for every context. The package's evaluation computes the same number in blocks of codes:

# %%
from dvae_np.train import evaluate

# (16, D)
every_x = ((np.arange(2**D)[:, None] >> np.arange(D)) & 1).astype(float)
of_first = evaluate(params, x[:1], c[:1], model=model).log_likelihood
total = sum(
    np.exp(evaluate(params, image[None], c[:1], model=model).log_likelihood)
    for image in every_x
)
confirm("16.2", total, 1.0)
confirm("16.2", of_first, np.log((np.exp(log_prior - fz)[:, 0]).sum()))

# %% [markdown]
# ## 2 The bound
#
# The bound is that of lesson 03, with everything given $c$. Put any $q(z)$ into the sum. The logarithm is concave, so the logarithm of a mean is at least the mean of the logarithms (Jensen's inequality):
#
# $$\log p(x \mid c) = \log \sum_z q(z) \frac{p_{\phi}(z \mid c)\, p_{\theta}(x \mid c, z)}{q(z)} \ge \sum_z q(z) \log \frac{p_{\phi}(z \mid c)\, p_{\theta}(x \mid c, z)}{q(z)} .$$
#
# Split the logarithm, change the sign, and give the KL the weight $\beta$:
#
# $$\mathcal{L} = -\mathbb{E}_{q_{\psi}(z \mid x, c)}\bigl[\log p_{\theta}(x \mid c, z)\bigr] + \beta\, \mathrm{KL}\bigl(q_{\psi}(z \mid x, c) \,\Vert\, p_{\phi}(z \mid c)\bigr) . \tag{16.3}$$
#
# What the inequality loses is $\mathrm{KL}(q \,\Vert\, p(z \mid x, c))$, the posterior gap.

# %%
loss = negative_elbo(
    params, x, TABLE["exact"], lambda _: (), c=c, model=model, beta=0.7
)
by_sums = (np.exp(logq) * (fz + 0.7 * (logq - log_prior))).sum(0).mean()
confirm("16.3", loss.value, by_sums)
# p(z|x,c), (M, B)
posterior_of_sum = np.exp(log_softmax((log_prior - fz).T)[0].T)
gap = (np.exp(logq) * (logq - np.log(posterior_of_sum))).sum(0).mean()
exactly = evaluate(params, x, c, model=model)
confirm("16.3", exactly.negative_elbo, gap - exactly.log_likelihood)
confirm(
    "16.3",
    exactly.negative_elbo,
    negative_elbo(
        params, x, TABLE["exact"], lambda _: (), c=c, model=model
    ).value,
)

# %% [markdown]
# ## 3 Gradients to both sides of the KL
#
# Lesson 03 derived both for one latent: $\partial\,\mathrm{KL} / \partial \ell^q_k = q_k (\log (q_k / p_k) - \mathrm{KL})$ [Eq. 3.4] and $\partial\,\mathrm{KL} / \partial \ell^p_k = p_k - q_k$ [Eq. 3.5]. With a fixed prior the second was not needed. Now $\ell^p$ is the output of a network, and $p - q$ is the cotangent that its backward pass receives.
#
# Compare $p - q$ with the gradient of a classifier. They are the same: *the prior is trained to guess what the encoder will say, without seeing $x$*. And the encoder is pulled towards what can be guessed.
#
# Here is the core of the loss for one latent, in plain NumPy, and then the package's objective, which has everything in it:

# %%
q1, p1 = softmax(logits[:, 0])[0], softmax(prior_logits[:, 0])[0]
kl1 = (q1 * np.log(q1 / p1)).sum(1)  # of the first latent, (B,)
by_hand = {
    "to the encoder": q1 * (np.log(q1 / p1) - kl1[:, None]),
    "to the prior": p1 - q1,
}
library = kl(logits[:, :1], prior_logits[:, :1])[1](np.ones(B))
for (words, mine), theirs in zip(by_hand.items(), library, strict=True):
    print(f"{words:15} differs by {abs(mine - theirs[:, 0]).max():.0e}")

# %%
show(negative_elbo)

# %%
flat = {
    f"{group}.{name}": array
    for group in params
    for name, array in params[group].items()
}


def total_loss(arrays):
    """The loss as a function of all parameter arrays."""
    tree = {
        group: {name: arrays[f"{group}.{name}"] for name in params[group]}
        for group in params
    }
    return negative_elbo(
        tree, x, TABLE["exact"], lambda _: (), c=c, model=model, beta=0.7
    ).value


numeric = complex_step(total_loss, flat)
for group in params:
    names = [f"{group}.{name}" for name in params[group]]
    found = np.concatenate(
        [loss.gradients[group][name].ravel() for name in params[group]]
    )
    print(f"{group:6}", end="")
    confirm(
        "16.3",
        found,
        np.concatenate([numeric[name].ravel() for name in names]),
    )

# %% [markdown]
# ## 4 Every pair, but no pair twice
#
# In lesson 04 a code was decoded once for all examples, because $p(x \mid z)$ did not depend on the example. Here it does. There are $B \cdot M$ different pairs $(c_b, z_m)$ of an example and one of the $M = K^N$ codes.
#
# The obvious program concatenates each pair, and multiplies $B M$ rows of length $C + N K$ by the weights $W$ of the first layer, where $C$ is the length of a context. But the first layer is linear: $[c, z]\, W = c\, W_c + z\, W_z$ [Eq. 4.7]. So multiply the context $B$ times, look the code up $M$ times, and take only their *sum* for every pair. The other ways to join them are those of lesson 04: concatenation of embeddings, and FiLM, where the code scales the context's part.

# %%
show(decoder)

# %% [markdown]
# How much does this save? Here are both ways for the first layer, for 100 upper halves of MNIST digits and one latent of twenty categories, as in lesson 17, and a layer of 512 units.

# %%
import time

examples, inputs, categories, units = 100, 392, 20, 512
contexts, w_c = (
    rng.standard_normal((examples, inputs)),
    rng.standard_normal((inputs, units)),
)
w_z = rng.standard_normal((categories, units))


def by_concatenation():
    rows = np.broadcast_to(contexts, (categories, examples, inputs))
    hot = np.broadcast_to(
        np.eye(categories)[:, None], (categories, examples, categories)
    )
    return np.concatenate([rows, hot], -1) @ np.concatenate([w_c, w_z])


def by_parts():
    return w_z[:, None] + contexts @ w_c


def milliseconds(compute):
    """The least of five runs."""
    took = []
    for _ in range(5):
        start = time.perf_counter()
        compute()
        took.append(time.perf_counter() - start)
    return 1e3 * min(took)


confirm("4.7", by_parts(), by_concatenation())
pairs = examples * categories
multiplications = {
    "by concatenation": pairs * (inputs + categories) * units,
    "by parts": examples * inputs * units,
}
for words, compute in (
    ("by concatenation", by_concatenation),
    ("by parts", by_parts),
):
    print(
        f"{words:16}: {multiplications[words] / 1e6:4.0f} million "
        f"multiplications, {milliseconds(compute):.1f} ms here"
    )

# %% [markdown]
# That is {{multiplications["by concatenation"] / multiplications["by parts"]:.0f}} times fewer multiplications. The layers after the first one see the pair, and run for each pair. So only the first layer is saved.
#
# ## 5 Break it
#
# A mistake that is easily made in conditional models: the prior's gradient is forgotten, as if $p(z \mid c)$ were a constant. Nothing crashes. The encoder learns, and the prior stays what it was. A complex step over *all* parameters finds it at once. A complex step over the encoder's parameters alone never does.

# %%
forgotten = {
    name: np.zeros_like(gradient)
    for name, gradient in loss.gradients["phi"].items()
}
from dvae_np.check import comparison

for name in ("w0", "b1"):
    found = comparison(
        f"phi.{name}", forgotten[name], numeric[f"phi.{name}"]
    )
    # what it asks of an estimator is left out
    say(str(found).split(" (Of an estimator")[0])

# %% [markdown]
# ## Reading
#
# - K. Sohn, H. Lee, X. Yan, *Learning structured output representation using deep conditional generative models*, 2015: the conditional VAE.
# - E. Perez, F. Strub, H. de Vries, V. Dumoulin, A. Courville, *FiLM: visual reasoning with a general conditioning layer*, 2018: scale and shift.
#
# Next: [17 Completing digits](17_completing_digits.ipynb)

# %% [markdown] exercise 16.1: 1 point
# ## 16.1 Implement: the KL's gradient on the prior's side
#
# Write `prior_side(q_logits, p_logits)`: both (B, N, K); return $\partial \sum_b \mathrm{KL}_b / \partial \ell^p$, (B, N, K), by [Eq. 3.5]. `softmax(a)[0]` is the softmax over the last axis. One line. The entries
# of each latent must add up to 0.


# %% solution 16.1
def prior_side(q_logits, p_logits):
    """d KL / d prior logits."""
    ### BEGIN SOLUTION
    return softmax(p_logits)[0] - softmax(q_logits)[0]
    ### END SOLUTION


# %% check 16.1
from dvae_np.lesson import judge

judge("16.1", prior_side)


# %% right 16.1
def prior_side(q_logits, p_logits):
    gradient = np.zeros_like(q_logits)
    for b, n in np.ndindex(q_logits.shape[:2]):
        q, p = np.exp(q_logits[b, n]), np.exp(p_logits[b, n])
        gradient[b, n] = p / p.sum() - q / q.sum()
    return gradient


# %% wrong 16.1: a flipped sign
def prior_side(q_logits, p_logits):
    return softmax(q_logits)[0] - softmax(p_logits)[0]


# %% wrong 16.1: the prior's own normaliser
def prior_side(q_logits, p_logits):
    return -softmax(q_logits)[0]


# %% wrong 16.1: take the softmax of both
def prior_side(q_logits, p_logits):
    return p_logits - q_logits


# %% wrong 16.1: the gradient on the encoder's side
def prior_side(q_logits, p_logits):
    q, ratio = (
        softmax(q_logits)[0],
        log_softmax(q_logits)[0] - log_softmax(p_logits)[0],
    )
    return q * (ratio - (q * ratio).sum(-1, keepdims=True))


# %% wrong 16.1: write it yourself
def prior_side(q_logits, p_logits):
    from dvae_np import kl

    return kl(q_logits, p_logits)[1](np.ones(len(q_logits)))[1]


# %% [markdown] exercise 16.2: 2 points
# ## 16.2 Implement: the split first layer
#
# Write `first_layer(c, states, w_context, table, bias)`: contexts `c` (B, C), codes `states` (M, N), `w_context` (C, H), `table` (N, K, H), `bias` (H,); return the
# pre-activations of all pairs, (M, B, H), without making a row of inputs for any pair. The judge looks at the memory, too. About 3 lines; NumPy's broadcasting does the sum.


# %% solution 16.2
def first_layer(c, states, w_context, table, bias):
    """c w + the codes' rows + bias, for every pair: (M, B, H)."""
    ### BEGIN SOLUTION
    code = sum(table[n][states[:, n]] for n in range(len(table)))  # (M, H)
    return code[:, None] + (c @ w_context + bias)[None]
    ### END SOLUTION


# %% check 16.2
from dvae_np.lesson import judge

judge("16.2", first_layer)


# %% right 16.2
def first_layer(c, states, w_context, table, bias):
    hot = np.eye(table.shape[1])[states]  # (M, N, K)
    return (
        np.add.outer(np.zeros(len(states)), c @ w_context)
        + np.einsum("mnk,nkh->mh", hot, table)[:, None]
        + bias
    )


# %% wrong 16.2: with the axes of states and examples exchanged
def first_layer(c, states, w_context, table, bias):
    code = sum(table[n][states[:, n]] for n in range(len(table)))
    return (c @ w_context + bias)[:, None] + code[None]


# %% wrong 16.2: only the first latent's rows
def first_layer(c, states, w_context, table, bias):
    return table[0][states[:, 0]][:, None] + (c @ w_context + bias)[None]


# %% wrong 16.2: the bias in both parts
def first_layer(c, states, w_context, table, bias):
    code = sum(table[n][states[:, n]] for n in range(len(table))) + bias
    return code[:, None] + (c @ w_context + bias)[None]


# %% wrong 16.2: is there an array of too many axes?
def first_layer(c, states, w_context, table, bias):
    M, (B, C) = len(states), c.shape
    hot = np.eye(table.shape[1])[states].reshape(M, 1, -1)
    rows = np.concatenate(
        [
            np.broadcast_to(c, (M, B, C)),
            np.broadcast_to(hot, (M, B, hot.shape[-1])),
        ],
        -1,
    )
    return (
        rows @ np.concatenate([w_context, table.reshape(-1, len(bias))])
        + bias
    )


# %% wrong 16.2: is wrong
def first_layer(c, states, w_context, table, bias):
    every = np.stack(
        np.meshgrid(
            *[np.arange(table.shape[1])] * len(table), indexing="ij"
        ),
        -1,
    )
    # all states in order, whatever was asked
    states = np.resize(every.reshape(-1, len(table)), states.shape)
    code = sum(table[n][states[:, n]] for n in range(len(table)))
    return code[:, None] + (c @ w_context + bias)[None]


# %% [markdown] exercise 16.3: 1 point
# ## 16.3 Find the bug: a row that is used several times
#
# This is the backward pass of 16.2 for the table. `dh` (M, B, H) is the gradient of the loss in the first layer of all pairs, `states` (M, N) are the codes, and `K` is the number of categories. The gradient `table` (N, K, H) is
# right if all states differ in every latent. Otherwise it is wrong: several states have the same category, and each of them used the same row. Correct one line.
#
# A hint: what does NumPy add in `a[[0, 0]] += 1`?
#
# ```python
# table = np.zeros((states.shape[1], K, dh.shape[2]), dh.dtype)
# for n in range(states.shape[1]):
#     table[n][states[:, n]] += dh.sum(1)
# return table
# ```


# %% solution 16.3
def table_gradient(dh, states, K):
    """The gradient in the table of the split first layer: (N, K, H)."""
    table = np.zeros((states.shape[1], K, dh.shape[2]), dh.dtype)
    for n in range(states.shape[1]):
        ### BEGIN SOLUTION
        np.add.at(table[n], states[:, n], dh.sum(1))
        ### END SOLUTION
    return table


# %% check 16.3
from dvae_np.lesson import judge

judge("16.3", table_gradient)


# %% right 16.3
def table_gradient(dh, states, K):
    hot = np.eye(K, dtype=dh.dtype)[states]  # (M, N, K)
    return np.tensordot(hot, dh.sum(1), (0, 0))


# %% right 16.3
def table_gradient(dh, states, K):
    latents = range(states.shape[1])
    return np.array(
        [
            [dh[states[:, n] == k].sum((0, 1)) for k in range(K)]
            for n in latents
        ]
    )


# %% wrong 16.3: a category that several states have gets the sum
def table_gradient(dh, states, K):
    table = np.zeros((states.shape[1], K, dh.shape[2]), dh.dtype)
    for n in range(states.shape[1]):
        table[n][states[:, n]] += dh.sum(1)
    return table


# %% wrong 16.3: its row is added to each
def table_gradient(dh, states, K):
    hot = np.eye(K)[states]  # (M, N, K)
    total = np.einsum("mnk,mbh->nkh", hot, dh)
    return total / np.maximum(hot.sum(0), 1)[..., None]


# %% wrong 16.3: the first latent's categories
def table_gradient(dh, states, K):
    hot = np.eye(K)[states[:, [0] * states.shape[1]]]
    return np.einsum("mnk,mbh->nkh", hot, dh)


# %% wrong 16.3: a mean where a sum is due
def table_gradient(dh, states, K):
    table = np.zeros((states.shape[1], K, dh.shape[2]), dh.dtype)
    for n in range(states.shape[1]):
        np.add.at(table[n], states[:, n], dh.mean(1))
    return table


# %% [markdown] written 16.W: 3 points
# ## 16.W In words: an encoder that does not see the image
#
# A student gives the encoder only the context, $q(z \mid c)$ in place of $q(z \mid x, c)$. *The bound holds for any $q$. And the prior can now guess the code
# perfectly, so I pay no KL.*
#
# (a) Is it right that the bound holds, and that the KL can be zero? Let the KL be zero. Take all $x$ that belong to one context, and write $F(z)$ for the
# mean of $-\log p(x \mid c, z)$ over them. Show that a model *without* a latent reaches at least as low a loss.
#
# (b) One context, two pixels, and two completions that are equally frequent: both pixels on, or both off. What is the least loss of the student's model? What
# is the least loss with an encoder that sees $x$, and how is it shared between reconstruction and KL? What is $-\log p(x \mid c)$ there? Half a page for
# both.

# %% [markdown] model 16.W
# (a) Both are right. The inequality of section 2 holds for every $q(z)$, so for one that ignores $x$. And if $p(z \mid c) = q(z \mid c)$, the KL is zero.
# Then the mean loss of this context is $\sum_z q(z \mid c)\, F(z)$, an average of the numbers $F(z)$. It is never below the least of them. Let $z^{\ast}$ be
# the code with the least $F$. A decoder that always paints the picture of $z^{\ast}$ (another one for every context) has no latent, and the loss
# $F(z^{\ast})$. So the student's latent gains nothing.
#
# (b) By (a) the student's best loss is that of one picture. If the pixels are on with probabilities $a$ and $b$, its mean loss is
# $-\frac{1}{2} \log (a b) - \frac{1}{2} \log \bigl((1 - a)(1 - b)\bigr)$. It is least at $a = b = \frac{1}{2}$: $2 \log 2 = 1.39$ nats, a grey picture. An
# encoder that sees $x$ names the completion by one of two codes. The decoder paints it surely: the reconstruction costs 0. The prior is $\frac{1}{2}$ for
# each code, so the KL is $\log 2$. The loss is $\log 2 = 0.69$ nats. It is $-\log p(x \mid c)$ exactly, as $p(x \mid c) = \frac{1}{2}$: the encoder is the
# posterior, and the gap is zero. So the KL is the price of saying which one, and it pays for itself.
#
# *Marks:* 1 for the bound and the zero KL; 1 for the average that is not below its least term; 1 for the two losses in (b), with their parts.
