"""Gradient estimators: what each is, in one table.

Every estimator is a pure function

    estimate(logits, f, *noise, **hyper) -> Estimate(value, dlogits, dtheta, domega)

for the gradient of E_{z ~ q}[f(z)] in the logits of q (B, N, K), to be minimised, in nats. It averages over the leading
sample axis of its noise and never mixes examples of the batch, keeps no state, and returns the dtype that it was given.

`TABLE` drives the tests, the verification, the command line and the README: a new estimator is one file and one row.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from dvae_np.estimators.estimate import Estimate
from dvae_np.estimators.exact import exact
from dvae_np.estimators.gumbel_softmax import gumbel_softmax
from dvae_np.estimators.reinforce import reinforce
from dvae_np.estimators.reinforce_ema import reinforce_ema
from dvae_np.estimators.reinforce_loo import reinforce_loo
from dvae_np.estimators.straight_through_gumbel import straight_through_gumbel


@dataclass(frozen=True)
class Row:
    """One estimator: the function and what a reader, a test or a trainer must know of it."""

    name: str
    title: str
    estimate: Callable
    noise: tuple  # names of the arrays it takes, as `draw` knows them
    unbiased: bool  # is E[dlogits] the gradient of E_q[f]?
    evaluations: str  # of f, for each example
    lesson: int
    paper: str
    gradient_of_f: str = "none"  # or where f's gradient in z is needed: at "relaxed" or "discrete" points
    fewest_samples: int = 1
    owns_kl: bool = False  # does its objective contain the KL?
    hyper: dict = field(default_factory=dict)  # hyper-parameters that a user may set, with their defaults
    omega: dict = field(default_factory=dict)  # its own tunables' initial values
    omega_rate: float = 0.0  # the step size of plain gradient descent on omega


# fmt: off
_ROWS = (
    Row("exact", "exact marginalisation", exact,
        noise=(), unbiased=True, evaluations="K^N", lesson=4, paper="a sum over all states"),
    Row("reinforce", "REINFORCE, constant baseline", reinforce,
        noise=("z",), unbiased=True, evaluations="S", lesson=5, paper="Williams 1992",
        hyper={"baseline": 0.0}),
    Row("reinforce_ema", "REINFORCE, moving-average baseline", reinforce_ema,
        noise=("z",), unbiased=True, evaluations="S", lesson=6, paper="Williams 1992; Mnih & Gregor 2014",
        omega={"baseline": 0.0}, omega_rate=0.1),
    Row("reinforce_loo", "REINFORCE, leave-one-out baseline", reinforce_loo,
        noise=("z",), unbiased=True, evaluations="S", lesson=6, paper="Salimans & Knowles 2014; Kool et al. 2019",
        fewest_samples=2),
    Row("gumbel_softmax", "Gumbel-Softmax (Concrete)", gumbel_softmax,
        noise=("u",), unbiased=False, evaluations="S", lesson=7, paper="Jang et al. 2017; Maddison et al. 2017",
        gradient_of_f="relaxed", hyper={"tau": 1.0}),
    Row("straight_through_gumbel", "straight-through Gumbel-Softmax", straight_through_gumbel,
        noise=("u",), unbiased=False, evaluations="S", lesson=7, paper="Jang et al. 2017",
        gradient_of_f="discrete", hyper={"tau": 1.0}),
)
# fmt: on

TABLE = {row.name: row for row in _ROWS}


def markdown_table():
    """The table for readers, one line an estimator."""
    lines = [
        "| estimator | what it is | unbiased | evaluations of f | gradient of f at | lesson | paper |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in _ROWS:
        unbiased = "yes" if row.unbiased else "no"
        cells = (
            f"`{row.name}`",
            row.title,
            unbiased,
            row.evaluations,
            row.gradient_of_f,
            f"{row.lesson:02}",
            row.paper,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


__all__ = ["TABLE", "Estimate", "Row", *TABLE]
