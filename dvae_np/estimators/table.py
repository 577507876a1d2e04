"""The estimators' table: a row is all that a reader, a test, a figure or a trainer must know of one."""

import numpy as np

from dvae_np.estimators.arm import arm
from dvae_np.estimators.carms import carms
from dvae_np.estimators.decoupled_straight_through import decoupled_straight_through
from dvae_np.estimators.disarm import disarm
from dvae_np.estimators.double_cv import double_cv
from dvae_np.estimators.exact import exact
from dvae_np.estimators.gapped_straight_through import gapped_straight_through
from dvae_np.estimators.gumbel_rao import gumbel_rao
from dvae_np.estimators.gumbel_softmax import gumbel_softmax
from dvae_np.estimators.local_expectation import local_expectation
from dvae_np.estimators.muprop import muprop
from dvae_np.estimators.nvil import nvil
from dvae_np.estimators.ovis import ovis
from dvae_np.estimators.rebar import rebar
from dvae_np.estimators.reinforce import reinforce
from dvae_np.estimators.reinforce_ema import reinforce_ema
from dvae_np.estimators.reinforce_loo import reinforce_loo
from dvae_np.estimators.reinforce_optimal import reinforce_optimal
from dvae_np.estimators.reinmax import reinmax
from dvae_np.estimators.relax import relax
from dvae_np.estimators.rodeo import rodeo
from dvae_np.estimators.row import ASKED, COUPLED, EXACT, RELAXED, SCORE, SETS, STRAIGHT, Evaluations, Row
from dvae_np.estimators.stochastic_softmax import stochastic_softmax
from dvae_np.estimators.straight_through import straight_through
from dvae_np.estimators.straight_through_gumbel import straight_through_gumbel
from dvae_np.estimators.sum_and_sample import sum_and_sample
from dvae_np.estimators.top_k import top_k
from dvae_np.estimators.unordered_set import unordered_set
from dvae_np.estimators.vimco import vimco
from dvae_np.estimators.wake_phi import wake_phi
from dvae_np.initial import mlp_parameters

EVERY_STATE = Evaluations("K^N", lambda S, N, K: K**N)
THREE_EACH = Evaluations("3 S", lambda S, N, K: 3 * S)

HIDDEN = 16  # of the networks that estimators bring along


def _centres(rng, N, K):
    return {"baseline": np.zeros(())}


def _nvil_omega(rng, N, K):
    network = mlp_parameters(rng, (N * K, HIDDEN, 1), np.float64)
    return network | {"centre": np.zeros(()), "variance": np.ones(())}


def _rebar_omega(rng, N, K):
    return {"eta": np.ones(()), "log_tau": np.log(0.5) * np.ones(())}


def _relax_omega(rng, N, K):
    surrogate = mlp_parameters(rng, (N * K, HIDDEN, 1), np.float64)
    return _rebar_omega(rng, N, K) | surrogate | {"w1": 0 * surrogate["w1"], "b1": 0 * surrogate["b1"]}


