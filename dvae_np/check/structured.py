"""Every estimator on every law that can answer it: exact means over all codes, or by quadrature over Gumbel noise.

Independent latents are verified elsewhere, at many sizes; here are a chain, an autoregressive law and subsets.
"""

import numpy as np

from dvae_np.additive import Additive, expected
from dvae_np.autoregressive import Autoregressive
from dvae_np.chain import Chain, as_chain
from dvae_np.check import enumeration, verdicts
from dvae_np.check.differences import complex_step
from dvae_np.check.gumbel import NEGLIGIBLE
from dvae_np.check.identities import equal
from dvae_np.check.means import QUADRATURE, defaults, every_estimate, objective_for, shifted
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.laws import Independent, joint_states
from dvae_np.noise import draw
from dvae_np.ops import softmax
from dvae_np.subsets import Subsets, k_subsets

SEED, NODES = 23, 201
EXACT_OVER_NODES = {
    "straight_through"
}  # of those that the table calls biased: exact on average where f is a sum over nodes

ON = {"Chain": "on a chain", "Autoregressive": "autoregressive q", "Subsets": "on subsets"}


def structured_results():
    """Yield every `Result` on estimators on laws whose latents depend on each other (levels 2 to 4)."""
    rng = np.random.default_rng(SEED)
    for row in TABLE.values():
        if hasattr(Chain, row.asks):
            if "u" in row.noise:
                yield from by_quadrature(row, rng)
            else:
                yield from by_enumeration(row, random_chain(rng, 3, 3), rng)
            yield without_pairs(row, rng)
        if hasattr(Autoregressive, row.asks):
            yield from by_enumeration(row, random_network(rng, 3, 2), rng)
        if hasattr(Subsets, row.asks):
            q = random_subsets(rng, 4, 2)
            yield from at_fixed_noise(row, q, rng) if "u" in row.noise else by_enumeration(row, q, rng)
    yield from relaxed_draws(rng)
    yield from own_objective(rng)


def random_chain(rng, N, K):
    """One example's chain of normal potentials."""
    return Chain(rng.standard_normal((1, N, K)), rng.standard_normal((1, N - 1, K, K)))


def random_network(rng, N, K, H=2):
    """One example's autoregressive law, with a network of normal numbers."""
    shapes = (1, N, K), (1, N - 1, K, H), (1, N - 1, H, K)
    return Autoregressive(*map(rng.standard_normal, shapes))


def random_subsets(rng, N, k):
    """One example's law of k of N items, with normal log-weights."""
    return k_subsets(rng.standard_normal((1, N, 2)), k)


def objectives(row, rng, N, K):
    """{words: (theta, f as a function of theta)}: any f that the row can be tried on, and `Additive` ones, of one example."""
    theta = {"node": rng.standard_normal((1, N, K)), "edge": rng.standard_normal((1, N - 1, K, K))}
    return {
        "any f": objective_for(row, rng, N, K),
        "f over nodes and edges": (theta, lambda theta: Additive(**theta)),
        "f over nodes": (theta | {"edge": 0 * theta["edge"]}, lambda theta: Additive(**theta)),
    }


def flat(law, axis=0):
    """All arrays of a law, one after the other, from that axis on."""
    return np.concatenate([array.reshape(*array.shape[:axis], -1) for array in law], -1)


