"""Everything that can be verified of an estimator from its row in the table, level by level.

No estimator has a test of its own here: a new row is verified without a line written for it.
"""

import numpy as np

from dvae_np import vae
from dvae_np.arrays import draw
from dvae_np.check import differences, enumeration, problems, verdicts
from dvae_np.check.identities import equal
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.ops import log_softmax

SEED = 13
NODES = 140  # of the quadrature; doubled, its results must change by less than QUADRATURE
QUADRATURE = 1e-8
REPLICATES = 60_000  # for the z-tests, whose false-alarm rate is verdicts.FALSE_ALARM


def defaults(row, N, K, dtype=np.float64):
    """The row's hyper-parameters and its tunables' initial values for N latents of K categories, as keyword arguments."""
    if row.omega is None:
        return dict(row.hyper)
    omega = row.omega(np.random.default_rng(SEED), N, K)
    return row.hyper | {"omega": {name: np.asarray(value, dtype) for name, value in omega.items()}}


def shifted(hyper):
    """The same, every tunable and every baseline moved: unbiased must mean at any value, not only where it starts."""
    rng = np.random.default_rng(SEED)
    moved = {name: value + 0.7 for name, value in hyper.items() if name == "baseline" and isinstance(value, float)}
    if "omega" in hyper:
        moved["omega"] = {
            name: value + 0.5 * rng.standard_normal(value.shape) for name, value in hyper["omega"].items()
        }
    return hyper | moved


def sizes(row, N, K):
    """N latents of K categories, or as many binary ones where the row takes no others."""
    return (N + 1, 2) if row.binary else (N, K)


def samples(row, S):
    """The number of samples nearest to S that the row takes."""
    return int(min(max(S, row.fewest_samples), row.most_samples))


def target(row, logits, f, S):
    """What the row's gradient is the gradient of, as a plain sum over states: (B,)."""
    return enumeration.multi_sample_bound(logits, f, S) if row.owns_kl else enumeration.expectation(logits, f)


def estimator_results(row, mistakes=None):
    """Yield every `Result` on one row of the table.

    mistakes: a function (row, logits, f, exact, S) that returns the means that known mistakes would have, for the hints.
    """
    rng = np.random.default_rng(SEED)
    yield contract(row, rng)
    yield zero_sum(row, rng)
    if not row.noise:
        yield from without_noise(row, rng)
    elif {"u", "v"} & set(row.noise):
        yield from integrated(row, rng, mistakes)
    else:
        yield from enumerated(row, rng, mistakes)
    if row.tunes == "variance":
        yield variance_gradient(row, rng)
    if row.unbiased and row.noise:
        yield sampled(row)


def contract(row, rng):
    """Level 0: shapes, dtype, inputs untouched, two calls agree, examples of a batch do not see each other."""
    B, D, H, S = 5, 11, 7, samples(row, 4)
    N, K = sizes(row, 2, 3)
    broken = []
    for dtype in (np.float32, np.float64):
        logits = rng.standard_normal((B, N, K)).astype(dtype)
        x = (rng.random((B, D)) < 0.4).astype(dtype)
        theta = vae.parameters(rng, D, N, K, (H,), dtype)["theta"]
        noise, hyper = draw(rng, logits, S, row.noise), defaults(row, N, K, dtype)
        given = [array.copy() for array in (logits, *noise)]
        estimate = row.estimate(logits, vae.reconstruction(theta, x), *noise, **hyper)
        again = row.estimate(logits, vae.reconstruction(theta, x), *noise, **hyper)
        alone = [
            row.estimate(logits[[b]], vae.reconstruction(theta, x[[b]]), *(array[:, [b]] for array in noise), **hyper)
            for b in range(B)
        ]
        close = 1e-4 if dtype is np.float32 else 1e-12
        whole = [estimate.dlogits]
        if estimate.value is not None:
            whole += [estimate.value, *estimate.dtheta.values(), *dict(estimate.domega).values()]
        conditions = {
            "shape of dlogits": estimate.dlogits.shape == logits.shape,
            "shape of value": estimate.value is None or estimate.value.shape == (B,),
            "dtype": all(array.dtype == dtype for array in whole),
            "not finite": all(np.isfinite(array).all() for array in whole),
            "inputs changed": all(np.array_equal(*pair) for pair in zip(given, (logits, *noise), strict=True)),
            "two calls differ": np.array_equal(estimate.dlogits, again.dlogits),
            "examples mixed": differences.relative_error(
                estimate.dlogits, np.concatenate([one.dlogits for one in alone])) < close,
            "dtheta not the batch's sum": estimate.dtheta is None or all(
                differences.relative_error(estimate.dtheta[name], sum(one.dtheta[name] for one in alone)) < close
                for name in theta
            ),
        }  # fmt: skip
        broken += [f"{what} ({np.dtype(dtype).name})" for what, holds in conditions.items() if not holds]
    check = "shapes, dtype (float32, float64), purity, independent examples"
    return Result(0, row.name, check, "ok" if not broken else "INVALID (" + ", ".join(broken) + ")", not broken)


