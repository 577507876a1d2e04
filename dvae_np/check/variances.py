"""Two estimators side by side: whose gradient varies less for the same number of evaluations of f, and in the same time?

The mean of n independent calls has 1/n of the variance of one. So variance times evaluations of a call, and variance times its
seconds, say what each costs: their ratio is that of the variances when both have spent the same (Glynn & Whitt 1992).
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError, expect_whole
from dvae_np.check import enumeration, verdicts
from dvae_np.check.levels import piecewise_cubic
from dvae_np.check.means import SEED, defaults, derivatives, sizes
from dvae_np.check.own_noise import Objective
from dvae_np.check.stranger import as_row, drawn
from dvae_np.estimators import TABLE
from dvae_np.laws import joint_states
from dvae_np.noise import draw

MOST_OUTCOMES = 2**17  # enumerated; else DRAWS draws
DRAWS, AT_A_TIME = 200_000, 10_000
BATCH = 100  # examples, of which a call is timed
PAIRS = 21  # of timings in turns, each of at least MILLISECONDS; the 6th and the 16th enclose the median with 97 %
MILLISECONDS, LOW, HIGH = 3.0, 5, 15


@dataclass(frozen=True)
class Contestant:
    """What was measured of one of the two."""

    name: str
    S: int | None  # samples of a call; None where it draws its own
    evaluations: float  # of f, an example and call
    variance: float  # of a call's gradient, summed over its entries
    interval: tuple  # 95 %; the variance twice where it is exact
    verdict: verdicts.Verdict  # on its mean, beside the exact gradient
    milliseconds: float  # of a call with `BATCH` examples, the drawing of its noise included; the median

    @property
    def exact(self):
        return self.interval[0] == self.interval[1]


@dataclass(frozen=True)
class VarianceRatio:
    """Of `first` over `second`, each as (ratio, low, high), a 95 % interval: below 1, the first is the better one."""

    first: Contestant
    second: Contestant
    per_call: tuple
    per_evaluation: tuple
    per_second: tuple

    def __str__(self):
        told = []
        for each in (self.first, self.second):
            around = "exact" if each.exact else "{:.3g} to {:.3g}".format(*each.interval)
            samples = "" if each.S is None else f"S = {each.S}, "
            told.append(
                f"{each.name}: {samples}{each.evaluations:g} evaluations of f, variance {each.variance:.4g} ({around}), "
                f"{each.milliseconds:.3g} ms for {BATCH} examples; {each.verdict.kind} ({each.verdict.detail})"
            )
        ratios = {"call": self.per_call, "evaluations": self.per_evaluation, "time": self.per_second}
        for what, (ratio, low, high) in ratios.items():
            around = "exact" if low == high else f"{low:.3g} to {high:.3g}"
            where = "in one call" if what == "call" else f"at equal {what}"
            told.append(f"variance {where}, {self.first.name} / {self.second.name}: {ratio:.3g} ({around})")
        biased = [each.name for each in (self.first, self.second) if each.verdict.kind == "BIASED"]
        if biased:
            told.append(f"more calls take away the variance of {' and '.join(biased)}, and not the bias")
        return "\n".join(told)


def compare_variance(a, b, *, S=None, logits=None, f=None, binary=False, bound=False, seed=0):
    """Whose gradient in the logits varies less [Eq. 15.3]: a `VarianceRatio`, exact where the noise can be enumerated.

    a, b:   functions as `judge` takes them, of PyTorch or JAX through their `estimator`, or names of rows of the table.
    S:      samples of a call; each takes the number nearest to it that it can (4, and 2 of a bound).
    logits: (1, N, K), and f, the problem; a toy at mild logits where both are None. Times mean something with your own f.
    binary, bound: as of `judge`.

    An evaluation is f at one code of one example; a slope of f is not counted apart. Times are taken in turns, in float64.
    Raises InputError for what `judge` refuses, one of logits and f without the other, a bound beside an estimator of E_q[f],
    and an estimator whose examples see each other, as through a mean over the batch.
    """
    if (logits is None) != (f is None):
        raise InputError("compare_variance: expected logits and f together, or neither")
    expect_whole("S", S := (2 if bound else 4) if S is None else S, 1)
    both = [_row(which, S, binary, bound) for which in (a, b)]
    if both[0][0].owns_kl != both[1][0].owns_kl:
        raise InputError(f"{both[0][0].name} and {both[1][0].name}: one is of a bound, the other of E_q[f]")
    rng = np.random.default_rng(seed)
    if logits is None:
        N, K = sizes(both[0][0] if both[0][0].binary else both[1][0], 2, 3)
        logits = rng.standard_normal((1, N, K))
        f = Objective(rng, logits, 1.0, 1.0)
    logits = np.asarray(enumeration.one_example(logits)[0], np.float64)
    if both[0][0].owns_kl and logits[0].size and float(logits.shape[2]) ** (logits.shape[1] * S) > MOST_OUTCOMES:
        raise InputError(f"S: the bound's own gradient is a sum over (K^N)^S tuples, too many for S = {S}")
    exact = derivatives(both[0][0], logits, {}, lambda theta: f, S)["dlogits"][0]
    values = f(joint_states(*logits.shape[1:])[:, None])[0]
    if np.max(np.abs(exact)) <= 1e-12 * np.max(np.abs(values), initial=0):
        exact = np.zeros_like(exact)  # but for rounding
    measured = [_measured(*each, logits, f, exact, rng) for each in both]
    seconds = _seconds([each[-1] for each in both], logits, f, rng)
    first, second = (
        Contestant(row.name, samples, *found, 1e3 * float(np.median(taken)))
        for (row, samples, _), found, taken in zip(both, measured, seconds, strict=True)
    )
    times = np.sort(seconds[0] / seconds[1])
    per_call = _ratio(first.variance, second.variance, _half(first.interval, second.interval))
    evaluated = first.evaluations / second.evaluations if second.evaluations else math.inf
    slower = float(np.median(times))
    half = math.hypot(_half(first.interval, second.interval), math.log(times[HIGH] / times[LOW]) / 2)
    return VarianceRatio(first, second, per_call, tuple(evaluated * each for each in per_call),
                         _ratio(slower * first.variance, second.variance, half))  # fmt: skip


def _row(which, S, binary, bound):
    """(row, samples, the gradient as a function of (logits, f, rng)) of a row's name or of a function."""
    if isinstance(which, str):
        if which not in TABLE:
            raise InputError(f"compare_variance: expected a function or a row of the table, got {which!r}")
        row = TABLE[which]
        S = row.samples(S)

        def of_row(logits, f, rng):
            hyper = defaults(row, *logits.shape[1:])
            return row.estimate(logits, f, *draw(rng, logits, S, row.noise), **hyper).dlogits

        return row, S, of_row
    row, noise = as_row(which, None, S, binary, bound)
    own = drawn(lambda: which, noise, S)
    own_S = S if row.noise else None
    return row, own_S, lambda logits, f, rng: own(logits, f, rng).dlogits


