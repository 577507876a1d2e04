"""Checkpoints: one file each, written whole or not at all, and read with nothing taken on trust.

A file is a line with the format's version, the length of a JSON header, the header (any plain facts, and the name, type and
shape of each array), the arrays' bytes, and the SHA-256 of all that. Nothing is compressed and nothing is executed, so a file
cannot ask for more memory than its own size.
"""

import hashlib
import json
import math
import re
import time
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.files import PART, written

MAGIC, VERSION = b"dvae_np checkpoint ", 2
TYPES = ("<f4", "<f8", "<i8")
LARGEST = 2**33  # bytes of a file that will be read
NAME = re.compile(r"checkpoint-(\d{9,})\.dvae")  # the number is that of the step


def write(path, facts, arrays):
    """Write plain `facts` (for JSON) and a dict of arrays to `path`, whole or not at all. OSError where that fails."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    shapes = [
        {"name": name, "type": array.dtype.newbyteorder("<").str, "shape": list(array.shape)}
        for name, array in arrays.items()
    ]
    header = json.dumps({"facts": facts, "arrays": shapes}).encode()
    head = MAGIC + b"%d\n" % VERSION + len(header).to_bytes(8, "little") + header
    digest = hashlib.sha256(head)
    with written(path) as file:
        file.write(head)
        for array, shape in zip(arrays.values(), shapes, strict=True):
            body = array.astype(shape["type"], copy=False).tobytes()
            digest.update(body)
            file.write(body)
        file.write(digest.digest())


def read(path):
    """(facts, arrays) of a checkpoint. Raises `InputError`, with the reason, for anything but a whole one of this version."""
    try:
        if not 0 < path.stat().st_size <= LARGEST:
            raise InputError(f"{path}: expected a checkpoint of 1 to {LARGEST} bytes, got {path.stat().st_size}")
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    line = bytes(content[:64]).split(b"\n")[0]
    if not line.startswith(MAGIC):
        raise InputError(f"{path}: not a checkpoint of dvae_np")
    if line != MAGIC + b"%d" % VERSION:
        other = line[len(MAGIC) :].decode(errors="replace")
        raise InputError(f"{path}: written by another version of dvae_np ({other!r}); this one reads version {VERSION}")
    start = len(line) + 9
    if len(content) < start + 32 or hashlib.sha256(content[:-32]).digest() != bytes(content[-32:]):
        raise InputError(f"{path}: truncated or changed: its SHA-256 is not what it says")
    end = start + int.from_bytes(content[start - 8 : start], "little")
    try:
        header = json.loads(bytes(content[start:end]))
        facts, shapes = header["facts"], header["arrays"]
        if not all(entry["type"] in TYPES for entry in shapes):  # before NumPy tries to read a type from any text
            raise ValueError("an array of a type that no checkpoint has")
        kinds = [(str(entry["name"]), np.dtype(entry["type"]), tuple(entry["shape"])) for entry in shapes]
        plain = all(type(size) is int and size >= 0 for _, _, shape in kinds for size in shape)
        sizes = [kind.itemsize * math.prod(shape) for _, kind, shape in kinds]
        if not isinstance(facts, dict) or not plain or sum(sizes) != len(content) - 32 - end:
            raise ValueError("its arrays are not those that it announces")
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise InputError(f"{path}: a broken header ({error})") from error
    arrays = {}
    for (name, kind, shape), size in zip(kinds, sizes, strict=True):
        arrays[name] = np.frombuffer(content[end : end + size], kind).reshape(shape).copy()
        end += size
    return facts, arrays


class Checkpoints:
    """The checkpoints of one run in its folder, numbered by step; the two newest are kept."""

    def __init__(self, folder, seconds=30.0):
        self.folder, self.seconds, self.saved, self.older = Path(folder), seconds, time.monotonic(), []

    def paths(self):
        """All of them, the newest first; files with other names are somebody else's."""
        steps = {path: int(name[1]) for path in self.folder.glob("checkpoint-*") if (name := NAME.fullmatch(path.name))}
        return sorted(steps, key=steps.get, reverse=True)

    def begin(self):
        """From here on another run has this folder: the checkpoints that are there go, once it has saved its first."""
        self.older = self.paths()

    def due(self):
        """Have so many seconds gone by since the last one?"""
        return time.monotonic() - self.saved >= self.seconds

    def save(self, step, facts, arrays):
        """Write one more, then remove all but the run's two newest; returns its path.

        Raises InputError where it cannot be written, naming the last good one, which is as it was.
        """
        path = self.folder / f"checkpoint-{step:09}.dvae"
        try:
            write(path, facts, arrays)
        except OSError as error:
            good = self.paths()
            raise InputError(f"{path}: could not be written ({error.strerror or error}); the last good checkpoint is "
                             f"{good[0] if good else 'none'}") from error  # fmt: skip
        surplus = [own for own in self.paths() if own == path or own not in self.older][2:]
        for old in [*surplus, *(set(self.older) - {path}), *self._parts()]:
            old.unlink(missing_ok=True)
        self.saved, self.older = time.monotonic(), []
        return path

    def newest(self):
        """(path, facts, arrays, complaints) of the newest that can be read; complaints name those that could not.

        Raises InputError where there is none.
        """
        complaints = []
        for path in self.paths():
            try:
                return path, *read(path), complaints
            except InputError as error:
                complaints.append(str(error))
        raise InputError("; ".join(complaints) or f"{self.folder}: no checkpoint there")

    def set_aside(self, path):
        """Give a checkpoint that cannot be read a name that no other file has, so that it does not count as one."""
        names = (f"{path.stem}.broken{number}" for number in ("", *range(1, 10**6)))
        path.rename(next(other for name in names if not (other := path.with_name(name)).exists()))

    def _parts(self):
        """What killed processes left of checkpoints that they were writing."""
        found = ((path, PART.fullmatch(path.name)) for path in self.folder.glob(".checkpoint-*.part"))
        return [path for path, name in found if name and NAME.fullmatch(name[1])]
