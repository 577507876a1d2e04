"""The slides of a lesson: python notebooks/build.py --slides DIR [06 ...] writes DIR/06_baselines.slides.html.

A slide is a cell of the lesson's source, ``# %% [markdown] slide``, and stands before the code that it speaks of. It begins
with its title, ``## ...``. A line ``[Eq. 6.3]`` becomes that equation of the lesson; ``[picture]``, ``[output]`` and ``[code]``
become what the next code cell draws, prints and says. So no formula, number or picture is written twice. The first slide has
the lesson's title and question, the last one its exercises. nbconvert makes a page of reveal.js; it loads that and MathJax from
the network.
"""

import re
from pathlib import Path

from pages import executed
from sources import parse

WIDTH, HEIGHT = 1280, 720
STYLE = """<style>
.reveal .slides { text-align: left; }
.reveal .jp-InputPrompt, .reveal .jp-InputCollapser { display: none; }
.reveal .jp-RenderedHTMLCommon { font-size: 30px; padding: 0 40px; }
.reveal .jp-RenderedHTMLCommon h1 { font-size: 60px; margin: 0 0 30px; }
.reveal .jp-RenderedHTMLCommon h2 { font-size: 42px; margin: 0 0 20px; }
.reveal .jp-RenderedHTMLCommon :is(p, li) { line-height: 1.3; margin: 12px 0; }
.reveal .jp-RenderedHTMLCommon pre { font-size: 24px; line-height: 1.3; width: 100%; margin: 8px 0; box-shadow: none; }
.reveal .jp-RenderedHTMLCommon pre { max-height: none; }
.reveal .jp-RenderedHTMLCommon :is(pre, pre code) { font-size: 22px; }
.reveal .jp-RenderedHTMLCommon pre code { max-height: none; }
.reveal .jp-RenderedHTMLCommon img { display: block; margin: 8px auto; width: 1080px; height: 400px; object-fit: contain; }
.reveal .jp-RenderedHTMLCommon table { font-size: 24px; }
</style>
"""


def equations(cells):
    """{"6.3": the displayed formula} of a lesson."""
    text = "\n".join(cell.text for cell in cells if cell.markdown and cell.kind == "lesson")
    return {
        tag: found
        for found in re.findall(r"\$\$.+?\$\$", text, re.S)
        for tag in re.findall(r"\\tag\{([\d.]+)\}", found)
    }


def deck(path):
    """The slides of a source, as Markdown: the lesson is run for its numbers, outputs and pictures.

    Raises SystemExit where the source has no slides, or a slide names what is not there.
    """
    import nbformat

    cells = [cell for cell in parse(path) if cell.kind in ("lesson", "setup", "slide")]
    if not any(cell.kind == "slide" for cell in cells):
        raise SystemExit(f"{path.stem} has no slides")
    book = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell(cell.text) if cell.markdown else nbformat.v4.new_code_cell(cell.text) for cell in cells
    ])  # fmt: skip
    book, _ = executed(book, path.parent.parent)
    known, slides = equations(cells), [first(cells[0].text)]
    for i, cell in enumerate(cells):
        if cell.kind == "slide":
            code = next((each for each in book.cells[i:] if each.cell_type == "code"), None)
            slides.append(put_together(book.cells[i].source, path.stem, known, code))
    listed = [re.match(r"## *(.*)", cell.text)[1] for cell in parse(path) if cell.kind in ("exercise", "written")]
    return [*slides, "\n".join(["## Exercises", "", *(f"- {text}" for text in listed)])]


def first(text):
    """The first slide: title and question of the lesson's first cell."""
    title = text.splitlines()[0]
    question = re.search(r"\*\*Question\.\*\* (.*?)\n\n", text, re.S)[1]
    return f"{title}\n\n{question}"


def put_together(text, stem, known, code):
    """A slide with what its lines in brackets stand for. known: `equations`. code: the code cell after it, run, or None."""

    def part(found):
        asked = found[1]
        if asked.startswith("Eq"):
            parts = [known[asked[4:]]] if asked[4:] in known else []
        elif code is None:
            parts = []
        elif asked == "code":
            parts = [f"```python\n{code.source}\n```"]
        elif asked == "output":
            parts = [
                f"```text\n{output.text.rstrip()}\n```" for output in code.outputs if output.output_type == "stream"
            ]
        else:
            parts = [f'<img alt="{alt_of(output)}" src="data:image/png;base64,{output.data["image/png"].strip()}">'
                     for output in code.outputs if "image/png" in output.get("data", {})]  # fmt: skip
        if not parts:
            raise SystemExit(f"{stem}: a slide asks for [{asked}], which is not there")
        return "\n\n".join(parts)

    return re.sub(r"(?m)^\[(Eq\. [\d.]+|picture|output|code)\]$", part, text)


def alt_of(output):
    """The words for a picture."""
    return output.get("metadata", {}).get("image/png", {}).get("alt", "").replace('"', "&quot;")


def write(folder, paths):
    """Write a page of slides for each source that has some."""
    import nbformat
    from nbconvert import SlidesExporter
    from traitlets.config import Config

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = Config(
        {"SlidesExporter": {"reveal_width": str(WIDTH), "reveal_height": str(HEIGHT), "reveal_number": "c/t"}}
    )
    for path in paths:
        if not any(cell.kind == "slide" for cell in parse(path)):
            continue
        cells = [
            nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": "slide"}}) for text in deck(path)
        ]
        html, _ = SlidesExporter(config=settings).from_notebook_node(nbformat.v4.new_notebook(cells=cells))
        target = folder / f"{path.stem}.slides.html"
        html = re.sub(
            r"(linebreaks: \{\s*automatic: )true", r"\1false", html
        )  # a formula in a sentence stays in one piece
        target.write_text(html.replace("</head>", STYLE + "</head>", 1), encoding="utf-8")
        print(f"{target}: {len(cells)} slides")
