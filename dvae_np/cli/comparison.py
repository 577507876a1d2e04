"""`compare`: the gradients of every estimator side by side, or what is trained with them."""

from contextlib import contextmanager
from functools import partial
from itertools import product

from dvae_np.arrays import InputError, count_states
from dvae_np.cli.options import Recorded, add_data_dir, add_out, expect_looked_at, whole
from dvae_np.cli.parts import progress
from dvae_np.files import read_record, write_record
from dvae_np.folders import alone


def add_compare(verbs):
    """The parser of `compare`."""
    command = verbs.add_parser(
        "compare",
        help="bias, variance, evaluations and seconds of every estimator on a trained VAE",
        description="Measures every estimator on the gradients of a VAE trained on the digits, small enough to know the exact "
        "gradient: exactly where that can be enumerated, else with 95-percent intervals, at equal numbers of evaluations of f; "
        "a minute. Or one of the studies below.",
    )
    command.register("action", None, Recorded)
    add = command.add_argument
    add("--problem", choices=("vae", "toy"), default="vae", help="a trained VAE, or a cubic toy (%(default)s)")
    add("--evaluations", type=whole(2), default=12, metavar="E", help="of f, for each example (%(default)s)")
    add("--N", type=whole(), default=2, metavar="N", help="latents of the VAE (%(default)s)")
    add("--K", type=whole(2), default=5, metavar="K", help="categories of each (%(default)s)")
    add("--all", action="store_true", help="print every table, and not only what fits a screen")
    add("--jobs", type=whole(1, 256), default=1, help="processes of --train at a time (%(default)s)")
    words = "one of --rule or --train made anew, beside its record, as 'independent 2x8 exact'"
    add("--cell", metavar="'MODEL ESTIMATOR'", help=words)
    add_data_dir(command, "folder of the MNIST files, for --train mnist and --quantised mnist")
    add_out(command, "runs/compare")
    words = "one of these in place of it; stopped and given again, each goes on"
    study = command.add_argument_group("studies", words).add_mutually_exclusive_group()
    words = "what a gradient of a given error costs as the number of joint states grows, each estimator at its best "
    words += "temperature, and where the exact one stops paying; some ten minutes"
    study.add_argument("--rule", action="store_true", help=words)
    words = "train by each estimator for equal time, four to six trials and three seeds each; hours"
    study.add_argument("--train", choices=("digits", "mnist"), help=words)
    words = "why the two yardsticks of --train digits disagree: whose is the gap between them; some forty minutes"
    study.add_argument("--encoders", action="store_true", help=words)
    words = "train the model of lesson 00 by what each lesson teaches"
    study.add_argument("--lessons", action="store_true", help=words)
    words = "train models with codebooks, PyTorch's where it is installed, and categorical VAEs of the same size"
    study.add_argument("--quantised", nargs="?", const="digits", choices=("digits", "mnist"), help=words)
    words = "train by wake-sleep, by the thermodynamic and the multi-sample bound, beside the ELBO; some twenty minutes"
    study.add_argument("--wake-sleep", action="store_true", help=words)
    words = "the toys of published papers, with every estimator on each: exact variances and biases; some five minutes"
    study.add_argument("--toys", action="store_true", help=words)
    command.set_defaults(run=compare, given=())


def compare(options):
    """`compare`"""
    studies = {
        "rule": compare_cost,
        "train": train_for_equal_time,
        "encoders": take_gaps_apart,
        "lessons": train_first_models,
        "quantised": train_quantised,
        "wake_sleep": train_wake_sleep,
        "toys": compare_on_toys,
    }
    study = next((name for name in studies if getattr(options, name)), None)
    gradients = study is None, f"the comparison of gradients, not with --{(study or '').replace('_', '-')}"
    needs = dict.fromkeys(("problem", "evaluations", "N", "K"), gradients)
    needs |= {
        "jobs": (study == "train", "--train"),
        "cell": (study in ("rule", "train"), "--rule or --train"),
        "data_dir": ("mnist" in (options.train, options.quantised), "--train mnist or --quantised mnist"),
    }
    expect_looked_at(options.given, needs)
    return studies.get(study, compare_gradients)(options)


@contextmanager
def going_on(options, name, command, *pictures):
    """(its folder, the record that an earlier call has left there, what saves it) of a study that goes on where it stopped."""
    with alone(options.out, "figures", [name, *pictures]) as out:
        out.expect_same(name, command)
        yield out, read_record(out / name), partial(write_record, out / name)


def compare_gradients(options):
    """`compare` without a study"""
    from dvae_np import figures
    from dvae_np.experiments import compare, tuning

    E, N, K = options.evaluations, options.N, options.K
    if count_states(N, K) > 4096:
        raise InputError(f"--N, --K: expected K^N <= 4,096, got {N} and {K}")
    name, pictures = "data/compare.json", ["compare.png", "sweep.png"]
    with alone(options.out, "figures", [name, *pictures]) as out:
        out.expect_same(name, compare.command_of(options.problem, E, N, K))
        record = compare.compare(options.problem, E, N, K, progress("estimator"))
        write_record(out / name, record)
        figures.save(out / pictures[0], (11, 5.2), figures.comparison, record)
        figures.save(out / pictures[1], (8, 5.2), figures.sweep, record)
    print(
        f"{record['problem']}\nAbout {record['evaluations']} evaluations of f for each gradient; errors are relative.\n"
    )
    print(compare.comparison_table(record))
    if options.all:
        print(
            "\nExact variance on a toy (cubic f, N=1, K=3; binary rows N=2), before and after learning the tunables:\n"
        )
        print(tuning.learned_table(record))
    print(f"\nWritten to {options.out}: {', '.join(pictures)}, {name}")
    return 0


