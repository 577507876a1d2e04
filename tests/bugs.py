"""The bug bank: mistakes that were found in real code, each with the check that catches it and, often, one that does not.

A `Bug` has `caught`, a function that makes the mistake and runs the check that claims to see it: what comes back must not be
`ok`, and must say `words`. `missed` runs a check that the same mistake passes: that is why the other one is needed. Here are
those of gradient estimators and of what they stand on; `bugs_bounds.py` and `bugs_quantised.py` have the others.
"""

import itertools
from dataclasses import dataclass, replace

import bugs_bounds
import bugs_quantised
import numpy as np
from bug import Bug, gradient_of, rng
from strangers import PECULIAR, arm_in_float32, gumbels_in_float32, in_float32, scored

from dvae_np import categorical, concrete, ops, perturbed, subsets, vae
from dvae_np.arrays import one_hot
from dvae_np.check import (
    comparison,
    complex_step,
    enumeration,
    from_mean,
    from_samples,
    judge,
    lookup_table,
    polynomial,
)
from dvae_np.check.identities import equal, independent_noise
from dvae_np.check.levels import estimator_results
from dvae_np.coupling import pair_probability
from dvae_np.estimators import TABLE, Estimate
from dvae_np.estimators.control_variate import relaxed
from dvae_np.noise import draw

B, N, K, S = 5, 2, 3, 4


def wrong_kl(sign=1.0, log_p=None):
    """KL to the uniform prior, with the sign of its gradient or the prior's term to be got wrong."""

    def kl(q_logits):
        logq, _ = ops.log_softmax(q_logits)
        q, ratio = np.exp(logq), logq - (-np.log(q_logits.shape[-1]) if log_p is None else log_p)
        each = (q * ratio).sum(-1)
        return each.sum(-1), lambda d: sign * d[:, None, None] * q * (ratio - each[..., None])

    return kl


def uniform_kl_of_itself(log_p):
    """KL(u || u) must be zero."""
    value, _ = wrong_kl(log_p=log_p)(np.zeros((B, N, K)))
    return equal("KL(u || u) = 0", value, np.zeros(B), scale=1)


def elbo_identity(weight_of_kl):
    """Negative ELBO against -log p(x) + KL(q || posterior), with the KL counted that many times."""
    g = rng()
    logits, x = g.standard_normal((B, N, K)), (g.random((B, 11)) < 0.4).astype(float)
    f = vae.reconstruction(vae.parameters(g, 11, N, K, (7,), np.float64)["theta"], x)
    states = categorical.joint_states(N, K)[:, None]
    logq, log_joint = categorical.log_prob(logits, states)[0], -f(states)[0] - N * np.log(K)
    evidence = np.log(np.exp(log_joint).sum(0))
    gap = (np.exp(logq) * (logq - log_joint + evidence)).sum(0)
    value = TABLE["exact"].estimate(logits, f).value + weight_of_kl * categorical.kl(logits)[0]
    return equal("negative ELBO = -log p(x) + gap", value, gap - evidence)


def relaxed_elbo():
    """E[f(y)] + KL, by quadrature, beside the exact negative ELBO."""
    logits, f = rng().standard_normal((1, 1, 3)), polynomial(rng().standard_normal((2, 1, 3)), 3)
    nodes, weights, _ = enumeration.gumbel_nodes(logits, 140)
    value = weights @ TABLE["gumbel_softmax"].estimate(enumeration.tiled(logits, len(weights)), f, nodes["u"]).value
    return equal("relaxed objective = exact negative ELBO", np.array([value]), TABLE["exact"].estimate(logits, f).value)


def plug_in_is_negative():
    logits = 0.3 * rng().standard_normal((1, 1, 3))
    nodes, weights, _ = enumeration.gumbel_nodes(logits, 140)
    many = enumeration.tiled(logits, len(weights))
    mean = weights @ concrete.plug_in_kl(many, nodes["u"], 2.0)[0][0]
    return equal("a KL is its own absolute value", np.array([mean]), np.array([abs(mean)]))


def enumerated_mean(estimate, samples=3, **known):
    """The verdict on the exact mean of a score-function estimator (logits, f, z) -> dlogits."""
    g = rng()
    logits, f = g.standard_normal((1, N, K)), lookup_table(2 + g.standard_normal((K, K)))
    z, weights = enumeration.every_code(logits, samples)
    dlogits = estimate(enumeration.tiled(logits, len(weights)), f, z)
    exact = TABLE["exact"].estimate(logits, f).dlogits[0]
    return from_mean(enumeration.moments(weights, dlogits)[0], exact, sizes={"S": samples}, **known)


