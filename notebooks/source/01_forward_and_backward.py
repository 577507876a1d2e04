# %% [markdown]
# # 01 Forward and backward
#
# **Question.** Every gradient in this course is written by hand. How is a backward pass derived, and how do we *know* that it is right?
#
# **After this lesson you can**
# - derive the backward pass of an op from the chain rule, without ever writing a Jacobian down,
# - measure a slope in three ways, and say why one of them is exact to the last digit,
# - choose a step size for finite differences, and explain the V-shaped curve of their error,
# - judge a gradient by one number, and by the order of a Taylor remainder.
#
# *Needs:* partial derivatives, NumPy. *Takes:* 80 minutes to read and run, 95 minutes for the exercises. Losses are in nats, as everywhere in
# the course; in this lesson they are only numbers.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np import (
    embedding,
    linear,
    one_hot,
    relu,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from dvae_np.check import (
    central,
    comparison,
    complex_step,
    relative_error,
    taylor_order,
)
from dvae_np.lesson import confirm, figure, picture, say, show

rng = np.random.default_rng(1)

# %% [markdown]
# ## 1 Is this gradient right?
#
# Lesson 00 trained its encoder by one line, `dlogits = q * (cost - loss)`. The line was stated, not derived. Is it right?
#
# Training does not tell us. Here is the loss of lesson 00 for one image and four codes. We descend with that line, and with two wrong versions of it:

# %% [markdown] slide
# ## Is this gradient right?
#
# Lesson 00 trained by one line, which was stated, not derived. We descend with that line, and with two wrong versions of it.
#
# ```python
# "as in lesson 00": q * (cost - loss)
# "without - loss":  q * cost
# "without log q":   q * (f - q @ f)
# ```
#
# [output]
#
# The loss falls each time, and no error is raised. **A gradient is a claim. It needs a proof and a check.**

# %%
f = np.array([1.0, 2.0, 4.0, 3.0])  # -log p(x|k) of one image, in nats
start = np.array([0.3, -1.2, 0.8, 0.5])  # the logits of the four codes


def q_and_cost(logits):
    q = np.exp(logits) / np.exp(logits).sum()
    return q, f + np.log(q) + np.log(len(f))


def loss_of(logits):
    q, cost = q_and_cost(logits)
    return q @ cost


def claimed(logits):
    q, cost = q_and_cost(logits)
    return q * (cost - q @ cost)


versions = {
    "as in lesson 00": lambda q, cost: q * (cost - q @ cost),
    "without - loss": lambda q, cost: q * cost,
    "without log q": lambda q, cost: q * (f - q @ f),
}
reached = {}
for name, version in versions.items():
    logits = start
    for _ in range(200):
        logits = logits - 0.5 * version(*q_and_cost(logits))
    reached[name] = loss_of(logits)
    print(
        f"{name:15}: the loss falls from {loss_of(start):.3f} to "
        f"{reached[name]:.3f}"
    )

# %% [markdown]
# The loss falls each time, and no error is raised. But each wrong gradient stops too early: at {{reached["without - loss"]:.2f}} or {{reached["without log q"]:.2f}} nats instead of {{reached["as in lesson 00"]:.2f}}. So a gradient is a *claim*, and a claim needs a proof and a check.
# Section 2 gives the proof: derive the gradient in small steps. Sections 3 to 6 give the check: measure the slope and compare.
#
# ## 2 An op and its backward
#
# The idea: cut the loss into small functions. Write each of them together with its way back. We call this pair an *op*: `y, backward = op(x)`. The loss of section 1 takes two ops:


# %% [markdown] slide
# ## An op: a function with its way back
#
# ```python
# def my_softmax(logits):
#     q = np.exp(logits) / np.exp(logits).sum()
#     return q, lambda dq: q * (dq - (q * dq).sum())
# ```
#
# $dx$ is the gradient of the loss in $x$. Whoever uses $y$ tells us $dy$. The entry $x_i$ moves the loss through all entries of $y$:
#
# $$dx_i = \sum_j \frac{\partial\,\mathrm{loss}}{\partial y_j} \frac{\partial y_j}{\partial x_i} = \sum_j J_{ji}\, dy_j$$
#
# [Eq. 1.1]
#
# `backward` multiplies by $J^{\top}$, but it need not make $J$.


# %%
def my_softmax(logits):
    q = np.exp(logits) / np.exp(logits).sum()
    return q, lambda dq: q * (dq - (q * dq).sum())


def my_mean_cost(q):
    cost = f + np.log(q) + np.log(len(f))
    return (q * cost).sum(), lambda dloss: dloss * (cost + 1)


q, softmax_backward = my_softmax(start)  # forward: from left to right
loss, cost_backward = my_mean_cost(q)
dq = cost_backward(1.0)  # backward: from right to left
dlogits = softmax_backward(dq)
print("by two ops:    ", dlogits)
print("as in lesson 00:", claimed(start))

