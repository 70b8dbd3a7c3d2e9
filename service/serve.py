"""`archrank serve`: load, take a port, say where, answer until told to stop."""

import contextlib
import gc
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from models.errors import InputError
from service.app import create_app, store_url
from service.library import Library
from service.settings import Settings
from service.store.alone import alone

PATIENCE = 10
"""Seconds that requests may still take after the server was told to stop."""
KEEP_ALIVE = 75
"""Seconds after which an idle connection is closed: longer than most clients keep one, lest it close on them."""
MAX_HEAD = 2**16
"""Bytes of a request's line and headers after which no more of them are read."""


class LimitedProtocol(HttpToolsProtocol):
    """HTTP as httptools reads it, which by itself would take headers without end."""

    _head = 0  # bytes of headers that are not complete
    _in_body = _moved_on = False

    def data_received(self, data: bytes) -> None:
        self._moved_on = False
        super().data_received(data)
        self._head = 0 if self._moved_on or self._in_body else self._head + len(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The request's headers are larger than {MAX_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        self._moved_on = self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._moved_on, self._in_body = True, False
        super().on_message_complete()


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until a signal.

    Raises `StoreInUseError` where another server works on the same SQLite file, `InputError` where the address cannot
    be had, and what `Library.load` raises.
    """
    with alone(store_url(settings)):
        _serve(settings, say)


def _serve(settings: Settings, say: Callable[[str], None]) -> None:
    app = create_app(settings, Library.load(settings))
    gc.freeze()  # what is loaded stays: to look through all of it for garbage would hold up requests
    config = uvicorn.Config(
        app, http=LimitedProtocol, access_log=False, timeout_graceful_shutdown=PATIENCE, timeout_keep_alive=KEEP_ALIVE
    )
    with _listen(settings.host, settings.port) as listener, contextlib.suppress(KeyboardInterrupt):
        host, port = listener.getsockname()[:2]
        say(f"archrank answers on http://{f'[{host}]' if ':' in host else host}:{port}")
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError("host, port", f"{host}, {port}", f"a free address of this machine ({error})") from error
