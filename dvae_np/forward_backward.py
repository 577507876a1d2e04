"""The forward algorithm on a chain, and its backward pass, which is the backward algorithm.

A chain of N latents has potentials `unary` (B, N, K) and `pairwise` (B or 1, N-1, K, K); the score of codes z is
sum_n unary[n, z_n] + sum_n pairwise[n, z_n, z_(n+1)], and q(z) = e^score / Z [Eq. 20.1].

    a_1 = unary_1,  a_(n+1)[j] = unary_(n+1)[j] + log sum_i e^(a_n[i] + pairwise_n[i, j]),  log Z = log sum_k e^(a_N[k])

The derivative of one step is w_n[i, j] = q(z_n = i | z_(n+1) = j), a softmax over i. So the backward pass starts with q(z_N),
the softmax of a_N, and multiplies by one w after the other: out come q(z_n) and, on the edges, q(z_n, z_(n+1)).

Where the numbers of a step span little, its sum is a product of e^potentials with a message that adds up to 1. Where they span
more than `SAFE`, a product would lose what is small: it is taken in float64, and beyond float64's range the same step is taken
with logarithms. A code that is ruled out at a node is an exact 0 and spans nothing; a pair that is ruled out may hide a code
for several steps, which needs logarithms. log Z is in float64 always: it is subtracted from scores that are as large.
"""

from typing import NamedTuple

import numpy as np

from dvae_np.ops import rows_by_code

SAFE = {4: 80.0, 8: 600.0}  # by the bytes of a real number: the logarithm of what a product may span


class Filtered(NamedTuple):
    """A chain after the forward pass: w_n[i, j] = message_n[i] transfer_n[i, j] / reach_n[j]."""

    log_z: np.ndarray  # (B,), of double precision
    message: np.ndarray  # (B, N, K)
    transfer: np.ndarray  # (B or 1, N-1, K, K)
    reach: np.ndarray  # (B, N-1, K)
    last: np.ndarray  # (B, K), q(z_N)
    a: np.ndarray | None = None  # (B, N, K), up to a number for each n, where it is not the logarithm of the message


def forward(unary, pairwise):
    """The forward pass: `Filtered` [Eq. 20.2]; its arrays are of the potentials' dtype, or wider."""
    dtype = np.result_type(unary.dtype, pairwise.dtype)
    wide, spanned = np.result_type(dtype, np.float64), span(unary, pairwise)
    dtype = dtype if spanned <= SAFE[unary.real.dtype.itemsize] else wide
    unary, pairwise = unary.astype(dtype, copy=False), pairwise.astype(dtype, copy=False)
    return (_by_products if spanned <= SAFE[8] else _by_logarithms)(unary, pairwise, wide)


