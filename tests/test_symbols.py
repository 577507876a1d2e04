"""The letters and words of the lessons: none is used before it is introduced; the page says which letters mean several things.

SYMBOLS.md lists the letters of the whole course with the lesson that introduces each. Any other letter must be spoken of on its
own page, at the latest in the cell that uses it first: alone in a sentence (`$g$`), or on the left of an equation.
"""

import re

import pytest
from test_notebooks import CELLS, NOTEBOOKS

PAGE = (NOTEBOOKS / "SYMBOLS.md").read_text()
GREEK = """alpha beta gamma delta epsilon varepsilon zeta eta theta lambda mu nu xi rho sigma tau phi psi omega Phi Psi Omega
    Sigma Lambda Gamma Delta Theta ell""".split()
# of examples, pixels, latents, categories, codes, samples, steps; d also marks a differential
INDICES = set("bdijklmnorst")
FREE = INDICES | {"e", "P", "O"}  # e to a power, a probability, an order of magnitude
ACCENTS = r"\\(?:tilde|hat|bar|dot)\s*"


def table(heading):
    """The rows of one table of the page, as lists of cells."""
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [re.split(r"\s*\|\s*", line)[1:-1] for line in part.splitlines() if line.startswith("| ")][1:]


def formulas(text):
    """The formulas of a Markdown text, code and fields left out."""
    text = re.sub(r"```.*?```|`[^`]*`|\{\{.*?\}\}", " ", text, flags=re.S)
    return [
        display or inline for display, inline in re.findall(r"\$\$(.+?)\$\$|(?<!\\)\$([^$]+?)(?<!\\)\$", text, re.S)
    ]


def letters(formula):
    """The letters of a formula, Greek ones with their backslash; names in Roman type, accents and double-struck E are none."""
    formula = re.sub(r"\\(?:mathrm|text|tag|mathbb|begin|end)\{[^{}]*\}", " ", formula)
    formula = re.sub(r"\bd[a-z]\b", " ", formula)  # dy, a gradient
    formula = re.sub(ACCENTS, " ", formula).replace(r"\mathcal{L}", r"\mathcal ")
    found = re.findall(r"\\[a-zA-Z]+|[a-zA-Z]", formula)
    return {name for name in found if not name.startswith("\\") or name[1:] in GREEK}


def spoken(letter, text):
    """Is this letter spoken of in a text: alone between dollars, or on the left of a relation?"""
    name = re.escape(letter)
    within = rf"(?:{ACCENTS})?\{{?{name}\}}?(?:_\{{[^}}]*\}}|_\w)?(?:\([^)]*\))?"
    alone = rf"\$\s*{within}(?:, [^$]*)?\$|\$[^$=]*, {within}\$"
    left = rf"(?:^|[\s{{(,$;]){within}\s*(?:=|\\sim|\\in\b|\\ge|\\le\b|\\approx|>|<|\\leftarrow)"
    return bool(re.search(alone, text) or re.search(left, text))


def introduced():
    """{letter: the lesson that introduces it}"""
    rows = reversed(table("Symbols"))  # M = K^N introduces M alone
    return {letter: row[4] for row in rows for letter in letters(row[0].strip("$")) if letter not in FREE}


def used_too_early(stem, cells, known):
    """Letters of a lesson that nobody has introduced, each with the formula that uses it first."""
    found, said = [], ""
    for cell in cells:
        if cell.kind != "lesson" or not cell.markdown:
            continue
        said += "\n" + cell.text
        for formula in formulas(cell.text):
            for letter in letters(formula) - FREE:
                if known.get(letter, "99") > stem[:2] and not spoken(letter, said):
                    found.append((letter, formula))
    return {letter: formula for letter, formula in reversed(found)}


@pytest.mark.parametrize("stem", CELLS)
def test_no_letter_is_used_before_it_is_introduced(stem):
    assert used_too_early(stem, CELLS[stem], introduced()) == {}


def test_letters_are_introduced_where_the_page_says():
    """In that lesson the letter is spoken of, or has its equation."""
    for letter, lesson in introduced().items():
        stem = next(stem for stem in CELLS if stem.startswith(lesson))
        text = "\n".join(cell.text for cell in CELLS[stem] if cell.kind == "lesson" and cell.markdown)
        assert any(letter in letters(formula) for formula in formulas(text)), f"{letter} is not in {stem}"


def test_a_letter_that_is_used_too_early_is_found():
    """What the check promises: a stranger in a formula is found, one that is spoken of is not, nor one that is known."""

    class Cell:
        kind, markdown = "lesson", True

        def __init__(self, text):
            self.text = text

    def early(*texts):
        return set(used_too_early("04_x", [Cell(text) for text in texts], {"\\tau": "07", "q": "00"}))

    assert early(r"so $q + w$") == {"w"} and early("the weight $w$", "so $q + w$") == set()
    assert early(r"so $q + w$", "the weight $w$") == {"w"} and early(r"with $w = 2$, $w + q$") == set()
    assert early(r"a colder $q / \tau$") == {r"\tau"} and early(r"$\tau$ is a temperature: $q / \tau$") == set()
    assert (
        early(r"$$\mathrm{KL}(q) + \mathbb{E}[\hat w] . \tag{4.1}$$") == {"w"}
        and early("`w` and ```w``` and $q$") == set()
    )


def test_a_word_is_explained_in_the_lesson_that_the_page_names():
    """There it is set in italics or bold, in its own or in another name, and no earlier lesson explains it."""
    for word, others, _, lesson in table("Words"):
        names = [word, *filter(None, others.split(", "))]
        stems = [re.sub(r"[^\w]+", ".{0,3}", name.lower().rstrip("s")) for name in names]
        explained = [stem[:2] for stem, cells in CELLS.items()
                     if any(re.search(rf"(?i)\*[^*\n]{{0,40}}{each}[^*\n]{{0,20}}\*", cell.text)
                            for cell in cells[1:] if cell.kind == "lesson" and cell.markdown for each in stems)]  # fmt: skip
        assert lesson in explained, f"{word}: {explained}"
