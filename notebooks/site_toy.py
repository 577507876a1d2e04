"""One small problem for every estimator: its exact bias and variance there, and a picture of its gradients.

The problem is that of `dvae_np.experiments.tuning`: a cubic f of one latent with three categories, or of two binary latents
where an estimator takes no others. Nothing is estimated: every outcome of the codes is enumerated, Gumbel noise is integrated.
"""

from dataclasses import dataclass

import numpy as np

from dvae_np.check import enumeration, verdicts
from dvae_np.check.exactly import row_moments
from dvae_np.check.gumbel import NODES
from dvae_np.check.means import QUADRATURE, defaults, derivatives
from dvae_np.check.toys import polynomial
from dvae_np.figures.style import open_axes, save
from dvae_np.noise import draw

SAMPLES, DOTS = 2, 300
PLANES = {  # of gradients (N, K): an orthonormal basis of the numbers that add up to zero for each latent
    (1, 3): np.array([[1, -1, 0], [-1, -1, 2]]) / np.sqrt([[2], [6]]),
    (2, 2): np.array([[-1, 1, 0, 0], [0, 0, -1, 1]]) / np.sqrt(2),
}
WINDOW = 9  # lengths of the exact gradient, the width of a picture


@dataclass(frozen=True)
class Found:
    """What is known of an estimator on the toy."""

    S: int
    exact: np.ndarray  # the gradient that it is after (N, K)
    mean: np.ndarray  # of its own
    variance: float  # of one estimate, all entries together
    verdict: verdicts.Verdict  # on the mean
    how: str  # in words, how mean and variance were found

    @property
    def deviation(self):
        """The root of the variance, in lengths of the exact gradient."""
        return float(self.variance**0.5 / np.linalg.norm(self.exact))

    @property
    def bias(self):
        """In words: how much of the gradient's length, along it and in all."""
        if self.verdict.ok:
            return "none"
        at = self.verdict.measured
        return f"{at.along:+.1%} along the gradient, {np.hypot(at.along, at.across):.1%} in all".replace(
            "-", "\N{MINUS SIGN}"
        )


def plane(row):
    """In words, what the axes of the picture are."""
    if row.binary:
        return "The gradient of each latent has two entries that add up to zero, so it is one number: an axis for each latent."
    return "The three entries of a gradient add up to zero, so all gradients lie in one plane."


def problem(row):
    """(logits (1, N, K), f) of the toy."""
    rng = np.random.default_rng(5)
    N, K = (2, 2) if row.binary else (1, 3)
    logits = rng.standard_normal((1, N, K))
    return logits, polynomial(rng.standard_normal((2, N, K)), 3)


def found(row):
    """The row's exact mean and variance on the toy, with `SAMPLES` samples or as near to it as it can: a `Found`."""
    logits, f = problem(row)
    _, N, K = logits.shape
    S, hyper = row.samples(SAMPLES), defaults(row, N, K)
    exact = derivatives(row, logits, {}, lambda theta: f, S)["dlogits"][0]
    moments = row_moments(row, logits, f, S, hyper)
    words, tolerance = f"quadrature over Gumbel noise, {NODES} nodes a dimension", QUADRATURE
    if moments.how == "enumerated":
        what = {(): "states", ("e",): "nodes of its uniforms"}.get(row.noise, "outcomes of its codes")
        words = f"all {moments.outcomes} {what}" if row.noise else f"a sum over {K**N} {what}"
        tolerance = verdicts.ENUMERATION
    verdict = verdicts.from_mean(moments.mean, exact, moments.how, tolerance)
    return Found(S, exact, moments.mean, moments.variance, verdict, words)


def picture(path, row, known):
    """Draw some gradients of the row on the toy, their exact mean and the exact gradient; returns words for them.

    known: what `found` returns. Equal gradients are one dot, whose area says how often they came.
    """
    logits, f = problem(row)
    basis = PLANES[logits.shape[1:]]
    many, rng = enumeration.tiled(logits, DOTS), np.random.default_rng(0)
    drawn = row.estimate(many, f, *draw(rng, many, known.S, row.noise), **defaults(row, *logits.shape[1:])).dlogits
    cloud = np.broadcast_to(drawn, many.shape).reshape(DOTS, -1) @ basis.T
    places, counts = np.unique(cloud.round(6), axis=0, return_counts=True)
    right, mean = (basis @ gradient.ravel() for gradient in (known.exact, known.mean))
    half = WINDOW / 2 * np.linalg.norm(right)
    outside = int(counts[(np.abs(places) > half).any(1)].sum())

    def drawing(figure):
        axes = figure.subplots()
        axes.scatter(*places.T, s=14 + 900 * (counts - 1) / DOTS, color=row.family.colour, alpha=0.35, linewidth=0,
                     label=f"{DOTS} gradients")  # fmt: skip
        axes.quiver(
            0, 0, *right, angles="xy", scale_units="xy", scale=1, width=0.012, zorder=3, label="the exact gradient"
        )
        axes.plot(*mean, "X", color="white", markeredgecolor="black", markersize=9, zorder=4, label="their exact mean")
        open_axes(axes, aspect="equal", xlim=(-half, half), ylim=(-half, half), xlabel="gradient (nats)")
        handles, words = axes.get_legend_handles_labels()
        figure.legend(
            [axes.scatter([], [], s=30, color=row.family.colour, alpha=0.6), *handles[1:]],
            words,
            loc="outside upper center",
            ncols=3,
            frameon=False,
            fontsize=8,
        )

    save(path, (5, 4.4), drawing)
    where = "on the tip of the arrow" if known.verdict.ok else "away from the tip of the arrow"
    left_out = f" {outside} dots lie outside." if outside else ""
    return f"{DOTS} gradients of {row.name} as dots, the exact gradient as an arrow, and their exact mean, {where}.{left_out}"
