"""The judge of forward and backward pairs: every way to be wrong that it promises to see, and right ones written otherwise."""

import itertools

import numpy as np
import pytest
from scipy import special

from dvae_np import ops
from dvae_np.arrays import InputError
from dvae_np.check import suite
from dvae_np.check.backward import check_op

CASES = {name: (op, inputs, data) for name, op, inputs, *data in suite.op_cases(np.random.default_rng(1))}
X = np.random.default_rng(0).standard_normal((3, 4))
W = np.random.default_rng(1).standard_normal((4, 5))


def judged(op, data=(), **inputs):
    return check_op(op, inputs, np.random.default_rng(2), data)


def with_gradients(op, change):
    """The op, what its backward returns changed by a function of the tuple."""

    def changed(*args, **kwargs):
        y, backward = op(*args, **kwargs)

        def changed_backward(dy):
            found = backward(dy)
            return change(found if isinstance(found, tuple) else (found,))

        return y, changed_backward

    changed.__wrapped__ = op  # so that its parameters are the op's
    return changed


def replaced(found, i, new):
    return (*found[:i], new, *found[i + 1 :])


@pytest.mark.parametrize("name", CASES)
def test_every_op_is_right_and_no_gradient_of_it_can_be_left_out_added_moved_or_changed(name):
    op, inputs, data = CASES[name]
    right = judged(op, data, **inputs)
    assert right.kind == "right" and right.gradients, str(right)
    y, backward = op(**inputs)
    found = backward(np.ones_like(y))
    found = found if isinstance(found, tuple) else (found,)
    changes = {
        "nothing": lambda found: (),
        "all None": lambda found: (None,) * len(found),
        "one too many": lambda found: (*found, np.ones(3)),
        "one in front": lambda found: (None, *found),
        "the last left out": lambda found: found[:-1],
    }
    if name in ("linear (no bias)", "kl (uniform prior)") or name.endswith("_kl (uniform prior)"):
        del changes["the last left out"]  # it is the None of an option that was not given
    for i, gradient in enumerate(found):
        if gradient is None:
            changes[f"{i} is not None"] = lambda found, i=i: replaced(found, i, np.ones(3))
            continue
        changes |= {
            f"{i} is None": lambda found, i=i: replaced(found, i, None),
            f"{i} has a flipped sign": lambda found, i=i: replaced(found, i, -found[i]),
            f"{i} is doubled": lambda found, i=i: replaced(found, i, 2 * found[i]),
            f"{i} is summed": lambda found, i=i: replaced(found, i, found[i].sum(0)),
            f"{i} is complex": lambda found, i=i: replaced(found, i, found[i] + 1j),
            f"{i} is text": lambda found, i=i: replaced(found, i, "gradient"),
            f"{i} is off in one entry": lambda found, i=i: replaced(
                found, i, found[i] + 1e-3 * (found[i] == found[i].max())
            ),
        }
    for i, j in itertools.combinations(range(len(found)), 2):
        if found[i] is None and found[j] is None:
            continue
        swapped = lambda found, i=i, j=j: replaced(replaced(found, i, found[j]), j, found[i])
        changes[f"{i} and {j} are swapped"] = swapped
    for what, change in changes.items():
        verdict = judged(with_gradients(op, change), data, **inputs)
        assert verdict.kind == "wrong" and verdict.explanation, f"{what}: {verdict}"


def with_cotangent(op, change, total=False):
    """The op, its backward called with a function of the cotangent; total: its value added up to a number."""

    def changed(*args, **kwargs):
        y, backward = op(*args, **kwargs)
        if total:
            weights = np.cos(np.arange(y.size)).reshape(y.shape)
            return (weights * y).sum(), lambda dy: backward(change(dy) * weights)
        return y, lambda dy: backward(change(dy))

    changed.__wrapped__ = op
    return changed


@pytest.mark.parametrize("name", CASES)
def test_a_backward_that_is_not_linear_in_its_cotangent_is_wrong_also_where_that_is_a_number(name):
    op, inputs, data = CASES[name]
    assert judged(with_cotangent(op, lambda dy: dy, total=True), data, **inputs).kind == "right"
    for change in (np.abs, lambda dy: dy * dy, lambda dy: dy / abs(dy), lambda dy: dy * (1 + (dy.real > 0))):
        for total in (False, True):
            assert judged(with_cotangent(op, change, total), data, **inputs).kind == "wrong"


