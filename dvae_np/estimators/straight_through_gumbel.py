"""Straight-through Gumbel-Softmax: hard forward, soft backward."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import law


def straight_through_gumbel(q, f, u, *, tau=1.0):
    """f's gradient at the hard sample z = argmax y, sent back through the soft y = softmax((logits + G) / tau) [Eq. 7.3].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No: dz/dlogits does not exist, and dy/dlogits stands in for it. `value` and dtheta are unbiased.

    q: logits (B, N, K), or a `Chain` (Fu et al. 2020) [Eq. 20.13]. u: uniforms (S, B, N, K). tau > 0 (else InputError).
    """
    q = law(q, "relaxed_codes")
    (_, z), relaxed_backward = q.relaxed_codes(u, expect_temperature("tau", tau))
    fz, f_backward = evaluated(f, one_hot(z, q.sizes[-1], q[0].dtype))  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    return Estimate(fz.mean(0), relaxed_backward(dz), dtheta)
