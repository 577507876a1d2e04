"""The discrete VAE: its parameters, its objective, and one training step on one screen.

    x (and c) --encoder psi--> logits --estimator--> z (and c) --decoder theta--> -log p(x|z,c)
                                 |
         (c --prior phi-->)      +--> KL(q(z|x,c) || p(z|c)), analytic

Parameters are a dict of dicts of arrays: ``psi`` (encoder), ``theta`` (decoder and observation model) and, where there are
such, ``phi`` (prior) and ``omega`` (an estimator's own tunables). They say what the model is, so that nothing else has to be
told to whoever evaluates or draws it.
"""

import math
from dataclasses import dataclass

import numpy as np

from dvae_np import categorical
from dvae_np.arrays import summed_to
from dvae_np.concrete import plug_in_kl, relaxed_kl
from dvae_np.likelihoods import bernoulli, categorical_pixels, gaussian
from dvae_np.networks import decoder, decoder_parameters, encoder, encoder_parameters, prior, prior_parameters
from dvae_np.noise import draw
from dvae_np.ops import relu

RELAXED_KL = {"relaxed": relaxed_kl, "plug_in": plug_in_kl}


def parameters(
    rng, D, N, K, hidden=(128,), dtype=np.float32, *, C=0, interface="embedding", prior="uniform", levels=1, scale=None
):
    """Fresh parameters for D pixels and N latents of K categories; the decoder's hidden layers mirror the encoder's.

    C:         dimensions of the context, 0 for none.
    interface: how z enters the decoder, one of `networks.INTERFACES`; prior: one of `networks.PRIORS`.
    levels:    grey levels of a pixel, for the categorical observation model; 1 for the others.
    scale:     where the Gaussian observation model's sigma starts; None for the others.
    """
    params = {
        "psi": encoder_parameters(rng, D + C, hidden, N, K, dtype),
        "theta": decoder_parameters(rng, N, K, tuple(reversed(hidden)), D * levels, dtype, C, interface),
    }
    if scale is not None:
        params["theta"]["log_scale"] = np.full(1, math.log(scale), dtype)
    phi = prior_parameters(rng, prior, N, K, hidden, C, dtype)
    return params if phi is None else params | {"phi": phi}


def reconstruction(theta, x, c=None, activation=relu):
    """The objective f(z) = -log p(x|z), or -log p(x|z,c) with a context c (B, C), in nats, for data x (B, D).

    f takes codes (S, B, N), relaxed codes (S, B, N, K) or states shared by the batch (S, 1, N), and returns fz (S, B)
    with `backward(dfz)` returning (dz, dtheta). It never depends on the logits; the KL is an op of its own.

    The observation model is Gaussian where theta has a ``log_scale``, categorical where the decoder has several outputs for
    each pixel, else Bernoulli.
    """

    def f(z):
        a, decoder_backward = decoder(theta, z, c, activation)
        if "log_scale" in theta:
            fz, likelihood_backward = gaussian(a, x, theta["log_scale"])
        else:
            fz, likelihood_backward = (bernoulli if a.shape[-1] == x.shape[-1] else categorical_pixels)(a, x)

        def backward(dfz):
            da, _, *dlog_scale = likelihood_backward(dfz)
            dz, dtheta = decoder_backward(da)
            return dz, dtheta | ({"log_scale": dlog_scale[0]} if dlog_scale else {})

        return fz, backward

    return f


def joint(f, prior_logits, N, K):
    """The objective -log p(x, z) = f(z) - log p(z), for codes (S, B, N): what a multi-sample bound weighs [Eq. 9.4].

    prior_logits: (B, N, K), (1, N, K), or None for uniform. `backward(dfz)` returns (None, dtheta) with one entry more,
    ``prior_logits``, where they are given.
    """

    def joint_f(z):
        fz, f_backward = f(z)
        if prior_logits is None:
            return fz + N * math.log(K), f_backward
        batch = prior_logits if len(prior_logits) == z.shape[1] else np.repeat(prior_logits, z.shape[1], 0)
        logp, logp_backward = categorical.log_prob(batch, z)

        def backward(dfz):
            dprior_logits, _ = logp_backward(-dfz)
            return None, f_backward(dfz)[1] | {"prior_logits": summed_to(prior_logits.shape, dprior_logits)}

        return fz - logp, backward

    return joint_f


def floored(kl_per_latent, least):
    """sum_n max(least, mean over the batch of KL_n), in nats [Eq. 3.9]: below `least` a latent's KL costs nothing.

    kl_per_latent: (B, N). `backward()` returns its gradient (B, N). ("Free bits", Kingma et al. 2016.)
    """
    mean = kl_per_latent.mean(0)  # (N,)
    costs = (mean.real >= least) / len(kl_per_latent)
    return np.maximum(mean, least).sum(), lambda: (costs + 0 * kl_per_latent).astype(kl_per_latent.dtype)


