"""Encoder, decoder and prior: multi-layer perceptrons, their parameters plain dicts of named arrays (`dvae_np.initial`).

Layer i has weights ``w<i>`` and biases ``b<i>``; a network that ends in logits has a last w (H, N, K) and b (N, K). How the
code enters the decoder is one of `INTERFACES`: a new one is a paragraph here and a row. The posteriors and priors here are of
independent latents; those that are not, and the tables of both, are in `dvae_np.structure`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError, summed_to
from dvae_np.laws import Independent
from dvae_np.ops import concatenation, embedding, linear, relu


def encoder(psi, x, c=None, activation=relu):
    """The logits of q(z|x), or q(z|x,c), from data x (B, D) and a context c (B, C): (B, N, K) [Eq. 2.2].

    `backward(dlogits)` returns dpsi.
    """
    q, q_backward = independent(psi, x, c, activation)
    return q.logits, lambda dlogits: q_backward(Independent(dlogits))


def independent(psi, x, c=None, activation=relu):
    """q(z|x,c) of independent latents, by the logits of a network of x (B, D) and c (B, C). `backward(dq)` returns dpsi."""
    logits, mlp_backward = mlp(psi, x if c is None else np.concatenate([x, c], -1), activation, data=True)
    return Independent(logits), lambda dq: mlp_backward(dq.logits)[1]


def decoder(theta, z, c=None, activation=relu, interface="embedding"):
    """What p(x|z) or p(x|z,c) is parametrised by, from codes z (S, B, N) or relaxed codes (S, B, N, K): (S, B, D).

    The first layer is split: a part of the context, once for each example, and a part of the code, once for each state
    [Eq. 4.7]. So codes (S, 1, N) that the batch shares are decoded once, to (S, 1, D), or with a context to (S, B, D). The
    context's part u is c ``context`` + ``bias``, or the bias alone; the code's is looked up in ``table`` and joined with it as
    the interface says, one of `INTERFACES`. Without hidden layers H is D.

    `backward(da)` returns (dz, dtheta), dz None for integer codes. Raises InputError where a context is missing or not
    expected, and where theta is that of another interface.
    """
    row = expect_interface(theta, c, interface)
    if c is None:
        u = theta["bias"]  # (H,)
    else:
        u, context_backward = linear(c, theta["context"], theta["bias"], data=True)  # (B, H)
    code, table_backward = row.look_up(z, theta["table"])
    h, join_backward = row.join(theta, z, code, u)  # (S, B, H)
    h, activation_backward = activation(h) if "w0" in theta else (h, lambda dh: dh)
    a, mlp_backward = mlp(theta, h, activation)

    def backward(da):
        dh, dtheta = mlp_backward(da)
        dz_joined, dcode, du, djoined = join_backward(activation_backward(dh))
        dz, dtheta["table"] = table_backward(dcode)
        dtheta |= djoined
        if c is None:
            dtheta["bias"] = du
        else:
            _, dtheta["context"], dtheta["bias"] = context_backward(du)
        return None if dz is None else dz + dz_joined, dtheta

    return a, backward


def expect_interface(theta, c, interface):
    """That row of `INTERFACES`, or InputError where theta is that of another, and a context is missing or not expected."""
    if (c is None) != ("context" not in theta):
        raise InputError(
            "decoder: a context c is " + ("missing" if c is None else "given, but this decoder takes none")
        )
    row = INTERFACES.get(interface)
    N, _, E = theta["table"].shape
    wide = E * (N if row and row.additive else 1) == len(theta["bias"]) or "mix" in theta
    if row is None or JOINED & set(theta) != row.joined or not wide or (row.additive and "w0" in theta):
        names = f"{', '.join(INTERFACES)}, each with its own arrays in theta"
        raise InputError(f"interface: expected one of {names}; got {interface!r} with {', '.join(theta)}")
    return row


def added(theta, z, code, u):
    """u + e, with e the sum of the embedded codes [Eq. 1.7]; backward gives (dz, dcode, du, dtheta), as those below."""
    return code + u, lambda dh: (0, summed_to(code.shape, dh), summed_to(u.shape, dh), {})


def mixed(theta, z, code, u):
    """u + (e_1, ..., e_N) ``mix``, with mix (N * E, H) [Eq. 4.8]."""
    mix, mix_backward = linear(code, theta["mix"])

    def backward(dh):
        dcode, dmix, _ = mix_backward(summed_to(mix.shape, dh))
        return 0, dcode, summed_to(u.shape, dh), {"mix": dmix}

    return mix + u, backward


def scaled(theta, z, code, u):
    """(1 + scale(z)) u + e, with ``scale`` embedded as the table is, (N, K, H) [Eq. 4.9]."""
    scale, scale_backward = embedding(z, theta["scale"])

    def backward(dh):
        dz, dscale = scale_backward(summed_to(code.shape, u * dh))
        return dz, summed_to(code.shape, dh), summed_to(u.shape, (1 + scale) * dh), {"scale": dscale}

    return (1 + scale) * u + code, backward


@dataclass(frozen=True)
class Interface:
    """How the code enters the decoder: an op of z and the table, and one that joins what it gives with the context's part."""

    look_up: Callable
    join: Callable
    arrays: Callable  # (N, K, H) -> {its arrays: (shape, the largest entry at the start)}
    joined: set = frozenset()  # the names of those that `join` takes
    additive: bool = False  # does every code decide a part of x alone, without hidden layers? (`dvae_np.emissions`)


