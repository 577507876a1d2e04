"""Pyro: the exact sum by `TraceEnum_ELBO`, which enumerates the guide's latents in parallel."""

import pyro
import pyro.distributions as dist
import torch
import torch.nn.functional as F
from pyro.infer import TraceEnum_ELBO, config_enumerate

TRACED = False


def exact(x, theta, logits):
    """Value and gradients of the negative ELBO with a uniform prior, less its KL in the value; 9 GB for 4,096 states."""
    B, N, K = logits.shape
    if K**N > 1000:
        return None
    x, logits = torch.tensor(x), torch.tensor(logits, requires_grad=True)
    theta = {name: torch.tensor(array, requires_grad=True) for name, array in theta.items()}

    def decode(codes):
        h = theta["bias"] + sum(theta["table"][n][code] for n, code in enumerate(codes))
        h = F.relu(h) @ theta["w0"] + theta["b0"]
        return F.relu(h) @ theta["w1"] + theta["b1"]

    def model():
        with pyro.plate("batch", B):
            codes = [pyro.sample(f"z{n}", dist.Categorical(logits=torch.zeros(K))) for n in range(N)]
            pyro.sample("x", dist.Bernoulli(logits=decode(codes)).to_event(1), obs=x)

    @config_enumerate
    def guide():
        with pyro.plate("batch", B):
            for n in range(N):
                pyro.sample(f"z{n}", dist.Categorical(logits=logits[:, n]))

    elbo = TraceEnum_ELBO(max_plate_nesting=1)

    def call():
        pyro.clear_param_store()
        loss = elbo.differentiable_loss(model, guide)
        torch.autograd.grad(loss, [*theta.values(), logits])
        q = F.softmax(logits.detach(), -1)
        return loss.item() - (q * (q * K).log()).sum().item()

    return call


VARIANTS = {"Pyro": {"exact": exact}}