@pytest.mark.parametrize("name", CASES)
def test_an_op_that_is_right_for_contiguous_arrays_alone_is_wrong(name):
    op, inputs, data = CASES[name]

    def only_contiguous(*args, **kwargs):
        arrays = [each for each in (*args, *kwargs.values()) if isinstance(each, np.ndarray)]
        y, backward = op(*args, **kwargs)
        return (y, backward) if all(each.flags.c_contiguous for each in arrays) else (0 * y, backward)

    only_contiguous.__wrapped__ = op
    wrong = [only_contiguous]
    if np.size(op(**inputs)[0]) > 1:
        wrong.append(with_cotangent(op, lambda dy: dy if dy.flags.c_contiguous else 0 * dy))
    for each in wrong:
        assert "not contiguous" in str(judged(each, data, **inputs))


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_that_is_not_finite_or_wrong_in_its_least_entry_is_wrong(name):
    op, inputs, data = CASES[name]

    def spoilt(number):
        def change(found):
            gradient = np.array(next(each for each in found if each is not None))
            at = np.unravel_index(np.argmin(np.where(gradient == 0, np.inf, abs(gradient))), gradient.shape)
            gradient[at] = number(gradient[at])
            first = next(i for i, each in enumerate(found) if each is not None)
            return replaced(found, first, gradient)

        return with_gradients(op, change)

    for number in (lambda least: np.nan, lambda least: np.inf, lambda least: -least, lambda least: 2 * least):
        verdict = judged(spoilt(number), data, **inputs)
        assert verdict.kind == "wrong", str(verdict)


def test_a_default_that_is_an_array_is_an_input_too():
    def layer(x, w=W):
        return x @ w, lambda dy: (dy @ w.T, X.T @ dy)

    assert judged(layer, x=X).kind == "right"
    assert judged(layer, x=X).gradients == ("x", "w")
    assert "returned 1 gradient" in str(judged(with_gradients(layer, lambda found: found[0]), x=X))
    assert "dw is None" in str(judged(with_gradients(layer, lambda found: (found[0], None)), x=X))


def test_numbers_and_options_have_none_and_trailing_options_may_be_left_out():
    def scaled(x, tau, axis=-1):
        return x / tau, lambda dy: (dy / tau, None, None)

    assert judged(scaled, x=X, tau=0.5).kind == "right"
    assert judged(with_gradients(scaled, lambda found: found[:2]), x=X, tau=0.5).kind == "right"
    assert judged(with_gradients(scaled, lambda found: found[:1]), x=X, tau=0.5).kind == "wrong"

    def with_dtau(x, tau):
        return x / tau, lambda dy: (dy / tau, -(dy * x).sum() / tau**2)

    assert judged(with_dtau, x=X, tau=0.5).kind == "right"
    wrong = with_gradients(with_dtau, lambda found: (found[0], -found[1]))
    assert "dtau" in str(judged(wrong, x=X, tau=0.5))


def test_a_gradient_of_data_that_comes_all_the_same_must_be_right():
    def layer(x, w):
        return x @ w, lambda dy: (dy @ w.T, x.T @ dy)

    assert judged(layer, ("x",), x=X, w=W).kind == "right"
    assert judged(with_gradients(layer, lambda found: (None, found[1])), ("x",), x=X, w=W).kind == "right"
    assert judged(with_gradients(layer, lambda found: (2 * found[0], found[1])), ("x",), x=X, w=W).kind == "wrong"


def in_place_on_input(x):
    x *= 2
    return x.copy(), lambda dy: 2 * dy


def in_place_later(x):
    def backward(dy):
        slope = 2 * x
        x[:] = 0
        return dy * slope

    return x * x, backward


def in_place_on_cotangent(x):
    y = np.tanh(x)

    def backward(dy):
        dy *= 1 - y * y
        return dy

    return y, backward


def in_place_on_output(x):
    y = np.tanh(x)

    def backward(dy):
        y[:] = 1 - y * y
        return dy * y

    return y, backward


def accumulating(x):
    total = np.zeros_like(x)

    def backward(dy):
        total[:] += 2 * x * dy
        return total.copy()

    return x * x, backward


CACHE = {}


def shared_cache(x):
    CACHE["x"] = x
    return x * x, lambda dy: 2 * CACHE["x"] * dy


GENERATOR = np.random.default_rng(0)


def drawing(x):
    keep = GENERATOR.random(x.shape) < 0.5
    return x * keep, lambda dy: dy * keep


def list_of_gradients(x):
    return x * 2, lambda dy: [2 * dy]


def half_precision(x):
    return np.tanh(x).astype(np.float16), lambda dy: dy * (1 - np.tanh(x) ** 2)


def not_a_number(x):
    return x * np.nan, lambda dy: dy


def infinite_where_it_has_a_kink(x):
    away = x - X[1, 2]
    with np.errstate(invalid="ignore"):
        slope = away / abs(away)
    return abs(away), lambda dy: dy * slope


def outside_the_slopes_of_its_kink(x):
    return np.maximum(x, X[1, 2]), lambda dy: dy * np.where(x == X[1, 2], 5, x > X[1, 2])


