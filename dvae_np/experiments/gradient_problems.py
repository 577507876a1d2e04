"""Problems whose exact gradient is known: a VAE trained on the digits, and a toy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dvae_np import vae
from dvae_np.check.toys import polynomial
from dvae_np.train import Settings, fit, load

EXAMPLES = 8  # whose gradients are measured, each on its own


@dataclass(frozen=True)
class Problem:
    """Gradients to estimate: a few examples, whose exact gradient is known, and batches, to learn tunables on and to time."""

    name: str
    N: int
    K: int
    examples: list  # of (q, f), q a law of one example, or its logits (1, N, K)
    batch: Callable  # (size, dtype) -> (q, f)


def trained_problem(N, K, estimator="exact", epochs=40, **settings):
    """A VAE trained on the digits: some of its test images, and batches of training images. settings: of the model."""
    data = load("digits")
    run = fit(
        data, Settings(estimator, N=N, K=K, S=1 if estimator == "exact" else 4, epochs=epochs, seed=1, **settings)
    )

    def objective(x, dtype):
        params = {
            group: {name: array.astype(dtype) for name, array in run.params[group].items()} for group in run.params
        }
        q, _ = run.model.encoder(params["psi"], x.astype(dtype), None)
        return q, vae.reconstruction(params["theta"], x.astype(dtype), model=run.model)

    chosen = data.test.x[:: len(data.test.x) // EXAMPLES][:EXAMPLES]
    return Problem(f"a VAE trained on the digits ({estimator}), N={N}, K={K}", N, K,
                   [objective(image[None], np.float64) for image in chosen],
                   lambda size, dtype: objective(data.train.x[:size], dtype))  # fmt: skip


def toy_problem(N, K):
    """A cubic polynomial of the codes, the same for all examples, whose logits differ."""
    rng = np.random.default_rng(4)
    w, logits = rng.standard_normal((2, N, K)), rng.standard_normal((100, N, K))
    return Problem(f"a cubic toy, N={N}, K={K}", N, K,
                   [(one[None], polynomial(w, 3)) for one in logits[:EXAMPLES]],
                   lambda size, dtype: (logits[:size].astype(dtype), polynomial(w.astype(dtype), 3)))  # fmt: skip


PROBLEMS = {"vae": trained_problem, "toy": toy_problem}
