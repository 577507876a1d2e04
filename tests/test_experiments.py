"""The arithmetic of the experiments: what they count, what they average, and what their tables make of it."""

from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dvae_np import records, vae
from dvae_np.check import enumeration
from dvae_np.check.means import defaults
from dvae_np.estimators import TABLE
from dvae_np.experiments import (
    compare,
    completion,
    equal_time,
    first_model,
    first_steps,
    gradient_problems,
    measurement,
    reproduce,
    rule,
    sweep,
    tour,
    tuning,
    yardsticks,
)
from dvae_np.initial import prior_parameters
from dvae_np.laws import joint_states
from dvae_np.networks import encoder
from dvae_np.noise import draw
from dvae_np.ops import softmax
from dvae_np.structure import PRIORS
from dvae_np.train import Settings, load

PROBLEM = gradient_problems.toy_problem(2, 3)
BINARY = gradient_problems.toy_problem(3, 2)


def problem_of(row):
    return BINARY if row.binary else PROBLEM


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
@pytest.mark.parametrize("evaluations", [2, 6, 12, 40])
def test_evaluations_are_those_that_f_sees(row, evaluations):
    """For each example; and as many as were asked for, or the fewest that the row takes, but never one sample more."""
    problem = problem_of(row)
    (logits, f), *_ = problem.examples
    B, seen = 4, []

    def counting(z):
        fz, f_backward = f(z)
        if np.isrealobj(fz):  # those at complex points are of the tunables, and dual numbers of the same
            seen.append(len(z) * max(1, z.shape[1] // B))  # states that the batch shares are one row
        return fz, f_backward

    count = lambda S: row.evaluations.count(S, problem.N, problem.K)
    line = measured(row, evaluations, measurement.GROUPS * 2)
    S, told = line["samples"], line["evaluations"]
    calls = told // count(S)
    many, rng = np.repeat(logits, B, 0), np.random.default_rng(0)
    for _ in range(calls):
        row.estimate(many, counting, *draw(rng, many, S, row.noise), **defaults(row, problem.N, problem.K))
    assert sum(seen) == told == calls * count(S) and S == row.samples_for(evaluations, problem.N, problem.K)
    if not row.noise:
        assert (S, told) == (1, problem.K**problem.N)
        return
    if row.most_samples == 2:
        assert (S, told) == (2, evaluations // 2 * 2)
        return
    limit = row.most_samples if "distinct" not in row.noise else min(row.most_samples, problem.K**problem.N)
    assert told <= max(evaluations, count(row.fewest_samples))
    assert count(S + 1) > evaluations or limit == S


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.noise and row.noise != ("z",)])
def test_what_is_drawn_is_what_is_told(name):
    """The evaluations of f in the measurement itself, where it draws; estimators of pairs are called several times."""
    row, seen, replicates = TABLE[name], [], measurement.GROUPS * 2
    problem = problem_of(row)
    (logits, f), *_ = problem.examples

    def counting(z):
        if np.isrealobj(z) and z.shape[1] == replicates:  # not the exact gradient's, nor those for the tunables
            seen.append(len(z))
        return f(z)

    problem = replace(problem, examples=[(logits, counting)])
    line = measurement.measure(
        row, problem, 12, defaults(row, problem.N, problem.K), np.random.default_rng(0), replicates, timed=False
    )
    assert sum(seen) == line["evaluations"]


def test_the_examples_of_a_toy_are_the_first_of_its_batches():
    logits, f = PROBLEM.batch(len(PROBLEM.examples), np.float64)
    codes = joint_states(PROBLEM.N, PROBLEM.K)[:, None]
    for batched, (one, own) in zip(logits, PROBLEM.examples, strict=True):
        np.testing.assert_array_equal(one[0], batched)
        np.testing.assert_array_equal(own(codes)[0], f(codes)[0])


def measured(row, evaluations, replicates=4000, seed=0):
    problem = replace(problem_of(row), examples=problem_of(row).examples[:2])
    hyper = defaults(row, problem.N, problem.K)
    return measurement.measure(row, problem, evaluations, hyper, np.random.default_rng(seed), replicates, timed=False)


@pytest.mark.parametrize("name", ["reinforce", "reinmax", "muprop"])
def test_an_enumerated_variance_is_that_of_s_samples(name):
    """For S = 2 by all pairs of codes; the bias does not change with S."""
    row, S = TABLE[name], 2
    line = measured(row, row.evaluations.count(S, PROBLEM.N, PROBLEM.K))
    off = variance = total = 0
    for logits, f in PROBLEM.examples[:2]:
        z, weights = enumeration.every_code(logits, S)
        dlogits = row.estimate(enumeration.tiled(logits, len(weights)), f, z).dlogits
        mean, spread = enumeration.moments(weights, dlogits)
        exact = TABLE["exact"].estimate(logits, f).dlogits[0]
        off, variance, total = off + ((mean - exact) ** 2).sum(), variance + spread.sum(), total + (exact**2).sum()
    assert (line["samples"], line["variance_from"]) == (S, "exact")
    assert line["variance"] == pytest.approx(variance / total, rel=1e-10)
    assert line["bias"] == pytest.approx(0 if row.unbiased else (off / total) ** 0.5, rel=1e-10)


def test_a_sampled_bias_has_the_noise_of_its_mean_taken_off():
    """An unbiased estimator, told to be biased: its squared bias is 0 on average, not the variance of the mean."""
    row = replace(TABLE["reinforce_loo"], unbiased=False)
    lines = [measured(row, 4, 400, seed) for seed in range(6)]
    noise = (np.mean([line["variance"] for line in lines]) / 20) ** 0.5  # of the mean of each of the 20 groups
    assert np.mean([line["bias"] ** 2 for line in lines]) ** 0.5 < 0.5 * noise
    biased = replace(row, estimate=lambda *a, **h: (found := row.estimate(*a, **h))._replace(dq=1.5 * found.dlogits))
    assert measured(biased, 60)["bias"] == pytest.approx(0.5, abs=0.05)


def test_intervals_hold_the_spread_of_repeated_measurements():
    lines = [measured(TABLE["reinforce_loo"], 4, 200, seed) for seed in range(40)]
    stated = np.mean([line["variance_half_width"] for line in lines])
    assert 0.6 < 1.96 * np.std([line["variance"] for line in lines], ddof=1) / stated < 1.5


def test_tables_show_the_error_of_bias_and_variance():
    line = {"estimator": "reinmax", "samples": 3, "evaluations": 3, "bias": 0.3, "bias_half_width": 0.1, "variance": 0.16,
            "bias_from": "enumerated", "variance_half_width": 0.0, "variance_from": "exact", "milliseconds": 2.0}  # fmt: skip
    words = compare.comparison_table({"lines": [line]}).splitlines()[-1].split()
    assert words == ["reinmax", "3", "3", "0.300,", "enumerated", "0.16,", "exact", "0.50", "2.0"]
    sampled = line | {"bias_from": "sampled"}
    assert "0.300 ± 0.1  0.16, exact" in compare.comparison_table({"lines": [sampled]})


@pytest.mark.parametrize("name", [row.name for row in TABLE.values() if row.omega])
def test_tunables_are_learned_by_the_mean_over_the_batch(name, monkeypatch):
    """Twice the same images teach the same."""
    monkeypatch.setattr(tuning, "TUNING_STEPS", 1)
    row = TABLE[name]
    logits, f = problem_of(row).batch(10, np.float64)
    monkeypatch.setattr(tuning, "draw", lambda rng, logits, S, names: tuple(
        np.concatenate([noise] * (len(logits) // 10), 1) for noise in draw(np.random.default_rng(0), logits[:10], S, names)
    ))  # fmt: skip
    learned = [
        tuning.tuned(row, replace(problem_of(row), batch=lambda size, dtype, n=n: (np.tile(logits, (n, 1, 1)), f)),
                      max(1, row.fewest_samples), None)["omega"]
        for n in (1, 3)
    ]  # fmt: skip
    for each in learned[0]:
        np.testing.assert_allclose(*(omega[each] for omega in learned), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_milliseconds_to_an_error_are_those_of_the_fewest_samples_that_reach_it(bias):
    line = {"bias": bias / 2, "bias_at_most": bias, "variance": 0.5, "milliseconds": 3.0}
    for error in (1.0, 0.3, 0.1):
        times = rule.milliseconds_to_error(line, error)
        if bias >= error:
            assert times is None
            continue
        n = np.arange(1, 100_001) / 100  # as many times the samples that were measured
        reached = n[(n >= 1) & ((bias**2 + 0.5 / n) ** 0.5 <= error * (1 + 1e-12))]
        assert times == pytest.approx(3.0 * reached[0], rel=0.01)


def test_the_rule_names_the_cheapest():
    def model(states, exact, loo, family="independent"):
        costs = {name: {"costs": {"0.3": {"milliseconds": None}}} for name in rule.FAMILIES["independent"][1]}
        costs["reinforce_loo"] = {"costs": {"0.3": {"milliseconds": loo}}}
        costs["vimco"] = {"costs": {"0.3": {"milliseconds": 0.1}}}  # of another objective: no contestant
        return {"family": family, "states": states, "exact": exact, **costs}

    models = [model(16, 1.0, 5.0), model(64, 2.0, 5.0), model(256, 9.0, 5.0), model(1024, 40.0, 6.0)]
    assert [rule.cheapest(each, 0.3) for each in models] == ["exact", "exact", "reinforce_loo", "reinforce_loo"]
    models.append(model(1e9, 0.1, 6.0, "rows"))
    assert rule.exact_up_to({"models": models}, 0.3) == 64


def test_an_error_costs_what_the_best_setting_costs_and_beside_it_what_the_default_does():
    def line(tau, bias, variance, samples=2):
        return {
            "tau": tau,
            "samples": samples,
            "bias": 0.0,
            "bias_at_most": bias,
            "variance": variance,
            "milliseconds": 1.0,
        }

    lines = [line(1.0, 0.25, 0.01), line(0.5, 0.1, 0.2), line(0.2, 0.05, 2.0)]
    assert rule.cost_of(lines, 0.3, 1.0) == {"milliseconds": 1.0, "tau": 1.0, "samples": 2, "default": 1.0}
    found = rule.cost_of(lines, 0.2, 1.0)
    assert (found["tau"], found["default"]) == (0.5, None) and found["milliseconds"] == pytest.approx(0.2 / 0.03)
    assert rule.cost_of(lines, 0.09, 1.0)["tau"] == 0.2
    assert rule.cost_of(lines, 0.05, 1.0) == dict.fromkeys(("milliseconds", "tau", "samples", "default"))
    found = rule.cost_of(lines, 0.3, 0.2)
    assert found["milliseconds"] == 1.0 and found["default"] == pytest.approx(2.0 / (0.09 - 0.05**2))


def test_what_a_default_temperature_loses():
    costs = [
        {"milliseconds": 1.0, "default": None},
        {"milliseconds": 2.0, "default": 6.0},
        {"milliseconds": None, "default": None},
    ]
    models = [{"family": "chain", "gumbel_softmax": {"costs": {"0.3": cost}}, "vimco": {}} for cost in costs]
    assert rule.lost_by_defaults({"models": models}, 0.3) == {"gumbel_softmax": (1, 2, 3.0)}


def test_the_cosine_is_that_of_mean_and_gradient():
    """Against the enumerated mean of straight-through."""
    problem = gradient_problems.toy_problem(2, 3)
    row = TABLE["straight_through"]
    line = measurement.measure(row, problem, 4, dict(row.hyper), None, 20, timed=False)
    sums = np.zeros(3)
    for logits, f in problem.examples:
        z, weights = enumeration.every_code(logits, 1)
        mean = enumeration.moments(weights, row.estimate(enumeration.tiled(logits, len(weights)), f, z).dlogits)[0]
        exact = TABLE["exact"].estimate(logits, f).dlogits[0]
        sums += [(mean * exact).sum(), (mean**2).sum(), (exact**2).sum()]
    assert line["cosine"] == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), rel=1e-9)
    assert line["bias_at_most"] == pytest.approx(line["bias"])


def test_a_bias_at_most_is_above_the_bias_and_covers_it():
    problem, row = gradient_problems.toy_problem(1, 3), TABLE["gumbel_softmax"]
    exact = measurement.measure(row, problem, 4, {"tau": 0.5}, np.random.default_rng(0), 40_000, timed=False)["bias"]
    lines = [
        measurement.measure(row, problem, 1, {"tau": 0.5}, np.random.default_rng(i), 400, timed=False)
        for i in range(20)
    ]
    assert all(line["bias_at_most"] > line["bias"] for line in lines)
    assert sum(line["bias_at_most"] >= 0.98 * exact for line in lines) >= 16


def test_a_prior_leaves_as_many_codes_open_as_it_makes_equally_probable():
    c, psi = np.zeros((2, 3)), {"b0": np.zeros((2, 5)), "w0": np.zeros((4, 2, 5))}

    def in_use(prior, phi, c=c):
        params = {"psi": psi} | ({} if phi is None else {"phi": phi})
        return completion.prior_codes_in_use(SimpleNamespace(settings=SimpleNamespace(prior=prior), params=params), c)

    for prior in (name for name, row in PRIORS.items() if hasattr(row.law, "entropy")):
        assert in_use(prior, prior_parameters(np.random.default_rng(0), prior, 2, 5, C=3)) == pytest.approx(25)
    certain = {"w0": np.zeros((3, 1, 5)), "b0": 50.0 * np.eye(5)[:1]}
    assert in_use("conditional", certain) == pytest.approx(1)
    assert in_use("learned", {"logits": certain["b0"]}) == pytest.approx(1)
    half = {"w0": 50.0 * np.eye(5)[None, :1].repeat(3, 0), "b0": np.zeros((1, 5))}  # one context open, one certain
    found = in_use("conditional", half, np.array([[0.0, 0, 0], [1, 1, 1]]))
    assert found == pytest.approx(5**0.5)  # e to the mean entropy


def test_gains_are_over_the_prior_that_sees_nothing():
    values = {"deterministic": 1.0, "unconditional prior p(z)": 2.0, "conditional prior p(z|c)": 5.0}
    runs = [{"variant": variant, "log_likelihood": value + seed / 10, "prior_codes": 2, "kl": 1, "seconds": 1}
            for variant, value in values.items() for seed in (2, 0, 1)]  # fmt: skip
    rows = completion.completion_table({"runs": runs}, markdown=True).splitlines()[2:]
    assert [row.split(" | ")[2].split(" ")[0] for row in rows] == ["-1.00", "", "+3.00"]
    assert rows[0].split(" | ")[1] == "1.10 (1.00 to 1.20)"


def test_the_starts_of_the_first_steps_differ_from_the_published_in_what_their_names_say():
    published, own = reproduce.settings_of("8x4", "exact", 0), Settings("exact", N=2, K=8)
    made = {name: start(published, own) for name, start in first_steps.STARTS.items()}
    assert made["as published"] == published and made["train"] == own
    assert published.embedding_scale == pytest.approx(1 / 24**0.5) and published.first_image == "random"
    assert made["larger rows"] == replace(published, embedding_scale=1.0)
    assert made["mean image"] == replace(published, first_image="mean")
    assert made["train, random image"] == replace(own, first_image="random")


def test_the_first_gradients_common_part_by_hand():
    rng = np.random.default_rng(0)
    params = vae.parameters(rng, 12, 2, 3, (5,), np.float64)
    x = (rng.random((6, 12)) < 0.4).astype(float)
    logits = encoder(params["psi"], x)[0]
    g = TABLE["exact"].estimate(logits, vae.reconstruction(params["theta"], x)).dlogits.reshape(6, -1)
    share, norm = first_steps.first_gradient(params, x)
    assert norm == pytest.approx(np.linalg.norm(g.mean(0)), rel=1e-12)
    assert share == pytest.approx(norm**2 / np.mean([each @ each for each in g]), rel=1e-12)


RECORDED = sorted(path.stem for path in records.FOLDER.glob("reinmax-*.json"))


@pytest.mark.parametrize("name", RECORDED)
def test_a_published_set_up_is_that_of_the_records(name):
    kept = records.read(name)["settings"]
    size, seed = f"{kept['K']}x{kept['N']}", kept["seed"]
    made = asdict(reproduce.settings_of(size, kept["estimator"], seed, first_image=kept.get("first_image", "random")))
    same = {key: list(value) if isinstance(value, tuple) else value for key, value in made.items() if key in kept}
    assert same == {key: kept[key] for key in same} and {"lr", "hyper", "optimiser", "S"} <= set(same)


def test_a_sweeps_table_shows_medians_and_ranges():
    numbers = [(1.0, -9.0, 1.0), (7.0, -2.0, 2.0), (2.0, -3.0, 6.0)]  # negative ELBO, log p(x), seconds
    runs = [SimpleNamespace(K=4, N=2, estimator="exact", record={
        "test": {"negative_elbo": elbo, "log_likelihood": exact}, "seconds": seconds}) for elbo, exact, seconds in numbers
    ]  # fmt: skip
    row = sweep.sweep_table([*runs, SimpleNamespace(record=None)]).splitlines()[-1].split()
    assert row == ["4x2", "exact", "3", "2.000", "1.000", "7.000", "-3.000", "2.0"]


def test_what_is_said_of_the_test_split_is_measured_on_it(monkeypatch, tmp_path):
    seen = []
    for module, epochs in ((tour, {"epochs": 1}), (completion, {"digits": completion.MODEL["digits"] | {"epochs": 1}})):
        monkeypatch.setattr(module, "SEEDS", (0,))
        monkeypatch.setattr(module, "MODEL", module.MODEL | epochs)
        evaluate = lambda params, x, *c, right=module.evaluate, **model: (
            seen.append((x, *c)) or right(params, x, *c, **model)
        )
        monkeypatch.setattr(module, "evaluate", evaluate)
    monkeypatch.setattr(tour, "results", lambda: [])
    tour.tour(tmp_path, say=lambda *_: None)
    completion.completion()
    images, halves = load("digits").test, load("digits", task="completion").test
    assert len(seen) == len(tour.ESTIMATORS) + len(completion.VARIANTS)
    for found, expected in zip(seen, [(images.x,)] * 4 + [(halves.x, halves.c)] * 3, strict=True):
        assert all(map(np.array_equal, found, expected))


def test_the_paper_trains_on_all_training_images(monkeypatch):
    digits = load("digits", "grey")
    monkeypatch.setattr(reproduce, "load", lambda name, binarisation, data_dir: digits)
    data, few = reproduce.grey_mnist(), reproduce.MONITORED
    for name in ("x", "labels"):
        whole = np.concatenate([getattr(digits.train, name), getattr(digits.validation, name)])
        np.testing.assert_array_equal(getattr(data.train, name), whole)
        np.testing.assert_array_equal(getattr(data.validation, name), getattr(digits.test, name)[:few])
    assert data.test is digits.test


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_a_sweep_has_as_many_processes_as_it_may(jobs, monkeypatch, tmp_path):
    alive, most = [], []

    class Process:
        returncode, left = 1, 2

        def poll(self):
            self.left -= 1
            if self.left:
                return None
            alive.remove(self)
            return 1

    def start(run, environment):
        alive.append(process := Process())
        most.append(len(alive))
        return process

    monkeypatch.setattr(sweep, "start", start)
    monkeypatch.setattr(sweep, "last_line", lambda path: "")
    monkeypatch.setattr(sweep.time, "sleep", lambda seconds: None)
    runs = sweep.plan(tmp_path, ("exact",), range(5), ((2, 1),), 1, ())
    assert len(sweep.carry_out(runs, jobs, lambda words: None)) == 5 and max(most) == jobs


def test_training_for_equal_time_goes_on_where_it_stopped(tmp_path):
    """Three cells of a tiny study: four trials, six with a temperature, then three seeds at the best; nothing is done twice."""
    names = ("independent 1x4 exact", "independent 1x4 vimco", "independent 1x4 gumbel_softmax")
    small = equal_time.cells_of((rule.Size("independent", 1, 4),))
    cells = {name: replace(small[name], hidden=(4,)) for name in names}
    record = {"command": equal_time.command_of("digits"), "data": "digits", "seconds": 60, "cells": {}}
    for name in cells:
        record["cells"][name] = {"milliseconds": 1.0, "steps": 40, "trials": {}, "runs": {}}
    saved = []
    first = next(iter(equal_time.tasks_of(record, cells)))
    assert (
        first == (names[0], "trials", "0")
        and equal_time.runs_left(record, cells) == equal_time.runs_of(cells) == 7 + 7 + 9
    )
    record = equal_time.equal_time("digits", None, record, lambda record: saved.append(len(str(record))), cells=cells)
    assert len(saved) == 23 and not equal_time.tasks_of(record, cells) and not equal_time.runs_left(record, cells)
    for name, known in record["cells"].items():
        scores = [known["trials"][str(i)]["validation"] for i in range(6 if "gumbel" in name else 4)]
        assert scores[equal_time.choice_of(known["trials"])] == min(scores)
        assert [run["seed"] for run in known["runs"].values()] == [1, 2, 3]
        for run in known["runs"].values():
            exact = run["log_likelihood"]
            assert exact is not None and run["bounds"] is None
            assert run["negative_elbo"] >= -exact and run["epochs"] == 4
            if "vimco" in name:  # chosen by its own bound, and not by the ELBO
                assert 0 < run["validation"] < run["negative_elbo"] + 30
        assert [epoch for epoch, *_ in known["runs"]["1"]["curve"]] == [1, 2, 3, 4]
        assert known["runs"]["2"]["curve"] is None  # one seed's is kept
    again = equal_time.equal_time("digits", None, record, lambda record: pytest.fail("a run again"), cells=cells)
    first = record["cells"][names[0]]
    first["trials"][str((equal_time.choice_of(first["trials"]) + 1) % 4)]["validation"] = (
        0.0  # as one that is added, and the best
    )
    assert equal_time.tasks_of(record, cells) == [(names[0], "runs", str(seed)) for seed in (1, 2, 3)]
    assert again is record and "lr " in yardsticks.training_table(record)


def test_a_temperature_is_chosen_first_and_then_the_step_size_at_it():
    """Three trials of temperatures; three more, of the other step sizes at the best of them, once all three are known."""
    cells = equal_time.cells_of((rule.Size("independent", 1, 4),))
    cells = {name: settings for name, settings in cells.items() if name.endswith("1x4 gumbel_softmax")}
    (name,) = cells
    scores = {}
    record = {"cells": {name: {"trials": scores, "runs": {}}}}
    for number, score in (("2", 5.0), ("0", 7.0), ("1", None)):
        assert [task[1:] for task in equal_time.tasks_of(record, cells)] == [
            ("trials", key) for key in "012" if key not in scores
        ]
        scores[number] = {"validation": score}
    tasks = equal_time.tasks_of(record, cells)
    assert tasks == [(name, "trials", key) for key in "345"]
    for task, lr in zip(tasks, (3e-4, 3e-3, 1e-2), strict=True):
        *_, settings = equal_time.task_settings(task, record, cells)
        assert (settings.lr, settings.hyper, settings.tau_end) == (lr, {"tau": 1.0}, 0.3) and settings.seed == 0
    scores |= {key: {"validation": score} for key, score in zip("345", (6.0, 4.0, 9.0), strict=True)}
    assert equal_time.tasks_of(record, cells) == [(name, "runs", seed) for seed in "123"]
    *_, settings = equal_time.task_settings((name, "runs", "2"), record, cells)
    assert (settings.lr, settings.hyper, settings.seed) == (3e-3, {"tau": 1.0}, 2)
    assert len(equal_time.trials_of("exact", {})) == len({each["lr"] for each in equal_time.RATES}) == 4


def test_whatever_has_a_temperature_is_tried_at_three():
    """Every estimator of the study; of those with hard codes the default is among them, and one on either side of it."""
    for name in {each for many in equal_time.ESTIMATORS.values() for each in many}:
        default = TABLE[name].hyper.get("tau")
        if default is None:
            assert len(equal_time.trials_of(name, {})) == 4, name
            continue
        first = equal_time.trials_of(name, {})
        taus = sorted(each["hyper"]["tau"] for each in first)
        assert len(first) == 3 and all(each["lr"] == equal_time.FIRST["lr"] for each in first), name
        if TABLE[name].noise == ("z",):
            assert taus[0] < default == taus[1] < taus[2] and all("tau_end" not in each for each in first), name


def test_equal_time_is_a_number_of_steps_that_is_recorded(monkeypatch):
    """The median of rounds in which all are timed in turn: four busy rounds of nine move nothing."""
    timed = []

    def milliseconds(data, settings):
        timed.append(settings.estimator)
        busy = 10.0 if timed.count(settings.estimator) <= 4 else 1.0
        return busy * (2.0 if settings.estimator == "exact" else 4.0)

    monkeypatch.setattr(equal_time, "step_milliseconds", milliseconds)
    monkeypatch.setattr(equal_time, "tasks_of", lambda record, cells: [])
    record = equal_time.equal_time("digits", cells=equal_time.cells_of((rule.Size("independent", 1, 4),)))
    assert {name.split()[-1]: cell["steps"] for name, cell in record["cells"].items()} == {
        "exact": 30_000} | dict.fromkeys(("reinforce_loo", "rebar", "vimco", "gumbel_softmax", "straight_through_gumbel",
                                          "reinmax"), 15_000)  # fmt: skip
    assert timed[:7] == timed[7:14] == list(dict.fromkeys(timed)) and record["seconds"] == 60


def test_a_step_is_timed():
    settings = Settings("exact", N=1, K=4, hidden=(4,))
    assert 0.01 < equal_time.step_milliseconds(load("digits"), settings) < 100


def test_a_run_is_validated_a_few_times_and_its_best_epoch_is_kept():
    found = equal_time.run_of("digits", None, Settings("exact", N=1, K=4, hidden=(4,), lr=3e-3, seed=1), 13 * 82)
    epochs = [epoch for epoch, *_ in found["curve"]]
    assert epochs[:11] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12] and epochs[-1] == found["epochs"] == 82
    assert max(np.diff(epochs)) == 2 and found["negative_elbo"] < 28
    scores = {epoch: validation for epoch, _, validation in found["curve"]}
    assert min(scores, key=scores.get) == found["best_epoch"]


@pytest.mark.parametrize(
    ("steps", "epochs", "taken"), [(5, 1, 5), (13, 1, 13), (19, 2, 20), (129, 10, 130), (136, 10, 130)]
)
def test_a_run_of_few_epochs_has_its_steps(steps, epochs, taken):
    """An epoch of the exact gradient of a chain of MNIST digits takes more than its time. The means are of the images seen."""
    found = equal_time.trained("digits", None, Settings("exact", N=1, K=4, hidden=(4,), seed=1), steps)
    assert (found.epoch, found.steps) == (epochs, taken) and 20 < found.history["loss"][0] < 60


def test_a_temperature_on_its_way_is_waited_for(monkeypatch):
    """A run whose validation score only gets worse ends after 0.3 of its epochs, unless its temperature still falls."""
    worse = iter(range(10**6))
    monkeypatch.setattr(equal_time.Timed, "validation_loss", lambda self: float(next(worse)))
    settings = Settings("gumbel_softmax", N=1, K=4, hidden=(4,))
    assert equal_time.run_of("digits", None, settings, 13 * 50)["epochs"] == 16
    falling = replace(settings, **equal_time.COOLING[0])
    assert equal_time.run_of("digits", None, falling, 13 * 50)["epochs"] == 50


def test_the_data_of_the_study(monkeypatch):
    """Pixels are drawn anew; of many images the first thousand are kept to validate and to test."""
    data = equal_time.study_data("digits")
    assert data.dynamic and len(data.validation.x) == 257 and set(np.unique(data.test.x)) == {0.0, 1.0}
    monkeypatch.setattr(equal_time, "MOST_IMAGES", 100)
    few = equal_time.study_data("digits")
    assert len(few.train.x) == 1283 and len(few.validation.x) == len(few.test.x) == len(few.test.labels) == 100
    np.testing.assert_array_equal(few.test.x, data.test.x[:100])


def test_exact_pays_up_to_where_something_else_is_cheaper_for_the_first_time():
    model = lambda states, exact, other: {"name": "", "family": "independent", "states": states, "exact": exact,
                                          "gumbel_softmax": {"costs": {"0.1": {"milliseconds": other}}}}  # fmt: skip
    record = {"models": [model(100, 5.0, 2.0), model(4, 1.0, None), model(10, 1.0, 2.0), model(1000, 1.0, 2.0)]}
    assert rule.exact_up_to(record, 0.1) == 10
    assert rule.exact_up_to({"models": record["models"][:1]}, 0.1) == 0


def test_the_first_model_is_lesson_00s():
    """Its exact gradient gives the numbers of the lesson's own lines; without a derivative it ends at the average digit."""
    data = load("digits")
    x, test = data.train.x.astype(float), data.test.x.astype(float)
    cells = (Path(__file__).parents[1] / "notebooks" / "source" / "00_why_discrete.py").read_text().split("# %%\n")
    code = next(cell for cell in cells if "K, B = 20, len(x)" in cell).split("# %% [markdown]")[0].replace("601", "31")
    exec(code, space := {"np": np, "x": x, "test": test})
    watched = []
    params = first_model.train("exact", x, steps=30, watch=lambda step, params: watched.append(step))
    for ours, theirs in zip(params, space["params"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert watched == list(range(31))
    q, cost = space["costs"](test)
    assert first_model.negative_elbo(params, test) == pytest.approx((q * cost).sum(1).mean(), rel=1e-12)


def test_without_a_derivative_the_code_says_nothing():
    """Only the KL trains that encoder: q becomes uniform, where the exact gradient makes the codes differ."""
    x = load("digits").train.x[:200].astype(float)
    spread = {}
    for name in (first_model.DETACHED, "exact"):
        W, b, _ = first_model.train(name, x, steps=120)
        spread[name] = np.ptp(softmax(x @ W + b)[0], axis=1).max()
    assert spread[first_model.DETACHED] < 0.02 < 0.9 < spread["exact"]


def test_the_step_size_is_the_one_with_the_best_validation(monkeypatch):
    scores = {0.01: 3.0, 0.03: 1.0, 0.1: 2.0}
    monkeypatch.setattr(first_model, "_run", lambda name, parts, seed, rate, hyper: (scores[rate], [rate]))
    record = first_model.first_models(names=("exact",))
    assert record["estimators"]["exact"] == {"rate": 0.03, "tau": None, "validation": 1.0, "test": [[0.03]] * 3}


def test_the_first_models_are_measured_once(monkeypatch):
    monkeypatch.setattr(first_model, "STEPS", 2)
    monkeypatch.setattr(first_model, "SEEN", (0, 2))
    monkeypatch.setattr(first_model, "RATES", (0.01, 0.1))
    saved = []
    names = (first_model.DETACHED, "gumbel_softmax", "rebar")
    record = first_model.first_models(None, lambda record: saved.append(len(record["estimators"])), names=names)
    assert saved == [1, 2, 3] and record["estimators"]["gumbel_softmax"]["tau"] in first_model.TAUS
    for found in record["estimators"].values():
        assert [len(curve) for curve in found["test"]] == [2, 2, 2] and found["rate"] in (0.01, 0.1)
    first_model.first_models(record, lambda record: pytest.fail("measured again"), names=names)
    assert first_model.taught(6) == [first_model.DETACHED, "exact", "reinforce", "reinforce_loo"]


def test_a_diverging_trial_is_the_worst_of_all():
    class Done:
        def result(self):
            raise ValueError("lr: training diverged in epoch 1; more")

    assert equal_time.outcome(Done()) == {
        "validation": None,
        "error": "lr: training diverged in epoch 1",
    }  # JSON knows no inf
    known = {"trials": {"0": equal_time.outcome(Done()), "1": {"validation": 3.0}}}
    assert equal_time.choice_of(known["trials"]) == 1
