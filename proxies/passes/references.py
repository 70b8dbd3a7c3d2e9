"""Copies of a module's attributes, in which functions refer to the copy of the network, not to the network."""

import copy
import functools
import weakref
from collections import OrderedDict
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import Tensor

from proxies.time_limit import TimeLimitError

Memo = dict[int, Any]
"""Copies by the identity of the original, as `copy.deepcopy` keeps them."""
CONSTANTS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types whose values are their own copies: most attributes of a module."""


def copy_of(value: Any, memo: Memo) -> Any:
    """Return a deep copy, or the value if it has none, such as a lock or a file; a tensor of a graph is detached."""
    is_followed, followed = _followed(value, memo, copy_of)
    if is_followed:
        return followed
    memo_size = len(memo)
    try:
        return copy.deepcopy(value, memo)
    except TimeLimitError:
        raise
    except Exception:
        while len(memo) > memo_size:  # partial copies
            memo.popitem()
    return value.detach().clone() if isinstance(value, Tensor) else value


def _redirected(value: Any, memo: Memo) -> Any:
    """Return a value that a function refers to: copied if it leads to the network, else itself."""
    return _followed(value, memo, _redirected)[1]


def _followed(value: Any, memo: Memo, each: Any) -> tuple[bool, Any]:
    """Return True and the copy for a value that is copied part by part, by `each`; else False and the value."""
    if type(value) in CONSTANTS:
        return True, value
    if id(value) in memo:
        return True, memo[id(value)]
    if type(value) in (list, dict, OrderedDict):
        copied = memo[id(value)] = type(value)()
        if isinstance(value, list):
            copied.extend(each(item, memo) for item in value)
        else:
            for key, item in value.items():
                copied[each(key, memo)] = each(item, memo)
        return True, copied
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
    """Return the function if it refers to no copied object, else one that refers to the copies."""
    defaults = _redirected(function.__defaults__, memo)
    names = function.__globals__
    redirected = {name: memo[id(names[name])] for name in function.__code__.co_names if id(names.get(name)) in memo}
    if not function.__closure__ and not redirected and defaults == function.__defaults__:
        return function
    cells = [(cell, memo.setdefault(id(cell), CellType())) for cell in function.__closure__ or ()]
    copied = FunctionType(
        function.__code__,
        {**names, **redirected} if redirected else names,
        function.__name__,
        defaults,
        tuple(new for _, new in cells),
    )
    memo[id(function)] = copied
    copied.__dict__.update(function.__dict__)
    copied.__kwdefaults__ = _redirected(function.__kwdefaults__, memo)
    for cell, new in cells:
        try:
            new.cell_contents = _redirected(cell.cell_contents, memo)
        except ValueError:  # an empty cell
            continue
    return copied
