"""What training for equal time found, by two yardsticks: the test ELBO, and log p(x). Both are losses here: less is better."""

import math
from dataclasses import dataclass

import numpy as np

from dvae_np import records
from dvae_np.experiments.equal_time import BOUNDS, RATES, SECONDS, SEEDS, choice_of, trials_of
from dvae_np.experiments.rule import FAMILIES
from dvae_np.text import columns, markdown_columns, spread

YARDSTICKS = ("negative_elbo", "negative_evidence")
WORDS = dict(zip(YARDSTICKS, ("negative ELBO: nats behind the best", "-log p(x): nats behind the best"), strict=True))


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
    """{"independent 4x8": [Found, ...]} of the cells whose runs are all there, the smallest models of a family first."""
    found = {}
    for cell, known in record["cells"].items():
        if len(known["runs"]) == len(SEEDS):
            size, _, name = cell.rpartition(" ")
            found.setdefault(size, []).append(_found(name, known, list(known["runs"].values())))
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def _place(size):
    """Where "independent 4x8" stands: independent latents, chains, rows; by the number of codes, several latents first."""
    family, sizes = size.split()
    N, K = map(int, sizes.split("x"))
    return list(FAMILIES).index(family), N == 1, N * np.log(K)


def finished(record):
    """The same, of the sizes at which every estimator is done whose runs have begun."""
    begun = [cell.rpartition(" ")[0] for cell, known in record["cells"].items() if known["runs"]]
    return {size: found for size, found in findings(record).items() if len(found) == begun.count(size)}


def _found(name, known, runs):
    setting = trials_of(name, known["trials"])[choice_of(known["trials"])]
    words = f"lr {setting['lr']:g}" + (f", tau {tau_in_words(setting)}" if "hyper" in setting else "")
    diverged = [math.inf] * sum("error" in run for run in runs)  # the worst that a run can be
    runs = [run for run in runs if "error" not in run]
    bounded = any(run["bounds"] for run in runs)
    few, many = ([run["bounds"][str(S)] for run in runs] if bounded else None for S in BOUNDS)
    evidence = many if bounded else [run["log_likelihood"] for run in runs]
    return Found(
        name, known["steps"], words, [run["negative_elbo"] for run in runs] + diverged,
        [-value for value in evidence] + diverged, float(np.median(np.subtract(many, few))) if bounded else None,
        float(np.median([run["best_epoch"] / run["epochs"] for run in runs])) if runs else math.nan,
    )  # fmt: skip


def tau_in_words(setting):
    """'0.2', or '1 to 0.3'."""
    return " to ".join(f"{tau:g}" for tau in (setting["hyper"]["tau"], setting.get("tau_end")) if tau)


def in_words(size):
    """'4 latents of 8' of "independent 4x8"; 'rows: 8 latents of 32'."""
    family, sizes = size.split()
    N, K = sizes.split("x")
    return ("" if family == "independent" else f"{family}: ") + f"{N} latent{'s' * (N != '1')} of {K}"


def best(found, yardstick):
    """The names of the estimators of one size that no other beats, the one with the best median first: those whose range over
    the seeds meets its own."""
    ranked = sorted(found, key=lambda each: np.median(getattr(each, yardstick)))
    worst = max(getattr(ranked[0], yardstick))
    return [each.estimator for each in ranked if min(getattr(each, yardstick)) <= worst]


def behind(models):
    """{yardstick in words: {model in words: {estimator: (nats behind the best median, does another beat it?)}}}.

    models: {model in words: [Found, ...]}.
    """
    panels = {}
    for yardstick, words in WORDS.items():
        panels[words] = {}
        for model, found in models.items():
            medians = {each.estimator: float(np.median(getattr(each, yardstick))) for each in found}
            level = best(found, yardstick)
            panels[words][model] = {
                name: (median - min(medians.values()), name not in level) for name, median in medians.items()
            }
    return panels


def training_table(record, markdown=False):
    """Medians and ranges over the seeds of the cells that are done."""
    rows = [("model", "estimator", "steps", "chosen", "test negative ELBO", "-log p(x), or a bound", "doubling S")]
    for size, found in findings(record).items():
        for each in found:
            at_most, doubling = ("", "exact") if each.doubling is None else ("at most ", f"{-each.doubling:+.3f}")
            rows.append((size, each.estimator, f"{each.steps:,}", each.setting, spread(each.negative_elbo),
                         at_most + spread(each.negative_evidence), doubling))  # fmt: skip
    return markdown_columns(rows) if markdown else columns(rows)


