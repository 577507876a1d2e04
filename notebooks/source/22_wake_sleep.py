# %% [markdown]
# # 22 Wake-sleep
#
# **Question.** In all lessons so far a bound on $\log p(x)$ is raised, by averages over $q$, and $q$ depends on the encoder. Could we train the encoder directly on what we want of it, namely the true posterior? And what do we pay?
#
# **After this lesson you can**
# - say what the two KLs between $q$ and the posterior ask of $q$, and why one of them needs no derivative of a law that is drawn from,
# - write the encoder's update of reweighted wake-sleep, and state its bias at $S$ samples,
# - let the encoder learn from dreams, and say how they differ from data,
# - see when weights fail although their signal-to-noise ratio looks healthy, and help with a mixture,
# - place OVIS between the bound and wake-sleep, and the ELBO, $\log p(x)$ and an upper bound on one path,
# - say what each of these trained to on the digits.
#
# *Needs:* lessons 03, 05, 06 and 09. *Takes:* 75 minutes to read and run, 75 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    draw,
    joint_states,
    log_prob,
    log_softmax,
    records,
    score,
    softmax,
)
from dvae_np.check import (
    complex_step,
    every_count,
    judge,
    lookup_table,
    moments,
    multi_sample_bound,
    tiled,
)
from dvae_np.estimators.weights import weigh
from dvae_np.lesson import confirm, picture, say, show, table
from dvae_np.thermodynamic import path, thermodynamic

rng = np.random.default_rng(22)
K = 3  # one latent of three categories: B = N = 1
logits = np.array([[[0.9, 0.2, -1.1]]])
log_joint = np.array([-4.0, -2.5, -3.4])  # log p(x, z) of one x, in nats
f = lookup_table(-log_joint)  # the joint objective, as in lesson 09
codes = np.arange(K)[:, None, None]  # every code, (M, B, N)
logq = log_softmax(logits)[0][0, 0]
q = np.exp(logq)
log_p = np.log(np.exp(log_joint).sum())  # log p(x)
posterior = np.exp(log_joint - log_p)  # p(z|x), (K,)
hot = np.eye(K)


def exact_moments(estimate, S, at=logits, f=f):
    """Mean and variance (N, K) of a gradient over all draws of S codes."""
    z, weights = every_count(at, S)
    found = estimate(tiled(at, len(weights)), f, z)
    return moments(weights, getattr(found, "dlogits", found))


def off(mean, target):
    """The error of a mean, relative to what it should be."""
    return np.linalg.norm(mean - target) / np.linalg.norm(target)


# %% [markdown]
# ## 1 Two KLs
#
# The gap between the ELBO and $\log p(x)$ is $\mathrm{KL}(q \,\|\, p(z \mid x))$, an average over $q$ (lesson 03). This KL is large if $q$ puts mass where the posterior has nearly none. But $q$ may miss a part of the posterior: codes that $q$ never draws add no term. A $q$ that keeps to a part with the mass $m$ pays $-\log m$ only. Turned round, $\mathrm{KL}(p(z \mid x) \,\|\, q)$ is an average over the *posterior*. It is large if $q$ misses a code that the posterior holds for probable. One KL makes $q$ choose, the other makes it cover.
#
# The second one has a simple gradient. $q$ stands in it only in $-\sum_z p(z \mid x) \log q(z)$, and the posterior does not depend on the logits. So only $\log q$ is differentiated, and no draw:
#
# $$\nabla_{\ell}\, \mathrm{KL}(p(z \mid x) \,\|\, q) = -\sum_z p(z \mid x)\, \mathrm{score}(z) = q - \mathbb{E}_{p(z \mid x)}[\mathrm{onehot}(z)] . \tag{22.1}$$
#
# It vanishes if each latent of $q$ has the *marginal* law of the posterior. For independent latents this is the best $q$, in closed form.


# %%
def forward_kl(at):
    """KL(p(z|x) || q), from logits (1, 1, K)."""
    return (
        posterior * (np.log(posterior) - log_softmax(at)[0][0, 0])
    ).sum()


by_hand = q - posterior
numeric = complex_step(
    lambda a: forward_kl(a["logits"]), {"logits": logits}
)
confirm("22.1", by_hand, numeric["logits"][0, 0])

# %% [markdown]
# The picture shows what this means for two latents with six categories each. The posterior on the left has two groups of probable codes. The $q$ for the ELBO, found by descent from one start, takes one group, and pays about $-\log 0.55 = {{-np.log(0.55):.2f}}$ nats; other starts end in the other group. The best $q$ for the other KL has the marginals of the posterior. It covers both groups, and half of its mass lies at two places off the diagonal, where the posterior has nothing.

# %%
place = np.arange(6)
bump = lambda a, b: np.exp(-((place[:, None] - a) ** 2) - (place - b) ** 2)
two_groups = 0.55 * bump(1, 1) + 0.45 * bump(4, 4) + 1e-4
two_groups /= two_groups.sum()  # (6, 6)
marginals = two_groups.sum(1), two_groups.sum(0)

start = np.random.default_rng(1).standard_normal((1, 2, 6))
chosen = start.copy()  # logits, by descent on the negative ELBO
objective = lookup_table(-np.log(two_groups))
for _ in range(400):
    gradient = dvae_np.exact(chosen, objective).dlogits
    uniform_kl = dvae_np.kl(chosen, np.zeros_like(chosen))[1](np.ones(1))
    chosen = chosen - 0.5 * (gradient + uniform_kl[0])
first, second = softmax(chosen)[0][0]
best = {
    "KL(q || p)": np.outer(first, second),
    "KL(p || q)": np.outer(*marginals),
}
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.6), layout="constrained")
shown = {"posterior": two_groups}
shown |= {f"q of least {name}": law for name, law in best.items()}
for ax, (name, law) in zip(axes, shown.items(), strict=True):
    ax.imshow(law, cmap="gray_r", vmin=0)
    ax.set(title=name, xlabel="$z_2$", xticks=place, yticks=place)
