"""Estimators that draw their own noise, or remember something between calls, judged by replicates in two ways.

One call gets the same example many times: its answers are independent draws, if examples do not see each other. Many calls get
two different examples: then what a large batch hides is seen, a baseline over the batch that contains the example's own sample,
a normalisation over the batch, a moving average that is updated too early.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from dvae_np.categorical import log_prob
from dvae_np.check import differences, enumeration, toys, verdicts
from dvae_np.check.likeness import mean_alternatives, named, row_mean
from dvae_np.check.means import MOST_TUPLES, POINTS, SEED, logits_at, sizes, target
from dvae_np.check.mistakes import known_mistakes
from dvae_np.check.report import Result, judged
from dvae_np.estimators import Row
from dvae_np.laws import joint_states
from dvae_np.noise import draw

TILED, FIRST, MOST = 10_000, 6, 60  # examples in a call; calls at first, and at most
CALLS = (200, 6000)  # of the second way, the fewest and the most
SECONDS = 1.0  # for the draws of one problem, after the first ones
WORTH_SEEING = 0.35  # of the second way: with its own sample in it, a baseline of two is off by a half
TRIED = (
    "",
    "more latents",
    "many categories",
    "f times 10,000",
    "f times 0.001",
    "logits times 6",
    "logits shifted by 800",
)
MIXED = (
    "it is right in a large batch of one example, and wrong in a batch of two: is an example's sample, or its f, another one's "
    "(a transpose, a reshape, a repeat for a tile), or a mean over the batch taken?"
)
OWN_SAMPLE = (
    "it is right in a large batch of one example, and wrong in a batch of two: does a mean over the batch, or over "
    "time, contain the example's own sample?"
)
SEEDED = "its noise is the same in every call: is a seed or a key set inside?"
SHARED = "the equal examples of one call do not vary on their own: is one noise used for the whole batch?"
TRIED_ALIKE = ("", "f times 10,000", "logits times 6", "logits shifted by 800")
APART, NOT_REPEATED = "does not depend on the others", "draws by itself, and not from what it is given, or remembers"


@dataclass(frozen=True)
class Drawing:
    """An estimator as a function (logits, f, rng), what its mean should be, and which of its calls is looked at."""

    begin: Callable  # () -> a fresh one, which gives an `Estimate`
    row: Row  # what it is the gradient of, and for which sizes
    S: int | None = None
    step: int = 1
    like: Row | None = None  # a row of the table whose mean it should have
    hyper: dict = field(default_factory=dict)  # of that row

    def draw(self, logits, f, rng):
        """The gradient (B, N, K) of the last of `step` calls of a fresh estimator."""
        estimate = self.begin()
        for _ in range(self.step):
            found = estimate(logits.copy(), f, rng).dlogits
        return found

    def exact(self, logits, f):
        """What its mean should be, for each example."""
        if self.like:
            return np.concatenate(
                [row_mean(self.like, one[None], f.of(b), self.hyper, self.S) for b, one in enumerate(logits)]
            )
        loss = lambda arrays: target(self.row, arrays["logits"], f, self.S).sum()
        return differences.complex_step(loss, {"logits": logits})["logits"]

    def result(self, check, draws, exact, point="", **options):
        """The verdict on these draws, as a line of a report."""
        S, (N, K) = self.S or 1, exact.shape[-2:]
        verdict = verdicts.from_samples(draws, exact, sizes={"S": S, "B": options.pop("B"), "N": N, "K": K}, **options)
        check = f"z-tests, {check}, N={N}, K={K}" + (f", {point}" if point else "")
        check += f", call {self.step}" if self.step > 1 else ""
        check += f", beside the mean of {named(self.like, self.hyper)}" if self.like else ""
        return replace(judged(5, self.row.name, check, verdict), point=point)


def own_noise_results(drawing, steps):
    """Yield the `Result`s on such an estimator, at its first call and at the call of that number."""
    yield (own := alone(drawing))
    if not own.ok:
        return  # then no draws mean anything
    results = [tiled(drawing, POINTS[0], offset=0.0)]
    for point in POINTS:
        if point.what in (TRIED_ALIKE if drawing.like else TRIED):
            found = tiled(drawing, point, offset=1.0)
            results.append(passed_over(found, "mild problems decide") if point.what else found)
    words = likely(drawing) if any(r.verdict.startswith("BIASED") and not r.point for r in results) else ""
    yield from (r if r.ok or r.explanation else replace(r, explanation=words) for r in results)
    yield second(called(drawing), own, all(r.ok for r in results if not r.point), words)
    if steps > 1:
        later = replace(drawing, step=steps)
        yield (found := tiled(later, POINTS[0], offset=1.0))
        yield second(called(later), own, found.ok)


def drawn_where_it_may_break(row, points):
    """Yield the `Result`s by replicates on one that takes noise, at those points where no quadrature knows its mean."""
    S = row.samples(3)
    take = lambda logits, f, rng: row.estimate(logits, f, *draw(rng, logits, S, row.noise))
    for point in POINTS:
        if point.what in points and point.what in TRIED:
            found = tiled(Drawing(lambda: take, row, S), point, offset=1.0)
            yield passed_over(found, "mild problems decide") if point.what else found


def passed_over(result, words):
    """The result; one that decides nothing is no failure where others decide."""
    doubtful = result.verdict.startswith("INCONCLUSIVE")
    return replace(result, ok=True, verdict=f"{result.verdict}; {words}") if doubtful else result


def second(result, own, right, words=""):
    """The result of calls with two examples: where a batch of one example was right, what a failure of this one points at."""
    if own.verdict == APART:
        result = passed_over(result, "as examples do not see each other, large batches decide")
    if result.ok or not result.verdict.startswith("BIASED"):
        return result
    if not right:
        return replace(result, explanation=result.explanation or words)
    off = result.measured  # shorter alone, as where a share of the own sample is taken off?
    return replace(result, explanation=OWN_SAMPLE if -0.95 < off.along < -3 * off.across else MIXED)


def likely(drawing):
    """The name of a known wrong mean, of a mistake or of a row that is biased by design, that the draws have; or ""."""
    rng = np.random.default_rng(SEED)
    N, K = sizes(drawing.row, 1, 3) if not drawing.row.binary else (1, 2)
    logits = logits_at(POINTS[0], rng, N, K)
    f = Objective(rng, logits, 1.0, 1.0)
    many = enumeration.tiled(logits, TILED)
    draws = np.concatenate([drawing.draw(many, f, rng) for _ in range(FIRST)])
    if drawing.like:
        known = mean_alternatives(drawing.like, drawing.hyper, logits, f)
    elif drawing.S and K**drawing.S > MOST_TUPLES:
        return ""  # means of so many samples are dear
    else:
        exact = drawing.exact(logits, f)[0]
        rows = [replace(drawing.row, noise=noise) for noise in (("u",), ("z",))]
        known = {
            what: mean for row in rows for what, mean in known_mistakes(row, logits, f, exact, drawing.S or 1).items()
        }
    if verdicts.from_samples(draws, drawing.exact(logits, f)[0]).ok:
        return ""  # it is right here
    for what, mean in known.items():
        if np.isfinite(mean).all() and verdicts.from_samples(draws, mean, worth_seeing=0.1).ok:
            return f"its mean is {what}".replace("is the mean of", "is that of")
    return ""


def alone(drawing):
    """Level 0: with the same generator twice, the same; and does an example's gradient depend on the others'?"""
    rng = np.random.default_rng(SEED)
    N, K = sizes(drawing.row, 2, 3)
    logits = rng.standard_normal((5, N, K))
    f = Objective(rng, logits, 1.0, 1.0, own=1.0)
    others = np.concatenate([logits[:1], -3 * logits[1:]])
    first, again, changed = (drawing.draw(each, f, np.random.default_rng(SEED)) for each in (logits, logits, others))
    if not np.isfinite(first).all():
        return Result(0, drawing.row.name, "finite", "INVALID (not finite)", False)
    alike = enumeration.tiled(logits[:1], 50)
    one, other = (drawing.draw(alike, f.of(0), np.random.default_rng(seed)) for seed in (SEED, SEED + 1))
    if np.array_equal(one, other) and np.ptp(one, axis=0).max() > 1e-6 * np.abs(one).max():
        verdict = "INVALID (two calls with other seeds agree)"
        return Result(0, drawing.row.name, "noise of its own", verdict, False, None, SEEDED)
    if not np.array_equal(first, again):
        said = f"{NOT_REPEATED}; calls with two examples decide"
    elif not np.allclose(first[0], changed[0], rtol=1e-6):
        said = "depends on the others (a mean over the batch?); calls with two examples decide"
    else:
        said = APART
    return Result(0, drawing.row.name, "an example's gradient", said, True)


class Objective:
    """f: a cubic polynomial of the codes, each example's with a linear part of its own, whose mean is `offset` deviations."""

    def __init__(self, rng, logits, size, offset, own=0.0):
        """own: the size of each example's own part; 0 for one f, which any number of examples share."""
        B, N, K = logits.shape
        self.w = 0.7 * rng.standard_normal((2, N, K))
        self.linear = own * rng.standard_normal((B, N, K)) if own else np.zeros((1, N, K))
        states, self.size, self.shift = joint_states(N, K)[:, None], size, np.zeros(len(self.linear))
        values, q = self(states)[0] / size, np.exp(log_prob(logits[: len(self.linear)], states)[0])  # (M, B)
        mean = (q * values).sum(0)
        self.shift = mean - offset * np.sqrt((q * (values - mean) ** 2).sum(0))

    def __call__(self, z):
        fz, f_backward = toys.polynomial(self.w, 3, self.linear)(z)
        return self.size * (fz - self.shift), lambda dfz: f_backward(self.size * dfz)

    def of(self, b):
        """The same of one example."""
        one = object.__new__(Objective)
        one.__dict__ = self.__dict__ | {"linear": self.linear[b : b + 1], "shift": self.shift[b : b + 1]}
        return one if len(self.linear) > 1 else self


