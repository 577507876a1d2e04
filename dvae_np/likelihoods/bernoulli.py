"""Pixels that are 0 or 1."""

import numpy as np

from dvae_np.arrays import expect_pixels
from dvae_np.likelihoods.likelihood import Likelihood
from dvae_np.ops import log_of_product, sigmoid


def bernoulli(a, x):
    """-log p(x|z) for pixels that are Bernoulli with logits a: sum_d softplus(a_d) - x_d a_d, in nats [Eq. 3.7].

    a: (S, B, D) or (S, 1, D). x: (B, D) in [0, 1]. With grey x this is the cross-entropy that many papers report; only for
    x in {0, 1} is it a negative log-likelihood.

    Computed as sum_d a_d (1[a_d > 0] - x_d) + log prod_d (1 + e^(-|a_d|)) [Eq. 3.9], no term of which is negative.
    Returns (S, B); `backward` returns (da, None), da = sigmoid(a) - x times the cotangent [Eq. 3.8].
    Raises InputError for x outside [0, 1] (or not a number) and for sizes that do not fit.
    """
    expect_pixels("bernoulli", a, x, unit=True)
    on = (a.real > 0).astype(a.real.dtype)  # the likelier value of a pixel; all these are shaped like a
    t = np.minimum(a, -a)
    np.exp(t, out=t)  # e^(-|a|)
    mean = np.maximum(t, on)
    t += 1
    mean /= t  # sigmoid(a), as in `ops.softplus`
    logs = log_of_product(t)  # (S, B) or (S, 1)

    if a.shape[1] == 1:
        value = (a * on).sum(-1) + logs - a[:, 0] @ x.T  # (S, 1) - (S, B)

        def backward(dvalue):
            da = dvalue.sum(1, keepdims=True)[..., None] * mean  # (S, 1, D)
            da[:, 0] -= dvalue @ x
            return da, None

        return value, backward

    value = (a * (on - x)).sum(-1) + logs  # (S, B)

    def backward(dvalue):
        da = mean - x
        if dvalue.dtype.kind != "c":  # else there is no room for the product
            da *= dvalue[..., None]
            return da, None
        return da * dvalue[..., None], None

    return value, backward


def mean(a, D):
    """sigmoid(a), the probability of 1."""
    return sigmoid(a)[0]


def draw(rng, a, D):
    """1 with that probability, else 0."""
    return (rng.random(a.shape, dtype=a.dtype) < sigmoid(a)[0]).astype(a.dtype)


def start(x, levels):
    """log m / (1 - m), m the pixel's mean [Eq. 19.2]; 0 and 1 are each counted half a time more than they were seen
    (Krichevsky & Trofimov 1981), so that a pixel that never changes has a finite logit."""
    on = x.sum(0)
    return np.log((on + 0.5) / (len(x) - on + 0.5))


BERNOULLI = Likelihood("bernoulli", "pixels 0 or 1", bernoulli, mean, draw, start, pixels="unit",
                       support=lambda levels: (np.arange(2.0), np.ones(2)))  # fmt: skip
