"""What the parameters of a VAE are those of: rows of the tables, or an encoder, a decoder and a prior of your own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dvae_np.arrays import InputError, expect, expect_choice
from dvae_np.autoregressive import Autoregressive
from dvae_np.chain import Chain
from dvae_np.laws import Independent
from dvae_np.likelihoods import OBSERVATIONS, Likelihood
from dvae_np.networks import INTERFACES, decoder, expect_layers
from dvae_np.ops import relu
from dvae_np.structure import POSTERIORS, PRIORS, known_kl

OWN = {name for row in OBSERVATIONS.values() for name in row.own}  # arrays in theta that the likelihood reads


@dataclass(frozen=True)
class Model:
    """What the parameters are those of: a row of each table, by its name. Raises InputError for a name that has none.

    Your own encoder is `encode(psi, x, c) -> (q, backward)`, with x (B, D), c (B, C) or None, q logits (B, N, K) or a law, and
    `backward(dq)`, of an array or of a law as q is, the gradients in psi by name. Your own decoder is `decode(theta, z, c) ->
    (a, backward)`, with z codes (S, B, N), states (S, 1, N) or relaxed codes (S, B, N, K), a (S, B or 1, D) what the likelihood
    takes, and `backward(da)` returning (dz, dtheta), dz None for codes. Your own prior is `prior_law(phi, c, N) ->
    (p, backward)`, with p logits (1 or B, N, K) or a `Chain`; it takes the place of the uniform one. `dvae_np.check.check_op`
    tells whether they are right.
    """

    likelihood: str = "bernoulli"  # of `dvae_np.likelihoods.OBSERVATIONS`
    prior: str = "uniform"  # of `dvae_np.structure.PRIORS`
    interface: str = "embedding"  # of `dvae_np.networks.INTERFACES`
    activation: Callable = relu  # between the layers of all networks
    posterior: str = "independent"  # of `dvae_np.structure.POSTERIORS`
    columns: tuple = ()  # the number of categories of each column of x, for the likelihood of that name
    encode: Callable | None = None
    decode: Callable | None = None
    prior_law: Callable | None = None
    observation: Likelihood = field(init=False, compare=False)
    encoder: Callable = field(init=False, compare=False, repr=False)  # (psi, x, c) -> (a law, backward)
    decoder: Callable = field(init=False, compare=False, repr=False)  # (theta, z, c) -> (a, backward)
    prior_op: Callable = field(init=False, compare=False, repr=False)  # (phi, c, N) -> (a law or None, backward)
    additive: bool = field(init=False)  # is -log p(x|z) a sum over the latents?
    sequential: bool = field(init=False)  # is a law autoregressive, and the KL no closed form, but a mean over codes?

    def __post_init__(self):
        tables = {"likelihood": OBSERVATIONS, "prior": PRIORS, "posterior": POSTERIORS, "interface": INTERFACES}
        for name, table in tables.items():
            expect_choice(name, getattr(self, name), table)
        if not known_kl(self.posterior, self.prior):
            raise InputError(f"prior: no KL is known of the posterior {self.posterior} to the prior {self.prior}")
        if self.prior_law is not None and self.prior != "uniform":
            raise InputError(
                f"prior: a prior_law of your own takes the place of the uniform prior, got {self.prior} besides"
            )
        own = partial(POSTERIORS[self.posterior].op, activation=self.activation)
        known = {
            "observation": OBSERVATIONS[self.likelihood].of(self.columns),
            "encoder": own if self.encode is None else partial(as_law, self.encode),
            "decoder": partial(decoder, activation=self.activation, interface=self.interface)
            if self.decode is None
            else partial(answered, "decode", self.decode),
            "prior_op": partial(PRIORS[self.prior].op, activation=self.activation)
            if self.prior_law is None
            else partial(as_prior, self.prior_law, POSTERIORS[self.posterior].law),
            "additive": INTERFACES[self.interface].additive and self.decode is None,
            "sequential": Autoregressive in (PRIORS[self.prior].law, POSTERIORS[self.posterior].law),
        }
        for name, value in known.items():
            object.__setattr__(self, name, value)

    def expect_parameters(self, params):
        """Raise `InputError` for arrays in psi or theta that this model would not read; your own functions see to theirs."""
        if self.encode is None:
            expect_layers(params["psi"], POSTERIORS[self.posterior].arrays(1, 1), "psi")
        if self.decode is None:
            names = {"table", "bias", "context"} | INTERFACES[self.interface].joined | set(self.observation.own)
            expect_layers(params["theta"], names, "theta")

    def part(self, N):
        """The observation model of one of N parts of x: as many columns of one size, where there are columns."""
        if not self.columns:
            return self.observation
        count = len(self.columns)
        if count % N or len(set(self.columns)) > 1:
            raise InputError(
                f"columns: {N} latents emit parts of columns of one size, got {count} columns, {set(self.columns)}"
            )
        return OBSERVATIONS[self.likelihood].of(self.columns[: count // N])


PLAIN = Model()


def as_law(encode, psi, x, c=None):
    """What an encoder says as a law, logits (B, N, K) as `Independent`, with backward from a gradient in that law."""
    q, backward = answered("encode", encode, psi, x, c)
    if isinstance(q, tuple):
        return q, backward
    expect("encode: logits", q, (len(x), "N", "K"))
    return Independent(q), lambda dq: backward(dq.logits)


def as_prior(prior_law, posterior, phi, c, N):
    """What a prior says as a law, as above. Raises InputError for one to which no KL of that posterior is known."""
    p, backward = answered("prior_law", prior_law, phi, c, N)
    if type(p) is Chain and posterior is not Autoregressive:
        return p, backward
    expect("prior_law: logits", p, ("1 or B", N, "K"))
    return Independent(p), lambda dp: backward(dp.logits)


def answered(name, function, params, *arguments):
    """(value, backward) of a function of one's own. Raises InputError where it answers otherwise, or gradients lack names."""
    found = function(params, *arguments)
    if not (isinstance(found, tuple) and len(found) == 2 and callable(found[1])):
        raise InputError(f"{name}: expected (value, backward), got a {type(found).__name__}")

    def backward(gradient):
        answer = found[1](gradient)
        gradients = answer[-1] if name == "decode" and isinstance(answer, tuple) else answer
        if not isinstance(gradients, dict) or set(gradients) != set(params) - OWN:
            names = ", ".join(gradients) if isinstance(gradients, dict) else f"a {type(gradients).__name__}"
            raise InputError(f"{name}: its backward must return gradients of {', '.join(params)}, got {names}")
        return answer

    return found[0], backward
