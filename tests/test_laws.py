"""q is a value: every law agrees with the sums over its joint states, and whoever asks a law needs not know its kind.

The second kind is a law of this file alone, `Tilted`: independent latents, and one more number for every joint state. All that
it can do is done by enumeration, so it is slow and plainly right. Estimators that ask for no logits must be right on it.
"""

from typing import NamedTuple

import numpy as np
import pytest

from dvae_np import InputError, draw
from dvae_np.check import differences, enumeration
from dvae_np.check.means import defaults, objective_for, shifted
from dvae_np.check.posteriors import law_results, results_of_law
from dvae_np.estimators import TABLE
from dvae_np.laws import Independent, each_array, joint_states, law
from dvae_np.ops import log_softmax, softmax


class Tilted(NamedTuple):
    """q(z) proportional to exp(sum_n unary[n, z_n] + tilt[z])."""

    unary: np.ndarray  # (B, N, K)
    tilt: np.ndarray  # (B, K**N)

    @property
    def sizes(self):
        return self.unary.shape

    def _states(self):
        _, N, K = self.sizes
        return joint_states(N, K), np.eye(K)[joint_states(N, K)]  # (M, N), (M, N, K)

    def _table(self):
        """log q of all joint states (B, M), and backward."""
        _, hot = self._states()
        logq, backward = log_softmax(np.einsum("bnk,mnk->bm", self.unary, hot) + self.tilt)

        def to_parameters(dlogq):
            dtilt = backward(dlogq)
            return Tilted(np.einsum("bm,mnk->bnk", dtilt, hot), dtilt)

        return logq, to_parameters

    def _numbers(self, z):
        return z @ self.sizes[2] ** np.arange(self.sizes[1] - 1, -1, -1)  # (S, B) or (S, 1)

    def log_prob(self, z):
        logq, backward = self._table()
        numbers = np.broadcast_to(self._numbers(z), (len(z), len(logq)))
        one = numbers[..., None] == np.arange(logq.shape[1])  # (S, B, M)
        return logq[np.arange(len(logq)), numbers], lambda d: backward((d[..., None] * one).sum(0))

    def probability(self):
        def op(states):
            logq, backward = self.log_prob(states[:, None])
            q = np.exp(logq)
            return q, lambda d: backward(d * q)

        return op

    def score(self, z):
        each = [self.log_prob(one[None])[1](np.ones((1, len(self.unary)))) for one in z]
        return Tilted(*map(np.stack, zip(*each, strict=True)))

    def codes(self, u):
        states, _ = self._states()
        cumulated = np.cumsum(np.exp(self._table()[0]), -1)  # (B, M)
        return states[(cumulated[:, :-1] <= u[..., 0, None]).sum(-1)]

    def marginals(self):
        logq, backward = self._table()
        _, hot = self._states()
        q = np.exp(logq)
        return np.einsum("bm,mnk->bnk", q, hot), lambda d: backward(q * np.einsum("bnk,mnk->bm", d, hot))

    def entropy(self):
        logq, backward = self._table()
        q = np.exp(logq)
        return -(q * logq).sum(-1), lambda d: backward(-d[:, None] * q * (logq + 1))

    def kl(self, p=None):
        parts, backward = self.kl_parts(p)
        return parts[:, 0], lambda d: backward(d[:, None])

    def kl_parts(self, p=None):
        logq, backward = self._table()
        logp, p_backward = (-np.log(logq.shape[1]), None) if p is None else p._table()
        q = np.exp(logq)

        def both(d):
            dq = backward(d * q * (logq - logp + 1))
            return dq, None if p is None else p_backward((-d * q).sum(0, keepdims=len(p.unary) == 1))

        return (q * (logq - logp)).sum(-1)[:, None], both

    def mode(self):
        return self._states()[0][self._table()[0].argmax(-1)]


GENERIC = [name for name, row in TABLE.items() if hasattr(Tilted, row.asks) and "u" not in row.noise]
ELSEWHERE = [name for name, row in TABLE.items() if not hasattr(Tilted, row.asks)]


def tilted(rng, B, N=2, K=3):
    return Tilted(rng.standard_normal((B, N, K)), rng.standard_normal((B, K**N)))


def wrong(results):
    return [str(result) for result in results if not result.ok]


def test_every_law_agrees_with_the_sums_over_its_states():
    assert not wrong(law_results())
    rng = np.random.default_rng(0)
    assert not wrong(results_of_law(tilted(rng, 5), tilted(rng, 1), rng))


