# %% [markdown]
# # 18 Training, and arrays on a GPU
#
# **Question.** The gradients are right. What else does it take to train a model, to know what it is worth, and to lose nothing on the way?
#
# **After this lesson you can**
# - write Adam in three lines, and say what bounds its speed,
# - train, stop and resume a run so that not one bit differs,
# - report an ELBO, a log-likelihood and a bound without mixing them up, with their binarisation,
# - say what it takes to run the same code on a GPU.
#
# *Needs:* lessons 03 and 04; section 2 also 07, section 4 also 09. *Takes:* 45 minutes to read and run, 65 minutes for the exercises. Everything is in nats.

# %% setup
import tempfile
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    keep_freed_memory,
    records,
    vae,
)
from dvae_np.lesson import confirm, figure, picture, say, show
from dvae_np.train import (
    Adam,
    Checkpoints,
    Interrupted,
    RAdam,
    Settings,
    adam_step,
    evaluate,
    fit,
    load,
    rectification,
    value_at,
)

# %% [markdown]
# ## 1 One step of training
#
# A training step draws the estimator's noise, computes all gradients, and lets each optimiser take its step:

# %%
show(vae.training_step, folded=False)

# %% [markdown]
# ## 2 Adam
#
# Gradients differ in size from entry to entry. A step size that suits one entry is too small for another. *Adam* divides each entry by its own usual size. It keeps a moving average $m$ of the gradient, and a moving average $v$ of its square.
#
# Both averages start at 0, so at first they are too small. If the gradient is a constant $g$, then after $t$ steps
#
# $$m_t = (1 - \beta_1) \sum_{i=1}^{t} \beta_1^{t - i} g = (1 - \beta_1^t)\, g .$$
#
# Dividing by $1 - \beta_1^t$ corrects this, and the same holds for $v$. With the step size $\eta$, and a tiny $\varepsilon$ against a division by zero, the weights $w$ move by
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \qquad w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon} . \tag{18.1}$$
#
# Those are the three lines of lesson 00:

# %%
show(adam_step, folded=False)

# %% [markdown]
# What does the division buy? Here is a bowl that is a hundred times steeper in one direction than in the other. Plain descent must take steps that suit the steep direction, and crawls along the other. Adam moves at the same pace in both.

# %%
curvature = np.array([1.0, 100.0])  # the loss is half of their sum w^2
paths = {"plain descent": [np.array([-2.0, 0.5])]}
paths["Adam"] = list(paths["plain descent"])
m = v = 0
for t in range(1, 41):
    w = paths["plain descent"][-1]
    paths["plain descent"].append(w - 0.018 * curvature * w)
    w, m, v = adam_step(
        paths["Adam"][-1], m, v, curvature * paths["Adam"][-1], t, lr=0.1
    )
    paths["Adam"].append(w)
fig, ax = plt.subplots(figsize=(7.2, 2.8), layout="constrained")
across, up = np.meshgrid(np.linspace(-2.2, 0.5, 80), np.linspace(-0.7, 0.7))
ax.contour(across, up, across**2 + 100 * up**2, 8, colors="0.8")
for (name, path), mark in zip(paths.items(), "o^", strict=True):
    ax.plot(*np.array(path).T, mark + "-", markersize=3, label=name)
ax.set(xlabel="the flat direction", ylabel="the steep one")
ax.legend(frameon=False)
picture(
    fig,
    "Forty steps in a long valley: plain descent zigzags and stops "
    "half-way, Adam is past the minimum and turns back.",
)

# %% [markdown]
# Each addition, product, root and division in this formula is a pass over all parameters. These arrays are larger than a core's cache, so each pass waits for numbers from memory. *Memory bandwidth* bounds Adam's speed, not arithmetic. The step that training really takes saves some of them. It keeps *sums* in the place of averages, $m / (1 - \beta_1)$ and $v / (1 - \beta_2)$. The factors go into the two numbers that correct the averages anyway. And one array serves for everything that comes in between.

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
confirm("18.1", params["psi"]["w"], w)

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
# In the first steps $v$ is an average of very few squares, and a poor estimate. Its inverse root can be far too large. **RAdam** (Liu et al. 2020) asks how many squares the average is worth.
#
# Compare it with a plain average of the last $n$ squares. The *mean age* of an average says how many steps ago its squares were taken, on average. For the plain one it is $(n - 1) / 2$. Let $\rho_t$ be the $n$ for which the plain average is as old as the moving one, whose weights are $\beta_2^{t-i}$. For $t \to \infty$ this number is $\rho_{\infty} = 2 / (1 - \beta_2) - 1$. After $t$ steps it is $\rho_t = \rho_{\infty} - 2 t \beta_2^t / (1 - \beta_2^t)$. From the variance of $1 / \sqrt{v}$ for Gaussian gradients, relative to its limit, the paper derives a factor on the step size. We take it without a proof:
#
# $$r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2)\, \rho_{\infty}}{(\rho_{\infty} - 4)(\rho_{\infty} - 2)\, \rho_t}} \quad \text{for } \rho_t > 5 . \tag{18.2}$$
#
# Before that, the step is along $m$ alone. ([The paper](https://arxiv.org/abs/1908.03265) has 4 in the place of 5. [PyTorch](https://pytorch.org/docs/stable/generated/torch.optim.RAdam.html) has 5, and so do we.) The cell below sums the mean age directly, and so checks $\rho_t$:

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
confirm("18.2", rectification(t, beta2), rectified)

