"""The pages of code: a page for each module that others lead to, its names as headings; and the pages that lead there."""

import ast
import re

from site_pages import REFERENCE, label, modules

from dvae_np.estimators import TABLE

SHEET_ROW = re.compile(r"^\| (\d+\.\d+) \|(.*)\| `([\w.]+)` \|$", re.M)
API_ROW = re.compile(r"^\| `(\w+)` \|")
API_MODULE = re.compile(r"^## `([\w.]+)`")


class Code:
    """The package's modules by their names, of which no two are alike; a folder goes by its own name."""

    def __init__(self, root):
        self.paths = modules(root)
        self.asked = set()  # the modules that a link leads to
        self.parts = {module: parts(path.read_text(encoding="utf-8")) for module, path in self.paths.items()}
        self.tops = {module: dict(named) for module, (_, named) in self.parts.items()}

    def link(self, name, page, words=""):
        """Markdown: a link to a name as the sheet writes it, `laws.Independent.kl` or `ops`, in the text of `page`.

        words: what is to be read in its place. Raises SystemExit for a name that is not in the code.
        """
        module, _, rest = name.partition(".")
        top = rest.partition(".")[0]
        if module not in self.paths or (top and top not in self.tops[module]):
            raise SystemExit(f"{page}: names {name}, which is not in the package")
        if module in TABLE:
            return f"[`{words or name}`](#{label('estimator', module)})"
        self.asked.add(module)
        return f"[`{words or name}`](#{code_label(module, top)})"

    def link_public(self, name, module):
        """Markdown: the same for a name of a public module, as `check`; no link where no module defines it at its top."""
        if name in TABLE:
            return f"[`{name}`](#{label('estimator', name)})"
        home = self.home(name, module)
        return self.link(f"{home}.{name}", module, name) if home else f"`{name}`"

    def home(self, name, module):
        """The module that defines what `module` imports under a name; None where there is none in the package."""
        if name in self.tops.get(module, ()):
            return module
        path = self.paths.get(module)
        for node in ast.parse(path.read_text(encoding="utf-8")).body if path else ():
            if isinstance(node, ast.ImportFrom) and name in (each.name for each in node.names):
                return self.home(name, node.module.rpartition(".")[2])
        return None

    def sheet(self, text):
        """{equation: a link to what computes it} of the sheet's Markdown."""
        return {tag: self.link(name, "notebooks/README.md") for tag, _, name in SHEET_ROW.findall(text)}

    def page(self, module, site):
        """The Markdown of a module's page."""
        path = self.paths[module]
        first, named = self.parts[module]
        dotted = ".".join(path.relative_to(site.root).with_suffix("").parts).removesuffix(".__init__")
        text = [
            "---\norphan: true\n---",
            f"({code_label(module)})=\n# `{dotted}`",
            "[Modules](../api.md#source)",
            block(first),
        ]
        for name, source in named:
            text.append(f"({code_label(module, name)})=\n## `{name}`")
            mentioned = [tag for found in REFERENCE.findall(source) for each in found for tag in each.split(", ")]
            told = [f"[Eq. {tag}]" for tag in dict.fromkeys(mentioned) if tag in site.formulas]
            if told:
                text.append(site.references(f"In the lessons: {', '.join(told)}.", dotted))
            text.append(block(source))
        return "\n\n".join(text) + "\n"


def code_label(module, top=""):
    """The label of a module, or of a name at its top: labels know no capitals, so a class and a constant say what they are."""
    kind = "constant." if top.isupper() else "class." if top[:1].isupper() else ""
    return label("code", f"{module}.{kind}{top}")


def block(source):
    """Code in Markdown, with a fence that it does not contain."""
    return f"````python\n{source}\n````"


def parts(source):
    """(what comes first, [(name, source)]) of a module: decorators and comments stand with what follows them."""
    lines, starts = source.splitlines(), []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first, name = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1, node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != "__all__":
            first, name = node.lineno - 1, node.targets[0].id
        else:
            continue
        while first and lines[first - 1].startswith("#"):
            first -= 1
        starts.append((first, name))
    ends = [*(first for first, _ in starts[1:]), len(lines)][: len(starts)]
    named = [(name, "\n".join(lines[first:end]).strip("\n")) for (first, name), end in zip(starts, ends, strict=True)]
    return "\n".join(lines[: starts[0][0] if starts else len(lines)]).strip("\n"), named


def equations(site, code):
    """Write the sheet's page: numbers lead to the lessons, names to the code."""

    def row(found):
        tag, formula, name = found.groups()
        return f"| [{tag}](#{label('eq', tag)}) |{formula}| {code.link(name, 'notebooks/README.md')} |"

    site.add("equations.md", SHEET_ROW.sub(row, site.page("notebooks/README.md")))


def reference(site, code):
    """Write the page of public names: each leads to its source, where its docstring stands."""
    module, lines = "", []
    for line in site.page("dvae_np/README.md").split("\n"):
        if found := API_MODULE.match(line):
            module = found[1].rpartition(".")[2]
        if found := API_ROW.match(line):
            line = f"| {code.link_public(found[1], module)} |{line[found.end() :]}"
        lines.append(line)
    every = " · ".join(code.link(each, "api.md") for each in sorted(code.asked))
    site.add("api.md", "\n".join([*lines, "", "## Source", "", f"Modules: {every}", ""]))
