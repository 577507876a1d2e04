"""Is this backward pass the derivative of its forward pass? Any op, ``y, backward = op(*inputs)``, on trial.

    right                 central differences agree, and the complex step does, through forward and backward
    right, not analytic   central differences agree; complex numbers do not come through (abs, .real, a cast)
    wrong                 a gradient is off, missing, too many or in another's place, or something is changed or remembered

The inputs are the op's parameters, those with defaults included. Every array of floats among them has a gradient, unless it
is declared to be data; integer codes, data, numbers and None have the gradient None.
"""

import inspect
import warnings
from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check import differences
from dvae_np.check.differences import Comparison, real_array
from dvae_np.check.slopes import best_slope

STEP = 1e-20  # of the complex step
LARGEST_NOISE = 1e-4  # of central differences, where the value's own rounding leaves no more digits
ENTRY = 1e-3  # of a single entry, besides what differences may be off by
SINGLE = 1e-5  # and of a gradient that is rounded to float32
# For the dtype in which an op computes: the error to expect of central differences, and the share of a gradient's size by
# which one-sided slopes must stay apart to meet at a kink.
ACCURACY = {"float64": (differences.CENTRAL, 1e-4), "float32": (1e-3, 2e-2)}


@dataclass(frozen=True)
class OpVerdict:
    """What was found of one op; `str` explains it."""

    kind: str  # "right", "right, not analytic" or "wrong"
    gradients: tuple = ()  # the names of the inputs that have one
    data: tuple = ()  # and of those that have none
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


class WrongOpError(Exception):
    """Internal: what is wrong, in words, before any number was compared."""


def check_op(op, inputs, rng, data=()):
    """The `OpVerdict` on an op at these inputs, under a random cotangent.

    op:     ``y, backward = op(*inputs)``; `backward(dy)` returns one gradient for each parameter, in their order (a single
            one may come bare; those of trailing options that are no arrays may be left out).
    inputs: a dict of its arguments by name; float32 arrays are judged as float64, so that differences have digits.
    data:   names of float arrays that have no gradient. One that comes all the same must be right.

    Inputs and cotangents are handed out as copies, and compared afterwards; `backward` is called again after the op has
    been called elsewhere, with -2 dy, and for arrays that are not contiguous; both are called at complex points. Entries where
    the two one-sided slopes differ (a kink) are left out, and named, if the gradient is finite and between the two. Raises
    InputError for inputs that the op does not take; what the op itself raises, it raises.
    """
    trial = _Trial(op, _bound(op, inputs), tuple(data), rng)
    try:
        gradients = trial.gradients()
    except WrongOpError as wrong:
        return OpVerdict("wrong", explanation=str(wrong))
    named = tuple(gradients)
    rest = tuple(name for name in trial.inputs if name not in named)
    compared, kinks, reasons = [], [], []
    exact = trial.complex_step(gradients)
    for name, analytic in gradients.items():
        pair, at_kinks, reason = trial.compare(name, analytic, exact if isinstance(exact, str) else exact[name])
        compared += pair
        kinks += at_kinks
        reasons.append(reason)
    wrong = "; ".join(filter(None, (words for kind, words in reasons if kind == "wrong")))
    if wrong:
        return OpVerdict("wrong", named, rest, tuple(compared), tuple(kinks), wrong)
    unclear = [words for kind, words in reasons if kind == "not analytic"] or trial.backward_not_analytic(named)
    kind = "right, not analytic" if unclear else "right"
    return OpVerdict(kind, named, rest, tuple(compared), tuple(kinks), "; ".join(dict.fromkeys(unclear)))


def pair_of(op, inputs):
    """(y, backward) of an op called with a dict of inputs; raises `WrongOpError` where that is not what it returns."""
    made = op(**inputs)
    if made is None:
        raise WrongOpError("it returned None: is a `return` missing?")
    if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
        raise WrongOpError(f"expected the pair (y, backward), got a {type(made).__name__}")
    return made


def _bound(op, inputs):
    """The op's arguments by name, its defaults among them, in the order of its parameters; floats as float64."""
    signature = inspect.signature(op)
    if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in signature.parameters.values()):
        raise InputError(f"check_op: expected an op that names each of its inputs, got {signature}")
    try:
        bound = signature.bind(**inputs)
    except TypeError as error:
        raise InputError(f"check_op: {error}; the op takes {signature}, got {', '.join(inputs)}") from None
    bound.apply_defaults()
    return {name: value.astype(np.float64) if _is_floats(value) else value for name, value in bound.arguments.items()}