# %% [markdown]
# A step size may fall while a run goes on. So may the temperature of a relaxation: it is warm at first, so that all codes are tried, and cold at the end, so that the relaxed objective is near the discrete one. Let $s$ be the share of all steps that is done. From $a_0$ to $a_1$ the schedules are
#
# $$\text{linear: } a_0 + (a_1 - a_0)\, s, \qquad \text{geometric: } a_0 \Bigl(\frac{a_1}{a_0}\Bigr)^{s}, \qquad \text{cosine: } a_1 + (a_0 - a_1)\, \frac{1 + \cos \pi s}{2} . \tag{18.3}$$
#
# On the command line this is `train --tau 1 --tau-schedule geometric --tau-end 0.3`, and `--lr-schedule`, `--lr-end`. With `--patience 20` a run stops after 20 epochs without a better validation loss, and the best epoch's parameters are kept. Here are four runs of Gumbel-Softmax on the digits, with three seeds each:

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
confirm("18.3", half, 0.3**0.5)
digits = load("digits")
tests, middle = {}, {}
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
    middle[words] = np.median(each)
    print(
        f"{words:22} test negative ELBO, exact: {middle[words]:.2f} nats "
        f"({min(each):.2f} to {max(each):.2f})"
    )

# %% [markdown]
# A constant $\tau = 1$ is too warm. Compare the other medians with the ranges of their seeds: cooling to $0.3$, a constant $\tau = 0.5$ and patience differ by less than the seeds do. So these runs show no gain from annealing over one well chosen temperature.
#
# ## 3 A run
#
# `Settings` holds everything that decides a run. The same settings on the same data give the same numbers, bit for bit on one machine. Here is a short run on the 8x8 digits that come with the package, thresholded at $0.5$. The command line does the same for MNIST:
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
# Three quantities are reported for such models, and they are not the same:
#
# - the **negative ELBO**, which training minimises (with $\beta = 1$, and *drawn* codes);
# - the **log-likelihood** $\log p(x)$. It is larger than the ELBO by the posterior gap [Eq. 3.1]. It is exact here, because all codes can be visited;
# - a **multi-sample bound** between the two [Eq. 9.1], if there are too many codes.
#
# All of them depend on how grey pixels became targets: by a threshold, by one draw, or by a new draw for each batch. So a number without its binarisation means little.

# %%
exactly = evaluate(run.params, data.test.x)
sampled = evaluate(run.params, data.test.x, S=50, sample=True)
print(data.binarisation)
print(
    f"negative ELBO {exactly.negative_elbo:.3f}, log p(x) "
    f"{exactly.log_likelihood:.3f}, gap {exactly.posterior_gap:.3f}  "
    f"({exactly.method})"
)
print(
    f"negative ELBO {sampled.negative_elbo:.3f}, bound    "
    f"{sampled.bound:.3f}  ({sampled.method})"
)
print(
    f"the ELBO, the bound, log p(x): {-exactly.negative_elbo:.2f} <= "
    f"{sampled.bound:.2f} <= {exactly.log_likelihood:.2f}"
)

# %% [markdown]
# ## 5 Losing nothing
#
# A checkpoint must hold more than the parameters. It needs Adam's sums and step count, the estimator's tunables, the state of the random generator, the order of the images in this epoch and the place in it, and the sums for the history. Then a run that was stopped anywhere goes on as if it had not been stopped. Here it is stopped after step 100, in the middle of an epoch:

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
# The file is a header, raw arrays and a SHA-256. It is no pickle, which would run code from the file, and it is not compressed, since a compressed file could expand without limit. It is written beside the old one, and renamed when it is whole. So a crash, a full disk or a `kill -9` leaves the last good file.
#
# ## 6 The picture
#
# On the left are four estimators on the digits (`python -m dvae_np tour`; median and range of three seeds). On the right is one latent of 512 categories on MNIST, trained by exact marginalisation: each mini-batch visits all 512 codes.

