"""Codes drawn so that the samples of one example avoid each other, each with the marginal law q.

S uniforms are coupled by the Dirichlet copula: for d uniform on the simplex, u_i = (1 - d_i)^(S-1) is uniform, and one
large u_i leaves little for the others; for S = 2 it is the antithetic pair u, 1 - u. Each latent's code is found by
inverting q's distribution function with its categories in a random order. The order matters: with a fixed one, some
pairs of categories could never meet, and what they contribute would be lost. Here an ordered pair (first, last) of
categories is drawn evenly, and the others keep their places between: every pair of different categories can meet.
(Dimitriev & Zhou 2021; Dong, Mnih & Tucker 2021.)
"""

import numpy as np

from dvae_np.ops import softmax


def coupled_codes(logits, uniforms):
    """Coupled codes (S, B, N) from uniforms (S + 1, B, N): S make the copula, the last one chooses the order [Eq. 12.9]."""
    S, K = len(uniforms) - 1, logits.shape[-1]
    q, _ = softmax(logits)
    exponential = -np.log(uniforms[:S])
    u = (1 - exponential / exponential.sum(0)) ** (S - 1) if S > 1 else uniforms[:1]  # (S, B, N)
    orders = ends_orders(K, like=logits)  # (O, K)
    chosen = orders[np.minimum((uniforms[S] * len(orders)).astype(int), len(orders) - 1)]  # (B, N, K)
    B, N = np.arange(len(q), like=logits)[:, None, None], np.arange(q.shape[1], like=logits)[:, None]
    cumulated = np.cumsum(q[B, N, chosen], axis=-1)  # (B, N, K)
    place = (cumulated[..., :-1] <= (u * cumulated[..., -1])[..., None]).sum(-1)  # (S, B, N)
    return chosen[B[..., 0], N[:, 0], place]


def pair_probability(q, z):
    """The probability that two of S coupled samples have the codes that they have: (S, S, B, N) [Eq. 12.10].

    q: (B, N, K). z: codes (S, B, N). The mean over the orders of the copula's mass on the rectangle of both codes'
    intervals: P(u_i <= a, u_j <= b) = max(0, a^(1/(S-1)) + b^(1/(S-1)) - 1)^(S-1).
    """
    S = len(z)
    low, high = intervals(q.astype(np.float64))  # (O, B, N, K); differences of small areas need the digits
    B, N = np.arange(len(q), like=q)[:, None], np.arange(q.shape[1], like=q)
    low, high = (edge[:, B, N, z] ** (1 / (S - 1)) for edge in (low, high))  # (O, S, B, N)

    def below(a, b):
        return np.maximum(a[:, :, None] + b[:, None] - 1, 0) ** (S - 1)  # (O, S, S, B, N)

    return (below(high, high) - below(high, low) - below(low, high) + below(low, low)).mean(0)


def intervals(q):
    """For each order, the part of (0, 1) that each category takes: low and high ends, (O, B, N, K) each."""
    orders = ends_orders(q.shape[-1], like=q)
    place = np.argsort(orders, axis=-1)  # where each category stands
    low, high = [], []
    for order, back in zip(orders, place, strict=True):
        ordered = q[..., order]
        top = np.cumsum(ordered, axis=-1)
        high.append(np.minimum(top, 1)[..., back])
        low.append(np.maximum(top - ordered, 0)[..., back])
    return np.stack(low), np.stack(high)


def ends_orders(K, like):
    """The K (K - 1) orders of K categories that begin with one and end with another: (O, K)."""
    pairs = [(first, last) for first in range(K) for last in range(K) if first != last] or [(0, 0)]
    orders = [sorted(range(K), key=lambda k, ends=ends: (k == ends[1]) - (k == ends[0])) for ends in pairs]
    return np.array(orders, like=like)
