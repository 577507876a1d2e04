"""What a trained model is worth, in nats: exactly, by visiting every joint state, wherever that can be done."""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import count_states, draw
from dvae_np.categorical import joint_states, kl, log_prob
from dvae_np.estimators import TABLE
from dvae_np.networks import encoder
from dvae_np.vae import reconstruction

MOST_STATES = 2**16  # joint states up to which an evaluation is exact
CHUNK, BLOCK = 1000, 512  # examples and states at a time: memory does not grow with either


@dataclass(frozen=True)
class Evaluation:
    """Means over a split, in nats. The log-likelihood is None where there are too many joint states to visit."""

    negative_elbo: float
    reconstruction: float  # E_q[-log p(x|z)]
    kl: float  # KL(q || p)
    log_likelihood: float | None  # log p(x)
    method: str  # how: "exact, 64 states", or "sampled, S=100"

    @property
    def posterior_gap(self):
        """KL(q || true posterior) = negative ELBO + log-likelihood [Eq. 3.1], or None."""
        return None if self.log_likelihood is None else self.negative_elbo + self.log_likelihood


def evaluate(params, x, rng=None, S=100):
    """The discrete negative ELBO (beta = 1) and, where all joint states can be visited, log p(x), over the rows of x.

    Exact up to 65,536 joint states; else the reconstruction is averaged over S codes drawn with `rng` for each example.
    """
    N, K, _ = params["theta"]["table"].shape
    chunks = [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]
    if count_states(N, K) <= MOST_STATES:
        parts, method = [_visited(params, chunk, N, K) for chunk in chunks], f"exact, {K**N} states"
    else:
        rng = np.random.default_rng(0) if rng is None else rng
        parts, method = [_sampled(params, chunk, rng, S) for chunk in chunks], f"sampled, S={S}"
    expected, divergence, evidence = (None if part[0] is None else float(np.concatenate(part).mean(dtype=np.float64))
                                      for part in zip(*parts, strict=True))  # fmt: skip
    return Evaluation(expected + divergence, expected, divergence, evidence, method)


def _visited(params, x, N, K):
    """E_q[-log p(x|z)], KL and log p(x) = log sum_z p(z) p(x|z) [Eq. 4.1, 4.4], each (B,), every state decoded once."""
    logits, _ = encoder(params["psi"], x)
    f = reconstruction(params["theta"], x)
    expected, evidence = 0.0, -np.inf
    for start in range(0, K**N, BLOCK):
        z = joint_states(N, K, start, min(start + BLOCK, K**N), like=x)[:, None]  # (m, 1, N)
        fz, _ = f(z)  # (m, B)
        expected = expected + (np.exp(log_prob(logits, z)[0]) * fz).sum(0)
        log_joint = -fz - N * np.log(K).astype(fz.dtype)
        top = log_joint.max(0)
        evidence = np.logaddexp(evidence, top + np.log(np.exp(log_joint - top).sum(0)))
    return expected, kl(logits)[0], evidence


def _sampled(params, x, rng, S):
    """The same without log p(x): the expectation over S codes drawn for each example."""
    logits, _ = encoder(params["psi"], x)
    f = reconstruction(params["theta"], x)
    expected = sum(f(draw(rng, logits, 1, TABLE["reinforce"].noise)[0])[0][0] for _ in range(S)) / S
    return expected, kl(logits)[0], None
