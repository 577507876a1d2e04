"""Conditional models: priors, how z and a context enter the decoder, free bits, schedules, evaluation."""

import json
import re
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest

from dvae_np import cli, networks, ops, records, structure, vae
from dvae_np.arrays import InputError
from dvae_np.check.observations import example
from dvae_np.estimators import TABLE
from dvae_np.experiments import completion
from dvae_np.initial import decoder_parameters
from dvae_np.laws import Independent, joint_states
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.noise import draw
from dvae_np.train import Settings, Training, evaluate, evaluation, fit, kl_weight, load, usage
from dvae_np.train.code_usage import Usage
from dvae_np.train.data import BINARISATIONS

B, D, C, N, K, S, H = 5, 12, 9, 2, 3, 4, 7
CONDITIONAL = Model(prior="conditional")
LAWS = [names for names in product(structure.POSTERIORS, structure.PRIORS) if structure.known_kl(*names)]


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x, c = (rng.random((B, D)) < 0.4).astype(float), rng.standard_normal((B, C))
    return rng, x, c


@pytest.mark.parametrize("interface", networks.INTERFACES)
@pytest.mark.parametrize("hidden", [(), (H,), (H, 6)])
def test_codes_and_their_one_hots_decode_the_same(problem, interface, hidden):
    """With a context and without, for codes of each example, and for states that the batch shares."""
    rng, _, c = problem
    z = rng.integers(0, K, (S, B, N))
    for context, size in ((None, 0), (c, C)):
        theta = decoder_parameters(rng, N, K, hidden, D, np.float64, size, interface)
        decode = partial(networks.decoder, theta, c=context, interface=interface)
        a, _ = decode(z)
        np.testing.assert_allclose(decode(np.eye(K)[z])[0], a, rtol=1e-12, atol=1e-14)
        shared, _ = decode(z[:, :1])
        assert shared.shape == (S, 1 if context is None else B, D)
        np.testing.assert_allclose(shared[:, 0], a[:, 0], rtol=1e-12, atol=1e-14)


def test_the_split_first_layer_is_the_concatenated_one(problem):
    """[c, one-hot z] times one large matrix, for every pair, against the context's part and the code's part added up."""
    rng, _, c = problem
    theta = decoder_parameters(rng, N, K, (H,), D, np.float64, C)
    states = joint_states(N, K)
    large = np.concatenate([theta["context"], theta["table"].reshape(N * K, H)])
    pairs = np.concatenate([np.broadcast_to(c, (len(states), B, C)),
                            np.broadcast_to(np.eye(K)[states].reshape(-1, 1, N * K), (len(states), B, N * K))], -1)  # fmt: skip
    h = np.maximum(pairs @ large + theta["bias"], 0)
    np.testing.assert_allclose(
        networks.decoder(theta, states[:, None], c)[0], h @ theta["w0"] + theta["b0"], rtol=1e-12, atol=1e-14
    )


