"""The discrete VAE: its parameters, its objective, and one training step on one screen.

    x (and c) --encoder psi--> q(z|x,c) --estimator--> z (and c) --decoder theta--> -log p(x|z,c)
                                 |
         (c --prior phi-->)      +--> KL(q(z|x,c) || p(z|c)), analytic

Parameters are a dict of dicts of arrays: ``psi`` (encoder), ``theta`` (decoder and observation model) and, where there are
such, ``phi`` (prior) and ``omega`` (an estimator's own tunables). A `Model` (`dvae_np.model`) says what reads them.
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from dvae_np.arrays import InputError, summed_to
from dvae_np.autoregressive import kl_given, weighted_codes
from dvae_np.chain import Chain
from dvae_np.concrete import plug_in_kl, relaxed_kl
from dvae_np.emissions import emissions
from dvae_np.estimators.row import ASKED
from dvae_np.initial import decoder_parameters, encoder_parameters, prior_parameters
from dvae_np.laws import Independent, each_array, law
from dvae_np.likelihoods import OBSERVATIONS
from dvae_np.model import PLAIN
from dvae_np.networks import expect_interface
from dvae_np.noise import draw
from dvae_np.structure import POSTERIORS, PRIORS

SAMPLED_KL = {"relaxed": relaxed_kl, "plug_in": plug_in_kl}
OWN = {name for row in OBSERVATIONS.values() for name in row.own}


def parameters(rng, D, N, K, hidden=(128,), dtype=np.float32, *, model=PLAIN, C=0, levels=1):
    """Fresh parameters for D pixels and N latents of K categories; the decoder's hidden layers mirror the encoder's.

    C: dimensions of the context, 0 for none. levels: grey levels of a pixel, for the categorical observation model.
    """
    observation = model.observation
    outputs, mirrored = D * observation.outputs(levels), tuple(reversed(hidden))
    psi = encoder_parameters(rng, D + C, hidden, N, K, dtype, model.posterior)
    theta = decoder_parameters(rng, N, K, mirrored, outputs, dtype, C, model.interface)
    theta |= {name: np.full(1, number, dtype) for name, number in observation.own.items()}
    phi = prior_parameters(rng, model.prior, N, K, hidden, C, dtype)
    return {"psi": psi, "theta": theta} | ({} if phi is None else {"phi": phi})


def reconstruction(theta, x, c=None, model=PLAIN):
    """The objective f(z) = -log p(x|z), or -log p(x|z,c) with a context c (B, C), in nats, for data x (B, D).

    f takes codes (S, B, N), relaxed codes (S, B, N, K) or states shared by the batch (S, 1, N), and returns fz (S, B)
    with `backward(dfz)` returning (dz, dtheta). It never depends on q; the KL is an op of its own. Where every latent speaks of
    a part of x, f is `Additive`. Raises InputError where theta has not the arrays of the model's rows, or those of others.
    """
    observation, own = model.observation, own_arrays(theta, model)
    if model.additive:
        expect_interface(theta, c, model.interface)
        return emissions(theta, x, model.part(len(theta["table"])).nll, own, c)

    def f(z):
        a, decoder_backward = model.decoder(theta, z, c)
        fz, likelihood_backward = observation.nll(a, x, **own)

        def backward(dfz):
            da, _, *down = likelihood_backward(dfz)
            dz, dtheta = decoder_backward(da)
            return dz, dtheta | dict(zip(own, down, strict=True))

        return fz, backward

    return f


def own_arrays(theta, model=PLAIN):
    """The observation model's own parameters among theta, by name. Raises InputError where theta has those of another one."""
    own = model.observation.own
    if OWN & set(theta) != set(own):
        raise InputError(f"likelihood: expected {model.likelihood}'s own arrays in theta, got {', '.join(theta)}")
    return dict(zip(own, map(theta.get, own), strict=True))


def posterior_and_prior(params, x, c=None, model=PLAIN):
    """The laws q(z|x,c) and p(z|c), the latter None where it is uniform, for data x (B, D) and contexts c (B, C) or None."""
    q, _ = model.encoder(params["psi"], x, c)
    return q, model.prior_op(params.get("phi"), c, q[0].shape[1])[0]


