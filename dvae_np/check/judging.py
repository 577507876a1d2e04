"""Is *your* estimator right? Verdicts on a function, or on gradient samples that any program wrote."""

import importlib.util
import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np

from dvae_np.arrays import InputError
from dvae_np.categorical import conditional_gumbel, entropy, log_prob
from dvae_np.check import enumeration, verdicts
from dvae_np.check.estimators import estimator_results
from dvae_np.check.means import derivatives
from dvae_np.check.report import Report, Result
from dvae_np.estimators import TABLE, Estimate, Row
from dvae_np.ops import log_softmax, softmax

NOISE = ("z", "u", "v", "e", "distinct", "coupled")


def judge(estimate, name=None, *, S=None, binary=False, bound=False):
    """Verify an estimator of anyone's: a `Report`, whose `failed` is empty where it is unbiased and keeps the contract.

    estimate: a function (logits, f, *noise, **hyper) of this package's kind. Its noise is told by its parameters' names:
              z, u, v, e, distinct, coupled (see `dvae_np.draw`); what has a default is a hyper-parameter. It returns an
              `Estimate`, or the gradient in the logits (B, N, K) alone.
    S:        the number of samples, where it takes no other; else it is tried with several.
    binary:   whether it is for latents of K = 2 categories alone, as whatever takes e is.
    bound:    whether it is of the negative multi-sample bound [Eq. 9.1], as VIMCO, and not of E_q[f].

    It is tried at N = 2 latents of K = 3 categories, or N = 1 and K = 2, 3 where it takes Gumbel noise, or N = 3 of K = 2
    where it is binary; f takes codes and relaxed codes. Its exact mean is compared with the exact gradient; a known mistake is
    called by its name. Raises InputError for a function whose parameters are not of this form, and for S < 1.
    """
    if S is not None and (S < 1 or S != int(S)):
        raise InputError(f"S: expected a whole number of samples, at least 1, got {S}")
    parameters = inspect.signature(estimate).parameters
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each.name for each in parameters.values() if each.default is each.empty and each.kind in plain]
    noise = tuple(required[2:])
    alone = {"z", "distinct", "coupled", "e"} & set(noise) if not {"u", "v"} & set(noise) else set()
    if len(required) < 3 or not set(noise) <= set(NOISE) or (alone and len(noise) > 1):
        raise InputError(
            f"estimator: expected parameters (logits, f, noise among {', '.join(NOISE)}), got ({', '.join(required)})"
        )
    hyper = {each.name: each.default for each in parameters.values() if each.default is not each.empty}

    def complete(logits, f, *arrays, **options):
        found = estimate(logits, f, *arrays, **options)
        if isinstance(found, Estimate):
            return found
        if not isinstance(found, np.ndarray) or found.shape != logits.shape:
            what = f"shape {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
            raise TypeError(
                f"expected the gradient in the logits, an array of shape {logits.shape}, it returned {what}"
            )
        return Estimate(None, found, None)

    row = Row(
        name or getattr(estimate, "__name__", type(estimate).__name__),
        title="",
        estimate=complete,
        noise=noise,
        unbiased=True,
        evaluations="S",
        lesson=1,
        paper="-",
        gradient_of_f="discrete",
        fewest_samples=S or (1 if {"u", "v", "e"} & set(noise) else 2),
        most_samples=S or float("inf"),
        binary=binary or "e" in noise,
        averages=False,
        owns_kl=bound,
        hyper=hyper,
    )
    with np.errstate(all="ignore"):  # what comes out is judged, however it came about
        return Report(_guarded(row))


def _guarded(row):
    """The results, up to an exception of the estimator's, which is one more result."""
    results = estimator_results(row, mistakes=known_mistakes)
    while True:
        try:
            yield next(results)
        except StopIteration:
            return
        except (Exception, SystemExit) as error:  # anything that a stranger's function may raise
            words = f"{type(error).__name__}: {error}"
            yield Result(0, row.name, "runs", "INVALID (it raised an exception)", False, None, words)
            return


