"""The Concrete distribution, and the three things that go by the name of KL in Gumbel-Softmax VAEs.

analytic   KL(q || p) of the categoricals (`categorical.kl`): exact, but beside a relaxed reconstruction not a bound
relaxed    log q_tau(y) - log p_tau(y) at the relaxed sample: a bound of the relaxed model, above the discrete KL
plug-in    sum_k y_k log(q_k / p_k): a discrete formula at a relaxed sample. Not a KL: it can be negative

A logit of -inf rules its category out: all is as if the category were not there, and its gradient is 0.
"""

import math

import numpy as np

from dvae_np.arrays import InputError, expect, expect_temperature, summed_to
from dvae_np.ops import log_softmax, softmax
from dvae_np.perturbed import gumbel


def concrete_log_prob(logits, xi, tau):
    """log density of xi = log y, for y Concrete with these logits and temperature, over the N latents: (S, B) [Eq. 7.4].

    logits: (B, N, K). xi: (S, B, N, K), logarithms that exponentiate to points of the simplex. In log space the density
    stays finite where categories of y underflow. `backward(dvalue)` returns (dlogits, dxi, None). (Maddison et al. 2017.)
    Raises InputError for a temperature that is not above zero and for shapes that do not fit.
    """
    tau = expect_temperature("tau", tau)
    expect("logits", logits, ("B", "N", "K"))
    expect("xi", xi, ("S", *xi.shape[1:2], *logits.shape[1:]))
    possible = logits.real > -np.inf  # (B, N, K)
    shifted = logits - tau * np.where(possible, xi, 0)  # (S, B, N, K)
    log_share, log_softmax_backward = log_softmax(shifted)
    counts = range(1, logits.shape[-1] + 1)
    constants = np.array([math.lgamma(K) + (K - 1) * math.log(tau) for K in counts], logits.real.dtype, like=logits)
    value = (np.where(possible, log_share, 0).sum(-1) + constants[possible.sum(-1) - 1]).sum(-1)

    def backward(dvalue):
        dshifted = log_softmax_backward(np.where(possible, dvalue[..., None, None], 0))
        return dshifted.sum(0), -tau * dshifted, None

    return value, backward


def relaxed_kl(logits, u, tau, prior_logits=None):
    """log q_tau(y) - log p_tau(y) at y = softmax((logits + Gumbel) / tau), an estimate of the relaxed KL: (S, B) [Eq. 7.5].

    logits: (B, N, K). u: uniforms (S, B, N, K). prior_logits: (1, N, K) or (B, N, K), None for uniform; posterior and
    prior share tau, so that the expectation does not depend on it. `backward(dvalue)` returns
    (dlogits, None, None, dprior_logits), the first through y as well, the last None for the uniform prior. Raises InputError
    as `concrete_log_prob`, and where one rules out a category that the other does not: the KL is infinite there.
    """
    tau = expect_temperature("tau", tau)
    expect("logits", logits, ("B", "N", "K"))
    expect("u", u, ("S", *logits.shape))
    possible = logits.real > -np.inf
    if not (possible if prior_logits is None else possible == (prior_logits.real > -np.inf)).all():
        raise InputError(
            "prior_logits: expected -inf where the logits are, and nowhere else, or the relaxed KL is infinite"
        )
    xi, path_backward = log_softmax((logits + gumbel(u)) / tau)
    log_q, q_backward = concrete_log_prob(logits, xi, tau)
    log_p, p_backward = concrete_log_prob(np.zeros_like(logits) if prior_logits is None else prior_logits, xi, tau)

    def backward(dvalue):
        dlogits, dxi, _ = q_backward(dvalue)
        dprior_logits, dxi_prior, _ = p_backward(-dvalue)
        dprior_logits = None if prior_logits is None else summed_to(prior_logits.shape, dprior_logits)
        return dlogits + path_backward(dxi + dxi_prior).sum(0) / tau, None, None, dprior_logits

    return log_q - log_p, backward


def plug_in_kl(logits, u, tau, prior_logits=None):
    """sum_k y_k (log q_k - log p_k) at the relaxed y, what some code calls KL: (S, B) [Eq. 7.6].

    Here to be shown wrong: its expectation is below the KL, and for large tau below zero. Arguments and errors as `relaxed_kl`.
    """
    tau = expect_temperature("tau", tau)
    expect("logits", logits, ("B", "N", "K"))
    expect("u", u, ("S", *logits.shape))
    y, path_backward = softmax((logits + gumbel(u)) / tau)
    logq, log_softmax_backward = log_softmax(logits)
    logp, prior_backward = log_softmax(np.zeros_like(logits) if prior_logits is None else prior_logits)
    possible = logq.real > -np.inf
    ratio = np.where(possible, logq, 0) - np.where(possible, logp, 0)

    def backward(dvalue):
        dvalue = dvalue[..., None, None]
        dratio = (dvalue * y).sum(0)  # (B, N, K)
        dlogits = log_softmax_backward(dratio) + path_backward(dvalue * ratio).sum(0) / tau
        dprior = None if prior_logits is None else prior_backward(-summed_to(prior_logits.shape, dratio))
        return dlogits, None, None, dprior

    return (y * ratio).sum((-1, -2)), backward
