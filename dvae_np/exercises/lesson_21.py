"""The exercises of lesson 21, quantised codes."""

from itertools import product

import numpy as np

from dvae_np.check import complex_step
from dvae_np.codebook import Averages, distortion
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.scalar_codes import entropies


def vq_gradients(e, codebook, z, dy, beta):
    """The published loss, differentiated by the complex step with what is stopped held; dy is added."""
    held_e, held_codebook = e.copy(), codebook.copy()

    def published(arrays):
        first = ((held_e - arrays["codebook"][z]) ** 2).sum()
        return first + beta * ((arrays["e"] - held_codebook[z]) ** 2).sum()

    slopes = complex_step(published, {"e": e, "codebook": codebook})
    return dy + slopes["e"], slopes["codebook"]


def exchanged_beta(e, codebook, z, dy, beta):
    return vq_gradients(e, codebook, z, dy, 1.0)[0], beta * vq_gradients(e, codebook, z, dy, beta)[1]


def last_vector_alone(e, codebook, z, dy, beta):
    last = np.zeros_like(codebook)
    last[z] = 2 * (codebook[z] - e)
    return vq_gradients(e, codebook, z, dy, beta)[0], last


def decoder_to_codebook(e, codebook, z, dy, beta):
    de, dcodebook = vq_gradients(e, codebook, z, dy, beta)
    for place in np.ndindex(z.shape):
        dcodebook[z[place]] += dy[place]
    return de - dy, dcodebook


def repelled(e, codebook, z, dy, beta):
    de, dcodebook = vq_gradients(e, codebook, z, dy, beta)
    return 2 * dy - de, dcodebook


def quantised(rng):
    for B, N, D, K, beta in ((7, 3, 2, 5, 0.25), (4, 5, 3, 6, 0.7)):
        yield {
            "e": rng.standard_normal((B, N, D)),
            "codebook": rng.standard_normal((K, D)),
            "z": rng.integers(0, K, (B, N)),
            "dy": rng.standard_normal((B, N, D)),
            "beta": beta,
        }


def law_of(e, codebook, T):
    """The logits and q (B, K)."""
    logits = -((e[:, None] - codebook) ** 2).sum(-1) / T
    return logits, softmax_of(logits)


def kl_gradient(e, codebook, T):
    def kl(arrays):
        _, q = law_of(arrays["e"], codebook, T)
        return (q * np.log(q * len(codebook))).sum()

    return complex_step(kl, {"e": e})["e"]


def not_centred(e, codebook, T):
    logits, q = law_of(e, codebook, T)
    return 2 / T * (q * logits) @ codebook


def kl_before_its_mean(e, codebook, T):
    _, q = law_of(e, codebook, T)
    return 2 / T * (q * np.log(q * len(codebook))) @ codebook


def soft(rng):
    for B, D, K, T in ((4, 2, 5, 0.8), (3, 4, 6, 2.5)):
        yield {"e": rng.standard_normal((B, D)), "codebook": rng.standard_normal((K, D)), "T": T}


def moving_codebook(counts, sums, e, z, gamma):
    """Vector by vector."""
    counts, sums = gamma * counts, gamma * sums
    for k, vector in zip(z, e, strict=True):
        counts[k] += 1 - gamma
        sums[k] += (1 - gamma) * vector
    return np.array([sums[k] / counts[k] for k in range(len(counts))]), counts, sums


def old_counts(counts, sums, e, z, gamma):
    _, new_counts, new_sums = moving_codebook(counts, sums, e, z, gamma)
    return new_sums / counts[:, None], new_counts, new_sums


def old_entries(counts, sums, e, z, gamma):
    return sums / counts[:, None], *moving_codebook(counts, sums, e, z, gamma)[1:]


def exchanged_weights(counts, sums, e, z, gamma):
    return moving_codebook(counts, sums, e, z, 1 - gamma)


def batch_alone(counts, sums, e, z, gamma):
    """The mean of the batch's vectors where there are any."""
    _, new_counts, new_sums = moving_codebook(counts, sums, e, z, gamma)
    means = [e[z == k].mean(0) if (z == k).any() else sums[k] / counts[k] for k in range(len(counts))]
    return np.array(means), new_counts, new_sums


