"""One visual language: each estimator has the same colour, marker and dashes wherever it appears.

Colours are Okabe and Ito's, which colour-blind readers tell apart; estimators of one family share a colour, and have
markers and dashes of their own, which print in grey keeps.
"""

from matplotlib.figure import Figure

from dvae_np.files import written

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
    with written(path) as file:
        figure.savefig(file, dpi=110, metadata={"Software": None})
    return path


def open_axes(axes, **settings):
    """Axes without a top and a right side, with these settings."""
    axes.set(**settings)
    axes.spines[["top", "right"]].set_visible(False)
    return axes
