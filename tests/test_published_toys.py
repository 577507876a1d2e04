"""Published toys: exact numbers against closed forms, an integral that takes latents apart, the record and its command."""

import json
from functools import cache, partial
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from dvae_np import cli, figures, records
from dvae_np.check import additive_variance, complex_step, moments, row_moments, tiled
from dvae_np.check.gumbel import heavy_nodes
from dvae_np.check.means import defaults
from dvae_np.check.toys import polynomial
from dvae_np.estimators import TABLE
from dvae_np.experiments import best_weights, published_toys
from dvae_np.experiments.page_toys import PRINTED, toys
from dvae_np.experiments.published_toys import BEST, TOYS

CASES = [(key, name) for key, toy in TOYS.items() for name in toy.cases]
ODDS = 1.5  # where a gradient is no special one
RECORD = records.read("published-toys")


@cache
def points(key, case):
    """{name: (bias, variance)}, and the gradient, computed now."""
    return published_toys.measured(TOYS[key], TOYS[key].cases[case], ODDS)


def bernoulli(name, t, odds, **hyper):
    """The exact variance in the log-odds of one Bernoulli with the target t."""
    row, logits = TABLE[name], TOYS["bernoulli"].logits(odds)
    S, known = published_toys.samples_of(row), defaults(row, 1, 2) | hyper
    found = row_moments(row, logits, published_toys.powers([t], 2), S, known)
    return float((found.deviations[:, 0, 1] ** 2).sum())


@pytest.mark.parametrize("t", [0.45, 0.499, 0.7])
@pytest.mark.parametrize("odds", [-3.0, 0.0, 0.8])
def test_one_bernoulli_has_the_variances_of_paper_and_pencil(t, odds):
    q, low, high = 1 / (1 + np.exp(-odds)), t**2, (1 - t) ** 2  # f(0), f(1)
    v, gap = q * (1 - q), high - low
    near = partial(pytest.approx, rel=1e-9, abs=1e-16)
    plain = q * (high * (1 - q)) ** 2 + (1 - q) * (low * q) ** 2 - (gap * v) ** 2
    assert bernoulli("reinforce", t, odds) == near(plain)
    assert bernoulli("reinforce", t, odds, baseline=(1 - q) * high + q * low) < 1e-30  # both outcomes are equal
    for name in ("reinforce_loo", "reinforce_optimal", "double_cv", "rodeo"):  # half the gap where the two codes differ
        assert bernoulli(name, t, odds) == near(gap**2 * v * (1 / 2 - v))
    least = min(q, 1 - q)  # ARM: the gap times u - 1/2, where u is below it or above 1 minus it
    assert bernoulli("arm", t, odds) == near(gap**2 * ((1 / 8 - (1 / 2 - least) ** 3) * 2 / 3 - v**2))
    miss = q * (1 - q) ** 6 + (1 - q) * q**6  # MuProp: f less its tangent is (b - q)^2, times the score
    assert bernoulli("muprop", t, odds) == near(miss - (v * (1 - 2 * q)) ** 2)


@pytest.mark.parametrize(("key", "case"), CASES)
def test_unbiased_rows_have_no_bias_and_the_best_tunables_no_more_variance(key, case):
    found, exact = points(key, case)
    for name, (bias, variance) in found.items():
        row = TABLE[name.removesuffix(BEST)]
        if row.unbiased:
            assert bias < (1e-8 if "u" in row.noise else 1e-12) * np.linalg.norm(exact), name
        elif row.name != "reinmax":  # exact where f is of degree 2
            assert bias > 1e-3 * np.linalg.norm(exact), name
        if BEST in name:
            assert variance <= found[row.name][1] * (1 + 1e-9), name
    if case in ("p = 2", "tau = 1", "t = 0.45"):
        assert found["reinmax"][0] < 1e-12
    tried = {row.name for row in published_toys.rows_of(TOYS[key], TOYS[key].cases[case])}
    assert {name.removesuffix(BEST) for name in found} == tried


def test_nothing_is_left_out_that_has_an_answer():
    """But rows of a bound, binary ones for three categories, and integrals over a kink."""
    left_out = {
        key: set(TABLE) - {row.name for row in published_toys.rows_of(TOYS[key], next(iter(TOYS[key].cases.values())))}
        for key in TOYS
    }
    bound = {"vimco", "ovis", "wake_phi"}
    assert left_out["bernoulli"] == left_out["three-bernoullis"] == bound
    assert left_out["quadratic-form"] == bound | {"arm", "disarm"}
    assert left_out["polynomial"] == bound | {"gumbel_softmax", "stochastic_softmax", "rebar", "relax"}  # p = 1.5


