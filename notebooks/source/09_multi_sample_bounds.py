# %% [markdown]
# # 09 Multi-sample bounds
#
# **Question.** The ELBO lies below $\log p(x)$ by the posterior gap. Can several samples together come closer, and what is the gradient of the
# bound that they give?
#
# **After this lesson you can**
# - derive the multi-sample bound by Jensen's inequality, and prove that it grows with $S$,
# - derive both parts of its gradient in the logits, and say what the second part is for,
# - give each sample a baseline that does not contain it (VIMCO), without dividing by zero,
# - put a prior into the bound so that the prior is trained by it.
#
# *Needs:* lesson 06. *Takes:* 45 minutes to read and run, an hour for the exercises. Everything is in nats.

# %% setup
import numpy as np

import dvae_np
from dvae_np import draw, joint, log_prob, log_softmax, score, softmax
from dvae_np.check import (
    complex_step,
    every_code,
    judge,
    lookup_table,
    moments,
    multi_sample_bound,
    tiled,
)
from dvae_np.figures.lesson_09 import (
    small_model,
    variance,
    without_a_baseline,
)
from dvae_np.lesson import confirm, figure, interactive, show

rng = np.random.default_rng(0)
# (B, N, K) = (1, 1, 4); f(z) = -log p(x, z) of one x, in nats
logits, f = small_model()
K = logits.shape[-1]
codes = np.arange(K)[:, None, None]  # every code, as (M, 1, 1)
log_joint = -f(codes)[0][:, 0]  # log p(x, z), (K,)
logq = log_softmax(logits)[0][0, 0]  # (K,)


def exact_mean(estimator, S, **hyper):
    """The exact mean (N, K) of a gradient, over every S-tuple of codes."""
    z, weights = every_code(logits, S)
    found = estimator(tiled(logits, len(weights)), f, z, **hyper)
    return moments(
        weights, found if isinstance(found, np.ndarray) else found.dlogits
    )[0]


def slope_of_bound(S):
    """The gradient (N, K) of the negative bound in the logits, by the
    complex step through the plain sum.
    """
    return complex_step(
        lambda a: multi_sample_bound(a["logits"], f, S).sum(),
        {"logits": logits},
    )["logits"][0]


# %% [markdown]
# ## 1 The bound
#
# Draw $S$ codes from $q$, and weigh each by how much more probable it is under the model than under $q$:
# $w_s = p(x, z_s) / q(z_s)$. Each weight has the mean $\sum_z q(z)\, p(x, z) / q(z) = p(x)$, and so has their average. The logarithm is concave, so
# by Jensen
#
# $$\mathbb{E}\,\log \frac{1}{S} \sum_s w_s \le \log \mathbb{E}\, \frac{1}{S} \sum_s w_s = \log p(x) .$$
#
# The left side is the multi-sample bound:
#
# $$L_S = \mathbb{E}\,\log \frac{1}{S} \sum_s w_s, \qquad \log w_s = -f(z_s) + \log p(z_s) - \log q(z_s), \tag{9.1}$$
#
# with $f(z) = -\log p(x \mid z)$ as elsewhere; the `f` in this lesson's code is already the joint, $-\log p(x, z)$ (section 4), so that $\log w = -f - \log q$. For $S = 1$ it is $\mathbb{E}[\log p(x, z) - \log q(z)]$: the ELBO. It contains the KL, and so
# replaces the whole objective, not only the reconstruction.
#
# **It grows with S.** Leave one of the $S$ weights out: the average over all $S$ is the average of the $S$ averages that lack one weight each,
# $\frac{1}{S} \sum_s w_s = \frac{1}{S} \sum_r \bigl(\frac{1}{S - 1} \sum_{s \ne r} w_s\bigr)$. By Jensen once more the logarithm of this mean is at least the mean of
# the logarithms, and each of them has the expectation $L_{S-1}$. So $L_S \ge L_{S-1}$.
#
# With four categories all $4^S$ tuples can be listed, and $L_S$ is a plain sum:

# %%
show(multi_sample_bound)
elbo = (np.exp(logq) * (log_joint - logq)).sum()
confirm("9.1", -multi_sample_bound(logits, f, 1)[0], elbo)
evidence = np.log(np.exp(log_joint).sum())
for S in (1, 2, 4, 6):
    print(
        f"S = {S}: L_S = {-multi_sample_bound(logits, f, S)[0]:.4f} nats "
        f"(log p(x) = {evidence:.4f})"
    )

