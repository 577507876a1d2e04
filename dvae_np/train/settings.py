"""What decides a run: its settings."""

import math
from dataclasses import dataclass, field

from dvae_np.arrays import InputError, expect_choice, expect_number, expect_whole
from dvae_np.autoregressive import MOST_STATES as FEWER_STATES
from dvae_np.estimators import TABLE
from dvae_np.likelihoods import OBSERVATIONS
from dvae_np.model import Model
from dvae_np.networks import INTERFACES
from dvae_np.structure import POSTERIORS, PRIORS
from dvae_np.train.evaluation import MOST_STATES
from dvae_np.train.schedules import KL_SCHEDULES, expect_schedules, kl_weight
from dvae_np.vae import expect_objective

OPTIMISERS = ("adam", "radam", "sgd")
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
    prior: str = "uniform"  # or another of `dvae_np.structure.PRIORS`
    prior_probabilities: tuple = ()  # K numbers, for the fixed prior
    prior_rate: float = 1.0  # the prior's step size, as a multiple of lr
    posterior: str = "independent"  # of `dvae_np.structure.POSTERIORS`
    interface: str = "embedding"  # how z enters the decoder; or "concatenation", "film"
    likelihood: str = "bernoulli"  # or another of `dvae_np.likelihoods.OBSERVATIONS`
    columns: tuple = ()  # categories of each column of the data, for the likelihood of that name
    scale: float | None = None  # sigma of the Gaussian; None: learned
    embedding_scale: float = 1.0  # of the embedding's first rows, beside those that add up to unit variance
    first_image: str = "mean"  # what the fresh decoder draws, the mean training image; or "random"
    hidden: tuple = (128,)  # hidden layers of the encoder; the decoder mirrors them
    optimiser: str = "adam"
    lr: float = 1e-3
    lr_schedule: str = "constant"  # or another of `dvae_np.train.schedules.CURVES`, over all epochs, to lr_end
    lr_end: float | None = None
    tau_schedule: str = "constant"  # the same for the estimator's temperature
    tau_end: float | None = None
    patience: int = (
        0  # epochs without a better validation loss, after which it stops; 0: all epochs, and the last is kept
    )
    batch: int = 100
    epochs: int = 100
    seed: int = 0
    hyper: dict = field(default_factory=dict)  # the estimator's, where not the table's

    def __post_init__(self):
        choices = {"estimator": TABLE, "schedule": KL_SCHEDULES, "prior": PRIORS, "posterior": POSTERIORS,
                   "interface": INTERFACES, "likelihood": OBSERVATIONS, "first_image": FIRST_IMAGES,
                   "optimiser": OPTIMISERS}  # fmt: skip
        for name, known in choices.items():
            expect_choice(name, getattr(self, name), known)
        for name in ("N", "K", "S", "batch", "epochs", "schedule_epochs", "seed", "patience"):
            expect_whole(name, getattr(self, name), int(name not in ("seed", "patience")))
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
        row = TABLE[self.estimator]
        additive = INTERFACES[self.interface].additive  # then dynamic programming visits no state
        most = FEWER_STATES if self.model.sequential else math.inf if additive else MOST_STATES
        row.expect_sizes(self.S, self.N, self.K, self.batch, most)
        expect_schedules(self, (row.hyper | self.hyper).get("tau"))
        for beta in (kl_weight(self, 0.0), self.beta):
            expect_objective(row, self.kl, beta, self.free_bits, self.hyper, self.model)

    @property
    def model(self):
        """What the parameters of such a run are those of."""
        return Model(self.likelihood, self.prior, self.interface, posterior=self.posterior, columns=self.columns)
