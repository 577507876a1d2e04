"""Level 0: the same source runs on arrays of another library that refuses to mix with NumPy's.

Everywhere on a strict stand-in, which gives NumPy's own bits; where there is a GPU, on CuPy too, to rounding.
"""

import json
import re
import sys
import types
from dataclasses import replace
from inspect import signature

import fake_cupy
import numpy as np
import pytest

from dvae_np import InputError, categorical, cli, perturbed, vae
from dvae_np.check.means import defaults, sizes
from dvae_np.device import Device, device
from dvae_np.estimators import TABLE
from dvae_np.networks import INTERFACES
from dvae_np.noise import draw
from dvae_np.train import SGD, Adam, Settings, Training, evaluate, fit, load, usage
from dvae_np.train.data import Split
from dvae_np.train.resuming import state

B, D, H = 5, 11, 7
STAND_IN = Device("stand-in", fake_cupy.put, fake_cupy.get)
try:
    DEVICES = [STAND_IN, device("gpu")]
except InputError as error:
    DEVICES, NO_GPU = [STAND_IN], str(error)


@pytest.fixture(params=DEVICES, ids=lambda there: there.name)
def there(request):
    """A device that is not NumPy's memory."""
    return request.param


def expect_same(there, found, wanted, rtol=2e-4):
    """The stand-in computes by NumPy: equal bits. A GPU adds up in another order: float32's digits, of the largest entry."""
    found = there.get(found)
    if there is STAND_IN:
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * float(np.abs(wanted).max(initial=0)))


@pytest.mark.skipif(len(DEVICES) > 1, reason="there is a GPU: every test here runs on it")
def test_without_a_gpu_the_reason_is_told(capsys):
    pytest.skip(NO_GPU)


def problem(row, rng, many=False):
    """Images, parameters and logits of a size that the row takes; `many` for more categories than one-hot products like."""
    N, K = sizes(row, 2, 150 if many else 3)
    x = (rng.random((B, D)) < 0.4).astype(np.float32)
    return x, vae.parameters(rng, D, N, K, (H,)), rng.standard_normal((B, N, K)).astype(np.float32)


def test_the_stand_in_is_strict():
    array = fake_cupy.put(np.ones(3))
    for mix in (lambda: array + np.ones(3), lambda: np.asarray(array), lambda: np.add.at(array, [0], 1),
                lambda: np.concatenate([array, np.ones(3)]), lambda: np.add.reduce(array), lambda: np.ones(3, like=array),
                lambda: np.flip(array), lambda: np.exp(array, where=array > 0), lambda: array.sum(initial=1.0)):  # fmt: skip
        with pytest.raises(TypeError):
            mix()


def test_what_the_stand_in_takes_is_what_cupy_takes():
    """CuPy need not find a GPU for this: what its functions take can be read without one."""
    cupy = pytest.importorskip("cupy")
    for name, names in fake_cupy.FUNCTIONS.items():
        found = [str(each).split(":")[0].split("=")[0] for each in signature(getattr(cupy, name)).parameters.values()]
        assert found[: len(names.split())] == names.split(), name
    for name, names in fake_cupy.METHODS.items():
        line = getattr(cupy.ndarray, name).__doc__.splitlines()[0]  # as "ndarray.sum(self, axis=None, dtype=None, ...)"
        found = re.findall(r"(?<=, )\*?\w+", line.split(")")[0])
        assert found[: len(names.split())] == names.split(), name


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_every_estimator_gives_the_same_on_the_device(name, many, there):
    if name in ("carms",) and many:
        pytest.skip("its pair law visits K (K - 1) orders")
    rng, row = np.random.default_rng(1), TABLE[name]
    S = row.samples(4)
    x, params, logits = problem(row, rng, many)
    noise, hyper = draw(rng, logits, S, row.noise), defaults(row, *logits.shape[1:], np.float32)
    expected = row.estimate(logits, vae.reconstruction(params["theta"], x), *noise, **hyper)
    on_device = hyper | ({"omega": there.put(hyper["omega"])} if "omega" in hyper else {})
    f = vae.reconstruction(there.put(params["theta"]), there.put(x))
    estimate = row.estimate(there.put(logits), f, *map(there.put, noise), **on_device)
    expect_same(there, estimate.value, expected.value)
    expect_same(there, estimate.dlogits, expected.dlogits)
    for found, wanted in ((estimate.dtheta, expected.dtheta), (dict(estimate.domega), dict(expected.domega))):
        assert set(found) == set(wanted)
        for array in wanted:
            expect_same(there, found[array], wanted[array])


@pytest.mark.parametrize("name", TABLE)
def test_training_steps_run_on_the_device(name, there):
    row, rng = TABLE[name], there.generator(np.random.default_rng(3))
    x, params, logits = problem(row, np.random.default_rng(2))
    params = there.put(params)
    optimisers = [Adam({group: params[group] for group in ("psi", "theta")})]
    if row.omega:
        params["omega"] = there.put(defaults(row, *logits.shape[1:], np.float32)["omega"])
        optimisers.append(SGD({"omega": params["omega"]}, 1e-3))
    before = float(evaluate(params, there.put(x)).negative_elbo)
    for _ in range(30):
        vae.training_step(params, there.put(x), row, rng, optimisers, row.samples(4), **row.hyper)
    assert evaluate(params, there.put(x)).negative_elbo < before


