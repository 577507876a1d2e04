"""Observation models: values by hand, probabilities that sum to one, extremes, refusals, samples of their own law."""

import numpy as np
import pytest

from dvae_np import vae
from dvae_np.arrays import InputError
from dvae_np.laws import joint_states
from dvae_np.likelihoods import bernoulli, categorical_pixels, gaussian
from dvae_np.ops import softmax, softplus

S, B, D, V = 3, 4, 5, 7


def test_bernoulli_by_hand():
    """p = 1/4 for both pixels, one on and one off: -log(1/4) - log(3/4)."""
    a, x = np.log(np.full((1, 1, 2), 1 / 3)), np.array([[1.0, 0.0]])
    assert bernoulli(a, x)[0][0, 0] == pytest.approx(-np.log(3 / 16), rel=1e-14)


def test_gaussian_by_hand():
    """Two pixels, one a sigma and one two sigmas away: 1/2 + 2 + 2 log sigma + log 2 pi; and negative for a small sigma."""
    a, x = np.zeros((1, 1, 2)), np.array([[0.5, -1.0]])
    value, _ = gaussian(a, x, np.log(0.5))
    assert value[0, 0] == pytest.approx(2.5 + 2 * np.log(0.5) + np.log(2 * np.pi), rel=1e-14)
    assert gaussian(a, 0 * x, np.log([0.01]))[0][0, 0] < 0


def test_categorical_pixels_by_hand():
    """One pixel of three levels with probabilities 1/2, 1/4, 1/4."""
    a = np.log(np.array([[[0.5, 0.25, 0.25]]]))
    value, _ = categorical_pixels(a, np.array([[0.0], [0.5], [1.0]]))
    np.testing.assert_allclose(value, np.log([[2, 4, 4]]), rtol=1e-14)


@pytest.mark.parametrize(("likelihood", "levels"), [("bernoulli", 1), ("categorical", V), ("gaussian", 1)])
def test_the_mean_output_is_the_best_that_sees_no_code(likelihood, levels):
    """The loss of all data, and of half an image of each value for all pixels, has no slope there, and is larger nearby."""
    rng = np.random.default_rng(2)
    values = {"bernoulli": 2, "categorical": V, "gaussian": 50}[likelihood]
    x = rng.integers(0, values, (9, D)) / (values - 1)
    x[:, 0] = 0  # a pixel that never changes
    a = mean_output(x, likelihood, levels)
    if likelihood == "gaussian":
        images, weights = x, np.ones((1, 9))
    else:
        added = np.repeat(np.linspace(0, 1, values)[:, None], D, 1)
        images, weights = np.concatenate([x, added]), np.repeat([1, 0.5], [9, values])[None]
    loss = {
        "bernoulli": bernoulli,
        "categorical": categorical_pixels,
        "gaussian": lambda a, x: gaussian(a, x, np.zeros(1)),
    }
    value, backward = loss[likelihood](a[None, None], images)
    assert np.isfinite(a).all() and abs(backward(weights)[0]).max() < 1e-12
    for _ in range(20):
        other = a + 0.1 * rng.standard_normal(a.shape)
        assert (weights * loss[likelihood](other[None, None], images)[0]).sum() > (weights * value).sum()