def zero_sum(row, rng):
    """Level 4: softmax does not see a constant added to its logits, so every gradient sums to zero over K."""
    B, D, S = 5, 11, samples(row, 4)
    N, K = sizes(row, 2, 3)
    logits = rng.standard_normal((B, N, K))
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (7,), np.float64)["theta"], rng.random((B, D)))
    estimate = row.estimate(logits, f, *draw(rng, logits, S, row.noise), **defaults(row, N, K))
    scale = abs(estimate.dlogits).max() + (0 if estimate.value is None else abs(estimate.value).max())
    return equal("dlogits sum to zero over K", estimate.dlogits.sum(-1), np.zeros((B, N)), scale, row.name)


def without_noise(row, rng):
    """Level 1 for a row without noise: the complex step of the plainly enumerated expectation."""
    for N, K in ((1, 5), (3, 4)):
        logits, table = rng.standard_normal((2, N, K)), rng.standard_normal((K,) * N)
        estimate = row.estimate(logits, problems.lookup_table(table), block=7)
        expected = derivatives(row, logits, {"table": table}, lambda theta: problems.lookup_table(theta["table"]), 1)
        verdict = worst_of(
            verdicts.from_mean(estimate.value, expected["value"], "complex step"),
            verdicts.from_mean(estimate.dlogits, expected["dlogits"], "complex step"),
            verdicts.from_mean(estimate.dtheta["table"], expected["table"], "complex step"),
        )
        check = f"value, dlogits, dtheta: complex step of the sum, N={N}, K={K}"
        yield Result(
            1, row.name, check, f"{verdict.kind} ({verdict.detail})", verdict.ok, verdict.error, verdict.explanation
        )


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


def enumerated(row, rng, mistakes=None):
    """Level 2: exact means of value, dlogits and dtheta over every outcome of the drawn codes, and exact variance."""
    N, K = sizes(row, 2, 3)
    logits = rng.standard_normal((1, N, K))
    theta, objective = objective_for(row, rng, N, K)
    hyper = shifted(defaults(row, N, K)) if row.unbiased else defaults(row, N, K)
    outcomes = {
        "z": enumeration.every_code,
        "distinct": enumeration.every_sequence,
        "coupled": enumeration.every_coupled,
        "e": lambda logits, S: enumeration.threshold_nodes(logits),
    }[row.noise[0]]
    for S in (1,) if row.noise == ("e",) else range(row.fewest_samples, samples(row, 3) + 1):
        noise, weights = outcomes(logits, S)
        yield from means(row, 2, logits, theta, objective, S, (noise,), weights, hyper, mistakes=mistakes)


