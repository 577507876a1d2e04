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
from dvae_np.categorical import (
    codes,
    conditional_gumbel,
    entropy,
    gumbel,
    gumbel_max,
    joint_states,
    kl,
    log_prob,
    score,
)
from dvae_np.concrete import concrete_log_prob, plug_in_kl, relaxed_kl
from dvae_np.estimators import (
    TABLE,
    Estimate,
    Row,
    arm,
    carms,
    decoupled_straight_through,
    disarm,
    double_cv,
    exact,
    gapped_straight_through,
    gumbel_rao,
    gumbel_softmax,
    local_expectation,
    muprop,
    nvil,
    rebar,
    reinforce,
    reinforce_ema,
    reinforce_loo,
    reinforce_optimal,
    reinmax,
    relax,
    straight_through,
    straight_through_gumbel,
    sum_and_sample,
    top_k,
    unordered_set,
    vimco,
)
from dvae_np.likelihoods import bernoulli
from dvae_np.networks import decoder, encoder
from dvae_np.noise import draw
from dvae_np.ops import embedding, linear, log_softmax, relu, sigmoid, softmax, softplus, tanh
from dvae_np.vae import negative_elbo, parameters, reconstruction, training_step

__version__ = "0.1.0"

__all__ = [
    "TABLE",
    "Estimate",
    "InputError",
    "Row",
    "arm",
    "bernoulli",
    "carms",
    "codes",
    "concrete_log_prob",
    "conditional_gumbel",
    "decoder",
    "decoupled_straight_through",
    "disarm",
    "double_cv",
    "draw",
    "embedding",
    "encoder",
    "entropy",
    "exact",
    "gapped_straight_through",
    "gumbel",
    "gumbel_max",
    "gumbel_rao",
    "gumbel_softmax",
    "joint_states",
    "kl",
    "linear",
    "local_expectation",
    "log_prob",
    "log_softmax",
    "muprop",
    "negative_elbo",
    "nvil",
    "one_hot",
    "parameters",
    "plug_in_kl",
    "rebar",
    "reconstruction",
    "reinforce",
    "reinforce_ema",
    "reinforce_loo",
    "reinforce_optimal",
    "reinmax",
    "relax",
    "relaxed_kl",
    "relu",
    "score",
    "sigmoid",
    "softmax",
    "softplus",
    "straight_through",
    "straight_through_gumbel",
    "sum_and_sample",
    "tanh",
    "top_k",
    "training_step",
    "unordered_set",
    "vimco",
]  # fmt: skip
