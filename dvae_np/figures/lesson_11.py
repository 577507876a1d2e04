"""Lesson 11: the exact variance falls as the tunables learn, beside what a constant baseline achieves alone."""

from functools import cache

import numpy as np

from dvae_np.arrays import is_codes, one_hot
from dvae_np.check import enumeration, toys
from dvae_np.check.gumbel import NODES, additive_variance
from dvae_np.check.means import defaults
from dvae_np.estimators import TABLE
from dvae_np.figures.lesson_10 import best_constant
from dvae_np.figures.style import STYLE, open_axes
from dvae_np.noise import draw
from dvae_np.train import Adam

T = 0.45  # the target of the toy
STEPS, EVERY, BATCH = 600, 50, 32  # of the tunables


def toy(z):
    """f(z) = (z_1 - T)^2 for one binary latent, codes or relaxed codes: the toy of the RELAX paper, (S, B)."""
    y = one_hot(z, 2, float) if is_codes(z) else z
    away = y[..., 0, 1] - T  # (S, B)

    def backward(dfz):
        dy = np.stack([0 * away, 2 * away * dfz], -1)[..., None, :]
        return (None if is_codes(z) else dy), {}

    return away**2, backward


def cubic():
    """(logits, f): one latent of three categories, and a cubic f whose variance no constant takes away."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((1, 1, 3)), toys.polynomial(0.5 * rng.standard_normal((2, 1, 3)) + 0.6, 3)


PROBLEMS = {
    "the paper's toy, K = 2": lambda: (np.zeros((1, 1, 2)), toy),
    "a cubic, K = 3": cubic,
}
CURVES = {  # name: (estimator, the tunables that learn, the weight of the relaxed f)
    "a constant alone": ("relax", ("b1",), 0.0),  # REINFORCE with a learned baseline
    "rebar": ("rebar", ("eta", "log_tau"), 1.0),
    "relax": ("relax", ("eta", "log_tau", "w0", "b0", "w1", "b1"), 1.0),
}


def exact_variance(name, logits, f, omega):
    """The total variance of the estimator's gradient, by quadrature over its Gumbel noise."""
    row = TABLE[name]
    outcomes, weights, winner = enumeration.gumbel_nodes(logits, NODES // (logits.shape[-1] - 1))
    noise = tuple(outcomes[which] for which in row.noise)
    return additive_variance(row, logits, f, noise, weights, winner, {"omega": omega})


def learned(logits, f, name, learning, eta, seed=0):
    """(steps, exact variances) while the tunables named in `learning` descend on the squared estimate, the logits fixed."""
    row, rng = TABLE[name], np.random.default_rng(seed)
    start = {key: np.array(value) for key, value in defaults(row, 1, logits.shape[-1])["omega"].items()}
    start["eta"] = np.array(eta)
    tree = {"omega": {key: start[key] for key in learning}}
    optimiser, many = Adam(tree, 0.01), enumeration.tiled(logits, BATCH)
    points = [(0, exact_variance(name, logits, f, start))]
    for step in range(1, STEPS + 1):
        noise = draw(rng, many, 1, row.noise)
        domega = row.estimate(many, f, *noise, omega={**start, **tree["omega"]}).domega
        optimiser.step({"omega": {key: domega[key] / BATCH for key in learning}})
        if step % EVERY == 0:
            points.append((step, exact_variance(name, logits, f, {**start, **tree["omega"]})))
    return np.array(points).T


@cache
def measured(problem):
    """Of one of `PROBLEMS`: {"reinforce" and "best constant": exact variance, each of `CURVES`: (steps, exact variances)}."""
    logits, f = PROBLEMS[problem]()
    z, q = enumeration.every_code(logits, 1)
    many = enumeration.tiled(logits, len(q))
    levels = {
        name: float(enumeration.moments(q, TABLE["reinforce"].estimate(many, f, z, baseline=b).dlogits)[1].sum())
        for name, b in (("reinforce", 0.0), ("best constant", best_constant(q, f(z)[0][0])))
    }
    return levels | {name: learned(logits, f, *how) for name, how in CURVES.items()}


def table():
    """The same as text: before learning, least, and at the end."""
    lines = []
    for problem in PROBLEMS:
        found = measured(problem)
        lines.append(
            f"{problem}: reinforce {found['reinforce']:.4f}, with the best constant {found['best constant']:.4f}"
        )
        for name in CURVES:
            _, variances = found[name]
            late = variances[len(variances) // 2 :]
            lines.append(
                f"    {name:17} {variances[0]:.4f} first, {variances[-1]:.3g} last; "
                f"{late.min():.3g} to {late.max():.3g} in the 2nd half"
            )
    return "\n".join(lines)


def relax(figure):
    """Exact variance against steps of the tunables, for both problems."""
    panels = figure.subplots(1, 2)
    looks = {name: STYLE[name] for name in ("rebar", "relax")}
    looks["a constant alone"] = STYLE["nvil"]
    for axes, problem in zip(panels, PROBLEMS, strict=True):
        found = measured(problem)
        axes.axhline(found["reinforce"], color=STYLE["reinforce"]["color"], linestyle=":", label="reinforce")
        if found["best constant"] > 1e-12:  # a logarithmic axis has no zero
            axes.axhline(found["best constant"], color="black", linestyle="--", linewidth=1, label="best constant")
        for name in CURVES:
            axes.plot(*found[name], **looks[name], markersize=4, label=name)
        open_axes(axes, xlabel="steps of the tunables", yscale="log", title=problem)
        axes.title.set_fontsize(9)
    panels[0].set_ylabel("exact variance (nats$^2$), S = 1")
    handles, labels = panels[1].get_legend_handles_labels()  # all curves are there
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False)
