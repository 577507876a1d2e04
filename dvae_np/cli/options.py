"""Options: their parser; a type for each kind of argument, which refuses at the door what no command can use; and those that
several commands have."""

import argparse
import re
import sys
from functools import partial
from pathlib import Path

from dvae_np.arrays import InputError, expect_number, expect_whole
from dvae_np.device import DEVICES

MOST, MOST_SEED = 10**9, 2**63 - 1  # of any number here


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and whose options have one name."""

    def __init__(self, **how):
        super().__init__(**how, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        """The same, but ``--option=--`` is refused, whose value argparse loses before Python 3.13."""
        for word in sys.argv[1:] if args is None else args:
            if word.startswith("--") and word.endswith("=--"):
                self.error(f"{word.removesuffix('=--')}: expected a value, got '--'")
        return super().parse_known_args(args, namespace)

    def error(self, message):
        """Print it and exit with status 2."""
        words = " ".join(message.removeprefix("argument ").split())
        self.exit(2, f"dvae_np: {words} (--help explains)\n")


class Recorded(argparse.Action):
    """Store an option's value, and remember in ``given`` that it was on the command line, whatever its value."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        namespace.given = (*getattr(namespace, "given", ()), self.dest)


def as_option(error, options):
    """The `InputError`, under the name of the option that it is about, if a command has one of the name that it begins with."""
    name, colon, words = str(error).partition(":")
    if not (colon and hasattr(options, name.replace("-", "_"))):
        return error
    return InputError(f"--{name.replace('_', '-')}:{words}")


def expect_looked_at(given, needs):
    """Raise `InputError` for an option on the command line that nothing would look at. needs: {name: (is it?, with what)}."""
    for name in given:
        looked_at, words = needs.get(name, (True, ""))
        if not looked_at:
            raise InputError(f"--{name.replace('_', '-')}: has an effect only with {words}")


def read_as(kind, expect):
    """The type of an option: its text as this `kind` of number, of which `expect` says what it must be."""

    def parse(text):
        try:
            value = kind(text)
        except (ValueError, OverflowError):
            value = text
        try:
            expect("", value)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(": ")) from None
        return value

    return parse


def whole(least=1, most=MOST):
    """The type of a whole number."""
    return read_as(_whole, partial(expect_whole, least=least, most=most))


def _whole(text):
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
        raise ValueError
    return int(text)


def number(words, *, above=False, most=MOST):
    """The type of a number of at least 0, or above it."""
    return read_as(float, partial(expect_number, words=words, most=most, above=above))


def seed(text):
    """The whole number that a generator starts from."""
    return whole(0, MOST_SEED)(text)


def finite(text):
    """A number of either sign."""
    return read_as(float, partial(expect_number, least=-MOST, most=MOST))(text)


def listed(kind, words):
    """The type of several values with commas between them, each of this kind."""

    def parse(text):
        try:
            return tuple(kind(part) for part in text.split(","))
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentTypeError(f"expected {words}, got {text!r} ({error})") from None

    return parse


def sizes(text):
    """'512,256' as (512, 256); 'none' as ()."""
    return () if text == "none" else listed(whole(1, 10**6), "numbers as 512,256, or none")(text)


def codes(text):
    """'3,1' as (3, 1)."""
    return listed(whole(0), "codes as 3,1")(text)


def probabilities(text):
    """'3,1,1' as (0.6, 0.2, 0.2)."""
    shares = listed(number("a number", above=True), "numbers above 0, as 3,1,1")(text)
    return tuple(share / sum(shares) for share in shares)


def size(text):
    """'8x4' as (8, 4): categories, latents."""
    try:
        K, N = map(whole(), text.split("x"))
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"expected categories x latents as 8x4, got {text!r}") from None
    return K, N


def path(text):
    """The path of a file or folder."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected the name of a file or folder, got {text!r}")
    return Path(text)


def add_out(command, folder, words="folder for figures and numbers"):
    """The option --out."""
    command.add_argument("--out", type=path, default=Path(folder), help=f"{words} (%(default)s)")


def add_device(command):
    """The option --device."""
    words = "where to compute; gpu needs CuPy and an NVIDIA GPU (%(default)s)"
    command.add_argument("--device", choices=DEVICES, default="cpu", help=words)


def add_data_dir(command, words="folder of the MNIST files, as for `train`"):
    """The option --data-dir."""
    command.add_argument("--data-dir", type=path, metavar="DIR", help=words)


def add_seed(command, words="same seed, same numbers (%(default)s)"):
    """The option --seed."""
    command.add_argument("--seed", type=seed, default=0, help=words)
