"""The answer's section on larger images: what training for equal time on MNIST adds."""

import numpy as np

from dvae_np.experiments import yardsticks
from dvae_np.experiments.equal_time import CHAIN, FEW, MANY, ONE, SEVERAL, SOME

SOFT, HARD, LOO = "gumbel_softmax", "straight_through_gumbel", "reinforce_loo"


def larger_images(mnist):
    """Where a relaxation is the best choice, and where the exact sum is too slow."""
    return f"""\
## On larger images

`{mnist.record["command"]}` is the same study with 28x28 images and {mnist.record["seconds"]} seconds:

{yardsticks.answers(mnist.record, markdown=True)}

{few_codes(mnist)}

{some_hundred_codes(mnist)}

{some_thousand_codes(mnist)}

{many_codes(mnist)}

{chains(mnist)}

{one_latent(mnist)}"""


def few_codes(mnist):
    """2 latents of 8 categories."""
    size = FEW.name
    steps = [mnist.steps(size, name) for name in ("exact", LOO, SOFT)]
    behind = {name: mnist.apart(size, name, "exact")[0] for name in (SOFT, HARD, "reinmax")}
    evidence = {name: mnist.apart(size, name, "vimco")[1] for name in (LOO, "exact")}
    most = max(abs(total - loo) for total, loo in mnist.in_step(size, "exact", LOO).values())
    return f"""\
**With 64 codes the sum has the lowest negative ELBO, by little.** The model has 2 latents of 8. The median of the sum is
{mnist.lead(size):.2f} nats ahead of leave-one-out, the next best, but the ranges of the two miss each other by a few
hundredths: do not rely on their order. By log p(x) VIMCO has the best median; leave-one-out and the sum are
{evidence[LOO]:.2f} and {evidence["exact"]:.2f} behind. At equal epochs the validation losses of the sum and of leave-one-out
differ by at most {most:.1f} (seed 1; each has its own step size), and sometimes the one is lower, sometimes the other. The
sum gets {steps[0]:,} steps, and leave-one-out {steps[1]:,}. Gumbel-Softmax gets about as many steps as the sum, {steps[2]:,},
and is {behind[SOFT]:.2f} behind by the ELBO. `straight_through_gumbel` is {behind[HARD]:.1f} behind and ReinMax
{behind["reinmax"]:.1f}. The negative ELBO of these two is {mnist.gap(size, HARD):.1f} and {mnist.gap(size, "reinmax"):.1f}
nats above -log p(x), that of the sum {mnist.gap(size, "exact"):.1f}."""


def some_hundred_codes(mnist):
    """3 latents of 8 categories."""
    size = SOME.name
    behind = {name: mnist.apart(size, name, LOO)[0] for name in (SOFT, "exact", "vimco", HARD, "reinmax")}
    evidence = [-mnist.apart(size, "vimco", name)[1] for name in (SOFT, LOO, "exact")]
    runs = [np.ptp(mnist.found(size, name).negative_elbo) for name in ("exact", LOO)]
    return f"""\
**With 512 codes it is open whether the sum pays.** The model has 3 latents of 8. By the ELBO leave-one-out has the best
median; Gumbel-Softmax is {behind[SOFT]:.1f} behind it, the sum {behind["exact"]:.1f} and VIMCO {behind["vimco"]:.1f}. All
four are level: the runs of the sum differ by {runs[0]:.1f}, those of leave-one-out by {runs[1]:.1f}. (Gumbel-Softmax and VIMCO
are level with leave-one-out by one of its runs, the worst.) The sum gets {mnist.steps(size, "exact"):,} steps, and
leave-one-out {mnist.steps(size, LOO):,}. The table above names leave-one-out, for its median. So the border of the sum lies
between 64 and 4,096 codes in several latents, and three seeds do not say on which side 512 are. By log p(x) VIMCO is the
best; the medians of Gumbel-Softmax, leave-one-out and the sum are {evidence[0]:.1f}, {evidence[1]:.1f} and {evidence[2]:.1f}
behind, and the ranges of these three meet. (VIMCO is stopped and chosen by log p(x), the others by the ELBO.) The negative
ELBO of VIMCO is {mnist.gap(size, "vimco"):.1f} nats above its -log p(x), that of leave-one-out {mnist.gap(size, LOO):.1f}.
By the ELBO `straight_through_gumbel` is {behind[HARD]:.1f} behind leave-one-out, and ReinMax {behind["reinmax"]:.1f}."""


def some_thousand_codes(mnist):
    """4 latents of 8 categories."""
    size = SEVERAL.name
    ahead = [-mnist.apart(size, name, LOO)[1] for name in (SOFT, "reinmax")]
    total, soft, loo = mnist.in_step(size, "exact", SOFT, LOO)[10]
    return f"""\
**With 4,096 codes in 4 latents the exact sum is too slow.** On the digits it is level with the best. Here it is
{-mnist.lead(size):.1f} nats behind by the ELBO. It got {mnist.steps(size, "exact"):,} steps, that is 10 epochs. After 10
epochs of each, its validation loss is {total:.1f}, that of Gumbel-Softmax {soft:.1f}, and that of leave-one-out {loo:.1f}
(seed 1; each has its own step size). At the end leave-one-out, Gumbel-Softmax and VIMCO are level. By log p(x) VIMCO is the
best (on the digits it is level with three others); Gumbel-Softmax and ReinMax are {min(ahead):.1f} and {max(ahead):.1f} nats
ahead of leave-one-out. The relaxations were best before two thirds of their runs, and most runs of `exact` and leave-one-out
at their end: more time may help these two."""


