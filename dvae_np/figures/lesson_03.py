"""Lesson 03: reconstruction and KL, their sum above -log p(x), and what a weight on the KL does."""

import numpy as np

from dvae_np.categorical import kl
from dvae_np.figures.style import open_axes
from dvae_np.ops import softmax

COSTS = np.array([1.0, 2.0, 4.0, 3.0])  # -log p(x|z) of each category, in nats
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)


def parts(sharpness):
    """Reconstruction and KL to the uniform prior of q proportional to p(x|z)^sharpness, in nats."""
    logits = -np.asarray(sharpness)[:, None] * COSTS  # (T, K)
    return softmax(logits)[0] @ COSTS, kl(logits[:, None])[0]


def elbo(figure):
    """Left: both parts as q goes from prior through posterior to one-hot. Right: the best pairs, one for each beta."""
    left, right = figure.subplots(1, 2)
    t = np.linspace(0, 3, 301)
    expected, divergence = parts(t)
    evidence = np.log(len(COSTS)) - np.log(np.exp(-COSTS).sum())  # -log p(x)
    left.plot(t, expected, color="#0072B2", linestyle="--", label="distortion")
    left.plot(t, divergence, color="#D55E00", linestyle=":", label="rate")
    left.plot(t, expected + divergence, color="black", linewidth=2, label="negative ELBO, their sum")
    left.axhline(evidence, color="grey", linewidth=1)
    left.fill_between(t, evidence, expected + divergence, color="black", alpha=0.12, linewidth=0)
    left.annotate(
        "gap: KL(q || posterior)", (2.3, 2.06), (1.3, 2.42), fontsize=8, arrowprops={"arrowstyle": "-", "lw": 0.7}
    )
    left.annotate("-log p(x)", (3, evidence), (0, -11), textcoords="offset points", fontsize=8, ha="right")
    left.plot([1], [evidence], "o", color="black", markersize=5)
    open_axes(left, xlabel="sharpness of q: 0 prior, 1 posterior", ylabel="nats", ylim=(0, 3.4))
    left.legend(frameon=False, fontsize=8, loc="upper right")

    expected, divergence = parts(np.linspace(0, 4.5, 301))
    right.plot(divergence, expected, color="black", linewidth=1.5)
    for beta in WEIGHTS:
        (cost,), (nats,) = parts([1 / beta])
        right.plot([nats], [cost], "o", color="black", markersize=5)
        right.annotate(f"$\\beta$ = {beta:g}", (nats, cost), (5, 4), textcoords="offset points", fontsize=8)
    line = np.array([0.0, 0.95])
    right.plot(line, evidence - line, color="#0072B2", linestyle="--", linewidth=1)
    right.annotate("sum = -log p(x)", (0.06, 1.3), fontsize=8, color="#0072B2")
    open_axes(right, xlabel="rate (nats)", ylabel="distortion (nats)")
