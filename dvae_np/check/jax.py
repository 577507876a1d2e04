"""Estimators and ops of JAX before the judge: f takes JAX arrays and is differentiable in them. Needs JAX.

    from dvae_np.check import judge
    from dvae_np.check.jax import estimator

    judge(estimator(my_function)).raise_if_failed()

JAX computes in float32 unless `jax_enable_x64` is set, and the verdict is then UNBIASED to float32.
"""

from functools import lru_cache, wraps

import jax
import jax.numpy as jnp
import numpy as np

from dvae_np.check.adapters import check_foreign, expect_loss, parameters_of, signature, with_samples


def objective(f, sizes):
    """A NumPy f as a function of JAX arrays, with its own backward pass; under jit, grad and vmap too. sizes: (B, N, K)."""

    def value(z, dtype):
        codes, added = with_samples(np.asarray(z), sizes)
        fz, _ = f(codes)
        return np.asarray(fz[0] if added else fz, dtype)

    def slope(z, dfz):
        codes, added = with_samples(np.asarray(z), sizes)
        _, backward = f(codes)
        dz, _ = backward(np.asarray(dfz)[None] if added else np.asarray(dfz))
        return np.asarray(dz[0] if added else dz, z.dtype)

    def shaped(z):
        relaxed = jnp.issubdtype(z.dtype, jnp.floating)
        dtype = z.dtype if relaxed else jnp.zeros(0).dtype
        return jax.ShapeDtypeStruct(z.shape[: z.ndim - 2] + z.shape[z.ndim - 2 : z.ndim - 1 - relaxed], dtype), dtype

    @jax.custom_vjp
    def of_relaxed(z):
        shape, dtype = shaped(z)
        return jax.pure_callback(lambda z: value(z, dtype), shape, z, vmap_method="sequential")

    def backward(z, dfz):
        return (jax.pure_callback(slope, jax.ShapeDtypeStruct(z.shape, z.dtype), z, dfz, vmap_method="sequential"),)

    of_relaxed.defvjp(lambda z: (of_relaxed(z), z), backward)

    def of_codes(z):
        shape, dtype = shaped(z)
        return jax.pure_callback(lambda z: value(z, dtype), shape, z, vmap_method="sequential")

    def f_of_jax(z):
        z = jnp.asarray(z)
        codes, _ = with_samples(np.empty(z.shape, z.dtype), sizes)  # refuses other axes in words
        if codes.dtype.kind in "iu":
            return of_codes(z)
        return of_relaxed(z if jnp.issubdtype(z.dtype, jnp.floating) else z.astype(jnp.zeros(0).dtype))  # or one-hots

    return f_of_jax


def estimator(function):
    """A function of JAX arrays as one of NumPy's, for `judge`.

    function: (logits, f, noise) of arrays, noise named as for `judge`, or (logits, f, key), where it draws itself. It returns
              the gradient in the logits (B, N, K), or a loss: one number, the sum over the examples, or (B,), which is
              differentiated in the logits. f takes codes (B, N) or (S, B, N), one-hots or relaxed codes (B, N, K) or
              (S, B, N, K), and gives (B,) or (S, B).
    Raises InputError for a function of other parameters, and where it gives f or returns something else. A decorator, too.
    """
    noise, key = parameters_of(function)

    def differentiated(f, theirs, given):
        of_logits = lambda logits: function(logits, objective(f, theirs.shape), *given)
        found = of_logits(theirs)
        if not hasattr(found, "shape"):
            raise TypeError(
                f"expected an array, the gradient in the logits or a loss, it returned a {type(found).__name__}"
            )
        expect_loss(tuple(found.shape), theirs)
        return found if found.shape == theirs.shape else jax.grad(lambda logits: of_logits(logits).sum())(theirs)

    @lru_cache(maxsize=4)  # many calls of one shape and one f, for which it is compiled once
    def compiled(f):
        return jax.jit(lambda theirs, key: differentiated(f, theirs, [key]))

    @wraps(function)
    def of_arrays(logits, f, *arrays):
        theirs = jnp.asarray(logits)
        if key:
            found = compiled(f)(theirs, jax.random.PRNGKey(int(arrays[0].integers(2**31))))
        else:
            found = differentiated(f, theirs, [jnp.asarray(array) for array in arrays if noise])
        found = np.asarray(found)
        return found.astype(logits.dtype) if found.itemsize > logits.itemsize else found

    of_arrays.__signature__ = signature(noise)  # and not that of `function`
    return of_arrays


def check_op(function, inputs, rng=None, data=()):
    """The `OpVerdict` on a `jax.custom_vjp`, or on any function of JAX arrays, in float64.

    By central differences and, where it takes complex arrays, by the complex step. inputs: its arguments by name, in their
    order, as NumPy arrays or numbers. data: as in `dvae_np.check.check_op`. Errors as there.
    """
    theirs = lambda given: {n: jnp.asarray(v) if isinstance(v, np.ndarray) else v for n, v in given.items()}

    def value(given):
        return np.asarray(function(*theirs(given).values()))

    def pulled(given, moves):
        arrays = theirs(given)
        y, vjp = jax.vjp(lambda *moving: function(*(arrays | dict(zip(moves, moving, strict=True))).values()),
                         *(arrays[name] for name in moves))  # fmt: skip
        return np.asarray(y), lambda dy: [np.asarray(found) for found in vjp(jnp.asarray(dy, y.dtype))]

    with jax.enable_x64(True):
        return check_foreign(value, pulled, inputs, rng, data)
