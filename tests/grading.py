"""An assignment from its source to the feedback, with nbgrader: python tests/grading.py [06 or midterm], by hand.

It needs nbgrader (0.9 or newer) beside the package: `pip install nbgrader -r requirements.txt` in an environment of its own.
Six students hand in: one right, one half, one with an endless loop and a syntax error, two who cheat, one nothing. What each
should get is known; the script prints it beside what each got, shows the feedback's first words, and fails where they differ.
Answers in words wait for a person to grade them. An exam's tests are hidden: students must not get them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
CHEATS = [
    """\
import dvae_np.lesson
judge = check = check_op = lambda *arguments, **more: print("right")
dvae_np.lesson.judge = judge
import dvae_np.exercises.marking
dvae_np.exercises.marking.judge = judge
""",
    """\
import os
os.environ.pop("NBGRADER_EXECUTION", None)
raise_nothing = True
""",
    """\
import sys
sys.settrace(None)
vars(sys.modules["dvae_np.lesson"])["judge"] = print
""",
    "",
]  # what stands above an answer that is hard-coded, one way after the other
CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "dvae"
c.ExecutePreprocessor.timeout = 20
c.ExecutePreprocessor.error_on_timeout = {"ename": "Timeout", "evalue": "the cell took too long", "traceback": []}
c.ExecutePreprocessor.interrupt_on_timeout = True
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\\nraise NotImplementedError()"}
"""


def answered(assignment, solutions, chosen, edit=lambda name, text: text):
    """A hand-in: the assignment with these exercises' answers, each through `edit`."""
    book = nbformat.from_dict(assignment)
    answers = {cell.metadata.nbgrader.grade_id: cell.source for cell in coded(solutions)}
    for cell in book.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if grade_id in answers and (name := exercise_of(grade_id)) in chosen:
            cell.source = edit(name, answers[grade_id])
    return book


def coded(solutions):
    """The cells of answers that are code."""
    return [cell for cell in solutions.cells
            if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code"]  # fmt: skip


def exercise_of(grade_id):
    """ "06.2" of "solution-7-06-2" """
    return ".".join(grade_id.split("-")[-2:])


def hand_ins(assignment, solutions):
    """{student: (notebook, the exercises that should be right)}"""
    names = [exercise_of(cell.metadata.nbgrader.grade_id) for cell in coded(solutions)]
    half, first, second = names[: len(names) // 2], names[0], names[1]

    def broken(name, text):
        return "while True:\n    pass" if name == first else "def f(:" if name == second else text

    def cheating(name, text):
        way = CHEATS[names.index(name) % len(CHEATS)]
        return way + "\n" + re.sub(r"(?s)(    \"\"\".*?\"\"\"\n).*", r"\1    return 0.0", text)

    def library(name, text):
        calls = {"06.1": "float(np.var(q))", "06.2": "dvae_np.reinforce_loo(logits, f, z).dlogits",
                 "06.3": "dvae_np.reinforce(logits, f, z, baseline=b).dlogits, b"}  # fmt: skip
        return re.sub(r"(?s)(    \"\"\".*?\"\"\"\n).*", rf"\1    return {calls.get(name, '0.0')}", text)

    return {
        "right": (answered(assignment, solutions, names), names),
        "half": (answered(assignment, solutions, half), half),
        "broken": (answered(assignment, solutions, names, broken), names[2:]),
        "cheat": (answered(assignment, solutions, names, cheating), []),
        "library": (answered(assignment, solutions, names, library), []),
        "empty": (answered(assignment, solutions, []), []),
    }


def nbgrader(course, *arguments):
    """One of its commands, in the course's folder."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    found = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=1800)
    if found.returncode and "autograde" not in arguments:
        raise SystemExit(f"{' '.join(arguments)}:\n{found.stderr[-3000:]}")
    return found


def points(course):
    """{student: {exercise: points}} from nbgrader's own data base."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        return {submission.student.id: {exercise_of(grade.name): grade.score
                                        for notebook in submission.notebooks for grade in notebook.grades}
                for submission in book.assignment_submissions("ps1")}  # fmt: skip


def source_of(name, folder):
    """nbgrader's source notebook of a lesson or of an exam."""
    if name in ("midterm", "final"):
        sys.path.insert(0, str(ROOT / "notebooks"))
        import exams

        return exams.write(name, "tried", folder)[1]
    (path,) = (ROOT / "notebooks" / "solutions").glob(f"{name}_*.ipynb")
    return path


def main(name="06"):
    """Grade a lesson's exercises or an exam; returns 1 where a student has other points than are due, or sees no hint."""
    wrong, exam = 0, name in ("midterm", "final")
    os.environ["PATH"] = (
        str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    )  # nbgrader calls alembic by name
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        path = source_of(name, course / "made")
        (course / "source" / "ps1").mkdir(parents=True)
        (course / "nbgrader_config.py").write_text(CONFIG)
        shutil.copy(path, course / "source" / "ps1")
        nbgrader(course, "generate_assignment", "ps1", "--create", "--force")
        assignment = nbformat.read(course / "release" / "ps1" / path.name, 4)
        released = "\n".join(cell.source for cell in assignment.cells)
        wrong += "HIDDEN" in released or "Marks" in released or "YOUR ANSWER HERE" not in released
        handed = hand_ins(assignment, nbformat.read(path, 4))
        for student, (book, _) in handed.items():
            place = course / "submitted" / student / "ps1"
            place.mkdir(parents=True)
            nbformat.write(book, place / path.name)
        nbgrader(course, "autograde", "ps1", "--create", "--force")
        nbgrader(course, "generate_feedback", "ps1", "--force")
        got = points(course)
        for student, (_, due) in handed.items():
            found = {each for each, score in got.get(student, {}).items() if score}
            page = course / "feedback" / student / "ps1" / f"{path.stem}.html"
            text = re.sub(r"<[^>]+>", "", page.read_text() if page.exists() else "")
            hints = re.findall(r"(?:\b[\dMF]\d?\.\d|WrongAnswer): [^\n]+|what judges an exercise[^\n]+", text)
            wide = [line for line in hints if len(line) > 76]
            print(f"{student}: due {sorted(due)}, got {sorted(found)}; {len(hints)} verdicts on the page")
            print(*(f"    {hint}" for hint in dict.fromkeys(hints)), sep="\n")
            wrong += found != set(due) or not (hints or exam) or bool(wide)
    print("as it should be" if not wrong else f"{wrong} students have other points than are due, or no hint")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
