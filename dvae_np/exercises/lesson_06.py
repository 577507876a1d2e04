"""The exercises of lesson 06, baselines."""

import numpy as np

from dvae_np import reinforce, reinforce_loo, score, softmax
from dvae_np.check import every_code, lookup_table, moments, tiled
from dvae_np.exercises.exercise import Exercise, Made


def variance_at(b, q, table):
    """Every category, weighted: the variance of REINFORCE at S = 1."""
    logits = np.log(q)[None, None]
    z, weights = every_code(logits, 1)
    estimate = reinforce(tiled(logits, len(weights)), lookup_table(table), z, baseline=float(b))
    return moments(weights, estimate.dlogits)[1].sum()


def second_moment(b, q, table):
    return (q * (table - b) ** 2 * (1 - 2 * q + (q**2).sum())).sum()


def without_the_score(b, q, table):
    return (q * (table - b) ** 2).sum() - ((q * (table - q @ table)) ** 2).sum()


def of_f_alone(b, q, table):
    return (q * (table - q @ table) ** 2).sum()


def variances(rng):
    """A latent of four categories, and one of seven."""
    for K, b in ((4, 0.7), (7, -1.3)):
        yield {"b": b, "q": softmax(rng.standard_normal(K))[0], "table": 3 + rng.standard_normal(K)}


def my_loo(logits, f, z):
    """By the definition: for each sample the mean of the others."""
    fz, _ = f(z)
    others = np.stack([np.delete(fz, s, axis=0).mean(0) for s in range(len(z))])
    return ((fz - others)[..., None, None] * score(logits, z)).mean(0)


def scored(logits, f, z, baseline):
    return (f(z)[0] - baseline)[..., None, None] * score(logits, z)


def own_sample(logits, f, z):
    return scored(logits, f, z, f(z)[0].mean(0)).mean(0)


def no_baseline(logits, f, z):
    return scored(logits, f, z, 0).mean(0)


def baseline_of_the_batch(logits, f, z):
    return scored(logits, f, z, f(z)[0].mean()).sum(0) / (len(z) - 1)


def codes(rng, S, B, N, K):
    """Logits, an f that differs from example to example, and codes."""
    return {
        "logits": rng.standard_normal((B, N, K)),
        "f": Made(lookup_table, (3 + rng.standard_normal((B, *(K,) * N)),)),
        "z": rng.integers(0, K, (S, B, N)),
    }


def moving_average(logits, f, z, b, decay):
    """The average as it was is used, then moved."""
    fz, _ = f(z)
    return scored(logits, f, z, b)[0], decay * b + (1 - decay) * fz.mean()


def updated_first(logits, f, z, b, decay):
    b = decay * b + (1 - decay) * f(z)[0].mean()
    return scored(logits, f, z, b)[0], b


def last_value_alone(logits, f, z, b, decay):
    return scored(logits, f, z, b)[0], f(z)[0].mean()


def exchanged_weights(logits, f, z, b, decay):
    return scored(logits, f, z, b)[0], (1 - decay) * b + decay * f(z)[0].mean()


def unchanged_average(logits, f, z, b, decay):
    return scored(logits, f, z, b)[0], b


def never_used(logits, f, z, b, decay):
    return scored(logits, f, z, 0)[0], decay * b + (1 - decay) * f(z)[0].mean()


def averages(rng):
    for sizes, b, decay in (((1, 3, 2, 4), 2.0, 0.9), ((1, 5, 3, 2), -0.4, 0.8)):
        yield codes(rng, *sizes) | {"b": b, "decay": decay}


def optimal_constant(logits, table):
    """The variance is a parabola in b: its values at -1, 0 and 1 give its minimum."""
    z, weights = every_code(logits, 1)
    many, f = tiled(logits, len(weights)), lookup_table(table)
    low, middle, high = (moments(weights, reinforce(many, f, z, baseline=b).dlogits)[1].sum() for b in (-1.0, 0.0, 1.0))
    return (low - high) / 2 / (low + high - 2 * middle)


def mean_of_f(logits, table):
    q = softmax(logits)[0][0]
    return q[0] @ table @ q[1]


def first_latent_alone(logits, table):
    """The squared score of the first latent in place of both."""
    q = softmax(logits)[0][0]
    weight, squares = q[0][:, None] * q[1], (1 - 2 * q[0] + (q[0] ** 2).sum())[:, None]
    return (weight * table * squares).sum() / (weight * squares).sum()


EXERCISES = (
    Exercise(
        "06.1",
        variance_at,
        lambda rng: list(variances(rng)),
        {"q": "K", "table": "K"},
        returns=("the variance",),
        library=(every_code, moments),
        mistakes={
            "the second moment: subtract the squared mean": second_moment,
            "the variance of f - b: each term belongs beside its squared score": without_the_score,
            "the variance of f alone: the gradient is f - b times the score": of_f_alone,
        },
    ),
    Exercise(
        "06.2",
        my_loo,
        lambda rng: [codes(rng, 3, 5, 2, 4), codes(rng, 4, 3, 1, 7), codes(rng, 2, 7, 3, 5)],
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        library=(reinforce_loo,),
        mistakes={
            "REINFORCE with a baseline that includes its own sample: divide by S - 1, not by S": own_sample,
            "REINFORCE without a baseline": no_baseline,
            "what a baseline shared by the whole batch gives: each example has its own": baseline_of_the_batch,
        },
    ),
    Exercise(
        "06.3",
        moving_average,
        lambda rng: list(averages(rng)),
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient", "the new average"),
        mistakes={
            "what a baseline updated first gives: b contains this very sample": updated_first,
            "what the last f alone gives as the average: b remembers": last_value_alone,
            "the average with its weights exchanged: decay belongs to the old b": exchanged_weights,
            "the old average: it must move towards f": unchanged_average,
            "what no baseline gives: b is used before it is updated": never_used,
        },
    ),
    Exercise(
        "06.4",
        optimal_constant,
        lambda rng: [
            {"logits": rng.standard_normal((1, 2, K)), "table": rng.standard_normal((K, K))} for K in (3, 5)
        ],
        {"logits": "BNK", "table": "KK"},
        returns=("the constant",),
        library=(every_code, moments),
        mistakes={
            "the mean of f: weigh each state by its squared score too": mean_of_f,
            "the constant for the first latent's score alone: the squared score is a sum over both": first_latent_alone,
        },
    ),
)  # fmt: skip
