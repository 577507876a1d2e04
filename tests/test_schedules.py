"""Step sizes and temperatures that change, patience, and the best epoch: recorded, and the same after a stop at any step."""

import math

import numpy as np
import pytest

from dvae_np import InputError
from dvae_np.train import Checkpoints, Settings, Training, evaluate, fit, load, load_run
from dvae_np.train.loop import Interrupted
from dvae_np.train.schedules import CURVES, value_at

BARS = load("bars")
SMALL = {"N": 2, "K": 3, "hidden": (6,), "epochs": 4, "lr": 1e-2}
VARIED = {"tau_schedule": "geometric", "tau_end": 0.3, "lr_schedule": "cosine", "lr_end": 1e-4, "patience": 3}


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_begins_and_ends_where_it_should(curve):
    settings = Settings(
        "gumbel_softmax", epochs=10, **({} if curve == "constant" else {"tau_schedule": curve, "tau_end": 0.2})
    )
    values = [value_at(settings, "tau", 1.0, epochs) for epochs in np.linspace(0, 10, 101)]
    assert values[0] == 1 and values[-1] == pytest.approx(1 if curve == "constant" else 0.2)
    assert min(values) >= 0.2 - 1e-12 and max(values) <= 1
    if curve != "restarts":
        assert (np.diff(values) <= 1e-12).all()
    middle = {"linear": 0.6, "geometric": 0.2**0.5, "cosine": 0.6, "constant": 1.0, "restarts": 1.0}[curve]
    assert value_at(settings, "tau", 1.0, 5) == pytest.approx(middle)  # restarts begin again there


def test_restarts_go_down_four_times():
    settings = Settings(epochs=8, lr=1.0, lr_schedule="restarts", lr_end=0.1)
    values = [value_at(settings, "lr", 1.0, epochs) for epochs in (0, 1, 2, 3, 4, 7.999)]
    np.testing.assert_allclose(values, [1, 0.55, 1, 0.55, 1, 0.1], atol=1e-3)


def test_steps_are_of_the_size_that_the_schedule_says():
    """Plain gradient descent: what a step changes is the rate times the gradient; tunables and a slow prior as they do."""
    settings = Settings("rebar", **SMALL | {"epochs": 2}, optimiser="sgd", prior="learned", prior_rate=0.5,
                        lr_schedule="linear", lr_end=1e-3)  # fmt: skip
    training = Training(BARS, settings)
    own = [optimiser.lr for optimiser in training.optimisers]
    for step in range(3):
        training.step()
        lr = value_at(settings, "lr", 1e-2, step / training.batches)
        assert [optimiser.lr for optimiser in training.optimisers] == pytest.approx([lr, lr / 2, own[2]])


def test_the_estimator_is_given_the_temperature_of_the_step():
    seen = []
    training = Training(BARS, Settings("gumbel_softmax", **SMALL, tau_schedule="geometric", tau_end=0.1))
    right = training.row.estimate
    object.__setattr__(training.row, "estimate", lambda *a, **hyper: seen.append(hyper["tau"]) or right(*a, **hyper))
    try:
        for _ in range(3):
            training.step()
    finally:
        object.__setattr__(training.row, "estimate", right)
    steps = training.batches * 4
    np.testing.assert_allclose(seen, [0.1 ** (step / steps) for step in range(3)])


def test_the_history_has_what_varied_and_nothing_else():
    plain = fit(BARS, Settings("gumbel_softmax", **SMALL))
    assert list(plain.history) == ["loss", "kl", "beta", "validation"] and plain.best_epoch is None
    varied = fit(BARS, Settings("gumbel_softmax", **SMALL, **VARIED))
    assert list(varied.history) == ["loss", "kl", "beta", "lr", "tau", "validation"]
    assert (np.diff(varied.history["tau"]) < 0).all() and (np.diff(varied.history["lr"]) < 0).all()


def test_the_best_epoch_is_kept_and_patience_ends_the_run(tmp_path):
    settings = Settings("exact", **SMALL | {"epochs": 40, "lr": 0.3}, patience=2)
    run = fit(BARS, settings, checkpoints=Checkpoints(tmp_path))
    validation = run.history["validation"]
    assert run.best_epoch < len(validation)
    for group, arrays in load_run(tmp_path).params.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, run.params[group][name])
    assert run.best_epoch == 1 + int(np.argmin(validation)) and len(validation) == min(40, run.best_epoch + 2)
    found = evaluate(run.params, BARS.validation.x, model=settings.model)
    assert found.negative_elbo == pytest.approx(min(validation), rel=1e-6)
    assert run.record()["best_epoch"] == run.best_epoch


@pytest.mark.parametrize("steps", [1, 21, 45])
def test_a_stopped_run_goes_on_with_schedules_and_patience_bit_for_bit(steps, tmp_path):
    settings = Settings("gumbel_softmax", **SMALL, **VARIED)
    whole, taken = fit(BARS, settings), []
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted):
        fit(BARS, settings, checkpoints=checkpoints, stop=lambda: taken.append(1) or len(taken) == steps)
    half = load_run(tmp_path)  # after Ctrl-C the best epoch so far is there
    assert half.best_epoch == (1 + int(np.argmin(half.history["validation"])) if half.history["validation"] else 0)
    _, *start, _ = checkpoints.newest()
    again = fit(BARS, settings, checkpoints=checkpoints, start=start)
    assert again.history == whole.history and again.best_epoch == whole.best_epoch
    for group in whole.params:
        for name, array in whole.params[group].items():
            np.testing.assert_array_equal(again.params[group][name], array)
            np.testing.assert_array_equal(load_run(tmp_path).params[group][name], array)


@pytest.mark.parametrize(("wrong", "words"), [
    ({"lr_schedule": "steep"}, "lr_schedule: expected one of constant, linear"),
    ({"lr_schedule": "linear"}, "lr_end: a linear schedule has an end, got None"),
    ({"lr_end": 0.1}, "lr_end: a constant schedule has no end, got 0.1"),
    ({"lr_schedule": "cosine", "lr_end": 0.0}, "lr_end: expected a number above 0"),
    ({"lr_schedule": "cosine", "lr_end": math.nan}, "lr_end: expected a number above 0"),
    ({"tau_schedule": "linear", "tau_end": 0.1}, "tau_schedule: exact has no temperature tau"),
    ({"patience": -1}, "patience: expected at least 0"),
])  # fmt: skip
def test_schedules_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(InputError, match=f"^{words}"):
        Settings(**wrong)
