"""An f that is a sum over the latents and their neighbours: its mean under a chain is exact, however many codes there are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, is_codes, one_hot, summed_to
from dvae_np.chain import Chain, as_chain
from dvae_np.laws import Independent, each_array


class Additive(NamedTuple):
    """f(z) = sum_n node[n, z_n] + sum_n edge[n, z_n, z_(n+1)]: said by whoever knows it; a function does not show it."""

    node: np.ndarray  # (B, N, K), or (1, N, K) where the batch shares them
    edge: np.ndarray  # (B, N-1, K, K), or (1, N-1, K, K)
    dtheta: Callable = lambda dnode, dedge: {"node": dnode, "edge": dedge}  # their gradients as those of f's parameters

    def expect(self, B, N, K):
        """Raise `InputError` unless the terms are those of N latents of K categories, of a batch of B or 1."""
        for name, array, shape in (("node", self.node, (N, K)), ("edge", self.edge, (N - 1, K, K))):
            expect(name, array, ("1 or B", *shape))
            expect(name, array, (1 if len(array) == 1 else B, *shape))

    def __call__(self, z):
        """f of codes (S, B, N), of states (S, 1, N) or of relaxed codes (S, B, N, K), as estimators call it: (S, B)."""
        _, N, K = self.node.shape
        if is_codes(z):
            expect("z", z, ("S", "B", N), "i")
            expect_codes("z", z, K)
        else:
            expect("z", z, ("S", "B", N, K))
        y = one_hot(z, K, self.node.dtype) if is_codes(z) else z
        left, right = y[..., :-1, :], y[..., 1:, :]
        after = (self.edge @ right[..., None])[..., 0]  # (S, B, N-1, K): sum_j edge[i, j] z_(n+1)[j]
        fz = (self.node * y).sum((-1, -2)) + (left * after).sum((-1, -2))

        def f_backward(dfz):
            weighted = dfz[..., None, None] * y
            pairs = weighted[..., :-1, :, None] * right[..., None, :]
            dtheta = self.dtheta(summed_to(self.node.shape, weighted), summed_to(self.edge.shape, pairs))
            if is_codes(z):
                return None, dtheta
            dz = self.node + np.zeros_like(y)
            dz[..., :-1, :] += after
            dz[..., 1:, :] += (left[..., None, :] @ self.edge)[..., 0, :]
            return dfz[..., None, None] * dz, dtheta

        return fz, f_backward


def expected(q, f):
    """E_q[f] of an `Additive` f, by dynamic programming: (B,) [Eq. 20.9].

    q: a `Chain`, independent latents or their logits (B, N, K). <marginals, node> + <marginals of neighbours, edge>, in
    N steps of K^2 terms. `backward(dvalue)` returns (dq, dtheta), as estimators do: the covariance times f's terms, and the
    marginals, the gradient in f's terms. Raises InputError for an f that is not `Additive`, for another law, and for
    terms whose shapes do not fit.
    """
    chain = as_chain(q)
    additive(f).expect(*chain.sizes)
    share, share_backward = chain.both_marginals()
    value = (share.unary * f.node).sum((-1, -2)) + (share.pairwise * f.edge).sum((-1, -2, -3))

    def expected_backward(dvalue):
        node, edge = dvalue[:, None, None], dvalue[:, None, None, None]
        dchain = share_backward(Chain(node * f.node, edge * f.edge))
        dtheta = f.dtheta(summed_to(f.node.shape, node * share.unary), summed_to(f.edge.shape, edge * share.pairwise))
        return dchain if isinstance(q, Chain) else Independent(dchain.unary), dtheta

    return value, expected_backward


def additive(f):
    """f, if it is `Additive`, else InputError: a function does not show whether it is a sum over neighbours."""
    if not isinstance(f, Additive):
        raise InputError(f"f: dynamic programming expected an Additive(node, edge), got a {type(f).__name__}")
    return f


def true_posterior(p, f):
    """p(z|x), proportional to p(z) e^(-f(z)), for an `Additive` f = -log p(x|z): a `Chain` again [Eq. 20.12].

    p: a `Chain` or independent latents, of a batch of B or 1; f's terms (B or 1, ...). The value is all that inference needs:
    its log Z less that of p is log p(x), in nats. Raises InputError for an f that is not `Additive`,
    or does not fit.
    """
    p = as_chain(p)
    B, N, K = p.sizes
    additive(f).expect(max(len(f.node), len(f.edge)) if B == 1 else B, N, K)
    unary, pairwise = p.unary - f.node, p.pairwise - f.edge
    return Chain(np.broadcast_to(unary, (max(len(unary), len(pairwise)), *unary.shape[1:])), pairwise)


def log_evidence(p, f):
    """log p(x) = log sum_z p(z) e^(-f(z)), in nats: (B,), over all K^N codes [Eq. 20.12]; p and f as in `true_posterior`.

    `backward(dvalue)` returns (dp, dtheta): marginals of the posterior less those of the prior; minus those of the posterior,
    as the gradient in f's terms.
    """
    q = true_posterior(p, f)
    prior = as_chain(p)
    (log_z, log_z_backward), (log_zp, log_zp_backward) = q.log_partition(), prior.log_partition()

    def log_evidence_backward(dvalue):
        dq = log_z_backward(dvalue)
        less = log_zp_backward(dvalue if len(log_zp) == len(dvalue) else dvalue.sum(0, keepdims=True))
        dp = each_array(lambda gradient, other: summed_to(other.shape, gradient) - other, dq, less)
        dtheta = f.dtheta(-summed_to(f.node.shape, dq.unary), -summed_to(f.edge.shape, dq.pairwise))
        return dp if isinstance(p, Chain) else Independent(dp.unary), dtheta

    return log_z - log_zp, log_evidence_backward
