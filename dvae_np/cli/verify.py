"""`verify`: the whole package, or an estimator, gradient samples, or a forward and backward pass of a user's."""

import argparse
import os

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.cli.judged_files import adapter, expect_judgeable, load_array, load_function, op_input, op_inputs
from dvae_np.cli.options import path, whole
from dvae_np.cli.parts import progress
from dvae_np.cli.train_options import hyper_parameter
from dvae_np.estimators import TABLE
from dvae_np.files import read_record, write_text

WORDS = """\
Without arguments, the whole of this package (--all: every line). With FILE.py:FUNCTION, an estimator of yours: a function

    my_estimator(logits, f, z)      fz, f_backward = f(z), fz (S, B); dz, _ = f_backward(dfz) where z is one-hot

that returns the gradient in the logits (B, N, K) of E_q[f], or of what --bound says. Its noise is told by the names of its
parameters: z: codes drawn from q, (S, B, N); distinct: S different joint states, drawn without replacement; coupled: codes
that avoid each other; e: uniforms (S, B, N) for binary latents; u, v: uniforms (S, B, N, K), alone or beside z; rng: a
generator, from which it draws by itself. It is tried with several S at K = 2 or 3. Of PyTorch and JAX (--framework) f takes
tensors or arrays, and gives the value alone; what comes back may be a loss.

    verify my.py:gs --like gumbel_softmax --set tau=0.5     biased by design: is it that estimator?
    verify my.py:mine --beside reinforce_loo                whose gradient varies less, for one cost of f, in one time?
    verify my.py:layer --op x=3x4 w=4x2                     a forward and backward pass, y, backward = layer(x, w)
    verify --samples draws.npy --exact exact.npy            gradients that any program wrote

Levels: 0 contract (shapes, dtype, purity), 1 numeric derivatives, 2 enumeration, 3 quadrature, 4 identities,
5 statistics with stated false-alarm rate and detectable bias."""


def add_verify(verbs):
    """The parser of `verify`."""
    command = verbs.add_parser(
        "verify",
        help="verify the whole package, or your own estimator; exit status 1 if anything fails",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=WORDS,
    )
    add = command.add_argument
    add("function", nargs="?", type=path, metavar="FILE.py:FUNCTION", help="judge this function")
    add("--framework", choices=("torch", "jax"), help="it is written in PyTorch or JAX")
    words = "the number of samples, for an estimator that takes no other, or of those behind each of --samples"
    add("--S", type=whole(), metavar="S", help=words)
    add("--binary", action="store_true", help="the estimator is for latents of K = 2 categories")
    add("--bound", action="store_true", help="it is of the negative multi-sample bound, as VIMCO")
    add("--like", choices=TABLE, metavar="NAME", help="it is this estimator of the table, biased by design or not")
    words = "a hyper-parameter of --like's, as tau=0.5; may be repeated"
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=words)
    words = "FUNCTION() gives a fresh estimator that remembers; judge its first call, and its call of this number"
    add("--steps", type=whole(), metavar="CALLS", help=words)
    words = "compare variances with this one: of the table, or FILE.py:FUNCTION"
    add("--beside", metavar="OTHER", help=words)
    words = "judge an op at these inputs: NAME=3x4, normal numbers; NAME=3x4<5, whole ones below 5; NAME=0.5; or one FILE.npz"
    add("--op", nargs="+", type=op_input, metavar="INPUT", help=words)
    add("--data", nargs="+", default=[], metavar="NAME", help="inputs of --op that are data, without a gradient")
    add("--samples", type=path, metavar="FILE.npy", help="independent gradient samples (R, ...) to judge")
    add("--exact", type=path, metavar="FILE.npy", help="the exact gradient (...) beside them")
    add("--all", action="store_true", help="of the whole package, print every check on a line of its own")
    add("--json", type=path, metavar="FILE", help="write the results to FILE as well")
    command.set_defaults(run=verify)


