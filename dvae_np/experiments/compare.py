"""Bias, variance, evaluations and seconds of every estimator, on one problem, at equal numbers of evaluations of f."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvae_np import vae
from dvae_np.check import enumeration
from dvae_np.check.gumbel import additive_variance
from dvae_np.check.means import defaults
from dvae_np.check.toys import polynomial
from dvae_np.estimators import TABLE
from dvae_np.networks import encoder
from dvae_np.noise import draw
from dvae_np.text import columns
from dvae_np.train import SGD, Adam, Settings, fit, load

EXAMPLES = 8  # whose gradients are measured, each on its own
REPLICATES = 1000  # of each example's gradient, where the variance is not enumerable
SWEEP_REPLICATES = 200
GROUPS = 20  # of replicates, whose spread gives the confidence intervals
TUNING_STEPS = 200


@dataclass(frozen=True)
class Problem:
    """Gradients to estimate: a few examples, whose exact gradient is known, and batches, to learn tunables on and to time."""

    name: str
    N: int
    K: int
    examples: list  # of (logits (1, N, K), f)
    batch: Callable  # (size, dtype) -> (logits, f)


def trained_problem(N, K, estimator="exact", epochs=40):
    """A VAE trained on the digits: some of its test images, and batches of training images."""
    data = load("digits")
    run = fit(data, Settings(estimator, N=N, K=K, S=1 if estimator == "exact" else 4, epochs=epochs, seed=1))

    def objective(x, dtype):
        params = {
            group: {name: array.astype(dtype) for name, array in run.params[group].items()} for group in run.params
        }
        logits, _ = encoder(params["psi"], x.astype(dtype))
        return logits, vae.reconstruction(params["theta"], x.astype(dtype))

    chosen = data.test.x[:: len(data.test.x) // EXAMPLES][:EXAMPLES]
    return Problem(f"a VAE trained on the digits ({estimator}), N={N}, K={K}", N, K,
                   [objective(image[None], np.float64) for image in chosen],
                   lambda size, dtype: objective(data.train.x[:size], dtype))  # fmt: skip


def toy_problem(N, K):
    """A cubic polynomial of the codes, the same for all examples, whose logits differ."""
    rng = np.random.default_rng(4)
    w, logits = rng.standard_normal((2, N, K)), rng.standard_normal((100, N, K))
    return Problem(f"a cubic toy, N={N}, K={K}", N, K,
                   [(one[None], polynomial(w, 3)) for one in logits[:EXAMPLES]],
                   lambda size, dtype: (logits[:size].astype(dtype), polynomial(w.astype(dtype), 3)))  # fmt: skip


PROBLEMS = {"vae": trained_problem, "toy": toy_problem}


def tuned(row, problem, S, rng):
    """The row's hyper-parameters, with its tunables learned on a batch for a few hundred steps, the model fixed."""
    hyper = defaults(row, problem.N, problem.K)
    if row.omega is None:
        return hyper
    kind, rate = row.omega_step
    optimiser = (SGD if kind == "sgd" else Adam)({"omega": hyper["omega"]}, rate)
    logits, f = problem.batch(64, np.float64)
    for _ in range(TUNING_STEPS):
        estimate = row.estimate(logits, f, *draw(rng, logits, S, row.noise), **hyper)
        optimiser.step({"omega": {name: gradient / len(logits) for name, gradient in estimate.domega.items()}})
    return hyper


