"""A function of anyone's as a row of the table: its noise by the names of its parameters, its answer as an `Estimate`."""

import inspect
from functools import partial

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.differences import real_array
from dvae_np.estimators import Estimate, Row
from dvae_np.estimators.row import SCORE
from dvae_np.noise import draw

ALONE, TOGETHER = ("z", "distinct", "coupled", "e"), {"z", "u", "v"}  # which noise goes with which


def as_row(estimate, name=None, S=None, binary=False, bound=False):
    """The row, without noise where it draws its own, and what it takes as noise: (), ("rng",) or as the row.

    What has a default is a hyper-parameter and keeps that value. S, binary, bound: as of `judge`. Raises InputError for
    parameters of another form.
    """
    if not callable(estimate):
        raise InputError(f"estimator: expected a function, got a {type(estimate).__name__}")
    parameters = inspect.signature(estimate).parameters
    noise = noise_of(parameters)
    row = Row(
        name or getattr(estimate, "__name__", type(estimate).__name__),
        title="",
        estimate=partial(complete, estimate, noise),
        noise=() if noise == ("rng",) else noise,
        unbiased=True,
        family=SCORE,
        lesson=1,
        paper="-",
        gradient_of_f="discrete",
        fewest_samples=S or (1 if {"u", "v", "e"} & set(noise) else 2),
        most_samples=S or float("inf"),
        binary=binary or "e" in noise,
        averages=False,
        owns_kl=bound,
        hyper={each.name: each.default for each in parameters.values() if each.default is not each.empty},
    )
    return row, noise


def noise_of(parameters):
    """The names of its noise, () or ("rng",) where it draws its own. Raises InputError for parameters of another form."""
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each.name for each in parameters.values() if each.default is each.empty and each.kind in plain]
    noise = tuple(required[2:])
    known = noise in ((), ("rng",)) or set(noise) <= TOGETHER or (len(noise) == 1 and noise[0] in ALONE)
    if len(required) < 2 or not known:
        raise InputError(
            f"estimator: expected parameters (logits, f, noise), noise one of {', '.join(ALONE)}, or z, u and v in any "
            f"combination, or (logits, f, rng) where it draws its own; got ({', '.join(required)})"
        )
    return noise


def complete(estimate, noise, logits, f, *arrays, **options):
    """What it returned, as an `Estimate`; where it raises, or returns something else, with a note on what it was given."""
    try:
        found = estimate(logits, f, *arrays, **options)
    except (Exception, SystemExit) as error:  # anything that a stranger's function may raise
        shapes = "".join(f", {which} {np.shape(array)}" for which, array in zip(noise, arrays, strict=True))
        error.add_note(f"called with logits {logits.shape}{shapes}")
        raise
    if isinstance(found, Estimate):
        real_array("dlogits", found.dlogits)
        return found if found.dtheta else Estimate(None, found.dq, None)  # its value goes with f's parameters
    if not isinstance(found, np.ndarray) or found.shape != logits.shape:
        what = f"shape {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
        raise TypeError(f"expected the gradient in the logits, an array of shape {logits.shape}, it returned {what}")
    real_array("the gradient", found)
    return Estimate(None, found, None)


def drawn(begin, noise, S):
    """A fresh estimator as a function of (logits, f, rng), whatever noise it takes: S samples of that, where it takes any."""
    estimate = begin()

    def own(logits, f, rng):
        if not noise:
            np.random.seed(rng.integers(2**32))  # for what draws from NumPy's global generator
        arrays = (rng,) if noise == ("rng",) else draw(rng, logits, S, noise)
        return complete(estimate, noise, logits, f, *arrays)

    return own
