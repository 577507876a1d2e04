"""The command `train`: one run in a folder, begun or gone on with, evaluated and drawn."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.cli.opening import open_run
from dvae_np.cli.options import Recorded, add_device, number, path
from dvae_np.cli.parts import fit_with_bar
from dvae_np.cli.run import PICTURES, draw_figures, evaluation_text
from dvae_np.cli.train_options import GROUPS, chosen
from dvae_np.device import device
from dvae_np.estimators import TABLE
from dvae_np.files import read_record, write_record, write_table, written
from dvae_np.folders import alone
from dvae_np.text import shortened
from dvae_np.train import Checkpoints, evaluate_on, usage

WRITTEN = ("run.json", "history.csv", "parameters.npz", "evaluation.json", *PICTURES)


def add_train(verbs):
    """The parser of `train`."""
    command = verbs.add_parser(
        "train",
        help="train one discrete VAE and evaluate it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="""\
Train a VAE with N latents of K categories each, on images x, or on lower halves x given upper halves c:

    loss = E_q[-log p(x|z)] + beta KL(q(z|x) || p(z)),   q(z|x) = softmax of the encoder's logits

The KL is a finite sum. The expectation is a sum over K^N joint states: `exact` takes all of them, each decoded once for
the whole batch; the other estimators draw S samples. After training, the *discrete* negative ELBO and log p(x) are
computed exactly where K^N <= 65,536, whatever the estimator was; beyond, the ELBO and a bound are sampled.

Ctrl-C saves and stops; --resume RUN goes on, bit for bit.""",
        epilog="\n".join(
            [
                "estimators:",
                *(f"  {row.name:28}{row.title}" for row in TABLE.values()),
                "\nExample: python -m dvae_np train --estimator gumbel_softmax --tau 0.5",
            ]
        ),
    )
    command.register("action", None, Recorded)
    command.add_argument("--resume", type=path, metavar="RUN", help="go on with the run in this folder")
    command.add_argument("--out", type=path, help="folder of the run (runs/DATA-ESTIMATOR-N-K-SEED)")
    add_device(command)
    words = "at most so long between checkpoints (%(default)s)"
    command.add_argument("--checkpoint-seconds", type=number("seconds"), default=30.0, metavar="T", help=words)
    for title, add_options in GROUPS.items():
        add_options(command.add_argument_group(title))
    command.set_defaults(run=train, given=())


def train(options):
    """`train`"""
    where = device(options.device)
    if options.resume:
        folder, option = options.resume, "--resume"
        if not Checkpoints(folder).paths():
            raise InputError(f"--resume: {folder}: no checkpoint there")
    else:
        data, settings = chosen(options)
        name = f"{data.name}-{settings.estimator}-N{settings.N}-K{settings.K}-s{settings.seed}"
        folder, option = options.out or Path("runs") / name, "--out"
    checkpoints, start = Checkpoints(folder, options.checkpoint_seconds), None
    with alone(folder, "run", WRITTEN, option) as out:
        if options.resume:
            data, settings, start = resumed(options, checkpoints)
        else:
            expect_no_other_run(checkpoints, data, settings)
        print(data)
        go_on = f"continue with: python -m dvae_np train --resume {out}"
        run = fit_with_bar(settings.estimator, data, settings, checkpoints, start, where, go_on)
        if run is None:
            return 130
        evaluation = evaluate_on(where, run.params, data.test.x, data.test.c, model=settings.model)
        epochs = len(run.history["loss"])
        print(f"{settings.estimator}, N={settings.N}, K={settings.K}, {epochs} epochs in {run.seconds:.1f} s"
              + ("" if run.best_epoch is None else f"; the best by validation, epoch {run.best_epoch}, is kept"))  # fmt: skip
        print(evaluation_text(evaluation, "test", data, settings))
        for warning in shortened(usage(run.params, data.test.x, data.test.c, settings.model).warnings, 8):
            print(f"warning: {warning}")
        write_run(out, data, run, evaluation)
    return 0


def write_run(out, data, run, evaluation):
    """Everything about a finished run into its folder; the record last, as it says that the run is finished."""
    arrays = {f"{group}.{name}": array for group in run.params for name, array in run.params[group].items()}
    with written(out / "parameters.npz") as file:
        np.savez(file, **arrays)
    rows = zip(range(1, len(run.history["loss"]) + 1), *run.history.values(), strict=True)
    write_table(out / "history.csv", ["epoch", *run.history], rows)
    names = draw_figures(out, data, run.settings, run.params, run.history)
    out.remove("evaluation.json")  # of a run that had fewer epochs
    write_record(out / "run.json", {"data": str(data), **run.record(), "test": vars(evaluation)})
    print(f"written to {out}: run.json, history.csv, parameters.npz, checkpoints, {', '.join(names)}")


def resumed(options, checkpoints):
    """The data, settings and (facts, arrays) of the run to go on with; says which checkpoints could not be used."""
    if set(options.given) - {"resume", "epochs", "data_dir", "device", "checkpoint_seconds"} or options.set:
        raise InputError(
            "--resume: the run's own settings are used; only --epochs, --data-dir, --device and --checkpoint-seconds can be "
            "given with it"
        )
    newest, data, settings, facts, arrays = open_run(checkpoints, options.data_dir)
    for broken in checkpoints.paths()[: checkpoints.paths().index(newest)]:
        checkpoints.set_aside(broken)
    if "epochs" in options.given:
        if options.epochs < facts["epoch"]:
            raise InputError(f"--epochs: the run has had {facts['epoch']} epochs already, got {options.epochs}")
        settings = replace(settings, epochs=options.epochs)
    print(f"going on from {newest}: {facts['epoch']} epochs and {facts['batch']} steps done")
    return data, settings, (facts, arrays)


def expect_no_other_run(checkpoints, data, settings):
    """Raise `InputError` rather than overwrite a run that was stopped half-way, or one with other settings or data."""
    folder = checkpoints.folder
    now, unfinished = asdict(settings) | {"data": data.source}, False
    try:
        if checkpoints.paths():
            _, facts, _, _ = checkpoints.newest()
            unfinished = not facts["finished"]
            before = facts["settings"] | {"data": facts["data"]}
        elif record := read_record(folder / "run.json"):
            before = record["settings"] | {"data": data.source if record["data"] == str(data) else record["data"]}
        else:
            return
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"--out: {folder} holds a run that cannot be read, and would be removed; name or "
                         f"empty another folder ({error})") from error  # fmt: skip
    if unfinished:
        raise InputError(
            f"--out: {folder} holds an unfinished run; continue it with --resume {folder}, or name another folder"
        )
    other = [name for name, value in json.loads(json.dumps(now)).items() if value != before.get(name)]
    if other:
        raise InputError(f"--out: {folder} holds a run with other settings ({', '.join(other)}); name another folder")
