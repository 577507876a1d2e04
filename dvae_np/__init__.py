"""Discrete latent VAEs in NumPy, every gradient written by hand and proved.

    ops, categorical, likelihoods   functions with their backward pass inside: ``y, backward = op(*inputs)``
    networks, vae                   encoder, decoder, the negative ELBO, one training step
    estimators                      gradients of E_q[f]: ``estimate(logits, f, *noise, **hyper)``, and their TABLE
    check                           numeric gradients, enumeration, verdicts, the whole verification
    train                           data, optimisers, the loop, exact evaluation

Everything is a loss to minimise, in nats.
"""

from dvae_np import starting  # noqa: F401  # before all that takes long to import
from dvae_np.arrays import InputError, one_hot
from dvae_np.categorical import codes, entropy, kl, log_prob, score
from dvae_np.concrete import concrete_log_prob, plug_in_kl, relaxed_kl
from dvae_np.estimators import TABLE, Estimate, Row
from dvae_np.laws import Independent, joint_states
from dvae_np.likelihoods import LIKELIHOODS, bernoulli, categorical_pixels, gaussian, poisson
from dvae_np.networks import decoder, encoder
from dvae_np.noise import draw
from dvae_np.ops import embedding, linear, log_softmax, relu, sigmoid, softmax, softplus, tanh
from dvae_np.perturbed import conditional_gumbel, gumbel, gumbel_max
from dvae_np.vae import Model, negative_elbo, parameters, reconstruction, training_step

__version__ = "0.1.0"

__all__ = [
    "LIKELIHOODS",
    "TABLE",
    "Estimate",
    "Independent",
    "InputError",
    "Model",
    "Row",
    "bernoulli",
    "categorical_pixels",
    "codes",
    "concrete_log_prob",
    "conditional_gumbel",
    "decoder",
    "draw",
    "embedding",
    "encoder",
    "entropy",
    "gaussian",
    "gumbel",
    "gumbel_max",
    "joint_states",
    "kl",
    "linear",
    "log_prob",
    "log_softmax",
    "negative_elbo",
    "one_hot",
    "parameters",
    "plug_in_kl",
    "poisson",
    "reconstruction",
    "relaxed_kl",
    "relu",
    "score",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
    "training_step",
    *TABLE,
]  # fmt: skip

# every estimator of the table under its own name, as dvae_np.reinforce_loo
globals().update((name, row.estimate) for name, row in TABLE.items())