def integrated(row, rng, mistakes=None):
    """Level 3: the same over Gumbel noise, by quadrature with the nodes doubled; a bias gets its sign and its size.

    Where u leads to a code and one or more v are second draws given that code, the estimate must be a sum of a function of
    u and functions of each v, for each code; that is tested first. Then the means of the parts add up, and so do their
    variances, and one dimension of nodes serves all of them at the same time.
    """
    for N, K in ((1, 2), (1, 3), (2, 2)):
        logits = rng.standard_normal((1, N, K))
        theta, objective = objective_for(row, rng, N, K)
        hyper = shifted(defaults(row, N, K)) if row.unbiased else defaults(row, N, K)
        outcomes, weights, winner = enumeration.gumbel_nodes(logits, NODES)
        if N == 1:
            stable = differences.relative_error(
                *(quadrature(row, logits, objective(theta), n, hyper) for n in (NODES, 2 * NODES))
            )
            check = f"quadrature, {NODES} nodes doubled, K={K}"
            yield Result(3, row.name, check, f"change {stable:.0e}", stable < QUADRATURE, stable)
            yield structure(row, logits, objective(theta), hyper, outcomes, weights, winner)
        noise = tuple(outcomes[name] for name in row.noise)
        variance = additive_variance(row, logits, objective(theta), noise, weights, winner, hyper)
        yield from means(row, 3, logits, theta, objective, 1, noise, weights, hyper, variance, mistakes)


def quadrature(row, logits, f, nodes, hyper):
    """The mean of dlogits over Gumbel noise."""
    outcomes, weights, _ = enumeration.gumbel_nodes(logits, nodes)
    noise = (outcomes[name] for name in row.noise)
    return enumeration.moments(
        weights, row.estimate(enumeration.tiled(logits, len(weights)), f, *noise, **hyper).dlogits
    )[0]


def structure(row, logits, f, hyper, outcomes, weights, winner):
    """Level 4: what `integrated` relies on: only ratios of the exponentials matter, and parts of the noise add up."""
    rng = np.random.default_rng(SEED)
    first, second = rng.choice(len(weights), (2, 400), p=weights / weights.sum())
    same = winner[first] == winner[second]
    first, second = first[same], second[same]
    moved = enumeration.gumbel_nodes(logits, NODES, scale=0.6)[0]

    def dlogits(choices, outcomes=outcomes):
        noise = [outcomes[name][:, chosen] for name, chosen in zip(row.noise, choices, strict=True)]
        return row.estimate(enumeration.tiled(logits, len(first)), f, *noise, **hyper).dlogits

    parts = len(row.noise)
    base = dlogits(parts * [first])
    errors = [abs(dlogits(parts * [first], moved) - base).max()]
    for part in range(1, parts):
        mixed = [[second if j == part else first for j in range(parts)], [second if j == 0 else first for j in range(parts)],
                 [second if j in (0, part) else first for j in range(parts)]]  # fmt: skip
        one, other, both = map(dlogits, mixed)
        errors.append(abs(base - one - other + both).max())
    error = float(max(errors) / abs(base).max())
    what = "ratios alone matter" + (", parts of the noise add up" if parts > 1 else "")
    return Result(4, row.name, f"{what}, K={logits.shape[-1]}", f"error {error:.0e}", error < 1e-9, error)


