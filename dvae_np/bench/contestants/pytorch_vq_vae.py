"""A VQ-VAE in PyTorch, as its users write it: modules, autograd, a copied gradient by `detach`, a codebook of moving averages.

python pytorch_vq_vae.py < TASK > FOUND    two pickles: the arguments of `train`, and what it returns
"""

import pickle
import sys
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class Codebook(nn.Module):
    """Entries (K, D) that move by averages of the vectors that are nearest to them."""

    def __init__(self, K, D, decay):
        super().__init__()
        self.decay = decay
        self.register_buffer("entries", torch.empty(K, D))
        self.register_buffer("counts", torch.ones(K))
        self.register_buffer("sums", torch.empty(K, D))

    def begin(self, entries):
        """At these entries (K, D)."""
        self.entries.copy_(entries)
        self.sums.copy_(entries)

    def forward(self, e):
        """(y, z, squared distances (B,)) of vectors e (B, N, D); the gradient of y is copied to e."""
        z = torch.cdist(e.flatten(0, 1), self.entries).argmin(-1).view(e.shape[:2])
        y = self.entries[z]
        if self.training:
            self.move(e.detach().flatten(0, 1), z.flatten())
        return e + (y - e).detach(), z, (e - y).square().sum((-1, -2))

    def move(self, e, z):
        """The averages after vectors e (M, D) with codes z (M,)."""
        hot = F.one_hot(z, len(self.entries)).to(e.dtype)
        self.counts.lerp_(hot.sum(0), 1 - self.decay)
        self.sums.lerp_(hot.T @ e, 1 - self.decay)
        self.entries.copy_(self.sums / self.counts[:, None])


class VQVAE(nn.Module):
    """Encoder and decoder with ReLU between their layers, and a codebook for all N latents."""

    def __init__(self, pixels, N, K, D, hidden, decay):
        super().__init__()
        self.encoder = layers(pixels, *hidden, N * D)
        self.codebook = Codebook(K, D, decay)
        self.decoder = layers(N * D, *reversed(hidden), pixels)
        self.sizes = N, D

    def vectors(self, x):
        """(B, N, D)."""
        return self.encoder(x).unflatten(-1, self.sizes)

    def forward(self, x):
        """(-log p(x|y) (B,), squared distances (B,), codes (B, N))."""
        y, z, far = self.codebook(self.vectors(x))
        logits = self.decoder(y.flatten(1))
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1), far, z


def layers(*sizes):
    """Linear layers between these sizes, with ReLU between them."""
    found = []
    for size, out in pairwise(sizes):
        found += [nn.Linear(size, out), nn.ReLU()]
    return nn.Sequential(*found[:-1])


def train(x, x_test, N, K, D, hidden, beta, decay, rate, batch, epochs, seed, start=None):
    """(-log p(x|y) (B,), squared distances (B,), codes (B, N) of the test images, codes (M, N) of the training images).

    The codebook begins at vectors of the first batch. With `start`, a state dict of arrays, everything begins there.
    """
    torch.manual_seed(seed)
    x, x_test = torch.as_tensor(x), torch.as_tensor(x_test)
    model = VQVAE(x.shape[1], N, K, D, hidden, decay)
    with torch.no_grad():
        e = model.vectors(x[torch.randperm(len(x))[:batch]]).flatten(0, 1)
        model.codebook.begin(e[torch.randperm(len(e))[:K]])
    if start is not None:
        model.load_state_dict({name: torch.as_tensor(array) for name, array in start.items()})
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for first in range(0, len(x) - batch + 1, batch):
            optimiser.zero_grad()
            nll, far, _ = model(x[order[first : first + batch]])
            (nll + beta * far).mean().backward()
            optimiser.step()
    model.eval()
    with torch.no_grad():
        return *(each.numpy() for each in model(x_test)), model.codebook(model.vectors(x))[1].numpy()


if __name__ == "__main__":
    task = pickle.load(sys.stdin.buffer)
    pickle.dump(train(**task), sys.stdout.buffer)
