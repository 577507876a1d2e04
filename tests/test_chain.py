"""The chain law: forward-backward against enumeration, at potentials of every size, shared or padded or ruled out."""

import numpy as np
import pytest

from dvae_np import Chain, Independent, InputError, padded
from dvae_np import forward_backward as dynamic
from dvae_np.chain import by_uniforms
from dvae_np.check.posteriors import results_of_law
from dvae_np.laws import joint_states

SIZES = [1, 30, 100, 300, 1e3, 1e4]  # of normal potentials


def chain(rng, B, N=4, K=3, size=1.0, dtype=np.float64, shared=False):
    unary, pairwise = rng.standard_normal((B, N, K)), rng.standard_normal((1 if shared else B, N - 1, K, K))
    return Chain((size * unary).astype(dtype), (size * pairwise).astype(dtype))


def enumerated(q):
    """log Z, q(z_n) and q(z_n, z_(n+1)) in float64, by going through all joint states."""
    _, N, K = q.sizes
    unary, pairwise = (array.astype(np.float64) for array in q)
    hot = np.eye(K)[joint_states(N, K)]  # (M, N, K)
    pairs = hot[:, :-1, :, None] * hot[:, 1:, None]  # (M, N-1, K, K)
    parts = (np.where(hot > 0, unary[:, None], 0), np.where(pairs > 0, pairwise[:, None], 0))
    scores = sum(part.sum(tuple(range(2, part.ndim))) for part in parts)  # (B, M)
    top = scores.max(1, keepdims=True)
    weights = np.exp(scores - top)
    log_z = top[:, 0] + np.log(weights.sum(1))
    weights /= weights.sum(1, keepdims=True)
    return log_z, np.einsum("bm,mnk->bnk", weights, hot), np.einsum("bm,mnij->bnij", weights, pairs)


def errors(q):
    """The largest errors of log Z (relative, where that is large) and of both marginals."""
    log_z, nodes, pairs = enumerated(q)
    value, _ = q.log_partition()
    both, _ = q.both_marginals()
    assert value.dtype == both.unary.dtype == both.pairwise.dtype == q.unary.dtype
    with np.errstate(all="ignore"):
        found = (value - log_z) / np.maximum(abs(log_z), 1), both.unary - nodes, both.pairwise - pairs
    return [float(np.nan_to_num(abs(each), nan=np.inf).max()) if each.size else 0.0 for each in found]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("N", "K"), [(1, 4), (2, 3), (4, 3), (6, 2)])
def test_a_chain_can_do_all_that_a_law_can(N, K, shared):
    rng = np.random.default_rng(0)
    results = list(results_of_law(chain(rng, 5, N, K, shared=shared), chain(rng, 1, N, K), rng))
    assert not [str(result) for result in results if not result.ok]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_potentials_of_every_size(dtype, size, shared):
    """Where products would lose digits logarithms are taken, in float64."""
    limit = 5e-6 if dtype == np.float32 else 1e-12 * max(1, size / 100)
    assert max(errors(chain(np.random.default_rng(1), 200, size=size, dtype=dtype, shared=shared))) < limit


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 30), (np.float32, 100), (np.float64, 300), (np.float64, 1e3)])
def test_products_alone_would_be_wrong(dtype, size, monkeypatch):
    monkeypatch.setattr(dynamic, "SAFE", {4: np.inf, 8: np.inf})
    with np.errstate(all="ignore"):
        assert max(errors(chain(np.random.default_rng(1), 200, size=size, dtype=dtype))) > 1e-3


