"""The categorical distribution of N latents by plain logits (B, N, K): the ops of `dvae_np.laws.Independent` as functions.

Log-probability, entropy and KL are ops (value and backward, as in `dvae_np.ops`), in nats; sampling takes its uniforms as an
argument.
"""

import numpy as np

from dvae_np.arrays import expect
from dvae_np.laws import Independent, joint_states, law
from dvae_np.perturbed import gumbel


def log_prob(logits, z):
    """`Independent.log_prob` of plain logits: `backward(dvalue)` returns (dlogits, None)."""
    value, backward = law(logits).log_prob(z)
    return value, lambda dvalue: (*backward(dvalue), None)


def score(logits, z):
    """`Independent.score` of plain logits: (S, B, N, K)."""
    return Independent(logits).score(z).logits


def entropy(logits):
    """`Independent.entropy` of plain logits: `backward(dvalue)` returns dlogits."""
    value, backward = law(logits).entropy()
    return value, lambda dvalue: backward(dvalue).logits


def kl(q_logits, p_logits=None):
    """`Independent.kl` of plain logits: `backward(dvalue)` returns (dq_logits, dp_logits)."""
    return _between(q_logits, p_logits, Independent.kl)


def kl_per_latent(q_logits, p_logits=None):
    """`Independent.kl_parts` of plain logits: `backward(dvalue)` returns (dq_logits, dp_logits)."""
    return _between(q_logits, p_logits, Independent.kl_parts)


def _between(q_logits, p_logits, op):
    expect("q_logits", q_logits, ("B", "N", "K"))
    value, backward = op(Independent(q_logits), None if p_logits is None else Independent(p_logits))
    return value, lambda dvalue: tuple(None if each is None else each.logits for each in backward(dvalue))


def codes(logits, u):
    """`Independent.codes` of plain logits."""
    return Independent(logits).codes(u)


def distinct(q, u):
    """S different joint states, drawn from q one after the other without replacement: codes (S, B, N) [Eq. 12.2].

    q: a law, or logits (B, N, K). u: uniforms (B, K**N). They are the states of the S largest log q(state) + Gumbel noise, in
    falling order: `draw` keeps the first S (Gumbel-top-k, Kool et al. 2019). States of probability 0 come last.
    """
    q = law(q)
    _, N, K = q.sizes
    states = joint_states(N, K, like=q[0])
    logq, _ = q.log_prob(states[:, None])  # (M, B)
    order = np.argsort(-(logq.T + gumbel(u)), axis=-1)  # (B, M)
    return states[order].transpose(1, 0, 2)
