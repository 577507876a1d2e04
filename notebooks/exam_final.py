"""The tasks of the final (lessons 07 to 20): templates as those of the midterm, which lends it `fill` and `checked`."""

from exam_midterm import checked, fill

RELAXED = {  # a line of the relaxed sample's op that is wrong, and the line that it stands for
    "return y, lambda dy: y * (dy - (dy * y).sum(-1, keepdims=True))": "without the temperature in the backward pass",
    "return y, lambda dy: y * (dy - dy.mean(-1, keepdims=True)) / tau": "a plain mean for the mean under y",
    "return y, lambda dy: y * dy / tau": "without the softmax's normaliser",
    "return y, lambda dy: y * (dy - (dy * y).sum(-1, keepdims=True)) * tau": "times the temperature",
}


def relaxed(rng, name):
    """Lesson 07: a mistake in the relaxed sample's backward pass, for noise that is scaled."""
    wrong, a = rng.choice(list(RELAXED)), rng.choice([0.5, 2, 3])
    return fill(r'''
# %% [markdown] exercise <<name>>: 2 points
# ## <<name>> Find the bug: a relaxed sample
#
# `wrong(logits, u, tau)` should be the op $y = \mathrm{softmax}\bigl((\ell + <<a>>\, G) / \tau\bigr)$ with Gumbel noise $G = -\log(-\log u)$, whose
# `backward(dy)` returns the gradient in the logits. Its backward pass is wrong. Write `corrected(logits, u, tau)`. Complex numbers must come through.
#
# ```python
# def wrong(logits, u, tau):
#     y, _ = softmax((logits - <<a>> * np.log(-np.log(u))) / tau)
#     <<wrong>>
# ```

# %% solution <<name>>
def corrected(logits, u, tau):
    """The relaxed sample and its backward pass."""
    ### BEGIN SOLUTION
    y, _ = softmax((logits - <<a>> * np.log(-np.log(u))) / tau)
    centred = lambda dy: dy - (dy * y).sum(-1, keepdims=True)
    return y, lambda dy: y * centred(dy) / tau
    ### END SOLUTION


# %% check <<name>>
y, backward = corrected(np.ones((2, 3)), np.full((2, 3), 0.5), 0.5)
print("<<name>>: it runs; shape", y.shape)
### BEGIN HIDDEN TESTS
from dvae_np.lesson import check_op

for seed in (<<s1>>, <<s2>>):
    rng = np.random.default_rng(seed)
    logits, tau = rng.standard_normal((3, 2, 4)), 0.7 + rng.random()
    u = 0.05 + 0.9 * rng.random((3, 2, 4))
    e = np.exp((logits - <<a>> * np.log(-np.log(u))) / tau)
    check_op(
        "<<name>>",
        lambda logits: corrected(logits, u, tau),
        e / e.sum(-1, keepdims=True),
        analytic=True,
        logits=logits,
    )
### END HIDDEN TESTS
''', name=name, wrong=wrong, a=a, s1=rng.randrange(10**6), s2=rng.randrange(10**6))  # fmt: skip


def bound(rng, name):
    """Lesson 09: the weights of another bound."""
    power = rng.choice([2, 3, 0.5])
    make = "logw = 3 * rng.standard_normal((6, 5)) - 900"
    return fill(r'''
# %% [markdown] exercise <<name>>: 3 points
# ## <<name>> Derive: another average of the weights
#
# For the log weights `logw` (S, B) of $S$ draws, take $L = \frac{1}{<<a>>} \log \frac{1}{S} \sum_s w_s^{<<a>>}$. Write `weights(logw)`: the derivatives of $L$ in
# all $\log w_s$, (S, B). The log weights may lie near $-900$.

# %% solution <<name>>
def weights(logw):
    """The derivative of L in each log weight, (S, B)."""
    ### BEGIN SOLUTION
    powers = np.exp(<<a>> * (logw - logw.max(0)))
    return powers / powers.sum(0)
    ### END SOLUTION


''', name=name, a=power) + checked(rng, name, "weights", "logw,", f'''
def reference(logw):
    def total(arrays):
        x = {power} * arrays["x"]
        top = x.real.max(0)
        return ((np.log(np.exp(x - top).mean(0)) + top) / {power}).sum()

    return complex_step(total, {{"x": logw}})["x"]''', make)  # fmt: skip


