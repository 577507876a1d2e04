"""Networks and a prior of one's own, by hand: through the objective, training, checkpoints and evaluation; warm starts."""

from dataclasses import replace

import numpy as np
import pytest

from dvae_np import (
    LIKELIHOODS,
    TABLE,
    Chain,
    InputError,
    Model,
    cli,
    embedding,
    linear,
    negative_elbo,
    reconstruction,
    relu,
    softmax,  # fmt: skip
)
from dvae_np.check import check_op, complex_step
from dvae_np.check.differences import relative_error
from dvae_np.train import Checkpoints, Settings, codes_of, decode, evaluate, fit, load, load_run, usage, worth
from dvae_np.wake_sleep import prior_codes

SIDE, KERNEL, MAPS, N, K = 5, 3, 4, 2, 3
INSIDE = SIDE - KERNEL + 1


def convolution(x, kernels):
    """Images (B, SIDE, SIDE) and kernels (KERNEL, KERNEL, MAPS): (B, INSIDE, INSIDE, MAPS), a sum of shifted images."""
    shifts = [(i, j) for i in range(KERNEL) for j in range(KERNEL)]
    windows = np.stack([x[:, i : i + INSIDE, j : j + INSIDE] for i, j in shifts], -1)  # (B, INSIDE, INSIDE, KERNEL^2)
    y = windows @ kernels.reshape(-1, MAPS)

    def backward(dy):
        dkernels = np.tensordot(windows, dy, ((0, 1, 2), (0, 1, 2))).reshape(kernels.shape)
        dx = np.zeros(x.shape, dy.dtype)
        for (i, j), kernel in zip(shifts, kernels.reshape(-1, MAPS), strict=True):
            dx[:, i : i + INSIDE, j : j + INSIDE] += dy @ kernel
        return dx, dkernels

    return y, backward


def encode(psi, x, c=None):
    maps, convolution_backward = convolution(x.reshape(-1, SIDE, SIDE), psi["kernels"])
    h, relu_backward = relu(maps.reshape(len(x), -1))
    logits, linear_backward = linear(h, psi["w"], psi["b"])

    def backward(dlogits):
        dh, dw, db = linear_backward(dlogits)
        return {"kernels": convolution_backward(relu_backward(dh).reshape(maps.shape))[1], "w": dw, "b": db}

    return logits, backward


def decode_rows(theta, z, c=None):
    rows, rows_backward = embedding(z, theta["rows"])
    a, linear_backward = linear(rows, theta["out"], theta["shift"])

    def backward(da):
        drows, dout, dshift = linear_backward(da)
        dz, dtable = rows_backward(drows)
        return dz, {"rows": dtable, "out": dout, "shift": dshift}

    return a, backward


def falling(phi, c, N):
    """p(z_n = k) falls with k as exp(-rate_n k)."""
    return -phi["rate"][None, :, None] * np.arange(K), lambda dp: {"rate": -(dp[0] * np.arange(K)).sum(-1)}


def falling_chain(phi, c, N):
    """The same, with a bonus for equal neighbours."""
    unary, backward = falling(phi, c, N)
    p = Chain(unary, phi["bonus"] * np.eye(K)[None, None] + np.zeros((1, N - 1, 1, 1)))
    return p, lambda dp: backward(dp.unary) | {"bonus": np.trace(dp.pairwise.sum((0, 1)))[None]}


def parameters(rng, dtype=np.float64, chained=False):
    shapes = {
        "psi": {"kernels": (KERNEL, KERNEL, MAPS), "w": (INSIDE**2 * MAPS, N, K), "b": (N, K)},
        "theta": {"rows": (N, K, 7), "out": (7, SIDE**2), "shift": (SIDE**2,)},
        "phi": {"rate": (N,), "bonus": (1,)} if chained else {"rate": (N,)},
    }
    return {group: {name: 0.3 * rng.standard_normal(shape).astype(dtype) for name, shape in each.items()}
            for group, each in shapes.items()}  # fmt: skip


OWN = {"encode": encode, "decode": decode_rows, "prior_law": falling}


def test_the_convolution_is_right():
    rng = np.random.default_rng(0)
    inputs = {"x": rng.standard_normal((3, SIDE, SIDE)), "kernels": rng.standard_normal((KERNEL, KERNEL, MAPS))}
    assert check_op(convolution, inputs, rng).kind == "right"


