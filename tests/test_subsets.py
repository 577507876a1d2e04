"""k of N items: the law against the sums over all subsets, at weights of every size, and what is drawn by other laws."""

import math
import pickle

import bugs
import numpy as np
import pytest

from dvae_np import (
    TABLE,
    Chain,
    Independent,
    InputError,
    Subsets,
    draw,
    each_array,
    implicit_mle,
    k_subsets,
    law,
    one_hot,
    parameters,
    reconstruction,
    subsets,
)
from dvae_np.check import complex_step, enumeration
from dvae_np.check.means import defaults
from dvae_np.check.posteriors import results_of_law
from dvae_np.laws import joint_states
from dvae_np.ops import softmax

SIZES = [1, 30, 300, 1e4]  # of normal log-weights
ROWS = [name for name, row in TABLE.items() if hasattr(Subsets, row.asks)]


def some(rng, B=5, N=6, k=3, size=1.0, dtype=np.float64):
    return k_subsets((size * rng.standard_normal((B, N, 2))).astype(dtype), k)


def enumerated(q):
    """The subsets (M, N), log q of each (M, B), and q, in extended precision, by going through all of them."""
    states = joint_states(*q.sizes[1:])
    states = states[states.sum(1) == q.k]
    gap = (q.unary[..., 1].astype(np.longdouble) - q.unary[..., 0]).T  # (N, B)
    score = states @ gap
    score = score - score.max(0)
    logq = score - np.log(np.exp(score).sum(0))
    return states, logq, np.exp(logq)


def without(q, n, code):
    """The same law with that code of the first n items ruled out."""
    unary = q.unary.copy()
    unary[:, :n, code] = -np.inf
    return k_subsets(unary, q.k)


def wrong(results):
    return [str(result) for result in results if not result.ok]


def affine(slope):
    """f = <slope, y>, of codes as one-hots."""
    return lambda y: ((y * slope).sum((-1, -2)), lambda d: (d[..., None, None] * slope, {}))


@pytest.mark.parametrize(("N", "k"), [(2, 1), (4, 2), (5, 1), (5, 4), (6, 3)])
def test_all_that_it_can_do_agrees_with_the_sums_over_its_subsets(N, k):
    rng = np.random.default_rng(0)
    found = list(results_of_law(some(rng, 5, N, k), some(rng, 1, N, k), rng))
    assert len(found) > 15 and not wrong(found)


