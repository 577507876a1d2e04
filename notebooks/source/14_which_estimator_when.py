# %% [markdown]
# # 14 Which estimator when
#
# **Question.** Twenty-five estimators, and one of them must be chosen. What does a gradient of a given quality *cost*, and how does the answer
# change as the number of joint states grows?
#
# **After this lesson you can**
# - put bias, variance and time into one number, and say when more samples cannot help,
# - read the two measured maps, and say for your model which estimators are candidates,
# - repeat the measurement on a model of your own,
# - name three comparisons of estimators that compare something else.
#
# *Needs:* lessons 04 to 08; the others help. *Takes:* 40 minutes. Everything is in nats; errors are relative to the exact gradient.

# %% setup
import numpy as np

import dvae_np
from dvae_np import records
from dvae_np.check import every_code, moments, polynomial, tiled
from dvae_np.experiments import compare, rule
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
logits, f = rng.standard_normal((1, 1, 3)), polynomial(rng.standard_normal((2, 1, 3)), 3)
exact = dvae_np.exact(logits, f).dlogits[0]


def errors_of_the_mean(draws):
    """Expected squared error of the mean of so many independent straight-through estimates, over every outcome."""
    z, weights = every_code(logits, draws)
    estimates = dvae_np.straight_through(tiled(logits, len(weights)), f, z).dlogits  # it averages over its samples
    return (weights * ((estimates - exact) ** 2).sum((-1, -2))).sum()


z, weights = every_code(logits, 1)
mean, spread = moments(weights, dvae_np.straight_through(tiled(logits, 3), f, z).dlogits)
bias, variance = np.linalg.norm(mean - exact), spread.sum()
confirm("14.1", errors_of_the_mean(3), bias**2 + variance / 3)
print(
    f"bias^2 {bias**2:.4f}, variance {variance:.4f}: five hundred draws would still be {bias / np.linalg.norm(exact):.0%} wrong"
)

# %%
show(rule.milliseconds_to_error)
line = {"bias": bias, "variance": variance, "milliseconds": 2.0}
target = (bias**2 + variance / 7) ** 0.5  # the error that seven draws have
confirm("14.2", rule.milliseconds_to_error(line, target), 7 * 2.0)
print("to half its bias:", rule.milliseconds_to_error(line, bias / 2))

# %% [markdown]
# ## 2 The map of all estimators
#
# `python -m dvae_np compare` measured every estimator on a VAE trained on the 8x8 digits, with two latents of five categories (binary estimators:
# four latents of two), each with about twelve evaluations of $f$ for each example. Left: bias against standard deviation, where *down and left* is good. Right:
# total error against time. The vertical line is the exact gradient: at 25 joint states it is the fastest of all, and has no error.

# %%
record = records.read("compare")
print(record["problem"])
figure(comparison, record, size=(8.6, 4.4))

# %%
lines = sorted(record["lines"], key=lambda line: line["bias"] ** 2 + line["variance"])
print("estimator                    bias  deviation  error   ms for 100 digits")
for line in lines:
    error = (line["bias"] ** 2 + line["variance"]) ** 0.5
    print(
        f"{line['estimator']:26}{line['bias']:7.2f}{line['variance'] ** 0.5:11.2f}{error:7.2f}{line['milliseconds']:10.1f}"
    )

# %% [markdown]
# What to see, in this record:
#
# - The relaxations have biases above half of the gradient's length on this model, so their error does not fall with more samples.
# - Among the unbiased ones, those that draw *without replacement* and the local expectation are far ahead on so small a model: with twelve
#   evaluations of 25 states they nearly are the exact sum.
# - The baseline matters more than the choice between two clever estimators: REINFORCE without one has eight times the deviation of leave-one-out.
# - REBAR and RELAX pay in time: three evaluations of $f$, and the gradients of their tunables.
#
# ## 3 More evaluations
#
# The same model, from 2 to 64 evaluations. Unbiased estimators fall as $1 / \sqrt{S}$, a straight line here; a biased one bends and stops at its bias.

# %%
figure(sweep, record, size=(7.6, 4.2))

