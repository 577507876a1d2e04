"""What an estimator's verification is made of: problems, settings, and exact means against exact derivatives."""

import math
from dataclasses import dataclass

import numpy as np

from dvae_np.check import enumeration, toys, verdicts
from dvae_np.check.report import Result, judged
from dvae_np.laws import joint_states
from dvae_np.ops import log_softmax

SEED = 13
QUADRATURE = 1e-8  # what a mean by quadrature must reach
ROUNDING = 20  # times the machine's epsilon: what honest rounding needs of an estimator's own numbers
RARE, COUPLED = (
    1e-3,
    1e-8,
)  # where q is below the first, laws of coupled codes, sums of 2^S areas that cancel, reach this
MOST_TUPLES = 2**16  # of states, for S samples: beyond, fewer latents or categories are enumerated
STEP = 1e-20  # of the complex step


@dataclass(frozen=True)
class Point:
    """Where an estimator is tried: the sizes, and what may break it."""

    what: str
    N: int = 2
    K: int = 3
    S: int | None = 2  # None: every small number of samples
    spread: float = 1.0  # of the logits; at 6 and 8 probabilities go down to 1e-6 and 1e-10
    shift: float = 0.0  # of all logits, which softmax does not see
    size: float = 1.0  # of f
    masked: bool = False  # category 0 has the logit -inf
    suspect: str = ""  # what is asked of an estimator that is wrong here, and right where all is mild


_SIZES, _PEAKED = (
    "is a size written as a number where N, K or S belongs?",
    "is a probability floored, or a logit clipped?",
)
POINTS = (
    Point("", S=None),
    Point("more latents", N=3, K=4, suspect=_SIZES),
    Point("many latents", N=6, K=2, suspect=_SIZES),
    Point("many categories", N=1, K=9, suspect=_SIZES),
    Point("more samples", N=1, S=6, suspect=_SIZES),
    Point("f times 10,000", size=1e4, suspect="is f, or the gradient's norm, clipped?"),
    Point("f times 0.001", size=1e-3, suspect="is a small number added to f or to its deviation?"),
    Point("logits times 6", spread=6, suspect=_PEAKED),
    Point("logits times 8", spread=8, suspect=_PEAKED),
    Point("logits shifted by 800", shift=800, suspect="is e^logits taken without subtracting their maximum first?"),
    Point("a category ruled out (-inf)", masked=True, suspect="is 0 multiplied by a logit of -inf?"),
)


def logits_at(point, rng, N, K):
    """Logits (1, N, K), each a number of float32 too: code that computes in float32 is given the same problem."""
    logits = point.spread * rng.standard_normal((1, N, K)) + point.shift
    if point.masked:
        logits[..., 0] = -np.inf
    return logits.astype(np.float32).astype(np.float64)


def defaults(row, N, K, dtype=np.float64):
    """The row's hyper-parameters and its tunables' initial values for N latents of K categories, as keyword arguments."""
    omega = row.hyper.get("omega") if row.omega is None else row.omega(np.random.default_rng(SEED), N, K)
    if not isinstance(omega, dict):
        return dict(row.hyper)
    return row.hyper | {"omega": {name: np.asarray(value, dtype) for name, value in omega.items()}}


def shifted(hyper):
    """The same, every tunable and every baseline moved: unbiased must mean at any value, not only where it starts."""
    rng = np.random.default_rng(SEED)
    moved = {name: value + 0.7 for name, value in hyper.items()
             if name == "baseline" and isinstance(value, int | float) and not isinstance(value, bool)}  # fmt: skip
    if isinstance(hyper.get("omega"), dict):
        moved["omega"] = {
            name: value + 0.5 * rng.standard_normal(value.shape) for name, value in hyper["omega"].items()
        }
    return hyper | moved


def sizes(row, N, K):
    """N latents of K categories, or N + 1 binary ones where the row takes no others; one alone where many codes are drawn."""
    N, K = (N + 1, 2) if row.binary else (N, K)
    many = row.fewest_samples > 4 and "distinct" not in row.noise  # all their outcomes would be too many
    return (1, K) if many else (N, K)


def too_many(row, N, K, S):
    """Whether S samples have too many outcomes to go through them all."""
    distinct, coupled = "distinct" in row.noise, "coupled" in row.noise
    return (math.perm(K**N, S) if distinct else float(K**N) ** S * (S * S / 8 if coupled else 1)) > MOST_TUPLES


def feasible_sizes(row, N, K, S):
    """The sizes N and K, or smaller ones, of which S samples have few enough outcomes to go through them all."""
    while too_many(row, N, K, S) and (N > 1 or K > 2):
        N, K = (N - 1, K) if N > 1 else (N, K - 1)
    return (1, S) if "distinct" in row.noise and K**N < S else (N, K)


def target(row, logits, f, S):
    """What the row's gradient is the gradient of, as a plain sum over states: (B,)."""
    return enumeration.multi_sample_bound(logits, f, S) if row.owns_kl else enumeration.expectation(logits, f)


def derivatives(row, logits, theta, objective, S):
    """The target's value and its derivatives in the logits (1, N, K) and in theta, by the complex step: a dict of arrays.

    All entries take their step at the same time, each in an example of its own.
    """
    arrays = {"logits": logits, **theta}
    count = sum(array.size for array in arrays.values())
    moved, start, places = {}, 0, {}
    for name, array in arrays.items():
        moved[name] = np.repeat(array.astype(complex), count, 0)
        places[name] = start + np.arange(array.size)
        moved[name].reshape(count, -1)[places[name], np.arange(array.size)] += 1j * STEP
        start += array.size
    slopes = target(row, moved["logits"], objective({name: moved[name] for name in theta}), S).imag / STEP
    value = target(row, logits, objective(theta), S)
    return {"value": value, "dlogits": slopes[places["logits"]].reshape(logits.shape)} | {
        name: slopes[places[name]].reshape(array.shape) for name, array in theta.items()
    }


