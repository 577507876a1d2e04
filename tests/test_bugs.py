"""Level 6: every bug of the bank is caught by the check that claims it, and told by its name where that can be."""

from dataclasses import replace
from functools import partial

import bugs
import bugs_bounds
import bugs_quantised
import numpy as np
import pytest

from dvae_np import InputError, categorical, gumbel, perturbed, softmax
from dvae_np.check import judge, judge_samples
from dvae_np.check.levels import estimator_results
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
    assert bugs.argmax_of_conditional(perturbed.conditional_gumbel).ok
    assert bugs.marginal_of_conditional(perturbed.conditional_gumbel).kind == "NO BIAS FOUND"


def held_rotation(e):
    turn = bugs_quantised.held_rotation()
    return turn.ahead(e), turn.back


@pytest.mark.parametrize("check", [
    lambda: bugs_quantised.slopes_of_losses(bugs_quantised.published, "codebook"),
    lambda: bugs_quantised.slopes_of_losses(bugs_quantised.published, "e"),
    lambda: bugs_quantised.nothing_is_nearer(bugs_quantised.looked_up_first),
    lambda: bugs_quantised.descends(bugs_quantised.looked_up_first),
    lambda: bugs_quantised.unused_stays(bugs_quantised.looked_up_first, 3000),
    lambda: bugs_quantised.is_an_entry(held_rotation),
    lambda: bugs_quantised.levels_are_used(3),
    lambda: bugs_quantised.levels_are_used(4),
    lambda: bugs_quantised.zero_is_in_the_middle(4, np.arctanh),
    lambda: bugs_bounds.slope_of_bound(lambda cost: softmax(-cost)[0], bugs_bounds.COSTS),
    lambda: bugs_bounds.mean_of_operator(0.0, 6.9),
])  # fmt: skip
def test_the_checks_of_codebooks_and_bounds_pass_what_is_right(check):
    assert check().ok, check()


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
    (fz, _), (other, _) = f(z), f(perturbed.gumbel_max(logits, u))
    return bugs.scored(logits, z, fz - other) / len(z)


def loo_from_gumbels(logits, f, u):
    z = perturbed.gumbel_max(logits, u)
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
    for name in ("sum_and_sample", "carms"):
        report = judge(TABLE[name].estimate, S=5)
        assert not report.failed, str(report)
    with pytest.raises(InputError, match="S: expected"):
        judge(right, S=0)


# What a first version of the judge got wrong: right ones that it failed, and wrong ones that it passed.


def scored(logits, z, signal):
    return bugs.scored(logits, z, signal) / len(z)


def far_baseline(logits, f, z, value=3.0):  # so noisy that the z-tests see nothing; the enumerated mean does
    return scored(logits, z, f(z)[0] - value)


def not_zero_in_each_draw(logits, f, z):
    """q_k (f(z with z_n = k) - f(z)): it sums to zero over k on average alone."""
    q, fz = softmax(logits)[0], f(z)[0]
    gradient = np.zeros_like(logits)
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            other = z.copy()
            other[..., n] = k
            gradient[:, n, k] = (q[:, n, k] * (f(other)[0] - fz)).mean(0)
    return gradient


TUNABLE = {"b": np.ones(())}


def learned_baseline(logits, f, z, *, omega=TUNABLE):
    return scored(logits, z, f(z)[0] - omega["b"])


def two_of_gumbels(logits, f, u):
    assert len(u) == 2
    return right(logits, f, perturbed.gumbel_max(logits, u))


def antithetic(logits, f, u):  # jumps where the quadrature of Gumbel noise does not look
    z = np.concatenate([perturbed.gumbel_max(logits, u), perturbed.gumbel_max(logits, 1 - u)])
    return scored(logits, z, f(z)[0])


def textbook_rebar(logits, f, u, v, tau=0.5):
    """REBAR for two categories, with -log v as books have it: v must never be 1."""
    assert logits.shape[-1] == 2
    z = perturbed.gumbel_max(logits, u)
    q, softmax_backward = softmax(logits)
    top = -np.log(-np.log(np.take_along_axis(v, z[..., None], -1)))
    below = -np.log(-np.log(v) / q + np.exp(-top))
    hard = np.eye(2, dtype=logits.dtype)[z]
    through_below = np.exp(below) * -np.log(v) / q**2 * (1 - hard)  # d zt / d q
    (free, free_backward), (tied, tied_backward) = (softmax(each / tau) for each in
                                                    (np.log(q) + gumbel(u), np.where(hard > 0, top, below)))  # fmt: skip
    (c_free, f_free), (c_tied, f_tied) = f(free), f(tied)
    one = np.full_like(c_free, 1 / len(u))
    d_free = (free_backward(f_free(one)[0]) / tau / q).sum(0)
    d_tied = (tied_backward(f_tied(one)[0]) / tau * through_below).sum(0)
    return scored(logits, z, f(z)[0] - c_tied) + softmax_backward(d_free - d_tied)


