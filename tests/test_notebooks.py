"""The course: lessons run, equations are derived and confirmed, exercises accept right answers and no wrong ones."""

import ast
import json
import re
import time
from functools import cache
from pathlib import Path

import build
import pages
import pytest
import sources

import dvae_np
from dvae_np.exercises import marking

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SOURCES = {path.stem: path for path in sorted((NOTEBOOKS / "source").glob("*.py"))}
CELLS = {stem: sources.parse(path) for stem, path in SOURCES.items()}
BOOKS = [(stem, folder) for stem, cells in CELLS.items() for folder in ("", "exercises", "solutions")
         if not folder or any(cell.kind in ("exercise", "written") for cell in cells)]  # fmt: skip
SHEET = (NOTEBOOKS / "README.md").read_text()
EXERCISES = [(stem, cell.name) for stem, cells in CELLS.items() for cell in cells if cell.kind == "exercise"]
RIGHT = [(stem, cell.name, i) for stem, cells in CELLS.items() for i, cell in enumerate(cells) if cell.kind == "right"]
WRONG = [(stem, cell.name, cell.words) for stem, cells in CELLS.items() for cell in cells if cell.kind == "wrong"]
MACROS = set(
    """alpha beta gamma delta epsilon varepsilon zeta eta theta lambda mu nu xi pi rho sigma tau phi psi omega Gamma Delta
    Theta Lambda Sigma Phi Psi Omega ell partial nabla infty sum prod int log ln exp max min arg sin cos tanh lim det dim Pr
    frac dfrac tfrac sqrt binom mathbb mathrm mathcal mathbf mathsf boldsymbol text hat tilde bar vec dot overline mathring
    underbrace overbrace substack stackrel limits nolimits left right big Big bigl bigr Bigl Bigr biggl biggr lVert rVert
    lvert rvert Vert vert mid parallel cdot cdots ldots dots times odot otimes oplus circ top perp ast star dagger prime to
    mapsto rightarrow leftarrow Rightarrow Leftrightarrow downarrow uparrow iff implies not neg land lor le ge leq geq ne
    neq approx sim simeq equiv propto ll gg in notin subset subseteq setminus cup cap emptyset forall exists pm mp bmod quad
    qquad begin end tag langle rangle lbrace rbrace lfloor rfloor lceil rceil""".split()
)


KEPT = ()  # numbers for lessons that are not written yet
PAGE, WIDTH = 76, 90  # columns of code that a page shows, the rest of a line is cut; of what is printed


