"""Ops: every backward pass against numeric derivatives, and what they do at the ends of the number line."""

import importlib
import inspect
import pkgutil
import re
import sys
from types import FunctionType

import numpy as np
import pytest
from scipy import special

import dvae_np
from dvae_np import ops
from dvae_np.arrays import InputError
from dvae_np.chain import Chain
from dvae_np.check.posteriors import law_results
from dvae_np.check.suite import op_cases, op_results

CASES = {name: (op, inputs) for name, op, inputs, *_ in op_cases(np.random.default_rng(3))}


HELPERS = {  # parts of ops, tested below and in every op that calls them
    "rows_by_code", "softmax_jacobian", "row_sums", "row_max", "log_of_product", "log_sum_exp"
}  # fmt: skip
# What has a backward pass and is no op, with what looks at it instead.
NO_OPS = {
    "evaluated": "asks whether f's answer is a pair",
    "as_law": "hands on what one's own encoder says", "as_prior": "hands on what one's own prior says",
    "answered": "looks at one's own functions' answers", "backward": "the second half of the chain's ops",
    "by_log_prob": "is `probability` of autoregressive laws and subsets", "chances": "is that of chains",
    "added": "is the decoder's", "mixed": "is the decoder's", "scaled": "is the decoder's", "uniform": "has no law",
    "quantise": "is not the derivative of its value; tests/test_codebook.py", "rounded": "the same", "signs": "the same",
    "coded": "goes backward by surrogates; tests/test_vq_vae.py",
    "kl_given": "is not the derivative of its value; `posteriors.later_kls`",
    "Autoregressive.through": "is not the derivative of its value; tests/test_autoregressive.py",
}  # fmt: skip
ABOVE = (
    "estimators",
    "check",
    "train",
    "bench",
    "figures",
    "experiments",
    "exercises",
    "cli",
    "lesson",
    "shown",
    "records",
)
INSIDE = re.compile(r"def \w*backward\(|lambda d\w*[:,]|_between\(")  # nested, a lambda, or two ops' in common


def public_ops(module):
    """The public functions and the methods, as Law.method, with a backward pass inside."""
    found = {}
    for name, thing in vars(module).items():
        if getattr(thing, "__module__", "") == module.__name__ and not name.startswith("_"):
            inner = vars(thing).items() if isinstance(thing, type) else [("", thing)]
            found |= {f"{name}.{method}".rstrip("."): op for method, op in inner
                      if isinstance(op, FunctionType) and op.__module__ == module.__name__ and method[:1] != "_"}  # fmt: skip
    return {name for name, op in found.items() if INSIDE.search(inspect.getsource(op))}


def verified():
    """The names of all ops that the suite holds to level 1; a law's methods with the law's name."""
    of_ops = {result.subject.removeprefix("op ") for result in op_results()}
    of_laws = {f"{result.subject}.{result.check.split('complex step, ')[1]}"
               for result in law_results() if "complex step, " in result.check}  # fmt: skip
    return {re.split(r"[ ,:]", name)[0] for name in of_ops | of_laws}


def modules():
    """All modules of ops: what stands below the estimators, and the objective."""
    names = [info.name for info in pkgutil.walk_packages(dvae_np.__path__, "dvae_np.")]
    return [importlib.import_module(name) for name in names
            if name.split(".")[1] not in ABOVE and not name.endswith("__main__")]  # fmt: skip


def test_every_op_of_every_module_is_in_the_suite():
    known = verified()
    known |= {f"Independent.{name}" for name in known} | {"Independent.kl_parts"}  # under other names, of plain logits
    missing = {f"{module.__name__}: {name}" for module in modules() for name in public_ops(module)
               if name not in known | NO_OPS.keys() | HELPERS and name != "negative_elbo"}  # fmt: skip
    assert not missing
    assert len(known) > 40


