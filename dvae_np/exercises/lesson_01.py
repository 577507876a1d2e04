"""The exercises of lesson 01, forward and backward."""

import numpy as np

from dvae_np import sigmoid
from dvae_np.check import central, complex_step
from dvae_np.exercises.exercise import Exercise


def best_step(value, third, eps):
    """The least of the bound on a fine grid of steps, and then on a finer one."""
    low, high = 1e-9, 1.0
    for _ in range(12):
        grid = np.geomspace(low, high, 2001)
        best = np.argmin(grid**2 / 6 * third + eps * value / grid)
        low, high = grid[max(best - 2, 0)], grid[min(best + 2, len(grid) - 1)]
    return (low * high) ** 0.5


def one_sided(value, third, eps):
    return (2 * eps * value / third) ** 0.5


def equal_terms(value, third, eps):
    return (6 * eps * value / third) ** (1 / 3)


def sums(rng):
    any_loss = (1 + rng.random(), 1 + rng.random(), 1e-10 * (1 + rng.random()))
    for value, third, eps in ((1.0, 1.0, 2.2e-16), (2.0, 5.0, 1.2e-7), (0.3, 0.1, 1e-10), any_loss):
        yield {"value": value, "third": third, "eps": eps}


def by_complex_step(value):
    """An op with this value, whose backward is the complex step."""

    def op(*inputs):
        def backward(dy):
            names = [str(i) for i in range(len(inputs))]
            loss = lambda arrays: (dy * value(*arrays.values())).sum()
            return tuple(complex_step(loss, dict(zip(names, inputs, strict=True))).values())

        return value(*inputs), backward

    return op


def silu(x):
    """x / (1 + e^-x)."""
    return by_complex_step(lambda x: x / (1 + np.exp(-x)))(x)


def without_the_sigmoid(x):
    s, _ = sigmoid(x)
    return x * s, lambda dy: dy * s


def without_the_factor(x):
    s, backward = sigmoid(x)
    return x * s, lambda dy: backward(dy * x)


def slope_alone(x):
    s, backward = sigmoid(x)
    return x * s, lambda dy: s + backward(x)


def scale_and_shift(x, a, b):
    """Row by row, column by column."""

    def backward(dy):
        R, H = x.shape
        da = np.array([sum(x[r, h] * dy[r, h] for r in range(R)) for h in range(H)])
        return (
            np.array([[a[h] * dy[r, h] for h in range(H)] for r in range(R)]),
            da,
            np.array([sum(dy[:, h]) for h in range(H)]),
        )

    return np.array([[a[h] * row[h] + b[h] for h in range(len(a))] for row in x]), backward


def of_each_row(x, a, b):
    return a * x + b, lambda dy: (a * dy, x * dy, dy)


def without_x(x, a, b):
    return a * x + b, lambda dy: (a * dy, dy.sum(0), dy.sum(0))


def mean_square(y, target):
    """The value by a loop; its backward by the complex step."""
    count = y.size

    def value(y):
        return sum((a - t) ** 2 for a, t in zip(y.ravel(), target.ravel(), strict=True)) / count

    return value(y), lambda dvalue: complex_step(lambda arrays: dvalue * value(arrays["y"]), {"y": y})["y"]


def without_dvalue(y, target):
    away = y - target
    return (away**2).mean(), lambda dvalue: 2 * away / away.size


def length(x):
    """The root of the plain sum of squares, which complex numbers come through."""
    return np.sqrt((x * x).sum())


def square(x):
    return (x * x).sum()


def value_and_slope(length, x):
    """The length, and its slope in every entry by the complex step."""
    slopes = [np.imag(length(x + 1e-20j * unit)) / 1e-20 for unit in np.eye(len(x), dtype=x.dtype)]
    return length(x), np.array(slopes)


EXERCISES = (
    Exercise(
        "01.1",
        best_step,
        lambda rng: list(sums(rng)),
        {},
        returns=("the step",),
        accuracy=1e3,  # the least of a sum that is flat there
        mistakes={
            "the step of a one-sided difference: the error of the central one grows with h^2": one_sided,
            "the step at which both terms are equal: set the derivative of their sum to zero": equal_terms,
        },
    ),
    Exercise(
        "01.2",
        silu,
        lambda rng: [{"x": 2 * rng.standard_normal(shape)} for shape in ((3, 4), (5, 7))],
        {"x": "RH"},
        op=True,
        returns=("dx",),
        library=(complex_step, central),
        mistakes={
            "the gradient without the path through the sigmoid: x enters twice": without_the_sigmoid,
            "the gradient without the path through the factor x: x enters twice": without_the_factor,
            "the slope alone: multiply by dy": slope_alone,
        },
    ),
    Exercise(
        "01.3",
        scale_and_shift,
        lambda rng: [
            {"x": rng.standard_normal((R, H)), "a": rng.standard_normal(H), "b": rng.standard_normal(H)}
            for R, H in ((3, 4), (7, 5))
        ],
        {"x": "RH", "a": "H", "b": "H"},
        op=True,
        returns=("dx", "da", "db"),
        library=(complex_step, central),
        mistakes={
            "the gradient of each row: a and b are shared by all rows, so add them up": of_each_row,
            "the gradient without the factor x": without_x,
        },
    ),
    Exercise(
        "01.4",
        mean_square,
        lambda rng: [
            {"y": rng.standard_normal(shape), "target": rng.standard_normal(shape)} for shape in ((7, 3), (4, 5))
        ],
        {"y": "RH", "target": "RH"},
        op=True,
        data=("target",),
        returns=("dy",),
        library=(complex_step, central),
        mistakes={"the gradient without dvalue: the loss may be a part of another": without_dvalue},
    ),
    Exercise(
        "01.5",
        length,
        lambda rng: [{"x": rng.standard_normal(I)} for I in (3, 8)],
        {"x": "I"},
        returns=("the length", "the slope by the complex step"),
        outcome=value_and_slope,
        mistakes={"the squared length: take its root": square},
    ),
)  # fmt: skip
