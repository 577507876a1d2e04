"""The exams: in every variant the answer is right and what is shown as wrong is not; students get no answer, no hidden test."""

import re
from random import Random

import exams
import pytest
import sources

SEEDS = range(24)  # so many that every choice of every template comes up


def cells(exam, seed, tmp_path):
    path = tmp_path / f"{exam}.py"
    path.write_text(exams.source(exam, seed), encoding="utf-8")
    return sources.parse(path)


@pytest.fixture(scope="module", params=[(exam, number) for exam in exams.EXAMS for number in range(6)],
                ids=lambda each: f"{each[0]}-{each[1] + 1}")  # fmt: skip
def variants(request, tmp_path_factory):
    """All different variants of one task, each a list of cells, with the setup's names."""
    exam, number = request.param
    found, space = {}, {}
    for seed in SEEDS:
        parts = cells(exam, seed, tmp_path_factory.mktemp("exam"))
        names = list(dict.fromkeys(cell.name for cell in parts if cell.name))
        own = [cell for cell in parts if cell.name == names[number]]
        found["\n".join(cell.text for cell in own)] = own
        if not space:
            exec(next(cell.text for cell in parts if cell.kind == "setup"), space)
    return list(found.values()), space


def run(space, *codes):
    """What is raised by code that runs after the setup, or None."""
    names = dict(space)
    try:
        for code in codes:
            exec(code, names)
    except Exception as error:
        return error
    return None


def part(own, kind):
    return next((cell.text for cell in own if cell.kind == kind and not cell.markdown), "")


def test_every_answer_is_right_and_everything_else_is_not(variants):
    many, space = variants
    for own in many:
        solution, check = part(own, "solution"), part(own, "check")
        if not solution:
            assert any(cell.kind == "model" for cell in own)
            continue
        assert run(space, solution, check) is None
        name = re.search(r"^def (\w+)\((.*)\):", solution, re.M)
        for change in (
            "lambda found: 1.01 * found",
            "lambda found: -found",
            "lambda found: found * (1 + 1e-6)",
        ):
            twisted = f"""
kept, change = {name[1]}, {change}
def {name[1]}(*arguments):
    found = kept(*arguments)
    return change(found) if not isinstance(found, tuple) else (found[0], lambda dy: change(found[1](dy)))
"""
            assert isinstance(run(space, solution, twisted, check), AssertionError), (name[1], change)
        if shown := re.search(r"```python\n(def wrong.*?)```", own[0].text, re.S):
            wrong = run(space, shown[1] + f"\n\n{name[1]} = wrong", check)
            assert isinstance(wrong, AssertionError), own[0].text


def test_there_are_several_variants_of_each(variants):
    many, _ = variants
    assert len(many) >= 4


@pytest.mark.parametrize("exam", exams.EXAMS)
def test_students_get_neither_answers_nor_hidden_tests(exam, tmp_path):
    import nbformat

    theirs, ours = (nbformat.read(path, 4) for path in exams.write(exam, "a secret", tmp_path))
    text = "\n".join(cell.source for cell in theirs.cells)
    for hidden in ("SOLUTION", "HIDDEN", "reference", "Marks", "check_op(", "seed in"):
        assert hidden not in text, hidden
    assert text.count("YOUR CODE HERE") >= 5 and text.count("YOUR ANSWER HERE") >= 1 and "# Exercises" not in text
    points = [cell.metadata.nbgrader.points for cell in ours.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert sum(points) == 16 and len(points) == 6
    assert [cell.cell_type for cell in theirs.cells] == [cell.cell_type for cell in ours.cells]
    assert not list((tmp_path / "solutions").glob("*.py"))


def test_a_seed_gives_the_same_exam_and_another_seed_another():
    for exam in exams.EXAMS:
        assert exams.source(exam, 7) == exams.source(exam, "7") != exams.source(exam, 8)
        assert len({exams.source(exam, seed) for seed in SEEDS}) == len(SEEDS)
    with pytest.raises(SystemExit, match="expected one of midterm, final"):
        exams.source("quiz", 1)


@pytest.mark.parametrize("exam", exams.EXAMS)
def test_the_text_of_a_task_has_no_place_that_is_not_filled(exam):
    for seed in SEEDS:
        text = exams.source(exam, seed)
        assert "<<" not in text and ">>" not in text and len(re.findall(r"(?m)^# %%", text)) >= 19
    assert Random("x").random() == Random("x").random()


def test_hidden_tests_are_taken_out_wherever_they_stand():
    assert exams.without_hidden_tests("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS") == "a"
    assert exams.without_hidden_tests("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc") == "a\nc"