def smooth_in_e(logits, f, e):  # LAX on logistic noise, no polynomial of e
    phi = logits[..., 1] - logits[..., 0]
    b = phi + np.log(e) - np.log1p(-e)
    c, slope = 0.2 * np.tanh(b).sum(-1), 0.2 * (1 - np.tanh(b) ** 2)
    dphi = ((f((b > 0).astype(int))[0] - c)[..., None] * (2 * e - 1) + slope).mean(0)  # d log p(b) / d phi = 2 e - 1
    return np.stack([-dphi, dphi], -1)


RIGHT = {far_baseline: {}, not_zero_in_each_draw: {}, learned_baseline: {}, two_of_gumbels: {"S": 2}, antithetic: {},
         textbook_rebar: {"binary": True}, smooth_in_e: {}, right: {"S": 8}}  # fmt: skip


@pytest.mark.parametrize("function", RIGHT, ids=lambda function: function.__name__)
def test_a_right_estimator_of_any_kind_passes(function):
    report = judge(function, **RIGHT[function])
    assert not report.failed, str(report)


def proportional_to_f(logits, f, u):
    """Codes that no quadrature sees, and a score that lacks its q: an error proportional to E[f]."""
    q = softmax(logits)[0]
    z = np.minimum((u[..., :1] > q.cumsum(-1)).sum(-1), q.shape[-1] - 1)
    hard = np.eye(q.shape[-1], dtype=q.dtype)[z]
    return (f(z)[0][..., None, None] * (hard - np.float32(1 / q.shape[-1]))).mean(0)


def tunables_that_matter(logits, f, z, *, omega=TUNABLE):
    return omega["b"] * scored(logits, z, f(z)[0])


def probabilities(logits, f, z):
    hard = np.eye(logits.shape[-1], dtype=logits.dtype)[z]
    return (f(z)[0][..., None, None] * hard).mean(0) / softmax(logits)[0]


def divided_by_the_batch(logits, f, z):
    return right(logits, f, z) / len(logits)


def draws_itself(logits, f, z):
    return right(logits, f, z) * np.random.random()


def an_epsilon(logits, f, z):
    return right(logits, f, z) * (1 + 1e-7)


def gapped(logits, f, z, tau=0.7, gap=2.0):
    return TABLE["gapped_straight_through"].estimate(logits, f, z, tau=tau, gap=gap).dlogits


def rao(logits, f, z, v):  # its mean is that of straight-through Gumbel-Softmax, of which it is the conditional mean
    return TABLE["gumbel_rao"].estimate(logits, f, z, v).dlogits


def no_temperature(logits, f, u, tau=None):
    return relaxed_path(logits, f, u)


WRONG = {
    proportional_to_f: "E[f] = 1 standard deviation",
    tunables_that_matter: "right but for a factor",
    probabilities: "the gradient in the probabilities q",
    divided_by_the_batch: "it is divided by B",
    draws_itself: "it draws or remembers something by itself",
    an_epsilon: "right but for 1e-07 of it",
    gapped: "the mean of gapped_straight_through at tau = 0.7, gap = 2.0",
    rao: "the mean of straight_through_gumbel at tau = 1.0",
    no_temperature: "the mean of gumbel_softmax at tau = 0.5",
}


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
def test_a_wrong_estimator_of_any_kind_is_told_why(function):
    report = judge(function)
    assert report.failed and WRONG[function] in str(report), str(report)


def test_what_cannot_be_judged_is_refused_and_an_exception_says_where():
    with pytest.raises(InputError, match="noise one of"):
        judge(lambda logits, f, e, v: logits)
    with pytest.raises(InputError, match="at most 8"):
        judge(right, S=9, bound=True)
    assert f"(line {leaves.__code__.co_firstlineno + 1}; called with logits (5, 2, 3), z (4, 5, 2))" in str(
        judge(leaves)
    )


def test_a_product_of_two_draws_is_not_taken_for_a_sum():
    """Gumbel-Rao with the *product* of its inner draws' Jacobians: one set of nodes for both would give a wrong mean."""

    def product(logits, f, z, v, w, *, tau=1.0):
        rao = TABLE["gumbel_rao"].estimate
        one, other = rao(logits, f, z, v, tau=tau), rao(logits, f, z, w, tau=tau)
        return one._replace(dq=one.dlogits * other.dlogits)

    row = replace(TABLE["gumbel_rao"], estimate=product, noise=("z", "v", "v"))
    failed = [result.check for result in estimator_results(row) if not result.ok]
    assert any("parts of the noise add up" in check for check in failed), failed


def test_a_table_row_that_is_not_finite_at_the_nodes_fails():
    def broken(logits, f, u, *, tau=1.0):
        right = TABLE["gumbel_softmax"].estimate(logits, f, u, tau=tau)
        far = (u < 1e-5).any((0, 2, 3))[:, None, None]
        return right._replace(dq=np.where(far, np.nan, right.dlogits))

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


def test_a_hint_fits_every_size_at_which_the_estimator_is_wrong():
    """With two samples of two latents 1/2 has four names; with three and four samples it has one."""
    found = {result.explanation for result in judge(bugs.own_sample).failed}
    assert found == {
        "it is right but for a factor 1 - 1/S: the baseline includes its own sample, or S stands where S - 1 belongs"
    }
