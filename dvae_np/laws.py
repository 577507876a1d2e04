"""The law of the latents as a value: what estimators, the objective, evaluation and figures ask of q(z|x), and of a prior.

A law is a tuple of named arrays; the first one, (B, N, K), is of the single latents. It can

    log_prob(z)     log q(z) of codes, in nats: (S, B); its gradient is the score
    probability()   q(z) of joint states: an op of its own, for sums over all of them
    score(z)        the gradient of log q(z), of each sample on its own
    codes(u)        draw codes (S, B, N) by uniforms
    relaxed_codes   (u, tau): the same by Gumbel noise, and relaxed ones (S, B, N, K), which have a derivative
    marginals()     q(z_n = k): (B, N, K)
    entropy()       in nats: (B,)
    kl(p)           KL(q || p) in nats: (B,); kl_parts(p) the parts that add up to it, (B, parts)
    mode()          the most probable codes: (B, N)

Where there is something to differentiate these are ops, ``value, backward``, and ``backward`` answers with a value of the law's
own type: in the place of each array the gradient in it. A law that cannot do one of them lacks it; an estimator's row says
what it asks for. Plain logits are welcome wherever a law is (`law`).

A logit of -inf rules its category out: all is as if the category were not there, with 0 log 0 = 0, and its gradient is 0.
"""

import math
from functools import reduce
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, expect_number, one_hot, summed_to
from dvae_np.ops import log_softmax, row_sums, rows_by_code, softmax
from dvae_np.perturbed import gumbel


