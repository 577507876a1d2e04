"""Figures: every one can be drawn from what is kept, the same bytes each time, in one visual language."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from dvae_np import cli, figures
from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE
from dvae_np.experiments.gallery import gallery
from dvae_np.figures.style import FAMILIES, MARKERS, STYLE

ROOT = Path(__file__).resolve().parents[1]
FIGURES, README = ROOT / "figures", (ROOT / "README.md").read_text()


def test_every_estimator_has_a_style_of_its_own():
    """Colour by family, and within one different markers: two lines differ even in grey."""
    assert set(STYLE) == set(TABLE)
    marks = [(style["color"], style["marker"]) for style in STYLE.values()]
    assert len(set(marks)) == len(marks) and all(len(names) <= len(MARKERS) for names in FAMILIES.values())
    greys = sorted(np.dot(to_rgb(color), (0.299, 0.587, 0.114)) for color in FAMILIES)
    assert min(np.diff(greys)) > 0.01


@pytest.mark.parametrize("name", figures.LESSONS)
def test_a_lessons_figure_is_labelled_and_drawn_the_same_each_time(name, tmp_path):
    size, draw = figures.lesson_figure(name)
    paths = [figures.save(tmp_path / str(i) / name, size, draw) for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes() and paths[0].stat().st_size < 120_000
    figure = Figure(figsize=size)
    draw(figure)
    for axes in figure.axes:
        if axes.axison and axes.has_data() and not axes.images:
            assert axes.get_xlabel(), f"{name}: an x axis without a label"
    assert draw.__doc__


@pytest.mark.notebooks
def test_all_figures_are_written_and_are_those_that_are_shown(tmp_path):
    """The command writes exactly the pictures that the folder holds; the README shows only such."""
    assert cli.main(["figures", "--out", str(tmp_path), "--records", str(FIGURES / "data")]) == 0
    written, kept = ({path.name for path in folder.glob("*.png")} for folder in (tmp_path, FIGURES))
    assert written == kept
    shown = set(re.findall(r"!\[.*?\]\(figures/(.*?)\)", README))
    assert shown <= written


def test_records_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "compare.json").write_text("{")
    with pytest.raises(InputError, match=r"records: .*compare\.json cannot be read"):
        gallery(tmp_path, tmp_path)
    assert cli.main(["figures", "--out", str(tmp_path), "--records", str(tmp_path / "none")]) == 2


def test_records_name_their_command():
    for path in (FIGURES / "data").glob("*.json"):
        assert json.loads(path.read_text())["command"].startswith(("python -m dvae_np ", "python tests/")), path.name
