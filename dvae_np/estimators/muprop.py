"""MuProp: REINFORCE with a first-order Taylor expansion as its control variate."""

import numpy as np

from dvae_np.arrays import expect, one_hot
from dvae_np.categorical import log_prob
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn
from dvae_np.ops import softmax


def muprop(logits, f, z):
    """What f deviates from its tangent at the mean code q, times the score, plus the tangent's exact gradient [Eq. 10.3].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S + 1 evaluations of f, one of its gradient, at the relaxed point y = q.
    Unbiased?     Yes: the tangent's expectation is affine in q, and its gradient J(q) f'(q) is added back.

    logits: (B, N, K). z: codes drawn from q, (S, B, N). (Gu et al. 2016.) The bridge to REBAR: a differentiable stand-in
    for f is subtracted inside, and its gradient, known without a score, added outside.
    """
    z = expect_codes_drawn(logits, z)
    q, softmax_backward = softmax(logits)
    fz, f_backward = f(z)  # (S, B)
    expect("fz", fz, z.shape[:2])
    at_mean, mean_backward = f(q[None])  # (1, B)
    slope = mean_backward(np.ones_like(at_mean))[0][0]  # (B, N, K)
    tangent = at_mean + (slope * (one_hot(z, q.shape[-1], q.dtype) - q)).sum((-1, -2))  # (S, B)
    dlogits, _ = log_prob(logits, z)[1]((fz - tangent) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dlogits + softmax_backward(slope), dtheta)
