"""How far a mean lies from the exact gradient, and how much an estimator varies: what stands beside a verdict."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measured:
    """How far an estimator's mean lies from the exact gradient, and how much it varies; None where that is not known.

    Intervals hold with a probability of at least 95 %, as the mean of many draws is normal; an exact mean needs none.
    """

    along: float | None  # the relative bias in the direction of the exact gradient: -0.2, a step is 20 % too short
    across: float | None  # the size of the rest of the bias, relative to that of the gradient
    cosine: float | None  # of the angle between the mean and the exact gradient; None where the mean is zero
    worst: dict  # the entry that is furthest off: {"at", "mean", "exact"}, in standard errors where there are draws
    along_interval: tuple | None = None
    across_interval: tuple | None = None
    variance: float | None = None  # of one draw, summed over all entries
    variance_interval: tuple | None = None
    draws: int | None = None  # None: the mean is exact

    def __str__(self):
        """What stands in a table beside the verdict."""
        if self.along is None:
            where = f"{entry(self.worst)}, where the gradient is zero"
        else:
            around = "" if self.along_interval is None else " ({:+.1%} to {:+.1%})".format(*self.along_interval)
            beside = "" if self.across_interval is None else " ({:.1%} to {:.1%})".format(*self.across_interval)
            where = f"{self.along:+.1%} along the gradient{around}, {self.across:.1%} across{beside}"
            where += ("" if self.cosine is None else f", cosine {self.cosine:.3f}") + f", {entry(self.worst)}"
        if self.variance is None:
            return where
        around = "" if self.variance_interval is None else " ({:.3g} to {:.3g})".format(*self.variance_interval)
        return f"{where}, variance {self.variance:.3g}{around}"


def entry(worst):
    """The worst entry in words."""
    return f"worst at {worst['at']}: {worst['mean']:.4g} for {worst['exact']:.4g}"


def measure(mean, exact, sizes=None, **more):
    """What is said of a mean beside the exact gradient [Eq. 15.1]: a `Measured`. sizes: units in which one is the worst."""
    unit = (
        np.max(np.abs(exact)) or np.max(np.abs(mean)) or 1.0
    )  # in units of which nothing overflows when it is squared
    m, e = mean / unit, exact / unit
    off = np.abs(m - e) / (1 if sizes is None else sizes)
    at = np.unravel_index(np.argmax(off), off.shape) if off.ndim else ()
    worst = {"at": [int(i) for i in at], "mean": float(mean[at]), "exact": float(exact[at])}
    length = np.linalg.norm(e)
    if not length:
        return Measured(None, None, None, worst, **more)
    along = float((m * e).sum() / length**2)
    across = float(np.linalg.norm(m - along * e) / length)
    cosine = float(along / np.hypot(along, across)) if np.any(m) else None
    return Measured(along - 1, across, cosine, worst, **more)


def intervals(mean, expected, standard_error, variance, length, R, two):
    """Of the bias along the gradient, and of its size across: of all normal laws with one total variance those of a single
    direction reach furthest (Szekely & Bakirov 2003), so 1.96 times its root holds for each.
    """
    along, width = mean[-1] - 1, two * standard_error[-1]
    across = np.linalg.norm(mean[:-1] - mean[-1] * expected[:-1]) / length
    rest = max(variance / R - (standard_error[-1] * length) ** 2, 0)
    beside = two * np.sqrt(rest) / length
    return {
        "along_interval": (float(along - width), float(along + width)),
        "across_interval": (float(max(across - beside, 0)), float(across + beside)),
    }
