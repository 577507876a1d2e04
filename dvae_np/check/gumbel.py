"""Estimators that take Gumbel noise: means by quadrature, and the structure that makes it possible."""

import itertools
from dataclasses import replace

import numpy as np

from dvae_np.check import differences, enumeration
from dvae_np.check.means import (
    POINTS,
    QUADRATURE,
    SEED,
    Point,
    coarser,
    defaults,
    every_estimate,
    logits_at,
    means,
    objective_for,
    shifted,
)
from dvae_np.check.report import Result

NODES = 201  # of the quadrature, in each dimension
NEGLIGIBLE = 1e-16  # weights below are left out: half of the nodes, 1e-13 of the mass


def integrated(row, rng, mistakes=None):
    """Level 3: the same over Gumbel noise, by quadrature; a bias gets its sign and its size.

    Where u leads to a code and one or more v are second draws given that code, the estimate must be a sum of a function of
    u and functions of each v, for each code; that is tested first. Then the means of the parts add up, and so do their
    variances, and one dimension of nodes serves all of them at the same time.
    """
    if mistakes and row.fewest_samples > 1:
        yield Result(3, row.name, "quadrature", "is for one sample at a time; the z-tests decide", True)
        return
    for point in points(row):
        N, K = point.N, point.K
        logits = logits_at(point, rng, N, K)
        theta, objective = objective_for(row, rng, N, K, point.size)
        hyper = shifted(defaults(row, N, K)) if row.unbiased else defaults(row, N, K)
        outcomes, weights, winner = heavy_nodes(logits, NODES)
        noise, f = tuple(outcomes[name] for name in row.noise), objective(theta)
        estimate = every_estimate(row, logits, theta, objective, noise, weights, hyper)
        if N == 1:
            change, enough, how = converged(row, logits, f, hyper, enumeration.moments(weights, estimate.dlogits)[0])
            check = f"quadrature, {point.what}" if point.what else "quadrature"
            unlike = Result(
                3, row.name, check, "cannot be integrated like ours; the z-tests decide", True, point=point.what
            )
            if not point.what:
                sound = structure(row, logits, f, hyper, outcomes, weights, winner)
                if mistakes and not sound.ok:  # a stranger's function may use its noise otherwise
                    yield unlike
                    return
                yield sound
            if mistakes and not change < enough:  # and jump where ours do not
                yield unlike
                if point.what:
                    continue
                return
            if not point.what:
                yield Result(3, row.name, f"quadrature, {how}, K={K}", f"change {change:.0e}", change < enough, change)
        variance = None
        if not point.what:
            variance = additive_variance(row, logits, f, noise, weights, winner, hyper, estimate.dlogits)
        yield from means(row, 3, logits, theta, objective, 1, weights, estimate, point.what, variance, mistakes)


def points(row):
    """Few categories and latents, as dimensions multiply; what may break an estimator is tried at one latent."""
    yield from (Point("", N, K) for N, K in (((1, 2), (2, 2)) if row.binary else ((1, 2), (1, 3), (2, 2))))
    for point in POINTS if row.unbiased else ():  # a bias is measured once
        few = row.binary or not (point.spread == 6 or point.masked)
        if point.what and (point.N, point.S) == (2, 2) and not (row.binary and point.masked):
            yield replace(point, N=1, K=2 if few else 3)


def heavy_nodes(logits, nodes, scale=1.0):
    """`gumbel_nodes` without those that weigh nothing."""
    outcomes, weights, winner = enumeration.gumbel_nodes(logits, nodes, scale)
    heavy = weights > NEGLIGIBLE
    return {name: array[:, heavy] for name, array in outcomes.items()}, weights[heavy], winner[heavy]


def converged(row, logits, f, hyper, mean):
    """How much the mean at all nodes differs from one with others, how much it may, and in words what was compared.

    The trapezoidal rule's error falls exponentially with the number of nodes: 1.5 times as many raise it to the power 1.5.
    In one dimension the nodes are doubled, and nothing may change. In two that is dear; a third of them is left out, which
    may change the mean by what is allowed to the power 2/3: then the error of all of them is what is allowed.
    """
    nodes, enough = (2 * NODES - 1, QUADRATURE) if logits.shape[-1] == 2 else (2 * NODES // 3, QUADRATURE ** (2 / 3))
    outcomes, weights, _ = heavy_nodes(logits, nodes)
    noise = (outcomes[name] for name in row.noise)
    other = row.estimate(enumeration.tiled(logits, len(weights)), f, *noise, **hyper).dlogits
    change = differences.relative_error(enumeration.moments(weights, other)[0], mean)
    return change, coarser(other, enough), f"{NODES} nodes beside {nodes}"


def structure(row, logits, f, hyper, outcomes, weights, winner):
    """Level 4: what `integrated` relies on: only ratios of the exponentials matter, and parts of the noise add up."""
    rng = np.random.default_rng(SEED)
    first, second = rng.choice(len(weights), (2, 400), p=weights / weights.sum())
    same = winner[first] == winner[second]
    first, second = first[same], second[same]
    moved = heavy_nodes(logits, NODES, scale=0.6)[0]

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
    return Result(
        4, row.name, f"{what}, K={logits.shape[-1]}", f"error {error:.0e}", error < coarser(base, 1e-9), error
    )


def additive_variance(row, logits, f, noise, weights, winner, hyper, dlogits=None):
    """The total variance of dlogits over Gumbel noise: between codes, plus within each code the parts' variances.

    logits: (1, N, K). dlogits: the estimates at all nodes, where they are known.
    """
    tiled = enumeration.tiled(logits, len(weights))
    codes, member = np.unique(winner, return_inverse=True)
    mass = np.bincount(member, weights)
    heavy = np.array([np.flatnonzero(member == c)[np.argmax(weights[member == c])] for c in range(len(codes))])

    def within(dlogits):
        mean = np.stack(
            [np.tensordot(weights[member == c], dlogits[member == c], 1) / mass[c] for c in range(len(codes))]
        )
        return mean, ((dlogits - mean[member]) ** 2).sum((-1, -2)) @ weights

    mean, _ = within(row.estimate(tiled, f, *noise, **hyper).dlogits if dlogits is None else dlogits)
    total = mass @ ((mean - np.tensordot(mass, mean, 1)) ** 2).sum((-1, -2))
    moving = [i for i, name in enumerate(row.noise) if name != "z"]
    for i in moving[:2] if len(set(row.noise)) < len(row.noise) else moving:  # equal parts are worked out once
        alone = [array if j == i or row.noise[j] == "z" else array[:, heavy[member]] for j, array in enumerate(noise)]
        part = within(row.estimate(tiled, f, *alone, **hyper).dlogits)[1]
        total += part * (len(moving) / 2 if len(set(row.noise)) < len(row.noise) else 1)
    return float(total)