def one_small_entry(x):
    here = np.arange(12).reshape(3, 4) == 6
    size = np.where(here, 1e-3, 1e6)
    return size * abs(x) ** 2, lambda dy: 2 * size * x * dy * np.where(here, -1, 1)


def no_return(x):
    x * 2


def value_alone(x):
    return x * 2


def a_list(x):
    return [x * 2, lambda dy: 2 * dy]


WRONG = {
    in_place_on_input: "it changes its input x in place",
    in_place_later: "it changes its input x in place",
    in_place_on_cotangent: "it changes its cotangent dy in place",
    in_place_on_output: "it changes its output y in place",
    accumulating: "the second call of backward gives other numbers",
    shared_cache: "the second call of backward gives other numbers",
    drawing: "two calls give different values",
    list_of_gradients: "expected a tuple of gradients, got a list",
    half_precision: "y is computed in float16",
    not_a_number: "y is nan at (0, 0)",
    infinite_where_it_has_a_kink: "dx: analytic is nan at (1, 2)",
    outside_the_slopes_of_its_kink: "at x[1, 2]: analytic",
    one_small_entry: "at x[1, 2]: analytic",
    no_return: "is a `return` missing?",
    value_alone: "expected the pair (y, backward)",
    a_list: "expected the pair (y, backward)",
}


@pytest.mark.parametrize("op", WRONG, ids=lambda op: op.__name__)
def test_what_changes_or_remembers_something_is_wrong_and_told_truly(op):
    x = X.copy()
    verdict = judged(op, x=x)
    assert verdict.kind == "wrong" and WRONG[op] in str(verdict), str(verdict)
    assert np.array_equal(x, X)  # whoever asks keeps his arrays


def norm(x):
    y = np.linalg.norm(x)
    return y, lambda dy: dy * x / y


def absolute(x):
    return abs(x), lambda dy: dy * np.sign(x)


def log_gamma(x):
    return special.gammaln(abs(x) + 1), lambda dy: dy * special.digamma(abs(x) + 1) * np.sign(x)


def logaddexp(x):
    return np.logaddexp(0, x), lambda dy: dy * special.expit(x)


def square_by_conjugate(x):
    return (x * x.conj()).real, lambda dy: 2 * dy * x


def real_in_value(x):
    return np.sin(x).real, lambda dy: dy * np.cos(x)


def real_in_backward(x):
    return np.sin(x), lambda dy: dy * np.cos(x).real


def conjugate_in_backward(x):
    return np.sin(x), lambda dy: dy * np.cos(x).conj()


def cast_in_backward(x):
    return np.sin(x), lambda dy: (dy * np.cos(x)).astype(float)


def real_cotangent_at_real_points(x):
    return np.sin(x), lambda dy: (dy if np.iscomplexobj(x) else np.real(dy)) * np.cos(x)


def single_precision(x):
    return np.sin(x.astype(np.float32)), lambda dy: dy * np.cos(x)


NOT_ANALYTIC = (
    norm, absolute, log_gamma, logaddexp, square_by_conjugate, real_in_value, real_in_backward, conjugate_in_backward,
    cast_in_backward, single_precision, real_cotangent_at_real_points,
)  # fmt: skip


@pytest.mark.parametrize("op", NOT_ANALYTIC, ids=lambda op: op.__name__)
def test_right_code_for_real_numbers_alone_is_right_and_not_analytic(op):
    verdict = judged(op, x=X)
    assert verdict.kind == "right, not analytic" and verdict.ok and verdict.explanation, str(verdict)
    assert judged(with_gradients(op, lambda found: 1.01 * found[0]), x=X).kind == "wrong"


def test_a_wrong_gradient_of_a_value_that_drops_the_imaginary_part_is_told_by_central_differences():
    verdict = judged(lambda x: (np.sin(x).real, lambda dy: -dy * np.cos(x)), x=X)
    assert verdict.kind == "wrong" and "flipped sign" in str(verdict) and "numeric 0" not in str(verdict)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_inputs_of_few_digits_are_judged_as_float64(dtype):
    x = np.array([[1, -1, 2]], dtype)
    for op in (ops.softmax, ops.log_softmax, ops.tanh, ops.softplus, ops.sigmoid):
        assert judged(op, x=x).kind == "right"
    assert judged(lambda x: (np.tanh(x), lambda dy: dy * (1 - np.tanh(x))), x=x).kind == "wrong"


