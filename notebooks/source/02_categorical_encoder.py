# %% [markdown]
# # 02 The categorical encoder
#
# **Question.** The encoder ends in K numbers, the logits, that stand for a distribution over K categories. How do slopes flow through that
# distribution, how is a category drawn from it, and why does the flow of slopes end at the draw?
#
# **After this lesson you can**
# - derive the softmax, its Jacobian, and why one of K logits is superfluous,
# - derive the score and the entropy's gradient, and say what is zero on average,
# - prove that the largest of K perturbed logits is a draw from the softmax,
# - say exactly where the derivative of a sample goes: into jumps that no slope sees.
#
# *Needs:* lesson 01. *Takes:* 45 minutes to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np import (
    Independent,
    codes,
    draw,
    entropy,
    gumbel,
    gumbel_max,
    log_prob,
    log_softmax,
    one_hot,
    score,
    softmax,
)
from dvae_np.check import (
    comparison,
    complex_step,
    every_code,
    from_samples,
    lookup_table,
    moments,
    tiled,
)
from dvae_np.lesson import confirm, figure, show

rng = np.random.default_rng(2)
B, N, K = 2, 3, 4  # examples, latents, categories
logits = rng.standard_normal((B, N, K))

# %% [markdown]
# ## 1 From logits to log-probabilities
#
# An encoder network may return any real numbers $\ell_1, \ldots, \ell_K$. Probabilities are positive and add up to one; so exponentiate and divide:
# $q_k = e^{\ell_k} / \sum_j e^{\ell_j}$. We take the logarithm first, as most formulas want it:
#
# $$\log q_k = \ell_k - \log \sum_j e^{\ell_j} .$$
#
# The last term depends on all the logits, with slope $e^{\ell_i} / \sum_j e^{\ell_j} = q_i$ in the $i$-th. So
# $\partial \log q_k / \partial \ell_i = [k = i] - q_i$, and with $y = \log q$ the chain rule [Eq. 1.1] gives
#
# $$d\ell_i = \sum_k dy_k \bigl([k = i] - q_i\bigr) = dy_i - q_i \sum_k dy_k .$$
#
# Value and backward together:
#
# $$\log q_k = \ell_k - \log \sum_j e^{\ell_j}, \quad d\ell = dy - q \sum_k dy_k . \tag{2.1}$$
#
# A constant added to all K logits cancels. So the largest may be subtracted before anything is exponentiated, and nothing overflows. It also
# means that $\sum_i d\ell_i = 0$: no loss can wish to move all the logits together. One of the K is superfluous.

# %%
show(log_softmax)
dy = rng.standard_normal((B, N, K))
y, backward = log_softmax(logits)
confirm("2.1", y, logits - np.log(np.exp(logits).sum(-1, keepdims=True)))


def plain(arrays):
    x = arrays["x"]
    return (dy * (x - np.log(np.exp(x).sum(-1, keepdims=True)))).sum()


confirm("2.1", backward(dy), complex_step(plain, {"x": logits})["x"])
print(
    "sum of the gradient over K:", abs(backward(dy).sum(-1)).max().round(15)
)
print("logits of 1000 and 0:", log_softmax(np.array([1000.0, 0.0]))[0])

# %% [markdown]
# ## 2 The softmax and its Jacobian
#
# Differentiate $q_k = e^{\log q_k}$ with what we have: $\partial q_k / \partial \ell_i = q_k\, \partial \log q_k / \partial \ell_i = q_k ([k = i] - q_i)$. As a matrix,
#
# $$q = \mathrm{softmax}(\ell), \quad J = \mathrm{diag}(q) - q q^{\top} . \tag{2.2}$$
#
# It is symmetric, so $J^{\top} dy = J dy = q \odot (dy - \langle q, dy \rangle)$: subtract the mean of $dy$ under $q$, then weigh by $q$. The library
# never makes the matrix. We do, once: the backward of each unit vector is a row of $J$.

# %%
show(softmax)
row = logits[0, 0]  # (K,)
q, backward = softmax(row)
J = np.stack([backward(unit) for unit in np.eye(K)])  # (K, K)
confirm("2.2", J, np.diag(q) - np.outer(q, q))
numeric = [
    complex_step(
        lambda a, k=k: np.exp(a["x"])[k] / np.exp(a["x"]).sum(), {"x": row}
    )["x"]
    for k in range(K)
]
confirm("2.2", J, np.array(numeric))
print("rank of J:", np.linalg.matrix_rank(J), "of", K)

