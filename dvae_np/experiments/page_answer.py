"""The page that answers the practical rule, figures/WHICH_ESTIMATOR.md: in plain words, every number from a record."""

import numpy as np

from dvae_np import records
from dvae_np.experiments import encoder_gaps, equal_time, rule, yardsticks
from dvae_np.experiments.other_objectives import BY
from dvae_np.experiments.page_larger import larger_images
from dvae_np.experiments.page_limits import not_known, wrong_before
from dvae_np.experiments.yardsticks import Measured
from dvae_np.text import markdown_columns

PICTURE = "which_estimator.png"
FEW, SMALL, LARGE, HUGE, SINGLE = (f"independent {size}" for size in ("2x8", "4x8", "5x8", "20x10", "1x4096"))
CHAIN, ROWS = "chain 8x4", "rows 8x32"


def models():
    """{model in words: [Found, ...]} of every size and data set that is finished, for the picture."""
    found = {}
    for name in yardsticks.data_sets():
        for size, cells in Measured(name).sizes.items():
            family, _, sizes = size.partition(" ")
            many = "latents" if family == "independent" else family
            found[f"{many}\n{sizes.replace('x', ' of ')}\n{name}"] = cells
    return found


def answer():
    """The page, as Markdown. Raises InputError where a record is missing."""
    cost, digits, mnist = records.read("rule"), Measured("digits"), Measured("mnist")
    seconds, command = digits.record["seconds"], digits.record["command"]
    return f"""\
# Which estimator when

A rule of thumb says: *for small or moderate K, prefer exact marginalisation; for larger or structured discrete latent
spaces, a Gumbel-Softmax-style relaxation is often the simplest practical choice.* Both halves are measured here, in two
ways: what a gradient of a given error costs (`{cost["command"]}`), and what {seconds} seconds of training reach on the
8x8 digits (`{command}`), or {mnist.record["seconds"]} on MNIST. Losses are in nats, on test images, medians of three seeds;
less is better. Ranges and all settings are on [the page of measured numbers](README.md#which-estimator-when), with the commands
that repeat one of them.
[Lesson 14](../notebooks/14_which_estimator_when.ipynb) says how they are made.

![How many nats each estimator is behind the best of its model, by the negative ELBO and by -log p(x)]({PICTURE})

A column is a model: "4 of 8" has 4 latents of 8 categories. All of its estimators got the same time, that is as many steps
as fit into it. **Bold**: the best median, and each estimator whose range over three seeds meets the range of the best. Empty:
too many codes for a sum, or not measured there. "rows" is a chain, too: each of its latents emits a row of pixels. In chains
`gumbel_softmax` is Gumbel-CRF (Fu et al. 2020), and `straight_through` goes through the marginals. With 20 latents -log p(x)
is a bound of {equal_time.BOUNDS[-1]:,} samples. The darkest blue means 10 nats or more. With 4,096 categories REBAR got
{digits.steps(SINGLE, "rebar"):,} steps on the digits, and learned next to nothing.

## What to take

A pair of numbers is the negative ELBO / -log p(x) after training, of the model that its row names first: compare within a
row. Rows with "28x28" are about MNIST, the others about the digits. On MNIST, too, VIMCO is the best by log p(x) with a chain
or with 3 or 4 latents of 8, but not with 20 latents or one. Codes are counted together: 4 latents of 8 have 4,096. Two are
*level* if their ranges over three seeds meet; that does not show that they are equal. A single run can decide that: where two
ranges miss each other by a few hundredths of a nat, take their order as open. Where two are level, the one without a bias is
named. `reinmax` and `local_expectation` take independent latents only.

{what_to_take(digits, mnist)}

{first_half(cost, digits)}

{second_half(cost, digits)}

{larger_images(mnist)}

{disagreement(digits)}

{wrong_before(cost, digits)}

{not_known(digits, mnist)}
"""


