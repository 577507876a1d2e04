"""Estimators as people publish them in PyTorch before the judge: right ones pass, wrong ones fail and are told why."""

import contextlib
import inspect
import io
import re
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from dvae_np import InputError
from dvae_np.check import compare_variance, judge

torch = pytest.importorskip("torch")

import published_torch as published  # noqa: E402  needs PyTorch

from dvae_np.check.torch import check_op, estimator  # noqa: E402


def judged(function, how):
    """The report, and the seconds that it took."""
    wrapped = (lambda: estimator(function())) if "steps" in how else estimator(function)
    started = time.perf_counter()
    return judge(wrapped, function.__name__, **how), time.perf_counter() - started


def test_fourteen_estimators_are_in_the_bank():
    assert len(published.BANK) >= 14 and sum(len(each.wrong) for each in published.BANK) >= 14


@pytest.mark.parametrize("each", published.BANK, ids=lambda each: each.right.__name__)
def test_a_right_one_passes(each):
    judged(each.right, each.how)[0].raise_if_failed()


WRONG = [(wrong, each.how, words) for each in published.BANK for wrong, words in each.wrong.items()]


@pytest.mark.parametrize(("wrong", "how", "words"), WRONG, ids=[wrong.__name__ for wrong, _, _ in WRONG])
def test_a_wrong_one_fails_and_is_told_why(wrong, how, words):
    report, _ = judged(wrong, how)
    assert report.failed and words in str(report), str(report)


def test_a_verdict_takes_seconds():
    """The median, with room for a slow machine: 2 s of what takes noise, 10 s of what draws its own."""
    seconds = {True: [], False: []}
    for each in published.BANK:
        own = "steps" in each.how or "rng" in inspect.signature(estimator(each.right)).parameters
        seconds[own].append(judged(each.right, each.how)[1])
    assert statistics.median(seconds[False]) < 2 and statistics.median(seconds[True]) < 10, seconds


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dtype_of_ones_own(dtype):
    report = judge(estimator(published.leave_one_out, dtype=dtype))
    assert not report.failed and ("UNBIASED to float32" in str(report)) == (dtype == torch.float32)


def test_a_generator_and_the_global_one_are_seeded():
    def of_generator(logits, f, generator):
        p = logits.softmax(-1)
        z = torch.multinomial(p.reshape(-1, p.shape[-1]), 1, generator=generator).reshape(p.shape[:-1])
        return published.log_q(logits, z) * f(z)

    report = judge(estimator(of_generator))
    report.raise_if_failed()
    assert "does not depend on the others" in str(report)

    def unseeded(logits, f, generator):
        fresh = torch.Generator()
        fresh.seed()
        return of_generator(logits, f, fresh)

    report = judge(estimator(unseeded))
    report.raise_if_failed()
    assert "draws by itself, and not from what it is given" in str(report)


def test_a_gradient_or_a_loss_may_come_back():
    def gradient(logits, f, z):
        fz = f(z)
        score = torch.nn.functional.one_hot(z, logits.shape[-1]) - logits.softmax(-1)
        return ((fz - fz.mean(0))[..., None, None] * score).sum(0) / (len(z) - 1)

    def total(logits, f, z):
        return published.leave_one_out(logits, f, z).sum()

    for function in (gradient, total):
        judge(estimator(function)).raise_if_failed()
    mean = lambda logits, f, z: published.leave_one_out(logits, f, z).mean()
    assert "it is divided by B" in str(judge(estimator(mean)))


@pytest.mark.parametrize(("function", "words"), [
    (lambda logits, f, z: f(z), "Take the mean over the samples first"),
    (lambda logits, f, z: f(z.double()).mean(0), "f: expected codes as integers"),
    (lambda logits, f, z: 1.0, "expected a tensor"),
    (lambda logits, f, z: logits.numpy(), "requires grad"),
    (lambda logits, f, z: f(z).mean(0), "zero everywhere"),
])  # fmt: skip
def test_what_cannot_be_judged_is_said(function, words):
    report = judge(estimator(function))
    assert report.failed and words in str(report), str(report)


def test_parameters_of_another_form_are_refused():
    with pytest.raises(InputError, match="expected parameters"):
        estimator(lambda logits: logits)
    with pytest.raises(InputError, match="noise one of"):
        judge(estimator(lambda logits, f, w: logits))


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * dy


class Wrong(Cube):
    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 2 * x**2 * dy


