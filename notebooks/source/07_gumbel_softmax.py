# %% [markdown]
# # 07 Gumbel-Softmax
#
# **Question.** A code has no slope. Can a smooth random vector stand in for the code: close to one-hot, and
# differentiable? What does its temperature buy, what does it cost, and which KL belongs to it?
#
# **After this lesson you can**
# - write the relaxed sample and its backward pass, and prove the latter at fixed noise,
# - measure bias and variance against the temperature without drawing a sample, and choose a temperature,
# - say what straight-through Gumbel-Softmax changes, and what it does not mend,
# - derive the Concrete density, and tell three things apart that are all called KL.
#
# *Needs:* lessons 02, 03 and 05. *Takes:* 80 minutes to read and run, 80 minutes for the exercises. Everything is in nats.

# %% setup
import textwrap

import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import (
    concrete_log_prob,
    gumbel,
    gumbel_max,
    log_softmax,
    one_hot,
    plug_in_kl,
    relaxed_kl,
    softmax,
)
from dvae_np.check import (
    comparison,
    complex_step,
    every_code,
    gumbel_nodes,
    moments,
    polynomial,
    tiled,
)
from dvae_np.figures.lesson_07 import log_ratio_grid
from dvae_np.lesson import confirm, figure, picture, show

rng = np.random.default_rng(0)
K = 3
# (B, N, K): one example, one latent
logits = rng.standard_normal((1, 1, K))
# smooth in y, of degree 3: polynomial(w, d) is the sum over r of
# s_r + s_r^2 / 2 + ... + s_r^d / d, with s_r = <w_r, y>
f = polynomial(rng.standard_normal((2, 1, K)), 3)
exact = dvae_np.exact(logits, f)
u = rng.random((4, 1, 1, K))  # (S, B, N, K)

# %% [markdown]
# ## 1 A soft one-hot
#
# Lesson 02 draws a code as $z = \arg\max_k (\ell_k + G_k)$ with Gumbel noise $G$ [Eq. 2.8]. All randomness is in $G$, none in $\ell$. If
# the argmax had a slope, we could differentiate through it. The softmax is an argmax with a slope. At a temperature $\tau > 0$, let
#
# $$y = \mathrm{softmax}\bigl((\ell + G) / \tau\bigr) . \tag{7.1}$$
#
# The vector $y$ is a *relaxed code*, a continuous *relaxation* of the one-hot code. Its distribution is called *Gumbel-Softmax* or *Concrete*. In NumPy:

# %%
tau = 0.6
G = -np.log(-np.log(u))  # Gumbel noise from uniforms, (S, B, N, K)
y = np.exp((logits + G) / tau)
y = y / y.sum(-1, keepdims=True)
# f(y) = y_k
reads = [polynomial(np.eye(K)[[k]][:, None], 1) for k in range(K)]
confirm(
    "7.1",
    [
        dvae_np.gumbel_softmax(logits, each, u, tau=tau).value[0]
        for each in reads
    ],
    y.mean(0)[0, 0],
)
show(dvae_np.gumbel_softmax, dvae_np.Independent.relaxed_codes)

# %% [markdown]
# What does the temperature do? Above: one draw of the noise, and its $y$ as bars at four temperatures. Below: 300 draws of $y$ as dots on the triangle of three probabilities, whose corners are the codes.

# %%
corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
noise = gumbel(np.random.default_rng(59).random((300, K)))
fig, axes = plt.subplots(2, 4, figsize=(7.5, 3.6), layout="constrained",
                         height_ratios=(1, 1.4))  # fmt: skip
for (bars, triangle), temperature in zip(
    axes.T, (4, 1, 0.5, 0.1), strict=True
):
    soft = softmax((logits[0, 0] + noise) / temperature)[0]  # (300, K)
    bars.bar(range(K), soft[0], color="0.5", edgecolor="black")
    bars.set(ylim=(0, 1.05), xticks=range(K), title=f"tau = {temperature}")
    triangle.plot(*corners[[0, 1, 2, 0]].T, "k-", linewidth=0.8)
    triangle.plot(*(soft @ corners).T, ".", markersize=3, alpha=0.5)
    for k in range(K):
        triangle.text(*(1.2 * corners[k] - 0.2 * corners.mean(0)), k,
                      ha="center", va="center")  # fmt: skip
    triangle.set(aspect="equal", ylim=(-0.2, 1.1))
    triangle.axis("off")
axes[0, 0].set_ylabel("one draw, y")
picture(
    fig,
    "Above, one relaxed code as three bars at temperatures 4, 1, 0.5 and "
    "0.1: almost equal bars become a single bar of height one. Below, 300 "
    "relaxed codes on a triangle: near its centre at 4, spread at 1, more "
    "at the edges at 0.5, nearly all in the corners at 0.1.",
)

# %% [markdown]
# At every temperature the largest entry of $y$ is at the code $z$ of lesson 02. Let $\Delta_k = (\ell_z + G_z) - (\ell_k + G_k) \ge 0$. Divide numerator and denominator of [Eq. 7.1] by $e^{(\ell_z + G_z)/\tau}$: each other entry $y_k$ is
# at most $e^{-\Delta_k / \tau}$. So $y \to \mathrm{onehot}(z)$ as $\tau \to 0$. As $\tau \to \infty$, every entry goes to $1/K$.

# %%
print("the code that is drawn:", gumbel_max(logits, u)[0, 0])
for temperature in (2.0, 0.6, 0.1):
    print(
        f"tau = {temperature}:",
        softmax((logits + gumbel(u)) / temperature)[0][0, 0, 0].round(4),
    )

