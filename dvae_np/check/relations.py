"""What estimators must have to do with each other, and the degrees of f for which biased ones are exact (level 4)."""

import numpy as np

from dvae_np import categorical, concrete, perturbed, vae
from dvae_np.check import differences, enumeration, toys
from dvae_np.check.identities import equal
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.noise import draw
from dvae_np.ops import log_softmax, softmax

SEED = 17


def relation_results():
    """Yield every relation as a `Result`."""
    rng = np.random.default_rng(SEED)
    yield from among_codes(rng)
    yield from among_sets(rng)
    yield from among_binary(rng)
    yield from among_gumbels(rng)
    for spread in (1, 6):  # at 6, probabilities go down to 1e-6
        yield from surrogates(rng, spread)
    yield from exact_up_to_degree(rng)
    yield from three_kls(rng)


def estimate(name, *arguments, **hyper):
    """The gradient in the logits by the estimator of that name."""
    return TABLE[name].estimate(*arguments, **hyper).dlogits


def among_codes(rng):
    """REINFORCE's family, VIMCO, local expectation."""
    B, N, K, S = 5, 2, 3, 4
    logits, table = rng.standard_normal((B, N, K)), rng.standard_normal((B, K, K))
    f = toys.lookup_table(table)
    (z,) = draw(rng, logits, S, ("z",))
    loo = estimate("reinforce_loo", logits, f, z)
    fz = f(z)[0]
    others = (fz.sum(0) - fz) / (S - 1)
    yield equal("leave-one-out = REINFORCE, baseline the others' mean", loo,
                estimate("reinforce", logits, f, z, baseline=others), subject="reinforce_loo")  # fmt: skip
    yield equal("two samples: the optimal baseline is leave-one-out", estimate("reinforce_optimal", logits, f, z[:2]),
                estimate("reinforce_loo", logits, f, z[:2]), subject="reinforce_optimal")  # fmt: skip
    omega = TABLE["nvil"].omega(rng, N, K)
    moving = {"centre": np.array(0.3), "variance": np.array(1.44)}
    still = omega | moving | {"w1": 0 * omega["w1"], "b1": 0 * omega["b1"]}
    plain = estimate("reinforce", logits, f, z, baseline=0.3)
    yield equal("without its network = REINFORCE, baseline the centre",
                estimate("nvil", logits, f, z, omega=still), plain, subject="nvil")  # fmt: skip
    yield equal("normalised: the same direction, divided by the deviation 1.2",
                estimate("nvil", logits, f, z, omega=still, normalise=True), plain / 1.2, subject="nvil")  # fmt: skip
    small = still | {"variance": np.array(0.25)}
    yield equal("a deviation below 1 divides nothing", estimate("nvil", logits, f, z, omega=small, normalise=True), plain,
                subject="nvil")  # fmt: skip
    weight = (categorical.score(logits, z) ** 2).sum((-1, -2))
    by_hand = np.stack([np.delete(weight * fz, s, 0).sum(0) / np.delete(weight, s, 0).sum(0) for s in range(S)])
    yield equal("the closed form over the others, by hand", estimate("reinforce_optimal", logits, f, z),
                estimate("reinforce", logits, f, z, baseline=by_hand), subject="reinforce_optimal")  # fmt: skip
    yield from least_variance(rng)
    yield from vimco_with_prior(rng)
    alone = rng.standard_normal((B, 1, K))
    one = toys.lookup_table(rng.standard_normal((B, K)))
    yield equal("one latent: exact, whatever was drawn", estimate("local_expectation", alone, one, z[..., :1]),
                estimate("exact", alone, one), subject="local_expectation")  # fmt: skip

    logw = -fz - N * np.log(K) - categorical.log_prob(logits, z)[0]
    share = np.exp(logw) / np.exp(logw).sum(0)
    rest = np.stack([np.log(np.exp(np.delete(logw, s, 0)).mean(0)) for s in range(S)])
    signal = share - (np.log(np.exp(logw).mean(0)) - rest)
    by_hand = (signal[..., None, None] * categorical.score(logits, z)).sum(0)
    yield equal("arithmetic mean: the baseline is the bound of the others",
                estimate("vimco", logits, f, z, mean="arithmetic"), by_hand, subject="vimco")  # fmt: skip
    whole, baselines = np.log(np.exp(logw).mean(0)), []
    for s in range(S):
        replaced = logw.copy()
        replaced[s] = np.delete(logw, s, 0).mean(0)
        baselines.append(np.log(np.exp(replaced).mean(0)))
    by_hand = ((share - whole + baselines)[..., None, None] * categorical.score(logits, z)).sum(0)
    yield equal("geometric mean: its own weight replaced by the others'", estimate("vimco", logits, f, z), by_hand,
                subject="vimco")  # fmt: skip


