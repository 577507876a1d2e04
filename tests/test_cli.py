"""The command line as a user meets it: what it prints, writes and refuses."""

import json
import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from dvae_np import cli
from dvae_np.check import Result, suite
from dvae_np.check.means import defaults
from dvae_np.estimators import TABLE
from dvae_np.experiments import compare, gradient_problems, measurement, rule, tour, tuning

QUICK = ["--epochs", "3", "--K", "4", "--hidden", "16"]


def run(*arguments):
    """The exit status of one command, in this process."""
    return cli.main([str(argument) for argument in arguments])


FEW = ("exact", "reinforce_loo", "gumbel_softmax")  # all rows are verified in test_estimators.py


@pytest.fixture
def few_rows(monkeypatch):
    """A verification of few estimators, to save time where its printing is tested."""
    monkeypatch.setattr(suite, "TABLE", {name: TABLE[name] for name in FEW})


@pytest.mark.usefixtures("few_rows")
def test_verify_prints_the_table_and_writes_json(tmp_path, capsys):
    assert run("verify", "--all", "--json", tmp_path / "report.json") == 0
    printed, report = capsys.readouterr().out, json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] and f"{len(report['results'])} checks, 0 failed" in printed
    for name in FEW:
        assert f"\n0      {name} " in printed
    worst = max(
        result["error"] for result in report["results"] if "complex step" in result["check"] and result["level"] == 1
    )
    assert worst <= 1e-12
    assert {result["level"] for result in report["results"]} == {0, 1, 2, 3, 4, 5}


@pytest.mark.usefixtures("few_rows")
def test_verify_says_what_fits_a_screen(capsys):
    """A line for each estimator and three for the rest; with all rows of the table fewer than forty."""
    assert run("verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(TABLE) + 6 < 40 and len(lines) <= len(TABLE) + 6 and max(map(len, lines)) < 135
    assert all(sum(line.startswith(f"{name} ") for line in lines) == 1 for name in FEW)
    assert run("verify", "--all", "mine.py:f") == 2 and "--all: does not go with" in capsys.readouterr().err


def test_alone_it_says_what_to_do_next(capsys):
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(len(line) < 128 for line in lines)
    for command in re.findall(r"python -m dvae_np (\w+)", "\n".join(lines)):
        assert run(command, "--help") == 0


def test_verify_fails_aloud(monkeypatch, capsys):
    wrong = Result(1, "op wrong", "complex step: dx", "error 0.3", False, 0.3, "right but for a factor 2")
    monkeypatch.setattr(suite, "results", lambda: [wrong])
    assert run("verify") == 1
    assert "FAILED  op wrong, complex step: dx: right but for a factor 2" in capsys.readouterr().out


def test_verify_judges_a_file_and_samples(tmp_path, capsys):
    """Exit status 0 for a right estimator, 1 for a wrong one with its hint, 2 for what cannot be judged."""
    file = tmp_path / "mine.py"
    (tmp_path / "beside.py").write_text("class Kept: pass\n")
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom beside import Kept\n"
        "from dvae_np import score\n@dataclass\nclass Mine:\n    kept: Kept\n"
        "def right(logits, f, z):\n    fz, _ = f(z)\n"
        "    return ((fz - fz.mean(0))[..., None, None] * score(logits, z)).sum(0) / (len(z) - 1)\n"
        "def wrong(logits, f, z):\n    return right(logits, f, z) * (1 - 1 / len(z))\n"
        "def odd(logits):\n    return logits\n"
        "from dvae_np import disarm, vimco\n"
    )
    assert run("verify", f"{file}:vimco", "--bound") == run("verify", f"{file}:disarm", "--binary", "--S", 2) == 0
    capsys.readouterr()
    assert run("verify", f"{file}:right") == 0 and "UNBIASED (enumerated" in capsys.readouterr().out
    assert run("verify", f"{file}:wrong", "--json", tmp_path / "r.json") == 1
    assert (
        "includes its own sample" in capsys.readouterr().out and not json.loads((tmp_path / "r.json").read_text())["ok"]
    )
    exact = np.array([[0.5, -0.2, -0.3]])
    np.save(tmp_path / "exact.npy", exact)
    np.save(tmp_path / "draws.npy", exact + np.random.default_rng(0).standard_normal((50_000, 1, 3)))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    judged = ("verify", "--samples", tmp_path / "draws.npy", "--exact")
    assert run(*judged, tmp_path / "exact.npy") == 0 and "NO BIAS FOUND" in capsys.readouterr().out
    np.save(tmp_path / "exact4.npy", exact * 4 / 3)
    assert run(*judged, tmp_path / "exact4.npy", "--S", 4) == 1 and "1 - 1/S" in capsys.readouterr().out
    (tmp_path / "bad.py").write_text("1 / 0")
    for refused in ((*judged, tmp_path / "objects.npy"), (*judged, tmp_path / "no.npy"), ("verify", "--samples", file),
                    ("verify", "--bound"), ("verify", "--S", 2), (*judged, tmp_path / "exact.npy", "--S", 0),
                    ("verify", f"{file}:odd"), ("verify", f"{file}:none"), ("verify", "nothing"),
                    ("verify", f"{tmp_path / 'bad.py'}:f")):  # fmt: skip
        assert run(*refused) == 2
        assert capsys.readouterr().err.count("\n") == 1


