"""The answer's section on larger images: what training for equal time on MNIST adds."""

from dvae_np.experiments import yardsticks
from dvae_np.experiments.equal_time import CHAIN, MANY, SEVERAL

SOFT, LOO = "gumbel_softmax", "reinforce_loo"
RELAXATIONS = (SOFT, "straight_through_gumbel", "reinmax")


def larger_images(mnist):
    """Where a relaxation is the best choice, and where the exact sum is too slow."""
    return f"""\
## On larger images

`{mnist.record["command"]}` is the same study with 28x28 images and {mnist.record["seconds"]} seconds:

{yardsticks.answers(mnist.record, markdown=True)}

{many_codes(mnist)}

{some_thousand_codes(mnist)}

{chains(mnist)}"""


def many_codes(mnist):
    """20 latents of 10 categories."""
    size = MANY.name
    elbo, evidence = mnist.apart(size, LOO, SOFT)
    both = in_step(*(mnist.record["cells"][f"{size} {name}"]["runs"]["1"]["curve"] for name in (SOFT, LOO)))
    ahead = [epoch for epoch, losses in both.items() if losses[1] < losses[0]]
    last = max(both)
    return f"""\
**With very many codes relaxations win.** With 20 latents of 10 the three of them lead. ReinMax is
{mnist.ahead("reinmax", size):.1f} nats ahead of Gumbel-Softmax by the ELBO, and level with it by the bounds on log p(x).
Gumbel-Softmax is {elbo:.1f} nats ahead of leave-one-out by the ELBO, and {evidence:.1f} by the bounds; with the same latents on
the digits it is behind by both. It decodes one code for an image where leave-one-out decodes four, so it gets
{mnist.steps(size, SOFT):,} steps and not {mnist.steps(size, LOO):,}. At equal steps leave-one-out is ahead from epoch
{ahead[0]} to {ahead[-1]}, and behind afterwards: after {last} epochs their validation losses are {both[last][0]:.1f} and
{both[last][1]:.1f} (seed 1; each has its own step size). With more time the gap may become smaller: leave-one-out was best in
its last epochs. Gumbel-Softmax and ReinMax chose other temperatures than on the digits: try them out on your own data."""


def some_thousand_codes(mnist):
    """4 latents of 8 categories."""
    size = SEVERAL.name
    ahead = [-mnist.apart(size, name, LOO)[1] for name in RELAXATIONS]
    return f"""\
**With 4,096 codes in 4 latents the exact sum is too slow.** On the digits it is level with the best. Here it is
{-mnist.lead(size):.1f} nats behind by the ELBO: it got {mnist.steps(size, "exact"):,} steps, that is 10 epochs, and the last
one was its best. Leave-one-out, Gumbel-Softmax and VIMCO are level. By log p(x) VIMCO is the best, as on the digits; the
relaxations are {min(ahead):.1f} to {max(ahead):.1f} nats ahead of leave-one-out."""


def chains(mnist):
    """A chain of 8 latents of 4 categories."""
    size = CHAIN.name
    behind = {name: mnist.apart(size, name, LOO) for name in ("exact", "vimco", "straight_through_gumbel", SOFT)}
    curve = [(epoch, loss) for epoch, _, loss in mnist.record["cells"][f"{size} {SOFT}"]["runs"]["1"]["curve"]]
    low = min(curve[: len(curve) // 2], key=lambda each: each[1])
    high = max(curve[curve.index(low) :], key=lambda each: each[1])
    return f"""\
**A chain does not ask for a relaxation.** The chain has 8 latents of 4, and a decoder that sees all of them. Leave-one-out is
the best by the ELBO. By it `straight_through_gumbel` is {behind["straight_through_gumbel"][0]:.1f} nats behind and
Gumbel-Softmax {behind[SOFT][0]:.1f}, though they get {mnist.steps(size, SOFT) / mnist.steps(size, LOO):.1f} times the steps. By
log p(x) neither is behind. VIMCO is {behind["vimco"][0]:.1f} behind by the ELBO, and {-behind["vimco"][1]:.1f} ahead by
log p(x). The sum over 65,536 codes got {mnist.steps(size, "exact")} steps, less than an epoch, and is
{behind["exact"][0]:.0f} behind.

Gumbel-Softmax could do better in the chain: a trial, a fifth as long, ended with a lower validation loss than the median run.
Its temperature falls from 1 to 0.3. While it is high, the loss rises: with seed 1 from {low[1]:.1f} after epoch {low[0]} to
{high[1]:.1f} after epoch {high[0]}; then it falls to {curve[-1][1]:.1f}. A long run is warm for longer."""


def in_step(*curves):
    """{epoch: [validation loss of each curve]} of the epochs at which both were validated."""
    losses = [{epoch: loss for epoch, _, loss in curve} for curve in curves]
    return {epoch: [each[epoch] for each in losses] for epoch in losses[0] if epoch in losses[1]}
