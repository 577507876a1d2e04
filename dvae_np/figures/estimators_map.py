"""Where the estimators stand: variance of the unbiased ones against time, of the others against bias; each with its name."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes

LEAST = 1e-4  # what a deviation of zero is drawn at
GAP = 0.042  # between two labels, as a share of the axes' height


def comparison(figure, record):
    """Unbiased estimators: standard deviation against milliseconds. Biased ones: standard deviation against bias.

    Both are relative to the exact gradient, which costs what the thin line says.
    """
    lines = [line for line in record["lines"] if line["estimator"] != "exact"]
    exact = next(line for line in record["lines"] if line["estimator"] == "exact")
    panels = figure.subplots(1, 2, width_ratios=(1.25, 1), sharey=True)
    for axes, unbiased in zip(panels, (True, False), strict=True):
        own = [line for line in lines if TABLE[line["estimator"]].unbiased == unbiased]
        across = [line["milliseconds" if unbiased else "bias"] for line in own]
        up = [max(line["variance"] ** 0.5, LEAST) for line in own]
        for line, x, y in zip(own, across, up, strict=True):
            axes.plot(x, y, **STYLE[line["estimator"]] | {"linestyle": ""}, markersize=6)
        open_axes(
            axes, xscale="log" if unbiased else "linear", yscale="log", title="unbiased" if unbiased else "biased"
        )
        if unbiased:  # "exact" too is to be seen; few ticks have room for their numbers
            axes.set_xlim(0.7 * min([exact["milliseconds"], *across]), 1.4 * max([exact["milliseconds"], *across]))
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_xlim(0, 1.05 * max(across, default=1))
        axes.set_xlabel("milliseconds for the gradient of 100 digits" if unbiased else "bias, relative")
        labelled(axes, across, up, [line["estimator"] for line in own])
    panels[0].set_ylabel("standard deviation, relative")
    panels[0].axvline(exact["milliseconds"], color="black", linewidth=0.8)
    panels[0].annotate("exact: no error", (exact["milliseconds"], 0.06), (3, 0), textcoords="offset points", fontsize=7)
    families = dict.fromkeys(TABLE[line["estimator"]].family for line in lines)
    styles = {family: next(STYLE[row.name] for row in TABLE.values() if row.family == family) for family in families}
    handles = [Line2D([], [], **style | {"linestyle": "", "label": family.name}) for family, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)


def labelled(axes, across, up, names, words=None):
    """Words, or the estimators' names themselves, in a column at the right, in the order of the points' heights, each with a
    thin line to its point. A name may go on after a comma, which is no part of the estimator's."""
    if not names:
        return
    bounds = np.log(axes.get_ylim())
    share = (np.log(up) - bounds[0]) / (bounds[1] - bounds[0])
    for i, height in zip(np.argsort(share), spread(np.sort(share), GAP), strict=True):
        colour = STYLE[names[i].split(",")[0]]["color"]
        axes.annotate((words or names)[i], (across[i], up[i]), (1.02, height), textcoords="axes fraction", fontsize=7,
                      va="center", color=colour, annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6,
                                  "relpos": (0, 0.5)})  # fmt: skip


def spread(heights, gap):
    """Heights in rising order moved as little as needed to be `gap` apart, and within 0 and 1 where there is room."""
    moved = np.array(heights, float)
    for _ in range(200):
        close = np.diff(moved) < gap - 1e-9
        if not close.any():
            break
        for i in np.flatnonzero(close):
            middle = (moved[i] + moved[i + 1]) / 2
            moved[i], moved[i + 1] = middle - gap / 2, middle + gap / 2
    return moved + max(0, -moved[0]) - max(0, moved[-1] - 1)
