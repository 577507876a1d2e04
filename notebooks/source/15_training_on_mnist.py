# %% [markdown]
# # 15 Training on MNIST, and arrays on a GPU
#
# **Question.** The gradients are right. What else does it take to train a model, to know what it is worth, and to lose nothing on the way?
#
# **After this lesson you can**
# - write Adam in three lines, and say what bounds its speed,
# - train, stop and resume a run so that not one bit differs,
# - report an ELBO, a log-likelihood and a bound without mixing them up, with their binarisation,
# - say how much a latent tells about the data, and when it has collapsed,
# - run the same code on a GPU.
#
# *Needs:* lessons 03 and 04; sections 4 and 6 also 09 and 08. *Takes:* 50 minutes. Everything is in nats.

# %% setup
import tempfile
import time
from dataclasses import replace

import numpy as np

import dvae_np
from dvae_np import (
    bernoulli,
    encoder,
    entropy,
    keep_freed_memory,
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
    Adam,
    Checkpoints,
    Interrupted,
    RAdam,
    Settings,
    Training,
    adam_step,
    evaluate,
    fit,
    load,
    rectification,
    usage,
    value_at,
)

# %% [markdown]
# ## 1 One step of training
#
# A training step draws the estimator's noise, takes all gradients, and lets each optimiser step. It fits on a screen, with the objective:

# %%
show(vae.training_step)

# %% [markdown]
# ## 2 Adam
#
# Adam keeps a moving average $m$ of the gradient and one, $v$, of its square, entry by entry. Both start at 0, and so are too small at first: after $t$ steps of a
# constant gradient $g$ the first is
#
# $$m_t = (1 - \beta_1) \sum_{i=1}^{t} \beta_1^{t - i} g = (1 - \beta_1^t)\, g .$$
#
# Dividing by $1 - \beta_1^t$ repairs it, and the same for $v$:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \qquad w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon} . \tag{15.1}$$

# %%
show(adam_step)

# %% [markdown]
# Each addition, multiplication, root and division in this is a pass over arrays that are far larger than a core's own cache, on one core, beside matrix products that use all of them. So the step that training takes keeps *sums* in the place of
# averages, $m / (1 - \beta_1)$ and $v / (1 - \beta_2)$: two passes fewer, as what turns sums into averages goes into the two numbers that correct them anyway. And one
# array serves for all that comes in between.

# %%
show(Adam.step)

# %%
rng = np.random.default_rng(0)
start, params = rng.standard_normal(5), {"psi": {"w": np.zeros(5)}}
params["psi"]["w"][:] = start
adam = Adam(params, lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3)
w, m, v = start, 0, 0
for t in range(1, 5):
    g = rng.standard_normal(5)
    adam.step({"psi": {"w": g}})  # sums, in place
    # averages, as the formula has them
    w, m, v = adam_step(
        w, m, v, g, t, lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3
    )
confirm("15.1", params["psi"]["w"], w)

# %%
# as `fit` does: otherwise every step pays for new memory
keep_freed_memory()
# the size of an MNIST model
model = dvae_np.parameters(rng, 784, 8, 4, (512, 256))
# a batch of noise, as the time does not depend on what is seen
x = (rng.random((100, 784)) < 0.2).astype(np.float32)
adam, estimator, seconds = (
    Adam(model, lr=1e-3),
    dvae_np.TABLE["straight_through_gumbel"],
    [],
)
for _ in range(20):
    started = time.perf_counter()
    loss = vae.negative_elbo(
        model,
        x,
        estimator,
        lambda logits: dvae_np.draw(rng, logits, 1, estimator.noise),
    )
    between = time.perf_counter()
    adam.step(loss.gradients)
    seconds.append((between - started, time.perf_counter() - between))
gradients, update = np.median(seconds, axis=0)
print(
    "a step of this size, on this machine: gradients "
    f"{1e3 * gradients:.1f} ms, Adam {1e3 * update:.1f} ms, "
    f"{update / (gradients + update):.0%} of both"
)

# %% [markdown]
# In the first steps $v$ is an average of very few squares, and so is a poor guess: its inverse root can be far too large. **RAdam** (Liu et al. 2020) asks
# how many squares it is worth. A moving average of weights $\beta_2^{t-i}$ is about as good as a plain average of the last $\rho_t$ squares, with the same
# mean age: for $t \to \infty$ this is $\rho_{\infty} = 2 / (1 - \beta_2) - 1$, and after $t$ steps $\rho_t = \rho_{\infty} - 2 t \beta_2^t / (1 - \beta_2^t)$. The variance of
# $1 / \sqrt{v}$ for Gaussian gradients, relative to its limit, then gives the factor on the step size
#
# $$r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\, \rho_{\infty}}{(\rho_{\infty} - 4)(\rho_{\infty} - 2)\, \rho_t}} \quad \text{for } \rho_t > 5, \tag{15.3}$$
#
# and before that the step is along $m$ alone ([the paper](https://arxiv.org/abs/1908.03265) has 4 there, [PyTorch](https://pytorch.org/docs/stable/generated/torch.optim.RAdam.html) has 5, and so do we). The mean age of the weights, which defines $\rho_t$, can be summed directly:

