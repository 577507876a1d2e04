"""Adam, RAdam and plain gradient descent, each over one flat vector of all its parameters.

An optimiser takes a dict of dicts of arrays and replaces every array in it by a view into its vector: a step on the
vector is then a step on the parameters.
"""

import numpy as np

from dvae_np.arrays import InputError

BLOCK = 2**15  # Adam reads and writes four vectors several times: blocks of this many entries stay in the cache


class SGD:
    """Plain gradient descent: parameters -= lr * gradients."""

    def __init__(self, params, lr):
        self.params, self.lr = params, lr
        self.vector = flatten(params)

    def step(self, gradients):
        """One step; `gradients` is shaped like the parameters, and may hold more groups than these."""
        for part, g in blocks(gradients, self.params):
            self.vector[part] -= self.lr * g

    def state(self):
        """What a checkpoint must hold besides the parameters: nothing."""
        return {}

    def restore(self, state):
        """Go on from that."""


class Adam:
    """Adam (Kingma & Ba 2015) [Eq. 15.1].

    It keeps decaying *sums* of the gradients and of their squares; what turns them into averages, and what corrects those for
    starting at zero, are two numbers a step.
    """

    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.beta1, self.beta2, self.eps = params, lr, beta1, beta2, eps
        self.vector = flatten(params)
        self.sum, self.squares, self.steps = np.zeros_like(self.vector), np.zeros_like(self.vector), 0

    def step(self, gradients):
        """One step; `gradients` is shaped like the parameters, and may hold more groups than these."""
        self.steps += 1
        rate, eps = self.rates()
        for part, g in blocks(gradients, self.params):
            total, squares = self.sum[part], self.squares[part]
            total *= self.beta1
            total += g
            squares *= self.beta2
            squares += g * g
            step = rate * total
            if eps is not None:
                root = np.sqrt(squares)
                root += eps
                step /= root
            self.vector[part] -= step

    def rates(self):
        """What `sum` is to be multiplied by over the root of `squares`, and the epsilon beside that root."""
        root = ((1 - self.beta2**self.steps) / (1 - self.beta2)) ** 0.5
        return self.lr * self.averaging() * root, self.eps * root

    def averaging(self):
        """What turns `sum` into the average of the gradients so far."""
        return (1 - self.beta1) / (1 - self.beta1**self.steps)

    def state(self):
        """What a checkpoint must hold besides the parameters: arrays by name."""
        return {"sum": self.sum, "squares": self.squares, "steps": np.asarray(self.steps, like=self.sum)}

    def restore(self, state):
        """Go on from that."""
        self.sum[...], self.squares[...], self.steps = state["sum"], state["squares"], int(state["steps"])


class RAdam(Adam):
    """Rectified Adam (Liu et al. 2020) [Eq. 15.3]: steps along the average alone while the squares vary too much."""

    def rates(self):
        """Adam's, the step size times the rectification; epsilon None where the squares are not to be used yet."""
        most, decayed = 2 / (1 - self.beta2) - 1, self.beta2**self.steps
        length = most - 2 * self.steps * decayed / (1 - decayed)
        if length <= 5:
            return self.lr * self.averaging(), None
        rate, eps = super().rates()
        return rate * ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5, eps


def flatten(params):
    """One vector of all arrays in a dict of dicts; the dicts' entries become views into it."""
    vector = np.concatenate([array.ravel() for group in params.values() for array in group.values()])
    start = 0
    for group in params.values():
        for name, array in group.items():
            group[name] = vector[start : start + array.size].reshape(array.shape)
            start += array.size
    return vector


def blocks(tree, like):
    """(part of the vector, those entries of `tree`) for all arrays that `like` has too, at most BLOCK entries at a time.

    Raises `InputError` where a shape is not that in `like`.
    """
    start = 0
    for group in like:
        for name, array in like[group].items():
            gradient = tree[group][name]
            if gradient.shape != array.shape:
                raise InputError(f"gradient of {group}.{name}: expected shape {array.shape}, got {gradient.shape}")
            gradient = gradient.ravel()
            size = BLOCK if isinstance(gradient, np.ndarray) else gradient.size  # a GPU takes all of them at once
            for first in range(0, gradient.size, size):
                g = gradient[first : first + size]
                yield slice(start + first, start + first + g.size), g
            start += gradient.size
