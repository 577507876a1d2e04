"""Observation models: ops from the decoder's output to -log p(x|z), in nats, and back.

Each takes outputs a (S, B, ...) decoded for every example, or (S, 1, ...) for states that the whole batch shares. Then every
example is scored against each state by one matrix product [Eq. 4.6], and nothing of size S x B x D is ever made. (Its
rounding error is that of large sums that nearly cancel: 1e-7 of their size in float32.) x is (B, D), or (1, D) for one
example beside any number of states; the value is (S, B).
"""

import math

import numpy as np

from dvae_np.arrays import InputError, expect, one_hot, summed_to
from dvae_np.ops import log_of_product, log_softmax, sigmoid, softmax


def bernoulli(a, x):
    """-log p(x|z) for pixels that are Bernoulli with logits a: sum_d softplus(a_d) - x_d a_d, in nats [Eq. 3.7].

    a: (S, B, D) or (S, 1, D). x: (B, D) in [0, 1]. With grey x this is the cross-entropy that many papers report; only for
    x in {0, 1} is it a negative log-likelihood.

    Computed as sum_d a_d (1[a_d > 0] - x_d) + log prod_d (1 + e^(-|a_d|)) [Eq. 3.15], no term of which is negative.
    Returns (S, B); `backward` returns (da, None), da = sigmoid(a) - x times the cotangent [Eq. 3.8].
    Raises InputError for x outside [0, 1] (or not a number) and for sizes that do not fit.
    """
    _expect_pixels("bernoulli", a, x, outputs=1)
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


def gaussian(a, x, log_scale):
    """-log p(x|z) for real x around means a: sum_d (x_d - a_d)^2 / 2 sigma^2 + log sigma + log(2 pi)/2 [Eq. 3.11].

    a: (S, B, D) or (S, 1, D). x: (B, D), any real numbers. log_scale: log sigma, of shape (), (1,) or (D,): one for all
    pixels is the safe choice, as a pixel that never changes drives a sigma of its own to 0 and its density to infinity.

    A density, not a probability: the value may be negative, and cannot be compared with that of a discrete model.
    Returns (S, B); `backward` returns (da, None, dlog_scale) [Eq. 3.12]. Raises InputError for sizes that do not fit, and
    where x or sigma is not a finite number.
    """
    _expect_pixels("gaussian", a, x, outputs=1, bounded=False)
    log_scale = np.asarray(log_scale, like=a)
    if log_scale.dtype.kind != "c":
        log_scale = log_scale.astype(a.dtype)
    inverse = np.exp(-log_scale)
    if not (np.isfinite(inverse.real).all() and (inverse.real > 0).all()):
        raise InputError("gaussian: expected a scale above 0 that can be represented, got one that cannot")
    D = a.shape[-1]
    constant = np.broadcast_to(log_scale, (D,)).sum() + 0.5 * D * math.log(2 * math.pi)
    mean, target = a * inverse, x * inverse  # in units of sigma

    if a.shape[1] == 1:
        squares = (mean * mean).sum(-1) / 2, (target * target).sum(-1) / 2  # (S, 1), (B,)
        value = squares[0] + squares[1] - mean[:, 0] @ target.T + constant

        def backward(dvalue):
            by_state, by_example = dvalue.sum(1, keepdims=True), dvalue.sum(0)[:, None]  # (S, 1), (B, 1)
            scored = dvalue @ target  # (S, D)
            da = mean * by_state[..., None]
            da[:, 0] -= scored
            squared = (
                (mean[:, 0] ** 2 * by_state).sum(0) + (target**2 * by_example).sum(0) - 2 * (mean[:, 0] * scored).sum(0)
            )
            return da * inverse, None, summed_to(log_scale.shape, dvalue.sum() - squared)

        return value, backward

    away = mean - target  # (S, B, D)
    value = (away * away).sum(-1) / 2 + constant

    def backward(dvalue):
        dvalue = dvalue[..., None]
        return dvalue * away * inverse, None, summed_to(log_scale.shape, (dvalue * (1 - away * away)).sum((0, 1)))

    return value, backward


