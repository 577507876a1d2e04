"""JAX, the whole step under `jit`; the exact sum by `vmap` over states, and each state decoded once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

TRACED = False


def mlp(params, h):
    """Linear layers with ReLU between."""
    depth = sum(name.startswith("w") for name in params)
    for i in range(depth):
        w = params[f"w{i}"]
        h = h @ w.reshape(len(w), -1) + params[f"b{i}"].reshape(-1)
        h = jax.nn.relu(h) if i < depth - 1 else h
    return h


def decode(theta, z, c=None):
    """Pixel logits of one-hot or relaxed codes (..., N, K)."""
    h = z.reshape(*z.shape[:-2], -1) @ theta["table"].reshape(-1, theta["table"].shape[-1]) + theta["bias"]
    return mlp(theta, jax.nn.relu(h if c is None else h + c @ theta["context"]))


def nll(a, x):
    """-log p(x|z) of Bernoulli pixels."""
    return (jax.nn.softplus(a) - a * x).sum(-1)


def loss_of_step(trees, x, key, estimator, S, tau):
    """(the loss whose gradient is the estimator's, the value to report)."""
    psi, theta = trees
    N, K = psi["b2"].shape
    logits = mlp(psi, x).reshape(len(x), N, K)
    logq = jax.nn.log_softmax(logits)
    q, stop = jnp.exp(logq), jax.lax.stop_gradient
    kl = (q * (logq + np.log(K))).sum((-1, -2)).mean()
    if estimator == "straight_through_gumbel":
        y = jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / tau)
        z = jax.nn.one_hot(y.argmax(-1), K)
        fz = nll(decode(theta, y - stop(y) + z), x)
        return fz.mean() + kl, fz.mean() + kl
    z = jax.nn.one_hot(jax.random.categorical(key, logits, shape=(S, len(x), N)), K)
    if estimator == "reinforce_loo":
        fz = nll(decode(theta, z), x)
        scored = (stop((fz - fz.mean(0)) / (S - 1)) * (z * logq).sum((-1, -2))).sum(0).mean()
        return fz.mean() + kl + scored - stop(scored), fz.mean() + kl
    z, pi = z[0], jax.nn.softmax(logits / tau)
    middle = jax.nn.softmax(stop(jnp.log((pi + z) / 2) - logits) + logits)
    twice = 2 * middle - q / 2
    fz = nll(decode(theta, twice - stop(twice) + z), x)
    return fz.mean() + kl, fz.mean() + kl


def step(x, psi, theta, estimator, S, tau):
    """Noise, gradients and Adam in one compiled function."""
    trees, x = jax.tree.map(jnp.asarray, (psi, theta)), jnp.asarray(x)
    zeros = jax.tree.map(jnp.zeros_like, trees)
    held = [trees, zeros, zeros, 0]

    @jax.jit
    def update(trees, mean, square, t):
        key = jax.random.fold_in(jax.random.key(0), t)
        gradients, value = jax.grad(loss_of_step, has_aux=True)(trees, x, key, estimator, S, tau)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradients)
        scales = 1 / (1 - 0.9 ** (t + 1)), 1 / (1 - 0.999 ** (t + 1))
        move = lambda w, m, v: w - 1e-3 * m * scales[0] / (jnp.sqrt(v * scales[1]) + 1e-8)
        return (jax.tree.map(move, trees, mean, square), mean, square, t + 1), value

    def call():
        held[:], value = update(*held)
        jax.block_until_ready(held)
        return float(value)

    return call


def over_states(x, theta, logits):
    """`vmap` over the states, each of which decodes for itself and meets the whole batch."""
    return _exact(x, theta, logits, once=False)


def each_once(x, theta, logits):
    """All pairs scored by one matrix product."""
    return _exact(x, theta, logits, once=True)


def _exact(x, theta, logits, once):
    N, K = logits.shape[1:]
    states = np.eye(K, dtype=np.float32)[np.array(list(itertools.product(range(K), repeat=N)))]  # (M, N, K)

    def value_of(theta, logits):
        logq = jax.nn.log_softmax(logits).reshape(len(x), -1)
        if once:
            a = decode(theta, states)
            return (
                jnp.exp(states.reshape(len(states), -1) @ logq.T) * (jax.nn.softplus(a).sum(-1)[:, None] - a @ x.T)
            ).sum()
        terms = jax.vmap(lambda z: (jnp.exp(logq @ z.reshape(-1)) * nll(decode(theta, z), x)).sum())
        return terms(states).sum()

    return _with_gradients(value_of, theta, logits)


def conditional(y, c, theta, logits):
    """The exact sum for p(y|c,z), by `vmap` over the states."""
    states = np.eye(logits.shape[-1], dtype=np.float32)

    def value_of(theta, logits):
        fz = jax.vmap(lambda z: nll(decode(theta, z[None], c), y))(states)  # (K, B)
        return (jax.nn.softmax(logits)[:, 0].T * fz).sum()

    return _with_gradients(value_of, theta, logits)


def _with_gradients(value_of, theta, logits):
    gradients = jax.jit(jax.value_and_grad(value_of, argnums=(0, 1)))
    theta, logits = jax.tree.map(jnp.asarray, (theta, logits))
    return lambda: float(jax.block_until_ready(gradients(theta, logits))[0])


def replicates(logits, target, R):
    """`vmap` of one replicate's gradient, compiled."""
    K = len(logits)
    keys = [jax.random.key(0)]

    def surrogate(logits, key):
        z = jax.nn.one_hot(jax.random.categorical(key, logits), K)
        fz = ((z - target) ** 2).sum()
        return fz * (z * jax.nn.log_softmax(logits)).sum(), fz

    every = jax.jit(
        lambda key: jax.vmap(jax.grad(surrogate, has_aux=True), (None, 0))(
            jnp.asarray(logits), jax.random.split(key, R)
        )
    )

    def call():
        keys[0] = jax.random.fold_in(keys[0], 1)
        return float(jax.block_until_ready(every(keys[0]))[1].mean())

    return call


def chain(unary, pairwise):
    """log Z of a chain by `lax.scan` over its latents, and its gradients, compiled."""

    def log_z(unary, pairwise):
        def append(a, potentials):
            node, edge = potentials
            return node + jax.nn.logsumexp(a[:, :, None] + edge, 1), None

        last, _ = jax.lax.scan(append, unary[:, 0], (unary[:, 1:].swapaxes(0, 1), pairwise.swapaxes(0, 1)))
        return jax.nn.logsumexp(last, -1).sum()

    gradients = jax.jit(jax.value_and_grad(log_z, argnums=(0, 1)))
    unary, pairwise = jnp.asarray(unary), jnp.asarray(pairwise)
    return lambda: float(jax.block_until_ready(gradients(unary, pairwise))[0])


VARIANTS = {
    "JAX": {"step": step, "exact": over_states, "conditional": conditional, "replicates": replicates,
            "chain": chain},
    "JAX, each state once": {"exact": each_once},
}  # fmt: skip
