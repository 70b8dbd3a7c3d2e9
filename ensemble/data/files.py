"""Files and folders that are either there in full or not there."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from models import InputError

TEMPORARY = ".archrank-"
"""Start of the names of what is being written."""


def check_new_folder(folder: Path, field: str = "out") -> None:
    """Raise `InputError` unless `write_folder` can put a folder there: beside it, where it makes the files."""
    if _can_be_written(folder, field) and not folder.is_dir():
        raise InputError(field, str(folder), "a folder, or a new one")


def check_new_file(path: Path, field: str = "out") -> None:
    """Raise `InputError` unless `write_atomically`, or appending, can write the file, once its folder is made."""
    if _can_be_written(path, field) and not path.is_file():
        raise InputError(field, str(path), "a regular file, or a new one")


def _can_be_written(path: Path, field: str) -> bool:
    """True if something is there already. Raises `InputError` where nothing can be made beside it."""
    try:
        place = path.resolve()
        with suppress(FileNotFoundError):
            place.lstat()  # `exists` swallows what is wrong with a name
        nearest = place.parent
        while not nearest.exists():
            nearest = nearest.parent
        tempfile.TemporaryDirectory(dir=nearest, prefix=TEMPORARY).cleanup()
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a null byte, links in a circle
        raise InputError(field, str(path), f"a place that can be written ({error})") from error
    return place.exists()


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
