"""Where models start: the bounds of every fresh array, and what they are for."""

import numpy as np
import pytest

from dvae_np import vae
from dvae_np.initial import decoder_parameters, prior_parameters
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.networks import INTERFACES
from dvae_np.ops import embedding, softmax
from dvae_np.structure import PRIORS
from dvae_np.train import Settings, Training, load
from dvae_np.train.schedules import kl_weight

N, K, H, D, C = 3, 11, 240, 60, 50
E = H // N
BOUNDS = {  # of each array, uniform in (-bound, bound); `table` by interface
    "psi.w0": (D + C) ** -0.5, "psi.b0": (D + C) ** -0.5, "psi.w1": H**-0.5, "psi.b1": H**-0.5,
    "theta.table": {"embedding": (3 / N) ** 0.5, "film": (3 / N) ** 0.5, "concatenation": 3**0.5, "emission": 3**0.5},
    "theta.scale": (3 / N) ** 0.5, "theta.mix": (3 / (N * E)) ** 0.5, "theta.bias": (N * K) ** -0.5,
    "theta.context": C**-0.5, "theta.w0": H**-0.5, "theta.b0": H**-0.5,
    "phi.w0": C**-0.5, "phi.b0": C**-0.5, "phi.w1": 0, "phi.b1": 0,
}  # fmt: skip


@pytest.mark.parametrize("interface", INTERFACES)
def test_every_fresh_array_is_uniform_in_its_bounds(interface):
    rng = np.random.default_rng(0)
    model = Model(prior="conditional", interface=interface)
    params = vae.parameters(rng, D, N, K, (H,), np.float64, model=model, C=C)
    arrays = {f"{group}.{name}": array for group in params for name, array in params[group].items()}
    rest = {"theta.scale": "film", "theta.mix": "concatenation"}
    layers = {"theta.w0", "theta.b0"} if INTERFACES[interface].additive else ()
    assert set(arrays) == {name for name in BOUNDS if rest.get(name, interface) == interface} - set(layers)
    for name, array in arrays.items():
        bound = BOUNDS[name][interface] if isinstance(BOUNDS[name], dict) else BOUNDS[name]
        assert abs(array).max() <= bound, name
        if bound:  # of n draws the largest is near the bound, the mean near 0: five standard deviations each
            assert abs(array).max() >= bound * (1 - 10 / array.size), name
            assert abs(array.mean()) <= 5 * bound / (3 * array.size) ** 0.5, name
    widths = {"concatenation": E, "emission": D // N}
    assert params["theta"]["table"].shape == (N, K, widths.get(interface, H))


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_code_enters_the_decoder_with_variance_1(interface):
    rng = np.random.default_rng(1)
    theta = decoder_parameters(rng, N, K, (H,), D, np.float64, interface=interface)
    z = rng.integers(0, K, (1, 400, N))
    row = INTERFACES[interface]
    h, _ = row.join(theta, z, row.look_up(z, theta["table"])[0], np.zeros(len(theta["bias"])))
    assert h.var() == pytest.approx(1, rel=0.1)
    if interface == "film":
        assert embedding(z, theta["scale"])[0].var() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("kind", PRIORS)
def test_every_prior_starts_as_uniform(kind):
    rng = np.random.default_rng(2)
    phi = prior_parameters(rng, kind, N, K, (H,), C, np.float64)
    p, _ = PRIORS[kind].op(phi, rng.standard_normal((4, C)), N)
    assert (p is None) == (phi is None) == (kind == "uniform")
    if p is not None:
        assert type(p) is PRIORS[kind].law and p.sizes == (4 if PRIORS[kind].context else 1, N, K)
        z = rng.integers(0, K, (9, p.sizes[0], N))
        np.testing.assert_allclose(p.log_prob(z)[0], -N * np.log(K), rtol=1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_an_observation_models_own_arrays_start_where_its_row_says(name):
    theta = vae.parameters(np.random.default_rng(3), D, N, K, (H,), model=Model(likelihood=name), levels=5)["theta"]
    row = LIKELIHOODS[name]
    assert theta["b0"].shape == (D * row.outputs(5),) and theta["b0"].dtype == np.float32
    for own, number in row.own.items():
        assert theta[own] == np.float32(number) and theta[own].dtype == np.float32
    assert theta.keys() - row.own.keys() == {"table", "bias", "w0", "b0"}


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_the_mean_output_of_levels_are_the_logs_of_shares_that_add_up_to_1(levels):
    x = np.random.default_rng(3).integers(0, levels, (50, 7)) / (levels - 1)
    logits = LIKELIHOODS["categorical"].start(x, levels).reshape(7, levels)
    np.testing.assert_allclose(np.exp(logits).sum(-1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.exp(logits), softmax(logits)[0], rtol=1e-12)


def test_a_run_of_which_nothing_is_said_has_the_plain_objective_and_one_step_size():
    settings = Settings(K=3, hidden=(8,), prior="learned")
    training = Training(load("digits"), settings)
    assert [optimiser.lr for optimiser in training.optimisers] == [settings.lr, settings.lr]
    assert [kl_weight(settings, epochs) for epochs in (0, 0.5, 100)] == [1, 1, 1]
    model = Model(prior="learned")
    assert training.options == {"model": model, "kl": "analytic", "free_bits": 0, "hyper": {}}
    fresh = vae.parameters(np.random.Generator(np.random.SFC64(0)), 64, 2, 3, (8,), np.float32, model=model)
    for group, arrays in fresh.items():
        for name, array in arrays.items():
            assert (group, name) == ("theta", "b0") or (
                training.params[group][name] == array
            ).all()  # b0: the mean image
