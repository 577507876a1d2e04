"""What must hold of every law of the latents, whatever it is: all it can do agrees with the sums over its joint states."""

import numpy as np

from dvae_np.autoregressive import kl_given
from dvae_np.check.backward import check_op
from dvae_np.check.differences import comparison_along
from dvae_np.check.grouped import grouped
from dvae_np.check.identities import equal
from dvae_np.check.report import Result, joined
from dvae_np.initial import encoder_parameters
from dvae_np.laws import joint_states
from dvae_np.structure import POSTERIORS
from dvae_np.subsets import k_subsets

SEED, DRAWS, SAMPLES = 7, 20_000, 4
TINY = 1e-300  # in place of a variance of 0: what is impossible and drawn all the same is far off


def law_results():
    """Every `Result` on the posteriors of the table, as random networks make them of random data, and on subsets."""
    rng = np.random.default_rng(SEED)
    for name in POSTERIORS:
        q, p = (example(name, rng, B) for B in (5, 1))
        yield from results_of_law(q, p, rng)
    yield from results_of_law(*(k_subsets(rng.standard_normal((B, 4, 2)), 2) for B in (5, 1)), rng)


def example(name, rng, B, N=2, K=3):
    """A law of B examples, of the posterior of that name."""
    psi = encoder_parameters(rng, 4, (5,), N, K, np.float64, name)
    psi = {array: 0.5 * rng.standard_normal(values.shape) for array, values in psi.items()}
    return POSTERIORS[name].op(psi, rng.standard_normal((B, 4)))[0]


def results_of_law(q, p, rng):
    """A `Result` on everything that one law q can do (levels 1, 4, 5), of a few examples, beside a prior p of its kind, which
    they share: q.sizes is (B, N, K), p.sizes (1, N, K). What is impossible, with log q = -inf, must be so for all of them: then
    the uniform law is that of the other joint states."""
    kind, (B, N, K) = type(q).__name__, q.sizes
    all_states = joint_states(N, K)
    everywhere = q.log_prob(all_states[:, None])[0]  # (M, B)
    possible = (everywhere != -np.inf).any(1)  # for any example
    states = all_states[possible, None]  # (m, 1, N)
    logq, logp = everywhere[possible], p.log_prob(states)[0]  # (m, B), (m, 1)
    chance, chances = np.exp(logq), np.exp(everywhere)
    hits = states[..., None] == np.arange(K)  # (m, 1, N, K): one-hots of all that are possible
    chosen = rng.integers(0, len(states), (SAMPLES, B))
    z = states[chosen, 0]
    yield equal("probabilities of all joint states sum to 1", chance.sum(0), np.ones(B), subject=kind)
    each = np.stack([logq[numbers, np.arange(B)] for numbers in chosen])
    yield equal("log q(z) of codes = of the same joint states", q.log_prob(z)[0], each, subject=kind)
    yield equal("probability = e^(log q)", q.probability()(all_states)[0], chances, subject=kind)
    kl, to_uniform = ((chance * (logq - other)).sum(0) for other in (logp, -np.log(len(states))))
    if hasattr(q, "marginals"):
        yield equal("marginals: sums over the joint states", q.marginals()[0], _mean(chance, hits), subject=kind)
        yield equal("the most probable codes", q.mode(), states[chance.argmax(0), 0], subject=kind)
        yield equal("entropy: -sum q log q", q.entropy()[0], -(chance * logq).sum(0), subject=kind)
        yield equal("KL(q || p): sum q log(q / p)", q.kl(p)[0], kl, subject=kind)
        yield equal("KL to the uniform law", q.kl()[0], to_uniform, subject=kind)
        yield equal("the KL's parts add up to it", q.kl_parts(p)[0].sum(-1), kl, subject=kind)
    else:  # then the KL is a mean over codes, here over all of them
        given = kl_given(q, p, states, chance)[0].sum(-1)
        yield equal("KL(q || p) given the codes before: its mean", given, kl, subject=kind)
        uniform = kl_given(q, None, states, chance)[0].sum(-1)
        yield equal("KL to the uniform law given the codes before: its mean", uniform, to_uniform, subject=kind)
    weights = rng.standard_normal((SAMPLES, B))
    score = [np.einsum("sb,sb...->b...", weights, array) for array in q.score(z)]
    for name, array, backward in zip(q._fields, score, q.log_prob(z)[1](weights), strict=True):
        whole = array if len(backward) == B else array.sum(0, keepdims=True)  # of an array that the batch shares
        yield equal(f"the score is log q's gradient in {name}", whole, backward, subject=kind)
    if not hasattr(q, "marginals"):
        yield later_kls(q, p, states, rng)
    for name, op, inputs in _ops(q, p, z, states, all_states):
        found = check_op(op, inputs, rng)
        error, ok = found.error("complex step"), found.kind == "right"
        check = f"complex step, {name}: d{', d'.join(found.gradients)}"
        yield Result(1, kind, check, f"error {error:.0e}" if ok else found.kind, ok, error, "" if ok else str(found))
    yield drawn(q, chances, rng)


