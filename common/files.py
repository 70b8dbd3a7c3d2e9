"""Untrusted files: regular files or pipes of bounded size, and JSON in them."""

import stat
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.strict_json import JsonError, loads

MAX_FILE_BYTES = 2**30
MAX_NESTING = 32
"""Maximum nesting of lists and objects in JSON files."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Written by some editors at the start of UTF-8 files."""


def check_file(path: Path, field: str, pipe: bool = False) -> None:
    """Check that a path is a regular file, before it is opened: reading a FIFO or a device may never end.

    Args:
        path: path to check.
        field: name of the path in errors.
        pipe: allow pipes.

    Raises:
        InputError: there is no such file.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(field, str(path), f"an existing file ({reason})") from error
    if not (stat.S_ISREG(mode) or (pipe and stat.S_ISFIFO(mode))):
        raise InputError(field, str(path), "a regular file" + (" or a pipe" if pipe else ""))


def read_file(path: Path, field: str, pipe: bool = False, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a whole file and remove a byte order mark.

    Args:
        path: path of the file.
        field: name of the path in errors.
        pipe: allow pipes.
        max_bytes: maximum size.

    Returns:
        The content.

    Raises:
        InputError: there is no such file, or it is too large.
        OSError: the file cannot be read.
    """
    check_file(path, field, pipe)
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(field, f"{path}, more than {max_bytes} bytes", f"at most {max_bytes} bytes")
    return content.removeprefix(BYTE_ORDER_MARK)


def parse_json(text: bytes, place: str, finite: bool = True) -> Any:
    """Parse one JSON value.

    Args:
        text: JSON in UTF-8.
        place: location of the text, for errors.
        finite: refuse NaN and infinities.

    Returns:
        The value.

    Raises:
        InputError: the text is no strict JSON.
    """
    try:
        return loads(text, MAX_NESTING, finite=finite)
    except JsonError as error:
        raise error.renamed(place, InputError) from error


def read_json(path: Path, field: str, pipe: bool = False) -> Any:
    """Read a file of one JSON value.

    Args:
        path: path of the file.
        field: name of the path in errors.
        pipe: allow pipes.

    Returns:
        The value.

    Raises:
        InputError: there is no such file, or it is no strict JSON.
        OSError: the file cannot be read.
    """
    return parse_json(read_file(path, field, pipe), field)
