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
# *Needs:* partial derivatives, NumPy. *Takes:* 45 minutes to read and run, an hour for the exercises. Losses are in nats, as everywhere in
# the course; in this lesson they are only numbers.

# %% setup
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
from dvae_np.figures.lesson_01 import START, a_loss, slope_of_a_loss
from dvae_np.lesson import confirm, figure, show

rng = np.random.default_rng(1)

# %% [markdown]
# ## 1 An op and its backward
#
# A training run is a chain of small functions that ends in one number, the loss. We want the slope of the loss in every number that
# enters the chain. Write $dx$ for $\partial\,\mathrm{loss} / \partial x$, for every array $x$: it has the shape of $x$.
#
# Take one link, $y = \mathrm{op}(x)$. Whoever uses $y$ tells us $dy$. The entry $x_i$ moves the loss through all the entries of $y$,
# and the chain rule adds these paths:
#
# $$dx_i = \sum_j \frac{\partial\,\mathrm{loss}}{\partial y_j} \frac{\partial y_j}{\partial x_i} = \sum_j J_{ji}\, dy_j ,$$
#
# with the Jacobian $J_{ji} = \partial y_j / \partial x_i$. In one line:
#
# $$dx = J^{\top} dy . \tag{1.1}$$
#
# So an op is a pair: the value, and a function from $dy$ to $dx$. That function multiplies by $J^{\top}$, but need not make $J$. In this
# package both stand in one place, `y, backward = op(x)`:

# %%
show(tanh)

# %% [markdown]
# To see Eq. 1.1 at work we do make a Jacobian once, of the softmax (lesson 02) of three numbers: column by column, each by a tiny *imaginary* step
# (section 3 says why that works).

# %%
x, dy = rng.standard_normal(3), rng.standard_normal(3)
J = np.stack(
    [softmax(x + 1e-20j * unit)[0].imag / 1e-20 for unit in np.eye(3)],
    axis=1,
)  # (3, 3): column i is dy / dx_i
y, backward = softmax(x)
confirm("1.1", backward(dy), J.T @ dy)
print(J.round(3))

# %% [markdown]
# Two links, $y = g(h(x))$, have the Jacobian $J_g J_h$, and so $dx = J_h^{\top} (J_g^{\top} dy)$. Read from right to left: the backward
# functions are called in the opposite order of the ops. Each step is a matrix times a *vector*. That is why one backward pass costs a small
# multiple of the forward pass, however many parameters there are: a linear layer has one product forward and two backward.
#
# ## 2 Finite differences, and the V
#
# How do we know that a backward is right? We nudge the input and look. By Taylor, for a loss $L$ of one number,
#
# $$L(x \pm h) = L(x) \pm h L'(x) + \tfrac{1}{2} h^2 L''(x) \pm \tfrac{1}{6} h^3 L'''(x) + \ldots$$
#
# The one-sided difference $(L(x + h) - L(x)) / h$ is off by $\frac{1}{2} h L''$. In the *central* one the even terms cancel, and
# $\frac{1}{6} h^2 L'''$ is left. But $L$ is not known exactly: each value is rounded, by a share of about $\varepsilon \approx 10^{-16}$ of itself. The
# difference of two nearly equal numbers keeps this error whole, and the division by $2h$ blows it up:
#
# $$L'(x) = \frac{L(x + h) - L(x - h)}{2h} + O(h^2) + O(\varepsilon / h) . \tag{1.2}$$
#
# A large $h$ is wrong by Taylor, a small one by rounding. The sum is least in between: for central differences at about $h = \varepsilon^{1/3}$, with
# an error of about $\varepsilon^{2/3} \approx 10^{-11}$. A loss of three numbers, with nothing special about it, and its gradient by the rules
# of school:

# %%
show(a_loss, slope_of_a_loss)
right = slope_of_a_loss(START)
for h in (1e-1, 1e-3, 6e-6, 1e-8, 1e-12):
    error = relative_error(central(a_loss, {"x": START}, h)["x"], right)
    print(f"h = {h:.0e}: relative error {error:.0e}")
confirm("1.2", central(a_loss, {"x": START})["x"], right, tolerance=1e-9)

