"""Write the lessons, exercises and solutions from their one source: python notebooks/build.py [06 07 ...]; with --students DIR
the edition for students.

A source, ``source/06_baselines.py``, is cells of Python and Markdown (in comments) between lines that begin with ``# %%``:

    # %% [markdown]                    text of the lesson          # %%            code of the lesson
    # %% [markdown] exercise 06.1      an exercise's text          # %% setup      code that lesson and exercises begin with
    # %% solution 06.1                 its answer, with nbgrader's markers BEGIN SOLUTION and END SOLUTION
    # %% check 06.1                    what judges it              # %% given 06.1 code that the exercise needs first
    # %% wrong 06.1: words             a wrong answer, to stand in the answer's place, and words that must be in the hint
    # %% right 06.1                    a right answer that is written otherwise

A measured number is not typed: text writes ``{{ratio:.2f}}``, an expression of the page's names with a format, and it is filled
in when the page has run (an exercise's text by the solutions). Decimals that are typed all the same, outside formulas and code,
are refused unless ``source/typed_numbers.csv`` lists them with a reason.

From it come ``06_baselines.ipynb`` (the lesson, executed), ``exercises/06_baselines.ipynb`` (answers stripped) and
``solutions/06_baselines.ipynb`` (executed). Markers and metadata are nbgrader's: the solutions are its source notebooks.
"""

import csv
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"  # nbgrader's own
GUARD = """\
import socket, warnings
warnings.simplefilter("error")
warnings.simplefilter("ignore", PendingDeprecationWarning)  # the kernel's own, at its shutdown
def _no_network(self, address, _connect=socket.socket.connect):
    if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise OSError("no network in lessons")
    return _connect(self, address)
socket.socket.connect = _no_network
"""


READ_ONLY = """

from dvae_np.lesson import read_only

read_only(globals())  # so that no answer changes them by mistake"""
FIELD = re.compile(r"\{\{(.+?):([^:{}]*)\}\}")  # {{expression:format}}


@dataclass(frozen=True)
class Cell:
    """One cell of a source."""

    kind: str  # "lesson", "setup", "exercise", "given", "solution", "check", "wrong" or "right"
    markdown: bool
    name: str  # "06.1" for all that belongs to that exercise
    hint: str  # of a wrong answer
    text: str


def parse(path):
    """The cells of a source file."""
    cells = []
    for piece in re.split(r"^# %%", path.read_text(), flags=re.M)[1:]:
        head, _, body = piece.partition("\n")
        found = re.fullmatch(
            r"(?P<md> \[markdown\])?(?: (?P<kind>\w+)(?: (?P<name>[\d.]+))?)?(?:: (?P<hint>.*))?\s*", head
        )
        if not found:
            raise ValueError(f"{path}: a cell begins with '# %%{head}'")
        markdown = bool(found["md"])
        if markdown:
            body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
        cells.append(Cell(found["kind"] or "lesson", markdown, found["name"] or "", found["hint"] or "", body.strip()))
    return cells


def stripped(code):
    """An answer's code as the learner gets it."""
    return re.sub(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION",
                  lambda found: "\n".join(found[1] + line for line in STUB.splitlines()), code, flags=re.M | re.S)  # fmt: skip


def notebooks(path):
    """{"": the lesson, "exercises": ..., "solutions": ...}, not executed; the latter two where there are exercises."""
    cells, stem = parse(path), path.stem
    title = cells[0].text.splitlines()[0].removeprefix("# ")
    exercises = [cell for cell in cells if cell.kind in ("exercise", "given", "solution", "check")]
    setup = [cell for cell in cells if cell.kind == "setup"]
    lesson = [cell for cell in cells if cell.kind in ("lesson", "setup")]
    made = {}
    if exercises:
        texts = [re.match(r"###? *(.*)", cell.text)[1] for cell in exercises if cell.kind == "exercise"]
        listed = "\n".join(f"- {text}" for text in texts)
        last = (f"## Exercises\n\n{listed}\n\nWork in [exercises/{stem}.ipynb](exercises/{stem}.ipynb); answers are in "
                f"[solutions/{stem}.ipynb](solutions/{stem}.ipynb).")  # fmt: skip
        reading = [i for i, cell in enumerate(lesson) if cell.text.startswith("## Reading")]
        lesson.insert(reading[0] if reading else len(lesson), Cell("lesson", True, "", "", last))
        intro = (f"# Exercises: {title}\n\nThey belong to [the lesson](../{stem}.ipynb). Write your answer where a cell says "
                 "`YOUR CODE HERE`; the cell below judges it by numbers and says what is wrong. Unsolved cells say *not "
                 "attempted yet*.")  # fmt: skip
        setup[-1] = replace(setup[-1], text=setup[-1].text + READ_ONLY)
        closed = [replace(cell, text=cell.text + READ_ONLY) if cell.kind == "given" else cell for cell in exercises]
        made["exercises"] = made["solutions"] = [Cell("lesson", True, "", "", intro), *setup, *closed]
    made[""] = lesson
    return {
        folder: _notebook(group, f"{stem}-{folder}", folder == "exercises", bool(folder))
        for folder, group in made.items()
    }