def compare_cost(options):
    """`compare --rule`"""
    from dvae_np import figures
    from dvae_np.experiments import again, rule

    name, picture = "data/rule.json", "rule.png"
    if options.cell is not None:
        with alone(options.out, "figures", [name]) as out:
            out.expect_same(name, again.command_of(rule.COMMAND, options.cell))
            record = again.gradient_cell(options.cell)
            write_record(out / name, record)
        print(f"{again.gradients_again(options.cell, record)}\n\nWritten to {options.out}: {name}")
        return 0
    with going_on(options, name, rule.COMMAND, picture) as (out, known, save):
        record = rule.practical_rule(known, save, progress("model"))
        figures.save(out / picture, rule.FIGURE, figures.practical_rule, record)
    if options.all:
        for error, family in product(rule.ERRORS, rule.FAMILIES):
            words = f"{family}: milliseconds for a gradient of {rule.BATCH} digits with relative error {error:g}"
            print(f"{words} (and the temperature):\n\n{rule.rule_table(record, error, family=family)}\n")
    print(f"The cheapest way to a gradient of {rule.BATCH} digits with a given relative error, and its milliseconds:\n")
    print(f"{rule.cheapest_table(record)}\n\nWritten to {options.out}: {picture}, {name}")
    return 0


def train_for_equal_time(options):
    """`compare --train`"""
    from tqdm import tqdm

    from dvae_np.experiments import again, equal_time, yardsticks

    data, cell, name = options.train, options.cell, f"data/equal-time-{options.train}.json"
    start, cells = again.training_cell(data, cell) if cell is not None else (None, None)
    study = going_on(options, name, start["command"] if cell else equal_time.command_of(data))
    with study as (_, known, save), tqdm(unit="run", disable=None, leave=False) as bar:

        def progress(words):
            bar.write(words)
            bar.update()

        record = equal_time.equal_time(data, options.data_dir, known or start, save, options.jobs, progress, cells)
    table = yardsticks.training_table if options.all else yardsticks.answers
    found = again.training_again(data, cell, record) if cell else table(record)
    print(f"\n{found}\n\nWritten to {options.out}: {name}")
    return 0


def take_gaps_apart(options):
    """`compare --encoders`"""
    from dvae_np import records
    from dvae_np.experiments import encoder_gaps

    name, timed = "data/encoder-gaps.json", records.read("equal-time-digits")
    with going_on(options, name, encoder_gaps.COMMAND) as (_, known, save):
        record = encoder_gaps.encoder_gaps(timed, known, save, progress("run"))
    print(f"Nats, the median of three seeds and their range:\n\n{encoder_gaps.encoders_table(record)}\n")
    print(f"Written to {options.out}: {name}")
    return 0


def train_first_models(options):
    """`compare --lessons`"""
    from dvae_np import figures
    from dvae_np.experiments import first_model

    name, picture = "data/first-model.json", "first_model.png"
    with going_on(options, name, first_model.COMMAND, picture) as (out, known, save):
        record = first_model.first_models(known, save, progress("estimator"))
        figures.save(out / picture, (7.4, 3.6), figures.first_models, record)
    print(f"{first_model.first_models_table(record)}\n\nWritten to {options.out}: {picture}, {name}")
    return 0


def train_quantised(options):
    """`compare --quantised`"""
    from dvae_np.experiments import quantised

    study = quantised.STUDIES[options.quantised]
    name = f"data/{study.record}.json"
    with going_on(options, name, quantised.command_of(study)) as (_, known, save):
        record = quantised.quantised(study, options.data_dir, known, save, print)
    print(f"\n{quantised.quantised_table(record)}\n\nWritten to {options.out}: {name}")
    return 0


def train_wake_sleep(options):
    """`compare --wake-sleep`"""
    from dvae_np.experiments import other_objectives

    name = "data/wake-sleep.json"
    with going_on(options, name, other_objectives.COMMAND) as (_, known, save):
        record = other_objectives.other_objectives(known, progress("method"), save)
    for by, words in zip(other_objectives.BY, ("-log p(x)", "negative ELBO"), strict=True):
        if options.all or by == other_objectives.BY[0]:
            print(f"Chosen by {words}:\n\n{other_objectives.objectives_table(record, by=by)}\n")
    print(f"Written to {options.out}: {name}")
    return 0


def compare_on_toys(options):
    """`compare --toys`"""
    from dvae_np import figures
    from dvae_np.experiments import published_toys

    name, pictures = "data/published-toys.json", published_toys.PICTURES
    with going_on(options, name, published_toys.COMMAND, *pictures.values()) as (out, known, save):
        record = published_toys.published_toys(known, progress("case"), save)
        for key, picture in pictures.items():
            figures.save(out / picture, figures.toy_size(record, key), figures.toy_variances, record, key)
    for key in published_toys.TOYS if options.all else ("three-bernoullis",):
        places = " and ".join(f"{odds:g}" for odds in published_toys.TOYS[key].odds)
        print(f"The toy {key} at log-odds {places}; a bias is relative to the exact gradient's length:\n")
        print(f"{published_toys.toy_table(record, key)}\n")
    print(f"Written to {options.out}: {', '.join(pictures.values())}, {name}")
    return 0
