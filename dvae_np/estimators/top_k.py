"""Top-k: the most probable states summed exactly, one sample for all the rest."""

import numpy as np

from dvae_np.arrays import expect
from dvae_np.categorical import joint_states, log_prob
from dvae_np.estimators.estimate import Estimate, expect_codes_drawn, expect_few_states
from dvae_np.noise import MOST_PERTURBED


def top_k(logits, f, distinct):
    """q f score summed over the k = S - 1 most probable joint states, plus one state of the others, weighted [Eq. 12.3].

    Approximates: the gradient of E_q[f] in the logits.
    With:         S = k + 1 evaluations of f, none of its gradient.
    Unbiased?     Yes: a Rao-Blackwellisation of REINFORCE.

    logits: (B, N, K). distinct: S joint states drawn without replacement, in their order, as codes (S, B, N). The first of
    them that is not among the k most probable is a draw from q restricted to the rest, and k + 1 different states hold at
    least one. (Liu et al. 2019.)
    """
    distinct = expect_codes_drawn(logits, distinct)
    S, (B, N, K) = len(distinct), logits.shape
    expect_few_states("top_k", N, K, B, MOST_PERTURBED)
    states = joint_states(N, K, like=logits)
    logq, _ = log_prob(logits, states[:, None])  # (M, B)
    best = np.argsort(-logq, axis=0)[: S - 1]  # (k, B), the most probable states' numbers

    numbers = (distinct * K ** np.arange(N - 1, -1, -1, like=distinct)).sum(-1)  # (S, B)
    outside = (numbers[:, None] != best).all(1)  # (S, B)
    first = np.argmax(outside, axis=0)  # (B,)
    sample = distinct[first, np.arange(B, like=first)]  # (B, N)

    z = np.concatenate([states[best], sample[None]])  # (S, B, N)
    logq, log_prob_backward = log_prob(logits, z)
    weight = np.exp(logq)
    weight[-1] = np.maximum(1 - weight[:-1].sum(0), 0)  # the mass of all the rest
    fz, f_backward = f(z)
    expect("fz", fz, z.shape[:2])
    _, dtheta = f_backward(weight)
    return Estimate((weight * fz).sum(0), log_prob_backward(weight * fz)[0], dtheta)
