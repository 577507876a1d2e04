"""The students' edition: everything that a student needs, nothing that gives an answer away, no link that leads nowhere."""

import inspect
import json
import re
import subprocess
import sys

import nbclient
import nbformat
import pages
import pytest
import students
from test_notebooks import BOOKS, FEWEST, NOTEBOOKS


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("students") / "course"
    students.write(folder)
    return folder


def texts(folder, kinds=("markdown", "code")):
    """{path: its text, the source of a notebook's cells of these kinds}"""
    found = {path: path.read_text() for path in folder.glob("*.md")}
    for path in folder.rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] in kinds)
    return found


def test_it_has_all_lessons_and_exercises_and_no_answer(edition):
    names = {path.relative_to(edition).as_posix() for path in edition.rglob("*.ipynb")}
    assert names == {f"{folder}/{stem}.ipynb".lstrip("/") for stem, folder in BOOKS if folder != "solutions"}
    for path, text in texts(edition).items():
        assert not re.search(r"### (BEGIN|END) SOLUTION|solutions/|INSTRUCTORS|source/", text), path.name
    for stem, folder in BOOKS:
        if folder == "exercises":
            gaps = (edition / folder / f"{stem}.ipynb").read_text(encoding="utf-8").count("# YOUR CODE HERE")
            assert gaps >= FEWEST.get(stem[:2], 2), stem


def test_no_link_leads_nowhere(edition):
    for path, text in texts(edition, ("markdown",)).items():
        prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            assert target.startswith("https://") or (path.parent / target).exists(), f"{path.name}: {target}"


def test_words_of_a_link_that_leads_out_are_kept():
    names = {"06_baselines.ipynb", "README.md"}
    page = NOTEBOOKS / "05_score_function.ipynb"
    assert students.within("see [06](06_baselines.ipynb)", page, names) == "see [06](06_baselines.ipynb)"
    assert students.within("see [the bugs](../tests/bugs.py) and", page, names) == "see the bugs and"
    assert students.within("[a](https://x.org/y) [Eq. 5.1]", page, names) == "[a](https://x.org/y) [Eq. 5.1]"
    assert (
        students.within(
            "Work in [e](exercises/e.ipynb); answers are in [solutions/e.ipynb](solutions/e.ipynb).", page, names
        )
        == "Work in e."
    )
    assert students.within("New here? Teaching? See [that page](INSTRUCTORS.md).", page, names) == "New here?"


def test_another_folder_is_not_written_into(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit, match="expected an empty folder"):
        students.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command(tmp_path):
    command = [sys.executable, str(NOTEBOOKS / "build.py"), "--students", str(tmp_path / "course")]
    assert "and check.py" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("failures", "message", "passes"),
    [(2, "Kernel died before replying to kernel_info", True), (3, "Kernel died before replying to kernel_info", False),
     (1, "a cell failed", False)],
)  # fmt: skip
def test_a_kernel_that_dies_as_it_starts_is_started_again(monkeypatch, failures, message, passes):
    """At most twice; what fails later, never. The students' check does the same: it is the same function."""
    starts = []

    def execute(client):
        starts.append(client)
        if len(starts) <= failures:
            raise RuntimeError(message)
        return client.nb

    monkeypatch.setattr(nbclient.NotebookClient, "execute", execute)
    book = nbformat.v4.new_notebook()
    if passes:
        assert pages.run(book) is book and len(starts) == 3
    else:
        with pytest.raises(RuntimeError, match=message):
            pages.run(book)
        assert len(starts) == failures
    assert inspect.getsource(pages.run) in students.CHECK


@pytest.mark.notebooks
def test_its_check_runs_and_tells_what_does_not(edition):
    """Of two notebooks: all of them would take a minute and a half, and run in test_notebooks.py."""
    for path in (edition / "exercises").glob("*.ipynb"):
        if path.name[:2] not in ("06", "12"):
            path.unlink()
    found = subprocess.run([sys.executable, edition / "check.py"], capture_output=True, text=True, check=False)
    assert found.returncode == 0 and found.stdout.splitlines()[-1] == "all of them run", found.stdout + found.stderr
    assert "06_baselines.ipynb: runs; 4 exercises to do" in found.stdout
    broken = edition / "exercises" / "06_baselines.ipynb"
    broken.write_text(broken.read_text(encoding="utf-8").replace("import numpy", "import nunpy"), encoding="utf-8")
    found = subprocess.run([sys.executable, edition / "check.py"], capture_output=True, text=True, check=False)
    assert found.returncode == 1 and "1 do not run" in found.stdout and "nunpy" in found.stdout
