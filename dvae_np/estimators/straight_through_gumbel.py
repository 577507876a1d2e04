"""Straight-through Gumbel-Softmax: hard forward, soft backward."""

import numpy as np

from dvae_np.arrays import expect, one_hot
from dvae_np.categorical import gumbel
from dvae_np.estimators.estimate import Estimate, expect_temperature, expect_uniforms
from dvae_np.ops import softmax


def straight_through_gumbel(logits, f, u, *, tau=1.0):
    """f's gradient at the hard sample z = argmax y, sent back through the soft y = softmax((logits + G) / tau) [Eq. 7.3].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No: dz/dlogits does not exist, and dy/dlogits stands in for it. `value` and dtheta are unbiased.

    logits: (B, N, K). u: uniforms (S, B, N, K) in (0, 1). tau > 0: the temperature. (Jang et al. 2017.)
    """
    expect_uniforms(logits, u)
    tau = expect_temperature("tau", tau)
    perturbed = (logits + gumbel(u)) / tau  # (S, B, N, K)
    _, softmax_backward = softmax(perturbed)
    z = one_hot(np.argmax(perturbed, axis=-1), logits.shape[-1], logits.dtype)
    fz, f_backward = f(z)  # (S, B)
    expect("fz", fz, z.shape[:2])
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    return Estimate(fz.mean(0), softmax_backward(dz).sum(0) / tau, dtheta)
