"""The tasks of the midterm (lessons 01 to 08): each a template whose variant a random generator chooses.

``<<name>>`` in a template is replaced by what was chosen. Hidden tests compare with our own answer, at numbers of their own.
"""

import re

WRITTEN = 1  # the last tasks of an exam are answered in words


def fill(text, **chosen):
    """The template with its places filled in."""
    return re.sub(r"<<(\w+)>>", lambda found: str(chosen[found[1]]), text)


def checked(rng, name, function, arguments, reference, make):
    """The cell that judges a function: it runs visibly at one point, and is compared at two others where nobody sees it.

    make: code that makes the arguments from `rng`. reference: code that defines `reference`, of the same arguments.
    """
    seeds = [rng.randrange(10**6) for _ in range(3)]
    return fill('''\
# %% check <<name>>
def <<name_>>_case(seed):
    """Arguments at which the answer is called."""
    rng = np.random.default_rng(seed)
<<make>>
    return <<arguments>>


answer = <<function>>(*<<name_>>_case(0))
print("<<name>>: it runs; shape", np.shape(answer))
### BEGIN HIDDEN TESTS
from dvae_np.lesson import check

<<reference>>

for seed in <<seeds>>:
    check(
        "<<name>>",
        lambda: <<function>>(*<<name_>>_case(seed)),
        reference(*<<name_>>_case(seed)),
    )
### END HIDDEN TESTS
''', name=name, name_=name.replace(".", "_").lower(), function=function, arguments=arguments, seeds=seeds,
        reference=reference.strip(), make="\n".join("    " + line for line in make.strip().splitlines()))  # fmt: skip


FUNCTIONS = {  # an elementwise function, its code, its slope's code, both of x and a
    r"x \tanh(a x)": ("x * np.tanh(a * x)", "np.tanh(a * x) + a * x * (1 - np.tanh(a * x) ** 2)"),
    r"\frac{x}{\sqrt{1 + a x^2}}": ("x / np.sqrt(1 + a * x * x)", "(1 + a * x * x) ** -1.5"),
    r"x\, \sigma(a x)": ("x / (1 + np.exp(-a * x))", "(1 + a * x / (1 + np.exp(a * x))) / (1 + np.exp(-a * x))"),
    r"\log(1 + a x^2)": ("np.log(1 + a * x * x)", "2 * a * x / (1 + a * x * x)"),
    r"x\, e^{-a x^2}": ("x * np.exp(-a * x * x)", "(1 - 2 * a * x * x) * np.exp(-a * x * x)"),
}


def op(rng, name):
    """Lesson 01: an op of one's own."""
    formula = rng.choice(list(FUNCTIONS))
    value, slope = FUNCTIONS[formula]
    weight = rng.choice(["all of x", "the last axis alone"])
    total = weight == "the last axis alone"
    return fill(r'''
# %% [markdown] exercise <<name>>: 2 points
# ## <<name>> Implement: an op of your own
#
# Write `my_op(x)` for `x` of any shape (..., K). It returns `(y, backward)` with $y = <<formula>>$ for each entry, at $a = <<a>>$<<then>>.
# `backward(dy)` returns the gradient in `x`. Complex numbers must come through: no `abs`, no casts.

# %% solution <<name>>
def my_op(x):
    """An op: its value and its backward pass."""
    ### BEGIN SOLUTION
    a = <<a>>
    y = <<value>>
    slope = <<slope>>
    <<result>>
    ### END SOLUTION


# %% check <<name>>
y, backward = my_op(np.ones((2, 3)))
print("<<name>>: it runs; shape", y.shape, backward(y).shape)
### BEGIN HIDDEN TESTS
from dvae_np.lesson import check_op

for seed in (<<s1>>, <<s2>>):
    x = np.random.default_rng(seed).standard_normal((3, 4, 5))
    a = <<a>>
    check_op("<<name>>", my_op, <<expected>>, analytic=True, x=x)
### END HIDDEN TESTS
''', name=name, formula=formula, a=rng.choice([0.5, 2.0, 3.0]), value=value, slope=slope, s1=rng.randrange(10**6),
        s2=rng.randrange(10**6), then=", summed over the last axis" if total else "",
        result="return y.sum(-1), lambda dy: dy[..., None] * slope" if total else "return y, lambda dy: dy * slope",
        expected=f"({value}).sum(-1)" if total else value)  # fmt: skip


DIVERGENCES = {  # of q from a fixed p: its formula, and its derivative in q
    r"\sum_k p_k \log \frac{p_k}{q_k}": "-p / q",
    r"\sum_k \frac{q_k^2}{p_k}": "2 * q / p",
    r"\frac{1}{2} \sum_k (q_k - p_k)^2": "q - p",
    r"\sum_k (\sqrt{q_k} - \sqrt{p_k})^2": "1 - np.sqrt(p / q)",
}


