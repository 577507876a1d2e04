"""The categorical distribution: values, laws of the samplers, extremes."""

import itertools
import math

import numpy as np
import pytest

from dvae_np import categorical, ops
from dvae_np.arrays import InputError
from dvae_np.check.identities import identity_results, sampler_results
from dvae_np.noise import draw

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("result", [*identity_results(), *sampler_results()], ids=lambda r: f"{r.subject}: {r.check}")
def test_identities_and_laws(result):
    assert result.ok, result


def test_kl_by_hand():
    """Two biased coins, worked out on paper: 0.8 log(0.8/0.5) + 0.2 log(0.2/0.5), and the mistake 1/K for log(1/K)."""
    q, p = np.log([[[0.8, 0.2]]]), np.log([[[0.5, 0.5]]])
    expected = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    assert categorical.kl(q)[0] == pytest.approx(expected, rel=1e-14)
    assert categorical.kl(q, p)[0] == pytest.approx(expected, rel=1e-14)


def test_log_prob_of_every_state_sums_to_one():
    logits = RNG.standard_normal((3, 4, 2))
    states = categorical.joint_states(4, 2)
    np.testing.assert_allclose(np.exp(categorical.log_prob(logits, states[:, None])[0]).sum(0), 1, rtol=1e-14)


@pytest.mark.parametrize(("N", "K"), [(1, 5), (3, 2), (2, 4), (3, 1)])
def test_joint_states_are_the_product_in_order(N, K):
    expected = list(itertools.product(range(K), repeat=N))
    assert categorical.joint_states(N, K).tolist() == [list(state) for state in expected]
    middle = categorical.joint_states(N, K, 1, K**N - 1)
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
    noise = categorical.gumbel(ends)
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
    assert (z == 0).all() and (categorical.gumbel_max(logits, RNG.random((4, 3, 2, 1))) == 0).all()
    assert categorical.kl(logits)[0].tolist() == categorical.entropy(logits)[0].tolist() == [0, 0, 0]


def test_gumbel_max_follows_the_perturbed_logits():
    logits, u = RNG.standard_normal((3, 2, 4)), RNG.random((5, 3, 2, 4))
    expected = (ops.log_softmax(logits)[0] - np.log(-np.log(u))).argmax(-1)
    np.testing.assert_array_equal(categorical.gumbel_max(logits, u), expected)


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
            "noise: expected names among z, u, v, e, distinct, coupled, got 'w'",
        ),
        (lambda: draw(RNG, [[0.0]], 1, ("z",)), "logits: expected an array"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
