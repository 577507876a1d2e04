"""An answer on trial: the same numbers as ours, at two or more sizes, in float64 and float32; and if not, why not."""

import importlib
import inspect
import os
import pkgutil
import tracemalloc
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.backward import check_op
from dvae_np.check.differences import FLOAT32, FLOAT64, compare_entries, real_array
from dvae_np.check.hints import FACTOR as OF_FACTOR
from dvae_np.check.hints import factors, hint
from dvae_np.estimators import TABLE
from dvae_np.exercises import exercise as find
from dvae_np.exercises.calling import NotAttempted, WrongAnswer, called, sound
from dvae_np.exercises.exercise import rounded
from dvae_np.exercises.watching import changed, snapshot, watched

SEED = 3
FACTOR = "factor "  # begins the key of a hint that is a constant factor
GRADED = "NBGRADER_EXECUTION" in os.environ  # read before any answer runs


def judge(name, answer):
    """Judge an answer to the exercise with this number, as "06.2": a function with the arguments that its text names.

    Prints a verdict. Raises `WrongAnswer`, an AssertionError, with what is wrong and, where the numbers tell, why. An answer
    that has not been written is said and is no error (under nbgrader it is one).
    """
    _expect_unchanged(name)
    exercise = find(name)
    try:
        verdict = _verdict(exercise, answer)
        _expect_unchanged(name)
        print(f"{name}: {verdict}")
    except NotAttempted:
        if GRADED:
            raise WrongAnswer(f"{name}: not attempted") from None
        print(f"{name}: not attempted yet")


def _expect_unchanged(name):
    if wrong := changed(AS_IMPORTED):
        raise WrongAnswer(
            f"{name}: the package was changed ({', '.join(wrong[:3])}): restart the kernel, and leave it as it is"
        )


def _verdict(exercise, answer):
    """Words for a right answer; raises `WrongAnswer` for another."""
    if not callable(answer):
        raise WrongAnswer(f"{exercise.name}: expected a function, got a {type(answer).__name__}")
    cases = exercise.cases(np.random.default_rng(SEED))
    tried = [_Trial(exercise, answer, case, np.float64) for case in cases]
    _raise_if_wrong(exercise, tried)
    if exercise.op:
        _expect_op(exercise, answer, cases[0])
    single = [
        _Trial(exercise, answer, {key: rounded(value) for key, value in case.items()}, np.float32) for case in cases
    ]
    _raise_if_wrong(exercise, single)
    if exercise.most_bytes:
        _expect_little_memory(exercise, answer, cases[-1])
    fresh = exercise.cases(np.random.default_rng())  # numbers that nobody can have looked up
    _raise_if_wrong(exercise, [_Trial(exercise, answer, case, np.float64) for case in fresh])
    worst, in_single = (max(trial.error for trial in trials) for trials in (tried, single))
    short = " (it computes in float32)" if any(trial.single for trial in tried) else ""
    return f"right, to {worst:.0e}{short}, with float32 arrays to {in_single:.0e}"


class _Trial:
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
            raise WrongAnswer(f"{exercise.name}: it returned None: is a `return` missing?")
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
            return _not_a_pair(exercise, pair)
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
        comparison = compare_entries(what, found, expected, single=single, **limits)
        self.single |= found.dtype.kind == "f" and found.dtype.itemsize < 8
        self.error = max(self.error, comparison.error)
        if not comparison.ok:
            self.wrong.append((what, in_words(comparison)))

    def near(self, other, found, limits):
        """Is one output that of a mistake, up to rounding?"""
        if other.shape != found.shape:
            return False
        finite = np.isfinite(other)
        near = limits["absolute"] * 10 * np.max(np.abs(other[finite]), initial=0) + self.exercise.within
        equal = np.array_equal(other[~finite], found[~finite], equal_nan=other.dtype.kind == "f")
        return bool(equal and np.all(np.abs(other[finite] - found[finite]) <= near))

    def hints(self, what):
        """{a mistake: the words for it} that would give just this output."""
        expected, found = self.expected[what], self.found[what]
        limits = FLOAT32 if self.dtype == np.float32 or self.single else FLOAT64
        fitting = {}
        for words, wrong in self.exercise.mistakes.items():
            try:
                others = self.numbers(wrong, np.float64, ours=True)
            except Exception:  # a mistake that cannot be made at this case
                continue
            same = [each for each in others if self.near(others[each], self.expected[each], limits)]
            if what not in same and all(
                self.near(others[each], self.found[each], limits) for each in others if each not in same
            ):
                fitting[words] = f"it equals {words}"
        if found.shape == expected.shape and np.isfinite(found).all() and np.isfinite(expected).all():
            named = factors(found, expected, self.sizes)
            if named:
                named = {key: OF_FACTOR * bool(key) + words for key, words in named.items()}
                return fitting | {FACTOR + key: words for key, words in named.items()}
        if fitting:
            return fitting
        q = self.exercise.q(self.case) if self.exercise.q else None
        words = hint(found, expected, q=q) if expected.dtype.kind == "f" else ""
        if not ("gradient" in what or f"d{what[1:]}" == what):  # then nothing is cut, and no score forgotten
            words = words.split(": is a path cut?")[0]
        return {words: words} if words else {}


