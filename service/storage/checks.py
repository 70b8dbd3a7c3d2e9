"""What comes from clients and would otherwise be refused by one database in one way and by the other in another."""

import json
from typing import Any

from common.errors import InputError

LARGEST = 2**63 - 1
LONGEST_TEXT = 200
LARGEST_PAGE = 10_000


def text(field: str, value: str, longest: int = LONGEST_TEXT) -> str:
    """The value, if both databases can keep it and index it."""
    storable = 1 <= len(value) <= longest and "\0" not in value and value.isprintable()
    if not storable:
        raise InputError(field, value, f"1 to {longest} printable characters")
    return value


def number(field: str, value: int, least: int, most: int = LARGEST) -> int:
    """The value, if it lies between the two."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(field, value, f"an integer, {least} to {most}")
    return value


def dumps(value: Any, sort_keys: bool = False) -> str:
    """JSON in ASCII without NaN and infinity, which PostgreSQL and clients refuse. With sorted keys, equal is equal."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("JSON", value, f"objects, lists, text, finite numbers, booleans and null ({error})") from None
