"""Bias, variance, evaluations and seconds of every estimator, on one problem, at equal numbers of evaluations of f."""

import time

import numpy as np

from dvae_np import vae
from dvae_np.arrays import draw
from dvae_np.check import enumeration
from dvae_np.check.estimators import additive_variance, defaults, samples
from dvae_np.check.problems import polynomial
from dvae_np.check.report import columns, markdown_columns
from dvae_np.estimators import TABLE
from dvae_np.networks import encoder
from dvae_np.train import SGD, Adam, Settings, fit, load

IMAGES = 8  # whose gradients are measured, each on its own
REPLICATES = 1000  # of each image's gradient, where the variance is not enumerable
SWEEP_REPLICATES = 200
GROUPS = 20  # of replicates, whose spread gives the confidence intervals
TUNING_STEPS = 200


def trained_problem(N, K, binary=False, epochs=40):
    """A VAE trained exactly on the digits, and the objectives of a few of its test images, in float64.

    Returns (params, x): `x` holds IMAGES test images. K**N stays small enough to know the exact gradient.
    """
    data = load("digits")
    run = fit(data, Settings(N=N, K=K, epochs=epochs, seed=1))
    params = {
        group: {name: array.astype(np.float64) for name, array in run.params[group].items()} for group in run.params
    }
    return params, data.test.x[:: len(data.test.x) // IMAGES][:IMAGES].astype(np.float64)


def samples_for(row, evaluations, N, K):
    """(S, calls): S samples in each of so many averaged calls use about this many evaluations of f."""
    each = {"K^N": 1, "S": 1, "S + 1": 1, "2": 1, "2 S": 2, "3 S": 3, "S N K": N * K}[row.evaluations]
    S = samples(row, max(1, (evaluations - (row.evaluations == "S + 1")) // each))
    if "distinct" in row.noise:
        S = min(S, K**N)
    return S, max(1, evaluations // S) if row.most_samples == 2 else 1


def evaluations_of(row, S, calls, N, K):
    """How many evaluations of f an example takes."""
    return (
        calls
        * {"K^N": K**N, "S": S, "S + 1": S + 1, "2": 2, "2 S": 2 * S, "3 S": 3 * S, "S N K": S * N * K}[row.evaluations]
    )


def tuned(row, params, x, S, rng):
    """The row's hyper-parameters, with its tunables learned on these images for a few hundred steps, the model fixed."""
    N, K, _ = params["theta"]["table"].shape
    hyper = defaults(row, N, K)
    if row.omega is None:
        return hyper
    kind, rate = row.omega_step
    optimiser = (SGD if kind == "sgd" else Adam)({"omega": hyper["omega"]}, rate)
    many = np.tile(x, (8, 1))
    logits, _ = encoder(params["psi"], many)
    f = vae.reconstruction(params["theta"], many)
    for _ in range(TUNING_STEPS):
        estimate = row.estimate(logits, f, *draw(rng, logits, S, row.noise), **hyper)
        optimiser.step({"omega": {name: gradient / len(many) for name, gradient in estimate.domega.items()}})
    return hyper


def measure(row, params, x, evaluations, hyper, rng, replicates=REPLICATES, timed=True):
    """One row's line: relative bias, relative variance with a 95 % interval, evaluations, milliseconds.

    All relative to the exact gradient: squares summed over the images, divided by the images' summed squares. For averages
    of independent samples of codes both are enumerated; the others come from `replicates` draws.
    """
    N, K, _ = params["theta"]["table"].shape
    S, calls = samples_for(row, evaluations, N, K)
    enumerable = row.noise == ("z",) and row.fewest_samples == 1 and K**N <= 4096
    bias, variance, total = [], [], 0
    for image in x:
        logits, _ = encoder(params["psi"], image[None])
        f = vae.reconstruction(params["theta"], image[None])
        exact = TABLE["exact"].estimate(logits, f).dlogits[0]
        total += (exact**2).sum()
        if not row.noise:
            groups = np.zeros((GROUPS, 2))
        elif enumerable:
            z, weights = enumeration.every_code(logits, 1)
            dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, z, **hyper).dlogits
            mean, spread = enumeration.moments(weights, dlogits)
            groups = np.tile([((mean - exact) ** 2).sum(), spread.sum() / S], (GROUPS, 1))
        else:
            many = enumeration.tiled(logits, replicates)
            dlogits = np.mean(
                [row.estimate(many, f, *draw(rng, many, S, row.noise), **hyper).dlogits for _ in range(calls)], 0
            )
            parts = dlogits.reshape(GROUPS, -1, N, K)
            spread = parts.var(1, ddof=1).sum((-1, -2))
            off = ((parts.mean(1) - exact) ** 2).sum((-1, -2)) - spread / parts.shape[1]  # noise of the mean taken off
            groups = np.stack([off, spread], -1)
        bias.append(groups[:, 0])
        variance.append(groups[:, 1])
    bias, variance = np.sum(bias, 0) / total, np.sum(variance, 0) / total  # (GROUPS,)
    half = 1.96 * variance.std(ddof=1) / GROUPS**0.5
    return {
        "estimator": row.name,
        "samples": S,
        "evaluations": evaluations_of(row, S, calls, N, K),
        "bias": 0.0 if row.unbiased else float(max(bias.mean(), 0) ** 0.5),
        "bias_from": "proved" if row.unbiased else "enumerated" if enumerable else "sampled",
        "variance": float(variance.mean()),
        "variance_half_width": float(half),
        "variance_from": "exact" if enumerable or not row.noise else "sampled",
        "milliseconds": milliseconds(row, params, S, calls, hyper, rng) if timed else None,
    }


def milliseconds(row, params, S, calls, hyper, rng, batch=100, runs=5):
    """The median time of one gradient of a batch of digits, in float32, noise included."""
    x = load("digits").train.x[:batch]
    single = {group: {name: array.astype(np.float32) for name, array in params[group].items()} for group in params}
    hyper = {name: {key: array.astype(np.float32) for key, array in value.items()} if name == "omega" else value
             for name, value in hyper.items()}  # fmt: skip
    logits, _ = encoder(single["psi"], x)
    f = vae.reconstruction(single["theta"], x)
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(calls):
            row.estimate(logits, f, *draw(rng, logits, S, row.noise), **hyper)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1e3)


def compare(evaluations=12, N=2, K=5, progress=lambda rows: rows, sweep=(2, 6, 20, 60)):
    """All rows at equal evaluations, on a VAE of N latents of K categories; binary rows on one of 2N binary latents.

    sweep: numbers of evaluations for the second figure. Returns a record of plain values.
    """
    problems = {False: trained_problem(N, K), True: trained_problem(2 * N, 2)}
    lines, curves = [], {}
    for row in progress(list(TABLE.values())):
        rng = np.random.Generator(np.random.SFC64(3))
        params, x = problems[row.binary]
        hyper = tuned(row, params, x, samples_for(row, evaluations, N, K)[0], rng)
        lines.append(measure(row, params, x, evaluations, hyper, rng))
        if not row.owns_kl and row.noise and not row.binary:
            points = [measure(row, params, x, each, hyper, rng, SWEEP_REPLICATES, timed=False) for each in sweep]
            curves[row.name] = list({point["evaluations"]: point for point in points}.values())
    return {
        "command": "python -m dvae_np compare",
        "problem": f"VAE trained exactly on the digits, N={N}, K={K} (binary rows: N={2 * N}, K=2), {IMAGES} test images",
        "evaluations": evaluations,
        "lines": lines,
        "curves": curves,
        "learned": learned_variances(),
    }


def learned_variances(steps=1500):
    """Exact variances before and after learning the tunables, on a toy: cubic f, one latent of three categories (binary
    rows: two of two), every variance by enumeration or quadrature. Returns {estimator: (before, after)}."""
    found = {}
    for row in TABLE.values():
        if row.omega is None:
            continue
        rng = np.random.default_rng(5)
        N, K = (2, 2) if row.binary else (1, 3)
        logits, f = rng.standard_normal((1, N, K)), polynomial(rng.standard_normal((2, N, K)), 3)
        hyper, many, S = defaults(row, N, K), enumeration.tiled(logits, 64), samples(row, 1)
        variances = [exact_variance(row, logits, f, hyper)]
        optimiser = Adam({"omega": hyper["omega"]}, 0.01)
        for _ in range(steps):
            estimate = row.estimate(many, f, *draw(rng, many, S, row.noise), **hyper)
            optimiser.step({"omega": {name: gradient / 64 for name, gradient in estimate.domega.items()}})
        found[row.name] = (*variances, exact_variance(row, logits, f, hyper))
    return found


def exact_variance(row, logits, f, hyper):
    """The total variance of one gradient, by enumeration of codes or by quadrature over Gumbel noise."""
    if "u" in row.noise:
        nodes, weights, winner = enumeration.gumbel_nodes(logits, 140)
        return additive_variance(row, logits, f, tuple(nodes[name] for name in row.noise), weights, winner, hyper)
    z, weights = enumeration.every_code(logits, samples(row, 1))
    dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, z, **hyper).dlogits
    return float(enumeration.moments(weights, dlogits)[1].sum())


RULE_PROBLEMS = ((1, 16), (2, 8), (2, 16), (3, 10), (4, 8), (4, 10), (5, 8))
RULE_ESTIMATORS = (
    "reinforce_loo",
    "local_expectation",
    "rebar",
    "gumbel_softmax",
    "straight_through_gumbel",
    "reinmax",
)
RULE_ERRORS = (1.0, 0.3, 0.1)


def practical_rule(progress=lambda rows: rows, problems=RULE_PROBLEMS):
    """How many milliseconds a batch's gradient takes to a given relative error, as the number of joint states grows.

    For each model size a VAE is trained (by leave-one-out, so that the cost of training does not grow), the exact gradient
    is timed, and each estimator's error sqrt(bias^2 + variance) is extrapolated from S to n S samples as bias^2 + variance / n;
    its cost at n S as n times that at S. An estimator whose bias alone is larger never gets there.
    """
    data, records = load("digits"), []
    for N, K in progress(list(problems)):
        run = fit(data, Settings("reinforce_loo", N=N, K=K, S=4, epochs=40, seed=1))
        params = {
            group: {name: array.astype(np.float64) for name, array in run.params[group].items()} for group in run.params
        }
        x = data.test.x[:: len(data.test.x) // IMAGES][:IMAGES].astype(np.float64)
        rng = np.random.Generator(np.random.SFC64(3))
        record = {"N": N, "K": K, "states": K**N, "exact": milliseconds(TABLE["exact"], params, 1, 1, {}, rng)}
        for name in RULE_ESTIMATORS:
            row, evaluations = TABLE[name], max(16, N * K if name == "local_expectation" else 0)
            hyper = tuned(row, params, x, samples_for(row, evaluations, N, K)[0], rng)
            line = measure(row, params, x, evaluations, hyper, rng, 400)
            needed = {}
            for error in RULE_ERRORS:
                left = error**2 - line["bias"] ** 2
                repeats = max(1.0, line["variance"] / left) if left > 0 else None
                needed[str(error)] = None if repeats is None else repeats * line["milliseconds"]
            record[name] = {**line, "milliseconds_to_error": needed}
        records.append(record)
    return {"command": "python -m dvae_np compare --rule", "batch": 100, "errors": RULE_ERRORS, "models": records}


def learned_table(record):
    """What learning its tunables does to each estimator's exact variance, as text."""
    rows = [("estimator", "variance at first", "after learning")]
    rows += [(name, f"{before:.3f}", f"{after:.3f}") for name, (before, after) in record["learned"].items()]
    return columns(rows)


def rule_table(record, error=0.3, markdown=False):
    """The rule as text, or as a Markdown table: milliseconds to that relative error, by estimator and joint states."""
    rows = [("N", "K", "joint states", "exact, ms", *RULE_ESTIMATORS, "cheapest")]
    for model in record["models"]:
        cost = {name: model[name]["milliseconds_to_error"][str(error)] for name in RULE_ESTIMATORS} | {
            "exact": model["exact"]
        }
        reached = {name: value for name, value in cost.items() if value is not None}
        cells = ["never" if cost[name] is None else f"{cost[name]:.3g}" for name in RULE_ESTIMATORS]
        rows.append((str(model["N"]), str(model["K"]), str(model["states"]), f"{model['exact']:.3g}", *cells,
                     min(reached, key=reached.get)))  # fmt: skip
    return markdown_columns(rows) if markdown else columns(rows)


def comparison_table(record):
    """The comparison as text."""
    rows = [("estimator", "S", "evaluations", "relative bias", "", "relative variance", "", "error", "ms")]
    for line in record["lines"]:
        error = (line["bias"] ** 2 + line["variance"]) ** 0.5
        interval = "" if line["variance_from"] == "exact" else f" ± {line['variance_half_width']:.2g}"
        row = (line["estimator"], line["samples"], line["evaluations"], f"{line['bias']:.3f}", line["bias_from"])
        row += (
            f"{line['variance']:.3g}{interval}",
            line["variance_from"],
            f"{error:.2f}",
            f"{line['milliseconds']:.1f}",
        )
        rows.append(tuple(map(str, row)))
    return columns(rows)
