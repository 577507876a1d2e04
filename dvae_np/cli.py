"""The command line: python -m dvae_np tour | verify | train | evaluate | show | sample | compare | ..."""

import argparse
import os
import sys
from pathlib import Path

from dvae_np import commands, runs
from dvae_np.arrays import InputError
from dvae_np.bench.report import SECTIONS
from dvae_np.device import DEVICES
from dvae_np.estimators import TABLE
from dvae_np.experiments.reproduce import ESTIMATORS, SIZES
from dvae_np.networks import INTERFACES, PRIORS
from dvae_np.runs import DEFAULTS
from dvae_np.train.data import BINARISATIONS, TASKS
from dvae_np.train.settings import LIKELIHOODS, OPTIMISERS, SCHEDULES


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message):
        """Print it and exit with status 2."""
        self.exit(2, f"dvae_np: {message} (--help explains)\n")


class Recorded(argparse.Action):
    """Store an option's value, and remember in ``given`` that it was on the command line, whatever its value."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        namespace.given = (*getattr(namespace, "given", ()), self.dest)


def main(arguments=None):
    """Run one command; the exit status is 0, 1 where a check failed, or 2 for what cannot be used."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as error:
        print(f"dvae_np: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"dvae_np: S, K, N, batch or hidden: not enough memory: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"dvae_np: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dvae_np: stopped", file=sys.stderr)
        return 130


