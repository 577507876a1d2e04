"""The exercises of lesson 02, the categorical encoder."""

import numpy as np

from dvae_np import codes, draw, entropy, gumbel, gumbel_max, log_softmax, score, softmax
from dvae_np.check import central, complex_step
from dvae_np.exercises.calling import WrongAnswer
from dvae_np.exercises.exercise import Exercise, Made
from dvae_np.exercises.lesson_01 import by_complex_step


def softmax_of(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def my_log_softmax(x):
    """The value by its formula, the backward by the complex step."""
    return by_complex_step(lambda x: np.log(softmax_of(x)))(x)


def gradient_of_the_softmax(x):
    q = softmax_of(x)
    return np.log(q), lambda dy: q * (dy - (q * dy).sum(-1, keepdims=True))


def without_the_normaliser(x):
    return np.log(softmax_of(x)), lambda dy: dy


def for_one_dy(x):
    return np.log(softmax_of(x)), lambda dy: dy - softmax_of(x)


def entry_by_entry(x):
    return np.log(softmax_of(x)), lambda dy: dy - softmax_of(x) * dy


def mean_square_of_the_score(q):
    """The definition: each category's squared score, weighted."""
    return sum(p * ((np.eye(len(q))[k] - q) ** 2).sum() for k, p in enumerate(q))


def shares(sampler, logits, u):
    """The share of each category among the codes, for each example and latent, (B, N, K), and which uniforms move them."""
    found = np.asarray(sampler(logits, u))
    if found.shape != u.shape[:-1]:
        raise WrongAnswer(f"02.3: your codes have the shape {found.shape}, expected (S, B, N) = {u.shape[:-1]}")
    if found.dtype.kind not in "iu":
        raise WrongAnswer(f"02.3: your codes have the dtype {found.dtype}, expected integers")
    return (found[..., None] == np.arange(logits.shape[-1])).mean(0), moved_by(sampler, logits, u[:200], found[:200])


def moved_by(sampler, logits, u, found):
    """Whose codes move when the uniforms of one example and latent alone are handed on: (B N, B N), the identity."""
    moved = []
    for place in np.ndindex(u.shape[1:3]):
        rolled = u.copy()
        rolled[:, *place] = np.roll(u[:, *place], 37, axis=0)
        moved.append((np.asarray(sampler(logits, rolled)) != found).any(0).ravel())
    return np.array(moved).astype(int)


def even(S, B, N, K):
    """Uniforms (S, B, N, K) that fill the cube of K dimensions evenly for every example and latent (an additive recurrence)."""
    root = 1.5
    for _ in range(60):
        root = (1 + root) ** (1 / (K + 1))  # root^(K+1) = 1 + root, the golden ratio for K = 1
    steps = root ** -np.arange(1.0, K + 1)
    starts = np.linspace(0.1, 0.9, B * N).reshape(B, N, 1)
    return (starts + np.arange(S)[:, None, None, None] * steps) % 1


def my_sample(logits, u):
    """Exponential clocks: the first to ring wins."""
    return np.argmin(-np.log(u) / softmax_of(logits), axis=-1)  # exponential clocks


def exponential_noise(logits, u):
    return np.argmax(logits - np.log(u), -1)


def perturbed_probabilities(logits, u):
    return np.argmax(softmax_of(logits) - np.log(-np.log(u)), -1)


def negated_noise(logits, u):
    return np.argmax(logits + np.log(-np.log(u)), -1)


def likeliest(logits, u):
    return np.argmax(logits + 0 * u, -1)


def entropy_gradient(x):
    """By the complex step of the plain sum."""
    loss = lambda arrays: -(softmax_of(arrays["x"]) * np.log(softmax_of(arrays["x"]))).sum()
    return complex_step(loss, {"x": x})["x"]


def invert(q, u):
    """By counting, for each u, the ends at or before it; the last end is left out."""
    ends = np.cumsum(q)[:-1]
    return np.array([sum(1 for end in ends if end <= each) for each in u])


def with_one_category_more(q, u):
    return (np.cumsum(q) <= u[:, None]).sum(-1)


def one_too_low(q, u):
    return np.maximum((np.cumsum(q) <= u[:, None]).sum(-1) - 1, 0)


def strictly_below(q, u):
    return (np.cumsum(q)[:-1] < u[:, None]).sum(-1)


def clipped_above(q, u):
    return np.minimum((np.cumsum(q)[:-1] <= u[:, None]).sum(-1), len(q) - 2)


def at_ends(q, ends, more):
    """Uniforms: 0, just at some ends of intervals, the largest below 1, and others."""
    top = 1 - np.finfo(q.dtype).eps / 2
    return np.concatenate([np.zeros(1), np.cumsum(q)[ends], more, [top]]).astype(q.dtype)


def intervals(rng):
    """A thousand probabilities that add up to a little less than 1, and seven others."""
    for q, ends, R in (
        (np.full(1000, 0.001 * (1 - 2e-6)), np.array([41, 500]), 6),
        (softmax_of(rng.standard_normal(7)), np.array([2]), 9),
    ):
        yield {"q": q, "u": Made(at_ends, (q, ends, rng.random(R)))}


EXERCISES = (
    Exercise(
        "02.1",
        my_log_softmax,
        lambda rng: [{"x": rng.standard_normal(shape)} for shape in ((2, 3, 4), (5, 4, 7), (3, 6))],
        {"x": "BNK"},
        op=True,
        returns=("dx",),
        library=(log_softmax, complex_step, central),
        mistakes={
            "the gradient of the softmax: here it is its logarithm": gradient_of_the_softmax,
            "the gradient without the log of the sum, which depends on x too": without_the_normaliser,
            "dy - q: that is right only where dy adds up to one": for_one_dy,
            "dy - q dy: each q must multiply the sum of all dy": entry_by_entry,
        },
    ),
    Exercise(
        "02.2",
        mean_square_of_the_score,
        lambda rng: [{"q": np.array([0.5, 0.2, 0.3])}, {"q": softmax_of(rng.standard_normal(7))}],
        {"q": "K"},
        returns=("the mean square",),
        library=(score,),
        mistakes={
            "E ||onehot(z)||^2: subtract the square of the mean": lambda q: q.sum(),
            "1 + sum q^2: the cross term -2 <onehot, q> is missing": lambda q: 1 + (q**2).sum(),
            "the mean over the K entries: a squared length is a sum": lambda q: (1 - (q**2).sum()) / len(q),
        },
    ),
    Exercise(
        "02.3",
        my_sample,
        lambda rng: [
            {"logits": rng.uniform(-1.2, 1.2, (B, N, K)), "u": even(S, B, N, K)}
            for S, B, N, K in ((6_000, 4, 2, 3), (8_000, 3, 5, 2))
        ],
        {"logits": "BNK", "u": "SBNK"},
        returns=("the share of each category", "which uniforms move which codes"),
        outcome=shares,
        within=6e-3,  # some times the error of evenly spread uniforms
        library=(gumbel, gumbel_max, codes, draw, softmax, log_softmax),
        mistakes={
            "what Exponential noise gives: one logarithm and a minus sign are missing": exponential_noise,
            "what probabilities with noise give: perturb the logits, not their softmax": perturbed_probabilities,
            "what negated Gumbel noise gives: its long tail belongs upwards": negated_noise,
            "always the likeliest category: where is the noise?": likeliest,
        },
    ),
    Exercise(
        "02.4",
        entropy_gradient,
        lambda rng: [{"x": rng.standard_normal(shape)} for shape in ((3, 4), (7, 5))],
        {"x": "BK"},
        returns=("the gradient",),
        q=lambda case: softmax_of(case["x"]),
        library=(entropy, complex_step, central),
    ),
    Exercise(
        "02.5",
        invert,
        lambda rng: list(intervals(rng)),
        {"q": "K"},
        returns=("the categories",),
        library=(codes,),
        mistakes={
            "category K for some u, and there is no such category": with_one_category_more,
            "the right category minus 1, one too low: count the ends at or before u, but for the last": one_too_low,
            "the count with < for <=, and an interval that ends just at u counts too: keep <=": strictly_below,
            "the right category cut at K - 2, but the last category is drawn too": clipped_above,
        },
    ),
)  # fmt: skip
