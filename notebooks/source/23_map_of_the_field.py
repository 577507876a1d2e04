# %% [markdown]
# # 23 A map of the field
#
# **Question.** You have a model with discrete latents, and {{len(TABLE):d}} estimators. Which of them can you use at all, what will each of them charge, and what does nobody know yet?
#
# **After this lesson you can**
# - sort every estimator by what it asks of $f$ and of $q$, and by what it charges: bias, variance, or evaluations,
# - find the two or three candidates for a model of yours in a minute,
# - name methods that this course does not have, and questions that are open.
#
# *Needs:* lessons 04 to 14 (chains: 20). *Takes:* 15 minutes to read and run, 35 minutes for the exercises.

# %% setup
import numpy as np

from dvae_np import TABLE, records
from dvae_np.figures import comparison
from dvae_np.lesson import figure, say

# %% [markdown]
# ## 1 What do you have?
#
# Three questions decide most of it. They are about $f$, the function that is averaged, and about how many codes there are.
#
# 1. **Can you sum?** If all $K^N$ codes can be decoded, or $f$ is a sum of parts along a chain, take the exact gradient (lessons 04 and 20). Lesson 14 measures how far this reaches.
# 2. **Does $f$ have a slope in the code?** A neural decoder has one. A simulator, a program or a person does not. Without a slope only estimators that use the *values* of $f$ remain.
# 3. **May the gradient be biased?** For training a bias is often harmless. To compare methods, or to check a gradient, it is not.
#
# The table below is the package's own, sorted by these questions.

# %%
ASKS = {
    "none": "values of f alone",
    "discrete": "slope of f at one-hot codes",
    "relaxed": "slope of f at soft codes",
}
for needs, words in ASKS.items():
    for unbiased in (True, False):
        rows = [
            row
            for row in TABLE.values()
            if (row.gradient_of_f, row.unbiased) == (needs, unbiased)
        ]
        if rows:
            print(f"\n{words}; {'unbiased' if unbiased else 'biased'}")
        for row in rows:
            marks = "here: binary latents" * row.binary
            marks += "another objective" * row.owns_kl
            print(
                f"  {row.name:28}lesson {row.lesson:02}  evaluations of f: "
                f"{row.evaluations.words:10}{marks}"
            )

# %% [markdown]
# Two entries say what the package does, and not what the method could do. RELAX needs no slope of $f$ if its weight $\eta$ is zero: $f$ is then evaluated once a sample (lesson 11). The package's `relax` still evaluates $f$ at soft codes. And RODEO learns a network, where the package's `rodeo` has the mean of the tangents.
#
# Which two or three of these are for you? The table in section 5 of [lesson 14](14_which_estimator_when.ipynb) goes from a kind of model to an estimator, a line for each.
#
# ## 2 What does it charge?
#
# Nothing is free. An estimator pays in bias, in variance, or in evaluations of $f$. The picture shows all estimators at about the same number of evaluations, on the models of lesson 14. On the left are the unbiased ones: standard deviation against time. The vertical line is the time of the exact gradient. On the right are the biased ones: standard deviation against bias. *Down and left* is good. Colours show families. Two things are not comparable: the binary estimators were measured on a model of their own, and estimators of a bound or of another KL (`vimco`, `ovis`, `wake_phi`) are left out, since their gradient is another one.

# %%
record = records.read("compare")
lines = {line["estimator"]: line for line in record["lines"]}
loo, gumbel = lines["reinforce_loo"], lines["gumbel_softmax"]
total = np.hypot(gumbel["bias"], gumbel["variance"] ** 0.5)
for name, line in lines.items():  # the least of the biased ones
    error = np.hypot(line["bias"], line["variance"] ** 0.5)
    assert TABLE[name].unbiased or error >= total
say(record["problem"])
figure(
    comparison,
    record,
    size=(8.8, 4.6),
    alt="Two panels with a name at each mark. Left, the unbiased "
    "estimators: standard deviation against time. Right, the biased ones: "
    "standard deviation against bias.",
)

