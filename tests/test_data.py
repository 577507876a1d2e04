"""Data: splits that do not overlap, files that are not what they should be, downloads that cannot be trusted."""

import errno
import gzip
import hashlib
import http.server
import os
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dvae_np.arrays import InputError
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.train import bars, bars_log_likelihood, load, mnist
from dvae_np.train import data as data_sets
from dvae_np.train.data import BINARISATIONS

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"  # beside the checkout
MNIST = Path(os.environ.get("DVAE_NP_DATA", BESIDE))
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="no MNIST files: name their folder in DVAE_NP_DATA")
FILES = tuple(mnist.SHA256)


@cache
def some_of_mnist(data_dir):
    """Its first 9,000 images for training and validation, and 2,000 for testing; the whole takes a second each time."""
    return tuple((images[:n], labels[:n])
                 for (images, labels), n in zip(data_sets.read_mnist(data_dir), (9_000, 2_000), strict=True))  # fmt: skip


def rows(*splits):
    """Every image as bytes, over all the given splits."""
    return [image.tobytes() for split in splits for image in split.x]


@pytest.mark.parametrize("name", ["digits", pytest.param("mnist", marks=needs_mnist)])
def test_splits_are_disjoint_and_complete(name):
    """On grey images, of which no two are alike across splits (thresholded, different images can become equal)."""
    data = load(name, "grey", MNIST if name == "mnist" else None)
    train, validation, test = (set(rows(split)) for split in (data.train, data.validation, data.test))
    assert not train & validation and not train & test and not validation & test
    sizes = [len(split.x) for split in (data.train, data.validation, data.test)]
    assert sizes == {"digits": [1283, 257, 257], "mnist": [55_000, 5_000, 10_000]}[name]
    assert all(len(split.x) == len(split.labels) for split in (data.train, data.validation, data.test))
    assert all(set(split.labels.tolist()) == set(range(10)) for split in (data.train, data.validation, data.test))


def test_digits_are_those_of_the_uci_set():
    data = load("digits", "grey", dtype=np.float64)
    every = np.concatenate([data.train.x, data.validation.x, data.test.x])
    assert every.shape == (1797, 64) and len(set(rows(data.train, data.validation, data.test))) == 1797
    np.testing.assert_array_equal(every * 16, np.round(every * 16))  # integers 0 to 16
    assert (every.min(), every.max()) == (0, 1)
    np.testing.assert_array_equal(data.test.labels[:3], [0, 7, 4])  # images 0, 7, 14 of the file
    assert data.test.x[0].reshape(8, 8)[0].tolist() == [0, 0, 5 / 16, 13 / 16, 9 / 16, 1 / 16, 0, 0]


@pytest.mark.parametrize("name", ["digits", pytest.param("mnist", marks=needs_mnist)])
@pytest.mark.parametrize("binarisation", BINARISATIONS)
def test_targets_are_what_their_name_says(name, binarisation, monkeypatch):
    kept = some_of_mnist(MNIST) if name == "mnist" else None
    monkeypatch.setattr(
        data_sets, "read_mnist", lambda data_dir: kept
    )  # how files are read is tested below, the sizes above
    data, grey = load(name, binarisation, MNIST if name == "mnist" else None), load(name, "grey", MNIST)
    for part in ("train", "validation", "test"):
        x, means = getattr(data, part).x, getattr(grey, part).x
        assert x.dtype == np.float32 and np.isfinite(x).all() and x.shape[1] == np.prod(data.shape)
        assert x.min() == 0 and x.max() == data.white
        drawn_later = binarisation == "dynamic" and part == "train"
        if binarisation == "grey" or drawn_later:
            np.testing.assert_array_equal(x, means)
        elif binarisation == "counts":  # the whole numbers of which grey is the share, 16 of digits and 255 of MNIST
            np.testing.assert_array_equal(x, np.rint(x))
            np.testing.assert_allclose(x / data.white, means, rtol=1e-6)
        elif binarisation == "levels":
            assert len(np.unique(x)) == data.levels == 8 and abs(x - means).max() <= 0.5 / 7 + 1e-6
        else:
            assert np.isin(x, (0, 1)).all()
        if binarisation in ("stochastic", "dynamic") and not drawn_later:  # five standard errors of the mean pixel
            assert abs((x - means).mean()) < 5 * ((means * (1 - means)).mean() / x.size) ** 0.5
            assert (x[means == 1] == 1).all() and (x[means == 0] == 0).all()
    assert data.dynamic == (binarisation == "dynamic")
    assert data.pixels == {"levels": "levels", "counts": "counts"}.get(binarisation, "unit")
    assert data.white == ({"digits": 16, "mnist": 255}[name] if binarisation == "counts" else 1)
    assert data.pixels in {row.pixels for row in LIKELIHOODS.values()}  # there is an observation model for them
    assert data.fingerprint() == load(**data.source, data_dir=MNIST).fingerprint()
    assert (data.fingerprint() == grey.fingerprint()) == (binarisation == "grey")
    assert data.binarisation in str(data) and f"{len(data.train.x):,} train" in str(data)


