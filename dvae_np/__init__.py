"""Discrete latent VAEs in NumPy, every gradient written by hand and proved.

    ops, categorical, likelihoods   functions with their backward pass inside: ``y, backward = op(*inputs)``
    networks, vae                   encoder, decoder, the negative ELBO, one training step
    estimators                      gradients of E_q[f]: ``estimate(logits, f, *noise, **hyper)``, and their TABLE
    check                           numeric gradients, enumeration, verdicts, the whole verification
    train                           data, optimisers, the loop, exact evaluation

Everything is a loss to minimise, in nats.
"""

from dvae_np.arrays import InputError, draw, one_hot
from dvae_np.categorical import codes, entropy, gumbel, gumbel_max, joint_states, kl, log_prob, score
from dvae_np.estimators import (
    TABLE,
    Estimate,
    Row,
    exact,
    gumbel_softmax,
    reinforce,
    reinforce_ema,
    reinforce_loo,
    straight_through_gumbel,
)
from dvae_np.likelihoods import bernoulli
from dvae_np.networks import decoder, encoder
from dvae_np.ops import embedding, linear, log_softmax, relu, sigmoid, softmax, softplus, tanh
from dvae_np.vae import negative_elbo, parameters, reconstruction, training_step

__version__ = "0.1.0"

__all__ = [
    "TABLE", "Estimate", "InputError", "Row", "bernoulli", "codes", "decoder", "draw", "embedding", "encoder", "entropy",
    "exact", "gumbel", "gumbel_max", "gumbel_softmax", "joint_states", "kl", "linear", "log_prob", "log_softmax",
    "negative_elbo", "one_hot", "parameters", "reconstruction", "reinforce", "reinforce_ema", "reinforce_loo", "relu",
    "score", "sigmoid", "softmax", "softplus", "straight_through_gumbel", "tanh", "training_step",
]  # fmt: skip
