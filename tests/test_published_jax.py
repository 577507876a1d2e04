"""Estimators and ops of JAX before the judge. Needs JAX."""

import time

import numpy as np
import pytest

from dvae_np import InputError
from dvae_np.check import compare_variance, judge, polynomial

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402  needs JAX

from dvae_np.check.jax import check_op, estimator, objective  # noqa: E402


def log_q(logits, z):
    return jnp.take_along_axis(jax.nn.log_softmax(logits)[None], z[..., None], -1)[..., 0].sum(-1)


def leave_one_out(logits, f, z):
    fz = f(z)
    baseline = (fz.sum(0) - fz) / (len(fz) - 1)
    return (log_q(logits, z) * jax.lax.stop_gradient(fz - baseline)).mean(0)


def own_sample_left_in(logits, f, z):
    fz = f(z)
    return (log_q(logits, z) * (fz - fz.mean(0))).mean(0)


def gradient(logits, f, z):
    return (f(z)[..., None, None] * (jax.nn.one_hot(z, logits.shape[-1]) - jax.nn.softmax(logits))).mean(0)


def straight_through(logits, f, z):
    p = jax.nn.softmax(logits)
    return f(jax.nn.one_hot(z, logits.shape[-1], dtype=p.dtype) + p - jax.lax.stop_gradient(p)).mean(0)


def without_stop(logits, f, z):
    return f(jax.nn.one_hot(z, logits.shape[-1], dtype=logits.dtype) + 0 * logits).mean(0)


def gumbel_softmax(logits, f, key):
    return f(jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / 0.5))


def of_uniforms_alone(logits, f, key):
    return f(jax.nn.softmax((logits + jax.random.uniform(key, logits.shape)) / 0.5))


def reinforce(logits, f, key):
    z = jax.random.categorical(key, logits)
    return log_q(logits, z[None])[0] * f(z)


def of_one_key(logits, f, key):
    """The same noise in every call: nothing varies but the example's place in the batch."""
    return reinforce(logits, f, jax.random.PRNGKey(0))


def mean_of_batch(logits, f, key):
    z = jax.random.categorical(key, logits)
    fz = f(z)
    return log_q(logits, z[None])[0] * (fz - fz.mean())


def of_integer_one_hots(logits, f, z):
    return (log_q(logits, z) * f(jax.nn.one_hot(z, logits.shape[-1], dtype=int))).mean(0)


SOFT = {"like": "gumbel_softmax", "tau": 0.5}


@pytest.mark.parametrize(("function", "how"), [
    (leave_one_out, {}), (gradient, {}), (straight_through, {"like": "straight_through"}), (gumbel_softmax, SOFT),
    (reinforce, {}), (of_integer_one_hots, {}),
])  # fmt: skip
def test_a_right_one_passes(function, how):
    started = time.perf_counter()
    judge(estimator(function), **how).raise_if_failed()
    assert time.perf_counter() - started < 30  # 3 to 12 s were measured, compilation included


@pytest.mark.parametrize(("function", "how", "words"), [
    (own_sample_left_in, {}, "includes its own sample"),
    (without_stop, {"like": "straight_through"}, "zero everywhere"),
    (of_uniforms_alone, SOFT, "beside the mean of gumbel_softmax (tau = 0.5)"),
    (mean_of_batch, {}, "own sample"),
    (of_one_key, {}, "is a seed or a key set inside?"),
    (lambda logits, f, z: f(z), {}, "Take the mean over the samples first"),
    (lambda logits, f, z: f(z.astype(jnp.float32)).mean(0), {}, "expected codes as integers"),
])  # fmt: skip
def test_a_wrong_one_fails_and_is_told_why(function, how, words):
    report = judge(estimator(function), **how)
    assert report.failed and words in str(report), str(report)


def test_float32_is_said_and_float64_is_judged_as_such():
    assert "UNBIASED to float32" in str(judge(estimator(leave_one_out)))
    with jax.enable_x64(True):
        assert "UNBIASED to float32" not in str(judge(estimator(leave_one_out)))


def test_a_numpy_f_lives_under_jit_grad_and_vmap():
    f = polynomial(np.random.default_rng(0).standard_normal((2, 2, 3)), 3)
    with jax.enable_x64(True):
        ours, y = objective(f, (4, 2, 3)), np.random.default_rng(1).dirichlet(np.ones(3), (5, 4, 2))
        fy, backward = f(y)
        dy = backward(np.ones_like(fy))[0]
        assert np.allclose(ours(jnp.asarray(y)), fy) and np.allclose(jax.jit(ours)(jnp.asarray(y)), fy)
        assert np.allclose(jax.grad(lambda y: ours(y).sum())(jnp.asarray(y)), dy)
        assert np.allclose(jax.vmap(ours)(jnp.asarray(y)), fy)
        assert np.allclose(jax.vmap(jax.grad(lambda y: ours(y).sum()))(jnp.asarray(y)), dy)
        z = np.random.default_rng(2).integers(3, size=(5, 4, 2))
        assert np.allclose(ours(jnp.asarray(z)), f(z)[0])
    with pytest.raises(InputError, match="expected codes as integers"):
        ours(jnp.zeros((4, 2)))


@jax.custom_vjp
def cube(x):
    return x**3


@jax.custom_vjp
def wrong(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, dy: (3 * x**2 * dy,))
wrong.defvjp(lambda x: (x**3, x), lambda x, dy: (2 * x**2 * dy,))


def test_an_op_of_jax_is_on_trial():
    x = {"x": np.random.default_rng(0).standard_normal((3, 4))}
    assert str(check_op(cube, x)) == "right" and str(check_op(jax.nn.softmax, x)) == "right"
    assert "a factor 0.666667" in str(check_op(wrong, x))
    assert check_op(lambda x, tau: jax.nn.softmax(x / tau), x | {"tau": 0.5}).gradients == ("x",)
    assert check_op(jnp.abs, x).kind == "right, not analytic"
    assert "zero everywhere" in str(check_op(lambda x: jax.lax.stop_gradient(x) ** 2, x))
    rows = check_op(lambda x, z: x[z], x | {"z": np.array([2, 0, 2])})
    assert rows.kind == "right" and rows.data == ("z",)


def test_an_estimator_of_jax_is_compared():
    found = compare_variance(estimator(leave_one_out), "reinforce_loo", S=3)
    assert found.per_evaluation[0] == pytest.approx(1, rel=1e-5)
