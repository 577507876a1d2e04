"""The exercises of lesson 04, exact marginalisation."""

import numpy as np

from dvae_np import exact
from dvae_np.check import central, complex_step, expectation
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.likelihoods.bernoulli import bernoulli


def my_exact(logits, fz):
    """By the complex step of the plain sum."""
    return complex_step(lambda arrays: (softmax_of(arrays["x"]) * fz).sum(), {"x": logits})["x"]


def under_the_plain_mean(logits, fz):
    return softmax_of(logits) * (fz - fz.mean(-1, keepdims=True))


def without_q(logits, fz):
    return fz - (softmax_of(logits) * fz).sum(-1, keepdims=True)


def all_pairs(a, x):
    """Pair by pair: -log of what the pixels are."""
    each = np.log(1 + np.exp(a))[:, None] - a[:, None] * x  # (M, B, D)
    return each.sum(-1), lambda dfz: (dfz[..., None] * (sigma(a)[:, None] - x)).sum(1)


def gained(change):
    """The op with another gradient, a function of (a, x, dfz)."""
    return lambda a, x: (all_pairs(a, x)[0], lambda dfz: change(a, x, dfz))


def sigma(a):
    return 1 / (1 + np.exp(-a))


def product_alone(a, x):
    return -a @ x.T, lambda dfz: -dfz @ x


def minus_the_loss(a, x):
    value, backward = all_pairs(a, x)
    return -value, lambda dfz: -backward(dfz)[0]


def pairs(rng):
    """Two small cases, and one in which an array of three axes is seen in the memory."""
    for M, B, D in ((4, 5, 7), (6, 3, 2), (48, 64, 80)):
        yield {"a": rng.standard_normal((M, D)), "x": (rng.random((B, D)) < 0.4).astype(float)}


def log_evidence_of(log_joint):
    """By np.logaddexp, one state after the other."""
    return np.logaddexp.reduce(log_joint, axis=0)


def without_its_top(log_joint):
    return np.log(np.exp(log_joint - log_joint.max(0)).sum(0))


def far_apart(rng, S, B):
    """Logarithms (S, B) of very different sizes: in each column one is far below the others, in every second one far above."""
    logarithms = 2 * rng.standard_normal((S, B)) + np.linspace(-30_000, 700, B)
    logarithms[np.arange(B) % S, np.arange(B)] -= 9000
    logarithms[(np.arange(0, B, 2) + 1) % S, np.arange(0, B, 2)] += 900
    return logarithms


def evidences(rng):
    large = np.array([[-1000.0, -1.0, 0.5, -30.0], [-1001.0, -1500.0, 1.0, -31.0], [-1002.5, -1.5, 0.0, 2.0]])
    yield {"log_joint": large}
    yield {"log_joint": far_apart(rng, 4, 5)}
    yield {"log_joint": 900 + 3 * rng.standard_normal((5, 2))}


def cotangent_of(fz, log_prior):
    """By the complex step of -log p(x)."""
    loss = lambda arrays: -np.log((np.exp(log_prior)[:, None] * np.exp(-arrays["fz"])).sum(0)).sum()
    return complex_step(loss, {"fz": fz})["fz"]


def joint_of(fz, log_prior):
    return np.exp(log_prior[:, None] - fz)


def states(rng):
    for M, B in ((4, 3), (5, 7)):
        yield {"fz": rng.standard_normal((M, B)), "log_prior": np.log(softmax_of(rng.standard_normal(M)))}


def expectation_over_pairs(q1, q2, fz):
    """Two loops, the last latent fastest."""
    K, total = len(q1), 0.0
    for first in range(K):
        for second in range(K):
            total += q1[first] * q2[second] * fz[first * K + second]
    return total


def first_fastest(q1, q2, fz):
    return (q2[:, None] * q1).ravel() @ fz


def two_latents(rng):
    for K in (3, 5):
        q1, q2 = softmax_of(rng.standard_normal((2, K)))
        yield {"q1": q1, "q2": q2, "fz": rng.standard_normal(K * K)}


