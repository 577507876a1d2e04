"""Estimators as people publish them in PyTorch, each with the mistakes that are made in it. Needs PyTorch.

`BANK` holds, for each, the right version, how it is judged, and {wrong version: words that the judge must say}.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch.distributions import Categorical, OneHotCategoricalStraightThrough, RelaxedOneHotCategorical


@dataclass(frozen=True)
class Published:
    """A right estimator, what `judge` is told of it, and wrong ones with what must be said of them."""

    right: Callable
    how: dict = field(default_factory=dict)
    wrong: dict = field(default_factory=dict)


# Gumbel-Softmax, which draws its own noise


def functional_soft(logits, f):
    return f(F.gumbel_softmax(logits, tau=0.5))


def functional_without_tau(logits, f):
    return f(F.gumbel_softmax(logits))


def functional_of_probabilities(logits, f):
    return f(F.gumbel_softmax(logits.softmax(-1), tau=0.5))


def functional_hard(logits, f):
    return f(F.gumbel_softmax(logits, tau=0.5, hard=True))


def hard_with_both_signs_turned(logits, f):
    y = F.gumbel_softmax(logits, tau=0.5)
    hard = F.one_hot(y.argmax(-1), y.shape[-1]).to(y)
    return f(hard - y + y.detach())


def hard_detached(logits, f):
    y = F.gumbel_softmax(logits, tau=0.5)
    return f(F.one_hot(y.argmax(-1), y.shape[-1]).to(y))


def distributions_soft(logits, f):
    return f(RelaxedOneHotCategorical(torch.tensor(0.5), logits=logits).rsample())


def distributions_inverted(logits, f):
    return f(RelaxedOneHotCategorical(torch.tensor(1 / 0.5), logits=logits).rsample())


def by_hand_from_noise(logits, f, u):
    return f(((logits - torch.log(-torch.log(u))) / 0.5).softmax(-1)).mean(0)


def minus_gumbel(logits, f, u):
    return f(((logits + torch.log(-torch.log(u))) / 0.5).softmax(-1)).mean(0)


def times_tau(logits, f, u):
    return f(((logits - torch.log(-torch.log(u))) * 0.5).softmax(-1)).mean(0)


def tau_as_epsilon(logits, f):
    """The temperature lands in the sampler's epsilon, where it is added inside both logarithms."""
    u = torch.rand_like(logits)
    return f((logits - torch.log(-torch.log(u + 0.5) + 0.5)).softmax(-1))


def one_noise_for_the_batch(logits, f):
    u = torch.rand(logits.shape[1:], dtype=logits.dtype)
    return f(((logits - torch.log(-torch.log(u))) / 0.5).softmax(-1))


# Straight-through


def detach(logits, f, z):
    p = logits.softmax(-1)
    return f(F.one_hot(z, p.shape[-1]) + p - p.detach()).mean(0)


def detach_of_logits(logits, f, z):
    return f(F.one_hot(z, logits.shape[-1]) + logits - logits.detach()).mean(0)


def distributions_straight(logits, f):
    return f(OneHotCategoricalStraightThrough(logits=logits).rsample())


# The score function


def log_q(logits, z):
    return Categorical(logits=logits).log_prob(z).sum(-1)


def reinforce(logits, f):
    q = Categorical(logits=logits)
    z = q.sample()
    return q.log_prob(z).sum(-1) * f(z)


def reinforce_of_a_reward(logits, f):
    q = Categorical(logits=logits)
    z = q.sample()
    return -q.log_prob(z).sum(-1) * f(z)


def reinforce_normalised(logits, f):
    """With advantages that have mean 0 and deviation 1 in the batch."""
    q = Categorical(logits=logits)
    z = q.sample()
    fz = f(z)
    return q.log_prob(z).sum(-1) * (fz - fz.mean()) / (fz.std() + 1e-8)


def reinforce_mean_of_batch(logits, f):
    q = Categorical(logits=logits)
    z = q.sample()
    fz = f(z)
    return q.log_prob(z).sum(-1) * (fz - fz.mean())