def control(rng, name):
    """Lesson 10: the best weights of a control variate, from draws."""
    sign, two = rng.choice(["+", "-"]), rng.choice([True, False])
    make = ("g = rng.standard_normal((400, 3))\nh = 0.7 * g + rng.standard_normal((400, 3)) + 2")  # fmt: skip
    each = "for each entry" if two else "one number for all entries together"
    numerator = "(dg * dh).sum(0)" if two else "(dg * dh).sum()"
    return fill(r'''
# %% [markdown] exercise <<name>>: 2 points
# ## <<name>> Derive: the weight of a control variate
#
# `g` (R, D) holds draws of an unbiased gradient, `h` (R, D) the same draws of a control variate, whose mean is known. The estimate is
# $g <<sign>> c\,(h - \mathbb{E}[h])$. Write `best(g, h)`: the $c$ of least total variance, <<each>>, from the draws' own means and covariances.

# %% solution <<name>>
def best(g, h):
    """The weight of least variance."""
    ### BEGIN SOLUTION
    dg, dh = g - g.mean(0), h - h.mean(0)
    return <<minus>><<above>> / <<below>>
    ### END SOLUTION


''', name=name, sign=sign, each=each, minus="-" if sign == "+" else "", above=numerator,
        below=numerator.replace("dg", "dh")) + checked(rng, name, "best", "g, h", f'''
def reference(g, h):
    """By the parabola: the variance at c = -1, 0, 1."""
    at = [(g {sign} c * h).var(0) for c in (-1.0, 0.0, 1.0)]
    at = at if {two} else [each.sum() for each in at]
    return (at[0] - at[2]) / 2 / (at[0] + at[2] - 2 * at[1])''', make)  # fmt: skip


def prior_side(rng, name):
    """Lesson 16: the KL's gradient on the prior's side, with a weight and a prior that some examples share."""
    beta, side = rng.choice([0.5, 2, 4]), rng.choice(["prior", "encoder"])
    make = "q_logits = rng.standard_normal((5, 2, 4))\np_logits = rng.standard_normal((1, 2, 4))"
    solution = {
        "prior": "(p - q).sum(0, keepdims=True)",
        "encoder": "q * (ratio - (q * ratio).sum(-1, keepdims=True))",
    }[side]
    return fill(r'''
# %% [markdown] exercise <<name>>: 2 points
# ## <<name>> Derive: a prior that the batch shares
#
# The prior has one set of logits `p_logits` (1, N, K) for the whole batch, the encoder `q_logits` (B, N, K). Write `gradient(q_logits, p_logits)`: the gradient
# of $<<beta>> \sum_{b, n} \mathrm{KL}(q_{b n} \,\Vert\, p_n)$ in the logits of the <<side>>, in their shape.

# %% solution <<name>>
def gradient(q_logits, p_logits):
    """The gradient in the logits of the <<side>>."""
    ### BEGIN SOLUTION
    q, p = softmax(q_logits)[0], softmax(p_logits)[0]
    ratio = np.log(q) - np.log(p)
    return <<beta>> * (<<solution>>)
    ### END SOLUTION


''', name=name, beta=beta, side=side, solution=solution) + checked(rng, name, "gradient", "q_logits, p_logits", f'''
def reference(q_logits, p_logits):
    def total(arrays):
        q, p = (np.exp(arrays[each]) for each in ("encoder", "prior"))
        q, p = q / q.sum(-1, keepdims=True), p / p.sum(-1, keepdims=True)
        return {beta} * (q * np.log(q / p)).sum()

    both = {{"encoder": q_logits, "prior": p_logits}}
    return complex_step(total, both)["{side}"]''', make)  # fmt: skip


CHAINS = {  # what is asked of a chain, and the codes that are left
    "all codes whose first latent is category 0": "z[0] == 0",
    "all codes whose last latent is not category 0": "z[-1] != 0",
    "all codes whose second latent is category 1": "z[1] == 1",
    "all codes that begin and end with category 0": "z[0] == 0 and z[-1] == 0",
}
RULED = {
    "z[0] == 0": "unary[:, 0, 1:] = -np.inf", "z[-1] != 0": "unary[:, -1, 0] = -np.inf",
    "z[1] == 1": "unary[:, 1, [k for k in range(K) if k != 1]] = -np.inf",
    "z[0] == 0 and z[-1] == 0": "unary[:, 0, 1:] = unary[:, -1, 1:] = -np.inf",
}  # fmt: skip


