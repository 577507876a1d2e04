"""What a newcomer adds, by the list in CONTRIBUTING and by nothing else: an estimator, an observation model, a law of q.

Each is added to a copy of the package, in two files; then the verification, the comparison, figures, README's table and the
command line of the copy run on it. A wrong version of either must be seen by the same commands.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ESTIMATOR = '''"""REINFORCE where the median of the other samples is each sample's baseline."""

import numpy as np

from dvae_np.arrays import evaluated
from dvae_np.estimators.estimate import Estimate
from dvae_np.laws import law_and_codes


def reinforce_median(q, f, z):
    """(f(z_s) - median of f over the other samples) times the score of z_s [Eq. 6.1].

    Approximates: the gradient of E_q[f] in the parameters of q.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     Yes: each sample's baseline is made of the other, independent samples.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). Raises InputError for S = 1.
    """
    q, z = law_and_codes(q, z, fewest=2)
    fz, f_backward = evaluated(f, z)  # (S, B)
    baseline = np.stack([np.median(np.delete(fz, s, 0), 0) for s in range(len(z))])
    dq = q.log_prob(z)[1]((fz - baseline) / len(z))
    _, dtheta = f_backward(np.full_like(fz, 1 / len(z)))  # Monte Carlo [Eq. 5.1]
    return Estimate(fz.mean(0), dq, dtheta)
'''
ROW = """    Row("reinforce_median", "REINFORCE, median baseline", reinforce_median,
        family=SCORE, asks="log_prob", noise=("z",), unbiased=True,
        lesson=6, paper="ours", fewest_samples=2),
"""
LIKELIHOOD = '''"""Pixels that are counts, one after the other with the same chance to stop."""

import numpy as np

from dvae_np.arrays import expect_pixels
from dvae_np.likelihoods.likelihood import Likelihood
from dvae_np.ops import sigmoid, softplus


def geometric(a, x):
    """-log p(x|z) for counts x with the chance sigmoid(a) of one more: sum_d x_d softplus(-a_d) + softplus(a_d), in nats."""
    expect_pixels("geometric", a, x)
    more, more_backward = softplus(-a)
    stop, stop_backward = softplus(a)

    def backward(dvalue):
        dvalue = np.broadcast_to(dvalue[..., None], np.broadcast_shapes(a.shape, (1, *x.shape)))
        da = stop_backward(1)[...] * dvalue - more_backward(1) * (x * dvalue)
        return (da.sum(1, keepdims=True) if a.shape[1] == 1 else da), None

    return (x * more + stop).sum(-1), backward


def mean(a, D):
    return np.exp(a)


def draw(rng, a, D):
    return np.floor(np.log(rng.random(a.shape, dtype=a.dtype)) / np.log(sigmoid(a)[0]))


def start(x, levels):
    return np.log((x.sum(0) + 0.5) / (len(x) + 0.5))


GEOMETRIC = Likelihood("geometric", "counts, geometric", geometric, mean, draw, start, pixels="counts",
                       support=lambda levels: (np.arange(3000.0), np.ones(3000)))  # fmt: skip
'''
LAW = '''"""Independent latents whose logits are all multiplied by one factor for each latent."""

from typing import NamedTuple

import numpy as np

from dvae_np.arrays import summed_to
from dvae_np.laws import Independent


class Sharpened(NamedTuple):
    """q(z) = prod_n softmax(factor_n logits_n)[z_n]."""

    logit: np.ndarray  # (B, N, K)
    factor: np.ndarray  # (B or 1, N, 1)

    @property
    def sizes(self):
        return self.logit.shape

    def _plain(self):
        return Independent(self.factor * self.logit)

    def _own(self, dq):
        return Sharpened(self.factor * dq.logits, summed_to(self.factor.shape, (self.logit * dq.logits).sum(-1, keepdims=True)))

    def _asked(self, method, *arguments):
        value, backward = getattr(self._plain(), method)(*arguments)
        return value, lambda dvalue: self._own(backward(dvalue))

    def log_prob(self, z):
        return self._asked("log_prob", z)

    def marginals(self):
        return self._asked("marginals")

    def entropy(self):
        return self._asked("entropy")

    def probability(self):
        op = self._plain().probability()
        return lambda states: ((pair := op(states))[0], lambda dvalue: self._own(pair[1](dvalue)))

    def score(self, z):
        dlogits = self._plain().score(z).logits
        return Sharpened(self.factor * dlogits, (self.logit * dlogits).sum(-1, keepdims=True))

    def codes(self, u):
        return self._plain().codes(u)

    def mode(self):
        return self._plain().mode()

    def kl(self, p=None):
        parts, backward = self.kl_parts(p)
        return parts.sum(-1), lambda dvalue: backward(np.broadcast_to(dvalue[:, None], parts.shape))

    def kl_parts(self, p=None):
        known = p._plain() if isinstance(p, Sharpened) else p
        value, backward = self._plain().kl_parts(known)

        def both(dvalue):
            dq, dp = backward(dvalue)
            return self._own(dq), dp if known is p else p._own(dp)

        return value, both
