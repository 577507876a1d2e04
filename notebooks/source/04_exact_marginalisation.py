# %% [markdown]
# # 04 Exact marginalisation
#
# **Question.** The mean of $f$ over the codes is a finite sum. When can we simply add it up, and what does that cost?
#
# **After this lesson you can**
# - write the expectation, its gradient, the log-likelihood and the posterior as sums over joint states,
# - say why the cost is $K^N$ decodes and not $B K^N$, and compute the likelihoods of all pairs of state and example by one matrix product,
# - stream the states in blocks, so that the memory does not grow with their number,
# - feed a code into a decoder in three ways, and split the first layer so that nothing is computed twice.
#
# *Needs:* lessons 01 to 03. *Takes:* 70 minutes to read and run, 110 minutes for the exercises. Everything is in nats.

# %% setup
import itertools

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    Independent,
    InputError,
    Model,
    bernoulli,
    decoder,
    decoder_parameters,
    exact,
    joint_states,
    reconstruction,
    records,
    softmax,
    softplus,
)
from dvae_np.check import comparison, complex_step
from dvae_np.experiments import first_model
from dvae_np.figures import first_models
from dvae_np.figures.lesson_04 import measured
from dvae_np.lesson import confirm, figure, picture, say, show
from dvae_np.networks import scaled
from dvae_np.train import evaluate, load

rng = np.random.default_rng(4)
B, N, K, D = 5, 2, 3, 7  # examples, latents, categories, pixels
M = K**N  # joint states
x = (rng.random((B, D)) < 0.4).astype(float)  # (B, D)
params = dvae_np.parameters(rng, D, N, K, hidden=(4,), dtype=np.float64)
# times 5, as an untrained encoder's q is nearly uniform
logits = 5 * dvae_np.encoder(params["psi"], x)[0]  # (B, N, K)
f = reconstruction(params["theta"], x)  # f(z) = -log p(x|z)

# %% [markdown]
# ## 1 The sum
#
# Lesson 00 had one latent of twenty categories. It computed the costs of *all* twenty and averaged them with the weights $q$. That is *exact marginalisation*: to *marginalise* a variable is to sum over all of its values, weighted by their probabilities. Here is its model after 60 steps, with value and gradient of $\mathbb{E}_q[f]$ in two lines. The library's `exact` gives the same:

# %% [markdown] slide
# ## Lesson 00 has done it already
#
# One latent of twenty categories: decode all twenty, and average with the weights $q$.
#
# ```python
# value = (q_one * f_one).sum(1)
# dlogits = q_one * (f_one - value[:, None])
# ```
#
# This is *exact marginalisation*. With $N$ latents of $K$ categories a code has $M = K^N$ values, its *joint states*:
#
# [Eq. 4.1]
#
# Nothing is drawn.

# %%
images = load("digits").train.x.astype(float)
W, b_one, A = first_model.train(
    "exact", images, seed=0, rate=0.03, steps=60
)
q_one = softmax(images @ W + b_one)[0]  # (images, 20)
f_one = np.logaddexp(0, A).sum(1) - images @ A.T  # (images, 20)

value = (q_one * f_one).sum(1)
dlogits = q_one * (f_one - value[:, None])

f_of_codes = reconstruction(
    {"table": A[None], "bias": np.zeros(64)}, images
)
estimate = exact((images @ W + b_one)[:, None], f_of_codes)
assert np.allclose(estimate.value, value)
assert np.allclose(estimate.dlogits[:, 0], dlogits)

# %% [markdown]
# With N latents of K categories a code has $M = K^N$ values, its *joint states*. The mean of $f$ is a sum over all of them:
#
# $$\mathbb{E}_q[f] = \sum_z q(z)\, f(z) . \tag{4.1}$$
#
# The probability of a state is a product, $q(z) = \prod_n q_{n z_n}$ [Eq. 2.3]. As a loop:

# %%
q = softmax(logits)[0]  # (B, N, K)
by_hand = np.zeros(B)
for b in range(B):
    for state in itertools.product(range(K), repeat=N):
        probability = np.prod([q[b, n, state[n]] for n in range(N)])
        by_hand[b] += probability * f(np.array(state)[None, None])[0][0, b]
estimate = exact(logits, f)
confirm("4.1", estimate.value, by_hand)

# %% [markdown]
# To work with arrays we need the states as a list. Write the numbers $0, \ldots, M - 1$ in base K: the digits of a number are the categories of its state. With the
# latents numbered from 1 to N, the last digit changes fastest:
#
# $$m = \sum_n z_n K^{N - n} . \tag{4.2}$$

# %% [markdown] slide
# ## A list of all states
#
# Count in base $K$. The digits of a number are the categories of its state:
#
# [Eq. 4.2]
#
# For $N = 2$, $K = 3$:
#
# [output]

# %%
states = joint_states(N, K)  # (M, N)
print(states.tolist())
confirm("4.2", states, list(itertools.product(range(K), repeat=N)))
confirm(
    "4.2",
    [
        sum(z * K ** (N - n) for n, z in enumerate(state, 1))
        for state in states
    ],
    np.arange(M),
)
# any piece of the list, without the rest
confirm("4.2", joint_states(N, K, 4, 7), states[4:7])
show(joint_states)

