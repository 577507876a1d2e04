# %% [markdown]
# # 14 Which estimator when
#
# **Question.** There are more than twenty estimators, and one of them must be chosen. What does a gradient of a given quality *cost*, and how does the answer change as the number of codes grows?
#
# **After this lesson you can**
# - put bias, variance and time into one number, and say when more samples cannot help,
# - read the two measured maps, and name the candidates for your model,
# - repeat the measurement on a model of your own,
# - recognise four comparisons of estimators that compare something else.
#
# *Needs:* lessons 04 to 08; the others help. *Takes:* 60 minutes to read and run, 65 minutes for the exercises. Everything is in nats; errors are relative to the exact gradient.

# %% setup
import matplotlib.pyplot as plt
import numpy as np

import dvae_np
from dvae_np import TABLE, records
from dvae_np.check import (
    every_code,
    gumbel_nodes,
    moments,
    polynomial,
    tiled,
)
from dvae_np.experiments import (
    encoder_gaps,
    first_model,
    gradient_problems,
    measurement,
    page_answer,
    rule,
    yardsticks,
)
from dvae_np.figures import (
    comparison,
    nats_behind,
    practical_rule,
    sweep,
)
from dvae_np.lesson import confirm, figure, picture, say, show, table

# %% [markdown]
# ## 1 One number for quality
#
# An estimate $h$ of the exact gradient $g$ can be wrong in two ways: on average, and by chance. Let $\mathrm{bias} = \lVert \mathbb{E}[h] - g \rVert$, and let the variance be $\mathbb{E}\,\lVert h - \mathbb{E}[h] \rVert^2$. If we write $h - g$ as the sum of its two errors and square it, the cross term has the mean zero. So
#
# $$\mathbb{E}\,\lVert h - g \rVert^2 = \mathrm{bias}^2 + \mathrm{variance} .$$
#
# The mean $h_n$ of $n$ independent estimates has the same bias, and $1/n$ of the variance:
#
# $$\mathbb{E}\,\lVert h_n - g \rVert^2 = \mathrm{bias}^2 + \frac{\mathrm{variance}}{n} . \tag{14.1}$$
#
# How many estimates does an error of $\epsilon$ take? Set the right side to $\epsilon^2$ and solve for $n$. If bias and variance are divided by the length of $g$ and by its square, $\epsilon$ is a relative error:
#
# $$n = \max\Bigl(1,\, \frac{\mathrm{variance}}{\epsilon^2 - \mathrm{bias}^2}\Bigr) . \tag{14.2}$$
#
# If the bias alone is $\epsilon$ or more, no number of estimates is enough. Otherwise $n$ times the milliseconds of one estimate is what this quality costs.
#
# The picture shows both kinds. The unbiased estimator starts worse, and goes on falling. The biased one starts better, and stops at its bias.

# %%
n = np.logspace(0, 4, 100)
fig, ax = plt.subplots(figsize=(7.2, 3), layout="constrained")
ax.loglog(n, 3 / np.sqrt(n), "--", label="unbiased, deviation 3")
ax.loglog(n, np.sqrt(0.3**2 + 0.6**2 / n), label="bias 0.3, deviation 0.6")
ax.axhline(0.3, color="0.7", linewidth=0.8)
ax.annotate("the bias: no number of estimates goes below", (2, 0.22))
ax.set(
    xlabel="estimates that are averaged, n", ylabel="error of their mean"
)
ax.legend(frameon=False)
picture(
    fig,
    "Error against the number of averaged estimates: the unbiased line "
    "falls for ever, the biased curve starts lower and levels off at 0.3.",
)

# %% [markdown]
# First we check [Eq. 14.1] by enumeration. The estimator is straight-through, which is biased, for a cubic $f$, and we take the mean of three draws.

# %%
rng = np.random.default_rng(0)
logits, f = (
    rng.standard_normal((1, 1, 3)),
    polynomial(rng.standard_normal((2, 1, 3)), 3),
)
exact = dvae_np.exact(logits, f).dlogits[0]


def errors_of_the_mean(draws):
    """Expected squared error of the mean of so many independent straight-
    through estimates, over every outcome.
    """
    z, weights = every_code(logits, draws)
    # it averages over its samples
    estimates = dvae_np.straight_through(
        tiled(logits, len(weights)), f, z
    ).dlogits
    return (weights * ((estimates - exact) ** 2).sum((-1, -2))).sum()


z, weights = every_code(logits, 1)
mean, spread = moments(
    weights, dvae_np.straight_through(tiled(logits, 3), f, z).dlogits
)
bias, variance = np.linalg.norm(mean - exact), spread.sum()
confirm("14.1", errors_of_the_mean(3), bias**2 + variance / 3)
print(
    f"bias^2 {bias**2:.4f}, variance {variance:.4f}: five hundred draws "
    f"would still be {bias / np.linalg.norm(exact):.0%} wrong"
)

