"""Level 6: every bug of the bank is caught by the check that claims it, and told by its name where that can be."""

import bugs
import numpy as np
import pytest

from dvae_np import categorical, gumbel, softmax
from dvae_np.check import judge, judge_samples


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
    report = str(judge(independent_baseline))  # u is not what made z: the nodes cannot integrate it, the z-tests can
    assert "BIASED" not in report and "NO BIAS FOUND" in report
    assert judge(leaves).failed and "SystemExit" in str(judge(leaves))
    assert "it returned a NoneType" in str(judge(lambda logits, f, z: None, "nothing"))


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