def compared(level, row, q, theta, objective, noise, weights, hyper, words, unbiased):
    """The means of dq, as one vector of all arrays, and of value and dtheta, beside the complex step of plain sums over all
    codes: as `unbiased` claims, or biased, with its sign. Value and dtheta of rows with relaxed codes are of another f."""
    how, tolerance = ("quadrature", QUADRATURE) if level == 3 else ("enumerated", verdicts.ENUMERATION)
    S = len(noise[0]) if noise else 1

    def target(arrays):
        p, f = type(q)(*(arrays[f"q_{name}"] for name in q._fields)), objective({name: arrays[name] for name in theta})
        return (enumeration.multi_sample_bound(p, f, S) if row.owns_kl else enumeration.expectation(p, f))[0]

    arrays = {f"q_{name}": array for name, array in q._asdict().items()} | theta
    slopes = complex_step(target, arrays)
    estimate = every_estimate(row, q, theta, objective, noise, weights, hyper)
    mean, variance = enumeration.moments(weights, flat(estimate.dq, 1))
    found = verdicts.from_mean(mean, flat([slopes[f"q_{name}"] for name in q._fields]), how, tolerance)
    ok = found.ok if unbiased else found.kind == "BIASED"
    on = ON[type(q).__name__]
    check = f"{on}, {words}: dq, {len(weights)} outcomes; variance {variance.sum():.3g}"
    text = f"{found.kind} ({found.detail})" + ("" if row.unbiased else ", as the table says" * (ok and not unbiased))
    yield Result(level, row.name, check, text, ok, found.error, found.explanation * (not ok))
    if not row.relaxed:
        means = [
            enumeration.moments(weights, array)[0].ravel() for array in (estimate.value, *estimate.dtheta.values())
        ]
        exact = [target(arrays)[None], *(slopes[name].ravel() for name in theta)]
        found = verdicts.from_mean(np.concatenate(means), np.concatenate(exact), how, tolerance)
        text = f"{found.kind} ({found.detail})"
        yield Result(level, row.name, f"{on}, {words}: value, dtheta", text, found.ok, found.error, found.explanation)


def by_enumeration(row, q, rng):
    """Level 2: what a row claims for any f, and for one that is a sum over nodes, for which straight-through is exact."""
    _, N, K = q.sizes
    S = row.samples(2)
    hyper = shifted(defaults(row, N, K)) if row.unbiased else defaults(row, N, K)
    outcomes = {"z": enumeration.every_code, "distinct": enumeration.every_sequence}
    noise, weights = outcomes[row.noise[0]](q, S) if row.noise else (None, np.ones(1))
    arrays = () if noise is None else (noise[:, weights > 0],)
    weights = weights[weights > 0]
    for words, (theta, objective) in objectives(row, rng, N, K).items():
        right = row.unbiased or (words == "f over nodes" and row.name in EXACT_OVER_NODES)
        yield from compared(2, row, q, theta, objective, arrays, weights, hyper, f"{words}, N={N}, K={K}, S={S}", right)
    if row.name == "wake_phi":  # whose mean is no gradient of the bound
        yield by_shares(row, q, objective(theta), arrays[0])


def by_shares(row, q, f, z):
    """Level 4: wake-phi, at every outcome z (S, T, N): the scores of q, weighed by what a sample's share lacks to 1/S."""
    many = enumeration.tiled(q, z.shape[1])
    logq, logq_backward = many.log_prob(z)
    share = softmax((-f(z)[0] - logq).T)[0].T
    check = f"{ON[type(q).__name__]}: scores weighed by the shares"
    return equal(check, flat(row.estimate(many, f, z).dq), flat(logq_backward(1 / len(z) - share)), subject=row.name)


def at_fixed_noise(row, q, rng):
    """Level 4: a gradient through relaxed codes is that of its own value, whatever the noise."""
    _, N, K = q.sizes
    theta, objective = objective_for(row, rng, N, K)
    u, f, hyper = rng.random((2, *q.sizes)), objective(theta), defaults(row, N, K)
    own = complex_step(lambda arrays: row.estimate(type(q)(**arrays), f, u, **hyper).value.sum(), q._asdict())
    check = f"{ON[type(q).__name__]}: the complex step of its own value"
    yield equal(check, flat(row.estimate(q, f, u, **hyper).dq), flat(own.values()), subject=row.name)


