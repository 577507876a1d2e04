"""The tunables with the least exact variance: weights by least squares, a temperature by going through them.

The temperatures are bounded: as they grow, the relaxed code tends to 1 / K in every category, and REBAR's control variate to
the constant eta f(1 / K), which is no longer what REBAR is about.
"""

import numpy as np

from dvae_np.check.exactly import fitted

WEIGHTS = {  # of each row that has any: the tunables in which its estimate is linear, the others as they start
    "reinforce_ema": ("baseline",),
    "nvil": ("centre",),
    "rebar": ("eta",),
    "relax": ("eta", "w1", "b1"),
    "double_cv": ("alpha",),
    "rodeo": ("alpha", "beta"),
}
TEMPERATURES = np.log(np.geomspace(0.3, 10, 8))  # where the search begins, between the first and the last of them
HALVINGS = 12  # of the interval in which it ends
COARSE = 81  # nodes of the quadrature in each dimension; the variance at what is found has all of them


def best_tunables(row, logits, f, S, hyper, read):
    """The row's hyper-parameters with these tunables, for logits (1, N, K).

    read: from gradients in the logits (..., N, K) to those whose variance counts, linear. A temperature is searched for with
    the scalar weights fitted at each; then RELAX's network gets its output layer, if there is one latent, as it is no sum over
    latents.
    """
    names, omega = WEIGHTS[row.name], hyper["omega"]
    scalars = tuple(name for name in names if name != "w1")

    def variance(log_tau):
        return fitted(row, logits, f, S, hyper | {"omega": omega | {"log_tau": log_tau}}, scalars, read, COARSE)[1]

    if "log_tau" in omega:
        omega = omega | {"log_tau": np.array(_lowest(variance))}
    names = names if logits.shape[1] == 1 else scalars
    return fitted(row, logits, f, S, hyper | {"omega": omega}, names, read, COARSE)[0]


def _lowest(variance):
    """The temperature's logarithm with the least variance: the best of some, then the golden section around it."""
    best = int(np.argmin([variance(each) for each in TEMPERATURES]))
    low, high = TEMPERATURES[max(best - 1, 0)], TEMPERATURES[min(best + 1, len(TEMPERATURES) - 1)]
    golden = (5**0.5 - 1) / 2
    for _ in range(HALVINGS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if variance(left) < variance(right) else (left, high)
    return (low + high) / 2
