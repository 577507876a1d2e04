# %% [markdown]
# # 08 Straight-through to ReinMax
#
# **Question.** Straight-through sends a gradient through a sample as if nothing had been sampled. It is biased, it needs one evaluation, and
# it is used everywhere. When is it right, and can it be made better?
#
# **After this lesson you can**
# - prove that straight-through is exact for affine $f$, and ReinMax for quadratic $f$, for any $K$,
# - read straight-through as a rectangle rule, and ReinMax as the trapezoidal rule,
# - say what two temperatures, conditional noise and a gap each change,
# - measure all their biases exactly, and see why a higher order is not always closer.
#
# *Needs:* lessons 02, 05 and 07. *Takes:* 80 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import TABLE, draw, one_hot, softmax
from dvae_np.check import (
    complex_step,
    every_code,
    from_mean,
    gumbel_nodes,
    moments,
    polynomial,
    tiled,
)
from dvae_np.lesson import confirm, figure, picture, say, show

# %% setup
rng = np.random.default_rng(0)
K = 3
# (B, N, K): one example, one latent
logits = rng.standard_normal((1, 1, K))
w = rng.standard_normal((2, 1, K))
# polynomial(w, d) is the sum over r of s_r + s_r^2 / 2 + ... + s_r^d / d,
# with s_r = <w_r, z>: the same directions w_r, five degrees d
f = {degree: polynomial(w, degree) for degree in (1, 2, 3, 4, 5)}
# (N, K)
exact = {
    degree: dvae_np.exact(logits, f[degree]).dlogits[0] for degree in f
}
q = softmax(logits)[0][0, 0]  # (K,)


def jacobian(p):
    """J(p) = diag(p) - p p^T, (K, K)."""
    return np.diag(p) - np.outer(p, p)


def slope_at(k, degree):
    """f' at code k, (K,), by the complex step."""
    at = np.eye(K)[[[[k]]]]  # (1, 1, 1, K)
    return complex_step(lambda a: f[degree](a["z"])[0].sum(), {"z": at})[
        "z"
    ][0, 0, 0]


# %% [markdown]
# Every estimator of this lesson has an exact mean and an exact variance, by the two ways of the last lessons. One that takes drawn codes is enumerated [Eq. 5.3]. One that takes Gumbel noise is integrated over the nodes of `gumbel_nodes` (lesson 07). The library's `TABLE` has a row for each estimator: `row.estimate` is the function,
# and `row.noise` names the noise that it takes: `("z",)` for codes, `("u",)` for uniforms, `("z", "v")` for codes and further noise given the code.

# %% setup
# noise by name, each (1, T, ...): one sample at T nodes; weights (T,)
nodes, node_weights, _ = gumbel_nodes(logits, 186)


def mean_and_variance(name, degree, **hyper):
    """The exact mean (N, K) and total variance of an estimator's gradient
    at S = 1.
    """
    row = TABLE[name]
    if row.noise == ("z",):
        z, weights = every_code(logits, 1)
        noise = [z]
    else:
        noise, weights = [nodes[each] for each in row.noise], node_weights
    many = tiled(logits, len(weights))
    found = row.estimate(many, f[degree], *noise, **hyper)
    mean, variance = moments(weights, found.dlogits)
    return mean, variance.sum()


# %% [markdown]
# ## 1 Straight-through
#
# What does the exact gradient of one latent need? Let $F_k = f(\mathrm{onehot}(k))$ and $J(p) = \mathrm{diag}(p) - p p^{\top}$, the Jacobian of the softmax. Then $\mathbb{E}_q[f] = \sum_k q_k F_k$, and
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = J(q)\, F, \qquad \bigl(J(q) F\bigr)_i = q_i \sum_j q_j (F_i - F_j) .$$
#
# So only *differences* of values between codes count. Straight-through draws one code $z$, and puts its slope $f'(z)$ in the place of these $K$ values:
#
# $$\frac{1}{\tau} J\bigl(\mathrm{softmax}(\ell / \tau)\bigr)\, f'(z) . \tag{8.1}$$
#
# When is this right? Let $\tau = 1$ and $f$ be affine, $f(z) = a + g^{\top} z$. Its slope is $g$ everywhere, and $F$ is $g$ with $a$ added to each entry. As $J(q)\, 1 = q - q = 0$,
#
# $$J(q) F = J(q) g = J(q) f'(z) \quad \text{for every } z .$$
#
# So for affine $f$ straight-through is exact, even without variance. For other $f$ its mean is $J(q)\, \mathbb{E}[f'(z)]$. With several latents, look at one of them: fix the drawn codes of all others. Then $f$ is affine in this one latent, and the proof applies to it.

# %%
tau = 1.3
J = jacobian(softmax(logits[0, 0] / tau)[0]) / tau
by_hand = sum(q[k] * J @ slope_at(k, 3) for k in range(K))  # its mean
confirm(
    "8.1", mean_and_variance("straight_through", 3, tau=tau)[0][0], by_hand
)
confirm("8.1", mean_and_variance("straight_through", 1)[0], exact[1])
show(dvae_np.straight_through)