# %% [markdown]
# What does `backward` compute? Write $dx$ for $\partial\,\mathrm{loss} / \partial x$, for every array $x$; it has the shape of $x$. We call it the gradient *in* $x$, in all lessons: with respect to $x$. Whoever uses $y$ tells us $dy$, the *cotangent* (other names: upstream gradient, adjoint).
# The entry $x_i$ moves the loss through all the entries of $y$, and the chain rule adds these paths:
#
# $$dx_i = \sum_j \frac{\partial\,\mathrm{loss}}{\partial y_j} \frac{\partial y_j}{\partial x_i} = \sum_j J_{ji}\, dy_j ,$$
#
# with the Jacobian $J_{ji} = \partial y_j / \partial x_i$. In one line:
#
# $$dx = J^{\top} dy . \tag{1.1}$$
#
# So `backward` multiplies by $J^{\top}$, but it need not make $J$. (The field calls it a *vector-Jacobian product*, and the whole method *reverse mode* or *backpropagation*.)
#
# Now the line of lesson 00 can be derived. In $\sum_k q_k\, \mathrm{cost}_k$ the number $q_k$ appears twice, as a factor and in $\log q_k$, whose slope is $1 / q_k$. So $dq_k = \mathrm{cost}_k + 1$.
# The softmax's backward subtracts from $dq$ its mean under $q$ and multiplies by $q$ (lesson 02 derives that). The mean is $\mathrm{loss} + 1$. The ones cancel:
#
# $$d\,\mathrm{logit}_k = q_k\, (\mathrm{cost}_k - \mathrm{loss}) .$$
#
# In the picture values flow to the right, cotangents to the left.

# %% [markdown] slide
# ## Values flow to the right, cotangents to the left
#
# [picture]
#
# - This derives the line of lesson 00: $d\,\mathrm{logit}_k = q_k\, (\mathrm{cost}_k - \mathrm{loss})$.
# - Each step back is a matrix times a *vector*. So a backward pass costs a small multiple of the forward pass.

# %%
fig, ax = plt.subplots(figsize=(7.5, 2.1), layout="constrained")
ax.set(xlim=(-0.4, 2.25), ylim=(-1, 1))
ax.axis("off")
nodes = [("logits", start, dlogits), ("q", q, dq), ("loss", loss, 1.0)]
box = {"boxstyle": "round", "facecolor": "0.93"}
for i, (name, value, cotangent) in enumerate(nodes):
    ax.text(i, 0, name, size=14, ha="center", va="center", bbox=box)
    ax.text(i, 0.55, np.round(value, 2), ha="center")
    words = f"{np.round(cotangent, 2)}\nd{name}"
    ax.text(i, -0.45, words, ha="center", va="top")
solid, dashed = {"arrowstyle": "->"}, {"arrowstyle": "->", "ls": "--"}
for i, op in enumerate(("softmax", "mean cost")):
    ax.annotate("", (i + 0.8, 0.15), (i + 0.2, 0.15), arrowprops=solid)
    ax.annotate("", (i + 0.2, -0.15), (i + 0.8, -0.15), arrowprops=dashed)
    ax.text(i + 0.5, 0.22, op, ha="center")
    ax.text(i + 0.5, -0.22, "its backward", ha="center", va="top")
picture(
    fig,
    "Logits, q and loss in a row. Solid arrows go right through softmax "
    "and mean cost; dashed arrows go back with dloss, dq and dlogits.",
)

# %% [markdown]
# To see Eq. 1.1 at work we make a Jacobian once, that of the softmax. Each column comes from a tiny *imaginary* step (section 4 says why that works).

# %%
x, dy = rng.standard_normal(3), rng.standard_normal(3)
J = np.stack(
    [softmax(x + 1e-20j * unit)[0].imag / 1e-20 for unit in np.eye(3)],
    axis=1,
)  # (3, 3): column i is dy / dx_i
y, backward = softmax(x)
confirm("1.1", backward(dy), J.T @ dy)
confirm("1.1", my_softmax(x)[1](dy), J.T @ dy)
print(J.round(3))
show(softmax)

# %% [markdown]
# Two ops in a row, first $h$ and then $g$, give $y = g(h(x))$. They have the Jacobian $J_g J_h$, and so $dx = J_h^{\top} (J_g^{\top} dy)$: the backward functions are called in the
# opposite order. Each step is a matrix times a *vector*. That is why one backward pass costs a small multiple of the forward pass, however many
# parameters there are. A linear layer has one product forward and two backward.
#
# ## 3 Finite differences, and the V
#
# How do we check a backward? We move the input a little and look. For a loss $L$ of one number, Taylor's formula says
#
# $$L(x \pm h) = L(x) \pm h L'(x) + \tfrac{1}{2} h^2 L''(x) \pm \tfrac{1}{6} h^3 L'''(x) + \ldots$$
#
# The one-sided difference $(L(x + h) - L(x)) / h$ is off by $\frac{1}{2} h L''$. In the *central* one the even terms cancel, and
# $\frac{1}{6} h^2 L'''$ is left. But the computer rounds each $L$, with a relative error of about $\varepsilon \approx 10^{-16}$. The
# subtraction keeps this error, and the division by $2h$ makes it large:
#
# $$L'(x) = \frac{L(x + h) - L(x - h)}{2h} + O(h^2) + O(\varepsilon / h) . \tag{1.2}$$
#
# A large $h$ is wrong by Taylor, a small $h$ by rounding. The sum is least in between, about where both are equal: $h^2 = \varepsilon / h$ gives $h = \varepsilon^{1/3}$, with
# an error of about $\varepsilon^{2/3} \approx 10^{-11}$. We try it on the gradient of lesson 00:


