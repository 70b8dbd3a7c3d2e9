"""Files from outside: regular ones, or pipes where they are read once, of bounded size; and the JSON in them."""

import stat
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.strict_json import JsonError, loads

MAX_FILE_BYTES = 2**30
MAX_NESTING = 32
"""Levels of lists and objects in the JSON of a file."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some editors put one in front of UTF-8."""


def check_file(path: Path, field: str, pipe: bool = False) -> None:
    """Raise `InputError` unless there is a regular file, or a pipe where one will do.

    Opening a FIFO waits for its writer, and a device may never end.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(field, str(path), f"an existing file ({reason})") from error
    if not (stat.S_ISREG(mode) or (pipe and stat.S_ISFIFO(mode))):
        raise InputError(field, str(path), "a regular file" + (" or a pipe" if pipe else ""))


def read_file(path: Path, field: str, pipe: bool = False, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a whole file, less a byte order mark.

    Args:
        path: of the file.
        field: names it in errors.
        pipe: take a pipe, too.
        max_bytes: size of the largest that is read.

    Raises:
        InputError: as `check_file`, or the file is too large.
        OSError: it cannot be read.
    """
    check_file(path, field, pipe)
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(field, f"{path}, more than {max_bytes} bytes", f"at most {max_bytes} bytes")
    return content.removeprefix(BYTE_ORDER_MARK)


def parse_json(text: bytes, place: str, finite: bool = True) -> Any:
    """Read the JSON value of a file or of a line in it, as `loads` does. Raises `InputError` that names the place."""
    try:
        return loads(text, MAX_NESTING, finite=finite)
    except JsonError as error:
        raise error.renamed(place, InputError) from error


def read_json(path: Path, field: str, pipe: bool = False) -> Any:
    """Read a file that is one JSON value. Raises what `read_file` and `parse_json` raise."""
    return parse_json(read_file(path, field, pipe), field)
