"""Everything that can be verified of an estimator from its row in the table, level by level.

No estimator has a test of its own here: a new row is verified without a line written for it.
"""

from dataclasses import replace

import numpy as np

from dvae_np import vae
from dvae_np.categorical import log_prob, score
from dvae_np.check import differences, enumeration, toys, verdicts
from dvae_np.check.contract import contract
from dvae_np.check.exactly import OUTCOMES
from dvae_np.check.gumbel import integrated
from dvae_np.check.identities import equal
from dvae_np.check.means import (
    POINTS,
    SEED,
    coarser,
    defaults,
    derivatives,
    every_estimate,
    feasible_sizes,
    logits_at,
    means,
    objective_for,
    shifted,
    sizes,
    too_many,
    worst_of,
)
from dvae_np.check.report import Result, joined, judged
from dvae_np.laws import joint_states
from dvae_np.noise import draw

REPLICATES, AT_A_TIME = 72_000, 2000  # of the z-tests, false alarms verdicts.FALSE_ALARM; as many fit a cache


def estimator_results(row):
    """Yield every `Result` on one row of the table."""
    rng = np.random.default_rng(SEED)
    yield contract(row, rng)
    yield evaluations(row)
    yield zero_sum(row, rng)
    if row.noise and row.averages and row.fewest_samples == 1:
        yield averaged(row, rng)
    if not row.noise:
        yield from without_noise(row, rng)
    elif {"u", "v"} & set(row.noise):
        yield from integrated(row, rng)
    else:
        yield from enumerated(row, rng)
    if row.tunes == "variance":
        yield variance_gradient(row, rng)
    if row.tunes == "baseline":
        yield baseline_gradient(row, rng)
    if row.unbiased and row.noise:
        yield sampled(row)


def evaluations(row):
    """Level 0: f is evaluated as often as the row says, for every number of samples from the fewest to two more."""
    rng, found = np.random.default_rng(SEED), []
    N, K = sizes(row, 2, 3)
    for S in sorted({row.samples(row.fewest_samples + more) for more in range(3)}):
        logits, (theta, objective) = rng.standard_normal((4, N, K)), objective_for(row, rng, N, K)
        f, counted = objective(theta), []

        def counting(z, f=f, counted=counted):
            fz, f_backward = f(z)
            counted.append(len(fz) * np.isrealobj(fz))  # at complex points are the tunables' second derivatives
            return fz, f_backward

        row.estimate(logits, counting, *draw(rng, logits, S, row.noise), **defaults(row, N, K))
        found.append((S, sum(counted), row.evaluations.count(S, N, K)))
    wrong = "; ".join(f"{seen} at S = {S}, the row says {said}" for S, seen, said in found if seen != said)
    check = f"{row.evaluations.words} evaluations of f, N={N}, K={K}"
    return Result(0, row.name, check, wrong or f"{', '.join(str(seen) for _, seen, _ in found)}", not wrong)


def zero_sum(row, rng):
    """Level 4: softmax does not see a constant added to its logits, so every gradient sums to zero over K."""
    B, D, S = 5, 11, row.samples(4)
    N, K = sizes(row, 2, 3)
    logits = rng.standard_normal((B, N, K))
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (7,), np.float64)["theta"], rng.random((B, D)))
    estimate = row.estimate(logits, f, *draw(rng, logits, S, row.noise), **defaults(row, N, K))
    scale = abs(estimate.dlogits).max() + (0 if estimate.value is None else abs(estimate.value).max())
    return equal("dlogits sum to zero over K", estimate.dlogits.sum(-1), np.zeros((B, N)), scale, row.name)


def averaged(row, rng):
    """Level 4: S independent samples give the mean of what each gives alone; none is left out, none counted twice."""
    B, S = 5, 4
    N, K = sizes(row, 2, 3)
    logits, f = rng.standard_normal((B, N, K)), toys.polynomial(rng.standard_normal((2, N, K)), 3)
    noise, hyper = draw(rng, logits, S, row.noise), defaults(row, N, K)
    together = row.estimate(logits, f, *noise, **hyper).dlogits
    alone = [row.estimate(logits, f, *(array[[s]] for array in noise), **hyper).dlogits for s in range(S)]
    return equal(f"S = {S} is the mean of S = 1", together, np.mean(alone, 0), subject=row.name)


