"""Lesson 04: what exact marginalisation costs, as measured, and how soon there are too many states."""

import inspect
import json
from pathlib import Path

import numpy as np

from dvae_np.estimators import exact
from dvae_np.figures.style import open_axes

RECORD = Path(__file__).resolve().parents[2] / "figures" / "data" / "bench.json"


def measured():
    """What `python -m dvae_np bench` wrote: machine, sizes, and milliseconds for each K."""
    return json.loads(RECORD.read_text())


def exact_cost(figure):
    """Left: measured milliseconds against K, each state once and every pair. Right: joint states against latents."""
    left, right = figure.subplots(1, 2)
    lines = measured()["milliseconds"]
    for name, words, style in (
        ("pairs", "every pair decoded", {"color": "#D55E00", "marker": "^", "linestyle": ":"}),
        ("exact", "exact: each state once", {"color": "black", "marker": "o", "linestyle": "-"}),
        ("bare", "bare matrix products", {"color": "#0072B2", "marker": "s", "linestyle": "--"}),
    ):
        own = [line for line in lines if name in line]
        left.plot([line["K"] for line in own], [line[name] for line in own], **style, markersize=5, label=words)
    open_axes(left, xscale="log", yscale="log", xlabel="categories K of one latent",
              ylabel="value and gradients (milliseconds)", ylim=(0.5, 1e5))  # fmt: skip
    left.set_xticks([line["K"] for line in lines], [f"{line['K']:,}" for line in lines])
    left.minorticks_off()
    left.legend(frameon=False, fontsize=8, loc="upper left")

    N = np.arange(1, 13)
    for K, style in ((2, "o-"), (8, "s--"), (64, "^:")):
        own = N[float(K) ** N <= 1e9]
        right.plot(own, float(K) ** own, style, color="black", markersize=4)
        last = N[(float(K) ** N <= 1e8) & (N <= 10)][-1]
        right.annotate(f"K = {K}", (last, float(K) ** last), (6, -8), textcoords="offset points", fontsize=8)
    largest, limit = lines[-1], inspect.signature(exact).parameters["most_states"].default
    for states, words in (
        (largest["K"], f"{largest['K']:,}: measured, {largest['exact']:.0f} ms"),
        (limit, f"limit: {limit:,}"),
    ):
        right.axhline(states, color="#0072B2", linewidth=1, linestyle="-.")
        right.annotate(
            words, (12.4, states), (0, 3), textcoords="offset points", fontsize=8, color="#0072B2", ha="right"
        )
    open_axes(right, yscale="log", ylim=(1, 1e9), xlim=(0.7, 12.5), xlabel="latents N", ylabel="joint states $K^N$")
