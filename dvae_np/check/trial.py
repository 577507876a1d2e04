"""An op called in every way that a contract speaks of: twice, elsewhere, with copies, strided arrays, other cotangents.

A broken contract is a `WrongOpError`, in words; `backward` then compares the numbers.
"""

import inspect

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check import differences
from dvae_np.check.differences import real_array

ACCURACY = {
    "float64": differences.CENTRAL,
    "float32": 1e-3,
}  # of central differences, by the dtype in which an op computes


class WrongOpError(Exception):
    """Internal: what is wrong, in words, before any number was compared."""


def pair_of(op, inputs):
    """(y, backward) of an op called with a dict of inputs; raises `WrongOpError` where that is not what it returns."""
    made = op(**inputs)
    if made is None:
        raise WrongOpError("it returned None: is a `return` missing?")
    if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
        raise WrongOpError(f"expected the pair (y, backward), got a {type(made).__name__}")
    return made


def bound(op, inputs):
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


class Trial:
    """One op at one point: its inputs, its value y, a cotangent dy, and the gradients that it gives."""

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
        return np.shape(found) != expected.shape or differences.relative_error(found, expected) > ACCURACY[self.dtype]

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