def parser():
    """The parser of the whole command line."""
    top = Parser(
        prog="python -m dvae_np",
        description="Discrete latent VAEs in NumPy, every gradient written by hand and proved.",
        epilog="Begin with `tour`. All losses are in nats; smaller is better.",
    )
    verbs = top.add_subparsers(required=True, metavar="COMMAND")

    command = verbs.add_parser(
        "tour",
        help="verify everything, then train on the embedded digits by four estimators (about a minute, offline)",
        description="Verifies every gradient pair and every estimator and prints the table; trains the VAE on 8x8 digits by "
        "exact marginalisation and by three estimators, with three seeds each; prints the exact test negative ELBO, the "
        "exact log-likelihood and the seconds; writes its figures. Needs no network.",
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs/tour"), help="folder for figures and numbers (%(default)s)"
    )
    command.set_defaults(run=commands.tour)

    command = verbs.add_parser(
        "verify",
        help="the whole verification as a table; exit status 1 if anything fails",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="""\
Without arguments, the whole of this package. With FILE.py:FUNCTION, an estimator of yours: a function

    my_estimator(logits, f, z)      z: codes drawn from q, (S, B, N); or u, v, e, distinct, coupled: other noise

that returns the gradient in the logits (B, N, K). With --samples and --exact, gradients that any program wrote.

"""
        "Levels: 0 contract (shapes, dtype, purity), 1 numeric derivatives, 2 enumeration, 3 quadrature, "
        "4 identities, 5 statistics with stated false-alarm rate and detectable bias.",
    )
    command.add_argument("estimator", nargs="?", metavar="FILE.py:FUNCTION", help="judge this estimator")
    command.add_argument("--samples", type=Path, metavar="FILE.npy", help="gradient samples (R, ...) to judge")
    command.add_argument("--exact", type=Path, metavar="FILE.npy", help="the exact gradient (...) beside them")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE as well")
    command.set_defaults(run=commands.verify)

    add_train(verbs)
    for verb, run, text in (
        (
            "evaluate",
            runs.evaluate_run,
            "the discrete ELBO, log p(x) or a bound on it, and the use of the codes, of a run",
        ),
        ("show", runs.show, "draw every figure of a run again: curves, codes, reconstructions, each latent's effect"),
        ("sample", runs.sample, "draw codes from the prior, and images from them, by a run's model"),
    ):
        command = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        command.add_argument("run_folder", type=Path, metavar="RUN", help="the folder that `train` wrote")
        command.add_argument("--data-dir", metavar="DIR", help="folder of the MNIST files, as for `train`")
        if verb == "evaluate":
            add_device(command)
            command.add_argument(
                "--split", choices=("test", "validation", "train"), default="test", help="(%(default)s)"
            )
            command.add_argument(
                "--S", type=int, default=100, help="samples, where K^N > 65,536; up to 5,000 (%(default)s)"
            )
            command.add_argument("--sample", action="store_true", help="sample, even where all states could be visited")
            command.add_argument("--examples", type=int, default=10**9, help="only the first so many images")
        if verb == "sample":
            command.add_argument("--count", type=int, default=64, help="how many (%(default)s)")
        if verb != "show":
            command.add_argument("--seed", type=natural, default=0, help="same seed, same numbers (%(default)s)")
        command.set_defaults(run=run)

    command = verbs.add_parser(
        "compare",
        help="bias, variance, evaluations and seconds of every estimator on a trained VAE",
        description="Measures every estimator on the gradients of a VAE trained on the digits, small enough to know the exact "
        "gradient: exactly where that can be enumerated, else with 95-percent intervals, at equal numbers of evaluations "
        "of f. With --rule: what a gradient of a given error costs as the number of joint states grows, and where the exact "
        "one stops paying.",
    )
    command.add_argument(
        "--problem", choices=("vae", "toy"), default="vae", help="a trained VAE, or a cubic toy (%(default)s)"
    )
    command.add_argument(
        "--evaluations", type=int, default=12, metavar="E", help="of f, for each example (%(default)s)"
    )
    command.add_argument("--N", type=int, default=2, metavar="N", help="latents of the VAE (%(default)s)")
    command.add_argument("--K", type=int, default=5, metavar="K", help="categories of each (%(default)s)")
    command.add_argument(
        "--rule", action="store_true", help="the practical rule, over models of up to 32,768 joint states"
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs/compare"), help="folder for figures and numbers (%(default)s)"
    )
    command.set_defaults(run=commands.compare)

    command = verbs.add_parser(
        "complete",
        help="complete the lower half of a digit from the upper half, by p(z|c), by p(z), and without a latent",
        description="Trains three models of p(lower half | upper half), with three seeds each: without a latent, with a prior "
        "that does not see the upper half, and with one that does. Prints the exact test log-likelihoods and draws several "
        "completions of the same upper halves. On digits a minute and a half; on mnist some eight minutes.",
    )
    command.add_argument("--data", choices=("digits", "mnist"), default="digits", help="(%(default)s)")
    command.add_argument("--data-dir", metavar="DIR", help="folder of the MNIST files, as for `train`")
    command.add_argument(
        "--out", type=Path, default=Path("runs/completion"), help="folder for figures and numbers (%(default)s)"
    )
    command.add_argument("--hidden", type=sizes, metavar="SIZES", help="hidden layers, as 256 (digits 64, mnist 32)")
    command.set_defaults(run=commands.complete)

    command = verbs.add_parser(
        "figures",
        help="draw every figure of the README and the lessons again, from the numbers kept beside them",
        description="Draws all figures: those of measured numbers from the records that the other commands wrote, those of the "
        "lessons by computing what they show. Deterministic; half a minute.",
    )
    command.add_argument("--out", type=Path, default=Path("figures"), help="folder for the figures (%(default)s)")
    command.add_argument(
        "--records", type=Path, default=Path("figures/data"), help="folder of the numbers (%(default)s)"
    )
    command.set_defaults(run=commands.figures)

    command = verbs.add_parser(
        "reproduce",
        help="a published table: the MNIST VAE of the ReinMax paper, one run of it (resumable)",
        description="Trains one VAE in the set-up of the ReinMax paper (Liu et al. 2023): grey MNIST, 160 epochs. "
        "Records the training loss of every epoch, the test ELBO and the seconds. Started again, it goes on from its last "
        "checkpoint. Half an hour to two hours for a run on one core.",
    )
    command.add_argument("table", choices=("reinmax",), help="which table")
    command.add_argument("--size", choices=SIZES, default="8x4", help="categories x latents (%(default)s)")
    command.add_argument("--estimator", choices=ESTIMATORS, default="reinmax", metavar="NAME",
                         help=", ".join(ESTIMATORS) + " (%(default)s)")  # fmt: skip
    command.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    command.add_argument("--epochs", type=int, default=160, help="(%(default)s)")
    add_device(command)
    command.add_argument("--data-dir", metavar="DIR", help="folder of the MNIST files, as for `train`")
    command.add_argument(
        "--out", type=Path, default=Path("runs/reproduce"), help="folder for records and checkpoints (%(default)s)"
    )
    command.set_defaults(run=runs.reproduce)

    command = verbs.add_parser(
        "sweep",
        help="train over estimators x seeds x sizes, several runs at a time (resumable)",
        description="Trains every combination of estimator, seed and size, each in a process of its own with one thread, and "
        "prints a table over the seeds. Stopped by Ctrl-C and given again, it goes on; finished runs stay as they are. Options "
        "of `train` for all runs come last, after --.",
        epilog="Example: python -m dvae_np sweep --estimators exact reinforce_loo --seeds 0 1 2 --sizes 8x2 4x3 -- --epochs 10",
    )
    command.add_argument(
        "--estimators", nargs="+", required=True, metavar="NAME", help="rows of the table of estimators"
    )
    command.add_argument("--seeds", nargs="+", type=natural, default=[0, 1, 2], metavar="SEED", help="(0 1 2)")
    command.add_argument(
        "--sizes", nargs="+", type=size, default=[(10, 1)], metavar="KxN", help="categories x latents (10x1)"
    )
    command.add_argument("--S", type=int, default=1, help="samples, where an estimator draws any (%(default)s)")
    command.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time (%(default)s: the cores)")
    command.add_argument("--out", type=Path, default=Path("runs/sweep"), help="folder of the runs (%(default)s)")
    command.add_argument("train", nargs="*", metavar="OPTION", help="options of `train`, after --")
    command.set_defaults(run=commands.sweep)

    command = verbs.add_parser("estimators", help="the table of estimators, in Markdown")
    command.set_defaults(run=commands.estimators)

    command = verbs.add_parser(
        "bench",
        help="time the package beside bare matrix products, PyTorch, JAX and Pyro",
        description="Times training steps, exact marginalisation, replicates, gradient checks and starting up, side by side "
        "with the bare matrix products of the same shapes and with PyTorch, JAX and Pyro where they are installed. Every "
        "contestant has a process of its own; they take turns and must agree on the numbers. Shows how cost and memory grow. "
        "Some eight minutes with all frameworks, without them three.",
    )
    command.add_argument("--section", action="append", choices=SECTIONS, metavar="NAME",
                         help=", ".join(SECTIONS) + " (all); may be repeated: those of an earlier run stay")  # fmt: skip
    command.add_argument("--runs", type=int, default=9, metavar="R", help="rounds of turns (%(default)s)")
    command.add_argument(
        "--out", type=Path, default=Path("runs/bench"), help="folder for the figure and numbers (%(default)s)"
    )
    command.set_defaults(run=commands.bench)
    return top


