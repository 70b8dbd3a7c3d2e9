"""How far the server is on its way out, for routes that go by it."""

from dataclasses import dataclass


@dataclass
class Leaving:
    """Set by the server, for good.

    Attributes:
        told: it was told to stop, and is not ready any more; whoever comes all the same is answered.
        closed: nobody can come any more, and nothing without an end goes on.
    """

    told: bool = False
    closed: bool = False
