"""Estimators as a stranger may write them: wrong in ways that mild problems hide, or right, in float32.

Each mistake takes a row's right gradient, or its learning signal, and spoils it where logits are peaked, f is large or small,
latents are more than two or categories more than three.
"""

import numpy as np

from dvae_np import categorical, ops
from dvae_np.arrays import one_hot
from dvae_np.estimators import TABLE


def scored(logits, z, signal):
    return (signal[..., None, None] * categorical.score(logits, z)).sum(0)


def times_three_over_K(logits, dlogits):
    return dlogits * (3 / logits.shape[-1])


def two_latents_alone(logits, dlogits):
    return np.where(np.arange(logits.shape[1])[:, None] < 2, dlogits, 0)


def norm_clipped(logits, dlogits, most=50):
    norm = np.sqrt((dlogits**2).sum((-1, -2), keepdims=True))
    return dlogits * np.minimum(1, most / np.maximum(norm, 1e-30)).astype(dlogits.dtype)


SPOILED = (times_three_over_K, two_latents_alone, norm_clipped)


def spoiled(estimate, mistake):
    """The estimator with that mistake made to its gradient."""

    def wrong(logits, *arguments, **hyper):
        right = estimate(logits, *arguments, **hyper)
        return right._replace(dq=mistake(logits, right.dlogits))

    return wrong


def floored_score(logits, z, signal, least):
    """The score of log max(q, least): none where q is below, as of a clamped tensor."""
    q = ops.softmax(logits)[0]
    drawn = q[np.arange(len(q))[:, None], np.arange(q.shape[1]), z]  # (S, B, N)
    return ((drawn >= least)[..., None] * signal[..., None, None] * categorical.score(logits, z)).sum(0) / len(z)


def floor_of_a_thousandth(logits, f, z):
    return floored_score(logits, z, f(z)[0], 1e-3)


def floor_of_a_hundredth(logits, f, z):
    return floored_score(logits, z, f(z)[0], 1e-2)


def floor_in_q(logits, f, z):
    """one_hot(z) - max(q, 0.001)."""
    excess = one_hot(z, logits.shape[-1], logits.dtype) - np.maximum(ops.softmax(logits)[0], 1e-3)
    return (f(z)[0][..., None, None] * excess).mean(0)


def signal_clipped(logits, f, z):
    return scored(logits, z, np.clip(f(z)[0], -10, 10)) / len(z)


def small_f_lost(logits, f, z):
    """A learning signal divided by its own size, plus an epsilon, and multiplied again without it."""
    fz = f(z)[0]
    return scored(logits, z, fz / (abs(fz) + 1e-6) * abs(fz)) / len(z)


def exponentials_unshifted(logits, f, z):
    """Softmax without its maximum taken off: e^800 is infinite."""
    q = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return (f(z)[0][..., None, None] * (one_hot(z, logits.shape[-1], logits.dtype) - q)).mean(0)


def differences_of_codes(logits, f, z):
    """Leave-one-out of two, with the difference of one-hots taken in the codes' own type."""
    fz, K = f(z)[0], logits.shape[-1]
    hot = (z[..., None] == np.arange(K)).astype(z.dtype)  # (2, B, N, K)
    return ((fz[0] - fz[1])[:, None, None] * (hot[0] - hot[1])).astype(logits.dtype) / 2


def complex_answer(logits, f, z):
    return scored(logits, z, f(z)[0]) / len(z) + 1e-3j


def in_float32(logits, f, z):
    """Right, whatever it is given, in float32."""
    logits, fz = logits.astype(np.float32), f(z)[0].astype(np.float32)
    return scored(logits, z, fz - fz.mean(0)) / (len(z) - 1)


def half_in_float32(logits, f, z):
    return in_float32(logits, f, z) * np.float32(0.5)


def nearly_in_float32(logits, f, z):
    return in_float32(logits, f, z) * np.float32(0.999)


def gumbels_in_float32(logits, f, u):
    logits, u = logits.astype(np.float32), u.astype(np.float32)
    z = np.argmax(logits - np.log(-np.log(u)), -1)
    return scored(logits, z, f(z)[0].astype(np.float32)) / np.float32(len(z))


def arm_in_float32(logits, f, e):
    def g(z):
        return f(z)[0].astype(np.float32), lambda dfz: (None, {})

    return TABLE["arm"].estimate(logits.astype(np.float32), g, e.astype(np.float32)).dlogits


PECULIAR = {  # what a judge must say of each
    floor_of_a_thousandth: "logits times 6",
    floor_of_a_hundredth: "logits times 6",
    floor_in_q: "logits times 6",
    signal_clipped: "f times 10,000",
    small_f_lost: "f times 0.001",
    exponentials_unshifted: "logits shifted by 800",
    differences_of_codes: "in the codes' own integer type",
    complex_answer: "expected real numbers",
    half_in_float32: "1/2",
    nearly_in_float32: "a factor 0.999",
}