# %% [markdown]
# Now $q(z)$ and $f(z)$ are tables with one entry for each pair of state and example. The picture shows them for the first example. As N is 2, the nine states fit into a square.

# %% [markdown] slide
# ## Two tables, and the sum of their products
#
# [picture]
#
# The nine states of two latents, for one image. The probability of a state is a product, $q(z) = \prod_n q_{n z_n}$.

# %%
# for each state and latent, look up the probability of its category
q_of_states = q[:, np.arange(N), states].prod(-1).T  # (M, B)
pairs = np.broadcast_to(states[:, None], (M, B, N))
fz = f(pairs)[0]  # (M, B)
confirm("4.1", (q_of_states * fz).sum(0), by_hand)

tables = {"q(z)": q_of_states, "f(z)": fz, "q(z) f(z)": q_of_states * fz}
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.7), layout="constrained")
for ax, (name, each) in zip(axes, tables.items(), strict=True):
    square = each[:, 0].reshape(K, K)  # the first example
    ax.imshow(square, cmap="Greys", vmin=0, vmax=1.8 * square.max())
    for z in np.ndindex(K, K):
        ax.text(z[1], z[0], f"{square[z]:.2f}", ha="center", va="center")
    total = "" if name == "f(z)" else f"  (sum {square.sum():.2f})"
    ax.set(title=name, xlabel=f"$z_2${total}")
    ax.set(ylabel="$z_1$", xticks=range(K), yticks=range(K))
picture(
    fig,
    "Three 3 by 3 tables of the joint states: weights q(z) that add up to "
    "one, values f(z), and their products, whose sum is the mean of f.",
)

# %% [markdown]
# ## 2 Its gradients
#
# Nothing is drawn, so we can differentiate. In the logits, with $\nabla q = q\, \nabla \log q$ and the score of [Eq. 2.4]:
#
# $$\nabla_{\ell} \sum_z q(z) f(z) = \sum_z f(z)\, \nabla_{\ell}\, q(z) = \sum_z f(z)\, q(z)\, \nabla_{\ell} \log q(z) ,$$
#
# $$\nabla_{\ell}\, \mathbb{E}_q[f] = \sum_z q(z)\, f(z) \bigl(\mathrm{onehot}(z) - q\bigr) . \tag{4.3}$$
#
# For a single latent this is $q_k (f_k - \mathbb{E}_q f)$, as in section 1: a category gains if it is better than the mean. In the parameters $\theta$ of $f$ the
# probabilities are only weights:
#
# $$\nabla_{\theta}\, \mathbb{E}_q[f] = \sum_z q(z)\, \nabla_{\theta} f(z) . \tag{4.4}$$
#
# In the program, $f$'s backward gets $q(z)$ as the cotangent of $f(z)$: one call for all states. (For Eq. 4.3 it is the other way round: the cotangent of $q(z)$ is $f(z)$.)


# %% [markdown] slide
# ## The gradients of the sum
#
# In the logits, with $\nabla q = q\, \nabla \log q$:
#
# [Eq. 4.3]
#
# In the parameters of $f$ the probabilities are only weights:
#
# [Eq. 4.4]
#
# - No variance. Where it is affordable, it is the method of choice.
# - Elsewhere it judges the others, on smaller problems.


# %%
def exact_by_hand(logits, f):
    q = softmax(logits)[0]
    q_of_states = q[:, np.arange(N), states].prod(-1).T  # (M, B)
    fz, backward = f(pairs)  # (M, B)
    score = np.eye(K)[states][:, None] - q  # (M, B, N, K)
    dlogits = ((q_of_states * fz)[..., None, None] * score).sum(0)
    return (q_of_states * fz).sum(0), dlogits, backward(q_of_states)[1]


value, dlogits, dtheta = exact_by_hand(logits, f)
confirm("4.1", value, by_hand)

# %% [markdown]
# To judge these gradients we write the sum once more, as plainly as possible, and take the complex step:


# %%
def expectation_of(arrays):
    """E_q[f], summed over the batch; arrays: the logits and theta."""
    q = np.exp(arrays["logits"])
    q = q / q.sum(-1, keepdims=True)
    theta = {name: arrays[name] for name in params["theta"]}
    total = 0
    for state in states:
        of_state = q[:, np.arange(N), state].prod(-1)  # (B,)
        f_of_state = reconstruction(theta, x)(state[None, None])[0][0]
        total = total + (of_state * f_of_state).sum()
    return total


numeric = complex_step(expectation_of, {"logits": logits} | params["theta"])
confirm("4.3", dlogits, numeric["logits"])
confirm("4.3", estimate.dlogits, numeric["logits"])
for name in params["theta"]:
    confirm("4.4", dtheta[name], numeric[name])
    confirm("4.4", estimate.dtheta[name], numeric[name])
show(exact, Independent.probability)