# %%
show(rule.milliseconds_to_error)
line = {"bias": bias, "variance": variance, "milliseconds": 2.0}
# the error of five draws, from all their 3^5 outcomes, without Eq. 14.1
target = errors_of_the_mean(5) ** 0.5
confirm("14.2", rule.milliseconds_to_error(line, target), 5 * 2.0)
# four are too few, six more than needed
assert errors_of_the_mean(4) ** 0.5 > target > errors_of_the_mean(6) ** 0.5
print("to half its bias:", rule.milliseconds_to_error(line, bias / 2))

# %% [markdown]
# ## 2 The map of all estimators
#
# `python -m dvae_np compare` measures every estimator on a VAE that was trained on the 8x8 digits. It has two latents of five categories, and each estimator gets about twelve evaluations of $f$ for each example. On the left are the unbiased ones: standard deviation against time. On the right are the biased ones: standard deviation against bias. *Down and left* is good. The vertical line is the exact gradient. With 25 codes it is the fastest of all, and it has no error.
#
# Know three things before you compare two rows.
#
# - *Binary estimators* (marked `b`) were measured on another model, with four latents of two categories. Compare their rows with each other only.
# - *Tunables* (marked `t`) had 200 steps of learning while the model was held still. Temperatures were not tuned here; section 4 tunes them.
# - *Estimators of a bound* (`vimco`, `ovis`, `wake_phi`) are not in the table. Their gradient is another one (lessons 09 and 22).

# %%
record = records.read("compare")
say(record["problem"])
figure(
    comparison,
    record,
    size=(8.6, 4.4),
    alt="Left: deviation of the unbiased estimators against milliseconds, "
    "with the exact gradient's time as a line. Right: deviation of the "
    "biased ones against bias.",
)

# %%
lines = sorted(
    record["lines"], key=lambda line: line["bias"] ** 2 + line["variance"]
)
print(
    "estimator                      bias  deviation  error   ms for 100 "
    "digits"
)
error = {}
for line in lines:
    name, row = line["estimator"], TABLE[line["estimator"]]
    error[name] = (line["bias"] ** 2 + line["variance"]) ** 0.5
    marks = "b" * row.binary + "t" * (row.omega is not None)
    print(
        f"{name + ' ' + marks:28}{line['bias']:7.2f}"
        f"{line['variance'] ** 0.5:11.2f}{error[name]:7.2f}"
        f"{line['milliseconds']:10.1f}"
    )

# %%
by_name = {line["estimator"]: line for line in record["lines"]}
relaxed = (
    "gumbel_softmax",
    "straight_through_gumbel",
    "straight_through",
    "decoupled_straight_through",
    "gumbel_rao",
    "gapped_straight_through",
    "reinmax",
)
biases = [by_name[name]["bias"] for name in relaxed]
without, with_baseline = (
    by_name["reinforce"]["variance"],
    by_name["reinforce_loo"]["variance"],
)

# %% [markdown]
# What this record shows:
#
# - The relaxations have biases of {{min(biases):.2f}} to {{max(biases):.2f}} of the gradient's length, at their default temperatures. More samples do not lower that part of the error.
# - The estimators that draw *without replacement* are nearly exact: top-k and sum and sample have an error of {{error["top_k"]:.2f}}. They visit twelve of the 25 codes, each once. The local expectation is not of their kind: with ten evaluations it has {{error["local_expectation"]:.2f}}, and leave-one-out has {{error["reinforce_loo"]:.2f}} with twelve.
# - A baseline matters more than the choice between two clever estimators. REINFORCE without one has {{(without / with_baseline) ** 0.5:.1f}} times the deviation of leave-one-out.
# - REBAR and RELAX have larger errors here ({{error["rebar"]:.2f}} and {{error["relax"]:.2f}}) than leave-one-out with as many evaluations. They also cost more time, because the gradients of their tunables are computed too.
#
# ## 3 More evaluations
#
# The same model, at two to about sixty evaluations. Unbiased estimators that draw independent samples fall like $1 / \sqrt{S}$, a straight line here. Those that draw without replacement fall faster, because they run out of codes. A biased one bends, and stops at its bias.

# %%
figure(
    sweep,
    record,
    size=(6.2, 3.4),
    alt="Error of the gradient against evaluations of f: unbiased "
    "estimators fall in straight lines, biased ones level off, and those "
    "that draw without replacement drop to zero.",
)

