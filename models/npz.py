"""Arrays of untrusted `.npz` files. Pickles are never read."""

import lzma
import tokenize
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from common.errors import BatchError, InputError
from common.files import check_file

UNREADABLE = (
    *(OSError, ValueError, LookupError, EOFError, TypeError, ArithmeticError, MemoryError, RuntimeError, SyntaxError),
    *(BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)
"""Errors that NumPy and its dependencies raise for malformed files."""
MAX_UNPACKED_BYTES = 2**32


def check_data_file(path: str | Path, field: str) -> None:
    """Check that a path is a regular file. Raises `BatchError`."""
    try:
        check_file(Path(path), field)
    except InputError as error:
        raise error.renamed(field, BatchError) from error


def load_npz(path: str | Path, names: Sequence[str], field: str = "data") -> list[NDArray[Any]]:
    """Read some arrays of an `.npz` file.

    Args:
        path: path of the file.
        names: names of the arrays.
        field: name of the path in errors.

    Returns:
        The arrays, in the order of the names.

    Raises:
        BatchError: there is no such file, it is malformed or too large, or an array is missing or pickled.
    """
    check_data_file(path, field)
    try:
        with ZipFile(path) as archive:
            if sum(archive.getinfo(f"{name}.npy").file_size for name in names) > MAX_UNPACKED_BYTES:
                raise ValueError(f"more than {MAX_UNPACKED_BYTES} bytes unpacked")
        with np.load(path, allow_pickle=False) as arrays:
            return [np.asarray(arrays[name]) for name in names]
    except UNREADABLE as error:
        allowed = f"an .npz with arrays {', '.join(names[:-1])} and {names[-1]} ({error})"
        raise BatchError(field, str(path), allowed) from error
