"""Straight-through: the gradient at the sample, sent through the softmax as if nothing had been sampled."""

import numpy as np

from dvae_np.arrays import expect, one_hot
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn, expect_temperature
from dvae_np.ops import softmax


def straight_through(logits, f, z, *, tau=1.0):
    """f's gradient at the one-hot sample times the Jacobian of softmax(logits / tau) [Eq. 8.1].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes drawn from q.
    Unbiased?     No; exact on average for affine f and tau = 1: a first-order method.

    logits: (B, N, K). z: codes drawn from q, (S, B, N). tau > 0: the temperature of the backward pass. (Bengio et al. 2013,
    in the form with a softmax.) `value` and dtheta are unbiased.
    """
    z = expect_codes_drawn(logits, z)
    tau = expect_temperature("tau", tau)
    fz, f_backward = f(one_hot(z, logits.shape[-1], logits.dtype))  # (S, B)
    expect("fz", fz, z.shape[:2])
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(z)))
    _, softmax_backward = softmax(logits / tau)
    return Estimate(fz.mean(0), softmax_backward(dz.sum(0)) / tau, dtheta)
