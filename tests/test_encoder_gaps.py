"""The gap between the two yardsticks, taken apart: by enumeration, by a grid, and through the command."""

import json

import numpy as np
import pytest

from dvae_np import cli, records
from dvae_np.experiments import encoder_gaps, equal_time
from dvae_np.experiments.rule import Size
from dvae_np.laws import joint_states
from dvae_np.train import Settings, evaluate
from dvae_np.vae import parameters


def test_the_mean_of_log_p_given_one_latent_is_a_sum_over_the_others():
    rng = np.random.default_rng(0)
    table, q = rng.standard_normal((5, 3, 3, 3)), rng.dirichlet(np.ones(3), (5, 3))
    for n in range(3):
        found = np.zeros((5, 3))
        for z in joint_states(3, 3):
            others = np.prod([q[:, m, z[m]] for m in range(3) if m != n], axis=0)
            found[:, z[n]] += others * table[:, *z]
        np.testing.assert_allclose(encoder_gaps.mean_log_joint(table, q, n), found, rtol=1e-12)


def test_the_kl_is_a_sum_over_all_states():
    rng = np.random.default_rng(1)
    table, q = rng.standard_normal((4, 3, 3)), rng.dirichlet(np.ones(3), (4, 2))
    q[0, 1] = [0, 1, 0]  # 0 log 0 = 0
    both = q[:, 0, :, None] * q[:, 1, None, :]
    posterior = np.exp(table) / np.exp(table).sum((1, 2), keepdims=True)
    kl = np.where(both > 0, both * np.log(np.where(both > 0, both, 1) / posterior), 0).sum((1, 2))
    np.testing.assert_allclose(encoder_gaps.kl(q, table), kl, rtol=1e-12)


def test_the_best_independent_q_beside_a_grid():
    """Two binary latents that want to differ, whose best q takes one side; where the posterior factorises there is no gap."""
    rng, one = np.random.default_rng(2), np.linspace(1e-3, 1 - 1e-3, 401)
    table = np.log([[[0.05, 0.5], [0.4, 0.05]], [[0.3, 0.1], [0.25, 0.35]]])
    found = encoder_gaps.best_gap(rng.dirichlet(np.ones(2), (2, 2)), table)
    first, second = (axis.ravel() for axis in np.meshgrid(one, one))
    every = np.stack([np.stack([p, 1 - p], -1) for p in (first, second)], 1)
    for each, gap in zip(table, found, strict=True):
        least = encoder_gaps.kl(every, np.repeat(each[None], len(every), 0)).min()
        assert gap <= least + 1e-9 and gap == pytest.approx(least, abs=1e-3) and gap > 0.01
    apart = rng.standard_normal((2, 3, 1)) + rng.standard_normal((2, 1, 3))
    np.testing.assert_allclose(encoder_gaps.best_gap(rng.dirichlet(np.ones(3), (2, 2)), apart), 0, atol=1e-9)


def test_the_parts_of_a_gap_add_up_to_it():
    rng = np.random.default_rng(3)
    params = parameters(rng, 8, 2, 3, (5,))
    params["theta"]["table"] *= 5
    x = (rng.random((6, 8)) < 0.5).astype(float)
    found, whole = encoder_gaps.gap_of(params, x), evaluate(params, x)
    assert found["negative_elbo"] == pytest.approx(
        found["negative_evidence"] + found["family"] + found["encoder"], abs=1e-12
    )
    assert found["negative_evidence"] == pytest.approx(-whole.log_likelihood, rel=1e-6)  # in float32
    assert found["encoder"] > 0.01 and found["family"] > 1e-4


def test_the_encoder_goes_on_alone():
    data = equal_time.study_data("digits")
    settings = Settings("vimco", N=2, K=3, hidden=(5,), S=4, seed=2, lr=0.01)
    params = parameters(np.random.default_rng(0), 64, 2, 3)
    alone = encoder_gaps.EncoderAlone(data, settings, {group: params[group] for group in ("psi", "theta")})
    before = {group: {name: array.copy() for name, array in arrays.items()} for group, arrays in alone.params.items()}
    assert (alone.settings.estimator, alone.settings.seed, alone.settings.N, alone.settings.K) == ("exact", 2, 2, 3)
    for _ in range(3):
        alone.step()
    for group, arrays in before.items():
        moved = [abs(alone.params[group][name] - array).max() for name, array in arrays.items()]
        assert all(each > 0 for each in moved) if group == "psi" else max(moved, default=0) == 0


def test_the_command_goes_on_where_it_stopped_and_adds_up(monkeypatch, tmp_path, capsys):
    """One latent has no gap of its family, and the encoder that goes on alone gains."""
    sizes = Size("independent", 2, 3), Size("independent", 1, 4)
    for name, small in {"SIZES": sizes, "ESTIMATORS": ("vimco",), "REFIT": 3}.items():
        monkeypatch.setattr(encoder_gaps, name, small)
    monkeypatch.setattr(equal_time, "SEEDS", (1, 2))
    trials = {str(i): {"validation": abs(i - 2.0)} for i in range(4)}
    timed = {"cells": {f"{size.name} vimco": {"steps": 60, "trials": trials} for size in sizes}}
    monkeypatch.setattr(records, "read", lambda name: timed)
    trained, rates = equal_time.trained, []
    monkeypatch.setattr(
        equal_time, "trained", lambda *given: rates.append((given[2].lr, given[2].seed)) or trained(*given)
    )
    for _ in range(2):
        assert cli.main(["compare", "--encoders", "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert printed.count("vimco") == 2 and "encoder-gaps.json" in printed
    assert rates == 2 * [(3e-3, 1), (3e-3, 2)]  # the rate of the best trial; nothing twice
    record = json.loads((tmp_path / "data/encoder-gaps.json").read_text())
    assert list(record["runs"]) == list(timed["cells"]) and record["command"] == encoder_gaps.COMMAND
    for cell, runs in record["runs"].items():
        assert list(runs) == ["1", "2"]
        for run in runs.values():
            assert run["negative_evidence"] < run["refitted"] < run["negative_elbo"]
            assert run["family"] == pytest.approx(0, abs=1e-9) if "1x4" in cell else run["family"] > 0
