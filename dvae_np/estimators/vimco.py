"""VIMCO: REINFORCE for the multi-sample bound, each sample's baseline made of the others."""

import math

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.estimators.weights import log_sum_with, weigh


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
    if mean not in ("geometric", "arithmetic"):
        raise InputError(f"mean: expected geometric or arithmetic, got {mean!r}")
    S, (logw, share, bound, estimate) = len(z), weigh(q, f, z)
    if mean == "geometric":
        own = (logw.sum(0) - logw) / (S - 1)
    else:
        own = log_sum_with(np.full_like(logw, -np.inf), logw) - math.log(S - 1)
    baseline = log_sum_with(own, logw) - math.log(S)
    return estimate(share - (bound - baseline))
