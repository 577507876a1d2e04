"""All figures, from the measured numbers that are kept in `dvae_np.records`: `python -m dvae_np figures`."""

import numpy as np

from dvae_np import figures, records
from dvae_np.arrays import InputError
from dvae_np.experiments import page_answer
from dvae_np.experiments.page import page
from dvae_np.experiments.published_toys import PICTURES
from dvae_np.experiments.rule import FIGURE
from dvae_np.experiments.tour import MODEL
from dvae_np.experiments.yardsticks import behind, data_sets, finished
from dvae_np.figures import models
from dvae_np.train import Settings, fit, load

COMPLETIONS = ("digits", "mnist")
TRAINED = data_sets()
PAGES = {"README.md": page, "WHICH_ESTIMATOR.md": page_answer.answer}
WRITTEN = (*figures.LESSONS, "bench.png", "compare.png", "sweep.png", "rule.png", "first_model.png", "tour.png",
           "reconstructions.png", "samples.png", *(f"completion-{name}.png" for name in COMPLETIONS),
           *(f"equal-time-{name}.png" for name in TRAINED), *PICTURES.values(), page_answer.PICTURE, *PAGES)  # fmt: skip


def drawings():
    """{file name: (size, function, contents)} of every figure of the README and the lessons.

    What no numbers are kept for is computed again: the figures of the lessons, when they are drawn, and the tour's model (a
    second of training). Raises InputError for records that cannot be read.
    """
    found = {name: figures.lesson_figure(name) for name in figures.LESSONS}
    compared, rule, toured, benched = (records.read(name) for name in ("compare", "rule", "tour", "bench"))
    found["bench.png"] = *figures.BENCH, benched
    found["compare.png"] = (11, 5.2), figures.comparison, compared
    found["sweep.png"] = (8, 5.2), figures.sweep, compared
    found["rule.png"] = FIGURE, figures.practical_rule, rule
    found["first_model.png"] = (7.4, 3.6), figures.first_models, records.read("first-model")
    for name in TRAINED:
        sizes = finished(records.read(f"equal-time-{name}"))
        found[f"equal-time-{name}.png"] = figures.equal_time_size(sizes), figures.equal_time, sizes
    found[page_answer.PICTURE] = (9.4, 5.6), figures.nats_behind, behind(page_answer.models())
    toys = records.read("published-toys")
    found |= {name: (figures.toy_size(toys, key), figures.toy_variances, toys, key) for key, name in PICTURES.items()}
    for name in COMPLETIONS:
        images = records.arrays(f"completion-{name}")["images"]
        found[f"completion-{name}.png"] = (8.8, 5.4), models.completions, images / 255
    data = load("digits")
    params = fit(data, Settings(**MODEL)).params
    try:
        histories = {name: [run["history"] for run in runs] for name, runs in toured["trained"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"record: tour.json is no record of the tour ({error!r})") from error
    found["tour.png"] = (11, 4.4), figures.overview, histories, params, data
    found["reconstructions.png"] = (8.8, 2.0), models.reconstructions, params, data
    found["samples.png"] = (8.8, 1.8), models.samples, params, data, np.random.default_rng(0)
    return dict(sorted(found.items()))