learned_once = cache(compare.learned_variances)


@pytest.mark.parametrize("name", TABLE)
def test_train_prints_named_numbers_and_writes_its_files(tmp_path, capsys, name, request):
    """The pictures of one row of each kind are rendered; those of the others are made of arrays of the same shapes."""
    if name not in ("exact", "arm"):
        request.getfixturevalue("sketched")
    K = 2 if TABLE[name].binary else 4
    options = ["--estimator", name, "--K", K, *(["--tau", "0.7"] if "tau" in TABLE[name].hyper else [])]
    assert run("train", *QUICK, *options, "--out", tmp_path / "run") == 0
    printed = capsys.readouterr().out
    assert "1,283 train, 257 validation, 257 test images of 8x8, pixels thresholded at 0.5" in printed
    assert f"nats   (exact, {K * K} states; pixels thresholded at 0.5)" in printed and "test log p(x)" in printed
    written = {path.name for path in (tmp_path / "run").iterdir()}
    pictures = {"training.png", "reconstructions.png", "samples.png", "codes.png", "effects.png", "usage.png"}
    assert written == pictures | {".dvae_np", "run.json", "history.csv", "parameters.npz", "checkpoint-000000039.dvae"}
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert f"{record['test']['negative_elbo']:9.3f}" in printed
    assert record["settings"]["estimator"] == name and len(record["history"]["loss"]) == 3
    with np.load(tmp_path / "run" / "parameters.npz", allow_pickle=False) as arrays:
        assert arrays["theta.table"].shape == (2, K, 16)


def test_train_on_bars_without_hidden_layers_and_one_latent(tmp_path, capsys):
    options = ["--data", "bars", "--N", "1", "--hidden", "none", "--optimiser", "sgd"]
    assert run("train", *QUICK, *options, "--out", tmp_path) == 0
    assert "5% of them flipped" in capsys.readouterr().out


