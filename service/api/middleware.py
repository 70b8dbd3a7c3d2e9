"""For every request: an id, a line in the log, counters, headers against misuse; HEAD as GET."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.observability import logs
from service.observability.metrics import OTHER, Metrics

log = logging.getLogger("service.access")
HEADER = b"x-request-id"
WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,128}")
QUIET = ("/health/live", "/health/ready", "/metrics", "/", "/page/{file}", "/docs")
"""Routes that are asked all day, and the page's files; their lines are for debugging."""


HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Of every answer that does not have them otherwise."""


class HeadAsGet:
    """HEAD wherever GET is: the same answer, less its body.

    Args:
        app: knows nothing of HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, head)
        finally:
            if "route" in as_get:  # for the log
                scope["route"] = as_get["route"]


class RequestLog:
    """Plain ASGI, as each microsecond here is one of every request.

    Args:
        app: what answers.
        metrics: what counts.
        failed: makes the answer to an error that nothing else has answered.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, failed: Callable[[Request, Exception], Awaitable[Response]]
    ) -> None:
        self._app, self._metrics, self._failed = app, metrics, failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size = perf_counter(), 0, 0
        request = _request_id(scope["headers"])
        header = (HEADER, request.encode())
        logs.bind(request=request)  # the server gives each request a task of its own

        async def watched(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], header, *(one for one in HEADERS if one[0] not in names)]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if not status:  # here, as what is further out knows no id
                response = await self._failed(Request(scope), error)
                await response(scope, receive, watched)
            raise  # for the server's log
        finally:
            self._told(scope, status, size, perf_counter() - started)

    def _told(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        method, route = scope["method"], getattr(scope.get("route"), "path", OTHER)
        self._metrics.record_http_request(method, route, status, seconds)
        level = logging.DEBUG if route in QUIET else logging.INFO
        if log.isEnabledFor(level):
            caller = scope.get("state", {}).get("caller")
            extra = {
                "method": method,
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
                "bytes": size,
                "caller": caller and caller.id,
            }
            log.log(level, "%s %s %d", method, route, status, extra=extra)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's, so that it finds its request in our log; one of ours where it is none."""
    for name, value in headers:
        if name == HEADER and WELL_FORMED.fullmatch(value):
            return value.decode()
    return uuid4().hex
