"""Lesson 19: how codes are lost in the first steps."""

from dvae_np import records
from dvae_np.figures import measured


def first_steps(figure):
    """Entropy of q and its information in the first steps on MNIST, from three starts."""
    measured.first_steps(figure, records.read("collapse"))
