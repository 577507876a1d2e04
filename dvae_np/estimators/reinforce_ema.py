"""REINFORCE whose baseline is a moving average of f."""

import numpy as np

from dvae_np.arrays import expect
from dvae_np.categorical import log_prob
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn, in_dtype


def reinforce_ema(logits, f, z, *, omega):
    """(f(z) - b) times the score of z, with b learned by gradient descent on (f - b)^2 / 2 [Eq. 6.2].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes: b comes from earlier steps. (Updated *before* it is used, it would shrink the gradient.)

    logits: (B, N, K). z: codes drawn from q, (S, B, N). omega: {"baseline": b}, b of shape ().
    domega is b - f, summed over the batch: a step of size 1 - decay on its mean, b - (1 - decay)(b - f), is exactly an
    exponential moving average (Mnih & Gregor 2014 centre their learning signal so).
    """
    z = expect_codes_drawn(logits, z)
    fz, f_backward = f(z)  # (S, B)
    expect("fz", fz, z.shape[:2])
    baseline = in_dtype(omega["baseline"], fz.dtype)
    _, log_prob_backward = log_prob(logits, z)
    dlogits, _ = log_prob_backward((fz - baseline) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dlogits, dtheta, {"baseline": (baseline - fz).mean(0).sum()})