def reinforce_from_noise(logits, f, z):
    return (log_q(logits, z) * f(z)).mean(0)


def reinforce_of_q(logits, f, z):
    return (log_q(logits, z).exp() * f(z)).mean(0)


def score_alone(logits, f, z):
    return log_q(logits, z).mean(0)


def summed_over_samples(logits, f, z):
    return (log_q(logits, z) * f(z)).sum(0)


def mean_over_the_batch(logits, f, z):
    return (log_q(logits, z) * f(z)).mean()


def clamped(logits, f, z):
    q = logits.softmax(-1).clamp(min=1e-3)
    return (q.log().expand(*z.shape, -1).gather(-1, z[..., None])[..., 0].sum(-1) * f(z)).mean(0)


def unshifted(logits, f, z):
    q = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return (q.log().expand(*z.shape, -1).gather(-1, z[..., None])[..., 0].sum(-1) * f(z)).mean(0)


def leave_one_out(logits, f, z):
    fz = f(z)
    baseline = (fz.sum(0) - fz) / (len(fz) - 1)
    return (log_q(logits, z) * (fz - baseline)).mean(0)


def own_sample_left_in(logits, f, z):
    fz = f(z)
    return (log_q(logits, z) * (fz - fz.mean(0))).mean(0)


class Nvil:
    """A learned baseline, here its first guess, and moving averages of f's mean and, in the wrong one, of its variance."""

    def __init__(self, early=False, scaled=False):
        self.early, self.scaled = early, scaled
        self.mean, self.square = 0.0, 0.0
        self.network = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()

    def __call__(self, logits, f, z):
        fz = f(z)
        if self.early:
            self.update(fz)
        baseline = self.network(logits.detach().double().mean((1, 2))[:, None])[:, 0].detach()
        signal = fz - baseline - self.mean
        if self.scaled:
            signal = signal / max(1.0, math.sqrt(max(self.square - self.mean**2, 0)))
        if not self.early:
            self.update(fz)
        return (log_q(logits, z) * signal).mean(0)

    def update(self, fz):
        self.mean = 0.8 * self.mean + 0.2 * float(fz.mean())
        self.square = 0.8 * self.square + 0.2 * float((fz**2).mean())


def nvil():
    return Nvil()


def nvil_updated_first():
    return Nvil(early=True)


# A bound of several samples


def vimco(logits, f, z):
    logq = log_q(logits, z)
    logw = -f(z) - logq
    S = len(logw)
    others = (logw.sum(0) - logw) / (S - 1)  # the geometric mean of the others, in the place of each
    without = torch.where(torch.eye(S, dtype=torch.bool)[..., None], others[:, None], logw[None])
    bound, baseline = logw.logsumexp(0) - math.log(S), without.logsumexp(1) - math.log(S)
    return -((bound.detach() - baseline.detach()) * logq).sum(0) - bound


def vimco_score_alone(logits, f, z):
    logq = log_q(logits, z)
    logw = -f(z) - logq.detach()
    S = len(logw)
    others = (logw.sum(0) - logw) / (S - 1)
    without = torch.where(torch.eye(S, dtype=torch.bool)[..., None], others[:, None], logw[None])
    signal = logw.logsumexp(0) - without.logsumexp(1)
    return -(signal.detach() * logq).sum(0)


def vimco_by_subtraction(logits, f, z):
    """The others' sum as the total less one's own: it cancels where one weight is nearly all."""
    logq = log_q(logits, z)
    logw = -f(z) - logq
    S = len(logw)
    w, others = logw.exp(), (logw.sum(0) - logw) / (S - 1)
    baseline = torch.log(w.sum(0) - w + others.exp())
    bound = torch.log(w.sum(0))
    return -((bound.detach() - baseline.detach()) * logq).sum(0) - bound


# Control variates


