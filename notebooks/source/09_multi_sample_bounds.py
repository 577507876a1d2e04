# %% [markdown]
# # 09 Multi-sample bounds
#
# **Question.** The ELBO lies below $\log p(x)$ by the posterior gap. Can several samples together come closer, and what is the gradient of the
# bound that they give?
#
# **After this lesson you can**
# - derive the multi-sample bound by Jensen's inequality, and prove that it grows with $S$,
# - derive both parts of its gradient in the logits, and say what the second part is for,
# - give each sample a baseline that does not contain it (VIMCO), without taking the logarithm of zero,
# - put a prior into the bound so that the prior is trained by it,
# - measure exactly how noisy such a gradient is, also at 32 samples.
#
# *Needs:* lesson 06. *Takes:* 70 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
from itertools import product

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import draw, joint, log_prob, log_softmax, score, softmax
from dvae_np.check import (
    complex_step,
    every_code,
    every_count,
    judge,
    lookup_table,
    moments,
    multi_sample_bound,
    tiled,
)
from dvae_np.estimators.weights import log_sum_with, weigh
from dvae_np.experiments.first_model import trained_on_bound
from dvae_np.figures.lesson_09 import small_model, variance
from dvae_np.lesson import confirm, figure, picture, say, show

rng = np.random.default_rng(0)
# (B, N, K) = (1, 1, 4); f(z) = -log p(x, z) of one x, in nats
logits, f = small_model()
K = logits.shape[-1]
codes = np.arange(K)[:, None, None]  # every code, as (M, 1, 1)
log_joint = -f(codes)[0][:, 0]  # log p(x, z), (K,)
logq = log_softmax(logits)[0][0, 0]  # (K,)


def exact_mean(estimator, S, at=logits, **hyper):
    """The exact mean (N, K) of a gradient, over every S-tuple of codes."""
    z, weights = every_code(at, S)
    found = estimator(tiled(at, len(weights)), f, z, **hyper)
    return moments(
        weights, found if isinstance(found, np.ndarray) else found.dlogits
    )[0]


def slope_of_bound(S):
    """The gradient (N, K) of the negative bound in the logits, by the
    complex step through the plain sum.
    """
    return complex_step(
        lambda a: multi_sample_bound(a["logits"], f, S).sum(),
        {"logits": logits},
    )["logits"][0]


# %% [markdown]
# ## 1 The bound
#
# In the ELBO the encoder pays for every bad guess. Let it guess $S$ times, and judge the guesses together. Then one good guess is enough, and the bound is tighter: closer to $\log p(x)$.
#
# Draw $S$ codes from $q$. Weigh each by how much more probable it is under the model than under $q$:
# $w_s = p(x, z_s) / q(z_s)$. Each weight has the mean $\sum_z q(z)\, p(x, z) / q(z) = p(x)$, and so has the average of the weights. The logarithm is concave, so the logarithm of a mean is at least the mean of the logarithms (Jensen's inequality):
#
# $$\mathbb{E}\,\log \frac{1}{S} \sum_s w_s \le \log \mathbb{E}\, \frac{1}{S} \sum_s w_s = \log p(x) .$$
#
# The left side is the multi-sample bound, also called the importance-weighted bound:
#
# $$L_S = \mathbb{E}\,\log \frac{1}{S} \sum_s w_s, \qquad \log w_s = -f(z_s) + \log p(z_s) - \log q(z_s), \tag{9.1}$$
#
# with $f(z) = -\log p(x \mid z)$ as elsewhere. (The `f` in this lesson's code is already the joint, $-\log p(x, z)$, so there $\log w = -f - \log q$: section 4.) For $S = 1$ the bound is $\mathbb{E}[\log p(x, z) - \log q(z)]$, the ELBO. It contains the KL, and so
# replaces the whole objective, not only the reconstruction.
#
# **It grows with S.** Leave out one weight, and average the others. The average of these $S$ averages is that of all weights:
# $\frac{1}{S} \sum_s w_s = \frac{1}{S} \sum_r \bigl(\frac{1}{S - 1} \sum_{s \ne r} w_s\bigr)$. By Jensen's inequality once more, the logarithm of this mean is at least the mean of
# the logarithms, and each of these has the expectation $L_{S-1}$. So $L_S \ge L_{S-1}$.
#
# With four categories all $4^S$ tuples of codes can be listed, and $L_S$ is a plain sum:


# %%
def my_bound(S):
    """L_S, over every S-tuple of codes."""
    q, w = np.exp(logq), np.exp(log_joint - logq)
    total = 0.0
    for drawn in product(range(K), repeat=S):
        chosen = list(drawn)
        total += q[chosen].prod() * np.log(w[chosen].mean())
    return total