# %% [markdown]
# On the left the estimators that draw without replacement lie lowest, since this model has 25 codes and they visit half of them. On the right Gumbel-Softmax has a smaller deviation than leave-one-out, {{gumbel["variance"] ** 0.5:.2f}} against {{loo["variance"] ** 0.5:.2f}}. But its bias of {{gumbel["bias"]:.2f}} makes its total error larger: {{total:.2f}}. The other biased estimators have a still larger one at their default temperatures. Lesson 14 tunes the temperatures, and then trains.
#
# ## 3 What this course does not have
#
# | method | idea | source |
# |---|---|---|
# | RODEO with a network | the surrogate is learned from values and tangents; the package's `rodeo` has the mean tangent | J. Shi et al., *Gradient estimation with discrete Stein operators*, 2022 |
# | ReinMax with less noise | ReinMax averaged over the noise, and with control variates | [ReinMax_ASC](https://github.com/danielwang0452/ReinMax_ASC), 2026 |
# | straight-through of least variance | a family of estimators that use the slope, and its best member | *Generalized and optimal straight-through estimators*, [AISTATS 2026](https://openreview.net/forum?id=5LZQfHUVER) |
# | weighted maximum likelihood | an autoregressive encoder learns from weighed codes; with $\beta = 1$ and a uniform prior their law is a place on the path of lesson 22 | [DAPS](https://drolet.io/daps), 2026 |
# | residual quantisers | a second codebook for what the first one left over, and so on | N. Zeghidour et al., *SoundStream*, 2021 |
# | discrete diffusion | codes are spoiled step by step, and a network learns to repair them | J. Austin et al., *Structured denoising diffusion models in discrete state-spaces*, 2021 |
#
# ## 4 Open questions
#
# - *When does a bias hurt?* A relaxed gradient may point 40 degrees away from the exact one and train as well. No theory says beforehand when it will. What is measured here is a few models.
# - *A signal-to-noise ratio is not a training curve.* A gradient can be ten times less noisy at a fixed model, and the trained model the same (lesson 09). How much variance matters *during* training is known for few models only.
# - *How should a temperature be chosen without trials?* There are rules for where the relaxed density changes its shape (lesson 07), but none that names the best temperature for a given $f$.
# - *Dependent posteriors.* For chains much is exact (lesson 20). For general graphs the law itself is intractable, and estimators and approximations of the law are studied apart, although they meet in every model.
# - *What do discrete codes buy?* Whether a discrete latent represents data better than a continuous one of the same rate has an answer for few data sets.
#
# ## Reading
#
# - S. Mohamed, M. Rosca, M. Figurnov, A. Mnih, *Monte Carlo gradient estimation in machine learning*, 2020: the survey.
# - I. A. M. Huijben, W. Kool, M. B. Paulus, R. J. G. van Sloun, *A review of the Gumbel-max trick and its extensions for discrete stochasticity in machine learning*, 2022.
#
# This was the last lesson. Back to [the start](00_why_discrete.ipynb).

# %% [markdown] exercise 23.1: 1 point
# ## 23.1 Implement: what a budget buys
#
# Estimators are compared at equal work, not at equal $S$. An example may take `budget` evaluations of $f$. How many samples are these? Write `affordable(budget, N, K)`: an array of five whole numbers, the largest $S$ that each of these methods can afford: `exact`, `reinforce_loo`, `muprop`,
# `rebar` and `local_expectation`. The table of section 1 says what each of them evaluates. `exact` takes no samples: give 1 if the budget is enough for it, and 0 if not. Leave-one-out needs at least two samples. Give 0 where the budget is too small. About 3 lines.
#
# For 70 evaluations, $N = 2$ and $K = 5$ you should get {{", ".join(map(str, affordable(70, 2, 5))):s}}.


