"""The only helper of the notebooks: show a function's source, confirm an equation by numbers, judge an exercise.

Nothing of a lesson's subject is here. A lesson shows the library's own functions, and what it confirms and judges goes through
`dvae_np.check`.
"""

import inspect
import io
import os
import sys
import textwrap
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

SEED = 3
PAGE = 90  # columns that a page shows


def show(*functions, folded=True):
    """Display the source of library functions: what is read is what runs. Folded, a click on the name opens it."""
    from IPython.display import Markdown, display

    for function in functions:
        module = inspect.getmodule(function).__name__.replace(".", "/")
        source = "\n".join(map(wrapped, inspect.getsource(function).rstrip().splitlines()))
        block = f"```python\n# {module}.py\n\n{source}\n```"
        name = f"<code>{function.__qualname__}</code>, in <code>{module}.py</code>"
        if folded:
            block = f"<details><summary>The library's own source: {name}</summary>\n\n{block}\n\n</details>"
        display(Markdown(block))


def wrapped(line, width=PAGE):
    """A line of code as lines of at most so many columns, broken at spaces; the further ones stand four columns deeper."""
    bare = line.lstrip()
    indent = line[: len(line) - len(bare)]
    deeper = indent + ("# " if bare.startswith("#") else "    ")
    return textwrap.fill(bare, width, initial_indent=indent, subsequent_indent=deeper,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


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


def interactive(draw, **choices):
    """Show ``draw(figure, **values)`` with a slider for each of `choices` (a list of values each); without ipywidgets, or
    where the output is kept in a file, the figure at the middle values.
    """
    middle = {name: values[len(values) // 2] for name, values in choices.items()}
    if os.environ.get("DVAE_NP_STATIC"):
        return figure(draw, **middle)
    try:
        from ipywidgets import SelectionSlider, interact
    except ImportError:
        return figure(draw, **middle)
    sliders = {name: SelectionSlider(options=values, value=middle[name]) for name, values in choices.items()}
    interact(lambda **values: figure(draw, **values), **sliders)
    return None


def figure(draw, *contents, size=(7, 3.6), alt="", **more):
    """Display ``draw(figure, *contents, **more)``; `draw` is a function, or the name of a file of `dvae_np.figures.LESSONS`.

    alt: what the picture shows, in words, for those who do not see it; a file of `LESSONS` has its own.
    """
    from matplotlib.figure import Figure

    if isinstance(draw, str):
        from dvae_np.figures import LESSONS, lesson_figure

        alt, (size, draw) = LESSONS[draw].alt, lesson_figure(draw)
    canvas = Figure(figsize=size, layout="constrained")
    draw(canvas, *contents, **more)
    picture(canvas, alt)


def picture(canvas, alt):
    """Display a figure of Matplotlib, with words for those who do not see it; one of pyplot is closed, to be shown once."""
    from IPython.display import Image, display

    png = io.BytesIO()
    canvas.savefig(png, dpi=90, metadata={"Software": None})
    display(Image(png.getvalue(), alt=alt))
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(canvas)


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
    return property(lambda self: function)


for _name in ("judge", "check", "check_estimator", "check_op"):
    setattr(_Lesson, _name, _fixed(globals()[_name]))
sys.modules[__name__].__class__ = _Lesson