confirm("9.1", my_bound(3), -multi_sample_bound(logits, f, 3)[0])
elbo = (np.exp(logq) * (log_joint - logq)).sum()
confirm("9.1", my_bound(1), elbo)
evidence = np.log(np.exp(log_joint).sum())
for S in (1, 2, 4, 6):
    print(
        f"S = {S}: L_S = {-multi_sample_bound(logits, f, S)[0]:.4f} nats "
        f"(log p(x) = {evidence:.4f})"
    )
show(multi_sample_bound, small_model)

# %% [markdown]
# ## 2 Its gradient has two parts
#
# Write $\hat L = \log \frac{1}{S} \sum_s w_s$ for the bound of one draw. The logits enter twice. They decide *which* codes are drawn, and they stand *in* the
# weights, through $\log q$. So the product rule, with $Q = \prod_s q(z_s)$, gives two parts:
#
# $$\nabla_{\ell} L_S = \sum_{z_1 \ldots z_S} \bigl(\nabla_{\ell} Q\bigr) \hat L + \sum_{z_1 \ldots z_S} Q\, \nabla_{\ell} \hat L = \mathbb{E}\Bigl[\hat L \sum_s \mathrm{score}(z_s)\Bigr] + \mathbb{E}\bigl[\nabla_{\ell} \hat L\bigr] .$$
#
# For the second part, $\partial \hat L / \partial \log w_s = w_s / \sum_t w_t = \tilde w_s$, the normalised weight, and $\nabla_{\ell} \log w_s = -\mathrm{score}(z_s)$. Together
#
# $$\nabla_{\ell} L_S = \mathbb{E} \sum_s \bigl(\hat L - \tilde w_s\bigr)\, \mathrm{score}(z_s) .$$
#
# What is the second part for? The first makes codes more probable that raise the bound, as if the weights were fixed numbers. But raising $q(z_s)$ lowers the weight $w_s = p(x, z_s) / q(z_s)$, and so the bound, most of all where $\tilde w_s$ is large. The second part, $-\tilde w_s\,\mathrm{score}(z_s)$, counts this loss. At $S = 1$ it is $-\mathrm{score}(z_1)$, with mean zero, so the ELBO does without it. With more samples it does not vanish (section 7).
#
# In the first part every sample's learning signal is $\hat L$, whether the sample was good or bad. That is very noisy. As in lesson 06 we may
# subtract from the signal any number $\hat L_{-s}$ that does not depend on $z_s$:
#
# $$\nabla_{\ell} L_S = \mathbb{E} \sum_s \bigl(\hat L - \hat L_{-s} - \tilde w_s\bigr)\, \mathrm{score}(z_s) . \tag{9.2}$$


# %%
def my_gradient(logits, f, z, baseline=0.0):
    """Eq. 9.2 with the sign turned, as we minimise: (B, N, K)."""
    logw = -f(z)[0] - log_prob(logits, z)[0]  # (S, B)
    w = np.exp(logw)
    bound, share = np.log(w.mean(0)), w / w.sum(0)
    signal = bound - baseline - share
    return -(signal[..., None, None] * score(logits, z)).sum(0)


for S in (2, 3):
    confirm("9.2", exact_mean(my_gradient, S), slope_of_bound(S))
    confirm("9.2", exact_mean(dvae_np.vimco, S), slope_of_bound(S))

# %% [markdown]
# ## 3 VIMCO's baseline
#
# Leave sample $s$ out, and guess its weight from the others. The guess $\hat w_{-s}$ is their geometric or arithmetic mean:
#
# $$\hat L_{-s} = \log \frac{1}{S} \Bigl(\sum_{t \ne s} w_t + \hat w_{-s}\Bigr), \qquad \hat w_{-s} = \exp\Bigl(\frac{1}{S-1} \sum_{t \ne s} \log w_t\Bigr) \ \text{ or } \ \frac{1}{S-1} \sum_{t \ne s} w_t . \tag{9.3}$$
#
# This is VIMCO (Mnih and Rezende 2016). Their choice is the geometric mean. With the arithmetic mean the baseline is simply the log of the mean of the others,
# $\log \frac{1}{S-1} \sum_{t \ne s} w_t$.


# %%
def my_baseline(logw, mean):
    """Eq. 9.3 for every sample, from log-weights (S,)."""
    found = []
    for s in range(len(logw)):
        others = np.exp(np.delete(logw, s))
        own = others.mean()
        if mean == "geometric":
            own = np.exp(np.log(others).mean())
        found.append(np.log((others.sum() + own) / len(logw)))
    return np.array(found)


(z,) = draw(rng, logits, 3, ("z",))
logw = -f(z)[0][:, 0] - log_prob(logits, z)[0][:, 0]  # (S,)
for mean in ("geometric", "arithmetic"):
    baseline = my_baseline(logw, mean)[:, None]
    by_hand = my_gradient(logits, f, z, baseline)
    confirm("9.3", dvae_np.vimco(logits, f, z, mean=mean).dlogits, by_hand)
show(dvae_np.vimco, weigh, log_sum_with)

