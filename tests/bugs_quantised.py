"""Mistakes in quantised codes: codebooks, their losses and averages, rotations, and codes without a codebook."""

import numpy as np
from bug import Bug, gradient_of, rng

from dvae_np.check import comparison, complex_step
from dvae_np.check.identities import equal
from dvae_np.codebook import Averages, Rotation, distortion, nearest, perplexity, quantise, squared_distances
from dvae_np.laws import joint_states
from dvae_np.scalar_codes import entropies

B, N, K, D, BETA, DECAY = 5, 3, 4, 2, 0.25, 0.99


def vectors():
    """e (B, N, D), a codebook (K, D) of which each entry is used, and the codes (B, N)."""
    g = rng()
    codebook = 2 * g.standard_normal((K, D))
    z = g.permutation(np.arange(B * N) % K).reshape(B, N)
    e = codebook[z] + 0.05 * g.standard_normal((B, N, D))
    assert (nearest(e, codebook) == z).all()
    return e, codebook, z


# The two distances. A side that is stopped is held at its value, as the complex step moves the others alone.


def published(own, held, z):
    """|sg(e) - c|^2 + beta |e - sg(c)|^2."""
    first = distortion(held["e"], own["codebook"], z)[0]
    return (first + BETA * distortion(own["e"], held["codebook"], z)[0]).sum()


def beta_swapped(own, held, z):
    """beta |sg(e) - c|^2 + |e - sg(c)|^2."""
    first = distortion(held["e"], own["codebook"], z)[0]
    return (BETA * first + distortion(own["e"], held["codebook"], z)[0]).sum()


def patched_too_early(own, held, z):
    """Both distances after y = e + sg(c - e) took the place of the entry."""
    y = own["e"] + (held["codebook"][z] - held["e"])
    first, second = (held["e"] - y) ** 2, (own["e"] - held["codebook"][z]) ** 2
    return (first + BETA * second).sum()


def slopes_of_losses(loss, name):
    """The gradient of a loss in e or the codebook, beside that of the published one, by the complex step."""
    e, codebook, z = vectors()
    arrays, held = {"e": e, "codebook": codebook}, {"e": e.copy(), "codebook": codebook.copy()}
    found, right = (complex_step(lambda own, each=each: each(own, held, z), arrays)[name] for each in (loss, published))
    return comparison(f"d{name}", found, right)


def value_of_losses(loss):
    """What is printed while it trains."""
    e, codebook, z = vectors()
    arrays = {"e": e, "codebook": codebook}
    return equal("value of the loss", loss(arrays, arrays, z), published(arrays, arrays, z))


# A codebook of moving averages: (codebook, averages, e) -> (y, codebook, averages).


def moved_first(codebook, averages, e):
    """The entries are looked up after they have moved."""
    z = nearest(e, codebook)
    averages = averages.moved(e, z, DECAY)
    return averages.codebook[z], averages.codebook, averages


def looked_up_first(codebook, averages, e):
    z = nearest(e, codebook)
    averages = averages.moved(e, z, DECAY)
    return codebook[z], averages.codebook, averages


def smoothed(codebook, averages, e, epsilon=1e-5):
    """Counts with Laplace's smoothing: epsilon is added to each, and their sum stays."""
    z = nearest(e, codebook)
    averages = averages.moved(e, z, DECAY)
    whole = averages.counts.sum()
    counts = (averages.counts + epsilon) / (whole + len(codebook) * epsilon) * whole
    return codebook[z], averages.sums / counts[:, None], averages


def counts_of_zero(codebook):
    return Averages(np.zeros(len(codebook)), codebook.copy())


def sums_without_counts(codebook):
    """As k-means has it: so many vectors for each entry; but each sum is the entry itself."""
    return Averages(np.full(len(codebook), 100.0), codebook.copy())


def nothing_is_nearer(step):
    """What the decoder gets is as near to the vector as the nearest entry of the codebook that was searched."""
    e, codebook, _ = vectors()
    y, _, _ = step(codebook, Averages.of(codebook), e)
    least = squared_distances(e, codebook)[0].min(-1)
    return equal("|e - y|^2 = the least over the codebook", ((e - y) ** 2).sum(-1), least)


def descends(step, start=Averages.of, steps=1):
    """The codebook after some steps: the last is one of gradient descent on half the distortion, (1 - decay) / count long."""
    e, codebook, _ = vectors()
    averages = start(codebook)
    for _ in range(steps):
        before = codebook
        _, codebook, averages = step(before, averages, e)
    _, slope = distortion(e, before, nearest(e, before))[1](np.full(B, 0.5))
    return equal("c - (1 - decay) / count dc", codebook, before - (1 - DECAY) / averages.counts[:, None] * slope)


def unused_stays(step, steps):
    """An entry far from every vector is where it was."""
    e, codebook, _ = vectors()
    codebook = np.concatenate([codebook, np.full((1, D), 100.0)])
    now, averages = codebook, Averages.of(codebook)
    for _ in range(steps):
        _, now, averages = step(now, averages, e)
    return comparison("an unused entry", now[-1], codebook[-1], 1e-4)


# The rotation trick.


def rotation_without_length(e):
    """R e and R^T dy: a rotation without the scale lam, as an op of e, with R held."""
    turn = held_rotation()._replace(lam=np.ones((B, N, 1)))
    return turn.ahead(e), turn.back


def rotation_to_mixture(e):
    """lam R e that ends at a weighted mean of the entries, with R held."""
    _, codebook, _ = vectors()
    weights = rng().dirichlet(np.ones(K), (B, N))
    turn = Rotation.between(vectors()[0], weights @ codebook)
    return turn.ahead(e), turn.back


