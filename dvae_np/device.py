"""Where arrays live: in NumPy's memory, or on a GPU through CuPy. All else is the same source (`dvae_np.arrays`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dvae_np.arrays import InputError, expect_choice

DEVICES = ("cpu", "gpu")


@dataclass(frozen=True)
class Device:
    """How NumPy arrays get to a device and back; both take single arrays, and do nothing on the CPU."""

    name: str
    put_array: Callable
    get_array: Callable

    def put(self, tree):
        """An array, or dicts of them, on the device; None stays None."""
        return _mapped(self.put_array, tree)

    def get(self, tree):
        """The same as NumPy arrays."""
        return _mapped(self.get_array, tree)

    def generator(self, rng):
        """A source of noise for arrays on the device: the numbers are NumPy's, so a seed means the same everywhere."""
        return rng if self.name == "cpu" else Uploaded(rng, self.put_array)


@dataclass(frozen=True)
class Uploaded:
    """A NumPy generator whose numbers are put on a device, step by step."""

    rng: Any
    put_array: Callable

    def random(self, size, dtype=np.float64):
        """Uniforms in [0, 1)."""
        return self.put_array(self.rng.random(size, dtype=dtype))

    def standard_normal(self, size, dtype=np.float64):
        """Standard normal numbers."""
        return self.put_array(self.rng.standard_normal(size, dtype=dtype))


CPU = Device("cpu", lambda array: array, lambda array: array)


def device(name):
    """The device of this name, one of `DEVICES`.

    Raises InputError where CuPy, a GPU or a part of CUDA is missing, saying which and what to install.
    """
    expect_choice("device", name, DEVICES)
    if name == "cpu":
        return CPU
    try:
        import cupy
    except ImportError:
        raise InputError(
            'device: gpu needs CuPy, which is not installed: pip install "cupy-cuda12x[ctk]", or the package of '
            "docs.cupy.dev that fits the driver of this machine"
        ) from None
    if not cupy.is_available():
        raise InputError(
            f"device: CuPy {cupy.__version__} is installed but finds no GPU: no NVIDIA device, or no driver for it "
            "(nvidia-smi shows both)"
        )
    try:
        float((cupy.ones((2, 2)) @ cupy.ones((2, 2)))[0, 0])  # a kernel to compile, and a product (of 1 x 1 it is none)
    except Exception as error:  # CuPy's own have no base in common
        raise InputError(
            f"device: CuPy {cupy.__version__} finds a GPU but cannot compute on it ({error}); where a library of CUDA is "
            'missing, pip install "cupy-cuda12x[ctk]" brings all that it needs'
        ) from error
    return Device("gpu", cupy.asarray, cupy.asnumpy)


def _mapped(function, tree):
    if isinstance(tree, dict):
        return {name: _mapped(function, entry) for name, entry in tree.items()}
    return None if tree is None else function(tree)