# %% [markdown]
# The picture shows six samples. Left are their normalised weights. Right is each sample's learning signal: what stands before $\mathrm{score}(z_s)$. Without a baseline all signals are nearly the same large number. With it, they are small, and the best sample has the largest.

# %%
S = 6
(z,) = draw(np.random.default_rng(5), logits, S, ("z",))
logw = -f(z)[0][:, 0] - log_prob(logits, z)[0][:, 0]
share = np.exp(logw) / np.exp(logw).sum()
bound = np.log(np.exp(logw).mean())
with_baseline = bound - my_baseline(logw, "geometric") - share
fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.5, 2.6), layout="constrained"
)
place = np.arange(S)
left.bar(place, share, color="0.6", edgecolor="black")
left.axhline(1 / S, color="black", linestyle="--", linewidth=1)
left.text(S - 0.5, 1 / S, "1/S", ha="right", va="bottom")
left.set(ylabel="normalised weight")
signals = (
    ("no baseline", place - 0.2, bound - share, "white"),
    ("VIMCO", place + 0.2, with_baseline, "0.4"),
)
for name, at, height, shade in signals:
    right.bar(at, height, 0.4, color=shade, edgecolor="black", label=name)
right.axhline(0, color="black", linewidth=0.8)
right.legend(
    loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False
)
right.set(ylabel="learning signal (nats)")
for ax in (left, right):
    ax.set(
        xticks=place, xticklabels=z[:, 0, 0], xlabel="code of the sample"
    )
picture(
    fig,
    "Left: bars of six normalised weights beside the line 1/S. Right: the "
    "learning signals; without a baseline all are nearly equal and large, "
    "with VIMCO's baseline they are near zero and differ.",
)

# %% [markdown]
# **Never subtract one weight from the sum.** The obvious code computes $\log(e^{\mathrm{total}} - w_s)$. If one weight dominates, the difference is $0$ in floating
# point and its logarithm $-\infty$. The library adds the others up anew for each sample. These $S^2$ numbers are nothing beside $S$ decodings.

# %%
lopsided = lookup_table(np.array([500.0, 900.0, 900.0]))
one_of_each = np.arange(3)[:, None, None]  # S = 3 codes, (S, B, N)
found = dvae_np.vimco(np.zeros((1, 1, 3)), lopsided, one_of_each).dlogits[
    0, 0
]
logw = np.array([-500.0, -900.0, -900.0])
with np.errstate(divide="ignore"):
    naive = np.log(np.exp(logw + 500).sum() - np.exp(logw + 500)) - 500
anew = [np.logaddexp.reduce(np.delete(logw, s)) for s in range(3)]
print("log(sum - own weight), the naive way:", naive)
print("log of the others' sum, added up anew:", np.array(anew))
print("the library's gradient, by the latter:", found)

# %% [markdown]
# ## 4 The prior's part
#
# A learned prior stands in the weights too. So hand VIMCO the *joint* objective
#
# $$f(z) = -\log p(x \mid z) - \log p(z) . \tag{9.4}$$
#
# Then $\log w = -f - \log q$. Write $\theta$ for all parameters of $f$, the decoder's and the prior's. They do not move the draws, so there is no score. With $\partial \hat L / \partial \log w_s = \tilde w_s$ as before, the chain rule gives
# $\nabla_{\theta} L_S = \mathbb{E} \sum_s \tilde w_s\, \nabla_{\theta} \log w_s = -\mathbb{E} \sum_s \tilde w_s\, \nabla_{\theta} f(z_s)$.
#
# For the prior's logits, $\nabla f(z_s) = -\bigl(\mathrm{onehot}(z_s) - p\bigr)$ with the prior's probabilities $p$ [Eq. 2.4]. So the bound's gradient is $\mathbb{E} \sum_s \tilde w_s \bigl(\mathrm{onehot}(z_s) - p\bigr)$: the prior moves towards codes with large weights. The estimator need not know of priors. `joint` makes
# such an $f$ from a reconstruction and prior logits:

# %%
table = rng.standard_normal(K)
prior_logits = rng.standard_normal((1, 1, K))
both = joint(lookup_table(table), prior_logits, 1, K)
confirm(
    "9.4", both(codes)[0][:, 0], table - log_softmax(prior_logits)[0][0, 0]
)
z, weights = every_code(logits, 2)
dprior = sum(
    w * dvae_np.vimco(logits, both, z[:, [t]]).dtheta["prior_logits"]
    for t, w in enumerate(weights)
)
numeric = complex_step(
    lambda a: multi_sample_bound(
        logits, joint(lookup_table(table), a["prior"], 1, K), 2
    ).sum(),
    {"prior": prior_logits},
)
confirm("9.4", dprior, numeric["prior"])

