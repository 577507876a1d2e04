"""The script that tests and measures on a card: what it says where there is none, and what it writes where there is one."""

import os
import subprocess
import sys
from pathlib import Path

import gpu
import pytest

from dvae_np import device, records
from dvae_np.experiments.page_costs import on_gpu

SCRIPT, KEPT = Path(gpu.__file__), records.FOLDER / "gpu.json"
SMI = f"""#!{sys.executable}
import sys
print("NVIDIA H100 80GB HBM3, 550.54.15" if len(sys.argv) > 1 else "| Driver Version: 550.54.15   CUDA Version: 12.4 |")
"""


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A folder that alone is looked at for commands, with an nvidia-smi that names a card."""
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "smi", [None, "#!/bin/sh\nexit 9\n", "#!/bin/sh\n"], ids=["no driver", "driver broken", "no card"]
)
def test_without_a_card_it_says_so_and_writes_nothing(smi, tmp_path):
    if smi:
        (tmp_path / "nvidia-smi").write_text(smi)
        (tmp_path / "nvidia-smi").chmod(0o755)
    before = KEPT.read_bytes() if KEPT.exists() else None
    done = subprocess.run(
        [sys.executable, SCRIPT], env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    sentence = "tests/gpu.py: expected a machine with an NVIDIA card and its driver: nvidia-smi names none here\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)
    assert (KEPT.read_bytes() if KEPT.exists() else None) == before


def test_a_card_that_cupy_cannot_use_is_said_in_a_sentence(card, monkeypatch, capsys):
    (card / "cupy.py").write_text("__version__ = '13.0'\ndef is_available(): return False\n")
    monkeypatch.syspath_prepend(card)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(records, "FOLDER", card)
    assert gpu.main() == 2
    assert capsys.readouterr().err.startswith("tests/gpu.py: device: CuPy 13.0 is installed but finds no GPU")
    assert not (card / "gpu.json").exists()


def test_what_is_measured_is_written_whole_and_shown(card, monkeypatch):
    """As on a card, but with NumPy's arrays: the record has the card, the tests and the times, and the page shows them."""
    monkeypatch.setattr(records, "FOLDER", card)
    monkeypatch.setattr(device, "device", lambda name: device.CPU)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(gpu, "tested", lambda: "90 passed")
    facts = {"ms": [1.0, 2.0, 3.0, 9], "first_s": 0.1, "peak_mb": 1.0}
    case = {"section": "step", "label": "ST-Gumbel, 8x4", "contestants": {"dvae_np": facts, "dvae_np, GPU": facts}}
    monkeypatch.setattr(gpu, "measured", lambda: {"machine": "NumPy, CuPy", "cases": [case], "growth": {}, "start": {}})
    assert gpu.main() == 0
    record = records.read("gpu")
    assert (
        record["card"] == "NVIDIA H100 80GB HBM3" and record["driver"] == "550.54.15" and record["tests"] == "90 passed"
    )
    assert record["command"] == "python tests/gpu.py" and not list(card.glob("*.part"))
    assert "| ST-Gumbel, 8x4 | 2 ms | 1 to 3 | 1 MB | 1 |" in on_gpu() and record["card"] in on_gpu()


def test_a_failing_test_leaves_no_record(card, monkeypatch, capsys):
    monkeypatch.setattr(records, "FOLDER", card)
    monkeypatch.setattr(device, "device", lambda name: device.CPU)
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(gpu.subprocess, "run", lambda command, **how: subprocess.CompletedProcess(
        command, 0 if command[0] == "nvidia-smi" else 1, "NVIDIA H100, 550\nCUDA Version: 12.4", ""))  # fmt: skip
    assert gpu.main() == 1
    assert "tests/test_device.py fails on this card" in capsys.readouterr().err and not (card / "gpu.json").exists()


def test_the_sections_are_those_that_the_card_takes_part_in(monkeypatch):
    """One round of them, here without a card: a record of the bench."""
    monkeypatch.setattr(gpu, "RUNS", 1)
    monkeypatch.setattr(gpu, "SECTIONS", ("conditional",))
    record = gpu.measured()
    assert [case["section"] for case in record["cases"]] == ["conditional"] and "NumPy" in record["machine"]