# %% [markdown]
# ## 3 The complex step
#
# The subtraction is what hurts. Step in the *imaginary* direction instead, for an $L$ that is analytic (built from sums, products, $\exp$,
# $\log$ and the like):
#
# $$L(x + ih) = L(x) + i h L'(x) - \tfrac{1}{2} h^2 L''(x) - \tfrac{i}{6} h^3 L'''(x) + \ldots$$
#
# The value sits in the real part, the slope in the imaginary part, and they do not mix. No subtraction is needed:
#
# $$L'(x) = \frac{\mathrm{Im}\, L(x + ih)}{h} + O(h^2) . \tag{1.3}$$
#
# Nothing cancels, so nothing stops us from taking $h = 10^{-20}$. Then $h^2 = 10^{-40}$ is far below rounding, and the slope is as exact as the
# value.

# %%
show(complex_step)
confirm("1.3", complex_step(a_loss, {"x": START})["x"], right)

# %% [markdown]
# The price: the code must let imaginary parts through. `abs`, `.real`, a conjugate or a cast to float kill them, and a comparison must look at
# the real part. Every op of this package is written so. For code that cannot be, central differences remain.
#
# ## 4 The picture
#
# The gradient of the loss above, with each method; read the left plot from right to left, as $h$ shrinks. *One-sided* falls by one decade for
# each decade of $h$, touches bottom at $3 \cdot 10^{-9}$ near $h = 10^{-8}$, and rises again. *Central* falls by two decades, reaches $9 \cdot 10^{-12}$
# near $h = 3 \cdot 10^{-6}$, and then meets the same line of rounding. The *complex step* follows the central one down, and goes on where that must turn:
# from $h = 10^{-8}$ on it lies on the floor, near $10^{-16}$, for ever. Right: the Taylor test, which comes next.

# %%
figure("step_sizes.png")

# %% [markdown]
# ## 5 The Taylor test, and one number for an error
#
# With a million parameters, one entry at a time is too slow. Check one random direction $d$ instead. By Taylor again, with the Hessian $H$,
#
# $$L(x + h d) - L(x) = h \langle \nabla L, d \rangle + \tfrac{1}{2} h^2 d^{\top} H d + O(h^3) .$$
#
# Subtract $h \langle g, d \rangle$ with the gradient $g$ that we derived. If it is right along $d$, the first term goes and the rest is quadratic; if not, a
# term $h \langle \nabla L - g, d \rangle$ stays, and wins for small $h$:
#
# $$L(x + h d) - L(x) - h \langle g, d \rangle = O(h^2) \iff \langle g, d \rangle \text{ is the slope along } d . \tag{1.4}$$
#
# So halve $h$ and look: the remainder must fall by 4, not by 2. No tolerance has to be chosen. (If $d^{\top} H d$ happens to be zero, it falls
# faster still.)

# %%
d = rng.standard_normal(3)
order = taylor_order(a_loss, {"x": START}, {"x": right}, {"x": d})
wrong = taylor_order(
    a_loss, {"x": START}, {"x": right + [0, 0.05, 0]}, {"x": d}
)
print(
    f"order of the remainder: {order:.3f}; with one entry off by 0.05: "
    f"{wrong:.3f}"
)
confirm("1.4", order, 2, tolerance=0.02)

# %% [markdown]
# And where a numeric gradient $n$ of the whole array is affordable, one number says how far ours, $a$, is from it:
#
# $$\mathrm{error}(a, n) = \frac{\lVert a - n \rVert}{\lVert a \rVert + \lVert n \rVert} . \tag{1.5}$$
#
# It is 0 for equal arrays and 1 for opposite ones. It has no unit: scaling the loss changes nothing. An *absolute* tolerance passes every
# gradient that is small enough, with a flipped sign too; a ratio *entry by entry* fails a right entry that is nearly zero.

# %%
tiny = 1e-9 * right
print(
    "absolute tolerance passes a flipped sign:",
    np.allclose(tiny, -tiny, atol=1e-8),
)
print(
    "relative error of the flipped sign:      ", relative_error(tiny, -tiny)
)
other = right + [1e-3, 0, 0]
by_hand = sum((other - right) ** 2) ** 0.5 / (
    sum(other**2) ** 0.5 + sum(right**2) ** 0.5
)
confirm("1.5", relative_error(other, right), by_hand)

# %% [markdown]
# ## 6 The linear layer
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
# The shapes leave no other choice, which is a good check of the derivation.

# %%
show(linear)