# %% [markdown]
# ## 4 The practical rule, measured
#
# A rule of thumb says: for small or moderate $K$ prefer exact marginalisation; for larger or structured spaces a relaxation is often the simplest practical choice. Where is the border?
#
# `python -m dvae_np compare --rule` trains models of growing size. For each it measures the milliseconds that a gradient of 100 digits with a given relative error costs, by [Eq. 14.2]. Every estimator that has a temperature is measured at {{len(record["taus"]):d}} of them. The best one counts, and it stands in brackets. Tunables are learned first. "never" means that at each temperature the bias alone is larger than that error.
#
# The tables show three of the {{len(rule.FAMILIES["independent"][1]):d}} estimators that were measured; [the page of measured numbers](../figures/README.md#which-estimator-when) has all. "cheapest" is of all but VIMCO, whose gradient is that of another objective.

# %%
record = records.read("rule")
dear = ("nvil", "rebar")  # everywhere in the table, and not drawn
independent = [
    {name: each for name, each in model.items() if name not in dear}
    for model in record["models"]
    if model["family"] == "independent"
]
figure(
    practical_rule,
    record | {"models": independent},
    size=(8.6, 3.7),
    alt="Milliseconds against the number of codes, for three errors: the "
    "exact line rises, and crosses the estimators later the smaller the "
    "error.",
)
shown = ("reinforce_loo", "gumbel_softmax", "reinmax")
for wanted in record["errors"]:
    print(f"milliseconds to a relative error of {wanted:g}")
    table(rule.rule_table(record, wanted, markdown=True, names=shown))


def of(name, model):
    """Its costs for an error of 0.3 on that model of the record."""
    found = next(each for each in record["models"] if each["name"] == model)
    return found if name == "exact" else found[name]["costs"]["0.3"]


largest = "independent 5x10"
border = next(
    each
    for each in record["models"]
    if each["family"] == "independent"
    and each["states"] == rule.exact_up_to(record, 0.3)
)
lost = rule.lost_by_defaults(record, 0.3)

# %% [markdown]
# **The first half of the rule holds far.** Exact marginalisation decodes each code *once for the whole batch* (lesson 04). A sampling estimator decodes $S$ codes for *every* example. In this record the sum over all codes is the cheapest way to an error of $0.1$ up to {{rule.exact_up_to(record, 0.1):,}} codes. To an error of $0.3$ it is the cheapest up to {{rule.exact_up_to(record, 0.3):,}} codes, where it takes {{border["exact"]:.1f}} ms.
#
# **The second half holds for large spaces, if the temperature is tuned.** With {{of("exact", largest)["states"]:,.0f}} codes the exact sum takes {{of("exact", largest)["exact"]:.0f}} ms. To an error of $0.3$ Gumbel-Softmax takes {{of("gumbel_softmax", largest)["milliseconds"]:.0f}} ms at $\tau = {{of("gumbel_softmax", largest)["tau"]:g}}$, ReinMax {{of("reinmax", largest)["milliseconds"]:.0f}} ms at its default, and leave-one-out {{of("reinforce_loo", largest)["milliseconds"]:.0f}} ms. Leave-one-out has no bias and needs no slope of $f$. At its default $\tau = 1$ Gumbel-Softmax reaches that error on {{lost["gumbel_softmax"][0]:d}} of the {{len(record["models"]):d}} models of the record, chains included; tuned, it reaches it on {{lost["gumbel_softmax"][1]:d}}.
#
# **A rough direction is what relaxations are best at.** To an error of 1 they are the cheapest beyond {{rule.exact_up_to(record, 1.0):,}} codes. For a precise gradient their bias must go, and their advantage goes with it.
#
# **Structure moves the border.** Let the latents be a chain (the lower row of [this picture](../figures/rule.png)). If the decoder sees all codes at once, the exact gradient visits every code, as before. If each latent emits a part of the image, dynamic programming gives the exact gradient (lesson 20). It costs {{of("exact", "rows 8x32")["exact"]:.1f}} ms for $32^8$ codes:

# %%
for family in ("chain", "rows"):
    print(f"{family}: milliseconds to a relative error of 0.3")
    names = ("reinforce_loo", "gumbel_softmax")
    table(rule.rule_table(record, 0.3, True, family, names))

# %% [markdown]
# What does a temperature trade? On the cubic toy of section 1 quadrature tells:

# %%
outcomes, node_weights, _ = gumbel_nodes(logits, 186)
many, length = tiled(logits, len(node_weights)), np.linalg.norm(exact)
at_tau = {}
print(
    "                            tau   bias  deviation of one draw, both "
    "relative"
)
for name in ("gumbel_softmax", "straight_through_gumbel"):
    for tau in (1.0, 0.5, 0.25):
        found = TABLE[name].estimate(many, f, outcomes["u"], tau=tau)
        average, spread_of_one = moments(node_weights, found.dlogits)
        at_tau[name, tau] = (
            np.linalg.norm(average - exact) / length,
            spread_of_one.sum() ** 0.5 / length,
        )
        print(
            f"{name:24}{tau:7.2f}{at_tau[name, tau][0]:7.2f}"
            f"{at_tau[name, tau][1]:11.2f}"
        )

