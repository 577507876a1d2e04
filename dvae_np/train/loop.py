"""Training: mini-batches, epochs, history. `beginning` says how a run starts, `resuming` how it goes on where it stopped.

All that changes is in one object, `Training`: parameters, optimisers, the generator and the position in the data.
"""

import math
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from dvae_np import vae
from dvae_np.arrays import InputError
from dvae_np.device import CPU
from dvae_np.estimators import TABLE
from dvae_np.memory import keep_freed_memory
from dvae_np.model import Model
from dvae_np.noise import uniform
from dvae_np.train.beginning import optimisers, start_parameters, step_options
from dvae_np.train.evaluation import evaluate
from dvae_np.train.optimisers import named
from dvae_np.train.resuming import restore, state
from dvae_np.train.schedules import kl_weight, value_at
from dvae_np.train.settings import Settings


class Interrupted(Exception):
    """Training was told to stop; it went as far as the checkpoint says."""

    def __init__(self, path, words):
        super().__init__(words)
        self.path = path


@dataclass(frozen=True)
class Run:
    """A finished training: its settings, parameters, history (one list entry an epoch) and seconds."""

    settings: Settings
    params: dict
    history: dict
    seconds: float
    best_epoch: int | None = None  # of these parameters, where the settings have patience; else they are the last's
    model: Model | None = None  # what the parameters are those of
    width: int = 0  # numbers in a row of x
    networks: tuple = ()  # the names of its own functions

    def record(self):
        """The run without its parameters, as plain values for a JSON file."""
        history = {name: [round(value, 4) for value in values] for name, values in self.history.items()}
        best = {} if self.best_epoch is None else {"best_epoch": self.best_epoch}
        return {"settings": asdict(self.settings), "seconds": round(self.seconds, 3), **best, "history": history}


class Training:
    """A run in progress; `step` goes on by one mini-batch. Raises InputError for settings that do not fit the data.

    networks: `encode`, `decode` and `prior_law`, functions as `dvae_np.model.Model` has them. params: parameters to start from,
    {group: {name: array}}, of all groups that such functions need, or of some: the others are fresh.

    Parameters, data and all that is computed of them live on the `device`; order and noise come from one NumPy generator.
    """

    def __init__(self, data, settings, device=CPU, params=None, **networks):
        self.data, self.settings, self.row, self.device = data, settings, TABLE[settings.estimator], device
        self.rng = np.random.Generator(np.random.SFC64(settings.seed))
        self.noise = device.generator(self.rng)
        self.params = device.put(start_parameters(self.rng, data, settings, params or {}, networks))
        self.model, self.networks = replace(settings.model, **networks), sorted(networks)
        self.optimisers = optimisers(self.params, settings)
        self.options = step_options(data, settings) | {"model": self.model}
        self.on_device = {part: device.put({"x": split.x, "c": split.c})
                          for part, split in (("train", data.train), ("validation", data.validation))}  # fmt: skip
        self.epoch, self.batch, self.order, self.sums, self.seconds = 0, 0, None, [0.0, 0.0], 0.0
        self.tau = (self.row.hyper | settings.hyper).get("tau")  # as it is at first
        of_model = [not any(name.startswith("omega.") for name in optimiser.params) for optimiser in self.optimisers]
        self.rates = [
            (optimiser, optimiser.lr) for optimiser, its in zip(self.optimisers, of_model, strict=True) if its
        ]
        varied = {"lr": settings.lr_schedule, "tau": settings.tau_schedule}
        self.history = {"loss": [], "kl": [], "beta": [], **{name: [] for name in varied if varied[name] != "constant"},
                        "validation": []}  # fmt: skip
        self.best = {"epoch": 0, "validation": math.inf, "params": copied(self.params)} if settings.patience else None
        self.batches = math.ceil(len(data.train.x) / settings.batch)

    @property
    def finished(self):
        """Have all epochs been trained, or as many as there is patience for without a better validation loss?"""
        waited = self.best is not None and self.epoch - self.best["epoch"] >= self.settings.patience
        return waited or self.epoch >= self.settings.epochs

    @property
    def steps(self):
        """Mini-batches so far."""
        return self.epoch * self.batches + self.batch

    def step(self):
        """Train on one mini-batch; at the end of an epoch, evaluate and write the history."""
        started = time.perf_counter()
        settings = self.settings
        if self.batch == 0:
            self.order = np.argsort(self.rng.random(len(self.data.train.x)))
        chosen = self.device.put(self.order[self.batch * settings.batch : (self.batch + 1) * settings.batch])
        x, c = (None if rows is None else rows[chosen] for rows in self.on_device["train"].values())
        if self.data.dynamic:
            x = (uniform(self.noise, x.shape, x.dtype) < x).astype(x.dtype)
        epochs = self.steps / self.batches
        beta, varied = kl_weight(settings, epochs), self.set_rates(epochs)
        with np.errstate(all="ignore"):  # a diverging run is told so in words
            try:
                loss = vae.training_step(self.params, x, self.row, self.noise, self.optimisers, settings.S,
                                         beta=beta, c=c, **self.options)  # fmt: skip
            except InputError:
                if not_finite(self.params):
                    raise self.diverged(not_finite(self.params)) from None
                raise
        value = float(loss.value)
        if not math.isfinite(value):
            raise self.diverged(not_finite(loss.gradients) or not_finite(self.params) or "the loss")
        self.sums = [self.sums[0] + value * len(x), self.sums[1] + float(loss.kl.sum())]
        self.batch += 1
        if self.batch == self.batches:
            self._end_epoch({"beta": beta, **varied})
        self.seconds += time.perf_counter() - started

    def set_rates(self, epochs):
        """Step sizes of all but the tunables' optimiser, and the temperature, after so many epochs: {name: value}."""
        settings, varied = self.settings, {}
        if settings.lr_schedule != "constant":
            varied["lr"] = value_at(settings, "lr", settings.lr, epochs)
            for optimiser, rate in self.rates:
                optimiser.lr = rate * (varied["lr"] / settings.lr)
        if settings.tau_schedule != "constant":
            varied["tau"] = value_at(settings, "tau", self.tau, epochs)
            self.options["hyper"] = self.options["hyper"] | {"tau": varied["tau"]}
        return varied

    def _end_epoch(self, varied):
        with np.errstate(all="ignore"):
            try:
                validation = self.validation_loss()
            except InputError:
                validation = math.nan
        if not math.isfinite(validation):
            raise self.diverged(not_finite(self.params) or "the validation loss")
        means = [total / min(len(self.data.train.x), self.batches * self.settings.batch) for total in self.sums]
        for name, value in zip(self.history, (*means, *varied.values(), validation), strict=True):
            self.history[name].append(value)
        self.epoch, self.batch, self.order, self.sums = self.epoch + 1, 0, None, [0.0, 0.0]
        if self.best is not None and validation < self.best["validation"]:
            self.best = {"epoch": self.epoch, "validation": validation, "params": copied(self.params)}

    def validation_loss(self):
        """What the best epoch is chosen by: the discrete negative ELBO on the validation split, in nats."""
        rng = self.device.generator(np.random.default_rng(0))
        return evaluate(self.params, **self.on_device["validation"], rng=rng, model=self.model).negative_elbo

    def diverged(self, where):
        """The error of a run with numbers that are no longer finite."""
        seen = ", ".join(f"{name} {values[-1]:.6g}" for name, values in self.history.items() if values)
        before = f" (before: {seen})" if seen else ""
        tau = (self.row.hyper | self.settings.hyper).get("tau")
        warmer = "" if tau is None else f", or a higher temperature than tau = {tau},"
        return InputError(f"lr: training diverged in epoch {self.epoch + 1}, step {self.steps + 1}: {where} is no longer finite"
                          f"{before}; a smaller step size than lr = {self.settings.lr}{warmer} may help")  # fmt: skip

    @cached_property
    def fingerprint(self):
        """What tells the data from others; worked out once, as MNIST has 200 MB."""
        return {part: self.data.fingerprint(part) for part in ("train", "test")}


