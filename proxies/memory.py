"""How a process that scores should get its memory."""

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
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in ((TRIM_THRESHOLD, LARGEST), (MMAP_MAX, 0), (ARENA_MAX, 1)):
            mallopt(parameter, value)
