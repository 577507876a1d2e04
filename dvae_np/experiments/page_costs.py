"""The page's sections on cost: of every estimator, beside other frameworks, in memory, and on a GPU."""

from dvae_np import records
from dvae_np.bench import summary
from dvae_np.estimators import TABLE
from dvae_np.experiments import compare, tuning

BENCHES = {"bench": "", "bench-haswell": "The same machine, its products held to kernels for AVX2: ",
           "bench-avx2": "Another machine, and an earlier version of the code: "}  # fmt: skip
CHAINS = {"bench-chain-1": "one", "bench-chain-2": "two"}  # threads


def comparison():
    """Bias, variance and time of every estimator."""
    record = records.read("compare")
    return f"""\
## Bias, variance and time of every estimator

`{record["command"]}`: {record["problem"]}.
Errors are relative to the exact gradient. "exact" and "enumerated" are sums over all outcomes; "proved" is a bias of zero by
[the verification](../README.md#how-it-is-proved); the rest are sampled, with 95 % intervals. Estimators of a bound have another
gradient, and are left out.

```text
{compare.comparison_table(record)}
```

![Left: deviation of the unbiased estimators against milliseconds; right: of the biased ones against bias](compare.png)

![Error of the gradient against evaluations of f](sweep.png)

The exact variance before and after an estimator's tunables are learned (a cubic f, one latent of three categories; binary
rows two latents):

```text
{tuning.learned_table(record)}
```"""


def cost():
    """Times beside bare products and other frameworks, and the targets."""
    bench = records.read("bench")
    targets = "\n\n".join(words + _targets(name) for name, words in BENCHES.items())
    chains = "\n\n".join(
        f"With {words}:\n\n{_tables(records.read(name))}\n\n{_targets(name)}" for name, words in CHAINS.items()
    )
    return f"""\
## What it costs

`{bench["command"]}` times the package beside the bare matrix products of the same shapes, and beside PyTorch,
JAX and Pyro where they are installed. [Each contestant](../dvae_np/bench/contestants) is a script and a process of its own;
they take turns and must compute the same numbers. Medians of {bench["runs"]} rounds on
{bench["machine"]}.
The column "/ bare" is our time over that of the bare products; "PyTorch /" and its like are another's time over ours. *Each
state once* is this package's algorithm for the exact sum, written in that framework.

{_tables(bench)}

![Milliseconds and peak memory against K, N, B and S](bench.png)

### Targets

What each kind of work should reach, and what it reached at its worst over all rows. The products run on all cores. Between
them, on one core, Adam passes over all parameters several times, and exact marginalisation takes an exponential for each
pixel of each state. OpenBLAS chooses its kernels by the processor; `OPENBLAS_CORETYPE=Haswell` holds it to those for AVX2.

{targets}

### Chains

`bench --section chain`, once with one thread for all libraries (`OPENBLAS_NUM_THREADS`, `OMP_NUM_THREADS`; JAX has no such
setting), once with two. "Shared": one array of pairwise potentials for all examples. The products are exact at these
potentials, N(0, 1); where they are not, the package takes logarithms, which takes longer.

{chains}"""


def _tables(record):
    found = summary.tables(record, markdown=True).items()
    return "\n\n".join(f"{heading}:\n\n{table}" for section, (heading, table) in found if section != "growth")


def _targets(name):
    record = records.read(name)
    table = summary.targets(record, markdown=True)
    missed = "; ".join(line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.endswith("| missed |"))
    return f"{record['machine']} ([record](../dvae_np/records/{name}.json)). Missed: {missed or 'none'}.\n\n{table}"


def growth():
    """How time and memory grow."""
    heading, table = summary.tables(records.read("bench"), markdown=True)["growth"]
    return f"""\
## Growth, and memory

{heading}:

{table}

One call of `exact` goes through the joint states in blocks of {TABLE["exact"].hyper["block"]:,}. It holds a few arrays of
block x D pixel logits and of block x B weights, and a few of the table of q, N x K x B; never B x K x D. So memory stays flat
as N grows; `block=` trades memory for speed. The rest of a training step grows with S x B x (the widest layer). With glibc,
`fit` and the commands tell the allocator to keep freed memory, up to a gigabyte, as new pages at every step cost time.

![What exact marginalisation costs as measured, and how soon there are too many states](exact_cost.png)"""


def on_gpu():
    """What `tests/gpu.py` measured on a card, if it has been there."""
    if (records.FOLDER / "gpu.json").exists():
        record = records.read("gpu")
        place = f"one {record['card']}, driver {record['driver']}; {record['machine']}"
        words = f"`{record['command']}` on {place}. The tests on it:\n{record['tests']}.\n\n{_tables(record)}"
    else:
        words = (
            "Nothing has been timed: so far the tests have met [a strict stand-in](../tests/fake_cupy.py) for CuPy alone.\n"
            "[`python tests/gpu.py`](../tests/gpu.py) tests and measures on a card, and writes a record."
        )
    return f"""\
## On a GPU

`--device gpu` (`train`, `evaluate`, `reproduce`) computes with CuPy arrays: the same source, the same order of examples, and
the same noise, which NumPy draws. A checkpoint goes on on either device. Estimators that go through orders or ranks one by one
(`unordered_set`, `carms`) start many small kernels, and can gain little.

{words}"""
