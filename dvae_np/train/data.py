"""Data sets: `digits` (shipped with the package), `bars` (generated), `mnist` (read from files or downloaded).

Images are rows (n, D) in [0, 1]. How grey pixels became the targets is part of the data set's name, as it changes
likelihoods by nats.
"""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.train.mnist import read_mnist

BINARISATIONS = {"threshold": "pixels thresholded at 0.5", "grey": "grey pixels in [0, 1] as targets (cross-entropy)"}
FLIP = 0.05  # the probability that a pixel of `bars` is flipped


@dataclass(frozen=True)
class Split:
    """Images (n, D) in [0, 1], and what they show: (n,) classes, or (n, N) latents where those are known."""

    x: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Data:
    """One data set in its three disjoint splits."""

    name: str
    shape: tuple  # (height, width)
    binarisation: str  # in words
    train: Split
    validation: Split
    test: Split

    def __str__(self):
        sizes = ", ".join(f"{len(getattr(self, part).x):,} {part}" for part in ("train", "validation", "test"))
        return f"{self.name}: {sizes} images of {self.shape[0]}x{self.shape[1]}, {self.binarisation}"


def load(name, binarisation="threshold", data_dir=None, dtype=np.float32):
    """A data set by name.

    name:         "digits", "bars" or "mnist".
    binarisation: "threshold" or "grey".
    data_dir:     the folder of the MNIST files; without it DVAE_NP_DATA, then a cache that is filled by downloading.

    Raises InputError for unknown names and for files that are missing, truncated or not what they should be.
    """
    if binarisation not in BINARISATIONS:
        raise InputError(f"binarisation: expected one of {', '.join(BINARISATIONS)}, got {binarisation!r}")
    if name == "bars":
        return bars(dtype=dtype)
    if name == "digits":
        with np.load(files("dvae_np") / "train" / "digits.npz") as archive:
            grey, labels = archive["images"] / 16, archive["labels"]
        # Every seventh image is for testing, the next one for validation: neighbours are by the same writer, and 7
        # has no factor in common with the file's cycle of ten digits.
        rest = np.arange(len(grey)) % 7
        parts = [(grey[chosen], labels[chosen]) for chosen in (rest > 1, rest == 1, rest == 0)]
    elif name == "mnist":
        (images, labels), test = read_mnist(data_dir)
        parts = [
            (images[:-5000] / 255, labels[:-5000]),
            (images[-5000:] / 255, labels[-5000:]),
            (test[0] / 255, test[1]),
        ]
    else:
        raise InputError(f"data: expected digits, bars or mnist, got {name!r}")
    shape = parts[0][0].shape[1:]
    splits = [Split(_targets(grey, binarisation, dtype), labels) for grey, labels in parts]
    return Data(name, shape, BINARISATIONS[binarisation], *splits)


def _targets(grey, binarisation, dtype):
    rows = grey.reshape(len(grey), -1)
    return (rows >= 0.5 if binarisation == "threshold" else rows).astype(dtype)


def bars(side=5, sizes=(2000, 500, 500), seed=0, dtype=np.float32):
    """Images of one horizontal and one vertical bar, each of `side` places, with 5 % of the pixels flipped.

    Two latents of K = side categories made them, and are the labels (n, 2); the splits are independent draws. The best
    possible log-likelihood is known: `bars_log_likelihood`.
    """
    rng = np.random.default_rng(seed)
    splits = []
    for n in sizes:
        z = (rng.random((n, 2)) * side).astype(int)
        flipped = rng.random((n, side * side)) < FLIP
        splits.append(Split((_crossed_bars(z, side) ^ flipped).astype(dtype), z))
    words = f"binary pixels, generated, {FLIP:.0%} of them flipped"
    return Data("bars", (side, side), words, *splits)


def bars_log_likelihood(x):
    """log p(x) under the law that generated `bars`, in nats: (n,). No model can do better on average [Eq. 4.4]."""
    side = int(x.shape[1] ** 0.5)
    z = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    flips = (x[:, None] != _crossed_bars(z, side)).sum(-1)  # (n, side^2)
    likelihood = FLIP**flips * (1 - FLIP) ** (side * side - flips)
    return np.log(likelihood.mean(1))


def _crossed_bars(z, side):
    """The clean images (n, side * side) of row z_1 and column z_2."""
    place = np.arange(side)
    rows, columns = place == z[:, [0]], place == z[:, [1]]  # (n, side)
    return (rows[:, :, None] | columns[:, None, :]).reshape(len(z), -1)
