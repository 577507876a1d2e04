"""The page's section on published toys: each with its figure, its table, what its paper reported, and what differs."""

import numpy as np

from dvae_np import records
from dvae_np.experiments import published_toys
from dvae_np.experiments.best_weights import TEMPERATURES
from dvae_np.experiments.published_toys import BEST, TOYS

PRINTED = 0.012753774  # a variance of 10,000 gradients in the notebook of Liu et al.
MANY = 1000  # inner draws of Paulus et al.


def toys():
    """All four toys."""
    record = records.read("published-toys")
    low, high = np.exp(TEMPERATURES[[0, -1]])
    return f"""\
## Published toys, exactly

`{record["command"]}`. The toys on which papers of the field drew variances, with every estimator of the table on each, and
without sampling: outcomes are enumerated, Gumbel noise is integrated. Each curve stands at the fewest samples that its
estimator takes, two for those that draw without replacement; the table says how often that evaluates f. A gradient is in the
parameters that the paper has, a bias is relative to the exact gradient's length. Rows with tunables stand twice, as they start
and{BEST[1:]}: with the weights, and the temperature from {low:g} to {high:g}, that have the least variance there. `nvil`
starts with a random network, so it takes off an arbitrary constant. `vimco`, `ovis` and `wake_phi` have the gradient of a
bound, and are left out.

{_bernoulli(record)}

{_three_bernoullis(record)}

{_polynomial(record)}

{_quadratic_form(record)}"""


def _shown(record, key, words):
    return f"![{words}]({published_toys.PICTURES[key]})\n\n{published_toys.toy_table(record, key, markdown=True)}"


def _start(record, key, case, name):
    """(variance, length of the gradient) at log-odds 0."""
    found, point = record["toys"][key][case], record["at"].index(0)
    return found["rows"][name]["variance"][point], found["gradient"][point]


def _bernoulli(record):
    at = {name: _start(record, "bernoulli", "t = 0.499", name)[0]
          for name in ("reinforce", "rebar", "rebar" + BEST, "muprop", "reinforce_loo", "arm")}  # fmt: skip
    return f"""\
### One Bernoulli with a target: REBAR, RELAX, ARM

f(b) = (b - t)^2. Tucker et al. 2017 took t = 0.45, Grathwohl et al. 2018 (section 6.1) t = 0.499, Yin & Zhou 2019 (section 4)
t = 0.49, 0.499, 0.501 and 0.51. Exchange the two values of b, and t = 0.501 is t = 0.499. The table is at probability 1/2,
where the code of RELAX starts.

{_shown(record, "bernoulli", "Exact variance and bias against the log-odds of b, t = 0.45, 0.49 and 0.499")}

- **Reported.** RELAX: curves of the log-variance of REINFORCE, REBAR and RELAX during a training, in which RELAX does best.
  ARM: with it the loss falls as with the exact gradient, much faster than by REINFORCE, REBAR and RELAX.
- **Here.** A Bernoulli has two outcomes, and with the baseline (1 - q) f(1) + q f(0) both give the same estimate: a constant
  takes *all* the variance away. RELAX's surrogate holds a constant. REBAR's is f at a relaxed code: a constant, eta f(1/2),
  only at an infinite temperature, and with a huge eta, as f(1/2) is nearly 0. So at t = 0.499 and its best REBAR still has
  {at["rebar" + BEST]:.2g}, as REINFORCE has ({at["reinforce"]:.2g}), and more as it starts (eta = 1, tau = 0.5),
  {at["rebar"]:.2g}. Leave-one-out has (1 - 2t)^2 q (1 - q) (1/2 - q (1 - q)), {at["reinforce_loo"]:.1g}, and ARM
  {at["arm"]:.1g}: both see only the difference of two values of f, which are almost equal. So the toy that is hard for REBAR
  is easy for a good constant.
- **What differs.** In the code of RELAX the tunables learn by Adam while q moves; here they stand as they start, and at their
  best. Its surrogate is a network of 10 rectified units, ours one of 16 tanh units."""


