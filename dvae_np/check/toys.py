"""Objectives small enough to know everything about: f is not only a decoder.

Each is an f of the package's kind, ``fz, backward = f(z)`` with ``backward(dfz) -> (dz, dtheta)``.
"""

from itertools import accumulate

import numpy as np

from dvae_np.arrays import InputError, expect_codes, is_codes, one_hot
from dvae_np.laws import joint_states


def lookup_table(table):
    """f(z) = table[z_1, ..., z_N]: any function of codes at all, but of codes alone.

    table: (K, ..., K) with N axes, or (B, K, ..., K) for a table per example; the table is f's parameter, so that the
    gradient in it shows which weight every state was given. Relaxed codes raise InputError: a table has no slope.
    """
    K = table.shape[-1]
    if any(size != K for size in table.shape[1:]):
        raise InputError(
            f"lookup_table: expected axes of one size K, but for a first one of examples, got {table.shape}"
        )

    def f(z):
        if not is_codes(z):
            raise InputError("lookup_table: expected integer codes; a table says nothing between its entries")
        expect_codes("z", z, K)
        N = z.shape[-1]
        own = table.ndim == N + 1  # a table per example
        index = tuple(z[..., n] for n in range(N))
        if own:
            index = (np.arange(len(table), like=z), *index)

        def backward(dfz):
            numbers = np.ravel_multi_index(tuple(np.broadcast_arrays(*index)), table.shape).ravel()
            return None, {"table": np.bincount(numbers, dfz.ravel(), minlength=table.size).reshape(table.shape)}

        return table[index], backward

    return f


def scaled(f, size):
    """size f(z)."""

    def g(z):
        fz, f_backward = f(z)
        return size * fz, lambda dfz: f_backward(size * dfz)

    return g


def tabulated(f, N, K, shift=0.0):
    """f(z) - shift: of codes (..., N) looked up among f's values at all joint states, of relaxed codes computed.

    For f whose value is the same for all examples; its gradient in its own parameters is left out.
    """
    table = lookup_table((f(joint_states(N, K)[:, None])[0] - shift).reshape((K,) * N))

    def g(z):
        if is_codes(z):
            return table(z)[0], lambda dfz: (None, {})
        fz, f_backward = f(z)
        return fz - shift, lambda dfz: (f_backward(dfz)[0], {})

    return g


def polynomial(w, degree, linear=None):
    """f(z) = sum_r sum_d s_r^d / d, d = 1..degree, with s_r = <w_r, z>: smooth in relaxed codes too.

    w: (R, N, K). Degree 1 is affine in z, 2 quadratic: the steps at which straight-through and its successors are exact.
    linear: (B, N, K), each example's own <linear_b, z> on top; f's parameter, so that the gradient in it shows at which z
    f was evaluated and with what weight.
    """
    R, N, K = w.shape
    matrix = w.reshape(R, N * K)

    def f(z):
        y = one_hot(z, K, w.dtype) if is_codes(z) else z
        s = y.reshape(*y.shape[:2], N * K) @ matrix.T  # (S, B, R)
        powers = list(accumulate([s] * degree, np.multiply))  # s, s^2, ...: a power of NumPy takes ten times as long
        fz = sum(power / d for d, power in enumerate(powers, 1)).sum(-1)
        if linear is not None:
            fz = fz + (linear * y).sum((-1, -2))

        def backward(dfz):
            ds = sum(powers[:-1], np.ones_like(s)) * dfz[..., None]
            dz = (ds @ matrix).reshape(*ds.shape[:2], N, K)
            if linear is None:
                return None if is_codes(z) else dz, {}
            dz = dz + dfz[..., None, None] * linear
            dlinear = (dfz[..., None, None] * y).sum(0)
            return None if is_codes(z) else dz, {"linear": dlinear}

        return fz, backward

    return f
