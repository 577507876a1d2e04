"""Estimators and ops of PyTorch before the judge: f takes tensors and is differentiable in them. Needs PyTorch.

    from dvae_np.check import judge
    from dvae_np.check.torch import estimator

    judge(estimator(my_function)).raise_if_failed()

Code that draws its own noise, from PyTorch's global generator or one that it is given, is judged by replicates.
"""

from functools import wraps

import numpy as np
import torch

from dvae_np.check.adapters import check_foreign, expect_loss, parameters_of, signature, with_samples

TWICE = "f has one backward pass by hand, and no second derivative: is a .detach() missing?"


class Objective(torch.autograd.Function):
    """A NumPy f as a function of tensors, with its own backward pass."""

    @staticmethod
    def forward(ctx, z, f, sizes, dtype):
        codes, added = with_samples(z.detach().cpu().numpy(), sizes)
        fz, backward_of_f = f(codes)
        ctx.save_for_backward(z)
        ctx.pulled = lambda dfz: backward_of_f(dfz[None])[0][0] if added else backward_of_f(dfz)[0]
        return torch.as_tensor(fz[0] if added else fz, device=z.device, dtype=dtype)

    @staticmethod
    def backward(ctx, dfz):
        (z,) = ctx.saved_tensors
        return Slope.apply(z, dfz, ctx.pulled), None, None, None


class Slope(torch.autograd.Function):
    """The gradient of f in z, which cannot be differentiated again; it would be zero without a word."""

    @staticmethod
    def forward(ctx, z, dfz, pulled):
        return torch.as_tensor(pulled(dfz.detach().cpu().numpy()), device=z.device, dtype=z.dtype)

    @staticmethod
    def backward(ctx, d):
        raise RuntimeError(TWICE)


def estimator(function, *, device="cpu", dtype=None):
    """A function of tensors as one of arrays, for `judge`.

    function: (logits, f, noise) of tensors, noise named as for `judge`, or (logits, f), or (logits, f, generator), where it
              draws by itself; PyTorch's global generator is seeded for it. It returns the gradient in the logits (B, N, K), or
              a loss: one number, the sum over the examples, or (B,), which is differentiated in the logits.
              f takes codes (B, N) or (S, B, N), one-hots or relaxed codes (B, N, K) or (S, B, N, K), and gives (B,) or (S, B).
    dtype:    as torch.float32, in which it is called; else in that of the arrays.
    Raises InputError for a function of other parameters, and where it returns or gives f something else. Usable as a decorator.
    """
    function = function.forward if isinstance(function, torch.nn.Module) else function
    noise, generator = parameters_of(function)

    @wraps(function)
    def of_arrays(logits, f, *arrays):
        theirs = torch.tensor(logits, dtype=dtype, device=device, requires_grad=True)
        if noise:
            given = [torch.tensor(array, device=device) for array in arrays]
            given = [each.to(theirs.dtype) if each.is_floating_point() else each.long() for each in given]
        else:
            seed = int(arrays[0].integers(2**63))
            torch.manual_seed(seed)
            given = [torch.Generator(device).manual_seed(seed)] if generator else []
        found = function(theirs, lambda z: Objective.apply(z, f, logits.shape, theirs.dtype), *given)
        if not isinstance(found, torch.Tensor):
            raise TypeError(
                f"expected a tensor, the gradient in the logits or a loss, it returned a {type(found).__name__}"
            )
        expect_loss(tuple(found.shape), logits)
        if found.shape != theirs.shape:
            found = _derivative(found.sum(), theirs)
        found = found.detach().cpu()
        found = (found.float() if found.dtype in (torch.bfloat16, torch.float16) else found).numpy()
        return found.astype(logits.dtype) if found.itemsize > logits.itemsize else found

    of_arrays.__signature__ = signature(noise)  # and not that of `function`
    return of_arrays


def _derivative(loss, logits):
    """In the logits; zero where the loss does not depend on them."""
    if not loss.requires_grad:
        return torch.zeros_like(logits)
    (found,) = torch.autograd.grad(loss, logits, allow_unused=True)
    return torch.zeros_like(logits) if found is None else found


def check_op(function, inputs, rng=None, data=()):
    """The `OpVerdict` on a `torch.autograd.Function`, or on any function of tensors, in float64.

    By central differences and, where it takes complex tensors, by the complex step. inputs: its arguments by name, in their
    order, as NumPy arrays or numbers. data: as in `dvae_np.check.check_op`. Errors as there.
    """
    own = isinstance(function, type) and issubclass(function, torch.autograd.Function)
    apply = function.apply if own else function
    tensors = lambda given: {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in given.items()}

    def value(given):
        with torch.no_grad():
            return apply(*tensors(given).values()).numpy()

    def pulled(given, moves):
        theirs = tensors(given)
        moving = [theirs[name].requires_grad_() for name in moves]
        y = apply(*theirs.values())

        def backward(dy):
            if not y.requires_grad:
                return [np.zeros(each.shape) for each in moving]
            dy = torch.tensor(np.array(dy), dtype=y.dtype)
            found = torch.autograd.grad(y, moving, dy, retain_graph=True, allow_unused=True)
            return [np.zeros(m.shape) if each is None else each.numpy() for m, each in zip(moving, found, strict=True)]

        return y.detach().numpy(), backward

    return check_foreign(value, pulled, inputs, rng, data)
