"""The one tree of errors: everything archrank raises on purpose is an `ArchrankError`.

An `InputError` names the field, the value and what is allowed, so that the HTTP service, the command line and Python
callers can all show the same sentence.
"""

import reprlib
from typing import Any

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxstring, _short.maxother = 2, 10, 60, 60


class ArchrankError(Exception):
    """Base of every error that archrank raises on purpose."""


class InputError(ArchrankError, ValueError):
    """A value from outside is not what it has to be.

    Attributes:
        field: where the value stands, e.g. `layers[2][0]`.
        value: the value, shortened for people.
        allowed: what would have been accepted.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field = field
        self.value = _short.repr(value)
        self.allowed = allowed
        super().__init__(f"{field}: got {self.value}; allowed: {allowed}")

    def within(self, parent: str) -> "InputError":
        """The same error seen from one level further out: `mask[0]` becomes `architectures[3].mask[0]`."""
        outer = type(self).__new__(type(self))
        outer.field, outer.value, outer.allowed = f"{parent}.{self.field}", self.value, self.allowed
        Exception.__init__(outer, f"{outer.field}: got {outer.value}; allowed: {outer.allowed}")
        return outer


class ArchitectureError(InputError):
    """An architecture is malformed."""


class BatchError(InputError):
    """A probe batch is malformed, or does not fit the search space."""


class UnknownNameError(InputError):
    """A name is in no registry."""

    def __init__(self, field: str, value: Any, known: list[str] | tuple[str, ...]) -> None:
        super().__init__(field, value, "one of " + ", ".join(known))
