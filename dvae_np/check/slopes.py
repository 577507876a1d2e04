"""The slope of a function at a point, by differences of several step lengths: steep, tiny, beside a large number, a kink."""

import numpy as np


def best_slope(at, x, dtype, bend, size):
    """(slope, how far it may be off, the two one-sided slopes where there is a kink, else None), by the best of several steps.

    at:    a function of the step that returns an array, whose sum is meant: differences are taken before the sum, so that what
           does not move leaves no rounding. dtype: "float64" or "float32", in which it computes. x: |the point|.
    bend:  the share of max(size, |slope|) by which the one-sided slopes are apart at a kink.
    """
    eps, found = np.finfo(dtype).eps, []
    steps = max(1, x) / 8.0 ** np.arange(4 if dtype == "float64" else 2)
    steps = np.cbrt(eps) * np.append(steps, [8 * x, x, x / 8] if 0 < x < 1 else [])
    with np.errstate(all="ignore"):
        here, tried = at(0.0), [(h, at(h), at(-h), (at(h / 2) - at(-h / 2)).sum() / h) for h in steps]
        changes = np.any([(above != here) | (below != here) for _, above, below, _ in tried], axis=0)
        for h, above, below, half in tried:
            rounding = eps / h * np.max(np.abs([above, below, here]), axis=0)[changes].sum()
            low, high = sorted(((above - here).sum() / h, (here - below).sum() / h))
            error = abs((above - below).sum() / (2 * h) - half) + rounding
            found.append((error if np.isfinite(error) else np.inf, half, high - low - 8 * rounding, h, (low, high)))
    error, slope, gap, h, sides = min(found)
    _, _, first, longest, _ = found[0]
    # At a kink the gap stays as the step shrinks, at a jump it grows; else it shrinks with the step.
    usual = first * np.sqrt(h / longest)
    smooth = gap < usual if h < longest else h > longest and gap > usual
    kink = gap > bend * max(size, abs(slope)) and not smooth
    return slope, error, sides if kink or error == np.inf else None