def chain_nodes(q, nodes=NODES):
    """Quadrature over Gumbel noise for a chain of two latents: u (1, T, 2, K), weights (T,), the codes z (T, 2).

    Codes are drawn from the last latent, and the noise of the first is split where the code changes that the second leads to.
    """
    both, _ = q.both_marginals()
    last = both.unary[0, 1]
    second, mass, winner = enumeration.gumbel_nodes(np.log(last)[None, None], nodes)
    u, weights, z = [], [], []
    for k in range(len(last)):
        first, own, codes = enumeration.gumbel_nodes(np.log(both.pairwise[0, 0, :, k] / last[k])[None, None], nodes)
        chosen = np.flatnonzero(winner == k)
        pairs = np.stack(np.meshgrid(chosen, np.arange(len(own)), indexing="ij"), -1).reshape(-1, 2)
        pairs = pairs[mass[pairs[:, 0]] * own[pairs[:, 1]] > NEGLIGIBLE]
        u.append(np.stack([first["u"][0, pairs[:, 1], 0], second["u"][0, pairs[:, 0], 0]], 1))
        weights.append(mass[pairs[:, 0]] * own[pairs[:, 1]])
        z.append(np.stack([codes[pairs[:, 1]], winner[pairs[:, 0]]], 1))
    return np.concatenate(u)[None], np.concatenate(weights), np.concatenate(z)


def by_quadrature(row, rng):
    """Level 3: the bias, with its sign, for any f and for additive ones."""
    q = random_chain(rng, 2, 2)
    u, weights, _ = chain_nodes(q)
    for words, (theta, objective) in objectives(row, rng, 2, 2).items():
        yield from compared(
            3, row, q, theta, objective, (u,), weights, defaults(row, 2, 2), f"{words}, N=2, K=2", False
        )


def without_pairs(row, rng):
    """Level 4: on a chain without pairwise potentials it is what it is on independent latents, at the same noise."""
    N, K, S = 3, 4, row.samples(2)
    one = Independent(rng.standard_normal((2, N, K)))
    theta, objective = objective_for(row, rng, N, K)
    noise, hyper = draw(rng, one, S, row.noise), defaults(row, N, K)
    mine, theirs = (row.estimate(q, objective(theta), *noise, **hyper).dq[0] for q in (as_chain(one), one))
    return equal("on a chain without pairs = on independent latents", mine, theirs, subject=row.name)


def relaxed_draws(rng):
    """The codes of a relaxed draw have the law q (level 3) and are its largest entries (level 4)."""
    q = random_chain(rng, 2, 2)
    u, weights, z = chain_nodes(q)
    (y, codes), _ = enumeration.tiled(q, len(weights)).relaxed_codes(u, 0.5)
    states = joint_states(2, 2)
    shares = [(weights * (codes[0] == state).all(-1)).sum() for state in states]
    found = verdicts.from_mean(np.array(shares), np.exp(q.log_prob(states[:, None])[0][:, 0]), "quadrature", QUADRATURE)
    yield Result(3, "Chain", "relaxed codes: the codes' law is q", f"error {found.error:.0e}", found.ok, found.error)
    yield Result(4, "Chain", "relaxed codes: the code is the largest entry", f"{len(z)} draws",
                 bool((codes[0] == z).all() and (y.argmax(-1) == codes).all()))  # fmt: skip


def own_objective(rng):
    """Level 3: the stochastic softmax's gradient is that of its own mean, which is not E_q[f], and tends to another law's."""
    row, q = TABLE["stochastic_softmax"], random_chain(rng, 2, 2)
    f = Additive(rng.standard_normal((1, 2, 2)), rng.standard_normal((1, 1, 2, 2)))
    u, weights, _ = chain_nodes(q)

    def mean(arrays, tau=0.7):
        return weights @ row.estimate(enumeration.tiled(Chain(*arrays.values()), len(weights)), f, u, tau=tau).value

    own = flat(complex_step(mean, q._asdict()).values())
    estimate = row.estimate(enumeration.tiled(q, len(weights)), f, u, tau=0.7)
    mine = enumeration.moments(weights, flat(estimate.dq, 1))[0]
    yield equal("on a chain: the complex step of its own mean", mine, own, subject=row.name)
    value, other = float(expected(q, f)[0][0]), float(mean(q._asdict()))
    check, text = "on a chain: its own mean is not E_q[f]", f"{other:.4f} beside {value:.4f}"
    yield Result(3, row.name, check, text, abs(other - value) > 1e-3)
