"""An f that is a sum over the latents and their neighbours: its mean under a chain is exact, however many codes there are."""

from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, is_codes, one_hot, summed_to
from dvae_np.chain import Chain, unlinked
from dvae_np.laws import Independent, law


class Additive(NamedTuple):
    """f(z) = sum_n node[n, z_n] + sum_n edge[n, z_n, z_(n+1)]: said by whoever knows it; a function does not show it."""

    node: np.ndarray  # (B, N, K), or (1, N, K) where the batch shares them
    edge: np.ndarray  # (B, N-1, K, K), or (1, N-1, K, K)

    def __call__(self, z):
        """f of codes (S, B, N), of states (S, 1, N) or of relaxed codes (S, B, N, K), as estimators call it: (S, B)."""
        y = one_hot(z, self.node.shape[-1], self.node.dtype) if is_codes(z) else z
        left, right = y[..., :-1, :], y[..., 1:, :]
        after = (self.edge @ right[..., None])[..., 0]  # (S, B, N-1, K): sum_j edge[i, j] z_(n+1)[j]
        fz = (self.node * y).sum((-1, -2)) + (left * after).sum((-1, -2))

        def f_backward(dfz):
            weighted = dfz[..., None, None] * y
            pairs = weighted[..., :-1, :, None] * right[..., None, :]
            dtheta = {"node": summed_to(self.node.shape, weighted), "edge": summed_to(self.edge.shape, pairs)}
            if is_codes(z):
                return None, dtheta
            dz = self.node + np.zeros_like(y)
            dz[..., :-1, :] += after
            dz[..., 1:, :] += (left[..., None, :] @ self.edge)[..., 0, :]
            return dfz[..., None, None] * dz, dtheta

        return fz, f_backward


def expected(q, f):
    """E_q[f] of an `Additive` f, by dynamic programming: (B,) [Eq. 16.9].

    q: a `Chain`, independent latents or their logits (B, N, K). <marginals, node> + <marginals of neighbours, edge>, in
    N steps of K^2 terms. `backward(dvalue)` returns the gradient in q, the covariance times f's terms, and in f's terms, the
    marginals, each as a value of its own type. Raises InputError for an f that is not `Additive`, for another law, and for
    terms whose shapes do not fit.
    """
    q = law(q)
    if not isinstance(f, Additive):
        raise InputError(f"f: dynamic programming expected an Additive(node, edge), got a {type(f).__name__}")
    if not isinstance(q, Chain | Independent):
        raise InputError(f"q: dynamic programming expected a Chain or independent latents, got a {type(q).__name__}")
    B, N, K = q.sizes
    expect("node", f.node, (1 if len(f.node) == 1 else B, N, K))
    expect("edge", f.edge, (1 if len(f.edge) == 1 else B, N - 1, K, K))
    share, share_backward = (unlinked(q) if isinstance(q, Independent) else q).both_marginals()
    value = (share.unary * f.node).sum((-1, -2)) + (share.pairwise * f.edge).sum((-1, -2, -3))

    def expected_backward(dvalue):
        node, edge = dvalue[:, None, None], dvalue[:, None, None, None]
        dchain = share_backward(Chain(node * f.node, edge * f.edge))
        df = Additive(summed_to(f.node.shape, node * share.unary), summed_to(f.edge.shape, edge * share.pairwise))
        return Independent(dchain.unary) if isinstance(q, Independent) else dchain, df

    return value, expected_backward
