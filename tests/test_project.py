"""The project's starter runs as it stands, and what it measures is right."""

import json

import project

from dvae_np import parameters


def test_it_runs_and_writes_what_it_measured(tmp_path, capsys):
    project.main(["--epochs", "1", "--out", str(tmp_path / "project.json")])
    record = json.loads((tmp_path / "project.json").read_text())
    assert list(record["estimators"]) == list(project.ESTIMATORS)
    for runs in record["estimators"].values():
        assert len(runs) == project.SEEDS
        assert all(10 < run["test_loss"] < 60 and 0 < run["bias"] < run["gradient_error"] for run in runs)
    assert capsys.readouterr().out.count("gradient_error") == 2


def test_the_error_of_the_exact_gradient_is_zero_and_more_samples_lower_that_of_another():
    import numpy as np

    rng = np.random.default_rng(0)
    params, x = parameters(rng, 16, 2, 4, (8,), float), (rng.random((20, 16)) < 0.5).astype(float)
    assert max(project.gradient_error(params, x, "exact")) < 1e-12
    few, many = (project.gradient_error(params, x, "reinforce_loo", S=S)[0] for S in (2, 50))
    assert many < few / 3
