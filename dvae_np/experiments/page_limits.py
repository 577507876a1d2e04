"""The answer's last sections: what was wrong before, and what is not known."""

from dvae_np.experiments import equal_time, rule


def wrong_before(cost, digits):
    """What earlier answers, this package's among them, had wrong."""
    default, best, _ = rule.lost_by_defaults(cost, 0.3)["gumbel_softmax"]
    models, size = len(cost["models"]), equal_time.SEVERAL.name
    cheap, dear = (rule.takes(cost, size, name) for name in ("gumbel_softmax", "reinforce_loo"))
    return f"""\
## What was wrong in earlier answers

- *"Gumbel-Softmax hardly ever gets a gradient to an error of 0.3."* At its default temperature of 1 it does on {default}
  of {models} models. At the best of {len(cost["taus"])} temperatures it does on {best}. Do not judge it by its default.
- *"A cold relaxation is a good one."* It depends on the model. Of three temperatures for Gumbel-Softmax a constant 0.2 was
  the best with several latents on the digits, and the worst with one latent of 4,096. With 20 latents on MNIST the warmest,
  from 1 to 0.3, was the best (trials, one seed).
- *"The exact gradient of a chain is out of reach beyond some thousand codes."* That was slow code, with a score for each
  code. As a product of conditionals the same sum is several times faster; a test checks this. For training it is still too
  slow if one decoder sees all latents.
- *"The cheapest gradient trains the best model."* With 4 latents of 8 Gumbel-Softmax takes {cheap:.2g} ms
  to an error of 1, and leave-one-out {dear:.2g}. After training it is {digits.ahead("reinforce_loo", size):.2f} nats behind by
  the ELBO.
- *"In large spaces leave-one-out and ReinMax lead, and VIMCO by log p(x)."* On the digits. On MNIST relaxations
  lead with 20 latents of 10, and with one of 4,096.
- *"Structured codes ask for a relaxation."* In none of the three chains that were trained was one the best
  by the ELBO.
- *"Small K."* The number of joint codes that the decoder must see says more, and how many steps are left."""


def not_known(digits, mnist):
    """What was not measured, or not enough."""
    cells = sum(map(len, digits.sizes.values()))
    return f"""\
## What is not known

- Images larger than 28x28, and larger networks. MNIST also has more images and more time than the digits: we do not know
  which of these helps relaxations.
- Chains of more than 65,536 codes, but for rows. On MNIST: rows, and where between 64 and 4,096 codes in several latents
  the border of the exact sum lies. With 512 the three seeds do not decide it.
- What a better choice gives: on MNIST a trial is a fifth of a run, and ended better than the median run with
  {", ".join(those(mnist, mnist.better_when_shorter))}.
- Longer training: {digits.record["seconds"]} seconds on one core favour what gets far in few steps. With one latent of 4,096,
  with rows, and on MNIST with 20 latents of 10 most runs were still becoming better at their end.
- On the digits, other step sizes than the four from {equal_time.RATES[0]["lr"]} to {equal_time.RATES[-1]["lr"]}: at
  {len(those(digits, digits.at_an_edge))} of {cells} cells the choice is the smallest or the largest. The choice is by one
  seed: at {len(those(digits, digits.close))} cells the two best trials are closer together than the three seeds of the chosen
  setting; on MNIST, at {len(those(mnist, mnist.close))} of {sum(map(len, mnist.sizes.values()))}. On MNIST, other
  temperatures: with 20 latents all relaxations chose the warmest that was tried.
- Other numbers of samples than 4 for leave-one-out and VIMCO, and 1 for relaxations.
- A decoder with a context c must see all K^N codes for *each* example. So the sum should pay up to fewer codes.
- A GPU, which decodes many codes at once: nothing was measured on one.
- NVIL, `double_cv` and `rodeo` were measured as gradients and not trained. Autoregressive posteriors, subsets and codebooks
  have no column here."""


def those(study, asked):
    """The cells of a study of which something is true, in words."""
    cells = [(size, found.estimator) for size, many in study.sizes.items() for found in many]
    return [" ".join(cell) for cell in cells if asked(*cell)]
