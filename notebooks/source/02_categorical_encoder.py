# %% [markdown]
# # 02 The categorical encoder
#
# **Question.** The encoder ends in K numbers, the logits, that stand for a distribution over K categories. How do slopes flow through that
# distribution, how is a category drawn from it, and why does the flow of slopes end at the draw?
#
# **After this lesson you can**
# - derive the softmax, its Jacobian, and why one of K logits is superfluous,
# - derive the score and the entropy's gradient, and say what is zero on average,
# - draw from a softmax by a race of clocks, and prove that the largest of K perturbed logits is such a draw,
# - say exactly where the derivative of a sample goes: into jumps that no slope sees.
#
# *Needs:* lesson 01. *Takes:* 75 minutes to read and run, 95 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
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
from dvae_np.lesson import confirm, figure, picture, say, show

rng = np.random.default_rng(2)
B, N, K = 2, 3, 4  # examples, latents, categories
logits = rng.standard_normal((B, N, K))

# %% [markdown]
# ## 1 From logits to log-probabilities
#
# An encoder returns real numbers $\ell_1, \ldots, \ell_K$. Probabilities are positive and add up to one. So we exponentiate and divide:
# $q_k = e^{\ell_k} / \sum_j e^{\ell_j}$. Most formulas need the logarithm:
#
# $$\log q_k = \ell_k - \log \sum_j e^{\ell_j} .$$
#
# The last term depends on all the logits; its slope in the $i$-th is $e^{\ell_i} / \sum_j e^{\ell_j} = q_i$. So
# $\partial \log q_k / \partial \ell_i = [k = i] - q_i$, where $[k = i]$ is 1 if $k = i$ and 0 otherwise. With $y = \log q$ the chain rule [Eq. 1.1] gives
#
# $$d\ell_i = \sum_k dy_k \bigl([k = i] - q_i\bigr) = dy_i - q_i \sum_k dy_k .$$
#
# Value and backward together:
#
# $$\log q_k = \ell_k - \log \sum_j e^{\ell_j}, \quad d\ell = dy - q \sum_k dy_k . \tag{2.1}$$
#
# A constant that is added to all K logits cancels. So the largest may be subtracted first, and nothing overflows. It also follows that
# $\sum_i d\ell_i = 0$: one of the K logits is superfluous.


# %% [markdown] slide
# ## From logits to log-probabilities
#
# The encoder returns $K$ real numbers $\ell_k$. Exponentiate and divide. Value and backward of the logarithm:
#
# [Eq. 2.1]
#
# - A constant that is added to all logits cancels: subtract the largest, and nothing overflows.
# - The gradient sums to zero: one of the $K$ logits is superfluous.


# %%
def log_softmax_by_hand(x):
    y = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(-1, keepdims=True)


dy = rng.standard_normal((B, N, K))
own, own_backward = log_softmax_by_hand(logits)
y, backward = log_softmax(logits)
numeric = complex_step(
    lambda a: (dy * log_softmax_by_hand(a["x"])[0]).sum(), {"x": logits}
)["x"]
confirm("2.1", y, own)
confirm("2.1", own_backward(dy), numeric)
confirm("2.1", backward(dy), numeric)
print(
    "sum of the gradient over K:", abs(backward(dy).sum(-1)).max().round(15)
)
print("logits of 1000 and 0:", log_softmax(np.array([1000.0, 0.0]))[0])
show(log_softmax)

# %% [markdown]
# ## 2 The softmax and its Jacobian
#
# Since $q_k = e^{\log q_k}$, we have $\partial q_k / \partial \ell_i = q_k\, \partial \log q_k / \partial \ell_i = q_k ([k = i] - q_i)$. As a matrix,
#
# $$q = \mathrm{softmax}(\ell), \quad J = \mathrm{diag}(q) - q q^{\top} . \tag{2.2}$$
#
# It is symmetric, so $J^{\top} dy = J dy = q \odot (dy - \langle q, dy \rangle)$: subtract the mean of $dy$ under $q$, then multiply by $q$, as in
# lesson 01. We make the matrix once: the backward of each unit vector is a row of $J$.

