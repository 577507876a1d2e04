"""Double control variates: leave-one-out, with each sample's tangent as a second control variate."""

import numpy as np

from dvae_np.arrays import InputError, evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_binary, in_dtype
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax


def double_cv(q, f, z, *, omega):
    """Half the difference of two values, each corrected by the other's slope, times the codes' difference [Eq. 13.6].

    Approximates: the gradient of E_q[f] in the logits of binary latents.
    With:         S = 2 evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     Yes, for any alpha: the slopes' part has the expectation alpha J(q) (f'(z_1) + f'(z_2)) / 2, which is
                  subtracted.

    q: independent latents, or logits (B, N, 2). z: codes drawn from q, (2, B, N). omega: {"alpha": ()}; alpha = 0 is
    reinforce_loo. domega is the gradient of the squared estimate. (Titsias & Shi 2022.) Raises InputError for K other than
    2 and S other than 2.
    """
    logits, z = logits_and_codes(q, z)
    expect_binary("double_cv", logits)
    if len(z) != 2:
        raise InputError(f"S: double_cv takes two samples, S = 2, got {len(z)}")
    q, softmax_backward = softmax(logits)
    hard = one_hot(z, 2, q.dtype)  # (2, B, N, 2)
    fz, f_backward = evaluated(f, hard)  # (2, B)
    dz, dtheta = f_backward(np.full_like(fz, 0.5))
    slope = 2 * dz  # f'(z_s)
    others = (slope[::-1] * (hard - q)).sum((-1, -2))  # <f'(other), z - q>, (2, B)
    difference = (hard[0] - hard[1]) / 2

    def estimate(fz, others, slope, alpha):
        signal = fz + alpha * others
        return (signal[0] - signal[1])[:, None, None] * difference - alpha * softmax_backward(slope.mean(0))

    dlogits = estimate(fz, others, slope, in_dtype(omega["alpha"], fz.dtype))
    per_alpha = estimate(0 * fz, others, slope, 1)
    return Estimate(fz.mean(0), Independent(dlogits), dtheta, {"alpha": 2 * (dlogits * per_alpha).sum()})
