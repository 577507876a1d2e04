"""VIMCO: REINFORCE for the multi-sample bound, each sample's baseline made of the others."""

import math

import numpy as np

from dvae_np.arrays import InputError, evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes
from dvae_np.ops import log_softmax, log_sum_exp


def vimco(q, f, z, *, mean="geometric"):
    """The gradient of -E[log 1/S sum_s w_s], log w = -f(z) - log q(z) [Eq. 9.1, 9.2].

    Approximates: the gradient of the negative multi-sample bound, which contains the KL: it is the whole objective.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     Yes, for that bound, with either mean.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). f: for a VAE the joint -log p(x, z) = -log p(x|z) - log
    p(z), as `dvae_np.vae.joint` makes it, so that dtheta has the prior's gradient too.
    mean: what stands in for a sample's own weight in its baseline, the "geometric" or the "arithmetic" mean of the others
    [Eq. 9.3]. The second part of the gradient, through log q(z) in the weights themselves, is part of it. (Mnih & Rezende
    2016.) Raises InputError for S = 1 and for another mean.
    """
    q, z = law_and_codes(q, z, fewest=2)
    if mean not in ("geometric", "arithmetic"):
        raise InputError(f"mean: expected geometric or arithmetic, got {mean!r}")
    S = len(z)
    fz, f_backward = evaluated(f, z)  # (S, B)
    logq, logq_backward = q.log_prob(z)
    logw = -fz - logq

    log_share = log_softmax(logw.T)[0].T  # log of the normalised weights, (S, B)
    bound = (logw - log_share)[0] - math.log(S)  # (B,)
    samples = np.arange(S, like=z)
    itself = (samples[:, None] == samples)[..., None]  # (S, S, 1)
    without = np.where(itself, -np.inf, logw)  # (S, S, B), row s lacks sample s
    if mean == "geometric":
        own = (logw.sum(0) - logw) / (S - 1)
    else:
        own = log_sum_exp(without, 1) - math.log(S - 1)
    baseline = log_sum_exp(np.where(itself, own[:, None], without), 1) - math.log(S)

    dq = logq_backward(np.exp(log_share) - (bound - baseline))
    _, dtheta = f_backward(np.exp(log_share))
    return Estimate(-bound, dq, dtheta)
