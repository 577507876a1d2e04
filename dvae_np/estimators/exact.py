"""Exact marginalisation: the sum itself, over every joint state."""

import numpy as np

from dvae_np.additive import Additive, expected
from dvae_np.arrays import InputError, expect_few_states, total
from dvae_np.chain import Chain
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import Independent, each_array, joint_states, law


def exact(q, f, *, block=1024, most_states=2**20):
    """The expectation E_q[f] = sum_z q(z) f(z) over all K**N joint states, and its gradient.

    Approximates: nothing.
    With:         every state evaluated once for the whole batch, as codes (M, 1, N); an `Additive` f by dynamic programming.
    Unbiased?     It is the gradient, with no variance.

    q: a law, or logits (B, N, K). The gradient in the logits is sum_z q(z) f(z) (one_hot(z) - q) [Eq. 4.1, 4.3], in f's
    parameters sum_z q(z) df(z)/dtheta [Eq. 4.4]. The states stream through in blocks, so that the memory does not grow with
    K**N. Raises InputError for more than `most_states` joint states, and for a block of none.
    """
    q = law(q)
    if isinstance(f, Additive) and isinstance(q, Chain | Independent):
        value, expected_backward = expected(q, f)
        return Estimate(value, *expected_backward(np.ones_like(value)))
    B, N, K = q.sizes
    expect_few_states("exact", N, K, B, most_states)
    if block < 1:
        raise InputError(f"block: expected at least 1 state at a time, got {block}")

    probability, value, dq, dtheta = q.probability(), 0, None, {}
    for start in range(0, K**N, block):
        states = joint_states(N, K, start, min(start + block, K**N), like=q[0])  # (m, N)
        weight, weight_backward = probability(states)  # (m, B): q(z)
        fz, f_backward = f(states[:, None])  # (m, B), or (m, 1) where f does not see the example
        value = value + (weight * fz).sum(0)  # (B,)
        dweight = weight_backward(fz)
        dq = dweight if dq is None else each_array(np.add, dq, dweight)
        dtheta = total(dtheta, f_backward(weight if fz.shape == weight.shape else weight.sum(1, keepdims=True))[1])
        del f_backward, weight_backward  # and with them all that they hold, before the next block
    return Estimate(value, dq, dtheta)
