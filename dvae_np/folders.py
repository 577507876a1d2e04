"""The folder that a command writes into: its alone while it works, and nothing in it overwritten but what such commands wrote.

Which files those are is kept in the folder, in ``.dvae_np``: one line a file, the kind of folder and the file's name. While a
command works it holds a lock of the operating system on ``.dvae_np.lock``, which ends with the process, however that ends.
"""

import contextlib
import os
from contextlib import contextmanager

from dvae_np.arrays import InputError
from dvae_np.files import read_record
from dvae_np.train.checkpoint import Checkpoints

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

MARK, LOCK = ".dvae_np", ".dvae_np.lock"
FAR = 2**30  # on Windows what is locked cannot be read: not the number of the process, but a byte far behind it


class Output:
    """A folder whose files are written by commands of one kind; ``out / name`` is the path of one that may be written.

    kind:  "run", "sweep", "reproduce" or "figures": files of another kind are somebody else's.
    names: what will be written. Raises `InputError`, before any work is done, where one of these is there already and no
           such command wrote it, and where the folder holds files, but none of this package's.
    """

    def __init__(self, path, kind, names, option="--out"):
        self.path, self.kind, self.option = path, kind, option
        try:
            if not self._lines() and not Checkpoints(path).paths() and self._files():
                raise InputError(
                    f"{option}: {path} holds files, as {self._files()[0]}, and none that dvae_np wrote; name a new folder"
                )
            for name in names:
                self.expect_own(name)
        except OSError as error:
            raise InputError(
                f"{option}: expected a folder that can be used, got {str(path)!r} ({error.strerror or error})"
            ) from None

    def __truediv__(self, name):
        self.expect_own(name)
        if not self.wrote(name):
            self.path.mkdir(parents=True, exist_ok=True)
            with open(self.path / MARK, "a", encoding="utf-8") as file:
                file.write(f"{self.kind} {name}\n")
        return self.path / name

    def __str__(self):
        return str(self.path)

    def wrote(self, name):
        """Has a command of this kind written this file?"""
        return f"{self.kind} {name}" in self._lines()

    def expect_own(self, name):
        """Raise `InputError` where a file of this name is there that no such command wrote."""
        folder = (self.path / name).parent
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(f"{self.option}: expected a folder {folder} or nothing, got a file")
        if os.path.lexists(self.path / name) and not self.wrote(name):
            raise InputError(
                f"{self.option}: {self.path} holds a {name} that no command for a folder of this kind ({self.kind}) wrote; "
                "move it away, or name another folder"
            )

    def expect_same(self, name, command):
        """Raise `InputError` where the record of this name was made by another command, as the same with other options."""
        if (record := read_record(self.path / name)) and record.get("command") != command:
            raise InputError(
                f"{self.option}: {self.path} holds the {name} of `{record.get('command')}`; name another folder"
            )

    def remove(self, name):
        """Remove this file, if it is there and such a command wrote it."""
        if self.wrote(name):
            (self.path / name).unlink(missing_ok=True)

    def _lines(self):
        try:
            return (self.path / MARK).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _files(self):
        return sorted(path.name for path in self.path.glob("[!.]*") if not path.is_dir())


@contextmanager
def alone(path, kind, names, option="--out"):
    """The `Output` of a folder that is made where it is missing, and that no other process writes into meanwhile.

    Raises InputError where another one does, naming it, where the folder cannot be written to, and as `Output` does.
    Folders that were made, and that nothing was written into, are removed again.
    """
    made, lock = [], None
    try:
        try:
            made = [folder for folder in (path, *path.parents) if not folder.exists()]
            path.mkdir(parents=True, exist_ok=True)
            lock = _lock(path, option)
        except OSError as error:
            raise InputError(
                f"{option}: expected a folder that can be written to, got {str(path)!r} ({error.strerror or error})"
            ) from None
        yield Output(path, kind, names, option)
    finally:
        if lock:
            _unlock(path, lock)
        if made and [file.name for file in path.glob("*")] == [MARK]:  # of files that were never written
            (path / MARK).unlink()
        with contextlib.suppress(OSError):  # at the first that holds something
            for folder in made:
                folder.rmdir()


def _unlock(path, lock):
    """Remove the lock file while it is locked, so that nobody else's is removed."""
    if os.name == "nt":
        lock.close()  # there, what is open cannot be removed
    with contextlib.suppress(OSError):
        (path / LOCK).unlink()
    lock.close()


def _lock(path, option):
    """The open lock file of a folder, locked and with this process's number in it."""
    while True:
        file = open(path / LOCK, "a+b")
        try:
            if os.name == "nt":
                file.seek(FAR)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read(20).decode(errors="replace").strip()
            file.close()
            raise InputError(
                f"{option}: process {holder or 'unknown'} is at work in {path}; wait for it, or name another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path / LOCK)):
                break
        file.close()  # whoever held it has removed it meanwhile
    file.truncate(0)
    file.write(b"%d\n" % os.getpid())
    file.flush()
    return file
