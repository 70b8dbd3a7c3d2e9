"""HTTP as httptools reads it, within limits: alone it takes headers without end, and waits for them for ever."""

import asyncio
from typing import Any

from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.settings import Settings

MAX_HEAD = 2**16
"""Bytes of a request's line and headers after which no more of them are read."""
_ANSWER = (
    "HTTP/1.1 {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n{}connection: close\r\n\r\n{}"
)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. The application limits how long a body may take; all else that a client sends is limited here."""

    _head = 0  # bytes of headers that are not complete, or of what comes between and after the chunks of a body
    _in_body = _moved_on = False
    _timer: asyncio.TimerHandle | None = None

    @property
    def _settings(self) -> Settings:
        app = self.config.app
        assert isinstance(app, FastAPI)
        settings: Settings = app.state.settings
        return settings

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > (most := self._settings.max_connections):
            self._refuse("503 Service Unavailable", f"{most} connections are open already.", "retry-after: 1\r\n")
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._moved_on = False
        super().data_received(data)
        self._head = 0 if self._moved_on else self._head + len(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The request's headers are larger than {MAX_HEAD} bytes.")
        elif self._head and self._timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        self._moved_on = self._in_body = True
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._moved_on, self._in_body = True, False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and not self.transport.is_closing():  # of a body that nobody reads
            self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._settings.header_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._start_timer()  # the one before is still being answered
        elif self._head and not self._in_body and not self.transport.is_closing():
            seconds = self._settings.header_seconds
            self._refuse("408 Request Timeout", f"The request's headers did not arrive within {seconds:g} s.")
        else:
            self.transport.close()

    def _refuse(self, status: str, message: str, headers: str = "") -> None:
        self.transport.write(_ANSWER.format(status, len(message), headers, message).encode())
        self.transport.close()
