"""Reading of JSON objects, with errors that name file and line."""

from pathlib import Path
from typing import Any

from common.files import parse_json, read_file
from ensemble.errors import BenchmarkError
from models import InputError


def read_content(path: Path, place: str, pipe: bool = False) -> bytes:
    """Read a file.

    Args:
        path: the file.
        place: its name in errors.
        pipe: accept a pipe.

    Raises:
        BenchmarkError: the file cannot be read or is too large.
    """
    try:
        return read_file(path, place, pipe)
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error


def parse_object(text: bytes, place: str) -> dict[str, Any]:
    """Parse a JSON object, which may contain NaN.

    Args:
        text: the text.
        place: name of the text in errors.

    Raises:
        BenchmarkError: the text is no JSON object.
    """
    try:
        content = parse_json(text, place, finite=False)
    except InputError as error:
        raise error.renamed(place, BenchmarkError) from error
    if not isinstance(content, dict):
        raise BenchmarkError(place, content, "a JSON object")
    return content
