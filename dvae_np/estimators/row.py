"""What a row of the estimators' table says, and the rules that follow from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dvae_np.arrays import InputError, expect_few_states, expect_number


class Evaluations(NamedTuple):
    """How many evaluations of f an example takes."""

    words: str  # for readers
    count: Callable  # (S, N, K) -> that many


ONE_EACH = Evaluations("S", lambda S, N, K: S)


class Family(NamedTuple):
    """Estimators of one idea, and the colour that they have in all figures."""

    name: str
    colour: str  # one of Okabe and Ito's, which colour-blind readers tell apart


EXACT = Family("exact", "#000000")
SCORE = Family("score function", "#D55E00")
RELAXED = Family("relaxation", "#0072B2")
STRAIGHT = Family("straight-through", "#009E73")
SETS = Family("partial sums", "#CC79A7")
COUPLED = Family("coupled samples", "#E69F00")
ASKED = {  # what an estimator may ask of q, a method or an array of its law (`dvae_np.laws`), in words
    "log_prob": "log q(z)",
    "probability": "q(z)",
    "marginals": "marginals",
    "relaxed_codes": "relaxed codes",
    "logits": "independent latents",
}


@dataclass(frozen=True)
class Row:
    """One estimator: the function and what a reader, a test, a figure or a trainer must know of it."""

    name: str
    title: str
    estimate: Callable
    noise: tuple  # names of the arrays it takes, as `draw` knows them
    unbiased: bool  # is E[dq] the gradient of E_q[f] (of the bound, where it owns the KL)?
    family: Family
    lesson: int
    paper: str
    evaluations: Evaluations = ONE_EACH
    asks: str = "logits"  # what q must have, one of `ASKED`
    gradient_of_f: str = "none"  # or where f's gradient in z is needed: at "relaxed" or "discrete" points
    relaxed: bool = False  # are its samples relaxed codes, and value and dtheta those of a relaxed objective?
    fewest_samples: int = 1
    most_samples: float = float("inf")
    binary: bool = False  # for K = 2 alone
    averages: bool = True  # is the estimate at S samples the mean of those at one each? (where one is enough)
    owns_kl: bool = False  # does its objective contain the KL?
    hyper: dict = field(default_factory=dict)  # hyper-parameters that a user may set, with their defaults
    omega: Callable | None = None  # (rng, N, K) -> initial values of its own tunables
    tunes: str = ""  # what omega is learned for: the "baseline"'s fit, or the "variance" of the estimate
    omega_step: tuple = ()  # the optimiser that tunes them, and its step size

    def samples(self, S):
        """The number of samples nearest to S that it takes; 1 where it takes none."""
        return int(min(max(S, self.fewest_samples), self.most_samples)) if self.noise else 1

    def samples_for(self, evaluations, N, K):
        """The largest number of samples that takes at most so many evaluations of f; the fewest, where none does."""
        S, most = self.samples(1), min(self.most_samples, K**N) if "distinct" in self.noise else self.most_samples
        while self.noise and most > S and self.evaluations.count(S + 1, N, K) <= evaluations:
            S += 1
        return S

    def expect_sizes(self, S, N, K, B=1, most_states=float("inf")):
        """Raise `InputError` unless it can estimate for S samples of N latents of K categories, of B examples at a time."""
        if not self.noise:
            expect_few_states(self.name, N, K, B, most_states)
            if S != 1:
                raise InputError(f"S: {self.name} visits every state and takes no samples, got S = {S}")
        elif S < self.fewest_samples:
            raise InputError(f"S: {self.name} needs at least {self.fewest_samples} samples, got {S}")
        if S > self.most_samples:
            raise InputError(f"S: {self.name} takes at most {self.most_samples} samples, got {S}")
        if self.binary and K != 2:
            raise InputError(f"K: {self.name} is for binary latents, K = 2, got {K}")

    def expect_hyper(self, hyper):
        """Raise `InputError` for a hyper-parameter that it has not, or one that is no finite number where it takes a number."""
        for name, value in hyper.items():
            if name not in self.hyper:
                raise InputError(
                    f"{name}: not a hyper-parameter of {self.name}, which has {', '.join(self.hyper) or 'none'}"
                )
            if not isinstance(self.hyper[name], str | bool):
                expect_number(name, value, least=-float("inf"))