def own_sample(logits, f, z):
    fz, _ = f(z)
    return scored(logits, z, fz - fz.mean(0)) / len(z)


def ema_updated_first(logits, f, z, decay=0.9):
    fz, _ = f(z)
    baseline = decay * 1.7 + (1 - decay) * fz  # the new f is in it already
    return scored(logits, z, fz - baseline) / len(z)


def score_alone(logits, f, z):
    return scored(logits, z, np.ones(z.shape[:2])) / len(z)


def debiased_state(feed_back, steps):
    """An exponential moving average with its start divided out, after some steps; fed back, it is divided out twice."""
    state, decay, values = 0.0, 0.9, (2.0, 5.0, 3.0)[:steps]
    for t, value in enumerate(values, 1):
        state = decay * state + (1 - decay) * value
        shown = state / (1 - decay**t)
        state = shown if feed_back else state
    weights = (1 - decay) * decay ** np.arange(steps)[::-1]
    return equal("closed form", np.array([shown]), np.array([weights @ values / (1 - decay**steps)]))


def no_tau(logits, f, u, *, tau=0.6):
    y, backward = ops.softmax((logits + perturbed.gumbel(u)) / tau)
    fz, f_backward = f(y)
    return Estimate(fz.mean(0), backward(f_backward(np.full_like(fz, 1 / len(u)))[0]).sum(0), {})


def path_at_fixed_noise(estimate, tau=0.6):
    g = rng()
    logits, u, f = g.standard_normal((B, N, K)), g.random((S, B, N, K)), polynomial(g.standard_normal((2, N, K)), 3)
    numeric = complex_step(lambda a: estimate(a["logits"], f, u, tau=tau).value.sum(), {"logits": logits})["logits"]
    return comparison("dlogits", estimate(logits, f, u, tau=tau).dlogits, numeric, sizes={"tau": tau, "S": S})


def gumbel_law(epsilon):
    """z-tests of the noise's mean and variance, with `epsilon` inside both logarithms."""
    u = rng().random(100_000)
    noise = -np.log(-np.log(u + epsilon) + epsilon) if epsilon else perturbed.gumbel(u)
    draws = np.stack([noise, (noise - np.euler_gamma) ** 2], -1)
    return from_samples(draws, np.array([np.euler_gamma, np.pi**2 / 6]))


def control_variate(logits, f, u, v, *, omega, through_zt=True, conditional=perturbed.conditional_gumbel):
    """REBAR, with the derivative through zt or the law of zt to be got wrong."""
    logq, logq_backward = ops.log_softmax(logits)
    zg = logq + perturbed.gumbel(u)
    z = zg.argmax(-1)
    zt, zt_backward = conditional(logits, z, v)
    (fz, f_backward), share = f(z), 1 / len(u)
    (_, zg_path), (c_zt, zt_path) = relaxed(f, zg, omega), relaxed(f, zt, omega)
    dlogits = categorical.log_prob(logits, z)[1]((fz - c_zt) * share)[0]
    dlogits = dlogits + logq_backward(zg_path(np.full_like(fz, share))[0].sum(0))
    if through_zt:
        dlogits = dlogits - zt_backward(zt_path(np.full_like(fz, share))[0])[0]
    return Estimate(fz.mean(0), dlogits, f_backward(np.full_like(fz, share))[1])


def unnormalised(logits, z, v):
    """The conditional draw with the logits themselves where log q belongs."""
    shift = np.log(np.exp(logits).sum(-1, keepdims=True))
    log_e, winner = np.log(-np.log(v)), one_hot(z, K, v.dtype)
    log_winner = (log_e * winner).sum(-1, keepdims=True)
    _, backward = perturbed.conditional_gumbel(logits, z, v)
    gap = ops.softplus(log_e - ops.log_softmax(logits)[0] - shift - log_winner)[0]
    return -log_winner - gap * (1 - winner), backward


def unconditioned(logits, z, v):
    """Plain perturbed logits where the conditional ones belong."""
    logq, backward = ops.log_softmax(logits)
    return logq + perturbed.gumbel(v), lambda d: (backward(d.sum(0)), None, None)


