"""Likelihood, networks and the whole objective: gradients, identities, refusals, and how often states are decoded."""

from contextlib import nullcontext
from functools import partial
from itertools import product

import numpy as np
import pytest

from dvae_np import networks, ops, structure, vae
from dvae_np.arrays import InputError
from dvae_np.check import differences
from dvae_np.check.observations import LEVELS, example
from dvae_np.check.suite import objective_results
from dvae_np.estimators import TABLE
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.networks import encoder
from dvae_np.noise import draw
from dvae_np.train import Settings

B, D, N, K, S, H = 5, 12, 2, 3, 4, 7


def test_gradients_of_the_whole_objective():
    results = list(objective_results())
    assert results and not [result for result in results if not result.ok]


@pytest.mark.parametrize("hidden", [(), (H,), (H, 9)])
def test_gradients_at_any_depth(hidden):
    rng = np.random.default_rng(0)
    params = vae.parameters(rng, D, N, K, hidden, np.float64)
    x = (rng.random((B, D)) < 0.4).astype(float)

    def loss(arrays):
        changed = {"psi": params["psi"], "theta": arrays}
        return vae.negative_elbo(changed, x, TABLE["exact"], lambda _: ()).value

    gradients = vae.negative_elbo(params, x, TABLE["exact"], lambda _: ()).gradients["theta"]
    numeric = differences.complex_step(loss, params["theta"])
    for name, gradient in gradients.items():
        found = differences.comparison(name, gradient, numeric[name])
        assert found.ok, found


