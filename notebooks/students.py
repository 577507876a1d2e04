"""The students' edition: python notebooks/build.py --students DIR

DIR gets the lessons as they are kept, the exercises, the pages of equations, of symbols and of recipes, the project, and
`check.py`, which runs every exercise as it is handed out and says what is there. It has no solutions, no sources and no page
for instructors; a link that would lead out of DIR becomes plain words.
"""

import json
import re
from inspect import getsource
from pathlib import Path

from pages import run

HERE = Path(__file__).parent
PAGES = ("README.md", "SYMBOLS.md", "RECIPES.md", "PROJECT.md", "project.py")
CHECK = f'''\
"""Does everything run here? python check.py: runs every exercise notebook as it was handed out; some minutes."""

import os
import sys
from pathlib import Path

import nbformat


{getsource(run)}

wrong = 0
for path in sorted((Path(__file__).parent / "exercises").glob("*.ipynb")):
    book = nbformat.read(path, 4)
    os.chdir(path.parent)
    try:
        run(book, timeout=120, extra_arguments=["--log-level=ERROR"])
    except Exception as error:
        wrong += 1
        print(f"{{path.name}}: {{error}}")
        continue
    printed = "".join(o.get("text", "") for c in book.cells if c.cell_type == "code" for o in c.outputs)
    print(f"{{path.name}}: runs; {{printed.count('not attempted yet')}} exercises to do")
print("all of them run" if not wrong else f"{{wrong}} do not run")
sys.exit(bool(wrong))
'''


def write(folder):
    """Write the edition into a folder that is empty or not there; raises SystemExit for another."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"{folder}: expected an empty folder, or none")
    kept = [*HERE.glob("[0-9]*.ipynb"), *(HERE / "exercises").glob("*.ipynb"), *(HERE / page for page in PAGES)]
    names = {path.relative_to(HERE).as_posix() for path in kept}
    for path in sorted(kept):
        target = folder / path.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            book = json.loads(text)
            for cell in book["cells"]:
                if cell["cell_type"] == "markdown":
                    cell["source"] = within("".join(cell["source"]), path, names).splitlines(keepends=True)
            text = json.dumps(book, indent=1, ensure_ascii=False) + "\n"
        elif path.suffix == ".md":
            text = within(text, path, names)
        target.write_text(text, encoding="utf-8")
    (folder / "check.py").write_text(CHECK)
    return len(kept)


def within(text, path, names):
    """A page's Markdown without links to what is not in the edition, and without a word of solutions or instructors."""
    text = re.sub(r"; answers are in\s+\[solutions/[^]]*\]\([^)]*\)", "", text)
    text = re.sub(r"(?m)^- Teaching\?.*\n?|\s*Teaching\? See \[[^]]*\]\([^)]*\)\.", "", text)

    def kept(found):
        words, target = found.groups()
        inside = (path.parent / target.partition("#")[0]).resolve()
        known = inside.is_relative_to(HERE.resolve()) and inside.relative_to(HERE.resolve()).as_posix() in names | {
            "exercises"
        }
        return found[0] if target.startswith(("https://", "#")) or known else words

    return re.sub(r"(?<!!)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)", kept, text)