@pytest.mark.parametrize(("stem", "folder"), BOOKS)
def test_no_line_of_code_is_cut_on_a_page(stem, folder):
    book = json.loads((NOTEBOOKS / folder / f"{stem}.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert not [line for cell in code for line in cell.splitlines() if len(line) > PAGE]


def faults_of_outputs(book):
    """What a reader of a notebook would miss: printed lines and sources that are wider than a page, pictures without words."""
    found = []
    for cell in book["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            source = "".join(data.get("text/markdown", "")) if "```" in "".join(data.get("text/markdown", "")) else ""
            lines = ("".join(output.get("text", "")) + "\n" + source).splitlines()
            found += [line for line in lines if len(line) > WIDTH and not line.startswith("<")]
            words = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            if "image/png" in data and len(words) < 20:
                found.append(f"a picture of the cell {''.join(cell['source'])[:40]!r} has no words: {words!r}")
    return found


@pytest.mark.parametrize(("stem", "folder"), BOOKS)
def test_what_a_page_shows_fits_it_and_has_words_for_those_who_do_not_see_it(stem, folder):
    assert faults_of_outputs(json.loads((NOTEBOOKS / folder / f"{stem}.ipynb").read_text(encoding="utf-8"))) == []


def test_wide_lines_and_pictures_without_words_are_found():
    def book(**output):
        return {"cells": [{"source": "x", "outputs": [output]}]}

    fits, wide = "a" * WIDTH, "a" * (WIDTH + 1)
    alt = {"image/png": {"alt": "Two curves that cross at one."}}
    assert faults_of_outputs(book(text=fits)) == [] and faults_of_outputs(book(text=[fits + "\n", wide])) == [wide]
    assert faults_of_outputs(book(data={"text/markdown": f"```python\n{wide}\n```"})) == [wide]
    assert faults_of_outputs(book(data={"text/markdown": f"| {wide} |"})) == []  # a table, which the page breaks
    assert faults_of_outputs(book(data={"image/png": ""}, metadata=alt)) == []
    assert len(faults_of_outputs(book(data={"image/png": ""}))) == 1


def jumps(texts):
    """Headings of a page that leave out a level, as "# a" and then "### b"; a page begins with one of the first level."""
    level, found = 0, []
    for text in texts:
        for marks, words in re.findall(r"^(#+) (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M):
            if len(marks) > level + 1 or (level and len(marks) == 1):
                found.append(words)
            level = len(marks)
    return found


@pytest.mark.parametrize(("stem", "folder"), BOOKS)
def test_headings_leave_out_no_level(stem, folder):
    """For those who listen to a page, and go from heading to heading."""
    book = expected_books(stem)[folder]
    assert jumps([cell.source for cell in book.cells if cell.cell_type == "markdown"]) == []


def test_headings_that_leave_out_a_level_are_found():
    assert jumps(["# a\n\n## b", "### c", "## d"]) == [] and jumps(["# a", "### b", "## c"]) == ["b"]
    assert (
        jumps(["## a"]) == ["a"] and jumps(["# a", "# b"]) == ["b"] and jumps(["# a\n```\n### no heading\n```"]) == []
    )


def names(stem, kind):
    return [cell.name for cell in CELLS[stem] if cell.kind == kind]


@cache
def expected_books(stem):
    """{folder: the notebook}, not run, of one source."""
    return build.notebooks(SOURCES[stem])


def kept_book(stem, folder):
    """The notebook as it was written."""
    import nbformat  # not for every process that collects tests: it takes a second

    return nbformat.read(NOTEBOOKS / folder / f"{stem}.ipynb", 4)


def code_of(stem, folder=""):
    book = kept_book(stem, folder)
    return [cell for cell in book.cells if cell.cell_type == "code"]


def test_the_lessons_are_all_there():
    assert [stem[:2] for stem in SOURCES] == [f"{i:02}" for i in range(24) if i not in KEPT]
    assert {(stem, folder) for stem in SOURCES for folder in expected_books(stem)} == set(BOOKS)


def differences_of(cell, template):
    """What stands in the fields of a text {{expression:format}}, a tuple of words; None where the rest differs."""
    if cell.cell_type == "code":
        return () if cell.source == template.source else None
    pattern = "(.+?)".join(map(re.escape, pages.FIELD.sub("\0", template.source).split("\0")))
    found = re.fullmatch(pattern, cell.source, re.S)
    return found and found.groups()


@pytest.mark.parametrize("stem", SOURCES)
def test_no_measured_number_is_typed(stem):
    """Decimals in prose come out of the page or a record; what is typed is listed, with a reason."""
    assert sources.unlisted_decimals(stem, [cell.text for cell in CELLS[stem] if cell.markdown]) == []


def test_typed_decimals_are_found_wherever_they_are_not_formulas_code_or_references():
    prose = "a factor 2.5, about 7e-3, 40 % and 1,234.5 nats. In 06.1 and [Eq. 6.5] $x = 0.5$, `0.5`, {{x:.2f}}, [a](b-1.2.md)."
    assert sources.typed_decimals(prose) == ["2.5", "7e-3", "40 %", "1,234.5"]


@pytest.mark.parametrize(("stem", "folder"), BOOKS)
def test_notebooks_are_in_step_with_their_source(stem, folder):
    """Cell by cell; a lesson and its solutions keep outputs, its exercises have none. To mend: python notebooks/build.py."""
    from nbformat import validate

    found, expected = kept_book(stem, folder), expected_books(stem)[folder]
    assert [(c.cell_type, c.id) for c in found.cells] == [(c.cell_type, c.id) for c in expected.cells]
    for cell, template in zip(found.cells, expected.cells, strict=True):
        assert differences_of(cell, template) is not None, f"{cell.source!r} is not {template.source!r}"
    assert [c.metadata for c in found.cells] == [c.metadata for c in expected.cells]
    grades = [cell.metadata.nbgrader.grade_id for cell in found.cells if "nbgrader" in cell.metadata]
    assert len(set(grades)) == len(grades) and all(
        re.fullmatch(r"[\w-]+", grade) for grade in grades
    )  # nbgrader's rule
    outputs = [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]
    assert bool(outputs) == (folder != "exercises")
    assert not any(output.output_type in ("error",) or output.get("name") == "stderr" for output in outputs)
    validate(found)


@pytest.mark.parametrize("stem", SOURCES)
def test_a_lesson_is_short_enough_to_be_read(stem):
    book, path = expected_books(stem)[""], NOTEBOOKS / f"{stem}.ipynb"
    assert path.stat().st_size < 400_000 and len(book.cells) <= 50
    first = book.cells[0].source
    assert first.startswith(f"# {stem[:2]} ") and "**After this lesson you can**" in first and "*Takes:*" in first


FEWEST = {"23": 1}  # exercises of a lesson, where it is not 2: a map of what others derive


@pytest.mark.parametrize("stem", SOURCES)
def test_a_lesson_has_exercises_with_answers_and_wrong_answers(stem):
    exercises = names(stem, "exercise")
    assert exercises == [f"{stem[:2]}.{i + 1}" for i in range(len(exercises))]
    assert len(exercises) >= FEWEST.get(stem[:2], 2)
    assert sorted(set(names(stem, "solution"))) == sorted(set(names(stem, "check"))) == sorted(exercises)
    texts = {cell.name: cell.text for cell in CELLS[stem] if cell.kind == "exercise"}
    kinds = {
        name: re.match(r"## [\d.]+ (Derive|Implement|Find the bug|Judge)", text)[1] for name, text in texts.items()
    }
    assert {"Implement", "Find the bug"} & set(kinds.values())
    for name, kind in kinds.items():
        assert name in names(stem, "wrong"), f"{name} lists no wrong answer"
        assert name in names(stem, "right"), f"{name} lists no right answer that is written otherwise"
        assert kind != "Find the bug" or "```python" in texts[name], f"{name} does not show the bug"
    for cell in CELLS[stem]:
        if cell.kind == "solution":
            assert cell.text.count("### BEGIN SOLUTION") == cell.text.count("### END SOLUTION") >= 1


@pytest.mark.parametrize("stem", SOURCES)
def test_exercises_say_what_they_are_worth(stem):
    """1 point: an equation of the page, or a line that moves; 2: a step that the page does not take; 3: several."""
    told = {cell.name: cell.words for cell in CELLS[stem] if cell.kind in ("exercise", "written")}
    assert all(re.fullmatch(r"1 point|[23] points", words) for words in told.values()), told
    for folder in ("exercises", "solutions") if told else ():
        cells = kept_book(stem, folder).cells
        graded = {cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points for cell in cells
                  if cell.metadata.get("nbgrader", {}).get("grade")}  # fmt: skip
        worth = {".".join(grade_id.split("-")[2:]): points for grade_id, points in graded.items()}
        assert worth == {name: int(words[0]) for name, words in told.items()}


@pytest.mark.parametrize("stem", SOURCES)
def test_a_lesson_has_a_question_in_words_whose_marks_add_up(stem):
    (question,) = (cell for cell in CELLS[stem] if cell.kind == "written")
    (model,) = (cell for cell in CELLS[stem] if cell.kind == "model")
    assert question.name == model.name == f"{stem[:2]}.W" and question.text.startswith(f"## {question.name} In words: ")
    marks = re.search(r"\*Marks:\* (.*)$", model.text, re.S)[1]
    assert sum(int(each) for each in re.findall(r"\b(\d) for\b", marks)) == question.points


SPACES = {}


def answered(stem, name, replacement):
    """Run setup, what the exercise is given, an answer and the check; what the check raised, or None."""
    if stem not in SPACES:
        SPACES[stem] = {}
        for cell in CELLS[stem]:
            if cell.kind == "setup" and not cell.markdown:
                exec(compile(cell.text, f"{stem} setup", "exec"), SPACES[stem])
    space = dict(SPACES[stem])
    for cell in CELLS[stem]:
        if cell.kind == "given" and cell.name <= name:
            exec(compile(cell.text, f"{stem} given", "exec"), space)
        elif cell.kind == "solution" and cell.name == name:
            exec(compile(replacement or cell.text, f"{stem} answer", "exec"), space)
        elif cell.kind == "check" and cell.name == name:
            try:
                exec(compile(cell.text, f"{stem} check", "exec"), space)
            except AssertionError as error:
                return str(error)
    return None


@pytest.mark.parametrize(("stem", "name"), EXERCISES)
def test_a_check_cell_names_the_exercise_and_nothing_else(stem, name):
    """No formula of the answer stands there, and the judge is imported again."""
    check = next(cell.text for cell in CELLS[stem] if cell.kind == "check" and cell.name == name)
    assert re.fullmatch(rf'from dvae_np.lesson import judge\n\njudge\("{name}", \w+\)', check)


@pytest.fixture
def unchanged(monkeypatch):
    """The judge does not ask whether the package was changed, for 15 ms each time: it does where our answers are judged."""
    monkeypatch.setattr(marking, "AS_IMPORTED", {})


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("stem", "name", "hint"), WRONG)
def test_a_wrong_answer_is_rejected_with_its_own_hint(stem, name, hint):
    """Each wrong answer of this exercise with these words."""
    for cell in CELLS[stem]:
        if (cell.kind, cell.name, cell.words) == ("wrong", name, hint):
            found = answered(stem, name, cell.text)
            assert found is not None, "it was accepted"
            assert hint and hint in found


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("stem", "name", "place"), RIGHT)
def test_a_right_answer_that_is_written_otherwise_is_accepted(stem, name, place):
    assert answered(stem, name, CELLS[stem][place].text) is None