def test_the_decoder_runs_once_for_each_state_and_never_for_each_pair(monkeypatch):
    """K decodes for exact marginalisation, not B * K: counted by the rows that reach the decoder's output layer."""
    rows = []

    def counted(x, w, b=None, data=False):
        rows.append(x.size // x.shape[-1])
        return ops.linear(x, w, b, data)

    rng = np.random.default_rng(2)
    K, B = 40, 50
    theta = vae.parameters(rng, D, 1, K, (H,))["theta"]
    f = vae.reconstruction(theta, (rng.random((B, D)) < 0.4).astype(np.float32))
    monkeypatch.setattr(networks, "linear", counted)
    TABLE["exact"].estimate(rng.standard_normal((B, 1, K)).astype(np.float32), f)
    assert rows == [K]


def test_beta_weighs_the_kl_alone():
    rng = np.random.default_rng(3)
    params = vae.parameters(rng, D, N, K, (H,), np.float64)
    x = (rng.random((B, D)) < 0.4).astype(float)
    losses = {beta: vae.negative_elbo(params, x, TABLE["exact"], lambda _: (), beta) for beta in (0, 0.5, 4)}
    for beta, loss in losses.items():
        assert loss.value == pytest.approx((loss.reconstruction + beta * loss.kl).mean(), rel=1e-14)
        np.testing.assert_array_equal(loss.kl, losses[0].kl)
    np.testing.assert_allclose(  # the gradient is affine in beta
        8 * (losses[0.5].gradients["psi"]["w0"] - losses[0].gradients["psi"]["w0"]),
        losses[4].gradients["psi"]["w0"] - losses[0].gradients["psi"]["w0"],
        rtol=1e-10,
    )


def test_a_training_step_changes_every_parameter_and_lowers_the_loss():
    from dvae_np.train import Adam

    rng = np.random.default_rng(4)
    params = vae.parameters(rng, D, N, K, (H,), np.float64)
    x = (rng.random((B, D)) < 0.4).astype(float)
    optimisers = [Adam(params, 1e-3)]
    before = {(group, name): array.copy() for group in params for name, array in params[group].items()}
    losses = [vae.training_step(params, x, TABLE["exact"], rng, optimisers).value for _ in range(20)]
    assert all((params[group][name] != array).any() for (group, name), array in before.items())
    assert (np.diff(losses) < 0).all()


def test_monte_carlo_loss_agrees_with_exact_on_average():
    rng = np.random.default_rng(5)
    params = vae.parameters(rng, D, N, K, (H,), np.float64)
    x = (rng.random((B, D)) < 0.4).astype(float)
    exact = vae.negative_elbo(params, x, TABLE["exact"], lambda _: ())
    sampled = vae.negative_elbo(params, x, TABLE["reinforce_loo"], lambda logits: draw(rng, logits, 20_000, ("z",)))
    # 20,000 samples of a spread below 2 nats: five standard errors are 0.07 nats; one in 10^6 runs would fail.
    np.testing.assert_allclose(sampled.reconstruction, exact.reconstruction, atol=0.07)


@pytest.mark.parametrize("kind", [np.float64, np.asarray])
@pytest.mark.parametrize("kl", ["analytic", "relaxed", "plug_in"])
def test_no_number_of_the_objective_turns_float32_into_float64(kl, kind):
    rng = np.random.default_rng(12)
    params, x = vae.parameters(rng, 16, 3, 4, (8,), np.float32), (rng.random((5, 16)) < 0.4).astype(np.float32)
    numbers = {"tau": 0.5, "beta": 0.7} | ({"free_bits": 0.1} if kl == "analytic" else {})
    for name, value in numbers.items():
        options = numbers | {name: kind(value)}
        hyper, noise = {"tau": options.pop("tau")}, lambda q: draw(rng, q, 2, ("u",))
        loss = vae.negative_elbo(params, x, TABLE["gumbel_softmax"], noise, kl=kl, hyper=hyper, **options)
        assert loss.value.dtype == np.float32
        assert all(array.dtype == np.float32 for part in loss.gradients.values() for array in part.values())


@pytest.mark.parametrize("kl", ["relaxed", "plug_in"])
def test_a_sampled_kl_is_reported_as_the_mean_over_its_samples(kl):
    rng = np.random.default_rng(6)
    params = vae.parameters(rng, D, N, K, (H,), np.float64)
    x, u = (rng.random((B, D)) < 0.4).astype(float), rng.random((3, B, N, K))
    loss = vae.negative_elbo(params, x, TABLE["gumbel_softmax"], lambda _: (u,), kl=kl, hyper={"tau": 0.7})
    sampled, _ = vae.SAMPLED_KL[kl](encoder(params["psi"], x)[0], u, 0.7)
    np.testing.assert_allclose(loss.kl, sampled.mean(0), rtol=1e-13)
    assert loss.value == pytest.approx((loss.reconstruction + loss.kl).mean(), rel=1e-13)  # beta is 1 where not given


@pytest.mark.parametrize("name", TABLE)
def test_every_gradient_is_of_the_mean_over_the_batch(name):
    """Three times the same images, with the same noise, have the same loss and gradients: a prior's and tunables' too."""
    rng, row = np.random.default_rng(7), TABLE[name]
    own = (3, 2) if row.binary else (N, K)
    model = Model(prior="learned")
    params = vae.parameters(rng, D, *own, (H,), np.float64, model=model)
    params["phi"]["logits"] = rng.standard_normal(own)
    params |= {"omega": row.omega(rng, *own)} if row.omega else {}
    x, S = (rng.random((B, D)) < 0.4).astype(float), row.fewest_samples
    noise = draw(rng, encoder(params["psi"], x)[0], S, row.noise)
    one, three = (
        vae.negative_elbo(
            params,
            np.tile(x, (n, 1)),
            row,
            lambda _, n=n: tuple(np.concatenate(n * [a], 1) for a in noise),
            model=model,
        )
        for n in (1, 3)
    )
    assert one.value == pytest.approx(three.value, rel=1e-12)
    for group in params:
        for key in params[group]:
            left, right = (np.asarray(loss.gradients[group][key]) for loss in (one, three))
            np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12, err_msg=f"{group}.{key}")


def test_the_decoder_mirrors_the_encoder():
    params = vae.parameters(np.random.default_rng(8), D, N, K, (8, 5), np.float64)
    assert [params["psi"][name].shape for name in ("w0", "w1", "w2")] == [(D, 8), (8, 5), (5, N, K)]
    assert params["theta"]["table"].shape == (N, K, 5)
    assert [params["theta"][name].shape for name in ("w0", "w1")] == [(5, 8), (8, D)]


WRONG_MODELS = [
    (table, one, other, size)
    for table, names in (("likelihood", LIKELIHOODS), ("prior", structure.PRIORS), ("interface", networks.INTERFACES))
    for one in names for other in names for size in (0, 4) if one != other
]  # fmt: skip


