"""What is timed: cases, and for each the arrays that every contestant gets.

All arrays are float32 and come from one seed, so that contestants can be held to the same number.
"""

from dataclasses import dataclass, field

import numpy as np

from dvae_np import vae

LABELS = {
    "straight_through_gumbel": "ST-Gumbel",
    "reinforce_loo": "leave-one-out",
    "reinmax": "ReinMax",
}
STEPS = (  # estimator, K, N, S
    ("straight_through_gumbel", 8, 4, 1),
    ("straight_through_gumbel", 10, 30, 1),
    ("straight_through_gumbel", 64, 8, 1),
    ("reinforce_loo", 8, 4, 4),
    ("reinforce_loo", 10, 30, 4),
    ("reinmax", 8, 4, 1),
)
ONE_LATENT = (10, 64, 512, 4096)
JOINT = ((8, 2), (8, 3), (10, 3), (8, 4), (10, 4))  # K, N
REPLICATES = 10_000
CHAINS = ((100, 8, 16), (100, 32, 32), (32, 128, 64))  # B, N, K


@dataclass(frozen=True)
class Case:
    """One row of a table: the same call, made by every contestant that can."""

    section: str
    label: str
    work: str  # what a contestant does: one of its functions
    sizes: dict = field(default_factory=dict)

    def inputs(self):
        """The arguments of the contestant's function."""
        return INPUTS[self.work](**self.sizes)


def cases():
    """All of them, section by section."""
    found = []
    for estimator, K, N, S in STEPS:
        label = f"{LABELS[estimator]}, {K}x{N}" + f", S={S}" * (S > 1)
        found.append(Case("step", label, "step", {"estimator": estimator, "K": K, "N": N, "S": S}))
    found += [Case("exact", f"K = {K:,}", "exact", {"K": K, "N": 1}) for K in ONE_LATENT]
    found += [Case("joint", f"{N} of {K}: {K**N:,} states", "exact", {"K": K, "N": N}) for K, N in JOINT]
    found.append(Case("conditional", "K = 10, B = 64", "conditional"))
    found.append(Case("replicates", f"{REPLICATES:,} of REINFORCE", "replicates"))
    found += [
        Case("check", f"{how}, 10,292 parameters", "check", {"how": how}) for how in ("along a direction", "complete")
    ]
    found += [Case("chain", f"{N} of {K}, B = {B}", "chain", {"B": B, "N": N, "K": K}) for B, N, K in CHAINS]
    found.append(Case("chain", "32 of 32, shared, B = 100", "chain", {"B": 100, "N": 32, "K": 32, "shared": True}))
    found.append(Case("start", "ST-Gumbel, 8x4", "step", {"estimator": STEPS[0][0], "K": 8, "N": 4, "S": 1}))
    return found + growth()


def growth():
    """Exact marginalisation as K, N and B grow, and a leave-one-out step as S does; each label is "axis = size"."""
    axes = {
        "K": ("exact", (64, 128, 256, 512, 1024, 2048, 4096, 8192), lambda K: {"K": K, "N": 1}),
        "N": ("exact", (1, 2, 3, 4, 5), lambda N: {"K": 8, "N": N}),
        "B": ("exact", (64, 128, 256, 512, 1024, 2048), lambda B: {"K": 512, "N": 1, "B": B}),
        "S": ("step", (2, 4, 8, 16, 32), lambda S: {"estimator": "reinforce_loo", "K": 8, "N": 4, "S": S}),
    }
    return [
        Case("growth", f"{axis} = {size}", work, sizes(size))
        for axis, (work, line, sizes) in axes.items()
        for size in line
    ]


def step(estimator, K, N, S):
    """A training step of the MNIST-sized VAE: encoder 784-512-256-N*K, decoder mirrored, ReLU, Bernoulli, batch 100, Adam."""
    rng = _rng()
    x = (rng.random((100, 784)) < 0.2).astype(np.float32)
    params = vae.parameters(rng, 784, N, K, (512, 256))
    return {"x": x, "psi": params["psi"], "theta": params["theta"], "estimator": estimator, "S": S, "tau": 1.0}


def exact(K, N, B=256):
    """Value and gradients of the exact expectation: decoder embedding-256-512-784, Bernoulli pixels."""
    rng = _rng()
    x = (rng.random((B, 784)) < 0.2).astype(np.float32)
    theta = vae.parameters(rng, 784, N, K, (512, 256))["theta"]
    return {"x": x, "theta": theta, "logits": rng.standard_normal((B, N, K)).astype(np.float32)}


def conditional(K=10, B=64):
    """The same for p(y|c,z): every pair of example and state must be decoded, 784-512-512-784."""
    rng = _rng()
    c, y = ((rng.random((B, 784)) < 0.2).astype(np.float32) for _ in range(2))
    theta = vae.parameters(rng, 784, 1, K, (512, 512), C=784)["theta"]
    return {"y": y, "c": c, "theta": theta, "logits": rng.standard_normal((B, 1, K)).astype(np.float32)}


def replicates(K=16, R=REPLICATES):
    """As many independent draws of the REINFORCE gradient of a quadratic of one latent: its replicates are the batch."""
    rng = _rng()
    return {"logits": rng.standard_normal(K).astype(np.float32), "target": rng.random(K).astype(np.float32), "R": R}


def check(how):
    """The gradients of a negative ELBO in 10,292 parameters, in float64, beside numeric ones."""
    rng = _rng()
    x = (rng.random((8, 64)) < 0.4).astype(np.float64)
    return {"x": x, "params": vae.parameters(rng, 64, 2, 4, (70,), np.float64), "complete": how == "complete"}


def chain(B, N, K, shared=False):
    """Potentials of a chain, each example's own or one array of pairwise ones for all: log Z and its gradients."""
    rng = _rng()
    unary = rng.standard_normal((B, N, K)).astype(np.float32)
    return {"unary": unary, "pairwise": rng.standard_normal((1 if shared else B, N - 1, K, K)).astype(np.float32)}


INPUTS = {
    "step": step,
    "exact": exact,
    "conditional": conditional,
    "replicates": replicates,
    "check": check,
    "chain": chain,
}


def _rng():
    return np.random.default_rng(0)
