"""Data sets: `digits` (shipped with the package), `bars` (generated), `mnist` (read from files or downloaded).

Images are rows (n, D), in [0, 1] or counts. How grey pixels became the targets is part of the data set, as it changes
likelihoods by nats. The task is to model whole images, or the lower half of each given its upper half.
"""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files

import numpy as np

from dvae_np.arrays import InputError, expect_choice, expect_whole
from dvae_np.train.mnist import read_mnist

BINARISATIONS = {
    "threshold": "pixels thresholded at 0.5",
    "stochastic": "pixels drawn once with their grey value as probability",
    "dynamic": "pixels drawn with their grey value as probability, in training anew for each batch",
    "grey": "grey pixels in [0, 1] as targets",
    "levels": "pixels of {levels} grey levels",
    "counts": "grey pixels as counts",
}
NAMES, TASKS = ("digits", "bars", "mnist"), ("images", "completion")
FLIP = 0.05  # the probability that a pixel of `bars` is flipped


@dataclass(frozen=True)
class Split:
    """Images (n, D), and what they show: (n,) classes, or (n, N) latents where those are known."""

    x: np.ndarray
    labels: np.ndarray
    c: np.ndarray | None = None  # (n, C) the context of each


@dataclass(frozen=True)
class Data:
    """One data set in its three disjoint splits."""

    name: str
    shape: tuple  # (height, width) of x
    binarisation: str  # in words
    train: Split
    validation: Split
    test: Split
    pixels: str = "unit"  # in [0, 1]; or "levels" v / (levels - 1), or "counts": the observation models that fit say so
    levels: int = 1  # grey levels of a pixel, of "levels"
    white: int = 1  # the largest value of a pixel, of "counts"
    dynamic: bool = False  # are the training images grey, to be drawn anew for each batch?
    context_shape: tuple | None = None  # where the context is an image
    columns: tuple = ()  # of "columns": the number of categories of each
    words: tuple = ()  # and what they are called
    classes: tuple = ()  # what the labels' numbers stand for
    source: dict = field(default_factory=dict)  # the arguments of `load` that give the same again

    def __str__(self):
        sizes = ", ".join(f"{len(getattr(self, part).x):,} {part}" for part in ("train", "validation", "test"))
        images = f"images of {self.shape[0]}x{self.shape[1]}" if self.shape[0] > 1 else f"rows of {self.shape[1]}"
        if self.columns:
            images = f"rows of {len(self.columns)} columns with {min(self.columns)} to {max(self.columns)} categories"
        if self.context_shape:
            images = f"lower halves of {self.shape[0]}x{self.shape[1]}, given the grey upper halves"
        elif self.conditional:
            images += f", given {self.train.c.shape[1]} numbers each"
        return f"{self.name}: {sizes} {images}, {self.binarisation}"

    @property
    def conditional(self):
        """Does each row come with a context?"""
        return self.train.c is not None

    def fingerprint(self, part="train"):
        """The SHA-256 of one split's images and contexts, and of what became of grey: are two data sets the same?"""
        split, digest = getattr(self, part), hashlib.sha256(self.binarisation.encode())
        for array in (split.x, split.c):
            digest.update(b"" if array is None else np.ascontiguousarray(array))
        return digest.hexdigest()


def one_hot_labels(labels, count):
    """Classes (n,) as one-hot rows (n, count)."""
    return np.eye(count)[labels]


def load(name, binarisation="threshold", data_dir=None, dtype=np.float32, *, task="images", levels=8, context=None):
    """A data set by name.

    name:         "digits", "bars" or "mnist".
    binarisation: one of `BINARISATIONS`; `levels`, at least 2, for the last of them.
    data_dir:     the folder of the MNIST files; without it DVAE_NP_DATA, then a cache that is filled by downloading.
    task:         "images"; or "completion": x is the lower half of each image, its context c the grey upper half.
    context:      "labels": the context of a whole image is its class, one-hot.

    Raises InputError for unknown names and for files that are missing, truncated or not what they should be.
    """
    expect_choice("data", name, NAMES)
    expect_choice("binarisation", binarisation, BINARISATIONS)
    expect_choice("task", task, TASKS)
    expect_whole("levels", levels, 2, 256)
    if context is not None and (context != "labels" or task != "images" or name == "bars"):
        raise InputError(
            f"context: expected labels, for whole images of digits or mnist, got {context!r}, {name}, {task}"
        )
    if name == "bars":
        if binarisation != "threshold" or task != "images":
            raise InputError(f"binarisation: bars are binary, whole images, got {binarisation}, {task}")
        return bars(dtype=dtype)
    if name == "digits":
        with np.load(files("dvae_np") / "train" / "digits.npz") as archive:
            grey, labels, white = archive["images"] / 16, archive["labels"], 16
        # Every seventh image is for testing, the next one for validation: neighbours are by the same writer, and 7
        # has no factor in common with the file's cycle of ten digits.
        rest = np.arange(len(grey)) % 7
        parts = [(grey[chosen], labels[chosen]) for chosen in (rest > 1, rest == 1, rest == 0)]
    else:
        ((images, labels), test), white = read_mnist(data_dir), 255
        parts = [
            (images[:-5000] / 255, labels[:-5000]),
            (images[-5000:] / 255, labels[-5000:]),
            (test[0] / 255, test[1]),
        ]
    height, width = parts[0][0].shape[1:]
    if task == "completion" and height < 2:
        raise InputError(f"task: a completion needs images of two rows or more, got images of {height}x{width}")
    upper = height // 2 if task == "completion" else 0
    splits = []
    for i, (grey, labels) in enumerate(parts):
        kept = grey if binarisation == "dynamic" and i == 0 else _targets(grey, binarisation, levels, white, i)
        c = grey[:, :upper].reshape(len(grey), -1).astype(dtype) if upper else None
        c = one_hot_labels(labels, 10).astype(dtype) if context else c
        splits.append(Split(kept[:, upper:].reshape(len(grey), -1).astype(dtype), labels, c))
    return Data(
        name, (height - upper, width), BINARISATIONS[binarisation].format(levels=levels), *splits,
        pixels=binarisation if binarisation in ("levels", "counts") else "unit",
        levels=levels if binarisation == "levels" else 1, white=white if binarisation == "counts" else 1,
        dynamic=binarisation == "dynamic",
        context_shape=(upper, width) if upper else None,
        classes=tuple(map(str, range(10))),
        source={"name": name, "binarisation": binarisation, "task": task, "levels": levels}
        | ({"context": context} if context else {}),
    )  # fmt: skip


def _targets(grey, binarisation, levels, white, seed):
    """Grey images as targets; what is drawn here is drawn once, the same whenever the data are loaded."""
    if binarisation == "threshold":
        return grey >= 0.5
    if binarisation == "levels":
        return np.rint(grey * (levels - 1)) / (levels - 1)
    if binarisation == "counts":
        return np.rint(grey * white)
    return grey if binarisation == "grey" else np.random.default_rng(seed).random(grey.shape) < grey


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
    return Data("bars", (side, side), words, *splits, source={"name": "bars"})


def bars_log_likelihood(x):
    """log p(x) of images x (n, D) under the law that made `bars`, in nats: (n,). No model does better on average [Eq. 4.5]."""
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
