"""OVIS: a multi-sample bound's learning signal without the constant that VIMCO's baseline leaves in it."""

import math

import numpy as np

from dvae_np.estimators.estimate import in_dtype
from dvae_np.estimators.weights import log_sum_with, weigh


def ovis(q, f, z, *, gamma=0.0):
    """sum_s [log(1 - v_s) + (1 - gamma) v_s - gamma log(1 - 1/S)] score(z_s), with the shares v = w / sum w [Eq. 9.5].

    Approximates: the gradient of the negative multi-sample bound, plus gamma times wake-phi's [Eq. 22.6].
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     For gamma = 0, for that bound. With gamma = 1, which the paper advises where most samples count, it is
                  unbiased for the sum of the bound's gradient and wake-phi's, and at large S wake-phi's is nearly all of it.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). f: the joint -log p(x, z), as `dvae_np.vae.joint` makes it.
    For gamma = 0 it is arithmetic VIMCO, less a constant times the scores. log(1 - v_s) is the log-sum of the other weights
    less that of all. (Lievin et al. 2020, the asymptotic form.) Raises InputError for S = 1.
    """
    S, (logw, share, bound, estimate) = len(z), weigh(q, f, z)
    gamma = in_dtype(gamma, share.dtype)
    log_rest = log_sum_with(np.full_like(logw, -np.inf), logw) - (bound + math.log(S))  # log(1 - v_s)
    return estimate(log_rest + (1 - gamma) * share - gamma * math.log(1 - 1 / S))