def fit(
    data, settings, progress=None, checkpoints=None, start=None, stop=lambda: False, device=CPU, params=None, **networks
):
    """Train a discrete VAE on the data's training split.

    progress:    called with (epoch, loss, validation) after every epoch, for a progress bar.
    checkpoints: a `Checkpoints`, which saves when it is due, at the end, and when told to stop; those of an older run in its
                 folder go, once this one has saved its first.
    start:       (facts, arrays) of a checkpoint to go on from, bit for bit.
    stop:        asked after every step; where it answers True, the run is saved and `Interrupted` raised.
    device:      where to compute; the parameters of the `Run` are NumPy arrays again.
    params, networks: as in `Training`: a warm start, and an encoder, a decoder and a prior of your own.

    History: ``loss`` is the mean training loss *as the estimator sees it* (for relaxed codes not an ELBO), ``kl`` its KL,
    ``beta`` the KL's weight, ``validation`` the discrete negative ELBO on the validation split, all in nats.
    Raises InputError for settings that cannot be used, and where training diverges, naming step, array and last checkpoint.
    """
    keep_freed_memory()
    training = Training(data, settings, device, params, **networks)
    if start:
        restore(training, *start)
    elif checkpoints:
        checkpoints.begin()
    while not training.finished:
        epoch = training.epoch
        try:
            training.step()
        except InputError as error:
            good = checkpoints.paths()[:1] if checkpoints else []
            raise InputError("; the last good checkpoint is ".join(map(str, (error, *good)))) from None
        if progress and training.epoch > epoch:
            progress(epoch, training.history["loss"][-1], training.history["validation"][-1])
        stopping, path = stop(), None
        if checkpoints and (stopping or training.finished or checkpoints.due()) and not not_finite(training.params):
            path = checkpoints.save(training.steps, *state(training))
        if stopping and not training.finished:
            raise Interrupted(path, f"stopped in epoch {training.epoch + 1}, after step {training.steps}")
    kept, best_epoch = (training.best["params"], training.best["epoch"]) if training.best else (training.params, None)
    return Run(settings, device.get(kept), training.history, training.seconds, best_epoch, training.model,
               data.train.x.shape[1], tuple(networks))  # fmt: skip


def copied(params):
    """The same arrays, as they are now."""
    return {group: {name: array.copy() for name, array in arrays.items()} for group, arrays in params.items()}


def not_finite(tree):
    """'psi.w0' for the first array in a dict of dicts that holds nan or infinity, or ''."""
    return next((name for name, array in named(tree).items() if not np.isfinite(array).all()), "")
