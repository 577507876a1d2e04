"""The page of mistakes that public code made, and how each is caught: the bug bank, its checks run for their words."""

import ast
import inspect
import re
import sys

from site_code import block
from site_facts import escaped
from site_pages import label

from dvae_np.check.report import LEVELS
from dvae_np.text import markdown_columns


def bank(root):
    """The modules of the bug bank; the first has the whole of it."""
    if str(root / "tests") not in sys.path:
        sys.path.append(str(root / "tests"))
    import bugs
    import bugs_bounds
    import bugs_quantised
    import strangers

    return bugs, bugs_bounds, bugs_quantised, strangers


def words(found):
    """What a check says of a mistake, as text."""
    if hasattr(found, "report"):
        return found.report.failures()[0].removeprefix("FAILED").strip() if found.report.failed else "nothing failed"
    if hasattr(found, "check"):
        return f"{found.check}: {found.verdict}" + (f"; {found.explanation}" if found.explanation else "")
    return str(found).strip() or "nothing"


def called(function, known):
    """The names that a function's code uses, of those known; functions inside it and its defaults are looked into."""
    names, stack = [each.__name__ for each in function.__defaults__ or () if callable(each)], [function.__code__]
    while stack:
        code = stack.pop()
        names += code.co_names
        stack += [each for each in code.co_consts if inspect.iscode(each)]
    return [name for name in dict.fromkeys(names) if name in known]


def sources(modules):
    """{name: source} of the functions and classes of the modules, as they stand there."""
    found = {}
    for module in modules:
        text = inspect.getsource(module)
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = ast.get_source_segment(text, node)
    return found


def code_of(bug, known):
    """The code of a mistake and of the check that catches it."""
    names = called(bug.caught, known)
    return "\n\n\n".join(known[name] for name in known if name in names and name not in ("rng", "Judged", "judged"))


def mistakes_of(name, bugs, known):
    """Markdown: a link to each mistake in code of an estimator, by the words of the bank and of the code there."""
    spelled, used = re.compile(rf"\b{name.replace('_', '[-_ ]')}\b", re.I), f'TABLE["{name}"]'
    bank = () if name == "exact" else bugs.BANK  # that one stands beside all others
    return [
        link(bug)
        for bug in bank
        if spelled.search(f"{bug.name} {bug.seen_in}") or any(used in known[each] for each in called(bug.caught, known))
    ]


def link(bug):
    """Markdown: a link to a mistake."""
    return f"[{escaped(bug.name)}](#{label('bug', bug.name)})"


def told(bug, known):
    """Paragraphs of Markdown on a mistake. Raises SystemExit where the check does not catch it."""
    found = bug.caught()
    if found.ok:
        raise SystemExit(f"tests/bugs.py: {bug.name} is not caught")
    yield f"({label('bug', bug.name)})=\n### {escaped(bug.name[0].upper() + bug.name[1:])}"
    yield f"Seen in: {escaped(bug.seen_in)}. The check says:"
    yield f"> {escaped(words(found))}"
    if bug.missed:
        yield "Another check does not see it:"
        yield f"> {escaped(words(bug.missed()))}"
    if code := code_of(bug, known):
        yield f"<details><summary>The mistake and the check, in code</summary>\n\n{block(code)}\n\n</details>"


def page(site, modules):
    """The Markdown of the page. Raises SystemExit where a check does not catch its mistake."""
    bank, known = modules[0].BANK, sources(modules)
    parts, rows = [], [("mistake", "seen in", "caught by")]
    for level in sorted({bug.level for bug in bank}):
        parts += [f"## Caught at level {level}: {LEVELS[level]}", f"[How it is proved](#{label('level', str(level))})."]
        for bug in (bug for bug in bank if bug.level == level):
            rows.append(
                (link(bug), escaped(bug.seen_in), f"[level {level}](#{label('level', str(level))}), {LEVELS[level]}")
            )
            parts += told(bug, known)
    public = (site.root / "figures/README.md").read_text(encoding="utf-8").partition("## Public packages")[2]
    count = re.search(r"\d+ estimators of \d+ packages", public)
    return f"""\
# Mistakes that public code made, and how each is caught

{len(bank)} mistakes from real code. The tests put each of them in, and a check must catch it. Below is what the check said
when this page was made, and the code of both. Some mistakes pass another check, which therefore is not enough.

[{count[0] if count else "Estimators of public packages"} were put before the judge](numbers.md#public-packages); you can do
the same with [your own estimator](index.md#judge-your-own-estimator).

{markdown_columns(rows)}

{(chr(10) * 2).join(parts)}
"""
