"""A finished run, from its folder or fresh from `fit`, put to use: codes of images, images of codes, what each is worth."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError, expect, expect_codes, expect_whole
from dvae_np.laws import law
from dvae_np.train.checkpoint import Checkpoints
from dvae_np.train.data import load
from dvae_np.train.data_files import read_dataset
from dvae_np.train.evaluation import evaluate_each
from dvae_np.train.loop import Run
from dvae_np.train.settings import Settings
from dvae_np.vae import own_arrays, posterior_and_prior


def load_run(folder, **networks):
    """The `Run` in the folder that `train` wrote, or `fit` with `Checkpoints`: the newest checkpoint, or the best epoch.

    networks: the functions `encode`, `decode` and `prior_law`, where the run has such. Raises InputError where there is no
    checkpoint that can be read, and where it is of other networks.
    """
    path, facts, arrays, _ = Checkpoints(Path(folder)).newest()
    try:
        settings, best = settings_of(facts), facts["best"] and facts["best"][0]
        expect_networks(facts, networks)
        return Run(settings, parameters_of(arrays), facts["history"], facts["seconds"], best,
                   replace(settings.model, **networks), facts["width"], tuple(networks))  # fmt: skip
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a checkpoint of a run ({error!r})") from error


def expect_networks(facts, networks):
    """Raise `InputError` unless these are the names of the functions that the run was trained with."""
    if sorted(networks) != facts["networks"]:
        needed = " and ".join(facts["networks"]) or "none"
        raise InputError(
            f"networks: the run has functions of its own, {needed}, which no file holds; got {', '.join(networks)}"
        )


def settings_of(facts):
    """The `Settings` that a checkpoint's facts hold."""
    stored = facts["settings"]
    return Settings(**stored | {name: tuple(stored[name]) for name in ("hidden", "prior_probabilities", "columns")})


def parameters_of(arrays):
    """The parameters in a checkpoint's arrays, as a dict of dicts: the best epoch's, where the run kept that, else the last."""
    params, kept = {}, "best." if any(name.startswith("best.") for name in arrays) else "params."
    for name, array in arrays.items():
        if name.startswith(kept):
            _, group, key = name.split(".")
            params.setdefault(group, {})[key] = array
    return params


def data_of(source, data_dir=None):
    """The data that a run's record names: by `load`, or from the file, which must be as it was. Raises InputError else."""
    source = dict(source)
    if "given" in source:
        raise InputError(
            f"data: the run's data, {source['name']!r}, were given {source['given']}; give them again there"
        )
    if source.get("name") != "file":
        return load(**source, **({"data_dir": data_dir} if source.get("name") == "mnist" else {}))
    digest = source.pop("sha256")
    found = read_dataset(
        source.pop("path"), source.pop("kind"), **{name: source[name] for name in source if name != "name"}
    )
    if found.source["sha256"] != digest:
        raise InputError(f"data: {found.source['path']} is no longer the file that the run was trained on")
    return found


def encode(run, x, c=None):
    """q(z|x), or q(z|x,c), of rows x (n, D): a law, with `marginals()`, `mode()`, `codes(u)`; errors as the encoder's."""
    expect_rows(run, x, c)
    return posterior_and_prior(run.params, as_parameters(run, x), as_parameters(run, c), run.model)[0]


def codes_of(run, x, c=None):
    """The most probable codes of rows x (n, D): (n, N). Raises InputError for a law without a mode."""
    return law(encode(run, x, c), "mode").mode()


def decode(run, z, c=None):
    """The mean of p(x|z), or of p(x|z,c), for codes z (n, N): (n, D). Raises InputError for codes that the run has not."""
    model, theta, z = run.model, run.params["theta"], np.asarray(z)
    N, K = run.settings.N, run.settings.K
    expect("z", z, ("n", N), "i")
    expect_codes("z", z, K)
    expect_context(run, z, c)
    a, _ = model.decoder(theta, z[:, None] if c is None else z[None], as_parameters(run, c))
    mean = model.observation.mean(a, run.width, **own_arrays(theta, model))
    return mean[:, 0] if c is None else mean[0]


def worth(run, x, c=None, S=100, seed=0):
    """An `Evaluation` of each row of x (n, D), its numbers arrays (n,), in nats: log p(x), or a bound, as `method` says.

    Raises InputError for rows that are not as wide as those of the run.
    """
    expect_rows(run, x, c)
    rng = np.random.default_rng(seed)
    return evaluate_each(run.params, as_parameters(run, x), as_parameters(run, c), rng, S, model=run.model)


def classify(run, x, count):
    """log p(x|c) of each row under each class as its context, in nats: (n, count); for a run with `context="labels"`.

    Raises InputError for another number of classes than the run's.
    """
    expect_whole("count", count, 1)
    if len(run.params["theta"].get("context", ())) != count:
        raise InputError(f"count: expected the number of classes that are the run's context, got {count}")
    each = [worth(run, x, np.tile(np.eye(count)[[k]], (len(x), 1))) for k in range(count)]
    return np.stack([one.bound if one.log_likelihood is None else one.log_likelihood for one in each], 1)


def as_parameters(run, array):
    """The array as numbers of the parameters' type; None stays."""
    return None if array is None else np.asarray(array, next(iter(run.params["psi"].values())).dtype)


def expect_context(run, rows, c):
    """Raise `InputError` unless there is a context for each row where the run has such, and none else."""
    C = len(run.params["theta"].get("context", ()))
    if run.networks:
        return  # functions of one's own see to theirs
    if (c is not None) != bool(C):
        raise InputError(f"c: expected {f'a context (n, {C}) of each row' if C else 'no context, as the run has none'}")
    if C and (np.shape(c) != (len(rows), C) or not np.isfinite(np.asarray(c, float)).all()):
        raise InputError(f"c: expected finite numbers ({len(rows)}, {C}), got shape {np.shape(c)}")


def expect_rows(run, x, c=None):
    """Raise `InputError` unless x is rows as those that the run was trained on, each with its context."""
    if np.ndim(x) != 2 or np.shape(x)[1] != run.width:
        raise InputError(f"x: expected rows (n, {run.width}), as the run was trained on, got shape {np.shape(x)}")
    if np.asarray(x).dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise InputError("x: expected finite numbers, got others among them")
    if run.model.observation.pixels in ("unit", "levels", "columns") and not ((np.min(x) >= 0) & (np.max(x) <= 1)):
        if not run.model.observation.density:
            raise InputError(f"x: expected numbers in [0, 1], got {np.min(x):g} to {np.max(x):g}")
    expect_context(run, x, c)