# %% [markdown]
# ## 2 Its backward pass
#
# Hold the noise fixed, and differentiate $y$ in $\ell$. This is the *reparameterisation trick*, and the result a *pathwise derivative*. The softmax has the Jacobian $\mathrm{diag}(y) - y y^{\top}$ [Eq. 2.2], and
# its argument $(\ell + G) / \tau$ has the slope $1 / \tau$. By the chain rule
#
# $$\nabla_{\ell} f(y) = \frac{1}{\tau} \bigl(\mathrm{diag}(y) - y y^{\top}\bigr) \nabla f(y) . \tag{7.2}$$
#
# The complex step at fixed noise confirms it, with the factor $1/\tau$ that is easily forgotten.

# %%
fy, f_backward = f(y)  # (S, B)
slopes = f_backward(np.ones_like(fy))[0]  # (S, B, N, K), of f at y
by_hand = np.mean(
    [
        (np.diag(each) - np.outer(each, each)) @ slope / tau
        for each, slope in zip(y[:, 0, 0], slopes[:, 0, 0], strict=True)
    ],
    0,
)
library = dvae_np.gumbel_softmax(logits, f, u, tau=tau).dlogits
confirm("7.2", by_hand, library[0, 0])
numeric = complex_step(
    lambda a: dvae_np.gumbel_softmax(
        a["logits"], f, u, tau=tau
    ).value.sum(),
    {"logits": logits},
)
confirm("7.2", library, numeric["logits"])

# %% [markdown]
# So [Eq. 7.2] is an unbiased gradient of $\mathbb{E}[f(y)]$. But we want that of $\mathbb{E}[f(z)]$, and $f$ at
# a soft $y$ is not $f$ at a code. Also, $f$ must take soft inputs and have a slope there, which REINFORCE does not ask.
#
# ## 3 Bias and variance against temperature
#
# How large is the difference? Gumbel noise has a density, so means are integrals. A common shift of all perturbed logits $\ell + G$ changes nothing. So we integrate over $K - 1$ differences, on a grid. `gumbel_nodes` makes this grid:
#
# - It takes each code $k$ in turn as the winner, the one with the largest $\ell_k + G_k$. Where the winner changes, an estimator may jump; so the integral is split there.
# - For a given winner it puts a grid on the differences, and computes for each node the noise `u` that leads to these differences.
# - The weight of a node is the density there times the area of a cell. All weights together are 1.
#
# (A node also has the winner, `z`, and `v`, noise for a second draw given `z`, for lessons 08 and 10.) `moments` of lesson 05 adds up. At small $\tau$ the integrand is steep, so we check the number of nodes.


# %% setup
# noise by name, each (1, T, ...): one sample at T nodes; weights (T,)
nodes, weights, _ = gumbel_nodes(logits, 186)
many = tiled(logits, len(weights))  # (T, N, K)


def mean_and_variance(estimator, tau):
    """The mean (N, K) and total variance of a gradient over Gumbel noise,
    by quadrature.
    """
    # an Estimate, or dlogits (T, N, K) alone
    found = estimator(many, f, nodes["u"], tau=tau)
    mean, variance = moments(
        weights, found if isinstance(found, np.ndarray) else found.dlogits
    )
    return mean, variance.sum()


# %%
finer, finer_weights, _ = gumbel_nodes(logits, 372)
change_of = {}
for tau in (0.1, 1.0):
    once = mean_and_variance(dvae_np.gumbel_softmax, tau)[0]
    again = dvae_np.gumbel_softmax(
        tiled(logits, len(finer_weights)), f, finer["u"], tau=tau
    ).dlogits
    change_of[tau] = np.linalg.norm(
        moments(finer_weights, again)[0] - once
    ) / np.linalg.norm(once)
    print(f"tau = {tau}: twice as many nodes change the mean by a relative "
          f"{change_of[tau]:.0e}")  # fmt: skip


# %%
def relative_bias(mean):
    return np.linalg.norm(mean - exact.dlogits[0]) / np.linalg.norm(
        exact.dlogits
    )


print("            Gumbel-Softmax         straight-through Gumbel-Softmax")
for tau in (0.1, 0.3, 0.7, 1.0, 2.0):
    soft, hard = (
        mean_and_variance(e, tau)
        for e in (dvae_np.gumbel_softmax, dvae_np.straight_through_gumbel)
    )
    print(
        f"tau = {tau}:  bias {relative_bias(soft[0]):6.1%}, variance "
        f"{soft[1]:6.3f}    "
        f"bias {relative_bias(hard[0]):6.1%}, variance {hard[1]:6.3f}"
    )

# %% [markdown]
# For Gumbel-Softmax the temperature is a trade. At $\tau = 1$ more than a third of this gradient is missing. As $\tau$ falls, the bias goes to zero, but the variance grows. The reason: a draw has a large slope, of size $1/\tau$, if two codes are nearly tied, and this happens with a probability of order $\tau$. So the mean square is of order $\tau \cdot 1/\tau^2 = 1/\tau$.
# In the limit $\tau \to 0$ the variance therefore grows like $1/\tau$: $\tau$ times the variance tends to a constant. At the temperatures of the table it grows faster still. Check:

# %%
for tau in (0.3, 0.1, 0.05, 0.02):
    variance = mean_and_variance(dvae_np.gumbel_softmax, tau)[1]
    print(f"tau = {tau}: tau times the variance {tau * variance:.2f}")

# %% [markdown]
# ## 4 Straight-through Gumbel-Softmax
#
# Can $f$ at least be evaluated at codes? Use the hard sample forward, and the soft one backward:
#
# $$\frac{1}{\tau} \bigl(\mathrm{diag}(y) - y y^{\top}\bigr) \nabla f\bigl(\mathrm{onehot}(\arg\max y)\bigr) . \tag{7.3}$$
#
# Now the loss and the decoder's gradient are unbiased. The gradient in the logits is not: the slope of $f$ is taken at the hard code, the slope of the softmax at the soft one.

