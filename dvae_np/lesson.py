"""The only helper of the notebooks: show a function's source, confirm an equation by numbers, judge an exercise.

Nothing of a lesson's subject is here. A lesson shows the library's own functions, and what it confirms and judges goes through
`dvae_np.check`.
"""

import inspect
import io
import os

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check import judging, suite
from dvae_np.check.differences import COMPLEX_STEP, compare

SEED = 3


def show(*functions):
    """Display the source of library functions: what is read is what runs."""
    from IPython.display import Markdown, display

    for function in functions:
        module = inspect.getmodule(function).__name__.replace(".", "/")
        display(Markdown(f"```python\n# {module}.py\n\n{inspect.getsource(function)}```"))


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
    comparison = compare(f"Eq. {equation}", left, right, tolerance)
    if not comparison.ok:
        raise AssertionError(f"[Eq. {equation}] {comparison}")
    print(
        f"[Eq. {equation}] both sides agree to {comparison.error:.0e}"
        + f" (expected: {tolerance:.0e})" * (tolerance > 1e-9)
    )


def check(exercise, answer, expected, tolerance=1e-9, **known):
    """Judge an answer that should equal `expected`: arrays, or a function of no arguments that returns one.

    Prints a verdict; an answer that is wrong raises `AssertionError` with where, by how much and, if the numbers tell, why.
    Not attempted is said and is no error (under nbgrader it is one). known: what `dvae_np.check.hints.hint` may use:
    ``sizes``, ``q``, and ``instead``, a dict {"what it equals": the wrong array that it would be}.
    """
    call = answer if callable(answer) else lambda: answer
    if not _attempted(exercise, call):
        return
    found = call()
    if not isinstance(found, np.ndarray | np.generic | float | int) or isinstance(found, bool):
        raise AssertionError(f"{exercise}: expected a number or an array of numbers, got a {type(found).__name__}")
    found, expected = np.asarray(found), np.asarray(expected)
    known |= {"instead": {what: np.asarray(other) for what, other in known.get("instead", {}).items()}}
    if found.shape != expected.shape:
        hints = [f"it equals {what}" for what, other in known["instead"].items() if np.shape(other) == found.shape
                 and np.allclose(other, found)]  # fmt: skip
        hints += ["it has the shape of the transpose"] * (found.shape == expected.shape[::-1] and not hints)
        raise AssertionError("; ".join([f"{exercise}: expected shape {expected.shape}, got {found.shape}", *hints]))
    comparison = compare(exercise, found, expected, tolerance, **known)
    if not comparison.ok:
        words = str(comparison).replace("analytic", "yours").replace("numeric", "expected")
        raise AssertionError(words)
    print(f"{exercise}: right, to {comparison.error:.0e}")


def check_estimator(exercise, estimate):
    """Judge an estimator, a function (logits, f, *noise), by its exact mean: every outcome of its noise is enumerated.

    It must be unbiased. Prints the verdict; raises `AssertionError` with the bias and, if the numbers tell, the mistake.
    """
    if not _attempted(exercise, lambda: estimate(np.zeros((1, 1, 2)), *_small_problem(estimate))):
        return
    try:
        report = judging.judge(estimate)
    except InputError as error:
        raise AssertionError(f"{exercise}: {error}") from None
    if report.failed:
        # of all that failed, the mean says most
        worst = max(report.failed, key=lambda result: ("mean" in result.check, bool(result.explanation)))
        raise AssertionError(f"{exercise}: {worst.verdict}" + f"; {worst.explanation}" * bool(worst.explanation))
    verdict = next(result.verdict for result in report.results if "mean" in result.check)
    print(f"{exercise}: {verdict}")


def check_op(exercise, op, expected=None, **inputs):
    """Judge an op, ``y, backward = op(*inputs)``: its backward against the complex step; its value against `expected`.

    Raises `AssertionError` for the first gradient that is wrong, with the reason if the numbers tell.
    """
    if not _attempted(exercise, lambda: op(**inputs)):
        return
    made = _pair(op, inputs)
    if expected is not None:
        comparison = compare(f"{exercise}: the value", made[0], np.asarray(expected), COMPLEX_STEP)
        if not comparison.ok:
            raise AssertionError(str(comparison).replace("analytic", "yours").replace("numeric", "expected"))
    if not _attempted(exercise, lambda: made[1](np.ones_like(made[0]))):
        return
    worst = 0.0
    try:
        for method, comparison in suite.check_op(op, inputs, np.random.default_rng(SEED)):
            if not comparison.ok:
                words = str(comparison).replace("analytic", "yours").replace("numeric", method)
                raise AssertionError(f"{exercise}: {words}")
            worst = max(worst, comparison.error if method == "complex step" else 0)
    except InputError as error:
        raise AssertionError(f"{exercise}: {error}") from None
    print(f"{exercise}: right, to {worst:.0e} of the complex step")


def gradients_of(op, dy, **inputs):
    """What the backward pass of an op of the learner's returns for the cotangent dy.

    Raises `AssertionError` unless the op returns the pair (y, backward), and backward one gradient for each input.
    """
    gradients = _pair(op, inputs)[1](dy)
    if (
        gradients is not None
        and len(inputs) > 1
        and not (isinstance(gradients, tuple) and len(gradients) == len(inputs))
    ):
        raise AssertionError(
            f"{op.__name__}: backward must return {len(inputs)} gradients, one for each of {', '.join(inputs)}"
        )
    return gradients


def _pair(op, inputs):
    """(y, backward) of an op."""
    made = op(**inputs)
    if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
        raise AssertionError(f"{op.__name__}: expected the pair (y, backward), got a {type(made).__name__}")
    return made


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


def figure(draw, *contents, size=(7, 3.6), **more):
    """Display ``draw(figure, *contents, **more)``; `draw` is a function, or the name of a file of `dvae_np.figures.LESSONS`."""
    from IPython.display import Image, display
    from matplotlib.figure import Figure

    if isinstance(draw, str):
        from dvae_np.figures import lesson_figure

        size, draw = lesson_figure(draw)
    canvas, png = Figure(figsize=size, layout="constrained"), io.BytesIO()
    draw(canvas, *contents, **more)
    canvas.savefig(png, dpi=90, metadata={"Software": None})
    display(Image(png.getvalue()))


def _small_problem(estimate):
    """An f and noise of the shapes that this estimator's parameters ask for, to see whether it has been written at all."""
    from dvae_np.check.problems import polynomial

    shapes = {"u": (2, 1, 1, 2), "v": (2, 1, 1, 2), "e": (2, 1, 1)}
    names = [name for name, each in inspect.signature(estimate).parameters.items() if each.default is each.empty][2:]
    noise = [np.full(shapes[name], 0.5) if name in shapes else np.array([[[0]], [[1]]]) for name in names]
    return polynomial(np.ones((1, 1, 2)), 2), *noise


def _attempted(exercise, call):
    """False, and a line that says so, where the call meets code that has not been written yet.

    Raises `AssertionError` where it returns nothing, and, under nbgrader, where it is not written.
    """
    try:
        with np.errstate(all="ignore"):
            found = call()
    except NotImplementedError:
        if os.environ.get("NBGRADER_EXECUTION"):
            raise AssertionError(f"{exercise}: not attempted") from None
        print(f"{exercise}: not attempted yet")
        return False
    except Exception:  # it was attempted: the checks will meet the same error
        return True
    if found is None:
        raise AssertionError(f"{exercise}: it returned None: is a `return` missing?")
    return True