# %% [markdown]
# If the temperature falls, the bias of Gumbel-Softmax falls from {{at_tau["gumbel_softmax", 1.0][0]:.2f}} to {{at_tau["gumbel_softmax", 0.25][0]:.2f}} of the gradient's length. Its deviation grows from {{at_tau["gumbel_softmax", 1.0][1]:.2f}} to {{at_tau["gumbel_softmax", 0.25][1]:.2f}}. The bias of straight-through Gumbel need not fall: here it is {{at_tau["straight_through_gumbel", 1.0][0]:.2f}}, {{at_tau["straight_through_gumbel", 0.5][0]:.2f}} and {{at_tau["straight_through_gumbel", 0.25][0]:.2f}}.
#
# **Does the better gradient train the better model?** `python -m dvae_np compare --train digits` gives every estimator {{timed.record["seconds"]:d}} seconds on one core, that is as many steps as fit in. Trials choose its step size out of four, and before that its temperature out of three. Three more seeds are measured by two yardsticks: the negative ELBO, and $-\log p(x)$. The picture shows how many nats each estimator is behind the best of its model. Bold: the best, and those whose range over the seeds meets its own.

# %%
timed, mnist = map(yardsticks.Measured, ("digits", "mnist"))
figure(
    nats_behind,
    yardsticks.behind(page_answer.models()),
    size=(9.4, 5.6),
    alt="Two tables of numbers, by the negative ELBO and by -log p(x): a "
    "row an estimator, a column a model, each cell the nats behind the "
    "best.",
)
five, large = "independent 5x8", "independent 20x10"
single, rows = "independent 1x4096", "rows 8x32"
soft, larger = (
    study.apart(large, "gumbel_softmax", "reinforce_loo")[0]
    for study in (timed, mnist)
)

# %% [markdown]
# - **The exact sum pays as long as it gets enough steps.** On the digits it is level with the best with $8^4$ codes, and {{-timed.lead(five):.2f}} nats behind with $8^5$. On MNIST it has the best median, by little, with $8^2$. With $8^3$ it is level with the best, and {{-mnist.lead("independent 4x8"):.1f}} behind with $8^4$.
# - **One latent of thousands of categories asks for the sum, if it gets its steps.** With 4,096 categories it reaches {{timed.nats(single, "exact"):.2f}} nats, and the next best, `{{timed.runner_up(single):s}}`, {{timed.nats(single, timed.runner_up(single)):.2f}}. On MNIST it gets a quarter of the steps of Gumbel-Softmax, and is {{mnist.apart(single, "exact", "gumbel_softmax")[0]:.1f}} behind it.
# - **Dynamic programming wins where it applies.** If each latent of a chain emits a row of pixels, it reaches {{timed.nats(rows, "exact"):.2f}} nats, and the next best, `{{timed.runner_up(rows):s}}`, {{timed.nats(rows, timed.runner_up(rows)):.2f}}. Under one decoder that sees the whole chain leave-one-out wins: the sum is {{-timed.lead("chain 8x4"):.2f}} nats behind, and on MNIST {{-mnist.lead("chain 8x4"):.0f}}.
# - **With $10^{20}$ codes the two data sets disagree.** On the digits leave-one-out and ReinMax lead: {{timed.nats(large, "reinforce_loo"):.2f}} and {{timed.nats(large, "reinmax"):.2f}} nats. Gumbel-Softmax is {{soft:.2f}} behind leave-one-out. On MNIST it is {{-larger:.1f}} *ahead* of it, and ReinMax {{mnist.ahead("reinmax", large):.1f}} more. MNIST has larger images, more of them, and more time: which matters is not known.
# - **The yardsticks disagree about VIMCO.** On the digits it has the lowest $-\log p(x)$ wherever a decoder sees several latents at once, and a poor ELBO: {{timed.nats(large, "vimco", "negative_evidence"):.2f}} and {{timed.nats(large, "vimco"):.2f}} nats with $10^{20}$ codes, where leave-one-out has {{timed.nats(large, "reinforce_loo", "negative_evidence"):.2f}} and {{timed.nats(large, "reinforce_loo"):.2f}}. Its bound (lesson 09) forgives single draws of $q$ that are poor. (It is also stopped and chosen by $\log p(x)$, the others by the ELBO.)
#
# $-\log p(x)$ judges the decoder and the prior. The ELBO adds the gap, which judges the encoder. `python -m dvae_np compare --encoders` takes this gap apart. One part is what the best *independent* $q$ of each image still lacks: the family's. The rest is the encoder's. Last, the encoder went on alone, by the exact gradient.

