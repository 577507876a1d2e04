"""The checker of anyone's objective: for each thing that it promises to find, a wrong f; and right ones pass."""

import numpy as np
import pytest

from dvae_np import TABLE, InputError, draw, reinforce_loo
from dvae_np.check import check_objective, polynomial
from dvae_np.check.means import defaults

N, K = 2, 3
RNG = np.random.default_rng(3)
W = np.random.default_rng(0).standard_normal((N, K))
hot = lambda z: np.eye(K)[z] if z.dtype.kind in "iu" else z


def smooth(z):
    """A right f: a square of a sum over the codes."""
    total = (hot(z) * W).sum((-1, -2))
    return total**2, lambda d: ((2 * d * total)[..., None, None] * W + 0 * hot(z), {})


def black_box(z):
    return (z == 1).sum(-1) + 0.5 * z[..., 0], lambda d: (None, {})


def kinked(z):
    total = (hot(z) * W).sum((-1, -2))
    return abs(total), lambda d: ((d * np.sign(total))[..., None, None] * W + 0 * hot(z), {})


def test_a_right_objective_passes_and_allows_every_estimator():
    report = check_objective(smooth, N, K)
    assert report.ok and set(report.refuses) == {name for name, row in TABLE.items() if row.binary}
    assert check_objective(polynomial(np.random.default_rng(1).standard_normal((2, 3, 2)), 3), 3, 2).refuses == {}


def test_a_black_box_allows_what_needs_no_slope():
    report = check_objective(black_box, N, 2)
    assert report.ok and report.facts["takes relaxed codes"] == "no"
    assert set(report.allows) == {name for name, row in TABLE.items() if row.gradient_of_f == "none"}
    assert "without a right slope dz: not gumbel_softmax" in str(report)


def test_a_kink_is_no_mistake_but_too_little_for_learned_relaxations():
    report = check_objective(kinked, N, K)
    assert report.ok and report.facts["analytic"] == "no"
    assert {"rebar", "relax"} <= set(report.refuses) and "gumbel_softmax" in report.allows
    logits = RNG.standard_normal((1, N, K))
    for name in ("rebar", "relax"):
        noise = draw(RNG, logits, 2, TABLE[name].noise)
        with pytest.raises(InputError, match="f: expected an analytic one"):
            TABLE[name].estimate(logits, kinked, *noise, **defaults(TABLE[name], N, K))


@pytest.mark.parametrize("name", TABLE)
def test_what_is_allowed_runs(name):
    row, rng = TABLE[name], np.random.default_rng(2)
    n, k = (3, 2) if row.binary else (N, K)
    f = (lambda z: ((z**2).sum(-1) * 1.0, lambda d: (None, {}))) if row.gradient_of_f == "none" else polynomial(
        rng.standard_normal((2, n, k)), 2)  # fmt: skip
    assert name in check_objective(f, n, k).allows
    logits = rng.standard_normal((4, n, k))
    found = row.estimate(logits, f, *draw(rng, logits, row.samples(2), row.noise), **defaults(row, n, k))
    assert np.isfinite(found.dlogits).all()


def of_the_batch(z):
    fz, backward = smooth(z)
    return fz - fz.mean(1, keepdims=True), backward


def random(z):
    fz, backward = smooth(z)
    return fz + RNG.standard_normal(fz.shape), backward


def other_codes(z):
    fz, backward = smooth(z)
    return (fz + 1 if z.dtype.kind in "iu" else fz), backward


def wrong_slope(z):
    fz, backward = smooth(z)
    return fz, lambda d: (0.9 * backward(d)[0], {})


def infinite(z):
    fz, backward = smooth(z)
    return np.where(fz > 0, np.inf, fz), backward


WRONG = {
    of_the_batch: "each example sees its own codes alone", infinite: "finite",
    other_codes: "one-hots are worth what their codes are", wrong_slope: "its slope dz is right",
}  # fmt: skip


