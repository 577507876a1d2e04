"""The pages of the estimators, one for each row of the table; the page that compares them, and the one of their checks."""

import re
from collections import Counter

import site_toy
from site_code import block
from site_facts import NEEDS, docstring, escaped, measured, noise_of, samples_of, strengths, tags, weaknesses
from site_pages import label

from dvae_np.check.levels import estimator_results
from dvae_np.check.report import LEVELS
from dvae_np.estimators import TABLE
from dvae_np.estimators.row import ASKED
from dvae_np.text import markdown_columns

CHECKED_BY = {0: "contract", 1: "differences", 2: "enumeration", 3: "gumbel", 4: "levels", 5: "verdicts"}  # modules
LEVEL = re.compile(r"^\| (\d) \| (.*) \| (.*) \|$", re.M)  # a row of CONTRIBUTING's table


def checks(row):
    """The results of the package's own checks of a row. Raises SystemExit where one has failed."""
    results = list(estimator_results(row))
    if failed := [result for result in results if not result.ok]:
        raise SystemExit(f"{row.name}: {failed[0].check}: {failed[0].verdict}")
    return results


def link(row):
    """Markdown: a link to the page of a row."""
    return f"[`{row.name}`](#{label('estimator', row.name)})"


def to_level(level, words):
    """Markdown: a link to what is said of a level of proof."""
    return f"[{words}](#{label('level', str(level))})"


def listed(sentences):
    """A list in Markdown, or a sentence that there is nothing to say."""
    return "\n".join(f"- {sentence}" for sentence in sentences) or "Neither the table nor the records tell of anything."


def formula(tag, site):
    """An equation as its lesson has it, and where it stands. Raises SystemExit for one that no lesson has."""
    if tag not in site.formulas:
        raise SystemExit(f"Eq. {tag} is in no lesson")
    return f"{site.formulas[tag]}\n\n[Eq. {tag}] is derived, and confirmed by numbers, in {site.lesson_link(site.stems[tag])}."


def page(row, site, code, known, words, results, records, mistakes):
    """The Markdown of an estimator's page.

    known: what `site_toy.found` returns; words: of the picture; results: its `checks`; records: ("compare", "rule"), as read;
    mistakes: Markdown, a link to each mistake of the bug bank in such code. Raises SystemExit for an equation that no lesson
    has.
    """
    first, said, rest = docstring(row)
    facts = {
        "what it is": row.title,
        "family": row.family.name,
        "lesson": site.lesson_link(next(stem for stem in site.books if stem.startswith(f"{row.lesson:02}"))),
        "equations": ", ".join(f"[Eq. {tag}]" for tag in tags(row)),
        "paper": escaped(row.paper),
        "noise": noise_of(row),
        "samples": samples_of(row),
        "evaluations of f": row.evaluations.words,
        "it uses of f": NEEDS[row.gradient_of_f],
        "it asks of q": ASKED[row.asks],
        **{name.lower(): escaped(text) for name, text in said.items()},
        "settings": ", ".join(f"`{name} = {value!r}`" for name, value in row.hyper.items()) or "none",
    }
    toy = {
        "samples": str(known.S) if row.noise else "none",
        "bias": known.bias,
        "variance": f"{known.variance:.4g} nats²",
        "deviation, the root of it": f"{known.deviation:.2f} lengths of the exact gradient",
        "summed over": known.how,
    }
    parts = [
        f"({label('estimator', row.name)})=\n# `{row.name}`",
        escaped(first),
        markdown_columns([("", ""), *facts.items()]),
        "## Formula",
        *(formula(tag, site) for tag in tags(row)),
        "[The sheet](../equations.md) has all equations, and leads from each to its code.",
        escaped(rest),
        "## On a standard toy",
        f"A cubic f of {'two binary latents' if row.binary else 'one latent with three categories'}: [the same for all]"
        f"(#{label('estimators', 'toy')}). {'Its bound takes the place of the mean of f. ' * row.owns_kl}"
        "Nothing is drawn for these numbers.",
        markdown_columns([("", ""), *toy.items()]),
        f"![{words}](../pictures/estimators/{row.name}.png)",
        f"*{escaped(words)}* {site_toy.plane(row)}",
        "## As it was measured",
        *measured(row, *records),
        "## Where it shines",
        listed(strengths(row, known, *records)),
        "## Where it fails",
        listed(weaknesses(row, known, *records)),
        "## Code",
        block(code.paths[row.name].read_text(encoding="utf-8").rstrip()),
        "## How it is checked",
        f"`python -m dvae_np verify` makes these {len(results)} checks, and they were made again for this page. "
        "[How it is proved](../checks.md) says what the levels are.",
        checked(results),
        *([f"The bank of mistakes has some in such code, each with the check that catches it: {', '.join(mistakes)}."]
          if mistakes else []),
    ]  # fmt: skip
    return site.references("\n\n".join(parts) + "\n", row.name)


