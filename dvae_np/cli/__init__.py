"""The command line: python -m dvae_np tour | verify | train | evaluate | show | sample | compare | ...

In the files of this folder each command's options stand above what it does; heavy imports stand in the command that needs them.
"""

import signal
import sys
import traceback
from pathlib import Path

from dvae_np import starting
from dvae_np.arrays import InputError
from dvae_np.cli import comparison, package, run, studies, tables, training, verify
from dvae_np.cli.options import Parser, as_option
from dvae_np.cli.terminal import Patience
from dvae_np.memory import keep_freed_memory

COMMANDS = (
    *(package.add_tour, verify.add_verify),
    *(training.add_train, run.add_evaluate, run.add_show, run.add_sample),
    *(comparison.add_compare, studies.add_complete, studies.add_collapse, studies.add_gaps, package.add_figures),
    *(tables.add_reproduce, tables.add_sweep),
    *(package.add_estimators, studies.add_bench),
)

BEGIN = """\
Discrete latent VAEs in NumPy: every gradient written by hand and proved.
    python -m dvae_np tour                  see it: a minute, and a page of it
    python -m jupyter lab notebooks         learn it: lessons, from 00 to 23
    python -m dvae_np verify FILE.py:NAME   judge an estimator of your own
    python -m dvae_np --help                all commands: train, compare, ..."""
TOO_LARGE = ("array is too big", "Maximum allowed")  # so NumPy's ValueErrors begin where a size is beyond all memory


def main(arguments=None):
    """Run one command; returns the exit status.

    0: done, and right. 1: a verification failed, or an estimator is biased. 2: it could not be done, for the reason printed.
    130: stopped by Ctrl-C.
    """
    if arguments is None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(
            line_buffering=True
        )  # in a pipe or a log, too, a line comes when it is printed, before any error
    with Patience():
        try:
            if signal.getsignal(signal.SIGINT) is starting.stop:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            status = run_command(arguments)
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            words, status = "stopped", 130
        except Exception as error:
            words, status = " ".join(explained(error).split()), 2
        print(
            f"dvae_np: {words}", file=sys.stderr
        )  # not before: the frames that the error held had a bar on the terminal
        return status


def run_command(arguments):
    """The exit status of the command that the arguments ask for."""
    if not (sys.argv[1:] if arguments is None else arguments):
        print(BEGIN)
        return 0
    try:
        options = parser().parse_args(arguments)
        keep_freed_memory()
        return options.run(options)
    except SystemExit as error:  # the parser's, after --help or for what it cannot take
        return error.code
    except InputError as error:
        raise as_option(error, options) from None


def explained(error):
    """What a user is told about an error."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError | OverflowError) or str(error).startswith(TOO_LARGE):
        return f"S, K, N, batch or hidden: more than this machine's memory or arithmetic can hold: {error}"
    if isinstance(error, OSError):
        return f"{error.filename or 'file'}: {error.strerror or error}"
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"{type(error).__name__}: {error} ({where}); a mistake of dvae_np: please report it"


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