# %%
tau = 0.6
by_hand = 0
for each in softmax((logits + gumbel(u)) / tau)[0][:, 0, 0]:  # (K,)
    hard = np.eye(K)[each.argmax()][None, None, None]  # (1, 1, 1, K)
    slope = complex_step(lambda a: f(a["z"])[0].sum(), {"z": hard})["z"][
        0, 0, 0
    ]
    by_hand = by_hand + (
        np.diag(each) - np.outer(each, each)
    ) @ slope / tau / len(u)
confirm(
    "7.3",
    dvae_np.straight_through_gumbel(logits, f, u, tau=tau).dlogits[0, 0],
    by_hand,
)
show(dvae_np.straight_through_gumbel)

# %% [markdown]
# The table above shows the bias. For this $f$, of degree 3, it does not vanish as $\tau \to 0$. Near $\tau = 0.7$ it is small by chance: its component along the gradient changes sign at
# about {{crossing:.2f}}.
#
# For a *quadratic* $f$ the bias does vanish as $\tau \to 0$. Why? At small $\tau$ the Jacobian $(\mathrm{diag}(y) - y y^{\top}) / \tau$ is nearly 0, unless two entries of $y$ are close. So a gradient comes only
# from noise that is nearly a tie of two codes. Near the tie both win equally often, so the slopes at both codes are averaged. This is the *trapezoidal rule* for the difference of $f$ between the two codes (lesson 08, section 2, explains the rule).
# It is exact for quadratic $f$. Lesson 08 also derives ReinMax, an estimator that has the same mean without the limit.

# %%
quadratic = polynomial(
    np.random.default_rng(5).standard_normal((2, 1, K)), 2
)
for tau in (1.0, 0.3, 0.1):
    right = dvae_np.exact(logits, quadratic).dlogits[0]
    mean, _ = moments(
        weights,
        dvae_np.straight_through_gumbel(
            many, quadratic, nodes["u"], tau=tau
        ).dlogits,
    )
    off = np.linalg.norm(mean - right) / np.linalg.norm(right)
    print(f"tau = {tau}: bias for a quadratic f {off:.2%}")

# %% [markdown]
# And here is the temperature at which the bias of our cubic $f$ changes its sign along the gradient:


# %%
def bias_along(tau):
    """The bias along the exact gradient, relative to it."""
    mean, _ = mean_and_variance(dvae_np.straight_through_gumbel, tau)
    right = exact.dlogits[0]
    return ((mean - right) * right).sum() / (right**2).sum()


low, high = 0.6, 0.9
for _ in range(20):  # halve the interval in which the sign changes
    crossing = (low + high) / 2
    same = bias_along(crossing) * bias_along(low) > 0
    low, high = (crossing, high) if same else (low, crossing)
print(f"the bias along the gradient is zero at tau = {crossing:.2f}")

# %% [markdown]
# The picture shows the trade, exactly: relative bias (left) and variance (right). The crosses are leave-one-out REINFORCE with
# two samples, which has no bias and takes two evaluations of $f$ instead of one. Below $\tau \approx {{equal_variance:.2f}}$ Gumbel-Softmax has a bias *and* more
# variance than that. At $\tau = 1$ it has {{mean_and_variance(dvae_np.gumbel_softmax, 1.0)[1] / loo_variance:.2f}} of its variance.

# %%
pair, pair_weights = every_code(logits, 2)
loo = dvae_np.reinforce_loo(
    tiled(logits, len(pair_weights)), f, pair
).dlogits
loo_variance = moments(pair_weights, loo)[1].sum()
low, high = 0.2, 0.6
for _ in range(20):
    equal_variance = (low + high) / 2
    more = (
        mean_and_variance(dvae_np.gumbel_softmax, equal_variance)[1]
        > loo_variance
    )
    low, high = (equal_variance, high) if more else (low, equal_variance)
print(
    f"leave-one-out with S = 2: variance {loo_variance:.3f}; "
    f"Gumbel-Softmax has as much at tau = {equal_variance:.3f}"
)
figure("temperature.png")

