"""The exercises of lesson 20, structured latents."""

from itertools import combinations, pairwise, product
from itertools import combinations_with_replacement as repeated

import numpy as np

from dvae_np.chain import Chain
from dvae_np.check import complex_step
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.forward_backward import backward, forward
from dvae_np.subsets import Subsets, passed


def halved(unary, pairwise):
    """log Z by joining neighbours two by two: each segment a matrix of log sums, from its first code to its last."""
    first = unary[:, 0]
    steps = [pairwise[:, n] + unary[:, n + 1, None] for n in range(unary.shape[1] - 1)]
    while len(steps) > 1:
        pairs = [
            np.logaddexp.reduce(left[..., None] + right[:, None], axis=2)
            for left, right in zip(steps[::2], steps[1::2], strict=False)
        ]
        steps = pairs + steps[2 * len(pairs) :]
    whole = first[:, :, None] + steps[0] if steps else first[:, :, None]
    return np.logaddexp.reduce(whole.reshape(len(unary), -1), axis=1)


def turned_pairs(unary, pairwise):
    return halved(unary, pairwise.transpose(0, 1, 3, 2))


def viterbi_score(unary, pairwise):
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        a = unary[:, n + 1] + (a[:, :, None] + pairwise[:, n]).max(1)
    return a.max(1)


def as_it_stands(unary, pairwise):
    """The lesson's two lines, with no maximum taken off."""
    a = unary[:, 0]
    for n in range(unary.shape[1] - 1):
        a = unary[:, n + 1] + np.log(np.exp(a[:, :, None] + pairwise[:, n]).sum(1))
    return np.log(np.exp(a).sum(1))


def best_ending(unary, pairwise):
    """The largest of the log sums over all codes that end with k."""
    K = unary.shape[2]
    ends = [halved(np.concatenate([unary[:, :-1], np.where(np.arange(K) == k, unary[:, -1:], -np.inf)], 1), pairwise)
            for k in range(K)]  # fmt: skip
    return np.max(ends, axis=0)


def potentials(rng):
    for B, N, K, size in ((2, 4, 5, 1.0), (4, 30, 3, 1.0), (3, 6, 4, 300.0)):
        yield {"unary": size * rng.standard_normal((B, N, K)), "pairwise": size * rng.standard_normal((B, N - 1, K, K))}


def carried(w, last):
    """Code by code, from the last latent to the first."""
    B, edges, K, _ = w.shape
    mu = np.zeros((B, edges + 1, K))
    mu[:, edges] = last
    for b, n, i in product(range(B), range(edges - 1, -1, -1), range(K)):
        mu[b, n, i] = sum(w[b, n, i, j] * mu[b, n + 1, j] for j in range(K))
    return mu


def turned(w, last):
    return carried(w.transpose(0, 1, 3, 2), last)


def from_the_first_step(w, last):
    return carried(w[:, ::-1], last)


def kernels(rng):
    for B, N, K in ((2, 5, 3), (4, 7, 5)):
        w = np.exp(rng.standard_normal((B, N - 1, K, K)))
        yield {"w": w / w.sum(2, keepdims=True), "last": softmax_of(rng.standard_normal((B, K)))}


def divergence(l1, l2):
    """KL(q || uniform) of each example, pair of codes by pair."""
    first, second = softmax_of(l1), softmax_of(l2)
    both = first[..., None] * second  # (B, K, K)
    return (both * np.log(both * l1.shape[-1] ** 2)).sum((1, 2))


def first_gradient(l1, l2):
    return complex_step(lambda arrays: divergence(arrays["l1"], l2).sum(), {"l1": l1})["l1"]


def own_kl(l1, l2):
    return first_gradient(l1, 0 * l2)


def not_centred(l1, l2):
    first, second = softmax_of(l1), softmax_of(l2)
    return first * (np.log(first) + (second * np.log(second)).sum(-1))


def later_not_centred(l1, l2):
    """With the second code's log K in it, or without."""
    second = softmax_of(l2)
    return own_kl(l1, l2) + softmax_of(l1) * (second * np.log(second)).sum(-1)


def later_kl_alone(l1, l2):
    return first_gradient(l1, l2) - own_kl(l1, l2)


def entropy_as_cost(l1, l2):
    return 2 * own_kl(l1, l2) - first_gradient(l1, l2)


def two_codes(rng):
    for B, K in ((3, 4), (5, 3)):
        yield {"l1": rng.standard_normal((B, K)), "l2": 2 * rng.standard_normal((B, K, K))}


def markov(z, initial, transition):
    """Step by step, as a product of probabilities."""
    start, rows = softmax_of(initial), softmax_of(transition)
    steps = [[rows[a, b] for a, b in pairwise(path)] for path in z]
    return np.array([np.log(start[path[0]]) + np.log(each).sum() for path, each in zip(z, steps, strict=True)])


def over_the_code_before(z, initial, transition):
    rows = softmax_of(transition.T).T
    steps = [sum(np.log(rows[a, b]) for a, b in pairwise(path)) for path in z]
    return np.log(softmax_of(initial))[z[:, 0]] + steps


