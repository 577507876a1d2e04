"""What every estimator returns, and what those that draw samples share."""

import math
from typing import Any, NamedTuple

import numpy as np

from dvae_np.arrays import InputError, count_states, expect, expect_codes, expect_temperature  # noqa: F401


class Estimate(NamedTuple):
    """An estimate of E_q[f] and of its gradients, in nats. Gradients are of the *sum* over the batch."""

    value: np.ndarray  # (B,)
    dlogits: np.ndarray  # (B, N, K)
    dtheta: dict  # f's own parameters: what f's backward gives
    domega: Any = ()  # the estimator's tunables: a dict shaped like omega, or () where it has none


def expect_codes_drawn(logits, z, fewest=1):
    """The codes z (S, B, N) as int64: in a caller's small or unsigned type, differences and places of states would wrap.

    Raises `InputError` unless they are codes from 0 to K-1 for logits (B, N, K), with S >= fewest.
    """
    expect("logits", logits, ("B", "N", "K"))
    expect("z", z, ("S", *logits.shape[:2]), "i")
    if len(z) < fewest:
        raise InputError(f"S: expected at least {fewest} samples, got {len(z)}")
    expect_codes("z", z, logits.shape[-1])
    return z.astype(np.int64, copy=False)


def expect_few_states(name, N, K, B, most):
    """Raise `InputError`, with the count, its cost and a way out, where K**N joint states are too many to visit."""
    if (M := count_states(N, K)) > most:
        count = f"{K}**{N}" + (f" = {M}" if M < math.inf else "")
        numbers = f"{M * B:.3g}" if M < math.inf else "over 10^17"
        raise InputError(
            f"{name}: K**N = {count} joint states are more than {most}: f of all of them for {B} examples is {numbers} numbers "
            "to compute, block by block, at every step; take fewer latents, or an estimator that samples, as reinforce_loo or "
            "gumbel_softmax"
        )


def expect_uniforms(logits, u):
    """Raise `InputError` unless u is uniforms (S, B, N, K) that fit logits (B, N, K)."""
    expect("logits", logits, ("B", "N", "K"))
    expect("uniforms", u, ("S", *logits.shape))
    if len(u) < 1:
        raise InputError(f"S: expected at least 1 sample, got {len(u)}")


def in_dtype(value, dtype):
    """A hyper-parameter for arrays of this dtype: a NumPy number or array of float64 would turn float32 into float64."""
    kind = getattr(getattr(value, "dtype", None), "kind", "Python's own")
    return value.astype(dtype) if kind in ("f", "i", "u") else value


def expect_binary(name, logits):
    """Raise `InputError` where an estimator for binary latents meets more categories, or fewer."""
    if logits.shape[-1] != 2:
        raise InputError(f"{name}: expected binary latents, K = 2, got K = {logits.shape[-1]}; carms takes any K")
