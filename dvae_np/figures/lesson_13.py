"""Lesson 13: what an evaluation of f buys, for the estimators that draw codes."""

from functools import cache

import numpy as np

from dvae_np.check import enumeration, toys
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes

OUTCOMES = {
    "z": enumeration.every_code,
    "distinct": enumeration.every_sequence,
    "coupled": enumeration.every_coupled,
    "e": lambda logits, S: enumeration.threshold_nodes(logits),
}
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


def exact_variance(name, logits, f, S, **hyper):
    """The total variance of an estimator's gradient at S samples, over every outcome of its noise."""
    noise, weights = OUTCOMES[TABLE[name].noise[0]](logits, S)
    estimate = TABLE[name].estimate(enumeration.tiled(logits, len(weights)), f, noise, **hyper)
    return float(enumeration.moments(weights, estimate.dlogits)[1].sum())


def best_weights(name, S):
    """(weights by name, variance): the weights of an estimator's control variates with the least exact variance, and that.

    The estimate is linear in the weights, and each control variate has mean zero: they are a least-squares fit.
    """
    logits, f = problem()
    row, (noise, chance) = TABLE[name], OUTCOMES["z"](logits, S)
    names, many = list(row.omega(None, *logits.shape[1:])), enumeration.tiled(logits, len(chance))

    def estimate(of):
        omega = {each: np.array(float(each == of)) for each in names}
        return row.estimate(many, f, noise, omega=omega).dlogits.reshape(len(chance), -1)

    plain = estimate(None)
    root = np.sqrt(chance)[:, None]
    controls = np.stack([(root * (estimate(each) - plain)).ravel() for each in names], 1)
    target = (root * (plain - chance @ plain)).ravel()
    weights = np.linalg.lstsq(controls, -target, rcond=None)[0]
    return dict(zip(names, weights, strict=True)), float(((target + controls @ weights) ** 2).sum())


@cache
def curve(name):
    """{evaluations of f: exact variance} of an estimator; where it has weights to learn, at the best of them."""
    samples, evaluations = DRAWN[name]
    if TABLE[name].omega:
        return {evaluations(S): best_weights(name, S)[1] for S in samples}
    return {evaluations(S): exact_variance(name, *problem(), S) for S in samples}


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