def least_variance(rng):
    """Of all constants, E[f |score|^2] / E[|score|^2] gives REINFORCE the least exact variance [Eq. 6.4]."""
    logits, f = rng.standard_normal((1, 2, 3)), toys.lookup_table(rng.standard_normal((3, 3)))
    z, weights = enumeration.every_code(logits, 1)
    many = enumeration.tiled(logits, len(weights))
    squares = (categorical.score(many, z)[0] ** 2).sum((-1, -2))
    best = (weights * squares) @ f(z)[0][0] / (weights @ squares)
    variances = [enumeration.moments(weights, estimate("reinforce", many, f, z, baseline=best + step))[1].sum()
                 for step in (-0.1, 0.0, 0.1)]  # fmt: skip
    ok = variances[1] < min(variances[0], variances[2])
    verdict = f"variance {variances[1]:.5f}, at b* ± 0.1 {variances[0]:.5f} and {variances[2]:.5f}"
    yield Result(4, "reinforce_optimal", "the closed form has the least variance", verdict, bool(ok))


def vimco_with_prior(rng):
    """VIMCO's mean over all samples, with a prior that is not uniform."""
    logits, prior = rng.standard_normal((2, 1, 2, 3))
    f = toys.lookup_table(rng.standard_normal((3, 3)))
    z, weights = enumeration.every_code(logits, 2)
    many = enumeration.tiled(logits, len(weights))
    mean, _ = enumeration.moments(weights, estimate("vimco", many, vae.joint(f, prior, 2, 3), z))

    def bound(arrays):
        return enumeration.multi_sample_bound(arrays["logits"], vae.joint(f, arrays["prior"], 2, 3), 2).sum()

    target = differences.complex_step(bound, {"logits": logits, "prior": prior})
    yield equal("mean over all samples, with a prior", mean, target["logits"][0], subject="vimco")
    dprior = sum(
        weight * TABLE["vimco"].estimate(logits, vae.joint(f, prior, 2, 3), z[:, [t]]).dtheta["prior_logits"]
        for t, weight in enumerate(weights)
    )
    yield equal("... and of the prior's gradient", dprior, target["prior"], subject="vimco")


def among_sets(rng):
    """Without replacement: all states drawn leave nothing to chance; and what each weight averages to."""
    B, N, K = 4, 2, 2
    logits, f = rng.standard_normal((B, N, K)), toys.lookup_table(rng.standard_normal((B, K, K)))
    everything = draw(rng, logits, K**N, ("distinct",))[0]
    exact = estimate("exact", logits, f)
    for name in ("top_k", "sum_and_sample", "unordered_set"):
        yield equal("all K^N states: exact, no variance", estimate(name, logits, f, everything), exact, subject=name)
    k = 2
    own = TABLE["top_k"].estimate(logits, f, draw(rng, logits, k + 1, ("distinct",))[0]).dtheta["table"].reshape(B, -1)
    q = np.exp(categorical.log_prob(logits, categorical.joint_states(N, K)[:, None])[0]).T  # (B, M)
    order = np.argsort(-q, axis=1)
    yield equal("the k most probable states count with their q", np.take_along_axis(own, order[:, :k], 1),
                np.take_along_axis(q, order[:, :k], 1), subject="top_k")  # fmt: skip
    rest = np.sort(np.take_along_axis(own, order[:, k:], 1), 1)[:, -1]
    yield equal(
        "one other state counts with all the rest",
        rest,
        1 - np.take_along_axis(q, order[:, :k], 1).sum(1),
        subject="top_k",
    )
    constant = toys.lookup_table(np.full((K, K), 2.5))
    zero = estimate("unordered_set", logits, constant, everything[:3])
    yield equal("constant f: its baseline leaves nothing", zero, 0 * zero, scale=1, subject="unordered_set")
    shuffled = everything[rng.permutation(K**N)][:3]
    yield equal("the order of the set does not matter", estimate("unordered_set", logits, f, shuffled),
                estimate("unordered_set", logits, f, shuffled[::-1].copy()), subject="unordered_set")  # fmt: skip


