"""Adam, RAdam and plain gradient descent, each over one flat vector of all its parameters.

An optimiser takes a dict of dicts of arrays and replaces every array in it by a view into its vector: a step on the
vector is then a step on the parameters.
"""

import numpy as np

from dvae_np.arrays import InputError

BLOCK = 2**15  # Adam reads and writes four vectors: blocks of this many entries stay in the cache


class SGD:
    """Plain gradient descent: parameters -= lr * gradients."""

    def __init__(self, params, lr):
        self.params, self.lr = params, lr
        self.vector = flatten(params)

    def step(self, gradients):
        """One step; `gradients` is shaped like the parameters, and may hold more groups than these."""
        self.vector -= self.lr * concatenated(gradients, self.params)

    def state(self):
        """What a checkpoint must hold besides the parameters: nothing."""
        return {}

    def restore(self, state):
        """Go on from that."""


class Adam:
    """Adam (Kingma & Ba 2015) [Eq. 15.1], its bias corrections folded into two numbers."""

    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.beta1, self.beta2, self.eps = params, lr, beta1, beta2, eps
        self.vector = flatten(params)
        self.mean, self.square, self.steps = np.zeros_like(self.vector), np.zeros_like(self.vector), 0

    def step(self, gradients):
        """One step; `gradients` is shaped like the parameters, and may hold more groups than these."""
        self.steps += 1
        rate, eps = self.rates()
        gradient = concatenated(gradients, self.params)
        for start in range(0, len(gradient), BLOCK):
            part = slice(start, start + BLOCK)
            g, mean, square = gradient[part], self.mean[part], self.square[part]
            mean += (1 - self.beta1) * (g - mean)
            square += (1 - self.beta2) * (g * g - square)
            self.vector[part] -= rate * mean / (np.sqrt(square) + eps) if eps is not None else rate * mean

    def rates(self):
        """The step size and epsilon of this step, with both bias corrections in them."""
        correction = (1 - self.beta2**self.steps) ** 0.5
        return self.lr * correction / (1 - self.beta1**self.steps), self.eps * correction

    def state(self):
        """What a checkpoint must hold besides the parameters: arrays by name."""
        return {"mean": self.mean, "square": self.square, "steps": np.asarray(self.steps)}

    def restore(self, state):
        """Go on from that."""
        self.mean[...], self.square[...], self.steps = state["mean"], state["square"], int(state["steps"])


class RAdam(Adam):
    """Rectified Adam (Liu et al. 2020) [Eq. 15.3]: steps along the mean alone while the square's variance is too large."""

    def rates(self):
        """Adam's, the step size times the rectification; epsilon None where the square is not to be used yet."""
        most, decayed = 2 / (1 - self.beta2) - 1, self.beta2**self.steps
        length = most - 2 * self.steps * decayed / (1 - decayed)
        if length <= 5:
            return self.lr / (1 - self.beta1**self.steps), None
        rate, eps = super().rates()
        return rate * ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5, eps


def flatten(params):
    """One vector of all arrays in a dict of dicts; the dicts' entries become views into it."""
    vector = concatenated(params, params)
    start = 0
    for group in params.values():
        for name, array in group.items():
            group[name] = vector[start : start + array.size].reshape(array.shape)
            start += array.size
    return vector


def concatenated(tree, like):
    """The arrays of `tree` that `like` has too, in the order of `like`, as one vector; shapes must agree."""
    for group in like:
        for name, array in like[group].items():
            if tree[group][name].shape != array.shape:
                raise InputError(
                    f"gradient of {group}.{name}: expected shape {array.shape}, got {tree[group][name].shape}"
                )
    return np.concatenate([tree[group][name].ravel() for group in like for name in like[group]])
