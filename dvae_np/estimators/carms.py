"""CARMS: leave-one-out on samples that avoid each other, with the coupling divided out."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.coupling import pair_probability
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax


def carms(q, f, coupled):
    """The mean over pairs of (f(z_i) - f(z_j)) (z_i - z_j) / 2, each latent weighted by q q / P(pair) [Eq. 13.5].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     Yes: the weight turns an average over coupled pairs into one over independent ones. (It needs every pair of
                  different categories to be possible; equal ones contribute nothing.)

    q: independent latents, or logits (B, N, K). coupled: codes (S, B, N), as `draw` couples them; their pair law is known
    [Eq. 13.4]. (Dimitriev & Zhou 2021; for S = 2 the coupled estimator of Dong, Mnih & Tucker 2021.) With independent
    samples and weight 1 it is reinforce_loo. Raises InputError for S = 1.
    """
    logits, coupled = logits_and_codes(q, coupled, fewest=2)
    S, (B, N, K) = len(coupled), logits.shape
    q, _ = softmax(logits)
    fz, f_backward = evaluated(f, coupled)  # (S, B)
    drawn = q[np.arange(B, like=coupled)[:, None], np.arange(N, like=coupled), coupled]  # (S, B, N)
    pair = pair_probability(q, coupled).astype(q.dtype)  # (S, S, B, N)
    differ = (coupled[:, None] != coupled) & (pair > 0)  # a drawn pair is possible, but for rounding
    ratio = differ * drawn[:, None] * drawn / np.where(differ, pair, 1)
    weight = ratio * (fz[:, None] - fz)[..., None]  # antisymmetric in the pair
    dlogits = (weight.sum(1)[..., None] * one_hot(coupled, K, q.dtype)).sum(0) / (S * (S - 1))
    _, dtheta = f_backward(np.full_like(fz, 1 / S))  # Monte Carlo [Eq. 5.1]: each sample alone is drawn from q
    return Estimate(fz.mean(0), Independent(dlogits), dtheta)
