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
H = 6e-6  # the step of central differences: the cube root of float64's rounding, where both their errors are least
# What rounding may do to an answer: relative to each entry, and to the largest one, for formulas in which digits cancel.
FLOAT64 = {"relative": 1e-9, "absolute": 1e-12}
FLOAT32 = {"relative": 2e-4, "absolute": 2e-5}


def real_array(name, answer):
    """An answer as an array of real numbers: the one gate that every comparison goes through.

    Raises InputError for complex numbers, objects, text, truth values and rows of unequal length: an imaginary part must not
    be dropped unseen, and None is no number.
    """
    try:
        array = np.asarray(answer)
    except ValueError as error:
        raise InputError(f"{name}: expected an array of real numbers ({error})") from None
    if array.dtype.kind not in "fiu":
        kind = f"a {type(answer).__name__}" if array.dtype.kind == "O" else f"dtype {array.dtype}"
        raise InputError(f"{name}: expected real numbers, got {kind}")
    return array


def complex_step(loss, arrays, h=1e-20):
    """The gradient as Im loss(x + ih) / h [Eq. 1.3], one entry after the other: exact to rounding, as nothing cancels.

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


def comparison_along(name, loss, arrays, gradient, rng, tolerance=COMPLEX_STEP, directions=3):
    """Judge the gradient in one of many arrays along random directions; where it is wrong, entry by entry.

    For a normal direction d the complex step gives <numeric gradient, d> by one evaluation of the loss, whatever the size of
    the array. An error e of the analytic gradient g is missed only where |<e, d>| is below `tolerance` |<g, d>| for all the
    directions. <e, d> is normal with deviation |e|, so of an error of a millionth of |g|, wherever it sits, that is below
    (1e-6)^3 of the time.
    """
    if np.shape(gradient) != arrays[name].shape:
        return comparison(name, gradient, arrays[name], tolerance)
    drawn = rng.standard_normal((directions, *arrays[name].shape))
    analytic = np.array([(gradient * direction).sum() for direction in drawn])
    moved = ({name: arrays[name] + 1e-20j * direction} for direction in drawn)
    numeric = np.array([_imaginary(loss(arrays | each)) / 1e-20 for each in moved])
    if np.max(np.abs(numeric)) == 0 == np.max(np.abs(gradient)) or relative_error(analytic, numeric) <= tolerance:
        return Comparison(name, relative_error(analytic, numeric), tolerance, "")
    entries = complex_step(lambda own: loss(arrays | own), {name: arrays[name]})[name]
    return comparison(name, gradient, entries, tolerance)


def _imaginary(value):
    if not np.iscomplexobj(value):
        raise InputError(
            "complex step: the loss dropped the imaginary part (abs, .real or a cast to float on the way?)"
        )
    return value.imag


def central(loss, arrays, h=H):
    """The gradient by central differences, (loss(x + h) - loss(x - h)) / 2h, of error O(h^2) + O(eps / h) [Eq. 1.2]."""
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
    """The order in h of |loss(x + h d) - loss(x) - h <gradient, d>|, which is 2 for a right gradient [Eq. 1.4].

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


def relative_error(analytic, numeric):
    """|a - n| / (|a| + |n|) of whole arrays [Eq. 1.5]: 0 is equal, 1 is opposite; infinite where either is not finite.

    An absolute tolerance would pass a small gradient of the wrong sign; a ratio entry by entry would fail a tiny entry
    that is right.
    """
    analytic, numeric = (real_array("gradient", each).astype(np.float64) for each in (analytic, numeric))
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


