"""Is it the estimator that it claims to be? Beside a row of the table, draw by draw, on the same noise.

An estimator that is biased by design, as Gumbel-Softmax, can be right all the same: if it gives what the row gives.
"""

import numpy as np

from dvae_np.arrays import InputError, one_hot
from dvae_np.check import enumeration, toys
from dvae_np.check.differences import real_array, relative_error
from dvae_np.check.gumbel import NODES, heavy_nodes
from dvae_np.check.hints import hint
from dvae_np.check.means import POINTS, SEED, Point, defaults, logits_at, sizes
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.noise import draw
from dvae_np.ops import softmax

EXAMPLES = 3
TWICE = "probabilities in the place of its logits: is a softmax taken twice?"
SAME = {"float64": 1e-9, "float32": 1e-3}  # the error to expect of two ways to compute the same, by the answer's dtype
TRIED = (Point("", S=1), *(p for p in POINTS if p.what and not p.masked and p.what != "many latents"))


def expect_like(name, hyper, noise):
    """The row of the table and its hyper-parameters. Raises InputError for a name, hyper-parameters or noise of another."""
    if name not in TABLE:
        raise InputError(f"like: expected a row of the table, {', '.join(TABLE)}; got {name!r}")
    row = TABLE[name]
    row.expect_hyper(hyper)
    if noise is not None and sorted(noise) != sorted(row.noise):
        wanted = ", ".join(row.noise) or "none"
        raise InputError(f"like: {name} takes the noise {wanted}, the estimator {', '.join(noise)}")
    return row


def named(row, hyper):
    """'gumbel_softmax (tau = 0.5)'."""
    numbers = {name: value for name, value in (row.hyper | hyper).items() if name.startswith(("tau", "gap"))}
    words = ", ".join(f"{name} = {value:g}" for name, value in numbers.items())
    return f"{row.name} ({words})" if words else row.name


def row_mean(row, logits, f, hyper, S=None):
    """The exact mean of a row's gradient over all outcomes of its noise: (1, N, K), at S samples where that matters."""
    _, N, K = logits.shape
    alike = row.averages and row.fewest_samples == 1  # at any number of samples
    S = row.samples(1 if alike or S is None else S)
    if not row.noise:
        return row.estimate(logits, f, **hyper).dlogits
    if {"u", "v"} & set(row.noise):
        outcomes, weights, _ = heavy_nodes(logits, NODES)
        noise = [outcomes[name] for name in row.noise]
    else:
        every = {"z": enumeration.every_code, "distinct": enumeration.every_sequence, "coupled": enumeration.every_coupled,
                 "e": lambda logits, S: enumeration.threshold_nodes(logits, 5)}[row.noise[0]]  # fmt: skip
        array, weights = every(logits, S)
        noise, weights = [array[:, weights > 0]], weights[weights > 0]
    many = enumeration.tiled(logits, len(weights))
    dlogits = row.estimate(many, f, *noise, **defaults(row, N, K) | hyper).dlogits
    return enumeration.moments(weights, dlogits)[0][None]


def like_results(stranger, row, hyper):
    """Yield a `Result` for each point and number of samples at which the two are compared."""
    rng = np.random.default_rng(SEED)
    order = [stranger.noise.index(name) for name in row.noise]
    for point in TRIED:
        N, K = sizes(row, point.N, point.K)
        for S in (1, 3) if not point.what else (2,):
            S = row.samples(int(min(max(S, stranger.fewest_samples), stranger.most_samples)))
            logits = np.concatenate([logits_at(point, rng, N, K) for _ in range(EXAMPLES)])
            f = toys.scaled(toys.polynomial(rng.standard_normal((2, N, K)), 3), point.size)
            noise = draw(rng, logits, S, stranger.noise)
            ours = [noise[i] for i in order]
            own = defaults(row, N, K) | hyper
            expected = row.estimate(logits, f, *ours, **own).dlogits
            given = real_array("the gradient", stranger.estimate(logits.copy(), f, *(a.copy() for a in noise)).dlogits)
            error = relative_error(given, expected)
            same = error <= SAME["float32" if given.dtype == np.float32 else "float64"]
            words = "" if same else _why(row, own, logits, f, ours, given, expected, S)
            verdict = (
                f"SAME AS {named(row, hyper)}, error {error:.0e}"
                if same
                else f"NOT {named(row, hyper)}: error {error:.1e}"
            )
            check = f"draw by draw, B={EXAMPLES}, N={N}, K={K}, S={S}" + (f", {point.what}" if point.what else "")
            yield Result(2, stranger.name, check, verdict, bool(same), float(error), words, point=point.what)


