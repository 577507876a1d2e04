"""Gradient estimators: one file each, and their table.

Every estimator is a pure function

    estimate(q, f, *noise, **hyper) -> Estimate(value, dq, dtheta, domega)

for the gradient of E_{z ~ q}[f(z)] in the parameters of q, to be minimised, in nats; q is a law (`dvae_np.laws`) or plain
logits (B, N, K). It averages over the leading sample axis of its noise and never mixes examples of the batch, keeps no state,
and returns the dtype that it was given.

`TABLE` drives tests, verification, figures, command line and README: a new estimator is one file and one row.
"""

from dvae_np.estimators.estimate import Estimate
from dvae_np.estimators.row import Evaluations, Family, Row
from dvae_np.estimators.table import TABLE, markdown_by_lesson, markdown_table

__all__ = ["TABLE", "Estimate", "Evaluations", "Family", "Row", "markdown_by_lesson", "markdown_table"]