# %% [markdown]
# **How do I choose $\tau$?** No formula tells. Train with a few values, such as $0.2$, $0.5$ and $1$, and keep the one with the best validation loss *of real codes* (section 6 says why). Samples
# reduce the variance but not the bias, so with more samples a lower $\tau$ pays. Lesson 14 measures what tuning is worth.
#
# ## 5 The density of a soft sample
#
# Section 6 asks which KL belongs to a relaxed model, and a KL is a mean of *log densities*. So we need the density of $y$. (At a first reading, skip to the result, [Eq. 7.4]. Section 6 uses nothing else.)
#
# Write $h_k = \ell_k + G_k$ for the perturbed logits. A Gumbel variable has the density $e^{-\eta} e^{-e^{-\eta}}$ at $\eta$, so
#
# $$p(h) = \prod_k e^{\ell_k - h_k} \exp\bigl(-e^{\ell_k - h_k}\bigr) .$$
#
# Let $\xi = \log y$, so $\xi_k = h_k / \tau - \log \sum_j e^{h_j / \tau}$. As $y$ sums to one, only $K - 1$ coordinates are free. Take the log-ratios
# $a_k = \xi_k - \xi_K$. Then $h_k = \tau a_k + m$ with $m = h_K$ and $a_K = 0$. The change from $h$ to $(a_1, \ldots, a_{K-1}, m)$ has the
# determinant $\tau^{K-1}$. With $r_k = e^{\ell_k - \tau a_k}$,
#
# $$p(a, m) = \tau^{K-1} \prod_k r_k e^{-m} \exp\bigl(-r_k e^{-m}\bigr) = \tau^{K-1} \Bigl(\prod_k r_k\Bigr)\, e^{-K m} \exp\Bigl(-e^{-m} \sum_k r_k\Bigr) .$$
#
# Integrate over $m$, with $t = e^{-m}$, $r_+ = \sum_k r_k$ and the gamma function $\Gamma$:
#
# $$\int e^{-K m} e^{-r_+ e^{-m}}\, dm = \int_0^{\infty} t^{K - 1} e^{-r_+ t}\, dt = \Gamma(K) / r_+^K .$$
#
# This is the density of $a$. May $\xi$ take the place of $a$ in $r_k$? For all $k$, $\xi_k = a_k + \xi_K$: the two differ by one number. Adding it multiplies each $r_k$ by $e^{-\tau \xi_K}$, and so both $\prod_k r_k$ and $r_+^K$ by $e^{-K \tau \xi_K}$. This factor cancels in the quotient. Hence
#
# $$\log p(\xi) = \log \Gamma(K) + (K - 1) \log \tau + \sum_k (\ell_k - \tau \xi_k) - K \log \sum_k e^{\ell_k - \tau \xi_k} . \tag{7.4}$$
#
# This is a density *in the log-ratios*. For a density on the simplex itself, differentiate $a_k = \log y_k - \log y_K$ with $y_K = 1 - \sum_{k<K} y_k$. The matrix of the derivatives is $\mathrm{diag}(1/y_1, \ldots, 1/y_{K-1})$ plus $1/y_K$ in every entry. Its determinant is
# $\prod_{k<K} \frac{1}{y_k} \cdot \bigl(1 + \sum_{k<K} y_k / y_K\bigr) = \prod_{k \le K} \frac{1}{y_k}$. So multiply the density by it: add $-\sum_k \xi_k$ to [Eq. 7.4]. The library keeps $\xi$, because $y$ underflows
# at low temperatures. Check: on a grid of log-ratios, the density must integrate to 1, and give the same mean squares of $y$ as the noise.

# %%
tau = 0.7
# (T, 1, 1, K), the area of a cell
xi, area = log_ratio_grid(K, 60 / tau, 241)
r = np.exp(logits[0, 0] - tau * xi[:, 0, 0])  # (T, K)
by_hand = 2 * tau**2 * r.prod(-1) / r.sum(-1) ** 3  # K = 3: Gamma(3) = 2
density = np.exp(concrete_log_prob(logits, xi, tau)[0][:, 0])  # (T,)
confirm("7.4", by_hand, density)
y = softmax((many + gumbel(nodes["u"])) / tau)[0][0, :, 0]  # (nodes, K)
confirm("7.4", area * density.sum(), 1.0)
confirm(
    "7.4",
    area * density @ np.exp(xi[:, 0, 0]) ** 2,
    weights @ y**2,
    tolerance=1e-8,
)
show(concrete_log_prob)

# %% [markdown]
# (May be skipped at a first reading.) When do samples crowd at the corners? For $\tau \le 1 / (K - 1)$ the log density on the simplex is convex (Maddison et al. 2017). So it has no peak inside: for $K = 3$ and $\tau \le 1/2$ no soft $y$ is a mode. Check: under a convex function, the value at
# the middle of a segment is never above the mean of the values at its ends. We count the random segments where it is above:


# %%
def on_simplex(xi, tau):
    """The log density of y itself, at xi = log y (T, 1, 1, K)."""
    return concrete_log_prob(logits, xi, tau)[0][:, 0] - xi.sum((1, 2, 3))


above = {}
for tau in (0.3, 0.5, 0.7, 1.0):
    one, other = np.log(rng.dirichlet(np.ones(K), (2, 20_000, 1, 1)))
    middle = np.logaddexp(one, other) - np.log(2)  # of the segment
    of_ends = (on_simplex(one, tau) + on_simplex(other, tau)) / 2
    above[tau] = np.mean(on_simplex(middle, tau) > of_ends + 1e-9)
    print(f"tau = {tau}: {above[tau]:.1%} of 20,000 segments")
assert above[0.3] == above[0.5] == 0

# %% [markdown]
# ## 6 Which KL?
#
# The negative ELBO, reconstruction plus KL, bounds $-\log p(x)$. With a relaxed sample in the decoder, three quantities go by the name of KL. With which of them is the sum still a bound? In the table, *the relaxed model* is the model with a soft $y$ in the place of the code: its latent is $y$, its prior and posterior are Concrete distributions. The analytic KL has two rows, because it is used with two reconstructions.
#
# | | what it is | with which reconstruction | a bound? |
# |---|---|---|---|
# | analytic | the KL of the codes | at codes | yes, on $-\log p(x)$ |
# | analytic | the KL of the codes | relaxed | no |
# | relaxed | the KL of the soft samples | relaxed | yes, for the relaxed model |
# | plug-in | no KL | any | no |
#
# ### The analytic KL
#
# $\mathrm{KL}(q \,\Vert\, p)$ of the categoricals [Eq. 3.3] is exact, without noise. But it belongs to codes, and $\mathbb{E}[f(y)]$ does not. Their sum is
# *no* bound. To see it, take our $f$ as a reconstruction, $-\log p(x \mid z)$.