# %%
def report(name, degree, **hyper):
    mean, variance = mean_and_variance(name, degree, **hyper)
    bias = np.linalg.norm(mean - exact[degree]) / np.linalg.norm(
        exact[degree]
    )
    words = ", ".join(f"{key} {value}" for key, value in hyper.items())
    say(
        f"{name:26} degree {degree}: "
        f"bias {bias:7.1%}, variance {variance:7.4f}  {words}"
    )


for degree in (1, 2, 3):
    report("straight_through", degree)

# %% [markdown]
# ## 2 One edge: rectangle and trapezoid
#
# How can slopes replace a difference of values? Walk from code $j$ to code $i$ along the straight edge between them: $h(t) = f\bigl(e_j + t (e_i - e_j)\bigr)$ for $0 \le t \le 1$, with $e_k = \mathrm{onehot}(k)$. We want
#
# $$F_i - F_j = h(1) - h(0) = \int_0^1 h'(t)\, dt ,$$
#
# the area under the slope. But we know the slope only at the codes, the two ends. If code $j$ was drawn, straight-through takes the slope there for the whole edge: a *rectangle*. ReinMax, which section 6 derives, takes the mean of the slopes at both ends: a *trapezoid*. Here is the edge from code 2 to code 0, for $f$ of degree 3:

# %%
j, i, t = 2, 0, np.linspace(0, 1, 101)
edge = np.eye(K)[i] - np.eye(K)[j]
h, h_backward = f[3]((np.eye(K)[j] + t[:, None] * edge)[:, None, None])
h, slope = h[:, 0], h_backward(np.ones_like(h))[0][:, 0, 0] @ edge
ends = np.array([slope[0], slope[-1]])
true, rectangle, trapezoid = h[-1] - h[0], ends[0], ends.mean()
fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4),
                                  layout="constrained")  # fmt: skip
left.plot(t, h, "k-", linewidth=2, label="f")
left.plot(t, h[0] + t * rectangle, "C1--", label="slope at the drawn end")
left.plot(t, h[0] + t * trapezoid, "C0-.", label="mean of both slopes")
left.set(xlabel="t, from code 2 to code 0", ylabel="f (nats)")
right.plot(t, slope, "k-", linewidth=2)
right.fill_between(t, slope, color="0.8", label=f"area: {true:.2f}")
right.fill_between([0, 1], [rectangle] * 2, facecolor="none", hatch="//",
                   edgecolor="C1", linestyle="--",
                   label=f"rectangle: {rectangle:.2f}")  # fmt: skip
right.fill_between([0, 1], ends, facecolor="none", edgecolor="C0",
                   linewidth=2, linestyle="-.",
                   label=f"trapezoid: {trapezoid:.2f}")  # fmt: skip
right.set(xlabel="t", ylabel="slope of f along the edge")
for ax in (left, right):
    ax.legend(frameon=False, loc="upper left")
picture(
    fig,
    "Left: f along the edge between two codes, with two straight lines: "
    "the tangent at the drawn end stays far below f, the mean slope ends "
    "above f. Right: the slope of f, with the grey area under it, a low "
    f"rectangle, and a trapezoid that is {trapezoid / true - 1:.0%} "
    "larger than that area.",
)

# %% [markdown]
# The rectangle is exact if the slope is constant: for affine $f$. The trapezoid is exact if the slope is a straight line: for quadratic $f$. That is the difference between straight-through and ReinMax. For this $f$ of degree 3 both are wrong.
#
# For $K = 2$ there is only one edge. The two entries of the exact gradient are $\pm q_i q_j$ times the area. On average, straight-through weighs the rectangles of the two ends by their probabilities, $q_j h'(0) + q_i h'(1)$. ReinMax weighs them equally. So does straight-through Gumbel-Softmax (lesson 07) in
# the limit $\tau \to 0$, where nearly tied noise picks either end equally often. (For $K > 2$ straight-through also uses slopes at codes that are at neither end.) Check:

# %%
reinmax_mean = mean_and_variance("reinmax", 3)[0]
for tau in (1.0, 0.3, 0.1, 0.03):
    off = mean_and_variance("straight_through_gumbel", 3, tau=tau)[0]
    off = np.linalg.norm(off - reinmax_mean) / np.linalg.norm(reinmax_mean)
    print(f"tau = {tau}: straight-through Gumbel is {off:.1%} from ReinMax")
two = np.array([0.3, -0.4])[None, None]  # K = 2, and f of degree 3
on_edge = polynomial(w[..., :2], 3)
z, weights = every_code(two, 1)
means = {
    name: moments(
        weights, TABLE[name].estimate(tiled(two, 2), on_edge, z).dlogits
    )[0][0, 0]
    for name in ("straight_through", "reinmax")
}
at = np.eye(2)[[0, 1]][:, None, None]  # both codes, (S, B, N, K)
_, backward = on_edge(at)
h1, h0 = backward(np.ones((2, 1)))[0][:, 0, 0] @ [1, -1]  # from 1 to 0
q0, q1 = softmax(two)[0][0, 0]
assert np.isclose(means["straight_through"], q0 * q1 * (q1 * h0 + q0 * h1))
assert np.isclose(means["reinmax"], q0 * q1 * (h0 + h1) / 2)