def what_to_take(digits, mnist, short=False):
    """A line for each kind of model, as a Markdown table; README shows the short one."""
    lines = (  # the model, what to take, how; the study, its size, another estimator beside it
        ("up to some thousand codes", "exact", "", digits, SMALL, "reinforce_loo"),
        ("some ten thousand, few categories", "local_expectation", "", digits, LARGE, "reinforce_loo"),
        ("one latent of thousands", "exact", "", digits, SINGLE, digits.runner_up(SINGLE)),
        ("a chain that emits parts of x", "exact", ", by dynamic programming", digits, ROWS, digits.runner_up(ROWS)),
        ("more codes, or a chain under one decoder", "reinforce_loo", ", 4 samples", digits, HUGE, "reinmax"),
        ("log p(x) counts, several latents, one decoder", "vimco", "", digits, HUGE, "reinforce_loo"),
        ("28x28: 2 latents of 8", "exact", "", mnist, FEW, mnist.runner_up(FEW)),
        ("28x28: 4 or 3 latents of 8, or a chain", "reinforce_loo", "", mnist, SMALL, "vimco"),
        ("28x28: 20 latents of 10", "reinmax", ", tau tried out", mnist, HUGE, "gumbel_softmax"),
        ("28x28: one latent of 4,096", "gumbel_softmax", ", tau tried out", mnist, SINGLE, "exact"),
    )
    rows = [("your model", "take", "it reaches", "beside it", "measured with")]
    for model, estimator, how, study, size, other in lines:
        beside = f"`{other}` {study.both(size, other)}"
        measured = f"{yardsticks.in_words(size)}, {study.record['data']}"
        rows.append((model, f"`{estimator}`{how}", study.both(size, estimator), beside, measured))
    return markdown_columns([row[:3] for row in rows] if short else rows)


def first_half(cost, digits):
    """Where the exact gradient pays."""
    error, rough = (f"{rule.exact_up_to(cost, error):,}" for error in (0.1, 1.0))
    return f"""\
## The first half: exact

**It is right, but K alone does not decide.** What counts is how many codes the decoder must see. A sum decodes each code
once for the whole batch; an estimator by samples decodes S codes for every example. So the sum is the cheapest way to a
gradient with an error of 10 % up to {error} joint codes, and with an error of 100 % up to {rough}.

**For training on the digits the border lies between 4,096 and 32,768 codes.** At the lower end the sum is level with the best,
and has no noise and nothing to choose but a step size. At the upper end it is {-digits.lead(LARGE):.2f} nats behind: it has the
best gradient, and too few steps. On larger images a sum gets fewer steps, and the border is lower: see below.

**With one latent of 4,096 categories the sum is more than level, on small images.** On the digits it wins by
{digits.lead(SINGLE):.2f} nats. It gets about as many steps as leave-one-out there: {digits.steps(SINGLE, "exact"):,} and
{digits.steps(SINGLE, "reinforce_loo"):,}.

**Dynamic programming makes it pay again.** In a chain whose latents emit a part of x each, the exact gradient of 32^8
codes takes {rule.takes(cost, ROWS, "exact"):.2g} ms. After training it is {digits.lead(ROWS):.2f} nats ahead of the next best.
Under one decoder that sees all latents of the chain there is no such help: {rule.takes(cost, CHAIN, "exact"):.2g} ms for 4^8
codes, {digits.steps(CHAIN, "exact")} steps, and {-digits.lead(CHAIN):.2f} nats behind."""


def second_half(cost, digits):
    """What a relaxation costs."""
    apart = {size: digits.apart(size, "gumbel_softmax", "reinforce_loo") for size in digits.sizes}
    evidence = [by_log_p for _, by_log_p in apart.values()]
    cheap = [rule.takes(cost, "independent 5x10", name) for name in ("gumbel_softmax", "reinforce_loo")]
    elbo = [by_elbo for size, (by_elbo, _) in apart.items() if size != LARGE]  # there the ranges meet
    taus = [digits.choice(size, "reinmax")["hyper"]["tau"] for size in (FEW, SMALL, LARGE, HUGE, SINGLE)]
    behind = [-digits.ahead("reinmax", size) for size in (FEW, LARGE, SINGLE)]
    return f"""\
## The second half: a relaxation

**It is the simplest, but on small images it is behind by the ELBO.** Gumbel-Softmax is one line, with one sample and no
baseline. Compared with leave-one-out with 4 samples it is {min(elbo):.2f} to {max(elbo):.2f} nats behind by the ELBO at
{len(elbo)} of {len(apart)} sizes, and level at one, 5 latents of 8. By log p(x) it is from {-min(evidence):.2f} ahead to
{max(evidence):.2f} behind. As a rough gradient it is among the cheapest: an error of 100 % costs {cheap[0]:.2g} ms with
100,000 codes; leave-one-out takes {cheap[1]:.2g} ms.

**ReinMax is as simple:** a line, and one sample. Compared with Gumbel-Softmax, by the ELBO, it is
{digits.ahead("reinmax", HUGE):.2f} nats ahead with 20 latents of 10, level with 4 latents of 8, and {min(behind):.2f} to
{max(behind):.2f} behind at the other sizes. Of {len(equal_time.HARD)} temperatures
the default of 1 was chosen at {taus.count(1.0)} of {len(taus)} sizes.

**The temperature must be tried out.** That of Gumbel-Softmax matters most. Validation losses of its trials, one seed,
at a step size of {equal_time.FIRST["lr"]}:

{temperatures(digits)}"""


