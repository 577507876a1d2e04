"""What every estimator returns, and what those that draw samples share."""

from typing import Any, NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect


class Estimate(NamedTuple):
    """An estimate of E_q[f] and of its gradients, in nats. Gradients are of the *sum* over the batch."""

    value: np.ndarray  # (B,)
    dlogits: np.ndarray  # (B, N, K)
    dtheta: dict  # f's own parameters: what f's backward gives
    domega: Any = ()  # the estimator's tunables: a dict shaped like omega, or () where it has none


def expect_samples(logits, noise, fewest=1):
    """Raise `InputError` unless `noise`, codes (S, B, N) or uniforms (S, B, N, K), fits the logits and S >= fewest."""
    expect("logits", logits, ("B", "N", "K"))
    if noise.dtype.kind in "iu":
        expect("z", noise, ("S", *logits.shape[:2]), "i")
    else:
        expect("uniform noise", noise, ("S", *logits.shape))
    if len(noise) < fewest:
        raise InputError(f"S: expected at least {fewest} samples, got {len(noise)}")
