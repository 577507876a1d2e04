"""Structured prediction: the lower half of a digit from its upper half, p(x|c) = sum_z p(z|c) p(x|z,c) [Eq. 13.3].

Three models of the same size, apart from what the question is about: no latent at all (one category: deterministic), a prior
that does not see the context (learned), and a prior that does (conditional).
"""

import numpy as np

from dvae_np.check.report import columns, markdown_columns
from dvae_np.train import Settings, evaluate, fit, load

SEEDS = (0, 1, 2)
MODEL = {
    "digits": {"N": 1, "K": 20, "hidden": (64,), "lr": 3e-3, "epochs": 150},
    "mnist": {"N": 1, "K": 20, "hidden": (256,), "lr": 2e-3, "epochs": 12},
}
VARIANTS = {
    "deterministic": {"K": 1, "prior": "uniform"},
    "unconditional prior p(z)": {"prior": "learned"},
    "conditional prior p(z|c)": {"prior": "conditional"},
}


def completion(name="digits", data_dir=None, progress=lambda runs: runs):
    """Train every variant with every seed; returns the record, and the parameters of the last variant's first run."""
    data = load(name, data_dir=data_dir, task="completion")
    jobs = [(variant, seed) for variant in VARIANTS for seed in SEEDS]
    record = {
        "command": f"python -m dvae_np complete --data {name}",
        "data": str(data),
        "model": MODEL[name],
        "runs": [],
    }
    params = {}
    for variant, seed in progress(jobs):
        run = fit(data, Settings(**MODEL[name] | VARIANTS[variant], seed=seed))
        params[variant, seed] = run.params
        test = evaluate(run.params, data.test.x, data.test.c)
        record["runs"].append({"variant": variant, "seed": seed, "seconds": round(run.seconds, 1), **vars(test)})
    return record, data, params[jobs[-len(SEEDS)]]


def completion_table(record, markdown=False):
    """Exact test log p(x|c) of each variant, median and range over the seeds, and the gain over p(z), seed by seed."""
    rows = [("model", "test log p(x|c), nats", "gain over p(z), nats", "KL(q || p), nats", "seconds")]
    by = {variant: [run for run in record["runs"] if run["variant"] == variant] for variant in VARIANTS}
    for variant, runs in by.items():
        values = np.array([run["log_likelihood"] for run in runs])
        gains = values - [run["log_likelihood"] for run in by["unconditional prior p(z)"]]
        gain = (
            ""
            if variant.startswith("uncond")
            else f"{np.median(gains):+.2f} ({gains.min():+.2f} to {gains.max():+.2f})"
        )
        spread = f"{np.median(values):.2f} ({values.min():.2f} to {values.max():.2f})"
        kl, seconds = (np.median([run[key] for run in runs]) for key in ("kl", "seconds"))
        rows.append((variant, spread, gain, f"{kl:.2f}", f"{seconds:.0f}"))
    return markdown_columns(rows) if markdown else columns(rows)