def _measured(row, S, of_logits, logits, f, exact, rng):
    """(evaluations, variance, interval, verdict) of one."""
    counted = 0

    def counting(z):
        nonlocal counted
        counted += len(z)
        return f(z)

    pair = np.concatenate([logits, logits])
    alone = of_logits(pair, counting, np.random.default_rng(SEED))[0]
    beside = of_logits(pair * [[[1.0]], [[-2.0]]], f, np.random.default_rng(SEED))[0]
    if not np.isfinite(alone).all():
        raise InputError(f"{row.name}: its gradient is not finite; does it need more samples than S = {S}?")
    if not np.allclose(alone, beside, rtol=1e-4, atol=1e-6 * np.max(np.abs(alone))):
        raise InputError(f"{row.name}: its examples see each other, or it does not draw from `rng` alone")
    outcomes = _outcomes(row, logits, f, S)
    if outcomes is None:
        many = enumeration.tiled(logits, AT_A_TIME)
        draws = (of_logits(many, f, rng) for _ in range(DRAWS // AT_A_TIME))
        verdict = verdicts.from_samples(draws, exact, sizes={"S": S} if S else {})
        return counted, verdict.measured.variance, verdict.measured.variance_interval, verdict
    noise, weights = outcomes
    hyper = defaults(row, *logits.shape[1:])
    dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, *noise, **hyper).dlogits
    mean, variance = enumeration.moments(weights, dlogits)
    variance = float(variance.sum())
    return counted, variance, (variance, variance), _of_mean(mean, exact, dlogits, S)


def _of_mean(mean, exact, dlogits, S):
    rounding = 1e3 * np.finfo(np.float32).eps if dlogits.dtype == np.float32 else 0.0
    return verdicts.from_mean(mean, exact, "enumerated", rounding=rounding, sizes={"S": S})


def _outcomes(row, logits, f, S):
    """(noise, weights) of every outcome, or None where they are too many, or where it draws its own."""
    _, N, K = logits.shape
    M = K**N
    if row.noise == ("z",) and M**S <= MOST_OUTCOMES:
        noise, weights = enumeration.every_code(logits, S)
    elif row.noise == ("distinct",) and math.perm(M, S) <= MOST_OUTCOMES:
        noise, weights = enumeration.every_sequence(logits, S)
    elif row.noise == ("coupled",) and M**S <= MOST_OUTCOMES:
        noise, weights = enumeration.every_coupled(logits, S)
    elif row.noise == ("e",) and S == 1 and 6**N <= MOST_OUTCOMES and piecewise_cubic(row, logits, f, {}):
        noise, weights = enumeration.threshold_nodes(logits)
    else:
        return None
    return (noise[:, weights > 0],), weights[weights > 0]


def _seconds(functions, logits, f, rng):
    """Of a call each, (PAIRS,) for both, in turns."""
    many = enumeration.tiled(logits, BATCH)

    def taken(function, calls):
        started = time.perf_counter()
        for _ in range(calls):
            function(many, f, rng)
        return (time.perf_counter() - started) / calls

    calls = [max(1, math.ceil(1e-3 * MILLISECONDS / min(taken(each, 1) for _ in range(3)))) for each in functions]
    return np.array([[taken(*each) for each in zip(functions, calls, strict=True)] for _ in range(PAIRS)]).T


def _half(*intervals):
    """Of the logarithm of a ratio, half the width of its interval."""
    return math.hypot(*(math.log(high / low) / 2 if low > 0 else 0.0 if high == low else math.inf
                        for low, high in intervals))  # fmt: skip


def _ratio(above, below, half):
    ratio = above / below if below else (math.inf if above else 1.0)
    return (ratio, ratio * math.exp(-half), ratio * math.exp(min(half, 700.0)))
