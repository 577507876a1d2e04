"""Gumbel-Softmax, alias Concrete: a smooth stand-in for the one-hot sample."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import Independent, independent_logits
from dvae_np.ops import softmax
from dvae_np.perturbed import gumbel


def gumbel_softmax(q, f, u, *, tau=1.0):
    """The pathwise gradient through y = softmax((logits + Gumbel noise) / tau) [Eq. 7.1, 7.2].

    Approximates: the gradient of E_q[f] in the logits, by that of the relaxed objective E[f(y)].
    With:         S evaluations of f and of its gradient, at relaxed codes.
    Unbiased?     No, except for the relaxed objective; the bias falls and the variance grows as tau -> 0.

    q: independent latents, or logits (B, N, K). u: uniforms (S, B, N, K) in (0, 1). tau > 0 (else InputError): the
    temperature. (Jang et al. 2017; Maddison et al. 2017.) `value` is that of the relaxed objective, and so are the
    gradients in f's parameters: not an ELBO.
    """
    logits = independent_logits(q, u)
    tau = expect_temperature("tau", tau)
    y, softmax_backward = softmax((logits + gumbel(u)) / tau)  # (S, B, N, K)
    fz, f_backward = evaluated(f, y)  # (S, B)
    dy, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    return Estimate(fz.mean(0), Independent(softmax_backward(dy).sum(0) / tau), dtheta)
