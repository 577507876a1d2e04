"""Quantised codes: every kind trains, its numbers are what they are called, PyTorch does the same work, the command goes on."""

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from dvae_np import cli, vq_vae
from dvae_np.bench.turns import FOLDER
from dvae_np.codebook import Averages, nearest
from dvae_np.experiments import quantised
from dvae_np.experiments.quantised import BATCH, DECAY, IN_PYTORCH, RATE, STUDIES, kinds_of
from dvae_np.laws import joint_states
from dvae_np.train import Adam, load

DIGITS = STUDIES["digits"]
KINDS = kinds_of(DIGITS)


@pytest.fixture(scope="module")
def data():
    return load("digits")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_learns(name, data):
    """Ten epochs: better than a codebook of one entry, whose best picture is the mean image at 25 nats."""
    quantiser = KINDS[name].quantiser
    found = quantised.measured(KINDS[name], data, 0, replace(DIGITS, epochs=10))
    assert found["uniform"] == pytest.approx(found["reconstruction"] + DIGITS.N * np.log(quantiser.codes))
    assert found["reconstruction"] < (25 if "signs" not in name else 27)
    assert found["reconstruction"] < found["learned"] < found["uniform"] + 0.5
    params = vq_vae.parameters(np.random.default_rng(0), 64, quantiser)
    assert 1 <= found["perplexity"] <= quantiser.codes and (found["distortion"] == 0) == ("codebook" not in params)


def test_all_models_of_a_study_have_as_many_codes():
    for study in STUDIES.values():
        assert {(kind.quantiser.N, kind.quantiser.codes) for kind in kinds_of(study).values()} == {(study.N, study.K)}


def test_a_codebook_by_averages_is_moved_by_nothing_else(data, monkeypatch):
    """One step: the entries are those of the averages of the first batch, at the vectors before the step."""
    seen = []
    moved = Averages.moved
    monkeypatch.setattr(
        Averages, "moved", lambda self, e, z, decay: seen.append((self, e, z)) or moved(self, e, z, decay)
    )
    params = quantised.train(KINDS["averages"], data.train.x[:BATCH], 0, 1)
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


def test_images_are_coded_in_parts_and_all_of_them(monkeypatch):
    x = np.arange(23.0)[:, None]
    monkeypatch.setattr(quantised, "CHUNK", 10)
    sizes = []
    doubled, whole = quantised.in_chunks(lambda part: (sizes.append(len(part)) or 2 * part, part[:, 0]), x)
    np.testing.assert_array_equal(doubled, 2 * x)
    np.testing.assert_array_equal(whole, x[:, 0])
    assert sizes == [10, 10, 3]


# PyTorch


def contestant():
    """The script of PyTorch's VQ-VAE."""
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("pytorch_vq_vae", FOLDER / "contestants/pytorch_vq_vae.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state_of(params):
    """Parameters as PyTorch's module names them; its linear layers hold their weights transposed."""
    state = {f"codebook.{name}": params["codebook"]["entries"] for name in ("entries", "sums")}
    state["codebook.counts"] = np.ones(len(params["codebook"]["entries"]), np.float32)
    for part, group in (("encoder", params["psi"]), ("decoder", params["theta"])):
        for i in range(2):
            weights = group[f"w{i}"].reshape(len(group[f"w{i}"]), -1)
            state |= {f"{part}.{2 * i}.weight": weights.T.copy(), f"{part}.{2 * i}.bias": group[f"b{i}"].ravel()}
    return state


def test_pytorch_takes_the_same_steps_from_the_same_start(data):
    """Thirty steps on one batch, whose order does not matter."""
    script, quantiser, x, steps = contestant(), KINDS[IN_PYTORCH].quantiser, data.train.x[:BATCH], 30
    params = vq_vae.parameters(np.random.default_rng(0), 64, quantiser, DIGITS.hidden)
    state = {name: array.copy() for name, array in state_of(params).items()}
    averages, first = Averages.of(params["codebook"]["entries"]), None
    optimiser = Adam({name: params[name] for name in ("psi", "theta")}, RATE)
    for _ in range(steps):
        nll, _, e, z, gradients = vq_vae.loss_and_gradients(params, x, quantiser)
        first = nll.mean() if first is None else first
        optimiser.step(gradients)
        averages = averages.moved(e, z, DECAY)
        params["codebook"]["entries"] = averages.codebook.astype(np.float32)
    nll, far, _, z, _ = vq_vae.loss_and_gradients(params, data.test.x, quantiser)
    sizes = {"N": quantiser.N, "K": quantiser.K, "D": quantiser.D, "hidden": DIGITS.hidden, "beta": quantiser.beta}
    found = script.train(
        x, data.test.x, **sizes, decay=DECAY, rate=RATE, batch=BATCH, epochs=steps, seed=0, start=state
    )
    assert nll.mean() < 0.8 * first
    assert np.mean(found[2] == z) > 0.99 and found[3].shape == (BATCH, quantiser.N)
    np.testing.assert_allclose([found[0].mean(), found[1].mean()], [nll.mean(), far.mean()], rtol=1e-5)


def test_pytorch_is_measured_as_this_package_is(data):
    contestant()
    found = quantised.in_pytorch(data, 0, replace(DIGITS, epochs=10))
    assert found["reconstruction"] < 25 and 1 < found["perplexity"] <= DIGITS.K and found.pop("version")
    assert list(found) == list(quantised.measured(KINDS[IN_PYTORCH], data, 0, replace(DIGITS, epochs=1)))


# The command


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(quantised, "SEEDS", 2)
    monkeypatch.setitem(STUDIES, "digits", replace(DIGITS, epochs=1, prior_steps=3, pairs=3))


def test_the_command_writes_the_record_prints_the_table_and_goes_on(tmp_path, short, capsys):
    command, path = ["compare", "--quantised", "--out", str(tmp_path / "q")], tmp_path / "q/data/quantised.json"
    assert cli.main(command) == 0
    record, printed = json.loads(path.read_text()), capsys.readouterr().out
    torch = importlib.util.find_spec("torch") is not None
    assert len(record["runs"]) == len(KINDS) + len(quantised.CATEGORICAL) + torch
    assert all(f"\n{name.partition(',')[0]}" in printed for name in record["runs"])
    assert all(runs[0] != runs[1] for runs in record["runs"].values())
    assert {name: len(runs) for name, runs in record["runs"].items() if len(runs) != 2} == {
        f"{maker}: {IN_PYTORCH}": 3 for maker in ("VQ", "PyTorch")[: 1 + torch]
    }
    assert record["command"] == "python -m dvae_np compare --quantised" and record["epochs"] == 1
    lost = record["runs"]["VQ: averages"].pop()
    path.write_text(json.dumps(record))
    assert cli.main(command) == 0
    again, printed = json.loads(path.read_text()), capsys.readouterr().out
    assert again["runs"]["VQ: averages"][1] == lost and printed.count("seed") == 1


def test_the_record_of_other_data_is_another():
    assert quantised.command_of(STUDIES["mnist"]) == "python -m dvae_np compare --quantised mnist"
    names = {study.record for study in STUDIES.values()}
    assert names == {"quantised", "quantised-mnist"}
