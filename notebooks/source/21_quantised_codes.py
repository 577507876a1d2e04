# %% [markdown]
# # 21 Quantised codes
#
# **Question.** A VQ-VAE draws nothing. Its encoder gives a vector, and the code is the entry of a *codebook* that lies nearest to this vector. What has this to do with the categorical VAE of the other lessons, and which gradient does it follow?
#
# **After this lesson you can**
# - write a VQ-VAE's quantiser as the cold end of a softmax over distances,
# - say which derivative its straight-through gradient drops, and at which temperature the copy would be right,
# - write the two distances of its loss, with what each of them holds still, and catch the most copied mistake,
# - move a codebook by moving averages, see it collapse, measure that, and repair it,
# - turn a gradient by the rotation trick, and say what the trick is not,
# - quantise without a codebook, by rounding or by signs, and name a trap of each,
# - state the likelihood bound of a VQ-VAE, and compare it with categorical VAEs of the same size.
#
# *Needs:* lessons 03, 04, 07 and 08 (a section: 20). *Takes:* 105 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np import (
    exact,
    joint_states,
    records,
    softmax,
    straight_through,
)
from dvae_np.check import comparison, complex_step
from dvae_np.codebook import (
    Averages,
    Rotation,
    distortion,
    nearest,
    perplexity,
    quantise,
    squared_distances,
)
from dvae_np.lesson import confirm, picture, say, show, table

rng = np.random.default_rng(21)
B, K, D = 12, 8, 2  # examples, entries of the codebook, size of a vector
codebook = rng.standard_normal((K, D))
e = rng.standard_normal((B, D))  # what an encoder gave for 12 images
weights = 1.5 * rng.standard_normal((D, 3))
pixels = np.array([1.0, 0.0, 1.0])


def f(y):
    """-log p(x|y) of an image of three pixels, in nats: (...,)."""
    a = y @ weights
    return (np.log(1 + np.exp(a)) - pixels * a).sum(-1)


def slope(y):
    """The gradient of f: (..., D)."""
    return (1 / (1 + np.exp(-y @ weights)) - pixels) @ weights.T


# %% [markdown]
# ## 1 A softmax over distances
#
# The encoder of this lesson gives no logits. It gives a vector $e$ of a few numbers, two in our pictures. A *codebook* has $K$ entries $c_1, \dots, c_K$, which are vectors of the same size. In the code, $D$ is that size. How do we get a law over the $K$ codes? An entry that is near should be probable. So take minus the squared distance, divided by a temperature $T$, as the logit:
#
# $$\ell_k = -\frac{\lVert e - c_k \rVert^2}{T}, \qquad q = \mathrm{softmax}(\ell) . \tag{21.1}$$
#
# This is a categorical encoder like that of lesson 02, with logits of a special form. It is also a law that you may know from clustering. Give each entry a round Gaussian with variance $T/2$. Then $q$ says how probable it is that $e$ came from each of them.


# %%
def soft(e, T):
    """q (B, K) of vectors e (B, D)."""
    gap = e[:, None] - codebook  # (B, K, D)
    return softmax(-(gap**2).sum(-1) / T)[0]


T = 0.7
distances, _ = squared_distances(e[:, None], codebook)  # (B, 1, K)
confirm("21.1", soft(e, T), softmax(-distances / T)[0][:, 0])
bells = np.exp(-distances[:, 0] / (2 * (T / 2)))  # with variance T / 2
confirm("21.1", soft(e, T), bells / bells.sum(1, keepdims=True))

# %% [markdown]
# Now let $T$ fall. The logits grow apart, and $q$ becomes certain of the nearest entry. The decoder gets this entry, $y$:
#
# $$z = \arg\min_k \lVert e - c_k \rVert^2, \qquad y = c_z . \tag{21.2}$$
#
# This is the quantiser of a *VQ-VAE* (vector-quantised VAE). VQ stands for *vector quantisation*: a vector is exchanged for one of $K$.

# %%
(y, z), _ = quantise(e[:, None], codebook)  # (B, 1, D) and (B, 1)
confirm("21.2", soft(e, 1e-3) @ codebook, y[:, 0])
confirm("21.2", soft(e, 1e-3).argmax(1), z[:, 0])

# %% [markdown]
# The picture shows both. On the left, squares are entries of the codebook, and dots are outputs of the encoder, each joined to its entry. The lines separate the regions of the entries. All vectors in one region get the same code. Such a partition is called a *Voronoi diagram*. On the right, $q$ of one encoder output, the one with a ring, as the temperature falls from right to left.

# %%
side = np.linspace(-2.6, 2.6, 261)
plane = np.stack(np.meshgrid(side, side), -1).reshape(-1, 1, 2)
region = nearest(plane, codebook).reshape(261, 261)
temperatures = np.geomspace(0.03, 30, 60)
laws = np.array([soft(e[2:3], each)[0] for each in temperatures])
fig, (ax, right) = plt.subplots(1, 2, figsize=(7.5, 3.5),
                                layout="constrained")  # fmt: skip
for k in range(K):
    ax.contour(side, side, region == k, [0.5], colors="0.5", linewidths=1)
    ax.text(*(codebook[k] + 0.1), k)
for one, entry in zip(e, y[:, 0], strict=True):
    ax.plot(*np.transpose([one, entry]), "C1-", linewidth=1)
ax.plot(*codebook.T, "ks", *e.T, "C1o", markersize=5)
ax.plot(*e[2], "ko", markersize=12, fillstyle="none")
ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-2.6, 2.6),
       ylim=(-2.6, 2.6))  # fmt: skip
closest = np.argsort(distances[2, 0])[:3]
for k, style in zip(closest, ("-", "--", ":"), strict=True):
    right.semilogx(temperatures, laws[:, k], style, label=f"entry {k}")
right.axhline(1 / K, color="0.7", linewidth=1)
right.set(xlabel="temperature T", ylabel="q of the ringed vector")
right.legend()
picture(
    fig,
    "Left: eight entries of a codebook as squares, their regions, and "
    "twelve vectors as dots, each joined to its entry. Right: "
    "as the temperature falls, the probability of one entry goes to 1.",
)

# %% [markdown]
# ## 2 Which derivative is dropped
#
# What becomes of the exact gradient on the way to $T = 0$? Let $f(y)$ be the loss of the decoder, $-\log p(x \mid y)$. At $T > 0$ the loss is $\mathbb{E}_q[f(c_z)] = \sum_k q_k f(c_k)$, a finite sum (lesson 04). Its gradient in the logits is $q_k (f(c_k) - \mathbb{E}_q f)$. By [Eq. 21.1] the logits change with $e$ as $\nabla_e \ell_k = 2 (c_k - e) / T$. Multiply and add. The part with $e$ drops out, as the gradient in the logits sums to zero, and a covariance is left:
#
# $$\nabla_e\, \mathbb{E}_q[f(c_z)] = \frac{2}{T} \sum_k q_k \bigl(f(c_k) - \mathbb{E}_q f\bigr)\, c_k = \frac{2}{T}\, \mathrm{Cov}_q\bigl(c_z, f(c_z)\bigr) . \tag{21.3}$$
#
# Straight-through (lesson 08) draws a code, takes the slope $f'$ of $f$ there, and goes back through the softmax as if nothing had been drawn. In its mean the values $f(c_k)$ are replaced by a linear function with the average slope. So the covariance with $f$ becomes a matrix, the covariance of the entries themselves, times that slope:
#
# $$\mathbb{E}[\text{straight-through}] = \frac{2}{T}\, \mathrm{Cov}_q(c_z)\; \mathbb{E}_q[f'(c_z)] . \tag{21.4}$$

