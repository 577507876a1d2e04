"""The command line: python -m dvae_np tour | verify | train | compare | estimators | bench."""

import argparse
import sys
from pathlib import Path

from dvae_np import commands
from dvae_np.arrays import InputError
from dvae_np.commands import DEFAULTS
from dvae_np.estimators import TABLE


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message):
        """Print it and exit with status 2."""
        self.exit(2, f"dvae_np: {message} (--help explains)\n")


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

    command = verbs.add_parser(
        "train",
        help="train one discrete VAE and evaluate it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="""\
Train a VAE with N latents of K categories each, on binary images x:

    loss = E_q[-log p(x|z)] + beta KL(q(z|x) || uniform),   q(z|x) = softmax of the encoder's logits

The KL is a finite sum. The expectation is a sum over K^N joint states: `exact` takes all of them, each decoded once for
the whole batch; the other estimators draw S samples. After training, the *discrete* negative ELBO and log p(x) are
computed exactly where K^N <= 65,536, whatever the estimator was.""",
        epilog=estimators_help(),
    )
    command.add_argument(
        "--estimator", choices=TABLE, default="exact", metavar="NAME", help="one of those below (%(default)s)"
    )
    command.add_argument("--data", choices=("digits", "bars", "mnist"), default="digits",
                         help="digits: 8x8, shipped; bars: 5x5, generated; mnist: 28x28 (%(default)s)")  # fmt: skip
    command.add_argument(
        "--data-dir", metavar="DIR", help="folder of the MNIST files (else $DVAE_NP_DATA, else download)"
    )
    command.add_argument("--binarisation", choices=("threshold", "grey"), default="threshold",
                         help="targets: pixels thresholded at 0.5, or grey (%(default)s)")  # fmt: skip
    numbers = {
        "N": (int, "latent variables"),
        "K": (int, "categories of each; K^N joint states"),
        "S": (int, "samples for each example (default: the fewest that the estimator can use)"),
        "beta": (float, "weight of the KL; above 1 codes are used less, below 1 more"),
        "epochs": (int, "passes over the training images"),
        "batch": (int, "images in a mini-batch"),
        "lr": (float, "step size of the optimiser"),
        "seed": (int, "same seed, same numbers"),
    }
    for name, (kind, text) in numbers.items():
        default = None if name == "S" else DEFAULTS[name]
        command.add_argument(f"--{name}", type=kind, default=default, metavar=name.upper(),
                             help=text + f" ({default})" * (default is not None))  # fmt: skip
    command.add_argument("--hidden", type=sizes, default=DEFAULTS["hidden"], metavar="SIZES",
                         help="hidden layers of the encoder as 512,256, or none; the decoder mirrors them (128)")  # fmt: skip
    command.add_argument("--optimiser", choices=("adam", "sgd"), default="adam", help="(%(default)s)")
    command.add_argument("--tau", type=float, help="temperature, for estimators that have one")
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                         help="a hyper-parameter of the estimator, as mean=arithmetic; may be repeated")  # fmt: skip
    command.add_argument("--kl", choices=("analytic", "relaxed", "plug_in"), default="analytic",
                         help="for gumbel_softmax: which of the three KLs (%(default)s)")  # fmt: skip
    command.add_argument(
        "--out", type=Path, help="folder for figures, parameters and numbers (runs/DATA-ESTIMATOR-N-K-SEED)"
    )
    command.set_defaults(run=commands.train)

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

    command = verbs.add_parser("estimators", help="the table of estimators, in Markdown")
    command.set_defaults(run=commands.estimators)

    command = verbs.add_parser(
        "bench",
        help="time exact marginalisation against bare matrix products and against decoding every pair",
        description="Times the value and gradients of exact marginalisation (B=256 examples, 784 pixels), side by side in "
        "one run, with the bare matrix products of the same shapes and with the usual code, which decodes B x K pairs.",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the measurements to FILE as well")
    command.set_defaults(run=commands.bench)
    return top


def estimators_help():
    """The table of estimators as text."""
    lines = [f"  {row.name:24}{row.title}" + "" * bool(row.hyper) for row in TABLE.values()]
    return (
        "estimators:\n" + "\n".join(lines) + "\n\nExample: python -m dvae_np train --estimator gumbel_softmax --tau 0.5"
    )


def sizes(text):
    """'512,256' as (512, 256); 'none' or '' as ()."""
    try:
        return tuple(int(size) for size in text.split(",")) if text not in ("", "none") else ()
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers as 512,256, or none, got {text!r}") from None
