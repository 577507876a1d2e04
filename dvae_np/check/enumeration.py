"""Exact means and variances of estimators: every outcome of their noise, weighted by its probability.

An estimator is a function of its noise and treats the examples of a batch independently. So the same logits, tiled T
times along the batch, with T different outcomes of the noise, give T draws of the estimator in one call; weighted sums
over them are its mean and variance, with no sampling error at all.
"""

import numpy as np

from dvae_np.arrays import InputError, expect
from dvae_np.categorical import joint_states, log_prob
from dvae_np.ops import log_softmax

MOST_OUTCOMES = 2**21


def tiled(logits, T):
    """One example's logits (1, N, K) as a batch of T replicates (T, N, K)."""
    return np.broadcast_to(logits, (T, *logits.shape[1:]))


def every_code(logits, S):
    """All outcomes of S codes drawn from q: z (S, T, N) and their probabilities (T,), T = (K**N)**S [Eq. 5.3].

    logits: (1, N, K), one example. Raises InputError for more than 2 million outcomes.
    """
    expect("logits", logits, (1, "N", "K"))
    _, N, K = logits.shape
    M = K**N
    if M**S > MOST_OUTCOMES:
        raise InputError(f"every_code: (K**N)**S = {M}**{S} = {M**S} outcomes are more than {MOST_OUTCOMES}")
    states = joint_states(N, K)
    logq, _ = log_prob(logits, states[:, None])  # (M, 1)
    chosen = joint_states(S, M).T  # (S, T): which state each sample is in
    return states[chosen], np.exp(logq[chosen, 0].sum(0))


def gumbel_nodes(logits, nodes):
    """Quadrature over the Gumbel noise of one latent: uniforms u (1, T, 1, K) and weights (T,), T = K nodes**K.

    logits: (1, 1, K). Given which category wins, the K perturbed logits are smooth functions of K independent
    Exponential(1) variables [Eq. 10.1]; so the integral splits at the argmax, where estimators jump, into K smooth ones,
    each by the double-exponential rule for half-lines (Takahasi & Mori 1974). Convergence is judged by doubling `nodes`.
    """
    expect("logits", logits, (1, 1, "K"))
    K = logits.shape[-1]
    if K * nodes**K > MOST_OUTCOMES:
        raise InputError(f"gumbel_nodes: K nodes**K = {K} x {nodes}**{K} outcomes are more than {MOST_OUTCOMES}")
    t, step = np.linspace(-3.4, 4.1, nodes, retstep=True)
    exponential = np.exp(t - np.exp(-t))  # E, a variable of density e^-E on the half-line
    weight = step * np.exp(-exponential) * exponential * (1 + np.exp(-t))

    index = joint_states(K, nodes)  # (nodes**K, K)
    E, weights = exponential[index], weight[index].prod(-1)
    logq = log_softmax(logits)[0][0, 0]  # (K,)
    u, probabilities = [], []
    for winner in range(K):
        top = E[:, [winner]]
        perturbed = -np.log(E / np.exp(logq) + top)  # the losers, below the winner's -log E
        perturbed[:, winner] = -np.log(top[:, 0])
        u.append(np.exp(-np.exp(-(perturbed - logq))))
        probabilities.append(np.exp(logq[winner]) * weights)
    return np.concatenate(u)[None, :, None], np.concatenate(probabilities)


def moments(weights, draws):
    """Mean and variance of weighted draws (T, ...), entry by entry [Eq. 5.3]."""
    mean = np.tensordot(weights, draws, 1)
    return mean, np.tensordot(weights, (draws - mean) ** 2, 1)


def expectation(logits, f):
    """E_q[f] as the plain sum over all states, for one example or many: (B,). The oracle, kept as short as it can be."""
    _, N, K = logits.shape
    q = np.exp(log_softmax(logits)[0])
    value = 0
    for state in joint_states(N, K):
        probability = q[:, np.arange(N), state].prod(-1)  # (B,)
        value = value + probability * f(state[None, None])[0][0]
    return value
