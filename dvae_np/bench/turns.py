"""Contestants take turns: one process each, one call each, again and again, so that the machine's moods meet all of them."""

import contextlib
import importlib.util
import math
import pickle
import signal
import subprocess
import sys
import tempfile
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
SECONDS = 5.0  # for the calls of one contestant in one case: slow ones skip rounds
QUICK, IN_A_ROW = 0.1, 5  # of calls quicker than that as many are made in a row, but at least 5
AFRESH, ROUNDS = ("dvae_np", "bare products"), 3  # whose processes are started afresh after so many rounds


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
    """A contestant in a process of its own, which keeps its cases ready to be called.

    While it is not its turn the process is stopped (where the system can): the threads of a BLAS go on spinning for a tenth
    of a second after their last product, and would take the cores from whoever is next.
    """

    def __init__(self, name):
        self.name, self.made = name, {}
        self.start()

    def start(self):
        """Start the process."""
        self.complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command_of(self.name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.complaints
        )

    def make(self, key, work, inputs):
        """(value, seconds) of the first call of a case, building or compiling included; None where it cannot do the case.

        A process that the case kills, as for want of memory, is started again, with the cases that it had; its last words
        are printed.
        """
        try:
            value, seconds = self.ask("make", key, work, inputs)
        except EOFError:
            self.complaints.seek(0)
            words = self.complaints.read().decode(errors="replace").strip().splitlines()
            print(f"{self.name} cannot do {work}: {words[-1] if words else 'its process ended'}", file=sys.stderr)
            self.start_afresh()
            return None
        if value is None:
            return None
        self.made[key] = work, inputs
        return value, seconds

    def start_afresh(self):
        """Go on in another process, with the cases that this one had."""
        self.close()
        self.start()
        for key, (work, inputs) in self.made.items():
            self.ask("make", key, work, inputs)

    def forget(self):
        """Let go of all cases. Returns when the process is there: at first, when it has imported its library."""
        self.made.clear()
        with contextlib.suppress(EOFError):
            self.ask("forget")

    def ask(self, *request):
        """Its answer to a request of `worker`. Raises `EOFError` where its process ended."""
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
        self.complaints.close()


def take_turns(contestants, cases, runs, progress=iter):
    """Every contestant's first call of every case, then `runs` rounds of all cases, so that a slow minute meets them all.

    A process may be some percent slower than the next one for as long as it lives: the two that are quick to start, and whose
    ratio matters most, have several.

    Returns for each case {name: facts} of those that can do it. Facts: ``value`` of the first call, ``first`` (seconds until
    it was there, with what had to be built or compiled), ``ms`` (a list), ``peak_mb`` (None where it cannot be told).
    """
    facts = [{} for _ in cases]
    for turn, key in enumerate(progress([*range(len(cases))] * (1 + runs))):
        lap = turn // len(cases)
        if lap == 0:
            inputs = cases[key].inputs()
            for contestant in contestants:
                if made := contestant.make(key, cases[key].work, inputs):
                    facts[key][contestant.name] = {"value": made[0], "first": made[1], "ms": []}
            continue
        for contestant in contestants:
            if key == 0 and lap > 1 and (lap - 1) % ROUNDS == 0 and contestant.name in AFRESH:
                contestant.start_afresh()
            own = facts[key].get(contestant.name)
            if own and (lap - 1) % rounds_per_turn(own["ms"], runs) == 0:
                calls = calls_per_turn(own["ms"])
                own["ms"] += [1e3 * seconds for seconds in contestant.ask("call", key, calls)[calls > 1 :]]
    for contestant in contestants:
        for key, own in enumerate(facts):
            if contestant.name in own:
                on_gpu = CONTESTANTS[contestant.name][1] == "cupy"
                own[contestant.name]["peak_mb"] = None if on_gpu else contestant.ask("peak", key)
        contestant.forget()
    return facts


def calls_per_turn(ms):
    """How many calls a contestant makes in a turn, whose calls took so long.

    The first of several is not counted: it wakes threads and caches.
    """
    return 1 + max(IN_A_ROW, int(QUICK * 1e3 / min(ms))) if ms and min(ms) < QUICK * 1e3 else 1


def rounds_per_turn(ms, runs):
    """Every how many rounds it has a turn: the slow have few, but from the first round to the last."""
    return math.ceil(runs * calls_per_turn(ms) * min(ms) / (SECONDS * 1e3)) if ms else 1
