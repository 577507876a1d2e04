"""Additive objectives: their means by dynamic programming are those of the sum over every code, and so are the gradients."""

import numpy as np
import pytest

from dvae_np import TABLE, Additive, Chain, Independent, InputError, expected
from dvae_np.check import complex_step
from dvae_np.check.backward import check_op
from dvae_np.check.posteriors import op_of_arrays

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
    exact = TABLE["exact"].estimate(q, f)
    dq, df = backward(np.ones(B))
    np.testing.assert_allclose(value, exact.value, rtol=1e-12)
    for mine, theirs in zip((*dq, *df), (*exact.dq, *exact.dtheta.values()), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("name", LAWS)
def test_every_gradient_is_right(name, few):
    q = LAWS[name]
    f = terms(q, few)
    both = lambda *arrays: expected(type(q)(*arrays[: len(q)]), Additive(*arrays[len(q) :]))
    inputs = {**q._asdict(), **f._asdict()}
    found = check_op(op_of_arrays(both, inputs), inputs, np.random.default_rng(2))
    assert found.kind == "right", found
    y = np.random.default_rng(3).random((5, *q.sizes))  # relaxed codes

    def of_codes(y, node, edge):
        value, backward = Additive(node, edge)(y)
        return value, lambda dvalue: (lambda dz, dtheta: (dz, *dtheta.values()))(*backward(dvalue))

    found = check_op(of_codes, {"y": y, **f._asdict()}, np.random.default_rng(4))
    assert found.kind == "right", found


def test_codes_are_their_one_hots_and_float32_stays():
    q = LAWS["a chain"]
    f, z = terms(q, False), np.random.default_rng(5).integers(0, K, (6, B, N))
    np.testing.assert_allclose(f(z)[0], f(np.eye(K)[z])[0], rtol=1e-13)
    small = Chain(*(array.astype(np.float32) for array in q))
    value, backward = expected(small, terms(q, False, np.float32))
    assert {array.dtype for part in backward(value) for array in part} | {value.dtype} == {np.dtype(np.float32)}
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
