# %% [markdown]
# # 07 Gumbel-Softmax
#
# **Question.** A hard code has no slope. What if a smooth vector stands in for it: close to one-hot, random as before, and
# differentiable? What does the temperature buy, what does it cost, and which KL belongs to it?
#
# **After this lesson you can**
# - write the relaxed sample and its backward pass, and prove the latter at fixed noise,
# - measure bias and variance against the temperature without drawing a sample,
# - say what straight-through Gumbel-Softmax changes, and what it does not mend,
# - derive the Concrete density, and tell three things apart that are all called KL.
#
# *Needs:* lessons 02, 03 and 05. *Takes:* an hour to read and run, an hour for the exercises. Everything is in nats.

# %% setup
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
from dvae_np.figures.lesson_07 import log_ratio_grid, simplex
from dvae_np.lesson import confirm, figure, interactive, show

rng = np.random.default_rng(0)
K = 3
# (B, N, K): one example, one latent
logits = rng.standard_normal((1, 1, K))
# smooth in y, of degree 3
f = polynomial(rng.standard_normal((2, 1, K)), 3)
exact = dvae_np.exact(logits, f)
u = rng.random((4, 1, 1, K))  # (S, B, N, K)

# %% [markdown]
# ## 1 A soft one-hot
#
# Lesson 02 draws a code as $z = \arg\max_k (\ell_k + G_k)$ with Gumbel noise $G$ [Eq. 2.8]. All of the randomness is in $G$, none in $\ell$: if
# the argmax had a slope we could differentiate through it. The softmax is an argmax with a slope. At a temperature $\tau > 0$,
#
# $$y = \mathrm{softmax}\bigl((\ell + G) / \tau\bigr) . \tag{7.1}$$
#
# The largest entry of $y$ is at the code that lesson 02 would have drawn, whatever $\tau$. Divide by $e^{(\ell_z + G_z)/\tau}$: each other entry is
# at most $e^{-\Delta_k / \tau}$, with $\Delta_k$ its distance from the winner, so $y \to \mathrm{onehot}(z)$ as $\tau \to 0$. As $\tau \to \infty$ it goes to $1/K$.

# %%
show(dvae_np.gumbel_softmax, dvae_np.Independent.relaxed_codes)

# %%
tau = 0.6
perturbed = logits - np.log(-np.log(u))  # (S, B, N, K)
y = np.exp(perturbed / tau) / np.exp(perturbed / tau).sum(-1, keepdims=True)
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
for temperature in (2.0, 0.6, 0.1):
    print(
        f"tau = {temperature}:",
        softmax((logits + gumbel(u)) / temperature)[0][0, 0, 0].round(4),
    )
print("the code: ", gumbel_max(logits, u)[0, 0])

# %% [markdown]
# Move the temperature and see where the samples lie. Each dot is a $y$ on the triangle of three probabilities; its corners are the codes.
# (In this kept page the slider stands at its middle.)

# %%
interactive(simplex, tau=[0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0])

# %% [markdown]
# ## 2 Its backward pass
#
# Hold the noise. Then $y$ is a smooth function of $\ell$. With $a = (\ell + G) / \tau$, the softmax has the Jacobian $\mathrm{diag}(y) - y y^{\top}$ [Eq. 2.2], and
# $\partial a / \partial \ell = 1 / \tau$. By the chain rule
#
# $$\nabla_{\ell} f(y) = \frac{1}{\tau} \bigl(\mathrm{diag}(y) - y y^{\top}\bigr) \nabla f(y) . \tag{7.2}$$
#
# The factor $1/\tau$ is the one that gets lost. The complex step at fixed noise sees it.

# %%
numeric = complex_step(
    lambda a: dvae_np.gumbel_softmax(
        a["logits"], f, u, tau=tau
    ).value.sum(),
    {"logits": logits},
)
confirm(
    "7.2",
    dvae_np.gumbel_softmax(logits, f, u, tau=tau).dlogits,
    numeric["logits"],
)