NEEDS = {  # what an option is of no use without, and beside what it is not taken
    "framework": ("function", ()),
    "binary": ("function", ("op",)),
    "bound": ("function", ("op",)),
    "like": ("function", ("op", "beside", "bound", "binary")),
    "set": ("like", ()),
    "steps": ("function", ("op", "beside")),
    "beside": ("function", ("op",)),
    "op": ("function", ()),
    "data": ("op", ()),
    "samples": ("exact", ("function",)),
    "exact": ("samples", ()),
    "all": (None, ("function", "samples")),
    "json": (None, ("beside",)),
}


def expect_together(options):
    """Raise `InputError` for an option without what it needs, or beside what it does not go with."""
    names = {"function": "FILE.py:FUNCTION"}
    words = lambda name: names.get(name, f"--{name}")
    for name, (needed, apart) in NEEDS.items():
        if not getattr(options, name):
            continue
        if needed and not getattr(options, needed):
            raise InputError(f"{words(name)}: goes with {words(needed)}, which is missing")
        for other in apart:
            if getattr(options, other):
                raise InputError(f"{words(name)}: does not go with {words(other)}")
    if options.S and (options.op or not (options.function or options.samples)):
        raise InputError(
            f"--S: goes with an estimator's FILE.py:FUNCTION or --samples, and not with --op; got {options.S}"
        )


def verify(options):
    """`verify`"""
    expect_together(options)
    file = options.json
    if file is not None:
        expect_report(file)
    if options.beside:
        from dvae_np.check import compare_variance

        both = [function_of(place, options) for place in (options.function, options.beside)]
        try:
            print(compare_variance(*both, S=options.S, binary=options.binary, bound=options.bound))
        except InputError:
            raise
        except Exception as error:  # whatever a user's function may raise
            raise InputError(f"--beside: one of the two raised {type(error).__name__}: {error}") from error
        return 0
    report = report_of(options)
    if file:
        write_text(file.resolve(), report.json() + "\n")
    everything = not (options.function or options.samples)
    print(report.condensed() if everything and not options.all else report)
    return 1 if report.failed else 0


def report_of(options):
    """The report that the options ask for."""
    from dvae_np.check import judge, judge_samples, suite
    from dvae_np.check.report import Report

    if options.samples:
        draws, exact = load_array(options.samples, "samples"), load_array(options.exact, "exact")
        return judge_samples(draws, exact, **({} if options.S is None else {"S": options.S}))
    if options.op:
        return Report(op_lines(options))
    if not options.function:
        return Report(progress("check")(suite.results()))
    hyper = dict(hyper_parameter(TABLE[options.like], text) for text in options.set)
    how = {"S": options.S, "binary": options.binary, "bound": options.bound, "steps": options.steps}
    return judge(function_of(options.function, options), like=options.like, **how, **hyper)


def function_of(place, options):
    """The estimator of that place, through the framework's adapter; a row's name remains one."""
    if place in TABLE:
        return place
    function = load_function(str(place))
    if options.steps is None:
        expect_judgeable(function, place)
    if not options.framework or hasattr(function, "__signature__"):  # decorated in its file already
        return function
    wrap = adapter(options.framework).estimator
    return (lambda: wrap(function())) if options.steps else wrap(function)


def op_lines(options):
    """The results on a forward and backward pass."""
    from dvae_np.check import check_op
    from dvae_np.check.report import of_op

    rng, function = np.random.default_rng(0), load_function(str(options.function))
    check = adapter(options.framework).check_op if options.framework else check_op
    inputs = op_inputs(options.op, rng)
    unknown = [name for name in options.data if name not in inputs]
    if unknown:
        raise InputError(f"--data: expected names of --op, {', '.join(inputs)}; got {', '.join(unknown)}")
    try:
        verdict = check(function, inputs, rng, tuple(options.data))
    except InputError:
        raise
    except Exception as error:  # whatever a user's function may raise
        raise InputError(f"{options.function}: it raised {type(error).__name__}: {error}") from error
    return of_op(str(options.function).rpartition(":")[2], verdict, ("right", "right, not analytic"))


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
