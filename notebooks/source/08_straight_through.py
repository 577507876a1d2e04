# %% [markdown]
# # 08 Straight-through to ReinMax
#
# **Question.** Straight-through sends a gradient through a sample as if nothing had been sampled. It is biased, it costs one evaluation, and
# it is everywhere. When is it right, and can its order be raised?
#
# **After this lesson you can**
# - prove that straight-through is exact for affine $f$, and ReinMax for quadratic $f$, for any $K$,
# - read ReinMax as the trapezoidal rule, and straight-through as a rule of first order,
# - say what two temperatures, conditional noise and a gap each change,
# - measure all their biases exactly, and see why a higher order is not always closer.
#
# *Needs:* lessons 02, 05 and 07. *Takes:* 45 minutes to read and run, an hour for the exercises. Everything is in nats.

# %% setup
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
from dvae_np.lesson import confirm, figure, show

rng = np.random.default_rng(0)
K = 3
# (B, N, K): one example, one latent
logits = rng.standard_normal((1, 1, K))
w = rng.standard_normal((2, 1, K))
# the same directions, five degrees
f = {degree: polynomial(w, degree) for degree in (1, 2, 3, 4, 5)}
# (N, K)
exact = {
    degree: dvae_np.exact(logits, f[degree]).dlogits[0] for degree in f
}
q = softmax(logits)[0][0, 0]  # (K,)
# quadrature over Gumbel noise, lesson 07
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
    mean, variance = moments(
        weights,
        row.estimate(
            tiled(logits, len(weights)), f[degree], *noise, **hyper
        ).dlogits,
    )
    return mean, variance.sum()


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
# ## 1 Straight-through
#
# With one latent the exact gradient is short. Let $F_k = f(\mathrm{onehot}(k))$ and $J(p) = \mathrm{diag}(p) - p p^{\top}$. Then $\mathbb{E}_q[f] = \sum_k q_k F_k$, and
#
# $$\nabla_{\ell} \mathbb{E}_q[f] = J(q)\, F, \qquad \bigl(J(q) F\bigr)_i = q_i \sum_j q_j (F_i - F_j) .$$
#
# Only *differences* of values between codes count. Straight-through has one slope where it needs $K$ values. It takes the slope at the sample for $F$:
#
# $$\frac{1}{\tau} J\bigl(\mathrm{softmax}(\ell / \tau)\bigr)\, f'(z) . \tag{8.1}$$
#
# Let $\tau = 1$ and $f(z) = a + g^{\top} z$, affine. Its slope is $g$ everywhere, and $F = a 1 + g$. As $J(q) 1 = q - q = 0$,
#
# $$J(q) F = J(q) g = J(q) f'(z) \quad \text{for every } z .$$
#
# So for affine $f$ it is exact, even without variance. For any other $f$ the mean is $J(q)\, \mathbb{E}[f'(z)]$: it takes $F_i - F_j$ for a difference of slopes' entries at a $z$ that may
# be neither $i$ nor $j$. That is a rule of first order. With several latents the same holds for each, the others held at what was drawn.

# %%
show(dvae_np.straight_through)

# %%
confirm("8.1", mean_and_variance("straight_through", 1)[0], exact[1])
tau = 1.3
by_hand = (
    jacobian(softmax(logits[0, 0] / tau)[0])
    / tau
    @ sum(q[k] * slope_at(k, 3) for k in range(K))
)
confirm(
    "8.1", mean_and_variance("straight_through", 3, tau=tau)[0][0], by_hand
)


def report(name, degree, **hyper):
    mean, variance = mean_and_variance(name, degree, **hyper)
    bias = np.linalg.norm(mean - exact[degree]) / np.linalg.norm(
        exact[degree]
    )
    print(
        f"{name:27} degree {degree}: "
        f"bias {bias:7.1%}, variance {variance:7.4f}",
        hyper or "",
    )


for degree in (1, 2, 3):
    report("straight_through", degree)

# %% [markdown]
# ## 2 Two temperatures
#
# The temperature has two jobs. Forward it says how far the codes spread; backward it says how smooth the stand-in is. Nothing forces them to be equal:
#
# $$\frac{1}{\tau_b} J\bigl(\mathrm{softmax}(\ell / \tau_b)\bigr)\, f'(z) \quad \text{with} \quad z \sim \mathrm{softmax}(\ell / \tau_f) . \tag{8.2}$$
#
# At $\tau_f \ne 1$ the codes are no longer drawn from $q$. Then the *value* is biased too, and with it the decoder's gradient.

# %%
show(dvae_np.decoupled_straight_through)
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
report("decoupled_straight_through", 3, tau_forward=1.0, tau_backward=2.0)
report("decoupled_straight_through", 3, tau_forward=1.0, tau_backward=1.0)

