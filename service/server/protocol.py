"""HTTP protocol with limits that uvicorn lacks: size and time of headers, pipelined requests, time of writes.

Relies on internals of uvicorn's `HttpToolsProtocol`, hence the upper bound of its version in pyproject.toml.
"""

import asyncio
from typing import Any

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.server.request_parser import RejectedRequestError, RequestParser
from service.server.write_deadline import WriteDeadline
from service.settings import Settings

MAX_HEAD_BYTES = 2**16
"""Maximum size of a request's line and headers, in bytes."""
MAX_PIPELINED = 100
"""Maximum number of requests on a connection behind the one being answered."""
PROBE_INTERVAL_S = 1.0
"""Interval between checks that a client that has closed its sending side still listens."""
_PROBE_RESPONSE = b"HTTP/1.1 100 Continue\r\n\r\n"
_RESPONSE = (
    "HTTP/1.1 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n"
    "x-content-type-options: nosniff\r\ncache-control: no-store\r\n{}connection: close\r\n\r\n{}"
)


class LimitedProtocol(HttpToolsProtocol):
    """A connection. The application limits the time of a body; all other limits on requests are enforced here."""

    _head_bytes = 0  # of incomplete headers, or of chunk headers and trailers of a body
    _in_body = _progressed = False
    _timer: asyncio.TimerHandle | None = None
    _probe_timer: asyncio.TimerHandle | None = None
    _current: RequestResponseCycle | None = None  # last answered or being answered; `cycle` is the last received
    _rejection: bytes | None = None  # sent once the requests before are answered

    @property
    def _settings(self) -> Settings:
        app = self.config.app
        assert isinstance(app, FastAPI)
        settings: Settings = app.state.settings
        return settings

    @property
    def _running(self) -> RequestResponseCycle | None:
        """Request being answered."""
        return None if self._current is None or self._current.response_complete else self._current

    def connection_made(self, transport: Any) -> None:
        """Start the timers, or reject a connection too many."""
        self._deadline = WriteDeadline(transport, self.loop, self._settings.write_timeout)
        self.parser = RequestParser(self)  # type: ignore[assignment]  # has the methods that uvicorn calls
        super().connection_made(self._deadline)  # type: ignore[arg-type]
        if len(self.connections) > (max_connections := self._settings.max_connections):
            message = f"{max_connections} connections are open already."
            self._reject("503 Service Unavailable", message, "retry-after: 1\r\n")
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and notify the request being answered."""
        self._stop_timer()
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        self._deadline.stop()
        if (running := self._running) is not None:  # uvicorn notifies the last received only
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and limit the size of headers."""
        if self.transport.is_closing() or self._rejection is not None:
            return
        self._progressed = False
        try:
            super().data_received(data)
        except RejectedRequestError as error:
            self._reject(error.status, str(error))
        self._head_bytes = 0 if self._progressed else self._head_bytes + len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's headers are larger than {MAX_HEAD_BYTES} bytes.")
        elif self._head_bytes and self._timer is None:
            self._start_timer()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None
        """Keep the connection open for the response of a client that has closed its sending side.

        Streams end instead, as it would take long to notice that their client is gone.

        Returns:
            Whether the connection stays open.
        """
        running = self._running
        if running is None or self._in_body or (running.response_started and running.chunked_encoding):
            return False
        self.cycle.keep_alive = False
        if running.scope["http_version"] == "1.1":
            self._schedule_probe()
        return True

    def _schedule_probe(self) -> None:
        self._probe_timer = self.loop.call_later(PROBE_INTERVAL_S, self._probe)

    def _probe(self) -> None:
        if (running := self._running) is not None and not running.response_started:
            self.transport.write(_PROBE_RESPONSE)  # the second write fails if the client is gone
            self._schedule_probe()

    def on_headers_complete(self) -> None:
        """Begin the request, or queue it behind others."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise RejectedRequestError(
                "503 Service Unavailable", f"{MAX_PIPELINED} requests are queued on this connection already."
            )
        self._progressed = self._in_body = True
        self._stop_timer()
        is_queued = self._running is not None
        super().on_headers_complete()
        if not is_queued:
            self._current = self.cycle

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request's body."""
        self._progressed, self._in_body = True, False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Send the response, and begin the next request or send a pending rejection."""
        self._deadline.flush()
        if self.pipeline:
            self._current = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.is_closing() or self._running is not None:
            return
        if self._rejection is not None:
            self.transport.write(self._rejection)
            self.transport.close()
        elif self._in_body:  # nobody reads the rest of the body
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Reject what is not HTTP."""
        self._reject("400 Bad Request", msg)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._settings.header_timeout, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        if self._running is not None:
            self._start_timer()  # the request before is still being answered
        elif self._head_bytes and not self._in_body and not self.transport.is_closing():
            seconds = self._settings.header_timeout
            self._reject("408 Request Timeout", f"The request's headers did not arrive within {seconds:g} s.")
        else:
            self.transport.close()

    def _reject(self, status: str, message: str, headers: str = "") -> None:
        """Respond and close, after the responses to earlier requests and never within another response."""
        rejection = _RESPONSE.format(status, len(message), headers, message).encode()
        running = self._running
        if running is not None and not (self._in_body and self.cycle is running):
            if self._in_body:
                self.pipeline.popleft()  # the rejected request
            self._rejection = rejection
        elif self._in_body and self.cycle.response_started:
            self.transport.close()
        else:
            self.transport.write(rejection)
            self.transport.close()
