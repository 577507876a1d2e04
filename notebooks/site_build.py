"""The course as a web site: python notebooks/site.py [DIR] [--mathjax DIR] writes it into DIR, site/ where none is named.

Sphinx makes it from the notebooks as they are kept (nothing is run again), the Markdown pages, the docstrings, the records
and the bug bank; `site_pages.py` resolves links and equations, `site_code.py` shows the code, `site_estimators.py` the
estimators, `site_bugs.py` the mistakes. A warning is an error. Formulas are drawn by MathJax: by a copy from --mathjax DIR,
the folder of MathJax 3 as a package manager unpacks it, or from the Python package of extra `site`; then the site works
offline. Where there is none, pages load it from the network.
"""

import argparse
import importlib.util
import shutil
import tempfile
import time
from pathlib import Path

import site_bugs
import site_code
import site_estimators
import site_toy
from site_pages import HERE, PLACES, ROOT, Site, question

from dvae_np import records
from dvae_np.estimators import TABLE
from dvae_np.text import markdown_columns

MATHJAX = "tex-mml-chtml.js"
MISSING = 'The site is made by Sphinx, which is not here: python -m pip install -e ".[site]" installs it.'
SECOND = ("lessons/[0-9]*", "recipes", "instructors", "contributing")  # pages with a second column, of their sections
CONFIGURATION = {
    "project": "dvae_np", "html_title": "dvae_np", "extensions": ["myst_nb"], "root_doc": "index", "language": "en",
    "exclude_patterns": ["downloads/**"], "nb_execution_mode": "off", "nb_render_markdown_format": "myst",
    "nb_merge_streams": True, "myst_enable_extensions": ["dollarmath"], "myst_heading_anchors": 3,
    "myst_dmath_double_inline": True, "smartquotes": False, "html_theme": "sphinx_book_theme", "html_copy_source": False,
    "html_show_sphinx": False, "html_show_copyright": False, "html_static_path": ["_static"], "html_css_files": ["site.css"],
    "mathjax3_config": {"chtml": {"scale": 0.9}}, "html_context": {"default_mode": "auto"},
    "html_sidebars": {"code/*": ["navbar-logo.html", "search-button-field.html"]},  # the tree is long, and these pages are many
    "html_theme_options": {"use_download_button": False, "use_fullscreen_button": False, "use_source_button": False,
                           "show_toc_level": 2, "home_page_in_toc": True, "navbar_persistent": [],
                           "secondary_sidebar_items": {page: ["page-toc.html"] for page in SECOND}, "footer_content_items": []},
}  # fmt: skip
OWN = ("README.md", "notebooks/README.md", "dvae_np/README.md")  # pages to which more is added
OURS = ".dvae_np"  # a file in the folder of a site, which says whose it is
CONTENTS = """

```{toctree}
:hidden:
:caption: The course

lessons/index
estimators/index
which
equations
glossary
```

```{toctree}
:hidden:
:caption: Proof

checks
bugs
numbers
```

```{toctree}
:hidden:
:caption: Use and teach

recipes
api
instructors
project
contributing
errata
changes
```
"""


def mathjax_of(folder=None):
    """The folder of MathJax that has its scripts: in `folder`, else in the Python package that carries it; None without one.

    Raises SystemExit where the folder is named, and has none.
    """
    if folder is not None:
        places = [Path(folder) / each for each in ("", "es5", "package/es5")]
    else:
        package = importlib.util.find_spec("mathjax")
        places = [Path(each) / "static/mathjax/es5" for each in package.submodule_search_locations] if package else []
    found = [place for place in places if (place / MATHJAX).is_file()]
    if folder is not None and not found:
        raise SystemExit(f"--mathjax {folder}: expected MathJax 3, with {MATHJAX} in it or in es5/")
    return found[0] if found else None


