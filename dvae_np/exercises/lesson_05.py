"""The exercises of lesson 05, the score function."""

import numpy as np

from dvae_np import reinforce, score, softmax
from dvae_np.check import every_code, from_samples, lookup_table, moments
from dvae_np.exercises.exercise import Exercise, Made

# Normal quantiles: the points exceeded with these probabilities.
QUANTILES = {
    5e-5: 3.8905918864131,
    1e-4: 3.7190164854557,
    1e-2: 2.3263478740408,
    0.02: 2.0537489106318,
    0.2: 0.8416212335729,
}
QUANTILES |= {0.1: 1.2815515655446, 0.5: 0.0}


def draws_needed(s, bias, false_alarm, power):
    """[Eq. 5.4], solved for R, with quantiles from a table."""
    c = QUANTILES[false_alarm / 2] + QUANTILES[round(1 - power, 9)]
    return (c * s / bias) ** 2


def at_the_threshold(s, bias, false_alarm, power):
    return (QUANTILES[false_alarm / 2] * s / bias) ** 2


def one_sided(s, bias, false_alarm, power):
    return ((QUANTILES[false_alarm] + QUANTILES[round(1 - power, 9)]) * s / bias) ** 2


def tests(rng):
    any_bias = (1 + rng.random(), 0.05 + 0.1 * rng.random(), 1e-4, 0.99)
    for s, bias, false_alarm, power in ((2.0, 0.05, 1e-4, 0.99), (3.0, 0.1, 0.02, 0.8), (0.5, 0.2, 0.2, 0.5), any_bias):
        yield {"s": s, "bias": bias, "false_alarm": false_alarm, "power": power}


def my_reinforce(logits, f, z):
    """Sample by sample, example by example."""
    fz, total = f(z)[0], np.zeros_like(logits)
    for s, b in np.ndindex(fz.shape):
        total[b] += fz[s, b] * (np.eye(logits.shape[-1])[z[s, b]] - softmax(logits[b])[0]) / len(z)
    return total


def score_alone(logits, f, z):
    return score(logits, z).mean(0)


def without_q(logits, f, z):
    return (f(z)[0][..., None, None] * np.eye(logits.shape[-1])[z]).mean(0)


def codes(rng, S, B, N, K):
    """Logits, an f that differs from example to example, and codes."""
    table = 2 + rng.standard_normal((B, *(K,) * N))
    return {
        "logits": rng.standard_normal((B, N, K)),
        "f": Made(lookup_table, (table,)),
        "z": rng.integers(0, K, (S, B, N)),
    }


def looked_up(gradients):
    """An estimator of two codes: estimator(z1, z2) is an array (K,)."""
    return lambda z1, z2: gradients[z1, z2]


def my_moments(estimator, p):
    """All pairs in one array, weighted by p[z1] p[z2]."""
    every = np.array([[estimator(i, j) for j in range(len(p))] for i in range(len(p))])  # (K, K, K)
    mean, second = (np.einsum("i,j,ijk->k", p, p, every**power) for power in (1, 2))
    return np.stack([mean, second - mean**2])


def equally_probable(estimator, p):
    every = np.array([estimator(i, j) for i in range(len(p)) for j in range(len(p))])
    return np.stack([every.mean(0), every.var(0)])


def second_moment(estimator, p):
    mean, variance = my_moments(estimator, p)
    return np.stack([mean, variance + mean**2])


def deviation(estimator, p):
    mean, variance = my_moments(estimator, p)
    return np.stack([mean, np.sqrt(variance)])


def diagonal(estimator, p):
    every = np.array([estimator(i, i) for i in range(len(p))])
    return np.stack([p @ every, p @ every**2 - (p @ every) ** 2])


def pairs(rng):
    for K in (3, 5):
        p = softmax(rng.standard_normal(K))[0]
        yield {"estimator": Made(looked_up, (rng.standard_normal((K, K, K)),)), "p": p}


def z_statistic(draws, exact_value):
    """By the definition, in plain sums."""
    mean = sum(draws) / len(draws)
    variance = sum((draw - mean) ** 2 for draw in draws) / (len(draws) - 1)
    return (mean - exact_value) / (variance / len(draws)) ** 0.5


def of_one_draw(draws, exact_value):
    return (draws.mean() - exact_value) / draws.std(ddof=1)


def samples(rng):
    for R, exact_value in ((2_500, 1.0), (40, -0.3)):
        yield {"draws": exact_value + 0.1 + 0.8 * rng.standard_normal(R), "exact_value": exact_value}


EXERCISES = (
    Exercise(
        "05.1",
        draws_needed,
        lambda rng: list(tests(rng)),
        {},
        returns=("the number R",),
        accuracy=100,  # quantiles of 14 digits
        mistakes={
            "a power of 50 %: a bias at the threshold is missed half of the time": at_the_threshold,
            "the one-sided answer: a bias may have either sign, so halve the false-alarm rate": one_sided,
            "the square root of what is due: the error falls as the root of R": lambda *case: draws_needed(*case) ** 0.5,
        },
    ),
    Exercise(
        "05.2",
        my_reinforce,
        lambda rng: [codes(rng, 3, 5, 2, 4), codes(rng, 4, 3, 1, 7), codes(rng, 1, 7, 3, 2)],
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        library=(reinforce, score),
        mistakes={
            "the mean of the scores: multiply each by its f": score_alone,
            "the gradient plus q f: the score lacks its -q": without_q,
        },
    ),
    Exercise(
        "05.3",
        my_moments,
        lambda rng: list(pairs(rng)),
        {"p": "K"},
        returns=("the mean and the variance",),
        library=(moments, every_code),
        mistakes={
            "moments with all pairs equally probable: weigh each by p[z1] p[z2]": equally_probable,
            "the second moment in the second row: subtract the mean before squaring": second_moment,
            "the standard deviation in the second row: the variance is its square": deviation,
            "moments over equal codes alone: the two are drawn independently": diagonal,
        },
    ),
    Exercise(
        "05.4",
        z_statistic,
        lambda rng: list(samples(rng)),
        {"draws": "R"},
        returns=("z",),
        library=(from_samples,),
        accuracy=10,
        mistakes={
            "the bias over s: the mean of R draws has a smaller error than one draw": of_one_draw,
            "the bias times R / s: the standard error falls as the root of R": lambda draws, exact_value: (
                of_one_draw(draws, exact_value) * len(draws)
            ),
        },
    ),
)  # fmt: skip
