"""Settings of glibc's allocator for processes that score and for servers."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
"""Parameters of glibc's `mallopt`."""
MAX_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Keep freed memory in the process, so that no pass waits for fresh pages.

    By default a tensor of some MiB returns to the system when it is freed, and the next one is zeroed page by page,
    which takes longer than most operations on it. Call before the first tensor is made. Does nothing without glibc.
    """
    _mallopt({TRIM_THRESHOLD: MAX_INT, MMAP_MAX: 0, ARENA_MAX: 1})


def use_single_arena() -> None:
    """Allocate memory of all threads from one arena.

    By default each of the dozens of threads that wait for a store has an arena, which never shrinks. Call before the
    threads are started. Does nothing without glibc.
    """
    _mallopt({ARENA_MAX: 1})


def _mallopt(parameters: dict[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in parameters.items():
            mallopt(parameter, value)
