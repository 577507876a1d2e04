"""The VQ-VAE (van den Oord et al. 2017): an encoder's vectors are exchanged for the nearest entries of a codebook.

    x --encoder psi--> e (B, N, D) --quantise--> y = c_z --decoder theta--> -log p(x|y)

It is a discrete VAE whose posterior is certain of one code: its KL to a prior p(z) is -log p(z), N log K for the uniform one.
So -log p(x|y) + N log K is a negative ELBO, and a bound on -log p(x) [Eq. 21.13], whatever is said of VQ-VAEs having no
likelihood. It is not what is descended: the encoder follows a gradient that jumps over the quantisation (`dvae_np.codebook`),
and two distances keep its vectors and the codebook together.
"""

from dataclasses import dataclass

import numpy as np

from dvae_np.arrays import expect_choice, expect_number, expect_whole
from dvae_np.codebook import distortion, entries, nearest, quantise
from dvae_np.initial import mlp_parameters
from dvae_np.likelihoods.bernoulli import bernoulli
from dvae_np.networks import mlp
from dvae_np.ops import relu
from dvae_np.scalar_codes import count_codes, rounded, signs

__all__ = [
    "Quantiser",
    "coded",
    "codes",
    "loss_and_gradients",
    "parameters",
    "reconstruction_of",
    "vectors",
]


WAYS = ("copy", "rotate", "rounded", "signs")


@dataclass(frozen=True)
class Quantiser:
    """What makes codes of vectors: N latents; K entries of dimension D for "copy" and "rotate"; for "rounded" the levels of D
    numbers that make one code together; for "signs" D bits that do. Raises InputError for what does not exist."""

    N: int = 4
    K: int = 16
    D: int = 8
    way: str = "copy"
    beta: float = 0.25  # the encoder's share of the distortion
    levels: tuple = ()

    def __post_init__(self):
        expect_choice("way", self.way, WAYS)
        expect_whole("N", self.N, 1)
        expect_number("beta", self.beta, "a weight")

    @property
    def codes(self):
        """How many codes a latent has."""
        return {"rounded": count_codes(self.levels), "signs": 2**self.D}.get(self.way, self.K)

    @property
    def width(self):
        """How many numbers of the encoder make a code."""
        return len(self.levels) if self.way == "rounded" else self.D


def parameters(rng, pixels, quantiser, hidden=(128,), dtype=np.float32):
    """Fresh psi (encoder), theta (decoder) and, where there is one, a codebook (K, D) of normal numbers."""
    N, D = quantiser.N, quantiser.width
    params = {"psi": mlp_parameters(rng, (pixels, *hidden, (N, D)), dtype),
              "theta": mlp_parameters(rng, (N * D, *reversed(hidden), pixels), dtype)}  # fmt: skip
    if quantiser.way in ("copy", "rotate"):
        params["codebook"] = {"entries": rng.standard_normal((quantiser.K, D)).astype(dtype)}
    return params


def coded(params, x, quantiser):
    """(e, y, z, backward) of images x (B, pixels): vectors e and what they become, y, (B, N, width), and codes z (B, N).

    `backward(dy, de)` returns dpsi: dy goes through the surrogate, de, a gradient in e itself, past it.
    """
    e, encoder_backward = mlp(params["psi"], x, relu, data=True)  # (B, N, D)
    B, N, D = e.shape
    if quantiser.way in ("copy", "rotate"):
        (y, z), back = quantise(e, params["codebook"]["entries"], quantiser.way)
    else:
        flat = e.reshape(B * N, D)
        (y, digits), flat_back = rounded(flat, quantiser.levels) if quantiser.way == "rounded" else signs(flat)
        base = quantiser.levels if quantiser.way == "rounded" else (2,) * D
        y, z = y.reshape(B, N, D), np.ravel_multi_index(digits.T, base).reshape(B, N)
        back = lambda dy: flat_back(dy.reshape(B * N, D)).reshape(B, N, D)
    return e, y, z, lambda dy, de=0: encoder_backward(back(dy) + de)[1]


def loss_and_gradients(params, x, quantiser):
    """(-log p(x|y) in nats (B,), distortion (B,), e (B, N, D), z (B, N), gradients) of images x (B, pixels) of 0 and 1.

    The gradients are of the mean over the batch of what a VQ-VAE descends: -log p(x|y) with its surrogate, the distortion for
    the codebook, beta times the distortion for the encoder. Scalar codes have no distortion.
    """
    e, y, z, encode_backward = coded(params, x, quantiser)
    a, decoder_backward = mlp(params["theta"], y.reshape(len(x), -1), relu)
    nll, nll_backward = bernoulli(a[None], x)
    da, _ = nll_backward(np.full_like(nll, 1 / len(x)))
    dy, dtheta = decoder_backward(da[0])
    far, de, gradients = np.zeros_like(nll[0]), 0, {"theta": dtheta}
    if "codebook" in params:
        far, far_backward = distortion(e, params["codebook"]["entries"], z)
        de, dentries = far_backward(np.full_like(far, 1 / len(x)))
        gradients["codebook"] = {"entries": dentries}
    gradients["psi"] = encode_backward(dy.reshape(y.shape), quantiser.beta * de)
    return nll[0], far, e, z, gradients


def reconstruction_of(params, x, z, quantiser):
    """-log p(x|z) in nats of codes z (B, N), by the codebook's entries: (B,); for "copy" and "rotate"."""
    y, _ = entries(params["codebook"]["entries"], z)
    a, _ = mlp(params["theta"], y.reshape(len(x), -1), relu)
    return bernoulli(a[None], x)[0][0]


def vectors(params, x):
    """The encoder's vectors e (B, N, D)."""
    return mlp(params["psi"], x, relu, data=True)[0]


def codes(params, x, quantiser):
    """The codes z (B, N) of images."""
    if quantiser.way in ("copy", "rotate"):
        return nearest(vectors(params, x), params["codebook"]["entries"])
    return coded(params, x, quantiser)[2]
