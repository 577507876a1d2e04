"""The unordered set estimator: states drawn without replacement, averaged over the orders they could have come in."""

import numpy as np

from dvae_np.arrays import InputError, evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes

LARGEST_SET = 8  # the sum over orders runs over 2**S subsets


def unordered_set(q, f, distinct, *, baseline=True):
    """sum_s q(s) R(s) (f(s) - b_s) score(s), R(s) the leave-one-out ratio of set probabilities [Eq. 12.5].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S evaluations of f, none of its gradient.
    Unbiased?     Yes, with and without the built-in baseline: a Rao-Blackwellisation of sum_and_sample over the order.

    q: a law, or logits (B, N, K). distinct: S joint states drawn without replacement, codes (S, B, N); their order does not
    matter. R(s) = P(set without s | s removed) / P(set), and b_s = sum_t q(t) R_s(t) f(t), with s removed from the domain.
    (Kool, van Hoof & Welling 2020.) With S = K**N states it is exact. Raises InputError for more than 8 states.
    """
    q, distinct = law_and_codes(q, distinct)
    S = len(distinct)
    if S > LARGEST_SET:
        raise InputError(f"S: expected at most {LARGEST_SET} states, for 2**S subsets are summed over, got {S}")
    logq, log_prob_backward = q.log_prob(distinct)
    chance = np.exp(logq)  # (S, B)
    fz, f_backward = evaluated(f, distinct)

    floored = np.maximum(np.exp(logq.astype(np.float64)), 1e-30)  # eight of them do not underflow when multiplied
    without = {removed: _set_probability(floored, removed) for removed in _removals(S)}
    ratio = np.stack([without[1 << s] / without[0] for s in range(S)]).astype(chance.dtype)  # (S, B)
    weight = chance * ratio
    signal = fz
    if baseline and S > 1:
        second = [[without[1 << s | 1 << t] / without[1 << s] if s != t else np.ones_like(chance[0]) for t in range(S)]
                  for s in range(S)]  # fmt: skip
        signal = fz - np.stack([(chance * np.stack(second[s]).astype(chance.dtype) * fz).sum(0) for s in range(S)])
    _, dtheta = f_backward(weight)
    return Estimate((weight * fz).sum(0), log_prob_backward(weight * signal), dtheta)


def _removals(S):
    """Nothing, every single state, every pair of states, as bit masks."""
    return {0} | {1 << s | 1 << t for s in range(S) for t in range(S)}


def _set_probability(q, removed=0):
    """The probability that sampling without replacement begins with exactly this set of states, in any order: (B,) [Eq. 12.6].

    q: their probabilities (S, B). removed: a bit mask of states that are taken out of set and domain. The sum over orders
    is built up subset by subset; every denominator is a sum of probabilities that are left, so nothing cancels where the
    set holds nearly all the mass.
    """
    S = len(q)
    kept = [s for s in range(S) if not removed >> s & 1]
    rest = np.maximum(1 - q.sum(0), 0)  # the states outside the set
    chance = {0: np.ones_like(q[0])}
    for subset in range(1, 1 << len(kept)):
        members = [i for i in range(len(kept)) if subset >> i & 1]
        total = 0
        for last in members:
            before = subset & ~(1 << last)
            left = rest + sum(q[kept[i]] for i in range(len(kept)) if not before >> i & 1)
            total = total + chance[before] * q[kept[last]] / left
        chance[subset] = total
    return chance[(1 << len(kept)) - 1]
