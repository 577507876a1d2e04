"""Wake-sleep and the path from q to the posterior: dreams, the sleep update, the thermodynamic bound, their experiment."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dvae_np import cli, vae
from dvae_np.arrays import InputError
from dvae_np.categorical import log_prob, score
from dvae_np.check import complex_step, every_count, lookup_table, moments, relative_error, tiled
from dvae_np.estimators import TABLE
from dvae_np.experiments import other_objectives as experiment
from dvae_np.laws import joint_states
from dvae_np.model import Model
from dvae_np.noise import draw
from dvae_np.ops import log_softmax, log_sum_exp
from dvae_np.thermodynamic import path, thermodynamic
from dvae_np.train import load
from dvae_np.wake_sleep import dreamed_images, prior_codes, sleep

B, D, N, K, C = 5, 3, 2, 3, 4
PRIORS = ("uniform", "learned", "conditional")
IMAGES = (np.arange(2**D)[:, None] >> np.arange(D) & 1).astype(float)  # all of them


def made(prior, seed=0):
    """Parameters with random numbers everywhere, a model and one context for all."""
    rng, model = np.random.default_rng(seed), Model(prior=prior)
    C_of = C if prior == "conditional" else 0
    params = vae.parameters(rng, D, N, K, (6,), np.float64, model=model, C=C_of)
    params = {
        part: {name: rng.standard_normal(array.shape) for name, array in group.items()}
        for part, group in params.items()
    }
    return params, model, (rng.standard_normal((1, C)) if C_of else None)


def joint_law(params, model, c):
    """p(z, x) of all states and all images, (M, 2^D), for one context."""
    many = None if c is None else np.repeat(c, len(IMAGES), 0)
    (_, p), f = (
        vae.posterior_and_prior(params, IMAGES, many, model),
        vae.reconstruction(params["theta"], IMAGES, many, model),
    )
    states = joint_states(N, K)[:, None]
    log_prior = -N * np.log(K) if p is None else p.log_prob(states)[0]
    return np.exp(log_prior - f(np.repeat(states, len(IMAGES), 1))[0])


@pytest.mark.parametrize("prior", PRIORS)
def test_dreams_have_the_joint_law(prior):
    """A z-test of each pair of state and image, false alarms 1e-4 in all; it would see a probability wrong by 0.004."""
    params, model, c = made(prior)
    rng, count = np.random.default_rng(1), 100_000
    many = None if c is None else np.repeat(c, count, 0)
    z = prior_codes(params, rng, count, many, model)
    x = dreamed_images(params, rng, z, D, many, model)
    seen = np.zeros((K**N, 2**D))
    np.add.at(seen, (z @ K ** np.arange(N - 1, -1, -1), (x @ 2 ** np.arange(D)).astype(int)), 1 / count)
    p = joint_law(params, model, c)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (abs(seen - p) <= 5 * np.sqrt(p * (1 - p) / count) + 1e-9).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_sleep_is_the_gradient_of_the_kl_from_the_posterior_on_average(prior):
    """Over all dreams: the mean loss is E_p(x) KL(p(z|x) || q) + E H(p(z|x)), and so is its gradient, to 1e-12."""
    params, model, c = made(prior)
    p = joint_law(params, model, c)
    states, value, mean = joint_states(N, K), 0.0, {name: 0.0 for name in params["psi"]}
    for m, state in enumerate(states):
        for i, x in enumerate(IMAGES):
            loss, gradients = sleep(params["psi"], x[None], state[None], c, model)
            value += p[m, i] * loss
            mean = {name: total + p[m, i] * gradients[name] for name, total in mean.items()}
    evidence = p.sum(0)  # p(x)
    many = None if c is None else np.repeat(c, len(IMAGES), 0)

    def kl_and_entropy(psi):
        q, _ = model.encoder(psi, IMAGES, many)
        posterior = p / evidence
        kl = (posterior * (np.log(posterior) - q.log_prob(np.repeat(states[:, None], len(IMAGES), 1))[0])).sum(0)
        return (evidence * (kl - (posterior * np.log(posterior)).sum(0))).sum()

    assert value == pytest.approx(kl_and_entropy(params["psi"]), rel=1e-12)
    numeric = complex_step(kl_and_entropy, params["psi"])
    for name, gradient in mean.items():
        assert relative_error(gradient, numeric[name]) < 1e-12, name


def problem(seed=0, latents=2):
    """Logits (1, N, 3) and a joint by a table."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, latents, K)), lookup_table(1.5 * rng.standard_normal((K,) * latents))


