"""Local expectation gradients: one latent summed over exactly, the others sampled."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax


def local_expectation(q, f, z):
    """For each latent the exact gradient of its own sum, given samples of the others: J(q_n) F_n [Eq. 12.1].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S N K evaluations of f, at the samples with one latent replaced by each category; none of its gradient.
    Unbiased?     Yes: a Rao-Blackwellisation of REINFORCE. With one latent it is exact, with no variance.

    q: independent latents, or logits (B, N, K). z: codes drawn from q, (S, B, N). F_nk is f where z_n is set to k, the
    others as drawn. `value` and dtheta use all evaluations, each weighted by q_nk / N. (Titsias & Lazaro-Gredilla 2015;
    Tokui & Sato 2017.)
    """
    logits, z = logits_and_codes(q, z)
    S, (B, N, K) = len(z), logits.shape
    q, softmax_backward = softmax(logits)
    replaced = np.broadcast_to(z[:, None, None], (S, N, K, B, N)).copy()
    for n in range(N):
        replaced[:, n, ..., n] = np.arange(K, like=z)[:, None]
    fz, f_backward = evaluated(f, replaced.reshape(-1, B, N))  # (S N K, B)
    F = fz.reshape(S, N, K, B).transpose(0, 3, 1, 2)  # (S, B, N, K)
    weight = np.broadcast_to(q.transpose(1, 2, 0) / (S * N), (S, N, K, B)).reshape(-1, B)
    _, dtheta = f_backward(weight)
    return Estimate((weight * fz).sum(0), Independent(softmax_backward(F).mean(0)), dtheta)
