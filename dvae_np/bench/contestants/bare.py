"""Nothing but the matrix products that the work cannot do without, in NumPy: what no NumPy code can beat."""

import numpy as np

TRACED = True


def step(x, psi, theta, estimator, S, tau):
    """Three layers each way: forward, gradient of the weights, and of the input where it is not data."""
    B, layers = len(x), [psi["w0"], psi["w1"], psi["w2"].reshape(len(psi["w2"]), -1)]
    decoder = [theta["table"].reshape(-1, theta["table"].shape[-1]), theta["w0"], theta["w1"]]
    data_in = estimator == "reinforce_loo"  # its codes need no gradient
    products = _chain(B, layers, True) + _chain(S * B, decoder, data_in)
    return lambda: _run(products)


def exact(x, theta, logits):
    """M decodes, one scoring of all pairs, and back."""
    M, rng = logits.shape[2] ** logits.shape[1], np.random.default_rng(0)
    a, weights = _normal(rng, M, x.shape[1]), _normal(rng, M, len(x))
    products = [*_chain(M, [theta["w0"], theta["w1"]], False), (a, x.T), (weights, x)]
    return lambda: _run(products)


def conditional(y, c, theta, logits):
    """The context's first layer once an example, the others for each pair of example and state."""
    products = _chain(len(y), [theta["context"]], True)
    products += _chain(len(y) * logits.shape[-1], [theta["w0"], theta["w1"]], False)
    return lambda: _run(products)


def _chain(rows, weights, data_in):
    """(left, right) of the products of linear layers over so many rows, forward and backward."""
    rng, products = np.random.default_rng(0), []
    for i, w in enumerate(weights):
        x, dy = _normal(rng, rows, len(w)), _normal(rng, rows, w.shape[1])
        products += [(x, w), (x.T, dy)] + ([(dy, w.T)] if i or not data_in else [])
    return products


def _run(products):
    for left, right in products:
        left @ right
    return np.nan


def _normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


VARIANTS = {"bare products": {"step": step, "exact": exact, "conditional": conditional}}