def many_codes(mnist):
    """20 latents of 10 categories."""
    size = MANY.name
    elbo, evidence = mnist.apart(size, LOO, SOFT)
    vimco = mnist.apart(size, "vimco", "reinmax")
    moved = [-found.doubling for found in mnist.sizes[size]]
    together = mnist.in_step(size, SOFT, LOO, "reinmax")
    last = max(together)
    soft, loo, reinmax = together[last]
    return f"""\
**With 20 latents of 10 relaxations win.** Gumbel-Softmax, `straight_through_gumbel` and ReinMax lead. ReinMax is
{mnist.ahead("reinmax", size):.1f} nats ahead of Gumbel-Softmax by the ELBO, and level with it by the bounds on log p(x).
Gumbel-Softmax is {elbo:.1f} nats ahead of leave-one-out by the ELBO, and {evidence:.1f} by the bounds; with the same latents
on the digits it is behind. VIMCO is {vimco[0]:.1f} behind ReinMax by the ELBO, and {vimco[1]:.1f} by the bounds. (These move
by {-max(moved):.1f} to {-min(moved):.1f} nats as their samples double.) Gumbel-Softmax decodes one code for an image where
leave-one-out decodes four, so it gets {mnist.steps(size, SOFT):,} steps and not {mnist.steps(size, LOO):,}. But the steps are
only a part of it. After 10 epochs of each, the validation loss is {together[10][1]:.1f} with leave-one-out,
{together[10][0]:.1f} with Gumbel-Softmax and {together[10][2]:.1f} with ReinMax; after {last} it is {loo:.1f}, {soft:.1f} and
{reinmax:.1f} (seed 1; each has its own step size). Gumbel-Softmax and ReinMax chose other temperatures than on the digits:
try them out on your data."""


def chains(mnist):
    """A chain of 8 latents of 4 categories."""
    size = CHAIN.name
    behind = {name: mnist.apart(size, name, LOO) for name in ("exact", "vimco", HARD, SOFT)}
    together = mnist.in_step(size, SOFT, HARD)
    first, last = list(together)[: len(together) // 2], max(together)
    low = min(first, key=lambda epoch: together[epoch][0])
    high = max((epoch for epoch in together if epoch > low), key=lambda epoch: together[epoch][0])
    turn = min(together, key=lambda epoch: together[epoch][1])
    return f"""\
**In this chain no relaxation is the best by the ELBO.** It has 8 latents of 4, and one decoder that sees all of them.
Leave-one-out is the best by the ELBO, `straight_through_gumbel` {behind[HARD][0]:.1f} nats behind and Gumbel-Softmax
{behind[SOFT][0]:.1f}, though they get {mnist.steps(size, SOFT) / mnist.steps(size, LOO):.1f} times the steps. By log p(x)
Gumbel-Softmax is level with leave-one-out, `straight_through_gumbel` {-behind[HARD][1]:.1f} ahead, and VIMCO
{-behind["vimco"][1]:.1f}; by the ELBO VIMCO is {behind["vimco"][0]:.1f} behind. The sum over 65,536 codes got
{mnist.steps(size, "exact")} steps, less than an epoch, and is {behind["exact"][0]:.0f} behind.

Gumbel-Softmax could do better in the chain: a trial, a fifth as long, ended with a lower validation loss than the median run.
While its temperature falls from 1 to 0.3, the loss of seed 1 falls to {together[low][0]:.1f} (epoch {low}), rises to
{together[high][0]:.1f} (epoch {high}) and falls to {together[last][0]:.1f}. With the same temperatures
`straight_through_gumbel` does the opposite: its loss falls to {together[turn][1]:.1f} (epoch {turn}) and rises to
{together[last][1]:.1f}. The reason is not known. (The parameters of the best epoch are kept.)"""


def one_latent(mnist):
    """One latent of 4,096 categories."""
    size = ONE.name
    exact, loo, vimco = (mnist.apart(size, name, SOFT) for name in ("exact", LOO, "vimco"))
    evidence = [mnist.apart(size, "exact", name)[1] for name in (HARD, SOFT, "reinmax")]
    together = mnist.in_step(size, "exact", SOFT)
    total, soft = together[max(together)]
    return f"""\
**With one latent of 4,096 Gumbel-Softmax passes the sum.** On the digits the sum wins, with as many steps as leave-one-out.
Here it got {mnist.steps(size, "exact"):,} steps, leave-one-out {mnist.steps(size, LOO):,} and Gumbel-Softmax
{mnist.steps(size, SOFT):,}. By the ELBO Gumbel-Softmax is {exact[0]:.1f} nats ahead of the sum, {vimco[0]:.1f} ahead of
VIMCO, and {loo[0]:.1f} ahead of leave-one-out. ReinMax is {-mnist.ahead("reinmax", size):.1f} behind Gumbel-Softmax, and
`straight_through_gumbel` {mnist.apart(size, HARD, "exact")[0]:.1f} behind the sum. By log p(x) all three relaxations are
ahead of the sum, by {min(evidence):.1f} to {max(evidence):.1f}. There the median of ReinMax is
{-mnist.apart(size, "reinmax", SOFT)[1]:.1f} ahead of that of Gumbel-Softmax, but its seeds differ so much that the ranges
meet. After {max(together)} epochs of each, which is all that the sum got, the validation losses are {total:.1f} with the sum
and {soft:.1f} with Gumbel-Softmax (seed 1). All runs of the sum were best at their end, those of the relaxations
earlier: more time may help the sum."""
