"""Gapped straight-through: the logits are moved until they agree with the sample, without any Gumbel noise."""

import numpy as np

from dvae_np.arrays import InputError, evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax


def gapped_straight_through(q, f, z, *, tau=1.0, gap=1.0):
    """Straight-through at logits shifted so that the sampled category leads by at least `gap` [Eq. 8.4].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No; `value` and dtheta are.

    q: independent latents, or logits (B, N, K). z: codes drawn from q, (S, B, N). The sampled logit is raised to the
    largest one, the others pushed down until they are `gap` below; the shifts count as constants. (Fan et al. 2022.) Raises
    InputError for a gap below 0.
    """
    if not gap >= 0:
        raise InputError(f"gap: expected at least 0, got {gap}")
    gap = float(gap)
    logits, z = logits_and_codes(q, z)
    tau = expect_temperature("tau", tau)
    hard = one_hot(z, logits.shape[-1], logits.dtype)  # (S, B, N, K)
    top = logits.max(-1, keepdims=True)
    shifted = np.where(hard > 0, top, logits - np.maximum(logits + gap - top, 0))
    fz, f_backward = evaluated(f, hard)  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(z)))
    _, softmax_backward = softmax(shifted / tau)
    return Estimate(fz.mean(0), Independent(softmax_backward(dz).sum(0) / tau), dtheta)
