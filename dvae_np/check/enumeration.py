"""Exact means and variances of estimators: every outcome of their noise, weighted by its probability.

An estimator is a function of its noise and treats the examples of a batch independently. So the same logits, tiled T
times along the batch, with T different outcomes of the noise, give T draws of the estimator in one call; weighted sums
over them are its mean and variance, with no sampling error at all.
"""

import itertools
import math

import numpy as np

from dvae_np.arrays import InputError, count_states, expect
from dvae_np.coupling import count_orders, ends_orders, intervals
from dvae_np.laws import each_array, independent_logits, joint_states, law
from dvae_np.ops import log_softmax, log_sum_exp

MOST_OUTCOMES = 2**21
WIDTH = 36  # of the quadrature, in log r: what lies beyond has e^-36 = 2e-16 of the mass, for gradients of peaked q are small
BELOW_ONE = 1 - 2.0**-53  # the largest uniform of the open interval (0, 1)


def tiled(q, T):
    """One example's q, a law or its logits (1, N, K), as a batch of T replicates (T, N, K)."""
    if not isinstance(q, tuple):
        return np.broadcast_to(q, (T, *q.shape[1:]))
    return each_array(lambda array: np.broadcast_to(array, (T, *array.shape[1:])), q)


def one_example(q):
    """q, or its logits, as a law of one example. Raises InputError for more."""
    q = law(q)
    expect("logits", q[0], (1, "N", "K"))
    return q


def every_code(q, S):
    """All outcomes of S codes drawn from q: z (S, T, N) and their probabilities (T,), T = (K**N)**S [Eq. 5.3].

    q: a law of one example, or its logits (1, N, K). Raises InputError for more than 2 million outcomes.
    """
    q = one_example(q)
    _, N, K = q.sizes
    if count_states(N * S, K) > MOST_OUTCOMES:
        raise InputError(f"every_code: (K**N)**S = ({K}**{N})**{S} outcomes are more than {MOST_OUTCOMES}")
    M = K**N
    states = joint_states(N, K)
    logq, _ = q.log_prob(states[:, None])  # (M, 1)
    chosen = joint_states(S, M).T  # (S, T): which state each sample is in
    return states[chosen], np.exp(logq[chosen, 0].sum(0))


def every_count(q, S):
    """All outcomes of S codes drawn from q, whatever their order: z (S, T, N), probabilities (T,), T = C(S + M - 1, M - 1).

    For what is symmetric in its samples, and so depends only on how often each of the M = K**N states was drawn: its moments
    are those of `every_code`, at far larger S. q: as there. The codes of an outcome come in rising order of their states; its
    probability is multinomial, S! prod_m q_m^c_m / c_m! for counts c. Raises InputError for more than 2 million outcomes, and
    for more than 64 million codes in all of them.
    """
    q = one_example(q)
    _, N, K = q.sizes
    M = count_states(N, K)
    T = math.comb(S + M - 1, M - 1) if M <= MOST_OUTCOMES else math.inf
    if T > MOST_OUTCOMES or S * T > 32 * MOST_OUTCOMES:
        raise InputError(f"every_count: C(S + M - 1, M - 1) = {T} outcomes are more than {MOST_OUTCOMES}, or all their S codes "
                         f"more than {32 * MOST_OUTCOMES}: S = {S}, M = {K}**{N}")  # fmt: skip
    states = joint_states(N, K)
    logq = q.log_prob(states[:, None])[0][:, 0]  # (M,)
    # S stars and M - 1 bars in a row: the stars between two bars are the draws of one state
    bars = np.array(list(itertools.combinations(range(S + M - 1), M - 1)), int).reshape(T, M - 1)
    counts = np.diff(bars, axis=1, prepend=-1, append=S + M - 1) - 1  # (T, M)
    log_factorials = np.cumsum(np.log(np.maximum(np.arange(S + 1), 1)))
    drawn = np.multiply(counts, logq, out=np.zeros(counts.shape), where=counts > 0)  # a logit of -inf is never drawn
    weights = np.exp(log_factorials[S] + (drawn - log_factorials[counts]).sum(1))
    chosen = np.repeat(np.tile(np.arange(M), T), counts.ravel()).reshape(T, S).T  # (S, T)
    return states[chosen], weights