# %% [markdown] slide
# ## The softmax and its Jacobian
#
# [Eq. 2.2]
#
# It is symmetric. The backward is
#
# $$J^{\top} dy = q \odot (dy - \langle q, dy \rangle) .$$
#
# Subtract the mean of $dy$ under $q$, then multiply by $q$. The rank of $J$ is {{np.linalg.matrix_rank(J):d}} for $K = {{K:d}}$ logits.

# %%
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
# A code has N latents, independent given $x$ (such a $q$ is called *factorised*, or *mean field*). The probability of a code $z = (z_1, \ldots, z_N)$ is a product, its logarithm a sum:
#
# $$\log q(z) = \sum_n \log q_{n z_n} . \tag{2.3}$$
#
# Its gradient in the logits is called the *score*. Put $dy = \mathrm{onehot}(z)$ into Eq. 2.1, a vector of zeros with a 1 in place $z$. Its sum is 1, and
#
# $$\nabla_{\ell} \log q(z) = \mathrm{onehot}(z) - q . \tag{2.4}$$
#
# A step along the score makes the drawn code more probable. The score is large when the drawn code was improbable.


# %% [markdown] slide
# ## The score: the gradient of $\log q$
#
# Latents are independent given $x$ (*mean field*):
#
# [Eq. 2.3]
#
# [Eq. 2.4]
#
# - A step along the score makes the drawn code more probable.
# - The score is large when the drawn code was improbable.
# - Its mean is zero, because the mean of $\mathrm{onehot}(z)$ is $q$.


# %%
def my_score(logits, z):
    q = softmax(logits)[0]  # (B, N, K)
    return np.eye(K)[z] - q  # (S, B, N, K)


z = rng.integers(0, K, (5, B, N))  # (S, B, N): five codes for each example
q = softmax(logits)[0]
by_hand = np.array(
    [
        [
            sum(np.log(q[b, n, z[s, b, n]]) for n in range(N))
            for b in range(B)
        ]
        for s in range(5)
    ]
)
confirm("2.3", log_prob(logits, z)[0], by_hand)
weights = rng.standard_normal((5, B))
numeric = complex_step(
    lambda a: (weights * log_prob(a["logits"], z)[0]).sum(),
    {"logits": logits},
)["logits"]
confirm(
    "2.4", (weights[..., None, None] * my_score(logits, z)).sum(0), numeric
)
confirm("2.4", score(logits, z), my_score(logits, z))

# %% [markdown]
# In the library $q$ is an object, `q = Independent(logits)`, with methods `q.log_prob(z)`, `q.score(z)`, `q.codes(u)`. For plain logits the same
# functions are called `log_prob(logits, z)`, `score(logits, z)`, `codes(logits, u)`. The course uses both.

# %%
confirm("2.3", Independent(logits).log_prob(z)[0], by_hand)
show(Independent.score)

# %% [markdown]
# On average the score is zero, because the mean of $\mathrm{onehot}(z)$ is $q$. The score's covariance is
# $\mathbb{E}[\mathrm{onehot}(z)\, \mathrm{onehot}(z)^{\top}] - q q^{\top} = \mathrm{diag}(q) - q q^{\top}$, the Jacobian again. To confirm both we sum over
# all codes. `every_code` lists them with their probabilities, `tiled` repeats an example, and `moments` gives a weighted mean and variance:

