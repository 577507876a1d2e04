"""Straight-through Gumbel-Softmax: hard forward, soft backward."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import Independent, independent_logits
from dvae_np.ops import softmax
from dvae_np.perturbed import gumbel


def straight_through_gumbel(q, f, u, *, tau=1.0):
    """f's gradient at the hard sample z = argmax y, sent back through the soft y = softmax((logits + G) / tau) [Eq. 7.3].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No: dz/dlogits does not exist, and dy/dlogits stands in for it. `value` and dtheta are unbiased.

    q: independent latents, or logits (B, N, K). u: uniforms (S, B, N, K) in (0, 1). tau > 0 (else InputError): the
    temperature. (Jang et al. 2017.)
    """
    logits = independent_logits(q, u)
    tau = expect_temperature("tau", tau)
    perturbed = (logits + gumbel(u)) / tau  # (S, B, N, K)
    _, softmax_backward = softmax(perturbed)
    z = one_hot(np.argmax(perturbed, axis=-1), logits.shape[-1], logits.dtype)
    fz, f_backward = evaluated(f, z)  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    return Estimate(fz.mean(0), Independent(softmax_backward(dz).sum(0) / tau), dtheta)