def add_train(verbs):
    """The parser of `train`: an option for each of the settings."""
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
        epilog=estimators_help(),
    )
    command.register("action", None, Recorded)
    command.set_defaults(run=runs.train, given=())
    command.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    command.add_argument("--out", type=Path, help="folder of the run (runs/DATA-ESTIMATOR-N-K-SEED)")
    add_device(command)
    command.add_argument("--checkpoint-seconds", type=float, default=30.0, metavar="T",
                         help="at most so long between checkpoints (%(default)s)")  # fmt: skip

    group = command.add_argument_group("data")
    group.add_argument("--data", choices=("digits", "bars", "mnist"), default="digits",
                       help="digits: 8x8, shipped; bars: 5x5, generated; mnist: 28x28 (%(default)s)")  # fmt: skip
    group.add_argument(
        "--data-dir", metavar="DIR", help="folder of the MNIST files (else $DVAE_NP_DATA, else download)"
    )
    group.add_argument("--task", choices=TASKS, default="images",
                       help="whole images, or completion: the lower half given the upper (%(default)s)")  # fmt: skip
    group.add_argument("--binarisation", choices=BINARISATIONS, metavar="NAME", help="; ".join(
        f"{name}: {words.format(levels='a few')}" for name, words in BINARISATIONS.items()) + " (threshold)")  # fmt: skip
    group.add_argument("--levels", type=int, default=8, help="grey levels, for --binarisation levels (%(default)s)")

    group = command.add_argument_group("model")
    numbers = {
        "N": (int, "latent variables"),
        "K": (int, "categories of each; K^N joint states"),
    }
    add_numbers(group, numbers)
    group.add_argument("--hidden", type=sizes, default=DEFAULTS["hidden"], metavar="SIZES",
                       help="hidden layers of the encoder as 512,256, or none; the decoder mirrors them (128)")  # fmt: skip
    choices = {
        "prior": (PRIORS, "p(z): uniform; fixed, by --prior-probabilities; learned; or p(z|c), conditional"),
        "interface": (INTERFACES, "how z enters the decoder: rows added up, rows side by side, or scale and shift"),
        "likelihood": (LIKELIHOODS, "p(x|z) of a pixel: categorical is for --binarisation levels"),
    }
    for name, (known, text) in choices.items():
        group.add_argument(f"--{name}", choices=known, default=known[0], help=text + " (%(default)s)")
    add_numbers(
        group, {"embedding-scale": (float, "of the embedding's first rows; (3 K)^-0.5 starts as a linear layer would")}
    )
    add_numbers(
        group, {"prior-rate": (float, "the prior's step size, as a multiple of --lr; below 1 it follows q slowly")}
    )
    group.add_argument("--prior-probabilities", type=probabilities, default=(), metavar="P,P,...",
                       help="K numbers, each latent's fixed prior up to a factor")  # fmt: skip
    group.add_argument("--scale", type=float, help="the Gaussian's sigma (default: learned)")

    group = command.add_argument_group("objective and its gradient")
    group.add_argument(
        "--estimator", choices=TABLE, default="exact", metavar="NAME", help="one of those below (%(default)s)"
    )
    group.add_argument("--tau", type=float, help="temperature, for estimators that have one")
    group.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                       help="a hyper-parameter of the estimator, as mean=arithmetic; may be repeated")  # fmt: skip
    group.add_argument("--kl", choices=("analytic", "relaxed", "plug_in"), default="analytic",
                       help="for gumbel_softmax: which of the three KLs (%(default)s)")  # fmt: skip
    numbers = {
        "S": (int, "samples for each example (default: the fewest that the estimator can use)"),
        "beta": (float, "weight of the KL; above 1 codes are used less, below 1 more"),
        "schedule-epochs": (int, "length of the warm-up, or of a cycle"),
        "free-bits": (float, "nats of KL that each latent has for nothing"),
    }
    add_numbers(group, numbers)
    group.add_argument("--schedule", choices=SCHEDULES, default="constant", help="of beta (%(default)s)")

    group = command.add_argument_group("training")
    numbers = {
        "epochs": (int, "passes over the training images"),
        "batch": (int, "images in a mini-batch"),
        "lr": (float, "step size of the optimiser"),
        "seed": (int, "same seed, same numbers"),
    }
    add_numbers(group, numbers)
    group.add_argument("--optimiser", choices=OPTIMISERS, default="adam", help="(%(default)s)")


