"""How far a long call is."""

import sys
from collections.abc import Callable
from time import monotonic
from typing import TextIO

ProgressCallback = Callable[[int, int], object]
Progress = bool | ProgressCallback
"""True for a bar on a terminal, or a function that is called with the number done and the number of all."""
WIDTH = 30
EVERY = 0.1
"""Seconds between two pictures of the bar."""


class ProgressBar:
    """A line that grows. Called with the number done and the number of all.

    Args:
        file: where it is drawn; standard error if not given.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stderr if file is None else file
        self._started = monotonic()
        self._drawn = float("-inf")
        self._full, self._empty = _cells(self._file)

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if done < total and now - self._drawn < EVERY:
            return
        self._drawn = now
        filled = WIDTH * done // max(total, 1)
        seconds = now - self._started
        left = f", {seconds * (total - done) / done:.0f} s left" if 0 < done < total else ""
        bar = self._full * filled + self._empty * (WIDTH - filled)
        end = "\n" if done >= total else ""
        self._file.write(f"\r\x1b[K{bar} {done}/{total} in {seconds:.0f} s{left}{end}")
        self._file.flush()


def _cells(file: TextIO) -> tuple[str, str]:
    """A full and an empty one, as far as the file's encoding has them: a file of Windows's mostly has not."""
    try:
        "█░".encode(getattr(file, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "#", "-"
    return "█", "░"


def told(progress: Progress) -> ProgressCallback:
    """What to call."""
    if callable(progress):
        return progress
    return ProgressBar() if progress and sys.stderr.isatty() else nobody


def nobody(*told: object) -> None:
    """Nobody wants to know."""
