"""Checks: what we derived, against what the numbers say, with the difference explained.

judging       is *your* estimator right? one verdict on a function (stranger: as a row), or on gradient samples
own_noise     one that draws by itself or remembers, by replicates in two ways; likeness: is it the row that it claims to be?
variances     two estimators side by side, at equal evaluations of f and at equal time
torch, jax    the same for functions of PyTorch and JAX (adapters: what both share); imported by name, where installed
own_objective anyone's f: what it takes, and which estimators that allows
backward      a forward and backward pair on trial: right; right, not analytic; wrong (trial, slopes, analytic: its parts)
differences   numeric gradients (complex step, central differences, Taylor remainder) and comparisons
hints         from a wrong gradient to the mistake that makes it
enumeration   exact means and variances of estimators: every outcome of the noise, weighted
verdicts      UNBIASED, NO BIAS FOUND, BIASED, INCONCLUSIVE, INVALID; samples: sums of a stream; bias: its size and intervals
exactly       any row's exact mean and covariance on one problem
toys          objectives small enough to know everything about
contract      what an estimator must keep whatever its mean is
suite         the whole verification; report prints it
identities    what must hold exactly; between estimators of one kind: score_functions, relaxations; between KLs: divergences
"""

from dvae_np.check.backward import OpVerdict, check_op
from dvae_np.check.differences import Comparison, central, comparison, complex_step, relative_error, taylor_order
from dvae_np.check.enumeration import (
    every_code,
    every_count,
    every_coupled,
    every_sequence,
    every_winner,
    expectation,
    gumbel_nodes,
    moments,
    multi_sample_bound,
    threshold_nodes,
    tiled,
)
from dvae_np.check.exactly import RowMoments, row_moments
from dvae_np.check.gumbel import additive_variance
from dvae_np.check.judging import judge, judge_samples
from dvae_np.check.means import defaults
from dvae_np.check.own_objective import ObjectiveReport, check_objective
from dvae_np.check.posteriors import results_of_law
from dvae_np.check.report import Report, Result
from dvae_np.check.toys import lookup_table, polynomial
from dvae_np.check.variances import VarianceRatio, compare_variance
from dvae_np.check.verdicts import Verdict, from_mean, from_samples

__all__ = [
    "Comparison",
    "ObjectiveReport",
    "OpVerdict",
    "Report",
    "Result",
    "RowMoments",
    "VarianceRatio",
    "Verdict",
    "additive_variance",
    "central",
    "check_objective",
    "check_op",
    "compare_variance",
    "comparison",
    "complex_step",
    "defaults",
    "every_code",
    "every_count",
    "every_coupled",
    "every_sequence",
    "every_winner",
    "expectation",
    "from_mean",
    "from_samples",
    "gumbel_nodes",
    "judge",
    "judge_samples",
    "lookup_table",
    "moments",
    "multi_sample_bound",
    "polynomial",
    "relative_error",
    "results_of_law",
    "row_moments",
    "taylor_order",
    "threshold_nodes",
    "tiled",
]  # fmt: skip
