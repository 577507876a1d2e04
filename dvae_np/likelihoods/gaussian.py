"""Pixels that are real numbers, with one scale for all of them or one for each."""

import math

import numpy as np

from dvae_np.arrays import InputError, expect_pixels, summed_to
from dvae_np.likelihoods.likelihood import Likelihood

FAR = 16.0  # sigmas from 0, beyond which everything is counted from the mean of x
SCALE = 0.5  # where a learned sigma starts


def gaussian(a, x, log_scale):
    """-log p(x|z) for real x around means a: sum_d (x_d - a_d)^2 / 2 sigma^2 + log sigma + log(2 pi)/2 [Eq. 3.10].

    a: (S, B, D) or (S, 1, D). x: (B, D), any real numbers. log_scale: log sigma, of shape (), (1,) or (D,): one for all
    pixels is the safe choice, as a pixel that never changes drives a sigma of its own to 0 and its density to infinity.

    A density, not a probability: the value may be negative, and cannot be compared with that of a discrete model.
    Returns (S, B); `backward` returns (da, None, dlog_scale) [Eq. 3.11]. Raises InputError for sizes that do not fit, and
    where x or sigma is not a finite number.
    """
    expect_pixels("gaussian", a, x)
    if not np.isfinite(x).all():
        raise InputError("gaussian: expected finite numbers x, got nan or infinity")
    log_scale = np.asarray(log_scale, like=a)
    if log_scale.dtype.kind != "c":
        log_scale = log_scale.astype(a.dtype)
    inverse = np.exp(-log_scale)
    if not (np.isfinite(inverse.real).all() and (inverse.real > 0).all()):
        raise InputError("gaussian: expected a scale above 0 that can be represented, got one that cannot")
    D = a.shape[-1]
    constant = np.broadcast_to(log_scale, (D,)).sum() + 0.5 * D * math.log(2 * math.pi)
    mean, target = a * inverse, x * inverse  # in units of sigma
    if abs(target.real).max() > FAR:  # squares of large numbers that nearly cancel would lose their digits
        centre = x.mean(0)
        mean, target = (a - centre) * inverse, (x - centre) * inverse

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


def mean(a, D, log_scale):
    """a itself."""
    return a


def draw(rng, a, D, log_scale):
    """Around a, with standard deviation sigma."""
    return a + np.exp(log_scale) * rng.standard_normal(a.shape, dtype=a.dtype)


def start(x, levels):
    """The pixel's mean [Eq. 19.2]."""
    return x.mean(0)


GAUSSIAN = Likelihood("gaussian", "real pixels around a mean", gaussian, mean, draw, start, pixels="unit",
                      support=lambda levels: (np.linspace(-60, 60, 24001), np.full(24001, 0.005)),
                      density=True, own={"log_scale": math.log(SCALE)})  # fmt: skip