# %% [markdown]
# ## 2 Its gradient has two parts
#
# Write $\hat L = \log \frac{1}{S} \sum_s w_s$ for the bound of one draw. The logits enter twice: they decide *which* codes are drawn, and they stand *in* the
# weights, through $\log q$. The product rule for an expectation, with $Q = \prod_s q(z_s)$, gives
#
# $$\nabla_{\ell} L_S = \sum_{z_1 \ldots z_S} \bigl(\nabla_{\ell} Q\bigr) \hat L + \sum_{z_1 \ldots z_S} Q\, \nabla_{\ell} \hat L = \mathbb{E}\Bigl[\hat L \sum_s \mathrm{score}(z_s)\Bigr] + \mathbb{E}\bigl[\nabla_{\ell} \hat L\bigr] .$$
#
# For the second part, $\partial \hat L / \partial \log w_s = w_s / \sum_t w_t = \tilde w_s$, the normalised weight, and $\nabla_{\ell} \log w_s = -\mathrm{score}(z_s)$. Together
#
# $$\nabla_{\ell} L_S = \mathbb{E} \sum_s \bigl(\hat L - \tilde w_s\bigr)\, \mathrm{score}(z_s) .$$
#
# Here every sample's learning signal is the same number $\hat L$, whether the sample was good or bad. That is unbiased, and very noisy. As in lesson 06 anything
# may be subtracted from the signal of sample $s$ that does not depend on $z_s$. Call it $\hat L_{-s}$:
#
# $$\nabla_{\ell} L_S = \mathbb{E} \sum_s \bigl(\hat L - \hat L_{-s} - \tilde w_s\bigr)\, \mathrm{score}(z_s) . \tag{9.2}$$

# %%
show(small_model, without_a_baseline)
for S in (2, 3):
    confirm("9.2", exact_mean(dvae_np.vimco, S), slope_of_bound(S))
    confirm("9.2", exact_mean(without_a_baseline, S), slope_of_bound(S))

# %% [markdown]
# ## 3 VIMCO's baseline
#
# A good guess of $\hat L$ without looking at $z_s$: compute it with the *other* weights, and put a stand-in $\hat w_{-s}$ made of them in the place of $w_s$:
#
# $$\hat L_{-s} = \log \frac{1}{S} \Bigl(\sum_{t \ne s} w_t + \hat w_{-s}\Bigr), \qquad \hat w_{-s} = \exp\Bigl(\frac{1}{S-1} \sum_{t \ne s} \log w_t\Bigr) \ \text{ or } \ \frac{1}{S-1} \sum_{t \ne s} w_t . \tag{9.3}$$
#
# The geometric mean is the paper's choice; with the arithmetic one the baseline is simply the log of the mean of the others,
# $\log \frac{1}{S-1} \sum_{t \ne s} w_t$. Mnih and Rezende (2016) call the result VIMCO.

# %%
show(dvae_np.vimco)

# %%
S = 3
(z,) = draw(rng, logits, S, ("z",))
logw = -f(z)[0][:, 0] - log_prob(logits, z)[0][:, 0]  # (S,)
for mean in ("geometric", "arithmetic"):
    signals = []
    for s in range(S):
        others = np.delete(logw, s)
        own = (
            others.mean()
            if mean == "geometric"
            else np.log(np.exp(others).mean())
        )
        signals.append(
            np.log(np.exp(logw).mean())
            - np.log((np.exp(others).sum() + np.exp(own)) / S)
        )
    share = np.exp(logw) / np.exp(logw).sum()
    by_hand = ((share - signals)[:, None] * score(logits, z)[:, 0, 0]).sum(
        0
    )  # the library minimises: the sign is turned
    confirm(
        "9.3", dvae_np.vimco(logits, f, z, mean=mean).dlogits[0, 0], by_hand
    )

# %% [markdown]
# **Never subtract one weight from the sum.** The obvious code computes $\log(e^{\mathrm{total}} - w_s)$. If one weight dominates, the difference is $0$ in floating
# point, its logarithm $-\infty$, and the run is over. The library adds the others up anew for each sample: $S^2$ numbers, which is nothing beside $S$ decodings.

# %%
lopsided = lookup_table(np.array([500.0, 900.0, 900.0]))
one_of_each = np.arange(3)[:, None, None]  # S = 3 codes, (S, B, N)
found = dvae_np.vimco(np.zeros((1, 1, 3)), lopsided, one_of_each).dlogits[
    0, 0
]
logw = np.array([-500.0, -900.0, -900.0])
with np.errstate(divide="ignore"):
    naive = np.log(np.exp(logw + 500).sum() - np.exp(logw + 500)) - 500
