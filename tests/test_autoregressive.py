"""The autoregressive law: what it can do against all its codes, what it cannot do, and the KL that later codes pay."""

import numpy as np
import pytest

from dvae_np import TABLE, Autoregressive, Chain, Independent, InputError, Model, draw, kl_given, parameters
from dvae_np.autoregressive import weighted_codes
from dvae_np.check import complex_step
from dvae_np.check.means import defaults
from dvae_np.check.posteriors import results_of_law
from dvae_np.laws import joint_states
from dvae_np.structure import POSTERIORS
from dvae_np.train import Settings, Training, evaluate, fit, load, usage
from dvae_np.vae import negative_elbo

N, K, H = 3, 4, 5


def network(rng, B=1, shared=True, N=N, dtype=np.float64):
    lead = 1 if shared else B
    shapes = (B, N, K), (lead, N - 1, K, H), (lead, N - 1, H, K)
    return Autoregressive(*(rng.standard_normal(shape).astype(dtype) for shape in shapes))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("N", [1, 2, 3])
def test_all_that_it_can_do_agrees_with_the_sums_over_its_codes(N, shared):
    rng = np.random.default_rng(0)
    found = list(results_of_law(network(rng, 5, shared, N), network(rng, 1, True, N), rng))
    assert found and not [str(result) for result in found if not result.ok]


@pytest.mark.parametrize("n", range(N))
def test_a_code_changes_the_logits_of_later_codes_alone(n):
    """Bit for bit, whatever it is changed to."""
    rng = np.random.default_rng(1)
    q, z = network(rng, 4), rng.integers(0, K, (6, 4, N))
    before, _ = q.conditionals(z)
    z[..., n] = (z[..., n] + 1) % K
    after, _ = q.conditionals(z)
    np.testing.assert_array_equal(after[..., : n + 1, :], before[..., : n + 1, :])
    assert (after[..., n + 1 :, :] != before[..., n + 1 :, :]).any(-1).all()


def test_with_a_network_that_says_nothing_it_is_independent():
    rng = np.random.default_rng(2)
    logits, z, u = rng.standard_normal((4, N, K)), rng.integers(0, K, (6, 4, N)), rng.random((6, 4, N))
    q, one = Autoregressive(logits, np.zeros((1, N - 1, K, H)), np.zeros((1, N - 1, H, K))), Independent(logits)
    np.testing.assert_allclose(q.log_prob(z)[0], one.log_prob(z)[0], rtol=1e-13)
    np.testing.assert_array_equal(q.codes(u), one.codes(u))
    prior = Independent(rng.standard_normal((1, N, K)))
    parts, backward = kl_given(q, prior, *weighted_codes(q))
    exact, kl_backward = one.kl_parts(prior)
    np.testing.assert_allclose(parts, exact, rtol=1e-12)
    dparts = rng.standard_normal(parts.shape)
    for mine, theirs in zip(backward(dparts), kl_backward(dparts), strict=True):
        np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-10, atol=1e-13)
    both, _ = kl_given(one, prior, *weighted_codes(one))  # independent latents are welcome, too
    np.testing.assert_allclose(both, exact, rtol=1e-12)


def test_forgetting_what_later_codes_pay_is_a_large_error():
    """The gradient of each code's own KL alone, beside the exact one; and drawn codes have the latter on average."""
    rng = np.random.default_rng(3)
    q, p = network(rng), network(rng)
    states, weights = weighted_codes(q)
    (dq, _), ones = kl_given(q, p, states, weights)[1](np.ones((1, N))), np.ones((1, N))
    (logits, q_backward), (other, _) = q.conditionals(states), p.conditionals(states)
    share, ratio = np.exp(logits - np.log(np.exp(logits).sum(-1, keepdims=True))), 0
    ratio = np.log(share) - (other - np.log(np.exp(other).sum(-1, keepdims=True)))
    own = q_backward(weights[..., None, None] * share * (ratio - (share * ratio).sum(-1, keepdims=True)))
    assert np.linalg.norm(own.unary - dq.unary) > 0.1 * np.linalg.norm(dq.unary)
    np.testing.assert_allclose(own.unary[:, -1], dq.unary[:, -1], rtol=1e-10, atol=1e-12)  # nothing is later
    R = 20_000
    (z,) = draw(rng, Autoregressive(*(np.repeat(array, R, 0) for array in q)), 1, ("z",))
    many = Autoregressive(np.repeat(q.unary, R, 0), q.table, q.out)
    each = kl_given(many, p, z, np.ones((1, R)))[1](np.repeat(ones, R, 0))[0].unary
    error = each.std(0) / R**0.5
    assert (abs(each.mean(0) - dq.unary[0]) < 5 * error + 1e-12).all()  # 12 entries: a false alarm in 10^5