# %%
figure("learning.png")
record = records.read("mnist512")
test = record["test"]
print(record["command"])
say(
    f"test log p(x) {test['log_likelihood']:.2f} nats, {test['method']}, "
    f"{record['seconds']:.0f} s on {record['machine']}"
)

# %% [markdown]
# ## 7 The same code on a GPU
#
# Nothing in the package names the library that owns an array. `np.exp(a)` runs where `a` lives, because CuPy's arrays answer NumPy's functions, and new arrays are made `like=` an old one. So CuPy is a swap-in: put the parameters and the data on the device, and run the same functions.
#
# There are exceptions. `np.ones(3, like=a)` does not reach CuPy 14.2, because NumPy passes an argument `device` that CuPy's `ones` does not know. The package writes `np.ones_like(a, shape=3)` instead. A stand-in for CuPy in the tests refuses what CuPy refuses. So such a call is found on a machine without a GPU.
#
# NumPy draws the order of the images and the noise on either device. So a seed means the same run, and a checkpoint of one device goes on on the other. On the command line this is `--device gpu`. On a machine without a GPU the cell below says so and runs on the CPU.

# %%
from dvae_np.device import CPU, device

try:
    where = device("gpu")
except dvae_np.InputError as error:
    where = CPU
    say(error)
few = Settings("reinforce_loo", S=4, N=2, K=10, epochs=1)
history = fit(data, few, device=where).history
print(
    f"{where.name}: training loss {history['loss'][0]:.2f} nats, "
    f"validation {history['validation'][0]:.2f} nats"
)

# %% [markdown]
# ## 8 Break it
#
# Here is a run with an absurd step size. It must not end in a file full of NaN. It stops at the step, and names the array.

# %%
try:
    fit(data, Settings(N=2, K=8, epochs=5, lr=1e30, optimiser="sgd"))
except dvae_np.InputError as error:
    say(error)

# %% [markdown]
# ## Reading
#
# - D. P. Kingma, J. Ba, *Adam: a method for stochastic optimization*, 2015.
# - L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han, *On the variance of the adaptive learning rate and beyond*, 2020: RAdam.
# - Y. Burda, R. Grosse, R. Salakhutdinov, *Importance weighted autoencoders*, 2016: bounds for evaluation.
# - H. Larochelle, I. Murray, *The neural autoregressive distribution estimator*, 2011: binarised MNIST, and why its kind must be stated.
#
# Next: [19 My discrete VAE does not train](19_it_does_not_train.ipynb)

# %% [markdown] exercise 18.1: 2 points
# ## 18.1 Derive: Adam without its corrections
#
# A program leaves out the two divisions by $1 - \beta_1^t$ and $1 - \beta_2^t$. Both averages are then too small at first. Is the step too small, too? Let the gradient be a constant, and $\varepsilon = 0$. Derive how many times longer the step $t$ is than Adam's
# own, and write `ratio_of_steps(t, beta1, beta2)`. `t` (T,) holds numbers of steps, whole numbers from 1. Return the ratios (T,). One line.
#
# For $\beta_1 = 0.9$ and $\beta_2 = 0.999$ the first step should have the ratio {{ratio_of_steps(np.array([1]), 0.9, 0.999)[0]:.2f}}, the tenth {{ratio_of_steps(np.array([10]), 0.9, 0.999)[0]:.2f}}. Such steps are too *long*.


# %% solution 18.1
def ratio_of_steps(t, beta1, beta2):
    """The step without corrections over Adam's step, for a constant
    gradient.
    """
    ### BEGIN SOLUTION
    return (1 - beta1**t) / np.sqrt(1 - beta2**t)
    ### END SOLUTION


# %% check 18.1
from dvae_np.lesson import judge

judge("18.1", ratio_of_steps)


# %% right 18.1
def ratio_of_steps(t, beta1, beta2):
    ratios = []
    for each in t:
        m = sum((1 - beta1) * beta1**i for i in range(each))
        v = sum((1 - beta2) * beta2**i for i in range(each))
        ratios.append(m / v**0.5)
    return np.array(ratios)


# %% wrong 18.1: v stands below a square root
def ratio_of_steps(t, beta1, beta2):
    return (1 - beta1**t) / (1 - beta2**t)