print("the library:", found)
print("log(sum - own weight), the naive way:", naive)

# %% [markdown]
# ## 4 The prior's part
#
# A learned prior stands in the weights too. If we hand VIMCO the *joint* objective
#
# $$f(z) = -\log p(x \mid z) - \log p(z), \tag{9.4}$$
#
# then $\log w = -f - \log q$, and the gradient in $f$'s parameters, $\sum_s \tilde w_s \nabla f(z_s)$, contains the prior's. Nothing in the estimator has to know of priors. `joint` makes
# such an $f$ of a reconstruction and prior logits:

# %%
show(joint)
table = rng.standard_normal(K)
prior_logits = rng.standard_normal((1, 1, K))
both = joint(lookup_table(table), prior_logits, 1, K)
confirm(
    "9.4", both(codes)[0][:, 0], table - log_softmax(prior_logits)[0][0, 0]
)
z, weights = every_code(logits, 2)
dprior = sum(
    w * dvae_np.vimco(logits, both, z[:, [t]]).dtheta["prior_logits"]
    for t, w in enumerate(weights)
)
numeric = complex_step(
    lambda a: multi_sample_bound(
        logits, joint(lookup_table(table), a["prior"], 1, K), 2
    ).sum(),
    {"prior": prior_logits},
)
confirm("9.4", dprior, numeric["prior"])

# %% [markdown]
# ## 5 The picture
#
# Left: the bound, exactly, from the ELBO at $S = 1$ towards $\log p(x)$; each further sample gains less. Right: the exact variance of the gradient. Without a baseline the variance is
# {{ratios[2]:.0f}} times ($S = 2$) to {{ratios[5]:.0f}} times ($S = 5$) that of the geometric mean, and grows with $S$. The arithmetic mean's is the same at $S = 2$, where both are the other sample's weight, and {{arithmetic:.1f}} times that of the geometric mean at $S = 5$.

# %%
ratios = {
    S: variance(logits, f, S, None) / variance(logits, f, S, "geometric")
    for S in (2, 5)
}
arithmetic = variance(logits, f, 5, "arithmetic") / variance(
    logits, f, 5, "geometric"
)
figure("bound.png")

# %% [markdown]
# How fast the bound closes depends on how far $q$ is from the posterior. Move the slider (in a live notebook): at 0 the logits are those of the posterior itself, and one sample is
# enough; at 2 they are twice as far away as above.

# %%
posterior = (log_joint - evidence)[None, None]  # the logits of p(z|x)


def gap_against_samples(canvas, distance):
    """The gap log p(x) - L_S for logits that are `distance` times as far
    from the posterior's as those of this lesson.
    """
    moved = posterior + distance * (logits - posterior)
    samples = (1, 2, 3, 4, 5)
    gaps = [evidence + multi_sample_bound(moved, f, S)[0] for S in samples]
    axes = canvas.subplots()
    axes.plot(samples, gaps, "o-", color="#D55E00")
    axes.set(
        xlabel="samples S",
        ylabel="log p(x) - L_S (nats)",
        xticks=samples,
        ylim=(0, None),
        title=f"distance {distance}",
    )


interactive(gap_against_samples, distance=[0.0, 0.5, 1.0, 1.5, 2.0])

# %% [markdown]
# ## 6 Break it
#
# The learning signal alone, without the part through the weights. It looks like REINFORCE with a clever baseline; it is the gradient of nothing.


# %%
def without_the_path(logits, f, z):
    """VIMCO, but for the term with the normalised weights."""
    logw = -f(z)[0] - log_prob(logits, z)[0]
    share = softmax(logw.T)[0].T  # (S, B)
    return dvae_np.vimco(logits, f, z).dlogits - (
        share[..., None, None] * score(logits, z)
    ).sum(0)


wrong, right = exact_mean(without_the_path, 2), slope_of_bound(2)
print(
    "relative error of the mean: "
    f"{np.linalg.norm(wrong - right) / np.linalg.norm(right):.0%}"
)

# %% [markdown]
# The judge can tell, if it knows what is to be judged: without a word it compares with the gradient of $\mathbb{E}_q[f]$, for which VIMCO is biased; with `bound=True` with that of the bound.
# (On the command line: `python -m dvae_np verify my_file.py:my_function --bound`.)

# %%
for function, bound in (
    (dvae_np.vimco, False),
    (dvae_np.vimco, True),
    (without_the_path, True),
):
    report = judge(function, bound=bound)
    print(
        f"{function.__name__}, bound={bound}: {len(report.failed)} failed"
    )
    for result in report.failed[:1]:
        print(f"    {result.verdict}\n    {result.explanation}")

