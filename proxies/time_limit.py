"""A limit to the time that something may take."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from common.errors import ArchrankError

AGAIN = 0.02
"""Seconds after which what could not be stopped at that moment is to be stopped again."""
_WHOLE = ("__enter__", "__exit__", "__del__", "remove", "_remove", "_find_and_load")
"""Functions that are not stopped half way, as what they hold would stay behind: those of context managers, those that
let go of objects, hooks and weak references, and `import`."""


class OverTimeError(ArchrankError):
    """Something took longer than it may."""


@contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """Raises `OverTimeError` within its block once that has taken so long: between two calls of PyTorch.

    It takes a signal, and Python handles those in the main thread: in any other there is no limit, nor for None. One
    limit at a time. Context managers that are being entered or left are let finish, so that nothing stays behind.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name in _WHOLE:
                return
            frame = frame.f_back
        raise OverTimeError(f"{what} took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, threading.TIMEOUT_MAX), AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
