"""The page that says which estimator to take: its words against the records."""

from functools import partial

import numpy as np
import pytest

from dvae_np import records
from dvae_np.experiments import equal_time, page_answer, page_larger, rule, yardsticks
from dvae_np.experiments.again import ranges_apart
from dvae_np.experiments.page_answer import CHAIN, FEW, HUGE, LARGE, ROWS, SINGLE, SMALL
from dvae_np.experiments.yardsticks import Measured

SHORT = (SMALL, LARGE, HUGE, SINGLE)
SEVERAL = (FEW, SMALL, LARGE, HUGE)


@pytest.fixture(scope="module")
def digits():
    return Measured("digits")


def test_the_words_about_the_exact_gradient(digits):
    level = lambda size: yardsticks.best(digits.sizes[size], "negative_elbo")
    assert (
        "exact" in level(SMALL) and level(SINGLE) == level(ROWS) == ["exact"] and level(LARGE) == ["local_expectation"]
    )
    assert digits.lead(LARGE) < -0.2 and digits.lead(CHAIN) < -0.2
    cost = records.read("rule")
    assert rule.exact_up_to(cost, 0.1) > 10_000 > 100 > rule.exact_up_to(cost, 1.0)
    waited = {size: np.median([each.waited for each in found]) for size, found in digits.sizes.items()}
    assert min(waited[SINGLE], waited[ROWS]) > 0.9  # still becoming better
    assert digits.nats(SINGLE, "rebar") > 27


def test_the_words_about_relaxations(digits):
    assert {"reinforce_loo", "reinmax"} <= set(yardsticks.best(digits.sizes[HUGE], "negative_elbo"))
    assert min(digits.behind("gumbel_softmax", "reinforce_loo")) > 0.15
    assert min(by_log_p := digits.behind("gumbel_softmax", "reinforce_loo", "negative_evidence")) < 0 < max(by_log_p)
    cost = records.read("rule")
    for model in (each for each in cost["models"] if each["name"] in ("independent 5x10", "independent 5x8")):
        soft, loo = (model[name]["costs"]["1.0"]["milliseconds"] for name in ("gumbel_softmax", "reinforce_loo"))
        assert 8 < loo / soft < 13
    seeds = lambda size, name: next(each for each in digits.sizes[size] if each.estimator == name).negative_elbo
    apart = {size: ranges_apart(seeds(size, "reinmax"), seeds(size, "gumbel_softmax")) for size in (FEW, *SHORT)}
    assert apart == {FEW: True, SMALL: False, LARGE: True, HUGE: True, SINGLE: True}
    assert digits.ahead("reinmax", HUGE) > 0.1 and all(
        digits.ahead("reinmax", size) < 0 for size in (FEW, LARGE, SINGLE)
    )
    default, best, _ = rule.lost_by_defaults(cost, 0.3)["gumbel_softmax"]
    assert default <= 2 and best == len(cost["models"])


def test_cold_is_right_for_few_categories_and_wrong_for_many(digits):
    table = [line.split(" | ")[1:] for line in page_answer.temperatures(digits).replace(" |\n", "\n").splitlines()[2:]]
    losses = np.array([[float(cell.strip(" |")) for cell in line] for line in table])
    assert losses.argmin(0).tolist() == [0, 0, 2] and losses.argmax(0).tolist() == [2, 2, 0]


def test_the_words_about_the_yardsticks(digits):
    """VIMCO has the best log p(x) where there are several latents, and its gap is the encoder's; the two contradict each other
    about Gumbel-Softmax with 4,096 categories, until the encoders are refitted."""
    assert all("vimco" == yardsticks.best(digits.sizes[size], "negative_evidence")[0] for size in SEVERAL)
    assert all(digits.nats(size, "vimco") > digits.nats(size, "reinforce_loo") + 0.4 for size in SEVERAL)
    runs = records.read("encoder-gaps")["runs"]
    part = lambda size, name, what: np.median([run[what] for run in runs[f"{size} {name}"].values()])
    assert part(SMALL, "vimco", "encoder") > 3 * part(SMALL, "vimco", "family")
    trials = {key: trial["validation"] for key, trial in digits.record["cells"][f"{SMALL} vimco"]["trials"].items()}
    assert sorted(trials, key=trials.get)[:2] == ["3", "2"]  # the largest step size, and the next
    gain = lambda size, what: part(size, "gumbel_softmax", what) - part(size, "reinforce_loo", what)
    assert (
        gain(SINGLE, "negative_evidence") < -0.1
        and gain(SINGLE, "negative_elbo") > 0.5
        and gain(SINGLE, "refitted") < 0
    )
    soft = lambda what: part(SMALL, "gumbel_softmax", what) - part(SMALL, "exact", what)
    assert 0.1 < soft("negative_evidence") < soft("negative_elbo")


def test_the_gaps_are_those_of_the_study(digits):
    """Trained again with the same seeds and settings, the models have the losses of the study."""
    for cell, runs in records.read("encoder-gaps")["runs"].items():
        for seed, run in runs.items():
            known = digits.record["cells"][cell]["runs"][seed]
            assert run["negative_elbo"] == pytest.approx(known["negative_elbo"], abs=0.01), (cell, seed)
            assert run["negative_evidence"] == pytest.approx(-known["log_likelihood"], abs=0.01), (cell, seed)
            parts = run["negative_evidence"] + run["family"] + run["encoder"]
            assert run["negative_elbo"] == pytest.approx(parts, abs=1e-6)


