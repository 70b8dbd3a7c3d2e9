"""The one tree of errors: all that this package raises on purpose is an `ArchrankError`."""

import re
from typing import Any

from archrank_client.schemas import FieldProblem, Problem

FIELD = re.compile(r"^architectures\[(\d{1,10})\]")
MAX_LENGTH = 2000
"""Characters of a message; a server may say any number of them."""


class ArchrankError(Exception):
    """Base of every error of this package. Survives the way from one process to another.

    Attributes:
        status: HTTP status; None where there was no answer.
        problem: what the server said of it; None where it said nothing that can be read.
        request_id: by which the server's log knows the request.
        retry_after: seconds after which the server wants to be asked again; None where it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        problem: Problem | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status, self.problem, self.request_id, self.retry_after = status, problem, request_id, retry_after
        super().__init__(_sentence(message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


class ConnectionFailed(ArchrankError, ConnectionError):  # noqa: N818
    """The server cannot be reached, or the connection broke."""


class TimedOut(ArchrankError, TimeoutError):  # noqa: N818
    """No answer came in time, or a job did not end in time."""


class UnexpectedAnswer(ArchrankError):  # noqa: N818
    """What answered is no archrank server, or one that speaks otherwise."""


class InvalidRequest(ArchrankError, ValueError):  # noqa: N818
    """The server refuses the request as it is. `problem.errors` names field, value and what is allowed."""


class ArchitectureError(InvalidRequest):
    """An architecture is refused. `errors` names field, value and what is allowed."""

    @property
    def errors(self) -> list[FieldProblem]:
        """What is wrong with it, field by field."""
        return [] if self.problem is None else list(self.problem.errors)


class TooLarge(InvalidRequest):
    """A body is larger than the server takes."""


class AuthenticationError(ArchrankError):
    """The server needs an API key, or does not know this one."""


class PermissionDenied(ArchrankError, PermissionError):  # noqa: N818
    """The API key may not do this."""


class NotFound(ArchrankError, LookupError):  # noqa: N818
    """There is no such job, space or ensemble, or this server is too old for what was asked."""


class Conflict(ArchrankError):  # noqa: N818
    """The idempotency key was used for another job."""


class Overloaded(ArchrankError):  # noqa: N818
    """The server could not take it now. `retry_after` says when it might."""


class RateLimited(Overloaded):
    """This API key asks too often, or has too much under way."""


class ServerError(ArchrankError):
    """The server failed."""


class JobFailed(ArchrankError):  # noqa: N818
    """A job ended without all of its results."""


class JobCancelled(JobFailed):
    """A job was cancelled."""


_KINDS: dict[int, type[ArchrankError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    408: TimedOut,
    409: Conflict,
    413: TooLarge,
    429: RateLimited,
    503: Overloaded,
}


def kind_of(status: int) -> type[ArchrankError]:
    """The error that an HTTP status stands for."""
    if status in _KINDS:
        return _KINDS[status]
    if status >= 500:
        return ServerError
    return InvalidRequest if status >= 400 else UnexpectedAnswer


def of_item(problem: Problem, position: int, place: int, request_id: str | None = None) -> ArchrankError:
    """The error of one architecture.

    Args:
        problem: what the server said of it.
        position: among those that were posted.
        place: among those that the caller gave.
        request_id: of the request that it was posted in.
    """
    seen = renumbered(problem, position, place)
    kind = ArchitectureError if seen.status == 422 else kind_of(seen.status)
    here = f"architectures[{place}]"
    message = seen.detail if seen.detail.startswith(here) else f"{here}: {seen.detail}"
    return kind(message, status=seen.status, problem=seen, request_id=request_id)


def refusals(problem: Problem | None, number: int) -> list[Problem] | None:
    """What a refused request says of each of its architectures; None where it was refused for something else."""
    if problem is None or problem.status != 422:
        return None
    own: dict[int, list[FieldProblem]] = {}
    for error in problem.errors:
        found = FIELD.match(error.field)
        if found is None:
            return None
        own.setdefault(int(found[1]), []).append(error)
    if problem.errors and set(own) != set(range(number)):
        return None
    return [problem.model_copy(update=_alone(own[i])) if own else problem for i in range(number)]


def renumbered(problem: Problem, position: int, place: int) -> Problem:
    """The same, of the architecture at another place."""
    there = re.compile(rf"\barchitectures\[{position}\]")
    here = f"architectures[{place}]"
    errors = [error.model_copy(update={"field": there.sub(here, error.field)}) for error in problem.errors]
    changed = {"detail": there.sub(here, problem.detail), "instance": f"#/architectures/{place}", "errors": errors}
    return problem.model_copy(update=changed)


def _sentence(text: str) -> str:
    """One line without control characters, which a terminal may obey."""
    short = text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
    return short if short.isprintable() else "".join(one if one.isprintable() else " " for one in short)


def _alone(errors: list[FieldProblem]) -> dict[str, Any]:
    detail = "; ".join(f"{one.field}: got {one.value}; allowed: {one.allowed}" for one in errors)
    return {"detail": detail, "errors": errors}


def _restored(kind: type[ArchrankError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ArchrankError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
