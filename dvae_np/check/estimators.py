"""Everything that can be verified of an estimator from its row in the table, level by level.

No estimator has a test of its own here: a new row is verified without a line written for it.
"""

import numpy as np

from dvae_np import categorical, vae
from dvae_np.arrays import draw
from dvae_np.check import differences, enumeration, problems, verdicts
from dvae_np.check.identities import equal
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE

SEED = 13
QUADRATURE = 1e-6  # change that doubling the nodes may make
REPLICATES = 40_000  # for the z-tests, whose false-alarm rate is verdicts.FALSE_ALARM


def default_hyper(row, dtype=np.float64):
    """The row's hyper-parameters and its tunables' initial values, as keyword arguments."""
    omega = {name: np.asarray(value, dtype) for name, value in row.omega.items()}
    return row.hyper | ({"omega": omega} if omega else {})


def estimator_results(row):
    """Yield every `Result` on one row of the table."""
    rng = np.random.default_rng(SEED)
    yield contract(row, rng)
    yield zero_sum(row, rng)
    if not row.noise:
        yield from exact_results(row, rng)
    elif row.noise == ("z",):
        yield from enumerated(row, rng)
    else:
        yield from integrated(row, rng)
        yield from at_fixed_noise(row, rng)
    if row.unbiased and row.noise:
        yield sampled(row)


def contract(row, rng):
    """Level 0: shapes, dtype, inputs untouched, two calls agree, examples of a batch do not see each other."""
    B, D, N, K, H, S = 5, 11, 2, 3, 7, max(4, row.fewest_samples)
    broken = []
    for dtype in (np.float32, np.float64):
        logits = rng.standard_normal((B, N, K)).astype(dtype)
        x = (rng.random((B, D)) < 0.4).astype(dtype)
        theta = vae.parameters(rng, D, N, K, (H,), dtype)["theta"]
        noise, hyper = draw(rng, logits, S, row.noise), default_hyper(row, dtype)
        given = [array.copy() for array in (logits, *noise)]
        estimate = row.estimate(logits, vae.reconstruction(theta, x), *noise, **hyper)
        again = row.estimate(logits, vae.reconstruction(theta, x), *noise, **hyper)
        alone = [
            row.estimate(logits[[b]], vae.reconstruction(theta, x[[b]]), *(array[:, [b]] for array in noise), **hyper)
            for b in range(B)
        ]
        arrays = [estimate.value, estimate.dlogits, *estimate.dtheta.values(), *(dict(estimate.domega).values())]
        close = 1e-4 if dtype is np.float32 else 1e-12
        conditions = {
            "shape": estimate.value.shape == (B,) and estimate.dlogits.shape == logits.shape,
            "dtype": all(array.dtype == dtype for array in arrays),
            "inputs changed": all(np.array_equal(*pair) for pair in zip(given, (logits, *noise), strict=True)),
            "two calls differ": np.array_equal(estimate.dlogits, again.dlogits),
            "examples mixed": differences.relative_error(
                estimate.dlogits, np.concatenate([one.dlogits for one in alone])
            )
            < close,
            "dtheta not the batch's sum": all(
                differences.relative_error(estimate.dtheta[name], sum(one.dtheta[name] for one in alone)) < close
                for name in theta
            ),
        }
        broken += [f"{what} ({np.dtype(dtype).name})" for what, holds in conditions.items() if not holds]
    check = "shapes, dtype (float32, float64), purity, independent examples"
    return Result(0, row.name, check, "ok" if not broken else ", ".join(broken), not broken)


def zero_sum(row, rng):
    """Level 4: softmax does not see a constant added to its logits, so every gradient sums to zero over K."""
    B, D, N, K, S = 5, 11, 2, 3, max(4, row.fewest_samples)
    logits = rng.standard_normal((B, N, K))
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (7,), np.float64)["theta"], rng.random((B, D)))
    estimate = row.estimate(logits, f, *draw(rng, logits, S, row.noise), **default_hyper(row))
    scale = abs(estimate.value).max() + abs(estimate.dlogits).max()
    return equal("dlogits sum to zero over K", estimate.dlogits.sum(-1), np.zeros((B, N)), scale, row.name)


def exact_results(row, rng):
    """Levels 1 and 2 for a row without noise: the complex step of the plainly enumerated expectation."""
    for N, K in ((1, 5), (3, 4)):
        logits = rng.standard_normal((2, N, K))
        table = rng.standard_normal((K,) * N)
        estimate = row.estimate(logits, problems.lookup_table(table), block=7)

        def enumerated_sum(arrays):
            return enumeration.expectation(arrays["logits"], problems.lookup_table(arrays["table"])).sum()

        numeric = differences.complex_step(enumerated_sum, {"logits": logits, "table": table})
        value = enumeration.expectation(logits, problems.lookup_table(table))
        for name, ours, theirs in (
            ("value", estimate.value, value),
            ("dlogits", estimate.dlogits, numeric["logits"]),
            ("dtheta", estimate.dtheta["table"], numeric["table"]),
        ):
            verdict = verdicts.from_mean(ours, theirs, "complex step")
            check = f"{name}: complex step of the sum, N={N}, K={K}"
            yield Result(1, row.name, check, str(verdict), verdict.ok, verdict.error, verdict.explanation)


