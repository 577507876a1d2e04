"""Tunables learned with the model fixed, and what that does to an estimator's exact variance."""

import numpy as np

from dvae_np.check import enumeration
from dvae_np.check.exactly import row_moments
from dvae_np.check.means import defaults
from dvae_np.check.toys import polynomial
from dvae_np.estimators import TABLE
from dvae_np.laws import law
from dvae_np.noise import draw
from dvae_np.text import columns
from dvae_np.train import SGD, Adam

TUNING_STEPS = 200


def tuned(row, problem, S, rng):
    """The row's hyper-parameters, with its tunables learned on a batch for a few hundred steps, the model fixed."""
    hyper = defaults(row, problem.N, problem.K)
    if row.omega is None:
        return hyper
    kind, rate = row.omega_step
    optimiser = (SGD if kind == "sgd" else Adam)({"omega": hyper["omega"]}, rate)
    q, f = problem.batch(64, np.float64)
    B, _, _ = law(q).sizes
    for _ in range(TUNING_STEPS):
        estimate = row.estimate(q, f, *draw(rng, q, S, row.noise), **hyper)
        optimiser.step({"omega": {name: gradient / B for name, gradient in estimate.domega.items()}})
    return hyper


def learned_variances(steps=1500):
    """Exact variances before and after learning the tunables, on a toy: cubic f, one latent of three categories (binary
    rows: two of two), every variance by enumeration or quadrature. Returns {estimator: (before, after)}."""
    found = {}
    for row in TABLE.values():
        if row.omega is None:
            continue
        rng = np.random.default_rng(5)
        N, K = (2, 2) if row.binary else (1, 3)
        logits, f = rng.standard_normal((1, N, K)), polynomial(rng.standard_normal((2, N, K)), 3)
        hyper, many, S = defaults(row, N, K), enumeration.tiled(logits, 64), row.samples(1)
        variances = [row_moments(row, logits, f, S, hyper).variance]
        optimiser = Adam({"omega": hyper["omega"]}, 0.01)
        for _ in range(steps):
            estimate = row.estimate(many, f, *draw(rng, many, S, row.noise), **hyper)
            optimiser.step({"omega": {name: gradient / 64 for name, gradient in estimate.domega.items()}})
        found[row.name] = (*variances, row_moments(row, logits, f, S, hyper).variance)
    return found


def learned_table(record):
    """What learning its tunables does to each estimator's exact variance, as text."""
    rows = [("estimator", "variance at first", "after learning")]
    rows += [(name, f"{before:.3f}", f"{after:.3f}") for name, (before, after) in record["learned"].items()]
    return columns(rows)
