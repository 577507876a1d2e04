"""Which law the posterior is, one of `POSTERIORS`, and which the prior, one of `PRIORS`; those that are not independent.

A new one is an op of the parameters and a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvae_np.autoregressive import Autoregressive
from dvae_np.chain import Chain
from dvae_np.laws import Independent
from dvae_np.networks import conditional, expect_arrays, independent, shared, uniform
from dvae_np.ops import log_softmax, relu

WIDTH = 32  # hidden units of an autoregressive law


def chained(psi, x, c=None, activation=relu):
    """q(z|x,c) a chain: its unary potentials by the same network, psi's ``pairwise`` (N-1, K, K) the same for all x."""
    q, q_backward = independent(psi, x, c, activation)

    def backward(dq):
        return q_backward(Independent(dq.unary)) | {"pairwise": dq.pairwise[0]}

    return Chain(q.logits, psi["pairwise"][None]), backward


def markov(phi, c, N, activation=relu):
    """p(z) a chain for all examples. phi: ``unary`` (N, K), ``pairwise`` (N-1, K, K). backward(dp) gives dphi."""
    expect_arrays(phi, {"unary", "pairwise"}, False, "the potentials of a markov prior")
    p = Chain(phi["unary"][None], phi["pairwise"][None])
    return p, lambda dp: {"unary": dp.unary[0], "pairwise": dp.pairwise[0]}


def transition(phi, c, N, activation=relu):
    """p(z_1) prod_n p(z_(n+1)|z_n), one matrix for all steps [Eq. 20.10]. phi: ``initial`` (K,), ``transition`` (K, K)."""
    expect_arrays(phi, {"initial", "transition"}, False, "the logits of a transition prior")
    first, first_backward = log_softmax(phi["initial"])
    steps, steps_backward = log_softmax(phi["transition"])
    K = len(first)
    unary = np.concatenate([first[None], np.zeros_like(first, shape=(N - 1, K))])
    p = Chain(unary[None], np.broadcast_to(steps, (1, N - 1, K, K)))

    def backward(dp):
        return {"initial": first_backward(dp.unary[0, 0]), "transition": steps_backward(dp.pairwise.sum((0, 1)))}

    return p, backward


def conditional_markov(phi, c, N, activation=relu):
    """p(z|c) a chain: a network of c gives its unary potentials; phi's ``pairwise`` (N-1, K, K) are the same for all c."""
    expect_arrays(phi, {"pairwise"}, True, "a network of the context and pairwise potentials")
    network = {name: array for name, array in phi.items() if name != "pairwise"}
    p, p_backward = conditional(network, c, N, activation)
    return Chain(
        p.logits, phi["pairwise"][None]
    ), lambda dp: p_backward(Independent(dp.unary)) | {"pairwise": dp.pairwise[0]}


def _network(N, K):
    return {"table": ((N - 1, K, WIDTH), 1.0), "out": ((N - 1, WIDTH, K), 0.0)}  # the second: at first it says nothing


def sequential(psi, x, c=None, activation=relu):
    """q(z|x,c) autoregressive: unary logits by a network of x and c, psi's ``table`` and ``out`` the same for all x."""
    q, q_backward = independent(psi, x, c, activation)

    def backward(dq):
        return q_backward(Independent(dq.unary)) | {"table": dq.table[0], "out": dq.out[0]}

    return Autoregressive(q.logits, psi["table"][None], psi["out"][None]), backward


def autoregressive(phi, c, N, activation=relu):
    """p(z) autoregressive, for all examples. phi: ``unary`` (N, K), ``table`` (N-1, K, H), ``out`` (N-1, H, K)."""
    names = Autoregressive._fields
    expect_arrays(phi, set(names), False, "the arrays of an autoregressive prior")
    return Autoregressive(*(phi[name][None] for name in names)), lambda dp: {
        name: getattr(dp, name)[0] for name in names
    }


@dataclass(frozen=True)
class Posterior:
    """A posterior: its law, an op (psi, x, c, activation) -> q; shapes and largest fresh entries of what psi has besides."""

    law: type
    op: Callable
    arrays: Callable = lambda N, K: {}


POSTERIORS = {
    "independent": Posterior(Independent, independent),
    "chain": Posterior(Chain, chained, lambda N, K: {"pairwise": ((N - 1, K, K), 0.0)}),
    "autoregressive": Posterior(Autoregressive, sequential, _network),
}


@dataclass(frozen=True)
class Prior:
    """A prior: an op (phi, c, N, activation) -> p or None; its arrays, as above; is it trained, of a context; its law."""

    op: Callable
    arrays: Callable = lambda N, K: {}
    trained: bool = True
    context: bool = False
    law: type = Independent


def known_kl(posterior, prior):
    """Is KL(q || p) known of the posterior and the prior of these names, in closed form or as a mean over codes?"""
    laws = {POSTERIORS[posterior].law, PRIORS[prior].law}
    return Autoregressive not in laws or laws <= {Independent, Autoregressive}


def _table(N, K):
    return {"logits": ((N, K), 0.0)}


PRIORS = {
    "uniform": Prior(uniform, trained=False),
    "fixed": Prior(shared, _table, trained=False),
    "learned": Prior(shared, _table),
    "markov": Prior(markov, lambda N, K: {"unary": ((N, K), 0.0), "pairwise": ((N - 1, K, K), 0.0)}, law=Chain),
    "transition": Prior(transition, lambda N, K: {"initial": ((K,), 0.0), "transition": ((K, K), 0.0)}, law=Chain),
    "autoregressive": Prior(autoregressive, lambda N, K: {"unary": ((N, K), 0.0)} | _network(N, K), law=Autoregressive),
    "conditional": Prior(conditional, context=True),
    "conditional_markov": Prior(
        conditional_markov, lambda N, K: {"pairwise": ((N - 1, K, K), 0.0)}, context=True, law=Chain
    ),
}
