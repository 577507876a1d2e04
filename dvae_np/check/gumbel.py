"""Estimators that take Gumbel noise: means by quadrature, and the structure that makes it possible."""

import itertools

import numpy as np

from dvae_np.check import differences, enumeration
from dvae_np.check.means import QUADRATURE, SEED, defaults, means, objective_for, shifted
from dvae_np.check.report import Result

NODES = 140  # of the quadrature, in each dimension; doubled, its results must change by less than QUADRATURE


def integrated(row, rng, mistakes=None):
    """Level 3: the same over Gumbel noise, by quadrature with the nodes doubled; a bias gets its sign and its size.

    Where u leads to a code and one or more v are second draws given that code, the estimate must be a sum of a function of
    u and functions of each v, for each code; that is tested first. Then the means of the parts add up, and so do their
    variances, and one dimension of nodes serves all of them at the same time.
    """
    if mistakes and row.fewest_samples > 1:
        yield Result(3, row.name, "quadrature", "is for one sample at a time; the z-tests decide", True)
        return
    for N, K in ((1, 2), (2, 2)) if row.binary else ((1, 2), (1, 3), (2, 2)):
        logits = rng.standard_normal((1, N, K))
        theta, objective = objective_for(row, rng, N, K)
        hyper = shifted(defaults(row, N, K)) if row.unbiased else defaults(row, N, K)
        outcomes, weights, winner = enumeration.gumbel_nodes(logits, NODES)
        noise = tuple(outcomes[name] for name in row.noise)
        if N == 1:
            sound = structure(row, logits, objective(theta), hyper, outcomes, weights, winner)
            otherwise = Result(3, row.name, "quadrature", "cannot be integrated like ours; the z-tests decide", True)
            if mistakes and not sound.ok:  # a stranger's function may use its noise otherwise
                yield otherwise
                return
            yield sound
            stable = differences.relative_error(
                *(quadrature(row, logits, objective(theta), n, hyper) for n in (NODES, 2 * NODES))
            )
            if mistakes and not stable < QUADRATURE:  # and jump where ours do not
                yield otherwise
                return
            check = f"quadrature, {NODES} nodes doubled, K={K}"
            yield Result(3, row.name, check, f"change {stable:.0e}", stable < QUADRATURE, stable)
        variance = additive_variance(row, logits, objective(theta), noise, weights, winner, hyper)
        yield from means(row, 3, logits, theta, objective, 1, noise, weights, hyper, variance, mistakes)


def quadrature(row, logits, f, nodes, hyper):
    """The mean of dlogits over Gumbel noise."""
    outcomes, weights, _ = enumeration.gumbel_nodes(logits, nodes)
    noise = (outcomes[name] for name in row.noise)
    return enumeration.moments(
        weights, row.estimate(enumeration.tiled(logits, len(weights)), f, *noise, **hyper).dlogits
    )[0]


def structure(row, logits, f, hyper, outcomes, weights, winner):
    """Level 4: what `integrated` relies on: only ratios of the exponentials matter, and parts of the noise add up."""
    rng = np.random.default_rng(SEED)
    first, second = rng.choice(len(weights), (2, 400), p=weights / weights.sum())
    same = winner[first] == winner[second]
    first, second = first[same], second[same]
    moved = enumeration.gumbel_nodes(logits, NODES, scale=0.6)[0]

    def dlogits(choices, outcomes=outcomes):
        noise = [outcomes[name][:, chosen] for name, chosen in zip(row.noise, choices, strict=True)]
        return row.estimate(enumeration.tiled(logits, len(first)), f, *noise, **hyper).dlogits

    parts = len(row.noise)
    base = dlogits(parts * [first])
    errors = [abs(dlogits(parts * [first], moved) - base).max()]
    for pair in itertools.combinations(range(parts), 2):  # f(a, b) - f(a', b) - f(a, b') + f(a', b') = 0
        one, other, both = (
            dlogits([second if part in moving else first for part in range(parts)])
            for moving in (pair[:1], pair[1:], pair)
        )
        errors.append(abs(base - one - other + both).max())
    error = float(np.max(errors) / abs(base).max())
    what = "ratios alone matter" + (", parts of the noise add up" if parts > 1 else "")
    return Result(4, row.name, f"{what}, K={logits.shape[-1]}", f"error {error:.0e}", error < 1e-9, error)


def additive_variance(row, logits, f, noise, weights, winner, hyper):
    """The total variance of dlogits over Gumbel noise: between codes, plus within each code the parts' variances."""
    tiled = enumeration.tiled(logits, len(weights))
    codes, member = np.unique(winner, return_inverse=True)
    mass = np.bincount(member, weights)
    heavy = np.array([np.flatnonzero(member == c)[np.argmax(weights[member == c])] for c in range(len(codes))])

    def within(dlogits):
        mean = np.stack(
            [np.tensordot(weights[member == c], dlogits[member == c], 1) / mass[c] for c in range(len(codes))]
        )
        return mean, ((dlogits - mean[member]) ** 2).sum((-1, -2)) @ weights

    mean, _ = within(row.estimate(tiled, f, *noise, **hyper).dlogits)
    total = mass @ ((mean - np.tensordot(mass, mean, 1)) ** 2).sum((-1, -2))
    moving = [i for i, name in enumerate(row.noise) if name != "z"]
    for i in moving[:2] if len(set(row.noise)) < len(row.noise) else moving:  # equal parts are worked out once
        alone = [array if j == i or row.noise[j] == "z" else array[:, heavy[member]] for j, array in enumerate(noise)]
        part = within(row.estimate(tiled, f, *alone, **hyper).dlogits)[1]
        total += part * (len(moving) / 2 if len(set(row.noise)) < len(row.noise) else 1)
    return float(total)
