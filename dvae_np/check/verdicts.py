"""Is this estimator unbiased? Verdicts from an exact mean, or from samples that anyone's code wrote."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.differences import real_array, relative_error
from dvae_np.check.hints import hint, named_factor

ENUMERATION = 1e-12  # error to expect of an enumerated mean in float64
FALSE_ALARM = 1e-4  # probability that a right estimator is called biased
POWER = 0.99  # probability of seeing a bias of the stated size
FEWEST = 30  # draws below which no verdict is given
WORTH_SEEING = 0.05  # a test that would miss a relative bias of this size is called inconclusive
MANY = 100  # draws for each event that may be unseen: then it would have to deviate 100 times as far as all draws


@dataclass(frozen=True)
class Verdict:
    """One estimator's mean beside the exact gradient."""

    kind: str  # UNBIASED, UNBIASED to float32, NO BIAS FOUND, BIASED, INCONCLUSIVE or INVALID
    detail: str
    error: float  # |mean - exact| / (|mean| + |exact|)
    explanation: str = ""

    @property
    def ok(self):
        return self.kind.startswith(("UNBIASED", "NO BIAS FOUND"))

    def __str__(self):
        return f"{self.kind} ({self.detail})" + (f": {self.explanation}" if self.explanation else "")


def bias_along(mean, exact):
    """The relative bias in the direction of the exact gradient: -0.2 says that a step would be 20 % too short."""
    return float((mean * exact).sum() / (exact**2).sum() - 1) if exact.any() else 0.0


