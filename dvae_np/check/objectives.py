"""The whole objective, from the parameters to the loss, against the complex step (level 1): every parameter array of every
prior, every way in which z enters the decoder, every observation model, with a context and without."""

import numpy as np

from dvae_np import ops, vae
from dvae_np.categorical import kl_per_latent
from dvae_np.chain import Chain
from dvae_np.check import differences
from dvae_np.check.observations import LEVELS, example
from dvae_np.check.report import Result, joined
from dvae_np.estimators import TABLE
from dvae_np.laws import Independent
from dvae_np.likelihoods import LIKELIHOODS
from dvae_np.model import Model
from dvae_np.networks import INTERFACES, encoder
from dvae_np.structure import POSTERIORS, PRIORS, known_kl

SEED = 7
B, D, C, N, K, S, HIDDEN = 4, 6, 9, 2, 3, 5, (8, 7)


def objective_results():
    """Level 1: every parameter array of the whole objective, along random directions [Eq. 1.3]."""
    rng = np.random.default_rng(SEED)
    for name, params, objective, groups in objective_cases(rng):
        flat = flattened(params, groups)

        def loss(arrays, objective=objective, params=params, groups=groups):
            own = {group: {key: arrays[f"{group}.{key}"] for key in params[group]} for group in groups}
            return objective(params | own).value

        gradients = flattened(objective(params).gradients, groups)
        comparisons = [differences.comparison_along(array, loss, flat, gradients[array], rng) for array in flat]
        check = f"complex step along 3 directions: each of {len(flat)} arrays of {', '.join(groups)}"
        yield joined(1, f"objective ({name})", check, comparisons)
        if "Taylor" in name:
            direction = {array: rng.standard_normal(flat[array].shape) / 10 for array in flat}
            order = differences.taylor_order(loss, flat, gradients, direction)
            yield Result(1, f"objective ({name})", "Taylor remainder", f"order {order:.2f}", 1.9 < order < 2.1)


def flattened(params, groups):
    """{"psi.w0": array, ...} of these groups."""
    return {f"{group}.{key}": array for group in groups for key, array in params[group].items()}


def objective_cases(rng):
    """(name, parameters, the objective as a function of them, the groups whose gradients are derivatives of its value)."""
    u, c = rng.random((S, B, N, K)), rng.standard_normal((B, C))
    binary = 1.0 * (rng.random((B, D)) < 0.4)
    codes = rng.integers(0, K, (S, B, N))
    noise = {"exact": (), "gumbel_softmax": (u,), "vimco": (codes,)}

    def case(
        name,
        x=binary,
        row="exact",
        c=None,
        groups=None,
        activation=ops.tanh,
        beta=0.7,
        kl="analytic",
        binding=False,
        **kind,
    ):
        model = Model(**kind, activation=activation)
        params = vae.parameters(rng, D, N, K, HIDDEN, np.float64, model=model, C=0 if c is None else C, levels=LEVELS)
        for group in {"phi", "psi"} & set(params):
            for key, array in params[group].items():
                if not array.any():  # what starts at zero
                    params[group][key] = rng.standard_normal(array.shape)
        options = {"beta": beta, "model": model, "kl": kl, "c": c}
        if binding:  # between the KLs of the two latents
            options["free_bits"] = kl_per_latent(encoder(params["psi"], x, c, activation)[0])[0].mean()

        def objective(params):
            return vae.negative_elbo(params, x, TABLE[row], lambda _: noise[row], **options)

        return f"{row}: {name}", params, objective, groups or tuple(params)

    yield case("tanh, Taylor")
    yield case("relu", activation=ops.relu)
    yield case("conditional, Taylor", c=c, prior="conditional", interface="film")
    for prior, found in PRIORS.items():
        of = {"prior": prior, "c": c if found.context else None}
        for posterior in POSTERIORS:
            if known_kl(posterior, prior):
                yield case(f"{posterior} posterior, {prior} prior", posterior=posterior, **of)
        kls = {Independent: ("analytic", "relaxed", "plug_in"), Chain: ("analytic",)}.get(found.law, ())
        for kl in kls:
            yield case(f"{prior} prior, {kl} KL", row="gumbel_softmax", kl=kl, **of)
    for interface in INTERFACES:
        yield case(interface, interface=interface)
        yield case(f"{interface}, context", interface=interface, c=c, prior="conditional")
        yield case(interface, row="gumbel_softmax", interface=interface)
        yield case(f"{interface}, context", row="gumbel_softmax", interface=interface, c=c, prior="conditional")
    for posterior in ("independent", "chain"):  # of hidden Markov models
        of = {"posterior": posterior, "interface": "emission"}
        yield case(f"emission, {posterior} posterior, transition prior", prior="transition", **of)
        yield case(f"emission, {posterior} posterior, context", prior="conditional_markov", c=c, **of)
    for likelihood, row in LIKELIHOODS.items():
        kind = {"x": example(row, rng, B=B, D=D)["x"], "likelihood": likelihood}
        yield case(likelihood, **kind)
        yield case(f"{likelihood}, context", **kind, c=c)
        yield case(f"{likelihood}, relaxed", row="gumbel_softmax", **kind)
        yield case(f"{likelihood}, emission", **kind, interface="emission")
    yield case("free bits that bind one latent", binding=True)
    for prior, found in PRIORS.items():
        if prior != "uniform":
            fixed = {"row": "vimco", "beta": 1.0, "groups": ("theta", "phi"), "prior": prior}
            yield case(f"{prior} prior, at fixed codes", **fixed, c=c if found.context else None)