def among_binary(rng):
    """Antithetic pairs."""
    N = 3
    logits, f = rng.standard_normal((1, N, 2)), toys.lookup_table(rng.standard_normal((2,) * N))
    pairs, weights = enumeration.every_coupled(logits, 2)
    possible = weights > 1e-9
    pairs, many = pairs[:, possible], enumeration.tiled(logits, possible.sum())
    disarm = estimate("disarm", many, f, pairs)
    yield equal("K=2, S=2: CARMS is DisARM", estimate("carms", many, f, pairs), disarm, subject="disarm")
    e, mass = enumeration.threshold_nodes(logits)
    p = softmax(logits)[0][0, :, 1]
    number = (np.stack([e[0] > 1 - p, e[0] < p]).astype(int) @ (2 ** np.arange(N))).T @ [1, 2**N]
    arm = estimate("arm", enumeration.tiled(logits, len(mass)), f, e)
    means = [np.tensordot(mass[number == k], arm[number == k], 1) / mass[number == k].sum() for k in np.unique(number)]
    mine = {k: disarm[i] for i, k in enumerate((pairs @ (2 ** np.arange(N))).T @ [1, 2**N])}
    yield equal("DisARM is ARM averaged over the uniforms of a pair", np.stack(means),
                np.stack([mine[k] for k in np.unique(number)]), subject="disarm")  # fmt: skip
    logits = rng.standard_normal((4, N, 2))
    (z,) = draw(rng, logits, 2, ("z",))
    f = toys.polynomial(rng.standard_normal((2, N, 2)), 3)
    yield equal("alpha = 0 is leave-one-out", estimate("double_cv", logits, f, z, omega={"alpha": np.zeros(())}),
                estimate("reinforce_loo", logits, f, z), subject="double_cv")  # fmt: skip


def among_gumbels(rng):
    """Relaxations and control variates, at the same noise."""
    B, N, K, S = 5, 3, 4, 2
    logits, w = rng.standard_normal((B, N, K)), rng.standard_normal((2, N, K))
    f, affine = toys.polynomial(w, 3), toys.polynomial(w, 1)
    u, v = draw(rng, logits, S, ("u", "v"))
    z = perturbed.gumbel_max(logits, u)
    yield equal("eta = 0 is REINFORCE",
                estimate("rebar", logits, f, u, v, omega={"eta": np.zeros(()), "log_tau": np.zeros(())}),
                estimate("reinforce", logits, f, z), subject="rebar")  # fmt: skip
    omega = TABLE["relax"].omega(rng, N, K)
    yield equal("with its network at zero it is REBAR", estimate("relax", logits, f, u, v, omega=omega),
                estimate("rebar", logits, f, u, v, omega={name: omega[name] for name in ("eta", "log_tau")}),
                subject="relax")  # fmt: skip
    yield equal("affine f: straight-through is Gumbel-Softmax",
                estimate("straight_through_gumbel", logits, affine, u, tau=0.6),
                estimate("gumbel_softmax", logits, affine, u, tau=0.6), subject="straight_through_gumbel")  # fmt: skip
    path = differences.complex_step(
        lambda a: TABLE["gumbel_softmax"].estimate(a["logits"], f, u, tau=0.6).value.sum(), {"logits": logits}
    )["logits"]
    yield equal("the complex step of its own value, u fixed", estimate("gumbel_softmax", logits, f, u, tau=0.6), path,
                subject="gumbel_softmax")  # fmt: skip
    yield equal("affine f: exact, no variance", estimate("muprop", logits, affine, z),
                estimate("exact", logits, affine), subject="muprop")  # fmt: skip
    yield equal("equal temperatures: straight-through",
                estimate("decoupled_straight_through", logits, f, u, tau_forward=1.0, tau_backward=1.7),
                estimate("straight_through", logits, f, z, tau=1.7), subject="decoupled_straight_through")  # fmt: skip

    cold = perturbed.gumbel_max(logits / 0.7, u)
    yield equal("codes drawn at the forward temperature",
                estimate("decoupled_straight_through", logits, f, u, tau_forward=0.7, tau_backward=1.7),
                estimate("straight_through", logits, f, cold, tau=1.7), subject="decoupled_straight_through")  # fmt: skip

    zt, _ = perturbed.conditional_gumbel(logits, z, v)
    same = float((zt.argmax(-1) == z).mean())
    yield Result(4, "conditional_gumbel", "argmax is the given code", f"{same:.0%} of draws", same == 1)
    one = rng.standard_normal((1, 1, 3))
    outcomes, weights, _ = enumeration.gumbel_nodes(one, 200)
    many, g = enumeration.tiled(one, len(weights)), toys.polynomial(rng.standard_normal((2, 1, 3)), 3)
    rao = estimate("gumbel_rao", many, g, outcomes["z"], outcomes["v"], tau=0.7)
    hard = estimate("straight_through_gumbel", many, g, outcomes["u"], tau=0.7)
    yield equal("the mean is straight-through Gumbel-Softmax's", enumeration.moments(weights, rao)[0],
                enumeration.moments(weights, hard)[0], subject="gumbel_rao")  # fmt: skip
    zt, _ = perturbed.conditional_gumbel(many, outcomes["z"], outcomes["v"])
    t = np.linspace(-2, 3, 7)
    q = softmax(one)[0][0, 0]
    noise = np.log(-np.log(np.clip(outcomes["u"], 1e-300, 1 - 2**-53)))[0, :, 0]  # of u: a law known to be right
    yield from _marginal(weights, zt[0, :, 0] - np.log(q), -noise, t)


