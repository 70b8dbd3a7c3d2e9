"""Files and folders that are either there in full or not there."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import InputError

TEMPORARY = ".archrank-"
"""Start of the names of what is being written."""


def check_new_folder(folder: Path, field: str = "out") -> None:
    """Raise `InputError` unless `write_folder` can put a folder there: beside it, where it makes the files."""
    try:
        place = folder.resolve()
        exists, path = place.exists(), place.parent
        while not path.exists():
            path = path.parent
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, links in a circle
        raise InputError(field, str(folder), f"a place that can be written ({error})") from error
    if exists and not place.is_dir():
        raise InputError(field, str(folder), "a folder, or a new one")
    _check_writable(path, folder, field)


def check_new_file(path: Path, field: str = "out") -> None:
    """Raise `InputError` unless `write_atomically`, or appending, can write the file, once its folder is made."""
    check_new_folder(path.parent / TEMPORARY, field)
    if path.exists() and not path.is_file():
        raise InputError(field, str(path), "a regular file, or a new one")


def _check_writable(folder: Path, target: Path, field: str) -> None:
    try:
        tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY).cleanup()
    except OSError as error:
        raise InputError(field, str(target), f"a place that can be written ({folder}: {error.strerror})") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, then rename: a reader never sees half a file."""
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:  # not mkstemp, whose files only their owner may read, whatever the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside `folder`, then put them in its place: a failure leaves what was there."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise


def json_line(row: dict[str, Any]) -> bytes:
    """One row of a JSON Lines file, with its line end. Raises `ValueError` for NaN and infinities."""
    return json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"
