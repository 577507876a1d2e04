"""The bench: contestants do the same work, tables say what the record says, and a target that is missed is called so."""

import copy
import json
import sys
from itertools import pairwise

import pytest

from dvae_np import InputError, cli, records
from dvae_np.bench import measure, problems, summary, turns
from dvae_np.bench.turns import Contestant, take_turns
from dvae_np.experiments.page_costs import CHAINS

RECORD = records.read("bench")


@pytest.fixture
def contestants():
    started = [Contestant(name) for name in turns.installed()]
    yield started
    for contestant in started:
        contestant.close()


def cases_of(*labels):
    return [case for case in problems.cases() if case.label in labels and case.section not in ("start", "growth")]


def test_all_that_are_installed_compute_the_same_numbers(contestants):
    """Training steps and replicates draw their noise: 2 and 5 percent, where the spread of the batch's mean is below 0.3."""
    cases = cases_of("ST-Gumbel, 8x4", "leave-one-out, 8x4, S=4", "ReinMax, 8x4", "K = 10", "2 of 8: 64 states",
                     "8 of 16, B = 100", "10,000 of REINFORCE")  # fmt: skip
    for case, facts in zip(cases, take_turns(contestants, cases, 1), strict=True):
        measure.expect_same(case, facts)
        assert len(facts) >= (1 if case.section in ("replicates", "chain") else 2)
        assert all(len(own["ms"]) == 1 and min(own["ms"]) > 0 for own in facts.values())
        assert facts["dvae_np"]["peak_mb"] > 0.5


def test_times_are_told_by_their_quartiles():
    assert measure.quantiles([5.0, 1.0, 100.0, 2.0, 3.0]) == [2.0, 3.0, 5.0, 5]


def test_a_problems_decoder_has_the_latents_of_its_logits():
    for problem in (problems.exact(4, 2, B=3), problems.exact(5, 1, B=3), problems.conditional(6, B=3)):
        assert problem["theta"]["table"].shape[:2] == problem["logits"].shape[1:]


def test_other_work_is_refused():
    (case,) = cases_of("K = 64")
    facts = {"dvae_np": {"value": 100.0}, "bare products": {"value": float("nan")}, "PyTorch": {"value": 100.2}}
    with pytest.raises(InputError, match=r"PyTorch computes 100\.2, dvae_np 100: not the same work"):
        measure.expect_same(case, facts)
    facts["PyTorch"]["value"] = 100.05
    measure.expect_same(case, facts)


def test_a_contestant_that_dies_of_a_case_is_started_again_with_the_cases_that_it_had(contestants, monkeypatch, capsys):
    first, second = contestants[:2]
    cases = cases_of("K = 10", "2 of 8: 64 states", "K = 64")
    make = Contestant.make

    def deadly(self, key, work, inputs):
        if key == 1 and self is first:
            first.signal("SIGCONT")
            first.process.kill()
            first.process.wait()
        return make(self, key, work, inputs)

    monkeypatch.setattr(Contestant, "make", deadly)
    both = {first.name, second.name}
    assert [set(facts) for facts in take_turns([first, second], cases, 2)] == [both, {second.name}, both]
    assert f"{first.name} cannot do exact: its process ended" in capsys.readouterr().err


def test_all_rows_meet_every_round(contestants, monkeypatch):
    cases, asked, ask = cases_of("K = 10", "K = 64"), [], Contestant.ask
    monkeypatch.setattr(Contestant, "ask", lambda self, *request: (asked.append(request), ask(self, *request))[1])
    turns.take_turns(contestants[:1], cases, 2)
    assert [request[:2] for request in asked if request[0] in ("make", "call")] == [
        ("make", 0), ("make", 1), ("call", 0), ("call", 1), ("call", 0), ("call", 1)]  # fmt: skip
    assert [request[0] for request in asked][-3:] == ["peak", "peak", "forget"]


class Pretender:
    """A contestant whose calls take as long as it says; `diary` has the names of those that were called, in order."""

    def __init__(self, name, seconds, diary):
        self.name, self.seconds, self.diary = name, seconds, diary

    def make(self, key, work, inputs):
        return 0.0, self.seconds

    def ask(self, request, key, times=1):
        if request == "call":
            self.diary.append(self.name)
            return [10 * self.seconds, *[self.seconds] * (times - 1)] if times > 1 else [self.seconds]

    def start_afresh(self):
        self.diary.append("afresh")

    def forget(self):
        pass


def test_slow_contestants_skip_rounds_from_the_first_to_the_last():
    """5 of 15 rounds for calls of a second; the first of several calls in a row, here ten times as slow, is not counted."""
    diary = []
    contestants = [Pretender("JAX", 1e-3, diary), Pretender("Pyro", 1.0, diary)]
    (facts,) = take_turns(contestants, cases_of("K = 10"), 15)
    assert diary == ["JAX", "Pyro", "JAX", "JAX"] * 5
    assert facts["Pyro"]["ms"] == [1000.0] * 5 and facts["JAX"]["ms"] == [1.0] * (1 + 14 * 100)


def test_this_package_and_the_bare_products_have_several_processes():
    diary = []
    take_turns([Pretender("dvae_np", 1e-3, diary), Pretender("JAX", 1e-3, diary)], cases_of("K = 10", "K = 64"), 7)
    lap = ["dvae_np", "JAX"] * 2
    assert diary == lap * 3 + ["afresh"] + lap * 3 + ["afresh"] + lap


