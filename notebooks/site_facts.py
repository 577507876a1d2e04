"""What is said of an estimator on its page: from its row, its docstring, and the records of what was measured."""

import inspect
import re

from dvae_np.estimators import TABLE
from dvae_np.estimators.row import ASKED
from dvae_np.experiments.rule import cheapest
from dvae_np.noise import MOST_PERTURBED, draw
from dvae_np.text import markdown_columns

NEEDS = {"none": "values alone", "discrete": "slope at one-hot codes", "relaxed": "slope at soft codes"}
ERROR = 0.3  # of the rule's records
PARTS = ("Approximates", "With", "Unbiased?")
MENTIONED = re.compile(r"\[Eq\. ([\d., ]+)\]")


def escaped(text):
    """Plain text as Markdown that shows it as it is; code, *emphasis* and equations keep their meaning, lines become one."""
    pieces = re.split(r"(`[^`]*`|\[Eq\. [\d., ]+\]|\*\w+\*)", " ".join(text.split()))
    plain = re.compile(r"([\\*_<>\[\]$#{}~^()+=-])")
    return "".join(piece if i % 2 else plain.sub(r"\\\1", piece) for i, piece in enumerate(pieces))


def docstring(row):
    """(first paragraph, {"Approximates": ..., "With": ..., "Unbiased?": ...}, the rest) of an estimator's docstring."""
    first, middle, *rest = inspect.getdoc(row.estimate).split("\n\n")
    found = re.split(rf"^({'|'.join(map(re.escape, PARTS))}):?\s", middle, flags=re.M)[1:]
    return first, dict(zip(found[::2], found[1::2], strict=True)), " ".join(rest)


def tags(row):
    """The numbers of an estimator's equations: those of its docstring's first sentence, or all where it has none."""
    found = MENTIONED.findall(docstring(row)[0]) or MENTIONED.findall(row.estimate.__doc__)
    return list(dict.fromkeys(tag for each in found for tag in each.split(", ")))


def noises():
    """{"z": what `draw` says of it}."""
    said = re.findall(r'((?:``"\w+"``(?:, )?)+)\s+(.+?)[;.]\n', draw.__doc__)
    return {name: words for marks, words in said for name in re.findall(r'"(\w+)"', marks)}


def noise_of(row):
    """The noise of an estimator in words."""
    known, told = noises(), []
    for name in dict.fromkeys(row.noise):
        times = f", {row.noise.count(name)} times" if row.noise.count(name) > 1 else ""
        told.append(f"`{name}`{times}: {escaped(known[name])}")
    return "; ".join(told) or "none"


def samples_of(row):
    """How many samples it takes, in words."""
    if not row.noise:
        return "none: it visits every state"
    if row.most_samples == row.fewest_samples:
        return f"exactly {row.fewest_samples}"
    return f"at least {row.fewest_samples}" + (
        f", at most {row.most_samples}" if row.most_samples < float("inf") else ""
    )


def place_of(row, record):
    """(its place by the error at equal evaluations of f, of how many) in the record of `compare`; None where it has none.

    The error is the root of bias squared plus variance. Estimators for binary latents are on a problem of their own.
    """
    if not row.noise:
        return None
    alike = [name for name, other in TABLE.items() if other.binary == row.binary and other.noise]
    error = {
        line["estimator"]: line["bias"] ** 2 + line["variance"]
        for line in record["lines"]
        if line["estimator"] in alike
    }
    return (sorted(error, key=error.get).index(row.name) + 1, len(error)) if row.name in error else None


def compared(row, record, half):
    """A sentence on its place, if it is in this half, 0 the better one."""
    if (found := place_of(row, record)) and (2 * found[0] > found[1] + 1) == half:
        kind = "for binary latents" if row.binary else "compared"
        at = record["evaluations"]
        yield (f"By its error at {at} evaluations of f, bias and deviation together, it is number {found[0]} of the {found[1]} "
               f"{kind} on a trained model.")  # fmt: skip


