"""HTTP within limits: alone uvicorn takes headers and requests without end, and waits for clients for ever."""

import asyncio
from typing import Any

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.server.request_parser import RefusedError, RequestParser
from service.server.write_deadline import WriteDeadline
from service.settings import Settings

MAX_HEAD = 2**16
"""Bytes of a request's line and headers after which no more of them are read."""
MAX_PIPELINED = 100
"""Requests that wait on a connection behind the one that is being answered."""
PROBE_SECONDS = 1.0
"""Between two looks whether a client that has sent its last still listens."""
_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"
_ANSWER = (
    "HTTP/1.1 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n"
    "x-content-type-options: nosniff\r\ncache-control: no-store\r\n{}connection: close\r\n\r\n{}"
)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. The application limits how long a body may take; all else that a client sends is limited here."""

    _head = 0  # bytes of headers that are not complete, or of what comes between and after the chunks of a body
    _in_body = _moved_on = False
    _timer: asyncio.TimerHandle | None = None
    _probes: asyncio.TimerHandle | None = None
    _answered: RequestResponseCycle | None = None  # or being answered; `cycle` is the last that arrived
    _refusal: bytes | None = None  # sent when what came before is answered

    @property
    def _settings(self) -> Settings:
        app = self.config.app
        assert isinstance(app, FastAPI)
        settings: Settings = app.state.settings
        return settings

    @property
    def _running(self) -> RequestResponseCycle | None:
        """Request that is being answered."""
        return None if self._answered is None or self._answered.response_complete else self._answered

    def connection_made(self, transport: Any) -> None:
        self._deadline = WriteDeadline(transport, self.loop, self._settings.write_timeout)
        self.parser = RequestParser(self)  # type: ignore[assignment]  # each does what uvicorn wants of it
        super().connection_made(self._deadline)  # type: ignore[arg-type]
        if len(self.connections) > (most := self._settings.max_connections):
            self._refuse("503 Service Unavailable", f"{most} connections are open already.", "retry-after: 1\r\n")
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._probes is not None:
            self._probes.cancel()
        self._deadline.stop()
        if (running := self._running) is not None:  # uvicorn tells the last that arrived
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing() or self._refusal is not None:
            return
        self._moved_on = False
        try:
            super().data_received(data)
        except RefusedError as error:
            self._refuse(error.status, str(error))
        self._head = 0 if self._moved_on else self._head + len(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The request's headers are larger than {MAX_HEAD} bytes.")
        elif self._head and self._timer is None:
            self._start_timer()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's has nothing to say
        """Answer what was asked; nothing more will be. Returns whether the connection stays open for that.

        A stream ends: whether its client has gone altogether is not seen until much later.
        """
        running = self._running
        if running is None or self._in_body or (running.response_started and running.chunked_encoding):
            return False
        self.cycle.keep_alive = False
        if running.scope["http_version"] == "1.1":
            self._probe_later()
        return True

    def _probe_later(self) -> None:
        self._probes = self.loop.call_later(PROBE_SECONDS, self._probe)

    def _probe(self) -> None:
        if (running := self._running) is not None and not running.response_started:
            self.transport.write(_PROBE)  # fails at the second try where nobody listens
            self._probe_later()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise RefusedError("503 Service Unavailable", f"{MAX_PIPELINED} requests wait on this connection already.")
        self._moved_on = self._in_body = True
        self._stop_timer()
        waits = self._running is not None
        super().on_headers_complete()
        if not waits:
            self._answered = self.cycle

    def on_body(self, body: bytes) -> None:
        self._moved_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved_on, self._in_body = True, False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._answered = self.pipeline[-1][0]
        super().on_response_complete()
        if self.transport.is_closing() or self._running is not None:
            return
        if self._refusal is not None:
            self.transport.write(self._refusal)
            self.transport.close()
        elif self._in_body:  # of a body that nobody reads
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        self._refuse("400 Bad Request", msg)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._settings.header_timeout, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self._running is not None:
            self._start_timer()  # the one before is still being answered
        elif self._head and not self._in_body and not self.transport.is_closing():
            seconds = self._settings.header_timeout
            self._refuse("408 Request Timeout", f"The request's headers did not arrive within {seconds:g} s.")
        else:
            self.transport.close()

    def _refuse(self, status: str, message: str, headers: str = "") -> None:
        """Answer and close: after the answers to what came before, and with nothing within another answer."""
        refusal = _ANSWER.format(status, len(message), headers, message).encode()
        running = self._running
        if running is not None and not (self._in_body and self.cycle is running):
            if self._in_body:
                self.pipeline.popleft()  # the request that is refused
            self._refusal = refusal
        elif self._in_body and self.cycle.response_started:
            self.transport.close()
        else:
            self.transport.write(refusal)
            self.transport.close()
