"""REINFORCE, the score-function estimator, with no baseline or a constant one."""

import numpy as np

from dvae_np.arrays import evaluated, expect
from dvae_np.estimators.estimate import Estimate, in_dtype
from dvae_np.laws import law_and_codes


def reinforce(q, f, z, *, baseline=0.0):
    """(f(z) - baseline) times the score of z, averaged over S samples [Eq. 5.2, 6.1] (Williams 1992).

    Approximates: the gradient of E_q[f] in the parameters of q, E_q[f(z) grad log q(z)].
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes, for any baseline that does not depend on these samples.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). baseline: a number, or an array that broadcasts to
    (S, B), else InputError.
    """
    q, z = law_and_codes(q, z)
    fz, f_backward = evaluated(f, z)  # (S, B)
    baseline = in_dtype(baseline, fz.dtype)
    expect("fz - baseline", fz - baseline, fz.shape)
    _, log_prob_backward = q.log_prob(z)
    dq = log_prob_backward((fz - baseline) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dq, dtheta)
