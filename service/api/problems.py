"""The one mapping from errors to problem documents (RFC 9457), for whole requests and for single items."""

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
from service.inference.scheduler import QueueFullError, QuotaExceededError
from service.observability import logs
from service.storage.errors import IdempotencyError, StoreError, TooManyJobsError
from service.workers.errors import ScoringError

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds, where nothing better is known."""
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
"""By status. The type of a problem is made of these, so they are not left to `http`, whose phrases change."""
_SCORING = {"timeout": 503, "interrupted": 503}
"""By what a backend says; anything else is an internal error."""
_MESSAGES = {
    "missing": "a value: this field is required",
    "model_attributes_type": "a JSON object",
    "model_type": "a JSON object",
    "too_short": "at least one entry",
}


class FieldProblem(BaseModel):
    """One value that was refused."""

    field: str = Field(examples=["architectures[0].layers[2][0]"])
    value: str = Field(examples=["'L5'"], description="what stood there, shortened")
    allowed: str = Field(examples=["one of L, L4n, L4, L3, L2, S, T, ST"])


class Problem(BaseModel):
    """What went wrong, as RFC 9457 writes it down."""

    type: str = Field(examples=["urn:archrank:problem:unprocessable-entity"])
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="path of the request, or `#/architectures/2` for one item")
    errors: list[FieldProblem] = []


class ProblemError(ArchrankError):
    """An error with an HTTP status of its own.

    Attributes:
        status: HTTP status.
        causes: the values that were refused.
        headers: for the response, e.g. `Retry-After`.
    """

    def __init__(
        self, status: int, detail: str, causes: Sequence[InputError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.causes, self.headers = status, causes, dict(headers or {})
        super().__init__(detail)


def problem(error: Exception, instance: str | None = None) -> Problem:
    """What to tell the client. An error that nobody foresaw tells nothing of the server's inside."""
    match error:
        case ProblemError():
            status, detail, causes = error.status, str(error), error.causes
        case QuotaExceededError() | TooManyJobsError():
            status, detail, causes = 429, str(error), []
        case QueueFullError():
            status, detail, causes = 503, str(error), []
        case StoreError():
            status, detail, causes = 503, str(error), []
        case IdempotencyError():
            status, detail, causes = 409, str(error), [error]
        case ScoringError():
            status, detail, causes = _SCORING.get(error.failure.kind, 500), str(error), []
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
    """Pydantic's errors as ours: field, value and what is allowed."""
    return [_input_error(one) for one in error.errors()]


def _input_error(one: Mapping[str, Any]) -> InputError:
    cause = one.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause
    place = [part for part in one["loc"] if part not in ("body", "query", "path", "header")]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".") or "body"
    found = None if one["type"] == "missing" else one["input"]
    return InputError(field, found, _MESSAGES.get(one["type"], str(one["msg"]).removeprefix("Input should be ")))


class ProblemResponse(JSONResponse):
    """ASCII only: a field's name may hold half a surrogate pair, which UTF-8 cannot say."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode()


async def answer(request: Request, error: Exception) -> Response:
    """The problem document for an error of a whole request."""
    if isinstance(error, HTTPException) and error.status_code == 404:
        error = ProblemError(404, f"{request.url.path} does not exist; /docs shows what does")
    elif isinstance(error, HTTPException) and error.status_code == 405:
        allowed = _allowed(request)
        detail = f"{request.method} is not for {request.url.path}; allowed: {allowed}"
        error = ProblemError(405, detail, headers={"Allow": allowed})
    said = problem(error, instance=request.url.path)
    if said.status == 500 and isinstance(error, ArchrankError):  # the server logs all others
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    headers = dict(getattr(error, "headers", None) or {})
    if said.status in (429, 503):
        headers.setdefault("Retry-After", str(getattr(error, "retry_after", RETRY_AFTER)))
    return ProblemResponse(said.model_dump(), said.status, headers)


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    async def nobody_listens(request: Request, error: Exception) -> Response:
        return Response(status_code=400)

    for kind in (ArchrankError, RequestValidationError, ValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(ClientDisconnect, nobody_listens)


def _allowed(request: Request) -> str:
    """The methods of a path: Starlette tells those of the first of its routes."""

    def answered(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if answered(method)]
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


def documented(
    *statuses: int, accepts: type[BaseModel] | None = None, streams: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: which problems it may answer with, its job if it may become one, or its stream."""
    known: dict[int | str, dict[str, Any]] = {}
    if accepts is not None:
        known[202] = {"model": accepts, "description": "A job, as it takes long", "headers": _LOCATION}
    if streams:
        known[200] = {"description": "Server-sent events", "content": {"text/event-stream": {"itemSchema": _EVENT}}}
        known[204] = {"description": "The job has ended, and its last event was told"}
    for status in (*statuses, 500):
        known[status] = {"description": TITLES[status], "content": _CONTENT}
    for status in {429, 503} & known.keys():
        known[status]["headers"] = _RETRY
    return known
