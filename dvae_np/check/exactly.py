"""Any row's exact mean and variance on one problem: every outcome of its noise, or quadrature where the noise is Gumbel's."""

from dataclasses import dataclass

import numpy as np

from dvae_np.check import enumeration
from dvae_np.check.gumbel import NODES, heavy_nodes
from dvae_np.laws import joint_states

OUTCOMES = {  # by what a row draws: (logits, S) -> all of it, (S, T, ...), and its probabilities (T,)
    "z": enumeration.every_code,
    "distinct": enumeration.every_sequence,
    "coupled": enumeration.every_coupled,
    "e": lambda logits, S: enumeration.threshold_nodes(logits),
}


@dataclass(frozen=True)
class RowMoments:
    """Mean and covariance of a row's gradient in the logits, of S samples.

    mean: (N, K). deviations: (R, N, K), with the covariance of entries a and b the sum of deviations[r, a] deviations[r, b]
    over r. So the variance of any linear function of the gradient is the sum of its squares over the deviations; and as these
    are linear in the estimate, a control variate's best weights are a least-squares fit.
    """

    mean: np.ndarray
    deviations: np.ndarray
    how: str  # "enumerated" or "quadrature"
    outcomes: int  # of the noise, or nodes

    @property
    def variance(self):
        """Of all entries together."""
        return float((self.deviations**2).sum())


def row_moments(row, logits, f, S, hyper, nodes=NODES):
    """A row's exact mean and covariance at S samples of one example's logits (1, N, K): a `RowMoments`.

    Where the noise is Gumbel's and f is seen at relaxed codes of several latents, f must be a sum of functions of one latent
    each: else the answer is wrong. `nodes` is the number of them in each dimension. Samples of such rows, and of those that
    take uniforms, are independent: their mean's variance is that of one, over S.
    """
    if {"u", "v"} & set(row.noise):
        return _integrated(row, logits, f, S, hyper, nodes)
    noise, weights, alone = (), np.ones(1), 1
    if row.noise:
        outcomes, weights = OUTCOMES[row.noise[0]](logits, S)
        noise, weights = (outcomes[:, weights > 0],), weights[weights > 0]
        alone = S / len(outcomes)  # 1, but for uniforms, which come for one sample
    many = enumeration.tiled(logits, len(weights))
    dlogits = np.broadcast_to(row.estimate(many, f, *noise, **hyper).dlogits, many.shape)
    mean = np.tensordot(weights, dlogits, 1)
    return RowMoments(mean, _weighted(weights / alone, dlogits - mean), "enumerated", len(weights))


def fitted(row, logits, f, S, hyper, names, read=np.ravel, nodes=NODES):
    """(hyper-parameters with the weights of these names in omega that have the least variance, that variance), all else held.

    The estimate is linear in these weights, and what they weigh has mean zero: a least-squares fit of deviations. read: from
    gradients in the logits (..., N, K) to those whose variance counts, linear.
    """
    omega = hyper["omega"]
    ends = np.cumsum([0, *(omega[name].size for name in names)])

    def with_weights(weights):
        parts = {name: weights[low:high].reshape(omega[name].shape)
                 for name, low, high in zip(names, ends, ends[1:], strict=False)}  # fmt: skip
        return hyper | {"omega": omega | parts}

    def deviations(weights):
        return read(row_moments(row, logits, f, S, with_weights(weights), nodes).deviations).ravel()

    plain = deviations(np.zeros(ends[-1]))
    controls = np.stack([deviations(unit) - plain for unit in np.eye(ends[-1])], 1)
    weights = np.linalg.lstsq(controls, -plain, rcond=None)[0]
    return with_weights(weights), float(((plain + controls @ weights) ** 2).sum())


def _integrated(row, logits, f, S, hyper, nodes):
    """Given the code, the estimate is a sum of functions of each latent's u and of each of its v.

    So their means add up, and so do their variances. One latent's part of the noise goes through its nodes at a time, while
    all others stay at the node of most weight. Between the codes, the variance is that of their means.
    """
    _, N, K = logits.shape
    each = [heavy_nodes(logits[:, [n]], nodes) for n in range(N)]  # (outcomes, weights, winner) of each latent
    codes = joint_states(N, K)  # (M, N)
    mass = np.stack([np.bincount(winner, weights) for _, weights, winner in each])  # (N, K)
    chance = mass[np.arange(N), codes].prod(-1)  # (M,)
    most = np.stack([[np.where(winner == k, weights, 0).argmax() for k in range(K)] for _, weights, winner in each])
    still = most[np.arange(N), codes]  # (M, N): nodes

    places, group = [], []  # the nodes of every outcome, and which latent of which code moves in it
    for m, n in np.ndindex(len(codes), N):
        through = np.flatnonzero(each[n][2] == codes[m, n])
        places.append(np.repeat(still[[m]], len(through), 0))
        places[-1][:, n] = through
        group.append(np.full(len(through), m * N + n))
    places, group, starts = np.concatenate(places), np.concatenate(group), np.cumsum([0, *map(len, group[:-1])])
    code, latent = np.divmod(group, N)
    own = places[np.arange(len(group)), latent]
    share = np.zeros(len(group))  # of each outcome in what its latent may do, given the code
    for n, (_, weights, _) in enumerate(each):
        share[latent == n] = weights[own[latent == n]] / mass[n, codes[code[latent == n], n]]

    def dlogits(places, rest, moving=None):
        """At these nodes for the part of the noise that moves, and at the nodes `rest` for all others."""
        at = [places if i == moving else rest for i in range(len(row.noise))]
        noise = [np.stack([each[n][0][name][0, at[i][:, n], 0] for n in range(N)], 1)[None]
                 for i, name in enumerate(row.noise)]  # fmt: skip
        return row.estimate(enumeration.tiled(logits, len(places)), f, *noise, **hyper).dlogits

    first = dlogits(still, still)
    mean, deviations = first.copy(), []
    for name in dict.fromkeys(each for each in row.noise if each != "z"):  # equal parts are worked out once
        found, equal = dlogits(places, still[code], row.noise.index(name)), row.noise.count(name)
        parts = np.add.reduceat(share[:, None, None] * found, starts)  # (M N, N, K)
        mean += equal * (parts.reshape(-1, N, N, K) - first[:, None]).sum(1)
        deviations.append(_weighted(equal * chance[code] * share, found - parts[group]))
    total = np.tensordot(chance, mean, 1)
    deviations.append(_weighted(chance, mean - total))
    return RowMoments(total, np.concatenate(deviations) / S**0.5, "quadrature", len(places))


def _weighted(weights, away):
    return np.sqrt(weights)[:, None, None] * away
