"""The practical rule, its first half: what a gradient of a given error costs, and where the exact one stops paying.

Models of growing size are trained on the digits: independent latents; chains under a decoder that sees all codes, whose exact
gradient visits every code; chains that emit a row of pixels each, whose exact gradient is dynamic programming. Each estimator
is measured at its tunables' trained values, at every one of `TAUS`, with few samples and with many; what an error costs is what
the best of these settings costs, and beside it stands what the default costs.
"""

from dataclasses import asdict, dataclass
from itertools import takewhile

import numpy as np

from dvae_np.estimators import TABLE
from dvae_np.experiments.gradient_problems import trained_problem
from dvae_np.experiments.measurement import measure, milliseconds
from dvae_np.experiments.tuning import TUNING_STEPS, tuned
from dvae_np.text import columns, markdown_columns

COMMAND = "python -m dvae_np compare --rule"
ERRORS = (1.0, 0.3, 0.1)
TAUS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
FEW, MANY = 2, 16  # evaluations of f at which each is measured; local expectation takes N K
REPLICATES, BATCH = 400, 100
FIGURE = (11, 7.0)  # inches
SHOWN = "independent 4x8"  # whose every setting the page shows


@dataclass(frozen=True)
class Size:
    """One trained model."""

    family: str  # a key of `FAMILIES`
    N: int
    K: int

    @property
    def name(self):
        return f"{self.family} {self.N}x{self.K}"


ANY = ("reinforce_loo", "nvil", "vimco", "gumbel_softmax", "straight_through_gumbel", "straight_through")
CHAIN = {"posterior": "chain", "prior": "markov"}
FAMILIES = {  # what the model is, and the estimators that take its posterior
    "independent": ({}, (*ANY, "local_expectation", "rebar", "reinmax", "double_cv", "rodeo")),
    "chain": (CHAIN, (*ANY, "stochastic_softmax")),
    "rows": (CHAIN | {"prior": "transition", "interface": "emission"}, (*ANY, "stochastic_softmax")),
}
SIZES = (
    *(Size("independent", N, K) for N, K in ((1, 16), (2, 8), (2, 16), (3, 10), (4, 8), (4, 10), (5, 8), (5, 10))),
    *(Size("chain", N, K) for N, K in ((4, 4), (6, 4), (8, 4))),
    *(Size("rows", 8, K) for K in (4, 8, 32)),
)


def milliseconds_to_error(line, error):
    """What one gradient of this relative error costs, or None where the bias alone is larger [Eq. 14.2].

    line: bias, variance and milliseconds at S samples. n times as many samples have the error sqrt(bias^2 + variance / n)
    [Eq. 14.1] and are taken to cost n times as much; fewer than S are not tried. A bias is known to an interval, whose upper
    end counts.
    """
    bias = line.get("bias_at_most", line["bias"])  # the record of `compare` has no intervals
    left = error**2 - bias**2
    return max(1.0, line["variance"] / left) * line["milliseconds"] if left > 0 else None


def practical_rule(known=None, save=lambda record: None, progress=lambda rows: rows, sizes=SIZES):
    """The record of all sizes and estimators: what is in `known` is kept, what lacks is measured, and saved size by size."""
    models = {model["name"]: model for model in (known or {"models": []})["models"]}
    for size in progress(list(sizes)):
        options, names = FAMILIES[size.family]
        model = models.setdefault(size.name, {"name": size.name, **asdict(size), "states": float(size.K) ** size.N})
        missing = [name for name in names if name not in model]
        if missing or "exact" not in model:
            problem = trained_problem(size.N, size.K, "reinforce_loo", **options)
            rng = np.random.Generator(np.random.SFC64(3))
            if "exact" not in model:
                model["exact"] = milliseconds(TABLE["exact"], problem, 1, 1, {}, rng, BATCH)
            model |= {name: measured(TABLE[name], problem, rng) for name in missing}
            models[size.name] = model
        save(record_of(models, sizes))
    return record_of(models, sizes)


def record_of(models, sizes):
    """The record of these sizes that there are."""
    found = [models[size.name] for size in sizes if size.name in models]
    return {"command": COMMAND, "batch": BATCH, "errors": ERRORS, "taus": TAUS, "models": found}


def measured(row, problem, rng):
    """One estimator on one model: a line for each temperature and number of samples, and what tuning took."""
    N, K = problem.N, problem.K
    numbers = {row.samples_for(E, N, K): E for E in (MANY, FEW)} if row.name != "local_expectation" else {1: N * K}
    hyper = tuned(row, problem, row.samples_for(MANY, N, K), rng)
    lines = []
    for tau in TAUS if "tau" in row.hyper else (None,):
        setting = hyper if tau is None else hyper | {"tau": tau}
        found = {
            E: measure(row, problem, E, setting, rng, replicates(row, problem, E)) for E in sorted(numbers.values())
        }
        bias = {name: found[max(found)][name] for name in ("bias", "bias_half_width", "bias_at_most", "cosine")}
        lines += [{"tau": tau} | found[E] | (bias if row.averages else {}) for E in found]  # whose mean is one
    tuning = milliseconds(row, problem, lines[-1]["samples"], TUNING_STEPS, hyper, rng, 64, 1) if row.omega else 0.0
    costs = {str(error): cost_of(lines, error, row.hyper.get("tau")) for error in ERRORS}
    return {"lines": lines, "costs": costs, "tuning_milliseconds": tuning}


