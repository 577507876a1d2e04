"""The discrete VAE: its parameters, its objective, and one training step on one screen.

    x --encoder psi--> logits --estimator--> z --decoder theta--> -log p(x|z)
                          |
                          +--> KL(q(z|x) || p(z)), analytic

Parameters are a dict of dicts of arrays: ``psi`` (encoder), ``theta`` (decoder) and, for estimators that have tunables
of their own, ``omega``.
"""

from dataclasses import dataclass

import numpy as np

from dvae_np import categorical
from dvae_np.arrays import draw
from dvae_np.concrete import plug_in_kl, relaxed_kl
from dvae_np.likelihoods import bernoulli
from dvae_np.networks import decoder, decoder_parameters, encoder, encoder_parameters
from dvae_np.ops import relu

RELAXED_KL = {"relaxed": relaxed_kl, "plug_in": plug_in_kl}


def parameters(rng, D, N, K, hidden=(128,), dtype=np.float32):
    """Fresh parameters for D pixels and N latents of K categories; the decoder's hidden layers mirror the encoder's."""
    return {
        "psi": encoder_parameters(rng, D, hidden, N, K, dtype),
        "theta": decoder_parameters(rng, N, K, tuple(reversed(hidden)), D, dtype),
    }


def reconstruction(theta, x, activation=relu):
    """The objective f(z) = -log p(x|z), in nats, for data x (B, D).

    f takes codes (S, B, N), relaxed codes (S, B, N, K) or states shared by the batch (S, 1, N), and returns fz (S, B)
    with `backward(dfz)` returning (dz, dtheta). It never depends on the logits; the KL is an op of its own.
    """

    def f(z):
        a, decoder_backward = decoder(theta, z, activation)
        fz, bernoulli_backward = bernoulli(a, x)
        return fz, lambda dfz: decoder_backward(bernoulli_backward(dfz)[0])

    return f


@dataclass(frozen=True)
class Loss:
    """A mini-batch's loss and what it is made of, in nats, and its gradients as a dict shaped like the parameters."""

    value: float  # reconstruction + beta * KL, the mean over the batch
    reconstruction: np.ndarray  # (B,) the estimator's value of E_q[-log p(x|z)]
    kl: np.ndarray  # (B,)
    gradients: dict


def negative_elbo(params, x, row, noise, beta=1.0, activation=relu, kl="analytic", **hyper):
    """The beta-weighted negative ELBO of a mini-batch, E_q[-log p(x|z)] + beta KL(q || p), and its gradients [Eq. 3.2].

    x:     (B, D).
    row:   an estimator's row of `dvae_np.TABLE`, which supplies the expectation and its gradients. Where it owns the KL (a
           multi-sample bound), what it gives is the whole objective, and the KL is only reported.
    noise: the estimator's noise as a function of the logits, e.g. ``lambda logits: draw(rng, logits, S, row.noise)``.
    kl:    "analytic"; or, for gumbel_softmax, "relaxed" or "plug_in", at the same relaxed samples (`dvae_np.concrete`).
    hyper: the estimator's hyper-parameters; its tunables come from ``params["omega"]``.

    Every gradient is of the mean over the batch; the estimator's come summed, as each example's own.
    """
    logits, encoder_backward = encoder(params["psi"], x, activation)  # (B, N, K)
    f = reconstruction(params["theta"], x, activation)
    arrays = noise(logits)
    tunables = {"omega": params["omega"]} if "omega" in params else {}
    expectation = row.estimate(logits, f, *arrays, **hyper, **tunables)

    if kl == "analytic":
        divergence, kl_backward = categorical.kl(logits)  # (B,), uniform prior
        dkl, _ = kl_backward(np.ones_like(divergence))
    else:
        sampled, kl_backward = RELAXED_KL[kl](logits, *arrays, hyper["tau"])  # (S, B)
        divergence, dkl = sampled.mean(0), kl_backward(np.full_like(sampled, 1 / len(sampled)))
    weight = 0 if row.owns_kl else beta

    B = len(x)
    gradients = {
        "psi": encoder_backward((expectation.dlogits + weight * dkl) / B),
        "theta": {name: gradient / B for name, gradient in expectation.dtheta.items()},
    }
    if tunables:
        gradients["omega"] = {name: gradient / B for name, gradient in expectation.domega.items()}
    return Loss((expectation.value + weight * divergence).mean(), expectation.value, divergence, gradients)


def training_step(params, x, row, rng, optimisers, S=1, **options):
    """Draw the noise that the estimator of this table `row` needs, take the gradients, let every optimiser step.

    options: those of `negative_elbo` and the estimator's hyper-parameters.
    """
    loss = negative_elbo(params, x, row, lambda logits: draw(rng, logits, S, row.noise), **options)
    for optimiser in optimisers:
        optimiser.step(loss.gradients)
    return loss