# %%
one = logits[:1]  # (1, N, K): the first example
# (1, M, N) and (M,), with M = K**N = 64 codes
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
# How uncertain is $q$? Its entropy $H = -\sum_k q_k \log q_k$ says it: 0 if one category has all the probability, $\log K$ if all are equal. For the gradient, take
# the derivative of $q_k \log q_k$ in $q_k$, which is $\log q_k + 1$, and send $dy_k = -(\log q_k + 1)$ through the Jacobian:
#
# $$\frac{\partial H}{\partial \ell_k} = q_k \bigl(dy_k - \langle q, dy \rangle\bigr) = q_k \bigl(-\log q_k - 1 + \sum_j q_j \log q_j + 1\bigr) .$$
#
# The ones cancel, and the sum is $-H$:
#
# $$H = -\sum_k q_k \log q_k, \quad \frac{\partial H}{\partial \ell_k} = -q_k (\log q_k + H) . \tag{2.5}$$


# %% [markdown] slide
# ## Entropy: how uncertain is $q$?
#
# [Eq. 2.5]
#
# - 0 if one category has all the probability, $\log K$ if all are equal.
# - The gradient: send $dy_k = -(\log q_k + 1)$ through the Jacobian. The ones cancel.


# %%
def plain_entropy(x):
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    return -(q * np.log(q)).sum((-1, -2))  # added up over the latents


value, backward = entropy(logits)  # (B,)
confirm("2.5", value, plain_entropy(logits))
confirm(
    "2.5",
    backward(np.ones(B)),
    complex_step(lambda a: plain_entropy(a["x"]).sum(), {"x": logits})["x"],
)
print("nats:", value.round(4), "of at most", round(N * np.log(K), 4))
show(Independent.entropy)

# %% [markdown]
# ## 5 Drawing a category: inversion
#
# One uniform number $u$ in $(0, 1)$ decides (*inverse transform sampling*). Lay intervals of lengths $q_1, q_2, \ldots$ side by side. The interval in which $u$ falls is the draw. Number the categories from
# 0. Then $z$ is how many intervals end at or before $u$:
#
# $$z = \#\lbrace k : \sum_{j \le k} q_j \le u \rbrace \sim q . \tag{2.6}$$
#
# Every sampler here takes its uniforms as an *argument*, so an even grid tests it without chance. If the probabilities are
# multiples of 1/8, the midpoints of eight cells must hit the categories exactly in proportion.

# %% [markdown] slide
# ## Drawing by one uniform number
#
# Lay intervals of lengths $q_1, q_2, \ldots$ side by side. The interval in which $u$ falls is the draw:
#
# [Eq. 2.6]
#
# The sampler takes its uniforms as an *argument*: an even grid tests it without chance. Here $q = (4, 2, 1, 1) / 8$.
#
# [output]

# %%
eighths = np.array([4, 2, 1, 1]) / 8
grid = (np.arange(8) + 0.5) / 8
own = [(np.cumsum(eighths) <= u).sum() for u in grid]
# (S, B, N) = (8, 1, 1)
drawn = codes(np.log(eighths)[None, None], grid[:, None, None])[:, 0, 0]
print("uniforms  ", grid, "\ncategories", drawn)
confirm("2.6", drawn, own)
confirm("2.6", np.bincount(drawn) / 8, eighths)
show(Independent.codes)

# %% [markdown]
# ## 6 Drawing a category: a race of clocks, and Gumbel-max
#
# There is another way to draw, with K uniforms. In it noise is *added* to the logits, and a sum has a derivative. Lessons 07, 10 and 11 build on that.
#
# **The race.** Every category has a clock. Clock $k$ rings at the time
#
# $$T_k = \frac{E_k}{q_k}, \qquad P(E_k > t) = e^{-t} ,$$
#
# where $E_1, \ldots, E_K$ are independent *Exponential(1)* variables. So $P(T_k > t) = P(E_k > q_k t) = e^{-q_k t}$: a probable category rings early. The category whose clock rings first is the draw.
#
# **Who wins, and when.** Clock $k$ wins at time $t$ if it rings at $t$, which has the density $q_k e^{-q_k t}$ (its *rate* is $q_k$), and all others are still silent:
#
# $$p(\text{first} = k, \text{time} = t) = q_k e^{-q_k t} \prod_{j \ne k} e^{-q_j t} = q_k \cdot e^{-t} ,$$
#
# because the $q_j$ add up to one. This is a product. The factor $q_k$ says who wins: $P(\text{first} = k) = q_k$. The factor $e^{-t}$ says when: the winning time is Exponential(1), *whoever* wins.
#
# **No memory.** A clock that is silent at time $t$ stays silent for $r$ more with probability $e^{-q_k (t + r)} / e^{-q_k t} = e^{-q_k r}$, as at the start. So after the first ring the others race anew. Their rates add up to $1 - q_k$, so the next is
# $j$ with probability $q_j / (1 - q_k)$. The order of ringing is a draw *without replacement* (lesson 12).