def temperatures(digits):
    """What Gumbel-Softmax reaches by temperature, on the models of either end, as a Markdown table."""
    sizes = SMALL, HUGE, SINGLE
    rows = [("tau", *map(yardsticks.in_words, sizes))]
    for i, how in enumerate(equal_time.TEMPERATURES["gumbel_softmax"]):
        trials = [digits.record["cells"][f"{size} gumbel_softmax"]["trials"] for size in sizes]
        reached = [each[str(i)]["validation"] for each in trials]
        rows.append((yardsticks.tau_in_words(how), *(f"{loss:.2f}" for loss in reached)))
    return markdown_columns(rows)


def disagreement(digits):
    """Why the two yardsticks rank differently, and what follows."""
    record = records.read("encoder-gaps")
    part = lambda size, name, what: np.median([run[what] for run in record["runs"][f"{size} {name}"].values()])
    vimco = lambda what: part(SMALL, "vimco", what)
    soft = lambda what: part(SMALL, "gumbel_softmax", what) - part(SMALL, "exact", what)
    second, best = (digits.record["cells"][f"{SMALL} vimco"]["trials"][key] for key in "23")
    choice = second["validation"] - best["validation"]
    gaps = [trial["negative_elbo"] + trial["log_likelihood"] for trial in (second, best)]
    beside = records.read("wake-sleep")
    evidence = lambda name, by: np.median(
        [run["negative_log_likelihood"] for run in beside["runs"][name][BY[by]]["runs"]]
    )
    many = lambda what: part(SINGLE, "gumbel_softmax", what) - part(SINGLE, "reinforce_loo", what)
    return f"""\
## Where the yardsticks disagree, and why

The negative ELBO is -log p(x) plus the gap KL(q || p(z|x)). The first part judges the decoder and the prior alone; the
gap judges the encoder too. `{record["command"]}` takes it apart. The *family's* part is what the best independent q of each
image still lacks; the rest is the *encoder's*. "Refitted": the negative ELBO after the encoder went on alone for
{encoder_gaps.REFIT} epochs, by the exact gradient. (Medians need not add up.)

{encoder_gaps.encoders_table(record, markdown=True)}

- **If one decoder sees several latents, VIMCO has the lowest -log p(x) on the digits, alone or level with others. Its encoder
  fits its own bound.** In it the best of 4 draws counts most. With 4 latents of 8 its gap is
  {vimco("family") + vimco("encoder"):.2f} nats, and {vimco("encoder"):.2f} of it are the encoder's. (The trials chose the
  largest step size, by only {choice:.2f} nats of log p(x). In the trial, seed 0, the gap is {gaps[1]:.2f} with it, and
  {gaps[0]:.2f} with the next smaller one.) If you need codes as well as probabilities, let the encoder go on alone: that gains
  {vimco("negative_elbo") - vimco("refitted"):.2f} nats, and leaves it
  {vimco("refitted") - part(SMALL, "exact", "negative_elbo"):.2f} behind the exact gradient.
- **A part of VIMCO's lead comes from the choice.** Here it is stopped and chosen by log p(x), and the others by the ELBO.
  What that gives was measured on another model, 3 latents of 8 and digits whose pixels are fixed (`{beside["command"]}`). By
  -log p(x), VIMCO with 4 samples reaches {evidence("VIMCO, S = 4", 0):.2f} and the exact gradient
  {evidence("exact", 0):.2f} if both are chosen by log p(x). If both are chosen by the ELBO, they are level:
  {evidence("VIMCO, S = 4", 1):.2f} and {evidence("exact", 1):.2f}. Choose by what you need.
- **Compared with the exact gradient, Gumbel-Softmax has a worse decoder and a worse encoder; with 4,096 categories mainly a
  worse encoder.** With 4 latents of 8 it is {soft("negative_evidence"):.2f} nats behind by log p(x), and
  {soft("negative_elbo"):.2f} by the ELBO.
  With one latent of 4,096 the yardsticks contradict each other: it is {-many("negative_evidence"):.2f} nats ahead of
  leave-one-out by log p(x), and {many("negative_elbo"):.2f} behind by the ELBO. With both encoders refitted it is
  {-many("refitted"):.2f} ahead by the ELBO too.
- Which number counts is decided by what the model is for: codes of images, or probabilities of images."""
