"""Ops: functions with their backward pass written inside, beside the formula.

Every op is ``y, backward = op(*inputs)``, and ``backward(dy)`` returns one gradient per input, where ``dx`` always means
d loss / d x, the product of dy with the Jacobian of the op [Eq. 1.1]. An input that is data has the gradient None. Ops
are pure: they change no input and remember nothing but what their own `backward` closes over, so that one may be called
any number of times before any backward.

All of them accept complex inputs (branches look at the real part), so that the complex step of `dvae_np.check` runs
through whatever is built from them.
"""

import numpy as np

from dvae_np.arrays import InputError, expect_codes, is_codes, one_hot

WIDEST_ONE_HOT = 128  # with more categories, adding up rows one by one is cheaper than a product with one-hot rows


def linear(x, w, b=None, data=False):
    """Rows x (..., I) times w (I, *O) plus b (*O), which may be left out: (..., *O) [Eq. 1.2].

    O may have several axes: a layer that ends in logits has w (H, N, K). Where x is `data`, no gradient of it is
    computed: that product is as large as the forward one.

    Raises InputError where the sizes do not fit.
    """
    if x.shape[-1] != len(w) or (b is not None and w.shape[1:] != b.shape):
        shapes = f"x {x.shape}, w {w.shape} and b {None if b is None else b.shape}"
        raise InputError(f"linear: {shapes} do not fit as (..., I), (I, O), (O)")
    rows, matrix = x.reshape(-1, len(w)), w.reshape(len(w), -1)
    y = rows @ matrix
    if b is not None:
        y = y + b.reshape(-1)

    def backward(dy):
        dy = dy.reshape(len(rows), -1)
        dx = None if data else (dy @ matrix.T).reshape(x.shape)
        db = None if b is None else dy.sum(0).reshape(b.shape)
        return dx, (rows.T @ dy).reshape(w.shape), db

    return y.reshape(*x.shape[:-1], *w.shape[1:]), backward


def embedding(z, table):
    """One row of `table` (N, K, H) for each latent, added up: (..., H) [Eq. 1.3].

    z is integer codes (..., N), a look-up, or relaxed codes (..., N, K), a weighted sum of the rows; a float one-hot
    gives the same numbers as its code. Integer codes have no gradient: dz is None.

    Raises InputError for codes outside 0..K-1 and for sizes that do not fit.
    """
    N, K, H = table.shape
    hard, lead = _hard_and_lead(z, table)

    if hard:
        rows = z.reshape(-1, N)
        y = table[0][rows[:, 0]]  # (R, H)
        for n in range(1, N):
            y += table[n][rows[:, n]]
    else:
        rows = z.reshape(-1, N * K)
        y = rows @ table.reshape(N * K, H)

    def backward(dy):
        dy = dy.reshape(-1, H)
        if not hard:
            return (dy @ table.reshape(N * K, H).T).reshape(z.shape), (rows.T @ dy).reshape(table.shape)
        if K <= WIDEST_ONE_HOT:
            return None, (one_hot(rows, K, dy.dtype).reshape(-1, N * K).T @ dy).reshape(table.shape)
        return None, np.stack([sum_by_code(rows[:, n], dy, K) for n in range(N)])

    return y.reshape(*lead, H), backward


def concatenation(z, table):
    """One row of `table` (N, K, E) for each latent, side by side: (..., N * E) [Eq. 4.8].

    z and dz are as in `embedding`. A linear layer on top of it is an embedding whose rows share N factors (E, H).

    Raises InputError for codes outside 0..K-1 and for sizes that do not fit.
    """
    N, K, E = table.shape
    hard, lead = _hard_and_lead(z, table)
    rows = z.reshape(-1, N) if hard else z.reshape(-1, N, K)
    y = np.concatenate([table[n][rows[:, n]] if hard else rows[:, n] @ table[n] for n in range(N)], -1)

    def backward(dy):
        dy = dy.reshape(-1, N, E)
        dtable = [sum_by_code(rows[:, n], dy[:, n], K) if hard else rows[:, n].T @ dy[:, n] for n in range(N)]
        dz = None if hard else np.stack([dy[:, n] @ table[n].T for n in range(N)], 1).reshape(z.shape)
        return dz, np.stack(dtable)

    return y.reshape(*lead, N * E), backward


def _hard_and_lead(z, table):
    """Whether z is integer codes, and its leading axes; raises `InputError` where z does not fit the table."""
    N, K, _ = table.shape
    hard = is_codes(z)
    if (z.shape[-1:] if hard else z.shape[-2:]) != ((N,) if hard else (N, K)):
        raise InputError(f"embedding: z {z.shape} does not fit a table of shape {table.shape}")
    if hard:
        expect_codes("z", z, K)
    return hard, z.shape[:-1] if hard else z.shape[:-2]


def sum_by_code(codes, rows, K):
    """For each k < K the sum of those rows (R, H) whose code (R,) is k: (K, H)."""
    if K <= WIDEST_ONE_HOT:
        return one_hot(codes, K, rows.dtype).T @ rows
    order = np.argsort(codes)
    ends = np.searchsorted(codes[order], np.arange(K + 1, like=codes))
    # Rank r within its own code: one pass adds the r-th row of every code, so no two rows meet in one assignment.
    sums = np.zeros_like(rows, shape=(K, rows.shape[1]))
    counts = ends[1:] - ends[:-1]
    for r in range(int(counts.max()) if len(rows) else 0):
        present = np.flatnonzero(counts > r)
        sums[present] += rows[order[ends[:-1][present] + r]]
    return sums


def tanh(x):
    """tanh x, whose derivative is 1 - tanh^2 x [Eq. 1.4]."""
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


def relu(x):
    """max(x, 0), whose derivative is 1 where x > 0, else 0 [Eq. 1.5]. (A complex maximum compares real parts first.)"""
    y = np.maximum(x, 0)
    return y, lambda dy: dy * (x.real > 0)


def softplus(x):
    """log(1 + e^x), whose derivative is sigmoid(x) = e^(x - softplus x) [Eq. 1.6].

    Computed as max(x, 0) + log1p(e^(-|x|)): nothing overflows, and for very negative x it keeps its digits.
    """
    positive = np.maximum(x, 0)
    y = positive + np.log1p(np.exp(x - 2 * positive))  # x - 2 max(x, 0) = -|x|
    return y, lambda dy: dy * np.exp(x - y)


def sigmoid(x):
    """1 / (1 + e^(-x)), whose derivative is y (1 - y) [Eq. 1.7]; computed as e^(-softplus(-x))."""
    y = np.exp(-softplus(-x)[0])
    return y, lambda dy: dy * y * (1 - y)


def log_softmax(x):
    """x - log sum e^x over the last axis [Eq. 2.1]; its backward is dy - q sum(dy), with q the softmax."""
    shifted = x - x.real.max(-1, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(-1, keepdims=True)


def softmax(x):
    """q = e^x / sum e^x over the last axis; its Jacobian is diag(q) - q q^T [Eq. 2.2]."""
    q = np.exp(log_softmax(x)[0])
    return q, lambda dy: q * (dy - (q * dy).sum(-1, keepdims=True))
