"""How a process that scores, and one that serves, should get its memory."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
"""Parameters of glibc's `mallopt`."""
LARGEST = 2**31 - 1


def hold_memory() -> None:
    """Have the process keep the memory that it frees, so that no pass waits for fresh pages.

    By default every tensor of some MiB is given back when it is freed, and the next one is zeroed page by page, which
    takes longer than most operations on it. To be called before the first tensor is made. Does nothing without glibc.
    """
    _mallopt({TRIM_THRESHOLD: LARGEST, MMAP_MAX: 0, ARENA_MAX: 1})


def share_memory() -> None:
    """Have the process's threads get their memory from one place.

    By default each of dozens that wait for a store has its own, and what it once needed stays with it. To be called
    before the threads are started. Does nothing without glibc.
    """
    _mallopt({ARENA_MAX: 1})


def _mallopt(parameters: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in parameters.items():
            mallopt(parameter, value)
