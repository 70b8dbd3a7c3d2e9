"""Mapping from errors to problem documents (RFC 9457), for requests and for single items."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from common.errors import ArchrankError, InputError
from common.strict_json import JsonError, TooManyValuesError
from service.inference.pipeline import NoValidArchitectureError
from service.inference.plan import BasisError
from service.inference.scheduler import QueueFullError, QuotaExceededError
from service.observability import logs
from service.storage.errors import IdempotencyError, StoreError, StudyExistsError, TooManyJobsError
from service.studies.fits import StudyFitError
from service.workers.errors import ScoringError

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
DEFAULT_RETRY_AFTER_S = 5
TITLES = {
    400: "Malformed body",
    401: "API key needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Body too slow",
    409: "Conflict",
    413: "Body too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Invalid input",
    429: "Too much at once",
    500: "Internal error",
    503: "Unavailable",
}
"""Titles by status. Types are derived from them, so they do not rely on the changing phrases of `http`."""
_SCORING_STATUS = {"timeout": 503, "interrupted": 503}
"""Status by kind of scoring failure; 500 for all others."""
_ALLOWED = {
    "missing": "a value: this field is required",
    "model_attributes_type": "a JSON object",
    "model_type": "a JSON object",
    "too_short": "at least one entry",
}


class FieldProblem(BaseModel):
    """A refused value."""

    field: str = Field(examples=["architectures[0].space"])
    value: str = Field(examples=["'nas'"], description="the refused value, shortened")
    allowed: str = Field(examples=["'gcn-nas', the space of this request"])


class Problem(BaseModel):
    """Problem document (RFC 9457)."""

    type: str = Field(examples=["urn:archrank:problem:invalid-input"])
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="path of the request, or `#/architectures/2` for one item")
    errors: list[FieldProblem] = []


class ProblemError(ArchrankError):
    """An error with an HTTP status.

    Attributes:
        status: HTTP status.
        causes: errors of the refused values.
        headers: headers of the response, e.g. `Retry-After`.
    """

    def __init__(
        self, status: int, detail: str, causes: Sequence[InputError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.causes, self.headers = status, causes, dict(headers or {})
        super().__init__(detail)


class NoContentError(Exception):
    """Raised by a dependency to end a request with status 204."""


def problem(error: Exception, instance: str | None = None) -> Problem:
    """Convert an error to a problem document. Unexpected errors reveal nothing of the server's internals.

    Args:
        error: the error.
        instance: path of the request, or pointer to the item in its body.
    """
    causes: Sequence[InputError]
    match error:
        case NoValidArchitectureError():
            status, detail, causes = 422, str(error), error.errors
        case BasisError():
            status, detail, causes = 409, str(error), []
        case ProblemError():
            status, detail, causes = error.status, str(error), error.causes
        case QuotaExceededError() | TooManyJobsError():
            status, detail, causes = 429, str(error), []
        case QueueFullError():
            status, detail, causes = 503, str(error), []
        case StudyFitError():
            status, detail, causes = 500, str(error), []
        case StoreError():
            status, detail, causes = 503, str(error), []
        case IdempotencyError() | StudyExistsError():
            status, detail, causes = 409, str(error), [error]
        case ScoringError():
            status, detail, causes = _SCORING_STATUS.get(error.failure.kind, 500), str(error), []
        case JsonError():
            status, detail, causes = 400, str(error), [error]
        case TooManyValuesError():
            status, detail, causes = 413, str(error), [error]
        case InputError():
            status, detail, causes = 422, str(error), [error]
        case RequestValidationError() | ValidationError():
            causes = input_errors(error)
            status, detail = 422, "; ".join(map(str, causes))
        case HTTPException():
            status, detail, causes = error.status_code, str(error.detail), []
        case _:
            status, detail, causes = 500, f"an unexpected {type(error).__name__}; the server's log says more", []
            if request := logs.bound().get("request"):
                detail += f", of request {request}"
    title = TITLES.get(status) or HTTPStatus(status).phrase
    return Problem(
        type="urn:archrank:problem:" + title.lower().replace(" ", "-"),
        title=title,
        status=status,
        detail=detail,
        instance=instance,
        errors=[FieldProblem(field=cause.field, value=cause.value, allowed=cause.allowed) for cause in causes],
    )


def input_errors(error: RequestValidationError | ValidationError) -> list[InputError]:
    """Convert pydantic's errors to errors that name field, value and what is allowed."""
    return [_input_error(details) for details in error.errors()]


