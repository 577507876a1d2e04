"""What must be known of an observation model to train with it, evaluate it, draw from it and check it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from dvae_np.arrays import InputError


@dataclass(frozen=True)
class Likelihood:
    """One observation model p(x|z) of D pixels, from the decoder's outputs a (S, B, D * outputs) or (S, 1, D * outputs).

    `own` are its own parameters, which the functions take after a: arrays in theta, trained with the decoder.
    """

    name: str
    title: str
    nll: Callable  # the op (a, x, **own) -> -log p(x|z) (S, B), in nats; backward gives (da, None, *down)
    mean: Callable  # (a, D, **own) -> the mean of x: (S, B, D)
    draw: Callable  # (rng, a, D, **own) -> images drawn (S, B, D); rng: of the library that owns a
    start: (
        Callable  # (x, levels) -> the output that says the same for every code and fits x (B, D) best: (D * outputs,)
    )
    pixels: str  # the data that it is for: "unit" in [0, 1], "levels" v / (levels - 1), "counts" 0, 1, 2, ...
    support: Callable  # levels -> (values of a pixel, their weights in a sum over p(x)): for the checks
    outputs: Callable = lambda levels: 1  # of the decoder for each pixel
    sized: bool = False  # do the functions take `columns`, the number of categories of each column?
    density: bool = False  # is p(x|z) a density, and not a probability?
    own: dict = field(default_factory=dict)  # its own parameters, by name, with the number that each starts at

    def of(self, columns):
        """The same for these columns. Raises InputError where there are some and it takes none, or the other way round."""
        if bool(columns) != self.sized:
            raise InputError(
                f"columns: the likelihood {self.name} takes {'some' if self.sized else 'none'}, got {columns}"
            )
        if not columns:
            return self
        known = {name: partial(getattr(self, name), columns=columns) for name in ("nll", "mean", "draw", "start")}
        return replace(self, **known)
