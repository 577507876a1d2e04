"""The toys on which papers of the field drew variances, with every estimator at once, and exactly.

A toy is one code of known probabilities and an f that everyone can compute. The papers sampled a few estimators on it. Here
every outcome of the noise is weighted, for every row (`dvae_np.check.exactly`), so a curve has no error bars. Rows are at
their fewest samples, those that draw without replacement at two. Estimators of a bound have another gradient: they are left
out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import is_codes, one_hot
from dvae_np.categorical import score
from dvae_np.check import enumeration
from dvae_np.check.exactly import row_moments
from dvae_np.check.means import defaults, derivatives
from dvae_np.estimators import TABLE
from dvae_np.experiments.best_weights import best_tunables
from dvae_np.ops import softmax
from dvae_np.text import columns, markdown_columns

COMMAND = "python -m dvae_np compare --toys"
AT = tuple(np.arange(-10, 11) / 2)  # log-odds of category 1, where everything is computed
NOTHING = 1e-20  # what rounding leaves of a variance of zero
BEST = ", best"  # what a row's name ends with where its tunables have the least variance
TARGETS = (0.6, 0.51, 0.48)  # of the three Bernoullis
Q = np.exp(-2.0 * abs(np.subtract.outer(np.arange(3), np.arange(3))))  # of the quadratic form


@dataclass(frozen=True)
class Case:
    """One f of a toy, and what its rows are set to."""

    f: Callable  # logits (1, N, K) -> f
    hyper: dict  # where there are any, only the rows that have them are tried, with these
    smooth: bool = True  # between the codes: else what integrates f at relaxed codes is left out


@dataclass(frozen=True)
class Toy:
    """A toy: q's logits for a log-odds, its cases by name, and the gradient in the parameters that its paper has."""

    N: int
    K: int
    cases: dict
    read: Callable  # gradients in the logits (..., N, K) -> those in the toy's own parameters (..., d)
    odds: tuple = (0.0,)  # the places of its table: its paper's own

    def logits(self, odds):
        """(1, N, K): each latent's category 1 has these log-odds, and the others are equally probable."""
        others = np.zeros((1, self.N, self.K)) - np.log(self.K - 1)
        return np.where(np.arange(self.K) == 1, odds, others)


def powers(targets, power):
    """f(z) = sum_n |b_n - c_n|^power of binary latents, b_n the share of category 1: codes or relaxed codes, (S, B)."""
    c = np.asarray(targets)

    def f(z):
        away = (one_hot(z, 2, float) if is_codes(z) else z)[..., 1] - c  # (S, B, N)
        sign = np.where(away.real < 0, -1, 1)  # analytic but at 0, for the complex step

        def backward(dfz):
            slope = power * (sign * away) ** (power - 1) * sign * dfz[..., None]
            return None if is_codes(z) else np.stack([0 * slope, slope], -1), {}

        return ((sign * away) ** power).sum(-1), backward

    return f


def mean_of_powers(targets, power):
    """The same over the number of latents."""
    whole, share = powers(targets, power), 1 / len(targets)

    def f(z):
        fz, f_backward = whole(z)
        return share * fz, lambda dfz: f_backward(share * dfz)

    return f


def quadratic_form(logits):
    """f(D) = (D - c)' A (D - c) of a one-hot D, c = 1/3, whose mean is (p - c)' Q (p - c): A depends on p, and is held."""
    p, c = softmax(logits)[0][0, 0], 1 / 3
    pairs = c**2 - c * np.add.outer(p, p)  # E[(D_i - c)(D_j - c)] for i other than j
    A = Q * np.outer(p - c, p - c) / np.where(np.eye(3, dtype=bool), p - 2 * p * c + c**2, pairs)

    def f(z):
        away = (one_hot(z, 3, float) if is_codes(z) else z)[..., 0, :] - c  # (S, B, 3)

        def backward(dfz):
            return None if is_codes(z) else 2 * (away @ A * dfz[..., None])[..., None, :], {}

        return (away @ A * away).sum(-1), backward

    return f


def _one_odds(dlogits):
    return dlogits[..., 1]  # two categories' gradients are g and -g


TOYS = {
    "bernoulli": Toy(1, 2, {f"t = {t}": Case(lambda logits, t=t: powers([t], 2), {}) for t in (0.45, 0.49, 0.499)},
                     _one_odds),
    "three-bernoullis": Toy(3, 2, {"c = 0.6, 0.51, 0.48": Case(lambda logits: powers(TARGETS, 2), {})},
                            lambda dlogits: dlogits[..., 1].sum(-1, keepdims=True), (0.0, -4.0)),
    "polynomial": Toy(2, 2, {f"p = {p:g}": Case(lambda logits, p=p: mean_of_powers([0.45] * 2, p), {}, p == 2)
                             for p in (1.5, 2, 3)}, _one_odds),
    "quadratic-form": Toy(1, 3, {f"tau = {tau:g}": Case(quadratic_form, hyper)
                                 for tau, hyper in ((1, {}), (0.5, {"tau": 0.5}))},
                          lambda dlogits: dlogits[..., 0, :]),
}  # fmt: skip