# %%
discrete = dvae_np.kl(logits)[0][0]
# of every code, each with p(z) = 1 / K
values = f(np.arange(K)[:, None, None])[0][:, 0]
evidence = -np.log(np.exp(-values).mean())
print(
    f"-log p(x) {evidence:.3f}, exact negative ELBO "
    f"{exact.value[0] + discrete:.3f} nats"
)
relaxed_at = {
    each: weights
    @ dvae_np.gumbel_softmax(many, f, nodes["u"], tau=each).value
    for each in np.arange(0.5, 6, 0.25)
}
lowest_at = min(relaxed_at, key=relaxed_at.get)
for temperature in (0.5, 1.5, lowest_at):
    print(
        "relaxed reconstruction + analytic KL at tau = "
        f"{temperature:.2f}: {relaxed_at[temperature] + discrete:.3f} nats"
    )

# %% [markdown]
# $-\log p(x)$ is {{evidence:.3f}} nats, and the exact negative ELBO is above it, at {{exact.value[0] + discrete:.3f}}. But the relaxed reconstruction plus the analytic KL is {{relaxed_at[1.5] + discrete:.3f}} at $\tau = 1.5$, *below* $-\log p(x)$, and least near $\tau = {{lowest_at:.1f}}$. No model can be that good.
# This sum may be a training loss, but never a reported result. Report the ELBO of real codes.
#
# ### The relaxed KL
#
# The relaxed model has a prior $p_{\tau}$ and a posterior $q_{\tau}$ on soft $y$, both Concrete [Eq. 7.4]. With their KL the sum bounds the relaxed
# model's $-\log p(x)$. This KL is never below the discrete one. For $y$ determines its code $z$, the place of its largest entry, so $q_{\tau}(y) = q(z)\, q_{\tau}(y \mid z)$, and likewise for $p$. The log-ratio is a sum, and its mean is the *chain rule* of the KL, written here with the variable alone:
#
# $$\mathrm{KL}(y) = \mathrm{KL}(z) + \mathbb{E}_z\bigl[\mathrm{KL}(y \mid z)\bigr] \ge \mathrm{KL}(z) ,$$
#
# since no KL is negative. In our letters:
#
# $$\mathbb{E}[\log q_{\tau}(y) - \log p_{\tau}(y)] \ge \mathrm{KL}(q \,\Vert\, p) . \tag{7.5}$$
#
# If both share $\tau$, this KL does not depend on it. At the sample, $\tau \xi_k$ is $\ell_k + G_k$ minus a constant. Insert this in [Eq. 7.4] for posterior and
# prior (with logits $\ell^p$). All constants cancel. For every single draw of the noise, without $\tau$,
#
# $$\log q_{\tau} - \log p_{\tau} = \sum_k (\ell_k - \ell^p_k) - K \log \sum_k e^{-G_k} + K \log \sum_k e^{\ell^p_k - \ell_k - G_k} .$$

# %%
flat = np.zeros_like(logits)  # the uniform prior
tau = 0.7
logq, logp = (
    concrete_log_prob(each, xi, tau)[0][:, 0] for each in (logits, flat)
)
print("the left side of Eq. 7.5, from noise and from the density:")
for temperature in (0.3, 2.0):
    ratio = relaxed_kl(many, nodes["u"], temperature)[0][0]  # (T,)
    confirm("7.5", weights @ ratio, area * density @ (logq - logp), 1e-8)
q = softmax(logits)[0][0, 0]
given = np.array(  # KL(y|z) for each z: the rest of the mean log-ratio
    [weights[won] @ ratio[won] / weights[won].sum() - np.log(K * q[k])
     for k, won in enumerate(nodes["z"][0, :, 0] == np.arange(K)[:, None])]
)  # fmt: skip
print("KL(y|z) for each code z:", given.round(4), "none is negative")
print("the chain rule, KL(y) = KL(z) + E KL(y|z):")
confirm("7.5", weights @ ratio, discrete + q @ given)
print(f"the inequality: {weights @ ratio:.4f} >= {discrete:.4f} nats")

# %% [markdown]
# ### The plug-in
#
# The third is the discrete formula at a soft sample,
#
# $$\sum_k y_k \log (q_k / p_k) . \tag{7.6}$$
#
# This is *no KL of anything*. As $\tau \to 0$ its mean is the KL. As $\tau$ grows, $y$ becomes uniform, and the mean tends to $\frac{1}{K} \sum_k \log (q_k / p_k)$. For a uniform prior that is
# $-\mathrm{KL}(p \,\Vert\, q)$. A negative penalty rewards the encoder for leaving the prior.

# %%
# (T,)
plug_in = np.exp(xi[:, 0, 0]) @ (log_softmax(logits)[0][0, 0] + np.log(K))
confirm(
    "7.6",
    weights @ plug_in_kl(many, nodes["u"], tau)[0][0],
    area * density @ plug_in,
    1e-8,
)
for temperature in (0.1, 0.7, 1.5, 2.0):
    print(
        f"plug-in at tau = {temperature}: "
        f"{weights @ plug_in_kl(many, nodes['u'], temperature)[0][0]:+.4f} "
        "nats"
    )
show(relaxed_kl, plug_in_kl)
figure("three_kls.png")

# %% [markdown]
# Left: the plug-in's mean falls below the KL and, between $\tau = 1.5$ and 2, below zero. Right: relaxed reconstruction plus analytic KL falls below $-\log p(x)$.
#
# ## 7 What it buys
#
# We train the model of lesson 00 by Gumbel-Softmax. The decoder now gets a soft code, and paints a *mixture* of the rows of its table:
#
# ```python
# y = softmax((logits + G) / tau)  # (S, B, K)
# pixels = y @ A  # was A[z]
# ```
#
# The reconstruction's part of `dlogits` is [Eq. 7.2], averaged over four draws of the noise. The KL's part stays exact, the analytic one. The test loss is that of real codes.

