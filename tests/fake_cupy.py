"""A stand-in for CuPy that is stricter than NumPy: arrays on a "device" that never mix with NumPy's by accident.

`DeviceArray` takes part in NumPy's dispatch as `cupy.ndarray` does, and refuses what that refuses: implicit conversion,
operands that are NumPy arrays, and ufunc methods (``np.add.at``, ``np.add.reduce``). `Generator` has the two methods that
CuPy's generators share with NumPy's and that this package may use.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class DeviceArray(NDArrayOperatorsMixin):
    """A NumPy array that pretends to live elsewhere."""

    def __init__(self, host):
        self.host = host

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion of a device array to NumPy")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method != "__call__":
            return NotImplemented
        if out is not None:
            kwargs["out"] = tuple(_to_host(array) for array in out)
        result = _to_device(ufunc(*map(_to_host, inputs), **kwargs))
        return result if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        if not all(issubclass(kind, DeviceArray) for kind in types):
            return NotImplemented
        return _to_device(function(*_to_host(args), **_to_host(kwargs)))

    def __getitem__(self, index):
        return _to_device(self.host[_to_host(index)])

    def __setitem__(self, index, value):
        self.host[_to_host(index)] = _to_host(value)

    def __len__(self):
        return len(self.host)

    def __float__(self):
        return float(self.host)

    def __int__(self):
        return int(self.host)

    def __bool__(self):
        return bool(self.host)

    def __getattr__(self, name):
        if name in ("shape", "dtype", "ndim", "size"):
            return getattr(self.host, name)
        if name in ("T", "real", "imag"):
            return DeviceArray(getattr(self.host, name))
        if name in (
            "sum",
            "max",
            "min",
            "mean",
            "argmax",
            "all",
            "any",
            "reshape",
            "ravel",
            "transpose",
            "astype",
            "squeeze",
            "copy",
        ):
            return lambda *args, **kwargs: _to_device(getattr(self.host, name)(*_to_host(args), **_to_host(kwargs)))
        raise AttributeError(f"device arrays have no {name}")


class Generator:
    """Random numbers on the device: `random` and `standard_normal`, nothing else."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def random(self, size, dtype=np.float64):
        return DeviceArray(self._rng.random(size, dtype=dtype))

    def standard_normal(self, size, dtype=np.float64):
        return DeviceArray(self._rng.standard_normal(size, dtype=dtype))


def put(tree):
    """NumPy arrays, or containers of them, onto the device."""
    if isinstance(tree, dict):
        return {name: put(entry) for name, entry in tree.items()}
    return DeviceArray(np.array(tree))


def get(array):
    """Back to NumPy, as `cupy.asnumpy` does."""
    return array.host


def _to_host(value):
    if isinstance(value, DeviceArray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array meets a device array")
    if isinstance(value, tuple | list):
        return type(value)(map(_to_host, value))
    if isinstance(value, dict):
        return {name: _to_host(entry) for name, entry in value.items()}
    return value


def _to_device(value):
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple | list):
        return type(value)(map(_to_device, value))
    return value
