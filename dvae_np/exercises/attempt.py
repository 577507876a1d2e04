"""An answer tried on one case: what it gives, as arrays, beside ours; or why that cannot be compared."""

from contextlib import nullcontext

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.differences import comparison_of_entries, real_array
from dvae_np.estimators import TABLE
from dvae_np.exercises.calling import WrongAnswer, called, sound
from dvae_np.exercises.watching import watched

SEED = 3
RETURNED_NONE = "it returned None: is a `return` missing?"


class Attempt:
    """One answer on one case, in one dtype: what it gave, and what is wrong with it."""

    __slots__ = ("case", "dtype", "error", "exercise", "expected", "found", "single", "sizes", "where", "wrong")

    def __init__(self, exercise, answer, case, dtype):
        self.exercise, self.case, self.dtype = exercise, case, dtype
        self.sizes = exercise.sizes(case)
        self.where = " at " + ", ".join(f"{name} = {size}" for name, size in self.sizes.items()) if self.sizes else ""
        self.where += " in float32" * (dtype == np.float32)
        self.found = self.numbers(answer, dtype)  # before ours, so that there is nothing to be found in a frame
        self.expected = self.numbers(exercise.answer, np.float64, ours=True)
        if any(array.dtype.kind in "iu" for array in self.expected.values()):  # codes depend on how sums are rounded
            self.expected = self.numbers(exercise.answer, dtype, ours=True)
        self.single = False
        self.wrong, self.error = [], 0.0
        for what in self.expected:
            self.compare(what)

    def numbers(self, answer, dtype, ours=False):
        """{what: array} of an answer at this case; raises `WrongAnswer` for what cannot be compared."""
        exercise, given = self.exercise, self.exercise.arguments(self.case, dtype)
        kept = exercise.arguments(self.case, dtype)
        with nullcontext(()) if ours else watched(_forbidden(exercise)) as calls, np.errstate(all="ignore"):
            if exercise.outcome:
                own = answer if ours else sound(exercise.name, answer)
                found = called(exercise.name, exercise.outcome, own, *given.values(), where=self.where)
            else:
                found = called(exercise.name, answer, *given.values(), where=self.where)
            if exercise.op:
                found = self.gradients(found)
        if calls:
            raise WrongAnswer(
                f"{exercise.name}: write it yourself: your function calls {calls[0]}, and is to do without"
            )
        for name, before in kept.items():
            if not _same(before, given[name]):
                raise WrongAnswer(f"{exercise.name}: your function changes its input {name}: work on a copy")
        if found is None:
            raise WrongAnswer(f"{exercise.name}: {RETURNED_NONE}")
        names = ("the value", *exercise.returns) if exercise.op else exercise.returns
        if len(names) > 1 and not (isinstance(found, tuple) and len(found) == len(names)):
            what = f"a tuple of {len(found)}" if isinstance(found, tuple) else f"a {type(found).__name__}"
            raise WrongAnswer(f"{exercise.name}: expected a tuple ({', '.join(names)}), got {what}")
        return {
            what: self.array(what, each)
            for what, each in zip(names, found if len(names) > 1 else (found,), strict=True)
        }

    def gradients(self, pair):
        """(y, one gradient for each of the names in `returns`) of an op, under a cotangent that is the same for everyone."""
        exercise = self.exercise
        if not isinstance(pair, tuple) or len(pair) != 2 or not callable(pair[1]):
            what = f"expected the pair (y, backward), got a {type(pair).__name__}"
            raise WrongAnswer(f"{exercise.name}: {RETURNED_NONE if pair is None else what}")
        y = self.array("the value", pair[0])
        dy = np.asarray(np.random.default_rng(SEED).standard_normal(y.shape)).astype(self.dtype)
        found = called(exercise.name, pair[1], dy.copy(), where=self.where)
        if found is None or isinstance(found, list | dict):
            what = "None: is a `return` missing?" if found is None else f"a {type(found).__name__}"
            raise WrongAnswer(f"{exercise.name}: backward must return an array or a tuple of arrays, got {what}")
        found = found if isinstance(found, tuple) else (found,)
        names = list(self.case)
        wanted = [name for name in names if f"d{name}" in exercise.returns]
        if len(found) == len(names):
            found = tuple(each for name, each in zip(names, found, strict=True) if name in wanted)
        if len(found) != len(wanted):
            expected = ", ".join(f"d{name}" for name in wanted)
            count = f"{len(wanted)} gradient{'s' * (len(wanted) > 1)}"
            raise WrongAnswer(f"{exercise.name}: backward must return {count}, {expected}, got a tuple of {len(found)}")
        return (y, *found)

    def array(self, what, found):
        """One output as an array of real numbers."""
        if found is None:
            raise WrongAnswer(f"{self.exercise.name}: {what} is None: expected an array of numbers")
        if not isinstance(found, np.ndarray | np.generic | float | int) or isinstance(found, bool):
            raise WrongAnswer(
                f"{self.exercise.name}: {what}: expected an array of numbers, got a {type(found).__name__}"
            )
        try:
            array = real_array(what, found)
        except InputError as error:
            raise WrongAnswer(f"{self.exercise.name}: {error}") from None
        if array.dtype == np.float16:
            raise WrongAnswer(f"{self.exercise.name}: {what}: expected float64 or float32, got float16")
        return array

    def compare(self, what):
        """Judge one output: its shape, its kind, and each entry."""
        expected, found = self.expected[what], self.found[what]
        if expected.dtype.kind in "iu" and found.dtype.kind not in "iu":
            self.wrong.append((what, f"expected integers, got dtype {found.dtype}"))
            return
        single = self.dtype == np.float32
        limits = {"accuracy": self.exercise.accuracy, "within": self.exercise.within}
        comparison = comparison_of_entries(what, found, expected, single=single, **limits)
        self.single |= found.dtype.kind == "f" and found.dtype.itemsize < 8
        self.error = max(self.error, comparison.error)
        if not comparison.ok:
            self.wrong.append((what, in_words(comparison)))


def in_words(comparison):
    """Why an answer is wrong, without the hints, in the reader's words."""
    words = comparison.explanation.replace("analytic", "yours").replace("numeric", "expected")
    return words.split("; it ")[0]


def _same(before, now):
    """Are two arguments equal? Of functions nothing is known."""
    if isinstance(before, dict):
        return before.keys() == now.keys() and all(_same(before[name], now[name]) for name in before)
    return not isinstance(before, np.ndarray) or np.array_equal(before, now, equal_nan=True)


def _forbidden(exercise):
    """{function: name} of what an answer may not call: the estimators, our own answers, and what the exercise names."""
    own = dict.fromkeys((exercise.answer, *exercise.mistakes.values()), "our answer")
    rows = {row.estimate: f"dvae_np.{row.name}" for row in TABLE.values()}
    return own | rows | {each: f"{each.__module__}.{each.__qualname__}" for each in exercise.library}
