"""The page's sections on trained models: what they reach, and how one can be lost."""

import numpy as np

from dvae_np import records
from dvae_np.experiments import completion, gaps, other_objectives, quantised, reproduce, tour
from dvae_np.experiments.first_steps import first_steps_table
from dvae_np.text import markdown_columns

MNIST512 = ("mnist512", "mnist512-s1", "mnist512-random", "mnist512-random-s1")
RATES = ("mnist-rate-0.1", "mnist-rate-0.05", "mnist", "mnist-rate-0.01", "mnist-rate-0.005")


def digits():
    """Training by four estimators."""
    record = records.read("tour")
    N, K = (record["trained"]["exact"][0]["settings"][name] for name in "NK")
    return f"""\
## Training on the 8x8 digits

`{record["command"]}`, on {record["data"]}.
N = {N}, K = {K}: all {K**N} joint states can be visited, so both numbers are exact, whichever estimator trained the model.

```text
{tour.results_table(record)}
```

![Left: negative ELBO during training by four estimators; right: what each code of the exactly trained model means](tour.png)

![Test digits above, their reconstructions below](reconstructions.png)

![Images drawn from the exactly trained model](samples.png)"""


def codes_512():
    """One latent of many categories on MNIST, trained exactly."""
    runs = {name: records.read(name) for name in MNIST512}
    rows = [("first image", "seed", "exact test log p(x)", "command")]
    for name, run in runs.items():
        start, log_p = "random" if "random" in name else "mean", f"{run['test']['log_likelihood']:.2f}"
        linked = f"[{log_p}](../dvae_np/records/{name}.json)"
        rows.append((start, str(run["settings"]["seed"]), linked, f"`{run['command']}`"))
    first = runs[MNIST512[0]]
    return f"""\
## {first["settings"]["K"]} categories, exactly

{first["data"]}. There is one latent, and the log-likelihood is a sum over all its
states. The first run took {first["seconds"]:.0f} seconds on {first["machine"].split(",")[0]}.
The seed decides more than the image that the decoder starts with.

{markdown_columns(rows)}

![Validation curves: four estimators on the digits, and one latent exactly on MNIST](learning.png)"""


def completions():
    """The lower half of a digit, given the upper half."""
    on_digits, on_mnist, fast = (records.read(f"completion-{name}") for name in ("digits", "mnist", RATES[0]))
    tables = [completion.completion_table(record, markdown=True) for record in (on_digits, on_mnist, fast)]
    rows = [("step size of the prior", "gain over p(z), nats", "codes left open")]
    for name in RATES:
        record = records.read(f"completion-{name}")
        cells = completion.completion_table(record, markdown=True).splitlines()[-1].split(" | ")
        rows.append((f"{record['model']['prior_rate']:g} of the rest's", cells[2], cells[3]))
    return f"""\
## Completing digits

The model sees the upper half c of an image and says how probable the lower half x is. Three models with the same hidden
layers: one without a latent, one whose prior does not see c, and one whose prior does. "Codes left open" is the exponential of
the prior's entropy for one context. The gain is the median of the differences seed by seed.

The 8x8 digits, `{on_digits["command"]}`:

{tables[0]}

![The upper halves of twelve test digits, the truth, and five completions of each](completion-digits.png)

MNIST, `{on_mnist["command"]}`:

{tables[1]}

![The same for MNIST](completion-mnist.png)

The prior must learn slowly; how slowly matters little. On MNIST, by `complete --data mnist --prior-rate RATE`:

{markdown_columns(rows)}

At {fast["model"]["prior_rate"]:g} of the rest's step size the conditional prior does worse than one that sees nothing,
although it could imitate that one ([lesson 17](../notebooks/17_completing_digits.ipynb) says why):

{tables[2]}

![Exact test log p(x given c) of the three models, one mark a seed](completion.png)"""


def published():
    """The MNIST VAE of a paper."""
    runs = [records.read(path.stem) for path in sorted(records.FOLDER.glob("reinmax-*.json"))]
    lost = records.read("reinmax-8x4-reinmax-s1")
    loss, kl, N, K = *(lost["history"][name] for name in ("loss", "kl")), *(lost["settings"][name] for name in "NK")
    S = records.read("reinmax-8x4-reinforce_loo-s0")["settings"]["S"]
    stuck = next(epoch for epoch, value in enumerate(loss) if value < loss[1] - 1)
    return f"""\
## A published table, blind

`python -m dvae_np reproduce reinmax --size 8x4 --estimator NAME --seed 0` trains the MNIST VAE of
[Liu et al. 2023](https://arxiv.org/abs/2304.08612) by its set-up, for {lost["settings"]["epochs"]} epochs:
{lost["data"]}.
Blind: nothing was tuned towards the paper's numbers; compare them yourself. The training loss of the last epoch is the paper's
quantity. The next two columns are exact at 8x4 and sampled beyond, where "at least" is a multi-sample bound.

{reproduce.reproduced_table(runs, markdown=True)}

Leave-one-out is our addition; it takes {S} samples, and so {S} evaluations of the decoder a step. Seconds are of one core of a
machine that did other work besides: they do not compare estimators, nor do differences of a nat. One run says little about an
estimator:

**ReinMax with seed 1 collapsed.** In its second epoch the mean KL was {kl[1]:.2f} nats. The most that it can be is
${N} \\log {K} = {N * np.log(K):.2f}$, where q is certain of a code for every image. There the Jacobian of the softmax is zero,
and with it every gradient that goes through it. The loss stayed at {loss[1]:.0f} nats until epoch {stuck}, was {loss[19]:.0f}
in epoch 20 and {loss[-1]:.0f} at the end."""