def backwards(z, initial, transition):
    rows = np.log(softmax_of(transition))
    return np.log(softmax_of(initial))[z[:, 0]] + rows[z[:, 1:], z[:, :-1]].sum(1)


def turned_matrix(z, initial, transition):
    return markov(z, initial, transition.T)


def as_they_are(z, initial, transition):
    return initial[z[:, 0]] + transition[z[:, :-1], z[:, 1:]].sum(1)


def paths(rng):
    for M, N, K in ((7, 4, 3), (5, 3, 6)):
        yield {
            "z": rng.integers(0, K, (M, N)),
            "initial": rng.standard_normal(K),
            "transition": rng.standard_normal((K, K)),
        }


def among(w, k, beside=-1, choices=combinations):
    """Each item's weight times the sum over all choices of k - 1 others, or k + `beside`, over the sum of all k: (B, N)."""
    total = lambda w, k: sum(w[:, list(items)].prod(1) for items in choices(range(w.shape[1]), k))
    return w * np.stack([total(np.delete(w, n, 1), k + beside) for n in range(w.shape[1])], 1) / total(w, k)[:, None]


def one_by_one(w, k):
    """The items that Gumbel-top-k takes: a first one, then k - 1 of the others."""
    first, later = w / w.sum(1, keepdims=True), 0
    for n in range(w.shape[1] if k > 1 else 0):
        later = later + first[:, [n]] * np.insert(one_by_one(np.delete(w, n, 1), k - 1), n, 0, axis=1)
    return first + later


EXERCISES = (
    Exercise(
        "20.1",
        halved,
        lambda rng: list(potentials(rng)),
        {"unary": "BNK"},
        returns=("log Z",),
        library=(forward, Chain.log_partition, complex_step),
        mistakes={
            "the score of the best code: a sum of e^score is asked for, not its largest term": viterbi_score,
            "log Z with the pairwise potentials turned round: A_n[i, j] goes from z_n = i to z_(n+1) = j": turned_pairs,
            "log Z without the first latent's potentials": lambda u, A: halved(np.pad(u[:, 1:], ((0, 0), (1, 0), (0, 0))), A),
            "the logarithm of a sum of exponentials that overflow: take off the maximum first": as_it_stands,
            "the best ending alone: add up the codes that end with each k": best_ending,
        },
    ),
    Exercise(
        "20.2",
        carried,
        lambda rng: list(kernels(rng)),
        {"last": "BK"},
        returns=("the marginals",),
        library=(backward,),
        mistakes={
            "the marginals with w turned round: sum over the next code, j": turned,
            "the marginals in the wrong order: the first latent comes first": lambda w, last: carried(w, last)[:, ::-1],
            "the marginals with w from the first step on: begin with the last step": from_the_first_step,
        },
    ),
    Exercise(
        "20.3",
        first_gradient,
        lambda rng: list(two_codes(rng)),
        {"l1": "BK", "l2": "BKK"},
        returns=("the gradient",),
        library=(complex_step,),
        mistakes={
            "the gradient of the first code's own KL: the later KL is a reward on its score": own_kl,
            "the gradient of the second code's KL alone: the first code pays its own, too": later_kl_alone,
            "the gradient before its mean is taken off: the entries must add up to 0": not_centred,
            "the gradient with the later KL before its mean is taken off: the entries must add up to 0": later_not_centred,
            "the later KL with the wrong sign: its entropy is no cost": entropy_as_cost,
        },
    ),
    Exercise(
        "20.4",
        markov,
        lambda rng: list(paths(rng)),
        {"z": "MN", "initial": "K", "transition": "KK"},
        returns=("log p(z)",),
        mistakes={
            "log p(z) with a matrix that is normalised over the code before: each row must sum to 1": over_the_code_before,
            "log p(z) with steps from the later code to the earlier": backwards,
            "log p(z) with the matrix turned round: a .T is left": turned_matrix,
            "the sum of the logits: they are not normalised": as_they_are,
            "log p(z) without the first code's own probability": lambda z, initial, transition: markov(
                z, 0 * initial, transition
            ) + np.log(len(initial)),
        },
    ),
    Exercise(
        "20.5",
        among,
        lambda rng: [{"w": np.exp(rng.standard_normal((B, N))), "k": k} for B, N, k in ((3, 5, 2), (2, 7, 4), (4, 20, 3))],
        {"w": "BN"},
        returns=("the marginals",),
        library=(passed, Subsets.marginals, complex_step),
        mistakes={
            "the chance of each item by itself: given that k are on, it is another": lambda w, k: w / (1 + w),
            "k times each item's share of the weights: as if items came again": lambda w, k: k * w / w.sum(1)[:, None],
            "the item with k of the other items: k - 1 others are on beside it": lambda w, k: among(w, k, 0),
            "the chance that an item is not in the subset": lambda w, k: 1 - among(w, k),
            "a sum in which an item may come again: begin with the last j": lambda w, k: among(w, k, -1, repeated),
            "the law of Gumbel-top-k: items drawn one by one, without replacement": one_by_one,
        },
    ),
)  # fmt: skip
