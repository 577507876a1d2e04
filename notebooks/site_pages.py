"""The site's sources: what the repository's notebooks and Markdown become there, every link and equation resolved.

A page keeps its text. A link to another file becomes a link to that file's page, or to a copy of it to download; one to a
folder without a page becomes plain words; one to nothing is refused. `[Eq. 6.5]` becomes a link to the equation in its lesson,
the name of an estimator one to its page.
"""

import json
import posixpath
import re
import shutil
from pathlib import Path

from dvae_np.estimators import TABLE

HERE = Path(__file__).parent
ROOT = HERE.parent
PLACES = {  # of the repository, on the site
    "README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "figures/README.md": "numbers.md",
    "figures/WHICH_ESTIMATOR.md": "which.md",
    "dvae_np/README.md": "api.md", "notebooks/README.md": "equations.md", "notebooks/SYMBOLS.md": "glossary.md",
    "notebooks/RECIPES.md": "recipes.md", "notebooks/INSTRUCTORS.md": "instructors.md", "notebooks": "lessons/index.md",
    "notebooks/PROJECT.md": "project.md", "notebooks/ERRATA.md": "errata.md", "notebooks/CHANGES.md": "changes.md",
    "tests/bugs.py": "bugs.md", "dvae_np/estimators": "estimators/index.md",
}  # fmt: skip
EQUATION = re.compile(r"^\$\$(?:(?!\$\$).)*?\\tag\{[\d.]+\}.*?\$\$", re.M | re.S)
TAG = re.compile(r"\\tag\{([\d.]+)\}")
REFERENCE = re.compile(r"\[Eq\. (\d+\.\d+(?:, \d+\.\d+)*)\]|Eq\. (\d+\.\d+)")
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)")
CODE = r"(`{3,}).*?\1|`[^`\n]*`"
KEPT = re.compile(CODE + r"|\$\$.*?\$\$|\$[^$\n]+\$|<!--.*?-->", re.S)  # code and formulas: nothing in them is changed
HEADING = re.compile(r"^\|.*\|$(?=\n\| ?---)", re.M)  # of a table: long names there may be broken
MARK = re.compile("\x00(\\d+)\x00")


def label(kind, name):
    """The label of an equation, a piece of code or a mistake, as Sphinx knows it."""
    return f"{kind}-" + re.sub(r"\W+", "-", name).strip("-").lower()


class Aside:
    """What is put aside while the rest of a text is changed: a mark stands in its place."""

    def __init__(self):
        self.kept = []

    def keep(self, text):
        """The mark for a text."""
        self.kept.append(text)
        return f"\x00{len(self.kept) - 1}\x00"

    def restored(self, text):
        """The text with all that was put aside."""
        while MARK.search(text):
            text = MARK.sub(lambda found: self.kept[int(found[1])], text)
        return text


