# %% [markdown]
# # 16 Structured latents
#
# **Question.** Until now the latents of a code were independent given $x$. What is lost by that, and what does it cost to let each latent depend on its neighbours?
#
# **After this lesson you can**
# - say in nats what a factorised posterior cannot do,
# - sum over $K^N$ codes of a chain with $N$ products, and see that the backward pass of that sum is the marginals,
# - draw codes from a chain, find the most probable one, and write its entropy and KL with their gradients,
# - train a VAE whose posterior and prior are chains, by the same estimators as before.
#
# *Needs:* lessons 01 to 06. *Takes:* 45 minutes. Everything is in nats.

# %% setup

import numpy as np

from dvae_np import (
    TABLE,
    Additive,
    Chain,
    Independent,
    draw,
    expected,
    joint_states,
)
from dvae_np.check import (
    comparison,
    complex_step,
    every_code,
    expectation,
    lookup_table,
    moments,
    tiled,
)
from dvae_np.forward_backward import (
    backward,
    best,
    covariance,
    forward,
    sampled,
)
from dvae_np.lesson import confirm, show
from dvae_np.train import Settings, evaluate, fit, load

rng = np.random.default_rng(16)
B, N, K = 2, 4, 3  # examples, latents, categories
unary, pairwise = (
    rng.standard_normal((B, N, K)),
    rng.standard_normal((B, N - 1, K, K)),
)
q = Chain(unary, pairwise)
states = joint_states(N, K)  # (M, N), M = 81

# %% [markdown]
# ## 1 What a factorised posterior cannot say
#
# Two binary latents, and an image that says only: *they differ*. The true posterior has the codes 01 and 10, half and half. A factorised $q$ with any chance of both has some
# chance of 00 or 11, too, which the posterior rules out: its KL is infinite. So it must choose one of the two, and that costs $\log 2$:

# %%
posterior = np.array([[0, 0.5], [0.5, 0]])  # p(z_1, z_2 | x)
one_code = np.array([[0, 1.0], [0, 0]])
mine = one_code > 0
lost = (one_code[mine] * np.log(one_code[mine] / posterior[mine])).sum()
print(
    f"KL of the best factorised posterior: {lost:.4f} nats; log 2 = "
    f"{np.log(2):.4f}"
)
differ = Chain(
    np.zeros((1, 2, 2)), np.array([[[[-np.inf, 0], [0, -np.inf]]]])
)
print(
    "a chain has the posterior itself:",
    np.exp(differ.log_prob(joint_states(2, 2)[:, None])[0][:, 0]),
)

# %% [markdown]
# ## 2 The chain
#
# Give each latent a potential for each of its categories, $u_n[k]$, and each pair of neighbours one for each pair of categories, $A_n[i, j]$. Then
#
# $$q(z) = \frac{1}{Z} \exp\Bigl(\sum_n u_n[z_n] + \sum_n A_n[z_n, z_{n+1}]\Bigr) . \tag{16.1}$$
#
# With $A = 0$ it is the softmax of lesson 02, latent by latent. The sum $Z$ runs over $K^N$ codes. Add them up from the left: let $a_n[k]$ be the logarithm of the sum over all codes of the
# first $n$ latents that end with $k$. A step appends one latent:
#
# $$a_1 = u_1, \qquad a_{n+1}[j] = u_{n+1}[j] + \log \sum_i e^{a_n[i] + A_n[i, j]}, \qquad \log Z = \log \sum_k e^{a_N[k]} . \tag{16.2}$$
#
# That is $N$ steps of $K^2$ terms, in place of $K^N$ codes.

# %%
show(forward)
scores = np.array(
    [
        [
            sum(unary[b, n, z[n]] for n in range(N))
            + sum(pairwise[b, n, z[n], z[n + 1]] for n in range(N - 1))
            for b in range(B)
        ]
        for z in states
    ]
)
log_z, log_z_backward = q.log_partition()
confirm("16.2", log_z, np.log(np.exp(scores).sum(0)))
confirm("16.1", q.log_prob(states[:, None])[0], scores - log_z)
still = Chain(unary, 0 * pairwise)
confirm(
    "16.1",
    still.log_prob(states[:, None])[0],
    Independent(unary).log_prob(states[:, None])[0],
)

