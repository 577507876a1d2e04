"""The tour: verify everything, train by four estimators on the embedded digits, print the numbers, draw the figures."""

import html

import numpy as np

from dvae_np.check.report import Report
from dvae_np.check.suite import results
from dvae_np.files import write_record, write_text
from dvae_np.text import columns, spread
from dvae_np.train import Settings, evaluate, fit, load

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>dvae_np: the tour</title><style>
body {{ font-family: sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; line-height: 1.4 }}
table {{ border-collapse: collapse; font-size: 90% }} td, th {{ padding: 2px 12px 2px 0; text-align: left }}
img {{ max-width: 100% }}
</style></head><body>
<h1>The tour</h1>
<p>{summary}. Four estimators trained on {data}; the numbers are nats on the test split, median (and range) of three seeds.</p>
<table>{rows}</table>
<p><img src="tour.png" alt="Loss during training by four estimators, and what each code of a model means"></p>
<h2>Reconstructions and samples</h2>
<p><img src="reconstructions.png" alt="Digits above, their reconstructions below"></p>
<p><img src="samples.png" alt="Digits drawn from the model"></p>
<h2>Every check</h2>
<details><summary>{summary}</summary>{checks}</details>
</body></html>
"""
WRITTEN = ("report.html", "data/tour.json", "tour.png", "reconstructions.png", "samples.png")
SEEDS = (0, 1, 2)
MODEL = {"N": 2, "K": 10, "hidden": (128,), "epochs": 120}
ESTIMATORS = {  # each with its samples for an example, its hyper-parameters and their schedule
    "exact": {},
    "reinforce_loo": {"S": 4},
    "gumbel_softmax": {"hyper": {"tau": 1.0}, "tau_schedule": "geometric", "tau_end": 0.3},
    "straight_through_gumbel": {"hyper": {"tau": 0.5}},
}


def tour(out, say=print, progress=lambda description, total: None, checks=lambda results: results):
    """Run all of it, writing into the folder `out`; returns True if every check passed.

    progress: makes a bar, called after each epoch and closed at the end, or None, from a description and a total. checks: hands
    on the results of the verification, one by one, with a bar around them perhaps.
    """
    say("1  Verification: every gradient pair, every estimator\n")
    report = Report(checks(results()))
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
    write_text(out / "report.html", as_page(report, record))
    say(f"\n4  Written to {out}: {', '.join(WRITTEN)}\n   Open {(out / 'report.html').resolve().as_uri()}")
    return not report.failed


def as_page(report, record):
    """A page of HTML with the numbers, the pictures and every check; it stands beside the pictures."""
    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in _rows(record))
    rows = "".join(f"<tr>{row}</tr>" for row in cells)
    return PAGE.format(data=html.escape(record["data"]), rows=rows, summary=html.escape(report.summary()),
                       checks=report._repr_html_())  # fmt: skip


def results_table(record):
    """The trained numbers of a tour's record, as text: each a median and its range over the seeds."""
    return columns(_rows(record))


def _rows(record):
    rows = [("estimator", "how", "test negative ELBO", "test log p(x)", "s")]
    for name, runs in record["trained"].items():
        settings = runs[0]["settings"]
        samples = "all states" if name == "exact" else f"S={settings['S']}"
        if "tau" in settings["hyper"]:
            samples += f", tau {settings['hyper']['tau']:g}"
        if settings["tau_end"] is not None:
            samples += f" to {settings['tau_end']:g}"
        numbers = [spread([run["test"][quantity] for run in runs]) for quantity in ("negative_elbo", "log_likelihood")]
        rows.append((name, samples, *numbers, f"{np.median([run['seconds'] for run in runs]):.1f}"))
    return rows
