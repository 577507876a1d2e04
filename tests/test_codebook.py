"""Quantised codes: true ops by the complex step; surrogates by the complex step of what they are, with the rest held; the cold
limit of a categorical law; the moving codebook as gradient descent."""

import itertools

import numpy as np
import pytest

from dvae_np import InputError, exact, straight_through
from dvae_np.check import complex_step
from dvae_np.check.backward import check_op
from dvae_np.codebook import (
    Averages,
    Rotation,
    distortion,
    entries,
    nearest,
    perplexity,
    quantise,
    squared_distances,
)
from dvae_np.ops import softmax
from dvae_np.scalar_codes import count_codes, entropies, rounded, signs

B, N, K, D = 5, 3, 7, 4
SHARED, OWN = (K, D), (N, K, D)


def vectors(shape, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, N, D)).astype(dtype), rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", [SHARED, OWN])
def test_nearest_is_the_nearest_and_its_entry_comes_back(shape):
    e, codebook = vectors(shape)
    (y, z), _ = quantise(e, codebook)
    for b, n in np.ndindex(B, N):
        own = codebook if shape == SHARED else codebook[n]
        k = min(range(K), key=lambda k: ((e[b, n] - own[k]) ** 2).sum())
        assert z[b, n] == k
        np.testing.assert_array_equal(y[b, n], own[k])


@pytest.mark.parametrize("shape", [SHARED, OWN])
def test_the_encoders_share_is_beta_times_the_distortion_and_the_codebooks_is_once(shape):
    """The published loss |sg(e) - c|^2 + beta |e - sg(c)|^2, with what is stopped held at its value."""
    e, codebook = vectors(shape)
    z, beta = nearest(e, codebook), 0.25
    held_e, held_c = e.copy(), codebook.copy()

    def published(arrays):
        first = distortion(held_e, arrays["codebook"], z)[0]
        return (first + beta * distortion(arrays["e"], held_c, z)[0]).sum()

    slopes = complex_step(published, {"e": e, "codebook": codebook})
    de, dcodebook = distortion(e, codebook, z)[1](np.ones(B))
    np.testing.assert_allclose(beta * de, slopes["e"], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dcodebook, slopes["codebook"], rtol=1e-12, atol=1e-13)
    assert not np.allclose(beta * dcodebook, slopes["codebook"]), "the most copied mistake: beta on the codebook's term"


