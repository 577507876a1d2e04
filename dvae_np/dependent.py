"""What laws have in common whose latents depend on each other: q(z) by log q, codes by uniforms, sums over pairs of samples."""

import numpy as np


def by_log_prob(q, states):
    """q(z) of states (m, N): (m, B), of a law that knows log q."""
    logq, log_prob_backward = q.log_prob(states[:, None])
    chance = np.exp(logq)
    return chance, lambda dvalue: log_prob_backward(dvalue * chance)


def rounded(array, dtype):
    """An array, computed in double precision, in that of a law's arrays; complex where it is."""
    return array.astype(np.result_type(dtype, np.complex64) if array.dtype.kind == "c" else dtype, copy=False)


def by_uniforms(weights, u):
    """Codes (S, B) drawn by weights (S, B, K), not normalised, with uniforms u (S, B): as `Independent.codes` inverts them."""
    cumulated = np.cumsum(weights, axis=-1, dtype=np.float64)
    highest = cumulated[..., -1:]
    target = np.minimum(u[..., None] * highest, highest * (1 - 2**-52))
    return (cumulated[..., :-1] <= target).sum(-1)


def paired(left, right, shared):
    """sum_s left_s[i] right_s[j] of (S, B, N, I) and (S, B, N, J): (B, N, I, J), or (1, ...) where it is shared."""
    if shared:
        left, right = (array.reshape(array.shape[0] * array.shape[1], 1, *array.shape[2:]) for array in (left, right))
    return left.transpose(1, 2, 3, 0) @ right.transpose(1, 2, 0, 3)
