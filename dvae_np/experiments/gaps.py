"""What a factorised posterior, and an amortised one, cost in nats: hidden Markov models over the rows of the digits.

Eight latents, one for each row of 8 pixels, which it emits: Bernoulli pixels, an emission table for each row, one transition
matrix for all steps. log p(x) and the posterior of an image, over all K^8 paths, come from dynamic programming. So the gap
between log p(x) and an ELBO is known, and what it is made of:

    both            log p(x) - ELBO of a factorised encoder
    factorisation   log p(x) - ELBO of the best factorised posterior of each image
    amortisation    the difference of these two; for a chain encoder, whose family has the exact posterior, its whole gap
"""

import numpy as np

from dvae_np import vae
from dvae_np.additive import log_evidence, true_posterior
from dvae_np.estimators import TABLE
from dvae_np.laws import Independent
from dvae_np.model import Model
from dvae_np.ops import softmax
from dvae_np.structure import PRIORS
from dvae_np.text import columns, markdown_columns
from dvae_np.train import Adam, Settings, evaluate, load
from dvae_np.train.beginning import fresh_parameters

N, SIZES, SEEDS, STARTS, SWEEPS = 8, (8, 32), (1, 2, 3), 4, 200
EPOCHS, LR, BATCH, HIDDEN = 200, 3e-3, 100, (128,)
MODELS = {name: Model(prior="transition", interface="emission", posterior=name) for name in ("chain", "independent")}
COMMAND = "python -m dvae_np gaps"


def gaps(progress=lambda jobs: jobs):
    """Train every model with every seed; returns the record."""
    data = load("digits")
    jobs = [(K, seed) for K in SIZES for seed in SEEDS]
    lines = [gaps_of(data, K, seed) for K, seed in progress(jobs)]
    facts = {"epochs": EPOCHS, "lr": LR, "hidden": HIDDEN}
    return {"command": COMMAND, "data": str(data), **facts, "lines": lines}


def gaps_of(data, K, seed):
    """One model, trained on log p(x) itself, and its gaps on the test split; and two trained through an encoder's bound.

    The encoders learn beside the model, which is soft at first, and then go on alone: one that begins when the model is sharp
    is more easily caught in a bad place.
    """
    exact = {group: arrays for group, arrays in fresh(data, K, seed, "chain").items() if group != "psi"}
    beside = {name: {"psi": fresh(data, K, seed, name)["psi"]} | exact for name in MODELS}
    encoders = [(beside[name], ("psi",), bound(model)) for name, model in MODELS.items()]
    trained([(exact, ("theta", "phi"), likelihood), *encoders], data, seed)
    trained(encoders, data, seed)
    line = {"K": K, "seed": seed, "best_factorised_gap": float(best_factorised_gap(exact, data.test.x, seed).mean())}
    for name, model in MODELS.items():
        found, seen = (evaluate(beside[name], split.x, model=model) for split in (data.test, data.train))
        joint = fresh(data, K, seed, name)
        trained([(joint, ("psi", "theta", "phi"), bound(model))], data, seed)
        through = evaluate(joint, data.test.x, model=model)
        line |= {"log_likelihood": found.log_likelihood, f"{name}_gap": found.posterior_gap,
                 f"{name}_train_gap": seen.posterior_gap, f"through_{name}": through.log_likelihood,
                 f"through_{name}_gap": through.posterior_gap}  # fmt: skip
    return line


def fresh(data, K, seed, posterior):
    """Parameters as a run of `train` has them at first."""
    settings = Settings(
        N=N, K=K, prior="transition", interface="emission", posterior=posterior, hidden=HIDDEN, seed=seed
    )
    return fresh_parameters(np.random.default_rng(seed), data, settings)


def trained(jobs, data, seed):
    """Adam, batch by batch, on each of these in turn and in place: (parameters, their groups, (params, x) -> gradients)."""
    rng, x = np.random.default_rng(seed), data.train.x
    optimisers = [Adam({group: params[group] for group in groups}, LR) for params, groups, _ in jobs]
    for _ in range(EPOCHS):
        for chosen in np.split(rng.permutation(len(x)), range(BATCH, len(x), BATCH)):
            for optimiser, (params, _, loss) in zip(optimisers, jobs, strict=True):
                optimiser.step(loss(params, x[chosen]))


