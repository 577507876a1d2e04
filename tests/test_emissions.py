"""Hidden Markov models: each latent emits a part of x; sums over all paths by dynamic programming, in training and after it."""

import json
from functools import partial

import numpy as np
import pytest

from dvae_np import LIKELIHOODS, PRIORS, TABLE, Additive, InputError, Model, log_evidence, parameters, reconstruction
from dvae_np import cli as command_line
from dvae_np.check import complex_step, differences
from dvae_np.check.observations import LEVELS, example
from dvae_np.experiments import gaps
from dvae_np.laws import joint_states
from dvae_np.networks import decoder
from dvae_np.train import Settings, evaluate, evaluation, fit, load
from dvae_np.vae import negative_elbo, own_arrays, posterior_and_prior

B, D, N, K, C = 5, 12, 3, 4, 7


def model_of(rng, likelihood="bernoulli", prior="transition", posterior="chain", N=N, D=D, context=False):
    """(model, parameters that are nowhere zero, data, contexts)."""
    model = Model(likelihood, prior, "emission", posterior=posterior)
    params = parameters(rng, D, N, K, (6,), np.float64, model=model, C=C if context else 0, levels=LEVELS)
    for group in {"phi", "psi"} & set(params):
        params[group] = {name: 0.7 * rng.standard_normal(array.shape) for name, array in params[group].items()}
    x = example(LIKELIHOODS[likelihood], rng, B=B, D=D)["x"]
    return model, params, x, rng.standard_normal((B, C)) if context else None


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_f_is_what_the_decoder_and_the_observation_model_say_of_every_code(likelihood, context):
    """As any decoder's, value and gradients; and it says that it is additive."""
    rng = np.random.default_rng(0)
    model, params, x, c = model_of(rng, likelihood, "uniform", context=context)
    f, z, dfz = reconstruction(params["theta"], x, c, model), rng.integers(0, K, (6, B, N)), rng.standard_normal((6, B))
    assert isinstance(f, Additive) and not f.edge.any()
    a, decoder_backward = decoder(params["theta"], z, c, interface="emission")
    own = own_arrays(params["theta"], model)
    value, nll_backward = LIKELIHOODS[likelihood].nll(a, x, **own)
    fz, f_backward = f(z)
    np.testing.assert_allclose(fz, value, rtol=1e-12)
    da, _, *downs = nll_backward(dfz)
    wanted = decoder_backward(da)[1] | dict(zip(own, downs, strict=True))
    dz, found = f_backward(dfz)
    assert dz is None and set(found) == set(wanted)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        f(z[:, :1])[0], reconstruction(params["theta"], x, c, model)(np.repeat(z[:, :1], B, 1))[0]
    )


@pytest.mark.parametrize(("prior", "context"), [(name, row.context) for name, row in PRIORS.items()])
@pytest.mark.parametrize("posterior", ["independent", "chain"])
def test_the_whole_objective_against_the_complex_step(posterior, prior, context):
    """Every entry of every parameter array, to 1e-12; over 4^3 paths, by dynamic programming in value and gradient."""
    rng = np.random.default_rng(1)
    if prior == "autoregressive":
        pytest.skip("its KL is a mean over codes")
    model, params, x, c = model_of(rng, prior=prior, posterior=posterior, context=context)
    loss = partial(negative_elbo, x=x, row=TABLE["exact"], noise=lambda q: (), beta=0.7, model=model, c=c)
    found = loss(params).gradients
    for group, arrays in params.items():
        if group == "phi" and not PRIORS[prior].trained:
            continue
        exact = complex_step(lambda arrays, group=group: loss(params | {group: arrays}).value, arrays)
        for name, gradient in found[group].items():
            assert differences.relative_error(gradient, exact[name]) < 1e-12, (group, name)


def test_no_state_is_visited(monkeypatch):
    """Values and gradients over 4^60 paths."""
    rng = np.random.default_rng(2)
    model, params, x, _ = model_of(rng, N=60, D=120)
    loss = negative_elbo(params, x, TABLE["exact"], lambda q: (), model=model)
    found = evaluate(params, x, model=model)
    assert found.negative_elbo == pytest.approx(loss.value, rel=1e-12)
    assert found.method == "exact, by dynamic programming" and found.posterior_gap > 0
    Settings("exact", N=64, K=32, interface="emission")
    with pytest.raises(InputError, match="joint states are more than"):
        Settings("exact", N=64, K=32)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("posterior", ["independent", "chain", "autoregressive"])
def test_an_evaluation_is_that_of_all_codes(posterior, prior, monkeypatch):
    rng = np.random.default_rng(3)
    try:
        model, params, x, c = model_of(rng, prior=prior, posterior=posterior, context=PRIORS[prior].context)
    except InputError:
        pytest.skip("no KL is known")
    monkeypatch.setattr(evaluation, "CHUNK", 2)
    found = evaluate(params, x, c, model=model)
    (q, p), states = posterior_and_prior(params, x, c, model), joint_states(N, K)[:, None]
    fz, logq = reconstruction(params["theta"], x, c, model)(states)[0], q.log_prob(states)[0]
    log_prior = -N * np.log(K) if p is None else p.log_prob(states)[0]
    evidence = np.log(np.exp(log_prior - fz).sum(0))
    assert found.log_likelihood == pytest.approx(evidence.mean(), rel=1e-12)
    bound = (np.exp(logq) * (logq - log_prior + fz)).sum(0)
    assert found.negative_elbo == pytest.approx(bound.mean(), rel=1e-12)


