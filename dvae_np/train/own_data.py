"""Data of your own: arrays made into splits, with what is wrong with them said in words about the data."""

import numpy as np

from dvae_np.arrays import InputError, expect_choice, expect_whole
from dvae_np.train.data import Data, Split, one_hot_labels

KINDS = {
    "binary": "numbers 0 or 1",
    "unit": "numbers in [0, 1]",
    "real": "real numbers",
    "counts": "counts 0, 1, 2, ...",
    "categories": "columns of categories",
    "symbols": "rows of symbols of one alphabet",
}
PIXELS = {
    "binary": "unit",
    "unit": "unit",
    "real": "real",
    "counts": "counts",
    "categories": "columns",
    "symbols": "columns",
}
PARTS = ("train", "validation", "test")
LARGEST = 1e6  # of a number: an observation model that starts near 0 finds nothing larger
MISSING = ("", "?", "NA", "nan")


def dataset(
    x, kind, *, labels=None, c=None, context=None, split=(0.7, 0.15, 0.15), seed=0, name="data", dtype=np.float32
):
    """Your own data, as `fit` and all that comes after it take them.

    x:       rows (n, D), or images (n, H, W): numbers, or, for categories and symbols, whole numbers or words; for symbols also
             n texts of one length. kind: one of `KINDS`: what the numbers are, which says which observation models fit.
    labels:  (n,) classes of any kind, or None. c: (n, C) numbers, a context of each row, or None; context="labels" makes it of
             the labels, one-hot.
    split:   shares of train, validation and test, drawn with the seed; or (n,) words "train", "validation", "test".

    An empty field of a categorical column ("", "?", "NA", nan) is missing: it adds nothing to the likelihood.
    Raises InputError for what does not fit, naming the row and what was expected.
    """
    expect_choice("kind", kind, KINDS)
    expect_whole("seed", seed)
    x, shape = rows_of(x)
    n = len(x)
    columns, words = (), ()
    if kind in ("categories", "symbols"):
        x, words = one_hot_columns(x, shared=kind == "symbols")
        columns = tuple(len(each) for each in words)
        shape = (1, x.shape[1]) if len(set(columns)) > 1 else (len(columns), columns[0])
    else:
        x = numbers_of(x, kind)
    if labels is not None:
        labels, classes = _classes(labels, n)
    else:
        labels, classes = np.zeros((n, 0)), ()
    if context is not None:
        if context != "labels" or c is not None or not len(classes):
            raise InputError(
                f"context: expected labels, of data that have some, and no other context c; got {context!r}"
            )
        c = one_hot_labels(labels, len(classes))
    if c is not None:
        c = np.asarray(c, dtype)
        if c.ndim != 2 or len(c) != n or not np.isfinite(c).all():
            raise InputError(f"c: expected finite numbers (n, C) for n = {n} rows, got shape {c.shape}")
    chosen = _splits(split, n, seed)
    parts = [Split(x[rows].astype(dtype), labels[rows], None if c is None else c[rows]) for rows in chosen]
    white = float(max(1, x.max())) if kind == "counts" else 1
    return Data(name, shape, KINDS[kind], *parts, pixels=PIXELS[kind], white=white, columns=columns, words=words,
                classes=tuple(map(str, classes)), source={"name": name, "given": "as arrays, in Python"})  # fmt: skip


def one_hot_columns(x, shared=False, words=None):
    """Values (n, D) as one-hots side by side (n, W), and the words of each column.

    shared: symbols, of one alphabet for all columns, none missing, the space among them. words: those that are known already.
    """
    text = np.array([[str(value) if shared else str(value).strip() for value in row] for row in x], object)
    missing = np.zeros(text.shape, bool) if shared else np.isin(text, MISSING)
    if words is None:
        alphabet = sorted(set(text.ravel())) if shared else None
        words = [alphabet or sorted(set(text[~missing[:, d], d])) for d in range(text.shape[1])]
    if len(words) != text.shape[1]:
        raise InputError(f"x: expected {len(words)} columns, got {text.shape[1]}")
    for d, known in enumerate(words):
        if not known:
            raise InputError(f"x: column {d + 1} has no values, all {len(x)} are missing")
        if unknown := sorted(set(text[~missing[:, d], d]) - set(known)):
            raise InputError(f"x: column {d + 1} has the categories {', '.join(known[:9])}, got {unknown[0]!r}")
    hot = [text[:, [d]] == np.array(known, object) for d, known in enumerate(words)]
    return np.concatenate(hot, 1).astype(float), tuple(map(tuple, words))