# %% [markdown]
# ## 3 Several latents, and the score
#
# A code has N latents, independent given $x$. The probability of a code $z = (z_1, \ldots, z_N)$ is a product, its logarithm a sum:
#
# $$\log q(z) = \sum_n \log q_{n z_n} . \tag{2.3}$$
#
# Its gradient in the logits is called the *score*. Only the entry $z_n$ of $dy$ is 1 in Eq. 2.1, so $\sum_k dy_k = 1$ and
#
# $$\nabla_{\ell} \log q(z) = \mathrm{onehot}(z) - q . \tag{2.4}$$
#
# Raising the probability of the code that came means raising its logits, the more the less it was expected.
#
# All that can be asked of $q$ stands in one class, `Independent`, whose only content is the logits: `q = Independent(logits)` is a value, and
# `q.log_prob(z)`, `q.score(z)`, `q.codes(u)` are its questions. Whoever asks needs not know what kind of law $q$ is. With plain logits the same
# functions are called `log_prob(logits, z)`, `score(logits, z)`, `codes(logits, u)`; both are used in this course.

# %%
show(Independent.score)
z = rng.integers(0, K, (5, B, N))  # (S, B, N): five codes for each example
by_hand = np.array(
    [
        [
            sum(
                np.log(softmax(logits[b, n])[0][z[s, b, n]])
                for n in range(N)
            )
            for b in range(B)
        ]
        for s in range(5)
    ]
)
confirm("2.3", log_prob(logits, z)[0], by_hand)
# the same, q as a value
confirm("2.3", Independent(logits).log_prob(z)[0], by_hand)
weights = rng.standard_normal((5, B))
numeric = complex_step(
    lambda a: (weights * log_prob(a["logits"], z)[0]).sum(),
    {"logits": logits},
)["logits"]
confirm(
    "2.4", (weights[..., None, None] * score(logits, z)).sum(0), numeric
)

# %% [markdown]
# On average the score is zero: the mean of $\mathrm{onehot}(z)$ is $q$. And its covariance is
# $\mathbb{E}[\mathrm{onehot}(z)\, \mathrm{onehot}(z)^{\top}] - q q^{\top} = \mathrm{diag}(q) - q q^{\top}$, the Jacobian again. Both follow from adding up
# all the codes, which `every_code` lists with their probabilities:

# %%
one = logits[:1]  # (1, N, K): the first example
# (1, T, N) and (T,), with T = K**N = 64 codes
z, weights = every_code(one, 1)
# (N, K) each
mean, variance = moments(weights, score(tiled(one, len(weights)), z)[0])
print(
    "codes:",
    len(weights),
    " their probabilities add up to",
    weights.sum().round(12),
)
confirm("2.4", mean, np.zeros((N, K)))
q = softmax(one)[0][0]
confirm("2.4", variance, q * (1 - q))

# %% [markdown]
# ## 4 Entropy
#
# How uncertain is $q$? Its entropy is $H = -\sum_k q_k \log q_k$: 0 if one category has it all, $\log K$ if all are equal. For the gradient, take
# the derivative of $q_k \log q_k$ in $q_k$, which is $\log q_k + 1$, and send $dy_k = -(\log q_k + 1)$ through the Jacobian:
#
# $$\frac{\partial H}{\partial \ell_k} = q_k \bigl(dy_k - \langle q, dy \rangle\bigr) = q_k \bigl(-\log q_k - 1 + \sum_j q_j \log q_j + 1\bigr) .$$
#
# The ones cancel, and the sum is $-H$:
#
# $$H = -\sum_k q_k \log q_k, \quad \frac{\partial H}{\partial \ell_k} = -q_k (\log q_k + H) . \tag{2.5}$$

# %%
show(Independent.entropy)
value, backward = entropy(logits)  # (B,): added up over the latents
q = softmax(logits)[0]
confirm(
    "2.5",
    value,
    [-sum(p * np.log(p) for p in q[b].ravel()) for b in range(B)],
)


def plain_entropy(arrays):
    q = np.exp(arrays["x"]) / np.exp(arrays["x"]).sum(-1, keepdims=True)
    return -(q * np.log(q)).sum()


confirm(
    "2.5",
    backward(np.ones(B)),
    complex_step(plain_entropy, {"x": logits})["x"],
)
print("nats:", value.round(4), "of at most", round(N * np.log(K), 4))

