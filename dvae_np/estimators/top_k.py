"""Top-k: the most probable states summed exactly, one sample for all the rest."""

import numpy as np

from dvae_np.arrays import evaluated, expect_few_states
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import joint_states, law_and_codes
from dvae_np.noise import MOST_PERTURBED


def top_k(q, f, distinct):
    """q f score summed over the k = S - 1 most probable joint states, plus one state of the others, weighted [Eq. 12.3].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S = k + 1 evaluations of f, none of its gradient.
    Unbiased?     Yes: a Rao-Blackwellisation of REINFORCE.

    q: a law, or logits (B, N, K). distinct: S joint states drawn without replacement, in their order, as codes (S, B, N).
    The first of them that is not among the k most probable is a draw from q restricted to the rest, and k + 1 different
    states hold at least one. (Liu et al. 2019.) Raises InputError for more states than can be sorted.
    """
    q, distinct = law_and_codes(q, distinct)
    S, (B, N, K) = len(distinct), q.sizes
    expect_few_states("top_k", N, K, B, MOST_PERTURBED)
    states = joint_states(N, K, like=q[0])
    logq, _ = q.log_prob(states[:, None])  # (M, B)
    best = np.argsort(-logq, axis=0)[: S - 1]  # (k, B), the most probable states' numbers

    numbers = (distinct * K ** np.arange(N - 1, -1, -1, like=distinct)).sum(-1)  # (S, B)
    outside = (numbers[:, None] != best).all(1)  # (S, B)
    first = np.argmax(outside, axis=0)  # (B,)
    sample = distinct[first, np.arange(B, like=first)]  # (B, N)

    z = np.concatenate([states[best], sample[None]])  # (S, B, N)
    logq, log_prob_backward = q.log_prob(z)
    weight = np.exp(logq)
    weight[-1] = np.maximum(1 - weight[:-1].sum(0), 0)  # the mass of all the rest
    fz, f_backward = evaluated(f, z)
    _, dtheta = f_backward(weight)
    return Estimate((weight * fz).sum(0), log_prob_backward(weight * fz), dtheta)