def rebar_mean(**wrong):
    """The verdict on a REBAR's mean, by quadrature over independent u and v (N = 1, K = 2)."""
    g = rng()
    logits, f = g.standard_normal((1, 1, 2)), polynomial(g.standard_normal((2, 1, 2)), 3)
    nodes, weights, _ = enumeration.gumbel_nodes(logits, 140)
    i, j = (index.ravel() for index in np.indices((len(weights), len(weights))))
    if "conditional" not in wrong:  # v counts given the winner of u: nodes of the same winner, at the same time
        i = j = np.arange(len(weights))
    both, v = (weights, nodes["v"]) if "conditional" not in wrong else (weights[i] * weights[j], nodes["u"][:, j])
    omega = {"eta": np.array(0.8), "log_tau": np.array(-0.2)}
    dlogits = control_variate(enumeration.tiled(logits, len(i)), f, nodes["u"][:, i], v, omega=omega, **wrong).dlogits
    return from_mean(
        enumeration.moments(both, dlogits)[0], TABLE["exact"].estimate(logits, f).dlogits[0], "quadrature", 1e-8
    )


def argmax_of_conditional(conditional):
    """The conditional draw must win where it was told to."""
    g = rng()
    logits, v = 2 + g.standard_normal((B, N, K)), g.random((S, B, N, K))
    (z,) = draw(g, logits, S, ("z",))
    return equal("argmax is the given code", 1.0 * conditional(logits, z, v)[0].argmax(-1), 1.0 * z)


def marginal_of_conditional(conditional):
    """Over its code, a conditional draw has the law of plain perturbed logits: mean log q + Euler's constant."""
    g = rng()
    logits = enumeration.tiled(1 + g.standard_normal((1, 1, K)), 100_000)
    (z,), v = draw(g, logits, 1, ("z",)), g.random((1, 100_000, 1, K))
    perturbed = conditional(logits, z, v)[0][0, :, 0]
    return from_samples(perturbed, ops.log_softmax(logits[:1])[0][0, 0] + np.euler_gamma, worth_seeing=1)


def independent_examples(shared):
    """Codes of two examples with the same logits agree with chance sum q^2, if their noise is their own."""
    logits = np.zeros((2, 20_000, K))
    z = draw(rng(), logits, 1, ("z",))[0][0]  # (2, N)
    agree = (z[0] == (z[0] if shared else z[1])).astype(float)
    return from_samples(agree[:, None], np.array([1 / K]), worth_seeing=0.2)


def relaxed_elsewhere(logits, z, v):
    """The conditional draw from a distribution at another place: its logits scaled."""
    right, backward = perturbed.conditional_gumbel(0.3 * logits, z, v)
    return right, lambda d: tuple(0.3 * g if g is not None else None for g in backward(d))


def clipped_pairs():
    """CARMS with its pair probabilities clipped from below, as the published code does, on skewed logits."""
    g = rng()
    logits, f = 2 * g.standard_normal((1, N, K)), lookup_table(g.standard_normal((K, K)))
    z, weights = enumeration.every_coupled(logits, 3)
    many, q = enumeration.tiled(logits, len(weights)), np.exp(ops.log_softmax(logits)[0])
    drawn = np.exp(ops.log_softmax(many)[0])[np.arange(len(weights))[:, None], np.arange(N), z]
    pair = np.maximum(pair_probability(np.broadcast_to(q, many.shape), z), 1e-2)
    fz = f(z)[0]
    weight = (z[:, None] != z) * drawn[:, None] * drawn / pair * (fz[:, None] - fz)[..., None]
    dlogits = (weight.sum(1)[..., None] * one_hot(z, K, float)).sum(0) / 6
    return from_mean(enumeration.moments(weights, dlogits)[0], TABLE["exact"].estimate(logits, f).dlogits[0])


def half_softmax(x):
    q, _ = ops.softmax(x)
    return q, lambda dy: q * dy


class CachingLayer:
    """A layer that keeps its input on the object: the next forward pass overwrites what backward needs."""

    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dy):
        return dy * (1 - np.tanh(self.x) ** 2)


def two_forwards_then_backward():
    layer, (x, other) = CachingLayer(), rng().standard_normal((2, 3, 4))
    layer.forward(x)
    layer.forward(other)
    numeric = complex_step(lambda a: np.tanh(a["x"]).sum(), {"x": x})["x"]
    return comparison("dx", layer.backward(np.ones_like(x)), numeric)


def normal_sample(mu, log_variance, noise):
    """A sampler that takes e^(log variance) for the deviation; its backward pass belongs to it."""
    deviation = np.exp(log_variance)
    return mu + deviation * noise, lambda dy: (dy, dy * deviation * noise, None)