def test_a_copy_is_the_derivative_of_e_plus_a_constant():
    e, codebook = vectors(SHARED)
    (y, _), backward = quantise(e, codebook)
    constant = y - e
    found = check_op(lambda e: (e + constant, backward), {"e": e})
    assert found.kind == "right"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rotation_turns_e_into_its_entry_and_its_backward_is_the_transpose(dtype):
    e, codebook = vectors(SHARED, dtype=dtype)
    (y, _), backward = quantise(e, codebook, "rotate")
    turn = Rotation.between(e, y)
    limit = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(turn.ahead(e), y, rtol=limit, atol=limit)
    assert turn.ahead(e).dtype == backward(y).dtype == dtype
    if dtype == np.float64:
        assert check_op(lambda e: (turn.ahead(e), backward), {"e": e}).kind == "right"
    matrices = np.stack(
        [(turn.ahead(np.broadcast_to(axis, e.shape)) / turn.lam)[0, 0] for axis in np.eye(D, dtype=dtype)]
    )
    np.testing.assert_allclose(matrices @ matrices.T, np.eye(D), atol=10 * limit)
    assert np.linalg.det(matrices) == pytest.approx(1, abs=10 * limit)
    angle = lambda a, b: (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    dy = np.random.default_rng(1).standard_normal(e.shape).astype(dtype)
    np.testing.assert_allclose(angle(backward(dy), e), angle(dy, y), atol=10 * limit)  # the angle to the vector is kept


def test_where_there_is_no_rotation_the_gradient_is_copied():
    e = np.array([[[1.0, 0.0]], [[0.0, 0.0]], [[2.0, 0.0]]])
    y = np.array([[[-3.0, 0.0]], [[1.0, 1.0]], [[4.0, 0.0]]])
    turn, dy = Rotation.between(e, y), np.ones_like(e)
    assert turn.known[..., 0].tolist() == [[False], [False], [True]]
    np.testing.assert_array_equal(turn.back(dy)[:2], dy[:2])
    np.testing.assert_allclose(turn.back(dy)[2], 2 * dy[2])  # the same direction: scaled alone


def test_unknown_ways_and_shapes_that_do_not_fit_are_refused():
    e, codebook = vectors(SHARED)
    for call, words in (
        (lambda: quantise(e, codebook, "slide"), "way: expected copy or rotate, got 'slide'"),
        (lambda: quantise(e[..., :2], codebook), "codebook: expected shape"),
        (lambda: quantise(e[0], codebook), "e: expected shape"),
        (lambda: squared_distances(e, vectors(OWN)[1][:2]), "codebook: expected shape"),
        (lambda: Averages.of(codebook).moved(e, np.zeros((B, 2), int)), "z: expected shape"),
        (lambda: Averages.of(codebook).moved(e, nearest(e, codebook), 1.5), "decay: expected a number of at most 1"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_moving_averages_are_gradient_descent_on_half_the_distortion():
    """Each entry with its own step size; one that gets nothing stays."""
    rng, K = np.random.default_rng(2), 20
    averages = Averages(rng.uniform(0.5, 3, K), rng.standard_normal((K, D)))
    e, before, decay = rng.standard_normal((B, N, D)), averages.codebook, 0.9
    z = nearest(e, before)
    after = averages.moved(e, z, decay)
    _, dcodebook = distortion(e, before, z)[1](np.full(B, 0.5))
    step = (1 - decay) / after.counts
    np.testing.assert_allclose(after.codebook, before - step[:, None] * dcodebook, rtol=1e-12)
    unused = np.setdiff1d(np.arange(K), z)
    assert len(unused) and np.allclose(after.codebook[unused], before[unused], rtol=1e-15)
    for _ in range(3000):
        averages = averages.moved(e, z, 0.99)
    np.testing.assert_allclose(averages.codebook[unused], before[unused], rtol=1e-9)


def test_restarts_wake_dead_entries_at_vectors_of_the_batch():
    e, codebook = vectors(SHARED)
    averages = Averages.of(codebook)._replace(counts=np.array([1, 0.05, 1, 0.01, 1, 1, 1.0]))
    found = averages.restarted(e, np.random.default_rng(0))
    assert found.counts.tolist() == [1] * K
    for k in (1, 3):
        assert (e.reshape(-1, D) == found.codebook[k]).all(1).any()
    np.testing.assert_array_equal(found.codebook[[0, 2]], averages.codebook[[0, 2]])


def test_collapse_and_its_remedies():
    """16 clusters, 32 entries, 400 steps: from a small start nearly all entries are dead; with restarts most are used."""
    rng = np.random.default_rng(3)
    centres = 3 + 4 * rng.standard_normal((16, 8))
    batch = lambda: (centres[rng.integers(16, size=256)] + 0.3 * rng.standard_normal((256, 8)))[:, None]
    used = {}
    for restart in (False, True):
        averages = Averages.of(rng.uniform(-1 / 32, 1 / 32, (32, 8)))
        for _ in range(400):
            e = batch()
            averages = averages.moved(e, nearest(e, averages.codebook))
            averages = averages.restarted(e, rng) if restart else averages
        used[restart] = perplexity(nearest(batch(), averages.codebook), 32)
    assert used[False] < 8 and used[True] > 16


def test_perplexity_counts_what_is_used():
    assert perplexity(np.zeros(9, int), 5) == 1 and perplexity(np.arange(5), 5) == pytest.approx(5)
    assert perplexity([0, 0, 1, 1], 9) == pytest.approx(2)


# The cold limit.


def soft(e, codebook, T):
    """The categorical law of one vector e (D,): logits (1, 1, K), and their backward to e."""
    d, backward = squared_distances(e[None, None], codebook)
    return -d / T, lambda dlogits: backward(-dlogits / T)[0][0, 0]


def test_the_soft_models_gradients_are_covariances_over_the_codebook():
    """Exact: (2 / T) Cov_q(c, f). Straight-through the softmax: (2 / T) Cov_q(c) E f', where the copy has the identity."""
    e, codebook = (array[0, 0] if array.ndim == 3 else array for array in vectors(SHARED, 4))
    weights = np.random.default_rng(5).standard_normal(D)
    value = lambda y: np.tanh(y @ weights)
    slope = lambda y: (1 - np.tanh(y @ weights) ** 2)[..., None] * weights
    for T in (0.3, 2.0):
        logits, back = soft(e, codebook, T)
        q = softmax(logits)[0][0, 0]
        mean = q @ codebook
        cross = (q * value(codebook)) @ (codebook - mean)
        spread = (codebook - mean).T @ (q[:, None] * (codebook - mean))

        def f(z, value=value, slope=slope):
            codes = z if z.dtype.kind == "f" else np.eye(K)[z]
            y = codes[:, :, 0] @ codebook
            return value(y), lambda dfz: ((dfz[..., None] * (slope(y) @ codebook.T))[:, :, None], {})

        right = complex_step(
            lambda arrays, T=T: (softmax(soft(arrays["e"], codebook, T)[0])[0] @ value(codebook)).sum(), {"e": e}
        )["e"]
        np.testing.assert_allclose(back(exact(logits, f).dlogits), right, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(2 / T * cross, right, rtol=1e-10, atol=1e-14)
        all_codes = np.arange(K)[:, None, None]
        each = np.stack([straight_through(logits, f, all_codes[[k]]).dlogits for k in range(K)])
        through = back(np.tensordot(q, each, 1))
        np.testing.assert_allclose(through, 2 / T * spread @ (q @ slope(codebook)), rtol=1e-10, atol=1e-14)


def test_the_exact_gradient_dies_in_the_cold_and_the_copy_stays():
    rng = np.random.default_rng(6)
    e, codebook = rng.standard_normal(2), rng.standard_normal((8, 2))
    sizes = []
    for T in (1.0, 0.1, 0.003):
        logits, back = soft(e, codebook, T)
        f = lambda z: (codebook[z[..., 0], 0] ** 2, lambda dfz: (None, {}))
        sizes.append(np.linalg.norm(back(exact(logits, f).dlogits)))
    assert sizes[0] > 0.1 and sizes[2] < 1e-6 * sizes[0]


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_on_a_lattice_the_copy_is_right_from_a_temperature_of_its_spacing_squared(ratio):
    """The largest |2 / T Var_q - 1| over e is 4 pi^2 (T / h^2) e^(-pi^2 T / h^2), to the next term of the series."""
    h, codes = 0.5, np.arange(-60, 61) * 0.5
    T = ratio * h * h
    found = []
    for e in np.linspace(0, h, 101):
        q = softmax(-((e - codes[None]) ** 2) / T)[0][0]
        found.append(abs(2 / T * (q @ codes**2 - (q @ codes) ** 2) - 1))
    expected = 4 * np.pi**2 * ratio * np.exp(-(np.pi**2) * ratio)
    assert max(found) == pytest.approx(expected, rel=0.05)


# Codes without a codebook.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounded_has_so_many_levels_and_the_slope_of_what_is_smooth(dtype):
    levels = (3, 4, 5, 8)
    e = np.linspace(-6, 6, 4001).astype(dtype)[:, None].repeat(4, 1)
    (y, z), backward = rounded(e, levels)
    for n, L in enumerate(levels):
        assert sorted(set(z[:, n])) == list(range(L))
        np.testing.assert_allclose(sorted(set(y[:, n])), np.arange(L) - (L - 1) / 2)
    assert count_codes(levels) == 480 and y.dtype == backward(y).dtype == dtype
    if dtype == np.float64:
        e = np.random.default_rng(0).standard_normal((B, 4))
        (y, _), backward = rounded(e, levels)
        half, off = (np.array(levels) - 1) * 1.001 / 2, np.where(np.array(levels) % 2, 0, 0.5)
        smooth = lambda e: np.tanh(e + np.arctanh(off / half)) * half
        residual = y - smooth(e)
        assert abs(residual).max() <= 0.5 + 1e-12
        assert check_op(lambda e: (smooth(e) + residual, backward), {"e": e}).kind == "right"


def test_two_levels_are_refused_as_nearly_everything_would_be_one_code():
    with pytest.raises(InputError, match="levels: expected at least 3"):
        rounded(np.zeros((4, 2)), (3, 2))


def test_signs_are_the_nearest_of_two_entries_and_the_cold_limit_of_a_sigmoid():
    e = np.random.default_rng(0).standard_normal((B, N))
    (y, z), backward = signs(e)
    (entry, code), _ = quantise(e[..., None], np.array([[-1.0], [1.0]]))
    np.testing.assert_array_equal(y, entry[..., 0])
    np.testing.assert_array_equal(z, code)
    assert backward is not None and (backward(e) == e).all()
    T = 0.7
    law = softmax(-squared_distances(e[..., None], np.array([[-1.0], [1.0]]))[0] / T)[0]
    np.testing.assert_allclose(law[..., 1], 1 / (1 + np.exp(-4 * e / T)), rtol=1e-12)
    own, _ = entropies(e, T)
    assert own == pytest.approx(-(law * np.log(law)).sum((-1, -2)).mean(), rel=1e-12)


def test_the_sum_over_bits_is_above_the_entropy_of_the_joint_mean():
    e = np.random.default_rng(1).standard_normal((6, 3)) * 0.5
    q = 1 / (1 + np.exp(-4 * e))
    joint = np.array(
        [np.prod(np.where(np.array(bits), q, 1 - q), 1).mean() for bits in itertools.product((0, 1), repeat=3)]
    )
    _, bound = entropies(e)
    assert -(joint * np.log(joint)).sum() < bound
    assert entropies(np.array([[1e9]]))[0] == 0
    with pytest.raises(InputError, match="T: expected a temperature above 0"):
        entropies(e, 0)


@pytest.mark.parametrize("op", [squared_distances, lambda e, codebook: distortion(e, codebook, nearest(e, codebook))])
@pytest.mark.parametrize("shape", [SHARED, OWN])
def test_float32_stays_float32(op, shape):
    e, codebook = vectors(shape, dtype=np.float32)
    value, backward = op(e, codebook)
    assert value.dtype == np.float32 and all(array.dtype == np.float32 for array in backward(value))
    y, entries_backward = entries(codebook, nearest(e, codebook))
    assert y.dtype == entries_backward(y).dtype == np.float32
