"""Retry policy: the errors after which a request is sent again, and the delays."""

import random
import ssl
import threading
import time
from collections.abc import Callable

from archrank_client.errors import APIConnectionError, APITimeoutError, ArchrankError, OverloadedError, ServerError

MAX_SERVER_FAILURES = 5
"""Attempts at a request that the server answers with a failure, which seldom succeeds later."""
MIN_RETRY_DELAY_S, MAX_RETRY_DELAY_S = 0.2, 10.0


class RetryPolicy:
    """Hook for `stamina`: decide on another attempt after an error, and on the delay before it.

    Args:
        max_retry_time: returns the seconds after which no further attempt is made.
        cancelled: set when the result is no longer needed.
    """

    def __init__(self, max_retry_time: Callable[[], float], cancelled: "threading.Event | None" = None) -> None:
        self._max_retry_time, self._cancelled = max_retry_time, cancelled
        self._started, self._server_failures = time.monotonic(), 0

    def __call__(self, error: Exception) -> bool | float:
        """Return True or the seconds to wait for another attempt, False for none."""
        if not self._is_retryable(error) or (self._cancelled is not None and self._cancelled.is_set()):
            return False
        assert isinstance(error, ArchrankError)
        left = self._started + self._max_retry_time() - time.monotonic()
        if error.retry_after is None:
            return left > 0
        # Jitter: clients do not return all at once, and none before the stated time.
        delay = error.retry_after + random.uniform(0, MIN_RETRY_DELAY_S + error.retry_after / 10)
        return delay if delay < left else False

    def _is_retryable(self, error: Exception) -> bool:
        if isinstance(error, ServerError) and error.status not in (502, 504):  # those two come from a reverse proxy
            self._server_failures += 1
            return self._server_failures < MAX_SERVER_FAILURES
        if isinstance(error, APIConnectionError):
            return not _is_certificate_error(error)
        return isinstance(error, APITimeoutError | OverloadedError | ServerError)


def _is_certificate_error(error: BaseException) -> bool:
    """Return True for a refused certificate, which another attempt does not mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