# %% [markdown] slide
# ## The check: move the input a little, and look
#
# $$L'(x) \approx \frac{L(x + h) - L(x - h)}{2h}$$
#
# For the gradient of lesson 00:
#
# [output]
#
# *Question: the smallest step is not the best one. Why?*

# %% [markdown] slide
# ## Two errors
#
# [Eq. 1.2]
#
# - A large $h$ is wrong by Taylor. The error falls with $h^2$.
# - A small $h$ is wrong by rounding, $\varepsilon \approx 10^{-16}$. The subtraction keeps this error, and the division by $2h$ makes it large.
# - The sum is least about where both are equal: $h = \varepsilon^{1/3}$, with an error of about $\varepsilon^{2/3} \approx 10^{-11}$.


# %%
def my_central(loss, x, h):
    units = np.eye(len(x))
    return np.array([(loss(x + h * e) - loss(x - h * e)) / (2 * h)
                     for e in units])  # fmt: skip


right = claimed(start)
for h in (1e-1, 1e-3, 6e-6, 1e-8, 1e-12):
    error = relative_error(my_central(loss_of, start, h), right)
    print(f"h = {h:.0e}: relative error {error:.0e}")


def named_loss(arrays):
    """The library's checks take a dict of arrays."""
    return loss_of(arrays["x"])


confirm(
    "1.2", central(named_loss, {"x": start})["x"], right, tolerance=1e-9
)

# %% [markdown]
# The line of lesson 00 is right, to ten digits.
#
# ## 4 The complex step
#
# The subtraction costs us digits. Can we do without it? Yes, by a step in the *imaginary* direction, if $L$ is analytic (built from sums, products, $\exp$,
# $\log$ and the like):
#
# $$L(x + ih) = L(x) + i h L'(x) - \tfrac{1}{2} h^2 L''(x) - \tfrac{i}{6} h^3 L'''(x) + \ldots$$
#
# The value is in the real part, the slope in the imaginary part, and they do not mix:
#
# $$L'(x) = \frac{\mathrm{Im}\, L(x + ih)}{h} + O(h^2) . \tag{1.3}$$
#
# Nothing cancels, so we may take $h = 10^{-20}$. Then $h^2 = 10^{-40}$ is far below rounding, and the slope is as exact as the value.


# %% [markdown] slide
# ## The complex step
#
# The subtraction costs digits. A step in the *imaginary* direction needs none:
#
# $$L(x + ih) = L(x) + i h L'(x) - \tfrac{1}{2} h^2 L''(x) - \ldots$$
#
# [Eq. 1.3]
#
# - Nothing cancels, so we may take $h = 10^{-20}$: the slope is as exact as the value.
# - The price: every op must let imaginary parts through.


# %%
def my_complex_step(loss, x, h=1e-20):
    return np.array([loss(x + 1j * h * e).imag / h for e in np.eye(len(x))])


confirm("1.3", my_complex_step(loss_of, start), right)
confirm("1.3", complex_step(named_loss, {"x": start})["x"], right)
show(complex_step)

# %% [markdown]
# The price: `abs`, `.real`, a conjugate or a cast to float drop imaginary parts, and a comparison must look at
# the real part. Every op of this package lets imaginary parts through. Other programs need central differences.
#
# ## 5 The three errors in one picture
#
# Left: the error of each method. Read from right to left, as $h$ shrinks. *One-sided* falls by one decade for
# each decade of $h$, *central* by two, until both meet the line of rounding and rise again: a V. The *complex step* goes down with the central one, and on to the
# floor, where it stays. The cell prints the lowest points. Right: the Taylor test of the next section.

# %% [markdown] slide
# ## The three errors in one picture
#
# [picture]
#
# Left, from right to left: one-sided falls by one decade for each decade of $h$, central by two. Then both meet rounding: a V. The complex step stays on the floor. Right: the next slide.

# %%
figure("step_sizes.png", named_loss, claimed, start)


def my_one_sided(loss, x, h):
    return np.array(
        [(loss(x + h * e) - loss(x)) / h for e in np.eye(len(x))]
    )


for method in (my_one_sided, my_central, my_complex_step):
    error, h = min(
        (relative_error(method(loss_of, start, h), right), h)
        for h in 10.0 ** np.arange(-20, -0.4, 0.5)
    )
    print(f"{method.__name__:15}: least error {error:.0e} at h = {h:.0e}")