# fmt: off
_ROWS = (
    Row("exact", "exact marginalisation", exact,
        family=EXACT, asks="probability", noise=(), unbiased=True,
        lesson=4, paper="a sum over all states", evaluations=EVERY_STATE, hyper={"block": 1024}),
    Row("reinforce", "REINFORCE, constant baseline", reinforce,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=5, paper="Williams 1992", hyper={"baseline": 0.0}),
    Row("reinforce_ema", "REINFORCE, moving-average baseline", reinforce_ema,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=6, paper="Williams 1992; Mnih & Gregor 2014", omega=_centres, tunes="baseline", omega_step=("sgd", 0.1)),
    Row("reinforce_optimal", "REINFORCE, baseline of least variance", reinforce_optimal,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=6, paper="Weaver & Tao 2001; Greensmith et al. 2004", fewest_samples=2),
    Row("nvil", "REINFORCE, input-dependent baseline (NVIL)", nvil,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=6, paper="Mnih & Gregor 2014", hyper={"normalise": False}, omega=_nvil_omega, tunes="baseline",
        omega_step=("sgd", 0.01)),
    Row("reinforce_loo", "REINFORCE, leave-one-out baseline", reinforce_loo,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=6, paper="Salimans & Knowles 2014; Kool et al. 2019", fewest_samples=2),
    Row("gumbel_softmax", "Gumbel-Softmax (Concrete), Gumbel-CRF", gumbel_softmax,
        family=RELAXED, asks="relaxed_codes", noise=("u",), unbiased=False,
        lesson=7, paper="Jang et al. 2017; Maddison et al. 2017", relaxed=True, gradient_of_f="relaxed",
        hyper={"tau": 1.0}),
    Row("straight_through_gumbel", "straight-through Gumbel-Softmax, Gumbel-CRF", straight_through_gumbel,
        family=STRAIGHT, asks="relaxed_codes", noise=("u",), unbiased=False,
        lesson=7, paper="Jang et al. 2017", gradient_of_f="discrete", hyper={"tau": 1.0}),
    Row("straight_through", "straight-through, of one-hots or marginals", straight_through,
        family=STRAIGHT, asks="marginals", noise=("z",), unbiased=False,
        lesson=8, paper="Bengio et al. 2013", gradient_of_f="discrete", hyper={"tau": 1.0}),
    Row("decoupled_straight_through", "straight-through, two temperatures", decoupled_straight_through,
        family=STRAIGHT, noise=("u",), unbiased=False,
        lesson=8, paper="Shah et al. 2024", gradient_of_f="discrete", hyper={"tau_forward": 1.0, "tau_backward": 2.0}),
    Row("gumbel_rao", "Gumbel-Rao, 10 inner draws", gumbel_rao,
        family=STRAIGHT, noise=("z", *10 * ("v",)), unbiased=False,
        lesson=8, paper="Paulus et al. 2021", gradient_of_f="discrete", hyper={"tau": 1.0}),
    Row("gapped_straight_through", "gapped straight-through", gapped_straight_through,
        family=STRAIGHT, noise=("z",), unbiased=False,
        lesson=8, paper="Fan et al. 2022", gradient_of_f="discrete", hyper={"tau": 1.0, "gap": 1.0}),
    Row("reinmax", "ReinMax", reinmax,
        family=STRAIGHT, noise=("z",), unbiased=False,
        lesson=8, paper="Liu et al. 2023", gradient_of_f="discrete", hyper={"tau": 1.0}),
    Row("vimco", "VIMCO (multi-sample bound)", vimco,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=9, paper="Mnih & Rezende 2016", fewest_samples=2, owns_kl=True, hyper={"mean": "geometric"}),
    Row("ovis", "OVIS (multi-sample bound)", ovis,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=9, paper="Lievin et al. 2020", fewest_samples=2, owns_kl=True, hyper={"gamma": 0.0}),
    Row("muprop", "MuProp", muprop,
        family=RELAXED, asks="marginals", noise=("z",), unbiased=True,
        lesson=10, paper="Gu et al. 2016", evaluations=Evaluations("S + 1", lambda S, N, K: S + 1),
        gradient_of_f="relaxed"),
    Row("rebar", "REBAR", rebar,
        family=RELAXED, noise=("u", "v"), unbiased=True,
        lesson=10, paper="Tucker et al. 2017", evaluations=THREE_EACH, gradient_of_f="relaxed", omega=_rebar_omega,
        tunes="variance", omega_step=("adam", 0.01)),
    Row("relax", "RELAX", relax,
        family=RELAXED, noise=("u", "v"), unbiased=True,
        lesson=11, paper="Grathwohl et al. 2018", evaluations=THREE_EACH, gradient_of_f="relaxed", omega=_relax_omega,
        tunes="variance", omega_step=("adam", 0.01)),
    Row("local_expectation", "local expectation gradient", local_expectation,
        family=SETS, noise=("z",), unbiased=True,
        lesson=12, paper="Titsias & Lazaro-Gredilla 2015", evaluations=Evaluations("S N K", lambda S, N, K: S * N * K)),
    Row("top_k", "top-k and a sample of the rest", top_k,
        family=SETS, asks="log_prob", noise=("distinct",), unbiased=True,
        lesson=12, paper="Liu et al. 2019", averages=False),
    Row("sum_and_sample", "sum and sample, without replacement", sum_and_sample,
        family=SETS, asks="log_prob", noise=("distinct",), unbiased=True,
        lesson=12, paper="Liang et al. 2018; Kool et al. 2020", averages=False),
    Row("unordered_set", "unordered set, without replacement", unordered_set,
        family=SETS, asks="log_prob", noise=("distinct",), unbiased=True,
        lesson=12, paper="Kool, van Hoof & Welling 2020", most_samples=8, averages=False, hyper={"baseline": True}),
    Row("arm", "ARM", arm,
        family=COUPLED, noise=("e",), unbiased=True,
        lesson=13, paper="Yin & Zhou 2019", evaluations=Evaluations("2 S", lambda S, N, K: 2 * S), binary=True),
    Row("disarm", "DisARM", disarm,
        family=COUPLED, noise=("coupled",), unbiased=True,
        lesson=13, paper="Dong et al. 2020; Yin et al. 2020", fewest_samples=2, most_samples=2, binary=True),
    Row("carms", "CARMS, coupled samples", carms,
        family=COUPLED, noise=("coupled",), unbiased=True,
        lesson=13, paper="Dimitriev & Zhou 2021; Dong et al. 2021", fewest_samples=2),
    Row("double_cv", "double control variates", double_cv,
        family=COUPLED, noise=("z",), unbiased=True,
        lesson=13, paper="Titsias & Shi 2022", gradient_of_f="discrete", fewest_samples=2,
        omega=lambda rng, N, K: {"alpha": np.zeros(())}, tunes="variance", omega_step=("adam", 0.01)),
    Row("rodeo", "RODEO, with tangents", rodeo,
        family=COUPLED, noise=("z",), unbiased=True,
        lesson=13, paper="Shi et al. 2022", gradient_of_f="discrete", fewest_samples=2,
        omega=lambda rng, N, K: {"alpha": np.zeros(()), "beta": np.zeros(())}, tunes="variance",
        omega_step=("adam", 0.01)),
    Row("stochastic_softmax", "stochastic softmax (perturbed marginals)", stochastic_softmax,
        family=RELAXED, asks="marginals", noise=("u",), unbiased=False,
        lesson=20, paper="Paulus et al. 2020", relaxed=True, gradient_of_f="relaxed", hyper={"tau": 1.0}),
    Row("wake_phi", "wake-phi (reweighted wake-sleep)", wake_phi,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=False,
        lesson=22, paper="Bornschein & Bengio 2015", fewest_samples=2, owns_kl=True),
)
# fmt: on