# %% [markdown]
# ## 3 Gumbel-Rao
#
# Straight-through Gumbel-Softmax [Eq. 7.3] has noise that it does not need: $f'$ depends on the code alone, but the Jacobian on the whole of the noise. Average
# the Jacobian over all noise that leads to the same code:
#
# $$\mathbb{E}\Bigl[\frac{1}{\tau} J(y) \,\Big\vert\, z\Bigr] f'(z) . \tag{8.3}$$
#
# A mean of conditional means is the mean, so the bias is unchanged. The variance splits into that between codes, and the mean of that within a code; only the second falls, with $M$ draws
# of the noise given $z$ (lesson 10 derives how) to an $M$-th:
#
# $$\mathrm{Var} = \mathrm{Var}\bigl(\mathbb{E}[g \mid z]\bigr) + \frac{1}{M} \mathbb{E}\bigl[\mathrm{Var}(g \mid z)\bigr] .$$
#
# $f$ and its slope are still evaluated once. (Below, the means over all noise agree to the last digit because the nodes make the noise given $z$ as the estimator does: that confirms the code. What confirms the law of that noise
# is the variance of 40,000 draws.)

# %%
show(dvae_np.gumbel_rao)
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
    f"M = 10: expected {between + within / 10:.3f}, of 40,000 draws "
    f"{sampled.var(0).sum():.3f}"
)
confirm("8.3", sampled.var(0).sum(), between + within / 10, tolerance=0.03)

# %% [markdown]
# ## 4 A gap instead of noise
#
# Why not average analytically? Gapped straight-through keeps what noise does to the logits, the sampled one ends on top, and leaves out the randomness. It moves
# the sampled one up to the largest, the others down until they are `gap` below,
#
# $$\frac{1}{\tau} J\bigl(\mathrm{softmax}(\ell' / \tau)\bigr)\, f'(z), \qquad \ell'_z = \max \ell, \quad \ell'_k = \min(\ell_k, \max \ell - \mathrm{gap}) . \tag{8.4}$$

# %%
show(dvae_np.gapped_straight_through)
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
report("gapped_straight_through", 3)

# %% [markdown]
# ## 5 ReinMax: second order
#
# We need $F_i - F_j$ from slopes at codes. The difference is an integral along the edge from code $j$ to code $i$,
#
# $$F_i - F_j = \int_0^1 f'\bigl(e_j + t (e_i - e_j)\bigr)^{\top} (e_i - e_j)\, dt, \qquad e_k = \mathrm{onehot}(k) .$$
#
# Where $f$ is quadratic the integrand is affine in $t$, and then the trapezoidal rule is exact: take the mean of both ends,
#
# $$F_i - F_j = \frac{1}{2} \bigl(f'(e_i) + f'(e_j)\bigr)^{\top} (e_i - e_j) .$$
#
# Insert it in the exact gradient, $q_i \sum_j q_j (F_i - F_j)$. The part with $f'(e_j)$ is a sum over $j$ with probabilities $q_j$: an expectation over $z = j$. The part with $f'(e_i)$ has the factor
# $q_i$: an expectation over $z$ that counts $z = i$ alone. With $g = f'(z)$ and $z$ one-hot too,
#
# $$\bigl(J(q) F\bigr)_i = \frac{1}{2} \mathbb{E}_z\bigl[q_i (g_i - g^{\top} z) + z_i (g^{\top} z - g^{\top} q)\bigr] .$$
#
# What is in the brackets needs one slope, at one sample. It can be written with Jacobians. Let $m = (q + z)/2$. Then
#
# $$2 J(m) g = q \odot g + z\, g^{\top} z - \frac{1}{2} (q + z)(q^{\top} g + z^{\top} g), \qquad \frac{1}{2} J(q) g = \frac{1}{2} q \odot g - \frac{1}{2} q\, q^{\top} g ,$$
#
# and their difference is
#
# $$\frac{1}{2} q \odot g + \frac{1}{2} z\, z^{\top} g - \frac{1}{2} q\, z^{\top} g - \frac{1}{2} z\, q^{\top} g ,$$
#
# half the brackets. The library has a temperature as well, in $\pi = \mathrm{softmax}(\ell / \tau)$; at $\tau = 1$ it is $q$:
#
# $$\Bigl(2 J\Bigl(\frac{\pi + z}{2}\Bigr) - \frac{1}{2} J(q)\Bigr) f'(z) . \tag{8.5}$$
#
# Nothing here depends on $K$. For $f$ of degree three the trapezoidal rule errs, and so does ReinMax.

# %%
show(dvae_np.reinmax)
for degree in (1, 2):
    confirm("8.5", mean_and_variance("reinmax", degree)[0], exact[degree])
for degree in (1, 2, 3, 4, 5):
    report("straight_through", degree)
    report("reinmax", degree)

