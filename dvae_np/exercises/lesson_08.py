"""The exercises of lesson 08, straight-through to ReinMax."""

import numpy as np

from dvae_np import softmax
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.exercises.lesson_07 import objective
from dvae_np.ops import softmax_jacobian


def jacobian(p):
    return np.diag(p) - np.outer(p, p)


def my_straight_through(logits, f, z):
    """Sample by sample, latent by latent."""
    total = np.zeros_like(logits)
    for codes in z:
        fz, backward = f(np.eye(logits.shape[-1])[codes][None])
        slope = backward(np.ones_like(fz))[0][0]  # (B, N, K)
        for b, n in np.ndindex(codes.shape):
            total[b, n] += jacobian(softmax_of(logits[b, n])) @ slope[b, n] / len(z)
    return total


def slope_at_q(logits, f, z):
    q = softmax_of(logits)
    fq, backward = f(q[None])
    return softmax_jacobian(q, backward(np.ones_like(fq))[0][0])


def slope_alone(logits, f, z):
    fz, backward = f(np.eye(logits.shape[-1])[z])
    return backward(np.ones_like(fz) / len(z))[0].sum(0)


def codes(rng, S, B, N, K):
    return {
        "logits": rng.standard_normal((B, N, K)),
        "f": objective(rng, B, N, K),
        "z": rng.integers(0, K, (S, B, N)),
    }


def bias_of_quadratic(q, A):
    """Code by code: the mean of J A z less the gradient of the mean of f."""
    every = np.eye(len(q))
    mean = sum(q[k] * jacobian(q) @ A @ every[k] for k in range(len(q)))
    return mean - jacobian(q) @ np.array([every[k] @ A @ every[k] / 2 for k in range(len(q))])


def quadratics(rng):
    for K in (3, 5):
        root = rng.standard_normal((K, K))
        yield {"q": softmax_of(rng.standard_normal(K)), "A": root + root.T}


def trapezoid(q, z, g):
    """By the Jacobians, row by row [Eq. 8.5]."""
    rows = [second_order(np.log(q[i]), z[i], g[i]) for i in np.ndindex(q.shape[:-1])]
    return np.array(rows).reshape(q.shape)


def one_end(q, z, g):
    return q * (g - (g * z).sum(-1, keepdims=True))


def through_the_middle(q, z, g):
    return softmax_jacobian((q + z) / 2, g)


def rows(rng):
    for T, K in ((5, 3), (4, 7)):
        hard = np.eye(K)[rng.integers(0, K, T)]
        yield {"q": softmax_of(rng.standard_normal((T, K))), "z": hard, "g": rng.standard_normal((T, K))}


def second_order(l, z, g):
    """Twice the Jacobian at the middle, less half of that at q."""
    q = softmax_of(l)
    return 2 * jacobian((q + z) / 2) @ g - 0.5 * (jacobian(q) @ g)


def taken_off_whole(l, z, g):
    q = softmax_of(l)
    return (2 * jacobian((q + z) / 2) - jacobian(q)) @ g


def sum_of_both(l, z, g):
    q = softmax_of(l)
    return (2 * jacobian(q + z) - jacobian(q) / 2) @ g


EXERCISES = (
    Exercise(
        "08.1",
        my_straight_through,
        lambda rng: [codes(rng, 3, 5, 2, 4), codes(rng, 4, 3, 1, 7)],
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        q=lambda case: softmax(case["logits"])[0],
        mistakes={
            "the slope at q, not at the sample": slope_at_q,
            "the slope alone: it still has to pass the softmax": slope_alone,
        },
    ),
    Exercise(
        "08.2",
        bias_of_quadratic,
        lambda rng: list(quadratics(rng)),
        {"q": "K", "A": "KK"},
        returns=("the bias",),
        mistakes={
            "it with F = diag(A): the value of f at a code has the factor 1/2": lambda q, A: jacobian(q) @ (A @ q - np.diag(A)),
            "the bias of the slope: it still has to pass the Jacobian": lambda q, A: A @ q - np.diag(A) / 2,
            "the mean alone: subtract the exact gradient": lambda q, A: jacobian(q) @ A @ q,
        },
    ),
    Exercise(
        "08.3",
        trapezoid,
        lambda rng: list(rows(rng)),
        {"q": "TK", "z": "TK", "g": "TK"},
        returns=("the estimate",),
        mistakes={
            "the end of the edge at j alone: both ends count, each by a half": one_end,
            "J((q + z) / 2) g, the slope's way through the middle: not the rule": through_the_middle,
        },
    ),
    Exercise(
        "08.4",
        second_order,
        lambda rng: [
            {"l": rng.standard_normal(K), "z": np.eye(K)[k], "g": rng.standard_normal(K)} for K, k in ((3, 2), (5, 1))
        ],
        {"l": "K", "z": "K", "g": "K"},
        returns=("the estimate",),
        mistakes={
            "it with J(q) taken off whole: half of it is due": taken_off_whole,
            "it with J at q + z: halve it, as probabilities sum to one": sum_of_both,
        },
    ),
)  # fmt: skip
