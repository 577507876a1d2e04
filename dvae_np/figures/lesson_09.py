"""Lesson 09: the multi-sample bound against S, and the variance of its gradient."""

import numpy as np

from dvae_np import vae
from dvae_np.categorical import log_prob, score
from dvae_np.check import enumeration, toys
from dvae_np.estimators import TABLE
from dvae_np.figures.style import STYLE, open_axes


def small_model(seed=2, K=4):
    """Logits (1, 1, K) of a q that is far from its posterior, and the joint -log p(x, z) of one x, as a lookup table."""
    rng = np.random.default_rng(seed)
    logits = 1.2 * rng.standard_normal((1, 1, K))
    return logits, vae.joint(toys.lookup_table(2 + 1.5 * rng.standard_normal(K)), None, 1, K)


def bound(figure):
    """Left: the exact bound, from the ELBO towards log p(x). Right: exact variance of its gradient, with baselines or not."""
    logits, f = small_model()
    K = logits.shape[-1]
    states = np.arange(K)[:, None, None]
    evidence = float(np.log(np.exp(-f(states)[0]).sum()))
    samples = (1, 2, 3, 4, 5, 6)
    bounds = [-float(enumeration.multi_sample_bound(logits, f, S)[0]) for S in samples]
    left, right = figure.subplots(1, 2)
    left.plot(samples, bounds, **STYLE["vimco"], label="bound $L_S$, exact")
    left.axhline(evidence, color="black", linestyle="--", linewidth=1)
    left.annotate("log p(x)", (samples[0], evidence), (0, 4), textcoords="offset points", fontsize=8)
    left.annotate("ELBO", (1, bounds[0]), (8, -2), textcoords="offset points", fontsize=8)
    open_axes(left, xlabel="samples S", ylabel="nats", xticks=samples)
    left.set_ylim(bounds[0] - 0.05, evidence + 0.08)
    for mean in ("geometric", "arithmetic"):
        own = samples[1:5]
        style = STYLE["vimco"] | ({"linestyle": "--", "marker": "^"} if mean == "arithmetic" else {})
        right.plot(own, [variance(logits, f, S, mean) for S in own], **style, label=f"vimco, {mean} mean")
    own = samples[:5]
    right.plot(own, [variance(logits, f, S, None) for S in own], **STYLE["reinforce"], label="no baseline")
    open_axes(right, xlabel="samples S", ylabel="exact variance (nats$^2$)", yscale="log", xticks=own)
    right.legend(frameon=False, fontsize=8)


def variance(logits, f, S, mean):
    """The total variance of the bound's gradient, over every S-tuple of codes; mean None: without a baseline."""
    z, weights = enumeration.every_code(logits, S)
    many = enumeration.tiled(logits, len(weights))
    if mean is None:
        dlogits = without_a_baseline(many, f, z)
    else:
        dlogits = TABLE["vimco"].estimate(many, f, z, mean=mean).dlogits
    return float(enumeration.moments(weights, dlogits)[1].sum())


def without_a_baseline(logits, f, z):
    """The gradient of the negative bound with the whole bound as every sample's signal: unbiased, and noisy."""
    logw = -f(z)[0] - log_prob(logits, z)[0]  # (S, B)
    top = logw.max(0)
    total = np.exp(logw - top).sum(0)
    share, value = np.exp(logw - top) / total, top + np.log(total / len(z))
    return ((share - value)[..., None, None] * score(logits, z)).sum(0)
