"""What an estimator's verification is made of: problems, settings, and exact means against exact derivatives."""

import numpy as np

from dvae_np.check import differences, enumeration, problems, verdicts
from dvae_np.check.report import Result
from dvae_np.ops import log_softmax

SEED = 13
QUADRATURE = 1e-8  # what a mean by quadrature must reach, and what doubling its nodes may change


def defaults(row, N, K, dtype=np.float64):
    """The row's hyper-parameters and its tunables' initial values for N latents of K categories, as keyword arguments."""
    omega = row.hyper.get("omega") if row.omega is None else row.omega(np.random.default_rng(SEED), N, K)
    if not isinstance(omega, dict):
        return dict(row.hyper)
    return row.hyper | {"omega": {name: np.asarray(value, dtype) for name, value in omega.items()}}


def shifted(hyper):
    """The same, every tunable and every baseline moved: unbiased must mean at any value, not only where it starts."""
    rng = np.random.default_rng(SEED)
    moved = {name: value + 0.7 for name, value in hyper.items() if name == "baseline" and isinstance(value, float)}
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


def samples(row, S):
    """The number of samples nearest to S that the row takes."""
    return int(min(max(S, row.fewest_samples), row.most_samples))


def target(row, logits, f, S):
    """What the row's gradient is the gradient of, as a plain sum over states: (B,)."""
    return enumeration.multi_sample_bound(logits, f, S) if row.owns_kl else enumeration.expectation(logits, f)


def derivatives(row, logits, theta, objective, S):
    """The target's value and its derivatives in the logits and in theta, all by the complex step: a dict of arrays."""

    def loss(arrays):
        return target(row, arrays["logits"], objective({name: arrays[name] for name in theta}), S).sum()

    numeric = differences.complex_step(loss, {"logits": logits, **theta})
    value = target(row, logits, objective(theta), S)
    return {"value": value, "dlogits": numeric["logits"], **{name: numeric[name] for name in theta}}


def objective_for(row, rng, N, K):
    """An f that the row can be tried on: theta, and f as a function of theta, which may hold one entry per outcome."""
    if row.gradient_of_f == "none":
        return {"table": 2 + rng.standard_normal((1, *(K,) * N))}, lambda theta: problems.lookup_table(theta["table"])
    w = rng.standard_normal((2, N, K))
    return {"linear": rng.standard_normal((1, N, K))}, lambda theta: problems.polynomial(w, 3, theta["linear"])


def means(row, level, logits, theta, objective, S, noise, weights, hyper, variance=None, mistakes=None):
    """Weighted means of value, dlogits and dtheta against the target's, and the exact variance of dlogits."""
    T, K = len(weights), logits.shape[-1]
    expected = derivatives(row, logits, theta, objective, S)
    own = {name: np.broadcast_to(array, (T, *array.shape[1:])) for name, array in theta.items()}
    estimate = row.estimate(enumeration.tiled(logits, T), objective(own), *noise, **hyper)
    mean, spread = enumeration.moments(weights, estimate.dlogits)
    variance = float(spread.sum()) if variance is None else variance
    how, tolerance = ("enumerated", verdicts.ENUMERATION) if level == 2 else ("quadrature", QUADRATURE)
    known = {"sizes": {"S": S, "N": logits.shape[1], "K": K}, "q": np.exp(log_softmax(logits)[0])[0]}
    exact = expected["dlogits"][0]
    verdict = verdicts.from_mean(mean, exact, how, tolerance, **known)
    if mistakes and verdict.kind == "BIASED":  # then it is worth computing what else it may be
        instead = mistakes(row, logits, objective(theta), exact, S)
        verdict = verdicts.from_mean(mean, exact, how, tolerance, **known, instead=instead)
    where = f"N={logits.shape[1]}, K={K}, S={S}, {T} outcomes"
    yield _as_claimed(level, row, f"dlogits: mean, {where}; variance {variance:.3g}", verdict)
    if estimate.value is None or (row.gradient_of_f == "relaxed" and not row.unbiased):
        return  # it gives the gradient alone, or its value is that of another, relaxed objective
    verdict = worst_of(
        verdicts.from_mean(enumeration.moments(weights, estimate.value)[0], expected["value"][0], how, tolerance),
        *(verdicts.from_mean(enumeration.moments(weights, estimate.dtheta[name])[0], expected[name][0], how, tolerance)
          for name in theta),
    )  # fmt: skip
    text = f"{verdict.kind} ({verdict.detail})"
    yield Result(level, row.name, f"value, dtheta: mean, {where}", text, verdict.ok, verdict.error, verdict.explanation)


def worst_of(*all_verdicts):
    """The verdict with the largest error."""
    return max(all_verdicts, key=lambda verdict: verdict.error)


def _as_claimed(level, row, check, verdict):
    """A result that passes where the verdict is what the table claims: unbiased, or biased and measured."""
    ok = verdict.kind == ("UNBIASED" if row.unbiased else "BIASED")
    claimed = "" if row.unbiased else ", as the table says" if ok else ", though the table says biased"
    text = f"{verdict.kind} ({verdict.detail}){claimed}"
    return Result(level, row.name, check, text, ok, verdict.error, "" if ok else verdict.explanation)