def span(unary, pairwise):
    """The logarithm of what a step's product may span at most: of a node, its edge, and the message, which has the edge before.

    Infinite, or not a number, where a pair or all of a node is ruled out.
    """
    heights = unary.real.max(-1, keepdims=True)
    lowest = np.where(unary.real > -np.inf, unary.real, heights).min(-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # -inf less -inf, where all of a node is ruled out
        node = float((heights - lowest).max())
    return node + 2 * float(pairwise.real.max() - pairwise.real.min()) if pairwise.size else node


def centred(dtype, *potentials):
    """A chain's potentials, a list, those of each node and edge less their largest, and the sum of what was taken off: (B,)."""
    off, total = [], 0
    for array in potentials:
        top = array.real.max(tuple(range(2, array.ndim)), keepdims=True)
        top = np.where(top > -np.inf, top, 0)
        off.append(array.astype(np.result_type(array.dtype, dtype), copy=False) - top)
        total = total + top.sum(tuple(range(1, array.ndim)), dtype=np.float64)
    return off, total


def log_messages(filtered):
    """a_n, up to a number for each n: (B, N, K); -inf where a code is ruled out."""
    if filtered.a is not None:
        return filtered.a
    possible = filtered.message.real > 0
    return np.where(possible, np.log(np.where(possible, filtered.message, 1)), -np.inf)


def backward(filtered):
    """The backward pass [Eq. 20.3]: q(z_n) (B, N, K), and r (B, N-1, K): edges are message_n[i] transfer_n[i, j] r_n[j]."""
    _, message, transfer, reach, last, _ = filtered
    nodes, r = np.zeros_like(message), np.zeros_like(reach)
    nodes[:, -1] = last
    for n in range(reach.shape[1] - 1, -1, -1):
        r[:, n] = nodes[:, n + 1] / np.where(reach[:, n].real > 0, reach[:, n], 1)
        nodes[:, n] = message[:, n] * _times(r[:, n], transfer[:, n].transpose(0, 2, 1))
    return nodes, r


def edges(filtered, r):
    """q(z_n, z_(n+1)) for each example: (B, N-1, K, K)."""
    pairs = filtered.transfer * r[:, :, None]
    pairs *= filtered.message[:, :-1, :, None]  # in place: these are the largest arrays
    return pairs


def kernels(filtered):
    """w_n[i, j] = q(z_n = i | z_(n+1) = j): (B, N-1, K, K)."""
    reach = np.where(filtered.reach.real > 0, filtered.reach, 1)
    return filtered.message[:, :-1, :, None] * filtered.transfer / reach[:, :, None]


def covariance(filtered, direction, edge_direction):
    """The covariance of the codes' one-hots, of nodes and of edges, times a direction: (B, N, K), (B, N-1, K, K) [Eq. 20.8].

    It is what q(z_n) and q(z_n, z_(n+1)) change by along a direction (B, N, K), (B or 1, N-1, K, K) of the potentials: one
    more forward and backward pass, along which the derivative is carried.
    """
    w, N = kernels(filtered), filtered.message.shape[1]
    along, means, gains = [direction[:, 0]], [], []
    for n in range(N - 1):
        gains.append(along[n][:, :, None] + edge_direction[:, n])  # (B, K, K)
        means.append((w[:, n] * gains[n]).sum(1))  # (B, K), given the next code
        along.append(direction[:, n + 1] + means[n])
    marginal = filtered.last
    nodes, pairs = [marginal * (along[-1] - (marginal * along[-1]).sum(-1, keepdims=True))], []
    for n in range(N - 2, -1, -1):
        own = w[:, n] * marginal[:, None]  # q(z_n, z_(n+1))
        pairs.append(own * (gains[n] - means[n][:, None]) + w[:, n] * nodes[-1][:, None])
        nodes.append(pairs[-1].sum(-1))
        marginal = own.sum(-1)
    return np.stack(nodes[::-1], 1), np.stack(pairs[::-1], 1) if pairs else w


def chances(filtered, rounded, own):
    """The op states (m, N) -> q(z) (m, B): q(z_N) times each q(z_n | z_(n+1)) [Eq. 20.4], and no logarithm for each state.

    `rounded` puts an array into the law's precision; `own` makes its gradient of (B, N, K), (B or 1, N-1, K, K): q(z) times the
    score, summed over the states.
    """
    given, (nodes, _) = kernels(filtered), backward(filtered)
    (B, N, K), shared = nodes.shape, len(filtered.transfer) == 1
    tables, last = rounded(given).reshape(B, N - 1, K * K).transpose(1, 2, 0).copy(), rounded(filtered.last).T.copy()

    def op(states):
        pairs = states[:, :-1] * K + states[:, 1:]
        value = last[states[:, -1]]
        for n in range(N - 1):
            value *= tables[n][pairs[:, n]]

        def chances_backward(dvalue):
            weighted = value * dvalue
            total = weighted.sum(0)[:, None, None]
            hits = rows_by_code(
                pairs, weighted.sum(1, keepdims=True) if shared else weighted, K * K
            )  # (N-1, K^2, B or 1)
            hits = hits.transpose(2, 0, 1).reshape(filtered.transfer.shape)
            less = given * (total * nodes[:, 1:])[:, :, None]
            dunary = rows_by_code(states, weighted, K).transpose(2, 0, 1) - total * nodes
            return own(dunary, hits - (less.sum(0, keepdims=True) if shared else less))

        return value, chances_backward

    return op


def through_messages(filtered, da):
    """The gradients in the potentials, given those in each a_n, da (B, N, K): (B, N, K) and (B, N-1, K, K).

    da_n += sum_j w_n[., j] da_(n+1)[j]: the backward pass of all forward steps, where each a_n was used on its own, too.
    """
    w, nodes, pairs = kernels(filtered), [da[:, -1]], []
    for n in range(da.shape[1] - 2, -1, -1):
        pairs.append(w[:, n] * nodes[-1][:, None])
        nodes.append(da[:, n] + pairs[-1].sum(-1))
    return np.stack(nodes[::-1], 1), np.stack(pairs[::-1], 1) if pairs else w


def best(unary, pairwise):
    """The codes with the largest score: (B, N), by maxima in the place of sums (Viterbi) [Eq. 20.5]."""
    B, N, _ = unary.shape
    score, before = unary[:, 0].astype(np.float64), []
    for n in range(N - 1):
        all_scores = score[:, :, None] + pairwise[:, n]
        before.append(np.argmax(all_scores, axis=1))  # (B, K): the best code before each
        score = unary[:, n + 1] + all_scores.max(1)
    z = [np.argmax(score, axis=-1)]
    for places in reversed(before):
        z.append(places[np.arange(B, like=unary), z[-1]])
    return np.stack(z[::-1], -1)


def sampled(filtered, choose):
    """Codes (S, B, N), filtered forward, sampled backward [Eq. 20.4]: `choose(n, weights)` draws z_n by weights (S, B, K)."""
    _, message, transfer, reach, last, _ = filtered
    z = [choose(reach.shape[1], last[None])]  # (S, B)
    own = np.arange(len(transfer), like=z[0])[:, None]
    for n in range(reach.shape[1] - 1, -1, -1):
        columns = transfer[own, n, :, z[-1].T]  # (B, S, K)
        z.append(choose(n, message[:, n] * columns.transpose(1, 0, 2)))
    return np.stack(z[::-1], -1)


def _by_products(unary, pairwise, wide):
    N = unary.shape[1]
    highest = pairwise.real.max() if pairwise.size else 0
    transfer = pairwise - highest
    np.exp(transfer, out=transfer)
    heights = unary.real.max(-1, keepdims=True)
    nodes = np.exp(unary - heights)  # (B, N, K)
    message, reach = np.zeros_like(nodes), np.zeros_like(nodes[:, 1:])
    log_z = heights[..., 0].sum(1, dtype=np.float64).astype(wide) + (N - 1) * float(highest)
    message[:, 0] = nodes[:, 0]
    for n in range(N):
        if n:
            reach[:, n - 1] = _times(message[:, n - 1], transfer[:, n - 1])
            message[:, n] = nodes[:, n] * reach[:, n - 1]
        total = message[:, n].sum(-1, keepdims=True)
        message[:, n] /= total
        log_z += np.log(total[:, 0])
    return Filtered(log_z, message, transfer, reach, message[:, -1])


def _by_logarithms(unary, pairwise, wide):
    B, N, K = unary.shape
    a, log_z = np.zeros_like(unary), np.zeros_like(unary[:, 0, 0])
    transfer, log_sum = np.zeros((B, N - 1, K, K), wide, like=unary), 0
    for n in range(N):
        if n:
            joint = a[:, n - 1, :, None] + pairwise[:, n - 1]  # (B, K, K)
            transfer[:, n - 1], log_sum = shares(joint, 1)
        a[:, n] = unary[:, n] + log_sum
        height = a[:, n].real.max(-1, keepdims=True)
        height = np.where(height > -np.inf, height, 0)
        a[:, n], log_z = a[:, n] - height, log_z + height[:, 0]
    last, log_sum = shares(a[:, -1], 1)
    ones = np.ones_like(unary)
    return Filtered(log_z + log_sum, ones, transfer, ones[:, 1:], last, a)


def shares(a, axis):
    """(softmax, log sum e^a) over an axis; 0 and -inf where all of it is -inf."""
    top = a.real.max(axis, keepdims=True)
    top = np.where(top > -np.inf, top, 0)
    e = np.exp(a - top)
    total = e.sum(axis, keepdims=True)
    possible = total.real > 0
    log_sum = np.where(possible, np.log(np.where(possible, total, 1)) + top, -np.inf)
    return e / np.where(possible, total, 1), log_sum.squeeze(axis)


def _times(vectors, matrices):
    """vectors (B, K) times matrices (B, K, K), or (1, K, K) in one product: (B, K)."""
    return vectors @ matrices[0] if len(matrices) == 1 else (vectors[:, None] @ matrices)[:, 0]
