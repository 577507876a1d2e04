"""The page that answers the practical rule, figures/WHICH_ESTIMATOR.md: in plain words, every number from a record."""

import numpy as np

from dvae_np import records
from dvae_np.experiments import encoder_gaps, equal_time, rule, yardsticks
from dvae_np.experiments.other_objectives import BY
from dvae_np.experiments.page_larger import larger_images
from dvae_np.experiments.yardsticks import YARDSTICKS, Measured
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
is a bound of {equal_time.BOUNDS[-1]:,} samples. With 4,096 categories REBAR got {digits.steps(SINGLE, "rebar"):,} steps, and
learned next to nothing.

## What to take

A pair of numbers is the negative ELBO / -log p(x) after training. Each row has a model of its own: compare within a row.
Where two are level, the one without a bias is named first.

{what_to_take(digits, mnist)}

{first_half(cost, digits)}

{second_half(cost, digits)}

{larger_images(mnist)}

{disagreement(digits)}

{corrections(cost, digits, mnist)}
"""


def what_to_take(digits, mnist, short=False):
    """A line for each kind of model, as a Markdown table; README shows the short one."""
    lines = (  # the model, what to take, how; the study, its size, another estimator beside it
        ("up to some thousand joint codes, small images", "exact", "", digits, SMALL, "reinforce_loo"),
        ("some ten thousand, of few categories", "local_expectation", "", digits, LARGE, "reinforce_loo"),
        ("one latent of thousands of categories", "exact", "", digits, SINGLE, digits.runner_up(SINGLE)),
        ("a chain that emits parts of x", "exact", ", by dynamic programming", digits, ROWS, digits.runner_up(ROWS)),
        ("more codes; other chains", "reinforce_loo", ", 4 samples", digits, HUGE, "reinmax"),
        ("log p(x) counts, except as below", "vimco", "", digits, HUGE, "gumbel_softmax"),
        ("very many codes, larger images", "reinmax", ", temperature tried out", mnist, HUGE, "gumbel_softmax"),
    )
    rows = [("your model", "take", "it reaches", "beside it")]
    for model, estimator, how, study, size, other in lines:
        where = "MNIST: " if study is mnist else ""
        beside = f"`{other}` {study.both(size, other)}"
        rows.append((model, f"`{estimator}`{how}", where + study.both(size, estimator), beside))
    return markdown_columns([row[:3] for row in rows] if short else rows)


def exact_ms(cost, name):
    """The milliseconds of the exact gradient of one model of `compare --rule`, in words."""
    return f"{next(model['exact'] for model in cost['models'] if model['name'] == name):.2g}"


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

**One latent is the exception.** With 4,096 categories the sum wins by {digits.lead(SINGLE):.2f} nats on the digits: a draw
tells about one category, the sum about all.

**Dynamic programming makes it pay again.** In a chain whose latents emit a part of x each, the exact gradient of 32^8
codes takes {exact_ms(cost, ROWS)} ms. After training it is {digits.lead(ROWS):.2f} nats ahead of the next best.
Under a decoder that mixes all latents of the chain there is no such help: {exact_ms(cost, CHAIN)} ms for 4^8 codes, and
{-digits.lead(CHAIN):.2f} nats behind."""


def second_half(cost, digits):
    """What a relaxation costs."""
    elbo, evidence = (digits.behind("gumbel_softmax", "reinforce_loo", yardstick) for yardstick in YARDSTICKS)
    taus = [digits.choice(size, "reinmax")["hyper"]["tau"] for size in (FEW, SMALL, LARGE, HUGE, SINGLE)]
    behind = [-digits.ahead("reinmax", size) for size in (FEW, LARGE, SINGLE)]
    return f"""\
## The second half: a relaxation

**It is the simplest, but on small images it loses.** Gumbel-Softmax is one line, with one sample and no baseline.
Compared with leave-one-out with 4 samples it is {min(elbo):.2f} to {max(elbo):.2f} nats behind by the ELBO, and by log p(x)
from {-min(evidence):.2f} ahead to {max(evidence):.2f} behind. As a rough gradient it is among the cheapest: an error of
100 % costs {milliseconds(cost, "gumbel_softmax")} ms with 100,000 codes; leave-one-out takes
{milliseconds(cost, "reinforce_loo")} ms.

**ReinMax is as short.** Compared with Gumbel-Softmax, by the ELBO, it is {digits.ahead("reinmax", HUGE):.2f} nats ahead with 20
latents of 10, level with 4 latents of 8, and {min(behind):.2f} to {max(behind):.2f} behind at the other sizes. Of
{len(equal_time.HARD)} temperatures the default of 1 was chosen at {taus.count(1.0)} of {len(taus)} sizes.

**The temperature must be tried out.** That of Gumbel-Softmax matters most. Validation losses of its trials, one seed,
at a step size of {equal_time.FIRST["lr"]}:

{temperatures(digits)}"""


def milliseconds(cost, estimator, error="1.0"):
    """What a gradient of this error costs on the largest model of independent latents."""
    (model,) = (model for model in cost["models"] if model["name"] == "independent 5x10")
    return f"{model[estimator]['costs'][error]['milliseconds']:.2g}"


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