def divergence(rng, name):
    """Lesson 03: another divergence, through the softmax."""
    formula, sign = rng.choice(list(DIVERGENCES)), rng.choice([1, 2, 3])
    make = "logits = rng.standard_normal((3, 2, 4))\np = np.exp(rng.standard_normal((3, 2, 4)))\np /= p.sum(-1, keepdims=True)"
    values = {
        "-p / q": "(p * np.log(p / q)).sum()", "2 * q / p": "(q * q / p).sum()", "q - p": "((q - p) ** 2).sum() / 2",
        "1 - np.sqrt(p / q)": "((np.sqrt(q) - np.sqrt(p)) ** 2).sum()",
    }  # fmt: skip
    slope = DIVERGENCES[formula]
    return fill(r'''
# %% [markdown] exercise <<name>>: 2 points
# ## <<name>> Derive: another divergence
#
# Instead of the KL, a model is trained with <<times>>$D = <<formula>>$ for each latent, where $q = \mathrm{softmax}(\ell)$ and $p$ is fixed. Derive the
# gradient in the logits, and write `gradient(logits, p)` for arrays (B, N, K): the gradient of the sum over all latents and examples.

# %% solution <<name>>
def gradient(logits, p):
    """The gradient in the logits, (B, N, K)."""
    ### BEGIN SOLUTION
    q, softmax_backward = softmax(logits)
    return softmax_backward(<<factor>> * (<<slope>>))
    ### END SOLUTION


''', name=name, formula=formula, factor=sign, slope=slope, times="" if sign == 1 else f"{sign} times ") + checked(
        rng, name, "gradient", "logits, p", f'''
def reference(logits, p):
    def total(arrays):
        q = np.exp(arrays["x"])
        q = q / q.sum(-1, keepdims=True)
        return {sign} * {values[slope]}

    return complex_step(total, {{"x": logits}})["x"]''', make)  # fmt: skip


MISTAKES = {  # of leave-one-out: what is written, and what it does to the mean
    "(fz - fz.mean(0))[..., None, None] * score(logits, z)).sum(0) / len(z)": "it divides by S where S - 1 is due",
    "(fz - fz.mean())[..., None, None] * score(logits, z)).sum(0) / (len(z) - 1)": "one baseline for the whole batch",
    "(fz.mean(0) - fz)[..., None, None] * score(logits, z)).sum(0) / (len(z) - 1)": "the sign is turned round",
    "(fz - fz.mean(0))[..., None, None] * softmax(logits)[0]).sum(0) / (len(z) - 1)": "the probabilities in the score's place",
    "(fz - fz.min(0))[..., None, None] * score(logits, z)).mean(0)": "the least value is no baseline: it may be one's own",
}


def leave_one_out(rng, name):
    """Lesson 06: a mistake in leave-one-out, for a gradient with a sign and a factor."""
    mistake, factor, up = rng.choice(list(MISTAKES)), rng.choice([2, 3, 5]), rng.choice([True, False])
    sign = "-" if up else ""
    make = ("logits = rng.standard_normal((3, 2, 4))\nf = lookup_table(2 + rng.standard_normal((3, 4, 4)))\n"
            "z = rng.integers(0, 4, (5, 3, 2))")  # fmt: skip
    return fill(r'''
# %% [markdown] exercise <<name>>: 2 points
# ## <<name>> Find the bug: leave-one-out
#
# `wrong(logits, f, z)` should estimate the gradient of $<<sign>><<factor>>\, \mathbb{E}_q[f]$ by leave-one-out from codes `z` (S, B, N), $S \ge 2$.
# Its mean is wrong. Write `corrected(logits, f, z)`, (B, N, K). The factor $<<sign>><<factor>>$ is meant.
#
# ```python
# def wrong(logits, f, z):
#     fz, _ = f(z)
#     return <<sign>><<factor>> * (
#         <<mistake>>
# ```

# %% solution <<name>>
def corrected(logits, f, z):
    """An unbiased estimate, (B, N, K)."""
    ### BEGIN SOLUTION
    fz, _ = f(z)
    signal = (fz - fz.mean(0))[..., None, None]
    total = (signal * score(logits, z)).sum(0)
    return <<sign>><<factor>> * total / (len(z) - 1)
    ### END SOLUTION


''', name=name, sign=sign, factor=factor, mistake=mistake) + checked(rng, name, "corrected", "logits, f, z", f'''
def reference(logits, f, z):
    return {sign}{factor} * dvae_np.reinforce_loo(logits, f, z).dlogits''', make)  # fmt: skip


