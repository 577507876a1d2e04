"""Tables as text: for a terminal, or in Markdown."""


def columns(rows):
    """Rows of text, the first one the headings, aligned in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def markdown_columns(rows):
    """The same rows as a Markdown table."""
    lines = (rows[0], ("---",) * len(rows[0]), *rows[1:])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