# %% [markdown]
# ## 6 The Taylor test, and one number for an error
#
# With a million parameters, one entry at a time is too slow. Check one random direction $d$ instead. Write $\langle a, b \rangle$ for the sum over all entries of $a$ times $b$. With the matrix $\nabla^2 L$ of second derivatives,
#
# $$L(x + h d) - L(x) = h \langle \nabla L, d \rangle + \tfrac{1}{2} h^2\, d^{\top} (\nabla^2 L)\, d + O(h^3) .$$
#
# Subtract $h \langle g, d \rangle$ with the gradient $g$ that we derived. If $g$ is right along $d$, the first term goes and the rest is quadratic. If not, a
# term $h \langle \nabla L - g, d \rangle$ stays, and it is the largest for small $h$:
#
# $$L(x + h d) - L(x) - h \langle g, d \rangle = O(h^2) \iff \langle g, d \rangle \text{ is the slope along } d . \tag{1.4}$$
#
# So halve $h$ and look: the remainder must fall by a factor of 4, not 2. No tolerance has to be chosen. (If $d^{\top} (\nabla^2 L)\, d$ happens to be zero, it falls
# faster still.)

# %% [markdown] slide
# ## The Taylor test: no tolerance to choose
#
# One random direction $d$, and the gradient $g$ that we derived. If and only if $\langle g, d \rangle$ is the slope along $d$ [Eq. 1.4]:
#
# $$L(x + h d) - L(x) - h \langle g, d \rangle = O(h^2)$$
#
# Halve $h$. The remainder must fall by a factor of 4, not 2.
#
# [output]

# %%
d = rng.standard_normal(4)
for name, g in (("claimed", right), ("0.05 off", right + [0, 0.05, 0, 0])):
    remainders = [abs(loss_of(start + h * d) - loss_of(start) - h * g @ d)
                  for h in (0.02, 0.01, 0.005)]  # fmt: skip
    print(
        f"{name:8}: it falls by", np.divide(remainders[:-1], remainders[1:])
    )
order = taylor_order(named_loss, {"x": start}, {"x": right}, {"x": d})
confirm("1.4", order, 2, tolerance=0.02)

# %% [markdown]
# Where a numeric gradient $n$ of the whole array is affordable, one number says how far ours, $a$, is from it:
#
# $$\mathrm{error}(a, n) = \frac{\lVert a - n \rVert}{\lVert a \rVert + \lVert n \rVert} . \tag{1.5}$$
#
# It is 0 for equal arrays and 1 for opposite ones, and scaling the loss changes nothing. Two other measures fail. An *absolute* tolerance passes every
# small gradient, with a flipped sign too. A ratio *entry by entry* rejects a right entry that is nearly zero.

# %% [markdown] slide
# ## One number for an error
#
# [Eq. 1.5]
#
# 0 for equal arrays, 1 for opposite ones. Scaling the loss changes nothing.
#
# Two other measures fail:
#
# - an absolute tolerance passes every small gradient, with a flipped sign too;
# - a ratio entry by entry rejects a right entry that is nearly zero.
#
# [output]

# %%
tiny = 1e-9 * right
print(
    "absolute tolerance passes a flipped sign:",
    np.allclose(tiny, -tiny, atol=1e-8),
)
print(
    "relative error of the flipped sign:      ", relative_error(tiny, -tiny)
)
other = right + [1e-3, 0, 0, 0]
by_hand = sum((other - right) ** 2) ** 0.5 / (
    sum(other**2) ** 0.5 + sum(right**2) ** 0.5
)
confirm("1.5", relative_error(other, right), by_hand)

# %% [markdown]
# Lesson 15 packs these checks into one call, and adds those for gradients that are estimated from samples. The rest of this lesson derives the ops that every model of the course is built from.
#
# ## 7 The linear layer
#
# Rows $x$ (R, I) times weights $w$ (I, O), plus a bias $b$ (O). With indices, $y_{ro} = \sum_i x_{ri} w_{io} + b_o$. Ask of each number where it
# goes:
#
# - $x_{ri}$ goes into every $y_{ro}$ of its own row, with slope $w_{io}$: $dx_{ri} = \sum_o dy_{ro}\, w_{io}$.
# - $w_{io}$ is used by every row, with slope $x_{ri}$: $dw_{io} = \sum_r x_{ri}\, dy_{ro}$.
# - $b_o$ is used by every row, with slope 1: $db_o = \sum_r dy_{ro}$.
#
# What is *used by many* in the forward pass is *summed* in the backward pass. As matrices:
#
# $$y = x w + b, \quad dx = dy\, w^{\top}, \quad dw = x^{\top} dy, \quad db = \sum_{\mathrm{rows}} dy . \tag{1.6}$$
#
# The shapes allow nothing else, which is a good check of the derivation. In the test all sizes differ, so that a wrong transpose cannot fit. As the loss we take $\langle dy, y \rangle$ with a random $dy$: its slope in $x$ is
# $J^{\top} dy$, whatever the op.


# %% setup
def by_complex_step(op, dy, **inputs):
    """The gradients of <dy, op(...)> in its inputs, as a dict of the
    inputs' names.
    """
    return complex_step(lambda arrays: (dy * op(**arrays)[0]).sum(), inputs)