def moments_of_sampler():
    noise = rng().standard_normal(100_000)
    draws, _ = normal_sample(np.full(100_000, 0.5), np.full(100_000, -1.0), noise)
    return from_samples(np.stack([draws, (draws - 0.5) ** 2], -1), np.array([0.5, np.exp(-1.0)]))


def mean_for_sum():
    x = rng().standard_normal((7, 2))
    return comparison("dx", 2 * x, complex_step(lambda a: (a["x"] ** 2).mean(), {"x": x})["x"], sizes={"n": x.size})


def broadcast_baseline(samples, batch):
    """(S, B) minus a baseline (S,): subtracts along the wrong axis where S = B, and only there runs at all."""
    g = rng()
    logits, table = g.standard_normal((batch, N, K)), g.standard_normal((K, K))
    (z,) = draw(g, logits, samples, ("z",))
    fz = table[z[..., 0], z[..., 1]]
    try:
        signal = fz - fz.mean(1)
    except ValueError as error:
        return from_mean(np.array([np.nan]), np.array([1.0])), str(error)
    return from_mean(signal.sum((0, 1)), (fz - fz.mean(1)[:, None]).sum((0, 1)), tolerance=np.inf), ""


def wrong_row(name, estimate):
    """The first result that fails when a row's function is replaced."""
    failed = [result for result in estimator_results(replace(TABLE[name], estimate=estimate)) if not result.ok]
    return failed[0] if failed else equal("nothing failed", np.zeros(1), np.zeros(1))


def summed_over_batch(logits, f, z):
    right = TABLE["reinforce_loo"].estimate(logits, f, z)
    return right._replace(dq=np.broadcast_to(right.dlogits.sum(0), right.dlogits.shape).copy())


def summed_over_samples(logits, f, z):
    right = TABLE["reinforce_loo"].estimate(logits, f, z)
    return right._replace(dq=right.dlogits * len(z))


def judged(estimate, **options):
    """What the judge says as a verdict would: `ok`, and the words."""
    return Judged(judge(estimate, **options))


@dataclass(frozen=True)
class Judged:
    report: object

    @property
    def ok(self):
        return self.report.ok

    def __str__(self):
        return str(self.report)


def handed_out_again(rng, logits, S, names):
    """`draw`, but the arrays of one name are one array."""
    once = dict(zip(names, draw(rng, logits, S, names), strict=True))
    return tuple(once[name] for name in names)


def never_seen(biased):
    """Peaked logits, 60,000 draws of a right estimator: an entry whose category never came must accuse nobody."""
    logits, f = 3 * np.random.default_rng(13).standard_normal((1, 2, 3)), lookup_table(rng().standard_normal((3, 3)))
    many = enumeration.tiled(logits, 60_000)
    draws = TABLE["reinforce_loo"].estimate(many, f, draw(rng(), many, 4, ("z",))[0]).dlogits
    return from_samples((0.8 if biased else 1) * draws, TABLE["exact"].estimate(logits, f).dlogits[0])


def correlated(lean, shift=0.0):
    """Draws of a right estimator, each leaning on the one before."""
    draws = rng().standard_normal((2000, 3))
    for before, after in itertools.pairwise(draws):
        after += lean * before
    return from_samples(draws + np.array([0.5, -0.8, 0.3]) + shift, np.array([0.5, -0.8, 0.3]), worth_seeing=1)


def rebar_in_float32(logits, f, u, v, factor=1.0):
    def g(z):
        fz, f_backward = f(z)
        return fz.astype(np.float32), lambda dfz: (
            None if z.dtype.kind == "i" else f_backward(dfz)[0].astype(np.float32),
            {},
        )

    omega = {"eta": np.ones((), np.float32), "log_tau": np.asarray(np.log(0.5), np.float32)}
    logits, u, v = (array.astype(np.float32) for array in (logits, u, v))
    return factor * control_variate(logits, g, u, v, omega=omega).dlogits


def short_rebar_in_float32(logits, f, u, v):
    return rebar_in_float32(logits, f, u, v, 0.99)


IN_FLOAT32 = (in_float32, gumbels_in_float32, arm_in_float32, rebar_in_float32)  # and right


