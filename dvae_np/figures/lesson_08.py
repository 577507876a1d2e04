"""Lesson 08: up to which degree of f straight-through and its successors are exact, and how far off beyond."""

import numpy as np

from dvae_np.check import enumeration, toys
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes


def relative_bias(name, logits, f, noise, weights):
    """|mean - exact gradient| / |exact gradient|, the mean over every outcome of the noise."""
    exact = TABLE["exact"].estimate(logits, f).dlogits[0]
    dlogits = TABLE[name].estimate(enumeration.tiled(logits, len(weights)), f, *noise).dlogits
    mean, _ = enumeration.moments(weights, dlogits)
    return float(np.linalg.norm(mean - exact) / np.linalg.norm(exact))


def polynomial_degree(figure, K=3, seed=0, many=400):
    """Left: exact relative bias against the degree of f. Right: ReinMax beside straight-through on random problems."""
    rng = np.random.default_rng(seed)
    logits, w = rng.standard_normal((1, 1, K)), rng.standard_normal((2, 1, K))
    nodes, node_weights, _ = enumeration.gumbel_nodes(logits, 100)
    codes, weights = enumeration.every_code(logits, 1)
    left, right = figure.subplots(1, 2)
    degrees = (1, 2, 3, 4, 5)
    for name in ("straight_through", "reinmax", "gapped_straight_through", "straight_through_gumbel"):
        law = ([nodes["u"]], node_weights) if TABLE[name].noise == ("u",) else ([codes], weights)
        bias = [relative_bias(name, logits, toys.polynomial(w, degree), *law) for degree in degrees]
        # two lines nearly coincide: the markers of one are large and hollow
        marker = {"markersize": 11, "markerfacecolor": "none"} if name == "reinmax" else {"markersize": 5}
        left.plot(degrees, bias, **STYLE[name], **marker, label=name)
    open_axes(left, xlabel="degree of f", ylabel="bias / length of the gradient", xticks=degrees, ylim=(-0.03, 1.25))
    left.legend(frameon=False, fontsize=8, loc="upper left")

    pairs, rng = [], np.random.default_rng(6)
    for _ in range(many):
        logits, f = rng.standard_normal((1, 1, K)), toys.polynomial(rng.standard_normal((2, 1, K)), 3)
        codes, weights = enumeration.every_code(logits, 1)
        pairs.append([relative_bias(name, logits, f, [codes], weights) for name in ("straight_through", "reinmax")])
    pairs = np.array(pairs)
    right.scatter(*pairs.T, s=9, color=STYLE["reinmax"]["color"], alpha=0.7)
    ends = np.array([pairs.min(), pairs.max()])
    right.plot(ends, ends, color="black", linewidth=1)
    share = (pairs[:, 1] < pairs[:, 0]).mean()
    right.set_title(f"ReinMax closer in {share:.0%} of {many} problems", fontsize=9)
    open_axes(right, xlabel="bias of straight-through", ylabel="bias of ReinMax", xscale="log", yscale="log")
