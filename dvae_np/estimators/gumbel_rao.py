"""Gumbel-Rao: straight-through Gumbel-Softmax, averaged over the noise that leads to the same code."""

import numpy as np

from dvae_np.arrays import InputError, evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import Independent, independent_logits, law_and_codes
from dvae_np.ops import softmax
from dvae_np.perturbed import conditional_gumbel


def gumbel_rao(q, f, z, *v, tau=1.0):
    """f's gradient at the code, times the mean Jacobian of the soft sample given that code [Eq. 8.3].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S evaluations of f and of its gradient, at one-hot codes, however many draws v average the Jacobian.
    Unbiased?     No: the mean of straight_through_gumbel, with less variance (Rao-Blackwell over the Gumbel noise).

    q: independent latents, or logits (B, N, K). z: codes drawn from q, (S, B, N). v: one or more arrays of uniforms (S, B,
    N, K), one for each draw of the noise given z. tau > 0 (else InputError): the temperature. (Paulus, Maddison & Krause
    2021.)
    """
    q, z = law_and_codes(q, z)
    logits = independent_logits(q, *v)
    tau = expect_temperature("tau", tau)
    if not v:
        raise InputError("v: expected at least one array of uniforms after z, got none")
    fz, f_backward = evaluated(f, one_hot(z, logits.shape[-1], logits.dtype))  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(z)))
    dlogits = 0
    for uniforms in v:
        _, softmax_backward = softmax(conditional_gumbel(logits, z, uniforms)[0] / tau)
        dlogits = dlogits + softmax_backward(dz).sum(0) / (tau * len(v))
    return Estimate(fz.mean(0), Independent(dlogits), dtheta)
