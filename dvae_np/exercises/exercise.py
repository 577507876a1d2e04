"""What an exercise is to its judge: our own answer, the cases that it is tried on, and mistakes that have a name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Made(NamedTuple):
    """An argument that is made of arrays, as an objective f of its table: `make(*arrays)`, in the dtype of the case."""

    make: Callable
    arrays: tuple


@dataclass(frozen=True)
class Exercise:
    """One exercise. An answer is a function of the same arguments as `answer`, and must return the same, on every case."""

    name: str  # "06.2"
    answer: Callable  # ours
    cases: Callable  # rng -> a list of dicts of arguments by name, in the order of the parameters
    shapes: dict  # of the array arguments, as {"logits": "BNK", "z": "SBN"}: what sizes a factor may be made of
    returns: tuple = ("the answer",)  # what it returns, in words; more than one come as a tuple
    op: bool = False  # it returns (y, backward); then `returns` names the gradients, and `data` inputs without one
    data: tuple = ()
    analytic: bool = False  # does its text ask for code that complex numbers come through?
    library: tuple = ()  # functions that are the answer, or most of it, and may not be called
    mistakes: dict = field(default_factory=dict)  # {"what it equals": function}, wrong answers with a name
    q: Callable | None = None  # case -> the probabilities (..., K) of the softmax that a gradient goes through
    outcome: Callable | None = None  # (answer, *arguments) -> what is compared, where that is not what it returns
    accuracy: float = 1.0  # a factor to what rounding may do, where a formula loses digits
    within: float = 0.0  # how far an entry may be off where it is a share of draws
    most_bytes: Callable | None = None  # case -> the memory that an answer may take at its peak

    def arguments(self, case, dtype):
        """Fresh arguments for one call, floats in this dtype: nothing that an answer does to them is seen by another."""
        return {name: cast(value, dtype) for name, value in case.items()}

    def sizes(self, case):
        """{"S": 3, ...}, read off the arrays of a case."""
        found = {}
        for name, axes in self.shapes.items():
            shape = np.shape(case[name])  # leading axes may lack
            found |= dict(zip(axes[len(axes) - len(shape) :], shape, strict=True))
        return {name: found[name] for name in sorted(found, key="SRBTNKMVCDH".find)}


def cast(value, dtype):
    """A fresh copy of an argument, its floats in this dtype; an objective is made of its arrays."""
    if isinstance(value, Made):
        return value.make(*(cast(array, dtype) for array in value.arrays))
    if isinstance(value, dict):
        return {name: cast(array, dtype) for name, array in value.items()}
    if isinstance(value, np.ndarray):
        return value.astype(dtype) if value.dtype.kind in "fc" else value.copy()
    return value


def rounded(value):
    """The argument as float32 would hold it, so that our answer in float64 and another's in float32 see the same numbers."""
    if isinstance(value, Made):
        return Made(value.make, tuple(map(rounded, value.arrays)))
    if isinstance(value, dict):
        return {name: rounded(array) for name, array in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float32).astype(np.float64)
    return value
