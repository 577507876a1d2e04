"""The exercises of lesson 19, it does not train."""

import numpy as np

from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.train import usage


def minus_elbo(q, f):
    """-log p(x), and the KL to the posterior on top of it."""
    joint = np.exp(-f) / q.shape[1]
    evidence = joint.sum(1)
    gap = (q * np.log(q * evidence[:, None] / joint)).sum(1)
    return (gap - np.log(evidence)).mean()


def with_kl(change):
    """The negative ELBO with the logarithm of the prior replaced by a function of K."""
    return lambda q, f: (q * (f + np.log(q) - change(q.shape[1]))).sum(1).mean()


def without_the_kl(q, f):
    return (q * f).sum(1).mean()


def reverse_kl(q, f):
    return without_the_kl(q, f) - np.log(q * q.shape[1]).mean()


def models(rng):
    for B, K in ((3, 4), (5, 7)):
        yield {"q": softmax_of(rng.standard_normal((B, K))), "f": 5 + 2 * rng.standard_normal((B, K))}


def entropies(q):
    return -(q * np.log(q)).sum(-1)


def kl_split(q):
    """By entropies: H(mean) - mean H [Eq. 19.1], and what the mean KL has more."""
    information = entropies(q.mean(0)) - entropies(q).mean(0)
    return information, np.log(q.shape[-1]) - entropies(q).mean(0) - information


def whole_kl(q):
    information, rest = kl_split(q)
    return information + rest, rest


def kl_as_the_rest(q):
    information, rest = kl_split(q)
    return information, information + rest


def turned_round(q):
    return kl_split(q)[0], -np.log(q.mean(0) * q.shape[-1]).mean(-1)


def entropy_as_the_rest(q):
    return kl_split(q)[0], entropies(q.mean(0))


def posteriors(rng):
    for B, N, K in ((3, 2, 4), (5, 3, 7)):
        yield {"q": softmax_of(rng.standard_normal((B, N, K)) + 2 * rng.standard_normal((N, K)))}


def without_chance(g):
    """Pair by pair."""
    B = len(g)
    pairs = [(g[i] * g[j]).sum() for i in range(B) for j in range(B) if i != j]
    return np.mean(pairs) / np.mean([(each**2).sum() for each in g])


def with_own_pairs(g):
    return (g.mean(0) ** 2).sum() / (g**2).sum((1, 2)).mean()


def less_one_in_b(g):
    return with_own_pairs(g) - 1 / len(g)


def mean_of_cosines(g):
    lengths = np.sqrt((g**2).sum((1, 2)))
    return without_chance(g / lengths[:, None, None])


def gradients(rng):
    for B, N, K in ((5, 2, 3), (7, 3, 4)):
        yield {"g": rng.standard_normal((B, N, K)) + rng.standard_normal((N, K))}


EXERCISES = (
    Exercise(
        "19.1",
        minus_elbo,
        lambda rng: list(models(rng)),
        {"q": "BK", "f": "BK"},
        returns=("the negative ELBO",),
        mistakes={
            "what the prior's probability gives in the place of its logarithm": with_kl(lambda K: 1 / K),
            "what log K gives for log 1/K: the sign of the constant is wrong": with_kl(np.log),
            "the negative ELBO with no prior in it: the constant is missing": with_kl(lambda K: 0),
            "the reconstruction alone: the KL is missing": without_the_kl,
            "what the KL from the prior to q gives: the mean is taken under q": reverse_kl,
        },
    ),
    Exercise(
        "19.2",
        kl_split,
        lambda rng: list(posteriors(rng)),
        {"q": "BNK"},
        returns=("the information", "the rest"),
        library=(usage,),
        mistakes={
            "the whole mean KL: compare q with its average, not with the prior": whole_kl,
            "the whole mean KL, not what the information leaves of it": kl_as_the_rest,
            "KL(p || mean of q): the mean is taken under the first": turned_round,
            "the entropy of the average: the rest is its KL to the prior": entropy_as_the_rest,
        },
    ),
    Exercise(
        "19.3",
        without_chance,
        lambda rng: list(gradients(rng)),
        {"g": "BNK"},
        returns=("the share",),
        accuracy=10,
        mistakes={
            "c of [Eq. 19.3]: leave out the pairs of an image with itself": with_own_pairs,
            "c less 1/B, a sum divided by B^2: there are B (B - 1) pairs of different images": less_one_in_b,
            "the mean cosine: divide by the mean square of the lengths": mean_of_cosines,
        },
    ),
)  # fmt: skip