def categorical_pixels(a, x):
    """-log p(x|z) for pixels of V grey levels, each a categorical with logits a: -sum_d log softmax(a_d)[x_d] [Eq. 3.13].

    a: (S, B, D * V) or (S, 1, D * V), the V logits of a pixel side by side. x: (B, D), level v as v / (V - 1) in [0, 1].
    Returns (S, B); `backward` returns (da, None), da = softmax(a_d) - one_hot(x_d) times the cotangent [Eq. 3.14].
    Raises InputError for x that is none of the levels and for sizes that do not fit.
    """
    D = x.shape[-1]
    V = a.shape[-1] // D if D else 0
    _expect_pixels("categorical_pixels", a, x, outputs=V)
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


def mean_output(x, likelihood="bernoulli", levels=1):
    """The output of a decoder that says the same for every code, and fits the data x (B, D) best: (D,) or (D * levels,).

    Bernoulli log m / (1 - m) with m the pixel's mean, categorical the logarithms of the shares of its levels, Gaussian m
    [Eq. 15.4]. Before shares are taken each value of a pixel is counted half a time more than it was seen (Krichevsky &
    Trofimov 1981), so that a pixel that never changes has finite logits.
    """
    if likelihood == "gaussian":
        return x.mean(0)
    if likelihood == "bernoulli":
        on = x.sum(0)
        return np.log((on + 0.5) / (len(x) - on + 0.5))
    seen = np.stack([(np.rint(x * (levels - 1)) == level).sum(0) for level in range(levels)], -1)  # (D, levels)
    return np.log((seen + 0.5) / (len(x) + 0.5 * levels)).ravel()


def mean_pixels(theta, a, D):
    """The mean of p(x|z) for D pixels, from the decoder's output a (S, B, ...): (S, B, D), grey values in [0, 1]."""
    if "log_scale" in theta:
        return a
    if a.shape[-1] == D:
        return sigmoid(a)[0]
    shares = _shares(a, D)
    V = shares.shape[-1]
    return shares @ (np.arange(V, like=a).astype(a.dtype) / (V - 1))


def draw_pixels(rng, theta, a, D):
    """Images drawn from p(x|z), from the decoder's output a (S, B, ...): (S, B, D). rng: of the library that owns a."""
    if "log_scale" in theta:
        return a + np.exp(theta["log_scale"]) * rng.standard_normal(a.shape, dtype=a.dtype)
    if a.shape[-1] == D:
        return (rng.random(a.shape, dtype=a.dtype) < sigmoid(a)[0]).astype(a.dtype)
    cumulated = np.cumsum(_shares(a, D), -1)[..., :-1]
    levels = (cumulated < rng.random((*cumulated.shape[:-1], 1), dtype=a.dtype)).sum(-1)
    return (levels / cumulated.shape[-1]).astype(a.dtype)


def _shares(a, D):
    """The probabilities of the V levels of each pixel: (S, B, D, V)."""
    return softmax(a.reshape(*a.shape[:2], D, -1))[0]


def _expect_pixels(name, a, x, outputs, bounded=True):
    """Raise `InputError` unless x (B, D) or (1, D) fits outputs a (S, B, D * outputs) or (S, 1, D * outputs)."""
    expect("pixel logits", a, ("S", "B", "D"))
    _, states, width = a.shape
    if x.ndim != 2 or x.shape[1] * outputs != width or (1 not in (states, len(x)) and states != len(x)):
        raise InputError(f"{name}: x {x.shape} does not fit pixel logits (S, B, D) = {a.shape} as (B, D)")
    if x.size == 0:
        raise InputError(f"{name}: expected at least one example, got x {x.shape}")
    if bounded and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"{name}: expected pixels x in [0, 1], got {float(x.min()):g} to {float(x.max()):g}")
    if not bounded and not np.isfinite(x).all():
        raise InputError(f"{name}: expected finite numbers x, got nan or infinity")
