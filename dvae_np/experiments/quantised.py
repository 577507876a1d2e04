"""Quantised codes on the digits: what keeps a codebook in use, what its codes are worth, and categorical VAEs beside it.

Every model has N latents of the same number of codes, one hidden layer on either side, Adam, and equally many steps. A VQ-VAE's
bound is -log p(x|y) + N log K with the uniform prior; then an autoregressive prior is fitted to the codes of the training
images, and its -log p(z) takes the place of N log K.
"""

from dataclasses import dataclass

import numpy as np

from dvae_np import vq_vae
from dvae_np.codebook import Averages, perplexity
from dvae_np.initial import prior_parameters
from dvae_np.structure import autoregressive
from dvae_np.text import columns, markdown_columns
from dvae_np.train import Adam, Settings, evaluate, fit, load
from dvae_np.vq_vae import Quantiser

COMMAND = "python -m dvae_np compare --quantised"
N, K, EPOCHS, BATCH, RATE, SEEDS = 3, 16, 100, 100, 2e-3, (0, 1, 2)
PRIOR_STEPS, PRIOR_RATE = 400, 1e-2


@dataclass(frozen=True)
class Kind:
    """A way to quantise, and how its codebook moves and begins."""

    quantiser: Quantiser
    averages: bool = True  # does the codebook move by moving averages, or by its gradient?
    start: str = "normal"  # "small", "normal", or "data": vectors of the first batch
    restarts: bool = False


KINDS = {
    "gradient": Kind(Quantiser(N, K), averages=False),
    "averages, small start": Kind(Quantiser(N, K), start="small"),
    "averages": Kind(Quantiser(N, K)),
    "averages, from data": Kind(Quantiser(N, K), start="data"),
    "averages, restarts": Kind(Quantiser(N, K), restarts=True),
    "rotation, from data": Kind(Quantiser(N, K, way="rotate"), start="data"),
    "rounded, 4 x 4 levels": Kind(Quantiser(N, way="rounded", levels=(4, 4))),
    "4 signs": Kind(Quantiser(N, D=4, way="signs")),
}
CATEGORICAL = {  # with a uniform prior, and with one that is learned beside
    "reinforce_loo": {"S": 4},
    "reinforce_loo, learned prior": {"S": 4, "prior": "autoregressive"},
    "reinmax": {},
    "gumbel_softmax": {"hyper": {"tau": 0.5}},
}


def train(kind, x, seed, epochs=EPOCHS):
    """The parameters after training on images x (B, pixels)."""
    rng, quantiser = np.random.default_rng(seed), kind.quantiser
    params = vq_vae.parameters(rng, x.shape[1], quantiser)
    averages = None
    if "codebook" in params:
        e = vq_vae.vectors(params, x[rng.permutation(len(x))[:BATCH]])
        start = {"small": lambda: rng.uniform(-1 / K, 1 / K, (K, e.shape[-1])), "data": lambda: at_data(rng, e),
                 "normal": lambda: params["codebook"]["entries"]}[kind.start]  # fmt: skip
        params["codebook"]["entries"] = start().astype(x.dtype)
        averages = Averages.of(params["codebook"]["entries"]) if kind.averages else None
    learned = {name: group for name, group in params.items() if name != "codebook" or averages is None}
    optimiser = Adam(learned, RATE)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for first in range(0, len(x) - BATCH + 1, BATCH):
            batch = x[order[first : first + BATCH]]
            _, _, e, z, gradients = vq_vae.loss_and_gradients(params, batch, quantiser)
            optimiser.step(gradients)
            if averages is not None:
                averages = averages.moved(e, z)
                averages = averages.restarted(e, rng) if kind.restarts else averages
                params["codebook"]["entries"] = averages.codebook.astype(x.dtype)
    return params


def at_data(rng, e):
    """K of the vectors e (B, N, D)."""
    flat = e.reshape(-1, e.shape[-1])
    return flat[rng.choice(len(flat), K, replace=False)]


def fitted_prior(z, codes, seed=0):
    """An autoregressive prior fitted to codes z (M, N) by maximum likelihood: codes (M, N) -> -log p(z) in nats (M,)."""
    rng = np.random.default_rng(seed)
    phi = prior_parameters(rng, "autoregressive", z.shape[1], codes, dtype=np.float64)
    optimiser = Adam({"phi": phi}, PRIOR_RATE)
    for _ in range(PRIOR_STEPS):
        batch = z[rng.integers(len(z), size=4 * BATCH)]
        p, to_phi = autoregressive(phi, None, z.shape[1])
        logp, backward = p.log_prob(batch[:, None])  # (M, 1)
        optimiser.step({"phi": to_phi(backward(np.full_like(logp, -1 / len(batch))))})
    return lambda z: -autoregressive(phi, None, z.shape[1])[0].log_prob(z[:, None])[0][:, 0]


def measured(kind, data, seed, epochs=EPOCHS):
    """What one run reaches, in nats on the test split, and how its codes are used."""
    params, quantiser = train(kind, data.train.x, seed, epochs), kind.quantiser
    nll, far, _, z, _ = vq_vae.loss_and_gradients(params, data.test.x, quantiser)
    length = fitted_prior(vq_vae.codes(params, data.train.x, quantiser), quantiser.codes, seed)(z)
    return {
        "reconstruction": float(nll.mean()),
        "uniform": float(nll.mean()) + N * float(np.log(quantiser.codes)),
        "learned": float((nll + length).mean()),
        "perplexity": float(np.mean([perplexity(z[:, n], quantiser.codes) for n in range(N)])),
        "distortion": float(far.mean()),
    }


def beside(name, options, data, seed, epochs=EPOCHS):
    """A categorical VAE of the same size, trained by an estimator."""
    settings = Settings(name.partition(",")[0], N=N, K=K, epochs=epochs, batch=BATCH, lr=RATE, seed=seed, **options)
    found = evaluate(fit(data, settings).params, data.test.x, model=settings.model)
    prior = "learned" if settings.prior != "uniform" else "uniform"
    return {"reconstruction": float(found.reconstruction), prior: float(found.negative_elbo)}


def quantised(progress=lambda items: items, epochs=EPOCHS):
    """The record: every kind and every categorical VAE, with each seed."""
    data = load("digits")
    runs = {
        f"VQ: {name}": [measured(kind, data, seed, epochs) for seed in SEEDS] for name, kind in progress(KINDS.items())
    }
    runs |= {f"VAE: {name}": [beside(name, options, data, seed, epochs) for seed in SEEDS]
             for name, options in progress(CATEGORICAL.items())}  # fmt: skip
    return {"command": COMMAND, "data": str(data), "N": N, "K": K, "epochs": epochs, "seeds": SEEDS, "runs": runs}


def quantised_table(record, markdown=False):
    """The record as a table: medians and ranges over the seeds."""
    rows = [("model", "-log p(x|z)", "negative ELBO, uniform prior", "with a learned prior", "perplexity")]
    for name, runs in record["runs"].items():
        what = ("reconstruction", "uniform", "learned", "perplexity")
        rows.append((name, *(_spread([run.get(each) for run in runs]) for each in what)))
    return markdown_columns(rows) if markdown else columns(rows)


def _spread(values):
    if None in values:
        return ""
    return f"{np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
