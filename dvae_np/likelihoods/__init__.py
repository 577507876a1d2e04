"""Observation models: ops from the decoder's output to -log p(x|z), in nats, and back; one file each, and their table.

Each takes outputs a (S, B, ...) decoded for every example, or (S, 1, ...) for states that the whole batch shares. Then every
example is scored against each state by one matrix product [Eq. 4.6], and nothing of size S x B x D is ever made. (Its
rounding error is that of large sums that nearly cancel: 1e-7 of their size in float32.) x is (B, D), or (1, D) for one
example beside any number of states; the value is (S, B).

`LIKELIHOODS` drives training, evaluation, pictures, the command line and the checks: a new one is one file and one row. Its
pixels are independent given z, each with the same law. `OBSERVATIONS` has besides what is of columns that differ.
"""

from dvae_np.likelihoods.bernoulli import BERNOULLI
from dvae_np.likelihoods.categorical_pixels import CATEGORICAL
from dvae_np.likelihoods.columns import COLUMNS
from dvae_np.likelihoods.gaussian import GAUSSIAN
from dvae_np.likelihoods.likelihood import Likelihood
from dvae_np.likelihoods.poisson import POISSON

LIKELIHOODS = {each.name: each for each in (BERNOULLI, GAUSSIAN, CATEGORICAL, POISSON)}
OBSERVATIONS = LIKELIHOODS | {COLUMNS.name: COLUMNS}

__all__ = ["LIKELIHOODS", "OBSERVATIONS", "Likelihood"]
