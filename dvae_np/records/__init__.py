"""What commands have measured, kept as JSON beside this file; `read("tour")` gives the tour's. Each names its command.

Lessons, figures and the tables of README read them here, from a checkout and from an installed package alike.
"""

import json
from pathlib import Path

from dvae_np.arrays import InputError

FOLDER = Path(__file__).parent


def read(name):
    """The record of this name, plain values: its ``command``, and what that measured.

    Raises InputError where it is missing or cannot be read.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise InputError(f"record: expected the name of a .json file in {FOLDER}, got {name!r}")
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"record: {path} cannot be read ({error})") from error
