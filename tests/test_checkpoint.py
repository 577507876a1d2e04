"""Training that loses nothing: killed and resumed it ends bit for bit where it would have; broken files are refused."""

import errno
import gzip
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from dvae_np import cli, files
from dvae_np.arrays import InputError
from dvae_np.train import Checkpoints, Interrupted, Settings, Training, checkpoint, fit, load, mnist
from dvae_np.train.mnist import read_idx
from dvae_np.train.resuming import restore, state

pytestmark = pytest.mark.usefixtures("sketched")
KILLS = 50
MUTATIONS = 1000  # of checkpoints, and as many of IDX files
SMALL = {"N": 2, "K": 3, "hidden": (6,), "batch": 64}
CASES = {
    "rebar": Settings("rebar", **SMALL, epochs=3),
    "nvil, learned prior": Settings("nvil", **SMALL, epochs=3, prior="learned", schedule="cyclical", schedule_epochs=2),
    "sgd": Settings("exact", **SMALL, epochs=3, optimiser="sgd", lr=0.01),
}


def bits(run):
    return {(group, name): array.tobytes() for group in run.params for name, array in run.params[group].items()}


@pytest.mark.parametrize("case", CASES)
def test_stopped_at_any_step_it_goes_on_bit_for_bit(case, tmp_path):
    data, settings = load("digits", "dynamic"), CASES[case]
    whole = fit(data, settings)
    steps = settings.epochs * Training(data, settings).batches
    for at in (1, 20, 21, 22, steps - 1):  # within an epoch, at its last step, its end, after the first of the next
        checkpoints, count = Checkpoints(tmp_path / str(at)), iter(range(1, 10_000))
        with pytest.raises(Interrupted, match=f"after step {at}"):
            fit(data, settings, checkpoints=checkpoints, stop=lambda count=count, at=at: next(count) == at)
        path, *start, complaints = checkpoints.newest()
        assert path.name == f"checkpoint-{at:09}.dvae" and not complaints
        run = fit(data, settings, checkpoints=checkpoints, start=start)
        assert bits(run) == bits(whole) and run.history == whole.history


TRAININGS = """
import os, pathlib, sys
import numpy as np
from dvae_np.train import checkpoint, Checkpoints, Settings, fit, load

folder, epochs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
data, settings = load('digits', 'dynamic'), Settings('rebar', N=2, K=3, hidden=(6,), batch=64, epochs=epochs)
for line in sys.stdin:  # one more process for each, without the time that imports take
    if process := os.fork():
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
        continue
    keeper = Checkpoints(folder, seconds=float(line))
    start = keeper.newest()[1:3] if keeper.paths() else None
    run = fit(data, settings, checkpoints=keeper, start=start)
    np.savez(folder / 'done.npz', **{f'{g}.{n}': a for g in run.params for n, a in run.params[g].items()})
    os._exit(0)
"""


def test_fifty_kills_change_nothing(tmp_path):
    """SIGKILL at 50 random moments of a training that saves after every step: the same parameters, bit for bit."""
    random_, kills, reached, epochs = random.Random(0), 0, [], 60
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", TRAININGS, folder, str(epochs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as server:
        while not (folder / "done.npz").exists():
            server.stdin.write("0\n" if kills < KILLS else "30\n")  # seconds between checkpoints
            process = int(server.stdout.readline())
            if kills < KILLS:
                time.sleep(random_.uniform(0, 0.06))
                os.kill(process, signal.SIGKILL)
            status = int(server.stdout.readline())
            assert status in (0, -signal.SIGKILL)
            kills += status == -signal.SIGKILL
            reached.append(Checkpoints(folder).newest()[0].name if list(folder.glob("checkpoint-*")) else "none")
    assert kills == KILLS and len(set(reached)) > 5  # it was killed in many places, and had work left each time
    assert not list(folder.glob(".*.part"))  # of what was being written when it was killed nothing stays
    whole = fit(load("digits", "dynamic"), Settings("rebar", **SMALL, epochs=epochs))
    with np.load(folder / "done.npz") as done:
        assert {name: done[name].tobytes() for name in done} == {
            ".".join(key): value for key, value in bits(whole).items()
        }


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small run's checkpoint, as bytes."""
    folder = tmp_path_factory.mktemp("good")
    fit(load("digits"), replace(CASES["rebar"], epochs=1), checkpoints=Checkpoints(folder))
    return Checkpoints(folder).paths()[0].read_bytes()


def resealed(content):
    """The same bytes with a checksum that fits them: an attacker's."""
    return content[:-32] + hashlib.sha256(content[:-32]).digest()


