# %% [markdown]
# # 14 Which estimator when
#
# **Question.** {{len(TABLE):d}} estimators, and one of them must be chosen. What does a gradient of a given quality *cost*, and how does the answer
# change as the number of joint states grows?
#
# **After this lesson you can**
# - put bias, variance and time into one number, and say when more samples cannot help,
# - read the two measured maps, and say for your model which estimators are candidates,
# - repeat the measurement on a model of your own,
# - name four comparisons of estimators that compare something else.
#
# *Needs:* lessons 04 to 08; the others help. *Takes:* 40 minutes. Everything is in nats; errors are relative to the exact gradient.

# %% setup
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
from dvae_np.experiments import gradient_problems, measurement, rule
from dvae_np.figures import comparison, practical_rule, sweep
from dvae_np.lesson import confirm, figure, show

# %% [markdown]
# ## 1 One number for quality
#
# An estimate $g$ of the exact gradient $\bar g$ can be wrong in two ways: on average, and by chance. Write $b = \mathbb{E}[g] - \bar g$. Then
#
# $$\mathbb{E}\,\lVert g - \bar g \rVert^2 = \mathbb{E}\,\lVert g - \mathbb{E} g + b \rVert^2 = \mathbb{E}\,\lVert g - \mathbb{E} g \rVert^2 + 2\,\langle \mathbb{E}[g - \mathbb{E} g],\, b \rangle + \lVert b \rVert^2 ,$$
#
# and the middle term is zero. Averaging $n$ independent estimates divides the variance by $n$, and leaves the bias as it is:
#
# $$\mathbb{E}\,\lVert \bar g_n - \bar g \rVert^2 = \mathrm{bias}^2 + \frac{\mathrm{variance}}{n} . \tag{14.1}$$
#
# So the number of estimates that reach a relative error $\epsilon$ is
#
# $$n = \max\Bigl(1,\, \frac{\mathrm{variance}}{\epsilon^2 - \mathrm{bias}^2}\Bigr), \tag{14.2}$$
#
# and there is none where the bias alone is at least $\epsilon$. Times the milliseconds of one estimate, this is what the quality costs.
#
# First the check that [Eq. 14.1] is what it says, by enumeration: straight-through, which is biased, on a cubic, the mean of three draws.

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
# `python -m dvae_np compare` measured every estimator on a VAE trained on the 8x8 digits, with two latents of five categories, each with about twelve evaluations of $f$ for each example. Left: bias against
# standard deviation, where *down and left* is good. Right: total error against time. The vertical line is the exact gradient: at 25 joint states it is the fastest of all, and has no error.
#
# Three things must be known before two rows are compared.
#
# - *Binary estimators* (marked `b`) were measured on another model, with four latents of two categories. Their rows compare with each other, not with the rest.
# - *Tunables* (marked `t`) had 200 steps of learning, with the model held still. Temperatures were not tuned: they are the defaults.
# - *VIMCO* estimates another gradient, that of its multi-sample bound (lesson 09). It is unbiased for that one, so its bias stands as zero, but its deviation is divided by the length of the ELBO's gradient. How
#   far it is from the ELBO's gradient the record does not say. Its row compares with no other.

# %%
record = records.read("compare")
print(record["problem"])
figure(comparison, record, size=(8.6, 4.4))

# %%
lines = sorted(
    record["lines"], key=lambda line: line["bias"] ** 2 + line["variance"]
)
# that one last
lines.sort(key=lambda line: line["bias_from"] == "own bound")
print(
    "estimator                      bias  deviation  error   ms for 100 "
    "digits"
)
error = {}
for line in lines:
    name, row = line["estimator"], TABLE[line["estimator"]]
    error[name] = (line["bias"] ** 2 + line["variance"]) ** 0.5
    marks = (
        "b" * row.binary
        + "t" * (row.omega is not None)
        + " (its own bound)" * row.owns_kl
    )
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
# What to see, in this record:
#
# - The relaxations have biases of {{min(biases):.2f}} to {{max(biases):.2f}} of the gradient's length on this model, at their default temperatures. That part of the error does not fall with more samples.
# - Among the unbiased ones, those that draw *without replacement* nearly are the exact sum: top-k and sum and sample have an error of {{error["top_k"]:.2f}}, as they visit twelve of the 25 states, each once. The local
#   expectation is not of their kind. With ten evaluations it has {{error["local_expectation"]:.2f}}, not far from the {{error["reinforce_loo"]:.2f}} of leave-one-out with twelve.
# - The baseline matters more than the choice between two clever estimators: REINFORCE without one has {{(without / with_baseline) ** 0.5:.1f}} times the deviation of leave-one-out.
# - REBAR and RELAX, at three evaluations a sample and 200 steps for their tunables, have larger errors here ({{error["rebar"]:.2f}} and {{error["relax"]:.2f}}) than leave-one-out with as many evaluations. And they pay in time, as the
#   gradients of their tunables are computed too.
#
# ## 3 More evaluations
#
# The same model, at two to about sixty evaluations. Unbiased estimators fall as $1 / \sqrt{S}$, a straight line here; a biased one bends and stops at its bias.