def without_noise(row, rng):
    """Level 1 for a row without noise: the complex step of the plainly enumerated expectation."""
    mild = POINTS[0]
    for point in (replace(mild, N=1, K=5), replace(mild, N=3, K=4), *(point for point in POINTS if point.N == 2)):
        N, K = point.N, point.K
        logits = np.concatenate([logits_at(point, rng, N, K) for _ in range(2)])
        table = point.size * rng.standard_normal((K,) * N)
        estimate = row.estimate(logits, toys.lookup_table(table), block=7)

        def value(arrays):
            return enumeration.expectation(arrays["logits"], toys.lookup_table(arrays["table"]))

        numeric = differences.complex_step(lambda arrays: value(arrays).sum(), {"logits": logits, "table": table})
        verdict = worst_of(
            verdicts.from_mean(estimate.value, value({"logits": logits, "table": table}), "complex step"),
            verdicts.from_mean(estimate.dlogits, numeric["logits"], "complex step"),
            verdicts.from_mean(estimate.dtheta["table"], numeric["table"], "complex step"),
        )
        check = f"value, dlogits, dtheta: complex step of the sum, N={N}, K={K}" + (
            f", {point.what}" if point.what else ""
        )
        yield judged(1, row.name, check, verdict)


def enumerated(row, rng, mistakes=None):
    """Level 2: exact means of value, dlogits and dtheta over every outcome of the drawn codes, and exact variance.

    mistakes: a function (row, logits, f, exact, S) that returns the means that known mistakes would have, for the hints. With
    it the row is a stranger's function, and one whose mean cannot be computed is left to the z-tests.
    """
    outcomes = OUTCOMES[row.noise[0]]
    points = POINTS if row.unbiased else POINTS[:1]  # a bias is measured once
    for point in points:
        if point.masked and row.binary:
            continue  # then nothing is left to choose
        few, many = (point.S or row.fewest_samples,) * 2 if point.S else (row.fewest_samples, 3)
        for S in (1,) if row.noise == ("e",) else range(row.samples(few), row.samples(many) + 1):
            N, K = feasible_sizes(row, *sizes(row, point.N, point.K), S)
            if mistakes and too_many(row, N, K, S):
                yield Result(2, row.name, f"enumeration, S={S}", "too many outcomes; the z-tests decide", True)
                return
            N = min(N, 5) if row.noise == ("e",) else N  # of six nodes each
            S = min(S, (K - point.masked) ** N) if "distinct" in row.noise else S
            if S < row.fewest_samples:
                continue  # there are no more states
            logits = logits_at(point, rng, N, K)
            theta, objective = objective_for(row, rng, N, K, point.size)
            hyper = shifted(defaults(row, N, K)) if row.unbiased else defaults(row, N, K)
            if mistakes and row.noise == ("e",) and not piecewise_cubic(row, logits, objective(theta), hyper):
                yield Result(2, row.name, "quadrature", "cannot be integrated like ours; the z-tests decide", True)
                return
            noise, weights = outcomes(logits, S)
            noise, weights = noise[:, weights > 0], weights[weights > 0]
            estimate = every_estimate(row, logits, theta, objective, (noise,), weights, hyper)
            variance = enumeration.moments(weights, estimate.dlogits)[1].sum()
            yield from means(row, 2, logits, theta, objective, S, weights, estimate, point.what, variance, mistakes)


def piecewise_cubic(row, logits, f, hyper):
    """Whether more points change nothing in the mean over one uniform for each latent, at one sample."""
    if row.fewest_samples > 1:
        return False
    found = []
    for e, weights in (enumeration.threshold_nodes(logits, points) for points in (2, 5)):
        dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, e, **hyper).dlogits
        found.append(enumeration.moments(weights, dlogits)[0])
    return differences.relative_error(*found) < coarser(dlogits, verdicts.ENUMERATION)