def additive_variance(row, logits, f, noise, weights, winner, hyper):
    """The total variance of dlogits over Gumbel noise: between codes, plus within each code the parts' variances."""
    tiled = enumeration.tiled(logits, len(weights))
    codes, member = np.unique(winner, return_inverse=True)
    mass = np.bincount(member, weights)
    heavy = np.array([np.flatnonzero(member == c)[np.argmax(weights[member == c])] for c in range(len(codes))])

    def within(dlogits):
        mean = np.stack(
            [np.tensordot(weights[member == c], dlogits[member == c], 1) / mass[c] for c in range(len(codes))]
        )
        return mean, ((dlogits - mean[member]) ** 2).sum((-1, -2)) @ weights

    mean, _ = within(row.estimate(tiled, f, *noise, **hyper).dlogits)
    total = mass @ ((mean - np.tensordot(mass, mean, 1)) ** 2).sum((-1, -2))
    moving = [i for i, name in enumerate(row.noise) if name != "z"]
    for i in moving[:2] if len(set(row.noise)) < len(row.noise) else moving:  # equal parts are worked out once
        alone = [array if j == i or row.noise[j] == "z" else array[:, heavy[member]] for j, array in enumerate(noise)]
        part = within(row.estimate(tiled, f, *alone, **hyper).dlogits)[1]
        total += part * (len(moving) / 2 if len(set(row.noise)) < len(row.noise) else 1)
    return float(total)


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
    if mistakes:
        known["instead"] = mistakes(row, logits, objective(theta), expected["dlogits"][0], S)
    verdict = verdicts.from_mean(mean, expected["dlogits"][0], how, tolerance, **known)
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


def variance_gradient(row, rng):
    """Level 1: domega is the gradient of the squared estimate, at fixed noise; the complex step finds it."""
    B, S = 4, samples(row, 3)
    N, K = sizes(row, 2, 3)
    logits, w = rng.standard_normal((B, N, K)), rng.standard_normal((2, N, K))
    f, hyper = problems.polynomial(w, 3), shifted(defaults(row, N, K))
    noise = draw(rng, logits, S, row.noise)

    def squared(omega):
        return (row.estimate(logits, f, *noise, **hyper | {"omega": omega}).dlogits ** 2).sum()

    numeric = differences.complex_step(squared, hyper["omega"])
    domega = row.estimate(logits, f, *noise, **hyper).domega
    comparisons = [differences.compare(name, domega[name], numeric[name]) for name in hyper["omega"]]
    error, wrong = max(c.error for c in comparisons), "; ".join(str(c) for c in comparisons if not c.ok)
    check = f"domega: complex step of the squared estimate, {', '.join(numeric)}"
    return Result(1, row.name, check, f"error {error:.0e}", not wrong, error, wrong)


def sampled(row):
    """Level 5: on a VAE, the mean of many draws against the exact gradient, with what the test could have seen."""
    rng = np.random.default_rng(SEED)  # the same problem for all rows
    D, S = 16, samples(row, 4)
    N, K = sizes(row, 2, 3)
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (9,), np.float64)["theta"], 1.0 * (rng.random((1, D)) < 0.4))
    logits = rng.standard_normal((1, N, K))
    constant = TABLE["exact"].estimate(logits, f).value

    def centred(z):  # a constant changes no gradient; near zero it also adds no noise, and the test sees more
        fz, f_backward = f(z)
        return fz - constant, f_backward

    exact = differences.complex_step(lambda a: target(row, a["logits"], centred, S).sum(), {"logits": logits})["logits"]
    many = enumeration.tiled(logits, REPLICATES)
    draws = row.estimate(many, centred, *draw(rng, many, S, row.noise), **defaults(row, N, K)).dlogits
    verdict = verdicts.from_samples(draws, exact[0], sizes={"S": S, "N": N, "K": K})
    check = f"dlogits: z-tests on a VAE, S={S}"
    return Result(
        5, row.name, check, f"{verdict.kind} ({verdict.detail})", verdict.ok, verdict.error, verdict.explanation
    )


def worst_of(*all_verdicts):
    """The verdict with the largest error."""
    return max(all_verdicts, key=lambda verdict: verdict.error)


def _as_claimed(level, row, check, verdict):
    """A result that passes where the verdict is what the table claims: unbiased, or biased and measured."""
    ok = verdict.kind == ("UNBIASED" if row.unbiased else "BIASED")
    claimed = "" if row.unbiased else ", as the table says" if ok else ", though the table says biased"
    text = f"{verdict.kind} ({verdict.detail}){claimed}"
    return Result(level, row.name, check, text, ok, verdict.error, "" if ok else verdict.explanation)
