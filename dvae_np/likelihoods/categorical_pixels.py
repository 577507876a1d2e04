"""Pixels of a few grey levels, each level with a probability of its own."""

import numpy as np

from dvae_np.arrays import InputError, expect_pixels, one_hot
from dvae_np.likelihoods.likelihood import Likelihood
from dvae_np.ops import log_softmax, softmax


def categorical_pixels(a, x):
    """-log p(x|z) for pixels of V grey levels, each a categorical with logits a: -sum_d log softmax(a_d)[x_d] [Eq. 3.12].

    a: (S, B, D * V) or (S, 1, D * V), the V logits of a pixel side by side. x: (B, D), level v as v / (V - 1) in [0, 1].
    Returns (S, B); `backward` returns (da, None), da = softmax(a_d) - one_hot(x_d) times the cotangent [Eq. 3.13].
    Raises InputError for x that is none of the levels and for sizes that do not fit.
    """
    D = x.shape[-1]
    V = a.shape[-1] // D if D else 0
    expect_pixels("categorical_pixels", a, x, V, unit=True)
    levels = np.rint(x * (V - 1)).astype(int)
    if V < 2 or not (abs(levels - x * (V - 1)) < 1e-3).all():
        raise InputError(f"categorical_pixels: expected the {V} grey levels v / {V - 1}, got other values of x")
    logp, log_softmax_backward = log_softmax(a.reshape(*a.shape[:2], D, V))
    chosen = one_hot(levels, V, x.dtype)  # (B, D, V)

    if a.shape[1] == 1:
        rows = chosen.reshape(len(x), D * V)
        value = -(logp.reshape(len(a), D * V) @ rows.T)
        return value, lambda dvalue: (log_softmax_backward(-(dvalue @ rows).reshape(logp.shape)).reshape(a.shape), None)

    value = -(logp * chosen).sum((-1, -2))
    return value, lambda dvalue: (log_softmax_backward(-dvalue[..., None, None] * chosen).reshape(a.shape), None)


def mean(a, D):
    """The mean of the levels v / (V - 1)."""
    shares = _shares(a, D)
    V = shares.shape[-1]
    return shares @ (np.arange(V, like=a).astype(a.dtype) / (V - 1))


def draw(rng, a, D):
    """Levels with their probabilities."""
    cumulated = np.cumsum(_shares(a, D), -1)[..., :-1]
    levels = (cumulated < rng.random((*cumulated.shape[:-1], 1), dtype=a.dtype)).sum(-1)
    return (levels / cumulated.shape[-1]).astype(a.dtype)


def start(x, levels):
    """The logarithms of the shares of a pixel's levels, each counted half a time more than it was seen [Eq. 19.2]."""
    seen = np.stack([(np.rint(x * (levels - 1)) == level).sum(0) for level in range(levels)], -1)  # (D, levels)
    return np.log((seen + 0.5) / (len(x) + 0.5 * levels)).ravel()


def _shares(a, D):
    """The probabilities of the V levels of each pixel: (S, B, D, V)."""
    return softmax(a.reshape(*a.shape[:2], D, -1))[0]


CATEGORICAL = Likelihood("categorical", "pixels of a few grey levels", categorical_pixels, mean, draw, start, pixels="levels",
                         support=lambda levels: (np.arange(levels) / (levels - 1), np.ones(levels)),
                         outputs=lambda levels: levels)  # fmt: skip
