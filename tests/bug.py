"""What an entry of the bug bank is, and what several of its files use."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvae_np.check.backward import check_op


@dataclass(frozen=True)
class Bug:
    """One mistake: where it was seen, the level of the check that catches it, and the two functions."""

    name: str
    seen_in: str
    level: int
    caught: Callable
    words: str = ""
    missed: Callable | None = None


def rng():
    return np.random.default_rng(21)


def gradient_of(op, data=(), **inputs):
    return check_op(op, inputs, rng(), data)
