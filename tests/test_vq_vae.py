"""The VQ-VAE: its gradients are those of the published loss with what is stopped held; its bound is an ELBO."""

import numpy as np
import pytest

from dvae_np import InputError
from dvae_np.check import complex_step
from dvae_np.codebook import distortion, nearest
from dvae_np.laws import joint_states
from dvae_np.likelihoods.bernoulli import bernoulli
from dvae_np.networks import mlp
from dvae_np.ops import log_sum_exp, relu
from dvae_np.scalar_codes import rounded
from dvae_np.vq_vae import Quantiser, coded, codes, loss_and_gradients, parameters, reconstruction_of, vectors

KINDS = {
    "copy": Quantiser(N=3, K=5, D=4),
    "rotate": Quantiser(N=3, K=5, D=4, way="rotate"),
    "rounded": Quantiser(N=3, way="rounded", levels=(3, 4)),
    "signs": Quantiser(N=3, D=3, way="signs"),
}
PIXELS, B = 6, 5


def problem(kind, dtype=np.float64):
    rng = np.random.default_rng(0)
    params = parameters(rng, PIXELS, KINDS[kind], (7,), dtype)
    params = {
        name: {each: (2 * array).astype(dtype) for each, array in group.items()} for name, group in params.items()
    }
    return params, (rng.random((B, PIXELS)) < 0.5).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_every_gradient_is_that_of_the_published_loss_with_what_is_stopped_held(kind):
    """Copy: y is e plus a constant. Rotate: a fixed matrix times e. Rounded: the smooth part plus a constant. Complex step."""
    params, x = problem(kind)
    quantiser = KINDS[kind]
    e0, y0, z, _ = coded(params, x, quantiser)
    held = {name: {each: array.copy() for each, array in group.items()} for name, group in params.items()}

    def patched(e):
        if kind in ("copy", "signs"):
            return e + (y0 - e0)
        if kind == "rotate":
            from dvae_np.codebook import Rotation

            return Rotation.between(e0, y0).ahead(e)
        flat, levels = e.reshape(-1, 2), np.array(quantiser.levels)
        half, off = (levels - 1) * 1.001 / 2, np.where(levels % 2, 0, 0.5)
        smooth = lambda e: np.tanh(e + np.arctanh(off / half)) * half
        (y, _), _ = rounded(e0.reshape(-1, 2), quantiser.levels)
        return (smooth(flat) + (y - smooth(e0.reshape(-1, 2)))).reshape(e.shape)

    def published(arrays):
        own = {name: {each: arrays[f"{name}.{each}"] for each in group} for name, group in params.items()}
        e = mlp(own["psi"], x, relu)[0]
        total = bernoulli(mlp(own["theta"], patched(e).reshape(B, -1), relu)[0][None], x)[0].sum()
        if "codebook" in params:
            total = total + distortion(e0, own["codebook"]["entries"], z)[0].sum()
            total = total + quantiser.beta * distortion(e, held["codebook"]["entries"], z)[0].sum()
        return total / B

    inputs = {f"{name}.{each}": array for name, group in params.items() for each, array in group.items()}
    slopes = complex_step(published, inputs)
    *_, gradients = loss_and_gradients(params, x, quantiser)
    for name, group in params.items():
        for each in group:
            np.testing.assert_allclose(
                gradients[name][each], slopes[f"{name}.{each}"], rtol=1e-10, atol=1e-13, err_msg=each
            )


def test_the_bound_is_above_minus_log_p_by_the_gap_of_a_posterior_that_is_certain():
    """-log p(x|y) + N log K >= -log p(x), the sum over all K^N codes."""
    params, x = problem("copy")
    quantiser = KINDS["copy"]
    nll, _, _, z, _ = loss_and_gradients(params, x, quantiser)
    states = joint_states(quantiser.N, quantiser.K)
    every = np.stack([reconstruction_of(params, x, np.broadcast_to(state, (B, 3)), quantiser) for state in states])
    log_prior = -quantiser.N * np.log(quantiser.K)
    evidence = -(log_sum_exp(-every, 0) + log_prior)
    bound = nll - log_prior
    assert (bound >= evidence - 1e-12).all()
    np.testing.assert_allclose(reconstruction_of(params, x, z, quantiser), nll, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_whole_numbers_below_their_count_and_float32_stays(kind):
    params, x = problem(kind, np.float32)
    quantiser = KINDS[kind]
    z = codes(params, x, quantiser)
    assert z.shape == (B, 3) and z.min() >= 0 and z.max() < quantiser.codes
    nll, far, _, found, gradients = loss_and_gradients(params, x, quantiser)
    np.testing.assert_array_equal(found, z)
    assert nll.dtype == far.dtype == np.float32
    assert all(array.dtype == np.float32 for group in gradients.values() for array in group.values())
    assert {"copy": 5, "rotate": 5, "rounded": 12, "signs": 8}[kind] == quantiser.codes


def test_the_codebooks_entry_is_the_nearest_to_the_encoders_vector():
    params, x = problem("copy")
    np.testing.assert_array_equal(
        codes(params, x, KINDS["copy"]), nearest(vectors(params, x), params["codebook"]["entries"])
    )


@pytest.mark.parametrize(("wrong", "words"), [
    ({"way": "slide"}, "way: expected one of copy, rotate, rounded, signs"),
    ({"N": 0}, "N: expected at least 1"),
    ({"beta": -1}, "beta: expected a weight of at least 0"),
])  # fmt: skip
def test_quantisers_that_do_not_exist_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        Quantiser(**wrong)