axes[0].set_ylabel("$z_1$")
picture(
    fig,
    "Three laws over two latents. The posterior has two groups of codes on "
    "the diagonal. The q of least KL(q || p) is one of the groups; that of "
    "least KL(p || q) has both, and two false ones off the diagonal.",
)
for name, law in best.items():
    print(
        f"q of least {name}: KL(q || p) = "
        f"{(law * np.log(law / two_groups)).sum():.2f}, KL(p || q) = "
        f"{(two_groups * np.log(two_groups / law)).sum():.2f} nats"
    )

# %% [markdown]
# ## 2 Wake-phi: weigh what was drawn
#
# We cannot draw from the posterior. But we can draw from $q$ and weigh, with $w = p(x, z) / q(z)$ from lesson 09. For any function $g$, $\mathbb{E}_q[w\, g] = p(x)\, \mathbb{E}_{p(z \mid x)}[g]$, and $\mathbb{E}_q[w] = p(x)$. Divide one by the other, and put averages over $S$ samples in the place of both:
#
# $$\mathbb{E}_{p(z \mid x)}[g] = \frac{\mathbb{E}_q[w\, g]}{\mathbb{E}_q[w]} \approx \sum_s \tilde w_s\, g(z_s), \qquad \tilde w_s = \frac{w_s}{\sum_r w_r} . \tag{22.2}$$
#
# This is *self-normalised importance sampling*. With $g = -\mathrm{score}$ it estimates [Eq. 22.1]. This is the encoder's update of *reweighted wake-sleep* (Bornschein & Bengio 2015), also called wake-phi, as $\phi$ stands there for the encoder's parameters. One thing is added: the score has mean zero, so a constant may be subtracted from the shares. Their mean is $1/S$:
#
# $$-\sum_s \Bigl(\tilde w_s - \frac{1}{S}\Bigr)\, \mathrm{score}(z_s) . \tag{22.3}$$
#
# In words: a code that weighs more than the average sample becomes more probable, a lighter one less. If $q$ is the posterior, all weights are equal, and the update is zero without noise.


# %%
def my_wake_phi(logits, f, z, centre=True):
    """Eq. 22.3, (B, N, K); without the 1/S where centre is False."""
    logw = -f(z)[0] - log_prob(logits, z)[0]  # (S, B)
    share = softmax(logw.T)[0].T  # w / sum w
    signal = share - centre / len(z)
    return -(signal[..., None, None] * score(logits, z)).sum(0)


z, _ = every_count(logits, 4)
many = tiled(logits, z.shape[1])
confirm(
    "22.3", dvae_np.wake_phi(many, f, z).dlogits, my_wake_phi(many, f, z)
)
w = np.exp(log_joint - logq)
confirm("22.2", (q * w) @ hot / (q @ w), posterior)
show(dvae_np.wake_phi, weigh)

# %% [markdown]
# The mean of a ratio is not the ratio of the means: [Eq. 22.2] is biased. Expand the ratio around the means of numerator and denominator, to second order. What remains on average is $-\frac{1}{S}\, \mathbb{E}_q\bigl[(w / p(x))^2 (g - \mathbb{E}_{p(z \mid x)}[g])\bigr]$. So the bias of wake-phi is, to first order,
#
# $$\frac{1}{S}\, \mathbb{E}_q\Bigl[\Bigl(\frac{w}{p(x)}\Bigr)^2 \bigl(\mathrm{score}(z) - \mathbb{E}_{p(z \mid x)}[\mathrm{score}]\bigr)\Bigr] . \tag{22.4}$$
#
# With `every_count` we have the exact mean at any $S$ (lesson 09, section 6). At one sample the only share is 1: the mean is zero, and nothing is learned. Then the error falls like $1/S$.

# %%
first_order = (posterior**2 / q) @ (hot - posterior)
target = q - posterior
errors, ratio = {}, {}
for S in (1, 2, 8, 32, 128):
    mean, _ = exact_moments(my_wake_phi, S)
    errors[S] = off(mean[0], target)
    for centre in (True, False):
        uneven = lambda *given, c=centre: my_wake_phi(*given, centre=c)
        mean, variance = exact_moments(uneven, S)
        noise = np.sqrt(variance.sum())
        ratio[S, centre] = np.linalg.norm(mean) / noise if noise else 0.0
    print(
        f"S = {S:3}: relative error of the mean {errors[S]:.3f}, "
        f"signal-to-noise {ratio[S, True]:.2f} centred, "
        f"{ratio[S, False]:.2f} not"
    )
S = 256
mean, _ = exact_moments(my_wake_phi, S)
confirm("22.4", S * (mean[0] - target), first_order, tolerance=1e-2)

# %% [markdown]
# The centre costs no evaluation and no bias. It does not always help: where one code takes nearly all shares, it can add noise. Here, at $S = 2$, it raises the signal-to-noise ratio from {{ratio[2, False]:.2f}} to {{ratio[2, True]:.2f}}, and at $S = 128$ from {{ratio[128, False]:.1f}} to {{ratio[128, True]:.1f}}. This ratio *grows* with $S$. That of VIMCO may fall (lesson 09, section 6).
#
# **The decoder's part** is what it was. With the encoder held, the decoder and the prior follow the gradient of the negative bound, $-\sum_s \tilde w_s \nabla_{\theta} \log p(x, z_s)$ (lesson 09, section 4). So the wake phase has two objectives: the bound for the model, the KL for the encoder. There is no *one* function that both descend. The estimator `wake_phi` returns both updates:

# %%
z = draw(rng, logits, 5, ("z",))[0]
both = dvae_np.wake_phi(logits, f, z)
bound = dvae_np.vimco(logits, f, z)
assert np.array_equal(both.dtheta["table"], bound.dtheta["table"])
print("negative bound of these samples:", both.value, "nats")

