"""The only helper of the notebooks: confirm an equation by numbers, judge an exercise, display (`dvae_np.shown`).

Nothing of a lesson's subject is here. A lesson shows the library's own functions, and what it confirms and judges goes through
`dvae_np.check`.
"""

import inspect
import sys
import types

import numpy as np

from dvae_np import exercises
from dvae_np.arrays import InputError
from dvae_np.check import judging
from dvae_np.check.backward import check_op as check_pair
from dvae_np.check.differences import comparison, comparison_of_entries
from dvae_np.check.trial import WrongOpError, pair_of
from dvae_np.exercises.calling import NotAttempted, WrongAnswer, called
from dvae_np.exercises.marking import judge  # noqa: F401 (judge is the notebooks')
from dvae_np.shown import figure, picture, say, show, table  # noqa: F401 (the notebooks')

SEED = 3


def confirm(equation, left, right, tolerance=1e-10):
    """Say that the two sides of an equation agree, or raise `AssertionError` with what differs.

    equation: its number, as "6.3". left, right: arrays or numbers of one shape.
    tolerance: on |a - n| / (|a| + |n|); with a statistical or truncated right side, its expected size.
    """
    left, right = np.asarray(left), np.asarray(right)
    if not (left.size and right.size):
        raise AssertionError(f"[Eq. {equation}] nothing to compare")
    scale = 0 if left.shape != right.shape else max(abs(left).max(initial=0), abs(right).max(initial=0))
    if left.shape == right.shape and scale <= 1e-13:
        print(f"[Eq. {equation}] both sides are 0, to {scale:.0e}")
        return
    found = comparison(f"Eq. {equation}", left, right, tolerance)
    if not found.ok:
        raise AssertionError(f"[Eq. {equation}] {found}")
    print(
        f"[Eq. {equation}] both sides agree to {found.error:.0e}" + f" (expected: {tolerance:.0e})" * (tolerance > 1e-9)
    )


def check(exercise, answer, expected, accuracy=1.0, **known):
    """Judge an answer that should equal `expected`: arrays, or a function of no arguments that returns one.

    Prints a verdict; an answer that is wrong raises `AssertionError` with where, by how much and, if the numbers tell, why.
    Not attempted is said and is no error (under nbgrader it is one). Entries are judged one by one, float32 at float32's
    accuracy; accuracy: a factor to what rounding may do. known: what `dvae_np.check.hints.hint` may use: ``sizes``, ``q``, and
    ``instead``, a dict {"what it equals": the wrong array that it would be}.
    """
    try:
        found = called(exercise, answer) if callable(answer) else answer
    except NotAttempted:
        return not_attempted(exercise)
    if not isinstance(found, np.ndarray | np.generic | float | int) or isinstance(found, bool):
        words = "None: is a `return` missing?" if found is None else f"a {type(found).__name__}"
        raise WrongAnswer(f"{exercise}: expected a number or an array of numbers, got {words}")
    instead = {what: np.asarray(other) for what, other in known.pop("instead", {}).items()}
    judged = comparison_of_entries(exercise, found, expected, accuracy=accuracy, **known, instead=instead)
    if not judged.ok:
        found, equal = np.asarray(found), []
        for what, other in instead.items():  # of another shape, where `comparison` looks no further
            if (
                found.dtype.kind in "fiu"
                and other.shape == found.shape != np.shape(expected)
                and np.allclose(other, found)
            ):
                equal.append(f"it equals {what}")
        words = str(judged).replace("analytic", "yours").replace("numeric", "expected")
        raise WrongAnswer("; ".join([words, *equal]))
    short = " of float32" if np.asarray(found).dtype == np.float32 else ""
    print(f"{exercise}: right, to {judged.error:.0e}{short}")
    return None


