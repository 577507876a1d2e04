"""REINFORCE with the constant baseline of least variance, estimated from the other samples."""

import numpy as np

from dvae_np.arrays import expect
from dvae_np.categorical import log_prob, score
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn


def reinforce_optimal(logits, f, z):
    """(f(z_s) - b_s) times the score, b_s the closed form E[f |score|^2] / E[|score|^2] over the *other* samples [Eq. 6.4].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     Yes: a sample's baseline is made of the other, independent samples. From its own it would be biased.

    logits: (B, N, K). z: codes drawn from q, (S, B, N). (Weaver & Tao 2001; Greensmith et al. 2004.) For S = 2 there is one
    other sample, its weight cancels, and this is reinforce_loo. Raises InputError for S = 1.
    """
    z = expect_codes_drawn(logits, z, fewest=2)
    S = len(z)
    fz, f_backward = f(z)  # (S, B)
    expect("fz", fz, z.shape[:2])
    weight = (score(logits, z) ** 2).sum((-1, -2))  # (S, B)
    weight = weight + np.finfo(weight.dtype).tiny  # where q is certain the score is zero, and so is the gradient
    samples = np.arange(S, like=z)
    itself = (samples[:, None] == samples)[..., None]  # (S, S, 1)
    others = np.where(itself, 0, weight)  # (S, S, B); their sum less one's own would lose the digits of the small ones
    centre = fz.mean(0)  # taken off before the sums, so that large f loses no digits
    baseline = centre + (others * (fz - centre)).sum(1) / others.sum(1)
    dlogits, _ = log_prob(logits, z)[1]((fz - baseline) / S)
    _, dtheta = f_backward(np.full_like(fz, 1 / S))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dlogits, dtheta)