- **On the digits VIMCO has the lowest -log p(x) where a decoder mixes several latents, or shares it; its encoder fits its own
  bound.** There the best of 4 draws counts most, so q may be wide. With 4 latents of 8 its gap is
  {vimco("family") + vimco("encoder"):.2f} nats, and {vimco("encoder"):.2f} of it are the encoder's. (The trials chose the
  largest step size; it won by only {choice:.2f} nats of log p(x). With the next one the gap of that seed is {gaps[0]:.2f} and
  not {gaps[1]:.2f}.) If you need codes as well as probabilities, let the encoder go on alone: that gains
  {vimco("negative_elbo") - vimco("refitted"):.2f} nats, and leaves it
  {vimco("refitted") - part(SMALL, "exact", "negative_elbo"):.2f} behind the exact gradient.
- **A part of VIMCO's lead comes from the choice.** Here it is stopped and chosen by log p(x), and the others by the ELBO.
  `{beside["command"]}` does both with every method. Chosen by log p(x), VIMCO with 4 samples reaches
  {evidence("VIMCO, S = 4", 0):.2f} and the exact gradient of the ELBO {evidence("exact", 0):.2f}; chosen by the ELBO,
  {evidence("VIMCO, S = 4", 1):.2f} and {evidence("exact", 1):.2f}. Choose by what you need.
- **Of Gumbel-Softmax decoder and encoder are worse; with 4,096 categories mainly the encoder.** With 4 latents of 8 it
  is {soft("negative_evidence"):.2f} nats behind the exact gradient by log p(x), and {soft("negative_elbo"):.2f} by the ELBO.
  With one latent of 4,096 the yardsticks contradict each other: it is {-many("negative_evidence"):.2f} nats ahead of
  leave-one-out by log p(x), and {many("negative_elbo"):.2f} behind by the ELBO. With both encoders refitted it is
  {-many("refitted"):.2f} ahead by the ELBO too.
- Which number counts is decided by what the model is for: codes of images, or probabilities of images."""


def corrections(cost, digits, mnist):
    """What earlier answers, this package's among them, had wrong, and what is not known."""
    default, best, _ = rule.lost_by_defaults(cost, 0.3)["gumbel_softmax"]
    models, cells = len(cost["models"]), sum(map(len, digits.sizes.values()))
    those = lambda study, asked: [
        f"{size} {found.estimator}"
        for size, many in study.sizes.items()
        for found in many
        if asked(size, found.estimator)
    ]
    return f"""\
## What was wrong in earlier answers

- *"Gumbel-Softmax hardly ever gets a gradient to an error of 0.3."* At its default temperature of 1 it does on {default}
  of {models} models. At the best of {len(cost["taus"])} temperatures it does on {best}. Do not judge it by its default.
- *"A cold relaxation is a good one."* With 4,096 categories the cold one was the worst. With 20 latents on MNIST the
  warm one was the best.
- *"The exact gradient of a chain is out of reach beyond some thousand codes."* That was slow code, with a score for each
  code. As a product of conditionals the same sum is several times faster; a test checks this.
- *"The cheapest gradient trains the best model."* With 32,768 codes Gumbel-Softmax takes a tenth of leave-one-out's time to
  an error of 1. After training it is {digits.ahead("reinforce_loo", LARGE):.2f} nats behind by the ELBO.
- *"In large spaces leave-one-out and ReinMax lead, and VIMCO by log p(x)."* On the digits. On MNIST relaxations
  lead with 20 latents of 10.
- *"Structured codes ask for a relaxation."* For chains none was the best choice, on either data set.
- *"Small K."* The number of joint codes that the decoder must see says more; one latent is the exception.

## What is not known

- Larger images: of {len(equal_time.SIZES["mnist"])} sizes on MNIST {len(mnist.sizes)} can be shown. MNIST also has more
  images and more time than the digits: what of this favours relaxations is not known. Larger networks: nothing.
- What a better choice gives: on MNIST a trial is a fifth of a run, and ended better than the median run with
  {" and ".join(those(mnist, mnist.better_when_shorter))}.
- Longer training: {digits.record["seconds"]} seconds on one core favour what gets far in few steps. With one latent of 4,096,
  with rows, and on MNIST most runs were still becoming better at their end.
- Other step sizes than the four from {equal_time.RATES[0]["lr"]} to {equal_time.RATES[-1]["lr"]}: at
  {len(those(digits, digits.at_an_edge))} of {cells} cells the choice is the smallest or the largest. Other temperatures: with
  20 latents on MNIST all relaxations chose the warmest that was tried. A choice is by one seed: at
  {len(those(digits, digits.close))} cells the second best trial is behind by less than three seeds differ.
- Other numbers of samples than 4 for leave-one-out and VIMCO, and 1 for relaxations.
- A decoder with a context c sees K^N codes for *each* example, so the sum pays up to fewer codes. It was not measured.
- A GPU, which decodes many codes at once: nothing was measured on one.
- NVIL, `double_cv` and `rodeo` were measured as gradients and not trained. Autoregressive posteriors, subsets and codebooks
  have no column here."""
