"""All images onto one code: the first steps of the published set-up (`reproduce`), and what the decoder's start does to them.

A fresh decoder draws grey noise. Whichever code makes the image darker is better for every image, so the encoder's gradient
is nearly the same for all, and Adam follows it in strides. Once q is certain of one code, every gradient through the softmax
is next to zero.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from dvae_np import vae
from dvae_np.categorical import entropy
from dvae_np.check.report import columns, markdown_columns
from dvae_np.estimators import exact
from dvae_np.experiments.reproduce import settings_of
from dvae_np.networks import encoder
from dvae_np.train import Training

STARTS = {  # and what it changes in the published set-up
    "as published": {},
    "larger rows": {"embedding_scale": 1.0},
    "mean image": {"first_image": "mean"},
}
ESTIMATORS, SEEDS, STEPS, EVERY = ("exact", "reinmax"), (0, 1, 2), 100, 5


def collapse(data, steps=STEPS, seeds=SEEDS, progress=lambda runs: runs):
    """Train by each estimator from each start, and look at q every few steps; returns the record.

    data: as `reproduce.grey_mnist` loads it; its validation images are those looked at.
    """
    record = {"command": "python -m dvae_np collapse", "data": str(data), "every": EVERY, "runs": []}
    for start, estimator, seed in progress(list(product(STARTS, ESTIMATORS, seeds))):
        settings = replace(settings_of("8x4", estimator, seed), **STARTS[start])
        training, x = Training(data, settings), data.validation.x
        line = {"start": start, "estimator": estimator, "seed": seed, "entropy": [], "codes": []}
        line["common"] = round(common_share(training.params, x[: settings.batch]), 4)
        for step in range(steps + 1):
            if step % EVERY == 0:
                logits, _ = encoder(training.params["psi"], x)
                line["entropy"].append(round(float(entropy(logits)[0].mean()) / settings.N, 4))
                line["codes"].append(len(np.unique(logits.argmax(-1), axis=0)))
            training.step()
        record["runs"].append(line)
    return record


def common_share(params, x):
    """The share of the exact gradient g (B, N, K) in the logits that all images have in common [Eq. 15.5]."""
    logits, _ = encoder(params["psi"], x)
    g = exact(logits, vae.reconstruction(params["theta"], x)).dlogits
    return float((g.mean(0) ** 2).sum() / (g**2).sum((1, 2)).mean())


def collapse_table(record, markdown=False):
    """Median (and range) over the seeds, for each start and estimator."""
    rows = [("start", "estimator", "common share", "least entropy, nats", "last entropy", "codes, last step")]
    for start, estimator in product(STARTS, ESTIMATORS):
        runs = [run for run in record["runs"] if (run["start"], run["estimator"]) == (start, estimator)]
        measured = (
            ("{:.2f}", [run["common"] for run in runs]),
            ("{:.2f}", [min(run["entropy"]) for run in runs]),
            ("{:.2f}", [run["entropy"][-1] for run in runs]),
            ("{:.0f}", [run["codes"][-1] for run in runs]),
        )
        spread = [f"{form} ({form} to {form})".format(np.median(v), min(v), max(v)) for form, v in measured]
        rows.append((start, estimator, *spread))
    return (markdown_columns if markdown else columns)(rows)