def held_rotation():
    e, codebook, z = vectors()
    return Rotation.between(e, codebook[z])


def is_an_entry(op):
    """What the decoder is trained on is what it will get: the nearest entry."""
    e, codebook, _ = vectors()
    return equal("y in training = y in use", op(e)[0], quantise(e, codebook)[0][0])


# Codes without a codebook.


def fsq(e, L, inverse=np.arctanh):
    """(bounded, z, de of ones) of finite scalar quantisation of e (n,), as its authors write it."""
    half, off = (L - 1) * 1.001 / 2, 0.5 * (L % 2 == 0)
    t = np.tanh(e + inverse(off / half))
    return t * half - off, np.rint((t * half - off).real).astype(int), half * (1 - t * t)


def levels_are_used(L, least=0.8):
    """The perplexity of the codes of normal numbers, as a share of L: no less than that."""
    z = fsq(rng().standard_normal(100_000), L)[1]
    share = perplexity(z - z.min(), L) / L
    return comparison("perplexity / levels, or the least", np.array([min(share, least)]), np.array([least]))


def zero_is_in_the_middle(L, inverse):
    """Of its level."""
    bounded, z, _ = fsq(np.zeros(1), L, inverse)
    return equal("e = 0 is bounded to a whole number", bounded, z.astype(float), scale=1)


def slope_of_bound(L, inverse=np.arctanh):
    """The gradient, beside the bounded value with the rounding passed over."""
    return gradient_of(
        lambda e: (fsq(e, L, inverse)[0], lambda dy: dy * fsq(e, L, inverse)[2]), e=rng().standard_normal(6)
    )


def diversity(e, T=1.0):
    """The sum over the bits beside the entropy of the mean law over all codes."""
    q, states = 1 / (1 + np.exp(-4 * e / T)), joint_states(e.shape[1], 2)[:, None]
    mean = np.where(states, q, 1 - q).prod(2).mean(1)
    return equal(
        "sum over bits = H of the mean law", np.array([entropies(e, T)[1]]), -(mean * np.log(mean)).sum(keepdims=True)
    )


BITS = np.repeat(rng().standard_normal((8, 1)), 3, 1)  # of which all three always have one sign

BANK = [
    Bug("beta on the codebook's distance instead of the encoder's", "CompVis/taming-transformers 57, "
        "karpathy/deep-vector-quantization 2, bytedance/1d-tokenizer 120, andylolu2/jax-vqvae-gpt 3", 1,
        lambda: slopes_of_losses(beta_swapped, "codebook"), "a factor 0.25", missed=lambda: value_of_losses(beta_swapped)),
    Bug("the two distances after the copied gradient was patched in", "andylolu2/jax-vqvae-gpt 2, showlab/Olaf-World 8", 1,
        lambda: slopes_of_losses(patched_too_early, "codebook"), "zero everywhere",
        missed=lambda: value_of_losses(patched_too_early)),
    Bug("the same, as the encoder feels it", "andylolu2/jax-vqvae-gpt 2", 1,
        lambda: slopes_of_losses(patched_too_early, "e"), "a factor -3"),
    Bug("codebook moved before the look-up", "zalandoresearch/pytorch-vq-vae 5", 4, lambda: nothing_is_nearer(moved_first),
        "worst at", missed=lambda: descends(moved_first)),
    Bug("counts of a moving codebook started at 0", "rosinality/vq-vae-2-pytorch pull 72", 4,
        lambda: descends(looked_up_first, counts_of_zero), "worst at",
        missed=lambda: descends(looked_up_first, counts_of_zero, 2)),
    Bug("sums of a moving codebook without their counts", "lucidrains/vector-quantize-pytorch 66", 4,
        lambda: descends(looked_up_first, sums_without_counts), "worst at",
        missed=lambda: descends(looked_up_first, sums_without_counts, 2)),
    Bug("smoothed counts that take unused entries to the origin", "zalandoresearch/pytorch-vq-vae and its many copies", 4,
        lambda: unused_stays(smoothed, 3000), "a factor 8.0461e-09", missed=lambda: unused_stays(smoothed, 100)),
    Bug("rotation without the length of the entry", "EdoardoBotta/RQ-VAE-Recommender 48", 4,
        lambda: is_an_entry(rotation_without_length), "worst at",
        missed=lambda: gradient_of(rotation_without_length, e=vectors()[0])),
    Bug("rotation to a drawn mixture in training, the nearest entry in use", "EdoardoBotta/RQ-VAE-Recommender 48", 4,
        lambda: is_an_entry(rotation_to_mixture), "worst at",
        missed=lambda: gradient_of(rotation_to_mixture, e=vectors()[0])),
    Bug("finite scalar quantisation with two levels", "lucidrains/vector-quantize-pytorch 237", 5, lambda: levels_are_used(2),
        "relative error", missed=lambda: slope_of_bound(2)),
    Bug("tan where the inverse of tanh belongs", "a preprint's listing; lucidrains/vector-quantize-pytorch 94", 4,
        lambda: zero_is_in_the_middle(4, np.tan), "error 4e-04", missed=lambda: slope_of_bound(4, np.tan)),
    Bug("entropies of single bits, summed, called the entropy of the code",
        "binary spherical quantisers; their paper calls it an upper bound", 4,
        lambda: diversity(BITS), "relative error", missed=lambda: diversity(BITS[:1])),
]  # fmt: skip