def _why(row, hyper, logits, f, noise, given, expected, S):
    """What it may have done instead, or ""."""
    sizes = {"S": S, "B": len(logits), "N": logits.shape[1], "K": logits.shape[2]}
    sizes |= {name: value for name, value in hyper.items() if name.startswith("tau")}
    with np.errstate(all="ignore"):
        return hint(given, expected, sizes, instead=alternatives(row, hyper, logits, f, noise, S))


def alternatives(row, hyper, logits, f, noise, S):
    """What well-known mistakes would have given at this noise: {"what it equals": array}."""

    def other(logits=logits, noise=noise, **changed):
        return row.estimate(logits, f, *noise, **hyper | changed).dlogits

    q, softmax_backward = softmax(logits)
    found = {f"{row.name} with {TWICE}": softmax_backward(other(logits=q))}
    for name, value in hyper.items():
        if name.startswith("tau") and value != 1:
            found[f"{row.name} with the temperature inverted, {name} = {1 / value:g}"] = other(**{name: 1 / value})
            found[f"{row.name} at {name} = 1: is the temperature not used?"] = other(**{name: 1.0})
    if S > 1:
        once = [np.repeat(array[:1], S, 0) for array in noise]
        found[f"{row.name} with the first of the S samples S times: is the noise used twice?"] = other(noise=once)
    found[f"{row.name} with the first example's noise for all"] = other(noise=[a[:, :1] + 0 * a for a in noise])
    if logits.shape[1] > 1 and "u" in row.noise:
        found[f"{row.name} with the first latent's noise for all"] = other(noise=[a[:, :, :1] + 0 * a for a in noise])
    if row.noise == ("u",):
        for words, change in GUMBELS.items():
            found[f"{row.name} with {words} in the place of Gumbel noise, -log(-log u)"] = other(
                noise=[change(noise[0])]
            )
    if row.noise == ("z",):
        hard = one_hot(noise[0], q.shape[-1], q.dtype)
        slope = f(hard)[1](np.full(hard.shape[:2], 1 / S))[0]
        found["the slope of f at the codes, without the softmax's Jacobian"] = slope.sum(0)
    for each in TABLE.values():
        if each is not row and each.noise == row.noise and S >= each.fewest_samples and not each.binary:
            own = {key: value for key, value in hyper.items() if key in each.hyper}
            N, K = logits.shape[1:]
            options = defaults(each, N, K) | own
            found[named(each, own)] = each.estimate(logits, f, *noise, **options).dlogits
    return found


def mean_alternatives(row, hyper, logits, f):
    """The same of means: {"what it is": array (N, K)}, for estimators that draw their own noise."""
    q, softmax_backward = softmax(logits)
    found, own = {}, row.hyper | hyper
    for name, value in own.items():
        if name.startswith("tau"):
            found |= {
                f"that of {row.name} at {name} = {other:g}": own | {name: other}
                for other in (0.5, 1.0)
                if other != value
            }
        if name.startswith("tau") and value != 1:
            found[f"that of {row.name} with the temperature inverted, {name} = {1 / value:g}"] = own | {name: 1 / value}
    means = {words: row_mean(row, logits, f, options)[0] for words, options in found.items()}
    means[f"that of {row.name} with {TWICE}"] = softmax_backward(row_mean(row, q, f, hyper))[0]
    right = row_mean(row, logits, f, hyper)[0]
    for name, value in own.items():
        if name.startswith("tau") and value != 1:
            means[f"that of {row.name} without the factor 1/{name} of its backward pass"] = value * right
    for each in TABLE.values():
        if each is not row and not (each.unbiased or each.binary or each.owns_kl) and set(each.noise) <= {"z", "u"}:
            options = {key: value for key, value in hyper.items() if key in each.hyper}
            means[f"that of {named(each, options)}"] = row_mean(each, logits, f, options)[0]
    return means


GUMBELS = {  # what stands for Gumbel noise by mistake, as the uniforms that would give it
    "the negative of it, log(-log u),": lambda u: np.exp(1 / np.log(u)),
    "-log u": lambda u: np.exp(-u),
    "log u": lambda u: np.exp(-1 / u),
    "u": lambda u: np.exp(-np.exp(-u)),
    "zero": lambda u: np.full_like(u, np.exp(-1)),
    "-log(-log(1 - u))": lambda u: 1 - u,
}
