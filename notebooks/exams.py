"""An exam with private variants: python notebooks/build.py --exam midterm SEED DIR, or final.

The seed, which the instructor keeps, chooses each task's variant: a function, a mistake, a sign, a factor, sizes, numbers. DIR
gets the students' notebook and `solutions/`, nbgrader's source notebook: its hidden tests judge an answer at fresh numbers, and
are taken out of what students get. The templates are public (`exam_midterm.py`, `exam_final.py`), what a seed makes of them is
not. A template is a function of a random generator and the task's name; it returns cells as a source has them (`sources.py`).
"""

import re
from pathlib import Path
from random import Random

import exam_final
import exam_midterm

EXAMS = {"midterm": exam_midterm.TASKS, "final": exam_final.TASKS}
LETTER = {"midterm": "M", "final": "F"}
SETUP = """\
# %% [markdown]
# # {title}
#
# Write your answer where a cell says `YOUR CODE HERE` or `YOUR ANSWER HERE`. The cell below an answer only says whether it
# runs, and what shape it has. You may use the course and its package, but no function of it that is the answer itself.

# %% setup
import numpy as np

import dvae_np
from dvae_np import log_softmax, one_hot, score, softmax
from dvae_np.check import complex_step, every_code, lookup_table
from dvae_np.lesson import check, check_op

"""


def source(exam, seed):
    """The text of an exam's source, for a seed: any text or number. Raises SystemExit for another exam."""
    if exam not in EXAMS:
        raise SystemExit(f"{exam}: expected one of {', '.join(EXAMS)}")
    parts = [SETUP.format(title=exam.capitalize())]
    for number, task in enumerate(EXAMS[exam], 1):
        words = number > len(EXAMS[exam]) - exam_midterm.WRITTEN
        name = f"{LETTER[exam]}.{number}" + "W" * words
        parts.append(task(Random(f"{exam} {seed} {number}"), name).strip() + "\n")
    return "\n\n".join(parts)


def without_hidden_tests(code):
    """A check's code as students get it."""
    return re.sub(r"\n*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", "", code, flags=re.S)


def write(exam, seed, folder):
    """Write both notebooks of an exam, not executed; returns their paths."""
    import build
    import nbformat

    folder = Path(folder)
    (folder / "solutions").mkdir(parents=True, exist_ok=True)
    path = folder / "solutions" / f"{exam}.py"
    path.write_text(source(exam, seed), encoding="utf-8")
    made = build.notebooks(path)
    path.unlink()
    written = []
    for kind, place in (("exercises", folder), ("solutions", folder / "solutions")):
        book = made[kind]
        book.cells.pop(0)  # what a lesson's exercises say of themselves
        head = next(cell for cell in made[""].cells if cell.cell_type == "markdown")
        book.cells.insert(0, head)
        if kind == "exercises":
            for cell in book.cells:
                cell.source = without_hidden_tests(cell.source)
        written.append(place / f"{exam}.ipynb")
        nbformat.write(book, written[-1])
    return written