TABLE = {row.name: row for row in _ROWS}


COLUMNS = {  # of the table for readers: the heading, and what stands below it
    "estimator": lambda row: f"`{row.name}`",
    "what it is": lambda row: row.title,
    "unbiased": lambda row: "yes" if row.unbiased else "no",
    "lesson": lambda row: f"{row.lesson:02}",
    "evaluations of f": lambda row: row.evaluations.words,
    "gradient of f at": lambda row: row.gradient_of_f,
    "asks of q": lambda row: ASKED[row.asks],
    "paper": lambda row: row.paper,
}


def markdown_table():
    """The table for readers, in Markdown: one line an estimator."""
    return _markdown(COLUMNS, [[column(row) for column in COLUMNS.values()] for row in _ROWS])


def markdown_by_lesson():
    """The estimators' names in Markdown: one line a lesson, those that are unbiased beside those that are not."""
    lines = []
    for lesson in sorted({row.lesson for row in _ROWS}):
        taught = [[f"`{row.name}`" for row in _ROWS if row.lesson == lesson and row.unbiased == unbiased]
                  for unbiased in (True, False)]  # fmt: skip
        lines.append([f"{lesson:02}", *map(", ".join, taught)])
    return _markdown(("lesson", "unbiased", "biased"), lines)


def _markdown(headings, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in (headings, len(headings) * ("---",), *lines))
