"""Exit statuses: 0 done and right, 1 biased or failed, 2 it could not be done, 130 Ctrl-C; no traceback, no word lost."""

import io
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from dvae_np import cli
from dvae_np.arrays import InputError
from dvae_np.check import Result, suite
from dvae_np.folders import LOCK
from dvae_np.train import Checkpoints, Settings, checkpoint, fit, load

VERBS = cli.parser()._subparsers._group_actions[0].choices
WORDS = {
    "evaluate": ["run"],
    "show": ["run"],
    "sample": ["run"],
    "reproduce": ["reinmax"],
    "sweep": ["--estimators", "exact"],
}
ERRORS = (
    MemoryError("too much"),
    OverflowError("too large"),
    zipfile.BadZipFile("no zip"),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
    KeyError("name"),
    AttributeError("no\nattribute"),
    RecursionError("deep"),
    OSError(28, "No space left"),
    TypeError("odd"),
    ZeroDivisionError("zero"),
    np.linalg.LinAlgError("singular"),
    EOFError(),
    AssertionError(),
)


def process(*words, **how):
    """A command in a process of its own."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.Popen([sys.executable, "-m", "dvae_np", *map(str, words)], **how)


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_goes_wrong_is_one_line_and_status_2(verb, monkeypatch, capsys):
    for error in ERRORS:

        def fails(options, error=error):
            raise error

        monkeypatch.setattr(cli, "parser", lambda verb=verb, fails=fails: _with(verb, fails))
        assert cli.main([verb, *WORDS.get(verb, [])]) == 2
        told = capsys.readouterr().err
        assert told.startswith("dvae_np: ") and told.count("\n") == 1, told

    def stopped(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parser", lambda: _with(verb, stopped))
    assert cli.main([verb, *WORDS.get(verb, [])]) == 130 and capsys.readouterr().err == "dvae_np: stopped\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("--N: too many"), KeyError("name")])
def test_the_bar_is_gone_before_it_is_told_why(error, monkeypatch, capsys):
    """A progress bar cleans up after itself when it is closed; what were told before would stand in the bar's line."""

    def bar(items):
        try:
            yield from items
        finally:
            print("the bar is gone", file=sys.stderr)

    def fails(options):
        for _ in bar(range(3)):
            raise error

    monkeypatch.setattr(cli, "parser", lambda: _with("estimators", fails))
    cli.main(["estimators"])
    first, second = capsys.readouterr().err.splitlines()
    assert first == "the bar is gone" and second.startswith("dvae_np: ")


ORIGINAL = cli.parser


def _with(verb, run):
    top = ORIGINAL()
    top._subparsers._group_actions[0].choices[verb].set_defaults(run=run)
    return top


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_status_0(verb, capsys):
    assert cli.main([verb, "--help"]) == 0 and verb in capsys.readouterr().out


def test_a_failed_verification_alone_is_status_1(tmp_path, monkeypatch, capsys):
    for ok in (True, False):
        monkeypatch.setattr(suite, "results", lambda ok=ok: [Result(1, "op", "complex step: dx", "error", ok, 0.3)])
        assert cli.main(["verify"]) == int(not ok)
    np.save(tmp_path / "exact.npy", np.array([[0.5, -0.5]]))
    np.save(tmp_path / "draws.npy", np.random.default_rng(0).standard_normal((5000, 1, 2)) + 1)
    assert cli.main(["verify", "--samples", str(tmp_path / "draws.npy"), "--exact", str(tmp_path / "exact.npy")]) == 1


def npz():
    """The bytes of an archive of arrays."""
    file = io.BytesIO()
    np.savez(file, a=np.zeros((2, 3)))
    return file.getvalue()


def npy(head=None):
    """The bytes of an array's file, with another header if there is one."""
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3)))
    content = file.getvalue()
    return (
        content if head is None else content[:10] + head.ljust(len(content) - 10 - 49).encode() + b"\n" + content[-48:]
    )


