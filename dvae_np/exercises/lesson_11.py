"""The exercises of lesson 11, RELAX."""

import numpy as np

from dvae_np import softmax
from dvae_np.check import central, complex_step
from dvae_np.estimators.control_variate import controlled
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_01 import by_complex_step


def slope_at(a, q, values, norms):
    """By the complex step through E ||g||^2; the squared mean does not depend on a."""

    def second_moment(arrays):
        return sum(p * (value - arrays["a"]) ** 2 * norm for p, value, norm in zip(q, values, norms, strict=True))

    return complex_step(second_moment, {"a": np.array(float(a))})["a"]


def without_the_norms(a, q, values, norms):
    return -2 * (q * (values - a)).sum()


def without_q(a, q, values, norms):
    return -2 * ((values - a) * norms).sum()


def of_the_second_power(a, q, values, norms):
    return -2 * (q * (values - a) * norms**2).sum()


def constants(rng):
    for a, K in ((0.7, 3), (-1.6, 5)):
        q = softmax(rng.standard_normal(K))[0]
        norms = 1 - 2 * q + (q**2).sum()
        yield {"a": a, "q": q, "values": 2 + rng.standard_normal(K), "norms": norms}


def combined(fb, c_zt, score_b, slope_z, slope_zt):
    """Entry by entry."""
    total = np.zeros(score_b.shape[1:])
    for s, b, n, k in np.ndindex(score_b.shape):
        total[b, n, k] += (fb[s, b] - c_zt[s, b]) * score_b[s, b, n, k] + slope_z[s, b, n, k] - slope_zt[s, b, n, k]
    return total / len(fb)


def gained(change):
    """The estimate with other parts, a function of all five."""
    return lambda *parts: combined(*change(*parts))


def parts(rng):
    for S, B, N, K in ((5, 4, 2, 3), (3, 7, 4, 2)):
        fb, c_zt = rng.standard_normal((2, S, B))
        score_b, slope_z, slope_zt = rng.standard_normal((3, S, B, N, K))
        yield {"fb": fb, "c_zt": c_zt, "score_b": score_b, "slope_z": slope_z, "slope_zt": slope_zt}


def surrogate(y, w, a):
    """Unit by unit, its backward by the complex step."""

    def value(y, w, a):
        return sum(a[h] * np.tanh(sum(y[..., k] * w[k, h] for k in range(len(w)))) for h in range(len(a)))

    return by_complex_step(value)(y, w, a)


def surrogate_gradients(change):
    """The surrogate with its three gradients changed: a function of (h, y, w, a, dr)."""

    def op(y, w, a):
        h = np.tanh(y @ w)
        return h @ a, lambda dr: change(h, y, w, a, dr)

    return op


def gradients(y, w, h, dpre, dr):
    return dpre @ w.T, np.einsum("sbk,sbh->kh", y, dpre), np.einsum("sb,sbh->h", dr, h)


def without_the_slope_of_tanh(h, y, w, a, dr):
    return gradients(y, w, h, dr[..., None] * a * np.ones_like(h), dr)


def without_a(h, y, w, a, dr):
    return gradients(y, w, h, dr[..., None] * (1 - h * h), dr)


def slope_of_variance(g, dg):
    """Sample by sample."""
    return sum(2 * sum(x * dx for x, dx in zip(row, drow, strict=True)) for row, drow in zip(g, dg, strict=True)) / len(
        g
    )


def of_the_mean(g, dg):
    return 2 * (g.mean(0) * dg.mean(0)).sum()


def of_the_sample_variance(g, dg):
    return 2 * ((g - g.mean(0)) * (dg - dg.mean(0))).sum() / (len(g) - 1)


def samples(rng):
    for R, P in ((5, 3), (8, 4)):
        g, dg = rng.standard_normal((2, R, P))
        yield {"g": g, "dg": dg}


EXERCISES = (
    Exercise(
        "11.1",
        slope_at,
        lambda rng: list(constants(rng)),
        {"q": "K", "values": "K", "norms": "K"},
        returns=("the slope",),
        library=(complex_step, central),
        mistakes={
            "-2 E[f - a]: each code counts by its squared score too": without_the_norms,
            "the sum without the probabilities of the codes": without_q,
            "the sum with the norms squared again: they are squares already": of_the_second_power,
        },
    ),
    Exercise(
        "11.2",
        combined,
        lambda rng: list(parts(rng)),
        {"fb": "SB", "c_zt": "SB", "score_b": "SBNK", "slope_z": "SBNK", "slope_zt": "SBNK"},
        returns=("the estimate",),
        library=(controlled,),
        mistakes={
            "the estimate without the slope through zt: it is biased": gained(
                lambda f, c, s, z, zt: (f, c, s, z, 0 * zt)
            ),
            "the estimate with c(z)'s slope alone: c(zt) must be taken off f too": gained(
                lambda f, c, s, z, zt: (f, 0 * c, s, z, 0 * zt)
            ),
            "the estimate without c(zt) beside the score: it must be taken off f": gained(
                lambda f, c, s, z, zt: (f, 0 * c, s, z, zt)
            ),
            "the estimate with the two slopes exchanged": gained(lambda f, c, s, z, zt: (f, c, s, zt, z)),
            "the score's part alone: the slopes of c are missing": gained(
                lambda f, c, s, z, zt: (f, c, s, 0 * z, 0 * zt)
            ),
        },
    ),
    Exercise(
        "11.3",
        surrogate,
        lambda rng: [
            {"y": rng.standard_normal((S, B, K)), "w": rng.standard_normal((K, H)), "a": rng.standard_normal(H)}
            for S, B, K, H in ((2, 3, 4, 5), (5, 4, 3, 7))
        ],
        {"y": "SBK", "w": "KH", "a": "H"},
        op=True,
        returns=("dy", "dw", "da"),
        analytic=True,
        library=(complex_step, central),
        mistakes={
            "the gradient without the slope of tanh, 1 - tanh^2": surrogate_gradients(without_the_slope_of_tanh),
            "the gradient without the weights a": surrogate_gradients(without_a),
        },
    ),
    Exercise(
        "11.4",
        slope_of_variance,
        lambda rng: list(samples(rng)),
        {"g": "RP", "dg": "RP"},
        returns=("the slope",),
        mistakes={
            "the slope of the squared norm of the mean: take the mean of the squared norms": of_the_mean,
            "the mean over the entries too: a norm is a sum over them": lambda g, dg: 2 * (g * dg).mean(),
            "the slope of the sample variance: it estimates the same, but [Eq. 11.2] asks for no mean of the samples": (
                of_the_sample_variance
            ),
        },
    ),
)  # fmt: skip
