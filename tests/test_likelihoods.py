"""Observation models: values by hand, probabilities that sum to one, extremes, refusals, samples of their own law."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import gammaln

from dvae_np import bernoulli, categorical_pixels, gaussian, networks, poisson, vae
from dvae_np.arrays import InputError, summed_to
from dvae_np.check import check_op, observations
from dvae_np.check.observations import LEVELS, example, observation_cases, observation_results
from dvae_np.laws import joint_states
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.ops import softplus

S, B, D = 3, 4, 5
every_row = pytest.mark.parametrize("row", LIKELIHOODS.values(), ids=LIKELIHOODS)


def parts_of(row, rng, **sizes):
    """An example's outputs, its images, and the row's own parameters."""
    inputs = example(row, rng, **sizes)
    return inputs.pop("a"), inputs.pop("x"), inputs


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int64])
def test_poisson_by_hand(dtype):
    """Rates 1 and 3, counts 4 and 2: 1 + log 4! + 3 - 2 log 3 + log 2!; counts may come as integers."""
    value, _ = poisson(np.log(np.array([[[1.0, 3.0]]])), np.array([[4, 2]], dtype))
    assert value.dtype == float
    assert value[0, 0] == pytest.approx(4 - 2 * np.log(3) + np.log(24 * 2), rel=1e-14)


@pytest.mark.parametrize(("name", "a", "mean"), [
    ("bernoulli", [np.log(3)], 3 / 4), ("gaussian", [2.5], 2.5), ("categorical", np.log([0.5, 0.25, 0.25]), 3 / 8),
    ("poisson", [np.log(3)], 3),
])  # fmt: skip
def test_a_mean_by_hand(name, a, mean):
    row = LIKELIHOODS[name]
    found = row.mean(np.reshape(a, (1, 1, -1)), 1, **row.own)
    assert found.shape == (1, 1, 1) and found[0, 0, 0] == pytest.approx(mean, rel=1e-14)


@every_row
def test_the_start_is_the_best_output_that_sees_no_code(row):
    """For the data, and half an observation more of each value (of one count, without its rate); also of unseen values."""
    rng = np.random.default_rng(2)
    _, x, _ = parts_of(row, rng, B=9, D=D)
    x[:, 0] = x.min()  # a pixel that never changes
    values = np.repeat(row.support(LEVELS)[0][:, None], D, 1)

    def loss(a):
        of_data = row.nll(a[None, None], x, **row.own)[0].sum()
        if row.pixels == "counts":
            return of_data - 0.5 * a.sum()
        return of_data + (0 if row.density else 0.5 * row.nll(a[None, None], values, **row.own)[0].sum())

    a = row.start(x, LEVELS)
    assert a.shape == (D * row.outputs(LEVELS),) and np.isfinite(a).all()
    for _ in range(20):  # on both sides in each direction: the slope is nothing beside a step of 0.01
        aside = 0.01 * rng.standard_normal(a.shape)
        assert min(loss(a + aside), loss(a - aside)) > loss(a)


@every_row
def test_they_are_probabilities(row):
    """Over all images of two pixels, or a grid over the reals, they sum to one."""
    a, _, own = parts_of(row, np.random.default_rng(1), D=1 if row.density else 2)
    values, weights = row.support(LEVELS)
    places = joint_states(1 if row.density else 2, len(values))
    p = np.exp(-row.nll(a, values[places], **own)[0]) * weights[places].prod(1)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_row
def test_shared_states_are_the_same_as_each_on_its_own(row, dtype):
    """One matrix product for all pairs, against every pair decoded: values and gradients, and the dtype kept."""
    rng = np.random.default_rng(2)
    a, x, *own = (array.astype(dtype) for array in example(row, rng, B=B, D=D).values())
    dvalue = rng.standard_normal((len(a), B)).astype(dtype)
    shared, shared_backward = row.nll(a, x, *own)
    alone, alone_backward = row.nll(np.repeat(a, B, 1), x, *own)
    assert shared.dtype == alone.dtype == dtype
    close = {"rtol": 1e-4 if dtype == np.float32 else 1e-12, "atol": 1e-4 if dtype == np.float32 else 1e-12}
    np.testing.assert_allclose(shared, alone, **close)
    (da, none, *down), (da_alone, _, *down_alone) = shared_backward(dvalue), alone_backward(dvalue)
    np.testing.assert_allclose(da, da_alone.sum(1, keepdims=True), **close)
    assert none is None and da.dtype == dtype and len(down) == len(row.own)
    for one, two in zip(down, down_alone, strict=True):
        assert one.dtype == dtype
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
    value, backward = poisson(np.minimum(a, 80), 255 * x)  # a rate of e^80, and one of 0 that sees a count of 255
    assert np.isfinite(value).all() and np.isfinite(backward(np.ones_like(value))[0]).all()
    assert value.dtype == dtype
    np.testing.assert_allclose(poisson(a[..., 1:], x[:, 1:])[0], [[1, 1e4 + 1]], rtol=1e-6)


@pytest.mark.parametrize(("name", "wrong"), [
    *(("bernoulli", wrong) for wrong in (-0.1, 1.5, np.nan, np.inf, 255)),
    *(("categorical", wrong) for wrong in (-0.1, 1.5, np.nan, np.inf, 255, 0.3)),
    *(("gaussian", wrong) for wrong in (np.nan, np.inf, -np.inf)),
    *(("poisson", wrong) for wrong in (-1, 0.5, np.nan, np.inf, -np.inf)),
])  # fmt: skip
def test_pixels_that_cannot_be_are_refused(name, wrong):
    row = LIKELIHOODS[name]
    a, x, own = parts_of(row, np.random.default_rng(3), states=2, B=2, D=3)
    row.nll(a, x, **own)
    x[1, 2] = wrong
    with pytest.raises(InputError, match=f"^{row.nll.__name__}: expected "):
        row.nll(a, x, **own)


def test_scales_of_zero_are_refused():
    with pytest.raises(InputError, match="expected a scale above 0"), np.errstate(all="ignore"):
        gaussian(np.zeros((1, 1, 1)), np.zeros((1, 1)), np.array([1e4]))


@pytest.mark.parametrize("x", [(2, 5), (3, 3), (2, 1, 3)])
@every_row
def test_sizes_that_do_not_fit_are_refused(row, x):
    a, _, own = parts_of(row, np.random.default_rng(3), states=2, B=2, D=3)
    with pytest.raises(InputError, match=f"^{row.nll.__name__}: .* does not fit pixel logits"):
        row.nll(a, np.zeros(x), **own)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_row
def test_images_drawn_have_the_models_mean_and_law(row, dtype):
    """z-tests of means, and of the shares of values that come 100 times: under 200 numbers at six standard errors, 4e-7."""
    rng, R = np.random.default_rng(3), 40_000
    a, _, own = parts_of(row, rng, D=D)
    in_dtype = {name: array.astype(dtype) for name, array in own.items()}
    x = row.draw(rng, np.repeat(a[:1], R, 1).astype(dtype), D, **in_dtype)
    assert x.shape == (1, R, D) and x.dtype == dtype
    x, mean = x[0].astype(float), row.mean(a[:1], D, **own)[0, 0]
    assert mean.shape == (D,) and (abs(x.mean(0) - mean) < 6 * x.std(0) / R**0.5).all()
    values, weights = row.support(LEVELS)
    p = weights * np.exp(-row.nll(a[0].reshape(D, 1, -1), values[:, None], **own)[0])  # of each pixel: (D, values)
    square, fourth = p @ values**2, p @ values**4
    assert (abs((x**2).mean(0) - square) < 6 * ((fourth - square**2) / R) ** 0.5).all()
    if not row.density:
        found = (abs(x[..., None] - values) < 1e-6).mean(0)
        assert (abs(found - p) < 6 * (p * (1 - p) / R) ** 0.5)[R * p > 100].all()
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)  # values of its support, and no others


def test_counts_are_drawn_at_any_rate():
    """From nearly 0 to thousands, in one array: mean and variance are the rate; five standard errors."""
    rng, R = np.random.default_rng(4), 20_000
    rate = np.array([1e-3, 1, 30, 100, 3000.0])
    x = LIKELIHOODS["poisson"].draw(rng, np.repeat(np.log(rate)[None, None], R, 1), 5)[0]
    assert (abs(x.mean(0) - rate) < 5 * (rate / R) ** 0.5).all()
    assert (abs(x.var(0) - rate) < 5 * ((rate + 2 * rate**2) / R) ** 0.5).all()


def model_of(name, rng):
    """A model, and decoder's parameters, of two latents of three categories, for D pixels."""
    model = Model(likelihood=name)
    return model, vae.parameters(rng, D, 2, 3, (6,), np.float64, model=model, levels=LEVELS)["theta"]


