"""The exercises of lesson 07, Gumbel-Softmax."""

import numpy as np

from dvae_np import concrete_log_prob, gumbel, kl, plug_in_kl, relaxed_kl, softmax
from dvae_np.check import central, complex_step, polynomial
from dvae_np.exercises.exercise import Exercise, Made
from dvae_np.exercises.lesson_02 import softmax_of


def perturbed(logits, u, tau):
    return (logits + gumbel(u)) / tau


def my_relaxed(logits, u, tau):
    """The Jacobian written out, sample by sample."""
    y = softmax_of(perturbed(logits, u, tau))  # (S, B, N, K)

    def backward(dy):
        jacobian = y[..., None] * (np.eye(y.shape[-1]) - y[..., None, :])  # (S, B, N, K, K)
        return np.einsum("sbnk,sbnkj->bnj", dy, jacobian) / tau, None, None

    return y, backward


def with_gradient(change):
    """The op with another gradient, a function of (y, dy, tau)."""

    def op(logits, u, tau):
        y = softmax_of(perturbed(logits, u, tau))
        return y, lambda dy: (change(y, dy, tau), None, None)

    return op


def from_logits(perturb):
    """The op with other arguments (logits, u, tau) of the softmax, and the right way back from there."""

    def op(logits, u, tau):
        y = softmax_of(perturb(logits, u, tau))
        return y, lambda dy: (through(y, dy).sum(0) / tau, None, None)

    return op


def through(y, dy):
    return y * (dy - (y * dy).sum(-1, keepdims=True))


def relaxed_cases(rng):
    for (S, B, N, K), tau in (((5, 2, 3, 4), 0.6), ((2, 3, 1, 7), 1.7)):
        yield {"logits": rng.standard_normal((B, N, K)), "u": rng.random((S, B, N, K)), "tau": tau}


def smooth(w, linear):
    """A polynomial of degree 3 in relaxed codes, with a part of each example's own."""
    return polynomial(w, 3, linear)


def objective(rng, B, N, K):
    return Made(smooth, (rng.standard_normal((2, N, K)), rng.standard_normal((B, N, K))))


def my_hard(logits, f, u, tau):
    """Sample by sample: f's slope at the code, through the Jacobian at the soft sample."""
    total = np.zeros_like(logits)
    for one in u:
        y = softmax_of(perturbed(logits, one, tau))  # (B, N, K)
        hard = (y == y.max(-1, keepdims=True)).astype(float)
        fz, backward = f(hard[None])
        total += through(y, backward(np.ones_like(fz))[0][0]) / tau / len(u)
    return total


def slope_at_the_soft_sample(logits, f, u, tau):
    y = softmax_of(perturbed(logits, u, tau))
    fy, backward = f(y)
    return through(y, backward(np.ones_like(fy) / len(u))[0]).sum(0) / tau


def jacobian_at_the_code(logits, f, u, tau):
    return 0 * logits


def unperturbed_jacobian(logits, f, u, tau):
    y = perturbed(logits, u, tau)
    fz, backward = f((y == y.max(-1, keepdims=True)).astype(float))
    return through(softmax_of(logits / tau), backward(np.ones_like(fz) / len(u))[0].sum(0)) / tau


def hard_cases(rng):
    for (S, B, N, K), tau in (((4, 3, 2, 5), 0.5), ((3, 5, 1, 4), 1.3)):
        logits, u = rng.standard_normal((B, N, K)), rng.random((S, B, N, K))
        yield {"logits": logits, "f": objective(rng, B, N, K), "u": u, "tau": tau}


def log_density(a, l, tau):
    """The library's density of two relaxed categories, turned into the log-ratio's."""
    both = np.stack([a, 0 * a], -1)[:, None, None]  # (T, 1, 1, 2), as log-ratios
    return concrete_log_prob(l[None, None], both, tau)[0][:, 0]