def test_train_with_too_many_states_to_visit(tmp_path, capsys):
    """What is printed of twenty latents that have collapsed fits a screen."""
    options = ["--estimator", "straight_through_gumbel", "--N", "20", "--K", "10", "--epochs", "1"]
    assert run("train", *options, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "(sampled, S=100;" in printed and "test log p(x)" not in printed
    assert "test bound on log p(x), importance-weighted" in printed and "latent 1 has collapsed" in printed
    assert run("evaluate", tmp_path) == 0
    evaluated = capsys.readouterr().out
    assert "\n... and 5 more\n" in evaluated and "warning: ... and 13 more\n" in printed
    assert printed.count("\n") < 20 and evaluated.count("\n") < 40


@pytest.mark.parametrize(("arguments", "words"), [
    (["train", "--estimator", "magic"], "invalid choice: 'magic'"),
    (["train", "--epochs", "many"], "--epochs: expected at least 1, a whole number, got 'many'"),
    (["train", "--hidden", "64,x"], "expected numbers as 512,256, or none"),
    (["train", "--unknown"], "unrecognized arguments: --unknown"),
    (["train", "--est", "exact"], "unrecognized arguments: --est"),
    (["fly"], "invalid choice: 'fly'"),
])  # fmt: skip
def test_unknown_options_exit_with_2(capsys, arguments, words):
    assert run(*arguments) == 2 and words in capsys.readouterr().err


OPTIONS = [action.dest for action in cli.parser()._subparsers._group_actions[0].choices["train"]._actions]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--K", "0"], "K: expected at least 1, a whole number, got 0"),
    (["--N", "9", "--K", "10"], "1000000000 joint states are more than 65536"),
    (["--estimator", "reinforce_loo", "--S", "1"], "needs at least 2 samples, got 1"),
    (["--tau", "0.5"], "tau: not a hyper-parameter of exact"),
    (["--estimator", "arm"], "K: arm is for binary latents, K = 2, got 16"),
    (["--estimator", "disarm", "--K", "2", "--S", "3"], "S: disarm takes at most 2 samples, got 3"),
    (["--estimator", "vimco", "--beta", "2"], "vimco's bound contains the KL with weight 1, got beta = 2"),
    (["--estimator", "vimco", "--set", "mean=harmonic"], "mean: expected geometric or arithmetic, got 'harmonic'"),
    (["--estimator", "nvil", "--set", "normalise=maybe"], "--set: expected normalise as False is, got 'maybe'"),
    (["--set", "gap=1"], "--set: exact has block, got 'gap=1'"),
    (["--set", "block=0"], "block: expected at least 1 state at a time, got 0"),
    (["--estimator", "gumbel_softmax", "--tau", "inf"], "--tau: expected a temperature of at most 1,000,000,000, got inf"),
    (["--data", "bars", "--binarisation", "grey"], "binarisation: bars are binary"),
    (["--data-dir", "/tmp"], "--data-dir: has an effect only with --data mnist"),
    (["--levels", "8"], "--levels: has an effect only with --binarisation levels or --likelihood categorical"),
    (["--binarisation", "grey", "--likelihood", "categorical", "--levels", "4"], "--levels: has an effect only with"),
    (["--schedule-epochs", "10"], "--schedule-epochs: has an effect only with --schedule warm_up or cyclical"),
    (["--prior-rate", "0.1"], "--prior-rate: has an effect only with --prior learned, or another that is trained"),
    (["--S", "5"], "S: exact visits every state and takes no samples, got S = 5"),
    (["--N", "100000000", "--K", "10"], "10**100000000 joint states are more than 65536"),
    (["--epochs", "1", "--batch", "1000000", "--lr", "1e30"], "training diverged in epoch 1"),
    (["--lr", "inf"], "--lr: expected a step size above 0, got inf"),
    (["--kl", "relaxed"], "kl: expected analytic, or relaxed or plug_in for an estimator of relaxed codes, got 'relaxed'"),
    (["--estimator", "gapped_straight_through", "--set", "gap=-1"], "gap: expected at least 0, got -1"),
    (["--estimator", "gumbel_softmax", "--tau", "-1"], "--tau: expected a temperature above 0, got -1"),
    (["--data", "mnist", "--data-dir", "/nowhere"], "expected one of train-images-idx3-ubyte.gz"),
    (["--seed", "-5"], "seed: expected at least 0"),
    (["--prior", "fixed", "--prior-probabilities", "1,2"], "--prior-probabilities: a fixed prior takes K = 16 numbers"),
    (["--schedule", "warm_up", "--schedule-epochs", "0"], "--schedule-epochs: expected at least 1"),
])  # fmt: skip
def test_what_cannot_be_used_is_one_sentence_and_exit_status_2(tmp_path, capsys, arguments, words):
    assert run("train", *arguments, "--out", tmp_path / "run") == 2, capsys.readouterr().out
    error = capsys.readouterr().err
    assert error.startswith("dvae_np: ") and words in error and error.count("\n") == 1
    assert not re.match(rf"dvae_np: ({'|'.join(OPTIONS)}):", error), "an option without its dashes"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("more", "words"), [
    (["--prior", "conditional"], "holds a run with other settings (prior); name another folder"),
    (["--lr", "0.1", "--hidden", "4"], "holds a run with other settings (hidden, lr); name another folder"),
    (["--data", "bars"], "holds a run with other settings (data); name another folder"),
])  # fmt: skip
@pytest.mark.usefixtures("sketched")
def test_a_finished_run_is_not_overwritten_by_another(tmp_path, capsys, more, words):
    command = ["train", "--epochs", "1", "--K", "3", "--hidden", "8", "--out", str(tmp_path)]
    assert run(*command) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert run(*command, *more) == 2
    assert words in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run(*command) == 0  # the same again may be