# %% [markdown]
# (In the library's source, `Additive` and `Chain` belong to the structured latents of lesson 20.) This "estimator" has no variance. Where it is affordable it is the method of choice. Elsewhere it judges the
# others, on smaller problems: every bias and variance in this course is measured against it.
#
# ## 3 Log-likelihood and posterior
#
# The same visit to all states gives what an ELBO only bounds:
#
# $$\log p(x) = \log \sum_z p(z)\, p(x \mid z) . \tag{4.5}$$
#
# The posterior is each term's share of that sum, $p(z \mid x) = p(z)\, p(x \mid z) / p(x)$. Two details matter. First, for an image of 784 pixels
# $p(x \mid z)$ may be $e^{-1000}$, which is 0 in a computer. So the largest exponent is taken out before we exponentiate (*log-sum-exp*). For any numbers $v_z$,
#
# $$\log \sum_z e^{v_z} = v_{\max} + \log \sum_z e^{v_z - v_{\max}} .$$
#
# Second, the states come in blocks. Two partial sums are joined by the same formula, so only one block is in memory, never the whole (M, B) table.


# %% [markdown] slide
# ## The log-likelihood, too
#
# The same visit to all states gives what an ELBO only bounds:
#
# [Eq. 4.5]
#
# $p(x \mid z)$ may be $e^{-1000}$, which is 0 in a computer. So the largest exponent is taken out first:
#
# $$\log \sum_z e^{v_z} = v_{\max} + \log \sum_z e^{v_z - v_{\max}}$$
#
# The states come in blocks. The memory does not grow with their number.


# %%
def my_log_evidence(f, p, block=4):
    """log sum_z p(z) e^-f(z), (B,): one block of states at a time."""
    total = -np.inf
    for start in range(0, M, block):
        z = joint_states(N, K, start, min(start + block, M))  # (m, N)
        log_p = np.log(p[np.arange(N), z]).sum(-1)  # (m,)
        piece = log_p[:, None] - f(np.repeat(z[:, None], B, 1))[0]
        top = np.maximum(total, piece.max(0))  # (B,)
        total = top + np.log(
            np.exp(total - top) + np.exp(piece - top).sum(0)
        )
    return total


# a prior that is not uniform
learned = params | {"phi": {"logits": rng.standard_normal((N, K))}}
p = softmax(learned["phi"]["logits"])[0]  # (N, K)
log_prior = np.log(p[np.arange(N), states]).sum(-1)  # (M,)
evidence = sum(np.exp(log_prior[m]) * np.exp(-fz[m]) for m in range(M))
worth = evaluate(learned, x, model=Model(prior="learned"))
confirm("4.5", worth.log_likelihood, np.log(evidence).mean())
confirm("4.5", my_log_evidence(f, p), np.log(evidence))
print(
    f"log p(x) {worth.log_likelihood:.4f}, negative ELBO "
    f"{worth.negative_elbo:.4f} nats; {worth.method}"
)
# the part of `evaluate` that does the sums
from dvae_np.train.evaluation import _visited

show(_visited)

# %% [markdown]
# ## 4 What it costs
#
# The sum has $K^N$ terms, and this is the whole problem of the course:
#
# | | N = 1 | N = 2 | N = 4 | N = 8 | N = 20 |
# |---|---|---|---|---|---|
# | K = 2 | 2 | 4 | 16 | 256 | 1,048,576 |
# | K = 8 | 8 | 64 | 4,096 | 16,777,216 | $1.2 \cdot 10^{18}$ |
# | K = 64 | 64 | 4,096 | 16,777,216 | $2.8 \cdot 10^{14}$ | $1.3 \cdot 10^{36}$ |
#
# With *one* latent even thousands of categories are few. With twenty latents of eight, no computer is fast enough. The library refuses long before that, and
# says what it would cost:

# %% [markdown] slide
# ## What it costs: $K^N$ terms
#
# ||N = 1|N = 2|N = 4|N = 8|N = 20|
# |---|---|---|---|---|---|
# |K = 2|2|4|16|256|1,048,576|
# |K = 8|8|64|4,096|16,777,216|$1.2 \cdot 10^{18}$|
# |K = 64|64|4,096|16,777,216|$2.8 \cdot 10^{14}$|$1.3 \cdot 10^{36}$|
#
# With twenty latents of eight no computer is fast enough. The library refuses long before:
#
# [output]
#
# *Question: the decoder sees only $z$. With $B$ images and $M$ states, how many decodes are needed?*

# %%
try:
    exact(np.zeros((100, 12, 8)), f)
except InputError as error:
    say(error)

# %% [markdown]
# ## 5 Each state once
#
# Our program so far decodes every state for every example, as is usual: $B K^N$ decodes, and $B K^N$ images in memory. But a decoder that sees only
# $z$ returns the same $a$ for all examples. So decode the M states *once*. Only the likelihood depends on state and example; for Bernoulli pixels, with the softplus $\zeta$ [Eq. 3.7],
#
# $$f_{mb} = \sum_d \zeta(a_{md}) - \sum_d a_{md}\, x_{bd} . \tag{4.6}$$
#
# The first sum does not depend on $b$. The second is an entry of a matrix product: let $A$, (M, D), hold the pixel logits of all states and $X$, (B, D), all images; it is $A X^{\top}$. No array of size M x B x D is made.
#
# Backward, let $w_{mb}$ be the cotangent of $f_{mb}$ (here $q(z_m \mid x_b)$). By [Eq. 3.8] $da_{md} = \sum_b w_{mb} (\sigma(a_{md}) - x_{bd})$. This sum splits
# too: $\sigma(a_{md}) \sum_b w_{mb} - (w X)_{md}$, again one matrix product.
#
# In this package the states have a batch axis of size 1, (M, 1, N). The decoder keeps it, and the likelihood recognises it:

# %% [markdown] slide
# ## Each state once
#
# The decoder returns the same $a$ for all examples. So decode the $M$ states once, not $B M$ times. Only the likelihood depends on both:
#
# [Eq. 4.6]
#
# - The first sum does not depend on $b$.
# - The second is an entry of one matrix product, $A X^{\top}$: all states times all images.
# - The backward is one matrix product, too.

# %%
once, _ = decoder(params["theta"], states[:, None])  # (M, 1, D)
every, _ = decoder(params["theta"], pairs)  # (M, B, D)
value, backward = bernoulli(once, x)
a = once[:, 0]  # (M, D)
confirm("4.6", value, np.log(1 + np.exp(a)).sum(1)[:, None] - a @ x.T)
confirm("4.6", value, (np.log(1 + np.exp(every)) - x * every).sum(-1))

weights = rng.random((M, B))
da, _ = backward(weights)
by_hand = weights.sum(1)[:, None] / (1 + np.exp(-a)) - weights @ x
confirm("4.6", da[:, 0], by_hand)
every_pair = weights[..., None] * (1 / (1 + np.exp(-every)) - x)
confirm("4.6", da[:, 0], every_pair.sum(1))
print("decoded:    ", once.shape, "instead of", every.shape)
print("likelihoods:", value.shape)

# %% [markdown]
# The same holds for real and for grey pixels: a squared distance is two sums and a product, $\lVert x \rVert^2 / 2 + \lVert a \rVert^2 / 2 - \langle a, x \rangle$,
# and a categorical pixel looks up one of V numbers, which is a product with one-hot rows.
#
# ## 6 The cost, measured
#
# Left: value and gradients for one latent of K categories, 256 examples of 784 pixels, a decoder with hidden layers of 256 and 512,
# measured by `python -m dvae_np bench`. *Every pair* decodes every state for every example. Pyro enumerates by its own loss, `TraceEnum_ELBO`. *Bare* is only the matrix products that cannot be avoided. Right: the number of states $K^N$ against N. Lower line: the largest case measured on the left.
# Above the upper line, `exact` raises an error. The table compares all programs with `exact`, also PyTorch and JAX written as in section 5, each state once.

# %% [markdown] slide
# ## The cost, measured
#
# [picture]
#
# With $K = {{lines[2]["K"]:d}}$, NumPy takes {{lines[2]["NumPy, every pair"] / lines[2]["dvae_np"]:.0f}} times as long if it decodes every pair. Each state once, PyTorch and JAX take {{fair[0]:.1f}} to {{fair[-1]:.1f}} times as long as this package.

# %%
figure("exact_cost.png")
record, lines = measured()
every_ways = ("NumPy, every pair", "PyTorch", "Pyro")
once_ways = ("PyTorch, each state once", "JAX, each state once")
fair = sorted(
    line[name] / line["dvae_np"] for line in lines for name in once_ways
)
say(f"measured on: {record['machine']}")
print(f"\n{'categories K':26}", *(f"{line['K']:7}" for line in lines))
print(f"{'exact, milliseconds':26}",
      *(f"{line['dvae_np']:7.1f}" for line in lines))  # fmt: skip
print("times as long as exact:")
for name in ("bare products", *once_ways, *every_ways):
    ratios = [
        f"{line[name] / line['dvae_np']:.3g}" if name in line else ""
        for line in lines
    ]
    own = name if ", " in name or "bare" in name else f"{name}, every pair"
    print(f"  {own:24}", *(f"{ratio:>7}" for ratio in ratios))

# %% [markdown]
# Two things to see. Decoding each state once makes thousands of categories affordable; decoding every pair, only tens. This is not a merit of NumPy: written the same way, PyTorch and JAX take {{fair[0]:.1f}} to {{fair[-1]:.1f}} times as long as this package. And the cost is near that of bare matrix products. So no cleverer program can save much; only fewer states can.
#
# ## 7 How a code enters the decoder
#
# The first layer of a decoder takes $z$, and perhaps a context $c$ (lesson 16). There are three ways. In all of them a product with a one-hot row is a look-up.
#
# **Embedding.** With no context, the first layer is $b + \sum_n E_{n z_n}$, one row of a table for each latent [Eq. 1.7]. With a context, one usually joins $c$ and the one-hot $z$ to one row and multiplies by a matrix $W$. *Split this layer*: cut $W$ into the rows that meet $c$ and those that
# meet $z$, and the product is a sum of two:
#
# $$[c, z]\, W + b = (c\, W_c + b) + z\, W_z . \tag{4.7}$$
#
# The first part is computed once for each example, the second once for each state. Only their sum has B x M rows. (What follows is not linear,
# and must be computed for every pair: with a context, [Eq. 4.6] does not apply.)
#
# **Concatenation.** Each latent has a short row $e_n$ of U numbers, from a table $E_n$ (K, U). The rows stand side by side, and a matrix W (N U, H) mixes them:
#
# $$(e_1, \ldots, e_N)\, W \quad \text{with} \quad e_n = \sum_k z_{nk}\, E_{nk} . \tag{4.8}$$
#
# It equals an embedding with the rows $E_{nk} W_n$, where $W_n$ is the part of W that meets $e_n$. It stores fewer numbers if U is small: N K U + N U H instead of N K H. With N = 2, K = 512, H = 256 and
# U = 128 there are 196,608 instead of 262,144.
#
# **FiLM.** The code shifts the context's features and also scales them, with two tables $\gamma$ and $\delta$:
#
# $$\bigl(1 + \gamma(z)\bigr) \odot (c\, W_c + b) + \delta(z) . \tag{4.9}$$
#
# So $z$ and $c$ interact in the first layer already. Because of the 1, tables of zeros leave the context as it is.