# %% [markdown]
# The sizes are pairwise different, so that a wrong transpose cannot fit. As the loss we take $\langle dy, y \rangle$ with a random $dy$: its slope in $x$ is
# $J^{\top} dy$, whatever the op.


# %% setup
def by_complex_step(op, dy, **inputs):
    """The gradients of <dy, op(...)> in its inputs, as a dict of the
    inputs' names.
    """
    return complex_step(lambda arrays: (dy * op(**arrays)[0]).sum(), inputs)


# %%
layer = {
    "x": rng.standard_normal((4, 3)),
    "w": rng.standard_normal((3, 2)),
    "b": rng.standard_normal(2),
}
y, backward = linear(**layer)  # (4, 2)
dy = rng.standard_normal(y.shape)
numeric = by_complex_step(linear, dy, **layer)
for gradient, name in zip(backward(dy), layer, strict=True):
    confirm("1.6", gradient, numeric[name])

# %% [markdown]
# ## 7 The embedding
#
# How does a code $z \in \lbrace 0, \ldots, K - 1 \rbrace$ enter a network? It selects a row of a table. With N codes, one table $E_n$ (K, H) for each, and the
# rows added up. Written with one-hot rows $z_{nk}$ it is a linear layer, and Eq. 1.6 gives the gradient:
#
# $$y = \sum_n \sum_k z_{nk}\, E_{nk}, \quad dE_{nk} = \sum_{\mathrm{rows}} z_{nk}\, dy . \tag{1.7}$$
#
# Forward it is a look-up, not a product. Backward, a row of the table collects the $dy$ of all examples that selected it. An
# integer has no slope: `dz` is `None`. A *relaxed* code, a float row that sums to one (lesson 07), has one: $dz_{nk} = \langle dy, E_{nk} \rangle$.

# %%
N, K, H = 2, 3, 5
# four rows of two codes
table, z = rng.standard_normal((N, K, H)), rng.integers(0, K, (4, N))
y, backward = embedding(z, table)  # (4, H)
dy = rng.standard_normal(y.shape)
dz, dtable = backward(dy)
by_hand = np.zeros((N, K, H))
for row in range(4):
    for n in range(N):
        by_hand[n, z[row, n]] += dy[row]
confirm("1.7", dtable, by_hand)
confirm("1.7", y, embedding(one_hot(z, K, float), table)[0])
print("dz of integer codes:", dz)

soft = rng.random((4, N, K))
numeric = by_complex_step(embedding, dy, z=soft, table=table)
for gradient, name in zip(
    embedding(soft, table)[1](dy), ("z", "table"), strict=True
):
    confirm("1.7", gradient, numeric[name])

# %% [markdown]
# ## 8 Entry by entry
#
# Where $y_i$ depends on $x_i$ alone, the Jacobian is diagonal and the backward is a product: $dx = \mathrm{op}'(x) \odot dy$. The four that we need:
#
# Write $\tanh x = u / v$ with $u = e^x - e^{-x}$ and $v = e^x + e^{-x}$. Then $u' = v$ and $v' = u$, and the rule for quotients gives
# $(v \cdot v - u \cdot u) / v^2$, so
#
# $$\tanh' x = 1 - \tanh^2 x . \tag{1.8}$$
#
# The rectifier is the identity where $x > 0$ and constant where $x < 0$. At 0 it has no slope; we take 0:
#
# $$\mathrm{relu}(x) = \max(x, 0), \quad \mathrm{relu}'(x) = [x > 0] . \tag{1.9}$$
#
# The softplus $\zeta(x) = \log(1 + e^x)$ overflows in $e^x$ where $x$ is large. There we take $e^x$ out: $\log\bigl(e^x (e^{-x} + 1)\bigr) = x + \log(1 + e^{-x})$.
# The slope $e^x / (1 + e^x)$ is there $1 / (e^{-x} + 1)$. Both cases in one formula, with $t$ between 0 and 1:
#
# $$t = e^{-\lvert x \rvert}, \quad \zeta(x) = \log(1 + e^x) = \max(x, 0) + \log(1 + t), \quad \zeta'(x) = \sigma(x) = \frac{\max(t, [x > 0])}{1 + t} . \tag{1.10}$$
#
# Where $t$ is small, $1 + t$ would keep few of its digits or none. NumPy's `log1p(t)` is $\log(1 + t)$ without that sum.
#
# And the sigmoid, whose slope is $e^{-x} / (1 + e^{-x})^2$, the product of $1 / (1 + e^{-x})$ and $e^{-x} / (1 + e^{-x}) = 1 - \sigma(x)$:
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}, \quad \sigma' = \sigma (1 - \sigma) . \tag{1.11}$$