def plackett_luce(q):
    """All subsets of q's items, and how often Gumbel-top-k draws each, for its one example: one by one, without replacement."""
    gap = q.unary[0, :, 1] - q.unary[0, :, 0]
    orders = np.array(list(itertools.permutations(range(len(gap)), q.k)))  # (M k!, k)
    w = np.exp(gap)[orders]
    chance = (w / (np.exp(gap).sum() - (np.cumsum(w, 1) - w))).prod(1)
    states, place = np.unique(one_hot(orders, len(gap), int).sum(1), axis=0, return_inverse=True)
    return states, np.bincount(place.ravel(), chance)


def drawn_by_top_k(size):
    """REINFORCE's mean where subsets are drawn by Gumbel-top-k and scored with the law of subsets, by all of them."""
    g = rng()
    q, f = subsets.k_subsets(size * g.standard_normal((1, 6, 2)), 3), lookup_table(g.standard_normal(6 * (2,)))
    states, weights = plackett_luce(q)
    dq = TABLE["reinforce"].estimate(enumeration.tiled(q, len(states)), f, states[None]).dq
    return from_mean(enumeration.moments(weights, dq.unary)[0], TABLE["exact"].estimate(q, f).dq.unary[0])


def all_reversed(logits, f, z):
    """Leave-one-out by `~i` for "all but i": it counts the samples from the other end, and leaves none out."""
    fz, _ = f(z)
    i = np.arange(len(z))
    return scored(logits, z, fz - fz[~i].mean(0)) / len(z)


LOGITS = np.random.default_rng(22).standard_normal((B, N, K))


def linear_alone(x, w, b):
    """A linear layer whose backward pass forgets its weights."""
    y, backward = ops.linear(x, w, b)
    return y, lambda dy: (backward(dy)[0], None, None)


def accumulating(x):
    """An op that adds its gradients up, as objects with a .grad do."""
    total = np.zeros_like(x)

    def backward(dy):
        total[...] += dy * (1 - np.tanh(x) ** 2)
        return total.copy()

    return np.tanh(x), backward


def length_by_conjugate(x):
    """|x|^2 by x times its conjugate: right for real numbers, blind to the complex step."""
    return (x * x.conj()).real, lambda dy: 2 * dy * x


def analytic(op, **inputs):
    """Whether the package would take this op for its own."""
    found = gradient_of(op, **inputs)
    return replace(found, kind="right" if found.kind == "right" else "wrong")


