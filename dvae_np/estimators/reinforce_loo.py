"""REINFORCE where the other samples are each sample's baseline."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes


def reinforce_loo(q, f, z):
    """(f(z_s) - mean of f over the other samples) times the score of z_s, averaged over S samples [Eq. 6.5].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     Yes: each sample's baseline is made of the other, independent samples.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). (Salimans & Knowles 2014; Kool et al. 2019.) The
    difference from the others' mean is S/(S-1) times the difference from the mean of all: with S in place of S - 1 the
    gradient would be too small by exactly 1 - 1/S. Raises InputError for S = 1.
    """
    q, z = law_and_codes(q, z, fewest=2)
    S = len(z)
    fz, f_backward = evaluated(f, z)  # (S, B)
    _, log_prob_backward = q.log_prob(z)
    dq = log_prob_backward((fz - fz.mean(0)) / (S - 1))
    _, dtheta = f_backward(np.full_like(fz, 1 / S))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dq, dtheta)
