"""An op of groups of arrays, laws or dicts, with values of that kind, as an op of single arrays that `check_op` takes."""

from inspect import Parameter, Signature

import numpy as np


def grouped(ask, **groups):
    """(op, inputs) for ``value, backward = ask(*groups)``; a group is an array, a law or a dict of named arrays.

    The op's inputs are all arrays, by the names ``group_field``. Its value is all arrays of ``value``, flat, one after the
    other; ``backward`` is given a cotangent like ``value``, and answers with one group, or a tuple of one for each group.
    """
    inputs = {name: array for group, value in groups.items() for name, array in named(group, value).items()}

    def op(**arrays):
        given = [like(value, [arrays[name] for name in named(group, value)]) for group, value in groups.items()]
        value, backward = ask(*given)

        def flat_backward(dy):
            found = backward(unflattened(value, dy))
            found = found if isinstance(found, tuple) and not hasattr(found, "_fields") else (found,)
            gradients = []
            for kind, gradient in zip(groups.values(), found, strict=True):
                order = kind if isinstance(kind, dict) else None
                gradients += leaves(gradient if order is None else {name: gradient[name] for name in order})
            return tuple(gradients)

        return np.concatenate([array.ravel() for array in leaves(value)]), flat_backward

    op.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in inputs])
    return op, inputs


def fields(value):
    """The arrays of a group by their names; an array alone has the name ''."""
    return value if isinstance(value, dict) else value._asdict() if hasattr(value, "_asdict") else {"": value}


def named(group, value):
    """The same with the group's name in front."""
    return {f"{group}_{field}".rstrip("_"): array for field, array in fields(value).items()}


def leaves(value):
    """The arrays of a group, in order."""
    return [array for array in fields(value).values() if not callable(array)]


def like(value, arrays):
    """A group of the kind of `value`, made of other arrays."""
    if isinstance(value, dict):
        return dict(zip(value, arrays, strict=True))
    return type(value)(*arrays) if hasattr(value, "_fields") else arrays[0]


def unflattened(value, flat):
    """A flat array as a group of the kind and the shapes of `value`."""
    arrays, start = [], 0
    for array in leaves(value):
        arrays.append(flat[start : start + array.size].reshape(array.shape))
        start += array.size
    return like(value, arrays)
