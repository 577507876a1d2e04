"""What every estimator returns, and what those that draw samples share."""

from typing import Any, NamedTuple

import numpy as np

from dvae_np.arrays import InputError, count_states, expect_temperature  # noqa: F401


class Estimate(NamedTuple):
    """An estimate of E_q[f] and of its gradients, in nats. Gradients are of the *sum* over the batch."""

    value: np.ndarray  # (B,)
    dq: Any  # a value of q's own type, each of its arrays the gradient in that array
    dtheta: dict  # f's own parameters: what f's backward gives
    domega: Any = ()  # the estimator's tunables: a dict shaped like omega, or () where it has none

    @property
    def dlogits(self):
        """The gradient in the logits (B, N, K), where q is `Independent`."""
        return self.dq.logits if isinstance(self.dq, tuple) else self.dq


def in_dtype(value, dtype):
    """A hyper-parameter for arrays of this dtype: a NumPy number or array of float64 would turn float32 into float64."""
    kind = getattr(getattr(value, "dtype", None), "kind", "Python's own")
    return value.astype(dtype) if kind in ("f", "i", "u") else value


def expect_binary(name, logits):
    """Raise `InputError` where an estimator for binary latents meets more categories, or fewer."""
    if logits.shape[-1] != 2:
        raise InputError(f"{name}: expected binary latents, K = 2, got K = {logits.shape[-1]}; carms takes any K")
