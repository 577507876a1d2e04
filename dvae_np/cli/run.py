"""Commands on a run in its folder: evaluate, show, sample."""

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.cli.opening import the_run
from dvae_np.cli.options import add_data_dir, add_device, add_seed, codes, path, whole
from dvae_np.device import device
from dvae_np.files import write_record, written
from dvae_np.likelihoods import OBSERVATIONS
from dvae_np.structure import POSTERIORS
from dvae_np.text import shortened
from dvae_np.train import clusters, evaluate_on, usage
from dvae_np.train.data_files import rows_like
from dvae_np.train.evaluation import MOST_SAMPLES
from dvae_np.train.runs import parameters_of
from dvae_np.vae import posterior_and_prior

PICTURES = (
    "reconstructions.png",
    "samples.png",
    "effects.png",
    "usage.png",
    "training.png",
    "completions.png",
    "codes.png",
    "classes.png",
)


def add_run(verbs, verb, words):
    """The parser of a command on a run."""
    command = verbs.add_parser(verb, help=words, description=words[0].upper() + words[1:] + ".")
    command.add_argument("run_folder", type=path, metavar="RUN", help="the folder that `train` wrote")
    add_data_dir(command)
    return command


def add_evaluate(verbs):
    """The parser of `evaluate`."""
    words = "the discrete ELBO, log p(x) or a bound on it, and the use of the codes, of a run"
    command = add_run(verbs, "evaluate", words)
    add_device(command)
    add = command.add_argument
    add(
        "file",
        nargs="?",
        type=path,
        metavar="FILE",
        help="rows of your own, .npy, .npz or .csv, in the place of a split",
    )
    add("--split", choices=("test", "validation", "train"), default="test", help="(%(default)s)")
    add("--S", type=whole(1, MOST_SAMPLES), default=100, help="samples, where K^N > 65,536; up to 5,000 (%(default)s)")
    add("--sample", action="store_true", help="sample, even where all states could be visited")
    add("--examples", type=whole(), default=10**9, help="only the first so many images")
    add_seed(command)
    command.set_defaults(run=evaluate)


def evaluate(options):
    """`evaluate`"""
    where = device(options.device)
    with the_run(options, ["evaluation.json"]) as (out, opened):
        path, data, settings, _, arrays = opened
        params = parameters_of(arrays)
        split = rows_like(data, options.file) if options.file else getattr(data, options.split)
        x, c = split.x[: options.examples], None if split.c is None else split.c[: options.examples]
        found = evaluate_on(where, params, x, c, np.random.default_rng(options.seed), options.S, options.sample,
                            model=settings.model)  # fmt: skip
        measured = usage(params, x, c, settings.model)
        named = clusters_of(params, data, split, settings.model, options.examples)
        of_codes = {name: np.asarray(value).tolist() for name, value in vars(measured).items()}
        what = options.file.name if options.file else options.split
        record = {"checkpoint": path.name, "split": what, "examples": len(x), **vars(found), "usage": of_codes}
        record |= {"clusters": vars(named)} if named else {}
        write_record(out / "evaluation.json", record)
    print(f"{path}: {len(x):,} images of {what if options.file else data.name}")
    print(evaluation_text(found, what, data, settings))
    seen = "(x, c)" if data.conditional else "x"
    latents = [f"z{n + 1}: {measured.used[n]} of {settings.K} categories used, perplexity {measured.perplexity[n]:.2f}, "
               f"{measured.information[n]:.3f} nats about {seen}{measured.kl_of(n, 3)}" for n in range(settings.N)]  # fmt: skip
    print("\n".join(shortened(latents, 16)))
    if named:
        print(f"{named.codes} codes name the class of {named.accuracy:.1%} of the images, by their classes among the training "
              f"images; normalised mutual information {named.mutual_information:.3f}")  # fmt: skip
    for warning in shortened(measured.warnings, 8):
        print(f"warning: {warning}")
    print(f"written to {options.run_folder / 'evaluation.json'}")
    return 0


def clusters_of(params, data, split, model, examples):
    """`Clusters` of a split's first examples, named on the training images; None where classes or likeliest codes lack."""
    if (
        not data.classes
        or split.labels.ndim > 1
        or data.conditional
        or not hasattr(POSTERIORS[model.posterior].law, "mode")
    ):
        return None
    codes = [posterior_and_prior(params, each.x, None, model)[0].mode() for each in (split, data.train)]
    return clusters(codes[0][:examples], split.labels[:examples].astype(int), (codes[1], data.train.labels.astype(int)))


def add_show(verbs):
    """The parser of `show`."""
    words = "draw every figure of a run again: curves, codes, reconstructions, each latent's effect"
    add_run(verbs, "show", words).set_defaults(run=show)


def show(options):
    """`show`"""
    with the_run(options, PICTURES) as (out, (path, data, settings, facts, arrays)):
        names = draw_figures(out, data, settings, parameters_of(arrays), facts["history"])
    print(f"{path}\nwritten to {options.run_folder}: {', '.join(names)}")
    return 0


