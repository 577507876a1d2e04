"""Sweeps: all combinations, one thread each, resumable bit for bit, failures told and left behind."""

import json
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from dvae_np import InputError, cli
from dvae_np.experiments import sweep
from dvae_np.train import Checkpoints, Settings, fit, load

EPOCHS = 150  # ten times what a run takes to its first checkpoint
TINY = ["--epochs", "1", "--hidden", "8"]


def test_all_combinations_are_planned(tmp_path):
    runs = sweep.plan(tmp_path, ["exact", "reinforce_loo", "reinforce"], [0, 1], [(4, 2), (3, 1)], 4, TINY)
    assert len(runs) == len({run.folder for run in runs}) == 12
    commands = {run.folder.name: " ".join(run.command) for run in runs}
    assert commands["4x2-exact-s0"] == "train --estimator exact --seed 0 --N 2 --K 4 --S 1 --epochs 1 --hidden 8"
    assert "--S 4" in commands["3x1-reinforce_loo-s1"]
    (fewest,) = sweep.plan(tmp_path / "..", ["reinforce_loo"], [0], [(4, 2)], 1, TINY)
    assert "--S 2" in " ".join(fewest.command)  # the nearest that leave-one-out takes
    with pytest.raises(InputError, match="--seed: given by the sweep"):
        sweep.plan(tmp_path, ["exact"], [0], [(4, 2)], 1, ["--seed", "3"])
    assert len(sweep.plan(tmp_path, ["exact", "exact"], [0, 0], [(4, 2)], 1, TINY)) == 1
    (tmp_path / "options.json").write_text(json.dumps({"options": TINY, "S": 4}))
    with pytest.raises(InputError, match="holds a sweep with other options"):
        sweep.plan(tmp_path, ["exact"], [0], [(4, 2)], 4, ["--epochs", "2"])


def test_finished_runs_stay_and_failures_are_told(tmp_path, capsys, monkeypatch):
    arguments = ["sweep", "--estimators", "exact", "straight_through", "--seeds", "0", "--sizes", "3x1", "--jobs", "2"]
    arguments += ["--out", str(tmp_path), "--", *TINY]
    start = sweep.start
    broken = tuple("straight_through --lr 1e30 --batch 1000000".split())

    def sabotaged(run, environment):
        command = tuple(part for word in run.command for part in (broken if word == broken[0] else (word,)))
        return start(replace(run, command=command), environment)

    monkeypatch.setattr(sweep, "start", sabotaged)
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().out
    assert "failed: 3x1-straight_through-s0: dvae_np: --lr: training diverged in epoch 1" in printed
    record = json.loads((tmp_path / "3x1-exact-s0" / "run.json").read_text())
    assert f"{record['test']['negative_elbo']:.3f}" in printed
    lines = (tmp_path / "sweep.csv").read_text().splitlines()
    assert len(lines) == 2 and lines[1].startswith("3,1,exact,0,")
    monkeypatch.setattr(sweep, "start", lambda *arguments: pytest.fail("a finished run was started again"))
    assert cli.main([argument for argument in arguments if argument != "straight_through"]) == 0


def test_what_a_run_would_refuse_is_refused_before_any_run(tmp_path, capsys):
    command = ["sweep", "--estimators", "exact", "arm", "--seeds", "0", "--sizes", "3x1", "--out", str(tmp_path)]
    assert cli.main([*command, "--", *TINY]) == 2
    assert "K: arm is for binary latents, K = 2, got 3" in capsys.readouterr().err
    assert cli.main([*command, "--", "--epoch", "3"]) == 2
    assert not any(tmp_path.iterdir())  # so that the corrected command is not refused


def test_a_run_that_leaves_no_record_has_failed(tmp_path):
    (run,) = sweep.plan(tmp_path, ["exact"], [0], [(3, 1)], 1, ["--help"])
    assert sweep.carry_out([run], 1, print) == {run: sweep.last_line(run.folder / "log.txt")}
    (run.folder / "run.json").write_text('{"half')
    assert run.record is None


def test_options_that_no_checkpoint_holds_are_given_again():
    command = ("train", "--data-dir=/x", "--lr", "1", "--device", "cpu", "--checkpoint-seconds", "3")
    names = ("--data-dir", "--device", "--checkpoint-seconds")
    assert sweep._given(command, names) == ("--data-dir=/x", "--device", "cpu", "--checkpoint-seconds", "3")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--estimators", "exakt"], "--estimators"),
        (["--estimators", "exact", "--jobs", "0"], "--jobs"),
    ],
)
def test_what_cannot_be_used_is_named(arguments, words, capsys, tmp_path):
    assert cli.main(["sweep", *arguments, "--out", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture(scope="module")
def undisturbed():
    """The parameters of both runs of a sweep, trained in this process without a pause: {estimator: {name: array}}."""
    params = {}
    for name in ("exact", "reinforce_loo"):
        settings = Settings(name, N=2, K=6, S=1 if name == "exact" else 4, hidden=(16,), epochs=EPOCHS)
        params[name] = fit(load("digits"), settings).params
    return params


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_goes_on_bit_for_bit(tmp_path, number, undisturbed):
    """Stopped by Ctrl-C, or told to end, while both runs are at work, and given again: the same parameters as without."""
    command = [sys.executable, "-m", "dvae_np", "sweep", "--estimators", "exact", "reinforce_loo", "--seeds", "0",
               "--sizes", "6x2", "--jobs", "2", "--S", "4", "--out", str(tmp_path), "--"]  # fmt: skip
    command += ["--epochs", str(EPOCHS), "--hidden", "16", "--checkpoint-seconds", "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    folders = {name: tmp_path / f"6x2-{name}-s0" for name in undisturbed}
    while not all(Checkpoints(folder).paths() for folder in folders.values()):  # both are at work
        time.sleep(0.01)
    process.send_signal(number)
    assert "stopped; all runs are saved" in process.communicate(timeout=60)[0] and process.returncode == 130
    assert any("stopped in epoch" in (folder / "log.txt").read_text() for folder in folders.values())
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for name, params in undisturbed.items():
        with np.load(folders[name] / "parameters.npz") as kept:
            whole = {f"{group}.{key}": array for group in params for key, array in params[group].items()}
            assert {key: kept[key].tobytes() for key in kept} == {key: array.tobytes() for key, array in whole.items()}


def test_the_commands_of_a_sweep_may_be_carried_out_elsewhere(tmp_path, capsys):
    """Printed, run by a shell one after the other, and collected by the same sweep, which draws their curves."""
    asked = [
        "sweep",
        "--estimators",
        "exact",
        "reinforce_loo",
        "--seeds",
        "0",
        "1",
        "--sizes",
        "3x2",
        "--out",
        str(tmp_path / "a b"),
    ]
    train = ["--", "--data", "bars", "--epochs", "2", "--hidden", "4", "--patience", "1"]
    assert cli.main([*asked, "--print", *train]) == 0
    commands = capsys.readouterr().out.splitlines()
    assert len(commands) == 4 and all(line.startswith("python -m dvae_np train --estimator") for line in commands)
    for line in commands:
        words = shlex.split(line)
        assert subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False).returncode == 0
    assert cli.main([*asked, "--print", *train]) == 0 and not capsys.readouterr().out
    assert cli.main([*asked, *train]) == 0
    assert "4 runs, 4 of them finished" in (said := capsys.readouterr().out) and "curves-3x2.png" in said
    assert (tmp_path / "a b" / "curves-3x2.png").stat().st_size > 5000