# %% [markdown]
# ## 3 Its backward pass has a name
#
# Differentiate one step. $\partial a_{n+1}[j] / \partial a_n[i]$ is a softmax over $i$:
#
# $$w_n[i, j] = \frac{e^{a_n[i] + A_n[i, j]}}{\sum_{i'} e^{a_n[i'] + A_n[i', j]}} = q(z_n = i \mid z_{n+1} = j) .$$
#
# So the backward pass begins with $\mu_N = \mathrm{softmax}(a_N)$ and multiplies by one $w$ after the other:
#
# $$\mu_n[i] = \sum_j w_n[i, j]\, \mu_{n+1}[j], \qquad \frac{\partial \log Z}{\partial u_n[k]} = \mu_n[k] = q(z_n = k), \qquad \frac{\partial \log Z}{\partial A_n[i, j]} = w_n[i, j]\, \mu_{n+1}[j] . \tag{16.3}$$
#
# The last is $q(z_n = i, z_{n+1} = j)$. This is the *backward* half of the forward-backward algorithm. Nobody has to remember it: it is what backpropagation makes of the forward half.

# %%
show(backward)
chance = np.exp(scores - log_z)  # (M, B)
hot = np.eye(K)[states]  # (M, N, K)
nodes = np.einsum("mb,mnk->bnk", chance, hot)
edges = np.einsum("mb,mni,mnj->bnij", chance, hot[:, :-1], hot[:, 1:])
slopes = log_z_backward(np.ones(B))
confirm("16.3", slopes.unary, nodes)
confirm("16.3", slopes.pairwise, edges)
numeric = complex_step(
    lambda arrays: Chain(**arrays).log_partition()[0].sum(), q._asdict()
)
confirm("16.3", slopes.pairwise, numeric["pairwise"])

# %% [markdown]
# Products of $e^{\mathrm{potential}}$ are fast, but small terms vanish beside large ones; logarithms are safe. The package looks at what a step spans, and takes the product where it is
# exact. Potentials a hundred times as large, in float32, against the sum over all codes in float64:

# %%
for size in (1, 30, 100, 1000):
    large = Chain(
        (size * unary).astype(np.float32),
        (size * pairwise).astype(np.float32),
    )
    wide = Chain(*(array.astype(np.float64) for array in large))
    logits = wide.log_prob(states[:, None])[0]
    error = abs(
        large.both_marginals()[0].unary
        - np.einsum("mb,mnk->bnk", np.exp(logits), hot)
    ).max()
    print(
        f"potentials times {size:4}: largest error of a marginal "
        f"{error:.0e}"
    )

# %% [markdown]
# ## 4 Drawing, and the most probable code
#
# To draw, go back through the same $w$: first $z_N$ from $\mu_N$, then each latent given the next one,
#
# $$z_N \sim \mu_N, \qquad z_n \sim w_n[\cdot, z_{n+1}] , \tag{16.6}$$
#
# one uniform for each. And with maxima in the place of the sums the forward pass finds the score of the best code (Viterbi):
#
# $$m_{n+1}[j] = u_{n+1}[j] + \max_i \bigl(m_n[i] + A_n[i, j]\bigr) . \tag{16.5}$$

# %%
show(sampled, best)
(z,) = draw(rng, tiled(Chain(unary[:1], pairwise[:1]), 100_000), 1, ("z",))
share = (
    np.bincount(z[0] @ K ** np.arange(N - 1, -1, -1), minlength=K**N)
    / 100_000
)
error = np.sqrt(chance[:, 0] * (1 - chance[:, 0]) / 100_000)
print(
    f"shares of all {K**N} codes: at most "
    f"{abs((share - chance[:, 0]) / error).max():.1f} standard errors from "
    "q"
)
confirm("16.6", (abs(share - chance[:, 0]) < 5 * error).mean(), 1.0)
confirm("16.5", q.mode(), states[scores.argmax(0)])

