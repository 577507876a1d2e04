"""Wake-phi, the encoder's update of reweighted wake-sleep: samples that weigh much become more probable."""

from dvae_np.estimators.weights import weigh


def wake_phi(q, f, z):
    """-sum_s (v_s - 1/S) score(z_s), with the shares v = w / sum w, w = p(x, z) / q(z) [Eq. 22.3].

    Approximates: the gradient of KL(p(z|x) || q) in the parameters of q [Eq. 22.1]. Value and dtheta are the multi-sample
                  bound's, the decoder's and the prior's update of reweighted wake-sleep.
    With:         S >= 2 evaluations of f, none of its gradient.
    Unbiased?     No: its bias falls like 1/S [Eq. 22.4]. (And the gradient of the bound, or of KL(q || p(z|x)), is another
                  one.) Value and dtheta are unbiased for the bound.

    q: a law, or logits (B, N, K). z: codes drawn from q, (S, B, N). f: the joint -log p(x, z), as `dvae_np.vae.joint` makes it.
    The 1/S changes no mean, as a constant times the score has mean zero; without it, S = 1 would return noise.
    (Bornschein & Bengio 2015; Le et al. 2019.) Raises InputError for S = 1.
    """
    _, share, _, estimate = weigh(q, f, z)
    return estimate(1 / len(z) - share)
