"""One `expect_...` for each kind of argument: all that take it refuse the same things, in a sentence that names it."""

import math

import numpy as np
import pytest

from dvae_np import concrete
from dvae_np.arrays import InputError, expect_choice, expect_number, expect_temperature, expect_whole
from dvae_np.check.means import defaults
from dvae_np.estimators import TABLE
from dvae_np.noise import draw
from dvae_np.train import Settings, evaluate, load
from dvae_np.vae import parameters

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((2, 3, 4))
U = RNG.random((5, 2, 3, 4))
NO_TEMPERATURE = (0, 0.0, -1.0, math.nan, math.inf, -math.inf, np.float32(0), "0.5", None, 1j, np.zeros(2), [1.0])
NOT_WHOLE = (0, -1, 2.0, 2.5, math.nan, math.inf, "2", None, True, np.float64(2), np.array([1, 2]), [2])


def with_temperature():
    """{name: a function of a temperature} for everything that takes one."""
    found = {
        "concrete_log_prob": ("tau", lambda tau: concrete.concrete_log_prob(LOGITS, np.log(U), tau)),
        "relaxed_kl": ("tau", lambda tau: concrete.relaxed_kl(LOGITS, U, tau)),
        "plug_in_kl": ("tau", lambda tau: concrete.plug_in_kl(LOGITS, U, tau)),
        "expect_temperature": ("tau", lambda tau: expect_temperature("tau", tau)),
    }
    for row in TABLE.values():
        for name in row.hyper:
            if name.startswith("tau"):

                def estimate(tau, row=row, name=name):
                    N, K = 3, 2 if row.binary else 4
                    noise = draw(RNG, LOGITS[..., :K], max(2, row.fewest_samples), row.noise)
                    return row.estimate(LOGITS[..., :K], lambda z: None, *noise, **defaults(row, N, K) | {name: tau})

                found[f"{row.name}, {name}"] = name, estimate
    return found


@pytest.mark.parametrize("which", with_temperature())
def test_a_temperature_is_above_zero_and_finite(which):
    name, function = with_temperature()[which]
    for tau in NO_TEMPERATURE:
        with pytest.raises(InputError, match=rf"^{name}: expected a temperature above 0, got "):
            function(tau)


@pytest.mark.parametrize("names", [("z",), ("u", "v"), ("e",), ("distinct",), ("coupled",), ()])
def test_draw_takes_whole_numbers_of_samples(names):
    for S in NOT_WHOLE:
        with pytest.raises(InputError, match=r"^S: expected at least 1, a whole number, got "):
            draw(RNG, LOGITS, S, names)
    for S in (2, np.int64(2), np.uint8(2), np.int16(2)):
        assert all(
            len(array) == 2 + (name == "uniforms")
            for name, array in zip(names, draw(RNG, LOGITS, S, names), strict=True)
        )


@pytest.mark.parametrize("names", [("z",), ("u", "v"), ("e",), ("distinct",), ("coupled",)])
@pytest.mark.parametrize(
    "dtype", [np.float16, ">f8", ">f4", np.longdouble, complex, np.complex64, int, bool, object, "U3"]
)
def test_draw_takes_logits_of_the_types_that_generators_draw(names, dtype):
    if np.dtype(dtype) == np.float64:
        pytest.skip("this machine's own numbers")
    logits = np.zeros((2, 3, 4), dtype)
    with pytest.raises(InputError, match=r"^logits: expected "):
        draw(RNG, logits, 2, names)
    for kind in (np.float32, np.float64):
        assert all(array.dtype in (kind, int) for array in draw(RNG, LOGITS.astype(kind), 2, names))


@pytest.mark.parametrize("name", ["N", "K", "S", "batch", "epochs", "schedule_epochs", "seed"])
def test_settings_take_whole_numbers(name):
    for value in NOT_WHOLE[1:] if name == "seed" else NOT_WHOLE:
        with pytest.raises(
            InputError, match=rf"^{name}: expected at least {int(name != 'seed')}, a whole number, got "
        ):
            Settings("reinforce", **{name: value})
    assert type(getattr(Settings("reinforce", **{name: np.int32(3)}), name)) is int  # which every record takes


@pytest.mark.parametrize("name", ["lr", "prior_rate", "embedding_scale", "scale", "beta", "free_bits"])
def test_settings_take_finite_numbers(name):
    from_zero = name in ("beta", "free_bits")
    more = {"likelihood": "gaussian"} if name == "scale" else {}
    for value in (-1.0, math.nan, math.inf, -math.inf, "1", 1j, [1.0], *(() if from_zero else (0, 0.0))):
        with pytest.raises(InputError, match=rf"^{name}: expected a .*, got "):
            Settings(**{name: value}, **more)
    Settings(**{name: 0.0 if from_zero else 1e-30}, **more)


def test_hidden_layers_probabilities_and_hyper_parameters_are_of_these_kinds():
    for size in NOT_WHOLE:
        with pytest.raises(InputError, match=r"^hidden: expected a tuple of sizes"):
            Settings(hidden=(8, size))
    for share in (0.0, -1.0, math.nan, math.inf, "1", None):
        with pytest.raises(InputError, match=r"^prior_probabilities: expected "):
            Settings(K=2, prior="fixed", prior_probabilities=(1.0, share))
    for row in TABLE.values():
        for name, usual in row.hyper.items():
            if isinstance(usual, float):
                for value in (math.nan, math.inf, "1", None):
                    with pytest.raises(InputError, match=rf"^{name}: expected "):
                        Settings(row.name, K=2, S=row.fewest_samples, hyper={name: value})


def test_evaluation_and_data_take_whole_numbers():
    params, x = parameters(RNG, 64, 2, 3, (4,)), load("digits").test.x[:5]
    for S in (*NOT_WHOLE, 10**6):
        with pytest.raises(InputError, match=r"^S: expected at "):
            evaluate(params, x, S=S, sample=True)
    for levels in (*NOT_WHOLE, 1, 257):
        with pytest.raises(InputError, match=r"^levels: expected at "):
            load("digits", "levels", levels=levels)


def test_the_sentences():
    for call, words in (
        (lambda: expect_whole("n", 7, 1, 5), "n: expected at most 5, a whole number, got 7"),
        (lambda: expect_whole("n", 0, 1, 5), "n: expected at least 1, a whole number, got 0"),
        (
            lambda: expect_number("x", 2e9, "a weight", most=10**9),
            "x: expected a weight of at most 1,000,000,000, got 2000000000.0",
        ),
        (lambda: expect_number("x", -1, "a weight"), "x: expected a weight of at least 0, got -1"),
        (lambda: expect_number("x", math.inf, least=-math.inf), "x: expected a number that is finite, got inf"),
        (lambda: expect_choice("c", ["a"], ("a", "b")), "c: expected one of a, b, got ['a']"),
    ):
        with pytest.raises(InputError) as refused:
            call()
        assert str(refused.value) == words
    expect_whole("n", np.uint8(3), 1, 3)
    expect_number("x", np.float32(0))
    expect_choice("c", "b", ("a", "b"))
