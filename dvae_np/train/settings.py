"""What decides a run: its settings, and the weight of the KL as training goes on."""

import math
from dataclasses import dataclass, field

from dvae_np.arrays import InputError, expect_choice, expect_number, expect_whole
from dvae_np.estimators import TABLE
from dvae_np.estimators.estimate import expect_few_states
from dvae_np.networks import INTERFACES, PRIORS
from dvae_np.train.evaluation import MOST_STATES
from dvae_np.vae import RELAXED_KL

SCHEDULES = ("constant", "warm_up", "cyclical")
OPTIMISERS = ("adam", "radam", "sgd")
LIKELIHOODS = ("bernoulli", "gaussian", "categorical")
FIRST_IMAGES = ("mean", "random")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run: the same settings on the same data give the same numbers."""

    estimator: str = "exact"
    N: int = 2  # latent variables
    K: int = 16  # categories of each
    S: int = 1  # samples for each example
    beta: float = 1.0  # weight of the KL
    schedule: str = "constant"  # or "warm_up", "cyclical": how the weight gets there
    schedule_epochs: int = 10  # of the warm-up, or of one cycle
    free_bits: float = 0.0  # nats of KL that each latent has for nothing
    kl: str = "analytic"  # or "relaxed", "plug_in" for gumbel_softmax
    prior: str = "uniform"  # or "fixed", "learned", "conditional"
    prior_probabilities: tuple = ()  # K numbers, for the fixed prior
    prior_rate: float = 1.0  # the prior's step size, as a multiple of lr
    interface: str = "embedding"  # how z enters the decoder; or "concatenation", "film"
    likelihood: str = "bernoulli"  # or "gaussian", "categorical"
    scale: float | None = None  # sigma of the Gaussian; None: learned
    embedding_scale: float = 1.0  # of the embedding's first rows, beside those that add up to unit variance
    first_image: str = "mean"  # what the fresh decoder draws, the mean training image; or "random"
    hidden: tuple = (128,)  # hidden layers of the encoder; the decoder mirrors them
    optimiser: str = "adam"
    lr: float = 1e-3
    batch: int = 100
    epochs: int = 100
    seed: int = 0
    hyper: dict = field(default_factory=dict)  # the estimator's, where not the table's

    def __post_init__(self):
        choices = {"estimator": TABLE, "schedule": SCHEDULES, "prior": PRIORS, "interface": INTERFACES,
                   "likelihood": LIKELIHOODS, "first_image": FIRST_IMAGES, "optimiser": OPTIMISERS}  # fmt: skip
        for name, known in choices.items():
            expect_choice(name, getattr(self, name), known)
        for name in ("N", "K", "S", "batch", "epochs", "schedule_epochs", "seed"):
            expect_whole(name, getattr(self, name), int(name != "seed"))
            object.__setattr__(self, name, int(getattr(self, name)))  # NumPy's as Python's, which every record takes
        if not isinstance(self.hidden, tuple):
            raise InputError(f"hidden: expected a tuple of sizes of at least 1, got {self.hidden!r}")
        for size in self.hidden:
            expect_whole("hidden: expected a tuple of sizes", size, 1)
        words = {"lr": "a step size", "prior_rate": "a multiple of lr", "embedding_scale": "a factor"}
        for name in (*words, *(("scale",) if self.scale is not None else ())):
            expect_number(name, getattr(self, name), words.get(name, "a sigma"), above=True)
        for name in ("beta", "free_bits"):
            expect_number(name, getattr(self, name), "a weight")
        if self.scale is not None and self.likelihood != "gaussian":
            raise InputError(f"scale: only the gaussian likelihood has one, got likelihood {self.likelihood}")
        given = self.prior_probabilities
        if (self.prior == "fixed") != bool(given) or (given and len(given) != self.K):
            raise InputError(
                f"prior_probabilities: a fixed prior takes K = {self.K} numbers above 0, the others none; got {given}"
            )
        for share in given:
            expect_number("prior_probabilities", share, "a number", above=True)
        self._expect_what_the_estimator_can()

    def _expect_what_the_estimator_can(self):
        row = TABLE[self.estimator]
        if row.noise and self.S < row.fewest_samples:
            raise InputError(f"S: {self.estimator} needs at least {row.fewest_samples} samples, got {self.S}")
        if self.S > row.most_samples:
            raise InputError(f"S: {self.estimator} takes at most {row.most_samples} samples, got {self.S}")
        if row.binary and self.K != 2:
            raise InputError(f"K: {self.estimator} is for binary latents, K = 2, got {self.K}")
        if row.owns_kl and (self.beta, self.schedule, self.free_bits) != (1, "constant", 0):
            raise InputError(f"beta: {self.estimator}'s bound contains the KL with weight 1, got beta = {self.beta}, "
                             f"schedule {self.schedule}, free bits {self.free_bits}")  # fmt: skip
        if not row.noise:
            expect_few_states(self.estimator, self.N, self.K, self.batch, MOST_STATES)
            if self.S != 1:
                raise InputError(f"S: {self.estimator} visits every state and takes no samples, got S = {self.S}")
        if self.kl != "analytic" and (self.kl not in RELAXED_KL or self.estimator != "gumbel_softmax"):
            raise InputError(f"kl: expected analytic, or relaxed or plug_in for gumbel_softmax, got {self.kl!r}")
        if self.kl != "analytic" and self.free_bits:
            raise InputError(f"free_bits: only for the analytic KL, which is known for each latent, got kl = {self.kl}")
        for name in self.hyper:
            if name not in row.hyper:
                known = ", ".join(row.hyper) or "none"
                raise InputError(f"{name}: not a hyper-parameter of {self.estimator}, which has {known}")
            if not isinstance(row.hyper[name], str | bool):
                expect_number(name, self.hyper[name], least=-math.inf)


def kl_weight(settings, epochs):
    """beta after so many epochs, a fractional number [Eq. 3.10].

    constant: beta. warm_up: from 0 to beta over `schedule_epochs`, then beta (Bowman et al. 2016). cyclical: again and
    again, from 0 to beta in the first half of `schedule_epochs`, beta in the second (Fu et al. 2019).
    """
    if settings.schedule == "constant":
        return settings.beta
    share = epochs / settings.schedule_epochs
    return settings.beta * min(1.0, share if settings.schedule == "warm_up" else 2 * (share % 1))