# %% [markdown] slide
# ## Used by many forward, summed backward
#
# A linear layer. Every row uses $w$ and $b$, so their gradients are sums over the rows:
#
# [Eq. 1.6]
#
# An embedding is a linear layer on one-hot rows. A row of the table collects the $dy$ of all examples that selected it:
#
# [Eq. 1.7]
#
# The selected category is an integer. It has no slope.


# %%
def my_linear(x, w, b):
    return x @ w + b, lambda dy: (dy @ w.T, x.T @ dy, dy.sum(0))


layer = {
    "x": rng.standard_normal((4, 3)),
    "w": rng.standard_normal((3, 2)),
    "b": rng.standard_normal(2),
}
y, backward = linear(**layer)  # (4, 2)
dy = rng.standard_normal(y.shape)
numeric = by_complex_step(my_linear, dy, **layer)
mine = my_linear(**layer)[1](dy)
for gradient, own, name in zip(backward(dy), mine, layer, strict=True):
    confirm("1.6", own, numeric[name])
    confirm("1.6", gradient, numeric[name])
show(linear)

# %% [markdown]
# ## 8 The embedding
#
# How does a category $z \in \lbrace 0, \ldots, K - 1 \rbrace$ enter a network? It selects a row of a table. Lesson 00's decoder was such a table. With N latents there are N tables $E_n$ (K, H), where H is the length of a row, and the
# selected rows are added up. Written with one-hot rows $z_{nk}$ this is a linear layer, and Eq. 1.6 gives the gradient:
#
# $$y = \sum_n \sum_k z_{nk}\, E_{nk}, \quad dE_{nk} = \sum_{\mathrm{rows}} z_{nk}\, dy . \tag{1.7}$$
#
# Forward it is a look-up, not a product. Backward, a row of the table collects the $dy$ of all examples that selected it. An
# integer has no slope: `dz` is `None`. A *relaxed* code, a float row that sums to one (lesson 07), has one: $dz_{nk} = \langle dy, E_{nk} \rangle$.

# %%
N, K, H = 2, 3, 5
# four codes of two latents
table, z = rng.standard_normal((N, K, H)), rng.integers(0, K, (4, N))
y, backward = embedding(z, table)  # (4, H)
dy = rng.standard_normal(y.shape)
dz, dtable = backward(dy)
value_by_hand, dtable_by_hand = np.zeros((4, H)), np.zeros((N, K, H))
for row in range(4):
    for n in range(N):
        value_by_hand[row] += table[n, z[row, n]]
        dtable_by_hand[n, z[row, n]] += dy[row]
confirm("1.7", y, value_by_hand)
confirm("1.7", dtable, dtable_by_hand)
confirm("1.7", y, embedding(one_hot(z, K, float), table)[0])
print("dz of integer codes:", dz)

soft = rng.random((4, N, K))
numeric = by_complex_step(embedding, dy, z=soft, table=table)
for gradient, name in zip(
    embedding(soft, table)[1](dy), ("z", "table"), strict=True
):
    confirm("1.7", gradient, numeric[name])

# %% [markdown]
# ## 9 Entry by entry
#
# Where $y_i$ depends on $x_i$ alone, the Jacobian is diagonal and the backward is a product entry by entry, written $\odot$: $dx = \mathrm{op}'(x) \odot dy$. We need four such ops.
#
# **Hyperbolic tangent.** Write $\tanh x = u / v$ with $u = e^x - e^{-x}$ and $v = e^x + e^{-x}$. Then $u' = v$ and $v' = u$, and the rule for quotients gives
# $(v \cdot v - u \cdot u) / v^2$, so
#
# $$\tanh' x = 1 - \tanh^2 x . \tag{1.8}$$
#
# **Rectifier.** It is the identity where $x > 0$ and constant where $x < 0$. At 0 it has no slope; we take 0. With $[x > 0]$ for 1 if $x > 0$ and 0 otherwise,
#
# $$\mathrm{relu}(x) = \max(x, 0), \quad \mathrm{relu}'(x) = [x > 0] . \tag{1.9}$$
#
# **Softplus.** In $\zeta(x) = \log(1 + e^x)$ the exponential overflows where $x$ is large. There we take $e^x$ out: $\log\bigl(e^x (e^{-x} + 1)\bigr) = x + \log(1 + e^{-x})$,
# and the slope $e^x / (1 + e^x)$ is $1 / (e^{-x} + 1)$. Both cases in one formula, with $t$ between 0 and 1:
#
# $$t = e^{-\lvert x \rvert}, \quad \zeta(x) = \log(1 + e^x) = \max(x, 0) + \log(1 + t), \quad \zeta'(x) = \sigma(x) = \frac{\max(t, [x > 0])}{1 + t} . \tag{1.10}$$
#
# Where $t$ is small, the sum $1 + t$ loses the digits of $t$. NumPy's `log1p(t)` computes $\log(1 + t)$ without that sum.
#
# **Sigmoid.** Its slope is $e^{-x} / (1 + e^{-x})^2$, the product of $1 / (1 + e^{-x})$ and $e^{-x} / (1 + e^{-x}) = 1 - \sigma(x)$:
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}, \quad \sigma' = \sigma (1 - \sigma) . \tag{1.11}$$


