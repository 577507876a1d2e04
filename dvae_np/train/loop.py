"""The training loop: mini-batches, epochs, history."""

import math
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from dvae_np import vae
from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE
from dvae_np.estimators.estimate import expect_few_states
from dvae_np.train.evaluation import MOST_STATES, evaluate
from dvae_np.train.optimisers import SGD, Adam


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run: the same settings on the same data give the same numbers."""

    estimator: str = "exact"
    N: int = 2  # latent variables
    K: int = 16  # categories of each
    S: int = 1  # samples for each example
    beta: float = 1.0  # weight of the KL
    kl: str = "analytic"  # or "relaxed", "plug_in" for gumbel_softmax
    hidden: tuple = (128,)  # hidden layers of the encoder; the decoder mirrors them
    optimiser: str = "adam"
    lr: float = 1e-3
    batch: int = 100
    epochs: int = 100
    seed: int = 0
    hyper: dict = field(default_factory=dict)  # the estimator's, where not the table's

    def __post_init__(self):
        if self.estimator not in TABLE:
            raise InputError(f"estimator: expected one of {', '.join(TABLE)}, got {self.estimator!r}")
        row = TABLE[self.estimator]
        for name in ("N", "K", "S", "batch", "epochs", "seed"):
            value, least = getattr(self, name), int(name != "seed")
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name}: expected at least {least}, a whole number, got {value!r}")
        if not isinstance(self.hidden, tuple) or any(not isinstance(size, int) or size < 1 for size in self.hidden):
            raise InputError(f"hidden: expected a tuple of sizes of at least 1, got {self.hidden!r}")
        if row.noise and self.S < row.fewest_samples:
            raise InputError(f"S: {self.estimator} needs at least {row.fewest_samples} samples, got {self.S}")
        if self.S > row.most_samples:
            raise InputError(f"S: {self.estimator} takes at most {row.most_samples} samples, got {self.S}")
        if row.binary and self.K != 2:
            raise InputError(f"K: {self.estimator} is for binary latents, K = 2, got {self.K}")
        if row.owns_kl and self.beta != 1:
            raise InputError(f"beta: {self.estimator}'s bound contains the KL with weight 1, got beta = {self.beta}")
        if not row.noise:
            expect_few_states(self.estimator, self.N, self.K, self.batch, MOST_STATES)
            if self.S != 1:
                raise InputError(f"S: {self.estimator} visits every state and takes no samples, got S = {self.S}")
        if not 0 < self.lr < math.inf:
            raise InputError(f"lr: expected a step size above 0, got {self.lr}")
        if not 0 <= self.beta < math.inf:
            raise InputError(f"beta: expected a weight of at least 0, got {self.beta}")
        if self.optimiser not in ("adam", "sgd"):
            raise InputError(f"optimiser: expected adam or sgd, got {self.optimiser!r}")
        if self.kl != "analytic" and (self.kl not in vae.RELAXED_KL or self.estimator != "gumbel_softmax"):
            raise InputError(f"kl: expected analytic, or relaxed or plug_in for gumbel_softmax, got {self.kl!r}")
        for name in self.hyper:
            if name not in row.hyper:
                known = ", ".join(row.hyper) or "none"
                raise InputError(f"{name}: not a hyper-parameter of {self.estimator}, which has {known}")


@dataclass(frozen=True)
class Run:
    """A finished training: its settings, parameters, history (one list entry an epoch) and seconds."""

    settings: Settings
    params: dict
    history: dict
    seconds: float

    def record(self):
        """The run without its parameters, as plain values for a JSON file."""
        history = {name: [round(value, 4) for value in values] for name, values in self.history.items()}
        return {"settings": asdict(self.settings), "seconds": round(self.seconds, 3), "history": history}


def fit(data, settings, progress=None):
    """Train a discrete VAE on the data's training split.

    progress: called with (epoch, loss, validation) after every epoch, for a progress bar.
    History: ``loss`` is the mean training loss *as the estimator sees it* (for relaxed codes not an ELBO), ``validation``
    the discrete negative ELBO on the validation split, both in nats.
    Raises InputError for settings that cannot be used.
    """
    row = TABLE[settings.estimator]
    rng = np.random.Generator(np.random.SFC64(settings.seed))
    x = data.train.x
    model = vae.parameters(rng, x.shape[1], settings.N, settings.K, settings.hidden, x.dtype.type)
    optimisers = [Adam(model, settings.lr) if settings.optimiser == "adam" else SGD(model, settings.lr)]
    params = dict(model)
    if row.omega:
        initial = row.omega(rng, settings.N, settings.K)
        omega = {"omega": {name: np.asarray(value, x.dtype) for name, value in initial.items()}}
        kind, rate = row.omega_step
        optimisers.append(SGD(omega, rate) if kind == "sgd" else Adam(omega, rate))
        params |= omega

    options = {"beta": settings.beta, "kl": settings.kl, **row.hyper, **settings.hyper}
    history = {"loss": [], "validation": []}
    if not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"data: expected pixels in [0, 1], got {float(x.min()):g} to {float(x.max()):g}")
    started = time.perf_counter()
    for epoch in range(settings.epochs):
        order = np.argsort(rng.random(len(x)))
        losses = []
        for start in range(0, len(x), settings.batch):
            batch = x[order[start : start + settings.batch]]
            try:
                with np.errstate(all="ignore"):  # a diverging run is told so in words
                    loss = vae.training_step(params, batch, row, rng, optimisers, settings.S, **options)
            except InputError:
                if np.isfinite(optimisers[0].vector).all():
                    raise
                raise diverged(epoch, history, settings) from None
            losses.append(float(loss.value) * len(batch))
        history["loss"].append(sum(losses) / len(x))
        with np.errstate(all="ignore"):
            history["validation"].append(evaluate(params, data.validation.x).negative_elbo)
        if progress:
            progress(epoch, history["loss"][-1], history["validation"][-1])
        if not np.isfinite([history["loss"][-1], history["validation"][-1]]).all():
            raise diverged(epoch, history, settings)
    return Run(settings, params, history, time.perf_counter() - started)


def diverged(epoch, history, settings):
    """The error of a run whose parameters or losses are no longer finite."""
    seen = ", ".join(f"{name} {values[-1]:.6g}" for name, values in history.items() if values)
    return InputError(
        f"lr: training diverged in epoch {epoch + 1}" + f" ({seen})" * bool(seen) + f"; a smaller step size than "
        f"lr = {settings.lr} may help"
    )