@every_row
def test_the_model_says_by_which_row_its_parameters_are_read(row):
    rng = np.random.default_rng(4)
    _, x, _ = parts_of(row, rng, B=B, D=D)
    z, (model, theta) = joint_states(2, 3)[:, None], model_of(row.name, rng)
    assert vae.own_arrays(theta, Model(row.name)) == {name: np.full(1, number) for name, number in row.own.items()}
    expected = row.nll(networks.decoder(theta, z)[0], x, **vae.own_arrays(theta, Model(row.name)))[0]
    np.testing.assert_array_equal(vae.reconstruction(theta, x, model=model)(z)[0], expected)


@pytest.mark.parametrize("right", LIKELIHOODS)
@pytest.mark.parametrize("wrong", LIKELIHOODS)
def test_parameters_of_another_observation_model_are_refused(right, wrong):
    """Wherever numbers of outputs or arrays of their own tell them apart, for images that both can have: 0 and 1."""
    one, other = LIKELIHOODS[right], LIKELIHOODS[wrong]
    if one.own.keys() == other.own.keys() and one.outputs(LEVELS) == other.outputs(LEVELS):
        pytest.skip("nothing in the arrays tells them apart")
    _, theta = model_of(right, np.random.default_rng(5))
    with pytest.raises(InputError):
        vae.reconstruction(theta, np.ones((B, D)), model=Model(likelihood=wrong))(joint_states(2, 3)[:, None])


