"""Is *your* estimator right? Verdicts on a function, or on gradient samples that any program wrote."""

import inspect
import traceback
from dataclasses import replace
from functools import partial

import numpy as np

from dvae_np.arrays import InputError, expect_whole
from dvae_np.check import verdicts
from dvae_np.check.contract import contract
from dvae_np.check.gumbel import integrated
from dvae_np.check.hints import among
from dvae_np.check.levels import REPLICATES, enumerated, sampled
from dvae_np.check.likeness import expect_like, like_results
from dvae_np.check.means import POINTS, SEED
from dvae_np.check.mistakes import known_mistakes
from dvae_np.check.own_noise import Drawing, drawn_where_it_may_break, own_noise_results
from dvae_np.check.report import Report, Result, judged
from dvae_np.check.stranger import as_row, drawn

UNJUDGEABLE = (
    "inputs changed",
    "two calls differ",
    "examples mixed",
    "mean over the batch",
)  # after these no exact mean means anything
MOST_OF_A_BOUND = 8  # samples: beyond, the sum over all tuples of states takes minutes


def judge(estimate, name=None, *, S=None, binary=False, bound=False, like=None, steps=None, **hyper):
    """Verify an estimator of anyone's: a `Report`, which is true where it is unbiased and keeps the contract.

    estimate: a function (logits, f, *noise, **hyper) of this package's kind. Its noise is told by its parameters' names:
              one of z, distinct, coupled and e, or z, u and v in any combination (see `dvae_np.draw`). It returns an
              `Estimate`, or the gradient in the logits (B, N, K) alone. What has a default is a hyper-parameter and keeps that
              value; but arrays in a dict called omega, and a number called baseline, are moved: no value of these may matter.
              A function (logits, f, rng), or (logits, f), draws its own noise: from the generator `rng`, or by `np.random`.
              Functions of PyTorch and JAX go through `dvae_np.check.torch.estimator` and `dvae_np.check.jax.estimator`.
    S:        the number of samples, where it takes no other; else it is tried with several. Of a bound at most 8.
    binary:   whether it is for latents of K = 2 categories alone, as whatever takes e is.
    bound:    whether it is of the negative multi-sample bound [Eq. 9.1], as VIMCO, and not of E_q[f].
    like:     a row of the table, as "gumbel_softmax", with its hyper-parameters, as tau=0.5: is it that estimator, biased by
              design or not? Compared draw by draw on the same noise; by its mean where it draws its own.
    steps:    of an estimator that remembers, as a moving average: then `estimate` is called without arguments for a fresh one,
              and its first call is judged, and its call of that number.

    It is tried at mild logits and where estimators break (`means.POINTS`): more latents, categories and samples, f times
    10,000 and 0.001, logits times 6 and 8, logits shifted by 800, a category ruled out by -inf; at fewer where it takes Gumbel
    noise, is binary, draws its own noise, or takes many samples. f takes codes and relaxed codes. Its exact mean is compared
    with the exact gradient, up to the rounding of float64 or, where it answers in float32, of that; a known mistake is called
    by its name (`mistakes`). Where the mean cannot be computed, z-tests decide. Raises InputError for a function whose
    parameters are not of this form, for S that cannot be, and for hyper-parameters that the row `like` has not.
    """
    if S is not None and (S < 1 or S != int(S) or (bound and S > MOST_OF_A_BOUND)):
        most = f" and, for a bound, at most {MOST_OF_A_BOUND}" if bound else ""
        raise InputError(f"S: expected a whole number of samples, at least 1{most}, got {S}")
    if hyper and like is None:
        raise InputError(f"judge: {', '.join(hyper)} belong to the row that `like` names, and it names none")
    if steps is not None:
        expect_whole("steps", steps, 1)
    fresh = estimate if steps is None else _begun(estimate)
    row, noise = as_row(fresh, name or getattr(estimate, "__name__", None), S, binary, bound)
    own = noise in ((), ("rng",))
    alike = None if like is None else expect_like(like, hyper, None if own or steps else noise)
    if own or steps:
        if bound and S is None:
            raise InputError("S: expected the number of samples of a bound whose noise is its own")
        begin = (lambda: fresh) if steps is None else estimate
        drawing = Drawing(partial(drawn, begin, noise, row.samples(S or 2)), row, S, like=alike, hyper=hyper)
        results = own_noise_results(drawing, steps or 1)
    elif alike:
        results = like_results(row, alike, hyper)
    else:
        results = _stranger_results(row)
    file = getattr(getattr(inspect.unwrap(fresh), "__code__", None), "co_filename", None)
    with np.errstate(all="ignore"):  # what comes out is judged, however it came about
        results = list(_guarded(row, results, file))
    explained = among(results)  # a hint must fit every size at which it is wrong
    return Report(where_it_breaks(replace(r, explanation=words) for r, words in zip(results, explained, strict=True)))