@pytest.mark.parametrize(("stem", "name"), EXERCISES)
def test_answers_are_accepted_and_missing_ones_are_said_to_be_missing(stem, name, capsys):
    assert answered(stem, name, None) is None
    solution = next(cell.text for cell in CELLS[stem] if cell.kind == "solution" and cell.name == name)
    capsys.readouterr()
    assert answered(stem, name, build.stripped(solution)) is None
    assert f"{name}: not attempted yet" in capsys.readouterr().out


def test_under_nbgrader_a_missing_answer_is_an_error(monkeypatch):
    monkeypatch.setattr(marking, "GRADED", True)
    monkeypatch.setattr(marking, "AS_IMPORTED", {})  # which would see that
    stem = next(stem for stem in SOURCES if stem.startswith("06"))
    solution = next(cell.text for cell in CELLS[stem] if cell.kind == "solution" and cell.name == "06.2")
    assert answered(stem, "06.2", build.stripped(solution)) == "06.2: not attempted"


@pytest.mark.parametrize("stem", SOURCES)
def test_no_lesson_redefines_the_library(stem):
    for cell in CELLS[stem]:
        if not cell.markdown:
            for node in ast.walk(ast.parse(cell.text)):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    assert node.name not in dvae_np.__all__, f"{stem} redefines {node.name}"


