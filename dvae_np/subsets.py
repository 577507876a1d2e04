"""k of N items: independent binary latents, given that exactly k of them are on [Eq. 20.18].

Items are visited from the first to the last, and only the number of those that are on is remembered: it runs from 0 to k, so
a sum over all C(N, k) subsets takes N steps of k + 1 numbers. Its backward pass gives the marginals, and draws a subset where
the choices are random. The derivative carried along both passes is the covariance times a direction, which is all that
straight-through needs (SIMPLE, Ahmed et al. 2023). They take logarithms, in double precision: log-weights may be large.
"""

import math
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, expect_whole, one_hot, summed_to
from dvae_np.dependent import by_log_prob, by_uniforms, rounded
from dvae_np.forward_backward import shares
from dvae_np.ops import log_softmax


class Subsets(NamedTuple):
    """q(z) proportional to exp(sum_n unary[n, z_n]) where k of the N codes are 1, else 0: `k_subsets(unary, k)` makes one.

    Only unary[n, 1] - unary[n, 0] counts; -inf keeps an item out, or in. k belongs to the type, as N does to the shape.
    """

    unary: np.ndarray  # (B, N, 2), of off and on
    k = None

    @property
    def sizes(self):
        """(B, N, 2)."""
        return self.unary.shape

    def log_prob(self, z):
        """log q(z) of codes z (S, B, N), or (S, 1, N) for states shared by the batch, in nats: (S, B) [Eq. 20.18].

        -inf where another number of codes than k is 1: with no gradient, as nothing there can change.
        """
        (log_w, choices, log_count), (B, N, _) = self._passed(), self.sizes
        expect("z", z, ("S", 1 if z.shape[1:2] == (1,) else B, N), "i")
        expect_codes("z", z, 2)
        score = np.where(z == 1, log_w[..., 1], log_w[..., 0]).sum(-1)  # (S, B)
        value = np.where(z.sum(-1) == self.k, score - log_count, -np.inf)

        def log_prob_backward(dvalue):
            weights = np.where(value.real > -np.inf, dvalue, 0)[..., None, None]
            hits, share = (weights * one_hot(z, 2, log_w.real.dtype)).sum(0), counted(choices).sum(-1)
            return self._gradient(hits - weights.sum(0) * share, share)

        return self._rounded(value), log_prob_backward

    def probability(self):
        """The op states (m, N) -> q(z) (m, B), for sums over all joint states."""
        return partial(by_log_prob, self)

    def score(self, z):
        """The gradient of log q(z), of each sample: one_hot(z) - q(z_n), (S, B, N, 2)."""
        expect("z", z, ("S", *self.sizes[:2]), "i")
        expect_codes("z", z, 2)
        _, choices, _ = self._passed()
        share = counted(choices).sum(-1)
        return self._gradient(one_hot(z, 2, share.real.dtype) - share, share)

    def codes(self, u):
        """Codes drawn from the last item to the first, given how many are still to be on; uniforms u (S, B, N): (S, B, N)."""
        expect("u", u, ("S", *self.sizes[:2]))
        _, choices, _ = self._passed()
        B, N, _ = self.sizes
        rows, left, z = np.arange(B, like=u), np.full_like(u, self.k, np.int64, shape=u.shape[:2]), []
        for n in range(N - 1, -1, -1):
            z.append(by_uniforms(choices[rows, n, :, left], u[..., n]))  # weights (S, B, 2)
            left = left - z[-1]
        return np.stack(z[::-1], -1)

    def marginals(self):
        """q(z_n = 0), q(z_n = 1): (B, N, 2); straight-through goes through their backward pass [Eq. 20.8]."""
        _, choices, _ = self._passed()
        joint = counted(choices)
        share = joint.sum(-1)
        return self._rounded(share), lambda dvalue: self._gradient(covariance(choices, joint, dvalue), share)

    def entropy(self):
        """log C(N, k) - KL(q || uniform), in nats: (B,)."""
        (divergence, kl_backward), (_, N, _) = self._divergence(), self.sizes
        most = math.log(math.comb(N, self.k))
        return self._rounded(most - divergence), lambda dvalue: kl_backward(-dvalue)[0]

    def kl(self, p=None):
        """KL(q || p) in nats: (B,); p of the same k, of a batch of B or 1, or None for the uniform law of all C(N, k) subsets.

        <marginals, log-weights of q less those of p> - log Z_q + log Z_p. `backward(dvalue)` returns (dq, dp): the covariance
        times that difference; and the marginals of p less those of q, None where p is. Raises InputError where it is infinite
        or unknown: for another k or another law, and where p rules out a subset that q does not.
        """
        divergence, kl_backward = self._divergence(p)
        return self._rounded(divergence), kl_backward

    def kl_parts(self, p=None):
        """The same as the only part: (B, 1)."""
        divergence, kl_backward = self.kl(p)
        return divergence[:, None], lambda dvalue: kl_backward(dvalue[:, 0])

    def _divergence(self, p=None):
        """KL(q || p), of double precision."""
        (log_w, choices, log_count), (B, N, _) = self._passed(), self.sizes
        if p is None:
            other, less = np.zeros_like(log_w), math.log(math.comb(N, self.k))
        else:
            if not isinstance(p, Subsets) or p.k != self.k:
                kind = f"those of k = {p.k}" if isinstance(p, Subsets) else f"a {type(p).__name__}"
                raise InputError(f"p: expected subsets of k = {self.k} items, for a KL that is finite, got {kind}")
            expect("p: unary", p.unary, (1 if len(p.unary) == 1 else B, N, 2))
            other, p_choices, less = p._passed()
        joint = counted(choices)
        share = joint.sum(-1)
        gap = np.where(share.real > 0, log_w, 0) - np.where(share.real > 0, other, 0)  # 0 log 0 = 0
        value = (share * gap).sum((1, 2)) - log_count + less
        if not (value.real < np.inf).all():
            raise InputError("p: expected a law that rules out no subset of q's, got one to which the KL is infinite")

        def kl_backward(dvalue):
            dvalue = dvalue[:, None, None]
            dq = self._gradient(covariance(choices, joint, dvalue * gap), share)
            if p is None:
                return dq, None
            p_share = counted(p_choices).sum(-1)
            return dq, p._gradient(summed_to(p.sizes, dvalue * (p_share - share)), p_share)

        return value, kl_backward

    def mode(self):
        """The most probable codes: 1 for the k items with the largest unary[n, 1] - unary[n, 0], (B, N)."""
        self.expect()
        log_w = self.unary.real.astype(np.float64)
        order = np.argsort(log_w[..., 0] - log_w[..., 1], axis=-1, kind="stable")
        return (np.argsort(order, axis=-1) < self.k).astype(np.int64)  # the rank of each item

    def __reduce__(self):
        """How it is pickled: its type is made anew."""
        return k_subsets, (self.unary, self.k)

    def expect(self):
        """Raise `InputError` unless the log-weights are (B, N, 2), and k a whole number up to N."""
        expect("unary", self.unary, ("B", "N", 2))
        expect_whole("k", self.k, 0, self.sizes[1])

    def _passed(self):
        """The log-weights, in double precision, less what makes them log-probabilities; and `passed` of them."""
        self.expect()
        log_w, _ = log_softmax(self.unary.astype(np.result_type(self.unary.dtype, np.float64), copy=False))
        choices, log_count = passed(log_w, self.k)
        if not (log_count.real > -np.inf).all():
            raise InputError(
                f"unary: expected numbers that leave a subset of k = {self.k} items, got some that rule out all"
            )
        return log_w, choices, log_count

    def _gradient(self, d, share):
        """Gradients in off and on (B, N, 2), which add up to 0 for each item, by the rarer of them, whose digits are good."""
        on = np.where(share[..., 1].real < share[..., 0].real, d[..., 1], -d[..., 0])
        return type(self)(self._rounded(np.stack([-on, on], -1)))

    def _rounded(self, array):
        """An array in the log-weights' precision."""
        return rounded(array, self.unary.dtype)