def mutated(content, random_):
    """One of many ways to break a file."""
    content, kind = bytearray(content), random_.randrange(7)
    if kind == 0:
        del content[random_.randrange(len(content)) :]
    elif kind == 1:
        for _ in range(random_.randint(1, 8)):
            content[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
    elif kind == 2:
        content[: random_.randint(1, 24)] = random_.randbytes(random_.randint(0, 24))
    elif kind == 3:
        place = random_.randrange(min(len(content), 60))
        content[place : place + 8] = random_.choice((b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7))
    elif kind == 4:
        content += random_.randbytes(random_.randint(1, 1000))
    elif kind == 5:
        start = random_.randrange(len(content))
        content[start : start + random_.randint(1, 200)] = b""
    else:
        content = bytearray(random_.randbytes(random_.randint(0, 200)))
    return bytes(content)


def test_a_thousand_broken_checkpoints_are_refused_in_words_and_little_memory(good, tmp_path):
    """Half of them with a checksum that fits. What can be read is read as written, or refused by `restore`."""
    random_, path, refused = random.Random(1), tmp_path / "checkpoint-000000001.dvae", 0
    data, settings = load("digits"), replace(CASES["rebar"], epochs=2)
    training = Training(data, settings)
    tracemalloc.start()
    for i in range(MUTATIONS):
        content = mutated(good, random_)
        content = resealed(content) if i % 2 and len(content) > 32 else content
        path.write_bytes(content)
        try:
            facts, arrays = checkpoint.read(path)
            assert i % 2 or content == good
            restore(training, facts, arrays)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 400
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > 0.9 * MUTATIONS and peak < 40 * len(good) + 2**22


def test_bombs_in_checkpoints(good, tmp_path):
    """Headers with a fitting checksum that announce terabytes, negative or fractional sizes, objects, or deep nesting."""
    path = tmp_path / "checkpoint-000000001.dvae"
    for header in (
        {"facts": {}, "arrays": [{"name": "a", "type": "<f8", "shape": [2**40]}]},
        {"facts": {}, "arrays": [{"name": "a", "type": "<f8", "shape": [-1, -(2**40)]}]},
        {"facts": {}, "arrays": [{"name": "a", "type": "<f8", "shape": [0.5]}]},
        {"facts": {}, "arrays": [{"name": "a", "type": "|O", "shape": [1]}]},
        {"facts": {}, "arrays": [{"name": "a", "type": ",", "shape": [1]}]},
        {"facts": [], "arrays": []}, {"facts": {}}, [], 3,
    ):  # fmt: skip
        text = json.dumps(header).encode()
        path.write_bytes(resealed(b"dvae_np checkpoint 2\n" + len(text).to_bytes(8, "little") + text + bytes(32)))
        with pytest.raises(InputError, match="a broken header"):
            checkpoint.read(path)
    nested = b"[" * 100_000
    path.write_bytes(resealed(b"dvae_np checkpoint 2\n" + len(nested).to_bytes(8, "little") + nested + bytes(32)))
    with pytest.raises(InputError, match="a broken header"):
        checkpoint.read(path)
    path.write_bytes(good.replace(b"checkpoint 2\n", b"checkpoint 3\n"))
    with pytest.raises(InputError, match=r"written by another version of dvae_np \('3'\); this one reads version 2"):
        checkpoint.read(path)
    path.write_bytes(b"")
    with open(path, "r+b") as file:
        file.truncate(2**40)  # a sparse file of a terabyte
    with pytest.raises(InputError, match="expected a checkpoint of 1 to"):
        checkpoint.read(path)


def test_a_thousand_broken_idx_files_are_read_or_refused(tmp_path):
    """Plain and gzipped, and gzip bombs: no more memory than the header's sizes, which are bounded."""
    random_ = random.Random(2)
    images = np.random.default_rng(0).integers(0, 256, (30, 9, 9), dtype=np.uint8)
    plain = b"\x00\x00\x08\x03" + np.array(images.shape, ">u4").tobytes() + images.tobytes()
    packed, refused = gzip.compress(plain), 0
    tracemalloc.start()
    for i in range(MUTATIONS):
        path = tmp_path / ("images.gz" if i % 2 else "images")
        content = mutated(packed if i % 2 else plain, random_)
        if i % 10 == 1:  # well packed, but broken inside
            content = gzip.compress(mutated(plain, random_))
        path.write_bytes(content)
        try:
            array = read_idx(path)
            assert array.dtype == np.uint8 and array.size > 0
            if not i % 2:
                assert content[-array.size :] == array.tobytes()
        except InputError as error:
            refused += 1
            assert str(path) in str(error)
    bomb = io.BytesIO()
    with gzip.open(bomb, "wb") as file:
        file.write(plain)
        for _ in range(64):
            file.write(bytes(2**20))
    path.write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="got more: truncated or corrupt"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused > MUTATIONS / 2 and peak < mnist.LARGEST + 2**24


def test_the_previous_good_checkpoint_is_used_and_named(tmp_path, capsys):
    data, settings = load("digits"), CASES["sgd"]
    fit(data, settings, checkpoints=Checkpoints(tmp_path, seconds=0))
    newest, previous = Checkpoints(tmp_path).paths()
    kept = newest.read_bytes()
    newest.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))  # a byte that is surely another one
    path, *start, complaints = Checkpoints(tmp_path).newest()
    assert path == previous and len(complaints) == 1 and f"{newest}: truncated or changed" in complaints[0]
    assert bits(fit(data, settings, start=start)) == bits(fit(data, settings))
    assert cli.main(["evaluate", str(tmp_path)]) == 0
    assert (
        f"warning: {newest}: truncated or changed: its SHA-256 is not what it says; using {previous}"
        in capsys.readouterr().out
    )
    previous.write_bytes(b"nothing")
    assert cli.main(["show", str(tmp_path)]) == 2
    assert f"{newest}: truncated" in (error := capsys.readouterr().err) and f"{previous}: not a checkpoint" in error


