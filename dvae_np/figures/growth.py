"""What the bench measured: milliseconds and memory as K, N, S and B grow."""

from dvae_np.figures.style import open_axes

CONTESTANTS = {
    "dvae_np": {"color": "black", "marker": "o", "linestyle": "-"},
    "bare products": {"color": "#0072B2", "marker": "s", "linestyle": "--"},
    "PyTorch": {"color": "#D55E00", "marker": "^", "linestyle": ":"},
    "NumPy, every pair": {"color": "#E69F00", "marker": "v", "linestyle": ":"},
    "JAX": {"color": "#009E73", "marker": "D", "linestyle": "-."},
    "Pyro": {"color": "#CC79A7", "marker": "P", "linestyle": (0, (3, 1, 1, 1))},
}
WORDS = {
    "K": "categories K, one latent",
    "N": "latents N of 8 categories",
    "B": "examples B, K = 512",
    "S": "samples S (leave-one-out step)",
}


def cost_growth(figure, record):
    """Above milliseconds, below peak memory; each column one axis of growth, with others' times where they were measured."""
    axes = figure.subplots(2, 4, sharex="col", sharey="row", squeeze=False)
    for column, (axis, line) in enumerate(record["growth"].items()):
        above, below = axes[:, column]
        sizes = [point["size"] for point in line]
        for name in ("dvae_np", "bare products"):
            above.plot(
                sizes, [point["contestants"][name]["ms"][1] for point in line], **CONTESTANTS[name], markersize=4
            )
        below.plot(
            sizes,
            [point["contestants"]["dvae_np"]["peak_mb"] for point in line],
            **CONTESTANTS["dvae_np"],
            markersize=4,
        )
        for name, points in peers(record, axis).items():
            above.plot(
                *zip(*((size, own["ms"][1]) for size, own in points), strict=True), **CONTESTANTS[name], markersize=4
            )
            told = [(size, own["peak_mb"]) for size, own in points if (own["peak_mb"] or 0) >= 1]
            below.plot(*zip(*told, strict=True), **CONTESTANTS[name], markersize=4)
        scale = {} if axis == "N" else {"xscale": "log"}
        open_axes(above, yscale="log", **scale)
        open_axes(below, yscale="log", xlabel=WORDS[axis], **scale)
        for pane in (above, below):
            pane.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=7, rotation=45 if axis == "K" else 0)
            pane.minorticks_off()
    axes[0, 0].set_ylabel("milliseconds")
    axes[1, 0].set_ylabel("peak memory (MB)")
    shown = {name for axis in record["growth"] for name in peers(record, axis)} | {"dvae_np", "bare products"}
    handles = [axes[0, 0].plot([], [], **style, label=name)[0] for name, style in CONTESTANTS.items() if name in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=8)


def peers(record, axis):
    """{name: [(size, facts), ...]} of other contestants along K and N, from the sections that have those sizes."""
    found = {}
    for line in record["cases"]:
        if (axis, line["section"]) == ("K", "exact"):
            size = int(line["label"].split("=")[1].replace(",", ""))
        elif (axis, line["section"]) == ("N", "joint") and " of 8:" in line["label"]:
            size = int(line["label"].split()[0])
        else:
            continue
        for name, own in line["contestants"].items():
            if name in CONTESTANTS and name not in ("dvae_np", "bare products"):
                found.setdefault(name, []).append((size, own))
    return found