# %% [markdown] slide
# ## Split the first layer
#
# With a context $c$ one usually joins $c$ and the one-hot $z$ and multiplies by one matrix. Cut the matrix in two:
#
# [Eq. 4.7]
#
# - The first part is computed once for each example.
# - The second part is computed once for each state, and is a look-up.
# - Only their sum has $B M$ rows.

# %%
# the context's size, and the first layer's; without hidden layers that
# layer is the output
C, H = 6, 8
c = rng.standard_normal((B, C))
z = states[:, None]  # (M, 1, N): shared by the batch
one_hots = np.eye(K)[states].reshape(M, N * K)
theta = {
    name: decoder_parameters(rng, N, K, (), H, np.float64, C, name)
    for name in ("embedding", "concatenation", "film")
}


def pairs_of(rule):
    """rule(m, b) for every state and example: (M, B, H)."""
    return np.array([[rule(m, b) for b in range(B)] for m in range(M)])


own = theta["embedding"]
# (C + N K, H)
glued = np.concatenate([own["context"], own["table"].reshape(N * K, H)])
plain = pairs_of(
    lambda m, b: np.concatenate([c[b], one_hots[m]]) @ glued + own["bias"]
)
confirm("4.7", decoder(own, z, c)[0], plain)

# %% [markdown] slide
# ## Three ways into the decoder
#
# - **Embedding**: one row of a table for each latent, added up [Eq. 4.7].
# - **Concatenation**: short rows side by side, and a matrix that mixes them. Fewer numbers are stored if the rows are short.
#
# [Eq. 4.8]
#
# - **FiLM**: the code shifts the context's features and scales them.
#
# [Eq. 4.9]

# %%
own = theta["concatenation"]
# (M, N U)
side_by_side = np.array(
    [
        np.concatenate([own["table"][n, state[n]] for n in range(N)])
        for state in states
    ]
)
plain = pairs_of(
    lambda m, b: (
        side_by_side[m] @ own["mix"] + c[b] @ own["context"] + own["bias"]
    )
)
confirm("4.8", decoder(own, z, c, interface="concatenation")[0], plain)

# %%
own = theta["film"]
# (M, H)
scale, shift = (
    one_hots @ own[name].reshape(N * K, H) for name in ("scale", "table")
)
plain = pairs_of(
    lambda m, b: (
        (1 + scale[m]) * (c[b] @ own["context"] + own["bias"]) + shift[m]
    )
)
confirm("4.9", decoder(own, z, c, interface="film")[0], plain)
show(decoder, scaled)  # embedding and concatenation join in a line each

# %% [markdown]
# The backward passes of every table, matrix and bias:

# %%
for name, number in (
    ("embedding", "4.7"),
    ("concatenation", "4.8"),
    ("film", "4.9"),
):
    decode = lambda arrays, name=name: decoder(arrays, z, c, interface=name)
    a, backward = decode(theta[name])  # (M, B, H)
    cotangent = rng.standard_normal(a.shape)
    numeric = complex_step(
        lambda arrays, g=cotangent, decode=decode: (
            g * decode(arrays)[0]
        ).sum(),
        theta[name],
    )
    print(name, {key: array.shape for key, array in theta[name].items()})
    for key, gradient in backward(cotangent)[1].items():
        confirm(number, gradient, numeric[key])

# %% [markdown]
# ## 8 What it buys
#
# The model of lesson 00 again, trained with the exact gradient. Its one line is `dlogits = q * (cost - loss) / B`, where `loss` is the sum over all codes. The record holds 600 steps for three seeds; the 60 steps of section 1 are the beginning of its first seed. The picture is that of lesson 00; later lessons add lines to it.

# %% [markdown] slide
# ## What it buys: the model of lesson 00
#
# ```python
# dlogits = q * (cost - loss) / B  # loss: the sum over all codes
# ```
#
# [picture]
#
# The exact gradient ends at {{np.median(final):.1f}} nats, no derivative at {{np.median(without):.1f}}. The next lessons draw a few codes, and are measured against the first number.

