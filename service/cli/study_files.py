"""Files of architectures for `archrank study predict`."""

import sys
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.files import BYTE_ORDER_MARK, parse_json, read_file


def read_architectures(path: Path) -> list[Any]:
    """Read architectures, as plain JSON.

    Args:
        path: JSON Lines with an architecture, or an object with the field `architecture`, in each line; or one JSON
            list of these; `-` for standard input.

    Raises:
        InputError: the file is missing or malformed, or holds no architecture.
    """
    if str(path) == "-":
        content, name = sys.stdin.buffer.read().removeprefix(BYTE_ORDER_MARK), "standard input"
    else:
        content, name = read_file(path, "file", pipe=True), path.name
    if content.lstrip().startswith(b"["):
        rows = parse_json(content, name)
    else:
        lines = enumerate(content.split(b"\n"), start=1)
        rows = [parse_json(line, f"{name} line {number}") for number, line in lines if line.strip()]
    if not rows:
        raise InputError("file", name, "at least one architecture")
    return [row["architecture"] if isinstance(row, dict) and "architecture" in row else row for row in rows]