def _begun(begin):
    """A fresh estimator. Raises InputError for what gives none."""
    words = "steps: expected what gives a fresh estimator when it is called without arguments"
    try:
        fresh = begin()
    except Exception as error:  # whatever a stranger's function may raise
        raise InputError(f"{words}; it raised {type(error).__name__}: {error}") from error
    if not callable(fresh):
        raise InputError(f"{words}; it gave a {type(fresh).__name__}")
    return fresh


def where_it_breaks(results):
    """The results; where all mild problems are passed, a failure elsewhere says so, and asks what may be the reason."""
    results = list(results)
    mild = [r for r in results if not r.point and r.verdict.startswith(("UNBIASED", "NO BIAS FOUND", "SAME AS"))]
    if not mild or not all(result.ok for result in results if not result.point):
        return results
    suspects = {point.what: point.suspect for point in POINTS}
    broken = [result.point for result in results if not result.ok]
    told = f"it is right at mild logits and small sizes, and wrong at {', '.join(dict.fromkeys(broken))}"
    return [
        result if result.ok else replace(result, explanation="; ".join(filter(None, (f"{told}: {suspects[result.point]}",
                                                                                      result.explanation))))
        for result in results
    ]  # fmt: skip


def _guarded(row, results, file):
    """The results, up to an exception of the estimator's, which is one more result."""
    try:
        yield from results
    except (Exception, SystemExit) as error:  # anything that a stranger's function may raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        words = "; ".join(getattr(error, "__notes__", ()))
        place = f" (line {lines[-1]}; {words})" if lines else f" ({words})" if words else ""
        place += "; does it need more samples than one? Then say S=" * isinstance(error, ZeroDivisionError)
        text = f"{type(error).__name__}: {error}{place}"
        yield Result(0, row.name, "runs", "INVALID (it raised an exception)", False, None, text)


def _stranger_results(row):
    """Contract, exact mean, z-tests: what `estimators.estimator_results` asks of the table's rows, of a function unknown."""
    rng = np.random.default_rng(SEED)
    yield (kept := contract(row, rng, own=False))
    if not kept.ok and any(words in kept.verdict for words in UNJUDGEABLE):
        return
    integrable = integrated if {"u", "v"} & set(row.noise) else enumerated
    exact, skipped = [], []
    for result in integrable(row, rng, known_mistakes):
        exact.append(result.verdict.startswith(("UNBIASED", "BIASED")))
        skipped += [result.point] * ("z-tests decide" in result.verdict)
        yield result
    tested = sampled(row, replicates=REPLICATES if any(exact) else 2 * REPLICATES)
    if any(exact):
        tested = replace(tested, point="more latents")
        if tested.verdict.startswith("INCONCLUSIVE"):
            tested = replace(tested, verdict=f"{tested.verdict}; the exact mean decides", ok=True)
    yield tested
    if not any(exact):  # then an error that is proportional to E[f] must not hide behind f's mean of zero
        yield sampled(row, offset=1.0, replicates=2 * REPLICATES)
        skipped = [point.what for point in POINTS]
    yield from drawn_where_it_may_break(row, skipped)


def judge_samples(draws, exact, **sizes):
    """The verdict on gradient samples (R, ...) of any program beside the exact gradient (...), as a `Report`.

    draws: an array, or an iterator of arrays, each of some draws. sizes: numbers that a wrong factor may be made of, as S=4,
    B=100. See `verdicts.from_samples` for what it can see. Raises InputError for sizes below 1 and a gradient of no entries.
    """
    for name, size in sizes.items():
        expect_whole(name, size, 1)
    draws, exact = (each if hasattr(each, "__next__") else np.asarray(each) for each in (draws, exact))
    if not exact.size:
        raise InputError("exact: expected a gradient of some entries, got none")
    verdict = verdicts.from_samples(draws, exact, sizes=sizes)
    check = f"z-tests, false alarms {verdicts.FALSE_ALARM:g}"
    return Report([judged(5, "samples", check, verdict)])