# %% [markdown]
# ## 5 Drawing a code: inversion
#
# A uniform number $u$ in $(0, 1)$ decides. Lay intervals of lengths $q_1, q_2, \ldots$ side by side; the one in which $u$ falls is the code. Counted from
# 0, its number is the number of intervals that end at or before $u$:
#
# $$z = \#\lbrace k : \sum_{j \le k} q_j \le u \rbrace \sim q . \tag{2.6}$$
#
# Uniforms are an *argument* of every sampler here. So its law can be checked without luck: give it an even grid. With probabilities that are
# multiples of 1/8, the midpoints of eight cells must hit the categories exactly in proportion.

# %%
show(Independent.codes)
eighths = np.array([4, 2, 1, 1]) / 8
grid = (np.arange(8) + 0.5) / 8
# (S, B, N) = (8, 1, 1)
drawn = codes(np.log(eighths)[None, None], grid[:, None, None])[:, 0, 0]
print("uniforms", grid, "\ncodes   ", drawn)
confirm("2.6", np.bincount(drawn) / 8, eighths)

# %% [markdown]
# ## 6 Drawing a code: Gumbel-max
#
# There is another way, which takes K uniforms instead of one. Why would one want it? Because it keeps the logits in sight: lessons 07 to 11
# are built on it. First a noise. Let
#
# $$G = -\log(-\log u) . \tag{2.7}$$
#
# Then $P(G \le g) = P(-\log u \ge e^{-g}) = P(u \le e^{-e^{-g}}) = e^{-e^{-g}}$: the Gumbel distribution, of mean $\gamma \approx 0.5772$ (Euler's constant)
# and variance $\pi^2 / 6$.

# %%
show(gumbel)
g = np.linspace(-2, 6, 9)
# the inverse of the distribution function
confirm("2.7", gumbel(np.exp(-np.exp(-g))), g)
midpoints = (np.arange(1_000_000) + 0.5) / 1_000_000
confirm("2.7", gumbel(midpoints).mean(), np.euler_gamma, tolerance=1e-5)
confirm("2.7", gumbel(midpoints).var(), np.pi**2 / 6, tolerance=1e-4)

# %% [markdown]
# Now perturb each logit with its own noise, and take the largest:
#
# $$z = \arg\max_k (\ell_k + G_k) \sim q . \tag{2.8}$$
#
# *Proof.* Let $X_k = \ell_k + G_k$. Then $P(X_j \le t) = e^{-e^{\ell_j - t}}$, and the density of $X_k$ is the derivative,
# $e^{\ell_k - t}\, e^{-e^{\ell_k - t}}$. The category $k$ wins at height $t$ if $X_k = t$ and all the others are below:
#
# $$p(\arg\max = k, \max = t) = e^{\ell_k - t}\, e^{-e^{\ell_k - t}} \prod_{j \ne k} e^{-e^{\ell_j - t}} = e^{\ell_k - t}\, e^{-Z e^{-t}}, \qquad Z = \sum_j e^{\ell_j} .$$
#
# Substitute $w = e^{-t}$, $dw = -e^{-t}\, dt$, and integrate over all heights:
#
# $$P(\arg\max = k) = \int_0^{\infty} e^{\ell_k} e^{-Z w}\, dw = \frac{e^{\ell_k}}{Z} = q_k .$$
#
# And more: the joint density is $q_k$ times $Z e^{-t} e^{-Z e^{-t}}$, a product. The *height* of the winner is a Gumbel shifted by $\log Z$, and says
# nothing about *who* won. Lesson 10 needs that.
#
# We check the integral by the trapezoidal rule, and the library's sampler on an even grid of three uniforms (as good as the grid is fine):

# %%
show(gumbel_max)
three = np.array([[[0.5, -1.0, 1.2]]])  # (B, N, K) = (1, 1, 3)
q = softmax(three)[0][0, 0]
t = np.linspace(-15, 50, 5001)
X = three[0, 0][:, None] - t  # (3, T)
density = np.exp(X) * np.exp(-np.exp(X).sum(0))  # of (argmax = k, max = t)
confirm("2.8", density.sum(-1) * (t[1] - t[0]), q)

# %% setup
cells = (np.arange(80) + 0.5) / 80
# (S, 1, 1, 3), S = 512,000
cube = np.stack(
    np.meshgrid(cells, cells, cells, indexing="ij"), -1
).reshape(-1, 1, 1, 3)

