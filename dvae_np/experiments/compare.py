"""Bias, variance, evaluations and seconds of every estimator, on one problem, at equal numbers of evaluations of f."""

import numpy as np

from dvae_np.estimators import TABLE
from dvae_np.experiments.gradient_problems import PROBLEMS
from dvae_np.experiments.measurement import measure
from dvae_np.experiments.tuning import learned_variances, tuned
from dvae_np.text import columns

REPLICATES = 1000  # of each example's gradient, where the variance is not enumerable
SWEEP_REPLICATES = 200


def compare(problem="vae", evaluations=12, N=2, K=5, progress=lambda rows: rows, sweep=(2, 6, 20, 60)):
    """All rows that estimate the gradient of E_q[f], at equal evaluations, on a problem ("vae" or "toy") of N latents of K
    categories, binary rows of 2 N binary ones.

    sweep: numbers of evaluations for the second figure. Returns a record of plain values.
    """
    problems = {False: PROBLEMS[problem](N, K), True: PROBLEMS[problem](2 * N, 2)}
    lines, curves = [], {}
    for row in progress([row for row in TABLE.values() if not row.owns_kl]):  # a bound has another gradient
        rng = np.random.Generator(np.random.SFC64(3))
        own = problems[row.binary]
        hyper = tuned(row, own, row.samples_for(evaluations, own.N, own.K), rng)
        lines.append(measure(row, own, evaluations, hyper, rng, REPLICATES))
        if row.noise and not row.binary:
            points = [measure(row, own, each, hyper, rng, SWEEP_REPLICATES, timed=False) for each in sweep]
            curves[row.name] = list({point["evaluations"]: point for point in points}.values())
    return {
        "command": command_of(problem, evaluations, N, K),
        "problem": f"{problems[False].name}; binary rows: {problems[True].name}; {len(problems[False].examples)} examples",
        "evaluations": evaluations,
        "lines": lines,
        "curves": curves,
        "learned": learned_variances(),
    }


def command_of(problem, evaluations=12, N=2, K=5):
    """The command that makes this comparison, with the options that are not as they are without one."""
    options = {"evaluations": (evaluations, 12), "N": (N, 2), "K": (K, 5)}
    changed = [f" --{name} {value}" for name, (value, usual) in options.items() if value != usual]
    return f"python -m dvae_np compare --problem {problem}" + "".join(changed)


def comparison_table(record):
    """The comparison as text."""
    rows = [("estimator", "S", "evaluations", "bias", "variance", "error", "ms")]
    for line in record["lines"]:
        error = (line["bias"] ** 2 + line["variance"]) ** 0.5
        samples = line["samples"] if TABLE[line["estimator"]].noise else "all"
        measured = (_with_origin(line, "bias", ".3f"), _with_origin(line, "variance", ".3g"))
        row = (
            line["estimator"],
            samples,
            line["evaluations"],
            *measured,
            f"{error:.2f}",
            f"{line['milliseconds']:.1f}",
        )
        rows.append(tuple(map(str, row)))
    return columns(rows)


def _with_origin(line, what, form):
    """A number and how it is known: '0.781, exact'; with a sampled one goes its interval, '0.697 ± 0.012'."""
    known = line[f"{what}_from"]
    return f"{line[what]:{form}}" + (f" ± {line[f'{what}_half_width']:.2g}" if known == "sampled" else f", {known}")
