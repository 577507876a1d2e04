"""Tables as text: for a terminal, or in Markdown."""

import re
from itertools import zip_longest

import numpy as np

WIDTH = 100  # characters of a line, wherever a table can be made so narrow


def columns(rows, width=WIDTH):
    """Rows of text, the first one the headings, aligned in columns; what is too wide for a line is broken between words."""
    widths = _narrowed([[_words(cell) for cell in column] for column in zip(*rows, strict=True)], width)
    lines = []
    for row in rows:
        broken = [_broken(_words(cell), width) for cell, width in zip(row, widths, strict=True)]
        lines += ["  ".join(map(str.ljust, line, widths)).rstrip() for line in zip_longest(*broken, fillvalue="")]
        if row is rows[0]:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _words(cell):
    """What no line is broken in: a word, or all that stands in brackets."""
    return re.findall(r"(?:\([^()]*\)|\S)+", cell)


def _broken(words, width):
    """The lines of a cell."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".lstrip()
        lines[-1:] = [longer] if len(longer) <= width else [*filter(None, lines[-1:]), word]
    return lines


def _narrowed(columns, width):
    """The widths of columns of cells of words. Headings give way first, then all columns but the first, then that one."""
    widths, bodies, least = [], [], []
    for column in columns:
        lengths = [len(" ".join(words)) for words in column]
        longest = max((len(word) for words in column for word in words), default=0)
        widths.append(max(lengths))
        bodies.append(max(lengths[1:], default=0))
        least.append(longest)
    bodies = [*map(max, bodies, least)]
    for floor in (bodies, [bodies[0], *least[1:]], least):
        while sum(widths) + 2 * (len(widths) - 1) > width and widths != floor:
            widest = max(range(len(widths)), key=lambda i: widths[i] if widths[i] > floor[i] else 0)
            widths[widest] -= 1
    return widths


def markdown_columns(rows):
    """The same rows as a Markdown table."""
    lines = (rows[0], ("---",) * len(rows[0]), *rows[1:])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def spread(values):
    """The median of numbers and their range, as "17.44 (17.41 to 17.57)"; "" where there is none."""
    if None in values:
        return ""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def shortened(lines, most):
    """At most so many lines: the last one says how many more there are."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"... and {len(lines) - most + 1} more"]
