"""The judges of the exercises: right answers pass in both precisions, nothing wrong does, and what is said of it is true.

The wrong kinds are made here from the right answer, for every exercise; special ones stand in the exercise's source.
"""

import importlib
import itertools
import pkgutil
import re
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np
import pytest
import sources

import dvae_np.lesson
from dvae_np import exercises
from dvae_np.exercises import attempt, marking
from dvae_np.exercises.calling import WrongAnswer
from dvae_np.exercises.exercise import Made
from dvae_np.exercises.feedback import plural
from dvae_np.exercises.watching import changed as changed_names
from dvae_np.lesson import check, check_op, judge

ALL = [
    exercise
    for info in pkgutil.iter_modules(exercises.__path__)
    if info.name.startswith("lesson_")
    for exercise in importlib.import_module(f"dvae_np.exercises.{info.name}").EXERCISES
]
# In the ratio of 04.6 pixels and states cancel, and in 07.4 the temperature does [Eq. 7.5]. The leave-one-out signals of 06.2
# add up to zero over the samples, so the score's -q cancels: given the codes, no logits are needed.
WITHOUT_PART = {("04.6", "D"), ("04.6", "M"), ("07.4", "tau"), ("06.2", "logits")}
# Axes that the subject fixes: one latent, two categories, one example or sample at a time.
FIXED = {(1, "N"), (2, "K"), (1, "B"), (1, "S"), (2, "S"), (2, "N")}


@cache
def solved(lesson):
    """The names of a lesson's solutions notebook: the setup, what is given, and the answers."""
    (path,) = sources.HERE.glob(f"source/{lesson}_*.py")
    space, cells = {}, sources.parse(path)
    for cell in cells:
        if cell.kind in ("setup", "given", "solution") and not cell.markdown:
            exec(compile(cell.text, f"{lesson} {cell.kind}", "exec"), space)
    judged = re.findall(
        r'^judge\("([\d.]+)", (\w+)\)', "\n".join(cell.text for cell in cells if cell.kind == "check"), re.M
    )
    return {number: space[name] for number, name in judged}


def right_answer(exercise):
    """The solution that the course gives."""
    return solved(exercise.name[:2])[exercise.name]


def copied(function):
    """The exercise's own answer under another code object, so that it is nobody's but the test's."""

    def answer(*arguments):
        return function(*arguments)

    return answer


@pytest.fixture(params=ALL, ids=lambda exercise: exercise.name)
def exercise(request):
    return request.param


def judged(exercise, answer, monkeypatch):
    """None where the answer passes, else what is said of it; an empty gap says so."""
    monkeypatch.setattr(attempt, "_forbidden", lambda exercise: {})
    try:
        return None if marking._verdict(exercise, answer) else "no verdict"
    except WrongAnswer as error:
        return str(error)


def cases_of(exercise):
    return exercise.cases(np.random.default_rng(marking.SEED))


def test_every_exercise_has_cases_of_different_sizes(exercise):
    cases = cases_of(exercise)
    assert len(cases) >= 2
    sizes = [exercise.sizes(case) for case in cases]
    for found in sizes:
        free = [size for axis, size in found.items() if (size, axis) not in FIXED]
        assert len(set(free)) == len(free), f"two axes of one size: {found}"
    for axis in sizes[0]:
        several = {found[axis] for found in sizes if axis in found}
        assert len(several) > 1 or (several.pop(), axis) in FIXED, f"{axis} is the same in all cases"
    for name, value in cases[0].items():
        if not isinstance(value, np.ndarray | Made | dict):
            assert any(case[name] != value for case in cases), f"{name} has one value only"


def test_our_answer_passes_and_every_mistake_is_told_by_its_name(exercise, monkeypatch):
    assert judged(exercise, right_answer(exercise), monkeypatch) is None
    for words, wrong in exercise.mistakes.items():
        found = judged(exercise, copied(wrong), monkeypatch)
        assert found is not None and words in found, f"{words}: {found}"


def test_a_verdict_says_is_of_one_thing_and_are_of_several():
    several = ["the weights", "the mean and the variance", "the perturbed logits"]
    one = ["the number of bits", "the loss", "the bias", "the gap", "dlogits", "which uniforms move which codes"]
    assert all(map(plural, several)) and not any(map(plural, one))


