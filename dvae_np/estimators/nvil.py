"""NVIL: REINFORCE with a baseline that depends on the input, learned by least squares."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate, in_dtype
from dvae_np.laws import law_and_codes
from dvae_np.networks import mlp
from dvae_np.ops import tanh


def nvil(q, f, z, *, omega, normalise=False):
    """(f(z) - c - C(x)) times the score, with C a small network and c a running mean [Eq. 6.4].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S evaluations of f, none of its gradient, and a network with one hidden layer.
    Unbiased?     Yes, for any omega. With `normalise` the signal is divided by max(1, its running standard deviation): the
                  right direction, another length.

    q: a law, or logits (B, N, K); its first array is what the baseline sees of the input x. z: codes drawn from q, (S, B,
    N).
    omega: w0, b0, w1, b1 of C; centre c; variance. domega: the gradient of (f - c - C)^2 / 2 in C's weights and in c, and
    of (variance - (f - c - C)^2)^2 / 2 in the variance, so that a step of descent is a moving average. (Mnih & Gregor 2014.)
    """
    q, z = law_and_codes(q, z)
    fz, f_backward = evaluated(f, z)  # (S, B)
    omega = {name: in_dtype(array, fz.dtype) for name, array in omega.items()}
    network = {name: omega[name] for name in ("w0", "b0", "w1", "b1")}
    seen = np.where(q[0].real > -np.inf, q[0], 0)  # a category that is ruled out adds nothing
    C, network_backward = mlp(network, seen.reshape(len(seen), -1), tanh, data=True)  # (B, 1)
    signal = fz - omega["centre"] - C[:, 0]
    scale = np.sqrt(np.maximum(omega["variance"], 1)) if normalise else 1
    dq = q.log_prob(z)[1](signal / scale / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    _, domega = network_backward(-signal.mean(0)[:, None])
    domega |= {"centre": -signal.mean(0).sum(), "variance": (omega["variance"] - signal**2).mean(0).sum()}
    return Estimate(fz.mean(0), dq, dtheta, domega)
