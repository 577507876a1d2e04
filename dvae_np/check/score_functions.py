"""What score-function estimators must have to do with each other (level 4): on codes, sets without replacement, and pairs."""

import numpy as np

from dvae_np import categorical, vae
from dvae_np.check import differences, enumeration, toys
from dvae_np.check.identities import equal, estimate
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.noise import draw
from dvae_np.ops import softmax


def among_codes(rng):
    """REINFORCE's family, double control variates, VIMCO, local expectation."""
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
    slope = toys.polynomial(rng.standard_normal((2, N, K)), 3)
    still = {"alpha": np.zeros(()), "beta": np.zeros(())}
    for name in ("double_cv", "rodeo"):
        yield equal("with weights of zero it is leave-one-out", estimate(name, logits, slope, z, omega=still),
                    estimate("reinforce_loo", logits, slope, z), subject=name)  # fmt: skip
    yield by_stein(rng)
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


def by_stein(rng, alpha=0.4, beta=0.7):
    """RODEO, latent by latent and sample by sample, by the operator as it is defined [Eq. 13.7, 13.8]."""
    N, K, S = 3, 4, 3
    logits, f = rng.standard_normal((1, N, K)), toys.polynomial(rng.standard_normal((2, N, K)), 3)
    (z,), q = draw(rng, logits, S, ("z",)), softmax(logits)[0][0]
    hot = np.eye(K)[z[:, 0]]  # (S, N, K)
    fz, f_backward = f(hot[:, None])
    slopes = f_backward(np.ones_like(fz))[0][:, 0]

    def stein(h, y):
        moved = [(q[n, k], [*y[:n], np.eye(K)[k], *y[n + 1 :]]) for n in range(N) for k in range(K)]
        return sum(chance * h(np.array(other)) for chance, other in moved) / N - h(y)

    def surrogate(s):
        others = [t for t in range(S) if t != s]
        return lambda y: np.mean([(slopes[t] * (y - hot[t])).sum() for t in others])

    corrected = fz[:, 0] + [alpha * stein(surrogate(t), hot[t]) for t in range(S)]
    by_hand = 0.0
    for s, h in enumerate(map(surrogate, range(S))):
        signal = fz[s, 0] - np.delete(corrected, s).mean()
        by_hand = by_hand + (signal * (hot[s] - q) + beta * stein(lambda y, h=h: h(y) * (y - q), hot[s])) / S
    omega = {"alpha": np.array(alpha), "beta": np.array(beta)}
    return equal(
        "the Stein operator, by hand", estimate("rodeo", logits, f, z, omega=omega)[0], by_hand, subject="rodeo"
    )


def among_weights(rng):
    """What is made of a multi-sample bound's weights: OVIS and wake-phi, beside arithmetic VIMCO, sample by sample."""
    B, N, K, S = 5, 3, 4, 3
    logits, f = rng.standard_normal((B, N, K)), toys.lookup_table(2 * rng.standard_normal((B, *N * (K,))))
    (z,) = draw(rng, logits, S, ("z",))
    scores, w = categorical.score(logits, z), np.exp(-f(z)[0] - categorical.log_prob(logits, z)[0])
    away = [(1 / S - w[s] / w.sum(0))[:, None, None] * scores[s] for s in range(S)]
    yield equal("samples weighed by their shares, less 1/S", estimate("wake_phi", logits, f, z), sum(away),
                subject="wake_phi")  # fmt: skip
    arithmetic, plain = estimate("vimco", logits, f, z, mean="arithmetic"), estimate("ovis", logits, f, z)
    yield equal("gamma = 0: arithmetic VIMCO, less log(1 - 1/S) times the scores", plain,
                arithmetic + np.log(1 - 1 / S) * scores.sum(0), subject="ovis")  # fmt: skip
    constant = (1 / S + np.log(1 - 1 / S)) * scores.sum(0)
    for gamma in (0.3, 1.0):
        yield equal(f"gamma = {gamma}: so much of wake-phi is added, and a constant times the scores",
                    estimate("ovis", logits, f, z, gamma=gamma), plain + gamma * (sum(away) - constant),
                    subject="ovis")  # fmt: skip
    yield wake_limit(rng)


def wake_limit(rng, S=128):
    """Wake-phi's mean is q less the posterior's marginals, and a bias E_q[(w / p(x))^2 (s - E_p s)] / S to first order, with
    the scores s."""
    logits, f, states = rng.standard_normal((1, 1, 3)), toys.lookup_table(rng.standard_normal(3)), np.arange(3)
    z, weights = enumeration.every_count(logits, S)
    mean, _ = enumeration.moments(weights, estimate("wake_phi", enumeration.tiled(logits, len(weights)), f, z))
    q, hits = softmax(logits)[0][0, 0], np.eye(3)
    joint = np.exp(-f(states[:, None, None])[0][:, 0])
    posterior = joint / joint.sum()
    bias, first = S * (mean[0] - (q - posterior)), (posterior**2 / q) @ (hits - posterior)
    error = differences.relative_error(bias, first)
    verdict = f"at S = {S} the bias is that of first order, 1/S, to {error:.1%}"
    return Result(4, "wake_phi", "its limit is q less the posterior", verdict, bool(error < 0.1), error)


def least_variance(rng):
    """Of all constants, E[f |score|^2] / E[|score|^2] gives REINFORCE the least exact variance [Eq. 6.2]."""
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
