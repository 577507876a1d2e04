"""This package, as a user calls it, on either device; and the exact sum as it is usually written, by the same NumPy."""

import numpy as np

from dvae_np import TABLE, Chain, draw, exact, joint_states, reconstruction, training_step
from dvae_np.check import complex_step, relative_error
from dvae_np.check.differences import complex_step_along
from dvae_np.device import CPU, device
from dvae_np.memory import keep_freed_memory
from dvae_np.train import Adam
from dvae_np.vae import negative_elbo

TRACED = True
keep_freed_memory()  # as every command and every training does


def step(x, psi, theta, estimator, S, tau, where=CPU):
    """Noise, forward, backward, Adam; the number that comes back from a GPU waits for all of it."""
    x, params, row = where.put(x), where.put({"psi": psi, "theta": theta}), TABLE[estimator]
    rng, optimisers = where.generator(np.random.Generator(np.random.SFC64(0))), [Adam(params)]
    hyper = {"tau": tau} if "tau" in row.hyper else {}
    return lambda: float(training_step(params, x, row, rng, optimisers, S, hyper=hyper).value)


def exact_sum(x, theta, logits, where=CPU):
    """Value and gradients, each state decoded once."""
    f, logits = reconstruction(where.put(theta), where.put(x)), where.put(logits)
    return lambda: float(exact(logits, f).value.sum())


def conditional(y, c, theta, logits, where=CPU):
    """The same with a context."""
    f, logits = reconstruction(where.put(theta), where.put(y), where.put(c)), where.put(logits)
    return lambda: float(exact(logits, f).value.sum())


def on_gpu(function):
    """The same function, with its arrays on a GPU."""
    return lambda **inputs: function(**inputs, where=device("gpu"))


def replicates(logits, target, R):
    """All at once: each replicate is an example of the batch."""
    tiled = np.repeat(logits[None, None], R, 0)
    rng, row = np.random.Generator(np.random.SFC64(0)), TABLE["reinforce"]
    values = ((np.eye(len(logits)) - target) ** 2).sum(-1).astype(logits.dtype)

    def f(z):
        return values[z[..., 0]], lambda dfz: (None, {})

    return lambda: row.estimate(tiled, f, *draw(rng, tiled, 1, row.noise)).value.mean()


def check(x, params, complete):
    """The largest relative error of the hand-written gradients against the complex step."""
    row = TABLE["exact"]

    def loss(arrays):
        tree = {group: {name: arrays[f"{group}.{name}"] for name in params[group]} for group in params}
        return negative_elbo(tree, x, row, lambda logits: ())

    arrays = {f"{group}.{name}": array for group in params for name, array in params[group].items()}
    rng = np.random.default_rng(0)

    def call():
        gradients = loss(arrays).gradients
        flat = {name: gradients[name.split(".")[0]][name.split(".")[1]] for name in arrays}
        if complete:
            numeric = complex_step(lambda a: loss(a).value, arrays)
            return max(relative_error(flat[name], numeric[name]) for name in arrays)
        direction = {name: rng.standard_normal(array.shape) for name, array in arrays.items()}
        slope = sum((flat[name] * direction[name]).sum() for name in arrays)
        return relative_error(slope, complex_step_along(lambda a: loss(a).value, arrays, direction))

    return call


def chain(unary, pairwise, where=CPU):
    """log Z of a chain, and its gradients: forward-backward."""
    q = Chain(where.put(unary), where.put(pairwise))

    def call():
        log_z, backward = q.log_partition()
        backward(np.ones_like(log_z))
        return float(log_z.sum())

    return call


def every_pair(x, theta, logits):
    """The exact sum over B x K pairs: every example decodes every state. From 4,096 states on it takes many gigabytes."""
    B, N, K = logits.shape
    if K**N > 512:
        return None
    f = reconstruction(theta, x)
    z = np.repeat(joint_states(N, K)[:, None], B, axis=1)  # (M, B, N)

    def call():
        logq = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        weights = np.exp(sum(logq[:, n, z[:, 0, n]] for n in range(N))).T  # (M, B)
        fz, f_backward = f(z)
        f_backward(weights)
        return (weights * fz).sum()

    return call


VARIANTS = {
    "dvae_np, GPU": {name: on_gpu(function) for name, function in
                     {"step": step, "exact": exact_sum, "conditional": conditional, "chain": chain}.items()},
    "dvae_np": {"step": step, "exact": exact_sum, "conditional": conditional, "replicates": replicates, "check": check,
                "chain": chain},
    "NumPy, every pair": {"exact": every_pair},
}  # fmt: skip
