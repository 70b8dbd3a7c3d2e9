"""Errors of the store."""

from common.errors import ArchrankError, InputError


class StoreError(ArchrankError):
    """The store failed, and the operation had no effect.

    If the connection was lost during the commit, the effect is unknown; every operation can be repeated.
    """


class StoreBusyError(StoreError):
    """A lock or a pooled connection was not available within the timeout."""


class StoreFullError(StoreError):
    """The disk is full."""


class StoreUnavailableError(StoreError):
    """The file cannot be opened or written, or the server cannot be reached."""


class StoreInUseError(StoreError):
    """Another server uses the same SQLite file."""


class StoreSchemaError(StoreError):
    """The database does not hold archrank's tables, or those of a newer version."""


class StoreEncodingError(StoreError):
    """The database's encoding is not UTF-8."""


class NotFoundError(InputError):
    """No row has this id."""


class IdempotencyError(InputError):
    """An idempotency key was used before, with another body."""


class TooManyJobsError(ArchrankError):
    """The owner has the maximum number of unfinished jobs."""


class StudyExistsError(InputError):
    """The owner has a study of the same name with another definition."""
