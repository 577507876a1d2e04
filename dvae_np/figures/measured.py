"""Plots of measured numbers: training curves, the practical rule, equal time, the first steps."""

from itertools import product, zip_longest

import numpy as np
from matplotlib.lines import Line2D

from dvae_np.estimators import TABLE
from dvae_np.figures.models import codes
from dvae_np.figures.style import STYLE, open_axes


def training_curves(figure, histories):
    """Discrete negative ELBO on the validation split against epochs.

    histories: {estimator: [history, ...]}, one for each seed: the median is drawn, the range shaded, of those still running.
    """
    axes = figure.subplots()
    validation = {name: _padded([history["validation"] for history in runs]) for name, runs in histories.items()}
    for name, curves in validation.items():  # (seeds, epochs)
        epochs = np.arange(1, curves.shape[1] + 1)
        axes.plot(epochs, np.nanmedian(curves, 0), label=name, **STYLE[name] | {"marker": ""}, linewidth=1.8)
        if len(curves) > 1:
            axes.fill_between(
                epochs, np.nanmin(curves, 0), np.nanmax(curves, 0), color=STYLE[name]["color"], alpha=0.15, linewidth=0
            )
    every = np.concatenate([curves.ravel() for curves in validation.values()])
    low, high = np.nanmin(every), np.nanquantile(every, 0.96)  # the first epochs fall from far above
    axes.set(xlabel="epoch", ylabel="negative ELBO, validation (nats)")
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) + 1e-3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _padded(curves):
    """Curves of several lengths as rows, nan where one has ended."""
    rows = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(rows, curves, strict=True):
        row[: len(curve)] = curve
    return rows


def overview(figure, histories, params, data):
    """Training curves beside what the codes of one trained model mean: the picture of the README."""
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    training_curves(left, histories)
    right.suptitle(
        "what each code of the exactly trained model means: share of images, most frequent digit", fontsize=9
    )
    codes(right, params, data, columns=5)


def sweep(figure, record):
    """Total error against evaluations of f: unbiased estimators fall as 1/sqrt(S), biased ones stop at their bias."""
    axes = figure.subplots()
    for name, points in record["curves"].items():
        errors = [(point["bias"] ** 2 + point["variance"]) ** 0.5 for point in points]
        axes.plot(
            [point["evaluations"] for point in points], errors, **STYLE[name], markersize=4, linewidth=1.2, label=name
        )
    axes.set(
        xscale="log", yscale="log", xlabel="evaluations of f for each example", ylabel="error of the gradient, relative"
    )
    axes.set_ylim(0.01, 30)  # below it, estimators that draw without replacement have drawn all states
    axes.minorticks_off()
    ticks = (2, 4, 8, 16, 32, 64)
    axes.set_xticks(ticks, map(str, ticks))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=7, frameon=False)


def practical_rule(figure, record):
    """Milliseconds to a given relative error against the number of joint states; where a line ends, bias ends it."""
    words = {"independent": "independent latents", "chain": "chains"}
    words = {family: words[family] for family in words if any(model["family"] == family for model in record["models"])}
    panels = figure.subplots(len(words), len(record["errors"]), sharey=True, squeeze=False)
    for (row, family), (column, error) in product(enumerate(words), enumerate(record["errors"])):
        axes, models = panels[row, column], [model for model in record["models"] if model["family"] == family]
        states = [model["states"] for model in models]
        axes.plot(states, [model["exact"] for model in models], **STYLE["exact"], linewidth=2, label="exact")
        for name in models[0]:
            if name not in TABLE or name == "exact" or TABLE[name].owns_kl:
                continue  # VIMCO's is the gradient of another objective
            cost = [model[name]["costs"][str(error)]["milliseconds"] for model in models]
            cost = [np.nan if value is None else value for value in cost]
            if not np.isnan(cost).all():
                axes.plot(states, cost, **STYLE[name], markersize=4, linewidth=1.2, label=name)
        if family == "chain":
            rows = [model for model in record["models"] if model["family"] == "rows"]
            axes.plot([model["states"] for model in rows], [model["exact"] for model in rows], color="black", marker="D",
                      linestyle="dotted", markersize=4, label="exact, by dynamic programming")  # fmt: skip
        open_axes(
            axes, xscale="log", yscale="log", xlabel="joint states K^N", title=f"{words[family]}, error {error:g}"
        )
    for axes in panels[:, 0]:
        axes.set_ylabel(f"ms for the gradient of {record['batch']} digits")
    handles = {label: handle for axes in panels.flat
               for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}  # fmt: skip
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=6, fontsize=7, frameon=False)


def equal_time_size(findings):
    """The inches of that picture."""
    rows, across = _grid(len(findings))
    return max(6.5, 3.25 * across), 2.7 * rows