def check_estimator(exercise, estimate):
    """Judge an estimator, a function (logits, f, *noise), by its exact mean: every outcome of its noise is enumerated.

    It must be unbiased. Prints the verdict; raises `AssertionError` with the bias and, if the numbers tell, the mistake.
    """
    try:
        called(exercise, estimate, np.zeros((1, 1, 2)), *_small_problem(estimate))
    except NotAttempted:
        return not_attempted(exercise)
    except WrongAnswer:
        pass  # the judge meets the same, and tells more
    try:
        report = judging.judge(estimate)
    except InputError as error:
        raise WrongAnswer(f"{exercise}: {error}") from None
    if report.failed:
        # of all that failed, the mean says most
        worst = max(report.failed, key=lambda result: ("mean" in result.check, bool(result.explanation)))
        raise WrongAnswer(f"{exercise}: {worst.verdict}" + f"; {worst.explanation}" * bool(worst.explanation))
    verdict = next(result.verdict for result in report.results if "mean" in result.check)
    print(f"{exercise}: {verdict}")
    return None


def check_op(exercise, op, expected=None, *, data=(), analytic=False, **inputs):
    """Judge an op, ``y, backward = op(*inputs)``: its backward against numeric gradients; its value against `expected`.

    data: names of float inputs that have no gradient. analytic: must complex numbers come through? Else an op that takes real
    numbers alone is right as well. Raises `AssertionError` for what is wrong, with the reason if the numbers tell.
    """
    try:
        y, backward = called(exercise, pair_of, op, inputs)
        called(exercise, backward, np.ones_like(y))
    except NotAttempted:
        return not_attempted(exercise)
    except WrongOpError as error:
        raise WrongAnswer(f"{exercise}: {error}") from None
    if expected is not None:
        judged = comparison_of_entries("the value", y, expected)
        if not judged.ok:
            raise WrongAnswer(f"{exercise}: {judged}".replace("analytic", "yours").replace("numeric", "expected"))
    try:
        verdict = check_pair(op, inputs, np.random.default_rng(SEED), data)
    except InputError as error:
        raise WrongAnswer(f"{exercise}: {error}") from None
    if not verdict.ok or (analytic and verdict.kind != "right"):
        words = str(verdict).replace("analytic 0", "yours 0").replace("analytic -", "yours -")
        raise WrongAnswer(f"{exercise}: {words}")
    method = "complex step" if verdict.kind == "right" else "central differences"
    print(f"{exercise}: {verdict}, to {verdict.error(method):.0e} of the {method}")
    return None


def not_attempted(exercise):
    """Say so; under nbgrader it is an error."""
    if exercises.marking.GRADED:
        raise WrongAnswer(f"{exercise}: not attempted")
    print(f"{exercise}: not attempted yet")


def read_only(names):
    """Make the arrays of a notebook's ``globals()`` read-only, so that no answer changes them by mistake."""
    for value in list(names.values()):
        for array in (
            value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else [value]
        ):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False


def _small_problem(estimate):
    """An f and noise of the shapes that this estimator's parameters ask for, to see whether it has been written at all."""
    from dvae_np.check.toys import polynomial

    shapes = {"u": (2, 1, 1, 2), "v": (2, 1, 1, 2), "e": (2, 1, 1)}
    names = [name for name, each in inspect.signature(estimate).parameters.items() if each.default is each.empty][2:]
    noise = [np.full(shapes[name], 0.5) if name in shapes else np.array([[[0]], [[1]]]) for name in names]
    return polynomial(np.ones((1, 1, 2)), 2), *noise


class _Lesson(types.ModuleType):
    """This module's class: the judges are its properties, so that nobody replaces them by an assignment."""


def _fixed(function):
    def refuse(self, value):
        raise WrongAnswer("what judges an exercise cannot be replaced: restart the kernel, and leave it as it is")

    return property(lambda self: function, refuse)


for _name in ("judge", "check", "check_estimator", "check_op"):
    setattr(_Lesson, _name, _fixed(globals()[_name]))
sys.modules[__name__].__class__ = _Lesson
