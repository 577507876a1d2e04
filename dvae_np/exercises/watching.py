"""Which functions an answer calls, and whether the package is still what it was: as far as that goes within one process."""

import sys
import types
from contextlib import contextmanager


def code_of(function):
    """The code object by which a function is known, whatever name it goes by; None for what has none."""
    function = getattr(function, "__func__", function)
    return getattr(function, "__code__", None)


@contextmanager
def watched(forbidden):
    """Names, among {code: name}, of the functions that are called meanwhile, by whatever way: a list that fills itself."""
    called, before = [], sys.getprofile()

    def see(frame, event, argument):
        if event == "call" and frame.f_code in forbidden:
            called.append(forbidden[frame.f_code])

    sys.setprofile(see)
    try:
        yield called
    finally:
        sys.setprofile(before)


def snapshot():
    """{(module, name): (function or class, its code)} of the package as it is loaded now."""
    kinds = (types.FunctionType, type)
    return {
        (module_name, name): (value, code_of(value))
        for module_name, module in list(sys.modules.items())
        if module_name == "dvae_np" or module_name.startswith("dvae_np.")
        for name, value in list(vars(module).items())
        if isinstance(value, kinds)
    }


def changed(before):
    """The names, as "dvae_np.lesson.check", that are not what they were in an earlier `snapshot`."""
    wrong = []
    for (module_name, name), (value, code) in before.items():
        module = sys.modules.get(module_name)
        now = None if module is None else vars(module).get(name)
        if now is not value or code_of(now) is not code:
            wrong.append(f"{module_name}.{name}")
    return wrong
