"""The checks themselves: each must fail where something is off by little more than it allows, and none looks away."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dvae_np import categorical, concrete, lesson, perturbed, vae
from dvae_np.check import (
    contract,
    differences,
    divergences,
    enumeration,
    gumbel,
    identities,
    levels,
    means,
    objectives,
    relaxations,
    score_functions,
    suite,
    verdicts,
)
from dvae_np.check.differences import comparison, relative_error
from dvae_np.check.judging import judge
from dvae_np.check.report import Report, Result, joined
from dvae_np.check.verdicts import from_mean
from dvae_np.estimators import TABLE
from dvae_np.noise import draw
from dvae_np.ops import softmax

CONTRIBUTING = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
LEVELS = {line.split("|")[1].strip(): line for line in CONTRIBUTING.splitlines() if re.match(r"\| \d \|", line)}
STATED = {  # the levels' tolerances, as the text states them
    "0": (1e-4, 1e-12),
    "1": (differences.CENTRAL, differences.COMPLEX_STEP),
    "2": (verdicts.ENUMERATION,),
    "3": (means.QUADRATURE,),
    "4": (identities.IDENTITY,),
    "5": (verdicts.FALSE_ALARM,),
}


@pytest.mark.parametrize("level", STATED)
def test_the_tolerances_are_those_that_the_text_states(level):
    assert tuple(map(float, re.findall(r"1e-\d+", LEVELS[level]))) == STATED[level]


@pytest.mark.parametrize("tolerance", [differences.COMPLEX_STEP, differences.CENTRAL, 1e-5])
def test_a_comparison_fails_just_above_its_tolerance_and_passes_just_below(tolerance):
    right = np.random.default_rng(0).standard_normal((3, 4))
    for error, ok in ((1.5, False), (0.7, True)):
        wrong = right * (1 + 2 * error * tolerance)
        assert relative_error(wrong, right) == pytest.approx(error * tolerance, rel=0.01)
        assert comparison("dx", wrong, right, tolerance).ok == from_mean(wrong, right, tolerance=tolerance).ok == ok


COUNTS = {  # how wrong a count of evaluations is at S samples: by what this differs from S
    "one more than the row says": lambda S: S + 1,
    "one less": lambda S: S - 1,
    "right at the fewest samples alone": lambda S: max(2 * S - 2, S),
}


@pytest.mark.parametrize("name", ["reinforce", "reinforce_loo", "rebar", "arm", "local_expectation"])
@pytest.mark.parametrize("wrong", COUNTS)
def test_a_row_that_miscounts_its_evaluations_fails(name, wrong):
    row = TABLE[name]
    said = row.evaluations
    miscounted = replace(
        row, evaluations=said._replace(count=lambda S, N, K: said.count(S, N, K) + COUNTS[wrong](S) - S)
    )
    assert levels.evaluations(row).ok and not levels.evaluations(miscounted).ok


@pytest.mark.parametrize("spread", [6, 8])
@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_quadrature_accuses_no_right_estimator_whatever_the_problem(name, spread):
    """At peaked logits the exact gradient is small, and so must be the mass that nodes leave out: 20 more problems."""
    row = TABLE[name]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        logits = means.logits_at(means.Point("", spread=spread), rng, 1, 2)
        theta, objective = means.objective_for(row, rng, 1, 2)
        outcomes, weights, _ = gumbel.heavy_nodes(logits, gumbel.NODES)
        hyper, noise = means.shifted(means.defaults(row, 1, 2)), tuple(outcomes[each] for each in row.noise)
        found = means.every_estimate(row, logits, theta, objective, noise, weights, hyper)
        results = means.means(row, 3, logits, theta, objective, 1, weights, found)
        assert all(result.ok for result in results), (seed, [str(result) for result in results])


def changed(row, how):
    """The row with its gradient changed: `how(dlogits, S)`."""

    def estimate(logits, f, *noise, **hyper):
        found = row.estimate(logits, f, *noise, **hyper)
        return found._replace(dq=how(found.dlogits, len(noise[0]) if noise else 1))

    return replace(row, estimate=estimate)


def bent(dlogits, S):
    """Off by a ten-thousandth of each entry, another share in each category and at each S."""
    return dlogits * (1 + 1e-4 * S * np.cos(np.arange(dlogits.shape[-1]))).astype(dlogits.real.dtype)


@pytest.mark.parametrize(("name", "degrees"), [("straight_through", (2, 3, 4)), ("reinmax", (3, 4))])
def test_an_estimator_that_is_exact_where_it_must_be_biased_fails(name, degrees, monkeypatch):
    exact = lambda logits, f, z, **hyper: TABLE["exact"].estimate(logits, f)
    monkeypatch.setitem(TABLE, name, replace(TABLE[name], estimate=exact))
    found = {
        each.check: each.ok for each in relaxations.exact_up_to_degree(np.random.default_rng(0)) if each.subject == name
    }
    assert [degree for degree in range(1, 5) if not found[f"f of degree {degree}: relative bias"]] == list(degrees)


@pytest.mark.parametrize("step", [-0.11, 0.11])
def test_a_constant_of_not_the_least_variance_fails(step, monkeypatch):
    row = TABLE["reinforce"]
    moved = lambda logits, f, z, baseline=0.0: row.estimate(logits, f, z, baseline=baseline + step)
    monkeypatch.setitem(TABLE, "reinforce", replace(row, estimate=moved))
    (result,) = score_functions.least_variance(np.random.default_rng(0))
    assert not result.ok


def times(function, factor):
    """The op with its value multiplied by factor(its arguments)."""

    def changed(*arguments):
        value, backward = function(*arguments)
        return factor(*arguments) * value, backward

    return changed


def plus(function, summand):
    """The op with summand(its arguments) added to its value."""

    def changed(*arguments):
        value, backward = function(*arguments)
        return value + summand(*arguments), backward

    return changed


LAWS = {  # what a law's check says, and a function that it must not pass
    "does not depend on a shared temperature": (concrete, "relaxed_kl", times, lambda logits, u, tau, *_: 1 + 1e-6 * tau),
    "is above the discrete KL": (concrete, "relaxed_kl", plus, lambda *_: -9.0),
    "is not a KL: it can be negative": (concrete, "plug_in_kl", plus, lambda *_: 9.0),
    "the density integrates to 1, tau = 0.7": (concrete, "concrete_log_prob", plus, lambda *_: 1e-6),
    "E_q[p / q] = 1, tau = 0.7": (concrete, "relaxed_kl", plus, lambda *_: 1e-4),
    "argmax is the given code": (perturbed, "conditional_gumbel", times, lambda *_: -1),
    "over its code, the law of plain noise (7 points, differences)": (
        perturbed, "conditional_gumbel", times, lambda *_: 1 + 1e-6),
}  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
def test_no_law_looks_away_from_a_function_that_breaks_it(law, monkeypatch):
    module, name, how, amount = LAWS[law]
    monkeypatch.setattr(module, name, how(getattr(module, name), amount))
    rng = np.random.default_rng(suite.SEED_OF_RELATIONS)
    found = {
        each.check: each.ok for results in (relaxations.among_gumbels, divergences.three_kls) for each in results(rng)
    }
    assert not found[law]


def test_every_law_has_a_function_that_breaks_it():
    """Results that compare no two arrays have a threshold of their own."""
    rng = np.random.default_rng(suite.SEED_OF_RELATIONS)
    of_gumbels, of_kls = list(relaxations.among_gumbels(rng)), list(divergences.three_kls(rng))
    assert {each.check for each in (*of_gumbels, *of_kls) if each.subject not in TABLE} == set(LAWS)
    assert not any(each.subject in TABLE for each in of_kls)


IDENTITIES = {  # a function that is bent, and how many of the identities must see it
    "kl": (times, lambda *_: 1 + 1e-9, 2),
    "entropy": (times, lambda *_: 1 + 1e-9, 1),
    "log_prob": (plus, lambda *_: 1e-9, 1),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_see_a_function_that_is_bent(name, monkeypatch):
    how, amount, least = IDENTITIES[name]
    monkeypatch.setattr(categorical, name, how(getattr(categorical, name), amount))
    assert sum(not each.ok for each in identities.identity_results()) >= least


def test_identities_are_not_satisfied_by_less_than_they_say():
    right = np.random.default_rng(0).standard_normal(5)
    for scale, size in ((None, 1.0), (3.0, 0.0)):
        for error, ok in ((3, False), (0.3, True)):
            left = size * right * (1 + 2 * error * identities.IDENTITY) + (1 - size) * 3 * error * identities.IDENTITY
            assert identities.equal("", left, size * right, scale).ok == ok


def test_samplers_of_another_law_fail(monkeypatch):
    right = categorical.codes
    monkeypatch.setattr(categorical, "codes", lambda logits, u: right(1.01 * logits, u))
    assert not next(each for each in identities.sampler_results() if each.subject == "sampler codes").ok
    monkeypatch.undo()
    drawn = identities.draw
    monkeypatch.setattr(identities, "draw", lambda rng, logits, S, names: drawn(rng, 1.2 * logits, S, names))
    failed = {each.subject for each in identities.sampler_results() if not each.ok}
    assert failed == {"sampler codes", "sampler distinct", "sampler coupled"}


def test_noise_that_is_shared_is_named():
    def shared(rng, logits, S, names):
        first, *rest = identities.draw(rng, logits, S, names)
        return (first, first, *rest[1:])

    found = identities.independent_noise(shared)
    assert not found.ok and "same numbers" in found.explanation
    assert not identities.independent_noise(identities.draw).explanation


MOVED = [
    row.name for row in TABLE.values() if row.unbiased and (row.omega or isinstance(row.hyper.get("baseline"), float))
]


@pytest.mark.parametrize("name", MOVED)
def test_every_tunable_is_moved(name):
    row = TABLE[name]
    still, moved = means.defaults(row, 2, 3), means.shifted(means.defaults(row, 2, 3))
    if "omega" in still:
        assert all((moved["omega"][each] != still["omega"][each]).all() for each in still["omega"])
    else:
        assert moved["baseline"] != still["baseline"]


def test_moments_are_mean_and_variance():
    rng = np.random.default_rng(0)
    weights, draws = np.array([0.2, 0.3, 0.5]), rng.standard_normal((3, 4)) + 5
    mean, variance = enumeration.moments(weights, draws)
    np.testing.assert_allclose(mean, np.average(draws, 0, weights), rtol=1e-14)
    np.testing.assert_allclose(variance, np.diag(np.cov(draws.T, aweights=weights, ddof=0)), rtol=1e-12)


GUMBEL = [row.name for row in TABLE.values() if {"u", "v"} & set(row.noise)]


@pytest.mark.parametrize("name", GUMBEL)
def test_quadrature_is_not_trusted_where_it_cannot_be(name):
    """A jump that is not at the argmax, and a dependence on more than ratios, are seen."""
    row = TABLE[name]

    def jumping(logits, f, *noise, **hyper):
        found = row.estimate(logits, f, *noise, **hyper)
        log_u = np.log(noise[-1][0])  # (B, N, K)
        return found._replace(dq=found.dlogits * (1 + (log_u[..., :1] / log_u[..., 1:2] > 1.3)))

    def scaled(logits, f, *noise, **hyper):
        found = row.estimate(logits, f, *noise, **hyper)
        return found._replace(dq=found.dlogits * (1 + 1e-4 * noise[-1][0, ..., :1]))

    failed = {}
    for what, estimate in (("jumps", jumping), ("scale", scaled)):
        found = gumbel.integrated(replace(row, estimate=estimate), np.random.default_rng(means.SEED))
        about = "quadrature" if what == "jumps" else "ratios alone"
        judged = (not each.ok for each in found if each.check.startswith(about))
        failed[what] = list(
            itertools.islice(judged, 2)
        )  # at K = 2 and at K = 3; what comes after is dear, and not asked for
    assert failed == {"jumps": [True, True], "scale": [True, True]}


@pytest.mark.parametrize("name", GUMBEL)
def test_the_variance_by_parts_is_that_of_draws(name):
    """Parts of the noise add up; 60,000 draws know the variance to 3 per cent."""
    row, rng = TABLE[name], np.random.default_rng(0)
    logits, (_, objective) = rng.standard_normal((1, 1, 3)), means.objective_for(row, rng, 1, 3)
    theta, hyper = {"linear": np.zeros((1, 1, 3))}, means.defaults(row, 1, 3)
    outcomes, weights, winner = enumeration.gumbel_nodes(logits, 140)
    noise = tuple(outcomes[each] for each in row.noise)
    exactly = gumbel.additive_variance(row, logits, objective(theta), noise, weights, winner, hyper)
    many = enumeration.tiled(logits, 60_000)
    drawn = row.estimate(many, objective(theta), *draw(rng, many, 1, row.noise), **hyper).dlogits
    assert exactly == pytest.approx(drawn.var(0).sum(), rel=0.03)


# The contract.


def spoilt(what):
    """Functions (row, found, arguments) -> what comes back, each of which breaks one condition of the contract."""

    def made(row):
        calls = []

        def estimate(logits, f, *noise, **hyper):
            found = row.estimate(logits, f, *noise, **hyper)
            calls.append(1)
            if what == "shape of dlogits":
                return found._replace(dq=found.dlogits[0])
            if what == "shape of value":
                return found._replace(value=found.value[:, None])
            if what == "two calls differ":
                return found._replace(dq=found.dlogits * (1 + 1e-6 * len(calls)))
            if what == "inputs changed: logits":
                logits += 1
            if what == "inputs changed: noise":
                noise[-1][...] = noise[-1][::-1].copy()
            if what.startswith("dtype"):
                wide = lambda array: array.astype(np.float64)
                part = what.split(": ")[1]
                given = getattr(found, part)
                wider = {name: wide(array) for name, array in given.items()} if isinstance(given, dict) else wide(given)
                return found._replace(**{part.replace("dlogits", "dq"): wider})
            if what.startswith("not finite"):
                part = what.split(": ")[1]
                given = getattr(found, part)
                bad = (
                    {name: array * np.nan for name, array in given.items()}
                    if isinstance(given, dict)
                    else given * np.nan
                )
                return found._replace(**{part.replace("dlogits", "dq"): bad})
            if what == "examples mixed":
                return found._replace(dq=found.dlogits + 1e-2 * found.dlogits.mean(0))
            if what == "mean over the batch":
                return found._replace(dq=found.dlogits / len(logits))
            if what == "dtheta not the batch's sum":
                return found._replace(dtheta={name: each / len(logits) for name, each in found.dtheta.items()})
            return found

        return replace(row, estimate=estimate)

    return made


CONDITIONS = (
    *("shape of dlogits", "shape of value", "two calls differ", "examples mixed", "mean over the batch"),
    *("inputs changed: logits", "inputs changed: noise", "dtheta not the batch's sum"),
    *(
        "dtype: dlogits",
        "dtype: value",
        "dtype: dtheta",
        "not finite: dlogits",
        "not finite: value",
        "not finite: dtheta",
    ),
)


@pytest.mark.parametrize("what", CONDITIONS)
@pytest.mark.parametrize("name", ["reinforce", "rebar", "disarm"])
def test_a_contract_that_is_broken_in_one_place_is_broken(name, what):
    try:
        found = contract.contract(spoilt(what)(TABLE[name]), np.random.default_rng(means.SEED))
    except (IndexError, ValueError):  # shapes that cannot even be compared
        assert what.startswith("shape")
        return
    words, sizes = what.split(": ")[0], ("float32",) if what.startswith("dtype") else ("float32", "float64")
    assert not found.ok and all(f"{words} ({size})" in found.verdict for size in sizes), found


# The suite and its report.


def test_the_verification_goes_through_every_row(monkeypatch):
    seen = []
    monkeypatch.setattr(suite, "estimator_results", lambda row: seen.append(row.name) or ())
    parts = ("op", "identity", "law", "structured", "observation", "columns", "objective", "sampler", "relation")
    for part in (f"{name}_results" for name in parts):
        monkeypatch.setattr(suite, part, lambda: ())
    assert not list(suite.results()) and seen == list(TABLE)


def test_an_op_that_is_right_but_not_analytic_fails_the_verification(monkeypatch):
    real = lambda x: (np.tanh(x.real), lambda dy: dy * (1 - np.tanh(x.real) ** 2))
    real.__name__ = "real"
    monkeypatch.setattr(suite, "op_cases", lambda rng: [("real", real, {"x": rng.standard_normal((3, 4))})])
    assert not any(result.ok for result in suite.op_results())


def test_no_objective_looks_away_from_gradients_that_are_bent(monkeypatch):
    """All that is said of the whole objective fails, the order of the remainder too, when gradients are one per cent off."""
    right = vae.negative_elbo

    def bent_gradients(*arguments, **options):
        loss = right(*arguments, **options)
        bent = lambda tree: {name: 1.01 * array for name, array in tree.items()}
        return replace(loss, gradients={group: bent(tree) for group, tree in loss.gradients.items()})

    monkeypatch.setattr(vae, "negative_elbo", bent_gradients)
    for size, least in {
        "D": 4,
        "C": 2,
        "HIDDEN": (3, 2),
    }.items():  # what is wrong is gone through entry by entry
        monkeypatch.setattr(objectives, size, least)
    results = list(objectives.objective_results())
    assert results and not any(result.ok for result in results)
    assert {result.check.split()[0] for result in results} == {"complex", "Taylor"}


def test_a_failure_is_one_whatever_it_says():
    right = comparison("a", np.ones(3), np.ones(3))
    for error in (None, 0.0, np.inf):
        assert Report([Result(0, "", "", "", False, error)]).failed
    assert joined(1, "", "", [right, right]).ok
    assert not joined(1, "", "", [right, comparison("a", np.ones(3), 2 * np.ones(3)), right]).ok


# What judges lessons and answers.


def test_an_equation_is_confirmed_to_ten_digits_and_no_further_off():
    right = np.random.default_rng(0).standard_normal(5)
    lesson.confirm("1.1", right * (1 + 1e-10), right)
    with pytest.raises(AssertionError, match=r"Eq\. 1\.1"):
        lesson.confirm("1.1", right * (1 + 4e-10), right)
    with pytest.raises(AssertionError, match=r"Eq\. 1\.1"):
        lesson.confirm("1.1", np.full(3, 2e-13), np.zeros(3))


@pytest.mark.parametrize(("dtype", "limits"), [(np.float64, differences.FLOAT64), (np.float32, differences.FLOAT32)])
def test_an_answer_is_judged_entry_by_entry_to_what_its_dtype_holds(dtype, limits):
    """An entry may be off by its share and by a share of the largest: half of each passes, three times does not."""
    expected = np.array([1.0, -3.0, 1e-2])
    allowed = limits["relative"] * abs(expected) + 3 * limits["absolute"]
    assert 1e-10 < limits["relative"] < 1e-3 and limits["absolute"] < limits["relative"]
    for i in range(3):
        for times_, ok in ((0.5, True), (3, False)):
            answer = (expected + times_ * allowed * (np.arange(3) == i)).astype(dtype)
            assert differences.comparison_of_entries("", answer, expected).ok == ok, (i, times_)


# Every estimator: the relations, and the levels.

NOT_OF_THE_GRADIENT = {  # results on an estimator that do not look at its gradient, or at its size
    "the closed form has the least variance",
    "mean over codes: the exact gradient, all of theta",
    "... and of the prior's gradient",
    "the k most probable states count with their q",
    "one other state counts with all the rest",
    "constant f: its baseline leaves nothing",
    "the order of the set does not matter",
}


def results_of_relations():
    """{estimator: {check: ok}}."""
    rng, found = np.random.default_rng(suite.SEED_OF_RELATIONS), {}
    for each in (*suite.relation_results(), *identities.sampled_objective(rng)):
        found.setdefault(each.subject.removeprefix("objective (").rstrip(")"), {})[each.check] = each.ok
    return found


def test_the_relations_hold():
    assert all(all(checks.values()) for checks in results_of_relations().values())


@pytest.mark.parametrize("name", TABLE)
def test_no_relation_looks_away_from_a_gradient_that_is_bent(name, monkeypatch):
    """Every relation of this estimator fails when its gradient is off by a ten-thousandth, but for what must be biased."""
    monkeypatch.setattr(suite, "three_kls", lambda rng: ())  # of no estimator, as is held above, and dear
    monkeypatch.setitem(TABLE, name, changed(TABLE[name], bent))
    passed = {check for check, ok in results_of_relations().get(name, {}).items() if ok} - NOT_OF_THE_GRADIENT
    assert all(re.fullmatch(r"f of degree \d: relative bias", check) for check in passed), passed


@pytest.mark.parametrize("name", TABLE)
def test_a_bent_gradient_fails_at_the_level_of_its_mean(name):
    """Whatever the table claims: a mean that is off by a ten-thousandth is not unbiased, and what is unbiased is not biased."""
    row = TABLE[name]
    rng = np.random.default_rng(means.SEED)
    results = (
        levels.without_noise if not row.noise else gumbel.integrated if {"u", "v"} & set(row.noise)
        else levels.enumerated
    )  # fmt: skip
    about = lambda row: (each for each in results(row, rng) if "dlogits" in each.check)
    assert next(about(row)).ok
    assert not next(about(replace(changed(row, bent), unbiased=True))).ok
    if row.noise:
        assert not next(about(replace(row, unbiased=not row.unbiased))).ok
    assert not levels.zero_sum(changed(row, bent), rng).ok
    if row.noise and row.averages and row.fewest_samples == 1:
        assert not levels.averaged(changed(row, bent), rng).ok
    if row.tunes == "variance":
        assert not levels.variance_gradient(changed(row, bent), rng).ok
    if row.tunes == "baseline":
        assert not levels.baseline_gradient(changed(row, bent), rng).ok


@pytest.mark.parametrize("name", [row.name for row in TABLE.values() if row.unbiased and row.noise])
def test_a_bias_of_ten_per_cent_is_seen_in_draws(name):
    found = levels.sampled(changed(TABLE[name], lambda dlogits, S: 1.1 * dlogits))
    assert not found.ok and found.verdict.startswith("BIASED"), found


def test_what_is_enumerated_is_few_whatever_the_sizes():
    for N, K, S in itertools.product(range(1, 8), range(1, 10), range(1, 9)):
        fewer, less = means.feasible_sizes(TABLE["reinforce"], N, K, S)
        assert (less**fewer) ** S <= means.MOST_TUPLES and 1 <= fewer <= N and min(K, 2) <= less <= K


def antithetic(logits, u, signal):
    """A score-function estimate that jumps where the quadrature of Gumbel noise does not look: draws alone can judge it."""
    z = np.concatenate([perturbed.gumbel_max(logits, u), perturbed.gumbel_max(logits, 1 - u)])
    return (signal(z)[..., None, None] * categorical.score(logits, z)).mean(0)


@pytest.mark.parametrize(("function", "words"), [
    (lambda logits, f, u: antithetic(logits, u, lambda z: f(z)[0] - 1000), "INCONCLUSIVE"),  # as good as blind
    (lambda logits, f, u: antithetic(logits, u, lambda z: f(z)[0])
     + 0.3 * f(perturbed.gumbel_max(logits, u))[0].mean(0)[:, None, None] * (softmax(logits)[0] - 1 / logits.shape[-1]),
     "BIASED"),  # by a multiple of E[f], which may be zero
])  # fmt: skip
def test_what_draws_alone_can_judge_must_be_seen_by_them(function, words):
    report = judge(function)
    assert not report.ok and words in report.failed[0].verdict, report
    assert any("cannot be integrated" in result.verdict for result in report.results)


def loo(logits, f, z):
    return TABLE["reinforce_loo"].estimate(logits, f, z).dlogits


def in_the_probabilities(logits, f, z):
    return (f(z)[0][..., None, None] * np.eye(logits.shape[-1], dtype=logits.dtype)[z] / softmax(logits)[0]).mean(0)


@pytest.mark.parametrize(("function", "words"), [
    (lambda logits, f, z: len(z) * loo(logits, f, z), "a gradient summed over the samples"),
    (lambda logits, f, z: 0.9 * loo(logits, f, z), "the very f it is subtracted from (decay 0.9)"),
    (lambda logits, f, z: 0.95 * loo(logits, f, z), "the very f it is subtracted from (decay 0.95)"),
    (in_the_probabilities, "the gradient in the probabilities q"),
])  # fmt: skip
def test_a_mistake_whose_mean_is_known_is_called_by_its_name(function, words):
    assert any(words in result.explanation for result in judge(function).failed)