class Independent(NamedTuple):
    """q(z) = prod_n softmax(logits_n)[z_n]; -inf rules a category out."""

    logits: np.ndarray  # (B, N, K)

    @property
    def sizes(self):
        """(B, N, K)."""
        return self.logits.shape

    def log_prob(self, z):
        """log q(z) = sum_n log softmax(logits_n)[z_n], in nats: (S, B) [Eq. 2.3]; the score is its gradient.

        z: codes (S, B, N), or (S, 1, N) for states shared by the whole batch. Raises InputError for wrong shapes and codes.
        """
        B, N, K = self.logits.shape
        expect("z", z, ("S", 1 if z.shape[1:2] == (1,) else B, N), "i")
        expect_codes("z", z, K)
        logq, log_softmax_backward = log_softmax(self.logits)

        if z.shape[1] == 1:
            states, by_state = z[:, 0], logq.transpose(1, 2, 0).copy()  # (S, N), (N, K, B)
            value = sum(
                by_state[n][states[:, n]] for n in range(N)
            )  # looked up: a product would make NaN of 0 times -inf
            return value, lambda dvalue: Independent(
                log_softmax_backward(rows_by_code(states, dvalue, K).transpose(2, 0, 1))
            )

        value = logq[np.arange(B, like=z)[:, None], np.arange(N, like=z), z].sum(-1)  # (S, B, N) summed to (S, B)

        def backward(dvalue):
            dlogq = (dvalue[..., None, None] * one_hot(z, K, dvalue.dtype)).sum(0)  # (B, N, K)
            return Independent(log_softmax_backward(dlogq))

        return value, backward

    def probability(self):
        """The op states (m, N) -> q(z) (m, B) [Eq. 4.1]; its gradient is q(z) (one_hot(z) - q) [Eq. 4.3].

        What does not depend on the states is computed once, so that they can be visited block by block.
        """
        q = latents_first(softmax(self.logits)[0])  # (N, K, B)
        _, N, K = self.logits.shape

        def op(states):
            value = reduce(np.multiply, (q[n][states[:, n]] for n in range(N)))  # a product over the latents

            def backward(dvalue):
                weighted = value * dvalue
                by_code = rows_by_code(states, weighted, K)  # (N, K, B): summed over the states with z_n = k
                return Independent((by_code - q * weighted.sum(0)).transpose(2, 0, 1))

            return value, backward

        return op

    def score(self, z):
        """The gradient of log q(z) in the logits, one_hot(z) - q, of each sample: (S, B, N, K) [Eq. 2.4]."""
        expect("z", z, ("S", *self.logits.shape[:2]), "i")
        expect_codes("z", z, self.logits.shape[-1])
        q, _ = softmax(self.logits)
        return Independent(one_hot(z, self.logits.shape[-1], self.logits.dtype) - q)

    def codes(self, u):
        """Codes drawn from q by inverting its distribution function at uniforms u (S, B, N): (S, B, N) [Eq. 2.6].

        z is the number of categories whose cumulated probability does not exceed u. One uniform a code, where Gumbel-max
        takes K; a category of probability zero is never drawn. The sum runs in float64, so that K in the thousands is safe.
        """
        expect("u", u, ("S", *self.logits.shape[:2]))
        q, _ = softmax(self.logits)
        cumulated = np.cumsum(q, axis=-1, dtype=np.float64)
        cumulated = np.moveaxis(cumulated, -1, 0).copy()  # (K, B, N): many short rows are compared as a few long ones
        highest = cumulated[-1]
        target = np.minimum(u * highest, highest * (1 - 2**-52))  # strictly below the top, whatever u rounds to
        return (cumulated[:-1, None] <= target).sum(0)

    def relaxed_codes(self, u, tau):
        """y = softmax((logits + Gumbel noise of u) / tau), (S, B, N, K) [Eq. 7.1], and z = argmax y; backward(dy) is of y."""
        expect_uniforms(self, u)
        expect_number("tau", getattr(tau, "real", tau), "a temperature", above=True)
        perturbed = (self.logits + gumbel(u)) / tau
        y, softmax_backward = softmax(perturbed)
        return (y, np.argmax(perturbed.real, axis=-1)), lambda dy: Independent(softmax_backward(dy).sum(0) / tau)

    def marginals(self):
        """softmax(logits): (B, N, K) [Eq. 2.2]."""
        value, backward = softmax(self.logits)
        return value, lambda dvalue: Independent(backward(dvalue))

    def entropy(self):
        """-sum q log q, over the N latents, in nats: (B,) [Eq. 2.5]; gradient -q (log q + entropy of that latent)."""
        logq, _ = log_softmax(self.logits)
        q = np.exp(logq)
        logq = np.where(q.real > 0, logq, 0)  # 0 log 0 = 0
        each = -(q * logq).sum(-1)  # (B, N)
        return each.sum(-1), lambda dvalue: Independent(-dvalue[:, None, None] * q * (logq + each[..., None]))

    def kl(self, p=None):
        """KL(q || p), added up over the N latents, in nats: (B,) [Eq. 3.3]; p and gradients as in `kl_parts`."""
        parts, parts_backward = self.kl_parts(p)
        return parts.sum(-1), lambda dvalue: parts_backward(np.broadcast_to(dvalue[:, None], parts.shape))

    def kl_parts(self, p=None):
        """KL(q_n || p_n) = sum_k q_k log(q_k / p_k) of each latent, in nats: (B, N) [Eq. 3.3].

        p: a law of independent latents too, of a batch of B, or of 1 that the batch shares, or None for the uniform one, for
        which the KL is log K - entropy [Eq. 3.6].

        `backward(dvalue)` returns (dq, dp): q (log(q/p) - KL) [Eq. 3.4] and p - q [Eq. 3.5], the latter summed over the batch
        where the prior is shared, None where it is uniform. A category whose q is 0 adds 0; the KL is infinite where p rules
        out what q does not. (Another kind of p answers: `Chain.kl_from`.) Raises InputError for shapes that do not fit.
        """
        if p is not None and not isinstance(p, Independent):
            if not hasattr(p, "kl_from"):
                raise InputError(f"p: expected independent latents, a chain or None, got a {type(p).__name__}")
            return p.kl_from(self)
        B, N, K = self.logits.shape
        logq, _ = log_softmax(self.logits)
        q = np.exp(logq)
        if p is None:
            logp = -math.log(K)
        else:
            expect("p_logits", p.logits, (1 if len(p.logits) == 1 else B, N, K))
            logp, _ = log_softmax(p.logits)
        possible = q.real > 0  # elsewhere 0 log 0 = 0
        ratio = np.where(possible, logq, 0) - (logp if p is None else np.where(possible, logp, 0))
        parts = row_sums(q * ratio)[..., 0]  # (B, N)

        def backward(dvalue):
            dvalue = dvalue[..., None]
            dq = Independent(dvalue * q * (ratio - parts[..., None]))
            if p is None:
                return dq, None
            return dq, Independent(summed_to(p.logits.shape, dvalue * (np.exp(logp) - q)))

        return parts, backward

    def mode(self):
        """The most probable category of each latent: (B, N)."""
        return np.argmax(self.logits, axis=-1)