# by hand, every pair of codes at once: (S, T, N, K)
logw = -both(z)[0] - log_prob(tiled(logits, len(weights)), z)[0]  # (S, T)
share = np.exp(logw) / np.exp(logw).sum(0)
away = np.eye(K)[z] - softmax(prior_logits)[0]
by_hand = -np.einsum("t,st,stnk->nk", weights, share, away)
confirm("9.4", dprior, by_hand[None])
show(joint)

# %% [markdown]
# ## 5 How tight, and how noisy
#
# Left is the exact bound, from the ELBO at $S = 1$ towards $\log p(x)$. Each further sample gains less. Right is the exact variance of the gradient. Without a baseline it is
# {{ratios[2]:.0f}} times ($S = 2$) to {{ratios[5]:.0f}} times ($S = 5$) that of the geometric mean, and grows with $S$. The two means are the same at $S = 2$. At $S = 5$ the arithmetic one has {{arithmetic:.1f}} times the variance.

# %%
ratios = {
    S: variance(logits, f, S, None) / variance(logits, f, S, "geometric")
    for S in (2, 5)
}
arithmetic = variance(logits, f, 5, "arithmetic") / variance(
    logits, f, 5, "geometric"
)
figure("bound.png")

# %% [markdown]
# How fast the bound closes depends on how far $q$ is from the posterior. At distance 0 the logits are those of the posterior itself, and one sample is
# enough. At distance 1 they are those from above.

# %%
posterior = (log_joint - evidence)[None, None]  # the logits of p(z|x)
samples = (1, 2, 3, 4, 5)
fig, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
for distance, marker in zip((0, 0.5, 1, 1.5, 2), "os^Dv", strict=True):
    moved = posterior + distance * (logits - posterior)
    gaps = [evidence + multi_sample_bound(moved, f, S)[0] for S in samples]
    ax.plot(samples, gaps, "k-", marker=marker, linewidth=1)
    side = "top" if distance == 0 else "bottom"
    ax.text(5.1, gaps[-1], f"distance {distance}", va=side, fontsize=8)
ax.set(xlabel="samples S", ylabel="log p(x) − $L_S$ (nats)")
ax.set(xticks=samples, xlim=(0.9, 5.7), ylim=(-0.3, None))
picture(
    fig,
    "The gap of the bound against the number of samples, for five "
    "distances of q from the posterior: the farther, the larger.",
)

# %% [markdown]
# ## 6 Advanced: add a constant to the signal
#
# More samples give a tighter bound. Do they give a better gradient? Measure the *signal-to-noise ratio* of the gradient $g$: the length of its mean over its standard deviation, here
# $\lVert \mathbb{E}\,g \rVert / \sqrt{\mathrm{Var}[g]}$ with all entries summed. It is known that it can *fall* with $S$ for the encoder (Rainforth et al. 2018). We can measure it exactly.
#
# At $S = 32$ there are $3^{32}$ tuples of three codes, too many to list. But these gradients do not depend on the order of the samples. All that matters is how often each of the $M$ codes was drawn. `every_count` lists these counts with their multinomial probabilities. There are $C(S + M - 1, M - 1)$ of them, {{outcomes:d}} here.

# %%
z, weights = every_count(np.zeros((1, 1, 3)), 32)
outcomes = len(weights)
print(f"{outcomes} outcomes of 32 samples, mass {weights.sum():.12f}")
show(every_count)

# %% [markdown]
# Now look at the learning signal of arithmetic VIMCO again. The other weights have the sum $(1 - \tilde w_s) \sum_t w_t$, so the signal is
#
# $$\hat L - \hat L_{-s} - \tilde w_s = -\log(1 - \tilde w_s) + \log \Bigl(1 - \frac{1}{S}\Bigr) - \tilde w_s .$$
#
# Suppose $q$ is the posterior. Then all weights are equal, $\tilde w_s = 1/S$, and there is nothing to learn. But every signal is $-1/S$. So the gradient is $-\frac{1}{S} \sum_s \mathrm{score}(z_s)$, which is pure noise. The normalised weights add up to one, so the mean of $\tilde w_s$ is always $1/S$. VIMCO's baseline leaves this constant in.
#
# A constant times the score has mean zero. So we may add any constant to all signals, and the mean of the gradient stays. Two choices:
#
# - *centred*: add $1/S$. The signal is then zero where $q$ is the posterior.
# - *OVIS* with $\gamma = 0$ (Liévin et al. 2020): add $-\log(1 - 1/S)$. The signal, about $\tilde w_s^2 / 2$ for a small weight, is then
#
# $$-\log(1 - \tilde w_s) - \tilde w_s . \tag{9.5}$$
#
# The package has it as a row, `ovis`. What its $\gamma$ does is told in lesson 22.

# %%
METHODS = {  # name: (VIMCO's mean, the constant that is added)
    "geometric": ("geometric", lambda S: 0.0),
    "arithmetic": ("arithmetic", lambda S: 0.0),
    "centred": ("arithmetic", lambda S: 1 / S),
    "OVIS 0": ("arithmetic", lambda S: -np.log(1 - 1 / S)),
}