# %% [markdown]
# ## 3 Sleep: learn from dreams
#
# There is one place where posterior samples are free. Draw a code from the prior, and an image from the decoder: $z \sim p(z)$, $x \sim p(x \mid z)$. Call this pair a *dream*. Given its image, its code is an exact draw from $p(z \mid x)$. So train the encoder to find the code of the dream (Hinton et al. 1995):
#
# $$\mathbb{E}_{p(z)\, p(x \mid z)}[-\log q(z \mid x)] = \mathbb{E}_{p(x)}\bigl[\mathrm{KL}(p(z \mid x) \,\|\, q(z \mid x))\bigr] + \text{constant} . \tag{22.5}$$
#
# This is plain supervised learning: no weights, no bias, one dream at a time. The constant is the mean entropy of the true posteriors. But look at the average: it is over $p(x)$, the images of the *model*, where [Eq. 22.1] has images of the data. Early in training the dreams are noise, and the encoder becomes good at noise.
#
# We check this on a model with three binary pixels, for which all dreams can be listed.

# %%
from dvae_np import parameters, posterior_and_prior, reconstruction
from dvae_np.wake_sleep import sleep

tiny = parameters(rng, 3, 2, 3, (4,), np.float64)  # 3 pixels, N = 2, K = 3
tiny["theta"] = {
    name: rng.standard_normal(a.shape) for name, a in tiny["theta"].items()
}
images = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(float)
states = joint_states(2, 3)  # (9, 2)
shared = np.repeat(states[:, None], 8, 1)  # (9, 8, 2)
nll, _ = reconstruction(tiny["theta"], images)(shared)  # (9, 8)
dream = np.exp(-nll) / 9  # the probability of each dream, (9, 8)


def kl_on_average(psi):
    """E KL + mean entropy of the posteriors, over the model's images."""
    law, _ = posterior_and_prior({**tiny, "psi": psi}, images)
    given_x = dream / dream.sum(0)
    gap = np.log(given_x) - law.log_prob(shared)[0]
    return (dream * (gap - np.log(given_x))).sum()


value, mean = 0.0, 0.0
for m, b in np.ndindex(dream.shape):
    loss, dpsi = sleep(tiny["psi"], images[[b]], states[[m]])
    value = value + dream[m, b] * loss
    mean = mean + dream[m, b] * dpsi["w0"]
confirm("22.5", value, kl_on_average(tiny["psi"]))
numeric = complex_step(kl_on_average, tiny["psi"])
confirm("22.5", mean, numeric["w0"])
show(sleep)

# %% [markdown]
# ## 4 When weights fail
#
# Weights can raise only what was drawn. Let $q$ miss the most probable code: we lower its logit by 12. Among 16 samples it nearly never comes. Then the shares compare the other codes with each other, and the update looks calm and certain:

# %%
missing = logits.copy()
missing[0, 0, posterior.argmax()] -= 12
q_missing = softmax(missing)[0][0, 0]
wanted = q_missing - posterior
calm = {}
for S in (4, 16, 64):
    mean, variance = exact_moments(my_wake_phi, S, at=missing)
    length = np.linalg.norm(mean)
    calm[S] = off(mean[0], wanted), length / np.sqrt(variance.sum())
    print(
        f"S = {S:2}: relative error of the mean {calm[S][0]:.2f}, "
        f"signal-to-noise {calm[S][1]:.1f}"
    )
of_vimco = {}
for S in (16, 64):
    mean, variance = exact_moments(dvae_np.vimco, S, at=missing)
    of_vimco[S] = np.linalg.norm(mean) / np.sqrt(variance.sum())
    print(f"VIMCO, S = {S}: signal-to-noise {of_vimco[S]:.2f}")

# %% [markdown]
# A signal-to-noise ratio of {{calm[64][1]:.0f}}, and an error of {{calm[64][0]:.0%}}. Low noise is not a proof: nearly all draws agree, and all these are wrong. VIMCO, which is unbiased for its bound, warns no earlier: its ratio is {{of_vimco[16]:.1f}} at $S = 16$. At $S = 64$ it is {{of_vimco[64]:.2f}}, as the rare draws of the missing code have huge weights.
#
# A *defensive mixture* helps (Hesterberg 1995; for wake-sleep Le et al. 2019). A share $\delta$ of the draws comes from $u$, which is uniform over all joint states: draw from $r = (1 - \delta)\, q + \delta\, u$, and weigh by $p(x, z) / r(z)$. The score is still that of $q$. But its mean under $r$ is not zero, so the centre must change. A number times $q / r$ does it: $\mathbb{E}_r[(q / r)\, \mathrm{score}] = \mathbb{E}_q[\mathrm{score}] = 0$. (The mixture is over whole codes. A mixture for each latent by itself is possible too, with its own $r$: then often only one latent of a code is uniform.)

# %%
delta = 0.2
r = (1 - delta) * q_missing + delta / K
mixed = {}
for S in (16, 64):
    z, weights = every_count(np.log(r)[None, None], S)  # drawn from r
    share = np.exp(log_joint[z[..., 0]]) / r[z[..., 0]]
    share = share / share.sum(0)  # (S, T)
    centres = {"q / (S r)": (q_missing / r / S)[z[..., 0]], "1 / S": 1 / S}
    for words, centre in centres.items():
        signal = (share - centre)[..., None, None]
        update = -(signal * score(tiled(missing, len(weights)), z)).sum(0)
        mixed[S, words] = off(moments(weights, update)[0][0], wanted)
        print(
            f"S = {S}, centre {words:9}: relative error of the mean "
            f"{mixed[S, words]:.2f}"
        )

