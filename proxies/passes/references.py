"""Copies of what a module holds, in which functions refer to the copy of the network and not to the network."""

import copy
import functools
import weakref
from collections import OrderedDict
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import Tensor

from proxies.time_limit import TimeLimitError

Memo = dict[int, Any]
"""Copies by the identity of what was copied, as `copy.deepcopy` keeps them."""


def copy_of(value: Any, memo: Memo) -> Any:
    """A deep copy, as far as it can be had: a lock, a file or a graph's tensor has none."""
    found, followed = _followed(value, memo, copy_of)
    if found:
        return followed
    known = len(memo)
    try:
        return copy.deepcopy(value, memo)
    except TimeLimitError:
        raise
    except Exception:
        while len(memo) > known:  # half copies
            memo.popitem()
    return value.detach().clone() if isinstance(value, Tensor) else value


def _redirected(value: Any, memo: Memo) -> Any:
    """A value that a function refers to: copied if it leads to the network, else the same."""
    return _followed(value, memo, _redirected)[1]


def _followed(value: Any, memo: Memo, each: Any) -> tuple[bool, Any]:
    """A flag for values that are copied part by part, by `each`, and the copy."""
    if id(value) in memo:
        return True, memo[id(value)]
    if type(value) in (list, dict, OrderedDict):
        made = memo[id(value)] = type(value)()
        if isinstance(value, list):
            made.extend(each(item, memo) for item in value)
        else:
            made.update((each(key, memo), each(item, memo)) for key, item in value.items())
        return True, made
    if type(value) is tuple:
        return True, tuple(each(item, memo) for item in value)
    if isinstance(value, MethodType):
        return True, MethodType(each(value.__func__, memo), each(value.__self__, memo))
    if isinstance(value, functools.partial):
        named = {name: each(item, memo) for name, item in value.keywords.items()}
        return True, functools.partial(each(value.func, memo), *(each(item, memo) for item in value.args), **named)
    if isinstance(value, weakref.ref):
        target = memo.get(id(value()))
        return True, value if target is None else weakref.ref(target)
    if isinstance(value, FunctionType):
        return True, _function(value, memo)
    return False, value


def _function(function: FunctionType, memo: Memo) -> FunctionType:
    """The same function if it refers to nothing that is copied, else one that refers to the copies."""
    defaults = _redirected(function.__defaults__, memo)
    held = function.__globals__
    ours = {name: memo[id(held[name])] for name in function.__code__.co_names if id(held.get(name)) in memo}
    if not function.__closure__ and not ours and defaults == function.__defaults__:
        return function
    cells = [(cell, memo.setdefault(id(cell), CellType())) for cell in function.__closure__ or ()]
    made = FunctionType(
        function.__code__,
        {**held, **ours} if ours else held,
        function.__name__,
        defaults,
        tuple(new for _, new in cells),
    )
    memo[id(function)] = made
    made.__dict__.update(function.__dict__)
    made.__kwdefaults__ = _redirected(function.__kwdefaults__, memo)
    for cell, new in cells:
        try:
            new.cell_contents = _redirected(cell.cell_contents, memo)
        except ValueError:  # empty
            continue
    return made
