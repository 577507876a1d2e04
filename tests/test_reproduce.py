"""The published table: the set-up is the paper's, a run is recorded, repeatable, and goes on where it stopped."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dvae_np import cli, vae
from dvae_np.experiments import first_steps, reproduce
from dvae_np.networks import latents
from dvae_np.train import Checkpoints, Training, checkpoint, load
from dvae_np.train.data import Split


@pytest.fixture
def tiny(monkeypatch):
    """Digits in place of MNIST."""
    data = load("digits", "grey")
    monkeypatch.setattr(reproduce, "grey_mnist", lambda folder: data)
    return data


@pytest.mark.parametrize("size", reproduce.SIZES)
def test_the_set_up_is_the_papers(size):
    """Layers 784-512-256-(N K) and back; every weight uniform in +-1/sqrt(fan in), the embedding's too."""
    settings = reproduce.settings_of(size, "reinmax", 0)
    K, N = map(int, size.split("x"))
    assert (settings.N, settings.K, settings.batch, settings.epochs, settings.S) == (N, K, 100, 160, 1)
    x = np.zeros((2, 784), np.float32)
    data = replace(load("digits"), train=Split(x, np.zeros(2)))
    params = Training(data, settings).params
    assert latents(params) == (N, K)
    shapes = {"psi": [(784, 512), (512, 256), (256, N, K)], "theta": [(256, 512), (512, 784)]}
    for group, expected in shapes.items():
        assert [params[group][f"w{i}"].shape for i in range(len(expected))] == expected
        for i, (fan_in, *_) in enumerate(expected):
            assert 0.95 * fan_in**-0.5 < abs(params[group][f"w{i}"]).max() <= fan_in**-0.5
    assert params["theta"]["table"].shape == (N, K, 256)
    assert 0.95 * (N * K) ** -0.5 < abs(params["theta"]["table"]).max() <= 1.001 * (N * K) ** -0.5


def test_a_run_is_recorded_and_repeatable(tiny, tmp_path, capsys):
    records = []
    for out in ("one", "two"):
        command = [
            "reproduce",
            "reinmax",
            "--estimator",
            "straight_through_gumbel",
            "--epochs",
            "2",
            "--out",
            str(tmp_path / out),
        ]
        assert cli.main(command) == 0
        path = tmp_path / out / "reinmax-8x4-straight_through_gumbel-s0-e2.json"
        records.append(json.loads(path.read_text()))
    assert "training loss of the last epoch" in capsys.readouterr().out
    for record in records:
        assert record["command"].endswith("--size 8x4 --estimator straight_through_gumbel --seed 0 --epochs 2")
        assert record["settings"]["hyper"] == {"tau": 0.5} and record["settings"]["lr"] == 3e-4
        del record["seconds"]
    assert records[0] == records[1]
    before = path.read_text()
    (path.parent / path.name).unlink()
    assert (
        cli.main(command) == 0 and "going on from" in capsys.readouterr().out
    )  # finished: evaluated again from its checkpoint
    again = json.loads(path.read_text())
    assert again["history"] == json.loads(before)["history"] and again["test"] == json.loads(before)["test"]


def test_the_first_image_is_told_in_the_names(tiny, tmp_path):
    command = ["reproduce", "reinmax", "--epochs", "1", "--first-image", "mean", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    record = json.loads((tmp_path / "reinmax-8x4-reinmax-s0-e1-mean.json").read_text())
    assert record["settings"]["first_image"] == "mean"
    assert record["command"].endswith("--size 8x4 --estimator reinmax --seed 0 --epochs 1 --first-image mean")


def test_the_first_gradient_is_the_same_for_all_images_unless_the_first_image_is_the_mean(
    tiny, tmp_path, capsys, monkeypatch
):
    few = replace(tiny, validation=Split(tiny.validation.x[:30], tiny.validation.labels[:30]))
    monkeypatch.setattr(reproduce, "grey_mnist", lambda folder: few)
    monkeypatch.setattr(first_steps, "EVERY", 1)
    monkeypatch.setattr(first_steps, "first_steps", partial(first_steps.first_steps, steps=1, seeds=(0, 1)))
    assert cli.main(["collapse", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "data" / "collapse.json").read_text())
    common = {start: [run["common"] for run in record["runs"] if run["start"] == start] for start in first_steps.STARTS}
    mean, random = common["mean image"] + common["train"], common["as published"] + common["train, random image"]
    assert max(mean) < 0.1 < 0.3 < min(random + common["larger rows"])
    assert all(
        len(run["entropy"]) == len(run["codes"]) == 2 and 0 < run["entropy"][1] <= np.log(8) for run in record["runs"]
    )
    assert "mean image" in capsys.readouterr().out and (tmp_path / "collapse.png").stat().st_size > 5000


def test_the_common_share_by_hand():
    """One image has all of it in common; two whose gradients are opposite, nothing."""
    rng = np.random.default_rng(0)
    params = vae.parameters(rng, 4, 1, 2, (), np.float64)
    for group in params.values():
        for array in group.values():
            array[...] = 0
    params["theta"]["table"][0, :, :] = [[3.0], [-3.0]]  # one code paints all pixels white, the other black
    x = np.array([[1.0] * 4, [0.0] * 4])
    assert (
        first_steps.first_gradient(params, x[:1])[0] == pytest.approx(1)
        and first_steps.first_gradient(params, x)[0] < 1e-20
    )


def test_a_crafted_checkpoint_is_refused_in_a_sentence(tiny, tmp_path, capsys):
    command = ["reproduce", "reinmax", "--epochs", "1", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    path, facts, arrays, _ = Checkpoints(tmp_path / "reinmax-8x4-reinmax-s0-e1").newest()
    capsys.readouterr()
    for wrong in ({"epoch": "x"}, {"history": {}}, {"epoch": 7}, {"generator": None}, {"settings": {}}):
        checkpoint.write(path, facts | wrong, arrays)
        assert cli.main(command) == 2
        told = capsys.readouterr().err
        assert told.startswith("dvae_np: resume: ") and told.count("\n") == 1
