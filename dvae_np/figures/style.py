"""One visual language: each estimator has the same colour, marker and dashes wherever it appears.

Estimators of one family share its colour (`dvae_np.estimators.row`) and what is filled of their markers, and have markers
and dashes of their own: so print in grey tells all of them apart.
"""

from matplotlib.figure import Figure

from dvae_np.estimators import TABLE
from dvae_np.files import written

FILLED = "full", "none", "left", "bottom", "right", "top"  # by family
MARKERS, DASHES = "osD^vPX*<>", ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)))


def _styles():
    members, styles = {}, {}
    for name, row in TABLE.items():
        i = members[row.family] = members.get(row.family, -1) + 1  # its number in its family
        family = list(members).index(row.family)
        styles[name] = {
            "color": row.family.colour,
            "marker": MARKERS[i],
            "fillstyle": FILLED[family],
            "markerfacecoloralt": "white",
            "linestyle": DASHES[(family + i) % len(DASHES)],
        }
    return styles


STYLE = _styles()


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