PICTURES = {key: f"toy-{key}.png" for key in TOYS}  # of each toy


def samples_of(row):
    """The fewest that the row takes; two without replacement, for one is REINFORCE."""
    return row.samples(1 if row.averages else 2)


def rows_of(toy, case):
    """The rows that a case of a toy has an exact answer for."""
    kinked = lambda row: not case.smooth and row.gradient_of_f == "relaxed" and "u" in row.noise
    return [row for row in TABLE.values() if case.hyper.keys() <= row.hyper.keys()
            and not (row.owns_kl or kinked(row) or (row.binary and toy.K != 2))]  # fmt: skip


def measured(toy, case, odds):
    """{name: (bias, variance)} at these log-odds, the bias as a length, and the exact gradient (d,)."""
    logits = toy.logits(odds)
    f, found = case.f(logits), {}
    exact = toy.read(derivatives(TABLE["exact"], logits, {}, lambda theta: f, 1)["dlogits"][0])
    for row in rows_of(toy, case):
        S, hyper = samples_of(row), defaults(row, toy.N, toy.K) | case.hyper
        trials = {row.name: hyper} | (
            {row.name + BEST: best_tunables(row, logits, f, S, hyper, toy.read)} if row.omega else {}
        )
        for name, hyper in trials.items():
            moments = row_moments(row, logits, f, S, hyper)
            bias = np.linalg.norm(toy.read(moments.mean) - exact)
            found[name] = float(bias), float((toy.read(moments.deviations) ** 2).sum())
    return found, exact


def second_sample(logits, f, draws=10_000):
    """Of (f(z) - f(z')) times the score of z, z' another draw, summed over the latents: the variance, and the relative standard
    error of one that is estimated by so many draws."""
    z, weights = enumeration.every_code(logits, 2)
    (fz, other), scores = f(z)[0], score(enumeration.tiled(logits, len(weights)), z[:1])[0]
    estimates = ((fz - other)[:, None] * scores[..., 1]).sum(-1)
    mean, variance = enumeration.moments(weights, estimates)
    kurtosis = weights @ (estimates - mean) ** 4 / variance**2
    return {"variance": float(variance), "error": float(((kurtosis - 1) / draws) ** 0.5)}


def published_toys(known=None, progress=lambda items: items, save=lambda record: None, at=AT):
    """The record: every case of every toy at these log-odds; `known` holds what an earlier call has found."""
    toys = {key: dict(cases) for key, cases in (known or {}).get("toys", {}).items()}
    three = TOYS["three-bernoullis"]
    (case,) = three.cases.values()
    record = {"command": COMMAND, "at": list(at), "toys": toys,
              "second sample": second_sample(three.logits(0.0), case.f(None))}  # fmt: skip
    for key, name in progress([(key, name) for key, toy in TOYS.items() for name in toy.cases]):
        if name in toys.setdefault(key, {}):
            continue
        toy, case = TOYS[key], TOYS[key].cases[name]
        points = [measured(toy, case, odds) for odds in at]
        toys[key][name] = {
            "gradient": [_short(np.linalg.norm(exact)) for _, exact in points],
            "rows": {
                each: {"bias": [_short(found[each][0]) for found, _ in points],
                       "variance": [_short(found[each][1]) for found, _ in points]}
                for each in points[0][0]
            },
        }  # fmt: skip
        save(record)
    return record


def _short(number):
    return float(f"{number:.5g}")


def toy_table(record, key="three-bernoullis", markdown=False):
    """What each estimator has in every case of a toy: its variance, and a bias over the gradient's length."""
    toy, cases, odds = TOYS[key], record["toys"][key], TOYS[key].odds
    places = [(name, each, record["at"].index(each)) for name in cases for each in odds]
    words = {(name, each): name if len(odds) == 1 else f"{each:g}" for name, each, _ in places}
    rows = [("estimator", "S", "evaluations", *(f"{what}, {words[name, each]}" for name, each, _ in places
                                                for what in ("variance", "bias")))]  # fmt: skip
    for name in next(iter(cases.values()))["rows"] | cases[places[-1][0]]["rows"]:
        row = TABLE[name.removesuffix(BEST)]
        S, numbers = samples_of(row), []
        for case, _, point in places:
            found = cases[case]["rows"].get(name)
            numbers += _numbers(found, row, cases[case]["gradient"][point], point) if found else ("", "")
        rows.append((name, str(S), str(row.evaluations.count(S, toy.N, toy.K)), *numbers))
    return markdown_columns(rows) if markdown else columns(rows)


def _numbers(found, row, gradient, point):
    variance, bias = found["variance"][point], found["bias"][point]
    return "0" if variance < NOTHING else f"{variance:.2g}", "" if row.unbiased else f"{bias / gradient:.0%}"
