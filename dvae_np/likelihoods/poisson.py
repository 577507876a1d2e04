"""Pixels that are counts: 0, 1, 2, ..."""

import numpy as np

from dvae_np.arrays import InputError, expect_pixels
from dvae_np.likelihoods.likelihood import Likelihood

AT_ONCE = 32  # the largest rate whose terms are added up; e^-rate must not vanish


def poisson(a, x):
    """-log p(x|z) for counts x with the rates e^a: sum_d e^(a_d) - x_d a_d + log x_d!, in nats [Eq. 3.14].

    a: (S, B, D) or (S, 1, D), the logarithms of the rates. x: (B, D), whole numbers of at least 0.
    Returns (S, B); `backward` returns (da, None), da = e^a - x times the cotangent [Eq. 3.15].
    Raises InputError for x that are no counts and for sizes that do not fit.
    """
    expect_pixels("poisson", a, x)
    expect_counts("poisson", x)
    rate = np.exp(a)
    constant = log_factorial(x).sum(-1).astype(a.real.dtype)  # (B,)

    if a.shape[1] == 1:
        value = rate.sum(-1) - a[:, 0] @ x.T + constant  # (S, 1) - (S, B)

        def backward(dvalue):
            da = dvalue.sum(1, keepdims=True)[..., None] * rate  # (S, 1, D)
            da[:, 0] -= dvalue @ x
            return da, None

        return value, backward

    value = (rate - x * a).sum(-1) + constant
    return value, lambda dvalue: (dvalue[..., None] * (rate - x), None)


def log_factorial(x):
    """log x! of counts, float64 in the same shape: looked up among the sums of logarithms."""
    sums = np.cumsum(np.log(np.maximum(np.arange(int(x.max()) + 1, like=x), 1)))
    return sums[x.astype(int)]


def expect_counts(name, x):
    """Raise `InputError` unless all pixels are whole numbers of at least 0."""
    if not (np.isfinite(x).all() and (x >= 0).all() and (x == np.rint(x)).all()):
        raise InputError(f"{name}: expected counts x, whole numbers of at least 0, got other values")


def mean(a, D):
    """The rate e^a."""
    return np.exp(a)


def draw(rng, a, D):
    """Counts with the rates e^a: sums of counts with rates of at most `AT_ONCE`, as a count is the sum of parts' counts."""
    parts = int(np.ceil(np.exp(a.max()) / AT_ONCE)) or 1
    return sum(_inverted(np.exp(a) / parts, rng.random(a.shape, dtype=a.dtype)) for _ in range(parts))


def _inverted(rate, u):
    """The smallest count whose cumulated probability is not below u: the law's terms are added up, one by one."""
    count, term = np.zeros_like(rate), np.exp(-rate)
    cumulated = term
    while (higher := (cumulated < u) & (term > 0)).any():
        count = count + higher
        term = np.where(higher, term * rate / np.maximum(count, 1), term)
        cumulated = np.where(higher, cumulated + term, cumulated)
    return count


def start(x, levels):
    """The logarithm of the pixel's mean count, half a count added to what was seen, so that it is finite [Eq. 19.2]."""
    return np.log((x.sum(0) + 0.5) / len(x))


POISSON = Likelihood("poisson", "counts", poisson, mean, draw, start, pixels="counts",
                     support=lambda levels: (np.arange(200.0), np.ones(200)))  # fmt: skip
