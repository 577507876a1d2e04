"""Estimators: everything their rows claim, closed forms, extremes, refusals."""

import inspect
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import pytest

from dvae_np import coupling, exact, gumbel_softmax, reinforce, reinforce_ema, reinforce_loo, vae
from dvae_np.arrays import InputError
from dvae_np.check import comparison, complex_step, enumeration, from_mean, lookup_table, polynomial
from dvae_np.check.levels import estimator_results
from dvae_np.check.means import defaults, sizes
from dvae_np.coupling import coupled_codes
from dvae_np.estimators import TABLE
from dvae_np.estimators.row import ASKED
from dvae_np.laws import Independent, latents_first
from dvae_np.noise import draw

B, D, N, K, S, H = 5, 11, 2, 3, 4, 7
DRAWING = [name for name, row in TABLE.items() if row.noise]


@pytest.mark.parametrize("name", TABLE)
def test_everything_that_the_row_claims(name):
    results = list(estimator_results(TABLE[name]))
    assert results and all(result.ok for result in results), [str(result) for result in results if not result.ok]


@pytest.mark.parametrize("name", TABLE)
def test_a_row_is_complete(name):
    row = TABLE[name]
    assert row.name == name == row.estimate.__name__ and 1 <= row.lesson <= 22 and row.paper
    for line in ("Approximates:", "With:", "Unbiased?", "[Eq."):
        assert line in row.estimate.__doc__
    assert row.gradient_of_f in ("none", "relaxed", "discrete") and row.asks in ASKED


ASKED_NOW = set()  # the names of what an `Other` was asked for


class Other(NamedTuple):
    """Independent latents under another name: a law that an estimator can know by its methods alone."""

    scores: np.ndarray

    def __getattr__(self, name):
        found = getattr(Independent(self.scores), name)
        ASKED_NOW.add(name)
        return found if name in ("sizes", "logits") else lambda *arguments: as_other(found(*arguments))


def as_other(value):
    """What a law answers with, each law in it an `Other`."""
    if isinstance(value, Independent):
        return Other(value.logits)
    if callable(value):
        return lambda *arguments: as_other(value(*arguments))
    return tuple(map(as_other, value)) if isinstance(value, tuple) else value


