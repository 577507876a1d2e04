"""The command line: python -m dvae_np tour | verify | train | compare | estimators | bench."""

import argparse
import json
import os
import sys
from dataclasses import fields
from pathlib import Path

from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE
from dvae_np.estimators.estimate import expect_few_states
from dvae_np.train.loop import Settings

DEFAULTS = {field.name: field.default for field in fields(Settings)}


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
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "tour",
        help="verify everything, then train on the embedded digits by four estimators (about a minute, offline)",
        description="Verifies every gradient pair and every estimator and prints the table; trains the VAE on 8x8 digits by "
        "exact marginalisation and by three estimators, with three seeds each; prints the exact test negative ELBO, the "
        "exact log-likelihood and the seconds; writes its figures. Needs no network.",
    )
    command.add_argument(
        "--out", type=Path, default=Path("runs/tour"), help="folder for figures and numbers (%(default)s)"
    )
    command.set_defaults(run=run_tour)

    command = commands.add_parser(
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
    command.set_defaults(run=run_verify)

    command = commands.add_parser(
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
    command.set_defaults(run=run_train)

    command = commands.add_parser(
        "compare",
        help="bias, variance, evaluations and seconds of every estimator on a trained VAE",
        description="Measures every estimator on the gradients of a VAE trained on the digits, small enough to know the exact "
        "gradient: exactly where that can be enumerated, else with 95 %% intervals, at equal numbers of evaluations of f. With "
        "--rule: what a gradient of a given error costs as the number of joint states grows, and where the exact one stops "
        "paying.",
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
    command.set_defaults(run=run_compare)

    command = commands.add_parser("estimators", help="the table of estimators, in Markdown")
    command.set_defaults(run=run_estimators)

    command = commands.add_parser(
        "bench",
        help="time exact marginalisation against bare matrix products and against decoding every pair",
        description="Times the value and gradients of exact marginalisation (B=256 examples, 784 pixels), side by side in "
        "one run, with the bare matrix products of the same shapes and with the usual code, which decodes B x K pairs.",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the measurements to FILE as well")
    command.set_defaults(run=run_bench)
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


def hyper_parameter(row, text):
    """'tau=0.5' as ("tau", 0.5), of the type of the row's default. Raises InputError for what the row does not have."""
    name, _, value = text.partition("=")
    if name not in row.hyper:
        raise InputError(f"--set: {row.name} has {', '.join(row.hyper) or 'no hyper-parameters'}, got {text!r}")
    kind = type(row.hyper[name])
    try:
        return name, {"True": True, "False": False}[value] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise InputError(f"--set: expected {name} as {row.hyper[name]!r} is, got {value!r}") from None


class Bar:
    """A progress bar on a terminal, fed with epochs; silent where standard error is no terminal."""

    def __init__(self, description, total):
        from tqdm import tqdm

        self.bar = tqdm(desc=description, total=total, unit="epoch", disable=None, leave=False)

    def __call__(self, epoch, loss, validation):
        self.bar.set_postfix_str(f"loss {loss:.2f}, validation {validation:.2f} nats", refresh=False)
        self.bar.update()

    def close(self):
        """Remove the bar."""
        self.bar.close()


def run_tour(options):
    """`tour`"""
    from dvae_np.experiments.tour import tour

    make_folder(options.out)
    return 0 if tour(options.out, progress=Bar) else 1


def make_folder(out):
    """Make the folder of --out, before any work is done; raises `InputError` where it could not be written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".write").touch()
        (out / ".write").unlink()
    except OSError as error:
        raise InputError(
            f"--out: expected a folder that can be written to, got {str(out)!r} ({error.strerror})"
        ) from None


def run_verify(options):
    """`verify`"""
    from dvae_np.check import judging, suite
    from dvae_np.check.report import Report

    expect_folder(options.json)
    if (options.samples is None) != (options.exact is None) or (options.samples and options.estimator):
        raise InputError("verify: expected --samples and --exact together, or FILE.py:FUNCTION, or neither")
    if options.samples:
        draws, exact = judging.load_array(options.samples, "samples"), judging.load_array(options.exact, "exact")
        report = judging.judge_samples(draws, exact)
    elif options.estimator:
        report = judging.judge(judging.load_function(options.estimator))
    else:
        report = Report(suite.results())
    print(report)
    if options.json:
        options.json.write_text(report.json() + "\n")
    return 1 if report.failed else 0


def run_compare(options):
    """`compare`"""
    from tqdm import tqdm

    from dvae_np import figures
    from dvae_np.experiments import compare

    if options.evaluations < 2 or options.N < 1 or options.K < 2:
        raise InputError(
            f"compare: expected E >= 2, N >= 1 and K >= 2, got {options.evaluations}, {options.N}, {options.K}"
        )
    expect_few_states("compare", options.N, options.K, 1, 4096)
    make_folder(options.out)

    def progress(rows):
        return tqdm(rows, unit="model" if options.rule else "estimator", disable=None, leave=False)

    if options.rule:
        record = compare.practical_rule(progress)
        for error in compare.RULE_ERRORS:
            print(f"Milliseconds for a gradient of 100 digits with relative error {error:g}:\n")
            print(compare.rule_table(record, error) + "\n")
        drawings = {"rule.png": ((11, 4.2), figures.practical_rule, record)}
    else:
        record = compare.compare(options.evaluations, options.N, options.K, progress)
        print(
            f"{record['problem']}; about {record['evaluations']} evaluations of f for each gradient; errors are relative\n"
        )
        print(compare.comparison_table(record))
        print(
            "\nExact variance on a toy (cubic f, N=1, K=3; binary rows N=2), before and after learning the tunables:\n"
        )
        print(compare.learned_table(record))
        drawings = {
            "compare.png": ((11, 5.2), figures.comparison, record),
            "sweep.png": ((8, 5.2), figures.sweep, record),
        }
    name = "rule.json" if options.rule else "compare.json"
    (options.out / "data").mkdir(exist_ok=True)
    (options.out / "data" / name).write_text(json.dumps(record, indent=1) + "\n")
    for picture, drawing in drawings.items():
        figures.save(options.out / picture, *drawing)
    print(f"\nWritten to {options.out}: {', '.join(drawings)}, data/{name}")
    return 0


def run_estimators(options):
    """`estimators`"""
    from dvae_np.estimators import markdown_table

    print(markdown_table())
    return 0


def run_bench(options):
    """`bench`"""
    from dvae_np.experiments.bench import bench, bench_table

    expect_folder(options.json)
    record = bench()
    print(
        f"Value and gradients of {record['B']} examples of {record['D']} pixels, decoder embedding-256-512-784, float32;"
    )
    print(f"medians of {record['runs']} interleaved runs; {record['machine']}\n")
    print(bench_table(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0


def expect_folder(file):
    """Raise `InputError`, before any work is done, where a file could not be written after it."""
    if file is not None and (file.is_dir() or not os.access(file.resolve().parent, os.W_OK)):
        raise InputError(f"--json: expected a file in a folder that can be written to, got {str(file)!r}")


def run_train(options):
    """`train`"""
    import numpy as np

    from dvae_np.train import evaluate, fit, load

    row = TABLE[options.estimator]
    hyper = {"tau": options.tau} if options.tau is not None else {}
    hyper |= dict(hyper_parameter(row, text) for text in options.set)
    chosen = {name: getattr(options, name) for name in DEFAULTS if name not in ("hyper", "S")}
    settings = Settings(**chosen, S=row.fewest_samples if options.S is None else options.S, hyper=hyper)
    if options.data_dir and options.data != "mnist":
        raise InputError(f"--data-dir: only mnist is read from a folder, got --data {options.data}")
    if options.data == "bars" and options.binarisation != "threshold":
        raise InputError(f"--binarisation: bars are binary as they are generated, got {options.binarisation}")
    data = load(options.data, options.binarisation, options.data_dir)
    out = options.out or Path("runs") / f"{data.name}-{settings.estimator}-N{settings.N}-K{settings.K}-s{settings.seed}"
    make_folder(out)

    print(data)
    bar = Bar(settings.estimator, settings.epochs)
    run = fit(data, settings, bar)
    bar.close()
    evaluation = evaluate(run.params, data.test.x)
    print(f"{settings.estimator}, N={settings.N}, K={settings.K}, {settings.epochs} epochs in {run.seconds:.1f} s")
    print(f"test negative ELBO   {evaluation.negative_elbo:9.3f} nats   ({evaluation.method}; {data.binarisation})")
    print(f"  reconstruction     {evaluation.reconstruction:9.3f}\n  KL(q || p)         {evaluation.kl:9.3f}")
    if evaluation.log_likelihood is not None:
        print(
            f"test log p(x)        {evaluation.log_likelihood:9.3f} nats   ({evaluation.method}; {data.binarisation})"
        )
        print(f"posterior gap        {evaluation.posterior_gap:9.3f} nats   ({evaluation.method})")

    from dvae_np import figures

    record = {"data": str(data), **run.record(), "test": vars(evaluation)}
    (out / "run.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    arrays = {f"{group}.{name}": array for group in run.params for name, array in run.params[group].items()}
    np.savez(out / "parameters.npz", **arrays)
    rng = np.random.default_rng(settings.seed)
    drawings = {
        "training.png": ((7, 4.2), figures.training_curves, {settings.estimator: [run.history]}),
        "reconstructions.png": ((8.8, 1.5), figures.reconstructions, run.params, data),
        "samples.png": ((8.8, 1.8), figures.samples, run.params, data, rng),
    }
    if evaluation.log_likelihood is not None:
        drawings["codes.png"] = (figures.codes_size(run.params), figures.codes, run.params, data)
    for name, drawing in drawings.items():
        figures.save(out / name, *drawing)
    print(f"written to {out}: run.json, parameters.npz, {', '.join(drawings)}")
    return 0
