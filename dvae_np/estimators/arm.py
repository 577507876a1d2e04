"""ARM: one uniform, used twice against itself, for binary latents."""

import numpy as np

from dvae_np.arrays import InputError, evaluated, expect
from dvae_np.estimators.estimate import Estimate, expect_binary
from dvae_np.laws import Independent, independent_logits
from dvae_np.ops import sigmoid


def arm(q, f, e):
    """(f(z') - f(z)) (e - 1/2), with z = [e < p] and z' = [e > 1 - p] from the same uniform e [Eq. 13.1].

    Approximates: the gradient of E_q[f] in the logits of binary latents.
    With:         2 S evaluations of f, none of its gradient.
    Unbiased?     Yes.

    q: independent latents, or logits (B, N, 2); p is the probability of category 1, its logit phi the difference of the
    two. e: uniforms (S, B, N). (Yin & Zhou 2019.) Raises InputError for K other than 2.
    """
    logits = independent_logits(q)
    expect_binary("arm", logits)
    expect("e", e, ("S", *logits.shape[:2]))
    if len(e) < 1:
        raise InputError(f"S: expected at least 1 sample, got {len(e)}")
    p = sigmoid(logits[..., 1] - logits[..., 0])[0]  # (B, N)
    pair = np.stack([e > 1 - p, e < p]).astype(int)  # (2, S, B, N)
    fz, f_backward = evaluated(f, pair.reshape(-1, *e.shape[1:]))
    fz = fz.reshape(2, *e.shape[:2])  # (2, S, B)
    dphi = ((fz[0] - fz[1])[..., None] * (e - 0.5)).mean(0)  # (B, N)
    _, dtheta = f_backward(np.full_like(fz, 0.5 / len(e)).reshape(-1, len(logits)))
    return Estimate(fz.mean((0, 1)), Independent(np.stack([-dphi, dphi], -1)), dtheta)
