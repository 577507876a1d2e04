"""A run in its folder, opened for a command: its newest readable checkpoint, its settings and its data."""

from contextlib import contextmanager

from dvae_np.arrays import InputError
from dvae_np.folders import alone
from dvae_np.train import Checkpoints, Training
from dvae_np.train.resuming import expect
from dvae_np.train.runs import data_of, expect_networks, settings_of


@contextmanager
def the_run(options, names):
    """(out, what `open_run` gives) of the run in options.run_folder, in whose folder files of these names will be written."""
    checkpoints = Checkpoints(options.run_folder)
    if not checkpoints.paths():
        raise InputError(f"RUN: {options.run_folder}: no checkpoint there")
    with alone(options.run_folder, "run", names, "RUN") as out:
        yield out, open_run(checkpoints, options.data_dir)


def open_run(checkpoints, data_dir=None):
    """(path, data, settings, facts, arrays) of a run's newest readable checkpoint; prints which ones could not be read."""
    path, facts, arrays, complaints = checkpoints.newest()
    for complaint in complaints:
        print(f"warning: {complaint}; using {path}")
    try:
        expect_networks(facts, {})
        settings, shape = settings_of(facts), arrays_shape(arrays)
        if shape != (settings.N, settings.K, *settings.hidden):
            raise InputError(f"its arrays are of N, K, hidden = {shape}, its settings are not")
        data = data_of(facts["data"], data_dir)
        training = Training(data, settings)
        expect(training, facts, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = str(error) if isinstance(error, InputError) else f"not a checkpoint of a run ({error!r})"
        raise InputError(f"{path}: {words}") from error
    if facts["fingerprint"]["test"] != training.fingerprint["test"]:
        raise InputError(f"{path}: the run was made on other data than {data.name} as it is found now")
    return path, data, settings, facts, arrays


def arrays_shape(arrays):
    """(N, K, *hidden) as the encoder's arrays in a checkpoint say: no memory is taken on a header's word."""
    layers = [name for name in arrays if name.startswith("params.psi.b")]
    shapes = [arrays[f"params.psi.b{i}"].shape for i in range(len(layers))]
    return (*shapes[-1], *(shape[0] for shape in shapes[:-1])) if shapes else ()
