"""The path from q to the posterior, pi_t proportional to q w^t, and the bounds on log p(x) that lie along it.

log p(x) is the area under E_(pi_t)[log w] from t = 0, where it is the ELBO, to t = 1 [Eq. 22.7]. The curve rises, so a sum of
rectangles by their left sides is a bound from below: with one rectangle the ELBO, with more a tighter one.
(Masrani, Le & Wood 2019, the thermodynamic variational objective.)
"""

from itertools import pairwise

import numpy as np

from dvae_np.arrays import InputError, expect_few_states
from dvae_np.estimators.estimate import Estimate
from dvae_np.estimators.weights import log_weights
from dvae_np.laws import joint_states, law
from dvae_np.ops import softmax

__all__ = ["path", "thermodynamic"]

MOST_STATES = 2**16


def path(q, f, nodes):
    """E_(pi_t)[log w] of each t among `nodes`, in nats, as a sum over all joint states: (len(nodes), B) [Eq. 22.7].

    q: a law, or logits (B, N, K). f: the joint -log p(x, z); log w = -f(z) - log q(z). Raises InputError beyond 65,536 states.
    """
    q = law(q, "log_prob")
    B, N, K = q.sizes
    expect_few_states("path", N, K, B, MOST_STATES)
    z = joint_states(N, K, like=q[0])[:, None]
    logq = q.log_prob(z)[0]  # (M, B)
    logw = -f(z)[0] - logq
    return np.stack([(softmax((logq + t * logw).T)[0].T * logw).sum(0) for t in nodes])


def thermodynamic(q, f, z, *, nodes=(0.0, 0.1)):
    """Minus the left sum of the path, sum_k (t_(k+1) - t_k) E_(pi_t_k)[log w], and its gradients [Eq. 22.8].

    Approximates: the gradient of that bound in q and in f's own parameters: it contains the KL, and is the whole objective.
    With:         S >= 2 evaluations of f, none of its gradient; the same samples for all nodes.
    Unbiased?     At the node t = 0 alone, where it is leave-one-out. Elsewhere means under pi_t are means over samples with
                  weights softmax(t log w), with a bias that falls like 1/S.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). f: the joint -log p(x, z), as `dvae_np.vae.joint` makes it.
    nodes: rising numbers t from 0 to below 1. Covariances have the factor S/(S-1). Raises InputError for others, and S = 1.
    """
    expect_nodes(nodes)
    S, (logw, logq_backward, f_backward) = len(z), log_weights(q, f, z)
    value, dlogq, dfz = 0.0, 0.0, 0.0
    for t, following in pairwise((*map(float, nodes), 1.0)):
        v = softmax(t * logw.T)[0].T
        mean = (v * logw).sum(0)  # E[log w] under pi_t, (B,)
        covariance = (
            S / (S - 1) * v * (logw - mean)
        )  # times what it is the covariance with, and summed over the samples
        value = value - (following - t) * mean
        dlogq = dlogq + (following - t) * (v - 1 / S - (1 - t) * covariance)  # 1/S changes no mean
        dfz = dfz + (following - t) * (v + t * covariance)
    return Estimate(value, logq_backward(dlogq), f_backward(dfz)[1])


def expect_nodes(nodes):
    """Raise `InputError` unless they rise from 0 to below 1."""
    if tuple(nodes[:1]) != (0,) or not all(low < high for low, high in pairwise((*nodes, 1.0))):
        raise InputError(f"nodes: expected numbers that rise from 0 to below 1, got {nodes}")
