"""Progress of the server's shutdown, as routes and background tasks see it."""

from dataclasses import dataclass
from time import monotonic


@dataclass
class ShutdownState:
    """Progress of the shutdown. Set by the server, and never reset.

    Attributes:
        timeout: seconds that running work may take once the server is closed.
        draining: the server was told to stop: it is not ready, but still answers requests.
        closed_at: monotonic time since which no connection is accepted and event streams end; None before.
    """

    timeout: float
    draining: bool = False
    closed_at: float | None = None

    @property
    def closed(self) -> bool:
        """True once the server accepts no connections."""
        return self.closed_at is not None

    @property
    def remaining(self) -> float:
        """Seconds that running work may still take."""
        elapsed = 0.0 if self.closed_at is None else monotonic() - self.closed_at
        return max(0.0, self.timeout - elapsed)
