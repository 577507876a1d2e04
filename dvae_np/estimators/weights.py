"""What estimators of a multi-sample bound share: the weights of the samples, and the bound that they make."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes
from dvae_np.ops import log_softmax, log_sum_exp


class Weights(NamedTuple):
    """Weights w_s = p(x, z_s) / q(z_s) of S samples, and what an estimate makes of them."""

    logw: np.ndarray  # (S, B)
    share: np.ndarray  # v_s = w_s / sum w, (S, B)
    bound: np.ndarray  # log 1/S sum w, in nats, (B,)
    estimate: (
        Callable  # weights (S, B) of the scores -> Estimate: dq = sum_s weight_s score(z_s), dtheta = sum_s v_s f'(z_s)
    )


def weigh(q, f, z):
    """The `Weights` of codes z (S, B, N) drawn from q: log w = -f(z) - log q(z), f the joint -log p(x, z) [Eq. 9.1, 9.4, 22.2].

    The value of the estimate is the negative bound, and its dtheta the gradient of that. Raises InputError for S = 1.
    """
    logw, logq_backward, f_backward = log_weights(q, f, z)
    log_share = log_softmax(logw.T)[0].T
    share, bound = np.exp(log_share), (logw - log_share)[0] - math.log(len(z))

    def estimate(weights):
        _, dtheta = f_backward(share)
        return Estimate(-bound, logq_backward(weights), dtheta)

    return Weights(logw, share, bound, estimate)


def log_weights(q, f, z):
    """log w (S, B), and the backward passes of log q and of f. Raises InputError for S = 1."""
    q, z = law_and_codes(q, z, fewest=2)
    fz, f_backward = evaluated(f, z)  # (S, B)
    logq, logq_backward = q.log_prob(z)
    return -fz - logq, logq_backward, f_backward


def log_sum_with(own, logw):
    """log of the sum of all weights, each sample's own replaced by exp(own): (S, B), of own and log-weights (S, B).

    The others are added up anew: their sum is never a difference, which is 0 where one weight dominates.
    """
    S = len(logw)
    samples = np.arange(S, like=logw)
    itself = (samples[:, None] == samples)[..., None]  # (S, S, 1)
    return log_sum_exp(np.where(itself, own[:, None], logw), 1)
