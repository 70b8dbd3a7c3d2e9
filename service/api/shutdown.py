"""How far the server is on its way out, for routes that go by it."""

from dataclasses import dataclass
from time import monotonic


@dataclass
class ShutdownState:
    """Set by the server, for good.

    Attributes:
        timeout: what runs may take so long, once nobody can come any more.
        told: it was told to stop, and is not ready any more; whoever comes all the same is answered.
        closed_at: since when nobody can come any more, and nothing without an end goes on.
    """

    timeout: float
    told: bool = False
    closed_at: float | None = None

    @property
    def closed(self) -> bool:
        """Whether nobody can come any more."""
        return self.closed_at is not None

    @property
    def left(self) -> float:
        """Seconds that what runs may still take."""
        since = 0.0 if self.closed_at is None else monotonic() - self.closed_at
        return max(0.0, self.timeout - since)
