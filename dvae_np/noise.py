"""Noise: the one place that draws what estimators need, which are themselves deterministic functions of arrays."""

import numpy as np

from dvae_np.arrays import InputError, count_states, expect_whole
from dvae_np.categorical import distinct
from dvae_np.coupling import coupled_codes
from dvae_np.laws import independent_logits, law

MOST_PERTURBED = 2**16  # joint states up to which `draw` samples without replacement
DRAWN = (np.float32, np.float64)  # what generators of NumPy and CuPy draw


def uniform(rng, shape, dtype):
    """Uniforms in the *open* interval (0, 1).

    The generator returns multiples of eps/2 from 0 to 1 - eps/2; its 0 becomes eps/4, so that neither log u nor
    log(-log u) is ever infinite, in float32 as in float64.
    """
    return np.clip(rng.random(shape, dtype=dtype), np.finfo(dtype).eps / 4, 1)


def evenly(S, B, N, like):
    """Numbers (S, B, N) spread over (0, 1) as evenly as a fixed rule does it, in the place of uniforms: no generator needed.

    Multiples, modulo 1, of powers of the root of x^(N+1) = x + 1, which generalises the golden ratio (Roberts 2018).
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (N + 1))
    steps = root ** -np.arange(1.0, N + 1, like=like)
    number = np.arange(S, like=like)[:, None] + S * np.arange(B, like=like)
    return ((number[..., None] + 0.5) * steps % 1).astype(like.dtype)


def draw(rng, q, S, names):
    """The noise that an estimator asks for, S samples of it: a tuple of arrays in the order of `names`.

    rng:    a generator of the library that owns the arrays of q (`numpy.random.Generator`, `cupy.random.Generator`).
    q:      a law, or logits (B, N, K), where -inf rules a category out.
    names:  ``"z"``           codes drawn from q, (S, B, N) [Eq. 2.6];
            ``"u"``, ``"v"``  uniforms in the open interval (0, 1), (S, B, N, K);
            ``"e"``           the same, one for each latent, (S, B, N);
            ``"distinct"``    S different joint states in the order drawn without replacement, (S, B, N) [Eq. 12.2];
            ``"coupled"``     codes that avoid each other, each drawn from q, (S, B, N) [Eq. 13.3].

    Raises InputError for S that is no whole number of at least 1, for arrays of a type that generators do not draw, for a
    name that is none of these, for more distinct states than there are, and where all K**N joint states would have to be
    perturbed and are too many.
    """
    q = law(q)
    dtype = q[0].dtype
    if names and dtype not in DRAWN:
        raise InputError(f"logits: expected float32 or float64 in this machine's byte order, got {dtype!r}")
    if names and not ((q[0] < np.inf).all() and (q[0].max(-1) > -np.inf).all()):
        raise InputError(
            "logits: expected finite numbers, or -inf for categories ruled out, but not for all; got nan or infinity"
        )
    expect_whole("S", S, 1)
    B, N, K = q[0].shape
    shapes = {"z": (S, B, N), "u": (S, B, N, K), "v": (S, B, N, K), "e": (S, B, N), "coupled": (S + 1, B, N)}
    if "distinct" in names:
        if not S <= count_states(N, K) <= MOST_PERTURBED:
            raise InputError(
                f"S: expected S distinct states of K**N = {K}**{N}, at most {MOST_PERTURBED} so that all can be perturbed, "
                f"got {S}"
            )
        shapes["distinct"] = (B, K**N)
    arrays = []
    for name in names:
        if name not in shapes:
            raise InputError(f"noise: expected names among {', '.join((*shapes, 'distinct'))}, got {name!r}")
        u = uniform(rng, shapes[name], dtype)
        if name == "z":
            u = q.codes(u)
        elif name == "distinct":
            u = distinct(q, u)[:S]
        elif name == "coupled":
            u = coupled_codes(independent_logits(q), u)
        arrays.append(u)
    return tuple(arrays)
