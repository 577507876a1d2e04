"""Is this estimator unbiased? Verdicts from an exact mean, or from samples that anyone's code wrote."""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.differences import relative_error
from dvae_np.check.hints import hint, named_factor

ENUMERATION = 1e-12  # error to expect of an enumerated mean in float64
FALSE_ALARM = 1e-4  # probability that a right estimator is called biased
POWER = 0.99  # probability of seeing a bias of the stated size
FEWEST, FEWEST_STILL = 30, 1000  # draws below which no verdict is given; the latter where they do not vary
WORTH_SEEING = 0.05  # a test that would miss a relative bias of this size is called inconclusive


@dataclass(frozen=True)
class Verdict:
    """One estimator's mean beside the exact gradient."""

    kind: str  # UNBIASED, NO BIAS FOUND, BIASED, INCONCLUSIVE or INVALID
    detail: str
    error: float  # |mean - exact| / (|mean| + |exact|)
    explanation: str = ""

    @property
    def ok(self):
        return self.kind in ("UNBIASED", "NO BIAS FOUND")

    def __str__(self):
        return f"{self.kind} ({self.detail})" + (f": {self.explanation}" if self.explanation else "")


def bias_along(mean, exact):
    """The relative bias in the direction of the exact gradient: -0.2 says that a step would be 20 % too short."""
    return float((mean * exact).sum() / (exact**2).sum() - 1) if exact.any() else 0.0


def from_mean(mean, exact, how="enumerated", tolerance=ENUMERATION, **known):
    """The verdict on an estimator whose mean is known without sampling error.

    mean, exact: arrays of one shape; where exact is zero everywhere the tolerance is an absolute one.
    how: the word for how the mean was found. known: what `hints.hint` may use.
    """
    mean, exact = np.asarray(mean), np.asarray(exact)
    if mean.shape != exact.shape:
        return Verdict("INVALID", f"shape {mean.shape}, expected {exact.shape}", np.inf, hint(mean, exact, **known))
    for which, array in (("", mean), ("exact ", exact)):
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            return Verdict("INVALID", f"{count} of {array.size} {which}entries are not finite", np.inf)
    error = relative_error(mean, exact) if exact.any() else float(np.max(np.abs(mean), initial=0))
    if error <= tolerance:
        return Verdict("UNBIASED", f"{how}, {error:.0e}", error)
    off = float(np.linalg.norm(mean - exact) / np.linalg.norm(exact)) if exact.any() else np.inf
    detail = f"{bias_along(mean, exact):+.1%} along the gradient, {off:.1%} in all, {how}"
    return Verdict("BIASED", detail, error, hint(mean, exact, **known))


def from_samples(draws, exact, false_alarm=FALSE_ALARM, power=POWER, worth_seeing=WORTH_SEEING, **known):
    """The verdict on an estimator from R independent draws of its gradient: z-tests, with what they could see [Eq. 5.4].

    draws: (R, ...), the estimator's gradient R times, by whatever program. exact: (...), the exact gradient.

    Every entry and the component along the exact gradient get a two-sided z-test; all together they raise a false alarm
    with probability `false_alarm` at most (Bonferroni over Student's t with R - 1 degrees of freedom). That holds for draws
    near enough to normal that R of them average to normal ones: rare, large values need many draws, so fewer than 30, or
    fewer than 1,000 that do not vary at all, are INCONCLUSIVE. The relative bias along the gradient that would have been
    seen with probability `power` is stated: it bounds what the test may have missed in that direction. Where it exceeds
    `worth_seeing`, the verdict is INCONCLUSIVE and says about how many draws are needed.
    """
    from scipy.stats import norm, t

    draws, exact = np.asarray(draws), np.asarray(exact)
    if draws.ndim == 0 or draws.shape[1:] != exact.shape:
        return Verdict("INVALID", f"draws of shape {draws.shape}, expected (R, ...) with {exact.shape} each", np.inf)
    if not exact.any():
        raise InputError("exact: expected a gradient that is not zero everywhere, relative to which a bias is stated")
    if not np.isfinite(exact).all():
        return Verdict("INVALID", "the exact gradient is not finite", np.inf)
    if len(draws) < FEWEST:
        return Verdict("INCONCLUSIVE", f"about {FEWEST} draws needed at the least, got {len(draws)}", np.inf)
    if not np.isfinite(draws).all():
        return Verdict("INVALID", f"{int((~np.isfinite(draws)).sum())} of {draws.size} numbers are not finite", np.inf)

    R, size = len(draws), np.max(np.abs(exact))  # in units of which nothing overflows when it is squared
    exact = exact.astype(np.float64) / size
    flat = draws.reshape(R, -1).astype(np.float64) / size
    along = flat @ exact.ravel() / (exact**2).sum()  # 1 on average, if unbiased
    tested = np.column_stack([flat, along])
    deviation = tested.mean(0) - np.append(exact.ravel(), 1.0)
    standard_error = tested.std(0, ddof=1) / np.sqrt(R)
    rounding = 1e-12 * np.append(np.full(exact.size, np.linalg.norm(exact)), 1.0)
    z = np.abs(deviation) / np.maximum(standard_error, rounding)
    limit = t.isf(false_alarm / (2 * len(z)), R - 1)
    seen = float((limit + norm.isf(1 - power)) * max(standard_error[-1], rounding[-1]))
    if R < FEWEST_STILL and ((standard_error <= rounding) & (z > limit)).any():
        return Verdict("INCONCLUSIVE", f"about {FEWEST_STILL} draws needed where they do not vary, got {R}", np.inf)

    mean = flat.mean(0).reshape(exact.shape)
    error = relative_error(mean, exact)
    if not (np.isfinite(z).all() and np.isfinite(seen)):
        return Verdict("INVALID", "the draws are too large to be averaged", np.inf)
    if z.max() > limit:
        factor = along.mean()
        scaled = np.abs(flat.mean(0) - factor * exact.ravel()) / np.maximum(standard_error, rounding)[:-1]
        slack = 4 * standard_error[-1] / max(abs(factor), rounding[-1])
        words = named_factor(factor, known.get("sizes"), slack) if scaled.max() < limit else ""
        detail = f"{factor - 1:+.1%} along the gradient, {min(z.max(), 1e6):.1f} standard errors, {R} draws"
        return Verdict("BIASED", detail, error, words)
    if seen > worth_seeing:
        needed = int(np.ceil(R * (seen / worth_seeing) ** 2))
        return Verdict("INCONCLUSIVE", f"about {needed} draws needed to see a bias of {worth_seeing:.0%}", error)
    return Verdict(
        "NO BIAS FOUND", f"a bias above {seen:.1%} along the gradient would have been seen, {R} draws", error
    )
