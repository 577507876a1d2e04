"""Do the lowest versions that requirements.txt states pass the tests? Run it when that file changes.

    python tests/lower_bounds.py [FOLDER] [ARGUMENTS OF PYTEST ...]

FOLDER is for the environment (default: a temporary one, removed at the end). Notebooks are not run.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = ("-m", "not notebooks", "-p", "no:cacheprovider")


def lowest():
    """['numpy==2.1', ...]: each requirement at its lower bound. Raises ValueError where pyproject.toml says another one."""
    bounds = re.findall(r"^(\S+)>=(\S+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = {f"{name}>={bound}" for name, bound in bounds}
    if not set(project["dependencies"]) <= stated:
        raise ValueError(f"pyproject.toml and requirements.txt disagree: {set(project['dependencies']) - stated}")
    return [f"{name}=={bound}" for name, bound in bounds]


def tested_at(folder, arguments):
    """The exit status of pytest in an environment in `folder` that has the lowest versions."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *lowest()], check=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([python, "-m", "pytest", *PYTEST, *arguments], cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(tested_at(Path(sys.argv[1] if len(sys.argv) > 1 else temporary).resolve(), sys.argv[2:]))