def test_the_area_under_the_path_is_log_p():
    """By quadrature to 1e-12; it rises from the ELBO, and left and right sums hold log p(x) between them."""
    logits, f = problem()
    states = joint_states(2, K)[:, None]
    evidence = log_sum_exp(-f(states)[0], 0)
    at, weights = np.polynomial.legendre.leggauss(40)
    curve = path(logits, f, (at + 1) / 2)
    np.testing.assert_allclose(weights / 2 @ curve, evidence, rtol=1e-12)
    assert (np.diff(curve, axis=0) > 0).all()
    logq = log_prob(logits, states)[0]
    np.testing.assert_allclose(path(logits, f, [0.0])[0], (np.exp(logq) * (-f(states)[0] - logq)).sum(0), rtol=1e-13)
    ends = path(logits, f, np.linspace(0, 1, 11))
    assert ends[:-1].mean() < evidence < ends[1:].mean()


def by_hand(logits, f, z, nodes):
    """The loss, the gradient in the logits and the weights of f's gradients, node by node and sample by sample."""
    S, logw, scores = len(z), -f(z)[0] - log_prob(logits, z)[0], score(logits, z)
    value, dlogits, weights = 0.0, 0.0, np.zeros_like(logw)
    for b, width in zip(nodes, np.diff((*nodes, 1.0)), strict=True):
        v = np.exp(b * logw) / np.exp(b * logw).sum(0)
        mean = (v * logw).sum(0)
        value = value - width * mean
        for s in range(S):
            covariance = v[s] * (logw[s] - mean) * S / (S - 1)
            signal = v[s] - 1 / S - (1 - b) * covariance
            dlogits = dlogits + width * signal[:, None, None] * scores[s]
            weights[s] += width * (v[s] + b * covariance)
    return value, dlogits, weights


@pytest.mark.parametrize("nodes", [(0.0,), (0.0, 0.1), (0.0, 0.05, 0.3, 0.8)])
def test_the_sampled_bound_is_what_the_formula_says(nodes):
    rng = np.random.default_rng(2)
    logits, table = rng.standard_normal((B, N, K)), rng.standard_normal((B, K, K))
    f, (z,) = lookup_table(table), draw(rng, logits, 4, ("z",))
    found, (value, dlogits, weights) = thermodynamic(logits, f, z, nodes=nodes), by_hand(logits, f, z, nodes)
    np.testing.assert_allclose(found.value, value, rtol=1e-13)
    assert relative_error(found.dlogits, dlogits) < 1e-13
    assert relative_error(found.dtheta["table"], f(z)[1](weights)[1]["table"]) < 1e-13


def test_one_node_is_leave_one_out_for_the_negative_elbo():
    """Sample by sample, with log q in f: its score has mean zero, and the gradient of the KL comes in by samples."""
    rng = np.random.default_rng(3)
    logits, f = rng.standard_normal((B, N, K)), lookup_table(rng.standard_normal((B, K, K)))
    (z,) = draw(rng, logits, 4, ("z",))
    whole = lambda z: (f(z)[0] + log_prob(logits, z)[0], f(z)[1])
    loo = TABLE["reinforce_loo"].estimate(logits, whole, z)
    found = thermodynamic(logits, f, z, nodes=(0.0,))
    assert relative_error(found.dlogits, loo.dlogits) < 1e-13
    np.testing.assert_allclose(found.value, loo.value, rtol=1e-13)


