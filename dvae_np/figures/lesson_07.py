"""Lesson 07: what the temperature of Gumbel-Softmax buys and costs, and three things called KL."""

import numpy as np

from dvae_np.categorical import kl
from dvae_np.check import enumeration, toys
from dvae_np.concrete import plug_in_kl, relaxed_kl
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes
from dvae_np.laws import joint_states
from dvae_np.ops import log_softmax


def small_problem(K=3, seed=0, nodes=100):
    """One latent's logits, a smooth f, and quadrature nodes over its Gumbel noise: logits, f, u, weights."""
    rng = np.random.default_rng(seed)
    logits, f = rng.standard_normal((1, 1, K)), toys.polynomial(rng.standard_normal((2, 1, K)), 3)
    noise, weights, _ = enumeration.gumbel_nodes(logits, nodes)
    return logits, f, noise["u"], weights


def log_ratio_grid(K, width, points):
    """log y (T, 1, 1, K) on a grid of the K - 1 log-ratios log (y_k / y_K), each within width/2 of 0, and a cell's area."""
    line, step = np.linspace(-width / 2, width / 2, points, retstep=True)
    a = line[joint_states(K - 1, points)]  # (T, K - 1)
    return log_softmax(np.concatenate([a, np.zeros((len(a), 1))], 1))[0][:, None, None], step ** (K - 1)


def temperature(figure):
    """Left: exact relative bias of the gradient against the temperature. Right: its exact variance."""
    logits, f, u, weights = small_problem()
    many = enumeration.tiled(logits, len(weights))
    exact = TABLE["exact"].estimate(logits, f).dlogits[0]
    taus = np.geomspace(0.1, 4, 15)
    left, right = figure.subplots(1, 2)
    for name, words in (("gumbel_softmax", "Gumbel-Softmax"), ("straight_through_gumbel", "straight-through G.-S.")):
        found = [enumeration.moments(weights, TABLE[name].estimate(many, f, u, tau=tau).dlogits) for tau in taus]
        bias = [np.linalg.norm(mean - exact) / np.linalg.norm(exact) for mean, _ in found]
        left.plot(taus, bias, **STYLE[name], markersize=4, label=words)
        right.plot(taus, [variance.sum() for _, variance in found], **STYLE[name], markersize=4, label=words)
    z, chances = enumeration.every_code(logits, 2)
    loo = TABLE["reinforce_loo"].estimate(enumeration.tiled(logits, len(chances)), f, z)
    unbiased = np.full(len(taus), enumeration.moments(chances, loo.dlogits)[1].sum())
    style = {"color": STYLE["reinforce_loo"]["color"], "marker": "x", "linestyle": ":", "markersize": 4}
    left.plot(taus, 0 * taus, **style, label="reinforce_loo, S = 2")
    right.plot(taus, unbiased, **style, label="reinforce_loo, S = 2")
    open_axes(left, xlabel="temperature", ylabel="bias / length of the gradient", xscale="log", ylim=(-0.03, 1))
    open_axes(right, xlabel="temperature", ylabel="exact variance (nats$^2$)", xscale="log", yscale="log")
    left.legend(frameon=False, fontsize=8, loc="upper left")


def three_kls(figure):
    """Left: three things called KL against the temperature. Right: a loss that is no bound."""
    logits, f, u, weights = small_problem()
    many = enumeration.tiled(logits, len(weights))
    taus = np.geomspace(0.1, 4, 15)
    discrete = float(kl(logits)[0][0])
    left, right = figure.subplots(1, 2)
    for op, words, style in (
        (relaxed_kl, "relaxed", {"color": "#0072B2", "marker": "s", "linestyle": "--"}),
        (plug_in_kl, "plug-in", {"color": "#D55E00", "marker": "^", "linestyle": ":"}),
    ):
        left.plot(taus, [weights @ op(many, u, tau)[0][0] for tau in taus], **style, markersize=4, label=words)
    left.axhline(discrete, color="black", label="analytic")
    left.axhline(0, color="#888888", linewidth=0.8)
    left.axhspan(-0.035, 0, color="#EEEEEE")
    open_axes(left, xlabel="temperature", ylabel="mean (nats)", xscale="log", ylim=(-0.035, 0.18))
    left.legend(frameon=False, fontsize=8, loc="upper left")
    loss = [weights @ TABLE["gumbel_softmax"].estimate(many, f, u, tau=tau).value + discrete for tau in taus]
    right.plot(taus, loss, color="#0072B2", marker="o", linestyle="--", markersize=4, label="E[f(y)] + analytic KL")
    right.axhline(float(enumeration.expectation(logits, f)[0]) + discrete, color="black", label="exact negative ELBO")
    values = f(np.arange(logits.shape[-1])[:, None, None])[0][:, 0]
    evidence = -np.log(np.exp(-values).mean())
    right.axhline(evidence, color="#D55E00", linestyle="-.", label="-log p(x)")
    right.axhspan(0.6, evidence, color="#EEEEEE")
    open_axes(right, xlabel="temperature", ylabel="loss (nats)", xscale="log", ylim=(0.6, 1.4))
    right.legend(frameon=False, fontsize=8, loc="upper right")
