"""Decoupled straight-through: one temperature to explore with, another to send gradients back through."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import Independent, independent_logits
from dvae_np.ops import softmax
from dvae_np.perturbed import gumbel_max


def decoupled_straight_through(q, f, u, *, tau_forward=1.0, tau_backward=2.0):
    """Straight-through with codes drawn from softmax(logits / tau_forward), gradient through tau_backward [Eq. 8.2].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No. And for tau_forward != 1 the codes are not drawn from q: `value` and dtheta are biased too.

    q: independent latents, or logits (B, N, K). u: uniforms (S, B, N, K). Both above 0, else InputError. (Shah et al. 2024,
    version 2.) At 1 and 1 it is `straight_through`.
    """
    logits = independent_logits(q, u)
    tau_forward = expect_temperature("tau_forward", tau_forward)
    tau_backward = expect_temperature("tau_backward", tau_backward)
    z = one_hot(gumbel_max(logits / tau_forward, u), logits.shape[-1], logits.dtype)
    fz, f_backward = evaluated(f, z)  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    _, softmax_backward = softmax(logits / tau_backward)
    return Estimate(fz.mean(0), Independent(softmax_backward(dz.sum(0)) / tau_backward), dtheta)