def left_sum(logits, f, nodes):
    widths = np.diff((*nodes, 1.0))
    return -sum(width * value for width, value in zip(widths, path(logits, f, nodes), strict=True)).sum()


def test_its_bias_falls_like_one_over_S():
    """Exact means over all counts of 64 and 128 samples: the bias of value and gradients halves, to a tenth of it."""
    logits, _ = problem(4, latents=1)
    table = 1.5 * np.random.default_rng(5).standard_normal(K)
    nodes, f = (0.0, 0.1, 0.3), lookup_table(table)
    numeric = complex_step(
        lambda a: left_sum(a["logits"], lookup_table(a["table"]), nodes), {"logits": logits, "table": table}
    )
    bias = {}
    for S in (64, 128):
        z, weights = every_count(logits, S)
        many = tiled(logits, len(weights))
        found = thermodynamic(many, f, z, nodes=nodes)
        one = lookup_table(np.tile(table, (len(weights), 1)))
        dtable = thermodynamic(many, one, z, nodes=nodes).dtheta["table"]
        bias[S] = [
            weights @ found.value - left_sum(logits, f, nodes),
            moments(weights, found.dlogits)[0] - numeric["logits"][0],
            weights @ dtable - numeric["table"],
        ]
    for coarse, fine in zip(bias[64], bias[128], strict=True):
        assert relative_error(2 * fine, coarse) < 0.1


def test_the_gradient_at_a_node_by_enumeration():
    """E_pi[score] - (1 - b) Cov_pi(score, log w) is the gradient of -E_pi[log w] to 1e-12 [Eq. 22.8]."""
    logits, f = problem(6)
    states = joint_states(2, K)[:, None]
    for b in (0.0, 0.1, 0.5, 1.0):
        logq, scores = log_prob(logits, states)[0][:, 0], score(logits, np.ascontiguousarray(states))[:, 0]
        logw = -f(states)[0][:, 0] - logq
        pi = np.exp(log_softmax(logq + b * logw)[0])
        exact = np.tensordot(pi * (1 - (1 - b) * (logw - pi @ logw)), scores, 1)
        numeric = complex_step(lambda a, b=b: -path(a["logits"], f, [b]).sum(), {"logits": logits})["logits"][0]
        assert relative_error(exact, numeric) < 1e-12


@pytest.mark.parametrize("nodes", [(), (0.1,), (0.0, 1.0), (0.0, 0.3, 0.2), (0.0, np.nan)])
def test_nodes_that_do_not_rise_from_zero_are_refused(nodes):
    logits, f = problem()
    with pytest.raises(InputError, match=r"^nodes: expected numbers that rise from 0 to below 1, got "):
        thermodynamic(logits, f, np.zeros((2, 1, 2), int), nodes=nodes)


def test_one_sample_is_refused():
    logits, f = problem()
    with pytest.raises(InputError, match=r"^S: expected at least 2 samples, got 1"):
        thermodynamic(logits, f, np.zeros((1, 1, 2), int))


def test_the_experiment_goes_on_where_it_stopped_and_its_kls_are_the_gaps(monkeypatch):
    monkeypatch.setattr(experiment, "METHODS", {name: experiment.METHODS[name] for name in ("leave-one-out", "sleep")})
    monkeypatch.setattr(experiment, "SAMPLES", (4,))
    kept = []
    record = experiment.other_objectives(save=lambda record: kept.append(len(record["runs"])), epochs=1)
    assert kept == [1, 2] and set(record["runs"]) == {"leave-one-out, S = 4", "sleep, S = 4"}
    for found in record["runs"].values():
        for by in experiment.BY:
            assert found[by]["rate"] in experiment.RATES
            for run in found[by]["runs"]:
                gap = run["negative_elbo"] - run["negative_log_likelihood"]
                assert run["kl_q_p"] == pytest.approx(gap, abs=1e-4) and run["kl_p_q"] > 0
    marked = {name: found | {"objective": "seen"} for name, found in record["runs"].items()}
    assert experiment.other_objectives({"runs": marked}, epochs=1)["runs"] == marked
    for by in experiment.BY:
        assert all(name in experiment.objectives_table(record, markdown=True, by=by) for name in record["runs"])


