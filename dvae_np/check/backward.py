"""Is this backward pass the derivative of its forward pass? Any op, ``y, backward = op(*inputs)``, on trial.

    right                 central differences agree, and the complex step does, through forward and backward
    right, not analytic   central differences agree; complex numbers do not come through (abs, .real, a cast)
    wrong                 a gradient is off, missing, too many or in another's place, or something is changed or remembered

The inputs are the op's parameters, those with defaults included. Every array of floats among them has a gradient, unless it
is declared to be data; integer codes, data, numbers and None have the gradient None.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check import differences
from dvae_np.check.analytic import not_analytic
from dvae_np.check.differences import Comparison
from dvae_np.check.slopes import best_slope
from dvae_np.check.trial import ACCURACY, Trial, WrongOpError, bound

LARGEST_NOISE = 1e-4  # of central differences, where the value's own rounding leaves no more digits
ENTRY = 1e-3  # of a single entry, besides what differences may be off by
SINGLE = 1e-5  # and of a gradient that is rounded to float32
# One-sided slopes that stay apart by more than this share of a gradient's size meet at a kink.
KINK = {"float64": 1e-4, "float32": 2e-2}


@dataclass(frozen=True)
class OpVerdict:
    """What was found of one op; `str` explains it."""

    kind: str  # "right", "right, not analytic" or "wrong"
    gradients: tuple = ()  # the names of the inputs that have one
    data: tuple = ()  # and of arrays that have none
    comparisons: tuple = ()  # pairs (method, `Comparison`), two for each gradient
    kinks: tuple = ()  # the entries that were left out, as words
    explanation: str = ""  # why it is wrong, or not analytic

    @property
    def ok(self):
        return self.kind != "wrong"

    def error(self, method):
        """The largest relative error by this method."""
        return max((c.error for how, c in self.comparisons if how == method), default=0.0)

    def __str__(self):
        left_out = f"; left out, as the op has a kink there: {', '.join(self.kinks)}" if self.kinks else ""
        return self.kind + (f": {self.explanation}" if self.explanation else "") + left_out


def check_op(op, inputs, rng=None, data=(), at_complex=True):
    """The `OpVerdict` on an op at these inputs, under a random cotangent.

    op:     ``y, backward = op(*inputs)``; `backward(dy)` returns one gradient for each parameter, in their order (a single
            one may come bare; those of trailing options that are no arrays may be left out).
    inputs: a dict of its arguments by name; float32 arrays are judged as float64, so that differences have digits.
    data:   names of float arrays that have no gradient. One that comes all the same must be right.
    at_complex: whether `backward` too is called at complex points, as REBAR's and RELAX's tunables need it [Eq. 11.2].

    Inputs and cotangents are handed out as copies, and compared afterwards; `backward` is called again after the op has
    been called elsewhere, with -2 dy, and for arrays that are not contiguous. Entries where
    the two one-sided slopes differ (a kink) are left out, and named, if the gradient is finite and between the two. Raises
    InputError for inputs that the op does not take; what the op itself raises, it raises.
    """
    if unknown := [name for name in data if name not in inputs]:
        raise InputError(f"check_op: expected data among {', '.join(inputs)}, got {', '.join(unknown)}")
    trial = Trial(op, bound(op, inputs), tuple(data), np.random.default_rng(0) if rng is None else rng)
    try:
        gradients = trial.gradients()
    except WrongOpError as wrong:
        return OpVerdict("wrong", explanation=str(wrong))
    named = tuple(gradients)
    rest = tuple(name for name, value in trial.inputs.items() if name not in named and isinstance(value, np.ndarray))
    compared, kinks, reasons = [], [], []
    exact = _complex_step(trial, gradients)
    for name, analytic in gradients.items():
        pair, at_kinks, reason = _compare(trial, name, analytic, exact if isinstance(exact, str) else exact[name])
        compared += pair
        kinks += at_kinks
        reasons.append(reason)
    wrong = "; ".join(filter(None, (words for kind, words in reasons if kind == "wrong")))
    if wrong:
        return OpVerdict("wrong", named, rest, tuple(compared), tuple(kinks), wrong)
    unclear = [words for kind, words in reasons if kind == "not analytic"]
    unclear = unclear or (not_analytic(trial, named) if at_complex else [])
    kind = "right, not analytic" if unclear else "right"
    return OpVerdict(kind, named, rest, tuple(compared), tuple(kinks), "; ".join(dict.fromkeys(unclear)))


def _complex_step(trial, gradients):
    """Its derivative by the complex step, by name; or words on why there is none."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            one = lambda name: differences.complex_step(trial.loss, {name: trial.inputs[name]})[name]
            return {name: one(name) for name in gradients}  # one input complex at a time, the others real
        except InputError:
            return "the value drops the imaginary part (abs, .real or a cast to float on the way?)"
        except Exception as error:  # whatever an op that takes real numbers alone may raise
            return f"it takes no complex numbers ({type(error).__name__}: {error})"


