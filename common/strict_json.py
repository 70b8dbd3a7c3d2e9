"""Strict JSON reader: unlike Python's, it refuses NaN, infinities and repeated names, and bounds size and nesting."""

import json
import math
from typing import Any

from common.errors import InputError

CONTAINERS = frozenset((list, dict))
CONTAINER_SHARE = 8
"""Divisor of the limits of containers and of named values, which take the most memory."""


class JsonError(InputError):
    """A text is no strict JSON."""


class TooManyValuesError(InputError):
    """A text has too many values: reading it would take many times its size in memory."""


def loads(data: bytes, max_depth: int, max_values: float = math.inf, *, finite: bool = True) -> Any:
    """Read one JSON value.

    Args:
        data: JSON in UTF-8.
        max_depth: maximum nesting of lists and objects.
        max_values: maximum number of values; at most an eighth of them may be lists and objects, and an eighth may have
            a name. Values are counted before they are constructed, by their delimiters; those within strings count as
            well.
        finite: refuse NaN, infinities and numbers that overflow to them.

    Returns:
        The value.

    Raises:
        TooManyValuesError: there are too many values.
        JsonError: the text is not UTF-8 or not JSON, a number is not finite, a name is repeated in an object, or lists
            and objects are nested too deeply.
    """
    _check_num_values(data, max_values)
    too_deep = JsonError("body (nesting)", "a deeper JSON text", f"lists and objects in at most {max_depth} levels")
    try:
        value = json.loads(
            data.decode(),
            parse_constant=_refuse_constant if finite else None,
            parse_float=_parse_finite if finite else None,
            object_pairs_hook=_object_of,
        )
    except UnicodeDecodeError as error:
        raise JsonError("body", f"byte 0x{data[error.start]:02x} at {error.start}", "UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise JsonError("body", f"line {error.lineno}, column {error.colno}", f"JSON ({error.msg})") from error
    except RecursionError:
        raise too_deep from None
    except InputError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise JsonError("body", "a number", f"numbers of ordinary length ({error})") from error
    if _nesting(value, max_depth) > max_depth:
        raise too_deep
    return value


def _check_num_values(data: bytes, max_values: float) -> None:
    containers = data.count(b"[") + data.count(b"{")
    counts = {
        "values": (1 + containers + data.count(b","), max_values),
        "lists and objects": (containers, max_values // CONTAINER_SHARE),
        "names": (data.count(b":"), max_values // CONTAINER_SHARE),
    }
    for kind, (number, limit) in counts.items():
        if number > limit:
            raise TooManyValuesError(f"body ({kind})", number, f"at most {limit:g}")


def _refuse_constant(name: str) -> float:
    raise JsonError("body", name, "finite numbers; JSON knows no NaN and no Infinity")


def _parse_finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_constant(text)


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise JsonError("body", name, "each name at most once in an object")
        members[name] = value
    return members


def _nesting(value: Any, limit: int) -> int:
    """Nesting of lists and objects, counted up to one above the limit."""
    level, depth = [value] if type(value) in CONTAINERS else [], 0
    while level and depth <= limit:
        depth += 1
        children = (child for node in level for child in (node.values() if type(node) is dict else node))
        level = [child for child in children if type(child) in CONTAINERS]
    return depth
