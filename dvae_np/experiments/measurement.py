"""One estimator measured on one problem: bias, variance, evaluations of f and milliseconds of its gradient."""

import time

import numpy as np

from dvae_np.check import enumeration
from dvae_np.estimators import TABLE
from dvae_np.noise import draw

GROUPS = 20  # of replicates, whose spread gives the confidence intervals


def measure(row, problem, evaluations, hyper, rng, replicates, timed=True):
    """One row's line: relative bias, relative variance with a 95 % interval, cosine, evaluations, milliseconds.

    All relative to the exact gradient: squares summed over the examples, divided by the summed squares of theirs. The cosine is
    that of the angle between mean and exact gradient. For averages of independent samples of codes all is enumerated; the
    others come from `replicates` draws.
    """
    N, K = problem.N, problem.K
    S = row.samples_for(evaluations, N, K)
    calls = max(1, evaluations // S) if row.most_samples == 2 else 1
    enumerable = row.noise == ("z",) and row.fewest_samples == 1 and K**N <= 4096 and row.averages
    found, total = (
        [],
        0,
    )  # of each example (GROUPS, 3): the squared bias, the variance, the mean's part along the gradient
    for q, f in problem.examples:
        exact = flat(TABLE["exact"].estimate(q, f).dq)[0]
        total += (exact**2).sum()
        if not row.noise:
            groups = np.tile([0, 0, (exact**2).sum()], (GROUPS, 1))
        elif enumerable:
            z, weights = enumeration.every_code(q, 1)
            estimate = row.estimate(enumeration.tiled(q, len(weights)), f, z, **hyper)
            mean, spread = enumeration.moments(weights, flat(estimate.dq))
            groups = np.tile([((mean - exact) ** 2).sum(), spread.sum() / S, mean @ exact], (GROUPS, 1))
        else:
            many = enumeration.tiled(q, replicates)
            estimates = [row.estimate(many, f, *draw(rng, many, S, row.noise), **hyper) for _ in range(calls)]
            parts = np.mean([flat(each.dq) for each in estimates], 0).reshape(GROUPS, -1, exact.size)
            mean, spread = parts.mean(1), parts.var(1, ddof=1).sum(-1)
            off = ((mean - exact) ** 2).sum(-1) - spread / parts.shape[1]  # noise of the mean taken off
            groups = np.stack([off, spread, mean @ exact], -1)
        found.append(groups)
    bias, variance, along = np.moveaxis(np.sum(found, 0) / total, -1, 0)  # over the examples: (GROUPS,)
    squared = max(bias.mean() + 2 * along.mean() - 1, 1e-12)  # |m|^2 = |m - g|^2 + 2 <m, g> - |g|^2, of the mean
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
        "bias_at_most": 0.0
        if row.unbiased
        else float(max(bias.mean() + 1.96 * bias.std(ddof=1) / GROUPS**0.5, 0) ** 0.5),
        "cosine": 1.0 if row.unbiased else float(np.clip(along.mean() / squared**0.5, -1, 1)),
        "variance": float(variance.mean()),
        "variance_half_width": float(half),
        "variance_from": "exact" if enumerable or not row.noise else "sampled",
        "milliseconds": milliseconds(row, problem, S, calls, hyper, rng) if timed else None,
    }


def flat(dq):
    """The gradient of each example as one row (B, n), of plain logits or of a law's arrays."""
    arrays = dq if isinstance(dq, tuple) else (dq,)
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], 1)


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