def _rows(N, K, H):
    return (N, K, H), (3 / N) ** 0.5  # the N rows of a code add up to numbers of variance 1


def _narrow(N, K, H):
    E = max(1, H // N)
    return {"table": ((N, K, E), 3**0.5), "mix": ((N * E, H), (3 / (N * E)) ** 0.5)}


def _parts(N, K, D):
    if D % N:
        raise InputError(f"N: expected as many latents as there are equal parts of {D} outputs, got {N}")
    return {"table": ((N, K, D // N), 3**0.5)}


INTERFACES = {
    "embedding": Interface(embedding, added, lambda *sizes: {"table": _rows(*sizes)}),
    "concatenation": Interface(concatenation, mixed, _narrow, {"mix"}),
    "film": Interface(embedding, scaled, lambda *sizes: {"table": _rows(*sizes), "scale": _rows(*sizes)}, {"scale"}),
    "emission": Interface(concatenation, added, _parts, additive=True),
}
JOINED = {name for row in INTERFACES.values() for name in row.joined}


def uniform(phi, c, N, activation=relu):
    """p(z) with all codes alike: None, whose KL is known without a law [Eq. 3.6]. phi: None."""
    if phi is not None:
        raise InputError(f"prior: expected no parameters phi of a uniform prior, got {', '.join(phi)}")
    return None, lambda dp: {}


def shared(phi, c, N, activation=relu):
    """p(z), one law for all examples [Eq. 16.1]. phi: ``logits`` (N, K). backward(dp) gives dphi."""
    expect_arrays(phi, {"logits"}, False, "the logits of a fixed or learned prior")
    return Independent(phi["logits"][None]), lambda dp: {"logits": dp.logits[0]}


def conditional(phi, c, N, activation=relu):
    """p(z|c) [Eq. 16.1]: phi is a network of the context c (B, C). backward(dp) gives dphi."""
    if c is None:
        raise InputError("prior: a conditional prior p(z|c) needs a context c, got None")
    expect_arrays(phi, set(), True, "a network of the context")
    logits, mlp_backward = mlp(phi, c, activation, data=True)
    return Independent(logits), lambda dp: mlp_backward(dp.logits)[1]


def expect_arrays(phi, own, network, words):
    """Raise `InputError` unless phi has the arrays `own`, by name, and, or not, those of a network besides."""
    found = set(phi or ())
    rest = found - own
    layers = {f"{kind}{i}" for i in range(len(rest)) for kind in "wb"}
    if not own <= found or not rest <= layers or bool(rest) != network:
        raise InputError(f"prior: expected {words} in phi, found {', '.join(phi or ()) or 'none'}")


def mlp(params, h, activation, data=False):
    """The linear layers of `params` with an activation between them.

    `backward(dy)` returns (dh, dparams), dh None where h is data.
    """
    backwards = []
    while f"w{len(backwards)}" in params:
        i = len(backwards)
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
    return sum(name[:1] == "w" and name[1:].isdigit() for name in params)


def expect_layers(params, own, what):
    """Raise `InputError` for arrays that no layer and nothing of its `own` reads: they would be ignored."""
    depth = layers(params)
    known = {f"{kind}{i}" for i in range(depth) for kind in "wb"} | set(own)
    if unknown := set(params) - known:
        raise InputError(f"{what}: nothing reads {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")


def last_bias(params):
    """The name of the bias of the last layer, in an encoder, a prior or a decoder."""
    return f"b{layers(params) - 1}" if layers(params) else "bias"


def latents(params):
    """(N, K): the shape of the encoder's last bias."""
    return params["psi"][last_bias(params["psi"])].shape
