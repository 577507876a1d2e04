"""Commands about the package as a whole: tour, verify, figures, estimators."""

import argparse
import inspect
import os

from dvae_np.arrays import InputError
from dvae_np.cli.options import add_out, path, whole
from dvae_np.cli.parts import Bar, progress
from dvae_np.estimators import markdown_table
from dvae_np.files import read_record, write_text
from dvae_np.folders import alone


def add_tour(verbs):
    """The parser of `tour`."""
    command = verbs.add_parser(
        "tour",
        help="verify everything, then train on the embedded digits by four estimators (about a minute, offline)",
        description="Verifies every gradient pair and every estimator and prints the table; trains the VAE on 8x8 digits by "
        "exact marginalisation and by three estimators, with three seeds each; prints the exact test negative ELBO, the "
        "exact log-likelihood and the seconds; writes its figures. Needs no network.",
    )
    add_out(command, "runs/tour")
    command.set_defaults(run=tour)


def tour(options):
    """`tour`"""
    from dvae_np.experiments.tour import WRITTEN, tour

    with alone(options.out, "figures", WRITTEN) as out:
        return 0 if tour(out, progress=Bar) else 1


def add_verify(verbs):
    """The parser of `verify`."""
    command = verbs.add_parser(
        "verify",
        help="the whole verification as a table; exit status 1 if anything fails",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="""\
Without arguments, the whole of this package. With FILE.py:FUNCTION, an estimator of yours: a function

    my_estimator(logits, f, z)      fz, f_backward = f(z), fz (S, B); dz, _ = f_backward(dfz) where z is one-hot

that returns the gradient in the logits (B, N, K) of E_q[f], or of what --bound says. Its noise is told by the names of its
parameters: z: codes drawn from q, (S, B, N); distinct: S different joint states, drawn without replacement; coupled: codes
that avoid each other; e: uniforms (S, B, N) for binary latents; u, v: uniforms (S, B, N, K), alone or beside z. It is tried
with several S at K = 2 or 3. With --samples and --exact, gradients that any program wrote.

Levels: 0 contract (shapes, dtype, purity), 1 numeric derivatives, 2 enumeration, 3 quadrature, 4 identities,
5 statistics with stated false-alarm rate and detectable bias.""",
    )
    command.add_argument("estimator", nargs="?", type=path, metavar="FILE.py:FUNCTION", help="judge this estimator")
    command.add_argument(
        "--S",
        type=whole(),
        metavar="S",
        help="the number of samples, for an estimator that takes no other, or of those behind each of --samples",
    )
    command.add_argument("--binary", action="store_true", help="the estimator is for latents of K = 2 categories")
    command.add_argument("--bound", action="store_true", help="it is of the negative multi-sample bound, as VIMCO")
    command.add_argument(
        "--samples", type=path, metavar="FILE.npy", help="independent gradient samples (R, ...) to judge"
    )
    command.add_argument("--exact", type=path, metavar="FILE.npy", help="the exact gradient (...) beside them")
    command.add_argument("--json", type=path, metavar="FILE", help="write the results to FILE as well")
    command.set_defaults(run=verify)


def verify(options):
    """`verify`"""
    from dvae_np.check import judging, suite
    from dvae_np.check.report import Report

    file = options.json
    if file is not None:
        expect_report(file)
    if (options.samples is None) != (options.exact is None) or (options.samples and options.estimator):
        raise InputError("verify: expected --samples and --exact together, or FILE.py:FUNCTION, or neither")
    if (options.binary or options.bound) and not options.estimator:
        raise InputError("verify: --binary and --bound say how FILE.py:FUNCTION is to be judged, which is missing")
    if options.S is not None and not (options.estimator or options.samples):
        raise InputError(f"--S: expected FILE.py:FUNCTION or --samples with a number of samples, got {options.S} alone")
    if options.samples:
        draws, exact = loaded(options.samples, "samples"), loaded(options.exact, "exact")
        sizes = {} if options.S is None else {"S": options.S}
        report = judging.judge_samples(draws, exact, **sizes)
    elif options.estimator:
        function = judging.load_function(str(options.estimator))
        expect_judgeable(function, options.estimator)
        report = judging.judge(function, S=options.S, binary=options.binary, bound=options.bound)
    else:
        report = Report(suite.results())
    if file:
        write_text(file.resolve(), report.json() + "\n")
    print(report)
    return 1 if report.failed else 0


def expect_report(file):
    """Raise `InputError` unless a report can be written to this file, which is not there yet or holds an older report."""
    if (file.exists() and not file.is_file()) or not os.access(file.resolve().parent, os.W_OK):
        raise InputError(f"--json: expected a file in a folder that can be written to, got {str(file)!r}")
    try:
        old = read_record(file)
    except InputError:
        old = {}
    if old is not None and not {"ok", "levels", "results"} <= set(old):
        raise InputError(f"--json: {file} is there already and is no report of this command; name another file")


def expect_judgeable(function, place):
    """Raise `InputError` for what has no parameters that could be read, as functions not written in Python, and for classes."""
    try:
        readable = not inspect.isclass(function) and inspect.signature(function)
    except (TypeError, ValueError):
        readable = False
    if readable is False:
        raise InputError(f"{place}: expected a function written in Python, got {function!r}")


def loaded(path, what):
    """`judging.load_array`, of a file that begins as .npy files do: for others NumPy has errors of many kinds."""
    from dvae_np.check import judging

    if not path.is_file():  # nor a pipe, which would be waited for
        raise InputError(f"--{what}: expected an .npy file of numbers, got {str(path)!r}, which is no file")
    try:
        with open(path, "rb") as file:
            words = "" if file.read(6) == b"\x93NUMPY" else "it is none"
        if not words:
            return judging.load_array(path, what)
    except InputError:
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
    raise InputError(f"--{what}: expected an .npy file of numbers, got {str(path)!r} ({words})")


def add_figures(verbs):
    """The parser of `figures`."""
    command = verbs.add_parser(
        "figures",
        help="draw every figure again, and write the page of measured numbers",
        description="Draws all figures: those of measured numbers from the records that come with the package, those of the "
        "lessons by computing what they show; and writes the page of all measured numbers, README.md, beside them. "
        "Deterministic; half a minute. The repository's own are written by --out figures.",
    )
    add_out(command, "runs/figures", "folder for the figures and the page")
    command.set_defaults(run=figures)


def figures(options):
    """`figures`"""
    from dvae_np.experiments.gallery import WRITTEN, drawings
    from dvae_np.experiments.page import page
    from dvae_np.figures import save

    with alone(options.out, "figures", WRITTEN) as out:
        found = drawings()
        write_text(out / "README.md", page())
        for name in progress("figure")(found):
            save(out / name, *found[name])
    print(f"Written to {options.out}: README.md, {', '.join(found)}")
    return 0


def add_estimators(verbs):
    """The parser of `estimators`."""
    command = verbs.add_parser("estimators", help="the table of estimators, in Markdown")
    command.set_defaults(run=estimators)


def estimators(options):
    """`estimators`"""
    print(markdown_table())
    return 0
