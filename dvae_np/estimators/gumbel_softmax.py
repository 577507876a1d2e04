"""Gumbel-Softmax, alias Concrete: a smooth stand-in for the one-hot sample."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import law


def gumbel_softmax(q, f, u, *, tau=1.0):
    """The pathwise gradient through y = softmax((logits + Gumbel noise) / tau) [Eq. 7.1, 7.2].

    Approximates: the gradient of E_q[f] in the logits, by that of the relaxed objective E[f(y)].
    With:         S evaluations of f and of its gradient, at relaxed codes.
    Unbiased?     No, except for the relaxed objective; the bias falls and the variance grows as tau -> 0. Of a chain not for
                  that either: the path to the next code's choice is cut, and a bias stays (Eq. 20.13).

    q: logits (B, N, K) or a `Chain`, where it is Gumbel-CRF [Eq. 20.13]. u: uniforms (S, B, N, K). tau > 0 (else InputError):
    the temperature. (Jang et al. 2017; Maddison et al. 2017; Fu et al. 2020.) `value` and dtheta are the relaxed objective's.
    """
    (y, _), relaxed_backward = law(q, "relaxed_codes").relaxed_codes(u, expect_temperature("tau", tau))  # (S, B, N, K)
    fz, f_backward = evaluated(f, y)  # (S, B)
    dy, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    return Estimate(fz.mean(0), relaxed_backward(dy), dtheta)
