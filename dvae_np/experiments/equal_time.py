"""The practical rule, its second half: models trained for equal time by each estimator, judged by two yardsticks.

Equal time is a number of steps: the seconds that all get, over the milliseconds of a step, which are measured once and kept.
So a run can be repeated to its last digit on a machine that is slower, or busy. Training draws the pixels anew for each batch:
of pixels that are fixed, every model would learn the training images by heart, the quick ones first. The step size is one of
four, chosen by trials with seed 0; where there is a temperature, it is chosen first, of three. What is reported comes from
seeds 1 to 3. Within a run the best parameters are kept, by the validation ELBO, for VIMCO by log p(x) or a bound of 100
samples. The yardsticks are the test ELBO and what is known of log p(x).
"""

import math
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace

import numpy as np

from dvae_np.arrays import count_states
from dvae_np.estimators import TABLE
from dvae_np.experiments.rule import FAMILIES, Size
from dvae_np.train import Settings, evaluate, load
from dvae_np.train.evaluation import MOST_STATES
from dvae_np.train.loop import Training

SECONDS = {"digits": 60, "mnist": 300}
MANY, SEVERAL, SOME, FEW, ONE = (Size("independent", N, K) for N, K in ((20, 10), (4, 8), (3, 8), (2, 8), (1, 4096)))
CHAIN = Size("chain", 8, 4)
SIZES = {  # in the order of their runs: what tells most comes first; "rows" has a latent for each row of pixels
    "digits": (MANY, ONE, Size("rows", 8, 32), SEVERAL, CHAIN, Size("independent", 5, 8), FEW),
    "mnist": (MANY, SEVERAL, CHAIN, ONE, FEW, SOME),
}
CHAINS = ("exact", "reinforce_loo", "vimco", "gumbel_softmax", "straight_through_gumbel", "straight_through")
ESTIMATORS = {
    "independent": ("exact", "reinforce_loo", "local_expectation", "rebar", "vimco", "gumbel_softmax",
                    "straight_through_gumbel", "reinmax"),
    "chain": CHAINS,
    "rows": CHAINS,
}  # fmt: skip
SAMPLES = {"reinforce_loo": 4, "vimco": 4}  # the others the fewest that they take
FIRST, OTHERS = {"lr": 1e-3}, tuple({"lr": lr} for lr in (3e-4, 3e-3, 1e-2))
RATES = (OTHERS[0], FIRST, *OTHERS[1:])
COOLING = tuple(
    {"hyper": {"tau": tau}, "tau_schedule": "geometric", "tau_end": end} for tau, end in ((0.5, 0.1), (1.0, 0.3))
)
SOFT = {"hyper": {"tau": 0.2}}, *COOLING
HARD = tuple({"hyper": {"tau": tau}} for tau in (1.0, 1.5, 0.7))  # the codes are drawn at 1, only the slope is not
TEMPERATURES = {"gumbel_softmax": SOFT, "straight_through_gumbel": SOFT, "reinmax": HARD, "straight_through": HARD}
SEEDS, BOUNDS, MOST_IMAGES = (1, 2, 3), (2500, 5000), 1000
PATIENCE = 0.3  # of all epochs, without a better validation score; a temperature on its way is waited for
FEW_EPOCHS, ROUNDS = 10, 9
TRIAL = {"digits": 1.0, "mnist": 0.2}  # of the steps of a run


def trials_of(name, trials):
    """The settings to choose from: the step sizes; or temperatures first, then the other step sizes at the best of them.

    trials: {number: outcome} of those that are done.
    """
    if name not in TEMPERATURES:
        return RATES
    first = {str(i): FIRST | how for i, how in enumerate(TEMPERATURES[name])}
    if not first.keys() <= trials.keys():
        return tuple(first.values())
    best = TEMPERATURES[name][choice_of({key: trials[key] for key in first})]
    return *first.values(), *(best | other for other in OTHERS)