def later_kls(q, p, states, rng):
    """Level 1: with all joint states as codes, `kl_given`'s backward is the derivative of KL(q || p), with the later KLs."""
    weights = rng.standard_normal(len(q[0]))

    def divergence(arrays):
        own, other = (
            type(law)(*(arrays[f"{who}_{name}"] for name in law._fields)) for who, law in (("q", q), ("p", p))
        )
        logq, logp = own.log_prob(states)[0], other.log_prob(states)[0]
        return ((np.exp(logq) * (logq - logp)).sum(0) * weights).sum()

    inputs = {f"{who}_{name}": array for who, law in (("q", q), ("p", p)) for name, array in law._asdict().items()}
    _, N, _ = q.sizes
    found = kl_given(q, p, states, np.exp(q.log_prob(states)[0]))[1](np.repeat(weights[:, None], N, 1))
    gradients = dict(zip(inputs, (array for law in found for array in law), strict=True))
    comparisons = [
        comparison_along(name, divergence, inputs, gradients[name], rng) for name in inputs if inputs[name].size
    ]
    return joined(
        1, type(q).__name__, f"complex step, KL by codes before and after: d{', d'.join(inputs)}", comparisons
    )


def _mean(chance, arrays):
    """The mean of arrays (M, 1, ...) over the states: (B, ...)."""
    return np.einsum("mb,m...->b...", chance, arrays[:, 0].astype(float))


def _ops(q, p, z, states, all_states):
    """(its name, a method of q as an op of the arrays of q, or of q and p, its inputs) for all that have a gradient."""
    of_q = {
        "log_prob": lambda q: q.log_prob(z),
        "log_prob of states": lambda q: q.log_prob(states),
        "probability": lambda q: q.probability()(all_states),
    }
    of_both = {}
    if hasattr(q, "marginals"):
        of_q |= {"marginals": lambda q: q.marginals(), "entropy": lambda q: q.entropy()}
        of_both = {"kl": lambda q, p: q.kl(p), "kl_parts": lambda q, p: q.kl_parts(p)}
    for name, ask in of_q.items():
        yield name, *grouped(ask, q=q)
    for name, ask in of_both.items():
        yield name, *grouped(ask, q=q, p=p)


def drawn(q, chance, rng):
    """Level 5: how often each joint state is drawn, for the first example; a z-test each, 1e-4 false alarms in all."""
    _, N, K = q.sizes
    one = type(q)(*(array[:1] for array in q))
    z = one.codes(rng.random((DRAWS, 1, N)))[:, 0]  # (DRAWS, N)
    found = np.bincount(z @ K ** np.arange(N - 1, -1, -1), minlength=K**N) / DRAWS
    expected = chance[:, 0]
    z = np.abs(found - expected) / np.sqrt(np.maximum(expected * (1 - expected), TINY) / DRAWS)
    limit = 3.9 + 0.5 * np.log10(K**N)  # above the two-sided quantile of 1e-4 / K^N, for up to a million states
    return Result(5, type(q).__name__, f"codes: shares of {K**N} states in {DRAWS:,} draws",
                  f"{z.max():.1f} standard errors", bool(z.max() < limit))  # fmt: skip
