"""Commands that measure something and draw it: compare, complete, collapse, bench."""

import numpy as np

from dvae_np.arrays import InputError, count_states
from dvae_np.bench.report import SECTIONS
from dvae_np.cli.parts import add_data_dir, add_out, make_folder, progress, sizes, write_record


def add_compare(verbs):
    """The parser of `compare`."""
    command = verbs.add_parser(
        "compare",
        help="bias, variance, evaluations and seconds of every estimator on a trained VAE",
        description="Measures every estimator on the gradients of a VAE trained on the digits, small enough to know the exact "
        "gradient: exactly where that can be enumerated, else with 95-percent intervals, at equal numbers of evaluations "
        "of f. With --rule: what a gradient of a given error costs as the number of joint states grows, and where the exact "
        "one stops paying.",
    )
    add = command.add_argument
    add("--problem", choices=("vae", "toy"), default="vae", help="a trained VAE, or a cubic toy (%(default)s)")
    add("--evaluations", type=int, default=12, metavar="E", help="of f, for each example (%(default)s)")
    add("--N", type=int, default=2, metavar="N", help="latents of the VAE (%(default)s)")
    add("--K", type=int, default=5, metavar="K", help="categories of each (%(default)s)")
    add("--rule", action="store_true", help="the practical rule, over models of up to 32,768 joint states")
    add_out(command, "runs/compare")
    command.set_defaults(run=compare)


def compare(options):
    """`compare`"""
    from dvae_np import figures
    from dvae_np.experiments import compare, rule

    E, N, K = options.evaluations, options.N, options.K
    if E < 2 or N < 1 or K < 2 or count_states(N, K) > 4096:
        raise InputError(f"compare: expected E >= 2, N >= 1, K >= 2 and K^N <= 4,096, got {E}, {N}, {K}")
    make_folder(options.out)
    if options.rule:
        record = rule.practical_rule(progress("model"))
        for error in rule.ERRORS:
            print(f"Milliseconds for a gradient of 100 digits with relative error {error:g}:\n")
            print(rule.rule_table(record, error) + "\n")
        name, drawings = "rule.json", {"rule.png": ((11, 4.2), figures.practical_rule, record)}
    else:
        record = compare.compare(options.problem, E, N, K, progress("estimator"))
        print(
            f"{record['problem']}; about {record['evaluations']} evaluations of f for each gradient; errors are relative\n"
        )
        print(compare.comparison_table(record))
        print(
            "\nExact variance on a toy (cubic f, N=1, K=3; binary rows N=2), before and after learning the tunables:\n"
        )
        print(compare.learned_table(record))
        name, drawings = (
            "compare.json",
            {
                "compare.png": ((11, 5.2), figures.comparison, record),
                "sweep.png": ((8, 5.2), figures.sweep, record),
            },
        )
    write_record(options.out / "data" / name, record)
    for picture, drawing in drawings.items():
        figures.save(options.out / picture, *drawing)
    print(f"\nWritten to {options.out}: {', '.join(drawings)}, data/{name}")
    return 0


def add_complete(verbs):
    """The parser of `complete`."""
    command = verbs.add_parser(
        "complete",
        help="complete the lower half of a digit from the upper half, by p(z|c), by p(z), and without a latent",
        description="Trains three models of p(lower half | upper half), with three seeds each: without a latent, with a prior "
        "that does not see the upper half, and with one that does. Prints the exact test log-likelihoods and draws several "
        "completions of the same upper halves. On digits a minute and a half; on mnist some twenty minutes of one core.",
    )
    add = command.add_argument
    add("--data", choices=("digits", "mnist"), default="digits", help="(%(default)s)")
    add_data_dir(command)
    add("--hidden", type=sizes, metavar="SIZES", help="hidden layers, as 256 (digits 64, mnist 32)")
    words = "the priors' step size, as a multiple of that of the rest (digits 0.2, mnist 0.02)"
    add("--prior-rate", type=float, metavar="RATE", help=words)
    add_out(command, "runs/complete")
    command.set_defaults(run=complete)