# %% [markdown]
# With the right centre the error is {{mixed[16, "q / (S r)"]:.2f}} at $S = 16$ and falls. With $1/S$ a part of it stays, whatever $S$ is.
#
# %% [markdown]
# ## 5 From the bound to wake-sleep: OVIS
#
# Lesson 09 met OVIS, a signal for the bound with the constant chosen well. Its authors have a parameter $\gamma$. Write $L_S$ for the bound, as there. With shares $\tilde w_s$ the signal is $-\log(1 - \tilde w_s) - (1 - \gamma)\, \tilde w_s + \gamma \log(1 - 1/S)$. What does $\gamma$ do to the mean? The difference to $\gamma = 0$ is $\gamma\, \tilde w_s$, and a constant, which has no mean. Compare with [Eq. 22.3]:
#
# $$\mathbb{E}[\text{OVIS}_{\gamma}] = -\nabla_{\ell} L_S + \gamma\; \mathbb{E}[\text{wake-phi}] . \tag{22.6}$$
#
# So $\gamma = 0$ is unbiased for the bound, and $\gamma = 1$, which the authors advise where most samples count, adds a whole update of wake-sleep. How much is that? The gradient of the bound dies like $1/S$, as the bound becomes tight whatever $q$ is. Wake-phi does not die.


# %%
def slope_of_bound(S):
    """The gradient of -L_S in the logits, (N, K)."""
    return complex_step(
        lambda a: multi_sample_bound(a["logits"], f, S).sum(),
        {"logits": logits},
    )["logits"][0]


wake_mean, _ = exact_moments(dvae_np.wake_phi, 4)
for gamma in (0.0, 0.3, 1.0):
    mean, _ = exact_moments(
        lambda *given, g=gamma: dvae_np.ovis(*given, gamma=g), 4
    )
    confirm("22.6", mean, slope_of_bound(4) + gamma * wake_mean)
added = {}
for S in (2, 16, 128):
    plain, _ = exact_moments(dvae_np.ovis, S)
    wake_mean, _ = exact_moments(dvae_np.wake_phi, S)
    added[S] = np.linalg.norm(wake_mean) / np.linalg.norm(plain)
    print(
        f"S = {S:3}: wake-phi is {added[S]:.2f} times as long as the "
        "bound's gradient"
    )
show(dvae_np.ovis)

# %% [markdown]
# At $S = 128$ the sum is wake-sleep, and the bound's own gradient is a small correction. There is a second way to see it. By lesson 09 the gradient of the negative bound has two parts, and the second one is $+\mathbb{E} \sum_s \tilde w_s\, \mathrm{score}(z_s)$. Wake-phi brings the same with a minus. The two cancel: OVIS with $\gamma = 1$ has the mean of a VIMCO that forgets the path through the weights, the mistake of lesson 09, section 7. There it was an accident, here it is an aim.
#
# ## 6 The path between
#
# Raise the weights to a power $t$: $\pi_t(z) \propto q(z)\, w(z)^t$. At $t = 0$ this is $q$, at $t = 1$ the posterior, as $q\, w = p(x, z)$. The logarithm of its normaliser, $\log \sum_z q(z)\, w(z)^t$, is 0 at $t = 0$ and $\log p(x)$ at $t = 1$. Its derivative in $t$ is $\mathbb{E}_{\pi_t}[\log w]$. So the area under the curve of $\mathbb{E}_{\pi_t}[\log w]$ over $t$ is $\log p(x)$. This is *thermodynamic integration*, from statistical physics; Masrani, Le & Wood (2019) made an objective of it:
#
# $$\log p(x) = \int_0^1 \mathbb{E}_{\pi_t}[\log w]\, dt, \qquad \pi_t(z) \propto q(z)\, w(z)^t . \tag{22.7}$$
#
# The curve rises, since its own derivative is the variance of $\log w$ under $\pi_t$. It begins at the ELBO. It ends at $\mathbb{E}_{p(z \mid x)}[\log w] = \log p(x) + \mathrm{KL}(p(z \mid x) \,\|\, q)$, an *upper* bound. Rectangles by the left sides give a lower bound: one rectangle is the ELBO, and a second one adds to it. (In the picture all values are below zero, so areas count as negative.)

# %%
at, quadrature = np.polynomial.legendre.leggauss(30)
area = quadrature / 2 @ path(logits, f, (at + 1) / 2)[:, 0]
confirm("22.7", area, log_p)
elbo, top = path(logits, f, [0.0, 1.0])[:, 0]
confirm("22.7", elbo, q @ (log_joint - logq))
confirm("22.7", top - log_p, posterior @ (np.log(posterior) - logq))

places = np.linspace(0, 1, 101)
curve = path(logits, f, places)[:, 0]
nodes = np.array([0.0, 0.2, 0.5])
heights = path(logits, f, nodes)[:, 0]
low = curve.min() - 0.4
fig, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
widths = np.diff([*nodes, 1])
ax.bar(nodes, heights - low, widths, low, align="edge", color="0.85",
       edgecolor="0.4")  # fmt: skip
ax.plot(places, curve, "k-", linewidth=2)
for level, words, style in (
    (elbo, "ELBO", ":"),
    (log_p, "log p(x)", "--"),
    (top, "log p(x) + KL(p || q)", ":"),
):
    ax.plot([0, 1], [level, level], "C0", linestyle=style, linewidth=1)
    ax.text(1.02, level, words, va="center", fontsize=9)
ax.set(xlabel="t", xlim=(0, 1.28), ylim=(low, top + 0.1))
ax.set_xticks([*nodes, 1])
ax.set_ylabel("$\\mathrm{E}_{\\pi_t}[\\log w]$ (nats)")
left_sum = widths @ heights
picture(
    fig,
    "A rising curve from the ELBO to an upper bound, with three rectangles "
    "below it. The area under the whole curve is log p(x), that of the "
    "rectangles a bound between the ELBO and log p(x).",
)
print(f"ELBO {elbo:.3f}, left sum {left_sum:.3f}, log p(x) {log_p:.3f}")