@pytest.mark.parametrize("f", WRONG)
def test_each_mistake_is_found_and_named(f):
    with np.errstate(all="ignore"):
        report = check_objective(f, N, K)
    assert not report.ok and report.facts[WRONG[f]] not in ("yes", "no")
    if f in (other_codes, wrong_slope):
        assert "gumbel_softmax" in report.refuses and "reinforce_loo" in report.allows


@pytest.mark.parametrize(("f", "words"), [
    (lambda z: z.sum(-1) * 1.0, r"f: expected \(fz, backward\), and of a black box .* got ndarray"),
    (lambda z: (z.sum(-1) * 1.0, None), r"f: expected \(fz, backward\)"),
    (lambda z: (z * 1.0, lambda d: (None, {})), r"fz: expected shape \(4, 3\)"),
    (lambda z: (z.sum(-1), lambda d: (None, {})), "fz: expected floating-point numbers"),
    (lambda z: (z.sum(-1) * 1.0, lambda d: None), r"f: its backward must return \(dz, dtheta\)"),
])  # fmt: skip
def test_an_f_of_another_form_is_refused_in_one_sentence(f, words):
    with pytest.raises(InputError, match=f"^{words}"):
        check_objective(f, N, K)
    if "backward must" not in words:
        with pytest.raises(InputError, match=f"^{words.replace('4, 3', '2, 4')}"):
            reinforce_loo(np.zeros((4, N, K)), f, np.zeros((2, 4, N), int))


def mixed_samples(z):
    fz, backward = smooth(z)
    return fz - fz.mean(0), backward


def in_place(z):
    fz, backward = smooth(z)
    z *= 0
    return fz, backward


@pytest.mark.parametrize(("f", "what"), [(mixed_samples, "each sample sees its own codes alone"),
                                         (in_place, "leaves its codes as they are")])  # fmt: skip
def test_an_f_whose_values_cannot_be_used_allows_nothing(f, what):
    report = check_objective(f, N, K)
    assert not report.ok and report.facts[what] != "yes" and report.allows == ()


def test_nan_is_not_taken_for_chance():
    report = check_objective(lambda z: (z.sum(-1) * np.nan, lambda d: (None, {})), N, K)
    assert report.facts["answers twice the same"] == "yes" and report.facts["finite"] != "yes" and report.allows == ()


@pytest.mark.parametrize(("f", "n", "k"), [(None, 2, 3), (smooth, 0, 3), (smooth, 2, 1),
                                           (lambda z: (z.sum(-1) * 1j, lambda d: (None, {})), 2, 3)])  # fmt: skip
def test_what_is_no_objective_is_refused(f, n, k):
    with pytest.raises(InputError):
        check_objective(f, n, k)


def test_an_f_that_draws_by_itself_allows_what_is_linear_in_its_values():
    report = check_objective(random, N, 2)
    assert report.ok and report.facts["answers twice the same"] == "no"
    assert set(report.allows) == {
        name for name, row in TABLE.items() if row.gradient_of_f == "none" and not row.owns_kl
    }


def test_leave_one_out_is_unbiased_for_a_simulator():
    """Its costs are exponential with a mean that the code decides; 20,000 draws, five standard errors."""
    costs, logits, R = np.array([1.0, 0.4, 0.8]), np.array([[[0.3, -0.2, 0.1]]]), 20_000
    rng, many = np.random.default_rng(5), np.repeat(logits, R, 0)
    simulator = lambda z: (rng.exponential(costs[z[..., 0]]), lambda d: (None, {}))
    each = reinforce_loo(many, simulator, *draw(rng, many, 4, ("z",))).dlogits
    exact = TABLE["exact"].estimate(logits, lambda z: (costs[z[..., 0]], lambda d: (None, {}))).dlogits[0]
    assert (abs(each.mean(0) - exact) < 5 * each.std(0) / R**0.5).all()