def add_device(command):
    """The option --device."""
    command.add_argument(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="where to compute; gpu needs CuPy and an NVIDIA GPU (%(default)s)",
    )


def add_numbers(group, numbers):
    """An option for each number, with the default that the settings have."""
    for name, (kind, text) in numbers.items():
        default = None if name == "S" else DEFAULTS[name.replace("-", "_")]
        group.add_argument(f"--{name}", type=kind, default=default, metavar=name.upper().split("-")[-1],
                           help=text + f" ({default})" * (default is not None))  # fmt: skip


def estimators_help():
    """The table of estimators as text."""
    lines = [f"  {row.name:28}{row.title}" + "" * bool(row.hyper) for row in TABLE.values()]
    return (
        "estimators:\n" + "\n".join(lines) + "\n\nExample: python -m dvae_np train --estimator gumbel_softmax --tau 0.5"
    )


def sizes(text):
    """'512,256' as (512, 256); 'none' or '' as ()."""
    try:
        return tuple(int(size) for size in text.split(",")) if text not in ("", "none") else ()
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers as 512,256, or none, got {text!r}") from None


def size(text):
    """'8x4' as (8, 4): categories, latents."""
    try:
        K, N = map(int, text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected categories x latents as 8x4, got {text!r}") from None
    return K, N


def natural(text):
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def probabilities(text):
    """'3,1,1' as (0.6, 0.2, 0.2)."""
    try:
        shares = tuple(float(share) for share in text.split(","))
        return tuple(share / sum(shares) for share in shares)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"expected numbers as 3,1,1, got {text!r}") from None