def replicates(row, problem, evaluations):
    """Draws of one estimator: more where a small bias has to be told from noise, and where they are no burden."""
    light = problem.N * problem.K**2 < 2000
    return REPLICATES if row.unbiased or evaluations < MANY or not light else 10 * REPLICATES


def cost_of(lines, error, default):
    """What an error costs at the best of an estimator's settings, and at its default temperature; None where out of reach."""
    reached = [(milliseconds_to_error(line, error), line) for line in lines]
    reached = sorted((each for each in reached if each[0] is not None), key=lambda each: each[0])
    at_default = [cost for cost, line in reached if line["tau"] == default]
    cost, line = reached[0] if reached else (None, {"tau": None, "samples": None})
    return {"milliseconds": cost, "tau": line["tau"], "samples": line["samples"],
            "default": at_default[0] if at_default else None}  # fmt: skip


def estimators_of(model):
    """The names of the estimators that were measured on a model of the record."""
    return [name for name in FAMILIES[model["family"]][1] if name in model]


def cheapest(model, error):
    """The name of what gets the gradient of this model of the record to that relative error in the least time.

    VIMCO is measured, and no contestant here: its gradient is that of another objective.
    """
    contestants = [name for name in estimators_of(model) if not TABLE[name].owns_kl]
    cost = {name: model[name]["costs"][str(error)]["milliseconds"] for name in contestants}
    cost |= {"exact": model["exact"]}
    reached = {name: value for name, value in cost.items() if value is not None}
    return min(reached, key=reached.get)


def takes(record, size, estimator, error=1.0):
    """The milliseconds to a gradient of this error on one model."""
    (model,) = (model for model in record["models"] if model["name"] == size)
    return model["exact"] if estimator == "exact" else model[estimator]["costs"][str(error)]["milliseconds"]


def exact_up_to(record, error):
    """The joint states of independent latents, of the record's models, up to which `exact` is the cheapest to that error."""
    models = sorted(
        (model for model in record["models"] if model["family"] == "independent"), key=lambda model: model["states"]
    )
    reached = list(takewhile(lambda model: cheapest(model, error) == "exact", models))
    return int(reached[-1]["states"]) if reached else 0


def cheapest_table(record):
    """The cheapest way to each error on each model of the record, and its milliseconds, as text."""
    rows = [("model", "joint states", *(f"error {error:g}" for error in record["errors"]))]
    for model in record["models"]:
        names = [cheapest(model, error) for error in record["errors"]]
        costs = [model["exact"] if name == "exact" else model[name]["costs"][str(error)]["milliseconds"]
                 for name, error in zip(names, record["errors"], strict=True)]  # fmt: skip
        cells = [f"{name} {cost:.3g}" for name, cost in zip(names, costs, strict=True)]
        rows.append((model["name"], _in_words(model["states"]), *cells))
    return columns(rows)


def _in_words(states):
    return f"{states:,.0f}" if states < 1e6 else f"{states:.0e}"


def rule_table(record, error=0.3, markdown=False, family="independent", names=None):
    """The rule as text, or as a Markdown table: milliseconds to that relative error and the temperature that takes them.

    names: of the estimators with a column; all, where it is None. The cheapest is that of all.
    """
    models = [model for model in record["models"] if model["family"] == family]
    names = FAMILIES[family][1] if names is None else names
    rows = [("N", "K", "joint states", "exact, ms", *names, "cheapest")]
    for model in models:
        cells = []
        for name in names:
            cost = model[name]["costs"][str(error)]
            at = "" if cost["tau"] is None else f" ({cost['tau']:g})"
            cells.append("never" if cost["milliseconds"] is None else f"{cost['milliseconds']:.3g}{at}")
        row = (
            model["N"],
            model["K"],
            _in_words(model["states"]),
            f"{model['exact']:.3g}",
            *cells,
            cheapest(model, error),
        )
        rows.append(tuple(map(str, row)))
    return markdown_columns(rows) if markdown else columns(rows)


def settings_table(record, name, markdown=False):
    """Every estimator on one model of the record: bias, deviation and cosine at each temperature, with many samples."""
    model = next(model for model in record["models"] if model["name"] == name)
    rows = [("estimator", "tau", "samples", "bias", "deviation", "cosine", "ms")]
    for estimator in estimators_of(model):
        lines = model[estimator]["lines"]
        most = max(line["samples"] for line in lines)
        for line in (line for line in lines if line["samples"] == most):
            tau = "" if line["tau"] is None else f"{line['tau']:g}"
            rows.append((estimator, tau, str(line["samples"]), f"{line['bias']:.3f}", f"{line['variance'] ** 0.5:.3f}",
                         f"{line['cosine']:.3f}", f"{line['milliseconds']:.3g}"))  # fmt: skip
    return markdown_columns(rows) if markdown else columns(rows)


def lost_by_defaults(record, error):
    """{estimator with a temperature: (models where its default reaches an error, its best one, times as dear: median)}."""
    found = {}
    for model in record["models"]:
        for name in estimators_of(model):
            if "tau" in TABLE[name].hyper:
                found.setdefault(name, []).append(model[name]["costs"][str(error)])
    lost = {}
    for name, costs in found.items():
        times = [cost["default"] / cost["milliseconds"] for cost in costs if cost["default"]]
        chosen = sum(cost["milliseconds"] is not None for cost in costs)
        lost[name] = len(times), chosen, float(np.median(times)) if times else None
    return lost
