"""Lesson 06: what a baseline does to the variance of REINFORCE."""

import numpy as np

from dvae_np.check import toys
from dvae_np.check.exactly import row_moments
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes
from dvae_np.ops import softmax


def exact_variance(name, logits, f, S, **hyper):
    """The total variance of an estimator's gradient at S samples, over every outcome of its codes."""
    return row_moments(TABLE[name], logits, f, S, hyper).variance


def baselines(figure, K=4, seed=0):
    """Left: exact variance against a constant baseline. Right: against the number of samples, for each baseline."""
    rng = np.random.default_rng(seed)
    logits, table = rng.standard_normal((1, 1, K)), 3 + rng.standard_normal(K)
    f, q = toys.lookup_table(table), softmax(logits)[0][0, 0]
    squares = 1 - 2 * q + (q**2).sum()  # of the score, ||onehot(k) - q||^2
    best = float((q * squares * table).sum() / (q * squares).sum())
    left, right = figure.subplots(1, 2)
    constants = np.linspace(best - 4, best + 4, 41)
    left.plot(constants, [exact_variance("reinforce", logits, f, 1, baseline=b) for b in constants], color="#D55E00")
    for b, words, place in ((0.0, "none", (6, 3)), (float(q @ table), "E[f]", (8, 50)), (best, "optimal", (-8, 70))):
        point = b, exact_variance("reinforce", logits, f, 1, baseline=b)
        left.plot(*point, "o", color="black", markersize=5)
        side = "right" if place[0] < 0 else "left"
        arrow = {"arrowstyle": "-", "linewidth": 0.6} if place[1] > 10 else None
        left.annotate(words, point, place, textcoords="offset points", fontsize=8, ha=side, arrowprops=arrow)
    open_axes(left, xlabel="constant baseline b (nats)", ylabel="exact variance (nats$^2$), S = 1", ylim=(0, None))
    samples = (1, 2, 3, 4, 5)
    for name, hyper, words in (
        ("reinforce", {}, "no baseline"),
        ("reinforce", {"baseline": best}, "optimal constant"),
        ("reinforce_optimal", {}, "reinforce_optimal: estimated"),
        ("reinforce_loo", {}, "reinforce_loo"),
    ):
        own = [S for S in samples if S >= TABLE[name].fewest_samples]
        style = STYLE[name] | ({"linestyle": "--", "marker": "^"} if hyper else {})
        right.plot(own, [exact_variance(name, logits, f, S, **hyper) for S in own], **style, markersize=4, label=words)
    open_axes(right, xlabel="samples S (evaluations of f)", yscale="log", xticks=samples)
    right.legend(frameon=False, fontsize=8)
