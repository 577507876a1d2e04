"""ReinMax: straight-through made second order, by Heun's method."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import Independent, logits_and_codes
from dvae_np.ops import softmax, softmax_jacobian


def reinmax(q, f, z, *, tau=1.0):
    """(2 J((pi + z) / 2) - J(q) / 2) f'(z), with J(p) = diag(p) - p p^T and pi = softmax(logits / tau) [Eq. 8.5].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes.
    Unbiased?     No; exact on average for quadratic f and tau = 1, whatever K. Not always closer than straight-through.

    q: independent latents, or logits (B, N, K). z: codes drawn from q, (S, B, N). (Liu et al. 2023.) The temperature, above
    0 or InputError, enters pi alone; the Jacobian is not divided by it.
    """
    logits, z = logits_and_codes(q, z)
    tau = expect_temperature("tau", tau)
    hard = one_hot(z, logits.shape[-1], logits.dtype)  # (S, B, N, K)
    fz, f_backward = evaluated(f, hard)  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(z)))
    middle = (softmax(logits / tau)[0] + hard) / 2
    dlogits = 2 * softmax_jacobian(middle, dz).sum(0) - softmax_jacobian(softmax(logits)[0], dz.sum(0)) / 2
    return Estimate(fz.mean(0), Independent(dlogits), dtheta)
