"""Contestants take turns: one process each, one call each, again and again, so that the machine's moods meet all of them."""

import contextlib
import importlib.util
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from dvae_np.arrays import InputError
from dvae_np.device import device

FOLDER = Path(__file__).parent
CONTESTANTS = {  # name: (script, the library that it needs)
    "dvae_np": ("ours", "numpy"),
    "bare products": ("bare", "numpy"),
    "dvae_np, GPU": ("ours", "cupy"),
    "NumPy, every pair": ("ours", "numpy"),
    "PyTorch": ("pytorch", "torch"),
    "PyTorch, compiled": ("pytorch", "torch"),
    "PyTorch, each state once": ("pytorch", "torch"),
    "PyTorch, a loop": ("pytorch", "torch"),
    "JAX": ("jax_jit", "jax"),
    "JAX, each state once": ("jax_jit", "jax"),
    "Pyro": ("pyro_enumeration", "pyro"),
}
SECONDS = 3.0  # for the calls of one contestant in one case: slow ones are called less often
QUICK, IN_A_ROW = 0.1, 5  # calls quicker than that are made in a row, after one to wake threads and caches


def installed():
    """The contestants whose library is here, and, for those on a GPU, whose GPU is too."""
    return [
        name for name, (_, library) in CONTESTANTS.items() if importlib.util.find_spec(library) and _usable(library)
    ]


def _usable(library):
    try:
        return library != "cupy" or device("gpu")
    except InputError:
        return False


def command_of(name, *more):
    """The command of a contestant's process."""
    script = FOLDER / "contestants" / f"{CONTESTANTS[name][0]}.py"
    return [sys.executable, str(FOLDER / "worker.py"), str(script), name, *more]


class Contestant:
    """A contestant in a process of its own, which keeps one case ready to be called.

    While it is not its turn the process is stopped (where the system can): the threads of a BLAS go on spinning for a tenth
    of a second after their last product, and would take the cores from whoever is next.
    """

    def __init__(self, name):
        self.name = name
        self.start()

    def start(self):
        """Start the process."""
        self.process = subprocess.Popen(
            command_of(self.name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def wait(self):
        """Wait until it has imported its library; then it is stopped."""
        with contextlib.suppress(EOFError):
            self.ask("make", None, None)

    def ask(self, *request):
        """Its answer to a request of `worker`. Raises `EOFError` where its process ended, as for want of memory."""
        self.signal("SIGCONT")
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except BrokenPipeError:
            raise EOFError from None
        finally:
            self.signal("SIGSTOP")

    def signal(self, name):
        """Send the signal of this name, where the system has such a one."""
        if hasattr(signal, name):
            self.process.send_signal(getattr(signal, name))

    def close(self):
        """End the process."""
        self.signal("SIGCONT")
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def take_turns(contestants, case, runs):
    """Every contestant's first call and then `runs` rounds in turn; returns {name: facts} of those that can do the case.

    Facts: ``value`` of the first call, ``first`` (seconds until it was there, with what had to be built or compiled), ``ms``
    (a list), ``peak_mb`` (None where it cannot be told). A contestant that a case kills is left out, and started again.
    """
    inputs, facts = case.inputs(), {}
    for contestant in contestants:
        try:
            value, first = contestant.ask("make", case.work, inputs)
        except EOFError:
            contestant.close()
            contestant.start()
            continue
        if value is not None:
            facts[contestant.name] = {"value": value, "first": first, "ms": []}
    racing = [contestant for contestant in contestants if contestant.name in facts]
    for _ in range(runs):
        for contestant in racing:
            own = facts[contestant.name]
            if not own["ms"] or sum(own["ms"]) + max(own["ms"]) < SECONDS * 1e3:
                quick = bool(own["ms"]) and min(own["ms"]) < QUICK * 1e3
                seconds = contestant.ask("call", 1 + IN_A_ROW if quick else 1)
                own["ms"] += [1e3 * each for each in seconds[quick:]]
    for contestant in racing:
        facts[contestant.name]["peak_mb"] = contestant.ask("peak")
        contestant.ask("make", None, None)  # lets go of the case's arrays
    return facts