def every_sequence(q, S):
    """All outcomes of S different joint states drawn without replacement, in order: codes (S, T, N), probabilities (T,).

    q: as in `every_code`. A sequence's probability is the product of q / (the sum of q over what was not drawn before).
    """
    q = one_example(q)
    states = joint_states(*q.sizes[1:])
    q = np.exp(q.log_prob(states[:, None])[0][:, 0])  # (M,)
    order = np.array(list(itertools.permutations(range(len(states)), S))).T  # (S, T)
    never = np.ones((order.shape[1], len(q)))
    never[np.arange(order.shape[1]), order] = 0
    left = (
        never @ q + np.cumsum(q[order][::-1], axis=0)[::-1]
    )  # added up, for 1 minus what was drawn would lose its digits
    return states[order], (q[order] / np.where(left > 0, left, 1)).prod(0)


def every_coupled(logits, S):
    """All outcomes of S coupled codes: (S, T, N) and their probabilities (T,).

    logits: (1, N, K). The copula's mass on a box, P(all u_i <= a_i) = max(0, sum a_i^(1/(S-1)) - (S-1))^(S-1), summed with
    signs over the box's 2^S corners, averaged over the orders of the categories; latents are independent.
    """
    logits = independent_logits(one_example(logits))
    _, N, K = logits.shape
    orders = ends_orders(np.arange(count_orders(K)), K)
    edges = np.stack(intervals(np.exp(log_softmax(logits)[0]), orders))[:, :, 0]  # (low and high, O, N, K)
    tuples = joint_states(S, K).T  # (S, K^S)
    law = 0
    for corner in itertools.product((0, 1), repeat=S):
        roots = sum(edges[side][..., tuples[i]] ** (1 / (S - 1)) for i, side in enumerate(corner))
        law = law + (-1) ** (S - sum(corner)) * np.maximum(roots - (S - 1), 0) ** (S - 1)
    law = law.mean(0)  # (N, K^S)
    chosen = joint_states(N, K**S)  # (T, N): which tuple each latent has
    return tuples[:, chosen], law[np.arange(N), chosen].prod(-1)


def threshold_nodes(logits, points=2):
    """Quadrature over one uniform for each binary latent: e (1, T, N), weights (T,), exact for what is piecewise cubic.

    logits: (1, N, 2). The pieces end at p and 1 - p, the probability of category 1, where antithetic codes jump. With more
    `points` in each it is exact for polynomials of degree 2 points - 1. Raises InputError for more than one example.
    """
    logits = independent_logits(one_example(logits))
    expect("logits", logits, (1, "N", 2))
    at, weights = np.polynomial.legendre.leggauss(points)
    p = np.exp(log_softmax(logits)[0])[0, :, 1]
    each = []
    for ends in np.sort(np.stack([0 * p, p, 1 - p, 1 + 0 * p]), axis=0).T:
        low, width = ends[:-1, None], np.diff(ends)[:, None]
        each.append(((low + width * (at + 1) / 2).ravel(), (width * weights / 2).ravel()))
    index = joint_states(len(p), 3 * points)  # three pieces
    e = np.stack([nodes[index[:, n]] for n, (nodes, _) in enumerate(each)], -1)
    return e[None], np.prod([weight[index[:, n]] for n, (_, weight) in enumerate(each)], axis=0)


def gumbel_nodes(logits, nodes, scale=1.0):
    """Quadrature over Gumbel noise: {"z", "u", "v"}, each with T outcomes, their weights (T,), and the winner's number (T,).

    logits: (1, N, K), small. Given which category wins, the perturbed logits are smooth functions of K independent
    Exponential(1) variables [Eq. 10.2]; so the integral splits at the argmax, where estimators jump. All that such an
    estimator uses is differences of perturbed logits, ratios r = E_k / E_winner of the variables, whose density is
    (K-1)! / (1 + sum r)^K: what is left is K - 1 dimensions for each latent, by the trapezoidal rule in log r, which
    converges exponentially. "u" holds the noise that leads to the winner z, "v" noise for a second draw given z
    [Eq. 10.2], both at the same node; `scale` moves all E of a node, to test that only ratios matter.
    Raises InputError for more than 2 million outcomes, and for more than one example.
    """
    logits = independent_logits(one_example(logits))
    _, N, K = logits.shape
    T = (K * nodes ** (K - 1)) ** N
    if T > MOST_OUTCOMES:
        raise InputError(f"gumbel_nodes: (K nodes**(K-1))**N = {T} outcomes are more than {MOST_OUTCOMES}")
    s, step = np.linspace(-WIDTH, WIDTH, nodes, retstep=True)
    ratios = np.exp(s[joint_states(K - 1, nodes)])  # (nodes**(K-1), K-1)
    weights = math.factorial(K - 1) * (step * ratios).prod(-1) / (1 + ratios.sum(-1)) ** K

    u, v, winners, masses = [], [], [], []
    for n in range(N):
        q = np.exp(log_softmax(logits[0, n])[0])
        E = np.stack([np.insert(ratios, winner, 1, axis=1) for winner in range(K)])  # (K winners, nodes, K)
        E = scale * E * np.minimum(1, 30 / E.max(-1, keepdims=True))  # so that every e^-E has digits
        first = np.stack([E[w] + q * E[w][:, [w]] - np.eye(K)[w] * E[w] for w in range(K)])  # -log u
        u.append(np.minimum(np.exp(-first), BELOW_ONE).reshape(-1, K))
        v.append(np.minimum(np.exp(-E), BELOW_ONE).reshape(-1, K))
        winners.append(np.repeat(np.arange(K), len(ratios)))
        masses.append((q[:, None] * weights).ravel())

    index = joint_states(N, K * len(ratios))  # (T, N)
    z = np.stack([winners[n][index[:, n]] for n in range(N)], -1)
    noise = {
        "z": z[None],
        "u": np.stack([u[n][index[:, n]] for n in range(N)], 1)[None],
        "v": np.stack([v[n][index[:, n]] for n in range(N)], 1)[None],
    }
    mass = np.prod([masses[n][index[:, n]] for n in range(N)], axis=0)
    return noise, mass, z @ K ** np.arange(N)


