"""Exceptions of the package: every error raised on purpose is an `ArchrankError`."""

import re
from typing import Any

from archrank_client.schemas import FieldProblem, Problem

ARCHITECTURE_FIELD = re.compile(r"^architectures\[(\d{1,10})\]")
MAX_MESSAGE_LENGTH = 2000
"""Characters of a message; a server may send any number of them."""


class ArchrankError(Exception):
    """Base of every error of this package. Can be pickled.

    Attributes:
        status: HTTP status; None where there was no response.
        problem: problem document of the response; None where there was none.
        request_id: id of the request in the server's log.
        retry_after: seconds after which the server accepts another attempt; None where it did not state any.
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
        super().__init__(_one_line(message))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


class APIConnectionError(ArchrankError, ConnectionError):
    """The server cannot be reached, or the connection broke."""


class APITimeoutError(ArchrankError, TimeoutError):
    """No response came in time, or a job did not end in time."""


class UnexpectedResponseError(ArchrankError):
    """The response is not one of an archrank server, or cannot be right."""


class InvalidRequestError(ArchrankError, ValueError):
    """The server refuses the request. `problem.errors` names field, value and allowed values."""


class ArchitectureError(InvalidRequestError):
    """The server refuses an architecture. `errors` names field, value and allowed values."""

    @property
    def errors(self) -> list[FieldProblem]:
        """The refused values of the architecture."""
        return [] if self.problem is None else list(self.problem.errors)


class PayloadTooLargeError(InvalidRequestError):
    """The body is larger than the server accepts."""


class AuthenticationError(ArchrankError):
    """The server needs an API key, or does not know this one."""


class PermissionDeniedError(ArchrankError, PermissionError):
    """The API key lacks the permission."""


class NotFoundError(ArchrankError, LookupError):
    """There is no such job, study, space or ensemble, or the server is older than the requested feature."""


class ConflictError(ArchrankError):
    """The idempotency key was used for another request, or the study of that name has another definition."""


class OverloadedError(ArchrankError):
    """The server cannot accept the request now. `retry_after` says when it might."""


class RateLimitError(OverloadedError):
    """The API key has exceeded its rate limit or its quota."""


class ServerError(ArchrankError):
    """The server failed."""


class JobFailedError(ArchrankError):
    """A job ended without all of its results."""


class JobCancelledError(JobFailedError):
    """A job was cancelled."""


_BY_STATUS: dict[int, type[ArchrankError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: APITimeoutError,
    409: ConflictError,
    413: PayloadTooLargeError,
    429: RateLimitError,
    503: OverloadedError,
}


def error_class(status: int) -> type[ArchrankError]:
    """Return the error class of an HTTP status."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServerError
    return InvalidRequestError if status >= 400 else UnexpectedResponseError


def item_error(problem: Problem, position: int, index: int, request_id: str | None = None) -> ArchrankError:
    """Return the error of one architecture.

    Args:
        problem: problem document of the architecture.
        position: index of the architecture in the request.
        index: index of the architecture in the caller's list.
        request_id: id of the request.
    """
    renumbered = renumber(problem, position, index)
    kind = ArchitectureError if renumbered.status == 422 else error_class(renumbered.status)
    path = f"architectures[{index}]"
    message = renumbered.detail if renumbered.detail.startswith(path) else f"{path}: {renumbered.detail}"
    return kind(message, status=renumbered.status, problem=renumbered, request_id=request_id)


def split_by_architecture(problem: Problem | None, n: int) -> list[Problem] | None:
    """Split the problem of a refused request into one problem for each of its `n` architectures.

    Returns:
        The problems in order; None where the request was refused for another reason than its architectures.
    """
    if problem is None or problem.status != 422:
        return None
    by_position: dict[int, list[FieldProblem]] = {}
    for error in problem.errors:
        match = ARCHITECTURE_FIELD.match(error.field)
        if match is None:
            return None
        by_position.setdefault(int(match[1]), []).append(error)
    if problem.errors and set(by_position) != set(range(n)):
        return None
    if not by_position:
        return [problem] * n
    return [problem.model_copy(update=_detail_and_errors(by_position[position])) for position in range(n)]


def renumber(problem: Problem, position: int, index: int) -> Problem:
    """Return the problem with the paths of the architecture at `position` changed to those of `index`."""
    pattern = re.compile(rf"\barchitectures\[{position}\]")
    path = f"architectures[{index}]"
    errors = [error.model_copy(update={"field": pattern.sub(path, error.field)}) for error in problem.errors]
    changes = {"detail": pattern.sub(path, problem.detail), "instance": f"#/architectures/{index}", "errors": errors}
    return problem.model_copy(update=changes)


def _one_line(text: str) -> str:
    """Shorten a text and replace its control characters, which a terminal might obey."""
    short = text if len(text) <= MAX_MESSAGE_LENGTH else f"{text[:MAX_MESSAGE_LENGTH]}…"
    return short if short.isprintable() else "".join(char if char.isprintable() else " " for char in short)


def _detail_and_errors(errors: list[FieldProblem]) -> dict[str, Any]:
    detail = "; ".join(f"{error.field}: got {error.value}; allowed: {error.allowed}" for error in errors)
    return {"detail": detail, "errors": errors}


def _restore(kind: type[ArchrankError], args: tuple[Any, ...], attributes: dict[str, Any]) -> ArchrankError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
