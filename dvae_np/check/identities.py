"""What must hold exactly whatever the numbers are (level 4), and the laws of the samplers (levels 4 and 5)."""

import numpy as np

from dvae_np import categorical, ops, perturbed, vae
from dvae_np.check import differences, enumeration, verdicts
from dvae_np.check.enumeration import tiled
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.networks import encoder
from dvae_np.noise import draw

SEED = 11
IDENTITY = 1e-13


def identity_results():
    """Level 4: KL, codes and one-hots, the score, and the negative ELBO against log p(x) and the posterior gap."""
    rng = np.random.default_rng(SEED)
    B, D, N, K, S = 5, 11, 2, 3, 4
    logits = rng.standard_normal((B, N, K))
    x = (rng.random((B, D)) < 0.4).astype(float)
    f = vae.reconstruction(vae.parameters(rng, D, N, K, (7,), np.float64)["theta"], x)
    kl, _ = categorical.kl(logits)
    z, states = rng.integers(0, K, (S, B, N)), categorical.joint_states(N, K)[:, None]  # (S, B, N), (M, 1, N)
    every = np.tile(states, (1, B, 1))  # (M, B, N)

    yield equal("KL(q || q) = 0", categorical.kl(logits, logits)[0], np.zeros(B), scale=1)
    yield equal("KL to the uniform prior = N log K - entropy", kl, N * np.log(K) - categorical.entropy(logits)[0])
    yield equal("... = KL to equal prior logits", kl, categorical.kl(logits, np.full((1, N, K), 3.0))[0])
    yield equal("codes = float one-hots in the decoder", f(z)[0], f(np.eye(K)[z])[0])
    yield equal("states shared by the batch = the same per example", f(states)[0], f(every)[0])
    prior = np.zeros((1, N, K))
    yield equal(
        "-log p(x, z) without prior logits = with equal ones",
        vae.joint(f, None, N, K)(z)[0],
        vae.joint(f, prior, N, K)(z)[0],
    )

    logq, log_prob_backward = categorical.log_prob(logits, states)  # (M, B)
    score = categorical.score(logits, every)  # (M, B, N, K)
    mean_score = (np.exp(logq)[..., None, None] * score).sum(0)
    yield equal("the score is zero on average", mean_score, np.zeros((B, N, K)), scale=1)
    weights = rng.standard_normal(logq.shape)
    yield equal("the score is log_prob's gradient", log_prob_backward(weights)[0],
                (weights[..., None, None] * score).sum(0))  # fmt: skip

    log_joint = -f(states)[0] - N * np.log(K)  # log p(x, z)
    log_evidence = np.log(np.exp(log_joint).sum(0))
    gap = (np.exp(logq) * (logq - (log_joint - log_evidence))).sum(0)  # KL(q || posterior)
    negative_elbo = TABLE["exact"].estimate(logits, f).value + kl
    yield equal("negative ELBO = -log p(x) + KL(q || posterior)", negative_elbo, gap - log_evidence)

    yield from sampled_objective(rng)


def sampled_objective(rng):
    """The whole objective by leave-one-out, averaged over every outcome of its codes, has the gradients of the exact one."""
    B, D, K = 2, 5, 3
    x = (rng.random((B, D)) < 0.4).astype(float)
    params = vae.parameters(rng, D, 1, K, (4,), np.float64)
    exact = vae.negative_elbo(params, x, TABLE["exact"], lambda _: (), beta=0.7)
    logits, _ = encoder(params["psi"], x)
    q = ops.softmax(logits)[0][:, 0]  # (B, K)
    mean = {part: dict.fromkeys(params[part], 0) for part in params}
    for codes in categorical.joint_states(2 * B, K):  # two samples of each example
        z = codes.reshape(2, B, 1)
        probability = q[np.arange(B), z[..., 0]].prod()
        loss = vae.negative_elbo(params, x, TABLE["reinforce_loo"], lambda _, z=z: (z,), beta=0.7)
        for part, gradients in loss.gradients.items():
            for name, gradient in gradients.items():
                mean[part][name] = mean[part][name] + probability * gradient
    for part, arrays in params.items():
        left, right = (
            np.concatenate([tree[part][name].ravel() for name in arrays]) for tree in (mean, exact.gradients)
        )
        yield equal(
            f"mean over codes: the exact gradient, all of {part}", left, right, subject="objective (reinforce_loo)"
        )