# %%
def my_tanh(x):
    t = np.tanh(x)
    return t, lambda dy: dy * (1 - t**2)


x, dy = 2 * rng.standard_normal((2, 3)), rng.standard_normal((2, 3))


def slope_of(plain):
    """The gradient of <dy, plain(x)>, by the complex step."""
    return complex_step(
        lambda arrays: (dy * plain(arrays["x"])).sum(), {"x": x}
    )["x"]


def plain_tanh(x):
    return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)


confirm("1.8", my_tanh(x)[1](dy), slope_of(plain_tanh))
confirm("1.8", tanh(x)[0], plain_tanh(x))
confirm("1.8", tanh(x)[1](dy), slope_of(plain_tanh))
confirm("1.10", softplus(x)[0], np.log(1 + np.exp(x)))
confirm(
    "1.10", softplus(x)[1](dy), slope_of(lambda x: np.log(1 + np.exp(x)))
)
confirm("1.11", sigmoid(x)[0], 1 / (1 + np.exp(-x)))
confirm("1.11", sigmoid(x)[1](dy), slope_of(lambda x: 1 / (1 + np.exp(-x))))
show(tanh, softplus)

# %%
y, backward = relu(x)
confirm("1.9", y, np.where(x > 0, x, 0))
confirm(
    "1.9",
    backward(dy),
    central(
        lambda a: (dy * np.where(a["x"] > 0, a["x"], 0)).sum(), {"x": x}
    )["x"],
    1e-9,
)

with np.errstate(over="ignore"):
    print(
        "log(1 + e^x) as it stands at 800 and -40:",
        np.log(1 + np.exp(np.array([800.0, -40.0]))),
    )
print(
    "softplus at 800 and -40:                 ",
    softplus(np.array([800.0, -40.0]))[0],
)
# log(1 + t) = t - t^2 / 2 + ...
confirm(
    "1.10", softplus(np.array(-40.0))[0] / np.exp(-40), 1 - np.exp(-40) / 2
)

# %% [markdown]
# A right derivative does not help if the value is computed badly: at $-40$ the plain formula has lost all its digits.
#
# ## 10 A chain
#
# Here is a small network: forward from top to bottom, backward from bottom to top. Every model of this course is such a chain.


# %% setup
def network(x, w1, b1, w2):
    """A loss of rows x (B, D), and its backward in the weights."""
    h, first_backward = linear(x, w1, b1, data=True)  # (B, H)
    t, tanh_backward = tanh(h)
    a, second_backward = linear(t, w2)  # (B, O)
    y, softplus_backward = softplus(a)

    def backward(dloss):
        da = softplus_backward(np.full(a.shape, dloss))
        dt, dw2, _ = second_backward(da)
        _, dw1, db1 = first_backward(tanh_backward(dt))
        return {"w1": dw1, "b1": db1, "w2": dw2}

    return y.sum(), backward


# %%
data = rng.standard_normal((5, 4))
weights = {
    "w1": rng.standard_normal((4, 3)),
    "b1": rng.standard_normal(3),
    "w2": rng.standard_normal((3, 2)),
}
gradients = network(data, **weights)[1](1.0)
numeric = complex_step(lambda arrays: network(data, **arrays)[0], weights)
for name in weights:
    print(comparison(name, gradients[name], numeric[name]))

# %% [markdown]
# ## 11 Break it
#
# Many textbooks store a layer's input in the layer object, for use in backward. If the layer is used twice before the first backward, as in
# some estimators of lesson 10, the second forward overwrites what the first backward needs. No error is raised; a gradient is wrong.


# %% [markdown] slide
# ## Break it
#
# A layer object stores its input for `backward`. It is used twice before the first `backward`. No error is raised.
#
# [output]
#
# A function that returns its own backward cannot make this mistake: each call keeps its own arrays.


# %%
class CachingTanh:
    """A bug waiting to happen: the layer remembers its last input."""

    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dy):
        return dy * (1 - np.tanh(self.x) ** 2)


first, second = rng.standard_normal((2, 3, 4))
numeric = complex_step(
    lambda arrays: np.tanh(arrays["x"]).sum(), {"x": first}
)["x"]
layer = CachingTanh()
layer.forward(first)
layer.forward(second)
found = comparison("dx", layer.backward(np.ones((3, 4))), numeric)
say(f"class:    {found}")
_, first_backward = tanh(first)
_, second_backward = tanh(second)
found = comparison("dx", first_backward(np.ones((3, 4))), numeric)
say(f"function: {found}")

# %% [markdown]
# A function that returns its own backward cannot make this mistake: each call keeps its own arrays.

# %% [markdown]
# ## Reading
#
# - W. Squire, G. Trapp, *Using complex variables to estimate derivatives of real functions*, 1998: the complex step, in three pages.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2008: why a backward pass costs a small multiple of the forward pass.
# - D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*, 1986: the chain rule as an algorithm.
# - N. Higham, *Accuracy and Stability of Numerical Algorithms*, 2002: rounding, cancellation, and stable formulas.
#
# Next: [02 The categorical encoder](02_categorical_encoder.ipynb), whose output is a distribution.

