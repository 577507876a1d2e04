"""REINFORCE with the constant baseline of least variance, estimated from the other samples."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes


def reinforce_optimal(q, f, z):
    """(f(z_s) - b_s) times the score, b_s the closed form E[f |score|^2] / E[|score|^2] over the *other* samples [Eq. 6.2].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     Yes: a sample's baseline is made of the other, independent samples. From its own it would be biased.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). (Weaver & Tao 2001; Greensmith et al. 2004.) For S = 2
    there is one other sample, its weight cancels, and this is reinforce_loo. Raises InputError for S = 1.
    """
    q, z = law_and_codes(q, z, fewest=2)
    S = len(z)
    fz, f_backward = evaluated(f, z)  # (S, B)
    weight = sum((each**2).sum(tuple(range(2, each.ndim))) for each in q.score(z))  # |score|^2, (S, B)
    weight = weight + np.finfo(weight.dtype).tiny  # where q is certain the score is zero, and so is the gradient
    samples = np.arange(S, like=z)
    itself = (samples[:, None] == samples)[..., None]  # (S, S, 1)
    others = np.where(itself, 0, weight)  # (S, S, B); their sum less one's own would lose the digits of the small ones
    centre = fz.mean(0)  # taken off before the sums, so that large f loses no digits
    baseline = centre + (others * (fz - centre)).sum(1) / others.sum(1)
    dq = q.log_prob(z)[1]((fz - baseline) / S)
    _, dtheta = f_backward(np.full_like(fz, 1 / S))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dq, dtheta)