def objective_for(row, rng, N, K, size=1.0):
    """An f that the row can be tried on: theta, and f as a function of theta, which may hold one entry per outcome."""
    if row.gradient_of_f == "none":
        theta = {"table": 2 + rng.standard_normal((1, *(K,) * N))}
        return theta, lambda theta: toys.scaled(toys.lookup_table(theta["table"]), size)
    w, theta = rng.standard_normal((2, N, K)), {"linear": rng.standard_normal((1, N, K))}
    return theta, lambda theta: toys.scaled(toys.polynomial(w, 3, theta["linear"]), size)


def every_estimate(row, logits, theta, objective, noise, weights, hyper):
    """The estimate at every outcome of the noise, each with parameters theta of its own, so that dtheta is told apart."""
    T = len(weights)
    own = {name: np.broadcast_to(array, (T, *array.shape[1:])) for name, array in theta.items()}
    return row.estimate(enumeration.tiled(logits, T), objective(own), *noise, **hyper)


def coarser(array, error):
    """The error to expect where float64 gives this one: of float32 no less than a hundred times its epsilon."""
    return max(error, 100 * float(np.finfo(np.float32).eps)) if array.dtype == np.float32 else error


def allowance(logits, values, exact):
    """What rounding may do to a mean, in units of the machine's epsilon and relative to the exact gradient.

    An estimator's numbers are as large as f, whose values these are, or 1 for what is subtracted from it, and known to
    `ROUNDING` epsilons; log q besides to an epsilon of the logits. In the mean they cancel down to the gradient: so it is
    ROUNDING max|f| / max|gradient|, times max|logits| / 16 where those are larger.
    """
    reach = max(1, abs(values).max()) / (abs(exact).max() or 1)
    return ROUNDING * reach * max(1, abs(logits[np.isfinite(logits)]).max() / 16)


def means(row, level, logits, theta, objective, S, weights, estimate, what="", variance=None, mistakes=None):
    """Weighted means of value, dlogits and dtheta against the target's.

    estimate: what `every_estimate` gives. what: of the point, for the reader. variance: of dlogits in all, to be stated.
    """
    T, (_, N, K) = len(weights), logits.shape
    expected = derivatives(row, logits, theta, objective, S)
    mean = enumeration.moments(weights, estimate.dlogits)[0]
    exact = expected["dlogits"][0]
    epsilons = allowance(logits, objective(theta)(joint_states(N, K)[:, None])[0], exact)
    how, tolerance = ("enumerated", verdicts.ENUMERATION) if level == 2 else ("quadrature", QUADRATURE)
    tolerance = max(tolerance, epsilons * np.finfo(np.float64).eps)
    q = np.exp(log_softmax(logits)[0])[0]
    if "coupled" in row.noise and (q[q > 0].min() < RARE or S > 6):
        tolerance = max(tolerance, COUPLED * 2 ** max(S - 6, 0))  # of a sum over 2^S corners
    dtype = getattr(estimate.dlogits, "dtype", None)
    rounding = epsilons * np.finfo(np.float32).eps if dtype == np.float32 else 0
    known = {"sizes": {"S": S, "N": N, "K": K}, "q": q, "variance": variance}
    verdict = verdicts.from_mean(mean, exact, how, tolerance, rounding, **known)
    if mistakes and verdict.kind == "BIASED":  # then it is worth computing what else it may be
        instead = mistakes(row, logits, objective(theta), exact, S)
        verdict = verdicts.from_mean(mean, exact, how, tolerance, rounding, **known, instead=instead)
    where = f"N={N}, K={K}, S={S}, {T} outcomes" + (f", {what}" if what else "")
    if mistakes and not np.isfinite(logits).all() and not np.isfinite(mean).all():
        yield Result(level, row.name, f"dlogits: mean, {where}", "not finite: it does not take logits of -inf", True)
        return
    stated = "" if variance is None else f"; variance {variance:.3g}"
    yield _as_claimed(level, row, f"dlogits: mean, {where}{stated}", verdict, what)
    if estimate.value is None or (row.relaxed):
        return  # it gives the gradient alone, or its value is that of another, relaxed objective
    verdict = worst_of(
        verdicts.from_mean(enumeration.moments(weights, estimate.value)[0], expected["value"][0], how, tolerance, rounding),
        *(verdicts.from_mean(enumeration.moments(weights, estimate.dtheta[name])[0], expected[name][0], how, tolerance,
                             rounding)
          for name in theta),
    )  # fmt: skip
    yield judged(level, row.name, f"value, dtheta: mean, {where}", verdict)


def worst_of(*all_verdicts):
    """The verdict with the largest error."""
    return max(all_verdicts, key=lambda verdict: verdict.error)


def _as_claimed(level, row, check, verdict, point):
    """A result that passes where the verdict is what the table claims: unbiased, or biased and measured."""
    ok = verdict.ok if row.unbiased else verdict.kind == "BIASED"
    claimed = "" if row.unbiased else ", as the table says" if ok else ", though the table says biased"
    text = f"{verdict.kind} ({verdict.detail}){claimed}"
    return Result(
        level, row.name, check, text, ok, verdict.error, "" if ok else verdict.explanation, point, verdict.measured
    )
