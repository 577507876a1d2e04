"""How a trained model uses its codes: which categories, how many, and what they tell about the data, in nats."""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import InputError, expect
from dvae_np.autoregressive import kl_given
from dvae_np.laws import each_array
from dvae_np.model import PLAIN
from dvae_np.noise import evenly
from dvae_np.ops import softmax
from dvae_np.vae import posterior_and_prior

SILENT = 0.01  # nats of information below which a latent says nothing
ONE_CODE = 1.5  # perplexity below which one category has nearly all images
DRAWS = 16  # codes for each example, where q has no marginals
USED = 0.001  # share of the images from which a category counts as used


@dataclass(frozen=True)
class Usage:
    """Of each latent, over a split."""

    share: np.ndarray  # (N, K) the aggregate posterior: the mean of q(z_n = k|x) over the images
    perplexity: np.ndarray  # (N,) e^entropy of that: as many equally used categories would have it
    information: np.ndarray  # (N,) nats: mutual information of x and z_n, entropy(mean q) - mean entropy(q)
    kl: np.ndarray  # nats: mean KL(q || p) of each latent (N,), or (1,) of all together where they are not independent
    examples: int

    @property
    def used(self):
        """(N,) categories with more than a thousandth of the images."""
        return (self.share > USED).sum(-1)

    def kl_of(self, n, digits):
        """', KL 1.23 nats' of latent n; nothing where the latents have none of their own."""
        return f", KL {self.kl[n]:.{digits}f} nats" if len(self.kl) == len(self.information) else ""

    @property
    def warnings(self):
        """One sentence for each latent that collapsed: it says next to nothing, or nothing that its prior does not say."""
        if self.examples == 1 or self.share.shape[1] == 1:
            return []  # one example, or one category, can say nothing
        shared = "every image has the same code, as may come of a random first image"  # the KL never asks for that
        return [
            f"latent {n + 1} has collapsed: {self.information[n]:.4f} nats about the data{self.kl_of(n, 4)}, "
            f"perplexity {self.perplexity[n]:.2f}; "
            + (shared if self.perplexity[n] < ONE_CODE else "warm-up, free bits or a smaller beta may help")
            for n in range(len(self.information))
            if min(self.information[n], self.kl[n] if len(self.kl) > n else np.inf) < SILENT
        ]


def usage(params, x, c=None, model=PLAIN):
    """`Usage` of the model's latents over the rows of x (n, D), given contexts c (n, C) [Eq. 19.1].

    Of an autoregressive q it is an average over codes, as the latter has no marginals that can be computed.
    """
    q, p = posterior_and_prior(params, x, c, model)
    q = each_array(lambda array: array.astype(np.float64), q)
    if model.sequential:
        z = q.codes(evenly(DRAWS, *q.sizes[:2], like=q[0]))
        divergence = kl_given(q, p, z, np.full_like(q[0], 1 / DRAWS, shape=z.shape[:2]))[0].mean(0)
    else:
        divergence = q.kl_parts(p)[0].mean(0)
    marginals = q.marginals()[0] if hasattr(q, "marginals") else softmax(q.conditionals(z)[0])[0].mean(0)  # (B, N, K)
    share = marginals.mean(0)
    aggregate, each = _entropy(share), _entropy(marginals).mean(0)
    return Usage(share, np.exp(aggregate), np.maximum(aggregate - each, 0), divergence, len(x))


@dataclass(frozen=True)
class Clusters:
    """What codes say of classes that the model never saw."""

    accuracy: float  # share of the examples whose class is the most frequent one of their code's
    mutual_information: float  # of code and class, over the mean of their entropies: 1 where each says the other
    codes: int  # different ones among the examples


def clusters(codes, labels, named_by=None):
    """`Clusters` of codes (n, N) with classes labels (n,), both whole numbers.

    named_by: (codes, labels) of other examples, as the training images', from which each code has its class; else these ones.
    A code that has no class there counts as wrong. Raises InputError for labels that are not one class an example.
    """
    expect("labels", labels, (len(codes),), "i")
    known, known_labels = (codes, labels) if named_by is None else named_by
    for each, of in ((codes, labels), (known, known_labels)):
        expect("codes", each, ("n", codes.shape[-1]), "i")
        expect("labels", of, (len(each),), "i")
        if not len(each) or of.min() < 0:
            raise InputError(f"labels: expected classes from 0, of at least one example, got {of[:5].tolist()}")
    count = 1 + max(int(labels.max()), int(known_labels.max()))
    _, places = np.unique(np.concatenate([known, codes]), axis=0, return_inverse=True)
    seen, own = places.ravel()[: len(known)], places.ravel()[len(known) :]
    table = np.zeros((places.max() + 1, count))
    np.add.at(table, (seen, known_labels), 1)
    right = (table[own].argmax(1) == labels) & (table[own].sum(1) > 0)
    joint = np.zeros_like(table)
    np.add.at(joint, (own, labels), 1 / len(labels))
    of_codes, of_labels = _entropy(joint.sum(1)), _entropy(joint.sum(0))
    shared, whole = of_codes + of_labels - _entropy(joint.ravel()), (of_codes + of_labels) / 2
    return Clusters(float(right.mean()), float(shared / whole) if whole > 0 else 0.0, len(np.unique(own)))


def _entropy(q):
    return -(q * np.log(np.maximum(q, np.finfo(q.dtype).tiny))).sum(-1)
