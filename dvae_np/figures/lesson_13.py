"""Lesson 13: what an evaluation of f buys, for the estimators that draw codes."""

from functools import cache

import numpy as np

from dvae_np.check import toys
from dvae_np.check.exactly import fitted, row_moments
from dvae_np.check.means import defaults
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes

DRAWN = {  # estimator: its numbers of samples, and the evaluations of f at each
    "reinforce": ((1, 2, 3, 4), lambda S: S),
    "reinforce_loo": ((2, 3, 4), lambda S: S),
    "arm": ((1,), lambda S: 2 * S),
    "disarm": ((2,), lambda S: S),
    "carms": ((2, 3, 4), lambda S: S),
    "double_cv": ((2, 3, 4), lambda S: S),
    "rodeo": ((2, 3, 4), lambda S: S),
    "local_expectation": ((1,), lambda S: 6 * S),
    "top_k": ((2, 3, 4, 5, 6, 7), lambda S: S),
    "sum_and_sample": ((2, 3, 4, 5, 6), lambda S: S),
    "unordered_set": ((2, 3, 4, 5, 6), lambda S: S),
}


def problem(scale=0.6):
    """(logits, f): three binary latents and a cubic f, its weights of this size about their mean."""
    rng = np.random.default_rng(1)
    logits, w = rng.standard_normal((1, 3, 2)), scale * rng.standard_normal((2, 3, 2)) + 0.2
    return logits, toys.polynomial(w, 3)


def exact_variance(name, logits, f, S):
    """The total variance of an estimator's gradient at S samples, over every outcome of its noise."""
    return row_moments(TABLE[name], logits, f, S, {}).variance


@cache
def curve(name):
    """{evaluations of f: exact variance} of an estimator; where it has weights to learn, at the best of them."""
    (samples, evaluations), (logits, f), row = DRAWN[name], problem(), TABLE[name]
    if row.omega:
        hyper = defaults(row, *logits.shape[1:])
        return {evaluations(S): fitted(row, logits, f, S, hyper, tuple(hyper["omega"]))[1] for S in samples}
    return {evaluations(S): exact_variance(name, logits, f, S) for S in samples}


def variance_evaluations(figure):
    """Exact variance against evaluations of f, on three binary latents, f a cubic polynomial."""
    axes = figure.subplots()
    for name in DRAWN:
        words = f"{name}, best weights" if TABLE[name].omega else name
        alone = len(curve(name)) == 1
        style = STYLE[name] | ({"linestyle": "none"} if alone else {})
        evaluations, variances = np.array(list(curve(name).items())).T
        aside = -0.13 if name in ("arm", "disarm") else 0  # other marks have the same place
        axes.plot(evaluations + aside, variances, **style, markersize=8 if alone else 5, label=words)
    open_axes(axes, xlabel="evaluations of f, of 8 states in all", ylabel="exact variance of the gradient (nats$^2$)",
              yscale="log", xticks=range(1, 8))  # fmt: skip
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
