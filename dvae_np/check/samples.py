"""What a test needs of gradient samples, added up chunk by chunk, so that a stream of them need not fit in memory."""

import numpy as np

from dvae_np.check.differences import real_array

FEWEST = 30  # draws below which no verdict is given
CHUNK = 2**13  # draws that are worked on at a time


class Unfit(Exception):
    """Internal: draws that cannot be judged: the kind of verdict, and why."""


class Samples:
    """Sums over R draws of m numbers, about a centre (m,), with weights or without; nothing else of them is kept.

    What is added up: deviations, their squares and their extremes; the squared length and its square, for the variance; and
    for blocks of 2, 4, 8, ... neighbouring draws the square of a block's sum less the sum of its squares, which is 0 on
    average if draws are independent (`dependence`).
    """

    def __init__(self, centre, entries):
        """entries: how many of the m numbers are the gradient's own; the others are combinations of them."""
        self.centre, self.entries = centre, entries
        self.R, self.levels = 0, []
        self.total, self.squares = (np.zeros_like(centre) for _ in range(2))
        self.low, self.high = np.full_like(centre, np.inf), np.full_like(centre, -np.inf)
        self.farthest, self.length, self.length_squared = 0.0, 0.0, 0.0

    def add(self, draws, counts=None):
        """Add draws (r, m), each as often as `counts` says (then nothing is known of their order)."""
        d = draws - self.centre
        own = (d[:, : self.entries] ** 2).sum(1)
        times = np.ones(len(d)) if counts is None else np.asarray(counts, float)
        came = times > 0
        self.R += int(times.sum())
        self.total += times @ d
        self.squares += times @ d**2
        self.low = np.minimum(self.low, d[came].min(0, initial=np.inf))
        self.high = np.maximum(self.high, d[came].max(0, initial=-np.inf))
        self.farthest = max(self.farthest, np.sqrt(own[came].max(initial=0)))
        self.length += float(times @ own)
        self.length_squared += float(times @ own**2)
        if counts is None:
            self._pair(d, d**2)

    def _pair(self, sums, squares):
        """Blocks of neighbours, of twice as many draws at every level; what has no neighbour yet waits for the next chunk."""
        level = 0
        while len(sums):
            if level == len(self.levels):
                self.levels.append({"waiting": None, "excess": 0.0, "its squares": 0.0, "squares": 0.0, "blocks": 0})
            here = self.levels[level]
            if here["waiting"] is not None:
                sums, squares = (np.concatenate(pair) for pair in zip(here["waiting"], (sums, squares), strict=True))
            even = len(sums) // 2 * 2
            here["waiting"] = (sums[even:].copy(), squares[even:].copy()) if even < len(sums) else None
            sums, squares = sums[0:even:2] + sums[1:even:2], squares[0:even:2] + squares[1:even:2]
            excess = sums**2 - squares
            here["excess"] += excess.sum(0)
            here["its squares"] += (excess**2).sum(0)
            here["squares"] += squares.sum(0)
            here["blocks"] += len(sums)
            level += 1

    @property
    def off(self):
        """How far the mean lies from the centre (m,)."""
        return self.total / self.R

    @property
    def standard_error(self):
        """Of the mean (m,)."""
        return np.sqrt(np.maximum(self.squares / self.R - self.off**2, 0) / (self.R - 1))

    @property
    def reach(self):
        """How far the farthest draw lies from the mean: in each of the m numbers, and as a length at most."""
        each, n = np.maximum(self.high - self.off, self.off - self.low), self.entries
        return each, min(self.farthest + np.linalg.norm(self.off[:n]), np.linalg.norm(each[:n]))

    @property
    def variance(self):
        """The total variance of a draw, and its standard error."""
        moved = (self.off[: self.entries] ** 2).sum()
        mean = self.length / self.R
        return (mean - moved) * self.R / (self.R - 1), np.sqrt(max(self.length_squared / self.R - mean**2, 0) / self.R)

    def dependence(self, varies, limit):
        """How many neighbouring draws, added up, vary more than independent ones by more than chance, and how much; or None.

        varies: which of the m numbers do at all (m,). limit: of a z-test, a function of how many tests there are. The test is
        in units of its own standard error: a rare large draw beside another one, which chance may bring, counts in both. So
        it sees what would make the mean vary more: a chain, chains side by side, a slow drift.
        """
        found, together = None, 1
        most = limit(max(varies.sum() * np.log2(self.R / FEWEST), 1)) if self.levels else 0
        for level in self.levels:
            together *= 2
            if level["blocks"] < FEWEST:
                break
            excess = level["excess"] - level["blocks"] * together * (together - 1) * self.off**2
            significant = varies & (excess > most * np.sqrt(level["its squares"]))
            if significant.any():
                own = level["squares"] - level["blocks"] * together * self.off**2
                times = 1 + float((excess / np.where(significant, own, 1))[significant].max())
                found = max(found or (0, 0.0), (together, times), key=lambda each: each[1])
        return found