def test_straight_through_is_right_for_the_last_code_of_an_affine_f_and_for_no_other():
    rng = np.random.default_rng(4)
    q, slope = network(rng), rng.standard_normal((N, K))
    states, weights = weighted_codes(q)
    hits, through_backward = q.through(states)
    dq = through_backward(weights[..., None, None] * slope + 0 * hits)

    def mean(arrays):
        return (np.exp(Autoregressive(**arrays).log_prob(states)[0][:, 0]) * (hits[:, 0] * slope).sum((-1, -2))).sum()

    exact = complex_step(mean, q._asdict())["unary"]
    np.testing.assert_allclose(dq.unary[:, -1], exact[:, -1], rtol=1e-12, atol=1e-14)
    assert np.linalg.norm(dq.unary[:, :-1] - exact[:, :-1]) > 0.01 * np.linalg.norm(exact[:, :-1])


def test_straight_through_is_the_derivative_along_the_softmaxes():
    """Backward is what the complex step finds where each one-hot is held, and its softmax moves in its place."""
    rng = np.random.default_rng(5)
    q, z, dz = network(rng, 2, shared=False), rng.integers(0, K, (3, 2, N)), rng.standard_normal((3, 2, N, K))
    hits, through_backward = q.through(z)

    def moved(arrays):
        law, y = Autoregressive(**arrays), hits.astype(complex)
        for n in range(N):
            logits, _ = law.conditionals(y)
            soft = np.exp(logits[..., n, :])
            soft = soft / soft.sum(-1, keepdims=True)
            y[..., n, :] = hits[..., n, :] + 1j * soft.imag
        return (y * dz).sum()

    exact = complex_step(moved, q._asdict())
    for name, gradient in through_backward(dz)._asdict().items():
        np.testing.assert_allclose(gradient, exact[name], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if not hasattr(Autoregressive, row.asks)])
def test_rows_that_ask_for_what_it_lacks_refuse_it(name):
    row, rng = TABLE[name], np.random.default_rng(6)
    assert not any(hasattr(Autoregressive, method) for method in ("marginals", "entropy", "kl", "kl_parts", "mode"))
    q = network(rng)
    noise = draw(rng, np.zeros(q.sizes), row.samples(2), row.noise)
    with pytest.raises(InputError, match=r"expected (independent latents|a law with \w+ ?\w*), .*got a Autoregressive"):
        row.estimate(q, lambda z: (z.sum(), None), *noise, **defaults(row, N, K))
    settings = {"N": 2, "K": 2 if row.binary else 3, "S": row.samples(2)}
    with pytest.raises(InputError, match=f"estimator: {name} needs"):
        Settings(name, posterior="autoregressive", **settings)


def test_no_kl_is_known_between_a_chain_and_an_autoregressive_law():
    for posterior, prior in (("chain", "autoregressive"), ("autoregressive", "markov")):
        with pytest.raises(InputError, match=f"no KL is known of the posterior {posterior} to the prior {prior}"):
            Model(prior=prior, posterior=posterior)
    with pytest.raises(InputError, match="needs one that draws codes, for its KL, or exact; got gumbel_softmax"):
        Settings("gumbel_softmax", prior="autoregressive")
    with pytest.raises(InputError, match="more than 4096"):
        Settings("exact", posterior="autoregressive", N=4, K=9)


@pytest.mark.parametrize(("posterior", "prior"), [("autoregressive", "uniform"), ("independent", "autoregressive"),
                                                 ("autoregressive", "autoregressive")])  # fmt: skip