# %%
one = e[2]


def covariances(e, T):
    """(2 / T) Cov_q(c, f), (2 / T) Cov_q(c) E f', both (D,), and KL."""
    q = soft(e[None], T)[0]
    around = codebook - q @ codebook  # (K, D)
    exact_gradient = 2 / T * (q * f(codebook)) @ around
    spread = 2 / T * around.T @ (q[:, None] * around)  # (D, D)
    kl = (q * np.log(np.maximum(q, 1e-300) * K)).sum()
    return exact_gradient, spread @ (q @ slope(codebook)), kl


def soft_loss(arrays):
    gap = arrays["e"] - codebook
    return softmax(-(gap**2).sum(-1) / T)[0] @ f(codebook)


by_sum, through, _ = covariances(one, T)
confirm("21.3", by_sum, complex_step(soft_loss, {"e": one})["e"])

# now by the library's estimators, which know nothing of distances
distances, distances_backward = squared_distances(one[None, None], codebook)
to_e = lambda dlogits: distances_backward(-dlogits / T)[0][0, 0]


def f_of_codes(codes):
    """f for the library: whole codes (S, B, N), or one-hot ones."""
    hot = codes if codes.dtype.kind == "f" else np.eye(K)[codes]
    y = hot[:, :, 0] @ codebook
    back = lambda dfz: (dfz[..., None] * (slope(y) @ codebook.T))[
        :, :, None
    ]
    return f(y), lambda dfz: (back(dfz), {})


logits = -distances / T  # (1, 1, K)
every = np.arange(K)[:, None, None]
each = [
    straight_through(logits, f_of_codes, every[[k]]).dlogits
    for k in range(K)
]
mean = np.tensordot(softmax(logits)[0][0, 0], each, 1)
confirm("21.3", by_sum, to_e(exact(logits, f_of_codes).dlogits))
confirm("21.4", through, to_e(mean))

# %% [markdown]
# In the cold, $q$ is certain of one entry, and a certain law has no covariance. So both gradients vanish, and they do it fast. Let the second-nearest entry have a squared distance that is larger by $\Delta$. Its probability is then about $e^{-\Delta / T}$ times that of the nearest. If $e$ moves a little, its nearest entry stays the same, and so does the loss. The KL to a uniform prior goes to $\log K$, and its gradient vanishes too.
#
# So a VQ-VAE needs another gradient. It takes the slope at the entry, and *copies* it to $e$:
#
# $$de = f'(y), \qquad \text{the identity in the place of } \frac{2}{T}\, \mathrm{Cov}_q(c_z) . \tag{21.5}$$
#
# This is called straight-through as well, but it goes through no softmax. In words: $y$ depends on $e$ by the choice of the entry alone, and if $e$ moves a little, $y$ stays. This derivative, which is zero, is dropped. Instead $y$ is treated as $e$ plus a constant, so it moves as $e$ does.

# %%
show(quantise)
(y, z), quantise_backward = quantise(e[:, None], codebook)
de = quantise_backward(slope(y))[:, 0]
shift = y[:, 0] - e  # a constant
as_if = complex_step(lambda arrays: f(arrays["e"] + shift).sum(), {"e": e})
confirm("21.5", de, as_if["e"])
for cold in (3, 0.3, 0.1, 0.03):
    first, second, kl = covariances(one, cold)
    print(
        f"T {cold:4}: exact {np.linalg.norm(first):.0e}, straight-through "
        f"{np.linalg.norm(second):.0e}, copy {np.linalg.norm(de[2]):.1f}, "
        f"KL {kl:.3f}"
    )
print(f"log K = {np.log(K):.3f} nats")

# %% [markdown]
# When would the identity be right? Call the sum of all bells $Z = \sum_k e^{-\lVert e - c_k \rVert^2 / T}$. Two derivatives of its logarithm bring the covariance back:
#
# $$\frac{2}{T}\, \mathrm{Cov}_q(c_z) = I + \frac{T}{2}\, \nabla_e^2 \log Z ,$$
#
# with the identity matrix $I$. So the copy is right where $\log Z$ has no curvature, and this is so where the bells overlap to a flat roof. Take numbers instead of vectors, and entries on a lattice: $c_k = k h$ for all whole $k$, with the spacing $h$. Then $Z$ is a wave in $e$ of period $h$ around a constant. Its first harmonic has the relative size $2 e^{-\pi^2 T / h^2}$, and the others are far smaller. Two derivatives of the wave give a factor $4 \pi^2 / h^2$. So the largest error of the identity is, but for terms of higher order,
#
# $$\max_e\, \Bigl\lvert \frac{2}{T}\, \mathrm{Var}_q(c_z) - 1 \Bigr\rvert = 4 \pi^2\, \frac{T}{h^2}\, e^{-\pi^2 T / h^2} . \tag{21.6}$$


# %%
def largest_error(ratio):
    """Of the identity, on a lattice of spacing 1 at T = ratio."""
    lattice, worst = np.arange(-40, 41), 0
    for at in np.linspace(0, 1, 101):
        q = softmax(-((at - lattice) ** 2) / ratio)[0]
        variance = q @ lattice**2 - (q @ lattice) ** 2
        worst = max(worst, abs(2 / ratio * variance - 1))
    return worst


def wave(ratio):
    return 4 * np.pi**2 * ratio * np.exp(-(np.pi**2) * ratio)


confirm("21.6", largest_error(0.5), wave(0.5), tolerance=0.02)
confirm("21.6", largest_error(1.0), wave(1.0), tolerance=1e-3)
ratios = np.linspace(0.15, 2, 38)
sizes = np.array([
    [np.linalg.norm(part) for part in covariances(one, each)[:2]]
    for each in temperatures
])  # fmt: skip
fig, (ax, right) = plt.subplots(1, 2, figsize=(7.5, 3.1),
                                layout="constrained")  # fmt: skip
ax.loglog(temperatures, sizes[:, 0], "-", label="exact")
ax.loglog(temperatures, sizes[:, 1], "--", label="straight-through")
ax.axhline(np.linalg.norm(de[2]), color="k", linestyle=":", label="copy")
ax.set(xlabel="temperature T", ylabel="length of the gradient",
       ylim=(1e-8, 10))  # fmt: skip
ax.legend()
right.semilogy(ratios, [largest_error(each) for each in ratios], "o",
               markersize=4, label="measured")  # fmt: skip
right.semilogy(ratios, wave(ratios), "k-", linewidth=1, label="Eq. 21.6")
right.set(xlabel="T / h²", ylabel="largest error of the identity")
right.legend()
picture(
    fig,
    "Left: as the temperature falls, the exact gradient and "
    "straight-through fall to zero, and the copy stays. Right: on a "
    "lattice the error of the identity falls exponentially in T / h².",
)

