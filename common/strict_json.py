"""JSON as the standard has it: Python's own reader also takes NaN, Infinity and repeated names."""

import json
import math
from typing import Any

from common.errors import InputError

PART = 8
"""One of so many values may be a list or an object, and one have a name: these take the most memory."""


class JsonError(InputError):
    """A text is not the JSON that we read."""


class TooManyValuesError(InputError):
    """A text would take many times its size to be read."""


def loads(data: bytes, max_nesting: int, max_values: float = math.inf, *, finite: bool = True) -> Any:
    """Read one JSON value from UTF-8.

    Args:
        data: the text.
        max_nesting: levels of lists and objects.
        max_values: values in it, an eighth of them lists and objects, an eighth with a name. They are counted before
            any is made, by the signs that belong to them, so that those within strings count, too.
        finite: refuse NaN, infinities and numbers that overflow to them, which files of other programs may hold.

    Raises:
        TooManyValuesError: more values.
        JsonError: not UTF-8, not JSON, a number that is not finite, a name that comes twice in an object, or lists and
            objects nested deeper than `max_nesting`.
    """
    _check_number(data, max_values)
    too_deep = JsonError("body (nesting)", "a deeper JSON text", f"lists and objects in at most {max_nesting} levels")
    try:
        value = json.loads(
            data.decode(),
            parse_constant=_refuse if finite else None,
            parse_float=_finite if finite else None,
            object_pairs_hook=_without_repeats,
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
    if _nesting(value, max_nesting) > max_nesting:
        raise too_deep
    return value


def _check_number(data: bytes, max_values: float) -> None:
    containers = data.count(b"[") + data.count(b"{")
    numbers = {
        "values": (1 + containers + data.count(b","), max_values),
        "lists and objects": (containers, max_values // PART),
        "names": (data.count(b":"), max_values // PART),
    }
    for kind, (number, most) in numbers.items():
        if number > most:
            raise TooManyValuesError(f"body ({kind})", number, f"at most {most:g}")


def _refuse(name: str) -> float:
    raise JsonError("body", name, "finite numbers; JSON knows no NaN and no Infinity")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise JsonError("body", name, "each name at most once in an object")
        found[name] = value
    return found


def _nesting(value: Any, limit: int) -> int:
    """Levels of lists and objects, counted no further than one past the limit."""
    level, depth = [value], 0
    while (level := [node for node in level if isinstance(node, list | dict)]) and depth <= limit:
        depth += 1
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    return depth