def test_what_a_wrong_answer_equals_in_one_case_alone_is_not_said(exercise, monkeypatch):
    """It is one mistake where it is called first, and from then on another, of the same output.

    Shares of draws, which are right within more than rounding, may not tell two mistakes apart.
    """
    said = {words: judged(exercise, copied(wrong), monkeypatch) for words, wrong in exercise.mistakes.items()}
    for words, other in itertools.permutations(said, 2):
        turns = itertools.chain([words], itertools.repeat(other))
        same_output = said[words].split(" wrong")[0] == said[other].split(" wrong")[0]
        if same_output and words not in said[other] and not exercise.within:
            mixed = lambda *arguments, turns=turns: exercise.mistakes[next(turns)](*arguments)
            assert words not in judged(exercise, mixed, monkeypatch)


@pytest.mark.parametrize("exercise", [each for each in ALL if each.most_bytes], ids=lambda each: each.name)
def test_a_right_answer_that_takes_too_much_memory_is_refused(exercise, monkeypatch):
    def wasteful(*arguments):
        np.empty(3 * int(exercise.most_bytes(cases_of(exercise)[-1])), np.uint8)
        return right_answer(exercise)(*arguments)

    assert "MB where" in judged(exercise, wasteful, monkeypatch)


def renamed(function):
    """A copy whose code has another name, file and line."""
    code = function.__code__.replace(co_name="mine", co_filename="mine.py", co_firstlineno=7)
    return types.FunctionType(code, function.__globals__, "mine", function.__defaults__, function.__closure__)


def in_a_thread(function):
    def answer(*arguments):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(function, *arguments).result()

    return answer


def unwatched(function):
    def answer(*arguments):
        before = sys.getprofile()
        sys.setprofile(None)
        try:
            return function(*arguments)
        finally:
            sys.setprofile(before)

    return answer


WAYS = {"plainly": copied, "in part": partial, "in a thread": in_a_thread, "unwatched": unwatched, "renamed": renamed}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_library_offers_is_refused(exercise, way):
    """Whatever way it is called: the estimators, and what the exercise names."""
    functions = (
        (*exercise.library, exercise.answer)
        if way == "renamed"
        else (*exercise.library, exercise.answer, *exercise.mistakes.values())
    )
    for function in functions:
        with pytest.raises(WrongAnswer):
            marking._verdict(exercise, WAYS[way](function))


def test_the_solution_calls_nothing_that_is_refused(exercise):
    assert marking._verdict(exercise, right_answer(exercise))


def test_our_numbers_are_in_no_frame_while_an_answer_runs(exercise):
    """What an answer finds where it is called from."""
    seen, right = [], right_answer(exercise)

    def answer(*arguments):
        frame = sys._getframe()
        while frame:
            seen.extend(vars_of(each) for each in frame.f_locals.values() if isinstance(each, attempt.Attempt))
            frame = frame.f_back
        return right(*arguments)

    marking._verdict(exercise, answer)
    assert seen and not any("expected" in names for names in seen)


def vars_of(one):
    return {name for name in one.__slots__ if hasattr(one, name)}


def changed(change):
    """A wrong kind: what a right answer returns, changed in each output; an op's gradients too."""

    def kind(exercise, right):
        def wrong(*arguments):
            found = right(*arguments)
            if not exercise.op:
                return tuple(map(change, found)) if isinstance(found, tuple) else change(found)
            y, backward = found

            def wrong_backward(dy):
                gradients = backward(dy)
                if isinstance(gradients, tuple):
                    return tuple(None if each is None else change(each) for each in gradients)
                return change(gradients)

            return y, wrong_backward

        return wrong

    return kind


def sliced(axis, keep):
    """A wrong kind: only some entries along an axis of the arguments count."""

    def kind(exercise, right):
        places = {name: axes.index(axis) - len(axes) for name, axes in exercise.shapes.items() if axis in axes}
        names = list(cases_of(exercise)[0])
        if not places or max(exercise.sizes(case).get(axis, 1) for case in cases_of(exercise)) <= len(keep):
            return None

        def wrong(*arguments):
            return right(*(np.take(value, keep, axis=places[name]) if name in places else value
                           for name, value in zip(names, arguments, strict=True)))  # fmt: skip

        return wrong

    return kind


def on_its_input(exercise, right):
    def wrong(*arguments):
        found = right(*arguments)
        for value in arguments:
            if isinstance(value, np.ndarray) and value.size:
                value[...] = value + 1
                break
        return found

    return wrong if any(isinstance(value, np.ndarray) for value in cases_of(exercise)[0].values()) else None


