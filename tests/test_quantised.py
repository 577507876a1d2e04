"""Quantised codes on the digits: every kind trains, its numbers are what they are called, the command writes them."""

import json

import numpy as np
import pytest

from dvae_np import cli, vq_vae
from dvae_np.codebook import Averages, nearest
from dvae_np.experiments import quantised
from dvae_np.laws import joint_states
from dvae_np.train import load


@pytest.fixture(scope="module")
def data():
    return load("digits")


@pytest.mark.parametrize("name", quantised.KINDS)
def test_every_kind_learns(name, data):
    """Ten epochs: better than a codebook of one entry, whose best picture is the mean image at 25 nats."""
    found = quantised.measured(quantised.KINDS[name], data, 0, 10)
    codes = quantised.KINDS[name].quantiser.codes
    assert found["uniform"] == pytest.approx(found["reconstruction"] + quantised.N * np.log(codes))
    assert found["reconstruction"] < (25 if "signs" not in name else 27)
    assert found["reconstruction"] < found["learned"] < found["uniform"] + 0.5
    assert 1 <= found["perplexity"] <= codes and (found["distortion"] == 0) == ("codebook" not in vq_vae.parameters(
        np.random.default_rng(0), 64, quantised.KINDS[name].quantiser))  # fmt: skip


def test_a_codebook_by_averages_is_moved_by_nothing_else(data, monkeypatch):
    """One step: the entries are those of the averages of the first batch, at the vectors before the step."""
    seen = []
    moved = Averages.moved
    monkeypatch.setattr(
        Averages, "moved", lambda self, e, z, decay=0.99: seen.append((self, e, z)) or moved(self, e, z, decay)
    )
    params = quantised.train(quantised.KINDS["averages"], data.train.x[: quantised.BATCH], 0, 1)
    ((before, e, z),) = seen
    np.testing.assert_array_equal(z, nearest(e, before.codebook.astype(e.dtype)))
    np.testing.assert_array_equal(params["codebook"]["entries"], moved(before, e, z).codebook.astype(e.dtype))


def test_the_fitted_prior_is_a_law_and_knows_what_codes_have_in_common():
    """Two codes that are always equal: half of the two latents' log K is saved, nearly."""
    rng, K = np.random.default_rng(0), 5
    z = np.repeat(rng.integers(0, K, (500, 1)), 2, 1)
    length = quantised.fitted_prior(z, K)
    assert np.exp(-length(joint_states(2, K))).sum() == pytest.approx(1)
    assert np.log(K) - 0.05 < length(z).mean() < np.log(K) + 0.3


def test_the_command_writes_the_record_and_prints_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quantised, "SEEDS", (0,))
    whole = quantised.quantised
    monkeypatch.setattr(quantised, "quantised", lambda progress: whole(progress, 1))
    monkeypatch.setattr(quantised, "PRIOR_STEPS", 3)
    assert cli.main(["compare", "--quantised", "--out", str(tmp_path / "q")]) == 0
    record, printed = json.loads((tmp_path / "q/data/quantised.json").read_text()), capsys.readouterr().out
    assert len(record["runs"]) == len(quantised.KINDS) + len(quantised.CATEGORICAL)
    assert all(f"\n{name.partition(',')[0]}" in printed for name in record["runs"])
    assert record["command"] == quantised.COMMAND and record["epochs"] == 1
