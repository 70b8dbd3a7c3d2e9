"""Files and folders that appear completely or not at all, and rows of JSON Lines files."""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.errors import InputError

TEMPORARY_PREFIX = ".archrank-"
"""Prefix of the names of unfinished files and folders."""


def check_new_folder(folder: Path, field: str = "out") -> None:
    """Check that `write_folder` can write a folder.

    Args:
        folder: its path. It may exist.
        field: name of the path in errors.

    Raises:
        InputError: the path is no folder, or nothing can be created beside it.
    """
    if _is_writable(folder, field) and not folder.is_dir():
        raise InputError(field, str(folder), "a folder, or a new one")


def check_new_file(path: Path, field: str = "out") -> None:
    """Check that a file can be written or appended to, once its folder exists.

    Args:
        path: its path. It may exist.
        field: name of the path in errors.

    Raises:
        InputError: the path is no regular file, or nothing can be created beside it.
    """
    if _is_writable(path, field) and not path.is_file():
        raise InputError(field, str(path), "a regular file, or a new one")


def _is_writable(path: Path, field: str) -> bool:
    """Return true if the path exists. Raise `InputError` where nothing can be created beside it."""
    try:
        target = path.resolve()
        with suppress(FileNotFoundError):
            target.lstat()  # `exists` hides errors about the name
        nearest = target.parent
        while not nearest.exists():
            nearest = nearest.parent
        tempfile.TemporaryDirectory(dir=nearest, prefix=TEMPORARY_PREFIX).cleanup()
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a null byte, a cycle of links
        raise InputError(field, str(path), f"a path that can be written ({error})") from error
    return target.exists()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see the old content or the new, also after a crash.

    Args:
        path: the file, which may exist. Its folder has to exist.
        content: the new content.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:  # mkstemp ignores the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files; after a failure the old folder is unchanged.

    Args:
        folder: the folder. An existing one is replaced.
        files: content by file name.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY_PREFIX) as scratch:
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
    """Encode one row of a JSON Lines file, with its line end.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    return json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"
