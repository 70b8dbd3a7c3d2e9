"""Progress of a long call."""

import sys
from collections.abc import Callable
from time import monotonic
from typing import TextIO

ProgressCallback = Callable[[int, int], object]
Progress = bool | ProgressCallback
"""True for a bar on a terminal, or a function that is called with the number done and the total."""
BAR_WIDTH = 30
DRAW_INTERVAL_S = 0.1


class ProgressBar:
    """Progress bar of one line. Called with the number done and the total.

    Args:
        file: output stream; standard error by default.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stderr if file is None else file
        self._started = monotonic()
        self._drawn = float("-inf")
        self._full, self._empty = _blocks(self._file)

    def __call__(self, done: int, total: int) -> None:
        """Draw the bar, at most every `DRAW_INTERVAL_S` seconds."""
        now = monotonic()
        if done < total and now - self._drawn < DRAW_INTERVAL_S:
            return
        self._drawn = now
        filled = BAR_WIDTH * done // max(total, 1)
        seconds = now - self._started
        left = f", {seconds * (total - done) / done:.0f} s left" if 0 < done < total else ""
        bar = self._full * filled + self._empty * (BAR_WIDTH - filled)
        end = "\n" if done >= total else ""
        self._file.write(f"\r\x1b[K{bar} {done}/{total} in {seconds:.0f} s{left}{end}")
        self._file.flush()


def _blocks(file: TextIO) -> tuple[str, str]:
    """Return the characters of a full and an empty cell; ASCII for encodings without block characters."""
    try:
        "█░".encode(getattr(file, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "#", "-"
    return "█", "░"


def progress_callback(progress: Progress) -> ProgressCallback:
    """Return the function to call."""
    if callable(progress):
        return progress
    return ProgressBar() if progress and sys.stderr.isatty() else ignore_progress


def ignore_progress(*args: object) -> None:
    """Do nothing."""