def _marginal(weights, conditional, direct, t):
    """E[1 / (1 + e^(t - G_k + G_j))] of the conditional draws, averaged over the winner, against that of plain noise."""
    left = [
        weights @ (1 / (1 + np.exp(a - (conditional[:, k] - conditional[:, j]))))
        for a in t
        for k, j in ((0, 1), (1, 2))
    ]
    right = [weights @ (1 / (1 + np.exp(a - (direct[:, k] - direct[:, j])))) for a in t for k, j in ((0, 1), (1, 2))]
    error = float(np.abs(np.array(left) - right).max())
    check = "over its code, the law of plain noise (7 points, differences)"
    yield Result(4, "conditional_gumbel", check, f"error {error:.0e}", error < 1e-9, error)


def surrogates(rng, spread):
    """Each straight-through estimator is the gradient of a surrogate in which f's slope at the hard code is a constant."""
    B, N, K, S = 5, 3, 4, 2
    logits, f = spread * rng.standard_normal((B, N, K)), toys.polynomial(rng.standard_normal((2, N, K)), 3)
    u, v, w = draw(rng, logits, S, ("u", "v", "v"))
    z = perturbed.gumbel_max(logits, u)
    hard = np.eye(K)[z]
    slope = f(hard)[1](np.full((S, B), 1 / S))[0]  # f' at the codes, (S, B, N, K)
    shifts = (
        np.where(hard > 0, logits.max(-1, keepdims=True), np.minimum(logits, logits.max(-1, keepdims=True) - 0.4))
        - logits
    )
    middle = np.log((softmax(logits / 1.3)[0] + hard) / 2) - logits
    given = [perturbed.conditional_gumbel(logits, z, noise)[0] - logits for noise in (v, w)]
    cases = {
        "straight_through_gumbel": ((u,), {"tau": 0.6}, lambda a: softmax((a + perturbed.gumbel(u)) / 0.6)[0]),
        "straight_through": ((z,), {"tau": 1.3}, lambda a: softmax(a / 1.3)[0]),
        "gapped_straight_through": ((z,), {"tau": 0.6, "gap": 0.4}, lambda a: softmax((a + shifts) / 0.6)[0]),
        "gumbel_rao": ((z, v, w), {"tau": 0.6}, lambda a: sum(softmax((a + shift) / 0.6)[0] / 2 for shift in given)),
        "reinmax": ((z,), {"tau": 1.3}, lambda a: 2 * softmax(a + middle)[0] - softmax(a)[0] / 2),
    }
    for name, (noise, hyper, soft) in cases.items():

        def surrogate(arrays, soft=soft):
            return (slope * soft(arrays["logits"])).sum()

        numeric = differences.complex_step(surrogate, {"logits": logits})["logits"]
        found = estimate(name, logits, f, *noise, **hyper)
        yield equal(f"the surrogate's complex step, f cubic, logits times {spread}", found, numeric, subject=name)