def test_parameters_are_those_of_the_least_criterion_and_steps_by_a_seed_of_their_own(monkeypatch):
    """With a validation that is told: the likelihood is best at the second look, the ELBO at the first; steps likewise."""
    told = {0.1: [(5, 1), (4, 2), (6, 3)], 0.2: [(3, 9), (2, 8), (7, 7)]}
    looks, rates = [], []

    def evaluation(params, x):
        looks.append(copy.deepcopy(params))
        likelihood, elbo = told[rates[-1]][(len(looks) - 1) % 3]
        return SimpleNamespace(log_likelihood=-likelihood, negative_elbo=elbo)

    whole = experiment.train
    monkeypatch.setattr(experiment, "RATES", tuple(told))
    monkeypatch.setattr(experiment, "LOOK", 1)
    monkeypatch.setattr(experiment, "evaluate", evaluation)
    monkeypatch.setattr(experiment, "train", lambda *given: rates.append(given[4]) or whole(*given))
    monkeypatch.setattr(experiment, "measured", lambda params, data: params)
    found = experiment.judged(experiment.METHODS["wake-phi"], load("digits"), 2, 3)
    assert {by: found[by]["rate"] for by in experiment.BY} == {"negative_log_likelihood": 0.2, "negative_elbo": 0.1}
    start = {rate: 3 * rates.index(rate, len(told)) for rate in told}  # of the looks of its first run to be judged
    for by, look in (("negative_log_likelihood", start[0.2] + 1), ("negative_elbo", start[0.1])):
        kept = found[by]["runs"][0]
        np.testing.assert_array_equal(kept["theta"]["table"], looks[look]["theta"]["table"])


def test_the_command_writes_the_record_and_prints_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(experiment, "METHODS", {"wake-phi": experiment.METHODS["wake-phi"]})
    monkeypatch.setattr(experiment, "SAMPLES", (2,))
    whole = experiment.other_objectives
    monkeypatch.setattr(experiment, "other_objectives", lambda *given: whole(*given, epochs=1))
    for _ in range(2):
        assert cli.main(["compare", "--wake-sleep", "--out", str(tmp_path / "w")]) == 0
    record, printed = json.loads((tmp_path / "w/data/wake-sleep.json").read_text()), capsys.readouterr().out
    assert record["command"] == experiment.COMMAND and list(record["runs"]) == ["wake-phi, S = 2"]
    assert printed.count("wake-phi, S") == 2 and "data/wake-sleep.json" in printed


def test_awake_and_asleep_share_the_encoders_gradient(monkeypatch):
    """With dreams that ask for ones, what is left of the gradient of the images is seen; the decoder's is never touched."""
    steps = []

    class Once:
        def __init__(self, params, rate):
            pass

        def step(self, gradients):
            steps.append(gradients)
            raise StopIteration

    monkeypatch.setattr(experiment, "Adam", Once)
    monkeypatch.setattr(
        experiment, "sleep", lambda psi, x, z: (0.0, {name: np.ones_like(w) for name, w in psi.items()})
    )
    data, shares = load("digits"), (0.0, 0.25, 1.0)
    for share in shares:
        with pytest.raises(StopIteration):
            experiment.train(replace(experiment.METHODS["wake-phi"], asleep=share), data, 4, 0, 0.01)
    for share, found in zip(shares, steps, strict=True):
        for name, awake in steps[0]["psi"].items():
            np.testing.assert_allclose(found["psi"][name], (1 - share) * awake + share, atol=1e-7)
        np.testing.assert_array_equal(found["theta"]["table"], steps[0]["theta"]["table"])
