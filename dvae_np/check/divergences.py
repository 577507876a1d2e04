"""The three KLs of Gumbel-Softmax VAEs and the Concrete density, by quadrature (level 4)."""

import numpy as np

from dvae_np import categorical, concrete
from dvae_np.check import enumeration
from dvae_np.check.report import Result
from dvae_np.ops import log_softmax


def three_kls(rng):
    """The three KLs of Gumbel-Softmax VAEs, by quadrature: which is a bound, and which is no KL at all."""
    logits = rng.standard_normal((1, 1, 3))
    discrete = float(categorical.kl(logits)[0][0])
    many, outcomes, weights = _nodes(logits)
    relaxed = [float(weights @ concrete.relaxed_kl(many, outcomes["u"], tau)[0][0]) for tau in (0.5, 1.0, 2.0)]
    spread = max(relaxed) - min(relaxed)
    yield Result(
        4, "relaxed_kl", "does not depend on a shared temperature", f"spread {spread:.0e}", spread < 1e-8, spread
    )
    verdict = f"{relaxed[0]:.4f} > {discrete:.4f}"
    yield Result(4, "relaxed_kl", "is above the discrete KL", verdict, relaxed[0] > discrete)
    logits = 0.3 * logits
    many, outcomes, weights = _nodes(logits)
    plug_in = float(weights @ concrete.plug_in_kl(many, outcomes["u"], 2.0)[0][0])
    verdict = f"{plug_in:.4f} < 0 at tau = 2, where the KL is {float(categorical.kl(logits)[0][0]):.4f}"
    yield Result(4, "plug_in_kl", "is not a KL: it can be negative", verdict, plug_in < 0)
    s = np.linspace(-45, 45, 361)
    a, b = (grid.ravel() for grid in np.meshgrid(s, s))
    xi = log_softmax(np.stack([a, b, 0 * a], -1))[0][:, None, None]  # log y, by the log-ratios of y on the simplex
    density = np.exp(concrete.concrete_log_prob(logits, xi, 0.7)[0])  # of log y, so it holds their Jacobian, prod y
    error = abs(float(density.sum() * (s[1] - s[0]) ** 2) - 1)
    yield Result(
        4, "concrete_log_prob", "the density integrates to 1, tau = 0.7", f"error {error:.0e}", error < 1e-9, error
    )
    prior = rng.standard_normal((1, 1, 3))
    ratio = np.exp(-concrete.relaxed_kl(many, outcomes["u"], 0.7, prior)[0][0])
    error = abs(float(weights @ ratio) - 1)
    yield Result(4, "concrete_log_prob", "E_q[p / q] = 1, tau = 0.7", f"error {error:.0e}", error < 1e-6, error)


def _nodes(logits):
    """The logits once for each node of the quadrature, the noise at the nodes, and their weights."""
    outcomes, weights, _ = enumeration.gumbel_nodes(logits, 240)
    return enumeration.tiled(logits, len(weights)), outcomes, weights