class Site:
    """The source folder of the site, and what every page must know: where things are."""

    def __init__(self, folder, root=ROOT):
        self.folder, self.root = Path(folder), root
        self.books = {path.stem: json.loads(path.read_text(encoding="utf-8"))
                      for path in sorted((root / "notebooks").glob("[0-9]*.ipynb"))}  # fmt: skip
        self.places = PLACES | {f"notebooks/{stem}.ipynb": f"lessons/{stem}.ipynb" for stem in self.books}
        self.places |= {path.relative_to(root).as_posix(): f"estimators/{name}.md" if name in TABLE else f"code/{name}.md"
                        for name, path in modules(root).items()}  # fmt: skip
        displays = [(stem, found) for stem, book in self.books.items() for text in markdown_of(book)
                    for found in EQUATION.findall(text)]  # fmt: skip
        self.formulas = {tag: found for stem, found in displays for tag in TAG.findall(found) if home(tag) == stem[:2]}
        self.stems = {tag: stem for stem in self.books for tag in self.formulas if home(tag) == stem[:2]}

    def add(self, place, text):
        """Write a page."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def link(self, target, page):
        """Where a link of `page`, both named as in the repository, leads on the site, from the page's own place there.

        None for a folder that has no page. Raises SystemExit for what is not in the repository.
        """
        file, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        found = self.root / path
        if not found.exists():
            raise SystemExit(f"{page}: links to {target}, which is not there")
        if path not in self.places:
            if found.is_dir():
                return None
            self.places[path] = f"downloads/{path}"
            copy = self.folder / self.places[path]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, copy)
        place = posixpath.relpath(self.places[path], posixpath.dirname(self.places.get(page, page)) or ".")
        if self.places[path].startswith("downloads/"):
            return f"path:{place}"  # so Sphinx calls what is to be downloaded
        return f"{place}#{anchor}" if anchor else place

    def markdown(self, text, page):
        """Markdown of a file of the repository, as the site shows it. Raises SystemExit for a link that leads nowhere."""
        aside = Aside()

        def link(found):
            picture, words, target = found.groups()
            if target.startswith(("https://", "http://", "#")):
                return aside.keep(found[0])
            place = self.link(target, page)
            if place is None:
                return words
            return aside.keep(f"![{words}]({place.removeprefix('path:')})" if picture else f"[{words}]({place})")

        def name(found):
            estimator = aside.kept[int(found[1])][1:-1]
            if estimator not in TABLE or self.places.get(page) == f"estimators/{estimator}.md":
                return found[0]
            return f"[{found[0]}](#{label('estimator', estimator)})"

        text = self.equations(LINK.sub(link, KEPT.sub(lambda found: aside.keep(found[0]), text)), page, aside)
        text = HEADING.sub(lambda found: re.sub(r"(?<=\w)_(?=\w)", "_<wbr>", found[0]), text)
        text = "\n".join(line if line.startswith("#") else MARK.sub(name, line) for line in text.split("\n"))
        return aside.restored(text)

    def references(self, text, page):
        """Markdown of the site with each `[Eq. 6.5]` outside code as a link. Raises SystemExit for one that no lesson has."""
        aside = Aside()
        text = KEPT.sub(lambda found: aside.keep(found[0]), text)
        return aside.restored(self.equations(text, page, aside))

    def equations(self, text, page, aside):
        """The text with every mention of an equation, [Eq. 6.5] or Eq. 6.5, put aside as a link."""

        def linked(found):
            tags = (found[1] or found[2]).split(", ")
            if unknown := [tag for tag in tags if tag not in self.formulas]:
                raise SystemExit(f"{page}: Eq. {unknown[0]} is in no lesson")
            links = [f"[{'' if i else 'Eq. '}{tag}](#{label('eq', tag)})" for i, tag in enumerate(tags)]
            return aside.keep(", ".join(links))

        return REFERENCE.sub(linked, text)

    def page(self, path):
        """Add the page of a Markdown file of the repository; returns its text, to which more may be added."""
        text = self.markdown((self.root / path).read_text(encoding="utf-8"), path)
        self.add(self.places[path], text)
        return text

    def lesson(self, stem, sheet):
        """Add a lesson: its equations get labels, its pictures their words, and it ends with where its equations lead.

        sheet: {number: Markdown of the code that computes it}.
        """
        book, page = json.loads(json.dumps(self.books[stem])), f"notebooks/{stem}.ipynb"
        for cell in book["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = labelled(self.markdown("".join(cell["source"]), page), stem)
            elif words := [output["metadata"]["image/png"]["alt"] for output in cell["outputs"]
                           if "alt" in output.get("metadata", {}).get("image/png", {})]:  # fmt: skip
                cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(words)}}
        title, _, rest = book["cells"][0]["source"].partition("\n")
        book["cells"][0]["source"] = f"{title}\n\n{self.downloads(stem, page)}\n{rest}"
        own = [tag for tag, where in self.stems.items() if where == stem]
        if own:
            lines = [f"| [{tag}](#{label('eq', tag)}) | {sheet[tag]} |" for tag in own]
            text = "\n".join(["## Equations and code", "", "Each number leads to its equation, each name to the code that "
                              "computes it. The lesson has confirmed each of them by numbers; "
                              "[the package's checks](../checks.md) do it again.", "", "| equation | code |", "|---|---|",
                              *lines])  # fmt: skip
            book["cells"].append({"cell_type": "markdown", "metadata": {}, "source": text, "id": "equations-and-code"})
        self.add(self.places[page], json.dumps(book, ensure_ascii=False))

    def lesson_link(self, stem, words=""):
        """Markdown, for a page one folder down: a link to a lesson, by its title where no words are given."""
        return f"[{words or question(self.books[stem])[0]}](../lessons/{stem}.ipynb)"

    def downloads(self, stem, page):
        """A line of links to the notebooks of a lesson."""
        copy = f"downloads/notebooks/{stem}.ipynb"
        (self.folder / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.root / page, self.folder / copy)
        links = [f"[this lesson](path:../{copy})"]
        for words in ("exercises", "solutions"):
            if (self.root / "notebooks" / words / f"{stem}.ipynb").exists():
                links.append(f"[{words}]({self.link(f'{words}/{stem}.ipynb', page)})")
        return f"*Notebooks:* {' · '.join(links)}\n"


def modules(root):
    """{"ops": its path} of the package, a folder by its own name; without scripts of the bench and answers to exercises."""
    named = {}
    for path in sorted((root / "dvae_np").rglob("*.py")):
        if path.stem == "__init__":
            named[path.parent.name] = path
        elif path.parent.name not in ("contestants", "exercises"):
            named[path.stem] = path
    return named


def markdown_of(book):
    """The Markdown cells of a notebook."""
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "markdown"]


def home(tag):
    """The number of the lesson that an equation belongs to; others may show it again."""
    return f"{int(tag.partition('.')[0]):02}"


def labelled(text, stem):
    """The Markdown of a lesson with a label before each equation that has a number of that lesson."""

    def with_label(found):
        own = [tag for tag in TAG.findall(found[0]) if home(tag) == stem[:2]]
        return "\n" + "".join(f"({label('eq', tag)})=\n" for tag in own) + found[0]

    return EQUATION.sub(with_label, text)


def question(book):
    """(title, question) of a lesson."""
    text = markdown_of(book)[0]
    return text.splitlines()[0].removeprefix("# "), re.search(r"\*\*Question\.\*\* (.*?)(?:\n\n|$)", text, re.S)[1]