# %% [markdown] slide
# ## Drawing by a race of clocks
#
# Clock $k$ rings at $T_k = E_k / q_k$, with $P(E_k > t) = e^{-t}$. The first is the draw.
#
# [picture]
#
# $$p(\text{first} = k, \text{time} = t) = q_k e^{-q_k t} \cdot e^{-(1 - q_k) t} = q_k \cdot e^{-t}$$
#
# The other rates add up to $1 - q_k$. So $q_k$ says who wins, $e^{-t}$ when.

# %%
three = np.array([[[0.5, -1.0, 1.2]]])  # logits (B, N, K) = (1, 1, 3)
q = softmax(three)[0][0, 0]
rings = rng.exponential(size=(20_000, 3)) / q  # one race a row
first, time = rings.argmin(1), rings.min(1)
fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.5, 2.8), layout="constrained"
)
one = 29  # any of them
left.hlines(range(3), 0, rings[one], color="0.6")
left.plot(rings[one], range(3), "ko")
left.plot(time[one], first[one], "k*", markersize=16, label="the first")
left.set(xlabel="time", ylim=(-0.5, 2.9), xlim=(0, None), title="one race")
left.set_yticks(range(3), [f"{k}: q = {q[k]:.2f}" for k in range(3)])
left.legend(frameon=False, loc="upper right")
for k, style in enumerate(("-", "--", ":")):
    own = time[first == k]
    label = f"{k} wins {len(own) / len(first):.1%}"
    right.hist(own, np.arange(0, 4.1, 0.25), density=True, label=label,
               histtype="step", ls=style, color="black")  # fmt: skip
right.plot(np.arange(0, 4, 0.1), np.exp(-np.arange(0, 4, 0.1)), lw=4,
           color="0.75", zorder=0, label="$e^{-t}$")  # fmt: skip
right.set(xlabel="winning time", ylabel="density", title="20,000 races")
right.legend(frameon=False)
picture(
    fig,
    "Left: three clocks as lines that end when they ring; the first is "
    "marked. Right: the winning times have one density, whoever wins.",
)

# %% [markdown]
# **Gumbel-max.** How is the race run with uniforms? $E = -\log u$ is Exponential(1), as $P(-\log u > t) = P(u < e^{-t}) = e^{-t}$. Now take minus the logarithm of a ringing time:
#
# $$-\log T_k = \log q_k - \log E_k = \log q_k + G_k ,$$
#
# with the noise
#
# $$G = -\log(-\log u) . \tag{2.7}$$
#
# Its law is the Gumbel distribution: for any number $g$, $P(G \le g) = P(E \ge e^{-g}) = e^{-e^{-g}}$, of mean $\gamma \approx 0.5772$ (Euler's constant)
# and variance $\pi^2 / 6$.

# %% [markdown] slide
# ## Gumbel-max: the same race, with noise that is added
#
# Minus the logarithm of a ringing time:
#
# $$-\log T_k = \log q_k - \log E_k = \log q_k + G_k$$
#
# [Eq. 2.7]
#
# The first clock has the largest $\log q_k + G_k$, and $\log q_k$ is $\ell_k$ minus a constant:
#
# [Eq. 2.8]
#
# Noise is *added* to the logits, and a sum has a derivative.