def test_drawn_codes_give_the_objective_and_its_gradient_on_average(posterior, prior):
    """The estimator's own codes serve for the KL: means over 20,000 copies of one image, within five standard errors."""
    rng, R, D = np.random.default_rng(7), 20_000, 6
    model = Model(prior=prior, posterior=posterior)
    params = parameters(rng, D, 2, 3, (), np.float64, model=model)
    params["psi"] |= {name: 0.4 * rng.standard_normal(array.shape) for name, array in params["psi"].items()}
    params |= (
        {"phi": {name: rng.standard_normal(array.shape) for name, array in params["phi"].items()}}
        if "phi" in params
        else {}
    )
    x = 1.0 * (rng.random((1, D)) < 0.5)
    exact = negative_elbo(params, x, TABLE["exact"], lambda q: (), 0.7, model=model)
    groups = []
    for seed in range(20):  # as many independent means, whose spread is their error
        own = np.random.default_rng(seed)
        noise = lambda q, own=own: draw(own, q, 4, ("z",))
        groups.append(negative_elbo(params, np.tile(x, (R // 20, 1)), TABLE["reinforce_loo"], noise, 0.7, model=model))
    for group in exact.gradients:
        for name, wanted in exact.gradients[group].items():
            found = np.array([loss.gradients[group][name] for loss in groups])
            error = found.std(0, ddof=1) / 20**0.5
            assert (abs(found.mean(0) - wanted) < 6.5 * error + 1e-9).all(), (group, name)  # 19 degrees of freedom
    kl = np.array([loss.kl.mean() for loss in groups])
    assert abs(kl.mean() - exact.kl.mean()) < 6.5 * kl.std(ddof=1) / 20**0.5


def test_an_evaluation_by_drawn_codes_and_the_use_of_codes_agree_with_all_codes():
    data = load("bars")
    settings = Settings(
        "reinforce_loo", N=2, K=3, S=4, posterior="autoregressive", prior="autoregressive", epochs=2, hidden=(4,)
    )
    run = fit(data, settings)
    exactly = evaluate(run.params, data.test.x, model=settings.model)
    sampled = evaluate(run.params, data.test.x, None, np.random.default_rng(0), 100, True, settings.model)
    assert exactly.method == "exact, 9 states" and exactly.posterior_gap >= 0
    assert sampled.negative_elbo == pytest.approx(exactly.negative_elbo, abs=0.1)
    assert sampled.kl == pytest.approx(exactly.kl, abs=0.02)
    q, _ = POSTERIORS["autoregressive"].op(run.params["psi"], data.test.x)
    states = joint_states(2, 3)
    share = np.einsum("mb,mnk->nk", q.probability()(states)[0], np.eye(3)[states]) / len(data.test.x)
    found = usage(run.params, data.test.x, model=settings.model)
    np.testing.assert_allclose(found.share, share, atol=0.01)
    assert found.kl.sum() == pytest.approx(exactly.kl, abs=0.02)


def test_its_network_starts_as_if_it_were_not_there_and_learns():
    training = Training(load("bars"), Settings("reinforce_loo", N=2, K=3, S=4, posterior="autoregressive", hidden=(4,)))
    psi = training.params["psi"]
    table = psi["table"].copy()
    assert not psi["out"].any() and table.any()
    for _ in range(5):
        training.step()
    assert psi["out"].any() and (psi["table"] != table).any()


@pytest.mark.parametrize(("table", "out"), [(1, 4), (4, 1)])
def test_one_array_may_be_shared_and_the_other_each_examples_own(table, out):
    rng = np.random.default_rng(8)
    q = Autoregressive(
        rng.standard_normal((4, N, K)),
        rng.standard_normal((table, N - 1, K, H)),
        rng.standard_normal((out, N - 1, H, K)),
    )
    whole = Autoregressive(*(np.broadcast_to(array, (4, *array.shape[1:])) for array in q))
    states = joint_states(N, K)[:, None]
    np.testing.assert_allclose(q.log_prob(states)[0], whole.log_prob(states)[0], rtol=1e-12)
    weights = rng.standard_normal((len(states), 4))
    for mine, theirs in zip(q.log_prob(states)[1](weights), whole.log_prob(states)[1](weights), strict=True):
        np.testing.assert_allclose(
            mine, theirs if len(mine) == 4 else theirs.sum(0, keepdims=True), rtol=1e-10, atol=1e-12
        )


def test_kl_to_the_uniform_law_stays_float32():
    q = network(np.random.default_rng(9), 3, dtype=np.float32)
    parts, backward = kl_given(q, None, *weighted_codes(q))
    assert {parts.dtype} | {array.dtype for array in backward(parts)[0]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("change", [
    {"unary": (5, 3)}, {"table": (5, 2, 4, 3)}, {"table": (2, 2, 3, 4)}, {"out": (5, 3, 4, 3)}, {"out": (5, 2, 5, 3)},
])  # fmt: skip
def test_arrays_that_do_not_fit_each_other_are_named(change):
    shapes = {"unary": (5, 3, 3), "table": (5, 2, 3, 4), "out": (5, 2, 4, 3)} | change
    q = Autoregressive(**{name: np.zeros(shape) for name, shape in shapes.items()})
    z = np.zeros((2, 5, 3), int)
    for ask in (lambda: q.log_prob(z), lambda: q.codes(np.full((2, 5, 3), 0.5)), lambda: q.through(z)):
        with pytest.raises(InputError, match=rf"{next(iter(change))}: expected shape"):
            ask()


def test_a_kl_to_what_it_is_not_known_of_is_refused():
    q = Autoregressive(np.zeros((5, 3, 3)), np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 4, 3)))
    z, weights = np.zeros((2, 5, 3), int), np.full((2, 5), 0.5)
    chain = Chain(np.zeros((1, 3, 3)), np.zeros((1, 2, 3, 3)))
    for p, w, said in ((chain, weights, "got a Chain"), (None, weights[:1], "weights: expected shape"),
                       (Independent(np.zeros((1, 2, 3))), weights, "p: unary: expected shape")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            kl_given(q, p, z, w)
