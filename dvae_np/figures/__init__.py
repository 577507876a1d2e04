"""Figures: each a function that draws one thing into a Matplotlib figure; `save` makes the figure and writes the file.

style      colours, markers and dashes of the estimators, and `save`
growth     how cost and memory grow
estimators_map  where the estimators stand, a label for each
measured   plots of numbers that commands have measured
published  toys of papers: variances and biases against the log-odds
models     pictures of a trained model
lesson_NN  the figure that carries lesson NN's idea, computed when it is drawn
"""

from importlib import import_module
from typing import NamedTuple

from dvae_np.figures.estimators_map import comparison
from dvae_np.figures.growth import cost_growth
from dvae_np.figures.measured import (
    equal_time,
    equal_time_size,
    first_models,
    first_steps,
    nats_behind,
    overview,
    practical_rule,
    sweep,
    training_curves,
)
from dvae_np.figures.published import toy_size, toy_variances
from dvae_np.figures.style import STYLE, save


class LessonFigure(NamedTuple):
    """A lesson's figure: its module, its function, its size in inches, and what it shows in words."""

    module: str
    function: str
    size: tuple
    alt: str


LESSONS = {  # file: figure
    "problem.png": LessonFigure(
        "lesson_00",
        "problem",
        (8.4, 2.8),
        "A diagram from data through the encoder, a drawn code and the decoder to the loss; derivatives flow back "
        "except through the draw.",
    ),
    "step_sizes.png": LessonFigure(
        "lesson_01",
        "step_sizes",
        (7.4, 3.6),
        "Left: the error of finite differences against their step, a V; the complex step falls to rounding. Right:"
        " the Taylor test of a right and a wrong gradient, slopes 2 and 1.",
    ),
    "gumbel_max.png": LessonFigure(
        "lesson_02",
        "gumbel_max",
        (7.4, 3.6),
        "Left: logits plus Gumbel noise, the largest wins. Right: a drawn code against a logit is a staircase, its"
        " mean a smooth curve.",
    ),
    "elbo.png": LessonFigure(
        "lesson_03",
        "elbo",
        (7.4, 3.6),
        "Reconstruction and KL add up to a curve that touches -log p(x) from above; beside it, what the weight "
        "beta does to both.",
    ),
    "exact_cost.png": LessonFigure(
        "lesson_04",
        "exact_cost",
        (7.4, 3.6),
        "Milliseconds of the exact sum against the number of categories, and the number of joint states against "
        "the number of latents.",
    ),
    "score_function.png": LessonFigure(
        "lesson_05",
        "score_function",
        (7.4, 3.6),
        "Left: the loss of one drawn code against a logit is a staircase, its mean a smooth curve. Right: the smallest "
        "bias that a test by samples sees, against the number of draws.",
    ),
    "baselines.png": LessonFigure(
        "lesson_06",
        "baselines",
        (7.4, 3.6),
        "Variance of REINFORCE against a constant baseline, a parabola, and the variance by several baselines "
        "against the number of samples.",
    ),
    "temperature.png": LessonFigure(
        "lesson_07",
        "temperature",
        (7.4, 3.6),
        "Bias of Gumbel-Softmax rises and its variance falls as the temperature rises.",
    ),
    "three_kls.png": LessonFigure(
        "lesson_07",
        "three_kls",
        (7.4, 3.6),
        "Three quantities called KL against the temperature: the discrete one is constant, the relaxed one larger,"
        " the plug-in one goes below zero.",
    ),
    "polynomial_degree.png": LessonFigure(
        "lesson_08",
        "polynomial_degree",
        (7.4, 3.6),
        "Relative bias of straight-through, ReinMax and others against the degree of f: each is exact up to some degree.",
    ),
    "bound.png": LessonFigure(
        "lesson_09",
        "bound",
        (7.4, 3.6),
        "The multi-sample bound rises towards log p(x) with the number of samples; beside it the variance of its "
        "gradient by two estimators.",
    ),
    "rebar.png": LessonFigure(
        "lesson_10",
        "rebar",
        (7.4, 3.6),
        "Variance of REBAR over its two tunables, beside REINFORCE and the best constant baseline.",
    ),
    "relax.png": LessonFigure(
        "lesson_11",
        "relax",
        (7.4, 3.6),
        "The exact variance of RELAX and REBAR falls while their tunables are learned; lines mark the best constant baseline.",
    ),
    "variance_evaluations.png": LessonFigure(
        "lesson_13",
        "variance_evaluations",
        (7.4, 4.2),
        "Exact variance of ten estimators against the number of evaluations of f.",
    ),
    "completion.png": LessonFigure(
        "lesson_17",
        "completion",
        (7.4, 3.6),
        "Upper halves of digits, and their lower halves as three kinds of model complete them.",
    ),
    "collapse.png": LessonFigure(
        "lesson_19",
        "first_steps",
        (7.4, 5.2),
        "Entropy of q and information about x during the first steps on MNIST, by estimator and start.",
    ),
    "learning.png": LessonFigure(
        "lesson_18",
        "learning",
        (7.4, 3.6),
        "Validation loss against epochs: four estimators on the digits, and the exact gradient on MNIST.",
    ),
    "what_draws_see.png": LessonFigure(
        "lesson_15",
        "what_draws_see",
        (8.8, 3.0),
        "The share of biased estimators that a test by samples sees, against the size of the bias, and its false alarms.",
    ),
}

BENCH = (11, 4.8), cost_growth

__all__ = [
    "BENCH",
    "LESSONS",
    "STYLE",
    "comparison",
    "equal_time",
    "equal_time_size",
    "first_models",
    "first_steps",
    "lesson_figure",
    "nats_behind",
    "overview",
    "practical_rule",
    "save",
    "sweep",
    "toy_size",
    "toy_variances",
    "training_curves",
]


def lesson_figure(name):
    """(size, draw) of a lesson's figure, by its file name."""
    found = LESSONS[name]
    return found.size, getattr(import_module(f"dvae_np.figures.{found.module}"), found.function)
