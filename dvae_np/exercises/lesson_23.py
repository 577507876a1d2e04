"""The exercise of lesson 23, a map of the field."""

import numpy as np

from dvae_np.estimators import TABLE
from dvae_np.exercises.exercise import Exercise

METHODS = ("exact", "reinforce_loo", "muprop", "rebar", "local_expectation")


def affordable(budget, N, K):
    """By trial: the table's own counts, one sample more at a time."""
    found = []
    for row in map(TABLE.get, METHODS):
        count = lambda S, row=row: row.evaluations.count(S, N, K)
        S = row.samples(1)
        if count(S) > budget:
            found.append(0)
            continue
        while row.noise and count(S + 1) <= budget:
            S += 1
        found.append(S)
    return np.array(found)


def exchanged(place, change):
    """Our answer with another number at one place, a function of (budget, N, K)."""

    def wrong(budget, N, K):
        found = affordable(budget, N, K)
        found[place] = change(budget, N, K)
        return found

    return wrong


def equal_samples(budget, N, K):
    return np.array([budget] * len(METHODS))


def budgets(rng):
    """Two of any size; what is enough for nothing; K^N; what is just enough for leave-one-out; a large one."""
    sizes = (rng.integers(60, 90), 2, 5), (rng.integers(30, 60), 3, 4), (1, 5, 6), (243, 5, 3), (2, 1, 2), (3000, 4, 7)
    for budget, N, K in sizes:
        yield {"budget": int(budget), "N": N, "K": K}


EXERCISES = (
    Exercise(
        "23.1",
        affordable,
        lambda rng: list(budgets(rng)),
        {},
        returns=("the samples",),
        library=(TABLE["exact"].samples_for,),
        mistakes={
            "the budget for each: an evaluation is not a sample": equal_samples,
            "what exact costs with N^K codes: there are K^N": exchanged(0, lambda budget, N, K: int(N**K <= budget)),
            "what rounded logarithms give for exact: compare whole numbers": exchanged(
                0, lambda budget, N, K: int(np.floor(np.log(budget) / np.log(K)) >= N)
            ),
            "what leave-one-out would do with one sample: it needs two": exchanged(1, lambda budget, N, K: budget),
            "MuProp without its one evaluation more": exchanged(2, lambda budget, N, K: budget),
            "REBAR at one evaluation a sample": exchanged(3, lambda budget, N, K: budget),
            "the local expectation at K evaluations a sample: it visits all latents": exchanged(
                4, lambda budget, N, K: budget // K
            ),
        },
    ),
)  # fmt: skip