@pytest.mark.parametrize("name", ["gumbel_softmax", "straight_through_gumbel", "gumbel_rao", "rebar"])
def test_latents_apart_are_integrated_as_all_together(name):
    """By the joint quadrature of two latents, where f is a sum over them; where it is none, what sees relaxed codes differs."""
    row, logits = TABLE[name], np.array([[[0.3, -0.2], [0.1, 0.9]]])
    nodes, weights, winner = heavy_nodes(logits, 101)
    noise, hyper = tuple(nodes[each] for each in row.noise), defaults(row, 2, 2)
    for f, same in ((published_toys.powers([0.6, 0.3], 2), True), (polynomial(np.ones((1, 2, 2)) * [1, 0], 3), False)):
        found = row_moments(row, logits, f, 1, hyper, 101)
        mean, _ = moments(weights, row.estimate(tiled(logits, len(weights)), f, *noise, **hyper).dlogits)
        variance = additive_variance(row, logits, f, noise, weights, winner, hyper)
        assert (abs(found.mean - mean).max() < 1e-9 and found.variance == pytest.approx(variance, rel=1e-7)) == (
            same or row.gradient_of_f == "discrete"
        )
    two = row_moments(row, logits, f, 2, hyper, 101)
    assert two.variance == pytest.approx(found.variance / 2) and (two.mean == found.mean).all()


@pytest.mark.parametrize("name", ["reinforce", "arm", "local_expectation", "rebar"])
def test_the_mean_of_two_samples_has_half_the_variance(name):
    """Whether their outcomes are enumerated together or one at a time."""
    logits, hyper = TOYS["three-bernoullis"].logits(0.5), defaults(TABLE[name], 3, 2)
    one, two = (
        row_moments(TABLE[name], logits, published_toys.powers(published_toys.TARGETS, 2), S, hyper) for S in (1, 2)
    )
    assert two.variance == pytest.approx(one.variance / 2, rel=1e-9, abs=1e-25)
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-13)


@pytest.mark.parametrize("power", [1.5, 2, 3])
def test_only_the_score_function_sees_the_number_of_latents(power):
    """Variance over squared gradient: (1 - 3 v) / v + L - 2 for REINFORCE less the mean of f, the same for any L otherwise."""
    seen = {}
    for L in (1, 2, 3):
        logits = np.tile([0.0, 0.7], (1, L, 1))
        q = 1 / (1 + np.exp(-0.7))
        f = published_toys.mean_of_powers([0.45] * L, power)
        mean = q * 0.55**power + (1 - q) * 0.45**power
        for name, hyper in (("reinforce", {"baseline": mean}), ("reinmax", {}), ("straight_through_gumbel", {})):
            found = row_moments(TABLE[name], logits, f, 1, TABLE[name].hyper | hyper)
            gradient = q * (1 - q) * (0.55**power - 0.45**power) / L
            seen[name, L] = (found.deviations[..., 1] ** 2).sum() / (L * gradient**2)
        assert seen["reinforce", L] == pytest.approx((1 - 3 * q * (1 - q)) / (q * (1 - q)) + L - 2)
        assert seen["reinmax", L] == pytest.approx(seen["reinmax", 1])
        assert seen["straight_through_gumbel", L] == pytest.approx(seen["straight_through_gumbel", 1])


def test_the_quadratic_form_has_the_mean_of_its_programme():
    toy = TOYS["quadratic-form"]
    logits = toy.logits(0.4)
    f = published_toys.quadratic_form(logits)
    p = np.exp(logits[0, 0]) / np.exp(logits[0, 0]).sum()
    values = f(np.arange(3).reshape(1, 3, 1))[0][0]
    assert p @ values == pytest.approx((p - 1 / 3) @ published_toys.Q @ (p - 1 / 3))
    assert p[1] == pytest.approx(1 / (1 + np.exp(-0.4))) and p[0] == pytest.approx(p[2])


@pytest.mark.parametrize(("key", "case"), CASES)
def test_the_slope_of_every_f_is_right(key, case):
    toy = TOYS[key]
    f, rng = TOYS[key].cases[case].f(toy.logits(ODDS)), np.random.default_rng(0)
    z = rng.dirichlet(np.ones(toy.K), (2, 3, toy.N))
    fz, backward = f(z)
    numeric = complex_step(lambda arrays: f(arrays["z"])[0].sum(), {"z": z})["z"]
    np.testing.assert_allclose(backward(np.ones_like(fz))[0], numeric, atol=1e-13)


