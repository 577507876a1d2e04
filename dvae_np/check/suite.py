"""The whole verification: every op, the whole objective, every row of the estimators' table.

`results()` yields one `Result` after the other, certain checks first, statistics last. Sizes are small and pairwise
different, so that a wrong broadcast cannot pass unseen.
"""

from functools import partial
from itertools import chain

import numpy as np

from dvae_np import categorical, concrete, likelihoods, ops, vae
from dvae_np.check import differences
from dvae_np.check.estimators import estimator_results
from dvae_np.check.identities import identity_results, sampler_results
from dvae_np.check.relations import relation_results
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE

SEED = 7


def results():
    """Yield every `Result` of the verification."""
    return chain(
        op_results(),
        identity_results(),
        objective_results(),
        sampler_results(),
        relation_results(),
        *(estimator_results(row) for row in TABLE.values()),
    )


def op_cases(rng):
    """Every op with inputs to verify it at: (name, op, its inputs by name). Inputs without a gradient are data."""
    S, B, N, K, D, H = 2, 5, 3, 4, 7, 6
    normal = rng.standard_normal
    hard, shared, wide = rng.integers(0, K, (S, B, N)), rng.integers(0, K, (S, 1, N)), ops.WIDEST_ONE_HOT + 1
    pixels = (rng.random((B, D)) < 0.4).astype(float)
    weights = {"w": normal((D, N, K)), "b": normal((N, K))}
    yield "linear", ops.linear, {"x": normal((S, B, D)), **weights}
    yield "linear (data)", partial(ops.linear, data=True), {"x": pixels, **weights}
    yield "embedding (codes)", ops.embedding, {"z": hard, "table": normal((N, K, H))}
    yield "embedding (relaxed)", ops.embedding, {"z": rng.random((S, B, N, K)), "table": normal((N, K, H))}
    yield f"embedding (K={wide})", ops.embedding, {"z": rng.integers(0, wide, (9, N)), "table": normal((N, wide, 2))}
    for op in (ops.tanh, ops.relu, ops.softplus, ops.sigmoid, ops.softmax, ops.log_softmax):
        yield op.__name__, op, {"x": 2 * normal((B, N, K))}
    logits = normal((B, N, K))
    yield "log_prob", categorical.log_prob, {"logits": logits, "z": hard}
    yield "log_prob (shared z)", categorical.log_prob, {"logits": logits, "z": shared}
    yield "entropy", categorical.entropy, {"logits": logits}
    yield "kl", categorical.kl, {"q_logits": logits, "p_logits": normal((B, N, K))}
    yield "kl (shared prior)", categorical.kl, {"q_logits": logits, "p_logits": normal((1, N, K))}
    yield "kl (uniform prior)", categorical.kl, {"q_logits": logits, "p_logits": None}
    u = rng.random((S, B, N, K))
    yield "conditional_gumbel", categorical.conditional_gumbel, {"logits": logits, "z": hard, "v": u}
    xi = ops.log_softmax(normal((S, B, N, K)))[0]
    yield "concrete_log_prob", concrete.concrete_log_prob, {"logits": logits, "xi": xi, "tau": 0.7}
    yield "relaxed_kl", concrete.relaxed_kl, {"logits": logits, "u": u, "tau": 0.7}
    yield "plug_in_kl", concrete.plug_in_kl, {"logits": logits, "u": u, "tau": 0.7}
    yield "bernoulli", likelihoods.bernoulli, {"a": 2 * normal((S, B, D)), "x": pixels}
    yield "bernoulli (shared z)", likelihoods.bernoulli, {"a": 2 * normal((S, 1, D)), "x": pixels}


def check_op(op, inputs, rng):
    """Compare an op's backward, under a random cotangent, with the complex step and with central differences.

    Yields (method, comparison) for every input that has a gradient; a wrong one explains itself.
    """
    y, backward = op(**inputs)
    dy = rng.standard_normal(y.shape)
    gradients = backward(dy)
    gradients = dict(zip(inputs, gradients if isinstance(gradients, tuple) else (gradients,), strict=False))
    floats = {name: inputs[name] for name, gradient in gradients.items() if gradient is not None}

    def loss(arrays):
        return (dy * op(**inputs | arrays)[0]).sum()

    for method, numeric, tolerance in (
        ("complex step", differences.complex_step(loss, floats), differences.COMPLEX_STEP),
        ("central differences", differences.central(loss, floats), differences.CENTRAL),
    ):
        for name in floats:
            yield method, differences.compare(f"d{name}", gradients[name], numeric[name], tolerance)


def op_results():
    """Level 1: each op, each input."""
    rng = np.random.default_rng(SEED)
    for name, op, inputs in op_cases(rng):
        by_method = {}
        for method, comparison in check_op(op, inputs, rng):
            by_method.setdefault(method, []).append(comparison)
        for method, comparisons in by_method.items():
            yield _joined(1, f"op {name}", f"{method}: {', '.join(c.name for c in comparisons)}", comparisons)


def objective_cases(rng):
    """The whole objective through encoder, KL, expectation and decoder: (name, loss of the parameters, parameters)."""
    B, D, N, K, S, hidden = 4, 11, 2, 3, 5, (6, 7)
    x = (rng.random((B, D)) < 0.4).astype(float)
    params = vae.parameters(rng, D, N, K, hidden, np.float64)
    u = rng.random((S, B, N, K))
    for name, noise, activation, kl in (
        ("exact", (), ops.tanh, "analytic"),
        ("exact", (), ops.relu, "analytic"),
        ("gumbel_softmax", (u,), ops.tanh, "analytic"),
        ("gumbel_softmax", (u,), ops.relu, "relaxed"),
        ("gumbel_softmax", (u,), ops.tanh, "plug_in"),
    ):

        def objective(params, row=TABLE[name], noise=noise, activation=activation, kl=kl):
            options = {"beta": 0.7, "activation": activation, "kl": kl, **row.hyper}
            return vae.negative_elbo(params, x, row, lambda _: noise, **options)

        yield f"objective ({name}, {activation.__name__}, {kl} KL)", objective, params


def objective_results():
    """Level 1: every parameter array of the whole objective, in one go."""
    rng = np.random.default_rng(SEED)
    for name, objective, params in objective_cases(rng):
        flat = {f"{group}.{key}": array for group in params for key, array in params[group].items()}

        def loss(arrays, objective=objective, params=params):
            return objective({g: {key: arrays[f"{g}.{key}"] for key in params[g]} for g in params}).value

        loss_gradients = objective(params).gradients
        gradients = {
            f"{group}.{key}": array for group in loss_gradients for key, array in loss_gradients[group].items()
        }
        numeric = differences.complex_step(loss, flat)
        comparisons = [differences.compare(array, gradients[array], numeric[array]) for array in flat]
        yield _joined(1, name, f"complex step: all {len(flat)} parameter arrays", comparisons)
        if "tanh" in name:
            direction = {array: rng.standard_normal(flat[array].shape) / 10 for array in flat}
            order = differences.taylor_order(loss, flat, gradients, direction)
            yield Result(1, name, "Taylor remainder", f"order {order:.2f}", 1.9 < order < 2.1)


def _joined(level, subject, check, comparisons):
    """One line for several arrays: the worst of them."""
    worst = max(comparisons, key=lambda comparison: comparison.error)
    wrong = "; ".join(str(comparison) for comparison in comparisons if not comparison.ok)
    return Result(level, subject, check, f"error {worst.error:.0e}", not wrong, worst.error, wrong)