# %% [markdown]
# ## 5 Entropy and KL
#
# $\log q(z)$ is a sum of potentials less $\log Z$, so its mean needs the marginals alone. For two chains $q$ and $p$, with $\langle \cdot, \cdot \rangle$ over nodes and edges:
#
# $$H(q) = \log Z - \langle \mu, u \rangle - \langle \mu_{\mathrm{edges}}, A \rangle , \tag{16.7}$$
#
# $$\mathrm{KL}(q \,\Vert\, p) = \langle \mu,\, u_q - u_p \rangle + \langle \mu_{\mathrm{edges}},\, A_q - A_p \rangle - \log Z_q + \log Z_p . \tag{16.8}$$
#
# Their gradients need the derivative of the *marginals*. The marginals are the gradient of $\log Z$, so this is its second derivative, the covariance $C$ of the one-hots of nodes and edges.
# It is symmetric. So the backward pass along a cotangent $v$ is the same as the derivative *along* $v$, which one more forward and backward pass carries with it:
#
# $$dq = C\, v, \qquad C\, v = \frac{d}{dt}\, \bigl(\mu, \mu_{\mathrm{edges}}\bigr)(u + t\, v_{\mathrm{nodes}},\, A + t\, v_{\mathrm{edges}}) \Big|_{t = 0} . \tag{16.4}$$

# %%
show(covariance)
p = Chain(
    rng.standard_normal((1, N, K)), rng.standard_normal((1, N - 1, K, K))
)
log_q, log_p = (
    q.log_prob(states[:, None])[0],
    p.log_prob(states[:, None])[0],
)
confirm("16.7", q.entropy()[0], -(chance * log_q).sum(0))
confirm("16.8", q.kl(p)[0], (chance * (log_q - log_p)).sum(0))
value, kl_backward = q.kl(p)
dq, dp = kl_backward(np.ones(B))
numeric = complex_step(
    lambda arrays: Chain(**arrays).kl(p)[0].sum(), q._asdict()
)
confirm("16.4", dq.unary, numeric["unary"])
confirm("16.4", dq.pairwise, numeric["pairwise"])
numeric = complex_step(
    lambda arrays: q.kl(Chain(**arrays))[0].sum(), p._asdict()
)
confirm("16.8", dp.pairwise, numeric["pairwise"])

# %% [markdown]
# The same holds for any $f$ that is a sum over the latents and their neighbours. Its mean needs the marginals alone:
#
# $$f(z) = \sum_n v_n[z_n] + \sum_n E_n[z_n, z_{n+1}] \quad \Rightarrow \quad \mathbb{E}_q[f] = \langle \mu, v \rangle + \langle \mu_{\mathrm{edges}}, E \rangle . \tag{16.9}$$
#
# The gradient in $q$ is $C$ times $(v, E)$, and the gradient in $(v, E)$ is the marginals. Dynamic programming is exact for such an $f$ only, and a function does not show whether it is one. So the package asks
# for an `Additive(node, edge)` and takes nothing else. A decoder that sees all codes at once is *not* additive.

# %%
f = Additive(
    rng.standard_normal((1, N, K)), rng.standard_normal((1, N - 1, K, K))
)
value, expected_backward = expected(q, f)
exact = TABLE["exact"].estimate(q, f)  # every code
dq, df = expected_backward(np.ones(B))
confirm("16.9", value, exact.value)
confirm("16.9", dq.pairwise, exact.dq.pairwise)
confirm("16.9", df.edge, exact.dtheta["edge"])
long = Chain(
    rng.standard_normal((1, 500, K)), rng.standard_normal((1, 499, K, K))
)
mean, _ = expected(
    long,
    Additive(
        rng.standard_normal((1, 500, K)),
        rng.standard_normal((1, 499, K, K)),
    ),
)
print(f"500 latents, 3^500 codes: E[f] = {mean[0]:.4f}")

