"""What must hold of every observation model in the table, whatever it is: a row is checked without a line written for it."""

from functools import partial
from statistics import NormalDist

import numpy as np

from dvae_np.check.identities import equal
from dvae_np.check.report import Result
from dvae_np.check.verdicts import FALSE_ALARM
from dvae_np.likelihoods import LIKELIHOODS, columns

SEED, LEVELS = 7, 8
DRAWS, PIXELS, COLUMNS = 20_000, 3, (3, 2, 4)


def example(row, rng, states=1, B=5, D=7):
    """Inputs of the row's op: outputs a (2, states, ...), pixels x (B, D) drawn from other outputs, its own parameters."""
    width = D * row.outputs(LEVELS)
    own = {name: 0.3 * rng.standard_normal(1) for name in row.own}
    x = row.draw(rng, rng.standard_normal((1, B, width)), D, **own)[0]
    return {"a": rng.standard_normal((2, states, width)), "x": x, **own}


def observation_cases(rng):
    """(name, op, its inputs by name, the names of data) for level 1: each row at examples' own outputs and at shared ones."""
    for row in LIKELIHOODS.values():
        for states, words in ((5, ""), (1, ", shared z")):
            yield f"{row.nll.__name__}{words}", row.nll, example(row, rng, states), "x"
        wide = example(row, rng)
        for own in row.own:  # one for each pixel
            wide[own] = 0.3 * rng.standard_normal(wide["x"].shape[1])
            yield f"{row.nll.__name__}, {own} for each pixel", row.nll, wide, "x"


def columns_cases(rng):
    """The same for columns of categories."""
    rows = every_row(COLUMNS)[rng.integers(0, np.prod(COLUMNS), 5)]
    for states, words in ((5, ""), (1, ", shared z")):
        inputs = {"a": rng.standard_normal((2, states, sum(COLUMNS))), "x": rows}
        yield f"columns_nll{words}", partial(columns.columns_nll, columns=COLUMNS), inputs, "x"


def observation_results():
    """Level 4: probabilities, means, pixels side by side, shared states; level 5: what is drawn."""
    rng = np.random.default_rng(SEED)
    for row in LIKELIHOODS.values():
        inputs = example(row, rng, D=PIXELS)
        a, x, own = inputs.pop("a"), inputs.pop("x"), inputs
        values, weights = row.support(LEVELS)
        apart = a.reshape(2 * PIXELS, 1, -1)  # each pixel's outputs as a state of its own
        p = weights * np.exp(-row.nll(apart, values[:, None], **own)[0])  # (2 * PIXELS, values)
        of_pixels = [row.nll(apart[d::PIXELS], x[:, [d]], **own)[0] for d in range(PIXELS)]
        alone = row.nll(np.repeat(a, len(x), 1), x, **own)[0]
        for identity, left, right in (
            ("probabilities of a pixel sum to 1", p.sum(1), np.ones(2 * PIXELS)),
            ("mean: the sum of x p(x)", row.mean(a, PIXELS, **own).ravel(), p @ values),
            ("-log p of an image: the sum of its pixels'", row.nll(a, x, **own)[0], sum(of_pixels)),
            ("a state shared by the batch: as decoded for each", row.nll(a, x, **own)[0], alone),
        ):
            yield equal(identity, left, right, subject=row.name)
        yield drawn(row, rng, a[:1], own, values, p[:PIXELS])
        yield best_output(row, rng)


def columns_results():
    """Level 4: of columns, probabilities of all rows sum to 1, the mean is that of all rows, and states may be shared."""
    x, a = every_row(COLUMNS), np.random.default_rng(SEED).standard_normal((2, 1, sum(COLUMNS)))
    p = np.exp(-columns.columns_nll(a, x, COLUMNS)[0])  # (2, rows)
    alone = columns.columns_nll(np.repeat(a, len(x), 1), x, COLUMNS)[0]
    yield equal("probabilities of all rows sum to 1", p.sum(1), np.ones(2), subject="columns")
    yield equal("mean: the sum of x p(x)", columns.mean(a, x.shape[1], COLUMNS)[:, 0], p @ x, subject="columns")
    yield equal("a state shared by the batch: as decoded for each", -np.log(p), alone, subject="columns")


def every_row(sizes):
    """All rows of columns of these sizes, as one-hots side by side."""
    every = np.stack(np.meshgrid(*map(range, sizes), indexing="ij"), -1).reshape(-1, len(sizes))
    return np.concatenate([np.eye(size)[every[:, d]] for d, size in enumerate(sizes)], 1)


def drawn(row, rng, a, own, values, p):
    """Level 5: z-tests of the means of x and x^2 over many draws against their sums over p(x), whose variances are known."""
    x, p = row.draw(rng, np.repeat(a, DRAWS, 1), PIXELS, **own)[0], p / p.sum(1, keepdims=True)
    z = []
    for power in (1, 2):
        mean, square = p @ values**power, p @ values ** (2 * power)  # (PIXELS,)
        z.append(abs((x**power).mean(0) - mean) / np.sqrt((square - mean**2) / DRAWS))
    largest, limit = float(np.max(z)), NormalDist().inv_cdf(1 - FALSE_ALARM / (2 * np.size(z)))
    check = f"z-tests of the means of x and x^2 of {DRAWS:,} draws, false alarms {FALSE_ALARM:g}"
    return Result(5, row.name, check, f"{largest:.1f} standard errors", bool(largest < limit))


def best_output(row, rng):
    """Level 4: at its `start` the sum of all gradients is as good as nothing: no output that sees no code fits better.

    Every value is counted half a time more than it was seen, so of each output the sum stays below half the number of values.
    """
    a, own = example(row, rng, D=PIXELS)["a"], dict(row.own)
    x = row.draw(rng, np.repeat(a[:1], 500, 1), PIXELS, **own)[0]
    x[:, 0] = x.min()  # a pixel that never changes
    value, backward = row.nll(row.start(x, LEVELS)[None, None], x, **own)
    slope = abs(backward(np.ones_like(value))[0]).max()
    most = LEVELS / 2 if row.outputs(LEVELS) > 1 else 0.5
    return Result(
        4, row.name, "the first image: slope of all examples together", f"{slope:.2g}", bool(slope <= most + 1e-9)
    )
