# %% [markdown]
# # 13 The conditional discrete VAE
#
# **Question.** We do not want to model images, but the *rest* of an image, given a part of it. Where does the given part enter, and what do the
# gradients look like when the prior depends on it?
#
# **After this lesson you can**
# - write the conditional ELBO, and derive it from $\log p(x \mid c)$,
# - say which of the three networks see the context, and send the KL's gradient to both of its sides,
# - decode every pair of example and state without concatenating a single pair,
# - complete digits, compare against the two baselines that matter, and name the trap that a conditional prior sets.
#
# *Needs:* lessons 03 and 04. *Takes:* 45 minutes to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import numpy as np

from dvae_np import (
    TABLE,
    Model,
    decoder,
    encoder,
    joint_states,
    log_prob,
    log_softmax,
    negative_elbo,
    parameters,
    reconstruction,
    softmax,
)
from dvae_np.check import complex_step
from dvae_np.lesson import confirm, figure, show
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
# Call the given part $c$, the context, and the part to predict $x$ (many texts write $y$ for it and $x$ for the context; here $x$ is what is modelled, as
# everywhere in the course). Three things are now conditional. The **prior** guesses the code from the context alone, by a network of its own:
#
# $$p_{\phi}(z \mid c) = \mathrm{softmax}\bigl(\ell_{\phi}(c)\bigr), \tag{13.1}$$
#
# the **decoder** $p_{\theta}(x \mid c, z)$ sees the context and the code, and the **encoder** $q_{\psi}(z \mid x, c)$ sees all there is. The model's probability
# of $x$ is the sum over all codes:
#
# $$p(x \mid c) = \sum_z p_{\phi}(z \mid c)\, p_{\theta}(x \mid c, z) . \tag{13.3}$$
#
# The sum is why there is a latent at all. Without it every pixel is predicted on its own, given $c$, and the prediction of two possible completions is their blurred
# average. With it the model may say: *either* this one, *or* that one.

# %%
show(conditional)
q_of_c, _ = softmax(prior_logits)
# summing out the second latent must leave the first one's softmax
confirm("13.1", np.exp(log_prior).reshape(K, K, B).sum(1), q_of_c[:, 0].T)

# %% [markdown]
# That this is a probability of $x$ can be checked: over all $2^D$ binary images $x$ it must sum to one, for every context. The package's evaluation gives
# the same number by another route, in blocks of states:

# %%
from dvae_np.train import evaluate

# (16, D)
every_x = ((np.arange(2**D)[:, None] >> np.arange(D)) & 1).astype(float)
of_first = evaluate(params, x[:1], c[:1], model=model).log_likelihood
total = sum(
    np.exp(evaluate(params, image[None], c[:1], model=model).log_likelihood)
    for image in every_x
)
confirm("13.3", total, 1.0)
confirm("13.3", of_first, np.log((np.exp(log_prior - fz)[:, 0]).sum()))

# %% [markdown]
# ## 2 The bound
#
# Put any $q(z)$ into the sum. The logarithm is concave, so the logarithm of a mean is at least the mean of the logarithms (Jensen's inequality). With everything given $c$:
#
# $$\log p(x \mid c) = \log \sum_z q(z) \frac{p_{\phi}(z \mid c)\, p_{\theta}(x \mid c, z)}{q(z)} \ge \sum_z q(z) \log \frac{p_{\phi}(z \mid c)\, p_{\theta}(x \mid c, z)}{q(z)} .$$
#
# Split the logarithm, turn the sign, weigh the KL by $\beta$:
#
# $$\mathcal{L} = -\mathbb{E}_{q_{\psi}(z \mid x, c)}\bigl[\log p_{\theta}(x \mid c, z)\bigr] + \beta\, \mathrm{KL}\bigl(q_{\psi}(z \mid x, c) \,\Vert\, p_{\phi}(z \mid c)\bigr) . \tag{13.2}$$
#
# What is lost in the inequality is $\mathrm{KL}(q \,\Vert\, p(z \mid x, c))$, the posterior gap.

