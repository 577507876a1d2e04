"""A decoder in which every latent speaks of a part of x alone, p(x|z) = prod_n p(x_n|z_n): then -log p(x|z) is `Additive`.

With a prior that is a Markov chain it is a hidden Markov model: x_n is emitted by the state z_n, and what is summed over all
K^N paths, log p(x) and the posterior, comes from dynamic programming.
"""

import numpy as np

from dvae_np.additive import Additive
from dvae_np.arrays import InputError
from dvae_np.ops import linear


def emissions(theta, x, nll, own, c=None):
    """-log p(x_n|z_n) of all N parts of x and all K codes, in nats, as an `Additive` f without terms on edges [Eq. 20.11].

    theta: ``table`` (N, K, E) and ``bias`` (N E,), with a context c (B, C) also ``context`` (C, N E): code k of latent n makes
    of its part of the pixels what `nll` makes of the outputs table[n, k] + (bias + c context)_n. x: (B, D), N parts of equal
    size, one after the other. own: the observation model's own arrays, by name. Raises InputError for x of another size.
    """
    N, K, E = theta["table"].shape
    if x.shape[1] % N:
        raise InputError(f"x: expected N = {N} parts of equal size, got D = {x.shape[1]} pixels")
    parts = x.reshape(len(x), N, -1)
    if c is None:
        u = theta["bias"][None]
    else:
        u, context_backward = linear(c, theta["context"], theta["bias"], data=True)
    u = u.reshape(-1, N, E)
    ops = [nll(theta["table"][n][:, None] + u[:, n], parts[:, n], **own) for n in range(N)]
    node = np.stack([value.T for value, _ in ops], 1)  # (B, N, K)

    def dtheta(dnode, dedge):
        das, _, *downs = zip(*(backward(dnode[:, n].T.copy()) for n, (_, backward) in enumerate(ops)), strict=True)
        du = np.stack([da.sum(0) for da in das], 1).reshape(-1, N * E)  # (B or 1, N E)
        gradients = {"table": np.stack([da.sum(1) for da in das]), **dict(zip(own, map(sum, downs), strict=True))}
        if c is None:
            return gradients | {"bias": du[0]}
        _, dcontext, dbias = context_backward(du)
        return gradients | {"context": dcontext, "bias": dbias}

    return Additive(node, np.zeros_like(node, shape=(1, N - 1, K, K)), dtheta)
