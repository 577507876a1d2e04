"""The exercises of lesson 22, wake-sleep."""

from itertools import product

import numpy as np

from dvae_np import log_prob, log_softmax, score, wake_phi
from dvae_np.check import complex_step, lookup_table
from dvae_np.exercises.exercise import Exercise, Made
from dvae_np.exercises.lesson_02 import softmax_of
from dvae_np.exercises.lesson_05 import codes


def shares(logw):
    """w / sum w over the samples, (S, B)."""
    return np.exp(logw - np.logaddexp.reduce(logw, axis=0))


def weighed(signal, logits, z):
    """sum_s signal_s score(z_s), sample by sample."""
    total = np.zeros_like(logits)
    for each, scores in zip(signal, score(logits, z), strict=True):
        total = total + each[:, None, None] * scores
    return total


def wake(logits, f, z):
    return weighed(1 / len(z) - shares(-f(z)[0] - log_prob(logits, z)[0]), logits, z)


def not_centred(logits, f, z):
    return weighed(-shares(-f(z)[0] - log_prob(logits, z)[0]), logits, z)


def by_the_joint_alone(logits, f, z):
    return weighed(1 / len(z) - shares(-f(z)[0]), logits, z)


def over_the_batch(logits, f, z):
    return weighed(1 / len(z) - shares((-f(z)[0] - log_prob(logits, z)[0]).T).T, logits, z)


def not_normalised(logits, f, z):
    w = np.exp(-f(z)[0] - log_prob(logits, z)[0])
    return weighed(w.mean(0) - w, logits, z)


def through_the_shares(logits, f, z):
    logq = log_prob(logits, z)[0]
    share = shares(-f(z)[0] - logq)
    return weighed(share * (logq - (share * logq).sum(0)) - share, logits, z)


def drawn(rng):
    """Problems of several sizes; the log-weights of the last are far from 0, and from each other."""
    far = codes(rng, 3, 4, 2, 5)
    far["f"] = Made(lookup_table, (1000 + 5 * rng.standard_normal((4, 5, 5)),))
    return [codes(rng, 3, 5, 2, 4), codes(rng, 4, 3, 1, 7), far]


def mean_of_two(q, posterior):
    """Pair by pair: what each code of the pair gets, above or below 1/2."""
    total = np.zeros(len(q))
    for pair in product(range(len(q)), repeat=2):
        w = np.array([posterior[k] / q[k] for k in pair])
        for k, share in zip(pair, w / w.sum(), strict=True):
            total[k] -= q[pair[0]] * q[pair[1]] * (share - 0.5)
    return total


def limit(q, posterior):
    return q - posterior


def without_q(q, posterior):
    share = posterior[:, None] / (posterior[:, None] + posterior)
    return 2 * (q[:, None] * q * (0.5 - share)).sum(1)


def first_order(q, posterior):
    return q - posterior + (posterior**2 / q) @ (np.eye(len(q)) - posterior) / 2


def two_laws(rng):
    for K in (4, 6):
        yield {"q": softmax_of(rng.standard_normal(K)), "posterior": softmax_of(1.5 * rng.standard_normal(K))}


def mixed_wake(logits, f, z, delta):
    """By the probability that q gives each latent's code."""
    each, (_, N, K) = of_each(logits, z), logits.shape
    log_r = np.log((1 - delta) * each.prod(-1) + delta * float(K) ** -N)
    return weighed(-shares(-f(z)[0] - log_r), logits, z)


def of_each(logits, z):
    """q(z_n) of each latent, (S, B, N)."""
    return np.take_along_axis(softmax_of(logits)[None].repeat(len(z), 0), z[..., None], -1)[..., 0]


def by_proposal(r):
    """Wake-phi with weights p / r: r(q of each latent's code, delta, K), of each latent."""

    def update(logits, f, z, delta):
        log_r = np.log(r(of_each(logits, z), delta, logits.shape[-1]))
        return weighed(-shares(-f(z)[0] - log_r), logits, z)

    return update


def centred_all_the_same(logits, f, z, delta):
    return mixed_wake(logits, f, z, delta) + score(logits, z).mean(0)


def mixtures(rng):
    for S, B, N, K, delta in ((3, 5, 2, 4, 0.3), (5, 3, 4, 2, 0.1)):
        yield codes(rng, S, B, N, K) | {"delta": delta}


def node(logits, log_joint, t):
    """The value as a plain sum in logs, its gradient by the complex step."""

    def value(logits):
        logq = log_softmax(logits)[0]
        log_pi = (1 - t) * logq + t * log_joint
        pi = np.exp(log_pi - log_pi.real.max())
        return (pi / pi.sum() * (log_joint - logq)).sum()

    return float(value(logits)), complex_step(lambda a: value(a["logits"]), {"logits": logits})["logits"]


