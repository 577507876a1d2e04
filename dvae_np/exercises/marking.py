"""Marking an answer: the same numbers as ours, at two or more sizes, in float64 and float32, and what numbers do not show."""

import importlib
import inspect
import os
import pkgutil
import tracemalloc
from pathlib import Path

import numpy as np

from dvae_np.check.backward import check_op
from dvae_np.exercises import exercise as find
from dvae_np.exercises.attempt import SEED, Attempt
from dvae_np.exercises.calling import NotAttempted, WrongAnswer, called
from dvae_np.exercises.exercise import rounded
from dvae_np.exercises.feedback import raise_if_wrong
from dvae_np.exercises.watching import changed, snapshot

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
    tried = [Attempt(exercise, answer, case, np.float64) for case in cases]
    raise_if_wrong(exercise, tried)
    if exercise.op:
        _expect_op(exercise, answer, cases[0])
    single = [
        Attempt(exercise, answer, {key: rounded(value) for key, value in case.items()}, np.float32) for case in cases
    ]
    raise_if_wrong(exercise, single)
    if exercise.most_bytes:
        _expect_little_memory(exercise, answer, cases[-1])
    fresh = exercise.cases(np.random.default_rng())  # numbers that nobody can have looked up
    raise_if_wrong(exercise, [Attempt(exercise, answer, case, np.float64) for case in fresh])
    worst, in_single = (max(attempt.error for attempt in attempts) for attempts in (tried, single))
    short = " (it computes in float32)" if any(attempt.single for attempt in tried) else ""
    return f"right, to {worst:.0e}{short}, with float32 arrays to {in_single:.0e}"


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
