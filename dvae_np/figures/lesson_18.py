"""Lesson 18: a training on the digits, and the trainings on MNIST that the repository records."""

import numpy as np

from dvae_np import records
from dvae_np.figures.style import STYLE, open_axes


def learning(figure):
    """Validation curves: four estimators on the digits (three seeds), and K = 512 exactly on MNIST."""
    left, right = figure.subplots(1, 2)
    tour = records.read("tour")["trained"]
    for name, runs in tour.items():
        curves = np.array([run["history"]["validation"] for run in runs])
        epochs = np.arange(1, curves.shape[1] + 1)
        left.plot(epochs, np.median(curves, 0), **STYLE[name] | {"marker": ""}, label=name)
        left.fill_between(epochs, curves.min(0), curves.max(0), color=STYLE[name]["color"], alpha=0.15, linewidth=0)
    open_axes(
        left, xlabel="epoch", ylabel="negative ELBO, validation (nats)", ylim=(17, 27), title="8x8 digits, N=2, K=10"
    )
    left.title.set_fontsize(9)
    left.legend(frameon=False, fontsize=8)
    mnist = records.read("mnist512")
    curve = mnist["history"]["validation"]
    right.plot(np.arange(1, len(curve) + 1), curve, **STYLE["exact"] | {"marker": ""}, label="exact")
    right.axhline(-mnist["test"]["log_likelihood"], color="#D55E00", linestyle="--", linewidth=1)
    words = f"test -log p(x): {-mnist['test']['log_likelihood']:.1f} nats"
    right.annotate(
        words, (len(curve) / 3, -mnist["test"]["log_likelihood"]), (0, -12), textcoords="offset points", fontsize=8
    )
    open_axes(right, xlabel="epoch", title="MNIST, N=1, K=512", ylim=(132, 150))
    right.title.set_fontsize(9)
