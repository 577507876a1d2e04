"""Files that are written whole or not at all: everything that this package writes goes through `written`."""

import csv
import io
import json
import os
import re
import secrets
from contextlib import contextmanager

from dvae_np.arrays import InputError

PART = re.compile(
    r"\.(.+)\.[0-9a-f]{8}\.part"
)  # the name of a file that is still being written, or was when it was killed


@contextmanager
def written(path):
    """A binary file to write `path` with, which then holds all of it, or what it held before.

    The bytes go to a file beside it of a name that nobody else has, are forced onto the disk, and only then get the name.
    Raises OSError where that fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # not that of the part, nor none
        raise


def write_text(path, text):
    """A text file in UTF-8, whole or not at all."""
    with written(path) as file:
        file.write(text.encode("utf-8", errors="replace"))


def write_record(path, record):
    """Numbers as JSON, whole or not at all; a number that is not finite is an error."""
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def write_table(path, heading, rows):
    """Rows of numbers as CSV, whole or not at all."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([heading, *rows])
    write_text(path, text.getvalue())


def read_record(path):
    """The record in a JSON file, a dict, or None where there is no such file. Raises InputError where it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a record in JSON, but it cannot be read ({error})") from None
    if not isinstance(record, dict):
        raise InputError(f"{path}: expected a record, a JSON object, got a {type(record).__name__}")
    return record