def gathered(draws, exact, counts):
    """(`Samples`, in units of what, dtype) of draws that are an array or come in chunks.

    Raises InputError for what is no array of real numbers, `Unfit` for draws that cannot be judged.
    """
    if hasattr(draws, "__next__"):
        dtype, found, size = None, None, np.max(np.abs(exact), initial=0)
        for chunk in draws:
            chunk = real_array("draws", chunk)
            expect_draws(chunk, exact)
            if found is None:
                dtype, size = chunk.dtype, np.float64(size or np.max(np.abs(chunk), initial=0) or 1.0)
                found = Samples(_columns(exact[None], exact, size)[0], exact.size)
            found.add(_columns(chunk, exact, size))
        R = 0 if found is None else found.R
        expect_enough(R)
        return found, size, dtype
    draws = real_array("draws", draws)
    expect_draws(draws, exact, finite=False)
    R = len(draws) if counts is None else int(np.sum(counts))
    expect_enough(R)
    size = np.max(np.abs(exact), initial=0)
    parts = [slice(start, start + CHUNK) for start in range(0, len(draws), CHUNK)]
    for part in parts:
        expect_draws(draws[part], exact)
        size = size if exact.any() else max(size, np.max(np.abs(draws[part]), initial=0))
    size = np.float64(size or 1.0)
    weights = np.full(len(draws), 1 / R) if counts is None else np.asarray(counts) / R
    centre = sum(weights[part] @ _columns(draws[part], exact, size) for part in parts)
    found = Samples(centre, exact.size)
    for part in parts:
        found.add(_columns(draws[part], exact, size), None if counts is None else np.asarray(counts)[part])
    return found, size, draws.dtype


def expect_enough(R):
    """Raise `Unfit` for fewer draws than a verdict needs."""
    if R < FEWEST:
        raise Unfit("INCONCLUSIVE", f"about {FEWEST} draws needed at the least, got {R}")


def expect_draws(draws, exact, finite=True):
    """Raise `Unfit` for draws of another shape, or that are not finite."""
    if draws.ndim == 0 or draws.shape[1:] != exact.shape:
        raise Unfit("INVALID", f"draws of shape {draws.shape}, expected (R, ...) with {exact.shape} each")
    if finite and not np.isfinite(draws).all():
        raise Unfit("INVALID", f"{int((~np.isfinite(draws)).sum())} of {draws.size} numbers are not finite")


def _columns(draws, exact, size):
    """The entries (r, n) in units of the size and, unless it is zero, the share along the exact gradient: 1, if unbiased."""
    flat, exact = draws.reshape(len(draws), -1).astype(np.float64) / size, exact.ravel() / size
    return np.column_stack([flat, flat @ exact / np.linalg.norm(exact) ** 2]) if exact.any() else flat
