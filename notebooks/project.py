"""A starter for the project (PROJECT.md): two estimators train one model, and the exact gradient stands beside both.

    python notebooks/project.py                 the digits that come with the package, some seconds
    python notebooks/project.py --data my.npy   rows of your own data, numbers from 0 to 1

Change what is marked CHANGE: the model, the estimators, what is measured. It prints a table and writes project.json.
"""

import argparse
import json
from functools import partial

import numpy as np

from dvae_np import TABLE, draw, negative_elbo
from dvae_np.train import Settings, evaluate, fit, load

ESTIMATORS = {"reinforce_loo": {"S": 4}, "gumbel_softmax": {"hyper": {"tau": 0.5}}}  # CHANGE: two of TABLE
MODEL = {"N": 2, "K": 8, "hidden": (64,)}  # CHANGE: few enough codes for the exact gradient
SEEDS, DRAWS = 3, 100


def gradient_error(params, x, name, S=1, hyper=None):
    """How far an estimated gradient of the encoder's last layer lies from the exact one, as a share of its length: the root of
    the mean square over DRAWS draws, and the part that is bias. The latter has an error of its own, about a tenth of the first.
    """
    last = max(name for name in params["psi"] if name.startswith("w"))
    exact = negative_elbo(params, x, TABLE["exact"], lambda q: ()).gradients["psi"][last]
    row, rng = TABLE[name], np.random.default_rng(0)
    noise = partial(draw, rng, S=S, names=row.noise)
    found = [negative_elbo(params, x, row, noise, hyper=hyper).gradients["psi"][last] for _ in range(DRAWS)]
    length = np.linalg.norm(exact)
    spread = np.sqrt(np.mean([np.sum((each - exact) ** 2) for each in found]))
    return spread / length, np.linalg.norm(np.mean(found, 0) - exact) / length


def main(arguments=None):
    """Train each estimator with SEEDS seeds, evaluate on test data, measure the gradient at the trained model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", default="project.json")
    chosen = parser.parse_args(arguments)
    data, record = load(chosen.data), {}
    for name, options in ESTIMATORS.items():
        runs = []
        for seed in range(SEEDS):
            settings = Settings(name, epochs=chosen.epochs, seed=seed, **MODEL, **options)
            run = fit(data, settings)
            found = evaluate(run.params, data.test.x, model=settings.model)
            error, bias = gradient_error(run.params, data.test.x[:100], name, **options)
            runs.append({"test_loss": float(found.negative_elbo), "gradient_error": float(error), "bias": float(bias)})
        record[name] = runs
        middle = {key: np.median([run[key] for run in runs]) for key in runs[0]}
        print(f"{name:20} " + ", ".join(f"{key} {value:.3f}" for key, value in middle.items()))
    with open(chosen.out, "w") as file:
        json.dump({"model": str(MODEL), "estimators": record}, file, indent=1)


if __name__ == "__main__":
    main()