# %% [markdown]
# At $T = h^2$ the identity is right to {{wave(1.0):.3f}}, whatever $f$ is, and at $T = h^2 / 2$ to {{largest_error(0.5):.2f}}. At $T = h^2 / 4$ its error is {{largest_error(0.25):.1f}}. So the copied gradient belongs to a *warm* law on a regular codebook, while the decoder sees the *cold* one. At a single $e$ it does not approximate the gradient of the cold loss, which is zero. What it may approximate is how the *average* loss changes if a whole cloud of vectors moves: some of them then cross a border. Section 5 measures that.
#
# ## 3 Two distances keep encoder and codebook together
#
# The copy gives the codebook no gradient: $y$ is treated as $e$ plus a constant. So what moves the entries? And what keeps $e$ near them? A VQ-VAE adds the squared distance between $e$ and its entry, twice. Each time one side is held still, which is written $\mathrm{sg}$ (stop gradient):
#
# $$f(y) + \lVert \mathrm{sg}(e) - c_z \rVert^2 + \beta\, \lVert e - \mathrm{sg}(c_z) \rVert^2 , \qquad de = f'(y) + 2 \beta\, (e - c_z), \qquad dc_k = \sum_{b:\, z_b = k} 2\, (c_k - e_b) . \tag{21.7}$$
#
# The first distance is the *codebook loss*: it moves the entries to the vectors. The second is the *commitment loss*: it keeps the encoder at its entry. In this lesson $\beta$ is its weight, as in the literature, and not that of the KL. The paper uses a quarter. The sum over $b$ runs over the vectors of the batch that have the code $k$. The library calls the squared distance `distortion`; elsewhere in this course that word is the name of the reconstruction loss.
#
# As $T$ falls, $-T \log Z$ goes to the squared distance to the nearest entry. Minimising it in the codebook fits the Gaussians of section 1, and in the cold this is *k-means*.

# %%
beta = 0.25
codes = z[:, 0]  # (B,)
gap = e - codebook[codes]  # (B, D)
de_by_hand = slope(codebook[codes]) + beta * 2 * gap
dcodebook_by_hand = np.zeros((K, D))
np.add.at(dcodebook_by_hand, codes, -2 * gap)  # adds up repeated codes

# %% [markdown]
# A stopped side is a constant. So the complex step gets copies of the arrays that do not move. This is the published loss, and its derivative:

# %%
held_e, held_codebook = e.copy(), codebook.copy()


def published(arrays):
    """Eq. 21.7 of the whole batch, with y as e plus a constant."""
    moving_e, moving_c = arrays["e"], arrays["codebook"]
    first = ((held_e - moving_c[codes]) ** 2).sum()
    second = ((moving_e - held_codebook[codes]) ** 2).sum()
    return f(moving_e + shift).sum() + first + beta * second


right_ones = complex_step(published, {"e": e, "codebook": codebook})
confirm("21.7", de_by_hand, right_ones["e"])
confirm("21.7", dcodebook_by_hand, right_ones["codebook"])
_, distortion_backward = distortion(e[:, None], codebook, z)
far_de, dcodebook = distortion_backward(np.ones(B))
confirm("21.7", slope(codebook[codes]) + beta * far_de[:, 0], de_by_hand)
confirm("21.7", dcodebook, dcodebook_by_hand)

# %% [markdown]
# The two distances have the same value, and only the stops tell them apart. So $\beta$ easily gets to the wrong one. This mistake stood in [taming-transformers](https://github.com/CompVis/taming-transformers/issues/57), the code of VQGAN, and stands in much other public code, for instance in [1d-tokenizer](https://github.com/bytedance/1d-tokenizer/pull/120). The value of the loss is the same, and training goes on. Here is what the complex step says:

# %%
swapped_de = slope(codebook[codes]) + far_de[:, 0]
say(comparison("dcodebook", beta * dcodebook, right_ones["codebook"]))
say(comparison("de", swapped_de, right_ones["e"]))

# %% [markdown]
# The codebook moves at a quarter of its speed, and the commitment has four times its weight, relative to it. It is another loss than the one that is reported.
#
# ## 4 A codebook of moving averages
#
# The codebook loss is a sum of squares. Its minimum is known: each entry is the mean of its vectors. But the encoder moves too, and a batch shows only some vectors. So many VQ-VAEs keep moving averages, of the number of vectors that an entry got, $\hat w_k$, and of their sum, $\hat m_k$. With $w_k$ and $m_k$ of one batch, and $\gamma$ a little below 1:
#
# $$\hat w_k \leftarrow \gamma\, \hat w_k + (1 - \gamma)\, w_k, \qquad \hat m_k \leftarrow \gamma\, \hat m_k + (1 - \gamma)\, m_k, \qquad c_k = \hat m_k / \hat w_k .$$
#
# Write the new entry as the old one plus a difference, and use $\hat m_k = \hat w_k c_k$ for the old averages:
#
# $$c_k^{\text{new}} = c_k - \frac{1 - \gamma}{\hat w_k^{\text{new}}}\, \sum_{b:\, z_b = k} (c_k - e_b) . \tag{21.8}$$
#
# The sum is half of $dc_k$ in [Eq. 21.7]. So moving averages are gradient descent on half the codebook loss, and each entry has a step size of its own: large for an entry that gets few vectors. (The baseline of [Eq. 6.3] was such a moving average.) An entry that gets nothing stays where it is.

# %%
gamma = 0.9
w_hat = rng.uniform(0.5, 3, K)
m_hat = w_hat[:, None] * codebook
hot = np.eye(K)[codes]  # (B, K)
w_new = gamma * w_hat + (1 - gamma) * hot.sum(0)
m_new = gamma * m_hat + (1 - gamma) * hot.T @ e
moved = m_new / w_new[:, None]
step = (1 - gamma) / w_new
confirm("21.8", moved, codebook - step[:, None] * dcodebook / 2)
library = Averages(w_hat, m_hat).moved(e[:, None], z, gamma)
confirm("21.8", library.codebook, moved)
unused = sorted(set(range(K)) - set(codes.tolist()))
print("entries that got nothing:", unused)
print(f"they moved by {abs(moved - codebook)[unused].max():.0e}")

# %% [markdown]
# This is also why codebooks *collapse* (*codebook collapse*, *dead codes*). An entry that is nobody's nearest gets no gradient. It stays where it is, and the encoder has no reason to come. If the entries begin far from the vectors, one entry may be the nearest of all vectors. How do we see it? By the *perplexity* of the shares $\bar q_k$, how often each code occurs:
#
# $$e^{H(\bar q)}, \qquad H(\bar q) = -\sum_k \bar q_k \log \bar q_k . \tag{21.9}$$
#
# It is 1 if all vectors have one code, and $K$ if all codes are equally frequent. It is the perplexity of [Eq. 19.1], for a law that is certain.

# %%
shares = np.bincount(codes, minlength=K) / B
used = shares[shares > 0]
confirm("21.9", perplexity(z, K), np.exp(-(used * np.log(used)).sum()))
print(f"{len(used)} of {K} codes, perplexity {perplexity(z, K):.2f}")

# %% [markdown]
# Here is the collapse in a second. The vectors come from 16 clusters, and the codebook has 32 entries. Two remedies are in use. Entries may begin *from data*, at vectors of the first batch. Or dead entries, those with a small $\hat w_k$, *restart* at a vector of the present batch.