# %%
g = np.linspace(-2, 6, 9)
# the inverse of the distribution function
confirm("2.7", gumbel(np.exp(-np.exp(-g))), g)
midpoints = (np.arange(1_000_000) + 0.5) / 1_000_000
confirm("2.7", gumbel(midpoints), -np.log(-np.log(midpoints)))
confirm("2.7", gumbel(midpoints).mean(), np.euler_gamma, tolerance=1e-5)
confirm("2.7", gumbel(midpoints).var(), np.pi**2 / 6, tolerance=1e-4)

# %% [markdown]
# The first clock has the largest $\log q_k + G_k$. And $\log q_k$ is $\ell_k$ minus a constant, the same for all $k$. So perturb each logit with its own noise, and take the largest:
#
# $$z = \arg\max_k (\ell_k + G_k) \sim q . \tag{2.8}$$
#
# With $Z = \sum_j e^{\ell_j}$ the constant is $\log Z$. So the largest perturbed logit is $\log Z$ minus the logarithm of the winning time: a Gumbel variable shifted by $\log Z$, which says
# nothing about *who* won. Put $t = Z e^{-g}$ into the density of the race. A density also gets the factor $\lvert dt / dg \rvert = Z e^{-g}$:
#
# $$p(\arg\max = k, \max = g) = q_k \cdot Z e^{-g}\, e^{-Z e^{-g}} = e^{\ell_k - g}\, e^{-Z e^{-g}} .$$
#
# We check this density by the trapezoidal rule, and the sampler on an even grid of three uniforms:

# %%
height = np.linspace(-15, 50, 5001)  # g
above = three[0, 0][:, None] - height  # (3, heights): l_k - g
density = np.exp(above) * np.exp(-np.exp(above).sum(0))
confirm("2.8", density.sum(-1) * (height[1] - height[0]), q)

# %% setup
cells = (np.arange(80) + 0.5) / 80
# (S, 1, 1, 3), S = 512,000
cube = np.stack(
    np.meshgrid(cells, cells, cells, indexing="ij"), -1
).reshape(-1, 1, 1, 3)

# %%
z = gumbel_max(three, cube)  # (S, 1, 1)
rings = -np.log(cube[:, 0, 0]) / q  # (S, 3): the same race, with clocks
assert (z[:, 0, 0] == rings.argmin(-1)).all()
shares = np.bincount(z.ravel()) / len(z)
print("shares", shares.round(4), " q", q.round(4))
confirm("2.8", shares, q, tolerance=2e-3)
order = rings.argsort(-1)
both = ((order[:, 0] == 2) & (order[:, 1] == 0)).mean()
print(
    f"first 2, then 0: {both:.4f}; q_2 q_0 / (1 - q_2) = "
    f"{q[2] * q[0] / (1 - q[2]):.4f}"
)
show(gumbel_max)

# %% [markdown]
# With random uniforms the same comparison is a statistical test. It says which error it would have seen (lesson 05):

# %%
many = tiled(three, 100_000)
(u,) = draw(rng, many, 1, ("u",))
print(from_samples(one_hot(gumbel_max(many, u)[0, :, 0], 3, float), q))

# %% [markdown]
# ## 7 Where the derivative goes
#
# Can we differentiate a draw? Hold $u$ and move one logit. That moves the ends of the intervals. The category changes only if $u$ lies between an old and a new end (hatched):

# %% [markdown] slide
# ## Can we differentiate a draw?
#
# - Draw a category by one uniform number $u$.
# - Hold $u$, and move one logit a little. The ends of the intervals move.
#
# *Question: for which $u$ does the drawn category change? What then is the slope of $f(z)$?*

# %% [markdown] slide
# ## Where the derivative goes
#
# [picture]
#
# A logit moves by a half: the category changes for {{changed:.0%}} of all $u$ (hatched). A thousandth of the move changes about a thousandth of that. For all other $u$ the category stays, so the slope of $f(z)$ is 0, whatever $f$.

