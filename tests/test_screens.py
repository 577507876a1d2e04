"""What commands print at their end fits a screen of 100 columns and 40 lines, and tables lose no word there."""

import re

import pytest

from dvae_np import cli, records
from dvae_np.bench import summary
from dvae_np.check import Report, Result
from dvae_np.check.bias import Measured
from dvae_np.estimators import TABLE
from dvae_np.experiments import (
    compare,
    completion,
    first_model,
    first_steps,
    gaps,
    published_toys,
    quantised,
    rule,
    tour,
    tuning,
    yardsticks,
)
from dvae_np.text import WIDTH, columns, spread

LINES = 40
AROUND = 5  # lines that a command prints above and below its table
TABLES = {  # what each command prints by itself: its record, and the table of it
    "tour": ("tour", tour.results_table),
    "compare": ("compare", compare.comparison_table),
    "compare --all": ("compare", tuning.learned_table),
    "compare --rule": ("rule", rule.cheapest_table),
    "compare --train": ("equal-time-digits", yardsticks.answers),
    "compare --lessons": ("first-model", first_model.first_models_table),
    "compare --quantised": ("quantised", quantised.quantised_table),
    "compare --toys": ("published-toys", published_toys.toy_table),
    "complete": ("completion-digits", completion.completion_table),
    "complete --data mnist": ("completion-mnist", completion.completion_table),
    "collapse": ("collapse", first_steps.first_steps_table),
    "gaps": ("gaps", gaps.gaps_table),
    "bench": ("bench", summary.targets),
}


def expect_screen(text, lines=LINES, width=WIDTH):
    """AssertionError where the text is wider or longer than a screen."""
    found = text.splitlines()
    assert max(map(len, found)) <= width and len(found) <= lines, text


@pytest.mark.parametrize("command", TABLES)
def test_what_a_command_reports_fits_a_screen(command):
    record, table = TABLES[command]
    expect_screen(table(records.read(record)), LINES - AROUND)


def test_the_verification_fits_a_screen():
    """With the longest verdict for each estimator of the table."""
    verdict = "BIASED (-42.7% along the gradient, 43.2% in all, quadrature), as the table says"
    names = ("op x", "objective x", "law x", *TABLE)
    found = Report(
        Result(2, name, "dlogits: mean", verdict, True, 1e-16, measured=Measured(0, 0, 1, {})) for name in names
    )
    expect_screen(found.condensed(), LINES - 1)
    assert found.condensed().count("BIASED (-42.7% along, 43.2% in all, quadrature)") == len(names)


def test_alone_it_fits_the_smallest_screen(capsys):
    assert cli.main([]) == 0
    expect_screen(capsys.readouterr().out, 24, 80)


WIDE = [
    ("a name", "a heading of several words", "number and its range", "more"),
    ("one of a few words", "0.1", "12.13 (11.97 to 12.19)", "x" * 40),
    ("two", "0.25", "9.87 (9.71 to 10.23)", "y"),
]


def test_a_narrow_table_is_as_it_was():
    table = columns([row[:2] for row in WIDE]).splitlines()
    assert table[0] == "a name              a heading of several words" and table[1] == f"{'-' * 18}  {'-' * 26}"
    assert table[2:] == ["one of a few words  0.1", "two                 0.25"]


@pytest.mark.parametrize("copies", range(1, 5))
def test_a_wide_table_keeps_every_word_and_breaks_no_range(copies):
    """From a table that needs no break to one that cannot be as narrow as a line."""
    rows = [(*row[:1], *(copies * row[1:])) for row in WIDE]
    table = columns(rows)
    assert sorted(re.findall(r"[^\s-]+", table)) == sorted(
        re.findall(r"[^\s-]+", " ".join(" ".join(row) for row in rows))
    )
    assert table.count("(11.97 to 12.19)") == copies
    lines = table.splitlines()
    (rule,) = [line for line in lines if not set(line) - set("- ")]
    starts = [found.start() for found in re.finditer("-+", rule)]
    assert len(rule) <= WIDTH or copies > 1
    assert all(
        line[at - 2 : at].strip() == "" for line in lines for at in starts[1:]
    )  # the gaps between columns are free


def test_a_spread_is_the_median_and_the_range():
    assert spread([1.0, 9.0, 2.0]) == "2.00 (1.00 to 9.00)"