@pytest.mark.parametrize("where", ["node", "edge", "edge before"])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 150), (np.float64, 900)])
def test_what_is_nearly_ruled_out_may_be_asked_for_later(dtype, size, where):
    """One code is lower by more than a product can hold, at a node or on an edge, and as much higher at the end."""
    q = chain(np.random.default_rng(9), 20, 3, dtype=dtype)
    if where == "node":
        q.unary[:, 0, 1] -= size
        q.pairwise[:, 0, 1] += size
    elif where == "edge":
        q.pairwise[:, 1, :, 0] -= size
        q.unary[:, 2, 0] += size
    else:
        q.pairwise[:, 0, :, 2] -= size
        q.pairwise[:, 1, 2] += size
    assert max(errors(q)) < (2e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_and_logarithms_agree_where_products_are_taken(dtype, monkeypatch):
    """At the largest span that is still called safe, in either of the two ways."""
    q = chain(np.random.default_rng(2), 50, dtype=dtype)
    size = dynamic.SAFE[np.dtype(dtype).itemsize] / dynamic.span(*q)
    q = Chain(*(array * np.asarray(0.999 * size, dtype) for array in q))
    seen = []
    monkeypatch.setattr(dynamic, "_by_products", lambda *q, right=dynamic._by_products: seen.append(1) or right(*q))
    assert max(errors(q)) < (5e-6 if dtype == np.float32 else 1e-11) and seen


def test_without_pairwise_potentials_it_is_the_factorised_law():
    rng = np.random.default_rng(3)
    B, N, K, S = 5, 3, 4, 6
    logits, prior, z, u = (
        rng.standard_normal((B, N, K)),
        rng.standard_normal((1, N, K)),
        rng.integers(0, K, (S, B, N)),
        rng.random((S, B, N)),
    )
    still = np.zeros((B, N - 1, K, K))
    one, other = Independent(logits), Chain(logits, still)
    p, prior_chain = Independent(prior), Chain(prior, still[:1])
    weights, states = rng.standard_normal((S, B)), joint_states(N, K)
    for left, right in (
        (one.log_prob(z), other.log_prob(z)),
        (one.probability()(states), other.probability()(states)),
        (one.marginals(), other.marginals()),
        (one.entropy(), other.entropy()),
        (one.kl(), other.kl()),
        (one.kl(p), other.kl(prior_chain)),
    ):
        np.testing.assert_allclose(left[0], right[0], rtol=1e-13, atol=1e-14)
        dvalue = rng.standard_normal(left[0].shape)
        mine, theirs = (found[0] if isinstance(found := each[1](dvalue), tuple) and not hasattr(found, "_fields") else found
                        for each in (left, right))  # fmt: skip
        np.testing.assert_allclose(mine.logits, theirs.unary, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(one.score(z).logits, other.score(z).unary, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(one.codes(u), other.codes(u))
    np.testing.assert_array_equal(one.mode(), other.mode())
    np.testing.assert_allclose(one.log_prob(z)[1](weights).logits, other.log_prob(z)[1](weights).unary, rtol=1e-12)


def test_shared_potentials_are_those_of_every_example_and_get_the_sum_of_their_gradients():
    rng = np.random.default_rng(4)
    shared = chain(rng, 6, shared=True)
    own = Chain(shared.unary, np.repeat(shared.pairwise, 6, 0))
    z, dvalue = rng.integers(0, 3, (2, 6, 4)), rng.standard_normal((2, 6))
    for ask, cotangent in (
        (lambda q: q.log_partition(), dvalue[0]),
        (lambda q: q.log_prob(z), dvalue),
        (lambda q: q.entropy(), dvalue[0]),
    ):
        (value, backward), (value_own, backward_own) = ask(shared), ask(own)
        np.testing.assert_allclose(value, value_own, rtol=1e-13)
        mine, theirs = backward(cotangent), backward_own(cotangent)
        np.testing.assert_allclose(mine.unary, theirs.unary, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(mine.pairwise, theirs.pairwise.sum(0, keepdims=True), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_code_and_a_pair_can_be_ruled_out(dtype):
    rng = np.random.default_rng(5)
    q = chain(rng, 40, dtype=dtype)
    q.unary[:, 1, 0] = q.pairwise[:, 2, 1, 2] = q.pairwise[:, 0, 2] = -np.inf
    assert max(errors(q)) < (1e-6 if dtype == np.float32 else 1e-13)
    both, backward = q.both_marginals()
    assert not both.unary[:, 1, 0].any() and not both.unary[:, 0, 2].any() and not both.pairwise[:, 2, 1, 2].any()
    gradients = [*q.entropy()[1](np.ones(40, dtype)), *q.kl()[1](np.ones(40, dtype))[0], *backward(both)]
    assert all(np.isfinite(array).all() for array in gradients)
    for codes in (
        q.codes(rng.random((50, 40, 4)).astype(dtype)),
        q.relaxed_codes(rng.random((50, 40, 4, 3)).astype(dtype), 1.0)[0][1],
        q.mode()[None],
    ):
        assert not (codes[..., 1] == 0).any() and not (codes[..., 0] == 2).any()
        assert not ((codes[..., 2] == 1) & (codes[..., 3] == 2)).any()


def test_codes_by_gumbel_noise_have_the_chains_law():
    """The share of every joint state among 40,000 draws, at five standard errors: 27 shares, false alarms 2e-5."""
    rng, R = np.random.default_rng(6), 40_000
    q = chain(rng, 1, 3)
    z = q.relaxed_codes(rng.random((R, 1, 3, 3)), 1.0)[0][1][:, 0]
    chance = np.exp(q.log_prob(joint_states(3, 3)[:, None])[0][:, 0])
    share = np.bincount(z @ [9, 3, 1], minlength=27) / R
    assert (abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / R)).all()


@pytest.mark.parametrize("shared", [False, True])
def test_padded_lengths_are_shorter_chains(shared):
    rng = np.random.default_rng(7)
    B, N, K = 4, 4, 3
    q, lengths = chain(rng, B, N, K, shared=shared), np.array([1, 4, 2, 3])
    whole, backward = padded(*q, lengths)
    log_z, log_z_backward = whole.log_partition()
    dunary, dpairwise, none = backward(log_z_backward(np.ones(B)))
    entropy, summed = whole.entropy()[0], 0
    for b, length in enumerate(lengths):
        alone = Chain(q.unary[[b], :length], q.pairwise[[0 if shared else b], : length - 1])
        value, alone_backward = alone.log_partition()
        found = alone_backward(np.ones(1))
        assert log_z[b] == pytest.approx(value[0], rel=1e-13)
        assert entropy[b] == pytest.approx(alone.entropy()[0][0], rel=1e-12)
        np.testing.assert_allclose(dunary[b, :length], found.unary[0], atol=1e-14)
        assert not dunary[b, length:].any() and not whole.mode()[b, length:].any()
        np.testing.assert_array_equal(whole.mode()[b, :length], alone.mode()[0])
        summed = summed + np.pad(found.pairwise, ((0, 0), (0, N - length), (0, 0), (0, 0)))
        if not shared:
            np.testing.assert_allclose(dpairwise[b, : length - 1], found.pairwise[0], atol=1e-14)
    assert none is None
    if shared:
        np.testing.assert_allclose(dpairwise, summed, atol=1e-13)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda q: Chain(q.unary, q.pairwise[:, :2]).log_partition(), "pairwise: expected shape"),
        (lambda q: Chain(q.unary, q.pairwise[:2]).entropy(), "pairwise: expected shape"),
        (lambda q: Chain(q.unary, q.pairwise[..., :2]).mode(), "pairwise: expected shape"),
        (lambda q: Chain(q.unary[0], q.pairwise).codes(np.zeros((1, 3, 4))), "unary: expected shape"),
        (lambda q: q.codes(np.zeros((2, 3, 3))), "u: expected shape"),
        (lambda q: q.log_prob(np.full((1, 3, 4), 3)), "z: expected codes from 0 to K-1 = 2"),
        (lambda q: padded(*q, np.array([0, 1, 2])), "lengths: expected whole numbers from 1 to N = 4, got 0 to 2"),
        (lambda q: padded(*q, np.array([1, 5, 2])), "lengths: expected whole numbers from 1 to N = 4, got 1 to 5"),
        (lambda q: padded(*q, np.ones(3)), "lengths: expected integer codes"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call(chain(np.random.default_rng(8), 3))


def test_a_code_without_weight_is_not_drawn_though_u_is_1():
    weights = np.array([[[0.3, 0.7, 0.0]]])
    np.testing.assert_array_equal(by_uniforms(weights, np.array([[1.0]])), [[1]])
    np.testing.assert_array_equal(by_uniforms(weights, np.array([[0.0]])), [[0]])


def test_float32_stays_where_the_prior_is_uniform():
    q = chain(np.random.default_rng(12), 3, dtype=np.float32)
    for value, backward in (q.kl(), q.entropy()):
        found = backward(value)
        assert value.dtype == np.float32
        assert all(array.dtype == np.float32 for array in (found[0] if isinstance(found[0], Chain) else found))