def _notebook(cells, seed, strip, graded):
    import nbformat  # here, as in the others: it takes a second, and most tests read the sources alone

    book = nbformat.v4.new_notebook()
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                     "language_info": {"name": "python"}}  # fmt: skip
    for i, cell in enumerate(cells):
        if cell.markdown:
            made = nbformat.v4.new_markdown_cell(cell.text)
        else:
            made = nbformat.v4.new_code_cell(stripped(cell.text) if strip else cell.text)
        if cell.kind in ("solution", "check") or (graded and cell.kind in ("setup", "given")):
            answer, graded_cell = cell.kind == "solution", cell.kind == "check"
            made.metadata["nbgrader"] = {"grade": graded_cell, "solution": answer, "locked": not answer, "task": False,
                                         "grade_id": f"{cell.kind}-{i}-{cell.name.replace('.', '-')}".rstrip("-"),
                                         "schema_version": 3, **({"points": 1} if graded_cell else {})}  # fmt: skip
        made["id"] = f"{seed}-{i}".replace("_", "-")[-40:].strip("-")
        book.cells.append(made)
    return book


def fields(text):
    """The expressions with their formats that a text leaves to be filled in."""
    return FIELD.findall(text)


def filled(text, values):
    """The text with its fields filled from {(expression, format): words}."""
    return FIELD.sub(lambda found: values[found.groups()], text)


def executed(book, folder, fill=True):
    """(the notebook run from top to bottom in a fresh kernel, {(expression, format): words} of the fields in its text).

    Warnings are errors, and there is no network. Without `fill` fields stay as they are: unsolved exercises have no values.
    """
    import nbformat
    from nbclient import NotebookClient

    asked = []
    if fill:
        asked = list(
            dict.fromkeys(f for cell in book.cells if cell.cell_type == "markdown" for f in fields(cell.source))
        )
    pairs = ", ".join(f"({expression!r}, format({expression}, {form!r}))" for expression, form in asked)
    book.cells.insert(0, nbformat.v4.new_code_cell(GUARD))
    book.cells.append(nbformat.v4.new_code_cell(f"print(*(words for _, words in [{pairs}]), sep='\\n')"))
    options = {"resources": {"metadata": {"path": str(folder)}}, "extra_arguments": ["--log-level=ERROR"]}
    NotebookClient(book, timeout=300, kernel_name="python3", coalesce_streams=True, **options).execute()
    book.cells.pop(0)
    printed = "".join(output.text for output in book.cells.pop().outputs).splitlines()
    values = dict(zip(asked, printed, strict=False))
    for cell in book.cells:
        if cell.cell_type == "markdown" and fill:
            cell.source = filled(cell.source, values)
    for count, cell in enumerate((cell for cell in book.cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if "execution_count" in output:
                output["execution_count"] = count
    return book, values


def typed_decimals(text):
    """Decimals and percentages in the prose of a text: what stands outside formulas, code, links, fields and references."""
    text = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\{\{.*?\}\}", " ", text, flags=re.S)
    text = re.sub(
        r"\$[^$]*\$|\]\([^)]*\)|https?://\S+|doi \S+|arXiv [\d.]+|\[Eq\. [^]]*\]|Eq\. [\d.]+|\b\d\d\.\d\b", " ", text
    )
    return re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+(?:e-?\d+)?(?: ?%)?|e-?\d+| ?%)(?!\w)", text)


def unlisted_decimals(page, texts):
    """Those of `typed_decimals` of a page that ``typed_numbers.csv`` does not list."""
    with open(HERE / "source" / "typed_numbers.csv", newline="") as file:
        listed = {(row["page"], row["number"]) for row in csv.DictReader(file) if row["reason"].strip()}
    return [number for text in texts for number in typed_decimals(text) if (page, number) not in listed]


def reading_minutes(book):
    """How long a lesson takes to read: 80 words a minute, two minutes for a displayed equation, a minute for a picture and for
    twelve lines of code, as test readers took on the whole; what `show` folds is not counted."""
    minutes = 0.0
    for cell in book.cells:
        if cell.cell_type == "markdown":
            words, equations = re.subn(r"\$\$.+?\$\$", " ", cell.source, flags=re.S)
            minutes += len(words.split()) / 80 + 2 * equations
        else:
            minutes += len([line for line in cell.source.splitlines() if line.strip()]) / 12
            minutes += sum("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    return minutes


def build(path):
    """Write the notebooks of one source."""
    import nbformat

    if typed := unlisted_decimals(path.stem, [cell.text for cell in parse(path) if cell.markdown]):
        raise SystemExit(
            f"{path.name}: typed numbers, {', '.join(typed)}: write {{{{name:.3g}}}}, or list them with a reason"
        )
    books = notebooks(path)
    values = {}
    for folder in ("", "solutions", "exercises"):
        if folder not in books:
            continue
        book, target = books[folder], HERE / folder / f"{path.stem}.ipynb"
        target.parent.mkdir(exist_ok=True)
        if folder == "exercises":  # not run: its text has the values of the solutions, which were just made
            for cell in book.cells:
                cell.source = filled(cell.source, values) if cell.cell_type == "markdown" else cell.source
        else:
            book, values = executed(book, target.parent)
        nbformat.write(book, target)
        minutes = "" if folder else f", {reading_minutes(book):.0f} minutes to read"
        print(f"{target.relative_to(HERE)}: {target.stat().st_size / 1000:.0f} kB{minutes}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--students"] and len(sys.argv) == 3:
        import students

        raise SystemExit(print(f"{sys.argv[2]}: {students.write(sys.argv[2])} files, and check.py"))
    chosen = sys.argv[1:] or [""]
    for source in sorted((HERE / "source").glob("*.py")):
        if any(source.name.startswith(number) for number in chosen):
            build(source)
