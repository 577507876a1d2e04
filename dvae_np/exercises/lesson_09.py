"""The exercises of lesson 09, multi-sample bounds."""

import numpy as np

from dvae_np import log_prob, score, vimco
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_04 import far_apart
from dvae_np.exercises.lesson_05 import codes
from dvae_np.ops import log_softmax


def bound_of(logw):
    """By np.logaddexp, one sample after the other."""
    return np.logaddexp.reduce(logw, axis=0) - np.log(len(logw))


def my_vimco(logits, f, z):
    """The library's."""
    return vimco(logits, f, z, mean="arithmetic").dlogits


def signals(logits, f, z):
    """log w, the bound, and the normalised weights of an estimate."""
    logw = -f(z)[0] - log_prob(logits, z)[0]
    return logw, bound_of(logw), np.exp(log_softmax(logw.T)[0].T)


def without_the_weights(logits, f, z):
    _, _, share = signals(logits, f, z)
    return my_vimco(logits, f, z) - (share[..., None, None] * score(logits, z)).sum(0)


def without_a_baseline(logits, f, z):
    _, bound, share = signals(logits, f, z)
    return ((share - bound)[..., None, None] * score(logits, z)).sum(0)


def own_weight_in_the_baseline(logits, f, z):
    _, _, share = signals(logits, f, z)
    return (share[..., None, None] * score(logits, z)).sum(0)


def factor(r):
    """L - L_{-1} - w_1 / (w_1 + w_2) for weights e^r and 1."""
    w1, w2 = np.exp(r), np.ones_like(r)
    return np.log((w1 + w2) / 2) - np.log(w2) - w1 / (w1 + w2)


def baselines(logw):
    """The bound of the other samples, for each sample."""
    every = []
    for s in range(len(logw)):
        every.append(bound_of(np.array([row for t, row in enumerate(logw) if t != s])))
    return np.array(every)


def by_subtraction(logw):
    top = logw.max(0)
    w = np.exp(logw - top)
    return top + np.log(w.sum(0) - w) - np.log(len(logw) - 1)


EXERCISES = (
    Exercise(
        "09.1",
        bound_of,
        lambda rng: [{"logw": far_apart(rng, S, B)} for S, B in ((3, 5), (4, 2), (7, 3))],
        {"logw": "SB"},
        returns=("the bound",),
        mistakes={
            "the log of the sum: divide by S": lambda logw: bound_of(logw) + np.log(len(logw)),
            "the mean of the logs, the ELBO's": lambda logw: logw.mean(0),
            "the largest weight alone": lambda logw: logw.max(0),
        },
    ),
    Exercise(
        "09.2",
        my_vimco,
        lambda rng: [codes(rng, 3, 5, 2, 4), codes(rng, 4, 3, 1, 7), codes(rng, 2, 7, 3, 5)],
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        mistakes={
            "the gradient of the bound: a loss is minimised, so turn the sign": lambda *case: -my_vimco(*case),
            "the mean over the samples where they add up": lambda *case: my_vimco(*case) / len(case[2]),
            "the signal without the weights' own derivative": without_the_weights,
            "the gradient without a baseline: each sample's is made of the others": without_a_baseline,
            "a baseline with the sample's own weight in it: leave it out": own_weight_in_the_baseline,
            "VIMCO with the geometric mean": lambda *case: vimco(*case).dlogits,
        },
    ),
    Exercise(
        "09.3",
        factor,
        lambda rng: [{"r": 2 * rng.standard_normal(T)} for T in (4, 7)],
        {"r": "T"},
        returns=("the factor",),
        mistakes={
            "the factor of the second sample: exchange the roles": lambda r: factor(-r),
            "the factor with the sum in place of the mean": lambda r: factor(r) + np.log(2),
            "the signal alone, without the normalised weight": lambda r: np.log((np.exp(r) + 1) / 2),
        },
    ),
    Exercise(
        "09.4",
        baselines,
        lambda rng: [{"logw": far_apart(rng, S, B)} for S, B in ((3, 4), (5, 2), (2, 3))],
        {"logw": "SB"},
        returns=("the baselines",),
        mistakes={
            "the log of the others' sum: divide by S - 1": lambda logw: baselines(logw) + np.log(len(logw) - 1),
            "the log of the mean of all: leave the sample itself out": lambda logw: bound_of(logw) + 0 * logw,
            "what subtraction leaves of a dominant weight": by_subtraction,
        },
    ),
)  # fmt: skip