# %% [markdown]
# ## Reading
#
# - Y. Burda, R. Grosse, R. Salakhutdinov, *Importance weighted autoencoders*, 2016: the bound.
# - A. Mnih, D. J. Rezende, *Variational inference for Monte Carlo objectives*, 2016: VIMCO.
# - T. Rainforth, A. R. Kosiorek, T. A. Le, C. J. Maddison, M. Igl, F. Wood, Y. W. Teh, *Tighter variational bounds are not necessarily better*, 2018: what a tight bound does to the encoder's gradient.
#
# Next: [10 MuProp and REBAR](10_muprop_and_rebar.ipynb)

# %% [markdown] exercise 09.1
# ### 09.1 Implement: the bound of one draw
#
# Write `bound_of(logw)`: log-weights `logw` (S, B), in nats; return $\log \frac{1}{S} \sum_s w_s$ for each example, (B,). It must work for log-weights of -1000,
# also beside others of 0. About 2 lines. For log-weights 0 and $\log 3$ (S = 2, B = 1) you should get $\log 2 = 0.6931$.


# %% solution 09.1
def bound_of(logw):
    """log of the mean weight, (B,)."""
    ### BEGIN SOLUTION
    top = logw.max(0)
    return top + np.log(np.exp(logw - top).mean(0))
    ### END SOLUTION


# %% check 09.1
from dvae_np.lesson import judge

judge("09.1", bound_of)


# %% right 09.1
def bound_of(logw):
    from scipy.special import logsumexp

    return logsumexp(logw, axis=0) - np.log(logw.shape[0])


# %% right 09.1
def bound_of(logw):
    each = []
    for column in logw.T:
        shift = np.sort(column)[-1]
        each.append(shift + np.log(np.mean(np.exp(column - shift))))
    return np.array(each)


# %% wrong 09.1: divide by S
def bound_of(logw):
    top = logw.max(0)
    return top + np.log(np.exp(logw - top).sum(0))


# %% wrong 09.1: the mean of the logs, the ELBO's
def bound_of(logw):
    return logw.mean(0)


# %% wrong 09.1: yours is inf
def bound_of(logw):
    shift = np.median(logw, axis=0)
    return shift + np.log(np.exp(logw - shift).mean(0))


# %% wrong 09.1: yours is
def bound_of(logw):
    return np.log(np.exp(logw).mean(0))


# %% [markdown] exercise 09.2
# ### 09.2 Implement: VIMCO with the arithmetic mean
#
# Write `my_vimco(logits, f, z)`: `logits` (B, N, K), codes `z` (S, B, N), $S \ge 2$; return the gradient (B, N, K) of the **negative** bound by [Eq. 9.2], where
# $\hat L_{-s}$ is the log of the mean of the other weights. `f` is the joint, so $\log w = -f - \log q$. `f(z)[0]` and `log_prob(logits, z)[0]` are (S, B), `score(logits, z)` is (S, B, N, K).
# About 6 lines; a loop over the samples is fine.


# %% solution 09.2
def my_vimco(logits, f, z):
    """The gradient of the negative multi-sample bound."""
    ### BEGIN SOLUTION
    logw = -f(z)[0] - log_prob(logits, z)[0]
    w = np.exp(logw)
    bound, share = np.log(w.mean(0)), w / w.sum(0)
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return (
        (share - (bound - baseline))[..., None, None] * score(logits, z)
    ).sum(0)
    ### END SOLUTION


# %% check 09.2
from dvae_np.lesson import judge

judge("09.2", my_vimco)


# %% right 09.2
def my_vimco(logits, f, z):
    logw = -f(z)[0] - log_prob(logits, z)[0]  # (S, B)
    total, gradient = (
        np.logaddexp.reduce(logw, axis=0),
        np.zeros(logits.shape),
    )
    for s in range(len(z)):
        others = np.logaddexp.reduce(np.delete(logw, s, 0), axis=0)
        signal = (
            (total - np.log(len(z)))
            - (others - np.log(len(z) - 1))
            - np.exp(logw[s] - total)
        )
        gradient -= signal[:, None, None] * score(logits, z)[s]
    return gradient


# %% wrong 09.2: turn the sign
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return (
        (np.log(w.mean(0)) - baseline - w / w.sum(0))[..., None, None]
        * score(logits, z)
    ).sum(0)