def _compare(trial, name, analytic, exact):
    """Both comparisons of one gradient, the kinks among its entries, and (kind, words) of what is wrong with it."""
    value = np.asarray(trial.inputs[name], np.float64)
    if analytic.shape != value.shape:
        wrong = differences.comparison(f"d{name}", analytic, np.empty(value.shape), differences.CENTRAL)
        return [(how, wrong) for how in ("complex step", "central differences")], [], ("wrong", str(wrong))
    try:
        with np.errstate(all="ignore"):
            central = trial.central(name, value)
    except Exception as error:  # data that cannot be moved, or whatever an op may raise
        words = f"d{name} cannot be compared: with {name} moved a little the op raises {type(error).__name__}: {error}"
        return [], [], ("wrong", words)
    analytic, central = analytic.copy(), central.copy()
    if not isinstance(exact, str):
        exact = trial.without_noise(name, exact)
    kinks, off, unsure, largest = [], "", 0.0, np.max(np.abs(central), initial=0)
    rounding = 1e-12 * largest + 1e-14 * np.max(np.abs(trial.dy), initial=0)  # of a gradient whose terms cancel
    unseen = 1e-9 * largest + 1e3 * trial.rounding  # by differences, where the complex step agrees in the entry
    for i in _suspects(trial, analytic, central, exact):
        slope, error, sides = _slope(trial, name, value, i, largest)
        at = f"{name}{list(map(int, i))}"
        if sides and not isinstance(exact, str) and abs(slope - exact[i]) <= ENTRY * abs(exact[i]) + error:
            sides = None  # steep, and no kink: the complex step sees the same
        low, high = sides or (slope, slope)
        seen = not isinstance(exact, str) and abs(analytic[i] - exact[i]) <= ENTRY * abs(exact[i]) + rounding
        allowed = ENTRY * max(abs(low), abs(high)) + 10 * error + rounding + unseen * seen
        if not low - allowed <= analytic[i] <= high + allowed and np.isfinite(allowed):
            numeric = f"numeric between {low:.6g} and {high:.6g}, a kink" if sides else f"numeric {slope:.6g}"
            off = off or f"d{name}: at {at}: analytic {analytic[i]:.6g}, {numeric}"
        if sides:
            kinks.append(at)
            analytic[i] = central[i] = 0
            if not isinstance(exact, str):
                exact[i] = 0
        else:
            central[i], unsure = slope, max(unsure, error)
    if kinks and len(kinks) == analytic.size:
        off = off or f"every entry of {name} lies at a kink: there is nothing to compare"
        return [("central differences", Comparison(f"d{name}", np.inf, 0, off))], kinks, ("wrong", off)
    size = max(np.max(np.abs(central), initial=0), 1e-300)
    size *= np.linalg.norm(central / size)
    single = analytic.dtype.kind == "f" and analytic.dtype.itemsize < 8  # a gradient in float32 of a value in float64
    least = max(ACCURACY[trial.dtype], SINGLE * single)
    by_step = None if isinstance(exact, str) else differences.comparison(f"d{name}", analytic, exact)
    noise = 2 * unsure / max(size, 1e-300)
    tolerance = max(least, noise if by_step and by_step.ok else min(noise, LARGEST_NOISE))
    by_central = differences.comparison(f"d{name}", analytic, central, tolerance)
    pair = [("complex step", by_step)] * bool(by_step) + [("central differences", by_central)]
    if LARGEST_NOISE < by_central.error <= noise and not by_central.ok:
        words = f"d{name} cannot be compared: y is so large beside its change that differences have no digits"
        return pair, kinks, ("wrong", words)
    if not by_central.ok:  # the complex step has more digits for the words, if it sees the same derivative
        same = by_step and not by_step.ok and differences.relative_error(exact, central) <= max(tolerance, noise)
        return pair, kinks, ("wrong", str(by_step if same else by_central))
    if off:
        return pair, kinks, ("wrong", off)
    if isinstance(exact, str):
        return pair, kinks, ("not analytic", exact)
    if not by_step.ok:
        if single:
            return pair, kinks, ("not analytic", f"d{name} is computed in {analytic.dtype}")
        dropped = "the imaginary part is dropped on the way to the value (abs, .real, a cast to float?)"
        words = dropped if not exact.any() else f"d{name}: the complex step gives another derivative of the value"
        return pair, kinks, ("not analytic", words)
    return pair, kinks, ("right", "")


def _suspects(trial, analytic, central, exact):
    """The entries where a method disagrees: a kink, a step too long, or a mistake."""
    differing = _differing(analytic, central, ACCURACY[trial.dtype])
    differing |= np.abs(analytic - central) > ENTRY * np.maximum(np.abs(analytic), np.abs(central))
    if not isinstance(exact, str):
        differing |= _differing(analytic, exact, differences.COMPLEX_STEP)
    return [tuple(i) for i in np.argwhere(differing)]


def _slope(trial, name, value, i, size):
    """`best_slope` in one entry."""
    at = lambda step: trial.moved(name, value, i, step)
    return best_slope(at, abs(value[i]), trial.dtype, KINK[trial.dtype], size)


def _differing(a, n, tolerance):
    return ~(np.abs(a - n) <= tolerance * max(np.max(np.abs(n), initial=0), np.max(np.abs(a), initial=0)))