def _real(name, answer):
    try:
        return real_array(name, answer)
    except InputError as error:
        raise WrongOpError(str(error)) from None


def _is_floats(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def strided(array):
    """A copy that is contiguous in neither order, as a transposed slice is."""
    made = np.empty((*array.shape[::-1], 2), array.dtype)[..., 0].T
    made[...] = array
    return made


class _Trial:
    """One op at one point, and everything that is asked of it there."""

    def __init__(self, op, inputs, data, rng):
        self.op, self.inputs, self.data, self.rng = op, inputs, data, rng

    def called(self, inputs, copied=np.copy):
        """(y, backward) at copies of these inputs, which must not change."""
        given = {name: copied(value) if isinstance(value, np.ndarray) else value for name, value in inputs.items()}
        y, backward = pair_of(self.op, given)

        def pure(dy):
            kept = np.array(y)
            found = backward(cotangent := copied(dy))
            for name, before, now in (
                *((f"its input {name}", inputs[name], given[name]) for name in given),
                ("its output y", kept, y),
                ("its cotangent dy", dy, cotangent),
            ):
                if isinstance(before, np.ndarray) and not np.array_equal(before, now, equal_nan=True):
                    raise WrongOpError(f"it changes {name} in place")
            return found

        for name, before in inputs.items():
            if isinstance(before, np.ndarray) and not np.array_equal(before, given[name], equal_nan=True):
                raise WrongOpError(f"it changes its input {name} in place")
        return y, pure

    def gradients(self):
        """{name: gradient} of those inputs that have one; raises `WrongOpError` for a broken contract."""
        y, backward = self.called(self.inputs)
        self.y = np.array(_real("y", y))
        if self.y.dtype == np.float16:
            raise WrongOpError("y is computed in float16, which has too few digits to be judged")
        if not np.isfinite(self.y).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(self.y))[0]))
            raise WrongOpError(
                f"y is {self.y[at]} at {at}: there is nothing to compare with, judge it where y is finite"
            )
        self.dtype = "float32" if self.y.dtype == np.float32 else "float64"
        self.h = float(np.cbrt(np.finfo(self.dtype).eps))  # where the two errors of central differences are equal
        self.dy = np.asarray(self.rng.standard_normal(self.y.shape))
        self.rounding = np.finfo(self.dtype).eps * np.abs(self.dy * self.y).sum()
        first = self.by_name(backward(self.dy))
        for name, gradient in first.items():
            if not np.isfinite(gradient).all():
                at = tuple(map(int, np.argwhere(~np.isfinite(gradient))[0]))
                raise WrongOpError(f"d{name}: analytic is {gradient[at]} at {at}")
        if not np.array_equal(self.called(self.inputs)[0], self.y, equal_nan=True):
            raise WrongOpError("two calls give different values: it draws or remembers something by itself")
        elsewhere = {name: 0.999 * self.inputs[name] for name in first if name not in self.data}
        self.called(self.inputs | elsewhere)[1](2 * self.dy)
        second = self.by_name(backward(self.dy))
        for name, gradient in first.items():
            if not np.array_equal(gradient, second[name], equal_nan=True):
                raise WrongOpError(
                    f"d{name}: the second call of backward gives other numbers than the first: does it add up, or use what "
                    "a later call of the op left behind?"
                )
        for name, found in self.by_name(backward(-2 * self.dy)).items():
            if self.differ(found, -2 * first[name]):
                raise WrongOpError(
                    f"d{name}: backward is not linear in its cotangent: at -2 dy it is not -2 times as large"
                )
        y, backward = self.called(self.inputs, strided)
        others = {"y": (y, self.y)} | {
            f"d{n}": (found, first[n]) for n, found in self.by_name(backward(self.dy)).items()
        }
        for what, (found, expected) in others.items():
            if self.differ(found, expected):
                raise WrongOpError(
                    f"{what} is another for arrays that are not contiguous, as a transpose or a slice is"
                )
        return first

    def differ(self, found, expected):
        """Are two answers that should be equal further apart than rounding?"""
        return (
            np.shape(found) != expected.shape or differences.relative_error(found, expected) > ACCURACY[self.dtype][0]
        )

    def by_name(self, found):
        """What backward returned, checked in number and kind."""
        if isinstance(found, list | dict):
            raise WrongOpError(f"backward: expected a tuple of gradients, got a {type(found).__name__}")
        found = found if isinstance(found, tuple) else (found,)
        names = list(self.inputs)
        required = len(names)
        while required > 1 and self.is_option(names[required - 1]):
            required -= 1
        if not required <= len(found) <= len(names):
            raise WrongOpError(
                f"backward returned {len(found)} gradient{'s' * (len(found) != 1)} for {len(names)} inputs: expected one for "
                f"each of {', '.join(names)}, in this order, None for what is data or a number"
            )
        gradients = {}
        for name, gradient in zip(names, found, strict=False):
            value = self.inputs[name]
            if gradient is None:
                if _is_floats(value) and name not in self.data:
                    raise WrongOpError(f"d{name} is None, but {name} is an array of floats and has a gradient")
            elif _is_floats(value) or isinstance(value, float):
                gradients[name] = self.without_noise(name, _real(f"d{name}", gradient))
            else:
                what = "is no array" if not isinstance(value, np.ndarray) else f"holds {value.dtype} codes"
                raise WrongOpError(f"d{name}: expected None, as {name} {what}, got a {type(gradient).__name__}")
        return gradients

    def without_noise(self, name, gradient):
        """A copy, and 0 where the gradient is 0 but for rounding."""
        with np.errstate(invalid="ignore"):
            change = np.abs(self.inputs[name]) * np.max(np.abs(gradient), initial=0)
        return np.array(gradient) * (0 if np.max(change, initial=0) <= 100 * self.rounding else 1)

    def is_option(self, name):
        """No array, and with a default: its gradient, which is None, may be left out at the end."""
        default = inspect.signature(self.op).parameters[name].default
        return default is not inspect.Parameter.empty and not isinstance(self.inputs[name], np.ndarray)

    def loss(self, arrays):
        return (self.dy * self.op(**self.copies(arrays))[0]).sum()

    def copies(self, arrays):
        return {name: value.copy() if isinstance(value, np.ndarray) else value
                for name, value in (self.inputs | arrays).items()}  # fmt: skip

    def complex_step(self, gradients):
        """Its derivative by the complex step, by name; or words on why there is none."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                one = lambda name: differences.complex_step(self.loss, {name: self.inputs[name]})[name]
                return {name: one(name) for name in gradients}  # one input complex at a time, the others real
            except InputError:
                return "the value drops the imaginary part (abs, .real or a cast to float on the way?)"
            except Exception as error:  # whatever an op that takes real numbers alone may raise
                return f"it takes no complex numbers ({type(error).__name__}: {error})"

    def compare(self, name, analytic, exact):
        """Both comparisons of one gradient, the kinks among its entries, and (kind, words) of what is wrong with it."""
        value = np.asarray(self.inputs[name], np.float64)
        if analytic.shape != value.shape:
            wrong = differences.compare(f"d{name}", analytic, np.empty(value.shape), differences.CENTRAL)
            return [(how, wrong) for how in ("complex step", "central differences")], [], ("wrong", str(wrong))
        try:
            with np.errstate(all="ignore"):
                central = self.central(name, value)
        except Exception as error:  # data that cannot be moved, or whatever an op may raise
            words = (
                f"d{name} cannot be compared: with {name} moved a little the op raises {type(error).__name__}: {error}"
            )
            return [], [], ("wrong", words)
        analytic, central = analytic.copy(), central.copy()
        if not isinstance(exact, str):
            exact = self.without_noise(name, exact)
        kinks, off, unsure, largest = [], "", 0.0, np.max(np.abs(central), initial=0)
        for i in self.suspects(analytic, central, exact):
            slope, error, sides = self.slope(name, value, i, largest)
            at = f"{name}{list(map(int, i))}"
            if sides and not isinstance(exact, str) and abs(slope - exact[i]) <= ENTRY * abs(exact[i]) + error:
                sides = None  # steep, and no kink: the complex step sees the same
            low, high = sides or (slope, slope)
            allowed = ENTRY * max(abs(low), abs(high)) + 10 * error + 1e-12 * largest
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
        single = (
            analytic.dtype.kind == "f" and analytic.dtype.itemsize < 8
        )  # a gradient in float32 of a value in float64
        least = max(ACCURACY[self.dtype][0], SINGLE * single)
        by_step = None if isinstance(exact, str) else differences.compare(f"d{name}", analytic, exact)
        noise = 2 * unsure / max(size, 1e-300)
        tolerance = max(least, noise if by_step and by_step.ok else min(noise, LARGEST_NOISE))
        by_central = differences.compare(f"d{name}", analytic, central, tolerance)
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

    def moved(self, name, value, i, step):
        """dy * y with one entry moved: differences are taken before the sum, so that what stays leaves no rounding."""
        moved = value.copy()
        moved[i] += step
        return self.dy * self.op(**self.copies({name: moved}))[0]

    def central(self, name, value):
        """The gradient by central differences."""
        h, at = self.h, lambda i, step: self.moved(name, value, i, step)
        found = [(at(i, h) - at(i, -h)).sum() / (2 * h) for i in np.ndindex(value.shape)]
        return np.reshape(np.array(found, np.float64), value.shape)

    def suspects(self, analytic, central, exact):
        """The entries where a method disagrees: a kink, a step too long, or a mistake."""
        apart = _apart(analytic, central, ACCURACY[self.dtype][0])
        apart |= np.abs(analytic - central) > ENTRY * np.maximum(np.abs(analytic), np.abs(central))
        if not isinstance(exact, str):
            apart |= _apart(analytic, exact, differences.COMPLEX_STEP)
        return [tuple(i) for i in np.argwhere(apart)]

    def slope(self, name, value, i, size):
        """`best_slope` in one entry."""
        at = lambda step: self.moved(name, value, i, step)
        return best_slope(at, abs(value[i]), self.dtype, ACCURACY[self.dtype][1], size)

    def backward_not_analytic(self, names):
        """Words for a backward pass that is right, but whose own derivative the complex step cannot find; or an empty list.

        Along a direction of all inputs and cotangent, the imaginary part of backward at a complex point must be the derivative
        of backward [Eq. 11.2]: so REBAR and RELAX find the gradients of their tunables.
        """
        if words := self.not_linear(names):
            return words
        direction = {}
        for name in names:  # each entry moves by a share of its own size
            size = np.abs(self.inputs[name])
            direction[name] = self.rng.standard_normal(size.shape) * np.where(size > 0, size, 1)
        ddy = self.rng.standard_normal(self.dy.shape)

        def along(step):
            moved = {name: self.inputs[name] + step * direction[name] for name in names}
            dy = np.asarray(self.dy + step * ddy)
            found = self.op(**self.copies(moved))[1](dy)
            found = found if isinstance(found, tuple) else (found,)
            by_name = dict(zip(self.inputs, found, strict=False))
            return [np.asarray(by_name[name]) for name in names]

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                imaginary = [gradient.imag / STEP for gradient in along(1j * STEP)]
            except Exception as error:  # as above
                return [f"backward takes no complex numbers ({type(error).__name__}: {error})"]
            h = self.h
            sides = zip(along(h), along(-h), along(h / 8), along(-h / 8), strict=True)
        words = []
        for name, found, (above, below, near, close) in zip(names, imaginary, sides, strict=True):
            coarse, fine = (above - below) / (2 * h), (near - close) * (4 / h)
            smooth = np.abs(coarse - fine) <= 1e-3 * max(np.max(np.abs(fine), initial=0), 1e-6)  # else a kink is near
            if differences.relative_error(found[smooth], fine[smooth]) > 1e-4 and _size(found - fine, smooth) > 1e-6:
                words.append(f"d{name}: backward drops or changes the imaginary part at a complex point")
        return words

    def not_linear(self, names):
        """Words where the backward pass at a real point drops the imaginary part of its cotangent, in which it is linear."""
        ddy = self.rng.standard_normal(self.dy.shape)
        _, backward = self.op(**self.copies({}))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                found, real = backward(self.dy + 1j * STEP * ddy), backward(np.asarray(ddy))
            except Exception as error:  # as above
                return [f"backward takes no complex cotangent ({type(error).__name__}: {error})"]
        found, real = (each if isinstance(each, tuple) else (each,) for each in (found, real))
        words = []
        for name, one, other in zip(self.inputs, found, real, strict=False):
            if name not in names:
                continue
            one, other = self.without_noise(name, np.imag(one) / STEP), self.without_noise(name, other)
            if differences.relative_error(one, other) > 1e-9:
                words.append(f"d{name}: backward drops or changes the imaginary part of a complex cotangent")
        return words


def _size(array, where):
    return np.max(np.abs(array[where]), initial=0)


def _apart(a, n, tolerance):
    return ~(np.abs(a - n) <= tolerance * max(np.max(np.abs(n), initial=0), np.max(np.abs(a), initial=0)))
