"""The model of lesson 00, trained by what each lesson teaches: one latent, one layer on either side, Adam, all images at once.

Lesson 00 writes it in plain NumPy with the exact gradient. Here the gradient in the logits is any estimator's, and nothing else
changes. Step size, and temperature where there is one, are chosen by the validation split, over three seeds.
"""

from itertools import product

import numpy as np

from dvae_np.arrays import one_hot
from dvae_np.categorical import kl, score
from dvae_np.estimators import TABLE
from dvae_np.likelihoods.bernoulli import bernoulli
from dvae_np.noise import draw
from dvae_np.ops import embedding, log_sum_exp, sigmoid, softmax, softplus
from dvae_np.text import columns, markdown_columns, spread
from dvae_np.train import Adam, load

COMMAND = "python -m dvae_np compare --lessons"
K, STEPS, EVALUATIONS = 20, 600, 4  # of f for each image and step, where it is sampled
# lesson: estimator
TAUGHT = {4: "exact", 5: "reinforce", 6: "reinforce_loo", 7: "gumbel_softmax", 8: "reinmax", 10: "rebar"}
DETACHED = "no derivative"  # the drawn code as if it did not depend on the logits
LEARNT = (DETACHED, *TAUGHT.values())
RATES, TAUS, SEEDS = (0.01, 0.03, 0.1), (0.2, 0.5, 1.0), (0, 1, 2)
SEEN = tuple(sorted({*range(0, 40, 5), *range(40, STEPS + 1, 20)}))  # steps after which the loss is measured


def taught(lesson):
    """What the figure shows at the end of this lesson: the names of `LEARNT` so far."""
    return [DETACHED, *(name for first, name in TAUGHT.items() if first <= lesson)]


def train(name, x, seed=0, rate=0.03, steps=STEPS, watch=lambda step, params: None, **hyper):
    """(W, b, A): encoder ``x W + b``, and a row of pixel logits for each code, after so many steps on images x (B, D).

    name: of an estimator, or `DETACHED`. watch: called with the number of steps and the parameters, first before any.
    """
    rng, D = np.random.default_rng(seed), x.shape[1]
    params = [0.1 * rng.standard_normal((D, K)), np.zeros(K), 0.1 * rng.standard_normal((K, D))]
    m, v = ([np.zeros_like(w) for w in params] for _ in range(2))
    row = TABLE.get(name, TABLE["reinforce_loo"])
    tuned = {"omega": row.omega(rng, 1, K)} if row.omega else {}
    samples = row.samples_for(EVALUATIONS, 1, K)
    for t in range(1, steps + 1):
        watch(t - 1, params)
        W, b, A = params
        logits = (x @ W + b)[:, None]  # (B, 1, K)

        def f(z, A=A):  # -log p(x|z), by codes (S, B, 1) or relaxed codes (S, B, 1, K)
            pixels, to_codes = embedding(z, A[None])
            fz, to_pixels = bernoulli(pixels, x)

            def backward(dfz):
                dz, dA = to_codes(to_pixels(dfz)[0])
                return dz, {"A": dA[0]}

            return fz, backward

        noise = draw(rng, logits, samples, row.noise) if row.noise else ()
        found = row.estimate(logits, f, *noise, **row.hyper | hyper | tuned)
        dlogits = found.dlogits if name in TABLE else 0
        dlogits = (dlogits + kl(logits, np.zeros_like(logits))[1](np.ones(len(x)))[0])[:, 0] / len(x)
        for tunable, g in (found.domega or {}).items():
            tuned["omega"][tunable] = tuned["omega"][tunable] - 0.01 * np.sign(g)  # what Adam does at first
        gradients = (x.T @ dlogits, dlogits.sum(0), found.dtheta["A"] / len(x))
        for i, g in enumerate(gradients):  # Adam
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.99 * v[i] + 0.01 * g**2
            params[i] = params[i] - rate * (m[i] / (1 - 0.9**t)) / np.sqrt(v[i] / (1 - 0.99**t) + 1e-16)
    watch(steps, params)
    return params


