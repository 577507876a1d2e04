"""MuProp: REINFORCE with a first-order Taylor expansion as its control variate."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import each_array, law_and_codes


def muprop(q, f, z):
    """What f deviates from its tangent at the mean code, times the score, plus the tangent's exact gradient [Eq. 10.1].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S + 1 evaluations of f, one of its gradient, at the relaxed point y = q.
    Unbiased?     Yes: the tangent's expectation is affine in q, and its gradient J(q) f'(q) is added back.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). (Gu et al. 2016.) The bridge to REBAR: a differentiable
    stand-in for f is subtracted inside, and its gradient, known without a score, added outside.
    """
    q, z = law_and_codes(q, z, 1, "marginals")
    mean, mean_backward = q.marginals()  # (B, N, K)
    fz, f_backward = evaluated(f, z)  # (S, B)
    at_mean, slope_backward = f(mean[None])  # (1, B)
    slope = slope_backward(np.ones_like(at_mean))[0][0]  # (B, N, K)
    tangent = at_mean + (slope * (one_hot(z, mean.shape[-1], mean.dtype) - mean)).sum((-1, -2))  # (S, B)
    dq = q.log_prob(z)[1]((fz - tangent) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), each_array(np.add, dq, mean_backward(slope)), dtheta)
