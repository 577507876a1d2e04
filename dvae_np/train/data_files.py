"""Files of your own data: what they hold, which kind their values look like, and the splits or rows that are made of them."""

import csv
import hashlib
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.train.data import Data, Split, one_hot_labels
from dvae_np.train.own_data import KINDS, MISSING, dataset, numbers_of, one_hot_columns, rows_of


def read_dataset(path, kind=None, *, labels=None, context=None, split=(0.7, 0.15, 0.15), seed=0):
    """A `dataset` from a file: .npy (an array), .npz (x; labels, c and split where it has them) or .csv (a header, then rows).

    labels: the name of the array, or of the column, that has the classes ("labels", where there is one). kind: without it, what
    the values look like. Raises InputError for files that cannot be read.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise InputError(f"data: expected a file {', '.join(READERS)}, got {path.name}")
    try:
        found = READERS[path.suffix](path, labels)
    except OSError as error:
        raise InputError(f"data: {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise error if isinstance(error, InputError) else InputError(f"data: {path}: {error}") from error
    found["x"], kind = _of_kind(found["x"], kind)
    found = {"split": split} | found
    data = dataset(found.pop("x"), kind, **found, context=context, seed=seed, name=path.stem)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = {"name": "file", "path": str(path.resolve()), "kind": kind, "labels": labels, "context": context,
              "split": list(split), "seed": seed, "sha256": digest}  # fmt: skip
    return Data(**vars(data) | {"source": source})


def rows_like(data, path, labels=None):
    """All rows of a file as a `Split` like those of this data: its categories, its classes, its width, its context.

    Raises InputError for rows that are not of that kind, and for categories and classes that the data do not have.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise InputError(f"FILE: expected a file {', '.join(READERS)}, got {path.name}")
    try:
        found = READERS[path.suffix](path, labels or data.source.get("labels"))
    except (OSError, ValueError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise error if isinstance(error, InputError) else InputError(f"FILE: {path}: {error}") from error
    kind = data.source.get("kind", {"real": "real", "counts": "counts"}.get(data.pixels, "unit"))
    x, _ = _of_kind(found["x"], kind)
    x, _ = rows_of(x)
    if data.columns:
        x, _ = one_hot_columns(x, kind == "symbols", data.words)
    else:
        x = numbers_of(x, kind)
    if x.shape[1] != data.train.x.shape[1]:
        raise InputError(f"FILE: expected rows of {data.train.x.shape[1]} numbers, as the run's, got {x.shape[1]}")
    classes = None
    if found.get("labels") is not None and data.classes:
        named = np.asarray(found["labels"]).astype(str)
        if unknown := sorted(set(named) - set(data.classes)):
            raise InputError(f"labels: expected the classes {', '.join(data.classes)}, got {', '.join(unknown[:5])}")
        classes = np.searchsorted(np.array(data.classes), named, sorter=np.argsort(data.classes))
        classes = np.argsort(data.classes)[classes]
    if data.conditional and (classes is None or data.context_shape or data.source.get("context") != "labels"):
        raise InputError(
            "FILE: the model needs a context for each row; only classes, with --context labels, can be read here"
        )
    c = one_hot_labels(classes, len(data.classes)).astype(data.train.x.dtype) if data.conditional else None
    return Split(x.astype(data.train.x.dtype), np.zeros((len(x), 0)) if classes is None else classes, c)


def _of_kind(x, kind):
    """Values as text where they are categories or symbols, else as numbers if they are; and the kind, looked for if None."""
    if not (isinstance(x, np.ndarray) and x.dtype == object):
        return x, kind or _kind_of(x)
    there = ~np.isin(x, MISSING)
    try:
        numbers = x[there].astype(float)
    except ValueError:
        return x, kind or "categories"
    if kind is None and not there.all():
        if (numbers != np.rint(numbers)).any():
            raise InputError("x: numbers, and fields that are missing: fill them, or say --kind categories")
        kind = "categories"
    if kind in ("categories", "symbols"):
        return x, kind
    if not there.all():
        row, column = np.argwhere(~there)[0]
        raise InputError(f"x: expected {KINDS[kind]}, got nothing in row {row + 1}, column {column + 1}")
    return x.astype(float), kind or _kind_of(x.astype(float))


def _kind_of(x):
    """The kind that values look like: the narrowest that holds all of them."""
    x = np.asarray(x)
    if x.dtype.kind not in "biufUSO":
        raise InputError(f"x: expected numbers or words, got {x.dtype}")
    if x.dtype.kind not in "biuf":
        return "categories" if x.ndim == 2 else "symbols"
    if x.dtype == np.uint8 and x.max() > 1:
        if x.max() < 64:
            raise InputError(
                f"x: bytes up to {x.max()}: counts, or grey values of 255? say --kind counts or --kind unit"
            )
        return "unit"
    if x.dtype.kind in "iu" and x.min() >= 0 and x.max() > 1:
        return "counts"
    if not np.isfinite(x).all():
        return "categories" if (np.isnan(x) | (x == np.rint(x))).all() else "real"
    return "binary" if np.isin(x, (0, 1)).all() else "unit" if x.min() >= 0 and x.max() <= 1 else "real"


def _loaded(path):
    """What NumPy's file holds, in its words' place ours, which advise nothing unsafe."""
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"data: {path.name}: expected arrays of numbers or text, as numpy.save writes them") from error


def _read_npy(path, labels):
    if labels is not None:
        raise InputError(f"labels: {path.name} is one array and has no other, named {labels!r}")
    return {"x": _loaded(path)}


def _read_npz(path, labels):
    archive = _loaded(path)
    if isinstance(archive, np.ndarray):
        raise InputError(f"data: {path.name}: expected an archive of arrays, as numpy.savez writes it, got one array")
    with archive:
        found = {name: archive[name] for name in archive.files}
    name = labels or "labels"
    if "x" not in found or (labels and labels not in found):
        raise InputError(
            f"data: {path.name}: expected arrays x{f' and {labels}' * bool(labels)}, got {', '.join(found)}"
        )
    named = {"x": found["x"], "labels": found.get(name), "c": found.get("c")}
    return named | ({"split": found["split"]} if "split" in found else {})


def _read_csv(path, labels):
    with path.open(newline="", encoding="utf-8") as file:
        lines = [row for row in csv.reader(file, skipinitialspace=True) if row]
    if len(lines) < 2:
        raise InputError(f"data: {path.name}: expected a header and rows, got {len(lines)} lines")
    header, rows = [name.strip() for name in lines[0]], lines[1:]
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"data: {path.name}: expected fields with commas between them, got semicolons")
    name = labels or "labels"
    if labels and labels not in header:
        raise InputError(f"labels: {path.name} has the columns {', '.join(header)}, got {labels!r}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(f"data: {path.name}: line {number} has {len(row)} fields, the header {len(header)}")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    classes = columns.pop(name, None)
    split = columns.pop("split", None)
    if len(set(header)) < len(header):
        raise InputError(f"data: {path.name}: expected columns of different names, got {', '.join(header)}")
    found = {"x": np.array(list(columns.values()), object).T, "labels": None if classes is None else np.array(classes)}
    return found | ({"split": split} if split else {})


READERS = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}