def averaged(f, B):
    """f, but its gradients in theta are of the mean over B examples; that in z stays each example's own.

    1/B enters through the cotangents, which are few numbers, and not through the gradients, which are many.
    """

    def averaged_f(z):
        fz, f_backward = f(z)

        def backward(dfz):
            dz, dtheta = f_backward(dfz / B)
            return None if dz is None else B * dz, dtheta

        return fz, backward

    return averaged_f


@dataclass(frozen=True)
class Loss:
    """A mini-batch's loss and what it is made of, in nats, and its gradients as a dict shaped like the parameters."""

    value: float  # reconstruction + beta * KL (each latent's at least the free bits), the mean over the batch
    reconstruction: np.ndarray  # (B,) the estimator's value of E_q[-log p(x|z)]
    kl: np.ndarray  # (B,)
    gradients: dict


def negative_elbo(params, x, row, noise, beta=1.0, *, c=None, free_bits=0.0, activation=relu, kl="analytic", **hyper):
    """The beta-weighted negative ELBO of a mini-batch, E_q[-log p(x|z)] + beta KL(q || p), and its gradients [Eq. 3.2].

    x:     (B, D). c: (B, C), a context on which encoder, decoder and a conditional prior depend, or None [Eq. 13.2].
    row:   an estimator's row of `dvae_np.TABLE`, which supplies the expectation and its gradients. Where it owns the KL (a
           multi-sample bound), what it gives is the whole objective, and the KL is only reported.
    noise: the estimator's noise as a function of the logits, e.g. ``lambda logits: draw(rng, logits, S, row.noise)``.
    free_bits: nats of KL that each latent has for nothing (`floored`); for the analytic KL.
    kl:    "analytic"; or, for gumbel_softmax, "relaxed" or "plug_in", at the same relaxed samples (`dvae_np.concrete`).
    hyper: the estimator's hyper-parameters; its tunables come from ``params["omega"]``.

    Every gradient is of the mean over the batch; the estimator's come summed, as each example's own.
    """
    beta, free_bits = float(beta), float(free_bits)  # NumPy's numbers would turn float32 into float64
    B = len(x)
    logits, encoder_backward = encoder(params["psi"], x, c, activation)  # (B, N, K)
    prior_logits, prior_backward = prior(params.get("phi"), c, activation)
    f = reconstruction(params["theta"], x, c, activation)
    f = averaged(joint(f, prior_logits, *logits.shape[1:]) if row.owns_kl else f, B)
    arrays = noise(logits)
    tunables = {"omega": params["omega"]} if "omega" in params else {}
    expectation = row.estimate(logits, f, *arrays, **hyper, **tunables)
    dtheta = dict(expectation.dtheta)

    if kl == "analytic":
        per_latent, kl_backward = categorical.kl_per_latent(logits, prior_logits)
        divergence = per_latent.sum(-1)
        cost, cost_backward = floored(per_latent, free_bits)
        dlogits, dprior_logits = kl_backward(cost_backward())
    else:
        sampled, kl_backward = RELAXED_KL[kl](logits, *arrays, hyper["tau"], prior_logits)  # (S, B)
        divergence, cost = sampled.mean(0), sampled.mean()
        dlogits, _, _, dprior_logits = kl_backward(np.full_like(sampled, 1 / sampled.size))

    if row.owns_kl:
        value, dlogits, dprior_logits = 0, 0, dtheta.pop("prior_logits", 0)
    else:
        value, dlogits = beta * cost, beta * dlogits
        dprior_logits = None if dprior_logits is None else beta * dprior_logits
    gradients = {
        "psi": encoder_backward(expectation.dlogits / B + dlogits),
        "theta": dtheta,
    }
    if prior_logits is not None:
        gradients["phi"] = prior_backward(dprior_logits)
    if tunables:
        gradients["omega"] = {name: gradient / B for name, gradient in expectation.domega.items()}
    return Loss(expectation.value.mean() + value, expectation.value, divergence, gradients)


def training_step(params, x, row, rng, optimisers, S=1, **options):
    """Draw the noise that the estimator of this table `row` needs, take the gradients, let every optimiser step.

    options: those of `negative_elbo` and the estimator's hyper-parameters.
    """
    loss = negative_elbo(params, x, row, lambda logits: draw(rng, logits, S, row.noise), **options)
    for optimiser in optimisers:
        optimiser.step(loss.gradients)
    return loss
