"""Folders that commands write into: one process at a time, and nothing lost that is somebody else's, or a run's."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dvae_np import cli
from dvae_np.arrays import InputError
from dvae_np.cli.run import PICTURES
from dvae_np.cli.training import WRITTEN
from dvae_np.experiments import compare, gallery, published_toys, tour
from dvae_np.folders import LOCK, MARK, Output, alone
from dvae_np.train import Checkpoints, checkpoint

pytestmark = pytest.mark.usefixtures("sketched")
FIGURES = Path(__file__).resolve().parents[1] / "figures"
TRAIN = ["train", "--epochs", "2", "--K", "3", "--hidden", "6"]
COMMANDS = {  # every command that writes into a folder: its words before the folder, the folder's kind, what it writes
    "train": ([*TRAIN, "--out"], "run", WRITTEN),
    "train --resume": (["train", "--resume"], "run", WRITTEN),
    "evaluate": (["evaluate"], "run", ["evaluation.json"]),
    "show": (["show"], "run", PICTURES),
    "sample": (["sample"], "run", ["samples.npz", "samples.png"]),
    "sweep": (["sweep", "--estimators", "exact", "--seeds", "0", "--sizes", "3x1", "--out"], "sweep",
              ["options.json", "sweep.csv", "3x1-exact-s0/log.txt"]),
    "reproduce": (["reproduce", "reinmax", "--out"], "reproduce", ["reinmax-8x4-reinmax-s0.json"]),
    "tour": (["tour", "--out"], "figures", tour.WRITTEN),
    "compare": (["compare", "--out"], "figures", ["data/compare.json", "compare.png", "sweep.png"]),
    "compare --rule": (["compare", "--rule", "--out"], "figures", ["data/rule.json", "rule.png"]),
    "compare --train": (["compare", "--train", "digits", "--out"], "figures", ["data/equal-time-digits.json"]),
    "compare --lessons": (["compare", "--lessons", "--out"], "figures", ["data/first-model.json", "first_model.png"]),
    "compare --quantised": (["compare", "--quantised", "--out"], "figures", ["data/quantised.json"]),
    "compare --toys": (["compare", "--toys", "--out"], "figures",
                       ["data/published-toys.json", *published_toys.PICTURES.values()]),
    "complete": (["complete", "--out"], "figures",
                 ["data/completion-digits.json", "data/completion-digits.npz", "completion-digits.png"]),
    "collapse": (["collapse", "--out"], "figures", ["data/collapse.json", "collapse.png"]),
    "gaps": (["gaps", "--out"], "figures", ["data/gaps.json"]),
    "bench": (["bench", "--out"], "figures", ["data/bench.json", "bench.png"]),
    "figures": (["figures", "--out"], "figures", gallery.WRITTEN),
}  # fmt: skip
ON_A_RUN = ("train --resume", "evaluate", "show", "sample")


def contents(folder):
    """{name: bytes} of every file in a folder, whatever its depth."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    assert cli.main([*TRAIN, "--out", str(folder)]) == 0
    return contents(folder)


def laid(folder, files):
    """These files, in a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def refused(capsys, words, folder, *told):
    """The command ends with status 2 and one line, and every file in the folder is as it was."""
    before = contents(folder)
    assert cli.main([*words, str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(each in error for each in told), error
    assert contents(folder) == before


def test_every_command_with_a_folder_is_here():
    verbs = cli.parser()._subparsers._group_actions[0].choices
    own = {
        verb for verb, parser in verbs.items() if {"out", "run_folder"} & {action.dest for action in parser._actions}
    }
    assert own == {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_of_somebody_else_is_refused(name, tmp_path, capsys):
    refused(capsys, COMMANDS[name][0], laid(tmp_path, {"notes.txt": b"mine", "data/more": b"mine"}), str(tmp_path))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_of_somebody_else_is_not_overwritten(name, tmp_path, capsys, finished):
    """Each file that a command writes, put by somebody else into a folder that is otherwise the command's."""
    words, kind, written = COMMANDS[name]
    for number, file in enumerate(written):
        marked = {MARK: f"{kind} other.png\n".encode(), "other.png": b""}
        if kind == "run":
            marked = {each: content for each, content in finished.items() if each.startswith("checkpoint-")}
        folder = laid(tmp_path / str(number), marked | {file: b"not a record of dvae_np"})
        refused(capsys, words, folder, file.split("/")[-1])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_file_of_another_kind_of_command_is_not_overwritten(name, tmp_path, capsys, finished):
    words, kind, written = COMMANDS[name]
    mark = "".join(f"another {file}\n" for file in written)
    run = (
        {each: content for each, content in finished.items() if each.startswith("checkpoint-")} if kind == "run" else {}
    )
    refused(capsys, words, laid(tmp_path, run | {MARK: mark.encode()} | dict.fromkeys(written, b"{}")))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_in_use_is_refused_by_the_number_of_the_process(name, tmp_path, capsys, finished):
    words, kind, _ = COMMANDS[name]
    laid(tmp_path, finished if kind == "run" else {})
    busy = tmp_path / "reinmax-8x4-reinmax-s0" if name == "reproduce" else tmp_path
    with alone(busy, kind, []):
        refused(capsys, words, tmp_path, f"process {os.getpid()} is at work in {busy}")
    assert not (busy / LOCK).exists()


