"""What the bench found: tables of ratios, and the targets with what was measured beside them."""

from dvae_np.text import columns, markdown_columns

SECTIONS = {
    "step": "Training step: encoder 784-512-256-N*K, decoder mirrored, batch 100, Adam",
    "exact": "Exact marginalisation, one latent: value and gradients of 256 examples, decoder embedding-256-512-784",
    "joint": "Exact marginalisation over the joint states of several latents, the same decoder",
    "conditional": "Exact marginalisation of p(y|c,z): every pair decoded, 784-512-512-784, 64 examples",
    "replicates": "Replicates of an estimator, all at once: one latent, K = 16, a quadratic f",
    "check": "Gradient check by the complex step (PyTorch: `gradcheck`, its fast mode along a direction)",
    "chain": "log Z of a chain of N latents of K categories, and its gradients (PyTorch: steps by `unbind`; JAX: `lax.scan`)",
    "start": "A whole process: to the first training step (ST-Gumbel, 8x4), and to import",
    "growth": "How exact marginalisation grows with K, N (K = 8) and B (K = 512), and a leave-one-out step with S (8x4)",
}
OURS, BARE = "dvae_np", "bare products"


def tables(record, markdown=False):
    """{section: (heading, table)} of the sections in a record."""
    make, found = markdown_columns if markdown else columns, {}
    for section, heading in SECTIONS.items():
        rows = OTHERS[section](record) if section in OTHERS else _cases(record, section)
        if len(rows) > 1:
            found[section] = heading, make(rows)
    return found


def _cases(record, section):
    """One row a case: this package's milliseconds and memory, then every other contestant's time as a multiple of it."""
    lines = [line for line in record["cases"] if line["section"] == section]
    others = [
        name
        for name in dict.fromkeys(name for line in lines for name in line["contestants"])
        if name not in (OURS, BARE)
    ]
    bare = any(BARE in line["contestants"] for line in lines)
    rows = [("", OURS, "quartiles", "memory", *(("/ bare",) if bare else ()), *(f"{name} /" for name in others))]
    for line in lines:
        own, (low, ms, high, _) = line["contestants"], line["contestants"][OURS]["ms"]
        rows.append((line["label"], f"{ms:.4g} ms", f"{low:.4g} to {high:.4g}", f"{own[OURS]['peak_mb']:.0f} MB",
                     *((f"{ms / own[BARE]['ms'][1]:.2f}",) if bare else ()),
                     *(f"{own[name]['ms'][1] / ms:.3g}" if name in own else "not run" for name in others)))  # fmt: skip
    return rows


def _starts(record):
    rows = [("process", "seconds", "quartiles")]
    for name, (low, seconds, high, _) in record["start"].items():
        rows.append((name, f"{seconds:.2f}", f"{low:.2f} to {high:.2f}"))
    return rows


def _growth(record):
    rows = [("axis", "size", "ms", "times the one before", "/ bare", "memory")]
    for axis, line in record["growth"].items():
        before = None
        for point in line:
            own = point["contestants"]
            ms = own[OURS]["ms"][1]
            rows.append((axis, str(point["size"]), f"{ms:.4g}", "" if before is None else f"{ms / before:.2f}",
                         f"{ms / own[BARE]['ms'][1]:.2f}", f"{own[OURS]['peak_mb']:.0f} MB"))  # fmt: skip
            before = ms
    return rows


OTHERS = {"start": _starts, "growth": _growth}


def targets(record, markdown=False):
    """What each kind of work should reach, what it did reach at its worst, and whether that is enough."""

    def worst(section, over, under, choose, at_least=0, label=""):
        lines = [
            line["contestants"]
            for line in record["cases"]
            if line["section"] == section and label in line["label"] and _states(line) >= at_least
        ]
        ratios = [own[over]["ms"][1] / own[under]["ms"][1] for own in lines if over in own and under in own]
        return choose(ratios) if ratios else None

    def ours(section, label, quantity=lambda own: own["ms"][1] / 1e3):
        found = [
            quantity(line["contestants"][OURS])
            for line in record["cases"]
            if line["section"] == section and label in line["label"]
        ]
        return max(found) if found else None

    start = {name: seconds[1] for name, seconds in record["start"].items()}
    share = start[OURS] / start["PyTorch"] if "PyTorch" in start else None
    imports = start["import dvae_np"] / start["import numpy"] if start else None
    found = [  # words, the bound, which side of it is good, what was measured
        ("training step / bare products", 2.0, "<=", worst("step", OURS, BARE, max)),
        ("training step / PyTorch eager", 1.0, "<=", worst("step", OURS, "PyTorch", max)),
        ("training step / JAX", 1.5, "<=", worst("step", OURS, "JAX", max)),
        ("exact, one latent / bare products", 1.5, "<=", worst("exact", OURS, BARE, max)),
        ("Pyro / exact, from K = 64", 30, ">=", worst("exact", "Pyro", OURS, min, 64)),
        ("PyTorch, every pair / exact, from K = 64", 80, ">=", worst("exact", "PyTorch", OURS, min, 64)),
        ("exact, joint states / bare products, from 512", 2.1, "<=", worst("joint", OURS, BARE, max, 512)),
        ("Pyro / exact, joint states, from 512", 30, ">=", worst("joint", "Pyro", OURS, min, 512)),
        ("exact, joint states: peak memory (MB)", 50, "<=", ours("joint", "", lambda own: own["peak_mb"])),
        ("conditional decoder / bare products", 1.7, "<=", worst("conditional", OURS, BARE, max)),
        ("10,000 replicates / PyTorch, batched", 1.0, "<=", worst("replicates", OURS, "PyTorch", max)),
        ("10,000 replicates / JAX", 1.0, "<=", worst("replicates", OURS, "JAX", max)),
        ("PyTorch, a loop / 10,000 replicates", 100, ">=", worst("replicates", "PyTorch, a loop", OURS, min)),
        ("complete check of 10,292 parameters (s)", 30, "<=", ours("check", "complete")),
        ("check along a direction (s)", 1, "<=", ours("check", "direction")),
        ("log Z of a chain / PyTorch", 1.0, "<=", worst("chain", OURS, "PyTorch", max)),
        ("PyTorch / log Z of a chain, 128 of 64", 1.5, ">=", worst("chain", "PyTorch", OURS, min, label="128 of 64")),
        ("process to first training step (s)", 0.6, "<=", start.get(OURS)),
        ("process to first training step / PyTorch", 0.25, "<=", share),
        ("import dvae_np / import numpy", 1.5, "<=", imports),
    ]  # fmt: skip
    rows = [("target", "bound", "measured, the worst", "")]
    for words, bound, side, value in found:
        if value is not None:
            met = value <= bound if side == "<=" else value >= bound
            rows.append((words, f"{side} {bound:g}", f"{value:.3g}", "met" if met else "missed"))
    return (markdown_columns if markdown else columns)(rows)


def _states(line):
    """The number of joint states that a case's label ends with."""
    digits = "".join(letter for letter in line["label"].split("=")[-1].split(":")[-1] if letter.isdigit())
    return int(digits or 0)