def parts(logits, log_joint, t):
    """pi, E[log w], and both terms of the gradient: E[score] and the covariance."""
    logq = log_softmax(logits)[0]
    pi, logw = np.exp(log_softmax((1 - t) * logq + t * log_joint)[0]), log_joint - logq
    mean, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return mean, pi @ scores, (pi * (logw - mean)) @ scores


def combined(weigh):
    """A wrong gradient: weigh(E[score], covariance, t)."""

    def wrong(logits, log_joint, t):
        mean, expected, covariance = parts(logits, log_joint, t)
        return mean, weigh(expected, covariance, t)

    return wrong


def to_the_power(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    pi, logw = np.exp(log_softmax(t * log_joint)[0]), log_joint - logq
    mean, scores = pi @ logw, np.eye(len(logits)) - np.exp(logq)
    return mean, (pi * ((1 - t) * (logw - mean) - 1)) @ scores


def without_q_in_pi(logits, log_joint, t):
    logq = log_softmax(logits)[0]
    logw = log_joint - logq
    pi, scores = np.exp(log_softmax(t * logw)[0]), np.eye(len(logits)) - np.exp(logq)
    return pi @ logw, (pi * ((1 - t) * (logw - pi @ logw) - 1)) @ scores


def nodes(rng):
    for K, t, low in ((4, 0.3, 0), (6, 0.8, -1000), (5, 0.6, 0)):
        yield {"logits": rng.standard_normal(K), "log_joint": low + 2 * rng.standard_normal(K), "t": t}


EXERCISES = (
    Exercise(
        "22.1",
        wake,
        drawn,
        {"logits": "BNK", "z": "SBN"},
        returns=("the gradient",),
        library=(wake_phi,),
        mistakes={
            "the update without the 1/S: right on average, and noisier": not_centred,
            "the update by p(x, z) alone: log w has -log q in it": by_the_joint_alone,
            "the update with weights that do not sum to 1: divide by their sum": not_normalised,
            "the update with shares that sum to 1 over the batch: over the samples, for each example": over_the_batch,
            "the mean over the samples, where they add up": lambda *case: wake(*case) / len(case[2]),
            "the gradient of a loss in which the shares are differentiated too: hold them": through_the_shares,
        },
    ),
    Exercise(
        "22.2",
        mean_of_two,
        lambda rng: list(two_laws(rng)),
        {"q": "K"},
        returns=("the mean",),
        mistakes={
            "the limit of many samples": limit,
            "the update of one of the two samples, or of each pair once": lambda *case: mean_of_two(*case) / 2,
            "the mean with weights without q: w = p / q": without_q,
            "the limit with the bias of first order": first_order,
        },
    ),
    Exercise(
        "22.3",
        mixed_wake,
        lambda rng: list(mixtures(rng)),
        {"logits": "BNK", "z": "SBN"},
        returns=("the update",),
        mistakes={
            "the update with codes weighed as if they were drawn from q": by_proposal(
                lambda each, delta, K: each.prod(-1)
            ),
            "the update where each latent is mixed by itself, which is another law": by_proposal(
                lambda each, delta, K: ((1 - delta) * each + delta / K).prod(-1)
            ),
            "the update with 1/K for the uniform law: it is over all joint states": by_proposal(
                lambda each, delta, K: (1 - delta) * each.prod(-1) + delta / K
            ),
            "the update with 1/S subtracted: the score's mean under r is not zero": centred_all_the_same,
            "the update with the roles of q and the uniform law exchanged": lambda logits, f, z, delta: (
                mixed_wake(logits, f, z, 1 - delta)
            ),
        },
    ),
    Exercise(
        "22.4",
        node,
        lambda rng: list(nodes(rng)),
        {"logits": "K"},
        returns=("the value", "the gradient"),
        mistakes={
            "the gradient without the factor 1 - t of the covariance": combined(lambda e, c, t: c - e),
            "the gradient with t in the place of 1 - t": combined(lambda e, c, t: t * c - e),
            "the covariance alone: log q in log w has a derivative too": combined(lambda e, c, t: (1 - t) * c),
            "the derivative of log w alone: pi has one too": combined(lambda e, c, t: -e),
            "the node of w to the power t, without q: the sums are over all codes, not over draws": without_q_in_pi,
            "the node of another law, q w to the power t: only w is raised": to_the_power,
        },
    ),
)  # fmt: skip