# %% [markdown] exercise 01.1: 1 point
# ## 01.1 Derive: the best step
#
# The error of a central difference is at most about $\frac{1}{6} h^2 \lvert L''' \rvert + \varepsilon \lvert L \rvert / h$. Find the $h > 0$ that makes this sum
# least. Write a function of the numbers `value` = $\lvert L \rvert$, `third` = $\lvert L''' \rvert$ and `eps` = $\varepsilon$ that returns this $h$. About 1 line.
# For `best_step(1.0, 1.0, 2.2e-16)` you should see about {{best_step(1.0, 1.0, 2.2e-16):.2g}}.


# %% solution 01.1
def best_step(value, third, eps):
    """The step size of the least error of a central difference."""
    ### BEGIN SOLUTION
    return (3 * eps * value / third) ** (1 / 3)
    ### END SOLUTION


# %% check 01.1
from dvae_np.lesson import judge

judge("01.1", best_step)


# %% right 01.1
def best_step(value, third, eps):
    from scipy.optimize import minimize_scalar

    bound = lambda t: np.exp(2 * t) / 6 * third + eps * value / np.exp(t)
    middle = np.log(eps * value / third) / 3
    return float(
        np.exp(
            minimize_scalar(bound, (middle - 1, middle + 1), tol=1e-12).x
        )
    )


# %% wrong 01.1: the step of a one-sided difference
def best_step(value, third, eps):
    return (2 * eps * value / third) ** 0.5


# %% wrong 01.1: set the derivative of their sum to zero
def best_step(value, third, eps):
    return (6 * eps * value / third) ** (1 / 3)


# %% [markdown] exercise 01.2: 2 points
# ## 01.2 Implement: an op of your own
#
# The activation $y = x\,\sigma(x)$ is known as SiLU or swish. Write it as an op, `y, backward = silu(x)`, for `x` of any shape; `backward(dy)`
# returns `dx` of the same shape. `sigmoid(x)` is an op: it returns its value and its backward. About 3 lines. At $x = 1$ the value is
# {{silu(np.ones(1))[0][0]:.4f}} and the slope {{silu(np.ones(1))[1](np.ones(1))[0]:.4f}}.


# %% solution 01.2
def silu(x):
    """x sigmoid(x)."""
    ### BEGIN SOLUTION
    s, sigmoid_backward = sigmoid(x)
    return x * s, lambda dy: dy * s + sigmoid_backward(dy * x)
    ### END SOLUTION


# %% check 01.2
from dvae_np.lesson import judge

judge("01.2", silu)


# %% right 01.2
def silu(x):
    from scipy.special import expit

    return x * expit(x), lambda dy: dy * expit(x) * (1 + x * (1 - expit(x)))


# %% wrong 01.2: without the path through the sigmoid
def silu(x):
    s = sigmoid(x)[0]
    return x * s, lambda dy: dy * s


# %% wrong 01.2: the slope alone: multiply by dy
def silu(x):
    s, sigmoid_backward = sigmoid(x)
    return x * s, lambda dy: s + sigmoid_backward(x)


# %% [markdown] exercise 01.3: 2 points
# ## 01.3 Implement: scale and shift
#
# Write the op `y, backward = scale_and_shift(x, a, b)` with $y_{rh} = a_h x_{rh} + b_h$: `x` (R, H), `a` (H,), `b` (H,), `y` (R, H).
# `backward(dy)` returns `(dx, da, db)`, each of the shape of its input. Remember: what is used by many is summed. About 2 lines. With ones for `x`,
# `a`, `b` and `dy` and R = 3, `da` and `db` are 3 everywhere.


# %% solution 01.3
def scale_and_shift(x, a, b):
    """a x + b, with a and b shared by all rows."""
    ### BEGIN SOLUTION
    return a * x + b, lambda dy: (a * dy, (x * dy).sum(0), dy.sum(0))
    ### END SOLUTION


# %% check 01.3
from dvae_np.lesson import judge

judge("01.3", scale_and_shift)


# %% right 01.3
def scale_and_shift(x, a, b):
    y = np.empty_like(x)
    for r in range(len(x)):
        y[r] = a * x[r] + b

    def backward(dy):
        return (
            dy * a,
            np.einsum("rh,rh->h", x, dy),
            np.ones(len(x), dy.dtype) @ dy,
        )

    return y, backward


# %% wrong 01.3: shared by all rows, so add them up
def scale_and_shift(x, a, b):
    return a * x + b, lambda dy: (a * dy, x * dy, dy)


# %% wrong 01.3: a mean where a sum is due
def scale_and_shift(x, a, b):
    return a * x + b, lambda dy: (a * dy, (x * dy).mean(0), dy.mean(0))


# %% wrong 01.3: without the factor x
def scale_and_shift(x, a, b):
    return a * x + b, lambda dy: (a * dy, dy.sum(0), dy.sum(0))