# %%
first = records.read("first-model")
figure(
    first_models,
    first,
    first_model.taught(4),
    size=(7.4, 3.4),
    alt="Test loss against steps: it stays high without a derivative of "
    "the draw, and falls with the exact gradient.",
)
found = first["estimators"]["exact"]
final = [curve[-1] for curve in found["test"]]
without = [
    curve[-1] for curve in first["estimators"]["no derivative"]["test"]
]
test = load("digits").test.x.astype(float)
live = first_model.negative_elbo((W, b_one, A), test)
kept = found["test"][0][first["steps"].index(60)]
print(f"after 60 steps: {live:.2f} nats here, {kept:.2f} in the record")
show(first_model.train)

# %% [markdown]
# Exact marginalisation ends at {{np.median(final):.2f}} nats (three seeds: {{min(final):.2f}} to {{max(final):.2f}}; step size {{found["rate"]:.2f}}). Without a derivative of the draw it is {{np.median(without):.2f}}. The next lessons do not sum over the twenty codes; they draw a few of them. They are measured against the first of these numbers.
#
# ## 9 Break it
#
# The KL counted twice, and the KL left out: both train without an error. A gradient check passes, because the gradients belong to the values. The
# identity of [Eq. 3.1] finds both mistakes. It needs $\log p(x)$ and the posterior, which we now have. We take the model of section 1:

# %% [markdown] slide
# ## Break it
#
# The KL counted twice, or left out. Both train without an error, and a gradient check passes. The identity of Eq. 3.1 finds them:
#
# [output]

# %%
log_joint = -np.log(20) - f_one  # (images, 20), with the uniform prior
log_evidence = np.log(np.exp(log_joint).sum(1))
log_q = np.log(q_one)
# KL(q || posterior)
gap = (q_one * (log_q - log_joint + log_evidence[:, None])).sum(1)
distortion = (q_one * f_one).sum(1)
rate = (q_one * (log_q + np.log(20))).sum(1)
for times in (1, 2, 0):
    claimed = distortion + times * rate
    verdict = comparison("negative ELBO", claimed, gap - log_evidence)
    say(f"KL counted {times} times: {claimed.mean():.2f} nats; {verdict}")

# %% [markdown]
# ## Reading
#
# - D. Kingma, D. Rezende, S. Mohamed, M. Welling, *Semi-supervised learning with deep generative models*, 2014: a class label marginalised exactly.
# - J. Tomczak, *Deep Generative Modeling*, 2022: latent variables and likelihoods, from the start.
# - E. Perez and others, *FiLM: visual reasoning with a general conditioning layer*, 2018: scale and shift.
# - M. Titsias, M. Lázaro-Gredilla, *Local expectation gradients*, 2015: exact sums over one latent at a time (lesson 12).
#
# Next: [05 Monte Carlo and the score function](05_score_function.ipynb), for when the sum is too long.

# %% [markdown] exercise 04.1: 1 point
# ## 04.1 Implement: exact, for one latent
#
# Write `my_exact(logits, fz)`: `logits` (B, K) of one latent, `fz` (B, K) the values of $f$ for each category; return the gradient (B, K) of
# $\sum_b \mathbb{E}_q[f_b]$ in the logits. About 2 lines. For logits of 0 and `fz` of $(1, 3)$ you should get $(-0.5, 0.5)$.


# %% solution 04.1
def my_exact(logits, fz):
    """The gradient of sum_k q_k f_k in the logits."""
    ### BEGIN SOLUTION
    q = softmax(logits)[0]
    return q * (fz - (q * fz).sum(-1, keepdims=True))
    ### END SOLUTION


# %% check 04.1
from dvae_np.lesson import judge

judge("04.1", my_exact)


# %% right 04.1
def my_exact(logits, fz):
    gradient = np.empty_like(logits)
    for b in range(len(logits)):
        q = np.exp(logits[b]) / np.exp(logits[b]).sum()
        gradient[b] = (np.diag(q) - np.outer(q, q)) @ fz[b]
    return gradient


# %% wrong 04.1: the second term of the softmax Jacobian
def my_exact(logits, fz):
    return softmax(logits)[0] * fz


# %% wrong 04.1: the mean is to be taken under q
def my_exact(logits, fz):
    return softmax(logits)[0] * (fz - fz.mean(-1, keepdims=True))


# %% wrong 04.1: a mean where a sum is due
def my_exact(logits, fz):
    q = softmax(logits)[0]
    return q * (fz - (q * fz).sum(-1, keepdims=True)) / len(fz)


# %% [markdown] exercise 04.2: 3 points
# ## 04.2 Implement: all pairs by one product
#
# Write the op `fz, backward = all_pairs(a, x)`: pixel logits `a` (M, D) of the states, binary `x` (B, D); `fz` is (M, B) as in [Eq. 4.6]. `backward(dfz)`,
# with `dfz` (M, B), returns `(da, None)`, `da` (M, D). Make no array of three axes. `softplus(a)` returns the pair of its value and its backward, whose
# factor is $\sigma(a)$. About 5 lines. For `a` of zeros each entry of `fz` is $D \log 2$.


