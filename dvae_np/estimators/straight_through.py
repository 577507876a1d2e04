"""Straight-through: the gradient at the sample, sent through the softmax as if nothing had been sampled."""

import numpy as np

from dvae_np.arrays import evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, expect_temperature
from dvae_np.laws import each_array, law_and_codes


def straight_through(q, f, z, *, tau=1.0):
    """f's gradient at the one-hot sample times the Jacobian of the marginals, softmax(logits / tau) [Eq. 8.1].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S evaluations of f and of its gradient, at one-hot codes drawn from q.
    Unbiased?     No; exact on average for affine f and tau = 1: a first-order method.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). tau > 0 (else InputError): the temperature of the
    backward pass. (Bengio et al. 2013, in the form with a softmax; on `Subsets` Ahmed et al. 2023.) `value` and dtheta are
    unbiased.
    """
    q, z = law_and_codes(q, z, 1, "marginals")
    tau = expect_temperature("tau", tau)
    fz, f_backward = evaluated(f, one_hot(z, q.sizes[-1], q[0].dtype))  # (S, B)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(z)))
    _, marginals_backward = each_array(lambda array: array / tau, q).marginals()  # of logits: softmax(logits / tau)
    return Estimate(fz.mean(0), each_array(lambda array: array / tau, marginals_backward(dz.sum(0))), dtheta)
