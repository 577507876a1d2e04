"""Figures: each a function that draws one thing into a Matplotlib figure; `save` makes the figure and writes the file.

style      colours, markers and dashes of the estimators, and `save`
growth     how cost and memory grow
measured   plots of numbers that commands have measured
models     pictures of a trained model
lesson_NN  the figure that carries lesson NN's idea, computed when it is drawn
"""

from importlib import import_module

from dvae_np.figures.growth import cost_growth
from dvae_np.figures.measured import comparison, first_steps, overview, practical_rule, sweep, training_curves
from dvae_np.figures.style import STYLE, save

LESSONS = {  # file: (module, function, size in inches)
    "problem.png": ("lesson_00", "problem", (8.4, 2.8)),
    "step_sizes.png": ("lesson_01", "step_sizes", (7.4, 3.6)),
    "gumbel_max.png": ("lesson_02", "gumbel_max", (7.4, 3.6)),
    "elbo.png": ("lesson_03", "elbo", (7.4, 3.6)),
    "exact_cost.png": ("lesson_04", "exact_cost", (7.4, 3.6)),
    "score_function.png": ("lesson_05", "score_function", (7.4, 3.6)),
    "baselines.png": ("lesson_06", "baselines", (7.4, 3.6)),
    "temperature.png": ("lesson_07", "temperature", (7.4, 3.6)),
    "three_kls.png": ("lesson_07", "three_kls", (7.4, 3.6)),
    "polynomial_degree.png": ("lesson_08", "polynomial_degree", (7.4, 3.6)),
    "bound.png": ("lesson_09", "bound", (7.4, 3.6)),
    "rebar.png": ("lesson_10", "rebar", (7.4, 3.6)),
    "relax.png": ("lesson_11", "relax", (7.4, 3.6)),
    "variance_evaluations.png": ("lesson_12", "variance_evaluations", (7.4, 4.2)),
    "completion.png": ("lesson_13", "completion", (7.4, 3.6)),
    "collapse.png": ("lesson_15", "first_steps", (7.4, 5.2)),
    "learning.png": ("lesson_15", "learning", (7.4, 3.6)),
    "what_draws_see.png": ("lesson_17", "what_draws_see", (8.8, 3.0)),
}

BENCH = (11, 4.8), cost_growth

__all__ = [
    "BENCH",
    "LESSONS",
    "STYLE",
    "comparison",
    "first_steps",
    "lesson_figure",
    "overview",
    "practical_rule",
    "save",
    "sweep",
    "training_curves",
]


def lesson_figure(name):
    """(size, draw) of a lesson's figure, by its file name."""
    module, function, size = LESSONS[name]
    return size, getattr(import_module(f"dvae_np.figures.{module}"), function)
