"""What must hold of every observation model in the table, whatever it is: a row is checked without a line written for it."""

import numpy as np

from dvae_np.check.identities import equal
from dvae_np.check.report import Result
from dvae_np.check.verdicts import FALSE_ALARM
from dvae_np.likelihoods import LIKELIHOODS

SEED, LEVELS = 7, 8
DRAWS = 20_000


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


def observation_results():
    """Level 4: probabilities, means and shared states; level 5: what is drawn."""
    rng = np.random.default_rng(SEED)
    for row in LIKELIHOODS.values():
        values, weights = row.support(LEVELS)
        inputs = example(row, rng, states=1, D=1)
        a, own = inputs["a"], {name: inputs[name] for name in row.own}
        p = weights * np.exp(-row.nll(a, values[:, None], **own)[0])  # (2, values)
        yield equal("probabilities of a pixel sum to 1", p.sum(1), np.ones(2), subject=row.name)
        yield equal("mean: the sum of x p(x)", row.mean(a, 1, **own)[:, 0, 0], p @ values, subject=row.name)
        inputs = example(row, rng, states=1)
        a, x, own = inputs["a"], inputs["x"], {name: inputs[name] for name in row.own}
        alone = row.nll(np.repeat(a, len(x), 1), x, **own)[0]
        yield equal(
            "a state shared by the batch: as decoded for each", row.nll(a, x, **own)[0], alone, subject=row.name
        )
        yield drawn(row, rng, values, weights)
        yield best_output(row, rng)


def drawn(row, rng, values, weights):
    """Level 5: the mean of x and of x^2 over many draws, z-tests against their sums over p(x); 1e-4 false alarms in all."""
    inputs = example(row, rng, states=1, D=1)
    a, own = inputs["a"][:1], {name: inputs[name] for name in row.own}
    p = weights * np.exp(-row.nll(a, values[:, None], **own)[0])[0]
    x = row.draw(rng, np.repeat(a, DRAWS, 1), 1, **own).ravel()
    z = []
    for power in (1, 2):
        mean, square = p @ values**power, p @ values ** (2 * power)
        z.append(float(abs((x**power).mean() - mean) / np.sqrt((square - mean**2) / DRAWS)))
    limit = 4.1  # two tests, of two sides: 1e-4 = 4 * 2.5e-5
    check = f"{DRAWS:,} draws: mean of x and x^2, false alarms {FALSE_ALARM:g}"
    return Result(5, row.name, check, f"{max(z):.1f} standard errors", max(z) < limit, None)


def best_output(row, rng):
    """Level 4: at its `start` the sum of all gradients is as good as nothing: no output that sees no code fits better.

    Every value is counted half a time more than it was seen, so of each output the sum stays below half the number of values.
    """
    x = example(row, rng, B=200, D=3)["x"]
    x[:, 0] = x.min()  # a pixel that never changes
    own = dict(row.own)
    a = row.start(x, LEVELS)[None, None]
    value, backward = row.nll(a, x, **own)
    slope = abs(backward(np.ones_like(value))[0]).max()
    most = LEVELS / 2 if row.outputs(LEVELS) > 1 else 0.5
    return Result(4, row.name, "the first image: slope of all examples together", f"{slope:.2g}", slope <= most + 1e-9)