def checked(results):
    """The results of an estimator's checks as a table."""
    rows = [(to_level(r.level, r.level), escaped(r.check), escaped(r.verdict)) for r in results]
    return markdown_columns([("level", "checked", "verdict"), *rows])


def overview(site, known, compare):
    """The Markdown of the page of all estimators. known: {name: what `site_toy.found` returns}; compare: that record."""
    times = {line["estimator"]: f"{line['milliseconds']:.1f}" for line in compare["lines"]}
    rows = [
        (
            "estimator",
            "family",
            "unbiased",
            "bias on the toy",
            "deviation",
            "evaluations of f",
            "uses of f",
            "ms",
            "lesson",
        )
    ]
    for name, row in TABLE.items():
        stem = next(stem for stem in site.books if stem.startswith(f"{row.lesson:02}"))
        rows.append((link(row), row.family.name, "yes" if row.unbiased else "no",
                     known[name].bias.replace(" along the gradient", ""), f"{known[name].deviation:.2f}", row.evaluations.words,
                     NEEDS[row.gradient_of_f], times.get(name, ""), site.lesson_link(stem, stem[:2])))  # fmt: skip
    return f"""\
# The estimators

{len(TABLE)} ways to the gradient of $\\mathbb{{E}}_q[f]$, each with its formula, its code, its bias and its variance, and a
picture of its gradients. [Lesson 14](../lessons/14_which_estimator_when.ipynb) says which to take when,
[lesson 23](../lessons/23_map_of_the_field.ipynb) draws the map.

{markdown_columns(rows)}

{site.references(about(compare), "estimators")}

```{{toctree}}
:hidden:

{chr(10).join(TABLE)}
```
"""


def about(compare):
    """What the columns of the overview mean."""
    return f"""\
({label("estimators", "toy")})=
## What the columns say

*Unbiased* is about the gradient of the mean of f; for vimco, ovis and wake_phi, of the multi-sample bound. *Bias* and
*deviation* are those on a toy, relative to the length of the exact gradient: a cubic polynomial f of one latent with three
categories. Estimators for binary latents have two of these, so their numbers compare with one another alone. Each takes
{site_toy.SAMPLES} samples, or as near to it as it can; tunables are as they start. Both numbers are exact: all outcomes of
the codes are summed [Eq. 5.3], Gumbel noise is integrated. The bias is along the gradient, with its sign, and in all
[Eq. 15.1].

*ms* are milliseconds of a gradient of 100 examples of a trained model at {compare["evaluations"]} evaluations of f, from the
record of `{compare["command"]}`; [its page](../numbers.md#bias-variance-and-time-of-every-estimator) has more."""


def levels(site, code, results):
    """The Markdown of the page of checks. results: {name: `checks` of that row}."""
    text = (site.root / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Levels of proof")[2]
    parts = []
    for level, what, to in LEVEL.findall(text):
        title = LEVELS.get(int(level), "the bug bank")
        parts += [f"({label('level', level)})=\n## Level {level}: {title}",
                  site.markdown(f"{what[0].upper()}{what[1:]}. *To:* {to}.", "CONTRIBUTING.md")]  # fmt: skip
        if int(level) in CHECKED_BY:
            parts.append(f"Its code begins in {code.link(CHECKED_BY[int(level)], 'checks.md')}.")
    count = {name: Counter(result.level for result in each) for name, each in results.items()}
    rows = [(link(TABLE[name]), *(str(of[level] or "") for level in LEVELS)) for name, of in count.items()]
    heads = ("estimator", *(to_level(level, f"level {level}") for level in LEVELS))
    return f"""\
# How it is proved

`python -m dvae_np verify` runs levels 0 to 5 and prints every line. Here is what each level is, and how many checks an
estimator has of each. All of them were run when this page was made, and passed; an estimator's own page lists them.

{(chr(10) * 2).join(parts)}

## The estimators' checks

{markdown_columns([heads, *rows])}
"""
