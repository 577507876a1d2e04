"""Adam, RAdam and plain gradient descent.

An optimiser takes a dict of dicts of arrays, and each step changes these arrays in place: the one thing here that does. So they
must be arrays: a number cannot be changed in place.
"""

import numpy as np

from dvae_np.arrays import InputError


class SGD:
    """Plain gradient descent: parameters -= lr * gradients."""

    def __init__(self, params, lr):
        self.params, self.lr = parameters(params), lr

    def step(self, gradients):
        """One step; `gradients` is shaped like the parameters, and may hold more arrays than these."""
        for name, g in matched(gradients, self.params):
            self.params[name] -= self.lr * g

    def state(self):
        """What a checkpoint must hold besides the parameters: nothing."""
        return {}

    def restore(self, state):
        """Go on from that."""


def adam_step(w, m, v, g, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """One step of Adam as its paper has it (Kingma & Ba 2015) [Eq. 18.1]: (w, m, v) after the t-th gradient g.

    m and v are averages of the gradients and of their squares, and start at 0; t is 1 in the first step.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def rectification(t, beta2=0.999):
    """What RAdam multiplies Adam's t-th step by [Eq. 18.2]; None while the squares vary too much, as few are known.

    That is while rho is at most 5, as in the implementations in use; the paper's algorithm has 4 (Liu et al. 2020).
    """
    most, decayed = 2 / (1 - beta2) - 1, beta2**t
    rho = most - 2 * t * decayed / (1 - decayed)
    return None if rho <= 5 else ((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) ** 0.5


class Adam:
    """The steps of `adam_step`, in place, with fewer passes over memory.

    It keeps decaying *sums* of the gradients and of their squares; what turns them into averages, and what corrects those for
    starting at zero, are two numbers a step.
    """

    rectified = False

    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.beta1, self.beta2, self.eps = parameters(params), lr, beta1, beta2, eps
        self.sum, self.squares = ({name: np.zeros_like(w) for name, w in self.params.items()} for _ in range(2))
        self.steps = 0

    def step(self, gradients):
        """One step; `gradients` is shaped like the parameters, and may hold more arrays than these."""
        self.steps += 1
        average = (1 - self.beta1) / (1 - self.beta1**self.steps)  # times `sum`: the average of the gradients so far
        root = (
            (1 - self.beta2**self.steps) / (1 - self.beta2)
        ) ** 0.5  # the same for the root of `squares`, below a fraction
        factor = rectification(self.steps, self.beta2) if self.rectified else 1.0
        for name, g in matched(gradients, self.params):
            total, squares = self.sum[name], self.squares[name]
            total *= self.beta1
            total += g
            step = g * g  # from here on one array for all that comes in between, as memory is what this waits for
            squares *= self.beta2
            squares += step
            if factor is None:
                np.multiply(total, self.lr * average, out=step)
            else:
                np.sqrt(squares, out=step)
                step += self.eps * root
                np.divide(total, step, out=step)
                step *= factor * self.lr * average * root
            np.subtract(self.params[name], step, out=step)
            self.params[name][...] = step  # a copy, as -= may wait for whatever a product on another core has read

    def state(self):
        """What a checkpoint must hold besides the parameters: arrays by name."""
        sums = {f"sum.{name}": array for name, array in self.sum.items()}
        squares = {f"squares.{name}": array for name, array in self.squares.items()}
        return sums | squares | {"steps": np.asarray(self.steps, like=next(iter(self.sum.values())))}

    def restore(self, state):
        """Go on from that."""
        self.steps = int(state["steps"])
        for name, array in self.state().items():
            if name != "steps":
                array[...] = state[name]


class RAdam(Adam):
    """Rectified Adam (Liu et al. 2020): as long as there is no `rectification`, steps along the average alone."""

    rectified = True


def named(tree):
    """The arrays of a dict of dicts by one name each, as psi.w0; arrays without axes as views of one entry."""
    return {f"{group}.{name}": np.atleast_1d(array) for group, arrays in tree.items() for name, array in arrays.items()}


def parameters(tree):
    """The same of arrays that can be changed in place. Raises `InputError` for a number that is no array."""
    for group, arrays in tree.items():
        for name, array in arrays.items():
            if isinstance(array, np.generic | float | int):
                raise InputError(
                    f"{group}.{name}: expected an array, which a step changes in place, got the number {array}"
                )
    return named(tree)


def matched(gradients, params):
    """(name, gradient) for all the `params`. Raises `InputError` where a gradient's shape is not that of its array."""
    for name, array in params.items():
        group, _, key = name.partition(".")
        gradient = np.atleast_1d(gradients[group][key])
        if gradient.shape != array.shape:
            raise InputError(f"gradient of {name}: expected shape {array.shape}, got {gradient.shape}")
        yield name, gradient