def test_every_equation_is_derived_in_its_lesson_confirmed_by_numbers_and_in_the_code():
    """The whole table: number, lesson, function, check. (test_readme.py: the function's docstring carries the tag.)"""
    listed = re.findall(r"^\| (\d+)\.(\d+) \|", SHEET, re.M)
    assert len(listed) >= 80
    gaps = []
    for lesson, number in listed:
        stem = next((stem for stem in SOURCES if int(stem[:2]) == int(lesson)), None)
        text = "\n".join(cell.text for cell in CELLS.get(stem, ()) if cell.markdown and cell.kind == "lesson")
        code = "\n".join(
            cell.text for cell in CELLS.get(stem, ()) if not cell.markdown and cell.kind in ("lesson", "setup")
        )
        if rf"\tag{{{lesson}.{number}}}" not in text:
            gaps.append(f"{lesson}.{number} is not derived in its lesson")
        if not re.search(rf'confirm\(\s*"{lesson}\.{number}"', code):
            gaps.append(f"{lesson}.{number} is not confirmed in its lesson")
    tagged = {
        (stem, tag) for stem in SOURCES for cell in CELLS[stem] for tag in re.findall(r"\\tag\{([\d.]+)\}", cell.text)
    }
    gaps += [f"{tag} in {stem} is not on the sheet" for stem, tag in tagged if tuple(tag.split(".")) not in listed]
    assert not gaps, "\n".join(gaps)


INSTRUCTORS = (NOTEBOOKS / "INSTRUCTORS.md").read_text()


def lessons_in(words):
    """The numbers in "03, 05 to 07 (a section: 09)", but for those in parentheses or after a semicolon."""
    words = re.sub(r"\(.*?\)|;.*", "", words)
    spans = re.findall(r"(\d\d)(?: to (\d\d))?", words)
    return {f"{i:02}" for first, last in spans for i in range(int(first), int(last or first) + 1)}


def course():
    """{lesson: (minutes to read, minutes of exercises, the lessons it needs)} of the instructors' table."""
    rows = re.findall(r"^\| \[(\d\d) .*?\| (\d+) \| (\d*) ?\| (.*?) ?\|", INSTRUCTORS, re.M)
    return {number: (int(read), int(train or 0), lessons_in(needs)) for number, read, train, needs in rows}