# %% [markdown] exercise 01.4: 1 point
# ## 01.4 Find the bug: a loss and a gradient that do not belong together
#
# The value is a mean, but the gradient is that of a sum. A small learning rate hides the mistake. Correct the
# *backward*, so that it belongs to the value. `y` and `target` are (R, H), the value is a number. `backward(dvalue)` takes a number and returns
# the gradient in `y`, (R, H); `target` is data. With R = 7 and H = 2 the gradient is too long by a factor of 14. The line as it was:
#
# ```python
# return dvalue * 2 * away
# ```


# %% solution 01.4
def mean_square(y, target):
    """The mean of (y - target)^2, and its backward in y."""
    away = y - target
    value = (away**2).mean()

    def backward(dvalue):
        ### BEGIN SOLUTION
        return dvalue * 2 * away / away.size
        ### END SOLUTION

    return value, backward


# %% check 01.4
from dvae_np.lesson import judge

judge("01.4", mean_square)


# %% right 01.4
def mean_square(y, target):
    value = float(np.mean(np.square(y - target)))

    def backward(dvalue):
        gradient = np.zeros_like(y)
        for i in np.ndindex(y.shape):
            gradient[i] = (
                2 * dvalue * (y[i] - target[i]) / (y.shape[0] * y.shape[1])
            )
        return gradient

    return value, backward


# %% wrong 01.4: is wrong at R = 7, H = 3
def mean_square(y, target):
    away = y - target
    value = (away**2).mean()
    return value, lambda dvalue: dvalue * 2 * away


# %% wrong 01.4: H = 3: a sum where a mean is due
def mean_square(y, target):
    away = y - target
    value = (away**2).mean()
    return value, lambda dvalue: dvalue * 2 * away / len(away)


# %% [markdown] exercise 01.5: 2 points
# ## 01.5 Find the bug: a loss that the complex step cannot see through
#
# The line below computes the length $\lVert x \rVert$ of a vector `x` (I,). For real numbers it is right, but its complex step is 0 everywhere: `np.vdot`
# takes the complex conjugate of its first argument. Write the value so that it is analytic: a number for real `x`, and at $x + ih$ a
# complex number with the slope in its imaginary part. One line. For $x = (3, 4)$ the value is 5 and the gradient is $(0.6, 0.8)$. The line as it was:
#
# ```python
# return np.sqrt(np.vdot(x, x))
# ```


# %% solution 01.5
def length(x):
    """The Euclidean length of x, analytic in x."""
    ### BEGIN SOLUTION
    return np.sqrt((x * x).sum())
    ### END SOLUTION


# %% check 01.5
from dvae_np.lesson import judge

judge("01.5", length)


# %% right 01.5
def length(x):
    return sum(entry**2 for entry in x) ** 0.5


# %% wrong 01.5: zero everywhere
def length(x):
    return np.sqrt(np.vdot(x, x))


# %% wrong 01.5: the squared length
def length(x):
    return (x * x).sum()


# %% wrong 01.1: is wrong
def best_step(value, third, eps):
    return (3 * eps / third) ** (1 / 3)


# %% wrong 01.4: the loss may be a part of another
def mean_square(y, target):
    away = y - target
    return (away**2).mean(), lambda dvalue: 2 * away / away.size


# %% wrong 01.5: zero everywhere
def length(x):
    return abs(np.sqrt((x * x).sum()))


# %% [markdown] written 01.W: 3 points
# ## 01.W In words: what does one cotangent prove?
#
# A backward pass computes $\tilde J^{\top} dy$, with a matrix $\tilde J$ that depends on $x$ alone. Right is $J^{\top} dy$ [Eq. 1.1]. A test takes one $x$
# and one $dy$, and compares the two results. Assume that the measured slopes have no error.
#
# (a) Let $\tilde J \ne J$ at this $x$. For which $dy$ does the test pass all the same? Show that it passes with probability 0 if $dy$ is made of independent
# standard normal numbers.
#
# (b) A student writes the backward pass of the softmax as `q * (dy - dy.mean())`. The first test is at random logits, with a `dy` of ones. The second test is
# at logits of zero, with a random `dy`. Both pass. Explain both. Which test would have found the mistake? Half a page for (a) and (b).

# %% [markdown] model 01.W
# (a) The test passes if $(\tilde J - J)^{\top} dy = 0$. As $\tilde J \ne J$, this matrix has a row $r$ that is not zero, and $dy$ must satisfy
# $\langle r, dy \rangle = 0$. For independent standard normal numbers $\langle r, dy \rangle$ is a normal variable of variance $\lVert r \rVert^2 > 0$. It is
# exactly zero with probability 0.
#
# (b) The right backward subtracts $\langle q, dy \rangle$, the mean under $q$. The student subtracts the plain mean. As $q > 0$, the test passes just where
# the two means are equal. For a $dy$ of ones both are 1, at all logits. At logits of zero $q_k = 1 / K$, and both means are the same for all $dy$. There even
# $\tilde J = J$: the backward pass is right at this $x$, and wrong at others. The test that finds the mistake takes random logits *and* a random $dy$. Part
# (a) speaks of one $x$ only, so $x$ must be general too.
#
# *Marks:* 1 for the condition in (a) and the probability; 1 for the two means that are equal in both tests; 1 for the test with both random, and for the
# reason that (a) holds at one $x$ only.