# %%
loss = negative_elbo(
    params, x, TABLE["exact"], lambda _: (), c=c, model=model, beta=0.7
)
by_sums = (np.exp(logq) * (fz + 0.7 * (logq - log_prior))).sum(0).mean()
confirm("13.2", loss.value, by_sums)
# p(z|x,c), (M, B)
posterior_of_sum = np.exp(log_softmax((log_prior - fz).T)[0].T)
gap = (np.exp(logq) * (logq - np.log(posterior_of_sum))).sum(0).mean()
exactly = evaluate(params, x, c, model=model)
confirm("13.2", exactly.negative_elbo, gap - exactly.log_likelihood)
confirm(
    "13.2",
    exactly.negative_elbo,
    negative_elbo(
        params, x, TABLE["exact"], lambda _: (), c=c, model=model
    ).value,
)

# %% [markdown]
# ## 3 Gradients to both sides of the KL
#
# Lesson 03 derived them for one latent: $\partial\,\mathrm{KL} / \partial \ell^q_k = q_k (\log (q_k / p_k) - \mathrm{KL})$ [Eq. 3.4] and
# $\partial\,\mathrm{KL} / \partial \ell^p_k = p_k - q_k$ [Eq. 3.5]. Before, the prior was a constant, and the second was not needed. Now $\ell^p$ is the output of a network, and $p - q$ is
# the cotangent that its backward pass gets. It is the gradient of a classifier that learns to predict $z$ from $c$, with $q$ as its soft label: *the prior is trained to
# guess what the encoder will say, without seeing $x$*. And the encoder is pulled towards what can be guessed.
#
# The objective, with all of this in it:

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
        "13.2",
        found,
        np.concatenate([numeric[name].ravel() for name in names]),
    )

# %% [markdown]
# ## 4 Every pair, but no pair twice
#
# In lesson 04 a state was decoded once for all examples, since $p(x \mid z)$ did not depend on the example. Here it does: there are $B \cdot M$ different pairs $(c_b, z_m)$. The obvious code
# concatenates each pair, and multiplies $B M$ rows of length $C + N K$ by the first layer. But the first layer is linear: $[c, z]\, W = c\, W_c + z\, W_z$ [Eq. 4.7]. So the context is
# multiplied $B$ times, the code is looked up $M$ times, and only their *sum* is taken for every pair. The other ways of joining them are those of lesson 04: concatenation of embeddings, and
# FiLM, which lets the code scale the context's part.

# %%
show(decoder)

# %% [markdown]
# How much does it save? Here are both ways for the first layer at the size of the MNIST task below, with 512 units: 100 upper halves, and one latent of twenty categories.

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
# That is {{multiplications["by concatenation"] / multiplications["by parts"]:.0f}} times fewer multiplications. The layers after the first one see the pair, and are run for each: the saving is the first layer's alone.
#
# ## 5 Completing digits
#
# The upper half of an 8x8 digit is given, grey; its lower half, thresholded at $0.5$, is to be predicted. A short training by exact marginalisation over one latent of 20 categories:

# %%
from dvae_np.train import Settings, fit, load

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
#
# ## 6 The picture: two baselines, and a trap
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
# All runs begin with a decoder that paints the mean image. Lesson 15 says why.
#
# ## 7 The class as the context
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
#
# ## 8 Break it
#
# A mistake that is easily made in conditional models: the prior's gradient is forgotten, as if $p(z \mid c)$ were a constant. Nothing crashes, the encoder learns, the prior stays what it was. The complex step
# over *all* parameters finds it at once; one over the encoder's alone never does.

# %%
forgotten = {
    name: 0 * gradient for name, gradient in loss.gradients["phi"].items()
}
from dvae_np.check import comparison

for name in ("w0", "b1"):
    print(
        comparison(f"phi.{name}", forgotten[name], numeric[f"phi.{name}"])
    )