@pytest.mark.parametrize("name", ON_A_RUN)
def test_a_run_that_is_not_there_is_not_made(name, tmp_path, capsys):
    assert cli.main([*COMMANDS[name][0], str(tmp_path / "none")]) == 2
    assert "no checkpoint there" in capsys.readouterr().err and not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ON_A_RUN])
def test_a_folder_that_cannot_be_made_is_refused_and_one_that_was_made_for_nothing_removed(name, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "in", tmp_path / ("n" * 300)):
        assert cli.main([*COMMANDS[name][0], str(folder)]) == 2
        assert capsys.readouterr().err.startswith("dvae_np: --out: ")
    with pytest.raises(InputError, match="stop"), alone(tmp_path / "a" / "b", "run", ["run.json"]) as out:
        assert out / "run.json" == tmp_path / "a" / "b" / "run.json"  # which is never written
        raise InputError("stop")
    assert contents(tmp_path) == {"file": b""} and len(list(tmp_path.iterdir())) == 1


def test_a_record_of_other_options_is_not_overwritten(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(compare, "compare", lambda *arguments: pytest.fail("it was measured"))
    record = {"command": compare.command_of("vae", 12, 3, 5)}
    laid(tmp_path, {MARK: b"figures data/compare.json\n", "data/compare.json": json.dumps(record).encode()})
    refused(capsys, ["compare", "--out"], tmp_path, "`python -m dvae_np compare --problem vae --N 3`")


def test_what_a_finished_run_left_is_there_until_the_next_one_has_saved(tmp_path, finished, monkeypatch):
    """Given again and killed before its first checkpoint, the command has removed nothing; after it, the old ones are gone."""
    laid(tmp_path, finished)
    save = Checkpoints.save

    def killed(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", killed)
    assert cli.main([*TRAIN, "--out", str(tmp_path)]) == 130 and contents(tmp_path) == finished
    saved = []

    def watched(self, *arguments):
        old = {path.name for path in self.paths()}
        path = save(self, *arguments)
        saved.append((old, {path.name for path in self.paths()}))
        return path

    monkeypatch.setattr(Checkpoints, "save", watched)
    assert cli.main([*TRAIN, "--out", str(tmp_path), "--checkpoint-seconds", "0"]) == 0
    last = "checkpoint-000000042.dvae" if "checkpoint-000000042.dvae" in finished else "checkpoint-000000026.dvae"
    assert saved[0] == ({last}, {"checkpoint-000000001.dvae"})
    assert saved[1][1] == {"checkpoint-000000001.dvae", "checkpoint-000000002.dvae"}
    assert contents(tmp_path)["parameters.npz"] == finished["parameters.npz"]  # the same run, bit for bit


@pytest.mark.parametrize(
    "again", [[*TRAIN, "--out"], ["train", "--epochs", "3", "--resume"], ["evaluate"], ["show"], ["sample"]]
)
def test_files_whose_names_only_look_like_ours_stay(again, tmp_path, finished):
    foreign = dict.fromkeys(
        ("checkpoint-final.dvae", "checkpoint-000000001.dvae.part", "checkpoint-9.part", ".checkpoint-1.part", "run.part",
         "evaluation.json.part", "checkpoint-000000026.broken", "data/compare.json", ".lock"), b"mine")  # fmt: skip
    laid(tmp_path, finished | foreign)
    assert cli.main([*again, str(tmp_path)]) == 0
    assert {name: contents(tmp_path).get(name) for name in foreign} == foreign


def test_a_broken_checkpoint_is_put_aside_under_a_name_that_is_free(tmp_path, finished):
    laid(tmp_path, finished | {"checkpoint-999999999.dvae": b"broken", "checkpoint-999999999.broken": b"mine"})
    assert cli.main(["train", "--resume", str(tmp_path), "--epochs", "3"]) == 0
    after = contents(tmp_path)
    assert after["checkpoint-999999999.broken"] == b"mine" and after["checkpoint-999999999.broken1"] == b"broken"


def test_parts_of_killed_processes_go_and_others_stay(tmp_path):
    keeper = Checkpoints(tmp_path)
    laid(tmp_path, {".checkpoint-000000007.dvae.0a1b2c3d.part": b"", ".notes.0a1b2c3d.part": b"mine"})
    keeper.save(1, {}, {"a": np.zeros(3)})
    assert set(contents(tmp_path)) == {"checkpoint-000000001.dvae", ".notes.0a1b2c3d.part"}


def test_of_two_trainings_in_one_folder_the_second_is_refused_and_a_dead_ones_lock_is_taken(tmp_path, capsys):
    """While the first is at work, neither `train` nor --resume begins; when it is killed, its lock holds nobody up."""
    command = [
        sys.executable,
        "-m",
        "dvae_np",
        *TRAIN,
        "--epochs",
        "100000",
        "--checkpoint-seconds",
        "0.05",
        "--out",
        tmp_path,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        try:
            while len(Checkpoints(tmp_path).paths()) < 2:
                assert first.poll() is None
            for words in (TRAIN + ["--out"], ["train", "--resume"], ["evaluate"]):
                assert cli.main([*words, str(tmp_path)]) == 2
                assert f"process {first.pid} is at work in {tmp_path}" in capsys.readouterr().err
        finally:
            first.send_signal(signal.SIGKILL)
    assert (tmp_path / LOCK).read_text() == f"{first.pid}\n"
    epoch = Checkpoints(tmp_path).newest()[1]["epoch"] + 1
    assert cli.main(["train", "--resume", str(tmp_path), "--epochs", str(epoch)]) == 0
    assert not (tmp_path / LOCK).exists() and not list(tmp_path.glob("*.broken*"))
    assert all(checkpoint.read(path) for path in Checkpoints(tmp_path).paths())


def test_a_lock_that_was_removed_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """Who gets a lock on a file that its holder has just removed tries again, on the file that is there now."""
    import fcntl

    flock, times = fcntl.flock, []

    def removed_first(file, how):
        times.append(how)
        if len(times) == 1:
            (tmp_path / LOCK).unlink()
        return flock(file, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with alone(tmp_path, "run", []):
        assert len(times) == 2 and (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_file_system_without_locks_is_no_reason_to_stop(tmp_path, monkeypatch):
    import fcntl

    def unsupported(file, how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with alone(tmp_path, "run", []) as out:
        assert (out / "run.json").parent == tmp_path
    assert contents(tmp_path) == {MARK: b"run run.json\n"}


def test_the_committed_figures_are_all_noted_as_written_by_commands():
    """So that `figures --out figures` may draw them again; a new file belongs into figures/.dvae_np too."""
    out = Output(FIGURES, "figures", gallery.WRITTEN)
    assert all(out.wrote(name) for name in contents(FIGURES) if name != MARK)


@pytest.mark.parametrize(
    "record", [None, b"", b"[]", b'{"settings": 3, "data": ""}', b'{"settings": {"K": 4}, "data": "digits"}']
)
def test_a_finished_run_without_its_checkpoints_is_known_by_its_record(tmp_path, capsys, finished, record):
    """It is not overwritten by one with other settings, nor where it cannot be told which they were."""
    run = {name: content for name, content in finished.items() if not name.startswith("checkpoint-")}
    laid(tmp_path, run if record is None else run | {"run.json": record})
    refused(capsys, [*TRAIN, "--lr", "0.5", "--out"], tmp_path, str(tmp_path))
    if record is None:
        assert cli.main([*TRAIN, "--out", str(tmp_path)]) == 0  # the same again may be


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_what_is_no_file_is_neither_waited_for_nor_replaced(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    np.save(tmp_path / "exact.npy", np.zeros(3))
    for name in ("pipe", "null"):
        for words in (
            ["--json", name],
            ["--samples", name, "--exact", "exact.npy"],
            ["--samples", "exact.npy", "--exact", name],
        ):
            words = [str(tmp_path / word) if not word.startswith("-") else word for word in words]
            assert cli.main(["verify", *words]) == 2 and capsys.readouterr().err.count("\n") == 1
    (tmp_path / "run").mkdir()
    for name in ("run.json", "checkpoint-000000001.dvae"):
        os.mkfifo(tmp_path / "run" / name)
    for words in (["evaluate"], ["train", "--resume"], [*TRAIN, "--out"]):
        assert cli.main([*words, str(tmp_path / "run")]) == 2 and capsys.readouterr().err.count("\n") == 1
    assert Path(os.devnull).is_char_device()


def test_a_report_is_not_written_over_another_file(tmp_path, capsys, monkeypatch):
    from dvae_np.check import Result, suite

    monkeypatch.setattr(suite, "results", lambda: [Result(1, "op", "complex step: dx", "error 0", True, 0.0)])
    file = tmp_path / "report.json"
    for foreign in (b"notes", b"{}", b"[]", b"\xff\xfe", json.dumps({"ok": True}).encode()):
        file.write_bytes(foreign)
        assert cli.main(["verify", "--json", str(file)]) == 2 and file.read_bytes() == foreign
        assert f"--json: {file} is there already and is no report" in capsys.readouterr().err
    file.unlink()
    assert cli.main(["verify", "--json", str(file)]) == cli.main(["verify", "--json", str(file)]) == 0