def test_an_op_of_pytorch_is_on_trial():
    x = {"x": np.random.default_rng(0).standard_normal((3, 4))}
    assert str(check_op(Cube, x)) == "right"
    assert "a factor 0.666667" in str(check_op(Wrong, x))
    w = np.random.default_rng(1).standard_normal((4, 2))
    assert check_op(lambda x, w: torch.tanh(x @ w), x | {"w": w}).gradients == ("x", "w")
    assert check_op(lambda x, w: torch.tanh(x @ w), x | {"w": w}, data=("w",)).gradients == ("x",)
    assert check_op(lambda x, tau: torch.exp(x / tau), x | {"tau": 0.5}).kind == "right"
    rows = check_op(lambda x, z: x[z], x | {"z": np.array([2, 0, 2])})
    assert rows.kind == "right" and rows.data == ("z",)
    assert check_op(torch.abs, x).kind == "right, not analytic"
    assert "not implemented for" in str(check_op(lambda x: x.softmax(-1), x))
    assert "zero everywhere" in str(check_op(lambda x: x.detach() ** 2, x))
    relu = check_op(torch.relu, {"x": np.array([-1.0, 0.0, 2.0])})
    assert relu.ok and relu.kinks == ("x[1]",)


def test_two_estimators_of_pytorch_are_compared():
    found = compare_variance(estimator(published.leave_one_out), "reinforce_loo", S=3)
    ratio, low, high = found.per_evaluation
    assert ratio == low == high == pytest.approx(1, rel=1e-12)
    own = compare_variance(estimator(published.reinforce), "reinforce", S=1)
    assert own.per_evaluation[0] == pytest.approx(1, rel=0.02) and own.per_evaluation[1] < own.per_evaluation[2]


ROOT = Path(__file__).parent.parent
LESSON = (ROOT / "notebooks" / "source" / "15_is_my_estimator_right.py").read_text()
BLOCKS = re.findall(r"^# ```python\n((?:#[^\n]*\n)*?)# ```$", LESSON, re.M)
BLOCKS = [
    block for block in ("".join(line[2:] + "\n" for line in each.splitlines()) for each in BLOCKS) if "torch" in block
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1])
def test_the_lessons_blocks_say_what_they_are_said_to_say(block):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(block, {})
    assert block.splitlines()[-1].removeprefix("# ") in printed.getvalue()


def test_the_lesson_has_pytorch_beside_numpy():
    assert len(BLOCKS) == 3


def test_the_readmes_example_passes_and_with_another_temperature_it_fails():
    code = re.search(r"```python\n(# test_mine.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    namespace = {}
    exec(code, namespace)
    namespace["test_soft"]()
    exec(code.replace("tau=0.5))", "tau=0.7))"), namespace)
    with pytest.raises(AssertionError, match=r"its mean is that of|BIASED"):
        namespace["test_soft"]()


# What an attack found.


def test_a_second_derivative_of_f_is_refused_and_not_zero():
    def muprop(logits, f, z):
        p = logits.softmax(-1)
        value = f(p)
        (slope,) = torch.autograd.grad(value.sum(), p, create_graph=True)
        linear = value + ((torch.nn.functional.one_hot(z, p.shape[-1]) - p) * slope).sum((-1, -2))
        return (published.log_q(logits, z) * (f(z) - linear).detach()).mean(0) + (p * slope).sum((-1, -2))

    assert "is a .detach() missing?" in str(judge(estimator(muprop)))


class Module(torch.nn.Module):
    def forward(self, logits, f, z):
        return published.leave_one_out(logits, f, z)


def of_generator_called_rng(logits, f, rng):
    p = logits.softmax(-1)
    z = torch.multinomial(p.reshape(-1, p.shape[-1]), 1, generator=rng).reshape(p.shape[:-1])
    return published.log_q(logits, z) * f(z)


def of_integer_one_hots(logits, f, z):
    hard = torch.nn.functional.one_hot(z, logits.shape[-1])
    return (published.log_q(logits, z) * f(hard)).mean(0)


def by_einsum(logits, f, z):
    score = torch.nn.functional.one_hot(z, logits.shape[-1]).to(logits) - logits.softmax(-1)
    return torch.einsum("sb,sbnk->bnk", f(z), score) / len(z)


@pytest.mark.parametrize(("function", "how"), [
    (Module(), {}), (of_generator_called_rng, {}), (of_integer_one_hots, {}), (by_einsum, {"dtype": torch.float32}),
    (lambda logits, f, z, **options: published.leave_one_out(logits, f, z), {}),
])  # fmt: skip
def test_what_was_accused_passes(function, how):
    judge(estimator(function, **how), "accused").raise_if_failed()


def test_parameters_that_cannot_be_given_are_refused():
    for wrong in (lambda key, logits, f: logits, lambda logits, f, *, generator: logits):
        with pytest.raises(InputError, match="by position"):
            estimator(wrong)


def test_ops_of_other_kinds_are_on_trial():
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert check_op(lambda x: (x**2).sum(), {"x": x}).kind == "right"
    assert check_op(lambda x, tau: x / tau, {"x": x, "tau": np.float64(0.5)}).gradients == ("x",)
    assert check_op(torch.nn.Linear(4, 2).double(), {"x": x}).ok
    with pytest.raises(InputError, match="expected data among x"):
        check_op(torch.exp, {"x": x}, data=("typo",))