def all_needed(lesson, table):
    """What a lesson needs, and what that needs."""
    found = set(table[lesson][2])
    return found.union(*(all_needed(each, table) for each in found))


def minutes_of(words):
    return 60 if words == "an hour" else int(words.split()[0])


def test_the_instructors_table_says_what_the_lessons_say_and_adds_up():
    table = course()
    assert sorted(table) == [stem[:2] for stem in SOURCES]
    for stem, cells in CELLS.items():
        needs, takes, exercises = re.search(
            r"\*Needs:\* (.*?)\s\*Takes:\* (.*?)(?: to read and run, (.*?) for the exercises)?\.", cells[0].text, re.S
        ).groups()
        read, train, _ = table[stem[:2]]
        assert (read, train) == (minutes_of(takes), minutes_of(exercises) if exercises else 0)
        told = lessons_in(needs.replace("\n", " "))
        assert told.union(*(all_needed(each, table) for each in told)) == all_needed(stem[:2], table), stem
    reading, training = (sum(row[i] for row in table.values()) for i in (0, 1))
    assert f"{reading // 60} hours and {reading % 60} minutes of reading" in INSTRUCTORS
    assert f"{training // 60} hours and {training % 60} minutes of exercises" in INSTRUCTORS


def test_the_instructors_page_counts_the_points():
    cells = [cell for stem in SOURCES for cell in CELLS[stem]]
    points = {kind: sum(cell.points for cell in cells if cell.kind == kind) for kind in ("exercise", "written")}
    assert f"The course has {sum(points.values())} points, {points['written']} of them in words" in INSTRUCTORS


def test_what_a_plan_assigns_exists_and_its_lesson_was_taught():
    """Exercises by their number, in the lessons of that unit or of one before; the project a unit or more before it is due."""
    for part in re.findall(r"(?ms)^\*\*(?:Two|Six|Twelve) weeks\*\*.*?\n\n.*?\n\n", INSTRUCTORS):
        seen = {"00"}
        for lessons, tasks in re.findall(r"(?m)^\| \d+ \| ([\d, ]+) \| (.*) \|$", part):
            seen |= lessons_in(lessons)
            for lesson, number in re.findall(r"\b(\d\d)\.(\d)\b", tasks):
                assert f"{lesson}.{number}" in names(next(stem for stem in SOURCES if stem[:2] == lesson), "exercise")
            assert set(re.findall(r"\b(\d\d)\b", tasks)) <= seen, tasks


@pytest.mark.parametrize("stem", SOURCES)
def test_the_time_that_a_lesson_takes_is_measured(stem):
    """By what is on its page, to the next five minutes."""
    told, measured = course()[stem[:2]][0], pages.reading_minutes(kept_book(stem, ""))
    assert abs(told - measured) <= 5, f"{told} minutes stand there, {measured:.0f} are counted"


def test_every_path_through_the_course_has_what_its_lessons_need():
    """The instructors' three hours, two, six and twelve weeks, and the paths in lesson 00; in order, and within the time."""
    table = course()
    hours = re.search(r"\*\*Three hours\*\*.*?\n\n", INSTRUCTORS, re.S)[0]
    parts = re.findall(r"\b(\d\d)\b[^(]*?\((\d+)(?: minutes)?\)", hours.split(":", 1)[1])
    assert sum(int(minutes) for _, minutes in parts) == 180
    plans = {}
    for length, most in (("Two weeks", 150), ("Six weeks", 180), ("Twelve weeks", 150)):
        part = re.search(rf"\*\*{length}\*\*.*?\n\n.*?\n\n", INSTRUCTORS, re.S)[0]
        plans[length] = [lessons_in(cell) for cell in re.findall(r"^\| \d+ \| ([\d, ]+) \|", part, re.M)]
        for units in plans[length]:
            assert sum(table[lesson][0] for lesson in units) <= most, (length, units)
    assert [len(units) for units in plans.values()] == [10, 6, 12]
    start = next(cell.text for cell in CELLS["00_why_discrete"] if "In a hurry" in cell.text)
    paths = [[{lesson} for lesson, _ in parts], *plans.values()]
    for words in re.findall(r"(?:In a hurry\?|Here for .*?:) ([\d, to and]+)\.", start):
        paths.append([lessons_in(words)])
    assert len(paths) == 7
    for path in paths:
        seen = {"00"}
        for step in path:
            seen |= step
            for lesson in step:
                assert all_needed(lesson, table) <= seen, f"{lesson} needs {all_needed(lesson, table) - seen}"


