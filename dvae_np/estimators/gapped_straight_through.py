"""Gapped straight-through: the logits are moved until they agree with the sample, without any Gumbel noise."""

import numpy as np

from dvae_np.arrays import InputError, expect, one_hot
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn, expect_temperature
from dvae_np.ops import softmax


def gapped_straight_through(logits, f, z, *, tau=1.0, gap=1.0):
    """Straight-through at logits shifted so that the sampled category leads by at least `gap` [Eq. 8.4].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No; `value` and dtheta are.

    logits: (B, N, K). z: codes drawn from q, (S, B, N). The sampled logit is raised to the largest one, the others pushed
    down until they are `gap` below; the shifts count as constants. (Fan et al. 2022.) Raises InputError for a gap below 0.
    """
    if not gap >= 0:
        raise InputError(f"gap: expected at least 0, got {gap}")
    gap = float(gap)
    z = expect_codes_drawn(logits, z)
    tau = expect_temperature("tau", tau)
    hard = one_hot(z, logits.shape[-1], logits.dtype)  # (S, B, N, K)
    top = logits.max(-1, keepdims=True)
    shifted = np.where(hard > 0, top, logits - np.maximum(logits + gap - top, 0))
    fz, f_backward = f(hard)  # (S, B)
    expect("fz", fz, hard.shape[:2])
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(z)))
    _, softmax_backward = softmax(shifted / tau)
    return Estimate(fz.mean(0), softmax_backward(dz).sum(0) / tau, dtheta)
