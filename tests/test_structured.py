"""Estimators on chains and on autoregressive laws: the proofs go where a mistake would show, and what Gumbel-CRF cuts."""

from dataclasses import replace

import numpy as np
import pytest

from dvae_np import (
    TABLE,
    Additive,
    Autoregressive,
    Chain,
    Independent,
    InputError,
    Subsets,
    draw,
    each_array,
    forward_backward,
    parameters,
    reconstruction,
)
from dvae_np.check import complex_step, enumeration, structured
from dvae_np.check.backward import check_op
from dvae_np.check.grouped import grouped
from dvae_np.check.means import defaults

ON_CHAINS = [name for name, row in TABLE.items() if hasattr(Chain, row.asks)]
ON_SUBSETS = [name for name, row in TABLE.items() if hasattr(Subsets, row.asks)]
ON_NETWORKS = [name for name, row in TABLE.items() if hasattr(Autoregressive, row.asks)]


def wrong(results):
    return [str(result) for result in results if not result.ok]


def test_every_row_is_right_on_every_law_that_answers_it():
    found = list(structured.structured_results())
    assert not wrong(found)
    for name in ON_CHAINS:
        assert any(result.subject == name and "on a chain" in result.check for result in found)
    for name in ON_SUBSETS:
        assert any(result.subject == name and "on subsets" in result.check for result in found)
    for name in ON_NETWORKS:
        assert any(result.subject == name and "autoregressive" in result.check for result in found)


@pytest.mark.parametrize("array", ["unary", "pairwise"])
@pytest.mark.parametrize("name", ON_CHAINS)
def test_a_gradient_that_is_bent_in_one_array_fails(name, array, monkeypatch):
    """A thousandth, on chains alone; a biased row fails where it is exact, or beside independent latents."""
    row, right = TABLE[name], TABLE[name].estimate

    def bent(q, *arguments, **hyper):
        found = right(q, *arguments, **hyper)
        if not isinstance(q, Chain):
            return found
        return found._replace(dq=found.dq._replace(**{array: 1.001 * getattr(found.dq, array)}))

    changed = replace(row, estimate=bent)
    monkeypatch.setitem(TABLE, name, changed)
    rng = np.random.default_rng(0)
    results = [structured.without_pairs(changed, rng)]
    if "u" not in row.noise:
        results += structured.by_enumeration(changed, structured.random_chain(rng, 3, 3), rng)
    if name == "stochastic_softmax":
        results += structured.own_objective(rng)
    if "u" in row.noise and name != "stochastic_softmax" and array == "pairwise":
        pytest.skip("biased everywhere: its gradient is the op's, below")
    assert wrong(results)


@pytest.mark.parametrize("name", ON_SUBSETS)
def test_a_gradient_that_is_bent_on_subsets_fails(name, monkeypatch):
    """A thousandth; straight-through fails where it is exact."""
    row, right = TABLE[name], TABLE[name].estimate
    bent = lambda *arguments, **hyper: (found := right(*arguments, **hyper))._replace(
        dq=each_array(lambda array: 1.001 * array, found.dq)
    )
    changed, rng = replace(row, estimate=bent), np.random.default_rng(0)
    monkeypatch.setitem(TABLE, name, changed)
    check = structured.at_fixed_noise if "u" in row.noise else structured.by_enumeration
    assert wrong(check(changed, structured.random_subsets(rng, 4, 2), rng))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("tau", [0.3, 1.0, 4.0])
def test_the_derivative_of_relaxed_codes(tau, shared):
    rng = np.random.default_rng(1)
    q = Chain(rng.standard_normal((3, 4, 3)), rng.standard_normal((1 if shared else 3, 3, 3, 3)))
    u = rng.random((5, *q.sizes))

    def op(q):
        (y, _), backward = q.relaxed_codes(u, tau)
        return y, backward

    assert check_op(*grouped(op, q=q), rng).kind == "right"