def math_of(text):
    """The formulas in Markdown: display ones first, then those between single dollars; and what is left over."""
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.S)
    display = re.findall(r"\$\$(.+?)\$\$", text, re.S)
    text = re.sub(r"\$\$.+?\$\$", "", text, flags=re.S)
    inline = re.findall(r"(?<!\\)\$([^$]+?)(?<!\\)\$", text)
    return display, inline, re.sub(r"(?<!\\)\$[^$]+?(?<!\\)\$", "", text)


@pytest.mark.parametrize("stem", [*SOURCES, "sheet"])
def test_formulas_are_ones_that_github_and_mathjax_take(stem):
    """Known macros, balanced braces, fences and dollars, no inline formula that Markdown would break."""
    texts = [SHEET] if stem == "sheet" else [cell.text for cell in CELLS[stem] if cell.markdown]
    for text in texts:
        display, inline, rest = math_of(text)
        assert "$" not in rest.replace(r"\$", ""), f"an unbalanced dollar: {rest[-200:]}"
        for formula in display + inline:
            unknown = set(re.findall(r"\\([a-zA-Z]+)", formula)) - MACROS
            assert not unknown, f"{unknown} in {formula}"
            bare = re.sub(r"\\[{}]", "", formula)
            depth = 0
            for sign in bare:
                depth += (sign == "{") - (sign == "}")
                assert depth >= 0, formula
            assert depth == 0, f"unbalanced braces: {formula}"
            assert len(re.findall(r"\\left(?![a-z])", formula)) == len(re.findall(r"\\right(?![a-z])", formula)), (
                formula
            )
            assert formula.count(r"\begin") == formula.count(r"\end"), formula
        for formula in inline:
            assert formula == formula.strip() and "\n\n" not in formula, f"Markdown breaks ${formula}$"


def test_links_and_figures_of_the_notebooks_exist():
    texts = {path.name: path.read_text() for path in NOTEBOOKS.glob("*.md")}
    for stem, folder in BOOKS:
        prose = [cell.source for cell in expected_books(stem)[folder].cells if cell.cell_type == "markdown"]
        texts[f"{folder}/{stem}"] = "\n".join(prose)
    for name, text in texts.items():
        start = NOTEBOOKS / name.partition("/")[0] if "/" in name else NOTEBOOKS
        for target in re.findall(r"\]\(([^)#\s]+)\)", re.sub(r"```.*?```|`[^`]*`|\{\{.*?\}\}", "", text, flags=re.S)):
            assert target.startswith("https://") or (start / target).exists(), f"{name}: {target}"


@pytest.mark.notebooks
@pytest.mark.parametrize(("stem", "folder"), BOOKS)
def test_notebooks_run_in_a_fresh_kernel(stem, folder):
    """Top to bottom, no network, warnings as errors, in less than a minute; unsolved exercises too."""
    started = time.perf_counter()
    book, _ = pages.executed(build.notebooks(SOURCES[stem])[folder], NOTEBOOKS / folder, folder != "exercises")
    assert time.perf_counter() - started < 60
    printed = "".join(o.get("text", "") for c in book.cells if c.cell_type == "code" for o in c.outputs)
    missing = {name for name in names(stem, "exercise") if f"{name}: not attempted yet" in printed}
    assert missing == (set(names(stem, "exercise")) if folder == "exercises" else set())
    kept = kept_book(stem, folder)
    for cell, new, template in zip(kept.cells, book.cells, expected_books(stem)[folder].cells, strict=True):
        if cell.cell_type == "markdown" and folder != "exercises":  # whose numbers are the solutions'
            for was, now in zip(differences_of(cell, template), differences_of(new, template), strict=True):
                assert as_close(was, now), f"{was} stands in the text, {now} comes out"


def as_close(was, now):
    """Equal, but for rounding in the last digit that is shown."""
    if was == now:
        return True
    digits = len(was.partition("e")[0].partition(".")[2].rstrip("% "))
    scale = 10.0 ** (int(was.partition("e")[2] or 0) - digits)
    return abs(float(was.rstrip("% ")) - float(now.rstrip("% "))) <= 1.01 * scale
