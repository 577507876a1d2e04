"""An installed wheel, used from an empty folder: it holds the whole package, and commands and lessons find what they read."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import build
import pages
import pytest
from packaging.requirements import Requirement
from test_notebooks import SOURCES

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WITH_RECORDS = [stem for stem, path in SOURCES.items() if any(
    "records.read(" in source.read_text()
    for source in (path, *(ROOT / "dvae_np" / "figures").glob(f"lesson_{stem[:2]}.py"))
)]  # fmt: skip
COMMANDS = """
import contextlib, io
import dvae_np
from dvae_np import cli

verbs = next(action.choices for action in cli.parser()._actions if action.choices)
for arguments in [[verb, "--help"] for verb in verbs] + [["estimators"]]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            status = cli.main(arguments)
        except SystemExit as done:
            status = done.code
    assert status == 0 and printed.getvalue(), arguments
quick = ["--epochs", "1", "--hidden", "8", "--out", "run"]
assert cli.main(["train", *quick]) == cli.main(["evaluate", "run"]) == cli.main(["show", "run"]) == 0
"""
FIGURES = """
from pathlib import Path
from dvae_np import figures, records
from dvae_np.experiments.page import headline, page

for path in records.FOLDER.glob("*.json"):
    assert records.read(path.stem)["command"].startswith("python ")
for name, (module, *_) in figures.LESSONS.items():
    if module[-2:] in ("04", "13", "15"):
        figures.save(Path(name), *figures.lesson_figure(name))
for draw, record in (("comparison", "compare"), ("sweep", "compare"), ("practical_rule", "rule")):
    figures.save(Path(f"{draw}.png"), (8, 4), getattr(figures, draw), records.read(record))
assert page() and headline()
"""


def pip(*arguments):
    """Run pip, without a second try where there is no network."""
    environment = os.environ | {"PIP_RETRIES": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "pip", "--quiet", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that the package is installed in, from a wheel, with nothing of this checkout beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dvae_np", folder / "source" / "dvae_np", ignore=ignored)
    for name in ("pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]):
        shutil.copy(ROOT / name, folder / "source")
    backend = Requirement(PROJECT["build-system"]["requires"][0])
    try:
        here = backend.specifier.contains(importlib.metadata.version(backend.name))
    except importlib.metadata.PackageNotFoundError:
        here = False
    how = ["--no-build-isolation"] if here else []  # else pip fetches the backend for itself
    built = pip("wheel", "--no-deps", *how, "--wheel-dir", folder, folder / "source")
    if f"No matching distribution found for {backend.name}" in built.stderr:
        pytest.skip(f"no wheel can be built: {backend} is not here, and there is no network to fetch it")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    installed = pip("install", "--no-deps", "--no-index", "--no-compile", "--target", folder / "site", wheel)
    assert installed.returncode == 0, installed.stderr
    return folder / "site"


def run(site, folder, *arguments):
    """Python in this folder, with the installed package before any other."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_whole_package(site, tmp_path):
    files = {path.relative_to(ROOT) for path in (ROOT / "dvae_np").rglob("*") if path.is_file()}
    missing = [str(path) for path in files if "__pycache__" not in path.parts and not (site / path).is_file()]
    assert not missing
    assert run(site, tmp_path, "-c", "import dvae_np; print(dvae_np.__file__)").startswith(str(site))
    assert "`exact`" in run(site, tmp_path, "-m", "dvae_np", "estimators")
    (licence,) = site.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("script", [COMMANDS, FIGURES], ids=["commands", "figures"])
def test_a_wheel_needs_nothing_beside_it(script, site, tmp_path):
    run(site, tmp_path, "-W", "error", "-c", script)


@pytest.mark.notebooks
@pytest.mark.parametrize("stem", WITH_RECORDS)
def test_lessons_that_read_records_run_from_a_wheel(stem, site, tmp_path, monkeypatch):
    from nbformat.v4 import new_code_cell

    monkeypatch.setenv("PYTHONPATH", str(site))
    book = build.notebooks(SOURCES[stem])[""]
    code = f"import dvae_np\nassert dvae_np.__file__.startswith({str(site)!r})"
    book.cells.insert(0, new_code_cell(code))
    pages.executed(book, tmp_path)


def test_lessons_that_read_records_are_known():
    assert {stem[:2] for stem in WITH_RECORDS} >= {"00", "04", "14", "17", "18", "19", "23"}
