"""What a trained model is worth, in nats: exactly, by visiting every joint state, wherever that can be done."""

from dataclasses import dataclass

import numpy as np

from dvae_np.additive import expected, log_evidence
from dvae_np.arrays import InputError, count_states, expect_whole
from dvae_np.autoregressive import kl_given
from dvae_np.laws import Independent, joint_states
from dvae_np.model import PLAIN
from dvae_np.noise import draw
from dvae_np.ops import log_sum_exp
from dvae_np.vae import joint, posterior_and_prior, reconstruction

MOST_STATES = 2**16  # joint states up to which an evaluation is exact
MOST_SAMPLES = 5000  # of the multi-sample bound
CHUNK, BLOCK = 1000, 512  # examples and states at a time: memory does not grow with either
PAIRS = 2**14  # pairs of example and state to decode at a time, where each must be decoded on its own


@dataclass(frozen=True)
class Evaluation:
    """Means over a split, in nats. What could not be computed is None."""

    negative_elbo: float  # (or arrays, of each example)
    reconstruction: float  # E_q[-log p(x|z)]
    kl: float  # KL(q || p)
    log_likelihood: float | None  # log p(x), or log p(x|c): exact
    bound: float | None  # E log 1/S sum p(x,z)/q(z|x), below log p(x): of S samples
    method: str  # how: "exact, 64 states", or "sampled, S=100"

    @property
    def posterior_gap(self):
        """KL(q || true posterior) = negative ELBO + log-likelihood [Eq. 3.1], or None."""
        return None if self.log_likelihood is None else self.negative_elbo + self.log_likelihood


def evaluate_on(device, params, x, c=None, rng=None, *more, model=PLAIN):
    """`evaluate` on a device, for arrays x (n, D), c (n, C) and a generator of NumPy."""
    rng = device.generator(np.random.default_rng(0) if rng is None else rng)
    return evaluate(device.put(params), device.put(x), device.put(c), rng, *more, model=model)


def evaluate(params, x, c=None, rng=None, S=100, sample=False, model=PLAIN):
    """The discrete negative ELBO (beta = 1) over the rows of x (n, D), given contexts c (n, C), and what is known
    of log p(x), in nats.

    Exact up to 65,536 joint states, and for any number where every latent speaks of a part of x alone (interface
    "emission"): with log p(x). Beyond, or where told to `sample`: averages over S codes drawn with `rng`
    for each example, and the multi-sample bound of the same codes, which grows towards log p(x) with S [Eq. 9.1].
    Raises InputError for S outside 1..5000.
    """
    each = evaluate_each(params, x, c, rng, S, sample, model)
    reconstructed, divergence, evidence, bound = (
        None if values is None else float(values.mean(dtype=np.float64))
        for values in (each.reconstruction, each.kl, each.log_likelihood, each.bound)
    )
    return Evaluation(reconstructed + divergence, reconstructed, divergence, evidence, bound, each.method)


def evaluate_each(params, x, c=None, rng=None, S=100, sample=False, model=PLAIN):
    """The same for each example: an `Evaluation` whose numbers are arrays (n,); errors as there."""
    expect_whole("S", S, 1, MOST_SAMPLES)
    if not len(x):
        raise InputError("x: expected at least one example, got none")
    model.expect_parameters(params)
    _, N, K = posterior_and_prior(params, x[:1], None if c is None else c[:1], model)[0].sizes
    chunks = [slice(start, start + CHUNK) for start in range(0, len(x), CHUNK)]
    pieces = [(x[chunk], None if c is None else c[chunk]) for chunk in chunks]
    additive = model.additive and not model.sequential
    exactly = (additive or count_states(N, K) <= MOST_STATES) and not sample
    if exactly:
        how, method = (_summed, "exact, by dynamic programming") if additive else (_visited, f"exact, {K**N} states")
        parts = [how(params, model, *piece) for piece in pieces]
    else:
        rng, method = np.random.default_rng(0) if rng is None else rng, f"sampled, S={S}"
        parts = [_sampled(params, model, *piece, rng, S) for piece in pieces]
    reconstructed, divergence, evidence = map(np.concatenate, zip(*parts, strict=True))
    known, bound = (evidence, None) if exactly else (None, evidence)
    return Evaluation(reconstructed + divergence, reconstructed, divergence, known, bound, method)


def _visited(params, model, x, c):
    """E_q[-log p(x|z)], KL and log p(x) = log sum_z p(z) p(x|z) [Eq. 4.1, 4.5], each (B,), every state decoded once."""
    (q, p), f = posterior_and_prior(params, x, c, model), reconstruction(params["theta"], x, c, model)
    _, N, K = q.sizes
    probability, expected, divergence, evidence = q.probability(), 0.0, 0.0, -np.inf
    block = BLOCK if c is None and not model.sequential else max(1, PAIRS // len(x))
    for start in range(0, K**N, block):
        z = joint_states(N, K, start, min(start + block, K**N), like=x)[:, None]  # (m, 1, N)
        fz, _ = f(z)  # (m, B)
        log_prior = -N * np.log(K) if p is None else p.log_prob(z)[0]
        weights, _ = probability(z[:, 0])  # (m, B): q(z)
        expected = expected + (weights * fz).sum(0)
        if model.sequential:
            divergence = divergence + kl_given(q, p, z, weights)[0].sum(-1)
        evidence = np.logaddexp(evidence, log_sum_exp((log_prior - fz).astype(fz.dtype), 0))
    return expected, divergence if model.sequential else q.kl(p)[0], evidence


def _summed(params, model, x, c):
    """The same where f is `Additive`, by dynamic programming over all paths [Eq. 20.9, 20.12]."""
    (q, p), f = posterior_and_prior(params, x, c, model), reconstruction(params["theta"], x, c, model)
    p = Independent(np.zeros_like(q[0][:1])) if p is None else p
    return expected(q, f)[0], q.kl(p)[0], log_evidence(p, f)[0]


def _sampled(params, model, x, c, rng, S):
    """E_q[-log p(x|z)], KL and the bound E log 1/S sum_s w_s, each (B,), over S codes drawn for each example."""
    (q, p), f = posterior_and_prior(params, x, c, model), reconstruction(params["theta"], x, c, model)
    expected, divergence, bound = 0.0, 0.0, -np.inf
    at_once = max(1, PAIRS // len(x))
    for start in range(0, S, at_once):
        (z,) = draw(rng, q, min(at_once, S - start), ("z",))
        fz, _ = f(z)  # (s, B)
        log_prior = joint(lambda z: (0 * z[..., 0], None), p, *q.sizes[1:])(z)[0]  # -log p(z)
        expected = expected + fz.sum(0) / S
        if model.sequential:
            divergence = divergence + kl_given(q, p, z, np.full_like(fz, 1 / S))[0].sum(-1)
        bound = np.logaddexp(bound, log_sum_exp(-fz - log_prior - q.log_prob(z)[0], 0))
    return expected, divergence if model.sequential else q.kl(p)[0], bound - np.log(S)
