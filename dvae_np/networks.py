"""Encoder, decoder and prior: multi-layer perceptrons, their parameters plain dicts of named arrays.

Layer i has weights ``w<i>`` and biases ``b<i>``; a network that ends in logits has a last w (H, N, K) and b (N, K). The
parameters say what the model is: how z and a context c enter the decoder is told by the names in theta, and which prior it
is by those in phi.
"""

import numpy as np

from dvae_np.arrays import InputError, expect_choice, summed_to
from dvae_np.ops import concatenation, embedding, linear, relu

INTERFACES = ("embedding", "concatenation", "film")
PRIORS = ("uniform", "fixed", "learned", "conditional")


def encoder(psi, x, c=None, activation=relu):
    """The logits of q(z|x), or q(z|x,c), from data x (B, D) and a context c (B, C): (B, N, K) [Eq. 2.2].

    `backward(dlogits)` returns dpsi.
    """
    logits, mlp_backward = mlp(psi, x if c is None else np.concatenate([x, c], -1), activation, data=True)
    return logits, lambda dlogits: mlp_backward(dlogits)[1]


def prior(phi, c=None, activation=relu):
    """The logits of p(z) or p(z|c): None for uniform, (1, N, K) where the batch shares them, else (B, N, K) [Eq. 13.1].

    phi: None: uniform. ``logits`` (N, K): one categorical for all, learned or fixed. Else a network of c.
    `backward(dlogits)` returns dphi. Raises InputError for a network without a context.
    """
    if phi is None:
        return None, lambda dlogits: {}
    if "logits" in phi:
        return phi["logits"][None], lambda dlogits: {"logits": dlogits[0]}
    if c is None:
        raise InputError("prior: a conditional prior p(z|c) needs a context c, got None")
    logits, mlp_backward = mlp(phi, c, activation, data=True)
    return logits, lambda dlogits: mlp_backward(dlogits)[1]


def decoder(theta, z, c=None, activation=relu):
    """What p(x|z) or p(x|z,c) is parametrised by, from codes z (S, B, N) or relaxed codes (S, B, N, K): (S, B, D).

    The first layer is split: a part of the context, once for each example, and a part of the code, once for each state
    [Eq. 4.7]. So codes (S, 1, N) that the batch shares are decoded once, to (S, 1, D), or with a context to (S, B, D). The
    code's part is, with e the sum of the embedded codes and u = c w + b the context's (b alone without one),

        embedding       u + e                        theta has ``table`` (N, K, H), ``bias`` (H,)      [Eq. 1.3]
        concatenation   u + (e_1, ..., e_N) mix      table (N, K, E), and ``mix`` (N * E, H)           [Eq. 4.8]
        film            (1 + scale(z)) u + e         table, and ``scale`` (N, K, H)                    [Eq. 4.9]

    and ``context`` (C, H) where there is one. Without hidden layers H is D. `backward(da)` returns (dz, dtheta), dz None for
    integer codes. Raises InputError where a context is missing or not expected.
    """
    if (c is None) != ("context" not in theta):
        raise InputError(
            "decoder: a context c is " + ("missing" if c is None else "given, but this decoder takes none")
        )
    if c is None:
        base = theta["bias"]  # (H,)
    else:
        base, context_backward = linear(c, theta["context"], theta["bias"], data=True)  # (B, H)
    if "mix" in theta:
        joined, table_backward = concatenation(z, theta["table"])
        code, mix_backward = linear(joined, theta["mix"])
    else:
        code, table_backward = embedding(z, theta["table"])  # (S, B, H)
    if "scale" in theta:
        scale, scale_backward = embedding(z, theta["scale"])
        h = (1 + scale) * base + code
    else:
        h = code + base
    h, activation_backward = activation(h) if "w0" in theta else (h, lambda dh: dh)
    a, mlp_backward = mlp(theta, h, activation)

    def backward(da):
        dh, dtheta = mlp_backward(da)
        dh = activation_backward(dh)  # (S, B, H)
        dcode, dbase, dz = summed_to(code.shape, dh), dh, 0
        if "scale" in theta:
            dbase = (1 + scale) * dh
            dz, dtheta["scale"] = scale_backward(summed_to(code.shape, base * dh))
        if "mix" in theta:
            dcode, dtheta["mix"], _ = mix_backward(dcode)
        dz_table, dtheta["table"] = table_backward(dcode)
        dbase = summed_to(base.shape, dbase)
        if c is None:
            dtheta["bias"] = dbase
        else:
            _, dtheta["context"], dtheta["bias"] = context_backward(dbase)
        return None if dz_table is None else dz_table + dz, dtheta

    return a, backward


