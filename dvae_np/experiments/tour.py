"""The tour: verify everything, train by four estimators on the embedded digits, print the numbers, draw the figures."""

import json
from dataclasses import dataclass

import numpy as np

from dvae_np.check.report import Report, columns
from dvae_np.check.suite import results
from dvae_np.train import Settings, evaluate, fit, load

SEEDS = (0, 1, 2)
MODEL = {"N": 2, "K": 10, "hidden": (128,), "epochs": 200}
ESTIMATORS = {  # each with its samples for an example and its hyper-parameters
    "exact": {},
    "reinforce_loo": {"S": 4},
    "gumbel_softmax": {"hyper": {"tau": 0.5}},
    "straight_through_gumbel": {"hyper": {"tau": 0.5}},
}


@dataclass(frozen=True)
class Trained:
    """One estimator's trainings, a run and its test evaluation for each seed."""

    estimator: str
    runs: list
    evaluations: list

    def row(self):
        """Estimator, samples, test negative ELBO, test log p(x) (each median and range over seeds), seconds."""
        return (
            self.estimator,
            "all states" if self.estimator == "exact" else str(self.runs[0].settings.S),
            spread([e.negative_elbo for e in self.evaluations]),
            spread([e.log_likelihood for e in self.evaluations]),
            f"{np.median([run.seconds for run in self.runs]):.1f}",
        )

    def record(self):
        """Plain values for a JSON file."""
        return {
            "test_negative_elbo": [e.negative_elbo for e in self.evaluations],
            "test_log_likelihood": [e.log_likelihood for e in self.evaluations],
            "runs": [run.record() for run in self.runs],
        }


HEADINGS = ("estimator", "S", "test negative ELBO", "test log p(x)", "seconds")


def spread(values):
    """Median and range: '18.37 (18.30 to 18.52)'."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def tour(out, say=print, progress=lambda description, total: None):
    """Run all of it, writing into the folder `out`; returns True if every check passed.

    progress: makes a bar with `update()` and `close()`, or None, from a description and the number of epochs.
    """
    say("1  Verification: every gradient pair, every estimator\n")
    report = Report(results())
    say(report.condensed())

    data = load("digits")
    say(f"\n2  Training on {data}\n")
    trained = []
    for name, options in ESTIMATORS.items():
        bar = progress(name, len(SEEDS) * MODEL["epochs"])
        runs = [fit(data, Settings(estimator=name, seed=seed, **MODEL, **options), bar) for seed in SEEDS]
        if bar:
            bar.close()
        trained.append(Trained(name, runs, [evaluate(run.params, data.test.x) for run in runs]))

    method = trained[0].evaluations[0].method
    say(f"3  On the test split, in nats ({method}; {data.binarisation}); median and range of seeds {SEEDS}\n")
    say(columns([HEADINGS, *(each.row() for each in trained)]))

    from dvae_np import figures  # matplotlib takes longer to import than everything else

    histories = {each.estimator: [run.history for run in each.runs] for each in trained}
    best = trained[0].runs[0].params
    written = [
        figures.save(out / "tour.png", (11, 4.4), figures.overview, histories, best, data),
        figures.save(out / "reconstructions.png", (8.8, 1.5), figures.reconstructions, best, data),
        figures.save(out / "samples.png", (8.8, 1.8), figures.samples, best, data, np.random.default_rng(0)),
    ]
    record = {"command": "python -m dvae_np tour", "data": str(data), "evaluation": method,
              "model": MODEL, "trained": {each.estimator: each.record() for each in trained}}  # fmt: skip
    (out / "tour.json").write_text(json.dumps(record, indent=1) + "\n")
    say(f"\n4  Figures and numbers in {out}: " + ", ".join(path.name for path in [*written, out / "tour.json"]))
    return not report.failed
