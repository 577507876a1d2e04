"""What a notebook becomes when it has run: its outputs, the numbers in its text, and how long it takes to read."""

import re

GUARD = """\
import socket, warnings
warnings.simplefilter("error")
warnings.simplefilter("ignore", PendingDeprecationWarning)  # the kernel's own, at its shutdown
def _no_network(self, address, _connect=socket.socket.connect):
    if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise OSError("no network in lessons")
    return _connect(self, address)
socket.socket.connect = _no_network
"""
FIELD = re.compile(r"\{\{(.+?):([^:{}]*)\}\}")  # {{expression:format}}


def fields(text):
    """The expressions with their formats that a text leaves to be filled in."""
    return FIELD.findall(text)


def filled(text, values):
    """The text with its fields filled from {(expression, format): words}."""
    return FIELD.sub(lambda found: values[found.groups()], text)


def run(book, **options):
    """Execute a notebook in place. Of two kernels that start at the same moment one may die, as both chose the same port: it is
    started again, at most twice."""
    from nbclient import NotebookClient

    for left in (2, 1, 0):
        try:
            return NotebookClient(book, kernel_name="python3", **options).execute()
        except RuntimeError as error:
            if "before replying" not in str(error) or not left:
                raise


def executed(book, folder, fill=True):
    """(the notebook run from top to bottom in a fresh kernel, {(expression, format): words} of the fields in its text).

    Warnings are errors, and there is no network. Without `fill` fields stay as they are: unsolved exercises have no values.
    """
    import nbformat

    asked = []
    if fill:
        asked = list(
            dict.fromkeys(f for cell in book.cells if cell.cell_type == "markdown" for f in fields(cell.source))
        )
    pairs = ", ".join(f"({expression!r}, format({expression}, {form!r}))" for expression, form in asked)
    book.cells.insert(0, nbformat.v4.new_code_cell(GUARD))
    book.cells.append(nbformat.v4.new_code_cell(f"print(*(words for _, words in [{pairs}]), sep='\\n')"))
    options = {"resources": {"metadata": {"path": str(folder)}}, "extra_arguments": ["--log-level=ERROR"]}
    run(book, timeout=300, coalesce_streams=True, **options)
    book.cells.pop(0)
    printed = "".join(output.text for output in book.cells.pop().outputs).splitlines()
    values = dict(zip(asked, printed, strict=False))
    for cell in book.cells:
        if cell.cell_type == "markdown" and fill:
            cell.source = filled(cell.source, values)
    for count, cell in enumerate((cell for cell in book.cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
        cell.metadata.pop("execution", None)
        for output in cell.outputs:
            if "execution_count" in output:
                output["execution_count"] = count
    return book, values


def reading_minutes(book):
    """How long a lesson takes to read: 80 words a minute, two minutes for a displayed equation, a minute for a picture and for
    twelve lines of code, as test readers took on the whole; what `show` folds is not counted."""
    minutes = 0.0
    for cell in book.cells:
        if cell.cell_type == "markdown":
            words, equations = re.subn(r"\$\$.+?\$\$", " ", cell.source, flags=re.S)
            minutes += len(words.split()) / 80 + 2 * equations
        else:
            minutes += len([line for line in cell.source.splitlines() if line.strip()]) / 12
            minutes += sum("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    return minutes
