"""Level 0: the same source runs on arrays of another library that refuses to mix with NumPy's."""

import fake_cupy
import numpy as np
import pytest

from dvae_np import categorical, vae
from dvae_np.arrays import draw
from dvae_np.check.means import defaults, samples, sizes
from dvae_np.estimators import TABLE
from dvae_np.networks import INTERFACES
from dvae_np.train import SGD, Adam, evaluate, usage

B, D, H = 5, 11, 7


def problem(row, rng, many=False):
    """Images, parameters and logits of a size that the row takes; `many` for more categories than one-hot products like."""
    N, K = sizes(row, 2, 150 if many else 3)
    x = (rng.random((B, D)) < 0.4).astype(np.float32)
    return x, vae.parameters(rng, D, N, K, (H,)), rng.standard_normal((B, N, K)).astype(np.float32)


def test_the_stand_in_is_strict():
    array = fake_cupy.put(np.ones(3))
    for mix in (lambda: array + np.ones(3), lambda: np.asarray(array), lambda: np.add.at(array, [0], 1),
                lambda: np.concatenate([array, np.ones(3)]), lambda: np.add.reduce(array)):  # fmt: skip
        with pytest.raises(TypeError):
            mix()


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_every_estimator_gives_the_same_on_the_device(name, many):
    if name in ("carms",) and many:
        pytest.skip("its pair law visits K (K - 1) orders")
    rng, row = np.random.default_rng(1), TABLE[name]
    S = samples(row, 4)
    x, params, logits = problem(row, rng, many)
    noise, hyper = draw(rng, logits, S, row.noise), defaults(row, *logits.shape[1:], np.float32)
    expected = row.estimate(logits, vae.reconstruction(params["theta"], x), *noise, **hyper)
    on_device = hyper | ({"omega": fake_cupy.put(hyper["omega"])} if "omega" in hyper else {})
    f = vae.reconstruction(fake_cupy.put(params["theta"]), fake_cupy.put(x))
    estimate = row.estimate(fake_cupy.put(logits), f, *map(fake_cupy.put, noise), **on_device)
    np.testing.assert_array_equal(fake_cupy.get(estimate.value), expected.value)
    np.testing.assert_array_equal(fake_cupy.get(estimate.dlogits), expected.dlogits)
    for found, wanted in ((estimate.dtheta, expected.dtheta), (dict(estimate.domega), dict(expected.domega))):
        assert set(found) == set(wanted)
        for array in wanted:
            np.testing.assert_array_equal(fake_cupy.get(found[array]), wanted[array])


@pytest.mark.parametrize("name", TABLE)
def test_training_steps_run_on_the_device(name):
    row, rng = TABLE[name], fake_cupy.Generator(3)
    x, params, logits = problem(row, np.random.default_rng(2))
    params = fake_cupy.put(params)
    optimisers = [Adam({group: params[group] for group in ("psi", "theta")})]
    if row.omega:
        params["omega"] = fake_cupy.put(defaults(row, *logits.shape[1:], np.float32)["omega"])
        optimisers.append(SGD({"omega": params["omega"]}, 1e-3))
    before = float(evaluate(params, fake_cupy.put(x)).negative_elbo)
    for _ in range(30):
        vae.training_step(params, fake_cupy.put(x), row, rng, optimisers, samples(row, 4), **row.hyper)
    assert evaluate(params, fake_cupy.put(x)).negative_elbo < before


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("likelihood", [{}, {"scale": 0.5}, {"levels": 4}])
@pytest.mark.parametrize("estimator", ["exact", "gumbel_softmax", "vimco"])
def test_conditional_models_give_the_same_on_the_device(interface, likelihood, estimator):
    """Objective, gradients, evaluation and use of the codes, with a context and a conditional prior."""
    rng, row, C = np.random.default_rng(6), TABLE[estimator], 4
    x, c = rng.integers(0, 4, (B, D)) / 3.0, rng.standard_normal((B, C))
    params = vae.parameters(rng, D, 2, 3, (H,), np.float64, C=C, interface=interface, prior="conditional", **likelihood)
    noise = draw(rng, np.zeros((B, 2, 3)), samples(row, 4), row.noise)
    here = vae.negative_elbo(params, x, row, lambda _: noise, c=c, **row.hyper)
    on_device = fake_cupy.put(params), fake_cupy.put(x), fake_cupy.put(c)
    there = vae.negative_elbo(
        *on_device[:2], row, lambda _: tuple(map(fake_cupy.put, noise)), c=on_device[2], **row.hyper
    )
    assert float(there.value) == here.value
    for group in here.gradients:
        for name, gradient in here.gradients[group].items():
            np.testing.assert_array_equal(fake_cupy.get(there.gradients[group][name]), gradient)
    assert evaluate(*on_device) == evaluate(params, x, c)
    np.testing.assert_array_equal(fake_cupy.get(usage(*on_device).share), usage(params, x, c).share)


def test_samplers_run_on_the_device():
    S, N, K = 4, 2, 3
    logits = fake_cupy.put(np.random.default_rng(4).standard_normal((B, N, K)))
    z, u, e, distinct, coupled = draw(fake_cupy.Generator(5), logits, S, ("z", "u", "e", "distinct", "coupled"))
    assert z.shape == e.shape == distinct.shape == coupled.shape == (S, B, N) and u.shape == (S, B, N, K)
    assert categorical.gumbel_max(logits, u).shape == (S, B, N)
    assert categorical.score(logits, z).shape == (S, B, N, K)
