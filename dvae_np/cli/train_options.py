"""The options of `train`, one for each of the settings, and the data and settings that they ask for."""

import argparse
import math
from dataclasses import fields
from pathlib import Path

from dvae_np.arrays import InputError
from dvae_np.cli.options import add_data_dir, expect_looked_at, finite, number, probabilities, seed, sizes, whole
from dvae_np.estimators import TABLE
from dvae_np.likelihoods import OBSERVATIONS
from dvae_np.networks import INTERFACES
from dvae_np.structure import POSTERIORS, PRIORS
from dvae_np.train import Settings, load, read_dataset
from dvae_np.train.beginning import fits
from dvae_np.train.data import BINARISATIONS, NAMES, TASKS
from dvae_np.train.data_files import READERS
from dvae_np.train.own_data import KINDS
from dvae_np.train.schedules import CURVES, KL_SCHEDULES
from dvae_np.train.settings import FIRST_IMAGES, OPTIMISERS
from dvae_np.vae import SAMPLED_KL

DEFAULTS = {field.name: field.default for field in fields(Settings)}
CHOSEN = tuple(name for name in DEFAULTS if name not in ("hyper", "S"))  # what an option of the same name says


def add_data(group):
    """Which images, and as what."""
    add = group.add_argument
    words = "digits: 8x8, shipped; bars: 5x5, generated; mnist: 28x28; or your own FILE.npy, .npz or .csv (%(default)s)"
    add("--data", type=source, default="digits", metavar="NAME", help=words)
    words = (
        "of a file: " + "; ".join(f"{name}: {what}" for name, what in KINDS.items()) + " (what the values look like)"
    )
    add("--kind", choices=KINDS, metavar="KIND", help=words)
    add("--labels", metavar="NAME", help="of a file: the array or column of the classes (labels, where there is one)")
    add("--context", choices=("labels",), help="model p(x|c), c the class of x")
    add_data_dir(group, "folder of the MNIST files (else $DVAE_NP_DATA, else download)")
    words = "whole images, or completion: the lower half given the upper (%(default)s)"
    add("--task", choices=TASKS, default="images", help=words)
    words = "; ".join(f"{name}: {kind.format(levels='a few')}" for name, kind in BINARISATIONS.items()) + " (threshold)"
    add("--binarisation", choices=BINARISATIONS, metavar="NAME", help=words)
    add("--levels", type=whole(2, 256), default=8, help="grey levels, for --binarisation levels (%(default)s)")


def source(text):
    """The type of `--data`: one of the package's data sets, or a file of a kind that can be read."""
    if text not in NAMES and Path(text).suffix not in READERS:
        raise argparse.ArgumentTypeError(f"expected {', '.join(NAMES)}, or a file {', '.join(READERS)}, got {text!r}")
    return text


def add_model(group):
    """The latents, the networks, the prior and the likelihood."""
    add_number(group, "N", whole(), "latent variables")
    add_number(group, "K", whole(), "categories of each; K^N joint states")
    words = "hidden layers of the encoder as 512,256, or none; the decoder mirrors them (128)"
    group.add_argument("--hidden", type=sizes, default=DEFAULTS["hidden"], metavar="SIZES", help=words)
    add_choice(
        group,
        "prior",
        PRIORS,
        "p(z): uniform; fixed, by --prior-probabilities; learned; markov, a chain; transition, one with one matrix for "
        "all; or p(z|c), conditional or conditional_markov",
    )
    add_choice(group, "posterior", POSTERIORS, "q(z|x): independent latents, a chain, or an autoregressive law")
    add_choice(
        group,
        "interface",
        INTERFACES,
        "how z enters the decoder: rows added up or side by side, scale and shift, or emission",
    )
    add_choice(
        group,
        "likelihood",
        OBSERVATIONS,
        "p(x|z) of a pixel; categorical: --binarisation levels, poisson: counts",
    )
    words = "of the embedding's first rows; (3 K)^-0.5 starts as a linear layer would"
    add_number(group, "embedding-scale", number("a factor", above=True), words)
    add_choice(
        group,
        "first-image",
        FIRST_IMAGES,
        "what the fresh decoder draws: the mean training image, by its last bias, or noise",
    )
    words = "the prior's step size, as a multiple of --lr; below 1 it follows q slowly"
    add_number(group, "prior-rate", number("a multiple of lr", above=True), words)
    words = "K numbers, each latent's fixed prior up to a factor"
    group.add_argument("--prior-probabilities", type=probabilities, default=(), metavar="P,P,...", help=words)
    group.add_argument("--scale", type=number("a sigma", above=True), help="the Gaussian's sigma (default: learned)")


