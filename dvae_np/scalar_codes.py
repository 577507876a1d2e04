"""Codes without a codebook: each latent is a number that is rounded to one of a few levels, or to a sign.

They are limits of a codebook on a lattice. What is left out in `backward` is that a rounded number does not move: the rounding
is passed over, and all that is smooth before it keeps its slope.
"""

import math

import numpy as np

from dvae_np.arrays import InputError, expect, expect_whole

__all__ = [
    "count_codes",
    "entropies",
    "rounded",
    "signs",
]


def rounded(e, levels):
    """Finite scalar quantisation (Mentzer et al. 2023) [Eq. 21.11]: (y, z) of e (B, N), with L_n = levels[n] levels each.

    y (B, N) are whole numbers around 0 (halves where L_n is even), z (B, N) the codes 0..L_n-1. y is the rounded value of
    half tanh(e + shift) - off; `backward(dy)` returns de as if nothing had been rounded: dy half (1 - tanh^2).
    Raises InputError for fewer than 3 levels: with 2 the shift is so large that nearly every e gets the same code
    (`signs` is for two).
    """
    expect("e", e, ("B", len(levels)))
    for level in levels:
        expect_whole("levels", level, 3)
    L = np.asarray(levels)
    half, off = (L - 1) * (1 + 1e-3) / 2, np.where(L % 2, 0.0, 0.5)
    half, off, shift = (array.astype(e.real.dtype) for array in (half, off, np.arctanh(off / half)))
    t = np.tanh(e + shift)
    y = np.rint((t * half - off).real)
    return (y + off, (y + L // 2).astype(int)), lambda dy: dy * (1 - t * t) * half


def signs(e):
    """Look-up-free quantisation (Yu et al. 2023): (y, z) of e (B, N): y = 1 where e > 0, else -1, and codes z 1 and 0.

    `backward(dy)` returns de = dy. It is `quantise` for the codebook (-1, 1) on each axis. Raises InputError for another shape.
    """
    expect("e", e, ("B", "N"))
    z = (e.real > 0).astype(int)
    return ((2 * z - 1).astype(e.real.dtype), z), lambda dy: dy


def entropies(e, T=1.0):
    """Of q(z_n = 1) = sigmoid(4 e_n / T), the law at temperature T whose cold limit is `signs`: the mean over the batch of its
    entropy, and the sum over the latents of the entropy of the batch's mean, both in nats.

    The latter is an upper bound of the entropy of the mean of the joint law [Eq. 21.12]; a loss that takes it for that entropy
    calls codes diverse that are not. Raises InputError for T of 0 or less.
    """
    expect("e", e, ("B", "N"))
    if not T > 0:
        raise InputError(f"T: expected a temperature above 0, got {T!r}")
    q = 1 / (1 + np.exp(-4 * e / T))
    return float(_entropy(q).sum(1).mean()), float(_entropy(q.mean(0)).sum())


def _entropy(q):
    """-q log q - (1 - q) log(1 - q), with 0 log 0 = 0."""
    total = 0
    for share in (q, 1 - q):
        total = total - share * np.log(np.where(share > 0, share, 1))
    return total


def count_codes(levels):
    """How many codes there are: the product of the levels."""
    return math.prod(levels)
