"""From a wrong gradient to the mistake that makes it, where the numbers tell."""

import re

import numpy as np

FACTOR = "it is right but for a factor "
SIZES = {"f times 10,000": 1e4, "f times 0.001": 1e-3}  # of f, at these points
ADDED = "something is added that does not grow with f: the gradient of a KL or of an entropy, a weight decay?"
ROUNDED = (
    "it is more than rounding explains: is it computed in float32 in part, or as a difference of nearly equal numbers?"
)
SCALE_FREE = "it is as large for f times 10,000 as for f times 0.001: is f divided by its own size or deviation?"
ZERO = "it is zero everywhere: is a path cut? (Of an estimator: is the score not multiplied by f?)"
SEVERAL = (
    "it is a multiple, another at each problem, {:.3g} to {:.3g}: is something clipped, or divided by its own size?"
)
CLOSE = 1e-6  # how nearly a wrong gradient must match a mistake's signature to be called by its name


def hint(analytic, numeric, sizes=None, q=None, instead=None):
    """One sentence on why `analytic` may differ from `numeric`, or "" where no signature fits.

    sizes:   names and numbers that a factor may be made of, as {"S": 3, "B": 5, "K": 4, "tau": 0.5}.
    q:       the probabilities (..., K) of a softmax that the gradient went through.
    instead: other gradients that it may turn out to be, as {"the gradient without the KL": array}.
    """
    if analytic.shape != numeric.shape:
        return "it has the shape of the transpose" if analytic.shape == numeric.shape[::-1] else ""
    for what, other in (instead or {}).items():
        if _close(analytic, other):
            return f"it equals {what}"
    if np.max(np.abs(analytic), initial=0) <= 1e-12 * np.max(np.abs(numeric), initial=0):
        return ZERO
    if named := factors(analytic, numeric, sizes):
        return FACTOR + "; or ".join(named.values()) if "" not in named else named[""]
    if numeric.ndim == 2 and numeric.shape[0] == numeric.shape[1] and _close(analytic.T, numeric):
        return "it is the transpose of what it should be"
    if q is not None and q.shape == numeric.shape:
        excess = (analytic - numeric) / np.maximum(q, np.finfo(q.dtype).tiny)
        if _close(excess, np.broadcast_to(excess.mean(-1, keepdims=True), excess.shape)):
            return (
                "it differs by a multiple of q: the second term of the softmax Jacobian, -q <q, dq>, or the score's -q, is "
                "missing or wrong"
            )
    return ""