# %% [markdown]
# ## 3 Two temperatures
#
# Sections 3 to 5 are three variants of straight-through. On the way to ReinMax (section 6) you may skip them.
#
# The temperature has two jobs. Forward, it says how far the codes spread; backward, how smooth the stand-in is. They need not be equal:
#
# $$\frac{1}{\tau_b} J\bigl(\mathrm{softmax}(\ell / \tau_b)\bigr)\, f'(z) \quad \text{with} \quad z \sim \mathrm{softmax}(\ell / \tau_f) . \tag{8.2}$$
#
# At $\tau_f \ne 1$ the codes are no longer drawn from $q$. Then the *value* is biased too, and so is the decoder's gradient.

# %%
forward = softmax(logits[0, 0] / 0.5)[0]
backward = jacobian(softmax(logits[0, 0] / 2.0)[0]) / 2.0
by_hand = backward @ sum(forward[k] * slope_at(k, 3) for k in range(K))
# split where *these* codes jump
at_forward, forward_weights, _ = gumbel_nodes(logits / 0.5, 186)
many = tiled(logits, len(forward_weights))
found = dvae_np.decoupled_straight_through(
    many, f[3], at_forward["u"], tau_forward=0.5, tau_backward=2.0
)
confirm("8.2", moments(forward_weights, found.dlogits)[0][0], by_hand)
report("decoupled_straight_through", 3, tau_forward=1.0, tau_backward=1.0)
report("decoupled_straight_through", 3, tau_forward=1.0, tau_backward=2.0)
off = np.linalg.norm(by_hand - exact[3][0]) / np.linalg.norm(exact[3])
F = f[3](np.arange(K)[:, None, None])[0][:, 0]  # f of each code, (K,)
print(f"tau_forward 0.5, tau_backward 2.0: bias {off:.1%}; the mean of f "
      f"is {forward @ F:.3f}, not {q @ F:.3f} nats")  # fmt: skip
show(dvae_np.decoupled_straight_through)

# %% [markdown]
# ## 4 Gumbel-Rao
#
# Straight-through Gumbel-Softmax [Eq. 7.3] has noise that it does not need: $f'$ depends on the code alone, but the Jacobian on all of the noise. So average
# the Jacobian over the noise that leads to the same code:
#
# $$\mathbb{E}\Bigl[\frac{1}{\tau} J(y) \,\Big\vert\, z\Bigr] f'(z) . \tag{8.3}$$
#
# The mean of conditional means is the mean, so the bias is unchanged. Let $\hat g$ be the estimate of [Eq. 7.3]. Its variance is that between codes plus the mean of that within a code. With $R$ draws
# of the noise given $z$ (lesson 10 derives how), the second part falls to an $R$-th:
#
# $$\mathrm{Var} = \mathrm{Var}\bigl(\mathbb{E}[\hat g \mid z]\bigr) + \frac{1}{R} \mathbb{E}\bigl[\mathrm{Var}(\hat g \mid z)\bigr] .$$
#
# $f$ and its slope are still evaluated once. In the first check below both sides use the same noise, so it tests only the code. The 40,000 draws after it test whether the noise has the right distribution.

# %%
confirm(
    "8.3",
    mean_and_variance("gumbel_rao", 3, tau=0.5)[0],
    mean_and_variance("straight_through_gumbel", 3, tau=0.5)[0],
)
many = tiled(logits, len(node_weights))
# (T, N, K)
single = dvae_np.straight_through_gumbel(
    many, f[3], nodes["u"], tau=0.5
).dlogits
# (T, K): the weight, in its code's column
chosen = one_hot(nodes["z"][0, :, 0], K, float) * node_weights[:, None]
# (K, N, K): E[g | z]
given_z = np.tensordot(chosen.T, single, 1) / chosen.sum(0)[:, None, None]
mean = np.tensordot(q, given_z, 1)
between = q @ ((given_z - mean) ** 2).sum((-1, -2))
within = (
    mean_and_variance("straight_through_gumbel", 3, tau=0.5)[1] - between
)
print(f"variance between codes {between:.3f}, within {within:.3f}")
replicates = tiled(logits, 40_000)
sampled = dvae_np.gumbel_rao(
    replicates,
    f[3],
    *draw(rng, replicates, 1, ("z", *10 * ("v",))),
    tau=0.5,
).dlogits
print(
    f"R = 10: expected {between + within / 10:.3f}, of 40,000 draws "
    f"{sampled.var(0).sum():.3f}"
)
confirm("8.3", sampled.var(0).sum(), between + within / 10, tolerance=0.03)
show(dvae_np.gumbel_rao)

# %% [markdown]
# ## 5 A gap instead of noise
#
# Plain straight-through uses the slope at $z$, but the Jacobian at $q$, whatever $z$ is. In straight-through Gumbel-Softmax the two belong together: in its perturbed logits the sampled one is on top, with a distance to the next, so $y$ is near the code at which the slope is taken. But this noise costs variance.
#
# Gapped straight-through does the same without noise. It moves
# the sampled logit up to the largest, and the others down until they are at least `gap` below. (Without a gap the sampled code could only tie with the likeliest one.)
#
# $$\frac{1}{\tau} J\bigl(\mathrm{softmax}(\ell' / \tau)\bigr)\, f'(z), \qquad \ell'_z = \max \ell, \quad \ell'_k = \min(\ell_k, \max \ell - \mathrm{gap}) . \tag{8.4}$$

