"""Encoder and decoder: multi-layer perceptrons, their parameters plain dicts of named arrays.

Layer i has weights ``w<i>`` and biases ``b<i>``. The encoder's last layer ends in logits, w (H, N, K) and b (N, K), so
that the parameters' shapes say what the model is; the decoder begins with an embedding of z, ``table`` (N, K, H).
"""

import numpy as np

from dvae_np.ops import embedding, linear, relu


def encoder(psi, x, activation=relu):
    """The logits of q(z|x) from data x (B, D): (B, N, K) [Eq. 2.2]; `backward(dlogits)` returns dpsi."""
    logits, mlp_backward = mlp(psi, x, activation, data=True)
    return logits, lambda dlogits: mlp_backward(dlogits)[1]


def decoder(theta, z, activation=relu):
    """What p(x|z) is parametrised by, from codes z (S, B, N) or relaxed codes (S, B, N, K): (S, B, D) [Eq. 1.3].

    Each state is decoded once: for codes (S, 1, N) the result is (S, 1, D). Without hidden layers the embedding itself
    has D columns, and decoding is a look-up. `backward(da)` returns (dz, dtheta), dz None for integer codes.
    """
    h, embedding_backward = embedding(z, theta["table"])  # (S, B, H)
    h = h + theta["bias"]
    h, activation_backward = activation(h) if "w0" in theta else (h, lambda dh: dh)
    a, mlp_backward = mlp(theta, h, activation)

    def backward(da):
        dh, dlayers = mlp_backward(da)
        dh = activation_backward(dh)
        dz, dtable = embedding_backward(dh)
        return dz, {"table": dtable, "bias": dh.sum((0, 1)), **dlayers}

    return a, backward


def mlp(params, h, activation, data=False):
    """The linear layers of `params` with an activation between them.

    `backward(dy)` returns (dh, dparams), dh None where h is data.
    """
    backwards = []
    for i in range(sum(name.startswith("w") for name in params)):
        if i > 0:
            h, activation_backward = activation(h)
            backwards.append(lambda dh, backward=activation_backward: (backward(dh), {}))
        h, linear_backward = linear(h, params[f"w{i}"], params[f"b{i}"], data=data and i == 0)
        backwards.append(lambda dh, i=i, backward=linear_backward: _named(i, *backward(dh)))

    def backward(dh):
        dparams = {}
        for layer_backward in reversed(backwards):
            dh, dlayer = layer_backward(dh)
            dparams |= dlayer
        return dh, dparams

    return h, backward


def _named(i, dh, dw, db):
    return dh, {f"w{i}": dw, f"b{i}": db}


def encoder_parameters(rng, D, hidden, N, K, dtype=np.float32):
    """Fresh psi: D inputs, hidden layers of the given sizes, N x K logits."""
    return mlp_parameters(rng, (D, *hidden, (N, K)), dtype)


def decoder_parameters(rng, N, K, hidden, D, dtype=np.float32):
    """Fresh theta: an embedding of N x K codes, hidden layers of the given sizes, D outputs.

    The N rows that a code selects add up to numbers of variance 1, as layers of embeddings usually start. Far smaller rows
    (1 / (N K) of that variance, as a linear layer over one-hot codes would start) make all codes mean nearly the same, and
    on MNIST the encoder then sends every image to one of them.
    """
    sizes = (*hidden, D)
    theta = {
        "table": _symmetric(rng, (N, K, sizes[0]), (3 / N) ** 0.5, dtype),
        "bias": _symmetric(rng, (sizes[0],), (N * K) ** -0.5, dtype),
    }
    return theta | mlp_parameters(rng, sizes, dtype)


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