def test_what_cannot_be_read_is_neither_removed_nor_kept_for_good(tmp_path, capsys):
    """A new run does not delete another version's checkpoints; a resumed one puts a broken newest aside and keeps two."""
    (tmp_path / "other").mkdir()
    strange = tmp_path / "other" / "checkpoint-000000005.dvae"
    strange.write_bytes(b"dvae_np checkpoint 2\nand more")
    assert cli.main(["train", "--epochs", "1", "--out", str(tmp_path / "other")]) == 2
    assert "cannot be read, and would be removed" in capsys.readouterr().err and strange.exists()
    run = tmp_path / "run"
    assert (
        cli.main(
            ["train", "--epochs", "2", "--K", "3", "--hidden", "6", "--checkpoint-seconds", "0", "--out", str(run)]
        )
        == 0
    )
    (run / "checkpoint-999999999.dvae").write_bytes(b"dvae_np checkpoint 2\n")
    assert cli.main(["train", "--resume", str(run), "--epochs", "3", "--checkpoint-seconds", "0"]) == 0
    kept = Checkpoints(run)
    assert len(kept.paths()) == 2 and all(checkpoint.read(path) for path in kept.paths())
    assert (run / "checkpoint-999999999.broken").exists()


@pytest.mark.parametrize("command", ["evaluate", "show", "sample"])
def test_commands_refuse_crafted_checkpoints_and_other_data(tmp_path, capsys, command):
    """A fitting checksum, but facts or arrays missing, or too many; or the test split is another one."""
    fit(load("digits"), replace(CASES["sgd"], epochs=1), checkpoints=Checkpoints(tmp_path))
    path, facts, arrays, _ = Checkpoints(tmp_path).newest()
    for wrong_facts, wrong_arrays in (
        ({name: fact for name, fact in facts.items() if name != "history"}, arrays),
        (facts, {name: array for name, array in arrays.items() if name != "params.theta.table"}),
        (facts, arrays | {"params.x": np.zeros(1)}),
        (facts | {"fingerprint": facts["fingerprint"] | {"test": "0"}}, arrays),
        (facts | {"fingerprint": 3}, arrays),
        (facts | {"data": {"name": "cifar"}}, arrays),
        (facts | {"settings": 5}, arrays),
    ):
        checkpoint.write(path, wrong_facts, wrong_arrays)
        assert cli.main([command, str(tmp_path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    checkpoint.write(path, facts, arrays)
    assert cli.main([command, str(tmp_path)]) == 0


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch, where):
    """Whichever call fails with "no space left", the message names the last good checkpoint, which can still be read."""
    data, settings = load("digits"), CASES["sgd"]
    checkpoints = Checkpoints(tmp_path, seconds=0)
    with pytest.raises(Interrupted):
        fit(data, settings, checkpoints=checkpoints, stop=lambda: True)
    kept = checkpoints.paths()[0]

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    class FullFile(io.BytesIO):
        write = full

    if where == "write":
        monkeypatch.setattr(files, "open", lambda *arguments: FullFile(), raising=False)
    else:
        monkeypatch.setattr(os, where, full)
    with pytest.raises(InputError, match=rf"No space left on device.*last good checkpoint is {kept}"):
        fit(data, settings, checkpoints=checkpoints, start=checkpoints.newest()[1:3])
    monkeypatch.undo()
    assert checkpoints.newest()[0] == kept and not list(tmp_path.glob(".*.part"))


def test_a_diverging_run_names_step_array_and_checkpoint(tmp_path):
    settings = replace(CASES["sgd"], lr=1e30)
    words = r"diverged in epoch 1, step 2: .*psi\.w\d is no longer finite.*last good checkpoint is .*checkpoint-000000001\.dvae"
    with pytest.raises(InputError, match=words):
        fit(load("digits"), settings, checkpoints=Checkpoints(tmp_path, seconds=0))


@pytest.mark.parametrize("change", [{"K": 4}, {"hidden": (7,)}, {"N": 3}, {"estimator": "exact"}, {"prior": "learned"}])
def test_a_checkpoint_of_another_run_is_refused(tmp_path, change):
    data = load("digits")
    fit(data, replace(CASES["rebar"], epochs=1), checkpoints=Checkpoints(tmp_path))
    start = Checkpoints(tmp_path).newest()[1:3]
    with pytest.raises(InputError, match=r"resume: the checkpoint"):
        fit(data, replace(CASES["rebar"], **change), start=start)
    with pytest.raises(InputError, match="data are not those"):
        fit(load("digits", "stochastic"), CASES["rebar"], start=start)


def test_a_checkpoint_with_any_one_thing_of_another_run_is_refused():
    """Each setting but the number of epochs, each fact and array, positions that the data do not have."""
    training = Training(load("digits"), CASES["rebar"])
    for _ in range(training.batches + 3):
        training.step()
    facts, arrays = state(training)
    batch, epoch = facts["batch"], facts["epoch"]
    others = [({"settings": facts["settings"] | {name: "other"}}, {}) for name in facts["settings"] if name != "epochs"]
    others += [({name: "other"}, {}) for name in facts if name != "data"]
    others += [({"batch": other}, {}) for other in (-1, 0, batch + 0.5, training.batches, training.batches + 1)]
    others += [({"epoch": other}, {}) for other in (-1, 0, epoch + 1)]
    others += [({"sums": other}, {}) for other in ([], [1.0], [1.0, float("nan")], [1.0, "2"], [1.0, 2.0, 3.0])]
    others += [({"history": facts["history"] | {name: [float("inf")]}}, {}) for name in facts["history"]]
    others += [({"seconds": -1.0}, {}), ({"fingerprint": facts["fingerprint"] | {"train": "other"}}, {})]
    others += [({}, {name: other}) for name, array in arrays.items() for other in (array[..., None], array * np.nan)]
    order = arrays["order"]
    others += [({}, {"order": other}) for other in (order[1:], np.maximum(order, 1), order + 0.0)]
    for other_facts, other_arrays in others:
        with pytest.raises(InputError, match=r"^resume: "):
            restore(training, facts | other_facts, arrays | other_arrays)
            pytest.fail(f"{other_facts} {list(other_arrays)} was taken")
    for whole in (facts, arrays):
        for name in whole:
            part = {other: whole[other] for other in whole if other != name}
            with pytest.raises(InputError, match=r"^resume: "):
                restore(training, *((part, arrays) if whole is facts else (facts, part)))
    restore(training, facts | {"settings": facts["settings"] | {"epochs": 99}}, arrays)


def test_ctrl_c_saves_and_says_how_to_resume(tmp_path):
    """The command line: interrupted, resumed by the command that it names, and the same in the end as undisturbed."""
    options = ["--epochs", "1500", "--K", "3", "--hidden", "6", "--estimator", "reinforce_loo"]
    command = [sys.executable, "-m", "dvae_np", "train", *options, "--out", tmp_path / "run"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()  # the data; training begins
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "saved in" in printed
    assert f"continue with: python -m dvae_np train --resume {tmp_path / 'run'}" in printed
    assert (
        cli.main([*command[3:4], *options, "--out", str(tmp_path / "run")]) == 2
    )  # it does not overwrite what was saved
    done = Checkpoints(tmp_path / "run").newest()[1]["epoch"]
    assert 0 < done < 1500
    epochs = str(done + 3)
    assert cli.main(["train", "--resume", str(tmp_path / "run"), "--epochs", epochs]) == 0
    assert cli.main(["train", *options, "--epochs", epochs, "--out", str(tmp_path / "whole")]) == 0
    with np.load(tmp_path / "run" / "parameters.npz") as one, np.load(tmp_path / "whole" / "parameters.npz") as two:
        assert all(one[name].tobytes() == two[name].tobytes() for name in two)
    assert (tmp_path / "run" / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()
    for refused in (
        ["--K", "4"],
        ["--K", "16"],
        ["--seed", "0"],
        ["--tau", "0"],
        ["--data", "digits"],
        ["--epochs", "1"],
    ):
        assert (
            cli.main(["train", "--resume", str(tmp_path / "run"), *refused]) == 2
        )  # the defaults, too, when they are given


def test_a_checkpoint_is_due_when_so_many_seconds_have_gone_by(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, seconds=30)
    found = []
    for now[0] in (100.0, 129.9, 130.0, 200.0):
        found.append(checkpoints.due())
    checkpoints.save(1, {}, {})
    for now[0] in (229.9, 230.0):
        found.append(checkpoints.due())
    assert found == [False, False, True, True, False, True]
