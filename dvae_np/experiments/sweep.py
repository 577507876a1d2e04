"""A sweep: estimators x seeds x sizes, each run a process of its own, which `train` starts or goes on with.

The runs' folders are the memory of the sweep: one with a ``run.json`` is finished, one with a checkpoint goes on from it. So
the same command, given again, does what is left.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE
from dvae_np.files import read_record
from dvae_np.folders import Output
from dvae_np.text import columns
from dvae_np.train import Checkpoints

TEST = ("negative_elbo", "reconstruction", "kl", "log_likelihood", "bound")  # of a run, in the table
NAMED = ("--estimator", "--seed", "--N", "--K", "--S", "--out", "--resume")  # options that the sweep itself gives


@dataclass(frozen=True)
class Planned:
    """One run of the sweep."""

    folder: Path
    K: int
    N: int
    estimator: str
    seed: int
    command: tuple

    @property
    def record(self):
        """The finished run's record, or None."""
        try:
            record = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            mine = {"K": self.K, "N": self.N, "estimator": self.estimator, "seed": self.seed}
            fits = {name: record["settings"][name] for name in mine} == mine and {*TEST} <= set(record["test"])
            return record if fits and record["seconds"] >= 0 else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None


def plan(out, estimators, seeds, sizes, S, options):
    """All runs, estimators nearest together, so that a sweep cut short has all of them for its first seeds and sizes.

    sizes: (K, N) pairs. S: samples, for estimators that draw any; the nearest number that the estimator takes.
    options: of `train`, for all runs. Raises InputError where they name what the sweep itself gives, and where `out` holds a
    sweep with others.
    """
    for option in options:
        if option.split("=")[0] in NAMED:
            raise InputError(
                f"{option}: given by the sweep; use --estimators, --seeds, --sizes and --S before the options of train"
            )
    before = read_record(out / "options.json")
    if before not in (None, {"options": list(options), "S": S}):
        raise InputError(f"--out: {out} holds a sweep with other options, {json.dumps(before)}; name another folder")
    runs = []
    for K, N in dict.fromkeys(sizes):
        for seed in dict.fromkeys(seeds):
            for name in dict.fromkeys(estimators):
                row, folder = TABLE[name], out / f"{K}x{N}-{name}-s{seed}"
                samples = int(min(max(S, row.fewest_samples), row.most_samples)) if row.noise else 1
                command = ("train", "--estimator", name, "--seed", seed, "--N", N, "--K", K, "--S", samples, *options)
                runs.append(Planned(folder, K, N, name, seed, tuple(map(str, command))))
    return runs


def carry_out(runs, jobs, progress, stop=lambda: False):
    """Carry out the runs that are not finished, `jobs` at a time, one thread each; returns {run: what went wrong}.

    progress: called with the words of each run that ends. stop: asked all the time; where it answers True, all processes are
    told to save and stop, and None is returned.
    """
    waiting, running, failed = [run for run in runs if run.record is None], {}, {}
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        while waiting or running:
            if stop():
                return None
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                running[run] = start(run, environment)
            for run in [run for run, process in running.items() if process.poll() is not None]:
                if running.pop(run).returncode or run.record is None:
                    failed[run] = last_line(run.folder / "log.txt")
                progress(f"{run.folder.name}" + " failed" * (run in failed))
            time.sleep(0.05)
    finally:
        for process in running.values():
            process.send_signal(signal.SIGINT)
        for process in running.values():
            process.wait()
    return failed


def words_of(run):
    """The words after `python -m dvae_np` that begin a run, or go on with it."""
    if not Checkpoints(run.folder).paths():
        return (*run.command, "--out", str(run.folder))
    # where the data lie and where to compute are not among the settings that a checkpoint holds
    elsewhere = _given(run.command, ("--data-dir", "--device", "--checkpoint-seconds"))
    return ("train", "--resume", str(run.folder), *elsewhere)


def start(run, environment):
    """The process of a run, begun or gone on with; what it prints goes to ``log.txt`` in its folder."""
    command = words_of(run)
    with open(Output(run.folder, "run", []) / "log.txt", "a") as log:
        # a session of its own: Ctrl-C reaches the sweep alone, which passes it on once
        return subprocess.Popen([sys.executable, "-m", "dvae_np", *command], stdout=log, stderr=log, env=environment,
                                start_new_session=True)  # fmt: skip


def _given(command, names):
    """Those words of a command that give these options, as "--name value" or "--name=value"."""
    return tuple(
        word
        for word, before in zip(command, ("", *command), strict=False)
        if word.split("=")[0] in names or before in names
    )


def last_line(path):
    """The last line of a log that says something."""
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"


def sweep_table(runs):
    """The finished runs by size and estimator: medians over seeds, and the range of the negative ELBO, in nats."""
    rows = [("K x N", "estimator", "seeds", "test negative ELBO", "from", "to", "test log p(x)", "seconds")]
    groups = {}
    for run in runs:
        if run.record:
            groups.setdefault((f"{run.K}x{run.N}", run.estimator), []).append(run.record)
    for (size, name), records in groups.items():
        elbos = [record["test"]["negative_elbo"] for record in records]
        exact = [record["test"]["log_likelihood"] for record in records]
        evidence = "sampled" if None in exact else f"{np.median(exact):.3f}"
        seconds = np.median([record["seconds"] for record in records])
        rows.append((size, name, str(len(records)), *(f"{value:.3f}" for value in (np.median(elbos), min(elbos), max(elbos))),
                     evidence, f"{seconds:.1f}"))  # fmt: skip
    return columns(rows)


def histories(runs):
    """{(K, N): {estimator: the histories of its finished runs}}, for curves."""
    found = {}
    for run in runs:
        if record := run.record:
            found.setdefault((run.K, run.N), {}).setdefault(run.estimator, []).append(record["history"])
    return found


def lines_of(runs):
    """The heading of a table, and one line for each finished run."""
    heading = ["K", "N", "estimator", "seed", *TEST, "seconds"]
    lines = []
    for run in runs:
        if record := run.record:
            numbers = [record["test"][name] for name in TEST]
            lines.append([run.K, run.N, run.estimator, run.seed, *numbers, record["seconds"]])
    return heading, lines