def exact_moments(name, logits, f, S):
    """Mean and variance of the gradient, (N, K) each, over all counts."""
    z, weights = every_count(logits, S)
    many = tiled(logits, len(weights))
    if name == "no baseline":
        return moments(weights, my_gradient(many, f, z))
    mean, constant = METHODS[name]
    dlogits = dvae_np.vimco(many, f, z, mean=mean).dlogits
    added = constant(S) * score(many, z).sum(0)
    return moments(weights, dlogits - added)  # the library minimises


z, weights = every_count(logits, 3)
many = tiled(logits, len(weights))
logw = -f(z)[0] - log_prob(many, z)[0]
share = softmax(logw.T)[0].T
signal = -np.log(1 - share) - share
by_hand = -(signal[..., None, None] * score(many, z)).sum(0)
confirm("9.5", dvae_np.ovis(many, f, z).dlogits, by_hand)


def signal_to_noise(name, logits, f, S):
    mean, variance = exact_moments(name, logits, f, S)
    return np.sqrt((mean**2).sum() / variance.sum())


# %% [markdown]
# We measure on two problems, each with one latent of three categories. In the second $q$ is farther from the posterior. First we check on the first problem that all means are the same, and those of the bound's gradient.


# %%
def problem(seed):
    """Logits of one latent of three categories, and a joint."""
    rng = np.random.default_rng(seed)
    three = rng.standard_normal((1, 1, 3))
    return three, joint(lookup_table(rng.standard_normal(3)), None, 1, 3)


def posterior_of(f):
    return softmax(-f(np.arange(3)[:, None, None])[0][:, 0])[0]


near, far = problem(1), problem(4)
for words, (three, objective) in (("first", near), ("second", far)):
    print(f"{words}: q", softmax(three)[0].ravel().round(2), end=", ")
    print("posterior", posterior_of(objective).round(2))

# the means are equal, and the gradient of the bound
three, objective = near
right = complex_step(
    lambda a: multi_sample_bound(a["logits"], objective, 3).sum(),
    {"logits": three},
)["logits"][0]
largest = {}
for S in (3, 32):
    means = [
        exact_moments(name, three, objective, S)[0]
        for name in ("no baseline", *METHODS)
    ]
    largest[S] = max(abs(mean - means[0]).max() for mean in means)
    if S == 3:
        assert np.allclose(means, right, rtol=1e-10, atol=0)
    print(f"S = {S}: the means differ by at most {largest[S]:.0e}")

# %%
counts = (2, 4, 8, 16, 32)
ratio = {
    (words, name): [signal_to_noise(name, *setting, S) for S in counts]
    for words, setting in (("near", near), ("far", far))
    for name in ("no baseline", *METHODS)
}
fig, axes = plt.subplots(
    1, 2, figsize=(7.5, 3.2), sharey=True, layout="constrained"
)
looks = ("k:x", "k--s", "k--^", "k-o", "k-D")
for ax, words in zip(axes, ("near", "far"), strict=True):
    for name, look in zip(("no baseline", *METHODS), looks, strict=True):
        ax.plot(counts, ratio[words, name], look, markersize=5, label=name)
    ax.set(xscale="log", yscale="log", xlabel="samples S")
    ax.set_xticks(counts, counts)
    ax.minorticks_off()
axes[0].set(ylabel="signal-to-noise, exact", title="first problem")
axes[1].set(title="second problem")
axes[0].legend(fontsize=8, frameon=False)
picture(
    fig,
    "Signal-to-noise against samples. In the first problem it falls for "
    "VIMCO and rises for the centred signal and OVIS 0; in the second the "
    "two lose at few samples and win at 32.",
)

# %% [markdown]
# All five have the same mean, to rounding. In the first problem the signal-to-noise ratio of arithmetic VIMCO *falls* from {{ratio["near", "arithmetic"][0]:.2f}} at $S = 2$ to {{ratio["near", "arithmetic"][-1]:.2f}} at $S = 32$. With the constant it *rises*, to {{ratio["near", "centred"][-1]:.1f}} (centred) and {{ratio["near", "OVIS 0"][-1]:.1f}} (OVIS 0).
#
# In the second problem $q$ puts most of its mass on a code that has little of the posterior's. There the constant *loses* at few samples: at $S = 2$ the ratio is {{ratio["far", "arithmetic"][0]:.2f}} without it, and {{ratio["far", "centred"][0]:.2f}} and {{ratio["far", "OVIS 0"][0]:.2f}} with it. (There even no baseline has more, {{ratio["far", "no baseline"][0]:.2f}}.) At $S = 32$ the centred signal wins here too: {{ratio["far", "centred"][-1]:.1f}} against {{ratio["far", "geometric"][-1]:.1f}} for the geometric mean.
#
# That a constant changes no mean is certain, and OVIS's constant is in their formula. The centred one and these measurements are this course's own, and not reviewed by others. The package's default stays the geometric mean.
#
# **Does training gain as much?** A ratio at one fixed model is no training curve. So train the model of lesson 00 on the bound with $S = 16$: 400 steps of 200 images, three seeds, one step size for all that was not tuned. Then compute $-\log p(x)$ on the test images exactly, and the encoder's own negative ELBO.

