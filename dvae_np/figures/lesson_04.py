"""Lesson 04: what exact marginalisation costs, as measured, and how soon there are too many states."""

import inspect

import numpy as np

from dvae_np import records
from dvae_np.estimators.exact import exact
from dvae_np.figures.growth import CONTESTANTS
from dvae_np.figures.style import open_axes


def measured():
    """(record, lines): what `python -m dvae_np bench` wrote, and for each K the medians of all contestants in milliseconds."""
    record = records.read("bench")
    lines = [
        {"K": int(case["label"].split("=")[1].replace(",", "")),
         **{name: own["ms"][1] for name, own in case["contestants"].items()}}
        for case in record["cases"] if case["section"] == "exact"
    ]  # fmt: skip
    return record, lines


def exact_cost(figure):
    """Left: measured milliseconds against K, each state once and every pair. Right: joint states against latents."""
    left, right = figure.subplots(1, 2)
    _, lines = measured()
    for name, words in (
        ("PyTorch", "PyTorch, every pair"),
        ("Pyro", "Pyro, every pair"),
        ("dvae_np", "exact"),
        ("bare products", "bare"),
    ):
        own = [line for line in lines if name in line]
        left.plot(
            [line["K"] for line in own], [line[name] for line in own], **CONTESTANTS[name], markersize=5, label=words
        )
    open_axes(left, xscale="log", yscale="log", xlabel="categories K of one latent",
              ylabel="value and gradients (milliseconds)", ylim=(0.3, 1e6))  # fmt: skip
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
        (largest["K"], f"{largest['K']:,}: measured, {largest['dvae_np']:.0f} ms"),
        (limit, f"limit: {limit:,}"),
    ):
        right.axhline(states, color="#0072B2", linewidth=1, linestyle="-.")
        right.annotate(
            words, (12.4, states), (0, 3), textcoords="offset points", fontsize=8, color="#0072B2", ha="right"
        )
    open_axes(right, yscale="log", ylim=(1, 1e9), xlim=(0.7, 12.5), xlabel="latents N", ylabel="joint states $K^N$")
