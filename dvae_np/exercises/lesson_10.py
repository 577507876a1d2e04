"""The exercises of lesson 10, MuProp and REBAR."""

import numpy as np

from dvae_np import conditional_gumbel, gumbel, log_softmax, muprop, rebar, reinforce, score
from dvae_np.exercises.exercise import Exercise
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.exercises.lesson_07 import objective


def best_eta(v0, v_half, v1):
    """The vertex of the parabola that NumPy fits through the three points."""
    square, linear, _ = np.polyfit([0, 0.5, 1], [v0, v_half, v1], 2)
    return -linear / (2 * square)


def on_a_parabola(offset, linear, square):
    return {name: offset + linear * eta + square * eta**2 for name, eta in (("v0", 0), ("v_half", 0.5), ("v1", 1))}


def my_conditional(logits, z, v):
    """The library's."""
    return conditional_gumbel(logits, z, v)[0]


def with_rates(rate):
    """The formula with other rates than q, a function of the logits."""

    def wrong(logits, z, v):
        E = -np.log(v)
        first = np.take_along_axis(E, z[..., None], -1)
        return -np.log((np.arange(logits.shape[-1]) != z[..., None]) * E / rate(logits) + first)

    return wrong


def unconditioned(logits, z, v):
    return log_softmax(logits)[0] + gumbel(v)


def conditional_cases(rng):
    for S, B, N, K in ((5, 3, 2, 4), (2, 4, 1, 7)):
        logits = 1 + rng.standard_normal((B, N, K))
        yield {"logits": logits, "z": rng.integers(0, K, (S, B, N)), "v": rng.random((S, B, N, K))}


def my_simple_muprop(logits, f, z):
    """REINFORCE, sample by sample, with f at the mean code taken off."""
    at_q = f(softmax_of(logits)[None])[0][0]
    return sum((f(one[None])[0][0] - at_q)[:, None, None] * score(logits, one[None])[0] for one in z) / len(z)


def with_the_slope_back(logits, f, z):
    q = softmax_of(logits)
    slope = f(q[None])[1](np.ones((1, len(q))))[0][0]
    return my_simple_muprop(logits, f, z) + q * (slope - (q * slope).sum(-1, keepdims=True))


def codes(rng, S, B, N, K):
    return {"logits": rng.standard_normal((B, N, K)), "f": objective(rng, B, N, K), "z": rng.integers(0, K, (S, B, N))}


def my_rebar(logits, f, u, v, tau):
    """The library's at eta = 1."""
    omega = {"eta": np.ones(()), "log_tau": np.log(tau) * np.ones(())}
    return rebar(logits, f, u, v, omega=omega).dlogits


def through_zt(logits, f, u, v, tau):
    """The term that the detached sample lacks."""
    z = (log_softmax(logits)[0] + gumbel(u)).argmax(-1)
    zt, zt_backward = conditional_gumbel(logits, z, v)
    y = softmax_of(zt / tau)
    value, backward = f(y)
    dy = backward(np.ones_like(value))[0]
    return zt_backward(y * (dy - (y * dy).sum(-1, keepdims=True)) / tau)[0] / len(u)


def detached(*case):
    return my_rebar(*case) + through_zt(*case)


def added(*case):
    return my_rebar(*case) + 2 * through_zt(*case)


def summed(*case):
    return my_rebar(*case) + (1 - len(case[2])) * through_zt(*case)


def plain(logits, f, u, v, tau):
    return reinforce(logits, f, (log_softmax(logits)[0] + gumbel(u)).argmax(-1)).dlogits


def rebar_cases(rng):
    for (S, B, N, K), tau in (((3, 4, 2, 5), 0.5), ((2, 3, 1, 4), 1.4)):
        u, v = rng.random((2, S, B, N, K))
        yield {"logits": rng.standard_normal((B, N, K)), "f": objective(rng, B, N, K), "u": u, "v": v, "tau": tau}


EXERCISES = (
    Exercise(
        "10.1",
        best_eta,
        lambda rng: [on_a_parabola(*each) for each in ((3.1, -2.3, 1.7), (2.2, 1.9, 4.3), (7.3, -5.2, 2.1), 1 + rng.random(3))],
        {},
        returns=("the best weight",),
        mistakes={
            "twice the minimum: the derivative of eta^2 is 2 eta": lambda *v: 2 * best_eta(*v),
            "minus the minimum: there the derivative vanishes, so the linear term changes its sign": lambda *v: -best_eta(*v),
        },
    ),
    Exercise(
        "10.2",
        my_conditional,
        lambda rng: list(conditional_cases(rng)),
        {"logits": "BNK", "z": "SBN", "v": "SBNK"},
        returns=("the perturbed logits",),
        library=(conditional_gumbel,),
        mistakes={
            "the formula with unnormalised logits: the winner's law needs rates that add up to 1": with_rates(np.exp),
            "the formula with equal rates: a loser's is its q": with_rates(np.ones_like),
            "plain perturbed logits: nothing makes z win": unconditioned,
        },
    ),
    Exercise(
        "10.3",
        my_simple_muprop,
        lambda rng: [codes(rng, 3, 5, 2, 4), codes(rng, 4, 3, 1, 7)],
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        mistakes={
            "the gradient plus J(q) f'(q): a constant takes nothing away that must come back": with_the_slope_back,
            "REINFORCE: f at the mean code is not taken off": lambda *case: reinforce(*case).dlogits,
            "MuProp: the slope is to be left out": lambda *case: muprop(*case).dlogits,
        },
    ),
    Exercise(
        "10.4",
        my_rebar,
        lambda rng: list(rebar_cases(rng)),
        {"logits": "BNK", "u": "SBNK", "v": "SBNK"},
        returns=("the gradient",),
        mistakes={
            "REBAR without the derivative through the conditional sample zt": detached,
            "REBAR with that derivative added, where it is taken off": added,
            "REBAR with that derivative summed over the samples: take the mean": summed,
            "REINFORCE at the same codes": plain,
        },
    ),
)  # fmt: skip