def write_sources(folder):
    """Write what Sphinx reads into a folder. Raises SystemExit for a link or an equation that leads nowhere."""
    site, code = Site(folder), site_code.Code(ROOT)
    modules = site_bugs.bank(ROOT)
    named = site_bugs.sources(modules)
    read = records.read("compare"), records.read("rule")
    known = {name: site_toy.found(row) for name, row in TABLE.items()}
    results = {name: site_estimators.checks(row) for name, row in TABLE.items()}
    (site.folder / "pictures/estimators").mkdir(parents=True)
    for name, row in TABLE.items():
        words = site_toy.picture(site.folder / f"pictures/estimators/{name}.png", row, known[name])
        mistakes = site_bugs.mistakes_of(name, modules[0], named)
        text = site_estimators.page(row, site, code, known[name], words, results[name], read, mistakes)
        site.add(f"estimators/{name}.md", text)
    site.add("estimators/index.md", site_estimators.overview(site, known, read[0]))
    site.add("checks.md", site_estimators.levels(site, code, results))
    site.add("bugs.md", site_bugs.page(site, modules))
    sheet = code.sheet((ROOT / "notebooks/README.md").read_text(encoding="utf-8"))
    for stem in site.books:
        site.lesson(stem, sheet)
    site.add("lessons/index.md", lessons(site))
    site_code.equations(site, code)
    site_code.reference(site, code)
    for module in code.asked:
        site.add(site.places[code.paths[module].relative_to(ROOT).as_posix()], code.page(module, site))
    for path in PLACES:
        if path.endswith(".md") and path not in OWN:
            site.page(path)
    site.add("index.md", site.page("README.md") + CONTENTS)


def lessons(site):
    """The Markdown of the page of lessons."""
    rows = [(f"[{title}]({stem}.ipynb)", " ".join(asked.split()))
            for stem, (title, asked) in ((stem, question(book)) for stem, book in site.books.items())]  # fmt: skip
    return f"""\
# The lessons

Each is one notebook: read it here, or download it and run it. They build on one another in this order. Exercises say what is
wrong with an answer.

{markdown_columns([("lesson", "its question"), *rows])}

```{{toctree}}
:hidden:

{chr(10).join(site.books)}
```
"""


def configured(folder, mathjax):
    """Write Sphinx's settings, the style and MathJax into the folder of sources."""
    static = folder / "_static"
    static.mkdir()
    shutil.copy(HERE / "site.css", static)
    settings = dict(CONFIGURATION)
    if mathjax:
        for part in (MATHJAX, "output/chtml/fonts/woff-v2", "input/tex/extensions", "a11y", "sre"):
            copy = shutil.copytree if (mathjax / part).is_dir() else shutil.copy
            (static / "mathjax" / part).parent.mkdir(parents=True, exist_ok=True)
            copy(mathjax / part, static / "mathjax" / part)
        settings["mathjax_path"] = f"mathjax/{MATHJAX}"
    (folder / "conf.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))


def build(folder, mathjax=None):
    """Write the site into a folder: a new one, an empty one, or one that a site is in. Returns how many pages it has.

    Raises SystemExit for a folder with anything else in it, where Sphinx is missing, and where it warns.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / OURS).exists():
        raise SystemExit(f"{folder}: expected an empty folder, one that this site is in, or none")
    if any(importlib.util.find_spec(name) is None for name in ("sphinx", "myst_nb", "sphinx_book_theme")):
        raise SystemExit(MISSING)
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as place:
        sources, made, trees = (Path(place) / name for name in ("sources", "made", "trees"))
        sources.mkdir()
        write_sources(sources)
        configured(sources, mathjax)
        if build_main(
            ["-b", "html", "-W", "--keep-going", "-q", "-j", "auto", "-d", str(trees), str(sources), str(made)]
        ):
            raise SystemExit("Sphinx has warned, and nothing was written")
        (made / OURS).write_text("The course, as `python notebooks/site.py` made it, which writes over it.\n")
        if folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, folder)
    return len(list(folder.rglob("*.html")))


def main(arguments):
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="site.py", description="The course as a web site, by Sphinx.")
    parser.add_argument("folder", nargs="?", default=ROOT / "site", type=Path, help="where it goes (default: site/)")
    parser.add_argument(
        "--mathjax", metavar="DIR", help="MathJax 3, unpacked; it is copied, so that the site works offline"
    )
    options = parser.parse_args(arguments)
    started, mathjax = time.perf_counter(), mathjax_of(options.mathjax)
    if not mathjax:
        print("No copy of MathJax is here, so pages load it from the network; --mathjax DIR names one.")
    pages = build(options.folder, mathjax)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file()) / 1e6
    print(f"{options.folder}: {pages} pages, {size:.0f} MB, in {time.perf_counter() - started:.0f} s")
