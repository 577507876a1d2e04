"""RELAX: REBAR with a free control variate, a network beside the relaxed f."""

from dvae_np.estimators.control_variate import controlled, relaxed
from dvae_np.estimators.estimate import in_dtype
from dvae_np.networks import mlp
from dvae_np.ops import softmax, tanh


def relax(q, f, u, v, *, omega):
    """(f(z) - c(zt)) score + d c(zg) - d c(zt), with c(.) = eta f(softmax(. / tau)) + r(softmax(.)) [Eq. 11.1].

    Approximates: the gradient of E_q[f] in the logits.
    With:         3 S evaluations of f, 2 S of its gradient, at relaxed codes (and 2 S more of each for domega).
    Unbiased?     Yes, for every omega, as REBAR: c may be any function.

    q: independent latents, or logits (B, N, K). u, v: uniforms (S, B, N, K), as in `rebar`. omega: eta, log_tau, and w0,
    b0, w1, b1 of the surrogate r, a network with one hidden layer on the N K numbers of softmax(.). domega is the gradient
    of the squared estimate [Eq. 11.2]. Errors as `rebar`'s. (Grathwohl et al. 2018.) With w1 = b1 = 0 it is REBAR.
    """
    network = {name: in_dtype(omega[name], u.dtype) for name in ("w0", "b0", "w1", "b1")}

    def c(z):
        value, relaxed_backward = relaxed(f, z, omega)
        y, softmax_backward = softmax(z)
        r, network_backward = mlp(network, y.reshape(*y.shape[:2], -1), tanh)  # (S, B, 1)

        def backward(dvalue):
            dz, domega = relaxed_backward(dvalue)
            dy, dnetwork = network_backward(dvalue[..., None])
            return dz + softmax_backward(dy.reshape(y.shape)), domega | dnetwork

        return value + r[..., 0], backward

    return controlled(q, f, c, u, v)