def first_for_all(axis):
    """A wrong kind: the noise, or the codes, of the first along an axis are everyone's."""

    def kind(exercise, right):
        names = list(cases_of(exercise)[0])
        noise = [name for name in names if name in ("u", "v", "z", "e") and axis in exercise.shapes.get(name, "")]
        if not noise or max(exercise.sizes(case)[axis] for case in cases_of(exercise)) == 1:
            return None

        def wrong(*arguments):
            def first(name, value):
                place = exercise.shapes[name].index(axis) - len(exercise.shapes[name])
                return np.broadcast_to(np.take(value, [0], axis=place), value.shape).copy()

            return right(*(first(name, value) if name in noise else value
                           for name, value in zip(names, arguments, strict=True)))  # fmt: skip

        return wrong

    return kind


def raising_at_complex_points(exercise, right):
    """An op that raises where no number is compared: at another point, or under another cotangent."""
    if not exercise.op:
        return None
    calls = itertools.count()

    def wrong(*arguments):
        y, backward = right(*arguments)
        if next(calls) >= len(cases_of(exercise)):
            raise IndexError("index 3 is out of bounds")
        return y, backward

    return wrong


def one_value(exercise, right, memory={}):  # noqa: B006 (it is to remember)
    """The numbers of the first case, whatever is asked."""

    def wrong(*arguments):
        if exercise.name not in memory:
            memory[exercise.name] = right(*exercise.arguments(cases_of(exercise)[0], np.float64).values())
        return memory[exercise.name]

    return wrong


def looked_up(exercise, right):
    """The right numbers of the judge's own cases, looked up by their arguments; for other arguments, those of the first."""
    known = {}
    for dtype in (np.float64, np.float32):
        for case in cases_of(exercise):
            arguments = tuple(exercise.arguments(case, dtype).values())
            known[key_of(arguments)] = arguments
    first = next(iter(known.values()))
    return lambda *arguments: right(*(arguments if key_of(arguments) in known else first))


def key_of(arguments):
    return tuple((each.shape, each.tobytes()) if isinstance(each, np.ndarray) else str(each)
                 for each in arguments if not callable(each))  # fmt: skip


def no_return(exercise, right):
    return lambda *arguments: None


def raising(exercise, right):
    def wrong(*arguments):
        raise IndexError("index 3 is out of bounds")

    return wrong


def left_over(exercise, right):
    def wrong(*arguments):
        right(*arguments)
        raise NotImplementedError()

    return wrong


def other_arguments(exercise, right):
    return lambda: None


six_digits = np.vectorize(lambda number: float(f"{number:.6g}"), otypes=[float])
rounded = changed(lambda a: six_digits(a) if np.asarray(a).dtype.kind == "f" else a + 1)
KINDS = {
    "the sign": changed(lambda a: -a if np.any(a) else a + 1),
    "twice": changed(lambda a: 2 * a if np.any(a) else a + 1),
    "a little off": changed(lambda a: a + 1e-5 * (1 + np.max(np.abs(a)))),
    "off in one entry": changed(lambda a: a + 1e-3 * (np.arange(np.size(a)).reshape(np.shape(a)) == np.size(a) - 1)),
    "complex": changed(lambda a: a + 0j),
    "an object": changed(lambda a: np.asarray(a, dtype=object)),
    "text": changed(str),
    "a list": changed(lambda a: np.asarray(a).tolist() if np.ndim(a) else [a]),
    "another shape": changed(lambda a: np.asarray(a)[None]),
    "not a number": changed(lambda a: a * np.nan),
    "truth values": changed(lambda a: np.asarray(a) > 0),
    "the first sample only": sliced("S", [0]),
    "all but the last sample": sliced("S", [0, 1]),
    "the first example only": sliced("B", [0]),
    "the first latent only": sliced("N", [0]),
    "its input is changed": on_its_input,
    "one value": one_value,
    "no return": no_return,
    "an exception": raising,
    "a gap left below": left_over,
    "other arguments": other_arguments,
    "raising in the judge of ops": raising_at_complex_points,
    "rounded": lambda exercise, right: None if exercise.within or exercise.accuracy > 100 else rounded(exercise, right),
    "looked up": looked_up,
    "half precision": changed(lambda a: np.asarray(a, np.float16) if np.asarray(a).dtype.kind == "f" else a + 1),
    "the noise of the first sample": first_for_all("S"),
    "the noise of the first example": first_for_all("B"),
    "the noise of the first latent": first_for_all("N"),
}


