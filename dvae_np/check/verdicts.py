"""Is this estimator unbiased? Verdicts from an exact mean, or from samples that anyone's code wrote."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.bias import Measured, entry, intervals, measure
from dvae_np.check.differences import real_array, relative_error
from dvae_np.check.hints import ROUNDED, hint, named_factor
from dvae_np.check.samples import Unfit, gathered

ENUMERATION = 1e-12  # error to expect of an enumerated mean in float64
FALSE_ALARM = 1e-4  # probability that a right estimator is called biased
POWER = 0.99  # probability of seeing a bias of the stated size
WORTH_SEEING = 0.05  # a test that would miss a relative bias of this size is called inconclusive
MANY = 100  # draws for each event that may be unseen: then it would have to deviate 100 times as far as all draws
NEGLIGIBLE = 1e-9  # of the gradient: no draws can tell so small a bias from what never came
LITTLE = 1e-4  # of a bias: smaller ones are not written in per cent
SINGLE = 30 * float(np.finfo(np.float32).eps)  # the error of what never varies, if computed in float32 on the way
COVERAGE = 0.95  # of the intervals that are stated beside a verdict


@dataclass(frozen=True)
class Verdict:
    """One estimator's mean beside the exact gradient."""

    kind: str  # UNBIASED, UNBIASED to float32, NO BIAS FOUND, BIASED, INCONCLUSIVE or INVALID
    detail: str
    error: float  # |mean - exact| / (|mean| + |exact|)
    explanation: str = ""
    measured: Measured | None = None

    @property
    def ok(self):
        return self.kind.startswith(("UNBIASED", "NO BIAS FOUND"))

    def __str__(self):
        return f"{self.kind} ({self.detail})" + (f": {self.explanation}" if self.explanation else "")


def from_mean(mean, exact, how="enumerated", tolerance=ENUMERATION, rounding=0.0, variance=None, **known):
    """The verdict on an estimator whose mean is known without sampling error.

    mean, exact: arrays of one shape; where exact is zero everywhere the tolerance is an absolute one.
    how: the word for how the mean was found. rounding: the error to expect of an estimator that computes in float32; one
    below it is UNBIASED to float32. variance: of one draw, where it is known. known: what `hints.hint` may use.
    """
    try:
        mean, exact = real_array("mean", mean), real_array("exact", exact)
    except InputError as error:
        return Verdict("INVALID", str(error), np.inf)
    if mean.shape != exact.shape:
        return Verdict("INVALID", f"shape {mean.shape}, expected {exact.shape}", np.inf, hint(mean, exact, **known))
    for which, array in (("", mean), ("exact ", exact)):
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            return Verdict("INVALID", f"{count} of {array.size} {which}entries are not finite", np.inf)
    error = relative_error(mean, exact) if exact.any() else float(np.max(np.abs(mean), initial=0))
    measured = measure(mean, exact, variance=None if variance is None else float(variance))
    if error <= max(tolerance, rounding):
        kind = "UNBIASED" if error <= tolerance else "UNBIASED to float32"
        return Verdict(kind, f"{how}, {error:.0e}", error, measured=measured)
    if measured.along is None:
        detail = f"{entry(measured.worst)}, where the gradient is zero, {how}"
    else:
        off = np.hypot(measured.along, measured.across)
        detail = f"{measured.along:+.1%} along the gradient, {off:.1%} in all, {how}"
        if off < LITTLE:
            detail = f"off by {off:.0e} of the gradient, {how}"
            return Verdict("BIASED", detail, error, hint(mean, exact, **known) or ROUNDED, measured)
    return Verdict("BIASED", detail, error, hint(mean, exact, **known), measured)