def chain(rng, name):
    """Lesson 20: a forward pass over a part of the codes."""
    words = rng.choice(list(CHAINS))
    make = "unary = rng.standard_normal((2, 5, 3))\npairwise = rng.standard_normal((2, 4, 3, 3))"
    return fill(r'''
# %% [markdown] exercise <<name>>: 3 points
# ## <<name>> Implement: a sum over some of the codes
#
# A chain has potentials `unary` (B, N, K) and `pairwise` (B, N-1, K, K), as in lesson 20. Write `log_sum(unary, pairwise)`, (B,): the logarithm of
# $\sum_z e^{\mathrm{sum}(z)}$ over <<words>>, in $N$ steps. Do not call the package's chain, and do not go through all codes.

# %% solution <<name>>
def log_sum(unary, pairwise):
    """The logarithm of the sum over these codes, (B,)."""
    ### BEGIN SOLUTION
    unary, (_, N, K) = unary.copy(), unary.shape
    <<ruled>>
    a = unary[:, 0]
    for n in range(N - 1):
        joint = a[:, :, None] + pairwise[:, n]
        a = unary[:, n + 1] + np.logaddexp.reduce(joint, 1)
    return np.logaddexp.reduce(a, 1)
    ### END SOLUTION


''', name=name, words=words, ruled=RULED[CHAINS[words]]) + checked(rng, name, "log_sum", "unary, pairwise", f'''
def reference(unary, pairwise):
    B, N, K = unary.shape
    total = np.zeros(B)
    for z in np.ndindex(*(K,) * N):
        if {CHAINS[words]}:
            nodes = sum(unary[:, n, z[n]] for n in range(N))
            edges = sum(pairwise[:, n, z[n], z[n + 1]] for n in range(N - 1))
            total += np.exp(nodes + edges)
    return np.log(total)''', make)  # fmt: skip


CLAIMS = {  # a student's sentence, and the answer
    r"With 1,000 samples my estimate of $\log p(x)$ is above the true value for every second image. So my code is wrong.": (
        r"The sentence is too strong. A single estimate is the logarithm of an unbiased estimate of $p(x)$: its mean is below $\log p(x)$ (Jensen), but single estimates may lie above. With many samples the estimate is nearly symmetric around the truth, so about half of them do. The mean over many images must not lie above by more than its standard error: that is the test."),
    r"My model reaches a lower loss with $\beta = 0.5$ than yours with $\beta = 1$. So mine is better.": (
        r"The two numbers are of different objectives. With $\beta = 0.5$ half of the KL is left out, so the loss is lower for the *same* model. Both models must be compared by the negative ELBO with $\beta = 1$, or by $\log p(x)$, on the same images. It may then turn out either way."),
    r"A gradient check by finite differences passes for my Gumbel-Softmax objective, so its gradient is unbiased.": (
        r"The check proves that the gradient is the slope of the relaxed objective at this noise. Its mean is the slope of the mean of the *relaxed* objective, which is not $\mathbb{E}_q[f]$ at any temperature above zero. So the estimator is biased for $\mathbb{E}_q[f]$ although the check is right. An enumeration or quadrature beside the exact gradient shows it."),
    r"My KL is zero for three of four latents. So the encoder is broken.": (
        r"Not by itself. A latent whose KL is zero is not used: the model saves the nats that it costs. This may be the optimum if the decoder gains less than the KL. Signs of a fault are: all latents unused from the first steps, a loss of the mean image, or a latent that stays unused at a small $\beta$ or with free bits. These are the numbers to look at."),
}  # fmt: skip


def claim(rng, name):
    """Lessons 09, 18, 19, in words: a sentence that is too strong."""
    words = rng.choice(list(CLAIMS))
    return fill(
        r"""
# %% [markdown] written <<name>>: 4 points
# ## <<name>> In words: is the student right?
#
# A student says: *<<words>>* What is right in this, what is wrong, and which number or test would decide? Half a page.

# %% [markdown] model <<name>>
# <<answer>>
#
# *Marks:* 1 for what is right; 2 for what is wrong, with the reason; 1 for the number or the test that decides.
""",
        name=name,
        words=words,
        answer=CLAIMS[words],
    )


TASKS = (relaxed, bound, control, prior_side, chain, claim)