# %% [markdown]
# So [Eq. 7.2] is an unbiased gradient of $\mathbb{E}[f(y)]$. But we want that of $\mathbb{E}[f(z)]$. They differ, since $f$ at
# a soft $y$ is not $f$ at a code. It needs more of $f$ than REINFORCE does: $f$ must take soft inputs, and have a slope there.
#
# ## 3 Bias and variance against temperature
#
# How large is the difference? Gumbel noise has no list of outcomes, but it has a density, and means are integrals. All that counts is which category wins and
# by how much: $K - 1$ differences, for each winner. `gumbel_nodes` puts a grid on them, with weights, so that `moments` of lesson 05 integrates. How many digits are right depends on $\tau$: the smaller it is, the steeper
# the integrand. Twice as many nodes change the mean of Gumbel-Softmax by {{change_of[1.0]:.0e}} at $\tau = 1$ and by {{change_of[0.1]:.0e}} at $\tau = 0.1$, relative to it.


# %% setup
nodes, weights, _ = gumbel_nodes(logits, 186)  # {"z", "u", "v"}, (T,)
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
print(
    "change by twice the nodes:",
    {tau: f"{change:.0e}" for tau, change in change_of.items()},
)


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
# For Gumbel-Softmax it is a trade: as $\tau$ falls the bias goes to zero, and the variance grows like $1/\tau$, since rare draws near
# a tie carry slopes of size $1/\tau$. No temperature gives both. At $\tau = 1$ more than a third of this gradient is missing.

# %% [markdown]
# ## 4 Straight-through Gumbel-Softmax
#
# Can $f$ at least be evaluated at codes? Take the hard sample forward, and pretend backward that it was the soft one:
#
# $$\frac{1}{\tau} \bigl(\mathrm{diag}(y) - y y^{\top}\bigr) \nabla f\bigl(\mathrm{onehot}(\arg\max y)\bigr) . \tag{7.3}$$
#
# The value is now that of real codes, so the loss and the decoder's gradient are unbiased. The gradient in the logits is of
# no objective that anyone wrote down: $f$'s slope is taken at the hard code, the softmax's slope at the soft one. The table above shows what that means. For
# this $f$, of degree 3, the bias does not vanish as $\tau \to 0$. It happens to be small near $\tau = 0.7$, as it changes sign along the gradient at
# about {{crossing:.2f}}; that is this $f$, not a rule. For a *quadratic* $f$ it does vanish, as the cell below shows. For small $\tau$ a gradient comes only
# from noise that lies between two codes, and both ends of that edge are met equally often. So the slopes of both ends are averaged: the trapezoidal rule,
# exact for quadratic $f$, and the mean of ReinMax in lesson 08.

# %%
show(dvae_np.straight_through_gumbel)

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


def bias_along(tau, f=f):
    """The bias of straight-through Gumbel-Softmax along the exact gradient,
    relative to it.
    """
    right = dvae_np.exact(logits, f).dlogits[0]
    mean, _ = moments(
        weights,
        dvae_np.straight_through_gumbel(
            many, f, nodes["u"], tau=tau
        ).dlogits,
    )
    return ((mean - right) * right).sum() / (
        right**2
    ).sum(), np.linalg.norm(mean - right) / np.linalg.norm(right)


# where the bias of our cubic f changes its sign along the gradient
low, high = 0.6, 0.9
for _ in range(20):
    crossing = (low + high) / 2
    low, high = (
        (crossing, high)
        if bias_along(crossing)[0] * bias_along(low)[0] > 0
        else (low, crossing)
    )
quadratic = polynomial(
    np.random.default_rng(5).standard_normal((2, 1, K)), 2
)
for temperature in (1.0, 0.3, 0.1):
    print(f"tau = {temperature}: bias for a quadratic f "
          f"{bias_along(temperature, quadratic)[1]:.2%}, "
          f"for our cubic f {bias_along(temperature)[1]:.1%}")  # fmt: skip

