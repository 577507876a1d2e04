"""The page of measured numbers, figures/README.md, and the few of them that README shows: every number from a record."""

import numpy as np

from dvae_np import records
from dvae_np.bench import summary
from dvae_np.experiments import completion, page_costs, page_judge, page_models, page_rule, page_toys
from dvae_np.text import markdown_columns

TITLE = "# Pictures and measured numbers"
INTRODUCTION = """\
`python -m dvae_np figures --out figures` writes this page and the pictures beside it from [the records](../dvae_np/records).
Each record names the command that measured it. With `--out DIR` that command writes a new record into `DIR/data`; copied
into `dvae_np/records`, it is the one that this page shows.

What is a loss is in nats, and smaller is better; log p is in nats too, and larger is better. "a (b to c)" is the median and the
range over the seeds. Times are those of a shared machine. They move by some ten per cent from day to day, so only times that
were measured side by side compare anything. Some runs were made by earlier versions of the code, which differ from this one in
rounding. A short run repeats almost exactly where BLAS has the same kernels; with others the medians of the tour moved by up to
0.08 nats (a test allows 0.15). Over a hundred thousand steps, a rounding error is as good as another seed."""


def page():
    """The whole page, as Markdown. Raises InputError where a record is missing."""
    sections = (
        *(
            page_models.digits,
            page_models.codes_512,
            page_models.completions,
            page_models.structure,
            page_models.quantised_codes,
            page_models.beside_the_elbo,
        ),
        *(page_rule.practical_rule, page_rule.training, page_rule.lessons),
        *(page_costs.comparison, page_toys.toys, page_costs.cost, page_costs.growth, page_costs.on_gpu),
        *(page_judge.public_packages, page_models.published, page_models.first_steps),
    )
    return "\n\n".join([TITLE, INTRODUCTION, *(section() for section in sections)]) + "\n"


def headline():
    """What README shows, a Markdown table: what, how much, by which command. Raises InputError where a record is missing."""
    tour, mnist, completed, codes, bench = (
        records.read(name) for name in ("tour", "mnist512", "completion-mnist", "quantised-mnist", "bench")
    )
    loss = {
        name: f"{np.median([run['test']['negative_elbo'] for run in runs]):.2f} nats"
        for name, runs in tour["trained"].items()
    }
    samples = tour["trained"]["reinforce_loo"][0]["settings"]["S"]
    gain = completion.completion_table(completed, markdown=True).splitlines()[-1].split(" | ")[2].split(" ")[0]
    ours, theirs = (np.median([run["reconstruction"] for run in codes["runs"][f"{whose}: averages, from data"]])
                    for whose in ("VQ", "PyTorch"))  # fmt: skip
    step = next(
        line.split(" | ")[2] for line in summary.targets(bench, markdown=True).splitlines() if "PyTorch eager" in line
    )
    measured = (  # what, how much, the record
        ("test loss on 8x8 digits, trained by the exact gradient", loss["exact"], tour),
        (f"the same, by `reinforce_loo` (leave-one-out) with {samples} samples; by Gumbel-Softmax, tau from 1 to 0.3",
         f"{loss['reinforce_loo']}; {loss['gumbel_softmax']}", tour),
        (f"MNIST, one latent of {mnist['settings']['K']} categories: exact test log p(x)",
         f"{mnist['test']['log_likelihood']:.2f} nats", mnist),
        ("completing MNIST digits: gain of a prior that sees the upper half", f"{gain} nats", completed),
        ("VQ-VAE of MNIST: -log p(x|z), ours; PyTorch's (ranges overlap)", f"{ours:.1f} nats; {theirs:.1f} nats", codes),
        ("a training step on a CPU, over the time of eager PyTorch's", f"{step} at worst", bench),
    )  # fmt: skip
    rows = [("what", "measured", "`python -m dvae_np` ...")]
    rows += [
        (what, value, f"`{record['command'].removeprefix('python -m dvae_np ')}`") for what, value, record in measured
    ]
    return markdown_columns(rows)
