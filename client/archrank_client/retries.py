"""Rule of retries: the errors after which a request is sent again, and when."""

import random
import ssl
import threading
import time
from collections.abc import Callable

from archrank_client.errors import ArchrankError, ConnectionFailed, Overloaded, ServerError, TimedOut

MOST_FAILURES = 5
"""Attempts at a request that the server answers with a failure, which is seldom better the next time."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between the first two attempts, and later ones."""


class RetryPolicy:
    """Decide, for `stamina`, on another attempt after an error, and on the pause before it.

    Args:
        patience: says for how many seconds, by the monotonic clock.
        halt: set where nobody waits any more.
    """

    def __init__(self, patience: Callable[[], float], halt: "threading.Event | None" = None) -> None:
        self._patience, self._halt = patience, halt
        self._started, self._failures = time.monotonic(), 0

    def __call__(self, error: Exception) -> bool | float:
        if not self._worth_it(error) or (self._halt is not None and self._halt.is_set()):
            return False
        assert isinstance(error, ArchrankError)
        left = self._started + self._patience() - time.monotonic()
        if error.retry_after is None:
            return left > 0
        # Not all at the same moment, and none before it was told to.
        pause = error.retry_after + random.uniform(0, FIRST_PAUSE + error.retry_after / 10)
        return pause if pause < left else False

    def _worth_it(self, error: Exception) -> bool:
        if isinstance(error, ServerError) and error.status not in (502, 504):  # these are of what stands before it
            self._failures += 1
            return self._failures < MOST_FAILURES
        if isinstance(error, ConnectionFailed):
            return not _untrusted(error)
        return isinstance(error, TimedOut | Overloaded | ServerError)


def _untrusted(error: BaseException) -> bool:
    """True for a refused certificate, which waiting does not mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
