"""Double control variates: leave-one-out, with the other samples' tangents as a second control variate."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, in_dtype
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax


def double_cv(q, f, z, *, omega):
    """Leave-one-out of f + alpha <mean slope of the others, z - q>, less alpha J(q) times the mean slope [Eq. 13.6].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S >= 2 evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     Yes, for any alpha: a slope of the others is independent of z_s - q, whose covariance is J(q), so the added
                  part has the expectation alpha J(q) E[f'], which is subtracted.

    q: independent latents, or logits (B, N, K). z: codes drawn from q, (S, B, N). omega: {"alpha": ()}; alpha = 0 is
    reinforce_loo. domega is the gradient of the squared estimate. (Titsias & Shi 2022, for binary latents and two samples.)
    Raises InputError for S = 1.
    """
    logits, z = logits_and_codes(q, z, fewest=2)
    S, (q, softmax_backward) = len(z), softmax(logits)
    hard = one_hot(z, q.shape[-1], q.dtype)  # (S, B, N, K)
    fz, f_backward = evaluated(f, hard)  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / S))
    mean_slope = dz.sum(0)  # (B, N, K)
    others = (S * mean_slope - S * dz) / (S - 1)
    tangent = (others * (hard - q)).sum((-1, -2))  # (S, B)

    def leave_one_out(values):
        return ((values - values.mean(0))[..., None, None] * hard).sum(0) / (S - 1)

    per_alpha = leave_one_out(tangent) - softmax_backward(mean_slope)
    dlogits = leave_one_out(fz) + in_dtype(omega["alpha"], fz.dtype) * per_alpha
    return Estimate(fz.mean(0), Independent(dlogits), dtheta, {"alpha": 2 * (dlogits * per_alpha).sum()})