def k_subsets(unary, k):
    """The law of exactly k of N items, of log-weights (B, N, 2) of off and on: a `Subsets`. Raises InputError unless k <= N."""
    expect_whole("k", k)
    q = _kind(int(k))(unary)
    q.expect()
    return q


@cache
def _kind(k):
    """The type of all laws of subsets of k items: what is made of their arrays has the same k."""
    return type("Subsets", (Subsets,), {"k": k, "__slots__": (), "__module__": __name__})


def passed(log_w, k):
    """The forward pass over items of log-weights (B, N, 2) [Eq. 20.19]: choices, and the log of the sum over all subsets (B,).

    choices (B, N, 2, k+1) are q(z_n | j of the items up to n are on), 0 where that cannot be.
    """
    a, choices = np.full_like(log_w, -np.inf, shape=(len(log_w), k + 1)), []
    a[:, 0] = 0
    for n in range(log_w.shape[1]):
        both = np.stack([a, _one_more(a, -np.inf)], 1)  # n is off: j before it; on: j - 1
        share, a = shares(both + log_w[:, n, :, None], 1)
        choices.append(share)
    return np.stack(choices, 1), a[:, k]


def counted(choices):
    """The backward pass [Eq. 20.20]: q(z_n, j of the items up to n are on), (B, N, 2, k+1); its sum over j is the marginals."""
    count, joint = np.zeros_like(choices[:, 0, 0]), []
    count[:, -1] = 1
    for n in range(choices.shape[1] - 1, -1, -1):
        joint.append(count[:, None] * choices[:, n])
        count = _before(joint[-1])
    return np.stack(joint[::-1], 1)


def covariance(choices, joint, direction):
    """The covariance of the codes' one-hots times a direction (B, N, 2): (B, N, 2) [Eq. 20.8].

    It is what the marginals change by along that direction of the log-weights: both passes, with the derivative carried along.
    """
    along, gains = np.zeros_like(direction, shape=joint[:, 0, 0].shape), []
    for n in range(choices.shape[1]):
        gain = np.stack([along, _one_more(along, 0)], 1) + direction[:, n, :, None]
        along = (choices[:, n] * gain).sum(1)
        gains.append(gain - along[:, None])
    count, moved = 0 * along, []
    for n in range(choices.shape[1] - 1, -1, -1):
        change = count[:, None] * choices[:, n] + joint[:, n] * gains[n]
        moved.append(change.sum(-1))
        count = _before(change)
    return np.stack(moved[::-1], 1)


def _one_more(counts, first):
    """Numbers (B, k+1) of j items as those of j + 1."""
    return np.concatenate([np.full_like(counts[:, :1], first), counts[:, :-1]], 1)


def _before(joint):
    """(B, 2, k+1) of an item and of the count up to it, as (B, k+1) of the count before it."""
    off, on = joint[:, 0], joint[:, 1]
    return off + np.concatenate([on[:, 1:], 0 * on[:, :1]], 1)
