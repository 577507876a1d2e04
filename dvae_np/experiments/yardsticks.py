"""What training for equal time found, by two yardsticks: the test ELBO, and log p(x). Both are losses here: less is better."""

from dataclasses import dataclass

import numpy as np

from dvae_np.experiments.equal_time import BOUNDS, SEEDS, choice_of, trials_of
from dvae_np.text import columns, markdown_columns, spread

YARDSTICKS = ("negative_elbo", "negative_evidence")


@dataclass(frozen=True)
class Found:
    """One cell of the study: its runs' numbers in nats, an entry a seed."""

    estimator: str
    steps: int
    setting: str  # that the trials chose, in words
    negative_elbo: list
    negative_evidence: list  # -log p(x), or of the bound with the most samples
    doubling: float | None  # by how much that bound moved as its samples doubled (median); None: log p(x) is exact
    waited: float  # the share of its epochs at which a run was best (median)


def findings(record):
    """{"independent 4x8": [Found, ...]} of the cells whose runs are all there."""
    found = {}
    for cell, known in record["cells"].items():
        runs = [run for run in known["runs"].values() if "error" not in run]
        if len(known["runs"]) == len(SEEDS) and runs:
            size, _, name = cell.rpartition(" ")
            found.setdefault(size, []).append(_found(name, known, runs))
    return found


def finished(record):
    """The same, of the sizes at which every estimator is done."""
    begun = [cell.rpartition(" ")[0] for cell in record["cells"]]
    return {size: found for size, found in findings(record).items() if len(found) == begun.count(size)}


def _found(name, known, runs):
    setting = trials_of(name)[choice_of(known)]
    words = f"lr {setting['lr']:g}"
    if "hyper" in setting:
        words += ", tau " + ("0.5 to 0.1" if "tau_end" in setting else f"{setting['hyper']['tau']:g}")
    few, many = ([run["bounds"][str(S)] for run in runs] if runs[0]["bounds"] else None for S in BOUNDS)
    evidence = [run["log_likelihood"] for run in runs] if many is None else many
    return Found(
        name, known["steps"], words, [run["negative_elbo"] for run in runs], [-value for value in evidence],
        None if many is None else float(np.median(np.subtract(many, few))),
        float(np.median([run["best_epoch"] / run["epochs"] for run in runs])),
    )  # fmt: skip


def best(found, yardstick):
    """The names of the estimators of one size that no other beats, the one with the best median first: those whose range over
    the seeds meets its own."""
    ranked = sorted(found, key=lambda each: np.median(getattr(each, yardstick)))
    worst = max(getattr(ranked[0], yardstick))
    return [each.estimator for each in ranked if min(getattr(each, yardstick)) <= worst]


def training_table(record, markdown=False):
    """Medians and ranges over the seeds of the cells that are done."""
    rows = [("model", "estimator", "steps", "chosen", "test negative ELBO", "-log p(x), or a bound", "doubling S")]
    for size, found in findings(record).items():
        for each in found:
            exact = each.doubling is None
            rows.append((size, each.estimator, f"{each.steps:,}", each.setting, spread(each.negative_elbo),
                         ("" if exact else "at most ") + spread(each.negative_evidence),
                         "exact" if exact else f"{-each.doubling:+.3f}"))  # fmt: skip
    return markdown_columns(rows) if markdown else columns(rows)


def answers(record, markdown=False):
    """For each size: the best by the ELBO and by log p(x); and the two losses by three well-known estimators."""
    shown = ("exact", "reinforce_loo", "gumbel_softmax")
    rows = [("model", "best by the ELBO", "best by log p(x)", *(f"{name}: the two losses" for name in shown))]
    for size, found in finished(record).items():
        by_name = {each.estimator: each for each in found}
        cells = [" / ".join(f"{np.median(getattr(by_name[name], yardstick)):.2f}" for yardstick in YARDSTICKS)
                 if name in by_name else "too many states" for name in shown]  # fmt: skip
        rows.append((size, *(", ".join(best(found, yardstick)) for yardstick in YARDSTICKS), *cells))
    return markdown_columns(rows) if markdown else columns(rows)
