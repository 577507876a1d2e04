"""RODEO: control variates whose mean a Stein operator makes zero, of a surrogate that the other samples' tangents make."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, in_dtype
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax


def rodeo(q, f, z, *, omega):
    """Leave-one-out, less alpha times (A h)(z_t) in each baseline, plus beta times (A [h score])(z_s) [Eq. 13.8].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S >= 2 evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     Yes, for any alpha and beta: E_q[A h] = 0 for every h, as A h is the mean over the latents of h with that
                  latent redrawn, less h [Eq. 13.7]; and sample s has a surrogate h that is made of the others.

    h_s is the mean of the other samples' tangents, less the mean of their f. (Shi et al. 2022, whose surrogate is a network of
    these tangents, learned too.)

    q: independent latents, or logits (B, N, K). z: codes drawn from q, (S, B, N). omega: {"alpha": (), "beta": ()}; both zero
    are reinforce_loo. domega is the gradient of the squared estimate. Raises InputError for S = 1.
    """
    logits, z = logits_and_codes(q, z, fewest=2)
    S, N, (q, softmax_backward) = len(z), z.shape[-1], softmax(logits)
    hard = one_hot(z, q.shape[-1], q.dtype)  # (S, B, N, K)
    away = hard - q
    fz, f_backward = evaluated(f, hard)  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / S))
    slope = S * dz

    def of_others(each):
        return (each.sum(0) - each) / (S - 1)

    tangent = of_others(slope)  # the slope of h_s, (S, B, N, K)
    h = (tangent * hard).sum((-1, -2)) - of_others((slope * hard).sum((-1, -2)))  # h_s(z_s), (S, B)
    redrawn = -(tangent * away).sum(-1)  # what h_s gains on average if a latent is redrawn, (S, B, N)
    elsewhere = redrawn.sum(-1, keepdims=True) - redrawn - h[..., None]
    per_alpha = -(of_others(redrawn.mean(-1))[..., None, None] * away).mean(0)
    per_beta = ((elsewhere[..., None] * away).mean(0) + softmax_backward(slope.mean(0))) / N
    alpha, beta = (in_dtype(omega[name], fz.dtype) for name in ("alpha", "beta"))
    dlogits = ((fz - of_others(fz))[..., None, None] * away).mean(0) + alpha * per_alpha + beta * per_beta
    domega = {"alpha": 2 * (dlogits * per_alpha).sum(), "beta": 2 * (dlogits * per_beta).sum()}
    return Estimate(fz.mean(0), Independent(dlogits), dtheta, domega)
