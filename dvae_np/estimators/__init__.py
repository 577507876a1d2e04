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
    gradient_of_f: str  # "none", or where f's gradient in z is needed: "relaxed" or "discrete" points
    lesson: int
    paper: str
    fewest_samples: int = 1
    owns_kl: bool = False  # does its objective contain the KL?
    hyper: dict = field(default_factory=dict)  # default hyper-parameters, those that a user may set
    omega: dict = field(default_factory=dict)  # its tunables' initial values
    omega_rate: float = 0.0  # the step size of plain gradient descent on omega


_ROWS = (
    Row(
        name="exact",
        title="exact marginalisation",
        estimate=exact,
        noise=(),
        unbiased=True,
        evaluations="K^N",
        gradient_of_f="none",
        lesson=4,
        paper="a sum over all states",
    ),
    Row(
        name="reinforce",
        title="REINFORCE, constant baseline",
        estimate=reinforce,
        noise=("z",),
        unbiased=True,
        evaluations="S",
        gradient_of_f="none",
        lesson=5,
        paper="Williams 1992",
        hyper={"baseline": 0.0},
    ),
    Row(
        name="reinforce_ema",
        title="REINFORCE, moving-average baseline",
        estimate=reinforce_ema,
        noise=("z",),
        unbiased=True,
        evaluations="S",
        gradient_of_f="none",
        lesson=6,
        paper="Williams 1992; Mnih & Gregor 2014",
        omega={"baseline": 0.0},
        omega_rate=0.1,
    ),
    Row(
        name="reinforce_loo",
        title="REINFORCE, leave-one-out baseline",
        estimate=reinforce_loo,
        noise=("z",),
        unbiased=True,
        evaluations="S",
        gradient_of_f="none",
        lesson=6,
        paper="Salimans & Knowles 2014; Kool et al. 2019",
        fewest_samples=2,
    ),
    Row(
        name="gumbel_softmax",
        title="Gumbel-Softmax (Concrete)",
        estimate=gumbel_softmax,
        noise=("u",),
        unbiased=False,
        evaluations="S",
        gradient_of_f="relaxed",
        lesson=7,
        paper="Jang et al. 2017; Maddison et al. 2017",
        hyper={"tau": 1.0},
    ),
    Row(
        name="straight_through_gumbel",
        title="straight-through Gumbel-Softmax",
        estimate=straight_through_gumbel,
        noise=("u",),
        unbiased=False,
        evaluations="S",
        gradient_of_f="discrete",
        lesson=7,
        paper="Jang et al. 2017",
        hyper={"tau": 1.0},
    ),
)

TABLE = {row.name: row for row in _ROWS}

__all__ = ["TABLE", "Estimate", "Row", *TABLE]