@pytest.mark.parametrize(
    "method", ["log_prob", "probability", "score", "codes", "marginals", "entropy", "kl", "kl_parts", "mode"]
)
@pytest.mark.parametrize("kind", [Independent, Tilted])
def test_a_law_with_one_wrong_answer_fails(kind, method, monkeypatch):
    """Values off by a thousandth; codes and modes of the neighbouring category."""
    right = getattr(kind, method)

    def bent(self, *arguments):
        found = right(self, *arguments)
        if method in ("codes", "mode"):
            return (found + 1) % self.sizes[2]
        if method == "score":
            return each_array(lambda array: 1.001 * array, found)
        if method == "probability":
            return lambda states: ((pair := found(states))[0] * 1.001, pair[1])
        return found[0] * 1.001, found[1]

    monkeypatch.setattr(kind, method, bent)
    rng = np.random.default_rng(0)
    q, p = ((tilted(rng, B) if kind is Tilted else Independent(rng.standard_normal((B, 2, 3)))) for B in (5, 1))
    assert wrong(results_of_law(q, p, rng))


def times(factor, op, value=True, gradient=True):
    """The op (value, backward) of which the value, its gradient, or both are so many times too large."""
    return op[0] * (factor if value else 1), lambda dvalue: op[1](dvalue * (factor if gradient else 1))


