"""The list of mistakes fits the package, and the table says of each what notices it (`mutations.py` makes the table)."""

import ast
from pathlib import Path

import mutations
import pytest
from mutants import MUTATIONS

PACKAGE = Path(__file__).resolve().parents[1] / "dvae_np"
WITHOUT_ARITHMETIC = (  # where files begin that name, parse, print, draw or start processes, but compute nothing
    *("__init__", "__main__", "starting", "memory", "records/", "cli/", "figures/"),
    *(
        "likelihoods/__init__",
        "estimators/__init__",
        "check/__init__",
        "train/__init__",
        "exercises/__init__",
        "experiments/__init__",
        "bench/__init__",
    ),
    *("check/adapters", "check/torch", "check/jax"),  # which need frameworks that are not here
    *(
        "bench/contestants/",
        "bench/turns",
        "bench/worker",
        "experiments/gallery",
        "experiments/page_costs",
        "experiments/page_judge",
    ),
)
GROUPS = ("figures/", "exercises/lesson_")  # of which some have a mistake in the list


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.key)
def test_the_mistake_stands_once_and_is_python(mutation):
    right = (PACKAGE / mutation.file).read_text(encoding="utf-8")
    wrong = mutation.applied(right)
    assert ast.dump(ast.parse(wrong)) != ast.dump(ast.parse(right))
    lines = list(zip(right.splitlines(), wrong.splitlines(), strict=True))
    assert sum(before != after for before, after in lines) == 1


def test_every_module_that_computes_has_one():
    assert len({each.key for each in MUTATIONS}) == len(MUTATIONS) >= 70
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    covered = {each.file for each in MUTATIONS}
    assert not [file for file in sorted(files - covered) if not file.startswith(WITHOUT_ARITHMETIC + GROUPS)]
    for start in (*WITHOUT_ARITHMETIC, *GROUPS):
        assert any(file.startswith(start) for file in files), start
    for start in GROUPS:
        assert any(file.startswith(start) for file in covered), start


def test_the_table_answers_for_every_mistake():
    table = mutations.read_table()
    assert list(table) == [each.key for each in MUTATIONS], "run tests/mutations.py"
    assert not [each.key for each in MUTATIONS if not mutations.answered(each, table)], "run tests/mutations.py"
    for each in MUTATIONS:
        assert bool(each.why) == (table[each.key]["by"] == "nothing"), each.key


def test_every_module_of_the_list_has_tests():
    for file in {each.file for each in MUTATIONS}:
        for path in mutations.tests_of(file):
            assert (PACKAGE.parent / path).is_file(), path


def test_a_mistake_that_is_listed_again_with_another_text_is_tried_again():
    first = MUTATIONS[0]
    line = {"change": first.change, "by": "verify", "which": "level 1", "seconds": 1.0}
    assert mutations.answered(first, {first.key: line})
    assert not mutations.answered(first, {first.key: line | {"change": "another"}})
    assert not mutations.answered(first, {first.key: line | {"by": "nothing"}})
    assert not mutations.answered(first, {})