@pytest.mark.usefixtures("sketched")
def test_a_run_that_cannot_begin_removes_nothing(tmp_path, capsys):
    command = [
        "train",
        "--estimator",
        "reinforce_loo",
        "--K",
        "3",
        "--hidden",
        "8",
        "--epochs",
        "1",
        "--out",
        str(tmp_path),
    ]
    assert run(*command) == 0
    (tmp_path / "run.json").unlink()
    before = sorted(tmp_path.iterdir())
    assert run(*command, "--likelihood", "categorical", "--binarisation", "threshold") == 2
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_in_the_way_is_one_sentence(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert run("train", *QUICK, "--out", tmp_path / "taken") == 2
    assert run("verify", "--json", tmp_path / "no" / "folder.json") == run("verify", "--json", tmp_path) == 2
    assert all(line.startswith("dvae_np: --") for line in capsys.readouterr().err.splitlines())


RIGHT = Result(1, "op right", "complex step: dx", "error 0", True, 0.0)


def test_the_tour_runs_end_to_end(tmp_path, monkeypatch, capsys):
    """With few epochs and two seeds, and one result for the verification, whose own command is tested above."""
    assert tour.results is suite.results
    monkeypatch.setattr(tour, "results", lambda: [RIGHT])
    monkeypatch.setattr(tour, "SEEDS", (0, 1))
    monkeypatch.setattr(tour, "MODEL", tour.MODEL | {"epochs": 2})
    assert run("tour", "--out", tmp_path / "tour") == 0
    printed = capsys.readouterr().out
    for name in tour.ESTIMATORS:
        assert f"\n{name} " in printed
    assert "1 checks, 0 failed" in printed and str(tmp_path / "tour") in printed
    written = {path.name for path in (tmp_path / "tour").iterdir()}
    assert written == {".dvae_np", "report.html", "tour.png", "reconstructions.png", "samples.png", "data"}
    page = (tmp_path / "tour" / "report.html").read_text()
    assert (tmp_path / "tour" / "report.html").resolve().as_uri() in printed and "{" not in page.split("</style>")[1]
    assert all(f'src="{name}"' in page for name in written if name.endswith(".png"))
    assert all(f"<td>{name}</td>" in page for name in tour.ESTIMATORS) and "1 checks, 0 failed" in page
    for path in (tmp_path / "tour").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("sketched")
def test_a_tour_whose_verification_fails_says_so_and_exits_with_1(tmp_path, monkeypatch, capsys):
    wrong = Result(1, "op wrong", "complex step: dx", "error 0.3", False, 0.3, "right but for a factor 2")
    monkeypatch.setattr(tour, "results", lambda: [wrong])
    monkeypatch.setattr(tour, "SEEDS", (0,))
    monkeypatch.setattr(tour, "MODEL", tour.MODEL | {"epochs": 1})
    assert run("tour", "--out", tmp_path) == 1
    assert "FAILED  op wrong" in capsys.readouterr().out


@pytest.mark.parametrize("problem", ["vae", "toy"])
def test_compare_measures_every_row(tmp_path, monkeypatch, capsys, problem):
    """With few replicates and steps; unbiased rows say so, biased ones have a bias, exact has neither error nor variance."""
    for name in ("REPLICATES", "SWEEP_REPLICATES"):
        monkeypatch.setattr(compare, name, 40)
    monkeypatch.setattr(tuning, "TUNING_STEPS", 2)
    monkeypatch.setattr(gradient_problems, "EXAMPLES", 2)
    monkeypatch.setattr(compare, "learned_variances", learned_once)  # judged below
    assert run("compare", "--problem", problem, "--N", "1", "--K", "4", "--evaluations", "6", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    lines = {line["estimator"]: line for line in json.loads((tmp_path / "data" / "compare.json").read_text())["lines"]}
    assert list(lines) == [name for name, row in TABLE.items() if not row.owns_kl]
    assert all(f"\n{name} " in printed for name in lines)
    for name, line in lines.items():
        assert line["evaluations"] <= 6 or name == "local_expectation", line
        assert (line["bias"] == 0) == TABLE[name].unbiased or line["bias_from"] == "sampled"
    assert lines["exact"]["variance"] == 0 and lines["local_expectation"]["variance"] < 1e-20  # one latent: exact
    assert {path.name for path in tmp_path.iterdir()} == {".dvae_np", "compare.png", "sweep.png", "data"}


def test_the_practical_rule_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tuning, "TUNING_STEPS", 2)
    monkeypatch.setattr(gradient_problems, "EXAMPLES", 2)
    monkeypatch.setattr(rule, "REPLICATES", 40)
    fast = lambda *model, **options: gradient_problems.trained_problem(*model, epochs=5, **options)
    monkeypatch.setattr(rule, "trained_problem", fast)
    sizes = (rule.Size("independent", 1, 4), rule.Size("chain", 2, 3), rule.Size("rows", 8, 2))
    whole = rule.practical_rule
    monkeypatch.setattr(rule, "practical_rule", lambda *known: whole(*known, sizes=sizes))
    assert run("compare", "--rule", "--out", tmp_path) == 0
    assert "cheapest" in capsys.readouterr().out and (tmp_path / "rule.png").exists()
    record = json.loads((tmp_path / "data" / "rule.json").read_text())
    assert [model["name"] for model in record["models"]] == [size.name for size in sizes]
    for model in record["models"]:
        assert rule.estimators_of(model) == list(rule.FAMILIES[model["family"]][1])
        for name in rule.estimators_of(model):
            costs = [model[name]["costs"][str(error)] for error in rule.ERRORS]
            reached = [cost["milliseconds"] for cost in costs if cost["milliseconds"] is not None]
            assert reached == sorted(reached)  # a smaller error never costs less
            assert all(cost["default"] is None or cost["default"] >= cost["milliseconds"] for cost in costs)
            taus = {line["tau"] for line in model[name]["lines"]}
            assert taus == (set(rule.TAUS) if "tau" in TABLE[name].hyper else {None})
    monkeypatch.setattr(rule, "measured", lambda *arguments: pytest.fail("measured again"))
    assert run("compare", "--rule", "--out", tmp_path) == 0  # nothing is left to do
    del record["models"][1]["vimco"]
    (tmp_path / "data" / "rule.json").write_text(json.dumps(record))
    monkeypatch.setattr(
        rule, "measured", lambda row, *more: {"costs": record["models"][0]["vimco"]["costs"], "lines": []}
    )
    assert run("compare", "--rule", "--out", tmp_path) == 0  # a row that is added later is measured alone
    assert json.loads((tmp_path / "data" / "rule.json").read_text())["models"][1]["vimco"]["lines"] == []


def test_learned_tunables_lower_the_variance_and_equal_evaluations_are_equal():
    """On a toy every variance is exact; on a small VAE, the model fixed, the moving average's is."""
    for name, (before, after) in learned_once().items():
        assert after < 0.95 * before, (name, before, after)
    problem = gradient_problems.trained_problem(1, 4, epochs=10)
    for name, least in (("reinforce_ema", 0.5), ("nvil", 0.5)):
        row, variances = TABLE[name], []
        for hyper in (defaults(row, 1, 4), tuning.tuned(row, problem, 4, np.random.default_rng(0))):
            line = measurement.measure(row, problem, 12, hyper, np.random.default_rng(1), 0, timed=False)
            variances.append(line["variance"])
        assert variances[1] < least * variances[0], (name, variances)


def test_as_a_process_without_a_terminal():
    """`python -m` works, help teaches, and no progress bar spoils the output of a pipe."""
    help_text = subprocess.run(
        [sys.executable, "-m", "dvae_np", "train", "--help"], capture_output=True, text=True, check=True
    )
    assert "E_q[-log p(x|z)] + beta KL" in help_text.stdout and all(name in help_text.stdout for name in TABLE)
    refused = subprocess.run([sys.executable, "-m", "dvae_np", "train", "--K", "0"], capture_output=True, text=True)
    assert (
        refused.returncode == 2
        and refused.stderr == "dvae_np: --K: expected at least 1, a whole number, got 0 (--help explains)\n"
        and not refused.stdout
    )


MINE = """
import numpy as np
from dvae_np import gumbel, score, softmax

def layer(x, w):
    return x @ w, lambda dy: (dy @ w.T, x.T @ dy)

def twice(x, w):
    return x @ w, lambda dy: (dy @ w.T, 2 * x.T @ dy)

def rows(table, z):
    def backward(dy):
        dtable = np.zeros_like(table)
        np.add.at(dtable, z, dy)
        return dtable, None
    return table[z], backward

def kinked(x):
    return np.abs(x), lambda dy: dy * np.sign(x)

def soft(logits, f, u):
    y, backward = softmax((logits + gumbel(u)) / 0.5)
    fy, f_backward = f(y)
    return backward(f_backward(np.full_like(fy, 1 / len(u)))[0]).sum(0) / 0.5

def plain(logits, f, z):
    return (f(z)[0][..., None, None] * score(logits, z)).mean(0)

def raises(logits, f, z):
    raise OSError("no")

class Average:
    mean = 0.0

    def __call__(self, logits, f, z):
        fz, before = f(z)[0], self.mean
        self.mean = 0.8 * self.mean + 0.2 * fz.mean()
        return ((fz - before)[..., None, None] * score(logits, z)).mean(0)
"""


@pytest.mark.parametrize(("words", "status", "told"), [
    ("mine.py:layer --op x=3x4 w=4x2", 0, "error"), ("mine.py:twice --op x=3x4 w=4x2", 1, "right but for a factor 2"),
    ("mine.py:rows --op table=5x2 z=3<5", 0, "dtable (data: z)"), ("mine.py:layer --op mine.npz", 0, "dx, dw"),
    ("mine.py:layer --op x=3x4 w=4x2 --data x", 0, "error"), ("mine.py:kinked --op x=3x4", 0, "right, not analytic"),
    ("mine.py:layer --op x=3x4 w=4x2 --data y", 2, "--data: expected names of --op, x, w"),
    ("mine.py:layer --op x=3x4 x=2x2", 2, "--op: expected each input once"),
    ("mine.py:layer --op x=3", 2, "missing a required argument: 'w'"),
    ("mine.py:layer --op x=3x4 mine.npz", 2, "--op: expected inputs or one .npz file"),
    ("mine.py:layer --op x=40x40 w=40x40", 2, "at most 2,000 numbers"),
    ("mine.py:raises --op logits=1 f=1 z=1", 2, "it raised OSError: no"),
    ("mine.py:soft --like gumbel_softmax --set tau=0.5", 0, "SAME AS gumbel_softmax (tau = 0.5)"),
    ("mine.py:soft --like gumbel_softmax --set tau=2", 1, "temperature inverted"),
    ("mine.py:soft --like gumbel_softmax --set gap=2", 2, "--set: gumbel_softmax has tau"),
    ("mine.py:Average --steps 2", 0, "call 2"), ("mine.py:plain --steps 2", 2, "steps: expected what gives a fresh estimator"),
    ("mine.py:plain --beside reinforce_loo", 0, "variance at equal evaluations, plain / reinforce_loo"),
    ("mine.py:plain --beside mine.py:soft", 0, "and not the bias"),
    ("mine.py:plain --beside mine.py:raises", 2, "--beside: one of the two raised OSError: no"),
    ("mine.py:plain --beside nobody", 2, "expected FILE.py:FUNCTION"),
    ("mine.py:plain --beside exact --json out.json", 2, "--json: does not go with --beside"),
    ("mine.py:plain --op x=3 --like exact", 2, "--like: does not go with --op"), ("--like exact", 2, "which is missing"),
    ("mine.py:layer --op x=3 w=3 --S 3", 2, "and not with --op"), ("mine.py:plain --set tau=1", 2, "--set: goes with --like"),
])  # fmt: skip
def test_a_users_functions_are_judged_in_every_way_that_help_names(words, status, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    rng = np.random.default_rng(0)
    np.savez("mine.npz", x=rng.standard_normal((3, 4)), w=rng.standard_normal((4, 2)))
    assert run("verify", *words.split()) == status
    out, err = capsys.readouterr()
    assert told in out + err and (status < 2 or err.count("\n") == 1), out + err


def test_a_framework_that_is_not_here_is_said_to_be_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "dvae_np.check.torch", raising=False)
    (tmp_path / "mine.py").write_text(MINE)
    assert run("verify", f"{tmp_path}/mine.py:plain", "--framework", "torch") == 2
    assert "--framework: torch could not be imported" in capsys.readouterr().err
