"""All images onto one code: the first steps on MNIST, and what the decoder's start does to them.

A fresh decoder paints grey noise. Whichever code makes it darker is better for every image, so the encoder's gradient is
nearly the same for all, and Adam follows it in strides. Where q is certain of one code, every gradient through the softmax is
next to zero.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from dvae_np import vae
from dvae_np.categorical import entropy
from dvae_np.estimators.exact import exact
from dvae_np.experiments.reproduce import settings_of
from dvae_np.networks import encoder
from dvae_np.text import columns, markdown_columns
from dvae_np.train import Settings, Training, usage

STARTS = {  # settings of a run, from those of the published set-up and of `train` with N=2, K=8
    "as published": lambda published, own: published,
    "larger rows": lambda published, own: replace(published, embedding_scale=1.0),
    "mean image": lambda published, own: replace(published, first_image="mean"),
    "train, random image": lambda published, own: replace(own, first_image="random"),
    "train": lambda published, own: own,
}
ESTIMATORS, SEEDS, STEPS, EVERY = ("exact", "reinmax"), (0, 1, 2), 100, 5


def first_steps(data, steps=STEPS, seeds=SEEDS, progress=lambda runs: runs):
    """Train by each estimator from each start, and look at q every few steps; returns the record.

    data: as `reproduce.grey_mnist` loads it; its validation images are those looked at. Entropy and information are nats,
    means over the latents; the first gradient is that of one batch of them.
    """
    record = {"command": "python -m dvae_np collapse", "data": str(data), "every": EVERY, "runs": []}
    for start, estimator, seed in progress(list(product(STARTS, ESTIMATORS, seeds))):
        settings = STARTS[start](settings_of("8x4", estimator, seed), Settings(estimator, N=2, K=8, seed=seed))
        training, x = Training(data, settings), data.validation.x
        line = {"start": start, "estimator": estimator, "seed": seed, "entropy": [], "information": [], "codes": []}
        line["common"], line["norm"] = (round(each, 4) for each in first_gradient(training.params, x[: settings.batch]))
        for step in range(steps + 1):
            if step % EVERY == 0:
                logits, _ = encoder(training.params["psi"], x)
                line["entropy"].append(round(float(entropy(logits)[0].mean()) / settings.N, 4))
                line["information"].append(round(float(usage(training.params, x).information.mean()), 4))
                line["codes"].append(len(np.unique(logits.argmax(-1), axis=0)))
            training.step()
        record["runs"].append(line)
    return record


def first_gradient(params, x):
    """Of the exact gradients g (B, N, K) in the logits: the share that all images have in common [Eq. 19.3], |mean g|."""
    logits, _ = encoder(params["psi"], x)
    g = exact(logits, vae.reconstruction(params["theta"], x)).dlogits
    common = (g.mean(0) ** 2).sum()
    return float(common / (g**2).sum((1, 2)).mean()), float(common**0.5)


def first_steps_table(record, markdown=False):
    """Median (and range) over the seeds, for each start and estimator."""
    rows = [("start", "estimator", "c", "|mean g|", "least entropy", "information", "codes")]
    for start, estimator in product(STARTS, ESTIMATORS):
        runs = [run for run in record["runs"] if (run["start"], run["estimator"]) == (start, estimator)]
        measured = (
            ("{:.2f}", [run["common"] for run in runs]),
            ("{:.2f}", [run["norm"] for run in runs]),
            ("{:.2f}", [min(run["entropy"]) for run in runs]),
            ("{:.2f}", [run["information"][-1] for run in runs]),
            ("{:.0f}", [run["codes"][-1] for run in runs]),
        )
        spread = [f"{form} ({form}-{form})".format(np.median(v), min(v), max(v)) for form, v in measured]
        rows.append((start, estimator, *spread))
    return (markdown_columns if markdown else columns)(rows)
