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

from dvae_np import InputError, categorical, cli, perturb_and_map, perturbed, vae
from dvae_np.autoregressive import Autoregressive
from dvae_np.chain import Chain
from dvae_np.check.means import defaults, sizes
from dvae_np.check.observations import LEVELS, example
from dvae_np.device import CPU, Device, device
from dvae_np.estimators import TABLE
from dvae_np.laws import Independent, joint_states
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.networks import INTERFACES
from dvae_np.noise import draw
from dvae_np.structure import PRIORS
from dvae_np.subsets import Subsets, k_subsets
from dvae_np.train import SGD, Adam, Settings, Training, evaluate, fit, load, usage
from dvae_np.train.data import Split
from dvae_np.train.resuming import state

B, D, H = 5, 12, 7
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
        vae.training_step(params, there.put(x), row, rng, optimisers, row.samples(4))
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
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("estimator", ["exact", "gumbel_softmax", "vimco"])
def test_conditional_models_give_the_same_on_the_device(interface, likelihood, estimator, there):
    """Objective, gradients, evaluation and use of the codes, with a context and a conditional prior."""
    rng, row, C = np.random.default_rng(6), TABLE[estimator], 4
    x, c = example(LIKELIHOODS[likelihood], rng, B=B, D=D)["x"], rng.standard_normal((B, C))
    model = Model(likelihood, "conditional", interface)
    params = vae.parameters(rng, D, 2, 3, (H,), np.float64, model=model, C=C, levels=LEVELS)
    noise = draw(rng, np.zeros((B, 2, 3)), row.samples(4), row.noise)
    here = vae.negative_elbo(params, x, row, lambda _: noise, c=c, model=model)
    on_device = there.put(params), there.put(x), there.put(c)
    found = vae.negative_elbo(*on_device[:2], row, lambda _: tuple(map(there.put, noise)), c=on_device[2], model=model)
    expect_same(there, found.value, here.value, rtol=1e-10)
    for group in here.gradients:
        for name, gradient in here.gradients[group].items():
            expect_same(there, found.gradients[group][name], gradient, rtol=1e-10)
    exactly = evaluate(params, x, c, model=model)
    assert evaluate(*on_device, model=model).negative_elbo == pytest.approx(exactly.negative_elbo, rel=1e-12)
    expect_same(there, usage(*on_device, model=model).share, usage(params, x, c, model).share, rtol=1e-10)


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_gives_the_same_on_the_device(prior, there):
    """Its law, whole evaluations, exact and sampled, and its gradients where a bound weighs it."""
    rng, C = np.random.default_rng(8), 4
    x, c = (rng.random((B, D)) < 0.4).astype(float), rng.standard_normal((B, C))
    model = Model(prior=prior)
    params = vae.parameters(rng, D, 2, 3, (H,), np.float64, model=model, C=C)
    noise = draw(rng, np.zeros((B, 2, 3)), 4, ("z",))
    loss = lambda put: vae.negative_elbo(
        put(params), put(x), TABLE["vimco"], lambda _: tuple(map(put, noise)), c=put(c), model=model
    )
    found, here = loss(there.put).gradients, loss(lambda array: array).gradients
    for name, gradient in here.get("phi", {}).items():
        expect_same(there, found["phi"][name], gradient, rtol=1e-10)
    assert ("phi" in here) == (prior != "uniform")
    for sample in (False, True):
        numbers = [
            evaluate(put(params), put(x), put(c), device.generator(np.random.default_rng(1)), 7, sample, model)
            for device, put in ((CPU, CPU.put), (there, there.put))
        ]
        assert numbers[0].negative_elbo == pytest.approx(numbers[1].negative_elbo, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("states", [1, B])
@pytest.mark.parametrize("row", LIKELIHOODS.values(), ids=LIKELIHOODS)
def test_observation_models_give_the_same_on_the_device(row, states, dtype, there):
    """Forward, backward, mean and draws of the same uniforms, for states that the batch shares and for each example's own."""
    inputs = {name: array.astype(dtype) for name, array in example(row, np.random.default_rng(7), states, B, D).items()}
    close = 2e-4 if dtype == np.float32 else 1e-10

    def all_of(device, a, x, **own):
        value, backward = row.nll(a, x, **own)
        gradients = [gradient for gradient in backward(value) if gradient is not None]
        images = row.draw(device.generator(np.random.default_rng(8)), a, D, **own)
        return [value, *gradients, row.mean(a, D, **own), images]

    here, found = (all_of(device, **device.put(inputs)) for device in (CPU, there))
    assert len(here) == 4 + len(row.own) and all(array.dtype == dtype for array in here)
    for one, other in zip(found[:-1], here[:-1], strict=True):
        expect_same(there, one, other, rtol=close)
    away = abs(there.get(found[-1]) - here[-1]) > 1e-3  # rounding may move a draw that lies between two values
    assert away.mean() <= (0 if there is STAND_IN else 0.02)


def test_samplers_run_on_the_device(there):
    S, N, K = 4, 2, 3
    logits = there.put(np.random.default_rng(4).standard_normal((B, N, K)))
    z, u, e, distinct, coupled = draw(
        there.generator(np.random.default_rng(5)), logits, S, ("z", "u", "e", "distinct", "coupled")
    )
    assert z.shape == e.shape == distinct.shape == coupled.shape == (S, B, N) and u.shape == (S, B, N, K)
    assert perturbed.gumbel_max(logits, u).shape == (S, B, N)
    assert categorical.score(logits, z).shape == (S, B, N, K)


def relaxed(q, states):
    """The relaxed codes of four samples alone, with their backward pass."""
    u = (np.arange(4 * q[0].size, like=states) + 0.5).reshape(4, *q.sizes) / (4 * q[0].size)
    (y, _), backward = q.relaxed_codes(u, 0.7)
    return y, backward


LAW = {  # what a law can do, as ops of its arrays and of states
    "log_prob": lambda q, p, states: q.log_prob(states[:, None]),
    "probability": lambda q, p, states: q.probability()(states),
    "marginals": lambda q, p, states: q.marginals(),
    "relaxed_codes": lambda q, p, states: relaxed(q, states),
    "entropy": lambda q, p, states: q.entropy(),
    "kl": lambda q, p, states: q.kl(p),
    "kl_parts": lambda q, p, states: q.kl_parts(p),
    "mode": lambda q, p, states: (q.mode(), lambda _: ()),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 1000])  # products, and logarithms
