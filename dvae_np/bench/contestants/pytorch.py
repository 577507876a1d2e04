"""PyTorch, as its users write it: autograd, `nn.functional`, `optim.Adam`; and compiled."""

import torch
import torch.nn.functional as F

TRACED = False
torch.manual_seed(0)


def tensors(arrays, grad=True):
    """A dict of NumPy arrays as leaves."""
    return {name: torch.tensor(array, requires_grad=grad) for name, array in arrays.items()}


def mlp(params, h):
    """Linear layers with ReLU between."""
    depth = sum(name.startswith("w") for name in params)
    for i in range(depth):
        w = params[f"w{i}"]
        h = h @ w.reshape(len(w), -1) + params[f"b{i}"].reshape(-1)
        h = F.relu(h) if i < depth - 1 else h
    return h


def decode(theta, z, c=None):
    """Pixel logits of one-hot or relaxed codes (..., N, K), and of a context glued to them."""
    first = theta["table"].reshape(-1, theta["table"].shape[-1])
    z = z.flatten(-2)
    if c is not None:
        z, first = torch.cat([c, z], -1), torch.cat([theta["context"], first])
    return mlp(theta, F.relu(z @ first + theta["bias"]))


def nll(a, x):
    """-log p(x|z) of Bernoulli pixels."""
    return F.binary_cross_entropy_with_logits(a, x.expand_as(a), reduction="none").sum(-1)


def loss_of_step(x, psi, theta, estimator, S, tau):
    """The loss whose gradient is the estimator's, and the value to report."""
    N, K = psi["b2"].shape
    logits = mlp(psi, x).reshape(len(x), N, K)
    logq = F.log_softmax(logits, -1)
    q = logq.exp()
    kl = (q * (logq - torch.log(torch.tensor(1.0 / K)))).sum((-1, -2)).mean()
    if estimator == "straight_through_gumbel":
        fz = nll(decode(theta, F.gumbel_softmax(logits, tau, hard=True)), x)
        return fz.mean() + kl, fz.mean() + kl
    z = F.one_hot(torch.multinomial(q.detach().reshape(-1, K), S, replacement=True), K).to(x.dtype)  # (B N, S, K)
    z = z.reshape(len(x), N, S, K).permute(2, 0, 1, 3)  # (S, B, N, K)
    if estimator == "reinforce_loo":
        fz = nll(decode(theta, z), x)
        scored = (((fz - fz.mean(0)) / (S - 1)).detach() * (z * logq).sum((-1, -2))).sum(0)
        return fz.mean() + kl + scored.mean() - scored.detach().mean(), fz.mean() + kl
    z, pi = z[0], F.softmax(logits / tau, -1)
    middle = ((pi + z) / 2).log()
    middle = F.softmax((middle - logits).detach() + logits, -1)
    twice = 2 * middle - q / 2
    fz = nll(decode(theta, twice - twice.detach() + z), x)
    return fz.mean() + kl, fz.mean() + kl


def step(x, psi, theta, estimator, S, tau, compiled=False):
    """A training step; compiled, the loss is, and Adam is the fused one."""
    x, psi, theta = torch.tensor(x), tensors(psi), tensors(theta)
    optimiser = torch.optim.Adam([*psi.values(), *theta.values()], lr=1e-3, **({"fused": True} if compiled else {}))
    loss_of = torch.compile(loss_of_step) if compiled else loss_of_step

    def call():
        optimiser.zero_grad()
        loss, value = loss_of(x, psi, theta, estimator, S, tau)
        loss.backward()
        optimiser.step()
        return value.item()

    return call


def every_pair(x, theta, logits, compiled=False):
    """The exact sum as it is usually written: B x M one-hot codes go through the decoder; many gigabytes from 1,000 on."""
    N, K = logits.shape[1:]
    if K**N > (64 if compiled else 512):
        return None
    x, theta, logits = torch.tensor(x), tensors(theta), torch.tensor(logits, requires_grad=True)
    states = F.one_hot(torch.cartesian_prod(*[torch.arange(K)] * N).reshape(-1, N), K).to(x.dtype)  # (M, N, K)

    def value_of(x, theta, logits):
        logq = F.log_softmax(logits, -1)
        weight = (logq[:, None] * states).sum((-1, -2)).exp()  # (B, M)
        fz = nll(decode(theta, states.expand(len(x), *states.shape)), x[:, None])
        return (weight * fz).sum()

    return _with_gradients(value_of, x, theta, logits, compiled)


def each_once(x, theta, logits):
    """The exact sum, each state decoded once, and all pairs scored by one matrix product."""
    N, K = logits.shape[1:]
    x, theta, logits = torch.tensor(x), tensors(theta), torch.tensor(logits, requires_grad=True)
    codes = torch.cartesian_prod(*[torch.arange(K)] * N).reshape(-1, N)
    states = F.one_hot(codes, K).to(x.dtype)  # (M, N, K)

    def value_of(x, theta, logits):
        weight = (F.log_softmax(logits, -1).flatten(1) @ states.flatten(1).T).exp()  # (B, M)
        a = decode(theta, states)
        return (weight * (F.softplus(a).sum(-1) - x @ a.T)).sum()

    return _with_gradients(value_of, x, theta, logits)