def answers(record, markdown=False):
    """For each size: the best by the ELBO and by log p(x), with the lowest loss; and both losses by three well-known
    estimators."""
    shown = ("exact", "reinforce_loo", "gumbel_softmax")
    rows = [("model", "best by the ELBO", "best by log p(x)", *(f"{name}: the two losses" for name in shown))]
    for size, found in finished(record).items():
        by_name = {each.estimator: each for each in found}
        cells = [" / ".join(f"{np.median(getattr(by_name[name], yardstick)):.2f}" for yardstick in YARDSTICKS)
                 if name in by_name else "too many states" for name in shown]  # fmt: skip
        lowest = {by: min(np.median(getattr(each, by)) for each in found) for by in YARDSTICKS}
        rows.append((size, *(f"{', '.join(best(found, by))}: {loss:.2f}" for by, loss in lowest.items()), *cells))
    return markdown_columns(rows) if markdown else columns(rows)


def data_sets():
    """The names of the data sets with a finished size."""
    there = [name for name in SECONDS if (records.FOLDER / f"equal-time-{name}.json").exists()]
    return [name for name in there if finished(records.read(f"equal-time-{name}"))]


class Measured:
    """What equal time found on one data set: medians over the seeds, in nats, by size and estimator."""

    def __init__(self, name):
        self.record = records.read(f"equal-time-{name}")
        self.sizes = finished(self.record)

    def found(self, size, estimator):
        """What one cell found."""
        (found,) = (each for each in self.sizes[size] if each.estimator == estimator)
        return found

    def nats(self, size, estimator, yardstick="negative_elbo"):
        """The loss of one cell."""
        return float(np.median(getattr(self.found(size, estimator), yardstick)))

    def both(self, size, estimator):
        """'22.32 / 21.77': negative ELBO and -log p(x)."""
        return " / ".join(f"{self.nats(size, estimator, yardstick):.2f}" for yardstick in YARDSTICKS)

    def runner_up(self, size, estimator="exact"):
        """The best of the others, by the ELBO."""
        others = [each.estimator for each in self.sizes[size] if each.estimator != estimator]
        return min(others, key=lambda name: self.nats(size, name))

    def lead(self, size, estimator="exact"):
        """By how much the best of the others is behind an estimator, by the ELBO; negative where it is ahead."""
        return self.nats(size, self.runner_up(size, estimator)) - self.nats(size, estimator)

    def ahead(self, estimator, size):
        """How many nats it is ahead of Gumbel-Softmax, by the ELBO."""
        return self.nats(size, "gumbel_softmax") - self.nats(size, estimator)

    def choice(self, size, estimator):
        """The settings that the trials chose."""
        trials = self.record["cells"][f"{size} {estimator}"]["trials"]
        return trials_of(estimator, trials)[choice_of(trials)]

    def at_an_edge(self, size, estimator):
        """Is the chosen step size the smallest or the largest that was tried?"""
        return self.choice(size, estimator)["lr"] in (RATES[0]["lr"], RATES[-1]["lr"])

    def close(self, size, estimator):
        """Is the second best of the trials behind the best by less than the range of the three runs?"""
        (first, second, *_), runs = self.validated(size, estimator)
        return second - first < runs[-1] - runs[0]

    def better_when_shorter(self, size, estimator):
        """Is the best of the trials, where they are shorter, better than the median of the runs?"""
        trials, runs = self.validated(size, estimator)
        return trials[0] < np.median(runs)

    def validated(self, size, estimator):
        """The validation losses of the trials and of the runs, the lowest first. One that diverged has none."""
        cell = self.record["cells"][f"{size} {estimator}"]
        losses = ([each["validation"] for each in cell[kind].values()] for kind in ("trials", "runs"))
        return [sorted(loss for loss in each if loss is not None) for each in losses]

    def steps(self, size, estimator):
        """The steps that fit into the time."""
        return self.record["cells"][f"{size} {estimator}"]["steps"]

    def gap(self, size, estimator):
        """How many nats its negative ELBO is above -log p(x): the median of the runs' own."""
        found = self.found(size, estimator)
        return float(np.median(np.subtract(found.negative_elbo, found.negative_evidence)))

    def apart(self, size, estimator, other):
        """How many nats one is behind another, by each yardstick."""
        return tuple(self.nats(size, estimator, by) - self.nats(size, other, by) for by in YARDSTICKS)

    def behind(self, estimator, other, yardstick="negative_elbo"):
        """The same by one of them, of each size that has both."""
        there = (size for size, found in self.sizes.items() if {estimator, other} <= {each.estimator for each in found})
        return [self.apart(size, estimator, other)[YARDSTICKS.index(yardstick)] for size in there]

    def in_step(self, size, *estimators):
        """{epoch: [validation loss of each estimator]} with seed 1, of the epochs at which all were validated."""
        curves = [self.record["cells"][f"{size} {name}"]["runs"]["1"]["curve"] for name in estimators]
        losses = [{epoch: loss for epoch, _, loss in curve} for curve in curves]
        return {epoch: [each[epoch] for each in losses] for epoch in losses[0] if all(epoch in each for each in losses)}