def from_mean(mean, exact, how="enumerated", tolerance=ENUMERATION, rounding=0.0, **known):
    """The verdict on an estimator whose mean is known without sampling error.

    mean, exact: arrays of one shape; where exact is zero everywhere the tolerance is an absolute one.
    how: the word for how the mean was found. rounding: the error to expect of an estimator that computes in float32; one
    below it is UNBIASED to float32. known: what `hints.hint` may use.
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
    if error <= max(tolerance, rounding):
        return Verdict("UNBIASED" if error <= tolerance else "UNBIASED to float32", f"{how}, {error:.0e}", error)
    off = float(np.linalg.norm(mean - exact) / np.linalg.norm(exact)) if exact.any() else np.inf
    detail = f"{bias_along(mean, exact):+.1%} along the gradient, {off:.1%} in all, {how}"
    return Verdict("BIASED", detail, error, hint(mean, exact, **known))


def from_samples(draws, exact, false_alarm=FALSE_ALARM, power=POWER, worth_seeing=WORTH_SEEING, counts=None, **known):
    """The verdict on an estimator from R independent draws of its gradient: z-tests, with what they could see [Eq. 5.4].

    draws:  (R, ...), the estimator's gradient R times, by whatever program. exact: (...), the exact gradient.
    counts: how often each of the draws came, where equal ones are given once; R is their sum then.
            Raises InputError for an exact gradient of zero.

    Every entry and the component along the exact gradient get a two-sided z-test, all together at the level `false_alarm`
    (Bonferroni: m tests, Student's t with R - 1 degrees of freedom). A z-test knows nothing of events that never came. One
    of probability p stays away from R draws with chance (1 - p)^R < e^(-pR); so, with the risk of a false alarm, p may be
    as large as log(m / false_alarm) / R (for 5 % the rule of three). Such events may move the mean by p times how far they
    deviate, and that is allowed for, on top of the z-test, with the largest deviation of *any* draw in *any* entry: the
    entry itself may never have varied.

    So the level is meant for independent draws whose unseen events deviate no further than the farthest draw. No test holds
    its level for every law. Two signs that the law is another one make a verdict INCONCLUSIVE that would be BIASED: what
    is allowed for the unseen exceeds the z-test's own margin, or the exact value lies outside all that was drawn (unless
    R is so large that an unseen event would have to deviate 100 times as far). `tests/false_alarms.py` measures the rate.

    The relative bias along the gradient that would have been seen with probability `power` is stated: it bounds what the
    test may have missed in that direction. INCONCLUSIVE are also fewer than 30 draws, draws that never vary, draws that
    depend on one another, and a test that would have missed `worth_seeing`; the last says about how many draws are needed.
    """
    try:
        rounding = max(1e-12, *(30 * np.finfo(a.dtype).eps for a in (draws, exact) if _is_float(a)), 0)
        draws, exact = real_array("draws", draws), real_array("exact", exact).astype(np.float64)
    except InputError as error:
        return Verdict("INVALID", str(error), np.inf)
    if draws.ndim == 0 or draws.shape[1:] != exact.shape:
        return Verdict("INVALID", f"draws of shape {draws.shape}, expected (R, ...) with {exact.shape} each", np.inf)
    if not exact.any():
        raise InputError("exact: expected a gradient that is not zero everywhere, relative to which a bias is stated")
    if not np.isfinite(exact).all():
        return Verdict("INVALID", "the exact gradient is not finite", np.inf)
    R = len(draws) if counts is None else int(np.sum(counts))
    if R < FEWEST:
        return Verdict("INCONCLUSIVE", f"about {FEWEST} draws needed at the least, got {R}", np.inf)
    if not np.isfinite(draws).all():
        return Verdict("INVALID", f"{int((~np.isfinite(draws)).sum())} of {draws.size} numbers are not finite", np.inf)

    size = np.max(np.abs(exact))  # in units of which nothing overflows when it is squared
    exact = exact.ravel() / size
    length, m = np.linalg.norm(exact), exact.size + 1
    flat = draws.reshape(len(draws), -1).astype(np.float64) / size
    tested = np.column_stack([flat, flat @ exact / length**2])  # the last is 1 on average, if unbiased
    share = np.full(len(draws), 1 / R) if counts is None else np.asarray(counts) / R
    mean = share @ tested
    centred = (tested - mean)[share > 0]
    standard_error = np.sqrt(share[share > 0] @ centred**2 / (R - 1))
    farthest = np.full(m, np.max(np.abs(centred[:, :-1])))
    farthest[-1] = np.sqrt((centred[:, :-1] ** 2).sum(1).max()) / length  # no event deviates by more along the gradient
    if not (np.isfinite(standard_error).all() and np.isfinite(farthest).all()):
        return Verdict("INVALID", "the draws are too large to be averaged", np.inf)

    rounding = rounding * np.append(np.full(exact.size, length), 1.0)
    unseen, limit = np.log(m / false_alarm) / R, _limit(false_alarm / (2 * m), R)
    deviation, margin = np.abs(mean - np.append(exact, 1.0)), limit * standard_error
    beyond = deviation > margin + unseen * farthest + rounding
    error, factor = relative_error(mean[:-1], exact), mean[-1]
    if (farthest <= rounding).all() and beyond.any():
        words = hint(mean[:-1], exact, **known)
        return Verdict("INCONCLUSIVE", f"{R} draws that never vary, and are not the exact gradient", error, words)
    varies = standard_error * np.sqrt(R) > rounding
    if counts is None and (dependence := _dependence(centred[:, varies], false_alarm)):
        together, times = dependence
        words = "z-tests need independent draws; keep so few of them that one does not depend on those before"
        detail = (
            f"draws depend on one another: sums of {together} vary {times:.2g} times as much as of independent ones"
        )
        return Verdict("INCONCLUSIVE", f"{detail}; {R} draws, {factor - 1:+.1%} along the gradient", error, words)
    decided = (margin >= unseen * farthest) & ((deviation <= farthest) | (unseen * MANY <= 1))
    if (beyond & decided).any():
        allowed = standard_error + unseen * farthest / limit
        scaled = np.abs(mean[:-1] - factor * exact) / np.maximum(allowed, rounding)[:-1]
        slack = 4 * standard_error[-1] / max(abs(factor), rounding[-1])
        words = named_factor(factor, known.get("sizes"), slack) if scaled.max() < limit else ""
        z = (deviation / np.maximum(allowed, rounding))[beyond & decided].max()
        detail = f"{factor - 1:+.1%} along the gradient, {z:.1f} standard errors, {R} draws"
        return Verdict("BIASED", detail, error, words)
    if beyond.any():
        detail = f"{factor - 1:+.1%} along the gradient, which events too rare for {R} draws may explain"
        return Verdict("INCONCLUSIVE", f"{detail}; about {10 * R} needed", error)
    spread = margin[-1] + _quantile(1 - power) * standard_error[-1]  # falls as 1 / sqrt(R), what is unseen as 1 / R
    seen = spread + unseen * farthest[-1] + rounding[-1]
    if seen > worth_seeing:
        root = spread / 2 + np.sqrt(spread**2 / 4 + unseen * farthest[-1] * worth_seeing)
        needed = int(np.ceil(R * (root / worth_seeing) ** 2))
        return Verdict("INCONCLUSIVE", f"about {needed} draws needed to see a bias of {worth_seeing:.0%}", error)
    return Verdict(
        "NO BIAS FOUND", f"a bias above {seen:.1%} along the gradient would have been seen, {R} draws", error
    )


def _dependence(centred, false_alarm):
    """How many neighbouring draws, added up, vary more than independent ones by more than chance, and how much; or None.

    For blocks of 2, 4, 8, ... draws: the square of a block's sum, less the sum of its squares, is 0 on average if draws are
    independent. A z-test of that, in units of its own standard error: a rare large draw beside another one, which chance may
    bring, counts in both. So it sees what would make the mean vary more: a chain, chains side by side, a slow drift.
    """
    R, columns = centred.shape
    sums, squares, together, found = centred, centred**2, 1, None
    limit = _limit(false_alarm / max(columns * np.log2(R / FEWEST), 1), R)
    while len(sums) >= 2 * FEWEST:
        pairs = len(sums) // 2 * 2
        sums, squares = sums[0:pairs:2] + sums[1:pairs:2], squares[0:pairs:2] + squares[1:pairs:2]
        together *= 2
        excess = sums**2 - squares
        significant = excess.sum(0) > limit * np.sqrt((excess**2).sum(0))
        if significant.any():
            times = 1 + float((excess.sum(0) / squares.sum(0))[significant].max())
            found = max(found or (0, 0.0), (together, times), key=lambda each: each[1])
    return found


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


def _is_float(array):
    return getattr(getattr(array, "dtype", None), "kind", "") == "f"