def _three_bernoullis(record):
    exact = record["second sample"]["variance"]
    return f"""\
### Three Bernoullis with one probability: sums over some states

f(b) = sum_i (b_i - c_i)^2, c = (0.6, 0.51, 0.48), and one logit for all three (Liu et al. 2019; Kool et al. 2020 adapt the
same notebook). The table is at log-odds 0 and -4, where both papers measure.

{_shown(record, "three-bernoullis", "Exact variance and bias against the shared log-odds of three Bernoullis")}

- **Reported.** Liu et al. print {PRINTED:.6f} for REINFORCE with a second, independent sample as baseline, of 10,000 gradients
  at log-odds 0. Its exact variance is {exact:.6f}; they are {PRINTED / exact - 1:.1%} apart, and the standard error of such
  a number is {record["second sample"]["error"]:.1%}. Kool et al. draw variances of 1,000 gradients each, for 1 to 8 states.
- **Here.** f is a sum over the latents. So a row with Gumbel noise is integrated one latent at a time, given the code. What
  counts is whether the states that matter are few: at log-odds -4 `unordered_set` with two states is far below leave-one-out,
  at 0 it is near it. `top_k` and `sum_and_sample` have no baseline, and at 0 it shows.
- **What differs.** At three latents RELAX's network is no sum over them: only its weights eta and b1 and its temperature are at
  their best. The papers give `top_k` and its kin a baseline too, from further evaluations."""


def _polynomial(record):
    ratio = {}
    for name in ("reinmax", "straight_through_gumbel", "gumbel_rao"):
        variance, length = _start(record, "polynomial", "p = 2", name)
        ratio[name] = variance / length**2
    return f"""\
### The polynomial: ReinMax

f(b) = 1/L sum_i |b_i - 0.45|^p with p = 1.5, 2 and 3, and a logit for each latent (Liu et al. 2023, with their code in `poly`).
There L = 128; here L = 2.

{_shown(record, "polynomial", "Exact variance and bias against the log-odds, for p = 1.5, 2 and 3")}

- **Reported.** The loss of a training by batches of 64, no variances. ReinMax is derived as exact to second order.
- **Here.** That is what the bias says: none at p = 2, and at p = 1.5 and 3 as much as plain straight-through has at
  probability 1/2. (There the two are the same.)
- **What L does.** A straight-through gradient of latent i sees the slope of its own term alone: bias, deviation and gradient
  are all divided by L. So variance over squared gradient is the same at any L: at p = 2 and probability 1/2 it is
  {ratio["straight_through_gumbel"]:.0f} for `straight_through_gumbel`, {ratio["gumbel_rao"]:.0f} for `gumbel_rao` and
  {ratio["reinmax"]:.0f} for `reinmax`. REINFORCE sees the whole f. With the mean of f as its baseline, variance over squared
  gradient is (1 - 3 q (1 - q)) / (q (1 - q)) + L - 2: 1 at L = 2, 127 at L = 128, where it is worse than all of these.
- **What differs.** Where p is no even number, f is not smooth at relaxed codes, and a quadrature over them converges slowly:
  `gumbel_softmax`, `stochastic_softmax`, `rebar` and `relax` are given at p = 2 alone."""


def _quadratic_form(record):
    left = []
    for case in TOYS["quadratic-form"].cases:
        rows = record["toys"]["quadratic-form"][case]["rows"]
        one, ten = (np.array(rows[name]["variance"]) for name in ("straight_through_gumbel", "gumbel_rao"))
        between = (10 * ten - one) / 9  # of the codes alone: n inner draws add (one - between) / n
        share = (between + (one - between) / MANY) / one
        left.append(f"{share.min():.0%} to {share.max():.0%} at {case}")
    return f"""\
### A quadratic form of one code: Gumbel-Rao

The minimum of (p - c)' Q (p - c) over three probabilities, Q_ij = exp(-2 |i - j|) and c_i = 1/3, as the mean of
f(D) = (D - c)' A(p) (D - c) of a one-hot D (Paulus et al. 2021, section 5.2). Category 1, the middle one, has the log-odds of
the axis, and the other two are equally probable.

{_shown(record, "quadratic-form", "Exact variance and bias along a line through the simplex, at temperatures 1 and 0.5")}

- **Reported.** Maps of the whole simplex: the trace of the covariance of Gumbel-Rao with {MANY:,} inner draws is below that of
  `straight_through_gumbel` everywhere, more so at low temperatures and near corners and edges.
- **Here.** {MANY:,} draws leave {" and ".join(left)} along this line. All rows have a variance of 0 at p = c, where f is 0, and
  f has a pole where two probabilities add up to 1/3 (category 1 at log-odds 0.69). Peaks and valleys of these
  curves are the toy's own shape, not the estimators'.
- **What differs.** A(p) is held while q moves: its own slope would add the same term to every estimator. Gumbel-Rao has ten
  inner draws in the table. The temperatures of the maps are not in the paper's text; 1 and 0.5 are ours."""