# %%
gaps = records.read("encoder-gaps")
table(encoder_gaps.encoders_table(gaps, markdown=True))


def part(name, what):
    """The median over the seeds, for 4 latents of 8 categories."""
    runs = gaps["runs"][f"independent 4x8 {name}"].values()
    return np.median([run[what] for run in runs])


# %% [markdown]
# VIMCO's gap of {{part("vimco", "family") + part("vimco", "encoder"):.2f}} nats is mostly the encoder's, {{part("vimco", "encoder"):.2f}}, and the encoder alone can make up for {{part("vimco", "negative_elbo") - part("vimco", "refitted"):.2f}} of it. What the model is for decides which number counts: codes of images, or probabilities. [One page](../figures/WHICH_ESTIMATOR.md) has the whole answer, and what is not known.
#
# ## 5 A decision, in order
#
# Take the first row that fits. In the first column a semicolon means *and*.
#
# | your model | take | lesson |
# |---|---|---|
# | you want to know what another estimator does wrong | `exact` on a small copy of your model, and `judge` | 15 |
# | up to some thousand codes, or one latent of thousands of categories, on small images, or up to 64 codes on larger ones; a decoder without a context | `exact` | 04 |
# | a chain whose latents emit parts of $x$ | `exact`, by dynamic programming | 20 |
# | larger images, and very many codes or one latent of thousands; a smooth $f$; a bias is acceptable | `reinmax` (independent latents) or `gumbel_softmax`, the temperature tuned | 08, 07 |
# | $\log p(x)$ counts, one decoder of several latents; not very many codes on larger images | `vimco`, then its encoder alone; or `wake_phi` with dreams | 09, 22 |
# | several latents of few categories, up to some ten thousand codes; small images | `local_expectation`: every alternative of one latent, the others sampled | 12 |
# | one latent of thousands of categories, few of them likely, and an $f$ that must be computed for each example | `sum_and_sample`; `unordered_set` for few samples, as its time grows fast with $S$ | 12 |
# | binary latents, two evaluations (measured in lesson 13) | `disarm` | 13 |
# | a smooth $f$, independent latents, no bias allowed | `double_cv` or `rodeo`, their weights learned beside the model | 13 |
# | all others: many codes, any other chain, an $f$ without a slope, or no bias allowed | `reinforce_loo` with $S = 4$ or more | 06 |
#
# ## 6 Measure your own
#
# The comparison takes any problem: a few examples, each with its logits and its objective $f$, and a batch to time. Here is lesson 00's model, half-way through its training. To measure your own, put your encoder and your $f$ into `objective`:

# %%
from dvae_np.likelihoods.bernoulli import bernoulli
from dvae_np.train import load

images = load("digits").train.x.astype(float)
W, bias_of, A = first_model.train("exact", images, steps=150)


def objective(x, dtype):
    """Logits (B, N, K), and f: z -> (fz, backward), of these images."""

    def my_f(z):
        pixels, to_codes = dvae_np.embedding(z, A[None].astype(dtype))
        fz, to_pixels = bernoulli(pixels, x)
        return fz, lambda dfz: (to_codes(to_pixels(dfz)[0])[0], {})

    return (x @ W + bias_of)[:, None].astype(dtype), my_f


problem = gradient_problems.Problem(
    "lesson 00's model",
    1,
    20,
    [objective(image[None], np.float64) for image in images[:8]],
    lambda size, dtype: objective(images[:size].astype(dtype), dtype),
)
rng = np.random.Generator(np.random.SFC64(0))
mine = {}
for name, hyper in (
    ("reinforce_loo", {}),
    ("gumbel_softmax", {"tau": 1.0}),
    ("gumbel_softmax", {"tau": 0.2}),
    ("reinmax", {"tau": 1.0}),
):
    row = dvae_np.TABLE[name]
    line = measurement.measure(
        row, problem, 12, row.hyper | hyper, rng, replicates=2000
    )
    mine[name, hyper.get("tau")] = line
    print(
        f"{name:15} {hyper.get('tau', ''):3} S = {line['samples']:2}: "
        f"bias {line['bias']:.2f}, "
        f"deviation {line['variance'] ** 0.5:.2f}, cosine "
        f"{line['cosine']:.2f}, {line['milliseconds']:.1f} ms"
    )

