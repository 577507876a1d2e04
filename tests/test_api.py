"""The page of what is public, `dvae_np/README.md`, the lists `__all__` and the docstrings agree; lessons use no other.

`python tests/test_api.py` writes the page's tables anew, from the lists and from the first sentence of each docstring.
"""

import ast
import inspect
import re
from pathlib import Path

import pytest

import dvae_np
import dvae_np.check
import dvae_np.codebook
import dvae_np.lesson
import dvae_np.scalar_codes
import dvae_np.thermodynamic
import dvae_np.train
import dvae_np.vq_vae
import dvae_np.wake_sleep

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "dvae_np" / "README.md"
MODULES = {
    module.__name__: module
    for module in (
        dvae_np,
        dvae_np.check,
        dvae_np.train,
        dvae_np.codebook,
        dvae_np.scalar_codes,
        dvae_np.vq_vae,
        dvae_np.thermodynamic,
        dvae_np.wake_sleep,
    )
}
SHOWN = (
    "dvae_np.figures",
    "dvae_np.experiments",
    "dvae_np.lesson",
    "dvae_np.records",
    "dvae_np.device",
)  # by whole files
FOREIGN = {  # of another framework, which need not be installed: {module: {name: docstring}} of what is written there
    f"dvae_np.check.{name}": {
        node.name: ast.get_docstring(node)
        for node in ast.parse((ROOT / "dvae_np" / "check" / f"{name}.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    for name in ("torch", "jax")
}
PUBLIC = [(name, entry) for name, module in MODULES.items() for entry in module.__all__]
PUBLIC_THERE = [(module, name) for module, names in FOREIGN.items() for name in names]


def first_sentence(module, name):
    """What the page says of a name: its docstring's first sentence, in one line; of a table, the names of its rows."""
    entry = None if module in FOREIGN else getattr(MODULES[module], name)
    if isinstance(entry, dict):
        return f"a table: {', '.join(f'`{row}`' for row in entry)}"
    doc = FOREIGN[module][name] if module in FOREIGN else inspect.getdoc(entry)
    text = " ".join(doc.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[^.A-Z][.:])\s+(?=[A-Z`])", text)[0].rstrip(":")
    return sentence.replace("|", "\\|").replace("<", "&lt;")


def tables(page):
    """{(module, group): [(name, what is said of it), ...]} of the page."""
    found = {}
    for section in page.split("\n## ")[1:]:
        module = re.match(r"`([\w.]+)`", section)[1]
        for group in section.split("\n### ")[1:]:
            rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", group, re.M)
            found[module, group.split("\n")[0]] = rows
    return found


def rewritten(page):
    """The page, with what it says of each name as the docstrings have it."""
    sections = page.split("\n## ")
    for i, section in enumerate(sections[1:], 1):
        for (module, _), rows in tables(f"\n## {section}").items():
            for name, said in rows:
                sections[i] = sections[i].replace(
                    f"| `{name}` | {said} |", f"| `{name}` | {first_sentence(module, name)} |"
                )
    return "\n## ".join(sections)


def test_the_page_has_every_public_name_once_in_its_module():
    listed = [(module, name) for (module, _), rows in tables(PAGE.read_text()).items() for name, _ in rows]
    assert sorted(listed) == sorted(PUBLIC + PUBLIC_THERE)


def test_the_page_says_what_the_docstrings_say():
    page = PAGE.read_text()
    assert page == rewritten(page), "run python tests/test_api.py"


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_a_public_name_is_documented(module, name):
    """What it is; the shapes of arrays that it takes; the errors that its own lines raise."""
    entry = getattr(MODULES[module], name)
    if isinstance(entry, dict):
        return
    doc = inspect.getdoc(entry)
    assert doc and len(doc) > 20
    if not inspect.isfunction(entry):
        return
    source = ast.parse(inspect.getsource(entry))
    calls = {
        node.func.id for node in ast.walk(source) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    raises = any(isinstance(node, ast.Raise) and node.exc for node in ast.walk(source))
    if raises or any(call.startswith("expect") for call in calls):
        assert re.search(r"Raises|raises|InputError|Errors? as|errors as", doc), f"{name}: its errors"
    if entry.__module__ == "dvae_np.ops" and list(inspect.signature(entry).parameters) == ["x"]:
        return  # entry by entry, or over the last axis
    arrays = {"logits", "q", "z", "x", "a", "table", "u", "v", "e", "distinct", "coupled", "xi"}
    if arrays & set(inspect.signature(entry).parameters):
        assert re.search(r"\([A-Za-z0-9.*][\w.*]*,? ?[^)]*\)|\(\.\.\.\)|same shape|last axis|[Pp]lain logits", doc), (
            f"{name}: shapes"
        )


def test_lessons_use_what_is_public_or_show_it():
    public = {name for _, name in PUBLIC}
    sources = {path.name: path.read_text() for path in sorted((ROOT / "notebooks" / "source").glob("*.py"))}
    shown = set(re.findall(r"\b\w+", " ".join(re.findall(r"show\(([^)]*)\)", "\n".join(sources.values())))))
    for path, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.ImportFrom)
                and node.module.startswith("dvae_np.")
                and not node.module.startswith(SHOWN)
                and node.module not in MODULES
            ):
                for alias in node.names:
                    seen = {alias.name, alias.asname, node.module.split(".")[-1]} & shown  # it, or whose part it is
                    assert node.module in MODULES or seen or alias.name not in public, (
                        f"{path.name}: {alias.name} is flat"
                    )
                    assert alias.name in public or seen, f"{path}: {node.module}.{alias.name} is not public"


def test_no_function_hides_a_module():
    """`import dvae_np.estimators.exact as m` gives the module, whatever is exported under its name."""
    for path in (ROOT / "dvae_np").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        package, name = ".".join(parts[:-1]), parts[-1]
        if name.startswith("__") or "contestants" in parts or "exercises" in parts or f"{package}.{name}" in FOREIGN:
            continue  # what judges exercises is nobody's to import, and frameworks need not be here
        __import__(f"{package}.{name}")
        holder = __import__(package, fromlist=["_"])
        assert inspect.ismodule(getattr(holder, name)), f"{package}.{name}"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
