"""One estimator measured on one problem: bias, variance, evaluations of f and milliseconds of its gradient."""

import time

import numpy as np

from dvae_np.check import enumeration
from dvae_np.estimators import TABLE
from dvae_np.noise import draw

GROUPS = 20  # of replicates, whose spread gives the confidence intervals


def measure(row, problem, evaluations, hyper, rng, replicates, timed=True):
    """One row's line: relative bias, relative variance with a 95 % interval, evaluations, milliseconds.

    All relative to the exact gradient: squares summed over the examples, divided by the summed squares of theirs. For averages
    of independent samples of codes both are enumerated; the others come from `replicates` draws.
    """
    N, K = problem.N, problem.K
    S = row.samples_for(evaluations, N, K)
    calls = max(1, evaluations // S) if row.most_samples == 2 else 1
    enumerable = row.noise == ("z",) and row.fewest_samples == 1 and K**N <= 4096
    bias, variance, total = [], [], 0
    for logits, f in problem.examples:
        exact = TABLE["exact"].estimate(logits, f).dlogits[0]
        total += (exact**2).sum()
        if not row.noise:
            groups = np.zeros((GROUPS, 2))
        elif enumerable:
            z, weights = enumeration.every_code(logits, 1)
            dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, z, **hyper).dlogits
            mean, spread = enumeration.moments(weights, dlogits)
            groups = np.tile([((mean - exact) ** 2).sum(), spread.sum() / S], (GROUPS, 1))
        else:
            many = enumeration.tiled(logits, replicates)
            dlogits = np.mean(
                [row.estimate(many, f, *draw(rng, many, S, row.noise), **hyper).dlogits for _ in range(calls)], 0
            )
            parts = dlogits.reshape(GROUPS, -1, N, K)
            spread = parts.var(1, ddof=1).sum((-1, -2))
            off = ((parts.mean(1) - exact) ** 2).sum((-1, -2)) - spread / parts.shape[1]  # noise of the mean taken off
            groups = np.stack([off, spread], -1)
        bias.append(groups[:, 0])
        variance.append(groups[:, 1])
    bias, variance = np.sum(bias, 0) / total, np.sum(variance, 0) / total  # over the examples: (GROUPS,)
    half = 1.96 * variance.std(ddof=1) / GROUPS**0.5
    return {
        "estimator": row.name,
        "samples": S,
        "evaluations": calls * row.evaluations.count(S, N, K),
        "bias": 0.0 if row.unbiased else float(max(bias.mean(), 0) ** 0.5),
        "bias_half_width": float(1.96 * bias.std(ddof=1) / GROUPS**0.5 / (2 * max(bias.mean(), 1e-9) ** 0.5)),
        "bias_from": "own bound"
        if row.owns_kl
        else "proved"
        if row.unbiased
        else "enumerated"
        if enumerable
        else "sampled",
        "variance": float(variance.mean()),
        "variance_half_width": float(half),
        "variance_from": "exact" if enumerable or not row.noise else "sampled",
        "milliseconds": milliseconds(row, problem, S, calls, hyper, rng) if timed else None,
    }


def milliseconds(row, problem, S, calls, hyper, rng, batch=100, runs=5):
    """The median time of one gradient of a batch, in float32, noise included."""
    hyper = {name: {key: array.astype(np.float32) for key, array in value.items()} if name == "omega" else value
             for name, value in hyper.items()}  # fmt: skip
    logits, f = problem.batch(batch, np.float32)
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(calls):
            row.estimate(logits, f, *draw(rng, logits, S, row.noise), **hyper)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1e3)