# %% [markdown]
# At $\tau = 1$ Gumbel-Softmax points almost the other way here, with a cosine of {{mine["gumbel_softmax", 1.0]["cosine"]:.2f}}. A soft code mixes the pictures of several codes, and on this model a mixture explains an image better than one picture does. So the relaxed $f$ rewards a $q$ that is less certain. At $\tau = 0.2$ the cosine is {{mine["gumbel_softmax", 0.2]["cosine"]:.2f}}.
#
# ## 7 Break it: comparisons that compare something else
#
# - **Equal $S$ instead of equal work.** The local expectation evaluates $f$ $N K$ times for "one sample". Above, `measure` is given evaluations, not samples.
# - **The training loss of a relaxed model.** $f$ at soft codes is another objective (lesson 07). Compare the ELBO of *drawn* codes, exactly if that can be done.
# - **Another gradient.** An estimator of a multi-sample bound does not estimate the ELBO's gradient, however small its variance is.
# - **One learning rate for all.** A biased gradient may only be longer or shorter than the exact one. Compare directions too: the cosine says what a rescaled step could reach.
#
# Here is the last one, live, on the cubic toy of section 1. The tables above know only the lengths of errors. Here the *mean* gradient of four biased estimators is enumerated or integrated, so its direction is known too.

# %%
means = {}
for name in ("straight_through", "gapped_straight_through", "reinmax"):
    found = TABLE[name].estimate(tiled(logits, 3), f, z)
    means[name] = moments(weights, found.dlogits)[0]
means["gumbel_softmax"] = moments(
    node_weights,
    TABLE["gumbel_softmax"].estimate(many, f, outcomes["u"]).dlogits,
)[0]
print(
    "                         length  cosine  error as it is  error at the "
    "best step size"
)
for name, average in means.items():
    product, norm = (average * exact).sum(), np.linalg.norm(average)
    cosine, best = product / norm / length, product / norm**2
    print(
        f"{name:24}{norm / length:7.2f}{cosine:8.3f}"
        f"{np.linalg.norm(average - exact) / length:16.2f}"
        f"{np.linalg.norm(best * average - exact) / length:29.2f}"
    )

# %% [markdown]
# A learning rate corrects the length. It cannot correct the angle. And do not take this table for a ranking: gapped straight-through is nearly exact on this toy, and has a bias of {{by_name["gapped_straight_through"]["bias"]:.2f}} on the model of section 2.

# %% [markdown]
# ## Reading
#
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey, with its own measurements.
# - Z. Dong, A. Mnih, G. Tucker, *Coupled gradient estimators for discrete latent variables*, 2021: a careful comparison at equal cost.
# - L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, *Bridging discrete and backpropagation: straight-through and beyond*, 2023: ReinMax.
#
# Next: [15 Is my estimator right?](15_is_my_estimator_right.ipynb)

# %% [markdown] exercise 14.1: 1 point
# ## 14.1 Find the bug: a bias that goes away
#
# This function is to compute the expected squared error of the mean of $n$ independent estimates. By its numbers every estimator becomes exact if $n$ is large, even a biased one. Correct it. An estimate depends on one drawn code:
# `estimates` (M, N, K) holds the estimate for each of the $M$ codes, and `weights` (M,) the probabilities of the codes. `g` (N, K) is the exact gradient. Return a number.
#
# ```python
# squares = ((estimates - g) ** 2).sum((1, 2))  # (M,)
# return weights @ squares / n
# ```


# %% solution 14.1
def error_of_mean(estimates, weights, g, n):
    """The expected squared error of the mean of n estimates."""
    ### BEGIN SOLUTION
    mean, variance = moments(weights, estimates)
    return ((mean - g) ** 2).sum() + variance.sum() / n
    ### END SOLUTION


# %% check 14.1
from dvae_np.lesson import judge

judge("14.1", error_of_mean)


# %% right 14.1
def error_of_mean(estimates, weights, g, n):
    one = weights @ ((estimates - g) ** 2).sum((1, 2))
    off = np.tensordot(weights, estimates, 1) - g
    return (one + (n - 1) * (off**2).sum()) / n


# %% wrong 14.1: averaging does not lower the bias
def error_of_mean(estimates, weights, g, n):
    squares = ((estimates - g) ** 2).sum((1, 2))  # (M,)
    return weights @ squares / n


# %% wrong 14.1: the mean of n has less variance
def error_of_mean(estimates, weights, g, n):
    return weights @ ((estimates - g) ** 2).sum((1, 2))


# %% wrong 14.1: the squared bias is missing
def error_of_mean(estimates, weights, g, n):
    return moments(weights, estimates)[1].sum() / n


# %% wrong 14.1: divide it by n
def error_of_mean(estimates, weights, g, n):
    mean, variance = moments(weights, estimates)
    return ((mean - g) ** 2).sum() + variance.sum() / n**2