# %%
centres = 3 + 4 * rng.standard_normal((16, 8))


def batch(size=256):
    """Vectors (size, 1, 8) from the clusters."""
    which = rng.integers(16, size=size)
    return (centres[which] + 0.3 * rng.standard_normal((size, 8)))[:, None]


def perplexity_after(start, restarts, steps=300):
    averages = Averages.of(start)
    for _ in range(steps):
        vectors = batch()
        at = nearest(vectors, averages.codebook)
        averages = averages.moved(vectors, at)
        if restarts:
            averages = averages.restarted(vectors, rng)
    return perplexity(nearest(batch(), averages.codebook), 32)


small = rng.uniform(-1 / 32, 1 / 32, (32, 8))
found = {
    "small numbers": perplexity_after(small, False),
    "small numbers, restarts": perplexity_after(small, True),
    "from data": perplexity_after(batch(32)[:, 0], False),
}
for name, value in found.items():
    print(f"{name:24} perplexity {value:4.1f} of 32")

# %% [markdown]
# ## 5 The rotation trick
#
# Must it be a copy? Fifty et al. (2025) look at $y$ in another way. Some rotation turns the direction of $e$ into that of its entry, and some factor makes the lengths equal. So $y$ is a matrix times $e$, and if we hold the matrix still, its transpose takes the gradient back. Let $\hat e$ and $\hat c$ be the unit vectors along $e$ and $c_z$, and $r$ the unit vector along $\hat e + \hat c$. With the identity matrix $I$,
#
# $$y = \lambda R\, e, \qquad \lambda = \frac{\lVert c_z \rVert}{\lVert e \rVert}, \qquad R = I - 2\, r r^{\top} + 2\, \hat c\, \hat e^{\top}, \qquad de = \lambda R^{\top} f'(y) . \tag{21.10}$$
#
# $R$ is a rotation. It turns $\hat e$ into $\hat c$, and leaves alone what is orthogonal to both. So the angle between the gradient and the vector is kept: that between $de$ and $e$ is the one between $f'(y)$ and $c_z$. The copy keeps the direction of the gradient in space instead.

# %%
unit = lambda vector: vector / np.linalg.norm(vector)
entry = codebook[codes[2]]
e_hat, c_hat = unit(one), unit(entry)
r = unit(e_hat + c_hat)
R = np.eye(D) - 2 * np.outer(r, r) + 2 * np.outer(c_hat, e_hat)
lam = np.linalg.norm(entry) / np.linalg.norm(one)
confirm("21.10", lam * R @ one, entry)
confirm("21.10", R @ R.T, np.eye(D))
(y, z), rotation_backward = quantise(e[:, None], codebook, "rotate")
turned = rotation_backward(slope(y))
confirm("21.10", turned[2, 0], lam * R.T @ slope(entry))
held = Rotation.between(e[:, None], y)  # the matrices, which stay
as_if = complex_step(
    lambda arrays: f(held.ahead(arrays["e"])).sum(), {"e": e[:, None]}
)
confirm("21.10", turned, as_if["e"])
angle = unit(turned[2, 0]) @ e_hat, unit(slope(entry)) @ c_hat
confirm("21.10", *angle)

# %% [markdown]
# If $e$ and $c_z$ point in opposite directions, no plane of rotation is given, and the library copies. If $e$ is short, $\lambda$ is large, and so is the gradient.
#
# Is it a better gradient? At a single $e$ both are substitutes for zero. So take a cloud of vectors around a centre, with standard deviation `s`, and ask how the mean loss of the cloud changes with the centre. This has an exact answer, by a fine grid. We compare it with the means of the two substitutes, for 16 entries around the origin, and again after centres and entries have *all* been moved by 4. Such a move changes no code and no exact gradient.

# %%
axis = np.linspace(-4, 4, 101)
noise = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, D)
chance = np.exp(-(noise**2).sum(1) / 2)
chance /= chance.sum()
many, cloud_centres = rng.standard_normal((2, 16, D))
off = {}
for moved_by in (0, 4):
    for s in (0.15, 0.5, 1.0):
        errors = []
        for centre in cloud_centres:
            cloud = (moved_by + centre + s * noise)[:, None]
            (near, _), back = quantise(cloud, many + moved_by, "rotate")
            near = near - moved_by
            wanted = chance * f(near[:, 0]) @ noise / s
            substitutes = slope(near), back(slope(near))
            errors.append([
                np.linalg.norm(chance @ each[:, 0] - wanted)
                / np.linalg.norm(wanted)
                for each in substitutes
            ])  # fmt: skip
        off[moved_by, s] = np.median(errors, 0)
        copy, rotation = off[moved_by, s]
        print(
            f"moved by {moved_by}, s = {s:4}: relative error of the copy "
            f"{copy:.2f}, of the rotation {rotation:.2f}"
        )

# %% [markdown]
# Both are far from the exact gradient of a narrow cloud, in which few vectors lie at a border. The copy does not know where the origin is: its errors are the same after the move. The rotation does: at a standard deviation of 1 its error goes from {{off[0, 1.0][1]:.2f}} to {{off[4, 1.0][1]:.2f}}, where the copy has {{off[0, 1.0][0]:.2f}} both times. So the rotation trick is a *different* update. It may be nearer to the exact gradient or farther from it, and which of the two depends on where the codebook lies. Its authors report better use of the codebook and better reconstructions of images. That is a finding about training; of this the page has one row in the table of section 7.

# %% [markdown]
# ## 6 Without a codebook
#
# Must a codebook learn? If its entries stand still, on a lattice, nothing is searched: to quantise is to round. *Finite scalar quantisation* (FSQ, Mentzer et al. 2023) gives each number of the encoder $L$ levels. First a bounded curve, then the rounding:
#
# $$y = \mathrm{round}\bigl(\mathrm{half} \cdot \tanh(e + \mathrm{shift}) - \mathrm{off}\bigr) + \mathrm{off}, \qquad de = dy\; \mathrm{half}\, \bigl(1 - \tanh^2(e + \mathrm{shift})\bigr) . \tag{21.11}$$
#
# Here $\mathrm{half}$ is a little more than $(L - 1) / 2$, $\mathrm{off}$ is $1/2$ for an even $L$ and 0 for an odd one, and $\tanh(\mathrm{shift}) = \mathrm{off} / \mathrm{half}$, so that $e = 0$ lies in the middle of a level. The gradient passes over the rounding, and keeps the slope of the curve. The lattice has the spacing 1. So by [Eq. 21.6] passing over the rounding is nearly straight-through a softmax over the lattice at a temperature of about 1, as long as the curve is not near its ends. Several such numbers make one code: 4 and 4 levels are 16 codes. There is no codebook loss and no commitment.

# %%
from dvae_np.scalar_codes import entropies, rounded, signs


def my_rounded(e, L, dy):
    """y and de of Eq. 21.11, for e (B,)."""
    half, off = (L - 1) * 1.001 / 2, 0.5 * (L % 2 == 0)
    t = np.tanh(e + np.arctanh(off / half))
    return np.round(t * half - off) + off, dy * half * (1 - t**2)


