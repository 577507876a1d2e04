"""Commands whose runs fill a table: a published one, or estimators x seeds x sizes. Stopped, they go on where they were."""

import os
import shlex

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.cli.options import Parser, add_data_dir, add_device, add_out, add_seed, as_option, seed, size, whole
from dvae_np.cli.parts import Interruption, fit_with_bar
from dvae_np.cli.run import evaluation_text
from dvae_np.cli.train_options import chosen, settings_of_options
from dvae_np.cli.training import add_train
from dvae_np.device import device
from dvae_np.estimators import TABLE
from dvae_np.experiments import reproduce as published
from dvae_np.files import write_record, write_table
from dvae_np.folders import Output, alone
from dvae_np.train import Checkpoints, Training, evaluate_on
from dvae_np.train.data import NAMES
from dvae_np.train.resuming import expect
from dvae_np.train.settings import FIRST_IMAGES


def add_reproduce(verbs):
    """The parser of `reproduce`."""
    command = verbs.add_parser(
        "reproduce",
        help="a published table: the MNIST VAE of the ReinMax paper, one run of it (resumable)",
        description="Trains one VAE in the set-up of the ReinMax paper (Liu et al. 2023): grey MNIST, 160 epochs. "
        "Records the training loss of every epoch, the test ELBO and the seconds. Started again, it goes on from its last "
        "checkpoint. 20 to 45 minutes for a run on one core; many hours for `exact`.",
    )
    add = command.add_argument
    add("table", choices=("reinmax",), help="which table")
    add("--size", choices=published.SIZES, default="8x4", help="categories x latents (%(default)s)")
    words = ", ".join(published.ESTIMATORS) + " (%(default)s)"
    add("--estimator", choices=published.ESTIMATORS, default="reinmax", metavar="NAME", help=words)
    add_seed(command, "(%(default)s)")
    add("--epochs", type=whole(), default=published.EPOCHS, help="(%(default)s)")
    words = "what the fresh decoder draws; mean, the mean training image, is not the paper's (%(default)s)"
    add("--first-image", choices=FIRST_IMAGES, default="random", help=words)
    add_device(command)
    add_data_dir(command)
    add_out(command, "runs/reproduce", "folder for records and checkpoints")
    command.set_defaults(run=reproduce)


def reproduce(options):
    """`reproduce`"""
    where = device(options.device)
    settings = published.settings_of(options.size, options.estimator, options.seed, options.epochs, options.first_image)
    name = f"reinmax-{options.size}-{options.estimator}-s{options.seed}"
    command = f"python -m dvae_np reproduce reinmax --size {options.size} --estimator {options.estimator} --seed {options.seed}"
    if options.epochs != published.EPOCHS:
        name, command = f"{name}-e{options.epochs}", f"{command} --epochs {options.epochs}"
    if options.first_image != "random":
        name, command = f"{name}-{options.first_image}", f"{command} --first-image {options.first_image}"
    out = Output(options.out, "reproduce", [f"{name}.json"])
    out.expect_same(f"{name}.json", command)
    with alone(options.out / name, "reproduce", []):
        data, checkpoints, start = published.grey_mnist(options.data_dir), Checkpoints(options.out / name, 60.0), None
        if checkpoints.paths():
            path, *start, complaints = checkpoints.newest()
            expect(Training(data, settings), *start)
            print("\n".join([*complaints, f"going on from {path}: {start[0]['epoch']} epochs done"]))
        words, go_on = f"{options.size} {options.estimator}", "the same command goes on from there"
        run = fit_with_bar(words, data, settings, checkpoints, start, where, go_on)
        if run is None:
            return 130
        test = evaluate_on(
            where, run.params, data.test.x, None, np.random.default_rng(options.seed), model=settings.model
        )
        record = {
            "command": command,
            "data": str(data),
            **run.record(),
            "training_loss": run.history["loss"][-1],
            "test": vars(test),
        }
        write_record(out / f"{name}.json", record)
    print(f"{name}, {settings.epochs} epochs in {run.seconds:.0f} s")
    codes = "all codes" if settings.estimator == "exact" else "sampled codes"
    print(f"training loss of the last epoch {record['training_loss']:9.3f} nats   ({codes}; {data.binarisation})")
    print(evaluation_text(test, "test", data, settings))
    print(f"written to {options.out / name}.json")
    return 0