def test_bars_are_binary():
    data = bars()
    assert all(np.isin(split.x, (0, 1)).all() for split in (data.train, data.validation, data.test))
    assert "5% of them flipped" in str(data) and load(**data.source).fingerprint() == data.fingerprint()


def test_a_completion_is_the_lower_half_given_the_grey_upper_half():
    whole, grey, halves = load("digits"), load("digits", "grey"), load("digits", task="completion")
    assert halves.shape == halves.context_shape == (4, 8) and "lower halves of 4x8" in str(halves)
    for part in ("train", "validation", "test"):
        split = getattr(halves, part)
        np.testing.assert_array_equal(split.x, getattr(whole, part).x[:, 32:])
        np.testing.assert_array_equal(split.c, getattr(grey, part).x[:, :32])


def test_bars_know_their_latents_and_their_likelihood():
    """Without flips the image is the union of its two bars; the law's probabilities sum to one over all 2^9 images."""
    data = bars(side=3)
    clean = np.zeros((3, 3))
    z = data.train.labels[0]
    clean[z[0]], clean[:, z[1]] = 1, 1
    assert (data.train.x[0].reshape(3, 3) != clean).sum() <= 3
    flips = (data.train.x.reshape(-1, 3, 3) != np.stack([_union(z) for z in data.train.labels])).mean()
    assert flips == pytest.approx(0.05, abs=5 * (0.05 * 0.95 / data.train.x.size) ** 0.5)
    every = ((np.arange(512)[:, None] >> np.arange(9)) & 1).astype(float)
    assert np.exp(bars_log_likelihood(every)).sum() == pytest.approx(1, rel=1e-12)
    assert rows(bars().train) == rows(bars().train)


def _union(z):
    image = np.zeros((3, 3))
    image[z[0]], image[:, z[1]] = 1, 1
    return image


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="data: expected one of digits, bars, mnist, got 'cifar'"):
        load("cifar")
    with pytest.raises(InputError, match=r"binarisation: expected one of threshold, .*, got 'half'"):
        load("digits", "half")
    with pytest.raises(InputError, match="task: expected one of images, completion, got 'halves'"):
        load("digits", task="halves")
    with pytest.raises(InputError, match="levels: expected at least 2, a whole number, got 1"):
        load("digits", "levels", levels=1)
    for wrong in ({"binarisation": "grey"}, {"task": "completion"}):
        with pytest.raises(InputError, match="binarisation: bars are binary, whole images"):
            load("bars", **wrong)


def idx(array, gz=True):
    """An array of bytes as the content of an IDX file."""
    content = b"\x00\x00\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    return gzip.compress(content, 1) if gz else content


def folder_of(path, n=5003, change=None, named=lambda name: name + ".gz", gz=True):
    """A small data set in MNIST's format; `named` gives the files' names, `change` maps names to other contents."""
    rng = np.random.default_rng(0)
    for part, count in (("train", n), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 4, 3), np.uint8), rng.integers(0, 10, count, np.uint8)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            (path / named(name)).write_bytes(idx(array, gz))
    for name, content in (change or {}).items():
        (path / name).write_bytes(content)
    return path


NAMES = {
    "as published": lambda name: name + ".gz",
    "unpacked": lambda name: name,
    "with a dot": lambda name: name.replace("-idx", ".idx"),
    "with a dot, packed": lambda name: name.replace("-idx", ".idx") + ".gz",
}


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("names", NAMES)
def test_idx_files_are_read_under_all_their_names_and_by_their_content(tmp_path, monkeypatch, names, gz):
    """Whether a file is gzipped is told by its first bytes: with .gz and without it may be either."""
    folder_of(tmp_path, named=NAMES[names], gz=gz)
    data = load("mnist", data_dir=tmp_path)
    sizes = [len(split.x) for split in (data.train, data.validation, data.test)]
    assert sizes == [3, 5000, 20] and data.shape == (4, 3)
    monkeypatch.setenv("DVAE_NP_DATA", str(tmp_path))
    assert rows(load("mnist").test) == rows(data.test)


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_may_not_be_read_is_said_to_be_that(tmp_path, monkeypatch, file):
    """Not truncated, not corrupt, and not missing."""
    folder_of(tmp_path)

    def forbidden(path, *arguments, **options):
        if str(path).endswith(file):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open(path, *arguments, **options)

    monkeypatch.setattr(mnist, "open", forbidden, raising=False)
    with pytest.raises(InputError, match=rf"{file}: cannot be read \(Permission denied\)"):
        load("mnist", data_dir=tmp_path)

    def closed(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", closed)
    with pytest.raises(InputError, match=r"data-dir: .* cannot be looked at \(Permission denied\)"):
        load("mnist", data_dir=tmp_path)


def test_a_completion_needs_two_rows(tmp_path):
    for part, count in (("train", 5003), ("t10k", 20)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros((count, 1, 5), np.uint8), False))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.zeros(count, np.uint8), False))
    assert load("mnist", data_dir=tmp_path).shape == (1, 5)
    with pytest.raises(InputError, match="task: a completion needs images of two rows or more, got images of 1x5"):
        load("mnist", data_dir=tmp_path, task="completion")


