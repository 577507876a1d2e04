"""What relaxations and straight-through estimators must have to do with each other, and with f's degree (level 4)."""

import numpy as np

from dvae_np import perturbed
from dvae_np.check import differences, enumeration, toys
from dvae_np.check.identities import equal, estimate
from dvae_np.check.report import Result
from dvae_np.estimators import TABLE
from dvae_np.noise import draw
from dvae_np.ops import softmax


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
    yield equal("on independent latents Gumbel-Softmax", estimate("stochastic_softmax", logits, f, u, tau=0.6), path,
                subject="stochastic_softmax")  # fmt: skip
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