def add_sample(verbs):
    """The parser of `sample`."""
    command = add_run(verbs, "sample", "draw codes from the prior, and images from them, by a run's model")
    command.add_argument("--count", type=whole(1, 10_000), default=64, help="how many (%(default)s)")
    words = "images of these codes, each N numbers as 3,1, and not of codes from the prior"
    command.add_argument("--codes", nargs="+", type=codes, metavar="CODE", help=words)
    add_seed(command)
    command.set_defaults(run=sample)


def sample(options):
    """`sample`"""
    from dvae_np import figures
    from dvae_np.figures import models
    from dvae_np.wake_sleep import dreamed_images, prior_codes

    with the_run(options, ["samples.npz", "samples.png"]) as (out, (path, data, settings, _, arrays)):
        params, rng, model = parameters_of(arrays), np.random.default_rng(options.seed), settings.model
        count = len(options.codes) if options.codes else options.count
        contexts = {} if data.test.c is None else {"c": data.test.c[np.arange(count) % len(data.test.c)]}
        z = prior_codes(params, rng, count, contexts.get("c"), model)
        if options.codes:
            z = codes_of_options(options.codes, settings)
        mean = models.mean_images(params, z, data, contexts.get("c"), model)
        x = dreamed_images(params, rng, z, mean.shape[1], contexts.get("c"), model)
        with written(out / "samples.npz") as file:
            np.savez(file, z=z, mean=mean, x=x, **contexts)
        figures.save(out / "samples.png", (8.8, 1.8), models.pictures, mean / data.white, data.shape)
    print(f"{path}\nwritten to {options.run_folder}: samples.npz (codes z, means of p(x|z), images x drawn from it), "
          "samples.png (the first of those means)")  # fmt: skip
    return 0


def codes_of_options(given, settings):
    """Codes (n, N) as `--codes` gives them. Raises InputError for others than N numbers from 0 to K-1."""
    for code in given:
        if len(code) != settings.N or max(code) >= settings.K:
            words = f"{settings.N} numbers from 0 to {settings.K - 1}"
            raise InputError(f"--codes: expected {words}, got {','.join(map(str, code))}")
    return np.array(given)


def evaluation_text(evaluation, split, data, settings):
    """Every number with its quantity, its unit, and how it was got."""
    kind = (
        "a density"
        if OBSERVATIONS[settings.likelihood].density
        else "cross-entropy"
        if data.source.get("binarisation") == "grey"
        else ""
    )
    how = "; ".join(filter(None, (evaluation.method, data.binarisation, kind)))
    given = "|c" if data.conditional else ""
    lines = [f"{split + ' negative ELBO':20} {evaluation.negative_elbo:9.3f} nats   ({how})",
             f"{'  reconstruction':20} {evaluation.reconstruction:9.3f}",
             f"{'  KL(q || p)':20} {evaluation.kl:9.3f}"]  # fmt: skip
    if evaluation.log_likelihood is not None:
        lines.append(f"{f'{split} log p(x{given})':20} {evaluation.log_likelihood:9.3f} nats   ({how})")
        lines.append(f"{'posterior gap':20} {evaluation.posterior_gap:9.3f} nats   ({evaluation.method})")
    else:
        lines.append(f"{split} bound on log p(x{given}), importance-weighted {evaluation.bound:9.3f} nats   ({how})")
    return "\n".join(lines)


def draw_figures(out, data, settings, params, history):
    """Every picture that this run can give, into its folder; returns their names."""
    from dvae_np import figures
    from dvae_np.figures import models

    rng = np.random.default_rng(settings.seed)
    rows = min(settings.N, 12)
    drawings = {
        "reconstructions.png": ((8.8, 2.0), models.reconstructions, params, data, settings.model),
        "samples.png": ((8.8, 1.8), models.samples, params, data, rng, settings.model),
        "effects.png": ((8.8, 0.65 * rows + 0.3), models.effects, params, data, settings.model),
        "usage.png": ((8.8, 1.1 * rows + 0.6), models.usage, usage(params, data.test.x, data.test.c, settings.model)),
    }
    if history["validation"]:
        drawings["training.png"] = ((7, 4.2), figures.training_curves, {settings.estimator: [history]})
    if data.context_shape:
        drawings["completions.png"] = (
            (8.8, 5.4),
            models.completions,
            models.completed(params, data, rng, settings.model),
        )
    elif data.conditional and data.classes:
        drawings["classes.png"] = (
            (8.8, 0.8 * len(data.classes) + 0.4),
            models.classes,
            params,
            data,
            rng,
            settings.model,
        )
    elif settings.K**settings.N <= models.MOST_STATES:
        drawings["codes.png"] = (models.codes_size(params), models.codes, params, data, settings.model)
    for name, drawing in drawings.items():
        figures.save(out / name, *drawing)
    return list(drawings)