def measure(row, problem, evaluations, hyper, rng, replicates=REPLICATES, timed=True):
    """One row's line: relative bias, relative variance with a 95 % interval, evaluations, milliseconds.

    All relative to the exact gradient: squares summed over the examples, divided by the summed squares of theirs. For averages
    of independent samples of codes both are enumerated; the others come from `replicates` draws.
    """
    N, K = problem.N, problem.K
    S = row.samples_for(evaluations, N, K)
    calls = max(1, evaluations // S) if row.most_samples == 2 else 1
    enumerable = row.noise == ("z",) and row.fewest_samples == 1 and K**N <= 4096
    bias, variance, total = [], [], 0
    for logits, f in problem.examples:
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
    bias, variance = np.sum(bias, 0) / total, np.sum(variance, 0) / total  # over the examples: (GROUPS,)
    half = 1.96 * variance.std(ddof=1) / GROUPS**0.5
    return {
        "estimator": row.name,
        "samples": S,
        "evaluations": calls * row.evaluations.count(S, N, K),
        "bias": 0.0 if row.unbiased else float(max(bias.mean(), 0) ** 0.5),
        "bias_half_width": float(1.96 * bias.std(ddof=1) / GROUPS**0.5 / (2 * max(bias.mean(), 1e-9) ** 0.5)),
        "bias_from": "own bound"
        if row.owns_kl
        else "proved"
        if row.unbiased
        else "enumerated"
        if enumerable
        else "sampled",
        "variance": float(variance.mean()),
        "variance_half_width": float(half),
        "variance_from": "exact" if enumerable or not row.noise else "sampled",
        "milliseconds": milliseconds(row, problem, S, calls, hyper, rng) if timed else None,
    }


def milliseconds(row, problem, S, calls, hyper, rng, batch=100, runs=5):
    """The median time of one gradient of a batch, in float32, noise included."""
    hyper = {name: {key: array.astype(np.float32) for key, array in value.items()} if name == "omega" else value
             for name, value in hyper.items()}  # fmt: skip
    logits, f = problem.batch(batch, np.float32)
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(calls):
            row.estimate(logits, f, *draw(rng, logits, S, row.noise), **hyper)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1e3)


def compare(problem="vae", evaluations=12, N=2, K=5, progress=lambda rows: rows, sweep=(2, 6, 20, 60)):
    """All rows at equal evaluations on a problem ("vae" or "toy") of N latents of K categories, binary rows of 2 N binary ones.

    sweep: numbers of evaluations for the second figure. Returns a record of plain values.
    """
    problems = {False: PROBLEMS[problem](N, K), True: PROBLEMS[problem](2 * N, 2)}
    lines, curves = [], {}
    for row in progress(list(TABLE.values())):
        rng = np.random.Generator(np.random.SFC64(3))
        own = problems[row.binary]
        hyper = tuned(row, own, row.samples_for(evaluations, own.N, own.K), rng)
        lines.append(measure(row, own, evaluations, hyper, rng))
        if not row.owns_kl and row.noise and not row.binary:
            points = [measure(row, own, each, hyper, rng, SWEEP_REPLICATES, timed=False) for each in sweep]
            curves[row.name] = list({point["evaluations"]: point for point in points}.values())
    return {
        "command": command_of(problem, evaluations, N, K),
        "problem": f"{problems[False].name}; binary rows: {problems[True].name}; {EXAMPLES} examples",
        "evaluations": evaluations,
        "lines": lines,
        "curves": curves,
        "learned": learned_variances(),
    }


def command_of(problem, evaluations=12, N=2, K=5):
    """The command that makes this comparison, with the options that are not as they are without one."""
    options = {"evaluations": (evaluations, 12), "N": (N, 2), "K": (K, 5)}
    changed = [f" --{name} {value}" for name, (value, usual) in options.items() if value != usual]
    return f"python -m dvae_np compare --problem {problem}" + "".join(changed)


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
        hyper, many, S = defaults(row, N, K), enumeration.tiled(logits, 64), row.samples(1)
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
    z, weights = enumeration.every_code(logits, row.samples(1))
    dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, z, **hyper).dlogits
    return float(enumeration.moments(weights, dlogits)[1].sum())


def learned_table(record):
    """What learning its tunables does to each estimator's exact variance, as text."""
    rows = [("estimator", "variance at first", "after learning")]
    rows += [(name, f"{before:.3f}", f"{after:.3f}") for name, (before, after) in record["learned"].items()]
    return columns(rows)


def comparison_table(record):
    """The comparison as text."""
    rows = [("estimator", "S", "evaluations", "relative bias", "", "relative variance", "", "error", "ms")]
    for line in record["lines"]:
        error = (line["bias"] ** 2 + line["variance"]) ** 0.5
        off = f" ± {line['bias_half_width']:.2g}" if line["bias_from"] == "sampled" else ""
        interval = "" if line["variance_from"] == "exact" else f" ± {line['variance_half_width']:.2g}"
        row = (
            line["estimator"],
            line["samples"] if TABLE[line["estimator"]].noise else "all",
            line["evaluations"],
            f"{line['bias']:.3f}{off}",
            line["bias_from"],
        )
        row += (
            f"{line['variance']:.3g}{interval}",
            line["variance_from"],
            f"{error:.2f}",
            f"{line['milliseconds']:.1f}",
        )
        rows.append(tuple(map(str, row)))
    return columns(rows)
