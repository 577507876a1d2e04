"""A chain over the latents: each code depends on its neighbours [Eq. 20.1]. With no pairwise potentials it is `Independent`."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, expect_number, one_hot, summed_to
from dvae_np.dependent import by_uniforms, paired, rounded
from dvae_np.forward_backward import (
    backward,
    best,
    centred,
    chances,
    covariance,
    edges,
    forward,
    log_messages,
    sampled,
    through_messages,
)
from dvae_np.laws import Independent, expect_uniforms, law
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
        log_z, log_z_backward = self._log_z()
        return self._rounded(log_z), lambda dvalue: self._own(*log_z_backward(dvalue))

    def _log_z(self):
        """The same, of double precision."""
        self.expect()
        filtered = forward(*self)

        def log_z_backward(dvalue):
            nodes, r = backward(filtered)
            if len(filtered.transfer) < len(nodes):  # shared: summed over the batch by one product a step
                weighted = filtered.message[:, :-1] * dvalue[:, None, None]
                pairs = filtered.transfer * (weighted.transpose(1, 2, 0) @ r.transpose(1, 0, 2))
            else:
                pairs = summed_to(self.pairwise.shape, edges(filtered, dvalue[:, None, None] * r))
            return dvalue[:, None, None] * nodes, pairs

        return filtered.log_z, log_z_backward

    def both_marginals(self):
        """q(z_n) (B, N, K) and q(z_n, z_(n+1)) (B, N-1, K, K), as a `Chain`; backward takes one."""
        _, both, marginals_backward = self._marginals()
        return Chain(*map(self._rounded, both)), lambda dvalue: self._own(*marginals_backward(*dvalue))

    def _marginals(self):
        """log Z, both marginals, and their backward, as precise as they are computed."""
        self.expect()
        filtered = forward(*self)
        nodes, r = backward(filtered)
        return filtered.log_z, (nodes, edges(filtered, r)), partial(covariance, filtered)

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
        (log_z, log_z_backward), (B, N, K) = self._log_z(), self.sizes
        expect("z", z, ("S", 1 if z.shape[1:2] == (1,) else B, N), "i")
        expect_codes("z", z, K)
        rows, place, edge = np.arange(B, like=z)[:, None], np.arange(N, like=z), np.arange(N - 1, like=z)
        own = rows if len(self.pairwise) == B else 0
        z = np.broadcast_to(z, (len(z), B, N))
        pairs = self.pairwise[own, edge, z[..., :-1], z[..., 1:]]  # (S, B, N-1)
        score = self.unary[rows, place, z].sum(-1, dtype=log_z.dtype) + pairs.sum(-1, dtype=log_z.dtype)

        def log_prob_backward(dvalue):
            counts, less = self._counts(z, dvalue), log_z_backward(dvalue.sum(0))
            return self._own(counts.unary - less[0], counts.pairwise - less[1])

        return self._rounded(score - log_z), log_prob_backward

    def probability(self):
        """The op states (m, N) -> q(z) (m, B), for sums over all joint states; its gradient is q(z) times the score."""
        self.expect()
        return chances(forward(*self), self._rounded, self._own)

    def codes(self, u):
        """Codes drawn from the last latent to the first, one uniform of u (S, B, N) each: (S, B, N)."""
        self.expect()
        expect("u", u, ("S", *self.sizes[:2]))
        return sampled(forward(*self), lambda n, weights: by_uniforms(weights, u[..., n]))

    def relaxed_codes(self, u, tau):
        """(y, z): codes z (S, B, N) drawn from the last to the first, each by Gumbel-max; y (S, B, N, K) is softmax(. / tau) of
        what z is the argmax of: log q(z_n | z_(n+1)) + Gumbel noise (Fu et al. 2020) [Eq. 20.13].

        u: uniforms (S, B, N, K). `backward(dy)` returns the gradient by y, of all samples together, z held: through the
        potentials of the chosen edge, and through the messages.
        """
        self.expect()
        expect_uniforms(self, u)
        expect_number("tau", getattr(tau, "real", tau), "a temperature", above=True)
        N, filtered, noise = self.sizes[1], forward(*self), gumbel(u)
        a, own = log_messages(filtered), np.arange(len(self.pairwise), like=u)[:, None]
        y, z, backwards = np.zeros_like(self.unary, dtype=a.dtype, shape=u.shape), [], []
        for n in range(N - 1, -1, -1):
            log_weights = a[:, n]
            if z:  # (S, B, K)
                log_weights = log_weights + self.pairwise[own, n, :, z[-1].T].transpose(1, 0, 2)
            perturbed = (log_weights + noise[..., n, :]) / tau
            y[..., n, :], softmax_backward = softmax(perturbed)
            z.append(np.argmax(perturbed.real, axis=-1))
            backwards.append(softmax_backward)
        z, backwards = np.stack(z[::-1], -1), backwards[::-1]

        def relaxed_backward(dy):
            dweights = np.stack([backwards[n](dy[..., n, :]) for n in range(N)], -2) / tau
            later = one_hot(z[..., 1:], self.sizes[2], dy.dtype)
            chosen = paired(dweights[..., :-1, :], later, len(self.pairwise) == 1)
            dunary, dpairwise = through_messages(filtered, dweights.sum(0))
            return self._own(dunary, chosen + summed_to(self.pairwise.shape, dpairwise))

        return (self._rounded(y), z), relaxed_backward

    def entropy(self):
        """log Z - <marginals, potentials>, in nats: (B,) [Eq. 20.6]; its gradient: minus covariance times potentials."""
        (divergence, kl_backward), most = self._divergence(), self.sizes[1] * math.log(self.sizes[2])
        return self._rounded(most - divergence), lambda dvalue: kl_backward(-dvalue)[0]

    def kl(self, p=None):
        """KL(q || p) in nats: (B,) [Eq. 20.7]; p a chain or independent latents, of a batch of B or 1, or None: uniform.

        <marginals, potentials of q - potentials of p> - log Z_q + log Z_p. `backward(dvalue)` returns (dq, dp): the covariance
        times that difference; and the marginals of p less those of q, None where p is. Raises InputError for another p.
        """
        divergence, kl_backward = self._divergence(p)
        return self._rounded(divergence), kl_backward

    def kl_parts(self, p=None):
        """The same as the only part: (B, 1)."""
        divergence, kl_backward = self.kl(p)
        return divergence[:, None], lambda dvalue: kl_backward(dvalue[:, 0])

    def kl_from(self, q):
        """KL(q || this chain) of independent latents q: (B, 1); `backward(dvalue)` returns (dq, the gradient in this chain)."""
        parts, parts_backward = as_chain(q).kl_parts(self)
        return parts, lambda dvalue: (Independent((both := parts_backward(dvalue))[0].unary), both[1])

    def _divergence(self, p=None):
        """KL(q || p), of double precision; all potentials are taken from their largest, so that they may be large."""
        if isinstance(p, Independent):
            divergence, kl_backward = self._divergence(as_chain(p))
            return divergence, lambda dvalue: ((both := kl_backward(dvalue))[0], Independent(both[1].unary))
        log_z, share, marginals_backward = self._marginals()
        own, height = centred(share[0].real.dtype, *self)
        if p is None:
            less, log_zp_backward = -self.sizes[1] * math.log(self.sizes[2]), None
        else:
            p = as_chain(p)
            expect("p: unary", p.unary, (1 if len(p.unary) == 1 else self.sizes[0], *self.sizes[1:]))
            (log_zp, log_zp_backward), (other, lower) = p._log_z(), centred(share[0].real.dtype, *p)
            less = lower - log_zp
        difference = [np.where(each.real > 0, mine, 0) for each, mine in zip(share, own, strict=True)]
        if p is not None:
            difference = [gap - np.where(each.real > 0, theirs, 0)
                          for gap, each, theirs in zip(difference, share, other, strict=True)]  # fmt: skip
        inner = [(each * gap).sum(tuple(range(1, each.ndim))) for each, gap in zip(share, difference, strict=True)]

        def kl_backward(dvalue):
            weigh = lambda arrays: [dvalue.reshape(-1, *(1,) * (array.ndim - 1)) * array for array in arrays]
            dq = self._own(*marginals_backward(*weigh(difference)))
            if p is None:
                return dq, None
            theirs = log_zp_backward(dvalue if len(p.unary) > 1 else dvalue.sum(0, keepdims=True))
            pairs = zip(theirs, weigh(share), strict=True)
            return dq, p._own(*(more - summed_to(more.shape, ours) for more, ours in pairs))

        return inner[0] + inner[1] + (height - log_z) - less, kl_backward

    def mode(self):
        """The most probable codes of all latents together: (B, N), by Viterbi's algorithm."""
        self.expect()
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

    def _own(self, unary, pairwise):
        """Gradients as a `Chain` of this one's shapes and precision."""
        return Chain(self._rounded(unary), self._rounded(summed_to(self.pairwise.shape, pairwise)))

    def _rounded(self, array):
        """An array in this chain's precision."""
        return rounded(array, np.result_type(self.unary.dtype, self.pairwise.dtype))

    def expect(self):
        """Raise `InputError` unless both arrays are of float32 or float64, and fit each other."""
        expect("unary", self.unary, ("B", "N", "K"))
        B, N, K = self.sizes
        expect("pairwise", self.pairwise, ("1 or B", N - 1, K, K))
        expect("pairwise", self.pairwise, (1 if len(self.pairwise) == 1 else B, N - 1, K, K))
        if any(array.real.dtype.itemsize not in (4, 8) for array in self):
            raise InputError(
                f"potentials: expected float32 or float64, got {self.unary.dtype} and {self.pairwise.dtype}"
            )


def as_chain(q):
    """A law as a `Chain`: independent latents, or their logits, have no pairwise potentials. Raises InputError for another."""
    q = law(q)
    if isinstance(q, Chain):
        return q
    if not isinstance(q, Independent):
        raise InputError(f"expected a Chain or independent latents, got a {type(q).__name__}")
    _, N, K = q.sizes
    return Chain(q.logits, np.zeros_like(q.logits, shape=(1, N - 1, K, K)))
