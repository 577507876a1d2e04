"""Lesson 17: the lower half of a digit from its upper half, by three models."""

from dvae_np import records
from dvae_np.figures.style import open_axes

COLORS = ("#999999", "#0072B2", "#D55E00")


def completion(figure):
    """Exact test log p(x|c), one mark a seed: without a latent, with a prior that does not see c, with one that does."""
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("digits", "mnist"), strict=True):
        runs = records.read(f"completion-{name}")["runs"]
        variants = list(dict.fromkeys(run["variant"] for run in runs))
        for place, (variant, color) in enumerate(zip(variants, COLORS, strict=True)):
            values = [run["log_likelihood"] for run in runs if run["variant"] == variant]
            axes.plot(values, [place] * len(values), "osD"[place], color=color, markersize=7, alpha=0.8)
        labels = ["no latent\n(K = 1)", "p(z)", "p(z|c)"]
        open_axes(axes, xlabel="exact test log p(x|c) (nats)", yticks=range(3), yticklabels=labels, ylim=(-0.6, 2.6))
        axes.set_title({"digits": "8x8 digits", "mnist": "MNIST"}[name], fontsize=9)
        axes.grid(axis="x", alpha=0.3)