# %%
figure(sweep, record, size=(6.2, 3.4))

# %% [markdown]
# ## 4 The practical rule, measured
#
# A rule of thumb says: for small or moderate $K$ prefer exact marginalisation; for larger or structured spaces a relaxation is the simplest
# practical choice. Where is the border? `python -m dvae_np compare --rule` trains models of growing size, and measures the milliseconds that a gradient of 100
# digits with a given relative error costs, by [Eq. 14.2]. Every estimator that has a temperature is measured at {{len(record["taus"]):d}} of them, and the best one counts; it stands in brackets. Tunables are learned first.
# "never" means: at each temperature the bias alone is larger than that error. The tables here have three columns of nine; [the page of measured numbers](../figures/README.md#which-estimator-when) has all. "cheapest" is of all but VIMCO, whose gradient is that of another objective.

# %%
record = records.read("rule")
dear = ("nvil", "rebar")  # everywhere in the table, and not drawn
independent = [
    {name: each for name, each in model.items() if name not in dear}
    for model in record["models"]
    if model["family"] == "independent"
]
figure(practical_rule, record | {"models": independent}, size=(8.6, 3.7))
shown = ("reinforce_loo", "gumbel_softmax", "reinmax")
for wanted in record["errors"]:
    print(f"\nmilliseconds to a relative error of {wanted:g}\n")
    print(rule.rule_table(record, wanted, names=shown))


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
# **The first half of the rule holds far.** Exact marginalisation decodes each state *once for the whole batch* (lesson 04), a
# sampler decodes $S$ codes for *every* example. In this record the sum over all states is the cheapest way to an error of $0.1$ up to {{rule.exact_up_to(record, 0.1):,}} states, and to an error
# of $0.3$ up to {{rule.exact_up_to(record, 0.3):,}}, where it takes {{border["exact"]:.1f}} ms.
#
# **The second half holds where the space is large, if the temperature is tuned.** With {{of("exact", largest)["states"]:,.0f}} states the exact sum takes {{of("exact", largest)["exact"]:.0f}} ms. To an error of $0.3$ Gumbel-Softmax takes {{of("gumbel_softmax", largest)["milliseconds"]:.0f}} ms at
# $\tau = {{of("gumbel_softmax", largest)["tau"]:g}}$, ReinMax {{of("reinmax", largest)["milliseconds"]:.0f}} at its default, and leave-one-out, which has no bias and no slope of $f$, {{of("reinforce_loo", largest)["milliseconds"]:.0f}}. At its default $\tau = 1$ Gumbel-Softmax reaches that error on {{lost["gumbel_softmax"][0]:d}} of the {{len(record["models"]):d}} models of the record, chains included;
# tuned, on {{lost["gumbel_softmax"][1]:d}}. (An earlier version of this lesson measured $\tau = 1$ alone, and said "never".) A rough direction, an error of 1, is where relaxations shine: there they are the cheapest beyond {{rule.exact_up_to(record, 1.0):,}} states. For a precise gradient their bias must go, and with it their advantage.
#
# **Structure changes the border.** Let the latents be a chain ([the picture](../figures/rule.png) has its lower row). Under a decoder that sees all codes the exact gradient visits every code, as before. If each latent emits a part of the image, it is dynamic programming (lesson 20), and costs {{of("exact", "rows 8x32")["exact"]:.1f}} ms for $32^8$ codes:

# %%
for family in ("chain", "rows"):
    print(f"{family}: milliseconds to a relative error of 0.3\n")
    names = ("reinforce_loo", "gumbel_softmax")
    print(rule.rule_table(record, 0.3, family=family, names=names) + "\n")