def gumbels(logits, u, v, through=True):
    """Perturbed logits, their argmax z, and perturbed logits drawn again given z."""
    logp = logits.log_softmax(-1)
    g = logp - torch.log(-torch.log(u))
    z = g.argmax(-1)
    top = -torch.log(-torch.log(v.gather(-1, z[..., None])))
    shared = logp if through else logp.detach()
    below = -torch.log(-torch.log(v) / shared.exp() + torch.exp(-top))
    hard = F.one_hot(z, logits.shape[-1]).bool()
    return g, z, torch.where(hard, top.expand_as(below), below)


def with_surrogate(logits, f, u, v, surrogate, through=True, score_of_surrogate=True):
    g, z, again = gumbels(logits, u, v, through)
    free, tied = surrogate(g), surrogate(again)
    signal = f(z) - tied.detach() if score_of_surrogate else f(z)
    return (log_q(logits, z) * signal + free - tied).mean(0)


def rebar(logits, f, u, v):
    return with_surrogate(logits, f, u, v, lambda g: f((g / 0.5).softmax(-1)))


def rebar_without_path(logits, f, u, v):
    return with_surrogate(logits, f, u, v, lambda g: f((g / 0.5).softmax(-1)), through=False)


def rebar_not_conditioned(logits, f, u, v):
    """The second perturbed logits are drawn freely, and not given z: right, but they take no variance away."""
    logp = logits.log_softmax(-1)
    free, tied = (f(((logp - torch.log(-torch.log(each))) / 0.5).softmax(-1)) for each in (u, v))
    z = (logp - torch.log(-torch.log(u))).argmax(-1)
    return (log_q(logits, z) * (f(z) - tied.detach()) + free - tied).mean(0)


def network(g):
    """RELAX's free surrogate, before any training."""
    K = g.shape[-1]
    return torch.tanh(g.softmax(-1) * torch.linspace(-1, 1, K, dtype=g.dtype)).sum((-1, -2))


def relax(logits, f, u, v):
    return with_surrogate(logits, f, u, v, network)


def relax_without_score(logits, f, u, v):
    return with_surrogate(logits, f, u, v, network, score_of_surrogate=False)


def muprop(logits, f, z):
    p = logits.softmax(-1)
    mean = p.detach().requires_grad_()
    fm = f(mean)
    (slope,) = torch.autograd.grad(fm.sum(), mean)
    linear = fm.detach() + ((F.one_hot(z, p.shape[-1]) - mean) * slope).sum((-1, -2)).detach()
    return (log_q(logits, z) * (f(z) - linear)).mean(0) + (p * slope).sum((-1, -2))


def muprop_without_correction(logits, f, z):
    p = logits.softmax(-1)
    mean = p.detach().requires_grad_()
    fm = f(mean)
    (slope,) = torch.autograd.grad(fm.sum(), mean)
    linear = fm.detach() + ((F.one_hot(z, p.shape[-1]) - mean) * slope).sum((-1, -2)).detach()
    return (log_q(logits, z) * (f(z) - linear)).mean(0)


# Better straight-through, antithetic uniforms, sums


def reinmax(logits, f, z, keep=0.5):
    p0 = logits.softmax(-1)
    hard = F.one_hot(z, p0.shape[-1])
    p1 = (hard + p0) / 2
    p1 = ((p1.log() - logits).detach() + logits).softmax(-1)
    p2 = 2 * p1 - keep * p0
    return f(p2 - p2.detach() + hard).mean(0)


def reinmax_with_all_of_p(logits, f, z):
    return reinmax(logits, f, z, keep=1.0)


def arm(logits, f, e, centre=0.5):
    phi = logits[..., 1] - logits[..., 0]
    p = torch.sigmoid(phi)
    above, below = f((e > 1 - p).long()), f((e < p).long())
    return ((above - below).detach()[..., None] * (e - centre) * phi).sum(-1).mean(0)


def arm_not_centred(logits, f, e):
    """Right too: where e and 1 - e are exchanged, the difference of f's changes its sign, so a constant adds nothing."""
    return arm(logits, f, e, centre=0.0)