# %%
before = np.cumsum(softmax(np.array([0.0, 0.0, 0.3]))[0])
after = np.cumsum(softmax(np.array([0.5, 0.0, 0.3]))[0])
fig, ax = plt.subplots(figsize=(7.5, 2.2), layout="constrained")
for old, new in zip(before[:2], after[:2], strict=True):
    ax.fill_between([old, new], -0.4, 1.4, facecolor="none", hatch="////")
for row, ends in enumerate((after, before)):
    for k, (low, high) in enumerate(zip([0, *ends], ends, strict=False)):
        ax.barh(row, high - low, 0.5, low, color=str(1 - 0.15 * k), ec="k")
        ax.text(
            (low + high) / 2, row, f"category {k}", ha="center", va="center"
        )
for u, words in ((0.06, "u: 0 stays 0"), (0.37, "u: 1 becomes 0")):
    ax.axvline(u, ymax=0.8, color="black", ls="--")
    ax.text(u, 1.5, words, ha="center" if u > 0.1 else "left")
ax.set_yticks([0, 1], ["after", "before"])
ax.set(ylim=(-0.4, 1.85), xlim=(0, 1), xlabel="uniform number u")
picture(
    fig,
    "Three intervals of lengths q, before and after a logit grows. Only "
    "draws u between an old and a new interval end change category.",
)
changed = (after - before)[:2].sum()

# %% [markdown]
# This move of a half changes the category for {{changed:.0%}} of all $u$. A thousandth of the move changes about a thousandth of that. For all other $u$ it stays, so the slope of $f(z)$ is 0, whatever $f$. The same holds for Gumbel-max:

# %%
f_of = np.array([0.0, 1.0, 3.0])  # f of each category, in nats
f = lookup_table(f_of)
u = np.array([[[[0.5, 0.5, 0.4]]]])  # one draw's noise
for first in (0.5, 0.8, 0.9, 1.0, 1.3):
    z = gumbel_max(np.array([[[first, -1.0, 1.2]]]), u)
    print(f"logit {first}: category {z.item()}, f = {f(z)[0].item()}")

# %% [markdown]
# So the *mean of the slopes* is 0. The *slope of the mean* is not: $\mathbb{E}_q f = \sum_k q_k f_k$ is smooth, and has
# the slope $J f$. The two may not be exchanged:
#
# $$\mathbb{E}_u\Bigl[\frac{\partial}{\partial \ell} f(z(\ell, u))\Bigr] = 0 \ne \frac{\partial}{\partial \ell}\, \mathbb{E}_u\bigl[f(z(\ell, u))\bigr] = J f .$$
#
# The jumps carry the slope of the mean. Central differences with the same $u$ on both sides see the jumps, and for a small step $h$ they are right on average. But few draws jump, and each jump is divided by $2h$.
# We compute their mean and variance exactly, piece by piece of the $u$ axis:


# %% [markdown] slide
# ## The slope of the mean is not the mean of the slopes
#
# $$\mathbb{E}_u\Bigl[\frac{\partial}{\partial \ell} f(z(\ell, u))\Bigr] = 0 \ne \frac{\partial}{\partial \ell}\, \mathbb{E}_u\bigl[f(z(\ell, u))\bigr] = J f$$
#
# The jumps carry the slope of the mean. Central differences with the same $u$ see the jumps:
#
# [output]
#
# A tenth of the step gives ten times the variance, without limit. **Every estimator of this course is a way around this.**


# %%
def mean_and_variance_of_differences(h):
    """Of the central difference in the first logit, over u."""
    step = np.array([h, 0, 0])
    up, down = (np.cumsum(softmax(three[0, 0] + each)[0])
                for each in (step, -step))  # fmt: skip
    edges = np.sort([0, *up[:2], *down[:2], 1])
    u = (edges[1:] + edges[:-1]) / 2  # a point of each piece
    z_up, z_down = ((ends[:2] <= u[:, None]).sum(1) for ends in (up, down))
    difference = (f_of[z_up] - f_of[z_down]) / (2 * h)
    return moments(np.diff(edges), difference)  # pieces weigh their widths