SAMPLES = {
    "empty": b"",
    "text": b"1 2 3",
    "an archive": npz(),
    "an archive cut short": npz()[:100],
    "cut short": npy()[:-9],
    "its header cut short": npy()[:20],
    "no header": npy("nonsense"),
    "a bomb": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10**14,)}"),
    "code": npy("__import__('os').system('true')"),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"),
    "text in an array": npy("{'descr': '<U6', 'fortran_order': False, 'shape': (2,)}"),
    "pickle": b"\x80\x04K\x01.",
    "a negative shape": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}"),
    "a number": npy("{'descr': '<f8', 'fortran_order': False, 'shape': ()}"),
}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("which", ["samples", "exact"])
def test_gradients_in_no_file_of_gradients_are_refused(which, kind, tmp_path, capsys):
    paths = {each: tmp_path / f"{each}.npy" for each in ("samples", "exact")}
    np.save(paths["samples"], np.random.default_rng(0).standard_normal((50, 2, 3)))
    np.save(paths["exact"], np.zeros((2, 3)))
    paths[which].write_bytes(SAMPLES[kind])
    assert cli.main(["verify", "--samples", str(paths["samples"]), "--exact", str(paths["exact"])]) in (1, 2)
    told = capsys.readouterr()
    assert told.err.count("\n") <= 1 and "mistake of dvae_np" not in told.err and "Traceback" not in told.out + told.err


