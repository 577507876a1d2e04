"""Quantised codes: what keeps a codebook in use, what its codes are worth, and beside it PyTorch and categorical VAEs.

Every model of a study has N latents of the same number of codes, the same hidden layer on either side, Adam, and equally many
steps. A VQ-VAE's bound is -log p(x|y) + N log K with the uniform prior; then an autoregressive prior is fitted to the codes of
the training images, and its -log p(z) takes the place of N log K.
"""

import importlib.util
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import product

import numpy as np

from dvae_np import vq_vae
from dvae_np.bench.turns import FOLDER
from dvae_np.codebook import Averages, perplexity
from dvae_np.initial import prior_parameters
from dvae_np.structure import autoregressive
from dvae_np.text import columns, markdown_columns, spread
from dvae_np.train import Adam, Settings, evaluate, fit, load
from dvae_np.vq_vae import Quantiser

BATCH, RATE, DECAY, SEEDS = 100, 2e-3, 0.99, 3
PRIOR_BATCH, PRIOR_RATE = 400, 1e-2
CHUNK = 1000  # images that are coded at a time; and at most so many are validated on


@dataclass(frozen=True)
class Study:
    """A data set, and the sizes of all models on it."""

    data: str
    N: int
    K: int
    levels: tuple  # of rounded codes, K together
    hidden: tuple
    epochs: int
    prior_steps: int
    pairs: int  # seeds of the kind that PyTorch trains too, here and there: a few say too little
    without: tuple = ()  # names of kinds and of estimators that it leaves out, for the time that they take

    @property
    def record(self):
        """The name of its record."""
        return "quantised" if self.data == "digits" else f"quantised-{self.data}"