# %% wrong 18.1: v is too small as well
def ratio_of_steps(t, beta1, beta2):
    return 1 - beta1**t


# %% wrong 18.1: the ratio is turned round
def ratio_of_steps(t, beta1, beta2):
    return np.sqrt(1 - beta2**t) / (1 - beta1**t)


# %% wrong 18.1: t is 1 in the first step
def ratio_of_steps(t, beta1, beta2):
    return (1 - beta1 ** (t + 1)) / np.sqrt(1 - beta2 ** (t + 1))


# %% wrong 18.1: is wrong
def ratio_of_steps(t, beta1, beta2):
    return (1 - beta1) / np.sqrt(1 - beta2) + 0.0 * t


# %% [markdown] exercise 18.2: 1 point
# ## 18.2 Implement: bits per dimension
#
# Images of different sizes are compared by *bits per dimension*: how many bits the model needs, on average, for one pixel. `log_p` (B,) holds $\log p(x)$ of $B$ images in nats, and `D` is the number of their pixels. Write `bits_per_dimension(log_p, D)`: a
# number, smaller if the model is better. One bit is $\log 2$ nats. One line. The run of section 6, with 784 pixels, needs {{bits_per_dimension(np.array([records.read("mnist512")["test"]["log_likelihood"]]), 784):.3f}} bits per dimension.


# %% solution 18.2
def bits_per_dimension(log_p, D):
    """The mean of -log p(x), in bits for each pixel."""
    ### BEGIN SOLUTION
    return -log_p.mean() / (D * np.log(2))
    ### END SOLUTION


# %% check 18.2
from dvae_np.lesson import judge

judge("18.2", bits_per_dimension)


# %% right 18.2
def bits_per_dimension(log_p, D):
    # log2 p = log p / log 2, the same as log p times log2 e
    bits = [-each * np.log2(np.e) for each in log_p]
    return float(np.sum(bits) / (D * len(bits)))


# %% wrong 18.2: divide by its pixels
def bits_per_dimension(log_p, D):
    return -log_p.mean() / np.log(2)


# %% wrong 18.2: a bit is log 2 nats
def bits_per_dimension(log_p, D):
    return -log_p.mean() / D


# %% wrong 18.2: so divide
def bits_per_dimension(log_p, D):
    return -log_p.mean() * np.log(2) / D


# %% wrong 18.2: a flipped sign
def bits_per_dimension(log_p, D):
    return log_p.mean() / (D * np.log(2))


# %% wrong 18.2: a sum where a mean is due
def bits_per_dimension(log_p, D):
    return -log_p.sum() / (D * np.log(2))


# %% [markdown] exercise 18.3: 1 point
# ## 18.3 Find the bug: a gap below zero
#
# A program trains with the weight $\beta$ of the KL, and reports three numbers on test images: the loss that training minimises, the negative ELBO, and the posterior gap, which is the negative ELBO less $-\log p(x)$. With $\beta = 0.5$ it reports a gap below zero. With $\beta = 2$ the
# gap is far too large. Correct one line.
#
# The model has one latent with a uniform prior. `q` (B, K) holds the posteriors of $B$ images, and `fz` (B, K) holds $-\log p(x \mid z)$ for every code. Return the three numbers.
#
# ```python
# reconstruction = (q * fz).sum(1).mean()
# kl = (q * np.log(K * q)).sum(1).mean()
# loss = reconstruction + beta * kl
# log_p = np.log(np.exp(-fz).mean(1)).mean()  # log p(x)
# minus_elbo = loss
# return loss, minus_elbo, minus_elbo + log_p
# ```


# %% solution 18.3
def report(q, fz, beta):
    """(training's loss, the negative ELBO, the posterior gap)."""
    K = q.shape[1]
    reconstruction = (q * fz).sum(1).mean()
    kl = (q * np.log(K * q)).sum(1).mean()
    loss = reconstruction + beta * kl
    log_p = np.log(np.exp(-fz).mean(1)).mean()  # log p(x)
    ### BEGIN SOLUTION
    minus_elbo = reconstruction + kl
    ### END SOLUTION
    return loss, minus_elbo, minus_elbo + log_p


# %% check 18.3
from dvae_np.lesson import judge

judge("18.3", report)


# %% right 18.3
def report(q, fz, beta):
    evidence = np.exp(-fz).mean(1, keepdims=True)
    posterior = np.exp(-fz) / evidence / q.shape[1]
    gap = (q * np.log(q / posterior)).sum() / len(q)
    minus_elbo = gap - np.log(evidence).mean()
    kl = minus_elbo - (q * fz).sum() / len(q)
    return minus_elbo + (beta - 1) * kl, minus_elbo, gap