# %%
show(trained_on_bound)
reached = {}
for name, (mean, constant) in METHODS.items():
    runs = [trained_on_bound(seed, constant(16), mean) for seed in range(3)]
    reached[name] = np.sort(runs, 0)  # (3, 2): least, median, largest
    (low, least), (middle, own), (high, most) = reached[name]
    print(
        f"{name:10} -log p(x) {middle:.2f} ({low:.2f} to {high:.2f}), "
        f"negative ELBO {own:.2f} ({least:.2f} to {most:.2f})"
    )

# %% [markdown]
# On $-\log p(x)$, which the bound is about, the ranges over the seeds overlap. The signal-to-noise ratio promised far more. The encoder does gain, compared with the same baseline without a constant: the medians of its negative ELBO are {{reached["arithmetic"][1, 1] - reached["centred"][1, 1]:.1f}} (centred) and {{reached["arithmetic"][1, 1] - reached["OVIS 0"][1, 1]:.1f}} nats (OVIS 0) lower, and the ranges do not overlap. Compared with the geometric mean the medians are lower too, but the ranges overlap. So less noise made a better $q$, and hardly a better model.
#
# ## 7 Break it
#
# Take the learning signal alone, without the part through the weights. It looks like REINFORCE with a clever baseline. But its mean is not the gradient of any function of the logits. If it were one, its own derivatives would be second derivatives, which form a *symmetric* matrix. Here they do not:


# %%
def without_the_path(logits, f, z):
    """VIMCO, but for the term with the normalised weights."""
    logw = -f(z)[0] - log_prob(logits, z)[0]
    share = softmax(logw.T)[0].T  # (S, B)
    return dvae_np.vimco(logits, f, z).dlogits - (
        share[..., None, None] * score(logits, z)
    ).sum(0)


wrong, right = exact_mean(without_the_path, 2), slope_of_bound(2)
print(
    "relative error of the mean: "
    f"{np.linalg.norm(wrong - right) / np.linalg.norm(right):.0%}"
)
for estimator in (dvae_np.vimco, without_the_path):
    matrix = np.array(
        [
            exact_mean(estimator, 2, at=logits + move)[0]
            - exact_mean(estimator, 2, at=logits - move)[0]
            for move in 1e-5 * np.eye(K)
        ]
    ) / (2 * 1e-5)  # (K, K): how the mean moves with each logit
    unlike = abs(matrix - matrix.T).max()
    print(
        f"{estimator.__name__:16} largest entry {abs(matrix).max():.2f}, "
        f"largest difference to its mirror image {unlike:.2g}"
    )

# %% [markdown]
# The judge must know what it judges. By default it compares with the gradient of $\mathbb{E}_q[f]$, for which VIMCO is biased. With `bound=True` it compares with the gradient of the bound.
# (On the command line: `python -m dvae_np verify my_file.py:my_function --bound`.)

# %%
for function, bound in (
    (dvae_np.vimco, False),
    (dvae_np.vimco, True),
    (without_the_path, True),
):
    report = judge(function, bound=bound)
    print(
        f"{function.__name__}, bound={bound}: {len(report.failed)} failed"
    )
    for result in report.failed[:1]:
        say(f"{result.verdict}\n{result.explanation}")

# %% [markdown]
# ## Reading
#
# - Y. Burda, R. Grosse, R. Salakhutdinov, *Importance weighted autoencoders*, 2016: the bound.
# - A. Mnih, D. J. Rezende, *Variational inference for Monte Carlo objectives*, 2016: VIMCO.
# - T. Rainforth, A. R. Kosiorek, T. A. Le, C. J. Maddison, M. Igl, F. Wood, Y. W. Teh, *Tighter variational bounds are not necessarily better*, 2018: what a tight bound does to the encoder's gradient.
# - V. Liévin, A. Dittadi, A. Christensen, O. Winther, *Optimal variance control of the score function gradient estimator for importance weighted bounds*, 2020: OVIS.
#
# Next: [10 MuProp and REBAR](10_muprop_and_rebar.ipynb)

# %% [markdown] exercise 09.1: 1 point
# ## 09.1 Implement: the bound of one draw
#
# Write `bound_of(logw)`. The log-weights `logw` are (S, B), in nats. Return $\log \frac{1}{S} \sum_s w_s$ for each example, (B,). It must work for log-weights of -1000,
# also beside others of 0. About 2 lines. For log-weights 0 and $\log 3$ (S = 2, B = 1) you should get $\log 2 = 0.6931$.


