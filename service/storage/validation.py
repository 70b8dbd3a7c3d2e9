"""Validation of input that only one of the two databases would refuse, or each in a different way."""

import json
from typing import Any

import pydantic_core

from common.errors import InputError

MAX_INTEGER = 2**63 - 1
MAX_TEXT_LENGTH = 200
MAX_PAGE_SIZE = 10_000


def check_text(field: str, value: str, max_length: int = MAX_TEXT_LENGTH) -> str:
    """Return the text if both databases can store and index it. Raises `InputError`."""
    is_storable = 1 <= len(value) <= max_length and "\0" not in value and value.isprintable()
    if not is_storable:
        raise InputError(field, value, f"1 to {max_length} printable characters")
    return value


def check_integer(field: str, value: int, minimum: int, maximum: int = MAX_INTEGER) -> int:
    """Return the integer if it lies in the closed range. Raises `InputError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise InputError(field, value, f"an integer, {minimum} to {maximum}")
    return value


_ENCODERS = {
    sort_keys: json.JSONEncoder(allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
    for sort_keys in (False, True)
}
"""Made once: a job writes two texts for each of its architectures."""


def to_json(value: Any, sort_keys: bool = False) -> str:
    """Serialise to ASCII JSON without NaN and infinity, which PostgreSQL and clients refuse.

    Args:
        value: JSON data.
        sort_keys: sort object keys, so that equal values have equal texts.

    Raises:
        InputError: the value is not JSON data.
    """
    try:
        return _ENCODERS[sort_keys].encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("JSON", value, f"objects, lists, text, finite numbers, booleans and null ({error})") from None


def from_json(text: str | bytes) -> Any:
    """Read JSON data that `to_json` has written. Numbers take a tenth of the time that they take Python's parser."""
    try:
        return pydantic_core.from_json(text)
    except ValueError:  # it refuses halves of surrogate pairs, which names in a malformed architecture may have
        return json.loads(text)