def test_an_op_without_a_case_is_found():
    """Appended to any module, as a function or as a law's method."""

    def new_op(x):
        def backward(dy):
            return 2 * dy

        return x, backward

    for module in modules():
        new_op.__module__ = module.__name__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "new_op", new_op, raising=False)
            assert "new_op" in public_ops(module)
    with pytest.MonkeyPatch.context() as patch:
        new_op.__module__ = "dvae_np.chain"
        patch.setattr(Chain, "new_op", new_op, raising=False)
        assert "Chain.new_op" in public_ops(sys.modules["dvae_np.chain"])


@pytest.mark.parametrize("name", CASES)
def test_a_second_forward_pass_does_not_disturb_the_first_ones_backward(name):
    op, inputs = CASES[name]
    y, backward = op(**inputs)
    dy = np.random.default_rng(5).standard_normal(y.shape)
    first = backward(dy)
    op(**{key: value[::-1].copy() if np.ndim(value) > 2 else value for key, value in inputs.items()})
    second = backward(dy)
    pairs = zip(first, second, strict=True) if isinstance(first, tuple) else [(first, second)]
    assert all(np.array_equal(a, b) for a, b in pairs if a is not None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", [ops.tanh, ops.relu, ops.softplus, ops.sigmoid, ops.softmax, ops.log_softmax])
def test_extreme_inputs_are_finite_and_keep_their_dtype(op, dtype):
    x = np.array([[-1e4, 0.0, 1e4], [1e4, 1e4, -1e4], [-50, 50, 1e-30]], dtype)
    y, backward = op(x)
    dx = backward(np.ones_like(y))
    assert np.isfinite(y).all() and np.isfinite(dx).all()
    assert y.dtype == dtype and dx.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_keeps_its_digits_from_end_to_end(dtype):
    """Against NumPy's log1p in longer numbers: 3 units in the last place, and what the exponent's rounding costs any method."""
    x = np.concatenate(
        [np.linspace(-80, 80, 20_001), np.geomspace(1e-30, 1, 500), -np.geomspace(1e-30, 1, 500)]
    ).astype(dtype)
    y, backward = ops.softplus(x)
    longer = x.astype(np.longdouble)
    t, eps = np.exp(-abs(longer)), np.finfo(dtype).eps
    log_partition, mean = np.maximum(longer, 0) + np.log1p(t), np.where(longer > 0, 1, t) / (1 + t)
    slack = eps * (3 + abs(x) * (x < 0))
    assert (abs(y - log_partition) <= slack * log_partition).all()
    assert (abs(backward(np.ones_like(x)) - mean) <= slack * mean).all()


def test_extreme_values_are_right():
    assert ops.softplus(np.array([-800.0, -50.0, 800.0]))[0].tolist() == pytest.approx([0, np.exp(-50), 800], rel=1e-14)
    assert ops.sigmoid(np.array([-50.0, 800.0, -800.0]))[0].tolist() == pytest.approx([np.exp(-50), 1, 0], rel=1e-13)
    assert ops.log_softmax(np.array([[-1e4, 1e4]]))[0].tolist() == [[-2e4, 0.0]]
    assert ops.softmax(np.array([[-1e4, 1e4]], np.float32))[0].tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(("rows", "K"), [(40, 7), (3, 200), (0, 4)])
def test_rows_by_code_adds_rows_of_one_code(rows, K):
    rng = np.random.default_rng(6)
    z, values = rng.integers(0, K, (rows, 2)), rng.standard_normal((rows, 5))
    expected = np.zeros((2, K, 5))
    for code, value in zip(z, values, strict=True):
        for n in range(2):
            expected[n, code[n]] += value
    np.testing.assert_allclose(ops.rows_by_code(z, values, K), expected, rtol=1e-14, atol=1e-14)
    sums = np.ones((2, K, 5))
    assert ops.rows_by_code(z, values, K, sums) is sums
    np.testing.assert_allclose(sums, 1 + expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("D", [1, 2, 3, 15, 16, 17, 31, 784])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_log_of_a_product_is_the_sum_of_logs(D, dtype):
    """Within one unit of 1 in the last place for each factor, also where all are at the ends of [1, 2]."""
    u = 1 + np.random.default_rng(8).random((3, 2, D))
    u[0], u[1, 0] = 2, 1
    u = u.astype(dtype) + (1e-3j if dtype is np.complex128 else 0)
    expected = np.log(u.astype(np.clongdouble if dtype is np.complex128 else np.longdouble)).sum(-1)
    given = ops.log_of_product(u)
    assert given.shape == (3, 2) and given.dtype == dtype
    assert (abs(given - expected) <= D * np.finfo(dtype).eps).all()


def test_the_jacobian_of_the_softmax_is_the_matrix_of_the_formula():
    rng = np.random.default_rng(6)
    x, dy = rng.standard_normal((2, 5, 4))
    q = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    by_matrix = [(np.diag(row) - np.outer(row, row)) @ each for row, each in zip(q, dy, strict=True)]
    np.testing.assert_allclose(ops.softmax_jacobian(q, dy), by_matrix, rtol=0, atol=1e-15)
    np.testing.assert_allclose(ops.row_sums(x), x.sum(-1, keepdims=True), rtol=1e-13)


@pytest.mark.parametrize("K", [3, 5000])
def test_row_sums_keep_the_digits_of_float32(K):
    """Sums of thousands of terms: within 1e-6 of float64's."""
    x = np.random.default_rng(7).random((20, K), dtype=np.float32)
    np.testing.assert_allclose(ops.row_sums(x), x.astype(np.float64).sum(-1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(ops.row_max(x), x.max(-1, keepdims=True))


@pytest.mark.parametrize("x", [np.array(-1.5), np.array([[-0.0, np.inf, -np.inf]]), np.array([[[1 - 2j, -1 + 2j]]])])
def test_relu_is_the_maximum_with_zero(x):
    np.testing.assert_array_equal(ops.relu(x)[0], np.maximum(x, 0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.linear(np.ones((2, 3)), np.ones((4, 5)), np.ones(5)), "do not fit"),
        (lambda: ops.linear(np.ones((2, 4)), np.ones((4, 5)), np.ones(4)), "do not fit"),
        (lambda: ops.embedding(np.array([[0, 3]]), np.ones((2, 3, 4))), "codes from 0 to K-1 = 2, got 0 to 3"),
        (lambda: ops.embedding(np.array([[0, -1]]), np.ones((2, 3, 4))), "got -1 to 0"),
        (lambda: ops.embedding(np.array([[0, 1, 2]]), np.ones((2, 3, 4))), "does not fit a table"),
        (lambda: ops.embedding(np.ones((5, 2, 2)), np.ones((2, 3, 4))), "does not fit a table"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_log_of_a_sum_of_exponentials_is_scipys_at_any_size(axis, dtype):
    """Rows of -inf, of one term that is all of the sum, of +inf; the axis goes, the type stays, and nothing warns."""
    for shift in (0, 1e4, -1e4):
        a = (10 * np.random.default_rng(9).standard_normal((3, 4, 5)) + shift).astype(dtype)
        a[0, 0, 0], a[1], a[:, 2], a[..., 3] = shift + 1000, -np.inf, -np.inf, -np.inf
        a = a + 1e-20j if dtype is np.complex128 else a
        found, expected = ops.log_sum_exp(a, axis), special.logsumexp(a.real.astype(float), axis=axis)
        assert found.dtype == dtype
        close = 1e-6 if dtype is np.float32 else 1e-14
        np.testing.assert_allclose(found.real, expected, rtol=close, atol=close)
        if dtype is np.complex128:  # all entries move by the same: so does the value
            np.testing.assert_allclose(found.imag[np.isfinite(expected)], 1e-20, rtol=1e-14)
    a[2, 3, 4] = np.inf
    assert (ops.log_sum_exp(a.real, axis) == np.inf).any()