# %% wrong 14.1: they hold the bias already
def error_of_mean(estimates, weights, g, n):
    mean = moments(weights, estimates)[0]
    squares = ((estimates - g) ** 2).sum((1, 2))
    return ((mean - g) ** 2).sum() + weights @ squares / n


# %% wrong 14.1: weigh each estimate by its own
def error_of_mean(estimates, weights, g, n):
    mean = estimates.mean(0)
    spread = weights @ ((estimates - mean) ** 2).sum((1, 2))
    return ((mean - g) ** 2).sum() + spread / n


# %% wrong 14.1: weigh each by its probability
def error_of_mean(estimates, weights, g, n):
    mean = estimates.mean(0)
    variance = ((estimates - mean) ** 2).mean(0)
    return ((mean - g) ** 2).sum() + variance.sum() / n


# %% [markdown] exercise 14.2: 2 points
# ## 14.2 Derive: from which error on is the bias worth it?
#
# Compare an unbiased estimator with a biased one. One estimate of the first has the variance `v` and takes `ms` milliseconds. One estimate of the second has the bias `bias`, the variance `v_biased`, and takes `ms_biased` milliseconds. To reach a large error the
# second is cheaper. To reach a small one the first is cheaper, as the second never comes below its bias. Derive the error at which both cost the same, and write `border(v, ms, bias, v_biased, ms_biased)`: a number. Let $n$ be
# any positive number, and leave out the maximum of [Eq. 14.2]. The variance times the milliseconds is larger for the first one. About 2 lines.
#
# The two estimators of the first picture, if both take the same time, have their border at about {{border(9.0, 1.0, 0.3, 0.36, 1.0):.4f}}. So the biased one is cheaper for all errors that are not very near its bias.


# %% solution 14.2
def border(v, ms, bias, v_biased, ms_biased):
    """The relative error at which both cost the same."""
    ### BEGIN SOLUTION
    work, work_biased = v * ms, v_biased * ms_biased
    return bias * np.sqrt(work / (work - work_biased))
    ### END SOLUTION


# %% check 14.2
from dvae_np.lesson import judge

judge("14.2", border)


# %% right 14.2
def border(v, ms, bias, v_biased, ms_biased):
    # what the biased one may spend on its variance, as a share of error^2
    share = (v_biased / v) * (ms_biased / ms)
    return (bias**2 / (1 - share)) ** 0.5


# %% wrong 14.2: what counts is variance times milliseconds
def border(v, ms, bias, v_biased, ms_biased):
    return bias * np.sqrt(v / (v - v_biased))


# %% wrong 14.2: the two times exchanged
def border(v, ms, bias, v_biased, ms_biased):
    work, work_biased = v * ms_biased, v_biased * ms
    return bias * np.sqrt(work / (work - work_biased))


# %% wrong 14.2: exchanged below the root
def border(v, ms, bias, v_biased, ms_biased):
    work, work_biased = v * ms, v_biased * ms_biased
    return bias * np.sqrt(work_biased / (work - work_biased))


# %% wrong 14.2: compare milliseconds, not n
def border(v, ms, bias, v_biased, ms_biased):
    n = (v - v_biased) / bias**2  # where the two lines cross
    return np.sqrt(v / n)


# %% wrong 14.2: take the root
def border(v, ms, bias, v_biased, ms_biased):
    work, work_biased = v * ms, v_biased * ms_biased
    return bias**2 * work / (work - work_biased)


# %% wrong 14.2: is wrong
def border(v, ms, bias, v_biased, ms_biased):
    return bias


# %% [markdown] exercise 14.3: 3 points
# ## 14.3 Derive: the best step size of a noisy estimate
#
# The table of section 7 scales the *mean* gradient. But in training a step goes along an estimate, which has a variance too. Let $h_n$ be the mean of $n$ independent estimates. Which factor $a$ makes the expected squared error
# $\mathbb{E}\,\lVert a\, h_n - g \rVert^2$ least, and which error is left? Write `best_factor(estimates, weights, g, n)` for the arguments of 14.1. Return a pair: the factor, and the root of the squared error that is left, divided
# by the length of `g`. About 5 lines.
#
# A hint: the squared error is a parabola in $a$. [Eq. 14.1] has all that is needed of $\mathbb{E}\,\lVert h_n \rVert^2$.


# %% solution 14.3
def best_factor(estimates, weights, g, n):
    """(the best factor, the relative error that is left)."""
    ### BEGIN SOLUTION
    mean, variance = moments(weights, estimates)
    square = (mean**2).sum() + variance.sum() / n  # of the length of h_n
    factor = (mean * g).sum() / square
    left = 1 - factor * (mean * g).sum() / (g**2).sum()
    return factor, np.sqrt(left)
    ### END SOLUTION