def enumerated(row, rng):
    """Level 2: exact means of value, dlogits and dtheta over every outcome of the drawn codes, and exact variance."""
    N, K = 2, 3
    logits = rng.standard_normal((1, N, K))
    table = 2 + rng.standard_normal((K,) * N)
    exact = TABLE["exact"].estimate(logits, problems.lookup_table(table))
    hyper = _shifted(default_hyper(row))  # unbiased must mean: for any value of the tunables, not only for 0
    for S in range(row.fewest_samples, 4):
        z, weights = enumeration.every_code(logits, S)
        T = len(weights)
        own_tables = problems.lookup_table(np.tile(table, (T, *(1,) * N)))  # so that dtheta keeps the outcomes apart
        estimate = row.estimate(enumeration.tiled(logits, T), own_tables, z, **hyper)
        variance = enumeration.moments(weights, estimate.dlogits)[1].sum()
        for name, draws, expected in (
            ("value", estimate.value, exact.value[0]),
            ("dlogits", estimate.dlogits, exact.dlogits[0]),
            ("dtheta", estimate.dtheta["table"], exact.dtheta["table"]),
        ):
            mean, _ = enumeration.moments(weights, draws)
            verdict = verdicts.from_mean(mean, expected, sizes={"S": S, "N": N, "K": K})
            check = f"{name}: mean over {T} outcomes, S={S}" + f", variance {variance:.3g}" * (name == "dlogits")
            yield _as_claimed(2, row, check, verdict, unbiased=row.unbiased or name != "dlogits")


def integrated(row, rng):
    """Level 3: the exact mean over Gumbel noise, by quadrature with the nodes doubled; the bias has a sign and a size."""
    for K, nodes in ((2, 100), (3, 30)):
        logits, f = rng.standard_normal((1, 1, K)), problems.polynomial(rng.standard_normal((2, 1, K)), degree=3)
        exact = TABLE["exact"].estimate(logits, f).dlogits[0]
        means = []
        for n in (nodes, 2 * nodes):
            u, weights = enumeration.gumbel_nodes(logits, n)
            dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, u, **default_hyper(row)).dlogits
            means.append(enumeration.moments(weights, dlogits)[0])
        stable = differences.relative_error(*means)
        verdict = verdicts.from_mean(means[1], exact, f"quadrature to {stable:.0e}", QUADRATURE)
        settings = ", ".join(f"{name} = {value}" for name, value in row.hyper.items())
        result = _as_claimed(3, row, f"dlogits: mean over Gumbel noise, K={K}, {settings}", verdict, row.unbiased)
        yield result if stable < QUADRATURE else Result(3, row.name, result.check, f"quadrature to {stable:.0e}", False)


def at_fixed_noise(row, rng):
    """Level 1: with the noise held fixed, dlogits is the derivative of something, and the complex step finds it.

    For relaxed codes that is the estimator's own value. Straight-through's value is a step function of the logits; for
    an affine f, whose slope is the same everywhere, its gradient must be that of Gumbel-Softmax.
    """
    B, N, K, S = 4, 2, 3, 5
    logits = rng.standard_normal((B, N, K))
    u = rng.random((S, B, N, K))
    relaxed = TABLE["gumbel_softmax"].estimate
    for tau in (0.5, 1.7):
        if row.gradient_of_f == "relaxed":
            f, name = problems.polynomial(rng.standard_normal((2, N, K)), degree=3), f"complex step, u fixed, tau={tau}"
        else:
            f, name = problems.polynomial(rng.standard_normal((1, N, K)), degree=1), f"affine f, u fixed, tau={tau}"

        def loss(arrays, f=f, tau=tau):
            return relaxed(arrays["logits"], f, u, tau=tau).value.sum()

        numeric = differences.complex_step(loss, {"logits": logits})["logits"]
        dlogits = row.estimate(logits, f, u, tau=tau).dlogits
        q = np.exp(categorical.log_softmax(logits)[0])
        comparison = differences.compare("dlogits", dlogits, numeric, sizes={"S": S, "B": B, "tau": tau}, q=q)
        verdict = f"error {comparison.error:.0e}"
        yield Result(1, row.name, f"dlogits: {name}", verdict, comparison.ok, comparison.error, comparison.explanation)


def sampled(row):
    """Level 5: on a VAE, the mean of many draws against the exact gradient, with what the test could have seen."""
    rng = np.random.default_rng(SEED)  # the same problem for all rows
    D, N, K, S = 16, 2, 3, 4
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (9,), np.float64)["theta"], 1.0 * (rng.random((1, D)) < 0.4))
    logits = rng.standard_normal((1, N, K))
    exact = TABLE["exact"].estimate(logits, f)

    def centred(z):  # a constant changes no gradient; near zero it also adds no noise, and the test sees more
        fz, f_backward = f(z)
        return fz - exact.value, f_backward

    many = enumeration.tiled(logits, REPLICATES)
    draws = row.estimate(many, centred, *draw(rng, many, S, row.noise), **default_hyper(row)).dlogits
    verdict = verdicts.from_samples(draws, exact.dlogits[0], sizes={"S": S, "N": N, "K": K})
    check = f"dlogits: z-tests on a VAE, S={S}"
    return Result(5, row.name, check, str(verdict), verdict.ok, verdict.error, verdict.explanation)


def _shifted(hyper):
    """The same hyper-parameters, every number among them off by 0.7."""
    return {
        name: {key: array + 0.7 for key, array in value.items()} if name == "omega"
        else value + 0.7 if isinstance(value, float) else value
        for name, value in hyper.items()
    }  # fmt: skip


def _as_claimed(level, row, check, verdict, unbiased):
    """A result that passes where the verdict is what the table claims: unbiased, or biased and measured."""
    ok = verdict.kind == ("UNBIASED" if unbiased else "BIASED")
    detail = f"{verdict.kind} ({verdict.detail})"
    claimed = "" if unbiased else ", as the table says" if ok else ", though the table says biased"
    return Result(level, row.name, check, detail + claimed, ok, verdict.error, "" if ok else verdict.explanation)