def _grid(panels):
    """(rows, panels a row): at most four, and rows as even as can be."""
    rows = -(-panels // 4)
    return rows, -(-panels // rows)


def equal_time(figure, findings):
    """A panel for each model, a line for each estimator: from -log p(x), open, to the negative ELBO, filled; medians and
    ranges over the seeds. Its length is how far q is from the true posterior."""
    panels = figure.subplots(*_grid(len(findings)), squeeze=False)
    for axes, (size, found) in zip_longest(panels.flat, findings.items(), fillvalue=("", [])):
        if not found:
            axes.set_axis_off()
            continue
        for place, each in enumerate(found):
            style = {name: STYLE[each.estimator][name] for name in ("color", "marker")}
            ends = [np.median(values) for values in (each.negative_evidence, each.negative_elbo)]
            axes.plot(ends, [place, place], color=style["color"], linewidth=1)
            for values, filled in ((each.negative_evidence, False), (each.negative_elbo, True)):
                axes.plot([min(values), max(values)], [place, place], color=style["color"], linewidth=5, alpha=0.3)
                axes.plot(np.median(values), place, **style, markersize=6, fillstyle="full" if filled else "none")
        every = np.concatenate([each.negative_elbo for each in found])
        low = min(min(each.negative_evidence) for each in found)
        far = np.quantile(every, 0.8) + (np.quantile(every, 0.8) - low)  # a line that leaves the panel goes on
        axes.set_xlim(low - 0.06 * (min(every.max(), far) - low), min(every.max(), far) + 0.06 * (far - low))
        axes.set_yticks(range(len(found)), [each.estimator for each in found], fontsize=7)
        axes.invert_yaxis()
        open_axes(axes, title=size, xlabel="nats, test")
    kinds = [Line2D([], [], color="black", marker="o", linestyle="", fillstyle=fill) for fill in ("none", "full")]
    figure.legend(kinds, ["-log p(x)", "negative ELBO"], loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def first_models(figure, record, names=None):
    """The model of lesson 00, trained by each of these estimators (all of the record): exact test losses, median and range."""
    axes = figure.subplots()
    for name in names or record["estimators"]:
        curves = np.array(record["estimators"][name]["test"])
        style = STYLE.get(name, {"color": "0.5", "linestyle": ":"}) | {"marker": ""}
        axes.plot(record["steps"], np.median(curves, 0), **style, linewidth=1.8, label=name)
        axes.fill_between(record["steps"], curves.min(0), curves.max(0), color=style["color"], alpha=0.15, linewidth=0)
    open_axes(axes, xlabel="step", ylabel="test loss (nats)", ylim=(18, 30))
    axes.legend(frameon=False, fontsize=8, ncols=2)


def first_steps(figure, record):
    """In the first steps, entropy of q above and information below: a column an estimator, dashes a start, a line a seed."""
    styles = {
        "as published": ("#D55E00", "-"),
        "larger rows": ("#0072B2", (0, (1, 1))),
        "mean image": ("#009E73", (0, (6, 2))),
    }
    estimators = list(dict.fromkeys(run["estimator"] for run in record["runs"]))
    panels = figure.subplots(2, len(estimators), sharex=True, sharey="row")
    for run in record["runs"]:
        for axes, what in zip(panels[:, estimators.index(run["estimator"])], ("entropy", "information"), strict=True):
            if run["start"] in styles:
                steps = record["every"] * np.arange(len(run[what]))
                label = run["start"] if run["seed"] == record["runs"][0]["seed"] else None
                colour, dashes = styles[run["start"]]
                axes.plot(steps, run[what], color=colour, linestyle=dashes, linewidth=1.3, label=label)
    for axes in panels.flat:
        axes.set_xlabel("step")
        axes.spines[["top", "right"]].set_visible(False)
    for column, estimator in enumerate(estimators):
        panels[0, column].set_title(estimator, fontsize=9)
    panels[0, 0].set_ylabel("entropy of q (nats)")
    panels[1, 0].set_ylabel("information about x (nats)")
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False
    )


def nats_behind(figure, panels):
    """Which estimator when: how many nats each is behind the best of its model, a panel for each yardstick; dark is far behind,
    by the square root: half a nat on small images can be seen beside ten on larger ones.

    panels: {yardstick in words: {model in words: {estimator: (nats, does another beat it?)}}}; bold: no other does.
    """
    found = [model for models in panels.values() for model in models.values()]
    estimators = [name for name in TABLE if any(name in model for model in found)]
    for axes, (words, models) in zip(figure.subplots(len(panels), 1, sharex=True), panels.items(), strict=True):
        nats = np.array([[model.get(name, (np.nan,))[0] for model in models.values()] for name in estimators])
        axes.imshow(nats**0.5, cmap="Blues", vmin=0, vmax=10**0.5, aspect="auto")
        for row, column in np.argwhere(~np.isnan(nats)):
            beaten = list(models.values())[column][estimators[row]][1]
            colour, weight = "white" if nats[row, column] > 3.5 else "black", None if beaten else "bold"
            axes.text(column, row, f"{nats[row, column]:.2f}", ha="center", va="center", fontsize=7.5, color=colour,
                      fontweight=weight)  # fmt: skip
        axes.set_xticks(range(len(models)), models, fontsize=7.5)
        axes.set_yticks(range(len(estimators)), estimators, fontsize=8)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title(words, fontsize=10)