# %% [markdown]
# The whole trade in one picture. Left: the relative bias; right: the variance; both exact. The crosses mark leave-one-out REINFORCE with
# two samples (two evaluations of $f$, where the others take one), which has no bias. Below $\tau \approx {{equal_variance:.2f}}$ Gumbel-Softmax has a bias *and* more
# variance than that; at $\tau = 1$ it has {{mean_and_variance(dvae_np.gumbel_softmax, 1.0)[1] / loo_variance:.2f}} of it.

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
# ## 5 The density of a soft sample
#
# For the KL of a relaxed model we need the density of $y$. Write $x_k = \ell_k + G_k$. A Gumbel variable has the density $e^{-g} e^{-e^{-g}}$, so
#
# $$p(x) = \prod_k e^{\ell_k - x_k} \exp\bigl(-e^{\ell_k - x_k}\bigr) .$$
#
# Let $\xi = \log y$, that is, $\xi_k = x_k / \tau - \log \sum_j e^{x_j / \tau}$. As $y$ sums to one, it has $K - 1$ free coordinates: take the log-ratios
# $a_k = \xi_k - \xi_K$. Then $x_k = \tau a_k + c$ with $c = x_K$ and $a_K = 0$. The change from $x$ to $(a_1, \ldots, a_{K-1}, c)$ has the
# determinant $\tau^{K-1}$. With $r_k = e^{\ell_k - \tau a_k}$,
#
# $$p(a, c) = \tau^{K-1} \prod_k r_k e^{-c} \exp\bigl(-r_k e^{-c}\bigr) = \tau^{K-1} \Bigl(\prod_k r_k\Bigr)\, e^{-K c} \exp\Bigl(-e^{-c} \sum_k r_k\Bigr) .$$
#
# Integrate over $c$, with $t = e^{-c}$ and $R = \sum_k r_k$:
#
# $$\int e^{-K c} e^{-R e^{-c}}\, dc = \int_0^{\infty} t^{K - 1} e^{-R t}\, dt = \Gamma(K) / R^K .$$
#
# What is left does not change where a constant is added to all $a_k$: $\prod r_k$ gains the same factor as $R^K$. So $\xi$ may stand in $a$'s
# place, and the logarithm is
#
# $$\log p(\xi) = \log \Gamma(K) + (K - 1) \log \tau + \sum_k (\ell_k - \tau \xi_k) - K \log \sum_k e^{\ell_k - \tau \xi_k} . \tag{7.4}$$
#
# It is a density *in the log-ratios*. On the simplex itself, $dy_1 \cdots dy_{K-1} = \prod_k y_k \, da_1 \cdots da_{K-1}$, so subtract $\sum_k \xi_k$. We stay with $\xi$, as $y$ underflows to zero
# at low temperatures while its logarithm does not. Check: integrated over a grid of log-ratios, the density must give 1, and the mean squares of $y$ that the noise gives.

# %%
show(concrete_log_prob)

# %%
tau = 0.7
# (T, 1, 1, K), the area of a cell
xi, area = log_ratio_grid(K, 60 / tau, 241)
density = np.exp(concrete_log_prob(logits, xi, tau)[0][:, 0])  # (T,)
y = softmax((many + gumbel(nodes["u"])) / tau)[0][0, :, 0]  # (nodes, K)
confirm("7.4", area * density.sum(), 1.0)
confirm(
    "7.4",
    area * density @ np.exp(xi[:, 0, 0]) ** 2,
    weights @ y**2,
    tolerance=1e-8,
)

# %% [markdown]
# ## 6 Which KL?
#
# The ELBO has a KL beside the reconstruction. With a relaxed sample in the decoder, three candidates are in use.
#
# **Analytic.** $\mathrm{KL}(q \,\Vert\, p)$ of the categoricals [Eq. 3.3]: exact and without noise. But it belongs to codes, and $\mathbb{E}[f(y)]$ does not. Their sum is
# *no* bound on $-\log p(x)$. As a training loss it works; as a reported result it is wrong.
#
# **Relaxed.** The relaxed model has a prior $p_{\tau}$ and a posterior $q_{\tau}$ on soft $y$, both Concrete [Eq. 7.4]. With their KL the sum bounds the relaxed
# model's $-\log p$. It is never below the discrete one: the code is a function of $y$, so the KL of $y$ is that of the code plus the mean KL of $y$ given the code, which is not negative:
#
# $$\mathbb{E}[\log q_{\tau}(y) - \log p_{\tau}(y)] \ge \mathrm{KL}(q \,\Vert\, p) . \tag{7.5}$$
#
# And with one $\tau$ for both it does not depend on it. At the sample, $\tau \xi_k = \ell_k + G_k - c$ for some $c$. Insert this in [Eq. 7.4] for posterior and
# prior (logits $\ell^p$); the constants and $c$ cancel:
#
# $$\log q_{\tau} - \log p_{\tau} = \sum_k (\ell_k - \ell^p_k) - K \log \sum_k e^{-G_k} + K \log \sum_k e^{\ell^p_k - \ell_k - G_k} ,$$
#
# without $\tau$, for every single draw of the noise.
#
# **Plug-in.** The discrete formula at a soft sample,
#
# $$\sum_k y_k \log (q_k / p_k) , \tag{7.6}$$
#
# which is *no KL of anything*. As $\tau \to 0$ its mean is the KL. As $\tau$ grows $y$ becomes uniform, and the mean tends to $\frac{1}{K} \sum_k \log (q_k / p_k)$: for a uniform prior that is
# minus the KL the other way round. A negative penalty rewards the encoder for leaving the prior.