def test_a_name_that_no_row_has_is_refused():
    with pytest.raises(
        InputError, match="likelihood: expected one of bernoulli, gaussian, categorical, poisson, columns, got 'p'"
    ):
        Model(likelihood="p")


def noticed(monkeypatch, row):
    """What the checks say against a row: failed lines, and cases whose gradient is not right."""
    monkeypatch.setattr(observations, "LIKELIHOODS", {row.name: row})
    rng = np.random.default_rng(0)
    lines = [result.check for result in observation_results() if not result.ok]
    return lines + [name for name, op, *case in observation_cases(rng) if not check_op(op, case[0], rng, case[1:]).ok]


def changed(value=lambda value, a, x: value, da=lambda da: da):
    """What makes an observation model wrong: a change of its value, or of its gradient in a."""

    def change(row):
        def nll(a, x, **own):
            found, backward = row.nll(a, x, **own)
            return value(found, a, x), lambda dvalue: (da((all_of := backward(dvalue))[0]), *all_of[1:])

        return replace(row, nll=bound_like(row.nll, nll))

    return change


def bound_like(op, other):
    """`other` with the names of op's parameters, by which the check hands in its inputs."""
    other.__signature__, other.__name__ = inspect.signature(op), op.__name__
    return other


WRONG = {
    "a constant in the value": changed(lambda value, a, x: value + 0.1),
    "twice the value, and its gradient": changed(lambda value, a, x: 2 * value, lambda da: 2 * da),
    "a gradient of the wrong sign": changed(da=lambda da: -da),
    "half the gradient": changed(da=lambda da: da / 2),
    "half the gradient at shared states": changed(da=lambda da: da / 2 if da.shape[1] == 1 else da),
    "a constant for each pixel, in the mean too": lambda row: replace(
        changed(lambda value, a, x: value + 0.1 * x.shape[1])(row),
        mean=lambda a, D, **own: np.exp(-0.1) * row.mean(a, D, **own)),
    "another pixel's probability, and its start": lambda row: replace(
        row, nll=bound_like(row.nll, lambda a, x, **own: row.nll(a, x[:, ::-1], **own)),
        start=lambda x, levels: row.start(x[:, ::-1], levels)),
    "twice as much where each example has its own outputs": changed(
        lambda value, a, x: 2 * value if a.shape[1] > 1 else value, lambda da: 2 * da if da.shape[1] > 1 else da),
    "half the mean": lambda row: replace(row, mean=lambda a, D, **own: row.mean(a, D, **own) / 2),
    "another pixel's mean": lambda row: replace(row, mean=lambda a, D, **own: row.mean(a, D, **own)[..., ::-1]),
    "draws from other outputs": lambda row: replace(
        row, draw=lambda rng, a, D, **own: row.draw(rng, a + np.linspace(0, 0.5, a.shape[-1]) + 0.1, D, **own)),
    "draws for another pixel": lambda row: replace(row, draw=lambda rng, a, D, **own: row.draw(rng, a, D, **own)[..., ::-1]),
    "a start that is off": lambda row: replace(row, start=lambda x, levels: row.start(x, levels) * 1.3),
    "a start at another pixel's": lambda row: replace(row, start=lambda x, levels: row.start(x[:, ::-1], levels)),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
@every_row
def test_a_wrong_row_is_noticed(row, wrong, monkeypatch):
    assert noticed(monkeypatch, WRONG[wrong](row))


@every_row
def test_a_right_row_passes(row, monkeypatch):
    assert not noticed(monkeypatch, row)


def plain_poisson(a, x, factorial=1, sign=1):
    """As a reader would write it, without a product for shared states."""
    value = (np.exp(a) - x * a).sum(-1) + factorial * gammaln(x + 1).sum(-1)
    return value, lambda dvalue: (summed_to(a.shape, sign * dvalue[..., None] * (np.exp(a) - x)), None)


@pytest.mark.parametrize(("right", "changes"), [
    (True, {"nll": lambda a, x: plain_poisson(a, x)}),
    (True, {"draw": lambda rng, a, D: rng.poisson(np.exp(a)).astype(a.dtype)}),
    (True, {"start": lambda x, levels: np.log(x.mean(0) + 0.5 / len(x))}),
    (False, {"nll": lambda a, x: plain_poisson(a, x, factorial=0)}),
    (False, {"nll": lambda a, x: plain_poisson(a, x, sign=-1)}),
    (False, {"nll": lambda a, x: plain_poisson(2 * a, x)}),
    (False, {"mean": lambda a, D: np.exp(a) / 2}),
    (False, {"mean": lambda a, D: a}),
    (False, {"draw": lambda rng, a, D: rng.poisson(1.1 * np.exp(a)).astype(a.dtype)}),
    (False, {"draw": lambda rng, a, D: np.rint(np.exp(a))}),
    (False, {"start": lambda x, levels: x.mean(0)}),
    (False, {"start": lambda x, levels: np.full(x.shape[1], np.log(x.mean() + 0.5 / len(x)))}),
])  # fmt: skip
def test_poissons_by_other_hands(right, changes, monkeypatch):
    assert bool(noticed(monkeypatch, replace(LIKELIHOODS["poisson"], **changes))) is not right


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