def test_the_context_is_multiplied_once_for_each_example_and_the_code_once_for_each_state(problem, monkeypatch):
    rng, x, c = problem
    rows = []

    def counted(inputs, w, b=None, data=False):
        rows.append((len(w), inputs.size // len(w)))
        return ops.linear(inputs, w, b, data)

    monkeypatch.setattr(networks, "linear", counted)
    theta = decoder_parameters(rng, N, K, (H,), D, np.float64, C, "concatenation")
    vae.reconstruction(theta, x, c, Model(interface="concatenation"))(joint_states(N, K)[:, None])
    assert rows == [(C, B), (H // N * N, K**N), (H, B * K**N)]


def test_film_scales_and_shifts(problem):
    """By hand: (1 + scale) (c w + b) + shift."""
    rng, _, c = problem
    theta = decoder_parameters(rng, 1, K, (), D, np.float64, C, "film")
    a, _ = networks.decoder(theta, np.full((1, 1, 1), 2), c, interface="film")
    expected = (1 + theta["scale"][0, 2]) * (c @ theta["context"] + theta["bias"]) + theta["table"][0, 2]
    np.testing.assert_allclose(a[0], expected, rtol=1e-13)


def test_a_context_must_be_there_where_it_is_expected(problem):
    rng, x, c = problem
    with_context = vae.parameters(rng, D, N, K, (H,), np.float64, model=CONDITIONAL, C=C)
    without = vae.parameters(rng, D, N, K, (H,), np.float64)
    z = joint_states(N, K)[:, None]
    with pytest.raises(InputError, match="a context c is missing"):
        vae.reconstruction(with_context["theta"], x)(z)
    with pytest.raises(InputError, match="a context c is given, but this decoder takes none"):
        vae.reconstruction(without["theta"], x, c)(z)
    with pytest.raises(InputError, match=r"a conditional prior p\(z\|c\) needs a context c, got None"):
        vae.negative_elbo(without | {"phi": with_context["phi"]}, x, TABLE["exact"], lambda _: (), model=CONDITIONAL)
    with pytest.raises(InputError, match="these data have none"):
        fit(load("digits"), Settings(prior="conditional", epochs=1))
    with pytest.raises(InputError, match="prior: expected one of"):
        Model(prior="flat")
    with pytest.raises(InputError, match="interface: expected one of"):
        Model(interface="glue")


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("interface", networks.INTERFACES)
@pytest.mark.parametrize(("posterior", "prior"), LAWS)
def test_elbo_log_likelihood_and_gap_by_the_plainest_formulas(
    problem, posterior, prior, interface, likelihood, monkeypatch
):
    """negative ELBO = -log p(x|c) + KL(q || p(z|x,c)), by exact sums, for every model, in chunks that do not divide."""
    rng, _, c = problem
    x = example(LIKELIHOODS[likelihood], rng, B=B, D=D)["x"]
    model = Model(likelihood, prior, interface, ops.tanh, posterior)
    params = vae.parameters(rng, D, N, K, (H,), np.float64, model=model, C=C, levels=8)
    if "phi" in params:
        params["phi"] = {name: rng.standard_normal(array.shape) for name, array in params["phi"].items()}
    for name in {"pairwise", "table", "out"} & set(params["psi"]):
        params["psi"][name] = rng.standard_normal(params["psi"][name].shape)
    q, p = vae.posterior_and_prior(params, x, c, model)
    states = joint_states(N, K)[:, None]
    fz, _ = vae.reconstruction(params["theta"], x, c, model)(states)
    log_prior = -N * np.log(K) if p is None else p.log_prob(states)[0]
    evidence = np.log(np.exp(log_prior - fz + fz.min(0)).sum(0)) - fz.min(0)
    logq = q.log_prob(states)[0]
    gap = (np.exp(logq) * (logq - log_prior + fz + evidence)).sum(0)
    monkeypatch.setattr(evaluation, "CHUNK", 3)
    monkeypatch.setattr(evaluation, "PAIRS", 8)
    found = evaluate(params, x, c, model=model)
    assert found.log_likelihood == pytest.approx(evidence.mean(), rel=1e-13) and found.bound is None
    assert found.posterior_gap == pytest.approx(gap.mean(), rel=1e-10)
    loss = vae.negative_elbo(params, x, TABLE["exact"], lambda _: (), c=c, model=model)
    assert found.negative_elbo == pytest.approx(loss.value, rel=1e-13)
    np.testing.assert_allclose(loss.kl, (np.exp(logq) * (logq - log_prior)).sum(0), rtol=1e-11)


def test_the_multi_sample_bound_lies_between_and_grows_with_s(problem):
    """Averages over 400 copies of each example, standard errors below 0.02 nats: five of them fail once in 10^6."""
    rng, x, c = problem
    params = vae.parameters(rng, D, N, K, (H,), np.float64, model=CONDITIONAL, C=C)
    params["psi"]["b1"] = params["psi"]["b1"] + rng.standard_normal((N, K))  # a q far from the posterior
    exactly, many = evaluate(params, x, c, model=CONDITIONAL), (np.tile(x, (400, 1)), np.tile(c, (400, 1)))
    sampled = lambda seed, S: evaluate(params, *many, np.random.default_rng(seed), S, True, CONDITIONAL)
    bounds = [sampled(S, S).bound for S in (1, 3, 10, 300)]
    assert (np.diff(bounds) > 0).all()
    assert bounds[0] == pytest.approx(-exactly.negative_elbo, abs=0.1)
    assert bounds[-1] == pytest.approx(exactly.log_likelihood, abs=0.05) and exactly.posterior_gap > 0.2
    fifty = sampled(0, 50)
    assert fifty.negative_elbo == pytest.approx(exactly.negative_elbo, abs=0.1) and fifty.method == "sampled, S=50"
    with pytest.raises(InputError, match="at least one example"):
        evaluate(params, x[:0], c[:0])
    for wrong in (0, 5001):
        with pytest.raises(InputError, match=r"S: expected at (least 1|most 5,000), a whole number"):
            evaluate(params, x, c, S=wrong, sample=True)


def test_memory_of_a_conditional_evaluation_does_not_grow_with_states_or_examples(problem):
    """Peaks of 9 and of 729 states, of 5 to 2,000 examples: none above 110 numbers for each of 16,384 pairs (D + H are 18)."""
    import tracemalloc

    rng, x, c = problem
    peaks = []
    for latents, copies in ((2, 1), (6, 1), (6, 100), (6, 400)):
        params = vae.parameters(rng, D, latents, K, (H,), np.float64, model=CONDITIONAL, C=C)
        many = np.tile(x, (copies, 1)), np.tile(c, (copies, 1))
        tracemalloc.start()
        evaluate(params, *many, model=CONDITIONAL)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 8 * 110 * evaluation.PAIRS and peaks[3] < 1.3 * peaks[2]


def test_free_bits():
    """By hand: latents of 0.2 and 1.4 nats; below one free nat the first costs exactly that, and has no gradient."""
    per_latent = np.array([[0.1, 1.0], [0.3, 1.8]])
    value, gradient = vae.floored(per_latent, 1.0)
    assert value == pytest.approx(2.4)
    np.testing.assert_array_equal(gradient, [[0, 0.5], [0, 0.5]])
    assert vae.floored(per_latent, 0.0)[0] == pytest.approx(per_latent.sum() / 2)


@pytest.mark.parametrize(("schedule", "epochs", "weights"), [
    ("constant", (0, 3, 100), (2, 2, 2)),
    ("warm_up", (0, 1, 2, 4, 9), (0, 0.5, 1, 2, 2)),
    ("cyclical", (0, 1, 2, 3, 4, 5), (0, 1, 2, 2, 0, 1)),
])  # fmt: skip
def test_schedules_of_beta(schedule, epochs, weights):
    settings = Settings(beta=2.0, schedule=schedule, schedule_epochs=4)
    assert [kl_weight(settings, epoch) for epoch in epochs] == pytest.approx(weights)


def test_a_schedule_is_followed_and_recorded():
    run = fit(load("digits"), Settings(K=3, hidden=(8,), epochs=4, schedule="warm_up", schedule_epochs=2))
    assert run.history["beta"] == pytest.approx([12.0 / 13 / 2, 25.0 / 13 / 2, 1, 1])  # as the last mini-batch had it


def test_free_bits_and_warm_up_keep_latents_alive():
    """With beta = 5 all latents collapse; half a nat each that costs nothing is used."""
    data, settings = load("digits"), Settings(K=5, hidden=(32,), epochs=30, beta=5.0)
    plain = usage(fit(data, settings).params, data.validation.x)
    kept = usage(fit(data, replace(settings, free_bits=0.5)).params, data.validation.x)
    assert (kept.kl > 0.4).all() and kept.kl.sum() > plain.kl.sum() + 0.3


def test_usage_by_hand():
    """An encoder that ignores x says nothing; one that copies a bit says log 2."""
    x = np.array([[0.0], [1.0]])
    psi = {"w0": np.zeros((1, 2, 2)), "b0": np.log(np.array([[0.5, 0.5], [0.9, 0.1]]))}
    psi["w0"][0, 0], psi["b0"][0] = [100, -100], [-50, 50]
    measured = usage({"psi": psi}, x)
    np.testing.assert_allclose(measured.information, [np.log(2), 0], atol=1e-12)
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1)
    np.testing.assert_allclose(measured.perplexity, [2, np.exp(entropy)], rtol=1e-12)
    np.testing.assert_allclose(measured.kl, [np.log(2), np.log(2) - entropy], rtol=1e-12)
    np.testing.assert_allclose(measured.share, [[0.5, 0.5], [0.9, 0.1]], rtol=1e-12)
    assert measured.used.tolist() == [2, 2]
    assert len(measured.warnings) == 1 and measured.warnings[0].startswith("latent 2 has collapsed: 0.0000 nats")
    assert not usage({"psi": psi}, x[:1]).warnings  # one example can tell nothing
    assert measured.warnings[0].endswith("every image has the same code, as may come of a random first image")
    cheap = {"w0": 0 * psi["w0"], "b0": 0 * psi["b0"]}
    assert all("smaller beta" in words for words in usage({"psi": cheap}, x).warnings)


def test_information_is_the_kl_to_the_aggregate():
    """KL(q || p) = information + KL(aggregate || p) on average, for any prior that all examples share."""
    data = load("digits")
    run = fit(data, Settings(K=4, hidden=(16,), epochs=10, prior="learned"))
    measured = usage(run.params, data.test.x, model=run.settings.model)
    log_prior = ops.log_softmax(run.params["phi"]["logits"].astype(float))[0]
    rest = (measured.share * (np.log(measured.share) - log_prior)).sum(-1)
    np.testing.assert_allclose(measured.kl, measured.information + rest, atol=1e-5)


@pytest.mark.parametrize("name", ["reinforce_loo", "gumbel_softmax", "vimco", "local_expectation"])
@pytest.mark.parametrize("prior", ["learned", "conditional"])
def test_estimators_train_conditional_models_and_their_priors(name, prior):
    data = load("digits", task="completion")
    row = TABLE[name]
    settings = Settings(name, N=1, K=6, S=max(4, row.fewest_samples), hidden=(32,), epochs=15, lr=3e-3, prior=prior)
    run = fit(data, settings)
    exactly = evaluate(run.params, data.validation.x, data.validation.c, model=settings.model)
    assert run.history["validation"][0] - run.history["validation"][-1] > 1.5 and exactly.posterior_gap >= -1e-6
    start = Training(data, settings).params["phi"]
    assert all((run.params["phi"][key] != start[key]).any() for key in start)


@pytest.mark.parametrize("kind", [
    {"prior": "fixed", "prior_probabilities": (0.7, 0.2, 0.1)},
    {"likelihood": "gaussian", "scale": 0.2},
])  # fmt: skip
def test_what_is_fixed_stays_fixed(kind):
    data = load("digits", "grey")
    run = fit(data, Settings(K=3, hidden=(8,), epochs=2, **kind))
    if "prior" in kind:
        np.testing.assert_allclose(run.params["phi"]["logits"], np.log([[0.7, 0.2, 0.1]] * 2), rtol=1e-6)
    else:
        assert run.params["theta"]["log_scale"] == np.float32(np.log(0.2))


def test_a_learned_scale_learns_the_residuals():
    """At the optimum sigma^2 is the mean squared residual; near it after a short training."""
    data = load("digits", "grey")
    run = fit(data, Settings(N=1, K=20, hidden=(32,), epochs=60, lr=3e-3, likelihood="gaussian"))
    states = joint_states(1, 20)[:, None]
    mean, _ = networks.decoder(run.params["theta"], states)  # (K, 1, D)
    q = ops.softmax(networks.encoder(run.params["psi"], data.train.x)[0])[0][:, 0]  # (B, K)
    squares = ((data.train.x[:, None] - mean[:, 0]) ** 2).mean(-1)  # (B, K)
    sigma = float(np.exp(run.params["theta"]["log_scale"][0]))
    assert sigma == pytest.approx(float((q * squares).sum(1).mean()) ** 0.5, rel=0.05) and sigma < 0.25


def test_dynamic_binarisation_draws_anew(monkeypatch):
    data, seen = load("digits", "dynamic"), []
    settings = Settings(K=3, hidden=(8,), epochs=2, batch=2000)
    step = vae.training_step
    monkeypatch.setattr(
        vae, "training_step", lambda params, x, *rest, **more: seen.append(x) or step(params, x, *rest, **more)
    )
    fit(data, settings)
    assert len(seen) == 2 and all(np.isin(x, (0, 1)).all() for x in seen)
    assert abs(np.sort(seen[0].sum(1)) - np.sort(seen[1].sum(1))).max() > 0  # not the same draw in another order
    assert abs(seen[0].mean() - data.train.x.mean()) < 0.01


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("binarisation", BINARISATIONS)
def test_pixels_need_their_likelihood_and_the_other_way_round(likelihood, binarisation):
    """Rows say which pixels they are for; the refusal names those that would fit."""
    data, settings = load("digits", binarisation), Settings(likelihood=likelihood)
    fits = {"levels": ["categorical"], "counts": ["poisson"]}.get(binarisation, ["bernoulli", "gaussian"])
    if likelihood in fits:
        assert Training(data, settings).options["model"].likelihood == likelihood
        return
    words = f"likelihood: expected one of {', '.join(fits)} for {re.escape(data.binarisation)}, got {likelihood}"
    with pytest.raises(InputError, match=words):
        Training(data, settings)


def test_the_conditional_prior_completes_digits_better():
    """The three models of the lesson, one seed: nats of exact log p(x|c); the record has three seeds."""
    data = load("digits", task="completion")
    found = {}
    for variant, kind in completion.VARIANTS.items():
        run = fit(data, Settings(**completion.MODEL["digits"] | kind, seed=1))
        found[variant] = evaluate(run.params, data.test.x, data.test.c, model=run.settings.model).log_likelihood
    deterministic, unconditional, conditional = found.values()
    assert deterministic + 0.5 < unconditional < conditional - 0.1
    record = records.read("completion-digits")
    recorded = {run["variant"]: run["log_likelihood"] for run in record["runs"] if run["seed"] == 1}
    assert found == pytest.approx(recorded, abs=0.15)


def test_commands_of_a_conditional_run(tmp_path, capsys):
    run = str(tmp_path / "run")
    options = [
        "--task",
        "completion",
        "--prior",
        "conditional",
        "--interface",
        "film",
        "--K",
        "4",
        "--hidden",
        "16",
        "--epochs",
        "2",
    ]
    assert cli.main(["train", *options, "--out", run]) == 0
    assert "test log p(x|c)" in capsys.readouterr().out and (tmp_path / "run" / "completions.png").stat().st_size > 1000
    assert cli.main(["evaluate", run, "--sample", "--S", "7", "--examples", "20", "--split", "validation"]) == 0
    printed = capsys.readouterr().out
    assert (
        "validation bound on log p(x|c), importance-weighted" in printed
        and "sampled, S=7" in printed
        and "z2: " in printed
    )
    record = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert record["examples"] == 20 and len(record["usage"]["share"]) == 2 and record["log_likelihood"] is None
    assert record["kl"] == pytest.approx(sum(record["usage"]["kl"]), rel=1e-3)
    (tmp_path / "run" / "completions.png").unlink()
    assert cli.main(["show", run]) == 0 and (tmp_path / "run" / "completions.png").exists()
    assert cli.main(["sample", run, "--count", "5", "--seed", "3"]) == 0
    with np.load(tmp_path / "run" / "samples.npz") as drawn:
        assert drawn["z"].shape == (5, 2) and drawn["x"].shape == drawn["mean"].shape == drawn["c"].shape == (5, 32)
        assert np.isin(drawn["x"], (0, 1)).all()
    for refused in (["sample", run, "--seed", "-3"], ["evaluate", run, "--seed", "x"]):
        assert cli.main(refused) == 2
    for refused in (["sample", run, "--count", "0"], ["evaluate", run, "--examples", "0"], ["show", str(tmp_path)]):
        assert cli.main(refused) == 2


@pytest.mark.usefixtures("sketched")
def test_a_prior_that_is_fixed_on_the_command_line(tmp_path, capsys):
    options = ["--prior", "fixed", "--prior-probabilities", "3,1", "--K", "2", "--hidden", "8", "--epochs", "1"]
    assert cli.main(["train", *options, "--out", str(tmp_path / "run")]) == 0
    assert cli.main(["sample", str(tmp_path / "run"), "--count", "2000"]) == 0
    with np.load(tmp_path / "run" / "samples.npz") as drawn:
        assert drawn["z"].mean() == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 4000) ** 0.5)


def test_completions_run_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(completion, "MODEL", {"digits": {"N": 1, "K": 3, "hidden": (8,), "epochs": 1}})
    assert cli.main(["complete", "--out", str(tmp_path)]) == 0
    assert "gain over p(z)" in capsys.readouterr().out and (tmp_path / "completion-digits.png").exists()
    assert len(json.loads((tmp_path / "data" / "completion-digits.json").read_text())["runs"]) == 9
    assert cli.main(["complete", "--hidden", "4", "--prior-rate", "0.5", "--out", str(tmp_path)]) == 0
    changed = json.loads((tmp_path / "data" / "completion-digits-4-rate-0.5.json").read_text())
    assert changed["model"] == {"N": 1, "K": 3, "hidden": [4], "epochs": 1, "prior_rate": 0.5}
    assert changed["command"] == "python -m dvae_np complete --data digits --hidden 4 --prior-rate 0.5"


@pytest.mark.parametrize("prior", structure.PRIORS)
def test_the_joint_objective_is_a_probability(problem, prior):
    """exp(-joint) summed over all states is p(x|c), whatever the prior, as a law or as its logits where it has such."""
    rng, x, c = problem
    model = Model(prior=prior)
    params = vae.parameters(rng, D, N, K, (H,), np.float64, model=model, C=C)
    if "phi" in params:
        params["phi"] = {name: rng.standard_normal(array.shape) for name, array in params["phi"].items()}
    f, (_, p) = vae.reconstruction(params["theta"], x, c), vae.posterior_and_prior(params, x, c, model)
    evidence = np.log(np.exp(-vae.joint(f, p, N, K)(joint_states(N, K)[:, None])[0]).sum(0))
    assert evaluate(params, x, c, model=model).log_likelihood == pytest.approx(evidence.mean(), rel=1e-13)
    (z,) = draw(rng, np.zeros((B, N, K)), S, ("z",))
    many = (
        Independent(np.zeros((B, N, K)))
        if p is None
        else type(p)(*(np.repeat(array, B // len(array), 0) for array in p))
    )
    for given in (p, *([p.logits] if hasattr(p, "logits") else [])):
        joint, _ = vae.joint(f, given, N, K)(z)
        np.testing.assert_allclose(joint, f(z)[0] - many.log_prob(z)[0], rtol=1e-13)


def test_a_category_counts_as_used_from_a_thousandth_of_the_images():
    share = np.array([[0.9985, 0.0015, 0.0], [0.9995, 0.0005, 0.0]])
    measured = Usage(share, np.array([1.01, 1.0]), np.array([0.0, 0.5]), np.array([0.5, 0.5]), 2000)
    assert measured.used.tolist() == [2, 1]
    assert [words[:8] for words in measured.warnings] == ["latent 1"]  # little information, or little KL, is enough


def test_a_fixed_prior_has_as_many_probabilities_as_categories():
    assert Settings(N=3, K=2, prior="fixed", prior_probabilities=(0.7, 0.3)).K == 2
    with pytest.raises(InputError, match="a fixed prior takes K = 2 numbers"):
        Settings(N=3, K=2, prior="fixed", prior_probabilities=(0.5, 0.3, 0.2))
