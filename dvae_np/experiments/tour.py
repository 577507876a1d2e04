"""The tour: verify everything, train by four estimators on the embedded digits, print the numbers, draw the figures."""

import numpy as np

from dvae_np.check.report import Report
from dvae_np.check.suite import results
from dvae_np.files import write_record
from dvae_np.text import columns
from dvae_np.train import Settings, evaluate, fit, load

WRITTEN = ("data/tour.json", "tour.png", "reconstructions.png", "samples.png")
SEEDS = (0, 1, 2)
MODEL = {"N": 2, "K": 10, "hidden": (128,), "epochs": 120}
ESTIMATORS = {  # each with its samples for an example, its hyper-parameters and their schedule
    "exact": {},
    "reinforce_loo": {"S": 4},
    "gumbel_softmax": {"hyper": {"tau": 1.0}, "tau_schedule": "geometric", "tau_end": 0.3},
    "straight_through_gumbel": {"hyper": {"tau": 0.5}},
}


def tour(out, say=print, progress=lambda description, total: None):
    """Run all of it, writing into the folder `out`; returns True if every check passed.

    progress: makes a bar, called after each epoch and closed at the end, or None, from a description and a total.
    """
    say("1  Verification: every gradient pair, every estimator\n")
    report = Report(results())
    say(report.condensed())

    data = load("digits")
    say(f"\n2  Training on {data}")
    runs = {}
    for name, options in ESTIMATORS.items():
        bar = progress(name, len(SEEDS) * MODEL["epochs"])
        runs[name] = [fit(data, Settings(estimator=name, seed=seed, **MODEL, **options), bar) for seed in SEEDS]
        if bar:
            bar.close()
        seconds = sum(run.seconds for run in runs[name])
        say(f"   {name}: {len(SEEDS)} seeds of {MODEL['epochs']} epochs in {seconds:.1f} s")
    record = {
        "command": "python -m dvae_np tour",
        "data": str(data),
        "trained": {name: [run.record() | {"test": vars(evaluate(run.params, data.test.x))} for run in runs[name]]
                    for name in runs},
    }  # fmt: skip
    states = MODEL["K"] ** MODEL["N"]
    say(f"\n3  On the test split, in nats, exact over all {states} joint states; {data.binarisation};")
    say(f"   median (and range) of seeds {', '.join(map(str, SEEDS))}\n")
    say(results_table(record))

    from dvae_np import figures  # matplotlib takes longer to import than everything else
    from dvae_np.figures import models

    histories, best = {name: [run.history for run in runs[name]] for name in runs}, runs["exact"][0].params
    write_record(out / "data/tour.json", record)
    figures.save(out / "tour.png", (11, 4.4), figures.overview, histories, best, data)
    figures.save(out / "reconstructions.png", (8.8, 2.0), models.reconstructions, best, data)
    figures.save(out / "samples.png", (8.8, 1.8), models.samples, best, data, np.random.default_rng(0))
    say(f"\n4  Written to {out}: {', '.join(WRITTEN)}")
    return not report.failed


def results_table(record):
    """The trained numbers of a tour's record, as text: each a median and its range over the seeds."""
    rows = [("estimator", "how", "test negative ELBO", "test log p(x)", "training seconds")]
    for name, runs in record["trained"].items():
        settings = runs[0]["settings"]
        samples = "all states" if name == "exact" else f"S = {settings['S']}"
        if "tau" in settings["hyper"]:
            samples += f", tau = {settings['hyper']['tau']:g}"
        if settings["tau_end"] is not None:
            samples += f" to {settings['tau_end']:g}"
        numbers = [spread([run["test"][quantity] for run in runs]) for quantity in ("negative_elbo", "log_likelihood")]
        rows.append((name, samples, *numbers, f"{np.median([run['seconds'] for run in runs]):.1f}"))
    return columns(rows)


def spread(values):
    """Median and range: '18.37 (18.30 to 18.52)'."""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
