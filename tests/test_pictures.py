"""What the pictures of a model show, by the plainest sums."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from dvae_np import vae
from dvae_np.figures import models
from dvae_np.laws import joint_states
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.networks import INTERFACES, decoder, encoder
from dvae_np.ops import softmax
from dvae_np.structure import PRIORS
from dvae_np.train import load
from dvae_np.wake_sleep import prior_codes

N, K, B = 2, 3, 10


@pytest.fixture
def shown(monkeypatch):
    """The images that are drawn, in their order."""
    images, draw = [], models.grid

    def watched(figure, pictures, shape, *words, **more):
        images.extend(each.ravel() for row in pictures for each in row if not np.isnan(each).any())
        draw(figure, pictures, shape, *words, **more)

    monkeypatch.setattr(models, "grid", watched)
    return images


def digits_for(likelihood, **options):
    """Digits with the pixels that the observation model is for."""
    pixels = LIKELIHOODS[likelihood].pixels
    return load("digits", {"unit": "grey"}.get(pixels, pixels), dtype=np.float64, **options)


@pytest.fixture(scope="module", params=LIKELIHOODS)
def shown_model(request):
    """Parameters of a model of a few digits, these, and which model it is: each observation model once."""
    data, model = digits_for(request.param), Model(likelihood=request.param)
    few = replace(data.validation, x=data.validation.x[:B], labels=data.validation.labels[:B])
    params = vae.parameters(np.random.default_rng(0), 64, N, K, (9,), np.float64, model=model, levels=data.levels)
    params["psi"]["w1"] = 9 / data.white * params["psi"]["w1"]  # a q that differs between images
    return params, replace(data, validation=few, test=few), model


def mean_image(params, z, model, white, c=None):
    """The mean for a code, in shares of white."""
    a, _ = decoder(params["theta"], np.array(z)[None, None], c, interface=model.interface)
    row = LIKELIHOODS[model.likelihood]
    D = a.shape[-1] // row.outputs(8)
    return row.mean(a, D, **{name: params["theta"][name] for name in row.own})[0, 0] / white


def test_a_picture_of_a_code_is_the_mean_of_its_images_by_their_share(shown_model, shown):
    params, data, model = shown_model
    q = softmax(encoder(params["psi"], data.validation.x)[0])[0]  # (B, N, K)
    models.codes(figure := Figure(), params, data, model)
    pair = np.einsum("bi,bj->ij", q[:, 0], q[:, 1]) / B  # share of each joint state
    image = {(i, j): mean_image(params, (i, j), model, data.white) for i in range(K) for j in range(K)}
    expected = [sum(pair[i, j] * image[i, j] for j in range(K)) / pair[i].sum() for i in range(K)]
    expected += [sum(pair[i, j] * image[i, j] for i in range(K)) / pair[:, j].sum() for j in range(K)]
    np.testing.assert_allclose(shown, expected, rtol=1e-10)
    titles = [text.get_text().split()[0] for text in figure.axes[0].texts]
    assert titles == [f"{share:.0%}" for share in q.mean(0).ravel()]


def test_reconstructions_are_by_the_likeliest_codes_and_by_the_best(shown_model, shown):
    params, data, model = shown_model
    models.reconstructions(Figure(), params, data, model, columns=B)
    x, states = data.test.x, [(i, j) for i in range(K) for j in range(K)]
    likeliest = encoder(params["psi"], x)[0].argmax(-1)
    f = vae.reconstruction(params["theta"], x, model=model)
    loss = np.array([f(np.tile(state, (1, B, 1)))[0][0] for state in states])
    best = [states[m] for m in loss.argmin(0)]
    np.testing.assert_array_equal(models.best_codes(params, x, model=model), best)
    expected = [*x / data.white, *(mean_image(params, z, model, data.white) for z in (*likeliest, *best))]
    np.testing.assert_allclose(shown, expected, rtol=1e-10)


def test_effects_change_one_latent_of_an_images_own_codes(shown_model, shown):
    params, data, model = shown_model
    models.effects(Figure(), params, data, model)
    own = encoder(params["psi"], data.test.x[:1])[0].argmax(-1)[0]
    codes = []
    for n in range(N):
        codes += [own, *(np.where(np.arange(N) == n, k, own) for k in range(K))]
    np.testing.assert_allclose(shown, [mean_image(params, z, model, data.white) for z in codes], rtol=1e-10)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("interface", INTERFACES)
def test_completions_stand_below_the_given_half_and_the_truth(likelihood, interface):
    data, model = digits_for(likelihood, task="completion"), Model(likelihood, "conditional", interface)
    params = vae.parameters(np.random.default_rng(0), 32, N, K, (9,), np.float64, model=model, C=32, levels=data.levels)
    images = models.completed(params, data, np.random.default_rng(0), model, columns=4, draws=3)
    chosen = np.linspace(0, len(data.test.x) - 1, 4).astype(int)
    assert images.shape == (5, 4, 8, 8)
    np.testing.assert_array_equal(images[:, :, :4], np.tile(data.test.c[chosen].reshape(4, 4, 8), (5, 1, 1, 1)))
    np.testing.assert_array_equal(images[0, :, 4:], np.full((4, 4, 8), 0.25))
    np.testing.assert_array_equal(images[1, :, 4:], data.test.x[chosen].reshape(4, 4, 8) / data.white)
    for i, c in enumerate(data.test.c[chosen]):
        means = [
            mean_image(params, (k, m), model, data.white, c[None]).reshape(4, 8) for k in range(K) for m in range(K)
        ]
        for image in images[2:, i, 4:]:
            assert min(abs(image - mean).max() for mean in means) < 1e-12


@pytest.mark.parametrize("prior", PRIORS)
def test_codes_are_drawn_from_the_prior(prior):
    """Frequencies of 4,000 codes, each for a context of its own, within five standard errors of the prior's means."""
    rng, count = np.random.default_rng(1), 4000
    model, c = Model(prior=prior), rng.standard_normal((count, 5))
    params = vae.parameters(rng, 6, N, K, (9,), np.float64, model=model, C=5)
    if "phi" in params:
        params["phi"] = {name: rng.standard_normal(array.shape) for name, array in params["phi"].items()}
    z = prior_codes(params, rng, count, c, model)
    p, _ = PRIORS[prior].op(params.get("phi"), c, N)
    states = joint_states(N, K)
    q = np.full((len(states), 1), float(K) ** -N) if p is None else p.probability()(states)[0]  # (M, count or 1)
    each = np.einsum("mb,mnk->bnk", q, np.eye(K)[states])
    assert z.shape == (count, N)
    found = (z[..., None] == np.arange(K)) - each  # each draw beside its own probabilities: of mean zero
    assert (abs(found.mean(0)) < 5 * (0.25 / count) ** 0.5).all()
    assert (abs((found * c[:, :1, None]).mean(0)) < 5 * (0.25 * (c[:, 0] ** 2).mean() / count) ** 0.5).all()
