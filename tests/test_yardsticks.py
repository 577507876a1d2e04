"""The two yardsticks of training for equal time, on a study that is made up."""

import numpy as np
import pytest

from dvae_np import records
from dvae_np.experiments import yardsticks
from dvae_np.experiments.yardsticks import Measured

SIZE = "independent 2x8"


def study(sampled=(), **losses):
    """A record of one size: (negative ELBO, -log p(x)) of each estimator, three seeds that differ by 0.1. The first of its
    trials is the best. log p(x) of those that are `sampled` is a bound."""
    cells = {}
    for name, (elbo, evidence) in losses.items():
        runs = {}
        for seed, off in zip("123", (0.0, 0.1, -0.1), strict=True):
            log_p = -evidence - off
            known = {"log_likelihood": log_p, "bounds": None}
            bounded = {"log_likelihood": None, "bounds": {"2500": log_p - 0.25, "5000": log_p}}
            runs[seed] = {"negative_elbo": elbo + off, "best_epoch": 5, "epochs": 10, "trial": 0}
            runs[seed] |= bounded if name in sampled else known
        trials = {str(i): {"validation": float(i)} for i in range(4)}
        cells[f"{SIZE} {name}"] = {"steps": 10, "milliseconds": 1.0, "trials": trials, "runs": runs}
    return {"command": "", "seconds": 60, "cells": cells}


def test_the_two_yardsticks():
    """Which is the best by each, what is within the seeds' range of it, and how a bound is told from log p(x)."""
    record = study(exact=(20.0, 19.6), reinforce_loo=(20.15, 19.9), vimco=(26.0, 19.1), sampled=("vimco",))
    found = yardsticks.findings(record)[SIZE]
    assert yardsticks.best(found, "negative_elbo") == ["exact", "reinforce_loo"]
    assert yardsticks.best(found, "negative_evidence") == ["vimco"]
    assert [each.setting for each in found] == ["lr 0.0003"] * 3 and found[0].waited == 0.5
    assert found[0].doubling is None and found[2].doubling == pytest.approx(0.25)
    table = yardsticks.training_table(record, markdown=True).splitlines()
    assert "20.00 (19.90 to 20.10)" in table[2] and table[2].endswith("exact |")
    assert "at most 19.10 (19.00 to 19.20)" in table[4] and table[4].endswith("-0.250 |")
    (line,) = yardsticks.answers(record, markdown=True).splitlines()[2:]
    assert "exact, reinforce_loo: 20.00 | vimco: 19.10 |" in line
    assert "20.00 / 19.60" in line and "too many states" in line


def test_a_size_is_finished_when_all_are_whose_runs_have_begun():
    record = study(exact=(20.0, 19.6), reinforce_loo=(20.15, 19.9), vimco=(26.0, 19.1))
    assert yardsticks.finished(record) == yardsticks.findings(record)
    record["cells"][f"{SIZE} vimco"]["runs"].pop("3")  # not done: no finding
    assert yardsticks.finished(record) == {} and len(yardsticks.answers(record, markdown=True).splitlines()) == 2
    assert [each.estimator for each in yardsticks.findings(record)[SIZE]] == ["exact", "reinforce_loo"]
    record["cells"][f"{SIZE} vimco"]["runs"] = {}  # its trials alone: the others can be shown
    assert yardsticks.finished(record) == yardsticks.findings(record) != {}


def test_a_run_that_diverged_is_the_worst_and_not_forgotten():
    record = study(exact=(20.0, 19.6), vimco=(21.0, 19.1), sampled=("vimco",))
    cells = [record["cells"][f"{SIZE} {name}"] for name in ("exact", "vimco")]
    for cell in cells:
        cell["runs"]["2"] = {"validation": None, "error": "lr: training diverged"}
    for found in yardsticks.findings(record)[SIZE]:
        assert sorted(found.negative_elbo)[2] == sorted(found.negative_evidence)[2] == np.inf
    for cell in cells:
        cell["runs"] = {seed: {"error": "lr"} for seed in "123"}
    assert "inf (inf to inf)" in yardsticks.training_table(record)


def measured(monkeypatch, record):
    """What is read of it."""
    monkeypatch.setattr(records, "read", lambda name: record)
    return Measured("digits")