@pytest.mark.parametrize(("table", "right", "wrong", "C"), WRONG_MODELS)
def test_a_model_that_the_arrays_deny_is_refused(table, right, wrong, C):
    """Every pair of rows in every table: parameters of one, read as those of another, unless their arrays are the same."""
    if table == "prior" and not C and any(structure.PRIORS[name].context for name in (right, wrong)):
        pytest.skip("needs a context")
    rng = np.random.default_rng(9)
    x = example(LIKELIHOODS[right if table == "likelihood" else "bernoulli"], rng, B=B, D=D)["x"]
    c = rng.standard_normal((B, C)) if C else None
    shapes, losses = [], []
    for name in (right, wrong):
        model = Model(**{table: name})
        params = vae.parameters(rng, D, N, K, (H,), np.float64, model=model, C=C, levels=LEVELS)
        shapes.append({(group, key): array.shape for group in params for key, array in params[group].items()})
        losses.append((params, model))
    (params, own), (_, other) = losses
    rows = ("exact", "vimco") if own.sequential or other.sequential else ("exact", "gumbel_softmax", "vimco")
    for row in rows:
        noise = lambda q, row=row: draw(rng, q, TABLE[row].samples(3), TABLE[row].noise)
        vae.negative_elbo(params, x, TABLE[row], noise, c=c, model=own)
        if shapes[0] != shapes[1]:
            with pytest.raises(InputError):
                vae.negative_elbo(params, x, TABLE[row], noise, c=c, model=other)
    if shapes[0] == shapes[1]:
        assert {right, wrong} in ({"bernoulli", "poisson"}, {"fixed", "learned"})


@pytest.mark.parametrize("name", TABLE)
def test_an_objective_is_refused_by_settings_as_by_the_loss(name):
    """Every KL, beta and free bits: a bound that owns the KL has it once and whole; KLs at relaxed samples need such. And
    hyper-parameters that the row has not, or that are no numbers."""
    rng, row = np.random.default_rng(10), TABLE[name]
    (n, k), S = (3, 2) if row.binary else (N, K), row.samples(2)
    params, x = vae.parameters(rng, D, n, k, (H,), np.float64), (rng.random((B, D)) < 0.4).astype(float)
    params |= {"omega": row.omega(rng, n, k)} if row.omega else {}
    noise = lambda q: draw(rng, q, S, row.noise)
    for kl, beta, free_bits in product(("analytic", "relaxed", "plug_in", "exact"), (1.0, 0.5), (0.0, 0.3)):
        options = {"kl": kl, "beta": beta, "free_bits": free_bits}
        fits = (not row.owns_kl or (beta == 1 and not free_bits)) and (
            kl == "analytic" or (kl != "exact" and row.relaxed and not free_bits)
        )
        settings = partial(Settings, name, N=n, K=k, S=S, **options)
        loss = partial(vae.negative_elbo, params, x, row, noise, **options)
        for what in (settings, loss):
            with nullcontext() if fits else pytest.raises(InputError, match=r"^(beta|kl|free_bits): "):
                what()
    for hyper in ({"speed": 1.0}, *({name: np.nan} for name, value in row.hyper.items() if isinstance(value, float))):
        for what in (partial(Settings, name, N=n, K=k, S=S), partial(vae.negative_elbo, params, x, row, noise)):
            with pytest.raises(InputError, match=f"^{next(iter(hyper))}: "):
                what(hyper=hyper)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_learned_prior_and_a_scale_have_gradients_as_their_formulas_say(likelihood):
    """The prior's is p - mean q, whatever the observation model; theta's arrays all have one."""
    rng = np.random.default_rng(11)
    model = Model(likelihood, "learned")
    params = vae.parameters(rng, D, N, K, (H,), np.float64, model=model, levels=LEVELS)
    params["phi"]["logits"] = rng.standard_normal((N, K))
    x = example(LIKELIHOODS[likelihood], rng, B=B, D=D)["x"]
    gradients = vae.negative_elbo(params, x, TABLE["exact"], lambda _: (), model=model).gradients
    q, p = (ops.softmax(logits)[0] for logits in (encoder(params["psi"], x)[0], params["phi"]["logits"]))
    np.testing.assert_allclose(gradients["phi"]["logits"], p - q.mean(0), rtol=1e-12, atol=1e-15)
    assert {group: set(arrays) for group, arrays in gradients.items()} == {g: set(params[g]) for g in params}