# %%
z = gumbel_max(three, cube)  # (S, 1, 1)
shares = np.bincount(z.ravel()) / len(z)
print("shares", shares.round(4), " q", q.round(4))
confirm("2.8", shares, q, tolerance=2e-3)

# %% [markdown]
# With random uniforms the same comparison is a test of statistics. It states how often it would blame a right sampler, and what it could
# have missed (lesson 05):

# %%
many = tiled(three, 100_000)
(u,) = draw(rng, many, 1, ("u",))
print(from_samples(one_hot(gumbel_max(many, u)[0, :, 0], 3, float), q))

# %% [markdown]
# ## 7 Where the derivative goes
#
# Fix the noise and move a logit. The code stays as it is, or jumps. So does $f(z)$, whatever $f$:

# %%
f = lookup_table(np.array([0.0, 1.0, 3.0]))  # f of each category, in nats
u = np.array([[[[0.5, 0.5, 0.4]]]])  # one draw's noise
for first in (0.5, 0.8, 0.9, 1.0, 1.3):
    z = gumbel_max(np.array([[[first, -1.0, 1.2]]]), u)
    print(f"logit {first}: code {z.item()}, f = {f(z)[0].item()}")

# %% [markdown]
# The slope is 0 for almost every noise, and so the *mean of the slopes* is 0. The *slope of the mean* is not: $\mathbb{E}_q f = \sum_k q_k f_k$ is smooth, and has
# the slope $J f$. The two may not be exchanged:
#
# $$\mathbb{E}_u\Bigl[\frac{\partial}{\partial \ell} f(z(\ell, u))\Bigr] = 0 \ne \frac{\partial}{\partial \ell}\, \mathbb{E}_u\bigl[f(z(\ell, u))\bigr] = J f .$$
#
# Nothing is lost. The jumps carry it: a step of size $h$ makes a share of the draws jump that is proportional to $h$. Central differences with the same noise
# on both sides do see the jumps, and are right on average, but at a price. We know it exactly, since two draws by inversion differ only
# between shifted ends of intervals:


# %%
def mean_and_variance_of_differences(h):
    """Of (f(z(l + h, u)) - f(z(l - h, u))) / 2h in the first logit: over
    the pieces of u on which it is constant.
    """
    ends = [
        np.cumsum(softmax(three[0, 0] + shift * np.eye(3)[0])[0])[:2]
        for shift in (h, -h)
    ]
    edges = np.sort(np.concatenate([[0, 1], *ends]))
    middles, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    values = [
        f(codes(three + shift * np.eye(3)[0], middles[:, None, None]))[0][
            :, 0
        ]
        for shift in (h, -h)
    ]  # (pieces,) each
    return moments(widths, (values[0] - values[1]) / (2 * h))


exact = dvae_np.exact(three, f).dlogits[0, 0, 0]
for h in (0.5, 0.05, 0.005):
    mean, variance = mean_and_variance_of_differences(h)
    print(
        f"h = {h}: mean {mean:.4f}, exact gradient {exact:.4f}, variance "
        f"{variance:.1f}"
    )

# %% [markdown]
# A tenth of the step, ten times the variance: there is no limit to take. All the estimators of this course are ways around this line.
#
# ## 8 The picture
#
# Left: three logits $0.5$, $-1$ and $1.2$ (thin dotted lines), the densities of the perturbed logits around them, and in black that of the largest: the same
# shape, moved to $\log Z$. The category that starts highest wins {{softmax(three)[0].max():.0%}} of the time, and no more. Right: $f$ of a code drawn with fixed noise,
# against a logit, for three noises (drawn a little apart). They are stairs, and flat where they do not jump. Their mean over all noises is the smooth curve.

# %%
figure("gumbel_max.png")

# %% [markdown]
# ## 9 Break it
#
# The classic mistake with the softmax: the backward $q \odot dy$, as if the entries did not share a sum. Only the second term of the Jacobian is missing. The
# comparison with the complex step says so:


# %%
def half_softmax(x):
    """A bug: the second term of the Jacobian is missing."""
    q = softmax(x)[0]
    return q, lambda dy: q * dy


dy = rng.standard_normal((B, N, K))
numeric = complex_step(
    lambda a: (dy * softmax(a["x"])[0]).sum(), {"x": logits}
)["x"]
print(
    comparison(
        "dx", half_softmax(logits)[1](dy), numeric, q=softmax(logits)[0]
    )
)
centred = dy - (softmax(logits)[0] * dy).sum(-1, keepdims=True)
numeric = complex_step(
    lambda a: (centred * softmax(a["x"])[0]).sum(), {"x": logits}
)["x"]
print(comparison("dx", half_softmax(logits)[1](centred), numeric))

