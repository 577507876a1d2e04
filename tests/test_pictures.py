"""What the pictures of a model show, by the plainest sums."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from dvae_np import vae
from dvae_np.figures import models
from dvae_np.ops import sigmoid, softmax
from dvae_np.train import load

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


@pytest.fixture(scope="module")
def model():
    """Parameters of a model of a few digits, and these."""
    data = load("digits", dtype=np.float64)
    few = replace(data.validation, x=data.validation.x[:B], labels=data.validation.labels[:B])
    params = vae.parameters(np.random.default_rng(0), 64, N, K, (9,), np.float64)
    params["psi"]["w1"] = 9 * params["psi"]["w1"]  # a q that differs between images
    return params, replace(data, validation=few, test=few)


def mean_image(params, z):
    return sigmoid(vae.decoder(params["theta"], np.array(z)[None, None])[0])[0][0, 0]


def test_a_picture_of_a_code_is_the_mean_of_its_images_by_their_share(model, shown):
    params, data = model
    q = softmax(vae.encoder(params["psi"], data.validation.x)[0])[0]  # (B, N, K)
    models.codes(figure := Figure(), params, data)
    pair = np.einsum("bi,bj->ij", q[:, 0], q[:, 1]) / B  # share of each joint state
    image = {(i, j): mean_image(params, (i, j)) for i in range(K) for j in range(K)}
    expected = [sum(pair[i, j] * image[i, j] for j in range(K)) / pair[i].sum() for i in range(K)]
    expected += [sum(pair[i, j] * image[i, j] for i in range(K)) / pair[:, j].sum() for j in range(K)]
    np.testing.assert_allclose(shown, expected, rtol=1e-10)
    titles = [text.get_text().split()[0] for text in figure.axes[0].texts]
    assert titles == [f"{share:.0%}" for share in q.mean(0).ravel()]


def test_reconstructions_are_by_the_likeliest_codes_and_by_the_best(model, shown):
    params, data = model
    models.reconstructions(Figure(), params, data, columns=B)
    x, states = data.test.x, [(i, j) for i in range(K) for j in range(K)]
    likeliest = vae.encoder(params["psi"], x)[0].argmax(-1)
    loss = np.array([vae.reconstruction(params["theta"], x)(np.tile(state, (1, B, 1)))[0][0] for state in states])
    best = [states[m] for m in loss.argmin(0)]
    np.testing.assert_array_equal(models.best_codes(params, x), best)
    expected = [*x, *(mean_image(params, z) for z in likeliest), *(mean_image(params, z) for z in best)]
    np.testing.assert_allclose(shown, expected, rtol=1e-10)


def test_effects_change_one_latent_of_an_images_own_codes(model, shown):
    params, data = model
    models.effects(Figure(), params, data)
    own = vae.encoder(params["psi"], data.test.x[:1])[0].argmax(-1)[0]
    codes = []
    for n in range(N):
        codes += [own, *(np.where(np.arange(N) == n, k, own) for k in range(K))]
    np.testing.assert_allclose(shown, [mean_image(params, z) for z in codes], rtol=1e-10)


def test_completions_stand_below_the_given_half_and_the_truth():
    data = load("digits", task="completion", dtype=np.float64)
    params = vae.parameters(
        np.random.default_rng(0), 32, N, K, (9,), np.float64, C=32, prior="conditional", interface="film"
    )
    images = models.completed(params, data, np.random.default_rng(0), columns=4, draws=3)
    chosen = np.linspace(0, len(data.test.x) - 1, 4).astype(int)
    assert images.shape == (5, 4, 8, 8)
    np.testing.assert_array_equal(images[:, :, :4], np.tile(data.test.c[chosen].reshape(4, 4, 8), (5, 1, 1, 1)))
    np.testing.assert_array_equal(images[0, :, 4:], np.full((4, 4, 8), 0.25))
    np.testing.assert_array_equal(images[1, :, 4:], data.test.x[chosen].reshape(4, 4, 8))
    for i, c in enumerate(data.test.c[chosen]):
        means = [sigmoid(vae.decoder(params["theta"], np.array([[[k, m]]]), c[None])[0])[0].reshape(4, 8)
                 for k in range(K) for m in range(K)]  # fmt: skip
        for image in images[2:, i, 4:]:
            assert min(abs(image - mean).max() for mean in means) < 1e-12
