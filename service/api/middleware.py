"""Middleware: request ids, request log, metrics, security headers, and HEAD requests."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from secrets import token_hex
from time import perf_counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.observability import logs
from service.observability.metrics import OTHER, Metrics

log = logging.getLogger("service.access")
REQUEST_ID = b"x-request-id"
VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
QUIET_ROUTES = (
    "/health/live",
    "/health/ready",
    "/metrics",
    "/",
    "/studies",
    "/page/{file:path}",
    "/docs",
    "/docs/{file:path}",
)
"""Routes of probes and of the page's files, which are logged at level `debug`."""
DEFAULT_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Headers of every response that does not set them itself."""


class HeadAsGet:
    """Respond to HEAD as to GET, without the body.

    Args:
        app: the application, without HEAD routes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send_head)
        finally:
            if "route" in as_get:  # for the request log
                scope["route"] = as_get["route"]


class RequestLog:
    """Request ids, the request log and metrics. Plain ASGI, since it runs for every request.

    Args:
        app: the application.
        metrics: Prometheus metrics.
        problem_response: makes the response to an unhandled error.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        problem_response: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        self._app, self._metrics, self._problem_response = app, metrics, problem_response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size = perf_counter(), 0, 0
        request_id = _request_id(scope["headers"])
        header = (REQUEST_ID, request_id.encode())
        logs.bind(request=request_id)  # in the context of the request's task

        async def send_logged(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                names = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    header,
                    *(default for default in DEFAULT_HEADERS if default[0] not in names),
                ]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_logged)
        except Exception as error:
            if not status:  # here, since outer layers do not know the request's id
                response = await self._problem_response(Request(scope), error)
                await response(scope, receive, send_logged)
            raise  # the server logs it
        finally:
            self._log(scope, status, size, perf_counter() - started)

    def _log(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        method, route = scope["method"], getattr(scope.get("route"), "path", OTHER)
        self._metrics.record_http_request(method, route, status, seconds)
        level = logging.DEBUG if route in QUIET_ROUTES else logging.INFO
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
    """Return the client's request id, or a new one if it sent no valid one."""
    for name, value in headers:
        if name == REQUEST_ID and VALID_ID.fullmatch(value):
            return value.decode()
    return token_hex(16)