# %% [markdown]
# ## Reading
#
# - K. Sohn, H. Lee, X. Yan, *Learning structured output representation using deep conditional generative models*, 2015: the conditional VAE.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017: completing digits with discrete latents.
# - E. Perez, F. Strub, H. de Vries, V. Dumoulin, A. Courville, *FiLM: visual reasoning with a general conditioning layer*, 2018: scale and shift.
#
# Next: [14 Which estimator when](14_which_estimator_when.ipynb)

# %% [markdown] exercise 13.1
# ### 13.1 Implement: the KL's gradient on the prior's side
#
# Write `prior_side(q_logits, p_logits)`: both (B, N, K); return $\partial \sum_b \mathrm{KL}_b / \partial \ell^p$, (B, N, K), by [Eq. 3.5]. `softmax(a)[0]` is the softmax over the last axis. One line. The entries
# of each latent must add up to 0.


# %% solution 13.1
def prior_side(q_logits, p_logits):
    """d KL / d prior logits."""
    ### BEGIN SOLUTION
    return softmax(p_logits)[0] - softmax(q_logits)[0]
    ### END SOLUTION


# %% check 13.1
from dvae_np.lesson import judge

judge("13.1", prior_side)


# %% right 13.1
def prior_side(q_logits, p_logits):
    gradient = np.zeros_like(q_logits)
    for b, n in np.ndindex(q_logits.shape[:2]):
        q, p = np.exp(q_logits[b, n]), np.exp(p_logits[b, n])
        gradient[b, n] = p / p.sum() - q / q.sum()
    return gradient


# %% wrong 13.1: a flipped sign
def prior_side(q_logits, p_logits):
    return softmax(q_logits)[0] - softmax(p_logits)[0]


# %% wrong 13.1: the prior's own normaliser
def prior_side(q_logits, p_logits):
    return -softmax(q_logits)[0]


# %% wrong 13.1: take the softmax of both
def prior_side(q_logits, p_logits):
    return p_logits - q_logits


# %% wrong 13.1: the gradient on the encoder's side
def prior_side(q_logits, p_logits):
    q, ratio = (
        softmax(q_logits)[0],
        log_softmax(q_logits)[0] - log_softmax(p_logits)[0],
    )
    return q * (ratio - (q * ratio).sum(-1, keepdims=True))


# %% wrong 13.1: write it yourself
def prior_side(q_logits, p_logits):
    from dvae_np import kl

    return kl(q_logits, p_logits)[1](np.ones(len(q_logits)))[1]


# %% [markdown] exercise 13.2
# ### 13.2 Implement: the split first layer
#
# Write `first_layer(c, states, w_context, table, bias)`: contexts `c` (B, C), codes `states` (M, N), `w_context` (C, H), `table` (N, K, H), `bias` (H,); return the
# pre-activations of all pairs, (M, B, H), without making a row of inputs for any pair. The judge looks at the memory, too. About 3 lines; NumPy's broadcasting does the sum.


# %% solution 13.2
def first_layer(c, states, w_context, table, bias):
    """c w + the codes' rows + bias, for every pair: (M, B, H)."""
    ### BEGIN SOLUTION
    code = sum(table[n][states[:, n]] for n in range(len(table)))  # (M, H)
    return code[:, None] + (c @ w_context + bias)[None]
    ### END SOLUTION


# %% check 13.2
from dvae_np.lesson import judge

judge("13.2", first_layer)


# %% right 13.2
def first_layer(c, states, w_context, table, bias):
    hot = np.eye(table.shape[1])[states]  # (M, N, K)
    return (
        np.add.outer(np.zeros(len(states)), c @ w_context)
        + np.einsum("mnk,nkh->mh", hot, table)[:, None]
        + bias
    )


# %% wrong 13.2: with the axes of states and examples exchanged
def first_layer(c, states, w_context, table, bias):
    code = sum(table[n][states[:, n]] for n in range(len(table)))
    return (c @ w_context + bias)[:, None] + code[None]


# %% wrong 13.2: only the first latent's rows
def first_layer(c, states, w_context, table, bias):
    return table[0][states[:, 0]][:, None] + (c @ w_context + bias)[None]


