"""The command line: python -m dvae_np tour | verify | train | evaluate | show | sample | compare | ...

In the files of this folder each command's options stand above what it does; heavy imports stand in the command that needs them.
"""

import argparse
import sys

from dvae_np.arrays import InputError
from dvae_np.cli import experiments, package, run, tables, train

COMMANDS = (
    *(package.add_tour, package.add_verify),
    *(train.add_train, run.add_evaluate, run.add_show, run.add_sample),
    *(experiments.add_compare, experiments.add_complete, experiments.add_collapse, package.add_figures),
    *(tables.add_reproduce, tables.add_sweep),
    *(package.add_estimators, experiments.add_bench),
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and whose options have one name."""

    def __init__(self, **how):
        super().__init__(**how, allow_abbrev=False)

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
    for add in COMMANDS:
        add(verbs)
    return top