def add_sweep(verbs):
    """The parser of `sweep`."""
    command = verbs.add_parser(
        "sweep",
        help="train over estimators x seeds x sizes, several runs at a time (resumable)",
        description="Trains every combination of estimator, seed and size, each in a process of its own with one thread, and "
        "prints a table over the seeds. Stopped by Ctrl-C and given again, it goes on; finished runs stay as they are. Options "
        "of `train` for all runs come last, after --. With --print the commands of the runs go to other machines, as by "
        "`... --print | parallel -j 8`; given again without it, the sweep collects what they finished, and does what is left.",
        epilog="Example: python -m dvae_np sweep --estimators exact reinforce_loo --seeds 0 1 2 --sizes 8x2 4x3 -- --epochs 10",
    )
    add = command.add_argument
    add("--estimators", nargs="+", required=True, metavar="NAME", help="rows of the table of estimators")
    add("--seeds", nargs="+", type=seed, default=[0, 1, 2], metavar="SEED", help="(0 1 2)")
    add("--sizes", nargs="+", type=size, default=[(10, 1)], metavar="KxN", help="categories x latents (10x1)")
    add("--S", type=whole(), default=1, help="samples, where an estimator draws any (%(default)s)")
    add("--jobs", type=whole(), default=os.cpu_count(), help="runs at a time (%(default)s: the cores)")
    add_out(command, "runs/sweep", "folder of the runs")
    words = "print a command for each run that is not finished, one a line, for other machines with the same folder"
    add("--print", action="store_true", help=words)
    add("train", nargs="*", metavar="OPTION", help="options of `train`, after --")
    command.set_defaults(run=sweep)


def sweep(options):
    """`sweep`"""
    from tqdm import tqdm

    from dvae_np import figures
    from dvae_np.experiments import sweep

    unknown = [name for name in options.estimators if name not in TABLE]
    if unknown:
        raise InputError(f"--estimators: expected names among {', '.join(TABLE)}, got {unknown[0]!r}")
    curves = {(K, N): f"curves-{K}x{N}.png" for K, N in options.sizes}
    with alone(options.out, "sweep", ["options.json", "sweep.csv", *curves.values()]) as out:
        runs = sweep.plan(options.out, options.estimators, options.seeds, options.sizes, options.S, options.train)
        train = Parser(prog="python -m dvae_np")
        add_train(train.add_subparsers())
        for run in runs:
            asked = train.parse_args(run.command)  # what `train` would refuse is refused before any run
            try:
                (settings_of_options if asked.data in NAMES else chosen)(asked)
            except InputError as error:
                raise as_option(error, asked) from None
            Output(run.folder, "run", ["log.txt"])
        write_record(out / "options.json", {"options": options.train, "S": options.S})
        if options.print:
            for run in runs:
                if run.record is None:
                    print(shlex.join(["python", "-m", "dvae_np", *sweep.words_of(run)]))
            return 0
        finished = sum(run.record is not None for run in runs)
        print(f"{len(runs)} runs, {finished} of them finished; {options.jobs} at a time", flush=True)
        with (
            tqdm(total=len(runs), initial=finished, unit="run", disable=None, leave=False) as bar,
            Interruption() as asked,
        ):

            def progress(words):
                bar.set_postfix_str(words, refresh=False)
                bar.update()

            failed = sweep.carry_out(runs, options.jobs, progress, asked)
        if failed is None:
            print("stopped; all runs are saved, and the same command goes on with them")
            return 130
        write_table(out / "sweep.csv", *sweep.lines_of(runs))
        drawn = [figures.save(out / curves[size], (7, 4.2), figures.training_curves, found).name
                 for size, found in sweep.histories(runs).items()]  # fmt: skip
    print(sweep.sweep_table(runs))
    print(f"written to {options.out}: {', '.join(['sweep.csv', *drawn])}, and a folder for each run")
    for run, words in failed.items():
        print(f"failed: {run.folder.name}: {words}")
    return 2 if failed else 0
