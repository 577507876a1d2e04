"""One cell of a study made anew, beside what its record holds.

Training has the record's steps, its choice of settings and its seeds. On the same machine the numbers come back to the last
digits. Elsewhere arithmetic rounds differently, and over many steps that is as good as another seed: then two ranges of three
seeds do not meet one time in ten, and a shift by three deviations of a seed is seen nine times in ten. Two 95-percent intervals
of the same number do not meet one time in 180, and a shift by five deviations is seen three times in four.
"""

from difflib import get_close_matches

from dvae_np import records
from dvae_np.arrays import InputError
from dvae_np.experiments import equal_time, rule, yardsticks
from dvae_np.text import columns, spread


def _expected(cell, cells):
    """Raises InputError of a cell that the record lacks."""
    if cell not in cells:
        nearest = " or ".join(map(repr, get_close_matches(cell, cells, 3, 0)))
        raise InputError(f"--cell: expected a model and an estimator of the record, as {nearest}; got {cell!r}")


def training_cell(name, cell):
    """(the record of `compare --train` with this cell alone, which has no runs yet; {cell: settings}).

    Raises InputError where the record is missing, or lacks the cell or one of its runs.
    """
    recorded = records.read(f"equal-time-{name}")
    done = {each: known for each, known in recorded["cells"].items() if len(known["runs"]) == len(equal_time.SEEDS)}
    _expected(cell, done)
    alone = {"command": command_of(recorded["command"], cell), "cells": {cell: done[cell] | {"runs": {}}}}
    return recorded | alone, {cell: equal_time.cells_of(equal_time.SIZES[name])[cell]}


def training_again(name, cell, record):
    """The two losses of the record and of `record`, in words, and whether the ranges of their seeds meet."""
    size, _, estimator = cell.rpartition(" ")
    recorded, anew = (
        next(found for found in yardsticks.findings(each)[size] if found.estimator == estimator)
        for each in (records.read(f"equal-time-{name}"), record)
    )
    rows = [("", "test negative ELBO", "-log p(x), or a bound")]
    for words, found in (("recorded", recorded), ("again", anew)):
        rows.append((words, *(spread(getattr(found, yardstick)) for yardstick in yardsticks.YARDSTICKS)))
    apart = sum(ranges_apart(*(getattr(each, by) for each in (recorded, anew))) for by in yardsticks.YARDSTICKS)
    met = "Both pairs of ranges meet." if not apart else f"{apart} of 2 pairs of ranges do not meet."
    return f"{cell}: {recorded.steps:,} steps, {recorded.setting}; the median of three seeds and their range\n\n" + (
        f"{columns(rows)}\n\n{met}"
    )


def ranges_apart(first, second):
    """Do the ranges of two lists of numbers not meet?"""
    return max(min(first), min(second)) > min(max(first), max(second))


def gradient_cell(cell):
    """The record of `compare --rule` with this cell alone, measured anew. Raises InputError where the record lacks it."""
    models = {model["name"]: model for model in records.read("rule")["models"]}
    _expected(
        cell, [f"{name} {estimator}" for name, model in models.items() for estimator in rule.estimators_of(model)]
    )
    size, _, estimator = cell.rpartition(" ")
    known = {name: value for name, value in models[size].items() if name != estimator}
    sizes = [each for each in rule.SIZES if each.name == size]
    return rule.practical_rule({"models": [known]}, sizes=sizes) | {"command": command_of(rule.COMMAND, cell)}


def gradients_again(cell, record):
    """Bias and deviation at each setting, in the record and in `record`, and how many 95-percent intervals do not meet."""
    size, _, estimator = cell.rpartition(" ")
    recorded, anew = (
        next(model for model in each["models"] if model["name"] == size)[estimator]["lines"]
        for each in (records.read("rule"), record)
    )
    rows, apart = [("tau", "samples", "bias", "again", "variance", "again", "ms", "again")], 0
    for pair in zip(recorded, anew, strict=True):
        tau = "" if pair[0]["tau"] is None else f"{pair[0]['tau']:g}"
        shown = [_interval(line, what) for what in ("bias", "variance") for line in pair]
        rows.append((tau, str(pair[0]["samples"]), *shown, *(f"{line['milliseconds']:.3g}" for line in pair)))
        apart += sum(intervals_apart(*pair, what) for what in ("bias", "variance"))
    words = f"{apart} of {2 * len(recorded)} pairs of 95-percent intervals do not meet."
    return f"{cell}: relative to the gradient's length\n\n{columns(rows)}\n\n{words}"


def _half_width(line, what):
    """Of the 95-percent interval; 0 for a bias that is proved to be 0, whatever the draws say."""
    return 0.0 if line[f"{what}_from"] == "proved" else line[f"{what}_half_width"]


def _interval(line, what):
    half = _half_width(line, what)
    return f"{line[what]:.3g}" + (f" ± {half:.1g}" if half > 1e-9 else "")


def intervals_apart(first, second, what):
    """Do the intervals of two lines of the record not meet? Exact numbers may differ by rounding."""
    rounding = 1e-4 * abs(first[what])  # of float32 training, which the model has gone through
    return abs(first[what] - second[what]) > _half_width(first, what) + _half_width(second, what) + rounding


def command_of(study, cell):
    """That makes this cell of a study anew."""
    return f'{study} --cell "{cell}"'
