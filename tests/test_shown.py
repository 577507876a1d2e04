"""What a notebook shows: sources folded and no wider than a page, words wrapped, pictures with words, each shown once."""

import sys

import matplotlib
import pytest

import dvae_np
import dvae_np.lesson
from dvae_np import shown

matplotlib.use("agg")


@pytest.fixture
def displayed(monkeypatch):
    """What IPython would have displayed."""
    found = []
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


def test_a_source_is_folded_and_monospaced_and_no_wider_than_a_page(displayed):
    dvae_np.lesson.show(dvae_np.vimco, dvae_np.softplus)
    dvae_np.lesson.show(dvae_np.softplus, folded=False)
    for found in displayed:
        text = found.data
        assert "monospace" in text.splitlines()[0] and "```python\n# dvae_np/" in text
        assert max(map(len, text.split("```")[1].splitlines())) <= shown.PAGE
    assert (
        "<details" in displayed[0].data
        and "<code>vimco</code>" in displayed[0].data
        and "def vimco(" in displayed[0].data
    )
    assert "<details" not in displayed[2].data and "def softplus(" in displayed[2].data


@pytest.mark.parametrize(
    "line", ["", "x = 1", "    " + "value = function(first, second) + " * 6, "# " + "word " * 50, "x" * 200]
)
def test_a_long_line_is_broken_at_spaces_and_nothing_is_lost(line):
    pieces = shown.wrapped(line).splitlines()
    assert all(len(piece) <= shown.PAGE or " " not in piece.strip() for piece in pieces)
    assert "".join(piece.strip(" #") for piece in pieces).replace(" ", "") == line.strip("# ").replace(" ", "")
    indents = [len(piece) - len(piece.lstrip()) for piece in pieces]
    assert indents == sorted(indents) and (not line.startswith("#") or all(piece.startswith("#") for piece in pieces))


def test_words_are_wrapped_and_a_table_is_markdown(displayed, capsys):
    shown.say("one\n" + "word " * 40)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "one" and max(map(len, lines)) <= shown.PAGE and " ".join(lines[1:]).split() == ["word"] * 40
    shown.table("| a |\n| --- |\n| 1 |")
    assert displayed[0].data.startswith("| a |")


def test_a_picture_has_words_and_is_shown_once(displayed):
    import matplotlib.pyplot as plt

    canvas, _ = plt.subplots()
    shown.picture(canvas, "An empty pair of axes, nothing more.")
    assert displayed[0].alt == "An empty pair of axes, nothing more." and displayed[0].data.startswith(b"\x89PNG")
    assert canvas.number not in plt.get_fignums()  # or the notebook would show it again
    shown.figure("elbo.png")
    assert "Reconstruction and KL" in displayed[1].alt
    shown.figure(lambda figure, text: figure.text(0, 0, text), "a", alt="The letter a.")
    assert displayed[2].alt == "The letter a." and "matplotlib.pyplot" in sys.modules
