"""Which functions an answer calls, and whether the package is still what it was: as far as that goes within one process."""

import sys
import threading
import types
from contextlib import contextmanager
from functools import lru_cache


def code_of(function):
    """The code object of a function, whatever name it goes by; None for what has none."""
    function = getattr(function, "__func__", function)
    return getattr(function, "__code__", None)


@lru_cache(4096)
def known_by(code):
    """What a code object is known by. One with a docstring by its contents, so that copies under another name are known too;
    one without might be anyone's, written the same way."""
    constants = code.co_consts
    if not (constants and isinstance(constants[0], str)):
        return code
    inner = tuple(each.co_code if isinstance(each, types.CodeType) else each for each in constants)
    return code.co_code, code.co_names, code.co_varnames, inner


@contextmanager
def watched(forbidden):
    """Names, among {function: name}, of the functions that are called meanwhile, by whatever way and in whatever thread: a
    list that fills itself."""
    called, before, before_in_threads = [], sys.getprofile(), threading.getprofile()
    forbidden = {known_by(code_of(function)): name for function, name in forbidden.items() if code_of(function)}
    forbidden[known_by(code_of(threading.setprofile))] = "threading.setprofile"
    seen = {}  # what each code object was found to be, which is kept, so that no other has its number

    def see(frame, event, argument):
        if event == "call":
            code = frame.f_code
            if id(code) not in seen:
                seen[id(code)] = code, forbidden.get(known_by(code))
            if name := seen[id(code)][1]:
                called.append(name)
        elif event == "c_call" and argument is sys.setprofile and frame.f_code is not watched.__wrapped__.__code__:
            called.append("sys.setprofile")

    threading.setprofile(see)
    sys.setprofile(see)
    try:
        yield called
    finally:
        sys.setprofile(before)
        threading.setprofile(before_in_threads)


def parts(value):
    """The objects that a value is made of, as {place: object}: what assignments to its attributes or entries would exchange."""
    if isinstance(value, types.FunctionType):
        inner = {"code": value.__code__, "defaults": value.__defaults__} | (value.__kwdefaults__ or {})
    elif isinstance(value, type):
        inner = {
            name: each for name, each in vars(value).items() if name not in ("__abstractmethods__", "__annotations__")
        }
    elif isinstance(value, tuple):
        inner = dict(enumerate(value))
    else:
        inner = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    deeper = {
        (name, place): part
        for name, each in inner.items()
        if isinstance(each, types.FunctionType | dict | tuple)
        or (isinstance(value, tuple) and hasattr(each, "__dict__"))
        for place, part in parts(each).items()
    }
    return dict(inner) | deeper


def snapshot():
    """{(module, name): (value, its parts)} of the package as it is loaded now."""
    return {
        (module_name, name): (value, parts(value))
        for module_name, module in list(sys.modules.items())
        if module_name == "dvae_np" or module_name.startswith("dvae_np.")
        for name, value in list(vars(module).items())
        if not (name.startswith("__") or isinstance(value, types.ModuleType))
    }


def changed(before):
    """The names, as "dvae_np.lesson.check", that are not what they were in an earlier `snapshot`."""
    wrong = []
    for (module_name, name), (value, inner) in before.items():
        module = sys.modules.get(module_name)
        now = None if module is None else vars(module).get(name)
        if now is value:
            found = parts(value)
            if all(place in found and found[place] is part for place, part in inner.items()):
                continue
        wrong.append(f"{module_name}.{name}")
    return wrong