@pytest.mark.parametrize("prior_law", [falling, falling_chain])
@pytest.mark.parametrize("row", ["exact", "reinforce_loo", "gumbel_softmax", "vimco"])
def test_the_whole_objective_has_their_gradients(row, prior_law):
    rng = np.random.default_rng(1)
    params, x = parameters(rng, chained=prior_law is falling_chain), 1.0 * (rng.random((6, SIDE**2)) < 0.4)
    model = Model(**OWN | {"prior_law": prior_law})
    noise = {"exact": (), "gumbel_softmax": (rng.random((4, 6, N, K)),)}.get(row, (rng.integers(0, K, (4, 6, N)),))
    loss = lambda params: negative_elbo(params, x, TABLE[row], lambda q: noise, model=model)
    groups = (
        ("psi", "theta", "phi") if row in ("exact", "gumbel_softmax") else ("theta", "phi")
    )  # else the codes are held
    for group in groups:
        numeric = complex_step(lambda arrays, group=group: loss(params | {group: arrays}).value, params[group])
        for name, gradient in loss(params).gradients[group].items():
            assert relative_error(gradient, numeric[name]) < 1e-12, name


def test_a_run_with_own_networks_is_trained_saved_loaded_and_used(tmp_path, capsys):
    data = load("bars")
    settings = Settings("exact", N=N, K=K, epochs=4, lr=1e-2)
    start = parameters(np.random.default_rng(2))
    run = fit(data, settings, checkpoints=Checkpoints(tmp_path), params=start, **OWN)
    before = evaluate({g: {n: a.astype(np.float32) for n, a in each.items()} for g, each in start.items()}, data.test.x,
                      model=run.model)  # fmt: skip
    found = evaluate(run.params, data.test.x, model=run.model)
    assert found.log_likelihood > before.log_likelihood + 1 and found.method == "exact, 9 states"
    again = load_run(tmp_path, **OWN)
    assert worth(again, data.test.x).log_likelihood.mean() == pytest.approx(found.log_likelihood, rel=1e-5)
    assert decode(again, codes_of(again, data.test.x)).shape == data.test.x.shape
    assert usage(run.params, data.test.x, model=run.model).share.shape == (N, K)
    with pytest.raises(
        InputError,
        match="networks: the run has functions of its own, decode and encode and prior_law, which no file holds",
    ):
        load_run(tmp_path)
    assert cli.main(["evaluate", str(tmp_path)]) == 2
    assert "functions of its own, decode and encode and prior_law" in capsys.readouterr().err
    longer = replace(settings, epochs=6)
    _, *stopped, _ = Checkpoints(tmp_path).newest()
    resumed, whole = fit(data, longer, start=stopped, params=start, **OWN), fit(data, longer, params=start, **OWN)
    for group in whole.params:
        for name, array in whole.params[group].items():
            np.testing.assert_array_equal(resumed.params[group][name], array)


def test_a_prior_of_ones_own_is_learned_and_drawn_from():
    data, start = load("bars"), {"phi": {"logits": np.zeros((N, K))}}  # a name that the fixed prior has, too
    shared = lambda phi, c, N: (phi["logits"][None], lambda dp: {"logits": dp[0]})
    run = fit(data, Settings("exact", N=N, K=K, epochs=4, lr=1e-2, hidden=(6,)), params=start, prior_law=shared)
    same = fit(data, Settings("exact", N=N, K=K, epochs=4, lr=1e-2, hidden=(6,), prior="learned"))
    assert run.history == same.history and np.abs(run.params["phi"]["logits"]).max() > 1e-3
    z = prior_codes(run.params, np.random.default_rng(0), 2000, None, run.model)
    share, p = (z[:, 0, None] == np.arange(K)).mean(0).reshape(-1), softmax(run.params["phi"]["logits"])[0][0]
    np.testing.assert_allclose(share, p, atol=5 * np.sqrt(0.25 / 2000))


def test_a_warm_start_goes_on_from_given_parameters():
    data, settings = load("bars"), Settings("exact", N=N, K=K, epochs=3, hidden=(6,))
    first = fit(data, settings)
    second = fit(data, settings, params=first.params)
    loss = lambda run: evaluate(run.params, data.validation.x, model=run.model).negative_elbo
    assert loss(second) < loss(first) and second.history["loss"][0] < first.history["loss"][0]
    half = fit(data, settings, params={"theta": first.params["theta"]})
    assert half.history["loss"][0] != second.history["loss"][0]
    kept = first.params["psi"]["w0"].copy()
    fit(data, settings, params=first.params)
    np.testing.assert_array_equal(first.params["psi"]["w0"], kept)  # they are copied


@pytest.mark.parametrize(("given", "words"), [
    ({"params": {"psi": {}}}, r"params: expected psi with \{'w0'"),
    ({"params": {"chi": {}}}, "params: expected the groups psi, theta, .* got chi"),
    ({"encode": encode}, "params: a function encode needs its own psi"),
    ({"params": {"psi": {}}, "colour": encode}, "params: .* got colour"),
])  # fmt: skip
def test_what_does_not_belong_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        fit(load("bars"), Settings("exact", N=N, K=K, epochs=1), **given)


