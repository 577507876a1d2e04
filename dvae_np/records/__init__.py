"""What commands have measured, kept as JSON beside this file; `read("tour")` gives the tour's. Each names its command.

Lessons, figures and the tables of README read them here, from a checkout and from an installed package alike.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.files import read_record

FOLDER = Path(__file__).parent


def read(name):
    """The record of this name, plain values: its ``command``, and what that measured.

    Raises InputError where it is missing or cannot be read.
    """
    record = read_record(FOLDER / f"{name}.json")
    if record is None:
        raise InputError(f"record: expected the name of a .json file in {FOLDER}, got {name!r}")
    return record


def arrays(name):
    """{name: array} of the .npz file of this name. Raises InputError where it is missing or cannot be read."""
    path = FOLDER / f"{name}.npz"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"record: {path} cannot be read ({error})") from error