# %% [markdown]
# ## 6 The same estimators
#
# Which estimator works on a chain? Whichever asks $q$ for nothing but $\log q(z)$ and its gradient, codes, or marginals: the table says what each asks for. No line of them is written
# again. Leave-one-out on a chain, averaged over *every* pair of codes, against the complex step of the plain sum:

# %%
print(
    {
        asked: [name for name, row in TABLE.items() if row.asks == asked]
        for asked in ("log_prob", "marginals", "probability")
    }
)
# three latents: 27 codes, 729 pairs
one = Chain(unary[:1, :3], pairwise[:1, :2])
f = lookup_table(rng.standard_normal((K, K, K)))
codes, weights = every_code(one, 2)
found = (
    TABLE["reinforce_loo"].estimate(tiled(one, len(weights)), f, codes).dq
)
numeric = complex_step(
    lambda arrays: expectation(Chain(**arrays), f).sum(), one._asdict()
)
for array, gradient in found._asdict().items():
    print(
        comparison(array, moments(weights, gradient)[0], numeric[array][0])
    )

# %% [markdown]
# Relaxations ask for logits, of which each latent has its own: Gumbel-Softmax does not work on a chain as it stands, and the package refuses it. Straight-through does, *through the
# marginals*: $f$'s slope at the codes, times $C$. As before it is exact on average where $f$ is affine in the codes, and biased elsewhere.
#
# ## 7 A VAE with a chain
#
# `Settings(posterior="chain", prior="markov")`, or `train --posterior chain --prior markov`: the encoder gives the unary potentials, the pairwise ones are parameters, the same for all images, and so is the prior. The decoder sees
# all codes at once, as before. Four latents of four categories on the digits, trained by the exact gradient:

# %%
data = load("digits")
kinds = {
    "independent, uniform": {},
    "independent, markov": {"prior": "markov"},
    "chain, markov": {"prior": "markov", "posterior": "chain"},
}
worth = {}
for name, kind in kinds.items():
    run = fit(
        data, Settings(N=4, K=4, hidden=(64,), lr=3e-3, epochs=40, **kind)
    )
    worth[name] = evaluate(
        run.params, data.test.x, model=run.settings.model
    )
    each = worth[name]
    print(
        f"{name:21} negative ELBO {each.negative_elbo:.2f}   posterior gap "
        f"{each.posterior_gap:.2f} nats"
    )

# %% [markdown]
# On this run the chain's gap to the true posterior is {{worth["chain, markov"].posterior_gap:.2f}} nats, that of the factorised one {{worth["independent, markov"].posterior_gap:.2f}}; the test negative ELBO is
# {{worth["chain, markov"].negative_elbo:.2f}} against {{worth["independent, markov"].negative_elbo:.2f}}. One seed, one size: how much structure buys in general is another question. Here the decoder may learn to use codes that a
# factorised posterior can say.
#
# ## 8 Break it
#
# A sum over paths is easily turned round: $A_n[j, i]$ for $A_n[i, j]$ in the backward half. The values stay right, as the forward half is, and training goes on with a wrong gradient. The complex step
# sees it:

# %%
turned = np.einsum("mb,mni,mnj->bnji", chance, hot[:, :-1], hot[:, 1:])
numeric = complex_step(
    lambda arrays: Chain(**arrays).log_partition()[0].sum(), q._asdict()
)
print(comparison("dpairwise", turned, numeric["pairwise"]))

# %% [markdown]
# ## Reading
#
# - L. Rabiner, *A tutorial on hidden Markov models and selected applications in speech recognition*, 1989: forward, backward, Viterbi.
# - J. Eisner, *Inside-outside and forward-backward algorithms are just backprop*, 2016.
# - Y. Fu, C. Tan, B. Bi, M. Chen, Y. Feng, A. Rush, *Latent template induction with Gumbel-CRFs*, 2020: a relaxation for chains.
# - K. Ahmed, Z. Zeng, M. Niepert, G. Van den Broeck, *SIMPLE: a gradient estimator for k-subset sampling*, 2023: straight-through the marginals.
#
# This was the last lesson. Back to [the start](00_start_here.ipynb).