# %% [markdown]
# ## 6 The picture
#
# Left: exact relative bias against the degree of $f$, on our problem. Straight-through is zero at degree one, ReinMax up to two, the others nowhere. Look at degree 3:
# ReinMax {{relative_bias("reinmax", 3):.1%}}, straight-through {{relative_bias("straight_through", 3):.1%}}. *Second order* says where an error begins, not how large it is beyond. Gapped straight-through, which is exact nowhere, has {{relative_bias("gapped_straight_through", 3):.1%}} there, by luck:
# its bias changes sign. Right: 200 random problems of degree 3. Each dot is one of them; below the diagonal ReinMax is closer. How often that is depends on how
# far from quadratic $f$ is. Take a quadratic plus $\varepsilon$ times a cubic: for $\varepsilon = 0.1$ ReinMax is closer in {{closer[0.1]:.0%}} of 400 random problems, for $\varepsilon = 1$ in
# {{closer[1.0]:.0%}}, and for $\varepsilon = 10$ in {{closer[10.0]:.0%}}.


# %%
def relative_bias(name, degree):
    return np.linalg.norm(
        mean_and_variance(name, degree)[0] - exact[degree]
    ) / np.linalg.norm(exact[degree])


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


def closer_share(epsilon, problems=400):
    """In what share of random problems ReinMax's mean is closer to the
    exact gradient than straight-through's.
    """
    some, wins = np.random.default_rng(6), 0
    for _ in range(problems):
        one = some.standard_normal((1, 1, K))
        g = with_a_cubic_part(some.standard_normal((2, 1, K)), epsilon)
        z, weights = every_code(one, 1)
        means = [
            moments(weights, e(tiled(one, K), g, z).dlogits)[0]
            for e in (dvae_np.reinmax, dvae_np.straight_through)
        ]
        apart = [
            np.linalg.norm(mean - dvae_np.exact(one, g).dlogits[0])
            for mean in means
        ]
        wins += apart[0] < apart[1]
    return wins / problems


closer = {
    epsilon: closer_share(epsilon) for epsilon in (0.1, 0.3, 1.0, 3.0, 10.0)
}
print(
    "ReinMax closer than straight-through:",
    {epsilon: f"{share:.0%}" for epsilon, share in closer.items()},
)
figure("polynomial_degree.png")

# %% [markdown]
# ## 7 Break it
#
# A softmax backward without its second term, $q \odot g$ in place of $q \odot g - q\, q^{\top} g$, is easily written by hand in a straight-through layer. For an affine $f$ the exact mean is known, and the
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
print(verdict.explanation)

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

# %% [markdown] exercise 08.1
# ### 08.1 Implement: straight-through
#
# Write `my_straight_through(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N); return the gradient (B, N, K) of [Eq. 8.1] at $\tau = 1$, averaged over the samples. `one_hot(z, logits.shape[-1], float)` makes codes
# into floats (S, B, N, K); `f` of those returns `fz` (S, B) and a backward, and `backward(dfz)` returns `(dz, dtheta)`. `softmax(logits)` returns `q` and its backward. About 4 lines. For the affine
# $f$ the estimate is the exact gradient, whatever $z$.


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


# %% wrong 08.1: the slope at q, not at the sample
def my_straight_through(logits, f, z):
    q, softmax_backward = softmax(logits)
    return softmax_backward(f(q[None])[1](np.ones((1, len(logits))))[0][0])


# %% wrong 08.1: S = 3: a mean where a sum is due
def my_straight_through(logits, f, z):
    fz, f_backward = f(one_hot(z, logits.shape[-1], float))
    return softmax(logits)[1](f_backward(np.ones_like(fz))[0].sum(0))


# %% [markdown] exercise 08.2
# ### 08.2 Derive: the bias for a quadratic
#
# Let $f(z) = \frac{1}{2} z^{\top} A z$ with $A$ symmetric (K, K), and one latent. What is the bias of straight-through at $\tau = 1$, mean minus exact gradient? Write `bias_of_quadratic(q, A)`: `q` (K,); return (K,). Use `jacobian(q)`.
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


# %% [markdown] exercise 08.3
# ### 08.3 Implement: ReinMax without Jacobians
#
# Section 5 has it as $\frac{1}{2} \bigl(q_i (g_i - g^{\top} z) + z_i (g^{\top} z - g^{\top} q)\bigr)$. Write `trapezoid(q, z, g)`: `q`, one-hot `z` and slope `g` all (..., K); return (..., K). About 2 lines. The mean over codes,
# for $f$ of degree 2, is then the exact gradient.


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


# %% [markdown] exercise 08.4
# ### 08.4 Find the bug: not even first order
#
# This ReinMax is for one latent: `l` (K,), one-hot `z` (K,) and slope `g` (K,). It trains. But for an affine $f$ it is not exact: its mean is half the gradient. Correct it so that it agrees with [Eq. 8.5]
# at $\tau = 1$; return (K,). One factor changes.
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
