"""All figures, from the measured numbers that are kept in `dvae_np.records`: `python -m dvae_np figures`."""

import numpy as np

from dvae_np import figures, records
from dvae_np.experiments.tour import MODEL
from dvae_np.figures import models
from dvae_np.train import Settings, fit, load


def gallery(out, progress=lambda names: names):
    """Write every figure of the README and the lessons into the folder `out`; returns the files' names.

    What no numbers are kept for is computed again: the figures of the lessons, and the tour's model (a second of training).
    Raises InputError for records that cannot be read.
    """
    drawings = {name: figures.lesson_figure(name) for name in figures.LESSONS}
    compared, rule, toured, benched = (records.read(name) for name in ("compare", "rule", "tour", "bench"))
    drawings["bench.png"] = *figures.BENCH, benched
    drawings["compare.png"] = (11, 5.2), figures.comparison, compared
    drawings["sweep.png"] = (8, 5.2), figures.sweep, compared
    drawings["rule.png"] = (11, 4.2), figures.practical_rule, rule
    for name in ("digits", "mnist"):
        with np.load(records.FOLDER / f"completion-{name}.npz") as kept:
            drawings[f"completion-{name}.png"] = (8.8, 5.4), models.completions, kept["images"] / 255
    data = load("digits")
    params = fit(data, Settings(**MODEL)).params
    histories = {name: [run["history"] for run in runs] for name, runs in toured["trained"].items()}
    drawings["tour.png"] = (11, 4.4), figures.overview, histories, params, data
    drawings["reconstructions.png"] = (8.8, 2.0), models.reconstructions, params, data
    drawings["samples.png"] = (8.8, 1.8), models.samples, params, data, np.random.default_rng(0)
    for name in progress(sorted(drawings)):
        figures.save(out / name, *drawings[name])
    return sorted(drawings)