def sampler_results():
    """The samplers draw from q: exactly on a grid of uniforms, and within the noise of 100,000 draws."""
    rng = np.random.default_rng(SEED)
    K, cells, R = 4, 4096, 100_000
    logits = 1.5 * rng.standard_normal((1, 3, K))
    q = ops.softmax(logits)[0][0]
    grid = np.tile(((np.arange(cells) + 0.5) / cells)[:, None, None], (1, 1, 3))  # the middles of equal cells
    shares = (categorical.codes(logits, grid)[:, 0, :, None] == np.arange(K)).mean(0)
    error = float(abs(shares - q).max())
    yield Result(
        4, "sampler codes", f"law on {cells} even uniforms", f"error {error:.0e} < 1/{cells}", error < 1 / cells
    )

    yield independent_noise(draw)
    many = tiled(logits, R)
    u = draw(rng, many, 1, ("u",))[0]
    noise = perturbed.gumbel(u)[0, :, 0, 0]
    mild = 0.5 * logits[:, :1, :3]  # one latent of three categories, none of them rare
    for name, outcomes in (("distinct", enumeration.every_sequence), ("coupled", enumeration.every_coupled)):
        every, weights = outcomes(mild, 2)  # (2, T, 1)
        drawn = draw(rng, tiled(mild, R), 2, (name,))[0][..., 0]  # (2, R)
        hits = (drawn[:, :, None] == every[..., 0][:, None]).all(0)  # (R, T): which outcome each draw is
        verdict = verdicts.from_samples(1.0 * hits[:, weights > 0], weights[weights > 0])
        check = f"z-tests of the pairs' probabilities, false alarms {verdicts.FALSE_ALARM:g}"
        yield Result(5, f"sampler {name}", check, str(verdict), verdict.ok, verdict.error)
    for name, draws, law in (
        ("sampler codes", np.eye(K)[draw(rng, many, 1, ("z",))[0][0]], q),
        ("sampler gumbel_max", np.eye(K)[perturbed.gumbel_max(many, u)[0]], q),
        (
            "gumbel noise",
            np.stack([noise, (noise - np.euler_gamma) ** 2], -1),
            np.array([np.euler_gamma, np.pi**2 / 6]),
        ),
    ):
        verdict = verdicts.from_samples(draws, law)
        what = "mean and variance" if name == "gumbel noise" else "probabilities"
        check = f"z-tests of the {what}, false alarms {verdicts.FALSE_ALARM:g}"
        yield Result(5, name, check, str(verdict), verdict.ok, verdict.error)


def independent_noise(draw):
    """No number of the noise depends on another: of independent uniforms, (a - b)^2 is 1/6 on average."""
    arrays = draw(np.random.default_rng(SEED), np.zeros((4000, 2, 2)), 2, ("u", "v", "v", "e"))
    numbers = np.concatenate(
        [array.reshape(len(array), 4000, -1).transpose(1, 0, 2).reshape(4000, -1) for array in arrays], -1
    )
    one, other = np.triu_indices(numbers.shape[1], 1)
    difference = numbers[:, one] - numbers[:, other]
    verdict = verdicts.from_samples(difference**2, np.full(len(one), 1 / 6))
    why = "" if difference.any(0).all() else "two of the arrays hold the same numbers"
    check = f"z-tests of {len(one)} pairs of uniforms"
    return Result(5, "noise", check, f"{verdict.kind} ({verdict.detail})", verdict.ok, verdict.error, why)


def equal(identity, left, right, scale=None, subject="identity"):
    """One identity as a result; `scale` is the size of what cancels, where the right side is zero."""
    found = differences.comparison(identity, left, right, IDENTITY)
    error = float(abs(left - right).max() / scale) if scale else found.error
    return Result(4, subject, identity, f"error {error:.0e}", error <= IDENTITY, error, found.explanation)


def estimate(name, *arguments, **hyper):
    """The gradient in the logits by the estimator of that name."""
    return TABLE[name].estimate(*arguments, **hyper).dlogits
