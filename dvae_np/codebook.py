"""Quantised codes: the code of a vector e is the nearest entry of a codebook, as in a VQ-VAE (van den Oord et al. 2017).

It is the cold end of a categorical law: softmax(-distances / T) becomes certain of the nearest entry as T falls, and its exact
gradient vanishes. What a VQ-VAE uses in its place are derivatives with a part left out, each said here:

    quantise     y = c_z, nearest. Left out: that y does not move with e. The gradient of y is copied to e, or rotated to it.
    distortion   ||e - c_z||^2, a true op. The codebook gets its gradient once, the encoder beta times: two losses in one.

Letters: e (B, N, D), a codebook (K, D) that all latents share, or (N, K, D); codes z (B, N).
"""

from typing import NamedTuple

import numpy as np

from dvae_np.arrays import InputError, expect, expect_number, one_hot, summed_to

__all__ = [
    "Averages",
    "Rotation",
    "distortion",
    "entries",
    "nearest",
    "perplexity",
    "quantise",
    "squared_distances",
]


MOST_OPPOSED = 1e-6  # of |u + v|^2: beyond it a rotation has no plane


def squared_distances(e, codebook):
    """||e_n - c_k||^2: (B, N, K); `backward(dvalue)` returns (de, dcodebook). Raises InputError for shapes that do not fit.

    As -value / T it is the logits of a categorical law [Eq. 21.1], whose exact gradient (2 / T) Cov_q(c, f) [Eq. 21.3] and mean
    straight-through (2 / T) Cov_q(c) E f' [Eq. 21.4] VQ-VAE's is compared with.
    """
    table = _expect(e, codebook)
    gap = e[:, :, None] - table  # (B, N, K, D)

    def backward(dvalue):
        dgap = 2 * dvalue[..., None] * gap
        return dgap.sum(2), summed_to(codebook.shape, -dgap.sum(0))

    return (gap * gap).sum(-1), backward


def nearest(e, codebook):
    """The codes: the entry nearest to each e, (B, N) [Eq. 21.2]; the first of those that are equally near."""
    return np.argmin(squared_distances(e.real, codebook.real)[0], -1)


def entries(codebook, z):
    """The codebook's entries of codes z (B, N): (B, N, D); `backward(dy)` returns dcodebook."""
    rows = one_hot(z, codebook.shape[-2], codebook.real.dtype)
    shared = codebook.ndim == 2
    y = codebook[z] if shared else codebook[np.arange(z.shape[1], like=z), z]

    def backward(dy):
        by_code = rows.transpose(1, 2, 0) @ dy.transpose(1, 0, 2)  # (N, K, D)
        return by_code.sum(0) if shared else by_code

    return y, backward


def distortion(e, codebook, z):
    """sum_n ||e_n - c_(z_n)||^2 at codes z: (B,); `backward(dvalue)` returns (de, dcodebook), its true derivatives.

    A VQ-VAE gives the codebook this gradient, and the encoder beta times it (its *commitment*) [Eq. 21.7].
    """
    _expect(e, codebook)
    y, entries_backward = entries(codebook, z)
    gap = e - y

    def backward(dvalue):
        de = 2 * dvalue[:, None, None] * gap
        return de, entries_backward(-de)

    return (gap * gap).sum((-1, -2)), backward


def quantise(e, codebook, way="copy"):
    """(y, z): the nearest entries y (B, N, D) and their codes z (B, N); `backward(dy)` returns de, by a surrogate.

    copy:    de = dy: as if y were e plus a constant (straight-through) [Eq. 21.5]. On a lattice of spacing h
             it has the Jacobian of a softmax at T of about h^2 [Eq. 21.6].
    rotate:  y is lam R e, with R the rotation from e's direction to y's and lam = |y| / |e|; both are held, so de = lam R^T dy
             (Fifty et al. 2025) [Eq. 21.10]. Where e and y point apart, or one of them is 0, there is no such rotation: a copy.

    The codebook has no gradient through y. Raises InputError for another way.
    """
    if way not in ("copy", "rotate"):
        raise InputError(f"way: expected copy or rotate, got {way!r}")
    z = nearest(e, codebook)
    y, _ = entries(codebook, z)
    if way == "copy":
        return (y, z), lambda dy: dy
    turn = Rotation.between(e, y)
    return (y, z), turn.back


