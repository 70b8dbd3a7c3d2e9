"""Time limit on a block of code."""

import importlib._bootstrap
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from common.errors import ArchrankError

RETRY_INTERVAL_S = 0.02
"""Time between attempts to stop a block."""
GRACE_RETRIES = 25
"""Attempts, half a second in all, during which clean-up by the user's functions is let finish."""
_CLEAN_UP = frozenset({"__enter__", "__exit__", "__del__", "remove", "_remove"})
"""Names of functions that are not stopped half way, as the state that they hold would stay behind: those of context
managers, and those that let go of objects, hooks and weak references."""
_OWNERS = frozenset({"torch", "proxies", "contextlib", "weakref", "_weakrefset"})
"""Packages whose functions of these names are short and are let finish without a limit."""
_LIBRARIES = _OWNERS | {"numpy"} | sys.stdlib_module_names
"""Packages that hold no code of the user; their frames do not end a search for clean-up."""
_IMPORT = importlib._bootstrap._find_and_load.__code__  # type: ignore[attr-defined]


class TimeLimitError(ArchrankError):
    """A block of code exceeded its time limit."""


@contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """Raise `TimeLimitError` in the block as soon as it has taken longer, between two calls of PyTorch.

    Clean-up and imports in progress are let finish, so that no state stays behind: those of PyTorch and of this package
    without a limit, those of the user's code for half a second. The limit uses SIGALRM, which Python handles in
    the main thread: other threads have no limit. A timer of the caller is suspended, and goes on afterwards.

    Args:
        seconds: the limit; none where None.
        what: subject of the error's sentence.

    Raises:
        TimeLimitError: the block took longer.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    retries = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal retries
        retries += 1
        if not _is_indivisible(frame, by_name=retries <= GRACE_RETRIES):
            raise TimeLimitError(f"{what} took longer than {seconds:g} s")

    outer_remaining, outer_interval = signal.setitimer(signal.ITIMER_REAL, 0)
    outer_handler, started = signal.signal(signal.SIGALRM, stop), monotonic()
    signal.setitimer(signal.ITIMER_REAL, min(seconds, threading.TIMEOUT_MAX), RETRY_INTERVAL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer_handler)
        if outer_remaining:
            remaining = max(outer_remaining - (monotonic() - started), RETRY_INTERVAL_S)
            signal.setitimer(signal.ITIMER_REAL, remaining, outer_interval)


def _is_indivisible(frame: FrameType | None, by_name: bool) -> bool:
    """Return True if an import or clean-up is in progress.

    Args:
        frame: the innermost frame.
        by_name: count every function with a name in `_CLEAN_UP`; else those of `_OWNERS` alone, and only while they run
            no code of the user, as a context manager made from a generator does.
    """
    in_library = True
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        in_library &= package in _LIBRARIES
        if frame.f_code is _IMPORT:
            return True
        if frame.f_code.co_name in _CLEAN_UP and (by_name or (in_library and package in _OWNERS)):
            return True
        frame = frame.f_back
    return False