def negative_elbo(params, x):
    """Its exact negative ELBO on images x (B, D), in nats: the mean over the images of sum_k q_k (f_k + log q_k + log K)."""
    W, b, A = params
    q = softmax(x @ W + b)[0]
    f = softplus(A)[0].sum(1) - x @ A.T  # (B, K)
    return float((q * (f + np.log(np.maximum(q, 1e-300)) + np.log(K))).sum(1).mean())


def first_models(known=None, save=lambda record: None, progress=lambda names: names, names=LEARNT):
    """The record: {estimator: its setting, and a curve of the exact test loss for each seed}, those of `known` kept."""
    record = known or {"command": COMMAND, "steps": list(SEEN), "estimators": {}}
    data = load("digits")
    parts = {part: getattr(data, part).x.astype(np.float64) for part in ("train", "validation", "test")}
    for name in progress(names):
        if name not in record["estimators"]:
            tried = []
            for rate, tau in product(RATES, TAUS if "tau" in getattr(TABLE.get(name), "hyper", ()) else (None,)):
                runs = [_run(name, parts, seed, rate, {} if tau is None else {"tau": tau}) for seed in SEEDS]
                score = float(np.median([validation for validation, _ in runs]))
                tried.append({"rate": rate, "tau": tau, "validation": score, "test": [curve for _, curve in runs]})
            record["estimators"][name] = min(tried, key=lambda each: each["validation"])
            save(record)
    return record


def first_models_table(record, markdown=False):
    """What each estimator reaches at the end, at its best step size and temperature: median and range over the seeds."""
    rows = [("estimator", "step size", "temperature", "test negative ELBO")]
    for name, found in record["estimators"].items():
        tau = "" if found["tau"] is None else f"{found['tau']:g}"
        rows.append((name, f"{found['rate']:g}", tau, spread([curve[-1] for curve in found["test"]])))
    return markdown_columns(rows) if markdown else columns(rows)


def _run(name, parts, seed, rate, hyper):
    """The validation loss at the end, and the test loss after each of the steps of `SEEN`."""
    curve = []

    def watch(step, params):
        if step in SEEN:
            curve.append(round(negative_elbo(params, parts["test"]), 4))

    params = train(name, parts["train"], seed, rate, STEPS, watch, **hyper)
    return negative_elbo(params, parts["validation"]), curve


def trained_on_bound(seed, constant=0.0, mean="arithmetic", S=16, steps=400, batch=200):
    """Exact test (-log p(x), -ELBO) of lesson 00's model, trained on the multi-sample bound with S samples, in nats.

    The gradient is VIMCO's, less `constant` times the sum of the scores, whose mean is zero.
    """
    rng, data = np.random.default_rng(seed), load("digits")
    x, test = data.train.x.astype(float), data.test.x.astype(float)
    W, b, A = 0.1 * rng.standard_normal((64, K)), np.zeros(K), 0.1 * rng.standard_normal((K, 64))
    optimiser = Adam({"model": {"W": W, "b": b, "A": A}}, 0.03, 0.9, 0.99)

    def costs(x):  # -log p(x, k), (B, K)
        return softplus(A)[0].sum(1) - x @ A.T + np.log(K)

    for _ in range(steps):
        some = x[rng.integers(0, len(x), batch)]
        logits, each = (some @ W + b)[:, None], costs(some)

        def f(z, each=each):
            hot = one_hot(z[..., 0], K, float)
            return (hot * each).sum(-1), lambda d: (None, {"costs": (hot * d[..., None]).sum(0)})

        (z,) = draw(rng, logits, S, ("z",))
        found = TABLE["vimco"].estimate(logits, f, z, mean=mean)
        dlogits = (found.dlogits - constant * score(logits, z).sum(0))[:, 0] / batch
        dcosts = found.dtheta["costs"] / batch
        dA = dcosts.sum(0)[:, None] * sigmoid(A)[0] - dcosts.T @ some
        optimiser.step({"model": {"W": some.T @ dlogits, "b": dlogits.sum(0), "A": dA}})
    return -log_sum_exp(-costs(test), 1).mean(), negative_elbo((W, b, A), test)
