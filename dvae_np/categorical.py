"""The categorical distribution over N latents of K categories, parametrised by logits (B, N, K).

q(z|x) is the product over the N latents of softmax(logits)[z_n]. Log-probability, entropy and KL are ops (value and
backward, as in `dvae_np.ops`), in nats; sampling takes its uniforms as an argument.

A logit of -inf rules its category out: all is as if the category were not there, with 0 log 0 = 0, and its gradient is 0.
"""

import math

import numpy as np

from dvae_np.arrays import expect, expect_codes, one_hot, summed_to
from dvae_np.ops import log_softmax, row_sums, rows_by_code, softmax, softplus


def log_prob(logits, z):
    """log q(z) = sum_n log softmax(logits_n)[z_n], in nats: (S, B) [Eq. 2.3]; the score is its gradient.

    logits: (B, N, K). z: codes (S, B, N), or (S, 1, N) for states shared by the whole batch.

    `backward(dlogq)` takes (S, B) and returns (dlogits (B, N, K), None). Raises InputError for wrong shapes and codes.
    """
    expect("logits", logits, ("B", "N", "K"))
    B, N, K = logits.shape
    expect("z", z, ("S", 1 if z.shape[1:2] == (1,) else B, N), "i")
    expect_codes("z", z, K)
    logq, log_softmax_backward = log_softmax(logits)

    if z.shape[1] == 1:
        states, by_state = z[:, 0], logq.transpose(1, 2, 0).copy()  # (S, N), (N, K, B)
        value = sum(by_state[n][states[:, n]] for n in range(N))  # looked up: a product would make NaN of 0 times -inf
        return value, lambda dvalue: (log_softmax_backward(rows_by_code(states, dvalue, K).transpose(2, 0, 1)), None)

    value = logq[np.arange(B, like=z)[:, None], np.arange(N, like=z), z].sum(-1)  # (S, B, N) summed to (S, B)

    def backward(dvalue):
        dlogq = (dvalue[..., None, None] * one_hot(z, K, dvalue.dtype)).sum(0)  # (B, N, K)
        return log_softmax_backward(dlogq), None

    return value, backward


def score(logits, z):
    """The gradient of log q(z) in the logits, one_hot(z) - q, of each sample: (S, B, N, K) [Eq. 2.4]."""
    expect("z", z, ("S", *logits.shape[:2]), "i")
    expect_codes("z", z, logits.shape[-1])
    q, _ = softmax(logits)
    return one_hot(z, logits.shape[-1], logits.dtype) - q


def entropy(logits):
    """-sum q log q, over the N latents, in nats: (B,) [Eq. 2.5]; gradient -q (log q + entropy of that latent)."""
    expect("logits", logits, ("B", "N", "K"))
    logq, _ = log_softmax(logits)
    q = np.exp(logq)
    logq = np.where(q.real > 0, logq, 0)  # 0 log 0 = 0
    each = -(q * logq).sum(-1)  # (B, N)
    return each.sum(-1), lambda dvalue: -dvalue[:, None, None] * q * (logq + each[..., None])


def kl(q_logits, p_logits=None):
    """KL(q || p) = sum_k q_k log(q_k / p_k), added up over the N latents, in nats: (B,) [Eq. 3.3].

    Arguments and gradients as in `kl_per_latent`, `backward` taking (B,).
    """
    each, each_backward = kl_per_latent(q_logits, p_logits)
    return each.sum(-1), lambda dvalue: each_backward(np.broadcast_to(dvalue[:, None], each.shape))


def kl_per_latent(q_logits, p_logits=None):
    """KL(q_n || p_n) of each latent, in nats: (B, N) [Eq. 3.3].

    q_logits: (B, N, K). p_logits: (B, N, K), or (1, N, K) for one prior shared by the batch, or None for the uniform
    prior, for which the KL is log K - entropy [Eq. 3.6].

    `backward(dvalue)` returns (dq_logits, dp_logits): q (log(q/p) - KL) [Eq. 3.4] and p - q [Eq. 3.5], the latter
    summed over the batch where the prior is shared, None where it is uniform.
    A category whose q is 0 adds 0; the KL is infinite where p rules out what q does not. Raises InputError for shapes that
    do not fit.
    """
    expect("q_logits", q_logits, ("B", "N", "K"))
    B, N, K = q_logits.shape
    logq, _ = log_softmax(q_logits)
    q = np.exp(logq)
    if p_logits is None:
        logp = -math.log(K)
    else:
        expect("p_logits", p_logits, (1 if len(p_logits) == 1 else B, N, K))
        logp, _ = log_softmax(p_logits)
    possible = q.real > 0  # elsewhere 0 log 0 = 0
    ratio = np.where(possible, logq, 0) - (logp if p_logits is None else np.where(possible, logp, 0))
    each = row_sums(q * ratio)[..., 0]  # (B, N)

    def backward(dvalue):
        dvalue = dvalue[..., None]
        dq_logits = dvalue * q * (ratio - each[..., None])
        if p_logits is None:
            return dq_logits, None
        return dq_logits, summed_to(p_logits.shape, dvalue * (np.exp(logp) - q))

    return each, backward


