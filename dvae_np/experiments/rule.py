"""The practical rule, measured: what a gradient of a given error costs, and where the exact one stops paying."""

import numpy as np

from dvae_np.estimators import TABLE
from dvae_np.experiments.gradient_problems import trained_problem
from dvae_np.experiments.measurement import measure, milliseconds
from dvae_np.experiments.tuning import tuned
from dvae_np.text import columns, markdown_columns

PROBLEMS = ((1, 16), (2, 8), (2, 16), (3, 10), (4, 8), (4, 10), (5, 8))
ESTIMATORS = ("reinforce_loo", "local_expectation", "rebar", "gumbel_softmax", "straight_through_gumbel", "reinmax")
COMMAND = "python -m dvae_np compare --rule"
ERRORS = (1.0, 0.3, 0.1)


def milliseconds_to_error(line, error):
    """What one gradient of this relative error costs, or None where the bias alone is larger [Eq. 14.2].

    line: bias, variance and milliseconds at S samples. n times as many samples have the error sqrt(bias^2 + variance / n)
    [Eq. 14.1] and are taken to cost n times as much; fewer than S are not tried.
    """
    left = error**2 - line["bias"] ** 2
    return max(1.0, line["variance"] / left) * line["milliseconds"] if left > 0 else None


def practical_rule(progress=lambda rows: rows, problems=PROBLEMS):
    """How many milliseconds a batch's gradient takes to a given relative error, as the number of joint states grows.

    For each model size a VAE is trained (by leave-one-out, so that the cost of training does not grow), the exact gradient
    is timed, and each estimator measured at 16 evaluations of f (local expectation at N K) and extrapolated.
    """
    records = []
    for N, K in progress(list(problems)):
        problem = trained_problem(N, K, "reinforce_loo")
        rng = np.random.Generator(np.random.SFC64(3))
        record = {"N": N, "K": K, "states": K**N, "exact": milliseconds(TABLE["exact"], problem, 1, 1, {}, rng)}
        for name in ESTIMATORS:
            row, evaluations = TABLE[name], N * K if name == "local_expectation" else 16
            hyper = tuned(row, problem, row.samples_for(evaluations, N, K), rng)
            line = measure(row, problem, evaluations, hyper, rng, 400)
            needed = {str(error): milliseconds_to_error(line, error) for error in ERRORS}
            record[name] = {**line, "milliseconds_to_error": needed}
        records.append(record)
    return {"command": COMMAND, "batch": 100, "errors": ERRORS, "models": records}


def cheapest(model, error):
    """The name of what gets the gradient of this model of the record to that relative error in the least time."""
    cost = {name: model[name]["milliseconds_to_error"][str(error)] for name in ESTIMATORS} | {"exact": model["exact"]}
    reached = {name: value for name, value in cost.items() if value is not None}
    return min(reached, key=reached.get)


def exact_up_to(record, error):
    """The most joint states, of the record's models, at which the exact gradient is the cheapest way to that error."""
    return max(model["states"] for model in record["models"] if cheapest(model, error) == "exact")


def rule_table(record, error=0.3, markdown=False):
    """The rule as text, or as a Markdown table: milliseconds to that relative error, by estimator and joint states."""
    rows = [("N", "K", "joint states", "exact, ms", *ESTIMATORS, "cheapest")]
    for model in record["models"]:
        cost = [model[name]["milliseconds_to_error"][str(error)] for name in ESTIMATORS]
        cells = ["never" if value is None else f"{value:.3g}" for value in cost]
        rows.append((str(model["N"]), str(model["K"]), str(model["states"]), f"{model['exact']:.3g}", *cells,
                     cheapest(model, error)))  # fmt: skip
    return markdown_columns(rows) if markdown else columns(rows)