# %% [markdown]
# The *thermodynamic objective* is such a left sum, and its gradient needs one of $\mathbb{E}_{\pi_t}[\log w]$ at each node $t$. The logits stand in $\pi_t \propto q^{1 - t}\, p(x, z)^t$ and in $\log w$. The derivative of an average under a law that is known up to its normaliser has a covariance in it:
#
# $$\nabla_{\ell}\, \mathbb{E}_{\pi_t}[\log w] = -\mathbb{E}_{\pi_t}[\mathrm{score}] + (1 - t)\, \mathrm{Cov}_{\pi_t}(\mathrm{score}, \log w) . \tag{22.8}$$
#
# Both ends are known. At $t = 0$ the score has mean zero, and the covariance is that of REINFORCE: this is the ELBO's gradient. At $t = 1$ the covariance drops out, and $-\mathbb{E}_{p(z \mid x)}[\mathrm{score}]$ is left: wake-phi descends the *upper* bound.


# %%
def node_gradient(t):
    """Eq. 22.8, (K,), by sums over the codes."""
    logw = log_joint - logq
    pi = softmax(logq + t * logw)[0]
    scores = hot - q
    covariance = (pi * (logw - pi @ logw)) @ scores
    return -pi @ scores + (1 - t) * covariance


for t in (0.0, 0.3, 1.0):
    numeric = complex_step(
        lambda a, t=t: path(a["logits"], f, [t]).sum(), {"logits": logits}
    )
    confirm("22.8", node_gradient(t), numeric["logits"][0, 0])
confirm("22.8", node_gradient(1.0), target)

# %% [markdown]
# With samples, the averages under $\pi_t$ become averages with shares $\mathrm{softmax}(t \log w)$ over the same $S$ draws, so all nodes are paid for once. At $t = 0$ this is leave-one-out, without bias. At a node $t > 0$ it is self-normalised, and biased like [Eq. 22.4]:

# %%
show(thermodynamic)
node_bias = {}
for S in (2, 8, 32):
    for second in (0.1, 0.3):
        pair = (0.0, second)
        mean, _ = exact_moments(
            lambda *given, p=pair: thermodynamic(*given, nodes=p), S
        )
        exact_mean = -(
            second * node_gradient(0.0)
            + (1 - second) * node_gradient(second)
        )
        node_bias[S, second] = off(mean[0], exact_mean)
    print(
        f"S = {S:2}: relative bias with nodes 0, 0.1 "
        f"{node_bias[S, 0.1]:.3f}, with nodes 0, 0.3 "
        f"{node_bias[S, 0.3]:.3f}"
    )

# %% [markdown]
# ## 7 Which of them trains best?
#
# `python -m dvae_np compare --wake-sleep` trains one model of the digits by each method, with {{record["N"]:d}} latents of {{record["K"]:d}} categories and three seeds:
#
# - *exact* and *leave-one-out*: the ELBO (lessons 04 and 06). *VIMCO*, *OVIS*: the multi-sample bound (lesson 09, and section 5).
# - *wake-phi*: section 2. *sleep*: the decoder follows the bound, with $S$ codes of each image, and the encoder follows one dream for each image (section 3). *wake-phi and sleep*: the encoder follows half of each.
# - *thermodynamic*: the left sum of section 6, with nodes at $t = 0, 0.1, 0.3$.
#
# What is best depends on what is asked for. So each method is judged twice. Its step size and its epoch are chosen on the validation images by $-\log p(x)$, and then by the negative ELBO. All numbers are exact, of the test images, and medians over the seeds.

# %%
record = records.read("wake-sleep")
BY_P, BY_ELBO = "negative_log_likelihood", "negative_elbo"


def values(name, what, by):
    """What the three runs of a method reach, chosen by a criterion."""
    return sorted(run[what] for run in record["runs"][name][by]["runs"])


def middle(name, what, by):
    return np.median(values(name, what, by))


whats = BY_P, BY_ELBO, "kl_q_p", "kl_p_q"
heads = "-log p(x)", "negative ELBO", "KL(q \\|\\| p)", "KL(p \\|\\| q)"
for by, words in ((BY_P, "$-\\log p(x)$"), (BY_ELBO, "the negative ELBO")):
    lines = [f"| chosen by {words} | step | {' | '.join(heads)} |"]
    lines.append("|---" * 6 + "|")
    for name, found in record["runs"].items():
        cells = [name, str(found[by]["rate"])]
        cells += [f"{middle(name, what, by):.2f}" for what in whats]
        lines.append("| " + " | ".join(cells) + " |")
    table("\n".join(lines))

ELBO = [
    n for n, run in record["runs"].items() if run["objective"] == "ELBO"
]
BOUND = [n for n in record["runs"] if n.startswith(("VIMCO", "OVIS"))]
DREAMS = [n for n in record["runs"] if "sleep" in n]
WAKE = [n for n in record["runs"] if n.startswith("wake-phi, ")]
LEFT = [n for n in record["runs"] if n.startswith("thermodynamic")]


def between(names, what, by):
    """The least and the largest median among these methods."""
    found = [middle(name, what, by) for name in names]
    return f"{min(found):.1f} to {max(found):.1f}"


def best_of(what, by):
    """The method with the least median, as words with its range."""
    name = min(record["runs"], key=lambda each: middle(each, what, by))
    low, at, high = values(name, what, by)
    return f"{name}: {at:.2f} ({low:.2f} to {high:.2f})"


steps_tried = ", ".join(map(str, record["rates"]))


def of_exact(what, by):
    low, at, high = values("exact", what, by)
    return f"{at:.2f} ({low:.2f} to {high:.2f})"


