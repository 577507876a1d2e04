"""The run of the bench: every case by every contestant, growth, and whole processes from start to first gradient."""

import importlib.util
import math
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.bench.problems import cases
from dvae_np.bench.summary import SECTIONS, tables, targets
from dvae_np.bench.turns import Contestant, command_of, installed, take_turns

AGREE = {"step": 0.02, "replicates": 0.05, "exact": 1e-3, "joint": 1e-3, "conditional": 1e-3, "chain": 1e-4}  # relative
STARTED = ("dvae_np", "PyTorch", "JAX")
GROWING = ("dvae_np", "bare products")


def measure(sections, runs, progress=iter):
    """Time these sections (names of `SECTIONS`) and return a record of plain values for a JSON file.

    progress: wraps the list of a section's turns, for a bar. Raises InputError where two contestants do not compute the same
    number, as they would not be doing the same work.
    """
    names = installed()
    record = {
        "command": "python -m dvae_np bench"
        + "".join(f" --section {name}" for name in sections if set(sections) != set(SECTIONS)),
        "machine": machine(names),
        "runs": runs,
        "cases": [],
        "growth": {},
        "start": {},
    }
    contestants = [Contestant(name) for name in names]
    try:
        for contestant in contestants:  # none is timed while another still imports its library
            contestant.forget()
        for section in dict.fromkeys(case.section for case in cases() if case.section in sections):
            own = [case for case in cases() if case.section == section]
            if section == "start":
                record["start"] = starts(own[0], names, runs)
                continue
            racing = [each for each in contestants if section != "growth" or each.name in GROWING]
            for case, facts in zip(own, take_turns(racing, own, runs, progress), strict=True):
                if section == "growth":
                    axis, size = case.label.split(" = ")
                    record["growth"].setdefault(axis, []).append({"size": int(size), "contestants": rounded(facts)})
                else:
                    expect_same(case, facts)
                    record["cases"].append({"section": section, "label": case.label, "contestants": rounded(facts)})
    finally:
        for contestant in contestants:
            contestant.close()
    return record


def merged(old, record, sections):
    """The record with those sections of an `old` one (or None) that were not measured again."""
    if old is None:
        return record
    cases = [case for case in old["cases"] if case["section"] not in sections] + record["cases"]
    kept = {name: record[name] or old[name] for name in ("growth", "start")}
    return record | {"command": old["command"], "cases": cases, **kept}


def expect_mergeable(old):
    """Raise `InputError` for an old record that cannot be read as one, or whose other sections are of another machine."""
    if old is None:
        return
    try:
        tables(old)
        targets(old)
        here, there = machine(installed()), old["machine"]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"data/bench.json: expected a record of this command, which cannot be read ({error!r})"
        ) from error
    if here != there:
        raise InputError(
            f"--section: the record beside which it belongs is of another machine or other libraries ({there}; here {here}); "
            "measure all sections, or name another folder"
        )


def expect_same(case, facts):
    """Raise `InputError` unless all contestants found this package's number."""
    if case.section not in AGREE:
        return
    ours = facts["dvae_np"]["value"]
    for name, own in facts.items():
        if not math.isnan(own["value"]) and abs(own["value"] - ours) > AGREE[case.section] * abs(ours):
            raise InputError(f"{case.label}: {name} computes {own['value']:.6g}, dvae_np {ours:.6g}: not the same work")


def starts(case, names, runs):
    """Seconds of whole processes, in turn: to the first call of a case, and to import alone."""
    commands = {f"import {module}": [sys.executable, "-c", f"import {module}"] for module in ("numpy", "dvae_np")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case"
        path.write_bytes(pickle.dumps((case.work, case.inputs())))
        commands |= {name: command_of(name, "--once", str(path)) for name in names if name in STARTED}
        seconds = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - started)
    return {name: quantiles(times) for name, times in seconds.items()}


def rounded(facts):
    """Quantiles of the milliseconds, and the rest, short enough to be read."""
    return {name: {"ms": quantiles(own["ms"]), "first_s": round(own["first"], 3),
                   "peak_mb": None if own["peak_mb"] is None else round(own["peak_mb"], 1)}
            for name, own in facts.items()}  # fmt: skip


def quantiles(values):
    """[lower quartile, median, upper quartile, how many], to four digits."""
    return [*(float(f"{value:.4g}") for value in np.quantile(values, (0.25, 0.5, 0.75))), len(values)]


def machine(names):
    """Cores, threads, the vector instructions that NumPy found (its exponentials and logarithms depend on them), versions.

    And, where threadpoolctl is installed, the processor that OpenBLAS takes this one for: it decides how fast products are,
    and OPENBLAS_CORETYPE in the environment decides it.
    """
    from importlib.metadata import version

    libraries = {"PyTorch": "torch", "JAX": "jax", "Pyro": "pyro-ppl"}
    versions = [
        f"NumPy {np.__version__}",
        *(f"{name} {version(package)}" for name, package in libraries.items() if name in names),
    ]
    if "dvae_np, GPU" in names:
        import cupy

        gpu = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        versions.append(f"CuPy {cupy.__version__} on one {gpu}")
    vectors = " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", ()))
    threads = os.environ.get("OPENBLAS_NUM_THREADS") or os.cpu_count()
    kernels = ""
    if importlib.util.find_spec("threadpoolctl"):
        from threadpoolctl import threadpool_info

        found = [library["architecture"] for library in threadpool_info() if "architecture" in library]
        kernels = f" of {found[0]} kernels" if found else ""
    return (
        f"{os.cpu_count()} cores, {platform.machine()} ({vectors or 'baseline'}), {threads} BLAS threads{kernels}, "
        f"Python {platform.python_version()}, " + ", ".join(versions)
    )
