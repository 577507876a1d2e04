"""The exercises of lesson 17, completing digits."""

import numpy as np

from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.train import classify, evaluate


def posterior(fz, log_prior):
    """By Bayes' rule, state by state."""
    joint = np.array([np.exp(log_prior[m]) * np.exp(-fz[m]) for m in range(len(fz))])
    return joint / sum(joint)


def over_the_examples(fz, log_prior):
    joint = np.exp(log_prior - fz)
    return joint / joint.sum(1, keepdims=True)


def log_posterior(fz, log_prior):
    return np.log(posterior(fz, log_prior))


def log_probabilities(rng, M, B):
    return np.log(softmax_of(rng.standard_normal((B, M)))).T


def states(rng):
    for M, B in ((4, 3), (5, 7)):
        yield {"fz": rng.standard_normal((M, B)), "log_prior": log_probabilities(rng, M, B)}


def estimate_of_evidence(z, b, fz, log_prior, logq):
    """Code by code."""
    return sum(np.exp(log_prior[m, b]) * np.exp(-fz[m, b]) / np.exp(logq[m, b]) for m in z) / len(z)


def mean_of_the_logs(z, b, fz, log_prior, logq):
    return (log_prior - fz - logq)[z, b].mean()


def multiplied_by_q(z, b, fz, log_prior, logq):
    return np.exp(log_prior - fz + logq)[z, b].mean()


def draws(rng):
    for S, M, B, b in ((4, 9, 3, 1), (6, 5, 7, 4)):
        yield {
            "z": rng.integers(0, M, S),
            "b": b,
            "fz": rng.standard_normal((M, B)),
            "log_prior": log_probabilities(rng, M, B),
            "logq": log_probabilities(rng, M, B),
        }


def class_probabilities(fz, log_prior, share):
    """By Bayes' rule, class by class and code by code."""
    C, M, B = fz.shape
    joint = np.zeros((B, C))
    for c in range(C):
        for m in range(M):
            joint[:, c] += share[c] * np.exp(log_prior[c, m]) * np.exp(-fz[c, m])
    return joint / joint.sum(1, keepdims=True)


def equal_shares(fz, log_prior, share):
    return class_probabilities(fz, log_prior, np.ones_like(share))


def uniform_prior(fz, log_prior, share):
    return class_probabilities(fz, np.zeros_like(log_prior), share)


def best_code_alone(fz, log_prior, share):
    best = (log_prior[..., None] - fz).max(1) + np.log(share)[:, None]  # (C, B)
    return softmax_of(best.T)


def mean_of_the_costs(fz, log_prior, share):
    mean = np.einsum("cm,cmb->cb", np.exp(log_prior), -fz)
    return softmax_of((mean + np.log(share)[:, None]).T)


def joint_of_classes(fz, log_prior, share):
    return (np.exp(log_prior[..., None] - fz).sum(1) * share[:, None]).T


def images_of_classes(rng):
    for C, M, B in ((3, 4, 5), (4, 7, 6)):
        yield {
            "fz": 4 + 2 * rng.standard_normal((C, M, B)),
            "log_prior": log_probabilities(rng, M, C).T,
            "share": softmax_of(rng.standard_normal(C)),
        }


EXERCISES = (
    Exercise(
        "17.1",
        posterior,
        lambda rng: list(states(rng)),
        {"fz": "MB", "log_prior": "MB"},
        returns=("the posterior",),
        mistakes={
            "the posterior under a uniform prior: p(z|c) is missing": lambda fz, prior: posterior(fz, 0 * prior),
            "the joint probability: divide by p(x|c)": lambda fz, prior: np.exp(prior - fz),
            "a softmax over the examples: normalise over the states": over_the_examples,
            "its logarithm: probabilities are asked for": log_posterior,
        },
    ),
    Exercise(
        "17.2",
        estimate_of_evidence,
        lambda rng: list(draws(rng)),
        {"z": "S", "fz": "MB", "log_prior": "MB", "logq": "MB"},
        returns=("the estimate",),
        library=(evaluate,),
        mistakes={
            "the mean of p(x|c,z): the weight p(z|c) / q(z) is missing": lambda z, b, fz, prior, logq: np.exp(
                -fz[z, b]
            ).mean(),
            "the mean of the joint: divide by q": lambda z, b, fz, prior, logq: np.exp(prior - fz)[z, b].mean(),
            "the mean of p(x|c,z) / q(z): p(z|c) is missing": lambda z, b, fz, prior, logq: np.exp(-fz - logq)[
                z, b
            ].mean(),
            "the mean of p(x,z|c) q(z), the sign of log q turned: q stands in the denominator": multiplied_by_q,
            "the mean of the log weights, a bound: average the weights": mean_of_the_logs,
        },
    ),
    Exercise(
        "17.3",
        class_probabilities,
        lambda rng: list(images_of_classes(rng)),
        {"fz": "CMB", "log_prior": "CM", "share": "C"},
        returns=("the probabilities",),
        library=(classify, evaluate),
        mistakes={
            "what equally frequent classes give: weigh each by its share": equal_shares,
            "what equally probable codes give: weigh each by p(z|c)": uniform_prior,
            "what the best code of each class gives: sum over the codes": best_code_alone,
            "what the mean cost of each class gives: average p(x|c,z), not its logarithm": mean_of_the_costs,
            "the joint probability of class and image: divide by p(x)": joint_of_classes,
        },
    ),
)  # fmt: skip