# %% wrong 09.2: the mean over the samples where they add up
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return (
        (w / w.sum(0) - np.log(w.mean(0)) + baseline)[..., None, None]
        * score(logits, z)
    ).mean(0)


# %% wrong 09.2: write it yourself
def my_vimco(logits, f, z):
    return dvae_np.vimco(logits, f, z, mean="arithmetic").dlogits


# %% wrong 09.2: the gradient without a baseline
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    return (
        (w / w.sum(0) - np.log(w.mean(0)))[..., None, None]
        * score(logits, z)
    ).sum(0)


# %% wrong 09.2: without the weights' own derivative
def my_vimco(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    baseline = np.stack(
        [np.log(np.delete(w, s, 0).mean(0)) for s in range(len(z))]
    )
    return -(
        (np.log(w.mean(0)) - baseline)[..., None, None] * score(logits, z)
    ).sum(0)


# %% [markdown] exercise 09.3
# ### 09.3 Derive: two samples
#
# For $S = 2$ and the arithmetic mean the baseline of sample 1 is $\log w_2$, and the other way round. So sample 1's whole factor is a function of $r = \log w_1 - \log w_2$
# alone. Write `factor(r)`: what stands before $\mathrm{score}(z_1)$ in [Eq. 9.2] (for $\nabla L_2$, not the loss), for an array of $r$. One line. At $r = 0$ you should get $-0.5$, at
# $r = 1$ about $-0.1109$.


# %% solution 09.3
def factor(r):
    """L - L_{-1} - the first normalised weight, for S = 2."""
    ### BEGIN SOLUTION
    return np.log((np.exp(r) + 1) / 2) - 1 / (1 + np.exp(-r))
    ### END SOLUTION


# %% check 09.3
from dvae_np.lesson import judge

judge("09.3", factor)


# %% right 09.3
def factor(r):
    from scipy.special import expit

    return np.logaddexp(0, r) - np.log(2) - expit(r)


# %% wrong 09.3: exchange the roles
def factor(r):
    return np.log((np.exp(-r) + 1) / 2) - 1 / (1 + np.exp(r))


# %% wrong 09.3: the sum in place of the mean
def factor(r):
    return np.log(np.exp(r) + 1) - 1 / (1 + np.exp(-r))


# %% [markdown] exercise 09.4
# ### 09.4 Find the bug: a baseline that needs a subtraction
#
# This function returns $\hat L_{-s}$ with the arithmetic mean for all samples, (S, B), by subtracting each weight from the sum. It fails for a dominant weight. Repair it without a
# subtraction of weights, for any $S \ge 2$ (about 2 lines). For log-weights $0$, $-800$, $-800$ (S = 3, B = 1) the first should be exactly $-800$.
#
# ```python
# top = logw.max(0)
# w = np.exp(logw - top)
# return top + np.log(w.sum(0) - w) - np.log(len(logw) - 1)
# ```


# %% solution 09.4
def baselines(logw):
    """log of the mean of the other weights, (S, B)."""
    ### BEGIN SOLUTION
    others = [np.delete(logw, s, 0) for s in range(len(logw))]
    return np.stack(
        [
            each.max(0) + np.log(np.exp(each - each.max(0)).mean(0))
            for each in others
        ]
    )
    ### END SOLUTION


# %% check 09.4
from dvae_np.lesson import judge

judge("09.4", baselines)


# %% right 09.4
def baselines(logw):
    # (S, S, B): row s lacks sample s
    every = np.where(
        np.eye(len(logw), dtype=bool)[:, :, None], -np.inf, logw
    )
    return np.logaddexp.reduce(every, axis=1) - np.log(len(logw) - 1)


# %% wrong 09.4: yours is
def baselines(logw):
    top = logw.max(0)
    w = np.exp(logw - top)
    return top + np.log(w.sum(0) - w) - np.log(len(logw) - 1)


# %% wrong 09.4: divide by S - 1
def baselines(logw):
    others = [np.delete(logw, s, 0) for s in range(len(logw))]
    return np.stack(
        [
            each.max(0) + np.log(np.exp(each - each.max(0)).sum(0))
            for each in others
        ]
    )


# %% wrong 09.1: is wrong at S = 3
def bound_of(logw):
    return np.logaddexp(logw[0], logw[1]) - np.log(2)


# %% wrong 09.4: yours is
def baselines(logw):
    top = logw.max()  # of all the weights, where each example needs its own
    others = [np.delete(logw, s, 0) for s in range(len(logw))]
    return np.stack(
        [top + np.log(np.exp(each - top).mean(0)) for each in others]
    )