def variance_gradient(row, rng):
    """Level 1: domega is the gradient of the squared estimate, at fixed noise; the complex step finds it."""
    B, S = 4, row.samples(3)
    N, K = sizes(row, 2, 3)
    logits, w = rng.standard_normal((B, N, K)), rng.standard_normal((2, N, K))
    f, hyper = toys.polynomial(w, 3), shifted(defaults(row, N, K))
    noise = draw(rng, logits, S, row.noise)

    def squared(omega):
        return (row.estimate(logits, f, *noise, **hyper | {"omega": omega}).dlogits ** 2).sum()

    numeric = differences.complex_step(squared, hyper["omega"])
    domega = row.estimate(logits, f, *noise, **hyper).domega
    comparisons = [differences.comparison(name, domega[name], numeric[name]) for name in hyper["omega"]]
    return joined(1, row.name, f"domega: complex step of the squared estimate, {', '.join(numeric)}", comparisons)


def baseline_gradient(row, rng):
    """Level 1: domega is the gradient of (f - baseline)^2 / 2, summed over the examples, the mean over the samples.

    f - baseline is what multiplies the score of one sample. Where there is a running variance, (variance - (f - baseline)^2)^2
    / 2 is added, in which f - baseline counts as a constant.
    """
    B, S = 4, 3
    N, K = sizes(row, 2, 3)
    logits, f = rng.standard_normal((B, N, K)), toys.polynomial(rng.standard_normal((2, N, K)), 3)
    hyper, (z,) = shifted(defaults(row, N, K)), draw(rng, logits, S, row.noise)
    scores = score(logits, z)  # (S, B, N, K)

    def signal(omega):
        each = [row.estimate(logits, f, z[[s]], **hyper | {"omega": omega}).dlogits for s in range(S)]
        return (each * scores).sum((-1, -2)) / (scores**2).sum((-1, -2))  # (S, B)

    still = signal(hyper["omega"])

    def fit(omega):
        spread = (omega["variance"] - still**2) ** 2 if "variance" in omega else 0
        return (signal(omega) ** 2 + spread).sum() / (2 * S)

    numeric = differences.complex_step(fit, hyper["omega"])
    domega = row.estimate(logits, f, z, **hyper).domega
    comparisons = [differences.comparison(name, domega[name], numeric[name]) for name in hyper["omega"]]
    return joined(1, row.name, f"domega: complex step of the fit, {', '.join(numeric)}", comparisons)


def sampled(row, offset=0.0, replicates=REPLICATES):
    """Level 5: on a VAE, the mean of many draws against the exact gradient, with what the test could have seen.

    f is moved so that its mean is `offset` times its standard deviation. A constant changes no gradient; near zero it also
    adds no noise, and the test sees more.
    """
    rng = np.random.default_rng(SEED)  # the same problem for all rows
    D, S = 6, row.samples(2 if row.owns_kl or {"u", "v"} & set(row.noise) else 4)  # 2 where a sample is dear
    N, K = sizes(row, 3, 4)
    N, K = feasible_sizes(row, N, K, S) if row.owns_kl else (N, K)
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (6,), np.float64)["theta"], 1.0 * (rng.random((1, D)) < 0.4))
    logits = rng.standard_normal((1, N, K))
    q = np.exp(log_prob(logits, states := joint_states(N, K)[:, None])[0])
    values = f(states)[0]
    first, second = (q * values).sum(), (q * values**2).sum()
    centred = toys.tabulated(f, N, K, first - offset * np.sqrt(second - first**2))

    exact = derivatives(row, logits, {}, lambda theta: centred, S)["dlogits"]
    hyper, many = defaults(row, N, K), enumeration.tiled(logits, AT_A_TIME)
    draws = [
        row.estimate(many, centred, *draw(rng, many, S, row.noise), **hyper).dlogits
        for _ in range(replicates // AT_A_TIME)
    ]
    verdict = verdicts.from_samples(np.concatenate(draws), exact[0], sizes={"S": S, "N": N, "K": K})
    check = f"dlogits: z-tests on a VAE, N={N}, K={K}, S={S}"
    check += f", E[f] = {offset:g} standard deviation" if offset else ""
    return judged(5, row.name, check, verdict)
