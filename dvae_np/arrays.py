"""Arrays of NumPy or CuPy: what is expected of them, codes as one-hot rows, sums of gradients.

The whole package calls plain ``np.`` functions. NumPy hands them on to the library that owns the array (``np.exp`` of a
CuPy array runs on the GPU), and new arrays are made ``like=`` an old one, so the same source serves both.
"""

import math
import numbers

import numpy as np


class InputError(ValueError):
    """An argument that cannot be used; the message names it, what came and what was expected."""


def expect(name, array, shape, kind="f"):
    """Raise `InputError` unless `array` has the shape and the kind of numbers that `shape` and `kind` say.

    shape: one entry an axis, a number that must match or a letter that stands for any size, as ``("S", 5, "N")``.
    kind:  "f" floats (complex too: the complex step runs through everything), "i" integers.
    """
    if not hasattr(array, "dtype"):
        raise InputError(f"{name}: expected an array of shape {_written(shape)}, got a {type(array).__name__}")
    fits = len(array.shape) == len(shape)
    for wanted, size in zip(shape, array.shape, strict=False):
        fits = fits and (isinstance(wanted, str) or wanted == size)
    if not fits:
        raise InputError(f"{name}: expected shape {_written(shape)}, got {_written(array.shape)}")
    if array.dtype.kind not in {"f": "fc", "i": "iu"}[kind]:
        kinds = {"f": "floating-point numbers", "i": "integer codes"}
        raise InputError(f"{name}: expected {kinds[kind]}, got dtype {array.dtype}")


def expect_codes(name, z, K):
    """Raise `InputError` unless every code of the integer array z lies in 0..K-1."""
    if z.size and (int(z.min()) < 0 or int(z.max()) >= K):
        raise InputError(f"{name}: expected codes from 0 to K-1 = {K - 1}, got {int(z.min())} to {int(z.max())}")


def expect_pixels(name, a, x, outputs=1, unit=False):
    """Raise `InputError` unless x (B, D) or (1, D) fits outputs a (S, B, D * outputs) or (S, 1, ...); `unit`: is in [0, 1]."""
    expect("pixel logits", a, ("S", "B", "D"))
    _, states, width = a.shape
    if x.ndim != 2 or x.shape[1] * outputs != width or (1 not in (states, len(x)) and states != len(x)):
        raise InputError(f"{name}: x {x.shape} does not fit pixel logits (S, B, D) = {a.shape} as (B, D)")
    if x.size == 0:
        raise InputError(f"{name}: expected at least one example, got x {x.shape}")
    if unit and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"{name}: expected pixels x in [0, 1], got {float(x.min()):g} to {float(x.max()):g}")


def evaluated(f, z):
    """f's values (S, B) at codes z (S, B, N) or relaxed codes (S, B, N, K), and its backward. Raises InputError for others."""
    found = f(z)
    if not (isinstance(found, tuple) and len(found) == 2 and callable(found[1])):
        words = "f: expected (fz, backward), and of a black box (cost, lambda dfz: (None, {}))"
        raise InputError(f"{words}; got {type(found).__name__}")
    expect("fz", found[0], z.shape[:2])
    return found


def expect_whole(name, value, least=0, most=math.inf):
    """Raise `InputError` unless `value` is a whole number, Python's or NumPy's, from `least` to `most`."""
    fits = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not fits or not least <= value <= most:
        bound = f"at most {most:,}" if fits and value > most else f"at least {least}"
        raise InputError(f"{name}: expected {bound}, a whole number, got {value!r}")


def expect_number(name, value, words="a number", least=0, most=math.inf, *, above=False):
    """Raise `InputError` unless `value` is a finite number from `least` to `most`, or, where it must be `above`, beyond least.

    words: what the number is, as "a step size".
    """
    try:
        low, high = bool(value > least if above else value >= least), bool(value <= most and value < math.inf)
    except (TypeError, ValueError):  # text, None, complex numbers, arrays of several
        low = high = False
    if not (low and high):
        floor = f"{'above' if above else 'of at least'} {least:,}" if least > -math.inf else "that is finite"
        bound = f"of at most {most:,}" if low and most < math.inf else floor
        raise InputError(f"{name}: expected {words} {bound}, got {value!r}")


def expect_temperature(name, tau):
    """The temperature as Python's number, which leaves float32 what it is. Raises `InputError` unless above 0, and finite."""
    expect_number(name, tau, "a temperature", above=True)
    return float(tau)


def expect_choice(name, value, known):
    """Raise `InputError` unless `value` is one of the `known`."""
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name}: expected one of {', '.join(known)}, got {value!r}")


def count_states(N, K):
    """K**N, or infinity where that is beyond all use (and would take long to compute)."""
    return K**N if N * math.log(max(K, 1)) < 40 else math.inf


def expect_few_states(name, N, K, B, most):
    """Raise `InputError`, with the count, its cost and a way out, where K**N joint states are too many to visit."""
    if (M := count_states(N, K)) > most:
        count = f"{K}**{N}" + (f" = {M}" if M < math.inf else "")
        numbers = f"{M * B:.3g}" if M < math.inf else "over 10^17"
        raise InputError(
            f"{name}: K**N = {count} joint states are more than {most}: f of all of them for {B} examples is {numbers} numbers "
            "to compute, block by block, at every step; take fewer latents, or an estimator that samples, as reinforce_loo or "
            "gumbel_softmax"
        )


def _written(shape):
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def is_codes(z):
    """True where z holds integer codes (..., N), False where it holds relaxed codes (..., N, K)."""
    return z.dtype.kind in "iu"


def one_hot(z, K, dtype):
    """Integer codes (...) as one-hot rows (..., K)."""
    rows = np.zeros((z.size, K), dtype, like=z)
    rows[np.arange(z.size, like=z), z.ravel()] = 1
    return rows.reshape(*z.shape, K)


def total(gradients, more):
    """The sum of two dicts of named arrays, entry by entry."""
    return {name: gradients[name] + more[name] for name in more} if gradients else more


def summed_to(shape, array):
    """The gradient of an array of this `shape` that was broadcast to the shape of `array`, given the latter's gradient."""
    array = array.sum(tuple(range(array.ndim - len(shape)))) if array.ndim > len(shape) else array
    for axis, size in enumerate(shape):
        if size == 1 and array.shape[axis] != 1:
            array = array.sum(axis, keepdims=True)
    return array
