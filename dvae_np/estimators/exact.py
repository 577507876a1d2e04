"""Exact marginalisation: the sum itself, over every joint state."""

import numpy as np

from dvae_np.arrays import InputError, expect, total
from dvae_np.categorical import joint_states, log_prob
from dvae_np.estimators.estimate import Estimate


def exact(logits, f, *, block=512, most_states=2**20):
    """The expectation E_q[f] = sum_z q(z) f(z) over all K**N joint states, and its gradient.

    Approximates: nothing.
    With:         every state evaluated once for the whole batch: f takes the states as codes (M, 1, N).
    Unbiased?     It is the gradient, with no variance.

    logits: (B, N, K). The gradient in the logits is sum_z q(z) f(z) (one_hot(z) - q) [Eq. 4.1, 4.2], in f's parameters
    sum_z q(z) df(z)/dtheta [Eq. 4.3]. The states stream through in blocks, so that the memory does not grow with K**N.
    Raises InputError for more than `most_states` joint states.
    """
    expect("logits", logits, ("B", "N", "K"))
    B, N, K = logits.shape
    M = K**N
    if M > most_states:
        gigabytes = M * B * logits.dtype.itemsize / 2**30
        raise InputError(
            f"exact: K**N = {K}**{N} = {M} joint states are more than {most_states} (f for all of them and {B} examples "
            f"is {gigabytes:.3g} GB to compute); raise most_states, or sample: reinforce_loo, gumbel_softmax"
        )

    value, dlogits, dtheta = np.zeros_like(logits[:, 0, 0]), np.zeros_like(logits), {}
    for start in range(0, M, block):
        z = joint_states(N, K, start, min(start + block, M), like=logits)[:, None]  # (m, 1, N)
        logq, log_prob_backward = log_prob(logits, z)
        fz, f_backward = f(z)  # (m, B), or (m, 1) where f does not see the example
        q = np.exp(logq)  # (m, B)
        value += (q * fz).sum(0)
        dlogits += log_prob_backward(q * fz)[0]  # dq = q dlog q
        dtheta = total(dtheta, f_backward(q if fz.shape == q.shape else q.sum(1, keepdims=True))[1])
    return Estimate(value, dlogits, dtheta)
