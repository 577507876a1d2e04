"""What `verify` reads of a user's: functions in Python files, arrays in .npy files, the inputs of an op."""

import argparse
import importlib.util
import inspect
import math
import re
import sys
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.cli.options import finite, path

MOST_ENTRIES = 2000  # of an op's inputs, of which each is moved


def load_function(place):
    """The function that 'my_file.py:my_function' names. Raises InputError where there is none."""
    file, _, name = place.rpartition(":")
    if not name or not Path(file).is_file():
        raise InputError(f"estimator: expected FILE.py:FUNCTION with a file that exists, got {place!r}")
    spec = importlib.util.spec_from_file_location(f"judged_{Path(file).stem}", file)
    if spec is None:
        raise InputError(f"estimator: expected a Python file, got {file!r}")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up there
    try:
        sys.path.insert(0, str(Path(file).resolve().parent))  # for what the file imports from beside it
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # anything that a stranger's file may raise
        raise InputError(f"estimator: {file} could not be imported ({type(error).__name__}: {error})") from error
    if not callable(getattr(module, name, None)):
        raise InputError(f"estimator: expected a function {name!r} in {file}, found none")
    return getattr(module, name)


def expect_judgeable(function, place):
    """Raise `InputError` for what has no parameters that could be read, as functions not written in Python, and for classes."""
    try:
        readable = not inspect.isclass(function) and inspect.signature(function)
    except (TypeError, ValueError):
        readable = False
    if readable is False:
        raise InputError(f"{place}: expected a function written in Python, got {function!r}")


def adapter(framework):
    """The module `dvae_np.check.torch` or `dvae_np.check.jax`. Raises InputError where that framework is not installed."""
    try:
        return importlib.import_module(f"dvae_np.check.{framework}")
    except ImportError as error:
        raise InputError(f"--framework: {framework} could not be imported ({error})") from None


def load_array(file, what):
    """Numbers from an .npy file, read as they are needed. Raises InputError for anything else; pickles are not loaded."""
    refused = f"--{what}: expected an .npy file of real numbers, got {str(file)!r}"
    if not file.is_file():  # nor a pipe, which would be waited for
        raise InputError(f"{refused}, which is no file")
    with open(file, "rb") as opened:
        if opened.read(6) != b"\x93NUMPY":
            raise InputError(f"{refused}, which is none")
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy has errors of many kinds for files that are broken
        raise InputError(f"{refused} ({type(error).__name__}: {error})") from error
    if array.dtype.kind not in "fiu":
        raise InputError(f"{refused}, of {array.dtype}")
    return array


def op_input(text):
    """The type of an input: x=3x4, normal numbers; z=3x4<5, whole ones below 5; tau=0.5, a number; or the path of an .npz file.

    The first three as (name, a function of a generator).
    """
    if text.endswith(".npz"):
        return path(text)
    found = re.fullmatch(
        r"([^\W\d]\w*)=(?:(\d{1,6}(?:x\d{1,6})*)(?:<(\d{1,9}))?|([+-]?\d*\.\d*(?:e[+-]?\d{1,3})?))", text
    )
    refused = argparse.ArgumentTypeError(f"expected NAME=3x4, NAME=3x4<5, NAME=0.5 or one FILE.npz, got {text!r}")
    if not found:
        raise refused
    name, shape, below, number = found.groups()
    if number is not None:
        try:
            value = finite(number)
        except argparse.ArgumentTypeError:
            raise refused from None
        return name, lambda rng: value
    shape = tuple(map(int, shape.split("x")))
    if not 0 < math.prod(shape) <= MOST_ENTRIES or below == "0":
        raise argparse.ArgumentTypeError(
            f"expected 1 to {MOST_ENTRIES:,} numbers, each of which is moved, got {text!r}"
        )
    return name, lambda rng: rng.integers(int(below), size=shape) if below else rng.standard_normal(shape)


def op_inputs(given, rng):
    """The inputs of an op by name, of what `op_input` read. Raises InputError for several files, or too many numbers."""
    if any(isinstance(each, Path) for each in given):
        if len(given) > 1:
            raise InputError("--op: expected inputs or one .npz file, got several")
        inputs = _archived(given[0])
    else:
        names = [name for name, _ in given]
        if len(set(names)) < len(names):
            raise InputError(f"--op: expected each input once, got {', '.join(names)}")
        inputs = {name: drawn(rng) for name, drawn in given}
    entries = sum(array.size for array in inputs.values() if isinstance(array, np.ndarray))
    if entries > MOST_ENTRIES:
        raise InputError(
            f"--op: each entry is moved: expected at most {MOST_ENTRIES:,} numbers in all, got {entries:,}"
        )
    return inputs


def _archived(file):
    refused = f"--op: expected an .npz file of numbers, got {str(file)!r}"
    if not file.is_file():
        raise InputError(f"{refused}, which is no file")
    try:
        with np.load(file, allow_pickle=False) as arrays:
            inputs = {name: arrays[name] for name in arrays.files}
    except Exception as error:  # NumPy and zipfile have errors of many kinds
        raise InputError(f"{refused} ({type(error).__name__}: {error})") from error
    if any(array.dtype.kind not in "fiub" for array in inputs.values()):
        raise InputError(refused)
    return {name: array.item() if array.ndim == 0 else array for name, array in inputs.items()}