MAY_ASK = {  # by what a row says that it asks of q; the score is the gradient of log q(z)
    "log_prob": {"log_prob", "score"}, "probability": {"probability"}, "marginals": {"marginals", "log_prob"},
    "relaxed_codes": {"relaxed_codes"},
}  # fmt: skip


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_row_asks_of_q_what_it_says(row):
    """Of another law with these methods it gives the same numbers, the gradient as such a law; or it needs independence."""
    rng = np.random.default_rng(26)
    N, K = sizes(row, 2, 3)
    logits, f = rng.standard_normal((B, N, K)), polynomial(rng.standard_normal((2, N, K)), 2)
    noise, hyper = draw(rng, logits, row.samples(3), row.noise), defaults(row, N, K)
    ASKED_NOW.clear()
    if row.asks == "logits":
        with pytest.raises(InputError, match=r"^q: expected independent latents, .* got a Other"):
            row.estimate(Other(logits), f, *noise, **hyper)
        return
    found, plain = (row.estimate(q, f, *noise, **hyper) for q in (Other(logits), logits))
    as_law = row.estimate(Independent(logits), f, *noise, **hyper)
    assert type(found.dq) is Other and type(plain.dq) is type(as_law.dq) is Independent
    for dq in (found.dq.scores, as_law.dlogits):
        np.testing.assert_array_equal(dq, plain.dlogits)
    np.testing.assert_array_equal(found.value, plain.value)
    assert row.asks in ASKED_NOW <= MAY_ASK[row.asks] | {"sizes"}
    if "distinct" not in row.noise:  # which are drawn by all states' log-probabilities
        drawn = draw(np.random.default_rng(1), Other(logits), 3, row.noise)
        for one, other in zip(drawn, draw(np.random.default_rng(1), logits, 3, row.noise), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_rows_numbers_of_samples_fit_each_other(row):
    """samples(S) is the nearest that `expect_sizes` takes; `samples_for` the most that the evaluations pay for."""
    N, K = (3, 2) if row.binary else (2, 3)
    for S in range(1, 12):
        row.expect_sizes(row.samples(S), N, K)
        fits = S == 1 if not row.noise else row.fewest_samples <= S <= row.most_samples
        assert (row.samples(S) == S) == fits
        with nullcontext() if fits else pytest.raises(InputError, match=f"^S: {row.name} "):
            row.expect_sizes(S, N, K)
    if row.binary:
        with pytest.raises(InputError, match=f"^K: {row.name} is for binary latents, K = 2, got 3"):
            row.expect_sizes(row.samples(2), N, 3)
    if not row.noise:
        with pytest.raises(InputError, match=f"^{row.name}: .* 9 joint states are more than 8"):
            row.expect_sizes(1, N, K, most_states=8)
    for evaluations in (1, 5, 50):
        S, count = row.samples_for(evaluations, N, K), lambda S: row.evaluations.count(S, N, K)
        row.expect_sizes(S, N, K)
        assert count(S) <= evaluations or S == row.samples(1)
        most = min(row.most_samples, K**N if "distinct" in row.noise else np.inf) if row.noise else 1
        assert S == most or (S < most and count(S + 1) > evaluations)
    with pytest.raises(InputError, match=f"^speed: not a hyper-parameter of {row.name}, which has "):
        row.expect_hyper({"speed": 1.0})
    row.expect_hyper(row.hyper)
    for name, value in row.hyper.items():
        for wrong in () if isinstance(value, str | bool) else (np.nan, np.inf, "1", None):
            with pytest.raises(InputError, match=f"^{name}: expected a number that is finite, got "):
                row.expect_hyper({name: wrong})


@pytest.mark.parametrize("block", [1, 7, 27, 512])
def test_exact_does_not_depend_on_the_blocks(block):
    rng = np.random.default_rng(0)
    logits, table = rng.standard_normal((B, 3, 3)), rng.standard_normal((B, 3, 3, 3))
    one, other = (exact(logits, lookup_table(table), block=size) for size in (27, block))
    np.testing.assert_allclose(one.value, other.value, rtol=1e-13)
    np.testing.assert_allclose(one.dlogits, other.dlogits, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(one.dtheta["table"], other.dtheta["table"], rtol=1e-13)


@pytest.mark.parametrize("B, N, K", [(40, 1, 1000), (40, 3, 200), (5, 2, 4)])
def test_q_is_transposed_whatever_the_batch(B, N, K):
    """A batch that is no multiple of the examples transposed at a time, with many categories and with few."""
    q = np.random.default_rng(0).random((B, N, K))
    transposed = latents_first(q)
    np.testing.assert_array_equal(transposed, q.transpose(1, 2, 0))
    assert transposed.flags.c_contiguous


def test_exact_refuses_too_many_states_and_names_count_memory_and_alternative():
    with pytest.raises(InputError, match=r"10\*\*30 joint states.*numbers to compute.*reinforce_loo or gumbel_softmax"):
        exact(np.zeros((2, 30, 10)), lookup_table(np.zeros(10)))


def test_a_constant_objective_has_no_leave_one_out_gradient():
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((B, N, K))
    (z,) = draw(rng, logits, S, ("z",))
    assert not reinforce_loo(logits, lookup_table(np.full((K, K), 3.5)), z).dlogits.any()


def test_leave_one_out_of_two_is_half_the_difference_of_both():
    rng = np.random.default_rng(2)
    logits, table = rng.standard_normal((B, N, K)), rng.standard_normal((K, K))
    (z,) = draw(rng, logits, 2, ("z",))
    difference = table[tuple(z[0].T)] - table[tuple(z[1].T)]
    expected = 0.5 * difference[:, None, None] * (np.eye(K)[z[0]] - np.eye(K)[z[1]])
    np.testing.assert_allclose(reinforce_loo(logits, lookup_table(table), z).dlogits, expected, rtol=1e-13, atol=1e-15)


def test_the_moving_average_is_used_before_it_is_updated_and_follows_its_closed_form():
    """Two steps of descent on (f - b)^2 / 2 at rate 1 - decay: b2 = decay^2 b0 + (1 - decay)(decay f1 + f2)."""
    rng = np.random.default_rng(3)
    logits, table, decay = rng.standard_normal((B, N, K)), rng.standard_normal((K, K)), 0.9
    baseline, means = np.asarray(0.4), []
    for _ in range(2):
        (z,) = draw(rng, logits, S, ("z",))
        estimate = reinforce_ema(logits, lookup_table(table), z, omega={"baseline": baseline})
        fixed = reinforce(logits, lookup_table(table), z, baseline=baseline)
        np.testing.assert_array_equal(estimate.dlogits, fixed.dlogits)
        means.append(estimate.value.mean())
        baseline = baseline - (1 - decay) * estimate.domega["baseline"] / B
    assert baseline == pytest.approx(decay**2 * 0.4 + (1 - decay) * (decay * means[0] + means[1]), rel=1e-13)


def test_each_baseline_lowers_the_exact_variance():
    rng = np.random.default_rng(4)
    logits, table = rng.standard_normal((1, N, K)), 10 + rng.standard_normal((K, K))
    f = lookup_table(table)
    z, weights = enumeration.every_code(logits, 2)
    tiled = enumeration.tiled(logits, len(weights))

    def variance(estimate):
        return enumeration.moments(weights, estimate.dlogits)[1].sum()

    none, best = variance(reinforce(tiled, f, z)), variance(reinforce(tiled, f, z, baseline=exact(logits, f).value[0]))
    assert best < variance(reinforce_loo(tiled, f, z)) < none / 10


def test_relaxed_samples_approach_the_exact_gradient_as_the_temperature_falls():
    """Bias against temperature, by quadrature: it falls; the variance grows."""
    rng = np.random.default_rng(5)
    logits, f = rng.standard_normal((1, 1, 3)), polynomial(rng.standard_normal((2, 1, 3)), 3)
    outcomes, weights, _ = enumeration.gumbel_nodes(logits, 200)
    target = exact(logits, f).dlogits[0]
    found = []
    for tau in (2.0, 1.0, 0.5, 0.25):
        dlogits = gumbel_softmax(enumeration.tiled(logits, len(weights)), f, outcomes["u"], tau=tau).dlogits
        mean, variance = enumeration.moments(weights, dlogits)
        found.append((np.linalg.norm(mean - target), variance.sum()))
    bias, variance = zip(*found, strict=True)
    assert (np.diff(bias) < 0).all() and (np.diff(variance) > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TABLE)
def test_extreme_logits_and_uniforms_stay_finite(name, dtype):
    row, rng = TABLE[name], np.random.default_rng(6)
    K, S = sizes(row, 1, 3)[1], row.samples(3)
    logits = np.array([[[1e4, -1e4, 0]], [[50, -50, 0]], [[-1e4, -1e4, -1e4]]], dtype)[..., :K]
    x = (rng.random((3, D)) < 0.4).astype(dtype)
    f = vae.reconstruction(vae.parameters(rng, D, 1, K, (H,), dtype)["theta"], x)
    S = min(S, K)  # there are no more than K distinct states
    noise = draw(rng, logits, S, row.noise)
    ends = np.array([0, np.finfo(dtype).tiny, 1 - np.finfo(dtype).eps / 2, 1], dtype)
    for arrays in (noise, [np.resize(ends, array.shape) if array.dtype.kind == "f" else array for array in noise]):
        estimate = row.estimate(logits, f, *arrays, **defaults(row, 1, K, dtype))
        for array in (estimate.value, estimate.dlogits, *estimate.dtheta.values(), *dict(estimate.domega).values()):
            assert np.isfinite(array).all() and array.dtype == dtype
        assert abs(estimate.dlogits[0]).max() < 1e-6  # q is certain: no gradient is left


@pytest.mark.parametrize("name", TABLE)
def test_one_category_has_no_gradient(name):
    row, rng = TABLE[name], np.random.default_rng(7)
    if row.binary or "distinct" in row.noise:
        pytest.skip("takes two categories, or more states than the one there is")
    logits, S = rng.standard_normal((B, N, 1)), row.samples(4)
    f = vae.reconstruction(vae.parameters(rng, D, N, 1, (H,), np.float64)["theta"], np.ones((B, D)))
    estimate = row.estimate(logits, f, *draw(rng, logits, S, row.noise), **defaults(row, N, 1))
    assert abs(estimate.dlogits).max() < 1e-13
    np.testing.assert_allclose(estimate.value, exact(logits, f).value, rtol=1e-13)


@pytest.mark.parametrize("name", DRAWING)
def test_bad_input_is_named(name):
    row, rng = TABLE[name], np.random.default_rng(8)
    N, K = sizes(row, 2, 3)
    logits, S = rng.standard_normal((B, N, K)), row.samples(4)
    noise, hyper, f = (
        draw(rng, logits, S, row.noise),
        defaults(row, N, K),
        polynomial(rng.standard_normal((2, N, K)), 2),
    )

    def refused(words, logits=logits, noise=noise, f=f, **changed):
        with pytest.raises(InputError, match=words):
            row.estimate(logits, f, *noise, **hyper | changed)

    refused("logits: expected shape", logits=logits[0])
    refused("logits: expected floating-point", logits=logits.astype(int))
    refused(rf"expected shape \(S, 5, {N}", noise=[array[:, :-1] for array in noise])
    refused("^S: ", noise=[array[: row.fewest_samples - 1] for array in noise])
    for part in (slice(1), np.s_[:, :1], 0):  # one sample, one example, the examples of one sample
        refused(rf"^fz: expected shape \(\d+, {B}\), got ", f=lambda z, part=part: (f(z)[0][part], f(z)[1]))
    if noise[0].dtype.kind == "i":
        refused("z: expected integer codes", noise=[array.astype(float) for array in noise])
        refused(f"codes from 0 to K-1 = {K - 1}, got", noise=[noise[0] + K, *noise[1:]])
    for tau in (option for option in row.hyper if option.startswith("tau")):
        refused(f"{tau}: expected a temperature above 0, got 0", **{tau: 0})
        refused(f"{tau}: expected a temperature above 0, got nan", **{tau: float("nan")})
    if row.binary:
        ternary = rng.standard_normal((B, N, 3))
        refused("expected binary latents, K = 2, got K = 3", ternary, noise=draw(rng, ternary, S, row.noise))


def test_an_estimator_without_the_right_samples_says_so():
    with pytest.raises(InputError, match="S: expected at least 2 samples, got 1"):
        reinforce_loo(np.zeros((B, N, K)), lookup_table(np.zeros((K, K))), np.zeros((1, B, N), int))


def test_enumerated_mean_of_every_baseline():
    """REINFORCE has the exact mean whatever its baseline is, even one for each example; the table's rows are one each."""
    rng = np.random.default_rng(9)
    logits, table = rng.standard_normal((1, N, K)), rng.standard_normal((K, K))
    z, weights = enumeration.every_code(logits, 2)
    for baseline in (0.0, -7.0, rng.standard_normal((2, 1))):
        dlogits = reinforce(enumeration.tiled(logits, len(weights)), lookup_table(table), z, baseline=baseline).dlogits
        verdict = from_mean(enumeration.moments(weights, dlogits)[0], exact(logits, lookup_table(table)).dlogits[0])
        assert verdict.kind == "UNBIASED", verdict


@pytest.mark.parametrize("mean", ["geometric", "arithmetic"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vimco_survives_one_dominant_weight(mean, dtype):
    """Log-weights -500, -900, -900: the bound is -500 - log 3, and the others' baselines are right to rounding."""
    logits = np.zeros((1, 1, 3), dtype)
    f = vae.joint(lookup_table(np.array([500.0, 900.0, 900.0], dtype)), None, 1, 3)  # q and the uniform prior cancel
    z = np.array([0, 1, 2])[:, None, None]
    estimate = TABLE["vimco"].estimate(logits, f, z, mean=mean)
    assert estimate.value[0] == pytest.approx(500 + np.log(3), rel=1e-6)
    np.testing.assert_allclose(estimate.dtheta["table"], [1, 0, 0], atol=1e-30)
    # Without the first sample the bound is -900: its stand-in is as light as the others. Without another one, the stand-in
    # is nothing beside e^-500 (geometric) or half of it (arithmetic).
    rest = 0 if mean == "geometric" else np.log(1.5)
    signal = np.array([1 - (-500 - np.log(3) + 900), rest, rest], dtype)
    expected = (signal[:, None] * (np.eye(3) - 1 / 3)).sum(0)
    np.testing.assert_allclose(estimate.dlogits[0, 0], expected, rtol=1e-5, atol=1e-3)
    assert np.isfinite(estimate.dlogits).all() and estimate.dlogits.dtype == dtype


@pytest.mark.parametrize(("name", "options"), [("vimco", {"mean": "arithmetic"}), ("unordered_set", {"baseline": False}),
                                               ("reinforce", {"baseline": -3.0})])  # fmt: skip
def test_options_of_a_row_are_unbiased_too(name, options):
    from dataclasses import replace

    row = replace(TABLE[name], hyper=TABLE[name].hyper | options)
    results = [result for result in estimator_results(row) if result.level < 5]
    assert len(results) > 4 and all(result.ok for result in results)


def test_nvils_tunables_descend_on_their_losses():
    """The network and the centre on (f - c - C)^2 / 2, the variance on (variance - (f - c - C)^2)^2 / 2."""
    rng = np.random.default_rng(10)
    logits, table = rng.standard_normal((B, N, K)), rng.standard_normal((K, K))
    (z,), omega = draw(rng, logits, S, ("z",)), defaults(TABLE["nvil"], N, K)["omega"]
    omega["w1"] = rng.standard_normal(omega["w1"].shape)
    domega = TABLE["nvil"].estimate(logits, lookup_table(table), z, omega=omega).domega
    fz = table[z[..., 0], z[..., 1]]

    def fit(arrays):
        h = np.tanh(logits.reshape(B, -1) @ arrays["w0"] + arrays["b0"]) @ arrays["w1"] + arrays["b1"]
        return ((fz - arrays["centre"] - h[:, 0]) ** 2 / 2).mean(0).sum()

    fitted = {name: array for name, array in omega.items() if name != "variance"}
    numeric = complex_step(fit, fitted)
    for name in fitted:
        found = comparison(name, domega[name], numeric[name])
        assert found.ok, found
    residual = (
        fz
        - omega["centre"]
        - (np.tanh(logits.reshape(B, -1) @ omega["w0"] + omega["b0"]) @ omega["w1"] + omega["b1"])[:, 0]
    )
    assert domega["variance"] == pytest.approx((omega["variance"] - residual**2).mean(0).sum(), rel=1e-12)


@pytest.mark.parametrize("scale", [15, 50, 200])
def test_the_unordered_set_is_finite_in_float32_where_states_have_no_mass(scale):
    rng = np.random.default_rng(11)
    logits = (scale * rng.standard_normal((200, 2, 3))).astype(np.float32)
    (distinct,) = draw(rng, logits, 8, ("distinct",))
    estimate = TABLE["unordered_set"].estimate(
        logits, lookup_table(rng.standard_normal((3, 3)).astype(np.float32)), distinct
    )
    assert np.isfinite(estimate.dlogits).all() and np.isfinite(estimate.value).all()


def test_too_many_states_to_rank_are_refused():
    with pytest.raises(InputError, match=r"top_k: K\*\*N = 4\*\*30"):
        TABLE["top_k"].estimate(np.zeros((2, 30, 4)), lookup_table(np.zeros((4, 4))), np.zeros((3, 2, 30), int))


# A logit of -inf: everything as if its category were not there.


def lifted(array, masked, filling=0, axis=-1):
    """An array over K - 1 categories as one over K, with this filling at the masked one."""
    return np.insert(array, masked, filling, axis=axis)


def lifted_omega(omega, masked, N, K, filling):
    """The first layer of an estimator's network sees N K numbers, where the smaller problem has N (K - 1)."""
    if "w0" not in omega:
        return omega
    w0 = omega["w0"].reshape(N, K - 1, -1)
    return omega | {"w0": lifted(w0, masked, filling, axis=1).reshape(N * K, -1)}


@pytest.mark.parametrize("masked", [0, 1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not row.binary and "coupled" not in row.noise])
def test_a_masked_category_is_not_there(name, dtype, masked):
    """Value and all gradients, draw by draw; where a network brings weights for the masked category, they do not matter."""
    row, rng, N, K = TABLE[name], np.random.default_rng(20), 2, 4
    small = rng.standard_normal((B, N, K - 1)).astype(dtype)
    w, linear = rng.standard_normal((2, N, K)).astype(dtype), rng.standard_normal((B, N, K)).astype(dtype)
    noise, hyper = draw(rng, small, row.samples(S), row.noise), defaults(row, N, K - 1, dtype)
    if "omega" in hyper:
        hyper["omega"] = {part: array + array.dtype.type(0.3) for part, array in hyper["omega"].items()}
    few = polynomial(np.delete(w, masked, -1), 3, np.delete(linear, masked, -1))
    right = row.estimate(small, few, *noise, **hyper)

    if "omega" in hyper:
        hyper["omega"] = lifted_omega(hyper["omega"], masked, N, K, 0.7)
    noise = [lifted(array, masked, 0.4) if array.dtype.kind == "f" else array + (array >= masked) for array in noise]
    found = row.estimate(lifted(small, masked, -np.inf), polynomial(w, 3, linear), *noise, **hyper)
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    np.testing.assert_allclose(found.value, right.value, **close)
    np.testing.assert_allclose(found.dlogits, lifted(right.dlogits, masked), **close)
    assert not found.dlogits[..., masked].any() and found.dlogits.dtype == dtype
    np.testing.assert_allclose(found.dtheta["linear"], lifted(right.dtheta["linear"], masked), **close)
    domega = lifted_omega(dict(right.domega), masked, N, K, 0)
    for part in domega:
        np.testing.assert_allclose(found.domega[part], domega[part], rtol=close["rtol"], atol=100 * close["atol"])


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.binary])
def test_of_two_categories_one_masked_is_certainty(name):
    row, rng = TABLE[name], np.random.default_rng(21)
    for masked in (0, 1):
        logits = lifted(rng.standard_normal((B, 3, 1)), masked, -np.inf)
        noise, f = draw(rng, logits, row.samples(S), row.noise), polynomial(rng.standard_normal((2, 3, 2)), 3)
        estimate = row.estimate(logits, f, *noise, **defaults(row, 3, 2))
        assert not estimate.dlogits.any()
        np.testing.assert_allclose(estimate.value, exact(logits, f).value, rtol=1e-13)


@pytest.mark.parametrize("masked", [0, 1, 2])
@pytest.mark.parametrize("name", DRAWING)
def test_what_is_drawn_is_possible_and_has_the_exact_mean(name, masked):
    """Codes of a masked category never come, from the ends of the uniforms either; means over all outcomes are exact."""
    row, rng = TABLE[name], np.random.default_rng(22)
    logits = lifted(
        rng.standard_normal((2000, N, 1 if row.binary else 2)), masked % 2 if row.binary else masked, -np.inf
    )
    noise = draw(rng, logits, 2, row.noise)
    ruled_out = masked % 2 if row.binary else masked
    assert all(array.dtype.kind == "f" or (array != ruled_out).all() for array in noise)
    if "coupled" in row.noise:
        ends = np.array([0, 1e-320, 2.0**-53, 0.5, 1 - 2.0**-53])
        uniforms = np.clip(np.stack(np.meshgrid(ends, ends, np.linspace(1e-9, 1 - 1e-9, 6))), 1e-320, 1).reshape(
            3, -1, 1
        )
        codes = coupled_codes(np.broadcast_to(logits[:1, :1], (uniforms.shape[1], 1, logits.shape[-1])), uniforms)
        assert (codes != ruled_out).all()
    few, f = logits[:1], lookup_table(rng.standard_normal((logits.shape[-1],) * N))
    outcomes = {
        "z": enumeration.every_code,
        "distinct": enumeration.every_sequence,
        "coupled": enumeration.every_coupled,
    }
    if (
        row.noise[0] not in outcomes
        or len(row.noise) > 1
        or not row.unbiased
        or row.gradient_of_f != "none"
        or row.owns_kl
    ):
        return  # those are compared draw by draw
    noise, weights = outcomes[row.noise[0]](few, 2)
    dlogits = row.estimate(enumeration.tiled(few, len(weights)), f, noise, **defaults(row, N, logits.shape[-1])).dlogits
    mean, target = enumeration.moments(weights, dlogits)[0], exact(few, f).dlogits[0]
    assert from_mean(mean, target).kind == "UNBIASED"


def test_logits_that_are_no_distribution_are_refused():
    for wrong in (np.nan, np.inf):
        with pytest.raises(InputError, match="logits: expected finite numbers, or -inf for categories ruled out"):
            draw(np.random.default_rng(0), np.array([[[0.0, wrong]]]), 1, ("z",))
    with pytest.raises(InputError, match="but not for all"):
        draw(np.random.default_rng(0), np.full((1, 1, 3), -np.inf), 1, ("u",))


# Types: codes of any integer type are the same codes, and no hyper-parameter turns float32 into float64.


@pytest.mark.parametrize("integers", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
@pytest.mark.parametrize("name", [name for name in DRAWING if TABLE[name].noise[0] in ("z", "distinct", "coupled")])
def test_codes_of_any_integer_type_are_the_same_codes(name, integers):
    row, rng = TABLE[name], np.random.default_rng(23)
    N, K = sizes(row, 2, 3)
    logits, f = rng.standard_normal((B, N, K)), polynomial(rng.standard_normal((2, N, K)), 3)
    codes, *others = draw(rng, logits, row.samples(S), row.noise)
    right = row.estimate(logits, f, codes, *others, **defaults(row, N, K))
    found = row.estimate(logits, f, codes.astype(integers), *others, **defaults(row, N, K))
    np.testing.assert_array_equal(found.value, right.value)
    np.testing.assert_array_equal(found.dlogits, right.dlogits)


@pytest.mark.parametrize("kind", [np.float64, np.asarray])
@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.hyper or row.omega])
def test_no_hyper_parameter_turns_float32_into_float64(name, kind):
    """NumPy's numbers, and arrays of no axes, in the place of Python's; float64 tunables beside float32 logits."""
    row, rng = TABLE[name], np.random.default_rng(24)
    N, K = sizes(row, 2, 3)
    logits = rng.standard_normal((B, N, K)).astype(np.float32)
    f = polynomial(rng.standard_normal((2, N, K)).astype(np.float32), 3)
    hyper = defaults(row, N, K)  # omega in float64
    hyper |= {option: kind(value) for option, value in hyper.items() if isinstance(value, float)}
    estimate = row.estimate(logits, f, *draw(rng, logits, row.samples(S), row.noise), **hyper)
    for array in (estimate.value, estimate.dlogits, *dict(estimate.domega).values()):
        assert array.dtype == np.float32


def test_carms_refuses_too_many_orders_and_computes_many_in_blocks():
    rng = np.random.default_rng(25)
    logits = rng.standard_normal((1, 1, 40))
    (z,) = draw(rng, np.broadcast_to(logits, (2, 1, 40)), 4, ("coupled",))
    q = np.exp(logits - np.log(np.exp(logits).sum()))
    pairs = np.stack([z[0, :1], z[1, :1]])
    edges = np.stack(coupling.intervals(q, coupling.ends_orders(np.arange(40 * 39), 40)))[:, :, 0, 0]  # (2, O, K)
    low, high = edges[:, :, pairs[:, 0, 0]]  # by hand, for two samples: antithetic intervals overlap
    overlap = np.maximum(np.minimum(high[:, 0], 1 - low[:, 1]) - np.maximum(low[:, 0], 1 - high[:, 1]), 0).mean()
    assert coupling.pair_probability(q, pairs)[0, 1, 0, 0] == pytest.approx(overlap, rel=1e-9)
    many = np.zeros((20, 8, 150))
    codes = draw(rng, many, 2, ("coupled",))[0]
    with pytest.raises(
        InputError, match=r"K: expected K \(K - 1\) orders .* at most .* got K = 150, B = 20, N = 8, S = 2"
    ):
        TABLE["carms"].estimate(many, polynomial(np.ones((1, 8, 150)), 2), codes)


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_the_tables_defaults_are_the_functions(row):
    """And what a user may set is all that the function has besides its tunables and the most states that it visits."""
    own = {
        name: parameter.default
        for name, parameter in inspect.signature(row.estimate).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in ("omega", "most_states")
    }
    assert row.hyper == own


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_control_variates_start_as_f_at_a_temperature_of_one_half(name):
    omega = TABLE[name].omega(np.random.default_rng(0), 2, 3)
    assert omega["eta"] == 1 and np.exp(omega["log_tau"]) == pytest.approx(0.5)
    assert not any(np.any(omega[each]) for each in ("w1", "b1") if each in omega)  # RELAX's network begins as nothing
