"""Lesson 10: what a control variate on relaxed samples buys, and how its two tunables decide it."""

import numpy as np

from dvae_np.check import enumeration, gumbel, toys
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes

NODES = 100  # of the quadrature, in each of two dimensions


def best_constant(q, values):
    """The constant baseline of least variance for one latent: the mean of f weighed by q and the squared scores [Eq. 6.2]."""
    weight = q * (1 - 2 * q + (q**2).sum())
    return weight @ values / weight.sum()


def rebar(figure, K=3, seed=1):
    """Exact variance of REBAR against eta for four temperatures, beside REINFORCE's, the best constant's and MuProp's."""
    rng = np.random.default_rng(seed)
    logits, w = rng.standard_normal((1, 1, K)), 0.5 * rng.standard_normal((2, 1, K)) + 0.6
    f, axes = toys.polynomial(w, 3), figure.subplots()
    outcomes, weights, winner = enumeration.gumbel_nodes(logits, NODES)
    etas = np.linspace(0, 1.5, 31)
    shades = (("#56B4E9", "^"), (STYLE["rebar"]["color"], "D"), ("#003F66", "v"), ("#000000", "P"))
    for tau, (color, marker) in zip((0.1, 0.3, 1.0, 4.0), shades, strict=True):
        three = []
        for eta in (0.0, 0.5, 1.0):  # a parabola is known by three of its points
            omega = {"eta": np.array(eta), "log_tau": np.array(np.log(tau))}
            noise = (outcomes["u"], outcomes["v"])
            three.append(gumbel.additive_variance(TABLE["rebar"], logits, f, noise, weights, winner, {"omega": omega}))
        parabola = np.polyfit((0.0, 0.5, 1.0), three, 2)
        axes.plot(etas, np.polyval(parabola, etas), color=color, marker=marker, markevery=5, markersize=5,
                  label=f"rebar, tau = {tau:g}")  # fmt: skip
        best = -parabola[1] / (2 * parabola[0])
        if best < etas[-1]:
            axes.plot(best, np.polyval(parabola, best), "o", color="black", markersize=7, markerfacecolor="none")
    z, chances = enumeration.every_code(logits, 1)
    for name in ("reinforce", "muprop"):
        estimate = TABLE[name].estimate(enumeration.tiled(logits, K), f, z)
        level = float(enumeration.moments(chances, estimate.dlogits)[1].sum())
        axes.axhline(level, color=STYLE[name]["color"], linestyle=STYLE[name]["linestyle"], linewidth=1)
        axes.annotate(name, (1.52, level), (0, 3), textcoords="offset points", fontsize=8, ha="right")
    best = best_constant(chances, f(z)[0][0])
    estimate = TABLE["reinforce"].estimate(enumeration.tiled(logits, K), f, z, baseline=best)
    level = float(enumeration.moments(chances, estimate.dlogits)[1].sum())
    axes.axhline(level, color="black", linestyle=(0, (1, 1)), linewidth=1.2)
    axes.annotate("best constant", (0, level), (0, 3), textcoords="offset points", fontsize=8)
    open_axes(axes, xlabel="eta, the weight of the control variate", ylabel="exact variance (nats$^2$), S = 1",
              yscale="log")  # fmt: skip
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
