"""What exact marginalisation costs: beside bare matrix products, and beside code that decodes every pair."""

import os
import platform
import time
import tracemalloc

import numpy as np

from dvae_np.categorical import joint_states
from dvae_np.check.report import columns, markdown_columns
from dvae_np.estimators import TABLE
from dvae_np.estimators.estimate import Estimate
from dvae_np.networks import decoder_parameters
from dvae_np.vae import reconstruction

B, D, HIDDEN = 256, 784, (256, 512)
PAIRS_UP_TO = 512  # the usual way takes seconds and gigabytes from here on


def bench(sizes=(10, 64, 512, 4096), runs=7):
    """Time value and gradients of exact marginalisation over one latent of K categories; returns the measurements.

    The three variants take turns within one run, so that the machine's moods meet all of them.
    """
    rng = np.random.default_rng(0)
    x = (rng.random((B, D)) < 0.2).astype(np.float32)
    measured = []
    for K in sizes:
        theta = decoder_parameters(rng, 1, K, HIDDEN, D)
        logits = rng.standard_normal((B, 1, K)).astype(np.float32)
        f = reconstruction(theta, x)
        variants = {"exact": lambda logits=logits, f=f: TABLE["exact"].estimate(logits, f),
                    "bare": bare_products(rng, K, x)}  # fmt: skip
        if K <= PAIRS_UP_TO:
            variants["pairs"] = lambda logits=logits, f=f: every_pair(logits, f)
        seconds = interleaved(variants, runs)
        ms = {name: float(np.median(times)) * 1e3 for name, times in seconds.items()}
        ms |= {"K": K, "peak_mb": peak_megabytes(variants["exact"])}
        measured.append(ms)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, NumPy {np.__version__}"
    return {
        "command": "python -m dvae_np bench",
        "machine": machine,
        "B": B,
        "D": D,
        "runs": runs,
        "milliseconds": measured,
    }


def bench_table(record, markdown=False):
    """The measurements as text, or as a Markdown table."""
    headings = (
        "K",
        "exact",
        "bare matrix products",
        "exact / bare",
        "every pair",
        "every pair / exact",
        "exact, peak memory",
    )
    rows = [headings]
    for ms in record["milliseconds"]:
        pairs = (f"{ms['pairs']:.0f} ms", f"{ms['pairs'] / ms['exact']:.0f}") if "pairs" in ms else ("not run", "")
        rows.append((str(ms["K"]), f"{ms['exact']:.1f} ms", f"{ms['bare']:.1f} ms", f"{ms['exact'] / ms['bare']:.2f}", *pairs,
                     f"{ms['peak_mb']:.0f} MB"))  # fmt: skip
    return markdown_columns(rows) if markdown else columns(rows)


def every_pair(logits, f):
    """The sum as it is usually written: every example decodes every state, B x K decodes."""
    states = joint_states(*logits.shape[1:])
    z = np.repeat(states[:, None], len(logits), axis=1)  # (M, B, N)
    q = np.exp(logits - logits.max(-1, keepdims=True))
    q /= q.sum(-1, keepdims=True)
    weights = q[:, 0].T  # (M, B), for one latent
    fz, f_backward = f(z)
    value = (weights * fz).sum(0)
    _, dtheta = f_backward(weights)
    return Estimate(value, (weights * (fz - value)).T[:, None], dtheta)


def bare_products(rng, K, x):
    """The matrix products that exact marginalisation cannot do without, and nothing else: K decodes and one scoring."""
    h1, h2, a = (rng.standard_normal((K, size)).astype(np.float32) for size in (*HIDDEN, D))
    w1, w2 = (rng.standard_normal(shape).astype(np.float32) for shape in ((HIDDEN[0], HIDDEN[1]), (HIDDEN[1], D)))
    weights = rng.random((K, len(x))).astype(np.float32)

    def products():
        h1 @ w1, h2 @ w2, a @ x.T
        weights @ x, a @ w2.T, h2.T @ a, h2 @ w1.T, h1.T @ h2

    return products


def interleaved(variants, runs):
    """Seconds of each variant, called in turn `runs` times after one warm-up."""
    seconds = {name: [] for name in variants}
    for run in range(runs + 1):
        for name, variant in variants.items():
            started = time.perf_counter()
            variant()
            if run:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def peak_megabytes(call):
    """The most memory that one call held at a time, over what it found."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20
