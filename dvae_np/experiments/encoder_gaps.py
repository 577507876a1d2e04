"""Why the two yardsticks of equal time disagree: whose is the gap between -log p(x) and the negative ELBO?

-log p(x) judges the decoder and the prior alone. The negative ELBO is larger by KL(q || p(z|x)), which judges the encoder too
[Eq. 3.1]. The models of `equal_time` with 4,096 joint states are trained again, with what its trials chose, and the gap of
each test image is taken apart:

    family    the KL of the best independent q of that image, which coordinate ascent finds; 0 for a single latent
    encoder   the rest, which this encoder falls short of its family
    refitted  the negative ELBO after the encoder went on alone, by the exact gradient: what it can still learn
"""

import numpy as np

from dvae_np.experiments import equal_time
from dvae_np.experiments.gaps import ascended
from dvae_np.experiments.rule import Size
from dvae_np.laws import joint_states
from dvae_np.ops import log_sum_exp, softmax
from dvae_np.text import columns, markdown_columns, spread
from dvae_np.train import Adam, Settings, evaluate
from dvae_np.vae import posterior_and_prior, reconstruction

COMMAND = "python -m dvae_np compare --encoders"
SIZES = Size("independent", 4, 8), Size("independent", 1, 4096)
ESTIMATORS = ("exact", "reinforce_loo", "vimco", "gumbel_softmax", "reinmax")
STARTS, REFIT, LR = 2, 300, 1e-3  # random starts of the ascent; epochs and step size of the encoder alone
PARTS = ("negative_evidence", "family", "encoder", "negative_elbo", "refitted")


class EncoderAlone(equal_time.Timed):
    """A run by the exact gradient that changes the encoder and nothing else."""

    def __init__(self, data, settings, params):
        settings = Settings(
            "exact", N=settings.N, K=settings.K, lr=LR, epochs=REFIT, patience=REFIT, seed=settings.seed
        )
        super().__init__(data, settings, params=params)
        self.optimisers = [Adam({"psi": self.params["psi"]}, LR)]


def encoder_gaps(timed, known=None, save=lambda record: None, progress=lambda jobs: jobs):
    """The record: {"independent 4x8 vimco": {seed: its parts}}; timed: the record of `compare --train digits`."""
    record = known or {"command": COMMAND, "runs": {}}
    cells = {f"{size.name} {name}" for size in SIZES for name in ESTIMATORS}
    cells = {cell: settings for cell, settings in equal_time.cells_of(SIZES).items() if cell in cells}
    jobs = [(cell, str(seed)) for cell in cells for seed in equal_time.SEEDS]
    for cell, seed in progress([job for job in jobs if job[1] not in record["runs"].get(job[0], {})]):
        *_, settings = equal_time.task_settings((cell, "runs", seed), timed, cells)
        training = equal_time.trained("digits", None, settings, timed["cells"][cell]["steps"])
        record["runs"].setdefault(cell, {})[seed] = parts(training)
        save(record)
    return record


def parts(training):
    """What the negative ELBO of a trained model on the test images is made of, in nats."""
    data, params = training.data, training.best["params"]
    alone = EncoderAlone(data, training.settings, params)
    while not alone.finished:
        alone.step()
    return gap_of(params, data.test.x) | {"refitted": evaluate(alone.best["params"], data.test.x).negative_elbo}


def gap_of(params, x):
    """-log p(x), the parts of the gap, and the negative ELBO, which they add up to: means over the images."""
    x = x.astype(np.float64)
    params = {
        group: {name: array.astype(np.float64) for name, array in arrays.items()} for group, arrays in params.items()
    }
    found = evaluate(params, x)
    (q, _), table = posterior_and_prior(params, x), log_joint(params, x)
    family = float(best_gap(softmax(q.logits)[0], table).mean())
    return {"negative_evidence": -found.log_likelihood, "family": family, "encoder": found.posterior_gap - family,
            "negative_elbo": found.negative_elbo}  # fmt: skip


def log_joint(params, x):
    """log p(x, z) of each image and joint state: (B, K, ..., K), an axis for each latent; without the uniform prior, a number
    that the posterior does not see."""
    (q, _), f = posterior_and_prior(params, x), reconstruction(params["theta"], x)
    B, N, K = q.sizes
    return -f(joint_states(N, K)[:, None])[0].T.reshape(B, *(K,) * N)


def best_gap(q, table):
    """KL(q || p(z|x)) of the best independent q of each image that coordinate ascent finds: (B,).

    It starts from the encoder's marginals q (B, N, K), from the posterior's own, from its most probable codes, and at random.
    """
    (B, N, K), rng = q.shape, np.random.default_rng(0)
    posterior = softmax(table.reshape(B, -1))[0].reshape(table.shape)
    own = np.stack([posterior.sum(tuple(m + 1 for m in range(N) if m != n)) for n in range(N)], 1)
    mode = np.stack(np.unravel_index(table.reshape(B, -1).argmax(1), table.shape[1:]), 1)
    starts = [q, own, np.eye(K)[mode], *rng.dirichlet(np.ones(K), (STARTS, B, N))]
    found = [kl(ascended(start, lambda q, n: mean_log_joint(table, q, n)), table) for start in starts]
    return np.maximum(np.min(found, axis=0), 0)  # rounding


def mean_log_joint(table, q, n):
    """The mean of log p(x, z) given each value of latent n, the others drawn from the marginals q: (B, K)."""
    for m in reversed(range(q.shape[1])):
        if m != n:
            table = np.einsum("b...k,bk->b...", np.moveaxis(table, m + 1, -1), q[:, m])
    return table


def kl(q, table):
    """KL(q || p(z|x)) of marginals q: (B,)."""
    negative_entropy = np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).sum((1, 2))
    expected = (q[:, 0] * mean_log_joint(table, q, 0)).sum(1)
    return negative_entropy - expected + log_sum_exp(table.reshape(len(q), -1), 1)


def encoders_table(record, markdown=False):
    """A line for each model and estimator: medians and ranges over the seeds, in nats."""
    words = ("-log p(x)", "+ family", "+ encoder", "= negative ELBO", "encoder refitted")
    rows = [("model", "estimator", *words)]
    for cell, runs in record["runs"].items():
        size, _, name = cell.rpartition(" ")
        rows.append((size, name, *(spread([run[part] for run in runs.values()]) for part in PARTS)))
    return markdown_columns(rows) if markdown else columns(rows)
