"""The exercises of lesson 13, samples that know each other."""

import numpy as np

from dvae_np import score
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.exercises.lesson_12 import drawn, problem


def my_disarm(logits, f, coupled):
    """Latent by latent: the mean of ARM over the uniforms that give its pair of codes."""
    (first, second), total = f(coupled)[0], np.zeros_like(logits)
    for b, n in np.ndindex(coupled.shape[1:]):
        p = softmax_of(logits[b, n])[1]
        m = max(p, 1 - p)
        one, other = coupled[:, b, n]
        e = 0.5 if one == other else (1 - m) / 2 if one else (1 + m) / 2  # the middle of its interval
        total[b, n, 1] = (second[b] - first[b]) * (e - 0.5)
        total[b, n, 0] = -total[b, n, 1]
    return total


def weighted(weight):
    """DisARM with weight(p) of the probability of category 1."""

    def estimate(logits, f, coupled):
        fz, hot = f(coupled)[0], np.eye(2)[coupled]
        return (fz[0] - fz[1])[:, None, None] / 2 * (hot[0] - hot[1]) * weight(softmax_of(logits)[..., 1:])

    return estimate


def as_if_independent(logits, f, coupled):
    fz = f(coupled)[0]
    return ((fz - fz.mean(0))[..., None, None] * score(logits, coupled)).sum(0)


def moment_of_arm(p):
    """The integral of (e - 1/2)^2 over both ends, by Simpson's rule, which is exact for a parabola."""
    end = min(p, 1 - p)
    return sum(end / 6 * w * (e - 0.5) ** 2 for start in (0.0, 1 - end)
               for w, e in ((1, start), (4, start + end / 2), (1, start + end)))  # fmt: skip


def moment_of_disarm(p):
    m = max(p, 1 - p)
    return 2 * (1 - m) * (m / 2) ** 2


def gained(p):
    return moment_of_arm(p) - moment_of_disarm(p)


def without_the_chance(p):
    m = max(p, 1 - p)
    return moment_of_arm(p) - 2 * (m / 2) ** 2


def without_the_cube(p):
    return 2 / 3 * (1 / 8 - abs(p - 1 / 2)) - moment_of_disarm(p)


def with_p_for_m(p):
    return 2 / 3 * (1 / 8 - (p - 1 / 2) ** 3) - 2 * (1 - p) * (p / 2) ** 2


def my_arm(logits, f, e):
    """Latent by latent, by the two uniforms e and 1 - e: each code is 1 below p, and its factor is half of 1 - 2 e."""
    total = np.zeros_like(logits)
    for uniform in e:
        for u in (uniform, 1 - uniform):
            fz = f(np.stack([(u < softmax_of(logits)[..., 1]).astype(int)]))[0][0]  # (B,)
            for b, n in np.ndindex(u.shape):
                each = fz[b] * (0.5 - u[b, n]) / len(e)
                total[b, n] += np.array([-each, each])
    return total


def with_twin(twin):
    """ARM with twin(e, p) as its second code."""

    def estimate(logits, f, e):
        p = softmax_of(logits)[..., 1]
        difference = f(twin(e, p).astype(int))[0] - f((e < p).astype(int))[0]
        dphi = (difference[..., None] * (e - 0.5)).mean(0)
        return np.stack([-dphi, dphi], -1)

    return estimate


def by_the_twin_alone(logits, f, e):
    dphi = (f((e > 1 - softmax_of(logits)[..., 1]).astype(int))[0][..., None] * (e - 0.5)).mean(0)
    return np.stack([-dphi, dphi], -1)


def uniforms(rng, S, B, N):
    """A binary problem, and uniforms for its codes."""
    return problem(rng, B, N, 2) | {"e": rng.random((S, B, N))}


EXERCISES = (
    Exercise(
        "13.1",
        my_disarm,
        lambda rng: [drawn(rng, "coupled", 2, 5, 3, 2), drawn(rng, "coupled", 2, 3, 4, 2)],
        {"logits": "BNK", "coupled": "SBN"},
        returns=("the gradient",),
        mistakes={
            "the estimate with sigma(phi) where sigma(|phi|) belongs": weighted(lambda p: p),
            "the estimate without the weight sigma(|phi|)": weighted(np.ones_like),
            "the estimate with p (1 - p) as its weight": weighted(lambda p: p * (1 - p)),
            "leave-one-out for two independent samples: unbiased there, not for a pair": as_if_independent,
        },
    ),
    Exercise(
        "13.2",
        gained,
        lambda rng: [{"p": p} for p in (0.5, 0.3, 0.9, 0.1 + 0.3 * rng.random())],
        {},
        returns=("the difference",),
        mistakes={
            "half of it: there are two ends": lambda p: gained(p) / 2,
            "DisARM's square without its probability: 1 - m is the chance of each end": without_the_chance,
            "an integral without its cube: the integral of a square is a third of the cube": without_the_cube,
            "the second moment of ARM: subtract DisARM's": moment_of_arm,
            "what p in the place of m gives: m is the larger of p and 1 - p": with_p_for_m,
        },
    ),
    Exercise(
        "13.3",
        my_arm,
        lambda rng: [uniforms(rng, 4, 5, 3), uniforms(rng, 3, 4, 2)],
        {"logits": "BNK", "e": "SBN"},
        returns=("the gradient",),
        mistakes={
            "the estimate with the opposite code as the twin: its law is 1 - p": with_twin(lambda e, p: e > p),
            "the estimate with [e < 1 - p] as the twin: the code of 1 - e is drawn by 1 - e < p": with_twin(
                lambda e, p: e < 1 - p
            ),
            "the twin's part alone: f at the first code is not taken off": by_the_twin_alone,
        },
    ),
)  # fmt: skip
