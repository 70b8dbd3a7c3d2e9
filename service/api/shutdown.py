"""State of the server's shutdown, as routes see it."""

from dataclasses import dataclass
from time import monotonic


@dataclass
class ShutdownState:
    """State of the shutdown, set by the server once.

    Attributes:
        timeout: time in seconds that running work gets once connections are refused.
        draining: true from the signal on: the server is not ready, but still takes requests.
        closed_at: monotonic time from which connections are refused and event streams end.
    """

    timeout: float
    draining: bool = False
    closed_at: float | None = None

    @property
    def closed(self) -> bool:
        """True once connections are refused."""
        return self.closed_at is not None

    @property
    def remaining(self) -> float:
        """Time in seconds that running work still gets."""
        elapsed = 0.0 if self.closed_at is None else monotonic() - self.closed_at
        return max(0.0, self.timeout - elapsed)