def arm_of_the_same_side(logits, f, e):
    """Both codes are 1 where e is large: they are coupled, and no longer mirrored."""
    phi = logits[..., 1] - logits[..., 0]
    p = torch.sigmoid(phi)
    above, below = f((e > 1 - p).long()), f((e > p).long())
    return ((above - below).detach()[..., None] * (e - 0.5) * phi).sum(-1).mean(0)


def disarm(logits, f, e, weighted=True):
    phi = logits[..., 1] - logits[..., 0]
    p = torch.sigmoid(phi)
    z, mirrored = (e > 1 - p).long(), (e < p).long()
    weight = torch.sigmoid(phi.abs()) if weighted else 1.0
    signal = (-1.0) ** mirrored * (z != mirrored) * weight
    return (0.5 * (f(z) - f(mirrored))[..., None] * signal.detach() * phi).sum(-1).mean(0)


def disarm_without_weight(logits, f, e):
    return disarm(logits, f, e, weighted=False)


def local_expectation(logits, f, z, weighted=True):
    p = logits.softmax(-1)
    total = 0.0
    for n in range(logits.shape[1]):
        for k in range(logits.shape[2]):
            other = z.clone()
            other[..., n] = k
            total = total + (p[:, n, k] if weighted else p[:, n, k].log()) * f(other).detach()
    return total.mean(0)


def local_expectation_of_logs(logits, f, z):
    return local_expectation(logits, f, z, weighted=False)


SOFT, HARD = {"like": "gumbel_softmax", "tau": 0.5}, {"like": "straight_through_gumbel", "tau": 0.5}
BANK = (
    Published(functional_soft, SOFT, {functional_without_tau: "gumbel_softmax at tau = 1",
                                      functional_of_probabilities: "is a softmax taken twice?",
                                      tau_as_epsilon: "", one_noise_for_the_batch: "is one noise used for the whole batch?"}),
    Published(functional_hard, HARD, {hard_with_both_signs_turned: "sign", hard_detached: "zero everywhere",
                                      functional_soft: "gumbel_softmax"}),
    Published(distributions_soft, SOFT, {distributions_inverted: "temperature inverted, tau = 2"}),
    Published(by_hand_from_noise, SOFT, {minus_gumbel: "the negative of it, log(-log u)",
                                         times_tau: "temperature inverted, tau = 2"}),
    Published(detach, {"like": "straight_through"}, {detach_of_logits: "without the softmax's Jacobian"}),
    Published(distributions_straight, {"like": "straight_through"}),
    Published(reinforce, {}, {reinforce_of_a_reward: "sign", reinforce_mean_of_batch: "own sample",
                              reinforce_normalised: "divided by its own size or deviation"}),
    Published(reinforce_from_noise, {}, {
        reinforce_of_q: "", score_alone: "zero everywhere", summed_over_samples: "summed over the samples",
        mean_over_the_batch: "it is divided by B", clamped: "is a probability floored, or a logit clipped?",
        unshifted: "without subtracting their maximum first?"}),
    Published(leave_one_out, {}, {own_sample_left_in: "includes its own sample"}),
    Published(nvil, {"steps": 3}, {nvil_updated_first: "own sample"}),
    Published(vimco, {"bound": True}, {vimco_score_alone: "without its second part",
                                       vimco_by_subtraction: "BIASED (off by 1e-09 of the gradient"}),
    Published(rebar, {}, {rebar_without_path: "without the derivative through the conditional sample zt"}),
    Published(rebar_not_conditioned),
    Published(relax, {}, {relax_without_score: ""}),
    Published(muprop, {}, {muprop_without_correction: ""}),
    Published(reinmax, {"like": "reinmax"}, {reinmax_with_all_of_p: ""}),
    Published(arm, {}, {arm_of_the_same_side: ""}),
    Published(arm_not_centred),
    Published(disarm, {}, {disarm_without_weight: ""}),
    Published(local_expectation, {}, {local_expectation_of_logs: ""}),
)  # fmt: skip