# %%
by_hand, top = 0, logits.max()
for k in range(K):
    moved = np.where(
        np.arange(K) == k, top, np.minimum(logits[0, 0], top - 1.0)
    )
    by_hand = by_hand + q[k] * jacobian(
        softmax(moved / 0.8)[0]
    ) / 0.8 @ slope_at(k, 3)
confirm(
    "8.4",
    mean_and_variance("gapped_straight_through", 3, tau=0.8, gap=1.0)[0][0],
    by_hand,
)
for gap in (0.0, 0.5, 1.0, 2.0):
    report("gapped_straight_through", 3, gap=gap)
show(dvae_np.gapped_straight_through)

# %% [markdown]
# ## 6 ReinMax: second order
#
# How do we use the trapezoid, if only one code is drawn? For quadratic $f$, section 2 says
#
# $$F_i - F_j = \frac{1}{2} \bigl(f'(e_i) + f'(e_j)\bigr)^{\top} (e_i - e_j) .$$
#
# Insert this in the exact gradient, $q_i \sum_j q_j (F_i - F_j)$. Two parts come out, each times one half. Both are expectations over the one-hot sample $z$, with $g = f'(z)$. The part with $f'(e_j)$ is a sum over $j$ with probabilities $q_j$:
#
# $$q_i \sum_j q_j\, f'(e_j)^{\top} (e_i - e_j) = \mathbb{E}_z\bigl[q_i (g_i - g^{\top} z)\bigr] .$$
#
# The part with $f'(e_i)$ has the factor $q_i$, the probability of $z = e_i$. So it is an expectation over $z$ in which only $z = e_i$ counts, by the factor $z_i$:
#
# $$q_i \sum_j q_j\, f'(e_i)^{\top} (e_i - e_j) = q_i\, f'(e_i)^{\top} (e_i - q) = \mathbb{E}_z\bigl[z_i (g^{\top} z - g^{\top} q)\bigr] .$$
#
# Together,
#
# $$\bigl(J(q) F\bigr)_i = \frac{1}{2} \mathbb{E}_z\bigl[q_i (g_i - g^{\top} z) + z_i (g^{\top} z - g^{\top} q)\bigr] .$$
#
# The brackets need one slope, at one sample. They can be written with Jacobians. Let $m = (q + z)/2$. As $z$ is one-hot, $z \odot g = z\, (g^{\top} z)$. Then
#
# $$2 J(m) g = q \odot g + z\, g^{\top} z - \frac{1}{2} (q + z)(q^{\top} g + z^{\top} g), \qquad \frac{1}{2} J(q) g = \frac{1}{2} q \odot g - \frac{1}{2} q\, q^{\top} g ,$$
#
# and their difference is
#
# $$\frac{1}{2} q \odot g + \frac{1}{2} z\, z^{\top} g - \frac{1}{2} q\, z^{\top} g - \frac{1}{2} z\, q^{\top} g ,$$
#
# half the brackets. The authors, and the library, add a temperature. It replaces $q$ in the middle by $\pi = \mathrm{softmax}(\ell / \tau)$, which is $q$ at $\tau = 1$. It does not change $J(q)$, because the codes are drawn from $q$ at every $\tau$:
#
# $$\Bigl(2 J\Bigl(\frac{\pi + z}{2}\Bigr) - \frac{1}{2} J(q)\Bigr) f'(z) . \tag{8.5}$$
#
# At $\tau \ne 1$ the estimate is no longer exact, not even for affine $f$; here it has less variance.
#
# Nothing here depends on $K$: the rule is applied to each edge apart. For $f$ of degree 3 the trapezoidal rule errs, and so does ReinMax. Why from degree 3 on? Along an edge, the slope of such an $f$ is a parabola, $\alpha_0 + \alpha_1 t + \alpha_2 t^2$ with three numbers $\alpha_0$, $\alpha_1$ and $\alpha_2$. Its area from 0 to 1 is $\alpha_0 + \alpha_1 / 2 + \alpha_2 / 3$, but the mean of its two ends is $\alpha_0 + \alpha_1 / 2 + \alpha_2 / 2$: too large by $\alpha_2 / 6$.
# The slopes at the two ends cannot tell $\alpha_1$ from $\alpha_2$, so no other weights of them would help. One would need the slope at a third point.

# %%
by_hand = sum(
    q[k]
    * (2 * jacobian((q + np.eye(K)[k]) / 2) - jacobian(q) / 2)
    @ slope_at(k, 3)
    for k in range(K)
)
confirm("8.5", mean_and_variance("reinmax", 3)[0][0], by_hand)
for degree in (1, 2):
    confirm("8.5", mean_and_variance("reinmax", degree)[0], exact[degree])
for degree in (1, 2, 3, 4, 5):
    report("straight_through", degree)
    report("reinmax", degree)
for degree in (1, 3):
    report("reinmax", degree, tau=2.0)
