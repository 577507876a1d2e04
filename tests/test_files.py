"""Files are written whole or not at all, by one function; a full disk or a kill leaves what was there."""

import errno
import os
import re
import stat
from pathlib import Path

import pytest

import dvae_np
from dvae_np import cli
from dvae_np.arrays import InputError
from dvae_np.check import Result, suite
from dvae_np.files import read_record, write_record, write_table, write_text, written

TRAIN = ["train", "--epochs", "1", "--K", "3", "--hidden", "6", "--out"]
SOURCES = sorted(Path(dvae_np.__file__).parent.rglob("*.py"))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "new" / "numbers.bin"
    with written(path) as file:
        file.write(b"first")
        assert not path.exists()
    for error in (OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()):
        with pytest.raises(type(error)), written(path) as file:
            file.write(b"second, hal")
            raise error
    assert contents(tmp_path) == {"new/numbers.bin": b"first"}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask  # as any file's, and not a temporary one's


def test_two_that_write_one_file_do_not_meet(tmp_path):
    with written(tmp_path / "a") as one, written(tmp_path / "a") as other:
        one.write(b"1" * 9)
        other.write(b"2" * 5)
    assert contents(tmp_path) in ({"a": b"1" * 9}, {"a": b"2" * 5})


def test_text_tables_and_records(tmp_path):
    write_text(tmp_path / "text", "ü ± \udcff")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "ü ± ?"
    write_table(tmp_path / "table", ["a", "b,c"], [(1, 0.5), ("x", None)])
    assert (tmp_path / "table").read_bytes() == b'a,"b,c"\r\n1,0.5\r\nx,\r\n'
    write_record(tmp_path / "record", {"a": [1, 2.5]})
    before = contents(tmp_path)
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_record(tmp_path / "record", {"a": number})
    assert contents(tmp_path) == before and read_record(tmp_path / "record") == {"a": [1, 2.5]}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b'"x"', b"null", b"\xff\xfe", b"[" * 10**5, b"{" * 99, b"\x00"]
)
def test_a_record_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'r.json'}: expected a record")):
        read_record(tmp_path / "r.json")
    assert read_record(tmp_path / "none.json") is None
    with pytest.raises(InputError, match="expected a record"):
        read_record(tmp_path)


WRITERS = {
    "files.py": "all of it",
    "checkpoint.py": "gives a broken checkpoint another name",
    "measure.py": "a temporary folder",
    "worker.py": "asks the kernel for a number",
    "terminal.py": "the null device",
    "shown.py": "a picture in memory",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_nothing_else_writes_files(path):
    """Where a function that writes is called, it is given the file that `written` opened; logs and marks are only added to."""
    source = path.read_text(encoding="utf-8")
    writes = re.findall(r"\.write_(?:text|bytes)\(|os\.replace\(|\.rename\(|json\.dump\(", source)
    writes += [
        call for call in re.findall(r"(?:savez|savez_compressed|np\.save|savefig)\((\w+)", source) if call != "file"
    ]
    modes = re.findall(r"\bopen\([^()\n]*(?:\([^()]*\))?[^()\n]*, \"([a-z+]+)\"", source)
    writes += [mode for mode in modes if mode not in ("rb", "a", "a+b")]
    assert not writes or path.name in WRITERS


COMMANDS = {
    "train": TRAIN,
    "train --resume": ["train", "--epochs", "2", "--resume"],
    "evaluate": ["evaluate"],
    "show": ["show"],
    "sample": ["sample"],
}


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_takes_nothing_away(name, tmp_path, monkeypatch, capsys):
    """A finished run, evaluated and sampled; then no file gets its name any more."""
    for words in (TRAIN, ["evaluate"], ["sample"]):
        assert cli.main([*words, str(tmp_path)]) == 0
    before = contents(tmp_path)
    capsys.readouterr()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert cli.main([*COMMANDS[name], str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("No space left on device") == 1 and contents(tmp_path) == before


def test_a_report_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(suite, "results", lambda: [Result(1, "op", "complex step: dx", "error 0", True, 0.0)])
    file = tmp_path / "report.json"
    assert cli.main(["verify", "--json", str(file)]) == 0
    before = contents(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    assert cli.main(["verify", "--json", str(file)]) == 2 and contents(tmp_path) == before
    assert capsys.readouterr().err == f"dvae_np: {file}: Input/output error\n"