def from_samples(draws, exact, false_alarm=FALSE_ALARM, power=POWER, worth_seeing=WORTH_SEEING, counts=None, **known):
    """The verdict on an estimator from R independent draws of its gradient: z-tests, with what they could see [Eq. 5.4].

    draws:  (R, ...), the estimator's gradient R times, by whatever program; or an iterator of such arrays, each of some draws,
            of which one at a time is held in memory. exact: (...), the exact gradient.
    counts: how often each of the draws came, where equal ones are given once; R is their sum then.

    Every entry and the component along the exact gradient get a two-sided z-test, all together at the level `false_alarm`
    (Bonferroni: m tests, Student's t with R - 1 degrees of freedom). A z-test knows nothing of events that never came. One
    of probability p stays away from R draws with chance (1 - p)^R < e^(-pR); so, with the risk of a false alarm, p may be
    as large as log(m / false_alarm) / R [Eq. 15.2] (for 5 % the rule of three). Such events may move the mean by p times
    how far they deviate, and that is allowed for, on top of the z-test, with the largest deviation of *any* draw in *any*
    entry: the entry itself may never have varied.

    So the level is meant for independent draws whose unseen events deviate no further than the farthest draw. No test holds
    its level for every law. Two signs that the law is another one make a verdict INCONCLUSIVE that would be BIASED: what
    is allowed for the unseen exceeds the z-test's own margin, or the exact value lies outside all that was drawn (unless
    R is so large that an unseen event would have to deviate 100 times as far). `tests/false_alarms.py` measures the rate.

    The relative bias along the gradient that would have been seen with probability `power` is stated: it bounds what the
    test may have missed in that direction; below 1e-9 of the gradient's length none is looked for. Of a gradient that is
    zero everywhere a bias is stated in units of a draw's standard deviation (the root of its total variance). INCONCLUSIVE
    are also fewer than 30 draws, draws that never vary, draws that depend on one another, and a test that would have missed
    `worth_seeing`; the last says about how many draws are needed.
    """
    try:
        exact_dtype, exact = getattr(exact, "dtype", None), real_array("exact", exact).astype(np.float64)
        if not np.isfinite(exact).all():
            return Verdict("INVALID", "the exact gradient is not finite", np.inf)
        found, size, dtype = gathered(draws, exact, counts)
    except InputError as error:
        return Verdict("INVALID", str(error), np.inf)
    except Unfit as unfit:
        return Verdict(*unfit.args, np.inf)
    zero, R, n, m = not exact.any(), found.R, exact.size, len(found.centre)
    rounding = max(
        NEGLIGIBLE, *(30 * np.finfo(d).eps for d in (dtype, exact_dtype) if d is not None and d.kind == "f"), 0
    )
    expected = exact.ravel() / size
    length = np.linalg.norm(expected)
    mean, standard_error, (reach, farthest_length) = found.centre + found.off, found.standard_error, found.reach
    variance, variance_error = found.variance
    farthest = np.full(m, np.max(reach[:n]))
    if zero:
        unit = np.sqrt(variance) or 1.0
    else:
        expected, unit = np.append(expected, 1.0), length
        farthest[-1] = farthest_length / length  # no event deviates by more along the gradient
    if not (np.isfinite(standard_error).all() and np.isfinite(farthest).all()):
        return Verdict("INVALID", "the draws are too large to be averaged", np.inf)

    rounding = rounding * np.where(np.arange(m) < n, unit, 1.0)
    unseen, limit = np.log(m / false_alarm) / R, _limit(false_alarm / (2 * m), R)
    deviation, margin = np.abs(mean - expected), limit * standard_error
    beyond = deviation > margin + unseen * farthest + rounding
    error = relative_error(mean[:n], expected[:n]) if not zero else float(np.max(np.abs(mean)) * size)
    two, shape = _limit((1 - COVERAGE) / 2, R), exact.shape
    allowed = np.maximum(standard_error + unseen * farthest / limit, rounding)
    with np.errstate(over="ignore"):  # of squares, in the units of the draws
        spread = [float(max(v, 0) * size**2) for v in variance + two * variance_error * np.array([-1, 0, 1])]
        measured = measure(
            (mean[:n] * size).reshape(shape), exact, allowed[:n].reshape(shape), draws=R, variance=spread[1],
            variance_interval=(spread[0], spread[2]),
            **({} if zero else intervals(mean, expected, standard_error, variance, length, R, two)))  # fmt: skip
    verdict = lambda kind, detail, words="": Verdict(kind, detail, error, words, measured)
    here = f"{measured.along:+.1%} along the gradient" if not zero else entry(measured.worst)
    if (farthest <= rounding).all() and beyond.any():
        if not zero and error <= SINGLE:
            return verdict("NO BIAS FOUND", f"{R} draws that never vary, the exact gradient to float32, {error:.0e}")
        words = hint(mean[:n].reshape(shape), exact / size, **known)
        return verdict("INCONCLUSIVE", f"{R} draws that never vary, and are not the exact gradient", words)
    varies = standard_error * np.sqrt(R) > rounding
    if counts is None and (dependence := found.dependence(varies, lambda tests: _limit(false_alarm / tests, R))):
        together, times = dependence
        words = "z-tests need independent draws; keep so few of them that one does not depend on those before"
        detail = f"draws depend on one another: sums of {together} vary up to {times:.2g} times as much as of independent ones"
        return verdict("INCONCLUSIVE", f"{detail}; {R} draws, {here}", words)
    decided = (margin >= unseen * farthest) & ((deviation <= farthest) | (unseen * MANY <= 1))
    if (beyond & decided).any():
        words = ""
        if not zero:
            factor = mean[-1]
            scaled = np.abs(mean[:n] - factor * expected[:n]) / allowed[:n]
            slack = 4 * standard_error[-1] / max(abs(factor), rounding[-1])
            words = named_factor(factor, known.get("sizes"), slack) if scaled.max() < limit else ""
        z = (deviation / allowed)[beyond & decided].max()
        z = f"{z:.1f}" if z < 1000 else "more than 1,000"
        return verdict("BIASED", f"{here}, {z} standard errors, {R} draws", words)
    if beyond.any():
        return verdict(
            "INCONCLUSIVE", f"{here}, which events too rare for {R} draws may explain; about {10 * R} needed"
        )
    if zero and not variance:
        return verdict("NO BIAS FOUND", f"all {R} draws are zero, as the gradient is")
    at = np.argmax(standard_error) if zero else -1
    spread, rare = (
        margin[at] + _quantile(1 - power) * standard_error[at],
        unseen * farthest[at],
    )  # 1 / sqrt(R), and 1 / R
    if zero:
        spread, rare = spread / unit, rare / unit
    seen = spread + rare + rounding[at] / (unit if zero else 1)
    what, of = ("mean", "of a draw's standard deviation") if zero else ("bias", "along the gradient")
    if seen > worth_seeing:
        root = spread / 2 + np.sqrt(spread**2 / 4 + rare * worth_seeing)
        needed = int(np.ceil(R * (root / worth_seeing) ** 2))
        return verdict("INCONCLUSIVE", f"about {needed} draws needed to see a {what} of {worth_seeing:.0%}")
    return verdict("NO BIAS FOUND", f"a {what} above {seen:.1%} {of} would have been seen, {R} draws")


@lru_cache
def _limit(tail, R):
    """What Student's t with R - 1 degrees of freedom exceeds with probability `tail`."""
    from scipy.special import stdtrit  # not scipy.stats, which takes a second to import

    return -float(stdtrit(R - 1, tail))


@lru_cache
def _quantile(tail):
    """The same for the normal distribution."""
    from scipy.special import ndtri

    return -float(ndtri(tail))
