"""Wake-sleep, the thermodynamic bound and the multi-sample bound beside the ELBO: what each trains a discrete VAE to.

One model on the digits, with so few joint states that all is exact: -log p(x), the negative ELBO, and both KLs between q and
the true posterior. Every method sees equally many images, with S samples of each. Every `LOOK` epochs the validation images are
evaluated. What is best depends on what is asked for, so each method is judged twice: step size, of `RATES`, and parameters are
those with the least validation -log p(x), or those with the least negative ELBO. Steps are chosen with a seed of their own.
"""

import copy
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dvae_np import vae
from dvae_np.estimators import TABLE, Row
from dvae_np.estimators.row import SCORE
from dvae_np.laws import joint_states
from dvae_np.noise import draw
from dvae_np.ops import log_softmax
from dvae_np.text import columns, markdown_columns, spread
from dvae_np.thermodynamic import thermodynamic
from dvae_np.train import Adam, evaluate, load
from dvae_np.wake_sleep import dreamed_images, prior_codes, sleep

COMMAND = "python -m dvae_np compare --wake-sleep"
N, K, HIDDEN, BATCH, EPOCHS, LOOK = 3, 8, (64,), 100, 200, 10
BY = ("negative_log_likelihood", "negative_elbo")  # what step and parameters are chosen by
RATES, SEEDS, CHOOSING_SEED, SAMPLES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1), (0, 1, 2), 10, (4, 16)
PATH = Row("thermodynamic", "thermodynamic bound", thermodynamic, noise=("z",), unbiased=False, family=SCORE, lesson=22,
           paper="Masrani et al. 2019", fewest_samples=2, owns_kl=True, hyper={"nodes": (0.0, 0.1, 0.3)})  # fmt: skip


@dataclass(frozen=True)
class Method:
    """What moves decoder and encoder, and how much of the encoder's gradient comes from dreams."""

    objective: str
    row: Row
    hyper: dict = field(default_factory=dict)
    asleep: float = 0.0


METHODS = {
    "exact": Method("ELBO", TABLE["exact"]),
    "leave-one-out": Method("ELBO", TABLE["reinforce_loo"]),
    "VIMCO": Method("bound", TABLE["vimco"]),
    "OVIS, gamma = 0": Method("bound", TABLE["ovis"]),
    "OVIS, gamma = 1": Method("bound and KL(p || q)", TABLE["ovis"], {"gamma": 1.0}),
    "wake-phi": Method("bound; KL(p || q)", TABLE["wake_phi"]),
    "wake-phi and sleep": Method("bound; KL(p || q)", TABLE["wake_phi"], asleep=0.5),
    "sleep": Method("bound; KL(p || q) of dreams", TABLE["wake_phi"], asleep=1.0),
    "thermodynamic": Method("left sum of the path", PATH),
}


def train(method, data, S, seed, rate, epochs=EPOCHS):
    """{a criterion of `BY`: (its least value on the validation images, the parameters with it)} of one training."""
    rng, x, best = np.random.default_rng(seed), data.train.x, dict.fromkeys(BY, (np.inf, None))
    params = vae.parameters(rng, x.shape[1], N, K, HIDDEN)
    optimiser, row = Adam(params, rate), method.row
    noise = partial(draw, rng, S=row.samples(S), names=row.noise)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(x))
        for first in range(0, len(x) - BATCH + 1, BATCH):
            batch = x[order[first : first + BATCH]]
            gradients = vae.negative_elbo(params, batch, row, noise, hyper=method.hyper).gradients
            if method.asleep:
                z = prior_codes(params, rng, BATCH)
                _, dpsi = sleep(params["psi"], dreamed_images(params, rng, z, x.shape[1]), z)
                gradients["psi"] = {name: (1 - method.asleep) * awake + method.asleep * dpsi[name]
                                    for name, awake in gradients["psi"].items()}  # fmt: skip
            optimiser.step(gradients)
        if epoch % LOOK == 0 or epoch == epochs:
            reached = values(evaluate(params, data.validation.x))
            best |= {by: (reached[by], copy.deepcopy(params)) for by in BY if reached[by] < best[by][0]}
    return best


def values(found):
    """The criteria of an evaluation, in nats."""
    return {"negative_log_likelihood": -found.log_likelihood, "negative_elbo": found.negative_elbo}


def both_kls(params, x):
    """KL(q || p(z|x)) and KL(p(z|x) || q) of images x (B, D), in nats, means over the images, over all joint states."""
    (q, _), f = vae.posterior_and_prior(params, x), vae.reconstruction(params["theta"], x)
    states = joint_states(N, K)[:, None]
    logq, log_posterior = q.log_prob(states)[0].astype(float), log_softmax(-f(states)[0].T.astype(float))[0].T
    gap = logq - log_posterior  # (M, B)
    return [float((np.exp(log_weights) * sign * gap).sum(0).mean())
            for log_weights, sign in ((logq, 1), (log_posterior, -1))]  # fmt: skip


def measured(params, data):
    """What parameters are worth on the test images, in nats."""
    own, other = both_kls(params, data.test.x)
    return values(evaluate(params, data.test.x)) | {"kl_q_p": own, "kl_p_q": other}


def judged(method, data, S, epochs):
    """{criterion: the step chosen by it, and what the runs of all seeds reach with it}."""
    trials = {rate: train(method, data, S, CHOOSING_SEED, rate, epochs) for rate in RATES}
    steps = {by: min(RATES, key=lambda rate, by=by: trials[rate][by][0]) for by in BY}
    runs = {rate: [train(method, data, S, seed, rate, epochs) for seed in SEEDS] for rate in set(steps.values())}
    return {by: {"rate": steps[by], "runs": [measured(run[by][1], data) for run in runs[steps[by]]]} for by in BY}


def other_objectives(known=None, progress=lambda items: items, save=lambda record: None, epochs=EPOCHS):
    """The record: every method at every number of samples; `known` holds what an earlier call has found."""
    data = load("digits")
    record = {"command": COMMAND, "data": str(data), "N": N, "K": K, "epochs": epochs, "seeds": SEEDS, "rates": RATES,
              "runs": dict((known or {}).get("runs", {}))}  # fmt: skip
    cells = [(name, S) for name, method in METHODS.items() for S in (SAMPLES if method.row.noise else SAMPLES[:1])]
    for name, S in progress(cells):
        method = METHODS[name]
        key = f"{name}, S = {S}" if method.row.noise else name
        if key in record["runs"]:
            continue
        record["runs"][key] = {"objective": method.objective} | judged(method, data, S, epochs)
        save(record)
    return record


def objectives_table(record, markdown=False, by="negative_log_likelihood"):
    """The record as a table, by one criterion: medians and ranges over the seeds."""
    rows = [("method", "objective", "step", "-log p(x)", "negative ELBO", "KL(q || p)", "KL(p || q)")]
    for name, found in record["runs"].items():
        numbers = (spread([run[each] for run in found[by]["runs"]]) for each in (*BY, "kl_q_p", "kl_p_q"))
        rows.append((name, found["objective"], f"{found[by]['rate']:g}", *numbers))
    return markdown_columns(rows) if markdown else columns(rows)
