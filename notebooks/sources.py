"""The sources of the notebooks: cells of Python and Markdown (in comments) between lines that begin with ``# %%``.

    # %% [markdown]                    text of the lesson          # %%            code of the lesson
    # %% [markdown] slide              a slide of the lesson       # %% setup      code that lesson and exercises begin with

    # %% [markdown] exercise 06.1: 2 points     an exercise's text
    # %% given 06.1                    code that the exercise needs first
    # %% solution 06.1                 its answer, with nbgrader's markers BEGIN SOLUTION and END SOLUTION
    # %% check 06.1                    what judges it
    # %% wrong 06.1: words             a wrong answer, to stand in the answer's place, and words that must be in the hint
    # %% right 06.1                    a right answer that is written otherwise

    # %% [markdown] written 06.W: 3 points      a question that is answered in words, and graded by hand
    # %% [markdown] model 06.W         our answer to it, and what gets which marks

A measured number is not typed: text writes ``{{ratio:.2f}}``, an expression of the page's names with a format, and it is filled
in when the page has run (an exercise's text by the solutions). Decimals that are typed all the same, outside formulas and code,
are refused unless ``source/typed_numbers.csv`` lists them with a reason.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Cell:
    """One cell of a source."""

    kind: str  # "lesson", "slide", "setup", "exercise", "given", "solution", "check", "wrong", "right", "written" or "model"
    markdown: bool
    name: str  # "06.1" for all that belongs to that exercise
    words: str  # after the colon: what a wrong answer must be told, or "2 points"
    text: str

    @property
    def points(self):
        """What the exercise is worth: 1 where none stand there."""
        found = re.fullmatch(r"(\d) points?", self.words)
        return int(found[1]) if found else 1


def parse(path):
    """The cells of a source file."""
    cells = []
    for piece in re.split(r"^# %%", path.read_text(), flags=re.M)[1:]:
        head, _, body = piece.partition("\n")
        found = re.fullmatch(
            r"(?P<md> \[markdown\])?(?: (?P<kind>\w+)(?: (?P<name>[A-Z]?[\d.]+W?))?)?(?:: (?P<words>.*))?\s*", head
        )
        if not found:
            raise ValueError(f"{path}: a cell begins with '# %%{head}'")
        markdown = bool(found["md"])
        if markdown:
            body = "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines())
        cells.append(Cell(found["kind"] or "lesson", markdown, found["name"] or "", found["words"] or "", body.strip()))
    return cells


def typed_decimals(text):
    """Decimals and percentages in the prose of a text: what stands outside formulas, code, links, fields and references."""
    text = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\{\{.*?\}\}", " ", text, flags=re.S)
    text = re.sub(
        r"\$[^$]*\$|\]\([^)]*\)|https?://\S+|doi \S+|arXiv [\d.]+|\[Eq\. [^]]*\]|Eq\. [\d.]+|\b\d\d\.\d\b", " ", text
    )
    return re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+(?:e-?\d+)?(?: ?%)?|e-?\d+| ?%)(?!\w)", text)


def unlisted_decimals(page, texts):
    """Those of `typed_decimals` of a page that ``typed_numbers.csv`` does not list."""
    with open(HERE / "source" / "typed_numbers.csv", newline="") as file:
        listed = {(row["page"], row["number"]) for row in csv.DictReader(file) if row["reason"].strip()}
    return [number for text in texts for number in typed_decimals(text) if (page, number) not in listed]
