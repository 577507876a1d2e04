# %% [markdown]
# # 20 Structured latents
#
# **Question.** Until now the latents of a code were independent, given $x$. What does that lose, and what does it cost to let each latent depend on its neighbours?
#
# **After this lesson you can**
# - say in nats what a factorised posterior cannot do,
# - sum over the $K^N$ codes of a chain with $N$ products, and see that the backward pass of that sum gives the marginals,
# - draw codes from a chain, find the most probable one, and write its entropy and KL with their gradients,
# - sum over all paths of a hidden Markov model of the digits, and say what factorised and amortised posteriors lose on it,
# - take the gradient of any $f$ of a chain's codes by the estimators that you know, and say which of them are biased,
# - train a VAE whose posterior and prior are chains, and name the part of the KL's gradient that is easily lost if they are autoregressive,
# - choose exactly $k$ of $N$ items, send a gradient through that choice, and say why Gumbel-top-k is not how to draw it.
#
# *Needs:* lessons 01 to 08. *Takes:* 125 minutes to read and run, 90 minutes for the exercises. Everything is in nats.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

from dvae_np import (
    PRIORS,
    TABLE,
    Additive,
    Autoregressive,
    Chain,
    Independent,
    Model,
    draw,
    expected,
    implicit_mle,
    joint_states,
    k_subsets,
    kl_given,
    log_evidence,
    log_softmax,
    parameters,
    reconstruction,
    records,
    softmax,
    true_posterior,
)
from dvae_np.check import (
    comparison,
    complex_step,
    every_code,
    every_winner,
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
from dvae_np.lesson import confirm, figure, picture, say, show, table
from dvae_np.subsets import counted, passed
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
# Take two binary latents, and an image that says only: *they differ*. The true posterior has the codes 01 and 10, each with probability one half. A factorised $q$ that gives both a chance also gives 00 or 11 a chance. The posterior rules these out, so the KL is infinite. The factorised $q$ must therefore choose one of the two codes, and this costs $\log 2$:

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
# Let neighbours speak to each other. Each latent has a potential for each of its categories, $u_n[k]$. Each pair of neighbours has a potential for each pair of categories, $A_n[i, j]$. The probability of a code is the exponential of their sum, divided by a constant $Z$:
#
# $$q(z) = \frac{1}{Z} \exp\Bigl(\sum_n u_n[z_n] + \sum_n A_n[z_n, z_{n+1}]\Bigr) . \tag{20.1}$$
#
# With $A = 0$ this is the softmax of lesson 02, latent by latent.
#
# The sum $Z$ runs over $K^N$ codes. But it can be done step by step. Look at the picture: a code is a path from left to right. All paths that reach a state share what comes after it. So it is enough to know, for each state, the sum over all paths that end there. Let $a_n[k]$ be the logarithm of that sum. One more step appends one latent:
#
# $$a_1 = u_1, \qquad a_{n+1}[j] = u_{n+1}[j] + \log \sum_i e^{a_n[i] + A_n[i, j]}, \qquad \log Z = \log \sum_k e^{a_N[k]} . \tag{20.2}$$
#
# These are $N$ steps of $K^2$ terms, instead of $K^N$ codes. The picture shows, for the first example, the marginal of each state as the size of its dot, that of each pair as the width of its line, and the most probable path dashed.

# %%
dots, lines = (array[0] for array in q.both_marginals()[0])
path = q.mode()[0]
fig, ax = plt.subplots(figsize=(7.2, 2.6), layout="constrained")
for n in range(N - 1):
    for i in range(K):
        for j in range(K):
            width = 12 * lines[n, i, j]
            ax.plot([n, n + 1], [i, j], color="0.7", linewidth=width)
for n in range(N):
    ax.scatter([n] * K, range(K), s=900 * dots[n], color="C0", zorder=2)
ax.plot(path, "k--", linewidth=1.5, zorder=3)
ax.set(xticks=range(N), yticks=range(K), ylabel="category")
ax.set_xticklabels([f"latent {n + 1}" for n in range(N)])
ax.margins(0.12, 0.2)
picture(
    fig,
    "A trellis: four columns of three states, joined by lines whose widths "
    "are the pair marginals, with the most probable path dashed.",
)

# %% [markdown]
# In NumPy the forward pass is two lines. The library's function does the same for a batch, for padded lengths, and safely for large potentials:

# %%
a = unary[0, 0]
for n in range(N - 1):
    a = unary[0, n + 1] + np.log(np.exp(a[:, None] + pairwise[0, n]).sum(0))
print("log Z by hand:   ", np.log(np.exp(a).sum()))
print("by the library:  ", q.log_partition()[0][0])

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
confirm("20.2", log_z, np.log(np.exp(scores).sum(0)))
confirm("20.1", q.log_prob(states[:, None])[0], scores - log_z)
still = Chain(unary, 0 * pairwise)
confirm(
    "20.1",
    still.log_prob(states[:, None])[0],
    Independent(unary).log_prob(states[:, None])[0],
)

# %% [markdown]
# ## 3 Its backward pass has a name
#
# Differentiate one step. $\partial a_{n+1}[j] / \partial a_n[i]$ is a softmax over $i$. Call it $w_n$:
#
# $$w_n[i, j] = \frac{e^{a_n[i] + A_n[i, j]}}{\sum_{i'} e^{a_n[i'] + A_n[i', j]}} = q(z_n = i \mid z_{n+1} = j) .$$
#
# The second equality holds because $e^{a_n[i] + A_n[i, j]}$ sums all beginnings that pass $i$ and then $j$. What comes later depends on $j$ alone, and cancels in the fraction.
#
# The backward pass begins with $\mu_N = \mathrm{softmax}(a_N)$, and multiplies by one $w$ after the other:
#
# $$\mu_n[i] = \sum_j w_n[i, j]\, \mu_{n+1}[j], \qquad \frac{\partial \log Z}{\partial u_n[k]} = \mu_n[k] = q(z_n = k), \qquad \frac{\partial \log Z}{\partial A_n[i, j]} = w_n[i, j]\, \mu_{n+1}[j] . \tag{20.3}$$
#
# So the gradient of $\log Z$ is the marginals: $\mu_n$ of each latent, and $q(z_n = i, z_{n+1} = j)$ of each pair. This is the *backward* half of the forward-backward algorithm. Nobody has to remember it. It is what backpropagation makes of the forward half.

# %%
show(backward)
chance = np.exp(scores - log_z)  # (M, B)
hot = np.eye(K)[states]  # (M, N, K)
nodes = np.einsum("mb,mnk->bnk", chance, hot)
edges = np.einsum("mb,mni,mnj->bnij", chance, hot[:, :-1], hot[:, 1:])
slopes = log_z_backward(np.ones(B))
confirm("20.3", slopes.unary, nodes)
confirm("20.3", slopes.pairwise, edges)
numeric = complex_step(
    lambda arrays: Chain(**arrays).log_partition()[0].sum(), q._asdict()
)
confirm("20.3", slopes.pairwise, numeric["pairwise"])

# %% [markdown]
# Products of $e^{\mathrm{potential}}$ are fast, but in them small terms vanish beside large ones. Logarithms are safe. The package looks at the range of the potentials. It multiplies in float32 as long as float32 has room for the smallest term, then in float64, and beyond that it takes logarithms. Here are potentials up to a thousand times as large, in float32, against the sum over all codes in float64:

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
# To draw a code, go back through the same $w$. First draw $z_N$ from $\mu_N$, then each latent given the next one:
#
# $$z_N \sim \mu_N, \qquad z_n \sim w_n[\cdot, z_{n+1}] . \tag{20.4}$$
#
# Each takes one uniform. For the most probable code, put maxima in the place of sums. The forward pass then finds the score of the best code (the Viterbi algorithm):
#
# $$m_{n+1}[j] = u_{n+1}[j] + \max_i \bigl(m_n[i] + A_n[i, j]\bigr) . \tag{20.5}$$

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
confirm("20.4", (abs(share - chance[:, 0]) < 5 * error).mean(), 1.0)
confirm("20.5", q.mode(), states[scores.argmax(0)])

# %% [markdown]
# ## 5 Entropy and KL
#
# $\log q(z)$ is a sum of potentials minus $\log Z$. So its mean needs only the marginals. Call the latents *nodes* and the pairs of neighbours *edges*. With $\langle \cdot, \cdot \rangle$ a sum over nodes or edges, two chains $q$ and $p$ have
#
# $$H(q) = \log Z - \langle \mu, u \rangle - \langle \mu_{\mathrm{edges}}, A \rangle , \tag{20.6}$$
#
# $$\mathrm{KL}(q \,\Vert\, p) = \langle \mu,\, u_q - u_p \rangle + \langle \mu_{\mathrm{edges}},\, A_q - A_p \rangle - \log Z_q + \log Z_p . \tag{20.7}$$
#
# Their gradients need the derivative of the *marginals*. The marginals are the gradient of $\log Z$, so this is the second derivative of $\log Z$: the covariance $C$ of the one-hot codes of nodes and edges. A covariance is symmetric. So the backward pass along a cotangent $\delta$ equals the derivative of the marginals in the *direction* $\delta$, and one more forward and backward pass computes it:
#
# $$dq = C\, \delta, \qquad C\, \delta = \frac{d}{dt}\, \bigl(\mu, \mu_{\mathrm{edges}}\bigr)(u + t\, \delta_{\mathrm{nodes}},\, A + t\, \delta_{\mathrm{edges}}) \Big|_{t = 0} . \tag{20.8}$$

# %%
show(covariance)
p = Chain(
    rng.standard_normal((1, N, K)), rng.standard_normal((1, N - 1, K, K))
)
log_q, log_p = (
    q.log_prob(states[:, None])[0],
    p.log_prob(states[:, None])[0],
)
confirm("20.6", q.entropy()[0], -(chance * log_q).sum(0))
confirm("20.7", q.kl(p)[0], (chance * (log_q - log_p)).sum(0))
value, kl_backward = q.kl(p)
dq, dp = kl_backward(np.ones(B))
numeric = complex_step(
    lambda arrays: Chain(**arrays).kl(p)[0].sum(), q._asdict()
)
confirm("20.8", dq.unary, numeric["unary"])
confirm("20.8", dq.pairwise, numeric["pairwise"])
numeric = complex_step(
    lambda arrays: q.kl(Chain(**arrays))[0].sum(), p._asdict()
)
confirm("20.7", dp.pairwise, numeric["pairwise"])

# %% [markdown]
# The same holds for any $f$ that is a sum of terms $v_n$ of one latent and terms $E_n$ of two neighbours. Its mean needs only the marginals:
#
# $$f(z) = \sum_n v_n[z_n] + \sum_n E_n[z_n, z_{n+1}] \quad \Rightarrow \quad \mathbb{E}_q[f] = \langle \mu, v \rangle + \langle \mu_{\mathrm{edges}}, E \rangle . \tag{20.9}$$
#
# The gradient in $q$ is $C$ times $(v, E)$, and the gradient in $(v, E)$ is the marginals.
#
# Dynamic programming is exact for such an $f$ only, and a function does not show whether it is one. So the package asks for an `Additive(node, edge)`. For this type the estimator `exact` uses dynamic programming; for every other $f$ it sums over all codes. A decoder that sees all codes at once is *not* additive.

# %%
f = Additive(
    rng.standard_normal((1, N, K)), rng.standard_normal((1, N - 1, K, K))
)
value, expected_backward = expected(q, f)
# as any function, f is summed over every code
exact = TABLE["exact"].estimate(q, lambda z: f(z))
dq, df = expected_backward(np.ones(B))
confirm("20.9", value, exact.value)
confirm("20.9", dq.pairwise, exact.dq.pairwise)
confirm("20.9", df["edge"], exact.dtheta["edge"])
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
# ## 6 A hidden Markov model of the digits
#
# Where does an additive $f$ come from? From a decoder in which each latent speaks of its own part of $x$. Cut a digit into its eight rows. Row $n$ is drawn from a state $z_n$, one of $K$. The states form a Markov chain with one transition matrix $T$ for all steps:
#
# $$p(z) = p(z_1) \prod_n T[z_n, z_{n+1}] , \tag{20.10}$$
#
# $$f(z) = -\log p(x \mid z) = \sum_n v_n[z_n], \qquad v_n[k] = -\log p(x_n \mid z_n = k) . \tag{20.11}$$
#
# This is a *hidden Markov model*. The product $p(z)\, e^{-f(z)}$ is again the exponential of a sum over nodes and edges. So the true posterior is a chain with known potentials, and the sum over all paths is one more forward algorithm:
#
# $$p(z \mid x) \propto \exp\Bigl(\log p(z) - \sum_n v_n[z_n]\Bigr), \qquad \log p(x) = \log Z_{\text{posterior}} - \log Z_{\text{prior}} . \tag{20.12}$$
#
# Here is a small one, with four parts and three states, against the sum over all paths:

# %%
model = Model(prior="transition", interface="emission")
small = parameters(rng, 8, N, K, (), np.float64, model=model)
small["phi"] = {
    name: rng.standard_normal(array.shape)
    for name, array in small["phi"].items()
}
x = 1.0 * (rng.random((B, 8)) < 0.5)
prior, _ = PRIORS["transition"].op(small["phi"], None, N)
f = reconstruction(small["theta"], x, model=model)  # an Additive
first, steps = (
    log_softmax(small["phi"][name])[0] for name in ("initial", "transition")
)
along = first[states[:, 0]] + steps[states[:, :-1], states[:, 1:]].sum(1)
confirm("20.10", prior.log_prob(states[:, None])[0][:, 0], along)
node = np.array(
    [[f.node[:, n, z[n]] for n in range(N)] for z in states]
).sum(1)
confirm("20.11", f(states[:, None])[0], node)
joint = along[:, None] - node
evidence = np.log(np.exp(joint).sum(0))
confirm("20.12", log_evidence(prior, f)[0], evidence)
confirm(
    "20.12",
    true_posterior(prior, f).log_prob(states[:, None])[0],
    joint - evidence,
)

# %% [markdown]
# `train --interface emission --prior transition --posterior chain` trains such a model. Here it has 16 states and 40 epochs. The first picture shows test digits (`x`), and below them what the most probable path of $q$ emits on average (`q`). The second picture shows digits that were drawn from the model, row by row:

# %%
from dvae_np.figures.models import reconstructions, samples

data = load("digits")
hmm = fit(
    data,
    Settings(
        N=8,
        K=16,
        interface="emission",
        prior="transition",
        posterior="chain",
        lr=3e-3,
        epochs=40,
    ),
)
test = evaluate(hmm.params, data.test.x, model=hmm.settings.model)
print(
    f"test log p(x) {test.log_likelihood:.2f} nats, gap "
    f"{test.posterior_gap:.2f} ({test.method})"
)
figure(
    reconstructions,
    hmm.params,
    data,
    hmm.settings.model,
    size=(7.4, 1.3),
    alt="Sixteen test digits, and below each the rows that its most "
    "probable path emits.",
)
figure(
    samples,
    hmm.params,
    data,
    rng,
    hmm.settings.model,
    size=(7.4, 1.6),
    alt="Digits drawn from the model, row by row; some can be read.",
)

# %% [markdown]
# `evaluate` computes $\log p(x)$ over $16^8 \approx 4 \cdot 10^9$ paths as easily as over 81. So the question of section 1 has an answer in nats. Train a model on $\log p(x)$ itself, and encoders beside it. Then keep the model, and train the encoders on. What the ELBO lacks is $\mathrm{KL}(q \,\Vert\, p(z \mid x))$ (lesson 03). It has two causes:
#
# - *factorisation*: even the best factorised $q$ for a single image, found by coordinate ascent, is not the posterior;
# - *amortisation*: one network must find the $q$ of every image. A chain encoder could express the exact posterior, so its whole gap is of this kind.
#
# `python -m dvae_np gaps` measures it on the test digits, with three seeds (some twenty minutes). All images share an emission table for each row, and one transition matrix. Training took {{record["epochs"]:d}} epochs in place of 40, so even 8 states reach a better $\log p(x)$ than the 16 states above:

# %%
from dvae_np.experiments.gaps import gaps_table

record = records.read("gaps")
table(gaps_table(record, markdown=True))
middle = {
    (K_, name): np.median(
        [line[name] for line in record["lines"] if line["K"] == K_]
    )
    for K_ in (8, 32)
    for name in record["lines"][0]
}

# %% [markdown]
# The best factorised posteriors lose {{middle[8, "best_factorised_gap"]:.2f}} nats with 8 states, and {{middle[32, "best_factorised_gap"]:.2f}} with 32. A factorised *encoder* loses {{middle[8, "independent_gap"]:.2f}} and {{middle[32, "independent_gap"]:.2f}}, so most of its loss is amortisation. On the training images it loses {{middle[32, "independent_train_gap"]:.2f}} with 32 states. So more than half of the {{middle[32, "independent_gap"]:.2f}} comes with images that the network has not seen. A likely reason: a factorised posterior must choose among paths, and the choice jumps from image to image. The chain encoder need not choose. It loses {{middle[8, "chain_gap"]:.2f}} and {{middle[32, "chain_gap"]:.2f}}.
#
# If a model is trained *through* the bound, it adapts to what its posterior can say. Then the gap is small, {{middle[32, "through_independent_gap"]:.2f}} nats with 32 states. But the model is worse: $\log p(x)$ is {{middle[32, "through_independent"]:.2f}} nats, and {{middle[32, "through_chain"]:.2f}} with a chain. A small gap does not prove that the posterior is good enough. The model may have given up what the posterior could not say.

# %% [markdown]
# ## 7 The same estimators
#
# Which estimators work on a chain? Those that ask $q$ only for $\log q(z)$ and its gradient, for marginals, or for relaxed codes. The table knows what each of them asks for, and none of them is written again. (`exact` was in section 5.) Those that ask for `logits` use that the latents are independent, and refuse a chain: ReinMax and its kin use one softmax for each latent, REBAR and RELAX draw noise given the code of one latent, CARMS and its kin couple uniforms latent by latent, and local expectation visits one latent at a time. Here is leave-one-out on a chain, averaged over *every* pair of codes, against the complex step of the plain sum:

# %%
for asked in ("log_prob", "marginals", "relaxed_codes", "logits"):
    names = [
        name + " (biased)" * (not row.unbiased)
        for name, row in TABLE.items()
        if row.asks == asked
    ]
    say(f"{asked}: {', '.join(names)}")
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
    say(comparison(array, moments(weights, gradient)[0], numeric[array][0]))

# %% [markdown]
# **Straight-through** goes *through the marginals*: the slope of $f$ at the codes, times $C$. At $\tau = 1$ it is exact on average if $f$ is affine in the one-hot codes of the nodes. An edge term is a product of two one-hot codes, and on a chain these depend on each other. For edge terms it is biased.
#
# **Gumbel-CRF** (Fu et al. 2020). Draw as in [Eq. 20.4], but each code by Gumbel-max. Then relax the argmax:
#
# $$z_n = \arg\max_i \bigl(\log w_n[i, z_{n+1}] + G_n[i]\bigr), \qquad y_n = \mathrm{softmax}\bigl((\log w_n[\cdot, z_{n+1}] + G_n) / \tau\bigr) . \tag{20.13}$$
#
# In the backward pass, $y_n$ moves $a_n$ and one column of $A_n$, and from $a_n$ the gradient goes through the forward algorithm. But $z_{n+1}$ stays where it is. The path from $y_n$ to the *choice* of $z_{n+1}$ is cut. So both forms, with soft and with hard codes in $f$, are biased on a chain, even if $f$ is a sum over nodes. The bias does not vanish as $\tau \to 0$. Without pairwise potentials this is Gumbel-Softmax, and only the bias of the temperature is left. So Gumbel-CRF has no row of its own in the table: `gumbel_softmax` and `straight_through_gumbel` ask the law for relaxed codes, and this is a chain's answer.
#
# **Stochastic softmax** (Paulus et al. 2020). Put the noise on the potentials of the nodes, and take the marginals at a temperature:
#
# $$y = \mu\bigl((u + G) / \tau,\, A / \tau\bigr) . \tag{20.14}$$
#
# This is smooth, so its gradient is an unbiased one of $\mathbb{E}[f(y)]$. But that is another objective. As $\tau \to 0$, $y$ becomes the code of the largest perturbed score, and that code does *not* have the law $q$: one Gumbel number for each node is not enough noise for $K^N$ codes. Only without pairwise potentials is it Gumbel-Softmax.
#
# Here are the exact means, by quadrature over the noise, for two binary latents, an $f$ that is a sum over nodes, and three temperatures:

# %%
from dvae_np.check.structured import chain_nodes

show(Chain.relaxed_codes, chain_nodes)
pair = Chain(unary[:1, :2, :2], pairwise[:1, :1, :2, :2])
f = Additive(rng.standard_normal((1, 2, 2)), np.zeros((1, 1, 2, 2)))
u, weights, codes = chain_nodes(pair, 401)
many = tiled(pair, len(weights))
exact = np.concatenate(
    [array.ravel() for array in TABLE["exact"].estimate(pair, f).dq]
)
bias = {}
for tau in (1.0, 0.5, 0.25):
    for name in (
        "gumbel_softmax",
        "straight_through_gumbel",
        "stochastic_softmax",
    ):
        dq = TABLE[name].estimate(many, f, u, tau=tau).dq
        mean = np.concatenate(
            [moments(weights, array)[0].ravel() for array in dq]
        )
        bias[name, tau] = np.linalg.norm(mean - exact) / np.linalg.norm(
            exact
        )
        print(f"tau {tau:4}  {name:24} bias {bias[name, tau]:.0%}")
(y, z), _ = many.relaxed_codes(u, 0.5)
pairs_ = joint_states(2, 2)
share = [(weights * (z[0] == state).all(-1)).sum() for state in pairs_]
confirm("20.13", share, pair.probability()(pairs_)[0][:, 0])
confirm("20.13", y.argmax(-1), z)
noise = -np.log(-np.log(u))[0]
soft = Chain((many.unary + noise) / 0.01, many.pairwise / 0.01).marginals()
share_map = [
    (weights * (soft[0].argmax(-1) == state).all(-1)).sum()
    for state in pairs_
]
away = abs(np.subtract(share, share_map)).sum() / 2
print(f"largest perturbed score: total variation {away:.3f} from q")


def of_noise(arrays):
    warm = Chain((arrays["unary"] + noise) / 0.5, arrays["pairwise"] / 0.5)
    return (weights * f(warm.marginals()[0][None])[0][0]).sum()


dq = TABLE["stochastic_softmax"].estimate(many, f, u, tau=0.5).dq
numeric = complex_step(of_noise, pair._asdict())
confirm("20.14", moments(weights, dq.unary)[0], numeric["unary"][0])

# %% [markdown]
# The straight-through form is {{bias["straight_through_gumbel", 1.0]:.0%}} off at $\tau = 1$, and still {{bias["straight_through_gumbel", 0.25]:.0%}} at $\tau = 0.25$. A lower temperature does not restore the path that was cut. The bias of stochastic softmax is smaller, but it grows as $\tau$ falls, from {{bias["stochastic_softmax", 1.0]:.0%}} to {{bias["stochastic_softmax", 0.25]:.0%}}: the nearer $y$ is to a code, the more it is a code of the wrong law.
#
# ## 8 A VAE with a chain
#
# With `Settings(posterior="chain", prior="markov")`, or `train --posterior chain --prior markov`, the encoder gives the potentials $u$. The pairwise potentials are parameters, the same for all images, and so is the prior. The decoder sees all codes at once, as before. Here are four latents of four categories on the digits, trained by the exact gradient:

# %%
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
# In this run the chain's gap to the true posterior is {{worth["chain, markov"].posterior_gap:.2f}} nats, and that of the factorised posterior {{worth["independent, markov"].posterior_gap:.2f}}. The test negative ELBO is {{worth["chain, markov"].negative_elbo:.2f}} against {{worth["independent, markov"].negative_elbo:.2f}}. This is one seed and one size. The decoder can also learn to use only codes that a factorised posterior can say.
#
# ## 9 One code after the other
#
# A chain remembers one latent. An *autoregressive* law remembers all of them. A small network computes the logits $\ell_n$ of each code from the codes before it, with tables $R_m$ and weights $W_n$:
#
# $$q(z) = \prod_n \mathrm{softmax}(\ell_n)[z_n], \qquad \ell_n = u_n + \tanh\Bigl(\sum_{m<n} R_m[z_m]\Bigr) W_n . \tag{20.15}$$
#
# $\log q$ is exact, and codes are drawn from the first to the last. So every estimator that asks only for $\log q$ works, and its gradient goes on into the network. Everything else is lost: marginals, entropy and mode would each need all $K^N$ codes.
#
# And the KL? Given the codes before it, each latent's own KL is known. The potentials $u_n$ enter $\ell_n$ alone, so
#
# $$\mathrm{KL}(q \,\Vert\, p) = \mathbb{E}_q \sum_n \mathrm{KL}_n(z_{<n}), \qquad \nabla_{u_n} \mathrm{KL} = \mathbb{E}_q\Bigl[\nabla_{\ell_n} \mathrm{KL}_n + \sum_{m>n} \mathrm{KL}_m \cdot \bigl(\mathrm{onehot}(z_n) - q_n\bigr)\Bigr] . \tag{20.16}$$
#
# For the network's tables and weights the bracket is the cotangent of $\ell_n$, for each code.
#
# The second term in the bracket is easily forgotten. A code does not only pay its own KL. It also decides what the *later* codes must pay. That is a cost like $f$, and it comes with the score. The same trap waits in every hierarchy of latents.

# %%
show(kl_given)
H = 5
step_by_step, other = (
    Autoregressive(
        rng.standard_normal((1, 3, K)),
        rng.standard_normal((1, 2, K, H)),
        rng.standard_normal((1, 2, H, K)),
    )
    for _ in range(2)
)
triples = joint_states(3, K)[:, None]


def divergence(arrays):
    log_q = Autoregressive(**arrays).log_prob(triples)[0]
    log_p = other.log_prob(triples)[0]
    return (np.exp(log_q) * (log_q - log_p)).sum()


hidden = np.tanh(
    step_by_step.table[0, 0][triples[:, 0, 0]]
    + step_by_step.table[0, 1][triples[:, 0, 1]]
)
last = step_by_step.unary[0, 2] + hidden @ step_by_step.out[0, 1]
conditionals, _ = step_by_step.conditionals(triples)
confirm("20.15", conditionals[:, 0, 2], last)
weights = np.exp(step_by_step.log_prob(triples)[0])  # (M, 1)
parts, kl_backward = kl_given(step_by_step, other, triples, weights)
numeric = complex_step(divergence, step_by_step._asdict())
confirm("20.16", parts.sum(), divergence(step_by_step._asdict()))
dq, _ = kl_backward(np.ones((1, 3)))
confirm("20.16", dq.unary, numeric["unary"])
confirm("20.16", dq.table, numeric["table"])
ratio, q_backward = conditionals, step_by_step.conditionals(triples)[1]
log_share = log_softmax(conditionals)[0]
share = np.exp(log_share)
ratio = log_share - log_softmax(other.conditionals(triples)[0])[0]
own = share * (ratio - (share * ratio).sum(-1, keepdims=True))
alone = q_backward(weights[..., None, None] * own)
forgotten = np.linalg.norm(alone.unary - numeric["unary"])
forgotten /= np.linalg.norm(numeric["unary"])
print(f"without the later KLs the gradient is {forgotten:.0%} off")

# %% [markdown]
# Straight-through has its limits here too. In the backward pass each one-hot code is treated as its softmax, through the network to all codes before it:
#
# $$d\ell_n = J(q_n)\Bigl(f'_n + \sum_{m>n} \frac{\partial \ell_m}{\partial z_n}^{\!\top} d\ell_m\Bigr) . \tag{20.17}$$
#
# For an affine $f$ the gradient in the *last* code's logits is right on average. Those before it are not, because a softmax and a tanh lie between.

# %%
slope = rng.standard_normal((3, K))
hits, through_backward = step_by_step.through(triples)
dq = through_backward(weights[..., None, None] * slope + 0 * hits)
numeric = complex_step(
    lambda arrays: (
        np.exp(Autoregressive(**arrays).log_prob(triples)[0][:, 0])
        * (hits[:, 0] * slope).sum((-1, -2))
    ).sum(),
    step_by_step._asdict(),
)
confirm("20.17", dq.unary[0, 2], numeric["unary"][0, 2])
say(comparison("dunary", dq.unary, numeric["unary"]))

# %% [markdown]
# On the command line this is `train --posterior autoregressive`, or `--prior autoregressive`, with an estimator that draws codes. The same codes serve for the KL.
#
# ## 10 Exactly k of N
#
# Which three of six words explain a verdict? Such a code has $N$ bits, $z_n = 1$ for an item that is chosen, and exactly $k$ of them are 1. (Here $k$ is that number, not a category.) With log-weights $u_n[0]$ for off and $u_n[1]$ for on,
#
# $$q(z) = \frac{1}{Z} \exp\Bigl(\sum_n u_n[z_n]\Bigr) \quad \text{if } \sum_n z_n = k, \text{ else } 0 . \tag{20.18}$$
#
# These are independent bits, given their number. A chain must remember its last code; here it is enough to remember *how many* items are on so far. Let $a_n[j]$ be the logarithm of the sum over all choices among the first $n$ items with $j$ of them on:
#
# $$a_{n+1}[j] = \log\bigl(e^{a_n[j] + u_{n+1}[0]} + e^{a_n[j-1] + u_{n+1}[1]}\bigr), \qquad a_0[0] = 0, \qquad \log Z = a_N[k] . \tag{20.19}$$
#
# Here $a_0[j] = -\infty$ for $j \ne 0$, and $a_n[-1] = -\infty$. These are $N$ steps of $k + 1$ numbers. The backward pass is as in section 3. The derivative of a step is a probability: $r_n[j]$, that item $n$ is on if $j$ of the first $n$ are on (zero where $a_n[j] = -\infty$). Let $\nu_n$ be the law of the number of items that are on among the first $n$. Going back from $\nu_N[k] = 1$ gives the marginals $\mu_n = q(z_n = 1)$:
#
# $$r_n[j] = e^{a_{n-1}[j-1] + u_n[1] - a_n[j]} ,$$
#
# $$\mu_n = \sum_j \nu_n[j]\, r_n[j], \qquad \nu_{n-1}[j] = \nu_n[j]\, (1 - r_n[j]) + \nu_n[j+1]\, r_n[j+1] . \tag{20.20}$$
#
# To draw a subset, go back in the same way: item $n$ is on with probability $r_n[j]$, where $j$ items are still to be on.
#
# By hand, $e^{a_n}$ are the coefficients of a polynomial: each item is a factor of two terms. For $\mu_n$, multiply the polynomial of the items before it by that of the items after it:

# %%
few = k_subsets(rng.standard_normal((1, 6, 2)), 3)
w = np.exp(few.unary[0])  # (6, 2)


def product(factors):
    total = np.ones(1)
    for factor in factors:
        total = np.convolve(total, factor)
    return total  # entry j: the sum over all choices with j items on


Z = product(w)[3]
others = [
    np.convolve(product(w[:n]), product(w[n + 1 :])) for n in range(6)
]
inside = [w[n, 1] * others[n][2] / Z for n in range(6)]
confirm("20.19", passed(few.unary, 3)[1][0], np.log(Z))
confirm("20.20", few.marginals()[0][0, :, 1], inside)
show(passed, counted)
sixes = joint_states(6, 2)
sixes = sixes[sixes.sum(1) == 3]  # 20 subsets
share_of = few.probability()(sixes)[0][:, 0]
confirm("20.18", share_of, w[np.arange(6), sixes].prod(1) / Z)

# %% [markdown]
# **The gradient.** All estimators that ask for $\log q(z)$ or marginals work as they are. Straight-through goes through the marginals, with the covariance by [Eq. 20.8]; this is SIMPLE (Ahmed et al. 2023). For affine $f$ its mean is the gradient. For a square it is not.
#
# **The trap.** *Gumbel-top-k* adds Gumbel noise to each $u_n[1] - u_n[0]$ and takes the $k$ largest. It draws one item after the other without replacement, as in [Eq. 12.2]. That is another law, called Plackett-Luce. The two agree only for $k = 1$, for $k = N$, and for equal weights. Published samplers draw with it and take the score or the marginals of [Eq. 20.18] ([the bug bank](../tests/bugs.py)). In 100,000 draws it shows:

# %%
slope = rng.standard_normal((6, 2))
mean_of = lambda arrays: (
    k_subsets(arrays["unary"], 3).marginals()[0] * slope
).sum()
numeric = complex_step(mean_of, few._asdict())["unary"]
confirm("20.8", few.marginals()[1](slope[None]).unary, numeric)
square = lambda y: (
    (y * slope).sum((-1, -2)) ** 2,
    lambda d: (
        (2 * d * (y * slope).sum((-1, -2)))[..., None, None] * slope,
        {},
    ),
)
dq = (
    TABLE["straight_through"]
    .estimate(tiled(few, 20), square, sixes[None])
    .dq
)
exact = TABLE["exact"].estimate(few, lambda z: square(np.eye(2)[z])).dq
say(
    comparison(
        "dunary, of a square",
        moments(share_of, dq.unary)[0],
        exact.unary[0],
    )
)

(z,) = draw(rng, tiled(few, 100_000), 1, ("z",))
noise = -np.log(-np.log(rng.random((100_000, 6))))
noisy = few.unary[..., 1] - few.unary[..., 0] + noise
top = (noisy >= np.sort(noisy)[:, [-3]]).astype(int)
for how, drawn in (("backwards", z[0]), ("Gumbel-top-k", top)):
    found = (drawn[:, None] == sixes).all(-1).mean(0)
    away = abs(found - share_of).sum() / 2
    print(f"{how:12} total variation from q: {away:.3f}")

# %% [markdown]
# **If only the most probable code can be computed**, as by a solver for routes, *I-MLE* (Niepert et al. 2021) takes two of them under the same noise $G$, the second after a step of length $\lambda$ down the slope:
#
# $$z = \arg\max(u + G), \qquad z' = \arg\max\bigl(u + G - \lambda f'(z)\bigr) ,$$
#
# $$du = \frac{z - z'}{\lambda}, \qquad \mathbb{E}[du] = \frac{\mathrm{softmax}(u) - \mathrm{softmax}(u - \lambda f')}{\lambda} , \tag{20.21}$$
#
# with codes as one-hots. The mean is that of one categorical and affine $f$. It is a difference quotient in the place of the derivative. A small $\lambda$ makes it right, and costs variance. Here are both, over all pairs of winners, in units of the gradient's norm and of its square. Straight-through has no bias and no variance here:

# %%
one, g = rng.standard_normal((2, 3))
exact = softmax(one)[1](g)
f = lambda y: (
    (y * g).sum((-1, -2)),
    lambda d: (d[..., None, None] * g, {}),
)
for lam in (2, 0.5, 0.1):
    u, weights = every_winner(one, one - lam * g)
    many = tiled(one[None, None], len(weights))
    du = implicit_mle(many, f, u, lam=lam).dlogits[:, 0]
    mean, variance = moments(weights, du)
    moved = softmax(one - lam * g)[0]
    confirm("20.21", mean, (softmax(one)[0] - moved) / lam)
    off = np.linalg.norm(mean - exact) / np.linalg.norm(exact)
    spread = variance.sum() / (exact @ exact)
    print(f"lambda {lam:3}: bias {off:.0%}, variance {spread:.1f}")

# %% [markdown]
# ## 11 Break it
#
# In a sum over paths, indices are easily exchanged: $A_n[j, i]$ for $A_n[i, j]$ in the backward half. $\log Z$ stays right, because the forward half is right. Only the gradient is wrong, and training goes on with it. The complex step sees it:

# %%
turned = np.einsum("mb,mni,mnj->bnji", chance, hot[:, :-1], hot[:, 1:])
numeric = complex_step(
    lambda arrays: Chain(**arrays).log_partition()[0].sum(), q._asdict()
)
say(comparison("dpairwise", turned, numeric["pairwise"]))

# %% [markdown]
# ## Reading
#
# - L. Rabiner, *A tutorial on hidden Markov models and selected applications in speech recognition*, 1989: forward, backward, Viterbi.
# - J. Eisner, *Inside-outside and forward-backward algorithms are just backprop*, 2016.
# - Y. Fu, C. Tan, B. Bi, M. Chen, Y. Feng, A. Rush, *Latent template induction with Gumbel-CRFs*, 2020: a relaxation for chains.
# - M. Paulus, D. Choi, D. Tarlow, A. Krause, C. Maddison, *Gradient estimation with stochastic softmax tricks*, 2020.
# - K. Ahmed, Z. Zeng, M. Niepert, G. Van den Broeck, *SIMPLE: a gradient estimator for k-subset sampling*, 2023: straight-through the marginals.
# - M. Niepert, P. Minervini, L. Franceschi, *Implicit MLE: backpropagating through discrete exponential family distributions*, 2021.
# - A. Mnih, K. Gregor, *Neural variational inference and learning in belief networks*, 2014: autoregressive and layered posteriors, and their score.
#
# Next: [21 Quantised codes](21_quantised_codes.ipynb)

# %% [markdown] exercise 20.1: 3 points
# ## 20.1 Implement: the forward algorithm
#
# Write `log_partition(unary, pairwise)`: potentials (B, N, K) and (B, N-1, K, K); return $\log Z$, (B,), by [Eq. 20.2]. About 5 lines. Some cases have 30 latents, and some have potentials in the hundreds.


# %% solution 20.1
def log_partition(unary, pairwise):
    """log of the sum over all codes of e^score: (B,)."""
    ### BEGIN SOLUTION
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        joint = a[:, :, None] + pairwise[:, n]
        top = joint.max(1)
        a = top + np.log(np.exp(joint - top[:, None]).sum(1))
        a = a + unary[:, n + 1]
    top = a.max(1)
    return top + np.log(np.exp(a - top[:, None]).sum(1))
    ### END SOLUTION


# %% check 20.1
from dvae_np.lesson import judge

judge("20.1", log_partition)


# %% right 20.1
def log_partition(unary, pairwise):
    message = unary[:, -1]  # from the right
    for n in range(unary.shape[1] - 2, -1, -1):
        message = unary[:, n] + np.logaddexp.reduce(
            pairwise[:, n] + message[:, None], axis=2
        )
    return np.logaddexp.reduce(message, axis=1)


# %% wrong 20.1: the score of the best code
def log_partition(unary, pairwise):
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        a = unary[:, n + 1] + (a[:, :, None] + pairwise[:, n]).max(1)
    return a.max(1)


# %% wrong 20.1: turned round
def log_partition(unary, pairwise):
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        a = unary[:, n + 1] + np.logaddexp.reduce(
            a[:, None] + pairwise[:, n], axis=2
        )
    return np.logaddexp.reduce(a, axis=1)


# %% wrong 20.1: without the first latent
def log_partition(unary, pairwise):
    a = 0 * unary[:, 0]
    for n in range(unary.shape[1] - 1):
        a = unary[:, n + 1] + np.logaddexp.reduce(
            a[:, :, None] + pairwise[:, n], axis=1
        )
    return np.logaddexp.reduce(a, axis=1)


# %% wrong 20.1: the best ending alone
def log_partition(unary, pairwise):
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        a = unary[:, n + 1] + np.logaddexp.reduce(
            a[:, :, None] + pairwise[:, n], axis=1
        )
    return a.max(1)


# %% wrong 20.1: take off the maximum
def log_partition(unary, pairwise):
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        joint = a[:, :, None] + pairwise[:, n]
        a = unary[:, n + 1] + np.log(np.exp(joint).sum(1))
    return np.log(np.exp(a).sum(1))


# %% wrong 20.1: yours is nan
def log_partition(unary, pairwise):
    message = np.exp(unary[:, 0])
    for n in range(unary.shape[1] - 1):
        message = (
            np.exp(unary[:, n + 1])
            * (message[:, None] @ np.exp(pairwise[:, n]))[:, 0]
        )
    return np.log(message.sum(1))


# %% [markdown] exercise 20.2: 3 points
# ## 20.2 Implement: its backward pass
#
# Write `marginals(w, last)`: `w` (B, N-1, K, K) has $w_n[i, j] = q(z_n = i \mid z_{n+1} = j)$, and `last` (B, K) is $\mu_N$; return all $\mu_n$, (B, N, K), by [Eq. 20.3]. About 4 lines.


# %% solution 20.2
def marginals(w, last):
    """q(z_n = k) of all latents, from the last to the first: (B, N, K)."""
    ### BEGIN SOLUTION
    mu = [last]
    for n in range(w.shape[1] - 1, -1, -1):
        mu.append((w[:, n] * mu[-1][:, None]).sum(2))
    return np.stack(mu[::-1], 1)
    ### END SOLUTION


# %% check 20.2
from dvae_np.lesson import judge

judge("20.2", marginals)


# %% right 20.2
def marginals(w, last):
    B, edges, K, _ = w.shape
    mu = np.zeros((B, edges + 1, K))
    mu[:, -1] = last
    for n in reversed(range(edges)):
        mu[:, n] = np.einsum("bij,bj->bi", w[:, n], mu[:, n + 1])
    return mu


# %% wrong 20.2: turned round
def marginals(w, last):
    mu = [last]
    for n in range(w.shape[1] - 1, -1, -1):
        mu.append((w[:, n] * mu[-1][:, :, None]).sum(1))
    return np.stack(mu[::-1], 1)


# %% wrong 20.2: in the wrong order
def marginals(w, last):
    mu = [last]
    for n in range(w.shape[1] - 1, -1, -1):
        mu.append((w[:, n] * mu[-1][:, None]).sum(2))
    return np.stack(mu, 1)


# %% wrong 20.2: from the first step on
def marginals(w, last):
    mu = [last]
    for n in range(w.shape[1]):
        mu.append((w[:, n] * mu[-1][:, None]).sum(2))
    return np.stack(mu[::-1], 1)


# %% [markdown] exercise 20.3: 3 points
# ## 20.3 Derive: what the second code pays
#
# Two codes, the second drawn given the first: logits `l1` (B, K), and `l2` (B, K, K), whose row $i$ is for $z_1 = i$. Write `first_gradient(l1, l2)`: the gradient of $\mathrm{KL}(q \,\Vert\, \text{uniform})$ in `l1`, (B, K), exactly, with the second code's KL as a
# reward as in [Eq. 20.16], averaged over both codes. About 4 lines. The entries of each example must add up to 0.


# %% solution 20.3
def first_gradient(l1, l2):
    """d KL(q || uniform) / d l1: (B, K)."""
    ### BEGIN SOLUTION
    log_first, log_second = log_softmax(l1)[0], log_softmax(l2)[0]
    later = (np.exp(log_second) * log_second).sum(-1)  # less log K
    cost = log_first + later
    first = np.exp(log_first)
    return first * (cost - (first * cost).sum(-1, keepdims=True))
    ### END SOLUTION


# %% check 20.3
from dvae_np.lesson import judge

judge("20.3", first_gradient)


# %% right 20.3
def first_gradient(l1, l2):
    K = l1.shape[-1]
    q1, q2 = (
        np.exp(l - l.max(-1, keepdims=True))
        / np.exp(l - l.max(-1, keepdims=True)).sum(-1, keepdims=True)
        for l in (l1, l2)
    )
    cost = np.log(K * q1) + (q2 * np.log(K * q2)).sum(-1)
    J = np.eye(K) * q1[:, None] - q1[:, None] * q1[..., None]
    return np.einsum("bij,bj->bi", J, cost)


# %% wrong 20.3: later KL
def first_gradient(l1, l2):
    log_first = log_softmax(l1)[0]
    first = np.exp(log_first)
    mean = (first * log_first).sum(-1, keepdims=True)
    return first * (log_first - mean)


# %% wrong 20.3: of the second code's KL alone
def first_gradient(l1, l2):
    first, log_second = np.exp(log_softmax(l1)[0]), log_softmax(l2)[0]
    later = (np.exp(log_second) * log_second).sum(-1)
    return first * (later - (first * later).sum(-1, keepdims=True))


# %% wrong 20.3: add up to 0
def first_gradient(l1, l2):
    log_first, log_second = log_softmax(l1)[0], log_softmax(l2)[0]
    later = (np.exp(log_second) * log_second).sum(-1)
    return np.exp(log_first) * (log_first + later)


# %% wrong 20.3: before its mean is taken off
def first_gradient(l1, l2):
    log_first, log_second = log_softmax(l1)[0], log_softmax(l2)[0]
    later = (np.exp(log_second) * log_second).sum(-1)
    first = np.exp(log_first)
    mean = (first * log_first).sum(-1, keepdims=True)
    return first * (log_first - mean) + first * later


# %% wrong 20.3: sign
def first_gradient(l1, l2):
    log_first, log_second = log_softmax(l1)[0], log_softmax(l2)[0]
    later = -(np.exp(log_second) * log_second).sum(-1)
    cost = log_first + later
    first = np.exp(log_first)
    return first * (cost - (first * cost).sum(-1, keepdims=True))


# %% [markdown] exercise 20.4: 1 point
# ## 20.4 Find the bug: a transition matrix
#
# `log_prior(z, initial, transition)` is $\log p(z)$ of [Eq. 20.10], (M,), for codes `z` (M, N); `initial` (K,) and `transition` (K, K) are *logits*, row $i$ of the latter for $z_n = i$. One step is wrong: summed over all codes, $p(z)$ is not 1. Correct one line.
#
# ```python
# first = log_softmax(initial)[0]
# steps = log_softmax(transition.T)[0].T
# return first[z[:, 0]] + steps[z[:, :-1], z[:, 1:]].sum(1)
# ```


# %% solution 20.4
def log_prior(z, initial, transition):
    """log p(z) of a Markov chain with one transition matrix: (M,)."""
    first = log_softmax(initial)[0]
    ### BEGIN SOLUTION
    steps = log_softmax(transition)[0]
    ### END SOLUTION
    return first[z[:, 0]] + steps[z[:, :-1], z[:, 1:]].sum(1)


# %% check 20.4
from dvae_np.lesson import judge

judge("20.4", log_prior)


# %% right 20.4
def log_prior(z, initial, transition):
    first = np.exp(initial) / np.exp(initial).sum()
    T = np.exp(transition)
    T = T / T.sum(1, keepdims=True)
    chance = first[z[:, 0]]
    for n in range(z.shape[1] - 1):
        chance = chance * T[z[:, n], z[:, n + 1]]
    return np.log(chance)


# %% wrong 20.4: over the code before
def log_prior(z, initial, transition):
    first = log_softmax(initial)[0]
    steps = log_softmax(transition.T)[0].T
    return first[z[:, 0]] + steps[z[:, :-1], z[:, 1:]].sum(1)


# %% wrong 20.4: a .T is left
def log_prior(z, initial, transition):
    first, steps = log_softmax(initial)[0], log_softmax(transition.T)[0]
    return first[z[:, 0]] + steps[z[:, :-1], z[:, 1:]].sum(1)


# %% wrong 20.4: from the later code to the earlier
def log_prior(z, initial, transition):
    first, steps = log_softmax(initial)[0], log_softmax(transition)[0]
    return first[z[:, 0]] + steps[z[:, 1:], z[:, :-1]].sum(1)


# %% wrong 20.4: not normalised
def log_prior(z, initial, transition):
    return initial[z[:, 0]] + transition[z[:, :-1], z[:, 1:]].sum(1)


# %% wrong 20.4: the first code
def log_prior(z, initial, transition):
    steps = log_softmax(transition)[0]
    return steps[z[:, :-1], z[:, 1:]].sum(1)


# %% [markdown] exercise 20.5: 2 points
# ## 20.5 Implement: how often an item is among the k
#
# Write `inclusion(w, k)`: `w` (B, N) holds the weights $e^{u_n[1] - u_n[0]}$ of the items; return $q(z_n = 1)$ of exactly $k$ of $N$ items, (B, N), by [Eq. 20.20] or by polynomials. About 8 lines. The entries of each example add up to $k$.


# %% solution 20.5
def inclusion(w, k):
    """The probability of each item to be one of the k: (B, N)."""
    ### BEGIN SOLUTION
    B, N = w.shape

    def sums(items):  # (B, k+1): over all choices with j of them
        total = np.zeros((B, k + 1))
        total[:, 0] = 1
        for n in items:
            total[:, 1:] = total[:, 1:] + w[:, [n]] * total[:, :-1]
        return total

    rest = [sums(m for m in range(N) if m != n) for n in range(N)]
    part = np.stack([w[:, n] * rest[n][:, k - 1] for n in range(N)], 1)
    return part / sums(range(N))[:, [k]]
    ### END SOLUTION


# %% check 20.5
from dvae_np.lesson import judge

judge("20.5", inclusion)


# %% right 20.5
def inclusion(w, k):
    a = np.zeros((w.shape[1] + 1, len(w), k + 1))
    a[0, :, 0] = 1
    for n in range(w.shape[1]):
        a[n + 1] = a[n]
        a[n + 1, :, 1:] += w[:, [n]] * a[n, :, :-1]
    count, found = np.zeros_like(a[0]), []
    count[:, k] = 1
    for n in range(w.shape[1] - 1, -1, -1):
        on = np.zeros_like(count)
        on[:, 1:] = w[:, [n]] * a[n, :, :-1]
        on = count * on / np.maximum(a[n + 1], 1e-300)
        found.append(on.sum(1))
        count = count - on
        count[:, :-1] += on[:, 1:]
    return np.stack(found[::-1], 1)


# %% wrong 20.5: by itself
def inclusion(w, k):
    return w / (1 + w)


# %% wrong 20.5: k times
def inclusion(w, k):
    return k * w / w.sum(1, keepdims=True)


# %% wrong 20.5: k of the other items
def inclusion(w, k):
    B, N = w.shape

    def sums(items):
        total = np.zeros((B, k + 1))
        total[:, 0] = 1
        for n in items:
            total[:, 1:] = total[:, 1:] + w[:, [n]] * total[:, :-1]
        return total

    rest = [sums(m for m in range(N) if m != n) for n in range(N)]
    part = np.stack([w[:, n] * rest[n][:, k] for n in range(N)], 1)
    return part / sums(range(N))[:, [k]]


# %% wrong 20.5: is not in the subset
def inclusion(w, k):
    B, N = w.shape

    def sums(items):
        total = np.zeros((B, k + 1))
        total[:, 0] = 1
        for n in items:
            total[:, 1:] = total[:, 1:] + w[:, [n]] * total[:, :-1]
        return total

    rest = [sums(m for m in range(N) if m != n) for n in range(N)]
    part = np.stack([rest[n][:, k] for n in range(N)], 1)
    return part / sums(range(N))[:, [k]]


# %% wrong 20.5: an item may come again
def inclusion(w, k):
    B, N = w.shape

    def sums(items):
        total = np.zeros((B, k + 1))
        total[:, 0] = 1
        for n in items:
            for j in range(1, k + 1):
                total[:, j] = total[:, j] + w[:, n] * total[:, j - 1]
        return total

    rest = [sums(m for m in range(N) if m != n) for n in range(N)]
    part = np.stack([w[:, n] * rest[n][:, k - 1] for n in range(N)], 1)
    return part / sums(range(N))[:, [k]]


# %% wrong 20.5: without replacement
def inclusion(w, k):
    B, N = w.shape
    found = np.zeros((B, N))
    for b in range(B):
        chance = {(): 1.0}
        for _ in range(k):
            further = {}
            for taken, p in chance.items():
                left = [n for n in range(N) if n not in taken]
                for n in left:
                    key = tuple(sorted((*taken, n)))
                    further[key] = (
                        further.get(key, 0) + p * w[b, n] / w[b, left].sum()
                    )
            chance = further
        for taken, p in chance.items():
            found[b, list(taken)] += p
    return found


# %% [markdown] written 20.W: 3 points
# ## 20.W In words: a chain that remembers two
#
# Let each latent depend on the *two* before it. The potentials are $u_n[k]$ for a latent, and $A_n[i, j, k]$ for three neighbours $z_n, z_{n+1}, z_{n+2}$. As
# in [Eq. 20.1], $q(z)$ is the exponential of the sum of all potentials, divided by $Z$.
#
# (a) Write a forward recursion for $\log Z$, with a table that has an entry for each *pair* of neighbours. How many terms has a step? Compare with $K^N$.
#
# (b) A student makes one latent of each pair $(z_n, z_{n+1})$, with $K^2$ categories, and uses this lesson's chain as it is. Is it right? How many terms has
# a step, and how many of them are not zero?
#
# (c) Show from the definition of $Z$, without a recursion, that $\partial \log Z / \partial u_n[k] = q(z_n = k)$ here too. Half a page in all.

# %% [markdown] model 20.W
# (a) Let $a_n[i, j]$ be the logarithm of the sum over all beginnings that end in $z_{n-1} = i$, $z_n = j$. Then $a_2[i, j] = u_1[i] + u_2[j]$ and
# $a_{n+1}[j, k] = u_{n+1}[k] + \log \sum_i e^{a_n[i, j] + A_{n-1}[i, j, k]}$. At the end $\log Z = \log \sum_{j, k} e^{a_N[j, k]}$. All beginnings with the
# same last two categories share what comes after them. A step has $K^2$ entries of $K$ terms each, $K^3$ in all, and there are $N - 2$ steps. So the cost
# grows linearly in $N$, in place of $K^N$.
#
# (b) It is right, if two neighbouring pairs that do not agree in their common latent get the potential $-\infty$. Each $u_n$ must be counted in one pair
# only, and $A_n$ becomes the potential of two neighbouring pairs. But a step of a chain with $K^2$ categories has $K^4$ terms. Of these only $K^3$ have pairs
# that agree. The others are zero: the student works $K$ times as much as needed, and stores as much more.
#
# (c) $Z = \sum_z e^{\mathrm{sum}(z)}$, where $\mathrm{sum}(z)$ contains $u_n[k]$ once if $z_n = k$, and else not. So
# $\frac{\partial \log Z}{\partial u_n[k]} = \frac{1}{Z} \sum_z [z_n = k]\, e^{\mathrm{sum}(z)} = \sum_z [z_n = k]\, q(z) = q(z_n = k)$. This holds for every
# law that is the exponential of a sum of potentials.
#
# *Marks:* 1 for the recursion and its $K^3$ terms; 1 for (b) with $K^4$ and $K^3$; 1 for (c).