# %% [markdown]
# Note the second line. With a $dy$ whose mean under $q$ happens to be zero, the mistake is invisible. That is why checks use a random $dy$.
#
# ## Reading
#
# - E. J. Gumbel, *Statistical Theory of Extreme Values*, 1954: where the distribution comes from.
# - C. Maddison, D. Tarlow, T. Minka, *A\* Sampling*, 2014: Gumbel-max, and perturbed logits given their largest.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017: what Gumbel-max is wanted for.
# - W. Kool, H. van Hoof, M. Welling, *Stochastic beams and where to find them*, 2019: the S largest, drawn without replacement.
#
# Next: [03 The ELBO and the KL](03_elbo_and_kl.ipynb), the objective.

# %% [markdown] exercise 02.1
# ### 02.1 Implement: the log-softmax
#
# Write the op `y, backward = my_log_softmax(x)` over the last axis, for `x` (B, N, K) or any shape: $y_k = x_k - \log \sum_j e^{x_j}$, and `backward(dy)` of the
# same shape. Use plain NumPy; moderate numbers are enough. About 3 lines. At $x = \log(1, 2, 3)$ you should get
# $(-1.792, -1.099, -0.693)$.


# %% solution 02.1
def my_log_softmax(x):
    """x - log sum e^x over the last axis."""
    ### BEGIN SOLUTION
    y = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(-1, keepdims=True)
    ### END SOLUTION


# %% check 02.1
from dvae_np.lesson import judge

judge("02.1", my_log_softmax)


# %% right 02.1
def my_log_softmax(x):
    from scipy.special import log_softmax, softmax

    return log_softmax(
        x, axis=-1
    ), lambda dy: dy - softmax(x, axis=-1) * dy.sum(-1, keepdims=True)


# %% wrong 02.1: the gradient of the softmax: here it is its logarithm
def my_log_softmax(x):
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return np.log(q), lambda dy: q * (dy - (q * dy).sum(-1, keepdims=True))


# %% wrong 02.1: right only where dy adds up to one
def my_log_softmax(x):
    y = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return y, lambda dy: dy - np.exp(y)


# %% wrong 02.1: without the log of the sum
def my_log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True)), lambda dy: dy


# %% [markdown] exercise 02.2
# ### 02.2 Derive: how long is a score?
#
# The total variance of REINFORCE contains $\mathbb{E}\, \lVert s(z) \rVert^2$ (lesson 05). Derive it for one latent, as a function of the probabilities `q` (K,)
# alone, with a single sum over the K categories: return a number. 1 line. For $q = (0.5, 0.25, 0.25)$ you should get {{mean_square_of_the_score(np.array([0.5, 0.25, 0.25])):.3f}}.


# %% solution 02.2
def mean_square_of_the_score(q):
    """E ||onehot(z) - q||^2 under q."""
    ### BEGIN SOLUTION
    return 1 - (q**2).sum()
    ### END SOLUTION


# %% check 02.2
from dvae_np.lesson import judge

judge("02.2", mean_square_of_the_score)


# %% right 02.2
def mean_square_of_the_score(q):
    return float(sum(p * (1 - p) for p in q))


# %% wrong 02.2: subtract the square of the mean
def mean_square_of_the_score(q):
    return q.sum()


# %% wrong 02.2: the cross term
def mean_square_of_the_score(q):
    return 1 + (q**2).sum()


# %% [markdown] exercise 02.3
# ### 02.3 Implement: Gumbel-max
#
# Write `my_sample(logits, u)`: `logits` (B, N, K), uniforms `u` (S, B, N, K); return codes (S, B, N), integers, drawn from the softmax of the logits. Do not call
# the library. About 2 lines. The judge runs it on evenly spread uniforms and compares the shares of the categories with $q$. It also
# looks whether each example's latent moves with its own uniforms, and with no others.
# For the logits $0.5$, $-1$ and $1.2$ they are {{target_shares[0]:.2f}}, {{target_shares[1]:.2f}} and {{target_shares[2]:.2f}}.

# %% given 02.3
target_shares = softmax(np.array([0.5, -1.0, 1.2]))[0]


