"""An installed wheel, used from an empty folder: it holds the whole package, and commands and lessons find what they read.

And the source distribution: tests run in it, and the wheel that is made of it is the one of the checkout, to the byte.
"""

import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import build
import pages
import pytest
from test_notebooks import SOURCES

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CACHES = {"__pycache__", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"}
MODULE = PROJECT["build-system"]["build-backend"]
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
def backend(tmp_path_factory):
    """A folder with what builds the package, as pip would fetch it."""
    folder, needed = tmp_path_factory.mktemp("backend"), PROJECT["build-system"]["requires"]
    fetched = pip("install", "--target", folder, *needed)
    if "No matching distribution found" in fetched.stderr:
        pytest.skip(f"nothing can be built: there is no network to fetch {', '.join(needed)}")
    assert fetched.returncode == 0, fetched.stderr
    return folder


def built(kind, source, backend, folder):
    """The "wheel" or "sdist" of a source tree, made in this folder."""
    made = f"import {MODULE}, sys; print({MODULE}.build_{kind}(sys.argv[1]))"
    return folder / run(backend, source, "-c", made, str(folder)).split()[-1]


@pytest.fixture(scope="module")
def wheel(backend, tmp_path_factory):
    """The wheel of this checkout."""
    return built("wheel", ROOT, backend, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked(backend, tmp_path_factory):
    """The source distribution of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", ROOT, backend, folder)) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 and later have it
        archive.extractall(folder, **safely)
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder that the package is installed in, from a wheel, with nothing of this checkout beside it."""
    folder = tmp_path_factory.mktemp("site")
    installed = pip("install", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel)
    assert installed.returncode == 0, installed.stderr
    return folder


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


def test_the_source_distribution_holds_what_the_tests_read_and_makes_the_same_wheel(backend, wheel, unpacked, tmp_path):
    """The tests, and what they read: notebooks, figures and settings."""
    for folder in ("tests", "notebooks", "figures", ".github"):
        files = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()}
        kept = [path for path in files if not CACHES & set(path.parts)]
        assert kept and not [str(path) for path in kept if not (unpacked / path).is_file()]
    assert all(
        (unpacked / name).is_file() for name in ("README.md", "CONTRIBUTING.md", "requirements.txt", "CITATION.cff")
    )
    again = built("wheel", unpacked, backend, tmp_path)
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()


def test_tests_run_in_the_source_distribution(unpacked):
    """Some that read records and notebooks: they are there."""
    quick = ("tests/test_screens.py", "tests/test_project.py")
    assert " passed" in run(unpacked, unpacked, "-m", "pytest", "-p", "no:cacheprovider", *quick)


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
