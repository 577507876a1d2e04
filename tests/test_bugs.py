"""Level 6: every bug of the bank is caught by the check that claims it, and told by its name where that can be."""

from dataclasses import replace
from functools import partial

import bugs
import numpy as np
import pytest

from dvae_np import InputError, categorical, gumbel, softmax
from dvae_np.check import judge, judge_samples
from dvae_np.check.estimators import estimator_results
from dvae_np.estimators import TABLE


@pytest.mark.parametrize("bug", bugs.BANK, ids=lambda bug: bug.name)
def test_the_bug_is_caught(bug):
    found = bug.caught()
    assert not found.ok, found
    assert bug.words in str(found), found


@pytest.mark.parametrize("bug", [bug for bug in bugs.BANK if bug.missed], ids=lambda bug: bug.name)
def test_and_here_is_a_check_that_does_not_see_it(bug):
    found = bug.missed()
    assert found.ok, found


def test_the_unnormalised_and_the_unconditioned_draw_are_wrong_where_the_right_one_is_right():
    assert bugs.argmax_of_conditional(categorical.conditional_gumbel).ok
    assert bugs.marginal_of_conditional(categorical.conditional_gumbel).kind == "NO BIAS FOUND"


# A learner's functions: the gradient alone, with the mistakes of the bank.


def right(logits, f, z):
    fz, _ = f(z)
    return bugs.scored(logits, z, fz - fz.mean(0)) / (len(z) - 1)


def without_q(logits, f, z):
    fz, _ = f(z)
    return (fz[..., None, None] * np.eye(logits.shape[-1], dtype=logits.dtype)[z]).mean(0)


def shared_baseline(logits, f, z):
    fz, _ = f(z)
    return bugs.scored(logits, z, fz - fz.mean()) / len(z)


def relaxed_path(logits, f, u, tau=0.5):
    y, backward = softmax((logits + gumbel(u)) / tau)
    fy, f_backward = f(y)
    return backward(f_backward(np.full_like(fy, 1 / len(u)))[0]).sum(0) / tau


def relaxed_path_without_tau(logits, f, u, tau=0.5):
    return tau * relaxed_path(logits, f, u, tau)


def rebar_without_path(logits, f, u, v):
    omega = {"eta": np.ones((), logits.dtype), "log_tau": np.asarray(np.log(0.5), logits.dtype)}
    return bugs.control_variate(logits, f, u, v, omega=omega, through_zt=False).dlogits


LEARNERS = {
    bugs.own_sample: "includes its own sample",
    bugs.score_alone: "zero everywhere",
    bugs.ema_updated_first: "updated with the very f it is subtracted from (decay 0.9)",
    without_q: "the score lacks its -q",
    shared_baseline: "examples mixed",
    relaxed_path: "the mean of gumbel_softmax at tau = 0.5, which is biased by design",
    relaxed_path_without_tau: "without the factor 1/tau",
    rebar_without_path: "without the derivative through the conditional sample zt",
}


def test_a_right_estimator_of_a_learner_passes():
    report = judge(right)
    assert not report.failed and "UNBIASED (enumerated" in str(report), str(report)


@pytest.mark.parametrize("function", LEARNERS, ids=lambda function: function.__name__)
def test_a_learner_is_told_which_bug_it_is(function):
    report = judge(function)
    assert report.failed and LEARNERS[function] in str(report), str(report)


def straight(logits, f, z):
    fz, f_backward = f(np.eye(logits.shape[-1], dtype=logits.dtype)[z])
    return softmax(logits)[1](f_backward(np.full_like(fz, 1 / len(z)))[0].sum(0))


def independent_baseline(logits, f, z, u):
    (fz, _), (other, _) = f(z), f(categorical.gumbel_max(logits, u))
    return bugs.scored(logits, z, fz - other) / len(z)


def loo_from_gumbels(logits, f, u):
    z = categorical.gumbel_max(logits, u)
    fz, _ = f(z)
    return bugs.scored(logits, z, fz - fz.mean(0)) / (len(z) - 1)


def own_arm(logits, f, e):
    p = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    (above, _), (below, _) = f((e > 1 - p).astype(int)), f((e < p).astype(int))
    dphi = ((above - below)[..., None] * (e - 0.5)).mean(0)
    return np.stack([-dphi, dphi], -1)


def leaves(logits, f, z):
    raise SystemExit(0)