def test_a_law_that_draws_what_is_impossible_fails(monkeypatch):
    right = Subsets.codes
    monkeypatch.setattr(Subsets, "codes", lambda q, u: right(q, u) | (u[..., :1] > 0.999))
    rng = np.random.default_rng(0)
    assert any("codes: shares" in line for line in wrong(results_of_law(some(rng, 5), some(rng, 1), rng)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_of_every_size(dtype, size):
    """Errors in nats and of probabilities; with sums of e^weights in the place of logarithms it would be nan from 300 on."""
    rng = np.random.default_rng(1)
    q, p = some(rng, 50, size=size, dtype=dtype), some(rng, 50, size=size, dtype=dtype)
    states, logq, chance = enumerated(q)
    codes = np.concatenate([q.mode()[None], states[:, None] + np.zeros((1, 50, 1), int)])
    exact = np.concatenate([logq.max(0)[None], logq])
    gap = logq - enumerated(p)[1]
    pairs = {
        "marginals": (q.marginals()[0][..., 1], np.einsum("mb,mn->bn", chance, states)),
        "entropy": (q.entropy()[0], -(chance * logq).sum(0)),
        "kl": (q.kl(p)[0], (chance * gap).sum(0)),
        "uniform": (q.kl()[0], (chance * logq).sum(0) + np.log(len(states))),
        "log q": (q.log_prob(codes)[0], exact),
        "log q of states": (q.log_prob(states[:, None])[0], logq),
    }
    for name, (found, wanted) in pairs.items():
        digits = 2e-7 if dtype == np.float32 else 5e-16 * max(1, size / 10)
        assert found.dtype == dtype
        assert float(abs((found - wanted) / np.maximum(abs(wanted), 20)).max()) < 20 * digits, name
    for gradients in (q.marginals()[1](q.marginals()[0]), *q.kl(p)[1](np.ones(50, dtype)), q.entropy()[1](np.ones(50, dtype)),
                      q.log_prob(codes)[1](np.ones(codes.shape[:2], dtype))):  # fmt: skip
        assert np.isfinite(gradients.unary).all() and gradients.unary.dtype == dtype


@pytest.mark.parametrize("size", SIZES)
def test_the_covariance_at_weights_of_every_size(size):
    """The backward pass of the marginals, in extended precision by all subsets: E[z <z, v>] - E[z] E[<z, v>]."""
    rng = np.random.default_rng(2)
    q, v = some(rng, 50, size=size), rng.standard_normal((50, 6, 2))
    states, _, chance = enumerated(q)
    along = states @ (v[..., 1] - v[..., 0]).T  # (M, B)
    wanted = np.einsum("mb,mn->bn", chance * (along - (chance * along).sum(0)), states)
    found = q.marginals()[1](v).unary
    np.testing.assert_allclose(found[..., 1], wanted.astype(float), rtol=0, atol=1e-13 * max(1, size / 100))
    np.testing.assert_allclose(found[..., 0], -found[..., 1], rtol=0, atol=1e-15)


def test_another_number_of_items_is_impossible_and_has_no_gradient():
    q = some(np.random.default_rng(3))
    states = joint_states(6, 2)
    value, backward = q.log_prob(states[:, None])
    few = states.sum(1) != 3
    assert (value[few] == -np.inf).all() and np.isfinite(value[~few]).all() and (~few).sum() == math.comb(6, 3)
    assert not q.probability()(states)[0][few].any()
    assert not backward(np.where(few[:, None], 1.0, 0.0) + np.zeros((64, 5))).unary.any()
    u = np.random.default_rng(4).random((200, 5, 6))
    for noise in (u, np.round(u), u.astype(np.float32)):  # zeros and ones, too
        assert (q.codes(noise).sum(-1) == 3).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_item_can_be_kept_out_or_in(dtype):
    rng = np.random.default_rng(5)
    q = some(rng, 20, dtype=dtype)
    q.unary[:, 1, 1] = q.unary[:, 4, 0] = -np.inf
    less = k_subsets(q.unary[:, [0, 2, 3, 5]], 2)  # of the four that are left
    close = 1e-6 if dtype == np.float32 else 1e-14
    assert not q.marginals()[0][:, 1, 1].any() and (abs(q.marginals()[0][:, 4, 1] - 1) < 1e-15).all()
    np.testing.assert_allclose(q.marginals()[0][:, [0, 2, 3, 5]], less.marginals()[0], atol=close)
    np.testing.assert_allclose(q.entropy()[0], less.entropy()[0], atol=10 * close)
    np.testing.assert_array_equal(q.mode()[:, [0, 2, 3, 5]], less.mode())
    z = q.codes(rng.random((50, 20, 6)))
    assert not z[..., 1].any() and z[..., 4].all() and np.isfinite(q.log_prob(z)[0]).all()
    v = rng.standard_normal((20, 6, 2)).astype(dtype)
    for gradients in (q.marginals()[1](v), q.entropy()[1](v[:, 0, 0]), q.log_prob(z)[1](np.ones(z.shape[:2], dtype)),
                      q.kl(k_subsets(0 * v[:1], 3))[1](v[:, 0, 0])[0]):  # fmt: skip
        assert np.isfinite(gradients.unary).all() and not gradients.unary[:, [1, 4]].any()


@pytest.mark.parametrize("k", [0, 4])
def test_none_or_all_of_the_items_are_certain(k):
    q = some(np.random.default_rng(6), 3, 4, k)
    assert (q.mode() == (k > 0)).all() and (q.codes(np.full((2, 3, 4), 0.5)) == (k > 0)).all()
    np.testing.assert_allclose(q.log_prob(q.mode()[None])[0], 0, atol=1e-14)
    for value, backward in (q.entropy(), q.kl()):
        np.testing.assert_allclose(value, 0, atol=1e-14)
        found = backward(np.ones(3))
        assert not (found if isinstance(found, Subsets) else found[0]).unary.any()


def test_one_of_n_is_the_categorical_law_of_the_differences():
    """Value and gradient of all it can do, beside one latent with N categories."""
    rng = np.random.default_rng(7)
    q, p = some(rng, 5, 4, 1), some(rng, 1, 4, 1)
    one, prior = (Independent((law.unary[..., 1] - law.unary[..., 0])[:, None]) for law in (q, p))
    category = rng.integers(0, 4, (7, 5, 1))
    z = one_hot(category[..., 0], 4, int)
    v = rng.standard_normal((5, 4))
    sides = (
        (q.log_prob(z), one.log_prob(category), rng.standard_normal((7, 5))),
        (q.entropy(), one.entropy(), v[:, 0]),
        (q.kl(p), one.kl(prior), v[:, 0]),
        (q.kl(), one.kl(), v[:, 0]),
    )
    for (value, backward), (wanted, wanted_backward), cotangent in sides:
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-14)
        gradients = (backward(cotangent), wanted_backward(cotangent))
        mine, theirs = ((found,) if hasattr(found, "_fields") else found for found in gradients)
        for each, other in zip(mine, theirs, strict=True):
            if each is not None:
                np.testing.assert_allclose(each.unary[..., 1], other.logits[:, 0], rtol=1e-10, atol=1e-14)
    (marginals, backward), (wanted, wanted_backward) = q.marginals(), one.marginals()
    np.testing.assert_allclose(marginals[..., 1], wanted[:, 0], rtol=1e-13)
    both = np.stack([0 * v, v], -1)
    np.testing.assert_allclose(
        backward(both).unary[..., 1], wanted_backward(v[:, None]).logits[:, 0], rtol=1e-11, atol=1e-15
    )
    np.testing.assert_array_equal(q.mode().argmax(-1), one.mode()[:, 0])


def test_it_is_independent_items_given_their_number():
    """log q less the independent items' log-probability is one number for all subsets: that of their chance, all together."""
    rng = np.random.default_rng(8)
    q = some(rng)
    independent = np.exp(Independent(q.unary).log_prob(joint_states(6, 2)[:, None])[0])
    chance = independent[joint_states(6, 2).sum(1) == 3].sum(0)
    states = enumerated(q)[0][:, None]
    np.testing.assert_allclose(q.log_prob(states)[0] - Independent(q.unary).log_prob(states)[0],
                               -np.log(chance) + np.zeros((20, 1)), rtol=1e-12)  # fmt: skip


def test_k_is_kept_by_whatever_is_made_of_a_law():
    q = some(np.random.default_rng(9))
    made = (each_array(np.add, q, q), q._replace(unary=2 * q.unary), enumeration.tiled(each_array(lambda a: a[:1], q), 3),
            q.entropy()[1](np.ones(5)), k_subsets(q.unary, np.int64(3)), law(q))  # fmt: skip
    assert all(type(each) is type(q) and each.k == 3 for each in made)
    assert type(k_subsets(q.unary, 2)) is not type(q)
    again = pickle.loads(pickle.dumps(q))
    assert type(again) is type(q) and (again.unary == q.unary).all()


def test_the_cost_is_n_steps_of_k_numbers(monkeypatch):
    counted, right = [], subsets.shares
    monkeypatch.setattr(subsets, "shares", lambda a, axis: counted.append(a.shape) or right(a, axis))
    for N, k in ((10, 3), (200, 7)):
        counted.clear()
        value, backward = some(np.random.default_rng(10), 2, N, k).marginals()
        backward(value)
        assert counted == N * [(2, 2, k + 1)] and np.allclose(value[..., 1].sum(1), k, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda q: k_subsets(q.unary, 7), "k: expected at most 6, a whole number, got 7"),
        (lambda q: k_subsets(q.unary, -1), "k: expected at least 0, a whole number, got -1"),
        (lambda q: k_subsets(q.unary, 2.0), "k: expected at least 0, a whole number"),
        (lambda q: k_subsets(q.unary, True), "k: expected at least 0, a whole number"),
        (lambda q: Subsets(q.unary).marginals(), "k: expected at least 0, a whole number, got None"),
        (lambda q: k_subsets(q.unary[..., :1], 2), "unary: expected shape"),
        (lambda q: type(q)(q.unary[:, :2]).entropy(), "k: expected at most 2"),
        (lambda q: without(q, 4, 1).marginals(), "leave a subset of k = 3"),
        (lambda q: without(q, 4, 0).entropy(), "leave a subset of k = 3"),
        (lambda q: q.kl(k_subsets(q.unary, 2)), "expected subsets of k = 3 items, for a KL that is finite, got those of k = 2"),
        (lambda q: q.kl(Independent(q.unary)), "expected subsets of k = 3 items, .*got a Independent"),
        (lambda q: Independent(q.unary).kl(q), "expected independent latents, a chain or None, got a Subsets"),
        (lambda q: q.kl(k_subsets(q.unary[:2], 3)), "p: unary: expected shape"),
        (lambda q: q.kl(without(q, 1, 1)), "rules out no subset of q's"),
        (lambda q: q.log_prob(np.full((1, 5, 6), 2)), "z: expected codes from 0 to K-1 = 1"),
        (lambda q: q.log_prob(np.zeros((1, 4, 6), int)), "z: expected shape"),
        (lambda q: q.score(np.zeros((1, 1, 6), int)), "z: expected shape"),
        (lambda q: q.codes(np.zeros((1, 5, 5))), "u: expected shape"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call(some(np.random.default_rng(11)))


def test_without_replacement_what_is_impossible_comes_last_and_adds_nothing():
    rng = np.random.default_rng(12)
    q = some(rng, 4, 4, 2)  # 6 subsets of 16 states
    (distinct,) = draw(rng, q, 9, ("distinct",))
    assert (distinct[:6].sum(-1) == 2).all() and not (distinct[6:].sum(-1) == 2).any()
    f = bugs.lookup_table(rng.standard_normal((2, 2, 2, 2)))
    for name in ("top_k", "sum_and_sample"):
        found, exact = TABLE[name].estimate(q, f, distinct[:7]), TABLE["exact"].estimate(q, f)
        np.testing.assert_allclose(found.value, exact.value, rtol=1e-12)  # all subsets are among them
        np.testing.assert_allclose(found.dq.unary, exact.dq.unary, atol=1e-13)


@pytest.mark.parametrize("name", ROWS)
def test_rows_stay_float32_and_do_not_mix_examples(name):
    row, rng = TABLE[name], np.random.default_rng(13)
    N, S = 4, row.samples(2)
    q = some(rng, 4, N, 2, dtype=np.float32)
    f = reconstruction(parameters(rng, 6, N, 2, (5,))["theta"], np.ones((1, 6), np.float32))
    noise, hyper = draw(rng, q, S, row.noise), defaults(row, N, 2, np.float32)
    whole = row.estimate(q, f, *noise, **hyper)
    for b in range(4):
        alone = row.estimate(type(q)(q.unary[[b]]), f, *(array[:, [b]] for array in noise), **hyper)
        assert alone.dq.unary.dtype == np.float32 and type(alone.dq) is type(q)
        np.testing.assert_allclose(alone.dq.unary[0], whole.dq.unary[b], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not hasattr(Subsets, row.asks)])
def test_rows_that_ask_for_what_it_lacks_refuse_it(name):
    row, rng = TABLE[name], np.random.default_rng(14)
    noise = draw(rng, np.zeros((5, 6, 2)), row.samples(2), row.noise)
    with pytest.raises(InputError, match=r"expected (independent latents|a law with relaxed codes), .*got a Subsets"):
        row.estimate(some(rng), lambda z: (z.sum(), None), *noise, **defaults(row, 6, 2))


def test_straight_through_is_exact_for_affine_f_and_not_for_a_quadratic_one():
    """SIMPLE, by all 20 subsets: the mean of (the slope at a drawn subset) times the marginals' Jacobian, and the gradient."""
    rng = np.random.default_rng(15)
    q = some(rng, 1)
    slope, pair = rng.standard_normal((6, 2)), rng.standard_normal((6, 6))

    def quadratic(y):
        on = y[..., 1]
        return 0.5 * (on @ pair * on).sum(-1) + on @ slope[:, 1], lambda d: (
            d[..., None, None] * np.stack([0 * on, on @ (pair + pair.T) / 2 + slope[:, 1]], -1), {})  # fmt: skip

    z, weights = enumeration.every_code(q, 1)
    z, weights = z[:, weights > 0], weights[weights > 0]
    off = {}
    for words, f in (("affine", affine(slope)), ("quadratic", quadratic)):
        found = TABLE["straight_through"].estimate(enumeration.tiled(q, 20), f, z).dq.unary
        exact = complex_step(
            lambda arrays, f=f: enumeration.expectation(k_subsets(arrays["unary"], 3), lambda z: f(one_hot(z, 2, float))).sum(),
            q._asdict())["unary"][0]  # fmt: skip
        off[words] = np.linalg.norm(enumeration.moments(weights, found)[0] - exact) / np.linalg.norm(exact)
    assert off["affine"] < 1e-12 and off["quadratic"] == pytest.approx(0.385, abs=5e-4)


def test_gumbel_top_k_draws_another_law():
    """Its law is that of items drawn one by one without replacement, by weights: with k = 1 or equal weights it is this law."""
    rng = np.random.default_rng(16)
    q = some(rng, 1)
    states, drawn = bugs.plackett_luce(q)
    share = q.probability()(states)[0][:, 0]
    assert drawn.sum() == pytest.approx(1, abs=1e-14)
    away = abs(drawn - share).sum() / 2
    assert away == pytest.approx(0.108, abs=5e-4)
    for same in (some(rng, 1, 6, 1), some(rng, 1, 6, 3, size=0), some(rng, 1, 6, 6)):
        states, drawn = bugs.plackett_luce(same)
        np.testing.assert_allclose(drawn, same.probability()(states)[0][:, 0], atol=1e-14)
    R = 100_000
    order = np.argsort(-(q.unary[0, :, 1] - q.unary[0, :, 0] + -np.log(-np.log(rng.random((R, 6))))), axis=1)[:, :3]
    numbers = (2 ** (5 - order)).sum(1)
    states, drawn = bugs.plackett_luce(q)
    found = np.bincount(numbers, minlength=64)[states @ 2 ** np.arange(5, -1, -1)] / R
    assert (abs(found - drawn) < 5 * np.sqrt(drawn * (1 - drawn) / R)).all()  # 20 shares: a false alarm in 10^5


@pytest.mark.parametrize("lam", [2.0, 0.5, 0.1])
@pytest.mark.parametrize("K", [2, 3, 5])
def test_the_mean_of_i_mle_is_a_difference_of_two_softmaxes(K, lam):
    """One categorical, affine f: all pairs of winners under one noise, with their probabilities."""
    rng = np.random.default_rng(17)
    logits, slope = rng.standard_normal(K), rng.standard_normal(K)
    u, weights = enumeration.every_winner(logits, logits - lam * slope)
    found = implicit_mle(enumeration.tiled(logits[None, None], len(weights)), affine(slope), u, lam=lam)
    mean, _ = enumeration.moments(weights, found.dlogits[:, 0])
    first, second = softmax(logits)[0], softmax(logits - lam * slope)[0]
    np.testing.assert_allclose(mean, (first - second) / lam, rtol=0, atol=1e-14 / lam)
    assert weights @ found.value == pytest.approx(first @ slope, abs=1e-14)


def test_i_mle_trades_bias_for_variance():
    """As lam -> 0 the bias falls like lam, and the variance grows like 1 / lam; straight-through has none of either here."""
    rng = np.random.default_rng(18)
    logits, slope = rng.standard_normal(3), rng.standard_normal(3)
    (exact,) = softmax(logits)[1](slope)[None]
    numbers = {}
    for lam in (0.5, 0.1, 0.01):
        u, weights = enumeration.every_winner(logits, logits - lam * slope)
        found = implicit_mle(enumeration.tiled(logits[None, None], len(weights)), affine(slope), u, lam=lam).dlogits[
            :, 0
        ]
        mean, variance = enumeration.moments(weights, found)
        numbers[lam] = np.linalg.norm(mean - exact) / np.linalg.norm(exact), variance.sum() / (exact @ exact)
    bias, variance = zip(*numbers.values(), strict=True)
    assert bias[0] > 0.3 and variance[0] > 7
    assert bias[2] == pytest.approx(bias[1] / 10, rel=0.02) and variance[2] == pytest.approx(10 * variance[1], rel=0.02)


def test_i_mle_on_subsets_and_over_samples():
    """Both subsets have k items; samples are averaged; a slope of zero moves nothing."""
    rng = np.random.default_rng(19)
    q, u, slope = some(rng), rng.random((4, 5, 6, 2)), rng.standard_normal((6, 2))
    found = implicit_mle(q, affine(slope), u, lam=0.7)
    each = [implicit_mle(q, affine(slope), u[[s]], lam=0.7) for s in range(4)]
    np.testing.assert_allclose(found.dq.unary, np.mean([one.dq.unary for one in each], 0), atol=1e-15)
    assert type(found.dq) is type(q) and found.dq.unary.any()
    np.testing.assert_allclose(found.dq.unary.sum(1), 0, atol=1e-15)
    assert not implicit_mle(q, affine(0 * slope), u).dq.unary.any()
    small = k_subsets(q.unary.astype(np.float32), 3)
    found = implicit_mle(small, affine(slope.astype(np.float32)), u.astype(np.float32), lam=np.float64(0.7))
    assert found.dq.unary.dtype == np.float32


def test_what_i_mle_cannot_take_is_named():
    rng = np.random.default_rng(20)
    f, u = affine(np.zeros((4, 3))), np.full((2, 5, 4, 3), 0.5)
    chain = Chain(rng.standard_normal((5, 4, 3)), rng.standard_normal((1, 3, 3, 3)))
    for q, noise, lam, words in ((chain, u, 1.0, "a law of one array .*got a Chain, which has 2"),
                                 (chain[0], u[:, :2], 1.0, "uniforms: expected shape"),
                                 (chain[0], u, 0.0, "lam: expected a distance above 0")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            implicit_mle(q, f, noise, lam=lam)