# %%
from dvae_np import records
from dvae_np.experiments.first_model import taught
from dvae_np.figures import first_models

first = records.read("first-model")
figure(
    first_models,
    first,
    taught(7),
    size=(7.4, 3.4),
    alt="Test loss against steps: Gumbel-Softmax falls as leave-one-out "
    "does, and ends at or a little below the exact gradient.",
)
ends = {
    name: [curve[-1] for curve in found["test"]]
    for name, found in first["estimators"].items()
}

# %% [markdown]
# Gumbel-Softmax ends at {{np.median(ends["gumbel_softmax"]):.1f}} nats (three seeds: {{min(ends["gumbel_softmax"]):.1f}} to {{max(ends["gumbel_softmax"]):.1f}}), leave-one-out at {{np.median(ends["reinforce_loo"]):.1f}}, and the exact gradient at {{np.median(ends["exact"]):.1f}} ({{min(ends["exact"]):.1f}} to {{max(ends["exact"]):.1f}}). Validation chose $\tau = {{first["estimators"]["gumbel_softmax"]["tau"]:.1f}}$ out of $0.2$, $0.5$ and $1$.
# Do not read much into the order of these three. With three seeds, differences of a few tenths of a nat are chance; the runs end with different codes in use.
#
# ## 8 Break it
#
# The classic: a backward pass without $1/\tau$. At fixed noise the complex step says by which factor it is wrong. Training hides it: only the
# reconstruction's part is too small, the KL's is right, so the mistake acts like another $\beta$.


# %%
def without_tau(logits, f, u, tau):
    """A bug: the gradient stops at (logits + G) / tau."""
    y, softmax_backward = softmax((logits + gumbel(u)) / tau)
    fz, f_backward = f(y)
    return softmax_backward(
        f_backward(np.full_like(fz, 1 / len(u)))[0]
    ).sum(0)


verdict = comparison(
    "dlogits",
    without_tau(logits, f, u, 0.6),
    numeric["logits"],
    sizes={"tau": 0.6},
)
print(textwrap.fill(str(verdict), 80))

# %% [markdown]
# ## Reading
#
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-softmax*, 2017: the estimator, and its straight-through form.
# - C. J. Maddison, A. Mnih, Y. W. Teh, *The Concrete distribution*, 2017: the same, with the density and the relaxed bound.
# - E. J. Gumbel, *Statistical theory of extreme values and some practical applications*, 1954: the noise.
# - M. B. Paulus, D. Choi, D. Tarlow, A. Krause, C. J. Maddison, *Gradient estimation with stochastic softmax tricks*, 2020: beyond one-hot codes.
#
# Next: [08 Straight-through](08_straight_through.ipynb), where the noise goes and an order of exactness comes in.

# %% [markdown] exercise 07.1: 2 points
# ## 07.1 Implement: the relaxed sample as an op
#
# Write `my_relaxed(logits, u, tau)` for `logits` (B, N, K), uniforms `u` (S, B, N, K) and a number `tau`. Return `y, backward`, with `y` (S, B, N, K) of [Eq. 7.1].
# `backward(dy)` returns `(dlogits, None, None)`, one entry for each input, or `dlogits` alone: both are accepted. `dlogits` (B, N, K) is summed over the samples [Eq. 7.2]. You may use `gumbel(u)`, and `softmax` for the value, but not
# the backward of `softmax`. About 5 lines.


# %% solution 07.1
def my_relaxed(logits, u, tau):
    """Gumbel-Softmax samples, and the way back to the logits."""
    ### BEGIN SOLUTION
    y, _ = softmax((logits + gumbel(u)) / tau)

    def backward(dy):
        return (
            (y * (dy - (y * dy).sum(-1, keepdims=True))).sum(0) / tau,
            None,
            None,
        )

    return y, backward
    ### END SOLUTION


# %% check 07.1
from dvae_np.lesson import judge

judge("07.1", my_relaxed)


# %% right 07.1
def my_relaxed(logits, u, tau):
    from scipy.special import softmax as probabilities

    y = probabilities((logits - np.log(-np.log(u))) / tau, axis=-1)

    def backward(dy):
        da = y * dy
        return (
            np.einsum(
                "sbnk->bnk", da - y * np.einsum("sbnk->sbn", da)[..., None]
            )
            / tau,
            None,
            None,
        )

    return y, backward


# %% wrong 07.1: tau divides the noise too
def my_relaxed(logits, u, tau):
    y, _ = softmax(logits / tau + gumbel(u))
    return y, lambda dy: (
        (y * (dy - (y * dy).sum(-1, keepdims=True))).sum(0) / tau,
        None,
        None,
    )


# %% wrong 07.1: with 1 - u in the place of u
def my_relaxed(logits, u, tau):
    y, _ = softmax((logits - np.log(-np.log(1 - u))) / tau)
    return y, lambda dy: (
        (y * (dy - (y * dy).sum(-1, keepdims=True))).sum(0) / tau,
        None,
        None,
    )


# %% wrong 07.1: without the factor 1/tau
def my_relaxed(logits, u, tau):
    y, _ = softmax((logits + gumbel(u)) / tau)
    return y, lambda dy: (
        (y * (dy - (y * dy).sum(-1, keepdims=True))).sum(0),
        None,
        None,
    )


# %% wrong 07.1: the second term of the softmax Jacobian is missing
def my_relaxed(logits, u, tau):
    y, _ = softmax((logits + gumbel(u)) / tau)
    return y, lambda dy: ((y * dy).sum(0) / tau, None, None)


