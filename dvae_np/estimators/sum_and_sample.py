"""Sum and sample: states drawn without replacement, all but the last summed exactly."""

import numpy as np

from dvae_np.arrays import expect
from dvae_np.categorical import log_prob
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn


def sum_and_sample(logits, f, distinct):
    """q f score summed over the first S - 1 states drawn without replacement, plus the last, weighted by what is left
    [Eq. 12.4].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes: given the others, the last state is a draw from q restricted to what they leave.

    logits: (B, N, K). distinct: S joint states drawn without replacement, in their order, as codes (S, B, N). (Liang et al.
    2018; Kool et al. 2020.) With S = K**N states it is exact.
    """
    distinct = expect_codes_drawn(logits, distinct)
    logq, log_prob_backward = log_prob(logits, distinct)
    weight = np.exp(logq)  # (S, B)
    weight[-1] = np.maximum(1 - weight[:-1].sum(0), 0)
    fz, f_backward = f(distinct)
    expect("fz", fz, distinct.shape[:2])
    _, dtheta = f_backward(weight)
    return Estimate((weight * fz).sum(0), log_prob_backward(weight * fz)[0], dtheta)
