"""Dreams: codes from the prior and images from the model; and sleep, in which the encoder learns the codes of its dreams.

Wake-sleep (Hinton et al. 1995; Bornschein & Bengio 2015) has three updates. Awake, codes of real images are drawn from q, and
decoder and prior follow the gradient of the multi-sample bound, the encoder the shares of its codes: the row ``wake_phi`` gives
all of these. Asleep, the encoder alone is moved.
"""

import numpy as np

from dvae_np.laws import Independent, each_array
from dvae_np.model import PLAIN
from dvae_np.networks import latents
from dvae_np.noise import draw
from dvae_np.vae import own_arrays

__all__ = ["dreamed_images", "prior_codes", "sleep"]


def prior_codes(params, rng, count, c=None, model=PLAIN):
    """Codes drawn from the prior: (count, N); from p(z|c_i), where the prior depends on a context c (count, C)."""
    p, _ = model.prior_op(params.get("phi"), c, latents(params)[0])
    p = Independent(np.zeros((1, *latents(params)), params["theta"]["table"].dtype)) if p is None else p
    p = each_array(lambda array: np.broadcast_to(array, (count, *array.shape[1:])), p)
    return draw(rng, p, 1, ("z",))[0][0]


def dreamed_images(params, rng, z, D, c=None, model=PLAIN):
    """Images of D pixels drawn from p(x|z), or p(x|z,c), one for each of the codes z (count, N): (count, D)."""
    a, _ = model.decoder(params["theta"], z[None], c)
    return model.observation.draw(rng, a, D, **own_arrays(params["theta"], model))[0]


def sleep(psi, x, z, c=None, model=PLAIN):
    """-log q(z|x) of images x (B, D) and their codes z (B, N), in nats, the mean over the batch, and its gradients in psi.

    Over all dreams, pairs (z, x) of the model's joint law, the mean is E_p(x) KL(p(z|x) || q(z|x)) and a number that does not
    depend on q [Eq. 22.5]: no weights and no bias at any B, but images of the model, not of the data.
    """
    q, encoder_backward = model.encoder(psi, x, c)
    logq, logq_backward = q.log_prob(z[None])  # (1, B)
    return -logq.mean(), encoder_backward(logq_backward(np.full_like(logq, -1 / len(x))))