def conditional(y, c, theta, logits, compiled=False):
    """The exact sum for p(y|c,z), c and z glued together for every pair."""
    y, c, theta = torch.tensor(y), torch.tensor(c), tensors(theta)
    logits = torch.tensor(logits, requires_grad=True)
    states = torch.eye(logits.shape[-1])[:, None]  # (K, 1, K)

    def value_of(y, theta, logits):
        B, K = len(y), len(states)
        a = decode(theta, states.expand(B, K, 1, K), c[:, None].expand(B, K, c.shape[-1]))
        return (F.softmax(logits, -1)[:, 0] * nll(a, y[:, None])).sum()

    return _with_gradients(value_of, y, theta, logits, compiled)


def _with_gradients(value_of, x, theta, logits, compiled=False):
    value_of = torch.compile(value_of) if compiled else value_of

    def call():
        value = value_of(x, theta, logits)
        torch.autograd.grad(value, [*theta.values(), logits])
        return value.item()

    return call


def replicates(logits, target, R):
    """All at once, by autograd on the sum of the surrogates."""
    K, target = len(logits), torch.tensor(target)
    tiled = torch.tensor(logits).repeat(R, 1).requires_grad_()

    def call():
        logq = F.log_softmax(tiled, -1)
        z = F.one_hot(torch.multinomial(logq.detach().exp(), 1)[:, 0], K).to(target.dtype)
        fz = ((z - target) ** 2).sum(-1)
        torch.autograd.grad((fz * (z * logq).sum(-1)).sum(), tiled)
        return fz.mean().item()

    return call


def replicates_in_a_loop(logits, target, R):
    """One after the other, as a user's first attempt would."""
    K, logits, target = len(logits), torch.tensor(logits, requires_grad=True), torch.tensor(target)

    def call():
        total = 0.0
        for _ in range(R):
            logq = F.log_softmax(logits, -1)
            z = F.one_hot(torch.multinomial(logq.detach().exp(), 1)[0], K).to(target.dtype)
            fz = ((z - target) ** 2).sum()
            torch.autograd.grad(fz * (z * logq).sum(), logits)
            total += fz.item()
        return total / R

    return call


def check(x, params, complete):
    """`torch.autograd.gradcheck` of the same objective: central differences, or its fast mode."""
    x, names = torch.tensor(x), [(group, name) for group in ("psi", "theta") for name in params[group]]
    leaves = [torch.tensor(params[group][name], requires_grad=True) for group, name in names]
    N, K = params["psi"]["b1"].shape
    states = F.one_hot(torch.cartesian_prod(*[torch.arange(K)] * N), K).to(x.dtype)

    def value_of(*leaves):
        tree = {"psi": {}, "theta": {}}
        for (group, name), leaf in zip(names, leaves, strict=True):
            tree[group][name] = leaf
        logq = F.log_softmax(mlp(tree["psi"], x).reshape(len(x), N, K), -1)
        weight = (logq.flatten(1) @ states.flatten(1).T).exp()
        a = decode(tree["theta"], states)
        kl = (logq.exp() * logq).sum((-1, -2)) + N * torch.log(torch.tensor(float(K), dtype=x.dtype))
        return ((weight * (F.softplus(a).sum(-1) - x @ a.T)).sum(-1) + kl).mean()

    def call():
        torch.autograd.gradcheck(value_of, leaves, fast_mode=not complete, atol=1e-4)
        return 0.0

    return call


def chain(unary, pairwise):
    """log Z of a chain by the forward algorithm, its steps taken by `unbind`; gradients by autograd."""
    unary, pairwise = (torch.tensor(array, requires_grad=True) for array in (unary, pairwise))

    def call():
        nodes, edges = unary.unbind(1), pairwise.unbind(1)
        a = nodes[0]
        for node, edge in zip(nodes[1:], edges, strict=True):
            a = node + torch.logsumexp(a[:, :, None] + edge, 1)
        log_z = torch.logsumexp(a, 1).sum()
        torch.autograd.grad(log_z, (unary, pairwise))
        return float(log_z.detach())

    return call


def _compiled(function):
    return lambda **inputs: function(**inputs, compiled=True)


VARIANTS = {
    "PyTorch": {"step": step, "exact": every_pair, "conditional": conditional, "replicates": replicates, "check": check,
                "chain": chain},
    "PyTorch, compiled": {name: _compiled(function) for name, function in
                          {"step": step, "exact": every_pair, "conditional": conditional}.items()},
    "PyTorch, each state once": {"exact": each_once},
    "PyTorch, a loop": {"replicates": replicates_in_a_loop},
}  # fmt: skip