show(dvae_np.reinmax)

# %% [markdown]
# ## 7 Is a higher order closer?
#
# Not always. *Second order* says from which degree of $f$ on there is an error, not how large the error is. Left: exact relative bias against the degree of $f$. Straight-through is exact at degree 1, ReinMax up to 2, the others nowhere. At degree 3
# ReinMax has {{relative_bias("reinmax", 3):.1%}}, straight-through {{relative_bias("straight_through", 3):.1%}}, and gapped straight-through {{relative_bias("gapped_straight_through", 3):.1%}}, by luck: along the exact gradient its bias changes sign, from {{along[2]:+.0%}} at degree 2 to {{along[3]:+.0%}} at degree 3 and {{along[4]:+.0%}} at degree 4.
#
# Right: each dot is one of 400 random problems of degree 3. Below the diagonal ReinMax is closer. How often depends on how
# far $f$ is from quadratic. For a quadratic plus $\varepsilon$ times a cubic, ReinMax is closer in {{closer[0.1]:.0%}} of these problems at $\varepsilon = 0.1$, in
# {{closer[1.0]:.0%}} at $\varepsilon = 1$ (those of the picture), and in {{closer[10.0]:.0%}} at $\varepsilon = 10$.


# %%
def relative_bias(name, degree):
    return np.linalg.norm(
        mean_and_variance(name, degree)[0] - exact[degree]
    ) / np.linalg.norm(exact[degree])


along = {}  # the bias along the exact gradient, relative to it
for degree in (2, 3, 4):
    mean, right = (
        mean_and_variance("gapped_straight_through", degree)[0],
        exact[degree],
    )
    along[degree] = ((mean - right) * right).sum() / (right**2).sum()
    print(f"gapped, degree {degree}: bias along the gradient "
          f"{along[degree]:+.1%}")  # fmt: skip


# %%
def with_a_cubic_part(w, epsilon):
    """polynomial(w, 2), plus epsilon times its cubic part."""
    two, three = polynomial(w, 2), polynomial(w, 3)

    def f(z):
        (f2, backward2), (f3, backward3) = two(z), three(z)

        def backward(dfz):
            d2, d3 = backward2(dfz)[0], backward3(dfz)[0]
            return None if d2 is None else d2 + epsilon * (d3 - d2), {}

        return f2 + epsilon * (f3 - f2), backward

    return f


def error(estimator, one, g):
    """The distance of the mean from the exact gradient."""
    z, weights = every_code(one, 1)
    mean, _ = moments(weights, estimator(tiled(one, K), g, z).dlogits)
    return np.linalg.norm(mean - dvae_np.exact(one, g).dlogits[0])


closer = {}  # the share of random problems in which ReinMax is closer
for epsilon in (0.1, 0.3, 1.0, 3.0, 10.0):
    some, wins = np.random.default_rng(6), 0
    for _ in range(400):
        one = some.standard_normal((1, 1, K))
        g = with_a_cubic_part(some.standard_normal((2, 1, K)), epsilon)
        wins += error(dvae_np.reinmax, one, g) < error(
            dvae_np.straight_through, one, g
        )
    closer[epsilon] = wins / 400
    print(f"epsilon = {epsilon}: ReinMax closer in {closer[epsilon]:.0%}")
figure("polynomial_degree.png")

# %% [markdown]
# ## 8 What it buys
#
# We train the model of lesson 00 by ReinMax. The reconstruction's part of `dlogits` is [Eq. 8.5], averaged over four drawn codes. What is new is the slope of $f$ at these codes:
#
# ```python
# pixels = 1 / (1 + np.exp(-A[z]))  # (S, B, 64)
# slope = (pixels - x) @ A.T  # f' at the codes, (S, B, K)
# ```
#
# How far is $f$ from quadratic here? During training we measure the bias of both estimators on 200 images, exactly: the mean over all 20 codes.

# %%
from dvae_np import records
from dvae_np.experiments.first_model import negative_elbo, taught, train
from dvae_np.figures import first_models
from dvae_np.train import load

data = load("digits")
images, unseen = (each.x.astype(float) for each in (data.train, data.test))


def through(p, g):
    """J(p) g for each image, (B, K)."""
    return p * (g - (p * g).sum(1, keepdims=True))


# %%
def biases(step, params):
    """Print the bias, relative to the exact gradient, on 200 images."""
    if step not in (0, 60, 200):
        return
    W, b, A = params
    x = images[:200]
    q = softmax(x @ W + b)[0]  # (B, K)
    straight = second = 0
    for k, z in enumerate(np.eye(20)):
        g = (1 / (1 + np.exp(-A[k])) - x) @ A.T  # f' at code k, (B, K)
        one = through(q, g)
        straight = straight + q[:, [k]] * one
        second = second + q[:, [k]] * (
            2 * through((q + z) / 2, g) - one / 2
        )
    right = through(q, np.logaddexp(0, A).sum(1) - x @ A.T)  # exact
    off, off_second = (
        np.linalg.norm(mean - right) / np.linalg.norm(right)
        for mean in (straight, second)
    )
    print(f"step {step:3}, bias of straight-through {off:6.1%}, "
          f"of ReinMax {off_second:6.1%}")  # fmt: skip