# %% solution 09.1
def bound_of(logw):
    """log of the mean weight, (B,)."""
    ### BEGIN SOLUTION
    top = logw.max(0)
    return top + np.log(np.exp(logw - top).mean(0))
    ### END SOLUTION


# %% check 09.1
from dvae_np.lesson import judge

judge("09.1", bound_of)


# %% right 09.1
def bound_of(logw):
    from scipy.special import logsumexp

    return logsumexp(logw, axis=0) - np.log(logw.shape[0])


# %% right 09.1
def bound_of(logw):
    each = []
    for column in logw.T:
        shift = np.sort(column)[-1]
        each.append(shift + np.log(np.mean(np.exp(column - shift))))
    return np.array(each)


# %% wrong 09.1: divide by S
def bound_of(logw):
    top = logw.max(0)
    return top + np.log(np.exp(logw - top).sum(0))


# %% wrong 09.1: the mean of the logs, the ELBO's
def bound_of(logw):
    return logw.mean(0)


# %% wrong 09.1: yours is inf
def bound_of(logw):
    shift = np.median(logw, axis=0)
    return shift + np.log(np.exp(logw - shift).mean(0))


# %% wrong 09.1: yours is
def bound_of(logw):
    return np.log(np.exp(logw).mean(0))


# %% [markdown] exercise 09.2: 3 points
# ## 09.2 Implement: VIMCO with the arithmetic mean
#
# Write `my_vimco(logits, f, z)`. Its inputs are `logits` (B, N, K) and codes `z` (S, B, N), with $S \ge 2$. Return the gradient (B, N, K) of the **negative** bound by [Eq. 9.2], where
# $\hat L_{-s}$ is the log of the mean of the other weights. `f` is the joint, so $\log w = -f - \log q$. `f(z)[0]` and `log_prob(logits, z)[0]` are (S, B), `score(logits, z)` is (S, B, N, K).
# About 6 lines. A loop over the samples is fine.


# %% solution 09.2
def my_vimco(logits, f, z):
    """The gradient of the negative multi-sample bound."""
    ### BEGIN SOLUTION
    logw = -f(z)[0] - log_prob(logits, z)[0]
    w = np.exp(logw)
    bound, share = np.log(w.mean(0)), w / w.sum(0)
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return (
        (share - (bound - baseline))[..., None, None] * score(logits, z)
    ).sum(0)
    ### END SOLUTION


# %% check 09.2
from dvae_np.lesson import judge

judge("09.2", my_vimco)


# %% right 09.2
def my_vimco(logits, f, z):
    logw = -f(z)[0] - log_prob(logits, z)[0]  # (S, B)
    total, gradient = (
        np.logaddexp.reduce(logw, axis=0),
        np.zeros(logits.shape),
    )
    for s in range(len(z)):
        others = np.logaddexp.reduce(np.delete(logw, s, 0), axis=0)
        signal = (
            (total - np.log(len(z)))
            - (others - np.log(len(z) - 1))
            - np.exp(logw[s] - total)
        )
        gradient -= signal[:, None, None] * score(logits, z)[s]
    return gradient


# %% wrong 09.2: turn the sign
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return (
        (np.log(w.mean(0)) - baseline - w / w.sum(0))[..., None, None]
        * score(logits, z)
    ).sum(0)


# %% wrong 09.2: the mean over the samples where they add up
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return (
        (w / w.sum(0) - np.log(w.mean(0)) + baseline)[..., None, None]
        * score(logits, z)
    ).mean(0)


# %% wrong 09.2: write it yourself
def my_vimco(logits, f, z):
    return dvae_np.vimco(logits, f, z, mean="arithmetic").dlogits


# %% wrong 09.2: the gradient without a baseline
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    return (
        (w / w.sum(0) - np.log(w.mean(0)))[..., None, None]
        * score(logits, z)
    ).sum(0)


# %% wrong 09.2: without the weights' own derivative
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return -(
        (np.log(w.mean(0)) - baseline)[..., None, None] * score(logits, z)
    ).sum(0)


# %% [markdown] exercise 09.3: 2 points
# ## 09.3 Derive: two samples
#
# For $S = 2$ and the arithmetic mean the baseline of sample 1 is $\log w_2$, and that of sample 2 is $\log w_1$. So sample 1's whole factor is a function of $r = \log w_1 - \log w_2$
# alone. Write `factor(r)` for an array of $r$: what stands before $\mathrm{score}(z_1)$ in [Eq. 9.2] (for $\nabla L_2$, not the loss). One line. At $r = 0$ you should get $-0.5$, at
# $r = 1$ about $-0.1109$.


# %% solution 09.3
def factor(r):
    """L - L_{-1} - the first normalised weight, for S = 2."""
    ### BEGIN SOLUTION
    return np.log((np.exp(r) + 1) / 2) - 1 / (1 + np.exp(-r))
    ### END SOLUTION


# %% check 09.3
from dvae_np.lesson import judge

judge("09.3", factor)