'''
OF_NETWORKS = '''def sharpened(psi, x, c=None, activation=relu):
    """The logits of the network, each latent's multiplied by psi's ``factor``."""
    q, q_backward = independent(psi, x, c, activation)
    backward = lambda dq: q_backward(Independent(dq.logit)) | {"factor": dq.factor[0]}
    return Sharpened(q.logits, 1 + psi["factor"][None]), backward


'''
ON_THE_LAW = """
import sys
from dvae_np import cli
from dvae_np.check import suite

suite.TABLE = {}
for part in ("op", "identity", "structured", "observation", "sampler", "relation"):
    setattr(suite, f"{part}_results", lambda: ())
status = cli.main(["verify"])
train = ["train", "--data", "bars", "--posterior", "sharpened", *"--N 2 --K 3 --S 2 --epochs 1 --hidden 4".split()]
for name in ("reinforce_loo", "straight_through"):
    assert cli.main([*train, "--estimator", name, "--prior", "learned", "--out", name]) == 0
    for verb in ("show", "evaluate", "sample"):
        assert cli.main([verb, name]) == 0
assert cli.main([*train, "--estimator", "gumbel_softmax", "--out", "refused"]) == 2
sys.exit(status)
"""
ON_THE_ESTIMATOR = """
import dvae_np, re, sys
from pathlib import Path
from dvae_np import cli, figures
from dvae_np.check import suite
from dvae_np.estimators import TABLE, markdown_by_lesson
from dvae_np.experiments import compare, tuning

name = "reinforce_median"
for only in (suite, compare, tuning):  # the other rows are verified and compared elsewhere
    only.TABLE = {key: TABLE[key] for key in ("exact", name)}
for part in ("op", "identity", "law", "structured", "observation", "objective", "sampler", "relation"):
    setattr(suite, f"{part}_results", lambda: ())
status = cli.main(["verify"])
assert dvae_np.reinforce_median is TABLE[name].estimate and name in dvae_np.__all__
compare.REPLICATES = compare.SWEEP_REPLICATES = 40
assert cli.main(["compare", "--problem", "toy", "--evaluations", "6", "--N", "1", "--K", "4", "--out", "compared"]) == 0
assert figures.STYLE[name]["color"] == figures.STYLE["reinforce_loo"]["color"]
assert figures.STYLE[name]["marker"] not in [style["marker"] for other, style in figures.STYLE.items()
                                             if other != name and style["color"] == figures.STYLE[name]["color"]]
readme = Path("README.md").read_text()
table = re.search(r"(?<=<!-- estimators -->\\n)(.*?)(?=\\n<!-- end of estimators -->)", readme, re.S)[0]
Path("README.md").write_text(readme.replace(table, markdown_by_lesson()))
assert f"`{name}`" in Path("README.md").read_text()
train = ["train", "--data", "bars", "--estimator", name, "--N", "2", "--K", "3", "--epochs", "1", "--hidden", "4"]
assert cli.main([*train, "--out", "run"]) == 0 and cli.main(["show", "run"]) == 0
sys.exit(status)
"""
ON_THE_LIKELIHOOD = """
import sys
import numpy as np
from dvae_np import cli
from dvae_np.check import suite

suite.TABLE = {}
for part in ("identity", "law", "structured", "objective", "sampler", "relation"):
    setattr(suite, f"{part}_results", lambda: ())
status = cli.main(["verify"])
train = ["train", "--data", "digits", "--likelihood", "geometric", "--N", "2", "--K", "3", "--epochs", "1", "--hidden", "4"]
assert cli.main([*train, "--out", "run"]) == 0
for verb in ("show", "evaluate", "sample"):
    assert cli.main([verb, "run"]) == 0
drawn = np.load("run/samples.npz")
assert (drawn["x"] == np.rint(drawn["x"])).all() and (drawn["mean"] > 0).all()
sys.exit(status)
"""


def added(folder, files):
    """A copy of the package and README with these files: {name: its text, or pairs (place, what to put before it)}."""
    shutil.copytree(ROOT / "dvae_np", folder / "dvae_np", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", folder)
    for name, change in files.items():
        path = folder / "dvae_np" / name
        if isinstance(change, str):
            path.write_text(change)
            continue
        text = path.read_text()
        for place, what in change:
            assert text.count(place) == 1, (name, place)
            text = text.replace(place, what + place)
        path.write_text(text)


def outcome(folder, script):
    """(status, output) of a script of the copy."""
    surroundings = os.environ | {"PYTHONPATH": str(folder)}
    found = subprocess.run([sys.executable, "-c", script], cwd=folder, env=surroundings, capture_output=True, text=True)
    return found.returncode, found.stdout + found.stderr


def verified(script):
    """The script as far as the verification, with its status."""
    verify = 'status = cli.main(["verify"])\n'
    return script.split(verify)[0] + verify + "sys.exit(status)"


def with_estimator(folder, source=ESTIMATOR, row=ROW, script=ON_THE_ESTIMATOR):
    line = "from dvae_np.estimators.reinforce_median import reinforce_median\n"
    files = {
        "estimators/reinforce_median.py": source,
        "estimators/table.py": [("from dvae_np.estimators.reinmax", line), (")\n# fmt: on", row)],
    }
    added(folder, files)
    return outcome(folder, script)


def with_likelihood(folder, source=LIKELIHOOD, script=ON_THE_LIKELIHOOD):
    line = "from dvae_np.likelihoods.geometric import GEOMETRIC\n"
    table = [("from dvae_np.likelihoods.likelihood", line), ("POISSON)}", "GEOMETRIC, ")]
    added(folder, {"likelihoods/geometric.py": source, "likelihoods/__init__.py": table})
    return outcome(folder, script)


def with_law(folder, source=LAW, script=ON_THE_LAW):
    places = [
        ("from dvae_np.ops import log_softmax", "from dvae_np.sharpened import Sharpened\n"),
        ("@dataclass(frozen=True)\nclass Posterior", OF_NETWORKS),
        (
            '    "chain": Posterior(',
            '    "sharpened": Posterior(Sharpened, sharpened, lambda N, K: {"factor": ((N, 1), 0.0)}),\n',
        ),
    ]
    added(folder, {"sharpened.py": source, "structure.py": places})
    return outcome(folder, script)


def test_a_new_law_of_q_is_one_file_an_op_and_a_row(tmp_path):
    status, words = with_law(tmp_path)
    assert status == 0, words


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("(self.logit * dq.logits).sum(-1, keepdims=True)))", "dq.logits.sum(-1, keepdims=True)))", "wrong: dq_factor"),
        ("return self._plain().codes(u)", "return Independent(self.logit).codes(u)", "codes: shares of 9 states"),
        ("return self._plain().mode()", "return (-self.logit).argmax(-1)", "the most probable codes"),
    ],
)
def test_a_wrong_law_is_seen(tmp_path, right, wrong, says):
    assert LAW.count(right) == 1
    status, words = with_law(tmp_path, LAW.replace(right, wrong), verified(ON_THE_LAW))
    assert status != 0 and re.search(f"FAILED.*{re.escape(says)}", words), words


def test_a_new_estimator_is_one_file_and_one_row(tmp_path):
    status, words = with_estimator(tmp_path)
    assert status == 0, words
    assert re.search(r"reinforce_median .*UNBIASED", words)


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("np.delete(fz, s, 0)", "fz", "BIASED"),
        ("fewest_samples=2", "fewest_samples=2, evaluations=THREE_EACH", "the row says"),
    ],
)
def test_a_wrong_estimator_or_row_is_seen(tmp_path, right, wrong, says):
    assert (ESTIMATOR + ROW).count(right) == 1
    status, words = with_estimator(
        tmp_path, ESTIMATOR.replace(right, wrong), ROW.replace(right, wrong), verified(ON_THE_ESTIMATOR)
    )
    assert status != 0 and says in words, words


def test_a_new_observation_model_is_one_file_and_one_row(tmp_path):
    status, words = with_likelihood(tmp_path)
    assert status == 0, words


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("(x * more + stop).sum(-1)", "(x * more).sum(-1)", "probabilities of a pixel sum to 1"),
        ("- more_backward(1) * (x * dvalue)", "+ more_backward(1) * (x * dvalue)", "wrong: da"),
        ("return np.exp(a)\n", "return np.exp(a / 2)\n", "mean: the sum of x p(x)"),
        ("np.log(sigmoid(a)[0]))", "np.log(sigmoid(a / 2)[0]))", "draws"),
        ("(len(x) + 0.5))", "(2 * len(x) + 0.5))", "the first image"),
    ],
)
def test_a_wrong_observation_model_is_seen(tmp_path, right, wrong, says):
    assert LIKELIHOOD.count(right) == 1
    status, words = with_likelihood(tmp_path, LIKELIHOOD.replace(right, wrong), verified(ON_THE_LIKELIHOOD))
    assert status != 0 and re.search(f"FAILED.*{re.escape(says)}", words), words