# %%
show(softplus)
x, dy = 2 * rng.standard_normal((2, 3)), rng.standard_normal((2, 3))


def slope_of(plain):
    """The gradient of <dy, plain(x)>, by the complex step."""
    return complex_step(
        lambda arrays: (dy * plain(arrays["x"])).sum(), {"x": x}
    )["x"]


def plain_tanh(x):
    return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)


confirm("1.8", tanh(x)[0], plain_tanh(x))
confirm("1.8", tanh(x)[1](dy), slope_of(plain_tanh))
confirm("1.10", softplus(x)[0], np.log(1 + np.exp(x)))
confirm(
    "1.10", softplus(x)[1](dy), slope_of(lambda x: np.log(1 + np.exp(x)))
)
confirm("1.11", sigmoid(x)[0], 1 / (1 + np.exp(-x)))
confirm("1.11", sigmoid(x)[1](dy), slope_of(lambda x: 1 / (1 + np.exp(-x))))

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
# A right derivative of a badly computed value is still bad: at $-40$ the plain formula has lost all its digits.
#
# ## 9 A chain
#
# Now a small network, from data to a number. Forward from top to bottom, backward from bottom to top. Nothing else happens in any model of
# this course.


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
# ## 10 Break it
#
# Many textbooks keep the input of a layer on an object, for its backward. It works until the layer is used twice before the first backward, as
# some estimators of lesson 10 do. The second forward overwrites what the first backward needs. No error is raised; a gradient is wrong.


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
print(
    "class:   ", comparison("dx", layer.backward(np.ones((3, 4))), numeric)
)
_, first_backward = tanh(first)
_, second_backward = tanh(second)
print(
    "function:", comparison("dx", first_backward(np.ones((3, 4))), numeric)
)

# %% [markdown]
# A function that returns its own backward cannot make this mistake: each call closes over its own arrays.
#
# ## Reading
#
# - W. Squire, G. Trapp, *Using complex variables to estimate derivatives of real functions*, 1998: the complex step, in three pages.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2008: why a backward pass costs a small multiple of the forward pass.
# - D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*, 1986: the chain rule as an algorithm.
# - N. Higham, *Accuracy and Stability of Numerical Algorithms*, 2002: rounding, cancellation, and stable formulas.
#
# Next: [02 The categorical encoder](02_categorical_encoder.ipynb), whose output is a distribution.

# %% [markdown] exercise 01.1
# ### 01.1 Derive: the best step
#
# The error of a central difference is at most about $\frac{1}{6} h^2 \lvert L''' \rvert + \varepsilon \lvert L \rvert / h$. Find the $h > 0$ for which this sum is
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


# %% [markdown] exercise 01.2
# ### 01.2 Implement: an op of your own
#
# The activation $y = x\,\sigma(x)$ is known as SiLU or swish. Write it as an op, `y, backward = silu(x)`, for `x` of any shape; `backward(dy)`
# returns `dx` of the same shape. `sigmoid(x)` returns the pair of its value and its backward. About 3 lines. At $x = 1$ the value is
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


# %% [markdown] exercise 01.3
# ### 01.3 Implement: scale and shift
#
# Write the op `y, backward = scale_and_shift(x, a, b)` with $y_{rh} = a_h x_{rh} + b_h$: `x` (R, H), `a` (H,), `b` (H,), `y` (R, H).
# `backward(dy)` returns `(dx, da, db)`, each of the shape of its input. What is used by many is summed. About 2 lines. With ones for `x`,
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


# %% [markdown] exercise 01.4
# ### 01.4 Find the bug: a loss and a gradient that do not belong together
#
# The value is a mean, the gradient is not. The user's learning rate hides it. Correct the
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


# %% wrong 01.4: H = 3: a mean where a sum is due
def mean_square(y, target):
    away = y - target
    value = (away**2).mean()
    return value, lambda dvalue: dvalue * 2 * away / len(away)


# %% [markdown] exercise 01.5
# ### 01.5 Find the bug: a loss that the complex step cannot see through
#
# The length $\lVert x \rVert$ of a vector `x` (I,). For real numbers the code below computes it, but its complex step is 0 everywhere: `np.vdot`
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