# %% check 14.3
from dvae_np.lesson import judge

judge("14.3", best_factor)


# %% right 14.3
def best_factor(estimates, weights, g, n):
    h = weights @ estimates.reshape(len(weights), -1)
    spread = weights @ ((estimates - h.reshape(g.shape)) ** 2).sum((1, 2))
    a = h @ g.ravel() / (h @ h + spread / n)
    error = ((a * h - g.ravel()) ** 2).sum() + a**2 * spread / n
    return a, np.sqrt(error) / np.linalg.norm(g)


# %% wrong 14.3: the variance counts too
def best_factor(estimates, weights, g, n):
    mean, variance = moments(weights, estimates)
    factor = (mean * g).sum() / (mean**2).sum()
    error = ((factor * mean - g) ** 2).sum()
    error = error + factor**2 * variance.sum() / n
    return factor, np.sqrt(error / (g**2).sum())


# %% wrong 14.3: the best factor for one estimate
def best_factor(estimates, weights, g, n):
    mean = moments(weights, estimates)[0]
    square = weights @ (estimates**2).sum((1, 2))
    factor = (mean * g).sum() / square
    left = 1 - factor * (mean * g).sum() / (g**2).sum()
    return factor, np.sqrt(left)


# %% wrong 14.3: make the error least
def best_factor(estimates, weights, g, n):
    mean, variance = moments(weights, estimates)
    factor = np.linalg.norm(g) / np.linalg.norm(mean)
    error = ((factor * mean - g) ** 2).sum()
    error = error + factor**2 * variance.sum() / n
    return factor, np.sqrt(error / (g**2).sum())


# %% wrong 14.3: the error without the factor
def best_factor(estimates, weights, g, n):
    mean, variance = moments(weights, estimates)
    square = (mean**2).sum() + variance.sum() / n
    error = ((mean - g) ** 2).sum() + variance.sum() / n
    return (mean * g).sum() / square, np.sqrt(error / (g**2).sum())


# %% wrong 14.3: take the root
def best_factor(estimates, weights, g, n):
    mean, variance = moments(weights, estimates)
    square = (mean**2).sum() + variance.sum() / n
    factor = (mean * g).sum() / square
    return factor, 1 - factor * (mean * g).sum() / (g**2).sum()


# %% wrong 14.3: expected a tuple (the factor, the error)
def best_factor(estimates, weights, g, n):
    mean, variance = moments(weights, estimates)
    return (mean * g).sum() / ((mean**2).sum() + variance.sum() / n)


# %% [markdown] written 14.W: 3 points
# ## 14.W In words: two estimators and one budget
#
# All errors are relative to the length of the exact gradient. Estimator A has no bias, a variance of 9, and takes 1 ms. Estimator B has a bias of $0.2$, a
# variance of 1, and takes 2 ms.
#
# (a) Write the milliseconds that each needs for an error of $\epsilon$, as long as the number of estimates is above 1 [Eq. 14.2]. For which $\epsilon$
# between $0.2$ and 1 is B cheaper? Give both costs at $\epsilon = 0.3$ and at $\epsilon = 0.21$.
#
# (b) A student says: *a training run has thousands of steps, and each moves the weights a little. So the run averages thousands of estimates, and only the
# bias matters: A is always the better choice.* What is right in this, and what is not? Name one fact about B's bias that the number $0.2$ does not tell. Half
# a page for both.

# %% [markdown] model 14.W
# (a) A needs $9 / \epsilon^2$ ms, B needs $2 / (\epsilon^2 - 0.04)$ ms, and for $\epsilon \le 0.2$ no number of estimates is enough. B is cheaper if
# $2 \epsilon^2 < 9 (\epsilon^2 - 0.04)$, that is $\epsilon^2 > 0.36 / 7$: for $\epsilon$ above $0.227$. At $\epsilon = 0.3$ A takes 100 ms and B 40 ms. At
# $\epsilon = 0.21$ A takes 204 ms and B 488 ms.
#
# (b) Right is: noise of different steps is independent and partly cancels, while a bias points the same way in every step and adds up. With very small steps
# the weights hardly move while many estimates come in. Such a run can bear more variance than the error of one estimate suggests. Not right is "always": a
# noisier gradient forces smaller steps, so more of them, and a run has a limited time. In the first part of a run a rough direction is enough, and there B
# gives more for each millisecond. The number $0.2$ does not tell the *direction* of the bias. A part along the gradient only makes the steps longer or
# shorter, and a step size makes up for it. A part across the gradient remains (section 7 compares the cosines).
#
# *Marks:* 1 for the two costs; 1 for $0.227$ and the four numbers; 1 for (b): noise cancels and bias adds up, why this does not decide alone, and the
# direction of the bias.