# %% solution 02.3
def my_sample(logits, u):
    """Codes drawn by Gumbel-max."""
    ### BEGIN SOLUTION
    return np.argmax(logits - np.log(-np.log(u)), axis=-1)
    ### END SOLUTION


# %% check 02.3
from dvae_np.lesson import judge

judge("02.3", my_sample)


# %% right 02.3
def my_sample(logits, u):
    # of exponential clocks: the first to ring wins
    rates = np.exp(logits - logits.max(-1, keepdims=True))
    return np.stack(
        [np.argmin(np.log(1 / each) / rates, axis=-1) for each in u]
    )


# %% right 02.3
def my_sample(logits, u):
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return (np.cumsum(q, -1)[..., :-1] <= u[..., :1]).sum(-1)


# %% wrong 02.3: one logarithm and a minus sign are missing
def my_sample(logits, u):
    return np.argmax(logits - np.log(u), axis=-1)


# %% wrong 02.3: perturb the logits, not their softmax
def my_sample(logits, u):
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.argmax(q - np.log(-np.log(u)), axis=-1)


# %% wrong 02.3: its long tail belongs upwards
def my_sample(logits, u):
    return np.argmax(logits + np.log(-np.log(u)), axis=-1)


# %% wrong 02.3: expected codes (S, B, N)
def my_sample(logits, u):
    return np.argmax(logits - np.log(-np.log(u)))


# %% [markdown] exercise 02.4
# ### 02.4 Find the bug: the entropy's gradient
#
# "The derivative of $-q \log q$ is $-(\log q + 1)$, and $q$ moves with its logit by $q$." So somebody wrote the line below. Correct it: `x` (B, K), return the
# gradient (B, K) of the sum over the batch. 1 or 2 lines. At equal logits, where the entropy is largest, it must be zero; with K = 4 this line gives {{-0.25 * (np.log(0.25) + 1):.4f}}.
#
# ```python
# return -q * (np.log(q) + 1)
# ```


# %% solution 02.4
def entropy_gradient(x):
    """The gradient of -sum q log q in the logits x."""
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    ### BEGIN SOLUTION
    value = -(q * np.log(q)).sum(-1, keepdims=True)
    return -q * (np.log(q) + value)
    ### END SOLUTION


# %% check 02.4
from dvae_np.lesson import judge

judge("02.4", entropy_gradient)


# %% right 02.4
def entropy_gradient(x):
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return np.stack([-row * (np.log(row) - row @ np.log(row)) for row in q])


# %% wrong 02.4: the second term of the softmax Jacobian
def entropy_gradient(x):
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return -q * (np.log(q) + 1)


# %% wrong 02.4: a flipped sign
def entropy_gradient(x):
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return q * (np.log(q) - (q * np.log(q)).sum(-1, keepdims=True))


# %% [markdown] exercise 02.5
# ### 02.5 Find the bug: a category that does not exist
#
# This sampler counts *all* the cumulated probabilities that do not exceed $u$. In exact arithmetic that is right, as the last one is 1. In float32 the sum of
# 1,000 probabilities may end a little lower, and a large $u$ falls behind it: the code is K, and the look-up that follows fails, once in
# a long while. Correct it, so that every $u$ below 1 gives a code from 0 to K - 1, and codes that were right stay as they are. `q` (K,), `u` (S,);
# return codes (S,). Change one line:
#
# ```python
# return (cumulated <= u[:, None]).sum(-1)
# ```


# %% solution 02.5
def invert(q, u):
    """Codes drawn by inversion of the distribution function."""
    cumulated = np.cumsum(q)
    ### BEGIN SOLUTION
    return (cumulated[:-1] <= u[:, None]).sum(-1)
    ### END SOLUTION


# %% check 02.5
from dvae_np.lesson import judge

judge("02.5", invert)


# %% right 02.5
def invert(q, u):
    return np.minimum(
        np.searchsorted(np.cumsum(q), u, side="right"), len(q) - 1
    )


# %% wrong 02.5: there is no such category
def invert(q, u):
    cumulated = np.cumsum(q)
    return (cumulated <= u[:, None]).sum(-1)


# %% wrong 02.5: one too low
def invert(q, u):
    cumulated = np.cumsum(q)
    return np.maximum((cumulated <= u[:, None]).sum(-1) - 1, 0)


# %% wrong 02.5: keep <=
def invert(q, u):
    cumulated = np.cumsum(q)
    return (cumulated[:-1] < u[:, None]).sum(-1)
