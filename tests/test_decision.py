"""What is advised is level with the best: lesson 14's decision table, for every model that was trained, and the page's rows."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from dvae_np.estimators import TABLE
from dvae_np.experiments import page_answer, yardsticks

LESSON = Path(__file__).parents[1] / "notebooks" / "source" / "14_which_estimator_when.py"


class Model(NamedTuple):
    """One that was trained, and by which yardstick somebody will judge it."""

    data: str
    family: str
    N: int
    K: int
    yardstick: str

    def thousands(self):
        """Is it one latent of thousands of categories?"""
        return self.N == 1 and self.K > 1000


NOBODY = lambda model: False  # nothing that was trained asks for this
FITS = {  # how a row begins: whom does it fit?
    "you want to know": NOBODY,
    "up to some thousand codes": lambda model: (
        model.family == "independent" and model.K**model.N <= (64 if model.data == "mnist" else 10_000)
    ),
    "a chain whose latents emit parts": lambda model: model.family == "rows",
    "larger images": lambda model: model.data == "mnist" and (model.K**model.N > 1e6 or model.thousands()),
    r"$\log p(x)$ counts": lambda model: model.yardstick == "negative_evidence" and model.N > 1,
    "several latents of few categories": lambda model: (
        model.data == "digits" and model.family == "independent" and model.N > 1 and model.K**model.N < 1e5
    ),
    "one latent of thousands": NOBODY,  # our f is computed once for the whole batch
    "binary latents": NOBODY,
    "a smooth $f$": NOBODY,  # a bias is allowed
    "all others": lambda model: True,
}


def table():
    """[(how a row begins, the estimators that it names)], in the lesson's order."""
    part = LESSON.read_text(encoding="utf-8").split("## 5 A decision")[1].split("## 6")[0]
    rows = [line.split("|")[1:3] for line in part.splitlines() if line.startswith("# | ")][1:]
    begins = [[key for key in FITS if your_model.strip().startswith(key)] for your_model, _ in rows]
    assert sorted(key for keys in begins for key in keys) == sorted(FITS) and all(begins), (
        "a row is unknown here, or twice"
    )
    return [
        (keys[0], [name for name in re.findall(r"`(\w+)`", take) if name in TABLE])
        for keys, (_, take) in zip(begins, rows, strict=True)
    ]


def models():
    """{Model: the estimators that are level with the best}."""
    found = {}
    for data in yardsticks.data_sets():
        for size, cells in yardsticks.Measured(data).sizes.items():
            family, _, sizes = size.partition(" ")
            for by in yardsticks.YARDSTICKS:
                found[Model(data, family, *map(int, sizes.split("x")), by)] = yardsticks.best(cells, by)
    return found


def badly_advised(rows):
    """The models of which the first row that fits names no estimator that is level with the best."""
    advice = lambda model: next((names for key, names in rows if FITS[key](model)), [])
    return [model for model, level in models().items() if not set(advice(model)) & set(level)]


def test_the_first_row_that_fits_is_good_advice_for_each_model_by_each_yardstick():
    assert len(models()) == 26 and badly_advised(table()) == []


@pytest.mark.parametrize("key", [key for key, fits in FITS.items() if fits is not NOBODY])
def test_without_a_row_some_model_is_badly_advised(key):
    assert badly_advised([row for row in table() if row[0] != key])


def test_each_row_of_the_page_names_one_that_is_level_with_the_best():
    studies = {name: yardsticks.Measured(name) for name in ("digits", "mnist")}
    lines = page_answer.what_to_take(**studies).splitlines()[2:]
    assert len(lines) == 10
    for model, take, _, _, measured in ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines):
        words, _, data = measured.rpartition(", ")
        (found,) = (cells for size, cells in studies[data].sizes.items() if yardsticks.in_words(size) == words)
        by = yardsticks.YARDSTICKS[model.startswith("log p(x)")]
        assert re.match(r"`(\w+)`", take)[1] in yardsticks.best(found, by), model
