"""REINFORCE, the score-function estimator, with no baseline or a constant one."""

import numpy as np

from dvae_np.arrays import expect
from dvae_np.categorical import log_prob
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn, in_dtype


def reinforce(logits, f, z, *, baseline=0.0):
    """(f(z) - baseline) times the score of z, averaged over S samples [Eq. 5.2, 6.1] (Williams 1992).

    Approximates: the gradient of E_q[f] in the logits, E_q[f(z) grad log q(z)].
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes, for any baseline that does not depend on these samples.

    logits: (B, N, K). z: codes drawn from q, (S, B, N). baseline: a number, or an array that broadcasts to (S, B).
    """
    z = expect_codes_drawn(logits, z)
    fz, f_backward = f(z)  # (S, B)
    expect("fz", fz, z.shape[:2])
    baseline = in_dtype(baseline, fz.dtype)
    expect("fz - baseline", fz - baseline, fz.shape)
    _, log_prob_backward = log_prob(logits, z)
    dlogits, _ = log_prob_backward((fz - baseline) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dlogits, dtheta)
