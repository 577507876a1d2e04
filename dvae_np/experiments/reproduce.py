"""A published table, blind: the MNIST VAE of the ReinMax paper (Liu et al. 2023), by its set-up alone.

Encoder 784-512-256-(N K), decoder (N K)-256-512-784, ReLU; grey pixels in [0, 1] as targets of the cross-entropy, all 60,000
training images; batch 100, 160 epochs; weights start uniform in +-1/sqrt(fan in). The paper's number is the training loss of
the last epoch, with sampled codes. K x N are the paper's "categorical dimensions x latent dimensions".
"""

from dataclasses import replace

import numpy as np

from dvae_np.text import columns, markdown_columns
from dvae_np.train.data import Split, load
from dvae_np.train.settings import Settings

SIZES = {  # K x N: learning rate, temperature and optimiser of ReinMax
    "8x4": (5e-4, 1.3, "adam"),
    "4x24": (5e-4, 1.5, "radam"),
    "8x16": (7e-4, 1.5, "radam"),
    "16x12": (7e-4, 1.5, "radam"),
    "64x8": (5e-4, 1.5, "radam"),
    "10x30": (5e-4, 1.3, "radam"),
}
ESTIMATORS = {  # learning rate and temperature at 8x4, with Adam; the other sizes take them too, as ours to choose
    "reinmax": None,
    "straight_through_gumbel": (3e-4, 0.5),
    "straight_through": (1e-3, 1.3),
    "gumbel_rao": (5e-4, 0.5),
    "gapped_straight_through": (5e-4, 1.0),
    "reinforce_loo": (5e-4, None),  # not in the paper: four samples
    "exact": (5e-4, None),  # nor this: where the joint states allow
}
EPOCHS = 160
MONITORED = 500  # test images that the curve of the discrete ELBO is drawn from


def settings_of(size, estimator, seed, epochs=EPOCHS, first_image="random"):
    """The settings of one run; the first image "mean" is ours. Raises InputError for `exact` and too many joint states."""
    K, N = map(int, size.split("x"))
    lr, tau, optimiser = SIZES[size] if estimator == "reinmax" else (*ESTIMATORS[estimator], "adam")
    return Settings(estimator, N=N, K=K, S=4 if estimator == "reinforce_loo" else 1, hidden=(512, 256), lr=lr,
                    optimiser=optimiser, embedding_scale=(3 * K) ** -0.5, first_image=first_image, batch=100, epochs=epochs,
                    seed=seed, hyper={} if tau is None else {"tau": tau})  # fmt: skip


def grey_mnist(data_dir=None):
    """MNIST as the paper has it: all 60,000 training images, grey; the validation split is a few test images, to look at."""
    data = load("mnist", "grey", data_dir)
    whole = [
        np.concatenate([getattr(split, name) for split in (data.train, data.validation)]) for name in ("x", "labels")
    ]
    few = Split(data.test.x[:MONITORED], data.test.labels[:MONITORED])
    return replace(data, train=Split(*whole), validation=few)


def reproduced_table(records, markdown=False):
    """The records of runs as a table: in the order of the sizes, then of the estimators."""
    rows = [
        ("K x N", "estimator", "seed", "training loss, last epoch", "test negative ELBO", "test log p(x)", "seconds")
    ]
    order = {name: i for i, name in enumerate((*SIZES, *ESTIMATORS))}
    lines = []
    for record in records:
        settings, test = record["settings"], record["test"]
        size, exact = f"{settings['K']}x{settings['N']}", test["log_likelihood"]
        start = ", mean first image" * (settings.get("first_image") == "mean")  # older records do not say: the paper's
        evidence = f"at least {test['bound']:.2f}" if exact is None else f"{exact:.2f}"
        lines.append((size, settings["estimator"] + start, str(settings["seed"]), f"{record['training_loss']:.2f}",
                      f"{test['negative_elbo']:.2f}", evidence, f"{record['seconds']:,.0f}"))  # fmt: skip
    rows += sorted(lines, key=lambda line: (order[line[0]], order[line[1].split(",")[0]], line[1:3]))
    return (markdown_columns if markdown else columns)(rows)
