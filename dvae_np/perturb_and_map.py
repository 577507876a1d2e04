"""I-MLE: a gradient of f through a most probable code, where nothing but that code can be computed."""

import numpy as np

from dvae_np.arrays import InputError, evaluated, expect_number, one_hot
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import expect_uniforms, law
from dvae_np.perturbed import gumbel


def implicit_mle(q, f, u, *, lam=1.0):
    """(z - z') / lam: the code of the largest perturbed score, less that after a step of lam down f's slope [Eq. 20.21].

    Approximates: the gradient of E[f(z)], z the code of the largest score with Gumbel noise: of E_q[f] for one categorical,
                  whose code has the law q.
    With:         S evaluations of f and of its gradient, at one-hot codes, and 2 S most probable codes.
    Unbiased?     No, even for affine f; as lam -> 0 its bias there vanishes like lam, and its variance grows like 1 / lam.

    q: logits (B, N, K), or a law of one array that knows its mode, as `Subsets`. u: uniforms (S, B, N, K) in (0, 1), the same
    for z and z'. lam > 0 (else InputError): a distance, in the units of logits. (Niepert, Minervini and Franceschi 2021.)
    """
    q = law(q, "mode")
    if len(q) > 1:
        raise InputError(f"q: expected a law of one array (B, N, K), got a {type(q).__name__}, which has {len(q)}")
    expect_uniforms(q, u)
    expect_number("lam", lam, "a distance", above=True)
    noise, K = gumbel(u), q.sizes[2]
    z = np.stack([type(q)(q[0] + each).mode() for each in noise])  # (S, B, N)
    y = one_hot(z, K, q[0].dtype)
    fz, f_backward = evaluated(f, y)
    dz, dtheta = f_backward(np.full_like(fz, 1 / len(u)))  # 1/S of each sample's slope
    slopes = float(lam) * len(u) * dz
    away = np.stack([type(q)(q[0] + each - slope).mode() for each, slope in zip(noise, slopes, strict=True)])
    return Estimate(fz.mean(0), type(q)((y - one_hot(away, K, y.dtype)).mean(0) / float(lam)), dtheta)
