"""Every recipe of the course's page runs, in a folder of its own, and says what it promises."""

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "notebooks" / "RECIPES.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## ([^\n]*)\n(?:(?!^## ).)*?^```python\n(.*?)^```", PAGE, re.M | re.S))
SAYS = {  # a part of what some of them print
    "A table with columns of categories": "('A', 'F', 'N', 'Na')",
    "Your own f: a black box": "allows: exact, reinforce",
    "Your own f: gates that choose features": "[0 5]",
    "Your own f: a simulator": "3 servers",
    "A run, saved and put to use": "exact, 64 states",
    "Text, as rows of symbols": "by dynamic programming",
    "To PyTorch, and back": "True",
}


def test_every_section_has_a_recipe():
    assert len(RECIPES) == PAGE.count("\n## ") >= 9 and set(SAYS) <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs(name, tmp_path, monkeypatch):
    """And takes at most ten statements, imports and what stands inside a function apart."""
    if "torch" in RECIPES[name]:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(RECIPES[name], name, "exec"), {"__name__": "recipe"})
    assert SAYS.get(name, "") in printed.getvalue(), printed.getvalue()
    statements = [node for node in ast.parse(RECIPES[name]).body if not isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(statements) <= 10