levels = (3, 4, 5)
numbers = rng.standard_normal((1000, 3))
(fixed, digits), rounded_backward = rounded(numbers, levels)
de_rounded = rounded_backward(np.ones_like(numbers))
for n, L in enumerate(levels):
    mine = my_rounded(numbers[:, n], L, 1.0)
    confirm("21.11", mine[0], fixed[:, n])
    confirm("21.11", mine[1], de_rounded[:, n])
    print(f"{L} levels:", *sorted(set(fixed[:, n].tolist())))

# %% [markdown]
# The trap is $L = 2$. The formula allows it, and it asks for a shift so large that nearly every $e$ gets the same code, with a gradient near zero. The library refuses fewer than three levels. Here are normal numbers $e$:

# %%
normal = rng.standard_normal(100_000)
two, two_slopes = my_rounded(normal, 2, 1.0)
share = np.mean(two == two[0])
at_zero = my_rounded(np.zeros(1), 2, 1.0)[1][0]
print(f"L = 2: {share:.2%} of the codes are the same")
print(f"slope at e = 0: {at_zero:.4f}")

# %% [markdown]
# For two levels there is a better way: the sign. *Look-up-free quantisation* (LFQ, Yu et al. 2023) takes $y_n = \pm 1$ for each number, and copies the gradient. It is the codebook $\{-1, 1\}$ of every axis. Its soft law is a sigmoid, as $(e + 1)^2 - (e - 1)^2 = 4 e$.
#
# LFQ is trained with a further term that asks for *diverse* codes: the entropy of the batch's mean law, $\bar q(z) = \frac{1}{B} \sum_b \prod_n q(z_n \mid x_b)$, shall be large. But $\bar q$ has $2^N$ codes. For many bits it is cheaper to add up the entropies of the single bits, and this is an upper bound only:
#
# $$q(z_n = 1) = \sigma(4 e_n / T), \qquad H(\bar q) \;\le\; \sum_n H(\bar q_n) . \tag{21.12}$$
#
# The difference is the KL of $\bar q$ to the product of its marginals $\bar q_n$: what the bits know of each other. Bits that are independent given $x$ need not be so on average. In the last lines below all bits of a vector have one sign, so only two codes occur.

# %%
bits = rng.standard_normal((6, 3))  # six examples, three bits
(plus_minus, bit), _ = signs(bits)
(as_entry, as_code), _ = quantise(
    bits[..., None], np.array([[-1.0], [1.0]])
)
confirm("21.12", plus_minus, as_entry[..., 0])
confirm("21.12", bit, as_code)
q_one = 1 / (1 + np.exp(-4 * bits / T))
two_entries = np.array([-1.0, 1.0])
soft_bits = softmax(-((bits[..., None] - two_entries) ** 2) / T)[0]
confirm("21.12", q_one, soft_bits[..., 1])


def joint_and_sum(q_one):
    """H of the mean law, the sum over its bits, and the KL between."""
    states = joint_states(q_one.shape[1], 2)[:, None]  # (M, 1, N)
    mean = np.where(states, q_one, 1 - q_one).prod(2).mean(1)  # (M,)
    middle = q_one.mean(0)
    alone = np.where(states[:, 0], middle, 1 - middle).prod(1)
    kl = (mean * np.log(mean / alone)).sum()
    return -(mean * np.log(mean)).sum(), -(mean * np.log(alone)).sum(), kl


joint, bound, knows = joint_and_sum(q_one)
confirm("21.12", bound, entropies(bits, T)[1])
confirm("21.12", bound - joint, knows)

# all bits of a vector have the same sign: two codes alone occur
same = np.repeat(np.sign(rng.standard_normal((256, 1))), 6, 1)
joint_6, bound_6, _ = joint_and_sum(1 / (1 + np.exp(-4 * same / T)))
print(f"six bits, codes there are by the bound: {np.exp(bound_6):.1f}")
print(f"codes there are: {np.exp(joint_6):.1f}")

# %% [markdown]
# ## 7 A VQ-VAE has a likelihood bound
#
# Has a VQ-VAE a likelihood? Yes. Its decoder gives $p(x \mid z)$, and with a prior over codes it is a discrete VAE. Its posterior is certain of one code. Put this into the negative ELBO of lesson 03: a certain law has no entropy, so the KL is $-\log p(z)$ of that code. With the uniform prior this is $N \log K$ for $N$ latents:
#
# $$-\log p(x) \;\le\; -\log p(x \mid z) - \log p(z), \qquad -\log p(z) = N \log K \text{ for the uniform prior} . \tag{21.13}$$
#
# The gap is $-\log p(z \mid x)$, of the code that was chosen. $-\log p(z)$ is the price of the code, and with the uniform prior all codes have the same price. After training the codes are known, so a better prior can be fitted to those of the training images, for instance the autoregressive one of lesson 20, section 9. Its $-\log p(z)$ takes the place of $N \log K$, and the sum is still a bound.
#
# Here is a VQ-VAE of the digits: {{quantiser.N:d}} latents of {{quantiser.K:d}} codes each, with a codebook of moving averages that begins from data. `show` folds the training loop, which is short.

# %%
from dvae_np import vq_vae
from dvae_np.experiments.quantised import (
    STUDIES,
    fitted_prior,
    kinds_of,
    train,
)
from dvae_np.train import load

show(train, vq_vae.loss_and_gradients)
data, kinds = load("digits"), kinds_of(STUDIES["digits"])
kind = kinds["averages, from data"]
quantiser = kind.quantiser
params = train(kind, data.train.x, seed=0, epochs=30)
test = data.test.x
nll, _, _, digit_codes, _ = vq_vae.loss_and_gradients(
    params, test, quantiser
)
price = quantiser.N * np.log(quantiser.K)
print(f"-log p(x|z)                  {nll.mean():6.2f} nats")
print(f"bound with the uniform prior {nll.mean() + price:6.2f} nats")
train_codes = vq_vae.codes(params, data.train.x, quantiser)
length = fitted_prior(train_codes, quantiser.K)(digit_codes).mean()
print(f"bound with a fitted prior    {nll.mean() + length:6.2f} nats")

# %% [markdown]
# For one test image we decode all $K^N$ codes, {{len(every_code):,}} of them, and add up:

# %%

every_code = joint_states(quantiser.N, quantiser.K)  # (K^N, N)
image = np.broadcast_to(test[:1], (len(every_code), test.shape[1]))
losses = vq_vae.reconstruction_of(params, image, every_code, quantiser)
joint_log = -losses.astype(float) - price  # log p(x, z)
log_p = np.logaddexp.reduce(joint_log, 0)
chosen = np.flatnonzero((every_code == digit_codes[0]).all(1))[0]
gap = (nll[0] + price) + log_p
confirm("21.13", gap, log_p - joint_log[chosen], tolerance=1e-4)
print(f"-log p(x) = {-log_p:.2f} nats, bound {nll[0] + price:.2f}")

# %%

