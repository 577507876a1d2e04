"""The exercises of lesson 16, the conditional VAE."""

import numpy as np

from dvae_np.categorical import kl, kl_per_latent
from dvae_np.check import central, complex_step
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.exercises.lesson_03 import kl_of_rows
from dvae_np.networks import decoder
from dvae_np.ops import embedding


def prior_side(q_logits, p_logits):
    return complex_step(lambda arrays: kl_of_rows(q_logits, arrays["p"]).sum(), {"p": p_logits})["p"]


def encoder_side(q_logits, p_logits):
    return complex_step(lambda arrays: kl_of_rows(arrays["q"], p_logits).sum(), {"q": q_logits})["q"]


def logits(rng):
    for B, N, K in ((3, 2, 4), (5, 3, 7)):
        q_logits, p_logits = rng.standard_normal((2, B, N, K))
        yield {"q_logits": q_logits, "p_logits": p_logits}


def first_layer(c, states, w_context, table, bias):
    """Pair by pair, unit by unit of the sum over the inputs."""
    found = np.zeros((len(states), len(c), len(bias)))
    for m, b in np.ndindex(len(states), len(c)):
        found[m, b] = c[b] @ w_context + bias
        for n, k in enumerate(states[m]):
            found[m, b] += table[n, k]
    return found


def first_latent_alone(c, states, w_context, table, bias):
    return first_layer(c, states[:, :1], w_context, table, bias)


def bias_in_both_parts(c, states, w_context, table, bias):
    return first_layer(c, states, w_context, table, 2 * bias)


def layers(rng):
    """Two small cases, and one in which rows for all pairs are seen in the memory."""
    for B, C, M, N, K, H in ((3, 5, 4, 2, 6, 7), (5, 4, 7, 3, 2, 6), (40, 300, 50, 4, 5, 6)):
        yield {
            "c": rng.standard_normal((B, C)),
            "states": rng.integers(0, K, (M, N)),
            "w_context": rng.standard_normal((C, H)),
            "table": rng.standard_normal((N, K, H)),
            "bias": rng.standard_normal(H),
        }


def table_gradient(dh, states, K):
    """The sum over all pairs, the category of each marked by a 1."""
    return np.einsum("mbh,mnk->nkh", dh, np.eye(K)[states])


def met_once(dh, states, K):
    """The last state of each category alone: what an assignment leaves."""
    found = np.zeros((states.shape[1], K, dh.shape[2]), dh.dtype)
    for n in range(states.shape[1]):
        found[n][states[:, n]] = dh.sum(1)
    return found


def mean_of_the_states(dh, states, K):
    times = np.maximum(np.eye(K)[states].sum(0), 1)
    return table_gradient(dh, states, K) / times[..., None]


def first_latent_for_all(dh, states, K):
    return table_gradient(dh, np.repeat(states[:, :1], states.shape[1], 1), K)


def cotangents(rng):
    """More states than categories, so that some are met several times."""
    for M, B, N, K, H in ((9, 5, 2, 3, 4), (11, 3, 4, 5, 6)):
        yield {"dh": rng.standard_normal((M, B, H)), "states": rng.integers(0, K, (M, N)), "K": K}


def ten_results(case):
    return 10 * case["states"].shape[0] * case["c"].shape[0] * case["bias"].size * 8


EXERCISES = (
    Exercise(
        "16.1",
        prior_side,
        lambda rng: list(logits(rng)),
        {"q_logits": "BNK", "p_logits": "BNK"},
        returns=("the gradient",),
        library=(kl, kl_per_latent, complex_step, central),
        mistakes={
            "the gradient on the encoder's side": encoder_side,
            "minus q alone: the prior's own normaliser depends on its logits too": lambda q, p: -softmax_of(q),
            "what logits in the place of their softmax give: take the softmax of both": lambda q, p: p - q,
        },
    ),
    Exercise(
        "16.2",
        first_layer,
        lambda rng: list(layers(rng)),
        {"c": "BC", "states": "MN", "w_context": "CH", "table": "NKH", "bias": "H"},
        returns=("the first layer",),
        most_bytes=ten_results,
        library=(decoder,),
        mistakes={
            "the pairs with the axes of states and examples exchanged": lambda *arguments: first_layer(
                *arguments
            ).transpose(1, 0, 2),
            "the sum with only the first latent's rows": first_latent_alone,
            "the sum with the bias in both parts: it counts once": bias_in_both_parts,
            "the sum without the bias": lambda c, s, w, table, bias: first_layer(c, s, w, table, 0 * bias),
        },
    ),
    Exercise(
        "16.3",
        table_gradient,
        lambda rng: list(cotangents(rng)),
        {"dh": "MBH", "states": "MN"},
        returns=("the gradient",),
        library=(decoder, embedding),
        mistakes={
            "the rows of the last states alone: a category that several states have gets the sum": met_once,
            "a mean over the states of a category: its row is added to each, so the sum is due": mean_of_the_states,
            "what the first latent's categories give for every latent": first_latent_for_all,
        },
    ),
)  # fmt: skip
