"""REBAR: REINFORCE whose control variate is f at a relaxed sample."""

from dvae_np.estimators.control_variate import controlled, relaxed


def rebar(q, f, u, v, *, omega):
    """(f(z) - c(zt)) score + d c(zg) - d c(zt), with c(.) = eta f(softmax(. / tau)) [Eq. 10.4].

    Approximates: the gradient of E_q[f] in the logits.
    With:         3 S evaluations of f, 2 S of its gradient, at relaxed codes (and 2 S more of each for domega).
    Unbiased?     Yes, for every eta and tau: on average over z, zt has the law of zg, so that what c takes away through zt
                  comes back through zg. The gradient *through* zt belongs to it.

    q: independent latents, or logits (B, N, K). u, v: uniforms (S, B, N, K): u makes zg = log q + Gumbel noise and z =
    argmax zg, v makes zt, drawn given z [Eq. 10.2]. omega: {"eta": (), "log_tau": ()}; domega is the gradient of the
    squared estimate, and on average that of the variance [Eq. 11.2]. Raises InputError for an f with a slope that is not
    analytic, which domega needs. (Tucker et al. 2017.)
    """
    return controlled(q, f, lambda z: relaxed(f, z, omega), u, v)