# %% [markdown] exercise 07.2: 2 points
# ## 07.2 Implement: straight-through Gumbel-Softmax
#
# Write `my_hard(logits, f, u, tau)` for `logits` (B, N, K) and uniforms `u` (S, B, N, K). Return the gradient (B, N, K) of [Eq. 7.3], averaged over the samples. `f(y)` takes
# floats (S, B, N, K) and returns `fz` (S, B) and `f_backward`. `f_backward(dfz)` returns `(dy, dtheta)`. `one_hot(z, logits.shape[-1], float)` turns codes into floats. About 6 lines. On the
# lesson's problem at $\tau = 0.5$ its exact variance should be about {{mean_and_variance(my_hard, 0.5)[1]:.2f}}.


# %% solution 07.2
def my_hard(logits, f, u, tau):
    """f's slope at the code, through the Jacobian of the soft sample."""
    ### BEGIN SOLUTION
    y, softmax_backward = softmax((logits + gumbel(u)) / tau)
    fz, f_backward = f(one_hot(y.argmax(-1), logits.shape[-1], float))
    dz, _ = f_backward(np.full_like(fz, 1 / len(u)))
    return softmax_backward(dz).sum(0) / tau
    ### END SOLUTION


# %% check 07.2
from dvae_np.lesson import judge

judge("07.2", my_hard)


# %% right 07.2
def my_hard(logits, f, u, tau):
    gradient = np.zeros(logits.shape)
    for each in u:
        y = np.exp((logits + gumbel(each)) / tau)
        y = y / y.sum(-1, keepdims=True)
        hard = np.eye(logits.shape[-1], dtype=logits.dtype)[
            np.argmax(logits + gumbel(each), -1)
        ][None]
        slope = f(hard)[1](np.ones((1, len(logits)), logits.dtype))[0][0]
        gradient += y * (slope - (y * slope).sum(-1, keepdims=True)) / tau
    return gradient / len(u)


# %% wrong 07.2: taken at the soft y
def my_hard(logits, f, u, tau):
    y, softmax_backward = softmax((logits + gumbel(u)) / tau)
    fz, f_backward = f(y)
    return (
        softmax_backward(f_backward(np.full_like(fz, 1 / len(u)))[0]).sum(0)
        / tau
    )


# %% wrong 07.2: the Jacobian of a one-hot, which is zero
def my_hard(logits, f, u, tau):
    y = softmax((logits + gumbel(u)) / tau)[0]
    hard = one_hot(y.argmax(-1), logits.shape[-1], float)
    fz, f_backward = f(hard)
    dz, _ = f_backward(np.full_like(fz, 1 / len(u)))
    return (hard * (dz - (hard * dz).sum(-1, keepdims=True))).sum(0) / tau


# %% wrong 07.2: the Jacobian belongs at the perturbed logits
def my_hard(logits, f, u, tau):
    fz, f_backward = f(
        one_hot(gumbel_max(logits, u), logits.shape[-1], float)
    )
    dz, _ = f_backward(np.full_like(fz, 1 / len(u)))
    return softmax(logits / tau)[1](dz.sum(0)) / tau


# %% wrong 07.2: without the factor 1/tau
def my_hard(logits, f, u, tau):
    y, softmax_backward = softmax((logits + gumbel(u)) / tau)
    fz, f_backward = f(one_hot(y.argmax(-1), logits.shape[-1], float))
    return softmax_backward(
        f_backward(np.full_like(fz, 1 / len(u)))[0]
    ).sum(0)


# %% [markdown] exercise 07.3: 2 points
# ## 07.3 Derive: two categories
#
# For $K = 2$ there is one log-ratio, $a = \log (y_1 / y_2)$. Show that $\tau a$ is a logistic variable around $\ell_1 - \ell_2$, and write the log density of $a$,
# `log_density(a, l, tau)`, for `a` (T,) and the logits `l` (2,). Return (T,). A logistic variable around 0 has the density $e^{-t} / (1 + e^{-t})^2$. About 2 lines. At $a = 0$, $\ell = (0, 0)$ and $\tau = 1/2$ you
# should get $-\log 8 \approx -2.079$.


# %% solution 07.3
def log_density(a, l, tau):
    """The log density of the log-ratio of two relaxed categories."""
    ### BEGIN SOLUTION
    t = tau * a - (l[0] - l[1])
    return np.log(tau) - t - 2 * np.log1p(np.exp(-t))
    ### END SOLUTION


# %% check 07.3
from dvae_np.lesson import judge

judge("07.3", log_density)


# %% right 07.3
def log_density(a, l, tau):
    from scipy.stats import logistic

    return logistic.logpdf(tau * a, loc=l[0] - l[1]) + np.log(tau)


# %% wrong 07.3: a density changes with its variable
def log_density(a, l, tau):
    t = tau * a - (l[0] - l[1])
    return -t - 2 * np.log1p(np.exp(-t))


# %% wrong 07.3: take its logarithm
def log_density(a, l, tau):
    t = tau * a - (l[0] - l[1])
    return tau * np.exp(-t) / (1 + np.exp(-t)) ** 2


# %% wrong 07.3: exchange the logits
def log_density(a, l, tau):
    t = tau * a + (l[0] - l[1])
    return np.log(tau) - t - 2 * np.log1p(np.exp(-t))


