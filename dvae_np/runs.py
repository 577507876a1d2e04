"""What the command line does with one run in a folder: train it, go on with it, evaluate it, show it, sample from it."""

import csv
import json
import signal
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.commands import Bar, make_folder
from dvae_np.device import device
from dvae_np.estimators import TABLE
from dvae_np.train import Checkpoints, Interrupted, Settings, Training, evaluate_on, fit, load, usage

DEFAULTS = {field.name: field.default for field in fields(Settings)}
CHOSEN = tuple(name for name in DEFAULTS if name not in ("hyper", "S"))  # what an option of the same name says


def hyper_parameter(row, text):
    """'tau=0.5' as ("tau", 0.5), of the type of the row's default. Raises InputError for what the row does not have."""
    name, _, value = text.partition("=")
    if name not in row.hyper:
        raise InputError(f"--set: {row.name} has {', '.join(row.hyper) or 'no hyper-parameters'}, got {text!r}")
    kind = type(row.hyper[name])
    try:
        return name, {"True": True, "False": False}[value] if kind is bool else kind(value)
    except (KeyError, ValueError):
        raise InputError(f"--set: expected {name} as {row.hyper[name]!r} is, got {value!r}") from None


def train(options):
    """`train`"""
    where = device(options.device)
    checkpoints = Checkpoints(options.resume or options.out or ".", options.checkpoint_seconds)
    if options.resume:
        data, settings, start = resumed(options, checkpoints)
    else:
        data, settings = begun(options)
        name = f"{data.name}-{settings.estimator}-N{settings.N}-K{settings.K}-s{settings.seed}"
        checkpoints.folder = options.out or Path("runs") / name
        make_folder(checkpoints.folder)
        expect_no_unfinished_run(checkpoints)
        start = None
        checkpoints.clear()

    print(data)
    bar = Bar(settings.estimator, settings.epochs, start[0]["epoch"] if start else 0)
    try:
        with Interruption() as asked_to_stop:
            run = fit(data, settings, bar, checkpoints, start, asked_to_stop, where)
    except Interrupted as stopped:
        print(
            f"\n{stopped}; saved in {stopped.path}\ncontinue with: python -m dvae_np train --resume {checkpoints.folder}"
        )
        return 130
    finally:
        bar.close()
    out = checkpoints.folder
    evaluation = evaluate_on(where, run.params, data.test.x, data.test.c)
    print(f"{settings.estimator}, N={settings.N}, K={settings.K}, {settings.epochs} epochs in {run.seconds:.1f} s")
    print(evaluation_text(evaluation, "test", data, settings))
    for warning in usage(run.params, data.test.x, data.test.c).warnings:
        print(f"warning: {warning}")

    record = {"data": str(data), **run.record(), "test": vars(evaluation)}
    (out / "run.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    arrays = {f"{group}.{name}": array for group in run.params for name, array in run.params[group].items()}
    np.savez(out / "parameters.npz", **arrays)
    with open(out / "history.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["epoch", *run.history])
        rows.writerows(zip(range(1, settings.epochs + 1), *run.history.values(), strict=True))
    names = draw_figures(out, data, settings, run.params, run.history)
    print(f"written to {out}: run.json, history.csv, parameters.npz, checkpoints, {', '.join(names)}")
    return 0


def begun(options):
    """The data and settings that the options of a new run ask for."""
    row = TABLE[options.estimator]
    hyper = {"tau": options.tau} if options.tau is not None else {}
    hyper |= dict(hyper_parameter(row, text) for text in options.set)
    chosen = {name: getattr(options, name) for name in CHOSEN}
    settings = Settings(**chosen, S=row.fewest_samples if options.S is None else options.S, hyper=hyper)
    if options.data_dir and options.data != "mnist":
        raise InputError(f"--data-dir: only mnist is read from a folder, got --data {options.data}")
    binarisation = options.binarisation or ("levels" if settings.likelihood == "categorical" else "threshold")
    return load(options.data, binarisation, options.data_dir, task=options.task, levels=options.levels), settings


def resumed(options, checkpoints):
    """The data, settings and (facts, arrays) of the run to go on with; says which checkpoints could not be used."""
    if set(options.given) - {"resume", "epochs", "data_dir", "device", "checkpoint_seconds"} or options.set:
        raise InputError(
            "--resume: the run's own settings are used; only --epochs, --data-dir and --device can be given with it"
        )
    path, data, settings, facts, arrays = open_run(checkpoints, options.data_dir)
    for broken in checkpoints.paths():
        if broken > path:  # out of the way, so that it does not count among the two that are kept
            broken.rename(broken.with_suffix(".broken"))
    if "epochs" in options.given:
        if options.epochs < facts["epoch"]:
            raise InputError(f"--epochs: the run has had {facts['epoch']} epochs already, got {options.epochs}")
        settings = replace(settings, epochs=options.epochs)
    print(f"going on from {path}: epoch {facts['epoch'] + 1}, {facts['batch']} steps into it")
    return data, settings, (facts, arrays)


def open_run(checkpoints, data_dir=None):
    """(path, data, settings, facts, arrays) of a run's newest readable checkpoint; prints which ones could not be read."""
    path, facts, arrays, complaints = checkpoints.newest()
    for complaint in complaints:
        print(f"warning: {complaint}; using {path}")
    try:
        stored = facts["settings"]
        settings = Settings(**stored | {name: tuple(stored[name]) for name in ("hidden", "prior_probabilities")})
        source, shape = dict(facts["data"]), arrays_shape(arrays)
        data = load(**source, **({"data_dir": data_dir} if source.get("name") == "mnist" else {}))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a checkpoint of a run ({error!r})") from error
    if shape != (settings.N, settings.K, *settings.hidden):
        raise InputError(f"{path}: its arrays are of N, K, hidden = {shape}, its settings are not")
    training = Training(data, settings)
    training.expect(facts, arrays)
    if facts["fingerprint"]["test"] != training.fingerprint["test"]:
        raise InputError(f"{path}: the run was made on other data than {data.name} as it is found now")
    return path, data, settings, facts, arrays


def arrays_shape(arrays):
    """(N, K, *hidden) as the encoder's arrays in a checkpoint say: no memory is taken on a header's word."""
    layers = [name for name in arrays if name.startswith("params.psi.b")]
    shapes = [arrays[f"params.psi.b{i}"].shape for i in range(len(layers))]
    return (*shapes[-1], *(shape[0] for shape in shapes[:-1])) if shapes else ()


def parameters_of(arrays):
    """The parameters in a checkpoint's arrays, as a dict of dicts."""
    params = {}
    for name, array in arrays.items():
        if name.startswith("params."):
            _, group, key = name.split(".")
            params.setdefault(group, {})[key] = array
    return params


def expect_no_unfinished_run(checkpoints):
    """Raise `InputError` rather than overwrite a run that was stopped half-way."""
    if not checkpoints.paths():
        return
    try:
        _, facts, _, _ = checkpoints.newest()
        unfinished = facts["epoch"] < facts["settings"]["epochs"]
    except (InputError, KeyError, TypeError) as error:
        raise InputError(f"--out: {checkpoints.folder} holds checkpoints that cannot be read, and would be removed; name or "
                         f"empty another folder ({error})") from error  # fmt: skip
    if unfinished:
        folder = checkpoints.folder
        raise InputError(
            f"--out: {folder} holds an unfinished run; continue it with --resume {folder}, or name another folder"
        )


class Interruption:
    """Ctrl-C, or a request to terminate, as a question: has it been asked? A second one stops at once."""

    def __enter__(self):
        self.asked = False
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self):
        return self.asked

    def _ask(self, number, frame):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def evaluation_text(evaluation, split, data, settings):
    """Every number with its quantity, its unit, and how it was got."""
    kind = (
        "a density"
        if settings.likelihood == "gaussian"
        else "cross-entropy"
        if data.source.get("binarisation") == "grey"
        else ""
    )
    how = "; ".join(filter(None, (evaluation.method, data.binarisation, kind)))
    given = "|c" if data.context_shape else ""
    lines = [f"{split + ' negative ELBO':20} {evaluation.negative_elbo:9.3f} nats   ({how})",
             f"{'  reconstruction':20} {evaluation.reconstruction:9.3f}",
             f"{'  KL(q || p)':20} {evaluation.kl:9.3f}"]  # fmt: skip
    if evaluation.log_likelihood is not None:
        lines.append(f"{f'{split} log p(x{given})':20} {evaluation.log_likelihood:9.3f} nats   ({how})")
        lines.append(f"{'posterior gap':20} {evaluation.posterior_gap:9.3f} nats   ({evaluation.method})")
    else:
        lines.append(f"{split} bound on log p(x{given}), importance-weighted {evaluation.bound:9.3f} nats   ({how})")
    return "\n".join(lines)


def evaluate_run(options):
    """`evaluate`"""
    where = device(options.device)
    if not 1 <= options.examples:
        raise InputError(f"--examples: expected at least 1, got {options.examples}")
    path, data, settings, _, arrays = open_run(Checkpoints(options.run_folder), options.data_dir)
    params, split = parameters_of(arrays), getattr(data, options.split)
    x, c = split.x[: options.examples], None if split.c is None else split.c[: options.examples]
    found = evaluate_on(where, params, x, c, np.random.default_rng(options.seed), options.S, options.sample)
    measured = usage(params, x, c)
    print(f"{path}: {len(x):,} images of {data.name}")
    print(evaluation_text(found, options.split, data, settings))
    seen = "(x, c)" if data.context_shape else "x"
    for n in range(settings.N):
        print(f"z{n + 1}: {measured.used[n]} of {settings.K} categories used, perplexity {measured.perplexity[n]:.2f}, "
              f"{measured.information[n]:.3f} nats about {seen}, KL {measured.kl[n]:.3f} nats")  # fmt: skip
    for warning in measured.warnings:
        print(f"warning: {warning}")
    record = {"checkpoint": path.name, "split": options.split, "examples": len(x), **vars(found),
              **{name: np.asarray(value).tolist() for name, value in vars(measured).items()}}  # fmt: skip
    (options.run_folder / "evaluation.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {options.run_folder / 'evaluation.json'}")
    return 0


def show(options):
    """`show`"""
    path, data, settings, facts, arrays = open_run(Checkpoints(options.run_folder), options.data_dir)
    names = draw_figures(options.run_folder, data, settings, parameters_of(arrays), facts["history"])
    print(f"{path}\nwritten to {options.run_folder}: {', '.join(names)}")
    return 0


def draw_figures(out, data, settings, params, history):
    """Every picture that this run can give, into its folder; returns their names."""
    from dvae_np import figures
    from dvae_np.figures import models

    rng = np.random.default_rng(settings.seed)
    rows = min(settings.N, 12)
    drawings = {
        "reconstructions.png": ((8.8, 2.0), models.reconstructions, params, data),
        "samples.png": ((8.8, 1.8), models.samples, params, data, rng),
        "effects.png": ((8.8, 0.65 * rows + 0.3), models.effects, params, data),
        "usage.png": ((8.8, 1.1 * rows + 0.6), models.usage, usage(params, data.test.x, data.test.c)),
    }
    if history["validation"]:
        drawings["training.png"] = ((7, 4.2), figures.training_curves, {settings.estimator: [history]})
    if data.context_shape:
        drawings["completions.png"] = ((8.8, 5.4), models.completions, models.completed(params, data, rng))
    elif settings.K**settings.N <= models.MOST_STATES:
        drawings["codes.png"] = (models.codes_size(params), models.codes, params, data)
    for name, drawing in drawings.items():
        figures.save(out / name, *drawing)
    return list(drawings)


def sample(options):
    """`sample`"""
    from dvae_np import figures
    from dvae_np.figures import models
    from dvae_np.likelihoods import draw_pixels
    from dvae_np.networks import decoder

    if not 1 <= options.count <= 10_000:
        raise InputError(f"--count: expected 1 to 10,000 samples, got {options.count}")
    path, data, _, _, arrays = open_run(Checkpoints(options.run_folder), options.data_dir)
    params, rng = parameters_of(arrays), np.random.default_rng(options.seed)
    contexts = {} if data.test.c is None else {"c": data.test.c[np.arange(options.count) % len(data.test.c)]}
    z = models.prior_codes(params, rng, options.count, contexts.get("c"))
    mean = models.mean_images(params, z, data, contexts.get("c"))
    a, _ = decoder(params["theta"], z[None], contexts.get("c"))
    x = draw_pixels(rng, params["theta"], a, mean.shape[1])[0]
    np.savez(options.run_folder / "samples.npz", z=z, mean=mean, x=x, **contexts)
    if data.context_shape:
        drawing = (8.8, 5.4), models.completions, models.completed(params, data, rng)
    else:
        drawing = (8.8, 1.8), models.samples, params, data, rng
    figures.save(options.run_folder / "samples.png", *drawing)
    print(
        f"{path}\nwritten to {options.run_folder}: samples.npz (codes z, means of p(x|z), images x drawn from it), samples.png"
    )
    return 0


def reproduce(options):
    """`reproduce`"""
    where = device(options.device)
    from dvae_np.experiments.reproduce import EPOCHS as DEFAULT_EPOCHS
    from dvae_np.experiments.reproduce import grey_mnist, settings_of

    settings = settings_of(options.size, options.estimator, options.seed, options.epochs)
    data, name = grey_mnist(options.data_dir), f"reinmax-{options.size}-{options.estimator}-s{options.seed}"
    name += f"-e{options.epochs}" * (options.epochs != DEFAULT_EPOCHS)
    make_folder(options.out)
    checkpoints, start = Checkpoints(options.out / name, 60.0), None
    if checkpoints.paths():
        path, *start, complaints = checkpoints.newest()
        print("\n".join([*complaints, f"going on from {path}: epoch {start[0]['epoch'] + 1}"]))
    bar = Bar(f"{options.size} {options.estimator}", settings.epochs, start[0]["epoch"] if start else 0)
    try:
        with Interruption() as asked_to_stop:
            run = fit(data, settings, bar, checkpoints, start, asked_to_stop, where)
    except Interrupted as stopped:
        print(f"\n{stopped}; saved in {stopped.path}\nthe same command goes on from there")
        return 130
    finally:
        bar.close()
    test = evaluate_on(where, run.params, data.test.x, None, np.random.default_rng(options.seed))
    command = f"python -m dvae_np reproduce reinmax --size {options.size} --estimator {options.estimator} --seed {options.seed}"
    command += f" --epochs {options.epochs}" * (options.epochs != DEFAULT_EPOCHS)
    record = {
        "command": command,
        "data": str(data),
        **run.record(),
        "training_loss": run.history["loss"][-1],
        "test": vars(test),
    }
    (options.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{name}, {settings.epochs} epochs in {run.seconds:.0f} s")
    print(f"training loss of the last epoch {record['training_loss']:9.3f} nats   (sampled codes; {data.binarisation})")
    print(evaluation_text(test, "test", data, settings))
    print(f"written to {options.out / name}.json")
    return 0
