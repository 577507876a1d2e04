"""REINFORCE whose baseline is a moving average of f."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate, in_dtype
from dvae_np.laws import law_and_codes


def reinforce_ema(q, f, z, *, omega):
    """(f(z) - b) times the score of z, with b learned by gradient descent on (f - b)^2 / 2 [Eq. 6.3].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes: b comes from earlier steps. (Updated *before* it is used, it would shrink the gradient.)

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). omega: {"baseline": b}, b of shape (). domega is b - f,
    summed over the batch: a step of size 1 - decay on its mean, b - (1 - decay)(b - f), is exactly an exponential moving
    average (Mnih & Gregor 2014 centre their learning signal so).
    """
    q, z = law_and_codes(q, z)
    fz, f_backward = evaluated(f, z)  # (S, B)
    baseline = in_dtype(omega["baseline"], fz.dtype)
    _, log_prob_backward = q.log_prob(z)
    dq = log_prob_backward((fz - baseline) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dq, dtheta, {"baseline": (baseline - fz).mean(0).sum()})
