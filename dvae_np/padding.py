"""Chains of several lengths in one batch: the latents that are too many are certain, and have no part in anything."""

import numpy as np

from dvae_np.arrays import InputError, expect, summed_to
from dvae_np.chain import Chain


def padded(unary, pairwise, lengths):
    """A `Chain` whose examples have the first `lengths` (B,) latents alone: all others have code 0, with certainty.

    Potentials (B, N, K) and (B or 1, N-1, K, K) as in `Chain`; the result's pairwise potentials are each example's own.
    `backward(dq)` returns (dunary, dpairwise, None), 0 at what is left out. Raises InputError for lengths outside 1..N.
    """
    Chain(unary, pairwise).expect()
    B, N, K = unary.shape
    expect("lengths", lengths, (B,), "i")
    if not ((lengths >= 1) & (lengths <= N)).all():
        raise InputError(
            f"lengths: expected whole numbers from 1 to N = {N}, got {int(lengths.min())} to {int(lengths.max())}"
        )
    there = np.arange(N, like=lengths) < lengths[:, None]  # (B, N)
    certain = np.where(np.arange(K, like=lengths) == 0, 0, -np.inf).astype(unary.dtype)
    node, edge = there[..., None], there[:, 1:, None, None]
    chain = Chain(np.where(node, unary, certain), np.where(edge, pairwise, np.zeros_like(unary[0, 0, 0])))

    def padded_backward(dq):
        return np.where(node, dq.unary, 0), summed_to(pairwise.shape, np.where(edge, dq.pairwise, 0)), None

    return chain, padded_backward