def _raise_if_wrong(exercise, trials):
    """Raise `WrongAnswer` for the first output that is wrong; a hint must fit every case in which it is."""
    wrong = [trial for trial in trials if trial.wrong]
    if not wrong:
        return
    what, words = wrong[0].wrong[0]
    with np.errstate(all="ignore"):
        several = [trial.hints(what) for trial in wrong if what in [name for name, _ in trial.wrong]]
    fitting = {key: text for key, text in several[0].items() if all(key in others for others in several)}
    several = what.startswith("the ") and (" and " in what or (what.endswith("s") and not what.endswith("as")))
    text = f"{exercise.name}: {what} {'are' if several else 'is'} wrong{wrong[0].where}: {words}"
    mistakes = [text for key, text in fitting.items() if not key.startswith(FACTOR)]  # these say more
    hint = " or ".join(mistakes or fitting.values())
    raise WrongAnswer(f"{text}; {hint}" if hint else text)


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


def _not_a_pair(exercise, found):
    if found is None:
        raise WrongAnswer(f"{exercise.name}: it returned None: is a `return` missing?")
    raise WrongAnswer(f"{exercise.name}: expected the pair (y, backward), got a {type(found).__name__}")


def _expect_op(exercise, answer, case):
    """Pure, nothing remembered, and analytic where the text asks for it: what equal numbers do not show."""
    by_name = exercise.arguments(case, np.float64)
    inputs = list(by_name)

    def whole(*arguments):  # its gradients alone are asked for, in the order of the inputs; None for the rest
        y, backward = answer(*arguments)

        def padded(dy):
            found = backward(dy)
            found = found if isinstance(found, tuple) else (found,)
            if len(found) == len(inputs):
                return found
            rest = iter(found)
            return tuple(next(rest) if f"d{name}" in exercise.returns else None for name in inputs)

        return y, padded

    named = lambda **arguments: whole(*arguments.values())
    named.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in inputs]
    )
    verdict = called(exercise.name, check_op, named, by_name, np.random.default_rng(SEED), exercise.data)
    if not verdict.ok or (exercise.analytic and verdict.kind != "right"):
        asked = "the text asks for code that complex numbers come through; yours is " if verdict.ok else ""
        raise WrongAnswer(f"{exercise.name}: {asked}{str(verdict).replace('analytic is', 'yours is')}")


def _expect_little_memory(exercise, answer, case):
    """The peak of memory in one call, beyond its arguments."""
    given = tuple(exercise.arguments(case, np.float64).values())
    tracemalloc.start()
    try:
        found = answer(*given)
        if exercise.op:
            found[1](np.ones_like(found[0]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak > (most := exercise.most_bytes(case)):
        raise WrongAnswer(
            f"{exercise.name}: the numbers are right, but it takes {peak / 1e6:.0f} MB where {most / 1e6:.0f} are enough: is "
            "there an array of too many axes?"
        )


for _module in pkgutil.iter_modules([str(Path(__file__).parent)]):
    importlib.import_module(f"dvae_np.exercises.{_module.name}") if _module.name.startswith("lesson_") else None
del _module  # its finder has a memory of its own
AS_IMPORTED = snapshot()