SHARED, OWN = (lambda z: z.shape[1] == 1), (lambda z: z.shape[1] > 1)
BENT = {  # one wrong answer each: the method, and what becomes of its op at these arguments
    "log q of codes alone": ("log_prob", lambda op, z: times(1.001, op) if OWN(z) else op),
    "log q's gradient, codes": ("log_prob", lambda op, z: times(1.001, op, value=False) if OWN(z) else op),
    "log q's gradient, states": ("log_prob", lambda op, z: times(1.001, op, value=False) if SHARED(z) else op),
    "marginals": ("marginals", lambda op: times(1.001, op)),
    "marginals' gradient": ("marginals", lambda op: times(1.001, op, value=False)),
    "entropy": ("entropy", lambda op: times(1.001, op)),
    "entropy's gradient": ("entropy", lambda op: times(1.001, op, value=False)),
    "KL": ("kl", lambda op, p=None: times(1.001, op) if p else op),
    "KL to the uniform law": ("kl", lambda op, p=None: op if p else times(1.001, op)),
    "KL's gradient": ("kl", lambda op, p=None: times(1.001, op, value=False)),
    "KL's gradient in p": ("kl", lambda op, p=None: (op[0], lambda d: (op[1](d)[0], op[1](1.001 * d)[1]))),
    "KL's gradient as if all latents' weighed the same": (
        "kl_parts", lambda op, p=None: (op[0], lambda d: op[1](np.broadcast_to(d.mean(-1, keepdims=True), d.shape)))),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_a_law_wrong_in_one_respect_fails(name, monkeypatch):
    method, bent = BENT[name]
    right = getattr(Independent, method)
    monkeypatch.setattr(Independent, method, lambda q, *arguments: bent(right(q, *arguments), *arguments))
    assert wrong(law_results())


def test_a_law_whose_codes_differ_from_its_states_fails(monkeypatch):
    """log q of codes, its gradient and the score are all too large by the same: only the joint states deny it."""
    log_prob, score = Independent.log_prob, Independent.score
    monkeypatch.setattr(Independent, "log_prob", lambda q, z: times(1.001 if OWN(z) else 1, log_prob(q, z)))
    monkeypatch.setattr(Independent, "score", lambda q, z: Independent(1.001 * score(q, z).logits))
    rng = np.random.default_rng(0)
    found = wrong(results_of_law(*(Independent(rng.standard_normal((B, 2, 3))) for B in (5, 1)), rng))
    assert found and all("of the same joint states" in line for line in found)


@pytest.mark.parametrize(("value", "gradient"), [(True, True), (False, True)])
def test_a_law_with_wrong_probabilities_of_states_fails(value, gradient, monkeypatch):
    right = Independent.probability
    monkeypatch.setattr(Independent, "probability", lambda q: lambda z: times(1.001, right(q)(z), value, gradient))
    assert wrong(law_results())


@pytest.mark.parametrize("name", GENERIC)
def test_estimators_are_right_on_any_law_that_has_what_they_ask(name):
    """Exact means over every outcome of the codes, against the complex step of the plain sum, in both arrays of the law."""
    row, rng = TABLE[name], np.random.default_rng(1)
    N, K, S = 2, 3, row.samples(2)
    q = tilted(rng, 1, N, K)
    theta, objective = objective_for(row, rng, N, K)
    if name == "straight_through":  # exact on average for f that is affine in the codes
        slope = rng.standard_normal((N, K))
        theta, objective = (
            {},
            lambda theta: lambda z: ((z * slope).sum((-1, -2)), lambda d: (d[..., None, None] * slope, {})),
        )
    f, hyper = objective(theta), shifted(defaults(row, N, K))

    def value(arrays):
        law_of = Tilted(*arrays.values())
        if row.owns_kl:
            return enumeration.multi_sample_bound(law_of, f, S).sum()
        hot = lambda z: f(np.eye(K)[z]) if name == "straight_through" else f(z)
        return enumeration.expectation(law_of, hot).sum()

    if name == "wake_phi":  # the mean of what it descends, with the shares held
        z, chance = enumeration.every_code(q, S)
        many = enumeration.tiled(q, len(chance))
        share = softmax((-f(z)[0] - many.log_prob(z)[0]).T)[0].T
        held = chance * (share - 1 / S)
        value = lambda arrays: -(held * enumeration.tiled(Tilted(*arrays.values()), len(chance)).log_prob(z)[0]).sum()
    numeric = differences.complex_step(value, q._asdict())
    outcomes = {"z": enumeration.every_code, "distinct": enumeration.every_sequence}
    noise, weights = outcomes[row.noise[0]](q, S) if row.noise else (None, np.ones(1))
    many = enumeration.tiled(q, len(weights))
    found = row.estimate(many, f, *(() if noise is None else (noise,)), **hyper)
    assert type(found.dq) is Tilted
    for each, array in zip(q._fields, found.dq, strict=True):
        mean = enumeration.moments(weights, array)[0]
        assert differences.relative_error(mean, numeric[each][0]) < 1e-12, each


@pytest.mark.parametrize("name", ELSEWHERE)
def test_estimators_refuse_a_law_that_lacks_what_they_ask(name):
    row, rng = TABLE[name], np.random.default_rng(2)
    N, K = (2, 2) if row.binary else (2, 3)
    theta, objective = objective_for(row, rng, N, K)
    noise = draw(rng, rng.standard_normal((4, N, K)), row.samples(2), row.noise)
    with pytest.raises(InputError, match=r"expected (independent latents|a law with relaxed codes), .*got a Tilted"):
        row.estimate(tilted(rng, 4, N, K), objective(theta), *noise, **defaults(row, N, K))


@pytest.mark.parametrize("name", TABLE)
def test_plain_logits_are_welcome_and_answered_in_arrays(name):
    """The same numbers, bit for bit, whether q comes as a law or as its logits."""
    row, rng = TABLE[name], np.random.default_rng(3)
    N, K = (2, 2) if row.binary else (2, 3)
    logits = rng.standard_normal((4, N, K))
    theta, objective = objective_for(row, rng, N, K)
    noise = draw(rng, Independent(logits), row.samples(2), row.noise)
    plain, asked = (
        row.estimate(q, objective(theta), *noise, **defaults(row, N, K)) for q in (logits, Independent(logits))
    )
    assert type(plain.dlogits) is np.ndarray and type(asked.dq) is Independent
    np.testing.assert_array_equal(plain.dlogits, asked.dq.logits)
    np.testing.assert_array_equal(plain.value, asked.value)


@pytest.mark.parametrize("name", TABLE)
def test_a_row_says_all_that_its_estimator_asks_of_q(name):
    row, rng, asked = TABLE[name], np.random.default_rng(4), set()
    methods = {"log_prob", "probability", "marginals", "codes", "relaxed_codes", "entropy", "kl", "kl_parts", "mode"}

    class Listening(Independent):
        def __getattribute__(self, name):
            asked.add(name)
            return super().__getattribute__(name)

    N, K = (2, 2) if row.binary else (2, 3)
    theta, objective = objective_for(row, rng, N, K)
    noise = draw(rng, rng.standard_normal((4, N, K)), row.samples(2), row.noise)
    asked.clear()
    row.estimate(Listening(rng.standard_normal((4, N, K))), objective(theta), *noise, **defaults(row, N, K))
    allowed = {
        "log_prob": {"log_prob"},
        "probability": {"probability"},
        "marginals": {"marginals", "log_prob"},
        "relaxed_codes": {"relaxed_codes"},
        "logits": set(),
    }
    assert asked & methods <= allowed[row.asks]
    assert row.asks in asked


def test_the_door_takes_a_law_or_logits_and_nothing_else():
    logits = np.zeros((2, 3, 4))
    assert law(logits).logits is logits and law(q := Independent(logits)) is q
    for wrong_q, words in (([[0.0]], "an array"), (np.zeros((2, 3)), "shape"), (np.zeros((2, 3, 4), int), "floating")):
        with pytest.raises(InputError, match=f"logits: expected .*{words}|logits: expected {words}"):
            law(wrong_q)


def test_noise_and_outcomes_of_another_law_are_its_own():
    """Codes, and states without replacement, by their probabilities; enumerated outcomes weigh 1 together."""
    rng = np.random.default_rng(5)
    q = tilted(rng, 1)
    for outcomes, S in ((enumeration.every_code, 2), (enumeration.every_sequence, 2)):
        assert outcomes(q, S)[1].sum() == pytest.approx(1, abs=1e-14)
    many = enumeration.tiled(q, 20_000)
    z, distinct = draw(rng, many, 1, ("z",))[0][0], draw(rng, many, 2, ("distinct",))[0]
    chance = np.exp(q.log_prob(joint_states(2, 3)[:, None])[0][:, 0])
    for codes in (z, distinct[0]):
        share = np.bincount(codes @ [3, 1], minlength=9) / len(codes)
        assert (abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / len(codes))).all()  # false alarms below 1e-5
    assert (distinct[0] != distinct[1]).any(-1).all()
