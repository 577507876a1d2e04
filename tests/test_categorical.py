"""The categorical distribution: values, laws of the samplers, extremes."""

import itertools
import math

import numpy as np
import pytest

from dvae_np import categorical, concrete, ops, perturbed
from dvae_np.arrays import InputError
from dvae_np.check.identities import identity_results, sampler_results
from dvae_np.coupling import count_orders, ends_orders
from dvae_np.laws import Independent, joint_states
from dvae_np.noise import draw

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("results", [identity_results, sampler_results])
def test_identities_and_laws(results):
    found = list(results())
    assert found and not [result for result in found if not result.ok]


def test_kl_by_hand():
    """Two biased coins, worked out on paper: 0.8 log(0.8/0.5) + 0.2 log(0.2/0.5), and the mistake 1/K for log(1/K)."""
    q, p = np.log([[[0.8, 0.2]]]), np.log([[[0.5, 0.5]]])
    expected = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    assert categorical.kl(q)[0] == pytest.approx(expected, rel=1e-14)
    assert categorical.kl(q, p)[0] == pytest.approx(expected, rel=1e-14)


def test_log_prob_of_every_state_sums_to_one():
    logits = RNG.standard_normal((3, 4, 2))
    states = joint_states(4, 2)
    p = np.exp(categorical.log_prob(logits, states[:, None])[0])
    np.testing.assert_allclose(p.sum(0), 1, rtol=1e-14)
    np.testing.assert_allclose(probability(logits, states)[0], p, rtol=1e-14)
    marginals, _ = Independent(logits).marginals()
    np.testing.assert_allclose(marginals, np.einsum("mb,mnk->bnk", p, np.eye(2)[states]), rtol=1e-13)
    entropy = -(p * np.log(p)).sum(0)
    np.testing.assert_allclose(categorical.entropy(logits)[0], entropy, rtol=1e-13)
    np.testing.assert_allclose(categorical.kl(logits)[0], 4 * math.log(2) - entropy, rtol=1e-12)
    np.testing.assert_array_equal(Independent(logits).mode(), logits.argmax(-1))
    assert (states[p.argmax(0)] == Independent(logits).mode()).all()