# %% solution 04.2
def all_pairs(a, x):
    """-log p(x_b | z_m) for every state m and example b."""
    ### BEGIN SOLUTION
    partition, softplus_backward = softplus(a)
    fz = partition.sum(-1, keepdims=True) - a @ x.T

    def backward(dfz):
        return softplus_backward(dfz.sum(1, keepdims=True)) - dfz @ x, None

    return fz, backward
    ### END SOLUTION


# %% check 04.2
from dvae_np.lesson import judge

judge("04.2", all_pairs)


# %% right 04.2
def all_pairs(a, x):
    from scipy.special import expit

    fz = np.logaddexp(0, a).sum(1)[:, None] - np.einsum("md,bd->mb", a, x)
    return fz, lambda dfz: (
        expit(a) * dfz.sum(1)[:, None] - np.einsum("mb,bd->md", dfz, x),
        None,
    )


# %% wrong 04.2: is there an array of too many axes
def all_pairs(a, x):
    each = np.log1p(np.exp(a))[:, None] - a[:, None] * x  # (M, B, D)
    return each.sum(-1), lambda dfz: (
        (dfz[..., None] * (1 / (1 + np.exp(-a))[:, None] - x)).sum(1),
        None,
    )


# %% wrong 04.2: the sigmoid counts with the sum of dfz
def all_pairs(a, x):
    partition, softplus_backward = softplus(a)
    fz = partition.sum(-1, keepdims=True) - a @ x.T
    return fz, lambda dfz: (softplus_backward(1.0) - dfz @ x, None)


# %% wrong 04.2: every example adds its own
def all_pairs(a, x):
    partition, softplus_backward = softplus(a)
    fz = partition.sum(-1, keepdims=True) - a @ x.T
    return fz, lambda dfz: (
        softplus_backward(dfz.mean(1, keepdims=True)) - dfz @ x,
        None,
    )


# %% wrong 04.2: shape (5, 4), expected (4, 5)
def all_pairs(a, x):
    return softplus(a)[0].sum(-1) - x @ a.T, lambda dfz: (dfz, None)


# %% [markdown] exercise 04.3: 1 point
# ## 04.3 Find the bug: a likelihood of minus infinity
#
# `log_joint` (M, B) holds $\log p(z) + \log p(x \mid z)$. The line that adds it up works for small images. For large ones all the
# terms underflow, and it returns $-\infty$. Correct it: return $\log p(x)$ (B,). About 2 lines. For two states of $-1000$ nats each you should get $-999.307$.
# As it was:
#
# ```python
# return np.log(np.exp(log_joint).sum(0))
# ```


# %% solution 04.3
def log_evidence_of(log_joint):
    """log sum over the states of e^log_joint."""
    ### BEGIN SOLUTION
    top = log_joint.max(0)
    return top + np.log(np.exp(log_joint - top).sum(0))
    ### END SOLUTION


# %% check 04.3
from dvae_np.lesson import judge

judge("04.3", log_evidence_of)


# %% right 04.3
def log_evidence_of(log_joint):
    from scipy.special import logsumexp

    return logsumexp(log_joint, axis=0)


# %% wrong 04.3: yours is
def log_evidence_of(log_joint):
    return np.log(np.exp(log_joint).sum(0))


# %% wrong 04.3: add it back
def log_evidence_of(log_joint):
    return np.log(np.exp(log_joint - log_joint.max(0)).sum(0))


# %% wrong 04.3: the largest term alone
def log_evidence_of(log_joint):
    return log_joint.max(0)


# %% [markdown] exercise 04.4: 2 points
# ## 04.4 Derive: the gradient of the log-likelihood itself
#
# If all states can be visited, the decoder can be trained on $-\log p(x)$ directly, without an encoder. Differentiate [Eq. 4.5] in $\theta$: the result has the form
# $\sum_z w(z)\, \nabla_{\theta} f(z)$ with $f = -\log p(x \mid z)$. Which weights? Given `fz` (M, B) and `log_prior` (M,), return w (M, B), the cotangent of `fz`. About 2 lines.
# For `fz` of 1 and 2 nats and a uniform prior of two states: {{two_weights[0]:.3f}} and {{two_weights[1]:.3f}}.


# %% given 04.4
two_weights = np.exp([-1.0, -2.0]) / np.exp([-1.0, -2.0]).sum()


# %% solution 04.4
def cotangent_of(fz, log_prior):
    """The gradient of -log p(x) in fz."""
    ### BEGIN SOLUTION
    return softmax((log_prior[:, None] - fz).T)[0].T
    ### END SOLUTION


# %% check 04.4
from dvae_np.lesson import judge

judge("04.4", cotangent_of)


# %% right 04.4
def cotangent_of(fz, log_prior):
    log_joint = log_prior[:, None] - fz
    return np.exp(log_joint - np.logaddexp.reduce(log_joint, axis=0))


# %% wrong 04.4: divide by p(x)
def cotangent_of(fz, log_prior):
    return np.exp(log_prior[:, None] - fz)


# %% wrong 04.4: how well it explains x
def cotangent_of(fz, log_prior):
    return np.exp(log_prior)[:, None] + 0 * fz


# %% wrong 04.4: the states are the first axis
def cotangent_of(fz, log_prior):
    return softmax(log_prior[:, None] - fz)[0]