# %%
show(rectification, RAdam)
beta2, t = 0.9, 12
weights = beta2 ** (t - np.arange(1, t + 1))  # of the squares of steps 1..t
# a plain average of n has the mean age (n - 1) / 2
age = ((t - np.arange(1, t + 1)) * weights).sum() / weights.sum()
most, length = 2 / (1 - beta2) - 1, 2 * age + 1
rectified = np.sqrt(
    (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
)
confirm("15.3", rectification(t, beta2), rectified)

# %% [markdown]
# Step sizes may fall while a run goes on, and so may the temperature of a relaxation: warm at first, when all codes must be tried, cold at the end, when the relaxed objective should be near the discrete one. With $t$ the share of all steps that
# is done, from $v_0$ to $v_1$:
#
# $$\text{linear: } v_0 + (v_1 - v_0)\, t, \qquad \text{geometric: } v_0 \Bigl(\frac{v_1}{v_0}\Bigr)^{t}, \qquad \text{cosine: } v_1 + (v_0 - v_1)\, \frac{1 + \cos \pi t}{2} . \tag{15.6}$$
#
# `train --tau 1 --tau-schedule geometric --tau-end 0.3`, and `--lr-schedule`, `--lr-end`. With `--patience 20` a run stops after 20 epochs without a better validation loss, and the best epoch's parameters are kept. Four runs of
# Gumbel-Softmax on the digits, three seeds each:

# %%
annealed = Settings(
    "gumbel_softmax",
    epochs=60,
    lr=3e-3,
    hyper={"tau": 1.0},
    tau_schedule="geometric",
    tau_end=0.3,
)
half = value_at(annealed, "tau", 1.0, 30)
confirm("15.6", half, 0.3**0.5)
digits = load("digits")
tests = {}
for words, settings in {
    "tau = 1": replace(annealed, tau_schedule="constant", tau_end=None),
    "tau = 0.5": replace(
        annealed,
        hyper={"tau": 0.5},
        tau_schedule="constant",
        tau_end=None,
    ),
    "from 1 to 0.3": annealed,
    "the same, patience 5": replace(annealed, patience=5),
}.items():
    runs = [fit(digits, replace(settings, seed=seed)) for seed in range(3)]
    tests[words] = [
        evaluate(run.params, digits.test.x, model=settings.model)
        for run in runs
    ]
    each = [test.negative_elbo for test in tests[words]]
    print(
        f"{words:22} test negative ELBO, exact: {np.median(each):.2f} nats "
        f"({min(each):.2f} to {max(each):.2f})"
    )

# %% [markdown]
# ## 3 A run
#
# `Settings` is everything that decides a run. The same settings on the same data give the same numbers, bit for bit on one machine. Here on the 8x8 digits that come
# with the package, thresholded at $0.5$, a short run; for MNIST the command line does the same:
#
# ```sh
# python -m dvae_np train --data mnist --N 1 --K 512 --hidden 512,256 --epochs 30
# ```

# %%
data = load("digits")
print(data)
settings = Settings(N=2, K=8, epochs=30)
run = fit(data, settings)
print(
    f"validation negative ELBO: {run.history['validation'][0]:.2f} nats "
    f"after one epoch, {run.history['validation'][-1]:.2f} after "
    f"{settings.epochs}"
)

# %% [markdown]
# ## 4 What is it worth?
#
# Three quantities, and they are not the same:
#
# - the **negative ELBO**, which training minimises (with beta = 1, at *discrete* codes);
# - the **log-likelihood** $\log p(x)$, which is larger than the ELBO by the posterior gap [Eq. 3.1], and is exact here, as all joint states can be visited;
# - a **multi-sample bound** between the two [Eq. 9.1], where there are too many states.
#
# And all of them depend on how grey pixels became targets: thresholding, drawing once, drawing anew for each batch. A number without its binarisation means little.

# %%
exactly = evaluate(run.params, data.test.x)
sampled = evaluate(run.params, data.test.x, S=50, sample=True)
print(
    f"negative ELBO {exactly.negative_elbo:.3f}, log p(x) "
    f"{exactly.log_likelihood:.3f}, gap {exactly.posterior_gap:.3f}  "
    f"({exactly.method}; {data.binarisation})"
)
print(
    f"negative ELBO {sampled.negative_elbo:.3f}, bound    "
    f"{sampled.bound:.3f}  ({sampled.method}; {data.binarisation})"
)

# %% [markdown]
# ## 5 What do the codes say?
#
# Average the posterior over the images: $\bar q_n(k) = \frac{1}{B} \sum_b q_n(k \mid x_b)$ is the share of the images that use category $k$ of latent $n$. How much
# does $z_n$ tell about which image it was? The mutual information, with the $B$ images as equally likely $x$, is
#
# $$I(x; z_n) = \frac{1}{B} \sum_b \sum_k q_n(k \mid x_b) \log \frac{q_n(k \mid x_b)}{\bar q_n(k)} = H(\bar q_n) - \frac{1}{B} \sum_b H\bigl(q_n(\cdot \mid x_b)\bigr), \tag{15.2}$$
#
# since $\frac{1}{B} \sum_b q_n(k \mid x_b) \log \bar q_n(k) = \bar q_n(k) \log \bar q_n(k)$. A latent whose information is next to zero has *collapsed*: it says nothing. It costs $\mathrm{KL}(\bar q_n \Vert p)$: nothing
# where $\bar q_n$ is the prior, and up to $\log K$ where all images share one code.
# The perplexity $e^{H(\bar q_n)}$ is the number of categories that, equally used, would have the same entropy.

# %%
show(usage)
measured = usage(run.params, data.test.x)
# (B, N, K)
q = ops.softmax(encoder(run.params["psi"], data.test.x)[0].astype(float))[0]
confirm(
    "15.2",
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
# ## 6 The first steps
#
# Codes can be lost before they have come to mean anything. A fresh decoder paints grey noise, every pixel near $\frac{1}{2}$; most pixels of a digit are dark. Whichever code happens to
# make the picture darker is better for *every* image. A decoder that sees no code would have the mean image to learn, too, and it can start there. The best constant output has
# $\sum_b \sigma(a_d) - x_{bd} = 0$: with $m_d$ the mean of pixel $d$
#
# $$a_d = \log \frac{m_d}{1 - m_d} , \tag{15.4}$$
#
# which the last bias may have from the first step on, as in [the code of REBAR](https://github.com/tensorflow/models/blob/2fd7d3ae49322850039920ce68b87a4db054c4d1/research/rebar/rebar.py) (Tucker et al. 2017; `train_bias`). (A pixel that is dark in all images has $m_d = 0$: so each value of a pixel is counted half a time more
# than it was seen.) Here it does, unless `first_image="random"` is asked for.
#
# How much of a gradient is about the mean image? Let $g_b$ be the gradient of image $b$'s reconstruction in its logits. The mean of the $\lVert g_b \rVert^2$ is the squared norm of the mean and
# the variance over the images, so the share
#
# $$c = \Bigl\lVert \frac{1}{B} \sum_b g_b \Bigr\rVert^2 \Big/\, \frac{1}{B} \sum_b \lVert g_b \rVert^2 \tag{15.5}$$
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
    "15.5",
    firsts[-1][0],
    1 - g.var(0).sum() / (g**2).sum((1, 2)).mean(),
    tolerance=1e-4,
)
# half a time on, half a time off
pixels = np.concatenate([few, np.full((1, 64), 0.5)]).astype(float)
slope = bernoulli(first_image_of(pixels[:-1], 1)[None, None], pixels)[1](
    np.ones((1, 101))
)[0]
confirm("15.4", slope, np.zeros_like(slope))

# %% [markdown]
# On the digits $q$ stays open all the same (no category preferred: $\log 8 = 2.08$ nats). On MNIST, with 784 pixels, it does not. `python -m dvae_np collapse` looks at
# 500 test images for 100 steps, with three seeds. *As published*: the set-up of a published table ([the page of measured numbers](../figures/README.md) has its runs; grey pixels, hidden layers 512 and 256, four latents of eight categories), whose layers start as layers do.
# *Larger rows*: the $N$ rows that a code selects add up to unit variance, as in this package's own models, so that codes differ more. *Mean image*: as published, but for the last bias. *Train*: this package's own
# settings, two latents of eight categories, from the mean image, and from a random one. In the table, medians (and ranges); $c$ and the norm are of the first 100 images; *codes* is how many combinations of likeliest categories the 500 images have (where $q$ is uniform they mean nothing);
# entropy and information [Eq. 15.2] are nats for each latent; information and codes are those after the last step. Low entropy alone is no harm: a good encoder is certain, too, but of different codes for different images.

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
# ## 7 Losing nothing
#
# A checkpoint must hold more than the parameters: Adam's sums and its step count, the estimator's own tunables, the generator's state, the order of the images in this epoch and the
# place in it, the sums for the history. Then a run that was stopped anywhere goes on as if it had not been. Here stopped after step 100, in the middle of an epoch:

# %%
with tempfile.TemporaryDirectory() as folder:
    keeper, asked = Checkpoints(folder), iter(range(1, 1000))
    try:
        fit(
            data,
            settings,
            checkpoints=keeper,
            stop=lambda: next(asked) == 100,
        )
    except Interrupted as stopped:
        print(stopped)
    path, facts, arrays, _ = keeper.newest()
    print(
        path.name,
        f"{path.stat().st_size / 1e6:.1f} MB, {len(arrays)} arrays, "
        f"generator {facts['generator']['bit_generator']}",
    )
    resumed = fit(data, settings, start=(facts, arrays))
same = all(
    np.array_equal(resumed.params[g][n], run.params[g][n])
    for g in run.params
    for n in run.params[g]
)
print("equal to the uninterrupted run, bit for bit:", same)

# %% [markdown]
# The file is a header, raw arrays and a SHA-256: no pickle, which would run code from the file, and no compression, which could expand without limit. It is written beside the old one and renamed
# only when it is whole, so that a crash, a full disk or a `kill -9` leaves the last good one.
#
# ## 8 The picture
#
# Left: four estimators on the digits (`python -m dvae_np tour`; median and range of three seeds). Right: one latent of 512 categories on MNIST, trained by exact marginalisation: each mini-batch visits all 512 states.

# %%
figure("learning.png")
record = records.read("mnist512")
test = record["test"]
print(record["command"])
print(
    f"test log p(x) {test['log_likelihood']:.2f} nats, {test['method']}, "
    f"{record['seconds']:.0f} s on {record['machine']}"
)

# %% [markdown]
# ## 9 The same code on a GPU
#
# Nothing in the package names the library that owns an array. `np.exp(a)` runs where `a` lives, since CuPy's arrays answer NumPy's functions, and new arrays are made `like=` an old one. So CuPy is a swap-in:
# put the parameters and the data on the device, and run the same functions. Almost every one of NumPy's: `np.ones(3, like=a)` does not reach CuPy 14.2, as NumPy adds an argument `device` that CuPy's `ones` does not
# know, so the package writes `np.ones_like(a, shape=3)`. The tests know what CuPy takes, and refuse the rest without a GPU. The order of the images and the noise are drawn by NumPy on either device, so that a seed means the same run, and a checkpoint of
# one goes on on the other. On the command line this is `--device gpu`; where something is missing, it says what. On a machine without a GPU the cell below says so and runs on the CPU.

# %%
from dvae_np.device import CPU, device

try:
    where = device("gpu")
except dvae_np.InputError as error:
    where = CPU
    print(error)
few = Settings("reinforce_loo", S=4, N=2, K=10, epochs=1)
history = fit(data, few, device=where).history
print(
    f"{where.name}: training loss {history['loss'][0]:.2f} nats, "
    f"validation {history['validation'][0]:.2f} nats"
)

# %% [markdown]
# ## 10 Break it
#
# A run whose step size is absurd. It must not end in a file full of NaN: it stops at the step, names the array, and says which checkpoint is still good.

# %%
try:
    fit(data, Settings(N=2, K=8, epochs=5, lr=1e30, optimiser="sgd"))
except dvae_np.InputError as error:
    print(error)

# %% [markdown]
# ## Reading
#
# - D. P. Kingma, J. Ba, *Adam: a method for stochastic optimization*, 2015.
# - L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han, *On the variance of the adaptive learning rate and beyond*, 2020: RAdam.
# - G. Tucker, A. Mnih, C. J. Maddison, D. Lawson, J. Sohl-Dickstein, *REBAR: low-variance, unbiased gradient estimates for discrete latent variable models*, 2017; its code starts the decoder at the mean image.
# - S. R. Bowman, L. Vilnis, O. Vinyals, A. M. Dai, R. Jozefowicz, S. Bengio, *Generating sentences from a continuous space*, 2016: posterior collapse, and warming up the KL.
# - Y. Burda, R. Grosse, R. Salakhutdinov, *Importance weighted autoencoders*, 2016: bounds for evaluation.
# - H. Larochelle, I. Murray, *The neural autoregressive distribution estimator*, 2011: binarised MNIST, and why its kind must be stated.
#
# Next: [16 Structured latents](16_structured_latents.ipynb)
