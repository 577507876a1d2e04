"""The exercises of lesson 00, why discrete."""

import numpy as np

from dvae_np.check import central, complex_step
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of


def decoder_gradient(x, q, A):
    """The complex step of the average cost of the pixels: -log p of what each pixel is."""

    def cost(arrays):
        on = 1 / (1 + np.exp(-arrays["A"]))
        pixels = -np.log(np.where(x[:, None] == 1, on, 1 - on))  # (B, K, D)
        return (q * pixels.sum(-1)).sum() / len(x)

    return complex_step(cost, {"A": A})["A"]


def on(A):
    return 1 / (1 + np.exp(-A))


def counted_once(x, q, A):
    return (on(A) - q.T @ x) / len(x)


def first_term_divided(x, q, A):
    return q.mean(0)[:, None] * on(A) - q.T @ x


def second_term_divided(x, q, A):
    return q.sum(0)[:, None] * on(A) - q.T @ x / len(x)


def mean_image_for_all(x, q, A):
    return q.mean(0)[:, None] * (on(A) - x.mean(0))


def mean_of_each_code(x, q, A):
    return on(A) - q.T @ x / q.sum(0)[:, None]


def likeliest_code_alone(x, q, A):
    return decoder_gradient(x, np.eye(q.shape[1])[q.argmax(1)], A)


def batches(rng):
    for B, D, K in ((5, 7, 3), (6, 4, 8)):
        yield {
            "x": (rng.random((B, D)) < 0.4).astype(float),
            "q": softmax_of(rng.standard_normal((B, K))),
            "A": rng.standard_normal((K, D)),
        }


def what_is_left(q):
    """The complex step of the average of log q - log (1/K), in logits whose softmax is q."""

    def rest(arrays):
        own = softmax_of(arrays["logits"])
        return (own * np.log(own * q.shape[1])).sum() / len(q)

    return complex_step(rest, {"logits": np.log(q)})["logits"]


def average_not_subtracted(q):
    return q * np.log(q * q.shape[1]) / len(q)


def without_the_softmax(q):
    return q * (np.log(q) + 1) / len(q)


def plain_mean_subtracted(q):
    return q * (np.log(q) - np.log(q).mean(1, keepdims=True)) / len(q)


def without_q(q):
    return (np.log(q) - (q * np.log(q)).sum(1, keepdims=True)) / len(q)


EXERCISES = (
    Exercise(
        "00.1",
        decoder_gradient,
        lambda rng: list(batches(rng)),
        {"x": "BD", "q": "BK", "A": "KD"},
        returns=("the gradient",),
        library=(complex_step, central),
        mistakes={
            "the gradient with each picture counted once: it counts once for every image, with the weight q": counted_once,
            "the gradient with its first term alone divided by B: divide both": first_term_divided,
            "the gradient with its second term alone divided by B: divide both": second_term_divided,
            "the gradient with the mean image for all codes: an image counts for a code with the weight q": mean_image_for_all,
            "the mean over the images of each code: divide by B, for every code": mean_of_each_code,
            "the gradient of the likeliest codes alone: all codes count, each with its q": likeliest_code_alone,
        },
    ),
    Exercise(
        "00.2",
        what_is_left,
        lambda rng: [{"q": softmax_of(rng.standard_normal(shape))} for shape in ((3, 4), (5, 7))],
        {"q": "BK"},
        returns=("the gradient",),
        library=(complex_step, central),
        mistakes={
            "zero: the cost still has a term that depends on the logits": lambda q: 0 * q,
            "q times the rest of the cost: subtract its average": average_not_subtracted,
            "q (log q + 1), by each code's own logit alone: every logit moves all probabilities": without_the_softmax,
            "what the plain mean over the codes gives: the average is under q": plain_mean_subtracted,
            "the gradient without its factor q": without_q,
        },
    ),
)  # fmt: skip