exact = dvae_np.exact(three, f).dlogits[0, 0, 0]
for h in (0.5, 0.05, 0.005):
    mean, variance = mean_and_variance_of_differences(h)
    print(
        f"h = {h}: mean {mean:.4f}, exact gradient {exact:.4f}, variance "
        f"{variance:.1f}"
    )

# %% [markdown]
# A tenth of the step gives ten times the variance, without limit. Every estimator of this course is a way around this.
#
# ## 8 The picture
#
# Left: three logits $0.5$, $-1$ and $1.2$ (thin dotted lines), the densities of the perturbed logits, and in black that of the largest: the same
# shape, moved to $\log Z$. The highest logit wins only {{softmax(three)[0].max():.0%}} of the time. Right: $f$ of a category drawn with fixed noise,
# against a logit, for three noises (drawn a little apart). They are stairs. Their mean over all noises is the smooth curve.

# %% [markdown] slide
# ## The highest logit often loses
#
# [picture]
#
# Left: the highest of three logits wins {{softmax(three)[0].max():.0%}} of the time. Right: $f$ of a category drawn with fixed noise, against a logit, is a stair. The mean over all noises is smooth.

# %%
figure("gumbel_max.png")

# %% [markdown]
# ## 9 Break it
#
# The classic mistake with the softmax is the backward $q \odot dy$, without the second term of the Jacobian. The
# comparison with the complex step finds it:


# %% [markdown] slide
# ## Break it
#
# The backward $q \odot dy$: the second term of the Jacobian is missing.
#
# [output]
#
# In the last line the mean of $dy$ under $q$ is zero on purpose, and the mistake is invisible. **Checks use a random $dy$.**


# %%
def half_softmax(x):
    """A bug: the second term of the Jacobian is missing."""
    q = softmax(x)[0]
    return q, lambda dy: q * dy


dy = rng.standard_normal((B, N, K))
numeric = complex_step(
    lambda a: (dy * softmax(a["x"])[0]).sum(), {"x": logits}
)["x"]
say(
    comparison(
        "dx", half_softmax(logits)[1](dy), numeric, q=softmax(logits)[0]
    )
)
centred = dy - (softmax(logits)[0] * dy).sum(-1, keepdims=True)
numeric = complex_step(
    lambda a: (centred * softmax(a["x"])[0]).sum(), {"x": logits}
)["x"]
say(comparison("dx", half_softmax(logits)[1](centred), numeric))

# %% [markdown]
# Look at the last line. In that last test we made the mean of $dy$ under $q$ zero on purpose, and the mistake is invisible. That is why checks use a random $dy$.

# %% [markdown]
# ## Reading
#
# - E. J. Gumbel, *Statistical Theory of Extreme Values*, 1954: where the distribution comes from.
# - C. Maddison, D. Tarlow, T. Minka, *A\* Sampling*, 2014: Gumbel-max, and perturbed logits given their largest.
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-Softmax*, 2017: what Gumbel-max is wanted for.
# - W. Kool, H. van Hoof, M. Welling, *Stochastic beams and where to find them*, 2019: the S largest, drawn without replacement.
#
# Next: [03 The ELBO and the KL](03_elbo_and_kl.ipynb), the objective.

# %% [markdown] exercise 02.1: 1 point
# ## 02.1 Implement: the log-softmax
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


# %% [markdown] exercise 02.2: 2 points
# ## 02.2 Derive: how long is a score?
#
# The variance of REINFORCE contains the mean squared length of the score, $\mathbb{E}\, \lVert \mathrm{score}(z) \rVert^2$ (lesson 05). Derive it for one latent, as a function of the probabilities `q` (K,)
# alone, with a single sum over the K categories. Return a number. 1 line. For $q = (0.5, 0.25, 0.25)$ you should get {{mean_square_of_the_score(np.array([0.5, 0.25, 0.25])):.3f}}.


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


