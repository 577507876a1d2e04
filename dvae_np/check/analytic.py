"""Does a backward pass let complex numbers through? REBAR and RELAX find the gradients of their tunables so [Eq. 11.2]."""

import warnings

import numpy as np

from dvae_np.check import differences

STEP = 1e-20  # of the complex step


def not_analytic(trial, names):
    """Words for a backward pass that is right, but whose own derivative the complex step cannot find; or an empty list.

    Along a direction of all inputs and cotangent, the imaginary part of backward at a complex point must be the derivative
    of backward [Eq. 11.2]: so REBAR and RELAX find the gradients of their tunables.
    """
    if words := not_linear(trial, names):
        return words
    direction = {}
    for name in names:  # each entry moves by a share of its own size
        size = np.abs(trial.inputs[name])
        direction[name] = trial.rng.standard_normal(size.shape) * np.where(size > 0, size, 1)
    ddy = trial.rng.standard_normal(trial.dy.shape)

    def along(step):
        moved = {name: trial.inputs[name] + step * direction[name] for name in names}
        dy = np.asarray(trial.dy + step * ddy)
        found = trial.op(**trial.copies(moved))[1](dy)
        found = found if isinstance(found, tuple) else (found,)
        by_name = dict(zip(trial.inputs, found, strict=False))
        return [np.asarray(by_name[name]) for name in names]

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            imaginary = [gradient.imag / STEP for gradient in along(1j * STEP)]
        except Exception as error:  # as above
            return [f"backward takes no complex numbers ({type(error).__name__}: {error})"]
        h = trial.h
        sides = zip(along(h), along(-h), along(h / 8), along(-h / 8), strict=True)
    words = []
    for name, found, (above, below, near, close) in zip(names, imaginary, sides, strict=True):
        coarse, fine = (above - below) / (2 * h), (near - close) * (4 / h)
        smooth = np.abs(coarse - fine) <= 1e-3 * max(np.max(np.abs(fine), initial=0), 1e-6)  # else a kink is near
        if differences.relative_error(found[smooth], fine[smooth]) > 1e-4 and _size(found - fine, smooth) > 1e-6:
            words.append(f"d{name}: backward drops or changes the imaginary part at a complex point")
    return words


def not_linear(trial, names):
    """Words where the backward pass at a real point drops the imaginary part of its cotangent, in which it is linear."""
    ddy = trial.rng.standard_normal(trial.dy.shape)
    _, backward = trial.op(**trial.copies({}))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found, real = backward(trial.dy + 1j * STEP * ddy), backward(np.asarray(ddy))
        except Exception as error:  # as above
            return [f"backward takes no complex cotangent ({type(error).__name__}: {error})"]
    found, real = (each if isinstance(each, tuple) else (each,) for each in (found, real))
    words = []
    for name, one, other in zip(trial.inputs, found, real, strict=False):
        if name not in names:
            continue
        one, other = trial.without_noise(name, np.imag(one) / STEP), trial.without_noise(name, other)
        if differences.relative_error(one, other) > 1e-9:
            words.append(f"d{name}: backward drops or changes the imaginary part of a complex cotangent")
    return words


def _size(array, where):
    return np.max(np.abs(array[where]), initial=0)
