"""Lesson 05: what sampling does to a gradient, and what a test by samples can see."""

import numpy as np
from scipy.stats import norm, t

from dvae_np.categorical import codes
from dvae_np.check import enumeration, toys, verdicts
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes


def deviation_along(name, logits, table):
    """The exact deviation of an estimator's gradient along the exact one, relative to its length, at S = 1."""
    f = toys.lookup_table(table)
    exact = TABLE["exact"].estimate(logits, f).dlogits[0]
    z, weights = enumeration.every_code(logits, 1)
    dlogits = TABLE[name].estimate(enumeration.tiled(logits, len(weights)), f, z).dlogits
    along = (dlogits * exact).sum((-1, -2)) / (exact**2).sum()
    return float(np.sqrt(enumeration.moments(weights, along)[1]))


def score_function(figure, N=2, K=3, seed=0):
    """Left: f of single samples against a logit, and its mean. Right: the bias that z-tests see, against the draws."""
    rng = np.random.default_rng(seed)
    logits, table = rng.standard_normal((1, N, K)), 2 + rng.standard_normal((K, K))
    f = toys.lookup_table(table)
    left, right = figure.subplots(1, 2)

    grid = np.linspace(-4, 4, 401)
    moved = np.repeat(logits, len(grid), 0)
    moved[:, 0, 0] = grid
    for i, u in enumerate(([0.35, 0.5], [0.6, 0.03], [0.8, 0.7])):
        steps = f(codes(moved, np.broadcast_to(u, (1, len(grid), N))))[0][0]
        left.plot(
            grid,
            steps,
            color="#888888",
            linestyle=("-", "--", ":")[i],
            label="f of one sample, u held" if not i else None,
        )
    left.plot(grid, enumeration.expectation(moved, f), color="black", linewidth=2.2, label="mean over all u")
    slope, value = TABLE["exact"].estimate(logits, f).dlogits[0, 0, 0], enumeration.expectation(logits, f)[0]
    near = logits[0, 0, 0] + np.array([-1.2, 1.2])
    left.plot(
        near,
        value + slope * (near - logits[0, 0, 0]),
        color="#D55E00",
        linestyle="-.",
        label="its tangent at our logit",
    )
    left.plot(logits[0, 0, 0], value, "o", color="#D55E00", markersize=5)
    open_axes(left, xlabel="one of the logits", ylabel="f (nats)", ylim=(None, table.max() + 1.1))
    left.legend(frameon=False, fontsize=8, loc="upper right")

    draws = np.geomspace(100, 1e8, 13)
    for constant, style in ((0, STYLE["reinforce"]), (100, STYLE["reinforce"] | {"linestyle": ":", "marker": "^"})):
        s = deviation_along("reinforce", logits, table + constant)
        c = t.isf(verdicts.FALSE_ALARM / (2 * (logits.size + 1)), draws - 1) + norm.isf(1 - verdicts.POWER)
        words = f"REINFORCE, f + {constant}" if constant else "REINFORCE, f"
        right.plot(draws, c * s / np.sqrt(draws), **style, markersize=4, label=words)
    right.axhline(verdicts.WORTH_SEEING, color="black", linewidth=0.8)
    right.annotate("5 %", (1.2e2, verdicts.WORTH_SEEING), (0, 3), textcoords="offset points", fontsize=8)
    open_axes(right, xlabel="draws R", ylabel="smallest relative bias seen", xscale="log", yscale="log")
    right.legend(frameon=False, fontsize=8)
