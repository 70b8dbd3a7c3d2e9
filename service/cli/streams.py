"""Standard input, output and error: opened if they are closed, and able to print any text."""

import codecs
import io
import os
import sys
from contextlib import suppress

REPLACEMENTS = {
    "–": "-", "−": "-", "×": "x", "±": "+-", "½": "1/2", "…": "...", "→": "->", "•": "*", "ρ": "rho", "τ": "tau"
}  # fmt: skip
"""Replacements of characters that an encoding lacks; others are replaced by a question mark."""
ERROR_HANDLER = "archrank.replace"


def prepare() -> None:
    """Open closed streams, and let the others replace characters that their encoding lacks."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next opened file would get its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(ERROR_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERROR_HANDLER)


def flush() -> None:
    """Flush standard output. On failure discards the buffer, which would fail again at exit, and raises `OSError`."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace one character; undecodable bytes of file names are written as they are."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    is_byte = "\udc80" <= character <= "\udcff"
    return bytes([ord(character) - 0xDC00]) if is_byte else REPLACEMENTS.get(character, "?"), error.start + 1