train("reinmax", images, rate=0.03, steps=200, watch=biases)

# %% [markdown]
# And the losses. Straight-through is not in the record, so we train it here: 300 steps with seed 0, at the step size that was chosen for ReinMax.

# %%
first = records.read("first-model")
lost = {}  # step: straight-through's test loss


def watch(step, params):
    if step % 20 == 0:
        lost[step] = negative_elbo(params, unseen)


train("straight_through", images, seed=0, rate=0.03, steps=300, watch=watch)
at_300 = first["steps"].index(300)
reinmax_at_300 = np.median(
    [curve[at_300] for curve in first["estimators"]["reinmax"]["test"]]
)
print(f"after 300 steps: straight-through {lost[300]:.1f} nats, ReinMax "
      f"{reinmax_at_300:.1f} nats (median of three seeds)")  # fmt: skip


# %%
def with_straight_through(canvas):
    first_models(canvas, first, taught(8))
    (axes,) = canvas.axes
    axes.plot(lost.keys(), lost.values(), "k--", linewidth=0.9,
              label="straight_through, 300 steps, one seed")  # fmt: skip
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")


figure(
    with_straight_through,
    size=(7.4, 3.4),
    alt="Test loss against steps: ReinMax falls as fast as the others at "
    "first, then stays above leave-one-out and below REINFORCE. A thin "
    "line, straight-through, stays above ReinMax.",
)
ends = {
    name: [curve[-1] for curve in found["test"]]
    for name, found in first["estimators"].items()
}

# %% [markdown]
# ReinMax begins almost without bias: the rows of $A$ are small, and $f$ is nearly quadratic. As the rows grow, so does the bias. At all three steps straight-through's bias is far larger. Straight-through also trains worse here: after 300 steps its loss is {{lost[300]:.1f}} nats (one seed), ReinMax's {{reinmax_at_300:.1f}}.
#
# After 600 steps ReinMax ends at {{np.median(ends["reinmax"]):.1f}} nats (three seeds: {{min(ends["reinmax"]):.1f}} to {{max(ends["reinmax"]):.1f}}; $\tau = {{first["estimators"]["reinmax"]["tau"]:.0f}}$), leave-one-out at {{np.median(ends["reinforce_loo"]):.1f}} and Gumbel-Softmax at {{np.median(ends["gumbel_softmax"]):.1f}}.
# So in this small model the slopes of $f$ gain ReinMax nothing over leave-one-out, which uses values alone. Lesson 14 compares them in larger models.
#
# ## 9 Break it
#
# A softmax backward without its second term, $q \odot g$ in the place of $q \odot g - q\, q^{\top} g$, is easily written. For an affine $f$ the exact mean is known, and the
# difference has a signature: a multiple of $q$.


# %%
def half_jacobian(logits, f, z):
    """A bug: the softmax Jacobian's second term is missing."""
    hard = one_hot(z, logits.shape[-1], logits.dtype)
    dz, _ = f(hard)[1](np.full(z.shape[:2], 1 / len(z)))
    return softmax(logits)[0] * dz.sum(0)


z, weights = every_code(logits, 1)
verdict = from_mean(
    moments(weights, half_jacobian(tiled(logits, K), f[1], z))[0],
    exact[1],
    q=q[None],
)
print(verdict.kind, verdict.detail)
print(textwrap.fill(verdict.explanation, 80))

# %% [markdown]
# ## Reading
#
# - Y. Bengio, N. Léonard, A. Courville, *Estimating or propagating gradients through stochastic neurons for conditional computation*, 2013: straight-through.
# - M. B. Paulus, C. J. Maddison, A. Krause, *Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator*, 2021: Gumbel-Rao.
# - T.-H. Fan, T.-C. Chi, A. I. Rudnicky, P. J. Ramadge, *Training discrete deep generative models via gapped straight-through estimator*, 2022: the gap.
# - R. Shah, M. Yan, M. C. Mozer, D. Liu, *Improving discrete optimisation via decoupled straight-through estimator*, arXiv 2410.13331, version 2: two temperatures. (Version 1, 2024, has them in straight-through Gumbel-Softmax.)
# - L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, *Bridging discrete and backpropagation: straight-through and beyond*, 2023: ReinMax.
#
# Next: [09 Multi-sample bounds](09_multi_sample_bounds.ipynb), where the objective itself takes several samples.

# %% [markdown] exercise 08.1: 1 point
# ## 08.1 Implement: straight-through
#
# Write `my_straight_through(logits, f, z)` for `logits` (B, N, K) and codes `z` (S, B, N). Return the gradient (B, N, K) of [Eq. 8.1] at $\tau = 1$, averaged over the samples. `one_hot(z, logits.shape[-1], float)` turns codes
# into floats (S, B, N, K). `f` of those returns `fz` (S, B) and a backward, and `backward(dfz)` returns `(dz, dtheta)`. `softmax(logits)` returns `q` and its backward. About 4 lines. For affine
# $f$ the estimate is the exact gradient, whatever $z$ is.