def tiled(drawing, point, offset):
    """Level 5: one example many times in each call; more calls where the first decide nothing."""
    rng = np.random.default_rng(SEED)
    few = drawing.like or drawing.row.owns_kl  # exact means of these are dear
    N, K = sizes(drawing.row, 1, min(point.K, 3)) if few else sizes(drawing.row, point.N, point.K)
    N = 1 if few and not drawing.row.binary else N
    logits = logits_at(point, rng, N, K)
    f = Objective(rng, logits, point.size, offset)
    exact, many, draws = drawing.exact(logits, f)[0], enumeration.tiled(logits, TILED), []

    def result(calls):
        started = time.perf_counter()
        while len(draws) < calls and (len(draws) < FIRST or time.perf_counter() - started < SECONDS):
            draws.append(drawing.draw(many, f, rng))
        about = f"{len(draws)} calls with one example {TILED:,} times, E[f] = {offset:g} standard deviation"
        options = {"B": TILED, "false_alarm": verdicts.FALSE_ALARM / 2}  # of each of two looks
        found = drawing.result(about, np.concatenate(draws), exact, point.what, **options)
        return replace(found, explanation=SHARED) if "depend on one another" in found.verdict else found

    found = result(FIRST)
    return result(MOST) if "draws needed to see" in found.verdict else found


def called(drawing):
    """Level 5: two different examples in each of many calls."""
    rng = np.random.default_rng(SEED)
    N, K = (1, 2) if drawing.row.binary else (1, 3)
    logits = 0.5 * rng.standard_normal((2, N, K))
    f, draws, started = Objective(rng, logits, 1.0, 0.5, own=0.5), [], time.perf_counter()
    while len(draws) < CALLS[1] and (len(draws) < CALLS[0] or time.perf_counter() - started < 2 * SECONDS):
        draws.append(drawing.draw(logits, f, rng))
    return drawing.result(f"{len(draws):,} calls with two examples", np.stack(draws), drawing.exact(logits, f), B=2,
                          worth_seeing=WORTH_SEEING)  # fmt: skip