FUNCTIONS = {
    "a builtin": "f = max",
    "a method of C": "f = 'x'.join",
    "a class": "class f:\n    pass",
    "a ufunc": "from numpy import add as f",
    "a type": "f = dict",
    "a partial": "import functools\nf = functools.partial(print)",
    "an error": "def f(logits, f, z): 1 / 0",
    "a generator": "def f(logits, f, z): yield 1",
    "leaves": "def f(logits, f, z): raise SystemExit(0)",
    "a class of estimators": "class f:\n    def __init__(self, logits, f, z): pass",
    "text": "f = 'f'",
    "nothing": "f = None",
    "any arguments": "f = lambda *a, **k: None",
    "keywords": "def f(*, logits, f, z): pass",
    "an odd name": "def f(logits, f, w): pass",
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_what_is_no_estimator_is_told_so_in_words(kind, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FUNCTIONS[kind] + "\n")
    status = cli.main(["verify", f"{tmp_path / 'mine.py'}:f"])
    told = capsys.readouterr()
    assert status in (1, 2) and "Traceback" not in told.out + told.err and "mistake of dvae_np" not in told.err
    assert told.err.count("\n") == (status == 2) and ("INVALID" in told.out) == (status == 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run in a folder whose name ASCII does not have."""
    folder = tmp_path_factory.mktemp("runs") / "größe-ü"
    fit(load("digits"), Settings(K=3, hidden=(6,), epochs=1), checkpoints=Checkpoints(folder))
    return folder


@pytest.mark.parametrize("words", [["evaluate"], ["show"], ["sample"], ["train", "--epochs", "2", "--resume"]])
def test_what_the_terminal_cannot_show_is_shown_as_far_as_it_can(words, run):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = process(*words, run, env=environment)
    out, err = ended.communicate()
    assert ended.returncode == 0 and not err and b"gr??e-?" in out and b"written to" in out
    refused = process(*words, f"{run}-ü", env=environment)
    assert (
        b"Traceback" not in (err := refused.communicate()[1])
        and err.startswith(b"dvae_np: ")
        and refused.returncode == 2
    )


@pytest.mark.parametrize("words", [["estimators"], ["--help"], ["train", "--help"], ["evaluate", "RUN"]])
def test_nobody_reads_on_and_nothing_is_said_about_it(words, run):
    words = [str(run) if word == "RUN" else word for word in words]
    reader, writer = os.pipe()
    os.close(reader)
    ended = process(*words, stdout=writer)
    os.close(writer)
    assert ended.communicate()[1] == b"" and ended.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("words", [["estimators"], ["evaluate", "RUN"]])
def test_what_could_not_be_written_is_told(words, run):
    with open("/dev/full", "w") as full:
        ended = process(*[str(run) if word == "RUN" else word for word in words], stdout=full)
        assert ended.communicate()[1] == b"dvae_np: <stdout>: No space left on device\n" and ended.returncode == 2


def test_work_goes_on_when_nobody_reads(tmp_path):
    """And what it found is kept: a training whose first line was enough for its reader."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ("train", "--epochs", "1", "--K", "3", "--hidden", "6", "--out", tmp_path / "run")
    ended = process(*command, stdout=writer, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    os.close(writer)
    assert ended.communicate()[1] == b"" and ended.returncode == 0 and (tmp_path / "run" / "run.json").exists()


def test_ctrl_c_while_importing(tmp_path):
    """The import of NumPy is made to last; what is printed is one line, and the status is that of a stopped command."""
    (tmp_path / "numpy.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    stopped = process("estimators", env=os.environ | {"PYTHONPATH": path})
    assert stopped.stdout.readline() == b"importing\n"
    time.sleep(0.05)
    stopped.send_signal(signal.SIGINT)
    assert stopped.communicate()[1] == b"dvae_np: stopped\n" and stopped.returncode == 130


def test_ctrl_c_at_work_leaves_no_lock_and_no_empty_folder(tmp_path):
    stopped = process("compare", "--out", tmp_path / "new")
    while not (tmp_path / "new" / LOCK).exists() or not (tmp_path / "new" / LOCK).read_text():
        assert stopped.poll() is None
    time.sleep(0.1)
    stopped.send_signal(signal.SIGINT)
    assert stopped.communicate()[1] == b"dvae_np: stopped\n" and stopped.returncode == 130
    assert not any(tmp_path.iterdir())


def test_importing_the_package_leaves_ctrl_c_as_it_is():
    code = "import signal; old = signal.getsignal(signal.SIGINT); import dvae_np; print(signal.getsignal(signal.SIGINT) is old)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


CRAFTED = {
    "history": (
        {},
        {"loss": []},
        {"loss": [1.0], "kl": [1.0], "beta": [1.0], "validation": ["x"]},
        3,
        None,
        {"loss": [1.0], "kl": [1.0], "beta": [1.0], "validation": []},
    ),
    "epoch": (-1, 2.5, "1", None, 10**30, [1], True),
    "batch": (-1, 10**9, 0.5, None),
    "sums": ([], [1], ["a", "b"], None, 3),
    "seconds": ("long", None, -1, []),
    "generator": ({}, None, 3, {"state": {"state": [1]}}, {"bit_generator": "MT19937"}),
    "fingerprint": ({}, 3, {"train": 0, "test": 1}, None),
    "data": ({}, 3, None, {"name": "digits", "x": 1}, {"name": ["digits"]}),
    "settings": ({}, [], None, {"N": 2}),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(name, facts, arrays) of a checkpoint after one epoch."""
    folder = tmp_path_factory.mktemp("written")
    fit(load("digits"), Settings(K=3, hidden=(6,), epochs=1), checkpoints=Checkpoints(folder))
    path, facts, arrays, _ = Checkpoints(folder).newest()
    return path.name, facts, arrays


@pytest.mark.parametrize("fact", CRAFTED)
@pytest.mark.parametrize("words", [["evaluate"], ["show"], ["sample"], ["train", "--resume"]])
def test_a_crafted_checkpoint_is_refused_in_a_sentence(words, fact, tmp_path, capsys, written):
    """The checksum fits, the arrays too; one fact is not what a run writes."""
    name, facts, arrays = written
    path = tmp_path / name
    for value in CRAFTED[fact]:
        checkpoint.write(path, facts | {fact: value}, arrays)
        assert cli.main([*words, str(tmp_path)]) == 2, value
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and str(path) in told and "mistake of dvae_np" not in told, told


@pytest.mark.parametrize(
    "words",
    [
        ["--N", "1000000000", "--K", "1000000000"],
        ["--K", "1000000000"],
        ["--S", "1000000000"],
        ["--hidden", "1,1000000,1000000"],
    ],
)
def test_what_no_machine_can_hold_is_told_so(words, tmp_path, capsys):
    assert cli.main(["train", "--estimator", "reinforce", *words, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert (
        told.startswith("dvae_np: S, K, N, batch or hidden: more than this machine's memory") and told.count("\n") == 1
    )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_closed_streams_are_no_reason_to_stop(closed, run):
    number = {"stdout": 1, "stderr": 2}[closed]
    command = f'exec "$0" -m dvae_np evaluate "$1" {number}>&-'
    ended = subprocess.run(["sh", "-c", command, sys.executable, run], capture_output=True)
    assert ended.returncode == 0 and not ended.stderr
