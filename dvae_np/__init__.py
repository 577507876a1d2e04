"""Discrete latent VAEs in NumPy, every gradient written by hand and proved.

    ops, likelihoods, networks, vae   functions with their backward pass inside, ``y, backward = op(*inputs)``; a training step
    laws                              q as a value: what can be asked of the law of the latents
    estimators                        gradients of E_q[f]: ``estimate(q, f, *noise, **hyper)``, and their TABLE
    check                             numeric gradients, enumeration, verdicts, the whole verification
    train                             data, optimisers, the loop, exact evaluation

Everything is a loss to minimise, in nats. What is public, and why, is on the page beside this file, README.md.
"""

from dvae_np import starting  # noqa: F401  # before all that takes long to import
from dvae_np.additive import Additive, expected, log_evidence, true_posterior
from dvae_np.arrays import InputError, evaluated, one_hot
from dvae_np.autoregressive import Autoregressive, kl_given
from dvae_np.categorical import codes, distinct, entropy, kl, kl_per_latent, log_prob, score
from dvae_np.chain import Chain
from dvae_np.concrete import concrete_log_prob, plug_in_kl, relaxed_kl
from dvae_np.coupling import coupled_codes, pair_probability
from dvae_np.estimators import TABLE, Estimate, Evaluations, Family, Row
from dvae_np.initial import decoder_parameters
from dvae_np.laws import (
    Independent,
    each_array,
    independent_logits,
    joint_states,
    law,
    law_and_codes,
    logits_and_codes,
)
from dvae_np.likelihoods import LIKELIHOODS, OBSERVATIONS, Likelihood
from dvae_np.memory import keep_freed_memory
from dvae_np.model import Model
from dvae_np.networks import INTERFACES, decoder, encoder
from dvae_np.noise import draw
from dvae_np.ops import concatenation, embedding, linear, log_softmax, relu, sigmoid, softmax, softplus, tanh
from dvae_np.padding import padded
from dvae_np.perturb_and_map import implicit_mle
from dvae_np.perturbed import conditional_gumbel, gumbel, gumbel_max
from dvae_np.structure import PRIORS
from dvae_np.subsets import Subsets, k_subsets
from dvae_np.vae import (
    Loss,
    floored,
    joint,
    negative_elbo,
    parameters,
    posterior_and_prior,
    reconstruction,
    training_step,
)

__version__ = "0.1.0"

__all__ = [
    "Additive",
    "Autoregressive",
    "Chain",
    "Subsets",
    "expected",
    "padded",
    "INTERFACES",
    "LIKELIHOODS",
    "OBSERVATIONS",
    "PRIORS",
    "TABLE",
    "Estimate",
    "Evaluations",
    "Family",
    "Independent",
    "InputError",
    "Likelihood",
    "Loss",
    "Model",
    "Row",
    "codes",
    "concatenation",
    "concrete_log_prob",
    "conditional_gumbel",
    "coupled_codes",
    "decoder",
    "decoder_parameters",
    "distinct",
    "draw",
    "each_array",
    "embedding",
    "encoder",
    "entropy",
    "evaluated",
    "floored",
    "gumbel",
    "gumbel_max",
    "implicit_mle",
    "independent_logits",
    "joint",
    "joint_states",
    "k_subsets",
    "keep_freed_memory",
    "kl",
    "kl_given",
    "kl_per_latent",
    "law",
    "law_and_codes",
    "linear",
    "log_evidence",
    "log_prob",
    "log_softmax",
    "logits_and_codes",
    "negative_elbo",
    "one_hot",
    "pair_probability",
    "parameters",
    "plug_in_kl",
    "posterior_and_prior",
    "reconstruction",
    "relaxed_kl",
    "relu",
    "score",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
    "training_step",
    "true_posterior",
    *(row.nll.__name__ for row in OBSERVATIONS.values()),
    *TABLE,
]  # fmt: skip

# the rows of two tables under their own names, as dvae_np.reinforce_loo and dvae_np.bernoulli
globals().update((name, row.estimate) for name, row in TABLE.items())
globals().update((row.nll.__name__, row.nll) for row in OBSERVATIONS.values())