def complete(options):
    """`complete`"""
    from dvae_np import figures
    from dvae_np.experiments.completion import completion, completion_table
    from dvae_np.figures import models

    make_folder(options.out)
    given = {"hidden": options.hidden, "prior_rate": options.prior_rate}
    changed = {name: value for name, value in given.items() if value is not None}
    record, images = completion(options.data, options.data_dir, changed, progress("run"))
    print(f"{record['data']}\nexact, median (and range) of three seeds:\n\n{completion_table(record)}")
    rate = () if options.prior_rate is None else ("rate", options.prior_rate)
    name = "-".join(["completion", options.data, *map(str, (*(options.hidden or ()), *rate))])
    write_record(options.out / "data" / f"{name}.json", record)
    np.savez_compressed(options.out / "data" / f"{name}.npz", images=(255 * images).astype(np.uint8))
    figures.save(options.out / f"{name}.png", (8.8, 5.4), models.completions, images)
    print(f"\nWritten to {options.out}: {name}.png, data/{name}.json, data/{name}.npz")
    return 0


def add_collapse(verbs):
    """The parser of `collapse`."""
    command = verbs.add_parser(
        "collapse",
        help="how the decoder's start sends all images to one code, in the first steps on MNIST",
        description="Trains the MNIST VAE of `reproduce`, and one with `train`'s own settings, for 100 steps, by exact "
        "marginalisation and by ReinMax, from several starts with three seeds each, and looks at the posterior of 500 test "
        "images on the way. Some four minutes.",
    )
    add_data_dir(command)
    add_out(command, "runs/collapse")
    command.set_defaults(run=collapse)


def collapse(options):
    """`collapse`"""
    from dvae_np import figures
    from dvae_np.experiments.collapse import collapse, collapse_table
    from dvae_np.experiments.reproduce import grey_mnist

    make_folder(options.out)
    record = collapse(grey_mnist(options.data_dir), progress=progress("run"))
    print(f"{record['data']}\nmedian (and range) of three seeds:\n\n{collapse_table(record)}")
    write_record(options.out / "data" / "collapse.json", record)
    figures.save(options.out / "collapse.png", (7.4, 5.2), figures.collapse, record)
    print(f"\nWritten to {options.out}: collapse.png, data/collapse.json")
    return 0


def add_bench(verbs):
    """The parser of `bench`."""
    command = verbs.add_parser(
        "bench",
        help="time the package beside bare matrix products, PyTorch, JAX and Pyro",
        description="Times training steps, exact marginalisation, replicates, gradient checks and starting up, side by side "
        "with the bare matrix products of the same shapes and with PyTorch, JAX and Pyro where they are installed. Every "
        "contestant has a process of its own; they take turns and must agree on the numbers. Shows how cost and memory grow. "
        "Some twenty minutes with all frameworks.",
    )
    words = ", ".join(SECTIONS) + " (all); may be repeated: those of an earlier run stay"
    command.add_argument("--section", action="append", choices=SECTIONS, metavar="NAME", help=words)
    command.add_argument("--runs", type=int, default=15, metavar="R", help="rounds of turns (%(default)s)")
    add_out(command, "runs/bench")
    command.set_defaults(run=bench)


def bench(options):
    """`bench`"""
    from dvae_np import figures
    from dvae_np.bench import measure, report

    if options.runs < 1:
        raise InputError(f"--runs: expected at least 1, got {options.runs}")
    make_folder(options.out)
    sections = options.section or list(SECTIONS)
    path = options.out / "data" / "bench.json"
    record = measure.renewed(path, measure.measure(sections, options.runs, progress("turn")), sections)
    print(f"{record['machine']}; {options.runs} rounds, medians\n")
    for heading, table in report.tables(record).values():
        print(f"{heading}\n\n{table}\n")
    print(report.targets(record))
    write_record(path, record)
    written = ["data/bench.json"]
    if record["growth"]:
        written.append(figures.save(options.out / "bench.png", *figures.BENCH, record).name)
    print(f"\nWritten to {options.out}: {', '.join(written)}")
    return 0