def test_the_words_about_larger_images(digits):
    """On MNIST relaxations lead by both yardsticks, Gumbel-Softmax at equal epochs too; on the digits it is behind."""
    mnist = Measured("mnist")
    assert yardsticks.best(mnist.sizes[HUGE], "negative_elbo") == ["reinmax"]
    assert set(yardsticks.best(mnist.sizes[HUGE], "negative_evidence")) == {"gumbel_softmax", "reinmax"}
    relaxations = set(page_larger.RELAXATIONS)
    for yardstick in yardsticks.YARDSTICKS:
        nats = lambda study, name, by=yardstick: study.nats(HUGE, name, by)
        assert (
            set(sorted((found.estimator for found in mnist.sizes[HUGE]), key=partial(nats, mnist))[:3]) == relaxations
        )
        assert nats(mnist, "gumbel_softmax") < nats(mnist, "reinforce_loo") - 3 < nats(mnist, "rebar") - 3
        assert nats(digits, "gumbel_softmax") > nats(digits, "reinforce_loo")
    assert nats(mnist, "gumbel_softmax") < nats(mnist, "vimco") - 3
    for name in relaxations:
        chosen = [study.choice(HUGE, name) for study in (digits, mnist)]
        taus = [(each["hyper"]["tau"], each.get("tau_end")) for each in chosen]
        differ = {"reinmax": [(1.0, None), (1.5, None)], "gumbel_softmax": [(0.2, None), (1.0, 0.3)]}
        assert taus == differ.get(name, taus)
        assert taus[1][0] == max(how["hyper"]["tau"] for how in equal_time.TEMPERATURES[name])
    assert sum(found.waited > 0.95 for found in mnist.sizes[HUGE]) > len(mnist.sizes[HUGE]) / 2
    warm, loo = (mnist.record["cells"][f"{HUGE} {name}"]["runs"]["1"] for name in ("gumbel_softmax", "reinforce_loo"))
    assert next(each for each in mnist.sizes[HUGE] if each.estimator == "reinforce_loo").waited > 0.95
    both = page_larger.in_step(warm["curve"], loo["curve"])
    ahead = [epoch for epoch, losses in both.items() if losses[1] < losses[0]]
    assert ahead == [epoch for epoch in both if ahead[0] <= epoch <= ahead[-1]]  # in one piece
    assert max(both) > ahead[-1] and both[max(both)][0] < both[max(both)][1] - 1
    assert all(abs(found.doubling) < 0.5 for found in mnist.sizes[HUGE])


def test_the_words_about_some_thousand_codes_on_larger_images(digits):
    mnist = Measured("mnist")
    level = {"reinforce_loo", "gumbel_softmax", "vimco"}
    assert set(yardsticks.best(mnist.sizes[SMALL], "negative_elbo")) == level
    assert yardsticks.best(mnist.sizes[SMALL], "negative_evidence") == ["vimco"]
    assert all(mnist.apart(SMALL, name, "reinforce_loo")[1] < -0.5 for name in page_larger.RELAXATIONS)
    assert mnist.lead(SMALL) < -1.5 < -0.1 < digits.lead(SMALL)
    assert next(found for found in mnist.sizes[SMALL] if found.estimator == "exact").waited == 1.0
    runs = mnist.record["cells"][f"{SMALL} exact"]["runs"].values()
    assert {run["epochs"] for run in runs} == {10}


def test_the_words_about_chains(digits):
    """Leave-one-out is the best by the ELBO and VIMCO by log p(x), with small images and with larger ones."""
    mnist = Measured("mnist")
    for study in (digits, mnist):
        assert yardsticks.best(study.sizes[CHAIN], "negative_elbo") == ["reinforce_loo"]
        assert yardsticks.best(study.sizes[CHAIN], "negative_evidence") == ["vimco"]
    assert mnist.steps(CHAIN, "exact") < mnist.steps(SMALL, "exact") / 10  # those are ten epochs
    for name in ("gumbel_softmax", "straight_through_gumbel"):
        assert 1.65 < mnist.steps(CHAIN, name) / mnist.steps(CHAIN, "reinforce_loo") < 1.75
        elbo, evidence = mnist.apart(CHAIN, name, "reinforce_loo")
        assert elbo > 1 and evidence <= 0
    curve = [loss for *_, loss in mnist.record["cells"][f"{CHAIN} gumbel_softmax"]["runs"]["1"]["curve"]]
    assert min(curve[: len(curve) // 2]) < max(curve[len(curve) // 3 :]) - 3 < min(curve) + 6 == curve[-2] + 6


def test_the_words_about_trials_that_were_shorter():
    """The two cells have a temperature that falls, and no other cell of MNIST has a trial that was better than its runs."""
    mnist = Measured("mnist")
    better = {
        (size, found.estimator) for size, many in mnist.sizes.items() for found in many
        if mnist.better_when_shorter(size, found.estimator)
    }  # fmt: skip
    assert better == {(CHAIN, "gumbel_softmax"), (SMALL, "straight_through_gumbel")}
    assert all("tau_end" in mnist.choice(*cell) for cell in better)


def test_a_smaller_size_does_not_stand_in_for_the_larger_one(monkeypatch):
    """A size that joins the record, and comes first, changes none of the words about the others."""
    mnist = Measured("mnist")
    words = page_larger.larger_images(mnist)
    assert LARGE not in mnist.sizes  # nor will be: it is a size of the digits
    monkeypatch.setattr(mnist, "sizes", {LARGE: Measured("digits").sizes[LARGE]} | mnist.sizes)
    assert page_larger.larger_images(mnist) == words
