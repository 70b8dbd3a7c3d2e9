"""Standard input, output and error as the commands need them: open, and able to take any text."""

import codecs
import io
import os
import sys
from contextlib import suppress

PLAIN = {"–": "-", "−": "-", "×": "x", "±": "+-", "½": "1/2", "…": "...", "→": "->", "•": "*", "ρ": "rho", "τ": "tau"}
"""Stands for what an encoding lacks; a question mark stands for the rest."""
ERRORS = "archrank.plain"


def prepare() -> None:
    """Have each of them open, and take text that its encoding cannot say, in plain letters."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would be taken for it
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def flush() -> None:
    """Write what is buffered, or raise `OSError` and drop it, as it would fail again at the end."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace one character; bytes of a file's name that are no text stay as they are."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    is_byte = "\udc80" <= character <= "\udcff"
    return bytes([ord(character) - 0xDC00]) if is_byte else PLAIN.get(character, "?"), error.start + 1