a = vq_vae.coded(params, test[:10], quantiser)[1].reshape(10, -1)
theta = params["theta"]  # one hidden layer of relu
hidden = np.maximum(a @ theta["w0"] + theta["b0"], 0)
means = 1 / (1 + np.exp(-(hidden @ theta["w1"] + theta["b1"])))
fig, axes = plt.subplots(2, 10, figsize=(7.5, 1.7), layout="constrained")
for column, images in zip(axes.T, zip(test, means, strict=False),
                          strict=True):  # fmt: skip
    for ax, image in zip(column, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("x")
axes[1, 0].set_ylabel("decoded")
picture(
    fig,
    "Ten test digits, and below each what the decoder makes of its "
    "codes: blurred digits, some of them others than the ones above.",
)

# %% [markdown]
# `python -m dvae_np compare --quantised` trains such models for longer, with three seeds, beside categorical VAEs of the same size: equally many latents and codes, the same networks and steps. The table gives medians, and the range over the seeds. "Gradient" and "averages" say how the codebook moves; it begins at normal numbers where nothing else is said. "Learned prior" is fitted after training for the quantised models, and trained beside the model for the categorical ones. "PyTorch" is the model from data once more, by PyTorch's layers, autograd and Adam.

# %%
record = records.read("quantised")


def spread(runs, what):
    values = [run[what] for run in runs if what in run]
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{np.median(values):.1f} ({low:.1f} to {high:.1f})"


heads = "-log p(x\\|z)", "uniform prior", "learned prior", "perplexity"
whats = "reconstruction", "uniform", "learned", "perplexity"
lines = [f"| model | {' | '.join(heads)} |", "|---" * 5 + "|"]
for name, runs in record["runs"].items():
    cells = [name, *(spread(runs, what) for what in whats)]
    lines.append("| " + " | ".join(cells) + " |")
table("\n".join(lines))


def middle(name, what, record=record):
    return np.median([run[what] for run in record["runs"][name]])


def best(family, what, record=record):
    return min(
        middle(name, what, record)
        for name, runs in record["runs"].items()
        if name.startswith(family) and what in runs[0]
    )


mnist, ours, theirs = (
    records.read("quantised-mnist"),
    *(f"{maker}: averages, from data" for maker in ("VQ", "PyTorch")),
)


# %% [markdown]
# How to read it.
#
# - *Use of the codebook.* From a small start the perplexity, in the mean over the latents, is {{middle("VQ: averages, small start", "perplexity"):.1f}} of {{record["K"]:d}}. With restarts it is {{middle("VQ: averages, restarts", "perplexity"):.1f}}, and {{middle("VQ: averages, from data", "perplexity"):.1f}} from data. Scalar codes have no codebook that could die, but codes may stay unused all the same: {{middle("VQ: rounded, 4 x 4 levels", "perplexity"):.1f}} for rounding and {{middle("VQ: 4 signs", "perplexity"):.1f}} for signs.
# - *The rotation* has a bound of {{middle("VQ: rotation, from data", "learned"):.1f}} nats with the fitted prior, the copy from the same start {{middle("VQ: averages, from data", "learned"):.1f}}. Look at the ranges before you call one of them better.
# - *The price of the code.* The uniform prior charges {{record["N"] * np.log(record["K"]):.1f}} nats for every image. A fitted prior takes {{middle("VQ: averages, from data", "uniform") - middle("VQ: averages, from data", "learned"):.1f}} nats off the bound of the model from data.
# - *Beside categorical VAEs.* The lowest median of a quantised model is {{best("VQ", "uniform"):.1f}} nats with the uniform prior and {{best("VQ", "learned"):.1f}} with a learned one; of a categorical model {{best("VAE", "uniform"):.1f}} and {{best("VAE", "learned"):.1f}}. The lowest medians of the reconstruction alone are {{best("VQ", "reconstruction"):.1f}} and {{best("VAE", "reconstruction"):.1f}}. The two families do not minimise the same: a VQ-VAE pays for a code whatever it is, and minimises the reconstruction. A categorical VAE may stay undecided, and its KL is then below $N \log K$. So compare bounds, not reconstructions.
# - *Beside PyTorch.* Over {{len(record["runs"][ours]):d}} seeds each, the model from data reconstructs with a loss of {{spread(record["runs"][ours], "reconstruction"):s}} nats here and {{spread(record["runs"][theirs], "reconstruction"):s}} in PyTorch, and its perplexity is {{spread(record["runs"][ours], "perplexity"):s}} here and {{spread(record["runs"][theirs], "perplexity"):s}} there. From the same start both take the same steps, which a test confirms. So this is how far seeds alone go apart, and what three seeds show may be chance.
#
# `python -m dvae_np compare --quantised mnist` does the same on MNIST, with {{mnist["N"]:d}} latents of {{mnist["K"]:d}} codes, for {{mnist["epochs"]:d}} epochs ([the whole table](../figures/README.md#quantised-codes)). The model from data has a loss of {{spread(mnist["runs"][ours], "reconstruction"):s}} nats here and {{spread(mnist["runs"][theirs], "reconstruction"):s}} in PyTorch, and perplexities of {{spread(mnist["runs"][ours], "perplexity"):s}} and {{spread(mnist["runs"][theirs], "perplexity"):s}}. The lowest median bound of a quantised model is {{best("VQ", "uniform", mnist):.1f}} nats with the uniform prior and {{best("VQ", "learned", mnist):.1f}} with a learned one, and of a categorical model {{best("VAE", "uniform", mnist):.1f}} and {{best("VAE", "learned", mnist):.1f}}.
#
# So few epochs show what learns fast, not what each family can reach. And these are small models, at one size for each data set. They say what to measure. They do not say which family is better elsewhere.
#
# ## 8 Break it
#
# In a framework, the copy is one line: `y = e + stop(c - e)`, which *patches* the value of the entry into $e$. It must come after the two distances. In [one public code](https://github.com/andylolu2/jax-vqvae-gpt/issues/2) it came before, and in [another](https://github.com/showlab/Olaf-World/issues/8) the codebook loss got the patched value. All printed numbers stay right, since $y$ has the right value. But its derivative is that of $e$. So the codebook loss moves the encoder, and nothing moves the codebook. The complex step shows both:


# %%
def patched_too_early(arrays):
    """A bug: both distances see y = e + a constant."""
    patched = arrays["e"] + shift
    held_patched = held_codebook[codes]
    first = ((held_e - patched) ** 2).sum()
    second = ((arrays["e"] - held_patched) ** 2).sum()
    return f(patched).sum() + first + beta * second


arrays = {"e": e, "codebook": codebook}
broken = complex_step(patched_too_early, arrays)
print(f"the loss {patched_too_early(arrays):.6f}")
print(f"as it should be {published(arrays):.6f}")
say(comparison("dcodebook", broken["codebook"], right_ones["codebook"]))
say(comparison("de", broken["e"], right_ones["e"]))
pull = broken["e"] - slope(codebook[codes])
towards = pull.ravel() @ far_de.ravel() / (far_de**2).sum()
print(f"weight of the distance in de: {towards:.2f} instead of {beta}")

# %% [markdown]
# The weight of the commitment is now $\beta - 1$, which is negative: the encoder is driven *away* from its entries, and these stay where they began.
#
# ## Reading
#
# - A. van den Oord, O. Vinyals, K. Kavukcuoglu, *Neural discrete representation learning*, 2017: the VQ-VAE; its appendix has the moving averages.
# - A. Razavi, A. van den Oord, O. Vinyals, *Generating diverse high-fidelity images with VQ-VAE-2*, 2019: moving averages at scale, and a strong prior over the codes.
# - F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, *Finite scalar quantization: VQ-VAE made simple*, 2023: rounding.
# - L. Yu et al., *Language model beats diffusion: tokenizer is key to visual generation*, 2023: signs.
# - C. Fifty et al., *Restructuring vector quantization with the rotation trick*, 2025.
#
# Next: [23 A map of the field](23_map_of_the_field.ipynb)

# %% [markdown] exercise 21.1: 1 point
# ## 21.1 Implement: the gradients of a VQ-VAE
#
# Write `vq_gradients(e, codebook, z, dy, beta)`: vectors `e` (B, N, D), a `codebook` (K, D) that all latents share, codes `z` (B, N), the gradient `dy` (B, N, D) that comes back from the decoder, and the weight `beta` of the commitment. Return `de` (B, N, D) and `dcodebook` (K, D) of [Eq. 21.7], for the sum over the batch. About 4 lines. Several vectors may have the same code.


# %% solution 21.1
def vq_gradients(e, codebook, z, dy, beta):
    """(de, dcodebook) of the loss of a VQ-VAE, with its stops."""
    ### BEGIN SOLUTION
    gap = e - codebook[z]  # (B, N, D)
    dcodebook = np.zeros_like(codebook)
    np.add.at(dcodebook, z, -2 * gap)
    return dy + 2 * beta * gap, dcodebook
    ### END SOLUTION


# %% check 21.1
from dvae_np.lesson import judge

judge("21.1", vq_gradients)


# %% right 21.1
def vq_gradients(e, codebook, z, dy, beta):
    hot = np.eye(len(codebook), dtype=e.dtype)[z]  # (B, N, K)
    gap = hot @ codebook - e
    return dy - 2 * beta * gap, 2 * np.einsum("bnk,bnd->kd", hot, gap)


# %% wrong 21.1: beta belongs to the commitment
def vq_gradients(e, codebook, z, dy, beta):
    gap = e - codebook[z]
    dcodebook = np.zeros_like(codebook)
    np.add.at(dcodebook, z, -2 * beta * gap)
    return dy + 2 * gap, dcodebook


# %% wrong 21.1: add them up
def vq_gradients(e, codebook, z, dy, beta):
    gap = e - codebook[z]
    dcodebook = np.zeros_like(codebook)
    dcodebook[z] -= 2 * gap  # the last vector of a code wins
    return dy + 2 * beta * gap, dcodebook


# %% wrong 21.1: the decoder's gradient goes to e
def vq_gradients(e, codebook, z, dy, beta):
    gap = e - codebook[z]
    dcodebook = np.zeros_like(codebook)
    np.add.at(dcodebook, z, dy - 2 * gap)
    return 2 * beta * gap, dcodebook


# %% wrong 21.1: towards its entry
def vq_gradients(e, codebook, z, dy, beta):
    gap = codebook[z] - e
    dcodebook = np.zeros_like(codebook)
    np.add.at(dcodebook, z, 2 * gap)
    return dy + 2 * beta * gap, dcodebook


# %% [markdown] exercise 21.2: 2 points
# ## 21.2 Derive: what the KL does to the vector
#
# The soft law of [Eq. 21.1] has a KL to the uniform prior, $\log K - H(q)$. Write its gradient in $e$: `kl_gradient(e, codebook, T)` for vectors `e` (B, D), a `codebook` (K, D) and a temperature `T`. Return (B, D), without sampling and without numeric differentiation. About 5 lines. Begin with [Eq. 3.4], and go on as in section 2.
# For the setup's `e` and `codebook` at $T = 0.7$ the first entry should be about {{kl_gradient(e, codebook, 0.7)[0, 0]:.4f}}.


# %% solution 21.2
def kl_gradient(e, codebook, T):
    """The gradient of log K - H(q) in e: (B, D)."""
    ### BEGIN SOLUTION
    logits = -((e[:, None] - codebook) ** 2).sum(-1) / T
    q = softmax(logits)[0]  # (B, K)
    mean = (q * logits).sum(-1, keepdims=True)
    dlogits = q * (logits - mean)  # the constant log Z drops out
    return 2 / T * dlogits @ codebook
    ### END SOLUTION


# %% check 21.2
from dvae_np.lesson import judge

judge("21.2", kl_gradient)


# %% right 21.2
def kl_gradient(e, codebook, T):
    out = np.zeros_like(e)
    for b, one in enumerate(e):
        d = ((one - codebook) ** 2).sum(1)
        q = np.exp(-(d - d.min()) / T)
        q = q / q.sum()
        around = codebook - q @ codebook
        out[b] = -2 / T**2 * (q * d) @ around
    return out


# %% wrong 21.2: the KL is log K minus that
def kl_gradient(e, codebook, T):
    logits = -((e[:, None] - codebook) ** 2).sum(-1) / T
    q = softmax(logits)[0]
    mean = (q * logits).sum(-1, keepdims=True)
    return -2 / T * (q * (logits - mean)) @ codebook


# %% wrong 21.2: what the logits give before their mean is taken off
def kl_gradient(e, codebook, T):
    logits = -((e[:, None] - codebook) ** 2).sum(-1) / T
    q = softmax(logits)[0]
    return 2 / T * (q * logits) @ codebook


# %% wrong 21.2: once more in its slope
def kl_gradient(e, codebook, T):
    logits = -((e[:, None] - codebook) ** 2).sum(-1) / T
    q = softmax(logits)[0]
    mean = (q * logits).sum(-1, keepdims=True)
    return 2 * (q * (logits - mean)) @ codebook


# %% wrong 21.2: what log (q K) gives before its mean is taken off
def kl_gradient(e, codebook, T):
    q = softmax(-((e[:, None] - codebook) ** 2).sum(-1) / T)[0]
    return 2 / T * (q * np.log(q * len(codebook))) @ codebook


# %% [markdown] exercise 21.3: 1 point
# ## 21.3 Find the bug: entries that drift to the origin
#
# This codebook of moving averages has entries that shrink if they get no vector, and grow too far if they get many. `counts` (K,) and `sums` (K, D) are $\hat w$ and $\hat m$ of section 4, `e` (B, D) vectors with codes `z` (B,). Return the new codebook (K, D), counts (K,) and sums (K, D). One line has to move.
#
# ```python
# hot = np.eye(len(counts))[z]  # (B, K)
# sums = gamma * sums + (1 - gamma) * hot.T @ e
# codebook = sums / counts[:, None]
# counts = gamma * counts + (1 - gamma) * hot.sum(0)
# return codebook, counts, sums
# ```


# %% solution 21.3
def moving_codebook(counts, sums, e, z, gamma):
    """The codebook, counts and sums after one batch."""
    hot = np.eye(len(counts))[z]  # (B, K)
    ### BEGIN SOLUTION
    sums = gamma * sums + (1 - gamma) * hot.T @ e
    counts = gamma * counts + (1 - gamma) * hot.sum(0)
    codebook = sums / counts[:, None]
    ### END SOLUTION
    return codebook, counts, sums


# %% check 21.3
from dvae_np.lesson import judge

judge("21.3", moving_codebook)


# %% right 21.3
def moving_codebook(counts, sums, e, z, gamma):
    got = np.bincount(z, minlength=len(counts))
    new = np.zeros_like(sums)
    np.add.at(new, z, e)
    counts = counts - (1 - gamma) * (counts - got)
    sums = sums - (1 - gamma) * (sums - new)
    return sums / counts[:, None], counts, sums


# %% wrong 21.3: new sums belong to new counts
def moving_codebook(counts, sums, e, z, gamma):
    hot = np.eye(len(counts))[z]  # (B, K)
    sums = gamma * sums + (1 - gamma) * hot.T @ e
    codebook = sums / counts[:, None]
    counts = gamma * counts + (1 - gamma) * hot.sum(0)
    return codebook, counts, sums


# %% wrong 21.3: the entries of before
def moving_codebook(counts, sums, e, z, gamma):
    hot = np.eye(len(counts))[z]  # (B, K)
    codebook = sums / counts[:, None]
    sums = gamma * sums + (1 - gamma) * hot.T @ e
    counts = gamma * counts + (1 - gamma) * hot.sum(0)
    return codebook, counts, sums


# %% wrong 21.3: gamma belongs to the old
def moving_codebook(counts, sums, e, z, gamma):
    hot = np.eye(len(counts))[z]  # (B, K)
    sums = (1 - gamma) * sums + gamma * hot.T @ e
    counts = (1 - gamma) * counts + gamma * hot.sum(0)
    return sums / counts[:, None], counts, sums


# %% wrong 21.3: the codebook has no memory
def moving_codebook(counts, sums, e, z, gamma):
    hot = np.eye(len(counts))[z]  # (B, K)
    new = sums / counts[:, None]
    got = hot.sum(0)
    new[got > 0] = (hot.T @ e)[got > 0] / got[got > 0, None]
    sums = gamma * sums + (1 - gamma) * hot.T @ e
    counts = gamma * counts + (1 - gamma) * got
    return new, counts, sums


# %% [markdown] exercise 21.4: 3 points
# ## 21.4 Implement: how diverse are the codes?
#
# Write `diversities(e, T)` for the bits of [Eq. 21.12]: vectors `e` (B, N) and a temperature `T`. Return two numbers, the sum $\sum_n H(\bar q_n)$ and the entropy $H(\bar q)$ of the mean law over all $2^N$ codes. About 6 lines. `joint_states(N, 2)` lists the codes, (M, N).


# %% solution 21.4
def diversities(e, T):
    """(sum over the bits, entropy of the mean law), in nats."""
    ### BEGIN SOLUTION
    q = 1 / (1 + np.exp(-4 * e / T))  # (B, N)
    states = joint_states(e.shape[1], 2)[:, None]  # (M, 1, N)
    mean = np.where(states, q, 1 - q).prod(2).mean(1)  # (M,)
    bits = np.stack([q.mean(0), 1 - q.mean(0)])  # (2, N)
    return -(bits * np.log(bits)).sum(), -(mean * np.log(mean)).sum()
    ### END SOLUTION


# %% check 21.4
from dvae_np.lesson import judge

judge("21.4", diversities)


# %% right 21.4
def diversities(e, T):
    q = 1 / (1 + np.exp(-4 * e / T))
    joint = np.ones((len(e), 1))
    total = 0.0
    for n in range(e.shape[1]):
        joint = np.concatenate(
            [joint * q[:, n : n + 1], joint * (1 - q[:, n : n + 1])], 1
        )
        for share in (q[:, n].mean(), 1 - q[:, n].mean()):
            total -= share * np.log(share)
    mean = joint.mean(0)
    return total, -(mean @ np.log(mean))


# %% wrong 21.4: take the mean of the laws first
def diversities(e, T):
    q = 1 / (1 + np.exp(-4 * e / T))
    bits = np.stack([q.mean(0), 1 - q.mean(0)])
    each = -(q * np.log(q) + (1 - q) * np.log(1 - q)).sum(1)
    return -(bits * np.log(bits)).sum(), each.mean()


# %% wrong 21.4: the bits of one example know each other
def diversities(e, T):
    q = 1 / (1 + np.exp(-4 * e / T))
    bits = np.stack([q.mean(0), 1 - q.mean(0)])
    bound = -(bits * np.log(bits)).sum()
    return bound, bound


# %% wrong 21.4: the squared distances differ by 4 e
def diversities(e, T):
    q = 1 / (1 + np.exp(-e / T))
    states = joint_states(e.shape[1], 2)[:, None]
    mean = np.where(states, q, 1 - q).prod(2).mean(1)
    bits = np.stack([q.mean(0), 1 - q.mean(0)])
    return -(bits * np.log(bits)).sum(), -(mean * np.log(mean)).sum()


# %% wrong 21.4: both of its outcomes
def diversities(e, T):
    q = 1 / (1 + np.exp(-4 * e / T))
    states = joint_states(e.shape[1], 2)[:, None]
    mean = np.where(states, q, 1 - q).prod(2).mean(1)
    one = q.mean(0)
    return -(one * np.log(one)).sum(), -(mean * np.log(mean)).sum()


# %% [markdown] written 21.W: 3 points
# ## 21.W In words: three claims about a VQ-VAE
#
# A VQ-VAE has $N = 4$ latents with $K = 16$ codes each. For each claim say what is right and what is wrong in it. Half a page in all.
#
# (a) *Its loss on the test images is 30 nats, with both distances. The negative ELBO of my categorical VAE is 35 nats. So the VQ-VAE is the better model.*
#
# (b) *Straight-through means that the gradient is estimated with a bias, as in lesson 08. With a lower temperature the bias would vanish.*
#
# (c) *Only 3 of 16 codes are used. So I raise the weight of the codebook loss, until the dead entries come to the vectors.*

# %% [markdown] model 21.W
# (a) The numbers are not of one kind. The two distances are no part of a likelihood: they are in the units of squared vectors, and they depend on $\beta$. And the loss lacks the price of the code. A bound on $-\log p(x)$ is $-\log p(x \mid z) - \log p(z)$ [Eq. 21.13]. With the uniform prior the price is $4 \log 16 \approx 11$ nats, and a fitted prior may lower it. That number may be compared with 35 nats. With the uniform prior it is above 35 if the reconstruction alone costs more than 24 nats.
#
# (b) The copy is not an estimate of the gradient of the loss at this $e$: that gradient is zero nearly everywhere, and so are the exact gradient of the soft law at a low temperature and the mean of its straight-through [Eq. 21.3, 21.4]. Both vanish like $e^{-\Delta / T} / T$. The copy puts the identity in the place of $(2 / T)\, \mathrm{Cov}_q(c_z)$, and this is nearly right on a regular codebook at a temperature that is *not* low, from about the squared spacing on [Eq. 21.6]. Right in the claim: the gradient is not exact.
#
# (c) It is right that three of sixteen is a collapse; its perplexity is at most 3. But a dead entry has no vector, so it is in no term of the codebook loss, and its gradient is zero with every weight. Remedies that reach it: begin from data, restart dead entries at vectors of the batch, or quantise without a codebook.
#
# *Marks:* 1 for (a), with the price of the code; 1 for (b), with the vanishing gradients; 1 for (c), with the zero gradient and a remedy.
