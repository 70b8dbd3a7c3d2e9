"""The one tree of errors: everything archrank raises on purpose is an `ArchrankError`.

An `InputError` names the field, the value and what is allowed, so that the HTTP service, the command line and Python
callers can all show the same sentence.
"""

import reprlib
from itertools import islice
from typing import Any, TypeVar


class _Short(reprlib.Repr):
    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        return super().repr_dict(dict(islice(x.items(), self.maxdict + 1)), level)  # or it would sort all of them


_short = _Short()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxstring, _short.maxother = 2, 4, 8, 60, 60
Refusal = TypeVar("Refusal", bound="InputError")


def shortened(value: Any) -> str:
    """The value as an error shows it to people."""
    return _short.repr(value)


class ArchrankError(Exception):
    """Base of every error that archrank raises on purpose. Survives the way from one process to another."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[ArchrankError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ArchrankError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class InputError(ArchrankError, ValueError):
    """A value from outside is not what it has to be.

    Attributes:
        field: where the value stands, e.g. `layers[2][0]`.
        value: the value, shortened for people.
        allowed: what would have been accepted.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field = field
        self.value = shortened(value)
        self.allowed = allowed
        super().__init__(f"{field}: got {self.value}; allowed: {allowed}")

    def within(self, parent: str) -> "InputError":
        """The same error seen from one level further out: `mask[0]` becomes `architectures[3].mask[0]`."""
        return self.renamed(f"{parent}.{self.field}", type(self))

    def renamed(self, field: str, kind: type[Refusal]) -> Refusal:
        """The same refusal, as an error of another kind about a field of another name."""
        error = kind.__new__(kind)
        error.field, error.value, error.allowed = field, self.value, self.allowed
        error.args = (f"{field}: got {self.value}; allowed: {self.allowed}",)
        return error


def check_seed(seed: Any, field: str = "seed") -> None:
    """Raise `InputError` unless every library takes it as a seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(field, seed, "a whole number from 0 to 2**32 - 1")


class ArchitectureError(InputError):
    """An architecture is malformed."""


class BatchError(InputError):
    """A probe batch is malformed, or does not fit the search space."""


class UnknownNameError(InputError):
    """A name is in no registry."""

    def __init__(self, field: str, value: Any, known: list[str] | tuple[str, ...]) -> None:
        super().__init__(field, value, "one of " + ", ".join(known))