# %% [markdown] exercise 04.5: 1 point
# ## 04.5 Find the bug: the right numbers in the wrong order
#
# Two latents, `q1` (K,) and `q2` (K,), and `fz` (M,) in the order of `joint_states(2, K)`. The line for the joint probabilities flattens a table whose *columns* are
# the first latent. The probabilities still add up to one, and the loss still goes down, because the encoder adapts to the mistake. Correct it: return $\mathbb{E}_q[f]$, a number. Change one
# line. For $q_1 = (1, 0)$, $q_2 = (0, 1)$ and `fz` of $(0, 1, 2, 3)$ the state is $(0, 1)$, and $f$ is 1.
# As it was:
#
# ```python
# joint = (q1 * q2[:, None]).ravel()
# ```


# %% solution 04.5
def expectation_over_pairs(q1, q2, fz):
    """The mean of f over two latents."""
    ### BEGIN SOLUTION
    joint = (q1[:, None] * q2).ravel()  # the last latent fastest
    ### END SOLUTION
    return joint @ fz


# %% check 04.5
from dvae_np.lesson import judge

judge("04.5", expectation_over_pairs)


# %% right 04.5
def expectation_over_pairs(q1, q2, fz):
    return q1 @ fz.reshape(len(q1), len(q2)) @ q2


# %% wrong 04.5: the first latent fastest
def expectation_over_pairs(q1, q2, fz):
    joint = (q1 * q2[:, None]).ravel()
    return joint @ fz


# %% [markdown] exercise 04.6: 1 point
# ## 04.6 Derive: what is saved
#
# A decoder embeds z into H hidden numbers (a look-up, free) and multiplies by a matrix (H, D). Count multiplications in the forward pass, including those of $\sum_d a_d x_d$.
# *Every pair*: B M decodes, and this sum for each. *Each state once*: M decodes, and this sum for each pair. Return the ratio of the two as a function of
# `B`, `H`, `D` and `M`: a number. 1 line. For B = 256, H = 512, D = 784 and M = 64 it is about {{saving(256, 512, 784, 64):.0f}}.


# %% solution 04.6
def saving(B, H, D, M):
    """Multiplications of every pair, over those of each state once."""
    ### BEGIN SOLUTION
    return (B * M * H * D + B * M * D) / (M * H * D + B * M * D)
    ### END SOLUTION


# %% check 04.6
from dvae_np.lesson import judge

judge("04.6", saving)


# %% right 04.6
def saving(B, H, D, M):
    return B * (H + 1) / (H + B)


# %% wrong 04.6: the sums of all pairs remain
def saving(B, H, D, M):
    return B * M * H * D / (M * H * D)


# %% wrong 04.6: without the sums of the usual way
def saving(B, H, D, M):
    return B * M * H * D / (M * H * D + B * M * D)


# %% [markdown] written 04.W: 3 points
# ## 04.W In words: is the encoder still needed?
#
# All states can be visited. A student trains the decoder on $-\log p(x)$ itself, by the sum over all states, and has no encoder.
#
# (a) Exercise 04.4 finds $\nabla_{\theta} \bigl(-\log p(x)\bigr) = \sum_z p(z \mid x)\, \nabla_{\theta} f(z)$. Now take the negative ELBO, with $q$ held
# fixed at the posterior of the present $\theta$. Show that its gradient in $\theta$ is the same.
#
# (b) The posterior depends on $\theta$, and moves with it. Why may this be ignored in (a)? Use [Eq. 3.1].
#
# (c) The student says: *if all states can be visited, an encoder is superfluous*. What is right in this, and what does it cost? Name one use of the model in
# which an encoder saves work. Half a page in all.

# %% [markdown] model 04.W
# (a) With $q$ held fixed, only $f$ in the negative ELBO depends on $\theta$ (the prior and $\log q$ do not):
# $\nabla_{\theta} \sum_z q(z) f(z) = \sum_z q(z)\, \nabla_{\theta} f(z)$ [Eq. 4.4]. At $q(z) = p(z \mid x)$ this is the gradient of $-\log p(x)$.
#
# (b) By [Eq. 3.1] the negative ELBO is $-\log p(x)$ plus $\mathrm{KL}(q \,\Vert\, p(z \mid x))$. If $q$ moves with the posterior, this KL is zero at every
# $\theta$, and what is left is $-\log p(x)$ itself. If $q$ is held, the KL is zero at the present $\theta$ and nowhere negative. So it has a minimum there,
# and its gradient in $\theta$ is zero. Both ways give the same gradient.
#
# (c) For training and for $\log p(x)$ it is right. The posterior is a softmax of $\log p(z) - f(z)$, and there is no gap: a factorised encoder can only be
# worse. The cost is a sum over all states: $M$ decodes for a batch, and $M B$ likelihoods. They must be paid after training too. To find the code of one new
# image, the student needs all $M$ likelihoods. An encoder needs one forward pass. It saves work wherever codes of many images are needed and $\log p(x)$ is
# not, for instance when a data set is stored as codes.
#
# *Marks:* 1 for (a); 1 for the KL that is zero and at its minimum; 1 for what is right in (c), with the cost.
