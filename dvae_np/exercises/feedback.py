"""What is said of a wrong answer: which output is wrong, where, and why, where the numbers of every case tell."""

import numpy as np

from dvae_np.check.differences import FLOAT32, FLOAT64
from dvae_np.check.hints import FACTOR as OF_FACTOR
from dvae_np.check.hints import factors, hint
from dvae_np.exercises.calling import WrongAnswer

FACTOR = "factor "  # begins the key of a hint that is a constant factor


def raise_if_wrong(exercise, attempts):
    """Raise `WrongAnswer` for the first output that is wrong; a hint must fit every case in which it is."""
    wrong = [attempt for attempt in attempts if attempt.wrong]
    if not wrong:
        return
    what, words = wrong[0].wrong[0]
    with np.errstate(all="ignore"):
        first, *others = [hints(attempt, what) for attempt in wrong if what in [name for name, _ in attempt.wrong]]
    fitting = {key: why for key, why in first.items() if all(key in other for other in others)}
    mistakes = [why for key, why in fitting.items() if not key.startswith(FACTOR)]  # these say more
    text = f"{exercise.name}: {what} {'are' if plural(what) else 'is'} wrong{wrong[0].where}: {words}"
    why = " or ".join(mistakes or fitting.values())
    raise WrongAnswer(f"{text}; {why}" if why else text)


def plural(what):
    """Are these words of an output several? "the number of bits" is one, and so are "the loss" and "the bias"."""
    noun = what.split(" of ")[0]
    return noun.startswith("the ") and (" and " in noun or (noun.endswith("s") and not noun.endswith(("as", "ss"))))


def hints(attempt, what):
    """{a mistake: the words for it} that would give just this output."""
    expected, found = attempt.expected[what], attempt.found[what]
    fitting = {words: f"it equals {words}" for words, wrong in attempt.exercise.mistakes.items()
               if _explains(wrong, attempt, what)}  # fmt: skip
    if found.shape == expected.shape and np.isfinite(found).all() and np.isfinite(expected).all():
        named = factors(found, expected, attempt.sizes)
        if named:
            named = {key: OF_FACTOR * bool(key) + words for key, words in named.items()}
            return fitting | {FACTOR + key: words for key, words in named.items()}
    if fitting:
        return fitting
    q = attempt.exercise.q(attempt.case) if attempt.exercise.q else None
    words = hint(found, expected, q=q) if expected.dtype.kind == "f" else ""
    if not ("gradient" in what or f"d{what[1:]}" == what):  # then nothing is cut, and no score forgotten
        words = words.split(": is a path cut?")[0]
    return {words: words} if words else {}


def _explains(mistake, attempt, what):
    """Does a mistake that is known give this output, and every other that it makes wrong?"""
    try:
        others = attempt.numbers(mistake, np.float64, ours=True)
    except Exception:  # it cannot be made at this case
        return False
    single = attempt.dtype == np.float32 or attempt.single
    rounding, within = (FLOAT32 if single else FLOAT64)["absolute"], attempt.exercise.within
    different = [each for each in others if not _near(others[each], attempt.expected[each], rounding, within)]
    return what in different and all(_near(others[each], attempt.found[each], rounding, within) for each in different)


def _near(other, found, rounding, within):
    """Is one output that of a mistake, up to rounding?"""
    if other.shape != found.shape:
        return False
    finite = np.isfinite(other)
    near = rounding * 10 * np.max(np.abs(other[finite]), initial=0) + within
    equal = np.array_equal(other[~finite], found[~finite], equal_nan=other.dtype.kind == "f")
    return bool(equal and np.all(np.abs(other[finite] - found[finite]) <= near))