def test_medians_leads_and_distances(monkeypatch):
    losses = {
        "exact": (20.0, 19.0),
        "reinforce_loo": (20.5, 19.4),
        "gumbel_softmax": (20.15, 19.8),
        "vimco": (22.0, 18.5),
    }
    found = measured(monkeypatch, study(**losses))
    assert found.both(SIZE, "exact") == "20.00 / 19.00" and found.runner_up(SIZE) == "gumbel_softmax"
    assert found.lead(SIZE) == pytest.approx(0.15) and found.lead(SIZE, "vimco") == pytest.approx(-2)
    assert found.behind("gumbel_softmax", "reinforce_loo") == pytest.approx([-0.35])
    assert found.behind("gumbel_softmax", "reinforce_loo", "negative_evidence") == pytest.approx([0.4])
    assert found.apart(SIZE, "vimco", "exact") == pytest.approx((2, -0.5))
    assert found.behind("gumbel_softmax", "reinmax") == [] and found.gap(SIZE, "vimco") == pytest.approx(3.5)
    elbo, evidence = yardsticks.behind({"a model": found.sizes[SIZE]}).values()
    assert {name: beaten for name, (_, beaten) in elbo["a model"].items()} == {
        "exact": False, "reinforce_loo": True, "gumbel_softmax": False, "vimco": True}  # fmt: skip
    assert evidence["a model"]["exact"] == (pytest.approx(0.5), True) and not evidence["a model"]["vimco"][1]


def test_a_choice_at_an_edge(monkeypatch):
    record = study(exact=(20.0, 19.0), vimco=(22.0, 18.5), reinmax=(21.0, 20.0))
    record["cells"][f"{SIZE} vimco"]["trials"]["0"]["validation"] = 9.0
    record["cells"][f"{SIZE} reinmax"]["trials"]["3"]["validation"] = -9.0
    found = measured(monkeypatch, record)
    assert [found.at_an_edge(SIZE, name) for name in ("exact", "vimco", "reinmax")] == [True, False, True]
    assert found.choice(SIZE, "vimco") == {"lr": 1e-3}


def test_a_choice_that_is_close(monkeypatch):
    """The trials of the study are 1 apart; its runs' validation losses differ by more, or by less. The best trial has 0."""
    record = study(exact=(20.0, 19.0), vimco=(22.0, 18.5))
    for name, losses in (("exact", (5.0, 6.1, 5.5)), ("vimco", (5.0, 5.9, 5.5))):
        for run, loss in zip(record["cells"][f"{SIZE} {name}"]["runs"].values(), losses, strict=True):
            run["validation"] = loss
    found = measured(monkeypatch, record)
    assert [found.close(SIZE, name) for name in ("exact", "vimco")] == [True, False]
    assert found.better_when_shorter(SIZE, "vimco")
    for trial in record["cells"][f"{SIZE} vimco"]["trials"].values():
        trial["validation"] += 5.6
    assert not found.better_when_shorter(SIZE, "vimco")


def test_curves_are_compared_at_epochs_that_all_have(monkeypatch):
    curves = {
        "exact": {1: 9.0, 2: 7.0, 4: 3.0, 6: 2.0},
        "vimco": {1: 8.0, 3: 5.0, 4: 4.0, 6: 1.0},
        "reinmax": {1: 7.0, 4: 6.0},
    }
    record = study(**dict.fromkeys(curves, (20.0, 19.0)))
    for name, losses in curves.items():
        curve = [(epoch, 0.0, loss) for epoch, loss in losses.items()]
        record["cells"][f"{SIZE} {name}"]["runs"]["1"]["curve"] = curve
    found = measured(monkeypatch, record)
    assert found.in_step(SIZE, *curves) == {1: [9.0, 8.0, 7.0], 4: [3.0, 4.0, 6.0]}


def test_a_data_set_is_there_once_a_size_is_finished(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    begun = study(exact=(1, 1))
    monkeypatch.setattr(records, "read", lambda name: begun)
    assert yardsticks.data_sets() == []
    (tmp_path / "equal-time-mnist.json").touch()
    assert yardsticks.data_sets() == ["mnist"]
    begun["cells"][f"{SIZE} exact"]["runs"].pop("3")
    assert yardsticks.data_sets() == []