# %% solution 08.1
def my_straight_through(logits, f, z):
    """f's slope at the sample, through the softmax."""
    ### BEGIN SOLUTION
    fz, f_backward = f(one_hot(z, logits.shape[-1], float))
    dz, _ = f_backward(np.full_like(fz, 1 / len(z)))
    return softmax(logits)[1](dz.sum(0))
    ### END SOLUTION


# %% check 08.1
from dvae_np.lesson import judge

judge("08.1", my_straight_through)


# %% right 08.1
def my_straight_through(logits, f, z):
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)  # (B, N, K)
    hard = np.eye(logits.shape[-1], dtype=logits.dtype)[z]
    # (B, N, K)
    slope = f(hard)[1](np.ones(z.shape[:2], logits.dtype))[0].mean(0)
    return np.einsum(
        "bnk,bnkj->bnj",
        slope,
        q[..., None] * (np.eye(q.shape[-1]) - q[..., None, :]),
    )


# %% wrong 08.1: the second term of the softmax Jacobian
def my_straight_through(logits, f, z):
    fz, f_backward = f(one_hot(z, logits.shape[-1], float))
    return softmax(logits)[0] * f_backward(np.full_like(fz, 1 / len(z)))[
        0
    ].sum(0)


# %% wrong 08.1: the slope alone
def my_straight_through(logits, f, z):
    fz, f_backward = f(one_hot(z, logits.shape[-1], float))
    return f_backward(np.full_like(fz, 1 / len(z)))[0].sum(0)


# %% wrong 08.1: the slope at q, not at the sample
def my_straight_through(logits, f, z):
    q, softmax_backward = softmax(logits)
    return softmax_backward(f(q[None])[1](np.ones((1, len(logits))))[0][0])


# %% wrong 08.1: S = 3: a sum where a mean is due
def my_straight_through(logits, f, z):
    fz, f_backward = f(one_hot(z, logits.shape[-1], float))
    return softmax(logits)[1](f_backward(np.ones_like(fz))[0].sum(0))


# %% [markdown] exercise 08.2: 3 points
# ## 08.2 Derive: the bias for a quadratic
#
# Let $f(z) = \frac{1}{2} z^{\top} A z$ with $A$ symmetric (K, K), and one latent. What is the bias of straight-through at $\tau = 1$, mean minus exact gradient? Write `bias_of_quadratic(q, A)` for `q` (K,). Return (K,). Use `jacobian(q)`.
# One line. For $A$ the identity and $q = (0.5, 0.3, 0.2)$ you should get $(0.06, -0.024, -0.036)$.


# %% solution 08.2
def bias_of_quadratic(q, A):
    """Mean of straight-through minus the exact gradient."""
    ### BEGIN SOLUTION
    return jacobian(q) @ (A @ q - np.diag(A) / 2)
    ### END SOLUTION


# %% check 08.2
from dvae_np.lesson import judge

judge("08.2", bias_of_quadratic)


# %% right 08.2
def bias_of_quadratic(q, A):
    # its product with g is q (g - <q, g>)
    centred = (np.eye(len(q)) - q).T * q
    return centred.T @ (A @ q) - q * (np.diag(A) / 2 - q @ np.diag(A) / 2)


# %% wrong 08.2: the value of f at a code has the factor 1/2
def bias_of_quadratic(q, A):
    return jacobian(q) @ (A @ q - np.diag(A))


# %% wrong 08.2: it still has to pass the Jacobian
def bias_of_quadratic(q, A):
    return A @ q - np.diag(A) / 2


# %% [markdown] exercise 08.3: 2 points
# ## 08.3 Implement: ReinMax without Jacobians
#
# Section 6 writes ReinMax as $\frac{1}{2} \bigl(q_i (g_i - g^{\top} z) + z_i (g^{\top} z - g^{\top} q)\bigr)$. Write `trapezoid(q, z, g)`, where `q`, one-hot `z` and the slope `g` are all (..., K). Return (..., K). About 2 lines. For $f$ of degree 2 the mean
# over codes is then the exact gradient.


# %% solution 08.3
def trapezoid(q, z, g):
    """ReinMax at temperature 1, from the trapezoidal rule."""
    ### BEGIN SOLUTION
    at_z, at_q = ((g * p).sum(-1, keepdims=True) for p in (z, q))
    return (q * (g - at_z) + z * (at_z - at_q)) / 2
    ### END SOLUTION


# %% check 08.3
from dvae_np.lesson import judge

judge("08.3", trapezoid)


# %% right 08.3
def trapezoid(q, z, g):
    m = (q + z) / 2
    through = lambda p: (
        p * g - p * np.einsum("...k,...k->...", p, g)[..., None]
    )
    return 2 * through(m) - 0.5 * through(q)


# %% wrong 08.3: both ends count, each by a half
def trapezoid(q, z, g):
    return q * (g - (g * z).sum(-1, keepdims=True))


# %% wrong 08.3: a factor 2
def trapezoid(q, z, g):
    at_z, at_q = ((g * p).sum(-1, keepdims=True) for p in (z, q))
    return q * (g - at_z) + z * (at_z - at_q)