def add_objective(group):
    """The estimator, its hyper-parameters, and the weight of the KL."""
    add = group.add_argument
    add("--estimator", choices=TABLE, default="exact", metavar="NAME", help="one of those below (%(default)s)")
    add("--tau", type=number("a temperature", above=True), help="temperature, for estimators that have one")
    add_curve(group, "tau", "a temperature")
    words = "a hyper-parameter of the estimator, as mean=arithmetic; may be repeated"
    add("--set", action="append", default=[], metavar="NAME=VALUE", help=words)
    add_choice(group, "kl", ("analytic", *SAMPLED_KL), "for gumbel_softmax: which of the three KLs")
    add(
        "--S",
        type=whole(),
        metavar="S",
        help="samples for each example (default: the fewest that the estimator can use)",
    )
    add_number(group, "beta", number("a weight"), "weight of the KL; above 1 codes are used less, below 1 more")
    add_choice(group, "schedule", KL_SCHEDULES, "of beta")
    add_number(group, "schedule-epochs", whole(), "length of the warm-up, or of a cycle")
    add_number(group, "free-bits", number("a weight"), "nats of KL that each latent has for nothing")


def add_training(group):
    """Passes, mini-batches and steps."""
    add_number(group, "epochs", whole(), "passes over the training images")
    add_number(group, "batch", whole(), "images in a mini-batch")
    add_number(group, "lr", number("a step size", above=True, most=math.inf), "step size of the optimiser")
    add_curve(group, "lr", "a step size")
    words = "stop after so many epochs without a better validation loss, and keep the best epoch; 0: never"
    add_number(group, "patience", whole(0), words)
    add_number(group, "seed", seed, "same seed, same numbers")
    add_choice(group, "optimiser", OPTIMISERS, "")


GROUPS = {"data": add_data, "model": add_model, "objective and its gradient": add_objective, "training": add_training}


def add_number(group, name, kind, words):
    """An option for a number, with the default that the settings have."""
    default = DEFAULTS[name.replace("-", "_")]
    metavar = name.upper().split("-")[-1]
    group.add_argument(f"--{name}", type=kind, default=default, metavar=metavar, help=f"{words} (%(default)s)")


def add_curve(group, name, words):
    """How a number changes over all epochs, and to what."""
    add_choice(group, f"{name}-schedule", CURVES, f"from --{name}, over all epochs")
    group.add_argument(f"--{name}-end", type=number(words, above=True), metavar="END", help="what it is at the end")


def add_choice(group, name, known, words):
    """An option for one of several names, with the default that the settings have."""
    default = DEFAULTS[name.replace("-", "_")]
    group.add_argument(f"--{name}", choices=known, default=default, help=f"{words} (%(default)s)".lstrip())


def settings_of_options(options):
    """The settings that the options of a new run ask for."""
    expect_effect(options)
    row = TABLE[options.estimator]
    hyper = {"tau": options.tau} if options.tau is not None else {}
    hyper |= dict(hyper_parameter(row, text) for text in options.set)
    asked = {name: getattr(options, name) for name in CHOSEN if hasattr(options, name)}
    return Settings(**asked, S=row.fewest_samples if options.S is None else options.S, hyper=hyper)


def chosen(options):
    """The data and settings that the options of a new run ask for."""
    if options.data not in NAMES:
        data = read_dataset(options.data, options.kind, labels=options.labels, context=options.context)
        if "likelihood" not in options.given:
            options.likelihood = next(name for name, row in OBSERVATIONS.items() if fits(row, data))
        options.columns = data.columns
        return data, settings_of_options(options)
    settings = settings_of_options(options)
    how = {"task": options.task, "levels": options.levels, "context": options.context}
    return load(options.data, binarisation(options), options.data_dir, **how), settings


def binarisation(options):
    """What the pixels become: what the option says, else what the likelihood needs."""
    pixels = OBSERVATIONS[options.likelihood].pixels
    return options.binarisation or ("threshold" if pixels == "unit" else pixels)


def expect_effect(options):
    """Raise `InputError` for an option on the command line that nothing would look at."""
    own = options.data not in NAMES
    needs = {
        **dict.fromkeys(("kind", "labels"), (own, "--data FILE")),
        **dict.fromkeys(("binarisation", "task"), (not own, "the data sets of the package, not with a file")),
        "data_dir": (options.data == "mnist", "--data mnist, as the others need no folder"),
        "levels": (binarisation(options) == "levels", "--binarisation levels or --likelihood categorical"),
        "schedule_epochs": (options.schedule != "constant", "--schedule warm_up or cyclical"),
        "prior_rate": (
            PRIORS[options.prior].trained,
            "--prior learned, or another that is trained",
        ),
    }
    expect_looked_at(options.given, needs)


def hyper_parameter(row, text):
    """'tau=0.5' as ("tau", 0.5), of the type of the row's default. Raises InputError for what the row does not have."""
    name, _, value = text.partition("=")
    if name not in row.hyper:
        raise InputError(f"--set: {row.name} has {', '.join(row.hyper) or 'no hyper-parameters'}, got {text!r}")
    kind = type(row.hyper[name])
    read = {bool: {"True": True, "False": False}.__getitem__, int: whole(0), float: finite}.get(kind, kind)
    try:
        return name, read(value)
    except (KeyError, argparse.ArgumentTypeError):
        raise InputError(f"--set: expected {name} as {row.hyper[name]!r} is, got {value!r}") from None