@pytest.mark.parametrize(
    ("kind", "method"),
    [(kind, name) for kind in (Independent, Chain, Autoregressive, Subsets) for name in LAW if hasattr(kind, name)],
)
def test_laws_give_the_same_on_the_device(method, kind, size, there):
    """Each method's value and gradients; laws draw, and know their score, in the tests beside."""
    rng = np.random.default_rng(9)
    shapes = {"logits": (2, 3), "unary": (2, 3), "pairwise": (1, 3, 3), "table": (1, 3, 4), "out": (1, 4, 3)}
    if kind is Subsets:
        shapes, kind = {"unary": (4, 2)}, type(k_subsets(np.zeros((1, 4, 2)), 2))
    states = (4, 2) if issubclass(kind, Subsets) else (2, 3)
    arrays = [[size * rng.standard_normal((B, *shapes[name])) for name in kind._fields] for _ in range(2)]

    def all_of(device):
        q, p = (kind(*map(device.put, own)) for own in arrays)
        value, backward = LAW[method](q, p, joint_states(*states, like=q[0]))
        found = backward(value)
        laws = found if found and not isinstance(found, kind) else [found]
        return [value, *(array for law in laws if law for array in law)]

    here, found = all_of(CPU), all_of(there)
    for one, other in zip(found, here, strict=True):
        expect_same(there, one, other, rtol=1e-10)
    public = {name for name in vars(Independent) if not name.startswith("_")}
    assert set(LAW) == public - {"logits", "sizes", "score", "codes"}


def test_subsets_draw_and_i_mle_finds_the_most_probable_on_the_device(there):
    rng = np.random.default_rng(11)
    logits, u, v = rng.standard_normal((B, 4, 2)), rng.random((6, B, 4)), rng.random((6, B, 4, 2))
    slope = rng.standard_normal((4, 2))

    def all_of(device):
        q, g = k_subsets(device.put(logits), 2), device.put(slope)
        z = q.codes(device.put(u))
        f = lambda y: ((y * g).sum((-1, -2)), lambda d: (d[..., None, None] * g, {}))
        return [z, *q.score(z), *perturb_and_map.implicit_mle(q, f, device.put(v)).dq]

    for one, other in zip(all_of(there), all_of(CPU), strict=True):
        expect_same(there, one, other, rtol=1e-10)


def test_a_chain_draws_and_knows_its_score_on_the_device(there):
    rng = np.random.default_rng(10)
    arrays = rng.standard_normal((B, 3, 2)), rng.standard_normal((B, 2, 2, 2))
    u, v = rng.random((4, B, 3)), rng.random((4, B, 3, 2))

    def all_of(device):
        q = Chain(*map(device.put, arrays))
        z = q.codes(device.put(u))
        log_z, backward = q.log_partition()
        both, both_backward = q.both_marginals()
        return [
            z,
            q.relaxed_codes(device.put(v), 1.0)[0][1],
            *q.score(z),
            *backward(log_z),
            *both,
            *both_backward(both),
        ]

    for one, other in zip(all_of(there), all_of(CPU), strict=True):
        expect_same(there, one, other, rtol=1e-10)
