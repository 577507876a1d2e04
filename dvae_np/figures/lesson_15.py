"""Lesson 15: what a test by samples can see, and what it cannot."""

import numpy as np

from dvae_np.check import enumeration, toys
from dvae_np.estimators import TABLE
from dvae_np.figures.style import open_axes

RUNS, SHORT = 4000, 0.95  # of each kind; the wrong estimator's share of the gradient
DRAWS = (1000, 5000, 30_000)
FALSE_ALARM = 0.01


def along(short=1.0):
    """(values, probabilities) of REINFORCE along the gradient, of which the exact value is 1; or of a share of it."""
    rng = np.random.default_rng(4)
    logits = 0.7 * rng.standard_normal((1, 2, 3))
    f = toys.polynomial(0.5 * rng.standard_normal((2, 2, 3)), 3)
    z, weights = enumeration.every_code(logits, 1)
    draws = TABLE["reinforce"].estimate(enumeration.tiled(logits, len(weights)), f, z).dlogits
    exact = TABLE["exact"].estimate(logits, f).dlogits[0]
    return short * (draws * exact).sum((1, 2)) / (exact**2).sum(), weights


def statistics(R, short=1.0):
    """z [Eq. 5.4] of `RUNS` runs of R draws, as counts of outcomes: (RUNS,)."""
    values, weights = along(short)
    counts = np.random.default_rng(R).multinomial(R, weights / weights.sum(), size=RUNS)
    mean, square = counts @ values / R, counts @ values**2 / R
    return (mean - 1) / np.sqrt((square - mean**2) / (R - 1))


def what_draws_see(figure):
    """z of a right estimator and of one that is 5 % short, in many runs, at three numbers of draws."""
    from scipy.stats import norm

    limit = norm.isf(FALSE_ALARM / 2)
    panels = figure.subplots(1, len(DRAWS), sharex=True, sharey=True)
    bins = np.linspace(-9, 5, 57)
    for axes, R in zip(panels, DRAWS, strict=True):
        right, wrong = statistics(R), statistics(R, SHORT)
        axes.hist(right, bins, color="#0072B2", alpha=0.75, label="right")
        axes.hist(wrong, bins, histtype="step", color="#D55E00", linewidth=1.6, label="5 % short")
        for side in (-limit, limit):
            axes.axvline(side, color="black", linestyle="dashed", linewidth=1)
        alarms, seen = (np.mean(np.abs(z) > limit) for z in (right, wrong))
        axes.set_title(
            f"{R:,} draws: {alarms:.1%} of the right ones\nfail, and {seen:.0%} of the wrong ones", fontsize=9
        )
        open_axes(axes, xlabel="standard errors from the exact gradient", yticks=[])
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