def test_contestants_import_nothing_of_each_other():
    """The bare products must run without this package, which sets up memory for the process that imports it."""
    folder = turns.FOLDER / "contestants"
    for path in folder.glob("*.py"):
        imported = [line for line in path.read_text().splitlines() if line.startswith(("import", "from"))]
        others = {"ours": ("torch", "jax", "pyro"), "bare": ("dvae_np", "torch", "jax", "pyro"), "pytorch": ("dvae_np", "jax"),
                  "jax_jit": ("dvae_np", "torch"), "pyro_enumeration": ("dvae_np", "jax"),
                  "pytorch_vq_vae": ("dvae_np", "numpy", "jax")}[path.stem]  # fmt: skip
        assert not any(f" {name}" in line for line in imported for name in others), path.name
    timed = {script for script, _ in turns.CONTESTANTS.values()}
    assert timed | {"pytorch_vq_vae"} == {path.stem for path in folder.glob("*.py")}  # that one is trained, not timed


def test_tables_hold_the_records_ratios():
    found = summary.tables(RECORD)
    assert list(found) == [section for section in summary.SECTIONS if section != "chain"]
    assert all(list(summary.tables(records.read(name))) == ["chain"] for name in CHAINS)
    line = next(line for line in RECORD["cases"] if line["label"] == "K = 512")
    ours, bare = (line["contestants"][name]["ms"][1] for name in ("dvae_np", "bare products"))
    row = next(row for row in found["exact"][1].splitlines() if row.startswith("K = 512"))
    assert f"{ours:.4g} ms" in row and f"{ours / bare:.2f}" in row


def test_a_target_that_is_missed_is_called_so():
    rows = {row.split("  ")[0]: row for row in summary.targets(RECORD).splitlines()}
    assert rows["conditional decoder / bare products"].endswith(" met")
    slower = copy.deepcopy(RECORD)
    line = next(line for line in slower["cases"] if line["section"] == "conditional")
    line["contestants"]["dvae_np"]["ms"][1] *= 5
    rows = {row.split("  ")[0]: row for row in summary.targets(slower).splitlines()}
    assert rows["conditional decoder / bare products"].endswith(" missed")


def test_growth_is_what_theory_says():
    """In the committed record: memory of the exact sum flat in the number of joint states, once it streams in blocks, and
    time at most linear (2.5 for a doubling, 10 for eight times the states: the noise of the machine), as long as the work fits
    into the 64 MB that the C library keeps."""
    growth = {
        axis: {point["size"]: point["contestants"]["dvae_np"] for point in line}
        for axis, line in RECORD["growth"].items()
    }
    assert growth["N"][5]["peak_mb"] < 1.1 * growth["N"][4]["peak_mb"] < 50
    for axis, most in (("K", 2.5), ("S", 2.5), ("B", 2.5), ("N", 10)):
        times = [own["ms"][1] for own in growth[axis].values() if own["peak_mb"] < 64]
        assert len(times) >= 4 and all(later / earlier < most for earlier, later in pairwise(times)), axis


def test_sections_are_merged_one_by_one():
    again = RECORD | {
        "cases": [case | {"label": "again"} for case in RECORD["cases"] if case["section"] == "conditional"],
        "growth": {},
    }
    record = measure.merged(RECORD, again, ["conditional"])
    assert len(record["cases"]) == len(RECORD["cases"]) and record["growth"] == RECORD["growth"]
    assert [case["label"] for case in record["cases"] if case["section"] == "conditional"] == ["again"]
    assert measure.merged(None, again, ["conditional"]) == again


@pytest.mark.parametrize(("record", "words"), [
    (RECORD | {"machine": "another"}, "--section: the record beside which it belongs is of another machine"),
    ({"cases": 3}, "expected a record of this command, which cannot be read"),
    ([], "expected a record, a JSON object, got a list"),
    ("{", "expected a record in JSON, but it cannot be read"),
])  # fmt: skip
def test_a_record_that_cannot_be_merged_is_refused_before_anything_is_measured(
    tmp_path, capsys, monkeypatch, record, words
):
    monkeypatch.setattr(measure, "measure", lambda *arguments: pytest.fail("it was measured"))
    path = tmp_path / "data" / "bench.json"
    path.parent.mkdir()
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    (tmp_path / ".dvae_np").write_text("figures data/bench.json\n")
    assert cli.main(["bench", "--section", "step", "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_the_command_writes_what_it_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measure, "installed", lambda: ["dvae_np", "bare products"])
    assert cli.main(["bench", "--section", "replicates", "--runs", "1", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "10,000 of REINFORCE" in printed and "Training step" not in printed
    record = json.loads((tmp_path / "data" / "bench.json").read_text())
    assert [case["section"] for case in record["cases"]] == ["replicates"] and record["growth"] == {}
    assert cli.main(["bench", "--runs", "0", "--out", str(tmp_path)]) == 2
    assert "--runs" in capsys.readouterr().err


def test_a_whole_process_is_timed():
    (case,) = [case for case in problems.cases() if case.section == "start"]
    seconds = measure.starts(case, ["dvae_np"], 1)
    assert set(seconds) == {"import numpy", "import dvae_np", "dvae_np"}
    assert 0.01 < seconds["import numpy"][1] < seconds["dvae_np"][1] < 60, sys.version
