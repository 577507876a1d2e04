"""What REBAR and RELAX share: a control variate c on perturbed logits, and the gradient of the variance in its tunables."""

import numpy as np

from dvae_np.arrays import InputError, evaluated, one_hot
from dvae_np.estimators.estimate import Estimate, in_dtype
from dvae_np.laws import Independent, independent_logits
from dvae_np.ops import log_softmax, softmax
from dvae_np.perturbed import conditional_gumbel, gumbel

STEP = 1e-20  # of the complex step
NOT_ANALYTIC = (
    "expected an analytic one, as this estimator tunes itself by derivatives of its slope: of complex relaxed "
    "codes f must give complex values (np.abs does not). `check_objective` says which estimators f allows"
)
LOWEST = -1e30  # stands for a logit of -inf, of which complex numbers would make NaN: as impossible, but finite


def controlled(q, f, c, u, v):
    """(f(z) - c(zt)) score + d c(zg)/dlogits - d c(zt)/dlogits, averaged over S samples [Eq. 10.4], and its domega.

    c: ``value, backward = c(perturbed)`` for perturbed logits (S, B, N, K), with backward(dvalue) returning (dperturbed,
    domega); complex-safe, as all ops here are. See `rebar` for the rest.

    domega is the gradient of |g|^2, g the estimate [Eq. 11.2]. As g is linear in the first derivatives of c, that is
    2 <g, dg/domega>, and <g, dc/dlogits> is the derivative of c along the direction g of the logits: the imaginary part
    of c at logits + i h g. So the second derivatives come, exactly, from the same backward pass at a complex point.
    """
    logits = np.maximum(independent_logits(q, u, v), LOWEST)
    S = len(u)

    def perturbed(logits):
        logq, logq_backward = log_softmax(logits)
        zg = logq + gumbel(u)  # (S, B, N, K)
        z = np.argmax(zg.real, axis=-1)
        zt, zt_backward = conditional_gumbel(logits, z, v)
        return z, zg, zt, lambda dzg: logq_backward(dzg.sum(0)), lambda dzt: zt_backward(dzt)[0]

    z, zg, zt, zg_backward, zt_backward = perturbed(logits)
    fz, f_backward = evaluated(f, z)  # (S, B)
    _, c_zg_backward = c(zg)
    c_zt, c_zt_backward = c(zt)
    _, score_backward = Independent(logits).log_prob(z)
    share = np.full_like(fz, 1 / S)
    dlogits = score_backward((fz - c_zt) / S).logits
    dlogits = dlogits + zg_backward(c_zg_backward(share)[0]) - zt_backward(c_zt_backward(share)[0])
    _, dtheta = f_backward(share)  # Monte Carlo [Eq. 5.1]

    score = one_hot(z, logits.shape[-1], logits.dtype) - softmax(logits)[0]
    along = (score * dlogits).sum((-1, -2))  # <g, score>, (S, B)
    _, zg, zt, *_ = perturbed(logits + 1j * STEP * dlogits)
    through_zg = c(zg)[1](share)[1]
    through_zt = c(zt)[1](share * (1 + 1j * STEP * along))[1]
    domega = {name: 2 * (through_zg[name] - through_zt[name]).imag / STEP for name in through_zg}
    return Estimate(fz.mean(0), Independent(dlogits), dtheta, domega)


def relaxed(f, z, omega):
    """eta f(softmax(z / tau)), REBAR's control variate; `backward` returns (dz, {"eta", "log_tau"}).

    Raises InputError for an f whose values at complex relaxed codes are real, though it has a slope.
    """
    eta, log_tau = (in_dtype(omega[name], z.real.dtype) for name in ("eta", "log_tau"))
    tau = np.exp(log_tau)
    y, softmax_backward = softmax(z / tau)
    fy, f_backward = f(y)

    def backward(dvalue):
        dy = f_backward(eta * dvalue)[0]
        if y.dtype.kind == "c" != fy.dtype.kind and (dy != 0).any():
            raise InputError(f"f: {NOT_ANALYTIC}")
        dz = softmax_backward(dy) / tau
        return dz, {"eta": (dvalue * fy).sum(), "log_tau": -(dz * z).sum()}

    return eta * fy, backward