# %% [markdown]
# How to read it.
#
# - *As a model*, by $-\log p(x)$, the first table: the least median is that of {{best_of(BY_P, BY_P):s}} nats. The bound (VIMCO, OVIS) reaches {{between(BOUND, BY_P, BY_P):s}}, methods with dreams {{between(DREAMS, BY_P, BY_P):s}}, wake-phi alone {{between(WAKE, BY_P, BY_P):s}}, the path {{between(LEFT, BY_P, BY_P):s}}. The exact gradient of the ELBO gives {{of_exact(BY_P, BY_P):s}}. So where $p(x)$ counts, another objective may help, and a better gradient of the ELBO would not. Some of the ranges overlap.
# - *By the ELBO*, the second table: the least median is that of {{best_of(BY_ELBO, BY_ELBO):s}} nats, and the ELBO's own methods have {{between(ELBO, BY_ELBO, BY_ELBO):s}}. The path has {{between(LEFT, BY_ELBO, BY_ELBO):s}}, dreams {{between(DREAMS, BY_ELBO, BY_ELBO):s}}, the bound {{between(BOUND, BY_ELBO, BY_ELBO):s}}.
# - *The encoder.* Chosen by the ELBO, the least $\mathrm{KL}(p \,\|\, q)$ is that of {{best_of("kl_p_q", BY_ELBO):s}}: dreams do what they are made for. But each model has a posterior of its own, so compare the KLs of two models with care.
# - *The criterion decides as much as the objective.* VIMCO with $S = 16$ has a $\mathrm{KL}(q \,\|\, p)$ of {{middle("VIMCO, S = 16", "kl_q_p", BY_P):.1f}} nats in the first table, with a large step, and {{middle("VIMCO, S = 16", "kl_q_p", BY_ELBO):.1f}} in the second, with a small one. A large step is good for the decoder and bad for the encoder here.
#
# Who wants $p(x)$, or samples, should try the bound or dreams, and judge by $\log p(x)$. Who needs $q$ itself, one code for an image, should stay with the ELBO. This is one small model, on small images, of three seeds. The steps that were tried are {{steps_tried:s}}; the smallest was often chosen in the second table.
#
# ## 8 Break it
#
# In a framework, wake-phi is often written as a loss, $-\sum_s \tilde w_s \log q(z_s)$. The shares must be held: they depend on the logits too, through $q$ in $w$. If nothing stops the gradient there, it flows through them. The number that is printed as the loss is the same:


# %%
def loss_with_open_weights(arrays, z):
    """A bug: the shares are differentiated too."""
    logq = log_prob(arrays["logits"], z)[0]
    logw = -f(z)[0] - logq
    share = softmax(logw.T)[0].T
    return -(share * logq).sum()


def open_weights(logits, f, z):
    """Its gradient by hand: two parts too many."""
    logq, logw = log_prob(logits, z)[0], -f(z)[0] - log_prob(logits, z)[0]
    share = softmax(logw.T)[0].T  # (S, B)
    excess = share * (logq - (share * logq).sum(0))
    return ((excess - share)[..., None, None] * score(logits, z)).sum(0)


z = draw(rng, logits, 4, ("z",))[0]
numeric = complex_step(
    lambda a: loss_with_open_weights(a, z), {"logits": logits}
)
assert np.allclose(numeric["logits"], open_weights(logits, f, z))
for S in (32, 128):
    broken, _ = exact_moments(open_weights, S)
    print(
        f"S = {S}: relative error of the mean "
        f"{off(broken[0], target):.2f}, of wake-phi {errors[S]:.3f}"
    )

# %% [markdown]
# This error does not go to zero. The judge sees it draw by draw, if it is told which row the function claims to be:

# %%
for function in (my_wake_phi, open_weights):
    report = judge(function, like="wake_phi")
    print(f"{function.__name__}: {len(report.failed)} failed")
    for result in report.failed[:1]:
        say(result.verdict)

# %% [markdown]
# ## Reading
#
# - G. E. Hinton, P. Dayan, B. J. Frey, R. M. Neal, *The wake-sleep algorithm for unsupervised neural networks*, 1995: dreams.
# - J. Bornschein, Y. Bengio, *Reweighted wake-sleep*, 2015: the weights, in both phases.
# - T. Hesterberg, *Weighted average importance sampling and defensive mixture distributions*, 1995.
# - T. A. Le, A. R. Kosiorek, N. Siddharth, Y. W. Teh, F. Wood, *Revisiting reweighted wake-sleep for models with stochastic control flow*, 2019: when it beats gradients of the bound; the defensive mixture.
# - V. Masrani, T. A. Le, F. Wood, *The thermodynamic variational objective*, 2019: the path.
# - V. Liévin, A. Dittadi, A. Christensen, O. Winther, *Optimal variance control of the score function gradient estimator for importance weighted bounds*, 2020: OVIS.
#
# Next: [23 A map of the field](23_map_of_the_field.ipynb)

# %% [markdown] exercise 22.1: 2 points
# ## 22.1 Implement: wake-phi
#
# Write `wake(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N), and `f` the joint, so that $\log w = -f - \log q$. Return the gradient (B, N, K) of [Eq. 22.3], with the $1/S$. `f(z)[0]` and `log_prob(logits, z)[0]` are (S, B), `score(logits, z)` is (S, B, N, K). The log-weights may be -1000, so subtract the largest before you take exponentials. About 4 lines.


# %% solution 22.1
def wake(logits, f, z):
    """The encoder's update of reweighted wake-sleep."""
    ### BEGIN SOLUTION
    logw = -f(z)[0] - log_prob(logits, z)[0]
    share = np.exp(logw - logw.max(0))
    share = share / share.sum(0)
    return ((1 / len(z) - share)[..., None, None] * score(logits, z)).sum(0)
    ### END SOLUTION


# %% check 22.1
from dvae_np.lesson import judge

judge("22.1", wake)


# %% right 22.1
def wake(logits, f, z):
    logw = -f(z)[0] - log_prob(logits, z)[0]
    total, share = 0, softmax(logw.T)[0].T
    for s in range(len(z)):
        total = total - (share[s] - 1 / len(z))[:, None, None] * (
            np.eye(logits.shape[-1])[z[s]] - softmax(logits)[0]
        )
    return total


