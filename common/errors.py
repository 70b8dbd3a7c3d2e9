"""Exceptions: every error that archrank raises on purpose is an `ArchrankError`.

An `InputError` names field, value and allowed values, so that the HTTP service, the command line and Python callers
show the same sentence.
"""

import reprlib
from itertools import islice
from typing import Any, TypeVar


class _Short(reprlib.Repr):
    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        return super().repr_dict(dict(islice(x.items(), self.maxdict + 1)), level)  # without sorting all keys


_short = _Short()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxstring, _short.maxother = 2, 4, 8, 60, 60
MAX_DESCRIPTION = 1000
"""Characters of the text of an error of another package in its description."""
ErrorT = TypeVar("ErrorT", bound="InputError")


def shortened(value: Any) -> str:
    """Return the shortened representation of a value for error messages."""
    return _short.repr(value)


class ArchrankError(Exception):
    """Base class of all errors that archrank raises on purpose. Can be pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[ArchrankError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ArchrankError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


def describe_error(error: BaseException) -> str:
    """Return an error in one line: the text of an `ArchrankError`, else its type and the beginning of its text."""
    text = " ".join(str(error).split())
    if isinstance(error, ArchrankError):
        return text
    return ": ".join(filter(None, [type(error).__name__, text[:MAX_DESCRIPTION]]))


class InputError(ArchrankError, ValueError):
    """An input value is invalid.

    Args:
        field: location of the value, e.g. `layers[2][0]`.
        value: the value.
        allowed: description of the allowed values.

    Attributes:
        field: location of the value.
        value: shortened representation of the value.
        allowed: description of the allowed values.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field = field
        self.value = shortened(value)
        self.allowed = allowed
        super().__init__(f"{field}: got {self.value}; allowed: {allowed}")

    def within(self, parent: str) -> "InputError":
        """Return the error with its field prefixed: `mask[0]` becomes `architectures[3].mask[0]`."""
        return self.renamed(f"{parent}.{self.field}", type(self))

    def renamed(self, field: str, kind: type[ErrorT]) -> ErrorT:
        """Return the error as another class, with another field."""
        error = kind.__new__(kind)
        error.field, error.value, error.allowed = field, self.value, self.allowed
        error.args = (f"{field}: got {self.value}; allowed: {self.allowed}",)
        return error


def check_seed(seed: Any, field: str = "seed") -> None:
    """Check that a value is a seed that all libraries accept.

    Args:
        seed: value to check.
        field: name of the value in errors.

    Raises:
        InputError: the value is no integer from 0 to 2**32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(field, seed, "a whole number from 0 to 2**32 - 1")


class ArchitectureError(InputError):
    """An architecture is malformed."""


class BatchError(InputError):
    """A probe batch is malformed, or does not fit the search space."""


class UnknownNameError(InputError):
    """A name is not registered.

    Args:
        field: location of the name.
        value: the name.
        known: registered names.
    """

    def __init__(self, field: str, value: Any, known: list[str] | tuple[str, ...]) -> None:
        super().__init__(field, value, "one of " + ", ".join(known))


class CapabilityError(InputError):
    """A search space does not have a capability.

    Args:
        space: name of the space.
        ability: the capability in words, e.g. `networks`.
    """

    def __init__(self, space: str, ability: str) -> None:
        super().__init__("space", space, f"a search space with {ability}, which {space} does not have")
