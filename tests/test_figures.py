"""Figures: every one can be drawn from what is kept, the same bytes each time, in one visual language."""

import json
import re
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from dvae_np import cli, figures, records
from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE
from dvae_np.experiments import gallery
from dvae_np.experiments.page_costs import on_gpu
from dvae_np.figures import lesson_11
from dvae_np.figures.style import MARKERS, STYLE

ROOT = Path(__file__).resolve().parents[1]
FIGURES, README = ROOT / "figures", (ROOT / "README.md").read_text()


def test_every_estimator_has_a_style_of_its_own():
    """Colour by family; marker and what is filled of it differ for any two: two lines differ even in grey."""
    assert set(STYLE) == set(TABLE)
    marks = [(style["fillstyle"], style["marker"]) for style in STYLE.values()]
    families = Counter(row.family for row in TABLE.values())
    assert len(set(marks)) == len(marks) and max(families.values()) <= len(MARKERS)
    assert len({(style["color"], style["fillstyle"]) for style in STYLE.values()}) == len(families)
    greys = sorted(np.dot(to_rgb(family.colour), (0.299, 0.587, 0.114)) for family in families)
    assert min(np.diff(greys)) > 0.01


def faults(figure):
    """Words of the figure that are cut off, too small, on one another, or struck through by a line of their axes."""
    FigureCanvasAgg(figure).draw()
    of_axis = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)
               for text in axis.findobj(Text) if text is not axis.label or not axes.axison}  # fmt: skip
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and text not in of_axis]
    boxes = {text: Text.get_window_extent(text, figure.canvas.get_renderer()).padded(-1) for text in texts}
    for text, box in boxes.items():
        if min(box.extents) < 0 or box.x1 > figure.bbox.width or box.y1 > figure.bbox.height:
            yield f"{text.get_text()!r} is cut off"
        if text.get_fontsize() < 6.5:
            yield f"{text.get_text()!r} is too small"
        for line in text.axes.lines if text.axes else ():
            if line.get_path().transformed(line.get_transform()).intersects_bbox(box, filled=False):
                yield f"{text.get_text()!r} is struck through by {line.get_label()!r}"
    for (one, box), (other, beside) in combinations(boxes.items(), 2):
        if box.overlaps(beside):
            yield f"{one.get_text()!r} and {other.get_text()!r} overlap"


@pytest.fixture(scope="module")
def drawings():
    """Every figure of the command `figures`."""
    return gallery.drawings()


@pytest.mark.parametrize(
    "name", [name for name in gallery.WRITTEN if name.endswith(".png") and name not in figures.LESSONS]
)
def test_no_word_of_a_measured_figure_is_unreadable(name, drawings):
    size, draw, *contents = drawings[name]
    figure = Figure(figsize=size, layout="constrained")
    draw(figure, *contents)
    assert not list(faults(figure))


@pytest.fixture
def briefly(monkeypatch):
    """RELAX learns for 100 of its 600 steps: the same curves with fewer points; the whole is drawn with the notebooks."""
    monkeypatch.setattr(lesson_11, "STEPS", 100)
    lesson_11.measured.cache_clear()
    yield
    lesson_11.measured.cache_clear()


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("name", figures.LESSONS)
def test_a_lessons_figure_is_labelled_and_drawn_the_same_each_time(name, tmp_path):
    size, draw = figures.lesson_figure(name)
    drawn = []
    keeping = lambda figure: (drawn.append(figure), draw(figure))
    paths = [figures.save(tmp_path / str(i) / name, size, keeping) for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes() and paths[0].stat().st_size < 120_000
    for axes in drawn[0].axes:
        if axes.axison and axes.has_data() and not axes.images:
            assert axes.get_xlabel(), f"{name}: an x axis without a label"
    assert draw.__doc__ and not list(faults(drawn[0]))


@pytest.mark.notebooks
def test_all_figures_are_written_and_are_those_that_are_shown(tmp_path):
    """The command writes exactly the pictures that the folder holds; the README shows only such."""
    assert cli.main(["figures", "--out", str(tmp_path)]) == 0
    written, kept = ({path.name for path in folder.glob("*.png")} for folder in (tmp_path, FIGURES))
    assert written | set(gallery.PAGES) == kept | set(gallery.PAGES) == set(gallery.WRITTEN)
    shown = set(re.findall(r"!\[.*?\]\(figures/(.*?)\)", README))
    assert shown <= written


def test_records_that_cannot_be_read_are_refused(tmp_path, monkeypatch, capsys):
    """Each of them, whatever is wrong with it; nothing is drawn."""
    with pytest.raises(InputError, match=r"record: expected the name of a \.json file in .*, got 'nothing'"):
        records.read("nothing")
    kept = records.FOLDER
    for name in (
        "compare.json",
        "rule.json",
        "tour.json",
        "bench.json",
        "completion-digits.npz",
        "completion-mnist.npz",
    ):
        for number, content in enumerate((None, b"", b"{", b"[]", b"\xff\xfe", b"PK\x03\x04")):
            spoiled = tmp_path / f"{name}{number}"
            shutil.copytree(kept, spoiled, ignore=shutil.ignore_patterns("__pycache__"))
            (spoiled / name).unlink() if content is None else (spoiled / name).write_bytes(content)
            monkeypatch.setattr(records, "FOLDER", spoiled)
            with pytest.raises(InputError, match=re.escape(name.split(".")[0])):
                gallery.drawings()
    assert cli.main(["figures", "--out", str(tmp_path / "out")]) == 2
    assert "completion-mnist" in capsys.readouterr().err


def test_records_name_their_command():
    paths = list(records.FOLDER.glob("*.json"))
    assert len(paths) > 30
    for path in paths:
        assert records.read(path.stem)["command"].startswith(("python -m dvae_np ", "python tests/")), path.name


@pytest.mark.parametrize("name", gallery.PAGES)
def test_a_page_of_measured_numbers_is_what_the_command_writes(name):
    text = gallery.PAGES[name]()
    assert (FIGURES / name).read_text(encoding="utf-8") == text  # to mend: python -m dvae_np figures --out figures
    assert "nan" not in text


def test_another_page_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "README.md").write_text("# My own")
    assert cli.main(["figures", "--out", str(tmp_path)]) == 2
    assert "README.md" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_every_picture_is_shown_with_words_for_those_who_do_not_see_it():
    """On a page, but for those of the lessons."""
    shown = "".join(text() for text in gallery.PAGES.values())
    shown = {name: words for words, name in re.findall(r"!\[(.*?)\]\((.*?)\)", shown)}
    assert {path.name for path in FIGURES.glob("*.png")} - set(figures.LESSONS) <= set(shown)
    assert all((FIGURES / name).exists() and len(words) > 15 for name, words in shown.items())


def test_numbers_of_a_gpu_are_shown_once_there_are_any(tmp_path, monkeypatch):
    assert "Nothing has been timed" in on_gpu()
    record = records.read("bench")
    for case in record["cases"]:
        case["contestants"]["dvae_np, GPU"] = case["contestants"]["dvae_np"]
    (tmp_path / "gpu.json").write_text(
        json.dumps(record | {"command": "python tests/gpu.py", "card": "", "driver": "", "tests": ""})
    )
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    assert "Nothing" not in on_gpu() and "| dvae_np, GPU / |" in on_gpu().replace("JAX / | ", "")