def known_mistakes(row, logits, f, exact, S):
    """Means that well-known mistakes would have, for `hints.hint`: {"what it equals": array (N, K)}."""
    other = derivatives(replace(row, owns_kl=not row.owns_kl), logits, {}, lambda theta: f, S)["dlogits"][0]
    if row.owns_kl:
        first_part = exact - _by_weights(logits, f, S)
        return {
            "the gradient of E_q[f], where that of the multi-sample bound is due": other,
            "the bound's gradient without its second part, through log q in the weights": first_part,
        }
    q = np.exp(log_softmax(logits)[0])[0]
    mean_f = enumeration.expectation(logits, f)[0]
    less_entropy = exact - entropy(logits)[1](np.ones(1))[0]
    mistakes = {
        "the gradient of E_q[f] less the entropy of q, which belongs to the KL and not to an estimator": less_entropy,
        "the gradient of the multi-sample bound, as VIMCO's: judge it as one (bound=True, --bound)": other,
        "the gradient plus q E[f]: the score lacks its -q": exact + q * mean_f,
        "the gradient for a baseline that was updated with the very f it is subtracted from (decay 0.9)": 0.9 * exact,
        "the gradient for a baseline that was updated with the very f it is subtracted from (decay 0.95)": 0.95 * exact,
        "a gradient summed over the samples, where their mean is due": S * exact,
    }
    if row.noise == ("z",):
        z, weights = enumeration.every_code(logits, 1)
        for name in ("straight_through", "reinmax"):
            dlogits = TABLE[name].estimate(enumeration.tiled(logits, len(weights)), f, z).dlogits
            mistakes[f"the mean of {name} at tau = 1, which is biased by design"] = enumeration.moments(
                weights, dlogits
            )[0]
    if "u" in row.noise:
        nodes, weights, _ = enumeration.gumbel_nodes(logits, 140)
        many = enumeration.tiled(logits, len(weights))

        def mean(name, *noise, **hyper):
            dlogits = TABLE[name].estimate(many, f, *(nodes[each] for each in noise), **hyper).dlogits
            return enumeration.moments(weights, dlogits)[0]

        for tau in {1.0, 0.5, float(row.hyper.get("tau", 1.0))}:
            for name in ("gumbel_softmax", "straight_through_gumbel"):
                relaxed = mean(name, "u", tau=tau)
                mistakes[f"the mean of {name} at tau = {tau}, which is biased by design"] = relaxed
                if tau != 1:
                    mistakes[f"the mean of {name} at tau = {tau} without the factor 1/tau of its backward pass"] = (
                        tau * relaxed
                    )
        if "v" in row.noise:
            for tau in (0.5, 1.0):
                omega = {"eta": np.ones(()), "log_tau": np.log(tau) * np.ones(())}
                path = mean("rebar", "u", "v", omega=omega) + _path_of_conditional(logits, f, nodes, weights, tau)
                mistakes[f"REBAR (eta = 1, tau = {tau}) without the derivative through the conditional sample zt"] = (
                    path
                )
    return mistakes


def _by_weights(logits, f, S):
    """E[sum_s w_s d log q(z_s) / d logits], with w the normalised weights of the bound: its gradient's second part."""
    z, weights = enumeration.every_code(logits, S)
    logq, logq_backward = log_prob(enumeration.tiled(logits, len(weights)), z)  # (S, T)
    shares = softmax((-f(z)[0] - logq).T)[0].T
    return enumeration.moments(weights, logq_backward(shares)[0])[0]


def _path_of_conditional(logits, f, nodes, weights, tau):
    """E[d c(zt) / d logits] at fixed v, c = f(softmax(. / tau)): what is lost where zt counts as a constant."""
    many = enumeration.tiled(logits, len(weights))
    zt, zt_backward = conditional_gumbel(many, nodes["z"], nodes["v"])
    y, softmax_backward = softmax(zt / tau)
    fy, f_backward = f(y)
    dzt = softmax_backward(f_backward(np.ones_like(fy))[0]) / tau
    return enumeration.moments(weights, zt_backward(dzt)[0])[0]


def judge_samples(draws, exact, **sizes):
    """The verdict on gradient samples (R, ...) of any program beside the exact gradient (...), as a `Report`.

    sizes: numbers that a wrong factor may be made of, as S=4, B=100. See `verdicts.from_samples` for what it can see.
    """
    verdict = verdicts.from_samples(draws, exact, sizes=sizes)
    check = f"z-tests, false alarms {verdicts.FALSE_ALARM:g}"
    text = f"{verdict.kind} ({verdict.detail})"
    return Report([Result(5, "samples", check, text, verdict.ok, verdict.error, verdict.explanation)])


def load_function(place):
    """The function that 'my_file.py:my_function' names. Raises InputError where there is none."""
    path, _, name = place.rpartition(":")
    if not name or not Path(path).is_file():
        raise InputError(f"estimator: expected FILE.py:FUNCTION with a file that exists, got {place!r}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None:
        raise InputError(f"estimator: expected a Python file, got {path!r}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # anything that a stranger's file may raise
        raise InputError(f"estimator: {path} could not be imported ({type(error).__name__}: {error})") from error
    if not callable(getattr(module, name, None)):
        raise InputError(f"estimator: expected a function {name!r} in {path}, found none")
    return getattr(module, name)


def load_array(path, what):
    """An array from an .npy file. Raises InputError for anything else; objects (pickles) are not loaded."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"--{what}: expected an .npy file of numbers, got {str(path)!r} ({error})") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise InputError(
            f"--{what}: expected real numbers, got {getattr(array, 'dtype', 'an archive')} in {str(path)!r}"
        )
    return array