def averages(rng):
    for B, D, K, gamma in ((7, 2, 5, 0.9), (12, 3, 8, 0.7)):
        yield {
            "counts": rng.uniform(0.5, 3, K),
            "sums": rng.standard_normal((K, D)),
            "e": rng.standard_normal((B, D)),
            "z": rng.integers(0, K - 1, B),  # the last entry gets nothing
            "gamma": gamma,
        }


def entropy(shares):
    return float(-sum(share * np.log(share) for share in np.ravel(shares)))


def diversities(e, T):
    """Code by code, example by example."""
    q = softmax_of(np.stack([-((e + 1) ** 2), -((e - 1) ** 2)], -1) / T)  # (B, N, 2)
    mean = [
        np.mean([np.prod([law[n, bit] for n, bit in enumerate(code)]) for law in q])
        for code in product((0, 1), repeat=e.shape[1])
    ]
    return entropy(q.mean(0)), entropy(mean)


def mean_of_entropies(e, T):
    return diversities(e, T)[0], float(np.mean([diversities(one[None], T)[0] for one in e]))


def sum_twice(e, T):
    return (diversities(e, T)[0],) * 2


def one_outcome(e, T):
    q = softmax_of(np.stack([-((e + 1) ** 2), -((e - 1) ** 2)], -1) / T)
    return entropy(q.mean(0)[:, 1]), diversities(e, T)[1]


def some_bits(rng):
    for B, N, T in ((6, 3, 0.9), (5, 4, 2.0)):
        yield {"e": rng.standard_normal((B, N)), "T": T}


EXERCISES = (
    Exercise(
        "21.1",
        vq_gradients,
        lambda rng: list(quantised(rng)),
        {"e": "BND", "codebook": "KD", "z": "BN", "dy": "BND"},
        returns=("de", "dcodebook"),
        library=(distortion, complex_step),
        mistakes={
            "the gradient with beta on the wrong distance: beta belongs to the commitment": exchanged_beta,
            "what the last vector of each code alone gives: add them up": last_vector_alone,
            "the codebook's gradient with that of the decoder: the decoder's gradient goes to e": decoder_to_codebook,
            "what drives e away: the commitment pulls it towards its entry": repelled,
        },
    ),
    Exercise(
        "21.2",
        kl_gradient,
        lambda rng: list(soft(rng)),
        {"e": "BD", "codebook": "KD"},
        returns=("the gradient",),
        library=(complex_step,),
        mistakes={
            "the gradient of the entropy: the KL is log K minus that": lambda e, codebook, T: -kl_gradient(
                e, codebook, T
            ),
            "what the logits give before their mean is taken off: the gradient in them must add up to 0": not_centred,
            "what log (q K) gives before its mean is taken off: the gradient in it must add up to 0": kl_before_its_mean,
            "the gradient times T: a logit is divided by T, and once more in its slope": lambda e, codebook, T: T
            * kl_gradient(e, codebook, T),
        },
    ),
    Exercise(
        "21.3",
        moving_codebook,
        lambda rng: list(averages(rng)),
        {"counts": "K", "sums": "KD", "e": "BD", "z": "B"},
        returns=("the codebook", "the counts", "the sums"),
        library=(Averages.moved,),
        mistakes={
            "what the old counts give: new sums belong to new counts": old_counts,
            "the entries of before: they must move": old_entries,
            "the averages with their weights exchanged: gamma belongs to the old": exchanged_weights,
            "the means of this batch: the codebook has no memory": batch_alone,
        },
    ),
    Exercise(
        "21.4",
        diversities,
        lambda rng: list(some_bits(rng)),
        {"e": "BN"},
        returns=("the sum over the bits", "the entropy of the mean law"),
        library=(entropies,),
        mistakes={
            "the mean of the entropies: take the mean of the laws first": mean_of_entropies,
            "the sum over the bits: the bits of one example know each other, on average": sum_twice,
            "what e / T as the logit gives: the squared distances differ by 4 e": lambda e, T: diversities(e, 4 * T),
            "the sum of one outcome of each bit: an entropy has both of its outcomes": one_outcome,
        },
    ),
)  # fmt: skip
