"""The answer's section on larger images: what training for equal time on MNIST adds."""

from dvae_np.experiments import yardsticks
from dvae_np.experiments.equal_time import ESTIMATORS, MANY, SEVERAL
from dvae_np.experiments.yardsticks import YARDSTICKS

PAIR = ("gumbel_softmax", "reinforce_loo")


def larger_images(mnist):
    """Where a relaxation is the best choice, and where the exact sum is too slow."""
    parts = many_codes(mnist), some_thousand_codes(mnist)
    return f"""\
## On larger images

`{mnist.record["command"]}` is the same study with 28x28 images and {mnist.record["seconds"]} seconds:

{yardsticks.answers(mnist.record, markdown=True)}

{(chr(10) * 2).join(parts)}"""


def many_codes(mnist):
    """20 latents of 10 categories."""
    size = MANY.name
    warm, loo = (mnist.record["cells"][f"{size} {name}"] for name in PAIR)
    elbo, evidence = (mnist.nats(size, PAIR[1], by) - mnist.nats(size, PAIR[0], by) for by in YARDSTICKS)
    both = in_step(*(cell["runs"]["1"]["curve"] for cell in (warm, loo)))
    ahead = [epoch for epoch, losses in both.items() if losses[1] < losses[0]]
    last = max(both)
    return f"""\
**With many codes relaxations win.** With 20 latents of 10 all three lead. ReinMax is {mnist.ahead("reinmax", size):.1f} nats
ahead of Gumbel-Softmax by the ELBO, and level with it by the bounds on log p(x). Gumbel-Softmax is {elbo:.1f} nats ahead of leave-one-out by the ELBO, and {evidence:.1f} by
the bounds; with the same latents on the digits it is behind by both. It decodes one code for an image where leave-one-out
decodes four, so it gets {warm["steps"]:,} steps and not {loo["steps"]:,}. At equal steps leave-one-out is ahead from epoch
{ahead[0]} to {ahead[-1]}, and behind afterwards: after {last} epochs their validation losses are {both[last][0]:.1f} and
{both[last][1]:.1f} (seed 1; each has its own step size). With more time the gap may become smaller: leave-one-out was best in
its last epochs. Gumbel-Softmax and ReinMax chose other temperatures than on the digits: try them out on your own data."""


def some_thousand_codes(mnist):
    """4 latents of 8 categories."""
    size = SEVERAL.name
    done = [found.estimator for found in mnist.sizes[size]]
    left = ", ".join(f"`{name}`" for name in ESTIMATORS[SEVERAL.family] if name not in done)
    return f"""\
**With 4,096 codes in 4 latents the exact sum is too slow.** On the digits it is level with the best. Here it is
{-mnist.lead(size):.1f} nats behind by the ELBO: it got {mnist.steps(size, "exact"):,} steps, that is 10 epochs, and the last one
was its best. Leave-one-out, Gumbel-Softmax and VIMCO are level. By log p(x) VIMCO is the best, as on the digits.{left and f" Not done: {left}."}"""


def in_step(*curves):
    """{epoch: [validation loss of each curve]} of the epochs at which both were validated."""
    losses = [{epoch: loss for epoch, _, loss in curve} for curve in curves]
    return {epoch: [each[epoch] for each in losses] for epoch in losses[0] if epoch in losses[1]}