# %% solution 23.1
def affordable(budget, N, K):
    """The samples of exact, reinforce_loo, muprop, rebar and
    local_expectation.
    """
    ### BEGIN SOLUTION
    exact, loo = int(K**N <= budget), budget if budget >= 2 else 0
    return np.array(
        [exact, loo, budget - 1, budget // 3, budget // (N * K)]
    )
    ### END SOLUTION


# %% check 23.1
from dvae_np.lesson import judge

judge("23.1", affordable)


# %% right 23.1
def affordable(budget, N, K):
    found = np.zeros(5, int)
    for S in range(1, budget + 1):
        costs = [K**N, S, S + 1, 3 * S, S * N * K]
        for place, cost in enumerate(costs):
            if cost <= budget and (place != 1 or S > 1):
                found[place] = S if place else 1
    return found


# %% wrong 23.1: an evaluation is not a sample
def affordable(budget, N, K):
    return np.array([budget] * 5)


# %% wrong 23.1: there are K^N
def affordable(budget, N, K):
    exact, loo = int(N**K <= budget), budget if budget >= 2 else 0
    return np.array(
        [exact, loo, budget - 1, budget // 3, budget // (N * K)]
    )


# %% wrong 23.1: it needs two
def affordable(budget, N, K):
    return np.array(
        [
            int(K**N <= budget),
            budget,
            budget - 1,
            budget // 3,
            budget // (N * K),
        ]
    )


# %% wrong 23.1: it visits all latents
def affordable(budget, N, K):
    exact, loo = int(K**N <= budget), budget if budget >= 2 else 0
    return np.array([exact, loo, budget - 1, budget // 3, budget // K])


# %% wrong 23.1: REBAR at one evaluation a sample
def affordable(budget, N, K):
    exact, loo = int(K**N <= budget), budget if budget >= 2 else 0
    return np.array([exact, loo, budget - 1, budget, budget // (N * K)])


# %% wrong 23.1: compare whole numbers
def affordable(budget, N, K):
    # log 243 / log 3 is rounded to less than 5
    exact = int(np.floor(np.log(budget) / np.log(K)) >= N)
    loo = budget if budget >= 2 else 0
    return np.array(
        [exact, loo, budget - 1, budget // 3, budget // (N * K)]
    )


# %% [markdown] written 23.W: 3 points
# ## 23.W In words: three models, three choices
#
# For each model name the estimator that you would try first, and count the evaluations of $f$ (decodes) for one gradient of the batch. Name also one
# estimator that you would *not* take, with its reason.
#
# (a) There are 30 binary latents. The function $f$ is a simulator: a call returns one value, takes a second, and has no slope. The gradient must be unbiased.
# The batch is one example.
#
# (b) There is one latent of 8,192 categories. The decoder is a network that sees $z$ alone. The batch has 256 examples. How many samples for each example
# make as many decodes as your choice?
#
# (c) As in (b), but the decoder also sees a context that differs from example to example. Half a page in all.

# %% [markdown] model 23.W
# (a) Without a slope only the values of $f$ remain, and the latents are binary: DisARM, with 2 evaluations, so 2 seconds. (Leave-one-out with $S = 4$ is as
# good an answer: 4 seconds.) Not `exact`, which would visit $2^{30}$, a billion codes. Not the unordered set, which needs noise for every one of them. The
# local expectation takes $N K = 60$ evaluations, a minute for one sample. Relaxations need a slope, and are biased.
#
# (b) `exact`. Each code is decoded once for the whole batch: 8,192 decodes. A sampler decodes $S$ codes for each of 256 examples. At $S = 32$ this is 8,192
# too, and its gradient still has variance. So not REINFORCE or Gumbel-Softmax with 32 samples.
#
# (c) Now every pair of example and code has its own decoding: 256 times 8,192, about two million. `exact` is out, although the first layer may be split
# (lesson 16). If $q$ is concentrated on few codes, `sum_and_sample` with $S = 4$: 4 times 256, that is 1,024 decodes. Noise for all 8,192 categories is
# needed, but this is cheap for one latent. If $q$ is spread out, leave-one-out with $S = 4$ is the safe choice. If a bias is acceptable, Gumbel-Softmax with
# its temperature tuned on the loss of real codes. In each case compare with leave-one-out at the same number of decodes before you believe in the choice.
#
# *Marks:* 1 for (a); 1 for (b), with the 32 samples; 1 for (c). In each: a choice that can be used there, its number of evaluations, and one that is ruled
# out with its reason.