STUDIES = {
    "digits": Study("digits", 3, 16, (4, 4), (128,), 100, 400, 13),
    "mnist": Study("mnist", 8, 64, (8, 8), (256,), 4, 1000, 7,
                   without=("gradient", "averages, small start", "averages", "6 signs", "reinmax")),
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A way to quantise, and how its codebook moves and begins."""

    quantiser: Quantiser
    averages: bool = True  # does the codebook move by moving averages, or by its gradient?
    start: str = "normal"  # "small", "normal", or "data": vectors of the first batch
    restarts: bool = False


def kinds_of(study):
    """{name: Kind} of a study."""
    N, K, levels, bits = study.N, study.K, study.levels, int(np.log2(study.K))
    return {
        "gradient": Kind(Quantiser(N, K), averages=False),
        "averages, small start": Kind(Quantiser(N, K), start="small"),
        "averages": Kind(Quantiser(N, K)),
        "averages, from data": Kind(Quantiser(N, K), start="data"),
        "averages, restarts": Kind(Quantiser(N, K), restarts=True),
        "rotation, from data": Kind(Quantiser(N, K, way="rotate"), start="data"),
        f"rounded, {' x '.join(map(str, levels))} levels": Kind(Quantiser(N, way="rounded", levels=levels)),
        f"{bits} signs": Kind(Quantiser(N, D=bits, way="signs")),
    }


IN_PYTORCH = "averages, from data"  # the kind that PyTorch trains too
CATEGORICAL = {  # with a uniform prior, and with one that is learned beside
    "reinforce_loo": {"S": 4},
    "reinforce_loo, learned prior": {"S": 4, "prior": "autoregressive"},
    "reinmax": {},
    "gumbel_softmax": {"hyper": {"tau": 0.5}},
}


def train(kind, x, seed, epochs, hidden=(128,)):
    """The parameters after training on images x (B, pixels)."""
    rng, quantiser = np.random.default_rng(seed), kind.quantiser
    params = vq_vae.parameters(rng, x.shape[1], quantiser, hidden)
    averages = None
    if "codebook" in params:
        e, K = vq_vae.vectors(params, x[rng.permutation(len(x))[:BATCH]]), quantiser.K
        start = {"small": lambda: rng.uniform(-1 / K, 1 / K, (K, e.shape[-1])), "data": lambda: at_data(rng, e, K),
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
                averages = averages.moved(e, z, DECAY)
                averages = averages.restarted(e, rng) if kind.restarts else averages
                params["codebook"]["entries"] = averages.codebook.astype(x.dtype)
    return params


def at_data(rng, e, K):
    """K of the vectors e (B, N, D)."""
    flat = e.reshape(-1, e.shape[-1])
    return flat[rng.choice(len(flat), K, replace=False)]


def fitted_prior(z, codes, seed=0, steps=400):
    """An autoregressive prior fitted to codes z (M, N) by maximum likelihood: codes (M, N) -> -log p(z) in nats (M,)."""
    rng = np.random.default_rng(seed)
    phi = prior_parameters(rng, "autoregressive", z.shape[1], codes, dtype=np.float64)
    optimiser = Adam({"phi": phi}, PRIOR_RATE)
    for _ in range(steps):
        batch = z[rng.integers(len(z), size=PRIOR_BATCH)]
        p, to_phi = autoregressive(phi, None, z.shape[1])
        logp, backward = p.log_prob(batch[:, None])  # (M, 1)
        optimiser.step({"phi": to_phi(backward(np.full_like(logp, -1 / len(batch))))})
    return lambda z: -autoregressive(phi, None, z.shape[1])[0].log_prob(z[:, None])[0][:, 0]


def in_chunks(function, x):
    """The arrays that a function of images returns, of all images x: memory does not grow with them."""
    parts = [function(x[first : first + CHUNK]) for first in range(0, len(x), CHUNK)]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def measured(kind, data, seed, study):
    """What one run of this package reaches."""
    quantiser = kind.quantiser
    params = train(kind, data.train.x, seed, study.epochs, study.hidden)
    nll, far, _, z = in_chunks(lambda x: vq_vae.loss_and_gradients(params, x, quantiser)[:4], data.test.x)
    (known,) = in_chunks(lambda x: (vq_vae.codes(params, x, quantiser),), data.train.x)
    return numbers(nll, far, z, known, quantiser.codes, seed, study)


def in_pytorch(data, seed, study):
    """What one run of PyTorch reaches, in a process of its own."""
    quantiser = kinds_of(study)[IN_PYTORCH].quantiser
    task = {
        "x": data.train.x, "x_test": data.test.x, "N": study.N, "K": study.K, "D": quantiser.D, "hidden": study.hidden,
        "beta": quantiser.beta, "decay": DECAY, "rate": RATE, "batch": BATCH, "epochs": study.epochs, "seed": seed,
    }  # fmt: skip
    script = FOLDER / "contestants/pytorch_vq_vae.py"
    done = subprocess.run([sys.executable, str(script)], input=pickle.dumps(task), stdout=subprocess.PIPE, check=True)
    return numbers(*pickle.loads(done.stdout), study.K, seed, study) | {"version": version("torch")}


def numbers(nll, far, z, known, codes, seed, study):
    """Means over the test images, in nats, and how their codes are used.

    nll, far (B,), z (B, N): -log p(x|y), distortion and codes of the test images; known (M, N): codes of the training images.
    """
    length = fitted_prior(known, codes, seed, study.prior_steps)(z)
    return {
        "reconstruction": float(nll.mean()),
        "uniform": float(nll.mean()) + study.N * float(np.log(codes)),
        "learned": float((nll + length).mean()),
        "perplexity": float(np.mean([perplexity(each, codes) for each in z.T])),
        "distortion": float(far.mean()),
    }


def beside(name, options, data, seed, study):
    """A categorical VAE of the same size, trained by an estimator."""
    settings = Settings(name.partition(",")[0], N=study.N, K=study.K, hidden=study.hidden, epochs=study.epochs, batch=BATCH,
                        lr=RATE, seed=seed, **options)  # fmt: skip
    few = replace(data, validation=replace(data.validation, x=data.validation.x[:CHUNK]))  # nothing is chosen by them
    found = evaluate(fit(few, settings).params, data.test.x, S=20, model=settings.model)
    prior = "learned" if settings.prior != "uniform" else "uniform"
    return {"reconstruction": float(found.reconstruction), prior: float(found.negative_elbo)}


def runs_of(data, study):
    """{name: a function of the seed that makes the run}; those of PyTorch where it is installed."""
    kinds, torch = kinds_of(study), (IN_PYTORCH,) if importlib.util.find_spec("torch") else ()
    return (
        {f"VQ: {name}": partial(measured, kinds[name], data, study=study) for name in kinds if name not in study.without}
        | {f"PyTorch: {name}": partial(in_pytorch, data, study=study) for name in torch}
        | {f"VAE: {name}": partial(beside, name, options, data, study=study) for name, options in CATEGORICAL.items()
           if name not in study.without}
    )  # fmt: skip


def command_of(study):
    """That makes the record."""
    return "python -m dvae_np compare --quantised" + (f" {study.data}" if study.data != "digits" else "")


def quantised(study, data_dir=None, known=None, save=lambda record: None, progress=lambda words: None):
    """Carry out all runs that the record lacks, and save after each; returns the record."""
    data = load(study.data, data_dir=data_dir)
    sizes = {name: getattr(study, name) for name in ("N", "K", "hidden", "epochs")}
    record = known or {"command": command_of(study), "data": str(data), **sizes, "runs": {}}
    for seed, (name, run) in product(range(max(SEEDS, study.pairs)), runs_of(data, study).items()):
        done = record["runs"].setdefault(name, [])
        if len(done) == seed < (study.pairs if name.endswith(f": {IN_PYTORCH}") else SEEDS):
            done.append(run(seed=seed))
            save(record)
            progress(f"{name}, seed {seed}: {done[-1]['reconstruction']:.2f} nats")
    return record


def quantised_table(record, markdown=False):
    """The record as a table: medians and ranges over the seeds."""
    rows = [("model", "-log p(x|z)", "negative ELBO, uniform prior", "with a learned prior", "perplexity")]
    for name, runs in record["runs"].items():
        what = ("reconstruction", "uniform", "learned", "perplexity")
        rows.append((name, *(spread([run.get(each) for run in runs]) for each in what)))
    return markdown_columns(rows) if markdown else columns(rows)
