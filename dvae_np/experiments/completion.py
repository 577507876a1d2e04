"""Structured prediction: the lower half of a digit from its upper half, p(x|c) = sum_z p(z|c) p(x|z,c) [Eq. 16.2].

Three models with the same hidden layers: no latent at all (one category: deterministic), a prior
that does not see the context (learned), and a prior that does (conditional).

The priors start as uniform and learn slowly. A conditional prior that learns as fast as the rest settles q on codes that the
context determines, for which it need not pay: z then says little that the context does not say itself.
"""

import numpy as np

from dvae_np.figures.models import completed
from dvae_np.laws import each_array
from dvae_np.networks import latents
from dvae_np.structure import PRIORS
from dvae_np.text import columns, markdown_columns, spread
from dvae_np.train import Settings, evaluate, fit, load

SEEDS = (0, 1, 2)
MODEL = {
    "digits": {"N": 1, "K": 20, "hidden": (64,), "lr": 3e-3, "epochs": 150, "prior_rate": 0.2},
    "mnist": {"N": 1, "K": 20, "hidden": (32,), "lr": 3e-3, "epochs": 12, "prior_rate": 0.02},
}
VARIANTS = {
    "deterministic": {"K": 1, "prior": "uniform"},
    "unconditional prior p(z)": {"prior": "learned"},
    "conditional prior p(z|c)": {"prior": "conditional"},
}


def completion(name="digits", data_dir=None, changed=None, progress=lambda runs: runs):
    """Train every variant with every seed; returns the record, and completions by the last variant's first run.

    changed: hidden and prior_rate, where they are not to be those of `MODEL`.
    """
    data, changed = load(name, data_dir=data_dir, task="completion"), changed or {}
    model = MODEL[name] | changed
    jobs = [(variant, seed) for variant in VARIANTS for seed in SEEDS]
    command = f"python -m dvae_np complete --data {name}"
    if "hidden" in changed:
        command += f" --hidden {','.join(map(str, changed['hidden'])) or 'none'}"
    if "prior_rate" in changed:
        command += f" --prior-rate {changed['prior_rate']}"
    record = {"command": command, "data": str(data), "model": model, "runs": []}
    runs = {}
    for variant, seed in progress(jobs):
        run = fit(data, Settings(**model | VARIANTS[variant], seed=seed))
        runs[variant, seed] = run
        test = evaluate(run.params, data.test.x, data.test.c, model=run.settings.model)
        effective = prior_codes_in_use(run, data.test.c)
        facts = {"variant": variant, "seed": seed, "seconds": round(run.seconds, 1), "prior_codes": effective}
        record["runs"].append(facts | vars(test))
    first = runs[jobs[-len(SEEDS)]]
    return record, completed(first.params, data, np.random.default_rng(0), first.settings.model)


def prior_codes_in_use(run, c):
    """e^(mean entropy of p(z|c)): how many codes, equally probable, the prior leaves open for one context."""
    N, K = latents(run.params)
    p, _ = PRIORS[run.settings.prior].op(run.params.get("phi"), c, N)
    if p is None:
        return float(K**N)
    return float(np.exp(each_array(lambda array: array.astype(np.float64), p).entropy()[0].mean()))


def completion_table(record, markdown=False):
    """Exact test log p(x|c) of each variant, median and range over the seeds, and the gain over p(z), seed by seed."""
    rows = [
        ("model", "test log p(x|c), nats", "gain over p(z), nats", "codes left open", "KL(q || p), nats", "seconds")
    ]
    by = {variant: [run for run in record["runs"] if run["variant"] == variant] for variant in VARIANTS}
    for variant, runs in by.items():
        values = np.array([run["log_likelihood"] for run in runs])
        gains = values - [run["log_likelihood"] for run in by["unconditional prior p(z)"]]
        gain = (
            ""
            if variant.startswith("uncond")
            else f"{np.median(gains):+.2f} ({gains.min():+.2f} to {gains.max():+.2f})"
        )
        left, kl, seconds = (np.median([run[key] for run in runs]) for key in ("prior_codes", "kl", "seconds"))
        rows.append((variant, spread(values), gain, f"{left:.1f}", f"{kl:.2f}", f"{seconds:.0f}"))
    return markdown_columns(rows) if markdown else columns(rows)
