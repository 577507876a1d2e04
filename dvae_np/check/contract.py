"""The contract of an estimator (level 0): what must hold of its answers whatever they are worth."""

import numpy as np

from dvae_np import vae
from dvae_np.check import differences
from dvae_np.check.means import defaults, sizes
from dvae_np.check.report import Result
from dvae_np.noise import draw

BROKEN = {  # what a broken contract may come of
    "integer codes": "it computes in the codes' own integer type, where 0 - 1 is 255; make them floats, or int64, first",
    "not finite": "does it take e^logits without subtracting their maximum, or a log of 0, or does it need more samples (S=)?",
    "dtype": "does a float64 number or array in it turn float32 into float64?",
    "inputs changed": "it works in place on an array that it was given",
    "two calls differ": "it draws or remembers something by itself; noise must come in as an argument, or `rng` in its place, "
    "from which it draws; one that remembers is judged with steps= (--steps)",
    "mean over the batch": "it is divided by B, where each example's own gradient is due",
    "examples mixed": "an example's gradient depends on the others, or f was not called with the codes of all B examples; "
    "a baseline made of other examples is judged where the estimator takes `rng` in the place of its noise",
}
INTEGERS = ("i1", "u1", "i2", "u2", "i4", "u4", "u8")  # the types that codes may come in, beside int64


def contract(row, rng, own=True):
    """Level 0: shapes, dtype, inputs untouched, two calls agree, examples of a batch do not see each other.

    own: whether the row is the table's. A stranger's function may answer in float32 whatever it is given, and may overflow
    where float32 logits are large: that is said, and is no mistake in the mathematics.
    """
    B, D, H, S = 5, 11, 7, row.samples(4)
    N, K = sizes(row, 2, 3)
    broken, remark = [], ""
    for dtype, spread in ((np.float32, 1), (np.float64, 1), (np.float32, 30)):
        logits = spread * rng.standard_normal((B, N, K)).astype(dtype)
        x = (rng.random((B, D)) < 0.4).astype(dtype)
        theta = vae.parameters(rng, D, N, K, (H,), dtype)["theta"]
        noise = tuple(map(np.ascontiguousarray, draw(rng, logits, S, row.noise)))  # as the copies below are
        hyper = defaults(row, N, K, dtype)
        given = [array.copy() for array in (logits, *noise)]
        estimate = row.estimate(logits, vae.reconstruction(theta, x), *noise, **hyper)
        fresh = [array.copy() for array in given]  # or a second call may undo what the first did to its inputs
        again = row.estimate(fresh[0], vae.reconstruction(theta, x), *fresh[1:], **hyper)
        alone = [
            row.estimate(logits[[b]], vae.reconstruction(theta, x[[b]]), *(array[:, [b]] for array in noise), **hyper)
            for b in range(B)
        ]
        answers = (dtype,) if own else (dtype, np.float32)
        close = 1e-4 if np.float32 in (dtype, estimate.dlogits.dtype) else 1e-12
        separate = np.concatenate([one.dlogits for one in alone])
        mixed = (
            spread == 1 and differences.relative_error(estimate.dlogits, separate) >= close
        )  # else rounding is all there is
        divided = mixed and differences.relative_error(B * estimate.dlogits, separate) < close
        whole = [estimate.dlogits]
        if estimate.value is not None:
            whole += [estimate.value, *estimate.dtheta.values(), *dict(estimate.domega).values()]
        untouched = all(np.array_equal(*pair) for pair in zip(given, (logits, *noise), strict=True))
        agree = np.array_equal(estimate.dlogits, again.dlogits, equal_nan=True)
        conditions = {
            "shape of dlogits": estimate.dlogits.shape == logits.shape,
            "shape of value": estimate.value is None or estimate.value.shape == (B,),
            "dtype": all(array.dtype in answers for array in whole),
            "not finite": all(np.isfinite(array).all() for array in whole),
            "inputs changed": untouched,
            "two calls differ": agree or not untouched,
            "mean over the batch": not divided,
            "examples mixed": divided or not mixed or not (agree and untouched),
            "dtheta not the batch's sum": estimate.dtheta is None or all(
                spread > 1 or differences.relative_error(estimate.dtheta[name], sum(one.dtheta[name] for one in alone)) < close
                for name in theta
            ),
        }  # fmt: skip
        if not broken and all(conditions.values()) and noise and noise[0].dtype.kind == "i":
            f = vae.reconstruction(theta, x)
            for integers in INTEGERS if own else ("u1",):
                conditions["integer codes"] = _same_in(integers, own, row, logits, f, noise, hyper, estimate.dlogits)
                if not conditions["integer codes"]:
                    break
        if spread > 1 and not (own or conditions["not finite"]):
            remark = " (but not finite at float32 logits times 30)"
            continue
        size = ", logits times 30" if spread > 1 else ""
        broken += [f"{what} ({np.dtype(dtype).name}{size})" for what, holds in conditions.items() if not holds]
    check = "shapes, dtype (float32, float64), purity, independent examples"
    why = "; ".join(words for what, words in BROKEN.items() if any(what in each for each in broken))
    verdict = "ok" + remark if not broken else "INVALID (" + ", ".join(broken) + ")"
    return Result(0, row.name, check, verdict, not broken, None, why)


def _same_in(integers, own, row, logits, f, noise, hyper, dlogits):
    """Whether codes in that integer type lead to the same gradient; a stranger's function may also refuse them."""
    try:
        return np.array_equal(row.estimate(logits, f, noise[0].astype(integers), *noise[1:], **hyper).dlogits, dlogits)
    except Exception:
        if own:
            raise
        return True