def mlp(params, h, activation, data=False):
    """The linear layers of `params` with an activation between them.

    `backward(dy)` returns (dh, dparams), dh None where h is data.
    """
    backwards = []
    for i in range(layers(params)):
        h, activation_backward = (h, None) if i == 0 else activation(h)
        h, linear_backward = linear(h, params[f"w{i}"], params[f"b{i}"], data=data and i == 0)
        backwards.append((linear_backward, activation_backward))

    def backward(dh):
        dparams = {}
        for i in reversed(range(len(backwards))):
            linear_backward, activation_backward = backwards[i]
            dh, dparams[f"w{i}"], dparams[f"b{i}"] = linear_backward(dh)
            dh = dh if activation_backward is None else activation_backward(dh)
        return dh, dparams

    return h, backward


def layers(params):
    """The number of linear layers."""
    return sum(name.startswith("w") for name in params)


def last_bias(params):
    """The name of the bias of the last layer, in an encoder, a prior or a decoder."""
    return f"b{layers(params) - 1}" if layers(params) else "bias"


def latents(params):
    """(N, K): the shape of the encoder's last bias."""
    return params["psi"][last_bias(params["psi"])].shape


def encoder_parameters(rng, D, hidden, N, K, dtype=np.float32):
    """Fresh psi: D inputs (with a context D + C), hidden layers of the given sizes, N x K logits."""
    return mlp_parameters(rng, (D, *hidden, (N, K)), dtype)


def decoder_parameters(rng, N, K, hidden, D, dtype=np.float32, C=0, interface="embedding"):
    """Fresh theta: N x K codes and C context dimensions enter by the interface; hidden layers of the given sizes, D outputs.

    The N rows that a code selects add up to numbers of variance 1, as layers of embeddings usually start. Far smaller rows
    (1 / (3 K) of that variance, as a linear layer over one-hot codes would start) make all codes mean nearly the same, and
    on MNIST the encoder then sends every image to one of them the sooner (`dvae_np.experiments.first_steps`).
    Raises InputError for another interface.
    """
    expect_choice("interface", interface, INTERFACES)
    sizes = (*hidden, D)
    H = sizes[0]
    if interface == "concatenation":
        E = max(1, H // N)
        theta = {
            "table": _symmetric(rng, (N, K, E), 3**0.5, dtype),
            "mix": _symmetric(rng, (N * E, H), (3 / (N * E)) ** 0.5, dtype),
        }
    else:
        theta = {"table": _symmetric(rng, (N, K, H), (3 / N) ** 0.5, dtype)}
    if interface == "film":
        theta["scale"] = _symmetric(rng, (N, K, H), (3 / N) ** 0.5, dtype)
    theta["bias"] = _symmetric(rng, (H,), (N * K) ** -0.5, dtype)
    if C:
        theta["context"] = _symmetric(rng, (C, H), C**-0.5, dtype)
    return theta | mlp_parameters(rng, sizes, dtype)


def prior_parameters(rng, kind, N, K, hidden=(), C=0, dtype=np.float32):
    """Fresh phi of a prior of this kind, or None for the uniform one; each starts as uniform, the network by a last layer of 0.

    A conditional prior that starts anywhere else pulls q towards itself before z has come to mean anything.
    """
    expect_choice("prior", kind, PRIORS)
    if kind == "conditional" and not C:
        raise InputError("prior: a conditional prior p(z|c) needs a context, and these data have none")
    if kind == "uniform":
        return None
    if kind != "conditional":
        return {"logits": np.zeros((N, K), dtype)}
    phi, last = mlp_parameters(rng, (C, *hidden, (N, K)), dtype), len(hidden)
    return phi | {f"w{last}": 0 * phi[f"w{last}"], f"b{last}": 0 * phi[f"b{last}"]}


def mlp_parameters(rng, sizes, dtype=np.float32):
    """Fresh weights and biases of linear layers between these sizes; a size may be a tuple of axes."""
    params = {}
    for i in range(len(sizes) - 1):
        fan_in, out = sizes[i], sizes[i + 1] if isinstance(sizes[i + 1], tuple) else (sizes[i + 1],)
        params[f"w{i}"] = _symmetric(rng, (fan_in, *out), fan_in**-0.5, dtype)
        params[f"b{i}"] = _symmetric(rng, out, fan_in**-0.5, dtype)
    return params


def _symmetric(rng, shape, scale, dtype):
    """Uniform in (-scale, scale)."""
    return (2 * rng.random(shape, dtype=dtype) - 1) * dtype(scale)
