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


def expect_codes_drawn(logits, z, fewest=1):
    """Raise `InputError` unless z is codes (S, B, N) that fit logits (B, N, K), with S >= fewest."""
    expect("logits", logits, ("B", "N", "K"))
    expect("z", z, ("S", *logits.shape[:2]), "i")
    if len(z) < fewest:
        raise InputError(f"S: expected at least {fewest} samples, got {len(z)}")


def expect_uniforms(logits, u, tau):
    """Raise `InputError` unless u is uniforms (S, B, N, K) that fit logits (B, N, K), and the temperature is positive."""
    expect("logits", logits, ("B", "N", "K"))
    expect("u", u, ("S", *logits.shape))
    if len(u) < 1:
        raise InputError(f"S: expected at least 1 sample, got {len(u)}")
    if not tau > 0:
        raise InputError(f"tau: expected a temperature above 0, got {tau}")
