"""The MNIST files: found, or downloaded and verified, and read with nothing taken on trust."""

import contextlib
import gzip
import hashlib
import math
import os
import zlib
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.files import written

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
LARGEST = 2**28  # bytes of one array; MNIST's largest is 47 million


def read_mnist(data_dir=None):
    """((images (60000, 28, 28), labels (60000,)), the same of the 10,000 test images), as uint8.

    data_dir: the folder of the four IDX files, gzipped or not, under any of their usual names (`found`); else the folder in
    DVAE_NP_DATA; else a cache folder that is filled from public mirrors, each file's SHA-256 verified before use.
    Raises InputError where a file is missing, truncated, corrupt or of the wrong kind.
    """
    given = data_dir or os.environ.get("DVAE_NP_DATA")
    folder = Path(given) if given else cache_folder()
    paths = {name: found(name, folder) if given else cached(name, folder) for name in SHA256}
    arrays = {name: read_idx(path) for name, path in paths.items()}
    splits = []
    for part in ("train", "t10k"):
        images, labels = arrays[f"{part}-images-idx3-ubyte.gz"], arrays[f"{part}-labels-idx1-ubyte.gz"]
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise InputError(f"data-dir: {part} images {images.shape} and labels {labels.shape} do not belong together")
        splits.append((images, labels))
    if len(splits[0][0]) <= 5000 or splits[0][0].shape[1:] != splits[1][0].shape[1:]:
        raise InputError(f"data-dir: expected more than 5,000 training images of the test images' size, got "
                         f"{splits[0][0].shape} and {splits[1][0].shape}")  # fmt: skip
    return tuple(splits)


def found(name, folder):
    """The path of a file in a folder that a user named: with a hyphen or a dot before idx, with .gz or without."""
    plain = name.removesuffix(".gz")
    names = [each + end for each in (plain, plain.replace("-idx", ".idx")) for end in (".gz", "")]
    for path in (folder / each for each in names):
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise InputError(f"data-dir: {path} cannot be looked at ({error.strerror or error})") from error
    raise InputError(f"data-dir: expected one of {', '.join(names)} in {folder}, found none")


def cached(name, folder):
    """The path of a file in the cache folder, downloaded where it is not there or not what it should be."""
    try:
        good = hashlib.sha256((folder / name).read_bytes()).hexdigest() == SHA256[name]
    except OSError:
        good = False
    return folder / name if good else download(name, folder)


def read_idx(path):
    """The array of unsigned bytes in an IDX file, gzipped or not, whatever its name. Raises InputError for anything else."""
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if packed else contextlib.nullcontext(raw) as file:
                head = file.read(4)
                if len(head) < 4 or head[:3] != b"\x00\x00\x08" or head[3] not in (1, 3):
                    raise InputError(
                        f"{path}: expected an IDX file of unsigned bytes with 1 or 3 axes, got head {head!r}"
                    )
                sizes = file.read(4 * head[3])
                shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
                if len(sizes) < 4 * head[3] or not 0 < (items := math.prod(shape)) <= LARGEST:
                    raise InputError(f"{path}: expected {head[3]} plausible sizes in the header, got {shape}")
                body = file.read(items + 1)  # one byte more than there should be, never more
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: truncated or corrupt ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(body) != items:
        least = "more" if len(body) > items else f"{len(body)}"
        raise InputError(f"{path}: expected {items} bytes of data, got {least}: truncated or corrupt")
    return np.frombuffer(body, np.uint8).reshape(shape)


def download(name, folder, mirrors=MIRRORS):
    """Fetch one file into `folder`, trying each mirror; it gets its name only once its SHA-256 is right."""
    import http.client  # only here: importing them takes as long as importing the rest of the package
    import urllib.request

    failures = []
    for mirror in mirrors:
        try:
            with urllib.request.urlopen(mirror + name, timeout=30) as response:
                body = response.read(2**25)
        except (http.client.HTTPException, OSError) as error:  # URLError is an OSError
            failures.append(f"{mirror}: {error}")
            continue
        if (found := hashlib.sha256(body).hexdigest()) != SHA256[name]:
            failures.append(f"{mirror}: SHA-256 {found}, expected {SHA256[name]}")
            continue
        with written(folder / name) as file:
            file.write(body)
        return folder / name
    raise InputError(f"mnist: {name} could not be downloaded ({'; '.join(failures)}); put the four IDX files into a folder "
                     "and name it with --data-dir or DVAE_NP_DATA")  # fmt: skip


def cache_folder():
    """Where downloaded files are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dvae_np" / "mnist"