@pytest.mark.parametrize(("N", "K"), [(1, 5), (3, 2), (2, 4), (3, 1)])
def test_joint_states_are_the_product_in_order(N, K):
    expected = list(itertools.product(range(K), repeat=N))
    assert joint_states(N, K).tolist() == [list(state) for state in expected]
    middle = joint_states(N, K, 1, K**N - 1)
    assert middle.tolist() == [list(state) for state in expected[1:-1]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits(dtype):
    """Probabilities that underflow to 0: finite values, right limits, finite gradients."""
    sure, other = np.array([[[1e4, 0, -1e4]]], dtype), np.array([[[-1e4, 0, 1e4]]], dtype)
    value, backward = categorical.kl(sure, other)
    assert value[0] == pytest.approx(2e4) and all(np.isfinite(g).all() for g in backward(np.ones(1, dtype)))
    assert categorical.kl(sure)[0][0] == pytest.approx(math.log(3), rel=1e-6)
    value, backward = categorical.entropy(sure)
    assert value[0] == 0 and np.isfinite(backward(np.ones(1, dtype))).all()
    z = np.array([[[2]], [[0]]])
    assert categorical.log_prob(sure, z)[0].ravel().tolist() == [-2e4, 0.0]
    for array in (value, categorical.score(sure, z), categorical.kl(sure, other)[0]):
        assert array.dtype == dtype and np.isfinite(array).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniforms_at_the_ends_of_their_range(dtype):
    eps = np.finfo(dtype).eps
    ends = np.array([0, np.finfo(dtype).tiny, eps / 4, 1 - eps / 2, 1], dtype)
    noise = perturbed.gumbel(ends)
    assert np.isfinite(noise).all() and noise.dtype == dtype and (np.diff(noise) >= 0).all()
    logits = np.log(np.array([[[0.5, 0.5, 1e-45]]], np.float64)).astype(dtype)
    logits[..., 2] = -1e4  # probability zero
    assert categorical.codes(logits, ends[:, None, None]).ravel().tolist() == [0, 0, 0, 1, 1]


def test_a_category_of_probability_zero_is_never_drawn():
    logits = np.array([[[-1e4, 0.3, -1e4, 0.1, -1e4]]])
    z = categorical.codes(logits, np.linspace(0, 1, 1001)[:, None, None])
    assert set(z.ravel().tolist()) == {1, 3}


def test_draw_uses_the_open_interval_and_the_dtype_of_the_logits():
    class Zero:
        def random(self, shape, dtype):
            return np.zeros(shape, dtype)

    logits = np.zeros((2, 3, 4), np.float32)
    z, u, v = draw(Zero(), logits, 5, ("z", "u", "v"))
    assert z.shape == (5, 2, 3) and u.shape == v.shape == (5, 2, 3, 4)
    assert u.dtype == np.float32 and (u > 0).all()


def test_one_category_is_certain():
    logits = RNG.standard_normal((3, 2, 1))
    (z,) = draw(RNG, logits, 4, ("z",))
    assert (z == 0).all() and (perturbed.gumbel_max(logits, RNG.random((4, 3, 2, 1))) == 0).all()
    assert categorical.kl(logits)[0].tolist() == categorical.entropy(logits)[0].tolist() == [0, 0, 0]


def test_gumbel_max_follows_the_perturbed_logits():
    logits, u = RNG.standard_normal((3, 2, 4)), RNG.random((5, 3, 2, 4))
    expected = (ops.log_softmax(logits)[0] - np.log(-np.log(u))).argmax(-1)
    np.testing.assert_array_equal(perturbed.gumbel_max(logits, u), expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: categorical.log_prob(np.zeros((2, 3)), np.zeros((1, 2, 3), int)),
            r"logits: expected shape \(B, N, K\)",
        ),
        (lambda: categorical.log_prob(np.zeros((2, 3, 4)), np.zeros((1, 5, 3), int)), r"z: expected shape \(S, 2, 3\)"),
        (
            lambda: categorical.log_prob(np.zeros((2, 3, 4)), np.zeros((1, 2, 3))),
            "z: expected integer codes, got dtype",
        ),
        (
            lambda: categorical.log_prob(np.zeros((2, 3, 4)), np.full((1, 2, 3), 4)),
            "codes from 0 to K-1 = 3, got 4 to 4",
        ),
        (lambda: categorical.kl(np.zeros((2, 3, 4)), np.zeros((2, 3, 5))), r"p_logits: expected shape \(2, 3, 4\)"),
        (lambda: draw(RNG, np.zeros((2, 3, 4)), 0, ("z",)), "S: expected at least 1, a whole number, got 0"),
        (
            lambda: draw(RNG, np.zeros((2, 3, 4)), 1, ("w",)),
            "noise: expected names among z, u, v, e, coupled, distinct, got 'w'",
        ),
        (lambda: draw(RNG, [[0.0]], 1, ("z",)), "logits: expected an array"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


# A logit of -inf rules its category out.

N, K = 3, 4


def masked_problem(dtype, masked, B=5):
    """Logits over K - 1 categories, and over K with one of -inf; the same of a prior."""
    small = [RNG.standard_normal((rows, N, K - 1)).astype(dtype) for rows in (B, 1)]
    return small, [np.insert(array, masked, -np.inf, axis=-1) for array in small]


def probability(logits, states):
    """q(z) of states (m, N) as an op of plain logits."""
    value, backward = Independent(logits).probability()(states)
    return value, lambda dvalue: backward(dvalue).logits


@pytest.mark.parametrize("masked", range(K))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("B", [1, 2, 5])
def test_a_masked_category_is_not_there(dtype, masked, B):
    """Each function's value and gradients beside those of the problem without the category; the masked gradient is 0."""
    (small, small_prior), (large, prior) = masked_problem(dtype, masked, B)
    S, close = 6, 1e-5 if dtype is np.float32 else 1e-13
    z = RNG.integers(0, K - 1, (S, B, N))
    v, u = RNG.random((2, S, B, N, K - 1)).astype(dtype)
    grow = lambda codes: codes + (codes >= masked)
    wide = lambda array, filling=0.3: np.insert(array, masked, filling, axis=-1)
    shared = joint_states(N, K - 1)[:, None]
    shared = shared if B > 1 else shared.repeat(1, 1)
    tau = 0.7
    pairs = {
        "log_prob": (categorical.log_prob(small, z), categorical.log_prob(large, grow(z))),
        "log_prob, shared": (categorical.log_prob(small, shared), categorical.log_prob(large, grow(shared))),
        "probability": (probability(small, shared[:, 0]), probability(large, grow(shared[:, 0]))),
        "entropy": (categorical.entropy(small), categorical.entropy(large)),
        "kl": (categorical.kl(small, small_prior), categorical.kl(large, prior)),
        "kl_per_latent": (categorical.kl_per_latent(small, small_prior), categorical.kl_per_latent(large, prior)),
        "conditional_gumbel": (
            perturbed.conditional_gumbel(small, z, v),
            perturbed.conditional_gumbel(large, grow(z), wide(v)),
        ),
        "relaxed_kl": (
            concrete.relaxed_kl(small, u, tau, small_prior),
            concrete.relaxed_kl(large, wide(u), tau, prior),
        ),
        "plug_in_kl": (
            concrete.plug_in_kl(small, u, tau, small_prior),
            concrete.plug_in_kl(large, wide(u), tau, prior),
        ),
        "softmax": (ops.softmax(small), ops.softmax(large)),
        "log_softmax": (ops.log_softmax(small), ops.log_softmax(large)),
    }
    xi = ops.log_softmax(RNG.standard_normal((S, B, N, K - 1)).astype(dtype))[0]
    pairs["concrete_log_prob"] = (concrete.concrete_log_prob(small, xi, tau),
                                  concrete.concrete_log_prob(large, wide(xi, -np.inf), tau))  # fmt: skip
    for name, ((right, right_backward), (found, found_backward)) in pairs.items():
        over_categories = right.shape[-1] == K - 1 and right.ndim > 2
        value = np.delete(found, masked, -1) if over_categories else found
        np.testing.assert_allclose(value, right, rtol=close, atol=close, err_msg=name)
        dy = RNG.standard_normal(right.shape).astype(dtype)
        gradients = found_backward(wide(dy, 0 if name.endswith("softmax") else 0.8) if over_categories else dy)
        expected = right_backward(dy)
        expected, gradients = (x if isinstance(x, tuple) else (x,) for x in (expected, gradients))
        for one, other in zip(expected, gradients, strict=True):
            if one is not None:
                assert other.dtype == dtype and not other[..., masked].any(), name
                np.testing.assert_allclose(
                    np.delete(other, masked, -1), one, rtol=100 * close, atol=100 * close, err_msg=name
                )
    np.testing.assert_array_equal(perturbed.gumbel_max(large, wide(u)), grow(perturbed.gumbel_max(small, u)))
    np.testing.assert_allclose(categorical.score(large, grow(z)), wide(categorical.score(small, z), 0), atol=close)
    e = RNG.random((S, B, N)).astype(dtype)
    np.testing.assert_array_equal(categorical.codes(large, e), grow(categorical.codes(small, e)))
    np.testing.assert_allclose(categorical.kl(large)[0], N * np.log(K) - categorical.entropy(small)[0], rtol=10 * close)
    ends = np.array([0, np.finfo(dtype).tiny, 0.5, 1 - np.finfo(dtype).eps / 2, 1], dtype)
    assert (categorical.codes(large, np.broadcast_to(ends[:, None, None], (5, B, N))) != masked).all()
    order = categorical.distinct(large, RNG.random((B, K**N)).astype(dtype))
    possible = (order[: (K - 1) ** N] != masked).all(-1)
    assert possible.all() and (order[(K - 1) ** N :] == masked).any(-1).all()


def test_codes_of_a_masked_category_have_no_probability_and_a_prior_that_lacks_one_is_infinitely_far():
    logits, free = np.array([[[0.3, -np.inf, 0.1]]]), np.zeros((1, 1, 3))
    for states in (np.array([[[1]]]), np.array([[[1]], [[0]]])):
        assert categorical.log_prob(logits, states)[0][0, 0] == -np.inf
    assert categorical.log_prob(np.repeat(logits, 2, 0), np.ones((1, 2, 1), int))[0].tolist() == [[-np.inf, -np.inf]]
    assert categorical.kl(free, logits)[0][0] == np.inf
    for one, other in ((logits, None), (logits, free), (free, logits)):
        with pytest.raises(InputError, match="prior_logits: expected -inf where the logits are"):
            concrete.relaxed_kl(one, np.full((1, 1, 1, 3), 0.5), 1.0, other)


@pytest.mark.parametrize("kind", [np.float64, np.asarray])
def test_no_temperature_turns_float32_into_float64(kind):
    logits, prior = (RNG.standard_normal((rows, N, K)).astype(np.float32) for rows in (5, 1))
    u = RNG.random((2, 5, N, K)).astype(np.float32)
    xi = ops.log_softmax(np.log(u))[0]
    for value, backward in (
        concrete.concrete_log_prob(logits, xi, kind(0.5)),
        concrete.relaxed_kl(logits, u, kind(0.5), prior),
        concrete.plug_in_kl(logits, u, kind(0.5), prior),
        concrete.relaxed_kl(logits, u, kind(0.5)),
    ):
        assert value.dtype == np.float32
        assert all(gradient is None or gradient.dtype == np.float32 for gradient in backward(np.ones_like(value)))


@pytest.mark.parametrize("K", [1, 2, 3, 7])
def test_every_pair_of_categories_is_first_and_last_in_one_order(K):
    """And the others keep their places between: so every pair can meet, and none is favoured."""
    orders = ends_orders(np.arange(count_orders(K)), K)
    assert sorted(map(tuple, orders[:, [0, -1]])) == sorted(itertools.permutations(range(K), 2)) or K == 1
    assert (np.sort(orders, 1) == np.arange(K)).all() and (np.diff(orders[:, 1:-1], axis=1) > 0).all()