def joint(f, p, N, K):
    """The objective -log p(x, z) = f(z) - log p(z), for codes (S, B, N): what a multi-sample bound weighs [Eq. 9.4].

    p: the prior, a law or logits (1 or B, N, K), or None: uniform. `backward(dfz)` gives (None, dtheta and ``prior_logits``).
    """
    p = None if p is None else law(p)

    def joint_f(z):
        fz, f_backward = f(z)
        if p is None:
            return fz + N * math.log(K), f_backward
        batch = p if len(p[0]) == z.shape[1] else each_array(lambda array: np.repeat(array, z.shape[1], 0), p)
        logp, logp_backward = batch.log_prob(z)

        def backward(dfz):
            dp = each_array(lambda array, gradient: summed_to(array.shape, gradient), p, logp_backward(-dfz))
            return None, f_backward(dfz)[1] | {f"prior_{name}": gradient for name, gradient in dp._asdict().items()}

        return fz - logp, backward

    return joint_f


def floored(kl_parts, least):
    """sum_n max(least, mean over the batch of KL_n), in nats [Eq. 3.18]: below `least` a latent's KL costs nothing.

    kl_parts: (B, N). Returns the value and its gradient (B, N). ("Free bits", Kingma et al. 2016.)
    """
    mean = kl_parts.mean(0)  # (N,)
    costs = (mean.real >= least) / len(kl_parts)
    return np.maximum(mean, least).sum(), (costs + 0 * kl_parts).astype(kl_parts.dtype)


def expect_objective(row, kl="analytic", beta=1.0, free_bits=0.0, hyper=None, model=PLAIN):
    """The rule of what goes with which row of the estimators' table, or InputError: the KL, beta, free bits, hyper-parameters.

    The analytic KL goes with all; one at relaxed samples with rows whose samples are relaxed, and without free bits, which need
    the KL of each latent. A bound that contains the KL has it with weight 1.
    """
    if not hasattr(POSTERIORS[model.posterior].law, row.asks):
        raise InputError(f"estimator: {row.name} needs {ASKED[row.asks]}, got the posterior {model.posterior}")
    laws = {f"{model.prior} prior": PRIORS[model.prior], f"{model.posterior} posterior": POSTERIORS[model.posterior]}
    if kl != "analytic" and model.prior_law is not None:
        raise InputError(f"kl: only the analytic one with a prior_law of your own, got {kl!r}")
    for what, found in laws.items():
        if kl != "analytic" and found.law is not Independent:
            raise InputError(f"kl: only the analytic one with a {what}, got {kl!r}")
    if model.sequential and row.noise not in ((), ("z",)):
        raise InputError(
            f"estimator: an autoregressive law needs one that draws codes, for its KL, or exact; got {row.name}"
        )
    if row.owns_kl and (beta != 1 or free_bits):
        raise InputError(
            f"beta: {row.name}'s bound contains the KL with weight 1, got beta = {beta}, free bits {free_bits}"
        )
    if kl != "analytic" and (kl not in SAMPLED_KL or not row.relaxed):
        raise InputError(f"kl: expected analytic, or relaxed or plug_in for an estimator of relaxed codes, got {kl!r}")
    if kl != "analytic" and free_bits:
        raise InputError(f"free_bits: only for the analytic KL, which is known for each latent, got kl = {kl}")
    if free_bits and Chain in {found.law for found in laws.values()}:
        raise InputError(f"free_bits: only where the KL is known of each latent, got a {' and a '.join(laws)}")
    if hyper:
        row.expect_hyper(hyper)


@dataclass(frozen=True)
class Loss:
    """A mini-batch's loss and what it is made of, in nats, and its gradients as a dict shaped like the parameters."""

    value: float  # reconstruction + beta * KL (each latent's at least the free bits), the mean over the batch
    reconstruction: np.ndarray  # (B,) the estimator's value of E_q[-log p(x|z)]
    kl: np.ndarray  # (B,)
    gradients: dict