def test_they_are_probabilities():
    """Over all binary images, all images of four levels, and a grid over the reals, the probabilities sum to one."""
    rng = np.random.default_rng(1)
    images = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype(float)
    np.testing.assert_allclose(np.exp(-bernoulli(rng.standard_normal((3, 1, 4)), images)[0]).sum(1), 1, rtol=1e-14)
    images = joint_states(3, 4) / 3
    np.testing.assert_allclose(
        np.exp(-categorical_pixels(rng.standard_normal((2, 1, 12)), images)[0]).sum(1), 1, rtol=1e-14
    )
    grid = np.linspace(-12, 12, 2001)[:, None]
    density = np.exp(-gaussian(rng.standard_normal((2, 1, 1)), grid, np.log(0.7))[0])
    np.testing.assert_allclose(density.sum(1) * (grid[1] - grid[0]), 1, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shared_states_are_the_same_as_each_on_its_own(dtype):
    """One matrix product for all pairs, against every pair decoded: values and gradients, and the dtype kept."""
    rng = np.random.default_rng(2)
    binary, real = (rng.random((B, D)) < 0.5).astype(dtype), rng.random((B, D)).astype(dtype)
    levels = (rng.integers(0, V, (B, D)) / (V - 1)).astype(dtype)
    dvalue = rng.standard_normal((S, B)).astype(dtype)
    for width, model in (
        (D, lambda a: bernoulli(a, binary)),
        (D, lambda a: gaussian(a, real, np.asarray([-0.3], dtype))),
        (D * V, lambda a: categorical_pixels(a, levels)),
    ):
        a = rng.standard_normal((S, 1, width)).astype(dtype)
        shared, shared_backward = model(a)
        own, own_backward = model(np.repeat(a, B, 1))
        assert shared.dtype == own.dtype == dtype
        close = {"rtol": 1e-4 if dtype == np.float32 else 1e-12, "atol": 1e-4 if dtype == np.float32 else 1e-12}
        np.testing.assert_allclose(shared, own, **close)
        (da, none, *more), (da_own, _, *more_own) = shared_backward(dvalue), own_backward(dvalue)
        np.testing.assert_allclose(da, da_own.sum(1, keepdims=True), **close)
        assert none is None and da.dtype == dtype
        for one, two in zip(more, more_own, strict=True):
            np.testing.assert_allclose(one, two, **close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_outputs_stay_finite(dtype):
    a = np.array([[[1e4, -1e4, 0.0]]], dtype)
    x = np.array([[1, 0, 1], [0, 1, 0]], dtype)
    value, backward = bernoulli(a, x)
    np.testing.assert_allclose(value, [[np.log(2), 2e4 + np.log(2)]], rtol=0, atol=2e4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(backward(np.ones_like(value))[0], [[[1, -1, 0]]], atol=1e-6)
    value, backward = categorical_pixels(a, np.array([[0.0], [1.0]], dtype))
    assert np.isfinite(value).all() and np.isfinite(backward(np.ones_like(value))[0]).all()
    value, backward = gaussian(a, x, np.full(1, -3, dtype))
    assert np.isfinite(value).all() and all(
        np.isfinite(g).all() for g in backward(np.ones_like(value)) if g is not None
    )
    assert value.dtype == dtype


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.nan, np.inf, 255])
def test_pixels_that_cannot_be_are_refused(wrong):
    x = np.zeros((2, 3))
    x[1, 2] = wrong
    with pytest.raises(InputError, match=r"bernoulli: expected pixels x in \[0, 1\]"):
        bernoulli(np.zeros((4, 2, 3)), x)
    with pytest.raises(InputError, match="categorical_pixels: expected"):
        categorical_pixels(np.zeros((4, 2, 6)), x)
    if not np.isfinite(wrong):
        with pytest.raises(InputError, match="gaussian: expected finite numbers x"):
            gaussian(np.zeros((4, 2, 3)), x, np.zeros(1))


def test_levels_between_levels_and_scales_of_zero_are_refused():
    with pytest.raises(InputError, match="expected the 3 grey levels v / 2"):
        categorical_pixels(np.zeros((1, 1, 3)), np.array([[0.3]]))
    with pytest.raises(InputError, match="expected a scale above 0"), np.errstate(all="ignore"):
        gaussian(np.zeros((1, 1, 1)), np.zeros((1, 1)), np.array([1e4]))


@pytest.mark.parametrize(("a", "x"), [((4, 2, 3), (2, 5)), ((4, 2, 3), (3, 3)), ((4, 2, 3), (2, 1, 3))])
def test_sizes_that_do_not_fit_are_refused(a, x):
    for model in (bernoulli, lambda a, x: gaussian(a, x, np.zeros(1))):
        with pytest.raises(InputError, match="does not fit pixel logits"):
            model(np.zeros(a), np.zeros(x))


def test_images_drawn_have_the_models_mean_and_law():
    """z-tests of the mean pixels, and of the shares of the levels: 40 numbers at five standard errors, false alarms 2e-5."""
    rng, R = np.random.default_rng(3), 40_000
    for theta, width in (({}, D), ({"log_scale": np.full(1, -0.7)}, D), ({}, D * V)):
        a = np.repeat(rng.standard_normal((1, 1, width)), R, 1)
        x, mean = draw_pixels(rng, theta, a, D)[0], mean_pixels(theta, a, D)[0]
        assert x.shape == mean.shape == (R, D)
        assert (abs((x - mean).mean(0)) < 5 * x.std(0) / R**0.5).all()
        if width == D * V:
            shares = softmax(a[0, 0].reshape(D, V))[0]
            found = (np.rint(x * (V - 1))[..., None] == np.arange(V)).mean(0)
            assert (abs(found - shares) < 5 * (shares * (1 - shares) / R) ** 0.5).all()
        if theta:
            np.testing.assert_allclose(x.std(0), np.exp(-0.7), rtol=5 * (2 * R) ** -0.5)


def test_the_parameters_say_which_model_it_is():
    rng = np.random.default_rng(4)
    x = (rng.integers(0, V, (B, D)) / (V - 1)).astype(float)
    z = joint_states(2, 3)[:, None]
    for kind, model in (
        ({}, lambda theta, a: bernoulli(a, x)),
        ({"scale": 0.3}, lambda theta, a: gaussian(a, x, np.log(0.3))),
        ({"levels": V}, lambda theta, a: categorical_pixels(a, x)),
    ):
        theta = vae.parameters(rng, D, 2, 3, (6,), np.float64, **kind)["theta"]
        a, _ = vae.decoder(theta, z)
        np.testing.assert_allclose(vae.reconstruction(theta, x)(z)[0], model(theta, a)[0], rtol=1e-14)


@pytest.mark.parametrize("D", [1, 5, 16, 784])
def test_bernoulli_is_softplus_minus_the_product(D):
    """The formula of the lesson, pixel by pixel, is the reference: value and gradient, for binary and for grey pixels."""
    rng = np.random.default_rng(6)
    a, dvalue = 4 * rng.standard_normal((S, B, D)), rng.standard_normal((S, B))
    for x in ((rng.random((B, D)) < 0.3).astype(float), rng.random((B, D))):
        log_partition, softplus_backward = softplus(a)
        value, backward = bernoulli(a, x)
        np.testing.assert_allclose(value, (log_partition - a * x).sum(-1), rtol=1e-14)
        da = dvalue[..., None] * (softplus_backward(1) - x)
        np.testing.assert_allclose(backward(dvalue)[0], da, rtol=0, atol=1e-14)


def test_a_confident_decoder_keeps_its_digits_in_float32():
    """Where sums of softplus(a) and of x a, which nearly cancel, lose some 2e-4 nats of 67, it loses 1e-5."""
    rng = np.random.default_rng(0)
    x = (rng.random((100, 784)) < 0.2).astype(np.float32)
    a = (20 * (x - 0.5) * np.abs(rng.standard_normal((1, 100, 784))) + rng.standard_normal((1, 100, 784))).astype(
        np.float32
    )
    exact, _ = bernoulli(a.astype(np.float64), x.astype(np.float64))
    np.testing.assert_allclose(bernoulli(a, x)[0], exact, rtol=0, atol=2e-5)
