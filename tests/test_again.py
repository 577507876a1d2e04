"""One cell of a study made anew: it gives the numbers of its record, and a record that is off is noticed."""

import copy

import numpy as np
import pytest

from dvae_np import cli, records
from dvae_np.experiments import again, equal_time, rule

CELL = "independent 2x8 gumbel_softmax"


@pytest.fixture(scope="module")
def trained():
    """A record of `compare --train` with one cell of forty steps."""
    record = {"command": equal_time.command_of("digits"), "data": "digits", "seconds": 60}
    trials = {
        str(i): {"validation": abs(i - 4.0)} for i in range(6)
    }  # the fifth: 0.003 at the best temperature, the third
    record["cells"] = {CELL: {"milliseconds": 1.0, "steps": 40, "trials": trials, "runs": {}}}
    return equal_time.equal_time(
        "digits", None, record, cells={CELL: equal_time.cells_of(equal_time.SIZES["digits"])[CELL]}
    )


def test_a_cell_trained_again_gives_the_record(trained, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(records, "read", lambda name: trained)
    command = ["compare", "--train", "digits", "--cell", CELL, "--out", str(tmp_path)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "40 steps, lr 0.003, tau 1 to 0.3" in printed and "Both pairs of ranges meet." in printed
    recorded, anew = (
        line.split(maxsplit=1)[1] for line in printed.splitlines() if line.startswith(("recorded", "again"))
    )
    assert recorded == anew
    wrong = copy.deepcopy(trained)
    for run in wrong["cells"][CELL]["runs"].values():
        run["negative_elbo"] += 5.0
    monkeypatch.setattr(records, "read", lambda name: wrong)
    monkeypatch.setattr(equal_time, "run_of", lambda *given: pytest.fail("trained a third time"))
    assert cli.main(command) == 0 and "1 of 2 pairs of ranges do not meet." in capsys.readouterr().out


def test_a_cell_that_is_not_there_is_named_beside_the_nearest(trained, monkeypatch, tmp_path, capsys):
    half = copy.deepcopy(trained)
    half["cells"]["independent 2x8 exact"] = half["cells"][CELL] | {"runs": {}}  # begun, not done
    monkeypatch.setattr(records, "read", lambda name: half)
    for cell in ("", "independent 2x8 exact", "independent 2x8"):
        assert cli.main(["compare", "--train", "digits", "--cell", cell, "--out", str(tmp_path)]) == 2
        assert f"as {CELL!r}; got {cell!r}" in capsys.readouterr().err
    assert cli.main(["compare", "--cell", CELL]) == 2 and "only with --rule or --train" in capsys.readouterr().err


@pytest.mark.parametrize("cell", ["independent 2x8 local_expectation", "independent 1x16 straight_through"])
def test_a_gradient_measured_again_gives_the_record(cell, monkeypatch, tmp_path, capsys):
    """Of one the variance is enumerated, of the other the bias too: the numbers are those of the record."""
    measured, calls = rule.measured, []
    monkeypatch.setattr(rule, "measured", lambda *given: calls.append(given[0].name) or measured(*given))
    assert cli.main(["compare", "--rule", "--cell", cell, "--out", str(tmp_path)]) == 0 and calls == [cell.split()[-1]]
    printed = capsys.readouterr().out
    size, _, name = cell.rpartition(" ")
    lines = next(model for model in records.read("rule")["models"] if model["name"] == size)[name]["lines"]
    assert f"0 of {2 * len(lines)} pairs of 95-percent intervals do not meet." in printed
    wrong = copy.deepcopy(records.read("rule"))
    for line in next(model for model in wrong["models"] if model["name"] == size)[name]["lines"]:
        line["variance"] *= 1.01
    record = again.gradient_cell(cell)
    monkeypatch.setattr(records, "read", lambda name: wrong)
    assert f"{len(lines)} of {2 * len(lines)} pairs" in again.gradients_again(cell, record)
    assert [model["name"] for model in record["models"]] == [size] and record["command"].endswith(f'--cell "{cell}"')


def test_how_often_ranges_and_intervals_do_not_meet():
    """The rates that the module states, for the same number twice and for one that has moved; 4,000 pairs of normal draws."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 4000, 3))
    apart = lambda shift: np.mean([again.ranges_apart(a, b + shift) for a, b in zip(first, second, strict=True)])
    assert apart(0) == pytest.approx(0.1, abs=0.02) and apart(3) == pytest.approx(0.89, abs=0.02)
    line = lambda value: {"bias": value, "bias_from": "sampled", "bias_half_width": 1.96}
    far = lambda a, b: again.intervals_apart(line(a), line(b), "bias")
    apart = lambda shift: np.mean([far(a, b + shift) for a, b in zip(first[:, 0], second[:, 0], strict=True)])
    assert apart(0) == pytest.approx(1 / 180, abs=0.005) and apart(5) == pytest.approx(0.78, abs=0.03)


def test_a_bias_that_is_proved_has_no_interval():
    line = {"bias": 0.0, "bias_from": "proved", "bias_half_width": 50.0}
    assert again.intervals_apart(line, line | {"bias": 0.1, "bias_from": "sampled", "bias_half_width": 0.01}, "bias")
    assert not again.intervals_apart(line, line, "bias")
