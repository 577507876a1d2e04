"""DisARM: ARM with its uniform integrated out, for binary latents."""

import numpy as np

from dvae_np.arrays import InputError, evaluated
from dvae_np.estimators.estimate import Estimate, expect_binary
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import sigmoid


def disarm(q, f, coupled):
    """(f(z) - f(z')) / 2 times (z - z') sigmoid(|phi|), for an antithetic pair z, z' [Eq. 13.2].

    Approximates: the gradient of E_q[f] in the logits of binary latents.
    With:         S = 2 evaluations of f, none of its gradient.
    Unbiased?     Yes: ARM, averaged over the uniforms that give the same pair.

    q: independent latents, or logits (B, N, 2); phi is the difference of the two. coupled: an antithetic pair of codes (2,
    B, N), as `draw` makes them. (Dong, Mnih & Tucker 2020; Yin et al. 2020.) Raises InputError for K other than 2 and S
    other than 2.
    """
    logits, coupled = logits_and_codes(q, coupled)
    expect_binary("disarm", logits)
    if len(coupled) != 2:
        raise InputError(f"S: disarm takes one antithetic pair, S = 2, got {len(coupled)}; carms takes more")
    fz, f_backward = evaluated(f, coupled)  # (2, B)
    phi = logits[..., 1] - logits[..., 0]
    weight = sigmoid(np.where(phi.real > 0, phi, -phi))[0]  # (B, N)
    difference = (coupled[0] - coupled[1]).astype(weight.dtype)
    dphi = 0.5 * (fz[0] - fz[1])[:, None] * difference * weight
    _, dtheta = f_backward(np.full_like(fz, 0.5))
    return Estimate(fz.mean(0), Independent(np.stack([-dphi, dphi], -1)), dtheta)