# %% [markdown] exercise 08.4: 1 point
# ## 08.4 Find the bug: not even first order
#
# This ReinMax is for one latent: logits `l` (K,), one-hot `z` (K,) and slope `g` (K,). It trains. But for an affine $f$ it is not exact: its mean is half the gradient. Correct it so that it agrees with [Eq. 8.5]
# at $\tau = 1$. Return (K,). One factor changes.
#
# ```python
# return (2 * jacobian((q + z) / 2) - jacobian(q)) @ g
# ```


# %% solution 08.4
def second_order(l, z, g):
    """ReinMax for one latent at temperature 1."""
    q = softmax(l)[0]
    ### BEGIN SOLUTION
    return (2 * jacobian((q + z) / 2) - jacobian(q) / 2) @ g
    ### END SOLUTION


# %% check 08.4
from dvae_np.lesson import judge

judge("08.4", second_order)


# %% right 08.4
def second_order(l, z, g):
    q = np.exp(l - l.max()) / np.exp(l - l.max()).sum()
    return (q * (g - g @ z) + z * (g @ z - g @ q)) / 2


# %% wrong 08.4: taken off whole
def second_order(l, z, g):
    q = softmax(l)[0]
    return (2 * jacobian((q + z) / 2) - jacobian(q)) @ g


# %% wrong 08.4: as probabilities sum to one
def second_order(l, z, g):
    q = softmax(l)[0]
    return (2 * jacobian(q + z) - jacobian(q) / 2) @ g


# %% wrong 08.1: is wrong at S = 3
def my_straight_through(logits, f, z):
    fz, f_backward = f(one_hot(z, logits.shape[-1], float))
    return softmax(logits)[1](
        f_backward(np.ones_like(fz))[0].sum((0, 1)) / len(z)
    )


# %% wrong 08.2: subtract the exact gradient
def bias_of_quadratic(q, A):
    return jacobian(q) @ A @ q


# %% wrong 08.3: is wrong at T = 5
def trapezoid(q, z, g):
    at_z, at_q = ((g * p).sum(-1, keepdims=True) for p in (z, q))
    return (q * (g - at_z) + z.T.reshape(z.shape) * (at_z - at_q)) / 2


# %% [markdown] written 08.W: 3 points
# ## 08.W In words: why ReinMax stops at degree 2
#
# Section 6 says that no other weights of the two slopes would help. Here you show more. Take one latent with $K = 2$. The codes are $e_0$ and $e_1$, and
# $z_1$ is the entry of $z$ for category 1.
#
# (a) Find an $f$ of degree 3 whose slope $f'(z)$ is zero at both codes, while $f(e_0) \ne f(e_1)$. Conclude: an estimator that knows of $f$ only its slopes
# at codes cannot have the exact gradient as its mean for every $f$ of degree 3, whatever it does with these slopes.
#
# (b) A student says: *so no estimator that evaluates $f$ at codes only can be unbiased for every $f$ of degree 3*. Is this right?
#
# (c) Now allow the slope in the middle of the edge too. Let $h'(t)$ be the slope along it, as in section 2. Find weights of $h'(0)$, $h'(\frac{1}{2})$ and
# $h'(1)$ that give $\int_0^1 h'(t)\, dt$ exactly for $h'(t) = 1$, $t$ and $t^2$. Up to which degree of $f$ is this rule exact? What does it ask of $f$ that
# ReinMax does not ask? Half a page in all.

# %% [markdown] model 08.W
# (a) Take $f(z) = 3 z_1^2 - 2 z_1^3$. Its slope in $z_1$ is $6 z_1 - 6 z_1^2$, zero at $z_1 = 0$ and at $z_1 = 1$, and it does not depend on the other entry.
# But $f(e_1) - f(e_0) = 1$. Compare with $f = 0$. Both have the same slopes at the codes, so the estimator returns the same for both, and has the same mean.
# But the exact gradients are $\pm q_0 q_1$ and $0$. At least one of the two means is wrong.
#
# (b) No. REINFORCE evaluates $f$ at codes only, and is unbiased for every $f$. It uses the *values* of $f$. The limit in (a) is one for slopes. The price of
# REINFORCE is variance: a value of $f$ is one number, a slope has $K$ numbers for each latent.
#
# (c) With weights $w_0$, $w$, $w_1$ the three conditions are $w_0 + w + w_1 = 1$, $\frac{w}{2} + w_1 = \frac{1}{2}$ and $\frac{w}{4} + w_1 = \frac{1}{3}$. So
# $w = \frac{2}{3}$ and $w_0 = w_1 = \frac{1}{6}$. The rule is also exact for $t^3$, as $\frac{1}{8} \cdot \frac{2}{3} + \frac{1}{6} = \frac{1}{4}$, but not
# for $t^4$, where it gives $\frac{5}{24}$ in place of $\frac{1}{5}$. The slope of an $f$ of degree 4 has degree 3. So the rule is exact up to degree 4. It
# asks for the slope at a *soft* code, one half of each category, so $f$ must accept soft codes. It also takes one more backward pass, and with more than two
# categories each pair of codes has its own middle.
#
# *Marks:* 1 for an $f$ in (a) and the conclusion; 1 for the verdict in (b) with REINFORCE; 1 for the weights, degree 4 and the soft code.