def factors(analytic, numeric, sizes=None):
    """{key: words} for the constant factors by which `analytic` may differ from `numeric`, as {"1/S": "1/S = 1/3: a mean
    where a sum is due"}; a factor without a name has the key "" and a whole sentence. Empty where the two
    are not multiples of each other.
    """
    if not (numeric.any() and analytic.any()) or analytic.shape != numeric.shape:
        return {}
    size = np.max(np.abs(numeric))
    ratio = float((analytic / size * (numeric / size)).sum() / ((numeric / size) ** 2).sum())
    if not _close(analytic, ratio * numeric):
        return {}
    # Of a single free number any answer is a multiple; gradients in logits have one fewer free in each row.
    balanced = numeric.ndim and abs(numeric.sum(-1)).max() <= CLOSE * size
    free = numeric.size - (numeric.size // numeric.shape[-1] if balanced else 0)
    if abs(ratio - 1) < 1e-4:
        if np.linalg.norm(analytic - ratio * numeric) > 0.1 * np.linalg.norm(analytic - numeric):
            return {}
        if min(analytic.dtype.itemsize, numeric.dtype.itemsize) < 8:
            return {"": f"it is right to float32's accuracy, {abs(ratio - 1):.0e}: was it computed in float32?"}
        return {"": f"it is right but for {abs(ratio - 1):.0e} of it: is something added inside a log or a quotient?"}
    named = factors_of(ratio, sizes)
    return named or ({"": f"{FACTOR}{ratio:.6g}"} if free > 1 else {})


def factors_of(ratio, sizes=None, slack=CLOSE):
    """{key: words} of what a constant factor between a gradient and the right one may come from, the nearest within `slack`."""
    named = {
        "-1": (-1.0, "-1: a flipped sign"),
        "2": (2.0, "2"),
        "1/2": (0.5, "1/2"),
        "-2": (-2.0, "-2"),
        "-1/2": (-0.5, "-1/2"),
    }
    own = "the baseline includes its own sample, or S stands where S - 1 belongs"
    for name, size in (sizes or {}).items():
        if size == 1:
            continue
        if name == "S":
            named = {
                "1 - 1/S": (1 - 1 / size, f"1 - 1/S: {own}"),
                "S/(S-1)": (size / (size - 1), "S/(S-1): S - 1 stands where S belongs"),
            } | named
        total = ": a sum where a mean is due" if name.isupper() else ""
        mean = ": a mean where a sum is due" if name.isupper() else ""
        named |= {
            name: (float(size), f"{name} = {size}{total}"),
            f"1/{name}": (1 / size, f"1/{name} = 1/{size}{mean}"),
        }
    nearest = min(abs(ratio - factor) for factor, _ in named.values())
    return {key: words for key, (factor, words) in named.items()
            if abs(ratio - factor) <= min(slack * abs(factor), nearest + CLOSE)}  # fmt: skip


def named_factor(ratio, sizes=None, slack=CLOSE):
    """The same in one sentence; "" where none fits."""
    factors = factors_of(ratio, sizes, slack)
    return FACTOR + "; or ".join(factors.values()) if factors else ""


def among(results):
    """What is said of an estimator's results: a hint must fit all of them; else it is chance, as at one size 1 - 1/S, 1/S and
    1/N may be 1/2. Exact means decide, where there are some, as far as float32 tells.
    """
    off = [result for result in results if result.verdict.startswith("BIASED")]
    exact = [result for result in off if result.level < 5]
    deciding = exact or off
    told = [result.explanation for result in results]
    named = {text: _by_key(text) for text in told if text.startswith(FACTOR)}
    instead = _factors_among(named, deciding, bool(exact))
    if any(instead.values()):  # where the mean is a multiple, it equals something else at one size alone
        instead |= {text: "" for text in told if text.startswith("it equals")}
    if any(result.explanation != ZERO for result in deciding):
        instead[ZERO] = ""
    if any(result.explanation != ROUNDED for result in deciding):
        instead[ROUNDED] = ""
    told = [instead.get(text, text) for text in told]
    general = SCALE_FREE if _scale_free(off) else ADDED if _added(results) else ""
    return [words or (general if result in off else "") for words, result in zip(told, results, strict=True)]


def _factors_among(named, deciding, exact):
    """{a sentence on a factor: what is said in its place} where these results are off, by exact means or by draws."""
    dropped = dict.fromkeys(named, "")
    if not named:
        return dropped
    if not exact:
        common = set.intersection(*map(set, named.values()))
        fits = common and all(result.explanation in named for result in deciding)
        return {text: _joined(each, common) for text, each in named.items()} if fits else dropped
    known = [result.measured for result in deciding if result.measured and result.measured.along is not None]
    factors = [result for result in deciding if result.explanation in named]
    if not factors or max((each.across for each in known), default=0) > 1e-3:
        return dropped
    common = set.intersection(*(set(named[result.explanation]) for result in factors))
    shares = [1 + each.along for each in known]
    if max(shares) - min(shares) > 1e-3 and not common:
        return dict.fromkeys(named, SEVERAL.format(min(shares), max(shares)))
    if not common or (len(factors) < len(deciding) and max(shares) - min(shares) > 1e-3):
        return dict.fromkeys(named, f"{FACTOR}{np.mean(shares):.6g}") if max(shares) - min(shares) <= 1e-3 else dropped
    return {text: _joined(each, common & set(each)) if common & set(each) else "" for text, each in named.items()}


def _joined(factors, keys):
    return FACTOR + "; or ".join(factors[key] for key in factors if key in keys)


def _by_key(text):
    """The factors that a sentence names: {"1/S": "1/S = 1/3: ..."}."""
    return {re.split(" = |:", factor)[0]: factor for factor in text.removeprefix(FACTOR).split("; or ")}


def _added(results):
    """Whether what is added to the gradient is as large for a small f as for a large one."""
    far = {r.point: np.hypot(r.measured.along, r.measured.across) for r in results
           if r.point in SIZES and r.measured and r.measured.along is not None}  # fmt: skip
    return len(far) == 2 and far["f times 0.001"] > 1e5 * max(far["f times 10,000"], 1e-12)


def _scale_free(off):
    """Whether the gradient hardly changes where f is 10,000,000 times as large."""
    sizes = {"f times 10,000": 1e4, "f times 0.001": 1e-3}
    known = {
        r.point: sizes[r.point] * (1 + r.measured.along)
        for r in off
        if r.point in sizes and r.measured.along is not None
    }
    return len(known) == 2 and 0.5 < known["f times 10,000"] / (known["f times 0.001"] or np.inf) < 2


def _close(a, b):
    size = np.max(np.abs(b), initial=0) or 1.0  # taken out, so that no square overflows or underflows
    return a.shape == b.shape and np.linalg.norm(a / size - b / size) <= CLOSE * np.linalg.norm(b / size)
