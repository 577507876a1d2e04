"""What several commands share: a progress bar, Ctrl-C as a question, folders that can be written to, options."""

import argparse
import json
import signal
from pathlib import Path

from dvae_np.arrays import InputError
from dvae_np.device import DEVICES
from dvae_np.train import Interrupted, fit


class Bar:
    """A progress bar on a terminal, fed with epochs; silent where standard error is no terminal."""

    def __init__(self, description, total, initial=0):
        from tqdm import tqdm

        self.bar = tqdm(desc=description, total=total, initial=initial, unit="epoch", disable=None, leave=False)

    def __call__(self, epoch, loss, validation):
        self.bar.set_postfix_str(f"loss {loss:.2f}, validation {validation:.2f} nats", refresh=False)
        self.bar.update()

    def close(self):
        """Remove the bar."""
        self.bar.close()


def progress(unit):
    """What wraps an iterable in a progress bar, which a terminal shows."""
    from tqdm import tqdm

    return lambda items: tqdm(items, unit=unit, disable=None, leave=False)


class Interruption:
    """Ctrl-C, or a request to terminate, as a question: has it been asked? A second one stops at once."""

    def __enter__(self):
        self.asked = False
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self):
        return self.asked

    def _ask(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


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


def write_record(path, record):
    """Numbers as JSON, in a folder made for them: whole or not at all; a number that is not finite is an error."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    part.replace(path)


def fit_with_bar(words, data, settings, checkpoints, start, where, go_on):
    """`fit` with a progress bar; None where Ctrl-C stopped it, after saying that `go_on` goes on."""
    bar = Bar(words, settings.epochs, start[0]["epoch"] if start else 0)
    try:
        with Interruption() as asked_to_stop:
            return fit(data, settings, bar, checkpoints, start, asked_to_stop, where)
    except Interrupted as stopped:
        print(f"\n{stopped}; saved in {stopped.path}\n{go_on}")
        return None
    finally:
        bar.close()


def add_out(command, folder, words="folder for figures and numbers"):
    """The option --out."""
    command.add_argument("--out", type=Path, default=Path(folder), help=f"{words} (%(default)s)")


def add_device(command):
    """The option --device."""
    words = "where to compute; gpu needs CuPy and an NVIDIA GPU (%(default)s)"
    command.add_argument("--device", choices=DEVICES, default="cpu", help=words)


def add_data_dir(command):
    """The option --data-dir."""
    command.add_argument("--data-dir", metavar="DIR", help="folder of the MNIST files, as for `train`")


def sizes(text):
    """'512,256' as (512, 256); 'none' or '' as ()."""
    try:
        return tuple(int(size) for size in text.split(",")) if text not in ("", "none") else ()
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers as 512,256, or none, got {text!r}") from None


def natural(text):
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)
