"""Is this estimator unbiased? Verdicts from an exact mean, or from samples that anyone's code wrote."""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.differences import relative_error
from dvae_np.check.hints import hint, named_factor

ENUMERATION = 1e-12  # error to expect of an enumerated mean in float64
FALSE_ALARM = 1e-4  # probability that a right estimator is called biased
POWER = 0.99  # probability of seeing a bias of the stated size
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

    mean, exact: arrays of one shape. how: the word for how the mean was found. known: what `hints.hint` may use.
    """
    mean, exact = np.asarray(mean), np.asarray(exact)
    if mean.shape != exact.shape:
        return Verdict("INVALID", f"shape {mean.shape}, expected {exact.shape}", np.inf, hint(mean, exact, **known))
    if not np.isfinite(mean).all():
        return Verdict("INVALID", f"{int((~np.isfinite(mean)).sum())} of {mean.size} entries are not finite", np.inf)
    error = relative_error(mean, exact)
    if error <= tolerance:
        return Verdict("UNBIASED", f"{how}, {error:.0e}", error)
    off = float(np.linalg.norm(mean - exact) / np.linalg.norm(exact)) if exact.any() else np.inf
    detail = f"{bias_along(mean, exact):+.1%} along the gradient, {off:.1%} in all, {how}"
    return Verdict("BIASED", detail, error, hint(mean, exact, **known))


def from_samples(draws, exact, false_alarm=FALSE_ALARM, power=POWER, worth_seeing=WORTH_SEEING, **known):
    """The verdict on an estimator from R independent draws of its gradient: z-tests, with what they could see [Eq. 5.4].

    draws: (R, ...), the estimator's gradient R times, by whatever program. exact: (...), the exact gradient.

    Every entry and the component along the exact gradient get a two-sided z-test; all together they raise a false alarm
    with probability `false_alarm` at most (Bonferroni; the mean of R draws is taken as normal). The relative bias that
    would have been seen with probability `power` is stated: that bounds what the test may have missed along the
    gradient. Where it exceeds `worth_seeing`, the verdict is INCONCLUSIVE and says how many draws are needed.
    """
    from scipy.stats import norm

    draws, exact = np.asarray(draws), np.asarray(exact)
    if draws.ndim == 0 or draws.shape[1:] != exact.shape:
        return Verdict("INVALID", f"draws of shape {draws.shape}, expected (R, ...) with {exact.shape} each", np.inf)
    if len(draws) < 2 or not exact.any():
        raise InputError(f"draws: expected at least 2 and a gradient that is not zero, got {len(draws)} draws")
    if not np.isfinite(draws).all():
        return Verdict("INVALID", f"{int((~np.isfinite(draws)).sum())} of {draws.size} numbers are not finite", np.inf)

    R, exact = len(draws), exact.astype(np.float64)
    flat = draws.reshape(R, -1).astype(np.float64)
    along = flat @ exact.ravel() / (exact**2).sum()  # 1 on average, if unbiased
    tested = np.column_stack([flat, along])
    deviation = tested.mean(0) - np.append(exact.ravel(), 1.0)
    standard_error = tested.std(0, ddof=1) / np.sqrt(R)
    rounding = 1e-12 * np.append(np.full(exact.size, np.linalg.norm(exact)), 1.0)
    z = np.abs(deviation) / np.maximum(standard_error, rounding)
    limit = norm.isf(false_alarm / (2 * len(z)))
    seen = float((limit + norm.isf(1 - power)) * max(standard_error[-1], rounding[-1]))

    mean = flat.mean(0).reshape(exact.shape)
    error = relative_error(mean, exact)
    if z.max() > limit:
        factor = along.mean()
        scaled = np.abs(flat.mean(0) - factor * exact.ravel()) / np.maximum(standard_error, rounding)[:-1]
        words = named_factor(factor, known.get("sizes"), 4 * standard_error[-1]) if scaled.max() < limit else ""
        detail = f"{factor - 1:+.1%} along the gradient, {z.max():.1f} standard errors, {R} draws"
        return Verdict("BIASED", detail, error, words)
    if seen > worth_seeing:
        needed = int(np.ceil(R * (seen / worth_seeing) ** 2))
        return Verdict("INCONCLUSIVE", f"about {needed} draws needed to see a bias of {worth_seeing:.0%}", error)
    return Verdict("NO BIAS FOUND", f"a bias above {seen:.1%} would have been seen, {R} draws", error)