def importance(rng, name):
    """Lesson 05: codes drawn from another law."""
    baseline, sign = rng.choice([0.5, 1.5, 2.5]), rng.choice(["", "-"])
    make = ("logits = rng.standard_normal((3, 2, 4))\nother = rng.standard_normal((3, 2, 4))\n"
            "f = lookup_table(2 + rng.standard_normal((3, 4, 4)))\nz = rng.integers(0, 4, (5, 3, 2))")  # fmt: skip
    return fill(r'''
# %% [markdown] exercise <<name>>: 3 points
# ## <<name>> Derive: codes drawn from another law
#
# The codes `z` (S, B, N) are drawn from $r = \mathrm{softmax}$ of the logits `other` (B, N, K), and not from $q$. Write
# `gradient(logits, other, f, z)`, (B, N, K): an unbiased estimate of the gradient of $<<sign>>\mathbb{E}_q[f]$ in the logits of $q$, from the values $f(z)$ alone,
# with the constant baseline $<<b>>$ taken off $f$. Each sample has a weight.

# %% solution <<name>>
def gradient(logits, other, f, z):
    """An unbiased estimate from codes of another law, (B, N, K)."""
    ### BEGIN SOLUTION
    fz, _ = f(z)
    logq, _ = dvae_np.log_prob(logits, z)
    logr, _ = dvae_np.log_prob(other, z)
    signal = np.exp(logq - logr) * (fz - <<b>>)
    return <<sign>>(signal[..., None, None] * score(logits, z)).mean(0)
    ### END SOLUTION


''', name=name, sign=sign, b=baseline) + checked(rng, name, "gradient", "logits, other, f, z", f'''
def reference(logits, other, f, z):
    q, r = softmax(logits)[0], softmax(other)[0]
    total = np.zeros(logits.shape)
    for s, b in np.ndindex(z.shape[:2]):
        ratio = 1.0
        for n, k in enumerate(z[s, b]):
            ratio *= q[b, n, k] / r[b, n, k]
        hot = np.eye(logits.shape[-1])[z[s, b]]
        total[b] += ratio * (f(z)[0][s, b] - {baseline}) * (hot - q[b])
    return {sign}total / len(z)''', make)  # fmt: skip


def surrogate(rng, name):
    """Lesson 08: what straight-through gives on average, by enumeration."""
    degree, K = rng.choice([2, 3]), rng.choice([3, 4, 5])
    make = f"logits = rng.standard_normal((1, 1, {K}))\nw = rng.standard_normal({K})"
    return fill(r'''
# %% [markdown] exercise <<name>>: 3 points
# ## <<name>> Derive: the bias of straight-through
#
# One latent of $K = <<K>>$ categories, and $f(y) = (\sum_k w_k y_k)^{<<degree>>}$ for relaxed codes $y$, so $f$ of category $k$ is $w_k^{<<degree>>}$. Write `bias(logits, w)`,
# (K,), for `logits` (1, 1, K): the mean of the straight-through estimate at $\tau = 1$ less the exact gradient. Sum over the categories.

# %% solution <<name>>
def bias(logits, w):
    """The mean of straight-through less the exact gradient, (K,)."""
    ### BEGIN SOLUTION
    q = softmax(logits)[0][0, 0]
    slope = <<degree>> * (q @ w ** (<<degree>> - 1)) * w  # the mean of f'
    mean = q * (slope - q @ slope)
    values = w**<<degree>>
    return mean - q * (values - q @ values)
    ### END SOLUTION


''', name=name, K=K, degree=degree) + checked(rng, name, "bias", "logits, w", f'''
def reference(logits, w):
    q = softmax(logits)[0][0, 0]
    jacobian = np.diag(q) - np.outer(q, q)
    mean = sum(q[k] * jacobian @ ({degree} * w[k] ** {degree - 1} * w) for k in range(len(w)))
    return mean - jacobian @ w**{degree}''', make)  # fmt: skip


CLAIMS = {  # what is subtracted from f(z_s), and the answer
    r"the mean of all $S$ values, $f(z_s)$ among them, and the sum over $s$ is divided by $S$": (
        r"It is biased. The baseline contains $f(z_s) / S$, which depends on $z_s$. The other terms drop out, and the mean is $1 - \frac{1}{S}$ times the exact gradient."),
    r"the mean of the $S$ values of the step before, and the sum over $s$ is divided by $S$": (
        r"It is unbiased. The codes of the step before are independent of $z_s$, given the logits, so the baseline is a constant for the score of $z_s$, which has mean zero."),
    r"$f(z_{s+1})$, the value of the next sample (of the first one for $s = S$), and the sum over $s$ is divided by $S$": (
        r"It is unbiased for $S \ge 2$. The next sample is drawn independently of $z_s$, so its value is a constant for the score of $z_s$."),
    r"the largest of the $S$ values, and the sum over $s$ is divided by $S$": (
        r"It is biased. Where $z_s$ itself has the largest value the baseline depends on $z_s$. Take $S = 1$: the signal is always zero."),
}  # fmt: skip


def claim(rng, name):
    """Lessons 05 and 06, in words: is it unbiased?"""
    what = rng.choice(list(CLAIMS))
    return fill(r'''
# %% [markdown] written <<name>>: 4 points
# ## <<name>> In words: is it unbiased?
#
# A score-function estimator subtracts from $f(z_s)$ <<what>>. Is its mean the gradient of $\mathbb{E}_q[f]$? Prove it, or compute what the mean is, or give an
# example that decides. Say also what the idea is worth in practice: which part of $f$ does it take away? Half a page.

# %% [markdown] model <<name>>
# <<answer>> A baseline takes away what all values of $f$ have in common, which says nothing about which code is better.
#
# *Marks:* 2 for the verdict with its proof; 1 for naming what is independent of $z_s$, and what is not; 1 for what the baseline takes away.
''', name=name, what=what, answer=CLAIMS[what])  # fmt: skip


TASKS = (op, divergence, importance, leave_one_out, surrogate, claim)