# %% wrong 18.3: the ELBO has beta = 1
def report(q, fz, beta):
    kl = (q * np.log(q.shape[1] * q)).sum(1).mean()
    loss = (q * fz).sum(1).mean() + beta * kl
    log_p = np.log(np.exp(-fz).mean(1)).mean()
    return loss, loss, loss + log_p


# %% wrong 18.3: the ELBO has the KL
def report(q, fz, beta):
    kl = (q * np.log(q.shape[1] * q)).sum(1).mean()
    reconstruction = (q * fz).sum(1).mean()
    log_p = np.log(np.exp(-fz).mean(1)).mean()
    loss = reconstruction + beta * kl
    return loss, reconstruction, reconstruction + log_p


# %% wrong 18.3: training weighs the KL by beta
def report(q, fz, beta):
    kl = (q * np.log(q.shape[1] * q)).sum(1).mean()
    loss = (q * fz).sum(1).mean() + kl
    log_p = np.log(np.exp(-fz).mean(1)).mean()
    return loss, loss, loss + log_p


# %% wrong 18.3: take that of the negative ELBO
def report(q, fz, beta):
    kl = (q * np.log(q.shape[1] * q)).sum(1).mean()
    reconstruction = (q * fz).sum(1).mean()
    log_p = np.log(np.exp(-fz).mean(1)).mean()
    loss = reconstruction + beta * kl
    return loss, reconstruction + kl, loss + log_p


# %% wrong 18.3: beta multiplies the KL alone
def report(q, fz, beta):
    kl = (q * np.log(q.shape[1] * q)).sum(1).mean()
    loss = (q * fz).sum(1).mean() + beta * kl
    log_p = np.log(np.exp(-fz).mean(1)).mean()
    return loss, loss / beta, loss / beta + log_p


# %% wrong 18.3: the ELBO has no beta at all
def report(q, fz, beta):
    kl = (q * np.log(q.shape[1] * q)).sum(1).mean()
    reconstruction = (q * fz).sum(1).mean()
    log_p = np.log(np.exp(-fz).mean(1)).mean()
    minus_elbo = reconstruction + kl / beta
    loss = reconstruction + beta * kl
    return loss, minus_elbo, minus_elbo + log_p


# %% [markdown] written 18.W: 3 points
# ## 18.W In words: what variance does to Adam's pace
#
# (a) A student multiplies the whole loss by 10, *to learn ten times faster*. Show by [Eq. 18.1] that with $\varepsilon = 0$ Adam moves every weight as
# before. What happens with plain descent?
#
# (b) One entry of a gradient is estimated without bias: its mean is $g$, and its variance is 99 times $g^2$. Suppose that $m$ and $v$ have settled near their
# means, and ignore $\varepsilon$. How far does the weight move in a step, on average? Compare with the exact gradient, and with four times as many samples,
# independent ones.
#
# (c) *Unbiased means: on average Adam moves as it would with the exact gradient. Only the path is noisier.* Is this right? Half a page in all.

# %% [markdown] model 18.W
# (a) All $g$ become $10 g$. So $m$ becomes $10 m$ and $v$ becomes $100 v$, at every step, as both averages start at 0. In $m / \sqrt{v}$ the factor cancels,
# and the corrections $1 - \beta_1^t$ and $1 - \beta_2^t$ do not depend on $g$. So the weights move as before. In plain descent every step is ten times as
# long, as if $\eta$ were ten times as large.
#
# (b) The mean of the squares is $g^2$ plus the variance. So $m \approx g$ and $v \approx 100 g^2$, and the mean move is $\eta\, g / \sqrt{100 g^2}$: a tenth
# of $\eta$. With the exact gradient $v = g^2$, and the move is $\eta$. With four times the samples the variance is $24.75\, g^2$, and the move is
# $\eta / \sqrt{25.75} = 0.197\, \eta$, nearly twice the first one.
#
# (c) It is wrong. It holds for plain descent, whose mean step is $-\eta g$ in both cases. Adam divides by the root of the mean *square*, and this contains
# the variance. A noisy entry moves more slowly. And as each entry has its own ratio of variance to $g^2$, the mean direction changes too, not only the pace.
# So with Adam less variance means a faster pace, although both gradients are unbiased.
#
# *Marks:* 1 for (a); 1 for the three moves in (b); 1 for the verdict, with the reason that $v$ contains the variance.