def cells_of(sizes):
    """{"independent 4x8 reinmax": settings} of every size and estimator; the exact sum where the states can be visited, or
    where dynamic programming does it."""
    cells = {}
    for size in sizes:
        for name in ESTIMATORS[size.family]:
            many = count_states(size.N, size.K)
            if name == "exact" and many > MOST_STATES and size.family != "rows":
                continue
            if name == "local_expectation" and size.N == 1:
                continue  # it is the exact sum
            cells[f"{size.name} {name}"] = Settings(
                name, N=size.N, K=size.K, S=SAMPLES.get(name, TABLE[name].fewest_samples), **FAMILIES[size.family][0]
            )
    return cells


class Timed(Training):
    """A run that is validated after epochs 1, 2, ..., 6, 8, 10, 12, 15, each time a fifth later and at most a fortieth of all
    later: sums over all states would take longer than the steps between two epochs."""

    due = 1  # the epoch of the next validation
    curve = ()  # (epoch, training loss, validation loss)

    def _end_epoch(self, varied):
        ended = self.epoch + 1
        if ended < self.due and ended < self.settings.epochs:
            self.epoch, self.batch, self.order, self.sums = ended, 0, None, [0.0, 0.0]
            return
        super()._end_epoch(varied)
        self.due = ended + max(1, min(ended // 5, self.settings.epochs // 40))
        self.curve += ((ended, *(round(self.history[name][-1], 3) for name in ("loss", "validation"))),)

    def validation_loss(self):
        """The negative ELBO; of an estimator of a bound -log p(x), or a bound of 100 samples on it."""
        if not self.row.owns_kl:
            return super().validation_loss()
        return -bound_of(self.params, self.on_device["validation"]["x"], self.model, 100)


def bound_of(params, x, model, S):
    """log p(x), or the bound of S samples on it, in nats."""
    found = evaluate(params, x, rng=np.random.default_rng(1), S=S, model=model)
    return found.bound if found.log_likelihood is None else found.log_likelihood


def step_milliseconds(data, settings):
    """The time of a training step, over at least 50 ms."""
    training = Training(data, replace(settings, epochs=10**6))
    training.step()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < 0.05:
        if training.batch == training.batches - 1:
            training.batch = 0  # what ends an epoch is not timed
        training.step()
        steps += 1
    return 1e3 * (time.perf_counter() - started) / steps


def study_data(name, data_dir=None):
    """The data set, its training pixels drawn anew for each batch, at most 1,000 images to validate and to test."""
    data = load(name, binarisation="dynamic", data_dir=data_dir)
    few = {part: getattr(data, part) for part in ("validation", "test")}
    few = {part: replace(kept, x=kept.x[:MOST_IMAGES], labels=kept.labels[:MOST_IMAGES]) for part, kept in few.items()}
    return replace(data, **few)


def trained(name, data_dir, settings, steps):
    """A finished training of so many steps; its `best` has the parameters.

    Ten epochs and more are whole ones, which meets the steps to a twentieth. Fewer are cut to measure: each takes as many
    images as it has steps for, drawn anew.
    """
    data = study_data(name, data_dir)
    whole = steps / math.ceil(len(data.train.x) / settings.batch)
    epochs = round(whole) if whole >= FEW_EPOCHS else math.ceil(whole)
    patience = epochs if settings.tau_schedule != "constant" else math.ceil(PATIENCE * epochs)
    training = Timed(data, replace(settings, epochs=epochs, patience=patience))
    if whole < FEW_EPOCHS:
        training.batches = round(steps / epochs)
    while not training.finished:
        training.step()
    return training


def run_of(name, data_dir, settings, steps):
    """One run of so many steps: its choice's score on the validation split, and the test numbers, in nats."""
    training = trained(name, data_dir, settings, steps)
    params, model, data = training.best["params"], training.model, training.data
    found = evaluate(params, data.test.x, rng=np.random.default_rng(2), S=BOUNDS[-1], model=model)
    sampled = found.log_likelihood is None
    bounds = {str(S): bound_of(params, data.test.x, model, S) for S in BOUNDS} if sampled else None
    return {"validation": training.best["validation"], "epochs": training.epoch, "best_epoch": training.best["epoch"],
            "seed": settings.seed, "negative_elbo": found.negative_elbo, "kl": found.kl,
            "log_likelihood": found.log_likelihood, "bounds": bounds, "train_seconds": training.seconds,
            "curve": training.curve if settings.seed == SEEDS[0] else None}  # fmt: skip


def equal_time(
    name, data_dir=None, known=None, save=lambda record: None, jobs=1, progress=lambda words: None, cells=None
):
    """Carry out all that the record lacks, `jobs` processes at a time, and save after each run; returns the record."""
    record = known or {"command": command_of(name), "data": name, "seconds": SECONDS[name], "cells": {}}
    cells = cells_of(SIZES[name]) if cells is None else cells
    data = study_data(name, data_dir)
    taken = {cell: [] for cell in cells if cell not in record["cells"]}
    for cell in list(taken) * ROUNDS:  # in turn: a busy moment meets them all
        taken[cell].append(step_milliseconds(data, cells[cell]))
    for cell, times in taken.items():
        milliseconds = float(np.median(times))
        steps = round(1e3 * record["seconds"] / milliseconds)
        record["cells"][cell] = {"milliseconds": milliseconds, "steps": steps, "trials": {}, "runs": {}}
        save(record)
    with ProcessPoolExecutor(jobs) as pool:
        running = {}
        while True:
            waiting = [task for task in tasks_of(record, cells) if task not in running.values()]
            for task in waiting[: jobs - len(running)]:
                cell, kind, key, settings = task_settings(task, record, cells)
                steps = round(record["cells"][cell]["steps"] * (TRIAL[name] if kind == "trials" else 1.0))
                running[pool.submit(run_of, name, data_dir, settings, steps)] = task
            if not running:
                return record
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                cell, kind, key = running.pop(done)
                chosen = {} if kind == "trials" else {"trial": choice_of(record["cells"][cell]["trials"])}
                record["cells"][cell][kind][key] = outcome(done) | chosen
                save(record)
                progress(f"{cell}: {kind} {key}")


def outcome(done):
    """What a run gave; one whose numbers are no longer finite is the worst of all."""
    try:
        return done.result()
    except ValueError as error:  # InputError, of a step size that is too large
        return {"validation": None, "error": str(error).split(";")[0]}


def tasks_of(record, cells):
    """What is left to do, in order: (cell, "trials" or "runs", its key)."""
    found = []
    for cell, settings in cells.items():
        known = record["cells"][cell]
        numbers = map(str, range(len(trials_of(settings.estimator, known["trials"]))))
        trials = [(cell, "trials", number) for number in numbers if number not in known["trials"]]
        chosen = None if trials else choice_of(known["trials"])
        runs = [
            (cell, "runs", str(seed)) for seed in SEEDS if known["runs"].get(str(seed), {}).get("trial") != chosen
        ]  # trials that are added later may choose anew
        found += trials or runs
    return found


def task_settings(task, record, cells):
    """(cell, kind, key, the settings of that run)."""
    cell, kind, key = task
    settings, trials = cells[cell], record["cells"][cell]["trials"]
    seed, chosen = (0, int(key)) if kind == "trials" else (int(key), choice_of(trials))
    return cell, kind, key, replace(settings, seed=seed, **trials_of(settings.estimator, trials)[chosen])


def choice_of(trials):
    """The number of the trial with the best validation score."""
    scores = {key: trial["validation"] for key, trial in trials.items()}
    return int(min(scores, key=lambda key: math.inf if scores[key] is None else scores[key]))


def runs_left(record, cells):
    """How many trials and runs of the study are still to do."""
    done = sum(len(known["trials"]) + len(known["runs"]) for known in record["cells"].values())
    return runs_of(cells) - done


def runs_of(cells):
    """How many trials and runs they take in all."""
    first = sum(len(TEMPERATURES.get(settings.estimator, (FIRST,))) for settings in cells.values())
    return first + len(cells) * (len(OTHERS) + len(SEEDS))


def command_of(name):
    """That makes the record."""
    return f"python -m dvae_np compare --train {name}"
