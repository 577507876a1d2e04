"""Observation models: ops from the decoder's output to -log p(x|z), in nats, and back."""

from dvae_np.arrays import InputError, expect
from dvae_np.ops import softplus


def bernoulli(a, x):
    """-log p(x|z) for pixels that are Bernoulli with logits a: sum_d softplus(a_d) - x_d a_d, in nats [Eq. 3.7].

    a: (S, B, D), or (S, 1, D) for states that the whole batch shares. Then every example is scored against each state
    by one matrix product [Eq. 4.6], and nothing of size S x B x D is ever made. (Its rounding error is that of two
    sums of size sum |a_d| that nearly cancel: 1e-7 of that sum in float32.)
    x: (B, D) in [0, 1], or (1, D) for one example beside any number of states. With grey x this is the cross-entropy
    that many papers report; only for x in {0, 1} is it a negative log-likelihood.

    Returns (S, B); `backward` returns (da, None), da = sigmoid(a) - x times the cotangent [Eq. 3.8].
    Raises InputError for x outside [0, 1] (or not a number) and for sizes that do not fit.
    """
    expect("pixel logits", a, ("S", "B", "D"))
    _, states, D = a.shape
    if x.ndim != 2 or x.shape[1] != D or (1 not in (states, len(x)) and states != len(x)):
        raise InputError(f"bernoulli: x {x.shape} does not fit pixel logits (S, B, D) = {a.shape} as (B, D)")
    if x.size == 0:
        raise InputError(f"bernoulli: expected at least one example, got x {x.shape}")
    if not (x.min() >= 0 and x.max() <= 1):
        raise InputError(f"bernoulli: expected pixels x in [0, 1], got {float(x.min()):g} to {float(x.max()):g}")
    log_partition, softplus_backward = softplus(a)  # softplus's derivative is the mean image sigmoid(a)

    if states == 1:
        value = log_partition.sum(-1) - a[:, 0] @ x.T  # (S, 1) - (S, B)

        def backward(dvalue):
            da = softplus_backward(dvalue.sum(1, keepdims=True)[..., None])  # (S, 1, D)
            da[:, 0] -= dvalue @ x
            return da, None

        return value, backward

    value = (log_partition - a * x).sum(-1)  # (S, B)
    return value, lambda dvalue: (softplus_backward(dvalue[..., None]) - dvalue[..., None] * x, None)