def test_with_the_true_posterior_the_bound_is_log_p_of_x():
    """A chain encoder can have it: pairwise potentials of the prior, unary ones that are linear in the pixels."""
    rng = np.random.default_rng(4)
    model, params, x, _ = model_of(rng)
    theta, p = params["theta"], PRIORS["transition"].op(params["phi"], None, N)[0]
    a = theta["table"] + theta["bias"].reshape(N, 1, -1)  # (N, K, E)
    linear, E = np.zeros((D, N, K)), D // N
    for n in range(N):
        linear[n * E : (n + 1) * E, n] = a[n].T
    params["psi"] = {"w0": linear, "b0": p.unary[0] - np.logaddexp(0, a).sum(-1), "pairwise": p.pairwise[0]}
    found = evaluate(params, x, model=model)
    assert found.posterior_gap == pytest.approx(0, abs=1e-12)
    f = reconstruction(theta, x, model=model)
    assert found.log_likelihood == pytest.approx(log_evidence(p, f)[0].mean(), rel=1e-13)


@pytest.mark.parametrize("estimator", [name for name, row in TABLE.items() if not row.binary and row.asks != "logits"])
def test_every_estimator_trains_it(estimator):
    row, data = TABLE[estimator], load("bars")
    settings = Settings(estimator, N=5, K=2, S=row.samples(2), interface="emission", prior="transition",
                        posterior="chain", hidden=(4,), epochs=1)  # fmt: skip
    run = fit(data, settings)
    found = evaluate(run.params, data.test.x, model=settings.model)
    assert np.isfinite(found.negative_elbo) and found.posterior_gap >= -1e-4


def test_parts_that_do_not_fit_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="N: expected as many latents as there are equal parts of 64 outputs, got 7"):
        fit(load("digits"), Settings(N=7, K=3, interface="emission"))
    model, params, x, _ = model_of(np.random.default_rng(5))
    with pytest.raises(InputError, match="x: expected N = 3 parts of equal size, got D = 11 pixels"):
        reconstruction(params["theta"], x[:, :11], model=model)


def test_the_command_line_takes_it_all_the_way(tmp_path, capsys):
    run = str(tmp_path / "run")
    train = ["train", "--data", "digits", "--N", "8", "--K", "4", "--interface", "emission", "--prior", "transition",
             "--posterior", "chain", "--hidden", "8", "--epochs", "1", "--out", run]  # fmt: skip
    assert command_line.main(train) == 0
    for verb in ("evaluate", "show", "sample"):
        assert command_line.main([verb, run]) == 0
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert "dynamic programming" in json.dumps(found) and "exact, by dynamic programming" in capsys.readouterr().out


def test_the_gaps_are_what_they_are_made_of(monkeypatch, tmp_path, capsys):
    """Two states, two epochs: coordinate ascent never loses to the encoder, and the parts of the record are ordered."""
    for name, small in {"SIZES": (2,), "SEEDS": (1,), "EPOCHS": 2, "HIDDEN": (4,)}.items():
        monkeypatch.setattr(gaps, name, small)
    assert command_line.main(["gaps", "--out", str(tmp_path)]) == 0
    (line,) = json.loads((tmp_path / "data" / "gaps.json").read_text())["lines"]
    data = load("digits")
    at_first = evaluate(gaps.fresh(data, 2, 1, "chain"), data.test.x, model=gaps.MODELS["chain"]).log_likelihood
    assert line["log_likelihood"] > at_first + 0.1
    assert 0 <= line["best_factorised_gap"] < line["independent_gap"]
    assert all(line[name] > -1e-4 for name in line if name.endswith("gap"))
    assert "K = 2" in capsys.readouterr().out


def test_coordinate_ascent_finds_the_best_factorised_posterior():
    """Beside a search over a grid, for two binary latents that want to differ; and the posterior itself where it factorises."""
    rng = np.random.default_rng(6)

    def reached(target):
        q = rng.dirichlet(np.ones(2), (1, gaps.N))
        q = gaps.ascended(q, lambda q, n: gaps.mean_potentials(target, q, n))
        return target.kl_from(gaps.Independent(np.log(q)))[0][0, 0]

    target = gaps.true_posterior(
        gaps.Independent(rng.standard_normal((1, gaps.N, 2))),
        Additive(rng.standard_normal((1, gaps.N, 2)), np.zeros((1, gaps.N - 1, 2, 2))),
    )
    assert reached(target) == pytest.approx(0, abs=1e-12)
    linked = target._replace(pairwise=np.zeros((1, gaps.N - 1, 2, 2)))
    linked.pairwise[0, 0] = [[-3, 1], [2, -1]]
    best = min(reached(linked) for _ in range(8))
    grid, found = np.linspace(1e-3, 1 - 1e-3, 101), []
    rest, _ = linked.marginals()
    for one in grid:
        for two in grid:
            logits = np.log(np.concatenate([[[one, 1 - one], [two, 1 - two]], rest[0, 2:]]))
            found.append(linked.kl_from(gaps.Independent(logits[None]))[0][0, 0])
    assert best <= min(found) + 1e-9 and best == pytest.approx(min(found), abs=2e-3)
