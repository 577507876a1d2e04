"""Lesson 01: the error of numeric gradients against their step, and the Taylor test."""

import numpy as np

from dvae_np.check.differences import central, complex_step, relative_error
from dvae_np.figures.style import open_axes

START = np.array([0.3, -1.2, 0.8])


def a_loss(arrays):
    """A loss of three numbers; it takes complex numbers too."""
    x = arrays["x"]
    return np.exp(np.sin(x[0] * x[1])) + np.tanh(x[1] - x[2]) * x[0] ** 3 + np.log(1 + x[2] ** 2)


def slope_of_a_loss(x):
    """Its gradient by the rules of school: (3,)."""
    bell, t = np.exp(np.sin(x[0] * x[1])) * np.cos(x[0] * x[1]), np.tanh(x[1] - x[2])
    return np.array(
        [
            bell * x[1] + 3 * x[0] ** 2 * t,
            bell * x[0] + x[0] ** 3 * (1 - t**2),
            -(x[0] ** 3) * (1 - t**2) + 2 * x[2] / (1 + x[2] ** 2),
        ]
    )


def one_sided(loss, arrays, h):
    """The gradient by (loss(x + h) - loss(x)) / h, of an array x."""
    x = arrays["x"]
    return {"x": np.array([(loss({"x": x + h * unit}) - loss(arrays)) / h for unit in np.eye(len(x))])}


def step_sizes(figure, loss=a_loss, slope=slope_of_a_loss, at=START):
    """Left: relative error against h, of three ways to measure a slope. Right: Taylor remainders, right and wrong."""
    left, right = figure.subplots(1, 2)
    exact = slope(at)
    for method, lowest, words, style in (
        (one_sided, -15, "one-sided", {"color": "#D55E00", "marker": "^", "linestyle": ":"}),
        (
            central,
            -15,
            "central",
            {"color": "#0072B2", "marker": "s", "linestyle": "--", "fillstyle": "none", "markersize": 6},
        ),
        (complex_step, -20, "complex step", {"color": "black", "marker": "o", "linestyle": "-"}),
    ):
        steps = 10.0 ** np.arange(lowest, -0.4, 0.5)
        errors = [max(relative_error(method(loss, {"x": at}, h)["x"], exact), 3e-17) for h in steps]
        left.plot(steps, errors, **{"markersize": 3, **style}, label=words)
    open_axes(left, xscale="log", yscale="log", xlabel="step h", ylabel="relative error of the gradient")
    left.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(0.0, 0.45))

    direction, steps = np.resize([0.4, 1.3, -0.6], len(at)), 10.0 ** np.arange(-5, -0.9, 0.5)
    start = loss({"x": at})
    for gradient, words, style in (
        (
            exact + 0.05 * np.eye(len(at))[1],
            "one entry off by 0.05: order 1",
            {"color": "#D55E00", "marker": "^", "linestyle": ":"},
        ),
        (exact, "right gradient: order 2", {"color": "black", "marker": "o", "linestyle": "-"}),
    ):
        remainder = [abs(loss({"x": at + h * direction}) - start - h * gradient @ direction) for h in steps]
        right.plot(steps, remainder, **style, markersize=4, label=words)
    open_axes(right, xscale="log", yscale="log", xlabel="step h along a direction d", ylabel="Taylor remainder (nats)")
    right.legend(frameon=False, fontsize=8, loc="upper left")