def codes(logits, u):
    """Codes drawn from q by inverting its distribution function at uniforms u (S, B, N): (S, B, N) [Eq. 2.8].

    z is the number of categories whose cumulated probability does not exceed u. One uniform a code, where Gumbel-max
    takes K; a category of probability zero is never drawn. The sum runs in float64, so that K in the thousands is safe.
    """
    expect("u", u, ("S", *logits.shape[:2]))
    q, _ = softmax(logits)
    cumulated = np.cumsum(q, axis=-1, dtype=np.float64)
    cumulated = np.moveaxis(cumulated, -1, 0).copy()  # (K, B, N): many short rows are compared as a few long ones
    highest = cumulated[-1]
    target = np.minimum(u * highest, highest * (1 - 2**-52))  # strictly below the top, whatever u rounds to
    return (cumulated[:-1, None] <= target).sum(0)


def gumbel(u):
    """Standard Gumbel noise -log(-log u) from uniforms u, of the same shape [Eq. 2.6].

    The ends 0 and 1, which a cast to float32 can reach, are moved to the nearest inner numbers: the noise stays finite.
    """
    limits = np.finfo(u.dtype)
    return -np.log(-np.log(np.clip(u, limits.tiny, 1 - limits.eps / 2)))


def gumbel_max(logits, u):
    """Codes drawn from q as argmax(logits + Gumbel noise), from uniforms u (S, B, N, K): (S, B, N) [Eq. 2.7]."""
    expect("u", u, ("S", *logits.shape))
    return np.argmax(logits + gumbel(u), axis=-1)


def conditional_gumbel(logits, z, v):
    """Perturbed logits log q + Gumbel, drawn given that their argmax is z: (S, B, N, K) [Eq. 10.1].

    z: codes (S, B, N). v: uniforms (S, B, N, K). With E = -log v, independent Exponential(1) variables, the winner is
    -log E_z, a Gumbel, and each loser -log(E_k / q_k + E_z), below it (Maddison et al. 2014; Tucker et al. 2017).
    It is the *normalised* log q that enters: with unnormalised logits the winner would have the wrong law.

    `backward(dvalue)` returns (dlogits, None, None): the winner does not move with the logits, a loser by
    sigmoid(log(E_k / q_k) - log E_z) of its log q [Eq. 10.2].
    """
    limits = np.finfo(v.dtype)
    logq, log_softmax_backward = log_softmax(logits)
    log_e = np.log(-np.log(np.clip(v, limits.tiny, 1 - limits.eps / 2)))
    loser = one_hot(z, logits.shape[-1], v.dtype) == 0
    log_winner = np.where(loser, 0, log_e).sum(-1, keepdims=True)  # (S, B, N, 1)
    gap, softplus_backward = softplus(log_e - logq - log_winner)  # infinite for a category that is ruled out
    moving = loser & (logq.real > -np.inf)

    def backward(dvalue):
        return log_softmax_backward(softplus_backward(np.where(moving, dvalue, 0)).sum(0)), None, None

    return -log_winner - np.where(loser, gap, 0), backward


def distinct(logits, u):
    """S different joint states, drawn from q one after the other without replacement: codes (S, B, N) [Eq. 12.2].

    u: uniforms (B, K**N). They are the states of the S largest log q(state) + Gumbel noise, in falling order: `draw`
    keeps the first S (Gumbel-top-k, Kool et al. 2019). States of probability 0 come last.
    """
    _, N, K = logits.shape
    states = joint_states(N, K, like=logits)
    logq, _ = log_prob(logits, states[:, None])  # (M, B)
    order = np.argsort(-(logq.T + gumbel(u)), axis=-1)  # (B, M)
    return states[order].transpose(1, 0, 2)


def joint_states(N, K, start=0, stop=None, like=None):
    """The joint states of N latents with numbers start..stop-1 of all K**N, the last latent fastest: (M, N) codes.

    The state with number m is m written in base K [Eq. 4.5]. `like` is an array on the device where they are wanted.
    """
    like = np.empty(0) if like is None else like
    numbers = np.arange(start, K**N if stop is None else stop, like=like)
    powers = K ** np.arange(N - 1, -1, -1, like=like)
    return numbers[:, None] // powers % K
