"""PyTorch's autodiff on the same noise, and its own gumbel_softmax before our judge. Skipped where torch is absent."""

import numpy as np
import pytest

from dvae_np import categorical, gumbel_softmax, reinmax, straight_through, straight_through_gumbel, vae
from dvae_np.check import judge_samples, polynomial
from dvae_np.estimators import TABLE
from dvae_np.noise import draw

torch = pytest.importorskip("torch")
B, N, K, S, TAU = 5, 2, 3, 4, 0.7


@pytest.fixture
def problem():
    """Logits, noise, and a cubic f in both worlds."""
    rng = np.random.default_rng(0)
    logits, w = rng.standard_normal((B, N, K)), rng.standard_normal((2, N, K))
    z, u = draw(rng, logits, S, ("z", "u"))
    theirs = torch.tensor(logits, requires_grad=True)

    def f(y):
        s = (y.unsqueeze(2) * torch.tensor(w)).sum((-1, -2))
        return (s + s**2 / 2 + s**3 / 3).sum(-1)

    return logits, polynomial(w, 3), z, u, theirs, f


def gradient(loss, theirs):
    (found,) = torch.autograd.grad(loss, theirs)
    return found.numpy()


def agree(ours, theirs):
    return np.linalg.norm(ours - theirs) <= 1e-10 * np.linalg.norm(theirs)


def test_gumbel_softmax_and_straight_through_gumbel(problem):
    logits, f, _, u, theirs, f_torch = problem
    y = torch.softmax((theirs - torch.log(-torch.log(torch.tensor(u)))) / TAU, -1)
    hard = torch.nn.functional.one_hot(y.argmax(-1), K).double()
    assert agree(gumbel_softmax(logits, f, u, tau=TAU).dlogits, gradient(f_torch(y).mean(0).sum(), theirs))
    y = torch.softmax((theirs - torch.log(-torch.log(torch.tensor(u)))) / TAU, -1)
    through = hard + y - y.detach()
    assert agree(
        straight_through_gumbel(logits, f, u, tau=TAU).dlogits, gradient(f_torch(through).mean(0).sum(), theirs)
    )


def test_straight_through(problem):
    logits, f, z, _, theirs, f_torch = problem
    y = torch.softmax(theirs / TAU, -1)
    through = torch.tensor(np.eye(K)[z]) + y - y.detach()
    assert agree(straight_through(logits, f, z, tau=TAU).dlogits, gradient(f_torch(through).mean(0).sum(), theirs))


def test_reinmax(problem):
    """The paper's construction: pi_1 at the logits that give (pi + z)/2, straight-through for both halves."""
    logits, f, z, _, theirs, f_torch = problem
    hard = torch.tensor(np.eye(K)[z])
    middle = (torch.softmax(theirs / TAU, -1) + hard) / 2
    pi_1 = torch.softmax((torch.log(middle) - theirs).detach() + theirs, -1)
    pi_2 = 2 * pi_1 - torch.softmax(theirs, -1) / 2
    through = pi_2 - pi_2.detach() + hard
    assert agree(reinmax(logits, f, z, tau=TAU).dlogits, gradient(f_torch(through).mean(0).sum(), theirs))


def test_the_whole_objective_of_a_vae():
    """Every parameter array of the negative ELBO by exact marginalisation, against autodiff of the plain sum."""
    rng = np.random.default_rng(1)
    D, hidden = 11, 7
    params = vae.parameters(rng, D, N, K, (hidden,), np.float64)
    x = (rng.random((B, D)) < 0.4).astype(float)
    ours = vae.negative_elbo(params, x, TABLE["exact"], lambda _: (), beta=0.7)
    p = {
        group: {name: torch.tensor(array, requires_grad=True) for name, array in params[group].items()}
        for group in params
    }
    h = torch.relu(torch.tensor(x) @ p["psi"]["w0"] + p["psi"]["b0"])
    logq = torch.log_softmax((h @ p["psi"]["w1"].reshape(hidden, -1)).reshape(B, N, K) + p["psi"]["b1"], -1)
    loss = 0.7 * (logq.exp() * (logq + np.log(K))).sum((-1, -2))
    for state in categorical.joint_states(N, K):
        h = torch.relu(sum(p["theta"]["table"][n, k] for n, k in enumerate(state)) + p["theta"]["bias"])
        a = (h @ p["theta"]["w0"] + p["theta"]["b0"]).expand(B, D)
        f = torch.nn.functional.binary_cross_entropy_with_logits(a, torch.tensor(x), reduction="none").sum(-1)
        loss = loss + sum(logq[:, n, k] for n, k in enumerate(state)).exp() * f
    loss.mean().backward()
    for group in params:
        for name, array in ours.gradients[group].items():
            assert agree(array, p[group][name].grad.numpy()), (group, name)


def test_torchs_own_gumbel_softmax_is_judged():
    """Straight-through by torch's function: biased, as ours is; its relaxed gradient is right for the relaxed objective."""
    logits, w = np.array([[[0.4, -0.3, 0.8]]]), np.array([[[1.0, -0.5, 0.3]], [[0.2, 0.9, -1.1]]])
    f, R = polynomial(w, 3), 20_000
    torch.manual_seed(0)
    theirs = torch.tensor(np.tile(logits, (R, 1, 1)), requires_grad=True)

    def samples(hard):
        y = torch.nn.functional.gumbel_softmax(theirs, tau=1.0, hard=hard)
        s = (y.unsqueeze(1) * torch.tensor(w)).sum((-1, -2))
        return gradient((s + s**2 / 2 + s**3 / 3).sum(), theirs)

    exact = TABLE["exact"].estimate(logits, f).dlogits[0]
    assert "BIASED" in str(judge_samples(samples(True), exact))
    from dvae_np.check import gumbel_nodes, moments, tiled

    nodes, weights, _ = gumbel_nodes(logits, 140)
    for hard, name in ((False, "gumbel_softmax"), (True, "straight_through_gumbel")):
        many = tiled(logits, len(weights))
        ours, _ = moments(weights, TABLE[name].estimate(many, f, nodes["u"], tau=1.0).dlogits)
        report = judge_samples(samples(hard), ours)
        assert not report.failed, str(report)
