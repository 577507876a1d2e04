"""Exact marginalisation: the sum itself, over every joint state."""

from functools import reduce

import numpy as np

from dvae_np.arrays import InputError, expect, total
from dvae_np.categorical import joint_states
from dvae_np.estimators.estimate import Estimate, expect_few_states
from dvae_np.ops import rows_by_code, softmax


def exact(logits, f, *, block=1024, most_states=2**20):
    """The expectation E_q[f] = sum_z q(z) f(z) over all K**N joint states, and its gradient.

    Approximates: nothing.
    With:         every state evaluated once for the whole batch: f takes the states as codes (M, 1, N).
    Unbiased?     It is the gradient, with no variance.

    logits: (B, N, K). The gradient in the logits is sum_z q(z) f(z) (one_hot(z) - q) [Eq. 4.1, 4.2], in f's parameters
    sum_z q(z) df(z)/dtheta [Eq. 4.3]. The states stream through in blocks, so that the memory does not grow with K**N.
    Raises InputError for more than `most_states` joint states, and for a block of none.
    """
    expect("logits", logits, ("B", "N", "K"))
    B, N, K = logits.shape
    expect_few_states("exact", N, K, B, most_states)
    if block < 1:
        raise InputError(f"block: expected at least 1 state at a time, got {block}")
    M = K**N

    q = by_state(softmax(logits)[0])  # (N, K, B)
    value, by_code, dtheta = 0, None, {}
    for start in range(0, M, block):
        states = joint_states(N, K, start, min(start + block, M), like=logits)  # (m, N)
        weight = reduce(np.multiply, (q[n][states[:, n]] for n in range(N)))  # (m, B): q(z), a product over the latents
        fz, f_backward = f(states[:, None])  # (m, B), or (m, 1) where f does not see the example
        weighted = weight * fz
        value = value + weighted.sum(0)  # (B,)
        by_code = rows_by_code(states, weighted, K, by_code)  # (N, K, B): q f summed over the states with z_n = k
        dtheta = total(dtheta, f_backward(weight if fz.shape == weight.shape else weight.sum(1, keepdims=True))[1])
        del f_backward  # and with it all that it holds, before the next block
    return Estimate(value, (by_code - q * value).transpose(2, 0, 1), dtheta)


def by_state(q):
    """q (B, N, K) as (N, K, B): few examples at a time, as the rows that are read in turn fit into a cache; more if short."""
    B, N, K = q.shape
    few = max(16, 2**13 // (N * K))
    transposed = np.empty((N, K, B), q.dtype, like=q)
    for start in range(0, B, few):
        transposed[..., start : start + few] = q[start : start + few].transpose(1, 2, 0)
    return transposed