def bound(model):
    """The negative ELBO's gradients, exact by dynamic programming."""
    return lambda params, x: vae.negative_elbo(params, x, TABLE["exact"], lambda q: (), model=model).gradients


def prior_and_objective(params, x):
    """p(z) with its backward pass, and f = -log p(x|z)."""
    p, prior_backward = PRIORS["transition"].op(params["phi"], None, N)
    return p, prior_backward, vae.reconstruction(params["theta"], x, model=MODELS["chain"])


def likelihood(params, x):
    """The gradients of -log p(x), the mean over the batch [Eq. 20.12]."""
    p, prior_backward, f = prior_and_objective(params, x)
    _, evidence_backward = log_evidence(p, f)
    dp, dtheta = evidence_backward(np.full(len(x), -1 / len(x)))
    return {"theta": dtheta, "phi": prior_backward(dp)}


def best_factorised_gap(params, x, seed):
    """KL(q || p(z|x)) of the best independent q of each image that coordinate ascent finds: (B,).

    One latent after the other becomes the best for the others' marginals, softmax of the mean potentials that they leave. The
    starts: the posterior's own marginals, its most probable path, and random ones.
    """
    wide = {
        group: {name: array.astype(np.float64) for name, array in arrays.items()} for group, arrays in params.items()
    }
    p, _, f = prior_and_objective(wide, x.astype(np.float64))
    target, rng = true_posterior(p, f), np.random.default_rng(seed)
    B, _, K = target.sizes
    starts = [target.marginals()[0], np.eye(K)[target.mode()], *rng.dirichlet(np.ones(K), (STARTS - 2, B, N))]
    found = [ascended(q, lambda q, n: mean_potentials(target, q, n)) for q in starts]
    with np.errstate(divide="ignore"):
        return np.min([target.kl_from(Independent(np.log(q)))[0][:, 0] for q in found], axis=0)


def mean_potentials(chain, q, n):
    """The mean log-weight of each value of latent n of a `Chain`, its neighbours from the marginals q: (B, K)."""
    mean = chain.unary[:, n].copy()
    if n > 0:
        mean += (q[:, n - 1, None] @ chain.pairwise[:, n - 1])[:, 0]
    if n < N - 1:
        mean += (chain.pairwise[:, n] @ q[:, n + 1, :, None])[..., 0]
    return mean


def ascended(q, potentials):
    """Marginals (B, N, K) that coordinate ascent reaches from q: each becomes softmax(potentials(q, n)), the best beside the
    others, until none moves."""
    q = q.copy()
    for _ in range(SWEEPS):
        before = q.copy()
        for n in range(q.shape[1]):
            q[:, n] = softmax(potentials(q, n))[0]
        if abs(q - before).max() < 1e-6:
            break
    return q


ROWS = {  # of the table: the words, and the number of a line of the record
    "test log p(x)": lambda line: line["log_likelihood"],
    "amortisation: gap of a chain encoder": lambda line: line["chain_gap"],
    "factorisation: gap of the best factorised q of each image": lambda line: line["best_factorised_gap"],
    "both: gap of a factorised encoder": lambda line: line["independent_gap"],
    "the same on the training images": lambda line: line["independent_train_gap"],
    "test log p(x), trained through the chain encoder": lambda line: line["through_chain"],
    "its gap": lambda line: line["through_chain_gap"],
    "test log p(x), trained through the factorised encoder": lambda line: line["through_independent"],
    "its gap ": lambda line: line["through_independent_gap"],
}


def gaps_table(record, markdown=False):
    """The gaps in nats, median and range over the seeds, as text or as a Markdown table."""
    rows = [("nats", *(f"K = {K}" for K in SIZES))]
    for words, number in ROWS.items():
        cells = []
        for K in SIZES:
            found = [number(line) for line in record["lines"] if line["K"] == K]
            cells.append(f"{np.median(found):.3f} ({min(found):.3f} to {max(found):.3f})")
        rows.append((words.strip(), *cells))
    return markdown_columns(rows) if markdown else columns(rows)