def saving(B, H, D, M):
    """Counted: every pair decodes B M states and scores each once; each state once decodes M."""
    decode, score, every = H * D, D, B * M
    return (every * decode + every * score) / (M * decode + every * score)


EXERCISES = (
    Exercise(
        "04.1",
        my_exact,
        lambda rng: [
            {"logits": rng.standard_normal(shape), "fz": 2 + rng.standard_normal(shape)} for shape in ((3, 4), (5, 7))
        ],
        {"logits": "BK", "fz": "BK"},
        returns=("the gradient",),
        q=lambda case: softmax_of(case["logits"]),
        library=(exact, expectation, complex_step, central),
        mistakes={
            "q (f - mean of f): the mean is to be taken under q": under_the_plain_mean,
            "f - E[f]: each category counts with its probability": without_q,
        },
    ),
    Exercise(
        "04.2",
        all_pairs,
        lambda rng: list(pairs(rng)),
        {"a": "MD", "x": "BD"},
        op=True,
        data=("x",),
        returns=("da",),
        library=(bernoulli, complex_step, central),
        most_bytes=lambda case: 10 * (case["a"].nbytes + case["x"].nbytes + 8 * len(case["a"]) * len(case["x"])),
        mistakes={
            "minus the product alone: the normaliser, sum softplus(a), is missing": product_alone,
            "log p: the loss is minus that": minus_the_loss,
            "sigmoid(a) - dfz x: the sigmoid counts with the sum of dfz over the examples": gained(
                lambda a, x, dfz: sigma(a) - dfz @ x
            ),
            "the sigmoid weighed by the mean of dfz: every example adds its own": gained(
                lambda a, x, dfz: dfz.mean(1, keepdims=True) * sigma(a) - dfz @ x
            ),
        },
    ),
    Exercise(
        "04.3",
        log_evidence_of,
        lambda rng: list(evidences(rng)),
        {"log_joint": "MB"},
        returns=("log p(x)",),
        mistakes={
            "the log of the sum without its largest exponent: add it back": without_its_top,
            "the largest term alone": lambda log_joint: log_joint.max(0),
            "the sum of the logarithms, where the logarithm of a sum is wanted": lambda log_joint: log_joint.sum(0),
            "the log of the mean: the states are to be added up": lambda log_joint: (
                log_evidence_of(log_joint) - np.log(len(log_joint))
            ),
        },
    ),
    Exercise(
        "04.4",
        cotangent_of,
        lambda rng: list(states(rng)),
        {"fz": "MB", "log_prior": "M"},
        returns=("the weights",),
        library=(complex_step, central),
        mistakes={
            "the prior: weigh each state by how well it explains x": lambda fz, log_prior: np.exp(log_prior)[:, None] + 0 * fz,
            "the joint p(z) p(x|z): divide by p(x)": joint_of,
            "the likelihoods' shares: where is the prior?": lambda fz, log_prior: np.exp(-fz) / np.exp(-fz).sum(0),
            "shares over the examples: the states are the first axis": lambda fz, log_prior: (
                joint_of(fz, log_prior) / joint_of(fz, log_prior).sum(1, keepdims=True)
            ),
        },
    ),
    Exercise(
        "04.5",
        expectation_over_pairs,
        lambda rng: list(two_latents(rng)),
        {"q1": "K", "q2": "K", "fz": "M"},
        returns=("E[f]",),
        library=(expectation,),
        mistakes={
            "the sum with the first latent fastest: the last one is": first_fastest,
            "the plain mean of f: where is q?": lambda q1, q2, fz: fz.mean(),
        },
    ),
    Exercise(
        "04.6",
        saving,
        lambda rng: [
            {"B": B, "H": H, "D": D, "M": M}
            for B, H, D, M in ((256, 512, 784, 64), (10, 20, 30, 40), (3, 5, 6, 7), map(int, rng.integers(2, 90, 4)))
        ],
        {},
        returns=("the ratio",),
        mistakes={
            "B: the sums of all pairs remain to be computed": lambda B, H, D, M: float(B),
            "the saving without the sums of the usual way": lambda B, H, D, M: B * H / (H + B),
        },
    ),
)  # fmt: skip
