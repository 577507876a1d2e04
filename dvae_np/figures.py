"""Figures, in one visual language: each estimator has the same colour and line wherever it appears.

A function draws one thing into a Matplotlib figure, or into a part of one; `save` makes the figure, has it drawn and
writes the file. Colours are Okabe and Ito's, which colour-blind readers tell apart; estimators of one family share
a colour, and have markers and dashes of their own, which print in grey keeps.
"""

import numpy as np
from matplotlib.figure import Figure

from dvae_np.pictures import codes

FAMILIES = {  # colour, and the members, each with its own marker and dashes
    "#000000": ("exact",),
    "#D55E00": ("reinforce_loo", "reinforce", "reinforce_ema", "reinforce_optimal", "nvil", "vimco"),
    "#0072B2": ("gumbel_softmax", "muprop", "rebar", "relax"),
    "#009E73": ("straight_through_gumbel", "straight_through", "decoupled_straight_through", "gumbel_rao",
                "gapped_straight_through", "reinmax"),
    "#CC79A7": ("local_expectation", "top_k", "sum_and_sample", "unordered_set"),
    "#E69F00": ("carms", "arm", "disarm", "double_cv"),
}  # fmt: skip
MARKERS, DASHES = "osD^vP", ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))
STYLE = {
    name: {"color": color, "marker": MARKERS[i], "linestyle": DASHES[(family + i) % len(DASHES)]}
    for family, (color, names) in enumerate(FAMILIES.items())
    for i, name in enumerate(names)
}


def save(path, size, draw, *contents):
    """Write ``draw(figure, *contents)`` as a PNG of `size` inches, without the version that would change its bytes."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure, *contents)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def training_curves(figure, histories):
    """Discrete negative ELBO on the validation split against epochs.

    histories: {estimator: [history, ...]}, one history for each seed: the median is drawn, the range is shaded.
    """
    axes = figure.subplots()
    validation = {name: np.array([history["validation"] for history in runs]) for name, runs in histories.items()}
    for name, curves in validation.items():  # (seeds, epochs)
        epochs = np.arange(1, curves.shape[1] + 1)
        axes.plot(epochs, np.median(curves, 0), label=name, **STYLE[name] | {"marker": ""}, linewidth=1.8)
        if len(curves) > 1:
            axes.fill_between(epochs, curves.min(0), curves.max(0), color=STYLE[name]["color"], alpha=0.15, linewidth=0)
    every = np.concatenate([curves.ravel() for curves in validation.values()])
    low, high = every.min(), np.quantile(every, 0.96)  # the first epochs fall from far above
    axes.set(xlabel="epoch", ylabel="negative ELBO, validation (nats)")
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) + 1e-3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def overview(figure, histories, params, data):
    """Training curves beside what the codes of one trained model mean: the picture of the README."""
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.25))
    training_curves(left, histories)
    right.suptitle(
        "what each code of the exactly trained model means: share of images, most frequent digit", fontsize=9
    )
    codes(right, params, data, columns=5)


def comparison(figure, record):
    """Bias against standard deviation, and total error against milliseconds, one mark an estimator."""
    left, right = figure.subplots(1, 2)
    for line in record["lines"]:
        name, deviation = line["estimator"], line["variance"] ** 0.5
        if name == "exact":
            continue
        mark = {key: STYLE[name][key] for key in ("color", "marker")} | {"linestyle": "", "markersize": 6}
        half_width = line["variance_half_width"] / max(2 * deviation, 1e-9)
        left.errorbar(max(line["bias"], 0.01), deviation, half_width, **mark, label=name)
        right.plot(line["milliseconds"], (line["bias"] ** 2 + line["variance"]) ** 0.5, **mark)
    exact = next(line for line in record["lines"] if line["estimator"] == "exact")
    right.axvline(exact["milliseconds"], color="black", linewidth=1)
    right.annotate("exact:\nno error", (exact["milliseconds"], 0.03), (4, 0), textcoords="offset points", fontsize=8)
    left.set(xscale="log", yscale="log", xlabel="bias, relative (0.01: none)", ylabel="standard deviation, relative")
    right.set(
        xscale="log", yscale="log", xlabel="milliseconds for the gradient of 100 digits", ylabel="error, relative"
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=7, frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)


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
    panels = figure.subplots(1, len(record["errors"]), sharey=True)
    for axes, error in zip(panels, record["errors"], strict=True):
        states = [model["states"] for model in record["models"]]
        axes.plot(states, [model["exact"] for model in record["models"]], **STYLE["exact"], linewidth=2, label="exact")
        names = [name for name in record["models"][0] if isinstance(record["models"][0][name], dict)]
        for name in names:
            cost = [model[name]["milliseconds_to_error"][str(error)] for model in record["models"]]
            cost = [np.nan if value is None else value for value in cost]
            if not np.isnan(cost).all():
                axes.plot(states, cost, **STYLE[name], markersize=4, linewidth=1.2, label=name)
        axes.set(xscale="log", yscale="log", xlabel="joint states K^N", title=f"error {error:g}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ms for the gradient of 100 digits")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7, fontsize=7, frameon=False
    )
