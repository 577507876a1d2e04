"""A chain over the latents: each code depends on its neighbours [Eq. 20.1]. With no pairwise potentials it is `Independent`."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, one_hot, summed_to
from dvae_np.forward_backward import backward, best, covariance, edges, forward, sampled, through_messages
from dvae_np.laws import Independent, expect_uniforms
from dvae_np.ops import softmax
from dvae_np.perturbed import gumbel


class Chain(NamedTuple):
    """q(z) proportional to exp(sum_n unary[n, z_n] + sum_n pairwise[n, z_n, z_(n+1)]); -inf rules a code, or a pair, out."""

    unary: np.ndarray  # (B, N, K)
    pairwise: np.ndarray  # (B, N-1, K, K), or (1, N-1, K, K) where the batch shares them

    @property
    def sizes(self):
        """(B, N, K)."""
        return self.unary.shape

    def log_partition(self):
        """log Z, in nats: (B,); its gradient is the marginals of nodes and edges."""
        self._expect()
        filtered = forward(*self)

        def log_z_backward(dvalue):
            nodes, r = backward(filtered)
            if len(filtered.transfer) < len(nodes):  # shared: summed over the batch by one product a step
                weighted = filtered.message[:, :-1] * dvalue[:, None, None]
                pairs = filtered.transfer * (weighted.transpose(1, 2, 0) @ r.transpose(1, 0, 2))
            else:
                pairs = summed_to(self.pairwise.shape, edges(filtered, dvalue[:, None, None] * r))
            return Chain(dvalue[:, None, None] * nodes, pairs)

        return filtered.log_z, log_z_backward

    def both_marginals(self):
        """q(z_n) (B, N, K) and q(z_n, z_(n+1)) (B, N-1, K, K), as a `Chain`; backward takes one."""
        self._expect()
        filtered = forward(*self)
        nodes, r = backward(filtered)

        def marginals_backward(dvalue):
            dunary, dpairwise = covariance(filtered, *dvalue)
            return Chain(dunary, summed_to(self.pairwise.shape, dpairwise))

        return Chain(nodes, edges(filtered, r)), marginals_backward

    def marginals(self):
        """q(z_n = k): (B, N, K)."""
        value, both_backward = self.both_marginals()
        still = np.zeros_like(self.pairwise)
        return value.unary, lambda dvalue: both_backward(Chain(dvalue, still))

    def score(self, z):
        """The gradient of log q(z), of each sample: one_hot(z) - q(z_n), and the same for the edges, with S in front."""
        hits, (value, _) = self._hits(z), self.both_marginals()
        return Chain(hits.unary - value.unary, hits.pairwise - value.pairwise)

    def log_prob(self, z):
        """log q(z) = score - log Z of codes z (S, B, N), or (S, 1, N) for states shared by the batch, in nats: (S, B)."""
        self._expect()
        B, N, K = self.sizes
        expect("z", z, ("S", 1 if z.shape[1:2] == (1,) else B, N), "i")
        expect_codes("z", z, K)
        log_z, log_z_backward = self.log_partition()
        rows, place, edge = np.arange(B, like=z)[:, None], np.arange(N, like=z), np.arange(N - 1, like=z)
        own = rows if len(self.pairwise) == B else 0
        z = np.broadcast_to(z, (len(z), B, N))
        pairs = self.pairwise[own, edge, z[..., :-1], z[..., 1:]]  # (S, B, N-1)
        value = self.unary[rows, place, z].sum(-1) + pairs.sum(-1) - log_z

        def log_prob_backward(dvalue):
            counts = self._counts(z, dvalue)
            less = log_z_backward(dvalue.sum(0))
            return Chain(counts.unary - less.unary, counts.pairwise - less.pairwise)

        return value, log_prob_backward

    def probability(self):
        """The op states (m, N) -> q(z) (m, B), for sums over all joint states."""
        return partial(by_log_prob, self)

    def codes(self, u):
        """Codes drawn from the last latent to the first, one uniform of u (S, B, N) each: (S, B, N)."""
        self._expect()
        expect("u", u, ("S", *self.sizes[:2]))

        return sampled(forward(*self), lambda n, weights: by_uniforms(weights, u[..., n]))

    def relaxed_codes(self, u, tau):
        """(y, z): codes z (S, B, N) drawn from the last to the first, each by Gumbel-max; y (S, B, N, K) is softmax(. / tau) of
        what z is the argmax of: log q(z_n | z_(n+1)) + Gumbel noise (Fu et al. 2020) [Eq. 20.13].

        u: uniforms (S, B, N, K). `backward(dy)` returns the gradient by y, of all samples together, z held: through the
        potentials of the chosen edge, and through the messages. What is below e^-103 in float32 counts as 0.
        """
        self._expect()
        expect_uniforms(self, u)
        filtered, noise, backwards = forward(*self), gumbel(u), {}
        y = np.zeros_like(self.unary, dtype=filtered.message.dtype, shape=u.shape)

        def choose(n, weights):
            possible = weights.real > 0
            log_weights = np.where(possible, np.log(np.where(possible, weights, 1)), -np.inf)
            perturbed = (log_weights + noise[..., n, :]) / tau
            y[..., n, :], backwards[n] = softmax(perturbed)
            return np.argmax(perturbed.real, axis=-1)

        z = sampled(filtered, choose)

        def relaxed_backward(dy):
            dweights = np.stack([backwards[n](dy[..., n, :]) for n in range(self.sizes[1])], -2) / tau
            chosen = paired(
                dweights[..., :-1, :], one_hot(z[..., 1:], self.sizes[2], dy.dtype), len(self.pairwise) == 1
            )
            dunary, dpairwise = through_messages(filtered, dweights.sum(0))
            return Chain(dunary, chosen + summed_to(self.pairwise.shape, dpairwise))

        return (y, z), relaxed_backward

    def entropy(self):
        """log Z - <marginals, potentials>, in nats: (B,) [Eq. 20.6]; its gradient: minus covariance times potentials."""
        divergence, kl_backward = self.kl()
        return self.sizes[1] * math.log(self.sizes[2]) - divergence, lambda dvalue: kl_backward(-dvalue)[0]

    def kl(self, p=None):
        """KL(q || p) in nats: (B,) [Eq. 20.7]; p a chain, of a batch of B or 1, or None; gradients as `kl_parts`."""
        parts, parts_backward = self.kl_parts(p)
        return parts[:, 0], lambda dvalue: parts_backward(dvalue[:, None])

    def kl_parts(self, p=None):
        """The same as the only part: (B, 1).

        <marginals, potentials of q - potentials of p> - log Z_q + log Z_p. `backward(dvalue)` returns (dq, dp): the covariance
        times that difference; and the marginals of p less those of q, None where p is.
        """
        if isinstance(p, Independent):
            parts, parts_backward = self.kl_parts(unlinked(p))
            return parts, lambda dvalue: ((both := parts_backward(dvalue))[0], Independent(both[1].unary))
        (value, marginals_backward), (log_z, _) = self.both_marginals(), self.log_partition()
        if p is None:
            potentials, log_zp, log_zp_backward = (None, None), self.sizes[1] * math.log(self.sizes[2]), None
        else:
            potentials, (log_zp, log_zp_backward) = p, p.log_partition()
        difference = [
            np.where(share.real > 0, own, 0) - (0 if other is None else np.where(share.real > 0, other, 0))
            for share, own, other in zip(value, self, potentials, strict=True)
        ]
        inner = [(share * each).sum(tuple(range(1, share.ndim))) for share, each in zip(value, difference, strict=True)]
        parts = (inner[0] + inner[1] - log_z + log_zp)[:, None]

        def kl_backward(dvalue):
            weights = dvalue[:, 0]
            spread = [weights.reshape(-1, *(1,) * (each.ndim - 1)) * each for each in difference]
            dq = marginals_backward(Chain(*spread))
            if p is None:
                return dq, None
            ours = [weights.reshape(-1, *(1,) * (share.ndim - 1)) * share for share in value]
            theirs = log_zp_backward(weights if len(p.unary) > 1 else weights.sum(0, keepdims=True))
            return dq, Chain(*(more - summed_to(more.shape, own) for more, own in zip(theirs, ours, strict=True)))

        return parts, kl_backward

    def kl_from(self, q):
        """KL(q || this chain) of independent latents q: (B, 1); `backward(dvalue)` returns (dq, the gradient in this chain)."""
        parts, parts_backward = unlinked(q).kl_parts(self)
        return parts, lambda dvalue: (Independent((both := parts_backward(dvalue))[0].unary), both[1])

    def mode(self):
        """The most probable codes of all latents together: (B, N), by Viterbi's algorithm."""
        self._expect()
        return best(*self)

    def _hits(self, z):
        """One-hots of codes z (S, B, N) and of their edges, with S in front."""
        B, N, K = self.sizes
        expect("z", z, ("S", B, N), "i")
        expect_codes("z", z, K)
        nodes = one_hot(z, K, self.unary.dtype)
        return Chain(nodes, nodes[..., :-1, :, None] * nodes[..., 1:, None, :])

    def _counts(self, z, weights):
        """The weighted sum over samples of `_hits`, for the batch where the pairwise potentials are shared."""
        _, _, K = self.sizes
        nodes = one_hot(z, K, weights.dtype)  # (S, B, N, K)
        weighted = weights[..., None, None] * nodes
        return Chain(weighted.sum(0), paired(weighted[..., :-1, :], nodes[..., 1:, :], len(self.pairwise) == 1))

    def _expect(self):
        expect("unary", self.unary, ("B", "N", "K"))
        B, N, K = self.sizes
        expect("pairwise", self.pairwise, (1 if len(self.pairwise) == 1 else B, N - 1, K, K))


def by_log_prob(q, states):
    """q(z) of states (m, N): (m, B), of a law that knows log q."""
    logq, log_prob_backward = q.log_prob(states[:, None])
    chance = np.exp(logq)
    return chance, lambda dvalue: log_prob_backward(dvalue * chance)


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


def unlinked(q):
    """Independent latents as a `Chain` without pairwise potentials."""
    _, N, K = q.sizes
    return Chain(q.logits, np.zeros_like(q.logits, shape=(1, N - 1, K, K)))


def padded(unary, pairwise, lengths):
    """A `Chain` whose examples have the first `lengths` (B,) latents alone: all others have code 0, with certainty.

    Potentials (B, N, K) and (B or 1, N-1, K, K) as in `Chain`; the result's pairwise potentials are each example's own.
    `backward(dq)` returns (dunary, dpairwise, None), 0 at what is left out. Raises InputError for lengths outside 1..N.
    """
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