# %% [markdown]
# What does the temperature trade? On the cubic toy of section 1 it can be computed, by quadrature:

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
# With the temperature, the bias of Gumbel-Softmax falls from {{at_tau["gumbel_softmax", 1.0][0]:.2f}} to {{at_tau["gumbel_softmax", 0.25][0]:.2f}} of the gradient's length, and its deviation grows from
# {{at_tau["gumbel_softmax", 1.0][1]:.2f}} to {{at_tau["gumbel_softmax", 0.25][1]:.2f}}. The bias of straight-through Gumbel need not fall: here it is
# {{at_tau["straight_through_gumbel", 1.0][0]:.2f}}, {{at_tau["straight_through_gumbel", 0.5][0]:.2f}} and {{at_tau["straight_through_gumbel", 0.25][0]:.2f}}. And a small error is not needed for training: a direction that is
# wrong in length and somewhat in angle still descends ([the page of measured numbers](../figures/README.md) has models that were trained so, and the cosines of every setting).
#
# ## 5 A decision, in order
#
# | your model | take | lesson |
# |---|---|---|
# | up to some thousand joint states, decoder without a context | `exact` | 04 |
# | a chain whose latents emit parts of x | `exact`, by dynamic programming | 20 |
# | many states, $f$ cheap or black-box, unbiased wanted | `reinforce_loo` with S = 4 or more | 06 |
# | several latents of few categories | `local_expectation`: every alternative of one latent, the others sampled | 12 |
# | one latent of thousands of categories, few of them likely | `sum_and_sample`, `unordered_set` | 12 |
# | binary latents, two evaluations | `disarm` | 13 |
# | $f$ smooth, many latents or a chain, a bias is acceptable | `reinmax` (independent latents), or `gumbel_softmax` with its temperature tuned | 08, 07 |
# | the bound itself is to be tight | `vimco` | 09 |
# | you need to know what the others do wrong | `exact` on a small copy of your model, and `judge` | 05 |
#
# ## 6 Measure your own
#
# The functions of the comparison take any problem: examples with their objectives, and a batch to time. Here a cubic toy in place of your model:

# %%
problem = gradient_problems.toy_problem(2, 3)
rng = np.random.Generator(np.random.SFC64(0))
for name in ("reinforce_loo", "local_expectation", "reinmax"):
    row = dvae_np.TABLE[name]
    line = measurement.measure(
        row, problem, 12, dict(row.hyper), rng, replicates=200, timed=False
    )
    print(
        f"{name:20} S = {line['samples']:2}: bias {line['bias']:.3f}, "
        f"standard deviation {line['variance'] ** 0.5:.3f}"
    )

# %% [markdown]
# ## 7 Break it: comparisons that compare something else
#
# - **Equal S instead of equal work.** Local expectation at "one sample" evaluates $f$ $N K$ times. Above, `measure` is given evaluations, not samples.
# - **The training loss of a relaxed model.** $f$ at relaxed codes is another objective (lesson 07). Compare the *discrete* ELBO, exactly where that can be done.
# - **Another gradient.** An estimator of a multi-sample bound is not a better estimator of the ELBO's gradient, as VIMCO's row in section 2 seems to say.
# - **One learning rate for all.** A biased gradient may only be longer or shorter. Compare directions too: the cosine says what a rescaled step could reach.
#
# The last one, live, on the cubic toy of section 1. The tables above know lengths of errors only; here the *mean* gradient of four biased estimators is enumerated or integrated, so its direction is known.

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
# A learning rate mends the length. Only the angle is beyond its help. And do not take this table for a ranking: gapped straight-through is nearly exact on this toy, and has a bias of
# {{by_name["gapped_straight_through"]["bias"]:.2f}} on the model of section 2.

# %% [markdown]
# ## Reading
#
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey, with its own measurements.
# - Z. Dong, A. Mnih, G. Tucker, *Coupled gradient estimators for discrete latent variables*, 2021: a careful comparison at equal cost.
# - L. Liu, C. Dong, X. Liu, B. Yu, J. Gao, *Bridging discrete and backpropagation: straight-through and beyond*, 2023: ReinMax.
#
# Next: [15 Is my estimator right?](15_is_my_estimator_right.ipynb)
