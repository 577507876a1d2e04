"""Means that well-known mistakes would have, so that a wrong estimator can be told which one it makes."""

from dataclasses import replace

import numpy as np

from dvae_np.categorical import entropy, log_prob
from dvae_np.check import differences, enumeration
from dvae_np.check.means import derivatives
from dvae_np.estimators import TABLE
from dvae_np.ops import log_softmax, softmax
from dvae_np.perturbed import conditional_gumbel

EARLY = "the gradient, as for a baseline that was updated with the very f it is subtracted from"


def known_mistakes(row, logits, f, exact, S):
    """Means that well-known mistakes would have, for `hints.hint`: {"what it equals": array (N, K)}."""
    other = derivatives(replace(row, owns_kl=not row.owns_kl), logits, {}, lambda theta: f, S)["dlogits"][0]
    if row.owns_kl:
        second_part = _by_weights(logits, f, S)
        return {
            "the gradient of E_q[f], where that of the multi-sample bound is due": other,
            "the bound's gradient without its second part, through log q in the weights, as OVIS has it at gamma = 1": (
                exact - second_part
            ),
            "wake-phi, the encoder's update of reweighted wake-sleep, which is not the bound's gradient": -second_part,
            "the second part of the bound's gradient alone, through log q in the weights": second_part,
            "the gradient for weights e^-f: f is -log p(x, z) here, so that log w = -f - log q": _with_q_in_f(
                logits, f, S
            ),
        }
    q = np.exp(log_softmax(logits)[0])[0]
    mean_f = enumeration.expectation(logits, f)[0]
    less_entropy = exact - entropy(logits)[1](np.ones(1))[0]
    mistakes = {
        "the gradient of E_q[f] less the entropy of q, which belongs to the KL and not to an estimator": less_entropy,
        "the gradient of the multi-sample bound, as VIMCO's: judge it as one (bound=True, --bound)": other,
        "the gradient plus q E[f]: the score lacks its -q": exact + q * mean_f,
        "the gradient in the probabilities q, where that in the logits is due": exact / q + mean_f,
        f"0.9 of {EARLY} (decay 0.9)": 0.9 * exact,
        f"0.95 of {EARLY} (decay 0.95)": 0.95 * exact,
    } | ({"a gradient summed over the samples, where their mean is due": S * exact} if S > 1 else {})
    if row.noise == ("z",):
        z, weights = enumeration.every_code(logits, 1)
        nodes = {"z": z}
    elif {"u", "v"} & set(row.noise):
        nodes, weights, _ = enumeration.gumbel_nodes(logits, 186)
    else:
        return mistakes
    many = enumeration.tiled(logits, len(weights))

    def mean(name, *noise, **hyper):
        dlogits = TABLE[name].estimate(many, f, *(nodes[each] for each in noise), **hyper).dlogits
        return enumeration.moments(weights, dlogits)[0]

    for biased in TABLE.values():
        if biased.unbiased or biased.owns_kl or not set(biased.noise) <= set(nodes) or len(biased.noise) > 1:
            continue
        for hyper in _settings(biased, row):
            words = ", ".join(f"{name} = {value}" for name, value in hyper.items())
            wrong = mean(biased.name, *biased.noise, **hyper)
            mistakes[f"the mean of {biased.name} at {words}, which is biased by design"] = wrong
            if hyper.get("tau", 1) != 1 and biased.noise == ("u",):
                lacking = f"the mean of {biased.name} at {words} without the factor 1/tau of its backward pass"
                mistakes[lacking] = hyper["tau"] * wrong
    if "v" in row.noise:
        for tau in {hyper["tau"] for hyper in _settings(TABLE["gumbel_softmax"], row)}:
            omega = {"eta": np.ones(()), "log_tau": np.log(tau) * np.ones(())}
            path = mean("rebar", "u", "v", omega=omega) + _path_of_conditional(logits, f, nodes, weights, tau)
            mistakes[f"REBAR (eta = 1, tau = {tau}) without the derivative through the conditional sample zt"] = path
    return mistakes


def _settings(biased, row):
    """Hyper-parameters to try a biased row of the table at: its own, at tau 1 and 0.5, and the stranger's of the same names."""
    given = {
        name: value for name, value in row.hyper.items() if name in biased.hyper and isinstance(value, int | float)
    }
    tried = [biased.hyper, biased.hyper | {"tau": 0.5}] if "tau" in biased.hyper else [biased.hyper]
    if not any(name.startswith("tau") and value <= 0 for name, value in given.items()):
        tried.append(biased.hyper | given)
    return [hyper for i, hyper in enumerate(tried) if hyper not in tried[:i]]


def _by_weights(logits, f, S):
    """E[sum_s w_s d log q(z_s) / d logits], with w the normalised weights: the second part of [Eq. 9.2]."""
    z, weights = enumeration.every_code(logits, S)
    logq, logq_backward = log_prob(enumeration.tiled(logits, len(weights)), z)  # (S, T)
    shares = softmax((-f(z)[0] - logq).T)[0].T
    return enumeration.moments(weights, logq_backward(shares)[0])[0]


def _with_q_in_f(logits, f, S):
    """The gradient of -E[log 1/S sum_s e^-f(z_s)], where the bound's weights have log q in them too."""

    def loss(arrays):
        logq = lambda z: log_prob(arrays["logits"], z)[0]
        return enumeration.multi_sample_bound(arrays["logits"], lambda z: (f(z)[0] - logq(z), None), S).sum()

    return differences.complex_step(loss, {"logits": logits})["logits"][0]


def _path_of_conditional(logits, f, nodes, weights, tau):
    """E[d c(zt) / d logits] at fixed v, c = f(softmax(. / tau)): what is lost where zt counts as a constant."""
    many = enumeration.tiled(logits, len(weights))
    zt, zt_backward = conditional_gumbel(many, nodes["z"], nodes["v"])
    y, softmax_backward = softmax(zt / tau)
    fy, f_backward = f(y)
    dzt = softmax_backward(f_backward(np.ones_like(fy))[0]) / tau
    return enumeration.moments(weights, zt_backward(dzt)[0])[0]