def comparison(name, analytic, numeric, tolerance=COMPLEX_STEP, **known):
    """Judge one array, and where it is wrong say where, by how much and, if that can be seen, why.

    known: what `hint` may use: sizes, q, and other gradients that the analytic one may turn out to be.
    """
    try:
        analytic, numeric = real_array("analytic", analytic), real_array("numeric", numeric)
    except InputError as error:
        return Comparison(name, np.inf, tolerance, str(error))
    if analytic.shape != numeric.shape:
        what = f"shape {analytic.shape}, expected {numeric.shape}"
        return Comparison(name, np.inf, tolerance, "; ".join(filter(None, [what, hint(analytic, numeric, **known)])))
    for which, array in (("analytic", analytic), ("numeric", numeric)):
        if not np.isfinite(array).all():
            worst = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            return Comparison(name, np.inf, tolerance, f"{which} is {array[worst]}{_at(worst, array)}")
    error = relative_error(analytic, numeric)
    if error <= tolerance:
        return Comparison(name, error, tolerance, "")
    worst = np.unravel_index(np.argmax(abs(analytic - numeric)), numeric.shape)
    ratio, cosine = ratio_and_cosine(analytic, numeric)
    digits = 6 if f"{analytic[worst]:.6g}" != f"{numeric[worst]:.6g}" else 17
    many = numeric.size > 1  # one number has no worst place, and no direction but its sign
    where, direction = (f"worst{_at(worst, numeric)}: ", f", cosine {cosine:.4f}") if many else ("", "")
    what = (
        f"relative error {error:.2g}; {where}analytic {analytic[worst]:.{digits}g}, "
        f"numeric {numeric[worst]:.{digits}g}; ratio {ratio:.4g}{direction}"
    )
    return Comparison(name, error, tolerance, "; ".join(filter(None, [what, hint(analytic, numeric, **known)])))


def _at(place, array):
    """Where an entry stands, as in " at (2, 0)"; nothing where the array has no other."""
    return f" at {tuple(map(int, place))}" if array.size > 1 else ""


def comparison_of_entries(name, answer, expected, *, single=False, accuracy=1.0, within=0.0, **known):
    """Judge an answer entry by entry, so that one large entry does not hide what is wrong in the others; as `comparison`.

    Entries that are infinite must be equal. An answer in float32 is judged at float32's accuracy, and so is every one where
    `single`: the arrays that it was given were. accuracy: a factor to what rounding may do; within: how far
    an entry may be off besides.
    """
    try:
        answer, expected = real_array(name, answer), real_array("expected", expected)
    except InputError as error:
        return Comparison(name, np.inf, 0.0, str(error).removeprefix(f"{name}: "))
    if answer.shape == expected.shape and np.array_equal(answer, expected):
        return Comparison(name, 0.0, 0.0, "")
    single = single or (answer.dtype.kind == "f" and answer.dtype.itemsize < 8)
    limits = {kind: accuracy * limit for kind, limit in (FLOAT32 if single else FLOAT64).items()}
    whole = comparison(name, answer, expected, limits["relative"], **known)
    if answer.shape != expected.shape:
        return whole
    finite = np.isfinite(expected) & np.isfinite(answer)
    if not (finite | (answer == expected)).all():
        i = tuple(int(i) for i in np.argwhere(~(finite | (answer == expected)))[0])
        words = f"yours is {answer[i]}{_at(i, answer)}, expected {expected[i]:.6g}"
        return Comparison(name, np.inf, limits["relative"], words)
    a, n = np.where(finite, answer, 0.0).astype(np.float64), np.where(finite, expected, 0.0).astype(np.float64)
    excess = np.abs(a - n) - limits["relative"] * np.abs(n) - limits["absolute"] * np.max(np.abs(n), initial=0) - within
    error = relative_error(a, n)
    if (excess <= 0).all():
        return Comparison(name, error, max(error, limits["relative"]), "")
    if not whole.ok and np.isfinite(whole.error):
        return Comparison(name, error, 0.0, whole.explanation)
    i = np.unravel_index(np.argmax(excess), excess.shape)
    words = f"analytic {a[i]:.9g}, numeric {n[i]:.9g}"
    if n.size > 1:
        words = f"{_at(i, n).strip()}: {words}, among entries up to {np.abs(n).max():.3g}"
    return Comparison(name, error, 0.0, words)