def rows_of(x):
    """x as (n, D), and the shape of a row."""
    if not isinstance(x, np.ndarray) and len(x) and all(isinstance(row, str) for row in x):
        if len({len(row) for row in x}) > 1:
            lengths = sorted({len(row) for row in x})
            raise InputError(f"x: expected texts of one length, got {lengths[0]} to {lengths[-1]} characters")
        x = [list(row) for row in x]
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise InputError(f"x: expected rows of one length ({error})") from error
    if x.ndim not in (2, 3) or not x.size:
        raise InputError(f"x: expected rows (n, D) or images (n, H, W), got shape {x.shape}")
    return x.reshape(len(x), -1), (x.shape[1:] if x.ndim == 3 else (1, x.shape[1]))


def numbers_of(x, kind):
    """x as numbers of that kind; whole images 0..255 are divided by 255 where [0, 1] is asked for."""
    if x.dtype.kind not in "biuf":
        raise InputError(
            f"x: expected {KINDS[kind]}, got {x.dtype}: for words there are the kinds categories and symbols"
        )
    x = x / 255 if x.dtype == np.uint8 and kind == "unit" else x.astype(float)
    fits = {"binary": (x == 0) | (x == 1), "unit": (x >= 0) & (x <= 1), "real": np.isfinite(x),
            "counts": (x >= 0) & (x == np.rint(x)) & np.isfinite(x)}[kind]  # fmt: skip
    if kind in ("real", "counts") and fits.all():
        fits = abs(x) <= LARGEST
        spread = abs(x - x.astype(np.float32)).max(0) > 1e-3 * x.std(0)
        if fits.all() and (spread & (x.std(0) > 0)).any():
            column = int(np.argmax(spread)) + 1
            raise InputError(f"x: column {column} varies too little for numbers as large in float32; subtract its mean")
        if not fits.all():
            raise InputError(f"x: expected numbers up to {LARGEST:g}, got {abs(x).max():g}; divide them by a scale")
    if not fits.all():
        row, column = np.argwhere(~fits)[0]
        raise InputError(f"x: expected {KINDS[kind]}, got {x[row, column]:g} in row {row + 1}, column {column + 1}")
    return x


def _classes(labels, n):
    """Classes as numbers (n,), and their names in order."""
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise InputError(f"labels: expected one for each of {n} rows, got shape {labels.shape}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise InputError("labels: expected a class for each row, got nan or infinity")
    if labels.dtype.kind in "UO" and (empty := np.isin(labels.astype(str), MISSING)).any():
        raise InputError(f"labels: expected a class for each row, got none in row {int(np.argmax(empty)) + 1}")
    classes, places = np.unique(labels, return_inverse=True)
    return places, classes


def _splits(split, n, seed):
    """The rows of train, validation and test."""
    if len(split) == 3 and not any(isinstance(share, str) for share in split):
        shares = np.array(split, float)
        if not ((shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
            raise InputError(f"split: expected three shares above 0 that add up to 1, got {tuple(split)}")
        ends = np.rint(np.cumsum(shares)[:2] * n).astype(int)
        chosen = np.split(np.random.default_rng(seed).permutation(n), ends)
    else:
        names = np.asarray(split).astype(str)
        if names.shape != (n,) or not np.isin(names, PARTS).all():
            raise InputError(
                f"split: expected {', '.join(PARTS)} for each of {n} rows, got {', '.join(sorted(set(names.ravel()))[:5])}"
            )
        chosen = [np.flatnonzero(names == part) for part in PARTS]
    for part, rows in zip(PARTS, chosen, strict=True):
        if not len(rows):
            raise InputError(f"split: no row of {n} is left for {part}")
    return chosen
