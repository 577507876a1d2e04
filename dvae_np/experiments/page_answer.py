"""The page that answers the practical rule, figures/WHICH_ESTIMATOR.md: in plain words, every number from a record."""

import numpy as np

from dvae_np import records
from dvae_np.experiments import equal_time, yardsticks

PICTURE = "which_estimator.png"


class Measured:
    """What equal time found on one data set: medians over the seeds, by size and estimator."""

    def __init__(self, name):
        self.record = records.read(f"equal-time-{name}")
        self.sizes = yardsticks.finished(self.record)

    def nats(self, size, estimator, yardstick="negative_elbo"):
        """The median loss of one cell."""
        (found,) = (each for each in self.sizes[size] if each.estimator == estimator)
        return float(np.median(getattr(found, yardstick)))

    def both(self, size, estimator):
        """'22.32 / 21.77': negative ELBO and -log p(x)."""
        return " / ".join(f"{self.nats(size, estimator, yardstick):.2f}" for yardstick in yardsticks.YARDSTICKS)

    def runner_up(self, size, estimator):
        """The best of the others, by the ELBO: (its name, its median)."""
        others = [each.estimator for each in self.sizes[size] if each.estimator != estimator]
        name = min(others, key=lambda name: self.nats(size, name))
        return name, self.nats(size, name)


def models():
    """{model in words: [Found, ...]} of every size and data set that is finished, for the picture."""
    found = {}
    for name in equal_time.SECONDS:
        if (records.FOLDER / f"equal-time-{name}.json").exists():
            for size, cells in yardsticks.finished(records.read(f"equal-time-{name}")).items():
                found[in_words(size, name)] = cells
    return found


def in_words(size, data):
    """'4 latents\\nof 8\\ndigits' of "independent 4x8"."""
    family, sizes = size.split()
    N, K = sizes.split("x")
    return f"{f'{N} latents' if N != '1' else '1 latent'}\nof {K}\n" + (
        data if family == "independent" else f"{family}, {data}"
    )