# %% [markdown] exercise 02.3: 1 point
# ## 02.3 Implement: Gumbel-max
#
# Write `my_sample(logits, u)`: `logits` (B, N, K), uniforms `u` (S, B, N, K); return codes (S, B, N), integers, drawn from the softmax of the logits. Do not call
# the library. About 2 lines. The judge runs it on evenly spread uniforms and compares the shares of the categories with $q$. It also
# checks that each latent of each example depends on its own uniforms, and on no others.
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


# %% wrong 02.3: your codes have the shape
def my_sample(logits, u):
    return np.argmax(logits - np.log(-np.log(u)))


# %% [markdown] exercise 02.4: 2 points
# ## 02.4 Find the bug: the entropy's gradient
#
# "The derivative of $-q \log q$ is $-(\log q + 1)$, and that of $q$ in its logit is $q$." With this reasoning somebody wrote the line below. Correct it: `x` (B, K), return the
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


# %% [markdown] exercise 02.5: 1 point
# ## 02.5 Find the bug: a category that does not exist
#
# This sampler counts *all* the cumulated probabilities that do not exceed $u$. In exact arithmetic that is right, as the last one is 1. In float32 the sum of
# 1,000 probabilities may end a little below 1. A $u$ above that sum gives category K, which does not exist, and the look-up that follows fails. It happens rarely. Correct it, so that every $u$ below 1 gives a category from 0 to K - 1, and those that were right stay as they are. `q` (K,), `u` (S,);
# return categories (S,). Change one line:
#
# ```python
# return (cumulated <= u[:, None]).sum(-1)
# ```


# %% solution 02.5
def invert(q, u):
    """Categories drawn by inversion of the distribution function."""
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


# %% [markdown] written 02.W: 3 points
# ## 02.W In words: does any noise do?
#
# (a) The Gumbel noise is multiplied by a number $a > 0$, the same for all categories: $z = \arg\max_k (\ell_k + a G_k)$. What is the law of $z$? What becomes
# of it if $a$ goes to zero, and if $a$ grows without limit?
#
# (b) A student has two categories, and draws $z = \arg\max_k (\ell_k + \varepsilon_k)$ with independent *standard normal* $\varepsilon_1, \varepsilon_2$.
# *The larger logit wins more often, so this is a draw from the softmax.* Let $\Phi(t)$ be the probability that a standard normal variable is at most $t$.
# What is the probability of category 1? Compare with the softmax at $\ell_1 - \ell_2 = 4$, where you may use $\Phi(2.83) = 0.998$.
#
# (c) The student goes on to use the score [Eq. 2.4] with these draws. Which property of the score is lost? Half a page in all.

# %% [markdown] model 02.W
# (a) Dividing all numbers by $a$ does not change which one is the largest: $z = \arg\max_k (\ell_k / a + G_k)$. By [Eq. 2.8] the law is
# $\mathrm{softmax}(\ell / a)$. For $a \to 0$ the largest logit always wins. For $a \to \infty$ all categories become equally probable.
#
# (b) Category 1 wins if $\varepsilon_2 - \varepsilon_1 < \ell_1 - \ell_2$. The difference is normal with variance 2. So the probability is
# $\Phi\bigl((\ell_1 - \ell_2) / \sqrt{2}\bigr)$. The softmax gives $\sigma(\ell_1 - \ell_2)$. At a difference of 4 these are $\Phi(2.83) = 0.998$ and
# $\sigma(4) = 0.982$. The student's sampler draws category 2 with probability $0.002$ where it should be $0.018$, far too seldom. So the sentence is wrong:
# "more often" is not "with probability $q_k$".
#
# (c) Its mean is no longer zero. Write $P_1$ for the student's probability of category 1. The mean of $\mathrm{onehot}(z) - q$ has the entries $P_1 - q_1$
# and $q_1 - P_1$. This is zero only if $P_1 = q_1$, here only for equal logits.
#
# *Marks:* 1 for the law in (a) with both limits; 1 for the probability in (b) and the comparison; 1 for the mean of the score.
