"""Anyone's objective f, before an estimator trusts it: what it takes, are its slopes right, and for whom that is enough."""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError, evaluated, expect_whole, one_hot
from dvae_np.check.differences import central, complex_step, relative_error
from dvae_np.estimators import TABLE

VALUES = ("leaves its codes as they are", "each example sees its own codes alone",
          "each sample sees its own codes alone", "finite")  # fmt: skip
SLOPE, ANALYTIC = 1e-6, 1e-10  # errors to expect of central differences, and of the complex step


@dataclass(frozen=True)
class ObjectiveReport:
    """What was found of f, and the estimators that it allows."""

    facts: dict  # {what: "yes", or what is wrong}
    allows: tuple  # names of rows of the table
    refuses: dict  # {name: what f lacks for it}

    @property
    def ok(self):
        """Is nothing that f does wrong? It may lack something all the same."""
        return all(said in ("yes", "no") for said in self.facts.values())

    def __str__(self):
        lines = [f"{what}: {said}" for what, said in self.facts.items()]
        lines.append(f"allows: {', '.join(self.allows) or 'none'}")
        lacking = {}
        for name, what in self.refuses.items():
            lacking.setdefault(what, []).append(name)
        return "\n".join(lines + [f"without {what}: not {', '.join(names)}" for what, names in lacking.items()])


def check_objective(f, N, K, B=3, seed=0):
    """Try an objective f for N latents of K categories and B examples on random codes; returns an `ObjectiveReport`.

    f(z) must return fz (S, B), in nats or any unit, and `backward(dfz)`, which returns (dz, dtheta): dz the slope in relaxed
    codes (S, B, N, K), or None for a black box; dtheta a dict. Found out: does it take codes, shared states and relaxed codes,
    are one-hots worth what their codes are, does an example see its own codes alone, does it answer twice the same, is dz right
    (central differences), and is f analytic (the complex step agrees), as the tunables of REBAR and RELAX need. An f that draws
    something by itself, as a simulator, is told apart (`drawn_by_itself`).
    Raises InputError where f does not return fz (S, B) and a backward for codes.
    """
    expect_whole("N", N, 1)
    expect_whole("K", K, 2)
    if not callable(f):
        raise InputError(f"f: expected a function of codes, got a {type(f).__name__}")
    rng, S = np.random.default_rng(seed), 4
    z = rng.integers(0, K, (S, B, N))
    given = z.copy()
    fz, backward = evaluated(f, z)
    if np.iscomplexobj(fz):
        raise InputError("f: expected real values, got complex ones")
    facts = {"leaves its codes as they are": _said(np.array_equal(z, given), "no: it changes z in place")}
    z = given
    facts["answers twice the same"] = _said(np.array_equal(fz, f(z.copy())[0], equal_nan=True), "no")
    if facts["answers twice the same"] == "no":
        return drawn_by_itself(facts, fz, K)
    other = z.copy()
    other[:, 1:] = rng.integers(0, K, other[:, 1:].shape)
    facts["each example sees its own codes alone"] = _said(
        np.allclose(f(other)[0][:, 0], fz[:, 0], rtol=1e-12, equal_nan=True),
        "no: an example's value depends on the codes of others",
    )
    other = z.copy()
    other[1:] = rng.integers(0, K, other[1:].shape)
    alone = np.allclose(f(other)[0][0], fz[0], rtol=1e-12, equal_nan=True)
    facts["each sample sees its own codes alone"] = _said(alone, "no: a sample's value depends on the others'")
    found = backward(np.ones_like(fz))
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
        raise InputError(f"f: its backward must return (dz, dtheta), a dict last; got {type(found).__name__}")
    facts["finite"] = _said(np.isfinite(fz).all(), "no: nan or infinity among its values")
    slope, analytic = _slopes(f, rng, z, fz, K, facts)
    facts["takes states that the batch shares"] = _tried(
        lambda: np.allclose(f(z[:, :1])[0], f(np.repeat(z[:, :1], B, 1))[0])
    )
    needs = {
        "none": "",
        "discrete": "" if slope else "a right slope dz",
        "relaxed": "" if slope else "a right slope dz",
    }
    refuses, values = {}, [what for what in VALUES if facts[what] != "yes"]
    for name, row in TABLE.items():
        lacks = f"values that can be used ({values[0]}: no)" if values else needs[row.gradient_of_f]
        if not lacks and row.tunes == "variance" and row.gradient_of_f == "relaxed" and not analytic:
            lacks = "being analytic, which its tunables need"
        if not lacks and name == "exact" and facts["takes states that the batch shares"] != "yes":
            lacks = "states that the batch shares"
        if not lacks and row.binary and K != 2:
            lacks = "binary latents"
        if lacks:
            refuses[name] = lacks
    return ObjectiveReport(facts, tuple(name for name in TABLE if name not in refuses), refuses)


def drawn_by_itself(facts, fz, K):
    """The report on an f that draws something at every call, as a simulator does; what it costs on average is its objective.

    What is linear in its values stays unbiased, if each call and each sample draws anew. No more can be found out of it here.
    """
    facts["finite"] = _said(np.isfinite(fz).all(), "no: nan or infinity among its values")
    refuses = {}
    for name, row in TABLE.items():
        lacks = (
            "a slope that can be checked"
            if row.gradient_of_f != "none"
            else "binary latents"
            if row.binary and K != 2
            else ""
        )
        lacks = lacks or ("values without noise, as its bound is not linear in them" if row.owns_kl else "")
        if lacks or not facts["finite"] == "yes" == facts["leaves its codes as they are"]:
            refuses[name] = lacks or "values that can be used"
    return ObjectiveReport(facts, tuple(name for name in TABLE if name not in refuses), refuses)


def _slopes(f, rng, z, fz, K, facts):
    """(is dz right?, is f analytic?), and what is to be said of both."""
    y = rng.dirichlet(np.ones(K), z.shape)  # relaxed codes
    try:
        at, backward = evaluated(f, y)
        dz = backward(np.ones_like(at))[0]
    except Exception:  # whatever a black box raises where it takes codes alone
        facts["takes relaxed codes"] = "no"
        return False, False
    facts["takes relaxed codes"] = "yes" if dz is not None else "no"
    if dz is None:
        return False, False
    same = np.allclose(f(one_hot(z, K, float))[0], fz, rtol=1e-10)
    facts["one-hots are worth what their codes are"] = _said(same, "no: f of a one-hot is not f of its code")
    loss = lambda arrays: f(arrays["y"])[0].sum()
    error = relative_error(dz, central(loss, {"y": y})["y"])
    facts["its slope dz is right"] = _said(error < SLOPE, f"no: relative error {error:.1g} to central differences")
    try:
        analytic = relative_error(dz, complex_step(loss, {"y": y})["y"]) < ANALYTIC
    except Exception:  # it does not take complex numbers
        analytic = False
    facts["analytic"] = "yes" if analytic else "no"
    return same and error < SLOPE, analytic


def _said(holds, words):
    return "yes" if holds else words


def _tried(question):
    try:
        return "yes" if question() else "no: their values are not those of the same codes for each example"
    except Exception:
        return "no"