def test_a_wrong_answer_of_every_kind_is_refused_in_words_and_after_all_of_them_a_right_one_is_accepted(
    exercise, monkeypatch
):
    right = right_answer(exercise)
    made = {kind: wrong for kind in KINDS if (wrong := KINDS[kind](exercise, right))}  # None: it has no such axis
    found = {kind: judged(exercise, wrong, monkeypatch) for kind, wrong in made.items()}
    for kind, words in found.items():
        assert words is not None, f"accepted: {kind}"
        assert words.startswith(exercise.name) and "Traceback" not in words and len(words) < 700, (kind, words)
    for kind in ("a little off", "off in one entry"):
        assert "it equals" not in found[kind] and "zero everywhere" not in found[kind], (kind, found[kind])
    assert "changes its input" in found.get("its input is changed", "changes its input")
    assert "`return`" in found["no return"]
    assert "is left in your answer" in found["a gap left below"]
    assert judged(exercise, right, monkeypatch) is None


SHIFTS = {
    "none": lambda x: np.zeros_like(x[:1]), "the first": lambda x: x[:1], "the last": lambda x: x[-1:],
    "the mean": lambda x: x.mean(0, keepdims=True), "the least": lambda x: x.min(0, keepdims=True),
    "the largest of all": lambda x: np.full_like(x[:1], x.max()),
}  # fmt: skip


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("name", ["04.3", "09.1", "09.4"])
def test_a_sum_of_exponentials_needs_the_largest_exponent_as_its_shift(name, shift, monkeypatch):
    def total(x):
        top = SHIFTS[shift](x)
        return top[0] + np.log(np.exp(x - top).sum(0))

    wrong = {
        "04.3": total,
        "09.1": lambda logw: total(logw) - np.log(len(logw)),
        "09.4": lambda logw: np.array([total(np.delete(logw, s, 0)) for s in range(len(logw))]) - np.log(len(logw) - 1),
    }
    (exercise,) = (each for each in ALL if each.name == name)
    assert judged(exercise, wrong[name], monkeypatch) is not None


def test_an_answer_in_float32_is_right_and_said_to_be_in_float32(exercise, monkeypatch):
    monkeypatch.setattr(attempt, "_forbidden", lambda exercise: {})
    single = changed(lambda a: np.asarray(a, np.float32) if np.asarray(a).dtype.kind == "f" else a)
    found = judged(exercise, single(exercise, right_answer(exercise)), monkeypatch)
    if exercise.analytic:  # whose text forbids casts
        assert "is computed in float32" in found
    else:
        assert found is None


def test_every_argument_counts(exercise, monkeypatch):
    """An answer that uses something else of the same shape in the place of an argument, a notebook's global say, is refused."""
    names, right = list(cases_of(exercise)[0]), right_answer(exercise)
    for i, name in enumerate(names):

        def wrong(*arguments, i=i, name=name):
            value = arguments[i]
            if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
                other = (value * np.linspace(1.1, 1.3, value.size).reshape(value.shape)).astype(value.dtype)
            elif isinstance(value, np.ndarray):
                other = value[::-1].copy() if len(value) > 1 else value
            elif isinstance(value, int | float):
                other = cases_of(exercise)[0][name]
            else:
                return right(*arguments)
            return right(*arguments[:i], other, *arguments[i + 1 :])

        if (exercise.name, name) in WITHOUT_PART or symmetric(exercise, i):
            continue
        if isinstance(cases_of(exercise)[0][name], np.ndarray | int | float):
            assert judged(exercise, wrong, monkeypatch) is not None, f"{name} does not matter"


def symmetric(exercise, i):
    """Does turning this argument round change nothing in a right answer, as in the order of samples? Then nothing can tell."""
    case = cases_of(exercise)[0]
    name = list(case)[i]
    value = case[name]
    if not isinstance(value, np.ndarray) or value.dtype.kind == "f":
        return name in exercise.data
    return exercise.op or len(value) == 1 or exercise.shapes.get(name, " ")[0] == "S"


# The judges for free use.


@pytest.mark.parametrize("answer", [
    np.array([1 + 5j, 2]), np.array(["1", "2"]), np.array([1.0, 2.0], object), [1.0, 2.0], None, True, "text", np.array([1.0]),
    np.array([True, True]), np.array([1.0, np.nan]), np.array([1.0, 2.0 + 1e-6]), lambda: 1 / 0, lambda: None,
])  # fmt: skip
def test_check_refuses_what_is_not_the_expected_numbers(answer):
    with pytest.raises(AssertionError):
        check("x", answer, np.array([1.0, 2.0]))