BANK = [
    Bug("KL gradient with flipped sign", "several categorical VAEs", 1,
        lambda: gradient_of(wrong_kl(sign=-1.0), q_logits=LOGITS), "flipped sign"),
    Bug("log q - 1/K for log q - log(1/K)", "a popular Gumbel-Softmax VAE", 4,
        lambda: uniform_kl_of_itself(1 / K), "",
        missed=lambda: gradient_of(wrong_kl(log_p=1 / K), q_logits=LOGITS)),
    Bug("KL counted twice", "a DALL-E re-implementation", 4, lambda: elbo_identity(2), "worst at"),
    Bug("KL missing", "a library's review thread", 4, lambda: elbo_identity(0), "worst at", missed=lambda: elbo_identity(1)),
    Bug("discrete KL beside a relaxed reconstruction, called a bound", "many", 3, relaxed_elbo, "ratio"),
    Bug("discrete log-probability at relaxed samples as a KL", "many", 3, plug_in_is_negative, "flipped sign"),
    Bug("baseline includes its own sample", "common", 2, lambda: enumerated_mean(own_sample), "includes its own sample"),
    Bug("moving average updated before it is used", "a large PyTorch library", 2,
        lambda: enumerated_mean(lambda logits, f, z: ema_updated_first(logits, f, z), 1), "0.9"),
    Bug("debiased moving average fed back into the state", "a deleted module of a large JAX library", 4,
        lambda: debiased_state(True, 2), "relative error", missed=lambda: debiased_state(True, 1)),
    Bug("score not multiplied by f", "an official paper repository's toy", 2,
        lambda: enumerated_mean(score_alone), "zero everywhere"),
    Bug("divided by S instead of S - 1", "common", 2, lambda: enumerated_mean(own_sample, 2), "S - 1"),
    Bug("Gumbel-Softmax backward without 1/tau", "classic", 1, lambda: path_at_fixed_noise(no_tau), "tau = 0.6"),
    Bug("temperature passed as the Gumbel sampler's epsilon", "a library", 5, lambda: gumbel_law(0.5), "BIASED",
        missed=lambda: gumbel_law(0)),
    Bug("derivative through the conditional sample dropped", "the RELAX authors' own PyTorch toy", 3,
        lambda: rebar_mean(through_zt=False), "along the gradient", missed=rebar_mean),
    Bug("conditional Gumbels with unnormalised logits", "common", 5,
        lambda: marginal_of_conditional(unnormalised), "BIASED", missed=lambda: argmax_of_conditional(unnormalised)),
    Bug("z-tilde not conditioned on the code", "official RELAX code", 4, lambda: argmax_of_conditional(unconditioned), "",
        missed=lambda: rebar_mean(conditional=unconditioned)),
    Bug("relaxation at the wrong location", "official RELAX code", 5, lambda: marginal_of_conditional(relaxed_elsewhere),
        "BIASED", missed=lambda: argmax_of_conditional(relaxed_elsewhere)),
    Bug("pair probabilities clipped from below", "the CARMS authors' repository", 2, clipped_pairs, "along the gradient"),
    Bug("one noise matrix shared by the whole batch", "a well-known comparison repository", 5,
        lambda: independent_examples(True), "never vary", missed=lambda: independent_examples(False)),
    Bug("softmax Jacobian without its second term", "classic", 1, lambda: gradient_of(half_softmax, x=LOGITS), ""),
    Bug("sum over the batch", "classic", 0, lambda: wrong_row("reinforce_loo", summed_over_batch), "examples mixed"),
    Bug("missing 1/S", "classic", 2, lambda: wrong_row("reinforce_loo", summed_over_samples), "S = 2"),
    Bug("shared cache overwritten by a second forward pass", "class-based layers", 1, two_forwards_then_backward, "worst at"),
    Bug("sampler with the wrong law and a matching backward", "a famous NumPy library", 5, moments_of_sampler, "BIASED",
        missed=lambda: gradient_of(normal_sample, ("noise",), mu=LOGITS, log_variance=LOGITS / 2, noise=LOGITS[::-1].copy())),
    Bug("loss is a mean where the gradient sums", "a famous ML library, open since 2017", 1, mean_for_sum, "n = 14"),
    Bug("gradients left out", "what a check that zips gradients with inputs lets through", 1,
        lambda: gradient_of(linear_alone, x=LOGITS, w=np.ones((K, 2)), b=np.ones(2)), "dw is None"),
    Bug("gradients that add up", "class-based layers", 1, lambda: gradient_of(accumulating, x=LOGITS), "second call"),
    Bug("a conjugate in the value", "a vector product that conjugates its first argument", 1,
        lambda: analytic(length_by_conjugate, x=LOGITS), "imaginary part",
        missed=lambda: gradient_of(length_by_conjugate, x=LOGITS)),
    *(Bug(estimate.__name__.replace("_", " "), "estimators that were shown to the judge", 2,
          lambda estimate=estimate: judged(estimate, S=2), words) for estimate, words in PECULIAR.items()),
    Bug("one per cent short, in float32", "JAX's default", 3, lambda: judged(short_rebar_in_float32), "a factor 0.99",
        missed=lambda: judged(rebar_in_float32)),
    Bug("the same noise under two names", "a common slip with dictionaries", 5,
        lambda: independent_noise(handed_out_again), "hold the same numbers", missed=lambda: independent_noise(draw)),
    Bug("a complex mean", "a complex step left in", 2,
        lambda: from_mean(np.array([1 + 5j, 2]), np.array([1.0, 2])), "expected real numbers"),
    Bug("complex draws", "the same", 5, lambda: from_samples(np.ones((100, 1)) * 1j, np.ones(1)), "expected real numbers"),
    Bug("a bias at peaked logits", "trained encoders", 5, lambda: never_seen(True), "BIASED", missed=lambda: never_seen(False)),
    Bug("draws of one Markov chain", "MCMC", 5, lambda: correlated(0.9), "INCONCLUSIVE (draws depend on one another",
        missed=lambda: correlated(0)),
    Bug("Gumbel-top-k subsets scored with the law of k-subsets", "two published samplers of subsets", 2,
        lambda: drawn_by_top_k(1), "along the gradient", missed=lambda: drawn_by_top_k(0)),
    Bug("`~i` for all samples but i", "a published sampler of subsets", 2, lambda: enumerated_mean(all_reversed),
        "includes its own sample"),
    Bug("(S, B) minus (S,)", "NumPy", 0, lambda: broadcast_baseline(4, 5)[0], "not finite",
        missed=lambda: broadcast_baseline(4, 4)[0]),
    *bugs_bounds.BANK, *bugs_quantised.BANK,
]  # fmt: skip
