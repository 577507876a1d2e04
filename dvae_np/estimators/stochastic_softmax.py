"""Stochastic softmax: marginals of perturbed potentials as a smooth stand-in for the code."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import each_array, expect_uniforms, law
from dvae_np.perturbed import gumbel


def stochastic_softmax(q, f, u, *, tau=1.0):
    """The pathwise gradient through y, the marginals of q's potentials with Gumbel noise on the nodes, over tau [Eq. 20.14].

    Approximates: the gradient of an objective of its own, E[f(y)]. As tau -> 0, y becomes the code of the largest perturbed
                  score, whose law is not q (perturb-and-MAP): so E[f(y)] does not become E_q[f], other than by Gumbel-Softmax.
    With:         S evaluations of f and of its gradient, at relaxed codes.
    Unbiased?     No, except for its own objective.

    q: a law whose first array is of the single latents, as a `Chain` or `Subsets`, or logits (B, N, K), for which it is
    Gumbel-Softmax. u: uniforms (S, B, N, K) in (0, 1). tau > 0 (else InputError): the temperature. (Paulus et al. 2020.)
    `value` and dtheta are those of its own objective: not an ELBO.
    """
    q, tau = law(q, "marginals"), expect_temperature("tau", tau)
    expect_uniforms(q, u)
    perturbed = (each_array(lambda array: array / tau, type(q)(q[0] + noise, *q[1:])) for noise in gumbel(u))
    y, backwards = zip(*(each.marginals() for each in perturbed), strict=True)
    fz, f_backward = evaluated(f, np.stack(y))  # (S, B)
    dy, dtheta = f_backward(np.full_like(fz, 1 / len(u)))
    each = [backward(one) for backward, one in zip(backwards, dy, strict=True)]
    return Estimate(fz.mean(0), each_array(lambda *arrays: sum(arrays) / tau, *each), dtheta)
