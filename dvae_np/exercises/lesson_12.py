"""The exercises of lesson 12, sum a part and sample the rest."""

import numpy as np

from dvae_np import draw, log_prob, score
from dvae_np.check import lookup_table
from dvae_np.check.enumeration import every_sequence
from dvae_np.estimators.unordered_set import _set_probability
from dvae_np.exercises.exercise import Exercise, Made
from dvae_np.exercises.lesson_02 import softmax_of


def my_local(logits, f, z):
    """REINFORCE's conditional mean: its term at every category of one latent, weighted by q."""
    q, total = softmax_of(logits), np.zeros_like(logits)
    for n, k in np.ndindex(logits.shape[1:]):
        tried = z.copy()
        tried[..., n] = k
        total[:, n] += (q[:, n, k] * f(tried)[0]).mean(0)[:, None] * score(logits, tried)[0, :, n]
    return total


def tried_everywhere(logits, f, z, restored=True):
    """f with each latent at each category, the others as drawn: (S, B, N, K)."""
    F, tried = np.zeros((len(z), *logits.shape)), z.copy()
    for n, k in np.ndindex(logits.shape[1:]):
        tried = z.copy() if restored else tried
        tried[..., n] = k
        F[:, :, n, k] = f(tried)[0]
    return F


def without_minus_q(logits, f, z):
    return (softmax_of(logits) * tried_everywhere(logits, f, z)).mean(0)


def less_the_plain_mean(logits, f, z):
    F = tried_everywhere(logits, f, z)
    return (softmax_of(logits) * (F - F.mean(-1, keepdims=True))).mean(0)


def never_put_back(logits, f, z):
    q, F = softmax_of(logits), tried_everywhere(logits, f, z, restored=False)
    return (q * (F - (q * F).sum(-1, keepdims=True))).mean(0)


def plain(logits, f, z):
    return (f(z)[0][..., None, None] * score(logits, z)).mean(0)


def problem(rng, B, N, K):
    """Logits, and an f that differs from example to example."""
    table = 2 + rng.standard_normal((B, *(K,) * N))
    return {"logits": rng.standard_normal((B, N, K)), "f": Made(lookup_table, (table,))}


def drawn(rng, name, S, B, N, K):
    """The same with S codes of this noise."""
    given = problem(rng, B, N, K)
    return given | {name: draw(rng, given["logits"], S, (name,))[0]}


def set_of_two(a, b):
    """Both orders, found among all sequences of three states."""
    codes, chances = every_sequence(np.log([[[a, b, 1 - a - b]]]), 2)
    return chances[(np.sort(codes[..., 0], axis=0) == [[0], [1]]).all(0)].sum()


def sets(rng):
    for a, b in ((0.5, 0.2), (0.1, 0.3), (0.05, 0.9), 0.1 + 0.3 * rng.random(2)):
        yield {"a": a, "b": b}


def summed_and_sampled(logits, f, distinct):
    """State by state, example by example."""
    total = np.zeros_like(logits)
    for b in range(logits.shape[0]):
        left = 1.0
        for s, state in enumerate(distinct[:, b]):
            each = softmax_of(logits[b])[np.arange(len(state)), state].prod()
            weight = each if s < len(distinct) - 1 else left
            total[b] += weight * f(distinct)[0][s, b] * (np.eye(logits.shape[-1])[state] - softmax_of(logits[b]))
            left -= each
    return total


def with_last_weight(last):
    """The same with last(all weights) as the weight of the last state."""

    def estimate(logits, f, distinct):
        weight = np.exp(log_prob(logits, distinct)[0])
        weight[-1] = last(weight)
        return ((weight * f(distinct)[0])[..., None, None] * score(logits, distinct)).sum(0)

    return estimate


def different(q, S):
    """Draw by draw: the chance that it finds a state which those before it have not."""
    return sum((q * (1 - q) ** before).sum() for before in range(S))


def draws(rng):
    """Probabilities of few and many states, and numbers of draws."""
    for M, S in ((4, 3), (9, 6), (30, 5)):
        yield {"q": rng.dirichlet(np.full(M, 1.5)), "S": S}


EXERCISES = (
    Exercise(
        "12.1",
        my_local,
        lambda rng: [drawn(rng, "z", 3, 5, 2, 4), drawn(rng, "z", 2, 4, 3, 5)],
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        q=lambda case: softmax_of(case["logits"]),
        mistakes={
            "the gradient plus q E[f]: the score lacks its -q": without_minus_q,
            "q (F - mean F), with the plain mean over the categories: weigh them by q": less_the_plain_mean,
            "what comes out where a latent stays at its last category: put the latent back before the next one is tried": (
                never_put_back
            ),
            "REINFORCE: f must be tried at every category": plain,
        },
    ),
    Exercise(
        "12.2",
        set_of_two,
        lambda rng: list(sets(rng)),
        {},
        returns=("the probability",),
        library=(_set_probability, every_sequence),
        mistakes={
            "the chance of one order only: either may come first": lambda a, b: a * b / (1 - a),
            "the law with replacement: what was drawn is gone": lambda a, b: 2 * a * b,
            "2 a b / (1 - a - b): only what was drawn first is missing, it is gone at the second draw": lambda a, b: (
                2 * a * b / (1 - a - b)
            ),
        },
    ),
    Exercise(
        "12.3",
        summed_and_sampled,
        lambda rng: [drawn(rng, "distinct", 3, 5, 2, 4), drawn(rng, "distinct", 4, 3, 1, 7)],
        {"logits": "BNK", "distinct": "SBN"},
        returns=("the gradient",),
        mistakes={
            "the estimate with q as the last weight: the last state stands for all the rest": with_last_weight(
                lambda weight: weight[-1]
            ),
            "the estimate with the last state's chance as its weight: its chance is in the draw already": with_last_weight(
                lambda weight: weight[-1] / (1 - weight[:-1].sum(0))
            ),
            "1 less all weights: the rest is what lies outside the first S - 1": with_last_weight(
                lambda weight: 1 - weight.sum(0)
            ),
        },
    ),
    Exercise(
        "12.4",
        different,
        lambda rng: list(draws(rng)),
        {"q": "M"},
        returns=("the number",),
        mistakes={
            "the expected number of states that are not drawn: take it off the number of all": lambda q, S: (
                ((1 - q) ** S).sum()
            ),
            "S, the number of draws: a state may be drawn twice": lambda q, S: S * q.sum(),
            "the count with 1 - q^S, the chance that not every draw is this state: one hit is enough": lambda q, S: (
                (1 - q**S).sum()
            ),
            "the count for equally probable states: each state has its own probability": lambda q, S: (
                len(q) * (1 - (1 - 1 / len(q)) ** S)
            ),
        },
    ),
)  # fmt: skip