# %% wrong 13.2: the bias in both parts
def first_layer(c, states, w_context, table, bias):
    code = sum(table[n][states[:, n]] for n in range(len(table))) + bias
    return code[:, None] + (c @ w_context + bias)[None]


# %% wrong 13.2: is there an array of too many axes?
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


# %% wrong 13.2: is wrong
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


# %% [markdown] exercise 13.3
# ### 13.3 Derive: the posterior over codes
#
# Write `posterior(fz, log_prior)`: from `fz` ($-\log p(x \mid c, z)$) and `log_prior` ($\log p(z \mid c)$), both (M, B), compute the *true* posterior $p(z \mid x, c)$ of all M states for each example: (M, B). About 2 lines;
# each column must sum to 1.


# %% solution 13.3
def posterior(fz, log_prior):
    """p(z|x,c), (M, B)."""
    ### BEGIN SOLUTION
    return np.exp(log_softmax((log_prior - fz).T)[0].T)
    ### END SOLUTION


# %% check 13.3
from dvae_np.lesson import judge

judge("13.3", posterior)


# %% right 13.3
def posterior(fz, log_prior):
    joint = np.exp(log_prior - fz - (log_prior - fz).max(0))
    return np.einsum("mb,b->mb", joint, 1 / joint.sum(0))


# %% wrong 13.3: p(z|c) is missing
def posterior(fz, log_prior):
    return np.exp(log_softmax(-fz.T)[0].T)


# %% wrong 13.3: divide by p(x|c)
def posterior(fz, log_prior):
    return np.exp(log_prior - fz)


# %% wrong 13.3: normalise over the states
def posterior(fz, log_prior):
    return np.exp(log_softmax(log_prior - fz)[0])


# %% wrong 13.3: probabilities are asked for
def posterior(fz, log_prior):
    return log_softmax((log_prior - fz).T)[0].T


# %% [markdown] exercise 13.4
# ### 13.4 Find the bug: an importance weight
#
# `estimate_of_evidence(z, b, fz, log_prior, logq)` estimates $p(x \mid c)$ of one example from codes drawn from $q$, by the mean of importance weights. One term is wrong. `z` is (S,) numbers of states and `b` the number of the
# example; `fz`, `log_prior` and `logq` are (M, B), as above; return the mean of the $S$ weights, a number. Correct one line. Averaged over all codes the result must be $p(x \mid c)$ exactly.
#
# ```python
# log_weight = log_prior[z, b] - fz[z, b]
# return np.exp(log_weight).mean()
# ```


# %% solution 13.4
def estimate_of_evidence(z, b, fz, log_prior, logq):
    """The mean of p(z|c) p(x|c,z) / q(z) over the codes z."""
    ### BEGIN SOLUTION
    log_weight = log_prior[z, b] - fz[z, b] - logq[z, b]
    ### END SOLUTION
    return np.exp(log_weight).mean()


# %% check 13.4
from dvae_np.lesson import judge

judge("13.4", estimate_of_evidence)


# %% right 13.4
def estimate_of_evidence(z, b, fz, log_prior, logq):
    # how often each state was drawn
    times = np.bincount(z, minlength=len(fz))
    return times @ np.exp(log_prior[:, b] - fz[:, b] - logq[:, b]) / len(z)


# %% wrong 13.4: the weight p(z|c) / q(z) is missing
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(-fz[z, b]).mean()


# %% wrong 13.4: divide by q
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(log_prior[z, b] - fz[z, b]).mean()


# %% wrong 13.4: p(z|c) is missing
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(-fz[z, b] - logq[z, b]).mean()


# %% wrong 13.4: average the weights
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return (log_prior[z, b] - fz[z, b] - logq[z, b]).mean()


# %% wrong 13.4: a mean where a sum is due
def estimate_of_evidence(z, b, fz, log_prior, logq):
    return np.exp(log_prior[z, b] - fz[z, b] - logq[z, b]).sum()
