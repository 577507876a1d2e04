"""Columns of categories, each with a number of its own: the rows of a survey, or the symbols of a text."""

import numpy as np

from dvae_np.arrays import InputError, expect_pixels
from dvae_np.likelihoods.likelihood import Likelihood
from dvae_np.ops import log_softmax, softmax


def columns_nll(a, x, columns):
    """-log p(x|z) of columns that are categorical each: -sum_d log softmax(a_d)[x_d], in nats [Eq. 3.16].

    a: (S, B, W) or (S, 1, W), the logits of all columns side by side, W = sum(columns). x: (B, W), their one-hots side by side;
    a column whose entries are all 0 is missing, and adds nothing. columns: the number of categories of each.
    Returns (S, B); `backward` returns (da, None). Raises InputError for x that is no such rows, and for sizes that do not fit.
    """
    expect_pixels("columns", a, x, unit=True)
    cuts = np.cumsum(columns)
    if not len(columns) or cuts[-1] != x.shape[1]:
        raise InputError(
            f"columns: expected x of {sum(columns)} entries, {len(columns)} columns side by side, got {x.shape}"
        )
    seen = np.add.reduceat(x, cuts - columns, axis=1)
    if not (((x == 0) | (x == 1)).all() and (seen <= 1).all()):
        raise InputError(
            "columns: expected one 1 in each column of a row, or none where it is missing, got other numbers"
        )
    logp, backwards = zip(*(log_softmax(part) for part in np.split(a, cuts[:-1], -1)), strict=True)
    logp = np.concatenate(logp, -1)

    def columns_backward(dlogp):
        parts = np.split(dlogp, cuts[:-1], -1)
        return np.concatenate([backward(part) for backward, part in zip(backwards, parts, strict=True)], -1), None

    if a.shape[1] == 1:
        return -(logp[:, 0] @ x.T), lambda dvalue: columns_backward(-(dvalue @ x)[:, None])
    return -(logp * x).sum(-1), lambda dvalue: columns_backward(-dvalue[..., None] * x)


def mean(a, D, columns):
    """The probabilities of all categories."""
    return np.concatenate([softmax(part)[0] for part in np.split(a, np.cumsum(columns)[:-1], -1)], -1)


def draw(rng, a, D, columns):
    """One category of each column, as one-hots."""
    drawn = []
    for part in np.split(a, np.cumsum(columns)[:-1], -1):
        cumulated = np.cumsum(softmax(part)[0], -1)[..., :-1]
        k = (cumulated <= rng.random((*part.shape[:-1], 1), dtype=a.dtype)).sum(-1)
        drawn.append((k[..., None] == np.arange(part.shape[-1], like=a)).astype(a.dtype))
    return np.concatenate(drawn, -1)


def start(x, levels, columns):
    """The logarithms of a column's shares, each category counted half a time more than it was seen [Eq. 19.2]."""
    counted = np.split(x.sum(0) + 0.5, np.cumsum(columns)[:-1])
    return np.concatenate([np.log(each / each.sum()) for each in counted])


COLUMNS = Likelihood("columns", "columns of categories", columns_nll, mean, draw, start, pixels="columns", sized=True,
                     support=lambda levels: (np.arange(2.0), np.ones(2)))  # fmt: skip
