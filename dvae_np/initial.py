"""Fresh parameters of encoder, decoder and prior, as plain dicts of named arrays."""

import numpy as np

from dvae_np.arrays import InputError, expect_choice
from dvae_np.networks import INTERFACES
from dvae_np.structure import POSTERIORS, PRIORS


def encoder_parameters(rng, D, hidden, N, K, dtype=np.float32, posterior="independent"):
    """Fresh psi: D inputs (with a context D + C), hidden layers of the given sizes, N x K logits; the law's other arrays."""
    psi = mlp_parameters(rng, (D, *hidden, (N, K)), dtype)
    return psi | _fresh(rng, POSTERIORS[posterior].arrays(N, K), dtype)


def decoder_parameters(rng, N, K, hidden, D, dtype=np.float32, C=0, interface="embedding"):
    """Fresh theta: N x K codes and C context dimensions enter by the interface; hidden layers of the given sizes, or none
    where every latent emits a part of x; D outputs.

    The N rows that a code selects add up to numbers of variance 1, as layers of embeddings usually start. Far smaller rows
    (1 / (3 K) of that variance, as a linear layer over one-hot codes would start) make all codes mean nearly the same, and
    on MNIST the encoder then sends every image to one of them the sooner (`dvae_np.experiments.first_steps`).
    Raises InputError for another interface.
    """
    expect_choice("interface", interface, INTERFACES)
    sizes = (D,) if INTERFACES[interface].additive else (*hidden, D)
    H = sizes[0]
    arrays = INTERFACES[interface].arrays(N, K, H)
    theta = _fresh(rng, arrays, dtype)
    theta["bias"] = _symmetric(rng, (H,), (N * K) ** -0.5, dtype)
    if C:
        theta["context"] = _symmetric(rng, (C, H), C**-0.5, dtype)
    return theta | mlp_parameters(rng, sizes, dtype)


def prior_parameters(rng, name, N, K, hidden=(), C=0, dtype=np.float32):
    """Fresh phi of the prior of that name, or None for the uniform one; each starts as uniform, a network by a last layer of 0.

    A conditional prior that starts anywhere else pulls q towards itself before z has come to mean anything. Raises InputError
    for another name, and for a conditional prior without a context.
    """
    expect_choice("prior", name, PRIORS)
    own = _fresh(rng, PRIORS[name].arrays(N, K), dtype)
    if not PRIORS[name].context:
        return own or None
    if not C:
        raise InputError("prior: a conditional prior p(z|c) needs a context, and these data have none")
    phi, last = mlp_parameters(rng, (C, *hidden, (N, K)), dtype), len(hidden)
    return phi | own | {f"w{last}": 0 * phi[f"w{last}"], f"b{last}": 0 * phi[f"b{last}"]}


def mlp_parameters(rng, sizes, dtype=np.float32):
    """Fresh weights and biases of linear layers between these sizes; a size may be a tuple of axes."""
    params = {}
    for i in range(len(sizes) - 1):
        fan_in, out = sizes[i], sizes[i + 1] if isinstance(sizes[i + 1], tuple) else (sizes[i + 1],)
        params[f"w{i}"] = _symmetric(rng, (fan_in, *out), fan_in**-0.5, dtype)
        params[f"b{i}"] = _symmetric(rng, out, fan_in**-0.5, dtype)
    return params


def _fresh(rng, arrays, dtype):
    """Arrays by name, from {name: (shape, largest entry)}: 0 draws nothing."""
    return {name: _symmetric(rng, shape, size, dtype) if size else np.zeros(shape, dtype)
            for name, (shape, size) in arrays.items()}  # fmt: skip


def _symmetric(rng, shape, scale, dtype):
    """Uniform in (-scale, scale)."""
    return (2 * rng.random(shape, dtype=dtype) - 1) * dtype(scale)