# %%
show(relaxed_kl, plug_in_kl)

# %%
flat = np.zeros_like(logits)  # the uniform prior
logq, logp = (
    concrete_log_prob(each, xi, tau)[0][:, 0] for each in (logits, flat)
)
for temperature in (0.3, 2.0):
    confirm(
        "7.5",
        weights @ relaxed_kl(many, nodes["u"], temperature)[0][0],
        area * density @ (logq - logp),
        1e-8,
    )
# (T,)
plug_in = np.exp(xi[:, 0, 0]) @ (log_softmax(logits)[0][0, 0] + np.log(K))
confirm(
    "7.6",
    weights @ plug_in_kl(many, nodes["u"], tau)[0][0],
    area * density @ plug_in,
    1e-8,
)

discrete = dvae_np.kl(logits)[0][0]
print(
    f"discrete KL {discrete:.4f}, relaxed "
    f"{weights @ relaxed_kl(many, nodes['u'], tau)[0][0]:.4f} nats"
)
for temperature in (0.1, 0.7, 2.0):
    print(
        f"plug-in at tau = {temperature}: "
        f"{weights @ plug_in_kl(many, nodes['u'], temperature)[0][0]:.4f} "
        "nats"
    )

# %% [markdown]
# Left: the three against the temperature. The plug-in mean falls below the KL and, between $\tau = 1.5$ and 2, below zero. Right: why the analytic KL makes no bound. Take our $f$ for a
# reconstruction, $-\log p(x \mid z)$. Then $-\log p(x)$ is {{evidence:.3f}} nats, and the exact negative ELBO is above it, at {{exact.value[0] + discrete:.3f}}. The relaxed reconstruction plus analytic KL falls as $\tau$ grows, to its least near $\tau = {{lowest_at:.1f}}$; already at $\tau = 1.5$ it is *below*
# $-\log p(x)$: {{relaxed + discrete:.3f}}. No model can be that good. So report the ELBO of real codes, whatever the training used.

# %%
# of every code, each with p(z) = 1 / K
values = f(np.arange(K)[:, None, None])[0][:, 0]
evidence = -np.log(np.exp(-values).mean())
print(
    f"-log p(x) {evidence:.3f}, exact negative ELBO "
    f"{exact.value[0] + discrete:.3f} nats"
)
for temperature in (0.5, 1.5):
    relaxed = (
        weights
        @ dvae_np.gumbel_softmax(many, f, nodes["u"], tau=temperature).value
    )
    print(
        f"relaxed reconstruction + analytic KL at tau = {temperature}: "
        f"{relaxed + discrete:.3f} nats"
    )
for temperature in (1.5, 2.0):
    print(
        f"plug-in at tau = {temperature}: "
        f"{weights @ plug_in_kl(many, nodes['u'], temperature)[0][0]:+.4f} "
        "nats"
    )

# %%
relaxed_at = {
    each: weights
    @ dvae_np.gumbel_softmax(many, f, nodes["u"], tau=each).value
    for each in np.arange(1, 6, 0.25)
}
lowest_at = min(relaxed_at, key=relaxed_at.get)
print(
    "least relaxed reconstruction + analytic KL: "
    f"{relaxed_at[lowest_at] + discrete:.3f} nats at tau = {lowest_at:.2f}"
)
figure("three_kls.png")