class Rotation(NamedTuple):
    """lam R: R turns the direction u into v in the plane of the two, and leaves what is orthogonal to it alone."""

    u: np.ndarray  # (B, N, D), unit vectors
    v: np.ndarray
    lam: np.ndarray  # (B, N, 1)
    known: np.ndarray  # (B, N, 1), is there such a rotation?

    @classmethod
    def between(cls, e, y):
        """From e to y, both (B, N, D)."""
        lengths = [np.sqrt((array * array).sum(-1, keepdims=True)) for array in (e, y)]
        known = (lengths[0] > 0) & (lengths[1] > 0)
        u, v = (array / np.where(length > 0, length, 1) for array, length in zip((e, y), lengths, strict=True))
        known = known & (((u + v) ** 2).sum(-1, keepdims=True) > MOST_OPPOSED)
        return cls(u, v, lengths[1] / np.where(known, lengths[0], 1), known)

    def ahead(self, e):
        """lam R e; what has no rotation stays."""
        half = self._half()
        turned = e - 2 * half * (half * e).sum(-1, keepdims=True) + 2 * self.v * (self.u * e).sum(-1, keepdims=True)
        return np.where(self.known, self.lam * turned, e)

    def back(self, dy):
        """Its transpose: lam R^T dy."""
        half = self._half()
        turned = dy - 2 * half * (half * dy).sum(-1, keepdims=True) + 2 * self.u * (self.v * dy).sum(-1, keepdims=True)
        return np.where(self.known, self.lam * turned, dy)

    def _half(self):
        """The direction halfway between the two."""
        half = self.u + self.v
        return half / np.where(self.known, np.sqrt((half * half).sum(-1, keepdims=True)), 1)


class Averages(NamedTuple):
    """A codebook by moving averages [Eq. 21.8]: how many vectors each entry got, and their sum; the entry is their ratio."""

    counts: np.ndarray  # (K,)
    sums: np.ndarray  # (K, D)

    @classmethod
    def of(cls, codebook):
        """Each entry as if it had got itself once."""
        return cls(np.ones_like(codebook[:, 0]), codebook.copy())

    @property
    def codebook(self):
        """(K, D)."""
        return self.sums / self.counts[:, None]

    def moved(self, e, z, decay=0.99):
        """The averages after one batch of vectors e (B, N, D) and their codes z (B, N).

        It is a step of gradient descent on half the distortion, with a step size (1 - decay) / new count for each entry. An
        entry that gets nothing stays where it is, as its count and its sum shrink alike.
        """
        expect_number("decay", decay, "a number", most=1)
        expect("e", e, ("B", "N", self.sums.shape[1]))
        expect("z", z, e.shape[:2], "i")
        rows = one_hot(z.ravel(), len(self.counts), e.dtype)
        fresh = rows.sum(0), rows.T @ e.reshape(-1, e.shape[-1])
        return Averages(*(decay * old + (1 - decay) * new for old, new in zip(self, fresh, strict=True)))

    def restarted(self, e, rng, least=0.1):
        """Entries with a count below `least` begin again at a vector of the batch, drawn by `rng`, with a count of 1."""
        dead = self.counts < least
        drawn = e.reshape(-1, e.shape[-1])[rng.integers(e.shape[0] * e.shape[1], size=len(dead))]
        return Averages(np.where(dead, 1, self.counts), np.where(dead[:, None], drawn, self.sums))


def perplexity(z, K):
    """e to the entropy of how often each of K codes occurs in z (...): 1 where all are one code, K where all are used alike
    [Eq. 21.9]."""
    share = np.bincount(np.ravel(z), minlength=K) / np.size(z)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def _expect(e, codebook):
    """The codebook as (1 or N, K, D), if it fits e (B, N, D)."""
    expect("e", e, ("B", "N", "D"))
    _, N, D = e.shape
    expect("codebook", codebook, ("K", D) if codebook.ndim == 2 else (N, "K", D))
    return codebook if codebook.ndim == 3 else codebook[None]
