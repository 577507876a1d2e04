"""Lesson 02: Gumbel-max, and why a sample has no slope while its mean has one."""

import numpy as np

from dvae_np import perturbed
from dvae_np.figures.style import open_axes
from dvae_np.ops import log_softmax, softmax

LOGITS = np.array([0.5, -1.0, 1.2])
TABLE = np.array([0.0, 1.0, 3.0])  # f of each category, in nats
LINES = (("#0072B2", "--"), ("#E69F00", ":"), ("#D55E00", "-."))


def gumbel_max(figure):
    """Left: densities of perturbed logits and of their largest. Right: f of a sample against a logit, and its mean."""
    left, right = figure.subplots(1, 2)
    t, q = np.linspace(-3.2, 6, 400), softmax(LOGITS)[0]
    for k, (color, dashes) in enumerate(LINES):
        gap = LOGITS[k] - t
        left.plot(
            t,
            np.exp(gap - np.exp(gap)),
            color=color,
            linestyle=dashes,
            label=f"$\\ell_{k} + G_{k}$: wins {q[k]:.0%}",
        )
        left.plot([LOGITS[k]] * 2, [0, 0.37], color=color, linestyle=(0, (1, 2)), linewidth=0.9)
    gap = LOGITS[0] - log_softmax(LOGITS)[0][0] - t  # log Z - t
    left.plot(t, np.exp(gap - np.exp(gap)), color="black", linewidth=2, label="the largest")
    open_axes(left, xlabel="perturbed logit (nats)", ylabel="density (per nat)", ylim=(0, 0.56))
    left.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)

    first = np.linspace(-3, 5, 801)
    many = np.stack([first, np.full_like(first, LOGITS[1]), np.full_like(first, LOGITS[2])], -1)[:, None]  # (B, 1, K)
    uniforms = np.array([[0.5, 0.5, 0.4], [0.3, 0.97, 0.2], [0.1, 0.3, 0.8]])
    for i, ((color, dashes), u) in enumerate(zip(LINES, uniforms, strict=True)):
        z = perturbed.gumbel_max(many, np.broadcast_to(u, (1, *many.shape)))[0, :, 0]
        right.plot(first, TABLE[z] + 0.05 * (i - 1), color=color, linestyle=dashes, label=f"noise {i + 1}")
    right.plot(first, softmax(many)[0][:, 0] @ TABLE, color="black", linewidth=2, label="mean over all noises")
    open_axes(right, xlabel="logit of category 0 (nats)", ylabel="f of the drawn category (nats)", ylim=(-0.2, 4.3))
    right.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