# %% [markdown]
# ## 4 The practical rule, measured
#
# A rule of thumb says: for small or moderate $K$ prefer exact marginalisation; for larger or structured spaces a relaxation is the simplest
# practical choice. Where is the border? `python -m dvae_np compare --rule` trains models of growing size, and measures the milliseconds that a gradient of 100
# digits with a given relative error costs, by [Eq. 14.2]. Where a line ends, bias ends it.

# %%
record = records.read("rule")
figure(practical_rule, record, size=(8.6, 3.7))
print("milliseconds to a relative error of 0.3\n")
print(rule.rule_table(record, 0.3))

# %% [markdown]
# The first half of the rule holds further than its usual wording suggests. Exact marginalisation decodes each state *once for the whole batch* (lesson 04), a
# sampler decodes $S$ codes for *every* example: in this record the sum over all states is the cheapest way to an error of 10 % at every size tried, up to 32,768
# states, and to an error of 30 % up to 10,000, where ReinMax takes about as long.
#
# The second half is true of convenience, not of the gradient's quality: at their default temperature of 1, neither Gumbel-Softmax nor its straight-through form
# reaches an error of 30 % on any of these models, however many samples they get. They still *train* (see the tour's numbers in the README), as a direction that is
# wrong in length and somewhat in angle still descends. ReinMax, second order, does get there from 64 states on.
#
# ## 5 A decision, in order
#
# | your model | take | lesson |
# |---|---|---|
# | up to some thousand joint states, decoder without a context | `exact` | 04 |
# | many states, $f$ cheap or black-box, unbiased wanted | `reinforce_loo` with S = 4 or more | 06 |
# | several latents of few categories | `local_expectation`: every alternative of one latent, the others sampled | 12 |
# | one latent of thousands of categories, few of them likely | `sum_and_sample`, `unordered_set` | 12 |
# | binary latents, two evaluations | `disarm` | 12 |
# | $f$ smooth, many latents, a bias is acceptable | `reinmax`, or `straight_through_gumbel` with its temperature tuned | 08, 07 |
# | the bound itself is to be tight | `vimco` | 09 |
# | you need to know what the others do wrong | `exact` on a small copy of your model, and `judge` | 05 |
#
# ## 6 Measure your own
#
# The functions of the comparison take any problem: examples with their objectives, and a batch to time. Here a cubic toy in place of your model:

# %%
problem = compare.toy_problem(2, 3)
rng = np.random.Generator(np.random.SFC64(0))
for name in ("reinforce_loo", "local_expectation", "reinmax"):
    row = dvae_np.TABLE[name]
    line = compare.measure(row, problem, 12, dict(row.hyper), rng, replicates=200, timed=False)
    print(
        f"{name:20} S = {line['samples']:2}: bias {line['bias']:.3f}, standard deviation {line['variance'] ** 0.5:.3f}"
    )

# %% [markdown]
# ## 7 Break it: comparisons that compare something else
#
# - **Equal S instead of equal work.** Local expectation at "one sample" evaluates $f$ $N K$ times. Above, `measure` is given evaluations, not samples.
# - **The training loss of a relaxed model.** $f$ at relaxed codes is another objective (lesson 07). Compare the *discrete* ELBO, exactly where that can be done.
# - **One learning rate for all.** A biased gradient may only be longer or shorter. Compare directions too: the cosine says what a rescaled step could reach.
#
# The third, live: on the cubic toy of section 1, straight-through is off in length and in angle; only the angle is beyond a learning rate's help.

# %%
cosine = (mean * exact).sum() / np.linalg.norm(mean) / np.linalg.norm(exact)
print(f"length {np.linalg.norm(mean) / np.linalg.norm(exact):.3f} of the exact gradient's, cosine {cosine:.3f}")
best = (mean * exact).sum() / (mean**2).sum()
print(
    f"relative error {bias / np.linalg.norm(exact):.2f} as it is, {np.linalg.norm(best * mean - exact) / np.linalg.norm(exact):.2f} at the best step size"
)

# %% [markdown]
# ## Reading
#
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey, with its own measurements.
# - Z. Dong, A. Mnih, G. Tucker, *Coupled gradient estimators for discrete latent variables*, 2021: a careful comparison at equal cost.
# - L. Liu et al., *Bridging discrete and backpropagation: straight-through and beyond*, 2023: ReinMax.
#
# Next: [15 Training on MNIST](15_training_on_mnist.ipynb)