# %% [markdown]
# | | what it is | with which reconstruction | a bound? |
# |---|---|---|---|
# | analytic | the KL of the codes | at codes | yes, on $-\log p(x)$ |
# | analytic | the KL of the codes | relaxed | no |
# | relaxed | the KL of the soft samples | relaxed | yes, for the relaxed model |
# | plug-in | no KL | any | no |

# %% [markdown]
# ## 7 Break it
#
# The classic: a backward pass without $1/\tau$. At fixed noise the complex step says by which factor it is wrong. Training says nothing: only the
# reconstruction's part is too small, the KL's is right, and so the mistake acts like another $\beta$.


# %%
def without_tau(logits, f, u, tau):
    """A bug: the gradient stops at a = (logits + G) / tau."""
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
print(verdict)

# %% [markdown]
# ## Reading
#
# - E. Jang, S. Gu, B. Poole, *Categorical reparameterization with Gumbel-softmax*, 2017: the estimator, and its straight-through form.
# - C. J. Maddison, A. Mnih, Y. W. Teh, *The Concrete distribution*, 2017: the same, with the density and the relaxed bound.
# - E. J. Gumbel, *Statistical theory of extreme values and some practical applications*, 1954: the noise.
# - M. B. Paulus, D. Choi, D. Tarlow, A. Krause, C. J. Maddison, *Gradient estimation with stochastic softmax tricks*, 2020: beyond one-hot codes.
#
# Next: [08 Straight-through](08_straight_through.ipynb), where the noise goes and an order of exactness comes in.

# %% [markdown] exercise 07.1
# ### 07.1 Implement: the relaxed sample as an op
#
# Write `my_relaxed(logits, u, tau)`: `logits` (B, N, K), uniforms `u` (S, B, N, K), a number `tau`. Return `y, backward` with `y` (S, B, N, K) of [Eq. 7.1] and
# `backward(dy)` returning `(dlogits, None, None)`, `dlogits` (B, N, K), summed over the samples [Eq. 7.2]. You may use `gumbel(u)`, `softmax` for the value, but not
# its backward. About 5 lines.


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


# %% [markdown] exercise 07.2
# ### 07.2 Implement: straight-through Gumbel-Softmax
#
# Write `my_hard(logits, f, u, tau)`: `logits` (B, N, K), uniforms `u` (S, B, N, K); return the gradient (B, N, K) of [Eq. 7.3], averaged over the samples. `f(y)` takes
# floats (S, B, N, K) and returns `fz` (S, B) and a backward; `f_backward(dfz)` returns `(dy, dtheta)`. `one_hot(z, logits.shape[-1], float)` makes codes into floats. About 6 lines. On the
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


# %% [markdown] exercise 07.3
# ### 07.3 Derive: two categories
#
# For $K = 2$ there is one log-ratio, $a = \log (y_1 / y_2)$. Show that $\tau a$ is a logistic variable around $\ell_1 - \ell_2$, and write its log density
# `log_density(a, l, tau)`: `a` (T,), `l` (2,); return (T,). A logistic variable around 0 has the density $e^{-t} / (1 + e^{-t})^2$. About 2 lines. At $a = 0$, $\ell = (0, 0)$ and $\tau = 1/2$ you
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


# %% wrong 07.3: exchange the logits
def log_density(a, l, tau):
    t = tau * a + (l[0] - l[1])
    return np.log(tau) - t - 2 * np.log1p(np.exp(-t))


# %% [markdown] exercise 07.4
# ### 07.4 Find the bug: a KL below zero
#
# A training script reports its KL to the uniform prior, at relaxed samples. At $\tau = 2$ it is {{weights @ plug_in_kl(many, nodes['u'], 2.0)[0][0]:.4f}} nats on average: that cannot be. Correct it into an unbiased estimate of the
# relaxed KL: `logits` (B, N, K), `u` (S, B, N, K); return (S, B). You have `concrete_log_prob(logits, xi, tau)[0]`, which is (S, B). Two lines change. On the lesson's problem its mean should be about {{weights @ kl_estimate(many, nodes['u'], 2.0)[0]:.4f}}.
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
