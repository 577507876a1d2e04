"""What judges the exercises of the lessons: the cases an answer is tried on, our own answer, and the mistakes that have a name.

exercise      what an `Exercise` is, and how its cases are made
calling       an answer called: whatever it does becomes a sentence
attempt       an answer tried on one case: what it gives, beside ours
feedback      what is said of a wrong one
marking       an answer marked: `judge`
watching      which functions an answer calls, and whether the package is still what it was
lesson_NN     the exercises of one lesson
"""

from importlib import import_module

from dvae_np.arrays import InputError
from dvae_np.exercises.exercise import Exercise, Made


def exercise(name):
    """The `Exercise` with this number, as "06.2". Raises InputError where there is none."""
    try:
        found = import_module(f"dvae_np.exercises.lesson_{name[:2]}").EXERCISES
    except ModuleNotFoundError:
        found = ()
    for each in found:
        if each.name == name:
            return each
    raise InputError(f"exercise: expected a number as 06.2, got {name!r}")


__all__ = ["Exercise", "Made", "exercise"]