# %% [markdown] exercise 07.4: 3 points
# ## 07.4 Find the bug: a KL below zero
#
# A training script reports its KL to the uniform prior, at relaxed samples. At $\tau = 2$ it reports {{weights @ plug_in_kl(many, nodes['u'], 2.0)[0][0]:.4f}} nats on average, but no KL is negative. Change the code into an unbiased estimate of the
# relaxed KL. It takes `logits` (B, N, K) and `u` (S, B, N, K), and returns (S, B). You have `concrete_log_prob(logits, xi, tau)[0]`, which is (S, B). Two lines change. On the lesson's problem its mean should be about {{weights @ kl_estimate(many, nodes['u'], 2.0)[0]:.4f}}.
#
# ```python
# logq, _ = log_softmax(logits)
# return (np.exp(xi) * (logq + np.log(logits.shape[-1]))).sum((-1, -2))
# ```


# %% solution 07.4
def kl_estimate(logits, u, tau):
    """The KL of the relaxed posterior from the relaxed uniform prior, at
    each sample.
    """
    xi, _ = log_softmax((logits + gumbel(u)) / tau)  # log y, (S, B, N, K)
    ### BEGIN SOLUTION
    posterior = concrete_log_prob(logits, xi, tau)[0]
    return posterior - concrete_log_prob(np.zeros_like(logits), xi, tau)[0]
    ### END SOLUTION


# %% check 07.4
from dvae_np.lesson import judge

judge("07.4", kl_estimate)


# %% right 07.4
def kl_estimate(logits, u, tau):
    K, G = logits.shape[-1], gumbel(u)
    # no tau is left
    each = logits.sum(-1) + K * (
        np.log(np.exp(-logits - G).sum(-1)) - np.log(np.exp(-G).sum(-1))
    )
    return each.sum(-1)


# %% wrong 07.4: a discrete formula at a soft sample
def kl_estimate(logits, u, tau):
    xi, _ = log_softmax((logits + gumbel(u)) / tau)
    logq, _ = log_softmax(logits)
    return (np.exp(xi) * (logq + np.log(logits.shape[-1]))).sum((-1, -2))


# %% wrong 07.4: with y in the place of xi
def kl_estimate(logits, u, tau):
    y, _ = softmax((logits + gumbel(u)) / tau)
    posterior = concrete_log_prob(logits, y, tau)[0]
    return posterior - concrete_log_prob(np.zeros_like(logits), y, tau)[0]


# %% wrong 07.4: flipped sign
def kl_estimate(logits, u, tau):
    xi, _ = log_softmax((logits + gumbel(u)) / tau)
    return (
        concrete_log_prob(np.zeros_like(logits), xi, tau)[0]
        - concrete_log_prob(logits, xi, tau)[0]
    )


# %% wrong 07.4: right for codes, but this is a relaxed sample
def kl_estimate(logits, u, tau):
    return np.broadcast_to(dvae_np.kl(logits)[0], u.shape[:2])


# %% wrong 07.2: is wrong at S = 3
def my_hard(logits, f, u, tau):
    y, softmax_backward = softmax((logits + gumbel(u)) / 0.5)
    fz, f_backward = f(one_hot(y.argmax(-1), logits.shape[-1], float))
    return (
        softmax_backward(f_backward(np.full_like(fz, 1 / len(u)))[0]).sum(0)
        / 0.5
    )


# %% wrong 07.4: is wrong at S = 5
def kl_estimate(logits, u, tau):
    xi, _ = log_softmax((logits + gumbel(u)) / tau)
    return concrete_log_prob(logits, xi, tau)[0]


# %% [markdown] written 07.W: 3 points
# ## 07.W In words: a temperature for every number of samples
#
# Section 4 says: *with more samples a lower $\tau$ pays*. How much lower? Suppose that for small $\tau$ the bias of Gumbel-Softmax has the length $a \tau$,
# and one sample has the variance $b / \tau$, with two positive numbers $a$ and $b$. The expected squared distance of the mean of $S$ samples from the exact
# gradient is the squared bias plus the variance of the mean.
#
# (a) Find the best $\tau$ for $S$ samples, and the expected squared distance there. By how much must $S$ grow to halve the distance (not its square)? And how
# is this for an estimator without bias?
#
# (b) A student tunes $\tau$ for $S = 1$, and keeps it for $S = 100$. By which factor is the squared distance larger than it would be with the best $\tau$ for
# $S = 100$?
#
# (c) *Gumbel-Softmax with a tuned temperature beats leave-one-out at every $S$.* Is this possible for large $S$? Half a page in all.

# %% [markdown] model 07.W
# (a) The squared distance is $a^2 \tau^2 + \frac{b}{S \tau}$. Its derivative, $2 a^2 \tau - \frac{b}{S \tau^2}$, is zero at $\tau^3 = \frac{b}{2 a^2 S}$.
# There the second term is $2 a^2 \tau^2$, so the sum is $3 a^2 \tau^2$. The distance is in proportion to $\tau$, and so to $S^{-1/3}$. To halve it takes 8
# times the samples. Without bias the distance is in proportion to $S^{-1/2}$, and 4 times are enough.
#
# (b) Let $\tau_1$ be the best temperature for one sample, so $b = 2 a^2 \tau_1^3$. With it, 100 samples have
# $a^2 \tau_1^2 + \frac{2}{100} a^2 \tau_1^2 = 1.02\, a^2 \tau_1^2$: hardly less than the bias alone. The best temperature for 100 samples gives
# $3 a^2 \tau_1^2 \cdot 100^{-2/3} = 0.14\, a^2 \tau_1^2$. The factor is about 7.
#
# (c) No. The squared distance of leave-one-out falls nearly like $1 / S$, that of Gumbel-Softmax like $S^{-2/3}$ at best. For $S$ large enough leave-one-out
# is nearer. At few samples the relaxation may win, and training mostly uses few.
#
# *Marks:* 1 for the best $\tau$ and its squared distance; 1 for the factors 8 and 4, and for (b); 1 for (c).
