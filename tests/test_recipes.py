"""Every recipe of the course's page runs, in a folder of its own, and says what it promises."""

import ast
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "notebooks" / "RECIPES.md").read_text(encoding="utf-8")
FOUND = re.findall(r"^## ([^\n]*)\n(?:(?!^## ).)*?^```(python|sh)\n(.*?)^```", PAGE, re.M | re.S)
RECIPES = {title: code for title, language, code in FOUND if language == "python"}
COMMANDS = {title: code for title, language, code in FOUND if language == "sh"}
SAYS = {  # a part of what some of them print
    "A table with columns of categories": "('A', 'F', 'N', 'Na')",
    "Your own f: a black box": "allows: exact, reinforce",
    "Your own f: gates that choose features": "[0 5]",
    "Your own f: exactly k of N features": "[0 5]",
    "Another objective: wake-sleep, or your own bound": "exact, 64 states",
    "Your own f: a simulator": "3 servers",
    "A run, saved and put to use": "exact, 64 states",
    "Text, as rows of symbols": "by dynamic programming",
    "To PyTorch, and back": "True",
    "An estimator of PyTorch before the judge": "UNBIASED (enumerated",
    "An estimator of JAX before the judge": "beside the mean of straight_through",
    "Your own backward pass": "wrong: dw",
}


def test_every_section_has_a_recipe():
    assert len(RECIPES | COMMANDS) == PAGE.count("\n## ") >= 9 and set(SAYS) <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs(name, tmp_path, monkeypatch):
    """And takes at most ten statements, imports and what stands inside a function apart."""
    for framework in ("torch", "jax"):
        if re.search(rf"^(import|from) .*\b{framework}\b", RECIPES[name], re.M):
            pytest.importorskip(framework)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(RECIPES[name], name, "exec"), {"__name__": "recipe"})
    assert SAYS.get(name, "") in printed.getvalue(), printed.getvalue()
    statements = [node for node in ast.parse(RECIPES[name]).body if not isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(statements) <= 10


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_of_a_recipe_run(name, tmp_path):
    if "parallel" in COMMANDS[name] and not shutil.which("parallel"):
        pytest.skip("GNU parallel is not installed")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for line in COMMANDS[name].splitlines():
        done = subprocess.run(
            line, shell=True, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PATH": path}
        )
        assert done.returncode == 0, done.stderr
    assert "4 runs, 4 of them finished" in done.stdout
