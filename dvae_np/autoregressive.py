"""An autoregressive law: each code depends on all the codes before it, by a small network [Eq. 20.15].

It can be drawn from and scored, and so it suits every estimator that asks for log q alone. It has no exact marginals, no
entropy, no mode and no KL in closed form: each would need all K^N codes.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, expect_few_states, is_codes, one_hot, summed_to
from dvae_np.dependent import by_log_prob, by_uniforms, paired
from dvae_np.laws import Independent, joint_states
from dvae_np.ops import log_softmax, softmax

MOST_STATES = 2**12


class Autoregressive(NamedTuple):
    """q(z) = prod_n softmax(l_n)[z_n], l_n = unary_n + tanh(sum_(m<n) table_m[z_m]) out_(n-1), l_1 = unary_1."""

    unary: np.ndarray  # (B, N, K)
    table: np.ndarray  # (B, N-1, K, H), or (1, N-1, K, H) where the batch shares it
    out: np.ndarray  # (B, N-1, H, K), or (1, N-1, H, K)

    @property
    def sizes(self):
        """(B, N, K)."""
        return self.unary.shape

    def conditionals(self, z):
        """The logits l_n of each code given those before it, for codes z (S, B, N) or their one-hots: (S, B, N, K) [Eq. 20.15].

        `backward(dl)` returns the gradient. Changing z_n changes l_(n+1) and those after it alone.
        """
        self.expect()
        y = self._one_hots(z)[..., :-1, :]
        hidden = np.tanh(np.cumsum(_times(y, self.table), -2))  # (S, B, N-1, H)
        rest = _times(hidden, self.out)
        first = np.zeros_like(rest, shape=(*rest.shape[:2], 1, self.sizes[2]))
        value = self.unary + np.concatenate([first, rest], -2)

        def conditionals_backward(dl):
            after = dl[..., 1:, :]
            if len(self.out) == 1:  # then the batch may share z
                after = summed_to((len(dl), hidden.shape[1], *after.shape[2:]), after)
            dsum = summed_to(hidden.shape, _times(after, self.out.transpose(0, 1, 3, 2))) * (1 - hidden**2)
            drows = np.cumsum(dsum[..., ::-1, :], -2)[..., ::-1, :]  # each row goes into all sums after it
            dtable, dout = paired(y, drows, len(self.table) == 1), paired(hidden, after, len(self.out) == 1)
            return Autoregressive(summed_to(self.unary.shape, dl.sum(0)), dtable, dout)

        return value, conditionals_backward

    def log_prob(self, z):
        """log q(z) of codes z (S, B, N), or (S, 1, N) for states shared by the batch, in nats: (S, B); gradient: the score."""
        logits, conditionals_backward = self.conditionals(z)
        logq, log_softmax_backward = log_softmax(logits)
        hits = self._one_hots(z)
        value = np.where(hits > 0, logq, 0).sum((-1, -2))

        def log_prob_backward(dvalue):
            return conditionals_backward(log_softmax_backward(dvalue[..., None, None] * hits))

        return value, log_prob_backward

    def probability(self):
        """The op states (m, N) -> q(z) (m, B), for sums over all joint states."""
        return partial(by_log_prob, self)

    def score(self, z):
        """The gradient of log q(z), of each sample: the arrays' shapes with S in front, and B where the batch shares them."""
        S, B, N = z.shape
        alone = Autoregressive(*(np.repeat(np.broadcast_to(array, (B, *array.shape[1:]))[None], S, 0).reshape(
            S * B, *array.shape[1:]) for array in self))  # fmt: skip
        each = alone.log_prob(z.reshape(1, S * B, N))[1](np.ones_like(self.unary, shape=(1, S * B)))
        return Autoregressive(*(array.reshape(S, B, *array.shape[1:]) for array in each))

    def codes(self, u):
        """Codes drawn from the first latent to the last, one uniform of u (S, B, N) each: (S, B, N)."""
        self.expect()
        B, N, K = self.sizes
        expect("u", u, ("S", B, N))
        total, z = 0, []
        for n in range(N):
            logits = self.unary[:, n]
            if n:
                hits = one_hot(z[-1], K, logits.dtype)[..., None, :]
                total = total + _times(hits, self.table[:, [n - 1]])  # (S, B, 1, H)
                logits = logits + _times(np.tanh(total), self.out[:, [n - 1]])[..., 0, :]
            z.append(by_uniforms(softmax(logits)[0], u[..., n]))
        return np.stack(z, -1)

    def through(self, z):
        """Straight-through along the path of codes z (S, B, N): their one-hots (S, B, N, K), and backward to q [Eq. 20.17].

        Each one-hot goes backward as its softmax: to its own logits, and through the network to all codes before it. For affine
        f the gradient in the *last* code's own logits, and in the network's last step, is right on average; those of the codes
        before are biased even then.
        """
        logits, conditionals_backward = self.conditionals(z)
        q, hits = softmax(logits)[0], self._one_hots(z)
        hidden = np.tanh(np.cumsum(_times(hits[..., :-1, :], self.table), -2))

        def through_backward(dz):
            dl, dsum = np.zeros_like(dz), 0  # dsum (S, B, 1, H): the gradient in all sums after the code
            for n in range(self.sizes[1] - 1, -1, -1):
                down = dz[..., n, :]
                if n < self.sizes[1] - 1:
                    slope = 1 - hidden[..., [n], :] ** 2
                    dsum = dsum + _times(dl[..., [n + 1], :], self.out[:, [n]].transpose(0, 1, 3, 2)) * slope
                    down = down + _times(dsum, self.table[:, [n]].transpose(0, 1, 3, 2))[..., 0, :]
                own = q[..., n, :]
                dl[..., n, :] = own * (down - (own * down).sum(-1, keepdims=True))
            return conditionals_backward(dl)

        return hits, through_backward

    def expect(self):
        """Raise `InputError` unless the three arrays fit each other."""
        expect("unary", self.unary, ("B", "N", "K"))
        B, N, K = self.sizes
        for name, array, shape in (("table", self.table, (N - 1, K, "H")), ("out", self.out, (N - 1, "H", K))):
            expect(name, array, ("1 or B", *shape))
            expect(name, array, (1 if len(array) == 1 else B, *shape))
        expect("out", self.out, (len(self.out), N - 1, self.table.shape[-1], K))

    def _one_hots(self, z):
        """Codes (S, B or 1, N) as one-hots (S, B or 1, N, K); what are no codes stays."""
        if not is_codes(z):
            return z
        B, N, K = self.sizes
        expect("z", z, ("S", "B" if B == 1 or z.shape[1:2] == (1,) else B, N), "i")
        expect_codes("z", z, K)
        return one_hot(z, K, self.unary.real.dtype)


