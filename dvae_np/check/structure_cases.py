"""The ops of networks, of chains and of what is made of both, for level 1; what every law can do is in `posteriors`."""

from functools import partial

from dvae_np.additive import Additive, expected, log_evidence
from dvae_np.autoregressive import Autoregressive
from dvae_np.chain import Chain
from dvae_np.check.grouped import grouped
from dvae_np.codebook import distortion, entries, squared_distances
from dvae_np.emissions import emissions
from dvae_np.initial import decoder_parameters, encoder_parameters, prior_parameters
from dvae_np.laws import Independent, joint_states
from dvae_np.likelihoods.bernoulli import bernoulli
from dvae_np.networks import INTERFACES, conditional, decoder, encoder, mlp, shared
from dvae_np.ops import tanh
from dvae_np.padding import padded
from dvae_np.structure import POSTERIORS, PRIORS
from dvae_np.vae import joint, reconstruction

S, B, N, K, D, C = 2, 5, 3, 4, 6, 2


def structure_cases(rng):
    """Yield (name, op, its inputs by name), as `suite.op_cases` does; a law's method is called Law.method."""
    z, y = rng.integers(0, K, (S, B, N)), rng.random((S, B, N, K))
    x, c = (rng.random((B, D)) < 0.4).astype(float), rng.standard_normal((B, C))
    for name, ask, groups in (*_of_chains(rng, z), *_of_sums(rng, z, y, x), *_of_networks(rng, z, y, x, c)):
        yield name, *grouped(ask, **groups)


def _chain(rng, batch=B, links=B):
    return Chain(rng.standard_normal((batch, N, K)), rng.standard_normal((links, N - 1, K, K)))


def _of_chains(rng, z):
    q, few, other = _chain(rng), _chain(rng, links=1), Independent(rng.standard_normal((B, N, K)))
    for words, law in (("", q), (" (shared pairs)", few)):
        for method in ("log_partition", "both_marginals"):
            yield f"Chain.{method}{words}", lambda q, method=method: getattr(q, method)(), {"q": law}
        yield f"Chain.relaxed_codes{words}", partial(_relaxed, rng.random((S, B, N, K))), {"q": law}
        yield f"Chain.kl_parts{words}, to independent latents", lambda q, p: q.kl_parts(p), {"q": law, "p": other}
        yield f"Chain.kl_from{words}", lambda q, p: p.kl_from(q), {"q": other, "p": law}
        yield f"padded{words}", partial(_shortened, rng.integers(1, N + 1, B)), {"q": law}
    for words, links in (("", B), (" (shared network)", 1)):
        arrays = ((B, N, K), (links, N - 1, K, 3), (links, N - 1, 3, K))
        law = Autoregressive(*map(rng.standard_normal, arrays))
        yield f"Autoregressive.conditionals{words}", lambda q: q.conditionals(z), {"q": law}


def _relaxed(u, q):
    (y, _), backward = q.relaxed_codes(u, 0.7)
    return y, backward


def _shortened(lengths, q):
    chain, backward = padded(*q, lengths)
    possible = chain.unary > -1e300  # what is ruled out has no number to compare
    nodes, pairs = chain.unary[possible], chain.pairwise

    def shortened_backward(dvalue):
        dunary = dvalue["nodes"].dtype.type(0) * q.unary
        dunary[possible] = dvalue["nodes"]
        return Chain(*backward(Chain(dunary, dvalue["pairs"]))[:2])

    return {"nodes": nodes, "pairs": pairs}, shortened_backward


def _of_sums(rng, z, y, x):
    f = {"node": rng.standard_normal((1, N, K)), "edge": rng.standard_normal((B, N - 1, K, K))}
    for op, words, law in ((expected, "", _chain(rng)), (log_evidence, "", _chain(rng, 1, 1)),
                           (expected, " (independent latents)", Independent(rng.standard_normal((B, N, K))))):  # fmt: skip
        yield f"{op.__name__}{words}", lambda q, f, op=op: op(q, Additive(**f)), {"q": law, "f": f}
    yield "Additive (codes)", partial(_of_theta, lambda f: Additive(**f)(z)), {"f": f}
    yield "Additive (relaxed)", lambda y, f: Additive(**f)(y), {"y": y, "f": f}
    theta = {"table": rng.standard_normal((N, K, D // N)), "bias": rng.standard_normal(D)}
    yield "emissions", partial(_of_theta, lambda theta: emissions(theta, x, bernoulli, {})(z)), {"theta": theta}
    for words, shape in (("", (K, D)), (" (of each latent)", (N, K, D))):
        groups = {"e": rng.standard_normal((B, N, D)), "codebook": rng.standard_normal(shape)}
        yield f"squared_distances{words}", squared_distances, groups
        yield f"distortion{words}", lambda e, codebook: distortion(e, codebook, z[0]), groups
        yield f"entries{words}", lambda codebook: entries(codebook, z[0]), {"codebook": groups["codebook"]}
    theta = decoder_parameters(rng, N, K, (7,), D, float)
    yield "reconstruction", lambda y, theta: reconstruction(theta, x)(y), {"y": y, "theta": theta}
    for p in (Independent(rng.standard_normal((1, N, K))), _chain(rng, B, 1)):
        yield f"joint ({type(p).__name__})", partial(_joint, x, z, theta), {"p": p}


def _of_theta(ask, group):
    """Only the gradients in the parameters: codes have none."""
    value, backward = ask(group)
    return value, lambda dvalue: backward(dvalue)[1]


def _joint(x, z, theta, p):
    value, backward = joint(reconstruction(theta, x), p, N, K)(z)
    return value, lambda dvalue: type(p)(*(backward(dvalue)[1][f"prior_{name}"] for name in p._fields))


def _of_networks(rng, z, y, x, c):
    states = joint_states(N, K, 9, 15)[:, None]
    layers = {name: array for name, array in encoder_parameters(rng, D, (7,), N, K, float).items()}
    yield "mlp", lambda h, params: mlp(params, h, tanh), {"h": rng.standard_normal((B, D)), "params": layers}
    yield "encoder", lambda psi: encoder(psi, x, None, tanh), {"psi": layers}
    for name, row in POSTERIORS.items():
        psi = {
            n: rng.standard_normal(a.shape) for n, a in encoder_parameters(rng, D + C, (7,), N, K, float, name).items()
        }
        yield row.op.__name__, lambda psi, row=row: row.op(psi, x, c, tanh), {"psi": psi}
    for name, row in PRIORS.items():
        if row.op not in (shared, conditional) or name in ("learned", "conditional"):
            phi = prior_parameters(rng, name, N, K, (7,), C, float) or {}
            phi = {n: rng.standard_normal(a.shape) for n, a in phi.items()}
            if phi:
                yield row.op.__name__, lambda phi, row=row: row.op(phi, c, N, tanh), {"phi": phi}
    for name, row in INTERFACES.items():
        hidden = () if row.additive else (7,)
        for words, code, context in (("codes", z, None), ("states", states, c), ("relaxed", y, c)):
            theta = decoder_parameters(rng, N, K, hidden, D, float, 0 if context is None else C, name)
            read = lambda theta, code, context=context, name=name: decoder(theta, code, context, tanh, name)
            if words == "relaxed":
                yield (
                    f"decoder ({name}, {words})",
                    lambda z, theta, read=read: read(theta, z),
                    {"z": code, "theta": theta},
                )
            else:
                ask = partial(_of_theta, partial(read, code=code))
                yield f"decoder ({name}, {words})", ask, {"theta": theta}