# %% right 09.3
def factor(r):
    from scipy.special import expit

    return np.logaddexp(0, r) - np.log(2) - expit(r)


# %% wrong 09.3: exchange the roles
def factor(r):
    return np.log((np.exp(-r) + 1) / 2) - 1 / (1 + np.exp(r))


# %% wrong 09.3: the sum in place of the mean
def factor(r):
    return np.log(np.exp(r) + 1) - 1 / (1 + np.exp(-r))


# %% [markdown] exercise 09.4: 3 points
# ## 09.4 Find the bug: a baseline that needs a subtraction
#
# This function returns $\hat L_{-s}$ with the arithmetic mean for all samples, (S, B), by subtracting each weight from the sum. It fails for a dominant weight. Repair it without a
# subtraction of weights, for any $S \ge 2$ (about 2 lines). For log-weights $0$, $-800$, $-800$ (S = 3, B = 1) the first should be exactly $-800$.
#
# ```python
# top = logw.max(0)
# w = np.exp(logw - top)
# return top + np.log(w.sum(0) - w) - np.log(len(logw) - 1)
# ```


# %% solution 09.4
def baselines(logw):
    """log of the mean of the other weights, (S, B)."""
    ### BEGIN SOLUTION
    others = [np.delete(logw, s, 0) for s in range(len(logw))]
    return np.stack(
        [
            each.max(0) + np.log(np.exp(each - each.max(0)).mean(0))
            for each in others
        ]
    )
    ### END SOLUTION


# %% check 09.4
from dvae_np.lesson import judge

judge("09.4", baselines)


# %% right 09.4
def baselines(logw):
    # (S, S, B): row s lacks sample s
    every = np.where(
        np.eye(len(logw), dtype=bool)[:, :, None], -np.inf, logw
    )
    return np.logaddexp.reduce(every, axis=1) - np.log(len(logw) - 1)


# %% wrong 09.4: yours is
def baselines(logw):
    top = logw.max(0)
    w = np.exp(logw - top)
    return top + np.log(w.sum(0) - w) - np.log(len(logw) - 1)


# %% wrong 09.4: divide by S - 1
def baselines(logw):
    others = [np.delete(logw, s, 0) for s in range(len(logw))]
    return np.stack(
        [
            each.max(0) + np.log(np.exp(each - each.max(0)).sum(0))
            for each in others
        ]
    )


# %% wrong 09.1: is wrong at S = 3
def bound_of(logw):
    return np.logaddexp(logw[0], logw[1]) - np.log(2)


# %% wrong 09.4: yours is
def baselines(logw):
    top = logw.max()  # of all the weights, where each example needs its own
    others = [np.delete(logw, s, 0) for s in range(len(logw))]
    return np.stack(
        [top + np.log(np.exp(each - top).mean(0)) for each in others]
    )


# %% [markdown] written 09.W: 3 points
# ## 09.W In words: groups of samples
#
# (a) Section 1 leaves out one weight at a time. Prove more: $L_m \le L_S$ for every $m \le S$, in one step, with *all* groups of $m$ out of the $S$ weights.
# For $m = S - 1$ this is the page's result, $L_{S-1} \le L_S$.
#
# (b) By (a) $L_S \le L_{S+1}$. When are the two equal? Let $q(z) > 0$ for all codes. Say what this means for $q$, and how large the bound is then.
#
# (c) A student decodes ten samples for each image. *I make two groups of five, and average their two values of $\log \frac{1}{5} \sum_s w_s$. This is as good
# a bound as that of ten, and less noisy.* Which bound is it on average? What did the groups save? Half a page in all.

# %% [markdown] model 09.W
# (a) Take all groups of $m$ samples out of the $S$. Each sample is in equally many groups. So the average over all groups of the mean weight of a group is
# $\frac{1}{S} \sum_s w_s$. The logarithm is concave. By Jensen's inequality the logarithm of this average is at least the average of the logarithms of the
# groups' means. Now take the expectation. The left side becomes $L_S$. On the right, every group is $m$ independent draws from $q$, so every term becomes
# $L_m$, and so does their average. Hence $L_S \ge L_m$.
#
# (b) Put $S + 1$ samples and $m = S$. The logarithm is strictly concave. So equality needs, in every draw of positive probability, that all groups have the
# same mean. Two groups that differ by one sample then show that all weights of the draw are equal. As $q(z) > 0$, any two codes can be drawn together. So
# $w = p(x, z) / q(z)$ is the same number for all $z$, and $q$ is the posterior. Then $w = p(x)$, and all bounds are equal to $\log p(x)$.
#
# (c) Each group has the mean $L_5$, and so has the average of two. By (a) $L_5 \le L_{10}$: it is a valid bound, but a looser one, unless $q$ is the
# posterior. The groups saved nothing, as ten codes are decoded either way.
#
# *Marks:* 1 for the proof in (a); 1 for equality, with the posterior; 1 for $L_5$ and the verdict in (c).
