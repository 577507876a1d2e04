"""Ops: functions with their backward pass written inside, beside the formula.

Every op is ``y, backward = op(*inputs)``, and ``backward(dy)`` returns one gradient per input, where ``dx`` always means
d loss / d x, the product of dy with the Jacobian of the op [Eq. 1.1]. An input that is data has the gradient None. Ops
are pure: they change no input and remember nothing but what their own `backward` closes over, so that one may be called
any number of times before any backward.

All of them accept complex inputs (branches look at the real part), so that the complex step of `dvae_np.check` runs
through whatever is built from them.
"""

import numpy as np

from dvae_np.arrays import InputError, expect_codes, one_hot

SHORT_ROWS = 64  # NumPy goes through rows one by one: shorter ones cost more to begin than to work through
WIDEST_ONE_HOT = 128  # with more categories, adding up rows one by one is cheaper than a product with one-hot rows


def linear(x, w, b=None, data=False):
    """Rows x (..., I) times w (I, *O) plus b (*O), which may be left out: (..., *O) [Eq. 1.6].

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
        y = y + b.reshape(-1)  # not in place: what several cores have written is quicker read than changed

    def backward(dy):
        dy = dy.reshape(len(rows), -1)
        dx = None if data else (dy @ matrix.T).reshape(x.shape)
        db = None if b is None else dy.sum(0).reshape(b.shape)
        return dx, (rows.T @ dy).reshape(w.shape), db

    return y.reshape(*x.shape[:-1], *w.shape[1:]), backward


def embedding(z, table):
    """One row of `table` (N, K, H) for each latent, added up: (..., H) [Eq. 1.7].

    z is integer codes (..., N), a look-up, or relaxed codes (..., N, K), a weighted sum of the rows; a float one-hot
    gives the same numbers as its code. Integer codes have no gradient: dz is None.

    Raises InputError for codes outside 0..K-1 and for sizes that do not fit.
    """
    N, K, H = table.shape
    hard = z.dtype.kind in "iu"
    lead = z.shape[: -1 if hard else -2]
    if z.shape != (*lead, *table.shape[: 1 if hard else 2]):
        raise unfit(z, table)
    if hard:
        expect_codes("z", z, K)

    if hard and K > WIDEST_ONE_HOT:
        rows = z.reshape(-1, N)
        y = table[0][rows[:, 0]]  # (R, H)
        for n in range(1, N):
            y += table[n][rows[:, n]]
        return y.reshape(*lead, H), lambda dy: (None, rows_by_code(rows, dy.reshape(-1, H), K))

    rows = (one_hot(z, K, table.real.dtype) if hard else z).reshape(-1, N * K)
    y = rows @ table.reshape(N * K, H)

    def backward(dy):
        dy = dy.reshape(-1, H)
        dz = None if hard else (dy @ table.reshape(N * K, H).T).reshape(z.shape)
        return dz, (rows.T @ dy).reshape(table.shape)

    return y.reshape(*lead, H), backward


def concatenation(z, table):
    """One row of `table` (N, K, E) for each latent, side by side: (..., N * E) [Eq. 4.8].

    z and dz are as in `embedding`. A linear layer on top of it is an embedding whose rows share N factors (E, H).

    Raises InputError for codes outside 0..K-1 and for sizes that do not fit.
    """
    N, K, E = table.shape
    hard = z.dtype.kind in "iu"
    lead = z.shape[: -1 if hard else -2]
    if z.shape != (*lead, *table.shape[: 1 if hard else 2]):
        raise unfit(z, table)
    if hard:
        expect_codes("z", z, K)
    rows = z.reshape(-1, N) if hard else z.reshape(-1, N, K)
    y = np.concatenate([table[n][rows[:, n]] if hard else rows[:, n] @ table[n] for n in range(N)], -1)

    def backward(dy):
        dy = dy.reshape(-1, N, E)
        if hard:
            return None, np.concatenate([rows_by_code(rows[:, n : n + 1], dy[:, n], K) for n in range(N)])
        dz = np.stack([dy[:, n] @ table[n].T for n in range(N)], 1).reshape(z.shape)
        return dz, np.stack([rows[:, n].T @ dy[:, n] for n in range(N)])

    return y.reshape(*lead, N * E), backward


def unfit(z, table):
    """The error of codes z that do not fit a table."""
    return InputError(f"embedding: z {z.shape} does not fit a table of shape {table.shape}")


def rows_by_code(z, dy, K, sums=None):
    """For each latent n and category k the sum of those rows of dy (R, H) whose code z[:, n], of z (R, N), is k: (N, K, H).

    Where `sums` are given, the rows are added to those, in place.
    """
    (R, N), H = z.shape, dy.shape[-1]
    sums = np.zeros((N, K, H), dy.dtype, like=dy) if sums is None else sums
    if K <= WIDEST_ONE_HOT:
        sums += (one_hot(z, K, dy.dtype).reshape(R, N * K).T @ dy).reshape(N, K, H)
        return sums
    for n in range(N):
        order = np.argsort(z[:, n])
        ends = np.searchsorted(z[order, n], np.arange(K + 1, like=z))
        # Rank r within its own code: one pass adds the r-th row of every code, so no two rows meet in one assignment.
        counts = ends[1:] - ends[:-1]
        for r in range(int(counts.max()) if R else 0):
            present = np.flatnonzero(counts > r)
            sums[n, present] += dy[order[ends[:-1][present] + r]]
    return sums


def tanh(x):
    """tanh x, whose derivative is 1 - tanh^2 x [Eq. 1.8]."""
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


def relu(x):
    """max(x, 0), whose derivative is 1 where x > 0, else 0 [Eq. 1.9]. (A complex maximum compares real parts first.)"""
    y = np.maximum(x, np.zeros_like(x, shape=x.shape[-1:]))  # beside the number 0 NumPy takes twice as long
    return y, lambda dy: dy * (x.real > 0)


def softplus(x):
    """log(1 + e^x), whose derivative is sigmoid(x) [Eq. 1.10].

    With t = e^(-|x|) it is max(x, 0) + log(1 + t), and its derivative 1 / (1 + t), for negative x t / (1 + t): nothing
    overflows, no digits are lost at either end, and one exponential serves both.
    """
    t = np.exp(np.minimum(x, -x))
    slope = np.maximum(t, x.real > 0) / (1 + t)
    return np.maximum(x, 0) + np.log1p(t), lambda dy: dy * slope


def sigmoid(x):
    """1 / (1 + e^(-x)), whose derivative is y (1 - y) [Eq. 1.11]; computed as e^(-softplus(-x))."""
    y = np.exp(-softplus(-x)[0])
    return y, lambda dy: dy * y * (1 - y)


def log_softmax(x):
    """x - log sum e^x over the last axis [Eq. 2.1]; its backward is dy - q sum(dy), with q the softmax."""
    shifted = x - row_max(x.real)
    y = shifted - np.log(row_sums(np.exp(shifted)))
    return y, lambda dy: dy - np.exp(y) * row_sums(dy)


def softmax(x):
    """q = e^x / sum e^x over the last axis; its Jacobian is diag(q) - q q^T [Eq. 2.2]."""
    q = np.exp(x - row_max(x.real))
    q /= row_sums(q)
    return q, lambda dy: softmax_jacobian(q, dy)


def softmax_jacobian(q, dy):
    """(diag(q) - q q^T) dy = q (dy - <q, dy>), over the last axis [Eq. 2.2]."""
    return q * (dy - row_sums(q * dy))


def row_sums(x):
    """Sums over the last axis, which stays with length 1: one product with ones, as NumPy is slow to add up short rows."""
    sums = x.reshape(-1, x.shape[-1]) @ np.ones_like(x, shape=(x.shape[-1], 1))
    return sums.reshape(*x.shape[:-1], 1)


def log_sum_exp(a, axis):
    """log sum e^a over one axis, which goes: the largest term is taken out, so that nothing overflows; -inf where all are.

    No term is ever taken off a whole: where one is nearly all of it, that would leave log 0.
    """
    top = a.real.max(axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # log 0 is meant
        return top.squeeze(axis) + np.log(np.exp(a - top).sum(axis))


def log_of_product(u):
    """The log of the product of u (..., D) over the last axis, for u in [1, 2]: (...). One log serves 16 factors."""
    value = 0
    for _ in range(4):
        half = u.shape[-1] // 2
        if u.shape[-1] % 2:
            value = value + np.log(u[..., -1])
        u = u[..., :half] * u[..., half : 2 * half]
    return value + np.log(u).sum(-1)


def row_max(x):
    """The largest of each row of the last axis, which stays with length 1; many short rows are compared as a few long ones."""
    if x.shape[-1] > SHORT_ROWS:
        return x.max(-1, keepdims=True)
    return x.reshape(-1, x.shape[-1]).T.copy().max(0).reshape(*x.shape[:-1], 1)