WHOLE = idx(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
RAW = gzip.decompress(WHOLE)
BROKEN = {
    "empty": b"",
    "not gzip": b"<html>404</html>",
    "gzip cut short": WHOLE[:-9],
    "gzip with a flipped byte": WHOLE[:-6] + bytes([WHOLE[-6] ^ 255]) + WHOLE[-5:],
    "data cut short": gzip.compress(RAW[:-1]),
    "data too long": gzip.compress(RAW + b"\0"),
    "header cut short": gzip.compress(RAW[:7]),
    "wrong magic": gzip.compress(b"\x01" + RAW[1:]),
    "floats": gzip.compress(RAW[:2] + b"\x0d" + RAW[3:]),
    "two axes": gzip.compress(RAW[:3] + b"\x02" + RAW[4:]),
    "absurd sizes": gzip.compress(RAW[:4] + b"\xff" * 12 + RAW[16:]),
    "no images": gzip.compress(RAW[:4] + b"\0" * 12),
    "a bomb": gzip.compress(RAW + b"\0" * 2**24, 9),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_files_that_are_not_what_they_should_be_are_refused(tmp_path, kind):
    folder_of(tmp_path, change={FILES[0]: BROKEN[kind]})
    with pytest.raises(InputError, match=FILES[0]):
        load("mnist", data_dir=tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    folder_of(tmp_path, change={FILES[1]: idx(np.zeros(9, np.uint8))})
    with pytest.raises(InputError, match="do not belong together"):
        load("mnist", data_dir=tmp_path)
    folder_of(tmp_path, n=40)
    with pytest.raises(InputError, match="more than 5,000 training images"):
        load("mnist", data_dir=tmp_path)


def test_a_missing_file_is_named_and_nothing_is_downloaded(tmp_path):
    folder_of(tmp_path)
    (tmp_path / FILES[2]).unlink()
    with pytest.raises(InputError, match=f"expected one of {FILES[2]}.*found none"):
        load("mnist", data_dir=tmp_path)


@pytest.fixture
def server(tmp_path):
    """A mirror on this machine that serves a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "served")

        def log_message(self, *arguments):
            pass

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))  # seconds until it sees that it is to end
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/", tmp_path / "served"
        running.shutdown()
        thread.join()


def test_downloads_are_verified_before_use(tmp_path, server, monkeypatch):
    url, served = server
    body = idx(np.zeros((3, 2, 2), np.uint8))
    monkeypatch.setitem(mnist.SHA256, FILES[0], hashlib.sha256(body).hexdigest())
    (served / FILES[0]).write_bytes(body)
    target = tmp_path / "cache"
    assert mnist.download(FILES[0], target, (url + "missing/", url)).read_bytes() == body  # the second mirror has it
    (served / FILES[1]).write_bytes(b"something else")
    with pytest.raises(InputError, match=r"SHA-256 .* expected 3552534a"):
        mnist.download(FILES[1], target, (url,))
    with pytest.raises(InputError, match=r"404.*--data-dir or DVAE_NP_DATA"):
        mnist.download(FILES[2], target, (url,))
    assert [path.name for path in target.iterdir()] == [FILES[0]]  # no part, no untrusted file left behind


@needs_mnist
def test_the_pinned_checksums_are_those_of_the_real_files():
    for name, expected in mnist.SHA256.items():
        assert hashlib.sha256((MNIST / name).read_bytes()).hexdigest() == expected


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_pixel_of_just_one_half_is_on(part):
    """One digit's pixel in twenty is of the grey 8/16; records were measured with these on."""
    grey = getattr(load("digits", "grey"), part).x
    assert 0.02 < (grey == 0.5).mean() < 0.1
    np.testing.assert_array_equal(getattr(load("digits"), part).x, grey >= 0.5)
