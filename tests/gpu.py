"""By hand, on a machine with an NVIDIA card: python tests/gpu.py

Installs CuPy where it is missing, runs tests/test_device.py on the card, times training steps and exact marginalisation by
NumPy and by CuPy (the bench's own sections: warmed up, waiting for the card, medians of several rounds), and writes the record
dvae_np/records/gpu.json. Where anything is missing or fails, it says what in a sentence, and writes nothing.
"""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from dvae_np import InputError, device, records
from dvae_np.bench import measure
from dvae_np.files import write_record

ROOT = Path(__file__).resolve().parents[1]
SECTIONS, RUNS = ("step", "exact"), 9


def main():
    """Exit status 0, or 1 where a test failed, or 2 without a card that can be used."""
    try:
        card, driver, cuda = found_card()
        if importlib.util.find_spec("cupy") is None:
            install(f"cupy-cuda{cuda}x[ctk]")
        device.device("gpu")
        tests = tested()
        record = {"command": "python tests/gpu.py", "card": card, "driver": driver, "tests": tests, **measured()}
    except InputError as error:
        print(f"tests/gpu.py: {error}", file=sys.stderr)
        return 1 if "tests/test_device.py" in str(error) else 2
    path = records.FOLDER / "gpu.json"
    write_record(path, record)
    print(f"written to {path}; now README's sentence on CuPy, and: python -m dvae_np figures --out figures")
    return 0


def found_card():
    """(name of the card, version of its driver, major version of the CUDA that the driver has)."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        first = output(query).splitlines()[0]
        card, driver = first.rsplit(", ", 1)
        cuda = re.search(r"CUDA Version: (\d+)", output(["nvidia-smi"]))[1]
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError, TypeError):
        raise InputError("expected a machine with an NVIDIA card and its driver: nvidia-smi names none here") from None
    return card, driver, cuda


def output(command):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def install(package):
    """Install a package beside the others."""
    print(f"installing {package}")
    if subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package]).returncode:
        raise InputError(f"CuPy is missing, and pip could not install {package}")
    importlib.invalidate_caches()


def tested():
    """The last line of the tests, run on the card; raises InputError where one fails."""
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "tests/test_device.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    if done.returncode:
        raise InputError("tests/test_device.py fails on this card, as printed above")
    return done.stdout.strip().splitlines()[-1]


def measured():
    """The machine, and the sections of the bench, by every contestant that is here, the card among them."""
    record = measure.measure(SECTIONS, RUNS)
    return {name: record[name] for name in ("machine", "runs", "cases", "growth", "start")}


if __name__ == "__main__":
    sys.exit(main())