def test_a_kink_is_named_and_left_out():
    x = np.array([[-1.0, 0.0, 2.0], [3.0, 1e-7, -2.0]])
    verdict = judged(ops.relu, x=x)
    assert verdict.kind == "right" and verdict.kinks == ("x[0, 1]",) and "x[0, 1]" in str(verdict)
    wrong = with_gradients(ops.relu, lambda found: replaced(found, 0, found[0] * np.array([[1, 1, 1], [1, 1, 0.5]])))
    assert judged(wrong, x=X[:2, :3] + 3).kind == "wrong"
    assert "nothing to compare" in str(judged(ops.relu, x=np.zeros((2, 3))))
    ties = np.array([[1.0, 1.0, 0.0]])
    largest = lambda x: (x.max(-1), lambda dy: dy[:, None] * (np.arange(3) == x.argmax(-1)[:, None]))
    assert judged(largest, x=ties).ok and len(judged(largest, x=ties).kinks) == 2


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_inputs_of_any_size_are_judged_right(scale):
    x = scale * abs(X) + 1e-3 * scale
    assert judged(lambda x: (np.log(x), lambda dy: dy / x), x=x).kind == "right"
    assert judged(lambda x: (x * x, lambda dy: 2 * x * dy), x=x).kind == "right"
    assert judged(lambda x: (np.log(x), lambda dy: 1.001 * dy / x), x=x).kind == "wrong"


SCALES = {
    "steep": (lambda x: (np.sin(1e6 * x), lambda dy: 1e6 * dy * np.cos(1e6 * x)), X),
    "beside a large number": (lambda x: (1e8 + np.sin(x), lambda dy: dy * np.cos(x)), X),
    "of tiny inputs": (lambda x: (x * x, lambda dy: 2 * x * dy), 1e-150 * X),
    "of huge inputs": (lambda x: (x * x, lambda dy: 2 * x * dy), 1e100 * X),
    "of tiny values": (lambda x: (1e-200 * x * x, lambda dy: 2e-200 * x * dy), X),
    "of huge values": (lambda x: (1e200 * x * x, lambda dy: 2e200 * x * dy), X),
}


@pytest.mark.parametrize("what", SCALES)
def test_ops_of_any_scale_are_right_without_a_kink_and_a_wrong_one_is_told_its_factor(what):
    op, x = SCALES[what]
    assert str(judged(op, x=x)) == "right"
    words = str(judged(with_gradients(op, lambda found: -found[0]), x=x))
    assert "flipped sign" in words and "zero everywhere" not in words and "kink" not in words


def test_a_gradient_of_zero_is_right():
    for op in (lambda x: (ops.softmax(x)[0].sum(), lambda dy: ops.softmax(x)[1](dy * np.ones(x.shape))),
               lambda x: (np.cos(x) ** 2 + np.sin(x) ** 2, lambda dy: 0 * dy)):  # fmt: skip
        assert judged(op, x=X).kind == "right"
        assert judged(with_gradients(op, lambda found: (found[0] + 1e-6,)), x=X).kind == "wrong"


def test_a_jump_is_left_out_as_a_kink_is():
    rounded = lambda x: (np.floor(x + 0.5), lambda dy: 0 * dy)
    verdict = judged(rounded, x=np.array([0.5, 1.2, -0.7]))
    assert verdict.ok and verdict.kinks == ("x[0]",), str(verdict)


def test_inputs_without_names_are_refused_in_words():
    for op in (lambda *xs: (xs[0], lambda dy: dy), lambda **xs: (xs["x"], lambda dy: dy)):
        with pytest.raises(InputError, match="names each of its inputs"):
            judged(op, x=X)


def test_an_op_of_other_inputs_is_refused_in_words():
    with pytest.raises(InputError, match=r"the op takes \(x\), got x, w"):
        judged(ops.tanh, x=X, w=W)
    with pytest.raises(InputError, match="missing a required argument: 'w'"):
        judged(ops.linear, x=X)


@pytest.mark.parametrize("constant", [1, 1e3, 1e6, 1e9])
def test_a_large_value_excuses_no_wrong_gradient(constant):
    """However many digits of the differences a constant takes away, a gradient that is 1 per cent too long is not right."""
    assert not judged(lambda x: (constant + np.sin(x), lambda dy: 1.01 * dy * np.cos(x)), x=X).ok


@pytest.mark.parametrize("scale", [1, 3])
def test_a_right_op_is_not_accused_where_its_gradients_are_nearly_zero(scale):
    """A softmax of numbers far apart: gradients of 1e-12 beside some of 1, which differences do not resolve. 60 problems."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, u, tau = rng.standard_normal((3, 2, 4)), rng.random((3, 2, 4)), 0.3 + 0.3 * rng.random()

        def op(x, u=u, tau=tau):
            e = np.exp((x - scale * np.log(-np.log(u))) / tau)
            y = e / e.sum(-1, keepdims=True)
            return y, lambda dy: y * (dy - (dy * y).sum(-1, keepdims=True)) / tau

        found = check_op(lambda x, op=op: op(x), {"x": x}, rng)
        assert found.kind == "right", (seed, str(found))
