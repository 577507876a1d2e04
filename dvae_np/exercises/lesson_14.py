"""The exercises of lesson 14, which estimator when."""

import numpy as np

from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.laws import joint_states


def means(estimates, weights, n):
    """(probability, mean) of n estimates, for every outcome of all of them."""
    return [(weights[chosen].prod(), estimates[chosen].mean(0)) for chosen in joint_states(n, len(weights))]


def error_of_mean(estimates, weights, g, n):
    """The definition: every outcome of n draws, weighted."""
    return sum(weight * ((mean - g) ** 2).sum() for weight, mean in means(estimates, weights, n))


def parts(estimates, weights, g):
    """(bias^2, variance) of one estimate."""
    mean = np.einsum("m,mnk->nk", weights, estimates)
    return ((mean - g) ** 2).sum(), np.einsum("m,mnk->", weights, (estimates - mean) ** 2)


def all_divided(estimates, weights, g, n):
    return error_of_mean(estimates, weights, g, 1) / n


def no_bias(estimates, weights, g, n):
    return parts(estimates, weights, g)[1] / n


def squares_about_g(estimates, weights, g, n):
    return parts(estimates, weights, g)[0] + error_of_mean(estimates, weights, g, 1) / n


def mean_not_weighted(estimates, weights, g, n):
    mean = estimates.mean(0)
    return ((mean - g) ** 2).sum() + np.einsum("m,mnk->", weights, (estimates - mean) ** 2) / n


def deviation_divided(estimates, weights, g, n):
    bias2, variance = parts(estimates, weights, g)
    return bias2 + variance / n**2


def equally_probable(estimates, weights, g, n):
    return error_of_mean(estimates, np.ones_like(weights) / len(weights), g, n)


def outcomes(rng):
    for M, N, K, n in ((4, 2, 3, 3), (5, 3, 7, 2)):
        g = rng.standard_normal((N, K))
        yield {
            "estimates": 0.7 * g + 0.3 + rng.standard_normal((M, N, K)),
            "weights": softmax_of(rng.standard_normal(M)),
            "g": g,
            "n": n,
        }


def border(v, ms, bias, v_biased, ms_biased):
    """Bisection: the error at which both costs by [Eq. 14.2] are the same."""
    low, high = bias, 1e6 * bias
    for _ in range(200):
        error = (low + high) / 2
        n, n_biased = v / error**2, v_biased / (error**2 - bias**2) if error > bias else np.inf
        low, high = (low, error) if n * ms > n_biased * ms_biased else (error, high)
    return error


def by_variances(v, ms, bias, v_biased, ms_biased):
    return border(v, 1.0, bias, v_biased, 1.0)


def exchanged(v, ms, bias, v_biased, ms_biased):
    return bias * np.sqrt(v_biased * ms_biased / (v * ms - v_biased * ms_biased))


def times_exchanged(v, ms, bias, v_biased, ms_biased):
    return border(v, ms_biased, bias, v_biased, ms)


def where_the_lines_cross(v, ms, bias, v_biased, ms_biased):
    return np.sqrt(v / ((v - v_biased) / bias**2))


def squared(*arguments):
    return border(*arguments) ** 2


def pairs(rng):
    """The unbiased one needs about 2 to 5 times the work to the same variance."""
    for bias in (0.3, 0.12):
        v, v_biased, ms_biased = 9 * rng.uniform(0.5, 1), rng.uniform(0.5, 1), rng.uniform(1, 2)
        yield {
            "v": v,
            "ms": rng.uniform(2, 5) * v_biased * ms_biased / v,
            "bias": bias,
            "v_biased": v_biased,
            "ms_biased": ms_biased,
        }


def best_factor(estimates, weights, g, n):
    """The expected squared error is a parabola in c: its values at -1, 0 and 1 give its lowest point."""
    low, middle, high = (
        sum(weight * ((c * mean - g) ** 2).sum() for weight, mean in means(estimates, weights, n)) for c in (-1, 0, 1)
    )
    slope, bend = (high - low) / 2, (high + low) / 2 - middle
    return -slope / 2 / bend, np.sqrt((middle - slope**2 / 4 / bend) / (g**2).sum())


def error_at(c, estimates, weights, g, n):
    """The relative error of c times the mean of n."""
    return np.sqrt(error_of_mean(c * estimates, weights, g, n) / (g**2).sum())


def for_the_mean(estimates, weights, g, n):
    mean = np.einsum("m,mnk->nk", weights, estimates)
    c = (mean * g).sum() / (mean**2).sum()
    return c, error_at(c, estimates, weights, g, n)


def for_one_estimate(estimates, weights, g, n):
    return best_factor(estimates, weights, g, 1)


def to_the_length(estimates, weights, g, n):
    mean = np.einsum("m,mnk->nk", weights, estimates)
    c = np.linalg.norm(g) / np.linalg.norm(mean)
    return c, error_at(c, estimates, weights, g, n)


def error_as_it_is(estimates, weights, g, n):
    return best_factor(estimates, weights, g, n)[0], error_at(1, estimates, weights, g, n)


def squared_error(estimates, weights, g, n):
    c, error = best_factor(estimates, weights, g, n)
    return c, error**2


EXERCISES = (
    Exercise(
        "14.1",
        error_of_mean,
        lambda rng: list(outcomes(rng)),
        {"estimates": "MNK", "weights": "M", "g": "NK"},
        returns=("the error",),
        mistakes={
            "the error of one estimate, divided by n: averaging does not lower the bias": all_divided,
            "the error of one estimate: the mean of n has less variance": lambda e, w, g, n: error_of_mean(e, w, g, 1),
            "the variance alone: the squared bias is missing": no_bias,
            "what squares about g in the place of the variance give: they hold the bias already": squares_about_g,
            "what a mean without the probabilities gives: weigh each estimate by its own": mean_not_weighted,
            "what the variance divided by n^2 gives: divide it by n": deviation_divided,
            "the error with all codes equally probable: weigh each by its probability": equally_probable,
        },
    ),
    Exercise(
        "14.2",
        border,
        lambda rng: list(pairs(rng)),
        {},
        returns=("the error",),
        mistakes={
            "the border for equal times: what counts is variance times milliseconds": by_variances,
            "the border with the two estimators exchanged below the root": exchanged,
            "the border with the two times exchanged: each variance goes with its own time": times_exchanged,
            "the error where the two lines cross at one n: compare milliseconds, not n": where_the_lines_cross,
            "the square of the border: take the root": squared,
        },
    ),
    Exercise(
        "14.3",
        best_factor,
        lambda rng: list(outcomes(rng)),
        {"estimates": "MNK", "weights": "M", "g": "NK"},
        returns=("the factor", "the error"),
        mistakes={
            "the best factor for the mean gradient: the variance counts too": for_the_mean,
            "the best factor for one estimate: the mean of n has less variance": for_one_estimate,
            "the factor that gives the mean the length of g: make the error least": to_the_length,
            "the error without the factor": error_as_it_is,
            "the squared error: take the root": squared_error,
        },
    ),
)  # fmt: skip
