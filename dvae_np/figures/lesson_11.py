"""Lesson 11: the exact variance falls as the tunables learn."""

import numpy as np

from dvae_np.arrays import is_codes, one_hot
from dvae_np.check import enumeration
from dvae_np.check.gumbel import NODES, additive_variance
from dvae_np.check.means import defaults
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes
from dvae_np.noise import draw
from dvae_np.train import Adam

T = 0.45  # the target of the toy


def toy(z):
    """f(z) = (z_1 - T)^2 for one binary latent, codes or relaxed codes: the toy of the RELAX paper, (S, B)."""
    y = one_hot(z, 2, float) if is_codes(z) else z
    away = y[..., 0, 1] - T  # (S, B)

    def backward(dfz):
        dy = np.stack([0 * away, 2 * away * dfz], -1)[..., None, :]
        return (None if is_codes(z) else dy), {}

    return away**2, backward


def exact_variance(name, logits, omega):
    """The total variance of the estimator's gradient, by quadrature over its Gumbel noise."""
    row = TABLE[name]
    outcomes, weights, winner = enumeration.gumbel_nodes(logits, NODES)
    noise = tuple(outcomes[which] for which in row.noise)
    return additive_variance(row, logits, toy, noise, weights, winner, {"omega": omega})


def learned(name, logits, steps, every, batch=32, seed=0):
    """(steps, exact variances) while the tunables descend on the squared estimate, the logits fixed."""
    row, rng = TABLE[name], np.random.default_rng(seed)
    omega = {key: np.array(value) for key, value in defaults(row, 1, 2)["omega"].items()}
    tree = {"omega": omega}
    optimiser, many = Adam(tree, 0.01), enumeration.tiled(logits, batch)
    points = [(0, exact_variance(name, logits, tree["omega"]))]
    for step in range(1, steps + 1):
        domega = row.estimate(many, toy, *draw(rng, many, 1, row.noise), omega=tree["omega"]).domega
        optimiser.step({"omega": {key: gradient / batch for key, gradient in domega.items()}})
        if step % every == 0:
            points.append((step, exact_variance(name, logits, tree["omega"])))
    return np.array(points).T


def relax(figure, steps=600, every=50):
    """Left: one binary latent at even odds; right: at odds of nine to one. Exact variance against steps of the tunables."""
    panels = figure.subplots(1, 2)
    for axes, odds in zip(panels, (1.0, 9.0), strict=True):
        logits = np.log(np.array([[[1.0, odds]]]))
        z, weights = enumeration.every_code(logits, 1)
        reinforce = TABLE["reinforce"].estimate(enumeration.tiled(logits, 2), toy, z)
        variance = enumeration.moments(weights, reinforce.dlogits)[1].sum()
        axes.axhline(variance, color=STYLE["reinforce"]["color"], linestyle=":", label="reinforce")
        for name in ("rebar", "relax"):
            points = learned(name, logits, steps, every)
            axes.plot(*points, **STYLE[name], markersize=4, label=name)
        open_axes(axes, xlabel="steps of the tunables", yscale="log", title=f"p(z = 1) = {odds / (1 + odds):.1f}")
        axes.title.set_fontsize(9)
    panels[0].set_ylabel("exact variance (nats$^2$), S = 1")
    panels[0].legend(frameon=False, fontsize=8)
