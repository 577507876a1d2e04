"""Estimators of public packages before the judge, by hand: they are not installed with this project.

    python -m venv ../public && ../public/bin/pip install torch==2.13.0 jax reinmax pydrobert-pytorch pyro-ppl rlax distrax
    ../public/bin/pip install --no-deps storchastic==0.3.7 pyro-api entmax tqdm matplotlib pytest packaging
    PYTHONPATH=. ../public/bin/python tests/public_packages.py        writes dvae_np/records/public-packages.json

A line says what was called and how it was judged: the verdict on its mean at mild logits, and every reason that was given where
something failed. Some of these fail by design, at a temperature or without one, and the table says so.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from torch.distributions import OneHotCategorical

from dvae_np.check import judge
from dvae_np.check.torch import estimator

TABLE = Path(__file__).parent.parent / "dvae_np" / "records" / "public-packages.json"


def reinmax_at(tau):
    from reinmax import reinmax

    return lambda logits, f: f(reinmax(logits, tau)[0])


def gumbel_functional(hard):
    return lambda logits, f: f(torch.nn.functional.gumbel_softmax(logits, tau=0.5, hard=hard))


def straight_through_torch(logits, f):
    return f(torch.distributions.OneHotCategoricalStraightThrough(logits=logits).rsample())


def pyro_relaxed(logits, f):
    from pyro.distributions import RelaxedOneHotCategoricalStraightThrough

    return f(RelaxedOneHotCategoricalStraightThrough(torch.tensor(0.5), logits=logits).rsample())


def pyro_elbo(name):
    """The gradient by `Trace_ELBO`: the model's prior is the guide without a gradient, so that the KL's gradient is 0."""
    import pyro
    import pyro.distributions as dist
    from pyro import infer

    elbo = getattr(infer, name)()

    def by_pyro(logits, f):
        pyro.clear_param_store()
        B, N, _ = logits.shape

        def model():
            with pyro.plate("examples", B):
                z = [pyro.sample(f"z{n}", dist.Categorical(logits=logits[:, n].detach())) for n in range(N)]
                z = torch.stack(z, -1)
                pyro.factor("f", -f(z) - 0 * z.sum(-1))  # by which Pyro sees what the cost depends on

        def guide():
            own = pyro.param("logits", logits.detach().clone())
            with pyro.plate("examples", B):
                for n in range(N):
                    pyro.sample(f"z{n}", dist.Categorical(logits=own[:, n]))

        elbo.loss_and_grads(model, guide)
        return pyro.param("logits").unconstrained().grad

    return by_pyro


def pydrobert(control):
    from pydrobert.torch import estimators

    def by_pydrobert(logits, f):
        z = estimators.to_z(logits, "onehot")
        b = estimators.to_b(z, "onehot")
        fb = f(b)
        if control == "reinforce":
            return estimators.reinforce(fb[:, None].expand(*b.shape[:2]), b, logits, "onehot")
        whole = lambda z: 0.5 * f((z / 0.7).softmax(-1))[:, None].expand(*z.shape[:2])  # the same for each latent
        parts = estimators.relax(fb[:, None].expand(*b.shape[:2]), b, logits, z, whole, "onehot", components=True)
        signal, score, free, tied = parts
        return signal * score + (free - tied) / b.shape[1]  # whose gradients it adds up over the latents

    return by_pydrobert


def storchastic(make, binary=False):
    import storch
    from torch.distributions import Bernoulli

    def by_storchastic(logits, f):
        storch.reset()
        B = len(logits)
        given = (logits[..., 1] - logits[..., 0]) if binary else logits
        examples = storch.denote_independent(given, 0, "examples")
        law = Bernoulli(logits=examples) if binary else OneHotCategorical(probs=examples.softmax(-1))
        z = make(storch.method)(law)

        def cost(z):
            hard = torch.stack([1 - z.to(given.dtype), z.to(given.dtype)], -1) if binary else z
            shape = hard.shape
            return f(hard.reshape(-1, *shape[-3:]) if hard.ndim > 3 else hard).reshape(shape[:-2])

        storch.add_cost(storch.deterministic(cost)(z), "f")
        logits.grad = None
        storch.backward()
        return logits.grad * B

    return by_storchastic


def of_jax(function):
    function.jax = True
    return function


@of_jax
def distrax_straight_through(logits, f, key):
    import distrax

    law = distrax.straight_through_wrapper(distrax.OneHotCategorical)(logits=logits)
    return f(law.sample(seed=key))


@of_jax
def rlax_policy_gradient(logits, f, key):
    import jax
    import rlax

    z = jax.random.categorical(key, logits)
    B, N, _ = logits.shape
    reward = -f(z)
    each = [rlax.policy_gradient_loss(logits[:, n], z[:, n], reward, jax.numpy.ones(B)) for n in range(N)]
    return B * sum(each)


@of_jax
def jax_gumbel(logits, f, key):
    import jax

    return f(jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / 0.5))


SOFT, HARD = {"like": "gumbel_softmax", "tau": 0.5}, {"like": "straight_through_gumbel", "tau": 0.5}
TRIED = {  # (package, what was called): (a function that makes it, how it was judged)
    ("torch", "nn.functional.gumbel_softmax(tau=0.5)"): (lambda: gumbel_functional(False), SOFT),
    ("torch", "nn.functional.gumbel_softmax(tau=0.5, hard=True)"): (lambda: gumbel_functional(True), HARD),
    ("torch", "distributions.OneHotCategoricalStraightThrough"): (lambda: straight_through_torch, {"like": "straight_through"}),
    ("torch", "distributions.OneHotCategoricalStraightThrough, as unbiased"): (lambda: straight_through_torch, {}),
    ("reinmax", "reinmax(tau=1)"): (lambda: reinmax_at(1.0), {"like": "reinmax"}),
    ("reinmax", "reinmax(tau=1.5)"): (lambda: reinmax_at(1.5), {"like": "reinmax", "tau": 1.5}),
    ("pyro-ppl", "RelaxedOneHotCategoricalStraightThrough"): (lambda: pyro_relaxed, HARD),
    ("pyro-ppl", "Trace_ELBO"): (lambda: pyro_elbo("Trace_ELBO"), {}),
    ("pyro-ppl", "TraceGraph_ELBO"): (lambda: pyro_elbo("TraceGraph_ELBO"), {}),
    ("pydrobert-pytorch", "estimators.reinforce"): (lambda: pydrobert("reinforce"), {}),
    ("pydrobert-pytorch", "estimators.relax"): (lambda: pydrobert("relax"), {}),
    ("storchastic", "ScoreFunction(n_samples=1)"):
        (lambda: storchastic(lambda m: m.ScoreFunction("z", n_samples=1, baseline_factory=None)), {}),
    ("storchastic", "ScoreFunction(n_samples=4, batch average)"):
        (lambda: storchastic(lambda m: m.ScoreFunction("z", n_samples=4, baseline_factory="batch_average")), {}),
    ("storchastic", "Expect"): (lambda: storchastic(lambda m: m.Expect("z")), {}),
    ("storchastic", "GumbelSoftmax"):
        (lambda: storchastic(lambda m: m.GumbelSoftmax("z", n_samples=1)), {"like": "gumbel_softmax"}),
    ("storchastic", "REBAR"): (lambda: storchastic(lambda m: m.REBAR("z", n_samples=1)), {}),
    ("storchastic", "ARM"): (lambda: storchastic(lambda m: m.ARM("z", n_samples=1), binary=True), {"binary": True}),
    ("storchastic", "DisARM"): (lambda: storchastic(lambda m: m.DisARM("z", n_samples=1), binary=True), {"binary": True}),
    ("rlax", "policy_gradient_loss"): (lambda: rlax_policy_gradient, {}),
    ("distrax", "straight_through_wrapper(OneHotCategorical)"):
        (lambda: distrax_straight_through, {"like": "straight_through"}),
    ("jax", "random.gumbel and nn.softmax, tau=0.5"): (lambda: jax_gumbel, SOFT),
}  # fmt: skip


def line(package, called, make, how):
    """What the table says of one."""
    function = make()
    if getattr(function, "jax", False):
        from dvae_np.check.jax import estimator as wrapped
    else:
        wrapped = estimator
    started = time.perf_counter()
    report = judge(wrapped(function), called, **how)
    seconds = time.perf_counter() - started
    mild = [r.verdict for r in report.results if not r.point and r.level > 0 and "one example" in r.check]
    return {
        "package": package,
        "version": version(package),
        "called": called,
        "judged": ", ".join(f"{name}={value}" for name, value in how.items()) or "unbiased",
        "ok": report.ok,
        "verdict": mild[-1] if mild else report.results[-1].verdict,
        "failures": [text.removeprefix("FAILED  ") for text in report.failures()],
        "seconds": round(seconds, 1),
    }


def main():
    """Judge those whose name contains an argument, or all, and keep what is known of the others."""
    known = json.loads(TABLE.read_text())["judged"] if TABLE.exists() else []
    table = {(each["package"], each["called"]): each for each in known}
    for (package, called), (make, how) in TRIED.items():
        if len(sys.argv) > 1 and not any(word in f"{package} {called}" for word in sys.argv[1:]):
            continue
        try:
            table[package, called] = found = line(package, called, make, how)
        except ImportError as error:
            print(f"{package}: not installed ({error})")
            continue
        print(f"{package}, {called}: {'ok' if found['ok'] else 'FAILED'}, {found['verdict']}, {found['seconds']} s")
        for failure in found["failures"]:
            print(f"    {failure}")
    lines = [table[key] for key in TRIED if key in table]
    record = {"command": "python tests/public_packages.py", "judged": lines}
    TABLE.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
