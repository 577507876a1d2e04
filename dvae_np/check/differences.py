"""Numeric gradients, and how an analytic one is judged beside them.

A loss here is a function of a dict of named arrays and returns a number; gradients come back as a dict of the same
names and shapes.
"""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.hints import hint

COMPLEX_STEP = 1e-12  # errors to expect in float64, as `relative_error` measures them
CENTRAL = 1e-8


def complex_step(loss, arrays, h=1e-20):
    """The gradient as Im loss(x + ih) / h [Eq. 1.8], one entry after the other: exact to rounding, as nothing cancels.

    Needs a loss that is analytic in its inputs, which all of this package is (Squire & Trapp 1998).
    """
    arrays = {name: np.array(array, complex) for name, array in arrays.items()}
    gradients = {}
    for name, array in arrays.items():
        gradients[name] = np.empty(array.shape)
        for i in np.ndindex(array.shape):
            array[i] += 1j * h
            gradients[name][i] = _imaginary(loss(arrays)) / h
            array[i] = array[i].real
    return gradients


def complex_step_along(loss, arrays, direction, h=1e-20):
    """The derivative along one direction (a dict like `arrays`): one evaluation, whatever the number of parameters."""
    return _imaginary(loss({name: array + 1j * h * direction[name] for name, array in arrays.items()})) / h


def _imaginary(value):
    if not np.iscomplexobj(value):
        raise InputError(
            "complex step: the loss dropped the imaginary part (abs, .real or a cast to float on the way?)"
        )
    return value.imag


def central(loss, arrays, h=6e-6):
    """The gradient by central differences, (loss(x + h) - loss(x - h)) / 2h, of error O(h^2) + O(eps / h) [Eq. 1.9]."""
    arrays = {name: np.array(array, np.float64) for name, array in arrays.items()}
    gradients = {}
    for name, array in arrays.items():
        gradients[name] = np.empty(array.shape)
        for i in np.ndindex(array.shape):
            kept = array[i]
            array[i] = kept + h
            above = loss(arrays)
            array[i] = kept - h
            gradients[name][i] = (above - loss(arrays)) / (2 * h)
            array[i] = kept
    return gradients


def taylor_order(loss, arrays, gradients, direction, steps=(2e-2, 1e-2, 5e-3, 2.5e-3)):
    """The order in h of |loss(x + h d) - loss(x) - h <gradient, d>|, which is 2 for a right gradient [Eq. 1.10].

    A gradient that is wrong anywhere along d leaves a remainder of order 1. Infinite where the loss is affine along d.
    """
    start, slope = loss(arrays), sum((gradients[name] * direction[name]).sum() for name in arrays)
    remainders = [
        abs(loss({name: array + h * direction[name] for name, array in arrays.items()}) - start - h * slope)
        for h in steps
    ]
    if max(remainders) < 1e-13 * (abs(start) + max(steps) * abs(slope)):
        return np.inf  # the loss is affine along d, and the slope is right
    return float(np.polyfit(np.log(steps), np.log(remainders), 1)[0])


def real_array(name, answer):
    """The answer as an array of real floating-point numbers; raises InputError for complex numbers, objects, text, bools."""
    array = np.asarray(answer)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: expected real numbers, got dtype {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def relative_error(analytic, numeric):
    """|a - n| / (|a| + |n|) of whole arrays [Eq. 1.11]: 0 is equal, 1 is opposite; infinite where either is not finite.

    An absolute tolerance would pass a small gradient of the wrong sign; a ratio entry by entry would fail a tiny entry
    that is right.
    """
    analytic, numeric = np.asarray(analytic, np.float64), np.asarray(numeric, np.float64)
    if not (np.isfinite(analytic).all() and np.isfinite(numeric).all()):
        return np.inf
    scale = max(np.max(np.abs(analytic), initial=0), np.max(np.abs(numeric), initial=0))
    if scale == 0:
        return 0.0
    analytic, numeric = analytic / scale, numeric / scale  # so that squares of tiny entries do not underflow
    return float(np.linalg.norm(analytic - numeric) / (np.linalg.norm(analytic) + np.linalg.norm(numeric)))


def ratio_and_cosine(analytic, numeric):
    """How long the analytic gradient is along the numeric one, and the cosine between them."""
    if not (analytic.any() and numeric.any()):
        return (0.0, 0.0) if numeric.any() else (np.inf, 0.0)
    size = np.max(np.abs(analytic)), np.max(np.abs(numeric))  # taken out, so that no square underflows
    a, n = analytic / size[0], numeric / size[1]
    product = float((a * n).sum())
    return product / float((n**2).sum()) * float(size[0] / size[1]), product / float(
        np.linalg.norm(a) * np.linalg.norm(n)
    )


@dataclass(frozen=True)
class Comparison:
    """An analytic gradient beside a numeric one; `str` explains the difference."""

    name: str
    error: float
    tolerance: float
    explanation: str  # empty where they agree

    @property
    def ok(self):
        return self.error <= self.tolerance

    def __str__(self):
        agree = f"{self.name}: analytic and numeric agree (relative error {self.error:.1e})"
        return agree if self.ok else f"{self.name}: {self.explanation}"


def compare(name, analytic, numeric, tolerance=COMPLEX_STEP, **known):
    """Judge one array, and where it is wrong say where, by how much and, if that can be seen, why.

    known: what `hint` may use: sizes, q, and other gradients that the analytic one may turn out to be.
    """
    analytic, numeric = np.asarray(analytic), np.asarray(numeric)
    if analytic.shape != numeric.shape:
        what = f"shape {analytic.shape}, expected {numeric.shape}"
        return Comparison(name, np.inf, tolerance, "; ".join(filter(None, [what, hint(analytic, numeric, **known)])))
    for which, array in (("analytic", analytic), ("numeric", numeric)):
        if not np.isfinite(array).all():
            worst = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            return Comparison(name, np.inf, tolerance, f"{which} is {array[worst]} at {worst}")
    error = relative_error(analytic, numeric)
    if error <= tolerance:
        return Comparison(name, error, tolerance, "")
    worst = np.unravel_index(np.argmax(abs(analytic - numeric)), numeric.shape)
    ratio, cosine = ratio_and_cosine(analytic, numeric)
    what = (
        f"relative error {error:.2g}; worst at {tuple(int(i) for i in worst)}: analytic {analytic[worst]:.6g}, "
        f"numeric {numeric[worst]:.6g}; ratio {ratio:.4g}, cosine {cosine:.4f}"
    )
    return Comparison(name, error, tolerance, "; ".join(filter(None, [what, hint(analytic, numeric, **known)])))
