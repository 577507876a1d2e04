"""The slides: short, with what the lesson derives, draws and prints. Their size is measured by `tests/measure_slides.py`."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import slides
from test_notebooks import CELLS, INSTRUCTORS, NOTEBOOKS

WITH_SLIDES = [stem for stem, cells in CELLS.items() if any(cell.kind == "slide" for cell in cells)]


def test_every_lesson_of_three_hours_has_slides():
    hours = re.search(r"\*\*Three hours\*\*.*?\n\n", INSTRUCTORS, re.S)[0]
    assert {stem[:2] for stem in WITH_SLIDES} >= set(re.findall(r"\b(\d\d)\b (?:with [^(]*)?\(", hours))


@pytest.mark.parametrize("stem", WITH_SLIDES)
def test_a_slide_is_short_and_asks_for_what_the_lesson_has(stem):
    cells = [cell for cell in CELLS[stem] if cell.kind in ("lesson", "setup", "slide")]
    known = slides.equations(cells)
    assert 6 <= sum(cell.kind == "slide" for cell in cells) <= 16
    for i, cell in enumerate(cells):
        if cell.kind == "slide":
            assert cell.text.startswith("## ") and cell.text.count("## ") == 1
            words = re.sub(r"\$\$.*?\$\$|```.*?```|\[[^]]*\]", " ", cell.text, flags=re.S).split()
            assert len(words) <= 70, f"{words[1:6]}: {len(words)} words"
            assert set(re.findall(r"(?m)^\[Eq\. ([\d.]+)\]$", cell.text)) <= set(known)
            if re.search(r"(?m)^\[(picture|output|code)\]$", cell.text):
                assert any(not later.markdown for later in cells[i:]), "no code cell after it"


def outputs():
    from nbformat.v4 import new_output

    png = {"image/png": "iVBO\n"}
    shown = new_output("display_data", png, metadata={"image/png": {"alt": 'a "cloud"'}})
    return [new_output("stream", text="3 nats\n"), shown]


def code(outputs):
    return SimpleNamespace(source="x = 1", outputs=outputs)


def test_lines_in_brackets_become_what_they_name():
    text = "## t\n\n[Eq. 6.3]\n\nsee [Eq. 6.3]\n\n[code]\n[output]\n[picture]"
    made = slides.put_together(text, "06", {"6.3": "$$b$$"}, code(outputs()))
    assert made == ("## t\n\n$$b$$\n\nsee [Eq. 6.3]\n\n```python\nx = 1\n```\n```text\n3 nats\n```\n"
                    '<img alt="a &quot;cloud&quot;" src="data:image/png;base64,iVBO">')  # fmt: skip


def test_what_is_not_there_is_refused():
    picture_alone = code(outputs()[1:])
    for asked, after in (
        ("Eq. 9.9", code(outputs())),
        ("picture", None),
        ("picture", code([])),
        ("output", picture_alone),
    ):
        with pytest.raises(SystemExit, match=rf"asks for \[{asked}\], which is not there"):
            slides.put_together(f"## t\n\n[{asked}]", "06", {"6.3": "$$b$$"}, after)


@pytest.mark.notebooks
def test_the_command(tmp_path):
    """Lesson 06: every slide is in the page, with its numbers filled in and its pictures."""
    command = [sys.executable, str(NOTEBOOKS / "build.py"), "--slides", str(tmp_path), "06"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    html = (tmp_path / "06_baselines.slides.html").read_text(encoding="utf-8")
    count = sum(cell.kind == "slide" for cell in CELLS["06_baselines"]) + 2
    assert f"{count} slides" in said and html.count('data-mime-type="text/markdown"') == count
    assert "{{" not in re.sub(r"<(script|style).*?</\1>", "", html, flags=re.S)
    assert len(re.findall(r"<img [^>]*data:image/png", html)) == 3 and "06.W" in html
