"""How a run begins: fresh parameters, which optimiser changes which of them, and what each step is told."""

import numpy as np

from dvae_np import vae
from dvae_np.arrays import InputError
from dvae_np.estimators import TABLE
from dvae_np.likelihoods import OBSERVATIONS
from dvae_np.networks import last_bias
from dvae_np.train.evaluation import PAIRS
from dvae_np.train.optimisers import SGD, Adam, RAdam

KINDS = {"adam": Adam, "radam": RAdam, "sgd": SGD}


def fresh_parameters(rng, data, settings):
    """Parameters to start from, as a dict of dicts of NumPy arrays, with the estimator's tunables in ``omega``.

    Raises InputError where the training images are not pixels that the settings' likelihood describes.
    """
    x, c, tunables = data.train.x, data.train.c, TABLE[settings.estimator].omega
    observation = settings.model.observation
    if data.pixels not in ("counts", "real") and not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"data: expected pixels in [0, 1], got {float(x.min()):g} to {float(x.max()):g}")
    if not fits(observation, data):
        known = ", ".join(name for name, each in OBSERVATIONS.items() if fits(each, data))
        raise InputError(f"likelihood: expected one of {known} for {data.binarisation}, got {settings.likelihood}")
    params = vae.parameters(
        rng, x.shape[1], settings.N, settings.K, settings.hidden, x.dtype.type, C=0 if c is None else c.shape[1],
        model=settings.model, levels=data.levels)  # fmt: skip
    if settings.scale is not None:
        params["theta"]["log_scale"][:] = np.log(settings.scale)
    params["theta"]["table"] *= x.dtype.type(settings.embedding_scale)
    if settings.first_image == "mean":
        params["theta"][last_bias(params["theta"])][:] = observation.start(x, data.levels)
    if settings.prior == "fixed":
        params["phi"]["logits"][:] = np.log(settings.prior_probabilities)
    if tunables:
        omega = tunables(rng, settings.N, settings.K)
        params["omega"] = {name: np.asarray(value, x.dtype) for name, value in omega.items()}
    return params


def start_parameters(rng, data, settings, given, networks):
    """`fresh_parameters`, or the groups that are given: of one's own networks as they are, else of the same shapes.

    Raises InputError for a group of one's own networks that is not given, and for arrays that the settings' model has not.
    """
    if not isinstance(given, dict) or not all(isinstance(arrays, dict) for arrays in given.values()):
        raise InputError(
            f"params: expected {{group: {{name: array}}}}, as a run's params, got a {type(given).__name__}"
        )
    fresh = fresh_parameters(rng, data, settings)
    groups = {"encode": "psi", "decode": "theta", "prior_law": "phi"}
    own = {groups[name] for name in networks if name in groups}
    if unknown := (set(given) - set(fresh) - own) | (set(networks) - set(groups)):
        expected = f"the groups {', '.join(fresh)}, networks {', '.join(groups)}"
        raise InputError(f"params: expected {expected}; got {', '.join(sorted(unknown))}")
    for name in networks:
        if groups[name] not in given:
            raise InputError(f"params: a function {name} needs its own {groups[name]}, {{name: array}}; got none")
    for group, arrays in given.items():
        shapes, expected = (
            {name: np.shape(array) for name, array in each.items()} for each in (arrays, fresh.get(group, {}))
        )
        if group not in own and shapes != expected:
            raise InputError(f"params: expected {group} with {expected}, got {shapes}")
        fresh[group] = {name: np.array(array, data.train.x.dtype) for name, array in arrays.items()}
        for name, array in fresh[group].items():
            if not np.isfinite(array).all():
                raise InputError(f"params: expected finite numbers, got others in {group}.{name}")
    return fresh


def fits(observation, data):
    """Is this observation model for such data? A density is for real numbers, too."""
    return observation.pixels == data.pixels or (data.pixels == "real" and observation.density)


def optimisers(params, settings):
    """A list: one for psi and theta, one for a prior that learns, one for tunables. What the settings give is not learned."""
    given = {("phi", "logits"): settings.prior == "fixed", ("theta", "log_scale"): settings.scale is not None}
    learned = {group: {name: array for name, array in arrays.items() if not given.get((group, name))}
               for group, arrays in params.items()}  # fmt: skip
    shares = [(("psi", "theta"), settings.optimiser, settings.lr),
              (("phi",), settings.optimiser, settings.lr * settings.prior_rate)]  # fmt: skip
    if "omega" in params:
        shares.append((("omega",), *TABLE[settings.estimator].omega_step))
    own = (({group: learned[group] for group in groups if learned.get(group)}, kind, lr) for groups, kind, lr in shares)
    return [KINDS[kind](arrays, lr) for arrays, kind, lr in own if arrays]


def step_options(data, settings):
    """What each step hands on to `vae.negative_elbo` and its estimator."""
    pairs = settings.estimator == "exact" and data.train.c is not None  # then each of example and state is decoded
    hyper = {"block": max(1, PAIRS // settings.batch)} if pairs else {}
    return {
        "model": settings.model,
        "kl": settings.kl,
        "free_bits": settings.free_bits,
        "hyper": hyper | settings.hyper,
    }
