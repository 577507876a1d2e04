"""The exercises of lesson 15, is my estimator right?"""

import numpy as np

from dvae_np.categorical import score
from dvae_np.check import moments, polynomial
from dvae_np.exercises.calling import WrongAnswer
from dvae_np.exercises.exercise import Exercise, Made
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.laws import joint_states


def with_score(logits, f, z):
    """An estimator whose mean is no multiple of the gradient: f cubed in the place of f, its own sample in the baseline."""
    fz, _ = f(z)
    return ((fz**3 - fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


def with_f_squared(logits, f, z):
    """Another: each f times the mean of all."""
    fz, _ = f(z)
    return ((fz * fz.mean(0))[..., None, None] * score(logits, z)).mean(0)


def mean_of(estimate, logits, f, S):
    """Outcome by outcome, each weighted by the product of its probabilities."""
    _, N, K = logits.shape
    states, q, total = joint_states(N, K), softmax_of(logits[0]), 0.0
    for chosen in joint_states(S, len(states)):
        z = states[chosen]
        weight = q[np.arange(N), z].prod()
        total = total + weight * estimate(logits, f, z[:, None])[0]
    return total


def equally_probable(estimate, logits, f, S):
    _, N, K = logits.shape
    states = joint_states(N, K)
    return np.mean([estimate(logits, f, states[chosen][:, None])[0] for chosen in joint_states(S, len(states))], axis=0)


def one_code_for_all(estimate, logits, f, S):
    return mean_of(lambda logits, f, z: estimate(logits, f, np.repeat(z, S, 0)), logits, f, 1)


def estimators(rng):
    for estimate, S, N, K in ((with_score, 2, 2, 3), (with_f_squared, 3, 1, 4)):
        yield {
            "estimate": estimate,
            "logits": rng.standard_normal((1, N, K)),
            "f": Made(lambda w: polynomial(w, 3), (0.5 * rng.standard_normal((2, N, K)),)),
            "S": S,
        }


def off(mean, right):
    """The first as a ratio of two sums, the second from what Pythagoras leaves."""
    m, g = np.ravel(mean), np.ravel(right)
    size = sum(g * g)
    a = sum((m - g) * g) / size
    return a, np.sqrt(sum((m - g - a * g) ** 2) / size)


def as_share(mean, right):
    a, rest = off(mean, right)
    return a + 1, rest


def whole(mean, right):
    a, rest = off(mean, right)
    return a, np.hypot(a, rest)


def in_nats(mean, right):
    a, rest = off(mean, right)
    return a, rest * np.linalg.norm(right)


def gradients(rng):
    for shape in ((2, 3), (5,), (2, 2, 3)):
        yield {"mean": rng.standard_normal(shape), "right": rng.standard_normal(shape)}


REASONS = np.array([0, 2, 0, 3, 5, 0, 0, 0, 4, 0])  # of the ten estimators: 0, or why it is wrong


def verdicts(numbers):
    """Looked up."""
    return REASONS[numbers]


def found(answer, numbers):
    """What is compared: how many wrong ones are found, how many of them with their reason, how many right ones are passed."""
    due = REASONS[numbers]
    given = np.asarray(answer(numbers))
    if given.shape != due.shape:
        raise WrongAnswer(f"15.3: expected a reason for each of the numbers, {due.shape}, got {given.shape}")
    if given.dtype.kind not in "iu":
        raise WrongAnswer(f"15.3: expected whole numbers, got dtype {given.dtype}")
    hits = given == due
    return np.sum((given > 0)[due > 0]), np.sum(hits[due > 0]), np.sum(hits[due == 0])


def cheaper(first, second, c1, c2):
    """By the definition, in plain sums."""
    v1, v2 = (((draws - draws.mean(0)) ** 2).sum() / (len(draws) - 1) for draws in (first, second))
    return v1 * c1 / (v2 * c2)


def dear_one_rewarded(first, second, c1, c2):
    return cheaper(first, second, 1 / c1, 1 / c2)


def deviations(first, second, c1, c2):
    s1, s2 = (draws.std(0, ddof=1).sum() for draws in (first, second))
    return s1 * c1 / (s2 * c2)


def pairs(rng):
    for R, Q, N, K, c1, c2 in ((50, 80, 2, 3, 2, 7), (30, 20, 1, 4, 12, 3)):
        yield {"first": rng.standard_normal((R, N, K)) * rng.random((N, K)), "second": rng.standard_normal((Q, N, K)), "c1": c1,
               "c2": c2}  # fmt: skip


EXERCISES = (
    Exercise(
        "15.1",
        mean_of,
        lambda rng: list(estimators(rng)),
        {"logits": "BNK"},
        returns=("the mean",),
        library=(moments,),
        accuracy=100,
        mistakes={
            "the mean with all outcomes equally probable: weigh each by its probability": equally_probable,
            "the mean at one sample, drawn S times: the S codes are drawn independently": one_code_for_all,
        },
    ),
    Exercise(
        "15.2",
        off,
        lambda rng: list(gradients(rng)),
        {},
        returns=("a", "the rest"),
        mistakes={
            "the share of the gradient: a is its bias, 0 where the mean is right": as_share,
            "the whole bias: take off its part along the gradient": whole,
            "the length of the rest: not relative to that of the gradient": in_nats,
        },
    ),
    Exercise(
        "15.3",
        verdicts,
        lambda rng: [{"numbers": rng.permutation(10)}, {"numbers": np.array([8, 2, 4, 6, 1, 3])}],
        {"numbers": "M"},
        returns=(
            "the number of wrong ones found",
            "the number of wrong ones with their reason",
            "the number of right ones passed",
        ),
        outcome=found,
    ),
    Exercise(
        "15.4",
        cheaper,
        lambda rng: list(pairs(rng)),
        {"first": "RNK", "second": "QNK"},
        returns=("the ratio",),
        accuracy=10,
        mistakes={
            "a ratio in which the dear one is rewarded: a budget buys fewer of its calls": dear_one_rewarded,
            "a ratio of standard deviations: variances fall as 1 / n": deviations,
            "the variances' ratio alone: what does a call cost?": lambda first, second, c1, c2: cheaper(first, second, 1, 1),
            "v1 c1 c2 / v2: the division ends before c2": lambda first, second, c1, c2: cheaper(first, second, c1 * c2, 1),
            "the ratio upside down": lambda first, second, c1, c2: 1 / cheaper(first, second, c1, c2),
        },
    ),
)  # fmt: skip
