"""The process that a contestant lives in; run as a script, so that it imports nothing but the contestant.

    python worker.py CONTESTANT.py VARIANT            serve requests: pickles on standard input, answers on standard output
    python worker.py CONTESTANT.py VARIANT --once F   make the case in the pickle F, call it once, and end

A contestant's `VARIANTS` has for each of its names a dict of functions; a function takes a case's arrays and returns a call
that does the work and returns its value, or None for a size that is beyond it.
"""

import gc
import importlib.util
import pickle
import sys
import time
import tracemalloc
from pathlib import Path


def main():
    """Load the contestant, then make and call what is asked for."""
    script, variant = sys.argv[1:3]
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what a library prints is no answer
    spec = importlib.util.spec_from_file_location(Path(script).stem, script)
    contestant = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contestant)
    functions = contestant.VARIANTS[variant]
    if sys.argv[3:4] == ["--once"]:
        work, inputs = pickle.loads(Path(sys.argv[4]).read_bytes())
        functions[work](**inputs)()
        return
    calls = {}
    while True:
        try:
            request, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if request == "make":
            key, work, inputs = arguments
            started = time.perf_counter()
            call = functions[work](**inputs) if work in functions else None
            value = None if call is None else float(call())
            answer, calls[key] = (value, time.perf_counter() - started), call
        elif request == "call":
            (key, times), answer = arguments, []
            for _ in range(times):
                started = time.perf_counter()
                calls[key]()
                answer.append(time.perf_counter() - started)
        elif request == "peak":
            answer = peak(calls[arguments[0]], contestant.TRACED)
        else:
            answer, call = calls.clear(), None
            gc.collect()
        pickle.dump(answer, answers)
        answers.flush()


def peak(call, traced):
    """The most memory that one call holds at a time, over what it found, in MB.

    NumPy tells tracemalloc about its arrays; of others the process's own high-water mark is read, where Linux gives it.
    """
    if traced:
        tracemalloc.start()
        call()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most / 2**20
    try:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        call()
        return (_status("VmHWM") - before) / 2**10
    except OSError:
        return None


def _status(name):
    """A number of kB from the kernel's report on this process."""
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0])


if __name__ == "__main__":
    main()