def every_winner(logits, moved):
    """All pairs of winners of one categorical's logits (K,), and of moved ones (K,), under the same Gumbel noise.

    Returns u (1, T, 1, K), which leads to them, and their probabilities (T,). With weights w = e^logits, v = e^moved, and
    exponential variables E, the winners are those with the least E / w and E / v. They are both i where every other E_k is at
    least E_i max(w_k / w_i, v_k / v_i). They are i and j where E_i / w_i = s, E_j / v_j = r s, and every other E_k is at least
    s max(w_k, r v_k): with A(r) the sum of all these, it has the probability w_i v_j times the integral of 1 / A(r)^2 over r,
    from w_j / v_j to w_i / v_i; A is linear from one w_k / v_k to the next.
    """
    w, v, K = np.exp(logits), np.exp(moved), len(logits)
    least, weights = [], []
    for i, j in itertools.product(range(K), repeat=2):
        if i == j:
            rates = np.maximum(w / w[i], v / v[i])
            weights.append(1 / rates.sum())
        else:
            low, high = w[j] / v[j], w[i] / v[i]
            if low >= high:
                continue
            ends = np.unique(np.clip(w / v, low, high))
            total = np.maximum(w, ends[:, None] * v).sum(-1)  # A: w_i is the larger for i, r v_j for j
            weights.append(w[i] * v[j] * (np.diff(ends) / (total[:-1] * total[1:])).sum())
            rates = np.maximum(w, (low + high) / 2 * v)
        others = ~np.isin(np.arange(K), (i, j))
        least.append(np.where(others, 2, 1) * rates)
    E = np.stack(least)
    return np.exp(-E / E.max(-1, keepdims=True))[None, :, None], np.array(weights)


def moments(weights, draws):
    """Mean and variance of weighted draws (T, ...), entry by entry [Eq. 5.3]."""
    mean = np.tensordot(weights, draws, 1)
    return mean, np.tensordot(weights, (draws - mean) ** 2, 1)


def expectation(q, f):
    """E_q[f] as the plain sum over all states, for one example or many: (B,). The oracle, kept as short as it can be."""
    q = law(q)
    states = joint_states(*q.sizes[1:])[:, None]  # (M, 1, N)
    probability = np.exp(q.log_prob(states)[0])  # (M, B)
    return sum(each * f(state[None])[0][0] for each, state in zip(probability, states, strict=True))


def multi_sample_bound(q, f, S):
    """-E[log 1/S sum_s w_s], log w = -f - log q, as the plain sum over all S-tuples of states: (B,) [Eq. 9.1]."""
    q = law(q)
    states = joint_states(*q.sizes[1:])[:, None]
    logq = q.log_prob(states)[0]  # (M, B)
    chosen = joint_states(S, len(states))  # (T, S), T = M**S
    chance = np.exp(logq)[chosen].prod(1)  # (T, B)
    logw = (-f(states)[0] - np.where(logq.real > -np.inf, logq, 0))[
        chosen
    ]  # (T, S, B); what cannot be drawn has no chance
    return -(chance * (log_sum_exp(logw, 1) - math.log(S))).sum(0)