def on_the_simplex(a, l, tau):
    shares = softmax_of(np.stack([a, 0 * a], -1))
    return log_density(a, l, tau) - np.log(shares).sum(-1)


def kl_estimate(logits, u, tau):
    """The library's, sample by sample."""
    return relaxed_kl(logits, u, tau)[0]


def at_y(logits, u, tau):
    """[Eq. 7.4] of posterior and prior, at y."""
    K, y = logits.shape[-1], softmax_of(perturbed(logits, u, tau))
    sums = (np.exp(shift - tau * y).sum(-1) for shift in (logits, 0 * logits))
    return (logits.sum(-1) - K * np.log(next(sums)) + K * np.log(next(sums))).sum(-1)


EXERCISES = (
    Exercise(
        "07.1",
        my_relaxed,
        lambda rng: list(relaxed_cases(rng)),
        {"logits": "BNK", "u": "SBNK"},
        op=True,
        data=("u",),
        returns=("dlogits",),
        library=(complex_step, central, softmax(np.zeros(2))[1]),
        mistakes={
            "y with noise that is not divided by tau: tau divides the noise too": from_logits(
                lambda logits, u, tau: logits / tau + gumbel(u)
            ),
            "y with 1 - u in the place of u: the noise is -log(-log u)": from_logits(
                lambda logits, u, tau: perturbed(logits, 1 - u, tau)
            ),
            "it without the factor 1/tau": with_gradient(lambda y, dy, tau: through(y, dy).sum(0)),
            "y * dy / tau: the second term of the softmax Jacobian is missing": with_gradient(
                lambda y, dy, tau: (y * dy).sum(0) / tau
            ),
            "a mean over the samples, where the backward of an op sums": with_gradient(
                lambda y, dy, tau: through(y, dy).mean(0) / tau
            ),
        },
    ),
    Exercise(
        "07.2",
        my_hard,
        lambda rng: list(hard_cases(rng)),
        {"logits": "BNK", "u": "SBNK"},
        returns=("the gradient",),
        mistakes={
            "Gumbel-Softmax: f's slope was taken at the soft y, not at the code": slope_at_the_soft_sample,
            "straight-through without the noise: the Jacobian belongs at the perturbed logits": unperturbed_jacobian,
            "the slope through the Jacobian of a one-hot, which is zero: use the soft y": jacobian_at_the_code,
            "it without the factor 1/tau": lambda logits, f, u, tau: tau * my_hard(logits, f, u, tau),
        },
    ),
    Exercise(
        "07.3",
        log_density,
        lambda rng: [
            {"a": 2 * rng.standard_normal(T), "l": rng.standard_normal(2), "tau": tau} for T, tau in ((7, 0.7), (5, 1.6))
        ],
        {"a": "T", "l": "K"},
        returns=("the log density",),
        library=(concrete_log_prob,),
        mistakes={
            "it without log tau: a density changes with its variable": lambda a, l, tau: log_density(a, l, tau) - np.log(tau),
            "the density: take its logarithm": lambda a, l, tau: np.exp(log_density(a, l, tau)),
            "the density of y on the simplex, not of the log-ratio": on_the_simplex,
            "the density around the wrong side: exchange the logits": lambda a, l, tau: log_density(a, l[::-1], tau),
        },
    ),
    Exercise(
        "07.4",
        kl_estimate,
        lambda rng: list(relaxed_cases(rng)),
        {"logits": "BNK", "u": "SBNK"},
        returns=("the estimate",),
        library=(relaxed_kl, plug_in_kl),
        mistakes={
            "the plug-in: a discrete formula at a soft sample": lambda logits, u, tau: plug_in_kl(logits, u, tau)[0],
            "the log-ratio with y in the place of xi: the density is one of xi = log y": at_y,
            "the discrete KL: right for codes, but this is a relaxed sample": lambda logits, u, tau: (
                kl(logits)[0] + np.zeros(u.shape[:2])
            ),
        },
    ),
)  # fmt: skip
