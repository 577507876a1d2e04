"""The whole verification: every op, the whole objective, every row of the estimators' table.

`results()` yields one `Result` after the other, certain checks first, statistics last. Sizes are small and pairwise
different, so that a wrong broadcast cannot pass unseen.
"""

from functools import partial
from itertools import chain

import numpy as np

from dvae_np import categorical, concrete, ops, perturbed
from dvae_np.check.backward import check_op
from dvae_np.check.divergences import three_kls
from dvae_np.check.identities import identity_results, sampler_results
from dvae_np.check.levels import estimator_results
from dvae_np.check.objectives import objective_results
from dvae_np.check.observations import columns_cases, columns_results, observation_cases, observation_results
from dvae_np.check.posteriors import law_results
from dvae_np.check.relaxations import among_gumbels, exact_up_to_degree, surrogates
from dvae_np.check.report import of_op
from dvae_np.check.score_functions import among_binary, among_codes, among_sets, among_weights
from dvae_np.check.structure_cases import structure_cases
from dvae_np.check.structured import structured_results
from dvae_np.estimators import TABLE
from dvae_np.laws import Independent, joint_states

SEED = 7
SEED_OF_RELATIONS = 17


def results():
    """Yield every `Result` of the verification."""
    return chain(
        op_results(),
        identity_results(),
        objective_results(),
        law_results(),
        structured_results(),
        observation_results(),
        columns_results(),
        sampler_results(),
        relation_results(),
        *(estimator_results(row) for row in TABLE.values()),
    )


def op_cases(rng):
    """Every op with inputs to verify it at: (name, op, its inputs by name, the names of the float arrays that are data)."""
    S, B, N, K, D, H = 2, 5, 3, 4, 7, 6
    normal = rng.standard_normal
    hard, shared, wide = rng.integers(0, K, (S, B, N)), rng.integers(0, K, (S, 1, N)), ops.WIDEST_ONE_HOT + 1
    pixels = (rng.random((B, D)) < 0.4).astype(float)
    weights = {"w": normal((D, N, K)), "b": normal((N, K))}
    yield "linear", ops.linear, {"x": normal((S, B, D)), **weights}
    yield "linear (data)", partial(ops.linear, data=True), {"x": pixels, **weights}, "x"
    yield "embedding (codes)", ops.embedding, {"z": hard, "table": normal((N, K, H))}
    yield "embedding (relaxed)", ops.embedding, {"z": rng.random((S, B, N, K)), "table": normal((N, K, H))}
    yield f"embedding (K={wide})", ops.embedding, {"z": rng.integers(0, wide, (9, N)), "table": normal((N, wide, 2))}
    yield "concatenation (codes)", ops.concatenation, {"z": hard, "table": normal((N, K, H))}
    yield "concatenation (relaxed)", ops.concatenation, {"z": rng.random((S, B, N, K)), "table": normal((N, K, H))}
    yield (
        f"concatenation (K={wide})",
        ops.concatenation,
        {"z": rng.integers(0, wide, (9, N)), "table": normal((N, wide, 2))},
    )
    yield "linear (no bias)", ops.linear, {"x": normal((S, B, D)), "w": normal((D, N, K))}
    for op in (ops.tanh, ops.relu, ops.softplus, ops.sigmoid, ops.softmax, ops.log_softmax):
        yield op.__name__, op, {"x": 2 * normal((B, N, K))}
    logits = normal((B, N, K))
    yield "log_prob", categorical.log_prob, {"logits": logits, "z": hard}
    yield "log_prob (shared z)", categorical.log_prob, {"logits": logits, "z": shared}
    yield "probability", probability, {"logits": logits, "z": joint_states(N, K, 9, 20)}
    yield "marginals", marginals, {"logits": logits}
    yield "relaxed_codes", relaxed_codes, {"logits": logits, "u": rng.random((S, B, N, K))}, "u"
    yield "entropy", categorical.entropy, {"logits": logits}
    yield "kl", categorical.kl, {"q_logits": logits, "p_logits": normal((B, N, K))}
    yield "kl_per_latent", categorical.kl_per_latent, {"q_logits": logits, "p_logits": normal((B, N, K))}
    yield "kl (shared prior)", categorical.kl, {"q_logits": logits, "p_logits": normal((1, N, K))}
    yield "kl (uniform prior)", categorical.kl, {"q_logits": logits, "p_logits": None}
    u = rng.random((S, B, N, K))
    yield "conditional_gumbel", perturbed.conditional_gumbel, {"logits": logits, "z": hard, "v": u}, "v"
    xi = ops.log_softmax(normal((S, B, N, K)))[0]
    yield "concrete_log_prob", concrete.concrete_log_prob, {"logits": logits, "xi": xi, "tau": 0.7}
    for op in (concrete.relaxed_kl, concrete.plug_in_kl):
        for prior, given in (("uniform", None), ("shared", normal((1, N, K))), ("conditional", normal((B, N, K)))):
            yield (
                f"{op.__name__} ({prior} prior)",
                op,
                {"logits": logits, "u": u, "tau": 0.7, "prior_logits": given},
                "u",
            )
    yield from observation_cases(rng)
    yield from columns_cases(rng)
    yield from structure_cases(rng)


def probability(logits, z):
    """`Independent.probability` of states z (m, N) as an op of plain logits."""
    value, backward = Independent(logits).probability()(z)
    return value, lambda dvalue: (backward(dvalue).logits, None)


def marginals(logits):
    """`Independent.marginals` as an op of plain logits."""
    value, backward = Independent(logits).marginals()
    return value, lambda dvalue: backward(dvalue).logits


def relaxed_codes(logits, u):
    """`Independent.relaxed_codes` as an op of plain logits, at one temperature, without the codes."""
    (y, _), backward = Independent(logits).relaxed_codes(u, 0.7)
    return y, lambda dy: (backward(dy).logits, None)


def op_results():
    """Level 1: each op, each input that has a gradient; ours must be analytic, as REBAR's and RELAX's tunables need it."""
    rng = np.random.default_rng(SEED)
    for name, op, inputs, *data in op_cases(rng):
        yield from of_op(name, check_op(op, inputs, rng, data))


def relation_results():
    """Level 4: what estimators must have to do with each other, where biased ones are exact, and the three KLs."""
    rng = np.random.default_rng(SEED_OF_RELATIONS)
    return chain(
        among_codes(rng),
        among_weights(rng),
        among_sets(rng),
        among_binary(rng),
        among_gumbels(rng),
        *(surrogates(rng, spread) for spread in (1, 6)),  # at 6, probabilities go down to 1e-6
        exact_up_to_degree(rng),
        three_kls(rng),
    )
