"""Sum and sample: states drawn without replacement, all but the last summed exactly."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes


def sum_and_sample(q, f, distinct):
    """q f score summed over the first S - 1 states drawn without replacement, plus the last, weighted by what is left
    [Eq. 12.4].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes: given the others, the last state is a draw from q restricted to what they leave.

    q: a law, or logits (B, N, K). distinct: S joint states drawn without replacement, in their order, as codes (S, B, N).
    (Liang et al. 2018; Kool et al. 2020.) With S = K**N states it is exact.
    """
    q, distinct = law_and_codes(q, distinct)
    logq, log_prob_backward = q.log_prob(distinct)
    weight = np.exp(logq)  # (S, B)
    weight[-1] = np.maximum(1 - weight[:-1].sum(0), 0)
    fz, f_backward = evaluated(f, distinct)
    _, dtheta = f_backward(weight)
    return Estimate((weight * fz).sum(0), log_prob_backward(weight * fz), dtheta)