def test_other_noise_is_judged_by_what_can_judge_it():
    assert "biased by design" in str(judge(straight))
    assert not judge(own_arm).failed, str(judge(own_arm))
    assert not judge(loo_from_gumbels).failed, str(judge(loo_from_gumbels))
    report = judge(independent_baseline)  # u is not what made z: the nodes cannot integrate it, the z-tests can
    assert not report.failed and "cannot be integrated" in str(report) and "NO BIAS FOUND" in str(report)
    assert judge(leaves).failed and "SystemExit" in str(judge(leaves))
    assert "it returned a NoneType" in str(judge(lambda logits, f, z: None, "nothing"))


def score_of_the_bound(logits, f, z):
    """VIMCO, but for the part of the gradient through log q in the weights."""
    logq, logq_backward = categorical.log_prob(logits, z)
    shares = softmax((-f(z)[0] - logq).T)[0].T
    return TABLE["vimco"].estimate(logits, f, z).dlogits - logq_backward(shares)[0]


def with_entropy(logits, f, z):
    entropy_backward = categorical.entropy(logits)[1]
    return right(logits, f, z) - entropy_backward(np.ones(len(logits), logits.dtype))


def test_the_multi_sample_bound_is_judged_as_one():
    vimco = TABLE["vimco"].estimate
    assert "UNBIASED (enumerated" in str(judge(vimco, bound=True)) and not judge(vimco, bound=True).failed
    assert "judge it as one (bound=True, --bound)" in str(judge(vimco))
    assert "that of the multi-sample bound is due" in str(judge(right, bound=True))
    assert "without its second part" in str(judge(score_of_the_bound, bound=True))
    assert "less the entropy of q" in str(judge(with_entropy))


def test_binary_estimators_and_those_of_two_samples_are_judged_where_they_work():
    disarm = TABLE["disarm"].estimate
    assert "InputError" in str(judge(disarm))  # three categories are not for it
    assert not judge(disarm, S=2, binary=True).failed, str(judge(disarm, S=2, binary=True))
    double_cv = partial(TABLE["double_cv"].estimate, omega={"alpha": 0.1})
    assert not judge(double_cv, S=2, binary=True).failed, str(judge(double_cv, S=2, binary=True))
    fifth = lambda logits, f, coupled: disarm(logits, f, coupled).dlogits / 5
    assert "a factor 0.2" in str(judge(fifth, S=2, binary=True))
    with pytest.raises(InputError, match="S: expected"):
        judge(right, S=0)


def test_a_product_of_two_draws_is_not_taken_for_a_sum():
    """Gumbel-Rao with the *product* of its inner draws' Jacobians: one set of nodes for both would give a wrong mean."""

    def product(logits, f, z, v, w, *, tau=1.0):
        rao = TABLE["gumbel_rao"].estimate
        one, other = rao(logits, f, z, v, tau=tau), rao(logits, f, z, w, tau=tau)
        return one._replace(dlogits=one.dlogits * other.dlogits)

    row = replace(TABLE["gumbel_rao"], estimate=product, noise=("z", "v", "v"))
    failed = [result.check for result in estimator_results(row) if not result.ok]
    assert any("parts of the noise add up" in check for check in failed), failed


def test_a_table_row_that_is_not_finite_at_the_nodes_fails():
    def broken(logits, f, u, *, tau=1.0):
        right = TABLE["gumbel_softmax"].estimate(logits, f, u, tau=tau)
        far = (u < 1e-5).any((0, 2, 3))[:, None, None]
        return right._replace(dlogits=np.where(far, np.nan, right.dlogits))

    with np.errstate(all="ignore"):
        results = list(estimator_results(replace(TABLE["gumbel_softmax"], estimate=broken)))
    assert any(result.level == 3 and not result.ok for result in results)


def test_gradients_of_any_size_are_judged():
    exact, draws = np.array([1.0, 1.0, 0.0]), np.random.default_rng(1).standard_normal((20_000, 3))
    for size in (1e-200, 1.0, 1e200):
        assert "NO BIAS FOUND" in str(judge_samples(size * (exact + draws), size * exact))
        assert "BIASED" in str(judge_samples(-size * (exact + draws), size * exact))


def test_what_raises_or_has_the_wrong_shape_is_invalid():
    assert "IndexError" in str(judge(lambda logits, f, z: logits[99], "broken"))
    assert "INVALID" in str(judge(lambda logits, f, z: logits[..., 0], "flat"))


def test_samples_of_any_program_are_judged():
    exact = np.array([[0.5, -0.2, -0.3]])
    draws = exact + np.random.default_rng(0).standard_normal((50_000, 1, 3))
    assert not judge_samples(draws, exact).failed
    report = judge_samples(draws / 8, exact, B=8)
    assert report.failed and "1/B = 1/8" in str(report)