def test_what_a_notebook_printed_is_what_it_should_be():
    """Within three standard errors, as would be expected of 10,000 gradients; and the record has it."""
    toy = TOYS["three-bernoullis"]
    (case,) = toy.cases.values()
    found = published_toys.second_sample(toy.logits(0.0), case.f(None))
    assert abs(PRINTED / found["variance"] - 1) < 3 * found["error"] and 0.005 < found["error"] < 0.05
    assert RECORD["second sample"] == pytest.approx(found)
    q, gap = (
        1 / 2,
        1 - 2 * np.array(published_toys.TARGETS),
    )  # by hand: E[(gap . (b - b'))^2 (sum b - q)^2] - gradient^2
    v = q * (1 - q)
    square = (gap**2).sum() * (3 * v**2 + v / 4 + 2 * v**2) + (gap.sum() ** 2 - (gap**2).sum()) * 2 * v**2
    assert found["variance"] == pytest.approx(square - (gap.sum() * v) ** 2)


def test_the_best_weights_are_at_a_minimum():
    """A step of any weight, or of the temperature, is a step up, or beyond the temperatures that are tried."""
    toy = TOYS["polynomial"]
    logits, f = toy.logits(ODDS), toy.cases["p = 2"].f(None)
    for name in best_weights.WEIGHTS:
        row = TABLE[name]
        S = published_toys.samples_of(row)
        hyper = best_weights.best_tunables(row, logits, f, S, defaults(row, 2, 2), toy.read)

        def at(omega, row=row, S=S):
            found = row_moments(row, logits, f, S, row.hyper | {"omega": omega})
            return (toy.read(found.deviations) ** 2).sum()

        least = at(hyper["omega"])
        steps = {each: 0.1 for each in best_weights.WEIGHTS[name] if each != "w1"}
        for each, step in (steps | ({"log_tau": 0.1} if "log_tau" in hyper["omega"] else {})).items():
            for moved in (hyper["omega"][each] - step, hyper["omega"][each] + step):
                beyond = each == "log_tau" and moved > best_weights.TEMPERATURES[-1]
                assert beyond or at(hyper["omega"] | {each: moved}) > least * (1 - 1e-9), (name, each)


@pytest.mark.parametrize("key", TOYS)
def test_the_record_is_complete_and_its_figure_names_every_row(key):
    places = len(RECORD["at"])
    assert list(RECORD["toys"][key]) == list(TOYS[key].cases) and all(a < b for a, b in pairwise(RECORD["at"]))
    figure = Figure(figsize=figures.toy_size(RECORD, key))
    figures.toy_variances(figure, RECORD, key)
    said = "; ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))
    for case, found in RECORD["toys"][key].items():
        rows, (now, exact) = found["rows"], points(key, case)
        assert list(rows) == list(now) and len(found["gradient"]) == places
        point = RECORD["at"].index(ODDS)
        assert found["gradient"][point] == pytest.approx(np.linalg.norm(exact), rel=1e-4)
        for name, (bias, variance) in now.items():
            assert f"{name};" in f"{said};" or f"{name} " in said, name
            assert rows[name]["variance"][point] == pytest.approx(variance, rel=1e-3, abs=1e-25), name
            assert rows[name]["bias"][point] == pytest.approx(bias, rel=1e-3, abs=1e-10), name
            assert len(rows[name]["bias"]) == len(rows[name]["variance"]) == places


def test_the_page_has_every_toy():
    page = toys()
    for key, picture in published_toys.PICTURES.items():
        assert (
            f"({picture})" in page and published_toys.toy_table(RECORD, key, markdown=True).split("\n")[-1][:20] in page
        )
    assert page.count("**Reported.**") == page.count("**What differs.**") == len(TOYS)


def test_the_command_writes_record_and_figures_and_goes_on(tmp_path, monkeypatch, capsys):
    asked = []

    def quick(toy, case, odds):
        asked.append(odds)
        return {"reinforce": (0.0, 1.0 + odds), "reinmax": (0.1, 2.0)}, np.array([0.12, -0.16])

    monkeypatch.setattr(published_toys, "measured", quick)
    for _ in range(2):
        assert cli.main(["compare", "--toys", "--all", "--out", str(tmp_path)]) == 0
    assert len(asked) == len(CASES) * len(published_toys.AT)  # once, for what is done is kept
    written = json.loads((tmp_path / "data" / "published-toys.json").read_text())
    assert written["command"] == RECORD["command"] and written["at"] == RECORD["at"]
    assert written["toys"]["polynomial"]["p = 3"]["rows"]["reinforce"]["variance"][-1] == 6
    assert written["second sample"] == RECORD["second sample"]
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == set(published_toys.PICTURES.values())
    told = capsys.readouterr().out
    assert told.count("reinmax") == 2 * len(TOYS) and "50%" in told
