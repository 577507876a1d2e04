"""Codes drawn so that the samples of one example avoid each other, each with the marginal law q.

S uniforms are coupled by the Dirichlet copula: for d uniform on the simplex, u_i = (1 - d_i)^(S-1) is uniform, and one
large u_i leaves little for the others; for S = 2 it is the antithetic pair u, 1 - u. Each latent's code is found by
inverting q's distribution function with its categories in a random order. The order matters: with a fixed one, some
pairs of categories could never meet, and what they contribute would be lost. Here an ordered pair (first, last) of
categories is drawn evenly, and the others keep their places between: every pair of different categories can meet.
(Dimitriev & Zhou 2021; Dong, Mnih & Tucker 2021.)
"""

from functools import reduce

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.ops import softmax

MOST_NUMBERS, AT_A_TIME = 2**27, 2**17  # of all orders' intervals and pairs: to be computed at all, and in one block


def coupled_codes(logits, uniforms):
    """Coupled codes (S, B, N) from uniforms (S + 1, B, N): S make the copula, the last one chooses the order [Eq. 13.3]."""
    S, K = len(uniforms) - 1, logits.shape[-1]
    q, _ = softmax(logits)
    exponential = -np.log(uniforms[:S])
    u = (1 - exponential / exponential.sum(0)) ** (S - 1) if S > 1 else uniforms[:1]  # (S, B, N)
    chosen = ends_orders((uniforms[S] * count_orders(K)).astype(int), K)  # (B, N, K)
    B, N = np.arange(len(q), like=logits)[:, None, None], np.arange(q.shape[1], like=logits)[:, None]
    cumulated = np.cumsum(q[B, N, chosen], axis=-1)  # (B, N, K)
    highest = cumulated[..., -1]
    target = np.minimum(
        u * highest, highest * (1 - np.finfo(q.dtype).eps)
    )  # below the top, or what has no mass may be drawn
    place = (cumulated[..., :-1] <= target[..., None]).sum(-1)  # (S, B, N)
    return chosen[B[..., 0], N[:, 0], place]


def pair_probability(q, z):
    """The probability that two of S coupled samples have the codes that they have: (S, S, B, N) [Eq. 13.4].

    q: (B, N, K). z: codes (S, B, N). The mean over the orders of the copula's mass on the rectangle of both codes'
    intervals: P(u_i <= a, u_j <= b) = max(0, a^(1/(S-1)) + b^(1/(S-1)) - 1)^(S-1). Raises InputError where the K (K - 1)
    orders are too many.
    """
    S, (B, N, K) = len(z), q.shape
    count, each = count_orders(K), B * N * max(K, S * S)
    if count * each > MOST_NUMBERS:
        raise InputError(
            f"K: expected K (K - 1) orders of the categories, times B N max(K, S^2), to be at most {MOST_NUMBERS} numbers, got "
            f"K = {K}, B = {B}, N = {N}, S = {S}: {count * each}; take fewer examples at a time, or reinforce_loo"
        )
    rows, columns = np.arange(B, like=q)[:, None], np.arange(N, like=q)
    q = q.astype(np.float64)  # differences of small areas need the digits

    def below(a, b):
        root = np.maximum(a[:, :, None] + b[:, None] - 1, 0)
        return reduce(np.multiply, (S - 1) * [root])  # (O, S, S, B, N); a power would take ten times as long

    total = 0
    for start in range(0, count, step := max(AT_A_TIME // each, 1)):
        orders = ends_orders(np.arange(start, min(start + step, count), like=z), K)
        low, high = (edge[:, rows, columns, z] ** (1 / (S - 1)) for edge in intervals(q, orders))  # (O, S, B, N)
        mixed = below(high, low).sum(0)  # of z_i's high end and z_j's low one; the other way round it is transposed
        total = total + below(high, high).sum(0) - mixed - mixed.transpose(1, 0, 2, 3) + below(low, low).sum(0)
    return total / count


def intervals(q, orders):
    """For each of the orders (O, K), the part of (0, 1) that each category takes: low and high ends, (O, B, N, K) each."""
    low, high = [], []
    for order, back in zip(orders, np.argsort(orders, axis=-1), strict=True):  # back: where each category stands
        ordered = q[..., order]
        top = np.cumsum(ordered, axis=-1)
        high.append(np.minimum(top, 1)[..., back])
        low.append(np.maximum(top - ordered, 0)[..., back])
    return np.stack(low), np.stack(high)


def count_orders(K):
    """How many orders of K categories there are that differ in the first or in the last one."""
    return max(K * (K - 1), 1)


def ends_orders(number, K):
    """Of the K (K - 1) orders that begin with one category and end with another, those of these numbers: (..., K)."""
    category = np.arange(K, like=number)
    if K == 1:
        return number[..., None] * category
    number = np.minimum(number, K * (K - 1) - 1)[..., None]
    first, last = number // (K - 1), number % (K - 1)
    last = last + (last >= first)
    return np.argsort(np.where(category == first, -1, np.where(category == last, K, category)), axis=-1)
