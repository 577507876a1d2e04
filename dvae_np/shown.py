"""What a notebook shows: a function's source, words, tables, pictures with words for those who do not see them."""

import inspect
import io
import sys
import textwrap

PAGE = 90  # columns that a page shows
MONOSPACED = 'style="font-family: monospace"'  # else an export to HTML takes its font for text


def show(*functions, folded=True):
    """Display the source of library functions: what is read is what runs. Folded, a click on the name opens it."""
    from IPython.display import Markdown, display

    for function in functions:
        module = inspect.getmodule(function).__name__.replace(".", "/")
        source = "\n".join(map(wrapped, inspect.getsource(function).rstrip().splitlines()))
        block = f"```python\n# {module}.py\n\n{source}\n```"
        head, tail = f"<div {MONOSPACED}>", "</div>"
        if folded:
            name = f"<code>{function.__qualname__}</code>, in <code>{module}.py</code>"
            head = f"<details {MONOSPACED}><summary>The library's own source: {name}</summary>"
            tail = "</details>"
        block = f"{head}\n\n{block}\n\n{tail}"
        display(Markdown(block))


def wrapped(line, width=PAGE):
    """A line of code as lines of at most so many columns, broken at spaces; the further ones stand four columns deeper."""
    bare = line.lstrip()
    indent = line[: len(line) - len(bare)]
    deeper = indent + ("# " if bare.startswith("#") else "    ")
    return textwrap.fill(bare, width, initial_indent=indent, subsequent_indent=deeper,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def say(words, width=PAGE):
    """Print words, their lines wrapped to what a page shows."""
    for line in str(words).splitlines():
        print(textwrap.fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False))


def table(markdown):
    """Display a table that is written in Markdown."""
    from IPython.display import Markdown, display

    display(Markdown(markdown))


def figure(draw, *contents, size=(7, 3.6), alt="", **more):
    """Display ``draw(figure, *contents, **more)``; `draw` is a function, or the name of a file of `dvae_np.figures.LESSONS`.

    alt: what the picture shows, in words, for those who do not see it; a file of `LESSONS` has its own.
    """
    from matplotlib.figure import Figure

    if isinstance(draw, str):
        from dvae_np.figures import LESSONS, lesson_figure

        alt, (size, draw) = LESSONS[draw].alt, lesson_figure(draw)
    canvas = Figure(figsize=size, layout="constrained")
    draw(canvas, *contents, **more)
    picture(canvas, alt)


def picture(canvas, alt):
    """Display a figure of Matplotlib, with words for those who do not see it; one of pyplot is closed, to be shown once."""
    from IPython.display import Image, display
    from PIL import Image as Pixels  # Matplotlib's own

    drawn, png = io.BytesIO(), io.BytesIO()
    canvas.savefig(drawn, dpi=90)
    Pixels.open(drawn).convert("RGB").quantize(256).save(png, "PNG", optimize=True)  # a third of the bytes
    display(Image(png.getvalue(), alt=alt))
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(canvas)
