"""A run stopped at any step goes on as if it had not been: all that changes, as plain facts and named arrays, and back."""

import json
import math
import sys
from dataclasses import asdict

import numpy as np

from dvae_np.arrays import InputError, expect_number, expect_whole


def state(training):
    """(facts, arrays) of a `Training`, for a checkpoint: plain values, as JSON gives them back, and NumPy's arrays by name."""
    arrays = _parameters(training)
    for i, optimiser in enumerate(training.optimisers):
        arrays |= {f"optimiser{i}.{name}": array for name, array in optimiser.state().items()}
    arrays = training.device.get(arrays)
    if training.order is not None:
        arrays["order"] = training.order
    if training.best is not None:
        kept = training.device.get(training.best["params"])
        arrays |= {f"best.{group}.{name}": array for group in kept for name, array in kept[group].items()}
    best = training.best and [training.best["epoch"], min(training.best["validation"], sys.float_info.max)]
    facts = {
        "settings": asdict(training.settings), "data": training.data.source, "fingerprint": training.fingerprint,
        "epoch": training.epoch, "batch": training.batch, "sums": training.sums, "history": training.history,
        "seconds": training.seconds, "generator": training.rng.bit_generator.state, "best": best,
        "finished": training.finished, "networks": training.networks, "width": training.data.train.x.shape[1],
    }  # fmt: skip
    return json.loads(json.dumps(facts, default=np.ndarray.tolist)), arrays


def restore(training, facts, arrays):
    """Go on from what `state` gave. Raises InputError where it is not one of this run on these data."""
    expect(training, facts, arrays)
    if facts["fingerprint"]["train"] != training.fingerprint["train"]:
        raise InputError("resume: the data are not those that the run was trained on")
    training.epoch, training.batch, training.order = facts["epoch"], facts["batch"], arrays.get("order")
    training.sums, training.seconds = list(facts["sums"]), facts["seconds"]
    training.history = {name: list(facts["history"][name]) for name in training.history}
    training.rng.bit_generator.state = _generator_state(facts)
    stored = training.device.put({name: array for name, array in arrays.items() if name != "order"})
    for name, array in _parameters(training).items():
        array[...] = stored[name]
    if training.best is not None:
        training.best["epoch"], training.best["validation"] = facts["best"]
        for group, kept in training.best["params"].items():
            for name, array in kept.items():
                array[...] = stored[f"best.{group}.{name}"]
    for i, optimiser in enumerate(training.optimisers):
        optimiser.restore({name: stored[f"optimiser{i}.{name}"] for name in optimiser.state()})


def expect(training, facts, arrays):
    """Raise `InputError` unless these facts and arrays can be a checkpoint of a run with the settings of this `training`."""
    mine, own = state(training)
    if missing := set(mine) - set(facts):
        raise InputError(f"resume: the checkpoint does not say all that a run needs: {', '.join(missing)}")
    expected, found = ({name: array.shape for name, array in each.items() if name != "order"} for each in (own, arrays))
    if found != expected or not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError("resume: the checkpoint's arrays are not those of a run with these settings")
    stored = facts["settings"] if isinstance(facts["settings"], dict) else {}
    other = [name for name, value in mine["settings"].items() if name != "epochs" and stored.get(name) != value]
    if other:
        raise InputError(f"resume: the checkpoint is of a run with other settings: {', '.join(other)}")
    try:
        _expect_position(training, facts, arrays.get("order"))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"resume: the checkpoint's position cannot be read ({error!r})") from error


def _expect_position(training, facts, order):
    for name in ("epoch", "batch"):
        expect_whole(f"resume: {name}", facts[name])
    expect_number("resume: seconds", facts["seconds"])
    numbers = {"sums": facts["sums"], **{name: facts["history"][name] for name in training.history}}
    for name, values in numbers.items():
        if len(values) != (2 if name == "sums" else facts["epoch"]):
            raise InputError(f"resume: {name}: expected a number for each epoch (sums: two), got {len(values)}")
        for value in values:
            expect_number(f"resume: {name}", value, least=-math.inf)
    if (facts["networks"], facts["width"]) != (training.networks, training.data.train.x.shape[1]):
        raise InputError("resume: the checkpoint is of a run with other networks, or with rows of another width")
    if (training.best is None) != (facts["best"] is None) or not isinstance(facts["finished"], bool):
        raise InputError("resume: expected a best epoch where there is patience, and a run that is finished or not")
    if training.best is not None:
        expect_whole("resume: best", facts["best"][0], 0, facts["epoch"])
        expect_number("resume: best", facts["best"][1], least=-math.inf)
    if set(facts["fingerprint"]) != {"train", "test"}:
        raise InputError("resume: expected the fingerprints of train and test")
    np.random.SFC64(0).state = _generator_state(facts)
    everyone = np.arange(len(training.data.train.x))
    fits = order.dtype.kind == "i" and np.array_equal(np.sort(order), everyone) if facts["batch"] else order is None
    if not fits or facts["batch"] >= training.batches:
        raise InputError("resume: the checkpoint's position does not fit the data")


def _parameters(training):
    """The arrays themselves, by the names that a checkpoint gives them."""
    groups = training.params.items()
    return {f"params.{group}.{name}": array for group, arrays in groups for name, array in arrays.items()}


def _generator_state(facts):
    """What SFC64 takes as its state: with an array where a file has a list."""
    stored = facts["generator"]
    return stored | {"state": {"state": np.array(stored["state"]["state"], np.uint64)}}