def negative_elbo(params, x, row, noise, beta=1.0, *, model=PLAIN, c=None, free_bits=0.0, kl="analytic", hyper=None):
    """The beta-weighted negative ELBO of a mini-batch, E_q[-log p(x|z)] + beta KL(q || p), and its gradients [Eq. 3.2].

    x:     (B, D). c: (B, C), a context on which encoder, decoder and a conditional prior depend, or None [Eq. 16.3].
    row:   an estimator's row of `dvae_np.TABLE`, which supplies the expectation and its gradients. Where it owns the KL (a
           multi-sample bound), what it gives is the whole objective, and the KL is only reported.
    noise: the estimator's noise as a function of q, e.g. ``lambda q: draw(rng, q, S, row.noise)``.
    free_bits: nats of KL that each latent has for nothing (`floored`); for the analytic KL.
    kl:    "analytic"; or, for rows with relaxed samples, "relaxed" or "plug_in", at the same samples (`dvae_np.concrete`).
    hyper: the estimator's hyper-parameters, where not the row's; its tunables come from ``params["omega"]``.

    Every gradient is of the mean over the batch; the estimator's come summed, as each example's own. Raises InputError where
    the row cannot have such a KL, beta or free bits (`expect_objective`).
    """
    expect_objective(row, kl, beta, free_bits, hyper, model)
    beta = 0.0 if row.owns_kl else float(beta)  # NumPy's numbers would turn float32 into float64
    B, hyper = len(x), row.hyper | (hyper or {})
    q, encoder_backward = model.encoder(params["psi"], x, c)
    p, prior_backward = model.prior_op(params.get("phi"), c, q[0].shape[1])
    f = reconstruction(params["theta"], x, c, model)
    arrays = noise(q)
    tunables = {"omega": params["omega"]} if "omega" in params else {}
    expectation = row.estimate(q, joint(f, p, *q.sizes[1:]) if row.owns_kl else f, *arrays, **hyper, **tunables)
    dtheta = dict(expectation.dtheta)

    if kl == "analytic":
        parts, kl_backward = kl_given(q, p, *weighted_codes(q, *arrays)) if model.sequential else q.kl_parts(p)
        if free_bits and parts.shape[1] != q.sizes[1]:
            raise InputError(f"free_bits: only where the KL is known of each latent, got a {type(p).__name__} as prior")
        divergence = parts.sum(-1)
        cost, dparts = (
            floored(parts, float(free_bits)) if free_bits else (parts.mean(0).sum(), np.full_like(parts, 1 / B))
        )
        dq_kl, dp = kl_backward(dparts)
    else:
        sampled, kl_backward = SAMPLED_KL[kl](
            q.logits, *arrays, hyper["tau"], None if p is None else p.logits
        )  # (S, B)
        divergence, cost = sampled.mean(0), sampled.mean()
        dlogits, _, _, dprior_logits = kl_backward(np.full_like(sampled, 1 / sampled.size))
        dq_kl, dp = Independent(dlogits), None if p is None else Independent(dprior_logits)

    gradients = {}
    if p is not None:
        own = [dtheta.pop(f"prior_{name}") / B for name in p._fields] if row.owns_kl else [beta * array for array in dp]
        gradients["phi"] = prior_backward(type(p)(*own))
    if tunables:
        gradients["omega"] = {name: gradient / B for name, gradient in expectation.domega.items()}
    for gradient in dtheta.values():
        gradient /= B
    dq = []
    for array, more in zip(law(expectation.dq), dq_kl, strict=True):
        dq.append(array / B + beta * more)
    gradients |= {"psi": encoder_backward(type(q)(*dq)), "theta": dtheta}
    return Loss(expectation.value.mean() + beta * cost, expectation.value, divergence, gradients)


def training_step(params, x, row, rng, optimisers, S=1, **options):
    """Draw the noise that the estimator of this table `row` needs, take the gradients, let every optimiser step.

    x: (B, D). options: those of `negative_elbo`, whose errors it raises: InputError.
    """
    loss = negative_elbo(params, x, row, partial(draw, rng, S=S, names=row.noise), **options)
    for optimiser in optimisers:
        optimiser.step(loss.gradients)
    return loss
