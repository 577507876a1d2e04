"""The exercises of lesson 18, training."""

import numpy as np

from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.train import evaluate


def ratio_of_steps(t, beta1, beta2):
    """Adam run with a constant gradient, once with its corrections and once without."""
    m = v = 0.0
    found = {}
    for step in range(1, max(t) + 1):
        m, v = beta1 * m + (1 - beta1) * 3.0, beta2 * v + (1 - beta2) * 3.0**2
        corrected = m / (1 - beta1**step) / np.sqrt(v / (1 - beta2**step))
        found[step] = m / np.sqrt(v) / corrected
    return np.array([found[step] for step in t])


def no_root(t, beta1, beta2):
    return (1 - beta1**t) / (1 - beta2**t)


def first_average_alone(t, beta1, beta2):
    return 1 - beta1**t


def counted_from_zero(t, beta1, beta2):
    return ratio_of_steps(t + 1, beta1, beta2)


def corrected_over_not(t, beta1, beta2):
    return 1 / ratio_of_steps(t, beta1, beta2)


def steps(rng):
    for T, beta1, beta2 in ((4, 0.9, 0.99), (6, 0.7, 0.999)):
        yield {"t": rng.permutation(30)[:T] + 1, "beta1": beta1, "beta2": beta2}


def bits_per_dimension(log_p, D):
    """Image by image, by the logarithm to the base 2."""
    return sum(-each * np.log2(np.e) for each in log_p) / (len(log_p) * D)


def of_a_whole_image(log_p, D):
    return bits_per_dimension(log_p, 1)


def in_nats(log_p, D):
    return -log_p.mean() / D


def multiplied(log_p, D):
    return -log_p.mean() * np.log(2) / D


def likelihoods(rng):
    for B, D in ((3, 64), (5, 784)):
        yield {"log_p": -D * rng.uniform(0.1, 0.4, B), "D": D}


def report(q, fz, beta):
    """Code by code; the gap as the mean KL to the posterior, which is its definition."""
    B, K = q.shape
    loss = elbo = gap = 0.0
    for b in range(B):
        evidence = sum(np.exp(-fz[b, k]) / K for k in range(K))
        for k in range(K):
            posterior = np.exp(-fz[b, k]) / K / evidence
            rate = q[b, k] * np.log(q[b, k] * K)
            loss += (q[b, k] * fz[b, k] + beta * rate) / B
            elbo += (q[b, k] * fz[b, k] + rate) / B
            gap += q[b, k] * np.log(q[b, k] / posterior) / B
    return loss, elbo, gap


def told(loss, negative_elbo, q, fz):
    """The three numbers, from these two."""
    return loss, negative_elbo, negative_elbo + np.log(np.exp(-fz).mean(1)).mean()


def beta_in_the_report(q, fz, beta):
    loss, _, _ = report(q, fz, beta)
    return told(loss, loss, q, fz)


def without_the_kl(q, fz, beta):
    return told(report(q, fz, beta)[0], report(q, fz, 0.0)[0], q, fz)


def without_beta(q, fz, beta):
    return report(q, fz, 1.0)


def beta_taken_off(q, fz, beta):
    return told(report(q, fz, beta)[0], report(q, fz, 1 / beta)[0], q, fz)


def loss_over_beta(q, fz, beta):
    loss, _, _ = report(q, fz, beta)
    return told(loss, loss / beta, q, fz)


def of_the_loss(q, fz, beta):
    loss, negative_elbo, _ = report(q, fz, beta)
    return loss, negative_elbo, told(loss, loss, q, fz)[2]


def models(rng):
    for B, K, beta in ((3, 4, 0.5), (5, 7, 2.0)):
        yield {"q": softmax_of(2 * rng.standard_normal((B, K))), "fz": 4 + 2 * rng.random((B, K)), "beta": beta}


EXERCISES = (
    Exercise(
        "18.1",
        ratio_of_steps,
        lambda rng: list(steps(rng)),
        {"t": "T"},
        returns=("the ratio",),
        mistakes={
            "the ratio without a root: v stands below a square root": no_root,
            "the share of m alone: v is too small as well": first_average_alone,
            "the ratio at t + 1: t is 1 in the first step": counted_from_zero,
            "the corrected step over the other: the ratio is turned round": corrected_over_not,
        },
    ),
    Exercise(
        "18.2",
        bits_per_dimension,
        lambda rng: list(likelihoods(rng)),
        {"log_p": "B"},
        returns=("the number of bits",),
        mistakes={
            "the bits of a whole image: divide by its pixels": of_a_whole_image,
            "the nats per pixel: a bit is log 2 nats": in_nats,
            "nats times log 2: a bit is log 2 nats, so divide": multiplied,
        },
    ),
    Exercise(
        "18.3",
        report,
        lambda rng: list(models(rng)),
        {"q": "BK", "fz": "BK"},
        returns=("the loss", "the negative ELBO", "the gap"),
        library=(evaluate,),
        mistakes={
            "the loss with beta: the ELBO has beta = 1": beta_in_the_report,
            "the reconstruction alone: the ELBO has the KL": without_the_kl,
            "what a KL divided by beta gives: the ELBO has no beta at all": beta_taken_off,
            "the loss divided by beta: beta multiplies the KL alone": loss_over_beta,
            "the loss for beta = 1: training weighs the KL by beta": without_beta,
            "the gap of the loss: take that of the negative ELBO": of_the_loss,
        },
    ),
)  # fmt: skip