def exact_up_to_degree(rng):
    """Means over every code: straight-through is exact for affine f, ReinMax for quadratic f; beyond, both are not."""
    N, K = 2, 3
    logits, w = rng.standard_normal((1, N, K)), rng.standard_normal((2, N, K))
    z, weights = enumeration.every_code(logits, 1)
    many = enumeration.tiled(logits, len(weights))
    for name, highest in (("straight_through", 1), ("reinmax", 2)):
        for degree in range(1, 5):
            f = toys.polynomial(w, degree)
            mean, _ = enumeration.moments(weights, estimate(name, many, f, z))
            target = estimate("exact", logits, f)[0]
            error = float(np.linalg.norm(mean - target) / np.linalg.norm(target))
            ok = error < 1e-12 if degree <= highest else error > 1e-3
            verdict = f"{'exact' if degree <= highest else 'biased'}, {error:.1e}"
            yield Result(4, name, f"f of degree {degree}: relative bias", verdict, ok, error)


def three_kls(rng):
    """The three KLs of Gumbel-Softmax VAEs, by quadrature: which is a bound, and which is no KL at all."""
    logits = rng.standard_normal((1, 1, 3))
    discrete = float(categorical.kl(logits)[0][0])
    outcomes, weights, _ = enumeration.gumbel_nodes(logits, 240)
    many = enumeration.tiled(logits, len(weights))
    relaxed = [float(weights @ concrete.relaxed_kl(many, outcomes["u"], tau)[0][0]) for tau in (0.5, 1.0, 2.0)]
    spread = max(relaxed) - min(relaxed)
    yield Result(
        4, "relaxed_kl", "does not depend on a shared temperature", f"spread {spread:.0e}", spread < 1e-8, spread
    )
    verdict = f"{relaxed[0]:.4f} > {discrete:.4f}"
    yield Result(4, "relaxed_kl", "is above the discrete KL", verdict, relaxed[0] > discrete)
    logits = 0.3 * logits
    many, outcomes, weights = _nodes(logits)
    plug_in = float(weights @ concrete.plug_in_kl(many, outcomes["u"], 2.0)[0][0])
    verdict = f"{plug_in:.4f} < 0 at tau = 2, where the KL is {float(categorical.kl(logits)[0][0]):.4f}"
    yield Result(4, "plug_in_kl", "is not a KL: it can be negative", verdict, plug_in < 0)
    s = np.linspace(-45, 45, 361)
    a, b = (grid.ravel() for grid in np.meshgrid(s, s))
    xi = log_softmax(np.stack([a, b, 0 * a], -1))[0][
        :, None, None
    ]  # y on the simplex by its log-ratios, whose Jacobian is
    density = np.exp(concrete.concrete_log_prob(logits, xi, 0.7)[0])  # the product of y that log y already contains
    error = abs(float(density.sum() * (s[1] - s[0]) ** 2) - 1)
    yield Result(
        4, "concrete_log_prob", "the density integrates to 1, tau = 0.7", f"error {error:.0e}", error < 1e-9, error
    )
    prior = rng.standard_normal((1, 1, 3))
    ratio = np.exp(-concrete.relaxed_kl(many, outcomes["u"], 0.7, prior)[0][0])
    error = abs(float(weights @ ratio) - 1)
    yield Result(4, "concrete_log_prob", "E_q[p / q] = 1, tau = 0.7", f"error {error:.0e}", error < 1e-6, error)


def _nodes(logits):
    outcomes, weights, _ = enumeration.gumbel_nodes(logits, 240)
    return enumeration.tiled(logits, len(weights)), outcomes, weights
