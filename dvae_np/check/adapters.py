"""What the ways in from PyTorch and JAX share: shapes of codes, what an estimator there returns, ops on trial."""

import inspect

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.check.backward import check_op

OWN = ("generator", "key", "rng")  # the names of what draws there


def parameters_of(function):
    """The names of its noise, () where it draws from a global generator, and the one of its own, "" for none.

    Raises InputError for a function that does not take (logits, f, ...).
    """
    parameters = list(inspect.signature(function).parameters.values())
    names = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    late = any(each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL) for each in parameters if each.name in names)
    if len(names) < 2 or late or set(names[:2]) & set(OWN):
        raise InputError(f"estimator: expected parameters (logits, f, noise), by position, got ({', '.join(names)})")
    noise = tuple(names[2:])
    return (noise, "") if noise and noise[0] not in OWN else ((), noise[0] if noise else "")


def signature(noise):
    """(logits, f, *noise), or (logits, f, rng) where there is none."""
    return _taking("logits", "f", *(noise or ("rng",)))


def _taking(*names):
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, plain) for name in names])


def with_samples(z, sizes):
    """Codes (B, N) as (1, B, N), and relaxed codes (B, N, K) as (1, B, N, K); and whether a sample axis was added.

    sizes: (B, N, K). Raises InputError for arrays of other axes, as codes (S, B, N) that are no integers.
    """
    if z.dtype == bool:
        z = z.astype(np.int64)
    B, N, K = sizes
    axes = (B, N) if z.dtype.kind in "iu" else (B, N, K)
    if z.shape == axes:
        return z[None], True
    if z.shape[1:] == axes:
        return z, False
    if z.dtype.kind in "iu" and z.shape[-3:] == (B, N, K):  # one-hots
        return with_samples(z.astype(np.float64), sizes)
    kinds = f"codes as integers, ({B}, {N}) or (S, {B}, {N}), or one-hots or relaxed codes, with a last axis of {K}"
    raise InputError(f"f: expected {kinds}; got {z.dtype} of shape {z.shape}")


def expect_loss(shape, logits):
    """Raise `InputError` unless a result is the gradient, or a loss to be differentiated: one number, or one an example."""
    if shape not in ((), (len(logits),), logits.shape):
        raise InputError(
            f"estimator: expected the gradient {logits.shape}, or a loss to be differentiated, one number or "
            f"({len(logits)},); it returned shape {tuple(shape)}. Take the mean over the samples first"
        )


def check_foreign(value, pulled, inputs, rng, data):
    """The `OpVerdict` on a function of another framework; its backward pass is asked at real points alone.

    value:  its output as an array, at complex arrays by name.
    pulled: (its output, backward) at arrays and the names of those that have a gradient; backward(dy) gives theirs in order.
    """
    names = list(inputs)

    def op(**given):
        moves = [name for name in names if isinstance(given[name], np.ndarray) and given[name].dtype.kind in "fc"
                 and name not in data]  # fmt: skip
        if any(np.iscomplexobj(array) for array in given.values()):
            return value(given | {name: given[name].astype(complex) for name in moves}), None
        y, pull = pulled(given, moves)

        def backward(dy):
            found = dict(zip(moves, pull(dy), strict=True))
            return tuple(found.get(name) for name in names)

        return y, backward

    op.__signature__ = _taking(*names)
    inputs = {name: value.item() if isinstance(value, np.generic) else value for name, value in inputs.items()}
    return check_op(op, inputs, np.random.default_rng(0) if rng is None else rng, data, at_complex=False)
