"""Perturbed logits: Gumbel noise, codes as the largest of logits with noise, and such logits given the code."""

import numpy as np

from dvae_np.arrays import expect, one_hot
from dvae_np.ops import log_softmax, softplus


def gumbel(u):
    """Standard Gumbel noise -log(-log u) from uniforms u, of the same shape [Eq. 2.7].

    The ends 0 and 1, which a cast to float32 can reach, are moved to the nearest inner numbers: the noise stays finite.
    """
    limits = np.finfo(u.dtype)
    return -np.log(-np.log(np.clip(u, limits.tiny, 1 - limits.eps / 2)))


def gumbel_max(logits, u):
    """Codes drawn from q as argmax(logits + Gumbel noise): (S, B, N) [Eq. 2.8]. u: uniforms (S, B, N, K), else InputError."""
    expect("u", u, ("S", *logits.shape))
    return np.argmax(logits + gumbel(u), axis=-1)


def conditional_gumbel(logits, z, v):
    """Perturbed logits log q + Gumbel, drawn given that their argmax is z: (S, B, N, K) [Eq. 10.2].

    z: codes (S, B, N). v: uniforms (S, B, N, K). With E = -log v, independent Exponential(1) variables, the winner is
    -log E_z, a Gumbel, and each loser -log(E_k / q_k + E_z), below it (Maddison et al. 2014; Tucker et al. 2017).
    It is the *normalised* log q that enters: with unnormalised logits the winner would have the wrong law.

    `backward(dvalue)` returns (dlogits, None, None): the winner does not move with the logits, a loser by
    sigmoid(log(E_k / q_k) - log E_z) of its log q [Eq. 10.3].
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