def first_steps():
    """All images onto one code."""
    record = records.read("collapse")
    common = [run["common"] for run in record["runs"] if run["start"] == "as published"]
    steps = record["every"] * (len(record["runs"][0]["codes"]) - 1)
    return f"""\
## The first steps, and what collapses them

A fresh decoder paints grey noise. Whichever code makes it darker is better for every image: {np.median(common):.0%} of the
first exact gradient in the logits is common to all images (c in the table). So all images move to a few codes, and each run
has to find its way out. A decoder whose last bias starts as the mean image (`--first-image mean`, not in the paper) has nothing
of the kind to learn, and `train` starts so. `{record["command"]}` looks at the first {steps} steps;
[lesson 19](../notebooks/19_it_does_not_train.ipynb) derives what it prints. Entropy and information are nats for each latent.

![Entropy of q and information about x in the first steps on MNIST, from three starts](collapse.png)

{first_steps_table(record, markdown=True)}"""


def structure():
    """What factorised and amortised posteriors lose."""
    record = records.read("gaps")
    return f"""\
## What structure buys

Hidden Markov models over the {gaps.N} rows of the digits, `{record["command"]}`, {record["epochs"]} epochs: Bernoulli
pixels, an emission table for each row and one transition matrix, shared by all images. log p(x) and the true posterior, over
all paths, are exact, and so is the gap of every bound, log p(x) - ELBO, on the test images. Encoders with one hidden layer of
{record["hidden"][0]} learn beside the model and then {record["epochs"]} epochs alone
([lesson 20](../notebooks/20_structured_latents.ipynb)).

{gaps.gaps_table(record, markdown=True)}"""


def quantised_codes():
    """What a VQ-VAE's codes are worth beside PyTorch's and a categorical VAE's."""
    on_digits, on_mnist = (records.read(name) for name in ("quantised", "quantised-mnist"))
    seen = on_digits["runs"][f"PyTorch: {quantised.IN_PYTORCH}"][0]["version"]
    return f"""\
## Quantised codes

A VQ-VAE's bound is -log p(x|z) + N log K; with a learned prior, an autoregressive one fitted to the codes of the training
images, -log p(z) takes the place of N log K. Perplexity says how many codes a latent uses, the mean over the latents. "VAE" is
a categorical VAE of the same size, trained by that estimator ([lesson 21](../notebooks/21_quantised_codes.ipynb)). "PyTorch" is
the same VQ-VAE in PyTorch {seen}, by its own layers, autograd and Adam, with as many steps, and with entries that begin at
vectors of a first batch. From one start and on one batch the two take the same steps, which a test confirms; what differs
below is the draws. On MNIST the runs are short, and what learns faster is ahead: that is no comparison of what each can reach.

{_quantised_table(on_digits)}

{_quantised_table(on_mnist)}"""


def _quantised_table(record):
    seeds = [len(runs) for runs in record["runs"].values()]
    more = f", {max(seeds)} of the two that are compared with each other" if max(seeds) > min(seeds) else ""
    return f"""\
`{record["command"]}`, {record["data"]}.
There are {record["N"]} latents of {record["K"]} codes, one hidden layer of {record["hidden"][0]} on either side,
{record["epochs"]} epochs and {min(seeds)} seeds{more}.

{quantised.quantised_table(record, markdown=True)}"""


def beside_the_elbo():
    """What wake-sleep and the bounds train to, beside the ELBO."""
    record = records.read("wake-sleep")
    return f"""\
## Other objectives than the ELBO

`{record["command"]}`: {record["N"]} latents of {record["K"]} categories on the digits, {record["epochs"]} epochs,
{len(record["seeds"])} seeds, S samples of each image. All columns are exact, in nats, of the test images; the KLs are those
between q and the true posterior. Step size and parameters are those with the least -log p(x) of the validation images, or
those with the least negative ELBO ([lesson 22](../notebooks/22_wake_sleep.ipynb)). Medians, and the range over the seeds.

Chosen by -log p(x):

{other_objectives.objectives_table(record, markdown=True)}

Chosen by the negative ELBO:

{other_objectives.objectives_table(record, markdown=True, by="negative_elbo")}"""