# %% wrong 22.1: a flipped sign
def wake(logits, f, z):
    logw = -f(z)[0] - log_prob(logits, z)[0]
    share = softmax(logw.T)[0].T
    return ((share - 1 / len(z))[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.1: without the 1/S
def wake(logits, f, z):
    logw = -f(z)[0] - log_prob(logits, z)[0]
    share = softmax(logw.T)[0].T
    return (-share[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.1: log q
def wake(logits, f, z):
    share = softmax(-f(z)[0].T)[0].T
    return ((1 / len(z) - share)[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.1: divide
def wake(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    return (-(w - w.mean(0))[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.1: add up
def wake(logits, f, z):
    logw = -f(z)[0] - log_prob(logits, z)[0]
    share = softmax(logw.T)[0].T
    return ((1 / len(z) - share)[..., None, None] * score(logits, z)).mean(
        0
    )


# %% wrong 22.1: the shares are differentiated
def wake(logits, f, z):
    logq = log_prob(logits, z)[0]
    share = softmax((-f(z)[0] - logq).T)[0].T
    excess = share * (logq - (share * logq).sum(0)) - share
    return (excess[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.1: over the samples
def wake(logits, f, z):
    share = softmax(-f(z)[0] - log_prob(logits, z)[0])[0]
    return ((1 / len(z) - share)[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.1: write it yourself
def wake(logits, f, z):
    return dvae_np.wake_phi(logits, f, z).dlogits


# %% [markdown] exercise 22.2: 2 points
# ## 22.2 Derive: the bias at two samples
#
# For $S = 2$ and one latent the mean of wake-phi can be written down. Write `mean_of_two(q, posterior)`, both (K,): the exact mean (K,) of [Eq. 22.3] over all pairs of draws. Use $w \propto p(z \mid x) / q(z)$. About 4 lines; a loop over pairs of codes is fine. For $q = (0.5, 0.5)$ and a posterior of $(0.75, 0.25)$ you should get $(-0.125, 0.125)$.


# %% solution 22.2
def mean_of_two(q, posterior):
    """E over z_1 and z_2 of the update, (K,)."""
    ### BEGIN SOLUTION
    w = posterior / q
    share = w[:, None] / (w[:, None] + w)  # of the first, (K, K)
    return 2 * (q[:, None] * q * (0.5 - share)).sum(1)
    ### END SOLUTION


# %% check 22.2
from dvae_np.lesson import judge

judge("22.2", mean_of_two)


# %% right 22.2
def mean_of_two(q, posterior):
    w, total = posterior / q, np.zeros(len(q))
    for i in range(len(q)):
        for j in range(len(q)):
            for own in (i, j):
                share = w[own] / (w[i] + w[j])
                away = np.eye(len(q))[own] - q
                total -= q[i] * q[j] * (share - 0.5) * away
    return total


# %% wrong 22.2: the limit of many samples
def mean_of_two(q, posterior):
    return q - posterior


# %% wrong 22.2: a flipped sign
def mean_of_two(q, posterior):
    w = posterior / q
    share = w[:, None] / (w[:, None] + w)
    return 2 * (q[:, None] * q * (share - 0.5)).sum(1)


# %% wrong 22.2: of one of the two samples
def mean_of_two(q, posterior):
    w = posterior / q
    share = w[:, None] / (w[:, None] + w)
    return (q[:, None] * q * (0.5 - share)).sum(1)


# %% wrong 22.2: weights without q
def mean_of_two(q, posterior):
    share = posterior[:, None] / (posterior[:, None] + posterior)
    return 2 * (q[:, None] * q * (0.5 - share)).sum(1)


# %% wrong 22.2: first order
def mean_of_two(q, posterior):
    bias = (posterior**2 / q) @ (np.eye(len(q)) - posterior)
    return q - posterior + bias / 2


# %% [markdown] exercise 22.3: 2 points
# ## 22.3 Find the bug: a mixture that is weighed as if it were q
#
# This function draws from the mixture $r = (1 - \delta)\, q + \delta\, u$ of section 4, but weighs by $p(x, z) / q(z)$. So rare codes get weights that are far too large. Correct it. `logits` (B, N, K), `f` the joint, codes `z` (S, B, N) drawn from $r$, `delta` a number. $u$ is uniform over all $K^N$ joint states. Return the update without a centre, (B, N, K). As it was:
#
# ```python
# log_r = log_prob(logits, z)[0]
# ```


# %% solution 22.3
def mixed_wake(logits, f, z, delta):
    """Wake-phi for codes from the mixture."""
    _, N, K = logits.shape
    ### BEGIN SOLUTION
    q_of_z = np.exp(log_prob(logits, z)[0])  # (S, B)
    log_r = np.log((1 - delta) * q_of_z + delta / K**N)
    ### END SOLUTION
    share = softmax((-f(z)[0] - log_r).T)[0].T
    return -(share[..., None, None] * score(logits, z)).sum(0)


# %% check 22.3
from dvae_np.lesson import judge

judge("22.3", mixed_wake)


# %% right 22.3
def mixed_wake(logits, f, z, delta):
    _, N, K = logits.shape
    logq = log_prob(logits, z)[0]
    log_r = np.logaddexp(
        np.log1p(-delta) + logq, np.log(delta) - N * np.log(K)
    )
    logw = -f(z)[0] - log_r
    w = np.exp(logw - logw.max(0))
    return -((w / w.sum(0))[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.3: weighed as if they were drawn from q
def mixed_wake(logits, f, z, delta):
    log_r = log_prob(logits, z)[0]
    share = softmax((-f(z)[0] - log_r).T)[0].T
    return -(share[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.3: each latent is mixed
def mixed_wake(logits, f, z, delta):
    q, K = softmax(logits)[0], logits.shape[-1]
    r = (1 - delta) * q + delta / K
    log_r = log_prob(np.log(r), z)[0]
    share = softmax((-f(z)[0] - log_r).T)[0].T
    return -(share[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.3: all joint states
def mixed_wake(logits, f, z, delta):
    q_of_z = np.exp(log_prob(logits, z)[0])
    log_r = np.log((1 - delta) * q_of_z + delta / logits.shape[-1])
    share = softmax((-f(z)[0] - log_r).T)[0].T
    return -(share[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.3: the roles of q and the uniform law
def mixed_wake(logits, f, z, delta):
    _, N, K = logits.shape
    q_of_z = np.exp(log_prob(logits, z)[0])
    log_r = np.log(delta * q_of_z + (1 - delta) / K**N)
    share = softmax((-f(z)[0] - log_r).T)[0].T
    return -(share[..., None, None] * score(logits, z)).sum(0)


# %% wrong 22.3: mean under r is not zero
def mixed_wake(logits, f, z, delta):
    _, N, K = logits.shape
    q_of_z = np.exp(log_prob(logits, z)[0])
    log_r = np.log((1 - delta) * q_of_z + delta / K**N)
    share = softmax((-f(z)[0] - log_r).T)[0].T
    return ((1 / len(z) - share)[..., None, None] * score(logits, z)).sum(0)


# %% [markdown] exercise 22.4: 3 points
# ## 22.4 Implement: one node of the path
#
# Write `node(logits, log_joint, t)`: `logits` and `log_joint` (K,), of one latent, and the place `t` from 0 to 1. Return two things: $\mathbb{E}_{\pi_t}[\log w]$, a number, and its gradient in the logits, (K,), by [Eq. 22.8]. The sums are over all codes, not over draws, so $q$ stands in $\pi_t$. Compute in logs, as the log-joint may be -1000. About 6 lines. At $t = 1$ the gradient should be $q$ less the posterior.


# %% solution 22.4
def node(logits, log_joint, t):
    """E_(pi_t)[log w] and its gradient."""
    ### BEGIN SOLUTION
    logq = logits - logits.max()
    logq = logq - np.log(np.exp(logq).sum())
    logw = log_joint - logq
    pi = np.exp(logq + t * logw - (logq + t * logw).max())
    pi = pi / pi.sum()
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, (pi * ((1 - t) * (logw - value) - 1)) @ scores
    ### END SOLUTION


# %% check 22.4
from dvae_np.lesson import judge

judge("22.4", node)


# %% right 22.4
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax((1 - t) * logq + t * log_joint)[0]
    mean = (pi * logw).sum()
    inner = pi * ((1 - t) * (logw - mean))  # sums to zero
    return mean, inner - pi + np.exp(logq)


# %% wrong 22.4: the factor 1 - t
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax(logq + t * logw)[0]
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, (pi * ((logw - value) - 1)) @ scores


# %% wrong 22.4: t in the place of 1 - t
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax(logq + t * logw)[0]
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, (pi * (t * (logw - value) - 1)) @ scores


# %% wrong 22.4: log q in log w
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax(logq + t * logw)[0]
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, (1 - t) * (pi * (logw - value)) @ scores


# %% wrong 22.4: a flipped sign
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax(logq + t * logw)[0]
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, -(pi * ((1 - t) * (logw - value) - 1)) @ scores


# %% wrong 22.4: without q
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax(t * logw)[0]
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, (pi * ((1 - t) * (logw - value) - 1)) @ scores


# %% wrong 22.4: q w to the power t
def node(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi = softmax(t * (logq + logw))[0]
    value, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return value, (pi * ((1 - t) * (logw - value) - 1)) @ scores


# %% [markdown] written 22.W: 3 points
# ## 22.W In words: what is learned
#
# (a) The encoder has independent latents, and the true posterior is that of XOR: the codes 01 and 10 with probability one half each. What $q$ do the two KLs ask for? Give both KLs for both; they may be infinite.
#
# (b) A student trains decoder and encoder by reweighted wake-sleep with very many samples, and reports the ELBO. *As $S$ is huge, the encoder is perfect.* Is it? And does the reported ELBO come near $\log p(x)$?
#
# (c) Another student trains the encoder in sleep alone, from the first step on; the decoder follows the bound, with codes of real images from this encoder. Why may this go badly at first, and what could keep it bad, although the tables of section 7 show no harm? Half a page in all.

# %% [markdown] model 22.W
# (a) $\mathrm{KL}(q \,\|\, p)$ is infinite if $q$ gives probability to 00 or 11. So $q$ must be certain of one of the two codes, 01 or 10. Then $\mathrm{KL}(q \,\|\, p) = \log 2$, and $\mathrm{KL}(p \,\|\, q)$ is infinite. The other KL asks for the marginals: both latents uniform. Then $\mathrm{KL}(p \,\|\, q) = \log 2$, as each of the two codes has $q = \frac{1}{4}$ and $p = \frac{1}{2}$. And $\mathrm{KL}(q \,\|\, p)$ is infinite: half of what $q$ draws is impossible.
#
# (b) With many samples the update is unbiased in the limit, for $\mathrm{KL}(p \,\|\, q)$. So the encoder comes to the best $q$ of its family in *this* KL: the marginals of the posterior, as far as the network can say them. It is perfect only if the posterior is a product. The ELBO's gap is the other KL. It may be large, as in (a), though the model is good. So the student should report $\log p(x)$, or the bound with many samples, beside the ELBO.
#
# (c) The dreams are images of the model, which knows nothing at first: they look like noise. The encoder learns to explain noise, and its codes for real images are arbitrary. The decoder learns from these codes. If the model improves all the same, the dreams come nearer to the data, and the encoder follows. But nothing in the sleep phase looks at data. If the model never produces some kind of image, the encoder is never trained on it, and so the decoder gets poor codes for it: it may stay this way.
#
# *Marks:* 1 for both laws and KLs in (a); 1 for the marginals and the other KL in (b); 1 for dreams that are not data in (c).