def strengths(row, known, compare, rule):
    """Sentences on what it can do that others cannot, as lesson 23 sorts them, and where it was the cheapest."""
    if row.unbiased and not row.owns_kl:
        yield "Its mean is the exact gradient: it can serve to compare methods, or to check a gradient."
    if row.gradient_of_f == "none":
        yield "It uses *values* of f alone: f may be a table, a simulator, or a program with branches."
    if row.asks != "logits":
        yield f"Of q it asks for {ASKED[row.asks]} alone: latents may depend on one another, where their law has that."
    if not row.owns_kl and known.variance < 1e-20 and row.noise:
        yield "On the toy above, with a single latent, it has no variance at all."
    yield from compared(row, compare, 0)
    best = [model["name"] for model in rule["models"] if cheapest(model, ERROR) == row.name]
    if best:
        yield (f"It is the cheapest of those compared, to a relative error of {ERROR:g}, on {len(best)} of "
               f"{len(rule['models'])} measured models: {'; '.join(best)}.")  # fmt: skip


def weaknesses(row, known, compare, rule):
    """Sentences on what it asks for, what it charges, and what it did not reach."""
    if row.owns_kl:
        yield "It belongs to the multi-sample bound, not to the ELBO: another objective, with another gradient."
    if not row.unbiased:
        yield f"It is biased; on the toy above by {known.bias}. More samples do not take this away [Eq. 14.1]."
    if row.gradient_of_f != "none":
        yield f"f must have a {NEEDS[row.gradient_of_f]}: a table or a simulator has none."
    if row.asks == "logits":
        yield "Latents must be independent."
    if row.binary:
        yield "Latents must be binary, K = 2."
    if not row.noise:
        yield "The number of states, K^N, grows with every latent; where f is a sum along a chain it does not matter."
    elif row.evaluations.words != "S":
        yield f"It takes {row.evaluations.words} evaluations of f, where most take S."
    if row.fewest_samples > 1 or row.most_samples < float("inf"):
        yield f"It takes {samples_of(row)} samples."
    if "distinct" in row.noise:
        yield f"To draw without replacement, `draw` perturbs all K^N joint states: at most {MOST_PERTURBED:,}."
    if row.omega:
        yield f"It has tunables of its own, to be learned for {'its' if row.tunes == 'baseline' else 'the'} {row.tunes}."
    yield from compared(row, compare, 1)
    tried = [model for model in rule["models"] if row.name in model and row.noise]
    never = [model["name"] for model in tried if model[row.name]["costs"][str(ERROR)]["milliseconds"] is None]
    if never:
        yield (f"A relative error of {ERROR:g} is out of its reach, at every temperature that was tried, on {len(never)} of "
               f"{len(tried)} measured models: {'; '.join(never)}.")  # fmt: skip


def measured(row, record, rule):
    """Paragraphs of Markdown: what the records say of a row, on a trained model and to a given error."""
    line = next((line for line in record["lines"] if line["estimator"] == row.name), None)
    if line:
        yield (f"`{record['command']}` compares estimators at {record['evaluations']} evaluations of f. Bias and variance are "
               "relative to the exact gradient and its square; milliseconds are of 100 examples in float32, the drawing of "
               "the noise included.")  # fmt: skip
        bias = "0, proved" if line["bias_from"] == "proved" else f"{line['bias']:.2f}, {line['bias_from']}"
        samples = str(line["samples"]) if row.noise else "all states"
        yield markdown_columns([("samples", "evaluations of f", "bias", "variance", "milliseconds"),
                                (samples, str(line["evaluations"]), bias, f"{line['variance']:.3g}, {line['variance_from']}",
                                 f"{line['milliseconds']:.1f}")])  # fmt: skip
    if row.name in record["learned"]:
        before, after = record["learned"][row.name]
        yield f"Its tunables, learned on the toy above, bring the variance of one sample from {before:.3g} to {after:.3g}."
    models = [model for model in rule["models"] if row.name in model]
    if models:
        yield (f"A gradient of {rule['batch']} digits with a relative error of {ERROR:g}, on trained models: its time by "
               f"`{rule['command']}` ([all of it](../numbers.md#which-estimator-when)). The best temperature is in "
               "brackets.")  # fmt: skip
        yield markdown_columns([("model", "joint states", "milliseconds", "exact, milliseconds", "the cheapest"),
                                *(cost_of(row, model) for model in models)])  # fmt: skip
    if not line and not models:
        yield "It is in no record."


def cost_of(row, model):
    """A row of the table of costs, of one model of the record."""
    own = number(model["exact"])
    if row.noise:
        cost = model[row.name]["costs"][str(ERROR)]
        tau = "" if cost["tau"] is None else f" ({cost['tau']:g})"
        own = "never" if cost["milliseconds"] is None else number(cost["milliseconds"]) + tau
    return model["name"], f"{model['states']:,.0f}", own, number(model["exact"]), f"`{cheapest(model, ERROR)}`"


def number(value):
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
