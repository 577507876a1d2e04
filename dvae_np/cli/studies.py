"""Commands that measure something and draw it: complete, collapse, gaps, bench."""

import textwrap

import numpy as np

from dvae_np.bench.summary import SECTIONS
from dvae_np.cli.options import Recorded, add_data_dir, add_out, expect_looked_at, number, sizes, whole
from dvae_np.cli.parts import progress
from dvae_np.files import read_record, write_record, written
from dvae_np.folders import alone
from dvae_np.text import WIDTH


def add_complete(verbs):
    """The parser of `complete`."""
    command = verbs.add_parser(
        "complete",
        help="complete the lower half of a digit from the upper half, by p(z|c), by p(z), and without a latent",
        description="Trains three models of p(lower half | upper half), with three seeds each: without a latent, with a prior "
        "that does not see the upper half, and with one that does. Prints the exact test log-likelihoods and draws several "
        "completions of the same upper halves. On digits a minute and a half; on mnist some twenty minutes of one core.",
    )
    command.register("action", None, Recorded)
    add = command.add_argument
    add("--data", choices=("digits", "mnist"), default="digits", help="(%(default)s)")
    add_data_dir(command)
    add("--hidden", type=sizes, metavar="SIZES", help="hidden layers, as 256 (digits 64, mnist 32)")
    words = "the priors' step size, as a multiple of that of the rest (digits 0.2, mnist 0.02)"
    add("--prior-rate", type=number("a multiple of the step size", above=True), metavar="RATE", help=words)
    add_out(command, "runs/complete")
    command.set_defaults(run=complete, given=())


def complete(options):
    """`complete`"""
    from dvae_np import figures
    from dvae_np.experiments.completion import completion, completion_table
    from dvae_np.figures import models

    expect_looked_at(options.given, {"data_dir": (options.data == "mnist", "--data mnist")})
    given = {"hidden": options.hidden, "prior_rate": options.prior_rate}
    changed = {name: value for name, value in given.items() if value is not None}
    rate = () if options.prior_rate is None else ("rate", options.prior_rate)
    name = "-".join(["completion", options.data, *map(str, (*(options.hidden or ()), *rate))])
    names = [f"data/{name}.json", f"data/{name}.npz", f"{name}.png"]
    with alone(options.out, "figures", names) as out:
        record, images = completion(options.data, options.data_dir, changed, progress("run"))
        write_record(out / f"data/{name}.json", record)
        with written(out / f"data/{name}.npz") as file:
            np.savez_compressed(file, images=(255 * images).astype(np.uint8))
        figures.save(out / f"{name}.png", (8.8, 5.4), models.completions, images)
    print(f"{record['data']}\nexact, median (and range) of three seeds:\n\n{completion_table(record)}")
    print(f"\nWritten to {options.out}: {', '.join(names)}")
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
    from dvae_np.experiments.first_steps import first_steps, first_steps_table
    from dvae_np.experiments.reproduce import grey_mnist

    with alone(options.out, "figures", ["data/collapse.json", "collapse.png"]) as out:
        record = first_steps(grey_mnist(options.data_dir), progress=progress("run"))
        write_record(out / "data/collapse.json", record)
        figures.save(out / "collapse.png", (7.4, 5.2), figures.first_steps, record)
    print(f"{record['data']}\nmedian (and range) of three seeds:\n\n{first_steps_table(record)}")
    print(f"\nWritten to {options.out}: collapse.png, data/collapse.json")
    return 0


def add_gaps(verbs):
    """The parser of `gaps`."""
    command = verbs.add_parser(
        "gaps",
        help="what factorised and amortised posteriors cost, on hidden Markov models of the digits",
        description="Trains hidden Markov models over the rows of the digits on their exact log p(x), with 8 and 32 states and "
        "three seeds each, and encoders for them with chain and factorised posteriors; prints the gaps between log p(x) and "
        "each bound, exactly. Some twenty minutes.",
    )
    add_out(command, "runs/gaps")
    command.set_defaults(run=gaps)


def gaps(options):
    """`gaps`"""
    from dvae_np.experiments.gaps import gaps, gaps_table

    with alone(options.out, "figures", ["data/gaps.json"]) as out:
        record = gaps(progress("model"))
        write_record(out / "data/gaps.json", record)
    print(f"{record['data']}\nexact, median (and range) of three seeds:\n\n{gaps_table(record)}")
    print(f"\nWritten to {options.out}: data/gaps.json")
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
    command.add_argument("--runs", type=whole(), default=15, metavar="R", help="rounds of turns (%(default)s)")
    command.add_argument("--all", action="store_true", help="print every table, and not only what fits a screen")
    add_out(command, "runs/bench")
    command.set_defaults(run=bench)


def bench(options):
    """`bench`"""
    from dvae_np import figures
    from dvae_np.bench import measure, summary

    sections = options.section or list(SECTIONS)
    with alone(options.out, "figures", ["data/bench.json", "bench.png"]) as out:
        old = None if set(sections) == set(SECTIONS) else read_record(options.out / "data/bench.json")
        measure.expect_mergeable(old)
        record = measure.merged(old, measure.measure(sections, options.runs, progress("turn")), sections)
        write_record(out / "data/bench.json", record)
        written = ["data/bench.json"]
        if record["growth"]:
            written.append(figures.save(out / "bench.png", *figures.BENCH, record).name)
    print(textwrap.fill(f"{record['machine']}; {options.runs} rounds, medians", WIDTH), end="\n\n")
    if options.all or options.section:
        for heading, table in summary.tables(record).values():
            print(f"{heading}\n\n{table}\n")
    print(summary.targets(record))
    print(f"\nWritten to {options.out}: {', '.join(written)}")
    return 0
