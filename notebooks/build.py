"""Write the notebooks from their sources (`sources.py` says what these are): python notebooks/build.py [06 07 ...]

From ``source/06_baselines.py`` come ``06_baselines.ipynb`` (the lesson, executed), ``exercises/06_baselines.ipynb`` (answers
stripped) and ``solutions/06_baselines.ipynb`` (executed). Markers and metadata are nbgrader's: the solutions are its source
notebooks. More is made for a class, in a folder of one's own:

    python notebooks/build.py --students DIR          lessons and exercises without an answer (`students.py`)
    python notebooks/build.py --slides DIR [06 ...]   a lesson's slides, a page of HTML each (`slides.py`)
    python notebooks/build.py --exam midterm SEED DIR an exam with private variants, or final (`exams.py`)
"""

import re
import sys
from dataclasses import replace

from pages import executed, filled, reading_minutes
from sources import HERE, Cell, parse, unlisted_decimals

STUB = "# YOUR CODE HERE\nraise NotImplementedError()"  # both are nbgrader's own
BLANK = "YOUR ANSWER HERE"
READ_ONLY = """

from dvae_np.lesson import read_only

read_only(globals())  # so that no answer changes them by mistake"""
EXERCISES = ("exercise", "given", "solution", "check", "written", "model")


def stripped(code):
    """An answer's code as the learner gets it."""
    return re.sub(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION",
                  lambda found: "\n".join(found[1] + line for line in STUB.splitlines()), code, flags=re.M | re.S)  # fmt: skip


def with_points(cell):
    """An exercise's text with what it is worth in its heading."""
    heading, _, text = cell.text.partition("\n")
    return replace(cell, text=f"{heading} ({cell.points} point{'s' * (cell.points > 1)})\n{text}")


def notebooks(path):
    """{"": the lesson, "exercises": ..., "solutions": ...}, not executed; the latter two where there are exercises."""
    cells, stem = parse(path), path.stem
    title = cells[0].text.splitlines()[0].removeprefix("# ")
    exercises = [with_points(cell) if cell.kind in ("exercise", "written") else cell
                 for cell in cells if cell.kind in EXERCISES]  # fmt: skip
    setup = [cell for cell in cells if cell.kind == "setup"]
    lesson = [cell for cell in cells if cell.kind in ("lesson", "setup")]
    made = {}
    if exercises:
        texts = [re.match(r"###? *(.*)", cell.text)[1] for cell in exercises if cell.kind in ("exercise", "written")]
        listed = "\n".join(f"- {text}" for text in texts)
        last = (f"## Exercises\n\n{listed}\n\nWork in [exercises/{stem}.ipynb](exercises/{stem}.ipynb); answers are in "
                f"[solutions/{stem}.ipynb](solutions/{stem}.ipynb).")  # fmt: skip
        reading = [i for i, cell in enumerate(lesson) if cell.text.startswith("## Reading")]
        lesson.insert(reading[0] if reading else len(lesson), Cell("lesson", True, "", "", last))
        intro = (f"# Exercises: {title}\n\nThey belong to [the lesson](../{stem}.ipynb). Write your answer where a cell says "
                 "`YOUR CODE HERE`; the cell below judges it by numbers and says what is wrong. Unsolved cells say *not "
                 f"attempted yet*. The question in words is answered where a cell says `{BLANK}`.")  # fmt: skip
        setup[-1] = replace(setup[-1], text=setup[-1].text + READ_ONLY)
        points = {cell.name: cell.points for cell in exercises if cell.kind in ("exercise", "written")}
        closed = [replace(cell, text=cell.text + READ_ONLY) if cell.kind == "given" else cell for cell in exercises]
        closed = [replace(cell, words=f"{points[cell.name]} points") for cell in closed]
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
        if cell.kind == "model":
            made = nbformat.v4.new_markdown_cell(BLANK if strip else cell.text)
        elif cell.markdown:
            made = nbformat.v4.new_markdown_cell(cell.text)
        else:
            made = nbformat.v4.new_code_cell(stripped(cell.text) if strip else cell.text)
        answer, counts = cell.kind in ("solution", "model"), cell.kind in ("check", "model")
        if answer or counts or (graded and cell.kind in ("setup", "given", "written")):
            made.metadata["nbgrader"] = {"grade": counts, "solution": answer, "locked": not answer, "task": False,
                                         "grade_id": f"{cell.kind}-{i}-{cell.name.replace('.', '-')}".rstrip("-"),
                                         "schema_version": 3, **({"points": cell.points} if counts else {})}  # fmt: skip
        made["id"] = f"{seed}-{i}".replace("_", "-")[-40:].strip("-")
        book.cells.append(made)
    return book


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


def sources(chosen):
    """The sources whose numbers are named, all where none is."""
    return [path for path in sorted((HERE / "source").glob("*.py"))
            if not chosen or any(path.name.startswith(number) for number in chosen)]  # fmt: skip


def main(arguments):
    """What the command line says."""
    match arguments:
        case ["--students", folder]:
            import students

            print(f"{folder}: {students.write(folder)} files, and check.py")
        case ["--slides", folder, *chosen]:
            import slides

            slides.write(folder, sources(chosen))
        case ["--exam", exam, seed, folder]:
            import exams

            print(*exams.write(exam, seed, folder), sep="\n")
        case [option, *_] if option.startswith("-"):
            raise SystemExit(
                f"{option}: expected numbers of lessons, --students DIR, --slides DIR or --exam NAME SEED DIR"
            )
        case _:
            for path in sources(arguments):
                build(path)


if __name__ == "__main__":
    main(sys.argv[1:])
