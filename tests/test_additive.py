"""Additive objectives: their means by dynamic programming are those of the sum over every code, and so are the gradients."""

import numpy as np
import pytest

from dvae_np import TABLE, Additive, Chain, Independent, InputError, expected, log_evidence, true_posterior
from dvae_np.check import complex_step
from dvae_np.check.backward import check_op
from dvae_np.check.grouped import grouped
from dvae_np.laws import joint_states

B, N, K = 3, 4, 3
rng = np.random.default_rng(0)
LAWS = {
    "a chain": Chain(rng.standard_normal((B, N, K)), rng.standard_normal((B, N - 1, K, K))),
    "a shared chain": Chain(rng.standard_normal((B, N, K)), rng.standard_normal((1, N - 1, K, K))),
    "independent": Independent(rng.standard_normal((B, N, K))),
    "one latent": Chain(rng.standard_normal((B, 1, K)), np.zeros((1, 0, K, K))),
}


def terms(q, few, dtype=np.float64):
    """An `Additive` f for q: each example's own, or shared."""
    own = np.random.default_rng(1)
    B, N, K = q.sizes
    B = 1 if few else B
    return Additive(own.standard_normal((B, N, K)).astype(dtype), own.standard_normal((B, N - 1, K, K)).astype(dtype))


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("name", LAWS)
def test_dynamic_programming_is_the_sum_over_every_code(name, few):
    q = LAWS[name]
    f = terms(q, few)
    value, backward = expected(q, f)
    exact = TABLE["exact"].estimate(q, lambda z: f(z))  # as what it is to whoever is not told: any function
    dq, df = backward(np.ones(B))
    assert list(df) == list(exact.dtheta)
    np.testing.assert_allclose(value, exact.value, rtol=1e-12)
    for mine, theirs in zip((*dq, *df.values()), (*exact.dq, *exact.dtheta.values()), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("name", LAWS)
def test_every_gradient_is_right(name, few):
    q, own = LAWS[name], np.random.default_rng(2)
    f = dict(zip(("node", "edge"), terms(LAWS[name], few), strict=False))
    y = own.random((5, *q.sizes))  # relaxed codes
    for ask, groups in (
        (lambda q, f: expected(q, Additive(**f)), {"q": q, "f": f}),
        (lambda q, f: log_evidence(q, Additive(**f)), {"q": q, "f": f}),
        (lambda y, f: Additive(**f)(y), {"y": y, "f": f}),
    ):
        found = check_op(*grouped(ask, **groups), own)
        assert found.kind == "right", found


@pytest.mark.parametrize("name", LAWS)
def test_the_true_posterior_and_log_p_of_x_are_those_of_all_codes(name):
    """A prior of one example that the batch shares, or of each its own; f of each example."""
    p, states = LAWS[name], joint_states(*LAWS[name].sizes[1:])[:, None]
    f, weights = terms(p, False), np.arange(1.0, B + 1)
    for prior in (p, type(p)(*(array[:1] for array in p))):
        log_joint = prior.log_prob(states)[0] - f(states)[0]  # (M, B)
        evidence = np.log(np.exp(log_joint).sum(0))
        np.testing.assert_allclose(log_evidence(prior, f)[0], evidence, rtol=1e-12)
        np.testing.assert_allclose(true_posterior(prior, f).log_prob(states)[0], log_joint - evidence, rtol=1e-10)
        dp, dtheta = log_evidence(prior, f)[1](weights)
        exact = complex_step(
            lambda arrays: (log_evidence(type(p)(*arrays.values()), f)[0] * weights).sum(), prior._asdict()
        )
        for gradient, wanted in zip(dp, exact.values(), strict=True):
            np.testing.assert_allclose(gradient, wanted, rtol=1e-10, atol=1e-12)
        assert [array.shape for array in dp] == [array.shape for array in prior]
        assert dtheta["node"].shape == f.node.shape


def test_codes_are_their_one_hots_and_float32_stays():
    q = LAWS["a chain"]
    f, z = terms(q, False), np.random.default_rng(5).integers(0, K, (6, B, N))
    np.testing.assert_allclose(f(z)[0], f(np.eye(K)[z])[0], rtol=1e-13)
    small = Chain(*(array.astype(np.float32) for array in q))
    value, backward = expected(small, terms(q, False, np.float32))
    dq, dtheta = backward(value)
    assert {array.dtype for array in (*dq, *dtheta.values(), value)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(value, expected(q, f)[0], rtol=2e-5, atol=2e-6)


def test_many_latents_whose_codes_nobody_can_enumerate():
    own = np.random.default_rng(6)
    q = Chain(own.standard_normal((1, 500, K)), own.standard_normal((1, 499, K, K)))
    f = terms(q, True)
    dq, _ = expected(q, f)[1](np.ones(1))
    direction = Chain(*(own.standard_normal(array.shape) for array in q))
    moved = lambda t: Chain(*(array + t[0] * along for array, along in zip(q, direction, strict=True)))
    numeric = complex_step(lambda arrays: expected(moved(arrays["t"]), f)[0].sum(), {"t": np.zeros(1)})["t"][0]
    mine = sum((array * along).sum() for array, along in zip(dq, direction, strict=True))
    np.testing.assert_allclose(mine, numeric, rtol=1e-11)


@pytest.mark.parametrize(
    ("q", "f", "said"),
    [
        (LAWS["a chain"], lambda z: (z, None), "expected an Additive.*got a function"),
        (LAWS["a chain"], Additive(np.zeros((B, N, K)), np.zeros((B, N, K, K))), "edge: expected shape"),
        (LAWS["a chain"], Additive(np.zeros((2, N, K)), np.zeros((1, N - 1, K, K))), "node: expected shape"),
        (LAWS["a chain"], Additive(None, None), "node: expected an array"),
        (np.zeros((B, N, K)), Additive(np.zeros((1, N, K + 1)), np.zeros((1, N - 1, K, K))), "node: expected shape"),
        (
            (np.zeros((B, N, K)),),
            Additive(np.zeros((1, N, K)), np.zeros((1, N - 1, K, K))),
            "expected a Chain or indep",
        ),
    ],
)
def test_what_is_not_additive_is_refused_in_one_sentence(q, f, said):
    with pytest.raises(InputError, match=said):
        expected(q, f)


@pytest.mark.parametrize(
    ("node", "edge", "said"),
    [
        ((B, N, 1), (B, N - 1, K, K), "node: expected shape"),
        ((B, N, K), (B, 1, K, K), "edge: expected shape"),
        ((B + 1, N, K), (B, N - 1, K, K), "node: expected shape"),
        ((B, N + 1, K), (B, N, K, K), "node: expected shape"),
    ],
)
def test_terms_that_do_not_fit_are_not_broadcast(node, edge, said):
    """By each function that takes them; a prior of one example takes a batch, if nodes and edges have the same."""
    f = Additive(np.zeros(node), np.zeros(edge))
    for ask in (expected, log_evidence, true_posterior):
        with pytest.raises(InputError, match=said):
            ask(LAWS["a chain"], f)
    one = Chain(*(array[:1] for array in LAWS["a chain"]))
    with pytest.raises(InputError, match=said if node[0] == B else "edge: expected shape"):
        log_evidence(one, f)


@pytest.mark.parametrize(
    "z", [np.full((1, B, N), -1), np.full((1, B, N), K), np.zeros((1, B, N + 1), int), np.ones((1, B, N, 1))]
)
def test_codes_that_do_not_exist_are_refused(z):
    with pytest.raises(InputError, match=r"z: expected"):
        terms(LAWS["a chain"], False)(z)