def test_a_large_entry_hides_nothing():
    with pytest.raises(AssertionError, match=r"yours 1\.000001"):
        check("x", np.array([-1000.0, 1.000001]), np.array([-1000.0, 1.0]))


def test_the_judges_cannot_be_replaced_nor_the_package_changed(monkeypatch):
    for name in ("judge", "check", "check_op", "check_estimator"):
        with pytest.raises(WrongAnswer, match="cannot be replaced"):
            setattr(dvae_np.lesson, name, lambda *arguments, **more: None)
        vars(dvae_np.lesson)[name], kept = None, vars(dvae_np.lesson)[name]
        assert getattr(dvae_np.lesson, name) is kept
        vars(dvae_np.lesson)[name] = kept
    right = right_answer(ALL[0])
    monkeypatch.setattr(dvae_np.ops, "softmax", lambda x: (x, None))
    with pytest.raises(WrongAnswer, match=r"the package was changed \(dvae_np.ops.softmax\)"):
        judge(ALL[0].name, right)


def replacements():
    """(key, what, a function of monkeypatch) for every name of every module of the package, and what is inside of some.

    The key is that of the snapshot's entry in which the change must be seen.
    """
    for key, (value, _) in marking.AS_IMPORTED.items():
        module, name = key
        yield key, f"{module}.{name}", lambda patch, m=module, n=name: patch.setattr(sys.modules[m], n, object())
        if isinstance(value, dict) and value:
            yield key, f"{module}.{name}[...]", lambda patch, v=value: patch.setitem(v, next(iter(v)), object())
        if isinstance(value, types.FunctionType):
            yield key, f"{module}.{name}.__defaults__", lambda patch, v=value: patch.setattr(v, "__defaults__", (7,))
        if isinstance(value, type) and value.__module__.startswith("dvae_np"):
            for method, each in vars(value).items():
                if isinstance(each, types.FunctionType | property):
                    yield key, f"{module}.{name}.{method}", lambda patch, v=value, k=method: patch.setattr(v, k, len)
    for exercise in ALL:
        key = f"dvae_np.exercises.lesson_{exercise.name[:2]}", "EXERCISES"
        for field in ("answer", "cases", "within", "mistakes"):
            yield key, f"{exercise.name}.{field}", lambda patch, e=exercise, f=field: patch.setitem(vars(e), f, len)


def test_no_name_constant_default_or_method_of_the_package_is_exchanged_unseen():
    assert changed_names(marking.AS_IMPORTED) == []
    unseen = []
    for key, what, replace in replacements():
        with pytest.MonkeyPatch.context() as patch:
            replace(patch)
            try:
                seen = changed_names({key: marking.AS_IMPORTED[key]})
            except TypeError:  # what looks was exchanged itself
                seen = ".watching." in what
            unseen += [] if seen else [what]
    assert not unseen and changed_names(marking.AS_IMPORTED) == []


def test_an_answer_that_changes_the_package_while_it_runs_is_refused(monkeypatch):
    right = right_answer(ALL[0])

    def wrong(*arguments):
        monkeypatch.setattr(attempt.Attempt, "compare", lambda self, what: None)
        return right(*arguments)

    with pytest.raises(WrongAnswer, match="the package was changed"):
        judge(ALL[0].name, wrong)


def test_an_empty_gap_is_said_to_be_empty(capsys, monkeypatch, tmp_path):
    source = "def silu(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
    (tmp_path / "cell.py").write_text(source)
    space = {}
    exec(compile(source, tmp_path / "cell.py", "exec"), space)
    judge(
        "06.2",
        space["silu"].__class__(
            space["silu"].__code__.replace(co_argcount=3, co_varnames=("a", "b", "c"), co_nlocals=3), {}
        ),
    )
    check("01.2", lambda: space["silu"](1.0), 2.0)
    check_op("01.2", space["silu"], x=np.ones(3))
    assert capsys.readouterr().out.splitlines() == [f"{name}: not attempted yet" for name in ("06.2", "01.2", "01.2")]
    monkeypatch.setattr(marking, "GRADED", True)
    with pytest.raises(WrongAnswer, match="not attempted"):
        check_op("01.2", space["silu"], x=np.ones(3))