@pytest.mark.parametrize("estimator", ["exact", "reinforce_loo", "straight_through_gumbel", "rebar", "vimco"])
@pytest.mark.parametrize("task", ["images", "completion"])
def test_a_whole_training_is_the_same_on_the_device(estimator, task, there):
    """The same seed, so the same order and noise; checkpoints hold NumPy arrays, and one of a device goes on anywhere."""
    data = load("digits", "stochastic", task=task)
    splits = {part: Split(*(None if rows is None else rows[:60] for rows in vars(getattr(data, part)).values()))
              for part in ("train", "validation", "test")}  # fmt: skip
    data = replace(data, **splits)
    settings = Settings(estimator, N=2, K=3, S=1 if estimator == "exact" else 2, hidden=(6,), batch=16, epochs=2,
                        prior="conditional" if task == "completion" else "learned")  # fmt: skip
    here, run = fit(data, settings), fit(data, settings, device=there)
    for name, values in here.history.items():
        expect_same(there, there.put(np.array(run.history[name])), np.array(values))
    stopped = Training(data, settings, there)
    for _ in range(5):
        stopped.step()
    facts, arrays = state(stopped)
    assert all(type(array) is np.ndarray for array in arrays.values())
    for group, arrays_of_group in fit(data, settings, start=(json.loads(json.dumps(facts)), arrays)).params.items():
        for name, array in arrays_of_group.items():
            assert type(run.params[group][name]) is np.ndarray
            expect_same(there, there.put(array), here.params[group][name], rtol=2e-3)


@pytest.mark.parametrize("verb", [["train"], ["reproduce", "reinmax"]])
def test_a_missing_gpu_is_said_in_words(verb, monkeypatch, capsys, tmp_path):
    arguments = [*verb, "--device", "gpu", "--out", str(tmp_path)]
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    assert cli.main(arguments) == 2
    assert 'needs CuPy, which is not installed: pip install "cupy' in capsys.readouterr().err
    blind = types.SimpleNamespace(is_available=lambda: False, __version__="13.0")
    monkeypatch.setitem(sys.modules, "cupy", blind)
    assert cli.main(arguments) == 2
    assert "CuPy 13.0 is installed but finds no GPU" in capsys.readouterr().err

    def ones(shape):
        raise ImportError("libcublas: no such file")  # as CuPy does without CUDA's libraries

    monkeypatch.setitem(
        sys.modules, "cupy", types.SimpleNamespace(is_available=lambda: True, __version__="13.0", ones=ones)
    )
    assert cli.main(arguments) == 2
    assert "cannot compute on it (libcublas: no such file)" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected one of cpu, gpu, got 'tpu'"):
        device("tpu")


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("likelihood", [{}, {"scale": 0.5}, {"levels": 4}])
@pytest.mark.parametrize("estimator", ["exact", "gumbel_softmax", "vimco"])
def test_conditional_models_give_the_same_on_the_device(interface, likelihood, estimator, there):
    """Objective, gradients, evaluation and use of the codes, with a context and a conditional prior."""
    rng, row, C = np.random.default_rng(6), TABLE[estimator], 4
    x, c = rng.integers(0, 4, (B, D)) / 3.0, rng.standard_normal((B, C))
    params = vae.parameters(rng, D, 2, 3, (H,), np.float64, C=C, interface=interface, prior="conditional", **likelihood)
    noise = draw(rng, np.zeros((B, 2, 3)), row.samples(4), row.noise)
    here = vae.negative_elbo(params, x, row, lambda _: noise, c=c, **row.hyper)
    on_device = there.put(params), there.put(x), there.put(c)
    found = vae.negative_elbo(*on_device[:2], row, lambda _: tuple(map(there.put, noise)), c=on_device[2], **row.hyper)
    expect_same(there, found.value, here.value, rtol=1e-10)
    for group in here.gradients:
        for name, gradient in here.gradients[group].items():
            expect_same(there, found.gradients[group][name], gradient, rtol=1e-10)
    assert evaluate(*on_device).negative_elbo == pytest.approx(evaluate(params, x, c).negative_elbo, rel=1e-12)
    expect_same(there, usage(*on_device).share, usage(params, x, c).share, rtol=1e-10)


def test_mean_images_are_the_same_on_the_device(there):
    a = np.random.default_rng(7).standard_normal((2, B, 4 * D))
    for theta, outputs in (({}, D), ({}, 4 * D), ({"log_scale": np.zeros(1)}, D)):
        found = mean_pixels(theta, there.put(a[..., :outputs]), D)
        expect_same(there, found, mean_pixels(theta, a[..., :outputs], D), rtol=1e-10)


def test_samplers_run_on_the_device(there):
    S, N, K = 4, 2, 3
    logits = there.put(np.random.default_rng(4).standard_normal((B, N, K)))
    z, u, e, distinct, coupled = draw(
        there.generator(np.random.default_rng(5)), logits, S, ("z", "u", "e", "distinct", "coupled")
    )
    assert z.shape == e.shape == distinct.shape == coupled.shape == (S, B, N) and u.shape == (S, B, N, K)
    assert perturbed.gumbel_max(logits, u).shape == (S, B, N)
    assert categorical.score(logits, z).shape == (S, B, N, K)