def law(q, *asked):
    """q as a law: plain logits (B, N, K) are `Independent`. Raises InputError for what is neither, or lacks what is `asked`."""
    q = q if isinstance(q, tuple) else Independent(q)
    expect("logits", q[0], ("B", "N", "K"))
    for method in asked:
        if not hasattr(q, method):
            raise InputError(
                f"q: expected a law with {method.replace('_', ' ')}, got a {type(q).__name__}, which has none"
            )
    return q


def expect_uniforms(q, *uniforms):
    """Raises InputError for uniforms that are not (S, B, N, K) with S of at least 1."""
    for u in uniforms:
        expect("uniforms", u, ("S", *q.sizes))
        if len(u) < 1:
            raise InputError(f"S: expected at least 1 sample, got {len(u)}")


def each_array(function, *laws):
    """One law whose arrays are what `function` makes of theirs: ``each_array(np.add, dq, dkl)``."""
    return type(laws[0])(*map(function, *laws))


def independent_logits(q, *uniforms):
    """The logits (B, N, K) of independent latents. Raises InputError for another law, and for uniforms not (S, B, N, K)."""
    q = law(q)
    if not isinstance(q, Independent):
        raise InputError(f"q: expected independent latents, their logits (B, N, K), got a {type(q).__name__}")
    expect_uniforms(q, *uniforms)
    return q.logits


def law_and_codes(q, z, fewest=1, *asked):
    """q as a law, as `law`, and the codes z (S, B, N) as int64: in a small or unsigned type, differences and places would wrap.

    Raises InputError unless they are codes from 0 to K-1 of q's sizes, with S >= fewest.
    """
    q = law(q, *asked)
    B, N, K = q[0].shape
    expect("z", z, ("S", B, N), "i")
    if len(z) < fewest:
        raise InputError(f"S: expected at least {fewest} samples, got {len(z)}")
    expect_codes("z", z, K)
    return q, z.astype(np.int64, copy=False)


def logits_and_codes(q, z, fewest=1):
    """The logits of independent latents, and codes z (S, B, N) as int64; errors as `law_and_codes`, `independent_logits`."""
    q, z = law_and_codes(q, z, fewest)
    return independent_logits(q), z


def joint_states(N, K, start=0, stop=None, like=None):
    """The joint states of N latents with numbers start..stop-1 of all K**N, the last latent fastest: (M, N) codes.

    The state with number m is m written in base K [Eq. 4.2]. `like` is an array on the device where they are wanted.
    """
    like = np.empty(0) if like is None else like
    numbers = np.arange(start, K**N if stop is None else stop, like=like)
    powers = K ** np.arange(N - 1, -1, -1, like=like)
    return numbers[:, None] // powers % K


def latents_first(q):
    """q (B, N, K) as (N, K, B): few examples at a time, as the rows that are read in turn fit into a cache; more if short."""
    B, N, K = q.shape
    few = max(16, 2**13 // (N * K))
    transposed = np.empty((N, K, B), q.dtype, like=q)
    for start in range(0, B, few):
        transposed[..., start : start + few] = q[start : start + few].transpose(1, 2, 0)
    return transposed
