"""The exercises of lesson 03, the ELBO and the KL."""

import numpy as np

from dvae_np import kl
from dvae_np.categorical import kl_per_latent
from dvae_np.check import central, complex_step
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_01 import by_complex_step
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.likelihoods.bernoulli import bernoulli


def kl_of_rows(q_logits, p_logits):
    q, p = softmax_of(q_logits), softmax_of(p_logits)
    return (q * np.log(q / p)).sum(-1)


def my_kl(q_logits, p_logits):
    """The value by its formula, the backward by the complex step."""
    return by_complex_step(kl_of_rows)(q_logits, p_logits)


def reverse_kl(q_logits, p_logits):
    value, backward = my_kl(p_logits, q_logits)
    return value, lambda dvalue: backward(dvalue)[::-1]


def with_dq(change):
    """The KL with another gradient in the logits of q, a function of (q, p, value)."""

    def op(q_logits, p_logits):
        value, backward = my_kl(q_logits, p_logits)
        wrong = change(softmax_of(q_logits), softmax_of(p_logits), value[:, None])
        return value, lambda dvalue: (dvalue[:, None] * wrong, backward(dvalue)[1])

    return op


def with_dp(change):
    """The KL with another gradient in the logits of p, a function of (q, p)."""

    def op(q_logits, p_logits):
        value, backward = my_kl(q_logits, p_logits)
        wrong = change(softmax_of(q_logits), softmax_of(p_logits))
        return value, lambda dvalue: (backward(dvalue)[0], dvalue[:, None] * wrong)

    return op


def best_prior(q):
    """The mean, category by category: where sum_b (p - q_b) = 0 [Eq. 3.5]."""
    return np.array([sum(row[k] for row in q) / len(q) for k in range(q.shape[1])])


def geometric_mean(q):
    p = np.exp(np.log(q).mean(0))
    return p / p.sum()


def best_encoder(fz, p, beta):
    """Where f + beta log(q / p) is the same for every category [Eq. 3.4]."""
    weights = [p[k] * np.exp(-fz[k] / beta) for k in range(len(p))]
    return np.array(weights) / sum(weights)


def normalised(weights):
    return weights / weights.sum()


def encoders(rng):
    for K, beta in ((3, 2.5), (5, 0.7)):
        yield {"fz": 2 * rng.standard_normal(K), "p": softmax_of(rng.standard_normal(K)), "beta": beta}


def kl_to_uniform(q):
    """The sum over the categories, row by row."""
    return np.array([sum(p * np.log(p * len(row)) for p in row) for row in q])


def objective_of(a, x, kl_of_each):
    """Pixel by pixel: -log p of what the pixel is."""
    each = -np.log(np.where(x == 1, 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(a))))
    return sum(each.sum(-1) + kl_of_each) / len(a)


def mean_over_pixels(a, x, kl_of_each):
    return objective_of(a, x, 0 * kl_of_each) / a.shape[1] + kl_of_each.mean()


def sum_over_the_batch(a, x, kl_of_each):
    return objective_of(a, x, 0 * kl_of_each) * len(a) + kl_of_each.mean()


def objectives(rng):
    for B, D in ((5, 7), (3, 4)):
        yield {
            "a": rng.standard_normal((B, D)),
            "x": (rng.random((B, D)) < 0.4).astype(float),
            "kl_of_each": 2.5 * rng.random(B),
        }


EXERCISES = (
    Exercise(
        "03.1",
        my_kl,
        lambda rng: [
            {"q_logits": rng.standard_normal(shape), "p_logits": rng.standard_normal(shape)}
            for shape in ((4, 3), (5, 7))
        ],
        {"q_logits": "BK", "p_logits": "BK"},
        op=True,
        returns=("dq_logits", "dp_logits"),
        q=lambda case: softmax_of(case["q_logits"]),
        library=(kl, kl_per_latent, complex_step, central),
        mistakes={
            "KL(p || q): the mean is taken under the first argument": reverse_kl,
            "the slope in q, not in its logits: send it through the softmax": with_dq(lambda q, p, value: np.log(q / p) + 1),
            "-q: the logits of p also enter its normaliser": with_dp(lambda q, p: -q),
            "-q / p, the slope in p, not in its logits": with_dp(lambda q, p: -q / p),
        },
    ),
    Exercise(
        "03.2",
        best_prior,
        lambda rng: [{"q": softmax_of(2 * rng.standard_normal(shape))} for shape in ((5, 3), (4, 6))],
        {"q": "BK"},
        returns=("the prior",),
        mistakes={
            "the geometric mean: that minimises the mean of KL(p || q_b)": geometric_mean,
            "the uniform distribution: p may learn": lambda q: np.full(q.shape[1], 1 / q.shape[1]),
            "the sum: a distribution adds up to one": lambda q: q.sum(0),
        },
    ),
    Exercise(
        "03.3",
        best_encoder,
        lambda rng: list(encoders(rng)),
        {"fz": "K", "p": "K"},
        returns=("q",),
        mistakes={
            "p e^(-beta f): beta weighs the KL, so f is divided by it": lambda fz, p, beta: normalised(p * np.exp(-beta * fz)),
            "the answer for a uniform prior: where is p?": lambda fz, p, beta: normalised(np.exp(-fz / beta)),
            "p e^(f / beta): f is a loss, small is good": lambda fz, p, beta: normalised(p * np.exp(fz / beta)),
            "the posterior, which is best at beta = 1 alone": lambda fz, p, beta: normalised(p * np.exp(-fz)),
        },
    ),
    Exercise(
        "03.4",
        kl_to_uniform,
        lambda rng: [{"q": softmax_of(rng.standard_normal(shape))} for shape in ((2, 3), (4, 5))],
        {"q": "BK"},
        returns=("the KL",),
        library=(kl, kl_per_latent),
        mistakes={
            "sum q (log q - 1/K): the logarithm of 1/K enters": lambda q: (q * (np.log(q) - 1 / q.shape[1])).sum(-1),
            "minus the entropy: the prior's log K is missing": lambda q: (q * np.log(q)).sum(-1),
            "minus the entropy minus log K: log(1/K) = -log K, and it is subtracted": lambda q: (
                (q * np.log(q)).sum(-1) - np.log(q.shape[1])
            ),
        },
    ),
    Exercise(
        "03.5",
        objective_of,
        lambda rng: list(objectives(rng)),
        {"a": "BD", "x": "BD", "kl_of_each": "B"},
        returns=("the objective",),
        library=(bernoulli,),
        mistakes={
            "the mean over pixels: the KL weighs D times as much as it should": mean_over_pixels,
            "the sum over the whole batch: the KL weighs 1/B of what it should": sum_over_the_batch,
        },
    ),
)  # fmt: skip
