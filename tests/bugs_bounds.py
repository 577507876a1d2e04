"""Mistakes in bounds of several samples, and in control variates made of a law's neighbours."""

import numpy as np
from bug import Bug, rng
from strangers import scored

from dvae_np import categorical
from dvae_np.check import comparison, complex_step, enumeration, from_mean, lookup_table
from dvae_np.check.identities import equal
from dvae_np.estimators import TABLE
from dvae_np.ops import log_softmax, log_sum_exp, softmax

N, K = 2, 3


def vimco_naive(fz):
    """The bound without each weight, as log(e^total - e^w)."""
    total = np.log(np.exp(-fz - (-fz).max(0)).sum(0)) + (-fz).max(0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(total - total) - np.exp(-fz - total)) + total - np.log(len(fz) - 1)


def dominant_weight():
    logw = np.array([[-500.0], [-900.0], [-900.0]])
    rest = np.log(np.exp(logw[1:] + 900).sum(0)) - 900 - np.log(2)
    return comparison("bound without the largest weight", vimco_naive(-logw)[0], rest)


def share_clamped(logw, most=1 - 1e-7):
    """log(1 - v_s) of the shares v of the weights (S,), each at most `most`."""
    return np.log1p(-np.minimum(softmax(logw)[0], most))


def what_is_left(lead):
    """log(1 - v_s) where one of three weights leads by so many nats, beside the logarithm of the sum of the others."""
    logw = np.array([lead, 0.0, -0.5])
    others = np.array([log_sum_exp(np.delete(logw, s), 0) for s in range(3)])
    return comparison("log(1 - v)", share_clamped(logw), others - log_sum_exp(logw, 0))


def vimco_without_path():
    """VIMCO's learning signal alone, without the derivative of the weights, by enumeration."""
    g = rng()
    logits, f, samples = g.standard_normal((1, N, K)), lookup_table(g.standard_normal((K, K))), 2
    z, weights = enumeration.every_code(logits, samples)
    many = enumeration.tiled(logits, len(weights))
    whole = TABLE["vimco"].estimate(many, f, z).dlogits
    logw = -f(z)[0] - categorical.log_prob(many, z)[0]
    path = scored(many, z, np.exp(logw) / np.exp(logw).sum(0))
    target = complex_step(lambda a: enumeration.multi_sample_bound(a["logits"], f, samples).sum(), {"logits": logits})
    return from_mean(enumeration.moments(weights, whole - path)[0], target["logits"][0])


def weights_differentiated(cost):
    """The gradient of sum_s v_s cost_s in the costs (S,) = -log w, with the shares v differentiated too."""
    v, back = softmax(-cost)
    return v - back(cost)


def weights_of_costs(cost):
    """The same with v held, but v = softmax(cost): the *worst* sample has the largest share."""
    return softmax(cost)[0]


def slope_of_bound(gradient, cost):
    """In the cost of each sample, beside the complex step of -log 1/S sum_s w_s."""
    right = complex_step(lambda a: -log_sum_exp(-a["cost"], 0) + np.log(len(cost)), {"cost": cost})["cost"]
    return comparison("dcost", gradient(cost), right)


COSTS = np.array([2.0, 3.5, 2.7])  # of three samples; two equal ones show nothing


def stein_of_roots(logits, h, extra=0.0):
    """A h of every code of binary latents: the sum over neighbours y of sqrt(q(y) / q(z)) (h(y) - h(z)).

    logits (1, N, 2), h (2,) * N -> (2,) * N; `extra` is added to the denominator.
    """
    q, total = np.exp(log_softmax(logits)[0])[0], 0.0
    for n, each in enumerate(q):
        here = each.reshape([2 if axis == n else 1 for axis in range(h.ndim)])
        total = total + np.sqrt(np.flip(here, n) / (here + extra)) * (np.flip(h, n) - h)
    return total


def mean_of_operator(extra, peak):
    """E[A h] must be zero, whatever h is."""
    logits, h = np.array([[[0.0, peak], [0.0, -peak]]]), rng().standard_normal((2, 2))
    first, second = np.exp(log_softmax(logits)[0])[0]
    q = first[:, None] * second
    return equal("E[A h] = 0", (q * stein_of_roots(logits, h, extra)).sum(keepdims=True), np.zeros((1, 1)), scale=1)


BANK = [
    Bug("naive log(e^total - e^w) in VIMCO", "common", 4, dominant_weight, "inf"),
    Bug("VIMCO without the derivative of the weights", "common", 2, vimco_without_path, "along the gradient"),
    Bug("shares of the weights clamped just below 1", "vlievin/ovis", 4, lambda: what_is_left(40.0), "worst at",
        missed=lambda: what_is_left(5.0)),
    Bug("weights of a bound differentiated as well", "AntixK/PyTorch-VAE 34 and pull 53", 1,
        lambda: slope_of_bound(weights_differentiated, COSTS), "worst at",
        missed=lambda: slope_of_bound(weights_differentiated, np.ones(3))),
    Bug("weights of a bound that favour the worst sample", "AntixK/PyTorch-VAE, whose log-weight is a loss", 1,
        lambda: slope_of_bound(weights_of_costs, COSTS), "worst at",
        missed=lambda: slope_of_bound(weights_of_costs, np.ones(3))),
    Bug("a thousandth in the denominator of a ratio of probabilities", "thjashin/rodeo, two of its three operators", 4,
        lambda: mean_of_operator(1e-3, 6.9), "error 5e-02", missed=lambda: mean_of_operator(1e-3, 0.0)),
]  # fmt: skip