@pytest.mark.parametrize("size", [1, 30, 300, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relaxed_codes_at_potentials_of_every_size(dtype, size):
    """Finite, and codes as frequent as they are probable where they are certain; gradients, too."""
    rng = np.random.default_rng(2)
    q = Chain(*((size * rng.standard_normal(shape)).astype(dtype) for shape in ((50, 4, 3), (1, 3, 3, 3))))
    (y, z), backward = q.relaxed_codes(rng.random((7, *q.sizes)).astype(dtype), 0.5)
    assert y.dtype == dtype and np.isfinite(y).all() and (y.argmax(-1) == z).mean() > 0.999
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-5)
    assert all(np.isfinite(array).all() and array.dtype == dtype for array in backward(y))
    if size == 1e4:
        assert (z == q.mode()).mean() > 0.99


def test_what_is_ruled_out_is_never_drawn_and_has_no_gradient():
    rng = np.random.default_rng(3)
    q = Chain(rng.standard_normal((20, 4, 3)), rng.standard_normal((1, 3, 3, 3)))
    q.unary[:, 1, 0] = q.pairwise[:, 2, 1, 2] = -np.inf
    (y, z), backward = q.relaxed_codes(rng.random((40, *q.sizes)), 1.0)
    assert not (z[..., 1] == 0).any() and not ((z[..., 2] == 1) & (z[..., 3] == 2)).any() and not y[..., 1, 0].any()
    dq = backward(rng.standard_normal(y.shape))
    assert np.isfinite(dq.unary).all() and np.isfinite(dq.pairwise).all()
    assert not dq.unary[:, 1, 0].any() and not dq.pairwise[:, 2, 1, 2].any()


def test_gumbel_crf_is_biased_by_what_it_cuts_at_every_temperature():
    """For f over nodes, as tau falls, the mean tends to the gradient with the path from z_2 to the choice of z_1 cut."""
    rng = np.random.default_rng(4)
    q = structured.random_chain(rng, 2, 2)
    f = Additive(rng.standard_normal((1, 2, 2)), np.zeros((1, 1, 2, 2)))

    def cut(arrays):
        """z_2 moves in its own term alone; z_1 moves given each z_2, whose probability is held."""
        own, held = Chain(*arrays.values()), q.both_marginals()[0]
        both = own.both_marginals()[0]
        given = both.pairwise[0, 0] / both.unary[0, 1]  # q(z_1 | z_2)
        return (held.unary[0, 1] * (f.node[0, 0] @ given)).sum() + (f.node[0, 1] * both.unary[0, 1]).sum()

    exact = structured.flat(TABLE["exact"].estimate(q, f).dq)
    limit = structured.flat(complex_step(cut, q._asdict()).values())
    u, weights, _ = structured.chain_nodes(q, 401)
    off = {}
    for tau in (0.4, 0.2):
        estimate = TABLE["straight_through_gumbel"].estimate(enumeration.tiled(q, len(weights)), f, u, tau=tau)
        mean = enumeration.moments(weights, structured.flat(estimate.dq, 1))[0]
        off[tau] = np.linalg.norm(mean - limit)
        assert np.linalg.norm(mean - exact) > 0.05 * np.linalg.norm(exact)
    assert off[0.2] < 0.4 * off[0.4] and off[0.2] < 0.2 * np.linalg.norm(limit - exact)


def test_the_largest_perturbed_score_has_another_law():
    rng = np.random.default_rng(5)
    q = structured.random_chain(rng, 2, 2)
    u, weights, codes = structured.chain_nodes(q)
    noise = -np.log(-np.log(u))[0]
    best = Chain(q.unary + noise, np.repeat(q.pairwise, len(noise), 0)).mode()
    states = enumeration.joint_states(2, 2)
    chance = q.probability()(states)[0][:, 0]
    of = lambda z: np.array([(weights * (z == state).all(-1)).sum() for state in states])
    np.testing.assert_allclose(of(codes), chance, rtol=1e-9)
    assert abs(of(best) - chance).sum() / 2 > 0.01


def test_the_cost_is_linear_in_the_number_of_latents(monkeypatch):
    """Products of a message with a matrix, counted: N - 1 forward, N - 1 backward, whatever N is."""
    rng, counted = np.random.default_rng(6), []
    right = forward_backward._times
    monkeypatch.setattr(forward_backward, "_times", lambda *arrays: counted.append(1) or right(*arrays))
    for N in (2, 20, 200):
        counted.clear()
        q = Chain(rng.standard_normal((2, N, 3)), rng.standard_normal((1, N - 1, 3, 3)))
        q.log_partition()[1](np.ones(2))
        assert len(counted) == 2 * (N - 1)


@pytest.mark.parametrize("name", ON_CHAINS)
def test_float32_stays_float32_and_examples_do_not_mix(name):
    row, rng = TABLE[name], np.random.default_rng(7)
    N, K, S = 3, 3, row.samples(2)
    q = Chain(*(rng.standard_normal(shape).astype(np.float32) for shape in ((4, N, K), (4, N - 1, K, K))))
    f = reconstruction(parameters(rng, 6, N, K, (5,))["theta"], np.ones((1, 6), np.float32))
    noise, hyper = draw(rng, q, S, row.noise), defaults(row, N, K, np.float32)
    whole = row.estimate(q, f, *noise, **hyper)
    for b in range(4):
        own = each_array(lambda array, b=b: array[[b]], q)
        alone = row.estimate(own, f, *(array[:, [b]] for array in noise), **hyper)
        for one, all_of_them in zip(alone.dq, whole.dq, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one[0], all_of_them[b], rtol=2e-4, atol=2e-5)


def test_uniforms_of_another_shape_are_refused():
    q = structured.random_chain(np.random.default_rng(8), 3, 2)
    for law in (q, Independent(q.unary)):
        for shape in ((2, 1, 3), (2, 1, 3, 3), (0, 1, 3, 2)):
            with pytest.raises(InputError, match=r"^(uniforms|S): expected"):
                law.relaxed_codes(np.full(shape, 0.5), 1.0)