def weighted_codes(q, z=None):
    """Codes z drawn from q, with weights 1 / S (S, B); without them all joint states (M, 1, N), with their chances (M, B).

    Raises InputError for more than 4,096 states, of which the network has an answer for each example.
    """
    if z is not None:
        return z, np.full_like(q[0], 1 / len(z), shape=z.shape[:2])
    B, N, K = q.sizes
    expect_few_states("exact", N, K, B, MOST_STATES)
    states = joint_states(N, K, like=q[0])
    return states[:, None], q.probability()(states)[0]


def kl_given(q, p, z, weights):
    """KL(q_n || p_n) of each code given those before it, averaged over codes z (S, B, N), weights (S, B): (B, N) [Eq. 20.16].

    q, p: `Autoregressive` or `Independent`, or None for a uniform p. With z drawn from q and weights 1 / S its mean is
    KL(q || p), in nats, in N parts; with all joint states, and their probabilities as weights, it is KL(q || p).

    `backward(dparts)` returns (dq, dp): not the derivative of this average, but of what it is the mean of. The codes are drawn
    from q, too: the KLs of *later* codes are a reward on each code's score, beside the derivative of its own KL.
    Raises InputError for another law, and for shapes that do not fit.
    """
    expect("weights", weights, (len(z), q.sizes[0]))
    if p is not None:
        expect("p: unary", p[0], (1 if len(p[0]) == 1 else q.sizes[0], *q.sizes[1:]))
    (lq, q_backward), (lp, p_backward) = (_autoregressive(law).conditionals(z) for law in (q, q if p is None else p))
    logq, share = log_softmax(lq)[0], softmax(lq)[0]
    logp = -math.log(lq.shape[-1]) if p is None else log_softmax(lp)[0]
    possible = share.real > 0
    ratio = np.where(possible, logq - (logp if p is None else np.where(possible, logp, 0)), 0)
    each = (share * ratio).sum(-1)  # (S, B, N)

    def kl_backward(dparts):
        weighted = weights[..., None] * dparts
        costs = weighted * each
        later = np.cumsum(costs[..., ::-1], -1)[..., ::-1] - costs
        hits = one_hot(z, lq.shape[-1], share.real.dtype)
        dl = weighted[..., None] * share * (ratio - each[..., None]) + later[..., None] * (hits - share)
        dq = _plain(q_backward(dl), q)
        if p is None:
            return dq, None
        return dq, _plain(p_backward(weighted[..., None] * (softmax(lp)[0] - share)), p)

    return (weights[..., None] * each).sum(0), kl_backward


def _autoregressive(law):
    """Independent latents as an `Autoregressive` law whose network says nothing."""
    if isinstance(law, Autoregressive):
        return law
    if not isinstance(law, Independent):
        raise InputError(f"expected an autoregressive law or independent latents, got a {type(law).__name__}")
    _, N, K = law.sizes
    empty = np.zeros_like(law.logits, shape=(1, N - 1, K, 1))
    return Autoregressive(law.logits, empty, empty.transpose(0, 1, 3, 2))


def _plain(gradient, law):
    """The gradient as one in a law of that kind."""
    return gradient if isinstance(law, Autoregressive) else Independent(gradient.unary)


def _times(vectors, matrices):
    """vectors (S, B, N, I) times matrices (B, N, I, J), or (1, N, I, J) in one product for each n: (S, B, N, J)."""
    S, B = vectors.shape[:2]
    flat = vectors.reshape(S * B, 1, *vectors.shape[2:]) if len(matrices) == 1 else vectors
    product = (flat.transpose(1, 2, 0, 3) @ matrices).transpose(2, 0, 1, 3)
    return product.reshape(S, max(B, len(matrices)), *product.shape[2:])
