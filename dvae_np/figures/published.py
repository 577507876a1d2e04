"""Published toys: exact variances and biases of every estimator against the log-odds, each curve with its name."""

import textwrap
from itertools import zip_longest

import numpy as np

from dvae_np.estimators import TABLE
from dvae_np.figures.estimators_map import labelled
from dvae_np.figures.style import STYLE, open_axes

EQUAL = 1e-6  # how far, relative, two curves may be from one another that are drawn as one
NOTHING = 1e-12  # of the largest variance: zero
COLUMNS, WIDTH, HEIGHT = 2, 11.5, 3.8  # panels side by side; inches of all, and of one


def toy_size(record, toy):
    """Inches of a toy's figure."""
    return WIDTH, HEIGHT * -(-len(_panels(record["toys"][toy])) // COLUMNS)


def toy_variances(figure, record, toy):
    """For each case of the toy, the variances of unbiased and of biased estimators; then all biases.

    Estimators whose curves are equal share one and its names.
    """
    panels = _panels(record["toys"][toy])
    grid = figure.subplots(-(-len(panels) // COLUMNS), COLUMNS, squeeze=False).ravel()
    for axes, (title, curves) in zip_longest(grid, panels.items(), fillvalue=("", {})):
        if curves:
            _curves(axes, record["at"], curves, title)
        else:
            axes.set_axis_off()


def _panels(cases):
    """{title: {name: what is drawn of it}}."""
    wanted = [(case, *each) for case in cases for each in (("variance", True), ("variance", False))]
    wanted += [(case, "bias", False) for case in cases]
    found = {}
    for case, what, unbiased in wanted:
        curves = {name: np.array(row[what]) for name, row in cases[case]["rows"].items()
                  if TABLE[name.split(",")[0]].unbiased == unbiased}  # fmt: skip
        if curves:
            found[f"{what} of the {'unbiased' if unbiased else 'biased'}, {case}"] = curves
    return found


def _curves(axes, odds, rows, title):
    largest = max(curve.max() for curve in rows.values())
    nothing = [name for name, curve in rows.items() if curve.max() < NOTHING * largest]
    shared = {}  # the first of equal curves: the names of all
    for name in rows:
        same = next((each for each in shared if np.allclose(rows[each], rows[name], EQUAL, NOTHING * largest)), name)
        if name not in nothing:
            shared.setdefault(same, []).append(name)
    across, ends = [], []
    for name in shared:
        style, best = STYLE[name.split(",")[0]], "," in name
        curve = np.where(rows[name] > NOTHING * largest, rows[name], np.nan)
        marks = {"marker": "", "linewidth": 2.4} if best else {"linewidth": 1, "markersize": 4, "markevery": 2}
        axes.plot(odds, curve, **style | marks)
        last = np.flatnonzero(~np.isnan(curve))[-1]
        across.append(odds[last])
        ends.append(curve[last])
    zero = "\n".join(textwrap.wrap("0 everywhere: " + "; ".join(nothing), 58)) if nothing else ""
    open_axes(axes, yscale="log", xlabel="log-odds of category 1", xticks=range(-4, 5, 2))
    axes.set_title(title + "\n" + zero, fontsize=8)
    labelled(axes, across, ends, list(shared), ["; ".join(names) for names in shared.values()])
