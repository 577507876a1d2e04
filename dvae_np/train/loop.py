"""Training: mini-batches, epochs, history; stopped at any step, it can go on as if it had not been.

All that changes is in one object, `Training`: parameters, optimisers, the generator and the position in the data. A
checkpoint is a copy of it.
"""

import json
import math
import time
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from dvae_np import vae
from dvae_np.arrays import InputError, expect_number, expect_whole
from dvae_np.device import CPU
from dvae_np.estimators import TABLE
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.networks import last_bias
from dvae_np.noise import uniform
from dvae_np.train.evaluation import PAIRS, evaluate
from dvae_np.train.optimisers import SGD, Adam, RAdam
from dvae_np.train.settings import Settings, kl_weight


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

    def record(self):
        """The run without its parameters, as plain values for a JSON file."""
        history = {name: [round(value, 4) for value in values] for name, values in self.history.items()}
        return {"settings": asdict(self.settings), "seconds": round(self.seconds, 3), "history": history}


class Training:
    """A run in progress; `step` goes on by one mini-batch. Raises InputError for settings that do not fit the data.

    Parameters, data and all that is computed of them live on the `device`; order and noise come from one NumPy generator.
    """

    def __init__(self, data, settings, device=CPU):
        self.data, self.settings, self.row, self.device = data, settings, TABLE[settings.estimator], device
        self.rng = np.random.Generator(np.random.SFC64(settings.seed))
        self.noise = device.generator(self.rng)
        x = data.train.x
        if data.pixels != "counts" and not (x.min() >= 0 and x.max() <= 1):
            raise InputError(f"data: expected pixels in [0, 1], got {float(x.min()):g} to {float(x.max()):g}")
        if LIKELIHOODS[settings.likelihood].pixels != data.pixels:
            fitting = ", ".join(name for name, each in LIKELIHOODS.items() if each.pixels == data.pixels)
            raise InputError(
                f"likelihood: expected one of {fitting} for {data.binarisation}, got {settings.likelihood}"
            )
        self.params = device.put(self._initial(x))
        self.on_device = {part: device.put({"x": split.x, "c": split.c})
                          for part, split in (("train", data.train), ("validation", data.validation))}  # fmt: skip
        frozen = {("phi", "logits")} if settings.prior == "fixed" else set()
        frozen |= {("theta", "log_scale")} if settings.scale is not None else set()
        trained = {group: {name: array for name, array in arrays.items() if (group, name) not in frozen}
                   for group, arrays in self.params.items()}  # fmt: skip
        kind = {"adam": Adam, "radam": RAdam, "sgd": SGD}[settings.optimiser]
        phi = {"phi": trained.pop("phi")} if trained.get("phi") else {}
        self.optimisers = [kind(trained, settings.lr)] + ([kind(phi, settings.lr * settings.prior_rate)] if phi else [])
        if self.row.omega:
            initial = self.row.omega(self.rng, settings.N, settings.K)
            omega = {"omega": {name: device.put(np.asarray(value, x.dtype)) for name, value in initial.items()}}
            kind, rate = self.row.omega_step
            self.optimisers.append(SGD(omega, rate) if kind == "sgd" else Adam(omega, rate))
            self.params |= omega

        hyper = dict(settings.hyper)
        if settings.estimator == "exact" and "block" not in settings.hyper and data.train.c is not None:
            hyper["block"] = max(1, PAIRS // settings.batch)  # every pair of example and state is decoded
        self.options = {"model": settings.model, "kl": settings.kl, "free_bits": settings.free_bits, "hyper": hyper}
        self.epoch, self.batch, self.order, self.sums, self.seconds = 0, 0, None, [0.0, 0.0], 0.0
        self.history = {"loss": [], "kl": [], "beta": [], "validation": []}
        self.batches = math.ceil(len(x) / settings.batch)

    def _initial(self, x):
        settings, c = self.settings, self.data.train.c
        params = vae.parameters(
            self.rng, x.shape[1], settings.N, settings.K, settings.hidden, x.dtype.type, C=0 if c is None else c.shape[1],
            model=settings.model, levels=self.data.levels)  # fmt: skip
        if settings.scale is not None:
            params["theta"]["log_scale"][:] = math.log(settings.scale)
        params["theta"]["table"] *= params["theta"]["table"].dtype.type(settings.embedding_scale)
        if settings.first_image == "mean":
            params["theta"][last_bias(params["theta"])][:] = LIKELIHOODS[settings.likelihood].start(x, self.data.levels)
        if settings.prior == "fixed":
            params["phi"]["logits"][:] = np.log(settings.prior_probabilities)
        return params

    @property
    def finished(self):
        """Have all epochs been trained?"""
        return self.epoch >= self.settings.epochs

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
        beta = kl_weight(settings, self.steps / self.batches)
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
            self._end_epoch(beta)
        self.seconds += time.perf_counter() - started

    def _end_epoch(self, beta):
        with np.errstate(all="ignore"):
            try:
                rng = self.device.generator(np.random.default_rng(0))
                validation = evaluate(
                    self.params, **self.on_device["validation"], rng=rng, model=self.settings.model
                ).negative_elbo
            except InputError:
                validation = math.nan
        if not math.isfinite(validation):
            raise self.diverged(not_finite(self.params) or "the validation loss")
        means = [total / len(self.data.train.x) for total in self.sums]
        for name, value in zip(self.history, (*means, beta, validation), strict=True):
            self.history[name].append(value)
        self.epoch, self.batch, self.order, self.sums = self.epoch + 1, 0, None, [0.0, 0.0]

    def diverged(self, where):
        """The error of a run with numbers that are no longer finite."""
        seen = ", ".join(f"{name} {values[-1]:.6g}" for name, values in self.history.items() if values)
        tau = (self.row.hyper | self.settings.hyper).get("tau")
        return InputError(
            f"lr: training diverged in epoch {self.epoch + 1}, step {self.steps + 1}: {where} is no longer finite"
            + f" (before: {seen})" * bool(seen)
            + f"; a smaller step size than lr = {self.settings.lr}"
            + f", or a higher temperature than tau = {tau}," * (tau is not None)
            + " may help"
        )

    @cached_property
    def fingerprint(self):
        """What tells the data from others; worked out once, as MNIST has 200 MB."""
        return {part: self.data.fingerprint(part) for part in ("train", "test")}

    def state(self):
        """(facts, arrays): a copy of all that changes, for a checkpoint."""
        arrays = {
            f"params.{group}.{name}": array for group in self.params for name, array in self.params[group].items()
        }
        for i, optimiser in enumerate(self.optimisers):
            arrays |= {f"optimiser{i}.{name}": array for name, array in optimiser.state().items()}
        arrays = self.device.get(arrays)
        if self.order is not None:
            arrays["order"] = self.order
        facts = {
            "settings": asdict(self.settings), "data": self.data.source,
            "fingerprint": self.fingerprint,
            "epoch": self.epoch, "batch": self.batch, "sums": self.sums, "history": self.history, "seconds": self.seconds,
            "generator": _plain(self.rng.bit_generator.state),
        }  # fmt: skip
        return facts, arrays

    def expect(self, facts, arrays):
        """Raise `InputError` unless these facts and arrays can be a checkpoint of a run with these settings."""
        mine, own = self.state()
        if not set(mine) <= set(facts):
            raise InputError(
                f"resume: the checkpoint does not say all that a run needs: {', '.join(set(mine) - set(facts))}"
            )
        expected = {name: array.shape for name, array in own.items() if name != "order"}
        found = {name: array.shape for name, array in arrays.items() if name != "order"}
        if found != expected or not all(np.isfinite(array).all() for array in arrays.values()):
            raise InputError("resume: the checkpoint's arrays are not those of a run with these settings")
        settings = json.loads(json.dumps(mine["settings"]))
        stored = facts["settings"] if isinstance(facts["settings"], dict) else {}
        other = [name for name in settings if name != "epochs" and stored.get(name) != settings[name]]
        if other:
            raise InputError(f"resume: the checkpoint is of a run with other settings: {', '.join(other)}")
        try:
            self._expect_position(facts, arrays.get("order"))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InputError(f"resume: the checkpoint's position cannot be read ({error!r})") from error

    def _expect_position(self, facts, order):
        for name in ("epoch", "batch"):
            expect_whole(f"resume: {name}", facts[name])
        expect_number("resume: seconds", facts["seconds"])
        numbers = {"sums": facts["sums"], **{name: facts["history"][name] for name in self.history}}
        for name, values in numbers.items():
            if len(values) != (2 if name == "sums" else facts["epoch"]):
                raise InputError(f"resume: {name}: expected a number for each epoch (sums: two), got {len(values)}")
            for value in values:
                expect_number(f"resume: {name}", value, least=-math.inf)
        if set(facts["fingerprint"]) != {"train", "test"}:
            raise InputError("resume: expected the fingerprints of train and test")
        np.random.SFC64(0).state = _arrays(facts["generator"])
        fits = np.array_equal(np.sort(order), np.arange(len(self.data.train.x))) if facts["batch"] else order is None
        if not fits or facts["batch"] >= self.batches:
            raise InputError("resume: the checkpoint's position does not fit the data")

    def restore(self, facts, arrays):
        """Go on from a copy that `state` gave. Raises InputError where it is not one of this run on these data."""
        self.expect(facts, arrays)
        if facts["fingerprint"]["train"] != self.fingerprint["train"]:
            raise InputError("resume: the data are not those that the run was trained on")
        self.epoch, self.batch, self.order = facts["epoch"], facts["batch"], arrays.get("order")
        self.sums, self.seconds = list(facts["sums"]), facts["seconds"]
        self.history = {name: list(facts["history"][name]) for name in self.history}
        self.rng.bit_generator.state = _arrays(facts["generator"])
        stored = self.device.put({name: array for name, array in arrays.items() if name != "order"})
        for group in self.params:
            for name, array in self.params[group].items():
                array[...] = stored[f"params.{group}.{name}"]
        for i, optimiser in enumerate(self.optimisers):
            optimiser.restore({name: stored[f"optimiser{i}.{name}"] for name in optimiser.state()})


def fit(data, settings, progress=None, checkpoints=None, start=None, stop=lambda: False, device=CPU):
    """Train a discrete VAE on the data's training split.

    progress:    called with (epoch, loss, validation) after every epoch, for a progress bar.
    checkpoints: a `Checkpoints`, which saves when it is due, at the end, and when told to stop; those of an older run in its
                 folder go, once this one has saved its first.
    start:       (facts, arrays) of a checkpoint to go on from, bit for bit.
    stop:        asked after every step; where it answers True, the run is saved and `Interrupted` raised.
    device:      where to compute; the parameters of the `Run` are NumPy arrays again.

    History: ``loss`` is the mean training loss *as the estimator sees it* (for relaxed codes not an ELBO), ``kl`` its KL,
    ``beta`` the KL's weight, ``validation`` the discrete negative ELBO on the validation split, all in nats.
    Raises InputError for settings that cannot be used, and where training diverges, naming step, array and last checkpoint.
    """
    training = Training(data, settings, device)
    if start:
        training.restore(*start)
    elif checkpoints:
        checkpoints.begin()
    while not training.finished:
        epoch = training.epoch
        try:
            training.step()
        except InputError as error:
            last = "; the last good checkpoint is ".join(
                ["", *map(str, checkpoints.paths()[:1] if checkpoints else [])]
            )
            raise InputError(f"{error}{last}") from None
        if progress and training.epoch > epoch:
            progress(epoch, training.history["loss"][-1], training.history["validation"][-1])
        stopping, path = stop(), None
        if checkpoints and (stopping or training.finished or checkpoints.due()) and not not_finite(training.params):
            path = checkpoints.save(training.steps, *training.state())
        if stopping and not training.finished:
            words = f"stopped in epoch {training.epoch + 1}, after step {training.steps}"
            raise Interrupted(path, words)
    return Run(settings, device.get(training.params), training.history, training.seconds)


def not_finite(tree):
    """'psi.w0' for the first array in a dict of dicts that holds nan or infinity, or ''."""
    for group, arrays in tree.items():
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                return f"{group}.{name}"
    return ""


def _plain(state):
    """A bit generator's state with its arrays as lists."""
    if isinstance(state, dict):
        return {name: _plain(entry) for name, entry in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state


def _arrays(state):
    """The same back from a file: what SFC64 takes as its state."""
    return state | {"state": {"state": np.array(state["state"]["state"], np.uint64)}}
