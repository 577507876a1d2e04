"""A stand-in for CuPy that is stricter than NumPy: arrays on a "device" that never mix with NumPy's by accident.

`DeviceArray` takes part in NumPy's dispatch as `cupy.ndarray` does, and refuses what that refuses: implicit conversion,
operands that are NumPy arrays, ufunc methods (``np.add.at``, ``np.add.reduce``), and arguments that NumPy's functions have
and CuPy's have not. `Generator` has the two methods that CuPy's generators share with NumPy's and that this package may use.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

# What CuPy's own functions and methods take, of those that the package uses: a test compares it with CuPy where that is
# installed. Some that look harmless are not here: np.ones and np.eye, asked for an array like= CuPy's, hand it a device=
# that it does not know (NumPy 2.4, CuPy 14.2).
FUNCTIONS = {
    "arange": "start stop step dtype",
    "argmax": "a axis dtype out keepdims",
    "argsort": "a axis kind",
    "array": "obj dtype copy order subok ndmin",
    "asarray": "a dtype order",
    "atleast_1d": "*arys",
    "broadcast_to": "array shape",
    "clip": "a a_min a_max out",
    "concatenate": "tup axis out",
    "cumsum": "a axis dtype out",
    "empty": "shape dtype order",
    "flatnonzero": "a",
    "full_like": "a fill_value dtype order subok shape",
    "moveaxis": "a source destination",
    "ones_like": "a dtype order subok shape",
    "repeat": "a repeats axis",
    "searchsorted": "a v side sorter",
    "stack": "tup axis out",
    "where": "condition x y",
    "zeros": "shape dtype order",
    "zeros_like": "a dtype order subok shape",
}
METHODS = {
    "all": "axis out keepdims",
    "any": "axis out keepdims",
    "astype": "dtype order casting subok copy",
    "copy": "order",
    "max": "axis out keepdims",
    "mean": "axis dtype out keepdims",
    "min": "axis out keepdims",
    "ravel": "order",
    "reshape": "*shape order",
    "squeeze": "axis",
    "sum": "axis dtype out keepdims",
    "transpose": "*axes",
}


class DeviceArray(NDArrayOperatorsMixin):
    """A NumPy array that pretends to live elsewhere."""

    def __init__(self, host):
        self.host = host

    def __array__(self, dtype=None, copy=None):
        raise TypeError("implicit conversion of a device array to NumPy")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if method != "__call__" or not set(kwargs) <= {"dtype", "casting"}:
            return NotImplemented
        if out is not None:
            kwargs["out"] = tuple(_to_host(array) for array in out)
        result = _to_device(ufunc(*map(_to_host, inputs), **kwargs))
        return result if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        if not all(issubclass(kind, DeviceArray) for kind in types):
            return NotImplemented
        _expect_arguments(function.__name__, FUNCTIONS, args, kwargs)
        return _to_device(function(*_to_host(args), **_to_host(kwargs)))

    def __getitem__(self, index):
        return _to_device(self.host[_to_host(index)])

    def __setitem__(self, index, value):
        self.host[_to_host(index)] = _to_host(value)

    def __pow__(self, exponent):  # NumPy 2.0 squares arrays for **2, where its np.power does not
        return _to_device(self.host ** _to_host(exponent))

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
        if name in METHODS:
            return lambda *args, **kwargs: self._method(name, args, kwargs)
        raise AttributeError(f"device arrays have no {name}")

    def _method(self, name, args, kwargs):
        _expect_arguments(name, METHODS, args, kwargs)
        return _to_device(getattr(self.host, name)(*_to_host(args), **_to_host(kwargs)))


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


def _expect_arguments(name, known, args, kwargs):
    """Raise TypeError for a function that is not in the table, and for arguments that CuPy's does not take."""
    if name not in known:
        raise TypeError(f"{name} is not among those that CuPy is known to have")
    names = known[name].split()
    if (len(args) > len(names) and names[0][0] != "*") or not set(kwargs) <= set(names):
        raise TypeError(f"CuPy's {name}({', '.join(names)}) does not take {len(args)} arguments and {sorted(kwargs)}")


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