@pytest.mark.parametrize(("group", "name"), [("theta", "gamma"), ("theta", "w7"), ("psi", "v0"), ("psi", "pairwise")])
def test_arrays_that_nothing_reads_are_refused_and_not_ignored(group, name):
    data, settings = load("bars"), Settings("exact", N=N, K=K, epochs=1, hidden=(6,))
    run = fit(data, settings)
    more = run.params | {group: run.params[group] | {name: np.zeros(3, np.float32)}}
    with pytest.raises(InputError, match=f"{group}: nothing reads {name}"):
        evaluate(more, data.test.x, model=run.model)


def test_ones_own_decoder_is_the_decoder_whatever_the_interface_is_called():
    rng = np.random.default_rng(3)
    params, x, z = parameters(rng), 1.0 * (rng.random((6, SIDE**2)) < 0.4), rng.integers(0, K, (4, 6, N))
    model = Model(**OWN, interface="emission")
    expected = LIKELIHOODS["bernoulli"].nll(decode_rows(params["theta"], z)[0], x)[0]
    np.testing.assert_array_equal(reconstruction(params["theta"], x, model=model)(z)[0], expected)


GIVES = {  # what a wrong encoder answers, and the sentence
    "no backward": (lambda q, b: q, "encode: expected .value, backward., got a ndarray"),
    "a backward that is none": (lambda q, b: (q, None), "encode: expected .value, backward."),
    "a name less": (lambda q, b: (q, lambda d: {"w": b(d)["w"]}), "encode: its backward must return gradients of"),
    "one name more": (lambda q, b: (q, lambda d: b(d) | {"more": 1.0}), "encode: its backward must return gradients of"),
    "gradients as a list": (lambda q, b: (q, lambda d: [b(d)]), "encode: its backward must return .* got a list"),
    "logits of other examples": (lambda q, b: (q[:2], b), "encode: logits: expected shape"),
}  # fmt: skip


@pytest.mark.parametrize("what", GIVES)
def test_an_encoder_that_answers_otherwise_is_told_so(what):
    change, words = GIVES[what]
    own = lambda psi, x, c=None: change(*encode(psi, x, c))
    params = parameters(np.random.default_rng(4))
    with pytest.raises(InputError, match=words):
        fit(load("bars"), Settings("exact", N=N, K=K, epochs=1), params=params, **OWN | {"encode": own})


PRIOR_GIVES = {
    "of other latents": (lambda phi, c, n: (phi["logits"][None, :1], lambda dp: phi), r"prior_law: logits: expected shape"),
    "one number": (lambda phi, c, n: (1.0, lambda dp: phi), "prior_law: logits: expected an array of shape"),
    "no backward": (lambda phi, c, n: phi["logits"][None], "prior_law: expected .value, backward., got a ndarray"),
    "another name": (lambda phi, c, n: (phi["logits"][None], lambda dp: {"more": dp[0]}), "prior_law: its backward must"),
}  # fmt: skip


@pytest.mark.parametrize("what", PRIOR_GIVES)
def test_a_prior_that_answers_otherwise_is_told_so(what):
    given, words = PRIOR_GIVES[what]
    with pytest.raises(InputError, match=words):
        fit(
            load("bars"),
            Settings("exact", N=N, K=K, epochs=1),
            params={"phi": {"logits": np.zeros((N, K))}},
            prior_law=given,
        )


@pytest.mark.parametrize(("settings", "words"), [
    ({"prior": "learned"}, "prior: a prior_law of your own takes the place of the uniform prior, got learned besides"),
    ({"estimator": "gumbel_softmax", "kl": "relaxed"}, "kl: only the analytic one with a prior_law of your own"),
])  # fmt: skip
def test_a_prior_of_ones_own_stands_alone(settings, words):
    start, law = (
        {"phi": {"logits": np.zeros((N, K))}},
        lambda phi, c, N: (phi["logits"][None], lambda dp: {"logits": dp[0]}),
    )
    with pytest.raises(InputError, match=words):
        fit(load("bars"), Settings(**{"N": N, "K": K, "epochs": 1} | settings), params=start, prior_law=law)


def test_parameters_are_dicts_of_finite_arrays():
    data, settings = load("bars"), Settings("exact", N=N, K=K, epochs=1, hidden=(6,))
    run = fit(data, settings)
    with pytest.raises(InputError, match=r"params: expected .*, as a run's params, got a Run"):
        fit(data, settings, params=run)
    run.params["psi"]["b0"][0] = np.nan
    with pytest.raises(InputError, match=r"params: expected finite numbers, got others in psi\.b0"):
        fit(data, settings, params=run.params)