def _input_error(details: Mapping[str, Any]) -> InputError:
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause
    path = [part for part in details["loc"] if part not in ("body", "query", "path", "header")]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "body"
    value = None if details["type"] == "missing" else details["input"]
    allowed = _ALLOWED.get(details["type"], str(details["msg"]).removeprefix("Input should be "))
    return InputError(field, value, allowed)


class ProblemResponse(JSONResponse):
    """JSON response in ASCII: a field's name may contain a lone surrogate, which UTF-8 cannot encode."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Encode the document."""
        return json.dumps(content, allow_nan=False).encode()


async def problem_response(request: Request, error: Exception) -> Response:
    """Respond to a failed request with a problem document."""
    if isinstance(error, HTTPException) and error.status_code == 404:
        error = ProblemError(404, f"{request.url.path} does not exist; /docs shows what does")
    elif isinstance(error, HTTPException) and error.status_code == 405:
        allowed = _allowed_methods(request)
        detail = f"{request.method} is not for {request.url.path}; allowed: {allowed}"
        error = ProblemError(405, detail, headers={"Allow": allowed})
    document = problem(error, instance=request.url.path)
    if document.status == 500 and isinstance(error, ArchrankError):  # all others are logged by the server
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    headers = dict(getattr(error, "headers", None) or {})
    if document.status in (429, 503):
        headers.setdefault("Retry-After", str(getattr(error, "retry_after", DEFAULT_RETRY_AFTER_S)))
    return ProblemResponse(document.model_dump(), document.status, headers)


def install_handlers(app: FastAPI) -> None:
    """Install exception handlers that respond with problem documents."""

    async def no_content(request: Request, error: Exception) -> Response:
        return Response(status_code=204)

    async def disconnected(request: Request, error: Exception) -> Response:
        return Response(status_code=400)  # never sent

    for kind in (ArchrankError, RequestValidationError, ValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, problem_response)
    app.add_exception_handler(NoContentError, no_content)
    app.add_exception_handler(ClientDisconnect, disconnected)


def _allowed_methods(request: Request) -> str:
    """Methods of all routes of a path; Starlette knows those of the first one."""
    literal = request.app.openapi()["paths"].get(request.scope["path"])  # /v1/studies/import is no /v1/studies/{id}

    def matches(method: str) -> bool:
        if literal is not None:
            return method.lower() in literal
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if matches(method)]
    return ", ".join(["GET", "HEAD", *methods[1:]] if "GET" in methods else methods)


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TEXT = {"type": "string"}
_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "event": {"enum": ["created", "started", "item", "done", "cancelled", "failed"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["id", "event", "data"],
}
_LOCATION = {"Location": {"description": "path of the job", "required": True, "schema": _TEXT}}
_RETRY = {"Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer"}}}


def problem_responses(
    *statuses: int, accepted: type[BaseModel] | None = None, streams: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Document the responses of a route besides its usual one.

    Args:
        *statuses: statuses of its problems; 500 is always among them.
        accepted: document of a job that the request may become.
        streams: the response is a stream of events.

    Returns:
        The value of FastAPI's `responses`.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    if accepted is not None:
        responses[202] = {
            "model": accepted,
            "description": "A job: the result takes longer",
            "headers": _LOCATION,
        }
    if streams:
        responses[200] = {"description": "Server-sent events", "content": {"text/event-stream": {"itemSchema": _EVENT}}}
        responses[204] = {"description": "The job is finished and its last event was sent"}
    for status in (*statuses, 500):
        responses[status] = {"description": TITLES[status], "content": _CONTENT}
    for status in {429, 503} & responses.keys():
        responses[status]["headers"] = _RETRY
    return responses
